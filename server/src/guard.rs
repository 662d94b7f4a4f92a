//! Guards before publishing: what a fault of the data must not do to mail.
//!
//! In: every client that would newly be listed, and how old the data are. Out: whether it may be listed. While a guard holds,
//! the last good answers stay: who is listed stays listed, who is not is answered as before. Nothing fails.
//!
//! | guard | holds |
//! |---|---|
//! | `stale` | nothing was learned for longer than `stale_after`; then time stands still for verdicts, too. Data older than `give_up_after` are nobody's last good ones: time goes on |
//! | `jump` | within `window` more clients that were seen within it became listed (or would have) than `new_listings`, and than `new_percent` of all listed. Who was not seen within it comes with old logs that are read now |
//! | `canary` | within a day more than `canaries` of them had had mail taken today or yesterday |
//! | `never-list` | one in a network that must never be listed would be |
//!
//! - It ends by itself when its cause is gone: something was learned, or fewer would be listed. Or the operator forces
//!   it ([`Guard::force`]): what is held back then is listed, and for [`AMNESTY`] nothing is held back, but for networks that must
//!   never be listed.
//! - What is listed when the program begins is taken as good, until the first round over all clients is done
//!   ([`Guard::look`]), and in the first [`FIRST_HOUR`] of a new ledger: a guard has no memory across a restart.
//! - The operator's own denials are no matter of guards.
//! - At most [`HELD_MAX`] clients that are held back are counted one by one.
//!
//! A lock guards the counting. It is taken for clients that would newly be listed and once a round, not for questions.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use helostat_zones::time::Time;
use ipnet::IpNet;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// For so long nothing is held back once the operator said so.
const AMNESTY: Duration = Duration::from_secs(600);
/// A client that would be listed is looked at again at least as often; who was not is no longer held back.
const HELD_LASTS: Duration = Duration::from_secs(900);
const HELD_MAX: usize = 100_000;
/// So many of those held back are shown.
const SHOWN: usize = 10;
/// A new ledger reads old logs first.
const FIRST_HOUR: Duration = Duration::from_secs(3600);
/// The window of canaries.
const DAY: Duration = Duration::from_secs(86_400);

/// The limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardConfig {
    /// Whether there are guards at all.
    pub enabled: bool,
    /// Data are stale after so long without anything learned,
    pub stale_after: Duration,
    /// and worthless after so long.
    pub give_up_after: Duration,
    /// The window of `new_listings`.
    pub window: Duration,
    /// So many clients may become listed within the window,
    pub new_listings: usize,
    /// or so many of each hundred that are listed, if these are more.
    pub new_percent: usize,
    /// So many of those listed within a day may have had mail taken today or yesterday.
    pub canaries: usize,
    /// Nobody in these is ever listed.
    pub never_list: Vec<IpNet>,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            stale_after: Duration::from_secs(3 * 86_400),
            give_up_after: Duration::from_secs(30 * 86_400),
            window: Duration::from_secs(3600),
            new_listings: 1000,
            new_percent: 50,
            canaries: 20,
            never_list: Vec::new(),
        }
    }
}

/// Why listings are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Nothing was learned for too long.
    Stale,
    /// Too many would be listed at once.
    Jump,
    /// Too many would be listed whose mail was taken.
    Canary,
    /// One would be listed that must never be.
    NeverList,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Stale, Self::Jump, Self::Canary, Self::NeverList];

    /// The word for it in metrics and output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Jump => "jump",
            Self::Canary => "canary",
            Self::NeverList => "never-list",
        }
    }
}

/// How things stand, for people and programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// All clients have been looked at since the start: from then on it is known who is new.
    pub armed: bool,
    /// Why listings are held back; empty if they are not.
    pub causes: Vec<Cause>,
    /// Since when.
    pub since: Option<Time>,
    /// How many clients are listed.
    pub listed: usize,
    /// How many became listed within the window.
    pub new: usize,
    /// How many of those listed within a day had had mail taken.
    pub canaries: usize,
    /// How many would be listed and are not.
    pub held_back: usize,
    /// Some of these.
    pub some: Vec<IpAddr>,
    /// Until when nothing is held back, if the operator said so.
    pub forced_until: Option<Time>,
}

/// Who would be listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing {
    pub(crate) ip: IpAddr,
    /// It was listed before.
    pub(crate) was_listed: bool,
    /// Mail of it was taken today or yesterday.
    pub(crate) taken: bool,
    /// When it was seen last.
    pub(crate) seen: Time,
}

/// The guards.
#[derive(Debug)]
pub struct Guard {
    state: Mutex<State>,
    holds: AtomicBool,
    /// The moment for which verdicts are made; 0 for the clock's.
    frozen: AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    config: GuardConfig,
    armed: bool,
    /// When the first round was done over no client at all.
    began_empty: Option<Time>,
    listed: usize,
    /// When others were admitted, the oldest first; and those of them of which mail had been taken.
    admitted: VecDeque<Time>,
    canaries: VecDeque<Time>,
    held: HeldBack,
    /// The newest of the data, while they are stale.
    stale: Option<Time>,
    /// What the operator forced: data of this age count as fresh, and these who must never be listed hold back nobody else.
    excused: Option<Time>,
    tolerated: HashSet<IpAddr>,
    amnesty: Option<Time>,
    since: Option<Time>,
}

/// Those held back.
#[derive(Debug, Default)]
struct HeldBack {
    all: HashMap<IpAddr, Held>,
    taken: usize,
    never: usize,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    /// When it last would have been listed.
    last: Time,
    taken: bool,
    never: bool,
}

impl Guard {
    /// Guards with these limits; until they are armed they hold back nobody but who must never be listed.
    pub fn new(config: GuardConfig) -> Self {
        let state = Mutex::new(State { config, ..State::default() });
        Self { state, holds: AtomicBool::new(false), frozen: AtomicU32::new(0) }
    }

    /// Other limits from now on.
    pub fn set_config(&self, config: GuardConfig) {
        self.state.lock().config = config;
    }

    /// Whether new listings are held back.
    pub fn holds(&self) -> bool {
        self.holds.load(Ordering::Relaxed)
    }

    /// The moment for which verdicts are made: now, or the last one at which the data were not stale.
    pub(crate) fn judging_time(&self, now: Time) -> Time {
        match self.frozen.load(Ordering::Relaxed) {
            0 => now,
            frozen => now.min(Time(frozen)),
        }
    }

    /// Until when a verdict holds: one for which time stands still, for so long from now.
    pub(crate) fn until(&self, until: Time, held_for: Duration, now: Time) -> Time {
        if self.judging_time(now) < now { now.after(held_for) } else { until }
    }

    /// May it be listed?
    pub(crate) fn admits(&self, new: Listing, now: Time) -> bool {
        let mut state = self.state.lock();
        if !state.config.enabled {
            return true;
        }
        let never = state.never_lists(new.ip);
        if !never && (new.was_listed || !state.armed) {
            return true;
        }
        state.held.remove(new.ip);
        let counts = never && !state.tolerated.contains(&new.ip);
        let held = Held { last: now, taken: new.taken, never: counts };
        let is_recent = now.since(new.seen) <= state.config.window;
        let admits = !never && state.has_room(is_recent, new.taken, now);
        if !admits {
            state.held.insert(new.ip, held);
        } else if state.amnesty.is_none() {
            if is_recent {
                state.admitted.push_back(now);
            }
            if new.taken {
                state.canaries.push_back(now);
            }
        }
        self.see(&mut state, now);
        admits
    }

    /// Must it never be listed?
    pub(crate) fn never_lists(&self, ip: IpAddr) -> bool {
        let state = self.state.lock();
        state.config.enabled && state.never_lists(ip)
    }

    /// It would not be listed any more.
    pub(crate) fn clears(&self, ip: IpAddr) {
        // Nearly always there is nobody.
        if self.holds() {
            self.state.lock().held.remove(ip);
        }
    }

    /// A round over all clients is done: so many are listed, and this is the newest of the data, if there are any.
    pub(crate) fn look(&self, listed: usize, newest: Option<Time>, now: Time) {
        let mut state = self.state.lock();
        if newest.is_none() && !state.armed {
            state.began_empty.get_or_insert(now);
        }
        state.armed |= state.began_empty.is_none_or(|began| now.since(began) > FIRST_HOUR);
        state.listed = listed;
        state.stale = newest.filter(|newest| {
            let GuardConfig { enabled, stale_after, give_up_after, .. } = state.config;
            let age = now.since(*newest);
            let is_excused = state.excused.is_some_and(|excused| *newest <= excused);
            enabled && age > stale_after && age <= give_up_after && !is_excused
        });
        state.forget(now);
        self.see(&mut state, now);
    }

    /// The operator says that all is well.
    pub fn force(&self, newest: Option<Time>, now: Time) {
        let mut state = self.state.lock();
        state.amnesty = Some(now.after(AMNESTY));
        state.excused = newest;
        state.stale = None;
        let held = std::mem::take(&mut state.held);
        state.tolerated.extend(held.all.iter().filter(|(_, held)| held.never).map(|(ip, _)| *ip));
        state.admitted.clear();
        state.canaries.clear();
        self.see(&mut state, now);
    }

    /// How things stand.
    pub fn standing(&self, now: Time) -> Standing {
        let mut state = self.state.lock();
        state.forget(now);
        self.see(&mut state, now);
        let mut some: Vec<IpAddr> = state.held.all.keys().copied().collect();
        some.sort_unstable();
        some.truncate(SHOWN);
        Standing {
            armed: state.armed,
            causes: state.causes(now),
            since: state.since,
            listed: state.listed,
            new: state.newly_listed(now),
            canaries: state.canaries.len() + state.held.taken,
            held_back: state.held.all.len(),
            some,
            forced_until: state.amnesty,
        }
    }

    fn see(&self, state: &mut State, now: Time) {
        let holds = !state.causes(now).is_empty();
        state.since = if holds { state.since.or(Some(now)) } else { None };
        self.holds.store(holds, Ordering::Relaxed);
        let frozen = state.stale.map_or(Time(0), |newest| newest.after(state.config.stale_after));
        self.frozen.store(frozen.0, Ordering::Relaxed);
    }
}

impl State {
    fn never_lists(&self, ip: IpAddr) -> bool {
        self.config.never_list.iter().any(|net| net.contains(&ip))
    }

    /// What is past is forgotten.
    fn forget(&mut self, now: Time) {
        self.amnesty = self.amnesty.filter(|until| now < *until);
        for (times, kept) in [(&mut self.admitted, self.config.window), (&mut self.canaries, DAY)] {
            while times.front().is_some_and(|time| now.since(*time) > kept) {
                times.pop_front();
            }
        }
        self.held.forget(now);
    }

    /// How many were newly listed within the window, or would have been.
    fn newly_listed(&self, now: Time) -> usize {
        let before = self.admitted.partition_point(|time| now.since(*time) > self.config.window);
        self.admitted.len() - before + self.held.all.len()
    }

    /// Would nothing hold if this one were listed?
    fn has_room(&self, is_recent: bool, taken: bool, now: Time) -> bool {
        let (more, more_taken) = (usize::from(is_recent), usize::from(taken));
        let is_over = |cause: &Cause| self.is_over(*cause, more, more_taken, now);
        self.amnesty.is_some() || !Cause::ALL.iter().any(is_over)
    }

    fn causes(&self, now: Time) -> Vec<Cause> {
        let is_over = |cause: &Cause| self.amnesty.is_none() && self.is_over(*cause, 0, 0, now);
        Cause::ALL.into_iter().filter(is_over).collect()
    }

    /// Is a limit passed with so many more?
    fn is_over(&self, cause: Cause, more: usize, more_taken: usize, now: Time) -> bool {
        let GuardConfig { new_listings, new_percent, canaries, .. } = self.config;
        match cause {
            Cause::Stale => self.stale.is_some(),
            Cause::Jump => {
                let most = new_listings.max(self.listed.saturating_mul(new_percent) / 100);
                self.newly_listed(now) + more > most
            }
            Cause::Canary => self.canaries.len() + self.held.taken + more_taken > canaries,
            Cause::NeverList => self.held.never > 0,
        }
    }
}

impl HeldBack {
    fn insert(&mut self, ip: IpAddr, held: Held) {
        if self.all.len() < HELD_MAX {
            self.taken += usize::from(held.taken);
            self.never += usize::from(held.never);
            self.all.insert(ip, held);
        }
    }

    fn remove(&mut self, ip: IpAddr) {
        if let Some(held) = self.all.remove(&ip) {
            self.taken -= usize::from(held.taken);
            self.never -= usize::from(held.never);
        }
    }

    fn forget(&mut self, now: Time) {
        self.all.retain(|_, held| now.since(held.last) <= HELD_LASTS);
        self.taken = self.all.values().filter(|held| held.taken).count();
        self.never = self.all.values().filter(|held| held.never).count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000);

    fn guard(config: GuardConfig) -> Guard {
        let guard = Guard::new(config);
        guard.look(100, Some(NOW), NOW);
        guard
    }

    fn new(host: u32) -> Listing {
        let ip = IpAddr::from((0x0a00_0000 + host).to_be_bytes());
        Listing { ip, was_listed: false, taken: false, seen: Time(u32::MAX) }
    }

    fn few() -> GuardConfig {
        GuardConfig { new_listings: 3, new_percent: 0, canaries: 1, ..GuardConfig::default() }
    }

    #[test]
    fn what_is_there_at_the_beginning_is_good() {
        let guard = Guard::new(few());
        assert!((0..100).all(|host| guard.admits(new(host), NOW)));
        guard.look(100, Some(NOW), NOW);
        assert_eq!((guard.standing(NOW).new, guard.holds()), (0, false));
    }

    #[test]
    fn a_new_ledger_has_an_hour_to_read_what_there_is() {
        let guard = Guard::new(few());
        guard.look(0, None, NOW);
        guard.look(0, Some(NOW), NOW.after(Duration::from_secs(60)));
        assert!((0..100).all(|host| guard.admits(new(host), NOW)));
        let later = NOW.after(FIRST_HOUR + Duration::from_secs(1));
        guard.look(100, Some(later), later);
        assert_eq!((0..10).filter(|host| guard.admits(new(100 + *host), later)).count(), 3);
    }

    #[test]
    fn too_many_at_once_are_held_back_until_they_are_fewer() {
        let guard = guard(few());
        let admitted = (0..10).filter(|host| guard.admits(new(*host), NOW)).count();
        assert_eq!(admitted, 3);
        let standing = guard.standing(NOW);
        assert_eq!((standing.causes, standing.held_back), (vec![Cause::Jump], 7));
        // The window alone ends nothing: the seven are still too many.
        let later = NOW.after(Duration::from_secs(3601));
        for host in 3..10 {
            assert!(!guard.admits(new(host), later));
        }
        assert!(guard.holds());
        for host in 3..8 {
            guard.clears(new(host).ip);
        }
        assert!(guard.admits(new(8), later) && guard.admits(new(9), later));
        guard.look(100, Some(later), later);
        assert!(!guard.holds());
    }

    #[test]
    fn old_logs_that_are_read_now_are_no_jump() {
        let guard = guard(few());
        let seen = NOW.before(Duration::from_secs(3601));
        assert!((0..100).all(|host| guard.admits(Listing { seen, ..new(host) }, NOW)));
        assert!((0..3).all(|host| guard.admits(new(100 + host), NOW)));
        assert!(!guard.admits(new(200), NOW) && !guard.admits(Listing { seen, ..new(201) }, NOW));
    }

    #[test]
    fn a_large_list_may_grow_by_its_share() {
        let guard = guard(GuardConfig { new_percent: 50, ..few() });
        assert_eq!((0..100).filter(|host| guard.admits(new(*host), NOW)).count(), 50);
    }

    #[test]
    fn who_had_mail_taken_yesterday_is_a_canary() {
        let guard = guard(few());
        let canary = |host| Listing { taken: true, ..new(host) };
        assert!(guard.admits(canary(1), NOW));
        assert!(!guard.admits(canary(2), NOW));
        assert!(!guard.admits(new(3), NOW), "and nobody else is listed while it holds");
        let standing = guard.standing(NOW);
        assert_eq!((standing.causes, standing.canaries), (vec![Cause::Canary], 2));
        // Who would no longer be listed is forgotten in time.
        let later = NOW.after(HELD_LASTS + Duration::from_secs(1));
        assert_eq!(guard.standing(later).causes, vec![]);
    }

    #[test]
    fn who_must_never_be_listed_never_is() {
        let config =
            GuardConfig { never_list: vec!["10.0.0.0/30".parse().expect("a net")], ..few() };
        let unarmed = Guard::new(config.clone());
        assert!(!unarmed.admits(new(1), NOW), "not even at the beginning");
        let guard = guard(config);
        assert!(!guard.admits(new(1), NOW));
        assert_eq!(guard.standing(NOW).causes, vec![Cause::NeverList]);
        assert!(!guard.admits(new(9), NOW));
        guard.force(Some(NOW), NOW);
        assert!(!guard.admits(new(1), NOW), "not by force either");
        assert!(guard.admits(new(9), NOW), "but it holds nobody else back");
        let later = NOW.after(AMNESTY + Duration::from_secs(1));
        guard.look(100, Some(later), later);
        assert!(!guard.admits(new(1), later) && guard.admits(new(8), later));
    }

    #[test]
    fn time_stands_still_for_stale_data() {
        let guard = guard(few());
        for (days, judged) in [(1, 1), (3, 3), (4, 3), (20, 3), (31, 31)] {
            let at = |days: u64| NOW.after(Duration::from_secs(days * 86_400));
            guard.look(100, Some(NOW), at(days));
            assert_eq!(guard.judging_time(at(days)), at(judged), "{days} days");
            assert_eq!(guard.holds(), days != judged);
        }
        let later = NOW.after(Duration::from_secs(4 * 86_400));
        guard.force(Some(NOW), later);
        guard.look(100, Some(NOW), later);
        assert_eq!(guard.judging_time(later), later, "the operator knows");
        let newer = NOW.after(Duration::from_secs(1));
        guard.look(100, Some(newer), newer.after(Duration::from_secs(5 * 86_400)));
        assert!(guard.holds(), "of newer data nothing was said");
    }

    #[test]
    fn force_lets_everybody_in_for_a_while() {
        let guard = guard(few());
        let admitted = |now| (0..10).filter(|host| guard.admits(new(*host), now)).count();
        assert_eq!(admitted(NOW), 3);
        guard.force(Some(NOW), NOW);
        assert_eq!((admitted(NOW), guard.holds()), (10, false));
        let later = NOW.after(AMNESTY);
        guard.look(100, Some(later), later);
        assert_eq!(admitted(later), 3);
    }

    #[test]
    fn switched_off_it_holds_nothing() {
        let guard = guard(GuardConfig { enabled: false, ..few() });
        assert!((0..100).all(|host| guard.admits(new(host), NOW)));
        guard.look(100, Some(NOW), NOW.after(Duration::from_secs(4 * 86_400)));
        assert!(!guard.holds());
    }
}

//! What the ledger knows of a client, a name or a network, measured at a moment.
//!
//! In go rows of the ledger, the windows of the policy and "now"; out come plain numbers in which the
//! verdict thinks. Nothing fails; who was never seen has an empty history. Traps, submission services and
//! whoever takes everything do not count towards standing (`accepted`, `days`), only towards what was seen.
//!
//! A standing is the judgement of reporters, not of messages: each has a say, and the loudest of them has no
//! more than `reporter-messages` of the policy. The totals that are shown are true all the same.
//!
//! Measures come from real mail (446,000 messages at five sites): what separates is how long and
//! how steadily a *pair* was seen; distinct registrable domains, never bare names, per client; and
//! fresh families per network.

mod clients;
mod name;
mod network;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

pub use self::clients::Clients;
pub use self::name::{NameHistory, is_akin};
pub use self::network::{Crowd, FamilyHere, NetworkHistory};

use crate::client::Client;
use crate::ledger::activity::{DAYS_KEPT, Days};
use crate::ledger::distinct::{Count, Distinct, hash48};
use crate::ledger::{Ledger, PairView, RowView, Trace, hash_of_text};
use crate::name::{Name, NameKind};
use crate::observation::{Outcome, ReporterKind};
use crate::policy::Policy;
use crate::time::{DAY_SECONDS, Time};

/// How firmly a pair stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Seen, without enough accepted mail over enough days.
    Seen,
    /// Enough to be called a sender that is really there.
    Established,
    /// Long and steady.
    Strong,
}

/// One pair, over all its reporters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PairHistory {
    /// The name.
    pub name: Name,
    /// What sort of name it is.
    pub kind: NameKind,
    /// The earliest observation.
    pub first: Time,
    /// The latest observation.
    pub last: Time,
    /// Days with any observation in the last 64.
    pub days: u32,
    /// Which days.
    #[serde(skip)]
    pub seen_on: Days,
    /// Days with accepted mail in the last 64, as reporters that count saw it.
    pub accepted_days: u32,
    /// Which days.
    #[serde(skip)]
    pub accepted_on: Days,
    /// Messages accepted, as reporters that count saw it.
    pub accepted: u32,
    /// Messages and sessions refused for good, other than by our own answer.
    pub rejected: u32,
    /// All observations.
    pub observations: u32,
    /// Refusals caused by our own answer.
    pub by_us: u32,
    /// Messages that traps took.
    pub trapped: u32,
    /// The earliest accepted mail, as reporters that count saw it.
    pub first_accepted: Option<Time>,
    /// Independent reporters that accepted mail of it.
    pub reporters: u32,
    /// Reporters that saw it at all.
    pub seen_by: u32,
    /// What the reporters have to say of it.
    #[serde(skip)]
    pub said: Said,
    /// How firmly it stands.
    pub standing: Standing,
    /// Seen within the window in which families are counted.
    #[serde(skip)]
    pub in_family_window: bool,
    /// Seen within the shorter window in which we only watch.
    #[serde(skip)]
    pub in_watch_window: bool,
}

/// What all reporters of a pair together say of it, each no louder than the policy lets it be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Messages for it: accepted ones.
    pub accepted: u32,
    /// Refused ones less accepted ones: above zero if it is refused more often than not.
    pub against: i64,
}

impl Said {
    /// Adds one reporter, of whom at most `most` messages count. What it refused and what it accepted
    /// are set against each other before that: cut off one by one, 150 accepted and 1,000 refused would come
    /// out even.
    fn add(&mut self, accepted: u32, rejected: u32, most: u32) {
        let most_against = i64::from(most);
        let against = i64::from(rejected) - i64::from(accepted);
        self.accepted = self.accepted.saturating_add(accepted.min(most));
        self.against = self.against.saturating_add(against.clamp(-most_against, most_against));
    }
}

/// A client with more pairs than this has many: looking for one among them in order takes too long.
const MANY_PAIRS: usize = 32;

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientHistory {
    /// The client.
    #[serde(skip)]
    pub client: Client,
    /// The exact address last seen, for IPv6.
    pub last_ip: Option<IpAddr>,
    /// The reverse name last logged as verified.
    pub rdns: Option<String>,
    /// Its pairs, the firmest and most used first, equals in the order of their names.
    pub pairs: Vec<PairHistory>,
    /// Where among them each is, in the order of their names; empty if they are few.
    #[serde(skip)]
    by_name: Vec<u32>,
    /// Distinct families in the counting window, of the pairs that are held.
    pub families: Vec<String>,
    /// Distinct families in the watching window, of the pairs that are held.
    pub watched_families: Vec<String>,
    /// How many families it said in the counting window, with those of pairs that are not held any more.
    pub family_count: Count,
    /// How many in the watching window.
    pub watched_count: Count,
    /// What is left of pairs that are not held any more.
    #[serde(skip)]
    pub trace: Option<Trace>,
}

impl ClientHistory {
    /// Measures what the ledger holds of a client.
    pub fn of(ledger: &Ledger, client: Client, policy: &Policy, now: Time) -> Self {
        let kinds = ledger.reporter_kinds();
        ledger.client(client, |row| match row {
            Some(row) => Self::of_row(&row, &kinds, policy, now),
            None => Self::never_seen(client),
        })
    }

    fn never_seen(client: Client) -> Self {
        let none = Count { n: 0, exact: true };
        Self {
            client,
            last_ip: None,
            rdns: None,
            pairs: Vec::new(),
            by_name: Vec::new(),
            families: Vec::new(),
            watched_families: Vec::new(),
            family_count: none,
            watched_count: none,
            trace: None,
        }
    }

    fn of_row(row: &RowView<'_>, kinds: &[ReporterKind], policy: &Policy, now: Time) -> Self {
        let mut history = Self::never_seen(row.client());
        history.pairs.reserve_exact(row.pair_count());
        let (facts, trace) = row.walk(|pair| {
            history.pairs.push(PairHistory::of(&pair, kinds, policy, now));
        });
        history.last_ip = facts.last_ip.map(|(_, ip)| ip);
        history.rdns = facts.rdns.map(|(_, rdns)| rdns.into());
        history.trace = trace;
        history.rank();
        history.count_families(policy, now);
        history
    }

    /// Puts the pairs, which are in the order of their names, into that of their ranks.
    fn rank(&mut self) {
        self.by_name.clear();
        if self.pairs.len() <= MANY_PAIRS {
            self.pairs.sort_by_cached_key(PairHistory::rank);
            return;
        }
        let mut ranked: Vec<_> = (0u32..)
            .zip(self.pairs.drain(..))
            .map(|(place, pair)| (pair.rank(), place, pair))
            .collect();
        ranked.sort_unstable_by_key(|(rank, place, _)| (*rank, *place));
        self.by_name.resize(ranked.len(), 0);
        for (to, (_, from, pair)) in (0u32..).zip(ranked) {
            self.by_name[from as usize] = to;
            self.pairs.push(pair);
        }
    }

    /// Measures anew what depends on the moment; of a client with many pairs, none of which went.
    fn measure_at(&mut self, policy: &Policy, now: Time) {
        let (mut ranks, mut windows) = (false, false);
        for pair in &mut self.pairs {
            let before = (pair.rank(), pair.in_family_window, pair.in_watch_window);
            pair.measure_at(policy, now);
            ranks |= before.0 != pair.rank();
            windows |= (before.1, before.2) != (pair.in_family_window, pair.in_watch_window);
        }
        if ranks {
            self.pairs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            self.rank();
        }
        if windows {
            self.count_families(policy, now);
        }
    }

    /// Puts a pair in the place of that of the same name, which is so many places behind the first of all names; of a
    /// client with many pairs.
    fn replace(&mut self, number: usize, pair: PairHistory) {
        let Some(old) = self.by_name.get(number).map(|place| *place as usize) else { return };
        let (Some(before), Some(behind)) = (self.pairs.get(..old), self.pairs.get(old + 1..))
        else {
            return;
        };
        let is_before =
            |other: &PairHistory| (other.rank(), &other.name) < (pair.rank(), &pair.name);
        let up = before.partition_point(is_before);
        let new = if up < old { up } else { old + behind.partition_point(is_before) };
        self.pairs[old] = pair;
        if new < old {
            self.pairs[new..=old].rotate_right(1);
        } else {
            self.pairs[old..=new].rotate_left(1);
        }
        for place in &mut self.by_name {
            let at = *place as usize;
            if new <= at && at < old {
                *place += 1;
            } else if old < at && at <= new {
                *place -= 1;
            }
        }
        self.by_name[number] = new as u32;
    }

    /// Counts the families that its pairs said in both windows.
    fn count_families(&mut self, policy: &Policy, now: Time) {
        let each_once = |wanted: fn(&PairHistory) -> bool| -> Vec<String> {
            let pairs = self.pairs.iter().filter(|pair| wanted(pair));
            let mut families: Vec<&str> = pairs.filter_map(|pair| pair.name.family()).collect();
            families.sort_unstable();
            families.dedup();
            families.into_iter().map(str::to_owned).collect()
        };
        let families = each_once(|pair| pair.in_family_window);
        let watched = each_once(|pair| pair.in_watch_window);
        let trace = self.trace.as_ref().map(|trace| &trace.families);
        let counts = (
            count_with(&families, trace, now, policy.families_window_days),
            count_with(&watched, trace, now, policy.watch_window_days),
        );
        (self.family_count, self.watched_count) = counts;
        (self.families, self.watched_families) = (families, watched);
    }

    /// How many families it said within so many days, with those of pairs that are not held any more.
    pub fn families_within(&self, now: Time, days: u32) -> Count {
        let lately = |pair: &&PairHistory| pair.seen_on.within(now.day(), days) > 0;
        let families: BTreeSet<_> = self
            .pairs
            .iter()
            .filter(lately)
            .filter_map(|pair| pair.name.family().map(str::to_owned))
            .collect();
        let held: Vec<_> = families.into_iter().collect();
        count_with(&held, self.trace.as_ref().map(|trace| &trace.families), now, days)
    }

    /// How many names it said within so many days, with those of pairs that are not held any more.
    pub fn names_within(&self, now: Time, days: u32) -> Count {
        let lately = |pair: &&PairHistory| pair.seen_on.within(now.day(), days) > 0;
        let held: Vec<_> =
            self.pairs.iter().filter(lately).map(|pair| pair.name.text().to_owned()).collect();
        count_with(&held, self.trace.as_ref().map(|trace| &trace.names), now, days)
    }

    /// True if the client was never seen.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The pair with this name.
    pub fn pair(&self, name: &Name) -> Option<&PairHistory> {
        if self.by_name.is_empty() {
            return self.pairs.iter().find(|pair| pair.name == *name);
        }
        let at = |place: &u32| self.pairs.get(*place as usize);
        let place = self
            .by_name
            .binary_search_by(|place| at(place).map(|pair| &pair.name).cmp(&Some(name)));
        at(self.by_name.get(place.ok()?)?)
    }

    /// The pairs that stand, the firmest first.
    pub fn established(&self) -> impl Iterator<Item = &PairHistory> {
        self.pairs.iter().take_while(|pair| pair.is_established())
    }

    /// The firmest pair.
    pub fn best(&self) -> Option<&PairHistory> {
        self.pairs.first()
    }

    /// All observations of the client.
    pub fn observations(&self) -> u32 {
        self.pairs.iter().fold(0, |sum, pair| sum.saturating_add(pair.observations))
    }
}

/// How many different texts these are together with those in a sketch.
fn count_with(held: &[String], sketch: Option<&Distinct>, now: Time, days: u32) -> Count {
    let Some(sketch) = sketch else { return Count { n: held.len() as u64, exact: true } };
    let mut hashes: Vec<_> = held.iter().map(|text| hash48(hash_of_text(text))).collect();
    hashes.sort_unstable();
    hashes.dedup();
    Distinct::count_union(&hashes, sketch, now.day(), days)
}

impl PairHistory {
    /// Measures what the ledger holds of a pair; `kinds` are those of the reporters.
    pub fn of(pair: &PairView<'_>, kinds: &[ReporterKind], policy: &Policy, now: Time) -> Self {
        Self { name: pair.name.to_name(), ..Self::nameless(pair, kinds, policy, now) }
    }

    /// The same without the name: for who knows it and needs no memory for it.
    fn nameless(pair: &PairView<'_>, kinds: &[ReporterKind], policy: &Policy, now: Time) -> Self {
        let mut history = Self {
            name: Name::absent(),
            kind: pair.name.kind(),
            first: Time(u32::MAX),
            last: Time(0),
            days: 0,
            seen_on: Days::default(),
            accepted_days: 0,
            accepted_on: Days::default(),
            accepted: 0,
            rejected: 0,
            observations: 0,
            by_us: 0,
            trapped: 0,
            first_accepted: None,
            reporters: 0,
            seen_by: 0,
            said: Said::default(),
            standing: Standing::Seen,
            in_family_window: false,
            in_watch_window: false,
        };
        for (by, seen) in pair.seen() {
            history.seen_by += 1;
            history.first = history.first.min(seen.first);
            history.last = history.last.max(seen.last);
            history.seen_on = history.seen_on.merge(seen.days);
            history.by_us = history.by_us.saturating_add(seen.by_us);
            history.rejected = history.rejected.saturating_add(seen.count(Outcome::Rejected));
            for outcome in Outcome::ALL {
                history.observations = history.observations.saturating_add(seen.count(outcome));
            }
            let kind = kinds.get(usize::from(by)).copied().unwrap_or_default();
            if kind == ReporterKind::Trap {
                history.trapped = history.trapped.saturating_add(seen.accepted());
            }
            let counts = kind.builds_standing();
            let accepted = if counts { seen.accepted() } else { 0 };
            let rejected = seen.count(Outcome::Rejected);
            history.said.add(accepted, rejected, policy.reporter_messages);
            if accepted == 0 {
                continue;
            }
            history.accepted = history.accepted.saturating_add(accepted);
            history.reporters += 1;
            history.accepted_on = history.accepted_on.merge(seen.accepted_days);
            history.first_accepted = match (history.first_accepted, seen.first_accepted) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        history.measure_at(policy, now);
        history
    }

    /// Measures anew what depends on the moment.
    fn measure_at(&mut self, policy: &Policy, now: Time) {
        let today = now.day();
        self.days = self.seen_on.within(today, DAYS_KEPT);
        self.accepted_days = self.accepted_on.within(today, DAYS_KEPT);
        self.in_family_window = self.seen_on.within(today, policy.families_window_days) > 0;
        self.in_watch_window = self.seen_on.within(today, policy.watch_window_days) > 0;
        self.standing = self.stands(policy, now);
    }

    /// The next moment at which it is old enough for something, if it is not yet.
    fn comes_of_age(&self, policy: &Policy, now: Time) -> Option<Time> {
        let first = self.first_accepted?;
        let ages = [policy.established_age_days, policy.strong_age_days];
        let age =
            |days: u32| first.after(Duration::from_secs(u64::from(days) * u64::from(DAY_SECONDS)));
        ages.into_iter().map(age).filter(|moment| *moment > now).min()
    }

    /// What it is sorted by: the firmest and most used first.
    fn rank(&self) -> Reverse<(Standing, u32, u32)> {
        Reverse((self.standing, self.accepted, self.observations))
    }

    fn stands(&self, policy: &Policy, now: Time) -> Standing {
        let Some(first) = self.first_accepted else { return Standing::Seen };
        let age_days = u32::try_from(now.since(first).as_secs() / 86_400).unwrap_or(u32::MAX);
        // A pair that is refused more often than not has no standing, however long it has been there.
        if self.is_mostly_refused() || self.kind == NameKind::Malformed {
            return Standing::Seen;
        }
        let reaches = |messages, days, age| {
            self.said.accepted >= messages && self.accepted_days >= days && age_days >= age
        };
        if reaches(policy.strong_messages, policy.strong_days, policy.strong_age_days) {
            return Standing::Strong;
        }
        if reaches(
            policy.established_messages,
            policy.established_days,
            policy.established_age_days,
        ) {
            return Standing::Established;
        }
        Standing::Seen
    }

    /// True if it is refused more often than not.
    pub fn is_mostly_refused(&self) -> bool {
        self.said.against > 0
    }

    /// True if the pair is established or better.
    pub fn is_established(&self) -> bool {
        self.standing >= Standing::Established
    }
}

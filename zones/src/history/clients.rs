//! Histories of clients with many pairs, kept from one verdict to the next.
//!
//! To measure a client costs as much as its row is long: tens of microseconds where a /64 of a large provider says
//! hundreds of names, and it may send every other message. Between two verdicts hardly anything of it changes. So its
//! history is kept together with the octets of the row that it was measured from. When it is asked for again, the pairs
//! whose octets differ are measured anew, and on another day, or when a pair comes of age, what depends on the moment.
//!
//! - In: a ledger, a client, "now". The policy is that of the keeper: another policy needs another keeper.
//! - Out: the same history as [`ClientHistory::of`] gives, which a test holds to it. Nothing fails.
//! - Held: at most [`PAIRS_HELD`] pairs with some hundred octets each; when there are more, all is measured anew.
//!
//! Clients with few pairs, and those of which some pairs are not held any more, are measured every time.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::{ClientHistory, MANY_PAIRS, PairHistory};
use crate::client::Client;
use crate::ledger::{Ledger, RowView};
use crate::name::Name;
use crate::observation::ReporterKind;
use crate::policy::Policy;
use crate::time::Time;

/// So many pairs are kept.
const PAIRS_HELD: usize = 100_000;

/// Measures clients by one policy.
pub struct Clients {
    policy: Policy,
    kept: Mutex<HashMap<Client, Kept, RandomState>>,
}

/// What is held of a client: its row, or the history that is kept.
pub(super) enum Found<'a> {
    Row(RowView<'a>),
    Kept(Arc<ClientHistory>),
}

impl Clients {
    /// Measures by this policy; nothing is kept yet.
    pub fn new(policy: Policy) -> Self {
        Self { policy, kept: Mutex::default() }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Measures what the ledger holds of a client.
    pub fn history(&self, ledger: &Ledger, client: Client, now: Time) -> Arc<ClientHistory> {
        let kinds = ledger.reporter_kinds();
        self.look(ledger, client, &kinds, now, |found| match found {
            Some(Found::Kept(history)) => history,
            Some(Found::Row(row)) => {
                Arc::new(ClientHistory::of_row(&row, &kinds, &self.policy, now))
            }
            None => Arc::new(ClientHistory::never_seen(client)),
        })
    }

    /// Lets `look` see what is held of a client.
    pub(super) fn look<R>(
        &self,
        ledger: &Ledger,
        client: Client,
        kinds: &Arc<[ReporterKind]>,
        now: Time,
        look: impl FnOnce(Option<Found<'_>>) -> R,
    ) -> R {
        ledger.client(client, |row| {
            look(row.map(|row| match self.kept(row, kinds, now) {
                Some(history) => Found::Kept(history),
                None => Found::Row(row),
            }))
        })
    }

    /// The history of a client with many pairs.
    fn kept(
        &self,
        row: RowView<'_>,
        kinds: &Arc<[ReporterKind]>,
        now: Time,
    ) -> Option<Arc<ClientHistory>> {
        if row.pair_count() <= MANY_PAIRS {
            return None;
        }
        let client = row.client();
        let mut all = self.kept.lock();
        if let Some(kept) = all.get_mut(&client)
            && kept.renew(row, kinds, &self.policy, now).is_some()
        {
            return Some(kept.history.clone());
        }
        all.remove(&client);
        let kept = Kept::measure(row, kinds, &self.policy, now)?;
        let history = kept.history.clone();
        let pairs: usize = all.values().map(|kept| kept.history.pairs.len()).sum();
        if pairs + history.pairs.len() > PAIRS_HELD {
            all.clear();
        }
        all.insert(client, kept);
        Some(history)
    }
}

/// A client's history, and what it was measured from.
struct Kept {
    history: Arc<ClientHistory>,
    /// The octets of the row behind the number of its pairs.
    octets: Vec<u8>,
    /// Where in them each pair begins, in the order of names, and where the last one ends.
    places: Vec<usize>,
    kinds: Arc<[ReporterKind]>,
    /// When it was measured.
    at: Time,
    /// When the first pair comes of age.
    until: Time,
}

impl Kept {
    /// Measures all of a row; `None` if some of its pairs are not held any more.
    fn measure(
        row: RowView<'_>,
        kinds: &Arc<[ReporterKind]>,
        policy: &Policy,
        now: Time,
    ) -> Option<Self> {
        let history = ClientHistory::of_row(&row, kinds, policy, now);
        if history.trace.is_some() || history.by_name.len() != row.pair_count() {
            return None;
        }
        Some(Self {
            octets: row.octets().to_vec(),
            places: row.places(),
            kinds: kinds.clone(),
            at: now,
            until: first_of_age(&history, policy, now),
            history: Arc::new(history),
        })
    }

    /// Brings it up to the row and the moment; `None` if it must be measured anew, after which it is of no use.
    fn renew(
        &mut self,
        row: RowView<'_>,
        kinds: &Arc<[ReporterKind]>,
        policy: &Policy,
        now: Time,
    ) -> Option<()> {
        let same_kinds = Arc::ptr_eq(kinds, &self.kinds) || kinds.starts_with(&self.kinds);
        let is_later = now.day() != self.at.day() || now >= self.until;
        if !same_kinds || now < self.at || row.pair_count() + 1 != self.places.len() {
            return None;
        }
        if is_later {
            let history = Arc::make_mut(&mut self.history);
            history.measure_at(policy, now);
            self.until = first_of_age(history, policy, now);
        }
        self.at = now;
        if row.octets() != self.octets {
            self.follow(row, kinds, policy, now)?;
        }
        Some(())
    }

    /// Measures the pairs that differ in the row.
    fn follow(
        &mut self,
        row: RowView<'_>,
        kinds: &[ReporterKind],
        policy: &Policy,
        now: Time,
    ) -> Option<()> {
        let history = Arc::make_mut(&mut self.history);
        let octets = row.octets();
        let end = *self.places.last()?;
        // The next pair to be compared, where it was and where it is.
        let (mut was, mut is) = (0, 0);
        let mut moved = false;
        let mut shifts = Vec::new();
        loop {
            let alike = alike(self.octets.get(was..end)?, octets.get(is..)?);
            if was + alike == end {
                is += alike;
                break;
            }
            let number = self.places.partition_point(|place| *place <= was + alike) - 1;
            let (begin, ended) = (*self.places.get(number)?, *self.places.get(number + 1)?);
            let (pair, next) = row.pair_at(is + begin - was)?;
            let place = *history.by_name.get(number)? as usize;
            let before = history.pairs.get_mut(place)?;
            if pair.name != before.name.view() {
                return None;
            }
            let windows = |pair: &PairHistory| (pair.in_family_window, pair.in_watch_window);
            let mut measured = PairHistory::nameless(&pair, kinds, policy, now);
            moved |= windows(before) != windows(&measured);
            measured.name = std::mem::replace(&mut before.name, Name::absent());
            if let Some(moment) = measured.comes_of_age(policy, now) {
                self.until = self.until.min(moment);
            }
            history.replace(number, measured);
            shifts.push((number + 1, next.wrapping_sub(ended)));
            (was, is) = (ended, next);
        }
        let rest = octets.get(is..)?;
        if self.octets.get(end..)? != rest {
            let name = |number: usize| {
                let place = *history.by_name.get(number)? as usize;
                Some(history.pairs.get(place)?.name.text())
            };
            let (facts, trace) = row.tail_at(is, name)?;
            if trace.is_some() {
                return None;
            }
            history.last_ip = facts.last_ip.map(|(_, ip)| ip);
            history.rdns = facts.rdns.map(|(_, rdns)| rdns.into());
        }
        if moved {
            history.count_families(policy, now);
        }
        let mut behind = self.places.len();
        for (from, shift) in shifts.into_iter().rev() {
            for place in self.places.get_mut(from..behind)? {
                *place = place.wrapping_add(shift);
            }
            behind = from;
        }
        self.octets.clear();
        self.octets.extend_from_slice(octets);
        Some(())
    }
}

/// When the first pair comes of age.
fn first_of_age(history: &ClientHistory, policy: &Policy, now: Time) -> Time {
    let ages = history.pairs.iter().filter_map(|pair| pair.comes_of_age(policy, now));
    ages.min().unwrap_or(Time(u32::MAX))
}

/// At how many octets two texts begin alike.
fn alike(a: &[u8], b: &[u8]) -> usize {
    let (chunks_a, chunks_b) = (a.as_chunks::<32>().0, b.as_chunks::<32>().0);
    let chunks = chunks_a.iter().zip(chunks_b).take_while(|(a, b)| a == b).count();
    let begin = chunks * 32;
    let (a, b) = (a.get(begin..).unwrap_or_default(), b.get(begin..).unwrap_or_default());
    begin + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{Batch, Bounds};
    use crate::observation::{Observation, Outcome};

    const NOW: Time = Time(1_795_184_855);

    fn observation(name: u8, family: u8, time: Time, outcome: Outcome, by: u8) -> Observation {
        Observation {
            time,
            ip: format!("2001:db8::{name:x}").parse().expect("an address"),
            name: Name::parse(format!("m{name}.family{family}.com").as_bytes()),
            rdns: (!name.is_multiple_of(3)).then(|| format!("m{}.family0.com", name % 7).into()),
            outcome,
            stage: None,
            by_us: false,
            supersedes: None,
            reporter: format!("mx{by}").into(),
        }
    }

    proptest! {
        /// What is kept is what would be measured, whatever came in between.
        #[test]
        fn kept_or_measured_is_the_same(
            steps in proptest::collection::vec(
                (0u8..60, 0u8..4, 0u32..200_000, 0u8..3, any::<bool>(), 1u8..5), 0..60),
            bound in prop_oneof![Just(1000usize), Just(40)],
        ) {
            let bounds = Bounds { pairs_per_client: bound, ..Bounds::default() };
            let ledger = Ledger::in_memory(bounds);
            let policy = Policy::default();
            let clients = Clients::new(policy.clone());
            let client = Client::of("2001:db8::1".parse().expect("an address"));
            let mut batch = Batch::default();
            for name in 0..40 {
                let seen = observation(name, name % 4, NOW, Outcome::Accepted, 0);
                batch.observe(&seen, ReporterKind::Mx);
            }
            ledger.commit(&batch).expect("memory does not fail");
            let mut now = NOW;
            for (name, family, later, by, taken, times) in steps {
                let outcome = if taken { Outcome::Accepted } else { Outcome::Rejected };
                let kind = if by == 2 { ReporterKind::Trap } else { ReporterKind::Mx };
                let mut batch = Batch::default();
                for n in 0..times {
                    let family = if n == 0 { name % 4 } else { family };
                    let number = name.saturating_add(n);
                    let seen = observation(number, family, now, outcome, by);
                    batch.observe(&seen, kind);
                }
                ledger.commit(&batch).expect("memory does not fail");
                now = Time(now.0 + later);
                let whole = ClientHistory::of(&ledger, client, &policy, now);
                let kept = clients.history(&ledger, client, now);
                prop_assert_eq!(&*kept, &whole);
                let alone = whole.pairs.iter().all(|pair| whole.pair(&pair.name) == Some(pair));
                prop_assert!(alone);
            }
        }
    }
}

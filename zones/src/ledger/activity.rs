//! What one reporter saw of one pair: the atom of the ledger.
//!
//! Two activities of the same pair and reporter merge into one, and merging is commutative and
//! associative: the ledger depends on what was observed, never on the order in which it arrived or
//! was batched. That is why days are a set, first and last are a minimum and a maximum, and counts
//! are sums (signed, since a session told again takes its first count back).

use crate::observation::{Observation, Outcome};
use crate::time::{Day, Time};

/// The number of a reporter inside one ledger.
pub type ReporterId = u16;

/// How many days back a set of days reaches.
pub const DAYS_KEPT: u32 = 64;

/// A set of days: the newest one and the 63 before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// The newest day in the set; meaningless while `bits` is zero.
    pub newest: Day,
    /// Bit i stands for the day i days before `newest`; bit 0 is set unless the set is empty.
    pub bits: u64,
}

impl Days {
    /// The set of one day.
    pub fn of(day: Day) -> Self {
        Self { newest: day, bits: 1 }
    }

    /// True if no day is in the set.
    pub fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// The union of two sets; days more than 63 before the newest one are dropped.
    pub fn merge(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let (new, old) = if self.newest >= other.newest { (self, other) } else { (other, self) };
        let shift = new.newest.since(old.newest);
        let aged = if shift < DAYS_KEPT { old.bits << shift } else { 0 };
        Self { newest: new.newest, bits: new.bits | aged }
    }

    /// How many days of the set lie in the `window` days that end with `today` (inclusive). Days
    /// after `today` count too: a reporter's clock may be a little ahead.
    pub fn within(self, today: Day, window: u32) -> u32 {
        (self.bits & self.mask(today, window)).count_ones()
    }

    fn mask(self, today: Day, window: u32) -> u64 {
        // Age of the newest day; bit i is `age + i` days old and counts while that is below `window`.
        let age = today.since(self.newest);
        match window.saturating_sub(age) {
            0 => 0,
            width if width >= DAYS_KEPT => u64::MAX,
            width => (1 << width) - 1,
        }
    }

    /// The days of the set, newest first.
    pub fn iter(self) -> impl Iterator<Item = Day> {
        (0..DAYS_KEPT as u16)
            .filter(move |i| self.bits >> i & 1 == 1)
            .map(move |i| Day(self.newest.0.saturating_sub(i)))
    }
}

/// What one reporter saw of one pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The earliest observation.
    pub first: Time,
    /// The latest observation.
    pub last: Time,
    /// The earliest observation with mail accepted.
    pub first_accepted: Option<Time>,
    /// Days with any observation that was not our own doing.
    pub days: Days,
    /// Days with mail accepted.
    pub accepted_days: Days,
    /// Observations by outcome, in the order of `Outcome::ALL`; our own refusals are not among them.
    pub counts: [i32; 7],
    /// Refusals that our own answer caused.
    pub by_us: u32,
}

impl Activity {
    /// The activity of one observation.
    pub fn of(observation: &Observation) -> Self {
        let day = Days::of(observation.time.day());
        let accepted = observation.outcome.is_accepted();
        let mut counts = [0; 7];
        let mut by_us = 0;
        if observation.by_us {
            by_us = 1;
        } else {
            counts[observation.outcome.index()] += 1;
        }
        if let Some(before) = observation.supersedes {
            counts[before.index()] -= 1;
        }
        Self {
            first: observation.time,
            last: observation.time,
            first_accepted: accepted.then_some(observation.time),
            days: if observation.by_us { Days::default() } else { day },
            accepted_days: if accepted { day } else { Days::default() },
            counts,
            by_us,
        }
    }

    /// Takes in what else is known of the same pair and reporter.
    pub fn merge(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.first_accepted = match (self.first_accepted, other.first_accepted) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.days = self.days.merge(other.days);
        self.accepted_days = self.accepted_days.merge(other.accepted_days);
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.by_us = self.by_us.saturating_add(other.by_us);
    }

    /// How often this outcome was seen.
    pub fn count(&self, outcome: Outcome) -> u32 {
        u32::try_from(self.counts[outcome.index()]).unwrap_or(0)
    }

    /// Messages taken, wholly or for some recipients.
    pub fn accepted(&self) -> u32 {
        self.count(Outcome::Accepted).saturating_add(self.count(Outcome::Partial))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn days() -> impl Strategy<Value = Days> {
        proptest::collection::vec(20_000u16..20_200, 0..12).prop_map(|days| {
            days.into_iter().fold(Days::default(), |set, day| set.merge(Days::of(Day(day))))
        })
    }

    #[test]
    fn windows_count_days() {
        let set = [Day(100), Day(103), Day(110)]
            .into_iter()
            .fold(Days::default(), |set, day| set.merge(Days::of(day)));
        for (today, window, count) in [
            (110, 1, 1),
            (110, 7, 1),
            (110, 8, 2),
            (110, 11, 3),
            (110, 64, 3),
            (111, 1, 0),
            (111, 2, 1),
            (150, 64, 3),
            (170, 64, 1),
            (174, 64, 0),
            (109, 1, 1),
        ] {
            assert_eq!(set.within(Day(today), window), count, "today {today}, window {window}");
        }
        assert_eq!(set.iter().map(|day| day.0).collect::<Vec<_>>(), [110, 103, 100]);
    }

    proptest! {
        #[test]
        fn sets_of_days_merge_in_any_order(a in days(), b in days(), c in days()) {
            prop_assert_eq!(a.merge(b), b.merge(a));
            prop_assert_eq!(a.merge(b).merge(c), a.merge(b.merge(c)));
            prop_assert_eq!(a.merge(a), a);
        }
    }
}

//! On which days anything was learned, and ages counted in such days.
//!
//! The age of a thing is the number of days on which something was learned after it was last seen. So
//! nothing is forgotten because a clock was wrong or nobody was watching: a clock that jumps a year
//! ahead adds one day, and a year without a daemon adds none.
//!
//! - In: days, one at a time ([`Calendar::insert`]), by union ([`Calendar::merge`]) or as stored runs.
//! - Out: how many days lie after one, and which day has so many days after or before it.
//! - Held: the runs of consecutive days, four octets each, ascending, with a gap between any two. Some
//!   hundred days of watching are a few runs; the worst case is every other day of the type's 179 years,
//!   128 KiB.
//!
//! Nothing fails but [`Calendar::from_runs`], which refuses what this module cannot have made.

use crate::time::Day;

/// A set of days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar(Vec<(Day, Day)>);

impl Calendar {
    /// Adds a day; true if it was not in the set.
    pub fn insert(&mut self, day: Day) -> bool {
        let new = !self.contains(day);
        if new {
            let at = self.0.partition_point(|(first, _)| *first < day);
            self.0.insert(at, (day, day));
            self.join();
        }
        new
    }

    /// Adds all days of another set.
    pub fn merge(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
        self.0.sort_unstable();
        self.join();
    }

    /// Makes one run of those that overlap or touch.
    fn join(&mut self) {
        self.0.dedup_by(|(first, last), (_, end)| {
            let together = first.0 <= end.0.saturating_add(1);
            if together {
                *end = (*end).max(*last);
            }
            together
        });
    }

    /// True if the day is in the set.
    pub fn contains(&self, day: Day) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < day);
        self.0.get(at).is_some_and(|(first, _)| *first <= day)
    }

    /// True if no day is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many days are in the set.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|(first, last)| last.since(*first) + 1).sum()
    }

    /// The oldest day of the set.
    pub fn first(&self) -> Option<Day> {
        self.0.first().map(|(first, _)| *first)
    }

    /// The newest day of the set.
    pub fn last(&self) -> Option<Day> {
        self.0.last().map(|(_, last)| *last)
    }

    /// How many days of the set lie strictly after `day`: the age, in days of learning, of what was last
    /// seen on it.
    pub fn after(&self, day: Day) -> u32 {
        let newer = self.0.iter().rev().take_while(|(_, last)| *last > day);
        newer.map(|(first, last)| last.since(day).min(last.since(*first) + 1)).sum()
    }

    /// The day of the set that has exactly `n` of its days after it; none if it has no more than `n`
    /// days. What was last seen before this day has an age above `n`.
    pub fn nth_newest(&self, mut n: u32) -> Option<Day> {
        for (first, last) in self.0.iter().rev() {
            let days = last.since(*first) + 1;
            if n < days {
                return Some(Day(last.0.saturating_sub(u16::try_from(n).ok()?)));
            }
            n -= days;
        }
        None
    }

    /// The day of the set that has exactly `n` of its days before it; none if it has no more than `n`
    /// days.
    pub fn nth_oldest(&self, mut n: u32) -> Option<Day> {
        for (first, last) in &self.0 {
            let days = last.since(*first) + 1;
            if n < days {
                return Some(Day(first.0.saturating_add(u16::try_from(n).ok()?)));
            }
            n -= days;
        }
        None
    }

    /// The days of the set, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Day> {
        self.0.iter().flat_map(|(first, last)| (first.0..=last.0).map(Day))
    }

    /// The runs of consecutive days, oldest first, for storing: the first and the last day of each. Not
    /// the length, since all 65,536 days are one more than a `u16` can say.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = (Day, Day)> {
        self.0.iter().copied()
    }

    /// What [`Self::runs`] gave; none if it cannot have given this.
    pub fn from_runs(runs: Vec<(Day, Day)>) -> Option<Self> {
        let apart = |a: &(Day, Day), b: &(Day, Day)| b.0.since(a.1) > 1;
        (runs.iter().all(|(first, last)| first <= last) && runs.is_sorted_by(apart))
            .then_some(Self(runs))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn calendar(days: impl IntoIterator<Item = u16>) -> Calendar {
        let mut calendar = Calendar::default();
        for day in days {
            calendar.insert(Day(day));
        }
        calendar
    }

    /// Days that make runs, and some at both ends of what a day can be.
    fn days() -> impl Strategy<Value = Vec<u16>> {
        let day = prop_oneof![
            8 => 20_000..20_060_u16,
            1 => 0..4_u16,
            1 => 65_532..=65_535_u16,
            1 => any::<u16>(),
        ];
        proptest::collection::vec(day, 0..120)
    }

    proptest! {
        #[test]
        fn answers_as_a_plain_set_would(days in days(), also in any::<u16>()) {
            let mut held = Calendar::default();
            let mut set = BTreeSet::new();
            for day in days {
                prop_assert_eq!(held.insert(Day(day)), set.insert(day), "day {}", day);
            }
            let plain: Vec<Day> = set.iter().copied().map(Day).collect();
            prop_assert_eq!(held.iter().collect::<Vec<_>>(), plain.clone());
            prop_assert_eq!(held.len() as usize, plain.len());
            prop_assert_eq!(held.is_empty(), plain.is_empty());
            prop_assert_eq!((held.first(), held.last()), (plain.first().copied(), plain.last().copied()));

            let near = set.iter().flat_map(|day| [day.saturating_sub(1), *day, day.saturating_add(1)]);
            for day in near.chain([0, also, u16::MAX]) {
                prop_assert_eq!(held.contains(Day(day)), set.contains(&day), "day {}", day);
                let after = set.iter().filter(|one| **one > day).count();
                prop_assert_eq!(held.after(Day(day)) as usize, after, "day {}", day);
            }
            for n in 0..plain.len() + 2 {
                let (oldest, newest) = (plain.get(n).copied(), plain.iter().rev().nth(n).copied());
                prop_assert_eq!(held.nth_oldest(n as u32), oldest, "{} days before", n);
                prop_assert_eq!(held.nth_newest(n as u32), newest, "{} days after", n);
                if let Some(newest) = newest {
                    prop_assert_eq!(held.after(newest) as usize, n);
                }
            }
        }

        #[test]
        fn merging_is_a_union(a in days(), b in days(), c in days()) {
            let merged = |a: &Calendar, b: &Calendar| {
                let mut both = a.clone();
                both.merge(b);
                both
            };
            let all = calendar(a.iter().chain(&b).chain(&c).copied());
            let [a, b, c] = [a, b, c].map(calendar);
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), all.clone());
            prop_assert_eq!(merged(&a, &merged(&b, &c)), all);
            prop_assert_eq!(merged(&a, &a), a.clone());
            prop_assert_eq!(merged(&a, &Calendar::default()), a);
        }

        #[test]
        fn what_is_stored_is_read(days in days()) {
            let held = calendar(days);
            prop_assert_eq!(Calendar::from_runs(held.runs().collect()), Some(held));
        }

        #[test]
        fn what_is_read_is_what_could_be_stored(
            ends in proptest::collection::vec(prop_oneof![0..40_u16, any::<u16>()], 0..12),
            sorted in any::<bool>(),
        ) {
            let mut ends = ends;
            if sorted {
                ends.sort_unstable();
            }
            let runs: Vec<(Day, Day)> =
                ends.chunks_exact(2).map(|run| (Day(run[0]), Day(run[1]))).collect();
            let inserted = calendar(runs.iter().flat_map(|(first, last)| first.0..=last.0));
            let canonical = inserted.runs().eq(runs.iter().copied());
            prop_assert_eq!(Calendar::from_runs(runs), canonical.then_some(inserted));
        }
    }

    #[test]
    fn refuses_runs_it_cannot_have_made() {
        for (what, runs, taken) in [
            ("nothing", vec![], true),
            ("a day", vec![(5, 5)], true),
            ("two runs", vec![(5, 6), (8, 9)], true),
            ("all days", vec![(0, 65_535)], true),
            ("backwards", vec![(6, 5)], false),
            ("touching", vec![(5, 6), (7, 9)], false),
            ("overlapping", vec![(5, 6), (6, 9)], false),
            ("descending", vec![(8, 9), (5, 6)], false),
            ("beyond the end", vec![(5, 65_535), (0, 1)], false),
            ("a run twice", vec![(5, 6), (5, 6)], false),
        ] {
            let runs = runs.into_iter().map(|(first, last)| (Day(first), Day(last))).collect();
            assert_eq!(Calendar::from_runs(runs).is_some(), taken, "{what}");
        }
    }

    #[test]
    fn ages_are_days_of_learning() {
        let seen = Day(20_100);
        let mut held = calendar(20_000..=20_110);
        assert_eq!(held.after(seen), 10);
        held.insert(Day(20_475));
        assert_eq!(held.after(seen), 11, "a clock that jumped a year ahead adds a day");
        for day in 20_500..20_520 {
            held.insert(Day(day));
        }
        assert_eq!(held.after(seen), 31, "days on which nothing was learned make nothing older");
        assert_eq!(held.nth_newest(31), Some(seen), "so it is kept for 31 days of learning");
        assert_eq!(held.nth_newest(30), Some(Day(20_101)), "and forgotten after 30");
        assert_eq!(held.nth_oldest(14), Some(Day(20_014)), "a warm-up of 14 days ended");
        assert_eq!(held.runs().len(), 3);
    }

    #[test]
    fn holds_every_day_there_is() {
        let mut all = Calendar::from_runs(vec![(Day(0), Day(65_534))]).expect("one run");
        assert!(all.insert(Day(65_535)));
        assert_eq!(all.runs().collect::<Vec<_>>(), [(Day(0), Day(65_535))]);
        assert_eq!((all.len(), all.iter().count()), (65_536, 65_536));
        assert_eq!((all.after(Day(0)), all.after(Day(65_535))), (65_535, 0));
        assert_eq!((all.nth_newest(65_535), all.nth_newest(65_536)), (Some(Day(0)), None));
        assert_eq!((all.nth_oldest(65_535), all.nth_oldest(65_536)), (Some(Day(65_535)), None));
    }
}

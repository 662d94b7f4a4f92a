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

//! How many distinct things were seen within the last days: exactly while they are few, by estimate
//! beyond, in bounded memory.
//!
//! - In: a thing as a 64-bit hash, of which the upper 48 bits are used, and the day on which it was
//!   seen. A thing seen on several days is held once, with the newest of them. The hash must be uniform,
//!   and keyed if strangers choose the things: the estimate and the typical size rest on it.
//! - Held: one `u64` for each element, `hash << 16 | day`, ascending. An element stays unless at least
//!   [`K`] others have both a smaller hash and a day that is not older; elements more than 63 days older
//!   than the newest go. So for every window of days its K smallest hashes are held.
//! - Out: the exact number if fewer than K elements lie in the window, else an estimate from its K-th
//!   smallest hash, with a standard error of 1/sqrt(K - 2): nine in a hundred.
//! - What is held depends on what was inserted alone, never on order, grouping or repetition: whoever
//!   is outdone stays outdone, since others only gain elements and newer days, and those that outdo an
//!   element are found among the held ones already.
//! - Size: at most 64 x K elements (64 KiB), when every older day has the smaller hashes. With a uniform
//!   hash, n things last seen on one day take K elements, and spread over 64 days about
//!   K x (1 + ln(n / K)), up to 4.7 x K (5 KiB).
//! - One day far in the future ages everything else away; whoever calls must not let such days in.
//!
//! It does not hash and it does not know today. Nothing fails but [`Distinct::from_elements`], which
//! refuses what this module cannot have made.
//!
//! The estimate is the bottom-k sketch's (Bar-Yossef et al. 2002; Beyer et al. 2007); keeping it for
//! every window at once is the k-skyband of (hash, day).

use std::fmt;

use super::activity::DAYS_KEPT;
use crate::time::Day;

/// Counts below this are exact, and estimates rest on this many smallest hashes.
pub const K: usize = 128;

/// Ages in days that an element may have, the newest one's being zero.
const AGES: usize = DAYS_KEPT as usize;

/// The hash is above these bits of an element, the day in them.
const DAY_BITS: u32 = 16;

/// Hashes are below `1 << HASH_BITS`.
const HASH_BITS: u32 = u64::BITS - DAY_BITS;

/// A number of distinct things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// How many.
    pub n: u64,
    /// False if `n` is an estimate.
    pub exact: bool,
}

/// `128`, or `about 9,800`: an estimate has two digits worth reading.
impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exact {
            return write!(f, "{}", Grouped(self.n));
        }
        let unit = 10_u64.pow(self.n.checked_ilog10().unwrap_or(0).saturating_sub(1));
        write!(f, "about {}", Grouped(self.n.saturating_add(unit / 2) / unit * unit))
    }
}

/// A number with a comma before each three digits.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return write!(f, "{}", self.0);
        }
        write!(f, "{},{:03}", Self(self.0 / 1000), self.0 % 1000)
    }
}

/// The distinct things seen on the newest 64 days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distinct(Vec<u64>);

impl Distinct {
    /// Takes in that a thing was seen on a day.
    pub fn insert(&mut self, hash: u64, day: Day) {
        let element = hash48(hash) << DAY_BITS | u64::from(day.0);
        let at = self.0.partition_point(|held| hash48(*held) < hash48(hash));
        // What almost every insertion into a full sketch meets, so it comes first and is one plain pass.
        if self.0.iter().take(at).filter(|held| day_of(**held) >= day).count() >= K {
            return;
        }
        match self.0.get_mut(at).filter(|held| hash48(**held) == hash48(hash)) {
            Some(held) if *held >= element => return,
            Some(held) => *held = element,
            None => self.0.insert(at, element),
        }
        self.minimise();
    }

    /// Takes in all that another sketch has seen.
    pub fn merge(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
        // The stable sort sees that these are two ascending runs, and is twice as fast.
        self.0.sort();
        // Of two days of one thing the newer one sorts last.
        self.0.dedup_by(|next, held| {
            let same = hash48(*next) == hash48(*held);
            if same {
                *held = *next;
            }
            same
        });
        self.minimise();
    }

    /// Lets go of the elements that are outdone or too old.
    fn minimise(&mut self) {
        let newest = self.newest().unwrap_or_default();
        // In the order of hashes. Once K elements are younger than some age, all others of that age or
        // above are outdone: so the limit only falls, and `younger` counts those met below it.
        let mut limit = AGES;
        let mut younger = 0;
        let mut of_age = [0; AGES];
        self.0.retain(|element| {
            let age = newest.since(day_of(*element)) as usize;
            if age >= limit {
                return false;
            }
            of_age[age] += 1;
            younger += 1;
            while younger >= K {
                limit -= 1;
                younger -= of_age[limit];
            }
            true
        });
    }

    /// How many things were seen in the `window` days that end with `today`, or after it: a reporter's
    /// clock may be a little ahead. Beyond 64 days before the newest element nothing is known.
    pub fn count(&self, today: Day, window: u32) -> Count {
        Self::count_union(&[], self, today, window)
    }

    /// How many things there are that either are held exactly elsewhere, by their 48-bit hashes (see
    /// [`hash48`]) in ascending order and each once, or were sketched here within the window. A thing
    /// may be both.
    pub fn count_union(elsewhere: &[u64], sketch: &Self, today: Day, window: u32) -> Count {
        let only_here = |hash: &u64| elsewhere.binary_search(hash).is_err();
        let here: Vec<u64> = sketch.hashes_within(today, window).collect();
        let known = elsewhere.len() + here.iter().copied().filter(only_here).count();
        let Some(bound) = here.get(K - 1) else {
            return Count { n: known as u64, exact: true };
        };
        // Below the bound all things of both kinds are known. Their number over the bound is a fair
        // estimate even if that same hash decided which things are held elsewhere.
        let below = elsewhere.partition_point(|hash| hash < bound)
            + here.iter().take(K - 1).copied().filter(only_here).count();
        let estimate = ((below as u128) << HASH_BITS) / (u128::from(*bound) + 1);
        Count { n: u64::try_from(estimate).unwrap_or(u64::MAX).max(known as u64), exact: false }
    }

    /// The 48-bit hashes held of the things seen in the window (see [`Self::count`]), ascending: all of
    /// them if they are fewer than [`K`]; else the K smallest, and some of the others.
    pub fn hashes_within(&self, today: Day, window: u32) -> impl Iterator<Item = u64> {
        let within = move |element: &&u64| today.since(day_of(**element)) < window;
        self.0.iter().filter(within).map(|element| hash48(*element))
    }

    /// The newest day on which anything was seen.
    pub fn newest(&self) -> Option<Day> {
        self.0.iter().map(|element| day_of(*element)).max()
    }

    /// True if nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many elements are held; not how many things were seen.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Octets of memory, with what the allocator holds in reserve.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.capacity() * size_of::<u64>()
    }

    /// What is held, for storing: `hash << 16 | day`, ascending.
    pub fn elements(&self) -> &[u64] {
        &self.0
    }

    /// What [`Self::elements`] gave; none if it cannot have given this.
    pub fn from_elements(elements: Vec<u64>) -> Option<Self> {
        if !elements.is_sorted_by(|a, b| hash48(*a) < hash48(*b)) {
            return None;
        }
        let given = elements.len();
        let mut read = Self(elements);
        read.minimise();
        (read.len() == given).then_some(read)
    }
}

/// The part of a hash that is used, or the hash of an element: the upper 48 bits.
pub fn hash48(hash: u64) -> u64 {
    hash >> DAY_BITS
}

/// The day of an element.
fn day_of(element: u64) -> Day {
    Day(element as u16)
}

#[cfg(test)]
mod tests;

//! Who stands out: the clients, names and networks of which the ledger holds most.
//!
//! In goes how many of each are wanted, out come lists, the greatest first; equals in the order of their
//! clients, networks or texts. One walk over the tables that holds no lock for longer than a row takes, and one
//! over the index of names; it needs memory for what it tells, no more. Of a ledger that is learning it shows
//! each row at another moment.

use std::collections::BTreeSet;

use super::Ledger;
use super::distinct::Count;
use crate::client::{Client, Network};
use crate::observation::Outcome;
use crate::time::{Day, Time};

/// Who stands out, and how old what is held is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// Clients that said most names, with how many are held of them.
    pub by_pairs: Vec<(Client, u64)>,
    /// Clients of which most was observed: messages and sessions.
    pub by_observations: Vec<(Client, u64)>,
    /// Names that most clients said, with how many.
    pub names: Vec<(Box<str>, Count)>,
    /// Networks with most clients.
    pub networks: Vec<(Network, u64)>,
    /// When the oldest pair that is held was first seen.
    pub oldest: Option<Time>,
    /// When the newest was last seen.
    pub newest: Option<Time>,
}

impl Ledger {
    /// Who stands out, `n` of each at most.
    pub fn top(&self, n: usize) -> Top {
        let mut by_pairs = Greatest::new(n);
        let mut by_observations = Greatest::new(n);
        let mut networks = Greatest::new(n);
        let mut network: Option<(Network, u64)> = None;
        let mut top = Top::default();
        self.tables.each_row(&mut |row| {
            let client = row.client();
            let mut observations = 0;
            for pair in row.pairs() {
                for (_, seen) in pair.seen() {
                    let counts = Outcome::ALL.iter().map(|outcome| u64::from(seen.count(*outcome)));
                    observations += counts.sum::<u64>();
                    let oldest = top.oldest.get_or_insert(seen.first);
                    *oldest = seen.first.min(*oldest);
                    top.newest = top.newest.max(Some(seen.last));
                }
            }
            by_pairs.offer(row.pair_count() as u64, client);
            by_observations.offer(observations, client);
            // Clients of a network come one after the other.
            match &mut network {
                Some((last, clients)) if *last == client.network() => *clients += 1,
                other => {
                    if let Some((last, clients)) = other.replace((client.network(), 1)) {
                        networks.offer(clients, last);
                    }
                }
            }
        });
        if let Some((last, clients)) = network {
            networks.offer(clients, last);
        }
        top.by_pairs = by_pairs.list();
        top.by_observations = by_observations.list();
        top.networks = networks.list();
        let today = self.newest().map(Time::day).unwrap_or_default();
        top.names = self.top_names(n, today);
        top
    }

    fn top_names(&self, n: usize, today: Day) -> Vec<(Box<str>, Count)> {
        let mut names: Vec<_> = self.tables.most_said(n, today);
        names.sort_unstable_by(|(a, many), (b, more)| more.n.cmp(&many.n).then_with(|| a.cmp(b)));
        names.truncate(n);
        names
    }
}

/// The greatest of many.
pub(super) struct Greatest<T> {
    n: usize,
    /// The least of them first.
    held: BTreeSet<(u64, std::cmp::Reverse<T>)>,
}

impl<T: Ord> Greatest<T> {
    pub(super) fn new(n: usize) -> Self {
        Self { n, held: BTreeSet::new() }
    }

    pub(super) fn offer(&mut self, much: u64, it: T) {
        let least = self.held.first().map_or(0, |(least, _)| *least);
        if self.held.len() >= self.n && much < least {
            return;
        }
        self.held.insert((much, std::cmp::Reverse(it)));
        if self.held.len() > self.n {
            self.held.pop_first();
        }
    }

    pub(super) fn list(self) -> Vec<(T, u64)> {
        self.held.into_iter().rev().map(|(much, std::cmp::Reverse(it))| (it, much)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_are_held_and_equals_in_order() {
        let mut greatest = Greatest::new(3);
        for (much, it) in [(1, "a"), (7, "d"), (7, "b"), (2, "x"), (7, "c"), (9, "z"), (0, "y")] {
            greatest.offer(much, it);
        }
        assert_eq!(greatest.list(), [("z", 9), ("b", 7), ("c", 7)]);
        let mut none = Greatest::new(0);
        none.offer(5, "a");
        assert_eq!(none.list(), []);
    }
}

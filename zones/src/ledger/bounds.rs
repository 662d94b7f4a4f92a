//! How much the ledger may hold, and what stays when there is not room for all.
//!
//! What stays is decided by what a pair is, never by when it arrived: first by whether mail of it was accepted
//! on five days, on three, on any; then by the day it was last seen, then by a hash under a key.
//! Established pairs stay therefore, whatever a crowd says; among pairs of a day chance decides, by a key
//! that outsiders do not have, and anew for every day, so that an honest newcomer in a crowd gets in sooner
//! or later.

use crate::client::Client;
use crate::ledger::activity::Activity;
use crate::ledger::hash::hash_text;
use crate::name::NameRef;
use crate::observation::{Outcome, ReporterKind};
use crate::time::Day;

/// The most a ledger may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Octets that all tables and indexes may take.
    pub memory: u64,
    /// Pairs not seen on this many days of learning are forgotten.
    pub keep_days: u32,
    /// Pairs held of one client; of the others it is only known how many names and families they were.
    pub pairs_per_client: usize,
    /// Clients held of one name or family for finding them; of the others only how many.
    pub clients_per_name: usize,
    /// The key of the hash that decides among equals.
    pub key: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            memory: 2_000_000_000,
            keep_days: 400,
            pairs_per_client: 1000,
            clients_per_name: 256,
            key: 0,
        }
    }
}

/// What a pair is worth: the greater stays.
///
/// The two highest bits are its rank; then 16 bits are the day it was last seen; the rest is chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worth(pub u64);

/// Days with accepted mail at which a pair is of the next rank: those of the policy's defaults. There
/// are few ranks on purpose, so that what stays depends little on what was let go before.
const RANKS: [u32; 3] = [1, 3, 5];
const CHANCE_BITS: u32 = 46;

impl Worth {
    /// What a pair is worth of which these days and these counts are known.
    fn new(accepted_days: u32, last: Day, chance: u64) -> Self {
        let rank = RANKS.iter().filter(|days| accepted_days >= **days).count() as u64;
        let chance = chance >> (64 - CHANCE_BITS);
        Self(rank << 62 | u64::from(last.0) << CHANCE_BITS | chance)
    }

    /// The most that a pair can be worth that was last seen on this day.
    pub(super) fn most(last: Day) -> Self {
        Self::new(u32::MAX, last, u64::MAX)
    }

    /// The day it was last seen.
    pub fn last(self) -> Day {
        Day((self.0 >> CHANCE_BITS) as u16)
    }
}

/// Gathers what a pair is worth from what each reporter saw.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Worthiness {
    days: super::activity::Days,
    last: Day,
    accepted: u64,
    rejected: u64,
}

impl Worthiness {
    /// Takes in what a reporter of this kind saw.
    pub(super) fn add(&mut self, kind: ReporterKind, seen: &Activity) {
        self.last = self.last.max(seen.last.day());
        if kind.builds_standing() {
            self.days = self.days.merge(seen.accepted_days);
            self.accepted += u64::from(seen.accepted());
            self.rejected += u64::from(seen.count(Outcome::Rejected));
        }
    }

    /// The result for a pair.
    pub(super) fn worth(&self, client: Client, name: NameRef<'_>, key: u64) -> Worth {
        // As in the standing of a pair: who is refused more often than not has none.
        let days = if self.rejected > self.accepted { 0 } else { self.days.bits.count_ones() };
        let client = match client {
            Client::V4(ip) => u64::from(ip),
            Client::V6(top) => top ^ 0x9e37_79b9_7f4a_7c15,
        };
        let seed = key ^ client.rotate_left(17) ^ u64::from(self.last.0) << 48;
        Worth::new(days, self.last, hash_text(seed, name.text()))
    }
}

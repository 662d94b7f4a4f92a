//! Two policies over the same mail: which messages and pairs they put into different classes.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use helostat_zones::time::Time;
use helostat_zones::verdict::Class;

use super::standing::Standings;
use helostat_zones::replay::Judged;

/// A pair that was judged differently at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Messages that were.
    pub messages: u32,
    /// The first of them.
    pub time: Time,
    /// The class of that one by the first policy, and by the second.
    pub classes: [Class; 2],
    /// The first reason of each then.
    pub reasons: [&'static str; 2],
}

/// Where the first policy and the second differ.
#[derive(Debug, Default)]
pub struct Moves {
    /// Messages by the class of the first policy (row) and of the second (column).
    pub messages: [[u64; 5]; 5],
    pairs: HashMap<u32, Moved, RandomState>,
}

impl Moves {
    /// Counts a message.
    pub fn add(&mut self, pair: u32, time: Time, one: &Judged, other: &Judged) {
        self.messages[one.class as usize][other.class as usize] += 1;
        if one.class == other.class {
            return;
        }
        let reasons = [super::account::first_reason(one), super::account::first_reason(other)];
        let new = Moved { messages: 0, time, classes: [one.class, other.class], reasons };
        self.pairs.entry(pair).or_insert(new).messages += 1;
    }

    /// Pairs by the class of their last message.
    pub fn pairs_by_class(one: &Standings, other: &Standings, pairs: usize) -> [[usize; 5]; 5] {
        let mut table = [[0; 5]; 5];
        for pair in 0..pairs {
            if let (Some(one), Some(other)) = (one.last_class(pair), other.last_class(pair)) {
                table[one as usize][other as usize] += 1;
            }
        }
        table
    }

    /// The pairs that were judged differently, those with most such messages first.
    pub fn pairs(&self) -> Vec<(u32, Moved)> {
        let mut all: Vec<_> = self.pairs.iter().map(|(pair, moved)| (*pair, *moved)).collect();
        all.sort_by_key(|(pair, moved)| (std::cmp::Reverse(moved.messages), *pair));
        all
    }
}

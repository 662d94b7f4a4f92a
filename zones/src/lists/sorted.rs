//! Keys in sorted order with the numbers of their values: for entries that are few or wide.

use super::values::{EXCLUDED, Hit, Numbers, Twice};

/// The table. Keys with several values stand several times, the values ascending.
pub(super) struct Sorted<K> {
    keys: Box<[K]>,
    numbers: Numbers,
}

impl<K: Copy + Ord> Sorted<K> {
    /// Makes the table; gives also how many entries were passed over because an earlier one holds.
    pub(super) fn new(mut entries: Vec<(K, u32)>, twice: Twice) -> (Self, u64) {
        let before = entries.len();
        match twice {
            Twice::All => {
                entries.sort_unstable();
                entries.dedup_by(|next, kept| {
                    next.0 == kept.0 && (next.1 == kept.1 || kept.1 == EXCLUDED)
                });
            }
            Twice::First => {
                entries.sort_by_key(|&(key, _)| key);
                entries.dedup_by_key(|&mut (key, _)| key);
            }
        }
        let passed_over = match twice {
            Twice::All => 0,
            Twice::First => (before - entries.len()) as u64,
        };
        let keys = entries.iter().map(|&(key, _)| key).collect();
        let numbers: Vec<u32> = entries.into_iter().map(|(_, number)| number).collect();
        (Self { keys, numbers: Numbers::pack(&numbers) }, passed_over)
    }

    /// What is said of a key.
    pub(super) fn find(&self, key: K) -> Option<Hit<'_>> {
        let place = self.keys.partition_point(|&other| other < key);
        let same = self.keys.get(place..)?.iter().take_while(|&&other| other == key).count();
        (same > 0).then(|| Hit::new(&self.numbers, place..place + same))
    }

    /// How many keys and values.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// How many octets they take.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.keys) + self.numbers.memory()
    }
}

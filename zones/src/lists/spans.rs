//! Prefixes of any width, the narrowest of which holds: flattened to the places at which the value changes.

use super::values::{EXCLUDED, Numbers};

/// An address as a number.
pub(super) trait Address: Copy + Ord {
    /// The next one.
    fn next(self) -> Option<Self>;
}

impl Address for u32 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Address for u128 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

/// A prefix and the number of its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix<A> {
    pub(super) first: A,
    pub(super) last: A,
    pub(super) bits: u8,
    pub(super) number: u32,
}

/// The table.
pub(super) struct Spans<A> {
    /// Where a value begins to hold, ascending.
    starts: Box<[A]>,
    /// Which; [`EXCLUDED`] for none.
    numbers: Numbers,
}

impl<A: Address> Spans<A> {
    /// Makes the table. Of equal prefixes the first holds; gives also how many were passed over.
    pub(super) fn new(mut prefixes: Vec<Prefix<A>>) -> (Self, u64) {
        let before = prefixes.len();
        prefixes.sort_by_key(|prefix| (prefix.first, prefix.bits));
        prefixes.dedup_by_key(|prefix| (prefix.first, prefix.bits));
        let passed_over = (before - prefixes.len()) as u64;
        let mut changes = Changes { starts: Vec::new(), numbers: Vec::new() };
        // What the place at hand lies in, the widest first: its last address, and its value.
        let mut around: Vec<(A, u32)> = Vec::new();
        for prefix in prefixes {
            close(&mut around, &mut changes, |last| last < prefix.first);
            around.push((prefix.last, prefix.number));
            changes.add(prefix.first, prefix.number);
        }
        close(&mut around, &mut changes, |_| true);
        let numbers = Numbers::pack(&changes.numbers);
        (Self { starts: changes.starts.into(), numbers }, passed_over)
    }

    /// The value that holds at an address, if it is listed.
    pub(super) fn find(&self, address: A) -> Option<u32> {
        let behind = self.starts.partition_point(|&start| start <= address);
        let number = self.numbers.get(behind.checked_sub(1)?);
        (number != EXCLUDED).then_some(number)
    }

    /// How many octets they take.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.starts) + self.numbers.memory()
    }
}

/// Ends the innermost prefixes as long as they are `over`: behind them holds what is around them.
fn close<A: Address>(
    around: &mut Vec<(A, u32)>,
    changes: &mut Changes<A>,
    over: impl Fn(A) -> bool,
) {
    while let Some((last, _)) = around.pop_if(|&mut (last, _)| over(last)) {
        let number = around.last().map_or(EXCLUDED, |&(_, number)| number);
        if let Some(next) = last.next() {
            changes.add(next, number);
        }
    }
}

struct Changes<A> {
    starts: Vec<A>,
    numbers: Vec<u32>,
}

impl<A: Address> Changes<A> {
    fn add(&mut self, start: A, number: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.numbers.pop();
        }
        if self.numbers.last().copied().unwrap_or(EXCLUDED) != number {
            self.starts.push(start);
            self.numbers.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::address::mask4;
    use super::*;

    fn prefixes() -> impl Strategy<Value = Vec<Prefix<u32>>> {
        let address =
            prop_oneof![0..64_u32, (0..64_u32).prop_map(|low| u32::MAX - low), any::<u32>()];
        let bits = prop_oneof![0..33_u8, 24..33_u8];
        let prefix = (address, bits, 0..4_u32).prop_map(|(address, bits, number)| {
            let mask = mask4(bits.into());
            Prefix { first: address & mask, last: address | !mask, bits, number }
        });
        proptest::collection::vec(prefix, 0..40)
    }

    proptest! {
        #[test]
        fn the_narrowest_holds(prefixes in prefixes(), others in proptest::collection::vec(any::<u32>(), 8)) {
            let (table, _) = Spans::new(prefixes.clone());
            let edges = prefixes.iter().flat_map(|prefix| {
                [prefix.first, prefix.last, prefix.first.wrapping_sub(1), prefix.last.wrapping_add(1)]
            });
            for address in edges.chain(others) {
                let around = prefixes.iter().filter(|prefix| (prefix.first..=prefix.last).contains(&address));
                // Of the equally narrow the first: `max_by_key` would take the last.
                let narrowest = around.rev().max_by_key(|prefix| prefix.bits);
                let number = narrowest.map(|prefix| prefix.number).filter(|&number| number != EXCLUDED);
                prop_assert_eq!(table.find(address), number, "{:x}", address);
            }
        }
    }
}

//! Single IPv4 addresses with the numbers of their values.
//!
//! For every first octet that is met an [`Octet`]: an index over the second octet, and the last two octets of the
//! addresses in sorted order. Addresses with several values stand several times, the values ascending.
//!
//! While they are read, addresses lie in 256 drawers, one a first octet, as three octets of address and one of the
//! value's number (eight octets once a number in the drawer needs more than one). The table is then made drawer by
//! drawer, each given back before the next is touched; whether its memory serves for the table is up to the allocator.

use super::values::{EXCLUDED, Hit, Numbers, Twice};

/// Entries of a piece, 4 KiB of them. Larger ones leave more room empty at the end of each drawer: huge pages make
/// memory real that nobody has written to (measured with 160 KiB: 13.7 octets an entry at the most instead of 8).
const PIECE: usize = 1024;

/// The table.
pub(super) struct Singles {
    /// By first octet; empty if there are no addresses.
    octets: Vec<Option<Box<Octet>>>,
    count: usize,
}

/// The addresses with one first octet.
struct Octet {
    /// Where the addresses with a second octet begin; the next one is where they end.
    starts: [u32; 257],
    tails: Box<[u16]>,
    numbers: Numbers,
}

impl Singles {
    /// What is said of an address.
    #[inline]
    pub(super) fn find(&self, address: u32) -> Option<Hit<'_>> {
        let [first, second, ..] = address.to_be_bytes();
        let octet = self.octets.get(usize::from(first))?.as_ref()?;
        let start = octet.starts[usize::from(second)] as usize;
        let end = octet.starts[usize::from(second) + 1] as usize;
        let tails = octet.tails.get(start..end)?;
        let tail = address as u16;
        let place = tails.partition_point(|&other| other < tail);
        let same = tails.get(place..)?.iter().take_while(|&&other| other == tail).count();
        (same > 0).then(|| Hit::new(&octet.numbers, start + place..start + place + same))
    }

    /// How many addresses and values.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// How many octets they take.
    pub(super) fn memory(&self) -> usize {
        let octets = self.octets.iter().flatten();
        octets
            .map(|octet| size_of::<Octet>() + 2 * octet.tails.len() + octet.numbers.memory())
            .sum()
    }
}

/// An entry of a drawer: three octets of address above the number of a value. Its order is that of the table.
trait Entry: Copy + Ord + Default {
    fn new(address: u32, number: u32) -> Self;
    fn second(self) -> u8;
    fn tail(self) -> u16;
    fn number(self) -> u32;
}

impl Entry for u32 {
    fn new(address: u32, number: u32) -> Self {
        address << 8 | number
    }

    fn second(self) -> u8 {
        (self >> 24) as u8
    }

    fn tail(self) -> u16 {
        (self >> 8) as u16
    }

    fn number(self) -> u32 {
        self & 0xff
    }
}

impl Entry for u64 {
    fn new(address: u32, number: u32) -> Self {
        Self::from(address) << 40 | Self::from(number)
    }

    fn second(self) -> u8 {
        (self >> 56) as u8
    }

    fn tail(self) -> u16 {
        (self >> 40) as u16
    }

    fn number(self) -> u32 {
        self as u32
    }
}

/// Entries in pieces, so that more room never means copying all.
#[derive(Default)]
struct Pieces<E> {
    full: Vec<Vec<E>>,
    open: Vec<E>,
}

impl<E: Entry> Pieces<E> {
    #[inline]
    fn push(&mut self, entry: E) {
        if self.open.len() == PIECE {
            let next = Vec::with_capacity(PIECE);
            self.full.push(std::mem::replace(&mut self.open, next));
        }
        self.open.push(entry);
    }

    fn into_pieces(self) -> impl Iterator<Item = Vec<E>> {
        self.full.into_iter().chain([self.open])
    }

    fn iter(&self) -> impl Iterator<Item = E> {
        self.full.iter().chain([&self.open]).flatten().copied()
    }

    fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.is_empty()
    }
}

enum Drawer {
    Narrow(Pieces<u32>),
    Wide(Pieces<u64>),
}

impl Default for Drawer {
    fn default() -> Self {
        Self::Narrow(Pieces::default())
    }
}

impl Drawer {
    #[inline]
    fn push(&mut self, address: u32, number: u32) {
        if let (Self::Narrow(narrow), 256..) = (&*self, number) {
            let mut wide = Pieces::default();
            let first = address & 0xff00_0000;
            for entry in narrow.iter() {
                wide.push(Entry::new(first | entry >> 8, entry.number()));
            }
            *self = Self::Wide(wide);
        }
        match self {
            Self::Narrow(pieces) => pieces.push(Entry::new(address, number)),
            Self::Wide(pieces) => pieces.push(Entry::new(address, number)),
        }
    }
}

/// Addresses before they are sorted.
pub(super) struct SinglesBuilder {
    drawers: Vec<Drawer>,
}

impl SinglesBuilder {
    pub(super) fn new() -> Self {
        Self { drawers: (0..256).map(|_| Drawer::default()).collect() }
    }

    /// Adds an address.
    #[inline]
    pub(super) fn add(&mut self, address: u32, number: u32) {
        if let Some(drawer) = self.drawers.get_mut((address >> 24) as usize) {
            drawer.push(address, number);
        }
    }

    /// Makes the table; gives also how many entries were passed over because an earlier one holds.
    pub(super) fn finish(self, twice: Twice) -> (Singles, u64) {
        let (mut count, mut passed_over) = (0, 0);
        let (mut narrow, mut wide) = (Scratch::default(), Scratch::default());
        let mut octets: Vec<_> = Vec::new();
        for drawer in self.drawers {
            let octet = match drawer {
                Drawer::Narrow(pieces) => narrow.settle(pieces, twice, &mut passed_over),
                Drawer::Wide(pieces) => wide.settle(pieces, twice, &mut passed_over),
            };
            count += octet.as_ref().map_or(0, |octet| octet.tails.len());
            octets.push(octet);
        }
        if count == 0 {
            octets = Vec::new();
        }
        (Singles { octets, count }, passed_over)
    }
}

/// Room for the entries of one drawer, used again for the next.
#[derive(Default)]
struct Scratch<E> {
    entries: Vec<E>,
    tails: Vec<u16>,
    numbers: Vec<u32>,
}

impl<E: Entry> Scratch<E> {
    fn settle(
        &mut self,
        pieces: Pieces<E>,
        twice: Twice,
        passed_over: &mut u64,
    ) -> Option<Box<Octet>> {
        if pieces.is_empty() {
            return None;
        }
        let ends = self.scatter(pieces);
        self.tails.clear();
        self.numbers.clear();
        let mut starts = [0; 257];
        let mut begin = 0;
        for (&end, start) in ends.iter().zip(&mut starts[1..]) {
            let group = self.entries.get_mut(begin..end).unwrap_or_default();
            begin = end;
            match twice {
                Twice::All => group.sort_unstable(),
                // Stable: the first of each address stays in front.
                Twice::First => group.sort_by_key(|entry| entry.tail()),
            }
            let mut before: Option<E> = None;
            for &entry in &*group {
                let is_passed_over = before.is_some_and(|before| {
                    before.tail() == entry.tail()
                        && match twice {
                            Twice::All => before == entry || before.number() == EXCLUDED,
                            Twice::First => {
                                *passed_over += 1;
                                true
                            }
                        }
                });
                if !is_passed_over {
                    self.tails.push(entry.tail());
                    self.numbers.push(entry.number());
                    before = Some(entry);
                }
            }
            *start = self.tails.len() as u32;
        }
        let tails = self.tails.as_slice().into();
        Some(Box::new(Octet { starts, tails, numbers: Numbers::pack(&self.numbers) }))
    }

    /// Puts the entries in the order of their second octets, and gives each piece back; gives where each
    /// second octet ends.
    fn scatter(&mut self, pieces: Pieces<E>) -> [usize; 256] {
        let mut counts = [0; 256];
        for entry in pieces.iter() {
            counts[usize::from(entry.second())] += 1;
        }
        let mut next = [0; 256];
        let mut sum = 0;
        for (next, count) in next.iter_mut().zip(counts) {
            *next = sum;
            sum += count;
        }
        self.entries.clear();
        self.entries.resize(sum, E::default());
        for piece in pieces.into_pieces() {
            for entry in piece {
                let place = &mut next[usize::from(entry.second())];
                if let Some(slot) = self.entries.get_mut(*place) {
                    *slot = entry;
                }
                *place += 1;
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Few first octets, few tails: many meet.
    fn addresses() -> impl Strategy<Value = Vec<(u32, u32)>> {
        let octet = prop_oneof![0..4_u32, 253..256_u32];
        let number = prop_oneof![0..3_u32, 250..300_u32];
        let address = (octet, 0..3_u32, 0..2_u32, 0..4_u32)
            .prop_map(|(a, b, c, d)| a << 24 | b << 16 | c << 8 | d);
        proptest::collection::vec((address, number), 0..200)
    }

    #[test]
    fn drawers_have_many_pieces_and_grow_wide() {
        let mut builder = SinglesBuilder::new();
        let address = |n: u32| 10 << 24 | n.wrapping_mul(0x9E37_79B1) >> 8;
        // The numbers outgrow an octet in the third piece.
        let number = |n: u32| if n < 2 * PIECE as u32 + 7 { n % 256 } else { n };
        for n in 0..5 * PIECE as u32 {
            builder.add(address(n), number(n));
        }
        let (table, passed_over) = builder.finish(Twice::First);
        assert_eq!((table.len(), passed_over), (5 * PIECE, 0));
        for n in 0..5 * PIECE as u32 {
            let found: Vec<u32> = table.find(address(n)).into_iter().flatten().collect();
            assert_eq!(found, [number(n)], "{n}");
        }
    }

    proptest! {
        #[test]
        fn the_table_holds_what_was_added(entries in addresses(), first in any::<bool>()) {
            let twice = if first { Twice::First } else { Twice::All };
            let mut builder = SinglesBuilder::new();
            let mut model: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for &(address, number) in &entries {
                builder.add(address, number);
                model.entry(address).or_default().push(number);
            }
            let (table, passed_over) = builder.finish(twice);
            let mut expected_passed_over = 0;
            for numbers in model.values_mut() {
                match twice {
                    Twice::First => {
                        expected_passed_over += numbers.len() as u64 - 1;
                        numbers.truncate(1);
                    }
                    Twice::All => {
                        numbers.sort_unstable();
                        numbers.dedup();
                        if numbers.first() == Some(&EXCLUDED) {
                            numbers.truncate(1);
                        }
                    }
                }
            }
            prop_assert_eq!(passed_over, expected_passed_over);
            prop_assert_eq!(table.len(), model.values().map(Vec::len).sum::<usize>());
            for first in [0_u32, 1, 2, 3, 4, 127, 252, 253, 254, 255] {
                for rest in 0..0x30_u32 {
                    let address = first << 24 | (rest >> 4) << 16 | (rest & 8) << 5 | rest & 7;
                    let found = table.find(address).map(|hit| hit.collect::<Vec<_>>());
                    prop_assert_eq!(found.as_ref(), model.get(&address), "{:x}", address);
                }
            }
        }
    }
}

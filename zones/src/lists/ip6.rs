//! `ip6tset` and `ip6trie`: IPv6.

use super::address::{cidr6, mask6, prefix6};
use super::complaint::{Fault, Notes};
use super::dataset::Table;
use super::ip4set::{host_bits, listed_twice};
use super::line::Cursor;
use super::loader::{Build, HostBits, Reading};
use super::sorted::Sorted;
use super::spans::{Prefix, Spans};
use super::values::{EXCLUDED, PLAIN, Twice, Values, ValuesBuilder};

/// /64 with one value for all, but for single addresses that are excluded.
pub(super) struct Ip6Tset {
    networks: Sorted<u64>,
    excluded: Sorted<u128>,
    /// The number of the value.
    number: u32,
}

impl Ip6Tset {
    /// The number of the value, if the address is listed.
    pub(super) fn find(&self, address: u128) -> Option<u32> {
        let is_listed = self.networks.find((address >> 64) as u64).is_some()
            && self.excluded.find(address).is_none();
        is_listed.then_some(self.number)
    }

    pub(super) fn entries(&self) -> usize {
        self.networks.len() + self.excluded.len()
    }

    pub(super) fn memory(&self) -> usize {
        self.networks.memory() + self.excluded.memory()
    }
}

pub(super) struct Ip6TsetBuilder {
    values: ValuesBuilder,
    number: Option<u32>,
    networks: Vec<(u64, u32)>,
    excluded: Vec<(u128, u32)>,
}

impl Ip6TsetBuilder {
    pub(super) fn new() -> Self {
        Self {
            values: ValuesBuilder::new(),
            number: None,
            networks: Vec::new(),
            excluded: Vec::new(),
        }
    }
}

impl Build for Ip6TsetBuilder {
    fn line(&mut self, mut cursor: Cursor<'_>, reading: &mut Reading<'_>) -> Result<(), Fault> {
        // Even `::`: no network begins so.
        if cursor.peek() == b':' {
            if self.number.is_none() {
                self.number = Some(self.values.read(&mut cursor, PLAIN, reading.notes)?);
            }
            return Ok(());
        }
        let is_excluded = cursor.peek() == b'!';
        if is_excluded {
            cursor.skip(1);
            cursor.skip_blanks();
        }
        let read = prefix6(&mut cursor).filter(|_| cursor.is_behind_address());
        match (read, is_excluded) {
            (Some((address, 64)), false) => {
                self.networks.push(((address >> 64) as u64, PLAIN));
                Ok(())
            }
            (Some((address, 128)), true) => {
                self.excluded.push((address, EXCLUDED));
                Ok(())
            }
            (_, false) => Err(Fault::line(
                cursor.column(),
                "no IPv6 /64",
                "write its four words, 2001:db8:1:2; everything else goes into an ip6trie",
            )),
            (_, true) => Err(Fault::line(
                cursor.column(),
                "no IPv6 address",
                "exclude single addresses, !2001:db8::7; prefixes go into an ip6trie",
            )),
        }
    }

    fn finish(self: Box<Self>, _: &mut Notes) -> (Table, Values) {
        let table = Ip6Tset {
            networks: Sorted::new(self.networks, Twice::All).0,
            excluded: Sorted::new(self.excluded, Twice::All).0,
            number: self.number.unwrap_or(PLAIN),
        };
        (Table::Ip6Tset(table), self.values.finish())
    }
}

/// Prefixes, each with a value. The narrowest holds; of equal ones the first.
pub(super) struct Ip6Trie {
    singles: Sorted<u128>,
    wide: Spans<u128>,
    entries: usize,
}

impl Ip6Trie {
    /// The number of the value, if the address is listed.
    pub(super) fn find(&self, address: u128) -> Option<u32> {
        match self.singles.find(address) {
            Some(hit) => hit.listed()?.next(),
            None => self.wide.find(address),
        }
    }

    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    pub(super) fn memory(&self) -> usize {
        self.singles.memory() + self.wide.memory()
    }
}

pub(super) struct Ip6TrieBuilder {
    values: ValuesBuilder,
    default: u32,
    singles: Vec<(u128, u32)>,
    wide: Vec<Prefix<u128>>,
}

impl Ip6TrieBuilder {
    pub(super) fn new() -> Self {
        Self { values: ValuesBuilder::new(), default: PLAIN, singles: Vec::new(), wide: Vec::new() }
    }
}

impl Build for Ip6TrieBuilder {
    fn start_file(&mut self) {
        self.default = PLAIN;
    }

    fn line(&mut self, mut cursor: Cursor<'_>, reading: &mut Reading<'_>) -> Result<(), Fault> {
        // `::1` is an address.
        if cursor.peek() == b':' && cursor.peek_at(1) != b':' {
            self.default = self.values.read(&mut cursor, PLAIN, reading.notes)?;
            return Ok(());
        }
        let is_excluded = cursor.peek() == b'!';
        if is_excluded {
            cursor.skip(1);
            cursor.skip_blanks();
        }
        let column = cursor.column();
        let read = cidr6(&mut cursor).filter(|_| cursor.is_behind_address());
        let Some((address, bits)) = read else {
            return Err(Fault::line(
                cursor.column(),
                "no IPv6 address or prefix",
                "write 2001:db8::7, 2001:db8::/32 or the words of a prefix, 2001:db8:1:2",
            ));
        };
        let mask = mask6(bits);
        let (first, last) = (address & mask, address | !mask);
        if first != address && reading.options.host_bits == HostBits::Refused {
            return Err(host_bits(column));
        }
        let number = match is_excluded {
            true => EXCLUDED,
            false => self.values.behind(&mut cursor, self.default, reading.notes)?,
        };
        if bits == 128 {
            self.singles.push((first, number));
        } else {
            self.wide.push(Prefix { first, last, bits: bits as u8, number });
        }
        Ok(())
    }

    fn finish(self: Box<Self>, notes: &mut Notes) -> (Table, Values) {
        let count = self.wide.len();
        let (singles, singles_twice) = Sorted::new(self.singles, Twice::First);
        let (wide, wide_twice) = Spans::new(self.wide);
        listed_twice(singles_twice + wide_twice, notes);
        let entries = singles.len() + count - wide_twice as usize;
        (Table::Ip6Trie(Ip6Trie { singles, wide, entries }), self.values.finish())
    }
}

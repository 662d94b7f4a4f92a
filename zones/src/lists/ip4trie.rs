//! `ip4trie`: IPv4 prefixes, each with a value. The narrowest holds; of equal ones the first.

use super::address::{alone4, cidr4, mask4};
use super::complaint::{Fault, Notes};
use super::dataset::Table;
use super::ip4set::{host_bits, listed_twice};
use super::line::Cursor;
use super::loader::{Build, HostBits, Reading};
use super::singles::{Singles, SinglesBuilder};
use super::spans::{Prefix, Spans};
use super::values::{EXCLUDED, PLAIN, Twice, Values, ValuesBuilder};

/// The table.
pub(super) struct Ip4Trie {
    singles: Singles,
    wide: Spans<u32>,
    entries: usize,
}

impl Ip4Trie {
    /// The number of the value, if the address is listed.
    pub(super) fn find(&self, address: u32) -> Option<u32> {
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

pub(super) struct Ip4TrieBuilder {
    values: ValuesBuilder,
    default: u32,
    singles: SinglesBuilder,
    wide: Vec<Prefix<u32>>,
}

impl Ip4TrieBuilder {
    pub(super) fn new() -> Self {
        Self {
            values: ValuesBuilder::new(),
            default: PLAIN,
            singles: SinglesBuilder::new(),
            wide: Vec::new(),
        }
    }
}

impl Build for Ip4TrieBuilder {
    fn start_file(&mut self) {
        self.default = PLAIN;
    }

    fn line(&mut self, mut cursor: Cursor<'_>, reading: &mut Reading<'_>) -> Result<(), Fault> {
        if let Some(address) = alone4(cursor.raw()) {
            self.singles.add(address, self.default);
            return Ok(());
        }
        if cursor.peek() == b':' {
            self.default = self.values.read(&mut cursor, PLAIN, reading.notes)?;
            return Ok(());
        }
        let is_excluded = cursor.peek() == b'!';
        if is_excluded {
            cursor.skip(1);
            cursor.skip_blanks();
        }
        let column = cursor.column();
        let read = cidr4(&mut cursor).filter(|_| cursor.is_behind_address());
        let Some((address, bits)) = read else {
            return Err(Fault::line(
                cursor.column(),
                "no IPv4 address or prefix",
                "write 192.0.2.7, 192.0.2 or 192.0.2.0/24; ranges go into an ip4set",
            ));
        };
        let mask = mask4(bits);
        let (first, last) = (address & mask, address | !mask);
        if first != address && reading.options.host_bits == HostBits::Refused {
            return Err(host_bits(column));
        }
        reading.check_range4(0, !mask, column)?;
        let number = match is_excluded {
            true => EXCLUDED,
            false => self.values.behind(&mut cursor, self.default, reading.notes)?,
        };
        if bits == 32 {
            self.singles.add(first, number);
        } else {
            self.wide.push(Prefix { first, last, bits: bits as u8, number });
        }
        Ok(())
    }

    fn finish(self: Box<Self>, notes: &mut Notes) -> (Table, Values) {
        let (singles, singles_twice) = self.singles.finish(Twice::First);
        let count = self.wide.len();
        let (wide, wide_twice) = Spans::new(self.wide);
        listed_twice(singles_twice + wide_twice, notes);
        let entries = singles.len() + count - wide_twice as usize;
        (Table::Ip4Trie(Ip4Trie { singles, wide, entries }), self.values.finish())
    }
}

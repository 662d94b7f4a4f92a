//! `ip4set`: IPv4 addresses and ranges, each with a value.
//!
//! A range is cut at the borders of octets into addresses, /24, /16 and /8. Of what covers an address the
//! narrowest of these widths holds, with all values that were given at that width, or none if one of them excludes.

use super::address::{alone4, mask4, range4};
use super::complaint::{Fault, Notes};
use super::dataset::Table;
use super::line::Cursor;
use super::loader::{Build, HostBits, Reading};
use super::singles::{Singles, SinglesBuilder};
use super::sorted::Sorted;
use super::values::{EXCLUDED, Hit, PLAIN, Twice, Values, ValuesBuilder};

/// The table.
pub(super) struct Ip4Set {
    singles: Singles,
    /// /24, /16 and /8, by their first addresses.
    wide: [Sorted<u32>; 3],
}

impl Ip4Set {
    /// The values of an address; `None` if it is not listed.
    pub(super) fn find(&self, address: u32) -> Option<Hit<'_>> {
        if let Some(hit) = self.singles.find(address) {
            return hit.listed();
        }
        let masks = [24, 16, 8].map(mask4);
        self.wide.iter().zip(masks).find_map(|(level, mask)| level.find(address & mask))?.listed()
    }

    pub(super) fn entries(&self) -> usize {
        self.singles.len() + self.wide.iter().map(Sorted::len).sum::<usize>()
    }

    pub(super) fn memory(&self) -> usize {
        self.singles.memory() + self.wide.iter().map(Sorted::memory).sum::<usize>()
    }
}

pub(super) struct Ip4SetBuilder {
    values: ValuesBuilder,
    default: u32,
    singles: SinglesBuilder,
    wide: [Vec<(u32, u32)>; 3],
}

impl Ip4SetBuilder {
    pub(super) fn new() -> Self {
        Self {
            values: ValuesBuilder::new(),
            default: PLAIN,
            singles: SinglesBuilder::new(),
            wide: Default::default(),
        }
    }

    fn add(&mut self, level: usize, first: u32, count: u32, number: u32) {
        for place in 0..count {
            let address = first.wrapping_add(place << (8 * level));
            match level.checked_sub(1).and_then(|wide| self.wide.get_mut(wide)) {
                Some(wide) => wide.push((address, number)),
                None => self.singles.add(address, number),
            }
        }
    }

    /// Cuts a range at the borders of octets.
    fn add_range(&mut self, first: u32, last: u32, number: u32) {
        // Addresses without their last `8 * level` bits. The first may be one behind the last: nothing is left then.
        let (mut first, mut last) = (first, last);
        for level in 0..3 {
            let shift = 8 * level as u32;
            if first | 255 >= last {
                match last.wrapping_sub(first) {
                    255 => self.add(level + 1, first << shift, 1, number),
                    less => self.add(level, first << shift, less.wrapping_add(1), number),
                }
                return;
            }
            if first & 255 != 0 {
                self.add(level, first << shift, 256 - (first & 255), number);
                first = (first >> 8) + 1;
            } else {
                first >>= 8;
            }
            if last & 255 != 255 {
                self.add(level, (last & !255) << shift, (last & 255) + 1, number);
                last = (last >> 8) - 1;
            } else {
                last >>= 8;
            }
        }
        self.add(3, first << 24, last.wrapping_sub(first).wrapping_add(1), number);
    }
}

impl Build for Ip4SetBuilder {
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
        let range =
            range4(&mut cursor).filter(|range| range.bits > 0 && cursor.is_behind_address());
        let Some(range) = range else {
            return Err(Fault::line(
                cursor.column(),
                "no IPv4 address or range",
                "write 192.0.2.7, 192.0.2, 192.0.2.0/24 or 192.0.2.0-192.0.2.255",
            ));
        };
        let first = range.first & mask4(range.bits);
        if first != range.first && reading.options.host_bits == HostBits::Refused {
            return Err(host_bits(column));
        }
        reading.check_range4(first, range.last, column)?;
        let number = match is_excluded {
            true => EXCLUDED,
            false => self.values.behind(&mut cursor, self.default, reading.notes)?,
        };
        if first == range.last {
            self.singles.add(first, number);
        } else {
            self.add_range(first, range.last, number);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _: &mut Notes) -> (Table, Values) {
        let (singles, _) = self.singles.finish(Twice::All);
        let wide = self.wide.map(|entries| Sorted::new(entries, Twice::All).0);
        (Table::Ip4Set(Ip4Set { singles, wide }), self.values.finish())
    }
}

/// An address beside its prefix.
pub(super) fn host_bits(column: usize) -> Fault {
    Fault::line(
        column,
        "an address that is not the first of its prefix, mostly a typing error",
        "write the first address, 192.0.2.0/24",
    )
}

/// Entries that came twice, which a trie cannot hold.
pub(super) fn listed_twice(passed_over: u64, notes: &mut Notes) {
    if passed_over > 0 {
        notes.line = 0;
        notes.add(Fault::line(
            0,
            format!("{passed_over} prefixes that an earlier line lists too: the first line holds"),
            "take the other lines out",
        ));
    }
}

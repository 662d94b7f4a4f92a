//! `ip4tset`: single IPv4 addresses with one value for all. What stands behind an address is not read.

use super::address::{alone4, prefix4};
use super::complaint::{Fault, Notes};
use super::dataset::Table;
use super::line::Cursor;
use super::loader::{Build, Reading};
use super::singles::{Singles, SinglesBuilder};
use super::values::{PLAIN, Twice, Values, ValuesBuilder};

/// The table.
pub(super) struct Ip4Tset {
    pub(super) singles: Singles,
    /// The number of the value.
    number: u32,
}

impl Ip4Tset {
    /// The number of the value, if the address is listed.
    pub(super) fn find(&self, address: u32) -> Option<u32> {
        self.singles.find(address).map(|_| self.number)
    }
}

pub(super) struct Ip4TsetBuilder {
    values: ValuesBuilder,
    number: Option<u32>,
    singles: SinglesBuilder,
}

impl Ip4TsetBuilder {
    pub(super) fn new() -> Self {
        Self { values: ValuesBuilder::new(), number: None, singles: SinglesBuilder::new() }
    }
}

impl Build for Ip4TsetBuilder {
    fn line(&mut self, mut cursor: Cursor<'_>, reading: &mut Reading<'_>) -> Result<(), Fault> {
        if let Some(address) = alone4(cursor.raw()) {
            self.singles.add(address, PLAIN);
            return Ok(());
        }
        if cursor.peek() == b':' {
            if self.number.is_none() {
                self.number = Some(self.values.read(&mut cursor, PLAIN, reading.notes)?);
            }
            return Ok(());
        }
        match prefix4(&mut cursor) {
            Some((address, 32)) if cursor.is_behind_address() => {
                self.singles.add(address, PLAIN);
                Ok(())
            }
            _ => Err(Fault::line(
                cursor.column(),
                "no single IPv4 address",
                "write 192.0.2.7; ranges and exclusions go into an ip4set",
            )),
        }
    }

    fn finish(self: Box<Self>, _: &mut Notes) -> (Table, Values) {
        let (singles, _) = self.singles.finish(Twice::All);
        let table = Ip4Tset { singles, number: self.number.unwrap_or(PLAIN) };
        (Table::Ip4Tset(table), self.values.finish())
    }
}

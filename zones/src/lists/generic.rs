//! `generic`: records of names, one a line.
//!
//! ```text
//! name [ttl] [IN] A address
//! name [ttl] [IN] TXT text            in quotes or not, cut at 255 octets, nothing substituted
//! name [ttl] [IN] MX preference host
//! ```
//!
//! `@` is the zone itself. No wildcards.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use foldhash::fast::RandomState;

use crate::answer::Exists;

use super::address::address4;
use super::answer::{ListAnswer, Mx, Wanted};
use super::complaint::{Fault, Notes};
use super::dataset::Table;
use super::line::{Cursor, is_blank};
use super::loader::{Build, Reading};
use super::values::{Values, ValuesBuilder};
use super::wire::{self, WireName};

/// The most octets of a TXT.
const TXT_MAX: usize = 255;

/// The table: records by names in wire form and small letters; names without records are above others.
pub(super) struct Generic {
    names: HashMap<Box<[u8]>, Vec<Record>, RandomState>,
}

struct Record {
    ttl: u32,
    data: Data,
}

enum Data {
    A(Ipv4Addr),
    Txt(Box<[u8]>),
    Mx(Mx),
}

impl Generic {
    /// Adds the records of a name to an answer.
    pub(super) fn ask(&self, name: &[u8], wanted: Wanted, answer: &mut ListAnswer) {
        let Some(records) = self.names.get(name) else { return };
        answer.raise(Exists::NoData);
        for Record { ttl, data } in records {
            match data {
                Data::A(a) if wanted.a() => answer.a.add(*ttl, *a),
                Data::Txt(text) if wanted.txt() => answer.txt.add(*ttl, text.to_vec()),
                Data::Mx(mx) if wanted.mx() => answer.mx.add(*ttl, mx.clone()),
                _ => {}
            }
        }
    }

    pub(super) fn entries(&self) -> usize {
        self.names.values().map(Vec::len).sum()
    }

    pub(super) fn memory(&self) -> usize {
        let node = size_of::<(Box<[u8]>, Vec<Record>)>() + 1;
        let names = self
            .names
            .iter()
            .map(|(name, records)| name.len() + records.capacity() * size_of::<Record>());
        node * self.names.capacity() + names.sum::<usize>()
    }
}

#[derive(Default)]
pub(super) struct GenericBuilder {
    names: HashMap<Box<[u8]>, Vec<Record>, RandomState>,
}

impl Build for GenericBuilder {
    fn line(&mut self, mut cursor: Cursor<'_>, reading: &mut Reading<'_>) -> Result<(), Fault> {
        let column = cursor.column();
        let name = if cursor.peek() == b'@' && is_blank(cursor.peek_at(1)) {
            cursor.word();
            Vec::new()
        } else {
            let name = wire::parse(cursor.word()).filter(|name| !name.is_empty());
            let mut name = name.ok_or_else(|| no_record(column))?;
            name.make_ascii_lowercase();
            name
        };
        let mut ttl = reading.ttl;
        if cursor.peek().is_ascii_digit() {
            let column = cursor.column();
            let seconds = cursor.seconds().ok_or_else(|| {
                Fault::dataset(column, "no TTL", "write seconds, or 35m, 2h, 1d, 1w")
            })?;
            ttl = reading.options.limit_ttl(seconds, reading.ttl);
        }
        cursor.take_word(b"in");
        let column = cursor.column();
        let data = read_data(&mut cursor, column, reading.notes)?;
        self.names.entry(name.into()).or_default().push(Record { ttl, data });
        Ok(())
    }

    fn finish(mut self: Box<Self>, _: &mut Notes) -> (Table, Values) {
        let names: Vec<_> = self.names.keys().cloned().collect();
        for name in &names {
            let mut above = wire::parent(name);
            while let Some(name) = above.filter(|name| !name.is_empty()) {
                if self.names.contains_key(name) {
                    break;
                }
                self.names.insert(name.into(), Vec::new());
                above = wire::parent(name);
            }
        }
        (Table::Generic(Generic { names: self.names }), ValuesBuilder::new().finish())
    }
}

fn read_data(cursor: &mut Cursor<'_>, column: usize, notes: &mut Notes) -> Result<Data, Fault> {
    if cursor.take_word(b"a") {
        // What stands behind the address is not read.
        let (address, _) = address4(cursor).ok_or_else(|| no_record(cursor.column()))?;
        return Ok(Data::A(address.into()));
    }
    if cursor.take_word(b"txt") {
        let column = cursor.column();
        let mut text = cursor.rest();
        if let [b'"', inside @ .., b'"'] = text {
            text = inside;
        }
        let cut = text.get(..TXT_MAX).unwrap_or(text);
        if cut.len() < text.len() {
            notes.add(Fault::line(
                column,
                "a text of more than 255 octets, which is cut",
                "make it shorter",
            ));
        }
        return Ok(Data::Txt(cut.into()));
    }
    if cursor.take_word(b"mx") {
        let column = cursor.column();
        let preference = cursor.number().and_then(|number| u16::try_from(number).ok());
        let preference = preference.ok_or_else(|| no_record(column))?;
        let column = cursor.column();
        let word = cursor.word();
        let host = if word.is_empty() { None } else { WireName::parse(word) };
        let host = host.filter(|_| cursor.is_end()).ok_or_else(|| {
            Fault::dataset(
                column,
                "no host",
                "write one name behind the preference: MX 10 mx.example.com",
            )
        })?;
        return Ok(Data::Mx(Mx { preference, host }));
    }
    Err(no_record(column))
}

fn no_record(column: usize) -> Fault {
    Fault::line(
        column,
        "no record",
        "write `name [ttl] A address`, `name [ttl] TXT text` or `name [ttl] MX preference host`; `@` is the zone",
    )
}

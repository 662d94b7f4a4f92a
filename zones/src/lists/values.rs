//! What entries say: an A value and a TXT template, kept once however many entries say it.
//!
//! A value is a number: [`EXCLUDED`] for an exclusion, [`PLAIN`] for 127.0.0.2 without TXT, others in the order in
//! which they are met. A template has at most 255 octets.

use std::hash::BuildHasher;
use std::net::Ipv4Addr;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::address::address4;
use super::complaint::{Fault, Notes};
use super::line::Cursor;

/// The number of an exclusion: the lowest, so that it comes first among the values of an entry.
pub(super) const EXCLUDED: u32 = 0;
/// The number of what an entry says if nobody says anything else.
pub(super) const PLAIN: u32 = 1;
/// The most octets of a template.
const TEMPLATE_MAX: usize = 255;
/// 127.0.0.0, where a value of one octet lies.
const LOOPBACK: u32 = 0x7f00_0000;

/// Values by their numbers.
pub(super) struct Values {
    /// Four octets of A, then the template, one value behind the other.
    octets: Box<[u8]>,
    /// Where value `n` ends, at `n - 1`.
    ends: Box<[u32]>,
}

impl Values {
    /// The value with a number; `None` for an exclusion.
    pub(super) fn get(&self, number: u32) -> Option<(Ipv4Addr, &[u8])> {
        value(&self.octets, &self.ends, number)
    }

    /// How many octets they take.
    pub(super) fn memory(&self) -> usize {
        self.octets.len() + 4 * self.ends.len()
    }
}

fn value<'a>(octets: &'a [u8], ends: &[u32], number: u32) -> Option<(Ipv4Addr, &'a [u8])> {
    let place = number.checked_sub(1)? as usize;
    let end = *ends.get(place)? as usize;
    let start = place.checked_sub(1).map_or(0, |before| ends[before] as usize);
    let (a, template) = octets.get(start..end)?.split_first_chunk::<4>()?;
    Some((Ipv4Addr::from(*a), template))
}

/// Values in the making.
pub(super) struct ValuesBuilder {
    octets: Vec<u8>,
    ends: Vec<u32>,
    numbers: HashTable<u32>,
    state: RandomState,
    /// The value last added: many lines in a row say the same.
    last: u32,
}

impl ValuesBuilder {
    /// Begins with [`PLAIN`].
    pub(super) fn new() -> Self {
        let mut values = Self {
            octets: Vec::new(),
            ends: Vec::new(),
            numbers: HashTable::new(),
            state: RandomState::default(),
            last: PLAIN,
        };
        let plain = values.add(Ipv4Addr::new(127, 0, 0, 2).into(), b"");
        debug_assert_eq!(plain, Some(PLAIN));
        values
    }

    pub(super) fn finish(self) -> Values {
        Values { octets: self.octets.into(), ends: self.ends.into() }
    }

    /// Reads `:A:TXT`, `:A` or `TXT`; what is missing comes from `default`. Gives the value's number.
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        default: u32,
        notes: &mut Notes,
    ) -> Result<u32, Fault> {
        let column = cursor.column();
        let (default_a, _) = self.get(default);
        let mut a = default_a.into();
        if cursor.peek() == b':' {
            cursor.skip(1);
            let read = address4(cursor).filter(|&(address, _)| address != 0);
            let Some((address, bits)) = read else {
                return Err(Fault::line(
                    column,
                    "no A value",
                    "write :127.0.0.2:text, or :2:text for short",
                ));
            };
            a = if bits == 8 { address | LOOPBACK } else { address };
            cursor.skip_blanks();
            if cursor.is_end() {
                let (_, template) = self.get(default);
                let template = template.to_vec();
                return self.number(a, &template, column);
            }
            if cursor.peek() != b':' {
                return Err(Fault::line(
                    cursor.column(),
                    "something behind the A value",
                    "put a colon between A value and text",
                ));
            }
            cursor.skip(1);
            cursor.skip_blanks();
        }
        let column = cursor.column();
        let text = cursor.rest();
        let template = text.get(..TEMPLATE_MAX).unwrap_or(text);
        if template.len() < text.len() {
            notes.add(Fault::line(
                column,
                "a text of more than 255 octets, which is cut",
                "make it shorter",
            ));
        }
        self.number(a, template, column)
    }

    /// The value that stands behind an entry; `default` if there is none.
    #[inline]
    pub(super) fn behind(
        &mut self,
        cursor: &mut Cursor<'_>,
        default: u32,
        notes: &mut Notes,
    ) -> Result<u32, Fault> {
        cursor.skip_blanks();
        if cursor.says_no_more() { Ok(default) } else { self.read(cursor, default, notes) }
    }

    fn number(&mut self, a: u32, template: &[u8], column: usize) -> Result<u32, Fault> {
        self.add(a, template).ok_or_else(|| {
            Fault::dataset(
                column,
                "more than 4 GiB of texts",
                "use variables ($1 text) for what is common",
            )
        })
    }

    fn get(&self, number: u32) -> (Ipv4Addr, &[u8]) {
        value(&self.octets, &self.ends, number).unwrap_or((Ipv4Addr::UNSPECIFIED, b""))
    }

    /// The number of a value; `None` if there is no room.
    fn add(&mut self, a: u32, template: &[u8]) -> Option<u32> {
        let octets = a.to_be_bytes();
        let is_it = |found: Option<(Ipv4Addr, &[u8])>| {
            found.is_some_and(|(at, text)| at.octets() == octets && text == template)
        };
        if is_it(value(&self.octets, &self.ends, self.last)) {
            return Some(self.last);
        }
        let hash = self.state.hash_one((octets, template));
        let found = self
            .numbers
            .find(hash, |&number| is_it(value(&self.octets, &self.ends, number)))
            .copied();
        let number = match found {
            Some(number) => number,
            None => {
                let end = self.octets.len() + octets.len() + template.len();
                self.ends.push(u32::try_from(end).ok()?);
                self.octets.extend_from_slice(&octets);
                self.octets.extend_from_slice(template);
                let number = u32::try_from(self.ends.len()).ok()?;
                let (octets, ends, state) = (&self.octets, &self.ends, &self.state);
                self.numbers.insert_unique(hash, number, |&number| {
                    let (a, text) =
                        value(octets, ends, number).unwrap_or((Ipv4Addr::UNSPECIFIED, b""));
                    state.hash_one((a.octets(), text))
                });
                number
            }
        };
        self.last = number;
        Some(number)
    }
}

/// Numbers of values in as few octets as the largest needs.
pub(super) enum Numbers {
    /// All the same.
    Same(u32),
    /// None above 255.
    One(Box<[u8]>),
    /// None above 65,535.
    Two(Box<[u16]>),
    /// Any.
    Four(Box<[u32]>),
}

impl Numbers {
    /// Packs numbers.
    pub(super) fn pack(numbers: &[u32]) -> Self {
        let first = numbers.first().copied().unwrap_or(EXCLUDED);
        if numbers.iter().all(|&number| number == first) {
            return Self::Same(first);
        }
        match numbers.iter().max() {
            Some(0..=0xff) => Self::One(numbers.iter().map(|&number| number as u8).collect()),
            Some(0..=0xffff) => Self::Two(numbers.iter().map(|&number| number as u16).collect()),
            _ => Self::Four(numbers.into()),
        }
    }

    /// The number at a place.
    #[inline]
    pub(super) fn get(&self, place: usize) -> u32 {
        match self {
            Self::Same(number) => *number,
            Self::One(numbers) => numbers.get(place).map_or(EXCLUDED, |&number| number.into()),
            Self::Two(numbers) => numbers.get(place).map_or(EXCLUDED, |&number| number.into()),
            Self::Four(numbers) => numbers.get(place).copied().unwrap_or(EXCLUDED),
        }
    }

    /// How many octets they take.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Same(_) => 0,
            Self::One(numbers) => numbers.len(),
            Self::Two(numbers) => 2 * numbers.len(),
            Self::Four(numbers) => 4 * numbers.len(),
        }
    }
}

/// The values of an entry: some numbers in a row.
#[derive(Clone)]
pub(super) struct Hit<'a> {
    numbers: &'a Numbers,
    places: std::ops::Range<usize>,
}

impl<'a> Hit<'a> {
    pub(super) fn new(numbers: &'a Numbers, places: std::ops::Range<usize>) -> Self {
        Self { numbers, places }
    }

    /// The entry, unless it is excluded.
    pub(super) fn listed(self) -> Option<Self> {
        (self.numbers.get(self.places.start) != EXCLUDED).then_some(self)
    }
}

impl Iterator for Hit<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.places.next().map(|place| self.numbers.get(place))
    }
}

/// What holds if an address or name is met twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twice {
    /// All values, once each; an exclusion alone.
    All,
    /// The first.
    First,
}

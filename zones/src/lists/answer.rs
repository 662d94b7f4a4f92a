//! What lists say at a name.

use std::net::Ipv4Addr;

use crate::answer::Exists;

use super::wire::WireName;

/// Which records are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A.
    A,
    /// TXT.
    Txt,
    /// MX.
    Mx,
    /// All that there are.
    Any,
    /// A type that lists do not have: only whether the name exists.
    Other,
}

impl Wanted {
    pub(super) fn a(self) -> bool {
        matches!(self, Self::A | Self::Any)
    }

    pub(super) fn txt(self) -> bool {
        matches!(self, Self::Txt | Self::Any)
    }

    pub(super) fn mx(self) -> bool {
        matches!(self, Self::Mx | Self::Any)
    }
}

/// A mail exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mx {
    /// The lowest comes first.
    pub preference: u16,
    /// Its name.
    pub host: WireName,
}

/// Records of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrSet<T> {
    /// For how many seconds they hold: the least that any source says; `u32::MAX` if there are none.
    pub ttl: u32,
    /// Each value once, in the order of datasets, and in each of them in the order of first mention.
    pub values: Vec<T>,
}

impl<T: PartialEq> RrSet<T> {
    fn new() -> Self {
        Self { ttl: u32::MAX, values: Vec::new() }
    }

    pub(super) fn add(&mut self, ttl: u32, value: T) {
        self.ttl = self.ttl.min(ttl);
        if !self.values.contains(&value) {
            self.values.push(value);
        }
    }

    fn clear(&mut self) {
        self.ttl = u32::MAX;
        self.values.clear();
    }
}

/// What a zone of lists says at one name. To be used again for the next question: it keeps its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListAnswer {
    /// Does the name exist; with data, if there are records of the type asked for.
    pub exists: Exists,
    /// A records.
    pub a: RrSet<Ipv4Addr>,
    /// TXT records: one string each, raw octets, at most 255.
    pub txt: RrSet<Vec<u8>>,
    /// MX records.
    pub mx: RrSet<Mx>,
}

impl Default for ListAnswer {
    fn default() -> Self {
        Self { exists: Exists::NxDomain, a: RrSet::new(), txt: RrSet::new(), mx: RrSet::new() }
    }
}

impl ListAnswer {
    /// Begins anew.
    pub(super) fn clear(&mut self) {
        self.exists = Exists::NxDomain;
        self.a.clear();
        self.txt.clear();
        self.mx.clear();
    }

    /// Takes note that the name exists, if a source says so.
    pub(super) fn raise(&mut self, exists: Exists) {
        if self.exists == Exists::NxDomain {
            self.exists = exists;
        }
    }

    /// Takes note of records, once all are there.
    pub(super) fn finish(&mut self) {
        let is_empty =
            self.a.values.is_empty() && self.txt.values.is_empty() && self.mx.values.is_empty();
        if !is_empty {
            self.exists = Exists::Exists;
        }
    }
}

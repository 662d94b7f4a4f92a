//! A dataset, loaded: immutable, to be shared and swapped whole.

use std::borrow::Cow;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::time::Time;

use super::answer::{ListAnswer, Wanted};
use super::combined::Combined;
use super::format::Format;
use super::generic::Generic;
use super::ip4set::Ip4Set;
use super::ip4trie::Ip4Trie;
use super::ip4tset::Ip4Tset;
use super::ip6::{Ip6Trie, Ip6Tset};
use super::names::{Named, Names};
use super::question::{Addresses, Families};
use super::special::{Ns, Soa};
use super::text::Variables;
use super::values::Values;
use super::wire;

/// The entries of one or several files.
pub struct Dataset {
    pub(super) format: Format,
    pub(super) content: Content,
    pub(super) soa: Option<Soa>,
    pub(super) ns: Option<Ns>,
    pub(super) expires: Option<Time>,
}

pub(super) enum Content {
    One(Box<Part>),
    Several(Combined),
}

impl Dataset {
    /// What its lines were.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The first `$SOA`.
    pub fn soa(&self) -> Option<&Soa> {
        self.soa.as_ref()
    }

    /// The first `$NS`.
    pub fn ns(&self) -> Option<&Ns> {
        self.ns.as_ref()
    }

    /// The moment after which nothing of it is to be answered, if `$TIMESTAMP` names one.
    pub fn expires(&self) -> Option<Time> {
        self.expires
    }

    /// How many entries it has: addresses and names, ranges cut into prefixes, records.
    pub fn entries(&self) -> usize {
        self.parts().map(Part::entries).sum()
    }

    /// About how many octets its tables take.
    pub fn memory(&self) -> usize {
        self.parts().map(Part::memory).sum()
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        let (one, several) = match &self.content {
            Content::One(part) => (Some(&**part), None),
            Content::Several(combined) => (None, Some(combined.parts())),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }

    /// Which addresses it lists itself; a combined one reads addresses anew for each subzone.
    pub(super) fn families(&self) -> Families {
        match &self.content {
            Content::One(part) => part.families(),
            Content::Several(_) => Families::default(),
        }
    }

    /// Adds what it says of a name in wire form.
    pub(super) fn ask(
        &self,
        name: &[u8],
        addresses: Addresses,
        wanted: Wanted,
        answer: &mut ListAnswer,
    ) {
        match &self.content {
            Content::One(part) => part.ask(name, addresses, wanted, answer),
            Content::Several(combined) => combined.ask(name, wanted, answer),
        }
    }

    /// Adds what it says of a client.
    pub(super) fn ask_client(
        &self,
        ip: IpAddr,
        addresses: Addresses,
        wanted: Wanted,
        answer: &mut ListAnswer,
    ) {
        match &self.content {
            Content::One(part) => part.ask(&[], addresses, wanted, answer),
            Content::Several(combined) => combined.ask_client(ip, wanted, answer),
        }
    }

    /// Adds what its list of names says of a name in wire form.
    pub(super) fn ask_name(&self, name: &[u8], wanted: Wanted, answer: &mut ListAnswer) {
        match &self.content {
            Content::One(part) => part.ask_name(name, wanted, answer),
            Content::Several(combined) => combined.ask_name(name, wanted, answer),
        }
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset")
            .field("format", &self.format)
            .field("entries", &self.entries())
            .finish_non_exhaustive()
    }
}

/// The entries of one format, with what their texts and TTLs depend on.
pub(super) struct Part {
    pub(super) table: Table,
    pub(super) values: Values,
    pub(super) variables: Variables,
    pub(super) ttl: u32,
}

/// The entries, by format.
pub(super) enum Table {
    Ip4Set(Ip4Set),
    Ip4Tset(Ip4Tset),
    Ip4Trie(Ip4Trie),
    Ip6Tset(Ip6Tset),
    Ip6Trie(Ip6Trie),
    Names(Names),
    Generic(Generic),
}

/// What the `$` of a text stands for.
#[derive(Clone, Copy)]
enum Key<'a> {
    V4(u32),
    V6(u128),
    Name(&'a [u8]),
}

impl Key<'_> {
    fn text(self) -> Vec<u8> {
        let mut text = Vec::with_capacity(40);
        let written = match self {
            Self::V4(ip) => write!(text, "{}", Ipv4Addr::from(ip)),
            Self::V6(ip) => write!(text, "{}", v6_text(ip)),
            Self::Name(name) => {
                wire::print(name, &mut text);
                Ok(())
            }
        };
        debug_assert!(written.is_ok(), "memory takes everything");
        text
    }
}

/// An IPv6 address in words, without an IPv4 address at its end.
fn v6_text(ip: u128) -> Cow<'static, str> {
    let ip = Ipv6Addr::from(ip);
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => format!("::ffff:{high:x}:{low:x}").into(),
        _ => ip.to_string().into(),
    }
}

impl Part {
    pub(super) fn families(&self) -> Families {
        let (v4, v6) = match self.table {
            Table::Ip4Set(_) | Table::Ip4Tset(_) | Table::Ip4Trie(_) => (true, false),
            Table::Ip6Tset(_) | Table::Ip6Trie(_) => (false, true),
            Table::Names(_) | Table::Generic(_) => (false, false),
        };
        Families { v4, v6 }
    }

    fn entries(&self) -> usize {
        match &self.table {
            Table::Ip4Set(table) => table.entries(),
            Table::Ip4Tset(table) => table.singles.len(),
            Table::Ip4Trie(table) => table.entries(),
            Table::Ip6Tset(table) => table.entries(),
            Table::Ip6Trie(table) => table.entries(),
            Table::Names(table) => table.entries(),
            Table::Generic(table) => table.entries(),
        }
    }

    fn memory(&self) -> usize {
        let table = match &self.table {
            Table::Ip4Set(table) => table.memory(),
            Table::Ip4Tset(table) => table.singles.memory(),
            Table::Ip4Trie(table) => table.memory(),
            Table::Ip6Tset(table) => table.memory(),
            Table::Ip6Trie(table) => table.memory(),
            Table::Names(table) => table.memory(),
            Table::Generic(table) => table.memory(),
        };
        table + self.values.memory()
    }

    /// Adds what is said of a name in wire form (empty: the zone itself, or no question of names) and its addresses.
    pub(super) fn ask(
        &self,
        name: &[u8],
        addresses: Addresses,
        wanted: Wanted,
        answer: &mut ListAnswer,
    ) {
        let Addresses { v4, v6, .. } = addresses;
        let mut one = |number: Option<u32>, key: Option<Key<'_>>| {
            if let (Some(number), Some(key)) = (number, key) {
                self.say(number, key, wanted, answer);
            }
        };
        match &self.table {
            Table::Ip4Set(table) => {
                let Some(ip) = v4 else { return };
                for number in table.find(ip).into_iter().flatten() {
                    self.say(number, Key::V4(ip), wanted, answer);
                }
            }
            Table::Ip4Tset(table) => one(v4.and_then(|ip| table.find(ip)), v4.map(Key::V4)),
            Table::Ip4Trie(table) => one(v4.and_then(|ip| table.find(ip)), v4.map(Key::V4)),
            Table::Ip6Tset(table) => one(v6.and_then(|ip| table.find(ip)), v6.map(Key::V6)),
            Table::Ip6Trie(table) => one(v6.and_then(|ip| table.find(ip)), v6.map(Key::V6)),
            Table::Names(table) => match table.find(name) {
                Named::Unlisted(exists) => answer.raise(exists),
                Named::Listed(listed, said) => {
                    let single = said.one();
                    let numbers = single.as_slice();
                    let numbers = if numbers.is_empty() { table.numbers(said) } else { numbers };
                    for &number in numbers {
                        self.say(number, Key::Name(listed), wanted, answer);
                    }
                }
            },
            Table::Generic(table) => table.ask(name, wanted, answer),
        }
    }

    /// Adds what is said of a name in wire form if the entries are names.
    pub(super) fn ask_name(&self, name: &[u8], wanted: Wanted, answer: &mut ListAnswer) {
        if matches!(self.table, Table::Names(_)) {
            self.ask(name, Addresses::NONE, wanted, answer);
        }
    }

    /// Adds the records of a value.
    fn say(&self, number: u32, key: Key<'_>, wanted: Wanted, answer: &mut ListAnswer) {
        let Some((a, template)) = self.values.get(number) else { return };
        answer.raise(crate::answer::Exists::NoData);
        if wanted.a() {
            answer.a.add(self.ttl, a);
        }
        if wanted.txt() {
            let text = self.variables.fill(template, &key.text());
            if !text.is_empty() {
                answer.txt.add(self.ttl, text);
            }
        }
    }
}

//! Zones as files that other programs load: rbldnsd, DNS servers, resolvers, Postfix, nftables, whatever reads JSON.
//!
//! In go a [`Head`] (which zone, its SOA and NS, the serial) and then entries, one after another in the order of their keys: where
//! something is said ([`At`]), the A records, the text. Out come the octets of a file, written as the entries come: nothing but
//! what a format cannot say in that order is kept (`rbldnsd` keeps 24 octets for each further value of an IPv6 client). Only the stream
//! that is written to can fail. Pure: whoever has a ledger and a judge makes the entries, whoever has files has the file.
//!
//! | format | file | zones |
//! |---|---|---|
//! | [`Format::Rbldnsd`] | `rbldnsd`: one file of the type `combined` | all but `dna` |
//! | [`Format::Bind`] | `zonefile`: an RFC 1035 master file for BIND, NSD, Knot and others | all |
//! | [`Format::Rpz`] | `rpz`: a response policy zone | `bl`, `ehlo` |
//! | [`Format::PostfixCidr`] | `postfix`: a table for `check_client_access` | `bl`, `wl` |
//! | [`Format::Nftables`] | `nftables`: two sets, for `nft -f` | `bl`, `wl` |
//! | [`Format::Json`] | `json`: a line of JSON for each entry | all |
//!
//! Rules for all of them:
//! - The first line tells who wrote the file, of which zone, with which serial, and when. The serial and that time are all
//!   that differs between two files of the same content ([`same_line`]).
//! - Names of clients are an attacker's text. What becomes an entry is a name that is a key, which has letters, digits, hyphens and
//!   underscores only; texts are escaped in each format as that format has it, whatever they are.
//! - An entry without values is a hole: nothing is said there although the entry above it would say something.
//! - TTLs are the zone's, not the verdict's: a file does not grow older by itself, so a TTL that runs down would be a change
//!   without one.
//!
//! Not done here: which entries there are, and whether two files are the same.

mod json;
mod nftables;
mod postfix;
mod range;
mod rbldnsd;
mod rpz;
#[cfg(test)]
mod tests;
mod zonefile;

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};

pub use self::range::Range;
use crate::key::Kind;
use crate::time::Time;

/// What writes a file.
const WRITER: &str = concat!("helostat ", env!("CARGO_PKG_VERSION"));
/// What stands before the serial in the first line.
const SERIAL: &str = ", serial ";
/// How far a file can differ from another one of the same content: within so many lines.
const HEAD_LINES: usize = 16;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For rbldnsd, one file of its type `combined`.
    Rbldnsd,
    /// A master file (RFC 1035 section 5).
    Bind,
    /// A response policy zone.
    Rpz,
    /// A `cidr` table for Postfix.
    PostfixCidr,
    /// Sets for nftables.
    Nftables,
    /// JSON lines.
    Json,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Rbldnsd, Self::Bind, Self::Rpz, Self::PostfixCidr, Self::Nftables, Self::Json];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rbldnsd => "rbldnsd",
            Self::Bind => "bind",
            Self::Rpz => "rpz",
            Self::PostfixCidr => "postfix-cidr",
            Self::Nftables => "nftables",
            Self::Json => "json",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.word() == word)
    }

    /// Why it cannot hold a zone of this kind; `None` if it can.
    pub fn objection(self, kind: Kind) -> Option<&'static str> {
        match (self, kind) {
            (Self::Bind | Self::Json, _) => None,
            (Self::Rbldnsd, Kind::Dna) => Some("rbldnsd has no names with a TXT and without an A"),
            (Self::Rbldnsd, _) => None,
            (Self::Rpz, Kind::Bl | Kind::Ehlo) => None,
            (Self::Rpz, _) => Some("a policy zone only says whom not to resolve"),
            (Self::PostfixCidr | Self::Nftables, Kind::Bl | Kind::Wl) => None,
            (Self::PostfixCidr | Self::Nftables, Kind::Score | Kind::Bits) => {
                Some("it only says who is in it, and here that would mean nothing")
            }
            (Self::PostfixCidr | Self::Nftables, _) => Some("it holds addresses, not names"),
        }
    }

    /// The formats that can hold a zone of this kind.
    pub fn of(kind: Kind) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |format| format.objection(kind).is_none())
    }

    /// True if it has room for why something is said; else nobody needs to find words.
    pub fn has_texts(self) -> bool {
        !matches!(self, Self::Rpz | Self::Nftables)
    }

    /// True if it has room for a name of A records. BIND refuses the whole zone for one that is no host name, and a
    /// name with an underscore is none: anybody could say one.
    pub fn takes(self, name: &str) -> bool {
        self != Self::Bind || !name.contains('_')
    }

    /// How many octets longer the name of the zone may be where the file is loaded.
    pub fn slack(self) -> usize {
        match self {
            Self::Rpz => rpz::SLACK,
            _ => 0,
        }
    }

    /// How a file of this format is written.
    pub fn sheet(self, kind: Kind) -> Box<dyn Sheet> {
        match self {
            Self::Rbldnsd => Box::new(rbldnsd::Rbldnsd::default()),
            Self::Bind => Box::new(zonefile::ZoneFile),
            Self::Rpz => Box::new(rpz::Rpz),
            Self::PostfixCidr => Box::new(postfix::Postfix(kind)),
            Self::Nftables => Box::new(nftables::Nftables::default()),
            Self::Json => Box::new(json::Json),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a file says of its zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its name, without a final dot.
    pub zone: String,
    /// What it holds.
    pub kind: Kind,
    /// Its serial.
    pub serial: u32,
    /// When the file was made.
    pub time: Time,
    /// The start of authority.
    pub soa: Soa,
    /// The name servers, without final dots.
    pub name_servers: Vec<String>,
    /// For how many seconds the names of the name servers hold.
    pub ns_ttl: u32,
    /// For how many seconds an entry holds.
    pub ttl: u32,
}

/// What a SOA says beside its serial, as texts of a master file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// The primary server, without a final dot.
    pub mname: String,
    /// The mailbox, without a final dot.
    pub rname: String,
    /// For how many seconds it holds.
    pub ttl: u32,
    /// Refresh, retry, expire, minimum, in seconds.
    pub times: [u32; 4],
}

/// Where something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At<'a> {
    /// Of these addresses.
    Clients(Range),
    /// Of a name.
    Name(&'a str),
    /// Of all names below this one.
    Below(&'a str),
    /// Of a name from an address.
    Pair(IpAddr, &'a str),
    /// Of all names below this one from an address, or of any name if it is empty.
    PairBelow(IpAddr, &'a str),
    /// Of any name from these addresses.
    PairsOf(Range),
}

/// What is said somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where.
    pub at: At<'a>,
    /// The values, main one first; empty in a zone of texts, and in a hole.
    pub a: &'a [Ipv4Addr],
    /// Why; at most 255 octets.
    pub txt: Option<&'a str>,
    /// The moment at which the passage of time alone could change this.
    pub until: Time,
}

impl Entry<'_> {
    /// True if nothing is said here, though something would be by what is said above.
    pub fn is_hole(&self) -> bool {
        self.a.is_empty() && self.txt.is_none()
    }
}

/// A file in the making. Calls come in this order: `head` once, `entry` for each, `end` once.
pub trait Sheet {
    /// What stands before the entries.
    fn head(&mut self, head: &Head, to: &mut dyn Write) -> io::Result<()>;
    /// One entry.
    fn entry(&mut self, head: &Head, entry: &Entry<'_>, to: &mut dyn Write) -> io::Result<()>;
    /// What stands behind them.
    fn end(&mut self, head: &Head, to: &mut dyn Write) -> io::Result<()>;
}

/// The first line, without what makes it a comment.
fn title(format: Format, head: &Head) -> String {
    let Head { zone, serial, time, .. } = head;
    format!("{WRITER}, {format} of {zone}{SERIAL}{serial}, {time}")
}

/// The serial in the first line of a file that was written before.
pub fn serial_of(first_line: &str) -> Option<u32> {
    let json = || first_line.split_once(r#""serial":"#);
    let (_, behind) = first_line.split_once(SERIAL).or_else(json)?;
    let digits = behind.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The serial of a file that is to replace one with the serial `old`: that of the ledger, unless secondaries would not see
/// that it is newer (RFC 1982), since a verdict can change without the ledger.
pub fn serial_after(ledger: u32, old: Option<u32>) -> u32 {
    match old {
        // Less than half of all numbers ahead is newer.
        Some(old) if ledger == old || ledger.wrapping_sub(old) > u32::MAX / 2 => {
            old.wrapping_add(1).max(1)
        }
        _ => ledger,
    }
}

/// Whether the line of this number (from 0) says the same in two files, but for their serials and the times of their making.
pub fn same_line(number: usize, old: (&str, u32), new: (&str, u32)) -> bool {
    if number == 0 || old.0 == new.0 {
        return true;
    }
    let [serial, new_serial] = [old.1, new.1].map(|serial| serial.to_string());
    number < HEAD_LINES && {
        let (words, new_words) = (old.0.split_whitespace(), new.0.split_whitespace());
        words.clone().count() == new_words.clone().count()
            && words.zip(new_words).all(|(word, new_word)| {
                word == new_word || (word == serial && new_word == new_serial)
            })
    }
}

/// The owner of a pair's records, relative to the zone: `mail.example.com.7.2.0.192`.
fn pair_owner(kind: Kind, ip: IpAddr, name: &str) -> String {
    let address = match (kind, ip) {
        (Kind::Fp, _) => ip.to_string(),
        _ => range::reversed(ip),
    };
    if name.is_empty() { address } else { format!("{name}.{address}") }
}

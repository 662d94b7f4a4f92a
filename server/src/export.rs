//! All that a zone says, as a file for other programs.
//!
//! In goes an [`Order`]: which zone in which format, and what its writer knows of the file before. Out come the octets of the file, in the
//! order of its keys, and a [`Summary`]. Only the stream that is written to fails. Blocks: not for the threads that answer.
//!
//! Whose entries there are: `addresses` (clients and what the operator decided of networks), `names`, `pairs`. They walk over the ledger
//! client by client, hold a lock for as long as it takes to copy a client's names, and judge as the server judges ([`crate::ledger_judge`]) by
//! what is known now: nobody is asked in the DNS for an export. What a format looks like is [`helostat_zones::export`]'s business.
//!
//! What a file cannot say, and so says otherwise than the server (`docs/exports.md` has it for people):
//! - Everything of an IPv6 client is said of its /64, as it is of the address that was last seen.
//! - In `pair`, of a client or a network that the ledger does not know only the operator's decisions are said. A name that is known
//!   elsewhere is new on every client, which would be an entry for each client there is. An IPv6 client is the address it was last seen as.
//! - A name above an entry exists; a key above nothing does not, though the server says that it could.
//! - An IPv4-mapped IPv6 key is only there for the test points.

mod addresses;
mod names;
mod pairs;
mod tree;
mod walk;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use helostat_zones::answer::{Answer, Caps};
use helostat_zones::export::{At, Entry, Format, Head, Sheet, Soa, serial_after};
use helostat_zones::key::{Form, Key, Kind};
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Role, Zone};
use crate::judge::Judge;
use crate::ledger_judge::LedgerJudge;

/// The longest name of a zone in text form (RFC 1035 section 2.3.4 less the wire's two octets).
const NAME_MAX: usize = 253;
/// While findings come in, a file is looked at again after this time at the latest.
const FINDINGS_COME: Duration = Duration::from_secs(300);

/// What file is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The zone's name, without a final dot.
    pub zone: String,
    /// The label of its kind.
    kind: String,
    /// The word of the format.
    format: String,
    mname: String,
    rname: String,
    soa_ttl: u32,
    soa_times: [u32; 4],
    name_servers: Vec<String>,
    ns_ttl: u32,
    /// For how many seconds entries hold.
    ttl: u32,
    page: Option<String>,
    /// The serial of the file before.
    pub above: Option<u32>,
    /// What the last export said: if nothing has changed since, nothing is written.
    pub last: Option<Seen>,
}

/// As of when an export holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Of the ledger, the policy, the decisions.
    stamp: String,
    /// When time alone could change something.
    until: Time,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// True if there was no need to write: nothing has changed since `last`.
    pub is_current: bool,
    /// Entries.
    pub entries: u64,
    /// Names, and networks of `fp`, for which there was no room: too long, too large, or no names of hosts for BIND.
    pub left_out: u64,
    /// The serial.
    pub serial: u32,
    /// As of when it holds.
    pub seen: Seen,
}

/// Why there is no such export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// None of the zones.
    #[error("there is no zone '{wanted}'; there {}", told(.zones, "is"))]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// What there is.
        zones: Vec<String>,
    },
    /// The label of a kind that several origins have.
    #[error("'{kind}' is in several zones: say which of {}", .zones.join(", "))]
    Several {
        /// The label.
        kind: String,
        /// The zones.
        zones: Vec<String>,
    },
    /// A zone without keys.
    #[error("'{zone}' is an origin, which has name servers only; there {}", told(.zones, "is"))]
    Origin {
        /// The origin.
        zone: String,
        /// The zones that have keys.
        zones: Vec<String>,
    },
    /// A list of the operator's own.
    #[error("'{0}' is a list of yours: the files it is read from are its export")]
    List(String),
    /// The format cannot hold it.
    #[error("{format} cannot hold '{zone}': {why}; {} can", words(*.kind))]
    Format {
        /// The word of the format.
        format: Format,
        /// The zone.
        zone: String,
        /// What it holds.
        kind: Kind,
        /// Why not.
        why: &'static str,
    },
    /// An order from elsewhere that says something else than ours do.
    #[error("the order has an unknown {0}: the daemon is of another version")]
    Foreign(&'static str),
}

fn told(zones: &[String], verb: &str) -> String {
    match zones {
        [] => format!("{verb} none that can be exported"),
        zones => format!("{verb} {}", zones.join(", ")),
    }
}

fn words(kind: Kind) -> String {
    Format::of(kind).map(Format::word).collect::<Vec<_>>().join(", ")
}

impl Order {
    /// The order for a zone by its name, or by the label of its kind where only one zone is of that kind. `longest_ttl`, in seconds,
    /// is how long a file is left alone.
    pub fn new(
        catalog: &Catalog,
        wanted: &str,
        format: Format,
        longest_ttl: u32,
    ) -> Result<Self, OrderError> {
        let zone = find(catalog, wanted)?;
        let name = name_of(zone);
        let kind = match &zone.role {
            Role::Kind(kind) => *kind,
            Role::Origin { .. } => {
                return Err(OrderError::Origin { zone: name, zones: exportable(catalog) });
            }
            Role::List(_) => return Err(OrderError::List(name)),
        };
        if let Some(why) = format.objection(kind) {
            return Err(OrderError::Format { format, zone: name, kind, why });
        }
        let (soa, name_servers, ns_ttl) = zone.authority().in_files();
        let Soa { mname, rname, ttl: soa_ttl, times: soa_times } = soa;
        Ok(Self {
            zone: name,
            kind: kind.label().to_owned(),
            format: format.word().to_owned(),
            mname,
            rname,
            soa_ttl,
            soa_times,
            name_servers,
            ns_ttl,
            ttl: zone.caps.positive_ttl.min(longest_ttl).max(1),
            page: zone.caps.page.clone(),
            above: None,
            last: None,
        })
    }

    fn kind(&self) -> Result<Kind, OrderError> {
        Kind::parse(&self.kind).ok_or(OrderError::Foreign("kind"))
    }

    fn format(&self) -> Result<Format, OrderError> {
        Format::parse(&self.format).ok_or(OrderError::Foreign("format"))
    }
}

fn find<'a>(catalog: &'a Catalog, wanted: &str) -> Result<&'a Zone, OrderError> {
    let name = wanted.trim_end_matches('.').to_ascii_lowercase();
    if let Some(zone) = catalog.zones().iter().find(|zone| name_of(zone) == name) {
        return Ok(zone);
    }
    let of_kind = |zone: &&Zone| matches!(zone.role, Role::Kind(kind) if kind.label() == name);
    let found: Vec<&Zone> = catalog.zones().iter().filter(of_kind).collect();
    match found.as_slice() {
        [zone] => Ok(zone),
        [] => Err(OrderError::Unknown { wanted: wanted.to_owned(), zones: exportable(catalog) }),
        several => Err(OrderError::Several {
            kind: name,
            zones: several.iter().map(|zone| name_of(zone)).collect(),
        }),
    }
}

fn exportable(catalog: &Catalog) -> Vec<String> {
    let kinds = catalog.zones().iter().filter(|zone| matches!(zone.role, Role::Kind(_)));
    kinds.map(name_of).collect()
}

fn name_of(zone: &Zone) -> String {
    zone.apex.to_string().trim_end_matches('.').to_owned()
}

/// Writes the file that is ordered, unless nothing has changed since the last one.
pub fn write(judge: &LedgerJudge, order: &Order, to: &mut dyn Write) -> io::Result<Summary> {
    let foreign = |error: OrderError| io::Error::new(io::ErrorKind::InvalidInput, error);
    let (kind, format) = (order.kind().map_err(foreign)?, order.format().map_err(foreign)?);
    let now = judge.now();
    let serial = serial_after(judge.serial(), order.above);
    let mut until = Time(u32::MAX);
    if judge.looks_up() {
        until = now.after(FINDINGS_COME);
    }
    // Before the first entry: what changes meanwhile is found by the next export.
    let seen = Seen { stamp: judge.stamp(), until };
    if let Some(last) = &order.last
        && last.stamp == seen.stamp
        && now < last.until
    {
        let seen = last.clone();
        return Ok(Summary { is_current: true, entries: 0, left_out: 0, serial, seen });
    }
    let Order { mname, rname, soa_ttl, soa_times, name_servers, ns_ttl, ttl, .. } = order.clone();
    let soa = Soa { mname, rname, ttl: soa_ttl, times: soa_times };
    let zone = order.zone.clone();
    let head = Head { zone, kind, serial, time: now, soa, name_servers, ns_ttl, ttl };
    let mut sheet = format.sheet(kind);
    sheet.head(&head, to)?;
    let mut export = Export {
        judge,
        kind,
        format,
        caps: Caps { page: order.page.clone(), ..Caps::default() },
        head: &head,
        sheet: sheet.as_mut(),
        to: &mut *to,
        summary: Summary { is_current: false, entries: 0, left_out: 0, serial, seen },
    };
    match kind.form() {
        Form::Address => addresses::export(&mut export)?,
        Form::Name => names::export(&mut export)?,
        Form::Pair | Form::ForwardPair => pairs::export(&mut export)?,
    }
    let summary = export.summary;
    sheet.end(&head, to)?;
    to.flush()?;
    Ok(summary)
}

/// An export under way.
struct Export<'a> {
    judge: &'a LedgerJudge,
    kind: Kind,
    format: Format,
    caps: Caps,
    head: &'a Head,
    sheet: &'a mut dyn Sheet,
    to: &'a mut dyn Write,
    summary: Summary,
}

impl Export<'_> {
    /// Writes what an answer says.
    fn say(&mut self, at: At<'_>, answer: &Answer, until: Time) -> io::Result<()> {
        self.entry(&Entry { at, a: &answer.a, txt: answer.txt.as_deref(), until })
    }

    /// Writes that nothing is said.
    fn hole(&mut self, at: At<'_>, until: Time) -> io::Result<()> {
        self.entry(&Entry { at, a: &[], txt: None, until })
    }

    fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        self.note(entry.until);
        if !self.has_room(&entry.at) || !(entry.a.is_empty() || self.takes(&entry.at)) {
            self.summary.left_out += 1;
            return Ok(());
        }
        self.summary.entries += 1;
        self.sheet.entry(self.head, entry, self.to)
    }

    /// Time alone could change something then.
    fn note(&mut self, until: Time) {
        self.summary.seen.until = self.summary.seen.until.min(until);
    }

    /// A test point (RFC 5782 section 5).
    fn test_point(&mut self, at: At<'_>, value: Ipv4Addr) -> io::Result<()> {
        match Answer::fixed(self.kind, &Key::TestListed(value), &self.caps) {
            Some(answer) => self.say(at, &answer, Time(u32::MAX)),
            None => Ok(()),
        }
    }

    fn has_texts(&self) -> bool {
        self.format.has_texts()
    }

    fn takes(&self, at: &At<'_>) -> bool {
        match at {
            At::Clients(_) | At::PairsOf(_) => true,
            At::Name(name) | At::Below(name) | At::Pair(_, name) | At::PairBelow(_, name) => {
                self.format.takes(name)
            }
        }
    }

    /// True if the name of the record is not too long.
    fn has_room(&self, at: &At<'_>) -> bool {
        let v4 = "255.255.255.255".len();
        let of_ip = |ip: &IpAddr| if ip.is_ipv4() { v4 } else { 63 };
        let star = "*.".len();
        let owner = match at {
            At::Clients(_) | At::PairsOf(_) => star + 63,
            At::Name(name) => name.len(),
            At::Below(name) => star + name.len(),
            At::Pair(ip, name) => name.len() + 1 + of_ip(ip),
            At::PairBelow(ip, name) => star + name.len() + 1 + of_ip(ip),
        };
        owner + 1 + self.head.zone.len() + self.format.slack() <= NAME_MAX
    }
}

/// The key that a text, left of the apex, is in a zone of this kind.
fn key_of(kind: Kind, text: &str) -> Key {
    let labels: Vec<&[u8]> = text.split('.').map(str::as_bytes).collect();
    Key::read(kind, &labels)
}

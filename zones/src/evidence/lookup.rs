//! The questions that evidence asks of the DNS, the answers it may get, and how long they hold.
//!
//! Evidence rules are pure; they reach the DNS through [`Lookup`]. The live driver implements it
//! over a resolver, tests over a table. An implementation follows CNAME and DNAME itself, at most
//! [`ALIAS_LINKS_MAX`] links, retries truncated answers over TCP, and never hands out a truncated
//! record set. It says how long its answer holds by the rules of [`Holds`].
//!
//! An absent name and an absent record are one answer, [`Absent`]: a verdict must not depend on
//! NXDOMAIN against NODATA, because compact denial (RFC 9824) and empty non-terminals blur them. The
//! difference is kept only to be shown.
//!
//! Additional sections are not passed on: anybody can put anything there.
//!
//! Who asks says whether such records are common at all ([`Publishing`]): that a record hardly anybody
//! publishes is not there holds longer, so that the historic systems cost little.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::dns_name::DnsName;

/// The longest chain of aliases that is followed.
pub const ALIAS_LINKS_MAX: usize = 8;

/// Something that answers DNS questions.
pub trait Lookup: Sync {
    /// Asks for the records of type `kind` at `name`, class IN. Never hangs: an implementation has
    /// its own time limit and says [`Failure::Timeout`].
    fn lookup(
        &self,
        name: &DnsName,
        kind: RecordType,
        publishing: Publishing,
    ) -> impl Future<Output = Answer> + Send;
}

/// Whether people publish such records at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publishing {
    /// Many do, and who does not may begin tomorrow.
    Common,
    /// Hardly anybody does: that there is nothing holds for [`Holds::rare`].
    Rare,
}

/// The record types that evidence asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address (RFC 3596).
    Aaaa,
    /// Pointer to a name.
    Ptr,
    /// Mail exchanger.
    Mx,
    /// Text.
    Txt,
    /// Responsible person (RFC 1183).
    Rp,
    /// Service location (RFC 2782).
    Srv,
    /// Address prefixes (RFC 3123).
    Apl,
    /// A type of private use, 65280 to 65534 (RFC 6895 section 3.1).
    Private(u16),
}

impl RecordType {
    /// All of them but those of private use.
    pub const ALL: [Self; 8] =
        [Self::A, Self::Aaaa, Self::Ptr, Self::Mx, Self::Txt, Self::Rp, Self::Srv, Self::Apl];

    /// The type that holds addresses of the family of `ip`: the other family is never a match.
    pub fn address_of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::A } else { Self::Aaaa }
    }

    /// Its number on the wire (IANA, DNS parameters).
    pub fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ptr => 12,
            Self::Mx => 15,
            Self::Txt => 16,
            Self::Rp => 17,
            Self::Aaaa => 28,
            Self::Srv => 33,
            Self::Apl => 42,
            Self::Private(number) => number,
        }
    }

    /// Its mnemonic; `TYPE` for those that have none.
    pub fn word(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Ptr => "PTR",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Rp => "RP",
            Self::Srv => "SRV",
            Self::Apl => "APL",
            Self::Private(_) => "TYPE",
        }
    }
}

/// `MX`, or `TYPE65280` (RFC 3597 section 5).
impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Private(number) => write!(f, "{number}"),
            _ => Ok(()),
        }
    }
}

/// What one record says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordData {
    /// A.
    A(Ipv4Addr),
    /// AAAA.
    Aaaa(Ipv6Addr),
    /// PTR.
    Ptr(DnsName),
    /// MX.
    Mx {
        /// Lower is preferred.
        preference: u16,
        /// The host, or the root for "no mail" (RFC 7505).
        exchange: DnsName,
    },
    /// TXT: its strings, not joined.
    Txt(Vec<Box<[u8]>>),
    /// RP.
    Rp {
        /// The mailbox, its first label the local part.
        mailbox: DnsName,
        /// Where a TXT record tells more, or the root.
        text: DnsName,
    },
    /// SRV.
    Srv {
        /// Lower first (CSA: the version).
        priority: u16,
        /// Share among equals (CSA: bits about the name).
        weight: u16,
        /// Service port (CSA: bits about the subtree).
        port: u16,
        /// The host, or the root for "not here".
        target: DnsName,
    },
    /// APL: the octets of its RDATA; the rule that asks for it judges their form.
    Apl(Box<[u8]>),
    /// A type of private use: the octets of its RDATA.
    Private(u16, Box<[u8]>),
}

impl RecordData {
    /// The type this data belongs to.
    pub fn kind(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::Aaaa,
            Self::Ptr(_) => RecordType::Ptr,
            Self::Mx { .. } => RecordType::Mx,
            Self::Txt(_) => RecordType::Txt,
            Self::Rp { .. } => RecordType::Rp,
            Self::Srv { .. } => RecordType::Srv,
            Self::Apl(_) => RecordType::Apl,
            Self::Private(number, _) => RecordType::Private(*number),
        }
    }

    /// The address that an A or AAAA record states.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::A(ip) => Some(IpAddr::V4(*ip)),
            Self::Aaaa(ip) => Some(IpAddr::V6(*ip)),
            _ => None,
        }
    }
}

/// Presentation form, printable ASCII only.
impl fmt::Display for RecordData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(ip) => write!(f, "{ip}"),
            Self::Aaaa(ip) => write!(f, "{ip}"),
            Self::Ptr(name) => write!(f, "{name}"),
            Self::Mx { preference, exchange } => write!(f, "{preference} {exchange}"),
            Self::Rp { mailbox, text } => write!(f, "{mailbox} {text}"),
            Self::Srv { priority, weight, port, target } => {
                write!(f, "{priority} {weight} {port} {target}")
            }
            Self::Txt(strings) => {
                for (at, string) in strings.iter().enumerate() {
                    let gap = if at == 0 { "" } else { " " };
                    write!(f, "{gap}\"{}\"", string.escape_ascii())?;
                }
                Ok(())
            }
            Self::Apl(octets) | Self::Private(_, octets) => {
                write!(f, "\\# {}", octets.len())?;
                octets.iter().try_for_each(|octet| write!(f, " {octet:02X}"))
            }
        }
    }
}

/// What came back for one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Records of the type asked for: at least one.
    Found(Found),
    /// None: neither a failure nor a reason to think less of anybody.
    Absent(Absent),
    /// Nobody knows.
    Failed(Failure),
}

/// Whether an answer is within its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Within its time.
    Fresh,
    /// Past it, and used because the resolver fails (RFC 8767).
    Stale,
}

/// A whole record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where the records were: the end of the alias chain.
    pub owner: DnsName,
    /// Data of the type asked for, in the order received, not empty.
    pub records: Vec<RecordData>,
    /// How long it holds from now.
    pub ttl: Duration,
    /// True if the resolver vouches for it by DNSSEC (the AD bit).
    pub secure: bool,
    /// Whether it is within its time.
    pub age: Age,
}

/// No record of the type asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Where there is none: the end of the alias chain.
    pub owner: DnsName,
    /// The zone that says so: the owner of the SOA in the authority section, if there was one.
    pub zone: Option<DnsName>,
    /// How the server put it; to be shown, never to be judged by.
    pub denial: Denial,
    /// How long it holds from now.
    pub ttl: Duration,
    /// True if the resolver vouches for it by DNSSEC (the AD bit).
    pub secure: bool,
    /// Whether it is within its time.
    pub age: Age,
}

/// The two ways of saying no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The name has no records of this type.
    NoData,
    /// The name does not exist.
    NxDomain,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// An error code: SERVFAIL, REFUSED, NOTIMP, or a referral from what should be a resolver.
    Servfail,
    /// No usable reply in time.
    Timeout,
    /// Truncated, and TCP did not help.
    Truncated,
    /// A message that cannot be read.
    Malformed,
    /// No resolver could be reached.
    Unreachable,
    /// Not asked: one of our own limits was reached.
    Budget,
    /// More than [`ALIAS_LINKS_MAX`] aliases, or a ring of them. Asking again does not help.
    AliasLoop,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Servfail,
        Self::Timeout,
        Self::Truncated,
        Self::Malformed,
        Self::Unreachable,
        Self::Budget,
        Self::AliasLoop,
    ];

    /// The word for it in reasons and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Servfail => "servfail",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::Unreachable => "unreachable",
            Self::Budget => "budget",
            Self::AliasLoop => "alias-loop",
        }
    }

    /// True if what is published is at fault, so that asking again does not help.
    pub fn is_permanent(self) -> bool {
        self == Self::AliasLoop
    }
}

/// How long answers hold. The numbers of `default()` are the rule; tests use shorter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holds {
    /// Records hold at least so long: a TTL of 0 must not make us ask for every connection.
    pub positive_min: Duration,
    /// Records hold at most so long.
    pub positive_max: Duration,
    /// An absence holds at least so long, and exactly so long without an SOA (RFC 2308 section 5
    /// would not cache that at all).
    pub negative_min: Duration,
    /// An absence holds at most so long (RFC 2308 section 5 finds one to three hours sensible).
    pub negative_max: Duration,
    /// That a record is absent which hardly anybody publishes holds at least so long, whatever its SOA says.
    pub rare: Duration,
    /// A failure holds so long (RFC 9520: 1 second to 5 minutes).
    pub failure: Duration,
    /// That one of our own limits was reached holds so long: shorter, since the DNS did nothing wrong.
    pub budget: Duration,
    /// How long past its time an answer may still stand in for a failing resolver (RFC 8767
    /// section 5 suggests one to three days).
    pub stale: Duration,
}

impl Default for Holds {
    fn default() -> Self {
        Self {
            positive_min: Duration::from_secs(60),
            positive_max: Duration::from_secs(86_400),
            negative_min: Duration::from_secs(60),
            negative_max: Duration::from_secs(3 * 3600),
            rare: Duration::from_secs(86_400),
            failure: Duration::from_secs(30),
            budget: Duration::from_secs(5),
            stale: Duration::from_secs(86_400),
        }
    }
}

impl Holds {
    /// How long records with this (lowest) TTL hold.
    pub fn positive(&self, ttl: u32) -> Duration {
        let ttl = Duration::from_secs(u64::from(ttl));
        ttl.max(self.positive_min).min(self.positive_max)
    }

    /// How long an absence holds; `ttl` is min(SOA TTL, SOA MINIMUM), or none without an SOA.
    pub fn negative(&self, ttl: Option<u32>, publishing: Publishing) -> Duration {
        let ttl = Duration::from_secs(u64::from(ttl.unwrap_or(0)));
        let hold = ttl.max(self.negative_min).min(self.negative_max);
        match publishing {
            Publishing::Common => hold,
            Publishing::Rare => hold.max(self.rare),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_follow_the_rules() {
        let holds = Holds::default();
        for (ttl, seconds) in [(0, 60), (59, 60), (300, 300), (86_400, 86_400), (u32::MAX, 86_400)]
        {
            assert_eq!(holds.positive(ttl), Duration::from_secs(seconds), "TTL {ttl}");
        }
        for (ttl, seconds) in [(None, 60), (Some(0), 60), (Some(900), 900), (Some(86_400), 10_800)]
        {
            let hold = holds.negative(ttl, Publishing::Common);
            assert_eq!(hold, Duration::from_secs(seconds), "negative TTL {ttl:?}");
            assert_eq!(holds.negative(ttl, Publishing::Rare), holds.rare, "negative TTL {ttl:?}");
        }
    }

    #[test]
    fn what_strangers_publish_is_shown_as_printable_text() {
        let txt = RecordData::Txt(vec![b"a\"b\n\xff"[..].into(), b"c"[..].into()]);
        assert_eq!(txt.to_string(), r#""a\"b\n\xff" "c""#);
        let apl = RecordData::Apl(vec![0, 1, 24, 3, 192, 0, 2].into());
        assert_eq!(apl.to_string(), "\\# 7 00 01 18 03 C0 00 02");
    }

    #[test]
    fn types_are_told_apart() {
        let numbers: std::collections::BTreeSet<u16> =
            RecordType::ALL.iter().map(|kind| kind.number()).collect();
        assert_eq!(numbers.len(), RecordType::ALL.len());
    }
}

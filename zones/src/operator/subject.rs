//! On whom an operator decides: what is typed, read once.
//!
//! Text in: an address, a prefix, a name, or `*.` and a domain. An IPv4 address is its /32; an IPv6 address is
//! the one address (/128), not its /64: what is written is what is meant. Names are read as EHLO names are
//! ([`crate::name`]), so that capitals and a final dot do not matter. The error is a reason with what to write
//! instead; it goes on after "is the text ...: ".
//!
//! A suffix must leave whoever is below it to one owner. What the registries hand out below (`com`, `co.uk`) is
//! no such thing. A suffix of the list's private section (`dyndns.org`) has one owner and many tenants: it can be
//! denied, and cannot be allowed.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::Kind;
use crate::name::{Name, NameKind};

/// On whom an operator decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The clients of a network, or one address.
    Prefix(IpNet),
    /// Who says this name in EHLO.
    Name(Name),
    /// Who says this domain, or any name below it: written `*.example.com`, here without the `*.`.
    Family(Box<str>),
}

/// Why a text, or a decision on it, is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Nothing.
    #[error("it is empty")]
    Empty,
    /// A prefix with bits behind its length.
    #[error("it has bits beyond its length; write \"{0}\"")]
    HostBits(IpNet),
    /// An IPv4-mapped prefix, which no client would match.
    #[error("write an IPv4 network in IPv4 form")]
    Mapped,
    /// Something with a slash that is no prefix.
    #[error("write a prefix such as \"192.0.2.0/24\" or \"2001:db8::/32\"")]
    NoPrefix,
    /// An address literal.
    #[error("write the address without brackets")]
    Literal,
    /// A name in another script.
    #[error("write its xn-- form")]
    NotAscii,
    /// A star somewhere else.
    #[error("a star stands at the beginning alone, as in \"*.example.com\"")]
    Star,
    /// Nothing that could be said in EHLO, either.
    #[error("it is neither an address, a prefix, a name, nor a family as \"*.example.com\"")]
    Nobody,
    /// A suffix under which anybody registers.
    #[error(
        "{0} is a public suffix: the names below it belong to many owners; write a family such as \"*.example.{0}\""
    )]
    PublicSuffix(Box<str>),
    /// A suffix that lets tenants of all sorts in.
    #[error(
        "{0} lends names to anybody, so it cannot be allowed as a whole; write a name or a family below it"
    )]
    Lent(Box<str>),
    /// A name that nobody can own.
    #[error("nobody owns such a name, so anybody could say it; allow the client's address instead")]
    Ownerless,
}

impl Subject {
    /// Reads an address, a prefix, a name or a family.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        if text.contains('/') {
            return Self::parse_prefix(text);
        }
        match text.parse::<IpAddr>() {
            Ok(ip) => Ok(Self::Prefix(IpNet::from(ip.to_canonical()))),
            Err(_) => Self::parse_name(text),
        }
    }

    /// Reads a prefix.
    fn parse_prefix(text: &str) -> Result<Self, SubjectError> {
        let net: IpNet = text.parse().map_err(|_| SubjectError::NoPrefix)?;
        if net.trunc() != net {
            return Err(SubjectError::HostBits(net.trunc()));
        }
        // Clients are canonical (never IPv4-mapped), so such a prefix would match nobody.
        match net {
            IpNet::V6(six) if six.addr().to_ipv4_mapped().is_some() => Err(SubjectError::Mapped),
            net => Ok(Self::Prefix(net)),
        }
    }

    /// Reads a name, or a family.
    pub fn parse_name(text: &str) -> Result<Self, SubjectError> {
        if text.is_empty() {
            return Err(SubjectError::Empty);
        }
        if !text.is_ascii() {
            return Err(SubjectError::NotAscii);
        }
        if let Some(suffix) = text.strip_prefix("*.") {
            return Self::parse_suffix(suffix);
        }
        let name = Name::parse(text.as_bytes());
        match name.kind() {
            _ if text.contains('*') => Err(SubjectError::Star),
            NameKind::Fqdn | NameKind::Single | NameKind::Reserved => Ok(Self::Name(name)),
            NameKind::Literal => Err(SubjectError::Literal),
            NameKind::BareIp | NameKind::Malformed | NameKind::Absent => Err(SubjectError::Nobody),
        }
    }

    fn parse_suffix(text: &str) -> Result<Self, SubjectError> {
        if text.contains('*') {
            return Err(SubjectError::Star);
        }
        let name = Name::parse(text.as_bytes());
        match name.kind() {
            NameKind::Fqdn | NameKind::Reserved | NameKind::Single => {}
            _ => return Err(SubjectError::Nobody),
        }
        let suffix: Box<str> = name.text().into();
        if psl::domain_str(&suffix).is_none() && !is_lent(&suffix) {
            return Err(SubjectError::PublicSuffix(suffix));
        }
        Ok(Self::Family(suffix))
    }

    /// Why nobody may decide so on this subject.
    pub fn objection(&self, kind: Kind) -> Option<SubjectError> {
        match (kind, self) {
            (Kind::Deny, _) | (_, Self::Prefix(_)) => None,
            (Kind::Allow, Self::Name(name)) => (!name.is_fqdn()).then_some(SubjectError::Ownerless),
            (Kind::Allow, Self::Family(suffix)) if is_lent(suffix) => {
                Some(SubjectError::Lent(suffix.clone()))
            }
            (Kind::Allow, Self::Family(suffix)) => {
                let owned = Name::parse(suffix.as_bytes()).is_fqdn();
                (!owned).then_some(SubjectError::Ownerless)
            }
        }
    }
}

/// True if the text is a suffix of the list's private section: one owner, many tenants.
fn is_lent(text: &str) -> bool {
    let suffix = psl::suffix(text.as_bytes());
    suffix.is_some_and(|suffix| {
        suffix.typ() == Some(psl::Type::Private) && suffix.as_bytes().len() == text.len()
    })
}

/// As it is typed: `192.0.2.7`, `192.0.2.0/24`, `mail.example.com`, `*.example.com`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(net) if net.prefix_len() == net.max_prefix_len() => {
                write!(f, "{}", net.addr())
            }
            Self::Prefix(net) => write!(f, "{net}"),
            Self::Name(name) => write!(f, "{name}"),
            Self::Family(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

//! What a journal entry tells the ledger to do beside taking in observations.

use std::fmt;

use ipnet::IpNet;

use crate::client::{Client, Network};
use crate::ledger::bounds::Worth;
use crate::ledger::codec::{DecodeError, Reader, Writer};
use crate::ledger::table::{Sweep, Target};
use crate::name::Name;
use crate::time::Day;

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Op {
    /// Nothing.
    #[default]
    None,
    /// Forget for lack of room, or for age.
    Sweep(Sweep),
    /// Forget on request.
    Forget(Target),
    /// Hold these crowds as ordinary texts again.
    Dissolve(Vec<CrowdOf>),
}

/// What a crowd is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CrowdOf {
    /// A name.
    Name(Box<str>),
    /// A family.
    Family(Box<str>),
}

/// The same, of a text that lies in somebody else's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Said<'a> {
    /// A name.
    Name(&'a str),
    /// A family.
    Family(&'a str),
}

impl CrowdOf {
    /// What it is of, without its own memory.
    pub(super) fn said(&self) -> Said<'_> {
        match self {
            Self::Name(text) => Said::Name(text),
            Self::Family(text) => Said::Family(text),
        }
    }
}

impl Op {
    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            Self::None => writer.octet(0),
            Self::Sweep(Sweep { worth, before }) => {
                writer.octet(1);
                writer.u64(worth.0);
                writer.varint(u64::from(before.0));
            }
            Self::Forget(target) => {
                writer.octet(2);
                writer.bytes(target.to_string().as_bytes());
            }
            Self::Dissolve(crowds) => {
                writer.octet(3);
                writer.count(crowds.len());
                for crowd in crowds {
                    let (what, text) = match crowd {
                        CrowdOf::Name(text) => (0, text),
                        CrowdOf::Family(text) => (1, text),
                    };
                    writer.octet(what);
                    writer.bytes(text.as_bytes());
                }
            }
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.octet()? {
            0 => Ok(Self::None),
            1 => {
                Ok(Self::Sweep(Sweep { worth: Worth(reader.u64()?), before: Day(reader.small()?) }))
            }
            2 => {
                let text = reader.text()?;
                let (what, whom) = text.split_once(' ').ok_or(DecodeError::Malformed)?;
                let target = match what {
                    "client" => Client::parse(whom).map(Target::Client),
                    "network" => parse_network(whom).map(Target::Network),
                    "name" => Some(Target::Name(Name::parse(whom.as_bytes()))),
                    "family" => Some(Target::Family(whom.to_owned())),
                    _ => None,
                };
                target.map(Self::Forget).ok_or(DecodeError::Malformed)
            }
            3 => {
                let mut crowds = Vec::new();
                for _ in 0..reader.count()? {
                    crowds.push(match reader.octet()? {
                        0 => CrowdOf::Name(reader.text()?.into()),
                        1 => CrowdOf::Family(reader.text()?.into()),
                        _ => return Err(DecodeError::Malformed),
                    });
                }
                Ok(Self::Dissolve(crowds))
            }
            _ => Err(DecodeError::Malformed),
        }
    }
}

/// `client 192.0.2.7`, `network 192.0.2.0/24`, `name mail.example.com`, `family example.com`; as stored.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client) => write!(f, "client {client}"),
            Self::Network(network) => write!(f, "network {network}"),
            Self::Name(name) => write!(f, "name {}", name.text()),
            Self::Family(family) => write!(f, "family {family}"),
        }
    }
}

impl Target {
    /// What somebody who types this wants to be forgotten: an address, an IPv4 /24 or IPv6 /48 (or a /64,
    /// which is a client), else a name; `*.example.com` is the family of a name.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(client) = Client::parse(text) {
            return Some(Self::Client(client));
        }
        if text.contains('/') {
            return parse_network(text).map(Self::Network);
        }
        if let Some(domain) = text.strip_prefix("*.") {
            let name = Name::parse(domain.as_bytes());
            return (name.family() == Some(name.text()))
                .then(|| Self::Family(name.text().to_owned()));
        }
        Some(Self::Name(Name::parse(text.as_bytes())))
    }
}

fn parse_network(text: &str) -> Option<Network> {
    let prefix: IpNet = text.parse().ok()?;
    let network = Client::of(prefix.network()).network();
    (network.prefix() == prefix.trunc()).then_some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_they_are_typed() {
        for (typed, read) in [
            ("192.0.2.7", Some("client 192.0.2.7")),
            ("2001:db8::7", Some("client 2001:db8::/64")),
            ("2001:db8::/64", Some("client 2001:db8::/64")),
            ("192.0.2.0/24", Some("network 192.0.2.0/24")),
            ("192.0.2.9/24", Some("network 192.0.2.0/24")),
            ("2001:db8::/48", Some("network 2001:db8::/48")),
            ("192.0.2.0/23", None),
            ("Mail.Example.COM", Some("name mail.example.com")),
            ("*.example.com", Some("family example.com")),
            ("*.mail.example.com", None),
            ("[192.0.2.7]", Some("name [192.0.2.7]")),
        ] {
            let target = Target::parse(typed);
            assert_eq!(target.as_ref().map(ToString::to_string).as_deref(), read, "{typed}");
            let Some(target) = target else { continue };
            let mut writer = Writer::begin();
            Op::Forget(target.clone()).write(&mut writer);
            let record = writer.finish();
            let op = Reader::new(&record).and_then(|mut reader| Op::read(&mut reader));
            assert_eq!(op, Ok(Op::Forget(target)), "{typed}");
        }
    }
}

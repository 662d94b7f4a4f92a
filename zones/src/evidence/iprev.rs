//! Forward-confirmed reverse DNS, the `iprev` method of RFC 8601 (sections 2.7.3 and 3).
//!
//! Questions: PTR at the reverse name of the client, then A (IPv4 client) or AAAA (IPv6 client) of
//! each name found, at most 10 of them in sorted order, so that the outcome does not depend on the
//! order of an answer. Aliases in the reverse tree are normal (RFC 2317).
//!
//! | finding | when |
//! |---|---|
//! | `pass` | the address is among those of at least one name |
//! | `pass:ehlo` | ... of the very name that the client said |
//! | `pass:family` | ... of a name that shares its registrable domain |
//! | `fail:mismatch` | both directions answered, no name leads back |
//! | `fail:noaddr` | no name has any address of the family |
//! | `permerror:noptr` | no PTR is published (the RFC's word; the policy reads it as "none") |
//! | `permerror:alias-loop` | the reverse name is an alias without an end |
//! | `temperror:*` | the DNS failed, and no other name leads back |
//!
//! RFC 8601 itself warns that this is no authentication: generic names of access networks pass.

use std::net::IpAddr;

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::{HostAddresses, Inquiry};
use super::lookup::Lookup;
use super::options::Iprev as Options;
use super::reverse;
use crate::name::Name;

/// What FCrDNS says of the client at `ip` (canonical) that said `name`.
pub async fn evaluate<L: Lookup>(
    lookup: &L,
    ip: IpAddr,
    name: &Name,
    options: &Options,
) -> Finding {
    let mut inquiry = Inquiry::new(lookup);
    let hosts = match reverse::names(&mut inquiry, ip, options.names).await {
        Ok(hosts) if hosts.is_empty() => {
            return inquiry.conclude(FindingResult::Permerror, Some("noptr"));
        }
        Ok(hosts) => hosts,
        Err(failure) => return inquiry.give_up(failure),
    };

    let mut failed = None;
    let mut mismatch = false;
    for (likeness, host) in ranked(hosts, name) {
        match inquiry.compare(&host, ip).await {
            HostAddresses::Include => {
                return inquiry.conclude(FindingResult::Pass, likeness.reason());
            }
            HostAddresses::Exclude => mismatch = true,
            HostAddresses::Missing => {}
            // A name that leads nowhere for ever is a name without an address.
            HostAddresses::Failed(failure) if failure.is_permanent() => {}
            HostAddresses::Failed(failure) => failed = failed.or(Some(failure)),
        }
    }
    if let Some(failure) = failed {
        return inquiry.give_up(failure);
    }
    let reason = if mismatch { "mismatch" } else { "noaddr" };
    inquiry.conclude(FindingResult::Fail, Some(reason))
}

/// How a reverse name is related to the name that the client said, closest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    Ehlo,
    Family,
    Other,
}

impl Likeness {
    fn of(host: &DnsName, said: &Name) -> Self {
        if DnsName::of(said).as_ref() == Some(host) {
            return Self::Ehlo;
        }
        let host = Name::parse(host.to_string().as_bytes());
        if host.family().is_some() && host.family() == said.family() {
            return Self::Family;
        }
        Self::Other
    }

    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Ehlo => Some("ehlo"),
            Self::Family => Some("family"),
            Self::Other => None,
        }
    }
}

/// The names to ask for, those closest to the name said first, so that the first that leads back
/// gives the strongest reason.
fn ranked(hosts: Vec<DnsName>, said: &Name) -> Vec<(Likeness, DnsName)> {
    let mut ranked: Vec<_> =
        hosts.into_iter().map(|host| (Likeness::of(&host, said), host)).collect();
    ranked.sort();
    ranked
}

//! UnifiedSPF (W. Leibzon): SPF once more, for the client's own name, the one that its address leads to
//! and that leads back.
//!
//! Questions: PTR at the reverse name of the client; then, name by name, its addresses and, if the
//! client's is among them, what [`super::spf`] asks for it, with the sender `postmaster@` and that name.
//! The name that the client said comes first, the others follow in sorted order, at most 10 in all; the
//! first that has an SPF record decides.
//!
//! | finding | when |
//! |---|---|
//! | those of [`super::spf`] | a validated reverse name has a record |
//! | `none` | there are such names, none has a record |
//! | `none:noptr` | no reverse name leads back to the client |
//! | `temperror:*` | the DNS failed at the reverse name, or at a name whose addresses might lead back, and no other has a record |
//! | `permerror:alias-loop` | the reverse name is an alias without an end |

use std::net::IpAddr;

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::{HostAddresses, Inquiry};
use super::lookup::Lookup;
use super::options;
use super::reverse;
use super::spf::{self, Sender};
use crate::name::Name;

/// What SPF says of the client at `ip` (canonical) by its reverse names; it said `name`.
pub async fn evaluate<L: Lookup>(
    lookup: &L,
    ip: IpAddr,
    name: &Name,
    options: &options::Options,
) -> Finding {
    let mut inquiry = Inquiry::new(lookup);
    let mut hosts = match reverse::names(&mut inquiry, ip, options.iprev.names).await {
        Ok(hosts) => hosts,
        Err(failure) => return inquiry.give_up(failure),
    };
    let said = DnsName::of(name);
    hosts.sort_by_key(|host| said.as_ref() != Some(host));

    let mut failed = None;
    let mut validated = false;
    for host in hosts {
        match inquiry.compare(&host, ip).await {
            HostAddresses::Include => validated = true,
            HostAddresses::Exclude | HostAddresses::Missing => continue,
            // A name that leads nowhere for ever is a name without an address.
            HostAddresses::Failed(failure) if failure.is_permanent() => continue,
            HostAddresses::Failed(failure) => {
                failed = failed.or(Some(failure));
                continue;
            }
        }
        let text = host.to_string();
        let domain = text.trim_end_matches('.');
        let sender = Sender { local: "", domain, helo: name.text() };
        let verdict = spf::check(&mut inquiry, ip, domain, sender, &options.spf).await;
        if verdict.result != FindingResult::None {
            return inquiry.conclude(verdict.result, verdict.reason);
        }
    }
    match failed {
        Some(failure) => inquiry.give_up(failure),
        None if validated => inquiry.conclude(FindingResult::None, None),
        None => inquiry.conclude(FindingResult::None, Some("noptr")),
    }
}

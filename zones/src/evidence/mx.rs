//! MX covers sender (J. Fitzgibbon, 2003) and null MX (RFC 7505): is the client a mail exchanger of the
//! domain whose name it bears?
//!
//! Questions: MX at the name, then at its parents up to the registrable domain, at most 3, never at a
//! public suffix; for each, A (IPv4 client) or AAAA (IPv6 client) of the exchangers in the order of
//! preference, equal ones by name, at most 10. The first domain that covers the client ends the search,
//! and no host is asked for twice. That a domain has addresses of its own makes it no exchanger ("implicit
//! MX"): that is [`super::forward`].
//!
//! | finding | when |
//! |---|---|
//! | `pass:host` | an exchanger of the name itself has the client's address |
//! | `pass:parent` | ... of a domain above it |
//! | `neutral:notcovered` | there are exchangers, none has it (or none of the first 10) |
//! | `neutral:nullmx` | there are only null MX: no mail to here |
//! | `none` | no MX at any of the names, or the name is a public suffix |
//! | `none:no-name` | not a name that the DNS holds |
//! | `temperror:*`, `permerror:alias-loop` | a question failed, and nothing else covers the client |
//!
//! Never `fail`: that mail comes in here says nothing about where it goes out (D. Otis, 2009). A null MX
//! beside others is an error of the publisher and is ignored; so is an exchanger that is an address in
//! the place of a name. An exchanger that is an alias is tolerated, though RFC 2181 section 10.3 forbids it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::{HostAddresses, Inquiry};
use super::lookup::{Answer, Failure, Lookup, RecordData, RecordType};
use super::options::Mx as Options;
use crate::name::Name;

/// What the mail exchangers say of the client at `ip` (canonical) that said `name`.
pub async fn evaluate<L: Lookup>(
    lookup: &L,
    ip: IpAddr,
    name: &Name,
    options: &Options,
) -> Finding {
    let mut inquiry = Inquiry::new(lookup);
    let Some(host) = DnsName::of(name) else {
        return inquiry.conclude(FindingResult::None, Some("no-name"));
    };

    let mut failed = None;
    let mut seen = BTreeSet::new();
    let mut asked = BTreeSet::new();
    for domain in candidates(name, &host, options.domains) {
        let found = match inquiry.ask(&domain, RecordType::Mx).await {
            Answer::Found(found) => found.records,
            Answer::Absent(_) => continue,
            Answer::Failed(failure) => {
                failed = worse(failed, failure);
                continue;
            }
        };
        let (kind, exchanges) = exchanges(found);
        seen.insert(kind);
        for exchange in exchanges.into_iter().take(options.exchanges) {
            if !asked.insert(exchange.clone()) {
                continue;
            }
            match inquiry.compare(&exchange, ip).await {
                HostAddresses::Include => {
                    let reason = if domain == host { "host" } else { "parent" };
                    return inquiry.conclude(FindingResult::Pass, Some(reason));
                }
                HostAddresses::Exclude | HostAddresses::Missing => {}
                HostAddresses::Failed(failure) => failed = worse(failed, failure),
            }
        }
    }

    if let Some(failure) = failed {
        return inquiry.give_up(failure);
    }
    match seen.last() {
        Some(Exchangers::Some) => inquiry.conclude(FindingResult::Neutral, Some("notcovered")),
        Some(Exchangers::Null) => inquiry.conclude(FindingResult::Neutral, Some("nullmx")),
        None => inquiry.conclude(FindingResult::None, None),
    }
}

/// What the MX records of a domain say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exchangers {
    /// It takes no mail.
    Null,
    /// It names hosts, usable or not.
    Some,
}

/// The exchangers to ask for, each once, in order of preference.
fn exchanges(records: Vec<RecordData>) -> (Exchangers, Vec<DnsName>) {
    let mut named: Vec<(u16, DnsName)> = records
        .into_iter()
        .filter_map(|data| match data {
            RecordData::Mx { preference, exchange } => Some((preference, exchange)),
            _ => None,
        })
        .filter(|(_, exchange)| !exchange.is_root())
        .collect();
    if named.is_empty() {
        return (Exchangers::Null, Vec::new());
    }
    named.sort();
    let mut exchanges: Vec<DnsName> = Vec::new();
    for (_, exchange) in named {
        if !is_address(&exchange) && !exchanges.contains(&exchange) {
            exchanges.push(exchange);
        }
    }
    (Exchangers::Some, exchanges)
}

/// True for an address that was written where a name belongs: `192.0.2.7.`, `[192.0.2.7].`
fn is_address(exchange: &DnsName) -> bool {
    let text = exchange.to_string();
    let text = text.trim_end_matches('.');
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inside.strip_prefix("ipv6:").unwrap_or(inside).parse::<IpAddr>().is_ok()
}

/// The name and its parents up to the registrable domain; none for a public suffix.
fn candidates(name: &Name, host: &DnsName, limit: usize) -> Vec<DnsName> {
    let Some(family) = psl::domain_str(name.text()) else {
        return Vec::new();
    };
    let highest = family.split('.').count();
    (highest..=host.depth()).rev().take(limit).map(|depth| host.ancestor(depth)).collect()
}

/// A failure that may pass is the better reason not to know.
fn worse(known: Option<Failure>, failure: Failure) -> Option<Failure> {
    known.filter(|known| !known.is_permanent()).or(Some(failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_go_up_to_the_registrable_domain() {
        for (said, expected) in [
            ("mail.example.com", "mail.example.com. example.com."),
            ("example.com", "example.com."),
            ("a.b.example.co.uk", "a.b.example.co.uk. b.example.co.uk. example.co.uk."),
            ("a.b.c.example.com", "a.b.c.example.com. b.c.example.com. c.example.com."),
            ("co.uk", ""),
        ] {
            let name = Name::parse(said.as_bytes());
            let host = DnsName::of(&name).expect(said);
            let found: Vec<String> =
                candidates(&name, &host, 3).iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), expected, "{said}");
        }
    }

    #[test]
    fn addresses_are_no_exchangers() {
        for (exchange, expected) in [
            ("192.0.2.7.", true),
            ("[192.0.2.7].", true),
            ("2001:db8::7.", true),
            ("[IPv6:2001:db8::7].", true),
            ("192.0.2.7.example.com.", false),
            ("mail.example.com.", false),
            ("192.0.2.", false),
        ] {
            let name = DnsName::parse(exchange).expect(exchange);
            assert_eq!(is_address(&name), expected, "{exchange}");
        }
    }
}

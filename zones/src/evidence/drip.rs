//! Designated Relays Inquiry Protocol (draft-brand-drip-02): one address record per address that may
//! use a name.
//!
//! Questions: A at `192_0_2_7.IPv4.relays._email_.<name>`, or AAAA at
//! `2001_0db8_0000_0000_0000_0000_0000_0007.IPv6.relays._email_.<name>`, every word in four digits. If the name
//! has nothing to say, the same at its parents, from the registrable domain downwards, at most 5: that is
//! the draft's recommendation for names whose domain takes part and which have no record of their own.
//!
//! A single record that states the client's address designates it, so that no wildcard can designate
//! everybody. A single record with any other address, by custom `0.0.0.0` or `::`, denies it. Several records
//! say nothing.
//!
//! The draft's defaults are wildcards, and many domains have another one, `*.example.com`, that has an address
//! for every name there is. So where an address is found, one more question is asked: at
//! `relays._email_.<name>`, where a domain that takes part has none. An address there is that other
//! wildcard's, and the domain says nothing.
//!
//! | finding | when |
//! |---|---|
//! | `pass` | designated |
//! | `fail:denied` | denied |
//! | `fail:parent` | the name says nothing, and a parent has a record for the address, whatever it says |
//! | `none` | nothing published that says something |
//! | `none:no-name` | not a name that the DNS holds |
//! | `temperror:*` | a question failed that was needed |
//!
//! An alias without an end is a permanent error, which the draft counts as "no participant".

use std::net::IpAddr;

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::Inquiry;
use super::lookup::{Answer, Failure, Lookup, RecordType};
use super::options::Drip as Options;
use crate::name::Name;

/// The node below which all records of a domain are; it has none itself.
const NODE: [&str; 2] = ["relays", "_email_"];

/// What DRIP says of the client at `ip` (canonical) that said `name`.
pub async fn evaluate<L: Lookup>(
    lookup: &L,
    ip: IpAddr,
    name: &Name,
    options: &Options,
) -> Finding {
    let mut inquiry = Inquiry::rare(lookup);
    let Some(host) = DnsName::of(name) else {
        return inquiry.conclude(FindingResult::None, Some("no-name"));
    };
    match status(&mut inquiry, &host, ip).await {
        Ok(Some(Status::Designated)) => return inquiry.conclude(FindingResult::Pass, None),
        Ok(Some(Status::Denied)) => return inquiry.conclude(FindingResult::Fail, Some("denied")),
        Ok(None) => {}
        Err(failure) => return inquiry.give_up(failure),
    }
    for parent in host.parents(name).take(options.parents) {
        match status(&mut inquiry, &parent, ip).await {
            Ok(Some(_)) => return inquiry.conclude(FindingResult::Fail, Some("parent")),
            Ok(None) => {}
            Err(failure) => return inquiry.give_up(failure),
        }
    }
    inquiry.conclude(FindingResult::None, None)
}

/// What a domain says of an address.
#[derive(Clone, Copy, Debug)]
enum Status {
    Designated,
    Denied,
}

/// The status of an address at a domain; `None` if the domain says nothing, or if the name of that record is
/// too long to be asked for.
async fn status<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    domain: &DnsName,
    ip: IpAddr,
) -> Result<Option<Status>, Failure> {
    let Some(owner) = owner(domain, ip) else {
        return Ok(None);
    };
    let status = match inquiry.ask(&owner, RecordType::address_of(ip)).await {
        Answer::Found(found) => match found.records.as_slice() {
            [data] if data.ip() == Some(ip) => Status::Designated,
            [_] => Status::Denied,
            _ => return Ok(None),
        },
        Answer::Absent(_) => return Ok(None),
        Answer::Failed(failure) if failure.is_permanent() => return Ok(None),
        Answer::Failed(failure) => return Err(failure),
    };
    let Some(node) = domain.below(&NODE) else {
        return Ok(None);
    };
    match inquiry.ask(&node, RecordType::address_of(ip)).await {
        Answer::Found(_) => Ok(None),
        Answer::Absent(_) => Ok(Some(status)),
        Answer::Failed(failure) if failure.is_permanent() => Ok(None),
        Answer::Failed(failure) => Err(failure),
    }
}

/// Where a domain speaks of an address.
fn owner(domain: &DnsName, ip: IpAddr) -> Option<DnsName> {
    let (address, version) = match ip {
        IpAddr::V4(ip) => (ip.octets().map(|octet| octet.to_string()).join("_"), "ipv4"),
        IpAddr::V6(ip) => (ip.segments().map(|word| format!("{word:04x}")).join("_"), "ipv6"),
    };
    domain.below(&[[&address, version], NODE].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_draft_does() {
        for (ip, expected) in [
            ("127.0.0.1", "127_0_0_1.ipv4.relays._email_.example.com."),
            ("192.0.2.10", "192_0_2_10.ipv4.relays._email_.example.com."),
            ("::1", "0000_0000_0000_0000_0000_0000_0000_0001.ipv6.relays._email_.example.com."),
            (
                "2002:c000:201::1234",
                "2002_c000_0201_0000_0000_0000_0000_1234.ipv6.relays._email_.example.com.",
            ),
        ] {
            let domain = DnsName::parse("example.com").expect("a name");
            let owner = owner(&domain, ip.parse().expect(ip)).expect("short enough");
            assert_eq!(owner.to_string(), expected, "{ip}");
        }
    }

    #[test]
    fn parents_are_searched_from_the_registrable_domain_downwards() {
        for (said, limit, expected) in [
            ("mail.example.com", 5, "example.com."),
            ("example.com", 5, ""),
            ("co.uk", 5, ""),
            ("a.b.example.co.uk", 5, "example.co.uk. b.example.co.uk."),
            ("a.b.example.co.uk", 1, "example.co.uk."),
            ("a.b.example.co.uk", 0, ""),
        ] {
            let name = Name::parse(said.as_bytes());
            let host = DnsName::of(&name).expect(said);
            let found: Vec<String> =
                host.parents(&name).take(limit).map(|parent| parent.to_string()).collect();
            assert_eq!(found.join(" "), expected, "{said} limit {limit}");
        }
    }
}

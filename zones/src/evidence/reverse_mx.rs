//! Reverse MX: a network lists its mail servers as MX records in its reverse zone (T. Panula-Ontto on
//! the ASRG list, 2003; the source fixes the idea only, the rules here are this project's).
//!
//! Questions. **Host**: MX at the reverse name of the client, through aliases to their end C. Records
//! there are the list, for this one address. Otherwise the zone Z of C (the SOA of the negative answer)
//! bounds who may speak. **Network**: MX at the ancestors of C at or below Z, the most specific first; the
//! first that has MX records is the list.
//!
//! | C | asked |
//! |---|---|
//! | the reverse name of an IPv4 address | its /24 and /16; with the option `slash8` its /8 |
//! | another name in `in-addr.arpa` (RFC 2317) | the parents of C up to Z, at most 4 |
//! | in `ip6.arpa` | /64, /56, /48, /32 and Z, at most 4, the most specific |
//! | elsewhere (RFC 2317 section 5.2) | nothing: an MX there says where mail for a domain goes |
//!
//! Nothing above Z is asked (another administrator), nothing at all where Z is a registry's: an IPv4 /8
//! (unless `slash8`), an IPv6 node shorter than /28, or above. A negative answer without SOA counts as one from the
//! /24 (IPv4), or ends it (IPv6).
//!
//! **Membership**, preference ignored. An exchange that spells an address, as a whole reverse name or as a
//! dotted quad (a common mistake), is compared as it is; of every other one the addresses are asked for,
//! at most 20 exchanges in sorted order. That the client's reverse *name* is among the exchanges counts for
//! nothing: a customer who controls only his PTR could borrow the provider's.
//!
//! | finding | when |
//! |---|---|
//! | `pass` | the client is in the list |
//! | `fail:empty-list` | the list is only `.`: no mail servers here |
//! | `fail:notlisted` | there is a list without the client |
//! | `fail:nolist` | there is none, and the option `strict` (after the flag day) |
//! | `none` | there is none |
//! | `permerror:too-many` | more exchanges than are asked for, none of those led to the client |
//! | `permerror:alias-loop` | a node is an alias without an end; or an exchange is, and no other is the client |
//! | `temperror:*` | a node could not be asked; or an exchange, and no other is the client |
//!
//! Limits: 5 MX questions, 20 address questions. A `fail` is the word of the address's holder, often an old
//! one: new servers are missing from stale lists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::{HostAddresses, Inquiry};
use super::lookup::{Absent, Answer, Failure, Lookup, RecordData, RecordType};
use super::options::ReverseMx as Options;
use super::reverse;

/// The most nodes above the host that are asked.
const NODES_MAX: usize = 4;
/// The labels of `in-addr.arpa` and `ip6.arpa`.
const TREE_LABELS: usize = 2;
/// The labels of an IPv4 /16 and /8.
const V4_SLASH16: usize = TREE_LABELS + 2;
const V4_SLASH8: usize = TREE_LABELS + 1;
/// The labels of the IPv6 nodes that are asked: /64, /56, /48, /32.
const V6_NODES: [usize; 4] =
    [TREE_LABELS + 16, TREE_LABELS + 14, TREE_LABELS + 12, TREE_LABELS + 8];
/// The labels of the shortest IPv6 node, a /28.
const V6_SHORTEST: usize = TREE_LABELS + 7;

/// What Reverse MX says of the client at `ip` (canonical).
pub async fn evaluate<L: Lookup>(lookup: &L, ip: IpAddr, options: &Options) -> Finding {
    let mut inquiry = Inquiry::rare(lookup);
    let absent = match inquiry.ask(&DnsName::reverse(ip), RecordType::Mx).await {
        Answer::Found(found) => return judge(inquiry, found.records, ip, options).await,
        Answer::Absent(absent) => absent,
        Answer::Failed(failure) => return inquiry.give_up(failure),
    };
    for node in networks(ip, &absent, options) {
        match inquiry.ask(&node, RecordType::Mx).await {
            Answer::Found(found) => return judge(inquiry, found.records, ip, options).await,
            Answer::Absent(_) => {}
            Answer::Failed(failure) => return inquiry.give_up(failure),
        }
    }
    match options.strict {
        true => inquiry.conclude(FindingResult::Fail, Some("nolist")),
        false => inquiry.conclude(FindingResult::None, None),
    }
}

/// The tree that a name lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tree {
    V4,
    V6,
}

impl Tree {
    /// `None` for a name outside both, and for their tops.
    fn of(name: &DnsName) -> Option<Self> {
        let top = name.ancestor(2);
        match name.depth() {
            0..=2 => None,
            _ if top.labels().eq([&b"in-addr"[..], b"arpa"]) => Some(Self::V4),
            _ if top.labels().eq([&b"ip6"[..], b"arpa"]) => Some(Self::V6),
            _ => None,
        }
    }
}

/// The nodes that may hold the list of the network, the most specific first.
fn networks(ip: IpAddr, absent: &Absent, options: &Options) -> Vec<DnsName> {
    let host = &absent.owner;
    let Some(tree) = Tree::of(host) else {
        return Vec::new();
    };
    let zone = match &absent.zone {
        Some(zone) => zone.clone(),
        None if ip.is_ipv4() => reverse::node(ip, 24),
        None => return Vec::new(),
    };
    let shortest = match tree {
        Tree::V4 if options.slash8 => V4_SLASH8,
        Tree::V4 => V4_SLASH16,
        Tree::V6 => V6_SHORTEST,
    };
    if !host.is_within(&zone) || zone.depth() < shortest {
        return Vec::new();
    }
    let asked = |depth: &usize| match tree {
        Tree::V4 => true,
        Tree::V6 => V6_NODES.contains(depth) || *depth == zone.depth(),
    };
    let depths = (zone.depth()..host.depth()).rev().filter(asked).take(NODES_MAX);
    depths.map(|depth| host.ancestor(depth)).collect()
}

/// The verdict of a list.
async fn judge<L: Lookup>(
    mut inquiry: Inquiry<'_, L>,
    list: Vec<RecordData>,
    ip: IpAddr,
    options: &Options,
) -> Finding {
    let mut exchanges: Vec<DnsName> = list.into_iter().filter_map(exchange).collect();
    exchanges.sort();
    exchanges.dedup();
    if exchanges.is_empty() {
        return inquiry.conclude(FindingResult::Fail, Some("empty-list"));
    }
    if exchanges.iter().any(|exchange| spelled(exchange) == Some(ip)) {
        return inquiry.conclude(FindingResult::Pass, None);
    }
    // One that spells another address has said all it can.
    exchanges.retain(|exchange| spelled(exchange).is_none());

    let mut failed: Option<Failure> = None;
    let mut endless: Option<Failure> = None;
    for exchange in exchanges.iter().take(options.exchanges) {
        match inquiry.compare(exchange, ip).await {
            HostAddresses::Include => return inquiry.conclude(FindingResult::Pass, None),
            HostAddresses::Exclude | HostAddresses::Missing => {}
            HostAddresses::Failed(failure) if failure.is_permanent() => endless = Some(failure),
            HostAddresses::Failed(failure) => failed = failed.or(Some(failure)),
        }
    }
    if let Some(failure) = failed {
        return inquiry.give_up(failure);
    }
    if exchanges.len() > options.exchanges {
        return inquiry.conclude(FindingResult::Permerror, Some("too-many"));
    }
    if let Some(failure) = endless {
        return inquiry.give_up(failure);
    }
    inquiry.conclude(FindingResult::Fail, Some("notlisted"))
}

/// The host that a record names; `None` for `.`, which names nobody.
fn exchange(data: RecordData) -> Option<DnsName> {
    match data {
        RecordData::Mx { exchange, .. } => Some(exchange).filter(|exchange| !exchange.is_root()),
        _ => None,
    }
}

/// The address that a name spells: a whole reverse name, or a dotted quad.
fn spelled(name: &DnsName) -> Option<IpAddr> {
    let mut labels = Vec::new();
    for label in name.labels() {
        labels.push(std::str::from_utf8(label).ok()?);
    }
    match labels.as_slice() {
        [d, c, b, a, "in-addr", "arpa"] | [a, b, c, d] => {
            let ip: Ipv4Addr = format!("{a}.{b}.{c}.{d}").parse().ok()?;
            Some(IpAddr::V4(ip))
        }
        [nibbles @ .., "ip6", "arpa"] if nibbles.len() == 32 => {
            let mut bits = 0;
            for nibble in nibbles.iter().rev() {
                let [digit] = nibble.as_bytes() else {
                    return None;
                };
                bits = bits << 4 | u128::from(char::from(*digit).to_digit(16)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::lookup::{Age, Denial};
    use super::*;

    /// 2001:db8::7, and nodes above it.
    const HOST: &str = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
    const SLASH64: &str = "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
    const SLASH56: &str = "0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
    const SLASH48: &str = "0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
    const SLASH40: &str = "0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
    const SLASH32: &str = "8.b.d.0.1.0.0.2.ip6.arpa.";
    const SLASH28: &str = "b.d.0.1.0.0.2.ip6.arpa.";
    const SLASH24: &str = "d.0.1.0.0.2.ip6.arpa.";

    fn name(text: &str) -> DnsName {
        DnsName::parse(text).expect(text)
    }

    fn asked(ip: &str, owner: &str, zone: Option<&str>, slash8: bool) -> Vec<String> {
        let absent = Absent {
            owner: name(owner),
            zone: zone.map(name),
            denial: Denial::NoData,
            ttl: Duration::ZERO,
            secure: false,
            age: Age::Fresh,
        };
        let options = Options { slash8, ..Options::default() };
        let nodes = networks(ip.parse().expect(ip), &absent, &options);
        nodes.iter().map(DnsName::to_string).collect()
    }

    #[test]
    fn networks_of_ipv4_end_at_the_zone() {
        let host = "7.2.0.192.in-addr.arpa.";
        let child = "7.0/25.2.0.192.in-addr.arpa.";
        let (slash24, slash16, slash8) =
            ("2.0.192.in-addr.arpa.", "0.192.in-addr.arpa.", "192.in-addr.arpa.");
        for (owner, zone, option, expected) in [
            (host, Some(slash24), false, &[slash24][..]),
            (host, Some(slash16), false, &[slash24, slash16]),
            (host, Some(slash8), false, &[]),
            (host, Some(slash8), true, &[slash24, slash16, slash8]),
            (host, Some("in-addr.arpa."), true, &[]),
            (host, Some("."), true, &[]),
            (host, Some(host), false, &[]),
            (host, None, false, &[slash24]),
            (host, Some("9.9.9.in-addr.arpa."), false, &[]),
            (child, Some("0/25.2.0.192.in-addr.arpa."), false, &["0/25.2.0.192.in-addr.arpa."]),
            (child, Some(slash24), false, &["0/25.2.0.192.in-addr.arpa.", slash24]),
            (child, None, false, &["0/25.2.0.192.in-addr.arpa.", slash24]),
            ("7.3.0.192.in-addr.arpa.", None, false, &[]),
            ("7.example.com.", Some("example.com."), false, &[]),
            ("7.example.com.", None, false, &[]),
            ("in-addr.arpa.", Some("in-addr.arpa."), false, &[]),
        ] {
            assert_eq!(asked("192.0.2.7", owner, zone, option), expected, "{owner} {zone:?}");
        }
        let deep = asked("192.0.2.7", "a.b.c.d.e.f.2.0.192.in-addr.arpa.", None, false);
        assert_eq!(deep.len(), NODES_MAX, "{deep:?}");
    }

    #[test]
    fn networks_of_ipv6_end_at_the_zone() {
        for (zone, expected) in [
            (Some(SLASH64), &[SLASH64][..]),
            (Some(SLASH48), &[SLASH64, SLASH56, SLASH48]),
            (Some(SLASH40), &[SLASH64, SLASH56, SLASH48, SLASH40]),
            (Some(SLASH32), &[SLASH64, SLASH56, SLASH48, SLASH32]),
            (Some(SLASH28), &[SLASH64, SLASH56, SLASH48, SLASH32]),
            (Some(SLASH24), &[]),
            (Some("ip6.arpa."), &[]),
            (None, &[]),
        ] {
            assert_eq!(asked("2001:db8::7", HOST, zone, false), expected, "{zone:?}");
        }
    }

    #[test]
    fn exchanges_that_spell_addresses_are_read() {
        for (text, expected) in [
            ("7.2.0.192.in-addr.arpa.", Some("192.0.2.7")),
            ("192.0.2.7.", Some("192.0.2.7")),
            (HOST, Some("2001:db8::7")),
            ("2.0.192.in-addr.arpa.", None),
            ("x.7.2.0.192.in-addr.arpa.", None),
            ("300.2.0.192.in-addr.arpa.", None),
            ("192.0.2.300.", None),
            ("07.2.0.192.in-addr.arpa.", None),
            (SLASH64, None),
            ("7.2.0.192.example.com.", None),
            ("out.example.net.", None),
            (".", None),
        ] {
            let expected = expected.map(|ip| ip.parse().expect(ip));
            assert_eq!(spelled(&name(text)), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_reverse_name_spells_its_address(v4 in any::<u32>(), v6 in any::<u128>()) {
            for ip in [IpAddr::V4(Ipv4Addr::from(v4)), IpAddr::V6(Ipv6Addr::from(v6)).to_canonical()] {
                prop_assert_eq!(spelled(&DnsName::reverse(ip)), Some(ip));
            }
        }

        #[test]
        fn no_octets_break_the_reader(
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..5), 0..40)
        ) {
            let _: Option<IpAddr> = DnsName::from_labels(labels).and_then(|name| spelled(&name));
        }
    }
}

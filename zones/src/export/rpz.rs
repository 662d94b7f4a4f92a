//! A response policy zone (draft-vixie-dnsop-dns-rpz) for Unbound, BIND, Knot Resolver, PowerDNS: whom a resolver says not to exist.
//!
//! - `bl`: triggers on addresses in answers (`rpz-ip`): a name that leads to a listed address has none any more. So
//!   the mail server finds neither the EHLO name nor the reverse name of a listed client. Not on addresses of who asks
//!   (`rpz-client-ip`): the senders of mail do not ask your resolver, and nothing would ever match.
//! - `ehlo`: triggers on names (QNAME): the name does not exist, so the server's own check of EHLO names refuses it.
//!
//! Owners have no `$ORIGIN`: give the zone any name but that of the zone it was made of, which the resolver must go on asking
//! helostat for. Names are checked as if `rpz.` were put before it ([`SLACK`]).
//!
//! 127.0.0.0/8 is left out, listed or not, and with it the test points: the answers of all block lists are addresses in
//! it, and the resolver would take them away.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::{At, Entry, Format, Head, Sheet, title, zonefile};

/// How many octets longer the name of the zone may be.
pub(super) const SLACK: usize = "rpz.".len();
/// The name does not exist.
const NXDOMAIN: &str = "CNAME .";
/// The name is none of our business.
const PASSTHRU: &str = "CNAME rpz-passthru.";

/// A policy zone.
pub(super) struct Rpz;

impl Sheet for Rpz {
    fn head(&mut self, head: &Head, to: &mut dyn Write) -> io::Result<()> {
        writeln!(to, "; {}", title(Format::Rpz, head))?;
        writeln!(to, "; Load it under another name than {0}, such as rpz.{0}", head.zone)?;
        writeln!(to, "$TTL {}", head.ttl)?;
        zonefile::authority(head, to)
    }

    fn entry(&mut self, _: &Head, entry: &Entry<'_>, to: &mut dyn Write) -> io::Result<()> {
        let action = if entry.is_hole() { PASSTHRU } else { NXDOMAIN };
        match entry.at {
            At::Clients(range) => {
                for net in range.without_loopback().flat_map(|range| range.prefixes(1)) {
                    writeln!(to, "{} {action}", owner(net))?;
                }
                Ok(())
            }
            At::Name(name) => writeln!(to, "{name} {action}"),
            At::Below(name) => writeln!(to, "*.{name} {action}"),
            // No format for zones of pairs (`Format::objection`).
            At::Pair(..) | At::PairBelow(..) | At::PairsOf(_) => Ok(()),
        }
    }

    fn end(&mut self, _: &Head, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// The owner of a prefix: its length, and its parts from the last to the first.
fn owner(net: IpNet) -> String {
    let length = net.prefix_len();
    let parts = match net.network() {
        IpAddr::V4(ip) => ip.octets().iter().rev().map(u8::to_string).collect::<Vec<_>>().join("."),
        IpAddr::V6(ip) => parts_of(ip),
    };
    format!("{length}.{parts}.rpz-ip")
}

/// Groups in hexadecimal, the longest run of zeros as `zz`. BIND wants it as RFC 5952 has it, so that there is one way to say it.
fn parts_of(ip: Ipv6Addr) -> String {
    let groups = ip.segments();
    let (mut run, mut longest) = (0..0, 0..0);
    for (place, group) in groups.iter().enumerate() {
        run = if *group == 0 { run.start.min(place)..place + 1 } else { place + 1..place + 1 };
        if run.len() > longest.len() {
            longest = run.clone();
        }
    }
    if longest.len() < 2 {
        longest = 0..0;
    }
    let mut parts = Vec::with_capacity(groups.len());
    for (place, group) in groups.iter().enumerate().rev() {
        if !longest.contains(&place) {
            parts.push(format!("{group:x}"));
        } else if place == longest.start {
            parts.push("zz".to_owned());
        }
    }
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_have_owners() {
        for (net, expected) in [
            ("192.0.2.7/32", "32.7.2.0.192.rpz-ip"),
            ("192.0.2.0/24", "24.0.2.0.192.rpz-ip"),
            ("2001:db8:1:2::/64", "64.zz.2.1.db8.2001.rpz-ip"),
            ("2001:db8::7/128", "128.7.zz.db8.2001.rpz-ip"),
            ("2001:0:0:1::/64", "64.zz.1.0.0.2001.rpz-ip"),
            ("2001:0:0:1:1:0:0:1/128", "128.1.0.0.1.1.zz.2001.rpz-ip"),
            ("2001:db8:0:1:1:1:1:1/128", "128.1.1.1.1.1.0.db8.2001.rpz-ip"),
            ("::/1", "1.zz.rpz-ip"),
        ] {
            assert_eq!(owner(net.parse().expect(net)), expected, "{net}");
        }
    }
}

//! A file for rbldnsd (and for our own lists): `rbldnsd ... ZONE:combined:FILE`.
//!
//! ```text
//! # helostat 0.1.0, rbldnsd of bl.rep.example.net, serial 42, 2026-11-28T10:40:00Z
//! $SOA 3600 ns.rep.example.net hostmaster.rep.example.net 42 3600 600 604800 60
//! $NS 3600 ns.rep.example.net
//! $DATASET ip4set @
//! $TTL 300
//! 192.0.2.7 :127.0.0.2:helostat: listed ...
//! 192.0.2.7 :127.0.0.4:
//! $DATASET ip6trie @
//! ...
//! ```
//!
//! Names and pairs are a `dnset`. A further value is a further line without a text. An `ip6trie` has one value for a prefix, so the second
//! values of IPv6 clients stand in a second one, and so on: these are kept until the end of the file, 24 octets each.
//!
//! In a text `$` is doubled, since rbldnsd puts the address in its place; a text ends where the line ends, so what is not printable becomes
//! `?` (no text of ours has such octets). Texts are cut at 254 octets, as rbldnsd would cut them.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use ipnet::IpNet;

use super::{At, Entry, Format, Head, Sheet, pair_owner, title};

/// The shortest prefix of an `ip4set`.
const SHORTEST_V4: u8 = 8;

/// The longest text that rbldnsd says whole.
const TEXT_MAX: usize = 254;

/// A file for rbldnsd.
#[derive(Default)]
pub(super) struct Rbldnsd {
    now: Option<Dataset>,
    /// Further values of IPv6 prefixes, with their places, which begin with 1.
    more: Vec<(u8, IpNet, Ipv4Addr)>,
}

/// What kind of dataset the lines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dataset {
    Ip4Set,
    Ip6Trie,
    DnSet,
}

impl Dataset {
    fn word(self) -> &'static str {
        match self {
            Self::Ip4Set => "ip4set",
            Self::Ip6Trie => "ip6trie",
            Self::DnSet => "dnset",
        }
    }

    fn begin(self, head: &Head, to: &mut dyn Write) -> io::Result<()> {
        writeln!(to, "$DATASET {} @\n$TTL {}", self.word(), head.ttl)
    }
}

impl Rbldnsd {
    fn set(&mut self, dataset: Dataset, head: &Head, to: &mut dyn Write) -> io::Result<()> {
        if self.now == Some(dataset) {
            return Ok(());
        }
        self.now = Some(dataset);
        dataset.begin(head, to)
    }

    fn prefix(
        &mut self,
        net: IpNet,
        entry: &Entry<'_>,
        head: &Head,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        if matches!(net, IpNet::V4(_)) {
            self.set(Dataset::Ip4Set, head, to)?;
            return lines(&shown(net), entry, to);
        }
        self.set(Dataset::Ip6Trie, head, to)?;
        let mut values = entry.a.iter();
        if let Some(value) = values.next() {
            line(&shown(net), *value, entry.txt, to)?;
        }
        self.more.extend((1..).zip(values).map(|(place, value)| (place, net, *value)));
        Ok(())
    }

    fn name(
        &mut self,
        name: &str,
        entry: &Entry<'_>,
        head: &Head,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        self.set(Dataset::DnSet, head, to)?;
        if entry.is_hole() {
            return writeln!(to, "!{name}");
        }
        lines(name, entry, to)
    }
}

impl Sheet for Rbldnsd {
    fn head(&mut self, head: &Head, to: &mut dyn Write) -> io::Result<()> {
        let Head { soa, serial, ns_ttl, .. } = head;
        let [refresh, retry, expire, minimum] = soa.times;
        let (ttl, mname, rname) = (soa.ttl, &soa.mname, &soa.rname);
        writeln!(to, "# {}", title(Format::Rbldnsd, head))?;
        writeln!(to, "$SOA {ttl} {mname} {rname} {serial} {refresh} {retry} {expire} {minimum}")?;
        writeln!(to, "$NS {ns_ttl} {}", head.name_servers.join(" "))
    }

    fn entry(&mut self, head: &Head, entry: &Entry<'_>, to: &mut dyn Write) -> io::Result<()> {
        match entry.at {
            At::Clients(range) => {
                let shortest = if matches!(range, super::Range::V4(..)) { SHORTEST_V4 } else { 1 };
                range.prefixes(shortest).try_for_each(|net| self.prefix(net, entry, head, to))
            }
            At::PairsOf(range) => range.pair_owners(|owner| self.name(&owner, entry, head, to)),
            At::Name(name) => self.name(name, entry, head, to),
            At::Below(name) => self.name(&format!("*.{name}"), entry, head, to),
            At::Pair(ip, name) => self.name(&pair_owner(head.kind, ip, name), entry, head, to),
            At::PairBelow(ip, name) => {
                self.name(&format!("*.{}", pair_owner(head.kind, ip, name)), entry, head, to)
            }
        }
    }

    fn end(&mut self, head: &Head, to: &mut dyn Write) -> io::Result<()> {
        self.more.sort_by_key(|(place, ..)| *place);
        let mut begun = 0;
        for (place, net, value) in &self.more {
            if *place != begun {
                Dataset::Ip6Trie.begin(head, to)?;
                begun = *place;
            }
            line(&shown(*net), *value, None, to)?;
        }
        // A zone must have some dataset, or rbldnsd does not take the file.
        if self.now.is_none() { Dataset::DnSet.begin(head, to) } else { Ok(()) }
    }
}

/// A prefix, or an IPv4 address without its length.
fn shown(net: IpNet) -> String {
    match net {
        IpNet::V4(net) if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
        // An IPv4-mapped address would be shown with dots, which rbldnsd does not read.
        IpNet::V6(net) if net.addr().to_ipv4_mapped().is_some() => {
            let words = net.addr().segments().map(|word| format!("{word:x}"));
            format!("{}/{}", words.join(":"), net.prefix_len())
        }
        net => net.to_string(),
    }
}

/// A line for each value; the first has the text.
fn lines(key: &str, entry: &Entry<'_>, to: &mut dyn Write) -> io::Result<()> {
    let mut text = entry.txt;
    for value in entry.a {
        line(key, *value, text.take(), to)?;
    }
    Ok(())
}

fn line(key: &str, value: Ipv4Addr, text: Option<&str>, to: &mut dyn Write) -> io::Result<()> {
    write!(to, "{key} :{value}:")?;
    let mut room = TEXT_MAX;
    for octet in text.unwrap_or_default().bytes() {
        let shown: &[u8] = match &octet {
            b'$' => b"$$",
            0x20..0x7f => std::slice::from_ref(&octet),
            _ => b"?",
        };
        if shown.len() > room {
            break;
        }
        room -= shown.len();
        to.write_all(shown)?;
    }
    writeln!(to)
}

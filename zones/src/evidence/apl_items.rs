//! Address prefixes as an APL record has them (RFC 3123): their octets, and which of them decides.
//!
//! An item is the address family (two octets: 1 IPv4, 2 IPv6), the prefix length (one octet), one octet of
//! a negation bit and the length of what follows, and the address without its trailing zero octets. Zeros
//! that were left are accepted, and bits beyond the prefix are ignored. Items of other families are
//! passed over. A length out of its range, or one that runs over the end, makes the record unreadable.
//!
//! The items of all records are one set without an order: the longest prefix that has the address
//! decides, and of two of the same length the negated one. The RFC leaves that to whoever uses
//! the record; its own example, a small negated block behind a large one, has an effect only so.

use std::net::IpAddr;

use ipnet::IpNet;

use super::lookup::RecordData;

/// The octet of negation and length: negation.
const NEGATED: u8 = 0x80;

/// The items of a record set.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Prefixes {
    items: Vec<Item>,
}

/// One item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    negated: bool,
    /// None for a family that has no IP addresses.
    prefix: Option<IpNet>,
}

/// A record that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// What the set says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// It is in.
    Listed,
    /// It is in, by a prefix so short that it says nothing.
    TooWide,
    /// It is taken out by "!".
    Excluded,
    /// Nothing has it, though there are items of its family, or no items at all.
    Missing,
    /// There are items, none of its family.
    OtherFamily,
}

impl Prefixes {
    /// Adds the items of all APL records among `records`.
    pub(super) fn add(&mut self, records: &[RecordData]) -> Result<(), Unreadable> {
        for data in records {
            if let RecordData::Apl(octets) = data {
                self.items.extend(read(octets).ok_or(Unreadable)?);
            }
        }
        Ok(())
    }

    /// What the set says of `ip`.
    pub(super) fn listing(&self, ip: IpAddr) -> Listing {
        let prefixes = self.items.iter().filter_map(|item| Some((item.prefix?, item.negated)));
        let decisive = prefixes
            .filter(|(prefix, _)| prefix.contains(&ip))
            .max_by_key(|(prefix, negated)| (prefix.prefix_len(), *negated));
        match decisive {
            Some((_, true)) => Listing::Excluded,
            Some((prefix, false)) if is_too_wide(prefix) => Listing::TooWide,
            Some((_, false)) => Listing::Listed,
            None if self.items.is_empty() || self.speaks_of_family(ip) => Listing::Missing,
            None => Listing::OtherFamily,
        }
    }

    fn speaks_of_family(&self, ip: IpAddr) -> bool {
        let mut prefixes = self.items.iter().filter_map(|item| item.prefix);
        prefixes.any(|prefix| prefix.addr().is_ipv4() == ip.is_ipv4())
    }
}

/// Whole networks of continents: such a list is no statement about anybody.
fn is_too_wide(prefix: IpNet) -> bool {
    let shortest = if prefix.addr().is_ipv4() { 8 } else { 16 };
    prefix.prefix_len() < shortest
}

/// The items of one record.
fn read(mut octets: &[u8]) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    while !octets.is_empty() {
        let (&[family_high, family_low, length, flags], rest) = octets.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(usize::from(flags & !NEGATED))?;
        let prefix = match u16::from_be_bytes([family_high, family_low]) {
            1 => Some(prefix(filled::<4>(part)?, length)?),
            2 => Some(prefix(filled::<16>(part)?, length)?),
            _ => None,
        };
        items.push(Item { negated: flags & NEGATED != 0, prefix });
        octets = rest;
    }
    Some(items)
}

/// The network of the first `length` bits of an address.
pub(super) fn prefix(address: impl Into<IpAddr>, length: u8) -> Option<IpNet> {
    IpNet::new(address.into(), length).ok().map(|prefix| prefix.trunc())
}

/// The octets with the zeros that were left out behind them; `None` if there are too many.
pub(super) fn filled<const LENGTH: usize>(part: &[u8]) -> Option<[u8; LENGTH]> {
    let mut octets = [0; LENGTH];
    octets.get_mut(..part.len())?.copy_from_slice(part);
    Some(octets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(octets: &[u8]) -> Option<String> {
        let items = read(octets)?.into_iter().map(|item| {
            let sign = if item.negated { "!" } else { "" };
            item.prefix.map_or_else(|| format!("{sign}?"), |prefix| format!("{sign}{prefix}"))
        });
        Some(items.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn items_are_read() {
        let cases: [(&[u8], Option<&str>); 17] = [
            // The layouts of the RFC.
            (&[0, 1, 24, 3, 192, 0, 2], Some("192.0.2.0/24")),
            (&[0, 1, 32, 0x84, 192, 0, 2, 7], Some("!192.0.2.7/32")),
            (&[0, 2, 32, 4, 0x20, 1, 0x0d, 0xb8], Some("2001:db8::/32")),
            (&[0, 1, 0, 0], Some("0.0.0.0/0")),
            (&[], Some("")),
            (&[0, 1, 8, 1, 10, 0, 1, 16, 2, 172, 16], Some("10.0.0.0/8 172.16.0.0/16")),
            // Trailing zeros that should have been left out, and bits beyond the prefix.
            (&[0, 1, 24, 4, 192, 0, 2, 0], Some("192.0.2.0/24")),
            (&[0, 1, 24, 4, 192, 0, 2, 7], Some("192.0.2.0/24")),
            // A family that is none of ours may have any length.
            (&[0, 3, 200, 0x85, 1, 2, 3, 4, 5, 0, 1, 0, 0], Some("!? 0.0.0.0/0")),
            // Lengths out of range, and ends too early.
            (&[0, 1, 33, 4, 192, 0, 2, 7], None),
            (&[0, 2, 129, 1, 0x20], None),
            (&[0, 1, 24, 5, 192, 0, 2, 0, 0], None),
            (&[0, 2, 24, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8], None),
            (&[0, 1, 24, 3, 192, 0], None),
            (&[0, 1, 24], None),
            (&[0], None),
            (&[0, 1, 24, 3, 192, 0, 2, 0], None),
        ];
        for (octets, expected) in cases {
            assert_eq!(shown(octets).as_deref(), expected, "{octets:?}");
        }
    }

    #[test]
    fn the_longest_prefix_decides_and_then_negation() {
        let item = |text: &str| {
            let positive = text.strip_prefix('!');
            let prefix = positive.unwrap_or(text).parse().ok();
            Item { negated: positive.is_some(), prefix }
        };
        for (items, ip, expected) in [
            ("192.0.2.0/24", "192.0.2.7", Listing::Listed),
            ("192.0.2.0/24 !192.0.2.0/24", "192.0.2.7", Listing::Excluded),
            ("192.0.2.0/24 !192.0.2.0/25 192.0.2.7/32", "192.0.2.7", Listing::Listed),
            ("0.0.0.0/0 192.0.2.0/24", "192.0.2.7", Listing::Listed),
            ("128.0.0.0/7", "129.0.2.7", Listing::TooWide),
            ("10.0.0.0/8", "10.0.2.7", Listing::Listed),
            ("!0.0.0.0/0", "192.0.2.7", Listing::Excluded),
            ("2000::/15", "2001:db8::7", Listing::TooWide),
            ("2001::/16", "2001:db8::7", Listing::Listed),
            ("2001:db8::/32", "192.0.2.7", Listing::OtherFamily),
            ("?", "192.0.2.7", Listing::OtherFamily),
            ("? 10.0.0.0/8", "192.0.2.7", Listing::Missing),
            ("", "192.0.2.7", Listing::Missing),
        ] {
            let items: Vec<Item> = items.split_ascii_whitespace().map(item).collect();
            let reversed = Prefixes { items: items.iter().rev().copied().collect() };
            let ip = ip.parse().expect(ip);
            assert_eq!(Prefixes { items: items.clone() }.listing(ip), expected, "{items:?} {ip}");
            assert_eq!(reversed.listing(ip), expected, "{items:?} {ip} in the other order");
        }
    }

    proptest! {
        #[test]
        fn no_octets_break_the_reader(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut prefixes = Prefixes::default();
            if prefixes.add(&[RecordData::Apl(octets.into())]).is_ok() {
                prefixes.listing([192, 0, 2, 7].into());
            }
        }
    }
}

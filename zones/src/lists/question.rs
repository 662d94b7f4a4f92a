//! A question's name, and the address that it may be.

use std::net::IpAddr;

use crate::answer::Exists;

use super::address::mask6;
use super::wire;

/// The most octets of a name without its root.
const NAME_MAX: usize = 254;
/// 6to4 addresses (RFC 3056): 16 bits, then an IPv4 address.
const SIX_TO_FOUR: (u128, u32) = (0x2002 << 112, 16);
/// IPv4-mapped addresses (RFC 4291 section 2.5.5.2): 96 bits, then an IPv4 address.
const MAPPED: (u128, u32) = (0xffff << 32, 96);

/// A name left of a zone, in wire form and small letters.
pub(super) struct Name {
    octets: [u8; NAME_MAX],
    length: usize,
}

impl Name {
    /// A name from its labels, leftmost first; `None` if no name can be so long.
    pub(super) fn read(labels: &[&[u8]]) -> Option<Self> {
        let mut name = Self { octets: [0; NAME_MAX], length: 0 };
        for label in labels {
            let place = name.octets.get_mut(name.length..name.length + 1 + label.len())?;
            let (length, rest) = place.split_first_mut()?;
            *length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
            for (place, octet) in rest.iter_mut().zip(*label) {
                *place = octet.to_ascii_lowercase();
            }
            name.length += 1 + label.len();
        }
        Some(name)
    }

    pub(super) fn wire(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

/// Which addresses the datasets of a zone list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Families {
    pub(super) v4: bool,
    pub(super) v6: bool,
}

/// The addresses that a question is about, and what it is if none is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) v4: Option<u32>,
    pub(super) v6: Option<u128>,
    pub(super) unlisted: Exists,
}

impl Addresses {
    /// None.
    pub(super) const NONE: Self = Self { v4: None, v6: None, unlisted: Exists::NxDomain };

    /// Reads a name in wire form: four reversed octets, 32 reversed nibbles, or a part of these.
    pub(super) fn read(name: &[u8], families: Families) -> Self {
        if families == Families::default() {
            return Self::NONE;
        }
        let nibbles = nibbles(name);
        let is_above_v6 = nibbles.is_some_and(|(prefix, count)| {
            (1..32).contains(&count)
                && (families.v6
                    || [SIX_TO_FOUR, MAPPED].into_iter().any(|(base, bits)| {
                        (prefix ^ base) & mask6(bits.min(4 * count as u32)) == 0
                    }))
        });
        let octets = octets(name);
        let is_above_v4 = families.v4 && octets.is_some_and(|(_, count)| (1..4).contains(&count));
        let unlisted = if is_above_v4 || is_above_v6 { Exists::NoData } else { Exists::NxDomain };
        match (octets, nibbles) {
            (Some((v4, 4)), _) => Self { v4: Some(v4), v6: None, unlisted },
            (_, Some((v6, 32))) => Self { unlisted, ..Self::of_v6(v6, families) },
            _ => Self { unlisted, ..Self::NONE },
        }
    }

    /// The addresses of a client.
    pub(super) fn of(ip: IpAddr, families: Families) -> Self {
        match ip {
            IpAddr::V4(ip) => Self { v4: Some(ip.into()), ..Self::NONE },
            IpAddr::V6(ip) => Self::of_v6(ip.to_bits(), families),
        }
    }

    /// An IPv6 address may carry an IPv4 address, which is looked for where there are IPv4 lists.
    fn of_v6(v6: u128, families: Families) -> Self {
        let is_in = |(base, bits)| (v6 ^ base) & mask6(bits) == 0;
        match families.v4 {
            true if is_in(SIX_TO_FOUR) => {
                Self { v4: Some((v6 >> 80) as u32), v6: Some(v6), ..Self::NONE }
            }
            true if is_in(MAPPED) => Self { v4: Some(v6 as u32), ..Self::NONE },
            _ => Self { v6: Some(v6), ..Self::NONE },
        }
    }
}

/// The address that up to four labels of octets spell from the right, and how many there are.
fn octets(name: &[u8]) -> Option<(u32, usize)> {
    let (mut address, mut count) = (0, 0);
    for label in wire::labels(name) {
        if count == 4 {
            return None;
        }
        address |= octet(label)? << (8 * count);
        count += 1;
    }
    Some((address, count))
}

/// Up to three digits, with zeros before them or not.
fn octet(label: &[u8]) -> Option<u32> {
    if label.len() > 3 {
        return None;
    }
    let mut value = 0;
    for &octet in label {
        value = value * 10 + super::line::digit(octet)?;
    }
    (value < 256).then_some(value)
}

/// The prefix that up to 32 labels of one hexadecimal digit spell from the right, and how many there are.
fn nibbles(name: &[u8]) -> Option<(u128, usize)> {
    let count = name.len() / 2;
    if count > 32 || !name.len().is_multiple_of(2) {
        return None;
    }
    let mut prefix = 0;
    for (place, pair) in name.chunks_exact(2).enumerate() {
        let [1, digit] = pair else { return None };
        let value = char::from(*digit).to_digit(16)?;
        prefix |= u128::from(value) << (4 * (32 - count + place));
    }
    Some((prefix, count))
}

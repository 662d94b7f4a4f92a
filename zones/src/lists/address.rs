//! Addresses, prefixes and ranges as dataset files have them.
//!
//! Each function reads from a cursor and leaves it behind what it read, or where it failed. What may follow is the
//! caller's business. Octets may have leading zeros, as in rbldnsd.

use super::line::{Cursor, digit};

/// The bits of an IPv4 prefix.
#[inline]
pub(super) fn mask4(bits: u32) -> u32 {
    u32::MAX.checked_shl(32 - bits).unwrap_or(0)
}

/// The bits of an IPv6 prefix.
pub(super) fn mask6(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

/// An address alone: four octets and nothing else, as most lines of most lists are. What is `None` here may be an
/// address all the same.
#[inline]
pub(super) fn alone4(text: &[u8]) -> Option<u32> {
    let (mut address, mut octet, mut digits, mut dots) = (0, 0, 0, 0);
    for &byte in text {
        if let Some(value) = digit(byte) {
            octet = octet * 10 + value;
            digits += 1;
            if digits > 3 {
                return None;
            }
        } else if byte == b'.' && digits > 0 && octet < 256 {
            address = address << 8 | octet;
            (octet, digits) = (0, 0);
            dots += 1;
        } else {
            return None;
        }
    }
    (dots == 3 && digits > 0 && octet < 256).then_some(address << 8 | octet)
}

/// One to four octets: the address with zeros for what is missing, and 8, 16, 24 or 32.
#[inline]
pub(super) fn prefix4(cursor: &mut Cursor<'_>) -> Option<(u32, u32)> {
    let mut address = octet(cursor)? << 24;
    for (bits, shift) in [(8, 16), (16, 8), (24, 0)] {
        if cursor.peek() != b'.' {
            return Some((address, bits));
        }
        cursor.skip(1);
        address |= octet(cursor)? << shift;
    }
    Some((address, 32))
}

#[inline]
fn octet(cursor: &mut Cursor<'_>) -> Option<u32> {
    let mut number = digit(cursor.peek())?;
    cursor.skip(1);
    while let Some(value) = digit(cursor.peek()) {
        number = number * 10 + value;
        if number > 255 {
            return None;
        }
        cursor.skip(1);
    }
    Some(number)
}

/// The number behind a `/`, at most `most`.
fn bits(cursor: &mut Cursor<'_>, most: u32) -> Option<u32> {
    let mut number = digit(cursor.peek())?;
    cursor.skip(1);
    while let Some(value) = digit(cursor.peek()) {
        number = number * 10 + value;
        if number > most {
            return None;
        }
        cursor.skip(1);
    }
    Some(number)
}

/// `a.b.c.d`, `a.b.c`, `a.b` or any of them with `/bits`: the address as it stands, and its bits.
/// One octet alone is no prefix.
pub(super) fn cidr4(cursor: &mut Cursor<'_>) -> Option<(u32, u32)> {
    let (address, width) = prefix4(cursor)?;
    if cursor.peek() == b'/' {
        cursor.skip(1);
        return Some((address, bits(cursor, 32)?));
    }
    (width > 8).then_some((address, width))
}

/// A range of IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range4 {
    /// The first address, as it stands.
    pub(super) first: u32,
    /// The last address.
    pub(super) last: u32,
    /// The bits of the prefix; 32 if the range was written as one.
    pub(super) bits: u32,
}

/// What [`cidr4`] reads, or `from-to`, where `to` is as long as `from` or one octet in the place of its last.
#[inline]
pub(super) fn range4(cursor: &mut Cursor<'_>) -> Option<Range4> {
    let (first, mut width) = prefix4(cursor)?;
    match cursor.peek() {
        b'-' => {
            cursor.skip(1);
            let (mut last, mut to) = prefix4(cursor)?;
            if to == 8 {
                last = (last >> (width - 8)) | (first & mask4(width - 8));
                to = width;
            }
            if to != width {
                return None;
            }
            last |= !mask4(width);
            (first <= last).then_some(Range4 { first, last, bits: 32 })
        }
        b'/' => {
            cursor.skip(1);
            width = bits(cursor, 32)?;
            Some(Range4 { first, last: first | !mask4(width), bits: width })
        }
        _ if width == 8 => None,
        _ => Some(Range4 { first, last: first | !mask4(width), bits: width }),
    }
}

/// An address as old libraries read it: the last octet written is the last of the address (`127.2` is
/// 127.0.0.2, `2` is 0.0.0.2); and how many bits were written.
pub(super) fn address4(cursor: &mut Cursor<'_>) -> Option<(u32, u32)> {
    let (address, width) = prefix4(cursor)?;
    let address = match width {
        8 => address >> 24,
        16 => (address & 0xff00_0000) | ((address >> 16) & 0xff),
        24 => (address & 0xffff_0000) | ((address >> 8) & 0xff),
        _ => address,
    };
    Some((address, width))
}

/// The words of an IPv6 address, with zeros for missing ones at the end, and 16 for each word; 128 if there was a
/// `::`. As loose as rbldnsd: `1::2:` and any number of zeros before a word will do.
pub(super) fn prefix6(cursor: &mut Cursor<'_>) -> Option<(u128, u32)> {
    let (mut words, mut count) = ([0_u16; 8], 0);
    let mut gap = None;
    let mut width = None;
    if cursor.peek() == b':' && cursor.peek_at(1) == b':' {
        gap = Some(0);
        cursor.skip(2);
    }
    while let Some(word) = word6(cursor) {
        *words.get_mut(count)? = word;
        count += 1;
        if cursor.peek() != b':' || count == words.len() {
            width = Some(16 * count as u32);
            break;
        }
        cursor.skip(1);
        if gap.is_none() && cursor.peek() == b':' {
            gap = Some(count);
            cursor.skip(1);
        }
    }
    if let Some(gap) = gap {
        if count == words.len() {
            return None;
        }
        let behind = words.get_mut(gap..)?;
        behind.rotate_right(8 - count);
        width = Some(128);
    }
    let address = words.iter().fold(0, |address, &word| address << 16 | u128::from(word));
    width.map(|width| (address, width))
}

/// Up to four hexadecimal digits, not counting zeros before them.
fn word6(cursor: &mut Cursor<'_>) -> Option<u16> {
    let mut word: u16 = 0;
    let start = cursor.column();
    while let Some(value) = char::from(cursor.peek()).to_digit(16) {
        if word > 0x0fff {
            return None;
        }
        word = word << 4 | value as u16;
        cursor.skip(1);
    }
    (cursor.column() > start).then_some(word)
}

/// What [`prefix6`] reads, or that with `/bits`. One word alone is no prefix.
pub(super) fn cidr6(cursor: &mut Cursor<'_>) -> Option<(u128, u32)> {
    let (address, width) = prefix6(cursor)?;
    if cursor.peek() == b'/' {
        cursor.skip(1);
        return Some((address, bits(cursor, 128)?));
    }
    (width > 16).then_some((address, width))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> u32 {
        text.parse::<Ipv4Addr>().expect(text).into()
    }

    #[test]
    fn reads_ranges() {
        for (text, range) in [
            ("127.0.0.0/24", Some(("127.0.0.0", "127.0.0.255", 24))),
            ("127.0.0", Some(("127.0.0.0", "127.0.0.255", 24))),
            ("127/24", Some(("127.0.0.0", "127.0.0.255", 24))),
            ("127-127.0.0", None),
            ("127.0.0.1-255", Some(("127.0.0.1", "127.0.0.255", 32))),
            ("127.16-127.31", Some(("127.16.0.0", "127.31.255.255", 32))),
            ("127.16-31", Some(("127.16.0.0", "127.31.255.255", 32))),
            ("127.16.0-31", Some(("127.16.0.0", "127.16.31.255", 32))),
            ("1-2", Some(("1.0.0.0", "2.255.255.255", 32))),
            ("127.2.3.4/24", Some(("127.2.3.4", "127.2.3.255", 24))),
            ("127.0.0.9-8", None),
            ("127", None),
            ("1.2-1.2.3.4", None),
            ("1.2.3.256", None),
            ("1.2.3.4/33", None),
            ("1.2.3.", None),
            ("1.2.3.4/", None),
            ("001.02.3.0004", Some(("1.2.3.4", "1.2.3.4", 32))),
            ("0/0", Some(("0.0.0.0", "255.255.255.255", 0))),
        ] {
            let range = range.map(|(a, b, bits)| Range4 { first: ip(a), last: ip(b), bits });
            assert_eq!(range4(&mut Cursor::new(text.as_bytes())), range, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_address_alone_is_the_same_prefix(text in "[0-9]{1,4}(\\.[0-9]{1,4}){2,4}[.x]?") {
            let mut cursor = Cursor::new(text.as_bytes());
            let whole = prefix4(&mut cursor).filter(|_| cursor.is_end());
            let whole = whole.filter(|&(_, bits)| bits == 32).map(|(address, _)| address);
            match alone4(text.as_bytes()) {
                Some(address) => prop_assert_eq!(Some(address), whole),
                // More than three digits are left to the other.
                None => prop_assert!(whole.is_none() || text.split('.').any(|octet| octet.len() > 3)),
            }
        }
    }

    #[test]
    fn reads_short_addresses() {
        for (text, address) in [
            ("2", Some(("0.0.0.2", 8))),
            ("127.2", Some(("127.0.0.2", 16))),
            ("127.1.2", Some(("127.1.0.2", 24))),
            ("127.0.0.2", Some(("127.0.0.2", 32))),
            ("", None),
        ] {
            let address = address.map(|(text, bits)| (ip(text), bits));
            assert_eq!(address4(&mut Cursor::new(text.as_bytes())), address, "{text}");
        }
    }

    #[test]
    fn reads_ipv6() {
        for (text, found, rest) in [
            ("2001:21ab:c000/36", Some(("2001:21ab:c000::", 36)), ""),
            ("2001:21ab:def7:4242", Some(("2001:21ab:def7:4242::", 64)), ""),
            ("2605:6001:42::/52", Some(("2605:6001:42::", 52)), ""),
            ("::1", Some(("::1", 128)), ""),
            ("::", Some(("::", 128)), ""),
            ("2001::", Some(("2001::", 128)), ""),
            ("2001", None, ""),
            ("2001/16", Some(("2001::", 16)), ""),
            ("1:2:3:4:5:6:7:8", Some(("1:2:3:4:5:6:7:8", 128)), ""),
            ("1:2:3:4:5:6:7::8", None, ""),
            ("1:2:3:4:5:6:7:8:2:x", Some(("1:2:3:4:5:6:7:8", 128)), ":2:x"),
            ("1::2:", Some(("1::2", 128)), ""),
            ("1:2:", None, ""),
            ("12345:1", None, "5:1"),
            ("0000012:1", Some(("12:1::", 32)), ""),
            ("1:2/129", None, "9"),
            ("ABCD:ef::", Some(("abcd:ef::", 128)), ""),
            ("x", None, "x"),
        ] {
            let found = found.map(|(a, bits)| (a.parse::<Ipv6Addr>().expect(a).to_bits(), bits));
            let mut cursor = Cursor::new(text.as_bytes());
            assert_eq!(cidr6(&mut cursor), found, "{text}");
            assert_eq!(cursor.rest(), rest.as_bytes(), "{text}");
        }
    }
}

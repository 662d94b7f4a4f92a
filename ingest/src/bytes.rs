//! Small readers of byte strings that the framings and formats share.
//!
//! A log line is bytes, not text: it may hold Latin-1, broken UTF-8 or NUL. Everything here takes and
//! returns slices of the line and never fails otherwise than with `None`.

use std::net::{IpAddr, Ipv4Addr};

use memchr::{memchr, memrchr};

/// Where `needle` first occurs. For lines: `memmem` prepares itself longer than a line takes to look through.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let (anchor, byte) = anchor(needle)?;
    let mut from = anchor;
    loop {
        let found = from + memchr(byte, text.get(from..)?)?;
        let start = found - anchor;
        if text.get(start..)?.starts_with(needle) {
            return Some(start);
        }
        from = found + 1;
    }
}

/// Every place where `needle` occurs; places do not overlap.
pub(crate) fn find_all<'a>(
    text: &'a [u8],
    needle: &'a [u8],
) -> impl Iterator<Item = usize> + use<'a> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + find(text.get(from..)?, needle)?;
        from = at + needle.len();
        Some(at)
    })
}

/// Where `needle` last occurs.
pub(crate) fn rfind(text: &[u8], needle: &[u8]) -> Option<usize> {
    let (anchor, byte) = anchor(needle)?;
    // Beyond this no anchor can have room for what follows it.
    let mut end = (text.len() + anchor + 1).checked_sub(needle.len())?;
    loop {
        let found = memrchr(byte, text.get(..end)?)?;
        let start = found.checked_sub(anchor)?;
        if text.get(start..)?.starts_with(needle) {
            return Some(start);
        }
        end = found;
    }
}

/// A byte of a needle that is not its blank at the end, blanks being all over a log line; and its place.
fn anchor(needle: &[u8]) -> Option<(usize, u8)> {
    match needle {
        [.., byte, b' '] => Some((needle.len() - 2, *byte)),
        [.., byte] => Some((needle.len() - 1, *byte)),
        [] => None,
    }
}

/// The parts before and after the first `byte`.
pub(crate) fn cut(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(byte, text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The parts before and after the first `needle`.
pub(crate) fn cut_at<'a>(text: &'a [u8], needle: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = find(text, needle)?;
    Some((text.get(..at)?, text.get(at + needle.len()..)?))
}

/// The parts before and after the last `needle`.
pub(crate) fn cut_at_last<'a>(text: &'a [u8], needle: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = rfind(text, needle)?;
    Some((text.get(..at)?, text.get(at + needle.len()..)?))
}

/// True if `needle` occurs in `text`.
pub(crate) fn contains(text: &[u8], needle: &[u8]) -> bool {
    find(text, needle).is_some()
}

/// True if `needle` occurs in `text`, in whatever case its ASCII letters are.
pub(crate) fn contains_folded(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len().max(1)).any(|window| window.eq_ignore_ascii_case(needle))
}

/// The leading decimal number and what follows it; at most nine digits.
pub(crate) fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = text.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 9 {
        return None;
    }
    let (head, rest) = text.split_at_checked(digits)?;
    Some((digits_of(head)?, rest))
}

/// The value of a string that is nothing but digits (at most nine).
pub(crate) fn digits_of(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.iter().try_fold(0u32, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0'))
    })
}

/// The address that the whole of `text` spells, canonical: never IPv4-mapped IPv6.
pub(crate) fn address(text: &[u8]) -> Option<IpAddr> {
    if let Some(ip) = ipv4(text) {
        return Some(ip.into());
    }
    if text.len() > 45 || !text.contains(&b':') {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Four numbers, none with a zero in front.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut rest = text;
    for (at, octet) in octets.iter_mut().enumerate() {
        let mut value = 0u16;
        let mut digits = 0;
        while let Some((byte @ b'0'..=b'9', after)) = rest.split_first() {
            if digits == 3 || (digits == 1 && value == 0) {
                return None;
            }
            value = value * 10 + u16::from(byte - b'0');
            digits += 1;
            rest = after;
        }
        if digits == 0 {
            return None;
        }
        *octet = u8::try_from(value).ok()?;
        if at < 3 {
            rest = rest.strip_prefix(b".")?;
        }
    }
    rest.is_empty().then(|| octets.into())
}

/// An address and what follows the byte that ends it. In a quoted local part, and behind a backslash, that byte is
/// the address' own: no mail server takes an address whose quotes are not balanced.
pub(crate) fn up_to(text: &[u8], last: u8) -> Option<(&[u8], &[u8])> {
    let (mut quoted, mut escaped) = (false, false);
    let end = text.iter().position(|&byte| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        escaped = byte == b'\\';
        quoted ^= byte == b'"';
        byte == last && !quoted
    })?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

/// `[IP]` or `[IP]:PORT` at the start of `text`: the address, the port, and what follows.
pub(crate) fn bracketed(text: &[u8]) -> Option<(IpAddr, Option<u32>, &[u8])> {
    let (inside, rest) = cut(text.strip_prefix(b"[")?, b']')?;
    let ip = address(inside)?;
    if let Some(after) = rest.strip_prefix(b":")
        && let Some((port, rest)) = number(after)
    {
        return Some((ip, Some(port), rest));
    }
    Some((ip, None, rest))
}

/// Bytes as text, each octet as the character of that number: lossless, and short for ASCII.
pub(crate) fn to_text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// What `to_text` wrote.
pub(crate) fn from_text(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_bracketed_addresses() {
        for (text, ip, port, rest) in [
            ("[192.0.2.7] x", "192.0.2.7", None, " x"),
            ("[192.0.2.7]:25 x", "192.0.2.7", Some(25), " x"),
            ("[192.0.2.7]: text", "192.0.2.7", None, ": text"),
            ("[2001:db8::7]:1", "2001:db8::7", Some(1), ""),
            ("[::ffff:192.0.2.7]", "192.0.2.7", None, ""),
        ] {
            let (found, found_port, found_rest) = bracketed(text.as_bytes()).expect(text);
            assert_eq!((found.to_string().as_str(), found_port), (ip, port), "{text}");
            assert_eq!(found_rest, rest.as_bytes(), "{text}");
        }
        for text in ["192.0.2.7", "[192.0.2]", "[unknown]", "[192.0.2.7", ""] {
            assert!(bracketed(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn numbers_stop_at_nine_digits() {
        assert_eq!(number(b"12ab"), Some((12, b"ab".as_slice())));
        assert_eq!(number(b"123456789"), Some((123_456_789, b"".as_slice())));
        assert_eq!(number(b"1234567890"), None);
        assert_eq!(number(b"x"), None);
        assert_eq!(digits_of(b"0031"), Some(31));
        assert_eq!(digits_of(b"3x"), None);
    }

    proptest! {
        #[test]
        fn finds_what_memmem_finds(text in "[ab: =]{0,40}", needle in "[ab: =]{1,4}") {
            let (text, needle) = (text.as_bytes(), needle.as_bytes());
            prop_assert_eq!(find(text, needle), memchr::memmem::find(text, needle));
            prop_assert_eq!(rfind(text, needle), memchr::memmem::rfind(text, needle));
        }

        #[test]
        fn reads_the_addresses_that_the_library_reads(text in "[0-9]{0,4}(\\.[0-9]{0,4}){2,4}|[0-9a-f:.]{0,20}|([0-9]{1,3}\\.){3}[0-9]{1,3}") {
            let expected = text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
            prop_assert_eq!(address(text.as_bytes()), expected, "{}", text);
        }
    }
}

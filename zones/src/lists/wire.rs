//! Names of domains as octets: labels, each behind its length, without the root.

use std::fmt;

/// The most octets of a name with its root (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 255;
/// The most octets of a label.
const LABEL_MAX: usize = 63;

/// The name of a domain, in the case in which it was written.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WireName(Box<[u8]>);

impl WireName {
    /// A name from its text.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        parse(text).map(|wire| Self(wire.into()))
    }

    /// Labels, each behind its length, without the root: at most 254 octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// The labels, leftmost first; none for the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        labels(&self.0)
    }
}

impl fmt::Display for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        print(&self.0, &mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The labels of a name in wire form.
pub(super) fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (&length, behind) = rest.split_first()?;
        let (label, behind) = behind.split_at_checked(usize::from(length))?;
        rest = behind;
        Some(label)
    })
}

/// The name above: without the first label.
pub(super) fn parent(wire: &[u8]) -> Option<&[u8]> {
    let (&length, behind) = wire.split_first()?;
    behind.get(usize::from(length)..)
}

/// The wire form of a name's text; `None` if it is too long. Empty labels are passed over, so that dots at the
/// start and the end say nothing. `\` keeps the octet behind it, or is a decimal number of up to three digits.
pub(super) fn parse(text: &[u8]) -> Option<Vec<u8>> {
    // The length of the label in the making comes before it.
    let mut wire = vec![0];
    let mut start = 1;
    let mut octets = text.iter().copied().peekable();
    while let Some(mut octet) = octets.next() {
        if octet == b'.' {
            let length = wire.len() - start;
            if length > 0 {
                end_label(&mut wire, start)?;
                wire.push(0);
                start = wire.len();
            }
            continue;
        }
        if octet == b'\\' {
            let Some(escaped) = octets.next() else { break };
            octet = escaped;
            if escaped.is_ascii_digit() {
                let mut number = u32::from(escaped - b'0');
                for _ in 0..2 {
                    let Some(digit) = octets.next_if(u8::is_ascii_digit) else { break };
                    number = number * 10 + u32::from(digit - b'0');
                }
                octet = u8::try_from(number).ok()?;
            }
        }
        if wire.len() >= NAME_MAX - 1 {
            return None;
        }
        wire.push(octet);
    }
    if wire.len() == start {
        wire.pop();
    } else {
        end_label(&mut wire, start)?;
    }
    Some(wire)
}

fn end_label(wire: &mut [u8], start: usize) -> Option<()> {
    let length = wire.len() - start;
    if length > LABEL_MAX {
        return None;
    }
    *wire.get_mut(start - 1)? = length as u8;
    Some(())
}

/// The text of a name, so that [`parse`] reads it back; `.` for the root.
pub(super) fn print(wire: &[u8], text: &mut Vec<u8>) {
    if wire.is_empty() {
        text.push(b'.');
    }
    for (place, label) in labels(wire).enumerate() {
        if place > 0 {
            text.push(b'.');
        }
        for &octet in label {
            match octet {
                b'"' | b'.' | b';' | b'\\' | b'@' | b'$' => text.extend([b'\\', octet]),
                0x21..=0x7e => text.push(octet),
                _ => text.extend(format!("\\{octet:03}").bytes()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_names() {
        for (text, wire) in [
            ("a.bc", Some(&b"\x01a\x02bc"[..])),
            ("A.bc.", Some(b"\x01A\x02bc")),
            ("..a..b..", Some(b"\x01a\x01b")),
            (".", Some(b"")),
            ("a\\.b", Some(b"\x03a.b")),
            ("\\065\\66x", Some(b"\x03ABx")),
            ("\\256", None),
            ("a\\", Some(b"\x01a")),
            (&"a".repeat(63), Some([&b"\x3f"[..], &[b'a'; 63]].concat().as_slice())),
            (&"a".repeat(64), None),
            (&"a.".repeat(127), Some(b"\x01a".repeat(127).as_slice())),
            (&"a.".repeat(128), None),
        ] {
            assert_eq!(parse(text.as_bytes()).as_deref(), wire, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(wire) = parse(&text) {
                let mut printed = Vec::new();
                print(&wire, &mut printed);
                prop_assert!(printed.iter().all(u8::is_ascii_graphic));
                prop_assert_eq!(parse(&printed), Some(wire));
            }
        }
    }
}

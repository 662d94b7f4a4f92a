//! A domain name as the DNS has it: labels of any octets, compared without case.
//!
//! In go presentation form, labels, or an address to reverse; out comes a `DnsName` of at most 255
//! octets on the wire and labels of 1 to 63 octets (RFC 1035 section 2.3.4). What breaks these
//! limits is `None`, and the caller treats the name as one that cannot be asked for. Names are kept
//! in lower case (RFC 4343), so equality, order and hash are those of the DNS.
//!
//! Not the same thing as [`crate::name::Name`], which is what a client *said*: reverse names hold
//! `/` (RFC 2317), service names hold `_`, and an answer may hold any octet at all. `Display` is
//! printable ASCII whatever the labels are, since what a stranger publishes is shown to people.

use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;

use crate::name::Name;

/// The longest name on the wire, with the root's octet (RFC 1035 section 2.3.4).
const WIRE_MAX: usize = 255;
/// The longest label (RFC 1035 section 2.3.4).
const LABEL_MAX: usize = 63;

/// An absolute domain name in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DnsName {
    /// Each label with its length in front, leftmost first, without the root's octet: one piece of memory,
    /// since millions of them are kept and copied.
    wire: Box<[u8]>,
}

impl DnsName {
    /// The root, written `.`.
    pub fn root() -> Self {
        Self { wire: Box::default() }
    }

    /// Reads presentation form (RFC 1035 section 5.1: `\.` and `\DDD`); a final dot is optional and
    /// every name is absolute.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "." {
            return Some(Self::root());
        }
        let mut labels = Vec::new();
        let mut label = Vec::new();
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' => label.push(escaped(&mut bytes)?),
                b'.' if bytes.peek().is_none() => break,
                b'.' => labels.push(std::mem::take(&mut label)),
                _ => label.push(byte),
            }
        }
        labels.push(label);
        Self::from_labels(labels)
    }

    /// The name made of `labels`, leftmost first.
    pub fn from_labels<I>(labels: I) -> Option<Self>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let mut wire = Vec::with_capacity(64);
        for label in labels {
            let label = label.as_ref();
            let length = u8::try_from(label.len()).ok()?;
            // The root's octet is not kept, but counts.
            if label.is_empty()
                || label.len() > LABEL_MAX
                || wire.len() + label.len() + 2 > WIRE_MAX
            {
                return None;
            }
            wire.push(length);
            wire.extend(label.iter().map(u8::to_ascii_lowercase));
        }
        Some(Self { wire: wire.into() })
    }

    /// The name a client said, if it is one that the DNS can hold (`fqdn`).
    pub fn of(said: &Name) -> Option<Self> {
        if !said.is_fqdn() {
            return None;
        }
        Self::parse(said.text())
    }

    /// The reverse name of an address: below `in-addr.arpa` (RFC 1035 section 3.5) or `ip6.arpa`
    /// (RFC 3596 section 2.5).
    pub fn reverse(ip: IpAddr) -> Self {
        let mut labels: Vec<String> = match ip.to_canonical() {
            IpAddr::V4(ip) => ip.octets().iter().rev().map(u8::to_string).collect(),
            IpAddr::V6(ip) => {
                let nibbles =
                    |octet: &u8| [format!("{:x}", octet & 15), format!("{:x}", octet >> 4)];
                ip.octets().iter().rev().flat_map(nibbles).collect()
            }
        };
        let zone = if ip.to_canonical().is_ipv4() { "in-addr" } else { "ip6" };
        labels.extend([zone.to_owned(), "arpa".to_owned()]);
        Self::from_labels(labels).unwrap_or_else(Self::root)
    }

    /// This name below more labels: `_client._smtp` before `example.com`. `None` if that is too
    /// long to ask for.
    pub fn below(&self, labels: &[&str]) -> Option<Self> {
        let front = labels.iter().map(|label| label.as_bytes());
        Self::from_labels(front.chain(self.labels()))
    }

    /// The labels, leftmost first, without the root.
    pub fn labels(&self) -> Labels<'_> {
        Labels(&self.wire)
    }

    /// How many labels there are; 0 for the root.
    pub fn depth(&self) -> usize {
        self.labels().count()
    }

    /// The last `depth` labels of the name, or the whole name if it has fewer.
    pub fn ancestor(&self, depth: usize) -> Self {
        let mut labels = self.labels();
        for _ in 0..self.depth().saturating_sub(depth) {
            labels.next();
        }
        Self { wire: labels.0.into() }
    }

    /// The names above what a client said (`self` is that name in the DNS), from its registrable domain
    /// downwards, without itself: those whose owner may speak for it.
    pub(super) fn parents(&self, said: &Name) -> impl Iterator<Item = Self> {
        let family = said.family().map_or_else(|| self.depth(), |family| family.split('.').count());
        (family..self.depth()).map(|depth| self.ancestor(depth))
    }

    /// True for the root.
    pub fn is_root(&self) -> bool {
        self.wire.is_empty()
    }

    /// True if this name is `zone` or lies below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        let mut labels = self.labels();
        while labels.0.len() > zone.wire.len() && labels.next().is_some() {}
        *labels.0 == *zone.wire
    }

    /// The octets it takes on the wire.
    pub fn wire_len(&self) -> usize {
        1 + self.wire.len()
    }
}

/// The labels of a name, leftmost first.
#[derive(Clone, Debug)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&length, rest) = self.0.split_first()?;
        let (label, rest) = rest.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(label)
    }
}

/// Label by label from the left, each by its octets: the order in which people would sort them.
impl Ord for DnsName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.labels().cmp(other.labels())
    }
}

impl PartialOrd for DnsName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The octet that follows a backslash: three digits, or any other character for itself.
fn escaped(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = bytes.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, bytes.next()?, bytes.next()?];
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// Presentation form with the final dot, printable ASCII only: `mail.example.com.`, `a\.b\032.`
impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &byte in label {
                write_octet(f, byte)?;
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

fn write_octet(f: &mut fmt::Formatter<'_>, byte: u8) -> fmt::Result {
    match byte {
        b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
            write!(f, "\\{}", char::from(byte))
        }
        _ if byte.is_ascii_graphic() => write!(f, "{}", char::from(byte)),
        _ => write!(f, "\\{byte:03}"),
    }
}

impl fmt::Debug for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DnsName({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> DnsName {
        DnsName::parse(text).expect(text)
    }

    #[test]
    fn presentation_form_is_read_and_written() {
        for (text, written) in [
            ("mail.example.com", "mail.example.com."),
            ("MAIL.Example.com.", "mail.example.com."),
            (".", "."),
            ("7.0/25.2.0.192.in-addr.arpa.", "7.0/25.2.0.192.in-addr.arpa."),
            ("*.example.com.", "*.example.com."),
            ("a\\.b.example.", "a\\.b.example."),
            ("tab\\009here.example.", "tab\\009here.example."),
        ] {
            assert_eq!(name(text).to_string(), written, "{text}");
        }
        for text in ["", "..", "a..b", ".a", "a\\25", "a\\999.", &"a".repeat(64)] {
            assert_eq!(DnsName::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn addresses_are_reversed() {
        let nibbles = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
        for (ip, reverse) in [
            ("192.0.2.7", "7.2.0.192.in-addr.arpa."),
            ("::ffff:192.0.2.7", "7.2.0.192.in-addr.arpa."),
            ("2001:db8::7", nibbles),
        ] {
            assert_eq!(DnsName::reverse(ip.parse().expect(ip)).to_string(), reverse, "{ip}");
        }
    }

    #[test]
    fn names_know_their_place() {
        let host = name("a.b.example.com.");
        assert_eq!(host.ancestor(2), name("example.com."));
        assert_eq!(host.ancestor(9), host);
        assert_eq!(host.ancestor(0), DnsName::root());
        assert!(host.is_within(&name("EXAMPLE.com.")));
        assert!(host.is_within(&DnsName::root()));
        assert!(!name("notexample.com.").is_within(&name("example.com.")));
        assert_eq!(
            host.below(&["_client", "_smtp"]),
            DnsName::parse("_client._smtp.a.b.example.com")
        );
        let long = name(&format!("{0}.{0}.{0}.{1}.", "a".repeat(63), "b".repeat(61)));
        assert_eq!(long.wire_len(), WIRE_MAX);
        assert_eq!(long.below(&["c"]), None, "a name over 255 octets cannot be asked for");
    }

    proptest! {
        #[test]
        fn written_names_read_back(
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..8)
        ) {
            let made = DnsName::from_labels(&labels).expect("within the limits");
            let written = made.to_string();
            prop_assert!(written.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(DnsName::parse(&written), Some(made));
        }

        #[test]
        fn any_text_has_a_reading_or_none(text in ".{0,300}") {
            if let Some(name) = DnsName::parse(&text) {
                prop_assert!(name.wire_len() <= WIRE_MAX);
            }
        }
    }
}

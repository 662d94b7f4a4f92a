//! An RMX record in its two forms, and the entries that it is made of.
//!
//! Text (draft-danisch-dns-rr-smtp-04 section 4.1): words `[!]tag:data`, the tag in any case or as a decimal
//! number; the strings of a TXT record are joined first. Octets (section 6.1): one of a negation bit and
//! a 7-bit type, then what the type needs:
//!
//! | type | tag | data in text | data in octets |
//! |---|---|---|---|
//! | 1, 2 | `ipv4`, `ipv6` | an address, or a prefix | a length in bits, then as many octets as hold them |
//! | 3, 4 | `host`, `apl` | a name | a name, not compressed |
//! | 5 | `domain` | a name, or nothing: the record's own domain | the same, nothing being the root |
//! | 6, 7 | `unused`, `full` | nothing | nothing |
//! | | `mx` | nothing | has no number |
//!
//! Types 6 and 7 are not negated. The draft gives the numbers 3 to 7 by listing order only, and draws an
//! octet of length before a name where its text has none: octets are read as the text has it, and
//! as the drawing has it where only that makes sense of the whole record.
//!
//! The first word or octet that means nothing ends a record with [`What::Unreadable`]: whoever gets so
//! far must stop there, and who finds a match before does not care. A text whose first word is
//! `key=value` is no RMX record at all: wildcards bring SPF and the like to every name.

use std::net::IpAddr;

use ipnet::IpNet;

use super::apl_items::{filled, prefix};
use super::dns_name::DnsName;

/// The first octet of an entry: negation.
const NEGATED: u8 = 0x80;

/// One entry of the rule base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// A match is a denial.
    pub(super) negated: bool,
    /// What is to match.
    pub(super) what: What,
}

/// What an entry matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The addresses of a network.
    Prefix(IpNet),
    /// The addresses of a host.
    Host(DnsName),
    /// The addresses listed by APL records at a name.
    Apl(DnsName),
    /// The hosts below a domain, by their reverse names; the root stands for the record's own domain.
    Domain(DnsName),
    /// Everybody, to be denied: the name never sends.
    Unused,
    /// Nobody: the record of the full mail address is to be asked.
    Full,
    /// The mail exchangers of the record's own domain.
    Mx,
    /// Nobody knows.
    Unreadable,
}

impl Entry {
    fn unreadable() -> Self {
        Self { negated: false, what: What::Unreadable }
    }

    fn is_unreadable(&self) -> bool {
        self.what == What::Unreadable
    }
}

/// Reads the strings of a TXT record; `None` for a text of another protocol.
pub(super) fn read_text(strings: &[Box<[u8]>]) -> Option<Vec<Entry>> {
    let text = strings.concat();
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).peekable();
    if words.peek().is_some_and(|word| is_assignment(word)) {
        return None;
    }
    let mut entries = Vec::new();
    for word in words {
        let entry = std::str::from_utf8(word).ok().and_then(read_word);
        entries.push(entry.unwrap_or_else(Entry::unreadable));
        if entries.last().is_some_and(Entry::is_unreadable) {
            break;
        }
    }
    Some(entries)
}

/// True for `v=spf1`.
fn is_assignment(word: &[u8]) -> bool {
    word.iter().find(|&&byte| matches!(byte, b'=' | b':')) == Some(&b'=')
}

fn read_word(word: &str) -> Option<Entry> {
    let positive = word.strip_prefix('!');
    let negated = positive.is_some();
    let (tag, data) = positive.unwrap_or(word).split_once(':')?;
    let number =
        |tag: &str| tag.bytes().all(|byte| byte.is_ascii_digit()).then(|| tag.parse().ok());
    let kind = match tag.to_ascii_lowercase().as_str() {
        "ipv4" => 1,
        "ipv6" => 2,
        "host" => 3,
        "apl" => 4,
        "domain" => 5,
        "unused" => 6,
        "full" => 7,
        "mx" => return data.is_empty().then_some(Entry { negated, what: What::Mx }),
        tag => number(tag)??,
    };
    let what = match kind {
        1 => What::Prefix(network(data).filter(|prefix| prefix.addr().is_ipv4())?),
        2 => What::Prefix(network(data).filter(|prefix| prefix.addr().is_ipv6())?),
        5 if data.is_empty() => What::Domain(DnsName::root()),
        3..=5 => named(kind, DnsName::parse(data)?)?,
        _ if data.is_empty() => bare(kind, negated)?,
        _ => return None,
    };
    Some(Entry { negated, what })
}

/// An address, or a prefix whose host bits do not count.
fn network(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(ip) => Some(ip.into()),
        Err(_) => text.parse::<IpNet>().ok().map(|prefix| prefix.trunc()),
    }
}

fn named(kind: u8, name: DnsName) -> Option<What> {
    match kind {
        3 if !name.is_root() => Some(What::Host(name)),
        4 if !name.is_root() => Some(What::Apl(name)),
        5 => Some(What::Domain(name)),
        _ => None,
    }
}

fn bare(kind: u8, negated: bool) -> Option<What> {
    match kind {
        6 if !negated => Some(What::Unused),
        7 if !negated => Some(What::Full),
        _ => None,
    }
}

/// How a name is written in octets.
#[derive(Clone, Copy, Debug)]
enum NameForm {
    /// As the draft's text has it.
    Plain,
    /// As its drawing has it: after an octet of length.
    Counted,
}

/// Reads the octets of a record of private type.
pub(super) fn read_octets(octets: &[u8]) -> Vec<Entry> {
    let plain = read_entries(octets, NameForm::Plain);
    if !plain.iter().any(Entry::is_unreadable) {
        return plain;
    }
    let counted = read_entries(octets, NameForm::Counted);
    if counted.iter().any(Entry::is_unreadable) { plain } else { counted }
}

fn read_entries(mut octets: &[u8], form: NameForm) -> Vec<Entry> {
    let mut entries = Vec::new();
    while !octets.is_empty() {
        let Some((entry, rest)) = read_entry(octets, form) else {
            entries.push(Entry::unreadable());
            break;
        };
        entries.push(entry);
        octets = rest;
    }
    entries
}

fn read_entry(octets: &[u8], form: NameForm) -> Option<(Entry, &[u8])> {
    let (&first, rest) = octets.split_first()?;
    let negated = first & NEGATED != 0;
    let kind = first & !NEGATED;
    let (what, rest) = match kind {
        1 | 2 => {
            let (&bits, rest) = rest.split_first()?;
            let (part, rest) = rest.split_at_checked(usize::from(bits).div_ceil(8))?;
            let prefix = match kind {
                1 => prefix(filled::<4>(part)?, bits)?,
                _ => prefix(filled::<16>(part)?, bits)?,
            };
            (What::Prefix(prefix), rest)
        }
        3..=5 => {
            let (name, rest) = read_name(rest, form)?;
            (named(kind, name)?, rest)
        }
        _ => (bare(kind, negated)?, rest),
    };
    Some((Entry { negated, what }, rest))
}

fn read_name(octets: &[u8], form: NameForm) -> Option<(DnsName, &[u8])> {
    let (count, mut rest) = match form {
        NameForm::Plain => (None, octets),
        NameForm::Counted => {
            let (&count, rest) = octets.split_first()?;
            (Some(usize::from(count)), rest)
        }
    };
    let mut labels = Vec::new();
    loop {
        let (&length, behind) = rest.split_first()?;
        let (label, behind) = behind.split_at_checked(usize::from(length))?;
        rest = behind;
        if label.is_empty() {
            break;
        }
        labels.push(label);
    }
    // Labels over 63 octets, among them what would be a pointer of a compressed name, make no name.
    let name = DnsName::from_labels(labels)?;
    count.is_none_or(|count| count == name.wire_len()).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use proptest::prelude::*;

    use super::*;

    /// As a text would have it, `?` for what means nothing.
    impl fmt::Display for Entry {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(if self.negated { "!" } else { "" })?;
            match &self.what {
                What::Prefix(prefix) => write!(f, "{prefix}"),
                What::Host(name) => write!(f, "host:{name}"),
                What::Apl(name) => write!(f, "apl:{name}"),
                What::Domain(name) => write!(f, "domain:{name}"),
                What::Unused => f.write_str("unused:"),
                What::Full => f.write_str("full:"),
                What::Mx => f.write_str("mx:"),
                What::Unreadable => f.write_str("?"),
            }
        }
    }

    fn shown(entries: &[Entry]) -> String {
        entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_are_read() {
        for (text, expected) in [
            ("!ipv4:192.0.2.7 ipv4:192.0.2.0/24", Some("!192.0.2.7/32 192.0.2.0/24")),
            ("  IPv4:192.0.2.9/24\t2:2001:DB8::7 ", Some("192.0.2.0/24 2001:db8::7/128")),
            ("ipv6:2001:db8::7/32 !1:10.0.0.0/8", Some("2001:db8::/32 !10.0.0.0/8")),
            ("HOST:Out.example.com. 3:a.b", Some("host:out.example.com. host:a.b.")),
            ("apl:a.b 4:a.b !apl:a.b", Some("apl:a.b. apl:a.b. !apl:a.b.")),
            ("domain: domain:a.b 5:", Some("domain:. domain:a.b. domain:.")),
            ("unused: 6: full: 7: MX: !mx:", Some("unused: unused: full: full: mx: !mx:")),
            ("", Some("")),
            ("mx: magic:1 mx:", Some("mx: ?")),
            ("v=spf1 mx -all", None),
            ("google-site-verification=a:b", None),
            ("magic:a=b", Some("?")),
            // What means nothing.
            ("0:", Some("?")),
            ("8:", Some("?")),
            ("+1:10.0.0.1", Some("?")),
            ("256:", Some("?")),
            (":", Some("?")),
            ("!", Some("?")),
            ("mx", Some("?")),
            ("!!mx:", Some("?")),
            ("mx:a.b", Some("?")),
            ("unused:a", Some("?")),
            ("!unused:", Some("?")),
            ("!full:", Some("?")),
            ("host:", Some("?")),
            ("host:.", Some("?")),
            ("apl:a..b", Some("?")),
            ("ipv4:", Some("?")),
            ("ipv4:192.0.2.0/33", Some("?")),
            ("ipv4:192.0.2", Some("?")),
            ("ipv4:2001:db8::7", Some("?")),
            ("ipv6:192.0.2.7", Some("?")),
            ("host:\u{fe}", Some("host:\\195\\190.")),
        ] {
            let strings = [text.as_bytes().into()];
            let read = read_text(&strings).map(|entries| shown(&entries));
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
        let split = [b"ipv4:192.0."[..].into(), b"2.7 m"[..].into(), b"x:"[..].into()];
        assert_eq!(shown(&read_text(&split).expect("RMX")), "192.0.2.7/32 mx:");
        assert_eq!(shown(&read_text(&[b"mx:\xff"[..].into()]).expect("RMX")), "?");
    }

    #[test]
    fn octets_are_read() {
        let cases: [(&[u8], &str); 20] = [
            // The example of the draft's layout.
            (&[0x81, 0x20, 0xC0, 0, 2, 7, 1, 0x18, 0xC0, 0, 2], "!192.0.2.7/32 192.0.2.0/24"),
            (&[2, 32, 0x20, 1, 0x0d, 0xb8], "2001:db8::/32"),
            (&[1, 0], "0.0.0.0/0"),
            (&[1, 9, 10, 0xff], "10.128.0.0/9"),
            (b"\x03\x01a\x01b\x00\x84\x01a\x00", "host:a.b. !apl:a."),
            (b"\x05\x01A\x00\x05\x00", "domain:a. domain:."),
            (&[6, 7], "unused: full:"),
            (&[], ""),
            // With an octet of length before the name.
            (b"\x03\x05\x01a\x01b\x00\x06", "host:a.b. unused:"),
            (b"\x05\x01\x00", "domain:."),
            // The first that means nothing ends it.
            (&[7, 8, 7], "full: ?"),
            (&[0], "?"),
            (&[0x86], "?"),
            (&[0x87], "?"),
            (&[1, 33, 1, 2, 3, 4, 5], "?"),
            (&[1, 24, 192, 0], "?"),
            (&[1], "?"),
            (&[3, 0], "?"),
            (b"\x03\x01a", "?"),
            (b"\x03\xC0\x0C", "?"),
        ];
        for (octets, expected) in cases {
            assert_eq!(shown(&read_octets(octets)), expected, "{octets:?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_break_the_readers(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let entries = read_octets(&octets);
            let ends = entries.iter().position(Entry::is_unreadable);
            prop_assert!(ends.is_none_or(|at| at + 1 == entries.len()));
            read_text(&[octets.into()]);
        }

        #[test]
        fn no_text_breaks_the_reader(text in "(!?[a-z0-9]{0,6}[:=][a-z0-9.:/]{0,9} ?){0,5}") {
            let entries = read_text(&[text.into_bytes().into()]).unwrap_or_default();
            let ends = entries.iter().position(Entry::is_unreadable);
            prop_assert!(ends.is_none_or(|at| at + 1 == entries.len()));
        }
    }
}

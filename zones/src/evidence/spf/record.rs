//! SPF records as text, and what they say (RFC 7208 sections 4.5, 4.6 and 12).
//!
//! In go the octets of a TXT record, its strings joined; out comes a [`Record`], or `None` if there is a
//! syntax error anywhere in it. The reader is total: no octets panic. Words are compared without case.
//!
//! A term that the grammar lets be an unknown modifier is one, unless it bears the name of a known
//! modifier; unknown modifiers say nothing, but their macros must be well formed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::macros::MacroString;
use crate::evidence::FindingResult;

/// What every record begins with.
const VERSION: &[u8] = b"v=spf1";

/// A record of good syntax.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// In the order in which they are tried.
    pub(super) directives: Vec<Directive>,
    /// Whose record speaks if nothing matches.
    pub(super) redirect: Option<MacroString>,
}

/// A mechanism, and the result if it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) result: FindingResult,
    pub(super) mechanism: Mechanism,
}

/// A way to tell whether the client is meant. A missing domain is the record's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(MacroString),
    A(Option<MacroString>, Masks),
    Mx(Option<MacroString>, Masks),
    Ptr(Option<MacroString>),
    Ip4(Ipv4Net),
    Ip6(Ipv6Net),
    Exists(MacroString),
}

/// How many leading bits of an address count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Masks {
    v4: u8,
    v6: u8,
}

impl Masks {
    const V4_MAX: u8 = 32;
    const V6_MAX: u8 = 128;

    /// True if `ip` and the published address begin alike.
    pub(super) fn cover(self, published: IpAddr, ip: IpAddr) -> bool {
        let bits = if published.is_ipv4() { self.v4 } else { self.v6 };
        IpNet::new(published, bits).is_ok_and(|net| net.contains(&ip))
    }
}

impl Mechanism {
    /// Its word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Include(_) => "include",
            Self::A(..) => "a",
            Self::Mx(..) => "mx",
            Self::Ptr(_) => "ptr",
            Self::Ip4(_) => "ip4",
            Self::Ip6(_) => "ip6",
            Self::Exists(_) => "exists",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (word, rest) = match text.find([':', '/']) {
            Some(end) => text.split_at_checked(end)?,
            None => (text, ""),
        };
        match word.to_ascii_lowercase().as_str() {
            "all" => rest.is_empty().then_some(Self::All),
            "include" => Some(Self::Include(MacroString::parse_domain(rest.strip_prefix(':')?)?)),
            "exists" => Some(Self::Exists(MacroString::parse_domain(rest.strip_prefix(':')?)?)),
            "a" => target_and_masks(rest).map(|(target, masks)| Self::A(target, masks)),
            "mx" => target_and_masks(rest).map(|(target, masks)| Self::Mx(target, masks)),
            "ptr" => target(rest).map(Self::Ptr),
            "ip4" => {
                let (address, bits) = network(rest, Masks::V4_MAX)?;
                Ipv4Net::new(address.parse::<Ipv4Addr>().ok()?, bits).ok().map(Self::Ip4)
            }
            "ip6" => {
                let (address, bits) = network(rest, Masks::V6_MAX)?;
                Ipv6Net::new(address.parse::<Ipv6Addr>().ok()?, bits).ok().map(Self::Ip6)
            }
            _ => None,
        }
    }
}

impl Record {
    /// Reads the terms that follow the version.
    pub(super) fn parse(terms: &[u8]) -> Option<Self> {
        let mut record = Self::default();
        let mut explained = false;
        for term in terms.split(|&byte| byte == b' ').filter(|term| !term.is_empty()) {
            let term = std::str::from_utf8(term).ok()?;
            let Some((name, value)) = modifier(term) else {
                record.directives.push(directive(term)?);
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "redirect" if record.redirect.is_some() => return None,
                "redirect" => record.redirect = Some(MacroString::parse_domain(value)?),
                "exp" if explained => return None,
                "exp" => {
                    MacroString::parse_domain(value)?;
                    explained = true;
                }
                _ => {
                    MacroString::parse(value)?;
                }
            }
        }
        Some(record)
    }
}

/// The terms of an SPF record of version 1; `None` if the text is no such record.
pub(super) fn terms(text: &[u8]) -> Option<&[u8]> {
    let (version, rest) = text.split_at_checked(VERSION.len())?;
    let is_record =
        version.eq_ignore_ascii_case(VERSION) && (rest.is_empty() || rest.starts_with(b" "));
    is_record.then_some(rest)
}

/// `name=value`, if the term is a modifier of good name.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(in_name);
    named.then_some((name, value))
}

fn directive(term: &str) -> Option<Directive> {
    let qualifiers = [
        ('+', FindingResult::Pass),
        ('-', FindingResult::Fail),
        ('~', FindingResult::Softfail),
        ('?', FindingResult::Neutral),
    ];
    let qualified =
        qualifiers.into_iter().find_map(|(sign, result)| Some((result, term.strip_prefix(sign)?)));
    let (result, mechanism) = qualified.unwrap_or((FindingResult::Pass, term));
    Some(Directive { result, mechanism: Mechanism::parse(mechanism)? })
}

/// `[ ":" domain-spec ]`
fn target(text: &str) -> Option<Option<MacroString>> {
    if text.is_empty() {
        return Some(None);
    }
    MacroString::parse_domain(text.strip_prefix(':')?).map(Some)
}

/// `[ ":" domain-spec ] [ "/" bits ] [ "//" bits ]`, read from the end: a domain may hold slashes, but
/// cannot end in one and digits.
fn target_and_masks(text: &str) -> Option<(Option<MacroString>, Masks)> {
    let (text, v6) = cut_bits(text, "//", Masks::V6_MAX)?;
    let (text, v4) = cut_bits(text, "/", Masks::V4_MAX)?;
    Some((target(text)?, Masks { v4, v6 }))
}

/// `":" address [ "/" bits ]`
fn network(text: &str, most: u8) -> Option<(&str, u8)> {
    cut_bits(text.strip_prefix(':')?, "/", most)
}

/// The text before a mask and the mask; all bits if there is none.
fn cut_bits<'a>(text: &'a str, mark: &str, most: u8) -> Option<(&'a str, u8)> {
    let front = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = text.strip_prefix(front)?;
    match front.strip_suffix(mark) {
        Some(before) if !digits.is_empty() => Some((before, bits(digits, most)?)),
        _ => Some((text, most)),
    }
}

/// A number of bits, without leading zeros.
fn bits(digits: &str, most: u8) -> Option<u8> {
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    digits.parse().ok().filter(|&bits| bits <= most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mechanism(text: &str) -> Mechanism {
        Mechanism::parse(text).expect(text)
    }

    fn masks(v4: u8, v6: u8) -> Masks {
        Masks { v4, v6 }
    }

    fn spec(text: &str) -> MacroString {
        MacroString::parse_domain(text).expect(text)
    }

    #[test]
    fn records_are_told_from_other_texts() {
        for (text, rest) in [
            ("v=spf1", Some("")),
            ("V=SPF1 -all", Some(" -all")),
            ("v=spf1  ", Some("  ")),
            ("v=spf10", None),
            ("v=spf1-all", None),
            ("v=spf1\t-all", None),
            (" v=spf1", None),
            ("v=spf", None),
            ("", None),
            ("spf2.0/pra -all", None),
        ] {
            assert_eq!(terms(text.as_bytes()), rest.map(str::as_bytes), "{text:?}");
        }
    }

    #[test]
    fn mechanisms_are_read() {
        for (text, expected) in [
            ("all", Mechanism::All),
            ("ALL", Mechanism::All),
            ("a", Mechanism::A(None, masks(32, 128))),
            ("a/0", Mechanism::A(None, masks(0, 128))),
            ("a//0", Mechanism::A(None, masks(32, 0))),
            ("a/24//64", Mechanism::A(None, masks(24, 64))),
            ("mx:a.b/24", Mechanism::Mx(Some(spec("a.b")), masks(24, 128))),
            ("mx:a/1.b//64", Mechanism::Mx(Some(spec("a/1.b")), masks(32, 64))),
            ("a:a.b1/8", Mechanism::A(Some(spec("a.b1")), masks(8, 128))),
            ("a:%{d}/8", Mechanism::A(Some(spec("%{d}")), masks(8, 128))),
            ("ptr", Mechanism::Ptr(None)),
            ("ptr:a.b", Mechanism::Ptr(Some(spec("a.b")))),
            ("ip4:192.0.2.7", Mechanism::Ip4("192.0.2.7/32".parse().expect("a net"))),
            ("IP4:192.0.2.7/24", Mechanism::Ip4("192.0.2.7/24".parse().expect("a net"))),
            ("ip6:2001:DB8::/32", Mechanism::Ip6("2001:db8::/32".parse().expect("a net"))),
            ("ip6:::192.0.2.7", Mechanism::Ip6("::192.0.2.7/128".parse().expect("a net"))),
            ("include:a.b", Mechanism::Include(spec("a.b"))),
            ("exists:%{i}.a.b", Mechanism::Exists(spec("%{i}.a.b"))),
        ] {
            assert_eq!(mechanism(text), expected, "{text}");
        }
    }

    #[test]
    fn broken_mechanisms_are_refused() {
        for text in [
            "",
            "foo",
            "all:",
            "all/8",
            "all.",
            "include",
            "include:",
            "include/24",
            "include:a.b/24",
            "exists",
            "exists:a.b/24",
            "a:",
            "a/",
            "a/33",
            "a/032",
            "a/00",
            "a//129",
            "a/24/64",
            "a///64",
            "a:a.b/",
            "a:/24",
            "mx//64/24",
            "ptr/24",
            "ptr:",
            "ip4",
            "ip4:",
            "ip4:192.0.2",
            "ip4:192.0.2.07",
            "ip4:192.0.2.300",
            "ip4:192.0.2.7/33",
            "ip4:192.0.2.7//32",
            "ip4:192.0.2.7:25",
            "ip4:2001:db8::7",
            "ip6:192.0.2.7",
            "ip6::2001::7",
            "ip6:2001:db8::7/129",
            "ip6:fe80::1%1",
            "ip6:[2001:db8::7]",
        ] {
            assert_eq!(Mechanism::parse(text), None, "{text}");
        }
    }

    #[test]
    fn records_are_read_whole() {
        let record = Record::parse(b" ~mx  exp=a.b -all redirect=%{d2} x=y%%z ").expect("a record");
        let results: Vec<_> =
            record.directives.iter().map(|found| (found.result, found.mechanism.word())).collect();
        assert_eq!(results, [(FindingResult::Softfail, "mx"), (FindingResult::Fail, "all")]);
        assert_eq!(record.redirect, Some(spec("%{d2}")));
        for text in [
            " -all moo",
            " redirect=a.b redirect=a.b",
            " exp=a.b EXP=c.d",
            " exp=",
            " redirect=-all",
            " +redirect=a.b",
            " 1up=foo",
            " =all",
            " x=%",
            " exp=%{r}.a.b",
            " --all",
            " -all\n",
            " a:\u{fe}.b",
            "\ta",
        ] {
            assert_eq!(Record::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn masks_cover_their_own_family() {
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        assert!(masks(24, 128).cover(ip("192.0.2.1"), ip("192.0.2.7")));
        assert!(!masks(32, 0).cover(ip("192.0.2.1"), ip("192.0.2.7")));
        assert!(!masks(0, 0).cover(ip("192.0.2.1"), ip("2001:db8::7")));
        assert!(masks(0, 0).cover(ip("2001:db8::1"), ip("::1")));
    }

    proptest! {
        #[test]
        fn no_octets_break_the_reader(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
            let found = terms(&octets);
            prop_assert_eq!(found.is_some(), octets.to_ascii_lowercase().starts_with(b"v=spf1")
                && octets.get(6).is_none_or(|&next| next == b' '));
            let _read = Record::parse(&octets);
        }

        #[test]
        fn nothing_like_a_term_breaks_the_reader(
            text in "( |[-+?~]|all|a|mx|ptr|ip4|ip6|include|exists|redirect|exp|[:/=.%{}]|[0-9]{1,3}|[a-z]{1,9}|%\\{[a-z]\\}){0,40}",
        ) {
            let _read = Record::parse(text.as_bytes());
        }
    }
}

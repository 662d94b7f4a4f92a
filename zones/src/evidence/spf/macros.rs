//! Macros: text that is made of the client, the sender and the domain (RFC 7208 section 7).
//!
//! In goes the text of a term; out comes a [`MacroString`], or `None` for a syntax error, and from it
//! and the [`Values`] of a check the expanded text. Reading and expanding are total: no text panics,
//! and expanding cannot fail. What was expanded is a name only if [`domain_name`] says so.
//!
//! | letter | stands for |
//! |---|---|
//! | `s` `l` `o` | the sender, its local part, its domain |
//! | `d` | the domain whose record this is |
//! | `i` | the client's address: four octets, or 32 nibbles, with dots |
//! | `p` | a reverse name of the client that leads back to it, or `unknown` |
//! | `v` | `in-addr` or `ip6` |
//! | `h` | what the client said |
//!
//! `c`, `r` and `t` belong to the text of an explanation only, which is never asked for here; anywhere
//! else they are a syntax error. A capital letter escapes what it stands for as in a URL.

use std::net::IpAddr;

use crate::evidence::DnsName;

/// The longest name as text (RFC 7208 section 7.3).
const NAME_MAX: usize = 253;
/// What a value may be split at (RFC 7208 section 7.1).
const DELIMITERS: &[u8] = b".-+,/_=";

/// What the letters stand for in one check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    /// The client's address.
    pub(super) ip: IpAddr,
    /// The local part of the sender.
    pub(super) local: &'a str,
    /// The domain of the sender.
    pub(super) sender_domain: &'a str,
    /// What the client said.
    pub(super) helo: &'a str,
    /// The domain whose record is being read.
    pub(super) domain: &'a str,
    /// A reverse name that leads back to the client.
    pub(super) validated: &'a str,
}

/// A text with macros, of good syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MacroString {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Text for itself.
    Literal(String),
    /// `%%`, `%_` or `%-`.
    Fixed(&'static str),
    /// `%{...}`
    Expand(Macro),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Macro {
    letter: Letter,
    /// A capital letter.
    escaped: bool,
    /// How many parts are kept, from the right; `None` keeps all.
    kept: Option<usize>,
    reversed: bool,
    /// Empty means dots.
    delimiters: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    Sender,
    Local,
    SenderDomain,
    Domain,
    Ip,
    Validated,
    Version,
    Helo,
}

impl MacroString {
    /// Reads a `macro-string`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            }
            let (part, left) = expansion(after)?;
            parts.push(part);
            rest = left;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Some(Self { parts })
    }

    /// Reads a `domain-spec`: a `macro-string` that ends in a macro or in a dot and a top label.
    pub(super) fn parse_domain(text: &str) -> Option<Self> {
        let spec = Self::parse(text)?;
        let ends_well = match spec.parts.last()? {
            Part::Literal(end) => ends_in_top_label(end),
            Part::Fixed(_) | Part::Expand(_) => true,
        };
        ends_well.then_some(spec)
    }

    /// True if the text is made of a reverse name of the client.
    pub(super) fn wants_validated(&self) -> bool {
        let wants = |part: &Part| match part {
            Part::Expand(found) => found.letter == Letter::Validated,
            Part::Literal(_) | Part::Fixed(_) => false,
        };
        self.parts.iter().any(wants)
    }

    /// The text that it stands for.
    pub(super) fn expand(&self, values: &Values<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Fixed(fixed) => text.push_str(fixed),
                Part::Expand(found) => text.push_str(&found.expand(values)),
            }
        }
        text
    }
}

impl Macro {
    /// Reads what stands between the braces.
    fn parse(inside: &str) -> Option<Self> {
        let mut chars = inside.chars();
        let first = chars.next()?;
        let letter = match first.to_ascii_lowercase() {
            's' => Letter::Sender,
            'l' => Letter::Local,
            'o' => Letter::SenderDomain,
            'd' => Letter::Domain,
            'i' => Letter::Ip,
            'p' => Letter::Validated,
            'v' => Letter::Version,
            'h' => Letter::Helo,
            _ => return None,
        };
        let rest = chars.as_str();
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = rest.strip_suffix(after)?;
        let reversed = after.strip_prefix(['r', 'R']);
        let delimiters = reversed.unwrap_or(after).as_bytes().to_vec();
        if !delimiters.iter().all(|byte| DELIMITERS.contains(byte)) {
            return None;
        }
        Some(Self {
            letter,
            escaped: first.is_ascii_uppercase(),
            kept: if digits.is_empty() { None } else { Some(count(digits)?) },
            reversed: reversed.is_some(),
            delimiters,
        })
    }

    fn expand(&self, values: &Values<'_>) -> String {
        let whole = self.value(values);
        let is_delimiter = |c: char| match self.delimiters.as_slice() {
            [] => c == '.',
            delimiters => delimiters.iter().any(|&delimiter| char::from(delimiter) == c),
        };
        let mut parts: Vec<&str> = whole.split(is_delimiter).collect();
        if self.reversed {
            parts.reverse();
        }
        let cut = self.kept.map_or(0, |kept| parts.len().saturating_sub(kept));
        let kept: Vec<&str> = parts.into_iter().skip(cut).collect();
        let text = kept.join(".");
        if self.escaped { url_escaped(&text) } else { text }
    }

    fn value(&self, values: &Values<'_>) -> String {
        match self.letter {
            Letter::Sender => format!("{}@{}", values.local, values.sender_domain),
            Letter::Local => values.local.to_owned(),
            Letter::SenderDomain => values.sender_domain.to_owned(),
            Letter::Domain => values.domain.to_owned(),
            Letter::Ip => dotted(values.ip),
            Letter::Validated => values.validated.to_owned(),
            Letter::Version if values.ip.is_ipv4() => "in-addr".to_owned(),
            Letter::Version => "ip6".to_owned(),
            Letter::Helo => values.helo.to_owned(),
        }
    }
}

/// Reads a macro after its `%`, and gives what follows.
fn expansion(text: &str) -> Option<(Part, &str)> {
    if let Some(rest) = text.strip_prefix('{') {
        let (inside, rest) = rest.split_once('}')?;
        return Some((Part::Expand(Macro::parse(inside)?), rest));
    }
    [("%", "%"), ("_", " "), ("-", "%20")]
        .into_iter()
        .find_map(|(mark, fixed)| Some((Part::Fixed(fixed), text.strip_prefix(mark)?)))
}

/// A number of parts: not zero; what is too large for a number keeps all there are.
fn count(digits: &str) -> Option<usize> {
    let number = digits.parse().unwrap_or(usize::MAX);
    (number != 0).then_some(number)
}

/// True for `... "." toplabel [ "." ]`.
fn ends_in_top_label(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let Some((_, label)) = text.rsplit_once('.') else {
        return false;
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.bytes().all(|byte| byte.is_ascii_digit())
}

/// `192.0.2.7`, or the 32 nibbles of an IPv6 address with dots.
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().map(|octet| format!("{:x}.{:x}", octet >> 4, octet & 15));
            nibbles.join(".")
        }
    }
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
fn url_escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// The name to ask for: one final dot is dropped, a name of more than 253 characters loses labels from
/// the left (RFC 7208 section 7.3). `None` if what is left is no name of the DNS: an empty label, or one
/// of more than 63 octets.
pub(super) fn domain_name(text: &str) -> Option<DnsName> {
    let mut text = text.strip_suffix('.').unwrap_or(text);
    while text.len() > NAME_MAX {
        (_, text) = text.split_once('.')?;
    }
    DnsName::from_labels(text.split('.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(ip: &str) -> Values<'_> {
        Values {
            ip: ip.parse().expect(ip),
            local: "strong-bad",
            sender_domain: "email.example.com",
            helo: "mx.example.org",
            domain: "email.example.com",
            validated: "mx.example.org",
        }
    }

    fn expanded(text: &str, ip: &str) -> String {
        MacroString::parse(text).expect(text).expand(&values(ip))
    }

    /// The examples of RFC 7208 section 7.4.
    #[test]
    fn macros_expand_as_in_the_examples_of_the_rfc() {
        let v4 = "192.0.2.3";
        for (text, expected) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
            ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ] {
            assert_eq!(expanded(text, v4), expected, "{text}");
        }
        assert_eq!(
            expanded("%{ir}.%{v}._spf.%{d2}", "2001:db8::cb01"),
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
        );
    }

    #[test]
    fn macros_expand() {
        for (text, expected) in [
            ("%{S}", "strong-bad%40email.example.com"),
            ("%{DR}", "com.example.email"),
            ("%{h}|%{p}|%{i}", "mx.example.org|mx.example.org|192.0.2.3"),
            ("a%%b%_c%-d", "a%b c%20d"),
            ("%{d01}", "com"),
            ("%{d99999999999999999999999}", "email.example.com"),
            ("%{l1-}", "bad"),
            ("%{o.-}", "email.example.com"),
            ("%{s+-}", "strong.bad@email.example.com"),
            ("", ""),
        ] {
            assert_eq!(expanded(text, "192.0.2.3"), expected, "{text}");
        }
    }

    #[test]
    fn broken_macros_are_no_macros() {
        for text in [
            "%", "a%", "%a", "%(d)", "%{", "%{}", "%{d", "%{x}", "%{c}", "%{r}", "%{t}", "%{d0}",
            "%{d00r}", "%{dr2}", "%{d*}", "%{d r}", "%{rd}", "%{dd}", "a b", "\t", "ü", "%{d-1}",
        ] {
            assert_eq!(MacroString::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_domain_ends_in_a_macro_or_a_top_label() {
        for text in [
            "example.com",
            "example.com.",
            "%{d}",
            "x%{d}",
            "foo%%",
            "%{d}.com",
            "a.b-1",
            "a.1-2",
            "foo:bar/baz.example.com",
            ".com",
            "a...com",
        ] {
            assert!(MacroString::parse_domain(text).is_some(), "{text}");
        }
        for text in [
            "",
            ".",
            "museum",
            "museum.",
            "%{d}com",
            "a.1",
            "192.0.2.7",
            "a.-b",
            "a.b-",
            "a.b_c",
            "example.com/24",
            "example.com:25",
            "example.com..",
        ] {
            assert_eq!(MacroString::parse_domain(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_cut_from_the_left_at_labels() {
        let label = "a".repeat(49);
        // 5 * 50 + 11 = 261 characters, and 211 without the first label.
        let long = format!("{}example.com", format!("{label}.").repeat(5));
        let cut = domain_name(&long).map(|name| name.to_string().len());
        assert_eq!(cut, Some(212));
        let fits = format!("{}.{}", "a.".repeat(121), "b".repeat(11));
        assert_eq!(domain_name(&fits), None, "an empty label is no label");
        let fits = format!("{}{}", "a.".repeat(121), "b".repeat(11));
        assert_eq!(fits.len(), NAME_MAX);
        assert_eq!(domain_name(&fits).map(|name| name.depth()), Some(122));
        assert_eq!(domain_name(&format!("{fits}.")).map(|name| name.depth()), Some(122));
        for text in ["", ".", "a..b", &"a".repeat(64), &"a".repeat(300)] {
            assert_eq!(domain_name(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in any::<String>()) {
            if let Some(spec) = MacroString::parse(&text) {
                let name = domain_name(&spec.expand(&values("2001:db8::7")));
                prop_assert!(name.is_none_or(|name| name.wire_len() <= 255));
            }
        }

        #[test]
        fn nothing_like_a_macro_breaks_the_expander(
            text in "(%\\{[slodipvhSLODIPVH][0-9]{0,3}r?[-.+,/_=]{0,3}\\}|%%|%_|%-|[a-z.]{0,80}){0,12}",
            local in any::<String>(),
            helo in any::<String>(),
        ) {
            if let Some(spec) = MacroString::parse(&text) {
                let values = Values { local: &local, helo: &helo, ..values("192.0.2.7") };
                let name = domain_name(&spec.expand(&values));
                prop_assert!(name.is_none_or(|name| name.wire_len() <= 255));
            }
        }
    }
}

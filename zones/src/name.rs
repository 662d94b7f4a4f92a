//! The EHLO/HELO argument, parsed once and trusted from then on.
//!
//! In go the bytes that a client said (or that a log shows); out comes a `Name`: one of seven kinds
//! and a normalised text. Nothing fails: what is no name is `malformed`, and no argument at all is
//! `absent`. The kind is a function of the text, and parsing a text again gives the same name.
//!
//! Rules: RFC 5321 sections 2.3.5, 4.1.1.1 and 4.1.3. Text after the first blank that follows a
//! literal is ignored (a habit of RFC 2821 days); CR, LF and one trailing dot are cut; letters become
//! lower case. Underscores are tolerated in an `fqdn`, since real hosts have them. A malformed name
//! keeps its printable text, everything else as `\xNN`, cut to 250 octets and `...`: it is shown to
//! people and counted, and is never an identity.
//!
//! The family of an `fqdn` is its registrable domain by the public suffix list that is compiled in; it is
//! looked up once, when the name is read.
//!
//! Not done here: IDNA (a U-label is 8-bit text, hence malformed; its A-label is an ordinary name).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

/// The longest domain name in text form (RFC 1035 section 2.3.4 less the wire's two octets).
const NAME_MAX: usize = 253;
/// The longest label (RFC 1035 section 2.3.4).
const LABEL_MAX: usize = 63;
/// Where the text of an overlong malformed name is cut, before `...`.
const MALFORMED_CUT: usize = 250;

/// What sort of argument a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameKind {
    /// Two or more labels of letters, digits, hyphens (and underscores), the last not all digits.
    Fqdn,
    /// One label: a NetBIOS name, `mail`.
    Single,
    /// A name that no host on the Internet can own: `localhost`, `*.local`, `*.lan`, `*.test` ...
    Reserved,
    /// An address in brackets: `[192.0.2.7]`, `[IPv6:2001:db8::7]`.
    Literal,
    /// An address without brackets: a syntax violation, common in malware.
    BareIp,
    /// Anything else that was said.
    Malformed,
    /// Nothing was said.
    Absent,
}

impl NameKind {
    /// Every kind, in the order of `code`.
    pub const ALL: [Self; 7] = [
        Self::Fqdn,
        Self::Single,
        Self::Reserved,
        Self::Literal,
        Self::BareIp,
        Self::Malformed,
        Self::Absent,
    ];

    /// Its number in stored layouts; never renumbered.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The word for this kind in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fqdn => "fqdn",
            Self::Single => "single",
            Self::Reserved => "reserved",
            Self::Literal => "literal",
            Self::BareIp => "bare-ip",
            Self::Malformed => "malformed",
            Self::Absent => "absent",
        }
    }
}

/// Top-level labels that belong to nobody on the Internet (RFC 2606, RFC 6761, RFC 6762, the ICANN
/// resolution on `internal` of 2024, and two that installers write).
const RESERVED_TLDS: [&str; 8] =
    ["localhost", "local", "localdomain", "lan", "internal", "invalid", "test", "example"];

/// What stands for a family's place where a name has none.
const NO_FAMILY: u8 = u8::MAX;

/// An EHLO argument, normalised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    kind: NameKind,
    text: Box<str>,
    /// Where in the text the family begins, or `NO_FAMILY`. It follows from the text.
    family: u8,
}

/// A name that lies in somebody else's memory: a row of the ledger, say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameRef<'a> {
    kind: NameKind,
    text: &'a str,
    family: u8,
}

impl<'a> NameRef<'a> {
    /// A name from the parts that `kind`, `text` and `family_place` told of it.
    pub(crate) fn from_parts(kind: NameKind, text: &'a str, family: u8) -> Self {
        Self { kind, text, family }
    }

    /// What sort of argument it is.
    pub fn kind(self) -> NameKind {
        self.kind
    }

    /// The normalised text; empty for `absent`, printable ASCII always.
    pub fn text(self) -> &'a str {
        self.text
    }

    /// The registrable domain of an `fqdn`; `None` for every other kind.
    pub fn family(self) -> Option<&'a str> {
        self.text.get(usize::from(self.family)..)
    }

    /// Where in the text the family begins; 255 if there is none.
    pub(crate) fn family_place(self) -> u8 {
        self.family
    }

    /// The name in memory of its own.
    pub fn to_name(self) -> Name {
        Name { kind: self.kind, text: self.text.into(), family: self.family }
    }
}

/// Where in a text the family of the name begins.
fn family_place(kind: NameKind, text: &str) -> u8 {
    if kind != NameKind::Fqdn {
        return NO_FAMILY;
    }
    let family = psl::domain_str(text).unwrap_or(text);
    u8::try_from(text.len().saturating_sub(family.len())).unwrap_or(0)
}

impl Name {
    fn new(kind: NameKind, text: Box<str>) -> Self {
        Self { kind, family: family_place(kind, &text), text }
    }

    /// The name of a client that said nothing.
    pub fn absent() -> Self {
        Self::new(NameKind::Absent, "".into())
    }

    /// The same name, lying here.
    pub fn view(&self) -> NameRef<'_> {
        NameRef { kind: self.kind, text: &self.text, family: self.family }
    }

    /// Reads what a client said. Every input has a reading.
    pub fn parse(said: &[u8]) -> Self {
        let said = said.trim_ascii_end();
        if said.is_empty() {
            return Self::absent();
        }
        if said.first() == Some(&b'[') {
            return Self::parse_literal(said);
        }
        let Some(text) = printable(said) else {
            return Self::malformed(said);
        };
        let mut text = text;
        if text.ends_with('.') {
            text.pop();
        }
        if let Some(ip) = bare_ip(&text) {
            return Self::new(NameKind::BareIp, ip.to_string().into());
        }
        match domain_kind(&text) {
            Some(kind) => Self::new(kind, text.into()),
            None => Self::malformed(said),
        }
    }

    fn parse_literal(said: &[u8]) -> Self {
        let end = said.iter().position(u8::is_ascii_whitespace).unwrap_or(said.len());
        let word = said.get(..end).unwrap_or(said);
        let inside = word.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
        let Some(ip) = inside.and_then(literal_ip) else {
            return Self::malformed(said);
        };
        let text = match ip {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[ipv6:{ip}]"),
        };
        Self::new(NameKind::Literal, text.into())
    }

    fn malformed(said: &[u8]) -> Self {
        let mut text = String::with_capacity(said.len());
        for &byte in said {
            match byte {
                0x20..=0x7e => text.push(char::from(byte.to_ascii_lowercase())),
                _ => text.push_str(&format!("\\x{byte:02x}")),
            }
        }
        if text.len() > NAME_MAX {
            text.truncate(MALFORMED_CUT);
            text.push_str("...");
        }
        Self::new(NameKind::Malformed, text.into())
    }

    /// What sort of argument it is.
    pub fn kind(&self) -> NameKind {
        self.kind
    }

    /// The normalised text; empty for `absent`, printable ASCII always.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True for names that somebody can own in the DNS: the only ones that identify.
    pub fn is_fqdn(&self) -> bool {
        self.kind == NameKind::Fqdn
    }

    /// The address that a literal or a bare address states.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.kind {
            NameKind::BareIp => self.text.parse().ok(),
            NameKind::Literal => {
                let inside = self.text.strip_prefix('[')?.strip_suffix(']')?;
                literal_ip(inside.as_bytes())
            }
            _ => None,
        }
    }

    /// The registrable domain of an `fqdn` (public suffix list), or the name itself where the list
    /// knows none; `None` for every other kind.
    pub fn family(&self) -> Option<&str> {
        self.view().family()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.kind == NameKind::Absent { "(none)" } else { &self.text })
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

/// The text in lower case, if every octet is a graphic ASCII character (0x21 to 0x7E).
fn printable(said: &[u8]) -> Option<String> {
    if !said.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    String::from_utf8(said.to_ascii_lowercase()).ok()
}

/// The address that a text without brackets is.
fn bare_ip(text: &str) -> Option<IpAddr> {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    // Most names are none; to see that costs less than to try.
    let may_be = (digit(bytes.first()) && digit(bytes.last())) || bytes.contains(&b':');
    if may_be { text.parse().ok() } else { None }
}

/// The kind of a domain name, or `None` if its syntax is not one. It is printable and in lower case.
fn domain_kind(text: &str) -> Option<NameKind> {
    if text.is_empty() || text.len() > NAME_MAX {
        return None;
    }
    let mut label = 0;
    let mut before = b'.';
    for byte in text.bytes() {
        match byte {
            b'.' if label == 0 || before == b'-' => return None,
            b'.' => label = 0,
            b'-' if label == 0 => return None,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' if label < LABEL_MAX => label += 1,
            _ => return None,
        }
        before = byte;
    }
    if label == 0 || before == b'-' {
        return None;
    }
    let last = text.get(text.len() - label..)?;
    if RESERVED_TLDS.contains(&last) {
        return Some(NameKind::Reserved);
    }
    if last.len() == text.len() {
        return Some(NameKind::Single);
    }
    // An all-digit top label is no domain: `1.2.3` or `10.0.0.300`.
    (!last.bytes().all(|byte| byte.is_ascii_digit())).then_some(NameKind::Fqdn)
}

/// The address inside a literal's brackets; the `IPv6:` tag in any case.
fn literal_ip(inside: &[u8]) -> Option<IpAddr> {
    let inside = std::str::from_utf8(inside).ok()?;
    if let Ok(ip) = inside.parse::<Ipv4Addr>() {
        return Some(IpAddr::V4(ip));
    }
    let (tag, address) = inside.split_once(':')?;
    if !tag.eq_ignore_ascii_case("ipv6") {
        return None;
    }
    address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_kind() {
        use NameKind::*;
        for (said, kind, text) in [
            ("mail.example.com", Fqdn, "mail.example.com"),
            ("MAIL.Example.COM.", Fqdn, "mail.example.com"),
            ("out_1.example.com", Fqdn, "out_1.example.com"),
            ("xn--strae-oqa.example.com", Fqdn, "xn--strae-oqa.example.com"),
            ("mail", Single, "mail"),
            ("WIN-ABC123", Single, "win-abc123"),
            ("localhost", Reserved, "localhost"),
            ("localhost.localdomain", Reserved, "localhost.localdomain"),
            ("pc.lan", Reserved, "pc.lan"),
            ("[192.0.2.7]", Literal, "[192.0.2.7]"),
            ("[192.0.2.7] and text", Literal, "[192.0.2.7]"),
            ("[IPv6:2001:DB8:0::7]", Literal, "[ipv6:2001:db8::7]"),
            ("[ipv6:2001:db8::7]", Literal, "[ipv6:2001:db8::7]"),
            ("192.0.2.7", BareIp, "192.0.2.7"),
            ("2001:db8::7", BareIp, "2001:db8::7"),
            ("", Absent, ""),
            ("  ", Absent, ""),
            ("[192.0.2.300]", Malformed, "[192.0.2.300]"),
            ("[2001:db8::7]", Malformed, "[2001:db8::7]"),
            ("192.0.2.300", Malformed, "192.0.2.300"),
            ("mail=example", Malformed, "mail=example"),
            ("evil??[1.2.3.4]", Malformed, "evil??[1.2.3.4]"),
            ("a..b", Malformed, "a..b"),
            ("-a.example.com", Malformed, "-a.example.com"),
            ("two words", Malformed, "two words"),
            ("tab\there", Malformed, "tab\\x09here"),
            ("straße.example.com", Malformed, "stra\\xc3\\x9fe.example.com"),
        ] {
            let name = Name::parse(said.as_bytes());
            assert_eq!((name.kind(), name.text()), (kind, text), "{said:?}");
        }
    }

    #[test]
    fn overlong_names_are_malformed_and_short() {
        let long = format!("{}com", "abcdefgh.".repeat(40));
        let name = Name::parse(long.as_bytes());
        assert_eq!(name.kind(), NameKind::Malformed);
        assert_eq!(name.text().len(), NAME_MAX);
    }

    #[test]
    fn families_are_registrable_domains() {
        for (said, family) in [
            ("mx1.mail.example.co.uk", Some("example.co.uk")),
            ("example.com", Some("example.com")),
            ("co.uk", Some("co.uk")),
            ("localhost", None),
            ("[192.0.2.7]", None),
        ] {
            assert_eq!(Name::parse(said.as_bytes()).family(), family, "{said}");
        }
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent(said in proptest::collection::vec(any::<u8>(), 0..400)) {
            let once = Name::parse(&said);
            prop_assert_eq!(&Name::parse(once.text().as_bytes()), &once);
            prop_assert!(once.text().len() <= NAME_MAX);
            prop_assert!(once.text().bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        }

        #[test]
        fn case_and_one_final_dot_do_not_matter(said in "[a-zA-Z0-9]{1,9}(\\.[a-zA-Z0-9]{2,9}){0,4}") {
            let plain = Name::parse(said.as_bytes());
            // A malformed name keeps its dots: they may be what is wrong with it.
            prop_assume!(plain.kind() != NameKind::Malformed);
            prop_assert_eq!(&Name::parse(said.to_uppercase().as_bytes()), &plain);
            prop_assert_eq!(&Name::parse(format!("{said}.").as_bytes()), &plain);
        }
    }
}

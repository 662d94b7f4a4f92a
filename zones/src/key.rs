//! From a question's name to the key it asks for.
//!
//! In go the kind of a zone and the labels that stand left of its apex, leftmost first, as raw
//! octets in any case; out comes a [`Key`]. Nothing fails: what can be no key is `Impossible`. The
//! function is pure and knows no data, so whether a key is listed is not its business.
//!
//! Rules:
//! - RFC 5782 sections 2.1 and 2.4: four reversed octets, or 32 reversed nibbles. Octets are
//!   canonical decimal (0 to 255, no leading zeros), nibbles one hexadecimal digit in either case.
//!   An IPv4-mapped IPv6 address is the IPv4 address.
//! - RFC 8020: a name above a possible key exists, so a part of an address is `Partial`. An IPv4
//!   key of four single digits stands above IPv6 keys too (1.0.0.2 above 2001::/16): see
//!   [`is_also_above_ipv6`].
//! - `fp` has pairs with the address as it is written, `<name>.<a.b.c.d>`, which some filters can put together and no
//!   reversed one; IPv4 only.
//! - A pair key has the address next to the apex and is read from the right. The last label of a
//!   name is never a single hexadecimal digit, so a fifth label that is one makes the address IPv6.
//! - Names are letters, digits, hyphens and underscores. A name with any other octet is malformed
//!   in EHLO and never an identity, hence neither a key nor above one. Nor are addresses and names
//!   whose top label is all digits.
//! - RFC 5782 section 5: the test points are keys of their own, in every zone. Everything below
//!   `invalid`, and every pair of 127.0.0.1, is never listed, so that nothing lies below a name
//!   that does not exist.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::name::{Name, NameKind};

/// The labels of a whole IPv6 key.
const NIBBLES: usize = 32;
/// The address that is listed in every list (RFC 5782 section 5).
const LISTED_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The address that is listed in none.
const UNLISTED_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);

/// The kinds of zones; each lives at `<label>.<origin>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Listed clients, by address.
    Bl,
    /// Trusted clients, by address.
    Wl,
    /// Scores of clients, by address.
    Score,
    /// What speaks for and against clients, as bits, by address.
    Bits,
    /// Listed names, by name.
    Ehlo,
    /// Pairs, by name and address.
    Pair,
    /// The same, with the address in forward order.
    Fp,
    /// Recommendations of names in the form of CSV-DNA, by name.
    Dna,
}

/// What the keys of a kind are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A reversed address.
    Address,
    /// A name.
    Name,
    /// A name, and a reversed address next to the apex.
    Pair,
    /// A name, and an IPv4 address next to the apex.
    ForwardPair,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] =
        [Self::Bl, Self::Wl, Self::Score, Self::Bits, Self::Ehlo, Self::Pair, Self::Fp, Self::Dna];

    /// The label it lives at, below the origin; its name in configuration and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Bl => "bl",
            Self::Wl => "wl",
            Self::Score => "score",
            Self::Bits => "bits",
            Self::Ehlo => "ehlo",
            Self::Pair => "pair",
            Self::Fp => "fp",
            Self::Dna => "dna",
        }
    }

    /// Reads a label.
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label() == label)
    }

    /// What its keys are made of.
    pub fn form(self) -> Form {
        match self {
            Self::Bl | Self::Wl | Self::Score | Self::Bits => Form::Address,
            Self::Ehlo | Self::Dna => Form::Name,
            Self::Pair => Form::Pair,
            Self::Fp => Form::ForwardPair,
        }
    }
}

/// What a question asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The zone itself.
    Apex,
    /// Above possible keys, and no key: the name exists without data.
    Partial,
    /// Neither a key nor above one: the name does not exist.
    Impossible,
    /// A client.
    Client(IpAddr),
    /// A name.
    Name(Name),
    /// A name said by a client.
    Pair(IpAddr, Name),
    /// A test point that answers this value, whatever the ledger holds.
    TestListed(Ipv4Addr),
    /// A test point that is never listed.
    TestUnlisted,
}

impl Key {
    /// Reads the labels left of the apex of a zone of `kind`, leftmost first.
    pub fn read(kind: Kind, labels: &[&[u8]]) -> Self {
        if labels.is_empty() {
            return Self::Apex;
        }
        match kind.form() {
            Form::Address => address_key(kind, labels),
            Form::Name => name_key(labels),
            Form::Pair => pair_key(split_address(labels)),
            Form::ForwardPair => pair_key(split_forward(labels)),
        }
    }
}

/// True for an IPv4 address whose reversed octets are nibbles too: its key stands above IPv6 keys,
/// so the name exists even where the address is not listed.
pub fn is_also_above_ipv6(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets().iter().all(|&octet| octet < 10),
        IpAddr::V6(_) => false,
    }
}

fn address_key(kind: Kind, labels: &[&[u8]]) -> Key {
    let (ip, rest) = match split_address(labels) {
        Address::Whole(ip, rest) => (ip, rest),
        Address::Part => return Key::Partial,
        Address::None => return Key::Impossible,
    };
    if !rest.is_empty() {
        return Key::Impossible;
    }
    match ip {
        IpAddr::V4(v4) => test_address(kind, v4).unwrap_or(Key::Client(ip)),
        IpAddr::V6(_) => Key::Client(ip),
    }
}

fn name_key(labels: &[&[u8]]) -> Key {
    let Some(name) = read_name(labels) else {
        return Key::Impossible;
    };
    match test_name(&name) {
        Some(TestName::Listed) => Key::TestListed(Ipv4Addr::new(127, 0, 1, 2)),
        Some(TestName::Unlisted) => Key::TestUnlisted,
        None => Key::Name(name),
    }
}

fn pair_key(address: Address<'_, '_>) -> Key {
    let (ip, rest) = match address {
        Address::Whole(ip, rest) => (ip, rest),
        Address::Part => return Key::Partial,
        Address::None => return Key::Impossible,
    };
    if rest.is_empty() {
        return Key::Partial;
    }
    let Some(name) = read_name(rest) else {
        return Key::Impossible;
    };
    if ip == UNLISTED_IP {
        return Key::TestUnlisted;
    }
    match test_name(&name) {
        Some(TestName::Listed) if ip == LISTED_IP => Key::TestListed(Ipv4Addr::new(127, 0, 2, 2)),
        Some(TestName::Unlisted) => Key::TestUnlisted,
        _ => Key::Pair(ip, name),
    }
}

/// The test points by address: RFC 5782 asks for 127.0.0.2, and for one per further value.
fn test_address(kind: Kind, ip: Ipv4Addr) -> Option<Key> {
    if ip == UNLISTED_IP {
        return Some(Key::TestUnlisted);
    }
    let value = match (kind, ip.octets()) {
        (Kind::Bl, [127, 0, 0, 2 | 4 | 5 | 6 | 7 | 10 | 11 | 99]) => ip,
        // The lowest trust that says anything: a test that leaks into a filter does little.
        (Kind::Wl, [127, 0, 0, 2]) => Ipv4Addr::new(127, 0, 4, 1),
        (Kind::Score, [127, 0, 0, 2]) => Ipv4Addr::new(127, 0, 4, 50),
        (Kind::Bits, [127, 0, 0, 2]) => Ipv4Addr::new(127, 0, 2, 2),
        _ => return None,
    };
    Some(Key::TestListed(value))
}

enum TestName {
    Listed,
    Unlisted,
}

fn test_name(name: &Name) -> Option<TestName> {
    match name.text() {
        "test" => Some(TestName::Listed),
        text if text == "invalid" || text.ends_with(".invalid") => Some(TestName::Unlisted),
        _ => None,
    }
}

/// What stands at the right end of the labels.
enum Address<'a, 'l> {
    /// An address, and the labels left of it.
    Whole(IpAddr, &'a [&'l [u8]]),
    /// Fewer labels than an address has, all fit for one.
    Part,
    None,
}

fn split_address<'a, 'l>(labels: &'a [&'l [u8]]) -> Address<'a, 'l> {
    let nibbles = labels.iter().rev().map_while(|label| nibble(label)).take(NIBBLES).count();
    if nibbles == NIBBLES {
        return whole_v6(labels);
    }
    let mut octets = [0; 4];
    let mut found = 0;
    for (place, value) in octets.iter_mut().zip(labels.iter().rev().map_while(|l| octet(l))) {
        *place = value;
        found += 1;
    }
    // With a nibble in fifth place, four octets that are nibbles too belong to an IPv6 address.
    if found == octets.len() && nibbles <= found {
        let rest = labels.get(..labels.len() - found).unwrap_or_default();
        return Address::Whole(IpAddr::V4(Ipv4Addr::from(octets)), rest);
    }
    if nibbles == labels.len() || found == labels.len() { Address::Part } else { Address::None }
}

/// The same for an IPv4 address in forward order.
fn split_forward<'a, 'l>(labels: &'a [&'l [u8]]) -> Address<'a, 'l> {
    let Some((rest, last)) = labels.split_last_chunk::<4>() else {
        let is_part = labels.iter().all(|label| octet(label).is_some());
        return if is_part { Address::Part } else { Address::None };
    };
    match last.map(octet) {
        [Some(a), Some(b), Some(c), Some(d)] => {
            Address::Whole(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), rest)
        }
        _ => Address::None,
    }
}

fn whole_v6<'a, 'l>(labels: &'a [&'l [u8]]) -> Address<'a, 'l> {
    let digits = labels.iter().rev().map_while(|label| nibble(label)).take(NIBBLES);
    let bits = digits.fold(0, |bits: u128, digit| (bits << 4) | u128::from(digit));
    let rest = labels.get(..labels.len().saturating_sub(NIBBLES)).unwrap_or_default();
    Address::Whole(IpAddr::V6(Ipv6Addr::from(bits)).to_canonical(), rest)
}

fn nibble(label: &[u8]) -> Option<u8> {
    let [digit] = label else {
        return None;
    };
    char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn octet(label: &[u8]) -> Option<u8> {
    let canonical = label.len() == 1 || label.first() != Some(&b'0');
    if !canonical || !label.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(label).ok()?.parse().ok()
}

/// The name that the labels spell, if a host can say it and be known by it.
fn read_name(labels: &[&[u8]]) -> Option<Name> {
    // Asked before joining: an octet `.` inside a label would make two labels of one.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !labels.iter().all(|label| label.iter().all(plain)) {
        return None;
    }
    if labels.last()?.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let name = Name::parse(&labels.join(&b'.'));
    matches!(name.kind(), NameKind::Fqdn | NameKind::Single | NameKind::Reserved).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V6: &str = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
    const MAPPED: &str = "0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";

    fn read(kind: Kind, text: &str) -> Key {
        let labels: Vec<&[u8]> =
            text.split('.').filter(|label| !label.is_empty()).map(str::as_bytes).collect();
        Key::read(kind, &labels)
    }

    fn client(ip: &str) -> Key {
        Key::Client(ip.parse().expect(ip))
    }

    fn name(text: &str) -> Key {
        Key::Name(Name::parse(text.as_bytes()))
    }

    fn pair(ip: &str, text: &str) -> Key {
        Key::Pair(ip.parse().expect(ip), Name::parse(text.as_bytes()))
    }

    fn listed(value: [u8; 4]) -> Key {
        Key::TestListed(value.into())
    }

    #[test]
    fn reads_pairs_in_forward_order() {
        use Key::{Apex, Impossible, Partial, TestUnlisted};
        for (text, key) in [
            ("", Apex),
            ("7", Partial),
            ("0.2.7", Partial),
            ("192.0.2.7", Partial),
            ("192.0.2.256", Impossible),
            ("mail.0.2.7", Impossible),
            ("mail.example.com.192.0.2.7", pair("192.0.2.7", "mail.example.com")),
            ("a.1.2.3.4", pair("1.2.3.4", "a")),
            ("test.127.0.0.2", listed([127, 0, 2, 2])),
            ("mail.example.com.127.0.0.1", TestUnlisted),
            ("mail.example.com.7.2.0.192", pair("7.2.0.192", "mail.example.com")),
        ] {
            assert_eq!(read(Kind::Fp, text), key, "{text}");
        }
    }

    #[test]
    fn reads_addresses() {
        use Key::{Apex, Impossible, Partial, TestUnlisted};
        for (text, key) in [
            ("", Apex),
            ("7.2.0.192", client("192.0.2.7")),
            ("2.0.192", Partial),
            ("192", Partial),
            ("0", Partial),
            ("f", Partial),
            ("256.2.0.192", Impossible),
            ("07.2.0.192", Impossible),
            ("00.2.0.192", Impossible),
            ("0.0.0.0", client("0.0.0.0")),
            ("255.255.255.255", client("255.255.255.255")),
            ("1234", Impossible),
            ("+7.2.0.192", Impossible),
            ("192.f", Impossible),
            ("f.192", Impossible),
            ("1.7.2.0.192", Impossible),
            ("x.7.2.0.192", Impossible),
            ("ldpqxtr", Impossible),
            // Both an IPv4 key and above 2001::/16.
            ("1.0.0.2", client("2.0.0.1")),
            ("0.1.0.0.2", Partial),
            ("a.0.0.2", Partial),
            ("x.1.0.0.2", Impossible),
            ("10.1.0.0.2", Impossible),
            (V6, client("2001:db8::7")),
            (&V6.to_uppercase(), client("2001:db8::7")),
            (V6.strip_prefix("7.").expect("its first nibble"), Partial),
            (&format!("0.{V6}"), Impossible),
            (&format!("x.{V6}"), Impossible),
            ("2.0.0.127", listed([127, 0, 0, 2])),
            ("4.0.0.127", listed([127, 0, 0, 4])),
            ("11.0.0.127", listed([127, 0, 0, 11])),
            ("99.0.0.127", listed([127, 0, 0, 99])),
            ("3.0.0.127", client("127.0.0.3")),
            ("1.0.0.127", TestUnlisted),
            (&format!("2.{MAPPED}"), listed([127, 0, 0, 2])),
            (&format!("1.{MAPPED}"), TestUnlisted),
        ] {
            assert_eq!(read(Kind::Bl, text), key, "{text}");
        }
    }

    #[test]
    fn every_address_zone_has_test_points_of_its_own() {
        for (kind, value) in [(Kind::Wl, [127, 0, 4, 1]), (Kind::Score, [127, 0, 4, 50])] {
            assert_eq!(read(kind, "2.0.0.127"), listed(value), "{kind:?}");
            assert_eq!(read(kind, &format!("2.{MAPPED}")), listed(value), "{kind:?}");
            assert_eq!(read(kind, "1.0.0.127"), Key::TestUnlisted, "{kind:?}");
            assert_eq!(read(kind, "4.0.0.127"), client("127.0.0.4"), "{kind:?}");
        }
    }

    #[test]
    fn reads_names() {
        use Key::{Apex, Impossible, TestUnlisted};
        for (text, key) in [
            ("", Apex),
            ("mail.example.com", name("mail.example.com")),
            ("MAIL.Example.COM", name("mail.example.com")),
            ("out_1.example.com", name("out_1.example.com")),
            ("com", name("com")),
            ("localhost", name("localhost")),
            ("pc.lan", name("pc.lan")),
            ("7.2.0.192", Impossible),
            ("192.0.2.300", Impossible),
            ("123", Impossible),
            ("mail.123", Impossible),
            ("-a.example.com", Impossible),
            ("a b.example.com", Impossible),
            ("[192.example.com", Impossible),
            ("*.example.com", Impossible),
            ("TEST", listed([127, 0, 1, 2])),
            ("a.test", name("a.test")),
            ("INVALID", TestUnlisted),
            ("a.invalid", TestUnlisted),
        ] {
            assert_eq!(read(Kind::Ehlo, text), key, "{text}");
        }
    }

    #[test]
    fn octets_no_name_has_make_no_key() {
        for label in [&b"a.b"[..], b"\0", b"\xff", b"a\\", b"st\xc3\xa9"] {
            let labels = [label, b"example", b"com"];
            assert_eq!(Key::read(Kind::Ehlo, &labels), Key::Impossible, "{label:?}");
            let labels = [label, b"com", b"7", b"2", b"0", b"192"];
            assert_eq!(Key::read(Kind::Pair, &labels), Key::Impossible, "{label:?}");
            assert_eq!(Key::read(Kind::Bl, &[label]), Key::Impossible, "{label:?}");
        }
    }

    #[test]
    fn reads_pairs() {
        use Key::{Apex, Impossible, Partial, TestUnlisted};
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(60), "com".to_owned()].join(".");
        for (text, key) in [
            ("", Apex),
            ("192", Partial),
            ("2.0.192", Partial),
            ("7.2.0.192", Partial),
            ("mail.example.com.7.2.0.192", pair("192.0.2.7", "mail.example.com")),
            ("MAIL.Example.com.7.2.0.192", pair("192.0.2.7", "mail.example.com")),
            ("com.7.2.0.192", pair("192.0.2.7", "com")),
            ("4.example.com.7.2.0.192", pair("192.0.2.7", "4.example.com")),
            ("example.com.1.0.0.2", pair("2.0.0.1", "example.com")),
            ("ldpqxtr", Impossible),
            ("mail.example.com", Impossible),
            ("com.2.0.192", Impossible),
            ("com.256.2.0.192", Impossible),
            ("55.7.2.0.192", Impossible),
            ("5.7.2.0.192", Impossible),
            ("5.1.0.0.2", Partial),
            ("com.5.1.0.0.2", Impossible),
            (V6, Partial),
            (&format!("mail.example.com.{V6}"), pair("2001:db8::7", "mail.example.com")),
            (&format!("{long}.7.2.0.192"), pair("192.0.2.7", &long)),
            (&format!("test.2.{MAPPED}"), listed([127, 0, 2, 2])),
            ("test.2.0.0.127", listed([127, 0, 2, 2])),
            ("test.7.2.0.192", pair("192.0.2.7", "test")),
            ("invalid.1.0.0.127", TestUnlisted),
            ("mail.example.com.1.0.0.127", TestUnlisted),
            ("a.invalid.7.2.0.192", TestUnlisted),
        ] {
            assert_eq!(read(Kind::Pair, text), key, "{text}");
        }
    }

    /// The reversed form of an address, with nibbles for IPv6.
    fn reversed(ip: IpAddr) -> String {
        match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                format!("{d}.{c}.{b}.{a}")
            }
            IpAddr::V6(ip) => {
                let digits = format!("{:032x}", u128::from(ip));
                digits.chars().rev().map(String::from).collect::<Vec<_>>().join(".")
            }
        }
    }

    proptest! {
        #[test]
        fn addresses_come_back(v4: u32, v6: u128, said in "[a-z][a-z0-9]{1,9}\\.(com|net)") {
            for ip in [IpAddr::V4(v4.into()), IpAddr::V6(v6.into())] {
                prop_assume!(ip.to_canonical() != LISTED_IP && ip.to_canonical() != UNLISTED_IP);
                let key = read(Kind::Score, &reversed(ip));
                prop_assert_eq!(key, Key::Client(ip.to_canonical()));
                let key = read(Kind::Pair, &format!("{said}.{}", reversed(ip)));
                prop_assert_eq!(key, Key::Pair(ip.to_canonical(), Name::parse(said.as_bytes())));
            }
        }

        /// RFC 8020: above every key, every name exists or is a key itself.
        #[test]
        fn nothing_lies_below_the_impossible(
            kind in proptest::sample::select(&Kind::ALL),
            labels in proptest::collection::vec("[0-9a-f]|[0-9]{1,3}|com|[ -~]{1,5}", 0..40),
        ) {
            let labels: Vec<&[u8]> = labels.iter().map(String::as_bytes).collect();
            let key = Key::read(kind, &labels);
            if key != Key::Impossible && key != Key::TestUnlisted {
                for cut in 1..labels.len() {
                    let above = Key::read(kind, &labels[cut..]);
                    prop_assert_ne!(&above, &Key::Impossible, "above {:?}", key);
                    prop_assert_ne!(&above, &Key::TestUnlisted, "above {:?}", key);
                    if let Key::Client(ip) = above {
                        prop_assert!(is_also_above_ipv6(ip), "{} above {:?}", ip, key);
                    }
                }
            }
        }

        #[test]
        fn any_octets_have_a_reading(
            kind in proptest::sample::select(&Kind::ALL),
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..63), 0..127),
        ) {
            let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
            let key = Key::read(kind, &labels);
            prop_assert_eq!(key == Key::Apex, labels.is_empty());
        }
    }
}

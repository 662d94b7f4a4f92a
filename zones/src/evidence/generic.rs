//! Generic reverse names: did a machine make the client's reverse name for a whole range?
//!
//! `dsl-192-0-2-7.isp.example` says nothing but the address again: nobody named this host, so nobody meant
//! it to send mail. Receivers have asked for other names since at least 2005. That alone is a weak sign:
//! small offices cannot always choose their reverse names, so a client that says an own name which leads
//! to it is not called generic.
//!
//! Questions: PTR at the reverse name of the client, at most 10 names in sorted order. Only if all of them look
//! generic, and only where the answer can change the finding: the addresses of the name that the client said, and
//! of reverse names of its family that say "mail". [`super::forward`] and [`super::iprev`] ask the same.
//!
//! | finding | when |
//! |---|---|
//! | `pass:named` | at least one reverse name is a proper one |
//! | `neutral:own-name` | all look generic; the client says a proper name, and that leads to it |
//! | `neutral:agreed` | all look generic; one says "mail" and leads back, and the client says it or another name of its family |
//! | `fail:generic` | all look generic, and neither |
//! | `none:noptr` | no PTR |
//! | `temperror:*` | a question failed, and no other settles it |
//! | `permerror:alias-loop` | the reverse name is an alias without an end |
//!
//! What looks generic is told by [`looks_generic`]. Whether a *proper* reverse name leads back is told by
//! [`super::iprev`], not here. A client with standing is never called generic: but history is the business
//! of the rules that read this finding, which knows only the DNS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::{HostAddresses, Inquiry};
use super::lookup::Lookup;
use super::options::Iprev as Options;
use super::reverse;
use crate::name::Name;

/// Words that name a way of access: with any number, nobody named the host.
const ACCESS: &str = "
    abo adsl bredband broadband cable cablemodem catv cgn cust dhcp dial dialin dialup dip
    dsl dyn dynamic dynamicip dynip ftth gprs hsd internetdsl kabel modem modemcable pool
    pools ppp pppoe residential sdsl speedy subscriber umts vdsl wireless wlan xdsl
";

/// Words that say that hosts are numbered, and words of access networks that people also use in names: with the
/// last two octets of the address, nobody named the host.
const NUMBERED: &str = "
    addr bb client clients cm cpe customer customers fiber fixed gw home host hosts ip lte
    mobile nat net node range res rev reverse static unassigned unknown unused user users
";

/// The shortest number that is taken for octets written together.
const ONE_NUMBER_MIN: usize = 5;
/// The hexadecimal digits of an Ethernet address.
const CARD_DIGITS: usize = 12;
/// The longest label (RFC 1035 section 2.3.4).
const LABEL_MAX: usize = 63;

/// Words that say "mail" as a whole.
const MAIL: [&str; 5] = ["out", "outbound", "relay", "sender", "mout"];
/// Beginnings and ends of words that say it.
const MAIL_PARTS: [&str; 4] = ["mail", "mx", "smtp", "mta"];

/// What the reverse name says of the client at `ip` (canonical) that said `name`.
pub async fn evaluate<L: Lookup>(
    lookup: &L,
    ip: IpAddr,
    name: &Name,
    options: &Options,
) -> Finding {
    let mut inquiry = Inquiry::new(lookup);
    let hosts = match reverse::names(&mut inquiry, ip, options.names).await {
        Ok(hosts) if hosts.is_empty() => {
            return inquiry.conclude(FindingResult::None, Some("noptr"));
        }
        Ok(hosts) => hosts,
        Err(failure) => return inquiry.give_up(failure),
    };
    if !hosts.iter().all(|host| looks_generic(host, ip)) {
        return inquiry.conclude(FindingResult::Pass, Some("named"));
    }
    let mut failed = None;
    for (host, excuse) in excuses(hosts, ip, name) {
        match inquiry.compare(&host, ip).await {
            HostAddresses::Include => {
                return inquiry.conclude(FindingResult::Neutral, Some(excuse));
            }
            HostAddresses::Exclude | HostAddresses::Missing => {}
            // A name that leads nowhere for ever does not lead here.
            HostAddresses::Failed(failure) if failure.is_permanent() => {}
            HostAddresses::Failed(failure) => failed = failed.or(Some(failure)),
        }
    }
    match failed {
        Some(failure) => inquiry.give_up(failure),
        None => inquiry.conclude(FindingResult::Fail, Some("generic")),
    }
}

/// The names that excuse generic reverse names if they lead to the client, and the reason then.
fn excuses(hosts: Vec<DnsName>, ip: IpAddr, name: &Name) -> Vec<(DnsName, &'static str)> {
    let Some(said) = DnsName::of(name) else {
        return Vec::new();
    };
    let mut excuses = Vec::new();
    if !looks_generic(&said, ip) {
        excuses.push((said, "own-name"));
    }
    let family =
        |host: &DnsName| Name::parse(host.to_string().as_bytes()).family().map(str::to_owned);
    let akin = |host: &DnsName| family(host).as_deref() == name.family();
    let agreed = hosts.into_iter().filter(|host| says_mail(host) && akin(host));
    excuses.extend(agreed.map(|host| (host, "agreed")));
    excuses
}

/// True if a machine made `name` for the host at `ip`, as far as its letters tell.
///
/// | sign | where | like |
/// |---|---|---|
/// | the four octets of the address as numbers, in any order | anywhere | `7.2.0.192.static.example.net` |
/// | three in a row, the last octet among them | anywhere | `sw0-2-7.example.net` |
/// | the address, or its last two or three octets, as one number | anywhere | `h192000002007.example.net` |
/// | the address in hexadecimal, from either end | anywhere | `ipc0000207.example.net` |
/// | an IPv6 address, its lower half, or its nibbles from either end | anywhere | `2001-db8--7.example.net` |
/// | twelve hexadecimal digits of a network card | end of the first label | `s0106001122aabbcc.example.net` |
/// | no name that a host on the Internet can own | whole | `localhost` |
/// | a word of access networks and a number | left of the registrable domain | `pool-1234.dyn.example.net` |
/// | a word of numbered hosts and the last two octets | left of it | `host-2-7.example.net` |
///
/// A first label that says "mail" and holds no octet of the address is a name: `mx1.cust7.example.net`.
pub fn looks_generic(name: &DnsName, ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let Some(left) = left(name) else {
        return true;
    };
    Lexemes(name.labels()).look_generic(&Lexemes(name.labels().take(left)), ip)
}

/// True if a word left of the registrable domain says that the host is for mail.
pub(crate) fn says_mail(name: &DnsName) -> bool {
    left(name).is_some_and(|left| Lexemes(name.labels().take(left)).say_mail())
}

/// True if `name`, an `fqdn`, looks generic and does not say "mail". Its family is known, so no list needs to be asked.
pub(crate) fn is_made(name: &Name, ip: IpAddr) -> bool {
    let Some(family) = name.family() else { return true };
    let labels = |text| str::split(text, '.').map(str::as_bytes);
    let of_family = labels(family).count();
    let left = labels(name.text()).count().saturating_sub(of_family);
    let left = Lexemes(labels(name.text()).take(left));
    Lexemes(labels(name.text())).look_generic(&left, ip.to_canonical()) && !left.say_mail()
}

/// How many labels stand left of the registrable domain; `None` for what no host on the Internet can own.
fn left(name: &DnsName) -> Option<usize> {
    let written = Name::parse(name.to_string().as_bytes());
    let family = written.family()?.split('.').count();
    Some(name.depth().saturating_sub(family))
}

/// The words and numbers of some labels, in their order.
#[derive(Clone, Debug)]
struct Lexemes<I>(I);

impl<'a, I: Iterator<Item = &'a [u8]> + Clone> Lexemes<I> {
    /// True if the labels look generic, of which those of `left` stand left of the registrable domain.
    fn look_generic<L>(&self, left: &Lexemes<L>, ip: IpAddr) -> bool
    where
        L: Iterator<Item = &'a [u8]> + Clone,
    {
        let spelled = match ip {
            IpAddr::V4(ip) => self.spell_v4(ip),
            IpAddr::V6(ip) => self.spell_v6(ip),
        };
        if spelled {
            return true;
        }
        let first = Lexemes(self.0.clone().take(1));
        if first.say_mail() && !first.hold_octet(ip) {
            return false;
        }
        if first.end_in_card() {
            return true;
        }
        let numbered = left.hold_last_two(ip) && left.have_word(NUMBERED);
        numbered || (left.numbers().next().is_some() && left.have_word(ACCESS))
    }

    /// Runs of letters.
    fn words(&self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let words = |label: &'a [u8]| label.split(|octet| !octet.is_ascii_alphabetic());
        self.0.clone().flat_map(words).filter(|word| !word.is_empty())
    }

    /// Runs of digits.
    fn numbers(&self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let numbers = |label: &'a [u8]| label.split(|octet| !octet.is_ascii_digit());
        self.0.clone().flat_map(numbers).filter(|number| !number.is_empty())
    }

    /// The numbers that may be octets.
    fn octets(&self) -> impl Iterator<Item = Option<u8>> + Clone {
        self.numbers().map(|number| {
            let value = number.iter().fold(0u32, |sum, digit| {
                sum.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0')))
            });
            if number.len() <= 3 { u8::try_from(value).ok() } else { None }
        })
    }

    /// True if one of the words is in a list.
    fn have_word(&self, list: &str) -> bool {
        let known = |word: &[u8]| list.split_ascii_whitespace().any(|it| it.as_bytes() == word);
        self.words().any(known)
    }

    fn say_mail(&self) -> bool {
        self.words().any(|word| {
            MAIL.iter().any(|whole| whole.as_bytes() == word)
                || MAIL_PARTS.iter().any(|part| {
                    word.starts_with(part.as_bytes()) || word.ends_with(part.as_bytes())
                })
        })
    }

    fn hold_octet(&self, ip: IpAddr) -> bool {
        let IpAddr::V4(ip) = ip else {
            return false;
        };
        self.octets().flatten().any(|octet| ip.octets().contains(&octet))
    }

    fn hold_last_two(&self, ip: IpAddr) -> bool {
        let IpAddr::V4(ip) = ip else {
            return false;
        };
        let [.., c, d] = ip.octets().map(Some);
        let pairs = self.octets().zip(self.octets().skip(1));
        pairs.into_iter().any(|pair| pair == (c, d) || pair == (d, c))
    }

    /// True if the address stands here: as four numbers, three, one, or in hexadecimal.
    fn spell_v4(&self, ip: Ipv4Addr) -> bool {
        let [a, b, c, d] = ip.octets();
        let three = [[a, c, d], [b, c, d], [a, b, d], [d, c, b], [d, c, a], [d, b, a]];
        let rows = self.octets().zip(self.octets().skip(1)).zip(self.octets().skip(2));
        let mut rows = rows.map(|((one, two), three)| [one, two, three]);
        if rows.any(|row| three.iter().any(|order| row == order.map(Some)))
            || self.hold_all([a, b, c, d])
        {
            return true;
        }
        let mut long = self.numbers().filter(|number| number.len() >= ONE_NUMBER_MIN).peekable();
        if long.peek().is_some() {
            let one = [
                u32::from(ip).to_string(),
                format!("{a}{b}{c}{d}"),
                format!("{a:03}{b:03}{c:03}{d:03}"),
                format!("{d:03}{c:03}{b:03}{a:03}"),
                format!("{b:03}{c:03}{d:03}"),
                format!("{c:03}{d:03}"),
                format!("{c}{d:03}"),
            ];
            if long.any(|number| one.iter().any(|one| one.as_bytes() == number)) {
                return true;
            }
        }
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
        let digits = |octet: u8| [digit(octet >> 4), digit(octet & 15)];
        let hex = [[a, b, c, d].map(digits), [d, c, b, a].map(digits)];
        self.0.clone().any(|label| {
            let mut joined = [0; LABEL_MAX];
            let joined = joined_in(label, &mut joined);
            hex.iter().any(|hex| joined.windows(8).any(|here| here == hex.as_flattened()))
        })
    }

    /// True if each octet is a number here, wherever; as many numbers as it is there octets.
    fn hold_all(&self, wanted: [u8; 4]) -> bool {
        wanted.iter().all(|octet| {
            let here = self.octets().filter(|found| *found == Some(*octet)).count();
            here >= wanted.iter().filter(|other| *other == octet).count()
        })
    }

    /// True if these labels end in the twelve hexadecimal digits of a network card, some of them digits.
    fn end_in_card(&self) -> bool {
        let label = self.0.clone().last().unwrap_or_default();
        let card = label.len().checked_sub(CARD_DIGITS).and_then(|start| label.get(start..));
        card.is_some_and(|card| {
            card.iter().all(u8::is_ascii_hexdigit) && card.iter().any(u8::is_ascii_digit)
        })
    }

    /// True if the IPv6 address stands in the name: written with hyphens, or its nibbles or those of its lower
    /// half in a row, from either end.
    fn spell_v6(&self, ip: Ipv6Addr) -> bool {
        let mut joined: Vec<u8> = Vec::with_capacity(256);
        for label in self.0.clone() {
            joined.extend(label.iter().filter(|octet| octet.is_ascii_alphanumeric()));
        }
        // The shortest of the four.
        if joined.len() >= 16 {
            let bits = ip.to_bits();
            let forward = format!("{bits:032x}").into_bytes();
            let lower = format!("{:016x}", bits & u128::from(u64::MAX)).into_bytes();
            let back = |text: &[u8]| text.iter().rev().copied().collect::<Vec<_>>();
            let nibbles = [back(&forward), back(&lower), forward, lower];
            let stands = |text: &Vec<u8>| joined.windows(text.len()).any(|here| here == text);
            if nibbles.iter().any(stands) {
                return true;
            }
        }
        self.0.clone().filter(|label| label.iter().any(|octet| b"-:".contains(octet))).any(
            |label| {
                let written = String::from_utf8_lossy(label).replace('-', ":");
                // A word may stand before the address: host-2001-db8--7.
                let word = written.find(':').map_or(0, |colon| colon + 1);
                [Some(written.as_str()), written.get(word..)]
                    .into_iter()
                    .flatten()
                    .any(|text| text.parse() == Ok(ip))
            },
        )
    }
}

/// A label without what separates words, to look for hexadecimal in.
fn joined_in<'a>(label: &[u8], place: &'a mut [u8; LABEL_MAX]) -> &'a [u8] {
    let letters = label.iter().filter(|octet| octet.is_ascii_alphanumeric());
    let mut length = 0;
    for (to, from) in place.iter_mut().zip(letters) {
        *to = *from;
        length += 1;
    }
    place.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> DnsName {
        DnsName::parse(text).expect(text)
    }

    fn looks(text: &str, ip: &str) -> bool {
        looks_generic(&name(text), ip.parse().expect(ip))
    }

    #[test]
    fn names_made_for_ranges_look_generic() {
        for (text, ip) in [
            // Octets as numbers.
            ("dsl-192-0-2-7.isp.example.net", "192.0.2.7"),
            ("7.2.0.192.static.example.net", "192.0.2.7"),
            ("192x0x2x7.ap202.ftth.example.net", "192.0.2.7"),
            ("host-007-002-000-192.example.net", "192.0.2.7"),
            ("ip-192-0-2-7.example.net", "::ffff:192.0.2.7"),
            ("aix-157-1-2-7.w192-0.abo.example.net", "192.0.2.7"),
            ("mail-192-0-2-7.example.net", "192.0.2.7"),
            ("ec2-192-0-2-7.compute-1.amazonaws.com", "192.0.2.7"),
            ("c-73-1-2-3.hsd1.il.comcast.net", "73.1.2.3"),
            ("sw0-2-7.example.net", "192.0.2.7"),
            ("7.2.0.example.net", "192.0.2.7"),
            ("168-215-122-205.gen.twtelecom.net", "168.215.122.205"),
            // One number.
            ("h192000002007.example.net", "192.0.2.7"),
            ("h3221225991.example.net", "192.0.2.7"),
            ("cm168005.red83.example.net", "83.165.168.5"),
            ("f81250.example.net", "80.56.81.250"),
            // Hexadecimal.
            ("ipc0000207.example.net", "192.0.2.7"),
            ("p5B0C1234.dip.example.net", "91.12.18.52"),
            ("h070200c0.example.net", "192.0.2.7"),
            // Words.
            ("pool-1234.dyn.example.net", "192.0.2.7"),
            ("cust77.example.net", "192.0.2.7"),
            ("ppp5.example.net", "2001:db8::7"),
            ("host-2-7.example.net", "192.0.2.7"),
            ("7-2.unknown.example.net", "192.0.2.7"),
            ("d2-7.home.example.net", "192.0.2.7"),
            ("mail7.dsl.example.net", "192.0.2.7"),
            // Network cards, and what is no name.
            ("s0106001122aabbcc.gv.example.net", "192.0.2.7"),
            ("localhost", "192.0.2.7"),
            ("unused", "192.0.2.7"),
            ("localhost.localdomain", "192.0.2.7"),
            ("a/b.example.net", "192.0.2.7"),
            // IPv6.
            ("2001-db8--7.example.net", "2001:db8::7"),
            ("host-2001-db8-0-0-0-0-0-7.v6.example.net", "2001:db8::7"),
            ("20010db8000000000000000000000007.example.net", "2001:db8::7"),
            ("0000-0000-0000-0007.dyn.example.net", "2001:db8::7"),
            (
                "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.example.net",
                "2001:db8::7",
            ),
        ] {
            assert!(looks(text, ip), "{text} of {ip}");
        }
    }

    #[test]
    fn names_that_somebody_gave_do_not() {
        for (text, ip) in [
            ("mail.example.com", "192.0.2.7"),
            ("example.com", "192.0.2.7"),
            ("mx7.example.com", "192.0.2.7"),
            ("out30-130.freemail.mail.example.com", "115.124.30.130"),
            ("m43-7.example.com", "69.72.43.7"),
            ("mx0a-0031df01.example.com", "205.220.168.131"),
            ("mail-sor-f41.example.com", "209.85.220.41"),
            ("smtp-8fae.mail.example.com", "83.166.143.174"),
            ("mx1.cust12.example.com", "192.0.2.7"),
            ("mail26.static.example.com", "104.130.122.26"),
            ("cable.example.com", "84.242.75.189"),
            ("static.example.com", "192.0.2.7"),
            ("host7.example.com", "192.0.2.7"),
            ("poolside3.example.com", "192.0.2.7"),
            ("web3.home.example.com", "192.0.2.7"),
            ("v57620.customer.example.com", "192.0.2.7"),
            ("2001-db8--8.example.com", "2001:db8::7"),
        ] {
            assert!(!looks(text, ip), "{text} of {ip}");
        }
    }

    proptest! {
        #[test]
        fn every_address_is_found_in_any_order(octets in any::<[u8; 4]>(), turn in 0usize..4) {
            let mut order = octets;
            order.rotate_left(turn);
            let made = name(&format!("x-{}.example.net", order.map(|o| o.to_string()).join("-")));
            prop_assert!(looks_generic(&made, IpAddr::V4(Ipv4Addr::from(octets))));
        }

        #[test]
        fn no_octets_break_the_rules(
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
            v4 in any::<u32>(),
            v6 in any::<u128>(),
        ) {
            if let Some(name) = DnsName::from_labels(labels) {
                let _: bool = looks_generic(&name, IpAddr::V4(Ipv4Addr::from(v4)));
                let _: bool = looks_generic(&name, IpAddr::V6(Ipv6Addr::from(v6)));
                let _: bool = says_mail(&name);
            }
        }
    }
}

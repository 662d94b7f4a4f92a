//! Mail that never was: clients, names and outcomes mixed like real mail, the same at every run.
//!
//! A crowd has a number of pairs, and everything about pair `i` follows from `i`, so that ten million of
//! them take no memory of the bench, whose growth is measured. In the mix `mail`, 10 pairs come from 6
//! clients and 4 names: half of the clients say a name of their own, the others one that is shared
//! (Zipf, exponent 1: the commonest are `localhost` and what malware says); the remaining pairs are
//! second and further names of clients, of which few have very many. In the mix `unique` each pair is
//! a client of its own with a name of its own.
//!
//! Four neighbours share a /24 or /48; 15 % of them are IPv6; 60 % of clients have a verified
//! reverse name, which for two thirds of those is the name they say first. 55 % of pairs are mostly
//! accepted, 30 % mostly rejected, 15 % come and go. Made-up names are under real top-level domains.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use helostat_tests::program::Random;
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, Reporter};
use helostat_zones::time::Time;

/// 2026-09-20T00:00:00Z, when all this mail begins.
const BEGIN: u32 = 1_789_862_400;
/// How long it goes on; the ledger keeps 64 days.
const SPAN_SECONDS: u64 = 60 * 86_400;

/// Names that very many clients say.
const COMMON: [&str; 12] = [
    "localhost",
    "ylmf-pc",
    "user",
    "localhost.localdomain",
    "[127.0.0.1]",
    "mail",
    "server",
    "win-clj1b0gq6jp",
    "admin",
    "smtp",
    "mail.com",
    "hotmail.com",
];
const HOSTS: [&str; 12] = [
    "mail",
    "mx",
    "smtp",
    "out",
    "mta",
    "relay",
    "smtp-out",
    "mail-ed1-f",
    "a14-",
    "server",
    "vps",
    "o1.ptr",
];
const SYLLABLES: [&str; 16] = [
    "ba", "ker", "lo", "mi", "nor", "ta", "vel", "so", "ri", "dan", "ex", "pu", "web", "hal", "go",
    "zen",
];
const DOMAINS: [&str; 16] = [
    "com", "com", "com", "com", "com", "com", "net", "net", "org", "de", "co.uk", "com.br", "ru",
    "fr", "co.jp", "info",
];

/// How clients and names are mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Shared names, and clients with several.
    Mail,
    /// Each client with one name of its own.
    Unique,
}

impl Mix {
    /// The mix with this name.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "mail" => Self::Mail,
            "unique" => Self::Unique,
            _ => panic!("no mix has the name {name}: mail, unique"),
        }
    }
}

/// A number of pairs.
pub(crate) struct Crowd {
    mix: Mix,
    pairs: u64,
    clients: u64,
    names: u64,
    shared: Zipf,
    reporters: [Reporter; 3],
}

impl Crowd {
    /// A crowd of this many pairs.
    pub(crate) fn new(mix: Mix, pairs: u64) -> Self {
        let pairs = pairs.max(100);
        let (clients, names) = match mix {
            Mix::Mail => (pairs * 6 / 10, pairs * 4 / 10),
            Mix::Unique => (pairs, pairs),
        };
        let reporters = ["mx1", "mx2", "mx3"].map(Arc::from);
        Self { mix, pairs, clients, names, shared: Zipf::new(names, 1.0), reporters }
    }

    /// How many pairs it has.
    pub(crate) fn pairs(&self) -> u64 {
        self.pairs
    }

    /// The pair at a rank: neighbours in rank have nothing in common.
    pub(crate) fn at_rank(&self, rank: u64) -> u64 {
        // A prime that divides no number of pairs below it makes this a permutation.
        const STEP: u64 = 999_999_999_989;
        (u128::from(rank) * u128::from(STEP) % u128::from(self.pairs)) as u64
    }

    /// The moment at which `part` of `whole` of all this mail has come.
    pub(crate) fn time(part: u64, whole: u64) -> Time {
        let seconds = SPAN_SECONDS * part / whole.max(1);
        Time(BEGIN + u32::try_from(seconds.min(SPAN_SECONDS)).unwrap_or_default())
    }

    /// One observation of a pair. What is not said by the pair is said by `random`.
    pub(crate) fn observation(&self, pair: u64, time: Time, random: &mut Random) -> Observation {
        let client = self.client(pair);
        let outcome = outcome(hash(pair ^ 0x0C), random.below(100));
        // One in ten comes by another way than usual.
        let way = if random.below(10) == 0 { random.below(3) } else { way_of(pair) };
        Observation {
            time,
            ip: address(client),
            name: Name::parse(self.name(pair).as_bytes()),
            rdns: self.rdns(client),
            outcome,
            stage: (outcome == Outcome::Rejected).then_some("rcpt"),
            by_us: outcome == Outcome::Rejected && random.below(100) < 5,
            supersedes: None,
            reporter: Arc::clone(&self.reporters[way as usize]),
        }
    }

    /// The number of a pair's client. The first pairs have one each, the further ones fall upon few.
    fn client(&self, pair: u64) -> u64 {
        if pair < self.clients { pair } else { skewed(self.clients, hash(pair ^ 0xC1)) }
    }

    fn name(&self, pair: u64) -> String {
        let draw = hash(pair ^ 0x2A);
        if self.mix == Mix::Unique {
            return own_name(pair);
        }
        let Some(further) = pair.checked_sub(self.clients) else {
            // Every second client has a name of its own: 3 of 4 names.
            return if pair.is_multiple_of(2) {
                own_name(pair / 2)
            } else {
                self.shared_name(draw)
            };
        };
        // Every fourth further name is new: 1 of 4 names.
        if further.is_multiple_of(4) {
            return own_name(self.clients / 2 + further / 4);
        }
        own_name(skewed(self.names, draw))
    }

    fn shared_name(&self, draw: u64) -> String {
        let rank = self.shared.draw(&mut Random(draw));
        COMMON.get(rank as usize).map_or_else(|| own_name(rank), |name| (*name).to_owned())
    }

    fn rdns(&self, client: u64) -> Option<Box<str>> {
        let draw = hash(client ^ 0x4D);
        match draw % 100 {
            0..40 => Some(self.name(client).into()),
            40..60 => {
                let place = address(client).to_string().replace(['.', ':'], "-");
                Some(format!("{place}.static.{}", domain(draw % 500)).into())
            }
            _ => None,
        }
    }
}

/// The usual way of a pair's mail: most through the first MX.
fn way_of(pair: u64) -> u64 {
    match hash(pair ^ 0x3A) % 10 {
        0..7 => 0,
        7..9 => 1,
        _ => 2,
    }
}

/// A pair's outcome, by its character and a number below 100.
fn outcome(character: u64, draw: u64) -> Outcome {
    match (character % 100, draw) {
        (0..55, 0..92) => Outcome::Accepted,
        (0..55, 92) => Outcome::Partial,
        (0..55, 93..97) => Outcome::Deferred,
        (55..85, 0..7) => Outcome::Aborted,
        (55..85, 7..15) => Outcome::None,
        (55..85, 15..20) => Outcome::Deferred,
        (85.., 0..50) => Outcome::None,
        (85.., 50..95) => Outcome::Aborted,
        _ => Outcome::Rejected,
    }
}

/// The address of a client: four neighbours in a network, networks all over the space.
fn address(client: u64) -> IpAddr {
    const STEP: u64 = 2_147_483_647;
    let (group, place) = (client / 4, client % 4);
    let draw = hash(client ^ 0xAD);
    if hash(group ^ 0x66) % 100 < 15 {
        let network = group.wrapping_mul(STEP) as u32;
        let top = 0x2A01 << 48 | u64::from(network) << 16 | (draw & 0x3FFF) << 2 | place;
        let low = hash(draw) >> 16;
        return IpAddr::V6(Ipv6Addr::from(u128::from(top) << 64 | u128::from(low)));
    }
    // From 1.0.0.0/24 to 223.255.255.0/24.
    let network = (group * STEP % (223 << 16) + (1 << 16)) as u32;
    IpAddr::V4(Ipv4Addr::from(network << 8 | ((draw & 0x3F) << 2 | place) as u32))
}

/// A name that only this number has; of a hundred, three are no domain names.
fn own_name(number: u64) -> String {
    let draw = hash(number ^ 0xE7);
    match draw % 100 {
        0 => format!("win-{number:010x}"),
        1 => format!("desktop-{number:07x}"),
        2 => format!("[{}]", Ipv4Addr::from(number as u32 | 1 << 24)),
        _ => {
            let host = HOSTS[(draw / 100 % 12) as usize];
            // Three hosts a domain.
            match number % 3 {
                0 => format!("{host}.{}", domain(number / 3)),
                place => format!("{host}{}{place}.{}", draw / 1200 % 40, domain(number / 3)),
            }
        }
    }
}

/// A domain that only this number has, at least for the first billion.
fn domain(number: u64) -> String {
    let mut text = String::with_capacity(24);
    let mut rest = number.wrapping_mul(0x9E37_79B1) & 0x3FFF_FFFF;
    for _ in 0..4 {
        text.push_str(SYLLABLES[(rest & 15) as usize]);
        rest >>= 4;
    }
    if rest > 0 {
        text.push_str(&format!("{rest:x}"));
    }
    text.push('.');
    text.push_str(DOMAINS[(hash(number) & 15) as usize]);
    text
}

/// A number below `limit` that is small more often than not: the first comes every `2 sqrt(limit)` times.
fn skewed(limit: u64, draw: u64) -> u64 {
    let share = (draw >> 11) as f64 / (1u64 << 53) as f64;
    ((limit as f64 * share * share) as u64).min(limit - 1)
}

fn hash(number: u64) -> u64 {
    Random(number).below(u64::MAX)
}

/// Ranks by Zipf's law: rank k (from 0) comes in proportion to `1 / (k + 1)^exponent`.
///
/// Drawn by inverting the integral over the law and rejecting what lies above it (rejection-inversion,
/// Hörmann and Derflinger 1996), which needs no table.
pub(crate) struct Zipf {
    ranks: f64,
    exponent: f64,
    from: f64,
    to: f64,
    sure: f64,
}

impl Zipf {
    /// The law over this many ranks.
    pub(crate) fn new(ranks: u64, exponent: f64) -> Self {
        let mut zipf = Self { ranks: ranks as f64, exponent, from: 0.0, to: 0.0, sure: 0.0 };
        zipf.from = zipf.integral(1.5) - 1.0;
        zipf.to = zipf.integral(zipf.ranks + 0.5);
        zipf.sure = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.weight(2.0));
        zipf
    }

    /// The next rank, from 0.
    pub(crate) fn draw(&self, random: &mut Random) -> u64 {
        loop {
            let share = random.below(1 << 53) as f64 / (1u64 << 53) as f64;
            let area = self.to + share * (self.from - self.to);
            let place = self.inverse(area);
            let rank = place.round().clamp(1.0, self.ranks);
            if rank - place <= self.sure || area >= self.integral(rank + 0.5) - self.weight(rank) {
                return rank as u64 - 1;
            }
        }
    }

    fn weight(&self, rank: f64) -> f64 {
        rank.powf(-self.exponent)
    }

    fn integral(&self, rank: f64) -> f64 {
        let power = 1.0 - self.exponent;
        if power == 0.0 { rank.ln() } else { (rank.powf(power) - 1.0) / power }
    }

    fn inverse(&self, area: f64) -> f64 {
        let power = 1.0 - self.exponent;
        if power == 0.0 { area.exp() } else { (1.0 + area * power).powf(1.0 / power) }
    }
}

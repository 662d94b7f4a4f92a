//! Mail that never was: observations by chance, and what the tests do with them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use helostat_zones::ledger::{Batch, Bounds, Ledger};
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, ReporterKind};
use helostat_zones::time::Time;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

/// The day on which the mail begins.
pub(crate) const FIRST_DAY: u32 = 20_700;

/// What chance is made from, unless it is set.
pub(crate) fn seed() -> u64 {
    std::env::var("HELOSTAT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// How often a law is tried: so often, unless it is set.
pub(crate) fn cases(usually: u32) -> u32 {
    std::env::var("HELOSTAT_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usually)
}

/// The settings of a property test.
pub(crate) fn config(usually: u32) -> Config {
    Config {
        cases: cases(usually),
        rng_seed: RngSeed::Fixed(seed()),
        failure_persistence: None,
        max_shrink_iters: 25,
        ..Config::default()
    }
}

/// splitmix64.
#[derive(Clone, Copy)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub(crate) fn chance(&mut self, p: f64) -> bool {
        (self.next() >> 11) as f64 / ((1u64 << 53) as f64) < p
    }

    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for i in (1..all.len()).rev() {
            all.swap(i, self.below(i + 1));
        }
    }

    /// Cuts into groups of one to `most`.
    pub(crate) fn groups<'a, T>(&mut self, mut all: &'a [T], most: usize) -> Vec<&'a [T]> {
        let mut groups = Vec::new();
        while !all.is_empty() {
            let (group, rest) = all.split_at((1 + self.below(most)).min(all.len()));
            groups.push(group);
            all = rest;
        }
        groups
    }
}

/// A moment, by its day since the first and its second.
pub(crate) fn at(day: u32, second: u32) -> Time {
    Time((FIRST_DAY + day) * 86_400 + second)
}

/// A message that was accepted, at noon of a day.
pub(crate) fn accepted(ip: IpAddr, name: &str, day: u32) -> Observation {
    Observation {
        time: at(day, 43_200),
        ip,
        name: Name::parse(name.as_bytes()),
        rdns: None,
        outcome: Outcome::Accepted,
        stage: None,
        by_us: false,
        supersedes: None,
        reporter: "mx1".into(),
    }
}

pub(crate) fn v4(n: u32) -> IpAddr {
    Ipv4Addr::from(n).into()
}

/// The n-th /64 of a /48.
pub(crate) fn v6(network: u32, n: u16) -> IpAddr {
    let top = 0x2001_0db8_0000_0000_u64 | u64::from(network) << 16 | u64::from(n);
    Ipv6Addr::from(u128::from(top) << 64 | 7).into()
}

pub(crate) fn kind_of(reporter: &str) -> ReporterKind {
    match reporter {
        "trap" => ReporterKind::Trap,
        "submission" => ReporterKind::Submission,
        "lab" => ReporterKind::Unfiltered,
        _ => ReporterKind::Mx,
    }
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        // Many clients of one /24, some elsewhere.
        3 => (0u32..40).prop_map(|n| v4(0xc000_0200 + n)),
        1 => (0u32..6).prop_map(|n| v4(0xc633_6400 + n * 256)),
        // Several addresses of one /64; many clients of one /48.
        1 => (0u64..4).prop_map(|n| Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(n)).into()),
        2 => (0u16..30).prop_map(|n| v6(1, n)),
        1 => (0u32..4).prop_map(|n| v6(n, 0)),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![
        4 => (0u32..12).prop_map(|n| format!("mx{n}.example.com")),
        3 => (0u32..12).prop_map(|n| format!("mail.family{n}.net")),
        1 => (0u32..3).prop_map(|n| format!("a.b{n}.c.example.co.uk")),
        1 => prop::sample::select(vec![
            "localhost", "pc.lan", "WIN-ABC", "[192.0.2.7]", "[IPv6:2001:db8::7]", "192.0.2.7",
            "2001:db8::7", "odd name", "a..b", "", "\u{fc}ber.example.com", "example.com",
        ]).prop_map(str::to_owned),
    ]
    .prop_map(|said| Name::parse(said.as_bytes()))
}

/// Observations by chance over so many days, of every kind there is.
pub(crate) fn observation(days: u32) -> impl Strategy<Value = Observation> {
    let outcome = || prop::sample::select(Outcome::ALL.to_vec());
    let reporter = prop::sample::select(vec!["mx1", "mx2", "trap", "submission", "lab"]);
    let rdns = prop::sample::select(vec![
        None,
        Some("a.example.com"),
        Some("mx1.example.com"),
        Some("mail.family1.net"),
    ]);
    (
        (0..days, 0u32..86_400),
        ip(),
        name(),
        outcome(),
        reporter,
        rdns,
        any::<bool>(),
        prop::option::weighted(0.1, outcome()),
    )
        .prop_map(|((day, second), ip, name, outcome, reporter, rdns, by_us, supersedes)| {
            Observation {
                time: at(day, second),
                ip,
                name,
                rdns: rdns.map(Into::into),
                outcome,
                stage: None,
                by_us: by_us && outcome == Outcome::Rejected,
                supersedes,
                reporter: reporter.into(),
            }
        })
}

pub(crate) fn batch_of(observations: &[Observation]) -> Batch {
    let mut batch = Batch::default();
    for observation in observations {
        batch.observe(observation, kind_of(&observation.reporter));
    }
    batch
}

/// The batch as another process reads it.
pub(crate) fn carried(batch: &Batch) -> Batch {
    Batch::from_bytes(&batch.to_bytes()).expect("what was written is read")
}

pub(crate) fn learned(bounds: Bounds, batches: &[&[Observation]]) -> Ledger {
    let ledger = Ledger::in_memory(bounds);
    for batch in batches {
        ledger.commit(&batch_of(batch)).expect("memory does not fail");
    }
    ledger
}

pub(crate) fn dump(ledger: &Ledger) -> String {
    let mut bytes = Vec::new();
    ledger.dump(&mut bytes, true).expect("memory takes everything");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// The dump once everything is done that was put off.
pub(crate) fn settled(ledger: &Ledger) -> String {
    ledger.compact().expect("the store works");
    dump(ledger)
}

/// The first line in which two dumps differ, for a failure that can be read.
pub(crate) fn difference(a: &str, b: &str) -> String {
    let (mut left, mut right) = (a.lines(), b.lines());
    loop {
        match (left.next(), right.next()) {
            (None, None) => return String::new(),
            (a, b) if a != b => return format!("{a:?}\n  or {b:?}"),
            _ => {}
        }
    }
}

/// Fails unless two dumps are the same.
#[macro_export]
macro_rules! assert_same {
    ($a:expr, $b:expr, $($what:tt)*) => {{
        let (a, b) = ($a, $b);
        if a != b {
            let what = format!($($what)*);
            panic!("{what}: {}", $crate::world::difference(&a, &b));
        }
    }};
}

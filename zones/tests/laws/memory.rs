//! Memory is bounded, whoever says whatever: the bound holds within one batch, pairs that stand survive, and of
//! what went it is known how much.

use std::net::IpAddr;

use helostat_zones::client::Client;
use helostat_zones::ledger::{Bounds, Ledger};
use helostat_zones::name::Name;
use helostat_zones::observation::Observation;

use crate::world::{accepted, batch_of, v4, v6};

const BATCH: usize = 2_500;
const HONEST: u32 = 500;

/// How many observations a flood has, and the bound that it runs against.
fn size() -> (u32, u64) {
    if std::env::var_os("HELOSTAT_LARGE").is_some() {
        (2_000_000, 32 << 20)
    } else {
        // Tables in which nothing is take three of them.
        (100_000, 7 << 20)
    }
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn honest(n: u32) -> (IpAddr, String) {
    (v4(0x0100_0000 + n * 7919), format!("mail.honest{n}.org"))
}

/// Another address for each number, here and there.
fn scattered(n: u32) -> IpAddr {
    v4(0x2000_0000 + (n.wrapping_mul(0x9e37_79b1) & 0x0fff_ffff))
}

/// Honest pairs come to stand, then a flood comes.
fn flood(what: &str, n: u32, bounds: Bounds, one: &dyn Fn(u32) -> Observation) -> Ledger {
    let ledger = Ledger::in_memory(bounds);
    for day in 0..6 {
        let said: Vec<_> =
            (0..HONEST).map(honest).map(|(ip, name)| accepted(ip, &name, day)).collect();
        ledger.commit(&batch_of(&said)).unwrap();
    }
    let before = resident();
    let unbounded = ledger.sizes().bytes;
    let (mut most, mut most_resident) = (0, 0);
    let all: Vec<u32> = (0..n).collect();
    for part in all.chunks(BATCH) {
        let said: Vec<_> = part.iter().map(|n| one(*n)).collect();
        ledger.commit(&batch_of(&said)).unwrap();
        most = most.max(ledger.sizes().bytes);
        most_resident = most_resident.max(resident().saturating_sub(before));
    }
    // A batch adds at most some hundred octets for each of its observations; and a part that has nearly all
    // of the memory keeps an eighth of itself in reserve.
    let slack = BATCH * 400 + bounds.memory as usize / 16;
    eprintln!(
        "{what}: at most {most} octets of {} (begun with {unbounded}), {most_resident} more resident, {:?}, forgotten {:?}",
        bounds.memory,
        ledger.sizes(),
        ledger.forgotten()
    );
    assert!(
        most <= bounds.memory as usize + slack,
        "{what}: {most} octets, {} allowed",
        bounds.memory
    );
    let last = accepted(v4(1), "the.last.example.com", 200);
    ledger.commit(&batch_of(&[last])).unwrap();
    assert!(ledger.sizes().bytes <= bounds.memory as usize, "{what}: {:?}", ledger.sizes());
    if std::env::var_os("HELOSTAT_LARGE").is_some() {
        assert!(most_resident < 4 * bounds.memory, "{what}: {most_resident} octets resident");
    }
    let lost = (0..HONEST)
        .filter(|n| {
            let (ip, name) = honest(*n);
            let name = Name::parse(name.as_bytes());
            !ledger.client(Client::of(ip), |row| row.is_some_and(|row| row.pair(&name).is_some()))
        })
        .count();
    assert_eq!(lost, 0, "{what}: pairs that stood went");
    let forgotten: u64 = ledger.forgotten().iter().sum();
    let held = ledger.sizes().pairs as u64;
    assert!(
        held + forgotten >= u64::from(n + HONEST),
        "{what}: {held} held, {forgotten} forgotten"
    );
    ledger
}

fn bounds() -> Bounds {
    Bounds { memory: size().1, ..Bounds::default() }
}

#[test]
fn one_client_with_many_names() {
    let ledger = flood("one client", size().0, bounds(), &|n| {
        accepted(v4(0xc000_0207), &format!("mx{n}.family{}.com", n / 3), 6 + n / 10_000)
    });
    assert_eq!(ledger.sizes().pairs, 1000 + HONEST as usize + 1);
}

#[test]
fn many_clients_with_one_name() {
    flood("one name", size().0, bounds(), &|n| accepted(scattered(n), "mail.example.com", 6));
}

#[test]
fn many_networks_with_fresh_families() {
    flood("fresh families", size().0, bounds(), &|n| {
        accepted(v4(0x2000_0000 + n * 256), &format!("mail.fresh{n}.com"), 6 + n / 10_000)
    });
}

#[test]
fn many_clients_of_one_network() {
    flood("one /48", size().0, bounds(), &|n| {
        accepted(v6(7, (n % 65_536) as u16), &format!("h{n}.fresh{}.com", n % 5000), 6)
    });
}

#[test]
fn names_as_long_as_can_be() {
    flood("long names", size().0, bounds(), &|n| {
        let label = "x.".repeat(100);
        accepted(v4(0x2000_0000 + n * 256), &format!("n{n}.{label}long{}.com", n % 977), 6)
    });
}

#[test]
fn one_name_over_many_days() {
    let (n, _) = size();
    flood("200 days", size().0, bounds(), &|i| {
        accepted(scattered(i), &format!("h{}.example.com", i % 2), 6 + i * 194 / n)
    });
}

#[test]
fn many_names_of_many_clients() {
    // Each name said by enough clients to become a crowd, and then not again.
    let bounds = Bounds { clients_per_name: 16, memory: bounds().memory * 3 / 4, ..bounds() };
    flood("crowds", size().0 / 5, bounds, &|n| {
        accepted(
            v4(0x2000_0000 + n % 17 + (n / 17_000) * 256),
            &format!("m{}.c{}.com", n / 17, n / 17 % 4000),
            6,
        )
    });
}

/// How long a reader waits, at the most, while one network and one client grow without end: all in one part,
/// under one lock. Measured in the large runs alone, since others' work on the machine shows in it.
#[test]
fn readers_wait_for_an_exchange_alone() {
    if std::env::var_os("HELOSTAT_LARGE").is_none() {
        return;
    }
    let ledger = Ledger::in_memory(Bounds { memory: 64 << 20, ..Bounds::default() });
    let done = std::sync::atomic::AtomicBool::new(false);
    let mut waits = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut waits = Vec::new();
            let client = Client::of(v6(7, 9));
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let begin = std::time::Instant::now();
                std::hint::black_box(ledger.client(client, |row| row.is_some()));
                waits.push(begin.elapsed());
                std::thread::sleep(std::time::Duration::from_micros(20));
            }
            waits
        });
        for day in 0..8 {
            for part in (0..65_536u32).collect::<Vec<_>>().chunks(8192) {
                let mut said: Vec<_> = part
                    .iter()
                    .map(|n| accepted(v6(7, *n as u16), &format!("h{n}.d{day}.example.com"), day))
                    .collect();
                said.extend(
                    part.iter().map(|n| {
                        accepted(v6(7, 9), &format!("mx{n}.d{day}.one{}.com", n / 3), day)
                    }),
                );
                ledger.commit(&batch_of(&said)).unwrap();
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap()
    });
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    eprintln!(
        "{} readings: {:?} in the middle, {:?} one in a hundred, {:?} one in a thousand, {:?} at the most; {:?}",
        waits.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        ledger.sizes()
    );
    assert!(at(0.999) < std::time::Duration::from_millis(5), "{:?}", at(0.999));
}

//! At the bounds: what stays depends on what a pair is, not on when it came; what went is counted.

use std::collections::BTreeSet;

use helostat_zones::client::Client;
use helostat_zones::history::ClientHistory;
use helostat_zones::ledger::distinct::Count;
use helostat_zones::ledger::{Bounds, Ledger};
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome};
use helostat_zones::policy::Policy;
use helostat_zones::time::Day;

use crate::assert_same;
use crate::model::{Model, assert_indexes};
use crate::world::{
    FIRST_DAY, Random, accepted, at, batch_of, carried, cases, dump, learned, seed, v4,
};

const SMALL: Bounds = Bounds {
    memory: 2_000_000_000,
    keep_days: 400,
    pairs_per_client: 8,
    clients_per_name: 8,
    key: 7,
};

/// Names said once each by a few clients, over some days.
fn said_once(random: &mut Random, names: u32) -> Vec<Observation> {
    let one = |n: u32| {
        let ip = v4(0xc000_0200 + random.below(4) as u32);
        let mut said = accepted(ip, &format!("mx.family{}.net", n), random.below(5) as u32);
        said.outcome = Outcome::ALL[random.below(7)];
        said
    };
    (0..names).map(one).collect()
}

#[test]
fn which_pairs_stay_does_not_depend_on_order_or_grouping() {
    let mut random = Random(seed());
    for case in 0..cases(20) {
        let mut said = said_once(&mut random, 120);
        let expected = learned(SMALL, &[&said]);
        for _ in 0..3 {
            random.shuffle(&mut said);
            let ledger = Ledger::in_memory(SMALL);
            for group in random.groups(&said, 25) {
                ledger.commit(&carried(&batch_of(group))).unwrap();
            }
            assert_same!(dump(&ledger), dump(&expected), "case {case}");
            let [client, memory, age, request] = ledger.forgotten();
            assert_eq!(
                client as usize + ledger.sizes().pairs,
                120,
                "case {case}: held and forgotten"
            );
            assert_eq!((memory, age, request), (0, 0, 0), "case {case}");
            assert_indexes(&ledger, "names said once");
        }
    }
}

/// Mail accepted of so many pairs on five days.
fn established(client: u32, pairs: u32) -> Vec<Observation> {
    (0..pairs)
        .flat_map(|n| {
            let name = format!("mail.home{n}.org");
            (0..5).map(move |day| accepted(v4(client), &name, day)).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn a_flood_pushes_out_no_established_pair() {
    let mut random = Random(seed());
    let client = 0xc000_0207;
    for case in 0..cases(8) {
        let own = established(client, 4);
        let mut flood: Vec<_> = (0..400)
            .map(|n| accepted(v4(client), &format!("x{n}.flood{}.com", n % 90), 4 + n % 3))
            .collect();
        // Other clients say the same names, until the names are crowds.
        flood.extend((0..300).map(|n| accepted(v4(0x0a00_0000 + n * 256), "mail.home0.org", 5)));
        for before in [true, false] {
            let mut all = own.clone();
            if before {
                random.shuffle(&mut flood);
                all.extend_from_slice(&flood);
            } else {
                // Interleaved, each pair's own days still in their order or not.
                all.extend_from_slice(&flood);
                random.shuffle(&mut all);
            }
            let ledger = Ledger::in_memory(SMALL);
            for group in random.groups(&all, 60) {
                ledger.commit(&batch_of(group)).unwrap();
            }
            if !before {
                // A pair in the making may have to go in the middle of a flood: chance is anew every day. So
                // what is promised is that it comes back and stays.
                for day in 7..12 {
                    let again: Vec<_> = (0..4)
                        .map(|n| accepted(v4(client), &format!("mail.home{n}.org"), day))
                        .collect();
                    ledger.commit(&batch_of(&again)).unwrap();
                }
            }
            for n in 0..4 {
                let name = Name::parse(format!("mail.home{n}.org").as_bytes());
                let held =
                    ledger.client(Client::V4(client), |row| row.unwrap().pair(&name).is_some());
                assert!(held, "case {case}, flood afterwards: {before}: {name}");
                let sayers = ledger.clients_of_name(&name, Day(FIRST_DAY as u16 + 7));
                assert_eq!(sayers.clients.first(), Some(&Client::V4(client)), "{name} is found");
            }
            let forgotten = ledger.forgotten()[0] as usize;
            assert!(ledger.sizes().pairs + forgotten >= 404 + 300, "held and forgotten");
            assert_indexes(&ledger, "after a flood");
        }
    }
}

/// Fails unless a count is exact where it must be, and near where it may be.
fn assert_count(count: Count, truth: u64, exact: bool, what: &str) {
    if exact {
        assert_eq!((count.n, count.exact), (truth, true), "{what}");
    }
    // Four standard errors.
    let off = (count.n as f64 - truth as f64).abs() / truth as f64;
    assert!(off <= 0.36, "{what}: {count}, and it is {truth}");
}

#[test]
fn counts_are_exact_up_to_the_bound_and_near_beyond() {
    let policy = Policy::default();
    let ip = 0xc000_0207;
    for n in [1u32, 7, 8, 9, 100, 135, 500, 2000, 6000] {
        let names: Vec<_> = (0..n)
            .map(|i| accepted(v4(ip), &format!("mx{i}.family{}.net", i / 2), i % 10))
            .collect();
        let clients: Vec<_> = (0..n)
            .map(|i| accepted(v4(0x0a00_0000 + i * 128), "mail.example.com", i % 10))
            .collect();
        let ledger = learned(SMALL, &[&names[..names.len() / 2], &names[names.len() / 2..]]);
        let history = ClientHistory::of(&ledger, Client::V4(ip), &policy, at(9, 80_000));
        let families = u64::from(n.div_ceil(2));
        // Held ones are counted, and up to 127 of the others.
        let exact = n <= 8 + 127;
        let what = format!("{n} names");
        assert_count(history.names_within(at(9, 80_000), 30), n.into(), exact, &what);
        assert_count(history.families_within(at(9, 80_000), 30), families, exact, "families");
        assert_count(history.family_count, families, exact, "family count");
        let days = history.names_within(at(9, 80_000), 1);
        let last_day = (0..n).filter(|i| i % 10 == 9).count() as u64;
        if last_day > 0 {
            assert_count(days, last_day, last_day < 128, &format!("{what}, on the last day"));
        }

        let ledger =
            learned(SMALL, &[&clients[..clients.len() / 2], &clients[clients.len() / 2..]]);
        let name = Name::parse(b"mail.example.com");
        let sayers = ledger.clients_of_name(&name, Day(FIRST_DAY as u16 + 9));
        let exact = n < 128;
        assert_count(sayers.known, n.into(), exact, &format!("{n} clients"));
        let networks: BTreeSet<_> = (0..n).map(|i| i / 2).collect();
        assert_count(sayers.networks, networks.len() as u64, networks.len() < 128, "networks");
        assert_eq!(sayers.clients.len(), (n as usize).min(8), "{n} clients: listed");
        let of_family = ledger.clients_of_family("example.com", Day(FIRST_DAY as u16 + 9));
        assert_count(of_family.known, n.into(), exact, "clients of the family");
    }
}

#[test]
fn who_speaks_for_its_family_is_listed_for_its_best_name() {
    // The host that stands says another name of its family, and a crowd comes between.
    let host = 0xc000_0207;
    let mut said: Vec<_> = (0..6).map(|day| accepted(v4(host), "out1.example.com", day)).collect();
    said.extend((0..20).map(|n| accepted(v4(0x0a00_0000 + n), &format!("n{n}.example.com"), 6)));
    let ledger = learned(SMALL, &[&said]);
    ledger.commit(&batch_of(&[accepted(v4(host), "out2.example.com", 6)])).unwrap();
    let crowd: Vec<_> =
        (20..200).map(|n| accepted(v4(0x0a00_0000 + n), &format!("n{n}.example.com"), 7)).collect();
    ledger.commit(&batch_of(&crowd)).unwrap();
    let listed = ledger.clients_of_family("example.com", Day(FIRST_DAY as u16 + 7)).clients;
    assert_eq!(listed.first(), Some(&Client::V4(host)), "{listed:?}");
}

#[test]
fn forgetting_says_how_many_pairs_went() {
    let said: Vec<_> = (0..50)
        .map(|n| accepted(v4(0xc000_0200 + n), &format!("m{}.example.com", n % 5), 0))
        .collect();
    let ledger = learned(Bounds::default(), &[&said]);
    for (target, pairs) in
        [("192.0.2.7", 1), ("m0.example.com", 10), ("192.0.2.7", 0), ("*.example.com", 39)]
    {
        let target = helostat_zones::ledger::Target::parse(target).unwrap();
        assert_eq!(ledger.forget(&target).unwrap(), pairs, "{target}");
        assert_indexes(&ledger, "after forgetting");
    }
    assert!(Model::of(&dump(&ledger)).pairs.is_empty());
}

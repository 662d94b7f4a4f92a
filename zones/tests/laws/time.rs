//! Clocks that jump, pauses, and reading again from where one was.

use helostat_zones::client::Client;
use helostat_zones::history::{PairHistory, Standing};
use helostat_zones::ledger::{Batch, Bounds, Ledger};
use helostat_zones::name::Name;
use helostat_zones::observation::Observation;
use helostat_zones::policy::Policy;
use helostat_zones::time::Time;

use crate::assert_same;
use crate::model::assert_indexes;
use crate::world::{Random, accepted, at, batch_of, dump, seed, v4};

const BOUNDS: Bounds = Bounds {
    memory: 2_000_000_000,
    keep_days: 30,
    pairs_per_client: 8,
    clients_per_name: 8,
    key: 7,
};

fn host(n: u32, day: u32) -> Observation {
    accepted(v4(0xc000_0200 + n * 300), &format!("mail.home{n}.org"), day)
}

/// What ten hosts say on a day.
fn day_of(day: u32) -> Vec<Observation> {
    (0..10).map(|n| host(n, day)).collect()
}

fn learn(ledger: &Ledger, observations: &[Observation]) {
    ledger.commit(&batch_of(observations)).unwrap();
}

fn assert_established(ledger: &Ledger, now: Time, what: &str) {
    let kinds = ledger.reporter_kinds();
    for n in 0..10 {
        let host = host(n, 0);
        let standing = ledger.client(Client::of(host.ip), |row| {
            let pair = row?.pair(&host.name)?;
            Some(PairHistory::of(&pair, &kinds, &Policy::default(), now).standing)
        });
        assert!(standing >= Some(Standing::Established), "{what}: {}: {standing:?}", host.name);
    }
    assert_indexes(ledger, what);
}

#[test]
fn a_clock_that_jumps_expires_nothing_and_freezes_nothing() {
    for (what, jump) in [("a day ahead", 1), ("a year back", -365), ("both", 0)] {
        let ledger = Ledger::in_memory(BOUNDS);
        for day in 400..440 {
            learn(&ledger, &day_of(day));
            // Another source, whose clock is wrong for some days.
            if (410..420).contains(&day) {
                for jump in if jump == 0 { vec![1, -365] } else { vec![jump] } {
                    let wrong = day.checked_add_signed(jump).unwrap();
                    learn(&ledger, &[accepted(v4(77), "wrong.example.com", wrong), host(3, wrong)]);
                }
            }
        }
        assert_established(&ledger, at(439, 80_000), what);
        assert_eq!(ledger.newest(), Some(at(439, 43_200)), "{what}");
        // And what is not seen any more goes when its days are over: nothing was frozen.
        for day in 440..480 {
            learn(&ledger, &[accepted(v4(5), "goes-on.example.com", day)]);
        }
        ledger.compact().unwrap();
        assert_eq!(ledger.sizes().pairs, 1, "{what}: only who is seen is held after 40 days");
        assert!(ledger.forgotten()[2] >= 10, "{what}: {:?}", ledger.forgotten());
        assert_indexes(&ledger, what);
    }
}

#[test]
fn a_year_without_a_daemon_forgets_nothing() {
    let ledger = Ledger::in_memory(BOUNDS);
    for day in 0..20 {
        learn(&ledger, &day_of(day));
    }
    // A year later others speak, for fewer days than are kept.
    for day in 385..405 {
        learn(&ledger, &[accepted(v4(5), "new.example.com", day)]);
    }
    ledger.compact().unwrap();
    assert_eq!(ledger.sizes().pairs, 11);
    // Days with mail are told of the last 64 days alone, so they must come back to stand.
    for day in 405..408 {
        learn(&ledger, &day_of(day));
    }
    assert_established(&ledger, at(407, 80_000), "back after a year");
    assert_eq!(ledger.forgotten(), [0; 4]);
}

#[test]
fn windows_are_64_days() {
    let ledger = Ledger::in_memory(BOUNDS);
    learn(&ledger, &(0..70).map(|day| host(0, day)).collect::<Vec<_>>());
    let (client, name) = (Client::of(host(0, 0).ip), Name::parse(b"mail.home0.org"));
    let kinds = ledger.reporter_kinds();
    for (day, days) in [(69, 64), (70, 63), (100, 33), (132, 1), (133, 0), (400, 0)] {
        ledger.client(client, |row| {
            let pair = row.unwrap().pair(&name).unwrap();
            let history = PairHistory::of(&pair, &kinds, &Policy::default(), at(day, 0));
            assert_eq!((history.days, history.accepted_days), (days, days), "on day {day}");
            assert_eq!(history.accepted, 70, "counts are for ever");
        });
    }
}

#[test]
fn reading_again_from_the_position_counts_nothing_twice() {
    let mut random = Random(seed());
    let log: Vec<_> = (0..300).map(|n| host(n % 10, n / 30)).collect();
    let expected = Ledger::in_memory(BOUNDS);
    let mut all = batch_of(&log);
    all.reach("log", 300_u32.to_be_bytes().to_vec());
    expected.commit(&all).unwrap();
    let ledger = Ledger::in_memory(BOUNDS);
    let mut again = 0;
    loop {
        // As the pipeline does: from the position that is stored, whatever it has read before.
        let reached =
            ledger.position("log").map_or(0, |at| u32::from_be_bytes(at.try_into().unwrap()));
        let from = reached as usize;
        if from == log.len() {
            break;
        }
        let to = (from + 1 + random.below(40)).min(log.len());
        let mut batch: Batch = batch_of(&log[from..to]);
        batch.reach("log", (to as u32).to_be_bytes().to_vec());
        // Some batches are made and lost before they are committed.
        if random.chance(0.3) {
            again += 1;
            continue;
        }
        ledger.commit(&batch).unwrap();
    }
    assert!(again > 0, "some were read again");
    assert_same!(dump(&ledger), dump(&expected), "read again {again} times");
}

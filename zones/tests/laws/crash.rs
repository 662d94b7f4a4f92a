//! A crash at any commit, torn or not, loses nothing, doubles nothing and leaves nothing behind: with bounds
//! so small that pairs, clients and crowds come and go all the time.

use std::sync::{Arc, Mutex};

use helostat_zones::client::{Client, Network};
use helostat_zones::ledger::{Bounds, JournalLimits, Ledger, Target};
use helostat_zones::name::Name;
use helostat_zones::observation::Observation;
use proptest::prelude::*;

use crate::assert_same;
use crate::faulty::{Disk, disk_of, open};
use crate::model::assert_indexes;
use crate::world::{batch_of, config, dump, observation, settled};

/// What a run does, step by step.
#[derive(Clone, Debug)]
enum Step {
    Learn(Vec<Observation>),
    Forget(Target),
    Compact,
}

const SOURCE: &str = "log";

impl Step {
    /// Does the step; the batch says which one it was.
    fn run(&self, ledger: &Ledger, place: usize) -> bool {
        match self {
            Self::Learn(observations) => {
                let mut batch = batch_of(observations);
                batch.reach(SOURCE, place.to_be_bytes().to_vec());
                ledger.commit(&batch).is_ok()
            }
            Self::Forget(target) => ledger.forget(target).is_ok(),
            Self::Compact => ledger.compact().is_ok(),
        }
    }
}

/// What is put off until the next commit is done.
fn nudge(ledger: &Ledger) {
    let mut batch = batch_of(&[]);
    batch.reach("nudge", Vec::new());
    ledger.commit(&batch).expect("the store works");
}

fn target() -> impl Strategy<Value = Target> {
    prop::sample::select(vec![
        Target::Client(Client::V4(0xc000_0203)),
        Target::Network(Network::V4(0xc000_0200)),
        Target::Network(Network::V6(0x2001_0db8_0001_0000)),
        Target::Name(Name::parse(b"mx1.example.com")),
        Target::Family("example.com".into()),
        Target::Family("family1.net".into()),
    ])
}

/// Steps in which the time goes on, a little out of order.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let learn = (0u32..30, prop::collection::vec(observation(3), 1..40));
    let step = prop_oneof![
        12 => learn.prop_map(|(day, observations)| (day, Some(observations), None)),
        1 => target().prop_map(|target| (0, None, Some(target))),
        1 => Just((0, None, None)),
    ];
    prop::collection::vec(step, 1..9).prop_map(|steps| {
        let mut day = 0;
        let steps = steps.into_iter().map(|step| match step {
            (on, Some(mut observations), _) => {
                day += on / 4;
                for observation in &mut observations {
                    observation.time.0 += day * 86_400;
                }
                Step::Learn(observations)
            }
            (_, None, Some(target)) => Step::Forget(target),
            (_, None, None) => Step::Compact,
        });
        steps.collect()
    })
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let small = |n| prop::sample::select(vec![n, 1000]);
    (small(2usize), prop::sample::select(vec![2usize, 5, 256]), small(4)).prop_map(
        |(pairs_per_client, clients_per_name, keep_days)| Bounds {
            pairs_per_client,
            clients_per_name,
            keep_days: keep_days as u32,
            ..Bounds::default()
        },
    )
}

/// Journals so short that shards are rewritten and entries go all the time: all of them at once, or a few.
fn journal() -> impl Strategy<Value = JournalLimits> {
    (prop::sample::select(vec![0, 4_000, 4_000]), 1u64..6)
        .prop_map(|(bytes, entries)| JournalLimits { bytes, bytes_max: bytes, entries })
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn a_crash_at_any_commit_changes_nothing(
        steps in steps(),
        bounds in bounds(),
        lives in prop::collection::vec((0u32..12, any::<bool>(), prop::option::of(any::<u64>())), 0..4),
        journal in journal(),
    ) {
        let disk = Arc::new(Mutex::new(Disk::default()));
        let mut lives = lives.into_iter();
        let mut place = 0;
        loop {
            let life = lives.next();
            {
                let mut disk = disk.lock().unwrap();
                disk.commits_left = life.map(|(commits, ..)| commits);
                disk.torn = life.and_then(|(.., torn)| torn);
            }
            let ledger = open(&disk, bounds, journal);
            let reached = ledger.position(SOURCE);
            let learned = reached.map_or(0, |at| usize::from_be_bytes(at.try_into().unwrap()) + 1);
            // A batch that is there is not sent again; what is forgotten may be, twice.
            place = learned.max(place);
            // As if nothing had happened, up to here.
            let calm = Ledger::in_memory(bounds);
            for (at, step) in steps.iter().enumerate().take(place) {
                prop_assert!(step.run(&calm, at));
            }
            assert_indexes(&ledger, "after a crash");
            if !matches!(steps.get(place), Some(Step::Forget(_))) {
                let records = disk.lock().unwrap().records.clone();
                let found = open(&disk_of(records), bounds, journal);
                nudge(&found);
                nudge(&calm);
                assert_same!(settled(&found), settled(&calm), "after a crash, at step {place}");
            }
            while place < steps.len() {
                if !steps[place].run(&ledger, place) {
                    let Some((_, true, _)) = life else { break };
                    // It goes on all the same, with room on its disk again.
                    let mut disk = disk.lock().unwrap();
                    if disk.torn.is_some() || disk.commits_left != Some(0) {
                        break;
                    }
                    disk.commits_left = None;
                    continue;
                }
                place += 1;
            }
            if place < steps.len() {
                prop_assert!(life.is_some(), "a step fails on a disk with room: {:?}", steps[place]);
                continue;
            }
            disk.lock().unwrap().commits_left = None;
            let calm = Ledger::in_memory(bounds);
            for (at, step) in steps.iter().enumerate() {
                prop_assert!(step.run(&calm, at));
            }
            assert_same!(settled(&ledger), settled(&calm), "at the end");
            assert_indexes(&ledger, "at the end");
            assert_same!(dump(&open(&disk, bounds, journal)), dump(&ledger), "opened again");
            break;
        }
    }

    #[test]
    fn every_state_of_the_disk_is_the_ledger_of_its_moment(
        steps in steps(),
        bounds in bounds(),
        journal in journal(),
        // What goes for lack of memory is decided by what it takes and written down, so only the ledger
        // that decided can be compared.
        memory in prop::sample::select(vec![2_000_000_000, 1]),
    ) {
        let bounds = Bounds { memory, ..bounds };
        let disk = Arc::new(Mutex::new(Disk { history: Some(Vec::new()), ..Disk::default() }));
        let ledger = open(&disk, bounds, journal);
        for (place, step) in steps.iter().enumerate() {
            prop_assert!(step.run(&ledger, place), "{step:?}");
            let states = disk.lock().unwrap().history.replace(Vec::new()).unwrap();
            for (commit, records) in states.into_iter().enumerate() {
                let found = open(&disk_of(records), bounds, journal);
                assert_indexes(&found, &format!("step {place}, commit {commit}"));
            }
        }
        assert_same!(dump(&open(&disk, bounds, journal)), settled(&ledger), "opened again");
    }
}

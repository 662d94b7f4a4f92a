//! All of a store is read, every damage in it is told, and one does not hide the others.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use helostat_zones::ledger::rescue::{self, rebuild};
use helostat_zones::ledger::sled_store::SledStore;
use helostat_zones::ledger::snapshot::{self, Writer};
use helostat_zones::ledger::store::{Key, Store};
use helostat_zones::ledger::verify::{Report, check};
use helostat_zones::ledger::{Batch, Bounds, Ledger};
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, ReporterKind};
use helostat_zones::time::Time;

fn batch(from: u32, to: u32) -> Batch {
    let mut batch = Batch::default();
    for i in from..to {
        let observation = Observation {
            time: Time(1_790_000_000 + i * 977),
            ip: std::net::Ipv4Addr::from(0xc000_0200 + i * 64).into(),
            name: Name::parse(format!("mx{}.example{}.com", i % 3, i % 40).as_bytes()),
            rdns: None,
            outcome: Outcome::Accepted,
            stage: None,
            by_us: false,
            supersedes: None,
            reporter: if i < 200 { "mx1" } else { "mx2" }.into(),
        };
        batch.observe(&observation, ReporterKind::Mx);
    }
    batch.reach("log", to.to_be_bytes().to_vec());
    batch
}

fn taken(ledger: &Ledger, directory: &Path) -> PathBuf {
    ledger.snapshot(directory, &mut |_, _| ControlFlow::Continue(())).unwrap()
}

/// The records of a ledger with crowds, in whose snapshot there are entries 3 to 7.
fn records(directory: &Path) -> BTreeMap<Key, Vec<u8>> {
    let bounds = Bounds { clients_per_name: 8, ..Bounds::default() };
    let ledger = Ledger::open(&directory.join("ledger"), bounds).unwrap();
    ledger.commit(&batch(0, 200)).unwrap();
    ledger.commit(&batch(200, 400)).unwrap();
    let mut more = 400;
    let path = ledger.snapshot(directory, &mut |done, _| {
        if done % 800 == 0 {
            ledger.commit(&batch(more, more + 10)).unwrap();
            more += 10;
        }
        ControlFlow::Continue(())
    });
    let file = snapshot::File::open(&path.unwrap()).unwrap();
    file.keys().map(|key| (key, file.get(key).unwrap().unwrap())).collect()
}

fn checked(directory: &Path, records: &BTreeMap<Key, Vec<u8>>) -> Report {
    let mut writer = Writer::create(&directory.join("changed"), 0).unwrap();
    for (key, record) in records {
        writer.put(*key, record).unwrap();
    }
    check(&snapshot::File::open(&writer.finish().unwrap()).unwrap(), &mut |_, _| {})
}

fn told(report: &Report) -> Vec<String> {
    assert_eq!(report.damages as usize, report.damage.len());
    report.damage.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_sound_is_counted_as_the_ledger_does() {
    let directory = tempfile::tempdir().unwrap();
    let records = records(directory.path());
    let entries: Vec<_> = records.keys().filter(|key| matches!(key, Key::Entry(_))).collect();
    assert!(entries.len() > 2, "{entries:?}");
    let mut steps = Vec::new();
    let report = {
        let mut writer = Writer::create(directory.path(), 1).unwrap();
        records.iter().for_each(|(key, record)| writer.put(*key, record).unwrap());
        let file = snapshot::File::open(&writer.finish().unwrap()).unwrap();
        let report = check(&file, &mut |done, of| steps.push((done, of)));
        // Shards are of one moment in a closed ledger; here some are of before the entries.
        let ledger = Ledger::with_store(Box::new(file), Bounds::default()).unwrap();
        assert!(report.clients <= ledger.sizes().clients as u64);
        report
    };
    assert!(report.is_sound(), "{:?}", report.damage);
    let total = 1 + 4096 + 256 + entries.len() as u64;
    assert_eq!((steps.len() as u64, steps.last()), (total, Some(&(total, total))));
    assert_eq!((report.base.records, report.shards.records, report.crowds.records), (1, 4096, 256));
    assert_eq!(report.journal.records, entries.len() as u64);
    assert_eq!(Some(&&Key::Entry(report.last_entry)), entries.last());
    let octets: usize = records.values().map(Vec::len).sum();
    let Report { base, shards, crowds, journal, .. } = report;
    let told = base.octets + shards.octets + crowds.octets + journal.octets;
    assert_eq!(told, octets as u64);
}

#[test]
fn every_damage_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let sound = records(directory.path());
    let entries: Vec<u64> = sound
        .keys()
        .filter_map(|key| if let Key::Entry(seq) = key { Some(*seq) } else { None })
        .collect();
    let (first, last) = (entries[0], entries[entries.len() - 1]);
    let full = |shards: std::ops::Range<u16>| {
        let mut shards = shards.map(Key::Shard);
        shards.find(|key| sound[key].len() > sound[&Key::Shard(0)].len().max(30)).unwrap()
    };
    let (shard, crowd) = (full(1..4096), full(4096..4352));
    type Change<'a> = &'a dyn Fn(&mut BTreeMap<Key, Vec<u8>>);
    let flip = |records: &mut BTreeMap<Key, Vec<u8>>, key: Key| {
        let record = records.get_mut(&key).unwrap();
        let middle = record.len() / 2;
        record[middle] ^= 1;
    };
    let sum = "cannot be read: its checksum does not fit";
    let missing = "cannot be read: it is missing";
    let cases: [(Change<'_>, Vec<String>); 9] = [
        (&|records| flip(records, shard), vec![format!("{shard} {sum}")]),
        (
            &|records| {
                [shard, crowd, Key::Entry(last)].map(|key| flip(records, key)).into_iter().collect()
            },
            vec![
                format!("{shard} {sum}"),
                format!("{crowd} {sum}"),
                format!("journal entry {last} {sum}"),
            ],
        ),
        (&|records| flip(records, Key::Base), vec![format!("the base record {sum}")]),
        (
            &|records| {
                let other = records[&Key::Shard(9)].clone();
                records.insert(shard, other);
            },
            // Its checksum fits, and it is empty: only the base record could know.
            vec![],
        ),
        (
            &|records| {
                let swapped = records[&shard].clone();
                records.insert(Key::Shard(9), swapped);
            },
            vec![format!("shard 9 cannot be read: it is not of the documented layout")],
        ),
        (
            &|records| drop(records.remove(&Key::Entry(first + 1))),
            vec![format!("journal entry {} {missing}", first + 1)],
        ),
        (
            &|records| drop(records.remove(&Key::Shard(7))),
            vec![format!("the newest state of shard 7 {missing}")],
        ),
        (
            &|records| drop(records.remove(&Key::Base)),
            vec![format!("journal entries 1 to {} {missing}", first - 1)],
        ),
        (
            &|records| drop(records.insert(Key::Entry(last), b"garbage".to_vec())),
            vec![format!("journal entry {last} {sum}")],
        ),
    ];
    for (number, (change, expected)) in cases.iter().enumerate() {
        let mut records = sound.clone();
        change(&mut records);
        let report = checked(directory.path(), &records);
        assert_eq!(&told(&report), expected, "case {number}");
    }
}

#[test]
fn a_ledger_opened_anew_is_copied_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let ledger = Ledger::open(&path, Bounds::default()).unwrap();
    ledger.commit(&batch(100, 300)).unwrap();
    ledger.compact().unwrap();
    drop(ledger);
    // No entry is left that tells of the reporters.
    let ledger = Ledger::open(&path, Bounds::default()).unwrap();
    assert_eq!(ledger.reporter_kinds().len(), 2);
    let file = snapshot::File::open(&taken(&ledger, directory.path())).unwrap();
    let report = check(&file, &mut |_, _| {});
    assert!(report.is_sound(), "{:?}", report.damage.first());
    assert_eq!(report.pairs, ledger.sizes().pairs as u64);
}

#[test]
fn the_newest_whole_snapshot_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let own = helostat_zones::ledger::snapshots_of(&path);
    let ledger = Ledger::open(&path, Bounds::default()).unwrap();
    ledger.commit(&batch(0, 100)).unwrap();
    let older = taken(&ledger, &own);
    let copy = directory.path().join("copies");
    let copied = snapshot::copy_into(&older, &copy).unwrap();
    assert_eq!(std::fs::read(&copied).unwrap(), std::fs::read(&older).unwrap());
    ledger.commit(&batch(100, 200)).unwrap();
    let newer = taken(&ledger, &own);
    ledger.commit(&batch(200, 300)).unwrap();
    drop(ledger);
    // Whole as a file, and damaged inside.
    let mut writer = Writer::create(&own, 2).unwrap();
    writer.put(Key::Shard(3), b"garbage").unwrap();
    assert_eq!(writer.finish().unwrap(), newer);
    std::fs::write(path.join("db"), "").unwrap();
    let rebuilt = rebuild(&path, "now").unwrap();
    assert_eq!(rebuilt.snapshot, Some(older));
    assert_eq!(rebuilt.restored.missing, Some(2));
    let aside = path.join("db.damaged-now");
    assert_eq!(rebuilt.set_aside.as_ref(), Some(&aside));
    let [(unusable, why)] = rebuilt.unusable.as_slice() else { panic!("{rebuilt:?}") };
    assert!(unusable.exists() && !newer.exists(), "{}", unusable.display());
    assert_eq!(why, "shard 3 cannot be read: its checksum does not fit");
    // Its end is watched from the first moment on, though no entry came back.
    assert_eq!(SledStore::open(&path).unwrap().committed(), Some(1));
    let ledger = Ledger::open(&path, Bounds::default()).unwrap();
    assert_eq!((ledger.seq(), ledger.position("log")), (1, Some(100u32.to_be_bytes().to_vec())));

    assert_eq!(rescue::told(&path), [(aside.clone(), String::new())]);
    rescue::tell(&aside, "some came back").unwrap();
    assert_eq!(rescue::told(&path), [(aside, "some came back".to_owned())]);
}

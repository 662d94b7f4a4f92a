//! Snapshots are whole or refused, and bring a ledger back; a damaged ledger is set aside, never lost.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use helostat_zones::ledger::rescue::{Restored, restore, set_aside};
use helostat_zones::ledger::sled_store::SledStore;
use helostat_zones::ledger::snapshot::{self, Writer};
use helostat_zones::ledger::store::{Key, Store, StoreError};
use proptest::prelude::*;

fn records() -> Vec<(Key, Vec<u8>)> {
    vec![
        (Key::Shard(3), vec![3; 70_000]),
        (Key::Shard(0), Vec::new()),
        (Key::Entry(41), b"entry 41".to_vec()),
        (Key::Entry(42), vec![42; 5_000]),
        (Key::Shard(9), b"shard  9".to_vec()),
        (Key::Base, b"base".to_vec()),
    ]
}

fn written(directory: &Path, seq: u64, records: &[(Key, Vec<u8>)]) -> PathBuf {
    let mut writer = Writer::create(directory, seq).unwrap();
    for (key, record) in records {
        writer.put(*key, record).unwrap();
    }
    writer.finish().unwrap()
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn why_not(path: &Path) -> String {
    snapshot::File::open(path).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn a_snapshot_is_read_as_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(&directory.path().join("snapshots"), 41, &records());
    assert_eq!(path.file_name().unwrap(), "helostat-00000000000000000041.snapshot");
    let mut file = snapshot::File::open(&path).unwrap();
    for (key, record) in records() {
        assert!(file.get(key).unwrap() == Some(record), "{key}");
    }
    assert_eq!(file.get(Key::Entry(40)).unwrap(), None);
    assert_eq!(file.entries().unwrap(), [41, 42]);
    assert_eq!((file.committed(), file.seq()), (Some(41), 41));
    assert_eq!((file.path(), file.disk_bytes()), (path.clone(), path.metadata().unwrap().len()));
    for refused in [file.put(Key::Base, b""), file.trim(1), file.commit()] {
        let why = refused.expect_err("read only").to_string();
        assert!(why.contains("a snapshot cannot be written"), "{why}");
    }
    // Damage that comes after the opening is met too.
    let mut octets = fs::read(&path).unwrap();
    let place = octets.windows(8).position(|octets| octets == b"entry 41").unwrap();
    octets[place] ^= 1;
    fs::write(&path, octets).unwrap();
    let why = file.get(Key::Entry(41)).expect_err("damaged").to_string();
    assert!(why.ends_with("journal entry 41 cannot be read: its checksum does not fit"), "{why}");
}

/// The layout, octet by octet. If this fails it changed: give it a new version.
#[test]
fn the_layout_is_as_written_down() {
    let directory = tempfile::tempdir().unwrap();
    let records = [(Key::Shard(258), b"xyz".to_vec()), (Key::Base, Vec::new())];
    let octets = fs::read(written(directory.path(), 7, &records)).unwrap();
    // That of the records, which is not this file's.
    let layout = octets[9];
    let mut expected = [&b"helosnap\x01"[..], &[layout], b"\0\0\0\0\0\0\0\x07"].concat();
    for (name, record) in [
        (&b"s\0\0\0\0\0\0\x01\x02\0\0\0\x03"[..], &b"xyz"[..]),
        (b"b\0\0\0\0\0\0\0\0\0\0\0\0", b""),
    ] {
        let checksum = crc32fast::hash(&[name, record].concat());
        expected.extend([name, &checksum.to_be_bytes(), record].concat());
    }
    expected.extend(b"z\0\0\0\0\0\0\0\x02");
    let checksum = crc32fast::hash(&expected);
    expected.extend(checksum.to_be_bytes());
    assert_eq!(octets, expected);
}

#[test]
fn an_unfinished_snapshot_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(directory.path(), 7).unwrap();
    writer.put(Key::Base, b"base").unwrap();
    assert_eq!(snapshot::newest(directory.path()).unwrap(), None);
    drop(writer);
    assert!(names_in(directory.path()).is_empty());
}

#[test]
fn the_newest_is_found_and_the_oldest_go() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert_eq!(snapshot::newest(&path.join("none")).unwrap(), None);
    for seq in [9, 10, 1_000_000_007, 8] {
        written(path, seq, &records());
    }
    // What a killed writer leaves, and what is not ours.
    fs::write(path.join("helostat-00000000000000000011.snapshot.part"), "half").unwrap();
    fs::write(path.join("helostat-notes.snapshot"), "mine").unwrap();
    let newest = path.join("helostat-00000000001000000007.snapshot");
    assert_eq!(snapshot::newest(path).unwrap(), Some(newest));
    assert_eq!(snapshot::prune(path, 2).unwrap(), 3);
    let left = [
        "helostat-00000000000000000010.snapshot",
        "helostat-00000000001000000007.snapshot",
        "helostat-notes.snapshot",
    ];
    assert_eq!(names_in(path), left);
    assert_eq!(snapshot::prune(path, 2).unwrap(), 0);
}

#[test]
fn a_cut_or_changed_snapshot_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let small = [(Key::Shard(7), b"a shard".to_vec()), (Key::Base, b"base".to_vec())];
    let path = written(directory.path(), 5, &small);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let why = why_not(&path);
        assert!(why.contains("is damaged: ") && why.contains("ends before"), "{length}: {why}");
    }
    for bit in 0..whole.len() * 8 {
        let mut octets = whole.clone();
        octets[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, octets).unwrap();
        match snapshot::File::open(&path).err() {
            Some(StoreError::Damaged { .. } | StoreError::OtherLayout { .. }) => {}
            other => panic!("bit {bit}: {other:?}"),
        }
    }
    fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
    assert!(why_not(&path).ends_with("its end cannot be read: there is more behind it"));
    let mut octets = whole.clone();
    let place = whole.windows(7).position(|octets| octets == b"a shard").unwrap();
    octets[place] ^= 1;
    fs::write(&path, octets).unwrap();
    assert!(why_not(&path).ends_with("shard 7 cannot be read: its checksum does not fit"));
    let mut octets = whole;
    octets[9] = 200;
    fs::write(&path, octets).unwrap();
    assert!(why_not(&path).contains("has layout 200, this program knows layout"));
}

proptest! {
    #[test]
    fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..200), begun in any::<bool>()) {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path(), 5, &[]);
        let mut file = fs::read(&path).unwrap();
        file.truncate(if begun { 18 } else { 0 });
        file.extend_from_slice(&octets);
        fs::write(&path, file).unwrap();
        prop_assert!(snapshot::File::open(&path).is_err());
    }
}

/// A ledger with entries up to 50, all committed.
fn ledger(path: &Path) {
    let mut store = SledStore::open(path).unwrap();
    for seq in 45..=50 {
        store.put(Key::Entry(seq), b"entry").unwrap();
    }
    store.commit().unwrap();
}

fn holds_the_snapshot(path: &Path) {
    let store = SledStore::open(path).unwrap();
    for (key, record) in records() {
        assert!(store.get(key).unwrap() == Some(record), "{key}");
    }
    assert_eq!(store.entries().unwrap(), [41, 42]);
    assert_eq!(store.committed(), Some(42));
}

const BROUGHT_BACK: Restored =
    Restored { records: 6, octets: 70_000 + 8 + 5_000 + 8 + 4, last: Some(42), missing: Some(8) };

#[test]
fn a_damaged_ledger_is_set_aside_and_restored() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let taken = written(directory.path(), 41, &records());
    let taken = snapshot::File::open(&taken).unwrap();
    ledger(&path);
    fs::write(path.join("db"), "damage").unwrap();
    fs::write(path.join("notes"), "the operator's own").unwrap();
    let before = fs::read(path.join("conf")).unwrap();

    let aside = set_aside(&path, "2026-11-21T04:00/x").unwrap();
    assert_eq!(aside, path.join("db.damaged-2026-11-21T04:00_x"));
    assert_eq!(fs::read(aside.join("db")).unwrap(), b"damage");
    assert_eq!(fs::read(aside.join("conf")).unwrap(), before);
    assert!(aside.join("committed").exists());
    let why = SledStore::open(&path).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(why.contains("it was being rescued, and that was not finished"), "{why}");

    assert_eq!(restore(&path, Some(&taken)).unwrap(), BROUGHT_BACK);
    holds_the_snapshot(&path);
    let kept = ["db.damaged-2026-11-21T04:00_x", "notes"];
    assert!(kept.iter().all(|name| names_in(&path).contains(&(*name).to_owned())));

    // The same moment again: nothing is overwritten.
    let again = set_aside(&path, "2026-11-21T04:00/x").unwrap();
    assert_eq!(again, path.join("db.damaged-2026-11-21T04:00_x-2"));
    assert_eq!(fs::read(aside.join("db")).unwrap(), b"damage");
    // And without a snapshot: an empty ledger, which says how much is gone.
    let nothing = Restored { missing: Some(42), ..Restored::default() };
    assert_eq!(restore(&path, None).unwrap(), nothing);
    assert_eq!(SledStore::open(&path).unwrap().entries().unwrap(), [0; 0]);
}

#[test]
fn a_rescue_that_was_cut_short_is_done_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let taken = written(directory.path(), 41, &records());
    let taken = snapshot::File::open(&taken).unwrap();

    // In the middle of setting aside: some files have gone, some have not.
    ledger(&path);
    fs::create_dir(path.join("db.damaged-a")).unwrap();
    fs::write(path.join("rescue"), "set-aside 50\n").unwrap();
    fs::rename(path.join("committed"), path.join("db.damaged-a/committed")).unwrap();
    let refused = restore(&path, Some(&taken)).expect_err("it is still there").to_string();
    assert!(refused.contains("set it aside first"), "{refused}");
    let aside = set_aside(&path, "b").unwrap();
    assert!(aside.join("db").exists());

    // In the middle of restoring: half a copy, which goes.
    fs::write(path.join("rescue"), "restore 50\n").unwrap();
    {
        let other = directory.path().join("half");
        ledger(&other);
        for name in ["db", "conf", "committed"] {
            fs::rename(other.join(name), path.join(name)).unwrap();
        }
    }
    assert_eq!(restore(&path, Some(&taken)).unwrap(), BROUGHT_BACK);
    holds_the_snapshot(&path);
}

#[test]
fn a_ledger_that_is_there_or_in_use_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let store = SledStore::open(&path).unwrap();
    let names = names_in(&path);
    assert!(set_aside(&path, "a").unwrap_err().to_string().contains("in use by another process"));
    assert!(restore(&path, None).unwrap_err().to_string().contains("set it aside first"));
    assert_eq!(names_in(&path), names);
    drop(store);

    // A folder that is new may be given a snapshot: nobody knows of anything missing.
    let new = directory.path().join("new");
    let taken = written(directory.path(), 41, &records());
    let restored = restore(&new, Some(&snapshot::File::open(&taken).unwrap())).unwrap();
    assert_eq!(restored, Restored { missing: None, ..BROUGHT_BACK });
    holds_the_snapshot(&new);
}

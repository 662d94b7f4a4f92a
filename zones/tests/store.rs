//! What the store in sled promises: records whole and by key, nothing left behind, damage named and not
//! fatal. Crashes are `crash.rs`'s.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use helostat_zones::ledger::sled_store::SledStore;
use helostat_zones::ledger::store::{Key, Store, StoreError};
use proptest::prelude::*;

const SEGMENT: usize = 512 << 10;

/// Octets that differ by `seed` and do not repeat.
fn record(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let octets = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    octets.flatten().take(length).collect()
}

fn held(store: &SledStore, keys: &[Key]) -> BTreeMap<Key, Vec<u8>> {
    keys.iter().filter_map(|key| Some((*key, store.get(*key).unwrap()?))).collect()
}

/// How many keys and values sled holds for records of these lengths.
fn keys_for(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.map(|length| 1 + if length <= 4096 { 0 } else { length.div_ceil(4096) }).sum()
}

fn in_sled(path: &Path) -> sled::Tree {
    // sled's threads let go of its lock some time after the store was dropped.
    let db = (0..100).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        sled::open(path).ok()
    });
    db.expect("the lock is free").open_tree("records").unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Put(Key, usize),
    Trim(u64),
    Commit,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = prop_oneof![
        1 => Just(Key::Base),
        3 => prop::sample::select(vec![0, 1, 255, 256, u16::MAX]).prop_map(Key::Shard),
        4 => (1u64..9).prop_map(Key::Entry),
        1 => Just(Key::Entry(u64::MAX)),
    ];
    let length =
        prop_oneof![Just(0usize), 1usize..100, 4094usize..4100, 8190usize..8196, 0usize..100_000,];
    let step = prop_oneof![
        8 => (key, length).prop_map(|(key, length)| Step::Put(key, length)),
        1 => (0u64..9).prop_map(Step::Trim),
        2 => Just(Step::Commit),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_holds_what_was_put(steps in steps()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger");
        let mut store = SledStore::open(&path).unwrap();
        let mut model: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
        let mut keys: Vec<Key> = Vec::new();
        for (seed, step) in (0..).zip(&steps) {
            match step {
                Step::Put(key, length) => {
                    let record = record(seed, *length);
                    store.put(*key, &record).unwrap();
                    model.insert(*key, record);
                    keys.push(*key);
                }
                Step::Trim(through) => {
                    store.trim(*through).unwrap();
                    model.retain(|key, _| !matches!(key, Key::Entry(seq) if seq <= through));
                }
                Step::Commit => store.commit().unwrap(),
                Step::Reopen => {
                    store.commit().unwrap();
                    drop(store);
                    store = SledStore::open(&path).unwrap();
                }
            }
        }
        store.commit().unwrap();
        prop_assert_eq!(&held(&store, &keys), &model);
        let entries: Vec<Key> = store.entries().unwrap().into_iter().map(Key::Entry).collect();
        let expected: Vec<Key> =
            model.keys().filter(|key| matches!(key, Key::Entry(_))).copied().collect();
        prop_assert_eq!(entries, expected);
        drop(store);
        // No piece of a longer predecessor, or of another slot, is left.
        prop_assert_eq!(in_sled(&path).len(), keys_for(model.values().map(Vec::len)));
    }
}

/// The layout, octet by octet. If this fails it changed: give it a new version.
#[test]
fn the_layout_is_as_written_down() {
    let directory = tempfile::tempdir().unwrap();
    let long = record(1, 4097);
    {
        let mut store = SledStore::open(directory.path()).unwrap();
        store.put(Key::Base, b"base").unwrap();
        store.put(Key::Shard(2), b"").unwrap();
        store.put(Key::Entry(258), b"entry").unwrap();
        for _ in 0..2 {
            store.put(Key::Shard(258), &long).unwrap();
        }
        store.commit().unwrap();
    }
    let head = |slot: u8, record: &[u8]| {
        let length = u32::try_from(record.len()).unwrap().to_be_bytes();
        [&[slot], &length[..], &crc32fast::hash(record).to_be_bytes()].concat()
    };
    let expected: Vec<(&[u8], Vec<u8>)> = vec![
        (b"b", [&head(0, b"base")[..], b"base"].concat()),
        (b"e\0\0\0\0\0\0\x01\x02", [&head(0, b"entry")[..], b"entry"].concat()),
        (b"s\0\x02", head(0, b"")),
        (b"s\x01\x02", head(2, &long)),
        (b"s\x01\x02\x02\0\0\0\0", long[..4096].to_vec()),
        (b"s\x01\x02\x02\0\0\0\x01", long[4096..].to_vec()),
    ];
    let held = in_sled(directory.path());
    assert_eq!(held.len(), expected.len());
    for (item, (key, value)) in held.iter().zip(expected) {
        let (found, octets) = item.unwrap();
        assert_eq!((&found[..], &octets[..]), (key, &value[..]));
    }
    let committed = std::fs::read(directory.path().join("committed")).unwrap();
    assert_eq!(committed, b"00000000000000000258\n");
}

#[test]
fn large_records_are_read_by_several_threads_and_make_no_files() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = SledStore::open(directory.path()).unwrap();
    // Over and over, so that sled merges, splits and moves its pages.
    for round in 0..6 {
        for number in 0..40 {
            let length = 30_000 + usize::from(number) * 7_000 + round as usize * 500;
            store
                .put(Key::Shard(number), &record(round * 100 + u64::from(number), length))
                .unwrap();
            if number % 8 == 7 {
                store.commit().unwrap();
            }
        }
    }
    let blobs = std::fs::read_dir(directory.path().join("blobs")).unwrap().count();
    assert_eq!(blobs, 0, "sled does not sync the files of large pages");
    std::thread::scope(|scope| {
        for thread in 0..3u16 {
            let store = &store;
            scope.spawn(move || {
                for number in (0..40).map(|n| (n + thread * 13) % 40) {
                    let length = 30_000 + usize::from(number) * 7_000 + 2_500;
                    let expected = record(500 + u64::from(number), length);
                    assert!(store.get(Key::Shard(number)).unwrap() == Some(expected), "{number}");
                }
            });
        }
    });
    let files: u64 = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(std::fs::Metadata::is_file)
        .map(|data| data.len())
        .sum();
    assert_eq!(store.disk_bytes(), files);
}

#[test]
fn the_directory_is_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b");
    drop(SledStore::open(&path).unwrap());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

/// A store of some segments, closed; its records by key.
fn filled(path: &Path) -> BTreeMap<Key, Vec<u8>> {
    let mut store = SledStore::open(path).unwrap();
    let mut records = BTreeMap::new();
    for number in 0..40 {
        let record = record(number.into(), 60_000);
        store.put(Key::Shard(number), &record).unwrap();
        records.insert(Key::Shard(number), record);
    }
    store.commit().unwrap();
    records
}

/// Opens the store with one segment zeroed that sled needs to read but not to open, and says what needs it.
fn open_with_a_hole(path: &Path, keys: &BTreeMap<Key, Vec<u8>>) -> (SledStore, Key) {
    // Its snapshot lets sled open without looking.
    drop(SledStore::open(path).unwrap());
    let whole = std::fs::read(path.join("db")).unwrap();
    for segment in whole.chunks(SEGMENT).zip(0..).map(|(_, number)| number * SEGMENT) {
        let mut db = whole.clone();
        db[segment + SEGMENT / 4..segment + SEGMENT / 2].fill(0);
        std::fs::write(path.join("db"), db).unwrap();
        let Ok(store) = SledStore::open(path) else { continue };
        // How sled lays pages out differs from run to run: the hole may be where the next record goes.
        if store.get(Key::Base).is_err() {
            continue;
        }
        if let Some(key) = keys.keys().find(|key| store.get(**key).is_err()) {
            return (store, *key);
        }
    }
    panic!("no segment was needed");
}

fn remove_snapshots(path: &Path) {
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

#[test]
fn what_is_not_damaged_is_served_on() {
    let directory = tempfile::tempdir().unwrap();
    let records = filled(directory.path());
    let (mut store, lost) = open_with_a_hole(directory.path(), &records);
    for _ in 0..2 {
        let why = store.get(lost).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(why.contains("is damaged: "), "{why}");
        let whole = records.iter().filter(|(key, record)| match store.get(**key) {
            Ok(found) => {
                assert!(found.as_ref() == Some(record), "{key} is another");
                true
            }
            Err(_) => false,
        });
        assert_ne!(whole.count(), 0);
    }
    store.put(Key::Base, b"base").unwrap();
    store.commit().unwrap();
    assert_eq!(store.get(Key::Base).unwrap(), Some(b"base".to_vec()));
}

#[test]
fn a_panic_of_sled_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    filled(path);
    // Without a snapshot it reads all, and panics when it meets the same segment twice.
    remove_snapshots(path);
    let mut db = std::fs::read(path.join("db")).unwrap();
    db.copy_within(SEGMENT..2 * SEGMENT, 2 * SEGMENT);
    std::fs::write(path.join("db"), db).unwrap();
    for _ in 0..2 {
        let why = SledStore::open(path).err().map(|error| error.to_string()).unwrap_or_default();
        let named = "is damaged: the sled database cannot be read: sled gave up on it (assertion";
        assert!(why.contains(named), "{why}");
    }
}

#[test]
fn no_damage_is_taken_for_another_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let records = filled(path);
    let whole = std::fs::read(path.join("db")).unwrap();
    let (mut refused, mut unread) = (0, 0);
    for round in 0..24u64 {
        let mut db = whole.clone();
        let place = record(round, 8);
        let place = u64::from_le_bytes(place.try_into().unwrap()) as usize % (db.len() - 512);
        if round % 3 == 0 {
            db[place..place + 512].fill(0);
        } else {
            db[place] ^= 0x10;
        }
        if round % 2 == 0 {
            remove_snapshots(path);
        }
        std::fs::write(path.join("db"), &db).unwrap();
        let store = match SledStore::open(path) {
            Ok(store) => store,
            Err(StoreError::Damaged { .. }) => {
                refused += 1;
                continue;
            }
            Err(other) => panic!("round {round}: {other}"),
        };
        for (key, record) in &records {
            match store.get(*key) {
                Ok(Some(found)) => assert!(found == *record, "round {round}: {key} is another"),
                Ok(None) | Err(StoreError::Damaged { .. }) => unread += 1,
                Err(other) => panic!("round {round}: {other}"),
            }
        }
    }
    assert!(refused + unread > 0, "none of the damage was met");
}

#[test]
fn what_an_error_took_is_not_said_to_be_committed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let records = filled(path);
    let (mut store, lost) = open_with_a_hole(path, &records);
    store.put(Key::Entry(7), b"entry").unwrap();
    store.get(lost).expect_err("still damaged");
    let why = store.commit().err().map(|error| error.to_string()).unwrap_or_default();
    assert!(why.contains("was lost with an earlier error"), "{why}");
    assert_eq!(store.committed(), None);
    store.put(Key::Entry(8), b"entry").unwrap();
    store.commit().unwrap();
    assert_eq!(store.committed(), Some(8));
}

const FULL: &str = "HELOSTAT_FULL_DISK";

/// The process for which the disk is full at 4 MB a file.
#[test]
#[ignore = "started by the test of the full disk"]
fn on_a_full_disk() {
    let path = std::env::var(FULL).expect("started by the test of the full disk");
    let mut store = SledStore::open(Path::new(&path)).unwrap();
    let stage = |store: &mut SledStore, seq: u64| -> Result<(), StoreError> {
        store.put(Key::Entry(seq), &record(seq, 60_000))?;
        store.commit()
    };
    let (full, error) =
        (1..200).find_map(|seq| Some((seq, stage(&mut store, seq).err()?))).expect("it is full");
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    // A commit without staging again would say that the entry is there.
    store.commit().expect_err("what was staged is gone");
    let mut last = full - 1;
    for _ in 0..3 {
        for seq in 1..=last {
            assert!(
                store.get(Key::Entry(seq)).unwrap() == Some(record(seq, 60_000)),
                "entry {seq}"
            );
        }
        // When it is opened again, sled may find room by tidying up.
        if stage(&mut store, last + 1).is_ok() {
            last += 1;
        }
        assert_eq!(store.committed(), Some(last));
    }
}

#[test]
fn a_full_disk_takes_nothing_and_is_not_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let test = std::env::current_exe().unwrap();
    let done = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8192; exec \"$0\" --exact on_a_full_disk --ignored"])
        .arg(test)
        .env(FULL, &path)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    // There is room again.
    let mut store = SledStore::open(&path).unwrap();
    let last = store.committed().expect("some fitted");
    assert!(last > 10, "{last}");
    store.put(Key::Entry(last + 1), &record(last + 1, 60_000)).unwrap();
    store.commit().unwrap();
    assert_eq!(store.entries().unwrap(), (1..=last + 1).collect::<Vec<_>>());
    for seq in 1..=last + 1 {
        assert!(store.get(Key::Entry(seq)).unwrap() == Some(record(seq, 60_000)), "entry {seq}");
    }
}

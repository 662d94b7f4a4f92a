//! Laws of the ledger: order, batching, crashes and reopening do not change what it holds; its stored
//! layouts stay as they are written down.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use helostat_zones::client::Client;
use helostat_zones::ledger::store::{Key, Store, StoreError};
use helostat_zones::ledger::{Batch, Bounds, JournalLimits, Ledger};
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, ReporterKind};
use helostat_zones::time::Time;
use proptest::prelude::*;

/// What survives a crash, and the staged changes that do not.
#[derive(Default)]
struct Disk {
    base: Option<Vec<u8>>,
    shards: BTreeMap<u16, Vec<u8>>,
    journal: BTreeMap<u64, Vec<u8>>,
    commits_left: Option<u32>,
}

type Change = Box<dyn FnOnce(&mut Disk) + Send + Sync>;

/// A store that fails, and loses what was staged, when it runs out of commits.
struct Faulty {
    disk: Arc<Mutex<Disk>>,
    staged: Vec<Change>,
}

impl Faulty {
    fn on(disk: &Arc<Mutex<Disk>>) -> Box<Self> {
        Box::new(Self { disk: disk.clone(), staged: Vec::new() })
    }
}

impl Store for Faulty {
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, StoreError> {
        let disk = self.disk.lock().unwrap();
        Ok(match key {
            Key::Base => disk.base.clone(),
            Key::Shard(number) => disk.shards.get(&number).cloned(),
            Key::Entry(seq) => disk.journal.get(&seq).cloned(),
        })
    }

    fn entries(&self) -> Result<Vec<u64>, StoreError> {
        Ok(self.disk.lock().unwrap().journal.keys().copied().collect())
    }

    fn committed(&self) -> Option<u64> {
        None
    }

    fn put(&mut self, key: Key, record: &[u8]) -> Result<(), StoreError> {
        let record = record.to_vec();
        self.staged.push(Box::new(move |disk| match key {
            Key::Base => disk.base = Some(record),
            Key::Shard(number) => drop(disk.shards.insert(number, record)),
            Key::Entry(seq) => drop(disk.journal.insert(seq, record)),
        }));
        Ok(())
    }

    fn trim(&mut self, through: u64) -> Result<(), StoreError> {
        self.staged.push(Box::new(move |disk| disk.journal.retain(|seq, _| *seq > through)));
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let disk = &mut *self.disk.lock().unwrap();
        match &mut disk.commits_left {
            Some(0) => {
                self.staged.clear();
                let why = "no space left on device".to_owned();
                return Err(StoreError::Io { path: self.path(), why });
            }
            Some(left) => *left -= 1,
            None => {}
        }
        for change in self.staged.drain(..) {
            change(disk);
        }
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        0
    }

    fn path(&self) -> PathBuf {
        "(test)".into()
    }
}

fn observation() -> impl Strategy<Value = Observation> {
    let names = prop::sample::select(vec![
        "mail.example.com",
        "mx1.example.com",
        "mail.example.net",
        "localhost",
        "[192.0.2.7]",
        "odd name",
        "",
    ]);
    let ips = prop::sample::select(vec![
        "192.0.2.7",
        "192.0.2.8",
        "198.51.100.1",
        "2001:db8::7",
        "2001:db8::8",
    ]);
    let outcome = prop::sample::select(Outcome::ALL.to_vec());
    let reporter = prop::sample::select(vec!["mx1", "mx2", "trap"]);
    let rdns = prop::sample::select(vec![None, Some("a.example.com"), Some("b.example.com")]);
    (0u32..120 * 86_400, ips, names, outcome, reporter, rdns, any::<bool>()).prop_map(
        |(seconds, ip, name, outcome, reporter, rdns, by_us)| Observation {
            time: Time(1_790_000_000 + seconds),
            ip: ip.parse().expect(ip),
            name: Name::parse(name.as_bytes()),
            rdns: rdns.map(Into::into),
            outcome,
            stage: None,
            by_us: by_us && outcome == Outcome::Rejected,
            supersedes: None,
            reporter: reporter.into(),
        },
    )
}

fn kind_of(reporter: &str) -> ReporterKind {
    if reporter == "trap" { ReporterKind::Trap } else { ReporterKind::Mx }
}

fn batch_of(observations: &[Observation]) -> Batch {
    let mut batch = Batch::default();
    for observation in observations {
        batch.observe(observation, kind_of(&observation.reporter));
    }
    batch
}

fn dump(ledger: &Ledger) -> String {
    let mut bytes = Vec::new();
    ledger.dump(&mut bytes, false).expect("memory takes everything");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

fn learned_at_once(observations: &[Observation]) -> String {
    let ledger = Ledger::in_memory(Bounds::default());
    ledger.commit(&batch_of(observations)).expect("memory does not fail");
    dump(&ledger)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn order_and_batching_do_not_matter(
        observations in prop::collection::vec(observation(), 1..60),
        shuffled in any::<u64>(),
        size in 1usize..20,
    ) {
        let expected = learned_at_once(&observations);
        let mut other = observations.clone();
        // A cheap shuffle that proptest can shrink: rotate and swap by the seed.
        let n = other.len();
        other.rotate_left(shuffled as usize % n);
        for i in 0..n {
            other.swap(i, (shuffled as usize).wrapping_mul(i + 7) % n);
        }
        let ledger = Ledger::in_memory(Bounds::default());
        for batch in other.chunks(size) {
            // By way of the wire form, which a bus or another process carries.
            let batch = Batch::from_bytes(&batch_of(batch).to_bytes()).unwrap();
            ledger.commit(&batch).unwrap();
        }
        prop_assert_eq!(dump(&ledger), expected);
    }

    #[test]
    fn a_crash_at_any_commit_loses_nothing_and_doubles_nothing(
        observations in prop::collection::vec(observation(), 1..60),
        size in 1usize..8,
        lives in prop::collection::vec((0u32..12, any::<bool>()), 0..8),
        entries in 1u64..5,
        compact_at in any::<prop::sample::Index>(),
    ) {
        let disk = Arc::new(Mutex::new(Disk::default()));
        let mut lives = lives.into_iter();
        // A life ends with a failing commit: either the process dies, or it goes on and tries again.
        let mut goes_on = false;
        let mut next_life = |disk: &Mutex<Disk>| {
            let life = lives.next();
            disk.lock().unwrap().commits_left = life.map(|(commits, _)| commits);
            goes_on = life.is_some_and(|(_, goes_on)| goes_on);
            goes_on
        };
        loop {
            let mut goes_on = next_life(&disk);
            let last_life = disk.lock().unwrap().commits_left.is_none();
            let ledger = Ledger::with_store(Faulty::on(&disk), Bounds::default()).expect("what was committed can be read");
            ledger.limit_journal(JournalLimits { bytes: 0, bytes_max: 0, entries });
            let read = |bytes: Vec<u8>| usize::from_be_bytes(bytes.try_into().unwrap());
            let mut place = ledger.position("log").map_or(0, read);
            let mut crashed = false;
            while place < observations.len() {
                let end = (place + size).min(observations.len());
                let mut batch = batch_of(&observations[place..end]);
                batch.reach("log", end.to_be_bytes().to_vec());
                if ledger.commit(&batch).is_err() {
                    if goes_on {
                        goes_on = next_life(&disk);
                        continue;
                    }
                    crashed = true;
                    break;
                }
                if place == compact_at.index(observations.len()) && ledger.compact().is_err() {
                    crashed = true;
                    break;
                }
                place = end;
            }
            if !crashed {
                prop_assert_eq!(dump(&ledger), learned_at_once(&observations));
            }
            if last_life {
                break;
            }
        }
        let ledger = Ledger::with_store(Faulty::on(&disk), Bounds::default()).unwrap();
        prop_assert_eq!(dump(&ledger), learned_at_once(&observations));
        prop_assert_eq!(!ledger.reporters().is_empty(), true);
    }
}

#[test]
fn a_reporter_whose_first_batch_failed_leaves_no_gap() {
    let disk = Arc::new(Mutex::new(Disk::default()));
    let ledger = Ledger::with_store(Faulty::on(&disk), Bounds::default()).unwrap();
    let batch = |reporter: &str, kind| {
        let mut batch = Batch::default();
        batch.observe(
            &Observation {
                time: Time(1_795_184_855),
                ip: "192.0.2.7".parse().unwrap(),
                name: Name::parse(b"mail.example.com"),
                rdns: None,
                outcome: Outcome::Accepted,
                stage: None,
                by_us: false,
                supersedes: None,
                reporter: reporter.into(),
            },
            kind,
        );
        batch
    };
    let fails = |batch: &Batch| {
        disk.lock().unwrap().commits_left = Some(0);
        ledger.commit(batch).expect_err("the disk is full");
        disk.lock().unwrap().commits_left = None;
    };
    fails(&batch("mx1", ReporterKind::Mx));
    ledger.commit(&batch("mx2", ReporterKind::Mx)).unwrap();
    ledger.commit(&batch("mx1", ReporterKind::Mx)).unwrap();
    fails(&batch("mx2", ReporterKind::Trap));
    let again = Ledger::with_store(Faulty::on(&disk), Bounds::default())
        .expect("what was committed can be read");
    assert_eq!(dump(&again), dump(&ledger), "a failed batch changes no kind either");
}

#[test]
fn sled_keeps_it_and_a_second_opener_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let observations: Vec<_> = (0..2000)
        .map(|i| Observation {
            time: Time(1_790_000_000 + i * 977),
            ip: std::net::Ipv4Addr::from(0xc000_0200 + i % 300).into(),
            name: Name::parse(format!("mx{}.example.com", i % 300).as_bytes()),
            rdns: Some("long reverse name to make records span pieces.example.com".into()),
            outcome: Outcome::Accepted,
            stage: None,
            by_us: false,
            supersedes: None,
            reporter: "mx1".into(),
        })
        .collect();
    let expected = learned_at_once(&observations);
    {
        let ledger = Ledger::open(&path, Bounds::default()).unwrap();
        for (i, batch) in observations.chunks(700).enumerate() {
            let mut batch = batch_of(batch);
            batch.reach("log", vec![i as u8; 40_000]);
            ledger.commit(&batch).unwrap();
        }
        let second = Ledger::open(&path, Bounds::default()).err().map(|error| error.to_string());
        assert!(
            second.as_ref().is_some_and(|why| why.contains("in use by another process")),
            "{second:?}"
        );
    }
    for compacted in [false, true] {
        let ledger = Ledger::open(&path, Bounds::default()).unwrap();
        assert_eq!(dump(&ledger), expected, "compacted: {compacted}");
        assert_eq!(ledger.position("log"), Some(vec![2; 40_000]));
        assert_eq!(ledger.positions("lo").len(), 1);
        assert_eq!(ledger.reporters()[0].name.as_ref(), "mx1");
        ledger.compact().unwrap();
    }
}

#[test]
fn a_newer_layout_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    drop(Ledger::open(&path, Bounds::default()).unwrap());
    {
        let db = sled::open(&path).unwrap();
        db.insert("layout", "7").unwrap();
        db.flush().unwrap();
    }
    let why = Ledger::open(&path, Bounds::default()).err().unwrap().to_string();
    assert!(why.contains("layout 7, this program knows layout 2"), "{why}");
}

#[test]
fn a_ledger_that_lost_its_end_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    for damage in [&b""[..], b"no database at all"] {
        {
            let ledger = Ledger::open(&path, Bounds::default()).unwrap();
            ledger.commit(&golden_batch()).unwrap();
        }
        std::fs::write(path.join("db"), damage).unwrap();
        let why = Ledger::open(&path, Bounds::default())
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(why.contains("is damaged"), "{damage:?}: {why}");
        std::fs::remove_dir_all(&path).unwrap();
    }
    // An earlier state of the same database: whole in itself, but not what was committed.
    drop(Ledger::open(&path, Bounds::default()).unwrap());
    let earlier = std::fs::read(path.join("db")).unwrap();
    Ledger::open(&path, Bounds::default()).unwrap().commit(&golden_batch()).unwrap();
    for entry in std::fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap().path();
        if entry.file_name().unwrap().to_string_lossy().starts_with("snap") {
            std::fs::remove_file(entry).unwrap();
        }
    }
    std::fs::write(path.join("db"), earlier).unwrap();
    let why = Ledger::open(&path, Bounds::default())
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(why.contains("after entry 0, up to entry 1, cannot be read: it is missing"), "{why}");
}

#[test]
fn a_damaged_shard_is_named() {
    let disk = Arc::new(Mutex::new(Disk::default()));
    let ledger = Ledger::with_store(Faulty::on(&disk), Bounds::default()).unwrap();
    ledger.commit(&golden_batch()).unwrap();
    ledger.compact().unwrap();
    let number = {
        let mut disk = disk.lock().unwrap();
        let (number, record) = disk.shards.iter_mut().next().unwrap();
        let middle = record.len() / 2;
        record[middle] ^= 1;
        *number
    };
    let why = Ledger::with_store(Faulty::on(&disk), Bounds::default()).err().unwrap().to_string();
    assert!(why.contains(&format!("shard {number} cannot be read: its checksum")), "{why}");
}

fn golden_batch() -> Batch {
    let observation = |ip: &str, name: &str, outcome, seconds: u32| Observation {
        time: Time(1_795_184_855 + seconds),
        ip: ip.parse().unwrap(),
        name: Name::parse(name.as_bytes()),
        rdns: (outcome == Outcome::Accepted).then(|| "mail.example.com".into()),
        outcome,
        stage: None,
        by_us: seconds == 9,
        supersedes: (seconds == 5).then_some(Outcome::Deferred),
        reporter: "mx1".into(),
    };
    let mut batch = batch_of(&[
        observation("192.0.2.7", "mail.example.com", Outcome::Accepted, 0),
        observation("192.0.2.7", "mail.example.com", Outcome::Accepted, 200_000),
        observation("192.0.2.7", "localhost", Outcome::Partial, 5),
        observation("2001:db8:1:2:3:4:5:6", "mail.example.com", Outcome::Rejected, 9),
    ]);
    batch.reach("source", b"position".to_vec());
    batch
}

/// The stored layouts, byte by byte. If this fails the layout changed: give it a new version and keep
/// reading the old one.
#[test]
fn stored_layouts_are_as_written_down() {
    let disk = Arc::new(Mutex::new(Disk::default()));
    let ledger = Ledger::with_store(Faulty::on(&disk), Bounds::default()).unwrap();
    ledger.commit(&golden_batch()).unwrap();
    let hex = |record: &[u8]| record.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let mut found = format!("entry {}\n", hex(&disk.lock().unwrap().journal[&1]));
    ledger.compact().unwrap();
    {
        let disk = disk.lock().unwrap();
        assert!(disk.journal.is_empty(), "compacting forgets the journal");
        for (number, record) in &disk.shards {
            found.push_str(&format!("shard {number} {}\n", hex(record)));
        }
        found.push_str(&format!("base {}\n", hex(disk.base.as_ref().unwrap())));
    }
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/ledger-v2.txt");
    if std::env::var_os("HELOSTAT_BLESS").is_some() {
        std::fs::write(golden, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(golden).unwrap());

    let again = Ledger::with_store(Faulty::on(&disk), Bounds::default()).unwrap();
    assert_eq!(dump(&again), dump(&ledger));
    assert_eq!(
        again.client(Client::of("192.0.2.7".parse().unwrap()), |row| row.unwrap().pair_count()),
        2
    );
}

#[test]
fn shards_without_the_names_of_their_reporters_are_refused() {
    let disk = Arc::new(Mutex::new(Disk::default()));
    let ledger = Ledger::with_store(Faulty::on(&disk), Bounds::default()).unwrap();
    ledger.commit(&golden_batch()).unwrap();
    ledger.compact().unwrap();
    disk.lock().unwrap().base = None;
    let why = Ledger::with_store(Faulty::on(&disk), Bounds::default()).err().unwrap().to_string();
    assert!(why.contains("after entry 0, up to entry 1, cannot be read: it is missing"), "{why}");
}

#[test]
fn a_snapshot_taken_while_commits_go_on_is_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("ledger"), Bounds::default()).unwrap();
    ledger.limit_journal(JournalLimits { bytes: 0, bytes_max: 0, entries: 3 });
    let observations: Vec<_> = (0..3000u32)
        .map(|i| Observation {
            time: Time(1_790_000_000 + i * 977),
            ip: std::net::Ipv4Addr::from(0xc000_0200 + i * 64).into(),
            name: Name::parse(format!("mx{}.example{i}.com", i % 300).as_bytes()),
            rdns: None,
            outcome: Outcome::Accepted,
            stage: None,
            by_us: false,
            supersedes: None,
            reporter: if i < 2000 { "mx1" } else { "mx2" }.into(),
        })
        .collect();
    ledger.commit(&batch_of(&observations[..1000])).unwrap();
    let mut next = 1000;
    let path = ledger
        .snapshot(&folder.path().join("copies"), &mut |done, _| {
            // Commits, foldings and trims in between.
            if done % 100 == 0 && next < observations.len() {
                let mut batch = batch_of(&observations[next..next + 50]);
                next += 50;
                batch.reach("log", next.to_be_bytes().to_vec());
                ledger.commit(&batch).unwrap();
                if done % 300 == 0 {
                    ledger.compact().unwrap();
                }
            }
        })
        .unwrap();
    assert_eq!(next, 3000, "all were committed while it was taken");
    let snapshot = helostat_zones::ledger::snapshot::File::open(&path).unwrap();
    let copy = Ledger::with_store(Box::new(snapshot), Bounds::default()).unwrap();
    assert_eq!(dump(&copy), dump(&ledger));
    assert_eq!(copy.position("log"), ledger.position("log"));
}

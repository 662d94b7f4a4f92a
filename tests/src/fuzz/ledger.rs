//! Stored and transmitted records of the ledger.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use helostat_zones::ledger::store::{Key, Store, StoreError};
use helostat_zones::ledger::{Batch, Bounds, DecodeError, Ledger};
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, ReporterKind};
use helostat_zones::time::Time;
use parking_lot::Mutex;

/// A batch from another process, without its checksum: what is read is written as the same batch.
pub fn ledger_batch(body: &[u8]) {
    // As it is, the checksum is wrong, but for one input in four thousand million.
    if let Ok(batch) = Batch::from_bytes(body) {
        assert_eq!(batch.to_bytes(), body, "a fuzzer that computes checksums found another form");
    }
    match Batch::from_bytes(&sealed(body)) {
        Ok(batch) => {
            assert_eq!(Batch::from_bytes(&batch.to_bytes()).as_ref(), Ok(&batch), "read again");
            let ledger = Ledger::in_memory(Bounds::default());
            ledger.commit(&batch).expect("memory takes everything");
            assert_eq!(batch.is_empty(), ledger.seq() == 0, "{batch:?}");
        }
        Err(why) => assert_ne!(why, DecodeError::Checksum),
    }
}

/// Records of a store, without their checksums, each `kind` (0 base, 1 shard, 2 journal), its number
/// in eight octets, its length in two, and its octets: the ledger opens or says what is damaged; if it
/// opens, it takes a commit, and holds the same when it is folded and opened again.
pub fn ledger_record(bytes: &[u8]) {
    let disk = Arc::new(Mutex::new(Disk::read(bytes)));
    let ledger = match Ledger::with_store(Box::new(Shelf(Arc::clone(&disk))), Bounds::default()) {
        Ok(ledger) => ledger,
        Err(StoreError::Damaged { what, why, .. }) => {
            assert!(!what.is_empty() && !why.is_empty(), "damage that says nothing");
            return;
        }
        Err(StoreError::OtherLayout { found, known, .. }) => {
            assert_ne!(found, known);
            return;
        }
        Err(other) => panic!("this store never says {other}"),
    };
    assert_eq!(reopened(&disk), dump(&ledger), "opened twice");
    let before = ledger.seq();
    match ledger.commit(&one_more()) {
        Ok(committed) => assert_eq!(committed.seq, before + 1, "the number of a commit"),
        Err(error) => assert_eq!(before, u64::MAX, "{error}"),
    }
    assert_eq!(reopened(&disk), dump(&ledger), "after a commit");
    ledger.compact().expect("a store that takes everything");
    assert_eq!(reopened(&disk), dump(&ledger), "after folding");
}

fn reopened(disk: &Arc<Mutex<Disk>>) -> String {
    let ledger = Ledger::with_store(Box::new(Shelf(Arc::clone(disk))), Bounds::default());
    dump(&ledger.unwrap_or_else(|error| panic!("what it stored itself: {error}")))
}

fn dump(ledger: &Ledger) -> String {
    let mut text = Vec::new();
    ledger.dump(&mut text, false).expect("written to memory");
    String::from_utf8(text).expect("JSON")
}

/// One observation, of a pair that the corpus has too.
fn one_more() -> Batch {
    let mut batch = Batch::default();
    let observation = Observation {
        time: Time(1_795_184_855),
        ip: [192, 0, 2, 7].into(),
        name: Name::parse(b"mail.example.com"),
        rdns: Some("mail.example.com".into()),
        outcome: Outcome::Accepted,
        stage: None,
        by_us: false,
        supersedes: None,
        reporter: "mx1".into(),
    };
    batch.observe(&observation, ReporterKind::Mx);
    batch
}

fn sealed(body: &[u8]) -> Vec<u8> {
    [body, &crc32fast::hash(body).to_le_bytes()].concat()
}

/// What a store holds.
#[derive(Default)]
struct Disk {
    base: Option<Vec<u8>>,
    shards: BTreeMap<u16, Vec<u8>>,
    journal: BTreeMap<u64, Vec<u8>>,
}

impl Disk {
    fn read(mut bytes: &[u8]) -> Self {
        let mut disk = Self::default();
        while let Some((record, rest)) = Record::cut(bytes) {
            let content = sealed(record.body);
            match record.kind {
                0 => disk.base = Some(content),
                1 => {
                    let [.., high, low] = record.number;
                    disk.shards.insert(u16::from_be_bytes([high, low]), content);
                }
                _ => {
                    disk.journal.insert(u64::from_be_bytes(record.number), content);
                }
            }
            bytes = rest;
        }
        disk
    }
}

struct Record<'a> {
    kind: u8,
    number: [u8; 8],
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// The first record of `bytes`, and what follows; the last one may be cut short.
    fn cut(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&kind, rest) = bytes.split_first()?;
        let (&number, rest) = rest.split_first_chunk::<8>()?;
        let (&length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(length)).min(rest.len());
        let (body, rest) = rest.split_at_checked(length)?;
        Some((Self { kind, number, body }, rest))
    }
}

/// A store over a [`Disk`] that others can see too. Everything staged counts at once.
struct Shelf(Arc<Mutex<Disk>>);

impl Store for Shelf {
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, StoreError> {
        let disk = self.0.lock();
        Ok(match key {
            Key::Base => disk.base.clone(),
            Key::Shard(number) => disk.shards.get(&number).cloned(),
            Key::Entry(seq) => disk.journal.get(&seq).cloned(),
        })
    }

    fn entries(&self) -> Result<Vec<u64>, StoreError> {
        Ok(self.0.lock().journal.keys().copied().collect())
    }

    fn committed(&self) -> Option<u64> {
        None
    }

    fn put(&mut self, key: Key, record: &[u8]) -> Result<(), StoreError> {
        let mut disk = self.0.lock();
        let record = record.to_vec();
        match key {
            Key::Base => disk.base = Some(record),
            Key::Shard(number) => drop(disk.shards.insert(number, record)),
            Key::Entry(seq) => drop(disk.journal.insert(seq, record)),
        }
        Ok(())
    }

    fn trim(&mut self, through: u64) -> Result<(), StoreError> {
        self.0.lock().journal.retain(|seq, _| *seq > through);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        0
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("(a shelf)")
    }
}

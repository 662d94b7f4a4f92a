//! Five stores behind one trait: our ledger, and four that keep a record for each key.
//!
//! A key is client, name and reporter; its record is 48 octets. What a batch says of a key is merged first, and
//! keys are then written in their order: read, merge, write, and one commit that is on disk when it
//! returns. Caches are 256 MiB wherever a store has one, so that a million keys fit.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use fjall::{KeyspaceCreateOptions, PersistMode};
use heed::types::ByteSlice;
use helostat_zones::client::Client;
use helostat_zones::ledger::{Batch, Bounds, Ledger};
use helostat_zones::observation::{Observation, ReporterKind};
use redb::{ReadableTable, TableDefinition};

/// Every store, by name.
pub(crate) const NAMES: [&str; 5] = ["ledger", "sled", "redb", "fjall", "lmdb"];

const CACHE_BYTES: usize = 256 << 20;
/// LMDB's file can grow up to this; address space, not memory.
const MAP_BYTES: usize = 64 << 30;
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("pairs");

/// A store that learns.
pub(crate) trait Engine {
    /// Makes a batch durable.
    fn learn(&mut self, observations: &[Observation]);
    /// True if the pair of an observation is known.
    fn knows(&self, observation: &Observation) -> bool;
    /// Ends in an orderly way.
    fn close(self: Box<Self>);
}

/// Opens or makes the store with this name in a folder of its own.
pub(crate) fn open(name: &str, folder: &Path) -> Box<dyn Engine> {
    std::fs::create_dir_all(folder).expect("a folder for the store");
    match name {
        "ledger" => {
            Box::new(Ours(Ledger::open(folder, Bounds::default()).expect("the ledger opens")))
        }
        "sled" => Box::new(Sled::open(folder)),
        "redb" => Box::new(Redb::open(folder)),
        "fjall" => Box::new(Fjall::open(folder)),
        "lmdb" => Box::new(Lmdb::open(folder)),
        _ => panic!("no store has the name {name}: {}", NAMES.join(", ")),
    }
}

struct Ours(Ledger);

impl Engine for Ours {
    fn learn(&mut self, observations: &[Observation]) {
        let mut batch = Batch::default();
        for observation in observations {
            batch.observe(observation, ReporterKind::Mx);
        }
        self.0.commit(&batch).expect("the ledger takes it");
    }

    fn knows(&self, observation: &Observation) -> bool {
        self.0.client(Client::of(observation.ip), |row| row.is_some())
    }

    fn close(self: Box<Self>) {
        self.0.compact().expect("the journal folds");
    }
}

struct Sled {
    db: sled::Db,
    /// sled flushes with `sync_file_range`, which a power cut does not respect; see the ledger's own store.
    file: File,
}

impl Sled {
    fn open(folder: &Path) -> Self {
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES as u64);
        let db = config.flush_every_ms(None).open().expect("sled opens");
        let file = File::open(folder.join("db")).expect("sled's file");
        Self { db, file }
    }
}

impl Engine for Sled {
    fn learn(&mut self, observations: &[Observation]) {
        let mut batch = sled::Batch::default();
        for (key, record) in records(observations) {
            let known = self.db.get(&key).expect("sled reads");
            let record = record.onto(known.as_deref());
            batch.insert(key, &record[..]);
        }
        self.db.apply_batch(batch).expect("sled writes");
        self.db.flush().expect("sled flushes");
        self.file.sync_all().expect("the disk takes it");
    }

    fn knows(&self, observation: &Observation) -> bool {
        self.db.contains_key(key(observation)).expect("sled reads")
    }

    fn close(self: Box<Self>) {
        self.db.flush().expect("sled flushes");
    }
}

struct Redb(redb::Database);

impl Redb {
    fn open(folder: &Path) -> Self {
        let mut builder = redb::Database::builder();
        let db = builder.set_cache_size(CACHE_BYTES).create(folder.join("redb"));
        Self(db.expect("redb opens"))
    }
}

impl Engine for Redb {
    fn learn(&mut self, observations: &[Observation]) {
        let transaction = self.0.begin_write().expect("redb writes");
        {
            let mut table = transaction.open_table(TABLE).expect("redb's table");
            for (key, record) in records(observations) {
                let known = table.get(&key[..]).expect("redb reads");
                let record = record.onto(known.as_ref().map(|known| known.value()));
                drop(known);
                table.insert(&key[..], &record[..]).expect("redb writes");
            }
        }
        transaction.commit().expect("redb commits");
    }

    fn knows(&self, observation: &Observation) -> bool {
        use redb::ReadableDatabase;
        let transaction = self.0.begin_read().expect("redb reads");
        let table = transaction.open_table(TABLE).expect("redb's table");
        table.get(&key(observation)[..]).expect("redb reads").is_some()
    }

    fn close(self: Box<Self>) {}
}

struct Fjall {
    db: fjall::Database,
    pairs: fjall::Keyspace,
}

impl Fjall {
    fn open(folder: &Path) -> Self {
        let builder = fjall::Database::builder(folder).cache_size(CACHE_BYTES as u64);
        let db = builder.open().expect("fjall opens");
        let pairs = db.keyspace("pairs", KeyspaceCreateOptions::default).expect("its keyspace");
        Self { db, pairs }
    }
}

impl Engine for Fjall {
    fn learn(&mut self, observations: &[Observation]) {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        for (key, record) in records(observations) {
            let known = self.pairs.get(&key).expect("fjall reads");
            let record = record.onto(known.as_deref());
            batch.insert(&self.pairs, key, &record[..]);
        }
        batch.commit().expect("fjall commits");
    }

    fn knows(&self, observation: &Observation) -> bool {
        self.pairs.get(key(observation)).expect("fjall reads").is_some()
    }

    fn close(self: Box<Self>) {}
}

struct Lmdb {
    env: heed::Env,
    pairs: heed::Database<ByteSlice, ByteSlice>,
}

impl Lmdb {
    fn open(folder: &Path) -> Self {
        let env = heed::EnvOpenOptions::new().map_size(MAP_BYTES).open(folder);
        let env = env.expect("LMDB opens");
        let pairs = env.create_database(None).expect("LMDB's database");
        Self { env, pairs }
    }
}

impl Engine for Lmdb {
    fn learn(&mut self, observations: &[Observation]) {
        let mut transaction = self.env.write_txn().expect("LMDB writes");
        for (key, record) in records(observations) {
            let known = self.pairs.get(&transaction, &key).expect("LMDB reads");
            let record = record.onto(known);
            self.pairs.put(&mut transaction, &key, &record).expect("LMDB writes");
        }
        transaction.commit().expect("LMDB commits");
    }

    fn knows(&self, observation: &Observation) -> bool {
        let transaction = self.env.read_txn().expect("LMDB reads");
        self.pairs.get(&transaction, &key(observation)).expect("LMDB reads").is_some()
    }

    fn close(self: Box<Self>) {}
}

/// What a batch says of each key.
fn records(observations: &[Observation]) -> BTreeMap<Vec<u8>, Record> {
    let mut records = BTreeMap::new();
    for observation in observations {
        let record = Record::of(observation);
        let known = records.entry(key(observation)).or_insert_with(Record::default);
        *known = known.merge(record);
    }
    records
}

/// Client, name and reporter as octets.
fn key(observation: &Observation) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    match Client::of(observation.ip) {
        Client::V4(ip) => {
            key.push(4);
            key.extend_from_slice(&ip.to_be_bytes());
        }
        Client::V6(top) => {
            key.push(6);
            key.extend_from_slice(&top.to_be_bytes());
        }
    }
    key.extend_from_slice(observation.name.text().as_bytes());
    key.push(0);
    key.extend_from_slice(observation.reporter.as_bytes());
    key
}

/// What is held of a key: like the ledger's, but that a set of days is 64 fixed ones.
#[derive(Clone, Copy)]
struct Record {
    first: u32,
    last: u32,
    first_accepted: u32,
    by_us: u32,
    days: u64,
    accepted_days: u64,
    counts: [u16; 8],
}

impl Default for Record {
    fn default() -> Self {
        Self {
            first: u32::MAX,
            last: 0,
            first_accepted: u32::MAX,
            by_us: 0,
            days: 0,
            accepted_days: 0,
            counts: [0; 8],
        }
    }
}

impl Record {
    const BYTES: usize = 48;

    fn of(observation: &Observation) -> Self {
        let accepted = observation.outcome.is_accepted();
        let time = observation.time.0;
        let day = 1 << (observation.time.day().0 % 64);
        let mut counts = [0; 8];
        counts[observation.outcome.index()] = 1;
        Self {
            first: time,
            last: time,
            first_accepted: if accepted { time } else { u32::MAX },
            by_us: observation.by_us.into(),
            days: day,
            accepted_days: if accepted { day } else { 0 },
            counts,
        }
    }

    fn merge(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            first_accepted: self.first_accepted.min(other.first_accepted),
            by_us: self.by_us.saturating_add(other.by_us),
            days: self.days | other.days,
            accepted_days: self.accepted_days | other.accepted_days,
            counts: std::array::from_fn(|i| self.counts[i].saturating_add(other.counts[i])),
        }
    }

    /// The record as octets, merged with what is known.
    fn onto(self, known: Option<&[u8]>) -> [u8; Self::BYTES] {
        known.map_or(self, |known| self.merge(Self::read(known))).write()
    }

    fn write(self) -> [u8; Self::BYTES] {
        let mut octets = Vec::with_capacity(Self::BYTES);
        for number in [self.first, self.last, self.first_accepted, self.by_us] {
            octets.extend_from_slice(&number.to_be_bytes());
        }
        for days in [self.days, self.accepted_days] {
            octets.extend_from_slice(&days.to_be_bytes());
        }
        for count in self.counts {
            octets.extend_from_slice(&count.to_be_bytes());
        }
        octets.try_into().expect("the parts of a record are 48 octets")
    }

    fn read(octets: &[u8]) -> Self {
        let four = |place: usize| {
            u32::from_be_bytes(octets[place..place + 4].try_into().expect("four octets"))
        };
        let eight = |place: usize| u64::from(four(place)) << 32 | u64::from(four(place + 4));
        let two = |place: usize| u16::from_be_bytes([octets[place], octets[place + 1]]);
        Self {
            first: four(0),
            last: four(4),
            first_accepted: four(8),
            by_us: four(12),
            days: eight(16),
            accepted_days: eight(24),
            counts: std::array::from_fn(|i| two(32 + 2 * i)),
        }
    }
}

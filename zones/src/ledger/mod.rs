//! The ledger: the durable record of which client said which name, when, and how it ended.
//!
//! Memory is the index and the store is its memory. Every live history is resident in tables cut
//! into 256 shards (`table`); the store (`store`, in sled: `sled_store`) keeps a journal with one entry
//! per committed batch, which holds the folded changes *and* the position reached in each source, and
//! shards, each naming the journal entry up to which it is included. Opening loads the shards and
//! replays the journal after them.
//!
//! - In: batches (`batch`), in any order, from one writer at a time (a lock sees to it).
//! - Out: rows for whoever computes a history; positions for whoever reads a source; a canonical dump.
//! - `commit` returns after the batch is durable, and only then is it visible; when it fails nothing of
//!   it is visible, the caller keeps the batch and tries again, or stops.
//! - What the ledger holds depends on the observations alone, never on their order or batching
//!   (`activity`), so reading again from the stored positions gives the same ledger.
//! - Damage is an error with the name of what is damaged; there is never a silent half ledger.
//!
//! Not done yet: bounds on pairs per client and clients per name, expiry, snapshots, repair.

pub mod activity;
pub mod batch;
mod codec;
mod dump;
pub mod facts;
mod folder;
pub mod rescue;
pub mod sled_store;
pub mod snapshot;
pub mod store;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use self::activity::Activity;
pub use self::activity::ReporterId;
pub use self::batch::Batch;
pub use self::codec::DecodeError;
use self::codec::{Reader, Writer};
use self::sled_store::SledStore;
pub use self::store::StoreError;
use self::store::{Key, MemoryStore, Store};
pub use self::table::{ClientRow, PairRow, Sizes};
use self::table::{SHARDS, Tables, shard_of};
use crate::client::{Client, Network};
use crate::name::Name;
use crate::observation::{Reporter, ReporterKind};
use crate::time::Time;

/// How long the journal may grow before it is folded into shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalLimits {
    /// Octets; or a quarter of what the shards take, if that is more, so that a large ledger does not
    /// rewrite itself all the time.
    pub bytes: u64,
    /// Entries, so that many small commits do not make a slow start.
    pub entries: u64,
}

impl Default for JournalLimits {
    fn default() -> Self {
        Self { bytes: 4 << 20, entries: 4096 }
    }
}

/// At most this many shards are rewritten in one commit, to keep commits short.
const SHARDS_PER_COMMIT: usize = 16;

/// The durable record of what was observed.
pub struct Ledger {
    tables: Tables,
    reporters: RwLock<Vec<(Reporter, ReporterKind)>>,
    writer: Mutex<Journal>,
    /// Sequence number of the last commit; readers tell by it whether anything changed.
    seq: AtomicU64,
    /// Newest and oldest observation, as seconds since the epoch; 0 and the greatest number if none.
    newest: AtomicU64,
    oldest: AtomicU64,
}

/// The writer's side: the store and what is needed to write the next entry.
struct Journal {
    store: Box<dyn Store>,
    seq: u64,
    positions: BTreeMap<String, Vec<u8>>,
    reporter_ids: HashMap<Reporter, ReporterId>,
    /// For each shard the first entry that changed it since it was last stored.
    dirty_since: Vec<Option<u64>>,
    /// Size of each shard as last stored.
    shard_bytes: Vec<u64>,
    /// Entries still in the store's journal, oldest first: sequence number and size.
    live: std::collections::VecDeque<(u64, u64)>,
    limits: JournalLimits,
}

/// Everything a store holds, as read at opening.
struct Stored {
    base: Option<Vec<u8>>,
    shards: Vec<(u16, Vec<u8>)>,
    journal: Vec<(u64, Vec<u8>)>,
    committed: Option<u64>,
}

impl Stored {
    fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let mut stored = Self {
            base: store.get(Key::Base)?,
            shards: Vec::new(),
            journal: Vec::new(),
            committed: store.committed(),
        };
        for number in 0..SHARDS {
            stored.shards.extend(store.get(Key::Shard(number))?.map(|record| (number, record)));
        }
        for seq in store.entries()? {
            stored.journal.extend(store.get(Key::Entry(seq))?.map(|record| (seq, record)));
        }
        Ok(stored)
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The sequence number of the journal entry; unchanged if the batch was empty.
    pub seq: u64,
    /// Its size in octets; zero if the batch was empty.
    pub bytes: u64,
}

impl Ledger {
    /// Opens or creates the ledger at `path`. Blocks while the store recovers.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::with_store(Box::new(SledStore::open(path)?))
    }

    /// A ledger that is forgotten at the end, for replays and tests.
    pub fn in_memory() -> Self {
        Self::empty(Box::new(MemoryStore))
    }

    fn empty(store: Box<dyn Store>) -> Self {
        Self {
            tables: Tables::new(),
            reporters: RwLock::default(),
            writer: Mutex::new(Journal {
                store,
                seq: 0,
                positions: BTreeMap::new(),
                reporter_ids: HashMap::new(),
                dirty_since: vec![None; usize::from(SHARDS)],
                shard_bytes: vec![0; usize::from(SHARDS)],
                live: std::collections::VecDeque::new(),
                limits: JournalLimits::default(),
            }),
            seq: AtomicU64::new(0),
            newest: AtomicU64::new(0),
            oldest: AtomicU64::new(u64::MAX),
        }
    }

    /// A ledger over any store.
    pub fn with_store(store: Box<dyn Store>) -> Result<Self, StoreError> {
        let stored = Stored::read(&*store)?;
        let path = store.path();
        let ledger = Self::empty(store);
        ledger.recover(&stored).map_err(|(what, why)| match why {
            DecodeError::Version(found) => {
                StoreError::OtherLayout { path, found: found.into(), known: codec::LAYOUT.into() }
            }
            why => StoreError::Damaged { path, what, why: why.to_string() },
        })?;
        Ok(ledger)
    }

    fn recover(&self, stored: &Stored) -> Result<(), (String, DecodeError)> {
        let journal = &mut *self.writer.lock();
        let mut base_through = 0;
        if let Some(base) = &stored.base {
            base_through =
                self.read_base(journal, base).map_err(|why| ("the base record".into(), why))?;
        }
        let mut through = vec![0; usize::from(SHARDS)];
        let mut reporters_needed = 0;
        for (number, record) in &stored.shards {
            let place = usize::from(*number);
            let (included, reporters) =
                self.read_shard(place, record).map_err(|why| (format!("shard {number}"), why))?;
            reporters_needed = reporters_needed.max(reporters);
            if let (Some(through), Some(bytes)) =
                (through.get_mut(place), journal.shard_bytes.get_mut(place))
            {
                *through = included;
                *bytes = record.len() as u64;
            }
        }
        journal.seq = base_through.max(through.iter().copied().max().unwrap_or(0));
        for (seq, entry) in &stored.journal {
            self.read_entry(journal, *seq, entry, &through, *seq > base_through)
                .map_err(|why| (format!("journal entry {seq}"), why))?;
            journal.seq = journal.seq.max(*seq);
            journal.live.push_back((*seq, entry.len() as u64));
        }
        if reporters_needed > self.reporters.read().len() {
            return Err(("the name of a reporter".into(), DecodeError::Missing));
        }
        if let Some(committed) = stored.committed.filter(|committed| *committed > journal.seq) {
            let what =
                format!("what was committed after entry {}, up to entry {committed},", journal.seq);
            return Err((what, DecodeError::Missing));
        }
        self.seq.store(journal.seq, Ordering::Release);
        Ok(())
    }

    fn read_base(&self, journal: &mut Journal, base: &[u8]) -> Result<u64, DecodeError> {
        let mut reader = Reader::new(base)?;
        let through = reader.varint()?;
        read_positions(&mut reader, &mut journal.positions)?;
        self.read_reporters(&mut reader, journal)?;
        reader.finish()?;
        Ok(through)
    }

    fn read_reporters(
        &self,
        reader: &mut Reader<'_>,
        journal: &mut Journal,
    ) -> Result<(), DecodeError> {
        for _ in 0..reader.count()? {
            let (id, name, kind) = reader.reporter()?;
            let mut reporters = self.reporters.write();
            let place = usize::from(id);
            // Numbers are given in order, so a gap means that a record is missing.
            if let Some(known) = reporters.get_mut(place) {
                known.1 = kind;
            } else if place == reporters.len() {
                reporters.push((name.into(), kind));
            } else {
                return Err(DecodeError::Malformed);
            }
            journal.reporter_ids.insert(name.into(), id);
        }
        Ok(())
    }

    /// Merges a shard; returns the last journal entry it includes, and how many reporters it needs.
    fn read_shard(&self, place: usize, record: &[u8]) -> Result<(u64, usize), DecodeError> {
        let mut reader = Reader::new(record)?;
        let through = reader.varint()?;
        let mut reporters = 0;
        for _ in 0..reader.count()? {
            let client = reader.client()?;
            // A client in a wrong shard would be stored in its own too, and count twice from then on.
            if shard_of(client) != place {
                return Err(DecodeError::Malformed);
            }
            let facts = reader.facts(client)?;
            for _ in 0..reader.count()? {
                let name = Name::parse(reader.text()?.as_bytes());
                for _ in 0..reader.count()? {
                    let by = u16::try_from(reader.varint()?).map_err(|_| DecodeError::Malformed)?;
                    let activity = reader.activity()?;
                    reporters = reporters.max(usize::from(by) + 1);
                    self.note_times(&activity);
                    self.tables.merge(client, &name, by, &activity);
                }
            }
            self.tables.merge_facts(client, &facts);
        }
        reader.finish()?;
        Ok((through, reporters))
    }

    /// Applies what of an entry its shards do not include yet; its positions only if the base record
    /// is older.
    fn read_entry(
        &self,
        journal: &mut Journal,
        seq: u64,
        entry: &[u8],
        through: &[u64],
        newer_than_base: bool,
    ) -> Result<(), DecodeError> {
        let mut reader = Reader::new(entry)?;
        let mut positions = BTreeMap::new();
        read_positions(&mut reader, &mut positions)?;
        if newer_than_base {
            journal.positions.append(&mut positions);
        }
        self.read_reporters(&mut reader, journal)?;
        let mut facts_of = Vec::new();
        for _ in 0..reader.count()? {
            let client = reader.client()?;
            facts_of.push((client, reader.facts(client)?));
        }
        for _ in 0..reader.count()? {
            let client = reader.client()?;
            let name = Name::parse(reader.text()?.as_bytes());
            let by = u16::try_from(reader.varint()?).map_err(|_| DecodeError::Malformed)?;
            // Every entry names all reporters so far.
            if usize::from(by) >= self.reporters.read().len() {
                return Err(DecodeError::Malformed);
            }
            let activity = reader.activity()?;
            let shard = shard_of(client);
            if through.get(shard).is_some_and(|through| seq > *through) {
                self.note_times(&activity);
                self.tables.merge(client, &name, by, &activity);
                if let Some(dirty) = journal.dirty_since.get_mut(shard) {
                    dirty.get_or_insert(seq);
                }
            }
        }
        for (client, facts) in facts_of {
            if through.get(shard_of(client)).is_some_and(|through| seq > *through) {
                self.tables.merge_facts(client, &facts);
            }
        }
        reader.finish()
    }

    /// Changes how long the journal may grow.
    pub fn limit_journal(&self, limits: JournalLimits) {
        self.writer.lock().limits = limits;
    }

    /// Makes a batch durable, then visible. On an error nothing of it is visible and the caller still
    /// has it: trying again is safe.
    pub fn commit(&self, batch: &Batch) -> Result<Committed, StoreError> {
        let journal = &mut *self.writer.lock();
        if batch.is_empty() {
            return Ok(Committed { seq: journal.seq, bytes: 0 });
        }
        let seq = journal.seq.checked_add(1).ok_or_else(|| StoreError::Damaged {
            path: journal.store.path(),
            what: "the number of the newest journal entry".into(),
            why: "it is so great that none can follow".into(),
        })?;
        let reporters_before = self.reporters.read().clone();
        self.name_reporters(journal, batch);
        let dirty_before = journal.dirty_since.clone();
        let bytes = self.store_entry(journal, seq, batch).inspect_err(|_| {
            // What was staged may be gone with the error: every shard that was dirty still is.
            journal.dirty_since = dirty_before;
            // Numbers stay given, since a base record with them may have been stored; kinds do not.
            let mut reporters = self.reporters.write();
            for (known, before) in reporters.iter_mut().zip(reporters_before) {
                *known = before;
            }
        })?;

        journal.seq = seq;
        journal.live.push_back((seq, bytes));
        for (source, position) in &batch.positions {
            journal.positions.insert(source.clone(), position.clone());
        }
        for ((client, name, reporter), activity) in &batch.cells {
            let Some(by) = journal.reporter_ids.get(reporter) else { continue };
            self.note_times(activity);
            self.tables.merge(*client, name, *by, activity);
            journal.dirty_since[shard_of(*client)].get_or_insert(seq);
        }
        for (client, facts) in &batch.clients {
            self.tables.merge_facts(*client, facts);
        }
        self.seq.store(seq, Ordering::Release);
        Ok(Committed { seq, bytes })
    }

    /// Stores the entry of a batch, and folds the journal if it has grown too long; returns the size.
    fn store_entry(
        &self,
        journal: &mut Journal,
        seq: u64,
        batch: &Batch,
    ) -> Result<u64, StoreError> {
        let entry = encode_entry(&self.reporters.read(), batch);
        let bytes = entry.len() as u64;
        journal.store.put(Key::Entry(seq), &entry)?;
        self.fold_journal(journal, bytes)?;
        journal.store.commit()?;
        Ok(bytes)
    }

    /// Gives numbers to reporters seen for the first time, and notes changed kinds.
    fn name_reporters(&self, journal: &mut Journal, batch: &Batch) {
        let mut reporters = self.reporters.write();
        for (reporter, kind) in &batch.reporters {
            match journal.reporter_ids.get(reporter) {
                Some(id) => {
                    if let Some(known) = reporters.get_mut(usize::from(*id)) {
                        known.1 = *kind;
                    }
                }
                None => {
                    // 65,536 reporters are more than any configuration names; the last number is shared.
                    let id = ReporterId::try_from(reporters.len()).unwrap_or(ReporterId::MAX);
                    reporters.push((reporter.clone(), *kind));
                    journal.reporter_ids.insert(reporter.clone(), id);
                }
            }
        }
    }

    /// Rewrites the shards that hold the journal's oldest entries and forgets those entries, when the
    /// journal has grown too long.
    fn fold_journal(&self, journal: &mut Journal, growth: u64) -> Result<(), StoreError> {
        let journal_bytes: u64 = journal.live.iter().map(|(_, bytes)| bytes).sum::<u64>() + growth;
        let shard_bytes: u64 = journal.shard_bytes.iter().sum();
        if journal_bytes < journal.limits.bytes.max(shard_bytes / 4)
            && (journal.live.len() as u64) < journal.limits.entries
        {
            return Ok(());
        }
        let mut dirty: Vec<(u64, u16)> = (0..SHARDS)
            .filter_map(|shard| Some((journal.dirty_since[usize::from(shard)]?, shard)))
            .collect();
        dirty.sort_unstable();
        for (_, shard) in dirty.into_iter().take(SHARDS_PER_COMMIT) {
            self.store_shard(journal, shard)?;
        }
        self.trim_journal(journal)
    }

    fn store_shard(&self, journal: &mut Journal, shard: u16) -> Result<(), StoreError> {
        // The tables include everything through the last finished commit.
        let record = self.encode_shard(shard, journal.seq);
        journal.store.put(Key::Shard(shard), &record)?;
        journal.shard_bytes[usize::from(shard)] = record.len() as u64;
        journal.dirty_since[usize::from(shard)] = None;
        Ok(())
    }

    /// Forgets the entries that every shard includes. The base record goes first: it takes over
    /// their positions and reporters.
    fn trim_journal(&self, journal: &mut Journal) -> Result<(), StoreError> {
        let oldest_needed = journal.dirty_since.iter().flatten().min().copied();
        let through = oldest_needed.map_or(journal.seq, |seq| seq - 1);
        if journal.live.front().is_none_or(|(seq, _)| *seq > through) {
            return Ok(());
        }
        let base = encode_base(journal, &self.reporters.read());
        journal.store.put(Key::Base, &base)?;
        // Shards and base must be on disk before the entries they replace are gone.
        journal.store.commit()?;
        journal.store.trim(through)?;
        while journal.live.front().is_some_and(|(seq, _)| *seq <= through) {
            journal.live.pop_front();
        }
        Ok(())
    }

    /// Folds the whole journal into shards: the next opening has nothing to replay. For an orderly end.
    pub fn compact(&self) -> Result<(), StoreError> {
        let journal = &mut *self.writer.lock();
        for shard in 0..SHARDS {
            if journal.dirty_since[usize::from(shard)].is_some() {
                self.store_shard(journal, shard)?;
            }
        }
        self.trim_journal(journal)?;
        journal.store.commit()
    }

    fn encode_shard(&self, shard: u16, through: u64) -> Vec<u8> {
        let mut rows = Vec::new();
        self.tables.shard(shard, |client, row| rows.push((client, row.clone())));
        let mut writer = Writer::begin();
        writer.varint(through);
        writer.count(rows.len());
        for (client, row) in &rows {
            writer.client(*client);
            writer.facts(&row.facts);
            writer.count(row.pairs.len());
            for pair in &row.pairs {
                writer.bytes(pair.name.text().as_bytes());
                writer.count(pair.seen.len());
                for (by, activity) in &pair.seen {
                    writer.varint(u64::from(*by));
                    writer.activity(activity);
                }
            }
        }
        writer.finish()
    }

    fn note_times(&self, activity: &Activity) {
        self.newest.fetch_max(u64::from(activity.last.0), Ordering::Relaxed);
        self.oldest.fetch_min(u64::from(activity.first.0), Ordering::Relaxed);
    }

    /// Lets `read` look at what is held of a client. Keep it short: a commit may wait for it.
    pub fn client<R>(&self, client: Client, read: impl FnOnce(Option<&ClientRow>) -> R) -> R {
        self.tables.client(client, read)
    }

    /// The clients that said a name, at most `limit` of them, those with accepted mail first, and how
    /// many there are.
    pub fn clients_of_name(&self, name: &Name, limit: usize) -> (Vec<Client>, usize) {
        self.tables.clients_of_name(name, limit)
    }

    /// The clients seen in a network, at most `limit` of them, and how many there are.
    pub fn clients_of_network(&self, network: Network, limit: usize) -> (Vec<Client>, usize) {
        self.tables.clients_of_network(network, limit)
    }

    /// True if some name that was said lies strictly below this domain (lower case, no final dot).
    pub fn has_names_below(&self, domain: &str) -> bool {
        self.tables.has_names_below(domain)
    }

    /// The name and the kind of a reporter.
    pub fn reporter(&self, id: ReporterId) -> Option<(Reporter, ReporterKind)> {
        self.reporters.read().get(usize::from(id)).cloned()
    }

    /// How far a source was read, as last committed.
    pub fn position(&self, source: &str) -> Option<Vec<u8>> {
        self.writer.lock().positions.get(source).cloned()
    }

    /// Every source whose name begins with `prefix`, with how far it was read.
    pub fn positions(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let journal = self.writer.lock();
        journal
            .positions
            .range(prefix.to_owned()..)
            .take_while(|(source, _)| source.starts_with(prefix))
            .map(|(source, position)| (source.clone(), position.clone()))
            .collect()
    }

    /// The sequence number of the last commit; it grows with every change.
    pub fn seq(&self) -> u64 {
        self.seq.load(Ordering::Acquire)
    }

    /// The time of the newest observation ever committed.
    pub fn newest(&self) -> Option<Time> {
        match self.newest.load(Ordering::Relaxed) {
            0 => None,
            seconds => Some(Time::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX))),
        }
    }

    /// The time of the oldest observation held: since when this ledger has been watching.
    pub fn oldest(&self) -> Option<Time> {
        let seconds = self.oldest.load(Ordering::Relaxed);
        u32::try_from(seconds).ok().map(Time)
    }

    /// How many rows the tables hold. Walks them: for metrics and summaries, not per question.
    pub fn sizes(&self) -> Sizes {
        self.tables.sizes()
    }
}

fn read_positions(
    reader: &mut Reader<'_>,
    positions: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), DecodeError> {
    for _ in 0..reader.count()? {
        let source = reader.text()?.to_owned();
        positions.insert(source, reader.bytes()?.to_vec());
    }
    Ok(())
}

fn encode_positions(writer: &mut Writer, positions: &BTreeMap<String, Vec<u8>>) {
    writer.count(positions.len());
    for (source, position) in positions {
        writer.bytes(source.as_bytes());
        writer.bytes(position);
    }
}

/// A journal entry: a batch, and the numbers that all reporters have in this ledger. Not only those of
/// the batch: a number may have been given to a batch that could not be stored, and a reader must meet
/// them without gaps.
fn encode_entry(reporters: &[(Reporter, ReporterKind)], batch: &Batch) -> Vec<u8> {
    let named: Vec<_> = (0..=ReporterId::MAX)
        .zip(reporters)
        .map(|(id, (name, kind))| (id, name.clone(), *kind))
        .collect();
    batch.encode(&named)
}

fn encode_base(journal: &Journal, reporters: &[(Reporter, ReporterKind)]) -> Vec<u8> {
    let mut writer = Writer::begin();
    writer.varint(journal.seq);
    encode_positions(&mut writer, &journal.positions);
    writer.count(reporters.len());
    for (id, (name, kind)) in (0..).zip(reporters) {
        writer.reporter(id, name, *kind);
    }
    writer.finish()
}

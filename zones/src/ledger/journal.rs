//! The writer's side of the ledger: entries, shards, and opening from them.
//!
//! A commit is one journal entry, made durable by the store before anything of it is visible. When the
//! journal has grown long, each commit also rewrites some shards, those that hold up the journal's oldest
//! entries first, in proportion to what it adds itself: no commit pays for all. Entries that every
//! shard includes are forgotten after the base record has taken over their positions and reporters.
//!
//! Opening reads the shards with all cores, puts the indexes in order, and applies the entries after
//! them, each to the shards that do not include it. What the base record knows to have been stored must be
//! there, entries must follow each other, and the last one must be the last that was committed: anything
//! else is damage and has a name.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use parking_lot::Mutex;

use super::activity::{Activity, ReporterId};
use super::batch::{Batch, CrowdTold, Numbered};
use super::bounds::Worth;
use super::codec::{DecodeError, LAYOUT, Reader, Writer, pack, unpack};
use super::facts::ClientFacts;
use super::op::Op;
use super::part::Forgotten;
use super::row::{Beside, Cell, Context, Trace};
use super::store::{Key, LOST_END, Store, StoreError};
use super::table::{PARTS, SHARDS, Sweep, Target, crowd_shard_of, shard_of};
use super::{Committed, Ledger, Touched};
use crate::client::Client;
use crate::name::Name;
use crate::observation::{Reporter, ReporterKind};
use crate::time::Day;

/// How long the journal may grow before it is folded into shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalLimits {
    /// Octets, at least; it may be as long as the shards take, up to `bytes_max`, so that a large ledger
    /// does not rewrite itself all the time.
    pub bytes: u64,
    /// Octets, at most: a start has to read them.
    pub bytes_max: u64,
    /// Entries, so that many small commits do not make a slow start.
    pub entries: u64,
}

impl Default for JournalLimits {
    fn default() -> Self {
        Self { bytes: 16 << 20, bytes_max: 128 << 20, entries: 65_536 }
    }
}

/// Parts that a commit sweeps at least, if a sweep is in force.
const SWEPT_PER_COMMIT: usize = 32;
/// How many pairs it looks at for each that it changed: the sweep of a ledger is done before a tenth as
/// many pairs came in.
const SWEPT_PER_CHANGE: usize = 10;
/// Once for so many octets of the bound as many changed pairs go by before the memory that the tables take is
/// looked at again: they add some hundredths of the bound at most, less than a sweep has time for.
const LOOK_AT_MEMORY_OCTETS: u64 = 16_384;
/// ... but no more pairs than these.
const LOOK_AT_MOST: u64 = 4096;
/// At this share of the bound a sweep for lack of room begins, so that it can take its time; and it is
/// finished at once if the bound is reached all the same.
const SWEEP_FROM: f64 = 0.95;
/// Crowds may take one part in so many of it before they are looked through.
const CROWDS_MOST: u64 = 8;
/// The share of the bound that is taken when it is done.
const SWEEP_TO: f64 = 0.88;

/// What one reporter contributed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReporterRow {
    /// Its name.
    pub name: Reporter,
    /// What sort of mail it sees.
    pub kind: ReporterKind,
    /// All it saw, as if it were one pair; none yet if nothing.
    pub seen: Option<Activity>,
}

/// The store and what is needed to write the next entry.
pub(super) struct Journal {
    pub(super) store: Box<dyn Store>,
    pub(super) seq: u64,
    pub(super) positions: BTreeMap<String, Vec<u8>>,
    reporter_ids: HashMap<Reporter, ReporterId>,
    /// For each shard the first entry that changed it since it was last stored.
    dirty_since: Vec<Option<u64>>,
    /// Size of each shard as last stored, and the last entry it includes.
    shard_bytes: Vec<u64>,
    through: Vec<u64>,
    /// Entries still in the store's journal, oldest first: sequence number and size.
    live: VecDeque<(u64, u64)>,
    pub(super) live_bytes: u64,
    pub(super) limits: JournalLimits,
    /// Entries after this one must stay, since a snapshot needs them.
    pub(super) held: Option<u64>,
    /// Shards in which crowds were made that are not stored yet.
    new_crowds: Vec<u16>,
    /// Pairs last seen before this day were told to go.
    expired_before: Day,
    changed_since_look: usize,
    /// How many pairs there were when the memory was looked at.
    pairs_at_look: usize,
    /// Octets given to the store.
    pub(super) written: u64,
}

impl Journal {
    pub(super) fn new(store: Box<dyn Store>) -> Self {
        Self {
            store,
            seq: 0,
            positions: BTreeMap::new(),
            reporter_ids: HashMap::new(),
            dirty_since: vec![None; usize::from(SHARDS)],
            shard_bytes: vec![0; usize::from(SHARDS)],
            through: vec![0; usize::from(SHARDS)],
            live: VecDeque::new(),
            live_bytes: 0,
            limits: JournalLimits::default(),
            held: None,
            new_crowds: Vec::new(),
            expired_before: Day::default(),
            changed_since_look: 0,
            pairs_at_look: 0,
            written: 0,
        }
    }

    /// Octets of all shards as last stored.
    pub(super) fn shard_bytes(&self) -> u64 {
        self.shard_bytes.iter().sum()
    }

    /// How many entries the store's journal has.
    pub(super) fn entries(&self) -> usize {
        self.live.len()
    }

    /// Takes every shard for one that includes all entries: what is read from now on is checked, and changes
    /// no table.
    pub(super) fn include_all(&mut self) {
        self.through.fill(u64::MAX);
    }

    fn make_dirty(&mut self, shard: usize, seq: u64) {
        if let Some(dirty) = self.dirty_since.get_mut(shard) {
            dirty.get_or_insert(seq);
        }
    }

    /// A record that must be there is not.
    pub(super) fn lost(&self, key: Key) -> StoreError {
        self.damaged(key.to_string(), DecodeError::Missing)
    }

    /// How the shards stand before some of them are staged.
    fn staging(&self) -> Stored {
        Stored { dirty_since: self.dirty_since.clone(), through: self.through.clone() }
    }

    /// What was staged may be gone with an error: every shard that was dirty still is.
    fn lose(&mut self, before: Stored) {
        self.dirty_since = before.dirty_since;
        self.through = before.through;
    }

    fn damaged(&self, what: impl Into<String>, why: impl ToString) -> StoreError {
        StoreError::Damaged { path: self.store.path(), what: what.into(), why: why.to_string() }
    }

    fn unreadable(&self, what: impl Into<String>, why: DecodeError) -> StoreError {
        match why {
            DecodeError::Version(found) => StoreError::OtherLayout {
                path: self.store.path(),
                found: found.into(),
                known: LAYOUT.into(),
            },
            why => self.damaged(what, why),
        }
    }
}

/// How shards are stored.
struct Stored {
    dirty_since: Vec<Option<u64>>,
    through: Vec<u64>,
}

/// What the base record says.
#[derive(Default)]
pub(super) struct Base {
    /// The last entry it includes.
    pub(super) through: u64,
    /// Shards that were stored, with the last entry each includes.
    pub(super) shards: Vec<(u16, u64)>,
}

impl Ledger {
    pub(super) fn recover(&self) -> Result<(), StoreError> {
        let journal = &mut *self.writer.lock();
        let mut base = Base::default();
        if let Some(record) = journal.store.get(Key::Base)? {
            base = self
                .read_base(journal, &record)
                .map_err(|why| journal.unreadable(Key::Base.to_string(), why))?;
            // Entries would do it, but there may be none, and what a pair is worth depends on them.
            self.publish_kinds();
        }
        let reporters_needed = self.read_shards(journal)?;
        let entries = journal.store.entries()?;
        let committed = journal.store.committed();
        let missing = missing(&base, &journal.through, &entries, committed);
        if let Some(what) = missing.into_iter().next() {
            return Err(journal.damaged(what, DecodeError::Missing));
        }
        journal.seq = base.through.max(journal.through.iter().copied().max().unwrap_or(0));
        for seq in entries {
            let what = Key::Entry(seq).to_string();
            let entry = journal.store.get(Key::Entry(seq))?;
            let entry =
                entry.ok_or_else(|| journal.damaged(what.as_str(), DecodeError::Missing))?;
            self.read_entry(journal, seq, &entry, base.through)
                .map_err(|why| journal.unreadable(what, why))?;
            journal.seq = journal.seq.max(seq);
            journal.live.push_back((seq, entry.len() as u64));
            journal.live_bytes += entry.len() as u64;
        }
        let kinds = self.kinds();
        let context = Context { bounds: &self.bounds, kinds: &kinds };
        // Crowds were stored before anything else of a later moment was. So what is still to be made is of
        // this moment, and all rows are.
        self.gather_crowds(journal, context);
        if reporters_needed > self.reporters.read().len() {
            return Err(journal.damaged("the name of a reporter", DecodeError::Missing));
        }
        self.seq.store(journal.seq, Ordering::Release);
        Ok(())
    }

    pub(super) fn read_base(
        &self,
        journal: &mut Journal,
        record: &[u8],
    ) -> Result<Base, DecodeError> {
        let mut reader = Reader::new(record)?;
        let through = reader.varint()?;
        reader.positions(&mut journal.positions)?;
        for _ in 0..reader.count()? {
            self.read_reporter(&mut reader, journal)?;
            let place = self.reporters.read().len() - 1;
            let seen = (reader.octet()? != 0).then(|| reader.activity()).transpose()?;
            if let Some(row) = self.reporters.write().get_mut(place) {
                row.seen = seen;
            }
        }
        *self.calendar.write() = reader.days()?;
        let mut shards = Vec::new();
        for _ in 0..reader.count()? {
            shards.push((reader.small()?, reader.varint()?));
        }
        journal.expired_before = Day(reader.small()?);
        reader.finish()?;
        Ok(Base { through, shards })
    }

    /// The base record as of the last commit, beside these shards, each with the last entry it includes.
    pub(super) fn encode_base(&self, journal: &Journal, stored: &[(u16, u64)]) -> Vec<u8> {
        let mut writer = Writer::begin();
        writer.varint(journal.seq);
        writer.positions(&journal.positions);
        let reporters = self.reporters.read();
        writer.count(reporters.len());
        for (id, row) in (0..=ReporterId::MAX).zip(reporters.iter()) {
            writer.reporter(id, &row.name, row.kind);
            writer.octet(u8::from(row.seen.is_some()));
            if let Some(seen) = &row.seen {
                writer.activity(seen);
            }
        }
        writer.days(&self.calendar.read());
        writer.count(stored.len());
        for (shard, through) in stored {
            writer.varint(u64::from(*shard));
            writer.varint(*through);
        }
        writer.varint(u64::from(journal.expired_before.0));
        writer.finish()
    }

    /// Reads all shards, with all cores; returns how many reporters they need.
    fn read_shards(&self, journal: &mut Journal) -> Result<usize, StoreError> {
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
        let read = Mutex::new(Vec::new());
        let failed = Mutex::new(None);
        let next = AtomicU16::new(0);
        let store = &*journal.store;
        let work = |end: u16| {
            let mut admission = self.tables.admission();
            loop {
                let shard = next.fetch_add(1, Ordering::Relaxed);
                if shard >= end || failed.lock().is_some() {
                    return;
                }
                let admitted = store.get(Key::Shard(shard)).map(|packed| {
                    let packed = packed?;
                    let bytes = packed.len() as u64;
                    let admitted = unpack(&packed)
                        .and_then(|record| self.tables.admit(shard, &record, &mut admission));
                    Some(admitted.map(|(through, needed)| {
                        read.lock().push((shard, through, bytes, needed));
                    }))
                });
                match admitted {
                    Ok(None | Some(Ok(()))) => {}
                    Ok(Some(Err(why))) => *failed.lock() = Some((shard, Ok(why))),
                    Err(error) => *failed.lock() = Some((shard, Err(error))),
                }
            }
        };
        // Crowds before all else: their names need no other place in the indexes.
        for shards in [PARTS..SHARDS, 0..PARTS] {
            next.store(shards.start, Ordering::Relaxed);
            std::thread::scope(|scope| {
                for _ in 0..workers {
                    scope.spawn(|| work(shards.end));
                }
            });
        }
        match failed.into_inner() {
            Some((_, Err(error))) => return Err(error),
            Some((shard, Ok(why))) => {
                return Err(journal.unreadable(Key::Shard(shard).to_string(), why));
            }
            None => {}
        }
        let mut reporters = 0;
        for (shard, through, bytes, needed) in read.into_inner() {
            journal.through[usize::from(shard)] = through;
            journal.shard_bytes[usize::from(shard)] = bytes;
            reporters = reporters.max(needed);
        }
        let kinds = self.kinds();
        self.tables.settle(workers, Context { bounds: &self.bounds, kinds: &kinds });
        Ok(reporters)
    }

    fn read_reporter(
        &self,
        reader: &mut Reader<'_>,
        journal: &mut Journal,
    ) -> Result<(), DecodeError> {
        let (id, name, kind) = reader.reporter()?;
        let mut reporters = self.reporters.write();
        let place = usize::from(id);
        // Numbers are given in order, so a gap means that a record is missing.
        if let Some(known) = reporters.get_mut(place) {
            known.kind = kind;
        } else if place == reporters.len() {
            reporters.push(ReporterRow { name: name.into(), kind, seen: None });
        } else {
            return Err(DecodeError::Malformed);
        }
        journal.reporter_ids.insert(name.into(), id);
        Ok(())
    }

    /// Applies what of an entry its shards do not include yet; what belongs to the base record only if that
    /// is older.
    pub(super) fn read_entry(
        &self,
        journal: &mut Journal,
        seq: u64,
        entry: &[u8],
        base_through: u64,
    ) -> Result<(), DecodeError> {
        let mut reader = Reader::new(entry)?;
        let mut positions = BTreeMap::new();
        reader.positions(&mut positions)?;
        let newer_than_base = seq > base_through;
        if newer_than_base {
            journal.positions.append(&mut positions);
        }
        for _ in 0..reader.count()? {
            self.read_reporter(&mut reader, journal)?;
        }
        self.publish_kinds();
        let kinds = self.kinds();
        let context = Context { bounds: &self.bounds, kinds: &kinds };
        match Op::read(&mut reader)? {
            Op::None => {}
            Op::Sweep(sweep) => {
                // Done part by part, since what is stored may be swept already.
                if newer_than_base {
                    journal.expired_before = journal.expired_before.max(sweep.before);
                }
                let wanted = |shard: u16| journal.through[usize::from(shard)] < seq;
                self.tables.sweep_now(sweep, context, &wanted);
                self.make_all_dirty(journal, seq);
            }
            Op::Forget(target) => {
                let wanted = |shard: u16| journal.through[usize::from(shard)] < seq;
                self.tables.forget(&target, context, &wanted);
                self.make_all_dirty(journal, seq);
            }
            Op::Dissolve(crowds) => {
                let wanted = |shard: u16| journal.through[usize::from(shard)] < seq;
                self.tables.dissolve(&crowds, context, &wanted);
            }
        }
        self.calendar.write().merge(&reader.days()?);
        let mut beside: HashMap<Client, (Option<ClientFacts>, Option<Trace>)> = HashMap::new();
        for _ in 0..reader.count()? {
            let client = reader.client()?;
            beside.entry(client).or_default().0 = Some(reader.facts(client)?);
        }
        for _ in 0..reader.count()? {
            let client = reader.client()?;
            beside.entry(client).or_default().1 = Some(reader.trace()?);
        }
        for _ in 0..reader.count()? {
            let client = reader.client()?;
            let shard = shard_of(client);
            let included = seq <= journal.through[shard];
            let mut cells = Vec::new();
            for _ in 0..reader.count()? {
                let name = Name::parse(reader.text()?.as_bytes());
                let by: ReporterId = reader.small()?;
                // Every entry names all reporters so far.
                if usize::from(by) >= kinds.len() {
                    return Err(DecodeError::Malformed);
                }
                cells.push((name, by, reader.activity()?));
            }
            if newer_than_base {
                self.note(cells.iter().map(|(_, by, activity)| (*by, activity)));
            }
            let lacks = |shard: u16| seq > journal.through[usize::from(shard)];
            for (name, _, activity) in &cells {
                self.tables.note(client, name.view(), activity.last.day(), &lacks);
            }
            if included {
                for (name, _, _) in &cells {
                    self.tables.list_again(client, name, context);
                }
                beside.remove(&client);
                continue;
            }
            let cells: Vec<_> = cells
                .iter()
                .map(|(name, by, activity)| Cell { name: name.view(), by: *by, activity })
                .collect();
            let (facts, trace) = beside.remove(&client).unwrap_or_default();
            let told = Beside { facts: facts.as_ref(), trace: trace.as_ref() };
            self.tables.merge(client, &cells, told, context);
            journal.make_dirty(shard, seq);
        }
        for (client, (facts, trace)) in beside {
            let shard = shard_of(client);
            if seq > journal.through[shard] {
                let told = Beside { facts: facts.as_ref(), trace: trace.as_ref() };
                self.tables.merge(client, &[], told, context);
                journal.make_dirty(shard, seq);
            }
        }
        for _ in 0..reader.count()? {
            let told = CrowdTold::read(&mut reader)?;
            if seq > journal.through[usize::from(crowd_shard_of(&told.text))] {
                self.tables.merge_crowd(&told, context);
            }
        }
        for _ in 0..reader.count()? {
            let by: ReporterId = reader.small()?;
            if usize::from(by) >= kinds.len() {
                return Err(DecodeError::Malformed);
            }
            let activity = reader.activity()?;
            if newer_than_base {
                self.note(std::iter::once((by, &activity)));
            }
        }
        for shard in self.tables.take_changed_crowds() {
            journal.make_dirty(usize::from(shard), seq);
        }
        reader.finish()
    }

    /// Makes the crowds that are to be made, and sees to it that they are stored before anything else is.
    fn gather_crowds(&self, journal: &mut Journal, context: Context<'_>) {
        for shard in self.tables.gather_full(context) {
            if !journal.new_crowds.contains(&shard) {
                journal.new_crowds.push(shard);
            }
        }
    }

    /// Stores new crowds. They follow from the rows as they were when there were too many clients, so they
    /// must be on disk before any row of a later moment is.
    fn store_new_crowds(&self, journal: &mut Journal) -> Result<(), StoreError> {
        if journal.new_crowds.is_empty() {
            return Ok(());
        }
        for shard in journal.new_crowds.clone() {
            self.store_shard(journal, shard)?;
        }
        journal.store.commit()?;
        journal.new_crowds.clear();
        Ok(())
    }

    fn make_all_dirty(&self, journal: &mut Journal, seq: u64) {
        for shard in 0..usize::from(SHARDS) {
            if seq > journal.through[shard] {
                journal.make_dirty(shard, seq);
            }
        }
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
        // Before the batch: so an error leaves nothing of the batch, and whoever opens the ledger after a
        // crash finds it before the same things are done.
        self.see_to_bounds(journal, batch.changed_pairs())?;
        self.commit_entry(journal, batch, &Op::None)
    }

    /// Forgets somebody; returns how many pairs went.
    pub fn forget(&self, target: &Target) -> Result<u64, StoreError> {
        let journal = &mut *self.writer.lock();
        let on_request = || self.tables.forgotten()[Forgotten::Request as usize];
        let before = on_request();
        self.commit_entry(journal, &Batch::default(), &Op::Forget(target.clone()))?;
        // The journal and older shards still tell of it: they are folded now, not some day.
        self.fold_all(journal)?;
        Ok(on_request().saturating_sub(before))
    }

    fn commit_entry(
        &self,
        journal: &mut Journal,
        batch: &Batch,
        op: &Op,
    ) -> Result<Committed, StoreError> {
        let seq = journal
            .seq
            .checked_add(1)
            .ok_or_else(|| journal.damaged(NEWEST_ENTRY, "it is so great that none can follow"))?;
        let reporters_before = self.reporters.read().clone();
        let ids = self.name_reporters(journal, batch);
        let numbered = batch.numbered(&ids);
        // A store that forgets loses nothing.
        let before = journal.store.is_lasting().then(|| journal.staging());
        let bytes = self.store_entry(journal, seq, batch, &numbered, op).inspect_err(|_| {
            if let Some(before) = before {
                journal.lose(before);
            }
            // Numbers stay given, since a base record with them may have been stored; kinds do not.
            let mut reporters = self.reporters.write();
            for (known, before) in reporters.iter_mut().zip(reporters_before) {
                *known = before;
            }
        })?;
        self.publish_kinds();
        journal.seq = seq;
        journal.live.push_back((seq, bytes));
        journal.live_bytes += bytes;
        self.apply(journal, seq, batch, &numbered, op);
        self.seq.store(seq, Ordering::Release);
        let watchers = self.watchers.read();
        if !watchers.is_empty() {
            let clients = clients_of(batch, &numbered);
            let touched = match op {
                Op::None => Touched::Clients(&clients),
                Op::Sweep(_) | Op::Forget(_) | Op::Dissolve(_) => Touched::Any,
            };
            watchers.iter().for_each(|watcher| watcher(touched));
        }
        Ok(Committed { seq, bytes })
    }

    /// Makes visible what is durable.
    fn apply(
        &self,
        journal: &mut Journal,
        seq: u64,
        batch: &Batch,
        numbered: &Numbered<'_>,
        op: &Op,
    ) {
        let sorted = &numbered.cells;
        for (source, position) in batch.positions() {
            journal.positions.insert(source.clone(), position.clone());
        }
        let kinds = self.kinds();
        let context = Context { bounds: &self.bounds, kinds: &kinds };
        match op {
            Op::None => {}
            Op::Sweep(sweep) => {
                journal.expired_before = journal.expired_before.max(sweep.before);
                self.tables.start_sweep(*sweep, context);
                self.make_all_dirty(journal, seq);
            }
            Op::Forget(target) => {
                self.tables.forget(target, context, &|_| true);
                self.make_all_dirty(journal, seq);
            }
            Op::Dissolve(crowds) => self.tables.dissolve(crowds, context, &|_| true),
        }
        self.calendar.write().merge(batch.days());
        self.note(sorted.iter().map(|sorted| (sorted.cell.by, sorted.cell.activity)));
        self.note(numbered.contributed.iter().copied());
        let mut cells = Vec::new();
        for group in sorted.chunk_by(|a, b| a.client == b.client) {
            let Some(client) = group.first().map(|sorted| sorted.client) else { continue };
            cells.clear();
            cells.extend(group.iter().map(|sorted| sorted.cell));
            for cell in &cells {
                self.tables.note(client, cell.name, cell.activity.last.day(), &|_| true);
            }
            self.tables.merge(client, &cells, batch.beside(client), context);
            journal.make_dirty(shard_of(client), seq);
        }
        for client in batch.clients_beside() {
            if sorted.binary_search_by_key(&client, |sorted| sorted.client).is_err() {
                self.tables.merge(client, &[], batch.beside(client), context);
                journal.make_dirty(shard_of(client), seq);
            }
        }
        for told in batch.crowds() {
            self.tables.merge_crowd(&told, context);
        }
        self.gather_crowds(journal, context);
        for shard in self.tables.take_changed_crowds() {
            journal.make_dirty(usize::from(shard), seq);
        }
        journal.changed_since_look += sorted.len();
    }

    /// Notes what reporters contributed.
    fn note<'a>(&self, cells: impl Iterator<Item = (ReporterId, &'a Activity)>) {
        let mut reporters = self.reporters.write();
        for (by, activity) in cells {
            let Some(row) = reporters.get_mut(usize::from(by)) else { continue };
            match &mut row.seen {
                Some(seen) => seen.merge(activity),
                None => row.seen = Some(activity.clone()),
            }
        }
    }

    /// Ends the sweep in force, so that what is to go is not told of.
    pub(super) fn finish_sweep(&self) {
        let _one_writer = self.writer.lock();
        let kinds = self.kinds();
        let context = Context { bounds: &self.bounds, kinds: &kinds };
        self.tables.sweep_parts(usize::from(PARTS), context);
    }

    /// Sweeps on, and sets a new rule if pairs are too old or the tables take too much.
    fn see_to_bounds(&self, journal: &mut Journal, changed: usize) -> Result<(), StoreError> {
        let kinds = self.kinds();
        let context = Context { bounds: &self.bounds, kinds: &kinds };
        // Age comes first, whatever else is under way: when pairs go for it depends on the days of learning
        // alone.
        let before = journal.expired_before;
        let step = (self.bounds.keep_days / 64).max(1);
        let too_old = self.calendar.read().nth_newest(self.bounds.keep_days);
        // On days that a step divides, so that what is held does not depend on when it was looked at.
        let too_old = too_old.and_then(|day| u16::try_from(u32::from(day.0) / step * step).ok());
        if let Some(before) = too_old.map(Day).filter(|day| *day > before) {
            return self.sweep(journal, Sweep { worth: Worth::default(), before });
        }
        let pace = usize::from(PARTS).saturating_mul(changed * SWEPT_PER_CHANGE);
        let pace = pace.checked_div(journal.pairs_at_look).unwrap_or(0).max(SWEPT_PER_COMMIT);
        let under_way = self.tables.sweep_parts(pace, context);
        let look_after = (self.bounds.memory / LOOK_AT_MEMORY_OCTETS).clamp(64, LOOK_AT_MOST);
        if (journal.changed_since_look as u64) < look_after {
            return Ok(());
        }
        self.see_to_memory(journal, under_way, context)?;
        journal.changed_since_look = 0;
        Ok(())
    }

    fn see_to_memory(
        &self,
        journal: &mut Journal,
        sweep_under_way: bool,
        context: Context<'_>,
    ) -> Result<(), StoreError> {
        let bound = self.bounds.memory as f64;
        let sizes = self.tables.sizes();
        journal.pairs_at_look = sizes.pairs;
        let mut bytes = sizes.bytes as f64;
        if sweep_under_way {
            if bytes <= bound {
                return Ok(());
            }
            self.tables.finish_sweep(context);
            bytes = self.tables.sizes().bytes as f64;
        }
        if bytes <= bound * SWEEP_FROM {
            return Ok(());
        }
        if self.dissolve_crowds(journal, context)? {
            bytes = self.tables.sizes().bytes as f64;
        }
        let empty = self.tables.empty_bytes() as f64;
        let share = 1.0 - (bound * SWEEP_TO - empty).max(0.0) / (bytes - empty).max(1.0);
        let worth = self.tables.worth_at(share.clamp(0.02, 0.95), context);
        self.sweep(journal, Sweep { worth, before: journal.expired_before })?;
        if bytes > bound {
            self.tables.finish_sweep(context);
            self.dissolve_crowds(journal, context)?;
        }
        Ok(())
    }

    /// Makes ordinary texts of crowds whose pairs have gone, if crowds take much of the memory: nothing else
    /// would ever make room of them, and pairs that stand would go in their place. False if there are none.
    fn dissolve_crowds(
        &self,
        journal: &mut Journal,
        context: Context<'_>,
    ) -> Result<bool, StoreError> {
        if (self.tables.crowd_bytes() as u64) < self.bounds.memory / CROWDS_MOST {
            return Ok(false);
        }
        let crowds = self.tables.sparse_crowds(context);
        if crowds.is_empty() {
            return Ok(false);
        }
        self.commit_entry(journal, &Batch::default(), &Op::Dissolve(crowds))?;
        Ok(true)
    }

    fn sweep(&self, journal: &mut Journal, sweep: Sweep) -> Result<(), StoreError> {
        self.commit_entry(journal, &Batch::default(), &Op::Sweep(sweep)).map(drop)
    }

    /// Stores an entry, and folds the journal if it has grown too long; returns the entry's size.
    fn store_entry(
        &self,
        journal: &mut Journal,
        seq: u64,
        batch: &Batch,
        numbered: &Numbered<'_>,
        op: &Op,
    ) -> Result<u64, StoreError> {
        if !journal.store.is_lasting() {
            return Ok(0);
        }
        let reporters: Vec<_> =
            self.reporters.read().iter().map(|row| (row.name.clone(), row.kind)).collect();
        let entry = batch.encode(&reporters, numbered, op);
        let bytes = entry.len() as u64;
        // Positions of an entry stand in the base record as soon as that is newer: it may only include
        // what is committed, so the journal is folded before the entry.
        self.store_new_crowds(journal)?;
        self.fold_journal(journal, bytes)?;
        journal.store.put(Key::Entry(seq), &entry)?;
        journal.store.commit()?;
        journal.written += bytes;
        Ok(bytes)
    }

    /// Gives the reporters of a batch their numbers; returns them in the order of the batch.
    fn name_reporters(&self, journal: &mut Journal, batch: &Batch) -> Vec<ReporterId> {
        let mut reporters = self.reporters.write();
        let mut ids = Vec::with_capacity(batch.reporters().len());
        for (reporter, kind) in batch.reporters() {
            let known = journal.reporter_ids.get(reporter).copied();
            let id = known.unwrap_or_else(|| {
                // 65,536 reporters are more than any configuration names; the last number is shared.
                let id = ReporterId::try_from(reporters.len()).unwrap_or(ReporterId::MAX);
                if reporters.len() <= usize::from(ReporterId::MAX) {
                    let row = ReporterRow { name: reporter.clone(), kind: *kind, seen: None };
                    reporters.push(row);
                }
                journal.reporter_ids.insert(reporter.clone(), id);
                id
            });
            if let Some(row) = reporters.get_mut(usize::from(id)) {
                row.kind = *kind;
            }
            ids.push(id);
        }
        ids
    }

    /// Rewrites the shards that hold up the journal's oldest entries, in proportion to its growth, when it
    /// has grown too long; and forgets entries that all shards include.
    fn fold_journal(&self, journal: &mut Journal, growth: u64) -> Result<(), StoreError> {
        let shard_bytes = journal.shard_bytes();
        let limits = journal.limits;
        let limit = shard_bytes.clamp(limits.bytes, limits.bytes_max.max(limits.bytes)).max(1);
        let long = journal.live_bytes + growth;
        if long < limit && (journal.entries() as u64) < limits.entries {
            return Ok(());
        }
        // While the journal takes in as much as it may hold, every shard is to be rewritten once; half
        // as much again to get ahead, and more if that was not enough.
        let pace = if long > limit + limit / 2 { 4 } else { 1 };
        let mut budget = (growth.saturating_mul(shard_bytes) / limit * 3 / 2 + growth) * pace;
        if journal.entries() as u64 >= limits.entries {
            budget = budget.max(shard_bytes.max(journal.live_bytes) / limits.entries.max(1) * 3);
        }
        let mut left = budget.max(64 << 10);
        let dirty = (0..SHARDS).zip(&journal.dirty_since);
        let mut dirty: Vec<_> =
            dirty.filter_map(|(shard, since)| Some(((*since)?, shard))).collect();
        dirty.sort_unstable();
        for (_, shard) in dirty {
            if left == 0 {
                break;
            }
            let bytes = self.store_shard(journal, shard)?;
            // An empty shard costs something, too.
            left = left.saturating_sub(bytes + 512);
        }
        self.trim_journal(journal, false)
    }

    fn store_shard(&self, journal: &mut Journal, shard: u16) -> Result<u64, StoreError> {
        // The tables include everything through the last finished commit.
        let record = self.encode_shard(shard, journal.seq);
        journal.store.put(Key::Shard(shard), &record)?;
        let bytes = record.len() as u64;
        journal.written += bytes;
        journal.shard_bytes[usize::from(shard)] = bytes;
        journal.through[usize::from(shard)] = journal.seq;
        journal.dirty_since[usize::from(shard)] = None;
        Ok(bytes)
    }

    pub(super) fn encode_shard(&self, shard: u16, through: u64) -> Vec<u8> {
        let kinds = self.kinds();
        let context = Context { bounds: &self.bounds, kinds: &kinds };
        pack(&self.tables.encode(shard, through, kinds.len(), context))
    }

    /// Forgets the entries that every shard includes; unless told to forget all it can, only when that is
    /// a good part of them. The base record takes over their positions and reporters.
    fn trim_journal(&self, journal: &mut Journal, all: bool) -> Result<(), StoreError> {
        let oldest_needed = journal.dirty_since.iter().flatten().min().copied();
        let through = oldest_needed.map_or(journal.seq, |seq| seq.saturating_sub(1));
        let through = journal.held.map_or(through, |held| through.min(held));
        let gone = journal.live.partition_point(|(seq, _)| *seq <= through);
        if gone == 0 || (!all && gone * 8 < journal.live.len()) {
            return Ok(());
        }
        // One after the other, since a crash keeps any part of what is staged: the shards, the base record
        // that says they must be there, and no entry goes before both are on the disk.
        journal.store.commit()?;
        let stored: Vec<_> = (0..SHARDS)
            .zip(journal.through.iter().copied())
            .filter(|(_, through)| *through > 0)
            .collect();
        let base = self.encode_base(journal, &stored);
        journal.store.put(Key::Base, &base)?;
        journal.written += base.len() as u64;
        journal.store.commit()?;
        journal.store.trim(through)?;
        for (_, bytes) in journal.live.drain(..gone) {
            journal.live_bytes = journal.live_bytes.saturating_sub(bytes);
        }
        Ok(())
    }

    /// Folds the whole journal into shards: the next opening has nothing to replay.
    pub fn compact(&self) -> Result<(), StoreError> {
        self.fold_all(&mut self.writer.lock())
    }

    fn fold_all(&self, journal: &mut Journal) -> Result<(), StoreError> {
        let before = journal.staging();
        let folded = self.store_dirty(journal).and_then(|()| self.trim_journal(journal, true));
        folded.and_then(|()| journal.store.commit()).inspect_err(|_| journal.lose(before))
    }

    fn store_dirty(&self, journal: &mut Journal) -> Result<(), StoreError> {
        self.store_new_crowds(journal)?;
        for shard in 0..SHARDS {
            if journal.dirty_since[usize::from(shard)].is_some() {
                self.store_shard(journal, shard)?;
            }
        }
        Ok(())
    }

    /// The kinds of all reporters, by number.
    pub(super) fn kinds(&self) -> Arc<[ReporterKind]> {
        self.kinds.read().clone()
    }

    fn publish_kinds(&self) {
        let kinds: Arc<[ReporterKind]> = self.reporters.read().iter().map(|row| row.kind).collect();
        let before = self.kinds();
        if before == kinds {
            return;
        }
        if !kinds.starts_with(&before) {
            // A sweep in force goes by what pairs were worth when its rule was set, as it does after a crash.
            let context = Context { bounds: &self.bounds, kinds: &before };
            self.tables.sweep_parts(usize::from(PARTS), context);
        }
        *self.kinds.write() = kinds;
    }
}

const NEWEST_ENTRY: &str = "the number of the newest journal entry";

/// What of a ledger's sequence is missing, in words, the gravest first: entries must follow each other,
/// whatever a shard lacks must be among them, and nothing may include what came after them. `through` is
/// the last entry that each shard includes, `committed` the last that the store remembers.
pub(super) fn missing(
    base: &Base,
    through: &[u64],
    entries: &[u64],
    committed: Option<u64>,
) -> Vec<String> {
    let mut missing = Vec::new();
    let first = entries.first().copied();
    let before_first = first.map(|first| [base.through.min(first), first]);
    let pairs = entries.windows(2).filter_map(|pair| <[u64; 2]>::try_from(pair).ok());
    for [before, after] in before_first.into_iter().chain(pairs) {
        match after - before {
            0 | 1 => {}
            2 => missing.push(Key::Entry(before + 1).to_string()),
            _ => missing.push(format!("journal entries {} to {}", before + 1, after - 1)),
        }
    }
    let last = entries.last().copied().unwrap_or(0);
    for (shard, listed) in &base.shards {
        let found = through.get(usize::from(*shard)).copied().unwrap_or(0);
        if found < *listed && first.is_none_or(|first| first > found + 1) {
            missing.push(format!("the newest state of {}", Key::Shard(*shard)));
        }
    }
    let stored = through.iter().copied().max().unwrap_or(0);
    let from = base.through.max(last);
    // Shards before any base record are those of a ledger whose base record is gone, too.
    let reached = committed.unwrap_or(0).max(stored);
    if reached > from {
        missing.push(format!("{LOST_END}{from}, up to entry {reached},"));
    }
    missing
}

/// The clients of which a batch brings something, each at least once.
fn clients_of(batch: &Batch, numbered: &Numbered<'_>) -> Vec<Client> {
    let mut clients: Vec<_> = numbered.cells.iter().map(|sorted| sorted.client).collect();
    clients.dedup();
    clients.extend(batch.clients_beside());
    clients
}

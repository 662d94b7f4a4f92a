//! The ledger: the durable record of which client said which name, when, and how it ended.
//!
//! Memory is the index and the store is its memory. Every live history is resident in compact tables
//! (`table`, `part`, `row`, `index`); the store (`store`, in sled: `sled_store`) keeps a journal with one entry
//! per committed batch, which holds the folded changes *and* the position reached in each source, and
//! shards, each naming the journal entry up to which it is included (`journal`).
//!
//! - In: batches (`batch`), in any order, from one writer at a time (a lock sees to it).
//! - Out: rows for whoever computes a history; positions for whoever reads a source; a canonical dump.
//! - `commit` returns after the batch is durable, and only then is it visible; when it fails nothing of
//!   it is visible, the caller keeps the batch and tries again, or stops.
//! - What the ledger holds depends on the observations alone, never on their order or batching
//!   (`activity`), so reading again from the stored positions gives the same ledger.
//! - It is bounded (`bounds`): in pairs of a client, in clients of a name, in age, in memory. What stays
//!   is decided by what it is; of what went it is known how much, and how many names, families, clients and
//!   networks it was (`distinct`).
//! - Damage is an error with the name of what is damaged; there is never a silent half ledger.

pub mod activity;
pub mod batch;
pub mod bounds;
pub mod calendar;
mod codec;
mod copying;
pub mod distinct;
mod dump;
pub mod facts;
mod folder;
mod hash;
mod index;
mod journal;
pub mod load;
mod op;
mod part;
pub mod rescue;
mod row;
pub mod sled_store;
pub mod snapshot;
pub mod store;
mod table;
mod top;
pub mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

pub use self::activity::ReporterId;
pub use self::batch::Batch;
pub use self::bounds::{Bounds, Worth};
use self::calendar::Calendar;
pub use self::codec::DecodeError;
pub use self::folder::{Disk, hand_over, snapshots_of};
pub use self::index::Crowd;
use self::journal::Journal;
pub use self::journal::{JournalLimits, ReporterRow};
pub use self::part::Forgotten;
pub use self::row::{PairView, RowView, Trace};
use self::sled_store::SledStore;
pub use self::store::StoreError;
use self::store::{MemoryStore, Store};
use self::table::Tables;
pub use self::table::{Sayers, Sizes, Sweep, Target};
pub use self::top::Top;
use crate::client::{Client, Network};
use crate::name::Name;
use crate::observation::ReporterKind;
use crate::time::{Day, Time};

/// The durable record of what was observed.
pub struct Ledger {
    tables: Tables,
    bounds: Bounds,
    reporters: RwLock<Vec<ReporterRow>>,
    /// The kinds of the reporters, in the form in which many readers look at them.
    kinds: RwLock<Arc<[ReporterKind]>>,
    calendar: RwLock<Calendar>,
    writer: Mutex<Journal>,
    /// Where its store lies.
    path: PathBuf,
    /// Sequence number of the last commit; readers tell by it whether anything changed.
    seq: AtomicU64,
    watchers: RwLock<Vec<Watcher>>,
}

type Watcher = Box<dyn Fn(Touched<'_>) + Send + Sync>;

/// What a change touched.
#[derive(Clone, Copy, Debug)]
pub enum Touched<'a> {
    /// These clients.
    Clients(&'a [Client]),
    /// Nobody knows: it could be any.
    Any,
}

/// The hash under which the ledger's sketches know a text.
pub fn hash_of_text(text: &str) -> u64 {
    hash::hash_text(0, text)
}

/// How long the journal is: what a start has to read beside the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JournalSize {
    /// Entries that are not in all shards yet.
    pub entries: u64,
    /// Their octets.
    pub bytes: u64,
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
    pub fn open(path: &Path, bounds: Bounds) -> Result<Self, StoreError> {
        Self::with_store(Box::new(SledStore::open(path)?), bounds)
    }

    /// A ledger that is forgotten at the end, for replays and tests.
    pub fn in_memory(bounds: Bounds) -> Self {
        Self::empty(Box::new(MemoryStore), bounds)
    }

    fn empty(store: Box<dyn Store>, bounds: Bounds) -> Self {
        Self {
            path: store.path(),
            tables: Tables::new(),
            bounds,
            reporters: RwLock::default(),
            kinds: RwLock::new(Arc::new([])),
            calendar: RwLock::default(),
            writer: Mutex::new(Journal::new(store)),
            seq: AtomicU64::new(0),
            watchers: RwLock::default(),
        }
    }

    /// A ledger over any store.
    pub fn with_store(store: Box<dyn Store>, bounds: Bounds) -> Result<Self, StoreError> {
        let ledger = Self::empty(store, bounds);
        ledger.recover()?;
        Ok(ledger)
    }

    /// Lets `read` look at what is held of a client. Keep it short: a commit may wait for it.
    pub fn client<R>(&self, client: Client, read: impl FnOnce(Option<RowView<'_>>) -> R) -> R {
        self.tables.client(client, read)
    }

    /// The clients that said a name. At most `Bounds::clients_per_name` of them are held, and told.
    pub fn clients_of_name(&self, name: &Name, today: Day) -> Sayers {
        self.tables.clients_of_name(name, today)
    }

    /// The clients that said a name of this family. At most `Bounds::clients_per_name` of them are held.
    pub fn clients_of_family(&self, family: &str, today: Day) -> Sayers {
        self.tables.clients_of_family(family, today)
    }

    /// The held clients under a name that are `wanted`, in no order, but of those of a crowd one of most worth comes
    /// first. Some may never have said it: look into their rows.
    pub fn some_of_name(&self, name: &Name, wanted: impl Fn(Client) -> bool) -> Vec<Client> {
        self.tables.some_of_name(name, wanted)
    }

    /// The same of a family.
    pub fn some_of_family(&self, family: &str, wanted: impl Fn(Client) -> bool) -> Vec<Client> {
        self.tables.some_of_family(family, wanted)
    }

    /// How many clients said a name of a family within the days that are kept. Rarely one too many.
    pub fn size_of_family(&self, family: &str, today: Day) -> u64 {
        self.tables.size_of_family(family, today)
    }

    /// Lets `look` see how many clients and networks said a name, if they are more than are held.
    pub fn crowd<R>(&self, name: &Name, look: impl FnOnce(&Crowd) -> R) -> Option<R> {
        self.tables.crowd(name, look)
    }

    /// The clients seen in a network, at most `limit` of them, and how many there are.
    pub fn clients_of_network(&self, network: Network, limit: usize) -> (Vec<Client>, usize) {
        self.tables.clients_of_network(network, limit)
    }

    /// Tells `visit` every client, in order, until it says no. Holds no lock meanwhile.
    pub fn each_client(&self, visit: &mut dyn FnMut(Client) -> bool) {
        self.tables.each_client(visit);
    }

    /// Has every change told to `watcher`, too, right after it became visible, by whoever committed it, who waits.
    pub fn watch(&self, watcher: impl Fn(Touched<'_>) + Send + Sync + 'static) {
        self.watchers.write().push(Box::new(watcher));
    }

    /// True if some name that was said lies strictly below this domain (lower case, no final dot).
    pub fn has_names_below(&self, domain: &str) -> bool {
        self.tables.has_names_below(domain)
    }

    /// The kinds of all reporters, by their numbers.
    pub fn reporter_kinds(&self) -> Arc<[ReporterKind]> {
        self.kinds()
    }

    /// What each reporter contributed, in the order of their numbers.
    pub fn reporters(&self) -> Vec<ReporterRow> {
        self.reporters.read().clone()
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
        self.reporters.read().iter().filter_map(|row| Some(row.seen.as_ref()?.last)).max()
    }

    /// The day on which the ledger had learned on so many days before: the end of a warm-up. Days of
    /// learning, so that one line from a clock that was wrong does not end it.
    pub fn warm_since(&self, days: u32) -> Option<Time> {
        self.calendar.read().nth_oldest(days).map(Day::start)
    }

    /// The days on which something was learned.
    pub fn days(&self) -> Calendar {
        self.calendar.read().clone()
    }

    /// How many rows the tables hold and what memory they take. Walks them: for metrics and summaries, not
    /// per question.
    pub fn sizes(&self) -> Sizes {
        self.tables.sizes()
    }

    /// How many octets it takes on disk.
    pub fn disk(&self) -> Disk {
        folder::disk(&self.path)
    }

    /// How long the journal is; `None` if a commit does not end (the disk hangs), which is waited for a moment.
    pub fn journal(&self) -> Option<JournalSize> {
        let journal = self.writer.try_lock_for(Duration::from_millis(100))?;
        Some(JournalSize { entries: journal.entries() as u64, bytes: journal.live_bytes })
    }

    /// How many pairs were forgotten, in the order of `Forgotten::ALL`.
    pub fn forgotten(&self) -> [u64; 4] {
        self.tables.forgotten()
    }

    /// The most it may hold.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }
}

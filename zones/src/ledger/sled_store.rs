//! The store in sled 0.34.
//!
//! Two of sled's trees; numbers in keys are big-endian, so that records sort by number:
//!
//! ```text
//! (default) "layout" -> ASCII decimal of the layout version
//! records   name                   -> head
//!           name slot:u8 piece:u32 -> a piece of the record, 4 kB but for the last
//! name    = "b" (base) | "e" seq:u64 (journal entry) | "s" number:u16 (shard)
//! head    = slot:u8  length:u32  crc32:u32 (of the record)  [the record itself, if slot is 0]
//! ```
//!
//! A record of up to 4 kB stands in its head. A longer one is in pieces in slot 1 or 2, whichever its
//! predecessor is not in: first the pieces are written, then the head, which makes them count, then the
//! old slot is emptied. sled's log keeps that order, so a crash leaves the old record or the new one,
//! whole; pieces that a crash left in the other slot are not read, and removed when the record is
//! written again. The checksum says so if sled should ever break that promise.
//!
//! Pieces are small because sled keeps up to 19 of them in one page, and a page of more than a quarter
//! of a segment (128 kB) goes to a file of its own, which sled never syncs and not always removes.
//!
//! Beside sled's files lies `committed`: the number of the last committed journal entry, 20 decimal digits
//! and a line feed, written after each commit without an fsync of its own. It is never ahead of what is
//! durable, so records that end before it are lost: sled takes a damaged or emptied file without a
//! snapshot for a new one, without a word. The file is made when the ledger has been made whole.
//!
//! sled flushes with `sync_file_range`, which survives the death of the process but not of the machine.
//! So a commit here is sled's flush and then an fsync of its file; and the file is fsynced whenever
//! sled takes another segment (512 kB) for stable, before more is written, since sled trusts that what is
//! stable stays, and writes over the segments which it replaces. At opening the file is fsynced before
//! sled looks at it: what a dead process wrote may not be on the disk yet.
//!
//! A snapshot of its page table that sled was writing when the power went is removed before sled sees it.
//!
//! sled is known to panic on damaged files, at opening and later: a panic is caught and returned as
//! `Damaged`. After that, and after an I/O error (a full disk), sled is of no use until it is opened
//! again, so that is what the next call does: what was committed is read back by sled, what was staged
//! is staged again by the caller, who still has it.

use std::any::Any;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{RwLock, RwLockWriteGuard};
use sled::{Db, Tree};

use super::codec::LAYOUT;
use super::folder::{
    COMMITTED, CONF, DB, io_error, make_private, octets_below, probe_writable, remembered,
    remove_half_snapshots, remove_if_there, sync,
};
use super::rescue;
use super::store::{Key, Store, StoreError};

/// The size at which a record is cut: 19 of them, with their keys, stay far below sled's 128 kB.
const PIECE_BYTES: usize = 4 << 10;
/// sled's page cache. Records are written and not read again until the next start, so more does not help
/// (measured: 1 MB and 64 MB write and read 600 MB at the same speed).
const CACHE_BYTES: u64 = 8 << 20;
/// How many octets are read before sled is opened afresh to read more, or to write. It lets go of read
/// pages late, whatever its cache may hold (measured: 300 MB resident after 600 MB read); opening again
/// takes 50 to 100 ms.
const READ_AND_READ_ON: u64 = 128 << 20;
const READ_THEN_WRITE: u64 = 16 << 20;

/// How often to try for sled's lock, and how long to wait in between, before it is said to be another's.
pub(super) const LOCK_TRIES: u32 = 100;
pub(super) const LOCK_PAUSE: Duration = Duration::from_millis(10);

const LAYOUT_KEY: &[u8] = b"layout";
/// Sorts after the name of every journal entry.
const AFTER_ENTRIES: &[u8] = b"f";
/// A store in a directory of its own.
pub struct SledStore {
    path: PathBuf,
    /// `None` after an error, until it is opened again.
    sled: RwLock<Option<Opened>>,
    /// True if anything was staged since the last good commit.
    staged: bool,
    /// The last entry that was.
    staged_entry: Option<u64>,
    /// True if an error took what was staged, and nothing was staged since.
    lost: AtomicBool,
}

/// An open sled database.
struct Opened {
    path: PathBuf,
    db: Db,
    records: Tree,
    file: File,
    committed: File,
    /// How far sled's log has been fsynced.
    synced: sled::Lsn,
    /// Octets read so far.
    read: AtomicU64,
}

/// Where a record is.
struct Head {
    slot: u8,
    length: usize,
    checksum: u32,
    /// The record, if it is short.
    inline: Vec<u8>,
}

/// Why a record could not be read.
enum Unread {
    /// sled cannot be used until it is opened again.
    Sled(StoreError),
    /// This record cannot be read; others may.
    Record(StoreError),
}

impl SledStore {
    /// Opens or creates the store at `path`. Blocks for as long as sled needs to recover. A store that was
    /// being rescued is refused until that is finished.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        rescue::refuse_unfinished(path)?;
        Self::open_any(path)
    }

    /// Opens or creates the store at `path`, also while it is being rescued.
    pub(super) fn open_any(path: &Path) -> Result<Self, StoreError> {
        let sled = RwLock::new(Some(Opened::open(path)?));
        let (staged, staged_entry, lost) = (false, None, AtomicBool::new(false));
        Ok(Self { path: path.to_owned(), sled, staged, staged_entry, lost })
    }

    /// Changes something in the database, opened again if the last try failed.
    fn change<R>(
        &mut self,
        work: impl FnOnce(&mut Opened) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let place = self.sled.get_mut();
        let changed = ready(&self.path, place, READ_THEN_WRITE)
            .and_then(|sled| guarded(&self.path, || work(sled)));
        if changed.is_err() {
            place.take().into_iter().for_each(discard);
            *self.lost.get_mut() = true;
        }
        changed
    }

    /// Looks at the database, opened again if the last try failed.
    fn look<R>(&self, work: impl Fn(&Opened) -> Result<R, Unread>) -> Result<R, StoreError> {
        let mut place = self.sled.read();
        if !place.as_ref().is_some_and(|sled| sled.is_fresh(READ_AND_READ_ON)) {
            drop(place);
            let mut stale = self.sled.write();
            if let Err(error) = ready(&self.path, &mut stale, READ_AND_READ_ON) {
                self.lost.store(true, Ordering::Relaxed);
                return Err(error);
            }
            place = RwLockWriteGuard::downgrade(stale);
        }
        let looked = match &*place {
            Some(sled) => guarded(&self.path, || Ok(work(sled))).map_err(Unread::Sled).flatten(),
            None => Err(Unread::Sled(lost(&self.path))),
        };
        drop(place);
        looked.map_err(|unread| match unread {
            Unread::Record(error) => error,
            Unread::Sled(error) => {
                let failed = self.sled.write().take();
                failed.into_iter().for_each(discard);
                self.lost.store(true, Ordering::Relaxed);
                error
            }
        })
    }

    /// Notes that something is about to be staged.
    fn staging(&mut self) {
        if std::mem::take(self.lost.get_mut()) {
            self.staged_entry = None;
        }
        self.staged = true;
    }
}

impl Store for SledStore {
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.look(|sled| sled.get(key))
    }

    fn entries(&self) -> Result<Vec<u64>, StoreError> {
        self.look(|sled| sled.entries().map_err(Unread::Sled))
    }

    fn committed(&self) -> Option<u64> {
        remembered(&self.path)
    }

    fn put(&mut self, key: Key, record: &[u8]) -> Result<(), StoreError> {
        self.staging();
        self.change(|sled| sled.put(key, record))?;
        if let Key::Entry(seq) = key {
            self.staged_entry = self.staged_entry.max(Some(seq));
        }
        Ok(())
    }

    fn trim(&mut self, through: u64) -> Result<(), StoreError> {
        self.staging();
        self.change(|sled| sled.trim(through))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.staged && *self.lost.get_mut() {
            let why = "what was to be committed was lost with an earlier error".into();
            return Err(StoreError::Io { path: self.path.clone(), why });
        }
        self.change(Opened::flush)?;
        if let Some(seq) = self.staged_entry {
            self.change(|sled| sled.remember(seq))?;
        }
        (self.staged, self.staged_entry) = (false, None);
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        octets_below(&self.path)
    }

    fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

impl Opened {
    /// Opens sled, waiting a little for its lock: sled's threads let go of it only some time after the
    /// database was dropped, in this process or in one that just ended.
    fn open(path: &Path) -> Result<Self, StoreError> {
        for _ in 0..LOCK_TRIES {
            match guarded(path, || Self::try_open(path)) {
                Err(StoreError::Locked(_)) => std::thread::sleep(LOCK_PAUSE),
                opened => return opened,
            }
        }
        guarded(path, || Self::try_open(path))
    }

    fn try_open(path: &Path) -> Result<Self, StoreError> {
        let io = |error: std::io::Error| io_error(path, &error);
        make_private(path).map_err(io)?;
        // sled retries a lock for seconds and reports it as text; ask the file itself first.
        probe_writable(path)?;
        let committed_path = path.join(COMMITTED);
        let is_whole = committed_path.exists();
        if !is_whole {
            // sled writes its settings without syncing them; until the ledger is whole they may be torn.
            remove_if_there(&path.join(CONF)).map_err(io)?;
        }
        remove_half_snapshots(path).map_err(io)?;
        if path.join(DB).exists() {
            sync(&path.join(DB)).map_err(io)?;
        }
        let db = sled::Config::new()
            .path(path)
            .mode(sled::Mode::LowSpace)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .open()
            .map_err(|error| sled_error(path, &error))?;
        let records = db.open_tree("records").map_err(|error| sled_error(path, &error))?;
        let file = File::open(path.join(DB)).map_err(io)?;
        match db.get(LAYOUT_KEY).map_err(|error| sled_error(path, &error))? {
            Some(layout) => check_layout(path, &layout)?,
            None if is_whole => return Err(lost(path)),
            None => {
                let layout = LAYOUT.to_string();
                let made = db.insert(LAYOUT_KEY, layout.as_bytes()).and_then(|_| db.flush());
                made.map_err(|error| sled_error(path, &error))?;
            }
        }
        file.sync_all().map_err(io)?;
        sync(&path.join(CONF)).map_err(io)?;
        sync(path).map_err(io)?;
        // Last, since it says that the ledger has been made whole.
        let committed = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&committed_path)
            .map_err(io)?;
        if !is_whole {
            sync(path).map_err(io)?;
        }
        let synced = stable(&db);
        let read = AtomicU64::new(0);
        Ok(Self { path: path.to_owned(), db, records, file, committed, synced, read })
    }

    /// False if so much was read that sled holds more memory than it should.
    fn is_fresh(&self, limit: u64) -> bool {
        self.read.load(Ordering::Relaxed) < limit
    }

    fn sled(&self, error: &sled::Error) -> StoreError {
        sled_error(&self.path, error)
    }

    fn head(&self, name: &[u8]) -> Result<Option<Option<Head>>, StoreError> {
        let head = self.records.get(name).map_err(|error| self.sled(&error))?;
        Ok(head.map(|octets| Head::read(&octets)))
    }

    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, Unread> {
        let damaged = |why: &str| {
            let (what, why) = (key.to_string(), why.to_owned());
            Unread::Record(StoreError::Damaged { path: self.path.clone(), what, why })
        };
        let name = name_of(key);
        let Some(head) = self.head(&name).map_err(Unread::Sled)? else { return Ok(None) };
        let Head { slot, length, checksum, inline: mut record } =
            head.ok_or_else(|| damaged("its head is not of the documented layout"))?;
        if slot != 0 {
            record.reserve_exact(length);
            let pieces =
                self.records.range(piece_key(&name, slot, 0)..piece_key(&name, slot + 1, 0));
            for item in pieces {
                let (_, piece) = item.map_err(|error| Unread::Sled(self.sled(&error)))?;
                record.extend_from_slice(&piece);
                if record.len() >= length {
                    break;
                }
            }
        }
        if record.len() != length {
            return Err(damaged("a piece is missing"));
        }
        if crc32fast::hash(&record) != checksum {
            return Err(damaged("its checksum does not fit"));
        }
        self.read.fetch_add(record.len() as u64, Ordering::Relaxed);
        Ok(Some(record))
    }

    fn entries(&self) -> Result<Vec<u64>, StoreError> {
        let mut entries = Vec::new();
        let mut from = name_of(Key::Entry(0));
        // From head to head, past the pieces.
        while let Some(key) = self.records.range(from..AFTER_ENTRIES.to_vec()).keys().next() {
            let key = key.map_err(|error| self.sled(&error))?;
            let Some((seq, _)) = key.get(1..).and_then(<[u8]>::split_first_chunk::<8>) else {
                break;
            };
            let seq = u64::from_be_bytes(*seq);
            if key.len() == 9 {
                entries.push(seq);
            }
            let Some(next) = seq.checked_add(1) else { break };
            from = name_of(Key::Entry(next));
        }
        Ok(entries)
    }

    /// Replaces the record under `key`.
    fn put(&mut self, key: Key, record: &[u8]) -> Result<(), StoreError> {
        let name = name_of(key);
        let length = u32::try_from(record.len()).map_err(|_| StoreError::Io {
            path: self.path.clone(),
            why: format!("{key} would take more than 4 GB"),
        })?;
        let slot = match self.head(&name)?.flatten() {
            _ if record.len() <= PIECE_BYTES => 0,
            Some(Head { slot: 1, .. }) => 2,
            _ => 1,
        };
        let mut pieces = 0;
        let mut head = Vec::with_capacity(9 + PIECE_BYTES);
        head.push(slot);
        head.extend_from_slice(&length.to_be_bytes());
        head.extend_from_slice(&crc32fast::hash(record).to_be_bytes());
        if slot == 0 {
            head.extend_from_slice(record);
        } else {
            for piece in record.chunks(PIECE_BYTES) {
                self.insert(&piece_key(&name, slot, pieces), piece)?;
                pieces += 1;
            }
        }
        self.insert(&name, &head)?;
        // Whatever was there before in other places.
        let first = piece_key(&name, slot.max(1), pieces);
        let last = piece_key(&name, slot.max(1), u32::MAX);
        self.remove(&first, &last)?;
        let other = if slot.max(1) == 1 { 2 } else { 1 };
        self.remove(&piece_key(&name, other, 0), &piece_key(&name, other, u32::MAX))
    }

    fn trim(&mut self, through: u64) -> Result<(), StoreError> {
        let last = piece_key(&name_of(Key::Entry(through)), u8::MAX, u32::MAX);
        self.remove(&name_of(Key::Entry(0)), &last)
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.records.insert(key, value).map_err(|error| self.sled(&error))?;
        self.keep_pace()
    }

    /// Removes all keys from `first` to `last`, in order: a head goes before its pieces.
    fn remove(&mut self, first: &[u8], last: &[u8]) -> Result<(), StoreError> {
        let keys: Result<Vec<_>, _> = self.records.range(first..=last).keys().collect();
        for key in keys.map_err(|error| self.sled(&error))? {
            self.records.remove(key).map_err(|error| self.sled(&error))?;
            self.keep_pace()?;
        }
        Ok(())
    }

    /// Makes durable what sled takes for stable: each time a segment was filled.
    fn keep_pace(&mut self) -> Result<(), StoreError> {
        let stable = stable(&self.db);
        if stable > self.synced {
            self.file.sync_all().map_err(|error| io_error(&self.path, &error))?;
            self.synced = stable;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        // Before sled writes another octet that trusts in what was stable.
        self.keep_pace()?;
        self.db.flush().map_err(|error| self.sled(&error))?;
        let stable = stable(&self.db);
        self.file.sync_all().map_err(|error| io_error(&self.path, &error))?;
        self.synced = stable;
        Ok(())
    }

    /// Notes the last committed entry. Its fixed width keeps a torn write from making it greater.
    fn remember(&mut self, seq: u64) -> Result<(), StoreError> {
        let written = self.committed.write_all_at(format!("{seq:020}\n").as_bytes(), 0);
        written.map_err(|error| io_error(&self.path, &error))
    }
}

impl Head {
    fn read(octets: &[u8]) -> Option<Self> {
        let (&slot, rest) = octets.split_first()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (checksum, inline) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let checksum = u32::from_be_bytes(*checksum);
        (slot <= 2).then(|| Self { slot, length, checksum, inline: inline.to_vec() })
    }
}

fn name_of(key: Key) -> Vec<u8> {
    match key {
        Key::Base => b"b".to_vec(),
        Key::Entry(seq) => [b"e", seq.to_be_bytes().as_slice()].concat(),
        Key::Shard(number) => [b"s", number.to_be_bytes().as_slice()].concat(),
    }
}

fn piece_key(name: &[u8], slot: u8, piece: u32) -> Vec<u8> {
    [name, &[slot], &piece.to_be_bytes()].concat()
}

/// How far sled takes its log for stable. A hidden part of its interface; its last version was in 2021,
/// so it will not change.
fn stable(db: &Db) -> sled::Lsn {
    db.context.pagecache.log.stable_offset()
}

/// Calls into sled, which panics where others return an error.
fn guarded<R>(path: &Path, work: impl FnOnce() -> Result<R, StoreError>) -> Result<R, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(StoreError::Damaged {
            path: path.to_owned(),
            what: "the sled database".into(),
            why: format!("sled gave up on it ({})", said(&*panic)),
        })
    })
}

/// What a panic said, in one line.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
    text.lines().next().unwrap_or_default()
}

/// The database, opened if it is not, and opened again if more than `limit` octets were read from it.
fn ready<'a>(
    path: &Path,
    place: &'a mut Option<Opened>,
    limit: u64,
) -> Result<&'a mut Opened, StoreError> {
    if let Some(mut stale) = place.take_if(|sled| !sled.is_fresh(limit)) {
        let flushed = guarded(path, || stale.flush());
        discard(stale);
        flushed?;
    }
    match place {
        Some(sled) => Ok(sled),
        empty => Ok(empty.insert(Opened::open(path)?)),
    }
}

/// Lets go of a database that failed or is to be opened again. On a thread of its own: after a panic sled
/// may wait for itself, or panic again; if it does, its lock stays taken and opening says so.
fn discard(sled: Opened) {
    let spawned = std::thread::Builder::new().name("sled-drop".into()).spawn(move || drop(sled));
    if let Ok(thread) = spawned {
        // An orderly end is quick; more is not waited for.
        for _ in 0..LOCK_TRIES {
            if thread.is_finished() {
                return;
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }
}

fn check_layout(path: &Path, found: &[u8]) -> Result<(), StoreError> {
    let found: Option<u64> = std::str::from_utf8(found).ok().and_then(|n| n.parse().ok());
    let known = u64::from(LAYOUT);
    match found {
        Some(found) if found == known => Ok(()),
        Some(found) => Err(StoreError::OtherLayout { path: path.to_owned(), found, known }),
        None => Err(StoreError::Damaged {
            path: path.to_owned(),
            what: "the layout version".into(),
            why: "it is not a number".into(),
        }),
    }
}

fn lost(path: &Path) -> StoreError {
    StoreError::Damaged {
        path: path.to_owned(),
        what: "the sled database".into(),
        why: "everything that was in it is gone".into(),
    }
}

fn sled_error(path: &Path, error: &sled::Error) -> StoreError {
    let path = path.to_owned();
    let why = error.to_string();
    match error {
        sled::Error::Io(_) if why.contains("acquire lock") => StoreError::Locked(path),
        sled::Error::Io(_) => StoreError::Io { path, why },
        _ => StoreError::Damaged { path, what: "the sled database".into(), why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_that_says_it() {
        let path = Path::new("ledger");
        for (number, said) in [(7, "7 is odd"), (8, "even")] {
            let panicked = guarded(path, || -> Result<(), StoreError> {
                if number % 2 == 1 { panic!("{number} is odd\nand more") } else { panic!("even") }
            });
            let why = panicked.expect_err("it panics").to_string();
            assert_eq!(
                why,
                format!(
                    "the ledger ledger is damaged: the sled database cannot be read: sled gave up on it ({said})"
                )
            );
        }
        assert!(guarded(path, || Ok(())).is_ok());
    }
}

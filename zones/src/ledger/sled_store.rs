//! The store in sled 0.34.
//!
//! A key of sled's default tree and three trees, all keys big-endian so that they sort by number:
//!
//! ```text
//! (default) "layout" -> ASCII decimal of the layout version (1)
//! meta     "base" piece:u32 -> a piece of the base record
//! journal  seq:u64 piece:u32 -> a piece of a journal entry
//! shards   number:u16 piece:u32 -> a piece of a shard
//! ```
//!
//! Beside sled's files lies `committed`: the number of the last committed journal entry, 20 decimal digits
//! and a line feed, written after each commit without an fsync of its own. It is never ahead of what is
//! durable, so records that end before it are lost: sled takes a damaged or emptied file without a
//! snapshot for a new one, without a word. The file is made when the ledger has been made whole.
//!
//! A record is cut into pieces of 16 kB, since larger sled values become blob files that leak (measured:
//! 700 kB values left 1 GB behind after 500 commits). Piece 0 begins with the record's length in 4
//! octets, big-endian; all pieces of a record are written in one atomic sled batch, together with the
//! removal of pieces that a longer predecessor left.
//!
//! sled flushes with `sync_file_range`, which survives the death of the process but not of the machine:
//! a commit here is sled's flush and then an fsync of its file. sled is known to panic on damaged
//! files; opening catches that and returns it as `Damaged`.
//!
//! After an I/O error (a full disk) sled refuses everything until it is opened again, so that is what
//! the next call does: what was committed is read back by sled, what was staged is staged again by the
//! caller, who still has it.

use std::fs::{File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sled::{Batch, Db, Tree};

use super::codec::LAYOUT;
use super::store::{Store, StoreError, Stored};

/// The size at which a record is cut. Measured: pieces up to 64 kB do not become blob files.
const PIECE_BYTES: usize = 16 << 10;
/// sled's page cache; journal and shards are written and not read again until the next start.
const CACHE_BYTES: u64 = 64 << 20;

/// How often to try for sled's lock, and how long to wait in between, before it is said to be another's.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

const LAYOUT_KEY: &[u8] = b"layout";
const BASE_KEY: &[u8] = b"base";
/// The file with the number of the last committed entry.
const COMMITTED: &str = "committed";

/// Records of a tree with their key prefixes.
type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// A store in a directory of its own.
pub struct SledStore {
    path: PathBuf,
    /// `None` after an error, until it is opened again.
    sled: Option<Opened>,
    /// The last staged entry.
    staged: Option<u64>,
}

/// An open sled database.
struct Opened {
    path: PathBuf,
    db: Db,
    meta: Tree,
    journal: Tree,
    shards: Tree,
    file: File,
    committed: File,
}

impl SledStore {
    /// Opens or creates the store at `path`. Blocks for as long as sled needs to recover.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), sled: Some(Opened::open(path)?), staged: None })
    }

    /// Does something with the database, opened again if the last try failed.
    fn with<R>(
        &mut self,
        work: impl FnOnce(&Opened) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let sled = match self.sled.take() {
            Some(sled) => sled,
            None => Opened::open(&self.path)?,
        };
        let done = work(&sled)?;
        // Kept only if it worked: an error drops it, which also frees its lock for the next opening.
        self.sled = Some(sled);
        Ok(done)
    }
}

impl Opened {
    /// Opens sled, waiting a little for its lock: sled's threads let go of it only some time after the
    /// database was dropped, in this process or in one that just ended.
    fn open(path: &Path) -> Result<Self, StoreError> {
        for _ in 0..LOCK_TRIES {
            match Self::try_open(path) {
                Err(StoreError::Locked(_)) => std::thread::sleep(LOCK_PAUSE),
                opened => return opened,
            }
        }
        Self::try_open(path)
    }

    fn try_open(path: &Path) -> Result<Self, StoreError> {
        let io = |why: String| StoreError::Io { path: path.to_owned(), why };
        make_private(path).map_err(|error| io(error.to_string()))?;
        // sled retries a lock for seconds and reports it as text; ask the file itself first.
        probe_writable(path)?;
        let opened = catch_unwind(AssertUnwindSafe(|| {
            sled::Config::new()
                .path(path)
                .mode(sled::Mode::LowSpace)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(None)
                .open()
        }));
        let db = match opened {
            Ok(Ok(db)) => db,
            Ok(Err(error)) => return Err(open_error(path, &error)),
            Err(_) => {
                return Err(StoreError::Damaged {
                    path: path.to_owned(),
                    what: "the sled database".into(),
                    why: "sled gave up on it".into(),
                });
            }
        };
        let tree = |name: &str| db.open_tree(name).map_err(|error| open_error(path, &error));
        let (meta, journal, shards) = (tree("meta")?, tree("journal")?, tree("shards")?);
        let file = File::open(path.join("db")).map_err(|error| io(error.to_string()))?;
        let committed_path = path.join(COMMITTED);
        match db.get(LAYOUT_KEY).map_err(|error| open_error(path, &error))? {
            Some(layout) => check_layout(path, &layout)?,
            None if committed_path.exists() => return Err(lost(path)),
            None => {
                let layout = LAYOUT.to_string();
                let made = db.insert(LAYOUT_KEY, layout.as_bytes()).and_then(|_| db.flush());
                made.map_err(|error| open_error(path, &error))?;
            }
        }
        // Last, since it says that the ledger has been made whole.
        let committed = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&committed_path)
            .map_err(|error| io(error.to_string()))?;
        Ok(Self { path: path.to_owned(), db, meta, journal, shards, file, committed })
    }

    fn io(&self, error: &sled::Error) -> StoreError {
        open_error(&self.path, error)
    }

    fn damaged(&self, what: impl Into<String>, why: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), what: what.into(), why: why.into() }
    }

    /// Replaces the record at `prefix` by `record`, atomically.
    fn put(&self, tree: &Tree, prefix: &[u8], record: &[u8]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        let mut framed = Vec::with_capacity(record.len() + 4);
        framed.extend_from_slice(&u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes());
        framed.extend_from_slice(record);
        let mut pieces = 0u32;
        for piece in framed.chunks(PIECE_BYTES) {
            batch.insert(piece_key(prefix, pieces), piece);
            pieces += 1;
        }
        let left = piece_key(prefix, pieces)..=piece_key(prefix, u32::MAX);
        for key in tree.range(left).keys() {
            batch.remove(key.map_err(|error| self.io(&error))?);
        }
        tree.apply_batch(batch).map_err(|error| self.io(&error))
    }

    /// Reads every record of a tree, with its prefix, in order.
    fn records(&self, tree: &Tree, what: &str) -> Result<Records, StoreError> {
        let mut records = Records::new();
        let mut next_piece = 0u32;
        for item in tree.iter() {
            let (key, piece) = item.map_err(|error| self.io(&error))?;
            let Some((prefix, number)) = key.split_last_chunk::<4>() else { continue };
            let number = u32::from_be_bytes(*number);
            if number == 0 {
                records.push((prefix.to_vec(), piece.to_vec()));
                next_piece = 1;
                continue;
            }
            match records.last_mut() {
                Some((open, record)) if open.as_slice() == prefix && number == next_piece => {
                    record.extend_from_slice(&piece);
                    next_piece += 1;
                }
                _ => return Err(self.damaged(format!("a piece of the {what}"), "it has no head")),
            }
        }
        for (_, record) in &mut records {
            let whole = record
                .split_first_chunk::<4>()
                .is_some_and(|(size, rest)| u32::from_be_bytes(*size) as usize == rest.len());
            if !whole {
                return Err(self.damaged(format!("a record of the {what}"), "a piece is missing"));
            }
            record.drain(..4);
        }
        Ok(records)
    }

    fn load(&self) -> Result<Stored, StoreError> {
        let mut stored = Stored { committed: self.remembered(), ..Stored::default() };
        for (prefix, record) in self.records(&self.meta, "base")? {
            if prefix == BASE_KEY {
                stored.base = Some(record);
            }
        }
        for (prefix, record) in self.records(&self.shards, "shards")? {
            let number = <[u8; 2]>::try_from(prefix.as_slice())
                .map_err(|_| self.damaged("a shard", "its key has the wrong size"))?;
            stored.shards.push((u16::from_be_bytes(number), record));
        }
        for (prefix, record) in self.records(&self.journal, "journal")? {
            let seq = <[u8; 8]>::try_from(prefix.as_slice())
                .map_err(|_| self.damaged("a journal entry", "its key has the wrong size"))?;
            stored.journal.push((u64::from_be_bytes(seq), record));
        }
        Ok(stored)
    }

    fn trim(&self, through: u64) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for key in self.journal.range(..=piece_key(&through.to_be_bytes(), u32::MAX)).keys() {
            batch.remove(key.map_err(|error| self.io(&error))?);
        }
        self.journal.apply_batch(batch).map_err(|error| self.io(&error))
    }

    /// Notes the last committed entry. Its fixed width keeps a torn write from making it greater.
    fn remember(&self, seq: u64) -> Result<(), StoreError> {
        self.committed
            .write_all_at(format!("{seq:020}\n").as_bytes(), 0)
            .map_err(|error| StoreError::Io { path: self.path.clone(), why: error.to_string() })
    }

    /// The last entry noted; `None` if the file is new or not ours to read.
    fn remembered(&self) -> Option<u64> {
        let mut digits = [0; 20];
        self.committed.read_exact_at(&mut digits, 0).ok()?;
        std::str::from_utf8(&digits).ok()?.parse().ok()
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|error| self.io(&error))?;
        self.file
            .sync_all()
            .map_err(|error| StoreError::Io { path: self.path.clone(), why: error.to_string() })
    }
}

impl Store for SledStore {
    fn load(&mut self) -> Result<Stored, StoreError> {
        self.with(Opened::load)
    }

    fn append(&mut self, seq: u64, entry: &[u8]) -> Result<(), StoreError> {
        self.with(|sled| sled.put(&sled.journal, &seq.to_be_bytes(), entry))?;
        self.staged = Some(seq);
        Ok(())
    }

    fn put_shard(&mut self, number: u16, record: &[u8]) -> Result<(), StoreError> {
        self.with(|sled| sled.put(&sled.shards, &number.to_be_bytes(), record))
    }

    fn put_base(&mut self, record: &[u8]) -> Result<(), StoreError> {
        self.with(|sled| sled.put(&sled.meta, BASE_KEY, record))
    }

    fn trim(&mut self, through: u64) -> Result<(), StoreError> {
        self.with(|sled| sled.trim(through))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.with(Opened::flush)?;
        let Some(seq) = self.staged.take() else { return Ok(()) };
        self.with(|sled| sled.remember(seq))
    }

    fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

fn piece_key(prefix: &[u8], piece: u32) -> Vec<u8> {
    [prefix, &piece.to_be_bytes()].concat()
}

fn check_layout(path: &Path, found: &[u8]) -> Result<(), StoreError> {
    let found: Option<u64> = std::str::from_utf8(found).ok().and_then(|n| n.parse().ok());
    match found {
        Some(found) if found == u64::from(LAYOUT) => Ok(()),
        Some(found) => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: u64::from(LAYOUT) })
        }
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

/// Makes the directory, for its owner alone: what is in it is personal data. One that is there is left
/// as the operator has it.
fn make_private(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Writes and removes a file, so that a directory we may not write in is said as such and not as
/// whatever sled makes of it.
fn probe_writable(path: &Path) -> Result<(), StoreError> {
    let probe = path.join(".writable");
    let tried = File::create(&probe).and_then(|_| std::fs::remove_file(&probe));
    tried.map_err(|error| StoreError::Io {
        path: path.to_owned(),
        why: format!("the directory cannot be written: {error}"),
    })
}

fn open_error(path: &Path, error: &sled::Error) -> StoreError {
    let path = path.to_owned();
    let why = error.to_string();
    match error {
        sled::Error::Io(_) if why.contains("acquire lock") => StoreError::Locked(path),
        sled::Error::Io(_) => StoreError::Io { path, why },
        _ => StoreError::Damaged { path, what: "the sled database".into(), why },
    }
}

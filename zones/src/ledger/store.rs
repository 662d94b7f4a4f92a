//! What keeps the ledger: a journal of entries, and shards that include the journal up to an entry.
//!
//! The trait is small on purpose, so that another embedded store could take sled's place in a day.
//! In go and out come opaque records (their layouts and checksums are `codec`'s). Contract:
//!
//! - `append` stages the next journal entry, `put_shard` and `put_base` replace a record, `trim`
//!   forgets journal entries; nothing of it counts before `commit` returns, which makes all of it
//!   durable against a power cut. After an error from any call the caller may call `commit` again;
//!   a store that cannot go on keeps returning the error.
//! - A crash between two commits leaves each staged record wholly there or wholly absent. Order does
//!   not matter: the ledger reads journal entries that a shard already includes without harm.
//! - Errors are returned, never logged here.

use std::path::PathBuf;

/// Everything a store holds, as read at opening.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Positions and reporters as of the newest checkpoint.
    pub base: Option<Vec<u8>>,
    /// Shards by number.
    pub shards: Vec<(u16, Vec<u8>)>,
    /// Journal entries by sequence number, ascending.
    pub journal: Vec<(u64, Vec<u8>)>,
    /// The last entry that the store remembers, apart from its records, to have committed: if the
    /// records end before it, some are lost.
    pub committed: Option<u64>,
}

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the store.
    #[error(
        "the ledger {0} is in use by another process: stop it, or ask it (most commands do that by themselves)"
    )]
    Locked(PathBuf),
    /// Written by a newer helostat.
    #[error(
        "the ledger {path} has layout {found}, this program knows layout {known}: use the newer helostat, or move the ledger away"
    )]
    Newer {
        /// Where the ledger lies.
        path: PathBuf,
        /// Its layout.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// A record is damaged or missing a piece.
    #[error("the ledger {path} is damaged: {what} cannot be read: {why}")]
    Damaged {
        /// Where the ledger lies.
        path: PathBuf,
        /// Which record.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The file system said no.
    #[error("the ledger {path}: {why}")]
    Io {
        /// Where the ledger lies.
        path: PathBuf,
        /// What the file system said.
        why: String,
    },
}

/// A keeper of journal and shards.
pub trait Store: Send {
    /// Reads everything; called once, before anything else.
    fn load(&mut self) -> Result<Stored, StoreError>;
    /// Stages journal entry `seq`.
    fn append(&mut self, seq: u64, entry: &[u8]) -> Result<(), StoreError>;
    /// Stages shard `number`.
    fn put_shard(&mut self, number: u16, record: &[u8]) -> Result<(), StoreError>;
    /// Stages the base record.
    fn put_base(&mut self, record: &[u8]) -> Result<(), StoreError>;
    /// Stages forgetting every journal entry up to and including `through`.
    fn trim(&mut self, through: u64) -> Result<(), StoreError>;
    /// Makes everything staged durable.
    fn commit(&mut self) -> Result<(), StoreError>;
    /// Where the store lies, for messages.
    fn path(&self) -> PathBuf;
}

/// A store that lives in memory and forgets at the end: for replays and tests.
#[derive(Debug, Default)]
pub struct MemoryStore(Stored);

impl Store for MemoryStore {
    fn load(&mut self) -> Result<Stored, StoreError> {
        Ok(std::mem::take(&mut self.0))
    }

    fn append(&mut self, _seq: u64, _entry: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn put_shard(&mut self, _number: u16, _record: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn put_base(&mut self, _record: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn trim(&mut self, _through: u64) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("(in memory)")
    }
}

//! What keeps the ledger: opaque records under a few kinds of keys, made durable together.
//!
//! The trait is small on purpose, so that another embedded store could take sled's place in a day, and
//! so that a snapshot can be read as if it were a store. In go and out come opaque records (their
//! layouts and checksums are `codec`'s). Contract:
//!
//! - `put` and `trim` stage; nothing of it counts before `commit` returns, which makes all of it
//!   durable against a power cut.
//! - A crash between two commits leaves each staged record wholly there or wholly absent (then with
//!   its predecessor, if it had one). Order does not matter, but that the oldest journal entries are
//!   trimmed first: the ledger reads entries that a shard already includes without harm, and takes a gap
//!   between entries for damage.
//! - After an error everything staged since the last good commit may be gone: the caller, who still has
//!   it, stages it again and calls `commit` again. A store that cannot go on keeps returning the error.
//! - `get` may be called from several threads at once. What was staged may be seen by it or not.
//! - Errors are returned, never logged here.

use std::fmt;
use std::path::PathBuf;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Positions, reporters, and which shards must be there.
    Base,
    /// A part of the tables, by number.
    Shard(u16),
    /// A journal entry, by sequence number.
    Entry(u64),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("the base record"),
            Self::Shard(number) => write!(f, "shard {number}"),
            Self::Entry(seq) => write!(f, "journal entry {seq}"),
        }
    }
}

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the store.
    #[error(
        "the ledger {0} is in use by another process: stop it, or ask it (most commands do that by themselves)"
    )]
    Locked(PathBuf),
    /// Written by an older or a newer helostat.
    #[error(
        "the ledger {path} has layout {found}, this program knows layout {known}: it was written by another version of helostat; start with a new folder and learn the logs again, or dump it with the version that wrote it and load the dump"
    )]
    OtherLayout {
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

/// What is damaged if it is the database as a whole.
pub(super) const DATABASE: &str = "the sled database";
/// How the name of what is missing begins if it is the newest commits.
pub(super) const LOST_END: &str = "what was committed after entry ";

impl StoreError {
    /// True if no record can be had, or the newest commits are gone, while nothing points to one record: the
    /// faults that sled is known for, after which only a snapshot helps. See `rescue`.
    pub fn is_of_database(&self) -> bool {
        matches!(self, Self::Damaged { what, .. } if what == DATABASE || what.starts_with(LOST_END))
    }
}

/// A keeper of records.
pub trait Store: Send + Sync {
    /// The record under `key`, whole, or `None` if there is none.
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, StoreError>;
    /// The sequence numbers of the journal entries held, ascending; without reading the entries.
    fn entries(&self) -> Result<Vec<u64>, StoreError>;
    /// The last entry that the store remembers, apart from its records, to have committed: if the
    /// records end before it, some are lost.
    fn committed(&self) -> Option<u64>;
    /// Stages `record` in place of what is under `key`.
    fn put(&mut self, key: Key, record: &[u8]) -> Result<(), StoreError>;
    /// Stages forgetting every journal entry up to and including `through`.
    fn trim(&mut self, through: u64) -> Result<(), StoreError>;
    /// Makes everything staged durable.
    fn commit(&mut self) -> Result<(), StoreError>;
    /// How many octets the store takes on disk now.
    fn disk_bytes(&self) -> u64;
    /// Where the store lies, for messages.
    fn path(&self) -> PathBuf;
    /// False if nothing that is put into it can ever be read again.
    fn is_lasting(&self) -> bool {
        true
    }
}

/// A store that keeps nothing: for ledgers that live in memory and are forgotten at the end (replays,
/// tests). The ledger holds everything it needs while it is open.
#[derive(Debug, Default)]
pub struct MemoryStore;

impl Store for MemoryStore {
    fn get(&self, _key: Key) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn entries(&self) -> Result<Vec<u64>, StoreError> {
        Ok(Vec::new())
    }

    fn committed(&self) -> Option<u64> {
        None
    }

    fn put(&mut self, _key: Key, _record: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn trim(&mut self, _through: u64) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        0
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("(in memory)")
    }

    fn is_lasting(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_in_words() {
        for (key, words) in [
            (Key::Base, "the base record"),
            (Key::Shard(17), "shard 17"),
            (Key::Entry(9), "journal entry 9"),
        ] {
            assert_eq!(key.to_string(), words);
        }
    }
}

//! A store in memory that fails when it is told to, and then leaves of what was staged any part, as the
//! contract of stores allows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use helostat_zones::ledger::store::{Key, Store, StoreError};
use helostat_zones::ledger::{Bounds, JournalLimits, Ledger};

use crate::world::Random;

/// What survives a crash.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) records: BTreeMap<Key, Vec<u8>>,
    /// Commits that succeed before one fails; all if it is not said.
    pub(crate) commits_left: Option<u32>,
    /// Which staged records are there after a failing commit; none if it is not said.
    pub(crate) torn: Option<u64>,
    /// Copies of the disk after each commit, if they are wanted.
    pub(crate) history: Option<Vec<BTreeMap<Key, Vec<u8>>>>,
}

pub(crate) type Shared = Arc<Mutex<Disk>>;

enum Staged {
    Put(Key, Vec<u8>),
    Trim(u64),
}

struct Faulty {
    disk: Shared,
    staged: Vec<Staged>,
}

/// The ledger on a disk, with a journal so short that it is always being folded.
pub(crate) fn open(disk: &Shared, bounds: Bounds, journal: JournalLimits) -> Ledger {
    let store = Faulty { disk: disk.clone(), staged: Vec::new() };
    let ledger = Ledger::with_store(Box::new(store), bounds).expect("what was committed is read");
    ledger.limit_journal(journal);
    ledger
}

/// A disk with these records.
pub(crate) fn disk_of(records: BTreeMap<Key, Vec<u8>>) -> Shared {
    Arc::new(Mutex::new(Disk { records, ..Disk::default() }))
}

impl Disk {
    fn apply(&mut self, staged: Staged) {
        match staged {
            Staged::Put(key, record) => drop(self.records.insert(key, record)),
            Staged::Trim(through) => {
                self.records.retain(|key, _| !matches!(key, Key::Entry(seq) if *seq <= through));
            }
        }
    }
}

impl Store for Faulty {
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.disk.lock().unwrap().records.get(&key).cloned())
    }

    fn entries(&self) -> Result<Vec<u64>, StoreError> {
        let disk = self.disk.lock().unwrap();
        let entries = disk.records.keys().filter_map(|key| match key {
            Key::Entry(seq) => Some(*seq),
            _ => None,
        });
        Ok(entries.collect())
    }

    fn committed(&self) -> Option<u64> {
        None
    }

    fn put(&mut self, key: Key, record: &[u8]) -> Result<(), StoreError> {
        self.staged.push(Staged::Put(key, record.to_vec()));
        Ok(())
    }

    fn trim(&mut self, through: u64) -> Result<(), StoreError> {
        self.staged.push(Staged::Trim(through));
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let disk = &mut *self.disk.lock().unwrap();
        if disk.commits_left == Some(0) {
            let staged = std::mem::take(&mut self.staged);
            if let Some(torn) = disk.torn {
                let mut random = Random(torn);
                staged.into_iter().filter(|_| random.chance(0.5)).for_each(|one| disk.apply(one));
            }
            let why = "no space left on device".to_owned();
            return Err(StoreError::Io { path: self.path(), why });
        }
        disk.commits_left = disk.commits_left.map(|left| left - 1);
        self.staged.drain(..).for_each(|staged| disk.apply(staged));
        let records = disk.records.clone();
        if let Some(history) = &mut disk.history {
            history.push(records);
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

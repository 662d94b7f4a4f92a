//! Taking a snapshot while the ledger goes on.
//!
//! Shards are taken one by one, each as of the commit that was last then; then the journal entries that were
//! committed meanwhile, and the base record as of the last of them. So a snapshot is what a store
//! would hold, and opening it is ordinary recovery: the entries bring every shard to the same moment. The
//! journal is not trimmed beyond the first of them until they are taken. Commits and readers wait for no more
//! than the encoding of one shard.
//!
//! Fails with the error of the file or of the store; then nothing is left of the snapshot, and the ledger
//! is as it was.

use std::path::{Path, PathBuf};

use super::Ledger;
use super::folder::io_error;
use super::snapshot::Writer;
use super::store::{Key, StoreError};
use super::table::SHARDS;

impl Ledger {
    /// Writes a snapshot into a directory, which is made if it is not there; returns its path. `progress` is
    /// told how many shards of how many are done.
    pub fn snapshot(
        &self,
        directory: &Path,
        progress: &mut dyn FnMut(u16, u16),
    ) -> Result<PathBuf, StoreError> {
        let from = {
            let journal = &mut *self.writer.lock();
            if journal.held.is_some() {
                let why = "a snapshot of it is being taken already: wait for that".to_owned();
                return Err(StoreError::Io { path: journal.store.path(), why });
            }
            journal.held = Some(journal.seq);
            journal.seq
        };
        let taken = self.take(directory, from, progress);
        self.writer.lock().held = None;
        taken
    }

    fn take(
        &self,
        directory: &Path,
        from: u64,
        progress: &mut dyn FnMut(u16, u16),
    ) -> Result<PathBuf, StoreError> {
        let failed = |error: std::io::Error| io_error(directory, &error);
        let mut writer = Writer::create(directory, from).map_err(failed)?;
        let mut taken = Vec::new();
        for shard in 0..SHARDS {
            let (through, record) = {
                let journal = self.writer.lock();
                (journal.seq, self.encode_shard(shard, journal.seq))
            };
            writer.put(Key::Shard(shard), &record).map_err(failed)?;
            taken.push((shard, through));
            progress(shard + 1, SHARDS);
        }
        let journal = self.writer.lock();
        for seq in from + 1..=journal.seq {
            let entry = journal.store.get(Key::Entry(seq))?;
            let Some(entry) = entry else {
                return Err(journal.lost(Key::Entry(seq)));
            };
            writer.put(Key::Entry(seq), &entry).map_err(failed)?;
        }
        let base = self.encode_base(&journal, &taken);
        drop(journal);
        writer.put(Key::Base, &base).map_err(failed)?;
        writer.finish().map_err(failed)
    }
}

//! `--keep DIR`: what a replay learned, as a ledger.
//!
//! It holds what learning the same logs would have given, and how far each was read, so that a daemon that follows
//! them goes on from there. A folder that is there already is refused: two replays into one ledger would count twice.

use std::path::{Path, PathBuf};

use helostat_zones::ledger::{Batch, Bounds, Ledger, StoreError, hand_over};
use helostat_zones::observation::{Observation, ReporterKind};

/// The most observations in a batch.
const BATCH: u64 = 20_000;

/// A ledger in the making.
pub struct Keep {
    ledger: Ledger,
    path: PathBuf,
    batch: Batch,
}

/// Why there will be none.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Something is there.
    #[error("{0} is there already: name a folder that is not, or remove it")]
    Exists(PathBuf),
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Keep {
    /// A new ledger in a new folder.
    pub fn new(path: &Path, bounds: Bounds) -> Result<Self, KeepError> {
        if path.symlink_metadata().is_ok() {
            return Err(KeepError::Exists(path.to_owned()));
        }
        let ledger = Ledger::open(path, bounds)?;
        Ok(Self { ledger, path: path.to_owned(), batch: Batch::default() })
    }

    /// Takes a message in.
    pub fn learn(
        &mut self,
        observation: &Observation,
        kind: ReporterKind,
    ) -> Result<(), StoreError> {
        self.batch.observe(observation, kind);
        if self.batch.observations() < BATCH {
            return Ok(());
        }
        self.ledger.commit(&std::mem::take(&mut self.batch)).map(drop)
    }

    /// Everything is learned, and so far the sources were read.
    pub fn finish(mut self, records: Vec<(String, Vec<u8>)>) -> Result<(), StoreError> {
        for (source, record) in records {
            self.batch.reach(source, record);
        }
        self.ledger.commit(&self.batch)?;
        drop(self.ledger);
        hand_over(&self.path);
        Ok(())
    }
}

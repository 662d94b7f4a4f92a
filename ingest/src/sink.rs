//! Where batches go: the ledger of this process, or something that stands for it.
//!
//! A commit either happens wholly (observations and positions) or not at all; `Err` means that it did
//! not happen and may be tried again with the same batch. The caller logs.

use std::sync::Arc;

use helostat_zones::ledger::{Batch, Ledger};

/// Why a batch was not taken: a sentence for the operator.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// Takes batches, and knows how far each source was read.
pub trait Sink: Send + Sync {
    /// Makes a batch durable.
    fn commit(&self, batch: &Batch) -> Result<(), SinkError>;
    /// Every source whose name begins with `prefix`, with how far it was read.
    fn positions(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, SinkError>;
    /// Whether another process follows this source now: what it reads must not be read here, too.
    fn is_followed(&self, _source: &str) -> Result<bool, SinkError> {
        Ok(false)
    }
}

impl Sink for Arc<Ledger> {
    fn commit(&self, batch: &Batch) -> Result<(), SinkError> {
        Ledger::commit(self, batch).map(|_| ()).map_err(|error| SinkError(error.to_string()))
    }

    fn positions(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, SinkError> {
        Ok(Ledger::positions(self, prefix))
    }
}

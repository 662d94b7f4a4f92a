//! Observations folded into changes, with the positions their sources have reached: what one commit
//! makes durable.
//!
//! Folding is lossless for the ledger: the changes of a batch merged into the tables give the same
//! tables as its observations one by one. A batch holds one entry per (client, name, reporter), so its
//! size is bounded by the number of observations put in.

use std::collections::BTreeMap;

use crate::client::Client;
use crate::ledger::activity::{Activity, ReporterId};
use crate::ledger::codec::{DecodeError, Reader, Writer};
use crate::ledger::facts::ClientFacts;
use crate::name::Name;
use crate::observation::{Observation, Reporter, ReporterKind};
use crate::time::Time;

/// A change of one pair as one reporter saw it.
pub type Cell = (Client, Name, Reporter);

/// Folded observations and the positions they bring their sources to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub(crate) cells: BTreeMap<Cell, Activity>,
    pub(crate) clients: BTreeMap<Client, ClientFacts>,
    pub(crate) reporters: BTreeMap<Reporter, ReporterKind>,
    pub(crate) positions: BTreeMap<String, Vec<u8>>,
    observations: u64,
    newest: Option<Time>,
}

impl Batch {
    /// Folds one observation in.
    pub fn observe(&mut self, observation: &Observation, kind: ReporterKind) {
        let client = Client::of(observation.ip);
        let cell = (client, observation.name.clone(), observation.reporter.clone());
        let activity = Activity::of(observation);
        self.cells.entry(cell).and_modify(|known| known.merge(&activity)).or_insert(activity);
        let facts = ClientFacts::of(observation);
        if !facts.is_empty() {
            self.clients.entry(client).or_default().merge(&facts);
        }
        self.reporters.insert(observation.reporter.clone(), kind);
        self.observations += 1;
        self.newest = self.newest.max(Some(observation.time));
    }

    /// States how far a source was read: opaque bytes that come back from `Ledger::position`. They
    /// become durable together with the observations of this batch, or not at all.
    pub fn reach(&mut self, source: impl Into<String>, position: Vec<u8>) {
        self.positions.insert(source.into(), position);
    }

    /// How many observations were folded in.
    pub fn observations(&self) -> u64 {
        self.observations
    }

    /// The time of the newest observation.
    pub fn newest(&self) -> Option<Time> {
        self.newest
    }

    /// The batch as a journal entry whose reporters have these numbers.
    pub(super) fn encode(&self, reporters: &[(ReporterId, Reporter, ReporterKind)]) -> Vec<u8> {
        let id_of: BTreeMap<&str, ReporterId> =
            reporters.iter().map(|(id, name, _)| (name.as_ref(), *id)).collect();
        let mut writer = Writer::begin();
        super::encode_positions(&mut writer, &self.positions);
        writer.count(reporters.len());
        for (id, name, kind) in reporters {
            writer.reporter(*id, name, *kind);
        }
        writer.count(self.clients.len());
        for (client, facts) in &self.clients {
            writer.client(*client);
            writer.facts(facts);
        }
        writer.count(self.cells.len());
        for ((client, name, reporter), activity) in &self.cells {
            writer.client(*client);
            writer.bytes(name.text().as_bytes());
            writer.varint(u64::from(id_of.get(reporter.as_ref()).copied().unwrap_or_default()));
            writer.activity(activity);
        }
        writer.finish()
    }

    /// The batch on its way to another process: self-contained, with a version and a checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbered: Vec<_> = (0..)
            .zip(&self.reporters)
            .map(|(id, (name, kind))| (id, name.clone(), *kind))
            .collect();
        self.encode(&numbered)
    }

    /// Reads what `to_bytes` wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes)?;
        let mut batch = Self::default();
        super::read_positions(&mut reader, &mut batch.positions)?;
        let mut reporters = Vec::new();
        for _ in 0..reader.count()? {
            let (_, name, kind) = reader.reporter()?;
            let name = Reporter::from(name);
            reporters.push(name.clone());
            batch.reporters.insert(name, kind);
        }
        for _ in 0..reader.count()? {
            let client = reader.client()?;
            batch.clients.insert(client, reader.facts(client)?);
        }
        for _ in 0..reader.count()? {
            let client = reader.client()?;
            let name = Name::parse(reader.text()?.as_bytes());
            let by = usize::try_from(reader.varint()?).map_err(|_| DecodeError::Malformed)?;
            let reporter = reporters.get(by).ok_or(DecodeError::Malformed)?.clone();
            let activity = reader.activity()?;
            batch.newest = batch.newest.max(Some(activity.last));
            batch.observations +=
                activity.counts.iter().map(|n| u64::from(n.unsigned_abs())).sum::<u64>();
            // The sum above counts each cell once, and so must what is kept.
            if batch.cells.insert((client, name, reporter), activity).is_some() {
                return Err(DecodeError::Malformed);
            }
        }
        reader.finish()?;
        Ok(batch)
    }

    /// True if committing would change nothing.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.clients.is_empty() && self.positions.is_empty()
    }
}

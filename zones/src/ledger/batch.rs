//! Observations folded into changes, with the positions their sources have reached: what one commit
//! makes durable.
//!
//! Folding is lossless for the ledger: the changes of a batch merged into the tables give the same
//! tables as its observations one by one. A batch holds one entry per (client, name, reporter), so its
//! size is bounded by the number of observations put in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::client::Client;
use crate::ledger::activity::Activity;
use crate::name::Name;
use crate::observation::{Observation, Reporter, ReporterKind};
use crate::time::Time;

/// What is known of a client beside its pairs: the newest of each, by time, then by value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFacts {
    /// The exact address last seen; only for IPv6, where the client is a /64.
    pub last_ip: Option<(Time, IpAddr)>,
    /// The reverse name last logged as verified.
    pub rdns: Option<(Time, Box<str>)>,
}

impl ClientFacts {
    /// The facts that one observation tells.
    pub fn of(observation: &Observation) -> Self {
        Self {
            last_ip: observation.ip.is_ipv6().then_some((observation.time, observation.ip)),
            rdns: observation.rdns.clone().map(|rdns| (observation.time, rdns)),
        }
    }

    /// Keeps the newer of each fact. At the same second the greater value stays, so that the order
    /// of arrival does not matter.
    pub fn merge(&mut self, other: &Self) {
        if self.last_ip < other.last_ip {
            self.last_ip = other.last_ip;
        }
        if self.rdns < other.rdns {
            self.rdns.clone_from(&other.rdns);
        }
    }

    /// True if nothing is known.
    pub fn is_empty(&self) -> bool {
        self.last_ip.is_none() && self.rdns.is_none()
    }
}

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

    /// True if committing would change nothing.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.clients.is_empty() && self.positions.is_empty()
    }
}

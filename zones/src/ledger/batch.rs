//! Observations folded into changes, with the positions their sources have reached: what one commit
//! makes durable.
//!
//! Folding is lossless for the ledger: the changes of a batch merged into the tables give the same
//! tables as its observations one by one. A batch holds one entry per (client, name, reporter), so its
//! size is bounded by the number of observations put in.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::client::Client;
use crate::ledger::activity::{Activity, ReporterId};
use crate::ledger::calendar::Calendar;
use crate::ledger::codec::{DecodeError, Reader, Writer};
use crate::ledger::distinct::Distinct;
use crate::ledger::facts::ClientFacts;
use crate::ledger::op::Op;
use crate::ledger::row::{Beside, Cell, Trace};
use crate::name::{Name, NameRef};
use crate::observation::{Observation, Reporter, ReporterKind};
use crate::time::Time;

/// A change of one pair as one reporter saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    client: Client,
    name: Name,
    /// The reporter's place in the batch.
    by: ReporterId,
    activity: Activity,
}

/// Folded observations and the positions they bring their sources to.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: HashTable<Change>,
    hasher: RandomState,
    clients: HashMap<Client, ClientFacts, RandomState>,
    reporters: Vec<(Reporter, ReporterKind)>,
    places: HashMap<Reporter, ReporterId, RandomState>,
    positions: BTreeMap<String, Vec<u8>>,
    days: Calendar,
    observations: u64,
    newest: Option<Time>,
    // What another ledger knew of pairs that it had forgotten; nothing of it comes from observations.
    traces: BTreeMap<Client, Trace>,
    crowds: BTreeMap<(u8, Box<str>), (Distinct, Distinct)>,
    /// What reporters saw beside the pairs, by their places.
    contributed: BTreeMap<ReporterId, Activity>,
}

/// What another ledger knew of a name (0) or family (1) that more clients said than it held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CrowdTold {
    pub(super) what: u8,
    pub(super) text: Box<str>,
    pub(super) clients: Distinct,
    pub(super) networks: Distinct,
}

/// What a batch brings, with the reporters' numbers in the ledger.
#[derive(Clone, Debug)]
pub(super) struct Numbered<'a> {
    /// Of pairs, sorted by client, name and reporter.
    pub(super) cells: Vec<Sorted<'a>>,
    /// What reporters saw beside these pairs, ascending.
    pub(super) contributed: Vec<(ReporterId, &'a Activity)>,
}

/// What a batch brings of one pair as one reporter saw it; the reporter by its number in the ledger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sorted<'a> {
    pub(super) client: Client,
    pub(super) cell: Cell<'a>,
}

impl Batch {
    /// Folds one observation in.
    pub fn observe(&mut self, observation: &Observation, kind: ReporterKind) {
        let client = Client::of(observation.ip);
        let by = self.place_of(&observation.reporter, kind);
        self.fold(client, &observation.name, by, &Activity::of(observation));
        let facts = ClientFacts::of(observation);
        if !facts.is_empty() {
            self.clients.entry(client).or_default().merge(&facts);
        }
        self.days.insert(observation.time.day());
        self.observations += 1;
        self.newest = self.newest.max(Some(observation.time));
    }

    /// Folds in what a reporter saw of a pair, as another ledger knew it.
    pub fn add(
        &mut self,
        client: Client,
        name: &Name,
        (reporter, kind): (&Reporter, ReporterKind),
        activity: &Activity,
    ) {
        let by = self.place_of(reporter, kind);
        self.fold(client, name, by, activity);
        for time in [activity.first, activity.last] {
            self.days.insert(time.day());
        }
        for day in activity.days.iter() {
            self.days.insert(day);
        }
        self.observations += 1;
        self.newest = self.newest.max(Some(activity.last));
    }

    /// Folds in what is known of a client beside its pairs.
    pub fn add_facts(&mut self, client: Client, facts: &ClientFacts) {
        self.clients.entry(client).or_default().merge(facts);
    }

    /// Folds in what another ledger knew of pairs of a client for which it had no room. It stays with the
    /// client's pairs: a batch with one of them must come first, or be this one.
    pub fn add_trace(&mut self, client: Client, trace: &Trace) {
        self.traces.entry(client).or_default().merge(trace);
    }

    /// Folds in what another ledger knew of a name or family that more clients said than it held.
    pub(super) fn add_crowd(&mut self, told: &CrowdTold) {
        let CrowdTold { what, text, clients, networks } = told;
        let known = self.crowds.entry((*what, text.clone())).or_default();
        known.0.merge(clients);
        known.1.merge(networks);
    }

    /// Folds in what a reporter saw beside the pairs that are told: of those that another ledger had forgotten.
    pub fn add_contribution(
        &mut self,
        (reporter, kind): (&Reporter, ReporterKind),
        activity: &Activity,
    ) {
        let by = self.place_of(reporter, kind);
        self.newest = self.newest.max(Some(activity.last));
        self.contribute(by, activity);
    }

    fn contribute(&mut self, by: ReporterId, activity: &Activity) {
        match self.contributed.get_mut(&by) {
            Some(known) => known.merge(activity),
            None => drop(self.contributed.insert(by, activity.clone())),
        }
    }

    /// Adds days on which something was learned.
    pub fn add_days(&mut self, days: &Calendar) {
        self.days.merge(days);
    }

    fn fold(&mut self, client: Client, name: &Name, by: ReporterId, activity: &Activity) {
        let Self { changes, hasher, .. } = self;
        let hash = hash_of(hasher, client, name.view(), by);
        let same =
            |change: &Change| change.client == client && change.by == by && change.name == *name;
        let hash_again =
            |change: &Change| hash_of(hasher, change.client, change.name.view(), change.by);
        match changes.entry(hash, same, hash_again) {
            Entry::Occupied(mut known) => known.get_mut().activity.merge(activity),
            Entry::Vacant(place) => {
                let (name, activity) = (name.clone(), activity.clone());
                place.insert(Change { client, name, by, activity });
            }
        }
    }

    /// The place of a reporter in this batch; of the last one if there are more than can be numbered.
    fn place_of(&mut self, reporter: &Reporter, kind: ReporterKind) -> ReporterId {
        if let Some(place) = self.places.get(reporter) {
            if let Some(known) = self.reporters.get_mut(usize::from(*place)) {
                known.1 = kind;
            }
            return *place;
        }
        let Ok(place) = ReporterId::try_from(self.reporters.len()) else { return ReporterId::MAX };
        self.reporters.push((reporter.clone(), kind));
        self.places.insert(reporter.clone(), place);
        place
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

    /// How many pairs it changes, each as often as reporters saw it.
    pub(super) fn changed_pairs(&self) -> usize {
        self.changes.len()
    }

    /// The time of the newest observation.
    pub fn newest(&self) -> Option<Time> {
        self.newest
    }

    /// The days on which it was learned.
    pub(super) fn days(&self) -> &Calendar {
        &self.days
    }

    /// Where sources have come to.
    pub(super) fn positions(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.positions
    }

    /// Who reports, in the order of places.
    pub(super) fn reporters(&self) -> &[(Reporter, ReporterKind)] {
        &self.reporters
    }

    /// What is told of a client beside its pairs.
    pub(super) fn beside(&self, client: Client) -> Beside<'_> {
        Beside { facts: self.clients.get(&client), trace: self.traces.get(&client) }
    }

    /// The clients of which something is told beside their pairs, ascending.
    pub(super) fn clients_beside(&self) -> Vec<Client> {
        let mut clients: Vec<_> = self.clients.keys().chain(self.traces.keys()).copied().collect();
        clients.sort_unstable();
        clients.dedup();
        clients
    }

    /// What is told of crowds, ascending.
    pub(super) fn crowds(&self) -> impl ExactSizeIterator<Item = CrowdTold> {
        self.crowds.iter().map(|((what, text), (clients, networks))| CrowdTold {
            what: *what,
            text: text.clone(),
            clients: clients.clone(),
            networks: networks.clone(),
        })
    }

    /// The clients of which there are facts, ascending.
    fn clients_with_facts(&self) -> Vec<(Client, &ClientFacts)> {
        let mut clients: Vec<_> =
            self.clients.iter().map(|(client, facts)| (*client, facts)).collect();
        clients.sort_unstable_by_key(|(client, _)| *client);
        clients
    }

    /// What it brings; `ids` gives the reporters their numbers.
    pub(super) fn numbered(&self, ids: &[ReporterId]) -> Numbered<'_> {
        let id = |by: ReporterId| ids.get(usize::from(by)).copied().unwrap_or_default();
        let contributed = self.contributed.iter().map(|(by, activity)| (id(*by), activity));
        let mut contributed: Vec<_> = contributed.collect();
        contributed.sort_by_key(|(by, _)| *by);
        Numbered { cells: self.sorted(&id), contributed }
    }

    fn sorted(&self, id: &dyn Fn(ReporterId) -> ReporterId) -> Vec<Sorted<'_>> {
        let mut sorted: Vec<_> = self
            .changes
            .iter()
            .map(|change| Sorted {
                client: change.client,
                cell: Cell {
                    name: change.name.view(),
                    by: id(change.by),
                    activity: &change.activity,
                },
            })
            .collect();
        sorted.sort_unstable_by(|a, b| {
            (a.client, a.cell.name, a.cell.by).cmp(&(b.client, b.cell.name, b.cell.by))
        });
        sorted
    }

    /// The batch as a journal entry whose reporters have these numbers.
    pub(super) fn encode(
        &self,
        reporters: &[(Reporter, ReporterKind)],
        numbered: &Numbered<'_>,
        op: &Op,
    ) -> Vec<u8> {
        let mut writer = Writer::begin();
        writer.0.reserve(64 * numbered.cells.len() + 256);
        writer.positions(&self.positions);
        writer.count(reporters.len());
        for (id, (name, kind)) in (0..=ReporterId::MAX).zip(reporters) {
            writer.reporter(id, name, *kind);
        }
        op.write(&mut writer);
        writer.days(&self.days);
        let clients = self.clients_with_facts();
        writer.count(clients.len());
        for (client, facts) in clients {
            writer.client(client);
            writer.facts(facts);
        }
        writer.count(self.traces.len());
        for (client, trace) in &self.traces {
            writer.client(*client);
            writer.trace(trace);
        }
        let groups = numbered.cells.chunk_by(|a, b| a.client == b.client);
        writer.count(groups.clone().count());
        for group in groups {
            let Some(first) = group.first() else { continue };
            writer.client(first.client);
            writer.count(group.len());
            for Sorted { cell, .. } in group {
                writer.bytes(cell.name.text().as_bytes());
                writer.varint(u64::from(cell.by));
                writer.activity(cell.activity);
            }
        }
        writer.count(self.crowds.len());
        for ((what, text), (clients, networks)) in &self.crowds {
            writer.octet(*what);
            writer.bytes(text.as_bytes());
            writer.sketch(clients);
            writer.sketch(networks);
        }
        writer.count(numbered.contributed.len());
        for (by, activity) in &numbered.contributed {
            writer.varint(u64::from(*by));
            writer.activity(activity);
        }
        writer.finish()
    }

    /// The batch on its way to another process: self-contained, with a version and a checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        let own: Vec<ReporterId> = (0..=ReporterId::MAX).take(self.reporters.len()).collect();
        self.encode(&self.reporters, &self.numbered(&own), &Op::None)
    }

    /// Reads what `to_bytes` wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes)?;
        let mut batch = Self::default();
        reader.positions(&mut batch.positions)?;
        for _ in 0..reader.count()? {
            let (_, name, kind) = reader.reporter()?;
            let known = batch.reporters.len();
            batch.place_of(&name.into(), kind);
            if batch.reporters.len() == known {
                return Err(DecodeError::Malformed);
            }
        }
        if Op::read(&mut reader)? != Op::None {
            return Err(DecodeError::Malformed);
        }
        batch.days = reader.days()?;
        for _ in 0..reader.count()? {
            let client = reader.client()?;
            let facts = reader.facts(client)?;
            batch.clients.insert(client, facts);
        }
        for _ in 0..reader.count()? {
            let client = reader.client()?;
            batch.add_trace(client, &reader.trace()?);
        }
        let mut cells = 0;
        for _ in 0..reader.count()? {
            let client = reader.client()?;
            for _ in 0..reader.count()? {
                let name = Name::parse(reader.text()?.as_bytes());
                let by = reader.small()?;
                if usize::from(by) >= batch.reporters.len() {
                    return Err(DecodeError::Malformed);
                }
                let activity = reader.activity()?;
                batch.newest = batch.newest.max(Some(activity.last));
                batch.observations +=
                    activity.counts.iter().map(|n| u64::from(n.unsigned_abs())).sum::<u64>();
                batch.fold(client, &name, by, &activity);
                cells += 1;
            }
        }
        for _ in 0..reader.count()? {
            batch.add_crowd(&CrowdTold::read(&mut reader)?);
        }
        for _ in 0..reader.count()? {
            let by = reader.small()?;
            if usize::from(by) >= batch.reporters.len() {
                return Err(DecodeError::Malformed);
            }
            let activity = reader.activity()?;
            batch.newest = batch.newest.max(Some(activity.last));
            batch.contribute(by, &activity);
        }
        reader.finish()?;
        // The sum above counts each cell once, and so must what is kept.
        if batch.changes.len() != cells {
            return Err(DecodeError::Malformed);
        }
        Ok(batch)
    }

    /// True if committing would change nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.clients.is_empty()
            && self.positions.is_empty()
            && self.days.is_empty()
            && self.traces.is_empty()
            && self.crowds.is_empty()
            && self.contributed.is_empty()
    }
}

impl CrowdTold {
    /// Reads a crowd of a journal entry.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let what = reader.octet()?;
        let text = reader.text()?;
        if what > 1 || Name::parse(text.as_bytes()).text() != text {
            return Err(DecodeError::Malformed);
        }
        Ok(Self { what, text: text.into(), clients: reader.sketch()?, networks: reader.sketch()? })
    }
}

fn hash_of(hasher: &RandomState, client: Client, name: NameRef<'_>, by: ReporterId) -> u64 {
    let mut hash = hasher.build_hasher();
    client.hash(&mut hash);
    hash.write(name.text().as_bytes());
    hash.write_u16(by);
    hash.finish()
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
            && (self.observations, self.newest) == (other.observations, other.newest)
    }
}

impl Eq for Batch {}

//! The resident tables: every live history, in memory, read without waiting for a disk.
//!
//! Clients are the truth: each row holds the client's pairs as each reporter saw them. Two indexes
//! follow from it and are never stored: which clients said a name, and which clients live in a
//! network. Each table is cut by key hash into parts with a lock of their own, so that a commit never
//! holds up more than a 256th of the readers; the parts of the client table are also the shards
//! that the store keeps. No call holds two locks at once.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};
use parking_lot::RwLock;

use super::activity::{Activity, ReporterId};
use super::facts::ClientFacts;
use crate::client::{Client, Network};
use crate::name::Name;

/// Parts of each table, and shards of the store; part of the stored layout.
pub(super) const SHARDS: u16 = 256;

/// What the ledger holds of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientRow {
    /// The client beside its pairs.
    pub facts: ClientFacts,
    /// Its pairs, sorted by name.
    pub pairs: Vec<PairRow>,
}

/// What the ledger holds of one pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairRow {
    /// The name, shared between all its pairs.
    pub name: Arc<Name>,
    /// What each reporter saw, sorted by reporter.
    pub seen: Vec<(ReporterId, Activity)>,
}

impl ClientRow {
    /// The pair with this name.
    pub fn pair(&self, name: &Name) -> Option<&PairRow> {
        let place = self.pairs.binary_search_by(|pair| pair.name.as_ref().cmp(name)).ok()?;
        self.pairs.get(place)
    }
}

/// The clients that said a name. Those with accepted mail come first wherever not all are looked at, or
/// a crowd that says somebody's name would hide its owner.
#[derive(Default)]
struct Sayers {
    accepted: BTreeSet<Client>,
    other: BTreeSet<Client>,
}

impl Sayers {
    fn insert(&mut self, client: Client, activity: &Activity) {
        if activity.accepted() > 0 {
            self.other.remove(&client);
            self.accepted.insert(client);
        } else if !self.accepted.contains(&client) {
            self.other.insert(client);
        }
    }
}

type Part<K, V> = RwLock<HashMap<K, V, RandomState>>;

/// All resident tables.
pub(super) struct Tables {
    clients: Vec<Part<Client, ClientRow>>,
    names: Vec<Part<Arc<Name>, Sayers>>,
    networks: Vec<Part<Network, BTreeSet<Client>>>,
    /// How many names lie strictly below a domain: `com` and `example.com` for `mail.example.com`.
    suffixes: Part<Box<str>, u32>,
}

impl Tables {
    pub(super) fn new() -> Self {
        fn parts<K, V>() -> Vec<Part<K, V>> {
            (0..SHARDS).map(|_| Part::default()).collect()
        }
        Self { clients: parts(), names: parts(), networks: parts(), suffixes: Part::default() }
    }

    /// Merges what one reporter saw of one pair.
    pub(super) fn merge(&self, client: Client, name: &Name, by: ReporterId, activity: &Activity) {
        let name = self.index_name(name, client, activity);
        let mut part = self.clients[shard_of(client)].write();
        let known_clients = part.len();
        let row = part.entry(client).or_default();
        let place = row.pairs.binary_search_by(|pair| pair.name.as_ref().cmp(&name));
        let pair = match place {
            Ok(place) => &mut row.pairs[place],
            Err(place) => {
                row.pairs.insert(place, PairRow { name, seen: Vec::with_capacity(1) });
                &mut row.pairs[place]
            }
        };
        match pair.seen.binary_search_by_key(&by, |(id, _)| *id) {
            Ok(place) => pair.seen[place].1.merge(activity),
            Err(place) => pair.seen.insert(place, (by, activity.clone())),
        }
        let is_new = part.len() > known_clients;
        drop(part);
        if is_new {
            self.index_network(client);
        }
    }

    /// Merges what is known of a client beside its pairs.
    pub(super) fn merge_facts(&self, client: Client, facts: &ClientFacts) {
        let mut part = self.clients[shard_of(client)].write();
        if let Some(row) = part.get_mut(&client) {
            row.facts.merge(facts);
        }
    }

    fn index_name(&self, name: &Name, client: Client, activity: &Activity) -> Arc<Name> {
        let mut part = self.names[place_of(name)].write();
        if let Some((shared, _)) = part.get_key_value(name) {
            let shared = Arc::clone(shared);
            if let Some(sayers) = part.get_mut(name) {
                sayers.insert(client, activity);
            }
            return shared;
        }
        let shared = Arc::new(name.clone());
        part.entry(Arc::clone(&shared)).or_default().insert(client, activity);
        drop(part);
        if name.is_fqdn() {
            let mut suffixes = self.suffixes.write();
            for suffix in ancestors(name.text()) {
                match suffixes.get_mut(suffix) {
                    Some(count) => *count += 1,
                    None => {
                        suffixes.insert(suffix.into(), 1);
                    }
                }
            }
        }
        shared
    }

    fn index_network(&self, client: Client) {
        let network = client.network();
        self.networks[place_of(&network)].write().entry(network).or_default().insert(client);
    }

    /// Lets `read` look at a client's row.
    pub(super) fn client<R>(
        &self,
        client: Client,
        read: impl FnOnce(Option<&ClientRow>) -> R,
    ) -> R {
        read(self.clients[shard_of(client)].read().get(&client))
    }

    /// The clients that said a name, at most `limit` of them, and how many there are.
    pub(super) fn clients_of_name(&self, name: &Name, limit: usize) -> (Vec<Client>, usize) {
        let part = self.names[place_of(name)].read();
        part.get(name).map_or((Vec::new(), 0), |sayers| {
            let all = sayers.accepted.iter().chain(&sayers.other);
            let known = sayers.accepted.len() + sayers.other.len();
            (all.take(limit).copied().collect(), known)
        })
    }

    /// The clients seen in a network, at most `limit` of them, and how many there are.
    pub(super) fn clients_of_network(
        &self,
        network: Network,
        limit: usize,
    ) -> (Vec<Client>, usize) {
        let part = self.networks[place_of(&network)].read();
        part.get(&network)
            .map_or((Vec::new(), 0), |all| (all.iter().take(limit).copied().collect(), all.len()))
    }

    /// True if some name lies strictly below this domain.
    pub(super) fn has_names_below(&self, domain: &str) -> bool {
        self.suffixes.read().contains_key(domain)
    }

    /// Lets `read` look at every row of one shard, sorted by client.
    pub(super) fn shard(&self, shard: u16, mut read: impl FnMut(Client, &ClientRow)) -> usize {
        let part = self.clients[usize::from(shard)].read();
        let mut rows: Vec<_> = part.iter().collect();
        rows.sort_unstable_by_key(|(client, _)| **client);
        for (client, row) in &rows {
            read(**client, row);
        }
        rows.len()
    }

    /// Rows of each table: clients, names, networks, pairs.
    pub(super) fn sizes(&self) -> Sizes {
        let pairs = |part: &Part<Client, ClientRow>| {
            part.read().values().map(|row| row.pairs.len()).sum::<usize>()
        };
        Sizes {
            clients: self.clients.iter().map(|part| part.read().len()).sum(),
            names: self.names.iter().map(|part| part.read().len()).sum(),
            networks: self.networks.iter().map(|part| part.read().len()).sum(),
            pairs: self.clients.iter().map(pairs).sum(),
        }
    }
}

/// How many rows the tables hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sizes {
    /// Clients.
    pub clients: usize,
    /// Distinct names.
    pub names: usize,
    /// Networks.
    pub networks: usize,
    /// Pairs.
    pub pairs: usize,
}

/// The shard a client lives in; part of the stored layout, hence a hash with a fixed key.
pub(super) fn shard_of(client: Client) -> usize {
    let number = match client {
        Client::V4(ip) => u64::from(ip),
        Client::V6(top) => top,
    };
    // splitmix64's finaliser: every input bit reaches the eight bits kept.
    let mixed = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::from((mixed ^ mixed >> 31) as u8)
}

/// The part an index key lives in; never stored.
fn place_of<K: Hash + ?Sized>(key: &K) -> usize {
    usize::from(FixedState::default().hash_one(key) as u8)
}

/// The domains above a name, nearest first: `example.com`, `com` for `mail.example.com`.
fn ancestors(text: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(text.split_once('.').map(|(_, rest)| rest), |text| {
        text.split_once('.').map(|(_, rest)| rest)
    })
}

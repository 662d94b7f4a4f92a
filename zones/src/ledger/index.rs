//! Which clients said a name, or a name of a family.
//!
//! Follows from the client table and is built from it at opening. An entry is a client under a 32-bit
//! fingerprint of the text, 8 octets (IPv4) or 12; that two texts share a fingerprint is rare and does no
//! harm, since whoever asks looks into the client's row. The hash has a key that is new in every process:
//! nobody can choose names that meet.
//!
//! A text that more clients said than the bound becomes a crowd: the clients of most worth are held, of
//! the others it is known how many they were, in how many networks, day by day. Crowds are stored,
//! since what they know of forgotten pairs can be had from nowhere else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::fast::RandomState;
use parking_lot::RwLock;

use crate::client::Client;
use crate::ledger::bounds::Worth;
use crate::ledger::distinct::{Count, Distinct};
use crate::ledger::hash::{hash_client, hash_network, hash_text};
use crate::ledger::part::make_room;
use crate::time::Day;

/// Parts with a lock of their own, as a power of two.
const PART_BITS: u32 = 12;

/// A text that more clients said than are held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// The clients of most worth, ascending by client.
    pub listed: Vec<(Client, Worth)>,
    /// All clients.
    pub clients: Distinct,
    /// All their networks.
    pub networks: Distinct,
}

impl Crowd {
    /// Notes that a client said it on a day. What is noted must depend on what was observed alone, so it
    /// does not matter whether the client's pair was held.
    fn note(&mut self, client: Client, day: Day) {
        self.clients.insert(hash_client(client), day);
        self.networks.insert(hash_network(client.network()), day);
    }

    /// Lists a client whose pair is held, if it is among those of most worth.
    fn list(&mut self, client: Client, worth: Worth, bound: usize) {
        match self.listed.binary_search_by_key(&client, |(client, _)| *client) {
            Ok(place) => self.listed[place].1 = worth,
            Err(place) => {
                self.listed.insert(place, (client, worth));
                self.trim(bound);
            }
        }
    }

    fn trim(&mut self, bound: usize) {
        while self.listed.len() > bound {
            let least =
                self.listed.iter().enumerate().min_by_key(|(_, (client, worth))| (*worth, *client));
            let Some((place, _)) = least else { return };
            self.listed.remove(place);
        }
    }

    fn bytes(&self) -> usize {
        let listed = self.listed.capacity() * size_of::<(Client, Worth)>();
        listed + self.clients.bytes() + self.networks.bytes() + 128
    }
}

/// The IPv6 entries: fingerprint and the halves of the client, so that one takes 12 octets.
type Entry6 = [u32; 3];

#[derive(Debug, Default)]
struct IndexPart {
    /// Fingerprint and address, ascending.
    v4: Vec<u64>,
    v6: Vec<Entry6>,
    crowds: HashMap<Box<str>, Crowd, RandomState>,
}

/// An index from texts to clients.
#[derive(Debug)]
pub(super) struct Index {
    parts: Vec<RwLock<IndexPart>>,
    key: u64,
    /// How many texts are in it.
    texts: AtomicUsize,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    /// It is in.
    Entered,
    /// The text has so many clients now that it must become a crowd.
    Full,
    /// The text is a crowd: tell it.
    Crowded,
}

impl Index {
    pub(super) fn new(key: u64) -> Self {
        let parts = (0..1 << PART_BITS).map(|_| RwLock::default()).collect();
        Self { parts, key, texts: AtomicUsize::new(0) }
    }

    fn place(&self, text: &str) -> (&RwLock<IndexPart>, u32) {
        let hash = hash_text(self.key, text);
        (&self.parts[(hash >> (64 - PART_BITS)) as usize], hash as u32)
    }

    /// Enters a client.
    pub(super) fn insert(&self, text: &str, client: Client, bound: usize) -> Inserted {
        let (part, print) = self.place(text);
        let mut part = part.write();
        if part.crowds.contains_key(text) {
            return Inserted::Crowded;
        }
        let known = part.known(print);
        match client {
            Client::V4(ip) => {
                let entry = entry4(print, ip);
                let Err(at) = part.v4.binary_search(&entry) else { return Inserted::Entered };
                make_room(&mut part.v4, 1);
                part.v4.insert(at, entry);
            }
            Client::V6(top) => {
                let entry = entry6(print, top);
                let Err(at) = part.v6.binary_search(&entry) else { return Inserted::Entered };
                make_room(&mut part.v6, 1);
                part.v6.insert(at, entry);
            }
        }
        if known == 0 {
            self.texts.fetch_add(1, Ordering::Relaxed);
        }
        if known + 1 > bound { Inserted::Full } else { Inserted::Entered }
    }

    /// Enters a client without looking: `settle` must follow before anything else.
    pub(super) fn append(&self, text: &str, client: Client) {
        let (part, print) = self.place(text);
        let mut part = part.write();
        if !part.crowds.is_empty() && part.crowds.contains_key(text) {
            return;
        }
        match client {
            Client::V4(ip) => {
                make_room(&mut part.v4, 1);
                part.v4.push(entry4(print, ip));
            }
            Client::V6(top) => {
                make_room(&mut part.v6, 1);
                part.v6.push(entry6(print, top));
            }
        }
    }

    /// Puts what was appended in order, for one of `of` workers. Returns for each text with too many clients
    /// one of these, since the text itself stands only in their rows.
    pub(super) fn settle(&self, worker: usize, of: usize, bound: usize) -> Vec<Client> {
        let mut full = Vec::new();
        for part in self.parts.iter().skip(worker).step_by(of) {
            let mut part = part.write();
            part.v4.sort_unstable();
            part.v4.dedup();
            part.v6.sort_unstable();
            part.v6.dedup();
            let mut texts = 0;
            let mut prints: Vec<u32> = part.v4.iter().map(|entry| (entry >> 32) as u32).collect();
            prints.extend(part.v6.iter().map(|entry| entry[0]));
            prints.sort_unstable();
            for group in prints.chunk_by(|a, b| a == b) {
                texts += 1;
                if group.len() > bound
                    && let Some(print) = group.first()
                {
                    full.extend(part.clients(*print).next());
                }
            }
            self.texts.fetch_add(texts, Ordering::Relaxed);
        }
        full
    }

    /// Takes a client out.
    pub(super) fn remove(&self, text: &str, client: Client) {
        let (part, print) = self.place(text);
        let mut part = part.write();
        if let Some(crowd) = part.crowds.get_mut(text) {
            crowd.listed.retain(|(listed, _)| *listed != client);
            return;
        }
        let found = match client {
            Client::V4(ip) => take_out(&mut part.v4, &entry4(print, ip)),
            Client::V6(top) => take_out(&mut part.v6, &entry6(print, top)),
        };
        if found && part.known(print) == 0 {
            self.texts.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// True if the text is a crowd, which wants to hear of everybody who says it.
    pub(super) fn is_crowd(&self, text: &str) -> bool {
        let (part, _) = self.place(text);
        let part = part.read();
        !part.crowds.is_empty() && part.crowds.contains_key(text)
    }

    /// How many clients are entered under a text, or under another with the same fingerprint; none if it
    /// is a crowd.
    pub(super) fn entered(&self, text: &str) -> Option<usize> {
        let (part, print) = self.place(text);
        let part = part.read();
        (!part.crowds.contains_key(text)).then(|| part.known(print))
    }

    /// Tells a crowd that a client said it on a day; false if there is no such crowd.
    pub(super) fn note(&self, text: &str, client: Client, day: Day) -> bool {
        let (part, _) = self.place(text);
        if part.read().crowds.is_empty() {
            return false;
        }
        let mut part = part.write();
        let crowd = part.crowds.get_mut(text);
        crowd.map(|crowd| crowd.note(client, day)).is_some()
    }

    /// Tells a crowd what a client's pair is worth now; false if there is no such crowd.
    pub(super) fn list(&self, text: &str, client: Client, worth: Worth, bound: usize) -> bool {
        let (part, _) = self.place(text);
        let mut part = part.write();
        let crowd = part.crowds.get_mut(text);
        crowd.map(|crowd| crowd.list(client, worth, bound)).is_some()
    }

    /// What a client is listed with in a crowd.
    pub(super) fn listed(&self, text: &str, client: Client) -> Option<Worth> {
        let (part, _) = self.place(text);
        let part = part.read();
        let listed = &part.crowds.get(text)?.listed;
        let place = listed.binary_search_by_key(&client, |(client, _)| *client).ok()?;
        listed.get(place).map(|(_, worth)| *worth)
    }

    /// Makes a crowd of a text, of these clients, each with what it is worth and the day it last said it.
    pub(super) fn gather(&self, text: &str, clients: &[(Client, Worth, Day)], bound: usize) {
        let mut crowd = Crowd::default();
        for (client, worth, day) in clients {
            crowd.note(*client, *day);
            crowd.list(*client, *worth, bound);
        }
        self.put_crowd(text, crowd);
    }

    /// Puts a crowd in the place of a text's entries.
    pub(super) fn put_crowd(&self, text: &str, crowd: Crowd) {
        let (part, print) = self.place(text);
        let mut part = part.write();
        let had = part.known(print);
        part.v4.retain(|entry| (entry >> 32) as u32 != print);
        part.v6.retain(|entry| entry[0] != print);
        if part.crowds.insert(text.into(), crowd).is_none() && had == 0 {
            self.texts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets a crowd.
    pub(super) fn remove_crowd(&self, text: &str) -> bool {
        let (part, _) = self.place(text);
        let removed = part.write().crowds.remove(text).is_some();
        if removed {
            self.texts.fetch_sub(1, Ordering::Relaxed);
        }
        removed
    }

    /// The clients entered under a text, those of most worth first if it is a crowd; else some of
    /// them may never have said it. With the crowd's own count.
    pub(super) fn clients(&self, text: &str, today: Day) -> (Vec<Client>, Option<(Count, Count)>) {
        let (part, print) = self.place(text);
        let part = part.read();
        let Some(crowd) = part.crowds.get(text) else {
            return (part.clients(print).collect(), None);
        };
        let mut listed = crowd.listed.clone();
        listed.sort_unstable_by_key(|(client, worth)| (std::cmp::Reverse(*worth), *client));
        let counts = (crowd.clients.count(today, 64), crowd.networks.count(today, 64));
        (listed.into_iter().map(|(client, _)| client).collect(), Some(counts))
    }

    /// Lets `look` see a crowd.
    pub(super) fn crowd<R>(&self, text: &str, look: impl FnOnce(&Crowd) -> R) -> Option<R> {
        let (part, _) = self.place(text);
        part.read().crowds.get(text).map(look)
    }

    /// The crowds that are wanted.
    pub(super) fn crowds(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<(Box<str>, Crowd)> {
        let crowds = |part: &RwLock<IndexPart>| {
            let part = part.read();
            part.crowds
                .iter()
                .filter(|(text, _)| wanted(text))
                .map(|(text, crowd)| (text.clone(), crowd.clone()))
                .collect::<Vec<_>>()
        };
        self.parts.iter().flat_map(crowds).collect()
    }

    /// Octets of memory that crowds take.
    pub(super) fn crowd_bytes(&self) -> usize {
        let bytes =
            |part: &RwLock<IndexPart>| part.read().crowds.values().map(Crowd::bytes).sum::<usize>();
        self.parts.iter().map(bytes).sum()
    }

    /// The texts of crowds of which no more than so many clients are listed.
    pub(super) fn sparse_crowds(&self, most: usize) -> Vec<Box<str>> {
        let sparse = |part: &RwLock<IndexPart>| {
            let part = part.read();
            let sparse = part.crowds.iter().filter(|(_, crowd)| crowd.listed.len() <= most);
            sparse.map(|(text, _)| text.clone()).collect::<Vec<_>>()
        };
        self.parts.iter().flat_map(sparse).collect()
    }

    /// How many crowds there are.
    pub(super) fn crowd_count(&self) -> usize {
        self.parts.iter().map(|part| part.read().crowds.len()).sum()
    }

    /// Forgets the crowds that are wanted and were last seen before a day; returns their texts.
    pub(super) fn expire_crowds(
        &self,
        before: Day,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Vec<Box<str>> {
        let mut gone = Vec::new();
        for part in &self.parts {
            if part.read().crowds.is_empty() {
                continue;
            }
            part.write().crowds.retain(|text, crowd| {
                let stays = crowd.clients.newest() >= Some(before) || !wanted(text);
                if !stays {
                    gone.push(text.clone());
                }
                stays
            });
        }
        self.texts.fetch_sub(gone.len(), Ordering::Relaxed);
        gone
    }

    /// How many texts are in it.
    pub(super) fn texts(&self) -> usize {
        self.texts.load(Ordering::Relaxed)
    }

    /// Octets of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.read().bytes()).sum()
    }
}

/// Takes an entry out of sorted ones; true if it was there. Gives memory back when much of it is unused.
fn take_out<T: Ord>(entries: &mut Vec<T>, entry: &T) -> bool {
    let Ok(at) = entries.binary_search(entry) else { return false };
    entries.remove(at);
    let room = entries.len() + entries.len() / 8 + 8;
    if entries.capacity() > room + entries.len() / 4 + 8 {
        entries.shrink_to(room);
    }
    true
}

fn entry4(print: u32, ip: u32) -> u64 {
    u64::from(print) << 32 | u64::from(ip)
}

fn entry6(print: u32, top: u64) -> Entry6 {
    [print, (top >> 32) as u32, top as u32]
}

impl IndexPart {
    fn range4(&self, print: u32) -> &[u64] {
        let begin = self.v4.partition_point(|entry| *entry < entry4(print, 0));
        let rest = self.v4.get(begin..).unwrap_or_default();
        let end = rest.partition_point(|entry| *entry <= entry4(print, u32::MAX));
        rest.get(..end).unwrap_or_default()
    }

    fn range6(&self, print: u32) -> &[Entry6] {
        let begin = self.v6.partition_point(|entry| entry[0] < print);
        let rest = self.v6.get(begin..).unwrap_or_default();
        let end = rest.partition_point(|entry| entry[0] <= print);
        rest.get(..end).unwrap_or_default()
    }

    fn known(&self, print: u32) -> usize {
        self.range4(print).len() + self.range6(print).len()
    }

    fn clients(&self, print: u32) -> impl Iterator<Item = Client> {
        let v4 = self.range4(print).iter().map(|entry| Client::V4(*entry as u32));
        let v6 = self.range6(print).iter();
        v4.chain(v6.map(|[_, high, low]| Client::V6(u64::from(*high) << 32 | u64::from(*low))))
    }

    fn bytes(&self) -> usize {
        let crowds: usize = self.crowds.values().map(Crowd::bytes).sum();
        size_of::<Self>()
            + self.v4.capacity() * size_of::<u64>()
            + self.v6.capacity() * size_of::<Entry6>()
            + crowds
    }
}

/// How many pairs' names lie strictly below each domain.
#[derive(Debug)]
pub(super) struct Suffixes {
    /// Fingerprint and count, ascending.
    parts: Vec<RwLock<Vec<u64>>>,
    key: u64,
}

impl Suffixes {
    pub(super) fn new(key: u64) -> Self {
        Self { parts: (0..1 << PART_BITS).map(|_| RwLock::default()).collect(), key }
    }

    fn place(&self, domain: &str) -> (&RwLock<Vec<u64>>, u32) {
        let hash = hash_text(self.key, domain);
        (&self.parts[(hash >> (64 - PART_BITS)) as usize], hash as u32)
    }

    /// Counts a name under every domain above it.
    pub(super) fn add(&self, name: &str) {
        for domain in ancestors(name) {
            let (part, print) = self.place(domain);
            let mut part = part.write();
            let at = part.partition_point(|entry| ((entry >> 32) as u32) < print);
            match part.get_mut(at).filter(|entry| (**entry >> 32) as u32 == print) {
                // It stays at the greatest count, and then for ever.
                Some(entry) if *entry as u32 == u32::MAX => {}
                Some(entry) => *entry += 1,
                None => {
                    make_room(&mut part, 1);
                    part.insert(at, u64::from(print) << 32 | 1);
                }
            }
        }
    }

    /// Counts a name without looking: `settle` must follow before anything else.
    pub(super) fn append(&self, name: &str) {
        for domain in ancestors(name) {
            let (part, print) = self.place(domain);
            let mut part = part.write();
            // A domain that was just counted, `com` say, needs no new entry.
            match part.last_mut() {
                Some(entry) if (*entry >> 32) as u32 == print && (*entry as u32) < u32::MAX => {
                    *entry += 1
                }
                _ => {
                    make_room(&mut part, 1);
                    part.push(u64::from(print) << 32 | 1);
                    if part.len().is_power_of_two() && part.len() >= 4096 {
                        sum_up(&mut part);
                    }
                }
            }
        }
    }

    /// Puts what was appended in order, for one of `of` workers.
    pub(super) fn settle(&self, worker: usize, of: usize) {
        for part in self.parts.iter().skip(worker).step_by(of) {
            let mut part = part.write();
            sum_up(&mut part);
            let room = part.len() + part.len() / 8;
            part.shrink_to(room);
        }
    }

    /// Takes a name out of every domain above it.
    pub(super) fn remove(&self, name: &str) {
        for domain in ancestors(name) {
            let (part, print) = self.place(domain);
            let mut part = part.write();
            let at = part.partition_point(|entry| ((entry >> 32) as u32) < print);
            match part.get_mut(at).filter(|entry| (**entry >> 32) as u32 == print) {
                Some(entry) if *entry as u32 == u32::MAX => {}
                Some(entry) if *entry as u32 > 1 => *entry -= 1,
                Some(_) => {
                    let entry = part[at];
                    take_out(&mut part, &entry);
                }
                None => {}
            }
        }
    }

    /// True if some name lies strictly below this domain.
    pub(super) fn has(&self, domain: &str) -> bool {
        let (part, print) = self.place(domain);
        let part = part.read();
        let at = part.partition_point(|entry| ((entry >> 32) as u32) < print);
        part.get(at).is_some_and(|entry| (entry >> 32) as u32 == print)
    }

    /// Octets of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.read().capacity() * 8 + 32).sum()
    }
}

/// Makes one entry of all those of a fingerprint.
fn sum_up(entries: &mut Vec<u64>) {
    entries.sort_unstable();
    entries.dedup_by(|next, kept| {
        let same = *next >> 32 == *kept >> 32;
        if same {
            *kept = *kept >> 32 << 32 | u64::from((*kept as u32).saturating_add(*next as u32));
        }
        same
    });
}

/// The domains above a name, nearest first: `example.com`, `com` for `mail.example.com`.
fn ancestors(text: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(text.split_once('.').map(|(_, rest)| rest), |text| {
        text.split_once('.').map(|(_, rest)| rest)
    })
}

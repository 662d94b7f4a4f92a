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
use crate::ledger::top::Greatest;
use crate::time::Day;

/// Parts with a lock of their own, as a power of two: so many that one is a few kilobytes even of ten million
/// entries, since entries are moved to make room for another.
const PART_BITS: u32 = 14;

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
        if let Some((_, known)) = self.listed.iter_mut().find(|(listed, _)| *listed == client) {
            *known = worth;
            return;
        }
        // Those of least worth go first, so that the list never grows beyond its bound.
        while self.listed.len() >= bound {
            let rank = |(client, worth): &(Client, Worth)| (*worth, *client);
            let least = self.listed.iter().enumerate().min_by_key(|(_, listed)| rank(listed));
            let Some((place, _)) = least.filter(|(_, least)| rank(least) < (worth, client)) else {
                return;
            };
            self.listed.remove(place);
        }
        let place = self.listed.partition_point(|(listed, _)| *listed < client);
        make_room(&mut self.listed, 1);
        self.listed.insert(place, (client, worth));
    }

    /// True if it was seen since this day.
    fn survives(&self, before: Day) -> bool {
        self.clients.newest() >= Some(before)
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
}

/// An index from texts to clients.
#[derive(Debug)]
pub(super) struct Index {
    parts: Vec<RwLock<IndexPart>>,
    key: u64,
    /// How many texts have entries.
    texts: AtomicUsize,
    crowds: RwLock<HashMap<Box<str>, Crowd, RandomState>>,
    /// How many crowds there are, for those who need not look further if there are none.
    crowd_count: AtomicUsize,
}

/// Where a text is, or several that share a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    part: u32,
    print: u32,
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
        Self {
            parts,
            key,
            texts: AtomicUsize::new(0),
            crowds: RwLock::default(),
            crowd_count: AtomicUsize::new(0),
        }
    }

    fn place(&self, text: &str) -> (&RwLock<IndexPart>, u32) {
        let (place, print) = place_of(self.key, text);
        (&self.parts[place], print)
    }

    /// Enters a client.
    pub(super) fn insert(&self, text: &str, client: Client, bound: usize) -> Inserted {
        if self.is_crowd(text) {
            return Inserted::Crowded;
        }
        let (part, print) = self.place(text);
        let mut part = part.write();
        let (before, entered) = match client {
            Client::V4(ip) => {
                let (known, at) = look_up(&part.v4, &entry4(print, ip), |entry| entry >> 32);
                let known = known + part.range6(print).len();
                (known, at.map(|at| put_in(&mut part.v4, at, entry4(print, ip))))
            }
            Client::V6(top) => {
                let (known, at) =
                    look_up(&part.v6, &entry6(print, top), |entry| u64::from(entry[0]));
                let known = known + part.range4(print).len();
                (known, at.map(|at| put_in(&mut part.v6, at, entry6(print, top))))
            }
        };
        if entered.is_none() {
            return Inserted::Entered;
        }
        if before == 0 {
            self.texts.fetch_add(1, Ordering::Relaxed);
        }
        if before + 1 > bound { Inserted::Full } else { Inserted::Entered }
    }

    fn append(&self, gathered: &mut Vec<(u64, Client)>) {
        gathered.sort_unstable_by_key(|(hash, _)| *hash);
        for of_part in gathered.chunk_by(|(a, _), (b, _)| part_of(*a) == part_of(*b)) {
            let Some((hash, _)) = of_part.first() else { continue };
            self.parts[part_of(*hash)].write().append(of_part);
        }
        gathered.clear();
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

    /// Takes a client out; true if that changed a crowd.
    pub(super) fn remove(&self, text: &str, client: Client) -> bool {
        if self.is_crowd(text) {
            let mut crowds = self.crowds.write();
            let Some(crowd) = crowds.get_mut(text) else { return false };
            let before = crowd.listed.len();
            crowd.listed.retain(|(listed, _)| *listed != client);
            return crowd.listed.len() < before;
        }
        let (part, print) = self.place(text);
        let mut part = part.write();
        let found = match client {
            Client::V4(ip) => take_out(&mut part.v4, &entry4(print, ip)),
            Client::V6(top) => take_out(&mut part.v6, &entry6(print, top)),
        };
        if found && part.known(print) == 0 {
            self.texts.fetch_sub(1, Ordering::Relaxed);
        }
        false
    }

    /// True if the text is a crowd, which wants to hear of everybody who says it.
    pub(super) fn is_crowd(&self, text: &str) -> bool {
        self.crowd_count.load(Ordering::Relaxed) > 0 && self.crowds.read().contains_key(text)
    }

    /// How many clients are entered under a text, or under another with the same fingerprint; none if it
    /// is a crowd.
    pub(super) fn entered(&self, text: &str) -> Option<usize> {
        let (part, print) = self.place(text);
        (!self.is_crowd(text)).then(|| part.read().known(print))
    }

    /// Tells a crowd that a client said it on a day; false if there is no such crowd.
    pub(super) fn note(&self, text: &str, client: Client, day: Day) -> bool {
        if !self.is_crowd(text) {
            return false;
        }
        let mut crowds = self.crowds.write();
        crowds.get_mut(text).map(|crowd| crowd.note(client, day)).is_some()
    }

    /// Tells a crowd what a client's pair is worth now; false if there is no such crowd.
    pub(super) fn list(&self, text: &str, client: Client, worth: Worth, bound: usize) -> bool {
        if !self.is_crowd(text) {
            return false;
        }
        let mut crowds = self.crowds.write();
        crowds.get_mut(text).map(|crowd| crowd.list(client, worth, bound)).is_some()
    }

    /// What a client is listed with in a crowd.
    pub(super) fn listed(&self, text: &str, client: Client) -> Option<Worth> {
        let found = self.crowd(text, |crowd| {
            let place = crowd.listed.binary_search_by_key(&client, |(client, _)| *client).ok()?;
            crowd.listed.get(place).map(|(_, worth)| *worth)
        });
        found.flatten()
    }

    /// Makes a crowd of a text, of these clients, each with what it is worth and the day it last said it.
    pub(super) fn gather(&self, text: &str, clients: &[(Client, Worth, Day)], bound: usize) {
        let mut crowd = Crowd::default();
        for (client, worth, day) in clients {
            crowd.note(*client, *day);
            crowd.list(*client, *worth, bound);
        }
        let members: Vec<_> = clients.iter().map(|(client, ..)| *client).collect();
        self.put_crowd(text, crowd, &members);
    }

    /// Puts a crowd in the place of the entries of these clients.
    pub(super) fn put_crowd(&self, text: &str, crowd: Crowd, members: &[Client]) {
        let (part, print) = self.place(text);
        let mut part = part.write();
        let had = part.known(print);
        for client in members {
            match client {
                Client::V4(ip) => take_out(&mut part.v4, &entry4(print, *ip)),
                Client::V6(top) => take_out(&mut part.v6, &entry6(print, *top)),
            };
        }
        if had > 0 && part.known(print) == 0 {
            self.texts.fetch_sub(1, Ordering::Relaxed);
        }
        drop(part);
        if self.crowds.write().insert(text.into(), crowd).is_none() {
            self.crowd_count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes in what else is known of the clients and networks of a crowd.
    pub(super) fn merge_crowd(&self, text: &str, clients: &Distinct, networks: &Distinct) {
        if let Some(crowd) = self.crowds.write().get_mut(text) {
            crowd.clients.merge(clients);
            crowd.networks.merge(networks);
        }
    }

    /// Forgets a crowd.
    pub(super) fn remove_crowd(&self, text: &str) -> bool {
        let removed = self.crowds.write().remove(text).is_some();
        if removed {
            self.crowd_count.fetch_sub(1, Ordering::Relaxed);
        }
        removed
    }

    /// The clients entered under a text, those of most worth first if it is a crowd; else some of
    /// them may never have said it. With the crowd's own count.
    pub(super) fn clients(&self, text: &str, today: Day) -> (Vec<Client>, Option<(Count, Count)>) {
        let of_crowd = self.crowd(text, |crowd| {
            let mut listed = crowd.listed.clone();
            listed.sort_unstable_by_key(|(client, worth)| (std::cmp::Reverse(*worth), *client));
            let counts = (crowd.clients.count(today, 64), crowd.networks.count(today, 64));
            (listed.into_iter().map(|(client, _)| client).collect(), Some(counts))
        });
        of_crowd.unwrap_or_else(|| {
            let (part, print) = self.place(text);
            (part.read().clients(print).collect(), None)
        })
    }

    /// The clients entered under a text that are `wanted`, in no order, but of a crowd one of most worth comes first.
    /// Some may never have said it. Costs less than [`Index::clients`], which counts and sorts.
    pub(super) fn some_clients(&self, text: &str, wanted: impl Fn(Client) -> bool) -> Vec<Client> {
        let of_crowd = self.crowd(text, |crowd| {
            let mut best = None;
            let mut clients = Vec::new();
            for (client, worth) in crowd.listed.iter().filter(|(client, _)| wanted(*client)) {
                clients.push(*client);
                if best.is_none_or(|(_, most)| *worth > most) {
                    best = Some((clients.len() - 1, *worth));
                }
            }
            if let Some((place, _)) = best {
                clients.swap(0, place);
            }
            clients
        });
        of_crowd.unwrap_or_else(|| {
            let (part, print) = self.place(text);
            part.read().clients(print).filter(|client| wanted(*client)).collect()
        })
    }

    /// How many clients said a text within the days that are kept; with those that share its fingerprint.
    pub(super) fn said_by(&self, text: &str, today: Day) -> u64 {
        let of_crowd = self.crowd(text, |crowd| crowd.clients.count(today, 64).n);
        of_crowd.unwrap_or_else(|| self.entered(text).unwrap_or_default() as u64)
    }

    /// Lets `look` see a crowd.
    pub(super) fn crowd<R>(&self, text: &str, look: impl FnOnce(&Crowd) -> R) -> Option<R> {
        if self.crowd_count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.crowds.read().get(text).map(look)
    }

    /// The crowds that `wanted` wants.
    pub(super) fn crowds(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<(Box<str>, Crowd)> {
        let crowds = self.crowds.read();
        let wanted = crowds.iter().filter(|(text, _)| wanted(text));
        wanted.map(|(text, crowd)| (text.clone(), crowd.clone())).collect()
    }

    /// Where the `n` texts with most clients are that are no crowds, each with one of its clients. Of equals at
    /// the end of that list it has some.
    pub(super) fn longest(&self, n: usize) -> Vec<(Place, Client)> {
        let mut longest = Greatest::new(n);
        for (number, part) in (0u32..).zip(&self.parts) {
            let part = part.read();
            let prints4 = part.v4.chunk_by(|a, b| a >> 32 == b >> 32);
            let prints4 = prints4.filter_map(|entries| entries.first().map(|it| (it >> 32) as u32));
            let prints6 = part.v6.chunk_by(|a, b| a[0] == b[0]);
            let prints6 = prints6.filter_map(|entries| entries.first().map(|it| it[0]));
            for print in prints4.chain(prints6.filter(|print| part.range4(*print).is_empty())) {
                let client = part.clients(print).next();
                longest.offer(part.known(print) as u64, (Place { part: number, print }, client));
            }
        }
        let found = longest.list().into_iter();
        found.filter_map(|((place, client), _)| Some((place, client?))).collect()
    }

    /// True if a text is at this place.
    pub(super) fn is_at(&self, text: &str, place: Place) -> bool {
        let (part, print) = place_of(self.key, text);
        place == Place { part: part as u32, print }
    }

    /// Octets of memory that crowds take.
    pub(super) fn crowd_bytes(&self) -> usize {
        self.crowds.read().values().map(Crowd::bytes).sum()
    }

    /// The texts of crowds of which no more than so many clients are listed.
    pub(super) fn sparse_crowds(&self, most: usize) -> Vec<Box<str>> {
        let crowds = self.crowds.read();
        let sparse = crowds.iter().filter(|(_, crowd)| crowd.listed.len() <= most);
        sparse.map(|(text, _)| text.clone()).collect()
    }

    /// How many crowds there are.
    pub(super) fn crowd_count(&self) -> usize {
        self.crowd_count.load(Ordering::Relaxed)
    }

    /// Forgets the crowds that were last seen before a day, of those that are wanted.
    pub(super) fn sweep_crowds(&self, before: Day, wanted: &dyn Fn(&str) -> bool) {
        // Looked for beside the readers, and taken out one by one.
        let crowds = self.crowds.read();
        let gone = crowds.iter().filter(|(text, crowd)| wanted(text) && !crowd.survives(before));
        let gone: Vec<_> = gone.map(|(text, _)| text.clone()).collect();
        drop(crowds);
        for text in &gone {
            self.remove_crowd(text);
        }
        let mut crowds = self.crowds.write();
        if crowds.capacity() > 4 * crowds.len() + 64 {
            crowds.shrink_to_fit();
        }
    }

    /// How many texts are in it.
    pub(super) fn texts(&self) -> usize {
        self.texts.load(Ordering::Relaxed) + self.crowd_count()
    }

    /// Octets of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let crowds: usize = self.crowds.read().values().map(Crowd::bytes).sum();
        crowds + self.parts.iter().map(|part| part.read().bytes()).sum::<usize>()
    }
}

/// The part a text lives in, and its fingerprint there.
fn place_of(key: u64, text: &str) -> (usize, u32) {
    let hash = hash_text(key, text);
    (part_of(hash), hash as u32)
}

fn part_of(hash: u64) -> usize {
    (hash >> (64 - PART_BITS)) as usize
}

/// How many entries have the fingerprint of this one, and where it belongs if it is not there.
fn look_up<T: Ord>(entries: &[T], entry: &T, print: impl Fn(&T) -> u64) -> (usize, Option<usize>) {
    let of = print(entry);
    let at = entries.binary_search(entry);
    let (Ok(place) | Err(place)) = at;
    let (before, after) = entries.split_at_checked(place).unwrap_or_default();
    let same = |entry: &&T| print(entry) == of;
    let known =
        before.iter().rev().take_while(same).count() + after.iter().take_while(same).count();
    (known, at.err())
}

/// Puts an entry where it belongs.
fn put_in<T>(entries: &mut Vec<T>, at: usize, entry: T) {
    make_room(entries, 1);
    entries.insert(at, entry);
}

/// Enters many clients without looking, as one of several workers. What goes to neighbouring parts is gathered
/// first: going to all parts in turn would miss the processor's caches each time. `settle` must follow before
/// anything else.
pub(super) struct Appender<'a> {
    index: &'a Index,
    gathered: Vec<Vec<(u64, Client)>>,
}

/// How many neighbourhoods of parts there are, as a power of two, and how much is gathered for one.
const NEIGHBOURHOOD_BITS: u32 = 8;
const GATHERED: usize = 1024;

impl<'a> Appender<'a> {
    pub(super) fn new(index: &'a Index) -> Self {
        Self { index, gathered: vec![Vec::new(); 1 << NEIGHBOURHOOD_BITS] }
    }

    pub(super) fn append(&mut self, text: &str, client: Client) {
        if self.index.is_crowd(text) {
            return;
        }
        let hash = hash_text(self.index.key, text);
        let neighbourhood = (hash >> (64 - NEIGHBOURHOOD_BITS)) as usize;
        let Some(gathered) = self.gathered.get_mut(neighbourhood) else { return };
        gathered.push((hash, client));
        if gathered.len() >= GATHERED {
            self.index.append(gathered);
        }
    }
}

/// Hands over what is left.
impl Drop for Appender<'_> {
    fn drop(&mut self) {
        for gathered in &mut self.gathered {
            self.index.append(gathered);
        }
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

fn client4(entry: u64) -> Client {
    Client::V4(entry as u32)
}

fn client6([_, high, low]: Entry6) -> Client {
    Client::V6(u64::from(high) << 32 | u64::from(low))
}

impl IndexPart {
    fn append(&mut self, gathered: &[(u64, Client)]) {
        for (hash, client) in gathered {
            let print = *hash as u32;
            match client {
                Client::V4(ip) => {
                    make_room(&mut self.v4, 1);
                    self.v4.push(entry4(print, *ip));
                }
                Client::V6(top) => {
                    make_room(&mut self.v6, 1);
                    self.v6.push(entry6(print, *top));
                }
            }
        }
    }

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
        let v4 = self.range4(print).iter().copied().map(client4);
        v4.chain(self.range6(print).iter().copied().map(client6))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.v4.capacity() * size_of::<u64>()
            + self.v6.capacity() * size_of::<Entry6>()
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
        let (place, print) = place_of(self.key, domain);
        (&self.parts[place], print)
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

    fn append(&self, gathered: &mut Vec<u64>) {
        gathered.sort_unstable();
        for of_part in gathered.chunk_by(|a, b| part_of(*a) == part_of(*b)) {
            let Some(hash) = of_part.first() else { continue };
            let mut part = self.parts[part_of(*hash)].write();
            for same in of_part.chunk_by(|a, b| a == b) {
                let Some(hash) = same.first() else { continue };
                make_room(&mut part, 1);
                part.push(u64::from(*hash as u32) << 32 | same.len() as u64);
            }
        }
        gathered.clear();
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

/// Counts many names without looking, as one of several workers, as `Appender` does. `settle` must follow
/// before anything else.
pub(super) struct SuffixAppender<'a> {
    suffixes: &'a Suffixes,
    gathered: Vec<Vec<u64>>,
}

impl<'a> SuffixAppender<'a> {
    pub(super) fn new(suffixes: &'a Suffixes) -> Self {
        Self { suffixes, gathered: vec![Vec::new(); 1 << NEIGHBOURHOOD_BITS] }
    }

    pub(super) fn append(&mut self, name: &str) {
        for domain in ancestors(name) {
            let hash = hash_text(self.suffixes.key, domain);
            let neighbourhood = (hash >> (64 - NEIGHBOURHOOD_BITS)) as usize;
            let Some(gathered) = self.gathered.get_mut(neighbourhood) else { continue };
            gathered.push(hash);
            if gathered.len() >= GATHERED {
                self.suffixes.append(gathered);
            }
        }
    }
}

/// Hands over what is left.
impl Drop for SuffixAppender<'_> {
    fn drop(&mut self) {
        for gathered in &mut self.gathered {
            self.suffixes.append(gathered);
        }
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

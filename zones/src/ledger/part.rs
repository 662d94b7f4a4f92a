//! A part of the client table: rows in one arena, found by sorted keys.
//!
//! The clients of one network live in one part, so a network is a range of its keys. A row that grew is
//! written behind the others; when a quarter of the arena is garbage it is written anew. All of it is
//! a few hundred kilobytes even in a ledger of ten million pairs, so nothing here takes long enough for a
//! reader to notice.

use crate::client::{Client, Network};
use crate::ledger::codec::{DecodeError, Writer};
use crate::ledger::row::{Change, PairView, Rewriter, RowView};
use crate::name::Name;

/// Makes room as needed, an eighth more than that: doubling would waste half of the memory.
pub(super) fn make_room<T>(vec: &mut Vec<T>, more: usize) {
    if vec.capacity() - vec.len() < more {
        vec.reserve_exact(more.max(vec.len() / 8 + 8));
    }
}

/// An arena from which on no reader should wait for its copying, in octets.
const LARGE_ARENA: usize = 256 << 10;

/// Sorted keys, and for each where its row begins.
#[derive(Clone, Debug, Default)]
struct Places<K> {
    keys: Vec<K>,
    at: Vec<u32>,
}

impl<K: Copy + Ord> Places<K> {
    fn find(&self, key: K) -> Option<usize> {
        let place = self.keys.binary_search(&key).ok()?;
        self.at.get(place).map(|at| *at as usize)
    }

    /// Says where the row of a key begins; true if the key is new and has no neighbour that is `alike`.
    fn set(&mut self, key: K, at: u32, alike: impl Fn(K, K) -> bool) -> bool {
        match self.keys.binary_search(&key) {
            Ok(place) => {
                self.at[place] = at;
                false
            }
            Err(place) => {
                let before = place.checked_sub(1).and_then(|place| self.keys.get(place));
                let after = self.keys.get(place);
                let alone = ![before, after].into_iter().flatten().any(|near| alike(*near, key));
                make_room(&mut self.keys, 1);
                make_room(&mut self.at, 1);
                self.keys.insert(place, key);
                self.at.insert(place, at);
                alone
            }
        }
    }

    fn remove(&mut self, key: K) {
        if let Ok(place) = self.keys.binary_search(&key) {
            self.keys.remove(place);
            self.at.remove(place);
        }
    }

    fn bytes(&self) -> usize {
        self.keys.capacity() * size_of::<K>() + self.at.capacity() * size_of::<u32>()
    }

    /// The keys from `first` to `last`, both included.
    fn range(&self, first: K, last: K) -> &[K] {
        let begin = self.keys.partition_point(|key| *key < first);
        let end = self.keys.partition_point(|key| *key <= last);
        self.keys.get(begin..end).unwrap_or_default()
    }
}

/// Why pairs were forgotten; the order is that of stored counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// Their client had too many.
    Client,
    /// The ledger had no room.
    Memory,
    /// They were too old.
    Age,
    /// Somebody wanted it.
    Request,
}

impl Forgotten {
    /// Every reason, in the order of stored counts.
    pub const ALL: [Self; 4] = [Self::Client, Self::Memory, Self::Age, Self::Request];

    /// The word for it in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Memory => "memory",
            Self::Age => "age",
            Self::Request => "request",
        }
    }
}

/// A part of the client table.
#[derive(Debug, Default)]
pub(super) struct Part {
    v4: Places<u32>,
    v6: Places<u64>,
    arena: Vec<u8>,
    garbage: usize,
    /// How many pairs and networks it holds.
    pub(super) pairs: usize,
    pub(super) networks: usize,
    /// How many pairs were forgotten, by reason.
    pub(super) forgotten: [u64; 4],
    /// True while a sweep has not come by yet.
    pub(super) unswept: bool,
}

impl Part {
    pub(super) fn row(&self, client: Client) -> Option<RowView<'_>> {
        let at = self.place(client)?;
        Some(RowView::read(client, self.arena.get(at..)?)?.0)
    }

    /// Puts a row in the place of the one there was; an empty one takes it out.
    pub(super) fn set_row(&mut self, client: Client, row: &[u8]) {
        if row.is_empty() {
            self.remove_row(client);
            return;
        }
        let now = RowView::read(client, row).map_or(0, |(row, _)| row.pair_count());
        let old = self.place(client).and_then(|at| {
            let (old, length) = RowView::read(client, self.arena.get(at..)?)?;
            Some((at, length, old.pair_count()))
        });
        if let Some((at, length, pairs)) = old {
            self.pairs = (self.pairs + now).saturating_sub(pairs);
            if let Some(place) = self.arena.get_mut(at..at + length.min(row.len()))
                && place.len() == row.len()
            {
                place.copy_from_slice(row);
                self.garbage += length - row.len();
                return;
            }
            self.garbage += length;
        } else {
            self.pairs += now;
        }
        let at = self.arena.len();
        make_room(&mut self.arena, row.len());
        self.arena.extend_from_slice(row);
        self.note_place(client, at);
    }

    /// Says where the row of a client is that was appended to the arena.
    fn note_place(&mut self, client: Client, at: usize) {
        // 4 GiB for a 4096th of the ledger: memory ends before.
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let network = |client: Client| client.network();
        let is_first = match client {
            Client::V4(ip) => {
                self.v4.set(ip, at, |a, b| network(Client::V4(a)) == network(Client::V4(b)))
            }
            Client::V6(top) => {
                self.v6.set(top, at, |a, b| network(Client::V6(a)) == network(Client::V6(b)))
            }
        };
        self.networks += usize::from(is_first);
    }

    /// Takes in a row of the stored form, of a client greater than all before.
    pub(super) fn admit(
        &mut self,
        client: Client,
        append: impl FnOnce(&mut Vec<u8>) -> Result<usize, DecodeError>,
    ) -> Result<usize, DecodeError> {
        let at = self.arena.len();
        let reporters = append(&mut self.arena)?;
        let row = RowView::read(client, self.arena.get(at..).unwrap_or_default());
        self.pairs += row.map_or(0, |(row, _)| row.pair_count());
        self.note_place(client, at);
        Ok(reporters)
    }

    /// Makes room for so many clients, of IPv6 or not, that are about to be admitted with at most so many
    /// octets.
    pub(super) fn expect(&mut self, v6: bool, clients: usize, octets: usize) {
        if v6 {
            self.v6.keys.reserve_exact(clients);
            self.v6.at.reserve_exact(clients);
        } else {
            self.v4.keys.reserve_exact(clients);
            self.v4.at.reserve_exact(clients);
            self.arena.reserve_exact(octets);
        }
    }

    /// Gives back memory that is not used: sweeping is for room, and room is counted by what is taken.
    fn give_back(&mut self) {
        fn shrink<T>(vec: &mut Vec<T>) {
            vec.shrink_to(vec.len() + vec.len() / 8);
        }
        shrink(&mut self.arena);
        shrink(&mut self.v4.keys);
        shrink(&mut self.v4.at);
        shrink(&mut self.v6.keys);
        shrink(&mut self.v6.at);
    }

    /// Counts pairs that were forgotten.
    pub(super) fn forget(&mut self, why: Forgotten, pairs: u64) {
        self.forgotten[why as usize] += pairs;
    }

    /// The part without the pairs for which `goes` has a reason, and without the reverse names that
    /// `forgets_name` wants to be gone; and what changed, by client. None if nothing does. It is for the caller to
    /// put it in the place of this one, so that readers wait for nothing but that.
    pub(super) fn without(
        &self,
        rewriter: &mut Rewriter,
        goes: &dyn Fn(Client, &PairView<'_>) -> Option<Forgotten>,
        forgets_name: Option<&dyn Fn(&Name) -> bool>,
    ) -> Option<(Self, Vec<(Client, Change)>)> {
        let mut changes = Vec::new();
        let rdns_goes = |row: &RowView<'_>| {
            forgets_name.is_some_and(|forgets| {
                row.facts().rdns.is_some_and(|(_, rdns)| forgets(&Name::parse(rdns.as_bytes())))
            })
        };
        let changes_row = |row: RowView<'_>| {
            row.pairs().any(|pair| goes(row.client(), &pair).is_some()) || rdns_goes(&row)
        };
        if !self.rows().any(changes_row) {
            return None;
        }
        let mut new = Self { forgotten: self.forgotten, unswept: self.unswept, ..Self::default() };
        let (v4, v6) = self.counts();
        new.expect(false, v4, self.arena.len().saturating_sub(self.garbage));
        new.expect(true, v6, 0);
        for row in self.rows() {
            let client = row.client();
            if !changes_row(row) {
                new.set_row(client, self.octets(client));
                continue;
            }
            for reason in row.pairs().filter_map(|pair| goes(client, &pair)) {
                new.forget(reason, 1);
            }
            let change =
                rewriter.remove(row, &|pair| goes(client, pair).is_some(), rdns_goes(&row));
            new.set_row(client, &rewriter.row);
            changes.push((client, change));
        }
        new.give_back();
        Some((new, changes))
    }

    /// Writes all rows in the stored form.
    pub(super) fn write_rows(&self, writer: &mut Writer) {
        fn rows<K: Copy + Into<u64>>(
            part: &Part,
            writer: &mut Writer,
            keys: &[K],
            client: impl Fn(K) -> Client,
        ) {
            writer.count(keys.len());
            let mut before = 0;
            for key in keys {
                let number: u64 = (*key).into();
                writer.varint(number - before);
                before = number;
                writer.0.extend_from_slice(part.octets(client(*key)));
            }
        }
        writer.0.reserve(self.arena.len() + 8 * self.v4.keys.len() + 12 * self.v6.keys.len());
        rows(self, writer, &self.v4.keys, Client::V4);
        rows(self, writer, &self.v6.keys, Client::V6);
    }

    /// Adds the clients of one of 512 steps through all of them: by the first octet of IPv4 addresses, then
    /// by that of IPv6 addresses.
    pub(super) fn clients_between(&self, step: u64, clients: &mut Vec<Client>) {
        match u32::try_from(step) {
            Ok(step @ 0..256) => {
                let found = self.v4.range(step << 24, step << 24 | 0xFF_FFFF);
                clients.extend(found.iter().map(|ip| Client::V4(*ip)));
            }
            _ => {
                let first = (step & 0xFF) << 56;
                let found = self.v6.range(first, first | u64::MAX >> 8);
                clients.extend(found.iter().map(|top| Client::V6(*top)));
            }
        }
    }

    /// Where the row of a client begins.
    fn place(&self, client: Client) -> Option<usize> {
        match client {
            Client::V4(ip) => self.v4.find(ip),
            Client::V6(top) => self.v6.find(top),
        }
    }

    fn remove_row(&mut self, client: Client) {
        let Some(length) = self.row(client).map(|_| self.octets(client).len()) else { return };
        let pairs = self.row(client).map_or(0, |row| row.pair_count());
        self.pairs = self.pairs.saturating_sub(pairs);
        self.garbage += length;
        match client {
            Client::V4(ip) => self.v4.remove(ip),
            Client::V6(top) => self.v6.remove(top),
        }
        if self.clients_of(client.network()).next().is_none() {
            self.networks = self.networks.saturating_sub(1);
        }
    }

    /// The part without garbage, if that is a quarter of the arena, or if a large arena has no room for so many
    /// octets more. It is for the caller to put it in the place of this one: one network may be most of
    /// the ledger, and then copying it takes long.
    pub(super) fn tidied(&self, more: usize) -> Option<Self> {
        let must_move =
            self.arena.len() > LARGE_ARENA && self.arena.capacity() - self.arena.len() < more;
        if self.garbage <= self.arena.len() / 4 + 1024 && !must_move {
            return None;
        }
        let mut tidied = Self {
            v4: self.v4.clone(),
            v6: self.v6.clone(),
            arena: Vec::new(),
            garbage: 0,
            pairs: self.pairs,
            networks: self.networks,
            forgotten: self.forgotten,
            unswept: self.unswept,
        };
        tidied.rewrite(&self.arena, self.garbage, more);
        Some(tidied)
    }

    fn rewrite(&mut self, from: &[u8], garbage: usize, more: usize) {
        let live = from.len().saturating_sub(garbage);
        let mut arena = Vec::with_capacity(live + more + live / 8);
        let mut move_row = |client: Client, at: &mut u32| {
            let octets = from.get(*at as usize..).unwrap_or_default();
            let length = RowView::read(client, octets).map_or(0, |(_, length)| length);
            // No more than there was, which could be said.
            *at = arena.len() as u32;
            arena.extend_from_slice(octets.get(..length).unwrap_or_default());
        };
        for (ip, at) in self.v4.keys.iter().zip(&mut self.v4.at) {
            move_row(Client::V4(*ip), at);
        }
        for (top, at) in self.v6.keys.iter().zip(&mut self.v6.at) {
            move_row(Client::V6(*top), at);
        }
        self.arena = arena;
        self.garbage = 0;
    }

    /// Every row: IPv4 before IPv6, ascending.
    pub(super) fn rows(&self) -> impl Iterator<Item = RowView<'_>> {
        self.clients().filter_map(|client| self.row(client))
    }

    /// Every client, in the order of `rows`.
    pub(super) fn clients(&self) -> impl Iterator<Item = Client> {
        let v4 = self.v4.keys.iter().map(|ip| Client::V4(*ip));
        v4.chain(self.v6.keys.iter().map(|top| Client::V6(*top)))
    }

    /// How many clients it holds, by family of address.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.v4.keys.len(), self.v6.keys.len())
    }

    /// The octets of a row as stored.
    pub(super) fn octets(&self, client: Client) -> &[u8] {
        let octets = self.place(client).and_then(|at| self.arena.get(at..)).unwrap_or_default();
        let length = RowView::read(client, octets).map_or(0, |(_, length)| length);
        octets.get(..length).unwrap_or_default()
    }

    /// The clients of a network, ascending.
    pub(super) fn clients_of(&self, network: Network) -> impl ExactSizeIterator<Item = Client> {
        let (v4, v6): (&[u32], &[u64]) = match network {
            Network::V4(ip) => (self.v4.range(ip, ip | 0xFF), &[]),
            Network::V6(top) => (&[], self.v6.range(top, top | 0xFFFF)),
        };
        Members { v4: v4.iter(), v6: v6.iter() }
    }

    /// Octets of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.v4.bytes() + self.v6.bytes() + self.arena.capacity()
    }
}

/// The clients of a network.
struct Members<'a> {
    v4: std::slice::Iter<'a, u32>,
    v6: std::slice::Iter<'a, u64>,
}

impl Iterator for Members<'_> {
    type Item = Client;

    fn next(&mut self) -> Option<Client> {
        let v4 = self.v4.next().map(|ip| Client::V4(*ip));
        v4.or_else(|| self.v6.next().map(|top| Client::V6(*top)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.v4.len() + self.v6.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Members<'_> {}

//! The resident tables: every live history, in memory, read without waiting for a disk.
//!
//! Clients are the truth (`part`): each row holds the client's pairs as each reporter saw them. Three
//! indexes follow from it (`index`): which clients said a name, which said a name of a family, and which
//! domains have names below them. Each table is cut into parts with a lock of their own, so that a commit
//! holds up one reader in thousands, for microseconds; the parts of the client table are also shards
//! that the store keeps. There is one writer at a time, and whoever holds the lock of an index takes
//! no other.
//!
//! What must be forgotten for lack of room or for age goes in a sweep: its rule is set at once and holds
//! from then on, part by part, before anything else happens to a part. So a sweep of a large ledger
//! takes its time in the background, and still the result is the same as if it had taken none. Crowds,
//! which are few, are swept when the rule is set.

use std::collections::{BTreeSet, HashMap, HashSet};

use parking_lot::{Mutex, RwLock};

use foldhash::fast::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::client::{Client, Network};
use crate::ledger::batch::CrowdTold;
use crate::ledger::bounds::Worth;
use crate::ledger::codec::{DecodeError, Reader, Writer};
use crate::ledger::distinct::Count;
use crate::ledger::hash::{hash_network, hash_text};
use crate::ledger::index::{Appender, Crowd, Index, Inserted, SuffixAppender, Suffixes};
use crate::ledger::op::{CrowdOf, Said};
use crate::ledger::part::{Forgotten, Part};
use crate::ledger::row::{self, Beside, Cell, Change, Context, PairView, Rewriter, RowView};
use crate::name::{Name, NameRef};
use crate::time::Day;

/// Parts of the client table, and as many shards of the store; part of the stored layout.
pub(super) const PARTS: u16 = 4096;
/// Shards of crowds, after those of clients; part of the stored layout.
const CROWD_SHARDS: u16 = 256;
/// All shards.
pub(super) const SHARDS: u16 = PARTS + CROWD_SHARDS;

/// Of so many pairs all are looked at to find what the least is worth.
const ALL_LOOKED_AT: usize = 65_536;

/// A rule by which pairs are forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Those worth less go.
    pub worth: Worth,
    /// Those last seen before this day go.
    pub before: Day,
}

/// Whom or what to forget on request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A client, with all its pairs.
    Client(Client),
    /// All clients of a network.
    Network(Network),
    /// A name, wherever it was said.
    Name(Name),
    /// All names of a family.
    Family(String),
}

/// All resident tables.
pub(super) struct Tables {
    parts: Vec<RwLock<Part>>,
    names: Index,
    families: Index,
    suffixes: Suffixes,
    /// True once there is any crowd.
    crowds: AtomicBool,
    sweep: Mutex<Sweep>,
    /// The next part that the sweep in force comes to.
    unswept_from: AtomicUsize,
    rewriter: Mutex<Rewriter>,
    /// Octets of memory that they take while nothing is in them.
    empty: usize,
    /// Shards of crowds that changed since they were asked for.
    changed_crowds: Mutex<Vec<u16>>,
    /// Texts with more clients than may be held of them, of which no crowd was made yet.
    full: Mutex<Full>,
}

/// Texts of which crowds are to be made.
#[derive(Debug, Default)]
struct Full {
    names: BTreeSet<Name>,
    families: BTreeSet<Box<str>>,
}

/// How many rows the tables hold, and how much memory they take.
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
    /// Distinct families.
    pub families: usize,
    /// Names and families said by more clients than are held of them.
    pub crowds: usize,
    /// Octets of memory of all tables and indexes.
    pub bytes: usize,
}

/// What is told of the clients that said a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sayers {
    /// Clients, those of most worth first if not all are held.
    pub clients: Vec<Client>,
    /// How many clients said it, within the days that are kept.
    pub known: Count,
    /// In how many networks.
    pub networks: Count,
}

impl Tables {
    pub(super) fn new() -> Self {
        let key = |n: u64| RandomState::default().hash_one(n);
        let mut tables = Self {
            parts: (0..PARTS).map(|_| RwLock::default()).collect(),
            names: Index::new(key(1)),
            families: Index::new(key(2)),
            suffixes: Suffixes::new(key(3)),
            crowds: AtomicBool::new(false),
            sweep: Mutex::default(),
            unswept_from: AtomicUsize::new(usize::from(PARTS)),
            rewriter: Mutex::default(),
            changed_crowds: Mutex::default(),
            full: Mutex::default(),
            empty: 0,
        };
        tables.empty = tables.sizes().bytes;
        tables
    }

    /// Octets of memory that they take while nothing is in them.
    pub(super) fn empty_bytes(&self) -> usize {
        self.empty
    }

    fn part(&self, client: Client) -> &RwLock<Part> {
        &self.parts[shard_of(client)]
    }

    /// Merges what a batch brings of one client: cells sorted by name and reporter. What crowds must know of
    /// it is told by `note`.
    pub(super) fn merge(
        &self,
        client: Client,
        cells: &[Cell<'_>],
        beside: Beside<'_>,
        context: Context<'_>,
    ) {
        self.sweep_part(shard_of(client), context);
        let crowds = self.crowds.load(Ordering::Relaxed);
        let wants_touched = |name: &NameRef<'_>| {
            crowds
                && (self.names.is_crowd(name.text())
                    || name.family().is_some_and(|family| self.families.is_crowd(family)))
        };
        let change = {
            // Whoever has the rewriter is the one who writes: nothing changes until the row is put in its
            // place, and readers wait for that alone.
            let rewriter = &mut *self.rewriter.lock();
            let place = self.part(client);
            let change = {
                let part = place.read();
                let old = part.row(client);
                if old.is_none() && cells.is_empty() {
                    return;
                }
                rewriter.merge(client, old, cells, beside, context, &wants_touched)
            };
            tidy(place, rewriter.row.len());
            let mut part = place.write();
            part.set_row(client, &rewriter.row);
            part.forget(Forgotten::Client, change.lost);
            change
        };
        self.index(client, &change, context);
    }

    /// Brings the indexes up to what changed in a client's row.
    fn index(&self, client: Client, change: &Change, context: Context<'_>) {
        for name in &change.added {
            self.enter(client, name, context);
            if name.is_fqdn() {
                self.suffixes.add(name.text());
            }
        }
        for touched in &change.touched {
            self.list(client, &touched.name, touched.worth, &|| Some(touched.best), context);
        }
        self.unindex(client, change);
    }

    /// Enters a client under a name and its family.
    fn enter(&self, client: Client, name: &Name, context: Context<'_>) {
        let bound = context.bounds.clients_per_name;
        if self.names.insert(name.text(), client, bound) == Inserted::Full {
            self.full.lock().names.insert(name.clone());
        }
        let Some(family) = name.family() else { return };
        if self.families.insert(family, client, bound) == Inserted::Full {
            self.full.lock().families.insert(family.into());
        }
    }

    /// Tells the crowds of a name what the pair is worth. `best` knows it of the best pair of its family.
    fn list(
        &self,
        client: Client,
        name: &Name,
        worth: Worth,
        best: &dyn Fn() -> Option<Worth>,
        context: Context<'_>,
    ) {
        let bound = context.bounds.clients_per_name;
        if self.names.list(name.text(), client, worth, bound) {
            self.note_crowd(name.text());
        }
        let Some(family) = name.family() else { return };
        let mut worth = worth;
        // In the crowd of a family a client counts for the best of its pairs, which may be another.
        if self.families.listed(family, client).is_some_and(|listed| listed > worth) {
            worth = best().unwrap_or(worth);
        }
        if self.families.list(family, client, worth, bound) {
            self.note_crowd(family);
        }
    }

    /// Tells the crowds of a name that a client said it on a day. `lacks` says whether the shard of a crowd is
    /// still to be told.
    pub(super) fn note(
        &self,
        client: Client,
        name: NameRef<'_>,
        day: Day,
        lacks: &dyn Fn(u16) -> bool,
    ) {
        if !self.crowds.load(Ordering::Relaxed) {
            return;
        }
        let note = |index: &Index, text: &str| {
            if lacks(crowd_shard_of(text)) && index.note(text, client, day) {
                self.note_crowd(text);
            }
        };
        note(&self.names, name.text());
        if let Some(family) = name.family() {
            note(&self.families, family);
        }
    }

    fn unindex(&self, client: Client, change: &Change) {
        for (name, family_gone) in &change.removed {
            if self.names.remove(name.text(), client) {
                self.note_crowd(name.text());
            }
            let Some(family) = name.family() else { continue };
            if *family_gone && self.families.remove(family, client) {
                self.note_crowd(family);
            }
            self.suffixes.remove(name.text());
        }
    }

    fn note_crowd(&self, text: &str) {
        let mut changed = self.changed_crowds.lock();
        let shard = crowd_shard_of(text);
        if !changed.contains(&shard) {
            changed.push(shard);
        }
    }

    /// The shards of crowds that changed since this was last asked.
    pub(super) fn take_changed_crowds(&self) -> Vec<u16> {
        std::mem::take(&mut *self.changed_crowds.lock())
    }

    /// Takes in what another ledger knew of a crowd: the text is one from then on, however few the clients are
    /// that are held of it.
    pub(super) fn merge_crowd(&self, told: &CrowdTold, context: Context<'_>) {
        let CrowdTold { what, text, clients, networks } = told;
        let index = if *what == 0 { &self.names } else { &self.families };
        if !index.is_crowd(text) {
            if *what == 0 {
                self.gather_name(&Name::parse(text.as_bytes()), None, context);
            } else {
                self.gather_family(text, None, context);
            }
        }
        index.merge_crowd(text, clients, networks);
        self.note_crowd(text);
    }

    /// Makes crowds of the texts that have too many clients. This is done after all of a journal entry, so
    /// that a crowd follows from the rows as they are then, and from nothing that is on its way. Returns the
    /// shards of the new crowds.
    pub(super) fn gather_full(&self, context: Context<'_>) -> Vec<u16> {
        let full = std::mem::take(&mut *self.full.lock());
        let beyond = Some(context.bounds.clients_per_name);
        let mut shards = Vec::new();
        for name in full.names {
            shards.extend(self.gather_name(&name, beyond, context));
        }
        for family in full.families {
            shards.extend(self.gather_family(&family, beyond, context));
        }
        shards
    }

    /// Makes a crowd of a name that more than so many clients said, or of any.
    fn gather_name(&self, name: &Name, beyond: Option<usize>, context: Context<'_>) -> Option<u16> {
        let said = |row: RowView<'_>| {
            let pair = row.pair(name)?;
            let worth = pair.worth(row.client(), context.kinds, context.bounds.key);
            Some((worth, pair.last().day()))
        };
        self.gather(&self.names, name.text(), &said, beyond, context)
    }

    fn gather_family(
        &self,
        family: &str,
        beyond: Option<usize>,
        context: Context<'_>,
    ) -> Option<u16> {
        let said = |row: RowView<'_>| worth_of_family(row, family, context);
        self.gather(&self.families, family, &said, beyond, context)
    }

    fn gather(
        &self,
        index: &Index,
        text: &str,
        said: &dyn Fn(RowView<'_>) -> Option<(Worth, Day)>,
        beyond: Option<usize>,
        context: Context<'_>,
    ) -> Option<u16> {
        let entered = index.entered(text)?;
        if beyond.is_some_and(|beyond| entered <= beyond) {
            return None;
        }
        let mut found = Vec::new();
        for client in index.clients(text, Day::default()).0 {
            // What a sweep is about to take is not there any more.
            self.sweep_part(shard_of(client), context);
            // Some may only share its fingerprint.
            if let Some((worth, day)) = self.client(client, |row| said(row?)) {
                found.push((client, worth, day));
            }
        }
        if beyond.is_some_and(|beyond| found.len() <= beyond) {
            return None;
        }
        index.gather(text, &found, context.bounds.clients_per_name);
        self.crowds.store(true, Ordering::Relaxed);
        self.note_crowd(text);
        Some(crowd_shard_of(text))
    }

    /// Tells the crowds of a name what the client's row knows of it. For a reader of the journal that finds
    /// the row done and a crowd not; or swept away since the row was read, so that it must be entered.
    pub(super) fn list_again(&self, client: Client, name: &Name, context: Context<'_>) {
        if !self.crowds.load(Ordering::Relaxed) {
            return;
        }
        let worth = self.client(client, |row| {
            Some(row?.pair(name)?.worth(client, context.kinds, context.bounds.key))
        });
        if let Some(worth) = worth {
            let best = || {
                let family = name.family()?;
                let found = self.client(client, |row| worth_of_family(row?, family, context));
                found.map(|(worth, _)| worth)
            };
            self.enter(client, name, context);
            self.list(client, name, worth, &best, context);
        }
    }

    /// Sets a rule for what must be forgotten. Finishes the one before.
    pub(super) fn start_sweep(&self, sweep: Sweep, context: Context<'_>) {
        self.sweep_parts(usize::from(PARTS), context);
        *self.sweep.lock() = sweep;
        for part in &self.parts {
            part.write().unswept = true;
        }
        self.unswept_from.store(0, Ordering::Relaxed);
        self.sweep_crowds(sweep, &|_| true);
    }

    fn sweep_crowds(&self, sweep: Sweep, wanted: &dyn Fn(u16) -> bool) {
        for index in [&self.names, &self.families] {
            index.sweep_crowds(sweep.before, &|text| wanted(crowd_shard_of(text)));
        }
    }

    /// Does a whole sweep at once, in the shards that are wanted.
    pub(super) fn sweep_now(
        &self,
        sweep: Sweep,
        context: Context<'_>,
        wanted: &dyn Fn(u16) -> bool,
    ) {
        *self.sweep.lock() = sweep;
        for (place, part) in (0..PARTS).zip(&self.parts) {
            part.write().unswept = wanted(place);
        }
        self.unswept_from.store(0, Ordering::Relaxed);
        self.sweep_crowds(sweep, wanted);
        self.sweep_parts(usize::from(PARTS), context);
    }

    /// Goes on with the sweep in force, for so many parts; false if there is none.
    pub(super) fn sweep_parts(&self, parts: usize, context: Context<'_>) -> bool {
        let from = self.unswept_from.load(Ordering::Relaxed);
        let to = from.saturating_add(parts).min(usize::from(PARTS));
        for place in from..to {
            self.sweep_part(place, context);
        }
        self.unswept_from.store(to, Ordering::Relaxed);
        from < to
    }

    /// Goes on with the sweep in force to its end.
    pub(super) fn finish_sweep(&self, context: Context<'_>) {
        self.sweep_parts(usize::from(PARTS), context);
    }

    /// Sweeps a part if that is still to be done.
    fn sweep_part(&self, place: usize, context: Context<'_>) {
        let Some(part) = self.parts.get(place).filter(|part| part.read().unswept) else { return };
        let Sweep { worth: least, before } = *self.sweep.lock();
        let goes = |client: Client, pair: &PairView<'_>| {
            if pair.last().day() < before {
                return Some(Forgotten::Age);
            }
            let worthless = least > Worth::default()
                && pair.worth(client, context.kinds, context.bounds.key) < least;
            worthless.then_some(Forgotten::Memory)
        };
        let changes = {
            let rewriter = &mut *self.rewriter.lock();
            let changes = replace(part, |part| part.without(rewriter, &goes, None));
            part.write().unswept = false;
            changes
        };
        for (client, change) in changes {
            self.unindex(client, &change);
        }
    }

    /// Forgets somebody on request, wherever it is told of; `from` says which shards are still to forget.
    pub(super) fn forget(&self, target: &Target, context: Context<'_>, from: &dyn Fn(u16) -> bool) {
        self.sweep_parts(usize::from(PARTS), context);
        let wanted = |client: Client, pair: &PairView<'_>| match target {
            Target::Client(whom) => client == *whom,
            Target::Network(whom) => client.network() == *whom,
            Target::Name(what) => pair.name == what.view(),
            Target::Family(what) => pair.name.family() == Some(what),
        };
        let goes = |client: Client, pair: &PairView<'_>| {
            wanted(client, pair).then_some(Forgotten::Request)
        };
        let names = |name: &Name| match target {
            Target::Name(what) => name == what,
            Target::Family(what) => name.family() == Some(what),
            Target::Client(_) | Target::Network(_) => false,
        };
        for place in (0..PARTS).filter(|place| from(*place)) {
            let Some(part) = self.parts.get(usize::from(place)) else { continue };
            let changes = {
                let rewriter = &mut *self.rewriter.lock();
                replace(part, |part| part.without(rewriter, &goes, Some(&names)))
            };
            for (client, change) in changes {
                self.unindex(client, &change);
            }
        }
        let forget_crowd = |index: &Index, text: &str| {
            if from(crowd_shard_of(text)) && index.remove_crowd(text) {
                self.note_crowd(text);
            }
        };
        match target {
            Target::Name(name) => forget_crowd(&self.names, name.text()),
            Target::Family(family) => {
                forget_crowd(&self.families, family);
                let of_family =
                    |text: &str| Name::parse(text.as_bytes()).family() == Some(family.as_str());
                for (text, _) in self.names.crowds(&of_family) {
                    forget_crowd(&self.names, &text);
                }
            }
            Target::Client(_) | Target::Network(_) => {}
        }
    }

    /// Octets of memory that crowds take.
    pub(super) fn crowd_bytes(&self) -> usize {
        self.names.crowd_bytes() + self.families.crowd_bytes()
    }

    /// Crowds of which so few clients are held by now that they need be none.
    pub(super) fn sparse_crowds(&self, context: Context<'_>) -> Vec<CrowdOf> {
        self.finish_sweep(context);
        let most = context.bounds.clients_per_name / 2;
        let names = self.names.sparse_crowds(most).into_iter().map(CrowdOf::Name);
        let families = self.families.sparse_crowds(most).into_iter().map(CrowdOf::Family);
        let crowds: Vec<_> = names.chain(families).collect();
        // Some are held that are not listed.
        let places: HashMap<_, _> =
            crowds.iter().enumerate().map(|(place, crowd)| (crowd.said(), place)).collect();
        let mut held = vec![0; crowds.len()];
        if !crowds.is_empty() {
            self.each_saying(&mut |_, said| {
                if let Some(held) = places.get(&said).and_then(|place| held.get_mut(*place)) {
                    *held += 1;
                }
            });
        }
        let counted = crowds.iter().zip(held);
        let mut sparse: Vec<_> =
            counted.filter(|(_, held)| *held <= most).map(|(crowd, _)| crowd.clone()).collect();
        sparse.sort_unstable();
        sparse
    }

    /// Makes ordinary texts of crowds. `wanted` says which shards of crowds are still to do so.
    pub(super) fn dissolve(
        &self,
        crowds: &[CrowdOf],
        context: Context<'_>,
        wanted: &dyn Fn(u16) -> bool,
    ) {
        self.finish_sweep(context);
        for crowd in crowds {
            let (index, text) = self.index_of(crowd.said());
            if wanted(crowd_shard_of(text)) && index.remove_crowd(text) {
                self.note_crowd(text);
            }
        }
        let crowds: HashSet<_> = crowds.iter().map(CrowdOf::said).collect();
        let bound = context.bounds.clients_per_name;
        self.each_saying(&mut |client, said| {
            if crowds.contains(&said) {
                let (index, text) = self.index_of(said);
                index.insert(text, client, bound);
            }
        });
    }

    fn index_of<'a>(&self, said: Said<'a>) -> (&Index, &'a str) {
        match said {
            Said::Name(text) => (&self.names, text),
            Said::Family(text) => (&self.families, text),
        }
    }

    /// Tells of every client each name, and each family once.
    fn each_saying(&self, tell: &mut dyn FnMut(Client, Said<'_>)) {
        for part in &self.parts {
            for row in part.read().rows() {
                let mut families = BTreeSet::new();
                for pair in row.pairs() {
                    tell(row.client(), Said::Name(pair.name.text()));
                    families.extend(pair.name.family());
                }
                for family in families {
                    tell(row.client(), Said::Family(family));
                }
            }
        }
    }

    /// What the least of the pairs is worth that may stay if this share of them is to go. Looks at every
    /// client of a small ledger and at one in sixteen of a large one; not at some parts, since the pairs
    /// that fill a ledger may all be in one network.
    pub(super) fn worth_at(&self, share: f64, context: Context<'_>) -> Worth {
        let pairs: usize = self.parts.iter().map(|part| part.read().pairs).sum();
        let step = (pairs / ALL_LOOKED_AT).clamp(1, 16);
        let mut worths = Vec::with_capacity(pairs / step);
        let mut number = 0;
        for part in &self.parts {
            let part = part.read();
            for client in part.clients() {
                number += 1;
                if number % step != 0 {
                    continue;
                }
                let pairs = part.row(client).into_iter().flat_map(|row| row.pairs());
                worths.extend(
                    pairs.map(|pair| pair.worth(client, context.kinds, context.bounds.key)),
                );
            }
        }
        if worths.is_empty() {
            return Worth::default();
        }
        let place = (worths.len() as f64 * share) as usize;
        let place = place.min(worths.len() - 1);
        *worths.select_nth_unstable(place).1
    }

    /// Lets `read` look at a client's row.
    pub(super) fn client<R>(
        &self,
        client: Client,
        read: impl FnOnce(Option<RowView<'_>>) -> R,
    ) -> R {
        read(self.part(client).read().row(client))
    }

    /// The clients that said a name.
    pub(super) fn clients_of_name(&self, name: &Name, today: Day) -> Sayers {
        let says = |row: RowView<'_>| row.pair(name).is_some();
        self.sayers(&self.names, name.text(), &says, today)
    }

    /// The clients that said a name of a family.
    pub(super) fn clients_of_family(&self, family: &str, today: Day) -> Sayers {
        let says = |row: RowView<'_>| row.pairs().any(|pair| pair.name.family() == Some(family));
        self.sayers(&self.families, family, &says, today)
    }

    /// Clients under a name that are `wanted`; see [`Index::some_clients`].
    pub(super) fn some_of_name(&self, name: &Name, wanted: impl Fn(Client) -> bool) -> Vec<Client> {
        self.names.some_clients(name.text(), wanted)
    }

    /// The same of a family.
    pub(super) fn some_of_family(
        &self,
        family: &str,
        wanted: impl Fn(Client) -> bool,
    ) -> Vec<Client> {
        self.families.some_clients(family, wanted)
    }

    /// How many clients said a name of a family.
    pub(super) fn size_of_family(&self, family: &str, today: Day) -> u64 {
        self.families.said_by(family, today)
    }

    fn sayers(
        &self,
        index: &Index,
        text: &str,
        says: &dyn Fn(RowView<'_>) -> bool,
        today: Day,
    ) -> Sayers {
        let (mut clients, counts) = index.clients(text, today);
        clients.retain(|client| self.client(*client, |row| row.is_some_and(says)));
        let (known, networks) = counts.unwrap_or_else(|| {
            let networks: HashSet<_> = clients.iter().map(|client| client.network()).collect();
            let exactly = |n: usize| Count { n: n as u64, exact: true };
            (exactly(clients.len()), exactly(networks.len()))
        });
        Sayers { clients, known, networks }
    }

    /// How many networks, or clients, said a name within so many days, if it is a crowd.
    pub(super) fn crowd<R>(&self, name: &Name, look: impl FnOnce(&Crowd) -> R) -> Option<R> {
        self.names.crowd(name.text(), look)
    }

    /// The clients seen in a network, at most `limit` of them, and how many there are.
    pub(super) fn clients_of_network(
        &self,
        network: Network,
        limit: usize,
    ) -> (Vec<Client>, usize) {
        let part = self.parts[shard_of_network(network)].read();
        let clients = part.clients_of(network);
        let known = clients.len();
        (clients.take(limit).collect(), known)
    }

    /// True if some name lies strictly below this domain.
    pub(super) fn has_names_below(&self, domain: &str) -> bool {
        self.suffixes.has(domain)
    }

    /// How many rows the tables hold.
    pub(super) fn sizes(&self) -> Sizes {
        let mut sizes = Sizes {
            names: self.names.texts(),
            families: self.families.texts(),
            crowds: self.names.crowd_count() + self.families.crowd_count(),
            bytes: self.names.bytes() + self.families.bytes() + self.suffixes.bytes(),
            ..Sizes::default()
        };
        for part in &self.parts {
            let part = part.read();
            let (v4, v6) = part.counts();
            sizes.clients += v4 + v6;
            sizes.networks += part.networks;
            sizes.pairs += part.pairs;
            sizes.bytes += part.bytes();
        }
        sizes
    }

    /// How many pairs were forgotten, in the order of `Forgotten::ALL`.
    pub(super) fn forgotten(&self) -> [u64; 4] {
        let mut sum = [0; 4];
        for part in &self.parts {
            for (sum, n) in sum.iter_mut().zip(part.read().forgotten) {
                *sum += n;
            }
        }
        sum
    }

    /// Lets `read` look at every row, in the order of clients. Holds no lock for longer than one row takes.
    pub(super) fn each_row(&self, read: &mut dyn FnMut(RowView<'_>)) {
        self.each_client(&mut |client| {
            self.client(client, |row| row.into_iter().for_each(&mut *read));
            true
        });
    }

    /// Tells `visit` every client, in order, and goes on until it says no. Holds no lock meanwhile.
    pub(super) fn each_client(&self, visit: &mut dyn FnMut(Client) -> bool) {
        // All at once if they are not too many to sort, else by first octets.
        let all = self.parts.iter().map(|part| part.read().counts()).map(|(v4, v6)| v4 + v6);
        let steps = if all.sum::<usize>() < 500_000 { 1 } else { 512 };
        for step in 0..steps {
            let mut clients = Vec::new();
            for part in &self.parts {
                let part = part.read();
                if steps == 1 {
                    clients.extend(part.clients());
                } else {
                    part.clients_between(step, &mut clients);
                }
            }
            clients.sort_unstable();
            for client in clients {
                if !visit(client) {
                    return;
                }
            }
        }
    }

    /// At least the `n` names that most clients said, with how many, in any order.
    pub(super) fn most_said(&self, n: usize, today: Day) -> Vec<(Box<str>, Count)> {
        let mut said: Vec<_> =
            self.names.crowds(&|_| true).into_iter().map(|(text, _)| text).collect();
        for (place, client) in self.names.longest(n) {
            self.client(client, |row| {
                let pairs = row.into_iter().flat_map(|row| row.pairs());
                let mut texts = pairs.map(|pair| pair.name.text());
                said.extend(texts.find(|text| self.names.is_at(text, place)).map(Into::into));
            });
        }
        let count = |text: Box<str>| {
            let known = self.clients_of_name(&Name::parse(text.as_bytes()), today).known;
            (text, known)
        };
        said.into_iter().map(count).collect()
    }

    /// Every crowd: what it is (0 a name, 1 a family), its text, and itself; ascending.
    pub(super) fn crowds(&self) -> Vec<(u8, Box<str>, Crowd)> {
        self.wanted_crowds(&|_| true)
    }

    fn wanted_crowds(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<(u8, Box<str>, Crowd)> {
        let mut crowds = Vec::new();
        for (what, index) in [(0, &self.names), (1, &self.families)] {
            let of = index.crowds(wanted).into_iter();
            crowds.extend(of.map(|(text, crowd)| (what, text, crowd)));
        }
        crowds.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        crowds
    }

    /// A shard as it is stored, through the last commit; `reporters` are those it may speak of.
    pub(super) fn encode(
        &self,
        shard: u16,
        through: u64,
        reporters: usize,
        context: Context<'_>,
    ) -> Vec<u8> {
        let mut writer = Writer::begin();
        writer.varint(through);
        if shard >= PARTS {
            let mut crowds = Vec::new();
            if self.crowds.load(Ordering::Relaxed) {
                crowds = self.wanted_crowds(&|text| crowd_shard_of(text) == shard);
            }
            writer.count(crowds.len());
            for (what, text, crowd) in &crowds {
                writer.octet(*what);
                writer.bytes(text.as_bytes());
                writer.count(crowd.listed.len());
                for (client, worth) in &crowd.listed {
                    writer.client(*client);
                    writer.u64(worth.0);
                }
                writer.sketch(&crowd.clients);
                writer.sketch(&crowd.networks);
            }
            return writer.finish();
        }
        self.sweep_part(usize::from(shard), context);
        let Some(part) = self.parts.get(usize::from(shard)) else { return writer.finish() };
        let part = part.read();
        writer.count(reporters);
        for n in part.forgotten {
            writer.varint(n);
        }
        part.write_rows(&mut writer);
        drop(part);
        writer.finish()
    }

    /// Reads a shard into the empty tables; `settle` must follow. Returns the last journal entry it includes,
    /// and how many reporters it needs.
    pub(super) fn admit(
        &self,
        shard: u16,
        record: &[u8],
        to: &mut Admission<'_>,
    ) -> Result<(u64, usize), DecodeError> {
        let read = read_shard(
            shard,
            record,
            &mut |client, name| to.append(client, name),
            &mut |what, text, crowd| self.put_crowd(what, text, crowd),
        )?;
        if let Some(place) = self.parts.get(usize::from(shard)) {
            *place.write() = read.part;
        }
        Ok((read.through, read.reporters))
    }

    fn put_crowd(&self, what: u8, text: &str, crowd: Crowd) {
        let index = if what == 0 { &self.names } else { &self.families };
        index.put_crowd(text, crowd, &[]);
        self.crowds.store(true, Ordering::Relaxed);
    }

    /// The way into the indexes for one of the workers that admit shards.
    pub(super) fn admission(&self) -> Admission<'_> {
        Admission {
            names: Appender::new(&self.names),
            families: Appender::new(&self.families),
            suffixes: SuffixAppender::new(&self.suffixes),
        }
    }

    /// Puts the indexes in order after shards were admitted; `workers` threads do it. `gather_full` must follow
    /// once all rows are as of one moment.
    pub(super) fn settle(&self, workers: usize, context: Context<'_>) {
        let bound = context.bounds.clients_per_name;
        let full = Mutex::new((Vec::new(), Vec::new()));
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let full = &full;
                scope.spawn(move || {
                    let names = self.names.settle(worker, workers, bound);
                    let families = self.families.settle(worker, workers, bound);
                    self.suffixes.settle(worker, workers);
                    let mut full = full.lock();
                    full.0.extend(names);
                    full.1.extend(families);
                });
            }
        });
        let (names, families) = full.into_inner();
        let full = &mut *self.full.lock();
        for client in names {
            let too_many = |name: &Name| self.names.entered(name.text()) > Some(bound);
            full.names.extend(self.names_of(client).into_iter().filter(too_many));
        }
        for client in families {
            for name in self.names_of(client) {
                if let Some(family) = name.family()
                    && self.families.entered(family) > Some(bound)
                {
                    full.families.insert(family.into());
                }
            }
        }
    }

    fn names_of(&self, client: Client) -> Vec<Name> {
        self.client(client, |row| {
            row.map(|row| row.pairs().map(|pair| pair.name.to_name()).collect()).unwrap_or_default()
        })
    }
}

/// What one worker that admits shards has gathered for the indexes.
pub(super) struct Admission<'a> {
    names: Appender<'a>,
    families: Appender<'a>,
    suffixes: SuffixAppender<'a>,
}

impl Admission<'_> {
    fn append(&mut self, client: Client, name: &Name) {
        self.names.append(name.text(), client);
        if let Some(family) = name.family() {
            self.families.append(family, client);
            self.suffixes.append(name.text());
        }
    }
}

/// What a stored shard holds.
pub(super) struct ReadShard {
    /// The last journal entry it includes.
    pub(super) through: u64,
    /// How many reporters it needs.
    pub(super) reporters: usize,
    /// Its rows; none if it is one of crowds.
    pub(super) part: Part,
}

/// Reads a shard, and tells of every name in it and of every crowd.
pub(super) fn read_shard(
    shard: u16,
    record: &[u8],
    name: &mut dyn FnMut(Client, &Name),
    crowd: &mut dyn FnMut(u8, &str, Crowd),
) -> Result<ReadShard, DecodeError> {
    let mut reader = Reader::new(record)?;
    let through = reader.varint()?;
    let mut part = Part::default();
    if shard >= PARTS {
        for _ in 0..reader.count()? {
            read_crowd(shard, &mut reader, crowd)?;
        }
        reader.finish()?;
        return Ok(ReadShard { through, reporters: 0, part });
    }
    let reporters = reader.small()?;
    for n in &mut part.forgotten {
        *n = reader.varint()?;
    }
    let mut before = None;
    for v6 in [false, true] {
        let n = reader.count()?;
        part.expect(v6, n, reader.rest().len());
        let mut number = 0u64;
        for _ in 0..n {
            number = number.checked_add(reader.varint()?).ok_or(DecodeError::Malformed)?;
            let client = if v6 {
                Client::V6(number)
            } else {
                Client::V4(u32::try_from(number).map_err(|_| DecodeError::Malformed)?)
            };
            // In a wrong place it would not be found, or be there twice.
            if shard_of(client) != usize::from(shard) || before >= Some(client) {
                return Err(DecodeError::Malformed);
            }
            before = Some(client);
            let needed = part.admit(client, |arena| {
                row::admit(client, &mut reader, arena, &mut |said| name(client, said))
            })?;
            if needed > reporters {
                return Err(DecodeError::Malformed);
            }
        }
    }
    reader.finish()?;
    Ok(ReadShard { through, reporters, part })
}

fn read_crowd(
    shard: u16,
    reader: &mut Reader<'_>,
    found: &mut dyn FnMut(u8, &str, Crowd),
) -> Result<(), DecodeError> {
    let what = reader.octet()?;
    let text = reader.text()?;
    let mut crowd = Crowd::default();
    for _ in 0..reader.count()? {
        crowd.listed.push((reader.client()?, Worth(reader.u64()?)));
    }
    crowd.clients = reader.sketch()?;
    crowd.networks = reader.sketch()?;
    let sorted = crowd.listed.is_sorted_by(|(a, _), (b, _)| a < b);
    if what > 1 || !sorted || crowd_shard_of(text) != shard {
        return Err(DecodeError::Malformed);
    }
    found(what, text, crowd);
    Ok(())
}

/// True if a shard is one of crowds.
pub(super) fn is_of_crowds(shard: u16) -> bool {
    shard >= PARTS
}

/// Puts another part in the place of one, if there is one, and returns what it has changed. The other one is made
/// and the old one dropped while readers read: they wait for the exchange alone.
fn replace(
    place: &RwLock<Part>,
    other: impl FnOnce(&Part) -> Option<(Part, Vec<(Client, Change)>)>,
) -> Vec<(Client, Change)> {
    let found = other(&place.read());
    let Some((mut part, changes)) = found else { return Vec::new() };
    std::mem::swap(&mut *place.write(), &mut part);
    changes
}

/// Sees to it that a part has room for so many octets, in the same way.
fn tidy(place: &RwLock<Part>, more: usize) {
    let tidied = place.read().tidied(more);
    if let Some(mut part) = tidied {
        std::mem::swap(&mut *place.write(), &mut part);
    }
}

/// What the best pair of a family is worth, and the day on which any of them was last seen.
fn worth_of_family(row: RowView<'_>, family: &str, context: Context<'_>) -> Option<(Worth, Day)> {
    let mut said: Option<(Worth, Day)> = None;
    for pair in row.pairs().filter(|pair| pair.name.family() == Some(family)) {
        let day = pair.last().day();
        // To say what a pair is worth costs more than all else, and a client may say hundreds of names of a family.
        let (mut best, newest) = said.unwrap_or_default();
        if said.is_none() || Worth::most(day) > best {
            best = best.max(pair.worth(row.client(), context.kinds, context.bounds.key));
        }
        said = Some((best, newest.max(day)));
    }
    said
}

/// The shard a client lives in; part of the stored layout. All clients of a network live in one.
pub(super) fn shard_of(client: Client) -> usize {
    shard_of_network(client.network())
}

fn shard_of_network(network: Network) -> usize {
    (hash_network(network) % u64::from(PARTS)) as usize
}

/// The shard the crowd of a text is stored in; part of the stored layout.
pub(super) fn crowd_shard_of(text: &str) -> u16 {
    PARTS + (hash_text(0, text) % u64::from(CROWD_SHARDS)) as u16
}

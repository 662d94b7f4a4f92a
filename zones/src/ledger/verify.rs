//! Reading all of a store to see what of it is damaged, without taking any of it in.
//!
//! In goes a store (a closed ledger's, or a snapshot), out comes a [`Report`]: for each table how many records
//! there are, how many of them cannot be read, and what is wrong with each. Every record is read, its
//! checksum and layout checked, every row and crowd in it decoded; then the sequence is checked, as an opening
//! would: entries that are not there, shards older than the base record says, commits that are gone,
//! reporters without a name.
//!
//! Damage never ends it: the next record is read. Only where sled itself fails again and again
//! is the rest given up, and the report says so. It takes the memory of one record, and keeps the first
//! [`DAMAGE_TOLD`] findings; all are counted. Nothing is written.

use std::fmt;

use serde::Serialize;

use super::Ledger;
use super::bounds::Bounds;
use super::codec::{DecodeError, unpack};
use super::journal::{self, Base, Journal};
use super::store::{DATABASE, Key, MemoryStore, Store, StoreError};
use super::table::{SHARDS, is_of_crowds, read_shard};

/// How many findings are told one by one.
pub const DAMAGE_TOLD: usize = 1000;
/// So many records in a row that sled fails at are enough.
const GIVE_UP_AFTER: u32 = 8;

/// What was found in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The base record: positions, reporters, days.
    pub base: Table,
    /// The shards of clients.
    pub shards: Table,
    /// The shards of crowds.
    pub crowds: Table,
    /// Journal entries.
    pub journal: Table,
    /// Clients in the shards that can be read.
    pub clients: u64,
    /// Their pairs.
    pub pairs: u64,
    /// The last commit that any record knows of.
    pub last_entry: u64,
    /// How many things are wrong.
    pub damages: u64,
    /// The first of them.
    pub damage: Vec<Damage>,
}

/// How a table fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Records that are there, readable or not.
    pub records: u64,
    /// Records that cannot be read.
    pub damaged: u64,
    /// Octets of the readable ones, as stored.
    pub octets: u64,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What: a record, or what is missing.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read: {}", self.what, self.why)
    }
}

impl Report {
    /// The report of a store that cannot even be opened.
    pub fn unopened(error: &StoreError) -> Self {
        let mut report = Self::default();
        match error {
            StoreError::Damaged { what, why, .. } => report.note(what, why),
            other => report.note("the store", other),
        }
        report
    }

    /// True if nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.damages == 0
    }

    fn note(&mut self, what: impl ToString, why: impl ToString) {
        self.damages += 1;
        if self.damage.len() < DAMAGE_TOLD {
            self.damage.push(Damage { what: what.to_string(), why: why.to_string() });
        }
    }

    fn table(&mut self, key: Key) -> &mut Table {
        match key {
            Key::Base => &mut self.base,
            Key::Shard(shard) if is_of_crowds(shard) => &mut self.crowds,
            Key::Shard(_) => &mut self.shards,
            Key::Entry(_) => &mut self.journal,
        }
    }
}

/// Reads all of a store. `progress` is told how many of how many records are done.
pub fn check(store: &dyn Store, progress: &mut dyn FnMut(u64, u64)) -> Report {
    let mut check = Check {
        store,
        report: Report::default(),
        reader: Ledger::in_memory(Bounds::default()),
        journal: Journal::new(Box::new(MemoryStore)),
        failures: 0,
    };
    check.all(progress);
    check.report
}

/// A check under way.
struct Check<'a> {
    store: &'a dyn Store,
    report: Report,
    /// Learns the reporters, and nothing else.
    reader: Ledger,
    /// What entries are read against: as if every shard included them, so that none is taken in.
    journal: Journal,
    /// How many records in a row sled failed at.
    failures: u32,
}

impl Check<'_> {
    fn all(&mut self, progress: &mut dyn FnMut(u64, u64)) {
        let entries = self.store.entries().unwrap_or_else(|error| {
            self.unread("the list of journal entries", &error);
            Vec::new()
        });
        let total = 1 + u64::from(SHARDS) + entries.len() as u64;
        let mut done = 0;
        let mut step = || {
            done += 1;
            progress(done, total);
        };

        let mut base = Base::default();
        let base_damaged = match self.record(Key::Base, |check, record| {
            base = check.reader.read_base(&mut check.journal, record)?;
            Ok(())
        }) {
            Found::Sound | Found::Nothing => false,
            Found::Damaged => true,
        };
        step();
        let mut through = vec![0; usize::from(SHARDS)];
        let mut reporters = 0;
        for shard in 0..SHARDS {
            if self.gives_up() {
                return;
            }
            let found = self.record(Key::Shard(shard), |check, packed| {
                let read = read_shard(shard, &unpack(packed)?, &mut |_, _| {}, &mut |_, _, _| {})?;
                let (v4, v6) = read.part.counts();
                check.report.clients += (v4 + v6) as u64;
                check.report.pairs += read.part.pairs as u64;
                reporters = reporters.max(read.reporters);
                if let Some(place) = through.get_mut(usize::from(shard)) {
                    *place = read.through;
                }
                Ok(())
            });
            if found == Found::Damaged {
                // Told already; that it is not the newest would be no news.
                base.shards.retain(|(listed, _)| *listed != shard);
            }
            step();
        }
        self.journal.include_all();
        for seq in &entries {
            if self.gives_up() {
                return;
            }
            let found = self.record(Key::Entry(*seq), |check, entry| {
                check.reader.read_entry(&mut check.journal, *seq, entry, base.through)
            });
            if found == Found::Nothing {
                self.report.journal.records += 1;
                self.report.journal.damaged += 1;
                self.report.note(Key::Entry(*seq), DecodeError::Missing);
            }
            step();
        }
        let stored = through.iter().copied().max().unwrap_or(0);
        let last = entries.last().copied().unwrap_or(0);
        self.report.last_entry = base.through.max(stored).max(last);
        if base_damaged {
            // What the others lack cannot be told without it.
            return;
        }
        for what in journal::missing(&base, &through, &entries, self.store.committed()) {
            self.report.note(what, DecodeError::Missing);
        }
        if reporters > self.reader.reporters().len() {
            self.report.note("the name of a reporter", DecodeError::Missing);
        }
    }

    /// Reads one record.
    fn record(
        &mut self,
        key: Key,
        read: impl FnOnce(&mut Self, &[u8]) -> Result<(), DecodeError>,
    ) -> Found {
        let found = self.store.get(key);
        let why = match found {
            Ok(None) => {
                self.failures = 0;
                return Found::Nothing;
            }
            Ok(Some(record)) => {
                self.failures = 0;
                match read(self, &record) {
                    Ok(()) => {
                        let table = self.report.table(key);
                        table.records += 1;
                        table.octets += record.len() as u64;
                        return Found::Sound;
                    }
                    Err(why) => Err(why),
                }
            }
            Err(error) => Ok(error),
        };
        let table = self.report.table(key);
        table.records += 1;
        table.damaged += 1;
        match why {
            Ok(error) => self.unread(key, &error),
            Err(why) => self.report.note(key, why),
        }
        Found::Damaged
    }

    /// Notes what the store said instead of a record.
    fn unread(&mut self, what: impl ToString, error: &StoreError) {
        match error {
            StoreError::Damaged { what: part, why, .. } if *part != DATABASE => {
                self.failures = 0;
                self.report.note(what, why);
            }
            StoreError::Damaged { why, .. } => {
                self.failures += 1;
                self.report.note(what, why);
            }
            other => {
                self.failures += 1;
                self.report.note(what, other);
            }
        }
    }

    /// True if it makes no sense to go on.
    fn gives_up(&mut self) -> bool {
        if self.failures < GIVE_UP_AFTER {
            return false;
        }
        self.report.note("what follows", "the database failed too often to go on");
        true
    }
}

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It was read.
    Sound,
    /// It was not.
    Damaged,
    /// There is none.
    Nothing,
}

//! What the child does, and what may be found after each of its commits.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use helostat_zones::ledger::sled_store::SledStore;
use helostat_zones::ledger::store::{Key, Store};

use crate::Checked;
use crate::disk::Random;

/// How many processes work with the store, one after the other.
pub(crate) const LIVES: usize = 4;
const COMMITS: u64 = 240;

pub(crate) enum Step {
    Put(Key, Vec<u8>),
    Trim(u64),
    Commit,
    Reopen,
    /// The process dies.
    Die,
}

/// What all lives do together, as a ledger does it: an entry in each commit, now and then some shards, then
/// the base record, and after these have been committed the entries go that they include.
pub(crate) fn schedule() -> Vec<Step> {
    let mut random = Random(7);
    let mut steps = Vec::new();
    let mut record = |length: u64| -> Vec<u8> {
        let octets = std::iter::repeat_with(|| random.next().to_le_bytes()).flatten();
        octets.take(usize::try_from(length).unwrap()).collect()
    };
    let lengths = [100, 3_000, 4_200, 9_000, 17_000, 33_000, 50_000, 600];
    for seq in 1..=COMMITS {
        steps.push(Step::Put(Key::Entry(seq), record(50 + seq * 977 % 6_000)));
        if seq % 4 == 0 {
            for shard in seq / 4..seq / 4 + 2 {
                let number = u16::try_from(shard % 8).unwrap();
                let length = lengths[usize::from(number)] + seq * 13;
                steps.push(Step::Put(Key::Shard(number), record(length)));
            }
            steps.push(Step::Put(Key::Base, record(300)));
        }
        if seq % 80 == 30 {
            // More than a segment of sled's in one commit.
            for number in 8..11 {
                steps.push(Step::Put(Key::Shard(number), record(230_000 + seq)));
            }
        }
        if seq % 4 == 1 && seq > 8 {
            steps.push(Step::Trim(seq - 8));
        }
        steps.push(Step::Commit);
        if seq % 40 == 20 {
            steps.push(Step::Reopen);
        }
        if seq % (COMMITS / LIVES as u64) == 0 {
            // In the middle of something: sled has written some of it, and synced nothing of it.
            for number in 8..11 {
                steps.push(Step::Put(Key::Shard(number), record(190_000 + seq)));
            }
            steps.push(Step::Die);
        }
    }
    steps
}

/// Lives one life, in the process that is recorded.
pub(crate) fn live(directory: &Path, acknowledged: &str, life: usize) {
    let path = directory.join("ledger");
    let mut note = std::fs::File::create(directory.join(acknowledged)).unwrap();
    let steps = schedule();
    let mine = steps.split(|step| matches!(step, Step::Die)).nth(life).unwrap();
    let mut store = SledStore::open(&path).unwrap();
    for step in mine {
        match step {
            Step::Put(key, record) => store.put(*key, record).unwrap(),
            Step::Trim(through) => store.trim(*through).unwrap(),
            Step::Commit => {
                store.commit().unwrap();
                note.write_all(b".").unwrap();
            }
            Step::Reopen => {
                drop(store);
                store = SledStore::open(&path).unwrap();
            }
            Step::Die => {}
        }
    }
    // As kill -9 does: nothing is dropped, nothing is flushed.
    std::process::abort();
}

/// What is committed by the process that finds the store after a power cut.
pub(crate) fn after_a_power_cut() -> (Key, Vec<u8>) {
    (Key::Shard(u16::MAX), vec![9; 9_000])
}

/// Opens the store after a power cut and goes on a little, in the process that is recorded.
pub(crate) fn mend(directory: &Path, acknowledged: &str) {
    let mut note = std::fs::File::create(directory.join(acknowledged)).unwrap();
    let mut store = SledStore::open(&directory.join("ledger")).unwrap();
    let (key, record) = after_a_power_cut();
    store.put(key, &record).unwrap();
    store.commit().unwrap();
    note.write_all(b".").unwrap();
    std::process::abort();
}

/// The versions of each record that may be found.
type Versions<'a> = BTreeMap<Key, Vec<Option<&'a [u8]>>>;

/// What may be found when so many commits are acknowledged.
pub(crate) struct States<'a> {
    /// By the number of acknowledged commits: what was committed, first of the versions, and what was
    /// staged after that.
    may_be: Vec<Versions<'a>>,
}

/// What was found.
pub(crate) struct Found {
    pub(crate) records: BTreeMap<Key, Vec<u8>>,
    /// True if some of it was not acknowledged.
    pub(crate) further: bool,
}

impl<'a> States<'a> {
    pub(crate) fn of(steps: &'a [Step]) -> Self {
        let mut may_be = Vec::new();
        let mut now: Versions<'a> = BTreeMap::new();
        // What the next commit decides; what a dead process staged may be there or not until then.
        let mut staged = BTreeSet::new();
        for step in steps {
            match step {
                Step::Put(key, record) => {
                    staged.insert(*key);
                    now.entry(*key).or_insert_with(|| vec![None]).push(Some(record.as_slice()));
                }
                Step::Trim(through) => {
                    let gone = now.range_mut(Key::Entry(0)..=Key::Entry(*through));
                    for (key, versions) in gone {
                        staged.insert(*key);
                        versions.push(None);
                    }
                }
                Step::Commit => {
                    may_be.push(now.clone());
                    for key in std::mem::take(&mut staged) {
                        let versions = now.get_mut(&key).expect("staged");
                        versions.drain(..versions.len() - 1);
                    }
                    now.retain(|_, versions| *versions != [None]);
                }
                Step::Die => staged.clear(),
                Step::Reopen => {}
            }
        }
        may_be.push(now);
        Self { may_be }
    }

    /// Compares a store with what may be found in it.
    pub(crate) fn compare(&self, store: &SledStore, acknowledged: usize) -> Result<Found, Checked> {
        let wrong = |what: String| Err(Checked::Wrong(what));
        let may_be = &self.may_be[acknowledged];
        let mut found = Found { records: BTreeMap::new(), further: false };
        for (key, versions) in may_be {
            let record = match store.get(*key) {
                Ok(record) => record,
                Err(error) => return Err(Checked::Damaged(error.to_string())),
            };
            match versions.iter().position(|version| *version == record.as_deref()) {
                None if record.is_none() => return wrong(format!("{key} is lost")),
                None => return wrong(format!("{key} is not what was put there")),
                Some(at) => found.further |= at > 0,
            }
            found.records.extend(record.map(|record| (*key, record)));
        }
        let entries = store.entries().unwrap();
        let known = entries.iter().all(|seq| found.records.contains_key(&Key::Entry(*seq)));
        let held = found.records.keys().filter(|key| matches!(key, Key::Entry(_))).count();
        if !known || held != entries.len() {
            return wrong(format!("the entries {entries:?} are not those that can be read"));
        }
        match store.committed() {
            Some(committed) if entries.last().is_none_or(|last| committed > *last) => {
                wrong(format!("entry {committed} is said to be committed, and is not there"))
            }
            _ => Ok(found),
        }
    }
}

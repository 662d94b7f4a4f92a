//! A power cut at any moment: what was committed is there, and what was not is there whole or not at all.
//!
//! A child process works with the real store under `strace`, through several lives each of which ends as
//! by `kill -9`. From the recording the disk is built as it may have been found after a power cut at some
//! moment (`disk`), and the store is opened on it.
//!
//! `HELOSTAT_CRASHES` says how many power cuts are tried, `HELOSTAT_SEED` which. Without `strace` (Debian
//! has a package of that name) nothing is tested, and that is said.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what"
)]

mod disk;
mod recording;
mod work;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use helostat_zones::ledger::sled_store::SledStore;
use helostat_zones::ledger::store::{Key, Store, StoreError};

use crate::disk::{Disk, Held, Random};
use crate::recording::{Call, read_calls};
use crate::work::{LIVES, States, Step, schedule};

const DIRECTORY: &str = "HELOSTAT_CRASH_DIRECTORY";
const LIFE: &str = "HELOSTAT_CRASH_LIFE";
/// The life of a process that opens the store after a power cut.
const MEND: &str = "mend";
/// The file, beside the store, in which the child notes each commit that returned.
const ACKNOWLEDGED: &str = "acknowledged";

/// The calls that change files, and those that say which file is meant.
const TRACED: &str = "openat,open,creat,close,write,writev,pwrite64,pwritev,pwritev2,lseek,fsync,fdatasync,\
    sync_file_range,fallocate,ftruncate,truncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,\
    mkdirat,rmdir,dup,dup2,dup3,copy_file_range,sendfile";

/// The child: one life.
#[test]
#[ignore = "the process that the other tests record"]
fn one_life() {
    let directory = std::env::var(DIRECTORY).expect("started by a recording");
    match std::env::var(LIFE).unwrap().as_str() {
        MEND => work::mend(Path::new(&directory), ACKNOWLEDGED),
        life => work::live(Path::new(&directory), ACKNOWLEDGED, life.parse().unwrap()),
    }
}

#[test]
fn a_power_cut_loses_nothing_that_was_committed() {
    let Some(recorded) = recorded() else { return };
    let (crashes, seed) = asked();
    let steps = schedule();
    let states = States::of(&steps);
    let mut random = Random(seed);
    let last = recorded.calls.last().map_or(0, |call| call.exit);
    let mut moments: Vec<u64> = (0..crashes).map(|_| random.below(last + 1)).collect();
    moments.sort_unstable();
    let mut disk = Disk::new(&recorded.store, Held::new(), &recorded.calls);
    let mut told = Told::default();
    for moment in moments {
        disk.advance(moment);
        let acknowledged = recorded.acknowledged(moment);
        let image = disk.crash(moment, &mut random);
        let checked = check(&image, &states, acknowledged);
        told.count(&checked, image.undecided, moment, acknowledged);
    }
    told.end(&format!("{crashes} power cuts (seed {seed}) among {} calls", recorded.calls.len()));
}

/// The power comes back, sled mends its file, and while it does so or just after the power goes again.
#[test]
fn a_second_power_cut_loses_nothing_either() {
    let Some(recorded) = recorded() else { return };
    let (crashes, seed) = asked();
    let (first, second) = (crashes.div_ceil(50), 20);
    let steps = schedule();
    let states = States::of(&steps);
    let mut random = Random(seed);
    let last = recorded.calls.last().map_or(0, |call| call.exit);
    let mut moments: Vec<u64> = (0..first).map(|_| random.below(last + 1)).collect();
    moments.sort_unstable();
    let mut disk = Disk::new(&recorded.store, Held::new(), &recorded.calls);
    let mut told = Told::default();
    for moment in moments {
        disk.advance(moment);
        let acknowledged = recorded.acknowledged(moment);
        let image = disk.crash(moment, &mut random);
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("ledger");
        std::fs::create_dir(&store).unwrap();
        image.copy_to(&store);
        let mut calls = Vec::new();
        if !trace(directory.path(), MEND, &mut calls).expect("it could be traced before") {
            continue;
        }
        let mended = recording::writes_to(&calls, &directory.path().join(ACKNOWLEDGED));
        assert_eq!(mended.len(), 1, "seed {seed}, call {moment}: it could not be opened");
        let mut again = Disk::new(&store, image.held(), &calls);
        let last = calls.last().map_or(0, |call| call.exit);
        let mut moments: Vec<u64> = (0..second).map(|_| random.below(last + 1)).collect();
        moments.sort_unstable();
        for moment_again in moments {
            again.advance(moment_again);
            let image = again.crash(moment_again, &mut random);
            let mut checked = Checked::AsAcknowledged;
            if mended.iter().all(|at| *at <= moment_again) {
                let (key, record) = work::after_a_power_cut();
                let held = SledStore::open(image.path()).and_then(|store| store.get(key));
                if !matches!(held, Ok(Some(held)) if held == record) {
                    checked = Checked::Wrong(format!("{key} is lost"));
                }
            }
            if matches!(checked, Checked::AsAcknowledged) {
                checked = check(&image, &states, acknowledged);
            }
            told.count(&checked, image.undecided, moment, acknowledged);
        }
    }
    told.end(&format!("{} power cuts (seed {seed}) after {first} others", first * second));
}

/// How many power cuts to try, and which.
fn asked() -> (u64, u64) {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
    };
    (number("HELOSTAT_CRASHES", 300), number("HELOSTAT_SEED", 1))
}

/// What the issue asks for: `commit` returns after an fsync of sled's file which comes after the last
/// write to it.
#[test]
fn a_commit_ends_with_an_fsync() {
    let Some(recorded) = recorded() else { return };
    let mut disk = Disk::new(&recorded.store, Held::new(), &recorded.calls);
    let mut commits = 0;
    let mut octets = 0;
    for moment in &recorded.acknowledgements {
        disk.advance(*moment);
        let written = disk.written("db", *moment);
        assert!(written.octets > octets, "commit {commits} wrote nothing");
        assert_eq!(
            written.not_durable, 0,
            "commit {commits} returned before its octets were durable"
        );
        assert_eq!(disk.names_not_durable(*moment), [""; 0], "commit {commits}");
        octets = written.octets;
        commits += 1;
    }
    assert_eq!(commits, schedule().iter().filter(|step| matches!(step, Step::Commit)).count());
}

/// Says something also when the test passes.
fn say(what: &str) {
    std::io::stderr().write_all(format!("{what}\n").as_bytes()).unwrap();
}

/// What happened to the crashes.
#[derive(Default)]
struct Told {
    /// Writes and changes of names whose fate was open, over all crashes.
    undecided: usize,
    /// Opened, and everything as it was at the last acknowledged commit.
    as_acknowledged: u64,
    /// Opened with some of what was staged after that, each record whole.
    further: u64,
    /// Said to be damaged: by moment.
    damaged: BTreeMap<u64, String>,
    /// Opened, and not what it should be.
    wrong: Vec<String>,
}

impl Told {
    fn end(self, tried: &str) {
        let Self { undecided, as_acknowledged, further, damaged, wrong } = self;
        say(&format!(
            "{tried}, {undecided} changes undecided: {as_acknowledged} times as acknowledged, \
             {further} times further, {} damaged, {} wrong",
            damaged.len(),
            wrong.len(),
        ));
        assert!(wrong.is_empty(), "{tried}: {wrong:#?}");
        assert_eq!(damaged, BTreeMap::new(), "{tried}: sled could not be opened");
    }

    fn count(&mut self, checked: &Checked, undecided: usize, moment: u64, acknowledged: usize) {
        self.undecided += undecided;
        match checked {
            Checked::AsAcknowledged => self.as_acknowledged += 1,
            Checked::Further => self.further += 1,
            Checked::Damaged(why) => {
                self.damaged.insert(moment, why.clone());
            }
            Checked::Wrong(why) => {
                self.wrong.push(format!("call {moment}, after commit {acknowledged}: {why}"));
            }
        }
    }
}

enum Checked {
    AsAcknowledged,
    Further,
    Damaged(String),
    Wrong(String),
}

/// A shard of no ledger, put by the check.
const ADDED: Key = Key::Shard(u16::MAX);

/// Opens the store on a disk as it was found, works with it, and opens it again.
fn check(image: &disk::Image, states: &States<'_>, acknowledged: usize) -> Checked {
    let path = image.path();
    let opened = |store: Result<SledStore, StoreError>| match store {
        Err(error @ StoreError::Damaged { .. }) => Err(Checked::Damaged(error.to_string())),
        Err(error) => Err(Checked::Wrong(error.to_string())),
        Ok(store) => Ok(store),
    };
    let checked = || {
        let mut store = opened(SledStore::open(path))?;
        let found = states.compare(&store, acknowledged)?;
        // It can be worked with, and what was found stays.
        let next = store.entries().unwrap().last().map_or(1, |seq| seq + 1);
        let added = [(Key::Entry(next), vec![7; 9_000]), (ADDED, vec![8; 9_000])];
        for (key, record) in &added {
            store.put(*key, record).unwrap();
        }
        store.commit().unwrap();
        drop(store);
        let store = opened(SledStore::open(path))?;
        for (key, record) in found.records.iter().filter(|(key, _)| **key != ADDED) {
            if !matches!(store.get(*key), Ok(Some(now)) if now == *record) {
                return Err(Checked::Wrong(format!("{key} is another after a commit")));
            }
        }
        for (key, record) in &added {
            if !matches!(store.get(*key), Ok(Some(now)) if now == *record) {
                return Err(Checked::Wrong(format!("{key} is not there after a commit")));
            }
        }
        Ok(if found.further { Checked::Further } else { Checked::AsAcknowledged })
    };
    checked().unwrap_or_else(|other| other)
}

/// A recording of all lives.
struct Recorded {
    store: PathBuf,
    calls: Vec<Call>,
    /// When each commit was known to have returned, by its number from 0.
    acknowledgements: Vec<u64>,
}

impl Recorded {
    /// How many commits had returned at a moment.
    fn acknowledged(&self, moment: u64) -> usize {
        self.acknowledgements.iter().filter(|at| **at <= moment).count()
    }
}

/// The one recording for all tests; `None` if there is no strace.
fn recorded() -> Option<&'static Recorded> {
    static RECORDED: OnceLock<Option<Recorded>> = OnceLock::new();
    RECORDED.get_or_init(record_whole).as_ref()
}

/// Records until a recording tells of every write; says so if there can be none.
fn record_whole() -> Option<Recorded> {
    for _ in 0..10 {
        match record() {
            Ok(recorded) => return recorded,
            Err(Torn) => say("a write was under way as the process died: recorded anew"),
        }
    }
    panic!("ten recordings in which a write was under way as the process died");
}

/// A write was under way when a recorded process died.
struct Torn;

/// Lives all lives under strace; says so if it cannot.
fn record() -> Result<Option<Recorded>, Torn> {
    if Command::new("strace").arg("-V").output().is_err() {
        say("SKIPPED: strace is not installed, so nothing is known of power cuts");
        return Ok(None);
    }
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("ledger");
    std::fs::create_dir(&store).unwrap();
    let mut calls = Vec::new();
    for life in 0..LIVES {
        match trace(directory.path(), &life.to_string(), &mut calls) {
            Ok(true) => {}
            Ok(false) => return Err(Torn),
            Err(why) => {
                say(&format!(
                    "SKIPPED: strace may not trace here, so nothing is known of power cuts: {why}"
                ));
                return Ok(None);
            }
        }
    }
    let acknowledged = directory.path().join(ACKNOWLEDGED);
    let acknowledgements = recording::writes_to(&calls, &acknowledged);
    let commits = schedule().iter().filter(|step| matches!(step, Step::Commit)).count();
    assert_eq!(acknowledgements.len(), commits, "the child did not live all its lives");
    Ok(Some(Recorded { store, calls, acknowledgements }))
}

/// Lives one life under strace, and adds its calls to those before; as `read_calls`.
fn trace(directory: &Path, life: &str, calls: &mut Vec<Call>) -> Result<bool, String> {
    let log = directory.join("calls");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-xx", "-s", "10000000", "-e", &format!("trace={TRACED}"), "-o"]).arg(&log);
    strace.arg(std::env::current_exe().unwrap()).args(["--exact", "one_life", "--ignored"]);
    let done = strace.env(DIRECTORY, directory).env(LIFE, life).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    if !log.exists() || said.contains("strace: ptrace") {
        return Err(said);
    }
    let whole = read_calls(&std::fs::read(&log).unwrap(), calls);
    std::fs::remove_file(&log).unwrap();
    Ok(whole)
}

//! What must not happen to a ledger whose store fails, or whose room ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use helostat_zones::client::Client;
use helostat_zones::ledger::store::{Key, Store, StoreError};
use helostat_zones::ledger::{Batch, Bounds, JournalLimits, Ledger};
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, ReporterKind};
use helostat_zones::time::Time;
use proptest::prelude::*;

/// A disk, and when its next commit fails.
#[derive(Default)]
struct Disk {
    records: BTreeMap<Key, Vec<u8>>,
    commits_left: Option<u32>,
    /// Which staged records a failing commit leaves on the disk all the same.
    luck: u64,
}

enum Staged {
    Put(Key, Vec<u8>),
    Trim(u64),
}

/// A store that keeps of what was staged whatever it likes when it fails.
struct Torn {
    disk: Arc<Mutex<Disk>>,
    staged: Vec<Staged>,
}

impl Torn {
    fn on(disk: &Arc<Mutex<Disk>>) -> Box<Self> {
        Box::new(Self { disk: disk.clone(), staged: Vec::new() })
    }
}

impl Disk {
    fn entries(&self) -> Vec<u64> {
        let entry = |key: &Key| if let Key::Entry(seq) = key { Some(*seq) } else { None };
        self.records.keys().filter_map(entry).collect()
    }

    fn apply(&mut self, change: Staged) {
        match change {
            Staged::Put(key, record) => drop(self.records.insert(key, record)),
            Staged::Trim(through) => {
                for seq in self.entries().into_iter().filter(|seq| *seq <= through) {
                    self.records.remove(&Key::Entry(seq));
                }
            }
        }
    }

    /// The next coin.
    fn is_lucky(&mut self) -> bool {
        self.luck = self.luck.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.luck >> 63 == 1
    }
}

impl Store for Torn {
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.disk.lock().unwrap().records.get(&key).cloned())
    }

    fn entries(&self) -> Result<Vec<u64>, StoreError> {
        Ok(self.disk.lock().unwrap().entries())
    }

    fn committed(&self) -> Option<u64> {
        None
    }

    fn put(&mut self, key: Key, record: &[u8]) -> Result<(), StoreError> {
        self.staged.push(Staged::Put(key, record.to_vec()));
        Ok(())
    }

    fn trim(&mut self, through: u64) -> Result<(), StoreError> {
        self.staged.push(Staged::Trim(through));
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let disk = &mut *self.disk.lock().unwrap();
        let fails = disk.commits_left == Some(0);
        disk.commits_left = disk.commits_left.map(|left| left.saturating_sub(1));
        for change in self.staged.drain(..) {
            if !fails || disk.is_lucky() {
                disk.apply(change);
            }
        }
        if fails {
            let why = "no space left on device".to_owned();
            return Err(StoreError::Io { path: self.path(), why });
        }
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        0
    }

    fn path(&self) -> PathBuf {
        "(test)".into()
    }
}

fn open(disk: &Arc<Mutex<Disk>>, bounds: Bounds) -> Ledger {
    Ledger::with_store(Torn::on(disk), bounds).expect("what was committed can be read")
}

fn saying(day: u32, ip: u32, name: &str, outcome: Outcome) -> Observation {
    Observation {
        time: Time((20_000 + day) * 86_400),
        ip: IpAddr::V4(Ipv4Addr::from(ip)),
        name: Name::parse(name.as_bytes()),
        rdns: None,
        outcome,
        stage: None,
        by_us: false,
        supersedes: None,
        reporter: "mx1".into(),
    }
}

fn batch_of(observations: &[Observation]) -> Batch {
    let mut batch = Batch::default();
    for observation in observations {
        batch.observe(observation, ReporterKind::Mx);
    }
    batch
}

fn dump(ledger: &Ledger) -> String {
    let mut bytes = Vec::new();
    ledger.dump(&mut bytes, false).expect("memory takes everything");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

const IP: u32 = 0xc000_0200;

/// The store fails just when the bounds are seen to: the batch before it is in, and is in once.
#[test]
fn a_sweep_that_fails_does_not_make_a_batch_count_twice() {
    let bounds = Bounds { keep_days: 2, ..Bounds::default() };
    let days = (0..8).map(|day| saying(day, IP, "mail.example.com", Outcome::Accepted));
    let days: Vec<_> = days.collect();
    for commits in 0..24 {
        let disk = Arc::new(Mutex::new(Disk::default()));
        let ledger = open(&disk, bounds);
        disk.lock().unwrap().commits_left = Some(commits);
        for day in &days {
            let batch = batch_of(std::slice::from_ref(day));
            for _ in 0..2 {
                if ledger.commit(&batch).is_ok() {
                    break;
                }
                disk.lock().unwrap().commits_left = None;
            }
        }
        let undisturbed = Ledger::in_memory(bounds);
        for day in &days {
            undisturbed.commit(&batch_of(std::slice::from_ref(day))).unwrap();
        }
        assert_eq!(dump(&ledger), dump(&undisturbed), "failed after {commits} commits");
        assert_eq!(dump(&open(&disk, bounds)), dump(&ledger), "failed after {commits} commits");
    }
}

#[test]
fn folding_that_fails_loses_nothing_later() {
    let disk = Arc::new(Mutex::new(Disk::default()));
    let ledger = open(&disk, Bounds::default());
    ledger.limit_journal(JournalLimits { bytes: 0, bytes_max: 0, entries: 1 });
    ledger.commit(&batch_of(&[saying(0, IP, "mail.example.com", Outcome::Accepted)])).unwrap();
    disk.lock().unwrap().commits_left = Some(0);
    ledger.compact().expect_err("the disk is full");
    disk.lock().unwrap().commits_left = None;
    for day in 1..4 {
        let other = saying(day, IP + 0x1_0000 * day, "mail.example.net", Outcome::Accepted);
        ledger.commit(&batch_of(&[other])).unwrap();
    }
    ledger.compact().unwrap();
    assert_eq!(dump(&open(&disk, Bounds::default())), dump(&ledger));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Of what a failing commit staged any part may be on the disk, in any order.
    #[test]
    fn whatever_a_failed_commit_leaves_is_a_ledger(
        clients in prop::collection::vec(0u32..12, 1..60),
        lives in prop::collection::vec((0u32..14, any::<u64>(), any::<bool>()), 0..10),
        entries in 1u64..8,
        compact_every in 2usize..20,
    ) {
        let observations: Vec<_> = (0..).zip(&clients).map(|(day, client)| {
            let name = if client % 2 == 0 { "mail.example.com" } else { "mx1.example.net" };
            saying(day / 4, IP + client * 0x1_0101, name, Outcome::Accepted)
        }).collect();
        // Few enough for the names to become crowds.
        let bounds = Bounds { clients_per_name: 3, ..Bounds::default() };
        let disk = Arc::new(Mutex::new(Disk::default()));
        let mut lives = lives.into_iter();
        'lives: loop {
            let life = lives.next();
            let mut goes_on = false;
            if let Some((commits, luck, stays)) = life {
                let mut disk = disk.lock().unwrap();
                (disk.commits_left, disk.luck) = (Some(commits), luck);
                goes_on = stays;
            } else {
                disk.lock().unwrap().commits_left = None;
            }
            let ledger = match Ledger::with_store(Torn::on(&disk), bounds) {
                Ok(ledger) => ledger,
                Err(error) => return Err(TestCaseError::fail(format!("whole, but: {error}"))),
            };
            ledger.limit_journal(JournalLimits { bytes: 0, bytes_max: 0, entries });
            let read = |bytes: Vec<u8>| usize::from_be_bytes(bytes.try_into().unwrap());
            let mut place = ledger.position("log").map_or(0, read);
            while place < observations.len() {
                let end = (place + 1).min(observations.len());
                let mut batch = batch_of(&observations[place..end]);
                batch.reach("log", end.to_be_bytes().to_vec());
                let done = ledger.commit(&batch).is_ok();
                if done {
                    place = end;
                }
                if !done || (place % compact_every == 0 && ledger.compact().is_err()) {
                    if !goes_on {
                        continue 'lives;
                    }
                    disk.lock().unwrap().commits_left = None;
                }
            }
            let expected = Ledger::in_memory(bounds);
            expected.commit(&batch_of(&observations)).unwrap();
            prop_assert_eq!(dump(&ledger), dump(&expected));
            if life.is_none() {
                break;
            }
        }
    }
}

/// Ten thousand pairs of bots, once each.
fn bots(from: u32, n: u32, day: u32) -> Batch {
    let says =
        |i: u32| saying(day, from + i * 7, &format!("a{i}.b{i}.example.com"), Outcome::Rejected);
    batch_of(&(0..n).map(says).collect::<Vec<_>>())
}

#[test]
fn a_sweep_for_lack_of_room_gives_room_back_and_takes_no_more_than_that() {
    let empty = Ledger::in_memory(Bounds::default()).sizes().bytes as u64;
    let memory = empty + 4_000_000;
    let ledger = Ledger::in_memory(Bounds { memory, ..Bounds::default() });
    let mut least = usize::MAX;
    let mut full = 0;
    for round in 0..100 {
        ledger.commit(&bots(0x0b00_0000 + round * 100_000, 1000, 0)).unwrap();
        let sizes = ledger.sizes();
        if ledger.forgotten()[1] == 0 {
            full = sizes.pairs;
        } else {
            least = least.min(sizes.pairs);
        }
    }
    assert!(full > 0 && least < usize::MAX, "it was swept: {full} {least}");
    assert!(least * 10 > full * 7, "of {full} pairs {least} were left");
    let bytes = ledger.sizes().bytes as u64;
    assert!(bytes < memory + memory / 5, "{bytes} of {memory}");
}

/// Bots that say the same names in turns make crowds; they must not push out who stands.
#[test]
fn crowds_do_not_push_out_who_stands() {
    let empty = Ledger::in_memory(Bounds::default()).sizes().bytes as u64;
    let bounds = Bounds { memory: empty + 1_500_000, clients_per_name: 4, ..Bounds::default() };
    let ledger = Ledger::in_memory(bounds);
    let standing = |day| {
        let says = |i: u32| saying(day, IP + i * 257, &format!("mail.s{i}.net"), Outcome::Accepted);
        batch_of(&(0..200).map(says).collect::<Vec<_>>())
    };
    for day in 0..6 {
        ledger.commit(&standing(day)).unwrap();
    }
    for day in 6..40 {
        let says = |i: u32| {
            let name = format!("x{}.d{day}.example.com", i / 8);
            saying(day, 0x0b00_0000 + (i % 8) * 256, &name, Outcome::Rejected)
        };
        ledger.commit(&batch_of(&(0..1200).map(says).collect::<Vec<_>>())).unwrap();
        if day % 10 == 0 {
            ledger.commit(&standing(day)).unwrap();
        }
    }
    let stands = |i: u32| {
        let client = Client::of(IpAddr::V4(Ipv4Addr::from(IP + i * 257)));
        ledger.client(client, |row| row.is_some())
    };
    let left = (0..200).filter(|i| stands(*i)).count();
    assert_eq!(left, 200, "{:?} {:?}", ledger.sizes(), ledger.forgotten());
    assert!((ledger.sizes().bytes as u64) < bounds.memory * 5 / 4, "{:?}", ledger.sizes());
}

/// Somebody who reads a dump slowly.
struct Slow {
    asked: mpsc::Sender<()>,
    goes_on: mpsc::Receiver<()>,
}

impl Write for Slow {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.asked.send(()).ok();
        self.goes_on.recv().ok();
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_dump_that_nobody_reads_holds_up_nobody() {
    let ledger = Arc::new(Ledger::in_memory(Bounds::default()));
    let batch = batch_of(&[saying(0, IP, "mail.example.com", Outcome::Accepted)]);
    ledger.commit(&batch).unwrap();
    let (asked, is_asked) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let dumping = {
        let ledger = ledger.clone();
        std::thread::spawn(move || ledger.dump(&mut Slow { asked, goes_on }, false))
    };
    is_asked.recv().unwrap();
    let (done, is_done) = mpsc::channel();
    let committing = std::thread::spawn(move || done.send(ledger.commit(&batch).is_ok()));
    let committed = is_done.recv_timeout(Duration::from_secs(5));
    drop(go_on);
    dumping.join().unwrap().unwrap();
    committing.join().unwrap().ok();
    assert_eq!(committed, Ok(true));
}

/// Most parts are not swept yet when the rule is set; whoever opens the ledger again sweeps all.
#[test]
fn a_dump_in_the_middle_of_a_sweep_is_that_of_the_ledger_opened_again() {
    let bounds = Bounds { keep_days: 2, ..Bounds::default() };
    let disk = Arc::new(Mutex::new(Disk::default()));
    let ledger = open(&disk, bounds);
    ledger.commit(&bots(0x0b00_0000, 1000, 0)).unwrap();
    let later = (1..4).map(|day| saying(day, IP, "mail.example.com", Outcome::Accepted));
    ledger.commit(&batch_of(&later.collect::<Vec<_>>())).unwrap();
    // The bounds are seen to before the next batch.
    ledger.commit(&batch_of(&[saying(3, IP, "mail.example.com", Outcome::Accepted)])).unwrap();
    let told = dump(&ledger);
    assert_eq!(told.matches("\"name\":").count(), 1, "{told}");
    assert_eq!(told, dump(&open(&disk, bounds)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// At any moment, with sweeps and crowds: the ledger opened again holds what is held, and finds it.
    #[test]
    fn opened_again_it_holds_and_finds_the_same(
        said in prop::collection::vec((0u32..10, 0usize..3, 0u32..4), 1..80),
        entries in 1u64..12,
        keep_days in 1u32..6,
    ) {
        let names = ["mail.example.com", "mx1.example.com", "mail.example.net"];
        let bounds = Bounds { clients_per_name: 2, keep_days, ..Bounds::default() };
        let disk = Arc::new(Mutex::new(Disk::default()));
        let ledger = open(&disk, bounds);
        ledger.limit_journal(JournalLimits { bytes: 0, bytes_max: 0, entries });
        let mut day = 0;
        for (i, (client, name, days)) in said.into_iter().enumerate() {
            // Mostly the same day, sometimes a leap that makes everything old.
            day += if days == 3 { 3 } else { 0 };
            let ip = IP + client * 0x1_0101;
            let batch = batch_of(&[saying(day, ip, names[name], Outcome::Accepted)]);
            ledger.commit(&batch).unwrap();
            if i % 5 > 0 {
                continue;
            }
            let copy = Disk { records: disk.lock().unwrap().records.clone(), ..Disk::default() };
            let again = open(&Arc::new(Mutex::new(copy)), bounds);
            prop_assert_eq!(dump(&again), dump(&ledger));
            for name in names.map(|name| Name::parse(name.as_bytes())) {
                let today = Time((20_000 + day) * 86_400).day();
                let found = |ledger: &Ledger| {
                    let mut said = ledger.clients_of_name(&name, today);
                    said.clients.sort_unstable();
                    let mut of_family = ledger.clients_of_family(name.family().unwrap(), today);
                    of_family.clients.sort_unstable();
                    (said, of_family)
                };
                prop_assert_eq!(found(&again), found(&ledger), "{}", name);
            }
            prop_assert_eq!(again.sizes().names, ledger.sizes().names);
            prop_assert_eq!(again.sizes().families, ledger.sizes().families);
        }
    }
}

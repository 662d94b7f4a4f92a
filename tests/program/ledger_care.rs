//! The ledger's care: copies, damage, rescue, a disk that is full.
//!
//! `HELOSTAT_RESCUE_KILLS` (8) says how often a rescue is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use helostat_tests::mail::{days_ago, established, long_postfix, postfix};
use helostat_tests::program::{Daemon, Random, Site, eventually, number};
use helostat_zones::ledger::{Bounds, Ledger, snapshot};
use serde_json::Value;

const LOG: [&str; 1] = ["mail.log"];
const PAIR: &str = "mx.example.com.7.2.0.192.pair";

/// A log with something to teach, in two halves.
fn log(lines: usize) -> (String, String) {
    let log = established("192.0.2.7", "mx.example.com") + &long_postfix(lines);
    let middle = log.len() / 2;
    let end = log.get(middle..).and_then(|rest| rest.find('\n')).expect("many lines");
    let (first, second) = log.split_at(middle + end + 1);
    (first.to_owned(), second.to_owned())
}

/// What an undisturbed ledger says of a log.
fn undisturbed(log: &str) -> String {
    let site = Site::new("");
    site.write("mail.log", log);
    site.ok(&["learn", "--reporter", "mx1", "mail.log"]);
    site.dump()
}

/// A site that learned all of a log; after the first half a snapshot was taken, while it ran.
fn learned(first: &str, second: &str) -> Site {
    let site = Site::following(&LOG);
    site.write("mail.log", first);
    let daemon = site.start();
    daemon.wait_caught_up(&LOG);
    site.ok(&["ledger", "snapshot", "ledger/snapshots"]);
    site.append("mail.log", second);
    wait_read(&daemon);
    daemon.stop();
    site
}

/// Waits until what was appended is learned: a marker at the end of the log is known.
fn wait_read(daemon: &Daemon) {
    daemon.wait_addresses("marker.example.net.77.100.51.198.pair", &["127.0.3.9"]);
}

/// The line that `wait_read` waits for.
fn marker() -> String {
    postfix(days_ago(0), "198.51.100.77", "marker.example.net")
}

fn snapshots(site: &Site) -> Vec<PathBuf> {
    snapshot::newest_first(&site.path("ledger/snapshots")).expect("a folder")
}

fn set_aside(site: &Site) -> Vec<PathBuf> {
    let entries = fs::read_dir(site.path("ledger")).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().contains("db.damaged-")).collect()
}

/// Does something to sled's file.
type Inflict = fn(&Path);

/// What happens to it.
const DAMAGES: [(&str, Inflict); 4] = [
    ("emptied", |db| cut(db, 0)),
    ("cut short", |db| cut(db, 100_000)),
    ("no database any more", |db| fs::write(db, "no database").expect("written")),
    ("removed", |db| fs::remove_file(db).expect("it is there")),
];

fn cut(db: &Path, length: u64) {
    let file = fs::File::options().write(true).open(db).expect("it is there");
    file.set_len(length).expect("cut");
}

#[test]
fn a_lost_database_comes_back_from_the_snapshot_and_the_logs() {
    let (first, second) = log(12_000);
    let second = second + &marker();
    let expected = undisturbed(&format!("{first}{second}"));
    for (damage, inflict) in DAMAGES {
        let site = learned(&first, &second);
        inflict(&site.path("ledger/db"));
        let daemon = site.start();
        let said = daemon.wait_said("the ledger was rescued");
        assert!(said.contains("ERROR"), "{damage}: {said}");
        for part in [" pairs came back from ", "commits after that are missing", "db.damaged-"] {
            assert!(said.contains(part), "{damage}: {part:?} in {said}");
        }
        assert_eq!(daemon.metric("helostat_ledger_rescued", &[]), 1.0, "{damage}");
        let warnings = daemon.warnings();
        assert!(warnings.iter().any(|it| it.contains("was rescued")), "{damage}: {warnings:?}");
        wait_read(&daemon);
        daemon.stop();
        assert!(site.dump() == expected, "{damage}: something is lost or doubled");

        // Nobody misses it after a restart either.
        let daemon = site.start();
        assert_eq!(daemon.warnings(), warnings, "{damage}");
        daemon.stop();
        for aside in set_aside(&site) {
            fs::remove_dir_all(aside).expect("the operator's own");
        }
        let daemon = site.start();
        assert_eq!(daemon.warnings(), [""; 0], "{damage}");
        assert_eq!(daemon.metric("helostat_ledger_rescued", &[]), 0.0, "{damage}");
        daemon.stop();
    }
}

#[test]
fn what_was_rotated_since_the_snapshot_is_read() {
    let (first, second) = log(3_000);
    let site = Site::following(&LOG);
    site.write("mail.log", &first);
    let daemon = site.start();
    daemon.wait_caught_up(&LOG);
    site.ok(&["ledger", "snapshot", "ledger/snapshots"]);
    site.append("mail.log", &second);
    site.rename("mail.log", "mail.log.1");
    let third = marker();
    site.write("mail.log", &third);
    wait_read(&daemon);
    daemon.stop();
    site.write("ledger/db", "");
    let daemon = site.start();
    daemon.wait_said("the ledger was rescued");
    wait_read(&daemon);
    daemon.stop();
    let text = first + &second + &third;
    assert!(site.dump() == undisturbed(&text), "something is lost or doubled");
}

/// Wherever the damage is: what is told afterwards is what was learned, and nobody has to guess.
#[test]
fn whatever_octets_are_damaged_all_comes_back() {
    let (first, second) = log(6_000);
    let second = second + &marker();
    let expected = undisturbed(&format!("{first}{second}"));
    let site = learned(&first, &second);
    let mut random = Random(number("HELOSTAT_DAMAGE_SEED", 3) as u64);
    let mut met = [0; 3];
    for round in 0..number("HELOSTAT_DAMAGES", 8) {
        let db = site.path("ledger/db");
        let mut octets = fs::read(&db).expect("it is there");
        for _ in 0..1 + random.below(40) {
            let place = random.below(octets.len() as u64) as usize;
            octets[place] = random.below(256) as u8;
        }
        fs::write(&db, octets).expect("written");
        if round % 2 == 1 {
            let verified = site.run(&["ledger", "verify"]);
            assert!([0, 3].contains(&verified.code), "round {round}: {verified:?}");
        }
        let daemon = site.launch();
        let ready = eventually("it to answer or to end", || {
            let said = daemon.said();
            let answers = said.iter().any(|line| line.contains("helostat answers"));
            let refuses = said.iter().any(|line| line.contains("`helostat ledger repair`"));
            (answers || refuses).then_some(answers)
        });
        let daemon = if ready {
            daemon
        } else {
            met[0] += 1;
            drop(daemon);
            site.ok(&["ledger", "repair"]);
            site.start()
        };
        wait_read(&daemon);
        let rescued = daemon.said().iter().any(|line| line.contains("was rescued ("));
        met[if rescued { 1 } else { 2 }] += 1;
        daemon.stop();
        assert!(site.dump() == expected, "round {round}: something is lost or doubled");
        for aside in set_aside(&site) {
            fs::remove_dir_all(aside).expect("the operator's own");
        }
    }
    assert!(met[0] + met[1] > 0, "none of the damage was met: {met:?}");
}

#[test]
fn without_a_snapshot_the_logs_are_read_from_their_beginning() {
    let (first, second) = log(3_000);
    let text = first + &second + &marker();
    let site = Site::following(&LOG);
    site.write("mail.log", &text);
    let daemon = site.start();
    daemon.wait_caught_up(&LOG);
    daemon.stop();
    site.write("ledger/db", "");
    let daemon = site.start();
    let said = daemon.wait_said("the ledger was rescued");
    assert!(said.contains("there was no snapshot, it began again EMPTY"), "{said}");
    wait_read(&daemon);
    assert_eq!(daemon.addresses(PAIR), ["127.0.2.2"]);
    daemon.stop();
    assert!(site.dump() == undisturbed(&text), "something is lost or doubled");
}

#[test]
fn a_damaged_snapshot_is_not_taken() {
    let (first, second) = log(3_000);
    let second = second + &marker();
    let site = learned(&first, &second);
    site.ok(&["ledger", "snapshot", "ledger/snapshots"]);
    let newest = snapshots(&site).first().cloned().expect("two snapshots");
    let mut octets = fs::read(&newest).expect("a snapshot");
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    fs::write(&newest, octets).expect("written");
    let name = newest.display().to_string();
    let verified = site.run(&["ledger", "verify", &name]);
    assert_eq!(verified.code, 3, "{verified:?}");
    assert!(verified.stdout.contains("damaged: "), "{verified:?}");

    site.write("ledger/db", "");
    let daemon = site.start();
    let said = daemon.wait_said("the ledger was rescued");
    assert!(said.contains(&format!("now {name}.unusable (")), "{said}");
    wait_read(&daemon);
    // Nothing that can be taken for newer stands in the way of the next one.
    site.ok(&["ledger", "snapshot", "ledger/snapshots"]);
    daemon.stop();
    assert_eq!(snapshots(&site).len(), 2);
    assert!(site.dump() == undisturbed(&format!("{first}{second}")), "lost or doubled");
}

#[test]
fn a_rescue_that_is_killed_is_taken_up_again() {
    let (first, second) = log(40_000);
    let second = second + &marker();
    let site = learned(&first, &second);
    site.write("ledger/db", "");
    let mut random = Random(7);
    for _ in 0..number("HELOSTAT_RESCUE_KILLS", 8) {
        let daemon = site.launch();
        daemon.wait_said("opening the ledger");
        std::thread::sleep(Duration::from_millis(random.below(400)));
        daemon.kill();
    }
    let daemon = site.start();
    wait_read(&daemon);
    let warnings = daemon.warnings();
    daemon.stop();
    assert!(site.dump() == undisturbed(&format!("{first}{second}")), "lost or doubled");
    assert_eq!(warnings.len(), set_aside(&site).len(), "{warnings:?}");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(!site.path("ledger/rescue").exists());
}

/// Makes one octet of a record another, behind sled's back.
fn damage_a_record(site: &Site, kind: u8) {
    let db = sled::open(site.path("ledger")).expect("a sled database");
    let records = db.open_tree("records").expect("a tree");
    let record = records.scan_prefix([kind]).next().expect("a record").expect("readable");
    let mut octets = record.1.to_vec();
    let last = octets.len() - 1;
    octets[last] ^= 1;
    records.insert(record.0, octets).expect("written");
    db.flush().expect("written");
}

#[test]
fn a_damaged_record_is_left_to_the_operator() {
    let (first, second) = log(3_000);
    let second = second + &marker();
    let site = learned(&first, &second);
    let sound = site.ok(&["ledger", "verify"]);
    assert!(sound.contains("shards") && !sound.contains("damaged:"), "{sound}");
    assert_eq!(site.ok(&["ledger", "repair"]), "the ledger is sound: nothing was changed\n");
    damage_a_record(&site, b's');
    for command in [&["run"][..], &["ledger", "dump"], &["explain", "192.0.2.7"]] {
        let done = site.run(command);
        assert_eq!(done.code, 3, "{done:?}");
        for part in
            ["shard ", "does not fit", "`helostat ledger verify`", "`helostat ledger repair`"]
        {
            assert!(done.stderr.contains(part), "{part:?} in {done:?}");
        }
    }
    assert!(set_aside(&site).is_empty(), "nothing was changed");
    let done = site.run(&["ledger", "verify", "--json"]);
    assert_eq!(done.code, 3, "{done:?}");
    let report: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!((&report["shards"]["damaged"], &report["damages"]), (&1.into(), &1.into()));
    assert!(report["clients"].as_u64() > Some(1), "the others are read: {report}");

    let repaired = site.ok(&["ledger", "repair"]);
    assert!(repaired.contains(" pairs came back from "), "{repaired}");
    assert!(set_aside(&site).iter().any(|it| repaired.contains(&it.display().to_string())));
    site.ok(&["ledger", "verify"]);
    let daemon = site.start();
    wait_read(&daemon);
    assert_eq!(daemon.warnings().len(), 1);
    site.fails(
        &["ledger", "verify"],
        3,
        &["helostat: the daemon has the ledger $DIR/ledger open: stop it first"],
    );
    daemon.stop();
    assert!(site.dump() == undisturbed(&format!("{first}{second}")), "lost or doubled");
}

#[test]
fn a_disk_that_damages_again_and_again_is_not_filled() {
    let site = Site::following(&LOG);
    site.write("mail.log", established("192.0.2.7", "mx.example.com"));
    for rescue in 1..=4 {
        let daemon = site.launch();
        if rescue > 1 {
            daemon.wait_said("the ledger was rescued");
        }
        daemon.wait_caught_up(&LOG);
        daemon.wait_addresses(PAIR, &["127.0.2.2"]);
        daemon.stop();
        site.write("ledger/db", "");
    }
    let done = site.run(&["run"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stderr.contains("3 damaged databases were set aside here already"), "{done:?}");
    assert_eq!(set_aside(&site).len(), 3);
    site.ok(&["ledger", "repair"]);
    site.start().stop();
}

#[test]
fn a_snapshot_holds_what_the_ledger_holds() {
    let (first, second) = log(6_000);
    let site = Site::following(&LOG);
    site.write("mail.log", first);
    let daemon = site.start();
    // While it learns.
    site.append("mail.log", second + &marker());
    let early = site.ok(&["ledger", "snapshot", "early"]);
    wait_read(&daemon);
    let told = site.ok(&["ledger", "snapshot", "copies", "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let dump = site.ok(&["ledger", "dump", "--positions"]);
    daemon.stop();
    let alone = site.ok(&["ledger", "snapshot", "alone", "--json"]);
    let alone: Value = serde_json::from_str(&alone).expect("JSON");
    for told in [told, alone] {
        let file = site.path(told["file"].as_str().expect("a path"));
        assert_eq!(Some(fs::metadata(&file).expect("a file").len()), told["bytes"].as_u64());
        site.ok(&["ledger", "verify", &file.display().to_string()]);
        let store = snapshot::File::open(&file).expect("whole");
        let copy = Ledger::with_store(Box::new(store), Bounds::default()).expect("a ledger");
        let mut found = Vec::new();
        copy.dump(&mut found, true).expect("memory does not fail");
        assert!(found == dump.as_bytes(), "{}: it holds something else", file.display());
    }
    let early = early.split(": ").next().expect("a path");
    site.ok(&["ledger", "verify", early]);
}

#[test]
fn snapshots_come_by_themselves() {
    let site = Site::following(&LOG);
    site.rewrite("path = \"ledger\"", "path = \"ledger\"\nsnapshots = 1");
    site.write("mail.log", established("192.0.2.7", "mx.example.com"));
    let daemon = site.start();
    let first = eventually("a snapshot", || snapshots(&site).pop());
    let newest = "helostat_ledger_snapshot_timestamp_seconds";
    eventually("the metric", || (daemon.metric(newest, &[]) > 0.0).then_some(()));
    assert_eq!(daemon.metric("helostat_ledger_snapshot_failures_total", &[]), 0.0);
    site.append("mail.log", marker());
    wait_read(&daemon);
    daemon.stop();
    // Two days later.
    let then = SystemTime::now() - Duration::from_secs(2 * 86_400);
    let file = fs::File::options().write(true).open(&first).expect("a snapshot");
    file.set_modified(then).expect("a time");
    let daemon = site.start();
    let second = eventually("the next one", || {
        snapshots(&site).into_iter().find(|snapshot| *snapshot != first)
    });
    eventually("the older one to go", || (snapshots(&site) == [second.clone()]).then_some(()));
    daemon.stop();
    site.ok(&["ledger", "verify", &second.display().to_string()]);
}

/// A pipe in place of the file makes the snapshot wait until somebody reads.
#[test]
fn a_snapshot_that_hangs_holds_up_nobody() {
    let site = Site::following(&LOG);
    site.write("mail.log", established("192.0.2.7", "mx.example.com"));
    let daemon = site.start();
    daemon.wait_addresses(PAIR, &["127.0.2.2"]);
    let seq = daemon.metric("helostat_ledger_sequence", &[]);
    let folder = site.path("ledger/snapshots");
    fs::create_dir_all(&folder).expect("a folder");
    let pipe = folder.join(format!("helostat-{seq:020}.snapshot.part"));
    assert!(Command::new("mkfifo").arg(&pipe).status().is_ok_and(|made| made.success()));
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| site.run(&["ledger", "snapshot", "copies"]));
        // It begins, and waits.
        std::thread::sleep(Duration::from_millis(500));
        assert!(!asked.is_finished(), "it waits");
        site.append("mail.log", marker());
        wait_read(&daemon);
        assert_eq!(daemon.get("/metrics").0, 200);
        let (code, took, said) = daemon.end("TERM");
        assert_eq!(code, 0, "{said:#?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
        let asked = asked.join().expect("it ends");
        assert_eq!(asked.code, 1, "{asked:?}");
        assert!(asked.stderr.contains("went away in the middle"), "{asked:?}");
    });
}

#[test]
fn a_full_disk_loses_and_doubles_nothing() {
    let (first, second) = log(40_000);
    let second = second + &marker();
    let site = Site::following(&LOG);
    site.write("mail.log", &first);
    let daemon = site.start_limitable();
    daemon.wait_caught_up(&LOG);
    let failures = "helostat_ledger_commit_failures_total";
    assert_eq!((daemon.metric(failures, &[]), daemon.warnings()), (0.0, vec![]));

    daemon.limit_files(Some(4096));
    site.append("mail.log", &second);
    eventually("commits to fail", || (daemon.metric(failures, &[]) > 1.0).then_some(()));
    let warnings = eventually("a warning", || Some(daemon.warnings()).filter(|it| !it.is_empty()));
    assert!(warnings.iter().any(|it| it.starts_with("mail.log: ")), "{warnings:?}");
    assert_eq!(daemon.addresses(PAIR), ["127.0.2.2"], "answers go on");
    let done = site.run(&["ledger", "snapshot", "ledger/snapshots"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stderr.contains("a snapshot cannot be written into"), "{done:?}");
    assert!(daemon.metric("helostat_ledger_snapshot_failures_total", &[]) > 0.0);
    let warned = |part| daemon.warnings().iter().any(|it| it.contains(part));
    assert!(warned("a snapshot cannot be written"), "{:?}", daemon.warnings());
    assert!(snapshots(&site).is_empty(), "nothing half is left");

    daemon.limit_files(None);
    wait_read(&daemon);
    site.ok(&["ledger", "snapshot", "ledger/snapshots"]);
    assert_eq!(daemon.warnings(), [""; 0]);
    daemon.stop();
    assert!(site.dump() == undisturbed(&format!("{first}{second}")), "lost or doubled");
    site.ok(&["ledger", "verify"]);
}

#[test]
fn who_stands_out_is_the_same_beside_a_daemon() {
    let site = Site::following(&LOG);
    site.write("mail.log", established("192.0.2.7", "mx.example.com") + &marker());
    let top = |site: &Site| -> Value {
        let stats = site.ok(&["ledger", "stats", "--top", "5", "--json"]);
        serde_json::from_str::<Value>(&stats).expect("JSON")["top"].take()
    };
    let daemon = site.start();
    wait_read(&daemon);
    let beside = top(&site);
    daemon.stop();
    assert_eq!(beside, top(&site));
    let most = serde_json::json!({"who": "192.0.2.7", "n": 5, "exact": true});
    assert_eq!(beside["clients_by_observations"][0], most, "{beside}");
    let words = site.ok(&["ledger", "stats", "--top", "1"]);
    assert!(words.contains("clients by observations\n               5  192.0.2.7\n"), "{words}");
}

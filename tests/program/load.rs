//! `helostat ledger load` and `merge`: what another ledger knew comes in once, beside a daemon and without
//! one, from whatever form it has.

use std::fs;
use std::io::Write;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use helostat_tests::mail::{days_ago, established, long_postfix, postfix};
use helostat_tests::program::{Site, eventually, project_file};
use helostat_zones::ledger::sled_store::SledStore;
use helostat_zones::ledger::snapshot;
use helostat_zones::ledger::store::{Key, Store};
use serde_json::Value;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

/// A log with a client that says many names, and a name that many clients say; the same for all tests.
fn sample() -> &'static str {
    static SAMPLE: OnceLock<String> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let mut log = project_file("ops/example/postfix.log");
        for i in 0..12 {
            let time = days_ago(12 - i);
            log.push_str(&postfix(time, "192.0.2.77", &format!("mx{i}.example{i}.com")));
            log.push_str(&postfix(time, &format!("198.51.100.{i}"), "mail.example.org"));
        }
        log
    })
}

/// A site that has learned the sample, and forgotten some of it by narrow bounds.
fn learned() -> Site {
    let site = empty();
    site.write("mail.log", sample());
    site.ok(&["learn", "--reporter", "mx1", "mail.log"]);
    site
}

/// A site with the same bounds that has learned nothing.
fn empty() -> Site {
    let site = Site::new("");
    let path = "path = \"ledger\"";
    site.rewrite(path, &format!("{path}\npairs-per-client = 8\nclients-per-name = 8"));
    site
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn every_way_gives_the_same_ledger_and_only_once() {
    let dump = learned().dump();
    assert!(dump.contains("\"crowd\":") && dump.contains("\"trace\":"), "{dump}");
    for way in ["plain", "gz", "stdin", "gz on stdin"] {
        for beside_daemon in [false, true] {
            let site = empty();
            let daemon = beside_daemon.then(|| site.start());
            site.write("dump.jsonl", &dump);
            site.write("dump.gz", gzip(&dump));
            for lines in [dump.lines().count(), 0] {
                let done = match way {
                    "plain" => site.run(&["ledger", "load", "--json", "dump.jsonl"]),
                    "gz" => site.run(&["ledger", "load", "--json", "dump.gz"]),
                    "stdin" => {
                        site.run_with_input(&["ledger", "load", "--json", "-"], dump.as_bytes())
                    }
                    _ => site.run_with_input(&["ledger", "load", "--json", "-"], &gzip(&dump)),
                };
                assert_eq!(done.code, 0, "{way}, daemon {beside_daemon}: {}", done.stderr);
                let told = json(&done.stdout);
                assert_eq!(told["lines"], lines, "{way}, daemon {beside_daemon}: {told}");
                assert_eq!(told["bytes"], dump.len(), "{told}");
                assert_eq!(done.stderr.contains("loaded before, nothing new"), lines == 0);
                assert!(site.dump() == dump, "{way}, daemon {beside_daemon}");
            }
            // In whatever form it comes again.
            for file in ["dump.jsonl", "dump.gz"] {
                site.ok(&["ledger", "load", file]);
                assert!(site.dump() == dump, "{file} after {way}, daemon {beside_daemon}");
            }
            daemon.into_iter().for_each(|daemon| daemon.stop());
        }
    }
}

#[test]
fn a_bad_line_has_a_place_and_a_mended_file_goes_on() {
    let dump = learned().dump();
    let lines: Vec<_> = dump.split_inclusive('\n').collect();
    let at = lines.len() / 2;
    for beside_daemon in [false, true] {
        let site = empty();
        let daemon = beside_daemon.then(|| site.start());
        let mut bad = lines.clone();
        bad[at] = "{\"learned\":[\"2026-11-40/2026-11-41\"]}\n";
        site.write("dump.jsonl", bad.concat());
        let place =
            format!("helostat: dump.jsonl:{}:35: '2026-11-40' is no day as 2026-11-20", at + 1);
        site.fails(&["ledger", "load", "dump.jsonl"], 5, &[&place]);
        site.write("dump.jsonl", &dump);
        let told = json(&site.ok(&["ledger", "load", "--json", "dump.jsonl"]));
        assert!(told["skipped_lines"].as_u64() >= Some(at as u64 - 1), "{told}");
        assert!(site.dump() == dump, "beside a daemon: {beside_daemon}");
        drop(daemon);
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let site = empty();
    site.write("cut.gz", gzip(&learned().dump()).split_at(900).0);
    fs::create_dir(site.path("folder")).expect("a folder");
    for (args, code, says) in [
        (["load", "missing.jsonl"], 5, "missing.jsonl does not exist"),
        (["load", "folder"], 5, "folder is a directory, not a log file"),
        (
            ["load", "cut.gz"],
            5,
            "cut.gz is damaged: its packed data cannot be read on near byte 900 (they end too soon)",
        ),
        (["merge", "missing"], 5, "missing does not exist"),
        (["merge", "folder"], 5, "folder is no ledger: there is no db in it"),
        (["merge", "ledger"], 2, "ledger is the ledger itself: name another one"),
    ] {
        let args = ["ledger", args[0], args[1]];
        site.fails(&args, code, &[&format!("helostat: {says}")]);
    }
}

#[test]
fn a_load_that_was_killed_goes_on() {
    let there = Site::new("");
    there.write("mail.log", long_postfix(150_000));
    there.ok(&["learn", "mail.log"]);
    let dump = there.dump();
    assert!(dump.lines().count() > 12_000, "more than a batch: {}", dump.lines().count());
    let site = Site::new("");
    site.write("dump.jsonl", &dump);
    // The daemon dies under it: some batches are taken in, one perhaps, of which nobody heard.
    let daemon = site.start();
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| site.run(&["ledger", "load", "dump.jsonl"]));
        eventually("a batch", || (daemon.metric("helostat_ledger_rows", &[]) > 0.0).then_some(()));
        daemon.kill();
        let done = loading.join().expect("it ends");
        assert!(done.code == 3 || done.code == 0, "{}: {}", done.code, done.stderr);
    });
    let told = json(&site.ok(&["ledger", "load", "--json", "dump.jsonl"]));
    assert!(told["skipped_lines"].as_u64() >= Some(10_000), "{told}");
    assert!(site.dump() == dump);
}

/// A snapshot of a ledger that nobody has open, record by record.
fn snapshot_of(site: &Site, name: &str) -> String {
    let store = SledStore::open(&site.path("ledger")).expect("a ledger");
    let entries = store.entries().expect("entries");
    let seq = store.committed().expect("something was committed");
    let mut writer = snapshot::Writer::create(&site.path(name), seq).expect("a folder");
    let keys =
        (0..4352).map(Key::Shard).chain(entries.into_iter().map(Key::Entry)).chain([Key::Base]);
    for key in keys {
        if let Some(record) = store.get(key).expect("a whole store") {
            writer.put(key, &record).expect("room");
        }
    }
    writer.finish().expect("room").display().to_string()
}

#[test]
fn every_form_of_another_ledger_is_merged_once() {
    let there = learned();
    let theirs = there.dump();
    there.write("dump.jsonl", there.ok(&["ledger", "dump", "--positions"]));
    let dump = there.path("dump.jsonl").display().to_string();
    let snapshot = snapshot_of(&there, "snapshots");
    let folder = there.path("ledger").display().to_string();
    // One ledger of both logs.
    let other = established("203.0.113.9", "mx.example.net");
    there.write("other.log", &other);
    let both = learned();
    both.write("other.log", &other);
    both.ok(&["learn", "--reporter", "mx2", "other.log"]);
    let expected = both.dump();

    for form in [&dump, &snapshot, &folder] {
        for beside_daemon in [false, true] {
            let site = empty();
            site.write("other.log", &other);
            site.ok(&["learn", "--reporter", "mx2", "other.log"]);
            let daemon = beside_daemon.then(|| site.start());
            let told = json(&site.ok(&["ledger", "merge", "--json", form]));
            assert_eq!(told["lines"], theirs.lines().count() + 1, "with a position: {told}");
            assert_eq!(told["positions"], 1, "{told}");
            assert!(site.dump() == expected, "{form}, daemon {beside_daemon}");
            for again in [&dump, &snapshot, &folder] {
                let done = site.run(&["ledger", "merge", again]);
                assert_eq!(done.stderr, format!("{again}: loaded before, nothing new\n"));
                assert!(site.dump() == expected, "{again} after {form}, daemon {beside_daemon}");
            }
            drop(daemon);
        }
    }
    // What the other learned is not learned again here.
    let site = empty();
    site.ok(&["ledger", "merge", &folder]);
    site.write("mail.log", sample());
    let done = site.run(&["learn", "--reporter", "mx1", "mail.log"]);
    assert_eq!(done.stderr, "mail.log: learned before, nothing new\n");
    assert!(site.dump() == theirs);
}

#[test]
fn a_ledger_that_is_in_use_is_not_merged() {
    let there = learned();
    let daemon = there.start();
    let site = empty();
    let folder = there.path("ledger").display().to_string();
    let done = site.run(&["ledger", "merge", &folder]);
    assert_eq!(done.code, 3);
    assert!(done.stderr.contains("is in use by another process"), "{}", done.stderr);
    daemon.stop();
}

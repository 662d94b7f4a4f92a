//! `helostat learn`: the same content is learned once, however and whenever it comes.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use helostat_ingest::reader::FormatChoice;
use helostat_tests::mail::{days_ago, long_postfix, postfix};
use helostat_tests::program::{Site, eventually, project_file};
use serde_json::Value;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn sample() -> String {
    project_file("ops/example/postfix.log")
}

/// The dump after learning the sample once, plainly.
fn expected() -> String {
    let site = Site::new("");
    site.write("mail.log", sample());
    site.ok(&["learn", "mail.log"]);
    let dump = site.dump();
    assert!(dump.lines().count() > 50, "{dump}");
    dump
}

#[test]
fn every_way_gives_the_same_ledger() {
    let expected = expected();
    for way in ["plain", "gz", "stdin", "gz on stdin", "in two halves", "while the daemon runs"] {
        let site = Site::new("");
        site.write("mail.log", sample());
        site.write("mail.log.gz", gzip(&sample()));
        match way {
            "plain" => drop(site.ok(&["learn", "mail.log"])),
            "gz" => drop(site.ok(&["learn", "mail.log.gz"])),
            "stdin" => {
                let done = site.run_with_input(&["learn", "-"], sample().as_bytes());
                assert_eq!(done.code, 0, "{}", done.stderr);
            }
            "gz on stdin" => {
                let done = site.run_with_input(&["learn", "-"], &gzip(&sample()));
                assert_eq!(done.code, 0, "{}", done.stderr);
            }
            "in two halves" => {
                let text = sample();
                let (half, rest) = text.split_at(text.len() / 2);
                site.write("mail.log", half);
                site.ok(&["learn", "mail.log"]);
                site.append("mail.log", rest);
                site.ok(&["learn", "mail.log"]);
            }
            _ => {
                let daemon = site.start();
                site.ok(&["learn", "mail.log"]);
                assert_eq!(site.dump(), expected, "asked from the daemon");
                daemon.stop();
            }
        }
        assert!(site.dump() == expected, "{way}");
    }
}

#[test]
fn what_was_learned_is_not_learned_again() {
    let expected = expected();
    let site = Site::new("");
    site.write("mail.log", sample());
    site.ok(&["learn", "mail.log"]);
    site.write("mail.log.1", sample());
    site.write("mail.log.2.gz", gzip(&sample()));
    for name in ["mail.log", "mail.log.1", "mail.log.2.gz"] {
        let done = site.run(&["learn", "--json", name]);
        let summary: Value = serde_json::from_str(&done.stdout).expect("JSON");
        assert_eq!((&summary["lines"], &summary["observations"]), (&0.into(), &0.into()), "{name}");
        assert_eq!(done.stderr, format!("{name}: learned before, nothing new\n"));
        assert!(site.dump() == expected, "{name}");
    }
    let done = site.run_with_input(&["learn", "-"], sample().as_bytes());
    assert_eq!(done.stderr, "-: learned before, nothing new\n");
    assert!(site.dump() == expected, "stdin");
}

#[test]
fn a_followed_log_is_not_learned_again() {
    let site = Site::following(&["mail.log"]);
    site.write("mail.log", sample());
    let daemon = site.start();
    daemon.wait_caught_up(&["mail.log"]);
    daemon.stop();
    let followed = site.dump();
    for (state, why) in [
        ("stopped", "learned before, nothing new"),
        ("running", "the daemon follows it and learns it by itself"),
    ] {
        let daemon = (state == "running").then(|| site.start());
        let done = site.run(&["learn", "--reporter", "mx1", "mail.log"]);
        assert_eq!(done.stderr, format!("mail.log: {why}\n"), "{state}");
        assert!(site.dump() == followed, "{state}");
        daemon.into_iter().for_each(|daemon| daemon.stop());
    }
}

#[test]
fn a_log_the_daemon_has_just_begun_is_not_learned_beside_it() {
    let log = long_postfix(60_000);
    let site = Site::following(&["mail.log"]);
    site.write("mail.log", &log);
    let daemon = site.start();
    daemon.wait_caught_up(&["mail.log"]);
    daemon.stop();
    let alone = site.dump();

    let site = Site::following(&["mail.log"]);
    site.write("mail.log", &log);
    let daemon = site.start();
    eventually("the daemon has begun", || {
        (daemon.metric("helostat_ingest_lines_total", &[]) > 0.0).then_some(())
    });
    site.ok(&["learn", "--reporter", "mx1", "mail.log"]);
    daemon.wait_caught_up(&["mail.log"]);
    daemon.stop();
    assert!(site.dump() == alone, "every line once");
}

#[test]
fn the_summary_counts_everything() {
    let site = Site::new("");
    let mail = [postfix(days_ago(2), "192.0.2.7", "mx.example.com"), "what is this?\n".into()];
    site.write("mail.log", mail.concat());
    let summary: Value =
        serde_json::from_str(&site.ok(&["learn", "--json", "mail.log"])).expect("JSON");
    let expected = serde_json::json!({
        "lines": 9,
        "observations": 1,
        "observations_by_outcome": { "accepted": 1 },
        "set_aside": {},
        "not_understood": { "no-stamp": 1 },
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&summary[key], value, "{key} in {summary}");
    }
    for table in ["clients", "names", "families", "networks", "pairs"] {
        assert_eq!(summary["ledger"][table], 1, "{table} in {summary}");
    }
    let fates = summary["fates"].as_array().expect("a list").iter();
    let lines: u64 = fates.map(|fate| fate["lines"].as_u64().expect("a number")).sum();
    assert_eq!(lines, 9, "{summary}");

    site.append("mail.log", postfix(days_ago(1), "192.0.2.7", "mx.example.com"));
    let words = site.ok(&["learn", "mail.log"]);
    assert!(words.starts_with("lines                    8\n"), "{words}");
    assert!(words.contains("\nobservations             1\n             1  accepted\n"), "{words}");
    assert!(words.ends_with("\nthe ledger now holds 1 client, 1 name, 1 pair\n"), "{words}");
}

#[test]
fn observations_as_json_lines_touch_no_ledger() {
    let site = Site::new("");
    let time = days_ago(2);
    site.write("mail.log", postfix(time, "192.0.2.7", "MX.example.com"));
    let lines = site.ok(&["learn", "--to-json", "--reporter", "mx9", "mail.log"]);
    let found: Value = serde_json::from_str(&lines).expect("one line of JSON");
    let expected = serde_json::json!({
        "time": time, "ip": "192.0.2.7", "ehlo": "mx.example.com", "kind": "fqdn", "rdns": null,
        "proto": "ESMTP", "outcome": "accepted", "stage": null, "reason": null, "reporter": "mx9",
    });
    assert_eq!(found, expected);
    assert!(!site.path("ledger").exists());
}

#[test]
fn what_cannot_be_read_is_said() {
    let site = Site::new("");
    let whole = gzip(&sample());
    site.write("cut.gz", whole.split_at(20_000).0);
    std::fs::create_dir(site.path("folder")).expect("a folder");
    let cut = "helostat: cut.gz is damaged: its packed data cannot be read on near byte 20000 (they end too soon)";
    for (file, says) in [
        ("missing.log", "helostat: missing.log does not exist"),
        ("folder", "helostat: folder is a directory, not a log file"),
        ("cut.gz", cut),
    ] {
        site.fails(&["learn", file], 5, &[says]);
        let shown = site.run(&["learn", "--to-json", file]);
        assert_eq!((shown.code, shown.stderr), (5, format!("{says}\n")));
    }
    // What came before the damage was learned or not; the whole file gives the rest in any case.
    site.write("whole.gz", whole);
    site.ok(&["learn", "whole.gz"]);
    assert!(site.dump() == expected());
}

#[test]
fn wrong_words_are_said() {
    let site = Site::new("");
    site.write("mail.log", sample());
    let formats: Vec<_> = FormatChoice::all().map(FormatChoice::word).collect();
    let no_format = format!("'none' is no log format; there are {}", formats.join(", "));
    for (option, word, says) in [
        ("--format", "none", no_format.as_str()),
        ("--reporter-kind", "x", "'x' is no reporter kind: mx, trap, submission or unfiltered"),
        ("--time-zone", "Mars/X", "failed to find time zone `Mars/X` in time zone database"),
    ] {
        site.fails(&["learn", option, word, "mail.log"], 2, &[&format!("helostat: {says}")]);
    }
}

#[test]
fn refusals_of_ours_are_known() {
    let site = Site::new("[ingest]\nour-replies = [\"refused by our own list\"]\n");
    let list = "Service unavailable; client [192.0.2.7] blocked using";
    for (reply, ours) in [
        (format!("{list} bl.rep.test"), true),
        (format!("{list} bl.example.org"), false),
        ("<c@d.test>: Recipient address rejected: Refused by our own list".to_owned(), true),
        ("<refused by our own list@d.test>: Recipient address rejected: unknown".to_owned(), false),
    ] {
        let said = if reply.contains("<refused") { "\"refused by our own list\"" } else { "c" };
        let stamp = "2026-11-20T13:40:22Z mx postfix/smtpd[9]:";
        let log = format!(
            "{stamp} connect from x.example[192.0.2.7]\n\
             {stamp} NOQUEUE: reject: RCPT from x.example[192.0.2.7]: 554 5.7.1 {reply}; from=<a@b.test> to=<{said}@d.test> proto=ESMTP helo=<x.example>\n\
             {stamp} disconnect from x.example[192.0.2.7] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4\n"
        );
        site.write("mail.log", log);
        let told = site.ok(&["learn", "--to-json", "mail.log"]);
        let told: Value = serde_json::from_str(&told).expect("one observation");
        assert_eq!(told["outcome"], "rejected", "{reply}");
        assert_eq!(told.get("by_us").is_some(), ours, "{reply}");
    }
}

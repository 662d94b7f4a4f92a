//! `helostat ledger`: looking into what was learned and taking out of it, beside a daemon and without one.

use helostat_tests::mail::established;
use helostat_tests::program::Site;
use serde_json::{Value, json};

/// A site that has learned two clients.
fn learned() -> Site {
    let site = Site::new("");
    site.write("a.log", established("192.0.2.7", "mx.example.com"));
    site.write("b.log", established("198.51.100.9", "mail.example.org"));
    site.ok(&["learn", "--reporter", "mx1", "a.log", "b.log"]);
    site
}

#[test]
fn who_is_forgotten_is_gone() {
    for beside_daemon in [false, true] {
        let site = learned();
        let daemon = beside_daemon.then(|| site.start());
        let full = site.dump();
        assert!(full.contains("mx.example.com") && full.contains("mail.example.org"), "{full}");

        let told = site.ok(&["ledger", "forget", "--dry-run", "192.0.2.7", "*.example.org"]);
        let would = "client 192.0.2.7: 1 pair would be forgotten\nfamily example.org: 1 pair would be forgotten\n";
        assert_eq!(told, would, "beside a daemon: {beside_daemon}");
        assert_eq!(site.dump(), full, "a dry run changes nothing");

        let told = site.ok(&["ledger", "forget", "--json", "192.0.2.7"]);
        let told: Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(told, json!([{"whom": "client 192.0.2.7", "pairs": 1, "exact": true}]));
        if let Some(daemon) = &daemon {
            let (_, explained) = daemon.get("/v1/explain?ip=192.0.2.7&ehlo=mx.example.com");
            assert!(explained.contains("never seen"), "answers follow at once: {explained}");
        }
        drop(daemon);
        let rest = site.dump();
        assert!(!rest.contains("192.0.2.7"), "{rest}");
        assert!(rest.contains("198.51.100.9"), "{rest}");

        site.ok(&["learn", "--reporter", "mx1", "a.log"]);
        assert!(!site.dump().contains("192.0.2.7"), "a log that was learned is not learned again");
    }
}

#[test]
fn nobody_is_forgotten_by_a_slip() {
    let site = learned();
    let full = site.dump();
    for beside_daemon in [false, true] {
        let daemon = beside_daemon.then(|| site.start());
        let says = "helostat: '192.0.2.0/25' is nobody: write an address, an IPv4 /24 or IPv6 /48, a name, or a family as *.example.com";
        site.fails(&["ledger", "forget", "192.0.2.7", "192.0.2.0/25"], 2, &[says]);
        drop(daemon);
    }
    assert_eq!(site.dump(), full);
}

#[test]
fn positions_are_told_on_request() {
    for beside_daemon in [false, true] {
        let site = learned();
        let daemon = beside_daemon.then(|| site.start());
        let plain = site.ok(&["ledger", "dump"]);
        let with = site.ok(&["ledger", "dump", "--positions"]);
        let more = with.strip_prefix(&plain).expect("what is learned comes first");
        assert_eq!(more.lines().count(), 2, "one for each log: {more}");
        assert!(more.lines().all(|line| line.starts_with("{\"position\":")), "{more}");
        drop(daemon);
    }
}

#[test]
fn what_is_counted_is_the_same_beside_a_daemon() {
    let site = learned();
    let alone = site.ok(&["ledger", "stats", "--json"]);
    let stats: Value = serde_json::from_str(&alone).expect("JSON");
    assert_eq!((&stats["clients"], &stats["pairs"]), (&json!(2), &json!(2)), "{alone}");
    assert_eq!(stats["reporters"][0]["reporter"], "mx1", "{alone}");
    let daemon = site.start();
    let asked: Value =
        serde_json::from_str(&site.ok(&["ledger", "stats", "--json"])).expect("JSON");
    for key in ["clients", "names", "pairs", "forgotten", "learned_days", "newest", "reporters"] {
        assert_eq!(asked[key], stats[key], "{key}");
    }
    let words = site.ok(&["ledger", "stats"]);
    assert!(words.lines().any(|line| line.starts_with("reporter mx1 (mx): ")), "{words}");
    daemon.stop();
}

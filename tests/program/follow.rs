//! What is appended to a followed log is in the next answers, whatever happens to the file.

use std::fs;

use helostat_tests::mail::{days_ago, established, exim, postfix};
use helostat_tests::program::{Daemon, Site};

/// A pair that was seen once.
const SEEN: [&str; 1] = ["127.0.3.9"];

/// Waits until host `n` was seen; no other test host shares its address or name.
fn wait_seen(daemon: &Daemon, n: u8) {
    daemon.wait_addresses(&format!("mx{n}.example.com.{n}.2.0.192.pair"), &SEEN);
}

/// A message from host `n`.
fn message(n: u8) -> String {
    postfix(days_ago(0), &format!("192.0.2.{n}"), &format!("mx{n}.example.com"))
}

/// In the end every host was accepted exactly once, and nobody else was there.
fn assert_once(site: &Site, hosts: &[u8]) {
    let pairs = site.pairs();
    for n in hosts {
        let pair = format!(r#""client":"192.0.2.{n}","name":"mx{n}.example.com""#);
        let lines: Vec<_> = pairs.iter().filter(|line| line.contains(&pair)).collect();
        assert_eq!(lines.len(), 1, "{pair} in {pairs:#?}");
        assert!(
            lines.iter().all(|line| line.contains(r#""outcomes":{"accepted":1}"#)),
            "{lines:?}"
        );
    }
    assert_eq!(pairs.len(), hosts.len(), "{pairs:#?}");
}

#[test]
fn sessions_change_answers() {
    let site = Site::following(&["mail.log", "mainlog"]);
    site.write("mail.log", established("192.0.2.7", "mail.example.com"));
    let daemon = site.start();
    daemon.wait_addresses("mail.example.com.7.2.0.192.pair", &["127.0.2.2"]);
    daemon.wait_addresses("7.2.0.192.wl", &["127.0.4.1"]);

    site.append("mail.log", postfix(days_ago(0), "192.0.2.8", "mail.example.com"));
    daemon.wait_addresses("mail.example.com.8.2.0.192.pair", &["127.0.3.4"]);
    site.append("mainlog", exim(days_ago(0), "198.51.100.9", "mail.example.com"));
    daemon.wait_addresses("mail.example.com.9.100.51.198.pair", &["127.0.3.3"]);
    let nibbles = "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
    assert!(daemon.addresses(&format!("mx.example.org.{nibbles}.pair")).is_empty(), "never seen");
    site.append("mainlog", exim(days_ago(0), "2001:db8::9", "mx.example.org"));
    daemon.wait_addresses(&format!("mx.example.org.{nibbles}.pair"), &SEEN);
    daemon.stop();
}

#[test]
fn rotation_by_rename_loses_and_doubles_nothing() {
    let site = Site::following(&["mail.log"]);
    let daemon = site.start();
    for n in 1..=4 {
        site.append("mail.log", message(n));
        wait_seen(&daemon, n);
        // Written between the last look and the rename, and by a writer that still has the old file.
        site.append("mail.log", message(100 + n));
        for old in (1..n).rev() {
            site.rename(&format!("mail.log.{old}"), &format!("mail.log.{}", old + 1));
        }
        site.rename("mail.log", "mail.log.1");
        site.append("mail.log", message(200 + n));
        wait_seen(&daemon, 200 + n);
        wait_seen(&daemon, 100 + n);
        site.append("mail.log.1", message(50 + n));
        wait_seen(&daemon, 50 + n);
    }
    daemon.stop();
    let dump = site.dump();
    assert_eq!(dump.matches(r#""outcomes":{"accepted":1}"#).count(), 16, "{dump}");
}

#[test]
fn copytruncate_loses_and_doubles_nothing() {
    let site = Site::following(&["mail.log"]);
    let daemon = site.start();
    // Each time the new content is of another length: longer, and in the end shorter.
    let hosts = [1, 10, 100, 2];
    for n in hosts {
        site.append("mail.log", message(n));
        wait_seen(&daemon, n);
        fs::copy(site.path("mail.log"), site.path("mail.log.1")).expect("a copy");
        site.write("mail.log", "");
    }
    daemon.stop();
    assert_once(&site, &hosts);
}

#[test]
fn a_log_that_goes_away_may_come_back() {
    let site = Site::following(&["mail.log"]);
    let daemon = site.start();
    daemon.wait_said("mail.log does not exist");
    assert!(daemon.get("/healthz").1.contains("mail.log does not exist"));
    site.append("mail.log", message(1));
    wait_seen(&daemon, 1);
    fs::remove_file(site.path("mail.log")).expect("it is there");
    site.append("mail.log", message(2));
    wait_seen(&daemon, 2);
    assert_eq!(
        daemon.get("/healthz"),
        (200, r#"{"ready":true,"failing":[],"warnings":[]}"#.into())
    );
    daemon.stop();
    assert_once(&site, &[1, 2]);
}

#[test]
fn a_log_that_is_not_there_was_not_read_to_its_end() {
    let site = Site::following(&["mail.log", "mainlog"]);
    site.write("mail.log", message(1));
    let daemon = site.start();
    daemon.wait_said("mainlog does not exist");
    daemon.wait_caught_up(&["mail.log"]);
    // Looked at every few milliseconds: by now it was found missing more than once.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let end = "mainlog: read to its end";
    assert!(daemon.said().iter().all(|line| !line.contains(end)), "{:?}", daemon.said());
    site.write("mainlog", exim(days_ago(0), "192.0.2.2", "mx2.example.com"));
    daemon.wait_said(end);
    daemon.stop();
}

#[test]
fn a_line_may_come_byte_by_byte() {
    let site = Site::following(&["mail.log"]);
    let daemon = site.start();
    for byte in message(1).bytes() {
        site.append("mail.log", [byte]);
    }
    wait_seen(&daemon, 1);
    daemon.stop();
    assert_once(&site, &[1]);
}

/// The daemon stops within a session, after `read` lines of it; `late` lines still come to the old file.
#[test]
fn a_session_may_span_restart_and_rotation() {
    let text = message(1);
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    for (read, late) in [(1, 0), (2, 0), (2, 1), (3, 0), (1, 3)] {
        let site = Site::following(&["mail.log"]);
        site.append("mail.log", lines[..read].concat());
        let daemon = site.start();
        daemon.wait_caught_up(&["mail.log"]);
        daemon.stop();
        site.append("mail.log", lines[read..read + late].concat());
        site.rename("mail.log", "mail.log.1");
        site.append("mail.log", lines[read + late..].concat());
        let daemon = site.start();
        daemon.wait_caught_up(&["mail.log"]);
        daemon.stop();
        let pairs = site.pairs();
        let accepted = pairs.concat().matches(r#""outcomes":{"accepted":1}"#).count();
        assert_eq!((accepted, pairs.len()), (1, 1), "({read}, {late}): {pairs:#?}");
    }
}

#[test]
fn many_logs_at_once_are_one_ledger() {
    let logs = ["a.log", "b.log", "c.log", "d.log"];
    let site = Site::following(&logs);
    let daemon = site.start();
    for n in 1..=40 {
        site.append(logs[usize::from(n % 4)], message(n));
    }
    for n in 1..=40 {
        wait_seen(&daemon, n);
    }
    daemon.stop();
    assert_once(&site, &Vec::from_iter(1..=40));
}

#[test]
fn a_log_that_is_behind_says_by_how_much() {
    let site = Site::following(&["mail.log"]);
    site.rewrite("[[log]]", "[ingest]\nbatch = 20\n\n[[log]]");
    site.write("mail.log", helostat_tests::mail::long_postfix(20_000));
    let daemon = site.start();
    let said = daemon.wait_said("MB behind; what is read now is ");
    assert!(said.contains("mail.log: ") && said.contains(" minutes old"), "{said}");
    daemon.wait_said("mail.log: no longer behind");
    assert_eq!(daemon.metric("helostat_ingest_behind_bytes", &[("log", "mail.log")]), 0.0);
    daemon.stop();
}

#[test]
fn all_files_that_match_are_followed() {
    let site = Site::following(&["logs/*/mail.log*"]);
    for host in ["a", "b"] {
        fs::create_dir_all(site.path(&format!("logs/{host}"))).expect("a folder");
    }
    let daemon = site.start();
    daemon.wait_said("no file matches ");
    site.append("logs/a/mail.log", message(1));
    wait_seen(&daemon, 1);
    site.append("logs/b/mail.log", message(2));
    wait_seen(&daemon, 2);
    assert_eq!(daemon.get("/healthz").1, r#"{"ready":true,"failing":[],"warnings":[]}"#);
    // Two sessions at once in logs of two hosts, one of which is rotated in the middle.
    let (one, two) = (message(3), message(4));
    let lines = |text: &str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
    for (at, (one, two)) in lines(&one).into_iter().zip(lines(&two)).enumerate() {
        site.append("logs/a/mail.log", one);
        site.append("logs/b/mail.log", two);
        std::thread::sleep(std::time::Duration::from_millis(40));
        if at == 1 {
            site.rename("logs/b/mail.log", "logs/b/mail.log.1");
        }
    }
    wait_seen(&daemon, 3);
    wait_seen(&daemon, 4);
    // What the daemon follows by a pattern is not learned beside it.
    let done = site.run(&["learn", "--reporter", "mx1", "logs/a/mail.log"]);
    let followed = "logs/a/mail.log: the daemon follows it and learns it by itself\n";
    assert_eq!((done.code, done.stderr.as_str()), (0, followed));
    daemon.stop();
    assert_once(&site, &[1, 2, 3, 4]);
}

/// Both logs are new, begin with the same line and are looked at in the same moment, again and again.
#[test]
fn logs_that_begin_alike_are_two() {
    for _ in 0..10 {
        let site = Site::following(&["a.log", "b.log"]);
        for (log, n) in [("a.log", 1), ("b.log", 2)] {
            // What ends alike, too, and is as long, would be one content.
            site.write(log, "log file created\n".to_owned() + &message(n) + log + "\n");
        }
        let daemon = site.start();
        daemon.wait_caught_up(&["a.log", "b.log"]);
        daemon.kill();
        for (log, n) in [("a.log", 3), ("b.log", 4)] {
            site.append(log, message(n));
        }
        let daemon = site.start();
        daemon.wait_caught_up(&["a.log", "b.log"]);
        daemon.stop();
        assert_once(&site, &[1, 2, 3, 4]);
    }
}

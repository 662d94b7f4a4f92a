//! Start, signals, restart.

use std::time::Duration;

use helostat_tests::mail::{established, long_postfix};
use helostat_tests::program::{Site, eventually};

/// What the manual promises.
const LAST: Duration = Duration::from_secs(2);

#[test]
fn signals_end_it_in_order() {
    for signal in ["TERM", "INT"] {
        let site = Site::following(&["mail.log"]);
        site.write("mail.log", "");
        let daemon = site.start();
        let (code, took, said) = daemon.end(signal);
        assert_eq!(code, 0, "{said:#?}");
        assert!(took < LAST, "{signal}: {took:?}");
        assert!(said.last().is_some_and(|line| line.ends_with("ended")), "{said:#?}");
        assert!(!site.path("ledger/control.sock").exists());
    }
}

#[test]
fn a_backlog_does_not_hold_it_back() {
    let site = Site::following(&["mail.log"]);
    let log = long_postfix(60_000);
    site.write("mail.log", &log);
    let daemon = site.start();
    let (code, took, said) = daemon.end("TERM");
    assert_eq!(code, 0, "{said:#?}");
    assert!(took < LAST, "{took:?}");
    assert!(!said.iter().any(|line| line.contains("read to its end")), "too quick for this test");
    // The rest is read next time.
    let daemon = site.start();
    daemon.wait_caught_up(&["mail.log"]);
    daemon.stop();
    let followed = site.dump();

    let other = Site::new("");
    other.write("mail.log", &log);
    other.ok(&["learn", "--reporter", "mx1", "mail.log"]);
    assert!(followed == other.dump(), "some of the backlog is missing or counted twice");
}

#[test]
fn hangup_takes_a_sound_configuration_over() {
    let site = Site::new("[policy]\njunk-days = 2\n");
    site.write("mail.log", established("192.0.2.7", "mx.example.com"));
    site.ok(&["learn", "mail.log"]);
    let daemon = site.start();
    let pair = "mx.example.com.7.2.0.192.pair";
    daemon.wait_addresses(pair, &["127.0.2.2"]);

    site.rewrite("junk-days = 2", "strong-messages = 60\nestablished-messages = 50");
    daemon.signal("HUP");
    daemon.wait_addresses(pair, &["127.0.3.9"]);
    daemon.wait_said("The configuration was read again");

    site.rewrite("established-messages = 50", "established-mesages = 5");
    daemon.signal("HUP");
    let said = daemon.wait_said("The configuration was not taken over");
    let file = site.config().display().to_string();
    let why =
        "14:1: unknown key `established-mesages` in [policy]; did you mean `established-messages`?";
    assert!(said.ends_with(&format!("{file}:{why}")), "{said}");
    assert_eq!(daemon.addresses(pair), ["127.0.3.9"]);

    site.rewrite("established-mesages = 5", "established-messages = 5");
    site.rewrite("path = \"ledger\"", "path = \"elsewhere\"");
    daemon.signal("HUP");
    daemon.wait_addresses(pair, &["127.0.2.2"]);
    daemon.wait_said("takes effect after a restart");
    daemon.stop();
}

#[test]
fn a_hangup_while_the_ledger_opens_is_a_reload() {
    let site = Site::new("");
    site.write("mail.log", established("192.0.2.7", "mx.example.com"));
    site.ok(&["learn", "mail.log"]);
    let daemon = site.launch();
    daemon.wait_said("opening the ledger");
    daemon.signal("HUP");
    daemon.wait_said("The configuration was read again");
    daemon.stop();
}

#[test]
fn what_needs_a_restart_is_said_as_long_as_it_does() {
    let site = Site::new("");
    let daemon = site.start();
    let reload = |from: &str, to: &str| {
        let before = daemon.said().len();
        site.rewrite(from, to);
        daemon.signal("HUP");
        eventually("a reload", || {
            let said = daemon.said().split_off(before);
            let done = said.iter().any(|line| line.contains("was read again"));
            done.then(|| said.iter().any(|line| line.contains("takes effect after a restart")))
        })
    };
    let (old, new) = ("path = \"ledger\"", "path = \"elsewhere\"");
    assert!(reload(old, new), "changed");
    assert!(reload(new, &format!("{new} # still")), "it is still not what runs");
    assert!(!reload(&format!("{new} # still"), old), "as it runs again");
    daemon.stop();
}

#[test]
fn a_restart_answers_at_once() {
    let site = Site::new("");
    site.write("mail.log", established("192.0.2.7", "mx.example.com"));
    site.ok(&["learn", "mail.log"]);
    for signal in ["TERM", "KILL", "TERM"] {
        let daemon = site.start();
        assert_eq!(daemon.addresses("mx.example.com.7.2.0.192.pair"), ["127.0.2.2"]);
        let (code, _, said) = daemon.end(signal);
        assert_eq!(code, if signal == "KILL" { -1 } else { 0 }, "{said:#?}");
    }
}

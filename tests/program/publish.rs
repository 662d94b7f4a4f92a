//! What stands between verdicts and answers: guards, and zones on trial.

use std::fmt::Write;

use helostat_tests::program::{Daemon, Site, eventually};
use serde_json::Value;

/// Who says no name is listed with its first line.
const POLICY: &str = "[policy]\njunk-messages = 1\njunk-days = 1\n";

/// Lines of clients of 192.0.2.0/24 that say no name, as of now.
fn junk(hosts: std::ops::Range<u8>, outcome: &str) -> String {
    let now = jiff::Timestamp::now();
    let mut lines = String::new();
    for host in hosts {
        writeln!(
            lines,
            "{{\"time\":\"{now:.0}\",\"ip\":\"192.0.2.{host}\",\"ehlo\":\"10.0.0.{host}\",\"outcome\":\"{outcome}\"}}"
        )
        .expect("room");
    }
    lines
}

fn learn(site: &Site, lines: &str) {
    site.write("lines.jsonl", lines);
    site.ok(&["learn", "--format", "json", &site.path("lines.jsonl").display().to_string()]);
}

fn standing(site: &Site) -> Value {
    serde_json::from_str(&site.ok(&["publish", "--json"])).expect("JSON")
}

/// After its first look at all clients.
fn start(site: &Site) -> Daemon {
    let daemon = site.start();
    eventually("the first look", || (standing(site)["armed"] == true).then_some(()));
    daemon
}

fn listed(daemon: &Daemon) -> Vec<u8> {
    let is_listed = |host: &u8| !daemon.addresses(&format!("{host}.2.0.192.bl")).is_empty();
    (1..=10).filter(is_listed).collect()
}

#[test]
fn a_jump_is_held_back_until_somebody_says_that_it_is_right() {
    let site = Site::new(&format!("{POLICY}[guard]\nnew-listings = 3\nnew-percent = 0\n"));
    learn(&site, &junk(1..3, "rejected"));
    let daemon = start(&site);
    assert_eq!(listed(&daemon), [1, 2], "what is there at the start is good");
    assert!(daemon.get("/healthz").1.contains("\"warnings\":[]"));

    learn(&site, &junk(3..9, "rejected"));
    assert_eq!(listed(&daemon), [1, 2, 3, 4, 5]);
    let text = daemon.ask("6.2.0.192.bl.rep.test", "TXT");
    assert_eq!((text.rcode.as_str(), text.answers.len()), ("NXDOMAIN", 0));
    let standing = standing(&site);
    assert_eq!(standing["causes"], serde_json::json!(["jump"]));
    assert_eq!(standing["held-back"], 3);
    let said = site.ok(&["publish"]);
    assert!(said.contains("held back    3: 192.0.2.6, 192.0.2.7, 192.0.2.8"), "{said}");
    assert!(said.contains("jump: "), "{said}");
    assert!(daemon.get("/healthz").1.contains("new listings are held back since"));
    assert!((daemon.metric("helostat_guard_holds", &[("guard", "jump")]) - 1.0).abs() < 0.1);

    let forced = site.ok(&["publish", "--force"]);
    assert!(forced.contains("Forced: nothing is held back until"), "{forced}");
    assert_eq!(listed(&daemon), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(daemon.metric("helostat_guard_holds", &[("guard", "jump")]).abs() < 0.1);
    daemon.stop();
}

#[test]
fn canaries_and_networks_that_must_never_be_listed_hold_the_others_back() {
    let site = Site::new(&format!("{POLICY}[guard]\ncanaries = 0\nnever-list = [\"192.0.2.4\"]\n"));
    learn(&site, &junk(4..5, "rejected"));
    let daemon = start(&site);
    assert_eq!(listed(&daemon), [] as [u8; 0], "not even from the start");
    let causes = |site: &Site| standing(site)["causes"].clone();
    assert_eq!(causes(&site), serde_json::json!(["never-list"]));
    learn(&site, &junk(5..6, "rejected"));
    assert_eq!(listed(&daemon), [] as [u8; 0]);
    site.ok(&["publish", "--force"]);
    assert_eq!(listed(&daemon), [5]);
    daemon.stop();

    site.rewrite("never-list = [\"192.0.2.4\"]", "never-list = []");
    let daemon = start(&site);
    assert_eq!(listed(&daemon), [4, 5]);
    // Mail of this one was taken today: a mistake, perhaps.
    learn(&site, &(junk(6..7, "accepted") + &junk(6..7, "rejected")));
    assert_eq!(listed(&daemon), [4, 5]);
    assert_eq!(causes(&site), serde_json::json!(["canary"]));
    daemon.stop();
}

#[test]
fn stale_data_list_nobody_new_and_say_so() {
    let site = Site::new(&format!("{POLICY}[guard]\nstale-after = \"1h\"\n"));
    let old = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
    learn(
        &site,
        &format!(
            "{{\"time\":\"{old:.0}\",\"ip\":\"192.0.2.1\",\"ehlo\":\"10.0.0.1\",\"outcome\":\"rejected\"}}\n"
        ),
    );
    let daemon = start(&site);
    assert_eq!(listed(&daemon), [1], "who is listed stays listed");
    assert_eq!(standing(&site)["causes"], serde_json::json!(["stale"]));
    assert!(site.ok(&["publish"]).contains("stale: nothing was learned"));
    daemon.stop();
}

#[test]
fn a_zone_on_trial_says_nothing_and_counts() {
    let site = Site::new(POLICY);
    site.rewrite("origin = \"rep.test\"", "origin = \"rep.test\"\ndry-run = [\"bl\"]");
    learn(&site, &junk(1..2, "rejected"));
    let daemon = start(&site);
    for _ in 0..3 {
        assert_eq!(daemon.ask("1.2.0.192.bl.rep.test", "A").rcode, "NXDOMAIN");
    }
    assert_eq!(daemon.addresses("2.0.0.127.bl"), ["127.0.0.2"], "test points stay");
    assert!((daemon.metric("helostat_dns_dry_run_total", &[("zone", "bl")]) - 3.0).abs() < 0.1);
    site.rewrite("dry-run = [\"bl\"]", "dry-run = []");
    daemon.signal("HUP");
    eventually("the end of the trial", || (listed(&daemon) == [1]).then_some(()));
    daemon.stop();
}

#[test]
fn publish_needs_a_daemon() {
    Site::new("").fails(
        &["publish"],
        1,
        &["helostat: no daemon runs on the ledger at $DIR/ledger: nothing is published"],
    );
}

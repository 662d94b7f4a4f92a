//! `helostat retire`: the orderly end of a zone, from the command line to the answers.

use std::fs;

use helostat_tests::program::{Daemon, Site};
use serde_json::Value;

/// A list beside the zones of `rep.test`, and somebody who is listed in them.
const SECTIONS: &str = "[[list]]\norigin = \"own.test\"\ndata = [\"ip4set:bad\"]\n\
    [[deny]]\nclient = \"192.0.2.7\"\nreason = \"floods us\"\n";

fn site() -> Site {
    let site = Site::new(SECTIONS);
    site.write("bad", "127.0.0.2\n192.0.2.7\n");
    site
}

/// What stands in the zone for 192.0.2.7, at the test point, and at the apex as TXT.
fn told(daemon: &Daemon, zone: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
    let data = |name: &str, rtype: &str| {
        let reply = daemon.ask(name, rtype);
        reply.answers.into_iter().map(|record| record.data).collect::<Vec<_>>()
    };
    let listed = data(&format!("7.2.0.192.{zone}"), "A");
    (listed, data(&format!("2.0.0.127.{zone}"), "A"), data(zone, "TXT"))
}

#[track_caller]
fn serves(daemon: &Daemon, zone: &str) {
    let (listed, test_point, notice) = told(daemon, zone);
    assert_eq!(listed.first().map(String::as_str), Some("127.0.0.2"), "{zone}");
    assert_eq!(test_point.first().map(String::as_str), Some("127.0.0.2"), "{zone}");
    assert!(notice.is_empty(), "{zone}: {notice:?}");
}

/// The notice of a zone that has ended.
#[track_caller]
fn ended(daemon: &Daemon, zone: &str) -> String {
    let (listed, test_point, notice) = told(daemon, zone);
    assert!(listed.is_empty() && test_point.is_empty(), "{zone}: {listed:?} {test_point:?}");
    let [notice] = notice.as_slice() else { panic!("{zone}: {notice:?}") };
    assert_eq!(daemon.ask(zone, "SOA").answers.len(), 1, "{zone}");
    assert_eq!(daemon.ask(zone, "NS").answers.len(), 1, "{zone}");
    notice.clone()
}

#[test]
fn a_zone_ends_and_comes_back() {
    let site = site();
    let daemon = site.start();
    for zone in ["bl.rep.test", "own.test"] {
        serves(&daemon, zone);
    }
    let said = site.ok(&["retire", "BL.rep.test.", "--say", "Ask bl.example.org instead."]);
    assert!(said.starts_with("bl.rep.test lists nobody any more, in "), "{said}");
    assert!(said.ends_with("\nthe daemon has taken it over\n"), "{said}");
    let notice = ended(&daemon, "bl.rep.test");
    let (today, says) = (jiff::Timestamp::now().to_string(), "Ask bl.example.org instead.");
    let today = today.split('T').next().expect("a date");
    assert!(notice.contains(&format!("This zone ended on {today} and lists nobody")), "{notice}");
    assert!(notice.contains(says), "{notice}");
    let nothing = "helostat: bl.rep.test has ended (helostat retire): there is nothing to export";
    site.fails(&["export", "bl.rep.test", "--format", "json"], 2, &[nothing]);
    assert_eq!(daemon.addresses("2.0.0.127.wl"), ["127.0.4.1"], "the others go on");
    serves(&daemon, "own.test");

    site.ok(&["retire", "own.test"]);
    ended(&daemon, "own.test");
    // Once more, with other words: it ended when it did.
    let before: Value = serde_json::from_str(&site.ok(&["retire", "--json"])).expect("JSON");
    site.ok(&["retire", "bl.rep.test"]);
    assert!(!ended(&daemon, "bl.rep.test").contains(says));
    let after: Value = serde_json::from_str(&site.ok(&["retire", "--json"])).expect("JSON");
    let since = |listed: &Value, zone: &str| {
        let mut listed = listed.as_array().expect("a list").iter();
        listed.find(|it| it["zone"] == zone).expect(zone)["since"].clone()
    };
    assert_eq!(since(&before, "bl.rep.test"), since(&after, "bl.rep.test"));

    // It is written down.
    daemon.stop();
    let daemon = site.start();
    for zone in ["bl.rep.test", "own.test"] {
        ended(&daemon, zone);
    }
    let table = site.ok(&["retire"]);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.starts_with("zone "), "{table}");

    for zone in ["bl.rep.test", "own.test"] {
        let said = site.ok(&["retire", zone, "--undo"]);
        assert!(said.starts_with(&format!("{zone} answers again")), "{said}");
        serves(&daemon, zone);
    }
    // A whole origin, with all its kinds.
    site.ok(&["retire", "rep.test"]);
    for zone in ["rep.test", "bl.rep.test", "wl.rep.test", "ehlo.rep.test"] {
        ended(&daemon, zone);
    }
    serves(&daemon, "own.test");
    site.ok(&["retire", "rep.test", "--undo"]);
    serves(&daemon, "bl.rep.test");
    let done = site.run(&["retire"]);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("", "no zone has ended\n"));
    daemon.stop();
}

#[test]
fn mistakes_are_said_and_change_nothing() {
    let site = site();
    site.ok(&["deny", "192.0.2.9", "--reason", "a"]);
    let file = || fs::read_to_string(site.path("decisions.toml")).expect("it is there");
    let before = file();
    for (args, code, says) in [
        (
            &["retire", "bl.rep.tset"][..],
            2,
            "there is no zone bl.rep.tset; the zones are rep.test, bl.rep.test, wl.rep.test, score.rep.test, ehlo.rep.test, pair.rep.test, own.test",
        ),
        (&["retire", "a..b"], 2, "'a..b' is no zone: two dots stand together, or one at its start"),
        (
            &["retire", "own.test", "--say", "a\nb"],
            2,
            "what it says: it has line ends, tabs or other control characters",
        ),
        (
            &["retire", "own.test", "--undo"],
            1,
            "own.test has not ended: `helostat retire` lists what has",
        ),
    ] {
        site.fails(args, code, &[&format!("helostat: {says}")]);
        assert_eq!(file(), before, "{args:?}");
    }
    // Decisions and ends share the file, and leave each other alone.
    site.ok(&["retire", "own.test", "--say", "Gone \"for good\"."]);
    assert!(file().starts_with(&before), "{}", file());
    site.ok(&["decisions", "remove", "192.0.2.9"]);
    site.ok(&["retire", "own.test"]);
    assert!(file().contains("zone = \"own.test\"") && !file().contains("Gone"), "{}", file());

    // Its zone may leave before it: then it only warns, and can be taken back.
    site.rewrite("origin = \"own.test\"", "origin = \"other.test\"");
    let done = site.run(&["check"]);
    let says = "warning: [[retired]] own.test: there is no such zone, nobody gets this notice";
    assert!(done.code == 0 && done.stderr.contains(says), "{}", done.stderr);
    let listed: Value = serde_json::from_str(&site.ok(&["retire", "--json"])).expect("JSON");
    assert_eq!(listed[0]["served"], false, "{listed}");
    site.ok(&["retire", "own.test", "--undo"]);

    // What stands elsewhere is changed there.
    site.rewrite("[[list]]", "[[retired]]\nzone = \"rep.test\"\n[[list]]");
    for args in [&["retire", "rep.test", "--undo"][..], &["retire", "rep.test"]] {
        let says =
            "helostat: that rep.test has ended stands at $DIR/helostat.toml:12: change it there";
        site.fails(args, 1, &[says]);
    }
}

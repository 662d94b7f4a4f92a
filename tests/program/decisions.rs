//! `helostat allow`, `deny`, `decisions`: the operator's own decisions, from the command line to the daemon.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use helostat_tests::program::{Done, Site};
use serde_json::Value;

fn decide(site: &Site, args: &[&str]) -> Done {
    let mut command = site.command(args);
    command.env("SUDO_USER", "anna").env("USER", "root");
    let output = command.output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or(-1);
    Done { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn file(site: &Site) -> String {
    fs::read_to_string(site.path("decisions.toml")).unwrap_or_default()
}

fn listed(site: &Site, args: &[&str]) -> Vec<Value> {
    let text = site.ok(&[&["decisions", "--json"], args].concat());
    serde_json::from_str(&text).expect("a list")
}

fn subjects(listed: &[Value]) -> Vec<&str> {
    listed.iter().map(|it| it["subject"].as_str().expect("a text")).collect()
}

#[test]
fn decided_listed_replaced_removed() {
    let site = Site::new("");
    let done = decide(&site, &["deny", "192.0.2.7", "--reason", "floods \"us\"", "--for", "30d"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let [what, when] = done.stdout.lines().collect::<Vec<_>>()[..] else {
        panic!("{}", done.stdout)
    };
    assert!(what.starts_with("deny 192.0.2.7: floods \"us\" (by anna, until 2"), "{what}");
    assert_eq!(when, "no daemon runs here: it takes effect at the next start");
    site.ok(&["check"]);

    let done = decide(&site, &["allow", "*.Example.com", "--reason", "customer", "--author", ""]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("anybody can say a name"), "{}", done.stderr);
    let done = decide(&site, &["deny", "2001:db8::7", "--reason", "r", "--until", "2099-12-31"]);
    assert!(done.stderr.contains("write 2001:db8::/64"), "{}", done.stderr);
    assert!(file(&site).contains("until = \"2099-12-31\"\n"), "as it was typed: {}", file(&site));

    let all = listed(&site, &[]);
    assert_eq!(subjects(&all), ["192.0.2.7", "*.example.com", "2001:db8::7"]);
    let first = &all[0];
    assert_eq!(
        (&first["decision"], &first["reason"], &first["author"], &first["expired"]),
        (&"deny".into(), &"floods \"us\"".into(), &"anna".into(), &false.into())
    );
    assert_eq!((&all[1]["author"], &all[1]["until"]), (&"".into(), &Value::Null));
    assert_eq!(all[2]["until"], "2100-01-01T00:00:00Z");
    let table = site.ok(&["decisions"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.starts_with("what   whom"), "{table}");

    // The same subject once more: the newer word holds.
    let done = decide(&site, &["allow", "192.0.2.7/32", "--reason", "mended"]);
    assert!(done.stdout.starts_with("instead of: deny 192.0.2.7: floods"), "{}", done.stdout);
    assert_eq!(subjects(&listed(&site, &[])), ["*.example.com", "2001:db8::7", "192.0.2.7"]);

    for subject in ["192.0.2.7", "*.example.com", "2001:db8::7"] {
        let done = decide(&site, &["decisions", "remove", subject]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout.starts_with("removed: "), "{}", done.stdout);
    }
    assert!(file(&site).lines().all(|line| line.is_empty() || line.starts_with('#')));
    let done = site.run(&["decisions"]);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("", "nothing is decided\n"));
}

#[test]
fn comments_and_other_entries_stay() {
    let site = Site::new("");
    let before = "# by hand\n[[deny]] # a flood\nclient = \"192.0.2.1\"\nreason = \"a\" # for now\n\n# the end\n";
    site.write("real.toml", before);
    symlink("real.toml", site.path("decisions.toml")).expect("a link");
    fs::set_permissions(site.path("real.toml"), fs::Permissions::from_mode(0o640)).expect("ours");
    site.ok(&["deny", "192.0.2.2", "--reason", "b"]);
    assert!(file(&site).starts_with(before), "{}", file(&site));
    let mode = fs::metadata(site.path("real.toml")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(fs::symlink_metadata(site.path("decisions.toml")).expect("there").is_symlink());
    site.ok(&["decisions", "remove", "192.0.2.2"]);
    assert_eq!(file(&site), before);
    site.ok(&["decisions", "remove", "192.0.2.1"]);
    assert_eq!(file(&site), "# by hand\n\n# the end\n");
}

#[test]
fn what_is_over_is_told() {
    let site = Site::new(
        "[[deny]]\nclient = \"192.0.2.7\"\nreason = \"a\"\nuntil = 2020-01-31\n[[deny]]\nclient = \"192.0.2.8\"\nreason = \"b\"\n",
    );
    assert_eq!(subjects(&listed(&site, &[])), ["192.0.2.8"]);
    assert_eq!(subjects(&listed(&site, &["--expired"])), ["192.0.2.7"]);
    let done = site.run(&["check"]);
    let note = "note: $/helostat.toml:12: the deny of 192.0.2.7 expired at 2020-02-01T00:00:00Z and holds no more; `helostat decisions --expired` lists what can be taken out";
    let note = note.replace('$', site.path("").display().to_string().trim_end_matches('/'));
    assert!(done.code == 0 && done.stderr.contains(&note), "{}\n{note}", done.stderr);
    let json: Value = serde_json::from_str(&site.ok(&["check", "--json"])).expect("JSON");
    assert_eq!(json["notes"].as_array().map(Vec::len), Some(1), "{json}");

    // Short ones end by themselves.
    site.ok(&["deny", "192.0.2.9", "--reason", "c", "--for", "1s"]);
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(subjects(&listed(&site, &["--expired"])), ["192.0.2.9", "192.0.2.7"]);
    // Who decides anew need not tidy up before.
    site.ok(&["allow", "192.0.2.9", "--reason", "d"]);
    assert_eq!(subjects(&listed(&site, &[])), ["192.0.2.9", "192.0.2.8"]);
}

#[test]
fn what_is_wrong_is_said_and_changes_nothing() {
    let site = Site::new("[operator]\nfiles = [\"mine.toml\"]\n");
    site.write("mine.toml", "[[deny]]\nclient = \"192.0.2.1\"\nreason = \"a\"\n");
    site.ok(&["deny", "192.0.2.2", "--reason", "b"]);
    let before = file(&site);
    for (args, code, says) in [
        (
            &["deny", "192.0.2.7/24", "--reason", "a"][..],
            2,
            "'192.0.2.7/24' is nobody: it has bits beyond its length; write \"192.0.2.0/24\"",
        ),
        (
            &["deny", "*.com", "--reason", "a"],
            2,
            "'*.com' is nobody: com is a public suffix: the names below it belong to many owners; write a family such as \"*.example.com\"",
        ),
        (
            &["allow", "localhost", "--reason", "a"],
            2,
            "'localhost' cannot be allowed: nobody owns such a name, so anybody could say it; allow the client's address instead",
        ),
        (&["deny", "192.0.2.7", "--reason", " "], 2, "the reason: it is empty"),
        (
            &["deny", "192.0.2.7", "--reason", "a\nb"],
            2,
            "the reason: it has line ends, tabs or other control characters",
        ),
        (
            &["deny", "192.0.2.7", "--reason", "a", "--for", "30"],
            2,
            "'30' is no duration: write 30m, 12h or 30d",
        ),
        (
            &["deny", "192.0.2.7", "--reason", "a", "--until", "2020-01-01"],
            2,
            "'2020-01-01' is over already",
        ),
        (
            &["deny", "192.0.2.7", "--reason", "a", "--until", "soon"],
            2,
            "'soon' is no date: write YYYY-MM-DD, or a time as RFC 3339 has it",
        ),
        (
            &["allow", "192.0.2.1", "--reason", "c"],
            1,
            "deny 192.0.2.1: a stands at $DIR/mine.toml:1 already: change it there",
        ),
        (
            &["decisions", "remove", "192.0.2.1"],
            1,
            "deny 192.0.2.1: a stands at $DIR/mine.toml:1: take it out there",
        ),
        (
            &["decisions", "remove", "192.0.2.3"],
            1,
            "nothing is decided on 192.0.2.3: `helostat decisions` lists what is",
        ),
    ] {
        site.fails(args, code, &[&format!("helostat: {says}")]);
        assert_eq!(file(&site), before, "{args:?}");
    }
    assert_eq!(site.run(&["deny", "192.0.2.7"]).code, 2, "without a reason");

    site.write("mine.toml", "[[deny]]\nclient = \"192.0.2.2\"\nreason = \"a\"\n[dns]\n");
    let says = [
        "$DIR/mine.toml:2:1: 192.0.2.2 is decided on already at $DIR/decisions.toml:5:1; keep one of the two",
        "$DIR/mine.toml:4:2: `dns` has no place here: a file of decisions holds [[allow]], [[deny]] and [[retired]] alone",
        "helostat: 2 errors",
    ];
    for args in [&["check"][..], &["run"], &["deny", "192.0.2.7", "--reason", "a"]] {
        site.fails(args, 2, &says);
    }
    fs::remove_file(site.path("mine.toml")).expect("it is there");
    let says = "helostat: $DIR/helostat.toml:13:1: the file of decisions $DIR/mine.toml: No such file or directory (os error 2)";
    site.fails(&["check"], 2, &[says]);
}

#[test]
fn a_file_that_only_a_person_can_change_stays() {
    let site = Site::new("");
    let inline = "deny = [{ client = \"192.0.2.7\", reason = \"a\" }]\n";
    site.write("decisions.toml", inline);
    let says = "helostat: $DIR/decisions.toml:1: the file is written in a form that only a person can change: use an editor";
    for args in [&["deny", "192.0.2.8", "--reason", "b"][..], &["decisions", "remove", "192.0.2.7"]]
    {
        site.fails(args, 1, &[says]);
        assert_eq!(file(&site), inline);
    }
}

#[test]
fn where_nothing_can_be_written() {
    // Not even root writes there.
    let site = Site::new("[operator]\nfile = \"/proc/helostat/decisions.toml\"\n");
    let says = "helostat: the file of decisions /proc/helostat/decisions.toml: No such file or directory (os error 2)";
    site.fails(&["deny", "192.0.2.7", "--reason", "a"], 1, &[says]);
    let site = Site::new("[operator]\nfile = \"/proc/decisions.toml\"\n");
    let done = site.run(&["deny", "192.0.2.7", "--reason", "a"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    let says = "helostat: the file of decisions /proc/decisions.toml: ";
    assert!(done.stderr.starts_with(says), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
}

#[test]
fn many_at_once_are_all_kept() {
    let site = Site::new("");
    std::thread::scope(|scope| {
        for number in 1..=12 {
            let site = &site;
            scope.spawn(move || site.ok(&["deny", &format!("192.0.2.{number}"), "--reason", "a"]));
        }
    });
    assert_eq!(listed(&site, &[]).len(), 12, "{}", file(&site));
}

#[test]
fn the_daemon_takes_it_over() {
    let site = Site::following(&["mail.log"]);
    site.write("mail.log", "");
    let daemon = site.start();
    let said = site.ok(&["deny", "192.0.2.7", "--reason", "floods us"]);
    assert!(said.ends_with("\nthe daemon has taken it over\n"), "{said}");
    daemon.wait_said("The configuration was read again decisions=1");
    let said = site.ok(&["decisions", "remove", "192.0.2.7"]);
    assert!(said.ends_with("\nthe daemon has taken it over\n"), "{said}");
    daemon.wait_said("The configuration was read again decisions=0");
    // By hand, with a slip: what was is kept, and the command says whose slip it is.
    site.write("decisions.toml", "[[deny]]\n");
    daemon.signal("HUP");
    daemon.wait_said("The configuration was not taken over");
    daemon.stop();
}

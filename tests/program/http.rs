//! Health, metrics and explanations over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::process::Command;

use helostat_tests::fakedns::FakeDns;
use helostat_tests::mail::{days_ago, established, long_exim, long_postfix, postfix};
use helostat_tests::program::{Site, eventually, project_file};
use serde_json::Value;

#[test]
fn not_ready_before_the_ledger_is_open() {
    let site = Site::new("");
    // The daemon tries whether it may write in the ledger's folder. A pipe in place of that file makes it
    // wait until somebody reads.
    fs::create_dir(site.path("ledger")).expect("a folder");
    let pipe = site.path("ledger/.writable");
    assert!(Command::new("mkfifo").arg(&pipe).status().is_ok_and(|made| made.success()));
    let daemon = site.launch();
    let early = eventually("an answer of /healthz", || {
        let (status, body) = daemon.get("/healthz");
        (status != 0).then_some((status, body))
    });
    let says = r#"{"ready":false,"failing":["the ledger is not open yet","not listening yet"],"warnings":[]}"#;
    assert_eq!(early, (503, says.to_owned()));
    drop(fs::File::open(&pipe).expect("a pipe"));
    daemon.wait_ready();
    let says = r#"{"ready":true,"failing":[],"warnings":[]}"#;
    assert_eq!(daemon.get("/healthz"), (200, says.to_owned()));
    daemon.stop();
}

#[test]
fn explanations() {
    let site = Site::new("");
    site.write("mail.log", established("192.0.2.7", "mx.example.com"));
    site.ok(&["learn", "--reporter", "mx1", "mail.log"]);
    let daemon = site.start();
    let (status, body) = daemon.get("/v1/explain?ip=192.0.2.7&ehlo=mx.example.com");
    let found: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status, 200, "{body}");
    for (place, value) in [
        ("/ip", "192.0.2.7"),
        ("/client", "192.0.2.7"),
        ("/name", "mx.example.com"),
        ("/verdict/class", "known"),
        ("/verdict/reasons/0/word", "established"),
        ("/pair/class", "known"),
        ("/pair/code", "established"),
        ("/history/pairs/0/name", "mx.example.com"),
        ("/history/pairs/0/standing", "established"),
        ("/name_history/established_on/0", "192.0.2.7"),
        ("/network/network", "192.0.2.0/24"),
    ] {
        assert_eq!(found.pointer(place).and_then(Value::as_str), Some(value), "{place} in {body}");
    }
    for (place, value) in [
        ("/verdict/score", 70),
        ("/verdict/trust/level", 1),
        ("/history/pairs/0/accepted", 5),
        ("/history/pairs/0/accepted_days", 5),
    ] {
        assert_eq!(found.pointer(place).and_then(Value::as_i64), Some(value), "{place} in {body}");
    }
    let (status, words) = daemon.get("/v1/explain?ip=192.0.2.7&ehlo=mx.example.com&as=text");
    assert_eq!(status, 200);
    assert!(words.contains("pair answer: 127.0.2.2 (established)"), "{words}");
    let asked = site.ok(&["explain", "192.0.2.7", "mx.example.com"]);
    assert!(asked.contains("pair answer: 127.0.2.2 (established)"), "{asked}");
    for (path, says) in [
        (
            "/v1/explain",
            "the parameter ip is missing: /v1/explain?ip=192.0.2.7&ehlo=mail.example.com",
        ),
        ("/v1/explain?ip=300.1.2.3", "'300.1.2.3' is not an IP address"),
        ("/v1/explain?ip=%1b[31m", "'\\u{1b}[31m' is not an IP address"),
        ("/v1/explain?ip=192.0.2.7&as=xml", "as is json or text"),
    ] {
        assert_eq!(daemon.get(path), (400, format!("{says}\n")), "{path}");
    }
    for path in ["/v1/ledger/dump", "/v1/positions?prefix=", "/v1/batch", "/other"] {
        assert_eq!(daemon.get(path).0, 404, "{path} is for the owner of the ledger");
    }
    let (status, page) = daemon.get("/");
    assert!(status == 200 && page.starts_with("<!doctype html>"), "{page}");
    daemon.stop();
}

#[test]
fn attackers_names_are_no_markup() {
    let site = Site::new("");
    let daemon = site.start();
    let path = "/v1/explain?ip=192.0.2.7&ehlo=%3Cscript%3Ealert(1)%3C/script%3E%1b[2J";
    for path in [path.to_owned(), format!("{path}&as=text")] {
        let (status, body) = daemon.get(&path);
        assert_eq!(status, 200, "{body}");
        assert!(body.bytes().all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte)), "{body:?}");
    }
    daemon.stop();
}

/// Name, type and labels of each metric in the table of the manual.
fn in_the_manual() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let manual = project_file("docs/metrics.md");
    let rows = manual.lines().filter(|line| line.starts_with("| `helostat_"));
    let mut table = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning, alert] = cells.as_slice() else {
            panic!("five columns: {row}")
        };
        assert!(!meaning.is_empty() && !alert.is_empty(), "{row}");
        let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        let before = table.insert(name.trim_matches('`').to_owned(), ((*kind).to_owned(), labels));
        assert!(before.is_none(), "twice: {row}");
    }
    table
}

/// The same of what a daemon exports.
fn exported(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut found = BTreeMap::new();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    for (name, kind) in types {
        let mut labels = BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, rest) = line.split_once(['{', ' ']).expect("a name and a value");
            let base =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| series.strip_suffix(end));
            if series != name && !(kind == "histogram" && base == Some(name)) {
                continue;
            }
            let inside = rest.split_once('}').map_or("", |(inside, _)| inside);
            let names = inside.split("\",").filter_map(|label| label.split_once('='));
            labels.extend(names.map(|(label, _)| label.to_owned()).filter(|label| label != "le"));
        }
        found.insert(name.to_owned(), (kind.to_owned(), labels));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_those_of_the_manual() {
    let dns = FakeDns::serve("7.2.0.192.in-addr.arpa. PTR mx.example.com.").await;
    let address = dns.address();
    let asked = tokio::task::spawn_blocking(move || {
        let logs = ["mail.log", "mainlog"].map(|log| format!("[[log]]\npath = \"{log}\"\n"));
        let list = "[[list]]\norigin = \"bl.test\"\ndata = [\"ip4set:bad\"]\n";
        let service = "[postfix]\nlisten = [\"unix:policy\"]\n";
        let site = Site::new(&format!("{service}{}{list}", logs.concat()));
        site.write("bad", "192.0.2.7\n");
        site.rewrite("enabled = false", &format!("enabled = true\nresolver = [\"{address}\"]"));
        site.rewrite("origin = \"rep.test\"", "origin = \"rep.test\"\ndry-run = [\"wl\"]");
        let daemon = site.start();
        // Something of everything: observations, some of our own and of the future, answers, evidence.
        site.append("mail.log", long_postfix(800));
        site.append("mail.log", postfix(days_ago(0), "127.0.0.1", "localhost"));
        site.append("mail.log", established("192.0.2.7", "mx.example.com"));
        site.append("mainlog", long_exim(200));
        daemon.wait_addresses("mx.example.com.7.2.0.192.pair", &["127.0.2.2"]);
        assert!(daemon.addresses("7.2.0.192.wl").is_empty(), "it is on trial");
        let mut smtpd = std::os::unix::net::UnixStream::connect(site.path("policy"));
        let smtpd = smtpd.as_mut().expect("it listens");
        smtpd.write_all(b"request=smtpd_access_policy\n\n").expect("it reads");
        smtpd.read_exact(&mut [0; 14]).expect("action=dunno");
        let nobody = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        nobody.send_to(b"short", daemon.dns()).expect("sent");
        eventually("the short packet to be counted", || {
            (daemon.metric("helostat_dns_dropped_total", &[("why", "short")]) > 0.0).then_some(())
        });
        let (status, text) = daemon.get("/metrics");
        assert_eq!(status, 200);
        daemon.stop();
        text
    });
    let text = asked.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    assert_eq!(
        exported(&text),
        in_the_manual(),
        "left: what the daemon exports; right: docs/metrics.md"
    );

    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let secret =
            ["example", "192.0.2", "2001:", "mx1", "/"].iter().find(|word| line.contains(**word));
        assert!(secret.is_none(), "{secret:?} in {line}");
    }
    let (_, labels): (Vec<_>, Vec<_>) =
        text.lines().filter_map(|line| line.split_once('{')).unzip();
    let values = labels.iter().flat_map(|labels| labels.split('"').skip(1).step_by(2));
    for value in values {
        let is_address = value.parse::<std::net::IpAddr>().is_ok();
        assert!(!is_address, "an address in a label: {value}");
    }
}

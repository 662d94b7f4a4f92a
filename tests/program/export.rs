//! Exports: every format, replaced as a whole, only when something changed, kept fresh; and what goes wrong.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use helostat_tests::program::{Site, eventually};

const ZONES: &str = "[[deny]]\nclient = \"198.51.100.0/24\"\nreason = \"floods us\"\n[[allow]]\nclient = \"198.51.100.7\"\nreason = \"but not this one\"\n";

/// A site of one origin with all kinds and some decisions.
fn site() -> Site {
    let site = Site::new(ZONES);
    site.rewrite(
        "origin = \"rep.test\"\n",
        "origin = \"rep.test\"\nkinds = [\"bl\", \"wl\", \"score\", \"bits\", \"ehlo\", \"pair\", \"fp\", \"dna\"]\n",
    );
    site
}

/// Observations of as many clients, each of which says a name of its own; as JSON lines.
fn clients(count: u32) -> String {
    // Of yesterday: verdicts on stale data are those of an earlier moment.
    let yesterday = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24)).to_string();
    let day = yesterday.split('T').next().expect("a date");
    let line = |n: u32| {
        let [_, a, b, c] = n.to_be_bytes();
        format!(
            "{{\"time\":\"{day}T00:00:{:02}Z\",\"ip\":\"10.{a}.{b}.{c}\",\"ehlo\":\"m{n}.example{n}.com\",\"outcome\":\"accepted\",\"reporter\":\"mx1\"}}\n",
            n % 60
        )
    };
    (0..count).map(line).collect()
}

fn export(site: &Site, zone: &str, format: &str) -> String {
    site.ok(&["export", zone, "--format", format])
}

/// An export that stays, and what it says.
struct Watching(Child);

impl Watching {
    fn start(site: &Site, zone: &str, file: &str) -> Self {
        let args = [
            "export",
            zone,
            "--format",
            "rbldnsd",
            "--output",
            file,
            "--watch",
            "--interval",
            "1s",
        ];
        let mut command = site.command(&args);
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
    }

    /// The next line of its standard error.
    fn complaint(&mut self) -> String {
        let stderr = self.0.stderr.as_mut().expect("a pipe");
        let mut line = String::new();
        BufReader::with_capacity(1, stderr).read_line(&mut line).expect("a line");
        line
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn every_format_says_what_the_server_says() {
    let site = site();
    site.ok(&["learn", "--format", "json", {
        site.write("seen.json", clients(50));
        "seen.json"
    }]);
    let daemon = site.start();
    for (zone, format, line) in [
        ("bl", "rbldnsd", "198.51.100.8/29 :127.0.0.2:helostat: listed operator"),
        ("bl", "rbldnsd", "127.0.0.2 :127.0.0.2:test point (RFC 5782 section 5)"),
        ("bl", "rbldnsd", "0:0:0:0:0:ffff:7f00:2/128 :127.0.0.2:test point"),
        ("bl", "bind", "8.100.51.198 A 127.0.0.99"),
        ("bl", "rpz", "29.8.100.51.198.rpz-ip CNAME ."),
        ("bl", "postfix-cidr", "198.51.100.8/29 REJECT 5.7.1 helostat: listed operator"),
        ("bl", "nftables", " 198.51.100.8/29,"),
        ("bl", "json", r#"{"net":"198.51.100.8/29","a":["127.0.0.2","127.0.0.99"],"#),
        ("wl.rep.test", "bind", "7.100.51.198 A 127.0.9.3"),
        ("WL.rep.test.", "nftables", "add element inet helostat wl_v4 { 198.51.100.7/32 }"),
        ("wl", "postfix-cidr", "198.51.100.7/32 permit_auth_destination"),
        ("score", "rbldnsd", "198.51.100.7 :127.0.4.100:scored score=100"),
        ("bits", "bind", "2.0.0.127 A 127.0.2.2"),
        ("ehlo", "rbldnsd", "test :127.0.1.2:test point"),
        ("ehlo", "rpz", "test CNAME ."),
        ("pair", "bind", "m7.example7.com.7.0.0.10 A 127.0.3.9"),
        ("pair", "bind", "*.7.100.51.198 A 127.0.2.5"),
        ("pair", "rbldnsd", "*.8.100.51.198 :127.0.0.2:helostat: listed operator"),
        ("fp", "json", r#"{"client":"10.0.0.7","name":"m7.example7.com","a":["127.0.3.9"]"#),
        ("dna", "bind", "test TXT \"MARID,1,E;test point\""),
    ] {
        let file = export(&site, zone, format);
        assert!(
            file.lines().any(|it| it.starts_with(line)),
            "{zone} {format}: no {line} in {file}"
        );
    }
    for format in ["rpz", "nftables"] {
        assert!(!export(&site, "bl", format).contains("127."), "{format}: loopback stays out");
    }
    // Without the daemon the same comes from the ledger.
    let asked = export(&site, "pair", "bind");
    daemon.stop();
    let body = |file: &str| file.lines().skip(6).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(body(&export(&site, "pair", "bind")), body(&asked));
}

#[test]
fn a_zone_file_is_read_back_by_a_parser() {
    use hickory_proto::rr::{Name, RData, RecordType};
    use hickory_proto::serialize::txt::Parser;

    let site = site();
    site.rewrite("reason = \"floods us\"", "reason = 'a \"quote\", a \\\\ and a ; $'");
    site.write("seen.json", clients(20));
    site.ok(&["learn", "--format", "json", "seen.json"]);
    let daemon = site.start();
    for zone in ["bl", "wl", "score", "bits", "ehlo", "pair", "fp", "dna"] {
        let apex: Name = format!("{zone}.rep.test.").parse().expect("a name");
        let file = export(&site, zone, "bind");
        let parser = Parser::new(&file, None, Some(apex.clone()));
        let (origin, sets) =
            parser.parse().unwrap_or_else(|error| panic!("{zone}: {error}: {file}"));
        assert_eq!(origin, apex);
        let mut compared = 0;
        for (key, set) in &sets {
            let name = key.name().to_string();
            if name.starts_with("*.") || !matches!(key.record_type, RecordType::A | RecordType::TXT)
            {
                continue;
            }
            let mut said: Vec<String> = set
                .records_without_rrsigs()
                .map(|record| match &record.data {
                    RData::TXT(text) => format!("\"{text}\"").replace('\\', "\\\\"),
                    other => other.to_string(),
                })
                .collect();
            let reply = daemon.ask(&name, &key.record_type.to_string());
            let mut told: Vec<String> =
                reply.answers.into_iter().map(|record| record.data).collect();
            said.sort();
            told.sort();
            if key.record_type == RecordType::A {
                assert_eq!(said, told, "{name}");
            } else {
                assert_eq!(said.len(), told.len(), "{name}");
            }
            compared += 1;
        }
        assert!(compared > 0, "{zone}");
    }
}

#[test]
fn a_file_is_replaced_as_a_whole_and_only_when_it_changed() {
    let site = site();
    site.write("seen.json", clients(2000));
    site.ok(&["learn", "--format", "json", "seen.json"]);
    let daemon = site.start();
    let args = ["export", "pair", "--format", "bind", "--output", "zone", "--json"];
    let first = site.ok(&args);
    assert!(first.contains(r#""changed":true"#), "{first}");
    let path = site.path("zone");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
    let before = fs::metadata(&path).expect("there");
    let again = site.ok(&args);
    assert!(again.contains(r#""changed":false"#), "{again}");
    let kept = fs::metadata(&path).expect("there");
    assert_eq!((kept.ino(), kept.mtime_nsec()), (before.ino(), before.mtime_nsec()));
    let serial = |text: &str| text.lines().nth(4).expect("a line").trim().to_owned();
    let old = fs::read_to_string(&path).expect("text");

    // Whoever reads meanwhile reads the old file or the new one.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = 0;
            while !done.load(Ordering::Relaxed) {
                let text = fs::read_to_string(&path).expect("there at any moment");
                assert!(text.lines().count() > 4000 && text.ends_with('\n'), "{}", text.len());
                read += 1;
            }
            read
        });
        // However this ends, the reader ends, too.
        let _end = End(&done);
        for n in 0..3 {
            let more = format!("more{n}.json");
            site.write(&more, clients(3).replace("\"10.", &format!("\"1{}.", n + 1)));
            site.ok(&["learn", "--format", "json", &more]);
            let told = site.ok(&args);
            assert!(told.contains(r#""changed":true"#), "{told}");
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().expect("it read whole files") > 0);
    });
    let new = fs::read_to_string(&path).expect("text");
    assert!(new.contains("m1.example1.com.1.0.0.11 A"), "what was learned");
    let [old, new] = [old, new]
        .map(|text| serial(&text).split(' ').next().and_then(|it| it.parse::<u32>().ok()));
    assert!(old < new, "{old:?} {new:?}");
    assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o640);
    daemon.stop();
}

/// Tells a reader to end.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_file_that_is_watched_follows() {
    let site = site();
    site.write("decisions.toml", "");
    let daemon = site.start();
    let mut watching = Watching::start(&site, "bl", "bl.rbldnsd");
    let path = site.path("bl.rbldnsd");
    let text = || fs::read_to_string(&path).unwrap_or_default();
    eventually("the first file", || text().contains("198.51.100.8/29").then_some(()));
    let inode = fs::metadata(&path).expect("there").ino();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert_eq!(fs::metadata(&path).expect("there").ino(), inode, "nothing changed");
    site.rewrite("198.51.100.0/24", "203.0.113.0/24");
    daemon.signal("HUP");
    eventually("the new listing", || text().contains("203.0.113.0/24").then_some(()));
    assert!(!text().contains("198.51.100.8"));

    // Without the daemon the file stays, and it goes on when there is one again.
    let before = text();
    daemon.stop();
    let complaint = watching.complaint();
    assert!(complaint.contains("the file stays as it is"), "{complaint}");
    assert_eq!(text(), before);
    site.rewrite("203.0.113.0/24", "192.0.2.0/24");
    let daemon = site.start();
    eventually("the next listing", || text().contains("192.0.2.0/24").then_some(()));
    drop(watching);
    daemon.stop();
}

#[test]
fn killed_while_it_writes_it_leaves_the_old_file() {
    let site = site();
    site.write("seen.json", clients(6000));
    site.ok(&["learn", "--format", "json", "seen.json"]);
    site.write("zone", "old\n");
    let args = ["export", "pair", "--format", "bind", "--output", "zone"];
    let mut child = site.command(&args).stderr(Stdio::null()).spawn().expect("it starts");
    let half = site.path(".zone.new");
    eventually("a part of the new file", || {
        fs::metadata(&half).is_ok_and(|half| half.len() > 0).then_some(())
    });
    child.kill().expect("our child");
    child.wait().expect("our child");
    assert_eq!(fs::read_to_string(site.path("zone")).expect("text"), "old\n");
    assert!(half.exists());
    site.ok(&args);
    assert!(fs::read_to_string(site.path("zone")).expect("text").len() > 100_000);
    assert!(!half.exists());
}

#[test]
fn what_is_wrong_is_said() {
    let site = Site::new(
        "[[zone]]\norigin = \"other.test\"\nkinds = [\"bl\"]\n[[list]]\norigin = \"own.test\"\ndata = [\"ip4set:own\"]\n",
    );
    site.write("own", "");
    site.write("seen.json", clients(3));
    site.ok(&["learn", "--format", "json", "seen.json"]);
    let zones =
        "bl.rep.test, wl.rep.test, score.rep.test, ehlo.rep.test, pair.rep.test, bl.other.test";
    let no_zone = |wanted: &str| format!("helostat: there is no zone '{wanted}'; there is {zones}");
    for (zone, format, says) in [
        ("nothing", "json", no_zone("nothing")),
        ("bits", "json", no_zone("bits")),
        ("bl", "json", "helostat: 'bl' is in several zones: say which of bl.rep.test, bl.other.test".to_owned()),
        ("rep.test", "json", format!("helostat: 'rep.test' is an origin, which has name servers only; there is {zones}")),
        ("own.test", "json", "helostat: 'own.test' is a list of yours: the files it is read from are its export".to_owned()),
        ("score", "nftables", "helostat: nftables cannot hold 'score.rep.test': it only says who is in it, and here that would mean nothing; rbldnsd, bind, json can".to_owned()),
        ("pair", "postfix-cidr", "helostat: postfix-cidr cannot hold 'pair.rep.test': it holds addresses, not names; rbldnsd, bind, json can".to_owned()),
        ("wl", "rpz", "helostat: rpz cannot hold 'wl.rep.test': a policy zone only says whom not to resolve; rbldnsd, bind, postfix-cidr, nftables, json can".to_owned()),
    ] {
        site.fails(&["export", zone, "--format", format], 2, &[&says]);
    }
    let full = ["export", "wl", "--format", "json", "--output", "/dev/full"];
    if Path::new("/dev/full").exists() {
        site.fails(
            &full,
            1,
            &["helostat: writing /dev/full: No space left on device (os error 28)"],
        );
    }
    site.fails(
        &["export", "wl", "--format", "json", "--output", "."],
        2,
        &["helostat: . is a folder"],
    );
    let nowhere = ["export", "wl", "--format", "json", "--output", "nowhere/zone"];
    let says = "helostat: creating nowhere/.zone.new: No such file or directory (os error 2)";
    site.fails(&nowhere, 1, &[says]);
    let watching = ["export", "wl", "--format", "json", "--output", "zone", "--watch"];
    let says = "helostat: --watch asks the daemon, and none runs: start it, or export once without --watch";
    site.fails(&watching, 3, &[says]);
}

#[test]
fn a_large_zone_streams() {
    let site = site();
    site.write("seen.json", clients(60_000));
    site.ok(&["learn", "--format", "json", "seen.json"]);
    let daemon = site.start();
    // What judging and the allocator keep is there after the first time.
    export(&site, "fp", "json");
    let before = daemon.resident_kb();
    let mut child = site
        .command(&["export", "fp", "--format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let (mut octets, mut most, mut own) = (0, 0, 0);
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = stdout.read(&mut piece).expect("a piece");
        if read == 0 {
            break;
        }
        octets += read;
        most = most.max(daemon.resident_kb());
        own = own.max(resident_kb(child.id()));
    }
    assert!(child.wait().expect("our child").success());
    assert!(octets > 6_000_000, "{octets}");
    assert!(
        most < before + 11_000,
        "the daemon took {} kB more for {octets} octets",
        most - before
    );
    assert!(own < 40_000, "the command took {own} kB for {octets} octets");
    daemon.stop();
}

fn resident_kb(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

//! Whatever is wrong is said in one clear sentence with the documented code, and teaches nothing wrong.

use std::fs;
use std::net::{TcpListener, UdpSocket};

use helostat_tests::mail::{days_ago, established, exim, postfix, postfix_refused};
use helostat_tests::program::{Site, eventually};

/// Follows a log, so that the daemon has nothing to warn of.
fn site() -> Site {
    let site = Site::following(&["mail.log"]);
    site.write("mail.log", "");
    site
}

#[test]
fn configurations_that_are_wrong() {
    for (sections, says) in [
        (
            "[policy]\njunk-dayz = 3\n",
            "13:1: unknown key `junk-dayz` in [policy]; did you mean `junk-days`?",
        ),
        (
            "[[zone]]\norigin = \"rep.test\"\n",
            "13:1: the origin rep.test is there already at $DIR/helostat.toml:11:1",
        ),
        (
            "[ingest]\nown = [\"192.0.2.300\"]\n",
            "13:8: `own` in [ingest] has an item that should be a prefix or an address such as \"192.0.2.0/24\", but is the text \"192.0.2.300\"",
        ),
    ] {
        let site = Site::new(sections);
        for command in ["run", "check"] {
            site.fails(&[command], 2, &[&format!("helostat: $DIR/helostat.toml:{says}")]);
        }
    }
    let site = Site::new("");
    fs::remove_file(site.config()).expect("it is there");
    let says = "helostat: $DIR/helostat.toml: No such file or directory (os error 2)";
    site.fails(&["run"], 2, &[says]);
}

#[test]
fn a_ledger_that_cannot_be_used() {
    let under_a_file = site();
    under_a_file.write("file", "");
    under_a_file.rewrite("\"ledger\"", "\"file/ledger\"");
    let says = "helostat: the ledger $DIR/file/ledger: Not a directory (os error 20)";
    under_a_file.fails(&["run"], 3, &[says]);

    let newer = site();
    newer.ok(&["learn", "mail.log"]);
    {
        let db = sled::open(newer.path("ledger")).expect("a sled database");
        db.insert("layout", "7").expect("written");
        db.flush().expect("written");
    }
    for command in [&["run"][..], &["ledger", "dump"], &["learn", "mail.log"]] {
        newer.fails(command, 3, &["helostat: the ledger $DIR/ledger has layout 7, this program knows layout 2: it was written by another version of helostat; start with a new folder and learn the logs again, or dump it with the version that wrote it and load the dump"]);
    }

    let none = site();
    for command in [&["ledger", "dump"][..], &["ledger", "stats"]] {
        none.fails(command, 3, &["helostat: the ledger $DIR/ledger: there is no ledger here yet: run the daemon or learn a log first"]);
    }
    // What the DNS says can be explained without a ledger.
    assert!(none.ok(&["explain", "192.0.2.7"]).contains("never seen"));
    assert!(!none.path("ledger").exists(), "looking made it");
}

#[test]
fn a_ledger_in_use() {
    let site = site();
    let daemon = site.start();
    site.fails(&["run"], 3, &["helostat: the ledger $DIR/ledger is in use by another process: stop it, or ask it (most commands do that by themselves)"]);
    daemon.stop();
}

#[test]
fn addresses_that_are_taken() {
    // On addresses of their own, where no other test takes the port of the other transport.
    let udp = UdpSocket::bind("127.9.9.1:0").expect("a free port");
    let tcp = TcpListener::bind("127.9.9.2:0").expect("a free port");
    let udp = udp.local_addr().map(|address| (udp, address)).expect("bound");
    let tcp = tcp.local_addr().map(|address| (tcp, address)).expect("bound");
    for (key, address, transport) in
        [("[\"", udp.1, "UDP"), ("[\"", tcp.1, "TCP"), ("= \"", tcp.1, "HTTP")]
    {
        let site = site();
        site.rewrite(&format!("{key}127.0.0.1:0"), &format!("{key}{address}"));
        let says = format!(
            "helostat: cannot listen on {address} ({transport}): Address already in use (os error 98)"
        );
        site.fails(&["run"], 4, &[&says]);
        assert!(!site.path("ledger").exists(), "nothing was changed before that");
    }
}

#[test]
fn a_log_that_is_a_folder() {
    let site = Site::following(&["mail.log"]);
    fs::create_dir(site.path("mail.log")).expect("a folder");
    let says = "helostat: the log $DIR/mail.log: it is a directory, not a file";
    site.fails(&["run"], 5, &[says]);
}

#[test]
fn questions_that_cannot_be_asked() {
    let site = Site::new("");
    let closed = UdpSocket::bind("127.9.9.3:0").and_then(|socket| socket.local_addr());
    let closed = closed.expect("a free port").to_string();
    for (args, code, says) in [
        (["ask", "a..b", "A"], 2, "'a..b' is not a domain name"),
        (["ask", "a.b", "B"], 2, "'B' is not a record type (as in A, TXT, SOA, TYPE257)"),
        (["ask", "a.b", "A"], 1, "cannot ask $SERVER: Connection refused (os error 111)"),
    ] {
        let says = format!("helostat: {}", says.replace("$SERVER", &closed));
        site.fails(&[&args[..], &["--server", &closed]].concat(), code, &[&says]);
    }
}

/// Lines that no MTA writes whole, but that logs hold after crashes, full disks and attacks.
#[test]
fn broken_lines_teach_nothing_and_stop_nothing() {
    let site = Site::following(&["mail.log", "mainlog"]);
    let daemon = site.start();
    let real = postfix(days_ago(0), "192.0.2.1", "mx1.example.com");
    for (place, broken) in [
        ("a line of 1 MB", vec![b'x'; 1 << 20]),
        ("a name of 1 MB", real.replace("mx1.example.com", &"x".repeat(1 << 20)).into_bytes()),
        (
            "invalid UTF-8",
            b"2026-11-20T14:27:35+00:00 mx postfix/smtpd[1]: \xff\xfe\xc3\x28".into(),
        ),
        ("NULs", vec![0; 10_000]),
        ("half a line", real.split_at(100).0.as_bytes().to_vec()),
        ("empty lines", b"\n\n\r\n\n".into()),
    ] {
        for log in ["mail.log", "mainlog"] {
            site.append(log, &broken);
            site.append(log, "\n");
        }
        assert!(daemon.get("/healthz").0 == 200, "{place}");
    }
    site.append("mail.log", postfix(days_ago(0), "192.0.2.2", "mx2.example.com"));
    site.append("mainlog", exim(days_ago(0), "192.0.2.3", "mx3.example.com"));
    daemon.wait_addresses("mx2.example.com.2.2.0.192.pair", &["127.0.3.9"]);
    daemon.wait_addresses("mx3.example.com.3.2.0.192.pair", &["127.0.3.9"]);
    let too_long = daemon.metric("helostat_ingest_lines_total", &[("fate", "not-understood")]);
    assert!(too_long >= 8.0, "{too_long}");
    daemon.stop();
    let pairs = site.pairs();
    let accepted = pairs.iter().filter(|line| line.contains(r#""accepted":"#));
    assert_eq!(accepted.count(), 2, "{pairs:#?}");
}

#[test]
fn a_log_that_shrinks_is_read_anew() {
    let site = site();
    let daemon = site.start();
    site.append("mail.log", established("192.0.2.1", "mx1.example.com"));
    daemon.wait_addresses("mx1.example.com.1.2.0.192.pair", &["127.0.2.2"]);
    let size = fs::metadata(site.path("mail.log")).expect("it is there").len();
    fs::File::options()
        .write(true)
        .open(site.path("mail.log"))
        .and_then(|log| log.set_len(size / 2))
        .expect("cut short");
    site.append("mail.log", "\n");
    site.append("mail.log", postfix(days_ago(0), "192.0.2.2", "mx2.example.com"));
    // Its family stands in its network, so the pair has an answer before it is learned.
    eventually("the new line to be learned", || {
        let (_, said) = daemon.get("/v1/explain?ip=192.0.2.2&ehlo=mx2.example.com");
        said.contains(r#""accepted":1"#).then_some(())
    });
    daemon.wait_addresses("mx2.example.com.2.2.0.192.pair", &["127.0.3.4"]);
    daemon.stop();
    // How often the lines that were kept count is not said here: nobody can tell them from new ones.
    let dump = site.dump();
    let new = dump.lines().find(|line| line.contains(r#""name":"mx2.example.com""#));
    assert!(new.is_some_and(|line| line.contains(r#""outcomes":{"accepted":1}"#)), "{dump}");
}

/// What a client says in EHLO may look like the rest of a log line. The log shows it as in these lines:
/// Postfix writes `?` for blanks and for ` <>()\";@`; Exim escapes or refuses them, if it is not told
/// otherwise.
#[test]
fn names_forge_no_observation() {
    let site = Site::following(&["mail.log", "mainlog"]);
    let daemon = site.start();
    let names = [
        "x>?proto=ESMTP?helo=<bank.example.com",
        "x>: Relay access denied; from=<a> to=<b> proto=ESMTP helo=<bank.example.com",
        "bank.example.com[192.0.2.99]",
        "x]?[192.0.2.99]:?250?ok",
        "\\\"x\\\"?helo=<bank.example.com>",
        "bank.example.com>?postfix/smtpd[26]:?connect?from?bank.example.com[192.0.2.99]",
        "?[31m?[2J?",
        "x) [192.0.2.99] P=esmtp S=1 (",
    ];
    for name in names {
        let neutered = name.replace([' ', '<', '>', '(', ')', '\\', '"', ';', '@'], "?");
        site.append("mail.log", postfix_refused(days_ago(1), "198.51.100.66", &neutered));
        site.append("mail.log", postfix(days_ago(0), "198.51.100.66", &neutered));
        site.append("mainlog", exim(days_ago(0), "198.51.100.67", name));
    }
    site.append("mail.log", postfix(days_ago(0), "203.0.113.1", "mx1.example.com"));
    site.append("mainlog", exim(days_ago(0), "203.0.113.2", "mx2.example.com"));
    daemon.wait_addresses("mx1.example.com.1.113.0.203.pair", &["127.0.3.9"]);
    daemon.wait_addresses("mx2.example.com.2.113.0.203.pair", &["127.0.3.9"]);
    daemon.stop();
    let dump = site.dump();
    for line in dump.lines() {
        assert!(!line.contains(r#""name":"bank.example.com""#), "{line}");
        assert!(!line.contains(r#""client":"192.0.2.99""#), "{line}");
        assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line:?}");
    }
}

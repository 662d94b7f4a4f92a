//! The zones as clients see them: our own over UDP and TCP, and `dig` where it is installed.
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use helostat_tests::mail::{days_ago, established, postfix_refused};
use helostat_tests::program::{Daemon, PATIENCE, Site};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};

const V4: &str = "7.2.0.192";
/// 2001:db8::7, and a neighbour in its /64.
const V6: &str = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
const V6_NEIGHBOUR: &str = "f.e.e.b.d.a.e.d.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";

/// A steady sender at 192.0.2.7 and at 2001:db8::7, and a client at 198.51.100.66 that says the names of
/// three families.
fn site() -> Site {
    let site = Site::new("");
    let mut log = established("192.0.2.7", "mx.example.com");
    log.push_str(&established("2001:db8::7", "mx6.example.org"));
    for name in ["a.example.net", "b.example.dk", "c.example.fr"] {
        log.push_str(&postfix_refused(days_ago(1), "198.51.100.66", name));
    }
    site.write("mail.log", log);
    site.ok(&["learn", "mail.log"]);
    site
}

/// Questions, and what is to be answered: the code, and the data of the answer in order.
fn questions() -> Vec<(String, &'static str, &'static str, Vec<&'static str>)> {
    let mut list = Vec::new();
    let mut add = |name: &str, rtype, code, data: &[&'static str]| {
        list.push((format!("{name}rep.test."), rtype, code, data.to_vec()));
    };
    // What was learned.
    for key in [V4, V6, V6_NEIGHBOUR] {
        add(&format!("{key}.wl."), "A", "NOERROR", &["127.0.4.1"]);
        add(&format!("{key}.score."), "A", "NOERROR", &["127.0.4.70"]);
        add(&format!("{key}.bl."), "A", "NXDOMAIN", &[]);
    }
    add(&format!("mx.example.com.{V4}.pair."), "A", "NOERROR", &["127.0.2.2"]);
    add(&format!("MX.eXample.com.{V4}.PAIR."), "A", "NOERROR", &["127.0.2.2"]);
    add(&format!("mx6.example.org.{V6_NEIGHBOUR}.pair."), "A", "NOERROR", &["127.0.2.2"]);
    add("66.100.51.198.bl.", "A", "NOERROR", &["127.0.0.2", "127.0.0.4"]);
    add("mx.example.com.ehlo.", "A", "NXDOMAIN", &[]);
    // The test points of RFC 5782.
    for (zone, listed) in [("bl", "127.0.0.2"), ("wl", "127.0.4.1"), ("score", "127.0.4.50")] {
        add(&format!("2.0.0.127.{zone}."), "A", "NOERROR", &[listed]);
        add(&format!("1.0.0.127.{zone}."), "A", "NXDOMAIN", &[]);
    }
    add("test.ehlo.", "A", "NOERROR", &["127.0.1.2"]);
    add("invalid.ehlo.", "A", "NXDOMAIN", &[]);
    add("test.2.0.0.127.pair.", "A", "NOERROR", &["127.0.2.2"]);
    add("invalid.1.0.0.127.pair.", "A", "NXDOMAIN", &[]);
    // A part of a key is no data, what can be no key does not exist.
    for partial in ["2.0.192.bl.", "8.b.d.0.1.0.0.2.wl.", "7.2.0.192.pair.", "com.ehlo."] {
        add(partial, "A", "NOERROR", &[]);
    }
    for junk in ["junk.bl.", "300.2.0.192.wl.", "x.7.2.0.192.score.", "junk.pair.", "www."] {
        add(junk, "A", "NXDOMAIN", &[]);
    }
    add("7.2.0.192.wl.", "AAAA", "NOERROR", &[]);
    for apex in ["", "bl.", "wl.", "score.", "ehlo.", "pair."] {
        add(apex, "NS", "NOERROR", &["ns.rep.test."]);
        add(apex, "A", "NOERROR", &[]);
    }
    list
}

#[test]
fn our_client_over_udp() {
    let site = site();
    let daemon = site.start();
    for (name, rtype, code, data) in questions() {
        let reply = daemon.ask(&name, rtype);
        let found: Vec<_> = reply.answers.iter().map(|record| record.data.as_str()).collect();
        assert_eq!((reply.rcode.as_str(), found), (code, data.clone()), "{name} {rtype}");
        assert!(reply.aa, "{name} {rtype}");
        let soa = reply.authority.iter().any(|record| record.rtype == "SOA");
        assert_eq!(soa, data.is_empty(), "{name} {rtype}: a negative answer has the SOA");
    }
    for apex in ["", "bl.", "wl.", "score.", "ehlo.", "pair."] {
        let reply = daemon.ask(&format!("{apex}rep.test."), "SOA");
        let [soa] = reply.answers.as_slice() else { panic!("{apex}: {reply}") };
        assert!(soa.data.starts_with("ns.rep.test. hostmaster.rep.test. "), "{soa}");
    }
    for name in ["example.com.", "test.", "rep.test.example.", "."] {
        let reply = daemon.ask(name, "A");
        assert_eq!((reply.rcode.as_str(), reply.answers.len()), ("REFUSED", 0), "{name}");
    }
    let why = daemon.ask("66.100.51.198.bl.rep.test.", "TXT");
    let [txt] = why.answers.as_slice() else { panic!("{why}") };
    assert!(txt.data.starts_with("\"helostat: listed many-families "), "{txt}");
    daemon.stop();
}

#[test]
fn without_live_look_ups_answers_hold_as_long_as_history() {
    let site = site();
    let daemon = site.start();
    for name in [format!("{V4}.wl"), format!("{V4}.score"), format!("mx.example.com.{V4}.pair")] {
        let reply = daemon.ask(&format!("{name}.rep.test."), "A");
        let [answer] = reply.answers.as_slice() else { panic!("{name}: {reply}") };
        assert!(answer.ttl > 5, "{name}: nothing more is waited for: {reply}");
    }
    daemon.stop();
}

#[test]
fn our_command_says_the_same() {
    let site = site();
    let daemon = site.start();
    let server = daemon.dns().to_string();
    for (name, rtype, code, data) in questions() {
        let said = site.ok(&["ask", &name, rtype, "--server", &server]);
        assert!(said.contains(&format!(": {code} aa, udp, ")), "{said}");
        for data in data {
            assert!(said.contains(&format!(" {rtype} {data}\n")) || said.ends_with(data), "{said}");
        }
    }
    daemon.stop();
}

/// One question over a TCP connection of its own.
fn ask_tcp(daemon: &Daemon, name: &str, rtype: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).expect(name), rtype));
    let packet = message.to_vec().expect("a small message");
    let mut stream = TcpStream::connect(daemon.dns()).expect("the daemon listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    let length = u16::try_from(packet.len()).expect("a small message");
    stream.write_all(&[&length.to_be_bytes()[..], &packet].concat()).expect("taken");
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).expect("all of it");
    Message::from_vec(&answer).expect("a DNS message")
}

#[test]
fn tcp() {
    let site = site();
    let daemon = site.start();
    for (name, rtype, code, data) in questions() {
        let rtype: RecordType = rtype.parse().expect(rtype);
        let message = ask_tcp(&daemon, &name, rtype);
        let found: Vec<_> = message.answers.iter().map(|record| record.data.to_string()).collect();
        let found_code = match u16::from(message.metadata.response_code) {
            0 => "NOERROR",
            3 => "NXDOMAIN",
            _ => "another",
        };
        assert_eq!((found_code, found), (code, data.iter().map(|d| (*d).to_owned()).collect()));
    }
    daemon.stop();
}

#[test]
fn dig() {
    if Command::new("dig").arg("-v").output().is_err() {
        eprintln!("SKIPPED dig: it is not installed (package bind9-dnsutils)");
        return;
    }
    let site = site();
    let daemon = site.start();
    for (name, rtype, code, data) in questions() {
        for transport in ["+notcp", "+tcp"] {
            let port = daemon.dns().port().to_string();
            let asked = Command::new("dig")
                .args(["@127.0.0.1", "-p", &port, "+norec", "+tries=3", "+timeout=10", transport])
                .args([&name, rtype])
                .output();
            let said = asked.expect("dig starts").stdout;
            let said = String::from_utf8_lossy(&said);
            assert!(said.contains(&format!("status: {code},")), "{said}");
            assert!(!said.contains("WARNING") && !said.contains("malformed"), "{said}");
            let answers = said.lines().filter(|line| {
                !line.starts_with(';') && line.split_whitespace().nth(3) == Some(rtype)
            });
            let found: Vec<_> = answers.filter_map(|line| line.split_whitespace().last()).collect();
            assert_eq!(found, data, "{name} {rtype} {transport}\n{said}");
        }
    }
    daemon.stop();
}

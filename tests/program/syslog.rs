//! What other hosts send by syslog: both framings in any pieces, senders who misbehave, kills, and who may not speak.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use helostat_tests::mail::{days_ago, postfix};
use helostat_tests::program::{Daemon, Random, Site, eventually};

/// What a message of facility mail begins with.
const PRI: &str = "<22>";

/// A site that listens to this machine; `keys` are added.
fn listening(keys: &str) -> Site {
    Site::new(&format!("[[syslog]]\nlisten = [\"127.0.0.1:0\"]\nreporter = \"mx9\"\n{keys}"))
}

fn tcp(daemon: &Daemon) -> TcpStream {
    let stream = TcpStream::connect(daemon.syslog("tcp=[")).expect("it listens");
    stream.set_nodelay(true).expect("an option");
    stream
}

fn limit(daemon: &Daemon, limit: &str) -> f64 {
    daemon.metric("helostat_ingest_syslog_limits_total", &[("limit", limit)])
}

fn wait_limit(daemon: &Daemon, name: &str, times: f64) {
    eventually(format!("{times} times {name}"), || (limit(daemon, name) == times).then_some(()));
}

/// True once the other end has closed the connection.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time");
    matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_))
}

/// The session of number `n`: one message from a client of its own.
fn session(n: u32) -> String {
    postfix(
        days_ago(0),
        &format!("10.0.{}.{}", n / 200, n % 200 + 1),
        &format!("mx{n}.example.com"),
    )
}

/// Every line in a frame; which of the framings, chance decides.
fn framed(lines: &str, random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines.lines() {
        let message = format!("{PRI}{line}");
        match random.below(4) {
            0 => bytes.extend(format!("{message}\n").bytes()),
            1 => bytes.extend(format!("{message}\r\n\0").bytes()),
            2 => bytes.extend(format!("{} {message}", message.len()).bytes()),
            _ => bytes.extend(format!("{} {message}\n\n", message.len() + 1).bytes()),
        }
    }
    bytes
}

/// How often each of the sessions was learned.
fn accepted(site: &Site) -> Vec<u32> {
    let pairs = site.pairs();
    let numbers = pairs.iter().filter_map(|pair| {
        let name = pair.split_once(r#""name":"mx"#)?.1;
        assert!(pair.contains(r#""outcomes":{"accepted":1}"#), "{pair}");
        name.split('.').next()?.parse().ok()
    });
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

fn wait_observations(daemon: &Daemon, count: usize) {
    let seen = || daemon.metric("helostat_ingest_observations_total", &[("outcome", "accepted")]);
    let mut last = 0.0;
    eventually(format!("{count} observations"), || {
        last = seen();
        (last >= count as f64).then_some(())
    });
    assert_eq!(last, count as f64);
}

#[test]
fn both_framings_in_pieces_that_end_anywhere() {
    let site = listening("");
    let daemon = site.start();
    let mut random = Random(7);
    let sessions: String = (1..=30).map(session).collect();
    let bytes = framed(&sessions, &mut random);
    let mut stream = tcp(&daemon);
    // Every octet by itself at first, then pieces of any size.
    for byte in bytes.iter().take(4000) {
        stream.write_all(&[*byte]).expect("sent");
    }
    let mut rest = bytes.get(4000..).expect("more");
    while !rest.is_empty() {
        let (piece, later) = rest.split_at((1 + random.below(3000) as usize).min(rest.len()));
        stream.write_all(piece).expect("sent");
        rest = later;
    }
    wait_observations(&daemon, 30);
    let lines = sessions.lines().count() as f64;
    assert_eq!(
        daemon.metric("helostat_ingest_syslog_messages_total", &[("transport", "tcp")]),
        lines
    );
    assert_eq!(daemon.metric("helostat_ingest_syslog_connections", &[]), 1.0);
    drop(stream);
    eventually("the connection to be gone", || {
        (daemon.metric("helostat_ingest_syslog_connections", &[]) == 0.0).then_some(())
    });
    daemon.stop();
    assert_eq!(accepted(&site), (1..=30).collect::<Vec<_>>());
    assert!(site.dump().contains(r#""reporter":"mx9""#));
}

#[test]
fn datagrams_over_both_families() {
    let site = listening("");
    let daemon = site.start();
    daemon.stop();
    let v6 = UdpSocket::bind("[::1]:0").is_ok();
    if v6 {
        site.rewrite("[\"127.0.0.1:0\"]", "[\"127.0.0.1:0\", \"[::1]:0\"]");
    }
    site.rewrite("reporter = \"mx9\"", "reporters = { \"::1\" = \"mx6\" }");
    let daemon = site.start();
    let said = daemon.wait_said("listens for syslog");
    let places = said.split_once("udp=[").expect("UDP").1.split_once("] tcp").expect("TCP").0;
    let places: Vec<SocketAddr> = places
        .split(", ")
        .map(|place| place.parse().unwrap_or_else(|_| panic!("{said}")))
        .collect();
    for (n, &to) in (1..).zip(&places) {
        let from = SocketAddr::new(to.ip(), 0);
        let socket = UdpSocket::bind(from).expect("a free port");
        for line in session(n).lines() {
            let trailer = ["", "\n", "\0"][line.len() % 3];
            socket.send_to(format!("{PRI}{line}{trailer}").as_bytes(), to).expect("sent");
        }
    }
    wait_observations(&daemon, places.len());
    daemon.stop();
    assert_eq!(accepted(&site), (1..=places.len() as u32).collect::<Vec<_>>());
    let dump = site.dump();
    assert!(dump.contains(r#""reporter":"127.0.0.1""#), "{dump}");
    assert_eq!(dump.contains(r#""reporter":"mx6""#), v6, "{dump}");
}

#[test]
fn who_misbehaves_costs_only_himself() {
    let site = listening("stall = \"300ms\"\nmessage-length = \"8kB\"\nconnections = 12\n");
    let daemon = site.start();
    let mut random = Random(1);
    let mut good = tcp(&daemon);
    let mut bad = Vec::new();
    // Stalls in a counted message, in a count, in a line; a huge count; a line without end; a client of TLS.
    for says in [
        &b"120 <22>Nov"[..],
        b"12",
        b"<22>Nov 20",
        b"99999999 <22>",
        &[b'x'; 200_000],
        b"\x16\x03\x01\x02",
    ] {
        let mut stream = tcp(&daemon);
        stream.write_all(says).ok();
        bad.push(stream);
    }
    // Goes away in the middle of a message.
    tcp(&daemon).write_all(b"50 <22>gone").expect("sent");
    // Too long, but it ends; and then goes on rightly.
    let mut long = tcp(&daemon);
    let mut bytes = format!("{PRI}{}\n9000 {}", "y".repeat(9000), "z".repeat(9000)).into_bytes();
    bytes.extend(framed(&session(2), &mut random));
    long.write_all(&bytes).expect("sent");
    for stream in &mut bad {
        assert!(is_closed(stream));
    }
    wait_limit(&daemon, "stall", 4.0);
    wait_limit(&daemon, "garbled", 2.0);
    wait_limit(&daemon, "cut", 1.0);
    wait_limit(&daemon, "message-length", 2.0);
    good.write_all(&framed(&session(1), &mut random)).expect("it is still open");
    wait_observations(&daemon, 2);
    // Twelve at once, and no more.
    let mut all: Vec<_> = (0..10).map(|_| tcp(&daemon)).collect();
    eventually("twelve connections", || {
        (daemon.metric("helostat_ingest_syslog_connections", &[]) == 12.0).then_some(())
    });
    let mut one_more = tcp(&daemon);
    assert!(is_closed(&mut one_more));
    assert_eq!(limit(&daemon, "connections"), 1.0);
    all.pop();
    eventually("room again", || {
        (daemon.metric("helostat_ingest_syslog_connections", &[]) == 11.0).then_some(())
    });
    let mut again = tcp(&daemon);
    again.write_all(&framed(&session(3), &mut random)).expect("sent");
    wait_observations(&daemon, 3);
    daemon.stop();
    assert_eq!(accepted(&site), [1, 2, 3]);
}

#[test]
fn a_flood_makes_its_sender_wait_and_loses_nothing() {
    let site = listening("queue = \"1MB\"\n");
    let daemon = site.start();
    let sessions = 4000;
    let mut text = String::new();
    for n in 1..=sessions {
        text.push_str(&session(n));
    }
    let noise = format!("{PRI}Nov 20 13:40:22 mx other[1]: {}\n", "n".repeat(900));
    let mut random = Random(3);
    std::thread::scope(|scope| {
        // Two senders in one connection each: one says much, the other says something.
        scope.spawn(|| {
            let mut stream = tcp(&daemon);
            for _ in 0..20_000 {
                stream.write_all(noise.as_bytes()).expect("sent");
            }
        });
        let mut stream = tcp(&daemon);
        stream.write_all(&framed(&text, &mut random)).expect("sent");
    });
    wait_observations(&daemon, sessions as usize);
    let lines = text.lines().count() as f64 + 20_000.0;
    eventually("all messages to be read", || {
        (daemon.metric("helostat_ingest_lines_total", &[]) == lines).then_some(())
    });
    assert!(limit(&daemon, "queue") > 0.0, "somebody had to wait");
    daemon.stop();
    assert_eq!(accepted(&site).len(), sessions as usize);
}

#[test]
fn an_open_session_goes_on_after_a_kill_and_after_a_restart() {
    let site = listening("");
    let text = session(1);
    let lines: Vec<_> = text.lines().map(|line| format!("{PRI}{line}\n")).collect();
    let mut daemon = site.start();
    for (n, line) in lines.iter().enumerate() {
        tcp(&daemon).write_all(line.as_bytes()).expect("sent");
        eventually("the line to be read", || {
            (daemon.metric("helostat_ingest_lines_total", &[]) == 1.0).then_some(())
        });
        if n % 2 == 0 {
            daemon.kill();
        } else {
            daemon.stop();
        }
        daemon = site.start();
    }
    daemon.stop();
    assert_eq!(accepted(&site), [1]);
    let positions = site.ok(&["ledger", "dump", "--positions"]);
    assert!(positions.contains("syslog:127.0.0.1:0/0"), "{positions}");
}

#[test]
fn what_has_arrived_before_the_end_is_learned() {
    let site = listening("");
    let daemon = site.start();
    let mut random = Random(5);
    let text: String = (1..=200).map(session).collect();
    let mut stream = tcp(&daemon);
    stream.write_all(&framed(&text, &mut random)).expect("sent");
    eventually("the first message", || {
        (daemon.metric("helostat_ingest_syslog_messages_total", &[]) > 0.0).then_some(())
    });
    daemon.stop();
    assert_eq!(accepted(&site).len(), 200);
}

#[test]
fn only_who_is_allowed_speaks_and_only_as_himself() {
    let site = Site::new(
        "[[syslog]]\nlisten = [\"127.0.0.1:0\"]\nallow = [\"127.0.0.1\", \"127.0.0.2\", \"127.0.0.3\"]\nsenders = 2\n",
    );
    let daemon = site.start();
    let to = daemon.syslog("udp=[");
    let say = |from: [u8; 4], line: &str| {
        let socket = UdpSocket::bind((IpAddr::from(from), 0)).expect("Linux has all of 127/8");
        let messages =
            || daemon.metric("helostat_ingest_lines_total", &[]) + limit(&daemon, "allow");
        let before = messages();
        socket.send_to(format!("{PRI}{line}").as_bytes(), to).expect("sent");
        // One at a time, for order.
        eventually("the message to be counted", || (messages() > before).then_some(()));
    };
    // Not allowed, over UDP and TCP.
    say([127, 0, 0, 9], session(9).lines().next().expect("a line"));
    wait_limit(&daemon, "allow", 1.0);
    // The same host name, program, process and queue id from two addresses: each ends its own session.
    let (one, two) = (session(1), session(2));
    for (a, b) in one.lines().zip(two.lines()) {
        say([127, 0, 0, 1], a);
        say([127, 0, 0, 2], b);
    }
    wait_observations(&daemon, 2);
    // A third takes the place of who was silent for longest, which is the first.
    say([127, 0, 0, 2], "2026-11-20T13:40:22Z mx other[1]: text");
    for line in session(3).lines() {
        say([127, 0, 0, 3], line);
    }
    wait_observations(&daemon, 3);
    assert_eq!(limit(&daemon, "senders"), 1.0);
    daemon.stop();
    assert_eq!(accepted(&site), [1, 2, 3]);
    let dump = site.ok(&["ledger", "dump", "--positions"]);
    for n in 1..=3 {
        let line = dump.lines().find(|line| line.contains(&format!("\"mx{n}.example.com\"")));
        let line = line.unwrap_or_else(|| panic!("{dump}"));
        assert!(line.contains(&format!(r#""127.0.0.{n}""#)), "{line}");
    }
    assert!(!dump.contains("127.0.0.9"), "{dump}");
    assert_eq!(dump.matches("syslog:127.0.0.1:0/").count(), 2, "{dump}");
}

#[test]
fn an_address_that_is_taken_is_said() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let place = taken.local_addr().expect("bound");
    let site = listening("");
    site.rewrite("127.0.0.1:0\"]\nreporter", &format!("{place}\"]\nreporter"));
    site.fails(
        &["run"],
        4,
        &[&format!(
            "helostat: cannot listen on {place} (syslog over UDP): Address already in use (os error 98)"
        )],
    );
}

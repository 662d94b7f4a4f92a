//! Floods of garbage cost memory and answers nothing.
//!
//! `HELOSTAT_GARBAGE_MB` (20) says how large the garbage log is.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use helostat_tests::mail::{days_ago, postfix};
use helostat_tests::program::{Daemon, Random, Site, eventually, number};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};

/// What a flood may cost: allocators and caches fill up a little, no more.
const GROWTH_KB: u64 = 20_000;

/// A question for `name` as a client would send it.
fn question(name: &str) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).expect(name), RecordType::A));
    message.to_vec().expect("a small message")
}

/// Random bytes, a question with some bytes changed, or a question cut short or made longer.
fn packet(random: &mut Random) -> Vec<u8> {
    let mut packet = question("7.2.0.192.bl.rep.test");
    match random.below(4) {
        0 => {
            let length = random.below(600) as usize;
            return random.bytes(length);
        }
        1 => packet.truncate(random.below(packet.len() as u64) as usize),
        2 => packet.extend(random.bytes(40)),
        _ => {}
    }
    for _ in 0..random.below(4) {
        let place = random.below(packet.len().max(1) as u64) as usize;
        if let Some(byte) = packet.get_mut(place) {
            *byte = random.below(256) as u8;
        }
    }
    packet
}

fn flood_udp(server: SocketAddr, packets: usize, random: &mut Random) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    for n in 0..packets {
        // An answer that comes back too late for a full buffer is nobody's concern here.
        socket.send_to(&packet(random), server).ok();
        if n % 50 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn flood_tcp(server: SocketAddr, connections: usize, random: &mut Random) {
    for _ in 0..connections {
        let mut stream = TcpStream::connect(server).expect("the daemon listens");
        let content = match random.below(3) {
            0 => random.bytes(2000),
            // A length that promises more than comes.
            1 => [&[0xff, 0xff][..], &random.bytes(100)].concat(),
            _ => {
                let packet = packet(random);
                [&(packet.len() as u16).to_be_bytes()[..], &packet].concat()
            }
        };
        // The daemon may hang up first.
        stream.write_all(&content).ok();
        stream.shutdown(Shutdown::Both).ok();
    }
}

fn assert_answers(daemon: &Daemon) {
    daemon.wait_addresses("2.0.0.127.bl", &["127.0.0.2"]);
}

#[test]
fn packets() {
    let site = Site::new("");
    let daemon = site.start();
    let mut random = Random(5);
    flood_udp(daemon.dns(), 2000, &mut random);
    flood_tcp(daemon.dns(), 100, &mut random);
    assert_answers(&daemon);
    let before = daemon.resident_kb();
    flood_udp(daemon.dns(), 10_000, &mut random);
    flood_tcp(daemon.dns(), 500, &mut random);
    assert_answers(&daemon);
    let after = daemon.resident_kb();
    assert!(after < before + GROWTH_KB, "{before} kB before, {after} kB after");
    eventually("all connections to be closed", || {
        (daemon.metric("helostat_dns_tcp_connections", &[]) == 0.0).then_some(())
    });
    let seen = daemon.metric("helostat_dns_questions_total", &[])
        + daemon.metric("helostat_dns_dropped_total", &[]);
    assert!(seen > 5000.0, "only {seen} of 12,000 packets were counted");
    daemon.stop();
}

/// How many connections this process may hold beside what it has: half of its files, 10,000 at the most.
fn connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("proc");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    let soft = line.split_whitespace().nth(3).and_then(|soft| soft.parse().ok());
    soft.unwrap_or(20_000_usize).min(20_000) / 2
}

/// Asks as a resolver does: again, if no answer comes within a second.
fn is_served(server: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a time");
    let asked = question("2.0.0.127.bl.rep.test");
    (0..3).any(|_| {
        let mut answer = [0; 512];
        socket.send_to(&asked, server).is_ok()
            && socket
                .recv(&mut answer)
                .is_ok_and(|length| answer[..length].ends_with(&[127, 0, 0, 2]))
    })
}

fn open_files(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("a process").count()
}

/// Questions for names that nobody has, as fast as one thread can send them, for two seconds: an honest asker is served.
#[test]
fn random_names_at_full_speed() {
    let site = Site::new("");
    let daemon = site.start();
    let server = daemon.dns();
    let zones = ["bl", "wl", "ehlo", "pair"];
    let flood = |seconds: u64, seed: u64| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let mut random = Random(seed);
        let begun = Instant::now();
        let mut sent = 0_u64;
        while begun.elapsed() < Duration::from_secs(seconds) {
            let zone = zones[random.below(4) as usize];
            let name = match zone {
                "bl" | "wl" => std::net::Ipv4Addr::from(random.below(1 << 32) as u32).to_string(),
                "ehlo" => format!("h{:x}.example", random.below(1 << 40)),
                _ => format!("h{:x}.example.7.2.0.192", random.below(1 << 40)),
            };
            // What does not fit into a buffer is part of the flood, too.
            sent += u64::from(
                socket.send_to(&question(&format!("{name}.{zone}.rep.test")), server).is_ok(),
            );
        }
        sent
    };
    flood(1, 1);
    let (memory, files) = (daemon.resident_kb(), open_files(&daemon));
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(2, 2));
        let mut asked = 0;
        while !flooding.is_finished() {
            assert!(is_served(server), "an honest asker is served after {asked} times");
            asked += 1;
        }
        let sent = flooding.join().expect("a flood");
        assert!(sent > 1000 && asked > 0, "{sent} questions in the flood, {asked} beside it");
    });
    let (memory_after, files_after) = (daemon.resident_kb(), open_files(&daemon));
    assert!(memory_after < memory + GROWTH_KB, "{memory} kB before, {memory_after} kB after");
    assert!(files_after <= files + 4, "{files} files before, {files_after} after");
    daemon.stop();
}

/// Connections that say nothing, from many clients, and some that ask and never read.
#[test]
fn connections_that_only_cost() {
    let site = Site::new("");
    site.rewrite("[dns]", "[dns]\ntcp-idle = \"1s\"");
    let daemon = site.start();
    let server = daemon.dns();
    assert!(is_served(server));
    let (memory, files) = (daemon.resident_kb(), open_files(&daemon));
    let mut held = Vec::new();
    for n in 0..connections() {
        let client = SocketAddr::from(([127, 1, (n / 250) as u8, (n % 250 + 1) as u8], 0));
        let domain = socket2::Domain::IPV4;
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&client.into()).expect("loopback");
        if socket.connect_timeout(&server.into(), Duration::from_millis(200)).is_err() {
            continue;
        }
        let mut stream = TcpStream::from(socket);
        if n % 10 == 0 {
            let asked = question("2.0.0.127.bl.rep.test");
            let asked = [&(asked.len() as u16).to_be_bytes()[..], &asked].concat().repeat(200);
            stream.set_nonblocking(true).expect("a socket");
            // The daemon may have hung up, or stopped reading.
            stream.write_all(&asked).ok();
        }
        held.push(stream);
    }
    assert!(held.len() > 300, "only {} connections", held.len());
    assert!(is_served(server), "an honest asker is served beside {}", held.len());
    eventually("all connections to be closed", || {
        (daemon.metric("helostat_dns_tcp_connections", &[]) == 0.0).then_some(())
    });
    drop(held);
    let (memory_after, files_after) = (daemon.resident_kb(), open_files(&daemon));
    assert!(memory_after < memory + GROWTH_KB, "{memory} kB before, {memory_after} kB after");
    assert!(files_after <= files + 4, "{files} files before, {files_after} after");
    assert_answers(&daemon);
    daemon.stop();
}

#[test]
fn garbage_in_a_log() {
    let site = Site::following(&["mail.log"]);
    let daemon = site.start();
    // Lines of 4 to 400 printable bytes, a tenth of them random ones.
    let mut random = Random(6);
    let line = |random: &mut Random| -> Vec<u8> {
        let length = 4 + random.below(396) as usize;
        let mut line = random.bytes(length);
        let is_text = random.below(10) > 0;
        line.iter_mut().filter(|byte| is_text || **byte == b'\n').for_each(|b| *b = b'!' + *b % 94);
        line.push(b'\n');
        line
    };
    let mut lines = 0;
    let mut before = 0;
    let megabytes = number("HELOSTAT_GARBAGE_MB", 20);
    for megabyte in 0..megabytes {
        let mut chunk = Vec::with_capacity(1 << 20);
        while chunk.len() < 1 << 20 {
            chunk.extend(line(&mut random));
            lines += 1;
        }
        site.append("mail.log", &chunk);
        if megabyte == megabytes / 4 {
            wait_lines(&daemon, lines);
            before = daemon.resident_kb();
        }
    }
    wait_lines(&daemon, lines);
    let after = daemon.resident_kb();
    assert!(after < before + GROWTH_KB, "{before} kB before, {after} kB after");
    let fate = |fate| daemon.metric("helostat_ingest_lines_total", &[("fate", fate)]);
    assert_eq!((fate("observed"), fate("session"), fate("ambiguous")), (0.0, 0.0, 0.0));
    // A line that begins with a blank goes on from the one before, whatever that was.
    let not_understood = fate("not-understood");
    assert!(not_understood > lines as f64 * 0.98, "{not_understood} of {lines} lines");
    assert_eq!(daemon.metric("helostat_ingest_observations_total", &[]), 0.0);
    site.append("mail.log", postfix(days_ago(0), "192.0.2.1", "mx1.example.com"));
    daemon.wait_addresses("mx1.example.com.1.2.0.192.pair", &["127.0.3.9"]);
    daemon.stop();
    assert_eq!(site.pairs().len(), 1, "{}", site.dump());
}

fn wait_lines(daemon: &Daemon, lines: usize) {
    eventually("the garbage to be read", || {
        let read = daemon.metric("helostat_ingest_lines_total", &[]);
        (read >= lines as f64).then_some(())
    });
}

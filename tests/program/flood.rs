//! Floods of garbage cost memory and answers nothing.
//!
//! `HELOSTAT_GARBAGE_MB` (20) says how large the garbage log is.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use helostat_tests::mail::{days_ago, postfix};
use helostat_tests::program::{Daemon, Random, Site, eventually, number, question};

/// What a flood may cost: allocators and caches fill up a little, no more.
const GROWTH_KB: u64 = 20_000;

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

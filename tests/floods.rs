//! Floods that take whatever the machine has: an honest asker is served beside them, and they cost no memory and no files.
//!
//! A program of its own, so that they take the time of no other test.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use helostat_tests::program::{Daemon, Random, Site, eventually, question};

/// What a flood may cost: allocators and caches fill up a little, no more.
const GROWTH_KB: u64 = 20_000;

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
                "bl" | "wl" => Ipv4Addr::from(random.below(1 << 32) as u32).to_string(),
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
    daemon.wait_addresses("2.0.0.127.bl", &["127.0.0.2"]);
    daemon.stop();
}

//! What comes by syslog: `cargo bench -p helostat-tests --bench syslog -- JOB [--json] [--NAME VALUE]...`
//!
//! - `tcp`: real lines of Postfix as fast as the daemon takes them, over `--connections` (1), in both framings
//! - `udp`: the same lines, `--rate` (20,000) a second
//! - `all`: one after the other
//!
//! `--messages` (1 million over TCP, 10 seconds' worth over UDP) says how many. A real daemon listens on loopback; the
//! sender is this process, on the same machine. Time runs until all that was learned from the messages is
//! durable; processor time is the daemon's. docs/benchmarks.md has the numbers.

#[expect(dead_code, reason = "the other benches need the rest")]
mod measure;
#[expect(dead_code, reason = "the other benches need the rest")]
mod options;
mod report;

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use helostat_tests::mail::long_postfix;
use helostat_tests::program::{Daemon, Site};

use crate::options::Options;
use crate::report::{Bar, Report};

/// How often a burst is sent over UDP.
const TICK: Duration = Duration::from_millis(1);
/// Lines that are sent again and again.
const LINES: usize = 50_000;

fn main() {
    let options = Options::read();
    match options.job() {
        Some("tcp") => tcp(&options),
        Some("udp") => udp(&options),
        None | Some("all") => {
            tcp(&options);
            udp(&options);
        }
        Some(job) => panic!("no job has the name {job}: tcp, udp, all"),
    }
}

fn site() -> Site {
    Site::new("[[syslog]]\nlisten = [\"127.0.0.1:0\"]\nreporter = \"mx1\"\n")
}

/// Real lines, each as one message.
fn messages() -> Vec<String> {
    long_postfix(LINES).lines().map(|line| format!("<22>{line}")).collect()
}

/// How many messages were read and what they taught made durable.
fn learned(daemon: &Daemon) -> u64 {
    daemon.metric("helostat_ingest_lines_total", &[]) as u64
}

/// Waits until no more come; gives how many came, and how long after `begun` the last did.
fn settled(daemon: &Daemon, sent: u64, begun: Instant) -> (u64, Duration) {
    let (mut last, mut when) = (learned(daemon), begun.elapsed());
    while last < sent && begun.elapsed() < when + Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
        let now = learned(daemon);
        if now > last {
            (last, when) = (now, begun.elapsed());
        }
    }
    (last, when)
}

fn tcp(options: &Options) {
    let count = options.number("messages", 1_000_000u64);
    let connections = options.number("connections", 1u64);
    let report = Report::begin(options, "syslog over TCP");
    let messages = messages();
    // Half of them with their length in front, half with a line feed behind.
    let framed = |(n, message): (usize, &String)| match n % 2 {
        0 => format!("{} {message}", message.len()),
        _ => format!("{message}\n"),
    };
    let text: Vec<String> = messages.iter().enumerate().map(framed).collect();
    let site = site();
    let daemon = site.start();
    let place = daemon.syslog("tcp=[");
    let before = daemon.processor_time();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(place).expect("it listens");
                let mut buffer = String::new();
                for text in text.iter().cycle().take((count / connections) as usize) {
                    buffer.push_str(text);
                    if buffer.len() > 60_000 {
                        stream.write_all(buffer.as_bytes()).expect("taken");
                        buffer.clear();
                    }
                }
                stream.write_all(buffer.as_bytes()).expect("taken");
            });
        }
    });
    let sent = count / connections * connections;
    let (came, took) = settled(&daemon, sent, begun);
    let processor = daemon.processor_time() - before;
    let octets: usize = text.iter().map(String::len).sum();
    report.judge(
        "messages a second",
        came as f64 / took.as_secs_f64(),
        "messages/s",
        Bar::Least(50_000.0),
    );
    report.judge("lost", (sent - came) as f64, "messages", Bar::Most(0.0));
    report.tell("octets of a message, in the mean", octets as f64 / text.len() as f64, "octets");
    report.tell("processor time", processor.as_secs_f64() * 1e6 / came as f64, "us/message");
    report.tell("memory", daemon.resident_kb() as f64 / 1e3, "MB");
    let waits = daemon.metric("helostat_ingest_syslog_limits_total", &[("limit", "queue")]);
    report.tell("times that the sender had to wait", waits, "");
    daemon.stop();
}

fn udp(options: &Options) {
    let rate = options.number("rate", 20_000u64);
    let count = options.number("messages", rate * 10);
    let report = Report::begin(options, &format!("syslog over UDP, {rate} messages/s"));
    let messages = messages();
    let site = site();
    let daemon = site.start();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(daemon.syslog("udp=[")).expect("it listens");
    let before = daemon.processor_time();
    let begun = Instant::now();
    let mut sent = 0;
    let mut messages = messages.iter().cycle();
    while sent < count {
        // As many as are due by now.
        let due = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
        for message in messages.by_ref().take((due.min(count) - sent) as usize) {
            socket.send(message.as_bytes()).expect("loopback");
            sent += 1;
        }
        std::thread::sleep(TICK);
    }
    let sending = begun.elapsed();
    let (came, _) = settled(&daemon, sent, begun);
    // The kernel is asked once a second.
    std::thread::sleep(Duration::from_millis(1500));
    let dropped = daemon.metric("helostat_ingest_udp_drops_total", &[]);
    let processor = daemon.processor_time() - before;
    report.tell("sent", sent as f64 / sending.as_secs_f64(), "messages/s");
    report.judge("lost", (sent - came) as f64, "messages", Bar::Most(0.0));
    report.judge("of them dropped by the kernel and counted", dropped, "messages", Bar::Most(0.0));
    report.tell("processor time", processor.as_secs_f64() * 1e6 / came.max(1) as f64, "us/message");
    let said = daemon.wait_said("listens for syslog");
    let given = said.rsplit_once("receive_bytes=").and_then(|(_, given)| given.trim().parse().ok());
    report.tell("receive buffer that the kernel gave", given.unwrap_or(0.0), "octets");
    daemon.stop();
}

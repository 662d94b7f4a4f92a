//! How long until a log line is in the answers.
//!
//! Appends sessions one by one, at random intervals, to a log that a real daemon follows, and asks for the
//! answer of the session's pair until it is there. Measured is the time from the end of the write to the
//! arrival of the changed answer, with a question every half millisecond. First at rest, then while
//! another log grows by many lines a second.
//!
//! `HELOSTAT_SESSIONS` (300) sessions each; `HELOSTAT_LOAD` (20,000) lines a second in the other log.
//! docs/benchmarks.md has the numbers.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use helostat_tests::mail::{days_ago, long_postfix, postfix};
use helostat_tests::program::{Random, Site, number};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};

/// Between two questions.
const PACE: Duration = Duration::from_micros(500);
/// The longest pause between two sessions, in microseconds.
const PAUSE_US: u64 = 60_000;
/// How often the other log grows.
const TICK: Duration = Duration::from_millis(10);

fn main() {
    let sessions = number("HELOSTAT_SESSIONS", 300);
    let load = number("HELOSTAT_LOAD", 20_000);
    println!("log line to changed answer, {sessions} sessions (ms)");
    println!("{:<34} {:>7} {:>7} {:>7} {:>7}", "", "p50", "p90", "p99", "max");
    report("at rest", measure(sessions, 0));
    report(&format!("beside {load} lines/s in another log"), measure(sessions, load));
}

/// The times of `sessions` sessions while another log grows by `load` lines a second.
fn measure(sessions: usize, load: usize) -> Vec<Duration> {
    let site = Site::following(&["mail.log", "other.log"]);
    site.write("mail.log", "");
    site.write("other.log", "");
    let daemon = site.start();
    let done = AtomicBool::new(false);
    let times = std::thread::scope(|scope| {
        scope.spawn(|| grow(&site, load, &done));
        let server = daemon.dns();
        let mut random = Random(1);
        let times = (0..sessions).map(|n| {
            std::thread::sleep(Duration::from_micros(random.below(PAUSE_US)));
            freshness(&site, server, n)
        });
        let times = times.collect();
        done.store(true, Ordering::Relaxed);
        times
    });
    daemon.stop();
    times
}

/// Lets the other log grow until the measuring is done.
fn grow(site: &Site, load: usize, done: &AtomicBool) {
    if load == 0 {
        return;
    }
    let text = long_postfix(200_000);
    let mut lines = text.split_inclusive('\n').cycle();
    let each = (load as f64 * TICK.as_secs_f64()) as usize;
    let mut next = Instant::now();
    while !done.load(Ordering::Relaxed) {
        site.append("other.log", lines.by_ref().take(each).collect::<String>());
        next += TICK;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// The time of session `n`.
fn freshness(site: &Site, server: SocketAddr, n: usize) -> Duration {
    let (a, b) = (n / 200, n % 200 + 1);
    let name = format!("mx{n}.example.com");
    let question = question(&format!("{name}.{b}.{a}.0.10.pair.rep.test"));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(server).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a time");
    assert!(!is_seen(&socket, &question), "{name} is new");
    let session = postfix(days_ago(0), &format!("10.0.{a}.{b}"), &name);
    site.append("mail.log", session);
    let written = Instant::now();
    while !is_seen(&socket, &question) {
        assert!(written.elapsed() < Duration::from_secs(60), "{name} is never seen");
        std::thread::sleep(PACE);
    }
    written.elapsed()
}

fn question(name: &str) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).expect(name), RecordType::A));
    message.to_vec().expect("a small message")
}

/// Asks once. A lost answer is no answer.
fn is_seen(socket: &UdpSocket, question: &[u8]) -> bool {
    let mut answer = [0; 512];
    socket.send(question).expect("loopback");
    let Ok(length) = socket.recv(&mut answer) else { return false };
    let message = answer.get(..length).and_then(|answer| Message::from_vec(answer).ok());
    message.is_some_and(|message| !message.answers.is_empty())
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| {
        let place = ((times.len() as f64 * share) as usize).min(times.len() - 1);
        times[place].as_secs_f64() * 1000.0
    };
    let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(at);
    println!("{what:<34} {p50:>7.1} {p90:>7.1} {p99:>7.1} {max:>7.1}");
}

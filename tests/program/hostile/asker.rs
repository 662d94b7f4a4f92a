//! Asks the daemon many questions at a rate and takes the time of every answer.

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use helostat_tests::program::{PATIENCE, Random};
use hickory_proto::op::Message;
use hickory_proto::rr::RData;

/// A question that was answered.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Below `rep.test`.
    pub(super) name: String,
    pub(super) rcode: u16,
    pub(super) addresses: Vec<Ipv4Addr>,
    /// In seconds: of the answer, or of its absence.
    pub(super) ttl: u32,
    pub(super) took: Duration,
}

/// The packet that asks for the A records of a name below `rep.test`. Made by hand: a flood must not be slower
/// than the daemon.
fn question(id: u16, name: &str) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    // No flags, one question.
    packet.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').chain(["rep", "test", ""]) {
        packet.push(u8::try_from(label.len()).expect("a short label"));
        packet.extend(label.as_bytes());
    }
    // A, IN.
    packet.extend([0, 1, 0, 1]);
    packet
}

/// Asks all `names`, so many each second, and waits for all answers. They come in the order of the questions.
pub(super) fn ask_all(
    server: SocketAddr,
    from: Ipv4Addr,
    names: &[String],
    per_second: u32,
) -> Vec<Asked> {
    let socket = UdpSocket::bind((from, 0)).expect("a free port");
    socket.connect(server).expect("loopback");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    let listening = socket.try_clone().expect("a second handle");
    std::thread::scope(|scope| {
        let listener = scope.spawn(move || {
            let mut answers = HashMap::new();
            let mut buffer = vec![0; 4096];
            while answers.len() < names.len() {
                let length = listening.recv(&mut buffer).expect("every question is answered");
                let message = Message::from_vec(&buffer[..length]).expect("a DNS message");
                answers.insert(message.metadata.id, (Instant::now(), message));
            }
            answers
        });
        let begun = Instant::now();
        let mut sent = Vec::new();
        for (name, n) in names.iter().zip(0..) {
            let due = begun + Duration::from_secs(1) * n / per_second;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let packet = question(u16::try_from(n).expect("fewer than 65,536"), name);
            sent.push(Instant::now());
            socket.send(&packet).expect("loopback");
        }
        let mut answers = listener.join().expect("the listener does not fail");
        let asked = names.iter().zip(sent).zip(0..).map(|((name, sent), id)| {
            let (came, message) = answers.remove(&id).expect("all came");
            read(name.clone(), came - sent, &message)
        });
        asked.collect()
    })
}

/// How many questions of a flood may be without an answer before more are sent; more would overflow the daemon's
/// socket, and those lost cost it nothing.
const WINDOW: usize = 200;
/// An answer that is not there by then will not come.
const LOST: Duration = Duration::from_secs(2);

/// Asks so many questions for random names of all kinds, `per_second` at most and as fast as they are answered: how
/// long that took, and how many answers came.
pub(super) fn flood(
    server: SocketAddr,
    count: usize,
    per_second: u32,
    random: &mut Random,
) -> (Duration, usize) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.connect(server).expect("loopback");
    socket.set_read_timeout(Some(LOST)).expect("a time");
    let begun = Instant::now();
    let mut buffer = vec![0; 4096];
    let (mut waiting, mut answered) = (0, 0);
    let mut receive = |waiting: &mut usize| match socket.recv(&mut buffer) {
        Ok(_) => {
            *waiting -= 1;
            answered += 1;
        }
        Err(_) => *waiting = 0,
    };
    for n in 0..count {
        let due = begun + Duration::from_secs_f64(n as f64 / f64::from(per_second));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let (client, name) = (random.below(200) + 1, random.below(u64::MAX));
        let key = format!("{}.{}.5.{client}", random.below(256), random.below(256));
        let name = match random.below(6) {
            0 => format!("mx.d{name}.net.{key}.pair"),
            // Another name of a client that is known.
            1 => format!("mx.d{name}.net.7.6.5.{}.pair", 20 + client % 40),
            2 => format!("mx{name}.helostat20.net.ehlo"),
            3 => format!("mx.d{name}.net.ehlo"),
            4 => format!("{key}.bl"),
            _ => format!("{key}.score"),
        };
        socket.send(&question(7, &name)).expect("loopback");
        waiting += 1;
        while waiting >= WINDOW {
            receive(&mut waiting);
        }
    }
    while waiting > 0 {
        receive(&mut waiting);
    }
    (begun.elapsed(), answered)
}

fn read(name: String, took: Duration, message: &Message) -> Asked {
    let addresses = message.answers.iter().filter_map(|record| match record.data {
        RData::A(ip) => Some(ip.0),
        _ => None,
    });
    let records = message.answers.iter().chain(&message.authorities);
    Asked {
        name,
        rcode: message.metadata.response_code.into(),
        addresses: addresses.collect(),
        ttl: records.map(|record| record.ttl).min().expect("an answer, or the SOA of its absence"),
        took,
    }
}

/// How long the answers took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) worst: Duration,
}

impl Times {
    pub(super) fn of<'a>(asked: impl IntoIterator<Item = &'a Asked>) -> Self {
        let mut times: Vec<_> = asked.into_iter().map(|asked| asked.took).collect();
        times.sort_unstable();
        // The least time that so many of a hundred do not exceed.
        let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
        Self { p50: at(50), p99: at(99), worst: at(100) }
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p99, worst } = self;
        write!(f, "p50 {p50:.1?}, p99 {p99:.1?}, worst {worst:.1?}")
    }
}

//! A resolver on loopback that is no good, and remembers every message that came.
//!
//! It listens on UDP and TCP on one port and answers every question in its [`Manner`]. It ends when the value is
//! dropped.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Runtime;

/// How often a free UDP port may turn out to be taken for TCP.
const BIND_ATTEMPTS: usize = 20;
/// Larger than any question.
const QUESTION_MAX: usize = 4096;
/// The length of a DNS header, and where a pointer to the name of the question leads.
const HEADER: usize = 12;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it should: nothing exists.
    Honest,
    /// Not at all.
    Silent,
    /// As it should, after 5 seconds.
    Slow,
    /// With another identifier.
    WrongId,
    /// To another question.
    WrongQuestion,
    /// Over UDP: come back over TCP. Over TCP: as many records as 64 kB hold.
    Large,
    /// As `Large`, but the answer over TCP ends halfway, and the connection stays open.
    Stalls,
    /// Two names that are aliases of each other.
    Ring,
    /// An alias for a name nobody has asked for yet, again and again.
    Chain,
    /// Over UDP: come back over TCP. Over TCP: 64 kB of pointers to a long name.
    Bomb,
    /// A record whose name is a pointer to itself.
    PointerLoop,
    /// Random octets behind the right identifier.
    Garbage,
}

/// One message that came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    /// In small letters, with the dot at its end.
    pub(super) name: String,
    pub(super) over_tcp: bool,
}

/// The running resolver.
pub(super) struct Resolver {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    runtime: Option<Runtime>,
}

impl Resolver {
    pub(super) fn start(manner: Manner) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let (udp, tcp) = runtime.block_on(bind()).expect("a free port on loopback");
        let address = udp.local_addr().expect("a bound socket has an address");
        let seen = Arc::default();
        let teller = Teller { manner, seen: Arc::clone(&seen) };
        runtime.spawn(serve_udp(Arc::new(udp), teller.clone()));
        runtime.spawn(serve_tcp(tcp, teller));
        Self { address, seen, runtime: Some(runtime) }
    }

    /// All that came, in order.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The most messages that came within any second, of those that `wanted` takes.
pub(super) fn most_in_a_second(seen: &[Seen], wanted: impl Fn(&Seen) -> bool) -> usize {
    let times: Vec<Instant> = seen.iter().filter(|seen| wanted(seen)).map(|seen| seen.at).collect();
    let mut most = 0;
    let mut first = 0;
    for (last, at) in times.iter().enumerate() {
        while times.get(first).is_some_and(|begun| *at - *begun >= Duration::from_secs(1)) {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

/// How many messages came for each key.
pub(super) fn counts<K: std::hash::Hash + Eq>(
    seen: &[Seen],
    key: impl Fn(&Seen) -> K,
) -> HashMap<K, usize> {
    let mut counts = HashMap::new();
    for seen in seen {
        *counts.entry(key(seen)).or_default() += 1;
    }
    counts
}

async fn bind() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::Error::other("no attempt");
    for _ in 0..BIND_ATTEMPTS {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn serve_udp(socket: Arc<UdpSocket>, teller: Teller) {
    let mut buffer = vec![0; QUESTION_MAX];
    loop {
        // An answer to somebody who has gone comes back as an error here.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(answer) = teller.answer(&buffer[..length], false) else { continue };
        if teller.manner != Manner::Slow {
            drop(socket.send_to(&answer, from).await);
            continue;
        }
        let socket = Arc::clone(&socket);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            drop(socket.send_to(&answer, from).await);
        });
    }
}

async fn serve_tcp(listener: TcpListener, teller: Teller) {
    while let Ok((stream, _)) = listener.accept().await {
        let teller = teller.clone();
        tokio::spawn(async move { drop(serve_connection(stream, teller).await) });
    }
}

async fn serve_connection(mut stream: TcpStream, teller: Teller) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut question = vec![0; usize::from(length)];
        stream.read_exact(&mut question).await?;
        let Some(mut answer) = teller.answer(&question, true) else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        if teller.manner == Manner::Stalls {
            answer.truncate(answer.len() / 2);
        }
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&answer).await?;
    }
}

/// Makes the answers.
#[derive(Clone)]
struct Teller {
    manner: Manner,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Teller {
    /// Notes the question; its answer, if there is one.
    fn answer(&self, octets: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        let question = Message::from_vec(octets).expect("the daemon asks in order");
        let query = question.queries.first().expect("a question").clone();
        let name = query.name().to_ascii().to_ascii_lowercase();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(Seen {
            at: Instant::now(),
            name,
            over_tcp,
        });
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        let owner = query.name();
        match self.manner {
            Manner::Silent => return None,
            Manner::Honest | Manner::Slow => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                let soa = SOA::new(owner.clone(), owner.clone(), 1, 3600, 600, 86_400, 3600);
                answer.add_authority(Record::from_rdata(owner.clone(), 3600, RData::SOA(soa)));
            }
            // Were they believed, a client would stand in the records of every name.
            Manner::WrongId => {
                answer.metadata.id ^= 1;
                answer.add_answer(listed(owner));
            }
            Manner::WrongQuestion => {
                let other = below(owner, "x");
                answer.queries.clear();
                answer.add_query(hickory_proto::op::Query::query(other, query.query_type()));
                answer.add_answer(listed(owner));
            }
            Manner::Large | Manner::Stalls | Manner::Bomb if !over_tcp => {
                answer.metadata.truncation = true;
            }
            Manner::Large | Manner::Stalls => return Some(large(&answer, query.query_type())),
            Manner::Bomb => return Some(bomb(&answer, query.query_type())),
            Manner::Ring => {
                let other = below(owner, "ring");
                answer.add_answer(alias(owner, &other));
                answer.add_answer(alias(&other, owner));
            }
            Manner::Chain => {
                // Longer names end at some length; a number beside it would end nowhere.
                let count = self.seen.lock().unwrap_or_else(PoisonError::into_inner).len();
                let target = below(&owner.trim_to(3), &format!("link{count}"));
                answer.add_answer(alias(owner, &target));
            }
            Manner::PointerLoop => {
                let mut octets = answer.to_vec().expect("a small message");
                octets[7] = 1;
                let here = octets.len();
                octets.extend(pointer(here));
                octets.extend(record(RecordType::A, &[192, 0, 2, 1]));
                return Some(octets);
            }
            Manner::Garbage => {
                let seed =
                    octets.iter().fold(0, |seed, octet| seed * 31 % 1009 + u64::from(*octet));
                let mut random = helostat_tests::program::Random(seed);
                let length = random.below(1200) as usize;
                let mut garbage = octets[..2].to_vec();
                // Half of them begin as a reply to the question does.
                if random.below(2) == 0 {
                    garbage = answer.to_vec().expect("a small message");
                    garbage[7] = 200;
                }
                garbage.extend(random.bytes(length));
                return Some(garbage);
            }
        }
        Some(answer.to_vec().expect("a message"))
    }
}

fn below(name: &Name, label: &str) -> Name {
    name.prepend_label(label).unwrap_or_else(|_| name.clone())
}

fn listed(owner: &Name) -> Record {
    Record::from_rdata(owner.clone(), 3600, RData::A(A(Ipv4Addr::new(127, 0, 0, 2))))
}

fn alias(owner: &Name, target: &Name) -> Record {
    Record::from_rdata(owner.clone(), 3600, RData::CNAME(CNAME(target.clone())))
}

/// Fills the answer up to 64 kB: with addresses if those were asked for, else with text. By hand, as hickory takes
/// long for it.
fn large(answer: &Message, kind: RecordType) -> Vec<u8> {
    let text = [[255].as_slice(), &[b'x'; 255]].concat().repeat(4);
    let data = match kind {
        RecordType::A => record(kind, &[203, 0, 113, 9]),
        _ => record(RecordType::TXT, &text),
    };
    filled(answer.to_vec().expect("a small message"), &[[&pointer(HEADER)[..], &data].concat()])
}

/// The message with these records again and again, up to 64 kB; they are its only ones.
fn filled(mut octets: Vec<u8>, records: &[Vec<u8>]) -> Vec<u8> {
    let mut count: u16 = 0;
    for record in records.iter().cycle() {
        if octets.len() + record.len() > 65_000 {
            break;
        }
        octets.extend(record);
        count += 1;
    }
    octets[6..8].copy_from_slice(&count.to_be_bytes());
    octets
}

/// Pointers to a name of up to 255 octets, in as many records as 64 kB hold, with names in their data, too.
fn bomb(answer: &Message, kind: RecordType) -> Vec<u8> {
    let mut octets = answer.to_vec().expect("a small message");
    // The long name is the data of the first record, and lies below the name that was asked for.
    let label = [[63].as_slice(), &[b'x'; 63]].concat();
    let name = [&label.repeat(3)[..], &pointer(HEADER)].concat();
    // Behind a name of 2 octets, and the 10 from type to length.
    let long = pointer(octets.len() + 2 + 10);
    octets.extend(pointer(HEADER));
    octets.extend(record(RecordType::NULL, &name));
    let data = aimed(kind, &long);
    let records = [&long, &pointer(HEADER)].map(|owner| [&owner[..], &data].concat());
    let mut octets = filled(octets, &records);
    let count = u16::from_be_bytes([octets[6], octets[7]]) + 1;
    octets[6..8].copy_from_slice(&count.to_be_bytes());
    octets
}

fn pointer(to: usize) -> [u8; 2] {
    (0xC000 | u16::try_from(to).expect("near the front")).to_be_bytes()
}

/// A record behind its name: type, class, time to live and data.
fn record(kind: RecordType, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("few octets");
    let kind = u16::from(kind).to_be_bytes();
    [&kind[..], &[0, 1, 0, 0, 14, 16], &length.to_be_bytes(), data].concat()
}

/// A record of that type that leads to `name`, behind its own; an alias where the type leads nowhere, for those are
/// looked at whatever was asked for.
fn aimed(kind: RecordType, name: &[u8]) -> Vec<u8> {
    match kind {
        RecordType::MX => record(kind, &[&[0, 10], name].concat()),
        RecordType::SRV => record(kind, &[&[0, 0, 0, 0, 0, 25], name].concat()),
        RecordType::PTR => record(kind, name),
        _ => record(RecordType::CNAME, name),
    }
}

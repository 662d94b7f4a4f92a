//! A resolver on loopback that knows one [`World`]: UDP and TCP on one port.
//!
//! It answers as a recursive resolver does: the whole chain of aliases in one message, SOA in the
//! authority section of a denial, truncation where the client's size is exceeded. It counts every
//! question, so that a test can say how often one was asked, and its world can be changed while it
//! runs, so that a test can break the DNS and mend it again. It ends when the value is dropped.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use helostat_zones::evidence::{DnsName, RecordData, RecordType};
use hickory_proto::op::{Edns, Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NULL, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::faults::{Fault, LATE};
use super::world::{Outcome, Resolution, TTL, World};

/// How often a free UDP port may turn out to be taken for TCP.
const BIND_ATTEMPTS: usize = 20;
/// Larger than any question.
const QUESTION_MAX: usize = 4096;

/// A running server.
#[derive(Debug)]
pub struct FakeDns {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Dropping it ends the server.
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    world: Mutex<World>,
    delay: Mutex<Duration>,
    chains: Mutex<Chains>,
    asked: Mutex<HashMap<(DnsName, u16), usize>>,
    over_tcp: Mutex<usize>,
}

/// How much of a chain of aliases a reply holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chains {
    /// All of it, and what is at its end.
    #[default]
    Whole,
    /// The first alias: the client has to ask for its target, as with some forwarders.
    FirstLink,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

impl FakeDns {
    /// Serves the world that `records` describe. Must be called inside a tokio runtime.
    ///
    /// # Panics
    ///
    /// If the text is no world or no port is free: a test cannot go on without it.
    pub async fn serve(records: &str) -> Self {
        let world = read(records);
        let (udp, tcp) = bind().await.expect("a free port on loopback");
        let address = udp.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { world: Mutex::new(world), ..Shared::default() });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, Arc::clone(&shared)));
        tasks.spawn(serve_tcp(tcp, Arc::clone(&shared)));
        Self { address, shared, _tasks: tasks }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts another world in place of the present one.
    ///
    /// # Panics
    ///
    /// If the text is no world.
    pub fn change(&self, records: &str) {
        *held(&self.shared.world) = read(records);
    }

    /// Makes every answer wait.
    pub fn set_delay(&self, delay: Duration) {
        *held(&self.shared.delay) = delay;
    }

    /// Says how much of a chain of aliases a reply holds.
    pub fn set_chains(&self, chains: Chains) {
        *held(&self.shared.chains) = chains;
    }

    /// How often a question has come in, over UDP and TCP.
    ///
    /// # Panics
    ///
    /// If the text is no name.
    pub fn count(&self, name: &str, kind: RecordType) -> usize {
        let name = DnsName::parse(name).expect("a name");
        held(&self.shared.asked).get(&(name, kind.number())).copied().unwrap_or(0)
    }

    /// How many questions have come in, of whatever kind.
    pub fn total(&self) -> usize {
        held(&self.shared.asked).values().sum()
    }

    /// How many questions have come in over TCP.
    pub fn over_tcp(&self) -> usize {
        *held(&self.shared.over_tcp)
    }
}

fn read(records: &str) -> World {
    World::parse(records).unwrap_or_else(|error| panic!("the records of a test: {error}"))
}

/// A test that panicked elsewhere leaves usable data behind.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let socket = Arc::new(socket);
    let mut tasks = JoinSet::new();
    let mut buffer = vec![0; QUESTION_MAX];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let question = buffer.get(..length).map(<[u8]>::to_vec).unwrap_or_default();
        let (socket, shared) = (Arc::clone(&socket), Arc::clone(&shared));
        tasks.spawn(async move {
            if let Some(answer) = shared.answer(&question, Transport::Udp).await {
                // A client that went away is no concern of the server's.
                drop(socket.send_to(&answer, from).await);
            }
        });
        while tasks.try_join_next().is_some() {}
    }
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tasks.spawn(async move { drop(serve_connection(stream, shared).await) });
        while tasks.try_join_next().is_some() {}
    }
}

/// Answers question after question; ends the connection where there is no answer.
async fn serve_connection(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut question = vec![0; usize::from(length)];
        stream.read_exact(&mut question).await?;
        let Some(answer) = shared.answer(&question, Transport::Tcp).await else {
            return Ok(());
        };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&answer).await?;
    }
}

impl Shared {
    /// The bytes of the answer, or `None` where none is given.
    async fn answer(&self, question: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).ok()?;
        let query = question.queries.first()?;
        let asked = DnsName::from_labels(query.name().iter())?;
        let number = u16::from(query.query_type());
        *held(&self.asked).entry((asked.clone(), number)).or_default() += 1;
        if transport == Transport::Tcp {
            *held(&self.over_tcp) += 1;
        }
        let delay = *held(&self.delay);
        tokio::time::sleep(delay).await;

        let kind = match number {
            65_280..=65_534 => Some(RecordType::Private(number)),
            _ => RecordType::ALL.into_iter().find(|kind| kind.number() == number),
        };
        let (resolution, zone, fault) = {
            let world = held(&self.world);
            let mut resolution = world.resolve(&asked, kind);
            let fault = match resolution.outcome {
                Outcome::Fault(fault) => Some(fault),
                _ => None,
            };
            if fault.is_some() {
                resolution = world.clone().faultless().resolve(&asked, kind);
            }
            let chains = *held(&self.chains);
            if chains == Chains::FirstLink
                && let Some(first) = resolution.chain.first().cloned()
            {
                let owner = first.1.clone();
                resolution = Resolution { chain: vec![first], owner, outcome: Outcome::NoData };
            }
            let zone = world.zone_of(&resolution.owner).cloned();
            (resolution, zone, fault)
        };
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.recursion_desired = question.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        if question.edns.is_some() {
            answer.set_edns(Edns::new());
        }
        fill(&mut answer, resolution, zone)?;
        if fault == Some(Fault::Slow) {
            tokio::time::sleep(LATE).await;
        }
        if let Some(fault) = fault {
            return fault.spoil(answer, transport == Transport::Tcp);
        }
        let bytes = answer.to_vec().ok()?;
        if transport == Transport::Tcp || bytes.len() <= usize::from(question.max_payload()) {
            return Some(bytes);
        }
        answer.answers.clear();
        answer.authorities.clear();
        answer.metadata.truncation = true;
        answer.to_vec().ok()
    }
}

fn fill(answer: &mut Message, resolution: Resolution, zone: Option<DnsName>) -> Option<()> {
    for (owner, target) in resolution.chain {
        let target = RData::CNAME(CNAME(wire(&target)?));
        answer.add_answer(Record::from_rdata(wire(&owner)?, TTL, target));
    }
    let owner = wire(&resolution.owner)?;
    match resolution.outcome {
        Outcome::Records(records) => {
            for data in records {
                answer.add_answer(Record::from_rdata(owner.clone(), TTL, rdata(data)?));
            }
        }
        Outcome::NxDomain => answer.metadata.response_code = ResponseCode::NXDomain,
        // A ring of aliases is answered with what was gathered, as some resolvers do.
        Outcome::NoData | Outcome::Loop => {}
        // An alias that would be too long.
        Outcome::Fault(_) => answer.metadata.response_code = ResponseCode::ServFail,
    }
    if answer.answers.iter().all(|record| matches!(record.data, RData::CNAME(_)))
        && let Some(zone) = zone
    {
        let zone = wire(&zone)?;
        let soa = SOA::new(zone.clone(), zone.clone(), 1, 3600, 600, 86_400, TTL);
        answer.add_authority(Record::from_rdata(zone, TTL, RData::SOA(soa)));
    }
    Some(())
}

fn wire(name: &DnsName) -> Option<Name> {
    let mut wire = Name::from_labels(name.labels()).ok()?;
    wire.set_fqdn(true);
    Some(wire)
}

fn rdata(data: RecordData) -> Option<RData> {
    let raw = |code: RecordType, octets: Vec<u8>| match octets.len() {
        // What hickory calls a record without data, such as an empty APL; `NULL::with` takes none of those.
        0 => RData::Update0(code.number().into()),
        _ => RData::Unknown { code: code.number().into(), rdata: NULL::with(octets) },
    };
    Some(match data {
        RecordData::A(ip) => RData::A(A(ip)),
        RecordData::Aaaa(ip) => RData::AAAA(AAAA(ip)),
        RecordData::Ptr(name) => RData::PTR(PTR(wire(&name)?)),
        RecordData::Mx { preference, exchange } => RData::MX(MX::new(preference, wire(&exchange)?)),
        RecordData::Txt(strings) => {
            RData::TXT(TXT::from_bytes(strings.iter().map(AsRef::as_ref).collect()))
        }
        RecordData::Srv { priority, weight, port, target } => {
            RData::SRV(SRV::new(priority, weight, port, wire(&target)?))
        }
        RecordData::Rp { mailbox, text } => {
            let mut octets = Vec::new();
            for name in [mailbox, text] {
                for label in name.labels() {
                    octets.push(u8::try_from(label.len()).ok()?);
                    octets.extend(label);
                }
                octets.push(0);
            }
            raw(RecordType::Rp, octets)
        }
        RecordData::Apl(octets) => raw(RecordType::Apl, octets.into()),
        RecordData::Private(number, octets) => raw(RecordType::Private(number), octets.into()),
    })
}

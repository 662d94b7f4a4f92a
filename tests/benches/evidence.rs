//! What live evidence costs: `cargo bench -p helostat-tests --bench evidence -- JOB [--json] [--NAME VALUE]...`
//!
//! - `cold`: `--clients` (10,000) that nobody has heard of are looked up by every system, `--at-once` (512), with the
//!   shipped limits, against a resolver that answers everything after `--delay` (30) ms; `--questions-mb` and
//!   `--findings-mb` (64) are the two halves of the cache
//! - `hot`: the findings of a client that are in memory
//! - `all`: one after the other, each in a process of its own
//!
//! The resolver is a process of its own on loopback. Every client has an address, a name and a domain of its own,
//! a reverse name that leads back, an SPF record and an MX; the historic systems are not published.
//! Processor time is that of the looking up alone. docs/benchmarks.md has the numbers.

#[expect(dead_code, reason = "the other benches need the rest")]
mod measure;
#[expect(dead_code, reason = "the other benches need the rest")]
mod options;
mod report;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use helostat_server::live::{Live, LiveConfig};
use helostat_zones::evidence::{FindingResult, System};
use helostat_zones::name::Name;
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, MX, PTR, SOA, TXT};
use hickory_proto::rr::{Name as WireName, RData, Record, RecordType};
use prometheus::Registry;
use tokio::task::JoinSet;

use crate::options::Options;
use crate::report::{Bar, Report};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long anything of this resolver may be kept.
const TTL: u32 = 3600;

fn main() {
    let options = Options::read();
    match options.job() {
        Some("resolver") => resolve(Duration::from_millis(options.number("delay", 30))),
        Some("cold") => run(cold(&options)),
        Some("hot") => run(hot(&options)),
        None | Some("all") => {
            for job in ["cold", "hot"] {
                let done = options.again(job).status().expect("the bench starts once more");
                assert!(done.success(), "{job}: {done}");
            }
        }
        Some(job) => panic!("no job has the name {job}: cold, hot, all"),
    }
}

fn run(job: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(job);
}

/// The address of a client: neighbours in the count are in networks of their own.
fn address(client: u32) -> Ipv4Addr {
    let [_, high, middle, low] = client.to_be_bytes();
    Ipv4Addr::new(11 + high, low, middle, 1)
}

fn client_of(address: Ipv4Addr) -> u32 {
    let [high, low, middle, _] = address.octets();
    u32::from_be_bytes([0, high - 11, middle, low])
}

fn said(client: u32) -> Name {
    Name::parse(format!("mail.bench{client}.com").as_bytes())
}

async fn cold(options: &Options) {
    let clients = options.number("clients", 10_000u32);
    let at_once = options.number("at-once", 512usize);
    let report = Report::begin(options, "cold look-ups");
    let resolver = Resolver::start(options);
    let registry = Registry::new();
    let megabytes = |name| options.number(name, 64u64) << 20;
    let config = LiveConfig {
        resolvers: vec![resolver.address],
        question_cache_bytes: megabytes("questions-mb"),
        finding_cache_bytes: megabytes("findings-mb"),
        ..LiveConfig::default()
    };
    let live = Live::new(config, &registry).expect("a valid configuration");

    let begun = Instant::now();
    let before = measure::cpu();
    let mut running = JoinSet::new();
    let mut wrong = 0u32;
    let mut pending = 0..clients;
    loop {
        while running.len() < at_once
            && let Some(client) = pending.next()
        {
            let live = Arc::clone(&live);
            running.spawn(async move {
                let ip = IpAddr::V4(address(client));
                live.complete(ip, &said(client)).await
            });
        }
        let Some(findings) = running.join_next().await else { break };
        let findings = findings.expect("a look-up does not panic");
        let passes = [System::Spf, System::Iprev, System::Forward, System::Mx];
        let failed = |system: &System| {
            findings.get(*system).is_none_or(|it| it.result == FindingResult::Temperror)
        };
        let right = passes.iter().all(|system| findings.set().passes(*system));
        wrong += u32::from(!right || System::ALL.iter().any(failed));
    }
    let took = begun.elapsed();
    let cpu = measure::cpu() - before;

    let sum = |name: &str| -> f64 {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect(name);
        family.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum()
    };
    let sent = sum("helostat_live_sent_total");
    let each = f64::from(clients);
    report.judge("clients", each / took.as_secs_f64(), "a second", Bar::Least(500.0));
    report.tell("questions", sent / each, "a client");
    report.tell("questions", sent / took.as_secs_f64(), "a second");
    report.tell("processor time", cpu.as_secs_f64() * 1e6 / each, "us a client");
    report.tell("processor time", cpu.as_secs_f64() * 1e6 / sent, "us a question");
    report.tell("memory", measure::rss() as f64 / 1e6, "MB");
    report.judge("clients with a finding that is not right", f64::from(wrong), "", Bar::Most(0.0));
    report.judge("limits reached", sum("helostat_live_dropped_total"), "", Bar::Most(0.0));
}

async fn hot(options: &Options) {
    let clients = options.number("clients", 1_000u32);
    let rounds = options.number("rounds", 200u32);
    let report = Report::begin(options, "findings in memory");
    let resolver = Resolver::start(options);
    let config = LiveConfig { resolvers: vec![resolver.address], ..LiveConfig::default() };
    let live = Live::new(config, &Registry::new()).expect("a valid configuration");
    let subjects: Vec<(IpAddr, Name)> =
        (0..clients).map(|client| (IpAddr::V4(address(client)), said(client))).collect();
    for (ip, name) in &subjects {
        live.prefetch(*ip, name);
    }
    for (ip, name) in &subjects {
        assert!(live.complete(*ip, name).await.complete());
    }
    let begun = measure::thread_cpu();
    let mut passes = 0u32;
    for _ in 0..rounds {
        for (ip, name) in &subjects {
            passes += u32::from(live.cached(*ip, name).set().passes(System::Spf));
        }
    }
    let took = measure::thread_cpu() - begun;
    assert_eq!(passes, rounds * clients);
    let each = took.as_secs_f64() * 1e6 / f64::from(passes);
    report.judge("findings of all systems", each, "us", Bar::Most(5.0));
}

/// The resolver, in a process of its own.
struct Resolver {
    address: SocketAddr,
    process: Child,
}

impl Resolver {
    fn start(options: &Options) -> Self {
        let mut command: Command = options.again("resolver");
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the bench starts again");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().parse().expect("an address");
        Self { address, process }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

type Replies = Mutex<VecDeque<(Instant, Vec<u8>, SocketAddr)>>;

/// Answers every question after `delay`, until it is killed.
fn resolve(delay: Duration) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let mut out = std::io::stdout();
    writeln!(out, "{}", socket.local_addr().expect("it is bound")).expect("somebody reads it");
    out.flush().expect("somebody reads it");
    let waiting: Arc<(Replies, Condvar)> = Arc::default();
    let (sender, replies) = (socket.try_clone().expect("one more"), Arc::clone(&waiting));
    std::thread::spawn(move || {
        let (line, changed) = &*replies;
        loop {
            let mut line = line.lock().expect("nobody panics");
            while line.is_empty() {
                line = changed.wait(line).expect("nobody panics");
            }
            let Some((due, reply, to)) = line.pop_front() else { continue };
            drop(line);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            sender.send_to(&reply, to).expect("loopback takes it");
        }
    });
    let mut buffer = [0; 1500];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let Some(reply) = answer(&buffer[..length]) else { continue };
        let due = Instant::now() + delay;
        waiting.0.lock().expect("nobody panics").push_back((due, reply, from));
        waiting.1.notify_one();
    }
}

fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?;
    let mut reply = Message::response(question.metadata.id, OpCode::Query);
    reply.metadata.recursion_available = true;
    reply.add_query(query.clone());
    match data(&query.name().to_lowercase().to_string(), query.query_type()) {
        Some(data) => {
            reply.add_answer(Record::from_rdata(query.name().clone(), TTL, data));
        }
        None => {
            reply.metadata.response_code = ResponseCode::NXDomain;
            let zone = query.name().base_name().base_name();
            let soa = SOA::new(zone.clone(), zone.clone(), 1, 3600, 600, 86_400, TTL);
            reply.add_authority(Record::from_rdata(zone, TTL, RData::SOA(soa)));
        }
    }
    reply.to_vec().ok()
}

/// What is published at a name.
fn data(name: &str, kind: RecordType) -> Option<RData> {
    let wire = |text: String| WireName::from_ascii(text).ok();
    if let Some(reverse) = name.strip_suffix(".in-addr.arpa.") {
        let octets: Vec<u8> = reverse.rsplit('.').filter_map(|label| label.parse().ok()).collect();
        let address: [u8; 4] = octets.try_into().ok()?;
        let client = client_of(address.into());
        let name = wire(format!("mail.bench{client}.com."))?;
        return (kind == RecordType::PTR).then_some(RData::PTR(PTR(name)));
    }
    let domain = name.strip_suffix(".com.")?;
    let (host, client) = domain.split_once("bench")?;
    let client: u32 = client.parse().ok()?;
    match (host, kind) {
        ("mail.", RecordType::A) => Some(RData::A(A(address(client)))),
        ("mail.", RecordType::TXT) => {
            Some(RData::TXT(TXT::new(vec!["v=spf1 a mx -all".to_owned()])))
        }
        ("mail." | "", RecordType::MX) => {
            Some(RData::MX(MX::new(10, wire(format!("mail.bench{client}.com."))?)))
        }
        _ => None,
    }
}

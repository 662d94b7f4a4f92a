//! What Postfix asks: `cargo bench -p helostat-tests --bench postfix -- [JOB] [--NAME VALUE]...`
//!
//! - `full`: as many requests as are answered over `--connections` (50), each of which asks when it has its answer
//! - `paced`: `--rate` (20,000) requests a second over them, and how long each answer takes
//! - `all`: both
//!
//! Each for `--seconds` (10), `--rounds` (3) times in turn with a peer that does nothing: a process of its own with as many threads,
//! which reads requests and answers `action=dunno`. Both answer over TCP on loopback, helostat over a unix socket, too, and once
//! more while it learns from all of it. A request is 600 octets as Postfix 3.7 sends it; every one is about another
//! message, so that every answer has its header. `--pairs` (20,000) pairs stand in the ledger, two in a domain; half of the requests
//! are about them, half about pairs and domains that nobody knows. History alone: no live look-ups. Who asks is one thread of this
//! process, on the same machine; processor time is the server's. docs/benchmarks.md has the numbers.

#[expect(dead_code, reason = "the other benches need the rest")]
mod measure;
#[expect(dead_code, reason = "the other benches need the rest")]
mod options;
mod report;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use helostat_tests::mail::days_ago;
use helostat_tests::program::{Daemon, Site};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::{Builder, Runtime};

use crate::options::Options;
use crate::report::{Bar, Report};

/// What the issue asks for.
const RATE_BAR: f64 = 20_000.0;
const ANSWER_BAR_MS: f64 = 1.0;

fn main() {
    let options = Options::read();
    match options.job() {
        Some("nothing") => nothing(),
        Some("full") => Bench::new(&options).full(),
        Some("paced") => Bench::new(&options).paced(),
        None | Some("all") => {
            let bench = Bench::new(&options);
            bench.full();
            bench.paced();
        }
        Some(job) => panic!("no job has the name {job}: full, paced, all"),
    }
}

/// The peer: reads requests, and answers.
#[expect(clippy::print_stdout, reason = "the process that measures reads it")]
fn nothing() {
    let threads = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("bound"));
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { continue };
            stream.set_nodelay(true).expect("an option");
            tokio::spawn(async move {
                let mut piece = vec![0; 4096];
                let mut last = 0;
                while let Ok(octets @ 1..) = stream.read(&mut piece).await {
                    let mut answers = Vec::new();
                    for &byte in piece.iter().take(octets) {
                        if byte == b'\n' && last == b'\n' {
                            answers.extend_from_slice(b"action=dunno\n\n");
                        }
                        last = byte;
                    }
                    if stream.write_all(&answers).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}

/// Where a server is asked.
#[derive(Clone)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A server that is measured.
enum Server {
    Nothing(Child, SocketAddr),
    Helostat(Daemon, Place),
}

impl Server {
    fn place(&self) -> Place {
        match self {
            Self::Nothing(_, address) => Place::Tcp(*address),
            Self::Helostat(_, place) => place.clone(),
        }
    }

    fn processor_time(&self) -> Duration {
        match self {
            Self::Helostat(daemon, _) => daemon.processor_time(),
            Self::Nothing(child, _) => {
                let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id()));
                let stat = stat.expect("it lives");
                let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
                let ticks = behind.split_ascii_whitespace().skip(11).take(2);
                let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
                Duration::from_millis(ticks * 10)
            }
        }
    }

    fn own_count(&self) -> Option<(f64, f64)> {
        let Self::Helostat(daemon, _) = self else { return None };
        let name = |part: &str| format!("helostat_postfix_answer_seconds_{part}");
        let quick = daemon.metric(&name("bucket"), &[("le", "0.001")]);
        Some((quick, daemon.metric(&name("count"), &[])))
    }

    fn end(self) {
        match self {
            Self::Helostat(daemon, _) => daemon.stop(),
            Self::Nothing(mut child, _) => {
                child.kill().expect("our child");
                child.wait().expect("our child");
            }
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Nothing,
    Tcp,
    Unix,
    Learning,
}

impl Case {
    const ALL: [Self; 4] = [Self::Nothing, Self::Tcp, Self::Unix, Self::Learning];

    fn word(self) -> &'static str {
        match self {
            Self::Nothing => "does nothing",
            Self::Tcp => "helostat, TCP",
            Self::Unix => "helostat, unix socket",
            Self::Learning => "helostat, TCP, learning",
        }
    }
}

struct Bench<'a> {
    options: &'a Options,
    connections: u32,
    pairs: u32,
    length: Duration,
    runtime: Runtime,
    site: Site,
}

/// What asking came to.
struct Outcome {
    answers: u64,
    took: Duration,
    waits: Vec<Duration>,
    processor: Duration,
    /// By the server's own count: answers within a millisecond of the request, and all.
    own: Option<(f64, f64)>,
}

impl<'a> Bench<'a> {
    fn new(options: &'a Options) -> Self {
        let pairs = options.number("pairs", 20_000);
        let site = Site::new("[postfix]\nlisten = [\"127.0.0.1:0\", \"unix:policy\"]\n");
        let mut log = String::new();
        for day in (1..8).rev() {
            for pair in 0..pairs {
                let (time, (ip, name)) = (days_ago(day), who(pair));
                log.push_str(&format!(
                    "{{\"time\":\"{time}\",\"ip\":\"{ip}\",\"ehlo\":\"{name}\",\"outcome\":\"accepted\"}}\n"
                ));
            }
        }
        site.write("past.json", log);
        site.ok(&["learn", "--reporter", "mx1", "past.json"]);
        Self {
            options,
            connections: options.number("connections", 50),
            pairs,
            length: Duration::from_secs(options.number("seconds", 10)),
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
            site,
        }
    }

    fn start(&self, case: Case) -> Server {
        const LEARNING: &str = "[postfix]\nreporter = \"mx9\"\n";
        if case == Case::Nothing {
            return self.nothing();
        }
        if case == Case::Learning {
            self.site.rewrite("[postfix]\n", LEARNING);
        }
        let daemon = self.site.start();
        if case == Case::Learning {
            self.site.rewrite(LEARNING, "[postfix]\n");
        }
        let line = daemon.wait_said("listens for Postfix");
        let address = line.split('"').nth(1).and_then(|place| place.parse().ok());
        let place = match case {
            Case::Unix => Place::Unix(self.site.path("policy")),
            _ => Place::Tcp(address.unwrap_or_else(|| panic!("{line}"))),
        };
        Server::Helostat(daemon, place)
    }

    fn nothing(&self) -> Server {
        let mut child = self.options.again("nothing");
        let mut child = child.stdout(Stdio::piped()).spawn().expect("this bench once more");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("an address");
        Server::Nothing(child, line.trim().parse().expect("an address"))
    }

    /// Asks for a while, `rate` times a second, or as often as there are answers.
    fn ask(&self, server: &Server, rate: Option<f64>, length: Duration) -> Outcome {
        let place = server.place();
        let before = server.processor_time();
        let own = server.own_count().unwrap_or_default();
        let begun = Instant::now();
        let mut waits = self.runtime.block_on(async {
            let mut tasks = Vec::new();
            for number in 0..self.connections {
                let pace = rate.map(|rate| f64::from(self.connections) / rate);
                let plan = Plan { number, pairs: self.pairs, pace, begun, length };
                tasks.push(tokio::spawn(connect_and_ask(place.clone(), plan)));
            }
            let mut all = Vec::new();
            for task in tasks {
                all.extend(task.await.expect("it asks"));
            }
            all
        });
        let took = begun.elapsed();
        let processor = server.processor_time().saturating_sub(before);
        let own = server.own_count().map(|(quick, all)| (quick - own.0, all - own.1));
        waits.sort_unstable();
        Outcome { answers: waits.len() as u64, took, waits, processor, own }
    }

    /// Every case in turn, so often; what is measured first is warmed by a second of the same.
    fn rounds(&self, rate: Option<f64>, tell: impl Fn(&Report, Case, Outcome)) {
        for round in 1..=self.options.number("rounds", 3) {
            for case in Case::ALL {
                let server = self.start(case);
                self.ask(&server, rate, Duration::from_secs(1));
                let title = format!("{}, round {round}", case.word());
                let report = Report::begin(self.options, &title);
                let outcome = self.ask(&server, rate, self.length);
                tell(&report, case, outcome);
                server.end();
            }
        }
    }

    fn full(&self) {
        self.rounds(None, |report, case, outcome| {
            let rate = outcome.answers as f64 / outcome.took.as_secs_f64();
            if case == Case::Nothing {
                report.tell("requests a second", rate, "requests/s");
            } else {
                report.judge("requests a second", rate, "requests/s", Bar::Least(RATE_BAR));
            }
            cost(report, &outcome);
        });
    }

    fn paced(&self) {
        let rate = self.options.number("rate", RATE_BAR);
        self.rounds(Some(rate), |report, case, outcome| {
            let came = outcome.answers as f64 / outcome.took.as_secs_f64();
            report.tell("requests a second", came, "requests/s");
            for (share, name) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")] {
                let wait = measure::at_share(&outcome.waits, share).as_secs_f64() * 1e3;
                if share == 0.99 && case != Case::Nothing {
                    report.judge("answers, p99", wait, "ms", Bar::Most(ANSWER_BAR_MS));
                } else {
                    report.tell(&format!("answers, {name}"), wait, "ms");
                }
            }
            cost(report, &outcome);
        });
    }
}

fn cost(report: &Report, outcome: &Outcome) {
    let each = outcome.processor.as_secs_f64() * 1e6 / outcome.answers as f64;
    report.tell("processor time", each, "us/request");
    if let Some((quick, all)) = outcome.own {
        report.tell("within 1 ms of being read, by its own count", quick / all * 100.0, "%");
    }
}

/// How a connection asks.
struct Plan {
    number: u32,
    pairs: u32,
    /// Seconds from one request to the next.
    pace: Option<f64>,
    begun: Instant,
    length: Duration,
}

async fn connect_and_ask(place: Place, plan: Plan) -> Vec<Duration> {
    match place {
        Place::Tcp(address) => {
            let stream = TcpStream::connect(address).await.expect("it listens");
            stream.set_nodelay(true).expect("an option");
            ask(stream, plan).await
        }
        Place::Unix(path) => ask(UnixStream::connect(path).await.expect("it listens"), plan).await,
    }
}

/// Asks until the time is over; how long each answer took.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, plan: Plan) -> Vec<Duration> {
    let mut waits = Vec::new();
    let mut piece = vec![0; 4096];
    let mut asked = 0u32;
    while plan.begun.elapsed() < plan.length {
        if let Some(pace) = plan.pace {
            // All connections begin within the time from one request to the next.
            let share = f64::from(plan.number) / 50.0;
            let due = plan.begun + Duration::from_secs_f64((f64::from(asked) + share) * pace);
            tokio::time::sleep_until(due.into()).await;
        }
        let request = request(&plan, asked);
        asked += 1;
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n\n") {
            let octets = stream.read(&mut piece).await.expect("an answer");
            assert!(octets > 0, "closed");
            answer.extend_from_slice(piece.get(..octets).unwrap_or_default());
        }
        waits.push(begun.elapsed());
        assert!(answer.starts_with(b"action="), "{}", answer.escape_ascii());
    }
    waits
}

/// A pair of the ledger: four in a network, two in a domain.
fn who(pair: u32) -> (String, String) {
    let (network, low) = (pair / 4, pair % 4 + 1);
    let domain = pair / 2;
    let ip = format!("10.{}.{}.{low}", network / 250, network % 250);
    (ip, format!("mx{pair}.example{domain}.com"))
}

/// The next request of a connection: every other one is about a pair that nobody knows.
fn request(plan: &Plan, asked: u32) -> String {
    let pair = (asked.wrapping_mul(7919) + plan.number * 104_729) % plan.pairs;
    let (mut ip, mut name) = who(pair);
    if asked.is_multiple_of(2) {
        ip = ip.replacen("10.", "100.", 1);
        name = name.replacen(".example", ".other", 1);
    }
    let instance = format!("{:x}.{asked:x}.{:x}", plan.number, plan.begun.elapsed().as_nanos());
    format!(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address={ip}\nclient_name=unknown\n\
         client_port=40000\nreverse_client_name=unknown\nserver_address=192.0.2.250\nserver_port=25\nhelo_name={name}\n\
         sender=ada.lovelace@sender.example.com\nrecipient=grace.hopper@site.example.net\nrecipient_count=0\nqueue_id=\n\
         instance={instance}\nsize=20480\netrn_domain=\nstress=\nsasl_method=\nsasl_username=\nsasl_sender=\nccert_subject=\n\
         ccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=TLSv1.3\n\
         encryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\npolicy_context=\n\n"
    )
}

//! Serving a list beside rbldnsd: `cargo bench -p helostat-tests --bench serving -- [JOB] [--NAME VALUE]...`
//!
//! - `all`: the four below
//! - `cost`: processor time of an answered question, of an echo of datagrams, rbldnsd and helostat in turn, `--rounds` (5) times;
//!   the time that loading takes, and memory
//! - `learned`: the same cost of helostat with a ledger of that many clients, all of which it lists, beside rbldnsd
//! - `reload`: a list changes while 1,000 questions a second come
//! - `wait`: how long an answer takes at 5,000 questions a second, at rest and while the list changes every second
//!
//! All serve the same ip4set of `--lines` (100,000, then 1,000,000) addresses from core 0. Core 1 asks, without ever sleeping,
//! for `--seconds` (4) at a time, `--window` (128) questions at once over `--sockets` (8): half of them are listed, one in
//! ten is for TXT, every answer is checked. `--rbldnsd` and `--program` name the programs; helostat has to be built
//! before. docs/benchmarks.md has the numbers.

#[path = "serving/ask.rs"]
mod ask;
#[path = "serving/data.rs"]
mod data;
#[expect(dead_code, reason = "the other benches need the rest")]
mod measure;
#[expect(dead_code, reason = "the other benches need the rest")]
mod options;
#[expect(dead_code, reason = "the other benches need the rest")]
mod report;
#[path = "serving/server.rs"]
mod server;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ask::Plan;
use crate::data::{Lists, MARK};
use crate::options::Options;
use crate::report::{Bar, Report};
use crate::server::{Kind, Server};

/// The core of who asks.
const CORE: &str = "1";
/// Until the caches and tables of a server are as they will be.
const WARMING: Duration = Duration::from_secs(1);
const QUESTIONS: u32 = 400_000;
/// Questions a second while a list changes once.
const CHANGING_RATE: u32 = 1_000;
/// Questions a second whose waits are measured.
const WAITING_RATE: u32 = 5_000;
/// In which a change is to be there, with any server.
const CHANGE: Duration = Duration::from_secs(60);
/// How long an allocator may keep what loading a list took.
const SETTLING: Duration = Duration::from_secs(2);

fn main() {
    let options = Options::read();
    match options.job() {
        Some("echo") => server::echo(options.number("port", 0)).expect("a socket"),
        Some("ask") => asked(&options),
        job => {
            let one: u32 = options.number("lines", 0);
            let sizes = if one > 0 { vec![one] } else { vec![100_000, 1_000_000] };
            for lines in sizes {
                let lists = Lists::new(lines);
                let case = Case { options: &options, lines, lists };
                match job {
                    None | Some("all") => {
                        case.cost();
                        case.learned();
                        case.reload();
                        case.wait();
                    }
                    Some("cost") => case.cost(),
                    Some("learned") => case.learned(),
                    Some("reload") => case.reload(),
                    Some("wait") => case.wait(),
                    Some(job) => {
                        panic!("no job has the name {job}: all, cost, learned, reload, wait")
                    }
                }
            }
        }
    }
}

/// The job of the process that asks: its outcome is its output.
#[expect(clippy::print_stdout, reason = "the process that measures reads it")]
fn asked(options: &Options) {
    let outcome = ask::ask(&Plan {
        port: options.number("port", 0),
        lines: options.number("lines", 0),
        questions: QUESTIONS,
        lasting: Duration::from_millis(options.number("lasting", 0)),
        sockets: options.number("sockets", 0),
        window: options.number("window", 0),
        rate: options.number("rate", 0),
        is_echo: options.has("is-echo"),
    });
    println!("{}", outcome.json());
}

/// A list, and what it is served with.
struct Case<'a> {
    options: &'a Options,
    lines: u32,
    lists: Lists,
}

/// What one server cost in one round.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// Microseconds of processor time of an answered question.
    question: f64,
    answered: f64,
    lost: f64,
    bad: f64,
    load: f64,
    load_cpu: f64,
}

/// Of each round, of each of its servers.
struct Rounds(Vec<Vec<Cost>>);

impl Rounds {
    fn of(&self, place: usize, what: fn(&Cost) -> f64) -> Vec<f64> {
        self.0.iter().filter_map(|round| round.get(place)).map(what).collect()
    }

    /// How much more a question costs the one than the other. Rounds are compared one by one: the machine is not the same
    /// in all of them.
    fn ratio(&self, one: usize, other: usize) -> f64 {
        let questions = self.of(one, |it| it.question).into_iter();
        let ratios = questions.zip(self.of(other, |it| it.question)).map(|(a, b)| a / b);
        median(ratios.collect())
    }
}

impl Case<'_> {
    /// Each of these in turn, again and again.
    fn rounds(&self, kinds: &[Kind]) -> Rounds {
        let rounds: usize = self.options.number("rounds", 5);
        let costs = (0..rounds).map(|_| kinds.iter().map(|kind| self.cost_of(*kind)).collect());
        let rounds = Rounds(costs.collect());
        let of = |place, what| rounds.of(place, what);
        for (place, &kind) in kinds.iter().enumerate() {
            let report = self.report(kind, "cost");
            let questions = of(place, |cost| cost.question);
            let extreme = |better: fn(f64, f64) -> f64| questions.iter().copied().reduce(better);
            report.tell("processor time of a question", median(questions.clone()), "us");
            report.tell("  the least", extreme(f64::min).unwrap_or_default(), "us");
            report.tell("  the most", extreme(f64::max).unwrap_or_default(), "us");
            report.tell("answered in all", of(place, |cost| cost.answered).iter().sum(), "");
            report.tell("lost", of(place, |cost| cost.lost).iter().sum(), "");
            let bad = of(place, |cost| cost.bad).iter().sum();
            report.judge("answers that are wrong", bad, "", Bar::Most(0.0));
            if kind != Kind::Echo {
                report.tell("from its start to an answer", median(of(place, |it| it.load)), "s");
                report.tell("  processor time", median(of(place, |it| it.load_cpu)), "s");
            }
        }
        rounds
    }

    /// What the ledger's clients cost.
    fn learned(&self) {
        let observations = self.lists.observations(self.lines);
        Server::learn(self.options, &self.lists.ledger(), &observations);
        let rounds = self.rounds(&[Kind::Echo, Kind::Rbldnsd, Kind::Learned]);
        let title = format!("{} clients learned, side by side", self.lines);
        let report = Report::begin(self.options, &title);
        report.judge("helostat, learned / rbldnsd", rounds.ratio(2, 1), "", Bar::Most(1.0));
        report.tell("helostat, learned / echo", rounds.ratio(2, 0), "");
    }

    fn cost(&self) {
        let kinds = [Kind::Echo, Kind::Rbldnsd, Kind::Helostat, Kind::HelostatTwice];
        let rounds = self.rounds(&kinds);
        let ratio = |one, other| rounds.ratio(one, other);
        let report = Report::begin(self.options, &format!("{} lines, side by side", self.lines));
        report.judge("helostat / rbldnsd", ratio(2, 1), "", Bar::Most(1.0));
        report.tell("helostat / echo", ratio(2, 0), "");
        report.tell("rbldnsd / echo", ratio(1, 0), "");
        report.tell("helostat, 2 threads / 1 thread", ratio(3, 2), "");
        for kind in [Kind::Rbldnsd, Kind::Helostat] {
            let [empty, full] = [self.lists.empty(), self.lists.served()].map(|list| {
                let server = Server::start(self.options, kind, &list);
                let _: Value = self.ask(&server, kind, SETTLING, 0);
                server.memory()
            });
            let each =
                |one: u64, other: u64| one.saturating_sub(other) as f64 / f64::from(self.lines);
            let words = kind.words();
            report.tell(&format!("{words}: memory with no line"), empty.0 as f64 / 1e6, "MB");
            report.tell(&format!("{words}: memory"), each(full.0, empty.0), "octets/entry");
            let most = each(full.1, empty.1);
            report.tell(&format!("{words}: at the most"), most, "octets/entry");
        }
    }

    fn cost_of(&self, kind: Kind) -> Cost {
        let place = match kind {
            Kind::Learned => self.lists.ledger(),
            _ => self.lists.served(),
        };
        let server = Server::start(self.options, kind, &place);
        if kind == Kind::Learned {
            server.settle();
        }
        let _: Value = self.ask(&server, kind, WARMING, 0);
        let seconds = Duration::from_secs(self.options.number("seconds", 4));
        let before = server.threads();
        let outcome = self.ask(&server, kind, seconds, 0);
        let spent = server.spent_since(&before);
        let answered = number(&outcome, "answered");
        Cost {
            question: spent.as_secs_f64() * 1e6 / answered,
            answered,
            lost: number(&outcome, "lost"),
            bad: number(&outcome, "bad"),
            load: server.began_after.as_secs_f64(),
            load_cpu: server.began_with.as_secs_f64(),
        }
    }

    /// One change while questions come at a rate.
    fn reload(&self) {
        for kind in [Kind::Rbldnsd, Kind::RbldnsdForking, Kind::Helostat] {
            self.lists.put(&self.lists.as_is());
            let server = Server::start(self.options, kind, &self.lists.served());
            let mut asking = self.asking(&server, kind, Duration::from_secs(8), CHANGING_RATE);
            std::thread::sleep(Duration::from_secs(3));
            let before = server.cpu();
            self.lists.put(&self.lists.changed());
            server.reload();
            let told = Instant::now();
            let mut most = 0;
            while server.lists(MARK) != Some(true) {
                most = most.max(server.memory().0);
                assert!(told.elapsed() < CHANGE, "{} keeps its list", kind.words());
                std::thread::sleep(Duration::from_millis(2));
            }
            let took = told.elapsed();
            let spent = server.cpu().saturating_sub(before);
            let outcome = outcome(&mut asking);
            let report = self.report(kind, "a change at 1,000 questions/s");
            report.tell("until it is served", took.as_secs_f64(), "s");
            report.tell("processor time", spent.as_secs_f64(), "s");
            report.tell("memory at the most", most as f64 / 1e6, "MB");
            report.tell("questions", number(&outcome, "answered"), "");
            let lost = number(&outcome, "lost");
            match kind {
                Kind::Helostat => report.judge("lost", lost, "", Bar::Most(0.0)),
                _ => report.tell("lost", lost, ""),
            }
            report.tell("the longest wait", number(&outcome, "max") / 1e3, "ms");
            report.tell("answers that are wrong", number(&outcome, "bad"), "");
        }
        self.lists.put(&self.lists.as_is());
    }

    /// What answers wait for.
    fn wait(&self) {
        for kind in [Kind::Echo, Kind::Rbldnsd, Kind::RbldnsdForking, Kind::Helostat] {
            for is_changing in [false, true] {
                if is_changing && kind == Kind::Echo {
                    continue;
                }
                let server = Server::start(self.options, kind, &self.lists.served());
                let _: Value = self.ask(&server, kind, WARMING, WAITING_RATE);
                let lasting = Duration::from_secs(self.options.number("seconds", 4)) * 2;
                let mut asking = self.asking(&server, kind, lasting, WAITING_RATE);
                let mut lists = [self.lists.changed(), self.lists.as_is()].into_iter().cycle();
                while is_changing && asking.try_wait().expect("a child").is_none() {
                    self.lists.put(&lists.next().expect("a cycle"));
                    server.reload();
                    std::thread::sleep(Duration::from_secs(1));
                }
                let outcome = outcome(&mut asking);
                let how = if is_changing { "a change every second" } else { "at rest" };
                let report = self.report(kind, &format!("5,000 questions/s, {how}"));
                report.tell("wait, p50", number(&outcome, "p50"), "us");
                report.tell("wait, p99", number(&outcome, "p99"), "us");
                report.tell("the longest", number(&outcome, "max"), "us");
                report.tell("lost", number(&outcome, "lost"), "");
            }
            self.lists.put(&self.lists.as_is());
        }
    }

    fn report(&self, kind: Kind, what: &str) -> Report {
        Report::begin(self.options, &format!("{} lines, {}, {what}", self.lines, kind.words()))
    }

    /// Asks a server for a while.
    fn ask(&self, server: &Server, kind: Kind, lasting: Duration, rate: u32) -> Value {
        outcome(&mut self.asking(server, kind, lasting, rate))
    }

    /// A process that asks a server.
    fn asking(&self, server: &Server, kind: Kind, lasting: Duration, rate: u32) -> Child {
        let mut command = server::on_core(CORE);
        command.arg(std::env::current_exe().expect("this bench's own path")).arg("ask");
        for (name, value) in [
            ("--port", u64::from(server.port)),
            ("--lines", u64::from(self.lines)),
            ("--lasting", u64::try_from(lasting.as_millis()).expect("not for ages")),
            ("--sockets", self.options.number("sockets", 8)),
            ("--window", self.options.number("window", 128)),
            ("--rate", u64::from(rate)),
        ] {
            command.arg(name).arg(value.to_string());
        }
        if kind == Kind::Echo {
            command.arg("--is-echo");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().expect("taskset starts")
    }
}

/// What a process that asks says at its end.
fn outcome(asking: &mut Child) -> Value {
    let said = asking.stdout.take().expect("a pipe");
    let said = serde_json::from_reader(said).expect("an outcome");
    assert!(asking.wait().expect("a child").success(), "asking failed");
    said
}

fn number(outcome: &Value, field: &str) -> f64 {
    outcome.get(field).and_then(Value::as_f64).expect("a field of the outcome")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

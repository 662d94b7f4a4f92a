//! What a verdict costs: `cargo bench -p helostat-tests --bench verdict -- JOB [--json] [--NAME VALUE]...`
//!
//! - `judge`: a ledger of `--pairs` (1,000,000) in memory is asked of `--rounds` (200,000) pairs of each sort, one after
//!   the other: by the rules alone, without sentences and with them, the findings of eight systems at hand; and by
//!   the judge of the service, sentences and all, live look-ups off
//! - `replay`: `--messages` (300,000) are judged and learned, in the mix `--mix` (`mail`)
//! - `all`: both, each in a process of its own
//!
//! All times are processor time of the one thread. Each sort has a thousand pairs that lie anywhere in the tables, but for those that share a network, a client or a
//! name by their nature. docs/benchmarks.md has the numbers.

mod crowd;
#[expect(dead_code, reason = "the other benches need the rest")]
mod learn;
#[expect(dead_code, reason = "the other benches need the rest")]
mod measure;
mod options;
mod report;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use helostat_server::judge::{Asker, Judge};
use helostat_server::ledger_judge::LedgerJudge;
use helostat_server::live::{Live, LiveConfig};
use helostat_tests::program::Random;
use helostat_zones::client::Client;
use helostat_zones::evidence::{Finding, FindingResult, FindingSet, System};
use helostat_zones::history::{Clients, NameHistory, NetworkHistory};
use helostat_zones::ledger::{Batch, Bounds, Ledger};
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, ReporterKind};
use helostat_zones::operator::Decisions;
use helostat_zones::policy::Policy;
use helostat_zones::replay::Player;
use helostat_zones::rules::{self, Case, Feed, Findings};
use helostat_zones::time::Time;
use prometheus::Registry;

use crate::crowd::Crowd;
use crate::options::Options;
use crate::report::{Bar, Report};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Pairs of each sort.
const OF_EACH: u32 = 1000;
const DAY: u32 = 86_400;

fn main() {
    let options = Options::read();
    match options.job() {
        Some("judge") => judge(&options),
        Some("replay") => replay(&options),
        None | Some("all") => {
            for job in ["judge", "replay"] {
                let done = options.again(job).status().expect("the bench starts once more");
                assert!(done.success(), "{job}: {done}");
            }
        }
        Some(job) => panic!("no job has the name {job}: judge, replay, all"),
    }
}

type Pair = (IpAddr, Name);

/// Some pairs that are alike, and what a verdict on one may cost by the rules alone, in nanoseconds.
struct Sort {
    what: &'static str,
    bar: Option<f64>,
    pairs: Vec<Pair>,
}

/// What the ledger is to hold, observation by observation.
struct Filling<'a> {
    ledger: &'a Ledger,
    batch: Batch,
    now: Time,
}

impl Filling<'_> {
    /// One pair, accepted once a day on these days before now.
    fn see(&mut self, (ip, name): &Pair, days_ago: std::ops::Range<u32>) {
        for day in days_ago.rev() {
            let seen = Observation {
                time: Time(self.now.0 - day * DAY - 60),
                ip: *ip,
                name: name.clone(),
                rdns: Some(name.text().into()),
                outcome: Outcome::Accepted,
                stage: None,
                by_us: false,
                supersedes: None,
                reporter: "mx.example.org".into(),
            };
            self.batch.observe(&seen, ReporterKind::Mx);
        }
        if self.batch.observations() >= 10_000 {
            self.commit();
        }
    }

    fn commit(&mut self) {
        self.ledger.commit(&std::mem::take(&mut self.batch)).expect("memory takes everything");
    }
}

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes())
}

/// An address that no two numbers share, anywhere in the old class A networks from `first` on.
fn scattered(first: u8, number: u32) -> IpAddr {
    let mixed = number.wrapping_mul(0x9E37_79B1) & 0x00FF_FFFF;
    Ipv4Addr::from(u32::from(first) << 24 | mixed).into()
}

/// Fills the ledger; returns the sorts of pairs to ask for.
fn fill(ledger: &Ledger, pairs: u32, now: Time) -> Vec<Sort> {
    let mut filling = Filling { ledger, batch: Batch::default(), now };
    let sort = |what, bar, pairs| Sort { what, bar, pairs };
    let of_each = |make: &dyn Fn(u32) -> Pair| (0..OF_EACH).map(make).collect::<Vec<_>>();
    let established = of_each(&|n| (scattered(11, n), name(&format!("mail.known{n}.com.au"))));
    let newcomers = of_each(&|n| (scattered(12, n), name(&format!("mx{n}.fresh{n}.com"))));
    let never = of_each(&|n| (scattered(13, n), name(&format!("mx{n}.never{n}.com"))));
    let crowded = of_each(&|n| {
        let ip = Ipv4Addr::from(0x0E00_0000 | ((n / 250) << 8) | (n % 250 + 1));
        (ip.into(), name(&format!("host{n}.young{n}.com")))
    });
    let v6 = |net: u128, sub: u128| {
        IpAddr::V6(Ipv6Addr::from(0x2a00 << 112 | net << 80 | sub << 64 | 1))
    };
    let busy = of_each(&|n| (v6(1, n.into()), name(&format!("mail.sub{n}.org"))));
    let one_client = of_each(&|n| (v6(2, 1), name(&format!("mail-x{}.big.com", n % 365))));
    let said_by_many: Vec<_> =
        (0..300).map(|n| (scattered(15, n), name("server.popular.net"))).collect();
    let said_by_one_more = of_each(&|n| (scattered(16, n), name("server.popular.net")));
    for pair in &established {
        filling.see(pair, 0..20);
    }
    let others = [&newcomers, &crowded, &busy, &one_client, &said_by_many];
    for pair in others.into_iter().flatten() {
        filling.see(pair, 1..2);
    }
    for n in 0..pairs.saturating_sub(6 * OF_EACH) {
        let pair = (scattered(64, n), name(&format!("out{n}.domain{}.com", n / 3)));
        filling.see(&pair, n % 50..n % 50 + 1);
    }
    filling.commit();
    vec![
        sort("established", Some(2000.0), established),
        sort("newcomer", Some(2000.0), newcomers),
        sort("never seen", Some(2000.0), never),
        sort("in a /24 with 250 young families", None, crowded),
        sort("in an IPv6 /48 with 1,000 clients", None, busy),
        sort("an IPv6 client with 365 names", None, one_client),
        sort("a name of 300 clients, none established", None, said_by_many),
        sort("the same from a client never seen", None, said_by_one_more),
    ]
}

/// What the DNS says of a pair, as it lies in memory.
fn findings() -> FindingSet {
    use FindingResult::{Fail, None, Pass};
    let told = [
        (System::Csa, None),
        (System::Spf, Pass),
        (System::Mx, Fail),
        (System::Iprev, Pass),
        (System::Forward, Pass),
        (System::Syntax, Pass),
        (System::Generic, Pass),
        (System::Dmp, None),
    ];
    let finding = |result| Finding::plain(result, Option::None, Duration::from_secs(300));
    told.into_iter().map(|(system, result)| (system, finding(result))).collect()
}

fn judge(options: &Options) {
    let rounds: u32 = options.number("rounds", 200_000);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let now = Time::from_unix(since.as_secs() as i64);
    let ledger = Arc::new(Ledger::in_memory(Bounds::default()));
    let sorts = fill(&ledger, options.number("pairs", 1_000_000), now);
    let policy = Policy::default();
    let clients = Clients::new(policy.clone());
    let found = findings();
    let decisions = Decisions::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let service = {
        let _entered = runtime.enter();
        let config = LiveConfig { enabled: false, ..LiveConfig::default() };
        let live = Live::new(config, &Registry::new()).expect("nothing is asked");
        LedgerJudge::new(ledger.clone(), live, policy.clone())
    };
    let asker = Asker { ip: IpAddr::from([127, 0, 0, 1]), trusted: true, in_words: true };
    let report = Report::begin(options, "judge");
    report.tell("pairs held", ledger.sizes().pairs as f64, "");
    for Sort { what, bar, pairs } in &sorts {
        // The service keeps what it knows of networks with many clients for some seconds.
        let networks: Vec<_> = pairs
            .iter()
            .map(|(ip, _)| NetworkHistory::of(&ledger, Client::of(*ip).network()))
            .collect();
        let rules = |(ip, name): &Pair, network: &NetworkHistory, in_words: bool| {
            let client = clients.history(&ledger, Client::of(*ip), now);
            let of_name = if in_words {
                NameHistory::of(&ledger, name, &policy, now)
            } else {
                NameHistory::near(&ledger, name, network.network, &clients, now)
            };
            let case = Case {
                ip: *ip,
                client: &client,
                network,
                findings: Findings(Some(&found)),
                decisions: &decisions,
                feed: Feed { reporters: 1, warm_since: Some(Time(0)) },
                rdns: None,
                policy: &policy,
                now,
                in_words,
            };
            black_box(rules::judge_pair(&case, name, &of_name));
        };
        let timed = |each: &dyn Fn(&Pair, &NetworkHistory)| {
            let begin = measure::thread_cpu();
            let around = pairs.iter().zip(&networks).cycle();
            for (pair, network) in around.take(rounds as usize) {
                each(pair, network);
            }
            (measure::thread_cpu() - begin).as_nanos() as f64 / f64::from(rounds)
        };
        timed(&|pair, network| rules(pair, network, false));
        let silent = timed(&|pair, network| rules(pair, network, false));
        match bar {
            Some(bar) => report.judge(what, silent, "ns", Bar::Most(*bar)),
            None => report.tell(what, silent, "ns"),
        }
        let worded = timed(&|pair, network| rules(pair, network, true));
        report.tell("  with sentences", worded, "ns");
        let served = timed(&|(ip, name), _| {
            black_box(runtime.block_on(service.pair(*ip, name, asker)));
        });
        report.tell("  by the judge of the service", served, "ns");
    }
}

fn replay(options: &Options) {
    let messages: u64 = options.number("messages", 300_000);
    let crowd = Crowd::new(learn::mix(options), messages / 3);
    let mut random = Random(7);
    let observations: Vec<_> = (0..messages)
        .map(|n| {
            let pair = crowd.at_rank(random.below(crowd.pairs()));
            Observation {
                supersedes: None,
                ..crowd.observation(pair, Crowd::time(n, messages), &mut random)
            }
        })
        .collect();
    let mut player = Player::new(vec![Policy::default()], Decisions::default(), Bounds::default());
    let begin = measure::thread_cpu();
    for observation in &observations {
        black_box(player.judge(observation));
        player.learn(observation, ReporterKind::Mx);
    }
    let rate = messages as f64 / (measure::thread_cpu() - begin).as_secs_f64();
    let report = Report::begin(options, "replay");
    report.judge("judged and learned", rate, "messages/s", Bar::Least(200_000.0));
}

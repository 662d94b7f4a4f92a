//! One history: of a client that is asked for often, and of any client.
//!
//! A ledger of `--pairs` (1 million) in memory; 1,000 clients are read in random order. Hot clients are those
//! of the 1,000 pairs with the most mail. The median of `--repetitions` (31) is told.

use std::hint::black_box;
use std::time::Instant;

use helostat_tests::program::Random;
use helostat_zones::client::Client;
use helostat_zones::history::ClientHistory;
use helostat_zones::ledger::{Bounds, Ledger};
use helostat_zones::policy::Policy;

use crate::crowd::Crowd;
use crate::learn::{client, fill, growing_crowd, mix, walk};
use crate::options::Options;
use crate::report::{Bar, Report};

/// Hot clients.
const HOT: u64 = 1000;
/// Reads in one repetition.
const READS: usize = 20_000;

pub(crate) fn run(options: &Options) {
    let held: u64 = options.number("pairs", 1_000_000);
    let repetitions: usize = options.number("repetitions", 31);
    let crowd = growing_crowd(mix(options), held);
    let ledger = Ledger::in_memory(Bounds::default());
    fill(&ledger, &crowd, held);
    let report = Report::begin(options, &format!("read: {held} pairs"));

    let mut random = Random(3);
    let mut any = |ranks: u64, crowd: &Crowd| -> Vec<Client> {
        (0..READS).map(|_| client(crowd, crowd.at_rank(random.below(ranks)))).collect()
    };
    let (hot, all) = (any(HOT, &crowd), any(held, &crowd));
    let pairs: usize = hot.iter().map(|client| walk(&ledger, *client)).sum();
    let (policy, now) = (Policy::default(), Crowd::time(1, 1));
    let walking = |client| walk(&ledger, client);
    let measuring = |client| ClientHistory::of(&ledger, client, &policy, now).pairs.len();

    let each = pairs as f64 / READS as f64;
    report.tell("pairs of a hot client", each, "");
    let hot_walk = median(repetitions, &hot, walking);
    report.judge("walking all pairs of a hot client", hot_walk, "ns", Bar::Most(300.0));
    report.tell("walking, a pair", hot_walk / each, "ns");
    report.tell("walking all pairs of any client", median(repetitions, &all, walking), "ns");
    let hot_history = median(repetitions, &hot, measuring);
    report.judge("measuring a hot client's history", hot_history, "ns", Bar::Most(300.0));
    report.tell("measuring, a pair", hot_history / each, "ns");
    report.tell("measuring any client's history", median(repetitions, &all, measuring), "ns");
}

/// Nanoseconds a read, the median of the repetitions.
fn median(repetitions: usize, clients: &[Client], read: impl Fn(Client) -> usize) -> f64 {
    let mut times: Vec<f64> = (0..repetitions)
        .map(|_| {
            let begun = Instant::now();
            for client in clients {
                assert!(black_box(read(*client)) > 0, "{client} has a history");
            }
            begun.elapsed().as_secs_f64() * 1e9 / clients.len() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

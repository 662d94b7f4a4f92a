//! How fast observations become durable.
//!
//! `--observations` (10 million) over `--pairs` (1 million) by Zipf's law with `--exponent` (1.1), in commits
//! of `--batch` (10,000, as the program does) observations or one second, whichever comes first. The making of the observations
//! is not in the time and not in the processor time; work that the ledger does beside it is only in the
//! latter.

use std::time::{Duration, Instant};

use helostat_tests::program::Random;
use helostat_zones::ledger::{Batch, Bounds, Ledger};
use helostat_zones::observation::{Observation, ReporterKind};

use crate::crowd::{Crowd, Mix, Zipf};
use crate::learn::Place;
use crate::measure::{self, Written};
use crate::options::Options;
use crate::report::{Bar, Report};

/// A batch is committed after this long at the latest.
const BATCH_TIME: Duration = Duration::from_secs(1);

pub(crate) fn run(options: &Options) {
    let crowd = Crowd::new(Mix::Mail, options.number("pairs", 1_000_000));
    let whole: u64 = options.number("observations", 10_000_000);
    let exponent: f64 = options.number("exponent", 1.1);
    let size: u64 = options.number("batch", 10_000);
    let title = format!(
        "fold: {whole} observations over {} pairs, exponent {exponent}, commits of {size}",
        crowd.pairs()
    );
    let report = Report::begin(options, &title);
    let place = Place::of(options);
    let ledger = Ledger::open(&place.path, Bounds::default()).expect("a new ledger");

    let zipf = Zipf::new(crowd.pairs(), exponent);
    let mut random = Random(1);
    let mut make = |from: u64| {
        let begun = measure::thread_cpu();
        let observations: Vec<_> = (from..whole.min(from + size))
            .map(|place| {
                let pair = crowd.at_rank(zipf.draw(&mut random));
                crowd.observation(pair, Crowd::time(place, whole), &mut random)
            })
            .collect();
        (observations, measure::thread_cpu() - begun)
    };
    // So that the memory of making observations is there before the ledger's is measured.
    drop(make(0));

    let (rss, cpu, written) = (measure::rss(), measure::cpu(), Written::now());
    let (mut elapsed, mut making, mut slowest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut done, mut commits) = (0, 0u64);
    while done < whole {
        let (observations, cost) = make(done);
        making += cost;
        done += observations.len() as u64;
        let begun = Instant::now();
        commits += learn(&ledger, &observations, done);
        let took = begun.elapsed();
        elapsed += took;
        slowest = slowest.max(took);
    }
    let cpu = measure::cpu().saturating_sub(cpu).saturating_sub(making);
    let (grown, learning) = (measure::rss().saturating_sub(rss), Written::now().since(written));

    let begun = Instant::now();
    ledger.compact().expect("the journal folds");
    let compacting = begun.elapsed();
    let pairs = ledger.sizes().pairs as f64;
    drop(ledger);
    let (all, disk) = (Written::now().since(written), measure::disk(&place.path) as f64);

    let each = |octets: u64| octets as f64 / whole as f64;
    let rate = whole as f64 / elapsed.as_secs_f64();
    report.judge("observations made durable", rate, "/s", Bar::Least(200_000.0));
    report.tell("processor time", cpu.as_secs_f64() * 1e6 / whole as f64, "us/observation");
    report.tell("commits", commits as f64, "");
    report.tell("slowest batch, folded and committed", slowest.as_secs_f64() * 1e3, "ms");
    report.tell("pairs held in the end", pairs, "");
    report.tell(
        "written while learning (write calls)",
        each(learning.called),
        "octets/observation",
    );
    report.tell("written while learning (pages)", each(learning.pages), "octets/observation");
    report.tell("written in all (pages)", all.pages as f64 / pairs, "octets/pair");
    report.tell("written in all / disk in the end", all.pages as f64 / disk, "times");
    report.tell("disk after compacting", disk / pairs, "octets/pair");
    report.tell("compacting", compacting.as_secs_f64() * 1e3, "ms");
    report.tell("resident memory grown while learning", grown as f64 / pairs, "octets/pair");
    report.tell("resident memory at the most", measure::peak_rss() as f64 / 1e6, "MB");
}

/// Folds and commits; a second commit only if folding takes long. Returns how many.
fn learn(ledger: &Ledger, observations: &[Observation], position: u64) -> u64 {
    let mut batch = Batch::default();
    let (mut begun, mut commits) = (Instant::now(), 0);
    let commit = |batch: &Batch| ledger.commit(batch).expect("the ledger takes it");
    for chunk in observations.chunks(1000) {
        for observation in chunk {
            batch.observe(observation, ReporterKind::Mx);
        }
        if begun.elapsed() >= BATCH_TIME {
            commit(&batch);
            batch = Batch::default();
            begun = Instant::now();
            commits += 1;
        }
    }
    batch.reach("mail.log", position.to_be_bytes().to_vec());
    commit(&batch);
    commits + 1
}

//! From the start of a process to the first answer.
//!
//! A ledger of `--pairs` (10 million) of the mix `--mix` (mail) is made, or taken from `--ledger` if there is
//! one, and opened by new processes: after an orderly end, and each time after a kill -9 in the middle of
//! commits of 50 to 200 observations every 10 ms, which went on for `--seconds` (5). Its files are in
//! the page cache.
#![expect(clippy::print_stdout, reason = "a process of the bench tells another how far it is")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use helostat_zones::ledger::{Bounds, Ledger};
use serde_json::{Value, json};

use crate::crowd::Crowd;
use crate::learn::{Place, Stream, client, fill, growing_crowd, mix, walk};
use crate::measure;
use crate::options::Options;
use crate::report::{Bar, Report};

/// How often each case is measured; the median is told, and the worst.
const TIMES: usize = 3;
/// Between two commits.
const PACE: Duration = Duration::from_millis(10);

pub(crate) fn run(options: &Options) {
    let place = Place::of(options);
    let held = held(options);
    let again = |job: &str| {
        let mut command = options.again(job);
        command.arg("--at").arg(&place.path);
        command
    };
    if !place.path.exists() {
        assert!(again("open-fill").status().expect("a process").success(), "the ledger is made");
    }
    let orderly: Vec<_> = (0..TIMES).map(|_| opened(again("open-once"))).collect();
    tell(options, &format!("open: {held} pairs, after an orderly end"), &orderly);

    let lasting = Duration::from_secs(options.number("seconds", 5));
    let killed: Vec<_> = (0..TIMES)
        .map(|_| {
            let acknowledged = kill(again("open-commit"), lasting);
            let opened = opened(again("open-once"));
            let found = opened["seq"].as_u64().unwrap_or_default();
            assert!(
                found >= acknowledged,
                "acknowledged up to {acknowledged}, found up to {found}"
            );
            opened
        })
        .collect();
    tell(options, &format!("open: {held} pairs, after kill -9"), &killed);
}

/// Has a process open the ledger; returns what it measured.
fn opened(mut command: Command) -> Value {
    let output = command.stderr(Stdio::inherit()).output().expect("a process");
    assert!(output.status.success(), "the ledger opens and answers");
    serde_json::from_slice(&output.stdout).expect("what the process measured")
}

/// Kills a committing process after a while; returns the last commit that it acknowledged.
fn kill(mut command: Command, lasting: Duration) -> u64 {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("a process");
    let told = BufReader::new(child.stdout.take().expect("its output is a pipe"));
    let (mut begun, mut last) = (None, 0);
    for line in told.lines().map_while(Result::ok) {
        // A line that the kill cut short has no commit of its own.
        last = line.strip_suffix('.').and_then(|seq| seq.parse().ok()).unwrap_or(last);
        if begun.get_or_insert_with(Instant::now).elapsed() >= lasting {
            // It may have been killed already, a line ago.
            drop(child.kill());
        }
    }
    child.wait().expect("it ended");
    assert!(begun.is_some(), "nothing was committed before the kill");
    last
}

fn tell(options: &Options, case: &str, opened: &[Value]) {
    let report = Report::begin(options, case);
    let sorted = |what: &str| {
        let mut values: Vec<f64> = opened.iter().filter_map(|row| row[what].as_f64()).collect();
        values.sort_by(f64::total_cmp);
        (values[values.len() / 2], values[values.len() - 1])
    };
    let (median, worst) = sorted("open_ms");
    report.judge("opening (median)", median, "ms", Bar::Most(10_000.0));
    report.tell("opening (worst)", worst, "ms");
    report.tell("the first history read after it (median)", sorted("first_us").0, "us");
    report.tell("from the start of the process to it (worst)", sorted("ready_ms").1, "ms");
    report.tell("resident memory after it", sorted("rss_mb").1, "MB");
    report.tell("resident memory at the most", sorted("peak_mb").1, "MB");
}

/// The process that makes the ledger.
pub(crate) fn make(options: &Options) {
    let ledger = Ledger::open(&at(options), Bounds::default()).expect("a new ledger");
    let held = held(options);
    fill(&ledger, &growing_crowd(mix(options), held), held);
    ledger.compact().expect("the journal folds");
}

/// The process that opens the ledger once.
pub(crate) fn once(options: &Options) {
    let begun = Instant::now();
    let crowd = growing_crowd(mix(options), held(options));
    let client = client(&crowd, crowd.at_rank(0));
    let opening = Instant::now();
    let ledger = Ledger::open(&at(options), Bounds::default()).expect("the ledger opens");
    let open_ms = opening.elapsed().as_secs_f64() * 1e3;
    let first = Instant::now();
    assert!(walk(&ledger, client) > 0, "the first client has a history");
    let measured = json!({
        "open_ms": open_ms,
        "first_us": first.elapsed().as_secs_f64() * 1e6,
        "ready_ms": begun.elapsed().as_secs_f64() * 1e3,
        "rss_mb": measure::rss() as f64 / 1e6,
        "peak_mb": measure::peak_rss() as f64 / 1e6,
        "seq": ledger.seq(),
    });
    println!("{measured}");
}

/// The process that commits until it is killed, and says each commit that was acknowledged.
pub(crate) fn commit_until_killed(options: &Options) {
    let ledger = Ledger::open(&at(options), Bounds::default()).expect("the ledger opens");
    let held = held(options);
    let crowd: Crowd = growing_crowd(mix(options), held);
    let mut stream = Stream::after(&crowd, held, ledger.seq());
    let mut next = Instant::now();
    loop {
        let committed = ledger.commit(&stream.batch()).expect("the ledger takes it");
        println!("{}.", committed.seq);
        next += PACE;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn held(options: &Options) -> u64 {
    options.number("pairs", 10_000_000)
}

fn at(options: &Options) -> PathBuf {
    options.text("at").expect("the ledger's place").into()
}

//! What a pair takes, in memory and on disk.
//!
//! `--pairs` (10 million) are learned, and half as many observations once more, by a new ledger; one at
//! `--ledger` stays, for the benches `open` and `steady`. The memory is what the
//! process has grown by, with the store's caches and all; nothing is given back for it first.

use std::time::Instant;

use helostat_zones::ledger::{Bounds, Ledger};

use crate::crowd::Mix;
use crate::learn::{Place, fill, growing_crowd};
use crate::measure;
use crate::options::Options;
use crate::report::{Bar, Report};

pub(crate) fn run(options: &Options, mix: &str) {
    let held: u64 = options.number("pairs", 10_000_000);
    let crowd = growing_crowd(Mix::named(mix), held);
    let report = Report::begin(options, &format!("memory: {held} pairs, mix {mix}"));
    let place = Place::of(options);
    assert!(!place.path.exists(), "a new ledger is needed, and there is one");
    let ledger = Ledger::open(&place.path, Bounds::default()).expect("a new ledger");
    let (rss, begun) = (measure::rss(), Instant::now());
    let observations = fill(&ledger, &crowd, held);
    let (grown, took) = (measure::rss().saturating_sub(rss), begun.elapsed());
    let peak = measure::peak_rss();
    let sizes = ledger.sizes();
    ledger.compact().expect("the journal folds");
    let compacted = measure::rss().saturating_sub(rss);
    drop(ledger);
    let disk = measure::disk(&place.path);

    let each = |octets: u64| octets as f64 / sizes.pairs as f64;
    report.tell("pairs held", sizes.pairs as f64, "");
    report.tell("clients", sizes.clients as f64, "");
    report.tell("names", sizes.names as f64, "");
    report.tell("networks", sizes.networks as f64, "");
    report.judge("resident memory grown", each(grown), "octets/pair", Bar::Most(200.0));
    report.tell("resident memory grown, after compacting", each(compacted), "octets/pair");
    report.tell("resident memory at the most, while learning", peak as f64 / 1e6, "MB");
    report.tell("resident memory at the most, in all", measure::peak_rss() as f64 / 1e6, "MB");
    report.tell("disk after compacting", each(disk), "octets/pair");
    // With the making of the observations, so no measure of the ledger alone.
    report.tell("learned (with the making of it)", observations as f64 / took.as_secs_f64(), "/s");
}

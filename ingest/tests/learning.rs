//! Learning finished logs into a sink that has its troubles.

#![allow(missing_docs)]

use std::time::Duration;

use helostat_ingest::learner::Learning;
use helostat_ingest::pipeline::{Batching, LearnError, learn};
use helostat_ingest::reader::FormatChoice;
use helostat_ingest::sink::{Sink, SinkError};
use helostat_ingest::source::History;
use helostat_zones::ledger::Batch;
use helostat_zones::observation::ReporterKind;
use jiff::tz::TimeZone;

/// Takes batches, but cannot say now what it holds.
struct Forgetful;

impl Sink for Forgetful {
    fn commit(&self, _: &Batch) -> Result<(), SinkError> {
        panic!("what may have been learned before was learned again");
    }

    fn positions(&self, _: &str) -> Result<Vec<(String, Vec<u8>)>, SinkError> {
        Err(SinkError("busy".to_owned()))
    }
}

#[test]
fn a_log_whose_position_cannot_be_asked_for_is_not_taken_for_new() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mail.log");
    std::fs::write(&path, "2026-11-20T13:40:22Z mx postfix/smtpd[9]: connect from x[192.0.2.7]\n")
        .expect("written");
    let learning = Learning {
        format: FormatChoice::Auto,
        reporter: "mx".into(),
        reporter_kind: ReporterKind::Mx,
        zone: TimeZone::UTC,
        own: Vec::new(),
        future_tolerance: Duration::from_secs(3600),
    };
    let batching = Batching { interval: Duration::from_secs(1), observations: 10 };
    let mut source = History::open(&path).expect("a file");
    let error = learn(&mut source, &learning, batching, &Forgetful, &mut |_| {});
    assert!(matches!(error, Err(LearnError::Sink(SinkError(why))) if why == "busy"));
}

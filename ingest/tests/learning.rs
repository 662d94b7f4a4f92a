//! Learning finished logs into a sink that has its troubles.

#![allow(missing_docs)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use helostat_ingest::learner::{Learner, Learning, PLAUSIBLE_PAST};
use helostat_ingest::ours::Ours;
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

/// Takes batches and counts the observations in them.
#[derive(Default)]
struct Counting(AtomicU64);

impl Sink for Counting {
    fn commit(&self, batch: &Batch) -> Result<(), SinkError> {
        self.0.fetch_add(batch.observations(), Ordering::Relaxed);
        Ok(())
    }

    fn positions(&self, _: &str) -> Result<Vec<(String, Vec<u8>)>, SinkError> {
        Ok(Vec::new())
    }
}

fn learning() -> Learning {
    Learning {
        format: FormatChoice::Auto,
        reporter: "mx".into(),
        reporter_kind: ReporterKind::Mx,
        zone: TimeZone::UTC,
        logins: false,
        samples: 0,
        own: Vec::new(),
        ours: Ours::default(),
        future_tolerance: Duration::from_secs(3600),
        earliest: PLAUSIBLE_PAST,
    }
}

const BATCHING: Batching = Batching { interval: Duration::from_secs(1), observations: 10 };

#[test]
fn what_a_wrong_clock_stamped_is_set_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let soon = soon.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for (stamp, why) in [
        ("1970-01-01T00:03:12Z", Some("before-1995")),
        ("1994-12-31T23:59:59Z", Some("before-1995")),
        ("1995-01-01T00:00:00Z", None),
        ("2026-11-20T13:40:22Z", None),
        (soon.as_str(), Some("future")),
    ] {
        let path = folder.path().join(stamp);
        let log: String = [
            "connect from x.example[192.0.2.7]",
            "NOQUEUE: reject: RCPT from x.example[192.0.2.7]: 550 5.1.1 <c@d>: User unknown; from=<a@b> to=<c@d> proto=ESMTP helo=<x.example>",
            "disconnect from x.example[192.0.2.7] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4",
        ]
        .iter()
        .map(|text| format!("{stamp} mx postfix/smtpd[9]: {text}\n"))
        .collect();
        std::fs::write(&path, log).expect("written");
        let sink = Counting::default();
        let mut source = History::open(&path).expect("a file");
        let tally = learn(&mut source, &mut Learner::new(learning()), BATCHING, &sink, &mut |_| {})
            .expect(stamp);
        let aside: Vec<_> = tally.set_aside.into_iter().collect();
        assert_eq!(aside, why.map(|why| (why, 1)).into_iter().collect::<Vec<_>>(), "{stamp}");
        assert_eq!(sink.0.into_inner(), u64::from(why.is_none()), "{stamp}");
    }
}

#[test]
fn a_log_whose_position_cannot_be_asked_for_is_not_taken_for_new() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mail.log");
    std::fs::write(&path, "2026-11-20T13:40:22Z mx postfix/smtpd[9]: connect from x[192.0.2.7]\n")
        .expect("written");
    let mut source = History::open(&path).expect("a file");
    let error =
        learn(&mut source, &mut Learner::new(learning()), BATCHING, &Forgetful, &mut |_| {});
    assert!(matches!(error, Err(LearnError::Sink(SinkError(why))) if why == "busy"));
}

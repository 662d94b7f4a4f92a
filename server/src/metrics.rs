//! The counters of the DNS side.
//!
//! | name | labels | meaning |
//! |---|---|---|
//! | `helostat_dns_questions_total` | `zone` (kind), `type`, `result` | answered questions |
//! | `helostat_dns_answer_seconds` | | from a question to its answer, encoded |
//! | `helostat_dns_dry_run_total` | `zone` | questions that a zone would have answered, had it not been a dry run |
//! | `helostat_dns_dropped_total` | `why` | packets and connections that got no answer |
//! | `helostat_dns_tcp_connections` | | open TCP connections |
//!
//! Labels come from fixed sets: never an address, never a name, and a type that nobody asks for is
//! `other`.

use std::time::Duration;

use crate::fast::{Tally, ZONES};
use hickory_proto::rr::RecordType;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

/// From the fast path's tens of microseconds to the guard against faults.
const ANSWER_BUCKETS: [f64; 12] =
    [10e-6, 20e-6, 50e-6, 100e-6, 500e-6, 2e-3, 10e-3, 50e-3, 200e-3, 500e-3, 1.0, 5.0];

/// Why something got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Shorter than a header.
    Short,
    /// A response, sent to us as if it were a question.
    Response,
    /// Too many answers were waiting.
    Shed,
    /// Its network had enough answers in that second.
    Pace,
    /// The same, and it was sent cut.
    PaceCut,
    /// The socket's send buffer was full, or the system refused the destination.
    Send,
    /// Too many TCP connections.
    TcpLimit,
    /// A TCP message that is too short or too long.
    TcpLength,
    /// A TCP connection that sent nothing, or took nothing, for too long.
    TcpIdle,
}

impl Dropped {
    fn word(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Response => "response",
            Self::Shed => "shed",
            Self::Pace => "pace",
            Self::PaceCut => "pace-cut",
            Self::Send => "send",
            Self::TcpLimit => "tcp-limit",
            Self::TcpLength => "tcp-length",
            Self::TcpIdle => "tcp-idle",
        }
    }
}

/// The counters, cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    questions: IntCounterVec,
    answer_seconds: Histogram,
    dropped: IntCounterVec,
    dry: IntCounterVec,
    /// Open TCP connections.
    pub(crate) tcp_connections: IntGauge,
}

impl Metrics {
    /// Makes the counters and registers them; fails if `registry` has them already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            questions: IntCounterVec::new(
                Opts::new("helostat_dns_questions_total", "Answered DNS questions"),
                &["zone", "type", "result"],
            )?,
            answer_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "helostat_dns_answer_seconds",
                    "Time from a DNS question to its answer",
                )
                .buckets(ANSWER_BUCKETS.to_vec()),
            )?,
            dry: IntCounterVec::new(
                Opts::new(
                    "helostat_dns_dry_run_total",
                    "Questions that a zone would have answered, had it not been a dry run",
                ),
                &["zone"],
            )?,
            dropped: IntCounterVec::new(
                Opts::new("helostat_dns_dropped_total", "DNS packets and connections not answered"),
                &["why"],
            )?,
            tcp_connections: IntGauge::new(
                "helostat_dns_tcp_connections",
                "Open TCP connections of DNS",
            )?,
        };
        registry.register(Box::new(metrics.questions.clone()))?;
        registry.register(Box::new(metrics.answer_seconds.clone()))?;
        registry.register(Box::new(metrics.dropped.clone()))?;
        registry.register(Box::new(metrics.dry.clone()))?;
        registry.register(Box::new(metrics.tcp_connections.clone()))?;
        Ok(metrics)
    }

    /// Counts an answered question.
    pub(crate) fn answered(&self, zone: &str, rtype: RecordType, result: &str, took: Duration) {
        self.questions.with_label_values(&[zone, type_word(rtype), result]).inc();
        self.answer_seconds.observe(took.as_secs_f64());
    }

    /// Counts what the short way answered of a batch, each after the time that the whole batch took.
    pub(crate) fn answered_fast(&self, tally: &Tally, took: Duration) {
        let types = [RecordType::A, RecordType::TXT];
        for (of_zone, zone) in tally.0.iter().zip(ZONES) {
            for (counts, rtype) in of_zone.iter().zip(types) {
                for (&count, result) in counts.iter().zip(["data", "nodata", "nxdomain"]) {
                    self.answered_so(count, [zone, type_word(rtype), result], took);
                }
            }
        }
    }

    fn answered_so(&self, count: u32, labels: [&str; 3], took: Duration) {
        if count > 0 {
            self.questions.with_label_values(&labels).inc_by(count.into());
            for _ in 0..count {
                self.answer_seconds.observe(took.as_secs_f64());
            }
        }
    }

    /// Counts what a zone would have said.
    pub(crate) fn would_have(&self, zone: &str) {
        self.dry.with_label_values(&[zone]).inc();
    }

    /// Counts what got no answer.
    pub(crate) fn dropped(&self, why: Dropped) {
        self.dropped.with_label_values(&[why.word()]).inc();
    }
}

fn type_word(rtype: RecordType) -> &'static str {
    match rtype {
        RecordType::A => "A",
        RecordType::AAAA => "AAAA",
        RecordType::ANY => "ANY",
        RecordType::DNSKEY => "DNSKEY",
        RecordType::DS => "DS",
        RecordType::MX => "MX",
        RecordType::NS => "NS",
        RecordType::SOA => "SOA",
        RecordType::TXT => "TXT",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_few() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).expect("a fresh registry");
        for code in 0..=u16::MAX {
            metrics.answered("bl", RecordType::from(code), "nodata", Duration::ZERO);
        }
        let families = registry.gather();
        let series = families.iter().find(|family| family.name() == "helostat_dns_questions_total");
        assert_eq!(series.map(|family| family.get_metric().len()), Some(10));
        assert!(Metrics::register(&registry).is_err(), "registered twice");
    }
}

//! The counters of the policy service.
//!
//! | name | labels | meaning |
//! |---|---|---|
//! | `helostat_postfix_requests_total` | `class`, `action` | answered requests |
//! | `helostat_postfix_answer_seconds` | | from a request, read, to its answer, written into memory |
//! | `helostat_postfix_limits_total` | `limit` | what was refused, closed, not judged or not learned |
//! | `helostat_postfix_connections` | | open connections |
//!
//! Labels come from fixed sets: never an address, never a name.

use std::time::Duration;

use helostat_zones::postfix::{Action, Garbled};
use prometheus::{
    Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};

/// From what history alone takes to the longest wait that can be set.
const ANSWER_BUCKETS: [f64; 12] =
    [20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 10e-3, 50e-3, 200e-3, 500e-3, 2.0];

/// The counters, cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: IntCounterVec,
    answer_seconds: Histogram,
    limits: IntCounterVec,
    connections: IntGauge,
}

impl Metrics {
    /// Why something is refused, closed, not judged or not learned; most are keys of the configuration.
    const LIMITS: [&str; 10] = [
        "allow",
        "connections",
        "request-length",
        "stall",
        "idle",
        "answer",
        "queue",
        "garbled",
        "cut",
        "fault",
    ];

    /// Makes the counters and registers them; fails if `registry` has them already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("helostat_postfix_requests_total", "Requests of Postfix, answered"),
                &["class", "action"],
            )?,
            answer_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "helostat_postfix_answer_seconds",
                    "Time from a request of Postfix to its answer",
                )
                .buckets(ANSWER_BUCKETS.to_vec()),
            )?,
            limits: IntCounterVec::new(
                Opts::new(
                    "helostat_postfix_limits_total",
                    "Connections and requests of Postfix that were refused, closed, not judged or not learned",
                ),
                &["limit"],
            )?,
            connections: IntGauge::new(
                "helostat_postfix_connections",
                "Open connections of Postfix",
            )?,
        };
        let all: [Box<dyn Collector>; 4] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.answer_seconds.clone()),
            Box::new(metrics.limits.clone()),
            Box::new(metrics.connections.clone()),
        ];
        for collector in all {
            registry.register(collector)?;
        }
        for limit in Self::LIMITS {
            metrics.limits.with_label_values(&[limit]);
        }
        Ok(metrics)
    }

    /// Counts an answer to a request of this class, or of none for this reason.
    pub(super) fn answered(&self, class: &str, action: Action, took: Duration) {
        self.requests.with_label_values(&[class, action.word()]).inc();
        self.answer_seconds.observe(took.as_secs_f64());
    }

    /// Counts what a limit of this name cost.
    pub(super) fn limit(&self, limit: &str) {
        self.limits.with_label_values(&[limit]).inc();
    }

    /// How often a limit was counted.
    #[cfg(test)]
    pub(super) fn limited(&self, limit: &str) -> u64 {
        self.limits.with_label_values(&[limit]).get()
    }

    /// Counts a connection that was closed for what it sent.
    pub(super) fn garbled(&self, why: Garbled) {
        self.limit(match why {
            Garbled::TooLong => "request-length",
            Garbled::NoAttribute | Garbled::OtherRequest => "garbled",
        });
    }

    /// Counts a connection as long as it is open.
    pub(super) fn open(&self) -> Open {
        self.connections.inc();
        Open(self.connections.clone())
    }
}

/// Counts a connection as long as it is open.
pub(super) struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

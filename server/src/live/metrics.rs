//! What the live look-ups count. No address and no name is ever in a label.
//!
//! | metric | type | labels | meaning |
//! |---|---|---|---|
//! | `helostat_live_findings_total` | counter | system, result | findings made |
//! | `helostat_live_questions_total` | counter | outcome | questions put on the wire, by how they ended |
//! | `helostat_live_cache_hits_total` | counter | | questions answered from memory |
//! | `helostat_live_stale_total` | counter | | times that something past its time stood in for a failing resolver |
//! | `helostat_live_in_flight` | gauge | | questions on the wire now |
//! | `helostat_live_dropped_total` | counter | limit | questions or look-ups not made because of a limit of ours |

use helostat_zones::evidence::{Answer, Finding, System};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// A limit of ours that kept a question from being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Questions about one pair.
    Client,
    /// Questions about one domain in a minute.
    Domain,
    /// Questions on the wire.
    Questions,
    /// Pairs at once.
    Clients,
    /// Pairs at once, for looking ahead.
    Prefetch,
}

impl Limit {
    const ALL: [Self; 5] =
        [Self::Client, Self::Domain, Self::Questions, Self::Clients, Self::Prefetch];

    fn word(self) -> &'static str {
        match self {
            Self::Client => "questions-per-client",
            Self::Domain => "questions-per-domain",
            Self::Questions => "questions-at-once",
            Self::Clients => "clients-at-once",
            Self::Prefetch => "prefetch",
        }
    }
}

/// The counters.
#[derive(Debug)]
pub(super) struct Metrics {
    findings: IntCounterVec,
    questions: IntCounterVec,
    pub(super) cache_hits: IntCounter,
    pub(super) stale: IntCounter,
    pub(super) in_flight: IntGauge,
    dropped: IntCounterVec,
}

impl Metrics {
    /// Makes them and registers them.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            findings: IntCounterVec::new(
                Opts::new("helostat_live_findings_total", "Findings made, by system and result."),
                &["system", "result"],
            )?,
            questions: IntCounterVec::new(
                Opts::new("helostat_live_questions_total", "DNS questions asked, by outcome."),
                &["outcome"],
            )?,
            cache_hits: IntCounter::new(
                "helostat_live_cache_hits_total",
                "DNS questions answered from memory.",
            )?,
            stale: IntCounter::new(
                "helostat_live_stale_total",
                "Times that an answer past its time stood in for a failing resolver.",
            )?,
            in_flight: IntGauge::new(
                "helostat_live_in_flight",
                "DNS questions asked and not answered yet.",
            )?,
            dropped: IntCounterVec::new(
                Opts::new(
                    "helostat_live_dropped_total",
                    "Look-ups not made, by the limit reached.",
                ),
                &["limit"],
            )?,
        };
        registry.register(Box::new(metrics.findings.clone()))?;
        registry.register(Box::new(metrics.questions.clone()))?;
        registry.register(Box::new(metrics.cache_hits.clone()))?;
        registry.register(Box::new(metrics.stale.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(metrics.dropped.clone()))?;
        // A counter that exists from the start can be alerted on.
        for limit in Limit::ALL {
            metrics.dropped.with_label_values(&[limit.word()]);
        }
        Ok(metrics)
    }

    pub(super) fn finding(&self, system: System, finding: &Finding) {
        self.findings.with_label_values(&[system.word(), finding.result.word()]).inc();
    }

    pub(super) fn question(&self, answer: &Answer) {
        let outcome = match answer {
            Answer::Found(_) => "found",
            Answer::Absent(_) => "absent",
            Answer::Failed(failure) => failure.word(),
        };
        self.questions.with_label_values(&[outcome]).inc();
    }

    pub(super) fn dropped(&self, limit: Limit) {
        self.dropped.with_label_values(&[limit.word()]).inc();
    }
}

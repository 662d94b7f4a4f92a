//! What the live look-ups count. No address and no name is ever in a label.
//!
//! | metric | type | labels | meaning |
//! |---|---|---|---|
//! | `helostat_live_findings_total` | counter | system, result | findings made |
//! | `helostat_live_questions_total` | counter | outcome | questions asked, by how they ended |
//! | `helostat_live_sent_total` | counter | | messages put on the wire: questions, those sent again, aliases followed |
//! | `helostat_live_cache_hits_total` | counter | | questions answered from memory |
//! | `helostat_live_stale_total` | counter | | times that something past its time stood in for a failing resolver |
//! | `helostat_live_in_flight` | gauge | | questions on the wire now |
//! | `helostat_live_clients` | gauge | | pairs being looked up now |
//! | `helostat_live_ahead` | gauge | | pairs that wait to be looked up ahead |
//! | `helostat_live_dropped_total` | counter | limit | questions or look-ups not made because of a limit of ours |

use helostat_zones::evidence::{Answer, Finding, System};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// A limit of ours that kept a question from being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Questions about one pair.
    Client,
    /// Questions about one domain in a second.
    Domain,
    /// Questions for one asker in a second.
    Asker,
    /// Questions in a second.
    Total,
    /// Questions on the wire.
    AtOnce,
    /// Pairs at once.
    Clients,
    /// Pairs that wait to be looked up ahead.
    Ahead,
    /// The time that all questions about one pair may take.
    Time,
}

impl Limit {
    const ALL: [Self; 8] = [
        Self::Client,
        Self::Domain,
        Self::Asker,
        Self::Total,
        Self::AtOnce,
        Self::Clients,
        Self::Ahead,
        Self::Time,
    ];

    /// The word for it: that of its setting.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Client => "questions-per-client",
            Self::Domain => "questions-per-domain",
            Self::Asker => "questions-per-asker",
            Self::Total => "questions-per-second",
            Self::AtOnce => "concurrent",
            Self::Clients => "clients",
            Self::Ahead => "ahead",
            Self::Time => "limit",
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
    pub(super) sent: IntCounter,
    pub(super) in_flight: IntGauge,
    pub(super) clients: IntGauge,
    pub(super) ahead: IntGauge,
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
            sent: IntCounter::new(
                "helostat_live_sent_total",
                "DNS messages sent: questions, those sent again, aliases followed.",
            )?,
            clients: IntGauge::new("helostat_live_clients", "Pairs being looked up now.")?,
            ahead: IntGauge::new("helostat_live_ahead", "Pairs that wait to be looked up ahead.")?,
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
        registry.register(Box::new(metrics.sent.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(metrics.clients.clone()))?;
        registry.register(Box::new(metrics.ahead.clone()))?;
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

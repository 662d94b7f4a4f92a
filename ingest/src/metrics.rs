//! What ingest counts. Names, types and meanings stand in docs/metrics.md, and a test compares. Labels
//! are words from fixed lists, never an address or a name.

use helostat_zones::observation::Outcome;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::learner::SetAside;

/// The counters of all sources together.
#[derive(Clone)]
pub struct Metrics {
    /// Lines read, by program and by what became of them.
    pub lines: IntCounterVec,
    /// Observations learned, by outcome.
    pub observations: IntCounterVec,
    /// Observations not learned, by why.
    pub set_aside: IntCounterVec,
    /// Messages of strangers that were taken, by program and by whether the log shows their names.
    pub taken: IntCounterVec,
    /// Batches committed.
    pub commits: IntCounter,
    /// Commits that failed and are tried again.
    pub commit_failures: IntCounter,
    /// How long a commit took.
    pub commit_seconds: Histogram,
    /// Unread octets of each followed log, by its file's name.
    pub behind: IntGaugeVec,
    /// Time of the newest observation learned, in seconds since the epoch.
    pub newest: IntGauge,
    /// How old the newest observation of the last commit was, in seconds.
    pub lag: IntGauge,
    /// Sessions closed before their end, because too many were open.
    pub closed_early: IntCounter,
    /// Followed logs that cannot be read right now.
    pub unreadable: IntGauge,
    /// What comes from other hosts.
    pub syslog: SyslogMetrics,
}

/// What is counted of messages that other hosts send.
#[derive(Clone)]
pub struct SyslogMetrics {
    /// Messages taken over TCP.
    pub messages_tcp: IntCounter,
    /// Messages taken over UDP.
    pub messages_udp: IntCounter,
    /// Times that something was refused, cut or made to wait, by why.
    pub limits: IntCounterVec,
    /// TCP connections open now.
    pub connections: IntGauge,
    /// Datagrams that the kernel dropped.
    pub udp_drops: IntCounter,
}

impl SyslogMetrics {
    /// Why something is refused, cut or made to wait; most are keys of the configuration.
    const LIMITS: [&str; 9] = [
        "allow",
        "connections",
        "senders",
        "idle",
        "stall",
        "message-length",
        "queue",
        "garbled",
        "cut",
    ];

    /// Counts one.
    pub fn limit(&self, why: &str) {
        self.limits.with_label_values(&[why]).inc();
    }

    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let messages = IntCounterVec::new(
            Opts::new("helostat_ingest_syslog_messages_total", "Messages taken from other hosts."),
            &["transport"],
        )?;
        let limits = IntCounterVec::new(
            Opts::new(
                "helostat_ingest_syslog_limits_total",
                "Times that a message or connection was refused, cut or made to wait, by why.",
            ),
            &["limit"],
        )?;
        let connections = IntGauge::new(
            "helostat_ingest_syslog_connections",
            "TCP connections of senders open now.",
        )?;
        let udp_drops = IntCounter::new(
            "helostat_ingest_udp_drops_total",
            "Datagrams that the kernel dropped because they were not read in time.",
        )?;
        registry.register(Box::new(messages.clone()))?;
        registry.register(Box::new(limits.clone()))?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(udp_drops.clone()))?;
        for limit in Self::LIMITS {
            limits.with_label_values(&[limit]);
        }
        Ok(Self {
            messages_tcp: messages.with_label_values(&["tcp"]),
            messages_udp: messages.with_label_values(&["udp"]),
            limits,
            connections,
            udp_drops,
        })
    }
}

impl Metrics {
    /// Makes the counters and registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let commit_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "helostat_ledger_commit_seconds",
                "Time to make a batch durable, in seconds.",
            )
            .buckets(vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0]),
        )?;
        registry.register(Box::new(commit_seconds.clone()))?;
        let behind = IntGaugeVec::new(
            Opts::new("helostat_ingest_behind_bytes", "Unread octets of a followed log."),
            &["log"],
        )?;
        registry.register(Box::new(behind.clone()))?;
        let observations = counters(
            "helostat_ingest_observations_total",
            "Observations learned, by outcome.",
            &["outcome"],
        )?;
        let set_aside = counters(
            "helostat_ingest_set_aside_total",
            "Observations not learned, by why.",
            &["why"],
        )?;
        // What has not happened yet is 0, not absent: a rate over it must work from the start.
        for outcome in Outcome::ALL {
            observations.with_label_values(&[outcome.word()]);
        }
        for why in SetAside::ALL {
            set_aside.with_label_values(&[why.word()]);
        }
        Ok(Self {
            lines: counters(
                "helostat_ingest_lines_total",
                "Log lines read, by program and by what became of them.",
                &["program", "fate"],
            )?,
            observations,
            set_aside,
            taken: counters(
                "helostat_ingest_messages_taken_total",
                "Messages that mail servers took, by program and by whether the log shows the EHLO name.",
                &["program", "ehlo"],
            )?,
            commits: counter("helostat_ledger_commits_total", "Batches made durable.")?,
            commit_failures: counter(
                "helostat_ledger_commit_failures_total",
                "Commits that failed and are tried again.",
            )?,
            commit_seconds,
            behind,
            newest: gauge(
                "helostat_ingest_newest_observation_timestamp_seconds",
                "Time of the newest observation learned.",
            )?,
            lag: gauge(
                "helostat_ingest_lag_seconds",
                "How old the newest observation of the last commit was.",
            )?,
            closed_early: counter(
                "helostat_ingest_sessions_closed_early_total",
                "Sessions closed before their end, because too many were open.",
            )?,
            unreadable: gauge(
                "helostat_ingest_unreadable_logs",
                "Followed logs that cannot be read right now.",
            )?,
            syslog: SyslogMetrics::register(registry)?,
        })
    }
}

//! The settings of the live look-ups, and what may be wrong with them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use helostat_zones::evidence::lookup::ALIAS_LINKS_MAX;
use helostat_zones::evidence::{Holds, Options, System};
use thiserror::Error;

/// How the DNS is asked, and how much. Every number is a limit that is counted when it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveConfig {
    /// Off: nothing is ever asked and no finding is ever known.
    pub enabled: bool,
    /// The recursive resolvers; none means those of `/etc/resolv.conf`.
    pub resolvers: Vec<SocketAddr>,
    /// How long an answer to a client may wait for findings.
    pub wait: Duration,
    /// How long one question may take, with everything that is sent again for it.
    pub question_timeout: Duration,
    /// The longest chain of aliases that is followed.
    pub aliases: usize,
    /// How long all questions about one pair may take.
    pub limit: Duration,
    /// The systems that are asked, in the order in which they are shown.
    pub systems: Vec<System>,
    /// Limits and switches of the systems.
    pub options: Arc<Options>,
    /// How long answers hold.
    pub holds: Holds,
    /// The most questions about one pair that are put on the wire, counting those sent again.
    pub questions_per_client: u32,
    /// The most questions on the wire at once.
    pub questions_at_once: usize,
    /// The most questions a second, in total.
    pub questions_per_second: u32,
    /// The most questions a second about one registrable domain (or network of addresses), so that
    /// nobody can aim us at a victim's name servers.
    pub questions_per_domain: u32,
    /// The most questions a second that one who asks us (an IPv6 /64) may cause.
    pub questions_per_asker: u32,
    /// The most pairs that are looked up at once; looking ahead takes at most half of them.
    pub clients_at_once: usize,
    /// The most pairs that wait to be looked up ahead.
    pub clients_ahead: usize,
    /// Memory for answers, in bytes, roughly.
    pub question_cache_bytes: u64,
    /// Memory for findings, in bytes, roughly.
    pub finding_cache_bytes: u64,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            resolvers: Vec::new(),
            wait: Duration::from_millis(400),
            question_timeout: Duration::from_secs(2),
            aliases: ALIAS_LINKS_MAX,
            // The time that RFC 7208 section 4.6.4 wants to allow for one evaluation.
            limit: Duration::from_secs(20),
            systems: System::ALL.to_vec(),
            options: Arc::default(),
            holds: Holds::default(),
            questions_per_client: 40,
            questions_at_once: 1024,
            questions_per_second: 50_000,
            questions_per_domain: 500,
            questions_per_asker: 40_000,
            clients_at_once: 1024,
            clients_ahead: 100_000,
            question_cache_bytes: 64 << 20,
            finding_cache_bytes: 64 << 20,
        }
    }
}

/// Why live look-ups cannot start.
#[derive(Debug, Error)]
pub enum LiveError {
    /// Called outside a tokio runtime: a mistake in the program.
    #[error("live look-ups need a running tokio runtime")]
    NoRuntime,
    /// The system's resolver configuration is unreadable or names no server; name some.
    #[error("reading the system's resolver configuration: {0}")]
    SystemResolvers(String),
    /// A metric of this name exists already: two instances on one registry.
    #[error("registering the metrics of live look-ups: {0}")]
    Metrics(#[from] prometheus::Error),
}

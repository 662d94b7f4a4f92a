//! The settings of the live look-ups, and what may be wrong with them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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
    /// How long one question may take, over UDP and TCP together.
    pub question_timeout: Duration,
    /// How long all questions about one pair may take.
    pub limit: Duration,
    /// The systems that are asked, in the order in which they are shown.
    pub systems: Vec<System>,
    /// Limits within the systems.
    pub options: Arc<Options>,
    /// How long answers hold.
    pub holds: Holds,
    /// The most questions about one pair that are not answered from memory.
    pub questions_per_client: u32,
    /// The most questions on the wire at once.
    pub questions_at_once: usize,
    /// The most questions about one registrable domain (or /16, or IPv6 /32) in a minute, so that
    /// nobody can aim us at a victim's name servers.
    pub questions_per_domain: u32,
    /// The most pairs that are looked up at once; looking ahead takes at most half of them.
    pub clients_at_once: usize,
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
            // The time that RFC 7208 section 4.6.4 wants to allow for one evaluation.
            limit: Duration::from_secs(20),
            systems: System::ALL.to_vec(),
            options: Arc::default(),
            holds: Holds::default(),
            questions_per_client: 40,
            questions_at_once: 256,
            questions_per_domain: 600,
            clients_at_once: 1024,
            question_cache_bytes: 48 << 20,
            finding_cache_bytes: 48 << 20,
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
    /// The resolver cannot be set up.
    #[error("setting up the resolver: {0}")]
    Resolver(String),
    /// A metric of this name exists already: two instances on one registry.
    #[error("registering the metrics of live look-ups: {0}")]
    Metrics(#[from] prometheus::Error),
}

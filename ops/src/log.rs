//! The daemon's own log: standard error, which systemd and containers collect.
//!
//! The level is `[daemon] log-level`, and changes with it on SIGHUP. hickory logs two lines per query at
//! `info`; its crates are held to warnings.

use std::io;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::LogLevel;

/// The running log.
pub struct Log(Handle<EnvFilter, Registry>);

impl Log {
    /// Starts logging. A second start in one process keeps the first.
    pub fn start(level: LogLevel) -> Self {
        let (filter, handle) = reload::Layer::new(filter(level));
        let lines = fmt::layer()
            .with_writer(io::stderr)
            .with_target(false)
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
        tracing_subscriber::registry().with(filter.and_then(lines)).try_init().ok();
        Self(handle)
    }

    /// Logs at this level from now on.
    pub fn set_level(&self, level: LogLevel) {
        if self.0.reload(filter(level)).is_err() {
            tracing::warn!("The log level could not be changed");
        }
    }
}

/// Keeps panics of sled off standard error: each is caught where sled is called and becomes an error that says
/// the same in a sentence. All others are told as ever.
pub fn quiet_sled() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_sled = |file: &str| file.contains("/sled-");
        if !panic.location().is_some_and(|location| is_sled(location.file())) {
            tell(panic);
        }
    }));
}

fn filter(level: LogLevel) -> EnvFilter {
    let word = level.word();
    EnvFilter::new(format!(
        "{word},hickory_server=warn,hickory_resolver=warn,hickory_net=warn,hickory_proto=warn,sled=warn"
    ))
}

//! The policy service of the daemon: from the configuration to sockets, words and lessons.
//!
//! In go a configuration and a judge; out come sockets that are bound before anything else is done ([`Desk::bind`]),
//! and answers ([`Desk::open`]). If the configuration names a reporter, what is asked goes to the ledger as one more
//! source, beside the logs. The zones of kind `wl`, and the page that explains, are those of the first `[[zone]]`
//! that has one.

use std::sync::Arc;

use helostat_ingest::fate::Program;
use helostat_ingest::pipeline::{Followed, InUse};
use helostat_ingest::reader::FormatChoice;
use helostat_ingest::source::told::{Teller, Told, told};
use helostat_server::ledger_judge::LedgerJudge;
use helostat_server::postfix::metrics::Metrics;
use helostat_server::postfix::{
    BindError, Counsel, Learning, PostfixConfig, Results, Sockets, Ways,
};
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ZoneKind};
use crate::settings::{self, Lines};

/// The source's name in the ledger, and its label among the logs.
const SOURCE: &str = "postfix-service";

/// Bound sockets, and where what is asked there goes.
pub struct Desk {
    sockets: Sockets,
    teller: Option<Teller>,
}

/// A desk at which somebody answers.
pub struct Open {
    counsel: Arc<Counsel<LedgerJudge>>,
    done: JoinHandle<()>,
}

impl Desk {
    /// Binds every address of the configuration; with it comes what is to be followed, if anything is to be learned.
    pub fn bind(config: &Config) -> anyhow::Result<(Self, Option<(Followed, Told)>)> {
        let sockets = Sockets::bind(limits(config))?;
        let endpoints = sockets.endpoints();
        if endpoints.is_empty() {
            return Ok((Self { sockets, teller: None }, None));
        }
        tracing::info!(?endpoints, "listens for Postfix");
        let Some(reporter) = &config.postfix.reporter else {
            return Ok((Self { sockets, teller: None }, None));
        };
        let lines = Lines {
            format: FormatChoice::Only(Program::Json),
            reporter,
            reporter_kind: config.postfix.reporter_kind,
            time_zone: Some("UTC"),
        };
        let followed = Followed {
            label: SOURCE.to_owned(),
            learning: settings::learning(config, &lines)?,
            batching: settings::batching(config),
            in_use: InUse::default(),
        };
        let (teller, source) = told(SOURCE, config.postfix.queue as usize);
        Ok((Self { sockets, teller: Some(teller) }, Some((followed, source))))
    }

    /// Answers until `shutdown`.
    pub fn open(
        self,
        config: &Config,
        judge: Arc<LedgerJudge>,
        registry: &Registry,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Open> {
        let learning = self.teller.map(|teller| Learning {
            reporter: config.postfix.reporter.as_deref().unwrap_or(SOURCE).into(),
            tell: Arc::new(move |observation| teller.tell(observation)),
        });
        let metrics = Metrics::register(registry)?;
        let patience = config.postfix.answer;
        let counsel = Arc::new(Counsel::new(judge, ways(config), learning, patience, metrics));
        let done = self.sockets.serve(counsel.clone(), shutdown)?;
        Ok(Open { counsel, done })
    }
}

impl Open {
    /// Who answers.
    pub fn counsel(&self) -> &Counsel<LedgerJudge> {
        &self.counsel
    }

    /// Waits for the last answers, after the shutdown.
    pub async fn closed(self) -> anyhow::Result<()> {
        Ok(self.done.await?)
    }
}

/// Whether this is what binding failed of.
pub fn is_bind_error(error: &anyhow::Error) -> bool {
    error.is::<BindError>()
}

fn limits(config: &Config) -> PostfixConfig {
    let postfix = &config.postfix;
    PostfixConfig {
        listen: postfix.listen.clone(),
        mode: postfix.socket_mode.0,
        allow: postfix.allow.clone(),
        connections: postfix.connections as usize,
        request_bytes: usize::try_from(postfix.request_length.0).unwrap_or(usize::MAX),
        stall: postfix.stall,
        idle: postfix.idle,
        answer: postfix.answer,
    }
}

/// What is done with whom.
pub fn ways(config: &Config) -> Ways {
    let postfix = &config.postfix;
    let wl = config.zones.iter().find(|zone| zone.kinds.contains(&ZoneKind::Wl));
    let results = postfix.authserv_id.as_ref().zip(wl).map(|(authserv_id, zone)| Results {
        authserv_id: authserv_id.to_string(),
        zone: format!("{}.{}", ZoneKind::Wl.word(), zone.origin),
        caps: settings::caps(zone),
    });
    Ways {
        trusted: postfix.trusted,
        known: postfix.known,
        new: postfix.new,
        suspect: postfix.suspect,
        listed: postfix.listed,
        header: postfix.header.0.clone(),
        page: config.zones.iter().find_map(|zone| zone.page.clone()),
        results,
    }
}

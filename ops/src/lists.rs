//! Keeps the operator's lists as their files are, and the judge told of those that decide.
//!
//! In go the lists; out come log lines, metrics, and lists whose content is that of the files. They are read before the first question,
//! every `list-check`, and at a reload. What is wrong in a file is told by its line; what cannot be read leaves
//! the old content in force, until the file changes. `files` are names without folders.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `helostat_list_entries` | `zone`, `files` | entries in force |
//! | `helostat_list_skipped_lines` | `zone`, `files` | lines of the content in force that could not be understood |
//! | `helostat_list_failed` | `zone`, `files` | 1 if the files could not be read when they last changed |
//! | `helostat_list_read_timestamp_seconds` | `zone`, `files` | when the content in force was read |

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use helostat_server::ledger_judge::LedgerJudge;
use helostat_server::list::{List, Report};
use helostat_zones::operator::DecidingList;
use helostat_zones::time::Time;
use prometheus::{IntGaugeVec, Opts, Registry};
use tokio_util::sync::CancellationToken;

use crate::command::decisions::now;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::{out, settings};

/// The most skipped lines of a dataset that are logged one by one.
const LOGGED: usize = 10;

/// The lists of the configuration that decide, read now, for who works without the daemon. What cannot be read is told.
///
/// # Errors
///
/// A name that is no domain name.
pub fn deciding(config: &Config) -> Result<Vec<DecidingList>, Failure> {
    let lists = settings::lists(config).map_err(|error| Failure::new(Exit::Usage, error))?;
    let mut deciding = Vec::new();
    for list in lists.iter().filter(|list| list.config().decides.is_some()) {
        let failed = list.refresh(now()).into_iter().filter_map(|report| report.result.err());
        failed.for_each(|error| out::note(format!("{error}; the list decides nothing")));
        deciding.extend(list.deciding());
    }
    Ok(deciding)
}

/// The lists, and how they do.
#[derive(Clone, Debug)]
pub struct Lists {
    lists: Arc<[Arc<List>]>,
    entries: IntGaugeVec,
    skipped: IntGaugeVec,
    failed: IntGaugeVec,
    read: IntGaugeVec,
    /// Held while files are read and the judge is told: so what it is told last is the newest.
    taking: Arc<Mutex<()>>,
}

impl Lists {
    /// With metrics that are registered.
    ///
    /// # Errors
    ///
    /// The registry has them already.
    pub fn new(lists: &[Arc<List>], registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &["zone", "files"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        Ok(Self {
            lists: lists.into(),
            entries: gauge("helostat_list_entries", "Entries of a list in force")?,
            skipped: gauge(
                "helostat_list_skipped_lines",
                "Lines of a list in force that could not be understood",
            )?,
            failed: gauge("helostat_list_failed", "1 if the files of a list could not be read")?,
            read: gauge(
                "helostat_list_read_timestamp_seconds",
                "When the content of a list in force was read",
            )?,
            taking: Arc::default(),
        })
    }

    /// The lists.
    pub fn all(&self) -> Vec<Arc<List>> {
        self.lists.to_vec()
    }

    /// Reads what has changed, and tells the judge if a list that decides has. Blocks.
    pub fn refresh(&self, now: Time, judge: &LedgerJudge) {
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut decide_anew = false;
        for list in self.lists.iter() {
            for report in list.refresh(now) {
                decide_anew |= report.result.is_ok() && list.config().decides.is_some();
                self.tell(&report, now);
            }
        }
        if decide_anew {
            let deciding: Vec<_> = self.lists.iter().filter_map(|list| list.deciding()).collect();
            judge.set_lists(&deciding);
        }
    }

    /// Looks every `every` whether something has changed, until `shutdown`; never for no time at all.
    pub async fn keep(self, every: Duration, judge: Arc<LedgerJudge>, shutdown: CancellationToken) {
        if every.is_zero() || self.lists.is_empty() {
            return;
        }
        while shutdown.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            let (lists, judge) = (self.clone(), judge.clone());
            let refreshed = tokio::task::spawn_blocking(move || lists.refresh(now(), &judge)).await;
            if let Err(error) = refreshed {
                tracing::error!(%error, "Lists could not be looked at");
            }
        }
    }

    fn tell(&self, report: &Report, now: Time) {
        let zone = report.zone.as_str();
        // Without their folders, which are nobody's business who may see metrics.
        let names = report.dataset.files.iter().filter_map(|file| file.file_name());
        let files: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
        let files = files.join(",");
        let labels = [zone, files.as_str()];
        self.failed.with_label_values(&labels).set(i64::from(report.result.is_err()));
        match &report.result {
            Ok(read) => {
                let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
                let skipped = usize::try_from(read.complaints.count).unwrap_or(usize::MAX);
                self.entries.with_label_values(&labels).set(count(read.entries));
                self.skipped.with_label_values(&labels).set(count(skipped));
                self.read.with_label_values(&labels).set(i64::from(now.0));
                for complaint in read.complaints.kept.iter().take(LOGGED) {
                    tracing::warn!(zone, "A line of a list: {complaint}");
                }
                if skipped > LOGGED {
                    tracing::warn!(zone, files, skipped, "More lines of a list are like these");
                }
                tracing::info!(
                    zone,
                    files,
                    entries = read.entries,
                    memory = read.memory,
                    took_ms = count(report.took.as_millis() as usize),
                    "A list was read"
                );
            }
            Err(error) => {
                tracing::error!(
                    zone,
                    files,
                    "A list could not be read, what was read before stays: {error}"
                );
            }
        }
    }
}

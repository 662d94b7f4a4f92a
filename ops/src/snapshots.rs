//! The daemon's own snapshots: one every `snapshot-interval`, the newest `snapshots` of them kept.
//!
//! They are what a damaged ledger is rebuilt from, so one that cannot be taken is a warning of `/healthz`, a
//! metric and a line of the log, and is tried again after [`RETRY`]. Taking one holds up neither answers nor
//! commits for longer than a part of the tables takes, works half of the time at most, and is given up at once
//! when the daemon ends. The first comes soon after a start if there is none, or an old one; an empty ledger
//! has none.
//!
//! The same thread looks after what was set aside (`rescue`): the warning of it ends when it was removed.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use helostat_zones::ledger::{Ledger, StoreError, snapshot, snapshots_of};
use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge, Registry};

use crate::command::ledger::snapshot::{Written, write};
use crate::config::Config;
use crate::health::Health;
use crate::rescue;

/// How long after the start the first one may come: mail is learned first.
const SOON: Duration = Duration::from_secs(5);
/// How often is looked whether one is due.
const LOOK: Duration = Duration::from_secs(30);
/// How long to wait after a failure; each try writes until the disk is full.
const RETRY: Duration = Duration::from_secs(600);
/// How often the thread looks whether it is to end.
const NAP: Duration = Duration::from_millis(50);
/// The longest pause after a part; after a short part it is as long as that took.
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// How long the end of the daemon waits for the thread.
const LAST_MOMENT: Duration = Duration::from_millis(200);

/// Takes snapshots, and keeps some.
pub struct Keeper {
    ledger: Arc<Ledger>,
    path: PathBuf,
    interval: Duration,
    keep: usize,
    health: Arc<Health>,
    metrics: Metrics,
    /// Held while one is taken.
    working: Mutex<()>,
    /// The warning in force.
    trouble: Mutex<Option<String>>,
    /// What was said of databases that were set aside.
    set_aside: Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// What is counted.
struct Metrics {
    newest: IntGauge,
    failures: IntCounter,
    rescued: IntGauge,
}

impl Metrics {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            newest: IntGauge::new(
                "helostat_ledger_snapshot_timestamp_seconds",
                "When the newest snapshot in the ledger's folder was taken.",
            )?,
            failures: IntCounter::new(
                "helostat_ledger_snapshot_failures_total",
                "Snapshots that could not be taken.",
            )?,
            rescued: IntGauge::new(
                "helostat_ledger_rescued",
                "Damaged databases that lie set aside in the ledger's folder.",
            )?,
        };
        registry.register(Box::new(metrics.newest.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.rescued.clone()))?;
        Ok(metrics)
    }
}

impl Keeper {
    /// Nothing is taken before `start`.
    pub fn new(
        config: &Config,
        ledger: Arc<Ledger>,
        health: Arc<Health>,
        registry: &Registry,
    ) -> prometheus::Result<Arc<Self>> {
        let keeper = Self {
            ledger,
            path: config.ledger.path.clone(),
            interval: config.ledger.snapshot_interval,
            keep: config.ledger.snapshots as usize,
            health,
            metrics: Metrics::register(registry)?,
            working: Mutex::default(),
            trouble: Mutex::default(),
            set_aside: Mutex::default(),
            stop: AtomicBool::new(false),
        };
        keeper.look_at_what_was_set_aside();
        keeper.metrics.newest.set(keeper.newest().map_or(0, seconds));
        Ok(Arc::new(keeper))
    }

    /// Takes a snapshot into the ledger's own folder and removes those that are too many. `progress` may end it.
    pub fn take(
        &self,
        progress: &mut dyn FnMut(u16, u16) -> ControlFlow<()>,
    ) -> Result<Written, StoreError> {
        let _working = self.working.lock();
        let folder = snapshots_of(&self.path);
        let begun = Instant::now();
        let written =
            write(&self.ledger, &folder, progress).inspect_err(|error| self.failed(error))?;
        tracing::info!(
            file = %written.file.display(), bytes = written.bytes,
            seconds = begun.elapsed().as_secs(), "took a snapshot"
        );
        self.metrics.newest.set(seconds(SystemTime::now()));
        if let Some(what) = self.trouble.lock().take() {
            self.health.mended(&what);
        }
        if let Err(error) = snapshot::prune(&folder, self.keep) {
            tracing::warn!("removing old snapshots from {}: {error}", folder.display());
        }
        Ok(written)
    }

    fn failed(&self, error: &StoreError) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        self.metrics.failures.inc();
        let what = error.to_string();
        tracing::warn!("{what}");
        self.health.trouble(&what);
        let before = self.trouble.lock().replace(what.clone());
        if let Some(before) = before.filter(|before| *before != what) {
            self.health.mended(&before);
        }
    }

    /// Begins to take them, on a thread of its own.
    pub fn start(self: &Arc<Self>) -> std::io::Result<JoinHandle<()>> {
        let keeper = self.clone();
        std::thread::Builder::new().name("snapshots".into()).spawn(move || keeper.work())
    }

    /// Ends the thread; what it has in hand is given up.
    pub fn stop(&self, thread: JoinHandle<()>) {
        self.stop.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < LAST_MOMENT {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn work(&self) {
        self.sleep(SOON);
        while !self.stop.load(Ordering::Relaxed) {
            self.look_at_what_was_set_aside();
            let done = !self.is_due() || self.take(&mut self.unhurried()).is_ok();
            self.sleep(if done { LOOK } else { RETRY });
        }
    }

    fn is_due(&self) -> bool {
        if self.interval.is_zero() || self.ledger.seq() == 0 {
            return false;
        }
        // A clock that went back makes it due, too.
        let age = self.newest().map(|newest| newest.elapsed().unwrap_or(Duration::MAX));
        age.is_none_or(|age| age >= self.interval)
    }

    /// When the newest snapshot was taken.
    fn newest(&self) -> Option<SystemTime> {
        let newest = snapshot::newest(&snapshots_of(&self.path)).ok()??;
        newest.metadata().and_then(|data| data.modified()).ok()
    }

    /// A progress that leaves half of the time to others, and ends with the daemon.
    fn unhurried(&self) -> impl FnMut(u16, u16) -> ControlFlow<()> {
        let mut begun = Instant::now();
        move |_, _| {
            std::thread::sleep(begun.elapsed().min(PAUSE_MAX));
            begun = Instant::now();
            if self.stop.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }

    fn look_at_what_was_set_aside(&self) {
        let told = rescue::told(&self.path);
        self.metrics.rescued.set(i64::try_from(told.len()).unwrap_or(i64::MAX));
        for what in &told {
            self.health.trouble(what);
        }
        let before = std::mem::replace(&mut *self.set_aside.lock(), told.clone());
        for what in before.iter().filter(|what| !told.contains(what)) {
            self.health.mended(what);
        }
    }

    fn sleep(&self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(NAP);
        }
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

//! `helostat run`: everything in one process, from its start to its orderly end.
//!
//! In this order, so that whatever is wrong is said before anything is changed: bind every address (for questions,
//! HTTP, what other hosts log), look at the logs, give up every privilege, say over HTTP how things stand, open the ledger, then answer, then follow. The end is the reverse: no new questions,
//! the batch in hand committed, the ledger folded, within two seconds. SIGTERM and Ctrl-C end; SIGHUP
//! (and whoever asks on the control socket) reads the configuration again and takes over what can change while running.
//!
//! Threads: tokio's for DNS and HTTP, one for each followed log, one for snapshots. A log's thread never
//! waits for tokio, and an answer never waits for a log.

use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use helostat_ingest::metrics::Metrics as IngestMetrics;
use helostat_ingest::pipeline::{self, Followed, Watcher};
use helostat_ingest::source::syslog::Sockets;
use helostat_ingest::source::told::Told;
use helostat_ingest::source::{self, Journal, Source, names};
use helostat_ingest::unread::Sample;
use helostat_server::config::DnsConfig;
use helostat_server::handler::Handler;
use helostat_server::ledger_judge::LedgerJudge;
use helostat_server::listen::Listeners;
use helostat_server::live::Live;
use helostat_server::metrics::Metrics as DnsMetrics;
use helostat_server::publisher::Publisher;
use helostat_zones::ledger::Ledger;
use helostat_zones::name::Name;
use prometheus::Registry;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::cli::ConfigArgs;
use crate::command::decisions::now;
use crate::command::load_config;
use crate::config::Config;
use crate::control::socket_path;
use crate::example::{self, ExampleDns};
use crate::exit::{Exit, Failure};
use crate::health::Health;
use crate::http::{self, Pages, Reload};
use crate::lists::Lists;
use crate::log::Log;
use crate::postfix::{self, Desk};
use crate::privileges::{self, Dropped};
use crate::settings::Place;
use crate::snapshots::Keeper;
use crate::{guards, ledger_metrics, rescue, settings, welcome};

/// How long the threads of the logs may take to commit what they have in hand.
const LAST_COMMIT: Duration = Duration::from_millis(1500);
/// How long after the signal to end all of it must be over.
const LAST_MOMENT: Duration = Duration::from_millis(1900);

/// Runs the daemon until it is told to end.
pub fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let config = load_config(args)?;
    let log = Log::start(config.daemon.log_level);
    // The example takes the place of a file, its warnings are nobody's business.
    if !args.example {
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
    }
    let bound = Bound::new(args, &config)?;
    // Before the first thread of the runtime, which would keep what it was born with.
    match privileges::drop_all() {
        Ok(Dropped::None) => {}
        Ok(Dropped::These(capabilities)) => {
            tracing::info!(?capabilities, "gave up what it needed for its ports");
        }
        Ok(Dropped::Root) => {
            tracing::info!("helostat runs as root, which it need not: see helostat.service");
        }
        Err(error) => tracing::warn!("Privileges could not be given up: {error}"),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.dns.thread_count().max(2))
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(args, config, bound, &log));
    // Not waiting for what a disk may still hold up.
    runtime.shutdown_background();
    served
}

/// Everything that may take a privilege: every socket bound, every log looked at.
struct Bound {
    dns: DnsConfig,
    listeners: Listeners,
    http: Option<StdTcpListener>,
    desk: Desk,
    ears: Vec<Ear>,
}

impl Bound {
    fn new(args: &ConfigArgs, config: &Config) -> Result<Self, Failure> {
        let dns = settings::dns(config);
        let listeners = Listeners::bind(&dns).map_err(|error| Failure::new(Exit::Listen, error))?;
        let http = config.http.listen.map(bind_http).transpose()?;
        if args.example {
            refuse_second_example(&config.ledger.path)?;
            example::prepare(&example::directory(), jiff::Zoned::now())?;
        }
        let ears = settings::followed(config).map_err(|error| Failure::new(Exit::Usage, error))?;
        let mut ears: Vec<_> = ears
            .into_iter()
            .map(|(followed, place)| Ok(Ear { followed, what: Ready::of(place)? }))
            .collect::<Result<_, Failure>>()?;
        let (desk, asked) = Desk::bind(config).map_err(|error| {
            let exit = if postfix::is_bind_error(&error) { Exit::Listen } else { Exit::Usage };
            Failure::new(exit, error)
        })?;
        let told = |(followed, told)| Ear { followed, what: Ready::Told(Box::new(told)) };
        ears.extend(asked.map(told));
        Ok(Self { dns, listeners, http, desk, ears })
    }
}

async fn serve(
    args: &ConfigArgs,
    mut config: Config,
    bound: Bound,
    log: &Log,
) -> Result<(), Failure> {
    // Heard from the first moment, since it ends who does not listen; what ends us may do so until there
    // is something to end in order.
    let hangup = signal(SignalKind::hangup())?;
    let Bound { dns: mut dns_config, listeners, http, desk, ears } = bound;
    let dns_addresses = listeners.local_addrs();
    let http_address = http.as_ref().and_then(|listener| listener.local_addr().ok());

    let example_dns = if args.example {
        let dns = ExampleDns::start().await?;
        config.live.resolver = vec![dns.address()];
        // Those of the last time, whose file is gone by now.
        (config.decisions, config.ended) = (Arc::default(), Vec::new());
        dns_config.retired.clear();
        Some(dns)
    } else {
        None
    };

    let health = Arc::new(Health::default());
    let registry = Registry::new();
    let shutdown = CancellationToken::new();
    let judge_to_be = Arc::new(OnceLock::new());
    let keeper_to_be = Arc::new(OnceLock::new());
    let (ask_to_reload, asked) = mpsc::channel(8);
    let pages = Pages {
        health: health.clone(),
        registry: registry.clone(),
        judge: judge_to_be.clone(),
        keeper: keeper_to_be.clone(),
        reload: ask_to_reload,
    };
    // Opening a large ledger takes a while; whoever watches is told so, instead of nothing.
    if let Some(listener) = http {
        serve_http(listener, pages.clone(), shutdown.clone())?;
    }
    tracing::info!(http = ?http_address, ledger = %config.ledger.path.display(), "opening the ledger");
    let (path, bounds) = (config.ledger.path.clone(), settings::bounds(&config));
    let opened = tokio::task::spawn_blocking(move || rescue::open(&path, bounds)).await?;
    let ledger = Arc::new(opened?);
    let keeper = Keeper::new(&config, ledger.clone(), health.clone(), &registry)?;
    keeper_to_be.get_or_init(|| keeper.clone());
    health.ledger_open();
    ledger_metrics::register(&registry, &ledger)?;
    let live = Live::new(settings::live(&config), &registry)?;
    let policy = settings::policy(&config);
    let judge = Arc::new(LedgerJudge::new(ledger.clone(), live.clone(), policy));
    judge.set_decisions(config.decisions.clone());
    judge.guard().set_config(settings::guard(&config));
    guards::register(&registry, &judge)?;
    let _publisher = Publisher::start(judge.clone())
        .inspect_err(|error| tracing::warn!("No thread to judge ahead: {error}"));
    judge_to_be.get_or_init(|| judge.clone());
    let unsound = |error| Failure::new(Exit::Usage, error);
    let lists = Lists::new(&settings::lists(&config).map_err(unsound)?, &registry)?;
    // Before the first question: who asks a list that is not there yet would be told nothing.
    let (reading, told) = (lists.clone(), judge.clone());
    tokio::task::spawn_blocking(move || reading.refresh(now(), &told)).await?;
    dns_config.lists = lists.all();
    let handler = Handler::new(judge.clone(), &dns_config, DnsMetrics::register(&registry)?);
    let handler = Arc::new(handler.map_err(|error| Failure::new(Exit::Usage, error))?);
    let ingest_metrics = IngestMetrics::register(&registry)?;

    let dns_done = listeners.serve(handler.clone(), shutdown.clone())?;
    let desk = desk.open(&config, judge.clone(), &registry, shutdown.clone())?;
    let every = config.dns.list_check;
    tokio::spawn(lists.clone().keep(every, judge.clone(), shutdown.clone()));
    let control = Control::start(&config.ledger.path, pages, shutdown.clone())
        .inspect_err(|error| tracing::warn!("{error:#}; commands cannot ask this daemon"))
        .ok();
    // Before anybody is told that it runs: who is told may end it at once.
    let mut ends = Ends::listen()?;
    health.listening();
    tracing::info!(
        dns = ?dns_addresses, logs = ears.len(), "helostat answers"
    );

    let (told, caught_up) = oneshot::channel();
    let attendant = Arc::new(Attendant::new(live.clone(), health, ears.len(), told));
    let ears = Ears::start(ears, &ledger, &attendant, &ingest_metrics);
    // What the example learned can be had again at any time.
    let snapshots = if args.example { None } else { Some(keeper.start()?) };
    let mut ended = false;
    if args.example {
        // The first answers should not be of an empty ledger; but if learning is slow, show what there is.
        let learned = tokio::time::timeout(Duration::from_secs(30), caught_up);
        tokio::select! {
            _ = learned => {
                welcome::print(&config, &ledger, dns_addresses.first().copied(), http_address)?;
            }
            () = ends.next() => ended = true,
        }
    }
    if !ended {
        let desk = &desk;
        let mut reloading = Reloading {
            args,
            running: config,
            hangup,
            asked,
            handler,
            judge,
            live,
            lists,
            desk,
            log,
        };
        reloading.until(&mut ends).await;
    }
    tracing::info!("ending");
    let last_moment = Instant::now() + LAST_MOMENT;
    shutdown.cancel();
    ears.stop();
    // Before the ears are waited for: what was asked last is learned, too.
    desk.closed().await?;
    if let Some(thread) = snapshots {
        tokio::task::spawn_blocking(move || keeper.stop(thread)).await?;
    }
    tokio::task::spawn_blocking(move || ears.join()).await?;
    drop(control);
    dns_done.await?;
    drop(example_dns);
    fold(ledger, last_moment).await?;
    tracing::info!("ended");
    Ok(())
}

/// Folds the journal, so that the next start is quick. A large ledger is left as it is: its journal is
/// short against its shards, and the end must not take long. Nor does it wait beyond `last_moment` for a
/// disk that hangs: a journal that is not folded costs the next start some time, nothing else.
async fn fold(ledger: Arc<Ledger>, last_moment: Instant) -> Result<(), Failure> {
    let folding = tokio::task::spawn_blocking(move || {
        if ledger.sizes().pairs <= 100_000 { ledger.compact() } else { Ok(()) }
    });
    match tokio::time::timeout_at(last_moment.into(), folding).await {
        Ok(folded) => folded?.map_err(|error| Failure::new(Exit::Ledger, error)),
        Err(_) => {
            tracing::warn!("The journal could not be folded in time; the next start reads it");
            Ok(())
        }
    }
}

fn bind_http(address: SocketAddr) -> Result<StdTcpListener, Failure> {
    let bound = StdTcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| {
        Failure::say(Exit::Listen, format!("cannot listen on {address} (HTTP): {error}"))
    })
}

fn serve_http(
    listener: StdTcpListener,
    pages: Pages,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    tokio::spawn(async move {
        let ended = axum::serve(listener, http::public(pages))
            .with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = ended.await {
            tracing::error!("HTTP ended: {error}");
        }
    });
    Ok(())
}

/// The control socket; gone when dropped.
struct Control(PathBuf);

impl Control {
    fn start(ledger: &Path, pages: Pages, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let path = socket_path(ledger);
        // The ledger is ours by its lock, so a socket that is still here is a dead daemon's.
        std::fs::remove_file(&path).ok();
        let listener = UnixListener::bind(&path)
            .with_context(|| format!("making the control socket {}", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        tokio::spawn(async move {
            let ended = axum::serve(listener, http::control(pages))
                .with_graceful_shutdown(shutdown.cancelled_owned());
            if let Err(error) = ended.await {
                tracing::error!("The control socket ended: {error}");
            }
        });
        Ok(Self(path))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// An example that runs has its ledger locked; its folder must not be emptied under it.
fn refuse_second_example(ledger: &Path) -> Result<(), Failure> {
    match crate::control::Daemon::of(ledger) {
        Some(_) => Err(Failure::say(Exit::Ledger, "the example is running already")),
        None => Ok(()),
    }
}

/// A log that can never be read is an error at start; one that is not there yet is waited for.
fn check_readable(path: &Path) -> Result<(), Failure> {
    let unreadable =
        |why: String| Failure::say(Exit::Input, format!("the log {}: {why}", path.display()));
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            return Err(unreadable("it is a directory, not a file".into()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error.to_string())),
    }
    std::fs::File::open(path).map(|_| ()).map_err(|error| unreadable(error.to_string()))
}

/// The signals that end the daemon; one that comes while nobody waits for it is not lost.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Everything that can change while the daemon runs.
struct Reloading<'a> {
    args: &'a ConfigArgs,
    /// What it was started with: what needs a restart is still so, whatever was read since.
    running: Config,
    hangup: Signal,
    asked: mpsc::Receiver<Reload>,
    handler: Arc<Handler<LedgerJudge>>,
    judge: Arc<LedgerJudge>,
    live: Arc<Live>,
    lists: Lists,
    desk: &'a postfix::Open,
    log: &'a Log,
}

impl Reloading<'_> {
    /// Waits for a signal to end; takes over changes of the configuration on SIGHUP, or when asked to.
    async fn until(&mut self, ends: &mut Ends) {
        loop {
            tokio::select! {
                () = ends.next() => return,
                // What is wrong was logged.
                _ = self.hangup.recv() => self.reload().unwrap_or_default(),
                // Who asked may have gone.
                Some(done) = self.asked.recv() => done.send(self.reload()).unwrap_or_default(),
            }
        }
    }

    /// All of the new configuration that can be taken over, or nothing of it.
    fn reload(&mut self) -> Result<(), String> {
        let taken = load_config(self.args).and_then(|mut new| {
            if self.args.example {
                // Its own DNS, which no file names.
                new.live.resolver = self.running.live.resolver.clone();
            }
            let unsound = |error| Failure::new(Exit::Usage, error);
            let dns = DnsConfig { lists: self.lists.all(), ..settings::dns(&new) };
            self.handler.reload(&dns).map_err(unsound)?;
            Ok(new)
        });
        let new = match taken {
            Ok(new) => new,
            Err(failure) => {
                let why = format!("The configuration was not taken over: {:#}", failure.error);
                tracing::error!("{why}");
                return Err(why);
            }
        };
        for key in self.running.restart_needed(&new) {
            tracing::warn!("{key} changed: it takes effect after a restart");
        }
        self.judge.guard().set_config(settings::guard(&new));
        self.judge.set_policy(settings::policy(&new));
        self.judge.set_decisions(new.decisions.clone());
        self.desk.counsel().set_ways(postfix::ways(&new));
        self.live.set_wait(new.live.wait);
        self.lists.refresh(now(), &self.judge);
        self.log.set_level(new.daemon.log_level);
        tracing::info!(decisions = new.decisions.len(), "The configuration was read again");
        Ok(())
    }
}

/// Something to follow that is ready for it.
struct Ear {
    followed: Followed,
    what: Ready,
}

/// What is followed: looked at, bound, or told here.
enum Ready {
    File(PathBuf),
    Journal(Box<Journal>),
    Syslog(Box<Sockets>),
    Told(Box<Told>),
}

impl Ready {
    fn of(place: Place) -> Result<Self, Failure> {
        Ok(match place {
            Place::File(path) => {
                if !names::is_pattern(&path) {
                    check_readable(&path)?;
                }
                Self::File(path)
            }
            Place::Journal(setting) => Self::Journal(Box::new(Journal::new(setting))),
            Place::Syslog(setting) => {
                let sockets =
                    Sockets::bind(setting).map_err(|error| Failure::new(Exit::Listen, error))?;
                tracing::info!(
                    udp = ?sockets.udp_addresses(),
                    tcp = ?sockets.tcp_addresses(),
                    receive_bytes = sockets.receive_bytes(),
                    "listens for syslog"
                );
                Self::Syslog(Box::new(sockets))
            }
        })
    }

    fn source(self, metrics: &IngestMetrics) -> std::io::Result<Box<dyn Source>> {
        Ok(match self {
            Self::File(path) => source::files(path),
            Self::Journal(journal) => journal,
            Self::Syslog(sockets) => Box::new(sockets.listen(metrics.syslog.clone())?),
            Self::Told(told) => told,
        })
    }
}

/// The threads that follow.
struct Ears {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Ears {
    fn start(
        ears: Vec<Ear>,
        ledger: &Arc<Ledger>,
        attendant: &Arc<Attendant>,
        metrics: &IngestMetrics,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = ears
            .into_iter()
            .map(|Ear { followed, what }| {
                let (ledger, attendant) = (ledger.clone(), attendant.clone());
                let (metrics, stop) = (metrics.clone(), stop.clone());
                std::thread::spawn(move || {
                    let follow = || match what.source(&metrics) {
                        Ok(mut source) => pipeline::follow(
                            &followed,
                            source.as_mut(),
                            &ledger,
                            attendant.as_ref(),
                            &metrics,
                            &stop,
                        ),
                        Err(error) => attendant.trouble(
                            &followed.label,
                            &format!("it cannot be listened to: {error}: restart the daemon"),
                        ),
                    };
                    // A fault in one log's thread must be seen, and leaves the others and the answers alone.
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(follow)).is_err() {
                        attendant.trouble(
                            &followed.label,
                            "following it ended by a fault of ours: restart the daemon",
                        );
                    }
                })
            })
            .collect();
        Self { stop, threads }
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for the last commits, but not for ever: a disk that hangs must not keep us here.
    fn join(self) {
        let begun = Instant::now();
        for thread in self.threads {
            while !thread.is_finished() && begun.elapsed() < LAST_COMMIT {
                std::thread::sleep(Duration::from_millis(5));
            }
            if !thread.is_finished() {
                tracing::warn!(
                    "A log could not commit its last lines in time; they will be read again"
                );
            } else if thread.join().is_err() {
                tracing::error!("A log's thread had panicked");
            }
        }
    }
}

/// Sees to what happens to the logs: health, the daemon's own log, and looking ahead.
struct Attendant {
    live: Arc<Live>,
    health: Arc<Health>,
    behind: AtomicUsize,
    told: parking_lot::Mutex<Option<oneshot::Sender<()>>>,
    troubles: parking_lot::Mutex<std::collections::HashMap<String, String>>,
}

impl Attendant {
    fn new(live: Arc<Live>, health: Arc<Health>, logs: usize, told: oneshot::Sender<()>) -> Self {
        Self {
            live,
            health,
            behind: AtomicUsize::new(logs),
            told: parking_lot::Mutex::new(Some(told)),
            troubles: parking_lot::Mutex::default(),
        }
    }
}

impl Watcher for Attendant {
    fn seen(&self, pairs: &[(IpAddr, Name)]) {
        for (ip, name) in pairs {
            self.live.prefetch(*ip, name);
        }
    }

    fn trouble(&self, log: &str, what: &str) {
        let what = format!("{log}: {what}");
        if let Some(before) = self.troubles.lock().insert(log.to_owned(), what.clone()) {
            self.health.mended(&before);
        }
        if self.health.trouble(&what) {
            tracing::warn!("{what}");
        }
    }

    fn mended(&self, log: &str) {
        if let Some(what) = self.troubles.lock().remove(log) {
            self.health.mended(&what);
            tracing::info!("{log}: read again");
        }
    }

    fn unread(&self, log: &str, sample: &Sample) {
        tracing::info!(
            program = sample.program.word(), why = sample.why, line = %sample.line,
            "{log}: a line could not be read; more of this kind are counted, and one is shown every ten minutes"
        );
    }

    fn hides_names(&self, log: &str, what: &str) {
        tracing::warn!("{log}: {what}");
    }

    fn behind(&self, log: &str, octets: u64, age: Duration) {
        let (megabytes, minutes) = (octets as f64 / 1e6, age.as_secs() / 60);
        tracing::warn!(
            "{log}: {megabytes:.1} MB behind; what is read now is {minutes} minutes old"
        );
    }

    fn no_longer_behind(&self, log: &str) {
        tracing::info!("{log}: no longer behind");
    }

    fn caught_up(&self, log: &str) {
        tracing::info!("{log}: read to its end, following it");
        if self.behind.fetch_sub(1, Ordering::Relaxed) == 1
            && let Some(told) = self.told.lock().take()
        {
            // Nobody waits unless this is the example.
            told.send(()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use helostat_zones::ledger::store::{Key, Store};
    use helostat_zones::ledger::{Batch, Bounds, StoreError};

    use super::*;

    /// A store on a disk that hangs.
    struct Hanging;

    impl Store for Hanging {
        fn get(&self, _key: Key) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(None)
        }

        fn entries(&self) -> Result<Vec<u64>, StoreError> {
            Ok(Vec::new())
        }

        fn committed(&self) -> Option<u64> {
            None
        }

        fn put(&mut self, _key: Key, _record: &[u8]) -> Result<(), StoreError> {
            Ok(())
        }

        fn trim(&mut self, _through: u64) -> Result<(), StoreError> {
            Ok(())
        }

        fn commit(&mut self) -> Result<(), StoreError> {
            loop {
                std::thread::park();
            }
        }

        fn disk_bytes(&self) -> u64 {
            0
        }

        fn path(&self) -> PathBuf {
            "(test)".into()
        }
    }

    #[test]
    fn a_disk_that_hangs_does_not_keep_it() {
        let ledger = Arc::new(
            Ledger::with_store(Box::new(Hanging), Bounds::default()).expect("an empty store"),
        );
        let writer = ledger.clone();
        std::thread::spawn(move || {
            let mut batch = Batch::default();
            batch.reach("log", vec![1]);
            writer.commit(&batch)
        });
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let last_moment = Instant::now() + Duration::from_millis(100);
            let folded = runtime.block_on(fold(ledger, last_moment));
            runtime.shutdown_background();
            done.send(folded.is_ok())
        });
        assert_eq!(ended.recv_timeout(Duration::from_secs(5)), Ok(true));
    }
}

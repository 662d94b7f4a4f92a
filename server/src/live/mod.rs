//! Evidence, live: drives the rules of `helostat_zones::evidence` over the DNS, within limits.
//!
//! In go a client address and the name it said; out come the [`Findings`] that are known within the
//! time the caller can spare. All systems of a pair run at once, in the background: a caller that goes
//! away or runs out of patience loses nothing, the findings are there for the next. Callers about
//! the same pair share one look-up, identical DNS questions of different pairs share one question.
//!
//! - [`config`](LiveConfig): every limit; `metrics`: everything counted
//! - `resolver`: one question, `wire`: one message of it; `cache`: what the DNS has said
//! - `purse`: the questions of one look-up; `rates`: those of a second
//! - [`findings`](Findings): what is known of a pair; `ahead`: pairs that wait to be looked up
//!
//! Never in the way: [`Live::findings`] takes `wait` and no longer, [`Live::cached`] and
//! [`Live::prefetch`] do not wait at all. Never a weapon: a limit that is reached makes a finding
//! `temperror:budget` or leaves it unknown, and is counted. Nothing here fails after the start.
//!
//! Look-ups in the background are plain tasks of the runtime and end within `limit`; they hold no
//! state that a sudden end could damage, so nobody needs to wait for them at shutdown.

mod ahead;
mod cache;
mod config;
mod findings;
mod metrics;
mod purse;
mod rates;
mod resolver;
mod wire;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use helostat_zones::evidence::lookup::Age;
use helostat_zones::evidence::{
    Answer, DnsName, Failure, Finding, Lookup, Publishing, RecordType, System, evaluate,
};
use helostat_zones::name::Name;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

pub use config::{LiveConfig, LiveError};
pub use findings::Findings;
#[doc(hidden)]
pub use resolver::read_reply;

use ahead::Ahead;
use cache::{Payer, Questions};
use findings::{FindingMemory, Subject};
use metrics::{Limit, Metrics};
use purse::Purse;

/// The live look-ups of one process.
pub struct Live {
    config: LiveConfig,
    /// `config.wait` in milliseconds; may change while running.
    wait_ms: AtomicU64,
    runtime: Handle,
    /// None if live look-ups are off: then there is no way to ask anybody.
    questions: Option<Arc<Questions>>,
    memory: FindingMemory,
    /// The pairs being looked up now, and where their findings appear.
    running: Mutex<HashMap<Arc<Subject>, watch::Receiver<Findings>>>,
    ahead: Ahead,
    metrics: Arc<Metrics>,
}

impl Live {
    /// Gets ready; opens no socket until the first question. Must be called inside a tokio runtime,
    /// in which all look-ups will run.
    pub fn new(config: LiveConfig, registry: &Registry) -> Result<Arc<Self>, LiveError> {
        let runtime = Handle::try_current().map_err(|_| LiveError::NoRuntime)?;
        let metrics = Arc::new(Metrics::new(registry)?);
        let questions = match config.enabled {
            true => Some(Arc::new(Questions::new(&config, Arc::clone(&metrics))?)),
            false => None,
        };
        let memory = FindingMemory::new(&config);
        let running = Mutex::new(HashMap::new());
        let ahead = Ahead::new(config.clients_ahead);
        let wait_ms = AtomicU64::new(milliseconds(config.wait));
        Ok(Arc::new(Self { config, wait_ms, runtime, questions, memory, running, ahead, metrics }))
    }

    /// What is known of a pair within `wait`; what is not looks itself up in the background, on behalf of
    /// `asker`. Where nothing came in time, a finding past its time stands in, marked.
    pub async fn findings(self: &Arc<Self>, ip: IpAddr, name: &Name, asker: IpAddr) -> Findings {
        let wait = Duration::from_millis(self.wait_ms.load(Ordering::Relaxed));
        self.findings_within(wait, ip, name, Some(asker)).await
    }

    /// Whether anybody is ever asked; if not, what is unknown stays unknown.
    pub fn is_on(&self) -> bool {
        self.questions.is_some()
    }

    /// The systems that are on.
    pub fn systems(&self) -> &[System] {
        &self.config.systems
    }

    /// Lets answers wait this long from now on.
    pub fn set_wait(&self, wait: Duration) {
        self.wait_ms.store(milliseconds(wait), Ordering::Relaxed);
    }

    /// All findings of a pair, however long that takes, within the limit of a look-up. For people
    /// who ask, not for DNS answers. Unknown remains only what no limit left room for.
    pub async fn complete(self: &Arc<Self>, ip: IpAddr, name: &Name) -> Findings {
        // Each look-up ends by its own limit; the rest is for a busy machine.
        self.findings_within(self.config.limit + Duration::from_secs(1), ip, name, None).await
    }

    /// What is known of a pair now and still holds. Asks nobody.
    pub fn cached(&self, ip: IpAddr, name: &Name) -> Findings {
        self.memory.fresh(&(ip.to_canonical(), name.clone()))
    }

    /// Looks a pair up that will be asked about soon. Takes no time. Looking ahead takes at most half of
    /// the room for look-ups; beyond that pairs wait their turn, and (counted) are left where too many wait.
    pub fn prefetch(self: &Arc<Self>, ip: IpAddr, name: &Name) {
        let subject = subject(ip, name);
        if self.questions.is_none() || self.memory.fresh(&subject).complete() {
            return;
        }
        if self.look_up(&subject, self.room_ahead(), None).is_some() {
            // Whoever comes to ask joins the look-up; nobody waits for it here.
            return;
        }
        if !self.ahead.push(subject) {
            self.metrics.dropped(Limit::Ahead);
        }
        self.metrics.ahead.set(self.ahead.len());
        // One may have ended while this one was put in the line.
        self.next_ahead();
    }

    /// Begins the look-ups that wait, as far as there is room.
    fn next_ahead(self: &Arc<Self>) {
        while self.running.lock().len() < self.room_ahead() {
            let Some(subject) = self.ahead.pop() else { return };
            self.metrics.ahead.set(self.ahead.len());
            if !self.memory.fresh(&subject).complete() {
                drop(self.look_up(&subject, self.config.clients_at_once, None));
            }
        }
    }

    fn room_ahead(&self) -> usize {
        self.config.clients_at_once.div_ceil(2)
    }

    async fn findings_within(
        self: &Arc<Self>,
        wait: Duration,
        ip: IpAddr,
        name: &Name,
        asker: Option<IpAddr>,
    ) -> Findings {
        let subject = subject(ip, name);
        let mut known = self.memory.fresh(&subject);
        if known.complete() || self.questions.is_none() {
            return known;
        }
        match self.look_up(&subject, self.config.clients_at_once, asker) {
            Some(mut progress) => {
                // Too late or ended early: what there is, is there.
                drop(timeout(wait, progress.wait_for(Findings::complete)).await);
                known = progress.borrow().clone();
            }
            None => self.metrics.dropped(Limit::Clients),
        }
        let missing: Vec<System> = known.missing().collect();
        for system in missing {
            if let Some(past) = self.memory.past(system, &subject) {
                self.metrics.stale.inc();
                let left = past.ttl;
                known.put(system, past.into(), left);
            }
        }
        known
    }

    /// Joins the look-up of a pair, or begins it; `None` if there is no room or nobody to ask.
    fn look_up(
        self: &Arc<Self>,
        subject: &Arc<Subject>,
        room: usize,
        asker: Option<IpAddr>,
    ) -> Option<watch::Receiver<Findings>> {
        let questions = Arc::clone(self.questions.as_ref()?);
        let mut running = self.running.lock();
        if let Some(progress) = running.get(subject) {
            return Some(progress.clone());
        }
        if running.len() >= room {
            return None;
        }
        // Looked at again under the lock: a look-up may have ended just now.
        let (sender, progress) = watch::channel(self.memory.fresh(subject));
        running.insert(Arc::clone(subject), progress.clone());
        self.metrics.clients.inc();
        drop(running);
        let place = Place { live: Arc::clone(self), subject: Arc::clone(subject) };
        self.runtime.spawn(run(place, questions, sender, asker));
        Some(progress)
    }
}

fn subject(ip: IpAddr, name: &Name) -> Arc<Subject> {
    Arc::new((ip.to_canonical(), name.clone()))
}

/// A look-up's entry among the running ones: gone when the look-up ends, however it ends.
struct Place {
    live: Arc<Live>,
    subject: Arc<Subject>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.live.running.lock().remove(&self.subject);
        self.live.metrics.clients.dec();
        self.live.next_ahead();
    }
}

/// Runs every system that is not known yet, all at once, and shows each finding as it is made.
async fn run(
    place: Place,
    questions: Arc<Questions>,
    progress: watch::Sender<Findings>,
    asker: Option<IpAddr>,
) {
    let live = &place.live;
    let subject = &place.subject;
    let mut waiting: Vec<System> = progress.borrow().missing().collect();
    let purse = Arc::new(Purse::new(live.config.questions_per_client, &waiting));
    let mut systems = JoinSet::new();
    for &system in &waiting {
        let (purse, subject) = (Arc::clone(&purse), Arc::clone(subject));
        let (questions, options) = (Arc::clone(&questions), Arc::clone(&live.config.options));
        systems.spawn(async move {
            let (ip, name) = &*subject;
            let payer = Payer { purse: &purse, system, asker };
            let lookup = ClientLookup { questions: &questions, payer };
            (system, evaluate(system, &lookup, *ip, name, &options).await)
        });
    }

    let mut held = live.memory.held(subject);
    let mut publish = |system: System, finding: Finding| {
        live.metrics.finding(system, &finding);
        let shown = live.memory.add(&mut held, system, finding);
        if shown.age == Age::Stale {
            live.metrics.stale.inc();
        }
        progress.send_modify(|findings| findings.put(system, shown.finding, shown.left));
    };
    let deadline = Instant::now() + live.config.limit;
    while let Ok(Some(joined)) = timeout_at(deadline, systems.join_next()).await {
        if let Ok((system, finding)) = joined {
            purse.end(system);
            waiting.retain(|&at| at != system);
            publish(system, finding);
        }
    }
    // The limit ended these (or, were there a fault in a rule, a panic did).
    for system in waiting {
        live.metrics.dropped(Limit::Time);
        publish(system, Finding::failed(Failure::Timeout, live.config.holds.failure));
    }
    live.memory.keep(subject, held);
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The DNS as one system of one look-up may use it.
struct ClientLookup<'a> {
    questions: &'a Questions,
    payer: Payer<'a>,
}

impl Lookup for ClientLookup<'_> {
    async fn lookup(&self, name: &DnsName, kind: RecordType, publishing: Publishing) -> Answer {
        self.questions.ask(name, kind, publishing, self.payer).await
    }
}

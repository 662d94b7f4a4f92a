//! Joins what the ledger knows and what the DNS says now, and judges.
//!
//! Every verdict is made from the resident tables when it is asked for: that costs microseconds (up to
//! some milliseconds for a newcomer in a crowded network) and leaves the caching to what is slow (live evidence). What the zones
//! of addresses say of an IPv4 client is published, and said again without being judged again ([`crate::published`]).
//! Look-ups are made
//!
//! - for a client's firmest pair, whoever asks: the name comes from our own logs;
//! - for a pair, or a name by itself, that the ledger knows, whoever asks;
//! - for a pair or a name that only the question brings, if the operator trusts the asker.
//!
//! An answer waits for them at most `live.wait`; then it says what is known, and its `until` is near.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use helostat_zones::answer::Codes;
use helostat_zones::client::{Client, Network};
use helostat_zones::evidence::{Finding, FindingSet, System};
use helostat_zones::explain::{AllFindings, Explanation, Facts, Told};
use helostat_zones::history::{ClientHistory, Clients, NameHistory, NetworkHistory, PairHistory};
use helostat_zones::ledger::{Ledger, Touched, hash_of_text};
use helostat_zones::name::Name;
use helostat_zones::operator::{DecidingList, Decisions};
use helostat_zones::policy::Policy;
use helostat_zones::rules::{self, Case, Feed};
use helostat_zones::time::Time;
use helostat_zones::verdict::{Class, ClientVerdict, NameVerdict, PairVerdict};

mod as_known;

pub(crate) use self::as_known::AsKnown;
use crate::guard::{Guard, GuardConfig, Listing, Standing as Guarding};
use crate::judge::{Asker, Judge};
use crate::live::{Findings, Live};
use crate::published::{Counts, Published, Standing};

/// How long an answer holds that was given before every look-up was back.
const UNFINISHED: Duration = Duration::from_secs(5);

/// What a customer is told of a listing that is not said.
const HELD_BACK: &str = "A guard holds this listing back for now: mail servers are answered as before (see helostat publish).";
/// How long an answer holds that is held back.
const HELD_FOR: Duration = Duration::from_secs(60);
/// Mail taken today or yesterday makes a canary.
const CANARY_DAYS: u32 = 2;
/// So many of those listed beside the table are remembered, and for so long.
const LISTED_KEPT: u64 = 100_000;
const LISTED_FOR: Duration = Duration::from_secs(86_400);
/// So many networks of many clients are remembered, and for so long.
const NETWORKS_KEPT: u64 = 10_000;
const NETWORK_HOLDS: Duration = Duration::from_secs(5);
/// So many clients are given their places at once.
const PLACED_AT_ONCE: usize = 1 << 20;
/// The same of names.
const NAMES_KEPT: u64 = 10_000;
const NAME_HOLDS: Duration = Duration::from_secs(5);
/// A name of so few clients is measured whenever it is asked for.
const SMALL_NAME: u64 = 8;
/// A network of so few clients is measured whenever it is asked for.
const SMALL_NETWORK: usize = 8;

/// Judges from a ledger and live evidence.
pub struct LedgerJudge {
    ledger: Arc<Ledger>,
    live: Arc<Live>,
    /// What clients are measured by: the policy.
    clients: ArcSwap<Clients>,
    decisions: ArcSwap<Decisions>,
    networks: Networks,
    names: Names,
    published: Arc<Published>,
    guard: Guard,
    /// Whom and what the zones list beside the table: IPv6 clients, and names.
    listed_v6: Listed<Client>,
    listed_names: Listed<u64>,
    /// How often policy and decisions changed, counted from a number that no other process begins with.
    changes: AtomicU64,
}

/// Who was listed within the last day.
type Listed<T> = moka::sync::Cache<T, ()>;

/// What the ledger knows of an address.
struct Known {
    ip: IpAddr,
    client: Arc<ClientHistory>,
    network: Arc<NetworkHistory>,
    by: Arc<Clients>,
    decisions: Arc<Decisions>,
    feed: Feed,
    /// For which it is judged.
    now: Time,
}

impl Known {
    fn case<'a>(&'a self, found: &'a FindingSet, in_words: bool) -> Case<'a> {
        Case {
            ip: self.ip,
            client: &self.client,
            network: &self.network,
            findings: rules::Findings(Some(found)),
            decisions: &self.decisions,
            feed: self.feed,
            rdns: None,
            policy: self.by.policy(),
            now: self.now,
            in_words,
        }
    }

    fn firmest_name(&self) -> Option<&Name> {
        self.client.best().map(|pair| &pair.name)
    }
}

impl LedgerJudge {
    /// A judge over these.
    pub fn new(ledger: Arc<Ledger>, live: Arc<Live>, policy: Policy) -> Self {
        Self {
            published: Arc::new(Published::new()),
            guard: Guard::new(GuardConfig::default()),
            listed_v6: remembering(),
            listed_names: remembering(),
            ledger,
            live,
            clients: ArcSwap::from_pointee(Clients::new(policy)),
            decisions: ArcSwap::default(),
            networks: Networks::new(),
            names: Names::new(),
            changes: AtomicU64::new(as_known::first_change()),
        }
    }

    /// Judges by other numbers from now on.
    pub fn set_policy(&self, policy: Policy) {
        self.clients.store(Arc::new(Clients::new(policy)));
        self.names.0.invalidate_all();
        self.changes.fetch_add(1, Ordering::Release);
        self.published.touch_all();
    }

    /// Follows other decisions of the operator's from now on; what lists decide stays as it is.
    pub fn set_decisions(&self, decisions: Arc<Decisions>) {
        self.decisions.rcu(|old| {
            if !old.has_lists() {
                return decisions.clone();
            }
            Arc::new(Decisions::clone(&decisions).with_lists_of(old))
        });
        self.changes.fetch_add(1, Ordering::Release);
        self.published.touch_all();
    }

    /// Follows these lists from now on, behind the operator's own decisions.
    pub fn set_lists(&self, lists: &[DecidingList]) {
        let with = |old: &Arc<Decisions>| Decisions::clone(old).with_lists(lists.to_vec());
        self.decisions.rcu(with);
        self.changes.fetch_add(1, Ordering::Release);
        self.published.touch_all();
    }

    /// The ledger it judges from.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    fn known(&self, ip: IpAddr) -> Known {
        let ip = ip.to_canonical();
        let (by, now) = (self.clients.load_full(), self.guard.judging_time(now()));
        let network = Client::of(ip).network();
        let client = by.history(&self.ledger, Client::of(ip), now);
        // Of who was never seen nothing depends on the neighbours.
        let network = if client.is_empty() {
            Arc::new(NetworkHistory::unknown(network))
        } else {
            self.networks.of(&self.ledger, network)
        };
        let feed = Feed {
            reporters: self.ledger.reporter_kinds().len(),
            warm_since: self.ledger.warm_since(by.policy().crowded_warm_up_days),
        };
        let decisions = self.decisions.load_full();
        Known { ip, client, network, by, decisions, feed, now }
    }

    /// What must be known of the name of a client's firmest pair.
    fn of_firmest(&self, known: &Known) -> Arc<NameHistory> {
        match known.client.best() {
            Some(pair) => self.of_name(known, &pair.name),
            None => Arc::new(NameHistory::unknown()),
        }
    }

    /// What must be known of a name that the client says.
    fn of_name(&self, known: &Known, name: &Name) -> Arc<NameHistory> {
        let Known { by, now, .. } = known;
        // Where else the name stands is only told of newcomers.
        if known.client.pair(name).is_some_and(PairHistory::is_established) {
            let network = known.client.client.network();
            return Arc::new(NameHistory::near(&self.ledger, name, network, by, *now));
        }
        self.names.of(&self.ledger, name, by.policy(), *now)
    }

    /// What the DNS says of an address with a name, waiting no longer than an answer may.
    async fn evidence(&self, ip: IpAddr, name: &Name, asker: Asker) -> Evidence {
        let mut evidence = Evidence::of(&self.live.findings(ip, name, asker.ip).await);
        // Without live look-ups nothing more will come: the answer is as good as it gets.
        evidence.unfinished &= self.live.is_on();
        evidence
    }

    /// What every system said, each finding with the time that it still holds.
    fn shown(&self, findings: &Findings) -> AllFindings {
        let of = |system| {
            if !self.live.is_on() || !self.live.systems().contains(&system) {
                return Some(Finding::off());
            }
            let mut finding = findings.get(system)?.clone();
            finding.ttl = findings.set().left(system)?;
            Some(finding)
        };
        AllFindings(System::ALL.into_iter().map(|system| (system, of(system))).collect())
    }

    /// From now on what is published of clients is told again without being judged again: every client gets its place,
    /// and changes of the ledger are followed.
    pub(crate) fn publish_all(&self) {
        let told = Arc::downgrade(&self.published);
        self.ledger.watch(move |touched| {
            if let Some(told) = told.upgrade() {
                match touched {
                    Touched::Clients(clients) => told.touch(clients),
                    Touched::Any => told.touch_all(),
                }
            }
        });
        // After the watcher: whoever comes meanwhile is told of by one of both.
        let mut clients = Vec::new();
        self.ledger.each_client(&mut |client| {
            clients.push(client);
            if clients.len() == PLACED_AT_ONCE {
                self.published.touch(&clients);
                clients.clear();
            }
            true
        });
        self.published.touch(&clients);
        self.published.is_complete();
    }

    /// The guards before publishing.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// How the guards stand.
    pub fn guarding(&self) -> Guarding {
        self.guard.standing(now())
    }

    /// The operator says that all is well: what is held back is said.
    pub fn force(&self) {
        self.guard.force(self.ledger.newest(), now());
        self.published.touch_all();
    }

    /// A round over all clients is done: so many are listed.
    pub(crate) fn look(&self, listed: usize) {
        let before = self.guarding().causes;
        self.guard.look(listed, self.ledger.newest(), now());
        let causes = self.guarding().causes;
        if before == causes {
            return;
        }
        self.published.touch_all();
        if causes.is_empty() {
            tracing::info!("New listings are no longer held back");
        } else {
            let held: Vec<_> = causes.iter().map(|cause| cause.word()).collect();
            tracing::warn!(
                guards = held.join(","),
                "New listings are held back: see helostat publish"
            );
        }
    }

    /// The verdict as it may be said.
    fn guarded(&self, known: &Known, mut verdict: ClientVerdict) -> ClientVerdict {
        let clock = now();
        verdict.until = self.guard.until(verdict.until, HELD_FOR, clock);
        if verdict.listings.is_empty() {
            self.guard.clears(known.ip);
            return verdict;
        }
        if verdict.decision.is_some() {
            return verdict;
        }
        let client = Client::of(known.ip);
        let last = v4(known.ip).and_then(|ip| self.published.last(ip));
        let was_listed = self.is_listed(known.ip);
        let taken = |pair: &PairHistory| pair.accepted_on.within(known.now.day(), CANARY_DAYS) > 0;
        let taken = known.client.pairs.iter().any(taken);
        let seen = known.client.pairs.iter().map(|pair| pair.last).max().unwrap_or_default();
        if self.guard.admits(Listing { ip: known.ip, taken, was_listed, seen }, clock) {
            if let Client::V6(_) = client {
                self.listed_v6.insert(client, ());
            }
        } else {
            verdict.class = Class::New;
            verdict.held = Some(last.filter(|codes| !codes.is_listed()).unwrap_or_default());
            verdict.until = verdict.until.min(clock.after(HELD_FOR));
        }
        verdict
    }

    /// Is it said to be listed, as it was said last?
    fn is_listed(&self, ip: IpAddr) -> bool {
        match v4(ip) {
            Some(ip) => self.published.last(ip).is_some_and(Codes::is_listed),
            None => self.listed_v6.contains_key(&Client::of(ip)),
        }
    }

    /// Would it not be said to be listed now?
    fn holds_back(&self, ip: IpAddr) -> bool {
        self.guard.never_lists(ip) || (self.guard.holds() && !self.is_listed(ip))
    }

    fn is_held_back(&self, known: &Known, verdict: &ClientVerdict) -> bool {
        !verdict.listings.is_empty() && verdict.decision.is_none() && self.holds_back(known.ip)
    }

    /// A name is said to be bad as before, or not at all.
    fn guard_name(&self, name: &Name, verdict: &mut NameVerdict) {
        verdict.until = self.guard.until(verdict.until, HELD_FOR, now());
        if verdict.codes.is_empty() || verdict.decision.is_some() {
            return;
        }
        let hash = hash_of_text(name.text());
        if !self.guard.holds() {
            self.listed_names.insert(hash, ());
        } else if !self.listed_names.contains_key(&hash) {
            verdict.codes.clear();
            verdict.rating = None;
            verdict.until = verdict.until.min(now().after(HELD_FOR));
        }
    }

    /// What is held against a pair is said if its client is listed, or nothing is held back.
    fn guard_pair(&self, known: &Known, verdict: &mut PairVerdict) {
        verdict.until = self.guard.until(verdict.until, HELD_FOR, now());
        if verdict.listings.is_empty() || verdict.decision.is_some() {
            return;
        }
        if self.holds_back(known.ip) {
            verdict.listings.clear();
            verdict.class = Class::New;
            verdict.until = verdict.until.min(now().after(HELD_FOR));
        }
    }

    /// The shards of what is published, for [`LedgerJudge::publish`].
    pub(crate) fn shards(&self) -> std::ops::Range<usize> {
        self.published.shards()
    }

    /// Judges those clients of a shard who will have to be judged anew `ahead`, as far as nobody has to be asked; of the others
    /// it only notes what they are without that, so that it is known who is newly listed.
    pub(crate) fn publish(&self, shard: usize, ahead: Duration) -> Counts {
        let due = self.published.due(shard, now().after(ahead));
        let judged = due.into_iter().filter(|ip| self.judge_ahead(*ip)).count();
        Counts { judged, ..self.published.count(shard) }
    }

    fn judge_ahead(&self, ip: Ipv4Addr) -> bool {
        let mark = self.published.mark(ip);
        if self.ledger.client(Client::of(ip.into()), |row| row.is_none()) {
            self.published.forget(mark);
            return true;
        }
        if self.judge_resident(ip, false).is_some() {
            return true;
        }
        if self.published.last(ip).is_none() {
            let (known, nothing) = (self.known(ip.into()), FindingSet::default());
            let case = known.case(&nothing, false);
            let verdict =
                self.guarded(&known, rules::judge_client(&case, &self.of_firmest(&known)));
            self.published.put(mark, Codes::of(&verdict), known.now, known.now);
        }
        false
    }

    /// Judges a client from what is known of it, unless somebody would have to be asked; and publishes that.
    fn judge_resident(&self, ip: Ipv4Addr, in_words: bool) -> Option<ClientVerdict> {
        let mark = self.published.mark(ip);
        let known = self.known(ip.into());
        let found = match known.firmest_name() {
            Some(name) if self.live.is_on() => {
                let findings = self.live.cached(known.ip, name);
                findings.complete().then(|| findings.set().clone())?
            }
            _ => FindingSet::default(),
        };
        let best = self.of_firmest(&known);
        let verdict = rules::judge_client(&known.case(&found, in_words), &best);
        let verdict = self.guarded(&known, verdict);
        self.published.put(mark, Codes::of(&verdict), verdict.until, now());
        Some(verdict)
    }

    /// Everything about an address, and a name if one is given. Waits for every look-up.
    pub async fn explain(&self, ip: IpAddr, name: Option<&Name>) -> Explanation {
        let mut known = self.known(ip);
        let network = Client::of(known.ip).network();
        known.network = Arc::new(NetworkHistory::of(&self.ledger, network));
        let asked = name.or_else(|| known.firmest_name()).cloned();
        let findings = match &asked {
            Some(name) => self.live.complete(known.ip, name).await,
            None => self.live.complete(known.ip, &Name::absent()).await,
        };
        let evidence = Evidence::of(&findings);
        let of_firmest = match (name, known.firmest_name()) {
            (Some(name), Some(firmest)) if name != firmest => {
                Evidence::of(&self.live.complete(known.ip, firmest).await)
            }
            _ => evidence.clone(),
        };
        let name_history =
            name.map(|name| NameHistory::of(&self.ledger, name, known.by.policy(), known.now));
        let pair = name.zip(name_history.as_ref()).map(|(name, history)| {
            rules::judge_pair(&known.case(&evidence.found, true), name, history)
        });
        let verdict =
            rules::judge_client(&known.case(&of_firmest.found, true), &self.of_firmest(&known));
        let facts = Facts {
            ip: known.ip,
            name: asked.as_ref(),
            client: &known.client,
            network: &known.network,
            policy: known.by.policy(),
            now: known.now,
        };
        let mut told = Told::of(&facts, &verdict, pair.as_ref(), name_history.as_ref());
        if self.is_held_back(&known, &verdict) {
            told.summary.push(HELD_BACK.to_owned());
        }
        Explanation {
            time: known.now,
            ip: known.ip,
            client: Client::of(known.ip).to_string(),
            told,
            verdict,
            pair,
            name_history,
            evidence: self.shown(&findings),
            name: asked,
            crowd: known.network.crowding(known.by.policy(), known.now).count(),
            network: known.network.as_ref().clone(),
            history: known.client.as_ref().clone(),
        }
    }
}

impl Judge for LedgerJudge {
    async fn client(&self, ip: IpAddr, asker: Asker) -> ClientVerdict {
        let mark = v4(ip).map(|ip| self.published.mark(ip));
        let known = self.known(ip);
        let evidence = match known.firmest_name() {
            Some(name) => self.evidence(known.ip, name, asker).await,
            None => Evidence::default(),
        };
        let mut verdict = rules::judge_client(
            &known.case(&evidence.found, asker.in_words),
            &self.of_firmest(&known),
        );
        verdict.until = evidence.limit(verdict.until, known.now);
        let verdict = self.guarded(&known, verdict);
        if let Some(mark) = mark {
            self.published.put(mark, Codes::of(&verdict), verdict.until, now());
        }
        verdict
    }

    async fn name(&self, name: &Name, asker: Asker) -> NameVerdict {
        let (by, now) = (self.clients.load_full(), self.guard.judging_time(now()));
        let history = self.names.of(&self.ledger, name, by.policy(), now);
        // What the publisher says of a name is the same for every client; take one that said it.
        let said_by = self.ledger.clients_of_name(name, now.day()).clients;
        let said_by = said_by.first().map(|client| client.first_ip());
        let anybody = IpAddr::from([192, 0, 2, 1]);
        let evidence = match said_by {
            Some(ip) => self.evidence(ip, name, asker).await,
            None if asker.trusted && name.is_fqdn() => self.evidence(anybody, name, asker).await,
            None => Evidence::default(),
        };
        let mut verdict = rules::judge_name(
            name,
            &history,
            rules::Findings(Some(&evidence.found)),
            &self.decisions.load(),
            by.policy(),
            now,
        );
        verdict.until = evidence.limit(verdict.until, now);
        self.guard_name(name, &mut verdict);
        verdict
    }

    async fn pair(&self, ip: IpAddr, name: &Name, asker: Asker) -> PairVerdict {
        let known = self.known(ip);
        let name_history = self.of_name(&known, name);
        // Known from our own logs, or a stranger could have us ask for addresses of its choice.
        let seen = known.client.pair(name).is_some();
        let evidence = if seen || asker.trusted {
            self.evidence(known.ip, name, asker).await
        } else {
            Evidence::default()
        };
        let mut verdict =
            rules::judge_pair(&known.case(&evidence.found, asker.in_words), name, &name_history);
        verdict.until = evidence.limit(verdict.until, known.now);
        self.guard_pair(&known, &mut verdict);
        verdict
    }

    fn standing(&self, ip: Ipv4Addr, now: Time) -> Option<(Codes, Time)> {
        match self.published.get(ip, now)? {
            Standing::Said(codes, until) => Some((codes, until)),
            // Of nobody nothing is said, unless the operator said it.
            Standing::NeverSeen => {
                let decisions = self.decisions.load();
                let is_decided = decisions.decide_on(ip.into(), now);
                (!is_decided).then(|| (Codes::default(), rules::next_midnight(now)))
            }
        }
    }

    fn resident(&self, ip: Ipv4Addr, in_words: bool) -> Option<ClientVerdict> {
        self.judge_resident(ip, in_words)
    }

    fn names_below(&self, suffix: &str) -> bool {
        self.ledger.has_names_below(suffix)
    }

    fn pair_names_below(&self, ip: IpAddr, suffix: &str) -> bool {
        self.ledger.client(Client::of(ip), |row| {
            row.is_some_and(|row| {
                row.pairs().any(|pair| {
                    pair.name
                        .text()
                        .strip_suffix(suffix)
                        .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                })
            })
        })
    }

    fn now(&self) -> Time {
        now()
    }

    fn serial(&self) -> u32 {
        // Grows with every commit and is never zero; commits are far from 2^31 apart.
        (self.ledger.seq() as u32).wrapping_add(1)
    }
}

/// What is known of networks. A network is measured on a thousand clients, so what was measured is kept for
/// some seconds if they are many.
struct Networks(moka::sync::Cache<Network, Arc<NetworkHistory>>);

impl Networks {
    fn new() -> Self {
        let cache = moka::sync::Cache::builder()
            .max_capacity(NETWORKS_KEPT)
            .time_to_live(NETWORK_HOLDS)
            .build();
        Self(cache)
    }

    fn of(&self, ledger: &Ledger, network: Network) -> Arc<NetworkHistory> {
        let (_, clients) = ledger.clients_of_network(network, 0);
        // A small network costs less than remembering it.
        if clients <= SMALL_NETWORK {
            return Arc::new(NetworkHistory::of(ledger, network));
        }
        if let Some(history) = self.0.get(&network) {
            return history;
        }
        let history = Arc::new(NetworkHistory::of(ledger, network));
        self.0.insert(network, history.clone());
        history
    }
}

/// What is known of names. A name is measured on up to hundreds of clients, so what was measured is kept for some seconds if
/// they are many.
struct Names(moka::sync::Cache<Name, Arc<NameHistory>>);

impl Names {
    fn new() -> Self {
        let cache =
            moka::sync::Cache::builder().max_capacity(NAMES_KEPT).time_to_live(NAME_HOLDS).build();
        Self(cache)
    }

    fn of(&self, ledger: &Ledger, name: &Name, policy: &Policy, now: Time) -> Arc<NameHistory> {
        if let Some(history) = self.0.get(name) {
            return history;
        }
        let history = Arc::new(NameHistory::of(ledger, name, policy, now));
        if history.clients.n > SMALL_NAME {
            self.0.insert(name.clone(), Arc::clone(&history));
        }
        history
    }
}

/// Findings in the form the rules take, and whether all of them were back.
#[derive(Clone, Default)]
struct Evidence {
    found: FindingSet,
    unfinished: bool,
}

impl Evidence {
    fn of(findings: &Findings) -> Self {
        Self { found: findings.set().clone(), unfinished: !findings.complete() }
    }

    /// An answer without all its look-ups must not be kept long.
    fn limit(&self, until: Time, now: Time) -> Time {
        if self.unfinished { until.min(now.after(UNFINISHED)) } else { until }
    }
}

fn v4(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

fn remembering<T: std::hash::Hash + Eq + Send + Sync + 'static>() -> Listed<T> {
    moka::sync::Cache::builder().max_capacity(LISTED_KEPT).time_to_live(LISTED_FOR).build()
}

/// The clock: the one place where the server reads it.
fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use helostat_zones::ledger::{Batch, Bounds};
    use helostat_zones::lists::{Format, ListZone, Loader, Options};
    use helostat_zones::observation::{Observation, Outcome, Reporter, ReporterKind};
    use helostat_zones::operator::{Decision, Kind, Place, Subject};
    use prometheus::Registry;

    use super::*;
    use crate::live::LiveConfig;

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().expect("an address")
    }

    fn judge() -> LedgerJudge {
        let config = LiveConfig { enabled: false, ..LiveConfig::default() };
        let live = Live::new(config, &Registry::new()).expect("nobody is asked");
        let ledger = Arc::new(Ledger::in_memory(Bounds::default()));
        LedgerJudge::new(ledger, live, Policy::default())
    }

    fn heard(judge: &LedgerJudge, client: &str) {
        let mut batch = Batch::default();
        let observation = Observation {
            time: now(),
            ip: ip(client).into(),
            name: Name::parse(b"192.168.0.1"),
            rdns: None,
            outcome: Outcome::Rejected,
            stage: None,
            by_us: false,
            supersedes: None,
            reporter: Reporter::from("mx1"),
        };
        batch.observe(&observation, ReporterKind::Mx);
        judge.ledger.commit(&batch).expect("memory");
    }

    const ASKER: Asker =
        Asker { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), trusted: true, in_words: false };

    #[tokio::test]
    async fn what_was_judged_is_said_again_until_the_ledger_changes() {
        let judge = judge();
        heard(&judge, "192.0.2.1");
        let standing = |client: &str| judge.standing(ip(client), now());
        assert_eq!(standing("192.0.2.2"), None, "nothing is published yet");
        judge.publish_all();
        assert_eq!(standing("192.0.2.1"), None, "nobody judged it yet");
        assert_eq!(standing("192.0.2.2").map(|said| said.0), Some(Codes::default()));

        let verdict = judge.client(ip("192.0.2.1").into(), ASKER).await;
        let said = Some((Codes::of(&verdict), verdict.until));
        assert_eq!(standing("192.0.2.1"), said);
        heard(&judge, "192.0.2.2");
        assert_eq!(standing("192.0.2.1"), None, "its network changed");
        assert_eq!(standing("192.0.2.2"), None, "it is a client now");
        for shard in judge.shards() {
            judge.publish(shard, Duration::ZERO);
        }
        assert!(standing("192.0.2.1").is_some() && standing("192.0.2.2").is_some());
        judge.set_policy(Policy::default());
        assert_eq!(standing("192.0.2.1"), None, "judged by other numbers");
    }

    #[tokio::test]
    async fn the_operator_decides_of_who_was_never_seen() {
        let judge = judge();
        judge.publish_all();
        let denied = Decision {
            kind: Kind::Deny,
            subject: Subject::parse("192.0.2.0/24").expect("a subject"),
            reason: "ours".into(),
            author: String::new(),
            added: None,
            until: None,
            place: Place::default(),
        };
        judge.set_decisions(Arc::new([denied].into_iter().collect()));
        assert_eq!(judge.standing(ip("192.0.2.1"), now()), None);
        let verdict = judge.client(ip("192.0.2.1").into(), ASKER).await;
        assert!(!verdict.listings.is_empty());
        assert!(judge.standing(ip("198.51.100.1"), now()).is_some());

        // And so do lists, whatever comes first.
        let list = |lines: &str| {
            let mut loader = Loader::new(Format::Ip4Set, Options::new(now()));
            loader.read("f", lines.as_bytes()).expect(lines);
            let zone = ListZone::new(vec![Arc::new(loader.finish().dataset)]);
            DecidingList::new(Kind::Deny, "foes", Arc::new(zone))
        };
        judge.set_lists(&[list("198.51.100.0/24\n!198.51.100.2\n")]);
        judge.set_decisions(Arc::default());
        assert!(judge.standing(ip("192.0.2.1"), now()).is_some(), "denied no more");
        assert!(judge.standing(ip("198.51.100.2"), now()).is_some(), "excluded");
        assert_eq!(judge.standing(ip("198.51.100.1"), now()), None);
        let verdict = judge.client(ip("198.51.100.1").into(), ASKER).await;
        assert_eq!(verdict.decision.map(|it| it.reason).as_deref(), Some("in the list foes"));
        // Whoever was seen, and was said to be nothing, meets the list too.
        judge.set_lists(&[]);
        heard(&judge, "203.0.113.1");
        judge.client(ip("203.0.113.1").into(), ASKER).await;
        assert!(judge.standing(ip("203.0.113.1"), now()).is_some());
        judge.set_lists(&[list("203.0.113.1\n")]);
        assert_eq!(judge.standing(ip("203.0.113.1"), now()), None);
        let verdict = judge.resident(ip("203.0.113.1"), false).expect("nobody is asked");
        assert!(!verdict.listings.is_empty());
    }
}

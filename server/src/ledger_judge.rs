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
use helostat_zones::ledger::{Ledger, Touched};
use helostat_zones::name::Name;
use helostat_zones::operator::Decisions;
use helostat_zones::policy::Policy;
use helostat_zones::rules::{self, Case, Feed};
use helostat_zones::time::Time;
use helostat_zones::verdict::{ClientVerdict, NameVerdict, PairVerdict};

mod as_known;

pub(crate) use self::as_known::AsKnown;
use crate::judge::{Asker, Judge};
use crate::live::{Findings, Live};
use crate::published::{Published, Standing};

/// How long an answer holds that was given before every look-up was back.
const UNFINISHED: Duration = Duration::from_secs(5);

/// So many networks of many clients are remembered, and for so long.
const NETWORKS_KEPT: u64 = 10_000;
const NETWORK_HOLDS: Duration = Duration::from_secs(5);
/// So many clients are given their places at once at the start.
const PLACED_AT_ONCE: usize = 1 << 20;
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
    published: Arc<Published>,
    /// How often policy and decisions changed, counted from a number that no other process begins with.
    changes: AtomicU64,
}

/// What the ledger knows of an address.
struct Known {
    ip: IpAddr,
    client: Arc<ClientHistory>,
    network: Arc<NetworkHistory>,
    by: Arc<Clients>,
    decisions: Arc<Decisions>,
    feed: Feed,
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
        let published = Arc::new(Published::new());
        publish(&ledger, &published);
        Self {
            published,
            ledger,
            live,
            clients: ArcSwap::from_pointee(Clients::new(policy)),
            decisions: ArcSwap::default(),
            networks: Networks::new(),
            changes: AtomicU64::new(as_known::first_change()),
        }
    }

    /// Judges by other numbers from now on.
    pub fn set_policy(&self, policy: Policy) {
        self.clients.store(Arc::new(Clients::new(policy)));
        self.changes.fetch_add(1, Ordering::Release);
        self.published.touch_all();
    }

    /// Follows other decisions of the operator's from now on.
    pub fn set_decisions(&self, decisions: Arc<Decisions>) {
        self.decisions.store(decisions);
        self.changes.fetch_add(1, Ordering::Release);
        self.published.touch_all();
    }

    /// The ledger it judges from.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    fn known(&self, ip: IpAddr) -> Known {
        let ip = ip.to_canonical();
        let (by, now) = (self.clients.load_full(), now());
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
    fn of_firmest(&self, known: &Known) -> NameHistory {
        match known.client.best() {
            Some(pair) => self.of_name(known, &pair.name),
            None => NameHistory::unknown(),
        }
    }

    /// What must be known of a name that the client says.
    fn of_name(&self, known: &Known, name: &Name) -> NameHistory {
        let Known { by, now, .. } = known;
        // Where else the name stands is only told of newcomers.
        if known.client.pair(name).is_some_and(PairHistory::is_established) {
            let network = known.client.client.network();
            return NameHistory::near(&self.ledger, name, network, by, *now);
        }
        NameHistory::of(&self.ledger, name, by.policy(), *now)
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
        Explanation {
            time: known.now,
            ip: known.ip,
            client: Client::of(known.ip).to_string(),
            told: Told::of(&facts, &verdict, pair.as_ref(), name_history.as_ref()),
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
        if let Some(mark) = mark {
            self.published.put(mark, Codes::of(&verdict), verdict.until, known.now);
        }
        verdict
    }

    async fn name(&self, name: &Name, asker: Asker) -> NameVerdict {
        let (by, now) = (self.clients.load_full(), now());
        let history = NameHistory::of(&self.ledger, name, by.policy(), now);
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
        verdict
    }

    fn standing(&self, ip: Ipv4Addr, now: Time) -> Option<(Codes, Time)> {
        match self.published.get(ip, now)? {
            Standing::Said(codes, until) => Some((codes, until)),
            // Of nobody nothing is said, unless the operator said it.
            Standing::NeverSeen => {
                let decisions = self.decisions.load();
                let is_decided = decisions.of_client(ip.into(), now).is_some();
                (!is_decided).then(|| (Codes::default(), rules::next_midnight(now)))
            }
        }
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

/// Gives every client its place, and tells of what changes from now on.
fn publish(ledger: &Ledger, published: &Arc<Published>) {
    let told = Arc::downgrade(published);
    ledger.watch(move |touched| {
        if let Some(told) = told.upgrade() {
            match touched {
                Touched::Clients(clients) => told.touch(clients),
                Touched::Any => told.touch_all(),
            }
        }
    });
    // After the watcher: whoever comes meanwhile is told of by one of both.
    let mut clients = Vec::new();
    ledger.each_client(&mut |client| {
        clients.push(client);
        if clients.len() == PLACED_AT_ONCE {
            published.touch(&clients);
            clients.clear();
        }
        true
    });
    published.touch(&clients);
    published.is_complete();
}

fn v4(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

/// The clock: the one place where the server reads it.
fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

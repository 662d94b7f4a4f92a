//! Old mail, judged as it would have been judged then.
//!
//! In go observations in the order of time: each is first judged by what was known before it
//! ([`Player::judge`]), then learned ([`Player::learn`]). Out comes what each policy would have said. Nothing fails.
//! An observation must be final: one that supersedes an earlier one of its session is not expected here.
//!
//! History is all there is: the DNS of today says nothing of the mail of then. Only the reverse name is used that
//! the log itself tells.
//!
//! The ledger is the same as in service. So that a commit does not cost more than what it learns, observations gather
//! until somebody asks for a client or a name among them; what is known of networks and of names that nobody owns is
//! kept up to date beside it, by the same sums that are made from the whole ledger elsewhere.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::client::{Client, Network};
use crate::evidence::FindingSet;
use crate::history::{ClientHistory, Clients, NameHistory, NetworkHistory, Standing};
use crate::ledger::activity::Activity;
use crate::ledger::distinct::Count;
use crate::ledger::{Batch, Bounds, Ledger, ReporterId};
use crate::measures::Measures;
use crate::name::Name;
use crate::observation::{Observation, Reporter, ReporterKind};
use crate::operator::Decisions;
use crate::policy::Policy;
use crate::rules::{self, Case, Feed, Findings};
use crate::time::{Day, Time};
use crate::verdict::{Class, ClientVerdict, ListCode, PairVerdict};

/// Observations gather up to this many.
const GATHERED_MAX: u64 = 4096;

/// What one policy says of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The class of the pair.
    pub class: Class,
    /// 0 (worst) to 100 (best); also of who is new.
    pub score: u8,
    /// How much history stands behind it, 0 to 100.
    pub confidence: u8,
    /// Words with points, heaviest first.
    pub reasons: Vec<(&'static str, i32)>,
    /// Why it would be on the block list.
    pub listed_for: Vec<ListCode>,
    /// The score before it was rounded: the sum of points as log-odds, higher is better.
    pub logit: f32,
}

impl From<PairVerdict> for Judged {
    fn from(verdict: PairVerdict) -> Self {
        Self {
            class: verdict.class,
            score: verdict.score,
            confidence: verdict.confidence,
            reasons: verdict.reasons.iter().map(|reason| (reason.word, reason.points)).collect(),
            listed_for: verdict.listings,
            logit: verdict.points / 10.0,
        }
    }
}

/// What a verdict is asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    ip: IpAddr,
    rdns: Option<&'a str>,
    findings: Findings<'a>,
    now: Time,
    in_words: bool,
}

/// Judges and learns.
pub struct Player {
    ledger: Ledger,
    /// What clients are measured by, for each policy.
    policies: Vec<Clients>,
    decisions: Decisions,
    gathered: Batch,
    /// Hashes of whatever a verdict may ask for that has gathered: clients, names, families in their networks. That
    /// two share one costs a commit, no more.
    waiting: HashSet<u64, RandomState>,
    hasher: RandomState,
    networks: HashMap<Network, NetworkHistory, RandomState>,
    /// Names that nobody owns, with the networks that say them.
    unowned: HashMap<Box<str>, Lately, RandomState>,
    reporters: HashMap<Reporter, ReporterId, RandomState>,
    /// The day of the last judgement, and for each policy since when the ledger was warm then.
    warm: (Day, Vec<Option<Time>>),
}

impl Player {
    /// One that knows nothing yet.
    pub fn new(policies: Vec<Policy>, decisions: Decisions, bounds: Bounds) -> Self {
        Self {
            ledger: Ledger::in_memory(bounds),
            policies: policies.into_iter().map(Clients::new).collect(),
            decisions,
            gathered: Batch::default(),
            waiting: HashSet::default(),
            hasher: RandomState::default(),
            networks: HashMap::default(),
            unowned: HashMap::default(),
            reporters: HashMap::default(),
            warm: (Day(0), Vec::new()),
        }
    }

    /// What each policy says, in their order.
    pub fn judge(&mut self, observation: &Observation) -> Vec<Judged> {
        self.judge_with(observation, Findings::default())
    }

    /// The same where it is known what the DNS said then.
    pub fn judge_with(&mut self, observation: &Observation, findings: Findings<'_>) -> Vec<Judged> {
        let Observation { ip, ref name, ref rdns, time: now, .. } = *observation;
        let asked = Asked { ip, rdns: rdns.as_deref(), findings, now, in_words: false };
        let mut judged = Vec::with_capacity(self.policies.len());
        for at in 0..self.policies.len() {
            let Some(history) = self.prepare(at, ip, name, now) else { continue };
            let verdict = self.ask(at, &history, asked, |case| {
                let of_name = self.of_name(at, name, case);
                rules::judge_pair(case, name, &of_name)
            });
            judged.extend(verdict.map(Judged::from));
        }
        judged
    }

    /// What the first policy weighs of a message, and whether the network is crowded: what points are fitted on.
    pub fn measure(&mut self, observation: &Observation) -> Option<(Measures, bool)> {
        let Observation { ip, ref name, ref rdns, time: now, .. } = *observation;
        let findings = Findings::default();
        let asked = Asked { ip, rdns: rdns.as_deref(), findings, now, in_words: false };
        let history = self.prepare(0, ip, name, now)?;
        self.ask(0, &history, asked, |case| {
            case.measure(name, &case.looks(name), &self.of_name(0, name, case))
        })
    }

    /// What the first policy says of a pair at a moment, whether or not there is mail of it.
    pub fn pair(
        &mut self,
        ip: IpAddr,
        name: &Name,
        findings: Findings<'_>,
        now: Time,
    ) -> Option<PairVerdict> {
        self.settle();
        let history = self.prepare(0, ip, name, now)?;
        let asked = Asked { ip, rdns: None, findings, now, in_words: true };
        self.ask(0, &history, asked, |case| {
            let of_name = self.of_name(0, name, case);
            rules::judge_pair(case, name, &of_name)
        })
    }

    /// What the first policy says of an address at a moment; `dns` knows what the DNS says of each of its names.
    pub fn client(
        &mut self,
        ip: IpAddr,
        dns: impl Fn(&Name) -> Option<FindingSet>,
        now: Time,
    ) -> Option<ClientVerdict> {
        self.settle();
        let history = self.prepare(0, ip, &Name::absent(), now)?;
        let asked = Asked { ip, rdns: None, findings: Findings::default(), now, in_words: true };
        self.ask(0, &history, asked, |case| {
            let Some(name) = case.client.best().map(|pair| &pair.name) else {
                return rules::judge_client(case, &NameHistory::unknown());
            };
            let findings = dns(name);
            let case = Case { findings: Findings(findings.as_ref()), ..*case };
            let of_name = self.of_name(0, name, &case);
            rules::judge_client(&case, &of_name)
        })
    }

    /// Takes it in.
    pub fn learn(&mut self, observation: &Observation, kind: ReporterKind) {
        let client = Client::of(observation.ip);
        let name = &observation.name;
        let count = self.reporters.len() as ReporterId;
        let by = match self.reporters.get(&observation.reporter) {
            Some(by) => *by,
            None => *self.reporters.entry(observation.reporter.clone()).or_insert(count),
        };
        let network = client.network();
        let of_network =
            self.networks.entry(network).or_insert_with(|| NetworkHistory::unknown(network));
        of_network.add(client, name.family(), by, kind, &Activity::of(observation));
        if !name.is_fqdn() {
            match self.unowned.get_mut(name.text()) {
                Some(lately) => lately.add(network, observation.time.day()),
                None => {
                    let mut lately = Lately::default();
                    lately.add(network, observation.time.day());
                    self.unowned.insert(name.text().into(), lately);
                }
            }
        }
        self.gathered.observe(observation, kind);
        self.waiting.insert(self.hash(client));
        if let Some(family) = name.family() {
            self.waiting.insert(self.hash(name.text()));
            self.waiting.insert(self.hash((family, network)));
        }
        if self.gathered.observations() >= GATHERED_MAX {
            self.commit();
        }
    }

    /// Everything known of a pair at a moment, in sentences, as the first policy sees it. Call [`Player::settle`]
    /// before.
    pub fn explain(&self, ip: IpAddr, name: &Name, now: Time) -> Vec<String> {
        let Some(by) = self.policies.first() else { return Vec::new() };
        let history = by.history(&self.ledger, Client::of(ip), now);
        let asked = Asked { ip, rdns: None, findings: Findings::default(), now, in_words: true };
        let verdict = self.ask(0, &history, asked, |case| {
            let of_name = self.of_name(0, name, case);
            rules::judge_pair(case, name, &of_name)
        });
        let reasons = verdict.into_iter().flat_map(|verdict| verdict.reasons);
        reasons.map(|reason| reason.text).collect()
    }

    /// Takes in what has gathered.
    pub fn settle(&mut self) {
        self.commit();
    }

    fn hash(&self, what: impl Hash) -> u64 {
        self.hasher.hash_one(what)
    }

    /// True if something has gathered of what a verdict must know of a name in a network.
    fn is_waiting(&self, name: &Name, network: Network) -> bool {
        self.waiting.contains(&self.hash(name.text()))
            || name
                .family()
                .is_some_and(|family| self.waiting.contains(&self.hash((family, network))))
    }

    /// Takes in what has gathered if it may be asked for; what is known of the client then. `None` where there is no
    /// such policy.
    fn prepare(
        &mut self,
        at: usize,
        ip: IpAddr,
        name: &Name,
        now: Time,
    ) -> Option<Arc<ClientHistory>> {
        self.begin_day(now);
        let client = Client::of(ip);
        if self.waiting.contains(&self.hash(client)) {
            self.commit();
        }
        let history = self.policies.get(at)?.history(&self.ledger, client, now);
        if asks_for_name(name, &history) && self.is_waiting(name, client.network()) {
            self.commit();
        }
        Some(history)
    }

    /// Puts a case before a policy; `None` where there is no such policy.
    fn ask<T>(
        &self,
        at: usize,
        history: &ClientHistory,
        asked: Asked<'_>,
        judge: impl FnOnce(&Case<'_>) -> T,
    ) -> Option<T> {
        let Asked { ip, rdns, findings, now, in_words } = asked;
        let network = Client::of(ip).network();
        let unknown = NetworkHistory::unknown(network);
        let feed = Feed {
            reporters: self.reporters.len(),
            warm_since: self.warm.1.get(at).copied().flatten(),
        };
        Some(judge(&Case {
            ip,
            client: history,
            network: self.networks.get(&network).unwrap_or(&unknown),
            findings,
            decisions: &self.decisions,
            feed,
            rdns,
            policy: self.policies.get(at)?.policy(),
            now,
            in_words,
        }))
    }

    /// What must be known of the name: nothing, if the pair is strong.
    fn of_name(&self, at: usize, name: &Name, case: &Case<'_>) -> NameHistory {
        let Case { client, policy, now, in_words, .. } = *case;
        if !name.is_fqdn() {
            let mut history = NameHistory::unknown();
            if let Some(lately) = self.unowned.get(name.text()) {
                let n = lately.within(now.day(), policy.families_window_days);
                history.networks = Count { n, exact: true };
            }
            return history;
        }
        if !asks_for_name(name, client) {
            return NameHistory::unknown();
        }
        match self.policies.get(at).filter(|_| !in_words) {
            Some(by) => NameHistory::near(&self.ledger, name, client.client.network(), by, now),
            None => NameHistory::of(&self.ledger, name, policy, now),
        }
    }

    /// On each day's first message what gathered is taken in, and it is looked whether the ledger is warm.
    fn begin_day(&mut self, now: Time) {
        if self.warm.0 != now.day() || self.warm.1.is_empty() {
            self.commit();
            self.look_whether_warm(now);
        }
    }

    fn look_whether_warm(&mut self, now: Time) {
        let warm = |by: &Clients| self.ledger.warm_since(by.policy().crowded_warm_up_days);
        self.warm = (now.day(), self.policies.iter().map(warm).collect());
    }

    fn commit(&mut self) {
        // Memory takes everything.
        self.ledger.commit(&self.gathered).ok();
        self.gathered = Batch::default();
        self.waiting.clear();
    }
}

/// True if more must be known of a name than who the client is: not of one that nobody owns, and not of a strong pair.
fn asks_for_name(name: &Name, client: &ClientHistory) -> bool {
    name.is_fqdn() && client.pair(name).is_none_or(|pair| pair.standing != Standing::Strong)
}

/// Networks with the day on which each was last seen.
#[derive(Debug, Default)]
struct Lately {
    last: HashMap<Network, Day>,
    /// How many were last seen on each day.
    by_day: BTreeMap<Day, u64>,
}

impl Lately {
    fn add(&mut self, network: Network, day: Day) {
        let before = self.last.insert(network, day);
        if before == Some(day) {
            return;
        }
        if let Some(count) = before.and_then(|before| self.by_day.get_mut(&before)) {
            *count -= 1;
        }
        *self.by_day.entry(day).or_default() += 1;
    }

    fn within(&self, today: Day, days: u32) -> u64 {
        let first =
            Day(today.0.saturating_sub(days.saturating_sub(1).min(u32::from(u16::MAX)) as u16));
        self.by_day.range(first..).map(|(_, count)| count).sum()
    }
}

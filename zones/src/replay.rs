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
use std::net::IpAddr;

use crate::client::{Client, Network};
use crate::evidence::FindingSet;
use crate::history::{ClientHistory, NameHistory, NetworkHistory};
use crate::ledger::activity::Activity;
use crate::ledger::distinct::Count;
use crate::ledger::{Batch, Bounds, Ledger, ReporterId};
use crate::name::Name;
use crate::observation::{Observation, Reporter, ReporterKind};
use crate::operator::Decisions;
use crate::policy::Policy;
use crate::rules::{self, Case, Feed, Findings};
use crate::time::{Day, Time};
use crate::verdict::{Class, ClientVerdict, ListCode, PairVerdict};

/// Observations gather up to this many.
const GATHERED_MAX: usize = 4096;

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

/// Judges and learns.
pub struct Player {
    ledger: Ledger,
    policies: Vec<Policy>,
    decisions: Decisions,
    gathered: Batch,
    clients: HashSet<Client>,
    families: HashSet<Box<str>>,
    networks: HashMap<Network, NetworkHistory>,
    /// Names that nobody owns, with the networks that say them.
    unowned: HashMap<Box<str>, Lately>,
    reporters: HashMap<Reporter, ReporterId>,
    /// The day of the last judgement, and for each policy since when the ledger was warm then.
    warm: (Day, Vec<Option<Time>>),
}

impl Player {
    /// One that knows nothing yet.
    pub fn new(policies: Vec<Policy>, decisions: Decisions, bounds: Bounds) -> Self {
        Self {
            ledger: Ledger::in_memory(bounds),
            policies,
            decisions,
            gathered: Batch::default(),
            clients: HashSet::new(),
            families: HashSet::new(),
            networks: HashMap::new(),
            unowned: HashMap::new(),
            reporters: HashMap::new(),
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
        self.prepare(Client::of(ip), name, now);
        let judged = |at| {
            self.ask(at, ip, rdns.as_deref(), findings, now, false, |case| {
                let of_name = self.of_name(name, case.client, case.policy, now);
                rules::judge_pair(case, name, &of_name)
            })
            .map(Judged::from)
        };
        (0..self.policies.len()).filter_map(judged).collect()
    }

    /// What the first policy says of a pair at a moment, whether or not there is mail of it.
    pub fn pair(
        &mut self,
        ip: IpAddr,
        name: &Name,
        findings: Findings<'_>,
        now: Time,
    ) -> Option<PairVerdict> {
        self.prepare(Client::of(ip), name, now);
        self.ask(0, ip, None, findings, now, true, |case| {
            let of_name = self.of_name(name, case.client, case.policy, now);
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
        self.prepare(Client::of(ip), &Name::absent(), now);
        self.ask(0, ip, None, Findings::default(), now, true, |case| {
            let Some(name) = case.client.best().map(|pair| &pair.name) else {
                return rules::judge_client(case, &NameHistory::unknown());
            };
            let findings = dns(name);
            let case = Case { findings: Findings(findings.as_ref()), ..*case };
            let of_name = self.of_name(name, case.client, case.policy, now);
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
        self.clients.insert(client);
        if let Some(family) = name.family().filter(|family| !self.families.contains(*family)) {
            self.families.insert(family.into());
        }
        if self.clients.len() >= GATHERED_MAX {
            self.commit();
        }
    }

    /// Everything known of a pair at a moment, in sentences, as the first policy sees it. Call [`Player::settle`]
    /// before.
    pub fn explain(&self, ip: IpAddr, name: &Name, now: Time) -> Vec<String> {
        let verdict = self.ask(0, ip, None, Findings::default(), now, true, |case| {
            let of_name = self.of_name(name, case.client, case.policy, now);
            rules::judge_pair(case, name, &of_name)
        });
        let reasons = verdict.into_iter().flat_map(|verdict| verdict.reasons);
        reasons.map(|reason| reason.text).collect()
    }

    /// Takes in what has gathered.
    pub fn settle(&mut self) {
        self.commit();
    }

    /// Takes in what has gathered if it may be asked for.
    fn prepare(&mut self, client: Client, name: &Name, now: Time) {
        let family = name.family();
        if self.clients.contains(&client)
            || family.is_some_and(|family| self.families.contains(family))
        {
            self.commit();
        }
        self.look_whether_warm(now);
    }

    /// Puts a case before a policy; `None` where there is no such policy.
    #[expect(
        clippy::too_many_arguments,
        reason = "all of what a case is made of, and who judges it"
    )]
    fn ask<T>(
        &self,
        at: usize,
        ip: IpAddr,
        rdns: Option<&str>,
        findings: Findings<'_>,
        now: Time,
        in_words: bool,
        judge: impl FnOnce(&Case<'_>) -> T,
    ) -> Option<T> {
        let client = Client::of(ip);
        let policy = self.policies.get(at)?;
        let history = ClientHistory::of(&self.ledger, client, policy, now);
        let network = client.network();
        let unknown = NetworkHistory::unknown(network);
        let feed = Feed {
            reporters: self.reporters.len(),
            warm_since: self.warm.1.get(at).copied().flatten(),
        };
        Some(judge(&Case {
            ip,
            client: &history,
            network: self.networks.get(&network).unwrap_or(&unknown),
            findings,
            decisions: &self.decisions,
            feed,
            rdns,
            policy,
            now,
            in_words,
        }))
    }

    /// What must be known of the name: nothing, if the pair is strong.
    fn of_name(
        &self,
        name: &Name,
        client: &ClientHistory,
        policy: &Policy,
        now: Time,
    ) -> NameHistory {
        if !name.is_fqdn() {
            let mut history = NameHistory::unknown();
            if let Some(lately) = self.unowned.get(name.text()) {
                let n = lately.within(now.day(), policy.families_window_days);
                history.networks = Count { n, exact: true };
            }
            return history;
        }
        if client.pair(name).is_some_and(|pair| pair.standing == crate::history::Standing::Strong) {
            return NameHistory::unknown();
        }
        NameHistory::of(&self.ledger, name, policy, now)
    }

    fn look_whether_warm(&mut self, now: Time) {
        let today = now.day();
        if self.warm.0 != today || self.warm.1.is_empty() {
            let warm = |policy: &Policy| self.ledger.warm_since(policy.crowded_warm_up_days);
            self.warm = (today, self.policies.iter().map(warm).collect());
        }
    }

    fn commit(&mut self) {
        // Memory takes everything.
        self.ledger.commit(&self.gathered).ok();
        self.gathered = Batch::default();
        self.clients.clear();
        self.families.clear();
    }
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

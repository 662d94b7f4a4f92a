//! The judge of a replay: says of each message what every policy would have said, by what it was told before.
//!
//! In go observations in the order of time, each first to be judged and then to be learned; out comes one judgement a
//! policy. Nothing fails. It knows history only: no look-up of the DNS is made, for the DNS of today says nothing
//! of the mail of then.
//!
//! It keeps a ledger in memory and commits each message for itself, which is simple, and slow.

use std::net::IpAddr;

use helostat_zones::client::Client;
use helostat_zones::history::{ClientHistory, NameHistory, NetworkHistory};
use helostat_zones::ledger::{Batch, Bounds, Ledger};
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, ReporterKind};
use helostat_zones::policy::Policy;
use helostat_zones::rules::{Case, Findings, judge_client, judge_pair};
use helostat_zones::time::Time;
use helostat_zones::verdict::{Class, ListCode};

/// What one policy says of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The class.
    pub class: Class,
    /// 0 (worst) to 100 (best); also of who is new.
    pub score: u8,
    /// How much history stands behind it, 0 to 100.
    pub confidence: u8,
    /// Words with points, heaviest first.
    pub reasons: Vec<(&'static str, i32)>,
    /// Why it would be on the block list.
    pub listed_for: Vec<ListCode>,
    /// The score before it was rounded and cut, higher is better.
    pub logit: f32,
}

/// Judges and learns.
pub struct Player {
    ledger: Ledger,
    policies: Vec<Policy>,
    judged: Vec<Judged>,
}

impl Player {
    /// One that knows nothing yet.
    pub fn new(policies: Vec<Policy>, bounds: Bounds) -> Self {
        Self { ledger: Ledger::in_memory(bounds), policies, judged: Vec::new() }
    }

    /// What each policy says, in their order.
    pub fn judge(&mut self, observation: &Observation) -> &[Judged] {
        let Self { ledger, policies, judged, .. } = self;
        judged.clear();
        judged.extend(policies.iter().map(|policy| judge(ledger, policy, observation)));
        judged
    }

    /// Takes it in.
    pub fn learn(&mut self, observation: &Observation, kind: ReporterKind) {
        let mut batch = Batch::default();
        batch.observe(observation, kind);
        // Memory takes everything.
        self.ledger.commit(&batch).ok();
    }

    /// Everything known of a pair at a moment, in words, as the first policy sees it.
    pub fn explain(&self, ip: IpAddr, name: &Name, now: Time) -> String {
        let Some(policy) = self.policies.first() else { return String::new() };
        let client = ClientHistory::of(&self.ledger, Client::of(ip), policy, now);
        let network = NetworkHistory::of(&self.ledger, Client::of(ip).network(), policy, now);
        let of_name = NameHistory::of(&self.ledger, name, policy, now);
        let findings = Findings::default();
        let case = Case { ip, client: &client, network: &network, findings, policy, now };
        let mut text = String::new();
        let verdict = judge_pair(&case, name, &of_name);
        let reasons = verdict.reasons.into_iter().chain(judge_client(&case).reasons);
        for reason in reasons {
            let line = format!("{} [{}]\n", reason.text, reason.word);
            if !text.contains(&line) {
                text.push_str(&line);
            }
        }
        text
    }
}

fn judge(ledger: &Ledger, policy: &Policy, observation: &Observation) -> Judged {
    let Observation { ip, ref name, time: now, .. } = *observation;
    let client = ClientHistory::of(ledger, Client::of(ip), policy, now);
    let network = Client::of(ip).network();
    let network = if client.pair(name).is_some_and(|pair| pair.is_established()) {
        NetworkHistory::not_asked(network)
    } else {
        NetworkHistory::of(ledger, network, policy, now)
    };
    let of_name = NameHistory::of(ledger, name, policy, now);
    let findings = Findings::default();
    let case = Case { ip, client: &client, network: &network, findings, policy, now };
    let of_client = judge_client(&case);
    let of_pair = judge_pair(&case, name, &of_name);
    let reasons = of_pair.reasons.iter().chain(&of_client.reasons);
    let mut reasons: Vec<_> = reasons.map(|reason| (reason.word, reason.points)).collect();
    reasons.sort_by_key(|(word, points)| (-points.abs(), *word));
    reasons.dedup();
    let score = of_client.score.unwrap_or(50);
    Judged {
        class: of_pair.class,
        score,
        confidence: of_client.confidence,
        reasons,
        listed_for: of_pair.listings,
        logit: f32::from(score),
    }
}

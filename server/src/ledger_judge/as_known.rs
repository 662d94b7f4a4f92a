//! Verdicts on everybody, one after another, as things are known now: for exports.
//!
//! In go addresses and names; out come the verdicts that a question would be answered by if every look-up in the DNS were over: findings
//! that are at hand count, and nobody is asked for more. What guards hold back is held back here, too. Nothing waits and nothing
//! fails.
//!
//! Findings are taken without their times, so that `until` is the moment at which time alone could change the verdict, and does not
//! move with every second: whoever writes files looks again soon enough.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use helostat_zones::evidence::FindingSet;
use helostat_zones::history::NameHistory;
use helostat_zones::name::Name;
use helostat_zones::operator::Decisions;
use helostat_zones::rules::{self, Findings};
use helostat_zones::verdict::{ClientVerdict, NameVerdict, PairVerdict};

use super::{Known, LedgerJudge, now};

/// What is known of one address, for as many of its names as one likes.
pub(crate) struct AsKnown<'a> {
    judge: &'a LedgerJudge,
    known: Known,
}

impl AsKnown<'_> {
    /// The verdict on the address.
    pub(crate) fn client(&self, in_words: bool) -> ClientVerdict {
        let found = match self.known.firmest_name() {
            Some(name) => self.judge.at_hand(self.known.ip, name),
            None => FindingSet::default(),
        };
        let best = self.judge.of_firmest(&self.known);
        let verdict = rules::judge_client(&self.known.case(&found, in_words), &best);
        self.judge.guarded(&self.known, verdict)
    }

    /// The verdict on a name from the address.
    pub(crate) fn pair(&self, name: &Name, in_words: bool) -> PairVerdict {
        let history = match in_words {
            true => self.judge.of_name(&self.known, name),
            // As much as the rules need, which is the same whichever way it is measured, in a fraction of the time.
            false => {
                let Known { by, now, .. } = &self.known;
                let network = self.known.client.client.network();
                Arc::new(NameHistory::near(&self.judge.ledger, name, network, by, *now))
            }
        };
        // As for a question of somebody whom the operator does not trust to cause look-ups.
        let found = match self.known.client.pair(name) {
            Some(_) => self.judge.at_hand(self.known.ip, name),
            None => FindingSet::default(),
        };
        let mut verdict = rules::judge_pair(&self.known.case(&found, in_words), name, &history);
        self.judge.guard_pair(&self.known, &mut verdict);
        verdict
    }

    /// True if the ledger has seen the address say the name.
    pub(crate) fn has_said(&self, name: &Name) -> bool {
        self.known.client.pair(name).is_some()
    }
}

impl LedgerJudge {
    /// What is known of an address.
    pub(crate) fn as_known(&self, ip: IpAddr) -> AsKnown<'_> {
        AsKnown { judge: self, known: self.known(ip) }
    }

    /// The verdict on a name.
    pub(crate) fn name_as_known(&self, name: &Name) -> NameVerdict {
        let (by, now) = (self.clients.load_full(), self.guard.judging_time(now()));
        let history = NameHistory::of(&self.ledger, name, by.policy(), now);
        let said_by = self.ledger.clients_of_name(name, now.day()).clients;
        let found = match said_by.first() {
            Some(client) => self.at_hand(client.first_ip(), name),
            None => FindingSet::default(),
        };
        let (findings, decisions) = (Findings(Some(&found)), self.decisions.load());
        let mut verdict = rules::judge_name(name, &history, findings, &decisions, by.policy(), now);
        self.guard_name(name, &mut verdict);
        verdict
    }

    /// What the operator decided.
    pub(crate) fn decisions(&self) -> Arc<Decisions> {
        self.decisions.load_full()
    }

    /// A text that changes when the ledger, the policy or the decisions do, or a guard begins or ends to hold.
    pub(crate) fn stamp(&self) -> String {
        let holds = u8::from(self.guard.holds());
        format!("{}.{}.{holds}", self.ledger.seq(), self.changes.load(Ordering::Acquire))
    }

    /// Whether findings come in that neither the ledger nor time announce.
    pub(crate) fn looks_up(&self) -> bool {
        self.live.is_on()
    }

    /// The findings at hand, as if they held for ever.
    fn at_hand(&self, ip: IpAddr, name: &Name) -> FindingSet {
        let mut timeless = FindingSet::default();
        for (system, finding) in self.live.cached(ip, name).set().iter() {
            timeless.put_left(system, Arc::new(finding.clone()), Duration::MAX);
        }
        timeless
    }
}

/// Where the count of changes begins.
pub(super) fn first_change() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX / 2)
}

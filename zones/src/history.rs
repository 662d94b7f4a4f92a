//! What the ledger knows of a client, a name or a network, measured at a moment.
//!
//! In go rows of the ledger, the windows of the policy and "now"; out come plain numbers in which the
//! verdict thinks. Nothing fails; who was never seen has an empty history. Traps, submission services and
//! whoever takes everything do not count towards standing (`accepted`, `days`), only towards what was seen.
//!
//! A standing is the judgement of reporters, not of messages: each has a say, and the loudest of them has no
//! more than `reporter-messages` of the policy. The totals that are shown are true all the same.
//!
//! Measures come from real mail (446,000 messages at five sites): what separates is how long and
//! how steadily a *pair* was seen; distinct registrable domains, never bare names, per client; and
//! fresh families per network.

mod name;
mod network;

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;

pub use self::name::{NameHistory, is_akin};
pub use self::network::{Crowd, FamilyHere, NetworkHistory};

use crate::client::Client;
use crate::ledger::activity::Days;
use crate::ledger::distinct::{Count, Distinct, hash48};
use crate::ledger::{Ledger, PairView, RowView, Trace, hash_of_text};
use crate::name::{Name, NameKind};
use crate::observation::{Outcome, ReporterKind};
use crate::policy::Policy;
use crate::time::Time;

/// How firmly a pair stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Seen, without enough accepted mail over enough days.
    Seen,
    /// Enough to be called a sender that is really there.
    Established,
    /// Long and steady.
    Strong,
}

/// One pair, over all its reporters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PairHistory {
    /// The name.
    pub name: Name,
    /// What sort of name it is.
    pub kind: NameKind,
    /// The earliest observation.
    pub first: Time,
    /// The latest observation.
    pub last: Time,
    /// Days with any observation in the last 64.
    pub days: u32,
    /// Which days.
    #[serde(skip)]
    pub seen_on: Days,
    /// Days with accepted mail in the last 64, as reporters that count saw it.
    pub accepted_days: u32,
    /// Messages accepted, as reporters that count saw it.
    pub accepted: u32,
    /// Messages and sessions refused for good, other than by our own answer.
    pub rejected: u32,
    /// All observations.
    pub observations: u32,
    /// Refusals caused by our own answer.
    pub by_us: u32,
    /// Messages that traps took.
    pub trapped: u32,
    /// The earliest accepted mail, as reporters that count saw it.
    pub first_accepted: Option<Time>,
    /// Independent reporters that accepted mail of it.
    pub reporters: u32,
    /// Reporters that saw it at all.
    pub seen_by: u32,
    /// What the reporters have to say of it.
    #[serde(skip)]
    pub said: Said,
    /// How firmly it stands.
    pub standing: Standing,
    /// Seen within the window in which families are counted.
    #[serde(skip)]
    pub in_family_window: bool,
    /// Seen within the shorter window in which we only watch.
    #[serde(skip)]
    pub in_watch_window: bool,
}

/// What all reporters of a pair together say of it, each no louder than the policy lets it be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Messages for it: accepted ones.
    pub accepted: u32,
    /// Refused ones less accepted ones: above zero if it is refused more often than not.
    pub against: i64,
}

impl Said {
    /// Adds one reporter, of whom at most `most` messages count. What it refused and what it accepted
    /// are set against each other before that: cut off one by one, 150 accepted and 1,000 refused would come
    /// out even.
    fn add(&mut self, accepted: u32, rejected: u32, most: u32) {
        let most_against = i64::from(most);
        let against = i64::from(rejected) - i64::from(accepted);
        self.accepted = self.accepted.saturating_add(accepted.min(most));
        self.against = self.against.saturating_add(against.clamp(-most_against, most_against));
    }
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientHistory {
    /// The client.
    #[serde(skip)]
    pub client: Client,
    /// The exact address last seen, for IPv6.
    pub last_ip: Option<IpAddr>,
    /// The reverse name last logged as verified.
    pub rdns: Option<String>,
    /// Its pairs, the firmest and most used first.
    pub pairs: Vec<PairHistory>,
    /// Distinct families in the counting window, of the pairs that are held.
    pub families: Vec<String>,
    /// Distinct families in the watching window, of the pairs that are held.
    pub watched_families: Vec<String>,
    /// How many families it said in the counting window, with those of pairs that are not held any more.
    pub family_count: Count,
    /// How many in the watching window.
    pub watched_count: Count,
    /// What is left of pairs that are not held any more.
    #[serde(skip)]
    pub trace: Option<Trace>,
}

impl ClientHistory {
    /// Measures what the ledger holds of a client.
    pub fn of(ledger: &Ledger, client: Client, policy: &Policy, now: Time) -> Self {
        let kinds = ledger.reporter_kinds();
        ledger.client(client, |row| match row {
            Some(row) => Self::of_row(&row, &kinds, policy, now),
            None => Self::never_seen(client),
        })
    }

    fn never_seen(client: Client) -> Self {
        let none = Count { n: 0, exact: true };
        Self {
            client,
            last_ip: None,
            rdns: None,
            pairs: Vec::new(),
            families: Vec::new(),
            watched_families: Vec::new(),
            family_count: none,
            watched_count: none,
            trace: None,
        }
    }

    fn of_row(row: &RowView<'_>, kinds: &[ReporterKind], policy: &Policy, now: Time) -> Self {
        let mut history = Self::never_seen(row.client());
        history.pairs.reserve_exact(row.pair_count());
        let (mut families, mut watched) = (Vec::new(), Vec::new());
        let (facts, trace) = row.walk(|pair| {
            let name = pair.name;
            let pair = PairHistory::of(&pair, kinds, policy, now);
            if let Some(family) = name.family() {
                if pair.in_family_window {
                    families.push(family);
                }
                if pair.in_watch_window {
                    watched.push(family);
                }
            }
            history.pairs.push(pair);
        });
        history.last_ip = facts.last_ip.map(|(_, ip)| ip);
        history.rdns = facts.rdns.map(|(_, rdns)| rdns.into());
        history.trace = trace;
        // They come in the order of their names, and equals stay in it.
        history.pairs.sort_by_cached_key(|pair| {
            std::cmp::Reverse((pair.standing, pair.accepted, pair.observations))
        });
        let each_once = |mut families: Vec<&str>| {
            families.sort_unstable();
            families.dedup();
            families.into_iter().map(str::to_owned).collect()
        };
        (history.families, history.watched_families) = (each_once(families), each_once(watched));
        let count = |held: &[String], window| {
            count_with(held, history.trace.as_ref().map(|trace| &trace.families), now, window)
        };
        (history.family_count, history.watched_count) = (
            count(&history.families, policy.families_window_days),
            count(&history.watched_families, policy.watch_window_days),
        );
        history
    }

    /// How many families it said within so many days, with those of pairs that are not held any more.
    pub fn families_within(&self, now: Time, days: u32) -> Count {
        let lately = |pair: &&PairHistory| pair.seen_on.within(now.day(), days) > 0;
        let families: BTreeSet<_> = self
            .pairs
            .iter()
            .filter(lately)
            .filter_map(|pair| pair.name.family().map(str::to_owned))
            .collect();
        let held: Vec<_> = families.into_iter().collect();
        count_with(&held, self.trace.as_ref().map(|trace| &trace.families), now, days)
    }

    /// How many names it said within so many days, with those of pairs that are not held any more.
    pub fn names_within(&self, now: Time, days: u32) -> Count {
        let lately = |pair: &&PairHistory| pair.seen_on.within(now.day(), days) > 0;
        let held: Vec<_> =
            self.pairs.iter().filter(lately).map(|pair| pair.name.text().to_owned()).collect();
        count_with(&held, self.trace.as_ref().map(|trace| &trace.names), now, days)
    }

    /// True if the client was never seen.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The pair with this name.
    pub fn pair(&self, name: &Name) -> Option<&PairHistory> {
        self.pairs.iter().find(|pair| pair.name == *name)
    }

    /// The firmest pair.
    pub fn best(&self) -> Option<&PairHistory> {
        self.pairs.first()
    }

    /// All observations of the client.
    pub fn observations(&self) -> u32 {
        self.pairs.iter().fold(0, |sum, pair| sum.saturating_add(pair.observations))
    }
}

/// How many different texts these are together with those in a sketch.
fn count_with(held: &[String], sketch: Option<&Distinct>, now: Time, days: u32) -> Count {
    let Some(sketch) = sketch else { return Count { n: held.len() as u64, exact: true } };
    let mut hashes: Vec<_> = held.iter().map(|text| hash48(hash_of_text(text))).collect();
    hashes.sort_unstable();
    hashes.dedup();
    Distinct::count_union(&hashes, sketch, now.day(), days)
}

impl PairHistory {
    /// Measures what the ledger holds of a pair; `kinds` are those of the reporters.
    pub fn of(pair: &PairView<'_>, kinds: &[ReporterKind], policy: &Policy, now: Time) -> Self {
        Self { name: pair.name.to_name(), ..Self::nameless(pair, kinds, policy, now) }
    }

    /// The same without the name: for who knows it and needs no memory for it.
    fn nameless(pair: &PairView<'_>, kinds: &[ReporterKind], policy: &Policy, now: Time) -> Self {
        let today = now.day();
        let mut history = Self {
            name: Name::absent(),
            kind: pair.name.kind(),
            first: Time(u32::MAX),
            last: Time(0),
            days: 0,
            seen_on: Days::default(),
            accepted_days: 0,
            accepted: 0,
            rejected: 0,
            observations: 0,
            by_us: 0,
            trapped: 0,
            first_accepted: None,
            reporters: 0,
            seen_by: 0,
            said: Said::default(),
            standing: Standing::Seen,
            in_family_window: false,
            in_watch_window: false,
        };
        let mut days = Days::default();
        let mut accepted_days = days;
        for (by, seen) in pair.seen() {
            history.seen_by += 1;
            history.first = history.first.min(seen.first);
            history.last = history.last.max(seen.last);
            days = days.merge(seen.days);
            history.by_us = history.by_us.saturating_add(seen.by_us);
            history.rejected = history.rejected.saturating_add(seen.count(Outcome::Rejected));
            for outcome in Outcome::ALL {
                history.observations = history.observations.saturating_add(seen.count(outcome));
            }
            let kind = kinds.get(usize::from(by)).copied().unwrap_or_default();
            if kind == ReporterKind::Trap {
                history.trapped = history.trapped.saturating_add(seen.accepted());
            }
            let counts = kind.builds_standing();
            let accepted = if counts { seen.accepted() } else { 0 };
            let rejected = seen.count(Outcome::Rejected);
            history.said.add(accepted, rejected, policy.reporter_messages);
            if accepted == 0 {
                continue;
            }
            history.accepted = history.accepted.saturating_add(accepted);
            history.reporters += 1;
            accepted_days = accepted_days.merge(seen.accepted_days);
            history.first_accepted = match (history.first_accepted, seen.first_accepted) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        history.days = days.within(today, 64);
        history.seen_on = days;
        history.accepted_days = accepted_days.within(today, 64);
        history.in_family_window = days.within(today, policy.families_window_days) > 0;
        history.in_watch_window = days.within(today, policy.watch_window_days) > 0;
        history.standing = history.stands(policy, now);
        history
    }

    fn stands(&self, policy: &Policy, now: Time) -> Standing {
        let Some(first) = self.first_accepted else { return Standing::Seen };
        let age_days = u32::try_from(now.since(first).as_secs() / 86_400).unwrap_or(u32::MAX);
        // A pair that is refused more often than not has no standing, however long it has been there.
        if self.is_mostly_refused() || self.kind == NameKind::Malformed {
            return Standing::Seen;
        }
        let reaches = |messages, days, age| {
            self.said.accepted >= messages && self.accepted_days >= days && age_days >= age
        };
        if reaches(policy.strong_messages, policy.strong_days, policy.strong_age_days) {
            return Standing::Strong;
        }
        if reaches(
            policy.established_messages,
            policy.established_days,
            policy.established_age_days,
        ) {
            return Standing::Established;
        }
        Standing::Seen
    }

    /// True if it is refused more often than not.
    pub fn is_mostly_refused(&self) -> bool {
        self.said.against > 0
    }

    /// True if the pair is established or better.
    pub fn is_established(&self) -> bool {
        self.standing >= Standing::Established
    }
}

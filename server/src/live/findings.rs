//! What is known of one pair, and the memory of findings.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use helostat_zones::evidence::inquiry::LINES_MAX;
use helostat_zones::evidence::lookup::Age;
use helostat_zones::evidence::{Finding, System};
use helostat_zones::name::Name;
use moka::Expiry;
use moka::sync::Cache;

use super::config::LiveConfig;

/// The first line of a finding that stands in past its time.
const PAST: &str = "past its time: no newer answer (stale)";

/// The findings of one pair, in the order of the configuration; `None` is "not known yet".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    list: Vec<(System, Option<Finding>)>,
}

impl Findings {
    /// Nothing known of any of `systems`.
    pub fn unknown(systems: &[System]) -> Self {
        Self { list: systems.iter().map(|&system| (system, None)).collect() }
    }

    /// The finding of a system, if it is configured and known.
    pub fn get(&self, system: System) -> Option<&Finding> {
        self.iter().find(|(at, _)| *at == system).and_then(|(_, finding)| finding)
    }

    /// True if every configured system is known.
    pub fn complete(&self) -> bool {
        self.iter().all(|(_, finding)| finding.is_some())
    }

    /// Every configured system and what is known of it.
    pub fn iter(&self) -> impl Iterator<Item = (System, Option<&Finding>)> {
        self.list.iter().map(|(system, finding)| (*system, finding.as_ref()))
    }

    /// The systems of which nothing is known.
    pub fn missing(&self) -> impl Iterator<Item = System> {
        self.iter().filter(|(_, finding)| finding.is_none()).map(|(system, _)| system)
    }

    pub(super) fn set(&mut self, system: System, finding: Finding) {
        for (at, known) in &mut self.list {
            if *at == system {
                *known = Some(finding);
                return;
            }
        }
    }
}

/// A client and the name it said.
pub(super) type Subject = (IpAddr, Name);

/// The findings that were made, for as long as they hold and a while longer.
#[derive(Debug)]
pub(super) struct FindingMemory {
    known: Cache<(System, Arc<Subject>), Arc<Held>>,
    systems: Vec<System>,
    stale: Duration,
    failure: Duration,
}

#[derive(Debug)]
struct Held {
    finding: Finding,
    until: Instant,
    keep_until: Instant,
}

impl FindingMemory {
    pub(super) fn new(config: &LiveConfig) -> Self {
        let known = Cache::builder()
            .max_capacity(config.finding_cache_bytes)
            .weigher(|(_, subject): &(System, Arc<Subject>), held: &Arc<Held>| {
                weight(subject, held)
            })
            .expire_after(ByKeep)
            .build();
        let (stale, failure) = (config.holds.stale, config.holds.failure);
        Self { known, systems: config.systems.clone(), stale, failure }
    }

    /// Keeps a finding, and returns what is to be shown in its place: a failure does not push out
    /// what was found before, which stands in for it.
    pub(super) fn put(&self, system: System, subject: &Arc<Subject>, made: Finding) -> Shown {
        let now = Instant::now();
        let key = (system, Arc::clone(subject));
        let old = self.known.get(&key).filter(|_| !made.is_settled());
        let (held, shown) = match old.filter(|old| old.finding.is_settled()) {
            Some(old) => {
                let finding = self.stand_in(&old.finding);
                let until = now + self.failure;
                let held = Held { finding, until, keep_until: old.keep_until.max(until) };
                (held, Age::Stale)
            }
            None => {
                let until = now + made.ttl;
                let spare = if made.is_settled() { self.stale } else { Duration::ZERO };
                (Held { finding: made, until, keep_until: until + spare }, Age::Fresh)
            }
        };
        let finding = held.finding.clone();
        self.known.insert(key, Arc::new(held));
        Shown { finding, age: shown }
    }

    /// What holds now; a finding's time to live is what is left of it.
    pub(super) fn fresh(&self, subject: &Arc<Subject>) -> Findings {
        let now = Instant::now();
        let mut findings = Findings::unknown(&self.systems);
        for &system in &self.systems {
            let held = self.known.get(&(system, Arc::clone(subject)));
            if let Some(held) = held.filter(|held| now < held.until) {
                let mut finding = held.finding.clone();
                finding.ttl = held.until.saturating_duration_since(now);
                findings.set(system, finding);
            }
        }
        findings
    }

    /// A finding past its time, marked, to stand in while the resolver is slow (RFC 8767).
    pub(super) fn past(&self, system: System, subject: &Arc<Subject>) -> Option<Finding> {
        let held = self.known.get(&(system, Arc::clone(subject)))?;
        held.finding.is_settled().then(|| self.stand_in(&held.finding))
    }

    fn stand_in(&self, finding: &Finding) -> Finding {
        let mut finding = finding.clone();
        if finding.records.first().is_none_or(|line| line != PAST) {
            finding.records.insert(0, PAST.to_owned());
            finding.records.truncate(LINES_MAX);
        }
        finding.ttl = self.failure;
        finding
    }
}

/// A finding to show.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) finding: Finding,
    /// Stale if an earlier finding stands in for a failure.
    pub(super) age: Age,
}

struct ByKeep;

impl<K> Expiry<K, Arc<Held>> for ByKeep {
    fn expire_after_create(&self, _: &K, held: &Arc<Held>, now: Instant) -> Option<Duration> {
        Some(held.keep_until.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        _: &K,
        held: &Arc<Held>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(held.keep_until.saturating_duration_since(now))
    }
}

/// What an entry costs, in bytes: its texts and 300 for the map and the structures.
fn weight(subject: &Arc<Subject>, held: &Held) -> u32 {
    let records: usize = held.finding.records.iter().map(|line| line.len() + 24).sum();
    u32::try_from(300 + subject.1.text().len() + records).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use helostat_zones::evidence::FindingResult;

    use super::*;

    #[test]
    fn findings_are_complete_when_all_are_known() {
        let mut findings = Findings::unknown(&[System::Csa, System::Iprev]);
        let pass = Finding::plain(FindingResult::Pass, None, Duration::from_secs(60));
        findings.set(System::Iprev, pass.clone());
        assert!(!findings.complete());
        assert_eq!(findings.missing().collect::<Vec<_>>(), [System::Csa]);
        // A system that is not configured is not made known.
        findings.set(System::Forward, pass.clone());
        assert_eq!(findings.get(System::Forward), None);
        findings.set(System::Csa, pass.clone());
        assert!(findings.complete());
        assert_eq!(findings.get(System::Csa), Some(&pass));
    }
}

//! What is known of one pair, and the memory of findings.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use helostat_zones::evidence::inquiry::LINES_MAX;
use helostat_zones::evidence::lookup::Age;
use helostat_zones::evidence::{Finding, FindingSet, System};
use helostat_zones::name::Name;
use moka::Expiry;
use moka::sync::Cache;

use super::config::LiveConfig;

/// The first line of a finding that stands in past its time.
const PAST: &str = "past its time: no newer answer (stale)";
/// What an entry costs beyond its texts, in bytes: the map's own, the places, the times.
const ENTRY_BYTES: usize = 300 + size_of::<Held>();
/// What a finding costs beyond its texts, in bytes.
const FINDING_BYTES: usize = 32 + size_of::<Finding>();
/// What a line costs beyond its text, in bytes.
const LINE_BYTES: usize = 40;

/// The findings of one pair; a place without a finding is "not known yet".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    systems: Arc<[System]>,
    set: FindingSet,
}

impl Findings {
    /// Nothing known of any of `systems`.
    pub fn unknown(systems: &Arc<[System]>) -> Self {
        Self { systems: Arc::clone(systems), set: FindingSet::default() }
    }

    /// The finding of a system, if it is configured and known.
    pub fn get(&self, system: System) -> Option<&Finding> {
        self.set.get(system)
    }

    /// All that is known, as the rules take it.
    pub fn set(&self) -> &FindingSet {
        &self.set
    }

    /// True if every configured system is known.
    pub fn complete(&self) -> bool {
        self.missing().next().is_none()
    }

    /// Every configured system and what is known of it.
    pub fn iter(&self) -> impl Iterator<Item = (System, Option<&Finding>)> {
        self.systems.iter().map(|&system| (system, self.set.get(system)))
    }

    /// The systems of which nothing is known.
    pub fn missing(&self) -> impl Iterator<Item = System> {
        self.iter().filter(|(_, finding)| finding.is_none()).map(|(system, _)| system)
    }

    /// A system that is not configured is not made known.
    pub(super) fn put(&mut self, system: System, finding: Arc<Finding>, left: Duration) {
        if self.systems.contains(&system) {
            self.set.put_left(system, finding, left);
        }
    }
}

/// A client and the name it said.
pub(super) type Subject = (IpAddr, Name);

/// The findings that were made, for as long as they hold and a while longer.
#[derive(Debug)]
pub(super) struct FindingMemory {
    known: Cache<Arc<Subject>, Arc<Held>>,
    systems: Arc<[System]>,
    stale: Duration,
    failure: Duration,
}

/// The findings about one pair and their times.
#[derive(Clone, Debug, Default)]
pub(super) struct Held([Option<Entry>; System::ALL.len()]);

#[derive(Clone, Debug)]
struct Entry {
    finding: Arc<Finding>,
    until: Instant,
    /// It may stand in for a failing resolver until then.
    keep_until: Instant,
}

impl FindingMemory {
    pub(super) fn new(config: &LiveConfig) -> Self {
        let known = Cache::builder()
            .max_capacity(config.finding_cache_bytes)
            .weigher(|subject: &Arc<Subject>, held: &Arc<Held>| weight(subject, held))
            .expire_after(ByKeep)
            .build();
        let (stale, failure) = (config.holds.stale, config.holds.failure);
        Self { known, systems: config.systems.clone().into(), stale, failure }
    }

    /// Nothing known.
    pub(super) fn unknown(&self) -> Findings {
        Findings::unknown(&self.systems)
    }

    /// Everything about a pair, also what is past its time.
    pub(super) fn held(&self, subject: &Subject) -> Held {
        self.known.get(subject).map(|held| (*held).clone()).unwrap_or_default()
    }

    /// Keeps what is known of a pair.
    pub(super) fn keep(&self, subject: &Arc<Subject>, held: Held) {
        self.known.insert(Arc::clone(subject), Arc::new(held));
    }

    /// Adds a finding to what is held, and returns what is to be shown in its place: a failure does
    /// not push out what was found before, which stands in for it.
    pub(super) fn add(&self, held: &mut Held, system: System, made: Finding) -> Shown {
        let now = Instant::now();
        let Some(place) = held.0.get_mut(system.index()) else {
            return Shown { finding: made.into(), left: Duration::ZERO, age: Age::Fresh };
        };
        let old = place.take().filter(|old| old.finding.is_settled() && now < old.keep_until);
        let (entry, age) = match old.filter(|_| !made.is_settled()) {
            Some(old) => {
                let until = now + self.failure;
                let finding = Arc::new(self.stand_in(&old.finding));
                let keep_until = old.keep_until.max(until);
                (Entry { finding, until, keep_until }, Age::Stale)
            }
            None => {
                let until = now + made.ttl;
                let spare = if made.is_settled() { self.stale } else { Duration::ZERO };
                (Entry { finding: made.into(), until, keep_until: until + spare }, Age::Fresh)
            }
        };
        let (finding, left) = (Arc::clone(&entry.finding), entry.until - now);
        *place = Some(entry);
        Shown { finding, left, age }
    }

    /// What holds now.
    pub(super) fn fresh(&self, subject: &Subject) -> Findings {
        let mut findings = self.unknown();
        let Some(held) = self.known.get(subject) else {
            return findings;
        };
        let now = Instant::now();
        for &system in &*self.systems {
            if let Some(entry) = held.entry(system)
                && now < entry.until
            {
                findings.put(system, Arc::clone(&entry.finding), entry.until - now);
            }
        }
        findings
    }

    /// A finding past its time, marked, to stand in while the resolver is slow (RFC 8767).
    pub(super) fn past(&self, system: System, subject: &Subject) -> Option<Finding> {
        let held = self.known.get(subject)?;
        let entry = held.entry(system)?;
        let usable = entry.finding.is_settled() && Instant::now() < entry.keep_until;
        usable.then(|| self.stand_in(&entry.finding))
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

impl Held {
    fn entry(&self, system: System) -> Option<&Entry> {
        self.0.get(system.index())?.as_ref()
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().flatten()
    }
}

/// A finding to show.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) finding: Arc<Finding>,
    /// How long it still holds.
    pub(super) left: Duration,
    /// Stale if an earlier finding stands in for a failure.
    pub(super) age: Age,
}

/// Entries leave when nothing in them can even stand in any more.
struct ByKeep;

impl ByKeep {
    fn left(held: &Held, now: Instant) -> Option<Duration> {
        let last = held.entries().map(|entry| entry.keep_until.max(entry.until)).max();
        Some(last.map_or(Duration::ZERO, |last| last.saturating_duration_since(now)))
    }
}

impl<K> Expiry<K, Arc<Held>> for ByKeep {
    fn expire_after_create(&self, _: &K, held: &Arc<Held>, now: Instant) -> Option<Duration> {
        Self::left(held, now)
    }

    fn expire_after_update(
        &self,
        _: &K,
        held: &Arc<Held>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Self::left(held, now)
    }
}

/// What an entry costs, in bytes.
fn weight(subject: &Subject, held: &Held) -> u32 {
    let finding = |entry: &Entry| {
        let lines = entry.finding.records.iter().map(|line| line.len() + LINE_BYTES);
        FINDING_BYTES + lines.sum::<usize>()
    };
    let findings: usize = held.entries().map(finding).sum();
    u32::try_from(ENTRY_BYTES + subject.1.text().len() + findings).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use helostat_zones::evidence::{Failure, FindingResult};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn pass() -> Finding {
        Finding::plain(FindingResult::Pass, None, MINUTE)
    }

    #[test]
    fn findings_are_complete_when_all_are_known() {
        let mut findings = Findings::unknown(&[System::Csa, System::Iprev].into());
        findings.put(System::Iprev, pass().into(), MINUTE);
        assert!(!findings.complete());
        assert_eq!(findings.missing().collect::<Vec<_>>(), [System::Csa]);
        // A system that is not configured is not made known.
        findings.put(System::Forward, pass().into(), MINUTE);
        assert_eq!(findings.get(System::Forward), None);
        findings.put(System::Csa, pass().into(), MINUTE);
        assert!(findings.complete());
        assert_eq!(findings.get(System::Csa), Some(&pass()));
    }

    #[test]
    fn a_failure_does_not_push_out_what_was_found() {
        let memory = FindingMemory::new(&LiveConfig::default());
        let mut held = Held::default();
        let failed = || Finding::failed(Failure::Timeout, MINUTE);
        assert_eq!(*memory.add(&mut held, System::Csa, failed()).finding, failed());
        let shown = memory.add(&mut held, System::Csa, pass());
        assert_eq!((shown.age, shown.finding.result), (Age::Fresh, FindingResult::Pass));
        let shown = memory.add(&mut held, System::Csa, failed());
        assert_eq!((shown.age, shown.finding.result), (Age::Stale, FindingResult::Pass));
        assert_eq!(shown.finding.records, [PAST]);

        let subject = Arc::new(("192.0.2.7".parse().expect("an address"), Name::absent()));
        memory.keep(&subject, held);
        let known = memory.fresh(&subject);
        assert_eq!(known.get(System::Csa), Some(&*shown.finding));
        assert!(known.set().left(System::Csa) <= Some(LiveConfig::default().holds.failure));
    }
}

//! The findings about one pair, one place per system, and how long each still holds.
//!
//! A finding that is not known yet is an empty place. Cloning a set clones pointers, so that a cache can
//! hand it out within a microsecond.

use std::sync::Arc;
use std::time::Duration;

use super::{Finding, FindingResult, System};

/// What is known of one pair, system by system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingSet([Option<Place>; System::ALL.len()]);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    finding: Arc<Finding>,
    left: Duration,
}

impl FindingSet {
    fn place(&self, system: System) -> Option<&Place> {
        self.0.get(system.index())?.as_ref()
    }

    /// The finding of a system, if there is one.
    pub fn get(&self, system: System) -> Option<&Finding> {
        self.place(system).map(|place| &*place.finding)
    }

    /// Puts a finding in its place that was made just now.
    pub fn put(&mut self, system: System, finding: impl Into<Arc<Finding>>) {
        let finding = finding.into();
        let left = finding.ttl;
        self.put_left(system, finding, left);
    }

    /// Puts a finding in its place that still holds for `left`.
    pub fn put_left(&mut self, system: System, finding: Arc<Finding>, left: Duration) {
        if let Some(place) = self.0.get_mut(system.index()) {
            *place = Some(Place { finding, left });
        }
    }

    /// How long a finding still holds.
    pub fn left(&self, system: System) -> Option<Duration> {
        self.place(system).map(|place| place.left)
    }

    /// True if the system says `pass`.
    pub fn passes(&self, system: System) -> bool {
        self.get(system).is_some_and(|finding| finding.result == FindingResult::Pass)
    }

    /// What is known, in the order in which it is shown.
    pub fn iter(&self) -> impl Iterator<Item = (System, &Finding)> {
        System::ALL.into_iter().filter_map(|system| Some((system, self.get(system)?)))
    }

    /// How long all of it holds; `None` if nothing is known.
    pub fn shortest(&self) -> Option<Duration> {
        self.0.iter().flatten().map(|place| place.left).min()
    }
}

impl FromIterator<(System, Finding)> for FindingSet {
    fn from_iter<I: IntoIterator<Item = (System, Finding)>>(findings: I) -> Self {
        let mut set = Self::default();
        for (system, finding) in findings {
            set.put(system, finding);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_has_its_place() {
        let mut set = FindingSet::default();
        assert_eq!(set.shortest(), None);
        for (at, system) in System::ALL.into_iter().enumerate() {
            assert_eq!(set.get(system), None);
            let ttl = Duration::from_secs(1000 - at as u64);
            set.put(system, Finding::plain(FindingResult::Pass, Some(system.word()), ttl));
            assert_eq!(set.get(system).and_then(|finding| finding.reason), Some(system.word()));
            assert_eq!(set.shortest(), Some(ttl));
            assert!(set.passes(system));
        }
        assert_eq!(set.iter().count(), System::ALL.len());
        let old = Finding::plain(FindingResult::Fail, None, Duration::from_secs(500));
        set.put_left(System::Csa, old.into(), Duration::from_secs(3));
        assert_eq!(set.shortest(), Some(Duration::from_secs(3)), "what is left of it counts");
    }
}

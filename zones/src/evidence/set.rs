//! The findings about one pair, one place per system, and until nothing in it is older than allowed.
//!
//! A finding that is not known yet is an empty place. Cloning a set clones pointers, so that a cache can
//! hand it out within a microsecond.

use std::sync::Arc;
use std::time::Duration;

use super::{Finding, FindingResult, System};

/// What is known of one pair, system by system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingSet {
    places: [Option<Arc<Finding>>; System::ALL.len()],
    /// The shortest time that any of them still holds, if that is not its own.
    holds: Option<Duration>,
}

impl FindingSet {
    /// The finding of a system, if there is one.
    pub fn get(&self, system: System) -> Option<&Finding> {
        self.places.get(system.index())?.as_deref()
    }

    /// Puts a finding in its place.
    pub fn put(&mut self, system: System, finding: impl Into<Arc<Finding>>) {
        if let Some(place) = self.places.get_mut(system.index()) {
            *place = Some(finding.into());
        }
    }

    /// Says how long the set still holds: what the findings said when they were made is past.
    #[must_use]
    pub fn holding(mut self, left: Duration) -> Self {
        self.holds = Some(left);
        self
    }

    /// True if the system says `pass`.
    pub fn passes(&self, system: System) -> bool {
        self.get(system).is_some_and(|finding| finding.result == FindingResult::Pass)
    }

    /// What is known, in the order in which it is shown.
    pub fn iter(&self) -> impl Iterator<Item = (System, &Finding)> {
        let places = System::ALL.into_iter().zip(&self.places);
        places.filter_map(|(system, place)| Some((system, place.as_deref()?)))
    }

    /// How long all of it holds; `None` if nothing is known.
    pub fn shortest(&self) -> Option<Duration> {
        self.holds.or_else(|| self.iter().map(|(_, finding)| finding.ttl).min())
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
        let left = Duration::from_secs(3);
        assert_eq!(set.holding(left).shortest(), Some(left));
    }
}

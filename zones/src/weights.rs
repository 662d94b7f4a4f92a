//! What each system of evidence may add to a verdict.
//!
//! A system that says `pass` adds points to the score of a client that has one, a system that says
//! `fail` takes some away (`softfail`: half of them). Where a publisher's explicit denial of its own name
//! counts as a denial, the client that said the name, and has no standing, is listed for it (code 7).
//!
//! All numbers are starting values, not measured. The systems that hardly anybody publishes weigh little: their
//! word is worth as much as any publisher's, but old records are forgotten in the DNS more often than kept.
//! What an address's owner says, and what everybody has (reverse names, address records), weighs less than
//! what a name's owner says: it says nothing about the name. A mismatch of a name with its own addresses costs
//! nothing, ever (RFC 5321 section 4.1.4).

use crate::evidence::System;

/// What one system may add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Points that `pass` adds to a score, -100 to 100.
    pub pass: i32,
    /// Points that `fail` adds to a score, -100 to 100: below zero, it takes them away.
    pub fail: i32,
    /// An explicit denial of its own name by the publisher is a denial.
    pub denies: bool,
}

/// What every system may add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights([Weight; System::ALL.len()]);

impl Weights {
    /// The weight of a system.
    pub fn of(&self, system: System) -> Weight {
        self.0.get(system.index()).copied().unwrap_or_default()
    }

    /// Gives a system another weight.
    pub fn set(&mut self, system: System, weight: Weight) {
        if let Some(place) = self.0.get_mut(system.index()) {
            *place = weight;
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        let weight = |system| {
            let (pass, fail, denies) = match system {
                System::Csa => (10, -20, true),
                System::Dna => (10, -20, false),
                System::Spf => (8, -15, true),
                System::Rmx | System::Dmp | System::Apl | System::Drip => (5, -10, true),
                System::Mtamark => (3, -10, false),
                System::ReverseMx => (3, -5, false),
                System::UnifiedSpf => (2, -5, false),
                System::NamePath => (2, -5, false),
                System::Mx => (5, 0, false),
                System::Iprev => (5, -5, false),
                System::Forward => (5, 0, false),
                System::Literal => (0, -10, false),
                System::Syntax => (0, -5, false),
                System::Generic => (0, -10, false),
            };
            Weight { pass, fail, denies }
        };
        Self(System::ALL.map(weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatch_with_its_own_addresses_costs_nothing() {
        let weight = Weights::default().of(System::Forward);
        assert_eq!((weight.fail, weight.denies), (0, false));
    }

    #[test]
    fn only_publishers_of_names_deny() {
        let deny: Vec<&str> = System::ALL
            .into_iter()
            .filter(|system| Weights::default().of(*system).denies)
            .map(System::word)
            .collect();
        assert_eq!(deny, ["csa", "rmx", "dmp", "apl", "spf", "drip"]);
    }
}

//! What the findings say for and against a pair: reasons with points, denials, agreement.
//!
//! In go the findings that are known and the weights of the systems; out come the reasons of a score, and the
//! three questions the rules ask: does the name's publisher deny this client, does it deny the name to
//! everybody, and does the DNS agree that this client has the name? Nothing fails: what is not known says
//! nothing.
//!
//! A denial counts within the publisher's own name only, and only if it is explicit: that an address is
//! missing from a list is no denial, since lists are forgotten when hosts move.

use std::time::Duration;

use crate::evidence::{Finding, FindingResult, FindingSet, System};
use crate::name::Name;
use crate::verdict::Reason;
use crate::weights::Weights;
use crate::words;

/// What the DNS says of a pair, as far as it is known now; `None` where nobody asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Findings<'a>(pub Option<&'a FindingSet>);

/// A publisher's denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Through which system.
    pub system: System,
    /// In which way.
    pub reason: &'static str,
}

impl Denial {
    /// True if the name is denied to everybody, not only to this client.
    pub fn is_of_name(self) -> bool {
        self.system == System::Csa && matches!(self.reason, "domain" | "explicit")
    }

    /// The reason of a verdict.
    pub fn told(self, name: &Name) -> Reason {
        let (system, name) = (label(self.system), words::shown(name));
        let text = match self.reason {
            "domain" => {
                format!("the publisher of {name} says that no mail comes from it ({system})")
            }
            "explicit" | "parent" => format!(
                "the domain above {name} says that its senders are listed, and it is not ({system})"
            ),
            _ => format!(
                "the publisher of {name} authorises other addresses, not this one ({system})"
            ),
        };
        Reason { word: "denied", points: -45, text }
    }
}

impl Findings<'_> {
    fn of(&self, system: System) -> Option<&Finding> {
        self.0?.get(system)
    }

    /// True if the system says `pass`.
    pub fn passes(&self, system: System) -> bool {
        self.of(system).is_some_and(|finding| finding.result == FindingResult::Pass)
    }

    /// True if the system says `fail`.
    pub fn fails(&self, system: System) -> bool {
        self.of(system).is_some_and(|finding| finding.result == FindingResult::Fail)
    }

    /// The explicit denial of the name's publisher, if there is one; the strongest first.
    pub fn denial(&self, weights: &Weights) -> Option<Denial> {
        let fails = |system| {
            let finding = self.of(system)?;
            let failed = finding.result == FindingResult::Fail && weights.of(system).denies;
            failed.then(|| finding.reason.unwrap_or("denied"))
        };
        let explicit = |system, reason: &str| match system {
            System::Csa | System::Spf | System::Drip => true,
            System::Dmp => reason == "deny",
            System::Rmx => reason == "denied",
            System::Apl => reason == "excluded",
            _ => false,
        };
        [System::Csa, System::Spf, System::Dmp, System::Rmx, System::Apl, System::Drip]
            .into_iter()
            .find_map(|system| {
                let reason = fails(system).filter(|reason| explicit(system, reason))?;
                Some(Denial { system, reason })
            })
    }

    /// True if the name's publisher authorises this client by its address.
    pub fn authorises(&self) -> bool {
        [System::Csa, System::Rmx, System::Dmp, System::Apl, System::Drip]
            .into_iter()
            .any(|system| self.passes(system))
            || self.spf_means_it()
    }

    /// True if the DNS agrees that this client has the name: its passport when it moves.
    pub fn agrees(&self) -> bool {
        self.authorises() || self.passes(System::Forward)
    }

    /// `+all` authorises everybody, which is nobody in particular.
    fn spf_means_it(&self) -> bool {
        let finding = self.of(System::Spf);
        finding.is_some_and(|it| it.result == FindingResult::Pass && it.reason != Some("all"))
    }

    /// True if the DNS was asked for the client's reverse name.
    pub fn asked_reverse(&self) -> bool {
        self.of(System::Iprev).is_some_and(|finding| {
            !matches!(finding.result, FindingResult::Temperror | FindingResult::Permerror)
        })
    }

    /// Tells `each` what every system adds that says something, as the reason of a score; without its sentence if
    /// nobody will read it.
    pub fn weigh(&self, name: &Name, weights: &Weights, in_words: bool, each: impl FnMut(Reason)) {
        let Some(set) = self.0 else { return };
        let told = |(system, finding): (System, &Finding)| {
            let weight = weights.of(system);
            let (good, points) = match finding.result {
                FindingResult::Pass => (true, weight.pass),
                FindingResult::Fail => (false, weight.fail),
                FindingResult::Softfail => (false, weight.fail / 2),
                _ => return None,
            };
            let text = || if in_words { sentence(system, good, name) } else { String::new() };
            (points != 0).then(|| Reason { word: word(system, good), points, text: text() })
        };
        set.iter().filter_map(told).for_each(each);
    }

    /// How long all of it holds.
    pub fn shortest(&self) -> Option<Duration> {
        self.0?.shortest()
    }
}

/// What people call a system.
fn label(system: System) -> &'static str {
    match system {
        System::Csa => "CSA",
        System::Dna => "CSV-DNA",
        System::Rmx => "RMX",
        System::Dmp => "DMP",
        System::Mtamark => "MTAMARK",
        System::ReverseMx => "Reverse MX",
        System::Apl => "APL",
        System::Spf => "SPF",
        System::UnifiedSpf => "SPF of the reverse name",
        System::Mx => "MX",
        System::Iprev => "reverse DNS",
        System::Forward => "address record",
        System::Literal => "address literal",
        System::Syntax => "syntax",
        System::Generic => "generic name",
        System::Drip => "DRIP",
        System::NamePath => "Name Path",
    }
}

/// The stable word of a reason.
fn word(system: System, good: bool) -> &'static str {
    match (system, good) {
        (System::Csa, true) => "csa-pass",
        (System::Csa, false) => "csa-fail",
        (System::Dna, true) => "dna-pass",
        (System::Dna, false) => "dna-fail",
        (System::Rmx, true) => "rmx-pass",
        (System::Rmx, false) => "rmx-fail",
        (System::Dmp, true) => "dmp-pass",
        (System::Dmp, false) => "dmp-fail",
        (System::Mtamark, true) => "mtamark-pass",
        (System::Mtamark, false) => "mtamark-fail",
        (System::ReverseMx, true) => "reverse-mx-pass",
        (System::ReverseMx, false) => "reverse-mx-fail",
        (System::Apl, true) => "apl-pass",
        (System::Apl, false) => "apl-fail",
        (System::Spf, true) => "spf-pass",
        (System::Spf, false) => "spf-fail",
        (System::UnifiedSpf, true) => "unified-spf-pass",
        (System::UnifiedSpf, false) => "unified-spf-fail",
        (System::Mx, true) => "mx-pass",
        (System::Mx, false) => "mx-fail",
        (System::Iprev, true) => "iprev-pass",
        (System::Iprev, false) => "iprev-fail",
        (System::Forward, true) => "forward-pass",
        (System::Forward, false) => "forward-fail",
        (System::Literal, true) => "literal-pass",
        (System::Literal, false) => "literal-fail",
        (System::Syntax, true) => "syntax-pass",
        (System::Syntax, false) => "syntax-fail",
        (System::Generic, true) => "generic-pass",
        (System::Generic, false) => "generic-fail",
        (System::Drip, true) => "drip-pass",
        (System::Drip, false) => "drip-fail",
        (System::NamePath, true) => "name-path-pass",
        (System::NamePath, false) => "name-path-fail",
    }
}

/// What a system says, for people.
fn sentence(system: System, good: bool, name: &Name) -> String {
    let name = words::shown(name);
    match (system, good) {
        (System::Csa | System::Rmx | System::Dmp | System::Apl | System::Spf | System::Drip, _) => {
            let does = if good { "authorises" } else { "does not authorise" };
            format!("the publisher of {name} {does} this client ({})", label(system))
        }
        (System::Dna, true) => format!("a service that you trust vouches for {name}"),
        (System::Dna, false) => format!("a service that you trust warns of {name}"),
        (System::Mtamark, true) => "the owner of the address marks it as a mail server".into(),
        (System::Mtamark, false) => "the owner of the address marks it as no mail server".into(),
        (System::ReverseMx, true) => "the network lists the address among its mail servers".into(),
        (System::ReverseMx, false) => "the network lists its mail servers, and not this one".into(),
        (System::UnifiedSpf, true) => "SPF of the reverse name authorises the address".into(),
        (System::UnifiedSpf, false) => "SPF of the reverse name denies the address".into(),
        (System::Mx, true) => format!("the domain of {name} has its mail sent to this address"),
        (System::Mx, false) => format!("no mail of the domain of {name} goes to this address"),
        (System::Iprev, true) => "reverse and forward DNS agree".into(),
        (System::Iprev, false) => "reverse and forward DNS disagree".into(),
        (System::Forward, true) => format!("an address record of {name} names this client"),
        (System::Forward, false) => format!("no address record of {name} names this client"),
        (System::Literal, true) => "the address that it says is its own".into(),
        (System::Literal, false) => "the address that it says is another's".into(),
        (System::Syntax, true) => "what it says has the form of a host's name".into(),
        (System::Syntax, false) => "what it says has not the form of a host's name".into(),
        (System::Generic, true) => "its reverse name was given to it alone".into(),
        (System::Generic, false) => "its reverse name was made by a machine for a range".into(),
        (System::NamePath, true) => format!("its domain lists {name} among its senders"),
        (System::NamePath, false) => format!("its domain lists its senders, and not {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(findings: &[(System, FindingResult, Option<&'static str>)]) -> FindingSet {
        let finding = |result, reason| Finding::plain(result, reason, Duration::from_secs(60));
        findings
            .iter()
            .map(|(system, result, reason)| (*system, finding(*result, *reason)))
            .collect()
    }

    #[test]
    fn only_what_is_explicit_denies() {
        use FindingResult::{Fail, Pass, Softfail};
        for (system, result, reason, denied) in [
            (System::Csa, Fail, Some("mismatch"), true),
            (System::Csa, Pass, None, false),
            (System::Spf, Fail, None, true),
            (System::Spf, Softfail, None, false),
            (System::Dmp, Fail, Some("deny"), true),
            (System::Dmp, Fail, Some("undesignated"), false),
            (System::Rmx, Fail, Some("denied"), true),
            (System::Rmx, Fail, Some("notlisted"), false),
            (System::Apl, Fail, Some("excluded"), true),
            (System::Apl, Fail, Some("notlisted"), false),
            (System::Forward, Fail, Some("mismatch"), false),
            (System::Iprev, Fail, Some("mismatch"), false),
            (System::Mtamark, Fail, None, false),
            (System::Literal, Fail, Some("literal-mismatch"), false),
        ] {
            let set = set(&[(system, result, reason)]);
            let denial = Findings(Some(&set)).denial(&Weights::default());
            assert_eq!(denial.is_some(), denied, "{system} {result} {reason:?}");
        }
        let set = set(&[(System::Csa, Fail, Some("mismatch"))]);
        let mut weights = Weights::default();
        weights.set(System::Csa, Default::default());
        assert_eq!(Findings(Some(&set)).denial(&weights), None, "the operator may not want it");
    }

    #[test]
    fn who_authorises_everybody_agrees_with_nobody() {
        use FindingResult::Pass;
        for (system, reason, agrees) in [
            (System::Spf, Some("ip4"), true),
            (System::Spf, Some("all"), false),
            (System::Forward, None, true),
            (System::Iprev, None, false),
            (System::Mx, None, false),
        ] {
            let set = set(&[(system, Pass, reason)]);
            assert_eq!(Findings(Some(&set)).agrees(), agrees, "{system} {reason:?}");
        }
    }

    #[test]
    fn every_system_has_words_of_its_own() {
        let name = Name::parse(b"mail.example.com");
        let mut words = std::collections::BTreeSet::new();
        for system in System::ALL {
            for good in [true, false] {
                assert!(words.insert(word(system, good)), "{system}");
                assert!(word(system, good).starts_with(system.word()), "{system}");
                assert!(!sentence(system, good, &name).is_empty());
            }
        }
    }
}

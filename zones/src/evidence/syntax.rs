//! The syntax of what was said in EHLO or HELO (RFC 5321 sections 2.3.5, 4.1.1.1 and 4.1.3).
//!
//! No question is asked: the finding is the class of the argument, as [`crate::name`] read it.
//!
//! | finding | when |
//! |---|---|
//! | `pass:fqdn` | two labels or more, of letters, digits and hyphens |
//! | `pass:lit4`, `pass:lit6` | an address literal; whose address it is, [`super::literal`] tells |
//! | `neutral:underscore` | a name but for an underscore: against the rule, and on honest hosts too |
//! | `neutral:single` | one label: a host that does not know its domain |
//! | `neutral:reserved` | a name that no host on the Internet can own: `localhost`, `*.local`, `*.lan` |
//! | `fail:bare-ip` | an address without its brackets: mostly malware |
//! | `fail:malformed` | anything else |
//! | `fail:absent` | nothing |
//!
//! RFC 5321 section 4.1.4 forbids refusing mail because a *name* does not fit its address; it says
//! nothing of what is no name at all.

use super::finding::{Finding, FindingResult};
use super::lookup::Holds;
use crate::name::{Name, NameKind};

/// The class of `name`.
pub fn evaluate(name: &Name) -> Finding {
    let (result, class) = match name.kind() {
        NameKind::Fqdn if name.text().contains('_') => (FindingResult::Neutral, "underscore"),
        NameKind::Fqdn => (FindingResult::Pass, "fqdn"),
        NameKind::Literal if name.ip().is_some_and(|ip| ip.is_ipv4()) => {
            (FindingResult::Pass, "lit4")
        }
        NameKind::Literal => (FindingResult::Pass, "lit6"),
        NameKind::Single => (FindingResult::Neutral, "single"),
        NameKind::Reserved => (FindingResult::Neutral, "reserved"),
        NameKind::BareIp => (FindingResult::Fail, "bare-ip"),
        NameKind::Malformed => (FindingResult::Fail, "malformed"),
        NameKind::Absent => (FindingResult::Fail, "absent"),
    };
    // What was said stays said.
    Finding::plain(result, Some(class), Holds::default().positive_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_finding() {
        for (said, expected) in [
            ("mail.example.com", "pass:fqdn"),
            ("MAIL.Example.COM.", "pass:fqdn"),
            ("[192.0.2.7]", "pass:lit4"),
            ("[IPv6:2001:db8::7]", "pass:lit6"),
            ("[IPv6:::ffff:192.0.2.7]", "pass:lit6"),
            ("out_1.example.com", "neutral:underscore"),
            ("win-abc123", "neutral:single"),
            ("my_pc", "neutral:single"),
            ("localhost", "neutral:reserved"),
            ("my_pc.lan", "neutral:reserved"),
            ("192.0.2.7", "fail:bare-ip"),
            ("2001:db8::7", "fail:bare-ip"),
            ("192.0.2.300", "fail:malformed"),
            ("[192.0.2.300]", "fail:malformed"),
            ("[2001:db8::7]", "fail:malformed"),
            ("two words", "fail:malformed"),
            ("a..b", "fail:malformed"),
            ("", "fail:absent"),
            (" \r\n", "fail:absent"),
        ] {
            let found = evaluate(&Name::parse(said.as_bytes()));
            assert_eq!(found.to_string(), expected, "{said:?}");
        }
    }
}

//! What `bits` says of a client: one A record, `127.0.<good>.<bad>`, for programs that test bits (Exim's `&`, rspamd's
//! `returnbits`, SpamAssassin's masks).
//!
//! In goes a verdict; out come both octets, both 0 of a client of which nothing is known. The lowest bit of both octets
//! is never set, so that no mask of it matches, and an error code such as 127.0.0.1 is no verdict.
//!
//! | good | | bad | |
//! |---|---|---|---|
//! | 2 | one of its pairs stands | 2 | it is listed |
//! | 4 | its reverse name leads back to it | 4 | it says names of many domains |
//! | 8 | its name has an address record that leads to it | 8 | it says a name that others own |
//! | 16 | the name's publisher authorises it | 16 | its name's address records lead elsewhere |
//! | 32 | several mail servers know it | 32 | the name's publisher denies it |
//! | 64 | another name of its domain stands here, or its domain has long been in its network | 64 | a name made for a range of addresses |
//! | 128 | you allowed it | 128 | it is new |

use crate::operator;
use crate::verdict::{Class, ClientVerdict, ListCode};

/// The words of reasons that set a bit, for it and against it.
const GOOD: [(u8, &[&str]); 5] = [
    (2, &["established", "strong"]),
    (4, &["iprev-pass"]),
    (8, &["forward-pass"]),
    (
        16,
        &[
            "csa-pass",
            "spf-pass",
            "rmx-pass",
            "dmp-pass",
            "apl-pass",
            "drip-pass",
            "mtamark-pass",
            "reverse-mx-pass",
            "unified-spf-pass",
        ],
    ),
    (64, &["same-family", "family-in-network"]),
];
const BAD: [(u8, &[&str]); 5] = [
    (4, &["many-families", "second-family", "watched", "shared"]),
    (8, &["claims-others", "name-in-many-networks"]),
    (16, &["forward-fail"]),
    (32, &["denied"]),
    (64, &["generic-name", "generic-reverse", "generic-fail"]),
];

/// The octets, good and bad.
pub(super) fn value(verdict: &ClientVerdict) -> [u8; 2] {
    let said = |words: &[&str]| verdict.reasons.iter().any(|reason| words.contains(&reason.word));
    let bits = |table: &[(u8, &[&str])]| {
        table.iter().filter(|(_, words)| said(words)).fold(0, |bits, (bit, _)| bits | bit)
    };
    let mut good = bits(&GOOD);
    let mut bad = bits(&BAD);
    let decision = verdict.decision.as_ref().map(|decision| decision.kind);
    for (bit, holds) in
        [(32, verdict.reporters > 1), (128, decision == Some(operator::Kind::Allow))]
    {
        good |= if holds { bit } else { 0 };
    }
    let is_known = verdict.score.is_some() || decision.is_some() || !verdict.listings.is_empty();
    let is_denied = verdict.listings.contains(&ListCode::Denied);
    for (bit, holds) in [
        (2, !verdict.listings.is_empty()),
        (32, is_denied),
        (128, is_known && verdict.class == Class::New),
    ] {
        bad |= if holds { bit } else { 0 };
    }
    if is_known { [good, bad] } else { [0, 0] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;
    use crate::verdict::Reason;

    #[test]
    fn bits_of_verdicts() {
        let verdict = |words: &[&'static str]| ClientVerdict {
            reasons: words
                .iter()
                .map(|word| Reason { word, points: 1, text: String::new() })
                .collect(),
            score: Some(50),
            class: Class::Known,
            ..ClientVerdict::unknown(Time(0))
        };
        let listings = vec![ListCode::Denied];
        for (verdict, octets) in [
            (ClientVerdict::unknown(Time(0)), [0, 0]),
            (verdict(&[]), [0, 0]),
            (verdict(&["established", "iprev-pass", "forward-pass"]), [14, 0]),
            (ClientVerdict { class: Class::New, ..verdict(&["generic-fail"]) }, [0, 192]),
            (ClientVerdict { reporters: 2, ..verdict(&["strong", "spf-pass"]) }, [50, 0]),
            (ClientVerdict { listings, score: None, ..verdict(&["denied"]) }, [0, 34]),
        ] {
            assert_eq!(value(&verdict), octets, "{verdict:?}");
        }
    }

    #[test]
    fn the_lowest_bits_are_never_set() {
        for (bit, _) in GOOD.iter().chain(&BAD) {
            assert!(bit.is_power_of_two() && *bit > 1, "{bit}");
        }
    }
}

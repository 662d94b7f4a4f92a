//! What one system says of one pair now: a word, a reason, what was seen, and how long it holds.
//!
//! The words are those of SPF (RFC 7208 section 2.6), used for every system. A finding is a fact,
//! not a judgement: `fail` of a weak system is no reason to list anybody (the policy decides).

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::lookup::{Failure, Holds};

/// The seven words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingResult {
    /// The publisher authorises this address.
    Pass,
    /// The publisher denies it.
    Fail,
    /// The publisher denies it weakly.
    Softfail,
    /// The publisher speaks but says nothing about this address.
    Neutral,
    /// Nothing is published, or the system does not apply.
    None,
    /// The DNS failed; asking again may help.
    Temperror,
    /// What is published cannot be understood.
    Permerror,
}

impl FindingResult {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Pass,
        Self::Fail,
        Self::Softfail,
        Self::Neutral,
        Self::None,
        Self::Temperror,
        Self::Permerror,
    ];

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Softfail => "softfail",
            Self::Neutral => "neutral",
            Self::None => "none",
            Self::Temperror => "temperror",
            Self::Permerror => "permerror",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.word() == word)
    }
}

impl fmt::Display for FindingResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What one system says of one pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The word.
    pub result: FindingResult,
    /// Which of the ways to that word, from a fixed list per system.
    pub reason: Option<&'static str>,
    /// What was asked and what was seen, one question a line, in the order asked; printable ASCII,
    /// at most [`super::inquiry::LINES_MAX`] lines.
    pub records: Vec<String>,
    /// How long it holds from the moment of asking; whole seconds in JSON.
    #[serde(rename = "ttl_seconds", serialize_with = "whole_seconds")]
    pub ttl: Duration,
    /// True if the resolver vouches by DNSSEC (the AD bit) for every answer that was used, and there was one.
    pub secure: bool,
}

impl Finding {
    /// A finding of which no question was asked (yet): it holds for `ttl`.
    pub fn plain(result: FindingResult, reason: Option<&'static str>, ttl: Duration) -> Self {
        Self { result, reason, records: Vec::new(), ttl, secure: false }
    }

    /// The finding of a system that the operator switched off.
    pub fn off() -> Self {
        Self::plain(FindingResult::None, Some("off"), Holds::default().positive_max)
    }

    /// The finding when a system did not come to an end.
    pub fn failed(failure: Failure, ttl: Duration) -> Self {
        Self::plain(result_of(failure), Some(failure.word()), ttl)
    }

    /// True if the DNS answered, whatever it said.
    pub fn is_settled(&self) -> bool {
        self.result != FindingResult::Temperror
    }
}

/// What a failed question makes of a system that cannot go on without it.
pub(super) fn result_of(failure: Failure) -> FindingResult {
    if failure.is_permanent() { FindingResult::Permerror } else { FindingResult::Temperror }
}

/// `pass`, `fail:mismatch`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Some(reason) => write!(f, "{}:{reason}", self.result),
            None => write!(f, "{}", self.result),
        }
    }
}

fn whole_seconds<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(span.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for result in FindingResult::ALL {
            assert_eq!(FindingResult::parse(result.word()), Some(result));
        }
        assert_eq!(FindingResult::parse("Pass"), None);
    }

    #[test]
    fn findings_are_written_with_their_reason() {
        let ttl = Duration::from_secs(60);
        for (finding, written) in [
            (Finding::plain(FindingResult::Pass, None, ttl), "pass"),
            (Finding::plain(FindingResult::Fail, Some("mismatch"), ttl), "fail:mismatch"),
            (Finding::failed(Failure::Budget, ttl), "temperror:budget"),
            (Finding::failed(Failure::AliasLoop, ttl), "permerror:alias-loop"),
        ] {
            assert_eq!(finding.to_string(), written);
        }
        let json =
            serde_json::to_value(Finding::failed(Failure::Timeout, ttl)).expect("plain data");
        assert_eq!(json["result"], "temperror");
        assert_eq!(json["ttl_seconds"], 60);
    }
}

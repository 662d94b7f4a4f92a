//! One EHLO from one client at one time, with its outcome: what ingest hands to the ledger.
//!
//! An observation is made once, by the session joiner, from whatever lines its program logs; from
//! then on nothing is text that "should be" something. A session that is told early and turns out
//! otherwise is told again with `supersedes`, so that a count moves instead of growing.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::time::Time;

/// One MTA, or log, that reports observations: its name from the configuration.
pub type Reporter = Arc<str>;

/// How a session or a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The message was taken for every recipient.
    Accepted,
    /// The message was taken, some recipients were refused.
    Partial,
    /// Refused for good (5xx) at any stage after the greeting.
    Rejected,
    /// Refused for now (4xx): greylisting, limits, faults of ours.
    Deferred,
    /// The client went away in the middle of a transaction.
    Aborted,
    /// Refused at the banner, before it could say a name.
    Refused,
    /// Nothing was attempted: a probe, a QUIT after EHLO.
    None,
}

impl Outcome {
    /// Every outcome, in the order of `index`.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Partial,
        Self::Rejected,
        Self::Deferred,
        Self::Aborted,
        Self::Refused,
        Self::None,
    ];

    /// Its place in arrays of counts; part of the stored layout, never renumbered.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The word for it in output and input.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Partial => "partial",
            Self::Rejected => "rejected",
            Self::Deferred => "deferred",
            Self::Aborted => "aborted",
            Self::Refused => "refused",
            Self::None => "none",
        }
    }

    /// True if mail was taken: the only outcome that builds standing.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted | Self::Partial)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What sort of mail a reporter sees.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ReporterKind {
    /// A border MTA for real recipients.
    #[default]
    Mx,
    /// A spam trap: what it accepts never builds trust.
    Trap,
    /// A submission service: users' programs, not servers.
    Submission,
    /// Takes everything, so that what it accepts says nothing: no trust is built on it either.
    Unfiltered,
}

impl ReporterKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Mx, Self::Trap, Self::Submission, Self::Unfiltered];

    /// The word for it in output and input.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Trap => "trap",
            Self::Submission => "submission",
            Self::Unfiltered => "unfiltered",
        }
    }

    /// The kind that a word means.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// True if mail that it accepts builds standing.
    pub fn builds_standing(self) -> bool {
        self == Self::Mx
    }
}

/// One EHLO from one client at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When the session began or the message came, as the log says.
    pub time: Time,
    /// The exact address of the client, canonical (never IPv4-mapped IPv6).
    pub ip: IpAddr,
    /// The name in force, normalised.
    pub name: Name,
    /// The reverse name the MTA logged as verified; `None` if it logged none.
    pub rdns: Option<Box<str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// The SMTP stage that decided, in lower case (`rcpt`, `data`, `helo`), where the log says.
    pub stage: Option<&'static str>,
    /// True if the MTA refused it because of an answer of ours: kept, never held against the client.
    pub by_us: bool,
    /// The outcome this session was told with before; the ledger takes that one back.
    pub supersedes: Option<Outcome>,
    /// Who saw it.
    pub reporter: Reporter,
}

//! What each mail program says: one file a program, from framed line to observations.
//!
//! A format owns its open sessions. It is given framed lines in order, appends observations to `out`,
//! and says what became of the line. Rules common to all: a line is read from both ends and never by
//! searching across text that a client chose; where two readings are possible the name (or the line)
//! is dropped and counted; an address is only ever taken from where the program itself put it.

pub(crate) mod exim;
pub(crate) mod postfix;

use std::net::IpAddr;

use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, Reporter};
use helostat_zones::time::Time;

use crate::fate::Fate;
use crate::session::Tally;

/// What became of one line: its fate, and a reason word where it was not understood.
pub(crate) type Reading = (Fate, Option<&'static str>);

pub(crate) const SESSION: Reading = (Fate::Session, None);
pub(crate) const IRRELEVANT: Reading = (Fate::Irrelevant, None);

/// A line that could be read in two ways, and why.
pub(crate) fn ambiguous(why: &'static str) -> Reading {
    (Fate::Ambiguous, Some(why))
}

/// A line of no known shape, and why.
pub(crate) fn not_understood(why: &'static str) -> Reading {
    (Fate::NotUnderstood, Some(why))
}

/// The client of a session: its address and its verified reverse name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) ip: IpAddr,
    pub(crate) rdns: Option<Box<str>>,
}

impl Caller {
    /// The observation that `tally` comes to under `name`.
    pub(crate) fn observe(
        &self,
        time: Time,
        name: &Name,
        tally: &Tally,
        supersedes: Option<Outcome>,
        reporter: &Reporter,
    ) -> Observation {
        let (outcome, stage) = tally.outcome();
        let refused = matches!(outcome, Outcome::Rejected | Outcome::Deferred | Outcome::Refused);
        Observation {
            time,
            ip: self.ip,
            name: name.clone(),
            rdns: self.rdns.clone(),
            outcome,
            stage: stage.map(|stage| stage.word()),
            by_us: refused && tally.by_us,
            supersedes,
            reporter: reporter.clone(),
        }
    }
}

/// A verified reverse name as text; `None` if it is not printable ASCII of a name's length.
pub(crate) fn reverse_name(text: &[u8]) -> Option<Box<str>> {
    if text.is_empty() || text.len() > 255 || !text.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    std::str::from_utf8(text).ok().map(|text| text.to_ascii_lowercase().into())
}

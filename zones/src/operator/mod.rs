//! The operator's own decisions: whom to allow and whom to deny, whatever was learned.
//!
//! In: [`Decision`]s, read from the configuration by whoever has files. Out of [`Decisions`]: the one that
//! holds of a client, a name or a pair at a moment, or none. Nothing fails here but [`Subject::parse`], whose
//! error says what to write instead. This room has no clock: "now" is a parameter, and a decision whose `until`
//! has come is as good as absent.
//!
//! **What beats what.** Rules of our own; the first that settles it:
//!
//! 1. A decision on the client goes before one on the name. The address is the host that connects, and nobody
//!    can borrow it; a name is only what somebody says.
//! 2. The more specific goes before the wider: the longest prefix, and the exact name before the longest
//!    `*.suffix`. So a single host can be taken out of a network that is decided on, and put back in again.
//! 3. Of two on the very same subject, deny goes before allow: a wrong denial is seen at once, since mail comes
//!    back with the reason in it; a wrong permission is seen by nobody. (The configuration refuses such a couple.)
//!
//! 4. What is written down here as a decision goes before what a list says ([`DecidingList`]): a list is a file of many,
//!    often made by others; a decision is about the one.
//!
//! **An allow by name counts only where the DNS agrees or the pair stands.** Whoever wants to be let in can say
//! an allowed name. So [`Decision::needs_agreement`] is true for every allow of a name or a suffix: before the judge acts
//! on it, the name's DNS must agree with the client, or the pair must have standing of its own. Where neither is
//! so, the pair is judged by [`Decisions::of_unbound_pair`], which passes such decisions over: a wider denial behind them
//! still holds. A deny by name needs no agreement: it touches nobody but those who say the name.
//!
//! Not done here: what a decision does to a verdict ([`crate::rules`]), and where decisions are kept (a file is
//! read and written by the program).

mod lists;
mod subject;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::time::Time;

pub use lists::DecidingList;
pub use subject::{Subject, SubjectError};
pub use table::Decisions;

/// Which way a decision goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Let in.
    Allow,
    /// Keep out.
    Deny,
}

impl Kind {
    /// The word for it, as the configuration and the commands have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Where a decision is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as it was named to us, or the name of a list; empty for a decision that is in none.
    pub file: Arc<str>,
    /// The line it begins on, from 1; 0 for a list.
    pub line: usize,
}

impl Place {
    /// Not a place of its own, but in a list.
    pub fn in_list(name: Arc<str>) -> Self {
        Self { file: name, line: 0 }
    }

    /// The name of the list.
    pub fn list(&self) -> Option<&str> {
        (self.line == 0 && !self.file.is_empty()).then_some(&*self.file)
    }
}

/// `decisions.toml:12`, or `list dnsbl.example.net`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list() {
            Some(name) => write!(f, "list {name}"),
            None => write!(f, "{}:{}", self.file, self.line),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// One decision of the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Decision {
    /// Which way it goes.
    #[serde(rename = "decision")]
    pub kind: Kind,
    /// On whom.
    pub subject: Subject,
    /// Why: the operator's own words, shown with every verdict that comes of it.
    pub reason: String,
    /// Who decided; may be empty.
    pub author: String,
    /// Since when it is written down. It says nothing about when it begins: that is at once.
    pub added: Option<Time>,
    /// The first moment at which it no longer holds; `None` is never.
    pub until: Option<Time>,
    /// Where it is written down.
    pub place: Place,
}

impl Decision {
    /// True while it is in force.
    pub fn holds(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// True if it may be acted on only for a client with which the name's DNS agrees, or in a pair that stands:
    /// every allow by name, since anybody can say a name.
    pub fn needs_agreement(&self) -> bool {
        self.kind == Kind::Allow && !matches!(self.subject, Subject::Prefix(_))
    }

    /// True if the other says the same, wherever it is written down.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.subject == other.subject
            && self.reason == other.reason
            && self.author == other.author
            && self.added == other.added
            && self.until == other.until
    }
}

/// `deny 192.0.2.7: floods us (by anna, until 2026-12-01T00:00:00Z)`.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind, self.subject, self.reason)?;
        match (self.author.as_str(), self.until) {
            ("", None) => Ok(()),
            ("", Some(until)) => write!(f, " (until {until})"),
            (author, None) => write!(f, " (by {author})"),
            (author, Some(until)) => write!(f, " (by {author}, until {until})"),
        }
    }
}

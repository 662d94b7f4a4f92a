//! What became of a line: nothing is silent, every line ends in one of these words.

use std::fmt;

/// The program that wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// Any of Postfix' programs.
    Postfix,
    /// Exim.
    Exim,
    /// Another, or nobody knows.
    Other,
}

impl Program {
    /// The word for it in metric labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Postfix => "postfix",
            Self::Exim => "exim",
            Self::Other => "other",
        }
    }
}

/// What became of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It gave at least one observation.
    Observed,
    /// It is part of a session that is being followed.
    Session,
    /// Understood; says nothing of a client.
    Irrelevant,
    /// Two readings are possible: the name or the line was dropped.
    Ambiguous,
    /// Of no known shape.
    NotUnderstood,
}

impl Fate {
    /// The word for it in metric labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Session => "session",
            Self::Irrelevant => "irrelevant",
            Self::Ambiguous => "ambiguous",
            Self::NotUnderstood => "not-understood",
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What became of one line, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineReading {
    /// Whose line it is.
    pub program: Program,
    /// What became of it.
    pub fate: Fate,
    /// A short reason word where the fate is `Ambiguous` or `NotUnderstood`.
    pub why: Option<&'static str>,
}

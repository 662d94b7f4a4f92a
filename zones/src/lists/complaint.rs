//! What is wrong with a file: where, what, and what to do.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use thiserror::Error;

/// The most complaints that are kept; all are counted.
pub const COMPLAINTS_MAX: usize = 100;

/// Something wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file, as it was named to the loader.
    pub file: Arc<str>,
    /// The line, from 1; 0 if it is about the whole.
    pub line: u64,
    /// The octet in the line, from 1; 0 if it is about the whole line.
    pub column: usize,
    /// What is wrong.
    pub what: Cow<'static, str>,
    /// What to do.
    pub remedy: &'static str,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        for place in [self.line, self.column as u64].into_iter().take_while(|&place| place > 0) {
            write!(f, ":{place}")?;
        }
        write!(f, ": {}: {}", self.what, self.remedy)
    }
}

/// What was wrong and did not matter to the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaints {
    /// The first [`COMPLAINTS_MAX`] of them.
    pub kept: Vec<Complaint>,
    /// How many there were.
    pub count: u64,
}

/// Why a dataset was not loaded. The one in force before stays so.
#[derive(Debug, Error)]
pub enum LoadError {
    /// A line that leaves no sense in the rest.
    #[error("{0}; nothing of it is used")]
    Broken(Complaint),
    /// A file could not be read to its end.
    #[error("{file}: reading behind line {line}: {source}; nothing of it is used")]
    Unreadable {
        /// The file, as it was named to the loader.
        file: Arc<str>,
        /// The last line that was read, from 1.
        line: u64,
        /// Why.
        source: io::Error,
    },
}

/// What is wrong in the line at hand.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) column: usize,
    pub(super) what: Cow<'static, str>,
    pub(super) remedy: &'static str,
    pub(super) harm: Harm,
}

/// How far a fault reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    /// The line is skipped.
    Line,
    /// The dataset is not loaded.
    Dataset,
}

impl Fault {
    /// A line that is skipped.
    pub(super) fn line(
        column: usize,
        what: impl Into<Cow<'static, str>>,
        remedy: &'static str,
    ) -> Self {
        Self { column, what: what.into(), remedy, harm: Harm::Line }
    }

    /// A line that makes the rest worthless.
    pub(super) fn dataset(
        column: usize,
        what: impl Into<Cow<'static, str>>,
        remedy: &'static str,
    ) -> Self {
        Self { column, what: what.into(), remedy, harm: Harm::Dataset }
    }
}

/// Where the reading stands, and what was complained of so far.
pub(super) struct Notes {
    pub(super) file: Arc<str>,
    pub(super) line: u64,
    complaints: Complaints,
}

impl Notes {
    pub(super) fn new() -> Self {
        Self { file: "".into(), line: 0, complaints: Complaints::default() }
    }

    /// Counts a complaint, and keeps it if there is room.
    pub(super) fn add(&mut self, fault: Fault) {
        self.complaints.count += 1;
        if self.complaints.kept.len() < COMPLAINTS_MAX {
            let complaint = self.complaint(fault);
            self.complaints.kept.push(complaint);
        }
    }

    /// The fault with its place.
    pub(super) fn complaint(&self, fault: Fault) -> Complaint {
        let Fault { column, what, remedy, .. } = fault;
        Complaint { file: self.file.clone(), line: self.line, column, what, remedy }
    }

    pub(super) fn into_complaints(self) -> Complaints {
        self.complaints
    }
}

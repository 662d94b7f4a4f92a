//! Exit codes, documented in the manual: scripts and service managers rely on them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// It failed while running.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The ledger is in use, damaged, of a newer version, or cannot be written.
    Ledger = 3,
    /// An address to listen on is taken or not ours.
    Listen = 4,
    /// A log or a dump cannot be read.
    Input = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command failed: one clear sentence (with causes), and the code to end with.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// What to tell.
    pub error: anyhow::Error,
}

impl Failure {
    /// A failure with this code.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }

    /// A failure with this code and sentence.
    pub fn say(exit: Exit, sentence: impl std::fmt::Display) -> Self {
        Self { exit, error: anyhow::Error::msg(sentence.to_string()) }
    }
}

/// Anything not said otherwise is a failure while running.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Exit::Failed, error)
    }
}

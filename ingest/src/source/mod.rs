//! Where lines come from: what is followed for ever, or finished files and streams read once.
//!
//! In: paths, and the positions stored so far (through [`Positions`]). Out: a sequence of [`Step`]s,
//! mostly lines, and at any time the position just after the last line handed out. Whoever stores
//! that position together with what the lines meant has read every line exactly once, across
//! restarts, rotation, truncation and compression.
//!
//! - [`Source`]: what is followed, whatever it is; only the source itself understands its positions
//! - [`identity`]: what makes a file the same source: its content, not its name
//! - [`follow`]: [`Follow`], one growing log file
//! - [`journal`]: [`Journal`], journald's journal, by its cursors
//! - [`set`]: [`Set`], all files that match a pattern
//! - [`names`]: which files a name or a pattern means
//! - [`syslog`]: [`Listener`], what other hosts send; it comes once, and what is lost is counted
//! - [`told`]: what another part of this program saw itself
//! - [`history`]: [`History`], a finished file, packed or not, or a stream
//!
//! Everything here blocks and is plain `std`: each source runs in a thread of its own. Offsets and
//! sizes are bytes. A log that cannot be read is a [`SourceTrouble`], never a panic: a followed log is
//! tried again for as long as it takes, a finished one fails with what was read before kept.
//!
//! What is not done here: character sets, framing and time stamps (lines are bytes), compression
//! other than gzip, xz and zstd, watching by inotify (a poll costs a few microseconds).

pub mod follow;
pub mod history;
pub mod identity;
pub mod journal;
pub mod names;
pub mod set;
pub mod syslog;
pub mod told;

mod beside;
mod file;
mod lines;
mod resume;
mod rotated;
mod spool;
mod stated;
mod unpack;
mod whole;

use std::path::{Path, PathBuf};
use std::time::Duration;

use helostat_zones::observation::Reporter;

pub use follow::Follow;
pub use history::History;
pub use identity::{Position, PositionError};
pub use journal::Journal;
pub use lines::LINE_BYTES;
pub use rotated::log_of;
pub use set::Set;
pub use spool::nameless_file;
pub use syslog::Listener;
pub use whole::Whole;

/// The positions stored so far.
///
/// Two sources read at the same time by the same caller must see each other's positions here, or
/// two logs with the same first line are given one id.
pub trait Positions {
    /// Everything stored under ids of `fingerprint`: each source id with its [`Position::to_bytes`].
    fn find(&self, fingerprint: &str) -> Vec<(String, Vec<u8>)>;
}

/// What is followed: it is asked for the next thing again and again, by one thread.
pub trait Source {
    /// The next thing. After [`Step::NewSource`], `positions` must know all that came before it.
    fn next(&mut self, positions: &dyn Positions) -> Step<'_>;

    /// The name under which it is stored how far lines were read that come now; none before the first
    /// [`Step::NewSource`] or [`Step::NewSender`].
    fn id(&self) -> Option<&str>;

    /// Just after the last line handed out, in bytes that only the source itself understands.
    fn position(&self) -> Vec<u8>;

    /// Whether a stored position was found under `id()` when it was begun.
    fn resumed(&self) -> bool;

    /// Under which name it is stored to which source the log led whose lines come now: sessions span the pieces of a
    /// log. None where a source is always the same.
    fn memory(&self) -> Option<String> {
        None
    }

    /// The id of the source before the last [`Step::NewSource`] or [`Step::OtherFile`], and where it was left.
    fn previous(&self) -> Option<(&str, Vec<u8>)> {
        None
    }

    /// Who reports what comes now; none where it is always the same.
    fn reporter(&self) -> Option<&Reporter> {
        None
    }

    /// Bytes that are there and were not handed out yet, as far as the source knows.
    fn lag_bytes(&self) -> u64;

    /// After [`Step::Idle`]: whether that was the end of what there is, or only of what came so far.
    fn is_at_end(&self) -> bool {
        true
    }

    /// Whether what was handed out can be had again from a stored position. What cannot is stored sooner.
    fn is_lasting(&self) -> bool {
        true
    }

    /// Asked again and again when the program ends, before each further step: takes nothing new, and says
    /// true once nothing waits that would be lost.
    fn finish(&mut self) -> bool {
        true
    }

    /// Waits, after [`Step::Idle`], before the next question. 20 to 50 ms are a good pace.
    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Under which name it is stored to which source the path of a followed log last led.
pub fn memory(path: &Path) -> String {
    format!("log:{}", path.display())
}

/// What follows `path`: one log file, or all files that a pattern matches. None of them need exist.
pub fn files(path: PathBuf) -> Box<dyn Source> {
    if names::is_pattern(&path) { Box::new(Set::new(path)) } else { Box::new(Follow::new(path)) }
}

/// A line of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The bytes without the line feed, without one carriage return before it, and without NUL bytes
    /// in front (what a crash or a truncation under a writer leaves behind).
    pub bytes: &'a [u8],
    /// The line was longer than [`LINE_BYTES`]: `bytes` is its beginning, the rest is gone.
    pub too_long: bool,
}

/// What a source says when asked for the next thing.
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// From now on lines come from another source than before: `id()` and `position()` are the new
    /// one's. The caller stores what it has under `previous_id()` and `previous_position()`, which
    /// are final, *before* it asks again; its sessions carry over. Also said before the first line.
    NewSource,
    /// From now on lines come from another sender, or from the same one again: `id()`, `position()`,
    /// `resumed()` and `reporter()` are its. Its sessions are apart from those of all others, and go on.
    NewSender,
    /// From now on lines come from another file of the same log: `id()` and `position()` are its. The caller stores
    /// what it has under `previous_id()` and `previous_position()` with its next batch; its sessions carry over, if the
    /// other file is a piece of the same log.
    OtherFile,
    /// The next line.
    Line(Line<'a>),
    /// Nothing more for now: a good moment to store, and then to wait.
    Idle,
    /// The log cannot be read now. Said once for each change; later steps go on as if nothing was.
    Trouble(SourceTrouble),
    /// There will be no more (only of a [`History`]).
    End,
}

/// Why a log cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceTrouble {
    /// Nothing has this name (yet, or any more).
    #[error("{} does not exist", path.display())]
    NotFound {
        /// The log.
        path: PathBuf,
    },
    /// The name is a folder's.
    #[error("{} is a directory, not a log file", path.display())]
    IsDirectory {
        /// The log.
        path: PathBuf,
    },
    /// The name is a pipe's, a socket's or a device's.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The log.
        path: PathBuf,
    },
    /// This process may not read it.
    #[error("{} may not be read by this user (permission denied)", path.display())]
    PermissionDenied {
        /// The log.
        path: PathBuf,
    },
    /// The packed data end too soon, are damaged or need too much memory; what came before was handed out.
    #[error("{} is damaged: its packed data cannot be read on near byte {byte} ({reason})", path.display())]
    Damaged {
        /// The log.
        path: PathBuf,
        /// About how far into the file on disk the damage is.
        byte: u64,
        /// What the decoder said.
        reason: String,
    },
    /// The program that reads the journal cannot be started, has ended, or complains.
    #[error("the journal cannot be read: {reason}")]
    Journal {
        /// What it or the system said.
        reason: String,
    },
    /// The journal has lost the entry that was read last.
    #[error(
        "the journal no longer has the entry that was read last; reading goes on at the next it has, what was between is lost"
    )]
    JournalGap,
    /// It is no pattern that names of files could be matched against.
    #[error("'{}' is no pattern for names of files: {reason}", path.display())]
    Pattern {
        /// The pattern.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No file has a name that the pattern matches.
    #[error("no file matches {}", path.display())]
    NoMatch {
        /// The pattern.
        path: PathBuf,
    },
    /// Anything else the system says.
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The log.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

/// Why a finished log cannot be read: the same reasons, but final.
pub type SourceError = SourceTrouble;

impl SourceTrouble {
    /// What an error of the system about `path` means.
    fn from_io(path: &Path, error: &std::io::Error) -> Self {
        let path = path.to_path_buf();
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound { path },
            std::io::ErrorKind::IsADirectory => Self::IsDirectory { path },
            std::io::ErrorKind::PermissionDenied => Self::PermissionDenied { path },
            _ => Self::Unreadable { path, reason: error.to_string() },
        }
    }

    /// What an error while reading the content of `path` means, `byte` bytes into the file.
    fn from_reading(path: &Path, error: &std::io::Error, byte: u64) -> Self {
        use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let path = path.to_path_buf();
        let reason = match error.kind() {
            UnexpectedEof => "they end too soon".to_owned(),
            InvalidData | InvalidInput => error.to_string(),
            _ => return Self::from_io(&path, error),
        };
        Self::Damaged { path, byte, reason }
    }
}

//! From raw log lines to observations: the one entry of the pure part of the ear.
//!
//! In goes a line (any bytes, any length, without its line feed) and the newest moment it can be from;
//! out come the observations that it completes, appended to a vector, and a `LineReading` for the
//! counters. Nothing here opens a file or reads a clock, nothing fails and nothing panics: a line that is
//! not understood costs one counter.
//!
//! `save` writes the open sessions as JSON, to be stored with the position in the source:
//! `{"version":1,"swept":UNIX,"postfix":[..],"exim":[..]}`, sessions in the order in which they began, empty
//! lists and default values left out. A reader restored from it gives the same observations, and the same
//! bytes from `save`, as one that was never stopped. A version that is not known is refused.
//!
//! Sessions are closed by the log alone: by their own last line, by silence in log time, or, beyond
//! `MAX_SESSIONS`, oldest first (`closed_early` counts those).

use std::str::FromStr;

use helostat_zones::observation::{Observation, Reporter};
use helostat_zones::time::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::fate::{Fate, LineReading, Program};
use crate::format::exim::{self, Exim};
use crate::format::postfix::{self, Postfix};
use crate::framing::{Frame, Framer, Framing};
use crate::ours::Ours;

/// The longest line that is read: Postfix writes 2 kB, Exim 8 kB; the rest is room for wrappings.
pub const LINE_MAX: usize = 64 * 1024;
/// How much log time passes between looks for sessions that have gone silent, in seconds.
const SWEEP_SECONDS: u32 = 60;
/// The layout that `save` writes.
const VERSION: u32 = 1;

/// Which program's lines a source holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatChoice {
    /// Decided for each line by its tag, or by the shape of its stamp.
    #[default]
    Auto,
    /// Postfix only.
    Postfix,
    /// Exim only; any syslog tag counts as Exim's.
    Exim,
}

impl FormatChoice {
    /// The word for it in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Postfix => "postfix",
            Self::Exim => "exim",
        }
    }
}

impl FromStr for FormatChoice {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Auto, Self::Postfix, Self::Exim]
            .into_iter()
            .find(|choice| choice.word() == word)
            .ok_or_else(|| UnknownFormat(word.to_owned()))
    }
}

/// A word that names no format.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no log format; there are auto, postfix and exim")]
pub struct UnknownFormat(String);

/// Saved state that cannot be continued.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is not what `save` writes.
    #[error("the saved sessions are damaged: {0}")]
    Damaged(String),
    /// It was written by a later version of this program.
    #[error("the saved sessions have version {0}, this program knows version {VERSION}")]
    UnknownVersion(u32),
}

/// Reads the lines of one source, in order.
#[derive(Debug)]
pub struct Reader {
    format: FormatChoice,
    framer: Framer,
    swept: Time,
    postfix: Postfix,
    exim: Exim,
}

impl Reader {
    /// A reader with no open session; stamps without an offset are civil time in `zone`.
    pub fn new(format: FormatChoice, reporter: Reporter, zone: TimeZone) -> Self {
        Self {
            format,
            framer: Framer::new(zone),
            swept: Time::default(),
            postfix: Postfix::new(reporter.clone()),
            exim: Exim::new(reporter),
        }
    }

    /// The same reader, which knows our own answers by these signs.
    pub fn recognising(mut self, ours: &Ours) -> Self {
        self.postfix.recognise(ours.clone());
        self.exim.recognise(ours.clone());
        self
    }

    /// Reads one line, without its line feed. `latest` is the newest moment it can be from: the file's
    /// modification time, or now. Observations are appended to `out`.
    pub fn read(&mut self, line: &[u8], latest: Time, out: &mut Vec<Observation>) -> LineReading {
        let unread = |why| LineReading {
            program: Program::Other,
            fate: Fate::NotUnderstood,
            why: Some(why),
        };
        if line.len() > LINE_MAX {
            return unread("too-long");
        }
        let frame = match self.framer.frame(line, latest) {
            Ok(frame) => frame,
            Err("no-stamp") if is_rejectlog(line) && self.format != FormatChoice::Postfix => {
                return LineReading { program: Program::Exim, fate: Fate::Irrelevant, why: None };
            }
            Err(why) => return unread(why),
        };
        self.sweep(frame.time, out);
        let program = self.program(&frame);
        let (fate, why) = match program {
            Program::Postfix => self.postfix.read(&frame, out),
            Program::Exim => self.exim.read(&frame, out),
            Program::Other => (Fate::Irrelevant, None),
        };
        LineReading { program, fate, why }
    }

    fn program(&self, frame: &Frame<'_>) -> Program {
        let postfix = self.format != FormatChoice::Exim;
        let exim = self.format != FormatChoice::Postfix;
        if frame.framing == Framing::Exim {
            return if exim { Program::Exim } else { Program::Other };
        }
        if postfix && postfix::is_tag(frame.tag) {
            return Program::Postfix;
        }
        if exim && (exim::is_tag(frame.tag) || self.format == FormatChoice::Exim) {
            return Program::Exim;
        }
        Program::Other
    }

    fn sweep(&mut self, now: Time, out: &mut Vec<Observation>) {
        if now.0.abs_diff(self.swept.0) < SWEEP_SECONDS {
            return;
        }
        self.swept = now;
        self.postfix.sweep(now, out);
        self.exim.sweep(now, out);
    }

    /// Closes every open session as if its last line had come: for the end of a log that ends for good.
    pub fn close(&mut self, out: &mut Vec<Observation>) {
        self.postfix.close(out);
        self.exim.close(out);
    }

    /// How many sessions are open.
    pub fn open_sessions(&self) -> usize {
        self.postfix.open_sessions() + self.exim.open_sessions()
    }

    /// How many sessions were closed early because too many were open; counted since `new` or `restore`.
    pub fn closed_early(&self) -> u64 {
        self.postfix.closed_early() + self.exim.closed_early()
    }

    /// The open sessions as bytes, to be stored with the position.
    pub fn save(&self) -> Vec<u8> {
        let saved = Saved {
            version: VERSION,
            swept: self.swept.0,
            postfix: self.postfix.save(),
            exim: self.exim.save(),
        };
        // Strings, numbers and lists only: there is nothing that JSON could refuse.
        serde_json::to_vec(&saved).unwrap_or_default()
    }

    /// Continues from what `save` wrote.
    pub fn restore(
        format: FormatChoice,
        reporter: Reporter,
        zone: TimeZone,
        saved: &[u8],
    ) -> Result<Self, RestoreError> {
        let damaged = |error: serde_json::Error| RestoreError::Damaged(error.to_string());
        let Version { version } = serde_json::from_slice(saved).map_err(damaged)?;
        if version != VERSION {
            return Err(RestoreError::UnknownVersion(version));
        }
        let saved: Saved = serde_json::from_slice(saved).map_err(damaged)?;
        let twice = || RestoreError::Damaged("a session is in it twice".to_owned());
        Ok(Self {
            format,
            framer: Framer::new(zone),
            swept: Time(saved.swept),
            postfix: Postfix::restore(reporter.clone(), saved.postfix).ok_or_else(twice)?,
            exim: Exim::restore(reporter, saved.exim).ok_or_else(twice)?,
        })
    }
}

/// Read first: the version alone, whatever else there is.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// What `save` writes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    #[serde(default)]
    swept: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    postfix: Vec<postfix::Saved>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exim: Vec<exim::Saved>,
}

/// The header dump of a record in Exim's rejectlog: `Envelope-from:`, `P Received:`, a line of hyphens.
fn is_rejectlog(line: &[u8]) -> bool {
    line.starts_with(b"Envelope-")
        || line.starts_with(b"-----")
        || line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'))
        || (line.get(1) == Some(&b' ') && line.contains(&b':'))
}

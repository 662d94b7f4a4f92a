//! From raw log lines to what was heard: the one entry of the pure part of the ear.
//!
//! In goes a line (any bytes, any length, without its line feed) and the newest moment it can be from;
//! out come the sessions and messages that it completes, appended to a vector, and a `LineReading` for the
//! counters. Nothing here opens a file or reads a clock, nothing fails and nothing panics: a line that is
//! not understood costs one counter.
//!
//! `save` writes the open sessions as JSON, to be stored with the position in the source:
//! `{"version":2,"swept":UNIX,"framing":{..},"programs":{"postfix":[..],"exim":[..], ..}}`: what the framing remembers, then
//! for each program that was met and has something open what its format saves. A reader restored from it gives the
//! same observations, and the same bytes from `save`, as one that was never stopped. A version that is not known is
//! refused.
//!
//! Sessions are closed by the log alone: by their own last line, by silence in log time, or, beyond
//! `MAX_SESSIONS` of a program, oldest first (`closed_early` counts those).

use std::collections::BTreeMap;
use std::str::FromStr;

use helostat_zones::observation::Reporter;
use helostat_zones::time::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::columns::HEADING;
use crate::fate::{Fate, LineReading, Program};
use crate::format::{Format, Row, Setting, TABLE};
use crate::framing::{self, Frame, Framer};
use crate::heard::Heard;
use crate::ours::Ours;

/// The longest line that is read: Postfix writes 2 kB, Exim 8 kB; the rest is room for wrappings.
pub const LINE_MAX: usize = 64 * 1024;
/// How much log time passes between looks for sessions that have gone silent, in seconds.
const SWEEP_SECONDS: u32 = 60;
/// The layout that `save` writes.
const VERSION: u32 = 2;

/// Which program's lines a source holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatChoice {
    /// Decided for each line by its tag, or by its shape.
    #[default]
    Auto,
    /// This program only; a syslog tag that is nobody else's counts as its own.
    Only(Program),
}

impl FormatChoice {
    /// The word for it in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Only(program) => program.word(),
        }
    }

    /// Every choice there is.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Auto].into_iter().chain(TABLE.iter().map(|row| Self::Only(row.program)))
    }
}

impl FromStr for FormatChoice {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::all().find(|choice| choice.word() == word).ok_or_else(|| {
            let known: Vec<&str> = Self::all().map(Self::word).collect();
            UnknownFormat { word: word.to_owned(), known: known.join(", ") }
        })
    }
}

/// A word that names no format.
#[derive(Debug, thiserror::Error)]
#[error("'{word}' is no log format; there are {known}")]
pub struct UnknownFormat {
    word: String,
    known: String,
}

/// Saved state that cannot be continued.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is not what `save` writes.
    #[error("the saved sessions are damaged: {0}")]
    Damaged(String),
    /// It was written by another version of this program.
    #[error("the saved sessions have version {0}, this program knows version {VERSION}")]
    UnknownVersion(u32),
}

/// Reads the lines of one source, in order.
#[derive(Debug)]
pub struct Reader {
    choice: FormatChoice,
    setting: Setting,
    framer: Framer,
    /// What had to be unescaped of the present line.
    room: Vec<u8>,
    swept: Time,
    /// By `Program::index`; made when the program is first met.
    formats: [Option<Box<dyn Format>>; Program::ALL.len()],
}

impl Reader {
    /// A reader with no open session; stamps without an offset are civil time in `zone`.
    pub fn new(choice: FormatChoice, reporter: Reporter, zone: TimeZone) -> Self {
        Self {
            choice,
            setting: Setting { reporter, ours: Ours::default() },
            framer: Framer::new(zone),
            room: Vec::new(),
            swept: Time::default(),
            formats: Default::default(),
        }
    }

    /// The same reader, which knows our own answers by these signs; before its first line.
    pub fn recognising(mut self, ours: &Ours) -> Self {
        self.setting.ours = ours.clone();
        self
    }

    /// Reads one line, without its line feed. `latest` is the newest moment it can be from: the file's
    /// modification time, or now. What it completes is appended to `out`.
    pub fn read(&mut self, line: &[u8], latest: Time, out: &mut Vec<Heard>) -> LineReading {
        let unread = |why| LineReading {
            program: Program::Other,
            fate: Fate::NotUnderstood,
            why: Some(why),
        };
        if line.len() > LINE_MAX {
            return unread("too-long");
        }
        if let Some(reading) = self.rest(line) {
            return reading;
        }
        let mut room = std::mem::take(&mut self.room);
        let framed = self.framer.frame(line, latest, &mut room);
        let reading = match framed {
            Ok(frame) => self.framed(&frame, out),
            Err(framing::NOTHING) => {
                LineReading { program: Program::Other, fate: Fate::Irrelevant, why: None }
            }
            Err("no-stamp") if is_rejectlog(line) && self.choice.admits(Program::Exim) => {
                LineReading { program: Program::Exim, fate: Fate::Irrelevant, why: None }
            }
            Err(HEADING) => LineReading {
                program: self
                    .framer
                    .stamps()
                    .heading
                    .as_ref()
                    .map_or(Program::Other, |of| of.program),
                fate: Fate::Irrelevant,
                why: None,
            },
            Err(why) => unread(why),
        };
        self.room = room;
        reading
    }

    /// A line that a program is still in the middle of.
    fn rest(&mut self, line: &[u8]) -> Option<LineReading> {
        Program::ALL.iter().zip(&mut self.formats).find_map(|(&program, format)| {
            let (fate, why) = format.as_mut()?.rest(line)?;
            Some(LineReading { program, fate, why })
        })
    }

    fn framed(&mut self, frame: &Frame<'_>, out: &mut Vec<Heard>) -> LineReading {
        self.sweep(frame.time, out);
        let Some(row) = self.choice.row(frame) else {
            if frame.tag.is_empty() && frame.own.is_none() {
                // A container's line that is nobody's.
                return LineReading {
                    program: Program::Other,
                    fate: Fate::NotUnderstood,
                    why: Some("no-tag"),
                };
            }
            return LineReading { program: Program::Other, fate: Fate::Irrelevant, why: None };
        };
        let told = out.len();
        let place = &mut self.formats[row.program.index()];
        let format = place.get_or_insert_with(|| (row.open)(&self.setting));
        let (mut fate, why) = format.read(frame, self.framer.stamps(), out);
        if fate == Fate::Session && out.len() > told {
            fate = Fate::Observed;
        }
        LineReading { program: row.program, fate, why }
    }

    fn sweep(&mut self, now: Time, out: &mut Vec<Heard>) {
        if now.0.abs_diff(self.swept.0) < SWEEP_SECONDS {
            return;
        }
        self.swept = now;
        for format in self.formats.iter_mut().flatten() {
            format.sweep(now, out);
        }
    }

    /// Closes every open session as if its last line had come: for the end of a log that ends for good.
    pub fn close(&mut self, out: &mut Vec<Heard>) {
        for format in self.formats.iter_mut().flatten() {
            format.close(out);
        }
    }

    /// How many sessions are open.
    pub fn open_sessions(&self) -> usize {
        self.formats.iter().flatten().map(|format| format.open_sessions()).sum()
    }

    /// How many sessions were closed early because too many were open; counted since `new` or `restore`.
    pub fn closed_early(&self) -> u64 {
        self.formats.iter().flatten().map(|format| format.closed_early()).sum()
    }

    /// The open sessions as bytes, to be stored with the position.
    pub fn save(&self) -> Vec<u8> {
        let programs = Program::ALL.iter().zip(&self.formats).filter_map(|(program, format)| {
            Some((program.word().to_owned(), format.as_ref()?.save()?))
        });
        let saved = Saved {
            version: VERSION,
            swept: self.swept.0,
            framing: self.framer.save(),
            programs: programs.collect(),
        };
        // Strings, numbers and lists only: there is nothing that JSON could refuse.
        serde_json::to_vec(&saved).unwrap_or_default()
    }

    /// Takes up what `save` wrote; only before the first line.
    pub fn restore(mut self, saved: &[u8]) -> Result<Self, RestoreError> {
        let damaged = |error: serde_json::Error| RestoreError::Damaged(error.to_string());
        let Version { version } = serde_json::from_slice(saved).map_err(damaged)?;
        if version != VERSION {
            return Err(RestoreError::UnknownVersion(version));
        }
        let saved: Saved = serde_json::from_slice(saved).map_err(damaged)?;
        self.swept = Time(saved.swept);
        self.framer.restore(saved.framing);
        for (word, sessions) in saved.programs {
            let unknown = || RestoreError::Damaged(format!("'{word}' is no program"));
            let row = TABLE.iter().find(|row| row.program.word() == word).ok_or_else(unknown)?;
            let mut format = (row.open)(&self.setting);
            format.restore(Some(sessions)).map_err(RestoreError::Damaged)?;
            self.formats[row.program.index()] = Some(format);
        }
        Ok(self)
    }
}

impl FormatChoice {
    fn admits(self, program: Program) -> bool {
        match self {
            Self::Auto => true,
            Self::Only(only) => only == program,
        }
    }

    /// Whose line a frame is.
    fn row(self, frame: &Frame<'_>) -> Option<&'static Row> {
        let row = match frame.own {
            Some(program) => TABLE.iter().find(|row| row.program == program),
            None => TABLE.iter().find(|row| (row.has_tag)(frame.tag, frame.text)),
        };
        match (self, row) {
            (Self::Auto, row) => row,
            (Self::Only(only), Some(row)) => (row.program == only).then_some(row),
            // Postfix' tags always end in a program's name; other programs may be called anything.
            (Self::Only(Program::Postfix), None) => None,
            (Self::Only(only), None) => TABLE.iter().find(|row| row.program == only),
        }
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
    #[serde(default, skip_serializing_if = "framing::Saved::is_nothing")]
    framing: framing::Saved,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    programs: BTreeMap<String, Box<RawValue>>,
}

/// The header dump of a record in Exim's rejectlog: `Envelope-from:`, `P Received:`, a line of hyphens.
fn is_rejectlog(line: &[u8]) -> bool {
    line.starts_with(b"Envelope-")
        || line.starts_with(b"-----")
        || line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'))
        || (line.get(1) == Some(&b' ') && line.contains(&b':'))
}

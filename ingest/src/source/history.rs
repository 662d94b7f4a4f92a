//! A finished log, read once: a plain file, a gzip file (by its first bytes), or a stream.
//!
//! In: a path, or `-` for standard input. Out: its lines from where the stored positions say it was
//! left, then [`Step::End`]. A file read to its end before gives no lines.
//!
//! - A plain file may still grow: its last line without a line feed is not handed out, only counted.
//!   Of a gzip file or a stream it is handed out.
//! - Damaged gzip data are an error after everything before the damage was handed out; the position
//!   stays good, so a whole copy of the same log is read on from there.
//! - A stream cannot go back. When positions are stored for its first line, what has to be passed to
//!   check them is kept in an unlinked file in the system's temporary folder, until it is known where
//!   to begin; memory stays bounded.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use helostat_zones::time::Time;

use super::file::{LogFile, Packing, Stream, Walk, is_gzip, read_fully};
use super::follow::unix_time;
use super::identity::{Beginning, End, FINGERPRINT_BYTES, Known, Position, free_id, known};
use super::lines::{Found, Lines};
use super::resume::{Resume, best, candidates, resume, walk_over};
use super::{Positions, SourceError, Step};

/// A finished log.
pub struct History {
    path: PathBuf,
    input: Input,
    state: State,
    lines: Lines,
    id: Option<String>,
    resumed: bool,
    skipped: u64,
    consumed: Arc<AtomicU64>,
}

enum Input {
    File(LogFile),
    Stream(Option<Box<dyn Read + Send>>),
}

enum State {
    /// Nothing was read.
    Closed,
    Reading(Stream, End),
    Ended,
}

impl History {
    /// Opens `path`; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        if path == Path::new("-") {
            return Ok(Self::from_reader("standard input", Box::new(io::stdin())));
        }
        let log = LogFile::open(path)?;
        Ok(Self::new(path.to_path_buf(), Input::File(log)))
    }

    /// Reads `stream`, which `name` stands for in messages; plain or gzip.
    pub fn from_reader(name: &str, stream: Box<dyn Read + Send>) -> Self {
        Self::new(PathBuf::from(name), Input::Stream(Some(stream)))
    }

    fn new(path: PathBuf, input: Input) -> Self {
        Self {
            path,
            input,
            state: State::Closed,
            lines: Lines::new(),
            id: None,
            resumed: false,
            skipped: 0,
            consumed: Arc::default(),
        }
    }

    /// The next thing; after an error, [`Step::End`].
    pub fn next(&mut self, positions: &dyn Positions) -> Result<Step<'_>, SourceError> {
        loop {
            if let Some(found) = self.lines.take() {
                return Ok(Step::Line(self.lines.line(&found)));
            }
            let turn = self.turn(positions).map_err(|error| {
                self.state = State::Ended;
                self.error(&error)
            })?;
            match turn {
                Turn::Again => {}
                Turn::Line(found) => return Ok(Step::Line(self.lines.line(&found))),
                Turn::NewSource => return Ok(Step::NewSource),
                Turn::End => return Ok(Step::End),
            }
        }
    }

    /// The id of the source; none before [`Step::NewSource`], or if there is no line at all.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Just after the last line handed out.
    pub fn position(&self) -> Position {
        let (dev, inode) = self.file_id();
        Position { offset: self.lines.offset(), tail: self.lines.tail(), dev, inode }
    }

    /// Whether a stored position was found, so that reading began there.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// When the file was last written; none for a stream.
    pub fn modified(&self) -> Option<Time> {
        match &self.input {
            Input::File(log) => unix_time(log.stamp().ok()?.modified?),
            Input::Stream(_) => None,
        }
    }

    /// The size on disk; none for a stream.
    pub fn total_bytes(&self) -> Option<u64> {
        match &self.input {
            Input::File(log) => log.stamp().ok().map(|stamp| stamp.size),
            Input::Stream(_) => None,
        }
    }

    /// Bytes on disk, or of the stream, consumed so far.
    pub fn read_bytes(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// Bytes of content passed over because they were read before.
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped
    }

    /// Bytes read that belong to a line without an end: at [`Step::End`], what was not handed out.
    pub fn unfinished_bytes(&self) -> u64 {
        self.lines.waiting()
    }

    fn turn(&mut self, positions: &dyn Positions) -> io::Result<Turn> {
        match &mut self.state {
            State::Closed => self.begin(positions),
            State::Ended => Ok(Turn::End),
            State::Reading(stream, end) => match read_fully_or_error(stream, self.lines.room()) {
                (0, None) => {
                    let rest = if *end == End::Final { self.lines.take_rest() } else { None };
                    self.state = State::Ended;
                    Ok(rest.map_or(Turn::End, Turn::Line))
                }
                (0, Some(error)) => Err(error),
                (read, _) => {
                    self.lines.filled(read);
                    Ok(Turn::Again)
                }
            },
        }
    }

    fn begin(&mut self, positions: &dyn Positions) -> io::Result<Turn> {
        let (beginning, unread) = match &mut self.input {
            Input::File(log) => (log.beginning()?, None),
            Input::Stream(stream) => {
                let stream = stream.take().unwrap_or_else(|| Box::new(io::empty()));
                let (beginning, stream) = begin_stream(stream, &self.consumed)?;
                (beginning, Some(stream))
            }
        };
        let Some(fingerprint) = beginning.fingerprint() else {
            self.state = State::Ended;
            self.count_unfinished(&beginning);
            return Ok(Turn::End);
        };
        let known = known(positions, &fingerprint, None);
        let (resumed, from_start) = match (&self.input, unread) {
            (Input::File(log), _) => (resume(log, &known, &self.consumed)?, None),
            (Input::Stream(_), unread) => {
                let stream = unread.unwrap_or_else(|| Box::new(io::empty()));
                resume_stream(stream, &known)?
            }
        };
        self.resumed = resumed.is_some();
        let stream = match resumed {
            Some(Resume { id, offset, tail, stream }) => {
                self.lines.restart(offset, &tail);
                self.skipped = offset;
                self.id = Some(id);
                match (stream, &self.input) {
                    (Some(stream), _) => stream,
                    (None, Input::File(log)) => log.stream_from(offset, &self.consumed),
                    (None, Input::Stream(_)) => Box::new(io::empty()),
                }
            }
            None => {
                self.id = Some(free_id(&fingerprint, &known));
                match (from_start, &self.input) {
                    (Some(stream), _) => stream,
                    (None, Input::File(log)) => log.stream(&self.consumed),
                    (None, Input::Stream(_)) => Box::new(io::empty()),
                }
            }
        };
        self.state = State::Reading(stream, beginning.end);
        Ok(Turn::NewSource)
    }
}

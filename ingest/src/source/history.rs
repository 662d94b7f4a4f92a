//! A finished log, read once: a plain file, a packed one (by its first bytes), or a stream.
//!
//! In: a path, or `-` for standard input. Out: its lines from where the stored positions say it was
//! left, then [`Step::End`]. A file read to its end before gives no lines.
//!
//! - A plain file may still grow: its last line without a line feed is not handed out, only counted.
//!   Of a packed file or a stream it is handed out.
//! - Damaged packed data are an error after what was decoded before the damage was handed out; the
//!   position stays good, so a whole copy of the same log is read on from there.
//! - A stream without any content has no id, and nothing is to be stored for it.

use std::fmt;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use helostat_zones::time::Time;

use super::file::{LogFile, Stream, read_some};
use super::identity::{Beginning, End, Position, free_id, known};
use super::lines::{Found, Lines};
use super::resume::{Judgement, Resume, Sources, judge};
use super::spool::{NO_FILE, Spooled, resume_stream};
use super::unpack::{MAGIC_BYTES, Packing, ahead, unpacked};
use super::{Positions, SourceError, Step};

/// A finished log.
pub struct History {
    path: PathBuf,
    /// None for a stream.
    log: Option<LogFile>,
    state: State,
    lines: Lines,
    id: Option<String>,
    resumed: bool,
    skipped: u64,
    consumed: Arc<AtomicU64>,
}

enum State {
    /// A file that was not begun.
    File(LogFile),
    /// A stream that was not begun.
    Stream(Stream),
    Reading(Stream),
    Ended,
}

/// What one turn came to.
enum Turn {
    Again,
    Line(Found),
    NewSource,
    End,
}

impl History {
    /// Opens `path`; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        if path == Path::new("-") {
            return Ok(Self::from_reader("standard input", Box::new(io::stdin())));
        }
        let log = LogFile::open(path)?;
        Ok(Self::new(path.to_path_buf(), Some(log.clone()), State::File(log)))
    }

    /// Reads `stream`, plain or packed, which `name` stands for in messages.
    pub fn from_reader(name: &str, stream: Box<dyn Read + Send>) -> Self {
        Self::new(PathBuf::from(name), None, State::Stream(stream))
    }

    fn new(path: PathBuf, log: Option<LogFile>, state: State) -> Self {
        Self {
            path,
            log,
            state,
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
            match self.turn(positions) {
                Ok(Turn::Again) => {}
                Ok(Turn::Line(found)) => return Ok(Step::Line(self.lines.line(&found))),
                Ok(Turn::NewSource) => return Ok(Step::NewSource),
                Ok(Turn::End) => return Ok(Step::End),
                Err(error) => {
                    self.state = State::Ended;
                    return Err(SourceError::from_reading(&self.path, &error, self.read_bytes()));
                }
            }
        }
    }

    /// The id of the source; none before [`Step::NewSource`], or if there is no line at all.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Just after the last line handed out.
    pub fn position(&self) -> Position {
        let (dev, inode) = self.log.as_ref().map_or(NO_FILE, |log| (log.dev, log.inode));
        Position { offset: self.lines.offset(), tail: self.lines.tail(), dev, inode }
    }

    /// Whether a stored position was found, so that reading began there.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// When the file was last written; none for a stream.
    pub fn modified(&self) -> Option<Time> {
        self.log.as_ref()?.stamp().ok()?.time()
    }

    /// The size on disk; none for a stream.
    pub fn total_bytes(&self) -> Option<u64> {
        Some(self.log.as_ref()?.stamp().ok()?.size)
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
        match std::mem::replace(&mut self.state, State::Ended) {
            State::File(log) => self.begin_file(&log, positions),
            State::Stream(stream) => self.begin_stream(stream, positions),
            State::Reading(stream) => self.read_on(stream),
            State::Ended => Ok(Turn::End),
        }
    }

    fn read_on(&mut self, mut stream: Stream) -> io::Result<Turn> {
        let read = read_some(&mut stream, self.lines.room())?;
        if read > 0 {
            self.lines.filled(read);
            self.state = State::Reading(stream);
            return Ok(Turn::Again);
        }
        if self.log.as_ref().is_some_and(|log| !log.packing.is_packed()) {
            return Ok(Turn::End);
        }
        Ok(self.lines.take_rest().map_or(Turn::End, Turn::Line))
    }

    fn begin_file(&mut self, log: &LogFile, positions: &dyn Positions) -> io::Result<Turn> {
        let sources = Sources { positions, own: None };
        match judge(log, &sources, &self.consumed)? {
            Judgement::Known(resume) => Ok(self.begin_known(resume, log.packing)),
            Judgement::New { id, .. } => {
                Ok(self.begin_as(id, log.stream(&self.consumed), log.packing))
            }
            Judgement::Nameless => {
                // Read all the same: a last line without an end is counted.
                self.state = State::Reading(log.stream(&self.consumed));
                Ok(Turn::Again)
            }
        }
    }

    fn begin_stream(&mut self, stream: Stream, positions: &dyn Positions) -> io::Result<Turn> {
        let counted = Counted { stream, consumed: Arc::clone(&self.consumed) };
        let (mut content, packing) = unpacked_stream(counted)?;
        let beginning = Beginning::read(&mut content, End::Final)?;
        let fingerprint = beginning.fingerprint();
        let content: Stream = Box::new(Cursor::new(beginning.bytes).chain(content));
        let Some(fingerprint) = fingerprint else {
            return Ok(Turn::End);
        };
        let known = known(positions, &fingerprint, None);
        Ok(match resume_stream(content, &known)? {
            Spooled::Known(resume) => self.begin_known(resume, packing),
            Spooled::New(stream) => self.begin_as(free_id(&fingerprint, &known), stream, packing),
        })
    }

    fn begin_known(&mut self, resume: Resume, packing: Packing) -> Turn {
        self.lines.restart(resume.offset, &resume.tail);
        self.skipped = resume.offset;
        self.resumed = true;
        self.begin_as(resume.id, resume.stream, packing)
    }

    fn begin_as(&mut self, id: String, stream: Stream, packing: Packing) -> Turn {
        self.state = State::Reading(if packing.is_packed() { ahead(stream) } else { stream });
        self.id = Some(id);
        Turn::NewSource
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("path", &self.path).field("id", &self.id).finish()
    }
}

/// The content of a stream, by its first bytes, and how it was packed.
pub(super) fn unpacked_stream(mut stream: Counted) -> io::Result<(Stream, Packing)> {
    let mut magic = Vec::new();
    let most = u64::try_from(MAGIC_BYTES).unwrap_or_default();
    (&mut stream).take(most).read_to_end(&mut magic)?;
    let packing = Packing::of(&magic);
    Ok((unpacked(packing, Box::new(Cursor::new(magic).chain(stream))), packing))
}

/// A stream whose bytes are counted.
pub(super) struct Counted {
    pub(super) stream: Stream,
    pub(super) consumed: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(room)?;
        self.consumed.fetch_add(u64::try_from(read).unwrap_or_default(), Ordering::Relaxed);
        Ok(read)
    }
}

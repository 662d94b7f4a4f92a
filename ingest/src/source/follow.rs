//! One log file, followed for ever.
//!
//! In: a path that names, at different times, different files or none. Out: every complete line of
//! them once, in order, as [`Step`]s. How each way of rotating is met:
//!
//! - **rename and create**: the open file is read on until the path names another file that has
//!   something in it; then the siblings are looked through for a file in between; then the new one.
//!   A writer that still has the old file (logrotate signals it late) is read too: the old file stays
//!   open for ten minutes and is gone back to when it grows.
//! - **copytruncate**: the file is shorter than what was read, or other bytes stand where the last
//!   ones read stood. What was written between the last read and the copy is read from the copy.
//! - **down over a rotation**: siblings with a stored position and more behind it are read first,
//!   and after them the rotations that came later.
//! - **gone or unreadable**: said once as [`Step::Trouble`], and tried again at every call.
//!
//! A last line without its line feed waits until that comes; if its file is replaced first, it is
//! never handed out. Costs at rest: one `read`, one `fstat` and one `stat` for each call.
//!
//! What cannot be seen: lines written and truncated away between two polls that no copy holds. A log that is cut in the
//! middle, but keeps its beginning, is taken for new content when lines follow: what it kept is read again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use helostat_zones::time::Time;

use super::beside::Siblings;
use super::file::{LogFile, Stamp, Stream, read_some, regular};
use super::identity::{Position, is_id_of};
use super::lines::{Found, Lines};
use super::resume::{Judgement, Resume, Sources, judge};
use super::unpack::ahead;
use super::{Positions, Source, SourceTrouble, Step, memory};

/// How long a file that was left stays open for a late writer. logrotate's postrotate scripts take
/// seconds; a deleted file must not hold its disk space for ever.
const LINGER: Duration = Duration::from_secs(600);

/// How often at most the path is looked at while there is nothing to read.
const LOOK: Duration = Duration::from_millis(5);

/// How long a path may be missing before it is worth a word: rotation leaves a gap.
const GAP: Duration = Duration::from_secs(1);

/// One growing log file.
pub struct Follow {
    path: PathBuf,
    lines: Lines,
    held: Option<Held>,
    /// The source of the last line handed out; with `lines`, the position. Outlives `held`.
    current: Option<Current>,
    previous: Option<(String, Position)>,
    left: Option<Left>,
    siblings: Siblings,
    trouble: Option<SourceTrouble>,
    looked: Option<Instant>,
    missing_since: Option<Instant>,
}

struct Current {
    id: String,
    origin: Origin,
    dev: u64,
    inode: u64,
}

/// Where reading a source began.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// At a position known before.
    Stored,
    /// At its first byte.
    Fresh,
}

/// The file being read.
struct Held {
    log: LogFile,
    /// What named it when it was opened, for messages.
    path: PathBuf,
    /// Bytes on disk that were read of a packed file.
    consumed: Arc<AtomicU64>,
    place: Place,
    reading: Reading,
    /// When the file had last been written to, as it was found to be the same content.
    verified: Option<SystemTime>,
}

impl Held {
    fn new(log: LogFile, path: &Path, place: Place) -> Self {
        let path = path.to_path_buf();
        Self {
            log,
            path,
            consumed: Arc::default(),
            place,
            reading: Reading::Unnamed,
            verified: None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The path named it: it may grow.
    AtPath,
    /// A sibling: finished at its end.
    Beside,
}

enum Reading {
    /// Its first line is not complete, so it has no id yet.
    Unnamed,
    Plain,
    Packed(Stream),
}

/// A plain file that was read to its end and then replaced.
struct Left {
    log: LogFile,
    size: u64,
    since: Instant,
}

/// What one turn came to.
enum Turn {
    Again,
    Line(Found),
    NewSource,
    Idle,
    Trouble(SourceTrouble),
}

impl Follow {
    /// Follows `path`, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self {
            siblings: Siblings::new(&path),
            path,
            lines: Lines::new(),
            held: None,
            current: None,
            previous: None,
            left: None,
            trouble: None,
            looked: None,
            missing_since: None,
        }
    }

    /// The next thing. After [`Step::NewSource`], `positions` must know all that came before it.
    pub fn next(&mut self, positions: &dyn Positions) -> Step<'_> {
        loop {
            if let Some(found) = self.lines.take() {
                return Step::Line(self.lines.line(&found));
            }
            match self.turn(positions) {
                Turn::Again => {}
                Turn::Line(found) => return Step::Line(self.lines.line(&found)),
                Turn::NewSource => return Step::NewSource,
                Turn::Idle => return Step::Idle,
                Turn::Trouble(trouble) if self.trouble.as_ref() == Some(&trouble) => {
                    return Step::Idle;
                }
                Turn::Trouble(trouble) => {
                    self.trouble = Some(trouble.clone());
                    return Step::Trouble(trouble);
                }
            }
        }
    }

    /// The path followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id of the source that lines come from; none before the first [`Step::NewSource`].
    pub fn id(&self) -> Option<&str> {
        self.current.as_ref().map(|current| current.id.as_str())
    }

    /// Just after the last line handed out.
    pub fn position(&self) -> Position {
        let (dev, inode) =
            self.current.as_ref().map_or((0, 0), |current| (current.dev, current.inode));
        Position { offset: self.lines.offset(), tail: self.lines.tail(), dev, inode }
    }

    /// The id of the source before the last [`Step::NewSource`].
    pub fn previous_id(&self) -> Option<&str> {
        self.previous.as_ref().map(|(id, _)| id.as_str())
    }

    /// Where that source was left: final, unless a late writer adds to it.
    pub fn previous_position(&self) -> Option<Position> {
        self.previous.as_ref().map(|(_, position)| *position)
    }

    /// Whether the current source was known when it was begun.
    ///
    /// What is stored with it restores the sessions of a caller that has just started; one that
    /// has sessions already keeps its own.
    pub fn resumed(&self) -> bool {
        self.stored_id().is_some()
    }

    /// The id under which a stored position was found for the current source, if one was.
    pub fn stored_id(&self) -> Option<&str> {
        let current = self.current.as_ref()?;
        (current.origin == Origin::Stored).then_some(current.id.as_str())
    }

    /// Bytes that were not handed out yet, in the file being read and in those to be read after it; of packed ones,
    /// bytes on disk.
    pub fn lag_bytes(&self) -> u64 {
        let Some(held) = &self.held else {
            return 0;
        };
        let read = match held.reading {
            Reading::Unnamed => 0,
            Reading::Plain => self.lines.offset(),
            Reading::Packed(_) => held.consumed.load(Ordering::Relaxed),
        };
        let own = held.log.stamp().map_or(0, |stamp| stamp.size.saturating_sub(read));
        if held.place == Place::AtPath {
            return own;
        }
        let at_path = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        own + self.siblings.newer_bytes(&held.path) + at_path
    }

    /// When the file being read was last written.
    pub fn modified(&self) -> Option<Time> {
        self.held.as_ref()?.log.stamp().ok()?.time()
    }

    /// Sleeps: after [`Step::Idle`], before the next question. 20 to 50 ms are a good pace.
    pub fn wait(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn turn(&mut self, positions: &dyn Positions) -> Turn {
        let Some(held) = &mut self.held else {
            return self.find(positions);
        };
        match &mut held.reading {
            Reading::Unnamed => self.name(positions),
            Reading::Packed(stream) => match read_some(stream, self.lines.room()) {
                Ok(0) => {
                    let rest = self.lines.take_rest();
                    self.leave();
                    rest.map_or(Turn::Again, Turn::Line)
                }
                Ok(read) => {
                    self.lines.filled(read);
                    Turn::Again
                }
                Err(error) => {
                    let byte = held.consumed.load(Ordering::Relaxed);
                    let trouble = SourceTrouble::from_reading(&held.path, &error, byte);
                    self.leave();
                    Turn::Trouble(trouble)
                }
            },
            Reading::Plain => match self.read_plain() {
                Ok(Read::Some) => {
                    self.trouble = None;
                    Turn::Again
                }
                Ok(Read::End) => self.at_end(),
                Ok(Read::Replaced) => {
                    self.give_up();
                    Turn::Again
                }
                Err(trouble) => {
                    self.give_up();
                    Turn::Trouble(trouble)
                }
            },
        }
    }

    /// Reads on in a plain file, and sees whether it is still the same content.
    fn read_plain(&mut self) -> Result<Read, SourceTrouble> {
        let Some(held) = &self.held else {
            return Ok(Read::End);
        };
        let trouble = |error| SourceTrouble::from_io(&held.path, &error);
        let offset = self.lines.read_offset();
        let read = held.log.read_at(self.lines.room(), offset).map_err(trouble)?;
        if read == 0 {
            let stamp = held.log.stamp().map_err(trouble)?;
            // Written to since, and no longer than before: other content of the same length?
            let is_same = stamp.size > offset
                || held.verified == stamp.modified
                || held.log.tail_at(offset).map_err(trouble)?.as_deref()
                    == Some(self.lines.read_tail());
            if let Some(held) = &mut self.held {
                held.verified = stamp.modified;
            }
            return Ok(if stamp.size >= offset && is_same { Read::End } else { Read::Replaced });
        }
        // Truncated and grown beyond our place since the last read? Then other bytes stand before it.
        let tail = held.log.tail_at(offset).map_err(trouble)?;
        if tail.as_deref() != Some(self.lines.read_tail()) {
            return Ok(Read::Replaced);
        }
        // Before the first line nothing stands; but its own first line gave the source its name.
        if offset == 0 && !self.begins_as_named(held).map_err(trouble)? {
            return Ok(Read::Replaced);
        }
        self.lines.filled(read);
        Ok(Read::Some)
    }

    /// Whether the held file still has the first line that its id was made of.
    fn begins_as_named(&self, held: &Held) -> io::Result<bool> {
        let Some(current) = &self.current else { return Ok(true) };
        let fingerprint = held.log.beginning(&held.consumed)?.fingerprint();
        Ok(fingerprint.is_some_and(|fingerprint| is_id_of(&current.id, &fingerprint)))
    }

    /// At the end of a plain file: whether there is another one to go to.
    fn at_end(&mut self) -> Turn {
        let Some(held) = &self.held else {
            return Turn::Again;
        };
        if held.place == Place::Beside {
            self.leave();
            return Turn::Again;
        }
        match self.look() {
            Look::Same => self.idle(),
            Look::NotYet => Turn::Idle,
            Look::Trouble(trouble) => Turn::Trouble(trouble),
            Look::Gone => {
                self.give_up();
                Turn::Idle
            }
            // Read once more: lines may have come between our last read and the rename.
            Look::Other => match self.read_plain() {
                Ok(Read::Some) => Turn::Again,
                Ok(Read::End) => {
                    self.leave();
                    Turn::Again
                }
                Ok(Read::Replaced) | Err(_) => {
                    self.give_up();
                    Turn::Again
                }
            },
        }
    }

    /// What the path names now, compared with the file held.
    fn look(&mut self) -> Look {
        let Some(held) = &self.held else {
            return Look::Same;
        };
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Look::NotYet;
        }
        self.looked = Some(Instant::now());
        let metadata = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.missing();
            }
            Err(error) => return Look::Trouble(SourceTrouble::from_io(&self.path, &error)),
        };
        if let Err(trouble) = regular(&self.path, &metadata) {
            return Look::Trouble(trouble);
        }
        (self.missing_since, self.trouble) = (None, None);
        let stamp = Stamp::of(&metadata);
        if (stamp.dev, stamp.inode) == (held.log.dev, held.log.inode) {
            return Look::Same;
        }
        // An empty new file has nothing to say, and the old one may still be written to.
        if stamp.size == 0 { Look::NotYet } else { Look::Other }
    }

    fn missing(&mut self) -> Look {
        let since = *self.missing_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= LINGER {
            return Look::Gone;
        }
        if since.elapsed() >= GAP {
            return Look::Trouble(SourceTrouble::NotFound { path: self.path.clone() });
        }
        Look::NotYet
    }

    /// Nothing to read: whether the file left before has grown after all.
    fn idle(&mut self) -> Turn {
        let Some(left) = &mut self.left else {
            return Turn::Idle;
        };
        if left.since.elapsed() > LINGER {
            self.left = None;
            return Turn::Idle;
        }
        let Ok(stamp) = left.log.stamp() else {
            self.left = None;
            return Turn::Idle;
        };
        if stamp.size == left.size || !left.log.has_line_at(left.size).unwrap_or(false) {
            return Turn::Idle;
        }
        let log = left.log.clone();
        self.left = None;
        self.held = Some(Held::new(log, &self.path, Place::Beside));
        Turn::Again
    }

    /// Gives up a file that cannot be read on: its content is gone or unreadable.
    fn give_up(&mut self) {
        self.siblings.look_again();
        let Some(held) = self.held.take().filter(|held| held.place == Place::Beside) else {
            return;
        };
        // Until it changes: a sibling on a bad disk must not keep us from the log itself.
        if let Ok(stamp) = held.log.stamp() {
            self.siblings.settle(stamp);
        }
    }

    /// Leaves a file that was read to its end, and remembers what is needed of it.
    fn leave(&mut self) {
        self.siblings.look_again();
        let Some(held) = self.held.take() else {
            return;
        };
        let Ok(stamp) = held.log.stamp() else {
            return;
        };
        self.siblings.left(stamp.modified);
        if held.log.packing.is_packed() {
            self.siblings.settle(stamp);
            return;
        }
        self.left = Some(Left { log: held.log, size: stamp.size, since: Instant::now() });
    }

    /// Gives the held file an id, once its first line is complete.
    fn name(&mut self, positions: &dyn Positions) -> Turn {
        let Some(held) = &self.held else {
            return Turn::Again;
        };
        let sources = Sources { positions, own: self.own() };
        let judgement = match judge(&held.log, &sources, &held.consumed) {
            Ok(judgement) => judgement,
            Err(error) => {
                let trouble = SourceTrouble::from_io(&held.path, &error);
                self.give_up();
                return Turn::Trouble(trouble);
            }
        };
        if held.place == Place::AtPath && !matches!(judgement, Judgement::Nameless) {
            // While it had no line, it may have had lines that were copied and truncated away.
            let at_path = held.log.clone();
            if let Some(turn) = self.turn_aside(positions, Some(&at_path)) {
                return turn;
            }
        }
        match judgement {
            Judgement::Known(known) => self.begin_known(known),
            Judgement::New { id, .. } => self.begin_new(id),
            Judgement::Nameless => self.wait_for_name(),
        }
    }

    /// Not a complete line in the held file yet.
    fn wait_for_name(&mut self) -> Turn {
        if self.held.as_ref().is_some_and(|held| held.place == Place::Beside) {
            self.leave();
            return Turn::Again;
        }
        self.siblings.look_again();
        match self.look() {
            Look::Same => self.idle(),
            Look::NotYet => Turn::Idle,
            Look::Trouble(trouble) => Turn::Trouble(trouble),
            Look::Gone => {
                self.give_up();
                Turn::Idle
            }
            Look::Other => {
                self.leave();
                Turn::Again
            }
        }
    }

    /// Begins to read the held file from a stored position.
    fn begin_known(&mut self, known: Resume) -> Turn {
        let before = self.own().map(|(id, position)| (id.to_owned(), position));
        self.lines.restart(known.offset, &known.tail);
        self.read_from(known.stream);
        self.enter(known.id, Origin::Stored, before)
    }

    /// Begins to read the held file from its beginning.
    fn begin_new(&mut self, id: String) -> Turn {
        let before = self.own().map(|(id, position)| (id.to_owned(), position));
        self.lines.restart(0, &[]);
        if let Some(held) = &self.held {
            let stream = held.log.stream(&held.consumed);
            self.read_from(stream);
        }
        self.enter(id, Origin::Fresh, before)
    }

    fn read_from(&mut self, stream: Stream) {
        let Some(held) = &mut self.held else { return };
        held.reading = if held.log.packing.is_packed() {
            Reading::Packed(ahead(stream))
        } else {
            Reading::Plain
        };
    }

    fn enter(&mut self, id: String, origin: Origin, before: Option<(String, Position)>) -> Turn {
        let Some(held) = &self.held else {
            return Turn::Again;
        };
        let (dev, inode) = (held.log.dev, held.log.inode);
        match &mut self.current {
            // The same content under another name, from where it was left: nothing to tell.
            Some(current) if current.id == id => {
                (current.dev, current.inode) = (dev, inode);
                Turn::Again
            }
            current => {
                *current = Some(Current { id, origin, dev, inode });
                self.previous = before;
                Turn::NewSource
            }
        }
    }

    /// No file is held: takes the next one.
    fn find(&mut self, positions: &dyn Positions) -> Turn {
        let at_path = LogFile::open_plain(&self.path);
        if at_path.is_ok() && self.trouble.is_some() {
            // Who knows what happened here meanwhile.
            self.siblings.look_again();
        }
        if let Some(turn) = self.turn_aside(positions, at_path.as_ref().ok()) {
            return turn;
        }
        match at_path {
            Ok(log) => {
                self.missing_since = None;
                self.held = Some(Held::new(log, &self.path, Place::AtPath));
                Turn::Again
            }
            Err(trouble) => Turn::Trouble(trouble),
        }
    }

    /// Goes to a sibling that must be read before the file at the path, if there is one.
    fn turn_aside(&mut self, positions: &dyn Positions, at_path: Option<&LogFile>) -> Option<Turn> {
        let position = self.position();
        let own = self.current.as_ref().map(|current| (current.id.as_str(), position));
        let (path, log) = self.siblings.next(at_path, &Sources { positions, own })?;
        self.held = Some(Held::new(log, &path, Place::Beside));
        Some(Turn::Again)
    }

    fn own(&self) -> Option<(&str, Position)> {
        self.current.as_ref().map(|current| (current.id.as_str(), self.position()))
    }
}

impl Source for Follow {
    fn next(&mut self, positions: &dyn Positions) -> Step<'_> {
        Self::next(self, positions)
    }

    fn id(&self) -> Option<&str> {
        Self::id(self)
    }

    fn position(&self) -> Vec<u8> {
        Self::position(self).to_bytes()
    }

    fn resumed(&self) -> bool {
        Self::resumed(self)
    }

    fn memory(&self) -> Option<String> {
        Some(memory(self.path()))
    }

    fn previous(&self) -> Option<(&str, Vec<u8>)> {
        self.previous_id().zip(self.previous_position().map(|position| position.to_bytes()))
    }

    fn lag_bytes(&self) -> u64 {
        Self::lag_bytes(self)
    }
}

/// What reading on came to.
enum Read {
    Some,
    End,
    /// The content before our place is no longer there.
    Replaced,
}

/// What the path names, compared with the file held.
enum Look {
    Same,
    NotYet,
    Other,
    Gone,
    Trouble(SourceTrouble),
}

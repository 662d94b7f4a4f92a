//! One log file, followed for ever.
//!
//! In: a path that names, at different times, different files or none. Out: every complete line of
//! them once, in order, as [`Step`]s. How each way of rotating is met:
//!
//! - **rename and create**: the open file is read on until the path names another file that has
//!   something in it; then the siblings are looked through for a file in between; then the new one.
//!   A writer that still has the old file (logrotate signals it late) is read too: the old file stays
//!   open for [`LINGER`] and is gone back to when it grows.
//! - **copytruncate**: the file is shorter than what was read, or other bytes stand where the last
//!   ones read stood. What was written between the last read and the copy is read from the copy.
//! - **down over a rotation**: siblings with a stored position and more behind it are read first,
//!   and after them the rotations that came later.
//! - **gone or unreadable**: said once as [`Step::Trouble`], and tried again at every call.
//!
//! A last line without its line feed waits until that comes; if its file is replaced first, it is
//! never handed out. Costs at rest: one `read`, one `fstat` and one `stat` for each call.
//!
//! What cannot be seen: lines written and truncated away between two polls that no copy holds.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use helostat_zones::time::Time;

use super::file::{LogFile, Packing, Stamp, Stream, read_some, regular};
use super::identity::{Position, free_id, known};
use super::lines::{Found, Lines};
use super::resume::{Resume, resume};
use super::rotated::{Sibling, siblings};
use super::{Positions, SourceTrouble, Step};

/// How long a file that was left stays open for a late writer. logrotate's postrotate scripts take
/// seconds; a deleted file must not hold its disk space for ever.
const LINGER: Duration = Duration::from_secs(600);

/// How often at most the path is looked at while there is nothing to read.
const LOOK: Duration = Duration::from_millis(5);

/// How long a path may be missing before it is worth a word: rotation leaves a gap.
const GAP: Duration = Duration::from_secs(1);

/// A file younger than this may be a copy still being made.
const YOUNG: Duration = Duration::from_secs(60);

/// How often siblings are listed until two lists agree.
const LISTINGS: usize = 5;

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
}

impl Held {
    fn new(log: LogFile, path: &Path, place: Place) -> Self {
        let path = path.to_path_buf();
        Self { log, path, consumed: Arc::default(), place, reading: Reading::Unnamed }
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

/// What is to be remembered of the files beside the log.
struct Siblings {
    /// They must be looked through before the file at the path is taken.
    due: bool,
    /// Read to their end, in the state they have.
    settled: HashSet<Stamp>,
    /// Rotations written later than this came after what was read; none before the first look.
    since: Option<SystemTime>,
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
            path,
            lines: Lines::new(),
            held: None,
            current: None,
            previous: None,
            left: None,
            siblings: Siblings { due: true, settled: HashSet::new(), since: None },
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

    /// Bytes of the file being read that were not handed out yet (of a packed one: 0).
    pub fn lag_bytes(&self) -> u64 {
        match &self.held {
            Some(Held { log, reading: Reading::Plain, .. }) => {
                log.stamp().map_or(0, |stamp| stamp.size.saturating_sub(self.lines.offset()))
            }
            Some(Held { log, reading: Reading::Unnamed, .. }) => {
                log.stamp().map_or(0, |stamp| stamp.size)
            }
            _ => 0,
        }
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
                Ok(Read::Some) => Turn::Again,
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
        let trouble = |error| SourceTrouble::from_io(&self.path, &error);
        let offset = self.lines.read_offset();
        let read = held.log.read_at(self.lines.room(), offset).map_err(trouble)?;
        if read == 0 {
            let size = held.log.stamp().map_err(trouble)?.size;
            return Ok(if size < offset { Read::Replaced } else { Read::End });
        }
        // Truncated and grown beyond our place since the last read? Then other bytes stand before it.
        let tail = held.log.tail_at(offset).map_err(trouble)?;
        if tail.as_deref() != Some(self.lines.read_tail()) {
            return Ok(Read::Replaced);
        }
        self.lines.filled(read);
        Ok(Read::Some)
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
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
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
        self.siblings.due = true;
        let Some(held) = self.held.take().filter(|held| held.place == Place::Beside) else {
            return;
        };
        // Until it changes: a sibling on a bad disk must not keep us from the log itself.
        if let Ok(stamp) = held.log.stamp() {
            self.siblings.settled.insert(stamp);
        }
    }

    /// Leaves a file that was read to its end, and remembers what is needed of it.
    fn leave(&mut self) {
        self.siblings.due = true;
        let Some(held) = self.held.take() else {
            return;
        };
        let Ok(stamp) = held.log.stamp() else {
            return;
        };
        self.siblings.since = self.siblings.since.max(stamp.modified);
        if held.log.packing == Packing::Gzip {
            self.siblings.settled.insert(stamp);
            return;
        }
        self.left = Some(Left { log: held.log, size: stamp.size, since: Instant::now() });
    }

    /// Gives the held file an id, once its first line is complete.
    fn name(&mut self, positions: &dyn Positions) -> Turn {
        let Some(held) = &self.held else {
            return Turn::Again;
        };
        let judgement = match judge(&held.log, positions, self.own(), &held.consumed) {
            Ok(judgement) => judgement,
            Err(error) => {
                let trouble = SourceTrouble::from_io(&held.path, &error);
                self.give_up();
                return Turn::Trouble(trouble);
            }
        };
        // While it had no line, it may have had lines that were copied and truncated away.
        let was_waiting = held.place == Place::AtPath && self.siblings.due;
        if was_waiting && !matches!(judgement, Judgement::Nameless) {
            let at_path = held.log.clone();
            if let Some(held) = self.find_beside(positions, Some(&at_path)) {
                self.held = Some(held);
                return Turn::Again;
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
        self.siblings.due = true;
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
        held.reading = match held.log.packing {
            Packing::Plain => Reading::Plain,
            Packing::Gzip => Reading::Packed(stream),
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
        if at_path.is_ok() && self.trouble.take().is_some() {
            self.siblings.due = true;
        }
        if self.siblings.due
            && let Some(held) = self.find_beside(positions, at_path.as_ref().ok())
        {
            self.held = Some(held);
            return Turn::Again;
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

    /// The oldest sibling with something to read that is ours to read.
    fn find_beside(
        &mut self,
        positions: &dyn Positions,
        at_path: Option<&LogFile>,
    ) -> Option<Held> {
        let (opened, listed) = self.open_siblings();
        self.siblings.settled.retain(|stamp| listed.contains(stamp));
        let since = self.siblings.since;
        if since.is_none() {
            self.siblings.since = Some(SystemTime::now());
        }
        let mut after_known = false;
        for (sibling, log) in opened {
            let is_rotation = sibling.age.is_some();
            if self.siblings.settled.contains(&sibling.stamp) {
                after_known |= is_rotation;
                continue;
            }
            let Some(log) = log else { continue };
            if at_path.is_some_and(|at_path| (at_path.dev, at_path.inode) == (log.dev, log.inode)) {
                continue;
            }
            match self.judge_sibling(&log, positions) {
                Interest::Settled => {
                    self.siblings.settled.insert(sibling.stamp);
                    after_known |= is_rotation;
                }
                Interest::Rest => {
                    return Some(Held::new(log, &sibling.path, Place::Beside));
                }
                Interest::Unread if is_rotation => {
                    let later = since.is_some() && sibling.stamp.modified >= since;
                    if after_known || later {
                        return Some(Held::new(log, &sibling.path, Place::Beside));
                    }
                }
                Interest::Unread | Interest::None => {}
            }
        }
        self.siblings.due = false;
        None
    }

    /// Opens what is not settled; open files stay what they are while their names move on.
    fn open_siblings(&self) -> (Vec<(Sibling, Option<LogFile>)>, HashSet<Stamp>) {
        let mut listed = siblings(&self.path);
        let mut opened = Vec::new();
        for _ in 0..LISTINGS {
            opened = listed
                .iter()
                .map(|sibling| {
                    let settled = self.siblings.settled.contains(&sibling.stamp);
                    let log = if settled { None } else { LogFile::open(&sibling.path).ok() };
                    (sibling.clone(), log)
                })
                .collect();
            let again = siblings(&self.path);
            if again == listed {
                break;
            }
            listed = again;
        }
        (opened, listed.iter().map(|sibling| sibling.stamp).collect())
    }

    fn judge_sibling(&self, log: &LogFile, positions: &dyn Positions) -> Interest {
        if log.packing == Packing::Gzip && self.is_read_whole(log, positions) {
            return Interest::Settled;
        }
        match judge(log, positions, self.own(), &Arc::default()) {
            Ok(Judgement::Known(mut known)) => {
                let rest = match log.packing {
                    Packing::Gzip => read_some(&mut known.stream, &mut [0]).map(|read| read > 0),
                    Packing::Plain => log.has_line_at(known.offset),
                };
                if rest.unwrap_or(false) { Interest::Rest } else { Interest::Settled }
            }
            Ok(Judgement::New { furthest, .. }) if is_young_and_short(log, furthest) => {
                Interest::None
            }
            Ok(Judgement::New { .. }) => Interest::Unread,
            Ok(Judgement::Nameless) | Err(_) => Interest::None,
        }
    }

    /// Whether the length a gzip file states is a position stored for it: saves unpacking it all.
    fn is_read_whole(&self, log: &LogFile, positions: &dyn Positions) -> bool {
        let Some(fingerprint) =
            log.beginning(&Arc::default()).ok().and_then(|start| start.fingerprint())
        else {
            return false;
        };
        let Ok(stated) = log.stated_length() else {
            return false;
        };
        known(positions, &fingerprint, self.own())
            .iter()
            .filter_map(|known| known.position)
            .any(|position| position.offset & u64::from(u32::MAX) == u64::from(stated))
    }

    fn own(&self) -> Option<(&str, Position)> {
        self.current.as_ref().map(|current| (current.id.as_str(), self.position()))
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

/// What a sibling is to us.
enum Interest {
    /// Known, and read to its end.
    Settled,
    /// Known, with more to read.
    Rest,
    /// Content nobody has read.
    Unread,
    /// Cannot be told, now or ever.
    None,
}

/// Which source a file is.
enum Judgement {
    /// No complete first line.
    Nameless,
    Known(Resume),
    New {
        id: String,
        /// The furthest position stored for another content with the same first line.
        furthest: u64,
    },
}

fn judge(
    log: &LogFile,
    positions: &dyn Positions,
    own: Option<(&str, Position)>,
    consumed: &Arc<AtomicU64>,
) -> std::io::Result<Judgement> {
    let Some(fingerprint) = log.beginning(consumed)?.fingerprint() else {
        return Ok(Judgement::Nameless);
    };
    let known = known(positions, &fingerprint, own);
    if let Some(resume) = resume(log, &known, consumed)? {
        return Ok(Judgement::Known(resume));
    }
    let furthest = known.iter().filter_map(|known| known.position).map(|at| at.offset).max();
    Ok(Judgement::New { id: free_id(&fingerprint, &known), furthest: furthest.unwrap_or(0) })
}

/// Whether a file looks like a copy that is still being made.
fn is_young_and_short(log: &LogFile, furthest: u64) -> bool {
    let Ok(stamp) = log.stamp() else {
        return false;
    };
    let age = stamp.modified.and_then(|modified| modified.elapsed().ok());
    stamp.size < furthest && age.is_none_or(|age| age < YOUNG)
}

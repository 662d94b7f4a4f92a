//! All files whose names match a pattern, followed for ever: dated logs (Exim's `mainlog-%D`, Exchange's
//! file for each hour), logs of many hosts in folders of their own, rotations and all.
//!
//! In: a pattern (see [`names`](super::names)). Out: every complete line of every file that matches once, as
//! [`Step`]s. Files are known by their content, so a file may be renamed, packed, or vanish and come back: it goes on
//! where it was left, or is passed over when nothing is new in it. What matches is read from its beginning, also at
//! the first start; a rotation that does not match is not looked for, so a pattern should match rotations too
//! (`mail.log*`).
//!
//! - **Order**: of the files with something new the one that was written to first is read, up to the end that it had
//!   when its turn began. So of a history each file is read whole, the oldest first, and sessions that span two files
//!   are whole; and files that all grow take turns.
//! - **Sessions**: files that lie in one folder and are called alike (see [`log_of`]) are pieces of one log, in which
//!   sessions span files; [`Set::log`] says which log the lines are of. What is open in one says nothing of another.
//! - **Turning to another file** is [`Step::OtherFile`] and costs nothing: the caller stores where the one before was
//!   left with its next batch.
//! - **New names** are looked for once a second, or less often if that takes long. A file whose device, inode, size
//!   and modification time are those with which it was read to its end is not opened.
//! - **Open files**: at most [`OPEN`], the ones last written to, so that those are looked at without opening them. An
//!   open file that lost its name is read for ten minutes more. All others are opened when they changed.
//! - **Truncation**: as for [`Follow`](super::Follow); what was copied before it is read from the copy if that matches.
//! - A copy that is still being made, of content that is known, waits until it is a minute old.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::beside::{is_young, is_young_and_short, states_known_length};
use super::file::{LogFile, Stamp, Stream, read_some};
use super::identity::{Position, tail_hash};
use super::lines::{Found, Lines};
use super::names::matching;
use super::resume::{Judgement, Sources, judge};
use super::rotated::{is_copy_of, log_of};
use super::unpack::ahead;
use super::{Positions, Source, SourceTrouble, Step, memory};

/// The most files that are open at once, beside the one being read.
pub const OPEN: usize = 16;

/// How often at most the names are listed.
const LISTING: Duration = Duration::from_secs(1);

/// The most of its time that listing may take: a part in so many.
const LISTING_SHARE: u32 = 20;

/// How often at most open files are looked at while there is nothing to read.
const LOOK: Duration = Duration::from_millis(5);

/// How long a file without a name stays open for a late writer.
const LINGER: Duration = Duration::from_secs(600);

/// How often in a row names are listed anew because one does not lead to its file, before that waits its turn.
const MISSES: u32 = 4;

/// How long what may be a copy in the making is left alone before it is looked at again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The files that match a pattern.
pub struct Set {
    pattern: PathBuf,
    members: Vec<Member>,
    lines: Lines,
    /// Which member `lines` is of, and what is being read of it.
    reading: Option<Reading>,
    current: Option<Current>,
    previous: Option<(String, Position)>,
    list_at: Option<Instant>,
    looked: Option<Instant>,
    trouble: Option<SourceTrouble>,
}

/// A file, by its device and inode.
struct Member {
    path: PathBuf,
    /// How it was when it was last looked at.
    stamp: Stamp,
    /// How it was when it was last read to its end, or had nothing to read.
    read: Option<Stamp>,
    /// What it holds, and how far that was read.
    source: Option<(String, Position)>,
    open: Option<LogFile>,
    /// Since when no name leads to it.
    nameless: Option<Instant>,
    /// Not to be looked at before.
    not_before: Option<Instant>,
    /// How often its name did not lead to it any more.
    misses: u32,
    trouble: Option<SourceTrouble>,
}

impl Member {
    fn is(&self, stamp: &Stamp) -> bool {
        (self.stamp.dev, self.stamp.inode) == (stamp.dev, stamp.inode)
    }

    fn is_pending(&self, now: Instant) -> bool {
        self.read != Some(self.stamp) && self.not_before.is_none_or(|at| at <= now)
    }

    /// Octets on disk that were not read; of a packed file all or none.
    fn unread_bytes(&self) -> u64 {
        if self.read == Some(self.stamp) {
            return 0;
        }
        let read = self.source.as_ref().map_or(0, |(_, position)| position.offset);
        self.stamp.size.saturating_sub(read)
    }
}

struct Reading {
    dev: u64,
    inode: u64,
    log: LogFile,
    content: Content,
    /// The turn ends here, with the file as it was then; none between turns.
    until: Option<Stamp>,
}

impl Reading {
    fn is_of(&self, stamp: &Stamp) -> bool {
        (self.dev, self.inode) == key(stamp)
    }
}

enum Content {
    Plain,
    Packed { stream: Stream, consumed: Arc<AtomicU64> },
}

struct Current {
    id: String,
    /// The log that it is a piece of.
    log: PathBuf,
    is_stored: bool,
    dev: u64,
    inode: u64,
}

enum Turn {
    Again,
    Line(Found),
    NewSource,
    OtherFile,
    Idle,
    Trouble(SourceTrouble),
}

impl Set {
    /// Follows what matches `pattern`, which need not be anything.
    pub fn new(pattern: PathBuf) -> Self {
        Self {
            pattern,
            members: Vec::new(),
            lines: Lines::new(),
            reading: None,
            current: None,
            previous: None,
            list_at: None,
            looked: None,
            trouble: None,
        }
    }

    /// The next thing. After [`Step::NewSource`] and [`Step::OtherFile`], `positions` must know all that came before.
    pub fn next(&mut self, positions: &dyn Positions) -> Step<'_> {
        loop {
            if let Some(found) = self.lines.take() {
                return Step::Line(self.lines.line(&found));
            }
            match self.turn(positions) {
                Turn::Again => {}
                Turn::Line(found) => return Step::Line(self.lines.line(&found)),
                Turn::NewSource => return Step::NewSource,
                Turn::OtherFile => return Step::OtherFile,
                Turn::Idle => return Step::Idle,
                Turn::Trouble(trouble) => return Step::Trouble(trouble),
            }
        }
    }

    /// The pattern.
    pub fn path(&self) -> &Path {
        &self.pattern
    }

    /// The id of the source that lines come from; none before the first [`Step::NewSource`].
    pub fn id(&self) -> Option<&str> {
        self.current.as_ref().map(|current| current.id.as_str())
    }

    /// The log that it is a piece of: a name, not always a file.
    pub fn log(&self) -> Option<&Path> {
        self.current.as_ref().map(|current| current.log.as_path())
    }

    /// Just after the last line handed out.
    pub fn position(&self) -> Position {
        let (dev, inode) =
            self.current.as_ref().map_or((0, 0), |current| (current.dev, current.inode));
        Position { offset: self.lines.offset(), tail: self.lines.tail(), dev, inode }
    }

    /// The id of the source before the last [`Step::OtherFile`].
    pub fn previous_id(&self) -> Option<&str> {
        self.previous.as_ref().map(|(id, _)| id.as_str())
    }

    /// Where that source was left.
    pub fn previous_position(&self) -> Option<Position> {
        self.previous.as_ref().map(|(_, position)| *position)
    }

    /// Whether the current source was known when it was begun.
    pub fn resumed(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.is_stored)
    }

    /// Bytes of all files that were not handed out yet; of packed ones, bytes on disk.
    pub fn lag_bytes(&self) -> u64 {
        let reading = self.reading.as_ref();
        let is_read = |member: &Member| reading.is_some_and(|reading| reading.is_of(&member.stamp));
        let others =
            self.members.iter().filter(|member| !is_read(member)).map(Member::unread_bytes);
        let own = reading.map_or(0, |reading| {
            let read = match &reading.content {
                Content::Plain => self.lines.offset(),
                Content::Packed { consumed, .. } => consumed.load(Ordering::Relaxed),
            };
            reading.log.stamp().map_or(0, |stamp| stamp.size.saturating_sub(read))
        });
        others.sum::<u64>() + own
    }

    /// How many files are open.
    pub fn open_files(&self) -> usize {
        self.members.iter().filter(|member| member.open.is_some()).count()
    }

    fn turn(&mut self, positions: &dyn Positions) -> Turn {
        let Some(reading) = &mut self.reading else {
            return self.pick(positions);
        };
        let Some(until) = reading.until else {
            return self.pick(positions);
        };
        let read = match &mut reading.content {
            Content::Packed { stream, .. } => read_some(stream, self.lines.room()),
            Content::Plain => {
                let offset = self.lines.read_offset();
                let left = usize::try_from(until.size.saturating_sub(offset)).unwrap_or(usize::MAX);
                let room = self.lines.room();
                let most = left.min(room.len());
                reading.log.read_at(room.get_mut(..most).unwrap_or_default(), offset)
            }
        };
        match read {
            Ok(0) => self.turn_ends(until),
            Ok(read) => {
                self.lines.filled(read);
                Turn::Again
            }
            Err(error) => self.fails(&error, until),
        }
    }

    /// The file was read to the end that it had.
    fn turn_ends(&mut self, until: Stamp) -> Turn {
        let rest = match self.reading.take() {
            Some(reading) if matches!(reading.content, Content::Packed { .. }) => {
                // Never goes on; `position` stands behind the rest once that is handed out.
                self.lines.take_rest()
            }
            reading => {
                self.reading = reading.map(|reading| Reading { until: None, ..reading });
                None
            }
        };
        self.keep_position(&until);
        if let Some(member) = self.member(&until) {
            (member.read, member.trouble, member.not_before) = (Some(until), None, None);
        }
        rest.map_or(Turn::Again, Turn::Line)
    }

    /// Remembers with the file how far it was read.
    fn keep_position(&mut self, stamp: &Stamp) {
        let position = self.position();
        let Some(id) = self.id().map(str::to_owned) else { return };
        for member in &mut self.members {
            if member.is(stamp) {
                member.source = Some((id.clone(), position));
            } else if member.source.as_ref().is_some_and(|(known, _)| *known == id) {
                // A copy: what is known of it is out of date.
                member.source = None;
            }
        }
    }

    /// The file cannot be read on; until it changes.
    fn fails(&mut self, error: &io::Error, until: Stamp) -> Turn {
        if let Some(reading) = self.reading.take_if(|reading| is_being_packed(&reading.log)) {
            self.keep_position(&until);
            return self.wait_for(&reading.log.stamp().unwrap_or(until));
        }
        let byte = match self.reading.take().map(|reading| reading.content) {
            Some(Content::Packed { consumed, .. }) => consumed.load(Ordering::Relaxed),
            _ => self.lines.read_offset(),
        };
        self.keep_position(&until);
        let path = self.member(&until).map(|member| member.path.clone());
        let trouble = SourceTrouble::from_reading(&path.unwrap_or_default(), error, byte);
        self.set_aside(&until, trouble)
    }

    /// Leaves a file alone for a while: it is not finished.
    fn wait_for(&mut self, stamp: &Stamp) -> Turn {
        if let Some(member) = self.member(stamp) {
            member.not_before = Some(Instant::now() + PATIENCE);
        }
        Turn::Again
    }

    /// Leaves a file alone until it changes, and says why unless that was said.
    fn set_aside(&mut self, stamp: &Stamp, trouble: SourceTrouble) -> Turn {
        let Some(member) = self.member(stamp) else { return Turn::Again };
        (member.read, member.open) = (Some(member.stamp), None);
        if member.trouble.as_ref() == Some(&trouble) {
            return Turn::Again;
        }
        member.trouble = Some(trouble.clone());
        Turn::Trouble(trouble)
    }

    fn member(&mut self, stamp: &Stamp) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.is(stamp))
    }

    /// Takes the next file that has something new.
    fn pick(&mut self, positions: &dyn Positions) -> Turn {
        let now = Instant::now();
        if self.list_at.is_none_or(|at| at <= now)
            && let Err(trouble) = self.list(now)
        {
            if self.trouble.as_ref() == Some(&trouble) {
                return Turn::Idle;
            }
            self.trouble = Some(trouble.clone());
            return Turn::Trouble(trouble);
        }
        let mut next = self.next_pending(now);
        if next.is_none() && self.looked.is_none_or(|looked| looked + LOOK <= now) {
            self.looked = Some(now);
            self.look();
            next = self.next_pending(now);
        }
        let Some(stamp) = next else {
            return Turn::Idle;
        };
        self.begin(&stamp, positions)
    }

    fn next_pending(&self, now: Instant) -> Option<Stamp> {
        let pending = self.members.iter().filter(|member| member.is_pending(now));
        let next =
            pending.min_by(|a, b| (a.stamp.modified, &a.path).cmp(&(b.stamp.modified, &b.path)));
        next.map(|member| member.stamp)
    }

    /// Looks which names there are, and how their files are now.
    fn list(&mut self, now: Instant) -> Result<(), SourceTrouble> {
        self.list_at = Some(now + LISTING);
        let found = matching(&self.pattern);
        let mut named = vec![false; self.members.len()];
        let mut any = false;
        for path in found? {
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let stamp = Stamp::of(&metadata);
            any = true;
            let known = self.members.iter().position(|member| member.is(&stamp));
            let Some(place) = known else {
                self.members.push(Member {
                    path,
                    stamp,
                    read: None,
                    source: None,
                    open: None,
                    nameless: None,
                    not_before: None,
                    misses: 0,
                    trouble: None,
                });
                named.push(true);
                continue;
            };
            if let (Some(member), Some(named)) = (self.members.get_mut(place), named.get_mut(place))
            {
                if !*named {
                    (member.path, member.stamp, member.nameless) = (path, stamp, None);
                }
                *named = true;
            }
        }
        let mut named = named.into_iter();
        let reading = self.reading.as_ref();
        self.members.retain_mut(|member| {
            if named.next().unwrap_or_default() {
                return true;
            }
            let since = *member.nameless.get_or_insert(now);
            let is_read = reading.is_some_and(|reading| reading.is_of(&member.stamp));
            let is_open = member.open.is_some() || is_read;
            is_open && now.duration_since(since) < LINGER
        });
        self.list_at = Some(now + LISTING.max(now.elapsed() * LISTING_SHARE));
        if !any {
            return Err(SourceTrouble::NoMatch { path: self.pattern.clone() });
        }
        self.trouble = None;
        Ok(())
    }

    /// Looks how the open files are now.
    fn look(&mut self) {
        for member in &mut self.members {
            let of_reading = self.reading.as_ref().filter(|reading| reading.is_of(&member.stamp));
            let Some(log) = member.open.as_ref().or_else(|| of_reading.map(|reading| &reading.log))
            else {
                continue;
            };
            match log.stamp() {
                Ok(stamp) => member.stamp = stamp,
                Err(_) => member.open = None,
            }
        }
    }

    /// Begins the turn of a file.
    fn begin(&mut self, stamp: &Stamp, positions: &dyn Positions) -> Turn {
        if let Some(turn) = self.go_on(stamp) {
            return turn;
        }
        let Some(member) = self.member(stamp) else { return Turn::Again };
        let path = member.path.clone();
        let log = match member.open.clone().map_or_else(|| LogFile::open(&path), Ok) {
            Ok(log) if (log.dev, log.inode) == key(stamp) => log,
            // Renamed since it was listed, or gone; whatever took its place may be older than all others.
            Ok(_) | Err(SourceTrouble::NotFound { .. }) => {
                member.misses += 1;
                if member.misses.is_multiple_of(MISSES) {
                    member.not_before = Some(Instant::now() + LISTING);
                }
                self.list_at = None;
                return Turn::Again;
            }
            Err(trouble) => return self.set_aside(stamp, trouble),
        };
        let now = match log.stamp() {
            Ok(now) => now,
            Err(error) => return self.set_aside(stamp, SourceTrouble::from_io(&path, &error)),
        };
        member.stamp = now;
        match self.resume(&log, &now, positions) {
            Ok(turn) => turn,
            Err(_) if is_being_packed(&log) => self.wait_for(&now),
            Err(error) => {
                self.leave_reading();
                self.set_aside(&now, SourceTrouble::from_reading(&path, &error, 0))
            }
        }
    }

    /// Goes on in the file whose last lines are still at hand, if it is that and its content is.
    fn go_on(&mut self, stamp: &Stamp) -> Option<Turn> {
        let reading = self.reading.as_mut()?;
        if !reading.is_of(stamp) {
            return None;
        }
        let offset = self.lines.read_offset();
        let now = reading.log.stamp().ok()?;
        let tail = reading.log.tail_at(offset).ok()?;
        if now.size < offset || tail.as_deref() != Some(self.lines.read_tail()) {
            // Other content stands there now.
            self.leave_reading();
            if let Some(member) = self.member(stamp) {
                member.source = None;
            }
            return None;
        }
        reading.until = Some(now);
        if let Some(member) = self.member(stamp) {
            member.stamp = now;
        }
        Some(Turn::Again)
    }

    /// The last lines of the file before are no longer at hand; its position is.
    fn leave_reading(&mut self) {
        let Some(reading) = self.reading.take() else { return };
        let member = self.members.iter_mut().find(|member| reading.is_of(&member.stamp));
        if let (Some(member), Content::Plain) = (member, &reading.content) {
            member.open = Some(reading.log);
        }
        self.close_some();
    }

    /// Keeps no more files open than may be: those written to last.
    fn close_some(&mut self) {
        while self.open_files() > OPEN {
            let open = self.members.iter_mut().filter(|member| member.open.is_some());
            let Some(oldest) = open.min_by_key(|member| member.stamp.modified) else { return };
            oldest.open = None;
        }
    }

    /// Finds where to read on in `log`, and begins there.
    fn resume(
        &mut self,
        log: &LogFile,
        now: &Stamp,
        positions: &dyn Positions,
    ) -> io::Result<Turn> {
        if !log.packing.is_packed()
            && let Some((id, position)) = self.known_here(now)
            && let Some(tail) = log.tail_at(position.offset)?
            && position.offset <= now.size
            && tail_hash(&tail) == position.tail
        {
            if !log.has_line_at(position.offset)? {
                return Ok(self.pass(now));
            }
            return Ok(self.enter(id, true, log, now, (position.offset, &tail), None));
        }
        let own = self.current.as_ref().map(|current| (current.id.clone(), self.position()));
        let own = own.as_ref().map(|(id, position)| (id.as_str(), *position));
        let sources = Sources { positions, own };
        if states_known_length(log, &sources) {
            return Ok(self.pass(now));
        }
        let consumed = Arc::default();
        match judge(log, &sources, &consumed)? {
            Judgement::Nameless => Ok(self.pass(now)),
            Judgement::Known(known)
                if !log.packing.is_packed() && !log.has_line_at(known.offset)? =>
            {
                let (offset, tail) = (known.offset, tail_hash(&known.tail));
                let position = Position { offset, tail, dev: now.dev, inode: now.inode };
                if let Some(member) = self.member(now) {
                    member.source = Some((known.id, position));
                }
                Ok(self.pass(now))
            }
            Judgement::Known(known) => {
                let place = (known.offset, known.tail.as_slice());
                let packed = log.packing.is_packed().then_some((known.stream, consumed));
                Ok(self.enter(known.id, true, log, now, place, packed))
            }
            Judgement::New { furthest, .. }
                if is_young_and_short(log, furthest) && self.may_be_a_copy(now) =>
            {
                Ok(self.wait_for(now))
            }
            Judgement::New { id, .. } => {
                let packed =
                    log.packing.is_packed().then(|| (log.stream(&consumed), consumed.clone()));
                Ok(self.enter(id, false, log, now, (0, &[]), packed))
            }
        }
    }

    fn known_here(&mut self, stamp: &Stamp) -> Option<(String, Position)> {
        self.member(stamp)?.source.clone()
    }

    /// Whether the file's name says that it is a copy or a rotation of another one here.
    fn may_be_a_copy(&self, stamp: &Stamp) -> bool {
        let Some(path) = self.members.iter().find(|member| member.is(stamp)).map(|it| &it.path)
        else {
            return false;
        };
        self.members.iter().any(|other| is_copy_of(path, &other.path))
    }

    /// There is nothing to read in a file, as it is now.
    fn pass(&mut self, stamp: &Stamp) -> Turn {
        if let Some(member) = self.member(stamp) {
            member.read = Some(*stamp);
        }
        Turn::Again
    }

    fn enter(
        &mut self,
        id: String,
        is_stored: bool,
        log: &LogFile,
        until: &Stamp,
        (offset, tail): (u64, &[u8]),
        packed: Option<(Stream, Arc<AtomicU64>)>,
    ) -> Turn {
        let before = self.current.as_ref().map(|current| (current.id.clone(), self.position()));
        self.leave_reading();
        self.lines.restart(offset, tail);
        let content = match packed {
            Some((stream, consumed)) => Content::Packed { stream: ahead(stream), consumed },
            None => Content::Plain,
        };
        let (dev, inode) = (log.dev, log.inode);
        let mut piece_of = PathBuf::new();
        if let Some(member) = self.member(until) {
            member.open = None;
            piece_of = log_of(&member.path).0;
        }
        self.reading = Some(Reading { dev, inode, log: log.clone(), content, until: Some(*until) });
        self.close_some();
        match &mut self.current {
            Some(current) if current.id == id => {
                (current.dev, current.inode) = (dev, inode);
                Turn::Again
            }
            current => {
                *current = Some(Current { id, log: piece_of, is_stored, dev, inode });
                let is_first = before.is_none();
                self.previous = before;
                if is_first { Turn::NewSource } else { Turn::OtherFile }
            }
        }
    }
}

/// Whether a packed file that cannot be read may be one that is not finished.
fn is_being_packed(log: &LogFile) -> bool {
    log.packing.is_packed() && is_young(log)
}

fn key(stamp: &Stamp) -> (u64, u64) {
    (stamp.dev, stamp.inode)
}

impl Source for Set {
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
        Some(memory(self.log().unwrap_or_else(|| self.path())))
    }

    fn previous(&self) -> Option<(&str, Vec<u8>)> {
        self.previous_id().zip(self.previous_position().map(|position| position.to_bytes()))
    }

    fn lag_bytes(&self) -> u64 {
        Self::lag_bytes(self)
    }
}

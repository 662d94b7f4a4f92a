//! Dumps, taken back into a ledger: what another ledger knew becomes part of what is known here.
//!
//! - In: the lines that `dump` writes (`line` reads them back), as a [`Source`]; and who takes what is
//!   loaded, a [`Taker`]: a ledger, or a daemon that holds one.
//! - Out: batches of about [`BATCH_LINES`] lines, each with the place up to which the content is taken in
//!   then; at the end the numbers of it, [`Loaded`].
//! - A line that cannot be read ends it, with its place; what came before is taken in first. So does
//!   content that cannot be read on.
//! - Loading a dump into an empty ledger of the same bounds gives a ledger with that dump. What a line says
//!   of pairs is merged as observations are; traces and crowds are united; a `reporter` line is the total of
//!   what it saw, so what its pairs since the last such line were told to be is taken off it.
//! - Content is taken in once. The ledger remembers under `load:` and the hash of a content's first line, as
//!   a JSON list, places in such content: its length and its hash up to there, and each reporter's sums that
//!   are still to be taken off its total. Where the content of a later load agrees with one of these, all
//!   before it is passed over. So a load that was interrupted goes on, and one that was finished does nothing.
//!   Each load leaves one or two places; the newest [`PLACES`] are remembered.
//! - Two dumps that are not the same, octet for octet, up to such a place have nothing to do with each
//!   other here: what both tell counts twice. So has what ends before such a place.
//! - How far a source was read is taken over if the taker does not know the source. Places of `load:` are
//!   united, since whatever the other ledger took in is taken in with it.
//!
//! It opens no file but one to keep a stream in that may have to be read again, and that is the caller's.

mod content;
mod line;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};

use self::content::ContentHash;
use self::line::Line;
use super::activity::Activity;
use super::facts::ClientFacts;
use super::{Batch, Ledger, StoreError, Trace};
use crate::client::Client;
use crate::observation::{Reporter, ReporterKind};

/// Lines of a batch; more if a client has more, since its lines stay together.
const BATCH_LINES: u64 = 10_000;
/// Octets of lines after which a batch is full, so that a daemon takes it in one request.
const BATCH_BYTES: u64 = 8 << 20;
/// So many times as much, and the lines of a client are torn apart.
const TORN_AT: u64 = 4;
/// The longest line. The positions of logs with ten thousands of open sessions are some megabytes.
const LINE_BYTES: u64 = 32 << 20;
/// How many places are remembered of contents with the same first line.
const PLACES: usize = 256;
/// How much is read at once.
const PIECE_BYTES: usize = 256 << 10;
/// What the names of sources begin with under which places are remembered.
const PREFIX: &str = "load:";

/// Where a dump comes from.
pub enum Source<'a> {
    /// It can be opened from its beginning as often as need be, and has the same content each time.
    Repeatable(&'a mut dyn FnMut() -> io::Result<Box<dyn Read + 'a>>),
    /// It passes once. If it was loaded before, what must be read again is kept in a file that `keep` makes.
    Stream {
        /// The content.
        stream: Box<dyn Read + 'a>,
        /// Makes an empty file that can be written and read.
        keep: &'a dyn Fn() -> io::Result<File>,
    },
}

/// Takes what is loaded.
pub trait Taker {
    /// Why it could not.
    type Error;
    /// Every source whose name begins with `prefix`, with how far it was read.
    fn positions(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, Self::Error>;
    /// Makes a batch durable, or does nothing of it.
    fn commit(&self, batch: &Batch) -> Result<(), Self::Error>;
}

impl Taker for Ledger {
    type Error = StoreError;

    fn positions(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        Ok(Self::positions(self, prefix))
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        Self::commit(self, batch).map(drop)
    }
}

/// What was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// Lines that were taken in.
    pub lines: u64,
    /// Those that told what a reporter saw of a pair.
    pub pairs: u64,
    /// Those that told of a client beside its pairs.
    pub clients: u64,
    /// Those that told of a crowd.
    pub crowds: u64,
    /// Those that told what a reporter saw in all.
    pub reporters: u64,
    /// Sources of which it was taken over how far they were read.
    pub positions: u64,
    /// Sources that were known here already.
    pub known_positions: u64,
    /// Lines that were passed over, since they were loaded before.
    pub skipped_lines: u64,
    /// Octets of all lines, with those that were passed over.
    pub bytes: u64,
}

impl Loaded {
    /// Adds what else was loaded.
    pub fn add(&mut self, other: &Self) {
        let Self {
            lines,
            pairs,
            clients,
            crowds,
            reporters,
            positions,
            known_positions,
            skipped_lines,
            bytes,
        } = other;
        self.lines += lines;
        self.pairs += pairs;
        self.clients += clients;
        self.crowds += crowds;
        self.reporters += reporters;
        self.positions += positions;
        self.known_positions += known_positions;
        self.skipped_lines += skipped_lines;
        self.bytes += bytes;
    }
}

/// A line that cannot be read, by its place in the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// The octet at which it was noticed, from 1.
    pub column: usize,
    /// What is wrong.
    pub why: String,
}

/// `17:42: what is wrong`.
impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.why)
    }
}

/// Why a load ended early.
#[derive(Debug)]
pub enum LoadError<E> {
    /// The content cannot be read.
    Read(io::Error),
    /// A line is none of a dump. What came before it was taken in.
    Line(BadLine),
    /// The taker did not take it. What was committed before is remembered.
    Taker(E),
    /// What is remembered of earlier loads, under this name, is no such thing.
    Memory(String),
}

/// Takes a dump in; tells `progress` now and then how many octets were read. Exactly as far as it says it
/// came, even if it fails: to go on, load the same content again.
pub fn load<T: Taker>(
    source: Source<'_>,
    taker: &T,
    progress: &mut dyn FnMut(u64),
) -> Result<Loaded, LoadError<T::Error>> {
    let (mut content, known) = begin(source, taker)?;
    let Some((name, mut places)) = known else { return Ok(Loaded::default()) };
    let from = places.agreed.take().unwrap_or_default();
    let mut loader = Loader {
        taker,
        name,
        places,
        batch: Batch::default(),
        batch_lines: 0,
        committed: 0,
        client: None,
        beside: None,
        hash: ContentHash::default(),
        safe: ContentHash::default(),
        line: 0,
        sums: from.reporters.into_iter().map(|(name, sums)| (name.into(), sums)).collect(),
        known_sources: None,
        loaded: Loaded::default(),
    };
    let done = loader.pass_over(&mut content, from.offset, progress);
    done.and_then(|()| loader.take_in(&mut content, progress)).map(|()| loader.loaded)
}

type Content<'a> = BufReader<Box<dyn Read + 'a>>;

/// A place in some content, up to which it was taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    offset: u64,
    hash: String,
    /// What is to be taken off the totals of reporters that come later.
    reporters: BTreeMap<String, Sums>,
}

/// What the pairs of a reporter were told to be, since its last total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sums {
    counts: [i64; 7],
    by_us: u64,
}

/// What is remembered of contents that begin with the same line.
#[derive(Debug, Default)]
struct Places {
    all: Vec<Place>,
    /// Which of them moves as this load goes on.
    own: Option<usize>,
    /// The last place at which this content agrees.
    agreed: Option<Place>,
}

/// Opens the content, and finds out what is known of it; nothing if there is no content.
#[expect(clippy::type_complexity, reason = "it is looked into at once")]
fn begin<'a, T: Taker>(
    source: Source<'a>,
    taker: &T,
) -> Result<(Content<'a>, Option<(String, Places)>), LoadError<T::Error>> {
    let (mut stream, again): (Box<dyn Read + 'a>, Again<'a>) = match source {
        Source::Repeatable(open) => (open().map_err(LoadError::Read)?, Again::Open(open)),
        Source::Stream { stream, keep } => (stream, Again::Keep(keep)),
    };
    let mut first = Vec::new();
    let mut reader = BufReader::with_capacity(PIECE_BYTES, &mut stream);
    (&mut reader).take(LINE_BYTES).read_until(b'\n', &mut first).map_err(LoadError::Read)?;
    let mut hash = ContentHash::default();
    // A file that was cut off may have lost the line's end alone.
    hash.update(first.trim_ascii_end());
    let name = format!("{PREFIX}{}", hash.digits());
    let nothing = first.is_empty();
    // What was read ahead belongs to the content, too.
    first.extend_from_slice(reader.buffer());
    drop(reader);
    let whole: Box<dyn Read + 'a> = Box::new(io::Cursor::new(first).chain(stream));
    if nothing {
        return Ok((buffered(whole), None));
    }
    let mut places = Places::default();
    for (source, list) in taker.positions(&name).map_err(LoadError::Taker)? {
        if source == name {
            places.all = read_places(&list).ok_or(LoadError::Memory(source))?;
        }
    }
    if places.all.is_empty() {
        return Ok((buffered(whole), Some((name, places))));
    }
    let (whole, agreed) = again.agree(whole, &places.all).map_err(LoadError::Read)?;
    places.agreed = agreed;
    Ok((buffered(whole), Some((name, places))))
}

fn buffered(stream: Box<dyn Read + '_>) -> Content<'_> {
    BufReader::with_capacity(PIECE_BYTES, stream)
}

fn read_places(list: &[u8]) -> Option<Vec<Place>> {
    serde_json::from_slice(list).ok()
}

/// How to read content again.
enum Again<'a> {
    Open(&'a mut dyn FnMut() -> io::Result<Box<dyn Read + 'a>>),
    Keep(&'a dyn Fn() -> io::Result<File>),
}

impl<'a> Again<'a> {
    /// Finds the last place at which the content agrees; gives the content back from its beginning.
    fn agree(
        self,
        whole: Box<dyn Read + 'a>,
        places: &[Place],
    ) -> io::Result<(Box<dyn Read + 'a>, Option<Place>)> {
        match self {
            Self::Open(open) => {
                let mut walk = Walk { stream: whole, kept: None };
                let agreed = walk.agree(places)?;
                drop(walk);
                Ok((open()?, agreed))
            }
            Self::Keep(keep) => {
                let mut walk = Walk { stream: whole, kept: Some(keep()?) };
                let agreed = walk.agree(places)?;
                let Walk { stream, kept } = walk;
                let Some(mut kept) = kept else { return Ok((stream, agreed)) };
                kept.seek(SeekFrom::Start(0))?;
                Ok((Box::new(kept.chain(stream)), agreed))
            }
        }
    }
}

/// A walk over content, to see where it agrees with what is remembered.
struct Walk<'a> {
    stream: Box<dyn Read + 'a>,
    kept: Option<File>,
}

impl Walk<'_> {
    fn agree(&mut self, places: &[Place]) -> io::Result<Option<Place>> {
        let mut ahead: Vec<&Place> = places.iter().collect();
        ahead.sort_by_key(|place| place.offset);
        let mut hash = ContentHash::default();
        let mut agreed = None;
        let mut piece = vec![0; PIECE_BYTES];
        for place in ahead {
            while hash.length() < place.offset {
                let most = usize::try_from(place.offset - hash.length()).unwrap_or(usize::MAX);
                let room = piece.get_mut(..most.min(PIECE_BYTES)).unwrap_or_default();
                let read = match self.stream.read(room) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read?,
                };
                if read == 0 {
                    return Ok(agreed);
                }
                let read = room.get(..read).unwrap_or_default();
                hash.update(read);
                if let Some(kept) = &mut self.kept {
                    kept.write_all(read)?;
                }
            }
            if hash.digits() == place.hash {
                agreed = Some(place.clone());
            }
        }
        Ok(agreed)
    }
}

/// A load at work.
struct Loader<'t, T> {
    taker: &'t T,
    /// Under which its places are remembered.
    name: String,
    places: Places,
    batch: Batch,
    batch_lines: u64,
    /// Up to where the content was committed.
    committed: u64,
    /// Whose lines are being read.
    client: Option<Client>,
    /// What was told of a client beside its pairs. A ledger keeps that only with a pair, so it waits for one.
    beside: Option<(Client, ClientFacts, Option<Trace>)>,
    /// Of what was read so far.
    hash: ContentHash,
    /// Of what was read before that which waits.
    safe: ContentHash,
    line: u64,
    sums: HashMap<Reporter, Sums>,
    /// Of what the taker knows how far it was read; asked for once.
    known_sources: Option<HashMap<String, Vec<u8>>>,
    loaded: Loaded,
}

impl<T: Taker> Loader<'_, T> {
    /// Passes over what was taken in before.
    fn pass_over(
        &mut self,
        content: &mut Content<'_>,
        offset: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), LoadError<T::Error>> {
        while self.hash.length() < offset {
            let piece = content.fill_buf().map_err(LoadError::Read)?;
            let most = usize::try_from(offset - self.hash.length()).unwrap_or(usize::MAX);
            let piece = piece.get(..most).unwrap_or(piece);
            if piece.is_empty() {
                let why = "it is shorter than when it was read the first time";
                return Err(LoadError::Read(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
            }
            self.hash.update(piece);
            self.line += piece.iter().filter(|octet| **octet == b'\n').count() as u64;
            let read = piece.len();
            content.consume(read);
            progress(self.hash.length());
        }
        self.committed = self.hash.length();
        self.safe = self.hash.clone();
        self.loaded.bytes = self.hash.length();
        self.loaded.skipped_lines = self.line;
        Ok(())
    }

    fn take_in(
        &mut self,
        content: &mut Content<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), LoadError<T::Error>> {
        let mut octets = Vec::new();
        loop {
            octets.clear();
            let read = content.take(LINE_BYTES + 1).read_until(b'\n', &mut octets);
            let wrong = match read {
                Ok(0) => {
                    // Content that ends in a client's line was cut off before its first pair, without which nothing is
                    // kept of it: whoever goes on must read the line again.
                    if self.beside.is_none() {
                        self.safe = self.hash.clone();
                    }
                    self.take_beside();
                    return self.commit();
                }
                Ok(read) if read as u64 > LINE_BYTES => {
                    let why = format!("it has more than {LINE_BYTES} octets");
                    LoadError::Line(BadLine { line: self.line + 1, column: 1, why })
                }
                Ok(_) => match self.take_line(&octets) {
                    Ok(()) => {
                        if self.line.is_multiple_of(1024) {
                            progress(self.hash.length());
                        }
                        continue;
                    }
                    Err(LoadError::Taker(error)) => return Err(LoadError::Taker(error)),
                    Err(wrong) => wrong,
                },
                Err(error) => LoadError::Read(error),
            };
            self.commit()?;
            return Err(wrong);
        }
    }

    fn take_line(&mut self, octets: &[u8]) -> Result<(), LoadError<T::Error>> {
        if !octets.trim_ascii().is_empty() {
            let line = Line::read(octets).map_err(|wrong| {
                let (line, column, why) = (self.line + 1, wrong.column, wrong.why);
                LoadError::Line(BadLine { line, column, why })
            })?;
            self.cut_before(&line)?;
            self.take(line)?;
            self.loaded.lines += 1;
            self.batch_lines += 1;
        }
        self.hash.update(octets);
        self.loaded.bytes = self.hash.length();
        self.line += 1;
        if self.beside.is_none() {
            self.safe = self.hash.clone();
        }
        Ok(())
    }

    /// Commits what there is if that is much, and this line can begin another batch.
    fn cut_before(&mut self, line: &Line<'_>) -> Result<(), LoadError<T::Error>> {
        let client = match line {
            Line::Pair { client, .. } | Line::Client { client, .. } => Some(*client),
            _ => None,
        };
        let of_same = client.is_some() && client == self.client;
        self.client = client;
        if !of_same {
            // It has no pairs here; it may have some where this goes.
            self.take_beside();
            self.safe = self.hash.clone();
        }
        let bytes = self.safe.length() - self.committed;
        let full =
            |times: u64| self.batch_lines >= BATCH_LINES * times || bytes >= BATCH_BYTES * times;
        // The same ledger's dump without positions ends here, and must be known again, too.
        let ends_content = matches!(line, Line::Position { .. })
            && self.loaded.positions + self.loaded.known_positions == 0;
        if ends_content || full(if of_same { TORN_AT } else { 1 }) {
            self.commit()?;
        }
        if ends_content {
            self.places.own = None;
        }
        Ok(())
    }

    /// Takes in what waits for a pair.
    fn take_beside(&mut self) {
        let Some((client, facts, trace)) = self.beside.take() else { return };
        if !facts.is_empty() {
            self.batch.add_facts(client, &facts);
        }
        if let Some(trace) = trace {
            self.batch.add_trace(client, &trace);
        }
    }

    fn take(&mut self, line: Line<'_>) -> Result<(), LoadError<T::Error>> {
        match line {
            Line::Pair { client, name, reporter, kind, activity } => {
                self.take_beside();
                let reporter = self.sum_up(&reporter, &activity);
                self.batch.add(client, &name, (&reporter, kind), &activity);
                self.loaded.pairs += 1;
            }
            Line::Client { client, facts, trace } => {
                self.take_beside();
                self.beside = Some((client, facts, trace));
                self.loaded.clients += 1;
            }
            Line::Crowd(told) => {
                self.batch.add_crowd(&told);
                self.loaded.crowds += 1;
            }
            Line::Reporter { reporter, kind, activity } => {
                self.take_total(&reporter, kind, activity)?;
                self.loaded.reporters += 1;
            }
            Line::Days(days) => self.batch.add_days(&days),
            Line::Position { source, reached } => self.take_position(source, reached)?,
        }
        Ok(())
    }

    /// Notes what is to be taken off the total of a reporter.
    fn sum_up(&mut self, reporter: &str, activity: &Activity) -> Reporter {
        let add = |sums: &mut Sums| {
            for (sum, count) in sums.counts.iter_mut().zip(activity.counts) {
                *sum = sum.saturating_add(count.into());
            }
            sums.by_us = sums.by_us.saturating_add(activity.by_us.into());
        };
        if let Some(sums) = self.sums.get_mut(reporter) {
            add(sums);
        }
        if let Some((name, _)) = self.sums.get_key_value(reporter) {
            return name.clone();
        }
        let name = Reporter::from(reporter);
        add(self.sums.entry(name.clone()).or_default());
        name
    }

    /// Takes in what a reporter saw beside the pairs that were told.
    fn take_total(
        &mut self,
        reporter: &str,
        kind: ReporterKind,
        mut total: Activity,
    ) -> Result<(), LoadError<T::Error>> {
        let told = self.sums.get(reporter).copied().unwrap_or_default();
        for (count, told) in total.counts.iter_mut().zip(told.counts) {
            let beside = i64::from(*count).saturating_sub(told);
            *count = i32::try_from(beside).unwrap_or(if beside < 0 { i32::MIN } else { i32::MAX });
        }
        let beside = u64::from(total.by_us).checked_sub(told.by_us);
        let Some(beside) = beside.and_then(|beside| u32::try_from(beside).ok()) else {
            let (line, by_us) = (self.line + 1, total.by_us);
            let why = format!("by_us is {by_us}, but {} were told of its pairs", told.by_us);
            return Err(LoadError::Line(BadLine { line, column: 1, why }));
        };
        total.by_us = beside;
        // Another dump may follow in the same file: it begins anew.
        self.sums.remove(reporter);
        self.batch.add_contribution((&reporter.into(), kind), &total);
        Ok(())
    }

    /// Takes over how far a source was read, if that is not known here.
    fn take_position(
        &mut self,
        source: Cow<'_, str>,
        reached: Vec<u8>,
    ) -> Result<(), LoadError<T::Error>> {
        let known = match &mut self.known_sources {
            Some(known) => known,
            unasked => {
                let known = self.taker.positions("").map_err(LoadError::Taker)?;
                unasked.insert(known.into_iter().collect())
            }
        };
        let source = source.into_owned();
        if source.starts_with(PREFIX) {
            let Some(theirs) = read_places(&reached) else {
                let why = "`reached` is no list of places in dumps that were loaded".to_owned();
                return Err(LoadError::Line(BadLine { line: self.line + 1, column: 1, why }));
            };
            if source == self.name {
                self.places.unite(theirs);
            } else {
                let ours = known.get(&source).map(|list| read_places(list));
                let ours = ours.unwrap_or_else(|| Some(Vec::new()));
                let all = ours.ok_or_else(|| LoadError::Memory(source.clone()))?;
                let mut places = Places { all, ..Places::default() };
                places.unite(theirs);
                self.batch.reach(source, places.to_bytes());
            }
            self.loaded.positions += 1;
        } else if known.contains_key(&source) {
            self.loaded.known_positions += 1;
        } else {
            known.insert(source.clone(), Vec::new());
            self.batch.reach(source, reached);
            self.loaded.positions += 1;
        }
        Ok(())
    }

    /// Commits what there is, with the place up to which it goes.
    fn commit(&mut self) -> Result<(), LoadError<T::Error>> {
        if self.safe.length() == self.committed {
            return Ok(());
        }
        let sums = self.sums.iter().map(|(reporter, sums)| (reporter.to_string(), *sums));
        self.places.reach(Place {
            offset: self.safe.length(),
            hash: self.safe.digits(),
            reporters: sums.collect(),
        });
        self.batch.reach(self.name.as_str(), self.places.to_bytes());
        self.taker.commit(&self.batch).map_err(LoadError::Taker)?;
        self.batch = Batch::default();
        self.batch_lines = 0;
        self.committed = self.safe.length();
        Ok(())
    }
}

impl Places {
    /// Says how far this load has come.
    fn reach(&mut self, place: Place) {
        if let Some(own) = self.own.and_then(|own| self.all.get_mut(own)) {
            *own = place;
            return;
        }
        self.all.push(place);
        self.forget_oldest();
        self.own = self.all.len().checked_sub(1);
    }

    /// Adds what another ledger remembers. All of it is true here, too, once its content is taken in.
    fn unite(&mut self, theirs: Vec<Place>) {
        let own =
            self.own.take().and_then(|own| (own < self.all.len()).then(|| self.all.remove(own)));
        for place in theirs {
            let same = |known: &Place| (known.offset, &known.hash) == (place.offset, &place.hash);
            if !self.all.iter().any(same) {
                self.all.push(place);
            }
        }
        if let Some(own) = own {
            self.all.push(own);
            self.own = self.all.len().checked_sub(1);
        }
        self.forget_oldest();
        self.own = self.own.map(|_| self.all.len().saturating_sub(1));
    }

    fn forget_oldest(&mut self) {
        let surplus = self.all.len().saturating_sub(PLACES);
        self.all.drain(..surplus);
    }

    fn to_bytes(&self) -> Vec<u8> {
        // Plain values always have a form in JSON.
        serde_json::to_vec(&self.all).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

//! Lines in, batches out: what following a log and learning an old one have in common.
//!
//! A learner belongs to one log; where several hosts send to it, each has open sessions of its own here, under a
//! source of its own. It gives each line to the reader, keeps the observations that are to
//! be learned in a batch, and counts all of it. The record it stores with a batch is where the source
//! stands *and* the state of the sessions still open there, so that a kill in the middle of a session
//! changes nothing:
//!
//! ```text
//! record = version:u8 (1)  length:u32 big-endian  position (source::Position)  state (Reader::save)
//! ```
//!
//! Not learned, and counted: what shows no name, users who log in and mail that a filter gives back, clients that
//! are our own (`own`), observations from the future
//! (`future_tolerance`), and those from before 1995, which is where the clock of a machine without a battery
//! starts (1970) and long before any log that is kept: one wrong clock must not freeze or expire what others
//! saw, nor make a newcomer old.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use helostat_zones::ledger::Batch;
use helostat_zones::observation::{Outcome, Reporter, ReporterKind};
use helostat_zones::time::Time;
use ipnet::IpNet;
use jiff::tz::TimeZone;

use crate::fate::{Fate, LineReading, Program};
use crate::heard::{Apart, Heard};
use crate::hint::Taken;
use crate::ours::Ours;
use crate::reader::{FormatChoice, Reader};
use crate::unread::{Sample, Samples};

const RECORD_VERSION: u8 = 1;
/// 1995-01-01T00:00:00Z: what says that it is from before was stamped by a clock that was never set.
pub const PLAUSIBLE_PAST: Time = Time(788_918_400);

/// What to learn from one log, and as whom.
#[derive(Clone, Debug)]
pub struct Learning {
    /// Which program's lines to expect.
    pub format: FormatChoice,
    /// Whose observations they are.
    pub reporter: Reporter,
    /// What sort of mail that reporter sees.
    pub reporter_kind: ReporterKind,
    /// The zone of stamps that do not say theirs.
    pub zone: TimeZone,
    /// Learn users who log in as if they were servers.
    pub logins: bool,
    /// How many samples to keep of each kind of line that cannot be read.
    pub samples: usize,
    /// Clients that are our own relays: never learned.
    pub own: Vec<IpNet>,
    /// By which signs refusals are known that our own answers caused.
    pub ours: Ours,
    /// How far ahead of now an observation may be.
    pub future_tolerance: Duration,
    /// No observation may be from before; [`PLAUSIBLE_PAST`], unless everything is to be seen.
    pub earliest: Time,
}

impl Learning {
    /// Why this is not to be learned; nothing later than `limit` is.
    pub fn set_aside(&self, heard: &Heard, limit: Time) -> Option<SetAside> {
        match heard.apart {
            Some(Apart::Login) if !self.logins => return Some(SetAside::Login),
            Some(Apart::Reinjected) => return Some(SetAside::Reinjected),
            _ => {}
        }
        if self.own.iter().any(|prefix| prefix.contains(&heard.ip)) {
            return Some(SetAside::Own);
        }
        if heard.time > limit {
            return Some(SetAside::Future);
        }
        if heard.time < self.earliest {
            return Some(SetAside::Past);
        }
        heard.name.is_none().then_some(SetAside::NoName)
    }

    /// A reader of what this log, or this sender to it, reports.
    fn reader(&self, reporter: Option<&Reporter>) -> Reader {
        let reporter = reporter.unwrap_or(&self.reporter).clone();
        Reader::new(self.format, reporter, self.zone.clone()).recognising(&self.ours)
    }
}

/// What became of the lines and observations of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines read.
    pub lines: u64,
    /// Lines by `Program::index` and `Fate::index`.
    fates: [[u64; Fate::ALL.len()]; Program::ALL.len()],
    /// Lines that were not understood or ambiguous, by why.
    pub unread: BTreeMap<&'static str, u64>,
    /// Observations learned, by `Outcome::index`.
    observations: [u64; Outcome::ALL.len()],
    /// Observations not learned, by why.
    pub set_aside: BTreeMap<&'static str, u64>,
    /// Messages of strangers that were taken, by program.
    pub taken: BTreeMap<Program, Taken>,
    /// Sessions that were closed before their end, because too many were open.
    pub closed_early: u64,
    /// Some of the lines that could not be read.
    pub samples: Vec<Sample>,
}

impl Tally {
    /// Adds another tally to this one.
    pub fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        for (sums, more) in self.fates.iter_mut().flatten().zip(other.fates.iter().flatten()) {
            *sums += more;
        }
        sum(&mut self.unread, &other.unread);
        for (sum, more) in self.observations.iter_mut().zip(other.observations) {
            *sum += more;
        }
        sum(&mut self.set_aside, &other.set_aside);
        for (program, taken) in &other.taken {
            self.taken.entry(*program).or_default().add(*taken);
        }
        self.closed_early += other.closed_early;
        self.samples.extend_from_slice(&other.samples);
    }

    /// Counts a line.
    fn line(&mut self, reading: LineReading) {
        self.lines += 1;
        if let Some(count) = self
            .fates
            .get_mut(reading.program.index())
            .and_then(|fates| fates.get_mut(reading.fate.index()))
        {
            *count += 1;
        }
        if matches!(reading.fate, Fate::Ambiguous | Fate::NotUnderstood) {
            *self.unread.entry(reading.why.unwrap_or("unknown")).or_default() += 1;
        }
    }

    /// Lines by program and fate, those that occurred.
    pub fn fates(&self) -> impl Iterator<Item = (Program, Fate, u64)> {
        Program::ALL.into_iter().zip(&self.fates).flat_map(|(program, fates)| {
            let counts = Fate::ALL.into_iter().zip(fates);
            counts.filter(|(_, n)| **n > 0).map(move |(fate, n)| (program, fate, *n))
        })
    }

    /// Observations by outcome, those that occurred.
    pub fn outcomes(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL.into_iter().zip(self.observations).filter(|(_, n)| *n > 0)
    }

    /// Observations learned.
    pub fn learned(&self) -> u64 {
        self.observations.iter().sum()
    }
}

fn sum<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, n) in from {
        *into.entry(key.clone()).or_default() += n;
    }
}

/// Why an observation is not learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAside {
    /// The log does not show what the client said.
    NoName,
    /// A user who logs in, or a service for users.
    Login,
    /// A content filter gave the mail back.
    Reinjected,
    /// Its client is our own.
    Own,
    /// Some clock is ahead.
    Future,
    /// Some clock was never set.
    Past,
}

impl SetAside {
    /// Each.
    pub const ALL: [Self; 6] =
        [Self::NoName, Self::Login, Self::Reinjected, Self::Own, Self::Future, Self::Past];

    /// The word for it in output and labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoName => "no-name",
            Self::Login => "login",
            Self::Reinjected => "reinjected",
            Self::Own => "own",
            Self::Future => "future",
            Self::Past => "before-1995",
        }
    }
}

/// A stored record cannot be used: the source is read from where the position says, or anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored position of a log cannot be read: {0}")]
pub struct RecordError(String);

/// Turns the lines of one log into batches.
pub struct Learner {
    learning: Learning,
    /// Whose lines come now.
    sender: Sender,
    /// The other senders, by their sources.
    others: HashMap<String, Sender>,
    batch: Batch,
    tally: Tally,
    fresh: Vec<Heard>,
    samples: Samples,
    only_looking: bool,
}

/// One of those who send to a log, with its open sessions. Most logs have only one.
struct Sender {
    /// Its source and what is stored as its position, if there are several.
    place: Option<(String, Vec<u8>)>,
    reader: Reader,
    /// What the reader had counted of sessions closed early at the last commit.
    closed_early: u64,
    /// Heard since the last commit.
    heard: bool,
}

impl Sender {
    fn new(place: Option<(String, Vec<u8>)>, reader: Reader) -> Self {
        Self { place, closed_early: reader.closed_early(), reader, heard: false }
    }

    fn is_at(&self, source: &str, position: &[u8]) -> bool {
        self.place.as_ref().is_some_and(|place| place.0 == source && place.1 == position)
    }
}

impl Learner {
    /// A learner at the beginning of a log.
    pub fn new(learning: Learning) -> Self {
        let samples = Samples::of_each(learning.samples);
        Self {
            sender: Sender::new(None, learning.reader(None)),
            others: HashMap::new(),
            learning,
            batch: Batch::default(),
            tally: Tally::default(),
            fresh: Vec::new(),
            samples,
            only_looking: false,
        }
    }

    /// The same learner for who only looks at what was heard: nothing is gathered for a ledger.
    pub fn only_looking(mut self) -> Self {
        self.only_looking = true;
        self
    }

    /// Samples of each kind of line that cannot be read may be kept once more.
    pub fn sample_again(&mut self) {
        self.samples.again();
    }

    /// Takes up the open sessions that a record holds; gives back its position.
    pub fn resume(&mut self, record: &[u8]) -> Result<Vec<u8>, RecordError> {
        let (position, state) = split_record(record)?;
        let reader = self.learning.reader(None).restore(state);
        let reader = reader.map_err(|error| RecordError(error.to_string()))?;
        self.sender = Sender::new(None, reader);
        Ok(position.to_vec())
    }

    /// Whether the sender that is stored as `source`, with this position, is known here.
    pub fn has_sender(&self, source: &str, position: &[u8]) -> bool {
        let known = self.others.get(source).is_some_and(|sender| sender.is_at(source, position));
        known || self.sender.is_at(source, position)
    }

    /// Turns to the lines of another sender, which is stored as `source` with this position. If it is not known
    /// yet, its sessions are those in `record`, and it takes the place of whoever was stored as `source` before:
    /// what was open there ends, at the latest `now`. If the record cannot be read, nothing is open.
    pub fn turn_to(
        &mut self,
        source: &str,
        position: &[u8],
        reporter: Option<&Reporter>,
        record: Option<&[u8]>,
        now: Time,
    ) -> Result<(), RecordError> {
        if self.sender.is_at(source, position) {
            return Ok(());
        }
        let mut restored = Ok(());
        let known = self.others.remove(source).or_else(|| {
            // Who speaks now may itself have to make room.
            let place = self.sender.place.as_ref();
            place.is_some_and(|place| place.0 == source).then(|| {
                let nobody = Sender::new(None, self.learning.reader(None));
                std::mem::replace(&mut self.sender, nobody)
            })
        });
        let next = match known {
            Some(sender) if sender.is_at(source, position) => sender,
            known => {
                if let Some(gone) = known {
                    self.end(gone, now);
                }
                let place = Some((source.to_owned(), position.to_vec()));
                let reader = self.learning.reader(reporter);
                let taken_up = record.map_or(Ok(None), |record| {
                    let (_, state) = split_record(record)?;
                    let reader = self.learning.reader(reporter).restore(state);
                    reader.map(Some).map_err(|error| RecordError(error.to_string()))
                });
                match taken_up {
                    Ok(taken_up) => Sender::new(place, taken_up.unwrap_or(reader)),
                    Err(error) => {
                        restored = Err(error);
                        Sender::new(place, reader)
                    }
                }
            }
        };
        let before = std::mem::replace(&mut self.sender, next);
        if let Some((source, _)) = &before.place {
            self.others.insert(source.clone(), before);
        }
        restored
    }

    /// Forgets a sender: its open sessions end.
    fn end(&mut self, mut sender: Sender, now: Time) {
        self.tally.closed_early += sender.reader.closed_early() - sender.closed_early;
        self.tally.closed_early += sender.reader.open_sessions() as u64;
        sender.reader.close(&mut self.fresh);
        self.keep_fresh(Program::Other, now);
        self.fresh.clear();
    }

    /// Goes on with the open sessions of another log, or with none; gives back those of the log so far.
    pub fn exchange(&mut self, reader: Option<Reader>) -> Reader {
        self.tally.closed_early += self.sender.reader.closed_early() - self.sender.closed_early;
        let next = reader.unwrap_or_else(|| self.learning.reader(None));
        self.sender.closed_early = next.closed_early();
        std::mem::replace(&mut self.sender.reader, next)
    }

    /// Reads one line. `latest` is the newest moment it can be from, `now` the clock.
    pub fn line(&mut self, line: &[u8], latest: Time, now: Time) -> &[Heard] {
        self.sender.heard = true;
        let reading = self.sender.reader.read(line, latest, &mut self.fresh);
        self.tally.line(reading);
        if reading.why.is_some() {
            self.samples.see(line, reading);
        }
        if self.fresh.is_empty() {
            return &[];
        }
        self.keep_fresh(reading.program, now)
    }

    /// Counts a line that was too long to be read.
    pub fn skip_long_line(&mut self) {
        self.tally.line(LineReading {
            program: Program::Other,
            fate: Fate::NotUnderstood,
            why: Some("too-long"),
        });
    }

    fn keep_fresh(&mut self, program: Program, now: Time) -> &[Heard] {
        let limit = now.after(self.learning.future_tolerance);
        for heard in &self.fresh {
            let why = self.learning.set_aside(heard, limit);
            if heard.outcome.is_accepted() && why.is_none_or(|why| why == SetAside::NoName) {
                let taken = self.tally.taken.entry(program).or_default();
                let count = if why.is_none() { &mut taken.named } else { &mut taken.unnamed };
                *count += 1;
            }
            if let Some(why) = why {
                *self.tally.set_aside.entry(why.word()).or_default() += 1;
                continue;
            }
            if let Some(count) = self.tally.observations.get_mut(heard.outcome.index()) {
                *count += 1;
            }
            if !self.only_looking
                && let Some(observation) = heard.observation()
            {
                self.batch.observe(&observation, self.learning.reporter_kind);
            }
        }
        &self.fresh
    }

    /// Forgets the observations of the last line; call it before the next one.
    pub fn clear(&mut self) {
        self.fresh.clear();
    }

    /// Observations waiting to be committed.
    pub fn pending(&self) -> u64 {
        self.batch.observations()
    }

    /// The batch so far with the record for `source`, which stands at `position`, and those of the other senders
    /// that were heard.
    pub fn batch_at(&mut self, source: &str, position: &[u8]) -> &mut Batch {
        self.batch.reach(source, record(position, &self.sender.reader.save()));
        for sender in self.others.values().filter(|sender| sender.heard) {
            if let Some((source, position)) = &sender.place {
                self.batch.reach(source, record(position, &sender.reader.save()));
            }
        }
        &mut self.batch
    }

    /// Puts it into the batch that `source` was left at `position`, while its open sessions go on in another file.
    pub fn leave(&mut self, source: &str, position: &[u8]) {
        self.batch.reach(source, record(position, &self.learning.reader(None).save()));
    }

    /// The same, out of our hands: for who commits it elsewhere. [`Learner::committed`] is still to be called.
    pub fn take_batch(&mut self, source: &str, position: &[u8]) -> Batch {
        self.batch_at(source, position);
        std::mem::take(&mut self.batch)
    }

    /// Starts a new batch after a commit; gives back what was counted since the last one.
    pub fn committed(&mut self) -> Tally {
        self.batch = Batch::default();
        for sender in self.others.values_mut().chain([&mut self.sender]) {
            let closed_early = sender.reader.closed_early();
            self.tally.closed_early += closed_early - sender.closed_early;
            sender.closed_early = closed_early;
            sender.heard = false;
        }
        self.tally.samples = self.samples.take();
        std::mem::take(&mut self.tally)
    }

    /// Closes every session still open, as if its client had gone away: there will be no more lines.
    pub fn close(&mut self, now: Time) -> &[Heard] {
        self.sender.reader.close(&mut self.fresh);
        self.keep_fresh(Program::Other, now)
    }
}

/// A position and the session state as they are stored.
pub fn record(position: &[u8], state: &[u8]) -> Vec<u8> {
    let length = u32::try_from(position.len()).unwrap_or(u32::MAX);
    let mut record = Vec::with_capacity(5 + position.len() + state.len());
    record.push(RECORD_VERSION);
    record.extend_from_slice(&length.to_be_bytes());
    record.extend_from_slice(position);
    record.extend_from_slice(state);
    record
}

/// The position and the session state in a record.
pub fn split_record(record: &[u8]) -> Result<(&[u8], &[u8]), RecordError> {
    let Some((&version, rest)) = record.split_first() else {
        return Err(RecordError("it is empty".into()));
    };
    if version != RECORD_VERSION {
        return Err(RecordError(format!(
            "it has version {version}, this program knows {RECORD_VERSION}"
        )));
    }
    rest.split_first_chunk::<4>()
        .and_then(|(length, rest)| rest.split_at_checked(u32::from_be_bytes(*length) as usize))
        .ok_or_else(|| RecordError("it is cut short".into()))
}

//! Lines in, batches out: what following a log and learning an old one have in common.
//!
//! A learner belongs to one log. It gives each line to the reader, keeps the observations that are to
//! be learned in a batch, and counts all of it. The record it stores with a batch is where the source
//! stands *and* the state of the sessions still open there, so that a kill in the middle of a session
//! changes nothing:
//!
//! ```text
//! record = version:u8 (1)  length:u32 big-endian  position (source::Position)  state (Reader::save)
//! ```
//!
//! Not learned, and counted: clients that are our own (`own`), observations from the future
//! (`future_tolerance`), and those from before 1995, which is where the clock of a machine without a battery
//! starts (1970) and long before any log that is kept: one wrong clock must not freeze or expire what others
//! saw, nor make a newcomer old.

use std::collections::BTreeMap;
use std::time::Duration;

use helostat_zones::ledger::Batch;
use helostat_zones::observation::{Observation, Reporter, ReporterKind};
use helostat_zones::time::Time;
use ipnet::IpNet;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::fate::{Fate, Program};
use crate::ours::Ours;
use crate::reader::{FormatChoice, Reader};

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
    /// Clients that are our own relays: never learned.
    pub own: Vec<IpNet>,
    /// By which signs refusals are known that our own answers caused.
    pub ours: Ours,
    /// How far ahead of now an observation may be.
    pub future_tolerance: Duration,
    /// No observation may be from before; [`PLAUSIBLE_PAST`], unless everything is to be seen.
    pub earliest: Time,
}

/// What became of the lines and observations of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Lines read.
    pub lines: u64,
    /// Lines by program and fate.
    pub fates: BTreeMap<(&'static str, &'static str), u64>,
    /// Lines that were not understood or ambiguous, by why.
    pub unread: BTreeMap<&'static str, u64>,
    /// Observations learned, by outcome.
    pub observations: BTreeMap<&'static str, u64>,
    /// Observations not learned, by why.
    pub set_aside: BTreeMap<&'static str, u64>,
    /// Sessions that were closed before their end, because too many were open.
    pub closed_early: u64,
}

impl Tally {
    /// Adds another tally to this one.
    pub fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        sum(&mut self.fates, &other.fates);
        sum(&mut self.unread, &other.unread);
        sum(&mut self.observations, &other.observations);
        sum(&mut self.set_aside, &other.set_aside);
        self.closed_early += other.closed_early;
    }

    /// Observations learned.
    pub fn learned(&self) -> u64 {
        self.observations.values().sum()
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
    /// Its client is our own.
    Own,
    /// Some clock is ahead.
    Future,
    /// Some clock was never set.
    Past,
}

impl SetAside {
    /// Each.
    pub const ALL: [Self; 3] = [Self::Own, Self::Future, Self::Past];

    /// The word for it in output and labels.
    pub fn word(self) -> &'static str {
        match self {
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
    reader: Reader,
    batch: Batch,
    tally: Tally,
    fresh: Vec<Observation>,
    /// What the reader had counted of sessions closed early at the last commit.
    closed_early: u64,
}

impl Learner {
    /// A learner at the beginning of a log.
    pub fn new(learning: Learning) -> Self {
        let reader = Reader::new(learning.format, learning.reporter.clone(), learning.zone.clone())
            .recognising(&learning.ours);
        Self {
            learning,
            reader,
            batch: Batch::default(),
            tally: Tally::default(),
            fresh: Vec::new(),
            closed_early: 0,
        }
    }

    /// Takes up the open sessions that a record holds; gives back its position.
    pub fn resume(&mut self, record: &[u8]) -> Result<Vec<u8>, RecordError> {
        let (position, state) = split_record(record)?;
        self.reader = Reader::restore(
            self.learning.format,
            self.learning.reporter.clone(),
            self.learning.zone.clone(),
            state,
        )
        .map_err(|error| RecordError(error.to_string()))?
        .recognising(&self.learning.ours);
        self.closed_early = self.reader.closed_early();
        Ok(position.to_vec())
    }

    /// Reads one line. `latest` is the newest moment it can be from, `now` the clock.
    pub fn line(&mut self, line: &[u8], latest: Time, now: Time) -> &[Observation] {
        let reading = self.reader.read(line, latest, &mut self.fresh);
        self.tally.lines += 1;
        *self.tally.fates.entry((reading.program.word(), reading.fate.word())).or_default() += 1;
        if matches!(reading.fate, Fate::Ambiguous | Fate::NotUnderstood) {
            *self.tally.unread.entry(reading.why.unwrap_or("unknown")).or_default() += 1;
        }
        self.keep_fresh(now)
    }

    /// Counts a line that was too long to be read.
    pub fn skip_long_line(&mut self) {
        self.tally.lines += 1;
        *self
            .tally
            .fates
            .entry((Program::Other.word(), Fate::NotUnderstood.word()))
            .or_default() += 1;
        *self.tally.unread.entry("too-long").or_default() += 1;
    }

    fn keep_fresh(&mut self, now: Time) -> &[Observation] {
        let limit = now.after(self.learning.future_tolerance);
        let (own, tally) = (&self.learning.own, &mut self.tally);
        self.fresh.retain(|observation| {
            let why = if own.iter().any(|prefix| prefix.contains(&observation.ip)) {
                SetAside::Own
            } else if observation.time > limit {
                SetAside::Future
            } else if observation.time < self.learning.earliest {
                SetAside::Past
            } else {
                return true;
            };
            *tally.set_aside.entry(why.word()).or_default() += 1;
            false
        });
        for observation in &self.fresh {
            *self.tally.observations.entry(observation.outcome.word()).or_default() += 1;
            self.batch.observe(observation, self.learning.reporter_kind);
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

    /// The batch so far with the record for `source`, which stands at `position`.
    pub fn batch_at(&mut self, source: &str, position: &[u8]) -> &mut Batch {
        let state = self.reader.save();
        let length = u32::try_from(position.len()).unwrap_or(u32::MAX);
        let mut record = Vec::with_capacity(5 + position.len() + state.len());
        record.push(RECORD_VERSION);
        record.extend_from_slice(&length.to_be_bytes());
        record.extend_from_slice(position);
        record.extend_from_slice(&state);
        self.batch.reach(source, record);
        &mut self.batch
    }

    /// Starts a new batch after a commit; gives back what was counted since the last one.
    pub fn committed(&mut self) -> Tally {
        self.batch = Batch::default();
        let closed_early = self.reader.closed_early();
        self.tally.closed_early = closed_early - self.closed_early;
        self.closed_early = closed_early;
        std::mem::take(&mut self.tally)
    }

    /// Closes every session still open, as if its client had gone away: there will be no more lines.
    pub fn close(&mut self, now: Time) -> &[Observation] {
        self.reader.close(&mut self.fresh);
        self.keep_fresh(now)
    }
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

//! Runs one log into a sink: follows it for ever, or learns it once.
//!
//! Each followed log (a file, a journal, what other hosts send) has a thread of its own that calls [`follow`]. A
//! batch is committed when the log has no more lines for now, when it has gathered `commit_interval`, or when it is
//! full, whichever comes first; lines that teach nothing move the stored position once a second, or as often as
//! batches if they cannot be had again. A sink that fails
//! (disk full, daemon gone) keeps the batch waiting here and is tried again every second, so nothing
//! is lost and nothing is read twice; meanwhile the log is not read on.
//!
//! The clock is read here, and only here in this crate: for how late a batch is, for the years of
//! stamps that have none, and to set aside observations from the future.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use helostat_zones::ledger::Batch;
use helostat_zones::name::Name;
use helostat_zones::time::Time;

use crate::fate::Program;
use crate::heard::Heard;
use crate::hint::{self, Taken};
use crate::learner::{Learner, Learning, PLAUSIBLE_PAST, Tally, split_record};
use crate::metrics::Metrics;
use crate::old::Nothing;
use crate::reader::Reader;
use crate::sink::{Sink, SinkError};
use crate::source::{History, Positions, Source, SourceError, Step};
use crate::unread::Sample;

/// How long to sleep when a log has nothing new: the share of the answer's age that is ours.
const NAP: Duration = Duration::from_millis(20);
/// How often a position is stored when the lines read taught nothing.
const POSITION_INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait before a failed commit is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Observations older than this are history: nobody is about to ask for them.
const RECENT: Duration = Duration::from_secs(3600);
/// How often at most samples of each kind of unreadable line are told.
const SAMPLES_INTERVAL: Duration = Duration::from_secs(600);
/// A log whose newest observations are older than this, and which has more to read, is behind.
const BEHIND: Duration = Duration::from_secs(60);
/// How often it is said that a log is behind.
const BEHIND_INTERVAL: Duration = Duration::from_secs(600);
/// At most this many pairs of a batch are told to `Watcher::seen`.
const SEEN_MAX: usize = 1000;

/// How batches are cut.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// How long observations may gather.
    pub interval: Duration,
    /// The most observations in a batch.
    pub observations: u64,
}

/// Who wants to know what happens here.
pub trait Watcher: Send + Sync {
    /// Fresh pairs were committed.
    fn seen(&self, pairs: &[(IpAddr, Name)]);
    /// Something is wrong: a sentence.
    fn trouble(&self, log: &str, what: &str);
    /// The last trouble of this log is over.
    fn mended(&self, log: &str);
    /// A line of it could not be read: told of a few.
    fn unread(&self, log: &str, sample: &Sample);
    /// It hides the names of the mail it tells of: what to do about it, in a sentence.
    fn hides_names(&self, log: &str, what: &str);
    /// The log was read to its end for the first time.
    fn caught_up(&self, log: &str);
    /// What is read of the log is older than a minute, and this many octets of it wait. Told when it begins and every
    /// ten minutes while it lasts.
    fn behind(&self, _log: &str, _octets: u64, _age: Duration) {}
    /// It no longer is.
    fn no_longer_behind(&self, _log: &str) {}
}

/// The sources that the logs of one ledger lead to. Two logs that begin with the same line, and are both new, must not
/// take the same id for it: each sees here what the others took and have not stored yet.
#[derive(Clone, Default)]
pub struct InUse(Arc<Mutex<IdsInUse>>);

/// Each source's id, with the log that leads to it.
type IdsInUse = HashMap<String, String>;

/// How to follow a source.
pub struct Followed {
    /// Its place among the configured logs: a label of metrics.
    pub label: String,
    /// What to learn from it.
    pub learning: Learning,
    /// How to cut batches.
    pub batching: Batching,
    /// Shared by all logs of the ledger.
    pub in_use: InUse,
}

/// Follows a log until `stop`. What was read is committed before it returns.
pub fn follow(
    log: &Followed,
    source: &mut dyn Source,
    sink: &dyn Sink,
    watcher: &dyn Watcher,
    metrics: &Metrics,
    stop: &AtomicBool,
) {
    let mut run = Run::new(log, sink, watcher, metrics, stop);
    if !source.is_lasting() {
        run.position_interval = log.batching.interval;
    }
    let mut told_caught_up = false;
    while !(stop.load(Ordering::Relaxed) && source.finish()) {
        let latest = run.latest;
        match source.next(&run.stored) {
            Step::Line(line) => run.line(line.bytes, line.too_long, latest),
            Step::NewSource => {
                if let Some((_, position)) = source.previous() {
                    run.place(position);
                    run.commit();
                }
                run.enter(source);
                // Known from now on: if it is rotated before its first batch, it is still looked for.
                run.place(source.position());
                run.store();
                run.latest = now();
            }
            Step::NewSender => run.turn_to_sender(source),
            Step::OtherFile => run.turn_to_file(source),
            Step::Trouble(trouble) => {
                run.trouble(&trouble.to_string());
                source.wait(NAP);
            }
            Step::Idle | Step::End => {
                run.place(source.position());
                run.commit_when_idle();
                run.waits(0);
                // A trouble that lasts is an idle step, too: such a log was not read to its end.
                if !told_caught_up && !run.in_trouble && source.is_at_end() {
                    told_caught_up = true;
                    watcher.caught_up(&log.label);
                }
                source.wait(NAP);
                run.latest = now();
            }
        }
        run.stored.named(source);
        if run.is_due() {
            run.place(source.position());
            run.commit();
            run.waits(source.lag_bytes());
            run.latest = now();
        }
    }
    run.place(source.position());
    run.commit();
}

/// The state of following one log.
struct Run<'a> {
    log: &'a Followed,
    sink: &'a dyn Sink,
    watcher: &'a dyn Watcher,
    metrics: &'a Metrics,
    stop: &'a AtomicBool,
    stored: Stored<'a>,
    learner: Learner,
    source: Option<String>,
    position: Option<Vec<u8>>,
    /// How often a position is stored when the lines read taught nothing.
    position_interval: Duration,
    /// Where it is stored to which source the log led whose lines come now.
    memory: Option<String>,
    /// The open sessions of the other logs of a set, by where that is stored.
    readers: HashMap<String, Reader>,
    /// True until the first source is entered.
    at_start: bool,
    seen: Vec<(IpAddr, Name)>,
    lines: u64,
    since: Instant,
    latest: Time,
    in_trouble: bool,
    /// The time of the newest observation committed.
    newest: Option<Time>,
    /// When it was last said that the log is behind.
    behind: Option<Instant>,
    /// Since when samples of unreadable lines are kept.
    sampled: Instant,
    /// Messages that were taken, since the start.
    taken: BTreeMap<Program, Taken>,
}

impl<'a> Run<'a> {
    fn new(
        log: &'a Followed,
        sink: &'a dyn Sink,
        watcher: &'a dyn Watcher,
        metrics: &'a Metrics,
        stop: &'a AtomicBool,
    ) -> Self {
        Self {
            log,
            sink,
            watcher,
            metrics,
            stop,
            stored: Stored { log: Some(log), ..Stored::new(sink) },
            learner: Learner::new(log.learning.clone()),
            source: None,
            position: None,
            position_interval: POSITION_INTERVAL,
            memory: None,
            readers: HashMap::new(),
            at_start: true,
            seen: Vec::new(),
            lines: 0,
            since: Instant::now(),
            latest: now(),
            in_trouble: false,
            newest: None,
            behind: None,
            sampled: Instant::now(),
            taken: BTreeMap::new(),
        }
    }

    /// From now on lines come from another source. Open sessions go on in it, since they span a
    /// rotation; only at the start there are none yet, and they are taken up from the newest record of
    /// this log, whichever file it was that it led to then.
    fn enter(&mut self, source: &dyn Source) {
        self.mended();
        self.source = source.id().map(str::to_owned);
        self.position = None;
        self.memory = source.memory();
        if std::mem::take(&mut self.at_start) {
            self.take_up(source.id().filter(|_| source.resumed()));
        }
    }

    /// From now on lines come from another file. Where the one before was left goes into the batch. If both are
    /// pieces of one log, its open sessions go on and are stored with the new one only; if not, those of each log wait here
    /// and are stored with the file that was left.
    fn turn_to_file(&mut self, source: &dyn Source) {
        self.mended();
        let memory = source.memory();
        let Some((id, position)) = source.previous() else { return };
        if memory == self.memory {
            self.learner.leave(id, &position);
        } else {
            let batch = self.learner.batch_at(id, &position);
            if let Some(memory) = &self.memory {
                batch.reach(memory, id.as_bytes().to_vec());
            }
        }
        self.stored.waiting.borrow_mut().insert(id.to_owned(), position);
        (self.source, self.position) = (source.id().map(str::to_owned), Some(source.position()));
        if memory == self.memory {
            return;
        }
        let known = memory.as_ref().and_then(|memory| self.readers.remove(memory));
        let is_known = known.is_some();
        let before = self.learner.exchange(known);
        if let Some(left) = std::mem::replace(&mut self.memory, memory) {
            self.readers.insert(left, before);
        }
        if !is_known {
            self.take_up(source.id().filter(|_| source.resumed()));
        }
    }

    /// Takes up the sessions of the newest record of this log; if it has none, those stored with source `id`.
    fn take_up(&mut self, id: Option<&str>) {
        let Some(id) = self.last_source().or_else(|| id.map(str::to_owned)) else { return };
        let taken_up = self.record(&id).and_then(|record| {
            let Some(record) = record else { return Ok(()) };
            self.learner.resume(&record).map(|_| ()).map_err(|error| error.to_string())
        });
        if let Err(error) = taken_up {
            self.watcher.trouble(&self.log.label, &error);
        }
    }

    /// From now on lines come from this sender of the source. What is open of the one before is stored with the
    /// next batch, too.
    fn turn_to_sender(&mut self, source: &dyn Source) {
        let Some(id) = source.id() else { return };
        let position = source.position();
        let record = if source.resumed() && !self.learner.has_sender(id, &position) {
            self.record(id)
        } else {
            Ok(None)
        };
        let turned = record.and_then(|record| {
            let turned = self.learner.turn_to(
                id,
                &position,
                source.reporter(),
                record.as_deref(),
                self.latest,
            );
            turned.map_err(|error| error.to_string())
        });
        if let Err(error) = turned {
            self.watcher.trouble(&self.log.label, &error);
        }
        (self.source, self.position) = (Some(id.to_owned()), Some(position));
    }

    /// The record stored under exactly this name.
    fn record(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let stored = self.sink.positions(name).map_err(|error| error.to_string())?;
        Ok(stored.into_iter().find(|(source, _)| source == name).map(|(_, record)| record))
    }

    /// The source that this log's path led to when it was last committed.
    fn last_source(&self) -> Option<String> {
        let record = self.record(self.memory.as_deref()?).ok()??;
        String::from_utf8(record).ok()
    }

    fn trouble(&mut self, what: &str) {
        if !self.in_trouble {
            self.in_trouble = true;
            self.metrics.unreadable.inc();
        }
        self.watcher.trouble(&self.log.label, what);
    }

    fn mended(&mut self) {
        if self.in_trouble {
            self.in_trouble = false;
            self.metrics.unreadable.dec();
            self.watcher.mended(&self.log.label);
        }
    }

    fn line(&mut self, bytes: &[u8], too_long: bool, latest: Time) {
        self.mended();
        if self.lines == 0 {
            self.since = Instant::now();
        }
        self.lines += 1;
        if too_long {
            self.learner.skip_long_line();
            return;
        }
        let recent = latest.before(RECENT);
        let fresh = self.learner.line(bytes, latest, latest);
        for heard in fresh {
            if let Some(name) = heard.name.as_ref().filter(|name| name.is_fqdn())
                && heard.time >= recent
                && heard.apart.is_none()
                && self.seen.len() < SEEN_MAX
            {
                self.seen.push((heard.ip, name.clone()));
            }
        }
        self.learner.clear();
    }

    fn place(&mut self, position: Vec<u8>) {
        self.position = Some(position);
    }

    /// True if a batch is full or has gathered long enough. Asks the clock on few lines only.
    fn is_due(&self) -> bool {
        let pending = self.learner.pending();
        if pending >= self.log.batching.observations {
            return true;
        }
        self.lines > 0 && self.lines.is_multiple_of(256) && {
            let waited = self.since.elapsed();
            waited >= self.position_interval
                || (pending > 0 && waited >= self.log.batching.interval)
        }
    }

    fn commit_when_idle(&mut self) {
        if self.learner.pending() > 0
            || (self.lines > 0 && self.since.elapsed() >= self.position_interval)
        {
            self.commit();
        }
    }

    /// Commits what was read, if anything was.
    fn commit(&mut self) {
        if self.lines > 0 {
            self.store();
        }
    }

    /// Commits what was read and how far, trying until it works or the program ends.
    fn store(&mut self) {
        let (Some(source), Some(position)) = (&self.source, &self.position) else { return };
        let mut failed = false;
        loop {
            let begun = Instant::now();
            let batch = self.learner.batch_at(source, position);
            if let Some(memory) = &self.memory {
                batch.reach(memory, source.clone().into_bytes());
            }
            let newest = batch.newest();
            match self.sink.commit(batch) {
                Ok(()) => {
                    self.metrics.commits.inc();
                    self.metrics.commit_seconds.observe(begun.elapsed().as_secs_f64());
                    self.newest = newest.or(self.newest);
                    if let Some(newest) = newest {
                        let seconds = i64::from(newest.0);
                        self.metrics.lag.set(i64::from(now().0) - seconds);
                        if seconds > self.metrics.newest.get() {
                            self.metrics.newest.set(seconds);
                        }
                    }
                    break;
                }
                Err(error) => {
                    self.metrics.commit_failures.inc();
                    if !failed {
                        self.watcher.trouble(&self.log.label, &error.to_string());
                    }
                    failed = true;
                    if self.stop.load(Ordering::Relaxed) {
                        // Nothing is lost: the position was not stored either.
                        return;
                    }
                    std::thread::sleep(RETRY);
                }
            }
        }
        if failed {
            self.watcher.mended(&self.log.label);
        }
        let tally = self.learner.committed();
        count(self.metrics, &tally);
        self.tell(&tally);
        self.stored.waiting.borrow_mut().clear();
        self.lines = 0;
        if !self.seen.is_empty() {
            self.watcher.seen(&self.seen);
            self.seen.clear();
        }
    }
}

/// What the operator hears of, beside troubles.
impl Run<'_> {
    /// So many octets of the log wait to be read.
    fn waits(&mut self, octets: u64) {
        let gauge = self.metrics.behind.with_label_values(&[self.log.label.as_str()]);
        gauge.set(i64::try_from(octets).unwrap_or(i64::MAX));
        let age = self.newest.map_or(Duration::ZERO, |newest| now().since(newest));
        if octets == 0 || age < BEHIND {
            if self.behind.take().is_some() {
                self.watcher.no_longer_behind(&self.log.label);
            }
        } else if self.behind.is_none_or(|said| said.elapsed() >= BEHIND_INTERVAL) {
            self.behind = Some(Instant::now());
            self.watcher.behind(&self.log.label, octets, age);
        }
    }

    fn tell(&mut self, tally: &Tally) {
        for sample in &tally.samples {
            self.watcher.unread(&self.log.label, sample);
        }
        if self.sampled.elapsed() >= SAMPLES_INTERVAL {
            self.sampled = Instant::now();
            self.learner.sample_again();
        }
        for (&program, &taken) in &tally.taken {
            let sums = self.taken.entry(program).or_default();
            let before = hint::sentence(program, *sums);
            sums.add(taken);
            if let Some(sentence) = hint::sentence(program, *sums).filter(|_| before.is_none()) {
                self.watcher.hides_names(&self.log.label, &sentence);
            }
        }
    }
}

/// The stored positions of sources, as the sources want them: without our part of the record.
struct Stored<'a> {
    sink: &'a dyn Sink,
    /// Why the last question had no answer. A source then looks new, and must not be read as that.
    failed: RefCell<Option<SinkError>>,
    /// Positions that are in the batch not committed yet.
    waiting: RefCell<BTreeMap<String, Vec<u8>>>,
    /// The log that asks, if others may ask at the same time.
    log: Option<&'a Followed>,
    /// While it asks: nobody else may.
    asking: RefCell<Option<MutexGuard<'a, IdsInUse>>>,
}

impl<'a> Stored<'a> {
    fn new(sink: &'a dyn Sink) -> Self {
        Self {
            sink,
            failed: RefCell::new(None),
            waiting: RefCell::default(),
            log: None,
            asking: RefCell::default(),
        }
    }

    /// What was asked for has led to a source, or not.
    fn named(&self, source: &dyn Source) {
        let Some(mut in_use) = self.asking.take() else { return };
        if let (Some(id), Some(log)) = (source.id(), self.log) {
            in_use.insert(id.to_owned(), log.label.clone());
        }
    }
}

impl Positions for Stored<'_> {
    fn find(&self, fingerprint: &str) -> Vec<(String, Vec<u8>)> {
        let stored = self.sink.positions(fingerprint).unwrap_or_else(|error| {
            self.failed.replace(Some(error));
            Vec::new()
        });
        let mut positions: BTreeMap<String, Vec<u8>> = stored
            .into_iter()
            .filter_map(|(source, record)| {
                let (position, _) = split_record(&record).ok()?;
                let position = position.to_vec();
                Some((source, position))
            })
            .collect();
        let waiting = self.waiting.borrow();
        let waiting = waiting.iter().filter(|(source, _)| source.starts_with(fingerprint));
        positions.extend(waiting.map(|(source, position)| (source.clone(), position.clone())));
        if let Some(log) = self.log {
            let mut asking = self.asking.borrow_mut();
            let in_use = asking
                .get_or_insert_with(|| log.in_use.0.lock().unwrap_or_else(PoisonError::into_inner));
            let others = in_use.iter().filter(|(_, other)| **other != log.label);
            for (id, _) in others.filter(|(id, _)| id.starts_with(fingerprint)) {
                // Taken, but where it stands is not known here.
                positions.entry(id.clone()).or_default();
            }
        }
        positions.into_iter().collect()
    }
}

fn count(metrics: &Metrics, tally: &Tally) {
    for (program, fate, n) in tally.fates() {
        metrics.lines.with_label_values(&[program.word(), fate.word()]).inc_by(n);
    }
    for (outcome, n) in tally.outcomes() {
        metrics.observations.with_label_values(&[outcome.word()]).inc_by(n);
    }
    metrics.closed_early.inc_by(tally.closed_early);
    for (program, taken) in &tally.taken {
        for (ehlo, n) in [("shown", taken.named), ("hidden", taken.unnamed)] {
            metrics.taken.with_label_values(&[program.word(), ehlo]).inc_by(n);
        }
    }
    for (why, n) in &tally.set_aside {
        metrics.set_aside.with_label_values(&[why]).inc_by(*n);
    }
}

/// Why learning an old log ended early. What was committed before stays.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The log cannot be read, or not to its end.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Nothing was read: the daemon is at it.
    #[error("the daemon follows it and learns it by itself")]
    Followed,
    /// The ledger did not take a batch.
    #[error("{0}")]
    Sink(#[from] SinkError),
}

/// Learns a finished log from where it was last read. `progress` is told how many octets on disk are
/// read, now and then. Returns what was counted; lines read before are not among it.
///
/// What is open in `learner`, at the end of the piece of the log before this one, goes on here, unless something was
/// read of this one before: then what was open there is stored with it.
///
/// Batches are committed by a thread of their own, in order, while the next one is read.
pub fn learn(
    source: &mut History,
    learner: &mut Learner,
    batching: Batching,
    sink: &dyn Sink,
    progress: &mut dyn FnMut(u64),
) -> Result<Tally, LearnError> {
    std::thread::scope(|scope| {
        let (hand_over, batches) = sync_channel::<Batch>(0);
        let commits = scope.spawn(move || batches.iter().try_for_each(|batch| sink.commit(&batch)));
        let read = read_old(
            source,
            learner,
            batching,
            sink,
            &mut |batch| {
                // It has ended only if a commit failed, which is said below.
                hand_over.send(batch).is_ok()
            },
            progress,
        );
        drop(hand_over);
        match commits.join() {
            Ok(committed) => committed?,
            Err(fault) => std::panic::resume_unwind(fault),
        }
        read
    })
}

/// The reading half of [`learn`]; ends early when a batch is not taken.
fn read_old(
    source: &mut History,
    learner: &mut Learner,
    batching: Batching,
    sink: &dyn Sink,
    hand_over: &mut dyn FnMut(Batch) -> bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Tally, LearnError> {
    let stored = Stored::new(sink);
    let mut total = Tally::default();
    let now = now();
    let mut id = None;
    let mut lines = 0u64;
    let latest = latest(source, now);
    loop {
        match source.next(&stored)? {
            Step::Line(line) => {
                lines += 1;
                if line.too_long {
                    learner.skip_long_line();
                } else {
                    learner.line(line.bytes, latest, now);
                    learner.clear();
                }
            }
            Step::NewSource => {
                if let Some(error) = stored.failed.take() {
                    return Err(error.into());
                }
                id = source.id().map(str::to_owned);
                if let Some(id) = &id
                    && sink.is_followed(id)?
                {
                    return Err(LearnError::Followed);
                }
                if let Some(id) = id.as_deref().filter(|_| source.resumed())
                    && let Some((_, record)) =
                        sink.positions(id)?.into_iter().find(|(source, _)| source == id)
                {
                    // A record that cannot be read costs the open sessions, not the position.
                    learner.resume(&record).ok();
                }
            }
            Step::NewSender | Step::OtherFile | Step::Idle | Step::Trouble(_) => {}
            Step::End => break,
        }
        if learner.pending() >= batching.observations {
            if let Some(id) = &id
                && !hand_over(learner.take_batch(id, &source.position().to_bytes()))
            {
                return Ok(total);
            }
            total.add(&learner.committed());
        }
        if lines.is_multiple_of(4096) {
            progress(source.read_bytes());
        }
    }
    if let Some(id) = &id {
        hand_over(learner.take_batch(id, &source.position().to_bytes()));
    }
    total.add(&learner.committed());
    progress(source.read_bytes());
    Ok(total)
}

/// The newest moment that a finished log can be from: when it was written last, unless whoever copied it says
/// that this was before there were such logs.
fn latest(source: &History, now: Time) -> Time {
    source.modified().filter(|modified| *modified >= PLAUSIBLE_PAST).unwrap_or(now)
}

/// Hands each line of a finished log to `each`, with the newest moment it can be from, and now and then tells `progress` how
/// many octets were read. Lines too long to be read are passed over.
pub fn lines(
    source: &mut History,
    each: &mut dyn FnMut(&[u8], Time),
    progress: &mut dyn FnMut(u64),
) -> Result<(), SourceError> {
    let latest = latest(source, now());
    let mut lines = 0u64;
    loop {
        match source.next(&Nothing)? {
            Step::Line(line) => {
                lines += 1;
                if !line.too_long {
                    each(line.bytes, latest);
                }
            }
            Step::End => return Ok(()),
            Step::NewSource | Step::NewSender | Step::OtherFile | Step::Idle | Step::Trouble(_) => {
            }
        }
        if lines.is_multiple_of(4096) {
            progress(source.read_bytes());
        }
    }
}

/// A learner for [`observe`]. Observations of our own clients and those with a wrong clock are given too: this is for
/// looking, not for learning.
pub fn onlooker(learning: &Learning) -> Learner {
    Learner::new(Learning {
        own: Vec::new(),
        future_tolerance: Duration::MAX,
        earliest: Time::default(),
        ..learning.clone()
    })
    .only_looking()
}

/// Reads a finished log and gives every observation to `each`; touches no ledger. What is open at its end stays open
/// in `learner`, for the next piece of the log; [`observe_end`] is for after the last one.
pub fn observe(
    source: &mut History,
    learner: &mut Learner,
    each: &mut dyn FnMut(&Heard) -> std::io::Result<()>,
) -> Result<Tally, ObserveError> {
    let now = now();
    let mut total = Tally::default();
    let latest = latest(source, now);
    loop {
        match source.next(&Nothing)? {
            Step::Line(line) if line.too_long => learner.skip_long_line(),
            Step::Line(line) => {
                for observation in learner.line(line.bytes, latest, now) {
                    each(observation)?;
                }
                learner.clear();
            }
            Step::End => break,
            Step::NewSource | Step::NewSender | Step::OtherFile | Step::Idle | Step::Trouble(_) => {
            }
        }
    }
    total.add(&learner.committed());
    Ok(total)
}

/// Gives what is still open to `each`, as if every client had gone away.
pub fn observe_end(
    learner: &mut Learner,
    each: &mut dyn FnMut(&Heard) -> std::io::Result<()>,
) -> std::io::Result<Tally> {
    for observation in learner.close(now()) {
        each(observation)?;
    }
    learner.clear();
    Ok(learner.committed())
}

/// Why looking at a log ended early.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The log cannot be read, or not to its end.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The observations could not be handed out.
    #[error(transparent)]
    Out(#[from] std::io::Error),
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

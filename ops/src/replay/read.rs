//! Reads logs for a replay: files in, a [`Reel`] out, with everything that was passed over counted.
//!
//! All that `helostat learn` reads is read, by the same rules: which lines make an observation, what is set aside (no
//! name shown, logins, mail that a filter gives back, our own clients, wrong clocks), pieces of one log as one, a copy
//! of what was read before not once more. A line that is not understood costs itself and is counted, and the first of
//! each kind is told with file, line and, in a table, column. Files that cannot be read, or of which not one line is
//! understood, are errors.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use helostat_ingest::column_at_fault;
use helostat_ingest::fate::{Fate, LineReading, Program};
use helostat_ingest::heard::Heard;
use helostat_ingest::hint::{self, Taken};
use helostat_ingest::learner::{self, Learning, PLAUSIBLE_PAST, SetAside};
use helostat_ingest::old::OldLog;
use helostat_ingest::reader::Reader;
use helostat_ingest::source::{History, Positions, SourceError, Step, names};
use helostat_ingest::unread::{Sample, Samples};
use helostat_zones::time::Time;

use super::reel::{Reel, TooMany};

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// The mail.
    pub reel: Reel,
    /// What became of the lines.
    pub counts: Counts,
    /// How far each source was read, as a ledger stores it.
    pub records: Vec<(String, Vec<u8>)>,
}

/// What became of the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files read.
    pub files: usize,
    /// Lines read.
    pub lines: u64,
    /// Lines that were not understood or ambiguous, by why.
    pub unread: BTreeMap<&'static str, u64>,
    /// What was heard and is not played, by why.
    pub set_aside: BTreeMap<&'static str, u64>,
    /// What the operator should hear: sentences.
    pub notes: Vec<String>,
}

/// Why the logs cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be read, or not to its end.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is something else.
    #[error(
        "{place}: this is no mail log and no table of observations: not one of its {lines} lines was understood (first: {why}){help}"
    )]
    Nothing {
        /// File, line and column.
        place: String,
        /// How many lines it has.
        lines: u64,
        /// Why the first was not understood.
        why: &'static str,
        /// What may help.
        help: &'static str,
    },
    /// The numbers do not reach.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// What is said of a table without a proper heading.
const HEADING_HELP: &str = "; a table's first line must name its columns, at least t, ip and helo";

/// Reads `files`, in their order; of messages of one second those of the first of `named` come first. `progress` is
/// told how many octets on disk were read, and of which file.
pub fn read(
    files: &[OldLog],
    named: &[PathBuf],
    learning: &Learning,
    now: Time,
    progress: &mut dyn FnMut(u64, &Path),
) -> Result<Read, ReadError> {
    let mut all = Read::default();
    let logs = logs_of(files, named, &mut all.reel);
    let mut pieces: HashMap<&Path, usize> = HashMap::new();
    for file in files {
        *pieces.entry(&file.log).or_default() += 1;
    }
    let known = Known::default();
    let mut readers = HashMap::new();
    let mut before = 0;
    for file in files {
        let reader = readers.remove(&file.log).unwrap_or_else(|| {
            Reader::new(learning.format, learning.reporter.clone(), learning.zone.clone())
                .recognising(&learning.ours)
        });
        let mut run = Run {
            learning,
            log: logs.get(&file.log).copied().unwrap_or_default(),
            all: &mut all,
            latest_allowed: now.after(learning.future_tolerance),
            reader,
            fresh: Vec::new(),
            taken: BTreeMap::new(),
            faults: Faults::new(&file.path, learning.samples),
            understood: false,
            lines: 0,
        };
        let source = run.file(&file.path, now, &known, &mut |octets| {
            progress(before + octets, &file.path);
        })?;
        before += file.bytes.unwrap_or_default();
        let left = pieces.get_mut(file.log.as_path());
        let is_last = left.is_none_or(|left| {
            *left -= 1;
            *left == 0
        });
        if is_last {
            run.close()?;
        }
        let (reader, record) = run.end(source)?;
        all.records.extend(record);
        readers.insert(file.log.clone(), reader);
        all.counts.files += 1;
    }
    let unsorted = all.reel.sort();
    for (path, _) in logs.iter().filter(|(_, log)| unsorted.contains(log)) {
        let note = format!("{}: not in the order of time, was sorted", path.display());
        all.counts.notes.push(note);
    }
    all.counts.notes.sort();
    Ok(all)
}

/// The number of each log in the reel, in the order in which they were named.
fn logs_of(files: &[OldLog], named: &[PathBuf], reel: &mut Reel) -> HashMap<PathBuf, usize> {
    let rank = |file: &OldLog| {
        let is_it = |name: &PathBuf| {
            *name == file.path || (names::is_pattern(name) && names::matches(name, &file.path))
        };
        named.iter().position(is_it).unwrap_or(usize::MAX)
    };
    let mut ranked: Vec<_> = files.iter().map(|file| (rank(file), &file.log)).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut logs = HashMap::new();
    for (_, log) in ranked {
        logs.entry(log.clone()).or_insert_with(|| reel.begin_log());
    }
    logs
}

/// What was read before in this run, under whatever name.
#[derive(Default)]
struct Known(RefCell<BTreeMap<String, Vec<u8>>>);

impl Positions for Known {
    fn find(&self, fingerprint: &str) -> Vec<(String, Vec<u8>)> {
        let known = self.0.borrow();
        let found = known.range(fingerprint.to_owned()..);
        let found = found.take_while(|(id, _)| id.starts_with(fingerprint));
        found.map(|(id, position)| (id.clone(), position.clone())).collect()
    }
}

/// The reading of one file.
struct Run<'a> {
    learning: &'a Learning,
    log: usize,
    all: &'a mut Read,
    latest_allowed: Time,
    reader: Reader,
    fresh: Vec<Heard>,
    taken: BTreeMap<Program, Taken>,
    faults: Faults,
    understood: bool,
    lines: u64,
}

/// The id of a source and where it was left.
type Left = Option<(String, Vec<u8>)>;

impl Run<'_> {
    fn file(
        &mut self,
        path: &Path,
        now: Time,
        known: &Known,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Left, ReadError> {
        let mut source = History::open(path)?;
        let latest = source.modified().filter(|modified| *modified >= PLAUSIBLE_PAST);
        let latest = latest.unwrap_or(now);
        let mut id = None;
        loop {
            match source.next(known)? {
                Step::Line(line) => {
                    self.lines += 1;
                    let reading = if line.too_long {
                        LineReading {
                            program: Program::Other,
                            fate: Fate::NotUnderstood,
                            why: Some("too-long"),
                        }
                    } else {
                        self.reader.read(line.bytes, latest, &mut self.fresh)
                    };
                    self.line(line.bytes, reading)?;
                }
                Step::NewSource => id = source.id().map(str::to_owned),
                Step::End => break,
                Step::NewSender | Step::OtherFile | Step::Idle | Step::Trouble(_) => {}
            }
            if self.lines.is_multiple_of(4096) {
                progress(source.read_bytes());
            }
        }
        if source.skipped_bytes() > 0 && self.lines == 0 {
            let note = format!("{}: the same was read before, nothing new", path.display());
            self.all.counts.notes.push(note);
        }
        progress(source.read_bytes());
        let left = id.map(|id| (id, source.position().to_bytes().to_vec()));
        if let Some((id, position)) = &left {
            known.0.borrow_mut().insert(id.clone(), position.clone());
        }
        Ok(left)
    }

    fn line(&mut self, line: &[u8], reading: LineReading) -> Result<(), TooMany> {
        match reading.fate {
            Fate::Ambiguous | Fate::NotUnderstood => {
                let why = reading.why.unwrap_or("unknown");
                *self.all.counts.unread.entry(why).or_default() += 1;
                self.faults.see(self.lines, line, reading);
            }
            // Nobody's lines are passed over in any text.
            Fate::Irrelevant => self.understood |= reading.program != Program::Other,
            Fate::Observed | Fate::Session => self.understood = true,
        }
        if reading.program == Program::Csv && reading.fate == Fate::Irrelevant {
            self.faults.heading = line.to_vec();
        }
        if self.fresh.is_empty() { Ok(()) } else { self.keep_fresh(reading.program) }
    }

    fn keep_fresh(&mut self, program: Program) -> Result<(), TooMany> {
        for heard in self.fresh.drain(..) {
            let why = self.learning.set_aside(&heard, self.latest_allowed);
            if heard.outcome.is_accepted() && why.is_none_or(|why| why == SetAside::NoName) {
                let taken = self.taken.entry(program).or_default();
                let count = if why.is_none() { &mut taken.named } else { &mut taken.unnamed };
                *count += 1;
            }
            match why {
                Some(why) => *self.all.counts.set_aside.entry(why.word()).or_default() += 1,
                None => self.all.reel.add(self.log, &heard)?,
            }
        }
        Ok(())
    }

    /// Sessions that are open at the end of the log end with it.
    fn close(&mut self) -> Result<(), TooMany> {
        self.reader.close(&mut self.fresh);
        self.keep_fresh(Program::Other)
    }

    fn end(self, left: Left) -> Result<(Reader, Left), ReadError> {
        let Self { all, reader, taken, faults, understood, lines, .. } = self;
        all.counts.lines += lines;
        if !understood && let Some(first) = &faults.first {
            let comma_first = faults.first_line.contains(&b',');
            let help = if comma_first { HEADING_HELP } else { "" };
            return Err(ReadError::Nothing { place: first.0.clone(), lines, why: first.1, help });
        }
        let hints = taken.iter().filter_map(|(&program, &taken)| hint::sentence(program, taken));
        all.counts.notes.extend(hints);
        all.counts.notes.extend(faults.told());
        let record = left.map(|(id, position)| (id, learner::record(&position, &reader.save())));
        Ok((reader, record))
    }
}

/// Lines of one file that could not be read.
struct Faults {
    path: PathBuf,
    /// The heading in force, in a table.
    heading: Vec<u8>,
    first: Option<(String, &'static str)>,
    first_line: Vec<u8>,
    count: u64,
    asked: usize,
    samples: Samples,
    shown: Vec<String>,
}

impl Faults {
    fn new(path: &Path, asked: usize) -> Self {
        Self {
            path: path.to_owned(),
            heading: Vec::new(),
            first: None,
            first_line: Vec::new(),
            count: 0,
            asked,
            samples: Samples::of_each(asked),
            shown: Vec::new(),
        }
    }

    fn see(&mut self, number: u64, line: &[u8], reading: LineReading) {
        self.count += 1;
        let why = reading.why.unwrap_or("unknown");
        let place = || {
            let column = column_at_fault(&self.heading, why);
            let column = column.map_or_else(String::new, |column| format!(" column {column}"));
            format!("{} line {number}{column}", self.path.display())
        };
        if self.first.is_none() {
            self.first = Some((place(), why));
            self.first_line = line.to_vec();
        }
        self.samples.see(line, reading);
        for Sample { why, line, .. } in self.samples.take() {
            self.shown.push(format!("{}: {why}: {line}", place()));
        }
    }

    /// What the operator hears of it.
    fn told(self) -> Vec<String> {
        // Text that is no mail program's is in every syslog; a row of a table that is wrong is somebody's mistake.
        let Some((place, why)) = self.first.filter(|_| !self.heading.is_empty()) else {
            return self.shown;
        };
        if self.asked > 0 {
            return self.shown;
        }
        let more = match self.count {
            1 => String::new(),
            count => format!(", the first of {count} such lines; --unparsed 3 shows some"),
        };
        vec![format!("{place}: not understood ({why}){more}")]
    }
}

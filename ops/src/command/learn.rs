//! `helostat learn`: old logs into the ledger, with a bar and a summary.
//!
//! If the daemon runs it holds the ledger, so batches go to it; otherwise the ledger is opened here. A
//! file that was learned before, even under another name or compressed since, is taken up where it was
//! left, so learning twice does not count twice. A log that the running daemon follows is left to it: both
//! would read the same lines at once.
//!
//! Several files are read from the oldest to the newest, whatever order they are given in, and a session that
//! spans a rotation goes on in the next piece of its log.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use helostat_ingest::heard::Heard;
use helostat_ingest::hint;
use helostat_ingest::learner::{Learner, Learning, Tally};
use helostat_ingest::old::{self, OldLog};
use helostat_ingest::pipeline::{self, Batching, LearnError, ObserveError};
use helostat_ingest::sink::Sink;
use helostat_ingest::source::{History, names};
use helostat_ingest::unread::Sample;
use helostat_zones::ledger::{Ledger, Sizes};
use helostat_zones::observation::ReporterKind;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::cli::LearnArgs;
use crate::config::Config;
use crate::control::Daemon;
use crate::exit::{Exit, Failure};
use crate::settings::Lines;
use crate::{out, settings};

/// The least observations in a batch of old ones; a few megabytes.
const OLD_BATCH: u64 = 20_000;

/// Runs the command.
pub fn run(config: &Config, args: &LearnArgs) -> Result<(), Failure> {
    let learning = learning(config, args).map_err(|error| Failure::new(Exit::Usage, error))?;
    if args.to_json {
        return print_observations(&learning, args);
    }
    let files = in_order(args, &learning)?;
    let target = Target::open(config)?;
    let mut total = Tally::default();
    let bytes: Option<u64> = files.iter().map(|file| file.bytes).sum();
    let bar = progress_bar(Path::new(""), bytes);
    let mut before = 0;
    let mut learners = Learners::new(&files, || Learner::new(learning.clone()));
    for file in &files {
        if target.follows(config, &file.path) {
            let path = file.path.display();
            bar.suspend(|| out::note(format!("{path}: {}", LearnError::Followed)));
            continue;
        }
        let mut source = open(&file.path)?;
        bar.set_message(file.path.display().to_string());
        let mut learner = learners.take(file);
        let tally = pipeline::learn(
            &mut source,
            &mut learner,
            batching(config),
            target.sink(),
            &mut |bytes| bar.set_position(before + bytes),
        );
        before += file.bytes.unwrap_or_default();
        let tally = match tally {
            Ok(tally) => tally,
            Err(error @ LearnError::Followed) => {
                bar.suspend(|| out::note(format!("{}: {error}", file.path.display())));
                continue;
            }
            Err(error) => {
                bar.finish_and_clear();
                return Err(match error {
                    LearnError::Sink(error) => Failure::new(Exit::Ledger, error),
                    error => Failure::new(Exit::Input, error),
                });
            }
        };
        if tally.lines == 0 && source.skipped_bytes() > 0 {
            let path = file.path.display();
            bar.suspend(|| out::note(format!("{path}: learned before, nothing new")));
        }
        total.add(&tally);
        learners.put_back(file, learner);
    }
    bar.finish_and_clear();
    let sizes = target.finish()?;
    summary(&total, sizes, args)
}

fn learning(config: &Config, args: &LearnArgs) -> anyhow::Result<Learning> {
    let kind = args.reporter_kind.as_str();
    let Some(reporter_kind) = ReporterKind::of_word(kind) else {
        anyhow::bail!("'{kind}' is no reporter kind: mx, trap, submission or unfiltered")
    };
    let lines = Lines {
        format: args.format.parse()?,
        reporter: &args.reporter,
        reporter_kind,
        time_zone: args.time_zone.as_deref(),
    };
    Ok(Learning { samples: args.unparsed.unwrap_or(0), ..settings::learning(config, &lines)? })
}

/// The files to read, the oldest first.
fn in_order(args: &LearnArgs, learning: &Learning) -> Result<Vec<OldLog>, Failure> {
    old::in_order(&args.files, &learning.zone).map_err(|error| Failure::new(Exit::Input, error))
}

/// One learner for each log, from its first piece to its last: sessions go on from piece to piece.
struct Learners<'a> {
    make: Box<dyn Fn() -> Learner + 'a>,
    waiting: HashMap<PathBuf, Learner>,
    /// How many pieces of each log are still to be read.
    pieces: HashMap<PathBuf, usize>,
}

impl<'a> Learners<'a> {
    fn new(files: &[OldLog], make: impl Fn() -> Learner + 'a) -> Self {
        let mut pieces = HashMap::new();
        for file in files {
            *pieces.entry(file.log.clone()).or_default() += 1;
        }
        Self { make: Box::new(make), waiting: HashMap::new(), pieces }
    }

    /// The learner for the next piece.
    fn take(&mut self, file: &OldLog) -> Learner {
        if let Some(pieces) = self.pieces.get_mut(&file.log) {
            *pieces -= 1;
        }
        self.waiting.remove(&file.log).unwrap_or_else(|| (self.make)())
    }

    /// Keeps it for the piece after this one; gives it back if there is none.
    fn put_back(&mut self, file: &OldLog, learner: Learner) -> Option<Learner> {
        if self.pieces.get(&file.log).is_none_or(|pieces| *pieces == 0) {
            return Some(learner);
        }
        self.waiting.insert(file.log.clone(), learner);
        None
    }
}

fn open(path: &Path) -> Result<History, Failure> {
    History::open(path).map_err(|error| Failure::new(Exit::Input, error))
}

/// Where batches go.
pub(super) enum Target {
    Daemon(Daemon),
    Ledger(Arc<Ledger>),
}

impl Target {
    /// The daemon that holds the ledger, or the ledger.
    pub(super) fn open(config: &Config) -> Result<Self, Failure> {
        if let Some(daemon) = Daemon::of(&config.ledger.path) {
            let logs = config.logs.iter().map(|log| log.path.as_path());
            return Ok(Self::Daemon(daemon.following(logs)));
        }
        Ok(Self::Ledger(Arc::new(super::ledger::open(config)?)))
    }

    pub(super) fn sink(&self) -> &dyn Sink {
        match self {
            Self::Daemon(daemon) => daemon,
            Self::Ledger(ledger) => ledger,
        }
    }

    /// Whether the daemon follows a pattern that this file matches. What it follows by a plain name is known by its
    /// content, when it is read.
    fn follows(&self, config: &Config, path: &Path) -> bool {
        let patterns =
            || config.logs.iter().map(|log| &log.path).filter(|path| names::is_pattern(path));
        let named = [std::path::absolute(path).ok(), path.canonicalize().ok()];
        matches!(self, Self::Daemon(_))
            && named
                .iter()
                .flatten()
                .any(|path| patterns().any(|pattern| names::matches(pattern, path)))
    }

    /// Puts the ledger in order and says what it holds.
    pub(super) fn finish(&self) -> Result<Sizes, Failure> {
        match self {
            Self::Daemon(daemon) => Ok(serde_json::from_reader(daemon.get("/v1/ledger/stats")?)?),
            Self::Ledger(ledger) => {
                ledger.compact().map_err(|error| Failure::new(Exit::Ledger, error))?;
                Ok(ledger.sizes())
            }
        }
    }
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn progress_bar(path: &Path, total: Option<u64>) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let template = match total {
        Some(_) => "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
        None => "{msg} {spinner} {bytes} {bytes_per_sec}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(path.display().to_string());
    bar
}

fn summary(total: &Tally, sizes: Sizes, args: &LearnArgs) -> Result<(), Failure> {
    let fates: Vec<_> = total
        .fates()
        .map(|(program, fate, lines)| {
            json!({"program": program.word(), "fate": fate.word(), "lines": lines})
        })
        .collect();
    let outcomes: BTreeMap<&str, u64> =
        total.outcomes().map(|(outcome, n)| (outcome.word(), n)).collect();
    if args.json {
        return Ok(out::json(&json!({
            "lines": total.lines,
            "fates": fates,
            "not_understood": total.unread,
            "observations": total.learned(),
            "observations_by_outcome": outcomes,
            "set_aside": total.set_aside,
            "messages_taken": taken_json(total),
            "hints": hints(total),
            "unparsed": samples_json(total),
            "ledger": sizes,
        }))?);
    }
    out::line(format!("lines         {:>12}", total.lines))?;
    for (program, fate, lines) in total.fates() {
        out::line(format!("  {lines:>12}  {}: {fate}", program.word()))?;
    }
    out::line(format!("observations  {:>12}", total.learned()))?;
    for (outcome, n) in total.outcomes() {
        out::line(format!("  {n:>12}  {outcome}"))?;
    }
    for (why, n) in &total.set_aside {
        out::line(format!("  {n:>12}  set aside: {why}"))?;
    }
    let unread: u64 = total.unread.values().sum();
    out::line(format!("not read      {unread:>12}"))?;
    for (why, n) in &total.unread {
        out::line(format!("  {n:>12}  {why}"))?;
    }
    for sample in &total.samples {
        out::line(sample_line(sample))?;
    }
    for hint in hints(total) {
        out::note(hint);
    }
    out::line(format!(
        "the ledger now holds {}, {}, {}",
        out::count(sizes.clients, "client"),
        out::count(sizes.names, "name"),
        out::count(sizes.pairs, "pair"),
    ))?;
    Ok(())
}

/// Old logs are learned in larger batches than new lines: what comes often is folded once, and nobody waits for it.
fn batching(config: &Config) -> Batching {
    let batching = settings::batching(config);
    Batching { observations: batching.observations.max(OLD_BATCH), ..batching }
}

/// What the operator is to hear of logs that hide names.
fn hints(total: &Tally) -> Vec<String> {
    total.taken.iter().filter_map(|(&program, &taken)| hint::sentence(program, taken)).collect()
}

fn taken_json(total: &Tally) -> serde_json::Value {
    let taken = total.taken.iter().map(|(program, taken)| {
        let counts = json!({"ehlo_shown": taken.named, "ehlo_hidden": taken.unnamed});
        (program.word().to_owned(), counts)
    });
    serde_json::Value::Object(taken.collect())
}

/// A line that could not be read, for people.
fn sample_line(sample: &Sample) -> String {
    format!("  {} {} ({}): {}", sample.program.word(), sample.fate, sample.why, sample.line)
}

fn samples_json(total: &Tally) -> Vec<serde_json::Value> {
    let sample = |sample: &Sample| {
        json!({
            "program": sample.program.word(), "fate": sample.fate.word(), "why": sample.why,
            "line": sample.line,
        })
    };
    total.samples.iter().map(sample).collect()
}

/// `--to-json`: one observation a line, and no ledger is touched.
fn print_observations(learning: &Learning, args: &LearnArgs) -> Result<(), Failure> {
    let mut stdout = io::BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let files = in_order(args, learning)?;
    let mut learners = Learners::new(&files, || pipeline::onlooker(learning));
    let mut each = |heard: &Heard| writeln!(stdout, "{}", heard.to_json());
    for file in &files {
        let mut source = open(&file.path)?;
        let mut learner = learners.take(file);
        let seen = pipeline::observe(&mut source, &mut learner, &mut each);
        let mut tally = seen.map_err(|error| match error {
            ObserveError::Source(error) => Failure::new(Exit::Input, error),
            ObserveError::Out(error) => Failure::new(Exit::Failed, error),
        })?;
        if let Some(mut learner) = learners.put_back(file, learner) {
            let rest = pipeline::observe_end(&mut learner, &mut each);
            tally.add(&rest.map_err(|error| Failure::new(Exit::Failed, error))?);
        }
        for sample in &tally.samples {
            out::note(sample_line(sample));
        }
        for hint in hints(&tally) {
            out::note(hint);
        }
    }
    Ok(stdout.flush()?)
}

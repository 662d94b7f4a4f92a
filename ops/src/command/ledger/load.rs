//! `helostat ledger load`: dumps into the ledger, with a bar and a summary.
//!
//! If the daemon runs it holds the ledger, so batches go to it; otherwise the ledger is opened here. What
//! was taken in before is passed over, so an interrupted load is begun again with the same command. A
//! line that cannot be read ends it with its place, `FILE:LINE:COLUMN`.

use std::io::Read;
use std::path::Path;

use helostat_ingest::sink::{Sink, SinkError};
use helostat_ingest::source::{Whole, nameless_file};
use helostat_zones::ledger::load::{LoadError, Loaded, Source, Taker, load};
use helostat_zones::ledger::{Batch, Sizes};
use serde::Serialize;

use crate::cli::LoadArgs;
use crate::command::learn::{Target, progress_bar};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::out;

/// Runs the command.
pub fn run(config: &Config, args: &LoadArgs) -> Result<(), Failure> {
    // All of them first: a slip in a name is said before anything is taken in.
    let wholes = args.files.iter().map(|path| Ok((path.as_path(), open(path)?)));
    let wholes = wholes.collect::<Result<Vec<_>, Failure>>()?;
    let target = Target::open(config)?;
    let mut total = Loaded::default();
    for (path, whole) in &wholes {
        total.add(&take_in(path, whole, &target)?);
    }
    summary(&total, &target, args.json)
}

/// Opens a dump.
pub(super) fn open(path: &Path) -> Result<Whole, Failure> {
    Whole::open(path).map_err(|error| Failure::new(Exit::Input, error))
}

/// Takes a dump in.
pub(super) fn take_in(path: &Path, whole: &Whole, target: &Target) -> Result<Loaded, Failure> {
    let trouble = |error: &_| Failure::new(Exit::Input, whole.trouble(error));
    let bar = progress_bar(path, whole.total_bytes());
    let mut open = || whole.content().map(|content| -> Box<dyn Read> { content });
    let source = if whole.is_repeatable() {
        Source::Repeatable(&mut open)
    } else {
        let stream = open().map_err(|error| trouble(&error))?;
        Source::Stream { stream, keep: &nameless_file }
    };
    let done = load(source, &Sinking(target.sink()), &mut |_| bar.set_position(whole.read_bytes()));
    bar.finish_and_clear();
    told(path, done, &trouble)
}

/// What came of a load, in words; `trouble` says what an error while reading means.
pub(super) fn told(
    path: &Path,
    done: Result<Loaded, LoadError<SinkError>>,
    trouble: &dyn Fn(&std::io::Error) -> Failure,
) -> Result<Loaded, Failure> {
    let path = path.display();
    let loaded = done.map_err(|error| match error {
        LoadError::Read(error) => trouble(&error),
        LoadError::Line(line) => Failure::say(Exit::Input, format!("{path}:{line}")),
        LoadError::Taker(error) => Failure::new(Exit::Ledger, error),
        LoadError::Memory(source) => {
            let why = "what the ledger remembers of earlier loads cannot be read";
            Failure::say(Exit::Ledger, format!("{path}: {why} (position {source})"))
        }
    })?;
    if loaded.lines == 0 && loaded.skipped_lines > 0 {
        out::note(format!("{path}: loaded before, nothing new"));
    }
    Ok(loaded)
}

/// Lets a dump be loaded into whatever takes batches.
pub(super) struct Sinking<'a>(pub(super) &'a dyn Sink);

impl Taker for Sinking<'_> {
    type Error = SinkError;

    fn positions(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, SinkError> {
        self.0.positions(prefix)
    }

    fn commit(&self, batch: &Batch) -> Result<(), SinkError> {
        self.0.commit(batch)
    }
}

/// What was taken in, and what the ledger holds then.
#[derive(Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    loaded: &'a Loaded,
    ledger: Sizes,
}

/// Puts the ledger in order and says what came in.
pub(super) fn summary(loaded: &Loaded, target: &Target, json: bool) -> Result<(), Failure> {
    let ledger = target.finish()?;
    if json {
        return Ok(out::json(&Summary { loaded, ledger })?);
    }
    let Loaded {
        lines,
        pairs,
        clients,
        crowds,
        reporters,
        positions,
        known_positions,
        skipped_lines,
        bytes: _,
    } = loaded;
    for (what, n) in [
        ("lines", lines),
        ("  of pairs", pairs),
        ("  of clients", clients),
        ("  of crowds", crowds),
        ("  of reporters", reporters),
        ("  of positions", positions),
        ("positions known here", known_positions),
        ("loaded before", skipped_lines),
    ] {
        out::line(format!("{what:<20} {n:>12}"))?;
    }
    out::line(format!(
        "the ledger now holds {}, {}, {}",
        out::count(ledger.clients, "client"),
        out::count(ledger.names, "name"),
        out::count(ledger.pairs, "pair")
    ))?;
    Ok(())
}

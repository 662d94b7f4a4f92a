//! `helostat ledger merge`: adds what another ledger knows to this one.
//!
//! The other is a dump, a snapshot (by its first octets), or the folder of a ledger that nobody has open.
//! Snapshot and folder are opened and dumped, with positions, into the loader of `load`: so the same
//! state of the same ledger is taken in once, however it comes, and a merge that was interrupted goes on.
//! The dump goes through a pipe: the other ledger stands in memory once, as its own daemon would hold it.

use std::fs::File;
use std::io::{self, BufWriter, PipeReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use helostat_zones::ledger::load::{Source, load as load_dump};
use helostat_zones::ledger::{Ledger, StoreError, snapshot};

use super::load::{self, Sinking};
use crate::cli::MergeArgs;
use crate::command::learn::{Target, progress_bar};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::settings;

/// The first octets of a snapshot.
const SNAPSHOT: &[u8] = b"helosnap";
/// How much of a dump is handed on at once.
const PIECE_BYTES: usize = 64 << 10;

/// Runs the command.
pub fn run(config: &Config, args: &MergeArgs) -> Result<(), Failure> {
    let path = args.other.as_path();
    if is_same(path, &config.ledger.path) {
        let what = format!("{} is the ledger itself: name another one", path.display());
        return Err(Failure::say(Exit::Usage, what));
    }
    let Some(other) = open_other(config, path)? else {
        let dump = load::open(path)?;
        let target = Target::open(config)?;
        let loaded = load::take_in(path, &dump, &target)?;
        return load::summary(&loaded, &target, args.json);
    };
    let target = Target::open(config)?;
    let bar = progress_bar(path, None);
    let mut open = || dump_of(&other);
    let taker = Sinking(target.sink());
    let done = load_dump(Source::Repeatable(&mut open), &taker, &mut |n| bar.set_position(n));
    bar.finish_and_clear();
    let trouble = |error: &io::Error| {
        Failure::say(Exit::Failed, format!("reading {}: {error}", path.display()))
    };
    let loaded = load::told(path, done, &trouble)?;
    load::summary(&loaded, &target, args.json)
}

fn is_same(a: &Path, b: &Path) -> bool {
    let (a, b) = (a.canonicalize(), b.canonicalize());
    a.is_ok_and(|a| b.is_ok_and(|b| a == b))
}

/// Opens what is a ledger; nothing if it is a dump, or not there.
fn open_other(config: &Config, path: &Path) -> Result<Option<Arc<Ledger>>, Failure> {
    // Its own bounds are not known. What it forgot by them is forgotten; ours decide at the end anyway.
    let bounds = settings::bounds(config);
    let opened = if path.is_dir() {
        if !path.join("db").exists() {
            let what = format!("{} is no ledger: there is no db in it", path.display());
            return Err(Failure::say(Exit::Input, what));
        }
        Ledger::open(path, bounds)
    } else if is_snapshot(path) {
        snapshot::File::open(path).and_then(|file| Ledger::with_store(Box::new(file), bounds))
    } else {
        return Ok(None);
    };
    let ledger = opened.map_err(|error: StoreError| Failure::new(Exit::Ledger, error))?;
    Ok(Some(Arc::new(ledger)))
}

fn is_snapshot(path: &Path) -> bool {
    // What is no file would lose what is read here.
    if !path.is_file() {
        return false;
    }
    let mut first = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(SNAPSHOT.len() as u64).read_to_end(&mut first));
    read.is_ok() && first == SNAPSHOT
}

/// The dump of a ledger, written while it is read.
fn dump_of(ledger: &Arc<Ledger>) -> io::Result<Box<dyn Read>> {
    let (reader, writer) = io::pipe()?;
    let ledger = Arc::clone(ledger);
    let writer = std::thread::spawn(move || {
        ledger.dump(&mut BufWriter::with_capacity(PIECE_BYTES, writer), true)
    });
    Ok(Box::new(Dump { reader, writer: Some(writer) }))
}

/// The reader's end. Its end is only good if the writer came to it.
struct Dump {
    reader: PipeReader,
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl Read for Dump {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(room)?;
        if read == 0
            && !room.is_empty()
            && let Some(writer) = self.writer.take()
        {
            writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))?;
        }
        Ok(read)
    }
}

//! `helostat ledger snapshot`: writes a copy of the ledger into a folder, in one file.
//!
//! In goes a folder, out comes where the file is and how long it is. A daemon that runs takes a snapshot into
//! the ledger's own folder, where it may write, and learns on meanwhile; it is copied from there with the
//! rights of who asks, and checked where it arrives. The daemon's answer begins at once and comes with blanks
//! while it works, so that nobody takes it for dead. Without a daemon the ledger is opened here.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use helostat_zones::ledger::{Ledger, StoreError, snapshot, snapshots_of};
use serde::{Deserialize, Serialize};

use crate::cli::SnapshotArgs;
use crate::config::Config;
use crate::control::Daemon;
use crate::exit::{Exit, Failure};
use crate::out;
use crate::snapshots::Keeper;

/// How often a daemon that is at it says so.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The file.
    pub file: PathBuf,
    /// Its length in octets.
    pub bytes: u64,
}

/// What a daemon answers, after any number of blanks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Written(Written),
    Failed(String),
}

/// Runs the command.
pub fn run(config: &Config, args: &SnapshotArgs) -> Result<(), Failure> {
    let directory = &args.directory;
    let written = match Daemon::of(&config.ledger.path) {
        Some(daemon) => fetch(config, ask_daemon(&daemon)?, directory)?,
        None => {
            let ledger = super::open_existing(config)?;
            let bar = out::bar("shards");
            let written = write(&ledger, directory, &mut |done, of| {
                bar.set_length(of.into());
                bar.set_position(done.into());
                ControlFlow::Continue(())
            });
            bar.finish_and_clear();
            written.map_err(|error| Failure::new(Exit::Ledger, error))?
        }
    };
    if args.json {
        return Ok(out::json(&written)?);
    }
    Ok(out::line(format!("{}: {} octets", written.file.display(), written.bytes))?)
}

/// Writes a snapshot.
pub fn write(
    ledger: &Ledger,
    directory: &Path,
    progress: &mut dyn FnMut(u16, u16) -> ControlFlow<()>,
) -> Result<Written, StoreError> {
    let file = ledger.snapshot(directory, progress)?;
    // It was there a moment ago.
    let bytes = file.metadata().map_or(0, |data| data.len());
    Ok(Written { file, bytes })
}

/// Takes a snapshot and tells whoever asked, with blanks until it is done. Ends when nobody listens.
pub fn answer(keeper: &Keeper, to: &mut dyn Write) -> io::Result<()> {
    let mut told = Instant::now();
    let mut left = Ok(());
    let written = keeper.take(&mut |_, _| {
        if told.elapsed() >= SIGN_OF_LIFE {
            told = Instant::now();
            left = to.write_all(b" ").and_then(|()| to.flush());
        }
        if left.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    left?;
    let answer = match written {
        Ok(written) => Answer::Written(written),
        Err(error) => Answer::Failed(error.to_string()),
    };
    Ok(serde_json::to_writer(to, &answer)?)
}

fn ask_daemon(daemon: &Daemon) -> Result<Written, Failure> {
    let mut body = Vec::new();
    daemon.post("/v1/ledger/snapshot", &[])?.read_to_end(&mut body)?;
    match serde_json::from_slice(&body)? {
        Answer::Written(written) => Ok(written),
        Answer::Failed(why) => Err(Failure::say(Exit::Ledger, format!("the daemon says: {why}"))),
    }
}

/// Copies what the daemon wrote to where it is wanted.
fn fetch(config: &Config, written: Written, directory: &Path) -> Result<Written, Failure> {
    let own = snapshots_of(&config.ledger.path);
    if directory.canonicalize().ok() == own.canonicalize().ok() {
        return Ok(written);
    }
    let file = snapshot::copy_into(&written.file, directory)
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    if config.ledger.snapshot_interval.is_zero() {
        // None are to be kept there.
        std::fs::remove_file(&written.file)?;
    }
    Ok(Written { file, ..written })
}

//! What the daemon, and `repair`, do with a ledger that is damaged.
//!
//! What is done without asking, so that mail is judged at night, too: a database that sled cannot open, or that
//! lost its newest commits (the faults it is known for), is set aside and rebuilt from the newest snapshot
//! that is whole, or empty if there is none, and the followed logs are read on from there. It is said as an
//! error, it is a warning of `/healthz`, and `helostat_ledger_rescued` counts it, over restarts too, until
//! somebody removes what was set aside. Nothing is deleted.
//!
//! What is left to the operator: a single record that our own checksums find damaged, an error of the disk, or
//! another layout. Then nothing is changed and the daemon ends with exit code 3. So it does when
//! [`RESCUES_MAX`] databases were set aside already: that is a disk that fails, and rebuilding on it would go on
//! until it is full.

use std::fmt;
use std::path::{Path, PathBuf};

use helostat_zones::ledger::rescue::{self, Rebuilt, Restored};
use helostat_zones::ledger::{Bounds, Ledger, StoreError};
use helostat_zones::time::Time;
use serde::Serialize;

use crate::command::ledger::unusable;
use crate::exit::{Exit, Failure};

/// How many databases may lie set aside before the daemon does not rebuild by itself any more.
pub const RESCUES_MAX: usize = 3;

/// What became of a damaged ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rescue {
    /// What was wrong.
    pub why: String,
    /// Where the damaged database is now.
    pub set_aside: Option<PathBuf>,
    /// The snapshot that was taken; none: the ledger is empty.
    pub snapshot: Option<PathBuf>,
    /// Newer snapshots that could not be taken.
    pub unusable: Vec<Unusable>,
    /// Records brought back.
    pub records: u64,
    /// Their octets.
    pub octets: u64,
    /// Clients that are known again.
    pub clients: usize,
    /// Their pairs.
    pub pairs: usize,
    /// The newest observation that is known again.
    pub newest: Option<Time>,
    /// Commits that are gone, unless the logs still tell them; none: nobody knows how many.
    pub commits_missing: Option<u64>,
}

/// A snapshot that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unusable {
    /// Where it is now.
    pub file: PathBuf,
    /// Why not.
    pub why: String,
}

/// Opens the daemon's ledger, whatever sled did to it.
pub fn open(path: &Path, bounds: Bounds) -> Result<Ledger, Failure> {
    // Twice: sled's panics have other causes than damage, too, and a rescue goes back in time.
    let error = match Ledger::open(path, bounds).or_else(|error| again(path, bounds, error)) {
        Ok(ledger) => return Ok(ledger),
        Err(error) if error.is_of_database() => error,
        Err(error) => return Err(unusable(error)),
    };
    let before = rescue::told(path).len();
    if before >= RESCUES_MAX {
        return Err(Failure::say(
            Exit::Ledger,
            format!(
                "{error}; {before} damaged databases were set aside here already, so the disk may be at fault: look at it, remove the folders db.damaged-*, and start again or use `helostat ledger repair`"
            ),
        ));
    }
    tracing::error!("{error}; it is set aside and rebuilt from the newest snapshot");
    let (ledger, rescue) = rebuild(path, bounds, &error.to_string())?;
    tracing::error!("{rescue}");
    Ok(ledger)
}

/// Opens a ledger once more if the first time told of the database as a whole.
fn again(path: &Path, bounds: Bounds, error: StoreError) -> Result<Ledger, StoreError> {
    if !error.is_of_database() {
        return Err(error);
    }
    tracing::warn!("{error}; trying again");
    Ledger::open(path, bounds)
}

/// Sets a ledger aside, rebuilds it, and writes down what came back.
pub fn rebuild(path: &Path, bounds: Bounds, why: &str) -> Result<(Ledger, Rescue), Failure> {
    let failed = |error: StoreError| Failure::new(Exit::Ledger, error);
    let when = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let rebuilt = rescue::rebuild(path, &when).map_err(failed)?;
    let ledger = Ledger::open(path, bounds).map_err(failed)?;
    let rescue = Rescue::of(why, rebuilt, &ledger);
    if let Some(aside) = &rescue.set_aside
        && let Err(error) = rescue::tell(aside, &rescue.to_string())
    {
        tracing::warn!("writing into {}: {error}", aside.display());
    }
    Ok((ledger, rescue))
}

/// What lies set aside in a ledger's folder, each as a sentence.
pub fn told(path: &Path) -> Vec<String> {
    let sentence = |(aside, told): (PathBuf, String)| {
        if !told.is_empty() {
            return told;
        }
        format!(
            "a damaged ledger was set aside to {}; nothing is known of what came back",
            aside.display()
        )
    };
    rescue::told(path).into_iter().map(sentence).collect()
}

impl Rescue {
    fn of(why: &str, rebuilt: Rebuilt, ledger: &Ledger) -> Self {
        let Rebuilt { set_aside, snapshot, unusable, restored } = rebuilt;
        let Restored { records, octets, last: _, missing } = restored;
        let sizes = ledger.sizes();
        Self {
            why: why.to_owned(),
            set_aside,
            snapshot,
            unusable: unusable.into_iter().map(|(file, why)| Unusable { file, why }).collect(),
            records,
            octets,
            clients: sizes.clients,
            pairs: sizes.pairs,
            newest: ledger.newest(),
            commits_missing: missing,
        }
    }
}

impl fmt::Display for Rescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ledger was rescued ({})", self.why)?;
        match &self.snapshot {
            Some(file) => write!(
                f,
                ": {} clients with {} pairs came back from {}",
                self.clients,
                self.pairs,
                file.display()
            )?,
            None => f.write_str(": there was no snapshot, it began again EMPTY")?,
        }
        if let Some(newest) = self.newest {
            write!(f, ", learned up to {newest}")?;
        }
        match self.commits_missing {
            Some(0) => f.write_str("; no commit is missing")?,
            Some(n) => write!(
                f,
                "; {n} commits after that are missing, and learned again as far as the followed logs still tell them"
            )?,
            None => f.write_str(
                "; how many commits are missing is not known; they are learned again as far as the followed logs still tell them",
            )?,
        }
        for Unusable { file, why } in &self.unusable {
            write!(f, "; a newer snapshot could not be used, now {} ({why})", file.display())?;
        }
        match &self.set_aside {
            Some(aside) => {
                write!(
                    f,
                    "; what was damaged is in {}: remove it when all is well",
                    aside.display()
                )
            }
            None => Ok(()),
        }
    }
}

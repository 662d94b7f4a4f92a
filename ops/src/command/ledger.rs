//! `helostat ledger`: looking into the ledger and changing it, by asking its daemon, or by opening it if none
//! runs.

pub mod forget;
pub mod load;
pub mod merge;
pub mod repair;
pub mod snapshot;
pub mod stats;
pub mod verify;

use std::io;

use helostat_zones::ledger::{Ledger, StoreError, hand_over, rescue};

use crate::cli::{DumpArgs, LedgerCommand};
use crate::config::Config;
use crate::control::Daemon;
use crate::exit::{Exit, Failure};
use crate::settings;

/// Runs the command.
pub fn run(config: &Config, command: &LedgerCommand) -> Result<(), Failure> {
    let done = dispatch(config, command);
    if Daemon::of(&config.ledger.path).is_none() {
        // Root works on the ledger of a daemon that is another user.
        hand_over(&config.ledger.path);
    }
    done
}

fn dispatch(config: &Config, command: &LedgerCommand) -> Result<(), Failure> {
    match command {
        LedgerCommand::Dump(args) => dump(config, *args),
        LedgerCommand::Forget(args) => forget::run(config, args),
        LedgerCommand::Load(args) => load::run(config, args),
        LedgerCommand::Merge(args) => merge::run(config, args),
        LedgerCommand::Stats(args) => stats::run(config, *args),
        LedgerCommand::Snapshot(args) => snapshot::run(config, args),
        LedgerCommand::Verify(args) => verify::run(config, args),
        LedgerCommand::Repair(args) => repair::run(config, *args),
    }
}

/// Opens the ledger of the configuration; a failure has the code for it.
pub fn open(config: &Config) -> Result<Ledger, Failure> {
    Ledger::open(&config.ledger.path, settings::bounds(config)).map_err(unusable)
}

/// The ledger cannot be used: why, and what to do if it is damaged.
pub fn unusable(error: StoreError) -> Failure {
    match error {
        StoreError::Damaged { .. } => Failure::say(
            Exit::Ledger,
            format!(
                "{error}; `helostat ledger verify` tells how far it goes, `helostat ledger repair` rebuilds it from the newest snapshot"
            ),
        ),
        error => Failure::new(Exit::Ledger, error),
    }
}

/// Opens the ledger only if there is one: looking must not create it.
pub fn open_existing(config: &Config) -> Result<Ledger, Failure> {
    check_exists(config)?;
    open(config)
}

fn check_exists(config: &Config) -> Result<(), Failure> {
    let path = &config.ledger.path;
    if rescue::is_ledger(path) {
        return Ok(());
    }
    let why = "there is no ledger here yet: run the daemon or learn a log first".to_owned();
    Err(Failure::new(Exit::Ledger, StoreError::Io { path: path.clone(), why }))
}

/// For what must have the ledger for itself.
fn check_stopped(config: &Config) -> Result<(), Failure> {
    match Daemon::of(&config.ledger.path) {
        Some(_) => Err(Failure::say(
            Exit::Ledger,
            format!(
                "the daemon has the ledger {} open: stop it first",
                config.ledger.path.display()
            ),
        )),
        None => Ok(()),
    }
}

fn dump(config: &Config, args: DumpArgs) -> Result<(), Failure> {
    let mut stdout = io::BufWriter::with_capacity(1 << 20, io::stdout().lock());
    if let Some(daemon) = Daemon::of(&config.ledger.path) {
        let path = format!("/v1/ledger/dump?positions={}", args.positions);
        let mut answer = daemon.get(&path)?;
        io::copy(&mut answer, &mut stdout)?;
        return Ok(io::Write::flush(&mut stdout)?);
    }
    Ok(open_existing(config)?.dump(&mut stdout, args.positions)?)
}

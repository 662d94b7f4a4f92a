//! `helostat ledger`: looking into the ledger and changing it, by asking its daemon, or by opening it if none
//! runs.

pub mod forget;
pub mod load;
pub mod merge;
pub mod stats;

use std::io;

use helostat_zones::ledger::{Ledger, StoreError};

use crate::cli::{DumpArgs, LedgerCommand};
use crate::config::Config;
use crate::control::Daemon;
use crate::exit::{Exit, Failure};
use crate::settings;

/// Runs the command.
pub fn run(config: &Config, command: &LedgerCommand) -> Result<(), Failure> {
    match command {
        LedgerCommand::Dump(args) => dump(config, *args),
        LedgerCommand::Forget(args) => forget::run(config, args),
        LedgerCommand::Load(args) => load::run(config, args),
        LedgerCommand::Merge(args) => merge::run(config, args),
        LedgerCommand::Stats(args) => stats::run(config, *args),
    }
}

/// Opens the ledger of the configuration; a failure has the code for it.
pub fn open(config: &Config) -> Result<Ledger, Failure> {
    Ledger::open(&config.ledger.path, settings::bounds(config))
        .map_err(|error| Failure::new(Exit::Ledger, error))
}

/// Opens the ledger only if there is one: looking must not create it.
pub fn open_existing(config: &Config) -> Result<Ledger, Failure> {
    let path = &config.ledger.path;
    if !path.join("db").exists() {
        let path = path.clone();
        let why = "there is no ledger here yet: run the daemon or learn a log first".to_owned();
        return Err(Failure::new(Exit::Ledger, StoreError::Io { path, why }));
    }
    open(config)
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

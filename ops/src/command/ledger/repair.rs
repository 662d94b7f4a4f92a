//! `helostat ledger repair`: sets a damaged ledger aside and rebuilds it from its newest whole snapshot.
//!
//! The daemon must not run. The ledger is read first, all of it: one that is sound is left as it is, and
//! so is one that cannot be read for another reason than damage. What came back and what did not is told in
//! numbers. Nothing is deleted.

use helostat_zones::ledger::{Ledger, StoreError};

use crate::cli::JsonArgs;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::rescue::{self, Rescue};
use crate::{out, settings};

/// Runs the command.
pub fn run(config: &Config, args: JsonArgs) -> Result<(), Failure> {
    super::check_exists(config)?;
    super::check_stopped(config)?;
    let rescue = match damage(config)? {
        Some(why) => Some(rescue::rebuild(&config.ledger.path, settings::bounds(config), &why)?.1),
        None => None,
    };
    if args.json {
        return Ok(out::json(&rescue)?);
    }
    let Some(rescue) = rescue else {
        return Ok(out::line("the ledger is sound: nothing was changed")?);
    };
    Ok(out::line(words(&rescue))?)
}

/// The first thing that is damaged, if anything is.
fn damage(config: &Config) -> Result<Option<String>, Failure> {
    let report = super::verify::of_ledger(&config.ledger.path)?;
    if let Some(damage) = report.damage.first() {
        return Ok(Some(damage.to_string()));
    }
    // What is whole in each part may still not open.
    match Ledger::open(&config.ledger.path, settings::bounds(config)) {
        Ok(_) => Ok(None),
        Err(error @ StoreError::Damaged { .. }) => Ok(Some(error.to_string())),
        Err(error) => Err(Failure::new(Exit::Ledger, error)),
    }
}

/// Each fact on a line of its own.
fn words(rescue: &Rescue) -> String {
    rescue.to_string().replace("; ", "\n")
}

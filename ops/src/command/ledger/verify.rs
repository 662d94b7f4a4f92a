//! `helostat ledger verify`: reads all of a ledger, or of a snapshot, and tells what is damaged.
//!
//! In goes the ledger of the configuration (its daemon must not run) or a file, out comes a table: records,
//! damaged ones and octets of each part, and then what is wrong, one line each. The exit code is 0 if
//! all is well and 3 if anything is not; a file that is not there is an ordinary failure.

use std::fmt::Write as _;
use std::path::Path;

use helostat_zones::ledger::sled_store::SledStore;
use helostat_zones::ledger::store::Store;
use helostat_zones::ledger::verify::{self, Report, Table};
use helostat_zones::ledger::{StoreError, snapshot};

use crate::cli::VerifyArgs;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::out;

/// Runs the command.
pub fn run(config: &Config, args: &VerifyArgs) -> Result<(), Failure> {
    let (whose, report) = match &args.file {
        Some(file) => (file.as_path(), of_snapshot(file)?),
        None => {
            super::check_exists(config)?;
            super::check_stopped(config)?;
            (config.ledger.path.as_path(), of_ledger(&config.ledger.path)?)
        }
    };
    if args.json {
        out::json(&report)?;
    } else {
        out::text(table(&report))?;
    }
    if report.is_sound() {
        return Ok(());
    }
    let things = out::count(usize::try_from(report.damages).unwrap_or(usize::MAX), "thing");
    let next = match args.file {
        Some(_) => "take another snapshot",
        None => "find out why, then `helostat ledger repair` rebuilds it from the newest snapshot",
    };
    let said = format!("{} is damaged: {things} cannot be read; {next}", whose.display());
    Err(Failure::say(Exit::Ledger, said))
}

/// Reads a closed ledger.
pub fn of_ledger(path: &Path) -> Result<Report, Failure> {
    checked(SledStore::open(path).map(|store| Box::new(store) as Box<dyn Store>))
}

fn of_snapshot(path: &Path) -> Result<Report, Failure> {
    match snapshot::File::open(path) {
        Err(error @ StoreError::Io { .. }) => Err(Failure::new(Exit::Failed, error)),
        opened => checked(opened.map(|file| Box::new(file) as Box<dyn Store>)),
    }
}

fn checked(opened: Result<Box<dyn Store>, StoreError>) -> Result<Report, Failure> {
    let store = match opened {
        Ok(store) => store,
        Err(error @ StoreError::Damaged { .. }) => return Ok(Report::unopened(&error)),
        Err(error) => return Err(Failure::new(Exit::Ledger, error)),
    };
    let bar = out::bar("records");
    let report = verify::check(&*store, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    Ok(report)
}

fn table(report: &Report) -> String {
    let mut text = format!("{:<10} {:>10} {:>10} {:>14}\n", "", "records", "damaged", "octets");
    let mut line = |name: &str, table: &Table| {
        let Table { records, damaged, octets } = table;
        // Writing to a string does not fail.
        writeln!(text, "{name:<10} {records:>10} {damaged:>10} {octets:>14}").unwrap_or_default();
    };
    line("base", &report.base);
    line("shards", &report.shards);
    line("crowds", &report.crowds);
    line("journal", &report.journal);
    let Report { clients, pairs, last_entry, .. } = report;
    text +=
        &format!("clients    {clients:>10}\npairs      {pairs:>10}\nlast commit{last_entry:>10}\n");
    for damage in &report.damage {
        text += &format!("damaged: {damage}\n");
    }
    let told = report.damage.len() as u64;
    if report.damages > told {
        text += &format!("damaged: {} more\n", report.damages - told);
    }
    text
}

#[cfg(test)]
mod tests {
    use helostat_zones::ledger::verify::Damage;

    use super::*;

    #[test]
    fn the_table_in_words() {
        let damage = Damage { what: "shard 17".into(), why: "its checksum does not fit".into() };
        let report = Report {
            base: Table { records: 1, damaged: 0, octets: 345 },
            shards: Table { records: 4096, damaged: 1, octets: 123_456 },
            clients: 12,
            pairs: 34,
            last_entry: 9,
            damages: 3,
            damage: vec![damage],
            ..Report::default()
        };
        let words = "              records    damaged         octets
base                1          0            345
shards           4096          1         123456
crowds              0          0              0
journal             0          0              0
clients            12
pairs              34
last commit         9
damaged: shard 17 cannot be read: its checksum does not fit
damaged: 2 more
";
        assert_eq!(table(&report), words);
    }
}

//! `helostat ledger stats`: how much the ledger holds, what it forgot, and who told it.
//!
//! In goes a ledger, out come numbers: rows of each table, octets, pairs forgotten by reason since the
//! ledger was made, the days on which something was learned, and each reporter's share. The same value is
//! printed in words and as JSON, by the command or by the daemon that it asks.

use std::fmt;

use helostat_zones::ledger::{Forgotten, Ledger, ReporterRow, Sizes};
use helostat_zones::observation::{Outcome, ReporterKind};
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use crate::cli::JsonArgs;
use crate::config::Config;
use crate::control::Daemon;
use crate::exit::Failure;
use crate::out;

/// What there is to count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Rows and octets.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// Octets that the tables may take.
    pub memory_limit: u64,
    /// Pairs forgotten, by why.
    pub forgotten: Vec<ForgottenPairs>,
    /// The first day on which something was learned.
    pub learned_from: Option<Time>,
    /// The newest observation.
    pub newest: Option<Time>,
    /// On how many days something was learned.
    pub learned_days: u32,
    /// Who reported, in the order of their names.
    pub reporters: Vec<Reported>,
}

/// Pairs that were forgotten for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgottenPairs {
    /// The reason.
    pub why: String,
    /// How many.
    pub pairs: u64,
}

/// What one reporter told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// Its name.
    pub reporter: String,
    /// What sort of mail it sees.
    pub kind: ReporterKind,
    /// All observations.
    pub observations: u64,
    /// Messages taken.
    pub accepted: u64,
    /// Messages and sessions refused for good.
    pub rejected: u64,
    /// The newest observation.
    pub newest: Option<Time>,
}

/// Runs the command.
pub fn run(config: &Config, args: JsonArgs) -> Result<(), Failure> {
    let stats = match Daemon::of(&config.ledger.path) {
        Some(daemon) => serde_json::from_reader(daemon.get("/v1/ledger/stats")?)?,
        None => Stats::of(&super::open_existing(config)?),
    };
    if args.json {
        return Ok(out::json(&stats)?);
    }
    Ok(out::text(stats)?)
}

impl Stats {
    /// Counts. Walks all tables: not per question.
    pub fn of(ledger: &Ledger) -> Self {
        let days = ledger.days();
        let forgotten = Forgotten::ALL.into_iter().zip(ledger.forgotten());
        let mut reporters: Vec<_> = ledger.reporters().iter().map(Reported::of).collect();
        reporters.sort_unstable_by(|a, b| a.reporter.cmp(&b.reporter));
        Self {
            sizes: ledger.sizes(),
            memory_limit: ledger.bounds().memory,
            forgotten: forgotten
                .map(|(why, pairs)| ForgottenPairs { why: why.word().to_owned(), pairs })
                .collect(),
            learned_from: days.first().map(|day| day.start()),
            newest: ledger.newest(),
            learned_days: days.len(),
            reporters,
        }
    }
}

impl Reported {
    fn of(row: &ReporterRow) -> Self {
        let count = |outcomes: &[Outcome]| {
            let counts = row.seen.iter().flat_map(|seen| outcomes.iter().map(|it| seen.count(*it)));
            counts.map(u64::from).sum()
        };
        Self {
            reporter: row.name.to_string(),
            kind: row.kind,
            observations: count(&Outcome::ALL),
            accepted: count(&[Outcome::Accepted, Outcome::Partial]),
            rejected: count(&[Outcome::Rejected]),
            newest: row.seen.as_ref().map(|seen| seen.last),
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sizes { clients, names, networks, pairs, families, crowds, bytes } = self.sizes;
        for (table, rows) in [
            ("clients", clients),
            ("names", names),
            ("families", families),
            ("networks", networks),
            ("pairs", pairs),
            ("crowds", crowds),
        ] {
            writeln!(f, "{table:<10} {rows:>14}")?;
        }
        let share = bytes as f64 * 100.0 / self.memory_limit.max(1) as f64;
        writeln!(f, "memory     {bytes:>14} octets, {share:.1}% of what it may take")?;
        writeln!(f, "forgotten")?;
        for ForgottenPairs { why, pairs } in &self.forgotten {
            writeln!(f, "  {why:<8} {pairs:>14} pairs")?;
        }
        if let (Some(from), Some(newest)) = (self.learned_from, self.newest) {
            let days = out::count(self.learned_days as usize, "day");
            writeln!(f, "learned on {days} from {} to {newest}", date(from))?;
        }
        for Reported { reporter, kind, observations, accepted, rejected, newest } in &self.reporters
        {
            write!(f, "reporter {reporter} ({}): ", word(*kind))?;
            write!(f, "{observations} observations, {accepted} accepted, {rejected} rejected")?;
            match newest {
                Some(newest) => writeln!(f, ", the last at {newest}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

fn date(time: Time) -> String {
    time.to_string().chars().take(10).collect()
}

fn word(kind: ReporterKind) -> &'static str {
    match kind {
        ReporterKind::Mx => "mx",
        ReporterKind::Trap => "trap",
        ReporterKind::Submission => "submission",
        ReporterKind::Unfiltered => "unfiltered",
    }
}

#[cfg(test)]
mod tests {
    use helostat_zones::ledger::{Batch, Bounds};
    use helostat_zones::name::Name;
    use helostat_zones::observation::Observation;

    use super::*;

    #[test]
    fn counts_and_words() {
        let mut batch = Batch::default();
        for (reporter, kind, outcome, days_ago) in [
            ("mx2", ReporterKind::Mx, Outcome::Accepted, 0),
            ("mx1", ReporterKind::Unfiltered, Outcome::Accepted, 3),
            ("mx1", ReporterKind::Unfiltered, Outcome::Rejected, 3),
        ] {
            let observation = Observation {
                time: Time(1_795_184_855 - days_ago * 86_400),
                ip: "192.0.2.7".parse().expect("an address"),
                name: Name::parse(b"mail.example.com"),
                rdns: None,
                outcome,
                stage: None,
                by_us: false,
                supersedes: None,
                reporter: reporter.into(),
            };
            batch.observe(&observation, kind);
        }
        let ledger = Ledger::in_memory(Bounds::default());
        ledger.commit(&batch).expect("memory does not fail");
        ledger
            .forget(&helostat_zones::ledger::Target::parse("192.0.2.7").expect("a client"))
            .expect("memory does not fail");
        let stats = Stats::of(&ledger);
        let text = stats.to_string();
        for line in [
            "pairs                   0",
            "  memory                0 pairs",
            "  request               1 pairs",
            "learned on 2 days from 2026-11-17 to 2026-11-20T14:27:35Z",
            "reporter mx1 (unfiltered): 2 observations, 1 accepted, 1 rejected, the last at 2026-11-17T14:27:35Z",
            "reporter mx2 (mx): 1 observations, 1 accepted, 0 rejected, the last at 2026-11-20T14:27:35Z",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} in\n{text}");
        }
        let json = serde_json::to_string(&stats).expect("plain values");
        assert_eq!(serde_json::from_str::<Stats>(&json).expect("what was written"), stats);
        assert_eq!(serde_json::from_str::<Sizes>(&json).expect("the rows alone"), stats.sizes);
    }
}

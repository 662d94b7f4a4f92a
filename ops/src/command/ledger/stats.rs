//! `helostat ledger stats`: how much the ledger holds, what it forgot, and who told it.
//!
//! In goes a ledger, out come numbers: rows of each table, octets, pairs forgotten by reason since the
//! ledger was made, the days on which something was learned, each reporter's share, the journal and the disk;
//! and, if asked, who stands out: the clients, names and networks of which most is held. The same value is
//! printed in words and as JSON, by the command or by the daemon that it asks.

use std::fmt;

use helostat_zones::ledger::distinct::Count;
use helostat_zones::ledger::{Disk, Forgotten, JournalSize, Ledger, ReporterRow, Sizes, Top};
use helostat_zones::observation::{Outcome, ReporterKind};
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use crate::cli::StatsArgs;
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
    /// How long the journal is; none while the disk hangs.
    pub journal: Option<JournalSize>,
    /// Octets on disk.
    pub disk: Disk,
    /// Who stands out; none unless asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub top: Option<TopTalkers>,
}

/// Who stands out, the greatest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopTalkers {
    /// When the oldest pair that is held was first seen.
    pub oldest: Option<Time>,
    /// When the newest was last seen.
    pub newest: Option<Time>,
    /// Clients, by how many names they said.
    pub clients_by_pairs: Vec<Talker>,
    /// Clients, by how many messages and sessions were observed.
    pub clients_by_observations: Vec<Talker>,
    /// Names, by how many clients said them.
    pub names_by_clients: Vec<Talker>,
    /// Networks, by how many clients were seen in them.
    pub networks_by_clients: Vec<Talker>,
}

/// One who stands out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talker {
    /// Who.
    pub who: String,
    /// How many.
    pub n: u64,
    /// False if `n` is an estimate.
    pub exact: bool,
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
pub fn run(config: &Config, args: StatsArgs) -> Result<(), Failure> {
    let stats = match Daemon::of(&config.ledger.path) {
        Some(daemon) => {
            let path = match args.top {
                Some(n) => format!("/v1/ledger/stats?top={n}"),
                None => "/v1/ledger/stats".to_owned(),
            };
            serde_json::from_reader(daemon.get(&path)?)?
        }
        None => Stats::of(&super::open_existing(config)?, args.top),
    };
    if args.json {
        return Ok(out::json(&stats)?);
    }
    Ok(out::text(stats)?)
}

impl Stats {
    /// Counts, and names `top` of those who stand out, if any. Walks all tables: not per question.
    pub fn of(ledger: &Ledger, top: Option<u16>) -> Self {
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
            journal: ledger.journal(),
            disk: ledger.disk(),
            top: top.map(|n| TopTalkers::of(ledger.top(n.into()))),
        }
    }
}

impl TopTalkers {
    fn of(top: Top) -> Self {
        fn talkers(counted: Vec<(impl fmt::Display, u64)>) -> Vec<Talker> {
            let talker = |(who, n): (_, u64)| Talker { who: format!("{who}"), n, exact: true };
            counted.into_iter().map(talker).collect()
        }
        let name = |(who, count): (Box<str>, Count)| {
            let Count { n, exact } = count;
            Talker { who: who.into(), n, exact }
        };
        Self {
            oldest: top.oldest,
            newest: top.newest,
            clients_by_pairs: talkers(top.by_pairs),
            clients_by_observations: talkers(top.by_observations),
            names_by_clients: top.names.into_iter().map(name).collect(),
            networks_by_clients: talkers(top.networks),
        }
    }
}

impl fmt::Display for TopTalkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(oldest), Some(newest)) = (self.oldest, self.newest) {
            writeln!(f, "what is held was seen from {oldest} to {newest}")?;
        }
        for (what, talkers) in [
            ("clients by names", &self.clients_by_pairs),
            ("clients by observations", &self.clients_by_observations),
            ("names by clients", &self.names_by_clients),
            ("networks by clients", &self.networks_by_clients),
        ] {
            writeln!(f, "{what}")?;
            for Talker { who, n, exact } in talkers {
                writeln!(f, "  {:>14}  {who}", Count { n: *n, exact: *exact }.to_string())?;
            }
        }
        Ok(())
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
        if let Some(JournalSize { entries, bytes }) = self.journal {
            writeln!(f, "journal    {bytes:>14} octets in {entries} entries")?;
        }
        let Disk { database, snapshots, set_aside } = self.disk;
        writeln!(
            f,
            "disk       {database:>14} octets, snapshots {snapshots}, set aside {set_aside}"
        )?;
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
            write!(f, "reporter {reporter} ({}): ", kind.word())?;
            write!(f, "{observations} observations, {accepted} accepted, {rejected} rejected")?;
            match newest {
                Some(newest) => writeln!(f, ", the last at {newest}")?,
                None => writeln!(f)?,
            }
        }
        if let Some(top) = &self.top {
            top.fmt(f)?;
        }
        Ok(())
    }
}

fn date(time: Time) -> String {
    time.to_string().chars().take(10).collect()
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
        let stats = Stats::of(&ledger, None);
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

    #[test]
    fn who_stands_out() {
        let mut batch = Batch::default();
        for (ip, name) in [
            ("192.0.2.7", "mail.example.com"),
            ("192.0.2.7", "mail.example.com"),
            ("192.0.2.7", "mail.example.com"),
            ("192.0.2.8", "mail.example.com"),
            ("198.51.100.1", "mail.example.com"),
            ("198.51.100.1", "mail.example.org"),
            ("2001:db8:1:2::1", "mail.example.org"),
        ] {
            let observation = Observation {
                time: Time(1_795_184_855),
                ip: ip.parse().expect(ip),
                name: Name::parse(name.as_bytes()),
                rdns: None,
                outcome: Outcome::Accepted,
                stage: None,
                by_us: false,
                supersedes: None,
                reporter: "mx1".into(),
            };
            batch.observe(&observation, ReporterKind::Mx);
        }
        let ledger = Ledger::in_memory(Bounds::default());
        ledger.commit(&batch).expect("memory does not fail");
        let top = Stats::of(&ledger, Some(2)).top.expect("asked for").to_string();
        let words = "what is held was seen from 2026-11-20T14:27:35Z to 2026-11-20T14:27:35Z
clients by names
               2  198.51.100.1
               1  192.0.2.7
clients by observations
               3  192.0.2.7
               2  198.51.100.1
names by clients
               3  mail.example.com
               2  mail.example.org
networks by clients
               2  192.0.2.0/24
               1  198.51.100.0/24
";
        assert_eq!(top, words);
    }
}

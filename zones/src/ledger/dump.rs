//! The canonical dump: the whole content of the ledger as JSON lines, sorted, independent of the order
//! in which it was learned. Two ledgers hold the same if and only if their dumps are the same bytes.
//!
//! One line per (client, name, reporter), and one per client that has facts of its own. Positions
//! are not content and are not in it.

use std::io::{self, Write};

use serde::Serialize;

use super::table::SHARDS;
use super::{Ledger, ReporterId};
use crate::client::Client;
use crate::ledger::activity::Activity;
use crate::observation::{Outcome, ReporterKind};
use crate::time::Time;

#[derive(Serialize)]
struct PairLine<'a> {
    client: String,
    name: &'a str,
    kind: &'static str,
    reporter: &'a str,
    reporter_kind: ReporterKind,
    first: Time,
    last: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_accepted: Option<Time>,
    days: Vec<String>,
    accepted_days: Vec<String>,
    outcomes: std::collections::BTreeMap<&'static str, i32>,
    #[serde(skip_serializing_if = "is_zero")]
    by_us: u32,
}

#[derive(Serialize)]
struct ClientLine<'a> {
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rdns: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rdns_time: Option<Time>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Ledger {
    /// Writes the canonical dump. Blocks nobody for longer than the copying of one shard.
    pub fn dump(&self, to: &mut dyn Write) -> io::Result<()> {
        let reporters = self.reporters.read().clone();
        let reporter = |id: ReporterId| match reporters.get(usize::from(id)) {
            Some((name, kind)) => (name.as_ref(), *kind),
            None => ("", ReporterKind::Mx),
        };
        let mut lines = Vec::new();
        for shard in 0..SHARDS {
            let mut rows = Vec::new();
            self.tables.shard(shard, |client, row| rows.push((client, row.clone())));
            for (client, row) in &rows {
                if !row.facts.is_empty() {
                    lines.push(line(&client_line(*client, &row.facts))?);
                }
                for pair in &row.pairs {
                    for (by, activity) in &pair.seen {
                        lines.push(line(&pair_line(*client, &pair.name, reporter(*by), activity))?);
                    }
                }
            }
        }
        lines.sort_unstable();
        for line in lines {
            to.write_all(line.as_bytes())?;
            to.write_all(b"\n")?;
        }
        to.flush()
    }
}

fn line(value: &impl Serialize) -> io::Result<String> {
    serde_json::to_string(value).map_err(io::Error::other)
}

fn client_line(client: Client, facts: &super::facts::ClientFacts) -> ClientLine<'_> {
    ClientLine {
        client: client.to_string(),
        last_ip: facts.last_ip.map(|(_, ip)| ip.to_string()),
        rdns: facts.rdns.as_ref().map(|(_, rdns)| rdns.as_ref()),
        rdns_time: facts.rdns.as_ref().map(|(time, _)| *time),
    }
}

fn pair_line<'a>(
    client: Client,
    name: &'a crate::name::Name,
    (reporter, reporter_kind): (&'a str, ReporterKind),
    activity: &Activity,
) -> PairLine<'a> {
    let dates = |days: super::activity::Days| {
        // "2026-11-20T00:00:00Z" without the time of day.
        days.iter().map(|day| day.start().to_string().chars().take(10).collect()).collect()
    };
    PairLine {
        client: client.to_string(),
        name: name.text(),
        kind: name.kind().word(),
        reporter,
        reporter_kind,
        first: activity.first,
        last: activity.last,
        first_accepted: activity.first_accepted,
        days: dates(activity.days),
        accepted_days: dates(activity.accepted_days),
        outcomes: Outcome::ALL
            .into_iter()
            .zip(activity.counts)
            .filter(|(_, count)| *count != 0)
            .map(|(outcome, count)| (outcome.word(), count))
            .collect(),
        by_us: activity.by_us,
    }
}

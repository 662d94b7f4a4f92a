//! The canonical dump: the whole content of the ledger as JSON lines, in an order that does not depend on
//! how it was learned. Two ledgers hold the same if and only if their dumps are the same bytes.
//!
//! ```text
//! {"client":..,"last_ip":..,"rdns":..,"rdns_time":..,"trace":{..}}    before the pairs of a client that has any
//! {"client":..,"name":..,"kind":..,"reporter":..,"reporter_kind":..,"first":..,"last":..,..}   by client, name, reporter
//! {"crowd":"name"|"family","text":..,"clients":[..],"networks":[..]}
//! {"reporter":..,"kind":..,"first":..,"last":..,"outcomes":{..},..}   what each contributed
//! {"learned":["2026-11-01/2026-11-20",..]}                            days on which something was learned
//! {"position":source,"reached":hex}                                   only where it is asked for
//! ```
//!
//! Clients come in the order of their addresses, IPv4 before IPv6. Numbers of sketches are 16 hexadecimal
//! digits, since many readers of JSON cannot hold 64 bits.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::activity::{Activity, Days};
use super::distinct::Distinct;
use super::row::{PairView, RowView, Trace};
use super::{Ledger, ReporterId};
use crate::observation::{Outcome, ReporterKind};
use crate::time::Time;

/// What one reporter saw, in words.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) first: Time,
    pub(super) last: Time,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) first_accepted: Option<Time>,
    pub(super) days: Vec<String>,
    pub(super) accepted_days: Vec<String>,
    pub(super) outcomes: BTreeMap<String, i32>,
    #[serde(skip_serializing_if = "is_zero", default)]
    pub(super) by_us: u32,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TraceWords {
    pub(super) families: Vec<String>,
    pub(super) names: Vec<String>,
}

/// A line of the dump.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Pair {
        client: String,
        name: String,
        kind: String,
        reporter: String,
        reporter_kind: ReporterKind,
        #[serde(flatten)]
        seen: Seen,
    },
    Crowd {
        crowd: String,
        text: String,
        clients: Vec<String>,
        networks: Vec<String>,
    },
    Client {
        client: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        last_ip: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        last_ip_time: Option<Time>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rdns: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rdns_time: Option<Time>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        trace: Option<TraceWords>,
    },
    Reporter {
        reporter: String,
        kind: ReporterKind,
        #[serde(flatten)]
        seen: Seen,
    },
    Days {
        learned: Vec<String>,
    },
    Position {
        position: String,
        reached: String,
    },
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Ledger {
    /// Writes the canonical dump, client by client: it holds up nobody and needs no memory to speak of. Of a
    /// ledger that is learning it shows each client at another moment. `positions` adds how far each
    /// source was read.
    pub fn dump(&self, to: &mut dyn Write, positions: bool) -> io::Result<()> {
        let reporters: Vec<_> =
            self.reporters().into_iter().map(|row| (row.name, row.kind)).collect();
        let reporter = |id: ReporterId| match reporters.get(usize::from(id)) {
            Some((name, kind)) => (name.to_string(), *kind),
            None => (String::new(), ReporterKind::Mx),
        };
        let mut written = Ok(());
        self.tables.each(&mut |row| {
            written = write_row(to, &row, &reporter);
            written.is_ok()
        });
        written?;
        for (what, text, crowd) in self.tables.crowds() {
            write_line(
                to,
                &Line::Crowd {
                    crowd: if what == 0 { "name" } else { "family" }.to_owned(),
                    text: text.into(),
                    clients: elements(&crowd.clients),
                    networks: elements(&crowd.networks),
                },
            )?;
        }
        let mut contributed: Vec<_> = self.reporters();
        contributed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for row in contributed {
            let Some(seen) = &row.seen else { continue };
            let (reporter, kind) = (row.name.to_string(), row.kind);
            write_line(to, &Line::Reporter { reporter, kind, seen: Seen::of(seen) })?;
        }
        let learned: Vec<_> = self
            .days()
            .runs()
            .map(|(first, last)| format!("{}/{}", date(first), date(last)))
            .collect();
        if !learned.is_empty() {
            write_line(to, &Line::Days { learned })?;
        }
        if positions {
            for (position, reached) in self.positions("") {
                let reached = reached.iter().map(|octet| format!("{octet:02x}")).collect();
                write_line(to, &Line::Position { position, reached })?;
            }
        }
        to.flush()
    }
}

fn write_line(to: &mut dyn Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}

fn write_row(
    to: &mut dyn Write,
    row: &RowView<'_>,
    reporter: &dyn Fn(ReporterId) -> (String, ReporterKind),
) -> io::Result<()> {
    let (facts, trace) = (row.facts(), row.trace());
    if !facts.is_empty() || trace.is_some() {
        write_line(
            to,
            &Line::Client {
                client: row.client().to_string(),
                last_ip: facts.last_ip.map(|(_, ip)| ip.to_string()),
                last_ip_time: facts.last_ip.map(|(time, _)| time),
                rdns_time: facts.rdns.as_ref().map(|(time, _)| *time),
                rdns: facts.rdns.map(|(_, rdns)| rdns.into()),
                trace: trace.as_ref().map(TraceWords::of),
            },
        )?;
    }
    for pair in row.pairs() {
        write_pair(to, row, &pair, reporter)?;
    }
    Ok(())
}

fn write_pair(
    to: &mut dyn Write,
    row: &RowView<'_>,
    pair: &PairView<'_>,
    reporter: &dyn Fn(ReporterId) -> (String, ReporterKind),
) -> io::Result<()> {
    let mut seen: Vec<_> = pair.seen().map(|(by, seen)| (reporter(by), seen)).collect();
    // Numbers of reporters depend on who came first, their names do not.
    seen.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for ((reporter, reporter_kind), seen) in seen {
        write_line(
            to,
            &Line::Pair {
                client: row.client().to_string(),
                name: pair.name.text().to_owned(),
                kind: pair.name.kind().word().to_owned(),
                reporter,
                reporter_kind,
                seen: Seen::of(&seen),
            },
        )?;
    }
    Ok(())
}

impl TraceWords {
    fn of(trace: &Trace) -> Self {
        Self { families: elements(&trace.families), names: elements(&trace.names) }
    }
}

fn elements(sketch: &Distinct) -> Vec<String> {
    sketch.elements().iter().map(|element| hex(*element)).collect()
}

fn hex(n: u64) -> String {
    format!("{n:016x}")
}

/// A day as `2026-11-20`.
fn date(day: crate::time::Day) -> String {
    // "2026-11-20T00:00:00Z" without the time of day.
    day.start().to_string().chars().take(10).collect()
}

impl Seen {
    fn of(activity: &Activity) -> Self {
        let dates = |days: Days| days.iter().map(date).collect();
        Self {
            first: activity.first,
            last: activity.last,
            first_accepted: activity.first_accepted,
            days: dates(activity.days),
            accepted_days: dates(activity.accepted_days),
            outcomes: Outcome::ALL
                .into_iter()
                .zip(activity.counts)
                .filter(|(_, count)| *count != 0)
                .map(|(outcome, count)| (outcome.word().to_owned(), count))
                .collect(),
            by_us: activity.by_us,
        }
    }
}

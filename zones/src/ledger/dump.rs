//! The canonical dump: the whole content of the ledger as JSON lines, in an order that does not depend on
//! how it was learned. Two ledgers hold the same if and only if their dumps are the same bytes.
//!
//! ```text
//! {"client":..,"last_ip":..,"rdns":..,"rdns_time":..,"trace":{..}}    before the pairs of a client that has any
//! {"client":..,"name":..,"kind":..,"reporter":..,"reporter_kind":..,"first":..,"last":..,..}   by client, name, reporter
//! {"crowd":"name"|"family","text":..,"clients":[..],"networks":[..]}
//! {"reporter":..,"kind":..,"first":..,"last":..,"outcomes":{..},..}   what each contributed
//! {"learned":["2026-11-01/2026-11-20",..]}                            days on which something was learned
//! {"position":source,"reached":hex}                                   only where it is asked for, last
//! ```
//!
//! `load` reads it back. Clients come in the order of their addresses, IPv4 before IPv6. Numbers of sketches are 16 hexadecimal
//! digits, since many readers of JSON cannot hold 64 bits.

use std::fmt::{self, Display};
use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::activity::{Activity, Days};
use super::calendar::Calendar;
use super::distinct::Distinct;
use super::row::{PairView, RowView, Trace};
use super::{Ledger, ReporterId};
use crate::client::Client;
use crate::observation::{Outcome, Reporter, ReporterKind};
use crate::time::{Day, Time};

/// A line of the dump.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Pair {
        client: Shown<Client>,
        name: &'a str,
        kind: &'a str,
        reporter: &'a str,
        reporter_kind: ReporterKind,
        #[serde(flatten)]
        seen: Seen,
    },
    Crowd {
        crowd: &'a str,
        text: &'a str,
        clients: Elements<'a>,
        networks: Elements<'a>,
    },
    Client {
        client: Shown<Client>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_ip: Option<Shown<std::net::IpAddr>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_ip_time: Option<Time>,
        #[serde(skip_serializing_if = "Option::is_none")]
        rdns: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        rdns_time: Option<Time>,
        #[serde(skip_serializing_if = "Option::is_none")]
        trace: Option<TraceShown<'a>>,
    },
    Reporter {
        reporter: &'a str,
        kind: ReporterKind,
        #[serde(flatten)]
        seen: Seen,
    },
    Days {
        learned: Runs<'a>,
    },
    Position {
        position: &'a str,
        reached: Shown<Octets<'a>>,
    },
}

/// What one reporter saw, in words.
#[derive(serde::Serialize)]
struct Seen {
    first: Time,
    last: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_accepted: Option<Time>,
    days: Dates,
    accepted_days: Dates,
    outcomes: Counts,
    #[serde(skip_serializing_if = "is_zero")]
    by_us: u32,
}

#[derive(serde::Serialize)]
struct TraceShown<'a> {
    families: Elements<'a>,
    names: Elements<'a>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Ledger {
    /// Writes the canonical dump, client by client: it holds up nobody and needs no memory to speak of. Of a
    /// ledger that is learning it shows each client at another moment. `positions` adds how far each
    /// source was read.
    pub fn dump(&self, to: &mut dyn Write, positions: bool) -> io::Result<()> {
        self.finish_sweep();
        let mut lines = Vec::new();
        let mut written = Ok(());
        self.tables.each_client(&mut |client| {
            lines.clear();
            written = self
                .client(client, |row| row.map_or(Ok(()), |row| self.write_row(&mut lines, &row)))
                // Who reads slowly must not keep a row locked.
                .and_then(|()| to.write_all(&lines));
            written.is_ok()
        });
        written?;
        for (what, text, crowd) in self.tables.crowds() {
            write_line(
                to,
                &Line::Crowd {
                    crowd: if what == 0 { "name" } else { "family" },
                    text: &text,
                    clients: Elements(&crowd.clients),
                    networks: Elements(&crowd.networks),
                },
            )?;
        }
        let mut contributed: Vec<_> = self.reporters();
        contributed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for row in contributed {
            let Some(seen) = &row.seen else { continue };
            let (reporter, kind) = (&*row.name, row.kind);
            write_line(to, &Line::Reporter { reporter, kind, seen: Seen::of(seen) })?;
        }
        let learned = &self.days();
        if !learned.is_empty() {
            write_line(to, &Line::Days { learned: Runs(learned) })?;
        }
        if positions {
            for (position, reached) in &self.positions("") {
                let reached = Shown(Octets(reached));
                write_line(to, &Line::Position { position, reached })?;
            }
        }
        to.flush()
    }

    fn write_row(&self, to: &mut dyn Write, row: &RowView<'_>) -> io::Result<()> {
        let (facts, trace) = (row.facts(), row.trace());
        if !facts.is_empty() || trace.is_some() {
            write_line(
                to,
                &Line::Client {
                    client: Shown(row.client()),
                    last_ip: facts.last_ip.map(|(_, ip)| Shown(ip)),
                    last_ip_time: facts.last_ip.map(|(time, _)| time),
                    rdns: facts.rdns.as_ref().map(|(_, rdns)| &**rdns),
                    rdns_time: facts.rdns.as_ref().map(|(time, _)| *time),
                    trace: trace.as_ref().map(|Trace { families, names }| TraceShown {
                        families: Elements(families),
                        names: Elements(names),
                    }),
                },
            )?;
        }
        for pair in row.pairs() {
            self.write_pair(to, row, &pair)?;
        }
        Ok(())
    }

    fn write_pair(
        &self,
        to: &mut dyn Write,
        row: &RowView<'_>,
        pair: &PairView<'_>,
    ) -> io::Result<()> {
        let mut seen: Vec<_> = pair.seen().map(|(by, seen)| (self.reporter(by), seen)).collect();
        // Numbers of reporters depend on who came first, their names do not.
        seen.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for ((reporter, reporter_kind), seen) in &seen {
            write_line(
                to,
                &Line::Pair {
                    client: Shown(row.client()),
                    name: pair.name.text(),
                    kind: pair.name.kind().word(),
                    reporter,
                    reporter_kind: *reporter_kind,
                    seen: Seen::of(seen),
                },
            )?;
        }
        Ok(())
    }

    /// Looked up for each pair: in a ledger that is learning new ones may come while it is dumped.
    fn reporter(&self, id: ReporterId) -> (Reporter, ReporterKind) {
        let reporters = self.reporters.read();
        let row = reporters.get(usize::from(id)).map(|row| (row.name.clone(), row.kind));
        row.unwrap_or_else(|| ("".into(), ReporterKind::default()))
    }
}

fn write_line(to: &mut dyn Write, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}

impl Seen {
    fn of(activity: &Activity) -> Self {
        Self {
            first: activity.first,
            last: activity.last,
            first_accepted: activity.first_accepted,
            days: Dates(activity.days),
            accepted_days: Dates(activity.accepted_days),
            outcomes: Counts(activity.counts),
            by_us: activity.by_us,
        }
    }
}

/// As a text.
struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// Days, the newest first.
struct Dates(Days);

impl Serialize for Dates {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|day| Shown(Date(day))))
    }
}

/// Runs of days, the oldest first.
struct Runs<'a>(&'a Calendar);

impl Serialize for Runs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.runs().map(|(first, last)| Shown(Run(first, last))))
    }
}

struct Run(Day, Day);

impl Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Date(self.0), Date(self.1))
    }
}

/// A day as `2026-11-20`.
struct Date(Day);

impl Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The type of a day ends in 2149, far within what a date can be.
        let date = jiff::civil::date(1970, 1, 1)
            .saturating_add(jiff::SignedDuration::from_hours(24 * i64::from(self.0.0)));
        write!(f, "{date}")
    }
}

/// Counts by outcome, those that are not zero, in the order of the words.
struct Counts([i32; 7]);

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut counts = Outcome::ALL.map(|outcome| (outcome.word(), 0));
        for ((_, to), count) in counts.iter_mut().zip(self.0) {
            *to = count;
        }
        counts.sort_unstable();
        let mut map = to.serialize_map(None)?;
        for (word, count) in counts.iter().filter(|(_, count)| *count != 0) {
            map.serialize_entry(word, count)?;
        }
        map.end()
    }
}

/// The elements of a sketch.
struct Elements<'a>(&'a Distinct);

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.elements().iter().map(|element| Shown(Hex(*element))))
    }
}

struct Hex(u64);

impl Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Octets in hexadecimal.
struct Octets<'a>(&'a [u8]);

impl Display for Octets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

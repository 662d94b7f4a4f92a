//! `helostat run --example`: a working installation out of nothing.
//!
//! What it takes is in the binary: sample logs that real Postfix and Exim wrote over thirty days
//! (ops/example says how), and the DNS of the invented hosts in them. `prepare` puts them into a folder
//! of the user's own, fresh at every start, with all dates moved by the same whole number of days so
//! that the sample ends today: verdicts look back from now. Everything else is the ordinary daemon.
//!
//! The hosts' DNS is answered by a small server on a free loopback port, so that live look-ups are
//! real and nothing leaves the machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use hickory_proto::rr::rdata::{A, AAAA, PTR, SOA, SRV};
use hickory_proto::rr::{LowerName, Name, RData, Record};
use hickory_server::Server;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType};
use jiff::ToSpan;
use jiff::civil::Date;
use tokio::net::UdpSocket;

/// The sample logs and the names they get.
const LOGS: [(&str, &str); 2] = [
    ("postfix.log", include_str!("../example/postfix.log")),
    ("exim.log", include_str!("../example/exim.log")),
];
/// The DNS of the hosts in them: lines `owner. TYPE rdata`, `;` begins a comment.
const DNS: &str = include_str!("../example/dns.zone");
/// The TTL of every record in it.
const TTL: u32 = 3600;

/// Where the example lives: the user's cache folder, or a folder for temporary files.
pub fn directory() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .filter(|path| path.is_absolute());
    cache.unwrap_or_else(std::env::temp_dir).join("helostat-example")
}

/// Empties the example's folder and writes the logs into it, ending on `today`.
pub fn prepare(directory: &Path, now: jiff::Zoned) -> anyhow::Result<()> {
    let clean = || -> io::Result<()> {
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::create_dir_all(directory)
    };
    clean().with_context(|| format!("making the folder {}", directory.display()))?;
    let days = days_to_move(now);
    for (name, text) in LOGS {
        let path = directory.join(name);
        std::fs::write(&path, moved(text, days))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// How many days the sample is moved: its last line becomes the newest moment that is not after now.
fn days_to_move(now: jiff::Zoned) -> i64 {
    let now = now.with_time_zone(jiff::tz::TimeZone::UTC).datetime();
    let last =
        LOGS.iter().flat_map(|(_, text)| text.lines()).filter_map(stamp).max().unwrap_or(now);
    let days = i64::from(last.date().until(now.date()).map_or(0, |span| span.get_days()));
    if last.time() > now.time() { days - 1 } else { days }
}

/// The date and time at the beginning of a line: `2026-11-20 13:40:22` or with a `T`.
fn stamp(line: &str) -> Option<jiff::civil::DateTime> {
    let (date, rest) = line.split_at_checked(10)?;
    let time = rest.get(1..9)?;
    Some(date.parse::<Date>().ok()?.to_datetime(time.parse().ok()?))
}

/// The text with the date at the beginning of each line moved by `days`.
fn moved(text: &str, days: i64) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let date = line.split_at_checked(10).and_then(|(date, rest)| {
            let date: Date = date.parse().ok()?;
            Some((date.checked_add(days.days()).ok()?, rest))
        });
        match date {
            Some((date, rest)) => out.push_str(&format!("{date}{rest}\n")),
            None => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

/// The DNS of the example's hosts, served on a free loopback port for as long as it is kept.
pub struct ExampleDns {
    address: SocketAddr,
    _server: Server<Catalog>,
}

impl ExampleDns {
    /// Starts it.
    pub async fn start() -> anyhow::Result<Self> {
        let root = Name::root();
        let mut zone = InMemoryZoneHandler::<TokioRuntimeProvider>::empty(
            root.clone(),
            ZoneType::Primary,
            AxfrPolicy::Deny,
        );
        let soa = SOA::new(root.clone(), root.clone(), 1, 3600, 600, 86_400, 60);
        zone.upsert_mut(Record::from_rdata(root.clone(), TTL, RData::SOA(soa)), 0);
        for record in records(DNS)? {
            zone.upsert_mut(record, 0);
        }
        let mut catalog = Catalog::new();
        catalog.upsert(LowerName::new(&root), vec![Arc::new(zone) as Arc<dyn ZoneHandler>]);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        let mut server = Server::new(catalog);
        server.register_socket(socket);
        Ok(Self { address, _server: server })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn records(text: &str) -> anyhow::Result<Vec<Record>> {
    let lines = text.lines().map(|line| line.split(';').next().unwrap_or(line).trim());
    lines
        .filter(|line| !line.is_empty())
        .map(|line| record(line).with_context(|| format!("in the example's DNS: {line}")))
        .collect()
}

fn record(line: &str) -> anyhow::Result<Record> {
    let mut words = line.split_ascii_whitespace();
    let mut word = || words.next().context("a word is missing");
    let owner = Name::from_str(word()?)?;
    let data = match word()? {
        "A" => RData::A(A(word()?.parse()?)),
        "AAAA" => RData::AAAA(AAAA(word()?.parse()?)),
        "PTR" => RData::PTR(PTR(Name::from_str(word()?)?)),
        "SRV" => RData::SRV(SRV::new(
            word()?.parse()?,
            word()?.parse()?,
            word()?.parse()?,
            Name::from_str(word()?)?,
        )),
        other => anyhow::bail!("the type {other} is not used here"),
    };
    Ok(Record::from_rdata(owner, TTL, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_ends_today_or_a_little_earlier() {
        for now in ["2027-03-05T00:00:01Z", "2030-12-31T23:59:59Z", "2026-11-21T12:00:00Z"] {
            let now: jiff::Timestamp = now.parse().expect("a time");
            let days = days_to_move(now.to_zoned(jiff::tz::TimeZone::UTC));
            let last = LOGS
                .iter()
                .flat_map(|(_, text)| {
                    moved(text, days).lines().map(str::to_owned).collect::<Vec<_>>()
                })
                .filter_map(|line| stamp(&line))
                .max()
                .expect("stamps");
            let last = last.to_zoned(jiff::tz::TimeZone::UTC).expect("UTC has no gaps").timestamp();
            let age = now.as_second() - last.as_second();
            assert!((0..=86_400).contains(&age), "{now}: the last line is {age} s old");
        }
    }

    #[test]
    fn every_line_keeps_its_text() {
        for (name, text) in LOGS {
            assert_eq!(moved(text, 0), text, "{name}: moving by no day changes nothing");
        }
    }

    #[test]
    fn every_record_is_read() {
        assert!(records(DNS).expect("all records").len() > 20);
    }
}

//! `helostat retire`: the orderly end of a zone (RFC 6471 section 3.4).
//!
//! That a zone has ended is a decision like others: an entry `[[retired]]` of the file of decisions, which the running daemon
//! is asked to read. A zone that nobody serves is refused, for then the name is mistyped; but an end can be taken back
//! of a zone that has left the configuration since. What such a zone answers is the server's business.

use serde::Serialize;

use helostat_zones::operator::Place;
use helostat_zones::time::Time;

use crate::cli::{ConfigArgs, RetireArgs};
use crate::command::load_config;
use crate::config::{Config, DomainName, Ended, typed};
use crate::exit::{Exit, Failure};
use crate::out;

use super::file::DecisionsFile;
use super::{file_of, now, table, take_over};

/// Runs `helostat retire`.
pub fn run(args: &ConfigArgs, asked: &RetireArgs) -> Result<(), Failure> {
    let config = load_config(args)?;
    let Some(typed) = &asked.zone else { return list(&config, asked.json) };
    let zone = DomainName::parse(typed).map_err(|why| {
        Failure::say(Exit::Usage, format!("'{}' is no zone: {why}", typed.escape_debug()))
    })?;
    let file = DecisionsFile::open(file_of(args, &config)?)?;
    let elsewhere = config.ended.iter().find(|it| it.zone == zone && !file.holds(&it.place));
    if let Some(Ended { place, .. }) = elsewhere {
        let sentence = format!("that {zone} has ended stands at {place}: change it there");
        return Err(Failure::say(Exit::Failed, sentence));
    }
    if asked.undo { undo(&config, &file, &zone) } else { end(&config, &file, zone, asked) }
}

fn end(
    config: &Config,
    file: &DecisionsFile,
    zone: DomainName,
    asked: &RetireArgs,
) -> Result<(), Failure> {
    let names = config.zone_names();
    if !names.contains(&zone.to_string()) {
        let sentence = format!("there is no zone {zone}; the zones are {}", names.join(", "));
        return Err(Failure::say(Exit::Usage, sentence));
    }
    let text = asked.say.clone().unwrap_or_default();
    if !text.is_empty() {
        typed::notice(&text)
            .map_err(|why| Failure::say(Exit::Usage, format!("what it says: {why}")))?;
    }
    // Who says it once more, with other words, does not end it anew.
    let before = config.ended.iter().find(|it| it.zone == zone);
    let since = before.and_then(|it| it.since).unwrap_or_else(now);
    let ended = Ended { zone, since: Some(since), text, place: Place::default() };
    file.end(&ended.zone, Some(&ended))?;
    let zone = &ended.zone;
    out::line(format!("{zone} lists nobody any more, in {}", file.path().display()))?;
    out::note(
        "keep it served, and its domain yours, until nobody asks: the end of a zone takes long (docs/publishing.md); --undo takes it back",
    );
    take_over(config)
}

fn undo(config: &Config, file: &DecisionsFile, zone: &DomainName) -> Result<(), Failure> {
    if file.end(zone, None)?.is_none() {
        let sentence = format!("{zone} has not ended: `helostat retire` lists what has");
        return Err(Failure::say(Exit::Failed, sentence));
    }
    out::line(format!("{zone} answers again; who asked it may take three hours to notice"))?;
    take_over(config)
}

/// An end as JSON shows it.
#[derive(Serialize)]
struct Listed {
    zone: String,
    since: Option<Time>,
    text: String,
    /// False if no zone has the name any more.
    served: bool,
    place: Place,
}

fn list(config: &Config, json: bool) -> Result<(), Failure> {
    let names = config.zone_names();
    let listed = config.ended.iter().map(|ended| {
        let Ended { zone, since, text, place } = ended.clone();
        let zone = zone.to_string();
        Listed { served: names.contains(&zone), zone, since, text, place }
    });
    let mut listed: Vec<_> = listed.collect();
    listed.sort_by(|one, other| one.place.cmp(&other.place));
    if json {
        return Ok(out::json(&listed)?);
    }
    let row = |it: &Listed| {
        let since = it.since.map_or_else(|| "-".to_owned(), |since| since.to_string());
        let served = if it.served { "yes" } else { "no" };
        [it.zone.clone(), since, served.to_owned(), it.text.clone(), it.place.to_string()]
    };
    let rows: Vec<_> = listed.iter().map(row).collect();
    out::text(table(["zone", "since", "served", "it says", "where"], &rows))?;
    if rows.is_empty() {
        out::note("no zone has ended");
    }
    Ok(())
}

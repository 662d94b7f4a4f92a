//! `helostat stats`: tables of what logs tell, beside the ledger.
//!
//! One so far, `--cbv`: what came of the callbacks by which a mail server verified senders, by month. It reads logs and
//! nothing else: no ledger, no daemon, and no configuration where logs are named.

use std::path::{Path, PathBuf};

use helostat_ingest::cbv::{Counter, Counts, Stage, Table};
use helostat_ingest::old::{self, OldLog};
use helostat_ingest::pipeline;
use helostat_ingest::source::History;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::learn::progress_bar;
use super::load_config;
use crate::cli::{ConfigArgs, StatisticsArgs};
use crate::exit::{Exit, Failure};
use crate::{out, settings};

/// Runs the command.
pub fn run(config: &ConfigArgs, args: &StatisticsArgs) -> Result<(), Failure> {
    if !args.cbv {
        return Err(Failure::say(
            Exit::Usage,
            "which statistics? There is --cbv: callback verification, from logs",
        ));
    }
    let zone = zone(args.time_zone.as_deref())?;
    let table = count(&logs(config, args, &zone)?, &zone)?;
    if args.json {
        return Ok(out::json(&json_of(&table))?);
    }
    print(&table)
}

/// The files to read, each with the zone of its stamps.
fn logs(
    config: &ConfigArgs,
    args: &StatisticsArgs,
    zone: &TimeZone,
) -> Result<Vec<(OldLog, TimeZone)>, Failure> {
    if !args.logs.is_empty() {
        return Ok(in_order(&args.logs, zone)?.collect());
    }
    let mut logs = Vec::new();
    for log in load_config(config)?.logs {
        let zone = match (&args.time_zone, &log.time_zone) {
            (None, Some(own)) => self::zone(Some(own))?,
            _ => zone.clone(),
        };
        logs.extend(in_order(&[log.path], &zone)?);
    }
    if logs.is_empty() {
        return Err(Failure::say(
            Exit::Usage,
            "no log is named, and the configuration has no [[log]]",
        ));
    }
    Ok(logs)
}

fn zone(name: Option<&str>) -> Result<TimeZone, Failure> {
    settings::time_zone(name).map_err(|error| Failure::new(Exit::Usage, error))
}

fn in_order(
    paths: &[PathBuf],
    zone: &TimeZone,
) -> Result<impl Iterator<Item = (OldLog, TimeZone)> + use<>, Failure> {
    let files = old::in_order(paths, zone).map_err(|error| Failure::new(Exit::Input, error))?;
    let zone = zone.clone();
    Ok(files.into_iter().map(move |file| (file, zone.clone())))
}

/// Counts by the months of `months`.
fn count(logs: &[(OldLog, TimeZone)], months: &TimeZone) -> Result<Table, Failure> {
    let mut counter = Counter::new(months.clone());
    let bar = progress_bar(Path::new(""), logs.iter().map(|(file, _)| file.bytes).sum());
    let mut before = 0;
    for (file, zone) in logs {
        bar.set_message(file.path.display().to_string());
        counter.file(zone.clone());
        let read = History::open(&file.path).and_then(|mut source| {
            let mut each = |line: &[u8], latest| counter.line(line, latest);
            pipeline::lines(&mut source, &mut each, &mut |octets| bar.set_position(before + octets))
        });
        if let Err(error) = read {
            bar.finish_and_clear();
            return Err(Failure::new(Exit::Input, error));
        }
        before += file.bytes.unwrap_or_default();
    }
    bar.finish_and_clear();
    Ok(counter.finish())
}

/// The numbers of a month by the words of the table, in the order of its columns; but for calls and skips.
fn ends(counts: &Counts) -> Vec<(&'static str, u64)> {
    let mut ends = vec![
        ("bad-domain", counts.bad_domain),
        ("no-mx", counts.no_mx),
        ("bad-connect", counts.bad_connect),
    ];
    ends.extend(Stage::ALL.map(Stage::word).into_iter().zip(counts.refused));
    ends.extend([
        ("put-off", counts.put_off),
        ("accepted", counts.accepted),
        ("other", counts.other),
    ]);
    ends
}

/// `part` of `whole` in thousandths, rounded; nothing of nothing.
fn thousandths(part: u64, whole: u64) -> Option<u64> {
    let rounded = u128::from(part) * 1000 + u128::from(whole) / 2;
    rounded.checked_div(u128::from(whole)).and_then(|number| u64::try_from(number).ok())
}

fn percent(part: u64, whole: u64) -> String {
    thousandths(part, whole)
        .map_or_else(|| "-".to_owned(), |number| format!("{}.{}%", number / 10, number % 10))
}

/// For each month, and for all, a row of numbers and below it one of percentages: skips of all checks, the rest of the calls.
fn print(table: &Table) -> Result<(), Failure> {
    let total = table.total();
    let mut rows = vec![["month", "calls", "skips"].map(str::to_owned).to_vec()];
    if let Some(head) = rows.first_mut() {
        head.extend(ends(&total).iter().map(|(word, _)| (*word).to_owned()));
    }
    let months = table.months().map(|(month, counts)| (month.to_string(), counts));
    for (month, counts) in months.chain([("total".to_owned(), &total)]) {
        let calls = counts.calls();
        let mut numbers = vec![month, calls.to_string(), counts.skipped.to_string()];
        let mut shares =
            vec![String::new(), String::new(), percent(counts.skipped, counts.checks())];
        for (_, number) in ends(counts) {
            numbers.push(number.to_string());
            shares.push(percent(number, calls));
        }
        rows.extend([numbers, shares]);
    }
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(String::len).max().unwrap_or(0))
        .collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| match at {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        out::line(cells.collect::<Vec<_>>().join("  "))?;
    }
    if table.of_others > 0 {
        let probes = out::count(usize::try_from(table.of_others).unwrap_or(usize::MAX), "probe");
        out::note(format!("not counted: {probes} of addresses that nobody sent from (recipients)"));
    }
    Ok(())
}

fn json_of(table: &Table) -> Value {
    let months = table.months().map(|(month, counts)| {
        let mut object = json_of_counts(counts);
        if let Value::Object(fields) = &mut object {
            fields.insert("month".to_owned(), month.to_string().into());
        }
        object
    });
    json!({
        "months": months.collect::<Vec<_>>(),
        "total": json_of_counts(&table.total()),
        "probes_not_counted": table.of_others,
    })
}

fn json_of_counts(counts: &Counts) -> Value {
    let refused = Stage::ALL.map(Stage::word).into_iter().zip(counts.refused);
    json!({
        "calls": counts.calls(),
        "skips": counts.skipped,
        "bad_domain": counts.bad_domain,
        "no_mx": counts.no_mx,
        "bad_connect": counts.bad_connect,
        "refused": refused.map(|(word, number)| (word.to_owned(), number.into())).collect::<serde_json::Map<_, _>>(),
        "put_off": counts.put_off,
        "accepted": counts.accepted,
        "other": counts.other,
        "percent": percentages(counts),
    })
}

/// As numbers; what is a share of nothing is null.
fn percentages(counts: &Counts) -> Value {
    let share = |part, whole| match thousandths(part, whole).and_then(|n| u32::try_from(n).ok()) {
        Some(number) => Value::from(f64::from(number) / 10.0),
        None => Value::Null,
    };
    let calls = counts.calls();
    let mut shares = serde_json::Map::new();
    shares.insert("skips".to_owned(), share(counts.skipped, counts.checks()));
    for (word, number) in ends(counts) {
        shares.insert(word.replace('-', "_"), share(number, calls));
    }
    Value::Object(shares)
}

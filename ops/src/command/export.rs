//! `helostat export`: a zone as a file of another program, once, or kept fresh.
//!
//! In goes a zone of the configuration and a format; out comes the file, to standard output or in the place of an old one (`file`), and a
//! line or JSON that says what was written. The daemon that has the ledger open is asked, over its control socket; its answer is the file, an octet
//! 0 (no file has one), and the summary as JSON. Without a daemon the ledger is opened here, and no finding of the DNS counts.
//!
//! With `--watch` the daemon is asked again after every interval; it answers without a file if neither its ledger, its decisions nor time has
//! changed anything. While it does not run, the file stays as it is, and that is said once. Ended by a signal.

mod file;

use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use helostat_server::catalog::Catalog;
use helostat_server::export::{self, Order, Summary};
use helostat_server::ledger_judge::LedgerJudge;
use helostat_server::live::{Live, LiveConfig};
use prometheus::Registry;

use self::file::{Output, Written};
use crate::cli::ExportArgs;
use crate::config::{Config, Zone};
use crate::control::Daemon;
use crate::exit::{Exit, Failure};
use crate::{out, settings};

/// What stands between the file and the summary.
const END: u8 = 0;
/// How much is read and written at once.
const PIECE_BYTES: usize = 64 << 10;

/// Runs the command.
pub fn run(config: &Config, args: &ExportArgs) -> Result<(), Failure> {
    let mut order = order(config, args)?;
    let Some(path) = &args.output else {
        let mut stdout = BufWriter::with_capacity(PIECE_BYTES, io::stdout().lock());
        let summary = fetch(config, &order, &mut stdout)?;
        stdout.flush()?;
        warn(&summary, None);
        return Ok(());
    };
    if !args.watch {
        let (summary, written) = replace(config, &order, path)?;
        warn(&summary, None);
        return tell(args, path, &summary, written);
    }
    if Daemon::of(&config.ledger.path).is_none() {
        return Err(Failure::say(
            Exit::Ledger,
            "--watch asks the daemon, and none runs: start it, or export once without --watch",
        ));
    }
    let (mut said, mut left_out) = (None, 0);
    loop {
        match replace(config, &order, path) {
            Ok((summary, written)) => {
                warn(&summary, Some(left_out));
                if said.take().is_some() || written == Written::New {
                    tell(args, path, &summary, written)?;
                }
                left_out = summary.left_out;
                order.last = Some(summary.seen);
            }
            Err(failure) => {
                let why = format!("{:#}", failure.error);
                if said.as_ref() != Some(&why) {
                    out::note(format_args!("helostat: {why}; the file stays as it is"));
                    said = Some(why);
                }
                // The next daemon may know other things.
                order.last = None;
            }
        }
        std::thread::sleep(args.interval);
    }
}

/// What is wanted, by the zones of the configuration.
fn order(config: &Config, args: &ExportArgs) -> Result<Order, Failure> {
    let unsound = |error| Failure::new(Exit::Usage, error);
    let lists = settings::lists(config).map_err(unsound)?;
    let catalog = Catalog::new(&settings::dns(config).zones, &lists).map_err(unsound)?;
    let longest_ttl = u32::try_from(args.interval.as_secs()).unwrap_or(u32::MAX);
    let order = Order::new(&catalog, &args.zone, args.format, longest_ttl)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let zone = order.zone.as_str();
    let origin = zone.split_once('.').map_or("", |(_, origin)| origin);
    if config.ended.iter().any(|ended| [zone, origin].contains(&ended.zone.as_str())) {
        let why = format!("{zone} has ended (helostat retire): there is nothing to export");
        return Err(Failure::say(Exit::Usage, why));
    }
    let is_dry = |it: &Zone| {
        let mut kinds = it.dry_run.iter().map(|kind| format!("{}.{}", kind.word(), it.origin));
        kinds.any(|dry| dry == zone)
    };
    if config.zones.iter().any(is_dry) {
        out::note(format_args!(
            "helostat: {zone} is on trial (dry-run): the file has what helostat itself does not say yet"
        ));
    }
    Ok(order)
}

/// Puts a file in the place of the old one, if it says something else.
fn replace(config: &Config, order: &Order, path: &Path) -> Result<(Summary, Written), Failure> {
    let mut output = Output::begin(path)?;
    let mut order = order.clone();
    order.above = output.serial();
    if order.above.is_none() {
        // Somebody took the file away, or it never was.
        order.last = None;
    }
    let fetched = fetch(config, &order, &mut output);
    // What is wrong with the disk says more than that the daemon was not listened to.
    let summary = fetched.map_err(|failure| output.failure(failure))?;
    if summary.is_current {
        output.discard()?;
        return Ok((summary, Written::Same));
    }
    let written = output.finish(summary.serial)?;
    Ok((summary, written))
}

/// Has the file written to `to`, by the daemon or from the ledger.
fn fetch(config: &Config, order: &Order, to: &mut dyn Write) -> Result<Summary, Failure> {
    if let Some(daemon) = Daemon::of(&config.ledger.path) {
        let body = serde_json::to_vec(order)?;
        let mut answer = daemon.post("/v1/export", &body)?;
        return Ok(read_answer(&mut answer, to)?);
    }
    if order.last.is_some() {
        return Err(Failure::say(Exit::Ledger, "the daemon does not run any more"));
    }
    let ledger = super::ledger::open_existing(config)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let _inside = runtime.enter();
    let unasked = LiveConfig { enabled: false, ..settings::live(config) };
    let live = Live::new(unasked, &Registry::new())?;
    let judge = LedgerJudge::new(Arc::new(ledger), live, settings::policy(config));
    judge.set_decisions(config.decisions.clone());
    Ok(export::write(&judge, order, to)?)
}

/// Writes the file and the summary, as the control socket gives them.
pub fn answer(judge: &LedgerJudge, order: &Order, to: &mut dyn Write) -> io::Result<()> {
    let summary = export::write(judge, order, to)?;
    to.write_all(&[END])?;
    Ok(serde_json::to_writer(to, &summary)?)
}

fn read_answer(answer: &mut dyn Read, to: &mut dyn Write) -> io::Result<Summary> {
    let bar = out::meter("octets");
    let mut piece = vec![0; PIECE_BYTES];
    let mut summary = Vec::new();
    let mut has_ended = false;
    loop {
        let read = answer.read(&mut piece)?;
        let came = piece.get(..read).unwrap_or_default();
        if came.is_empty() {
            break;
        }
        bar.inc(came.len() as u64);
        if has_ended {
            summary.extend_from_slice(came);
            continue;
        }
        match came.iter().position(|octet| *octet == END) {
            Some(end) => {
                let (file, behind) = came.split_at(end);
                to.write_all(file)?;
                summary.extend_from_slice(behind.get(1..).unwrap_or_default());
                has_ended = true;
            }
            None => to.write_all(came)?,
        }
    }
    bar.finish_and_clear();
    Ok(serde_json::from_slice(&summary)?)
}

/// Names that are too long for a file: said when their number changes.
fn warn(summary: &Summary, before: Option<u64>) {
    let n = summary.left_out;
    if n > 0 && before != Some(n) {
        out::note(format_args!(
            "helostat: {n} left out: names that are too long, or with an underscore (which BIND refuses), or large networks of fp"
        ));
    }
}

#[derive(serde::Serialize)]
struct Told<'a> {
    file: &'a Path,
    zone: &'a str,
    format: &'a str,
    entries: u64,
    left_out: u64,
    serial: Option<u32>,
    changed: bool,
}

fn tell(
    args: &ExportArgs,
    path: &Path,
    summary: &Summary,
    written: Written,
) -> Result<(), Failure> {
    let changed = written != Written::Same;
    if args.json {
        let told = Told {
            file: path,
            zone: &args.zone,
            format: args.format.word(),
            entries: summary.entries,
            left_out: summary.left_out,
            serial: changed.then_some(summary.serial),
            changed,
        };
        // One line for each time, for who reads on.
        return Ok(out::line(serde_json::to_string(&told)?)?);
    }
    let Summary { entries, serial, .. } = summary;
    let file = path.display();
    Ok(out::line(match changed {
        true => format!("{file}: {entries} entries, serial {serial}"),
        false => format!("{file}: unchanged"),
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_file_and_a_summary() {
        let summary = r#"{"is_current":false,"entries":2,"left_out":0,"serial":7,"seen":{"stamp":"1.2","until":"2026-11-28T00:00:00Z"}}"#;
        let answer = format!("a\nb\n\0{summary}");
        let mut file = Vec::new();
        let read = read_answer(&mut answer.as_bytes(), &mut file).expect("sound");
        assert_eq!((file.as_slice(), read.entries, read.serial), (&b"a\nb\n"[..], 2, 7));
        assert!(read_answer(&mut &b"a\nb\n"[..], &mut Vec::new()).is_err(), "it ended too early");
    }
}

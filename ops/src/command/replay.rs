//! `helostat replay`: what would have been said of old mail, before anything is enforced.
//!
//! Reads logs and tables, plays them in the order of time in memory, and reports. No ledger is opened and no daemon
//! asked; no configuration is needed. Only `--keep`, `--html` and `--per-message` write files, and those that are
//! to be written are made before the long work begins.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use helostat_ingest::learner::Learning;
use helostat_ingest::old;
use helostat_zones::observation::ReporterKind;
use helostat_zones::time::Time;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::learn::progress_bar;
use crate::cli::ReplayArgs;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::replay::html;
use crate::replay::keep::{Keep, KeepError};
use crate::replay::per_message::PerMessage;
use crate::replay::play::{Setting, play};
use crate::replay::policies::policies;
use crate::replay::read::{Read, read};
use crate::replay::report::{Making, Report};
use crate::replay::sites::Kinds;
use crate::settings::Lines;
use crate::{lists, out, settings};
use helostat_zones::operator::Decisions;
use helostat_zones::replay::Player;

/// The most policies that are compared.
const POLICIES_MAX: usize = 2;

/// Runs the command.
pub fn run(config: &Config, args: &ReplayArgs) -> Result<(), Failure> {
    let usage = |error| Failure::new(Exit::Usage, error);
    let kinds = Kinds::parse(&args.reporter_kind).map_err(|why| Failure::say(Exit::Usage, why))?;
    if args.policy.len() > POLICIES_MAX {
        return Err(Failure::say(Exit::Usage, "at most two policies can be compared"));
    }
    let policies =
        policies(config, &args.policy).map_err(|error| Failure::new(Exit::Usage, error))?;
    let learning = learning(config, args).map_err(usage)?;
    let files = old::in_order(&args.files, &learning.zone)
        .map_err(|error| Failure::new(Exit::Input, error))?;
    let to_stdout = args.per_message.as_deref() == Some(Path::new("-"));
    if to_stdout && args.json {
        let why = "--json and --per-message - would both write to standard output: give one a file";
        return Err(Failure::say(Exit::Usage, why));
    }
    let mut setting = Setting {
        kinds: &kinds,
        warm_days: args.warm,
        policies: policies.len(),
        measures: args.measures,
        per_message: per_message(args, policies.len())?,
        keep: keep(config, args.keep.as_deref())?,
    };
    let page = args.html.as_deref().map(|path| create(path).map(|file| (path, file)));
    let page = page.transpose()?;

    let begun = Instant::now();
    let bar = progress_bar(Path::new(""), files.iter().map(|file| file.bytes).sum());
    let mut progress = |octets, path: &Path| {
        bar.set_position(octets);
        bar.set_message(path.display().to_string());
    };
    let read = read(&files, &args.files, &learning, now(), &mut progress);
    bar.finish_and_clear();
    let Read { mut reel, mut counts, records } =
        read.map_err(|error| Failure::new(Exit::Input, error))?;
    let strangers = kinds.strangers(&reel.sites).into_iter();
    counts.notes.extend(strangers.map(|site| format!("no message is of the site '{site}'")));
    counts.notes.iter().for_each(out::note);
    if reel.is_empty() {
        return Err(Failure::say(Exit::Input, "there is no message with a name to play"));
    }

    let names: Vec<_> = policies.iter().map(|policy| policy.name.clone()).collect();
    let numbers = policies.into_iter().map(|policy| policy.policy).collect();
    let decisions = Decisions::clone(&config.decisions).with_lists(lists::deciding(config)?);
    let mut player = Player::new(numbers, decisions, settings::bounds(config));
    let bar = message_bar(reel.len() as u64);
    let playing = Instant::now();
    let played = play(&mut reel, &mut player, &mut setting, &mut |n| bar.set_position(n));
    bar.finish_and_clear();
    let played = played?;
    player.settle();
    let (messages, seconds) = (played.messages, playing.elapsed().as_secs_f64());
    if let Some(keep) = setting.keep.take() {
        keep.finish(records).map_err(|error| Failure::new(Exit::Ledger, error))?;
    }

    let making =
        Making { policies: &names, counts, reel: &reel, player: &player, warm_days: args.warm };
    let report = making.report(played);
    if let Some((path, mut file)) = page {
        let written = file.write_all(html::page(&report).as_bytes()).and_then(|()| file.flush());
        written.map_err(|error| cannot_write(path, &error))?;
    }
    tell(&report, args.json, to_stdout)?;
    let rate = messages as f64 / seconds.max(1e-9);
    out::note(format_args!(
        "played {messages} messages in {seconds:.1} s: {rate:.0} messages/s ({:.1} s with reading)",
        begun.elapsed().as_secs_f64(),
    ));
    Ok(())
}

/// The report goes to standard output, unless lines of messages went there.
fn tell(report: &Report, json: bool, stdout_is_taken: bool) -> Result<(), Failure> {
    if stdout_is_taken {
        out::note(report.to_string().trim_end());
        return Ok(());
    }
    if json {
        return Ok(out::json(report)?);
    }
    Ok(out::text(report)?)
}

fn learning(config: &Config, args: &ReplayArgs) -> anyhow::Result<Learning> {
    let lines = Lines {
        format: args.format.parse()?,
        reporter: &args.reporter,
        // Each site has its own, which is looked up when its messages are played.
        reporter_kind: ReporterKind::default(),
        time_zone: args.time_zone.as_deref(),
    };
    Ok(Learning { samples: args.unparsed.unwrap_or(0), ..settings::learning(config, &lines)? })
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
    Ok(BufWriter::with_capacity(1 << 18, file))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::say(Exit::Failed, format_args!("{} cannot be written: {error}", path.display()))
}

fn per_message(args: &ReplayArgs, policies: usize) -> Result<Option<PerMessage>, Failure> {
    let Some(path) = args.per_message.as_deref() else { return Ok(None) };
    let out: Box<dyn Write> = if path == Path::new("-") {
        Box::new(BufWriter::with_capacity(1 << 18, io::stdout()))
    } else {
        Box::new(create(path)?)
    };
    let lines = PerMessage::new(out, policies, args.measures);
    lines.map(Some).map_err(|error| Failure::new(Exit::Failed, error))
}

fn keep(config: &Config, path: Option<&Path>) -> Result<Option<Keep>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let path: PathBuf = path.components().collect();
    match Keep::new(&path, settings::bounds(config)) {
        Ok(keep) => Ok(Some(keep)),
        Err(error @ KeepError::Exists(_)) => Err(Failure::new(Exit::Usage, error)),
        Err(error) => Err(Failure::new(Exit::Ledger, error)),
    }
}

/// A bar that counts messages, on a terminal.
fn message_bar(messages: u64) -> ProgressBar {
    let bar = ProgressBar::new(messages);
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let template = "playing [{bar:30}] {human_pos}/{human_len} messages, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

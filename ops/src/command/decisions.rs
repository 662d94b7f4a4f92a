//! `helostat allow`, `helostat deny`, `helostat decisions`, `helostat retire`: the operator's own decisions from the command line.
//!
//! What is decided goes into one file of the configuration (`file` of `[operator]`), and the running daemon is
//! asked to read it. Decisions in other files are listed, and named where they stand in the way, but never
//! changed: their author writes them with an editor. Everything is checked before anything is written, and what
//! would be written is read once more: a failure leaves the file as it was.

mod file;
pub mod retire;

use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use helostat_zones::operator::{Decision, Decisions, Kind, Place, Subject};
use helostat_zones::time::Time;
use ipnet::IpNet;
use serde::Serialize;

use crate::cli::{ConfigArgs, DecideArgs, DecisionsArgs, DecisionsCommand, RemoveArgs};
use crate::command::load_config;
use crate::config::{Config, typed};
use crate::control::{Daemon, socket_path};
use crate::exit::{Exit, Failure};
use crate::out;

use file::DecisionsFile;

/// This moment.
pub fn now() -> Time {
    Time::from_unix(jiff::Timestamp::now().as_second())
}

/// What `helostat check` tells of decisions that hold no more.
pub fn notes(config: &Config, now: Time) -> Vec<String> {
    let mut expired = config.decisions.expired(now);
    let Some(first) = expired.next() else { return Vec::new() };
    let others = match expired.count() {
        0 => String::new(),
        more => format!(", and so do {more} others"),
    };
    let Decision { kind, subject, place, .. } = first;
    let until = first.until.unwrap_or_default();
    vec![format!(
        "{place}: the {kind} of {subject} expired at {until} and holds no more{others}; `helostat decisions --expired` lists what can be taken out"
    )]
}

/// Runs `helostat allow` and `helostat deny`.
pub fn add(args: &ConfigArgs, kind: Kind, typed: &DecideArgs) -> Result<(), Failure> {
    let now = now();
    let (decision, until) = decided(kind, typed, now)?;
    let config = load_config(args)?;
    let file = DecisionsFile::open(file_of(args, &config)?)?;
    let elsewhere = |it: &&Decision| it.subject == decision.subject && !file.holds(&it.place);
    if let Some(other) = config.decisions.iter().find(elsewhere) {
        let sentence = format!("{} stands at {} already: change it there", other, other.place);
        return Err(Failure::say(Exit::Failed, sentence));
    }
    let replaced = file.replace(&decision.subject, Some((&decision, until.as_deref())))?;
    if let Some(old) = replaced {
        out::line(format!("instead of: {}", old))?;
    }
    out::line(format!("{}, in {}", decision, file.path().display()))?;
    if let Subject::Prefix(IpNet::V6(net)) = &decision.subject
        && net.prefix_len() == 128
    {
        let wider = ipnet::Ipv6Net::new_assert(net.addr(), 64).trunc();
        out::note(format!(
            "this is the one address; hosts change the low half of theirs at will: for all of its /64 write {wider}"
        ));
    }
    if decision.needs_agreement() {
        out::note(
            "anybody can say a name: it counts for clients with which its DNS agrees, and in pairs that stand",
        );
    }
    take_over(&config)
}

/// What was typed, as a decision, and its `until` as it is to be written.
fn decided(
    kind: Kind,
    typed: &DecideArgs,
    now: Time,
) -> Result<(Decision, Option<String>), Failure> {
    let wrong = |sentence: String| Failure::say(Exit::Usage, sentence);
    let subject = subject(&typed.subject)?;
    if let Some(why) = subject.objection(kind) {
        return Err(wrong(format!("'{subject}' cannot be allowed: {why}")));
    }
    typed::reason(&typed.reason).map_err(|why| wrong(format!("the reason: {why}")))?;
    let author = match &typed.author {
        Some(author) => author.clone(),
        None => who_calls(),
    };
    if !author.is_empty() {
        typed::author(&author).map_err(|why| wrong(format!("the author: {why}")))?;
    }
    let (until, written) = match (&typed.lasting, &typed.until) {
        (Some(text), _) => {
            let lasting = typed::duration(text).ok_or_else(|| {
                wrong(format!("'{}' is no duration: write 30m, 12h or 30d", text.escape_debug()))
            })?;
            let until = now.after(lasting);
            (Some(until), Some(until.to_string()))
        }
        (None, Some(text)) => {
            let shown = text.escape_debug();
            let until =
                typed::until(text).map_err(|why| wrong(format!("'{shown}' is no date: {why}")))?;
            if until <= now {
                return Err(wrong(format!("'{shown}' is over already")));
            }
            (Some(until), Some(text.clone()))
        }
        (None, None) => (None, None),
    };
    let reason = typed.reason.clone();
    let place = Place::default();
    Ok((Decision { kind, subject, reason, author, added: Some(now), until, place }, written))
}

fn subject(text: &str) -> Result<Subject, Failure> {
    Subject::parse(text).map_err(|why| {
        Failure::say(Exit::Usage, format!("'{}' is nobody: {why}", text.escape_debug()))
    })
}

/// Who calls: behind sudo the one who called that, else the environment's word, else whoever owns this process.
fn who_calls() -> String {
    let names = ["SUDO_USER", "USER", "LOGNAME"];
    let mut names = names.into_iter().filter_map(|it| std::env::var(it).ok());
    let named = names.find(|name| typed::author(name).is_ok());
    named.or_else(login_name).unwrap_or_default()
}

/// The name of this process's user in /etc/passwd (passwd(5): the third field is the number).
fn login_name() -> Option<String> {
    let user = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').nth(2) == Some(&user))?;
    line.split(':').next().filter(|name| typed::author(name).is_ok()).map(str::to_owned)
}

/// The file that is written. That of the example is emptied whenever it starts.
fn file_of<'a>(args: &ConfigArgs, config: &'a Config) -> Result<&'a Path, Failure> {
    if args.example && Daemon::of(&config.ledger.path).is_none() {
        let sentence = "the example does not run: start it with `helostat run --example`, or name a configuration with --config FILE";
        return Err(Failure::say(Exit::Usage, sentence));
    }
    let file = config.operator.file.as_deref();
    file.ok_or_else(|| Failure::say(Exit::Usage, "`file` in [operator] names no file"))
}

/// Asks the running daemon to read its configuration again.
fn take_over(config: &Config) -> Result<(), Failure> {
    let ledger = &config.ledger.path;
    if let Some(daemon) = Daemon::of(ledger) {
        let mut answer = String::new();
        let asked =
            daemon.post("/v1/reload", &[]).and_then(|mut it| it.read_to_string(&mut answer));
        return match asked {
            Ok(_) => Ok(out::line("the daemon has taken it over")?),
            Err(why) => {
                let sentence = format!("it is written, but the daemon did not take it over: {why}");
                Err(Failure::say(Exit::Failed, sentence))
            }
        };
    }
    let denied = UnixStream::connect(socket_path(ledger))
        .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    Ok(out::line(if denied {
        "it is written, but you may not ask the daemon: it takes effect when it reloads (SIGHUP)"
    } else {
        "no daemon runs here: it takes effect at the next start"
    })?)
}

/// Runs `helostat decisions`.
pub fn run(args: &ConfigArgs, asked: &DecisionsArgs) -> Result<(), Failure> {
    let config = load_config(args)?;
    match &asked.command {
        Some(DecisionsCommand::Remove(typed)) => remove(args, &config, typed),
        None => list(&config.decisions, asked, now()),
    }
}

fn remove(args: &ConfigArgs, config: &Config, typed: &RemoveArgs) -> Result<(), Failure> {
    let subject = subject(&typed.subject)?;
    let file = DecisionsFile::open(file_of(args, config)?)?;
    if let Some(old) = file.replace(&subject, None)? {
        out::line(format!("removed: {}", old))?;
        return take_over(config);
    }
    let elsewhere = config.decisions.iter().find(|decision| decision.subject == subject);
    let sentence = match elsewhere {
        Some(other) => format!("{} stands at {}: take it out there", other, other.place),
        None => format!("nothing is decided on {subject}: `helostat decisions` lists what is"),
    };
    Err(Failure::say(Exit::Failed, sentence))
}

/// A decision as JSON shows it.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    decision: &'a Decision,
    expired: bool,
}

fn list(decisions: &Decisions, asked: &DecisionsArgs, now: Time) -> Result<(), Failure> {
    let mut listed: Vec<_> =
        decisions.iter().filter(|decision| decision.holds(now) != asked.expired).collect();
    listed.sort_by(|one, other| one.place.cmp(&other.place));
    if asked.json {
        let listed = listed.iter().map(|decision| Listed { decision, expired: asked.expired });
        return Ok(out::json(&listed.collect::<Vec<_>>())?);
    }
    out::text(table(["what", "whom", "until", "by", "reason", "where"], &rows(&listed)))?;
    let expired = decisions.expired(now).count();
    if listed.is_empty() {
        out::note(if asked.expired { "nothing has expired" } else { "nothing is decided" });
    }
    if expired > 0 && !asked.expired {
        let expired = out::count(expired, "decision");
        out::note(format!("{expired} whose time is over: --expired lists what can be taken out"));
    }
    Ok(())
}

/// What stands in the row of each.
fn rows(listed: &[&Decision]) -> Vec<[String; 6]> {
    let row = |it: &&Decision| {
        let until = it.until.map_or_else(|| "for ever".to_owned(), |until| until.to_string());
        let author = if it.author.is_empty() { "-" } else { &it.author };
        let place = it.place.to_string();
        [
            it.kind.to_string(),
            it.subject.to_string(),
            until,
            author.to_owned(),
            it.reason.clone(),
            place,
        ]
    };
    listed.iter().map(row).collect()
}

/// The rows under a heading; nothing for none.
fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = std::iter::once(heading.map(str::to_owned)).chain(rows.to_vec()).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            // Memory takes everything.
            write!(line, "{cell:width$}  ").unwrap_or_default();
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

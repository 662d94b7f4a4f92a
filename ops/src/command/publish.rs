//! `helostat publish`: whether new listings are held back, and why; `--force` to let them go.

use std::fmt::Write;
use std::io::Read;

use helostat_server::guard::{Cause, Standing};

use crate::cli::PublishArgs;
use crate::config::Config;
use crate::control::Daemon;
use crate::exit::{Exit, Failure};
use crate::out;

/// Runs the command.
pub fn run(config: &Config, args: &PublishArgs) -> Result<(), Failure> {
    let Some(daemon) = Daemon::of(&config.ledger.path) else {
        let why = format!(
            "no daemon runs on the ledger at {}: nothing is published",
            config.ledger.path.display()
        );
        return Err(Failure::say(Exit::Failed, why));
    };
    if args.force {
        drop(daemon.post("/v1/publish/force", &[])?);
    }
    let mut answer = String::new();
    daemon.get("/v1/publish")?.read_to_string(&mut answer)?;
    let standing: Standing = serde_json::from_str(&answer).map_err(anyhow::Error::from)?;
    if args.json { Ok(out::json(&standing)?) } else { Ok(out::text(words(&standing, config))?) }
}

/// How things stand, and what to do.
fn words(standing: &Standing, config: &Config) -> String {
    let Standing { armed, causes, since, listed, new, canaries, held_back, some, forced_until } =
        standing;
    let limits = &config.guard;
    let mut text = String::new();
    let mut line = |said: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        writeln!(text, "{said}").unwrap_or_default();
    };
    match (since, forced_until) {
        _ if !limits.enabled => line(format_args!("The guards are switched off (guard.enabled).")),
        (_, Some(until)) => line(format_args!("Forced: nothing is held back until {until}.")),
        (Some(since), _) => {
            line(format_args!("New listings are held back since {since}; the last answers stay."));
        }
        (None, None) if !armed => {
            line(format_args!("Nothing is held back: the first look at all clients is not done."));
        }
        (None, None) => line(format_args!("Nothing is held back.")),
    }
    line(format_args!("  listed       {listed} clients at the last look at all"));
    line(format_args!(
        "  new          {new} within guard.window; the limit is {} or {}% of those listed",
        limits.new_listings, limits.new_percent
    ));
    line(format_args!(
        "  canaries     {canaries} whose mail was taken lately; the limit is {}",
        limits.canaries
    ));
    if *held_back > 0 {
        let shown: Vec<_> = some.iter().map(ToString::to_string).collect();
        let more = if *held_back > some.len() { ", ..." } else { "" };
        line(format_args!("  held back    {held_back}: {}{more}", shown.join(", ")));
    }
    for cause in causes {
        line(format_args!("{}", advice(*cause)));
    }
    text
}

/// What a postmaster does about it.
fn advice(cause: Cause) -> &'static str {
    match cause {
        Cause::Stale => {
            "stale: nothing was learned for longer than guard.stale-after. Look at the logs that helostat follows \
             (/healthz); it ends with the first line that is learned."
        }
        Cause::Jump => {
            "jump: too many clients would be listed at once. Look at some of them with helostat explain. If they are \
             right: helostat publish --force."
        }
        Cause::Canary => {
            "canary: too many clients whose mail was taken today or yesterday would be listed. Look at some of them \
             with helostat explain. If they are right: helostat publish --force."
        }
        Cause::NeverList => {
            "never-list: a client in guard.never-list would be listed. Look at it with helostat explain. It is not listed \
             in any case; helostat publish --force lets the others go."
        }
    }
}

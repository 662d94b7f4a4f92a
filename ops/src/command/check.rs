//! `helostat check` and `helostat config`: what the configuration says, and what is wrong with it.

use serde_json::json;

use crate::cli::{ConfigArgs, JsonArgs};
use crate::command::{config_path, decisions, load_config};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::out;

/// Runs `helostat check`.
pub fn check(args: &ConfigArgs, JsonArgs { json }: JsonArgs) -> Result<(), Failure> {
    let path = config_path(args);
    let config = if args.example { load_config(args) } else { checked(args, &path, json) }?;
    let warnings = config.warnings();
    let notes = decisions::notes(&config, decisions::now());
    if json {
        let told = json!({ "ok": true, "errors": [], "warnings": warnings, "notes": notes });
        return Ok(out::json(&told)?);
    }
    for warning in &warnings {
        out::note(format!("warning: {warning}"));
    }
    for note in &notes {
        out::note(format!("note: {note}"));
    }
    let what = if args.example { "the example".to_owned() } else { path.display().to_string() };
    Ok(out::line(format!("{what}: ok"))?)
}

fn checked(args: &ConfigArgs, path: &std::path::Path, json: bool) -> Result<Config, Failure> {
    if json && let Err(errors) = Config::load(path) {
        let errors = errors.to_string();
        let errors: Vec<_> = errors.lines().collect();
        out::json(&json!({ "ok": false, "errors": errors, "warnings": [], "notes": [] }))?;
        return Err(Failure::say(Exit::Usage, format!("{}: not valid", path.display())));
    }
    load_config(args)
}

/// Runs `helostat config`.
pub fn show(config: &Config, JsonArgs { json }: JsonArgs) -> Result<(), Failure> {
    if json { Ok(out::json(config)?) } else { Ok(out::text(config.to_toml())?) }
}

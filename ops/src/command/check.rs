//! `helostat check` and `helostat config`: what the configuration says, and what is wrong with it.

use helostat_server::list::Read;
use serde_json::json;

use crate::cli::{ConfigArgs, JsonArgs};
use crate::command::{config_path, decisions, load_config};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::{out, settings};

/// Runs `helostat check`.
pub fn check(args: &ConfigArgs, JsonArgs { json }: JsonArgs) -> Result<(), Failure> {
    let path = config_path(args);
    let config = if args.example { load_config(args) } else { checked(args, &path, json) }?;
    let warnings = config.warnings();
    let mut notes = decisions::notes(&config, decisions::now());
    notes.extend(read_lists(&config, json)?);
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

/// Reads every list, and says what is wrong with it; fails if one cannot be read.
fn read_lists(config: &Config, json: bool) -> Result<Vec<String>, Failure> {
    let lists = settings::lists(config).map_err(|error| Failure::new(Exit::Usage, error))?;
    let (mut notes, mut errors) = (Vec::new(), Vec::new());
    for report in lists.iter().flat_map(|list| list.refresh(decisions::now())) {
        match report.result {
            Ok(Read { entries, complaints, .. }) => {
                notes.extend(complaints.kept.iter().map(ToString::to_string));
                let kept = u64::try_from(complaints.kept.len()).unwrap_or(u64::MAX);
                if complaints.count > kept {
                    let more = complaints.count - kept;
                    notes.push(format!(
                        "{}: {more} more lines of its files are like these",
                        report.zone
                    ));
                }
                if entries == 0 {
                    notes.push(format!("{}: its files list nothing", report.zone));
                }
            }
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() {
        return Ok(notes);
    }
    if json {
        out::json(&json!({ "ok": false, "errors": errors, "warnings": [], "notes": notes }))?;
    }
    Err(Failure::say(Exit::Usage, errors.join("\n")))
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

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
    let mut warnings = config.warnings();
    let mut notes = decisions::notes(&config, decisions::now());
    let (of_lists, more) = read_lists(&config)?;
    warnings.extend(of_lists);
    notes.extend(more);
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

/// Reads every list, and says what is wrong with it: first what leaves a zone without content, then the rest. Neither keeps
/// the daemon from starting, for the other zones are needed all the same.
fn read_lists(config: &Config) -> Result<(Vec<String>, Vec<String>), Failure> {
    let lists = settings::lists(config).map_err(|error| Failure::new(Exit::Usage, error))?;
    let (mut warnings, mut notes) = (Vec::new(), Vec::new());
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
                    warnings.push(format!("{}: its files list nothing", report.zone));
                }
            }
            Err(error) => warnings.push(format!(
                "{error}; a daemon started now would answer SERVFAIL for {}",
                report.zone
            )),
        }
    }
    Ok((warnings, notes))
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

//! `helostat explain`: everything known of an address and a name, for when a customer calls.

use std::io::Read;
use std::sync::Arc;

use helostat_server::ledger_judge::LedgerJudge;
use helostat_server::live::Live;
use helostat_zones::ledger::{Ledger, rescue};
use helostat_zones::name::Name;
use prometheus::Registry;

use crate::cli::ExplainArgs;
use crate::config::Config;
use crate::control::Daemon;
use crate::exit::Failure;
use crate::{lists, out, settings};

/// Runs the command.
pub fn run(config: &Config, args: &ExplainArgs) -> Result<(), Failure> {
    if let Some(daemon) = Daemon::of(&config.ledger.path) {
        return Ok(ask_daemon(&daemon, args)?);
    }
    let (ledger, lists) = (Arc::new(ledger(config)?), lists::deciding(config)?);
    let runtime = tokio::runtime::Runtime::new()?;
    let explanation = runtime.block_on(async {
        let live = Live::new(settings::live(config), &Registry::new())?;
        let judge = LedgerJudge::new(ledger, live, settings::policy(config));
        judge.set_decisions(config.decisions.clone());
        judge.set_lists(&lists);
        let name = args.name.as_ref().map(|name| Name::parse(name.as_bytes()));
        Ok::<_, anyhow::Error>(judge.explain(args.ip, name.as_ref()).await)
    })?;
    if args.json {
        return Ok(out::json(&explanation)?);
    }
    Ok(out::text(explanation)?)
}

/// The ledger, or an empty one where there is none yet: what the DNS says can be explained without.
fn ledger(config: &Config) -> Result<Ledger, Failure> {
    if rescue::is_ledger(&config.ledger.path) {
        return super::ledger::open(config);
    }
    out::note(format_args!(
        "there is no ledger at {} yet: nothing is known but what the DNS says now",
        config.ledger.path.display()
    ));
    Ok(Ledger::in_memory(settings::bounds(config)))
}

fn ask_daemon(daemon: &Daemon, args: &ExplainArgs) -> anyhow::Result<()> {
    let form = if args.json { "json" } else { "text" };
    let mut path = format!("/v1/explain?as={form}&ip={}", args.ip);
    if let Some(name) = &args.name {
        path.push_str("&ehlo=");
        path.push_str(&percent_encoded(name));
    }
    let mut answer = String::new();
    daemon.get(&path)?.read_to_string(&mut answer)?;
    if args.json {
        let value: serde_json::Value = serde_json::from_str(&answer)?;
        return Ok(out::json(&value)?);
    }
    Ok(out::text(answer)?)
}

/// Every octet that is not a letter or a digit as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

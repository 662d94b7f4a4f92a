//! `helostat`: parse, run, end with a documented code.

use std::process::ExitCode;

use clap::Parser;
use helostat::cli::{Cli, Command, FilterCommand};
use helostat::command::{self, load_config, load_config_if_any};
use helostat::exit::{Exit, Failure};
use helostat::{daemon, log, out};
use helostat_zones::operator::Kind;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    log::quiet_sled();
    let Cli { command, config } = Cli::parse();
    let done = match command {
        Command::Run => daemon::run(&config),
        Command::Learn(args) if args.to_json => {
            load_config_if_any(&config).and_then(|c| command::learn::run(&c, &args))
        }
        Command::Learn(args) => load_config(&config).and_then(|c| command::learn::run(&c, &args)),
        Command::Replay(args) => {
            load_config_if_any(&config).and_then(|c| command::replay::run(&c, &args))
        }
        Command::Stats(args) => command::stats::run(&config, &args),
        Command::Explain(args) => {
            load_config(&config).and_then(|c| command::explain::run(&c, &args))
        }
        Command::Ask(args) => command::ask::run(&config, &args),
        Command::Export(args) => load_config(&config).and_then(|c| command::export::run(&c, &args)),
        Command::Check(args) => command::check::check(&config, args),
        Command::Config(args) => load_config(&config).and_then(|c| command::check::show(&c, args)),
        Command::Allow(args) => command::decisions::add(&config, Kind::Allow, &args),
        Command::Deny(args) => command::decisions::add(&config, Kind::Deny, &args),
        Command::Decisions(args) => command::decisions::run(&config, &args),
        Command::Retire(args) => command::decisions::retire::run(&config, &args),
        Command::Publish(args) => {
            load_config(&config).and_then(|c| command::publish::run(&c, &args))
        }
        Command::Filter(FilterCommand::Opensmtpd) => {
            command::filter::opensmtpd();
            Ok(())
        }
        Command::Ledger(args) => load_config(&config).and_then(|c| command::ledger::run(&c, &args)),
    };
    match done {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => report(failure).into(),
    }
}

/// One clear sentence, and the code.
fn report(failure: Failure) -> Exit {
    if out::is_broken_pipe(&failure.error) {
        return Exit::Ok;
    }
    let told = format!("{:#}", failure.error);
    match told.lines().count() {
        0 | 1 => out::note(format!("helostat: {told}")),
        // Many errors at once: each line begins with its place, as editors want it.
        errors => out::note(format!("{told}\nhelostat: {errors} errors")),
    }
    failure.exit
}

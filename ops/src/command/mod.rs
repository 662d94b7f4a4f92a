//! The commands, one file each: arguments in, output and an exit code out.

pub mod ask;
pub mod check;
pub mod decisions;
pub mod explain;
pub mod export;
pub mod filter;
pub mod learn;
pub mod ledger;
pub mod publish;
pub mod replay;
pub mod stats;

use std::path::{Path, PathBuf};

use crate::cli::ConfigArgs;
use crate::config::Config;
use crate::example;
use crate::exit::{Exit, Failure};

/// Where the configuration lies when the command line does not say.
pub const DEFAULT_CONFIG: &str = "/etc/helostat/helostat.toml";

/// The configuration that the command line names.
pub fn load_config(args: &ConfigArgs) -> Result<Config, Failure> {
    if args.example {
        let example = Config::example(&example::directory());
        return example.map_err(|errors| Failure::new(Exit::Usage, errors));
    }
    let path = config_path(args);
    if args.config.is_none() && !path.exists() {
        return Err(Failure::say(
            Exit::Usage,
            format!(
                "there is no configuration at {DEFAULT_CONFIG}: name one with --config FILE, or try --example"
            ),
        ));
    }
    read_config(&path)
}

/// The configuration that the command line names, or, where it names none and there is none, every default:
/// for what needs no ledger and no zone.
pub fn load_config_if_any(args: &ConfigArgs) -> Result<Config, Failure> {
    if !args.example && args.config.is_none() && !Path::new(DEFAULT_CONFIG).exists() {
        return Ok(Config::defaults());
    }
    load_config(args)
}

/// The file that the command line names, or the usual one.
pub fn config_path(args: &ConfigArgs) -> PathBuf {
    args.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG))
}

/// Reads a configuration file.
pub fn read_config(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(|errors| Failure::new(Exit::Usage, errors))
}

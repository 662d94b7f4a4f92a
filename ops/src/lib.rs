//! The program: from what was typed to what happens.
//!
//! - [`cli`]: what can be typed; [`command`]: the commands, one file each; [`exit`]: how they end
//! - [`config`]: the configuration file; [`settings`]: what each crate is told of it
//! - [`replay`]: old mail once more, to see what would have been said of it
//! - [`daemon`]: `helostat run`, everything in one process, from start to end
//! - [`example`], [`welcome`]: a working installation out of nothing
//! - [`http`]: health, metrics, explanations; [`health`]: whether all is well; [`control`]: asking the
//!   running daemon from the command line; [`stream`]: answers that are written while they are sent
//! - [`privileges`]: none, once the sockets are bound
//! - [`postfix`]: the policy service, from the configuration to answers
//! - [`lists`]: the operator's lists, kept as their files are
//! - [`rescue`], [`snapshots`]: what is done with a damaged ledger, and copies against it
//! - [`ledger_metrics`], [`log`], [`out`]: sizes for dashboards, the daemon's log, standard output

pub mod cli;
pub mod command;
pub mod config;
pub mod control;
pub mod daemon;
pub mod example;
pub mod exit;
pub mod guards;
pub mod health;
pub mod http;
pub mod ledger_metrics;
pub mod lists;
pub mod log;
pub mod out;
pub mod postfix;
pub mod privileges;
pub mod replay;
pub mod rescue;
pub mod settings;
pub mod snapshots;
pub mod stream;
pub mod welcome;

//! The whole program, as its users meet it: started, fed with logs, asked, damaged and killed.

mod bad_input;
mod decisions;
mod dns;
mod exactly_once;
mod export;
mod flood;
mod follow;
mod history;
mod hostile;
mod http;
mod journal;
mod learn;
mod ledger;
mod ledger_care;
mod life;
mod lists;
mod load;
mod postfix;
mod publish;
mod replay;
mod retire;
mod stats;
mod syslog;
mod vectors;
mod world;

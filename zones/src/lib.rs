//! The knowledge of helostat: pure, with no sockets and no clock.
//!
//! In the order in which the data meets the parts:
//!
//! - [`time`], [`client`], [`name`]: what a moment, a client and an EHLO name are (parse, then trust)
//! - [`observation`]: one EHLO from one client at one time, with its outcome
//! - [`ledger`]: fold a batch, keep it durable, hold it resident
//! - [`history`]: what the ledger knows of a client, a name, a network, measured at a moment
//! - [`evidence`]: what the DNS says now about a pair, one finding per system
//! - [`policy`], [`weights`]: the numbers
//! - [`measures`], [`testimony`]: what history and findings say for and against a pair, in points
//! - [`rules`]: history, findings and decisions in, verdict out
//! - [`replay`]: old mail judged as it would have been judged then
//! - [`operator`]: the operator's own allow and deny
//! - [`lists`]: the operator's own lists of addresses and names, in the formats of rbldnsd
//! - [`verdict`]: class, score, reasons, until: what is said of a client, a name, a pair
//! - [`key`], [`answer`]: a question's name to a key; a verdict to the records of a zone
//! - [`postfix`]: what Postfix asks before it takes mail, and what it is told
//! - [`export`]: zones as files that other programs load
//! - [`explain`]: all of it in words and as JSON

pub mod answer;
pub mod client;
pub mod evidence;
pub mod explain;
pub mod export;
pub mod history;
pub mod key;
pub mod ledger;
pub mod lists;
pub mod measures;
pub mod name;
pub mod observation;
pub mod operator;
pub mod policy;
pub mod postfix;
pub mod replay;
pub mod rules;
pub mod testimony;
pub mod time;
pub mod verdict;
pub mod weights;
mod words;

//! The knowledge of helostat: pure, with no sockets and no clock.
//!
//! In the order in which the data meets the parts:
//!
//! - [`time`], [`client`], [`name`]: what a moment, a client and an EHLO name are (parse, then trust)
//! - [`observation`]: one EHLO from one client at one time, with its outcome
//! - [`ledger`]: fold a batch, keep it durable, hold it resident
//! - [`verdict`]: class, score, reasons, until: what is said of a client, a name, a pair

pub mod client;
pub mod history;
pub mod ledger;
pub mod name;
pub mod observation;
pub mod policy;
pub mod time;
pub mod verdict;

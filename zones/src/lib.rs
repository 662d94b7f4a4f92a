//! The knowledge of helostat: pure, with no sockets and no clock.
//!
//! In the order in which the data meets the parts:
//!
//! - [`time`], [`client`], [`name`]: what a moment, a client and an EHLO name are (parse, then trust)
//! - [`observation`]: one EHLO from one client at one time, with its outcome
//! - [`verdict`]: class, score, reasons, until: what is said of a client, a name, a pair
//! - [`key`], [`answer`]: a question's name to its key; a verdict to the records of a zone

pub mod answer;
pub mod client;
pub mod key;
pub mod name;
pub mod observation;
pub mod time;
pub mod verdict;

//! The knowledge of helostat: pure, with no sockets and no clock.
//!
//! In the order in which the data meets the parts:
//!
//! - [`time`], [`client`], [`name`]: what a moment, a client and an EHLO name are (parse, then trust)
//! - [`observation`]: one EHLO from one client at one time, with its outcome
//! - [`evidence`]: what the DNS says now about a pair, one finding per system
//! - [`verdict`]: class, score, reasons, until: what is said of a client, a name, a pair

pub mod client;
pub mod evidence;
pub mod name;
pub mod observation;
pub mod time;
pub mod verdict;

//! The ear of helostat: from the bytes of mail logs to batches for the ledger.
//!
//! In the order in which the data meets the parts:
//!
//! - [`source`]: where lines come from: files that are followed, files that are read once
//! - [`framing`]: how a line is wrapped: syslog's forms, journald's, docker's; `stamps`: when it is from
//! - [`reader`]: lines in, what was [`heard`] and the [`fate`] of each line out, over one file per format (`format`)
//!   and [`session`], which joins the lines of a connection
//! - [`ours`]: which refusals our own answers caused
//! - [`learner`]: observations into batches, with the record that makes them count exactly once
//! - [`pipeline`]: a log into a sink, for ever or once; [`sink`]: the ledger, or what stands for it
//! - [`unread`]: samples of what could not be read; [`hint`]: what a log that hides names lacks
//! - [`old`]: in which order old logs are read
//! - [`metrics`]: what is counted
//! - [`cbv`]: beside all this, what came of the callbacks that a mail server made
//!
//! Beside it: [`opensmtpd_filter`], what our filter for OpenSMTPD writes, next to what reads it; [`column_at_fault`],
//! for whoever is to say where a table is wrong.

mod bytes;
pub mod cbv;
mod columns;
mod dialogue;
pub mod fate;
mod format;
pub mod framing;
pub mod heard;
pub mod hint;
pub mod learner;
pub mod metrics;
pub mod old;
pub mod ours;
pub mod pipeline;
pub mod reader;
pub mod session;
pub mod sink;
pub mod source;
mod stamps;
pub mod unread;

pub use format::csv::column_at_fault;
pub use format::opensmtpd::filter as opensmtpd_filter;

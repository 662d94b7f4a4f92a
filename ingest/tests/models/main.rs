//! Models of each MTA's logger: random sessions go in, hostile strings and all, are written down as the MTA would
//! write them, in some wrapping, the processes interleaved, and read back. What comes out is exactly what went in
//! (client, name, outcome), or less, with a line that was counted as doubtful; never anything else.
//!
//! `frame` holds what the models have in common; there is a file for each MTA.

#![allow(missing_docs)]

mod exim;
mod frame;
mod postfix;

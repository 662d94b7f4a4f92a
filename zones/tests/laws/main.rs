//! The laws of the ledger, each tried on made-up mail: what it holds depends on what was observed alone;
//! what stays at its bounds depends on what a pair is; a crash changes nothing; indexes, counts and memory
//! are what they are said to be.
//!
//! `HELOSTAT_SEED` says which mail is made up (the same each time if it is not set), `HELOSTAT_CASES` how
//! often: with both one searches on. `HELOSTAT_LARGE=1` (a release build) tries the bounds on memory with
//! millions of pairs.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it measured"
)]

mod bounds;
mod crash;
mod faulty;
mod memory;
mod model;
mod order;
mod scenario;
mod time;
mod world;

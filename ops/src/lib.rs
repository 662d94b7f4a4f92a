//! The program `helostat`, as a library: what the binary and the whole-program tests share.
//!
//! - [`config`]: the configuration file, read and checked; start here

pub mod config;

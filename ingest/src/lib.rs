//! The ear of helostat: where log lines come from and what they say.
//!
//! - [`source`]: log files and streams -> lines, each with the position that makes reading exactly once

pub mod source;

//! placeholder

mod bytes;
mod format;
pub mod framing;
pub mod reader;
pub mod session;

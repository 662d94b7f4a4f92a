//! The voice of helostat: DNS in, answers out, live look-ups in between.
//!
//! - [`live`]: what the DNS says now about a pair, within limits

pub mod live;

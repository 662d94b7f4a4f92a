//! The proof: what the tests of whole programs share.

pub mod fakedns;
pub mod program;
pub mod vectors;

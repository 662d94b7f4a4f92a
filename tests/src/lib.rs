//! The proof: what the tests of whole programs share.

pub mod fakedns;
pub mod fuzz;
pub mod mail;
pub mod maillog;
pub mod program;
pub mod vectors;
pub mod world;

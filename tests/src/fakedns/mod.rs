//! A small fake of the whole DNS, written as text in a test.
//!
//! [`World`] holds the records of any number of zones and answers as a resolver would see them:
//! wildcards, empty non-terminals, aliases, zone cuts, faults. It is a `Lookup` by itself, for rules
//! that are tested without sockets, and [`FakeDns`] serves it over UDP and TCP on loopback, for
//! everything that speaks DNS.

mod faults;
mod rdata;
mod server;
mod world;

pub use faults::Fault;
pub use server::{Chains, FakeDns};
pub use world::{LineError, Outcome, Resolution, World};

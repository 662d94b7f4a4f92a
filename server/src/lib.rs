//! The voice of helostat: DNS in, answers out, live look-ups in between.
//!
//! In the order in which a question meets the parts:
//!
//! - [`config`]: where to listen, which zones, who may ask, how much at once
//! - [`listen`]: the sockets, UDP and TCP, and an orderly end
//! - `fast`: plain questions answered where they lie, without the rest
//! - [`handler`]: from a request to its response, over [`access`] and [`catalog`]
//! - [`list`]: zones of the operator's own lists, and how their files come in
//! - `cookie`: who was asked before; `pace`: how many answers a network gets
//! - [`judge`]: what is asked of whoever judges; [`ledger_judge`]: history and evidence, judged
//! - `published`: what the zones of addresses say of clients, ready to be said again
//! - [`guard`]: what a fault of the data must not do to mail: new listings are held back
//! - [`publisher`]: judges ahead, so that it is there when it is asked for
//! - [`export`]: all that a zone says, for files of other programs
//! - [`live`]: what the DNS says now about a pair, within limits
//! - [`postfix`]: the policy service, by which Postfix asks about pairs
//! - [`metrics`]: what is counted
//! - [`ask`]: the other side, a small client

pub mod access;
pub mod ask;
pub mod catalog;
pub mod config;
mod connections;
mod cookie;
pub mod export;
mod fast;
pub mod guard;
pub mod handler;
pub mod judge;
pub mod ledger_judge;
pub mod list;
pub mod listen;
pub mod live;
pub mod metrics;
mod pace;
pub mod postfix;
mod published;
pub mod publisher;
mod shared;
mod tcp;
mod udp;
mod wire;

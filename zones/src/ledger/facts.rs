//! What is known of a client beside its pairs.
//!
//! Each fact is the newest one told, by its time and then by its value, so that merging is commutative
//! as everything in the ledger is.

use std::net::IpAddr;

use crate::observation::Observation;
use crate::time::Time;

/// What is known of a client beside its pairs: the newest of each, by time, then by value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFacts {
    /// The exact address last seen; only for IPv6, where the client is a /64.
    pub last_ip: Option<(Time, IpAddr)>,
    /// The reverse name last logged as verified.
    pub rdns: Option<(Time, Box<str>)>,
}

impl ClientFacts {
    /// The facts that one observation tells.
    pub fn of(observation: &Observation) -> Self {
        Self {
            last_ip: observation.ip.is_ipv6().then_some((observation.time, observation.ip)),
            rdns: observation.rdns.clone().map(|rdns| (observation.time, rdns)),
        }
    }

    /// Keeps the newer of each fact. At the same second the greater value stays, so that the order
    /// of arrival does not matter.
    pub fn merge(&mut self, other: &Self) {
        if self.last_ip < other.last_ip {
            self.last_ip = other.last_ip;
        }
        if self.rdns < other.rdns {
            self.rdns.clone_from(&other.rdns);
        }
    }

    /// True if nothing is known.
    pub fn is_empty(&self) -> bool {
        self.last_ip.is_none() && self.rdns.is_none()
    }
}

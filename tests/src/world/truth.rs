//! What is true in a world, whoever says what: senders, their pairs, what the DNS holds.
//!
//! A [`Sender`] is one host, office, pool, farm, bot or campaign. Its `operator` is who runs it: senders of one
//! botnet or of one attacker share it; it is the number of the first of them. A [`Pair`] is an address with a name
//! that is said there. It is `owned` while its sender really has the right to both; what a bot says of itself is
//! owned by nobody.

use std::net::IpAddr;
use std::time::Duration;

use helostat_zones::evidence::{Finding, FindingResult, FindingSet, System};
use helostat_zones::name::Name;
use helostat_zones::time::{DAY_SECONDS, Time};

use super::class::Class;

/// How long the findings of a world's DNS hold.
const HOLDS: Duration = Duration::from_secs(3600);

/// From a moment to before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub from: Time,
    /// The first moment after it.
    pub until: Time,
}

impl Span {
    /// True if the moment lies in it.
    pub fn contains(self, time: Time) -> bool {
        self.from <= time && time < self.until
    }

    /// Its length.
    pub fn seconds(self) -> u32 {
        self.until.0.saturating_sub(self.from.0)
    }

    /// Its length.
    pub fn days(self) -> f64 {
        f64::from(self.seconds()) / f64::from(DAY_SECONDS)
    }

    /// The moment at this part of it.
    pub(super) fn at(self, part: f64) -> Time {
        Time(self.from.0 + (f64::from(self.seconds()) * part) as u32)
    }

    /// From `from` for so many days, no longer than this one lasts.
    pub(super) fn days_from(self, from: Time, days: f64) -> Self {
        let until = from.0.saturating_add((days * f64::from(DAY_SECONDS)) as u32);
        Self { from, until: Time(until.clamp(from.0, self.until.0)) }
    }

    /// What is left of it from a moment on.
    pub(super) fn since(self, from: Time) -> Self {
        Self { from, until: self.until }
    }

    /// What there is of it before a moment.
    pub(super) fn before(self, until: Time) -> Self {
        Self { from: self.from, until }
    }
}

/// What the DNS says of a pair while it is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// An address record of the name leads to the client.
    pub forward: bool,
    /// The reverse name of the client, if it has one.
    pub rdns: Option<Box<str>>,
    /// An address record of the reverse name leads back to the client.
    pub confirmed: bool,
}

impl Dns {
    /// The reverse name as an MTA logs it: only if it leads back.
    pub fn verified(&self) -> Option<&str> {
        self.rdns.as_deref().filter(|_| self.confirmed)
    }

    /// What the two systems that every host has would find of `name`: EHLO-forward and iprev. For tests that judge
    /// without a DNS.
    pub fn findings(&self, name: &Name) -> FindingSet {
        let forward = match (name.is_fqdn(), self.forward) {
            (false, _) => (FindingResult::None, Some("no-name")),
            (true, true) => (FindingResult::Pass, None),
            (true, false) => (FindingResult::Fail, Some("mismatch")),
        };
        let iprev = match (&self.rdns, self.confirmed) {
            (None, _) => (FindingResult::Permerror, Some("noptr")),
            (Some(_), false) => (FindingResult::Fail, Some("mismatch")),
            (Some(rdns), true) if **rdns == *name.text() => (FindingResult::Pass, Some("ehlo")),
            (Some(rdns), true) => {
                let rdns = Name::parse(rdns.as_bytes());
                let family = rdns.family().is_some() && rdns.family() == name.family();
                (FindingResult::Pass, family.then_some("family"))
            }
        };
        [(System::Forward, forward), (System::Iprev, iprev)]
            .map(|(system, (result, reason))| (system, Finding::plain(result, reason, HOLDS)))
            .into_iter()
            .collect()
    }
}

/// An address and a name that is said there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The number of the sender that it belongs to, or that says it.
    pub sender: u32,
    /// The client.
    pub ip: IpAddr,
    /// What it says.
    pub name: Name,
    /// What the DNS says.
    pub dns: Dns,
    /// When its sender really had both; `None` if it never had.
    pub owned: Option<Span>,
}

/// What happened to a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The name is at a new address.
    Moved {
        /// Since when.
        at: Time,
        /// The old address, which sends until `both_until`.
        from: IpAddr,
        /// The new address.
        to: IpAddr,
        /// When the old address stops.
        both_until: Time,
        /// The DNS agrees with the new address from `at` on.
        agreed: bool,
    },
    /// The address says a new name.
    Renamed {
        /// Since when.
        at: Time,
        /// The old name.
        from: Name,
        /// The new name.
        to: Name,
    },
    /// It has an address that another sender had.
    TookOver {
        /// Since when.
        at: Time,
        /// The sender before it.
        before: u32,
    },
    /// It began to send from another network.
    NextNetwork {
        /// Since when.
        at: Time,
    },
    /// It sends spam in this time and at no other.
    Burst(Span),
    /// It tells lies of this sender's address.
    Victim(u32),
}

/// A host, office, pool, farm, bot or campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its number: its place among [`World::senders`](super::World::senders).
    pub id: u32,
    /// Its class.
    pub class: Class,
    /// The number of the first sender of whoever runs it.
    pub operator: u32,
    /// Where its pairs lie among [`World::pairs`](super::World::pairs): from the first to before the second.
    pub pairs: (u32, u32),
    /// What happened to it, in the order of time.
    pub events: Vec<Event>,
    /// When it was first and last seen; `None` if no site ever saw it.
    pub seen: Option<(Time, Time)>,
    /// How many wanted messages it sent.
    pub good: u32,
    /// How many unwanted messages it sent, or false reports were made of it.
    pub bad: u32,
}

impl Sender {
    /// When its name moved to a new address.
    pub fn moved_at(&self) -> Option<Time> {
        self.events.iter().find_map(|event| match event {
            Event::Moved { at, .. } => Some(*at),
            _ => None,
        })
    }

    /// When its name changed.
    pub fn renamed_at(&self) -> Option<Time> {
        self.events.iter().find_map(|event| match event {
            Event::Renamed { at, .. } => Some(*at),
            _ => None,
        })
    }

    /// The time in which it sent spam and at no other.
    pub fn burst(&self) -> Option<Span> {
        self.events.iter().find_map(|event| match event {
            Event::Burst(span) => Some(*span),
            _ => None,
        })
    }

    /// The sender of whose address it tells lies.
    pub fn victim(&self) -> Option<u32> {
        self.events.iter().find_map(|event| match event {
            Event::Victim(sender) => Some(*sender),
            _ => None,
        })
    }
}

/// The truth about one message.
#[derive(Clone, Copy, Debug)]
pub struct Truth<'w> {
    /// The class of its sender.
    pub class: Class,
    /// It is wanted.
    pub good: bool,
    /// There never was such a message: a bad reporter made it up.
    pub fake: bool,
    /// Who sent it.
    pub sender: &'w Sender,
    /// From where, under which name, and what the DNS said of it then.
    pub pair: &'w Pair,
}

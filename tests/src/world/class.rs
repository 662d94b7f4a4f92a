//! The 24 classes of senders, and how much of a typical site's mail each of them is.
//!
//! A share is a part of all connections: single and steady honest hosts 20%, bots 45%, snowshoe and random names
//! 25%, hosts that carry both 5%, the rest 5%. The sums are assumed, and so is how each is divided here.

use std::fmt;

/// A class of senders; its number is `class as u8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// One address, one name.
    Single = 1,
    /// One name on an IPv4 and an IPv6 address.
    DualStack,
    /// One name, a new address of its /64 for each connection.
    Hopper,
    /// A company or an access provider with many hosts.
    Farm,
    /// A large provider of mailboxes: a name for each address, hundreds of names in one /64.
    NamedProvider,
    /// A large provider of mailboxes: a name for each region, thousands of addresses.
    RegionProvider,
    /// A pool of hosts that sends for many customers.
    EspPool,
    /// A forwarder or a mailing list: its users' spam comes through it.
    Forwarder,
    /// An office behind NAT with one MTA.
    NatOffice,
    /// An office behind NAT with one MTA, and bots for some days.
    NatWithBots,
    /// A bot at home.
    Bot,
    /// A bot that always says the same string, as thousands of others do.
    FixedString,
    /// Says the receiver's own name, domain or address.
    VictimName,
    /// Says the name of a well-known good MTA.
    NameThief,
    /// Spreads spam over many addresses with a fresh domain each.
    Snowshoe,
    /// Says a new made-up name at each connection.
    RandomName,
    /// An address of a cloud that goes from one customer to the next.
    VmChurn,
    /// An honest host that moves to a new address.
    Renumbered,
    /// An honest host that gets a new name.
    Renamed,
    /// Unrelated honest hosts in one /64 or /48.
    SharedNetwork,
    /// An honest MTA that says a name nobody can own.
    Misconfigured,
    /// An honest MTA on which an account was broken into.
    Compromised,
    /// A gateway that says two names of one domain.
    TwoNames,
    /// Somebody whose reporters tell what never was.
    Poisoner,
}

impl Class {
    /// All of them, by number.
    pub const ALL: [Self; 24] = [
        Self::Single,
        Self::DualStack,
        Self::Hopper,
        Self::Farm,
        Self::NamedProvider,
        Self::RegionProvider,
        Self::EspPool,
        Self::Forwarder,
        Self::NatOffice,
        Self::NatWithBots,
        Self::Bot,
        Self::FixedString,
        Self::VictimName,
        Self::NameThief,
        Self::Snowshoe,
        Self::RandomName,
        Self::VmChurn,
        Self::Renumbered,
        Self::Renamed,
        Self::SharedNetwork,
        Self::Misconfigured,
        Self::Compromised,
        Self::TwoNames,
        Self::Poisoner,
    ];

    /// Its number, 1 to 24.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Its place in tables of all classes.
    pub fn index(self) -> usize {
        usize::from(self.number()) - 1
    }

    /// The word for it in files and options.
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// The class that a word means.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == word)
    }

    /// True if all its mail is wanted and its host is what it says.
    pub fn is_honest(self) -> bool {
        matches!(
            self,
            Self::Single
                | Self::DualStack
                | Self::Hopper
                | Self::Farm
                | Self::NatOffice
                | Self::Renumbered
                | Self::Renamed
                | Self::SharedNetwork
                | Self::Misconfigured
                | Self::TwoNames
        )
    }

    /// Its share of all connections by default.
    fn share(self) -> f64 {
        self.row().1
    }

    fn row(self) -> (&'static str, f64) {
        match self {
            Self::Single => ("single", SINGLE_SHARE),
            Self::DualStack => ("dual-stack", 0.025),
            Self::Hopper => ("hopper", 0.010),
            Self::Farm => ("farm", 0.035),
            Self::NamedProvider => ("named-provider", 0.030),
            Self::RegionProvider => ("region-provider", 0.025),
            Self::EspPool => ("esp-pool", 0.015),
            Self::Forwarder => ("forwarder", 0.007),
            Self::NatOffice => ("nat-office", 0.003),
            Self::NatWithBots => ("nat-with-bots", 0.025),
            Self::Bot => ("bot", 0.300),
            Self::FixedString => ("fixed-string", 0.080),
            Self::VictimName => ("victim-name", 0.040),
            Self::NameThief => ("name-thief", 0.030),
            Self::Snowshoe => ("snowshoe", 0.170),
            Self::RandomName => ("random-name", 0.080),
            Self::VmChurn => ("vm-churn", 0.015),
            Self::Renumbered => ("renumbered", 0.010),
            Self::Renamed => ("renamed", 0.006),
            Self::SharedNetwork => ("shared-network", 0.010),
            Self::Misconfigured => ("misconfigured", 0.001),
            Self::Compromised => ("compromised", 0.010),
            Self::TwoNames => ("two-names", 0.013),
            Self::Poisoner => ("poisoner", 0.010),
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The share of single honest MTAs, from which a world's size is counted.
pub(super) const SINGLE_SHARE: f64 = 0.05;

/// What part of the connections each class has; a part of 0 leaves the class out.
///
/// Parts are of the default world's connections and need not add up to 1: a part that is halved halves that class
/// and leaves all others as they were.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix([f64; 24]);

impl Default for Mix {
    fn default() -> Self {
        Self(Class::ALL.map(Class::share))
    }
}

impl Mix {
    /// No class at all, to begin with.
    pub fn empty() -> Self {
        Self([0.0; 24])
    }

    /// The part of a class.
    pub fn share(&self, class: Class) -> f64 {
        self.0[class.index()]
    }

    /// The same with another part of this class.
    #[must_use]
    pub fn with(mut self, class: Class, share: f64) -> Self {
        self.0[class.index()] = share;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_shares_are_those_of_the_table() {
        for (place, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class.index(), place);
            assert_eq!(Class::parse(class.word()), Some(class));
        }
        let mix = Mix::default();
        let sum = |numbers: &[u8]| -> f64 {
            let of = |number: &u8| mix.share(Class::ALL[usize::from(*number) - 1]);
            numbers.iter().map(of).sum()
        };
        for (numbers, share) in [
            (&[1, 2, 3, 4, 5, 6, 7, 8, 9][..], 0.20),
            (&[11, 12, 13, 14], 0.45),
            (&[15, 16], 0.25),
            (&[10, 17, 22], 0.05),
            (&[18, 19, 20, 21, 23, 24], 0.05),
        ] {
            assert!((sum(numbers) - share).abs() < 1e-9, "{numbers:?}: {}", sum(numbers));
        }
    }
}

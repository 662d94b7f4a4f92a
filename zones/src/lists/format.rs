//! The formats of datasets, by their names.

/// What the lines of a dataset are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// IPv4 addresses and ranges, each with a value.
    Ip4Set,
    /// Single IPv4 addresses with one value for all.
    Ip4Tset,
    /// IPv4 prefixes, each with a value.
    Ip4Trie,
    /// IPv6 /64 with one value for all, and single addresses that are excluded.
    Ip6Tset,
    /// IPv6 prefixes, each with a value.
    Ip6Trie,
    /// Names and wildcards, each with a value.
    Dnset,
    /// The same as `dnset`.
    Dnhash,
    /// Records of names.
    Generic,
    /// Several of the others, each for some subzones.
    Combined,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 9] = [
        Self::Ip4Set,
        Self::Ip4Tset,
        Self::Ip4Trie,
        Self::Ip6Tset,
        Self::Ip6Trie,
        Self::Dnset,
        Self::Dnhash,
        Self::Generic,
        Self::Combined,
    ];

    /// Its name in configuration and after `$DATASET`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ip4Set => "ip4set",
            Self::Ip4Tset => "ip4tset",
            Self::Ip4Trie => "ip4trie",
            Self::Ip6Tset => "ip6tset",
            Self::Ip6Trie => "ip6trie",
            Self::Dnset => "dnset",
            Self::Dnhash => "dnhash",
            Self::Generic => "generic",
            Self::Combined => "combined",
        }
    }

    /// Reads a name, in small letters only.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.word() == word)
    }
}

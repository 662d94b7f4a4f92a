//! What the DNS says now about a pair: one finding per system.
//!
//! In go a client address, the name it said and something that answers DNS questions; out comes a
//! [`Finding`] per [`System`]. Nothing here opens a socket or reads a clock: the same rules run live,
//! in a replay and in the test vectors. Nothing fails: trouble of the DNS is a finding too
//! (`temperror`, or `permerror` where what is published is at fault).
//!
//! - [`lookup`]: questions, answers, how long they hold; [`dns_name`]: names as the DNS has them
//! - [`finding`]: the words; [`inquiry`]: asking and taking notes
//! - [`csa`], [`fcrdns`], [`forward`]: one file per system, each with its rules and their sources
//!
//! Adding a system: its file, a variant of [`System`], its word, and a line in [`evaluate`].

pub mod csa;
pub mod dns_name;
pub mod fcrdns;
pub mod finding;
pub mod forward;
pub mod inquiry;
pub mod lookup;

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

pub use dns_name::DnsName;
pub use finding::{Finding, FindingResult};
pub use lookup::{Answer, Failure, Holds, Lookup, RecordData, RecordType};

use crate::name::Name;

/// A way in which the DNS may vouch for a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum System {
    /// Client SMTP Authorization: does the name's owner say that this host may use it?
    #[serde(rename = "csa")]
    Csa,
    /// Forward-confirmed reverse DNS (iprev): do the address and its reverse name agree?
    #[serde(rename = "fcrdns")]
    Fcrdns,
    /// EHLO-forward: is the address one of the name's own?
    #[serde(rename = "ehlo-forward")]
    Forward,
}

impl System {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Csa, Self::Fcrdns, Self::Forward];

    /// The word for it in configuration and output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Csa => "csa",
            Self::Fcrdns => "fcrdns",
            Self::Forward => "ehlo-forward",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.word() == word)
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Limits of the systems. The numbers of `default()` are the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// CSA: the most parents that are asked for a statement about their subtree (Exim's
    /// `dns_csa_search_limit` is 5); 0 turns the search off.
    pub csa_parents: usize,
    /// CSA: the most targets whose addresses are asked for.
    pub csa_targets: usize,
    /// FCrDNS: the most reverse names that are asked for (RFC 8601 section 2.7.3 wants a limit and
    /// names SPF's, which is 10: RFC 7208 section 4.6.4).
    pub ptr_names: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { csa_parents: 5, csa_targets: 4, ptr_names: 10 }
    }
}

/// What `system` says of the client at `ip` that said `name`.
pub async fn evaluate<L: Lookup>(
    system: System,
    lookup: &L,
    ip: IpAddr,
    name: &Name,
    options: &Options,
) -> Finding {
    // An IPv4-mapped address is the IPv4 address (RFC 7208 section 5).
    let ip = ip.to_canonical();
    match system {
        System::Csa => csa::evaluate(lookup, ip, name, options).await,
        System::Fcrdns => fcrdns::evaluate(lookup, ip, name, options).await,
        System::Forward => forward::evaluate(lookup, ip, name).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for system in System::ALL {
            assert_eq!(System::parse(system.word()), Some(system));
            let json = serde_json::to_value(system).expect("a word");
            assert_eq!(json, system.word(), "JSON says the same word");
        }
        assert_eq!(System::parse("dkim"), None);
    }
}

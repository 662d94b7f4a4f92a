//! What the DNS says now about a pair: one finding per system.
//!
//! In go a client address, the name it said and something that answers DNS questions; out comes a
//! [`Finding`] per [`System`]. Nothing here opens a socket or reads a clock: the same rules run live,
//! in a replay and in the test vectors. Nothing fails: trouble of the DNS is a finding too
//! (`temperror`, or `permerror` where what is published is at fault).
//!
//! - [`lookup`]: questions, answers, how long they hold; [`dns_name`]: names as the DNS has them
//! - [`finding`]: the words; [`set`]: the findings of all systems; `inquiry`: asking and taking notes;
//!   `reverse`: the names of an address, and the nodes above it
//! - one file per system, each with its rules and their sources; `apl_items` and `rmx_entries` read what
//!   two of them find
//! - [`options`]: the limits and switches of the systems
//!
//! Adding a system: its file, a variant of [`System`], its word, and a line in [`evaluate`].

pub mod apl;
mod apl_items;
pub mod csa;
pub mod dmp;
pub mod dna;
pub mod dns_name;
pub mod drip;
pub mod finding;
pub mod forward;
pub mod generic;
pub mod inquiry;
pub mod iprev;
pub mod literal;
pub mod lookup;
pub mod mtamark;
pub mod mx;
pub mod name_path;
pub mod options;
mod reverse;
pub mod reverse_mx;
pub mod rmx;
mod rmx_entries;
pub mod set;
pub mod spf;
pub mod syntax;
pub mod unified_spf;

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

pub use dns_name::DnsName;
pub use finding::{Finding, FindingResult};
pub use lookup::{Answer, Failure, Holds, Lookup, Publishing, RecordData, RecordType};
pub use options::Options;
pub use set::FindingSet;

use crate::name::Name;

/// A way in which the DNS may vouch for a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// Client SMTP Authorization: does the name's owner say that this host may use it?
    Csa,
    /// CSV-DNA: does a service that the operator trusts vouch for the name?
    Dna,
    /// RMX: does the domain authorise this address?
    Rmx,
    /// Designated Mailers Protocol: does the domain name this address?
    Dmp,
    /// MTAMARK: does the address's owner say that a mail server is here?
    Mtamark,
    /// Reverse MX: is the address in its network's own list of mail servers?
    ReverseMx,
    /// APL at `_smtp`: is the address in the domain's prefixes?
    Apl,
    /// SPF for the name said in HELO.
    Spf,
    /// SPF for the address's own, validated reverse name.
    UnifiedSpf,
    /// MX covers sender: is the address a mail exchanger of the name's domain?
    Mx,
    /// iprev, forward-confirmed reverse DNS: do the address and its reverse name agree?
    Iprev,
    /// EHLO-forward: is the address one of the name's own?
    Forward,
    /// An address literal: does it state the client's address?
    Literal,
    /// The syntax of what was said.
    Syntax,
    /// A reverse name that a machine made for a whole range.
    Generic,
    /// Designated Relays Inquiry Protocol: does the domain name this address?
    Drip,
    /// SMTP Name Path: does the domain list the name among its senders?
    NamePath,
}

impl System {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 17] = [
        Self::Csa,
        Self::Dna,
        Self::Rmx,
        Self::Dmp,
        Self::Mtamark,
        Self::ReverseMx,
        Self::Apl,
        Self::Spf,
        Self::UnifiedSpf,
        Self::Mx,
        Self::Iprev,
        Self::Forward,
        Self::Literal,
        Self::Syntax,
        Self::Generic,
        Self::Drip,
        Self::NamePath,
    ];

    /// The word for it in configuration and output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Csa => "csa",
            Self::Dna => "dna",
            Self::Rmx => "rmx",
            Self::Dmp => "dmp",
            Self::Mtamark => "mtamark",
            Self::ReverseMx => "reverse-mx",
            Self::Apl => "apl",
            Self::Spf => "spf",
            Self::UnifiedSpf => "unified-spf",
            Self::Mx => "mx",
            Self::Iprev => "iprev",
            Self::Forward => "forward",
            Self::Literal => "literal",
            Self::Syntax => "syntax",
            Self::Generic => "generic",
            Self::Drip => "drip",
            Self::NamePath => "name-path",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.word() == word)
    }

    /// Its place in [`Self::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
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
        System::Csa => csa::evaluate(lookup, ip, name, &options.csa).await,
        System::Dna => dna::evaluate(lookup, ip, name, &options.dna).await,
        System::Rmx => rmx::evaluate(lookup, ip, name, &options.rmx).await,
        System::Dmp => dmp::evaluate(lookup, ip, name, &options.dmp).await,
        System::Mtamark => mtamark::evaluate(lookup, ip, &options.mtamark).await,
        System::ReverseMx => reverse_mx::evaluate(lookup, ip, &options.reverse_mx).await,
        System::Apl => apl::evaluate(lookup, ip, name, &options.apl).await,
        System::Spf => spf::evaluate(lookup, ip, name, &options.spf).await,
        System::UnifiedSpf => unified_spf::evaluate(lookup, ip, name, options).await,
        System::Mx => mx::evaluate(lookup, ip, name, &options.mx).await,
        System::Iprev => iprev::evaluate(lookup, ip, name, &options.iprev).await,
        System::Forward => forward::evaluate(lookup, ip, name).await,
        System::Literal => literal::evaluate(ip, name),
        System::Syntax => syntax::evaluate(name),
        System::Generic => generic::evaluate(lookup, ip, name, &options.iprev).await,
        System::Drip => drip::evaluate(lookup, ip, name, &options.drip).await,
        System::NamePath => name_path::evaluate(lookup, ip, name, &options.name_path).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for (at, system) in System::ALL.into_iter().enumerate() {
            assert_eq!(System::parse(system.word()), Some(system));
            assert_eq!(system.index(), at);
            let json = serde_json::to_value(system).expect("a word");
            assert_eq!(json, system.word(), "JSON says the same word");
        }
        assert_eq!(System::parse("dkim"), None);
    }
}

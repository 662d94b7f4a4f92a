//! The limits and switches of the systems. The numbers of `default()` are the rule; each system's own
//! settings are told by its file.

use super::DnsName;

/// What every system is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Of [`super::csa`].
    pub csa: Csa,
    /// Of [`super::dna`].
    pub dna: Dna,
    /// Of [`super::rmx`].
    pub rmx: Rmx,
    /// Of [`super::dmp`].
    pub dmp: Dmp,
    /// Of [`super::mtamark`].
    pub mtamark: Mtamark,
    /// Of [`super::reverse_mx`].
    pub reverse_mx: ReverseMx,
    /// Of [`super::apl`].
    pub apl: Apl,
    /// Of [`super::spf`], and of [`super::unified_spf`].
    pub spf: Spf,
    /// Of [`super::mx`].
    pub mx: Mx,
    /// Of [`super::iprev`], and of all that look at reverse names.
    pub iprev: Iprev,
    /// Of [`super::drip`].
    pub drip: Drip,
    /// Of [`super::name_path`].
    pub name_path: NamePath,
}

/// Limits of Client SMTP Authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Csa {
    /// The most parents that are asked for a statement about their subtree (Exim's
    /// `dns_csa_search_limit` is 5); 0 turns the search off.
    pub parents: usize,
    /// The most targets whose addresses are asked for.
    pub targets: usize,
    /// Asks at the reverse name of a client that says an address (Exim's `dns_csa_use_reverse`).
    pub use_reverse: bool,
}

impl Default for Csa {
    fn default() -> Self {
        Self { parents: 5, targets: 4, use_reverse: false }
    }
}

/// Whose word counts in CSV-DNA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dna {
    /// The services that the operator trusts; none: nobody is asked.
    pub services: Vec<DnsName>,
}

/// Limits of RMX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rmx {
    /// The most entries that cause questions (SPF's limit: RFC 7208 section 4.6.4).
    pub entries: usize,
    /// The most MX hosts of one entry.
    pub hosts: usize,
    /// The most reverse names of one entry.
    pub names: usize,
    /// Asks for records of this private type where there is no TXT.
    pub private_type: Option<u16>,
    /// Asks for the per-family TXT where there is nothing else.
    pub split: bool,
}

impl Default for Rmx {
    fn default() -> Self {
        Self { entries: 10, hosts: 10, names: 10, private_type: None, split: false }
    }
}

/// Limits of the Designated Mailers Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dmp {
    /// The most other domains that are asked.
    pub altdomains: usize,
}

impl Default for Dmp {
    fn default() -> Self {
        Self { altdomains: 5 }
    }
}

/// Switches of MTAMARK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mtamark {
    /// Reads the label of the first draft, `_perm`, at the host where there is no `_send`.
    pub perm: bool,
    /// Asks for the responsible person where a host is marked "0".
    pub contact: bool,
}

/// Limits and switches of Reverse MX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReverseMx {
    /// After the flag day: no list is a denial.
    pub strict: bool,
    /// Asks at the /8 of an IPv4 address too.
    pub slash8: bool,
    /// The most exchanges whose addresses are asked for.
    pub exchanges: usize,
}

impl Default for ReverseMx {
    fn default() -> Self {
        Self { strict: false, slash8: false, exchanges: 20 }
    }
}

/// Switches of APL at `_smtp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apl {
    /// Reads the chain `_0._smtp` ... `_9._smtp`.
    pub chain: bool,
}

impl Default for Apl {
    fn default() -> Self {
        Self { chain: true }
    }
}

/// Limits of SPF (RFC 7208 section 4.6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spf {
    /// The most terms that cause questions.
    pub terms: usize,
    /// The most questions of such terms that come to nothing.
    pub void: usize,
    /// The most hosts of an `mx` term.
    pub hosts: usize,
    /// The most names of a `ptr` term.
    pub names: usize,
}

impl Default for Spf {
    fn default() -> Self {
        Self { terms: 10, void: 2, hosts: 10, names: 10 }
    }
}

/// Limits of MX covers sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mx {
    /// The most domains that are asked for exchangers.
    pub domains: usize,
    /// The most exchangers of one domain whose addresses are asked for.
    pub exchanges: usize,
}

impl Default for Mx {
    fn default() -> Self {
        Self { domains: 3, exchanges: 10 }
    }
}

/// Limits of all that look at reverse names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iprev {
    /// The most reverse names that are asked for (RFC 8601 section 2.7.3 wants a limit and
    /// names SPF's, which is 10: RFC 7208 section 4.6.4).
    pub names: usize,
}

impl Default for Iprev {
    fn default() -> Self {
        Self { names: 10 }
    }
}

/// Limits of DRIP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drip {
    /// The most parents that are asked, which the draft leaves to the receiver; 0 turns that off.
    pub parents: usize,
}

/// Limits of SMTP Name Path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamePath {
    /// The most names of a list that are looked at.
    pub names: usize,
}

impl Default for NamePath {
    fn default() -> Self {
        Self { names: 20 }
    }
}

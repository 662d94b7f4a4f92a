//! What the DNS side asks of whoever judges.
//!
//! The implementation joins the ledger and live evidence. It may take its time within its own
//! budget (a future that is not ready at once is awaited aside, bounded), and always has an answer:
//! what it does not know is a verdict without codes, with a short `until`. A panic becomes
//! SERVFAIL. A future may be dropped before it is ready (shed load, the guard against faults,
//! shutdown): work that should outlive the question belongs in a task of its own.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};

use helostat_zones::answer::Codes;
use helostat_zones::name::Name;
use helostat_zones::time::Time;
use helostat_zones::verdict::{ClientVerdict, NameVerdict, PairVerdict};

/// The one who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Its address, never an IPv4-mapped one.
    pub ip: IpAddr,
    /// It may cause live look-ups for the names in its questions. Of anybody else the names would make us
    /// ask servers of its choice.
    pub trusted: bool,
    /// It asks for text: reasons come with their sentences, which cost as much as the verdict.
    pub in_words: bool,
}

/// Gives verdicts.
pub trait Judge: Send + Sync + 'static {
    /// What is said of a client; `ip` is never an IPv4-mapped address.
    fn client(&self, ip: IpAddr, asker: Asker) -> impl Future<Output = ClientVerdict> + Send;

    /// What is said of a name: an `fqdn`, `single` or `reserved` one.
    fn name(&self, name: &Name, asker: Asker) -> impl Future<Output = NameVerdict> + Send;

    /// What is said of a pair.
    fn pair(
        &self,
        ip: IpAddr,
        name: &Name,
        asker: Asker,
    ) -> impl Future<Output = PairVerdict> + Send;

    /// What the zones of addresses say of a client, if somebody was told lately or it was never seen; `None` to have it
    /// judged. Takes no time, and no lock that a writer holds.
    fn standing(&self, _ip: Ipv4Addr, _now: Time) -> Option<(Codes, Time)> {
        None
    }

    /// The verdict on a client, if nobody has to be asked for it; `None` to have [`Judge::client`] ask.
    fn resident(&self, _ip: Ipv4Addr, _in_words: bool) -> Option<ClientVerdict> {
        None
    }

    /// Does the ledger know, or could `name` list, a name strictly below this one?
    fn names_below(&self, suffix: &str) -> bool;

    /// The same for the names of one client.
    fn pair_names_below(&self, ip: IpAddr, suffix: &str) -> bool;

    /// The moment.
    fn now(&self) -> Time;

    /// The serial of every SOA.
    fn serial(&self) -> u32;
}

//! What the DNS side is told: where to listen, which zones, who may ask, how much at once.
//!
//! Plain data with defaults. The configuration file has a shape of its own elsewhere; names that
//! are no domain names are refused by [`crate::catalog::Catalog::new`], taken ports by
//! [`crate::listen::Listeners::bind`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use helostat_zones::answer::Caps;
use helostat_zones::key::Kind;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::list::List;

/// The DNS side of the daemon.
#[derive(Clone, Debug)]
pub struct DnsConfig {
    /// Addresses for UDP and TCP alike. Name each address of a host with several: a reply from a
    /// wildcard address may leave by another one than was asked.
    pub listen: Vec<SocketAddr>,
    /// UDP sockets per address, each served by a task of its own; at least 1.
    pub threads: usize,
    /// Origins and what stands below them.
    pub zones: Vec<ZoneConfig>,
    /// The operator's own lists, each a zone.
    pub lists: Vec<Arc<List>>,
    /// Zones that have ended.
    pub retired: Vec<Retired>,
    /// Who may ask; everybody by default. The trusted may in any case.
    pub allow: Vec<IpNet>,
    /// Whose questions may cause live look-ups for the names they bring; loopback by default.
    pub trusted: Vec<IpNet>,
    /// What we are called where somebody asks (RFC 5001); empty for nothing.
    pub nsid: String,
    /// How much at once, and for how long.
    pub limits: Limits,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            threads: 1,
            zones: Vec::new(),
            lists: Vec::new(),
            retired: Vec::new(),
            allow: vec![prefix(Ipv4Addr::UNSPECIFIED, 0), prefix(Ipv6Addr::UNSPECIFIED, 0)],
            trusted: vec![prefix(Ipv4Addr::new(127, 0, 0, 0), 8), prefix(Ipv6Addr::LOCALHOST, 128)],
            nsid: String::new(),
            limits: Limits::default(),
        }
    }
}

fn prefix(ip: impl Into<IpAddr>, length: u8) -> IpNet {
    match ip.into() {
        IpAddr::V4(ip) => IpNet::V4(Ipv4Net::new_assert(ip, length)),
        IpAddr::V6(ip) => IpNet::V6(Ipv6Net::new_assert(ip, length)),
    }
}

/// An origin, and the kinds of zones below it.
#[derive(Clone, Debug)]
pub struct ZoneConfig {
    /// The origin: `rep.example.net`.
    pub origin: String,
    /// The kinds that live at `<kind>.<origin>`.
    pub kinds: Vec<Kind>,
    /// The name servers of the origin and of every kind; the first is the SOA's.
    pub name_servers: Vec<NameServer>,
    /// The mailbox of the SOA, `hostmaster@example.net` or in dotted form; `hostmaster` at the
    /// origin by default.
    pub rname: Option<String>,
    /// Who may ask in it; empty for whom [`DnsConfig::allow`] lets. The trusted may in any case.
    pub allow: Vec<IpNet>,
    /// Of these kinds, those that answer as if they were empty; what they would have said is counted.
    pub dry_run: Vec<Kind>,
    /// The TTLs, and the page that explains.
    pub caps: Caps,
}

impl ZoneConfig {
    /// All kinds below `origin`, with defaults and one name server.
    pub fn new(origin: &str, name_server: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            kinds: Kind::ALL.to_vec(),
            name_servers: vec![NameServer { name: name_server.to_owned(), addresses: Vec::new() }],
            rname: None,
            allow: Vec::new(),
            dry_run: Vec::new(),
            caps: Caps::default(),
        }
    }
}

/// A zone that has ended: it is empty from now on, and says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    /// An origin with all its kinds, the zone of one kind, or a list. A name that is none of these does nothing.
    pub zone: String,
    /// What TXT at its apex says; at most 255 octets of it.
    pub notice: String,
}

/// A name server.
#[derive(Clone, Debug)]
pub struct NameServer {
    /// Its host name.
    pub name: String,
    /// Its addresses, published where the name lies below the origin.
    pub addresses: Vec<IpAddr>,
}

/// How much at once, and for how long. What is over a limit is dropped and counted.
#[derive(Clone, Debug)]
pub struct Limits {
    /// UDP answers that wait for a verdict at once; more are not answered (clients ask again).
    pub waiting: usize,
    /// How long an answer may take before it becomes SERVFAIL. Far above what live look-ups take:
    /// it guards against a fault, it does not pace.
    pub answer: Duration,
    /// Open TCP connections; more are closed at once.
    pub tcp_connections: usize,
    /// Open TCP connections of one client (an IPv4 address or an IPv6 /64), so that one client
    /// cannot take them all (RFC 7766 section 6.2.2).
    pub tcp_per_client: usize,
    /// Questions of one TCP connection that are worked on at once; then it is not read further.
    pub tcp_pipeline: usize,
    /// How long a TCP connection may take to send a question, or to take an answer.
    pub tcp_idle: Duration,
    /// UDP answers of each sort that a network (IPv4 /24, IPv6 /56) gets in a second; 0 for no limit. Whoever is
    /// trusted, or brings a cookie of ours, has none.
    pub answers_per_network: u32,
    /// Every so many of those beyond the limit is sent cut, the others are dropped; 0 for none.
    pub slip: u32,
    /// How long answers under way may take at shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            waiting: 1024,
            answer: Duration::from_secs(5),
            tcp_connections: 256,
            tcp_per_client: 32,
            tcp_pipeline: 16,
            // RFC 7766 section 6.2.3: "in the order of a few seconds".
            tcp_idle: Duration::from_secs(10),
            answers_per_network: 0,
            slip: 2,
            drain: Duration::from_secs(1),
        }
    }
}

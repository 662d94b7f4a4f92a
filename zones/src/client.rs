//! The connecting host as the ledger knows it, and the network it lives in.
//!
//! A client is an IPv4 address or an IPv6 /64: hosts change the low half of an IPv6 address at will
//! (privacy addresses), so only the /64 has a history. An IPv4-mapped IPv6 address is the IPv4
//! address everywhere (RFC 7208 section 5). A network is an IPv4 /24 or an IPv6 /48.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A connecting host: an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Client {
    /// An IPv4 address, as a number in host order.
    V4(u32),
    /// The upper 64 bits of an IPv6 address.
    V6(u64),
}

impl Client {
    /// The client that `ip` belongs to.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(u32::from(ip)),
            IpAddr::V6(ip) => Self::V6(upper(ip)),
        }
    }

    /// The network the client lives in.
    pub fn network(self) -> Network {
        match self {
            Self::V4(ip) => Network::V4(ip & 0xFFFF_FF00),
            Self::V6(top) => Network::V6(top & 0xFFFF_FFFF_FFFF_0000),
        }
    }

    /// The address (IPv4) or the first address of the /64.
    pub fn first_ip(self) -> IpAddr {
        match self {
            Self::V4(ip) => IpAddr::V4(Ipv4Addr::from(ip)),
            Self::V6(top) => IpAddr::V6(Ipv6Addr::from(u128::from(top) << 64)),
        }
    }

    /// Reads what `Display` writes: an IPv4 address, or an IPv6 /64; also any IPv6 address in it.
    pub fn parse(text: &str) -> Option<Self> {
        text.strip_suffix("/64").unwrap_or(text).parse().ok().map(Self::of)
    }
}

/// `192.0.2.7` or `2001:db8::/64`.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(_) => write!(f, "{}", self.first_ip()),
            Self::V6(_) => write!(f, "{}/64", self.first_ip()),
        }
    }
}

/// A neighbourhood of clients: an IPv4 /24 or an IPv6 /48.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// The first address of an IPv4 /24, as a number in host order.
    V4(u32),
    /// The upper 64 bits of the first address of an IPv6 /48.
    V6(u64),
}

impl Network {
    /// The network as a prefix.
    pub fn prefix(self) -> IpNet {
        match self {
            Self::V4(ip) => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from(ip), 24)),
            Self::V6(top) => {
                IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(u128::from(top) << 64), 48))
            }
        }
    }
}

/// `192.0.2.0/24` or `2001:db8::/48`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.prefix())
    }
}

fn upper(ip: Ipv6Addr) -> u64 {
    // The shift leaves 64 bits, so nothing is cut.
    (u128::from(ip) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_clients() {
        for (ip, client, network) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
            ("::1", "::/64", "::/48"),
        ] {
            let found = Client::of(ip.parse().expect(ip));
            assert_eq!(found.to_string(), client, "{ip}");
            assert_eq!(found.network().to_string(), network, "{ip}");
            assert_eq!(Client::parse(client), Some(found), "{ip}");
        }
        assert_eq!(Client::parse("nonsense"), None);
    }
}

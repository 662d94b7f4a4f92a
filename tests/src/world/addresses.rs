//! A made-up address space: servers, homes, clouds and one large provider, none in the other's way.
//!
//! The first octets of homes and of servers are distinct, and no special-purpose block (IANA's registries) is in
//! either. A network that was given is not given again, so one operator's addresses lie apart from another's, but
//! where a class says that strangers share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::draws::Draws;
use super::names::ACCESS_NETWORKS;

/// First octets of servers: 32, so that a network's number has 21 bits.
const SERVERS: [u8; 32] = [
    5, 23, 31, 37, 45, 46, 50, 51, 62, 63, 64, 65, 66, 67, 68, 69, 70, 72, 74, 80, 81, 82, 83, 85,
    87, 91, 93, 94, 103, 107, 129, 144,
];
/// First octets of homes.
const HOMES: [u8; ACCESS_NETWORKS] = [
    24, 58, 59, 60, 61, 71, 75, 76, 77, 78, 79, 84, 86, 88, 89, 90, 92, 95, 96, 98, 99, 109, 110,
    111, 112, 113, 114, 115, 117, 119, 121, 122, 125, 151, 177, 178, 179, 181, 186, 187, 189, 190,
    200, 201, 202, 218, 220, 222,
];
/// The first octet of clouds.
const CLOUD: u32 = 138;
/// What the provider with a name for each region publishes in its SPF record.
pub(super) const REGION_BLOCKS: [(Ipv4Addr, u32); 4] = [
    (Ipv4Addr::new(40, 92, 0, 0), 15),
    (Ipv4Addr::new(40, 107, 0, 0), 16),
    (Ipv4Addr::new(52, 100, 0, 0), 14),
    (Ipv4Addr::new(104, 47, 0, 0), 17),
];
/// The same in IPv6, each a /48.
pub(super) const REGION_BLOCKS_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0x2a01, 0x111, 0xf400, 0, 0, 0, 0, 0),
    Ipv6Addr::new(0x2a01, 0x111, 0xf403, 0, 0, 0, 0, 0),
];

/// An IPv4 /24.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network(u32);

impl Network {
    /// An address in it.
    pub(super) fn host(self, last: u8) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.0 | u32::from(last))
    }

    /// The network so many further on.
    pub(super) fn next(self, count: u32) -> Self {
        Self(self.0 + (count << 8))
    }
}

/// The network in a block at a place drawn.
pub(super) fn network_in(draws: &mut Draws, (block, bits): (Ipv4Addr, u32)) -> Network {
    let count = 1_usize << (24 - bits);
    Network(block.to_bits()).next(draws.below(count) as u32)
}

/// What is not yet given.
#[derive(Default)]
pub(super) struct Space {
    networks: u32,
    sites: u32,
    clouds: u32,
    /// A hoster's network, its hosts so far, and how many it takes.
    hoster: Option<(Network, u8, u8)>,
}

impl Space {
    /// A /24 of servers.
    pub(super) fn network(&mut self) -> Network {
        self.networks += 1;
        // An odd factor: every number of 21 bits comes once.
        let number = self.networks.wrapping_mul(0x9E37_79B1) & 0x1f_ffff;
        Network(u32::from(SERVERS[(number >> 16) as usize]) << 24 | (number & 0xffff) << 8)
    }

    /// The address of a server that has its /24 alone.
    pub(super) fn server(&mut self, draws: &mut Draws) -> Ipv4Addr {
        self.network().host(2 + draws.below(250) as u8)
    }

    /// The address of a server at a hoster, with at most three others in its /24.
    pub(super) fn hosted(&mut self, draws: &mut Draws) -> Ipv4Addr {
        let (network, hosts, most) = match self.hoster {
            Some(hoster) if hoster.1 < hoster.2 => hoster,
            _ => (self.network(), 0, 2 + draws.below(3) as u8),
        };
        self.hoster = Some((network, hosts + 1, most));
        network.host(10 + hosts * 50 + draws.below(40) as u8)
    }

    /// A cloud's /20, by its first /24.
    pub(super) fn cloud(&mut self) -> Network {
        self.clouds += 1;
        Network(CLOUD << 24 | (self.clouds.wrapping_mul(0x9E37) & 0xfff) << 12)
    }

    /// An IPv6 /48 of servers.
    pub(super) fn site(&mut self) -> Ipv6Addr {
        self.sites += 1;
        let number = self.sites.wrapping_mul(0x9E37_79B1);
        Ipv6Addr::new(0x2a0d, (number >> 16) as u16, number as u16, 0, 0, 0, 0, 0)
    }

    /// Somebody's computer at home, and the number of the access network.
    pub(super) fn home(draws: &mut Draws) -> (Ipv4Addr, usize) {
        let network = draws.below(HOMES.len());
        let rest = 256 + draws.below((1 << 24) - 512) as u32;
        (Ipv4Addr::from_bits(u32::from(HOMES[network]) << 24 | rest), network)
    }
}

/// A host of a /48: in the /64 of this number, with this number.
pub(super) fn v6(site: Ipv6Addr, network: u16, host: u64) -> IpAddr {
    Ipv6Addr::from_bits(site.to_bits() | u128::from(network) << 64 | u128::from(host)).into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn networks_are_given_once_and_lie_apart() {
        let mut space = Space::default();
        let networks: HashSet<_> = (0..200_000).map(|_| space.network().host(0)).collect();
        assert_eq!(networks.len(), 200_000);
        let sites: HashSet<_> = (0..200_000).map(|_| space.site()).collect();
        assert_eq!(sites.len(), 200_000);
        let clouds: HashSet<_> = (0..4096).map(|_| space.cloud().host(0)).collect();
        assert_eq!(clouds.len(), 4096);
        let first: HashSet<_> = SERVERS.into_iter().chain(HOMES).chain([CLOUD as u8]).collect();
        assert_eq!(first.len(), SERVERS.len() + HOMES.len() + 1);
        for special in [0, 10, 40, 52, 100, 104, 127, 169, 172, 192, 198, 203] {
            assert!(!first.contains(&special), "{special}");
        }
    }

    #[test]
    fn a_hoster_has_few_customers_in_a_network() {
        let (mut space, mut draws) = (Space::default(), Draws::new(1, 1));
        let mut networks = std::collections::HashMap::new();
        for _ in 0..1000 {
            *networks.entry(space.hosted(&mut draws).to_bits() >> 8).or_insert(0) += 1;
        }
        assert!(networks.values().all(|count| (1..=4).contains(count)));
    }
}

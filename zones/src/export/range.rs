//! Addresses that lie beside one another, and the names under which a zone can say something of all of them.
//!
//! In goes the first and the last address of a range; out come the prefixes that make it up, or the owners of its records in a zone of
//! reversed addresses: whole addresses, and wildcards above octets or nibbles. Nothing fails.
//!
//! A wildcard answers for everything below a name. IPv4 keys of digits stand above IPv6 keys and the other way round (1.0.0.2 above
//! 2001::/16, see [`crate::key`]), so a wildcard is only made where nothing of the other family is below it: the range is cut into narrower
//! ones until that is so. It costs some thousand records for 2.0.0.0/8, and none anywhere else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};

/// Labels of a whole key.
const OCTETS: usize = 4;
const NIBBLES: usize = 32;

/// Addresses of one family, from the first to the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// IPv4, as numbers in host order.
    V4(u32, u32),
    /// IPv6.
    V6(u128, u128),
}

/// The loopback network, in which also the answers of lists lie.
const LOOPBACK: (u32, u32) = (0x7f00_0000, 0x7fff_ffff);
/// The same in IPv6 (::ffff:127.0.0.0/104), without the last 24 bits. Ranges lie in it or outside.
const MAPPED_LOOPBACK: u128 = 0x00ff_ff7f;

impl Range {
    /// One address.
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip.into(), ip.into()),
            IpAddr::V6(ip) => Self::V6(ip.into(), ip.into()),
        }
    }

    /// Its first address.
    pub fn first(self) -> IpAddr {
        match self {
            Self::V4(first, _) => IpAddr::V4(first.into()),
            Self::V6(first, _) => IpAddr::V6(first.into()),
        }
    }

    /// True if an address lies in it.
    pub fn has(self, ip: IpAddr) -> bool {
        match (self, ip) {
            (Self::V4(first, last), IpAddr::V4(ip)) => (first..=last).contains(&ip.into()),
            (Self::V6(first, last), IpAddr::V6(ip)) => (first..=last).contains(&ip.into()),
            _ => false,
        }
    }

    /// How many addresses it has, less one.
    pub fn beyond_first(self) -> u128 {
        match self {
            Self::V4(first, last) => u128::from(last.saturating_sub(first)),
            Self::V6(first, last) => last.saturating_sub(first),
        }
    }

    /// The prefixes of at least `shortest` bits that make it up, in order.
    pub(super) fn prefixes(self, shortest: u8) -> Box<dyn Iterator<Item = IpNet>> {
        match self {
            Self::V4(first, last) => {
                let nets = Ipv4Subnets::new(first.into(), last.into(), shortest);
                Box::new(nets.map(IpNet::V4))
            }
            Self::V6(first, last) => {
                let nets = Ipv6Subnets::new(first.into(), last.into(), shortest);
                Box::new(nets.map(IpNet::V6))
            }
        }
    }

    /// The parts of it that are not 127.0.0.0/8.
    pub(super) fn without_loopback(self) -> impl Iterator<Item = Self> {
        let parts = match self {
            Self::V4(first, last) => {
                let below = (first, last.min(LOOPBACK.0 - 1));
                let above = (first.max(LOOPBACK.1 + 1), last);
                [below, above]
                    .map(|(first, last)| Some(Self::V4(first, last)).filter(|_| first <= last))
            }
            Self::V6(first, _) => [Some(self).filter(|_| first >> 24 != MAPPED_LOOPBACK), None],
        };
        parts.into_iter().flatten()
    }

    /// Tells `each` the owners, relative to a zone of addresses, under which its records lie.
    pub(super) fn owners<E>(self, mut each: impl FnMut(String) -> Result<(), E>) -> Result<(), E> {
        self.blocks(&mut |block: &Block| {
            let mut owner = block.reversed();
            if !block.is_whole() {
                owner.insert_str(0, "*.");
            }
            // As narrow as an address of the other family is long, it cannot be below.
            if block.is_whole() || !block.is_above_others(OCTETS) {
                Split::Not(each(owner))
            } else {
                Split::Cut
            }
        })
    }

    /// The same for wildcards over any name from these addresses, in a zone of pairs. Addresses of which no wildcard can be made because IPv6
    /// keys lie below them are left out.
    pub(super) fn pair_owners<E>(
        self,
        mut each: impl FnMut(String) -> Result<(), E>,
    ) -> Result<(), E> {
        self.blocks(&mut |block: &Block| {
            if !block.is_above_others(OCTETS + 1) {
                return Split::Not(each(format!("*.{}", block.reversed())));
            }
            if block.is_whole() { Split::Not(Ok(())) } else { Split::Cut }
        })
    }

    fn blocks<E>(self, each: &mut impl FnMut(&Block) -> Split<E>) -> Result<(), E> {
        for net in self.prefixes(1) {
            Block::of(net, 1, each)?;
        }
        Ok(())
    }
}

/// What becomes of a block.
enum Split<E> {
    /// It is done with.
    Not(Result<(), E>),
    /// It must be cut into narrower ones.
    Cut,
}

/// All addresses that begin with the same octets (IPv4) or nibbles (IPv6).
struct Block {
    /// The first label is the first octet or nibble.
    labels: Vec<u8>,
    is_v4: bool,
}

impl Block {
    /// The blocks of at least `fewest` labels that make up a prefix.
    fn of<E>(net: IpNet, fewest: u8, each: &mut impl FnMut(&Self) -> Split<E>) -> Result<(), E> {
        let (bits, length) = match net {
            IpNet::V4(_) => (8, net.prefix_len()),
            IpNet::V6(_) => (4, net.prefix_len()),
        };
        let labels = length.div_ceil(bits).max(fewest);
        for part in subnets(net, labels * bits) {
            let block = Self::new(part, usize::from(labels));
            match each(&block) {
                Split::Not(done) => done?,
                Split::Cut => Self::of(part, labels + 1, each)?,
            }
        }
        Ok(())
    }

    fn new(net: IpNet, count: usize) -> Self {
        let mut labels = match net.network() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => nibbles(ip).collect(),
        };
        labels.truncate(count);
        Self { labels, is_v4: matches!(net, IpNet::V4(_)) }
    }

    /// True if keys of the other family lie below it: all labels are decimal digits, and they are fewer than `enough`.
    fn is_above_others(&self, enough: usize) -> bool {
        let are_digits = self.labels.iter().all(|label| *label < 10);
        // Below IPv4 lie the 32 nibbles of IPv6, however long it is.
        are_digits && (self.is_v4 || self.labels.len() < enough)
    }

    fn is_whole(&self) -> bool {
        self.labels.len() == if self.is_v4 { OCTETS } else { NIBBLES }
    }

    fn reversed(&self) -> String {
        let mut text = String::with_capacity(64);
        for label in self.labels.iter().rev() {
            if !text.is_empty() {
                text.push('.');
            }
            match self.is_v4 {
                true => text.push_str(&label.to_string()),
                false => text.push(char::from_digit(u32::from(*label), 16).unwrap_or('0')),
            }
        }
        text
    }
}

fn subnets(net: IpNet, length: u8) -> Box<dyn Iterator<Item = IpNet>> {
    match net {
        IpNet::V4(net) => Box::new(net.subnets(length).into_iter().flatten().map(IpNet::V4)),
        IpNet::V6(net) => Box::new(net.subnets(length).into_iter().flatten().map(IpNet::V6)),
    }
}

fn nibbles(ip: Ipv6Addr) -> impl Iterator<Item = u8> {
    ip.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 0xf])
}

/// An address as the key of a zone has it.
pub(super) fn reversed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => Block::new(whole_v4(ip), OCTETS).reversed(),
        IpAddr::V6(ip) => Block::new(whole_v6(ip), NIBBLES).reversed(),
    }
}

fn whole_v4(ip: Ipv4Addr) -> IpNet {
    IpNet::V4(Ipv4Net::from(ip))
}

fn whole_v6(ip: Ipv6Addr) -> IpNet {
    IpNet::V6(Ipv6Net::from(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(range: Range) -> Vec<String> {
        let mut owners = Vec::new();
        let told: Result<(), ()> = range.owners(|owner| {
            owners.push(owner);
            Ok(())
        });
        told.expect("nothing fails");
        owners
    }

    fn net(text: &str) -> Range {
        match text.parse::<IpNet>().expect(text) {
            IpNet::V4(net) => Range::V4(net.network().into(), net.broadcast().into()),
            IpNet::V6(net) => Range::V6(net.network().into(), net.broadcast().into()),
        }
    }

    #[test]
    fn whole_octets_and_nibbles_are_wildcards() {
        assert_eq!(owners(net("192.0.2.7/32")), ["7.2.0.192"]);
        assert_eq!(owners(net("192.0.2.0/24")), ["*.2.0.192"]);
        assert_eq!(owners(net("192.0.2.0/23")), ["*.2.0.192", "*.3.0.192"]);
        assert_eq!(
            owners(Range::V4(0xc000_02fe, 0xc000_0300)).join(" "),
            "254.2.0.192 255.2.0.192 0.3.0.192"
        );
        assert_eq!(owners(net("2001:db8::/32")), ["*.8.b.d.0.1.0.0.2"]);
        assert_eq!(owners(net("2001:db8::/31")), ["*.8.b.d.0.1.0.0.2", "*.9.b.d.0.1.0.0.2"]);
        assert_eq!(
            owners(net("2001:db8::7/128")),
            [reversed("2001:db8::7".parse().expect("an address"))]
        );
    }

    #[test]
    fn no_wildcard_stands_above_the_other_family() {
        let all = owners(net("2.0.0.0/8"));
        assert!(!all.contains(&"*.2".to_owned()));
        assert!(all.contains(&"*.10.2".to_owned()) && all.contains(&"*.10.3.2".to_owned()));
        assert!(all.contains(&"9.0.0.2".to_owned()) && all.contains(&"255.0.0.2".to_owned()));
        assert_eq!(all.len(), 246 + 10 * (246 + 10 * 256));
        assert!(owners(net("2000::/4")).iter().all(|owner| owner.matches('.').count() >= 1));
        assert!(owners(net("2000::/4")).contains(&"*.f.2".to_owned()));
        assert!(!owners(net("2000::/4")).contains(&"*.0.0.2".to_owned()));
        assert!(owners(net("2000::/4")).contains(&"*.1.0.0.2".to_owned()));
        let mut of_pairs = Vec::new();
        let told: Result<(), ()> = net("2.0.0.0/30").pair_owners(|owner| {
            of_pairs.push(owner);
            Ok(())
        });
        told.expect("nothing fails");
        assert!(of_pairs.is_empty(), "{of_pairs:?}");
    }

    #[test]
    fn loopback_is_cut_out() {
        let parts = |range: Range| range.without_loopback().collect::<Vec<_>>();
        assert_eq!(parts(net("127.0.0.2/32")), []);
        assert_eq!(parts(net("192.0.2.0/24")), [net("192.0.2.0/24")]);
        assert_eq!(
            parts(Range::V4(0, u32::MAX)),
            [Range::V4(0, 0x7eff_ffff), Range::V4(0x8000_0000, u32::MAX)]
        );
    }
}

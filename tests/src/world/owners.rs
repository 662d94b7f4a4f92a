//! Which pairs truly belong to whom at a time.

use std::collections::HashMap;
use std::net::IpAddr;

use helostat_zones::name::Name;
use helostat_zones::time::Time;

use super::World;
use super::truth::{Pair, Sender};

/// The owned pairs of a world by address.
pub struct Owners<'w> {
    senders: &'w [Sender],
    pairs: HashMap<IpAddr, Vec<&'w Pair>>,
}

impl<'w> Owners<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        let mut pairs: HashMap<IpAddr, Vec<&Pair>> = HashMap::new();
        for pair in world.pairs().iter().filter(|pair| pair.owned.is_some()) {
            pairs.entry(pair.ip).or_default().push(pair);
        }
        Self { senders: world.senders(), pairs }
    }

    /// The pairs that somebody owns at an address at a time.
    pub fn at(&self, ip: IpAddr, time: Time) -> impl Iterator<Item = &'w Pair> {
        let pairs = self.pairs.get(&ip).map_or(&[][..], Vec::as_slice);
        pairs.iter().copied().filter(move |pair| pair.owned.is_some_and(|span| span.contains(time)))
    }

    /// Who owns this name at this address at this time, and the pair with what the DNS says of it.
    pub fn of(&self, ip: IpAddr, name: &Name, time: Time) -> Option<(&'w Sender, &'w Pair)> {
        let pair = self.at(ip, time).find(|pair| pair.name == *name)?;
        Some((&self.senders[pair.sender as usize], pair))
    }
}

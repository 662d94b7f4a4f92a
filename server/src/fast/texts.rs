//! The texts that were said of clients lately, to be said again.
//!
//! In goes a text with the zone, the address and the codes beside which it was said; out it comes again for the same codes
//! that hold for the same time, as octets of one string. Nothing fails: a text that is not here is made anew.
//!
//! Each address of a zone has one place, which it shares with others: the last text is kept. So nothing is searched, nothing
//! ordered, no writer holds anybody up, and memory is bounded by [`PLACES`] texts of at most 255 octets. The texts
//! belong to one configuration, whose page is in them.

use std::net::Ipv4Addr;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use helostat_zones::answer::Codes;
use helostat_zones::time::Time;

/// A power of two: with 300 octets each some 10 MB at the most.
const PLACES: usize = 1 << 15;

/// The places.
#[derive(Debug)]
pub(crate) struct Texts(Box<[ArcSwapOption<Text>]>);

#[derive(Debug)]
struct Text {
    key: (usize, Ipv4Addr),
    beside: (Codes, Time),
    octets: Box<[u8]>,
}

impl Texts {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self((0..PLACES).map(|_| ArcSwapOption::empty()).collect())
    }

    /// Keeps what was said of an address in the `zone`-th zone beside these codes that hold until then.
    pub(crate) fn put(&self, zone: usize, ip: Ipv4Addr, beside: (Codes, Time), text: &str) {
        if let Some(place) = self.0.get(place_of(zone, ip)) {
            let octets = text.as_bytes().into();
            place.store(Some(Arc::new(Text { key: (zone, ip), beside, octets })));
        }
    }

    /// What was said of it beside the same.
    pub(crate) fn find(&self, zone: usize, ip: Ipv4Addr, beside: (Codes, Time)) -> Option<Found> {
        let text = self.0.get(place_of(zone, ip))?.load();
        let is_it = text.as_ref().is_some_and(|it| it.key == (zone, ip) && it.beside == beside);
        is_it.then_some(Found(text))
    }
}

/// A text that was found.
pub(crate) struct Found(Guard<Option<Arc<Text>>>);

impl Found {
    pub(crate) fn octets(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |text| &text.octets)
    }
}

fn place_of(zone: usize, ip: Ipv4Addr) -> usize {
    let mixed =
        (u64::from(u32::from(ip)) ^ ((zone as u64) << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - PLACES.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_said_again_only_beside_the_same_codes() {
        let texts = Texts::new();
        let ip = Ipv4Addr::new(192, 0, 2, 1);
        let beside = (Codes::default(), Time(7));
        let said = |zone, ip, beside| texts.find(zone, ip, beside).map(|it| it.octets().to_vec());
        assert_eq!(said(0, ip, beside), None);
        texts.put(0, ip, beside, "listed");
        assert_eq!(said(0, ip, beside), Some(b"listed".to_vec()));
        assert_eq!(said(0, ip, (Codes::default(), Time(8))), None, "judged again");
        assert_eq!(said(1, ip, beside), None, "another zone");
        assert_eq!(said(0, Ipv4Addr::new(192, 0, 2, 2), beside), None, "another address");
        texts.put(0, ip, (beside.0, Time(8)), "listed still");
        assert_eq!(said(0, ip, beside), None);
    }

    #[test]
    fn addresses_and_zones_are_spread() {
        let ips = (0..4u32).flat_map(|net| (0..1000).map(move |host| net << 16 | host));
        let keys = ips.flat_map(|ip| (0..4).map(move |zone| place_of(zone, ip.into())));
        let places: std::collections::HashSet<_> = keys.collect();
        assert!(places.len() > 10_000, "16,000 keys have {} places", places.len());
    }
}

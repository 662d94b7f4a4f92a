//! Strangers in one IPv6 network: class 20.
//!
//! Measured at list sites: one /64 with three domains, two /48 with five.

use super::honest::one_pair;
use crate::world::addresses::v6;
use crate::world::class::Class;
use crate::world::maker::{Budget, Maker};

/// The part of such networks that is one /64, not one /48.
const ONE_64: f64 = 0.4;

/// Class 20: three to five hosts, each a sender and an operator of its own.
pub(super) fn shared_network(maker: &mut Maker<'_>, budget: Budget) {
    let span = maker.span;
    let site = maker.space.site();
    let together = maker.draws.chance(ONE_64);
    for place in 0..3 + maker.draws.below(3) as u16 {
        maker.sender(Class::SharedNetwork, None);
        let ip = if together {
            v6(site, 0x41, 1 + u64::from(place))
        } else {
            v6(site, 0x1000 + place * 0x111, 1)
        };
        let rate = maker.draws.skewed((0.3, 10.0));
        let count = maker.count(rate, span, budget.each / 4);
        one_pair(maker, ip, span, count);
    }
}

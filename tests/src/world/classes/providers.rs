//! The two large providers of mailboxes, one sender each, with wanted and unwanted mail by the same hosts: 5 and 6.
//!
//! Measured: one had about 1,300 names on 1,240 addresses in 20 networks, 365 of the names in one /64. The other had
//! about 180 names of regions on 7,500 addresses in 270 networks, in the median 18 addresses to a name and at most
//! 106, and its names changed over time. Its networks are those of its public SPF record; names are made up.

use std::collections::HashSet;
use std::net::IpAddr;

use super::honest::agreeing;
use crate::world::addresses::{REGION_BLOCKS, REGION_BLOCKS_V6, network_in, v6};
use crate::world::class::Class;
use crate::world::draws::Draws;
use crate::world::maker::{Budget, Maker};
use crate::world::names::letters;
use crate::world::truth::{Dns, Span};

/// Names, and addresses, of the first that are not in its crowded /64, and the networks they are in, half of IPv4.
const ADDRESSES: u32 = 935;
const NETWORKS: u32 = 19;
/// Addresses in its crowded /64, and those of them that get a second name; together its names.
const CROWDED: u32 = 305;
const SECOND_NAMES: u32 = 60;
/// Names of the second, and how many networks hold it in IPv4.
const REGIONS: u32 = 180;
const REGION_NETWORKS: usize = 268;
/// The part of its addresses that is IPv6.
const REGION_V6: f64 = 0.3;
/// The part of its names that ends or begins while the world lasts.
const DRIFT: f64 = 0.3;

/// Class 5.
pub(in crate::world) fn named(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::NamedProvider, None);
    let span = maker.span;
    let domain = maker.names.domain(&mut maker.draws);
    let name = |kind: char, place: u32, draws: &mut Draws| {
        format!("mail-{}{}-{kind}{}.{domain}", letters(draws, 2, false), place % 3 + 1, place)
    };
    let mut pairs = Vec::new();
    let site = maker.space.site();
    let networks: Vec<_> = (0..NETWORKS.div_ceil(2)).map(|_| maker.space.network()).collect();
    for place in 0..ADDRESSES {
        let (network, host) = (place % NETWORKS, place / NETWORKS);
        let ip: IpAddr = match networks.get(network as usize) {
            Some(network) => network.host(10 + host as u8).into(),
            None => v6(site, 0x20 + network as u16, u64::from(0x100 + host)),
        };
        let name = name('f', place, &mut maker.draws);
        pairs.push((maker.pair(ip, &name, agreeing(&name), Some(span)), span));
    }
    let change = span.at(0.5);
    for place in 0..CROWDED {
        let ip = v6(site, 0x10, u64::from(0x200 + place));
        let spans = if place < SECOND_NAMES {
            vec![span.before(change), span.since(change)]
        } else {
            vec![span]
        };
        for (turn, span) in spans.into_iter().enumerate() {
            let name = name('x', place + CROWDED * turn as u32, &mut maker.draws);
            pairs.push((maker.pair(ip, &name, agreeing(&name), Some(span)), span));
        }
    }
    mail(maker, &pairs, budget);
}

/// Class 6.
pub(in crate::world) fn regional(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::RegionProvider, None);
    let span = maker.span;
    let domain = maker.names.domain(&mut maker.draws);
    let networks: Vec<_> = (0..REGION_NETWORKS)
        .map(|place| network_in(&mut maker.draws, REGION_BLOCKS[place % REGION_BLOCKS.len()]))
        .collect();
    let (mut pairs, mut taken) = (Vec::new(), HashSet::new());
    for region in 0..REGIONS {
        let draws = &mut maker.draws;
        let label = letters(draws, 3, false);
        let name = format!("eur{:02}-{label}-obe.outbound.protection.{domain}", region % 100);
        let life = if !draws.chance(DRIFT) {
            span
        } else if draws.chance(0.5) {
            span.before(span.at(draws.within((0.2, 0.8))))
        } else {
            span.since(span.at(draws.within((0.2, 0.8))))
        };
        // Half of the names have up to 18 addresses, the others up to 106.
        let addresses = match region % 2 == 0 {
            true => draws.whole((1.0, 18.0)),
            false => 18 + (89.0 * draws.unit().sqrt()) as u32,
        };
        for place in 0..addresses {
            let draws = &mut maker.draws;
            let ip: IpAddr = if draws.chance(REGION_V6) {
                let block = REGION_BLOCKS_V6[draws.below(2)];
                v6(block, 0x7e00 + region as u16, u64::from(0x100 + place))
            } else {
                loop {
                    let ip = draws.pick(&networks).host(1 + draws.bits() as u8 % 254);
                    if taken.insert(ip) {
                        break ip.into();
                    }
                }
            };
            let rdns = format!("mail-{label}{:04}.outbound.protection.{domain}", 2000 + place);
            let dns = Dns { forward: true, rdns: Some(rdns.into()), confirmed: true };
            pairs.push((maker.pair(ip, &name, dns, Some(life)), life));
        }
    }
    mail(maker, &pairs, budget);
}

/// The messages of a provider: each message is wanted or not, whatever host it leaves by.
fn mail(maker: &mut Maker<'_>, pairs: &[(u32, Span)], budget: Budget) {
    for _ in 0..budget.messages.max(1) {
        let (pair, span) = *maker.draws.pick(pairs);
        let good = !maker.draws.chance(maker.settings.assumed.provider_spam);
        let zone = maker.draws.below(12) as u32;
        let time = maker.draws.working(span, zone);
        maker.send(pair, time, good);
    }
}

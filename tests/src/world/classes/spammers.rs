//! Spammers on rented hosts: snowshoe and random names; classes 15, 16.
//!
//! Measured: 63 domains on 57 addresses of a /24, 30 on 30 in another, each for 10 to 60 days, in 2007; 33 on 24 and
//! 22 on 22 in 2022-2026. 113 names on 60 addresses of a /24 that said a new one each time; 5.4% of the names in
//! phishing are of a top-level domain that does not exist.

use super::honest::agreeing;
use crate::world::class::Class;
use crate::world::maker::{Budget, Maker};
use crate::world::names::{mta, random, unnamed};
use crate::world::truth::{Dns, Event, Span};

/// Addresses of a snowshoe campaign.
const ADDRESSES: (f64, f64) = (20.0, 250.0);
/// Its messages a day.
const RATE: (f64, f64) = (50.0, 5000.0);
/// How many days it stays in its networks.
const LIFE: (f64, f64) = (3.0, 30.0);
/// How often it moves on, at most.
const MOVES: usize = 4;
/// Names and addresses of a spammer with a new name each time.
const NAMES: (f64, f64) = (2.0, 113.0);
const FEW: (f64, f64) = (1.0, 60.0);
/// The part of random names whose top-level domain does not exist.
const NO_TLD: f64 = 0.054;

/// Class 15: all in good order but for the purpose.
pub(super) fn snowshoe(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::Snowshoe, None);
    let stays = 1 + maker.draws.below(MOVES);
    let addresses = maker.draws.skewed_whole(ADDRESSES);
    let rate = maker.draws.skewed(RATE);
    let mut begin = maker.span.at(maker.draws.within((0.0, 0.8)));
    for stay in 0..stays {
        let life = maker.draws.within(LIFE);
        let span = maker.span.days_from(begin, life);
        // Too short a rest of the world for it.
        if stay > 0 && span.days() < 1.0 {
            break;
        }
        if stay > 0 {
            maker.event(Event::NextNetwork { at: begin });
        }
        let count = maker.count(rate, span, budget.each / stays as u32);
        rent(maker, addresses, span, count);
        begin = span.until;
    }
}

/// Addresses in one to three new networks, with a domain for each, and their mail.
fn rent(maker: &mut Maker<'_>, addresses: u32, span: Span, count: u32) {
    let networks: Vec<_> = (0..1 + addresses / 100).map(|_| maker.space.network()).collect();
    let pairs: Vec<u32> = (0..addresses)
        .map(|place| {
            let network = networks[place as usize % networks.len()];
            let ip = network.host((2 + place / networks.len() as u32) as u8);
            let domain = maker.names.cheap_domain(&mut maker.draws);
            let name = match maker.draws.chance(0.5) {
                true => mta(&mut maker.draws, &domain),
                false => domain,
            };
            maker.pair(ip.into(), &name, agreeing(&name), Some(span))
        })
        .collect();
    for _ in 0..count {
        let (time, pair) = (maker.draws.moment(span), *maker.draws.pick(&pairs));
        maker.send(pair, time, false);
    }
}

/// Class 16: a new name for each connection.
pub(super) fn random_name(maker: &mut Maker<'_>, _: Budget) {
    maker.sender(Class::RandomName, None);
    let network = maker.space.network();
    let hoster = maker.names.cheap_domain(&mut maker.draws);
    let names = maker.draws.skewed_whole(NAMES);
    let addresses = maker.draws.skewed_whole(FEW).min(names);
    let begin = maker.draws.moment(maker.span);
    let days = maker.draws.within((0.5, 20.0));
    let span = maker.span.days_from(begin, days);
    for place in 0..names {
        let ip = network.host((4 + place % addresses * 4) as u8).into();
        let name = random(&mut maker.draws, NO_TLD);
        let dns = match maker.draws.chance(0.5) {
            true => {
                let rdns = Some(unnamed(ip, &hoster).into());
                Dns { forward: false, rdns, confirmed: maker.draws.chance(0.7) }
            }
            false => Dns::default(),
        };
        let pair = maker.pair(ip, &name, dns, None);
        let time = maker.draws.moment(span);
        maker.send(pair, time, false);
    }
}

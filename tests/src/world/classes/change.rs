//! What changes: a cloud's addresses change hands, honest hosts get new addresses and names; classes 17 to 19.
//!
//! Measured at list sites: 504 steady names moved 0.124 times in a year each, 15.9% of them at least once; 35 of
//! 13,280 addresses went from one domain to another in seven years. The hosts here are those that change, each once.

use std::net::IpAddr;

use super::honest::{agreeing, new_name, one_pair};
use crate::world::class::Class;
use crate::world::maker::{Budget, Maker};
use crate::world::names::random;
use crate::world::truth::{Dns, Event, Span};

/// Messages a day of hosts that had time to become known.
const STEADY: (f64, f64) = (1.0, 15.0);
/// Messages a day of a spammer on a rented machine.
const SPAM: (f64, f64) = (10.0, 300.0);

/// Class 17: two customers, one after the other, at one address of a cloud's /20.
pub(super) fn vm_churn(maker: &mut Maker<'_>, budget: Budget) {
    let assumed = &maker.settings.assumed;
    let (idle_days, good_first) = (assumed.idle_days, assumed.good_then_bad);
    let span = maker.span;
    let network = maker.space.cloud().next(maker.draws.below(16) as u32);
    let ip = network.host(2 + maker.draws.below(250) as u8).into();
    let end = span.at(maker.draws.within((0.2, 0.5)));
    let idle = maker.draws.skewed(idle_days).min(span.days() * 0.4);
    let begin = span.days_from(end, idle).until;
    let good = maker.draws.chance(good_first);
    let before = customer(maker, ip, span.before(end), good, budget);
    customer(maker, ip, span.since(begin), !good, budget);
    maker.event(Event::TookOver { at: begin, before });
}

/// A good customer with one name, or a bad one with one or many.
fn customer(maker: &mut Maker<'_>, ip: IpAddr, span: Span, good: bool, budget: Budget) -> u32 {
    let id = maker.sender(Class::VmChurn, None);
    if good {
        let rate = maker.draws.skewed(STEADY);
        let count = maker.count(rate, span, budget.each / 2);
        one_pair(maker, ip, span, count);
        return id;
    }
    let rate = maker.draws.skewed(SPAM);
    let days = maker.draws.within((1.0, 20.0));
    let busy = span.days_from(span.from, days);
    let count = maker.count(rate, busy, budget.each / 2);
    let own = maker.draws.chance(0.5).then(|| {
        let domain = maker.names.cheap_domain(&mut maker.draws);
        maker.pair(ip, &domain, agreeing(&domain), Some(span))
    });
    for _ in 0..count {
        let pair = own.unwrap_or_else(|| {
            let name = random(&mut maker.draws, 0.0);
            maker.pair(ip, &name, Dns::default(), None)
        });
        let time = maker.draws.moment(busy);
        maker.send(pair, time, false);
    }
    id
}

/// Class 18: the name moves; for a while both addresses may send.
pub(super) fn renumbered(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::Renumbered, None);
    let assumed = &maker.settings.assumed;
    let (new_network, overlap, agreeing_dns) =
        (assumed.new_network, assumed.overlap_days, assumed.agreeing_dns);
    let span = maker.span;
    let (name, _) = new_name(maker);
    let network = maker.space.network();
    let last = 2 + maker.draws.below(120) as u8;
    let old = IpAddr::from(network.host(last));
    let new = match maker.draws.chance(new_network) {
        true => maker.space.server(&mut maker.draws).into(),
        false => IpAddr::from(network.host(last + 1 + maker.draws.below(120) as u8)),
    };
    let at = span.at(maker.draws.within((0.4, 0.7)));
    let both_until = match maker.draws.chance(0.5) {
        true => span.days_from(at, maker.draws.within(overlap)).until,
        false => at,
    };
    let agreed = maker.draws.chance(agreeing_dns);
    let (before, after) = (span.before(both_until), span.since(at));
    let from = maker.pair(old, &name, agreeing(&name), Some(before));
    let dns = if agreed { agreeing(&name) } else { Dns::default() };
    let to = maker.pair(new, &name, dns, Some(after));
    maker.event(Event::Moved { at, from: old, to: new, both_until, agreed });

    let rate = maker.draws.skewed(STEADY);
    let zone = maker.draws.below(24) as u32;
    let count = maker.count(rate, span, budget.each).max(2);
    let circle = maker.reporters.circle(&mut maker.draws, 1 + (count as usize / 10).min(14));
    for turn in 0..count {
        // At least one message from each side of the move.
        let time = match turn {
            0 => maker.draws.working(span.before(at), zone),
            1 => maker.draws.working(after, zone),
            _ => maker.draws.working(span, zone),
        };
        let still = before.contains(time) && turn != 1 && maker.draws.chance(0.5);
        let pair = if time < at || still { from } else { to };
        let site = *maker.draws.pick(&circle);
        maker.send_to(site, pair, time, true);
    }
}

/// Class 19: the same host in another domain of its owner.
pub(super) fn renamed(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::Renamed, None);
    let agreeing_dns = maker.settings.assumed.agreeing_dns;
    let span = maker.span;
    let (old, domain) = new_name(maker);
    let sibling = maker.names.sibling(&mut maker.draws, &domain);
    let new = format!("{}.{sibling}", old.split('.').next().unwrap_or("mail"));
    let ip: IpAddr = maker.space.server(&mut maker.draws).into();
    let at = span.at(maker.draws.within((0.4, 0.7)));
    let (before, after) = (span.before(at), span.since(at));
    let from = maker.pair(ip, &old, agreeing(&old), Some(before));
    // Where the DNS was forgotten the reverse name is still the old one.
    let dns = match maker.draws.chance(agreeing_dns) {
        true => agreeing(&new),
        false => Dns { forward: false, ..agreeing(&old) },
    };
    let to = maker.pair(ip, &new, dns, Some(after));
    let names = [from, to].map(|pair| maker.pairs[pair as usize].name.clone());
    let [from_name, to_name] = names;
    maker.event(Event::Renamed { at, from: from_name, to: to_name });
    let rate = maker.draws.skewed(STEADY);
    for (pair, span) in [(from, before), (to, after)] {
        let count = maker.count(rate, span, budget.each / 2);
        maker.working_mail(&[pair], span, count);
    }
}

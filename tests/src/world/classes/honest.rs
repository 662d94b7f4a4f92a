//! Small honest hosts: classes 1, 2, 3, 9, 21, 23.
//!
//! Measured on five list sites, 2019-2026: 42% of pairs were seen once only; the reverse name is the EHLO name for
//! 88% of messages, of its domain for 10%, none or another for 2%; a /64 with more than one address had 2 to 90;
//! 26% of messages came over IPv6.

use std::net::IpAddr;

use crate::world::addresses::{Space, v6};
use crate::world::class::Class;
use crate::world::maker::{Budget, Maker};
use crate::world::names::{letters, mta, unnamed, word};
use crate::world::truth::{Dns, Span};

/// The part of single MTAs that is seen once only.
const ONCE: f64 = 0.42;
/// How many addresses a hopper uses in its /64.
const HOPPER_ADDRESSES: (f64, f64) = (2.0, 90.0);
/// Messages a day of hosts with a few users.
const STEADY: (f64, f64) = (0.5, 15.0);

/// What the DNS says of an ordinary honest host.
pub(super) fn ordinary(maker: &mut Maker<'_>, ip: IpAddr, name: &str, domain: &str) -> Dns {
    let draws = &mut maker.draws;
    match draws.unit() {
        0.0..0.88 => agreeing(name),
        0.88..0.98 => Dns {
            forward: draws.chance(0.9),
            rdns: Some(format!("{}.{domain}", letters(draws, 4, true)).into()),
            confirmed: true,
        },
        0.98..0.99 => Dns { forward: draws.chance(0.5), ..Dns::default() },
        _ => {
            let hoster = maker.names.domain(draws);
            let forward = draws.chance(0.5);
            Dns { forward, rdns: Some(unnamed(ip, &hoster).into()), confirmed: draws.chance(0.8) }
        }
    }
}

/// Name, address and reverse name lead to each other.
pub(super) fn agreeing(name: &str) -> Dns {
    Dns { forward: true, rdns: Some(name.into()), confirmed: true }
}

/// Where a small host lives: with a hoster's other customers or alone.
pub(super) fn home(maker: &mut Maker<'_>) -> IpAddr {
    let hosted = maker.draws.chance(maker.settings.assumed.hosted);
    let (space, draws) = (&mut maker.space, &mut maker.draws);
    if hosted { space.hosted(draws) } else { space.server(draws) }.into()
}

/// A new domain and the name of its MTA.
pub(super) fn new_name(maker: &mut Maker<'_>) -> (String, String) {
    let domain = maker.names.domain(&mut maker.draws);
    (mta(&mut maker.draws, &domain), domain)
}

/// One pair with all of its mail.
pub(super) fn one_pair(maker: &mut Maker<'_>, ip: IpAddr, span: Span, count: u32) -> u32 {
    let (name, domain) = new_name(maker);
    let dns = ordinary(maker, ip, &name, &domain);
    let pair = maker.pair(ip, &name, dns, Some(span));
    maker.working_mail(&[pair], span, count);
    pair
}

/// Class 1.
pub(super) fn single(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::Single, None);
    let ip = home(maker);
    let span = maker.span;
    let count = if maker.draws.chance(ONCE) {
        1
    } else {
        let least = 2.0 / span.days();
        let most = maker.settings.assumed.busiest_single.max(least);
        let rate = maker.draws.skewed((least, most));
        maker.count(rate, span, budget.each).max(2)
    };
    one_pair(maker, ip, span, count);
}

/// Class 2: over IPv6 to every site that has it.
pub(super) fn dual_stack(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::DualStack, None);
    let span = maker.span;
    let (name, domain) = new_name(maker);
    let old = home(maker);
    let new = v6(maker.space.site(), 0, 0x19);
    let pairs = [old, new].map(|ip| {
        let dns = ordinary(maker, ip, &name, &domain);
        maker.pair(ip, &name, dns, Some(span))
    });
    let rate = maker.draws.skewed(STEADY);
    let count = maker.count(rate, span, budget.each);
    let circle = maker.reporters.circle(&mut maker.draws, 1 + (count as usize / 10).min(14));
    let zone = maker.draws.below(24) as u32;
    for _ in 0..count {
        let time = maker.draws.working(span, zone);
        let site = *maker.draws.pick(&circle);
        let pair = pairs[usize::from(maker.reporters.sites[usize::from(site)].ipv6)];
        maker.send_to(site, pair, time, true);
    }
}

/// Class 3: the first address is in the DNS, the others in half of the cases.
pub(super) fn hopper(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::Hopper, None);
    let span = maker.span;
    let (name, _) = new_name(maker);
    let site = maker.space.site();
    let all = maker.draws.chance(0.5);
    let addresses = maker.draws.skewed_whole(HOPPER_ADDRESSES);
    let pairs: Vec<u32> = (0..addresses)
        .map(|place| {
            let host = if place == 0 { 1 } else { maker.draws.bits() };
            let dns = if all || place == 0 { agreeing(&name) } else { Dns::default() };
            maker.pair(v6(site, 1, host), &name, dns, Some(span))
        })
        .collect();
    let rate = maker.draws.skewed(STEADY);
    let count = maker.count(rate, span, budget.each);
    maker.working_mail(&pairs, span, count);
}

/// Class 9: the reverse name is the access network's.
pub(super) fn nat_office(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::NatOffice, None);
    let span = maker.span;
    let pair = office(maker);
    let rate = maker.draws.skewed(STEADY);
    let count = maker.count(rate, span, budget.each);
    maker.working_mail(&[pair], span, count);
}

/// The MTA of an office behind NAT.
pub(super) fn office(maker: &mut Maker<'_>) -> u32 {
    let (name, _) = new_name(maker);
    let (ip, network) = Space::home(&mut maker.draws);
    let rdns = maker.names.access(&mut maker.draws, ip, network);
    let forward = maker.draws.chance(0.8);
    let dns = Dns { forward, rdns: Some(rdns.into()), confirmed: maker.draws.chance(0.9) };
    maker.pair(ip.into(), &name, dns, Some(maker.span))
}

/// Class 21: small and steady.
pub(super) fn misconfigured(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::Misconfigured, None);
    let span = maker.span;
    let ip = home(maker);
    let (host, _) = new_name(maker);
    let draws = &mut maker.draws;
    let said = match draws.below(3) {
        0 => "localhost.localdomain".to_owned(),
        1 => word(draws),
        _ => format!("{}.internal", word(draws)),
    };
    let dns = match draws.chance(0.7) {
        true => Dns { forward: false, rdns: Some(host.into()), confirmed: true },
        false => Dns::default(),
    };
    let pair = maker.pair(ip, &said, dns, None);
    let rate = maker.draws.within((0.2, 2.0));
    let count = maker.count(rate, span, budget.each);
    maker.working_mail(&[pair], span, count);
}

/// Class 23: one or two addresses, each of which says both names.
pub(super) fn two_names(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::TwoNames, None);
    let span = maker.span;
    let domain = maker.names.domain(&mut maker.draws);
    let style = *maker.draws.pick(&[("mx0a", "mx0b"), ("mx1", "mx2"), ("out1", "out2")]);
    let names = [format!("{}.{domain}", style.0), format!("{}.{domain}", style.1)];
    let network = maker.space.network();
    let first = 10 + maker.draws.below(200) as u8;
    let addresses = 1 + u8::from(maker.draws.chance(0.7));
    let mut pairs = Vec::new();
    for place in 0..addresses {
        let own = &names[usize::from(place)];
        for name in &names {
            let dns = Dns { forward: name == own, ..agreeing(own) };
            pairs.push(maker.pair(network.host(first + place).into(), name, dns, Some(span)));
        }
    }
    let rate = maker.draws.skewed((2.0, 40.0));
    let count = maker.count(rate, span, budget.each);
    maker.working_mail(&pairs, span, count);
}

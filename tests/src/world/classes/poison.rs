//! Reporters that lie: class 24.
//!
//! All bad reporters work together. Against a victim, they tell of more and more strange names at its address, to
//! get it on the list of those with many names. For an attacker, they tell of weeks of good mail from its address,
//! before it sends real spam to everybody. All of it is assumed.

use super::honest::agreeing;
use crate::world::class::Class;
use crate::world::maker::{Budget, Maker};
use crate::world::names::{anyone, mta};
use crate::world::truth::{Dns, Event};

/// A victim sends at least so much: attackers want hosts that are known.
const WORTHWHILE: u32 = 20;

/// Class 24.
pub(super) fn poisoner(maker: &mut Maker<'_>, budget: Budget) {
    let own = maker.settings.assumed.own_history;
    let victim = if maker.draws.chance(own) { None } else { victim(maker) };
    match victim {
        Some(victim) => slander(maker, victim, budget),
        None => own_history(maker, budget),
    }
}

/// An honest host of one address.
fn victim(maker: &mut Maker<'_>) -> Option<u32> {
    let honest = maker.senders.partition_point(|sender| sender.class == Class::Single);
    (honest > 0).then_some(())?;
    for _ in 0..200 {
        let sender = &maker.senders[maker.draws.below(honest)];
        if sender.good >= WORTHWHILE {
            return Some(sender.id);
        }
    }
    None
}

/// False names at a victim's address.
fn slander(maker: &mut Maker<'_>, victim: u32, budget: Budget) {
    let pair = &maker.pairs[maker.senders[victim as usize].pairs.0 as usize];
    let (ip, rdns, confirmed) = (pair.ip, pair.dns.rdns.clone(), pair.dns.confirmed);
    maker.sender(Class::Poisoner, None);
    maker.event(Event::Victim(victim));
    let begin = maker.span.at(maker.draws.within((0.3, 0.8)));
    let days = maker.draws.within((1.0, 20.0));
    let span = maker.span.days_from(begin, days);
    let mut left = budget.each;
    for _ in 0..maker.draws.whole(maker.settings.assumed.false_names) {
        let domain = anyone(&mut maker.draws);
        let name = mta(&mut maker.draws, &domain);
        let pair =
            maker.pair(ip, &name, Dns { forward: false, rdns: rdns.clone(), confirmed }, None);
        for site in maker.reporters.bad() {
            for _ in 0..maker.draws.whole(maker.settings.assumed.false_reports).min(left) {
                let time = maker.draws.moment(span);
                maker.fake(site, pair, time);
                left -= 1;
            }
        }
    }
}

/// Good mail that never was, and then spam.
fn own_history(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::Poisoner, None);
    let ip = maker.space.server(&mut maker.draws).into();
    let domain = maker.names.cheap_domain(&mut maker.draws);
    let name = mta(&mut maker.draws, &domain);
    let pair = maker.pair(ip, &name, agreeing(&name), Some(maker.span));
    let begin = maker.span.at(maker.draws.within((0.1, 0.5)));
    // Time for the spam must be left.
    let days = maker.draws.within((5.0, 20.0)).min(maker.span.days() * 0.4);
    let history = maker.span.days_from(begin, days);
    let rate = maker.draws.whole(maker.settings.assumed.false_reports);
    let bad = maker.reporters.bad();
    let each = budget.each / 2 / bad.len().max(1) as u32;
    for site in bad {
        for _ in 0..maker.count(f64::from(rate), history, each) {
            let time = maker.draws.working(history, 0);
            maker.fake(site, pair, time);
        }
    }
    let spam = maker.span.days_from(history.until, 2.0);
    maker.event(Event::Burst(spam));
    for _ in 0..maker.count(100.0, spam, budget.each / 2) {
        let time = maker.draws.moment(spam);
        maker.send(pair, time, false);
    }
}

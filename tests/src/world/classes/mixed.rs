//! Honest hosts through which spam comes: forwarders, offices with bots, broken accounts; classes 8, 10, 22.
//!
//! Measured: one forwarder carried 1,264 of the 2,701 spam messages that a rule of established pairs let through;
//! 24 addresses at one site had five names or more in 90 days, the worst 44.

use super::honest::{agreeing, home, new_name, office, ordinary};
use super::said::behind_nat;
use crate::world::class::Class;
use crate::world::maker::{Budget, Maker};
use crate::world::truth::Event;

/// Messages a day of a forwarder.
const FORWARDER: (f64, f64) = (5.0, 200.0);
/// Messages a day of the office's MTA.
const OFFICE: (f64, f64) = (20.0, 200.0);
/// Messages a day of the bots beside it.
const BOTS: (f64, f64) = (100.0, 5000.0);
/// For how many days.
const BOT_DAYS: (f64, f64) = (1.0, 10.0);
/// The names they say.
const BOT_NAMES: (f64, f64) = (4.0, 43.0);
/// Messages a day of an MTA that is worth breaking into.
const COMPROMISED: (f64, f64) = (2.0, 50.0);

/// Class 8.
pub(super) fn forwarder(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::Forwarder, None);
    let span = maker.span;
    let (name, _) = new_name(maker);
    let network = maker.space.network();
    let pairs: Vec<u32> = (0..1 + maker.draws.below(3) as u8)
        .map(|place| {
            maker.pair(network.host(20 + place).into(), &name, agreeing(&name), Some(span))
        })
        .collect();
    let spam = maker.draws.within(maker.settings.assumed.forwarder_spam);
    let rate = maker.draws.skewed(FORWARDER);
    for _ in 0..maker.count(rate, span, budget.each) {
        let good = !maker.draws.chance(spam);
        let (time, pair) = (maker.draws.working(span, 0), *maker.draws.pick(&pairs));
        maker.send(pair, time, good);
    }
}

/// Class 10: the MTA's pair is there all the time, the bots' names for some days.
pub(super) fn nat_with_bots(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::NatWithBots, None);
    let span = maker.span;
    let pair = office(maker);
    let rate = maker.draws.skewed(OFFICE);
    let count = maker.count(rate, span, budget.each / 2);
    maker.working_mail(&[pair], span, count);

    let begin = span.at(maker.draws.within((0.2, 0.8)));
    let burst = span.days_from(begin, maker.draws.within(BOT_DAYS));
    maker.event(Event::Burst(burst));
    let mta = &maker.pairs[pair as usize];
    let (ip, dns) = (mta.ip, mta.dns.clone());
    let bots: Vec<u32> = (0..maker.draws.skewed_whole(BOT_NAMES))
        .map(|_| {
            let said = behind_nat(&mut maker.draws);
            let mut dns = dns.clone();
            dns.forward = false;
            maker.pair(ip, &said, dns, None)
        })
        .collect();
    let rate = maker.draws.skewed(BOTS);
    for _ in 0..maker.count(rate, burst, budget.each / 2) {
        let (time, pair) = (maker.draws.moment(burst), *maker.draws.pick(&bots));
        maker.send(pair, time, false);
    }
}

/// Class 22: the pair stays what it is; for some hours spam comes over it too.
pub(super) fn compromised(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::Compromised, None);
    let span = maker.span;
    let ip = home(maker);
    let (name, domain) = new_name(maker);
    let dns = ordinary(maker, ip, &name, &domain);
    let pair = maker.pair(ip, &name, dns, Some(span));
    let rate = maker.draws.skewed(COMPROMISED);
    let count = maker.count(rate, span, budget.each / 2);
    maker.working_mail(&[pair], span, count);

    let begin = span.at(maker.draws.within((0.3, 0.9)));
    let hours = maker.draws.within(maker.settings.assumed.burst_hours);
    let burst = span.days_from(begin, hours / 24.0);
    maker.event(Event::Burst(burst));
    let messages = maker.draws.skewed_whole(maker.settings.assumed.burst_messages);
    for _ in 0..messages.min(budget.each / 2).max(1) {
        let time = maker.draws.moment(burst);
        maker.send(pair, time, false);
    }
}

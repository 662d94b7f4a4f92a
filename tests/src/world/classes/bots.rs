//! Bots at home: classes 11 to 14. They own no name that they say.
//!
//! Measured at one site in 90 days: 86.7% of the addresses that sent spam sent one message, 0.4% ten or more, 4%
//! came on a second day. `localhost` was said by 1,443 addresses, `friend` by 1,194, `localhost.localdomain` by 812;
//! in 2022-2026 `[127.0.1.1]` by 36 and `localhost.members.linode.com` by 37. A bare address of the receiver was said
//! by about 900; one farm's name came from 47 strange addresses.

use std::net::Ipv4Addr;

use super::said::{HAS_REVERSE, MEASURED, Said, Target, say, target};
use crate::world::addresses::Space;
use crate::world::class::Class;
use crate::world::maker::{Budget, Maker};
use crate::world::names::{anyone, mta};
use crate::world::truth::{Dns, Sender, Span};

/// The part of addresses that send one message to a site, and the part that send ten or more.
const ONE: f64 = 0.867;
const TEN_OR_MORE: f64 = 0.004;
/// The part of those with several messages that come on another day: 4% of all.
const SECOND_DAY: f64 = 0.04 / (1.0 - ONE);
/// A good host is worth stealing the name of if it sends so much.
const WELL_KNOWN: u32 = 20;

/// A bot's address, its reverse name, and what the DNS says of it.
fn home(maker: &mut Maker<'_>, has_reverse: f64) -> (Ipv4Addr, String, Dns) {
    let draws = &mut maker.draws;
    let (ip, network) = Space::home(draws);
    let reverse = maker.names.access(draws, ip, network);
    let dns = match draws.chance(has_reverse) {
        true => Dns {
            forward: false,
            rdns: Some(reverse.as_str().into()),
            confirmed: draws.chance(0.85),
        },
        false => Dns::default(),
    };
    (ip, reverse, dns)
}

/// When a bot sends that much to one site: within some hours, or on two days.
fn visit(maker: &mut Maker<'_>) -> (u32, Span) {
    let draws = &mut maker.draws;
    let count = match draws.unit() {
        chance if chance < ONE => 1,
        chance if chance < 1.0 - TEN_OR_MORE => draws.skewed_whole((2.0, 9.0)),
        _ => draws.skewed_whole((10.0, 60.0)),
    };
    let days = if count > 1 && draws.chance(SECOND_DAY) { draws.within((1.5, 20.0)) } else { 0.1 };
    let begin = draws.moment(maker.span);
    (count, maker.span.days_from(begin, days))
}

/// Class 11.
pub(super) fn bot(maker: &mut Maker<'_>, _: Budget) {
    maker.sender(Class::Bot, None);
    let said = maker.draws.weighted(&MEASURED);
    let own = matches!(said, Said::OwnReverse | Said::SameDomain);
    let (ip, reverse, mut dns) = home(maker, if own { 1.0 } else { HAS_REVERSE });
    dns.forward = said == Said::OwnReverse && dns.confirmed;
    let more = 1.0 - 1.0 / maker.settings.assumed.bot_sites.max(1.0);
    let mut sites = 1;
    while maker.draws.chance(more) {
        sites += 1;
    }
    let mut pair = None;
    for site in maker.reporters.distinct(&mut maker.draws, sites, false) {
        let place = usize::from(site);
        let pair = match pair {
            // What it says of itself is the same everywhere, what it says of others is not.
            Some(pair) if said != Said::Receiver => pair,
            _ => {
                let name = say(&mut maker.draws, said, ip, &reverse, &maker.reporters.sites[place]);
                *pair.insert(maker.pair(ip.into(), &name, dns.clone(), None))
            }
        };
        let (count, span) = visit(maker);
        for _ in 0..count {
            let time = maker.draws.moment(span);
            maker.send_to(site, pair, time, false);
        }
    }
}

/// Class 12: all that say one string are one botnet.
pub(super) fn fixed_string(maker: &mut Maker<'_>, _: Budget) {
    let strings = [
        (1443.0, "localhost"),
        (1194.0, "friend"),
        (812.0, "localhost.localdomain"),
        (f64::from(maker.settings.assumed.ylmf_pc), "ylmf-pc"),
        (36.0, "[127.0.1.1]"),
        (37.0, "localhost.members.linode.com"),
    ];
    let string = maker.draws.weighted(&strings);
    // The botnet is known by its first bot, which is among the last of this class.
    let same = |sender: &&Sender| maker.pairs[sender.pairs.0 as usize].name.text() == string;
    let class = |sender: &&Sender| sender.class == Class::FixedString;
    let operator = maker.senders.iter().rev().take_while(class).find(same).map(|one| one.operator);
    maker.sender(Class::FixedString, operator);
    let (ip, _, dns) = home(maker, HAS_REVERSE);
    let pair = maker.pair(ip.into(), string, dns, None);
    let (count, span) = visit(maker);
    for _ in 0..count.min(3) {
        let time = maker.draws.moment(span);
        maker.send(pair, time, false);
    }
}

/// Class 13: each site sees its own name or address.
pub(super) fn victim_name(maker: &mut Maker<'_>, _: Budget) {
    maker.sender(Class::VictimName, None);
    let (ip, _, dns) = home(maker, HAS_REVERSE);
    let count = maker.draws.whole(maker.settings.assumed.victim_sites).max(2) as usize;
    let kinds = [(0.6, Target::Address), (0.2, Target::Host), (0.2, Target::Domain)];
    let kind = maker.draws.weighted(&kinds);
    let begin = maker.draws.moment(maker.span);
    let days = maker.draws.within((0.2, 5.0));
    let span = maker.span.days_from(begin, days);
    for site in maker.reporters.distinct(&mut maker.draws, count, false) {
        let name = target(kind, &maker.reporters.sites[usize::from(site)]);
        let pair = maker.pair(ip.into(), &name, dns.clone(), None);
        for _ in 0..1 + maker.draws.below(3) {
            let time = maker.draws.moment(span);
            maker.send_to(site, pair, time, false);
        }
    }
}

/// Class 14: one campaign, each address a sender.
pub(super) fn name_thief(maker: &mut Maker<'_>, _: Budget) {
    let name = stolen(maker);
    let begin = maker.draws.moment(maker.span.before(maker.span.at(0.9)));
    let days = maker.draws.within((3.0, 30.0));
    let span = maker.span.days_from(begin, days);
    let mut operator = None;
    for _ in 0..maker.draws.whole(maker.settings.assumed.thief_addresses).max(1) {
        let id = maker.sender(Class::NameThief, operator);
        operator.get_or_insert(id);
        let (ip, _, dns) = home(maker, HAS_REVERSE);
        let pair = maker.pair(ip.into(), &name, dns, None);
        for _ in 0..1 + maker.draws.below(4) {
            let time = maker.draws.moment(span);
            maker.send(pair, time, false);
        }
    }
}

/// The name of a farm, a provider or a busy MTA; a made-up one where the world has none.
fn stolen(maker: &mut Maker<'_>) -> String {
    // Bots, which are many, are not looked at.
    let before = maker.senders.partition_point(|sender| sender.class < Class::NatWithBots);
    for _ in 0..if before > 0 { 200 } else { 0 } {
        let sender = &maker.senders[maker.draws.below(before)];
        let large = matches!(sender.class, Class::Farm | Class::NamedProvider | Class::EspPool);
        let (first, end) = sender.pairs;
        let busy = sender.class <= Class::DualStack && sender.good >= WELL_KNOWN;
        if first < end && (large || busy) {
            let pair = first as usize + maker.draws.below((end - first) as usize);
            return maker.pairs[pair].name.text().to_owned();
        }
    }
    let domain = anyone(&mut maker.draws);
    mta(&mut maker.draws, &domain)
}

//! Many hosts of one operator: farms of companies and access providers, pools that send for customers; classes 4, 7.
//!
//! Measured: farms of 42 to 158 addresses with a name for each (124 addresses, 116 names) or few names on all (158
//! addresses, 5 names); pools of 19 to 286 addresses, as many names.

use super::honest::agreeing;
use crate::world::class::Class;
use crate::world::maker::{Budget, Maker};
use crate::world::names::letters;
use crate::world::truth::Dns;

/// Addresses of a farm.
const FARM: (f64, f64) = (10.0, 300.0);
/// Names of a farm that has few.
const FEW_NAMES: (f64, f64) = (1.0, 16.0);
/// Addresses of a pool.
const POOL: (f64, f64) = (20.0, 300.0);
/// Messages a day of either.
const RATE: (f64, f64) = (50.0, 5000.0);
/// Hosts in each /24.
const IN_NETWORK: u32 = 120;
/// Customers of a pool.
const CUSTOMERS: (f64, f64) = (20.0, 200.0);
/// How many messages a customer's campaign has.
const CAMPAIGN: (f64, f64) = (10.0, 400.0);

/// So many addresses in few networks, each with the name of its number and what the DNS says.
fn hosts(maker: &mut Maker<'_>, count: u32, host: impl Fn(u32) -> (String, Dns)) -> Vec<u32> {
    let span = maker.span;
    let networks: Vec<_> = (0..count.div_ceil(IN_NETWORK)).map(|_| maker.space.network()).collect();
    (0..count)
        .map(|place| {
            let ip =
                networks[(place / IN_NETWORK) as usize].host((10 + place % IN_NETWORK * 2) as u8);
            let (name, dns) = host(place);
            maker.pair(ip.into(), &name, dns, Some(span))
        })
        .collect()
}

/// Class 4.
pub(super) fn farm(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::Farm, None);
    let domain = maker.names.domain(&mut maker.draws);
    let prefix = letters(&mut maker.draws, 3, false);
    let count = maker.draws.skewed_whole(FARM);
    let own = maker.draws.chance(maker.settings.assumed.name_per_address);
    let names = if own { count } else { maker.draws.skewed_whole(FEW_NAMES).min(count) };
    let pairs = hosts(maker, count, |place| {
        let name = format!("{prefix}-out{}.{domain}", 1 + place % names);
        let dns = if own {
            agreeing(&name)
        } else {
            let rdns = Some(format!("smtp{place}.{domain}").into());
            Dns { forward: place < names, rdns, confirmed: true }
        };
        (name, dns)
    });
    let (rate, span) = (maker.draws.skewed(RATE), maker.span);
    let zone = maker.draws.below(24) as u32;
    for _ in 0..maker.count(rate, span, budget.each) {
        let (time, pair) = (maker.draws.working(span, zone), *maker.draws.pick(&pairs));
        maker.send(pair, time, true);
    }
}

/// Class 7: any customer's mail leaves by any host; it comes in bursts, and a few customers are spammers.
pub(super) fn esp_pool(maker: &mut Maker<'_>, budget: Budget) {
    maker.sender(Class::EspPool, None);
    let domain = maker.names.domain(&mut maker.draws);
    let count = maker.draws.skewed_whole(POOL);
    let pairs = hosts(maker, count, |place| {
        let name = format!("o{}.smtp-out.{domain}", 100 + place);
        let dns = agreeing(&name);
        (name, dns)
    });
    let customers: Vec<bool> = (0..maker.draws.skewed_whole(CUSTOMERS))
        .map(|_| !maker.draws.chance(maker.settings.assumed.esp_spammers))
        .collect();
    let (rate, span) = (maker.draws.skewed(RATE), maker.span);
    let mut left = maker.count(rate, span, budget.each);
    while left > 0 {
        let good = *maker.draws.pick(&customers);
        let campaign = maker.draws.skewed_whole(CAMPAIGN).min(left);
        let hours = maker.draws.within((0.5, 4.0));
        let begin = maker.draws.working(span, 0);
        let burst = span.days_from(begin, hours / 24.0);
        for _ in 0..campaign {
            let (time, pair) = (maker.draws.moment(burst), *maker.draws.pick(&pairs));
            maker.send(pair, time, good);
        }
        left -= campaign;
    }
}

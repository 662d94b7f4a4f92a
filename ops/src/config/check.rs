//! Do the values agree with each other? What one key alone shows is checked where it is read.
//!
//! [`disagreements`] gives errors with the places of both sides; [`warnings`] gives sentences on what
//! is allowed but seldom meant.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::place::{ConfigError, Place};
use super::policy::Policy;
use super::read::Given;
use super::section::Section;
use super::settings::{Dns, Live, Log, Zone};
use super::value::cut;
use super::{Config, LOG, POLICY, ZONE};

/// Everything in which two values of the file cannot both hold.
pub(super) fn disagreements(config: &Config, given: &Given) -> Vec<ConfigError> {
    let mut found = Vec::new();
    zones(&config.zones, given, &mut found);
    logs(&config.logs, given, &mut found);
    sockets(config, given, &mut found);
    numbers(&config.policy, given, &mut found);
    found
}

/// One error at `place`. What no file says is a default, and defaults agree.
fn disagree(place: Option<&Place>, sentence: String, found: &mut Vec<ConfigError>) {
    if let Some(place) = place {
        found.push(ConfigError { place: place.clone(), sentence });
    }
}

/// "at file:line:column", for the side that came first.
fn seen(place: Option<&Place>) -> String {
    place.map_or_else(String::new, |place| format!(" at {place}"))
}

fn zones(zones: &[Zone], given: &Given, found: &mut Vec<ConfigError>) {
    let sound = |&(number, _): &(usize, _)| given.is_sound(ZONE, number, "origin");
    let zones: Vec<_> = zones.iter().enumerate().filter(sound).collect();
    let mut first = BTreeMap::new();
    // Every kind of every zone with the zone it belongs to.
    let mut taken = BTreeMap::new();
    for &(number, zone) in &zones {
        let origin = &zone.origin;
        if let Some(&other) = first.get(origin) {
            let there = seen(given.place(ZONE, other, "origin"));
            let sentence = format!("the origin {origin} is there already{there}");
            disagree(given.place(ZONE, number, "origin"), sentence, found);
            continue;
        }
        first.insert(origin, number);
        if given.is_sound(ZONE, number, "kinds") {
            let apexes = zone.kinds.iter().map(|kind| format!("{}.{origin}", kind.word()));
            taken.extend(apexes.map(|apex| (apex, (number, origin))));
        }
    }
    for &(number, zone) in &zones {
        let origin = &zone.origin;
        let above = std::iter::successors(Some(origin.as_str()), |name| {
            name.split_once('.').map(|(_, above)| above)
        });
        let mut above = above.filter_map(|name| taken.get_key_value(name));
        if let Some((apex, &(other, owner))) = above.next() {
            let there = seen(given.place(ZONE, other, "origin"));
            let sentence = format!(
                "the origin {origin} lies within {apex}, which belongs to {owner}{there}; choose another, or leave that kind out there"
            );
            disagree(given.place(ZONE, number, "origin"), sentence, found);
        }
    }
}

fn logs(logs: &[Log], given: &Given, found: &mut Vec<ConfigError>) {
    let sound = |&(number, _): &(usize, _)| {
        ["path", "reporter", "reporter-kind"].iter().all(|key| given.is_sound(LOG, number, key))
    };
    let logs: Vec<_> = logs.iter().enumerate().filter(sound).collect();
    for (rank, &(number, log)) in logs.iter().enumerate() {
        let before = || logs.iter().copied().take(rank);
        if let Some((first, _)) = before().find(|(_, other)| other.path == log.path) {
            let there = seen(given.place(LOG, first, "path"));
            let path = cut(&log.path.to_string_lossy());
            let sentence = format!("the log {path} is read already{there}");
            disagree(given.place(LOG, number, "path"), sentence, found);
        }
        // What a trap accepts never builds trust; one name for both would let it.
        let same = |other: &Log| other.reporter == log.reporter;
        let differs = |other: &Log| other.reporter_kind != log.reporter_kind;
        if let Some((first, _)) = before().find(|(_, other)| same(other) && differs(other)) {
            let there = seen(given.place(LOG, first, "reporter-kind"));
            let sentence = format!(
                "the reporter \"{}\" has another reporter-kind{there}; give each its own reporter name",
                log.reporter
            );
            disagree(given.place(LOG, number, "reporter-kind"), sentence, found);
        }
    }
}

fn sockets(config: &Config, given: &Given, found: &mut Vec<ConfigError>) {
    let Some(http) = config.http.listen else { return };
    if !given.is_sound("http", 0, "listen") || !given.is_sound("dns", 0, "listen") {
        return;
    }
    if let Some(dns) = config.dns.listen.iter().find(|dns| collide(**dns, http)) {
        let place = given.exact("http", 0, "listen").or_else(|| given.exact("dns", 0, "listen"));
        let sentence = format!("[http] and [dns] cannot both listen on TCP: {http} and {dns}");
        disagree(place, sentence, found);
    }
}

fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    // Port 0 is "any free one".
    one.port() != 0 && one.port() == other.port() && (everywhere || one.ip() == other.ip())
}

fn numbers(policy: &Policy, given: &Given, found: &mut Vec<ConfigError>) {
    let mut policy = policy.clone();
    let mut number = |name: &str| {
        let value = policy.field(name).map(|field| field.value());
        value.and_then(|value| value.as_integer())
    };
    for (milder, stricter) in Policy::ORDERED {
        let (Some(mild), Some(strict)) = (number(milder), number(stricter)) else { continue };
        let sound = given.is_sound(POLICY, 0, milder) && given.is_sound(POLICY, 0, stricter);
        if strict >= mild || !sound {
            continue;
        }
        let place = given.exact(POLICY, 0, stricter).or_else(|| given.exact(POLICY, 0, milder));
        let sentence = format!("`{stricter}` ({strict}) may not be below `{milder}` ({mild})");
        disagree(place, sentence, found);
    }
}

/// Sentences on what is allowed but seldom meant.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if config.logs.is_empty() {
        found.push("no [[log]]: nothing new will be learned".into());
    }
    if config.zones.is_empty() {
        found.push("no [[zone]]: no question will be answered".into());
    }
    if let Some(open) = public_socket(&config.dns) {
        if config.dns.allow.is_empty() {
            found.push(format!(
                "an open server: everybody may ask on {open}; name your networks in `allow` of [dns]"
            ));
        }
        let hidden = config.zones.iter().filter(|zone| lacks_address(zone));
        found.extend(hidden.map(|zone| {
            let origin = &zone.origin;
            format!("[[zone]] {origin}: its name servers lie in it but `ns-address` is empty: resolvers elsewhere will not find them")
        }));
    }
    live_warnings(&config.live, &mut found);
    memory_warnings(config, &mut found);
    found
}

fn memory_warnings(config: &Config, found: &mut Vec<String>) {
    let policy = &config.policy;
    let windows = [
        policy.families_window_days,
        policy.watch_window_days,
        policy.crowded_window_days,
        policy.strong_age_days,
    ];
    let longest = windows.into_iter().max().unwrap_or_default();
    if config.ledger.keep.as_secs() < u64::from(longest) * 86_400 {
        found.push(format!(
            "`keep` in [ledger] is shorter than the {longest} days over which [policy] looks back: pairs are forgotten before"
        ));
    }
    if policy.reporter_messages < policy.strong_messages {
        found.push(
            "`reporter-messages` in [policy] is below `strong-messages`: only several reporters together can make a pair strong"
                .into(),
        );
    }
}

fn live_warnings(live: &Live, found: &mut Vec<String>) {
    if !live.enabled {
        return;
    }
    if let Some(all) = live.trust.iter().find(|net| net.prefix_len() == 0) {
        found.push(format!(
            "`trust` in [live] has {all}: strangers' questions can make this server ask for any name"
        ));
    }
    if live.wait > live.timeout {
        found.push(
            "`wait` in [live] is longer than `timeout`: no look-up takes that long".to_string(),
        );
    }
}

/// The first socket that others than this machine can reach.
fn public_socket(dns: &Dns) -> Option<SocketAddr> {
    dns.listen.iter().copied().find(|socket| !socket.ip().to_canonical().is_loopback())
}

/// True if no name server of the zone can be found: all lie in it, and it has no addresses.
fn lacks_address(zone: &Zone) -> bool {
    zone.ns_address.is_empty() && zone.ns.iter().all(|name| name.is_within(zone.origin.as_str()))
}

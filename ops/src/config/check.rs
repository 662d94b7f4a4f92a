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
use super::settings::{Dns, Journal, List, Live, Log, Syslog, Transport, Zone};
use super::value::cut;
use super::{Config, JOURNAL, LIST, LOG, POLICY, SYSLOG, ZONE, decisions, postfix};
use helostat_zones::observation::ReporterKind;

/// Everything in which two values of the file cannot both hold.
pub(super) fn disagreements(config: &Config, given: &Given) -> Vec<ConfigError> {
    let mut found = Vec::new();
    zones(&config.zones, given, &mut found);
    lists(config, given, &mut found);
    logs(&config.logs, given, &mut found);
    journals(&config.journals, given, &mut found);
    reporters(config, given, &mut found);
    sockets(config, given, &mut found);
    postfix::disagreements(config, given, &mut found);
    numbers(&config.policy, given, &mut found);
    found
}

/// One error at `place`. What no file says is a default, and defaults agree.
pub(super) fn disagree(place: Option<&Place>, sentence: String, found: &mut Vec<ConfigError>) {
    if let Some(place) = place {
        found.push(ConfigError { place: place.clone(), sentence });
    }
}

/// "at file:line:column", for the side that came first.
pub(super) fn seen(place: Option<&Place>) -> String {
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

/// A list has its name for itself: no other list, no origin and no kind of a zone has it.
fn lists(config: &Config, given: &Given, found: &mut Vec<ConfigError>) {
    let mut taken: BTreeMap<String, Option<&Place>> = BTreeMap::new();
    for (number, zone) in config.zones.iter().enumerate() {
        let place = given.place(ZONE, number, "origin");
        taken.insert(zone.origin.to_string(), place);
        taken.extend(
            zone.kinds.iter().map(|kind| (format!("{}.{}", kind.word(), zone.origin), place)),
        );
    }
    for (number, List { origin, .. }) in config.lists.iter().enumerate() {
        if !given.is_sound(LIST, number, "origin") {
            continue;
        }
        let place = given.place(LIST, number, "origin");
        if let Some(&other) = taken.get(origin.as_str()) {
            let sentence = format!("the zone {origin} is there already{}", seen(other));
            disagree(place, sentence, found);
        }
        taken.insert(origin.to_string(), place);
    }
}

fn logs(logs: &[Log], given: &Given, found: &mut Vec<ConfigError>) {
    let sound = |&(number, _): &(usize, _)| given.is_sound(LOG, number, "path");
    let logs: Vec<_> = logs.iter().enumerate().filter(sound).collect();
    for (rank, &(number, log)) in logs.iter().enumerate() {
        let before = || logs.iter().copied().take(rank);
        if let Some((first, _)) = before().find(|(_, other)| other.path == log.path) {
            let there = seen(given.place(LOG, first, "path"));
            let path = cut(&log.path.to_string_lossy());
            let sentence = format!("the log {path} is read already{there}");
            disagree(given.place(LOG, number, "path"), sentence, found);
        }
    }
}

fn journals(journals: &[Journal], given: &Given, found: &mut Vec<ConfigError>) {
    let sound = |&(number, _): &(usize, _)| {
        ["reporter", "directory"].iter().all(|key| given.is_sound(JOURNAL, number, key))
    };
    let journals: Vec<_> = journals.iter().enumerate().filter(sound).collect();
    for (rank, &(number, journal)) in journals.iter().enumerate() {
        let same = |other: &Journal| {
            other.reporter == journal.reporter && other.directory == journal.directory
        };
        let mut before = journals.iter().copied().take(rank);
        if let Some((first, _)) = before.find(|(_, other)| same(other)) {
            let there = seen(given.place(JOURNAL, first, "reporter"));
            let sentence = format!(
                "the reporter \"{}\" reads this journal already{there}; name all its units in one [[journal]], or give each its own reporter name",
                journal.reporter
            );
            disagree(given.place(JOURNAL, number, "reporter"), sentence, found);
        }
    }
}

/// What a trap accepts never builds trust; one name for it and for another server would let it.
fn reporters(config: &Config, given: &Given, found: &mut Vec<ConfigError>) {
    let mut all: Vec<(&'static str, usize, &str, ReporterKind)> = Vec::new();
    for (number, log) in config.logs.iter().enumerate() {
        all.push((LOG, number, &log.reporter, log.reporter_kind));
    }
    for (number, syslog) in config.syslog.iter().enumerate() {
        let names = syslog.reporters.values().chain(&syslog.reporter);
        all.extend(names.map(|name| (SYSLOG, number, name.as_str(), syslog.reporter_kind)));
    }
    for (number, journal) in config.journals.iter().enumerate() {
        all.push((JOURNAL, number, &journal.reporter, journal.reporter_kind));
    }
    all.retain(|&(section, number, _, _)| {
        let keys = ["path", "reporter", "reporters", "reporter-kind"];
        keys.iter().all(|key| given.is_sound(section, number, key))
    });
    let mut told = None;
    for (rank, &(section, number, name, kind)) in all.iter().enumerate() {
        let mut before = all.iter().take(rank);
        let other = before.find(|other| other.2 == name && other.3 != kind);
        let Some(&(first_section, first, _, _)) = other else { continue };
        // Several names of one entry are one mistake.
        if told.replace((section, number)) == Some((section, number)) {
            continue;
        }
        let there = seen(given.place(first_section, first, "reporter-kind"));
        let sentence = format!(
            "the reporter \"{name}\" has another reporter-kind{there}; give each its own reporter name"
        );
        disagree(given.place(section, number, "reporter-kind"), sentence, found);
    }
}

fn sockets(config: &Config, given: &Given, found: &mut Vec<ConfigError>) {
    syslog_sockets(config, given, found);
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

/// What one `[[syslog]]` listens to, and what takes the same socket before it.
fn syslog_sockets(config: &Config, given: &Given, found: &mut Vec<ConfigError>) {
    let is_sound = |section, number, key| given.is_sound(section, number, key);
    for (number, syslog) in config.syslog.iter().enumerate() {
        let of =
            |number| is_sound(SYSLOG, number, "listen") && is_sound(SYSLOG, number, "transports");
        if !of(number) {
            continue;
        }
        let before = config.syslog.iter().take(number).enumerate().filter(|(other, _)| of(*other));
        let shares =
            |other: &Syslog| syslog.transports.iter().any(|it| other.transports.contains(it));
        let before = before.filter(|(_, other)| shares(other));
        let mut taken: Vec<(&str, SocketAddr)> = Vec::new();
        taken.extend(
            before.flat_map(|(_, other)| other.listen.iter().map(|it| ("another [[syslog]]", *it))),
        );
        if is_sound("dns", 0, "listen") {
            taken.extend(config.dns.listen.iter().map(|dns| ("[dns]", *dns)));
        }
        if is_sound("http", 0, "listen") && syslog.transports.contains(&Transport::Tcp) {
            taken.extend(config.http.listen.map(|http| ("[http]", http)));
        }
        let clash = syslog.listen.iter().find_map(|own| {
            taken.iter().find(|(_, other)| collide(*own, *other)).map(|other| (own, other))
        });
        if let Some((own, (whose, other))) = clash {
            let sentence = format!("[[syslog]] and {whose} cannot both listen: {own} and {other}");
            disagree(given.place(SYSLOG, number, "listen"), sentence, found);
        }
    }
}

pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
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
    let is_told = config.postfix.reporter.is_some() && !config.postfix.listen.is_empty();
    let follows =
        !(config.logs.is_empty() && config.syslog.is_empty() && config.journals.is_empty());
    if !follows && !is_told {
        found.push("no [[log]], [[syslog]] or [[journal]]: nothing new will be learned".into());
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
    for syslog in &config.syslog {
        syslog_warnings(syslog, &mut found);
    }
    postfix::warnings(&config.postfix, &mut found);
    live_warnings(&config.live, &mut found);
    memory_warnings(config, &mut found);
    decisions::warnings(config, &mut found);
    found
}

fn syslog_warnings(syslog: &Syslog, found: &mut Vec<String>) {
    let first = syslog.listen.first().map_or_else(String::new, SocketAddr::to_string);
    let reachable = |socket: &&SocketAddr| !socket.ip().to_canonical().is_loopback();
    let local = syslog.allow.iter().all(|net| net.addr().is_loopback());
    if local && let Some(open) = syslog.listen.iter().find(reachable) {
        found.push(format!(
            "[[syslog]] {first}: it listens on {open}, but `allow` names only this machine: nobody else may send"
        ));
    }
    // A /24 is one network of one's own; beyond it are strangers.
    let wide = |net: &&ipnet::IpNet| net.prefix_len() < if net.addr().is_ipv4() { 24 } else { 64 };
    let udp = syslog.transports.contains(&Transport::Udp);
    let others = syslog.allow.iter().filter(|net| !net.addr().is_loopback());
    if udp && let Some(net) = others.into_iter().find(wide) {
        found.push(format!(
            "[[syslog]] {first}: over UDP anybody can forge an address in {net} and be believed; name your mail servers in `allow`, or leave \"udp\" out of `transports`"
        ));
    }
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

//! The laws of a world, and the numbers that were measured.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::LazyLock;

use helostat_zones::evidence::System;
use helostat_zones::name::NameKind;
use helostat_zones::observation::Outcome;
use helostat_zones::time::Day;

use super::*;

/// A small world of all classes.
static SMALL: LazyLock<World> = LazyLock::new(|| World::new(&settings()));

fn settings() -> Settings {
    Settings { senders: 60, days: 45, ..Settings::default() }
}

/// A world of one class, with so many messages.
fn only(class: Class, messages: u32) -> World {
    let mix = Mix::empty().with(class, 1.0);
    let mut settings = Settings { mix, senders: 1, ..Settings::default() };
    settings.senders = (f64::from(messages) / settings.messages()).ceil() as u32;
    World::new(&settings)
}

fn table(settings: &Settings) -> Vec<u8> {
    let mut text = Vec::new();
    write::csv::write(&World::new(settings), &mut text).expect("memory takes everything");
    text
}

/// The part of those for which it is so.
fn part<T>(of: &[T], is: impl Fn(&T) -> bool) -> f64 {
    of.iter().filter(|one| is(one)).count() as f64 / of.len().max(1) as f64
}

#[track_caller]
fn about(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found:.4} is not {expected} +- {tolerance}");
}

#[test]
fn the_same_settings_give_the_same_world() {
    let settings = Settings { senders: 15, days: 20, ..Settings::default() };
    let first = table(&settings);
    assert!(first == table(&settings));
    assert!(first != table(&Settings { seed: 2, ..settings.clone() }));
    // Logarithms and powers are the C library's, so other systems may give another world.
    #[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
    assert_eq!(
        (first.len(), crc32fast::hash(&first)),
        GOLDEN,
        "all worlds are others now: is that meant?"
    );
}

/// Length and checksum of a small world's table.
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
const GOLDEN: (usize, u32) = (1_539_116, 773_362_697);

#[test]
fn messages_come_in_the_order_of_time_and_within_the_days() {
    let times: Vec<_> = SMALL.messages().map(|message| message.observation.time).collect();
    assert!(times.is_sorted());
    assert!(times.iter().all(|time| SMALL.span().contains(*time)));
    assert!(SMALL.messages().zip(1..).all(|(message, seq)| message.seq == seq));
    // Every day has mail, and the first and the last are no exceptions.
    let days: BTreeSet<Day> = times.iter().map(|time| time.day()).collect();
    assert_eq!(days.len(), 45);
}

#[test]
fn every_class_is_there_in_about_its_part() {
    let summary = SMALL.summary();
    let all = summary.messages() as f64;
    about(all / settings().messages(), 1.0, 0.15);
    for class in Class::ALL {
        let (counts, share) = (summary.of(class), Mix::default().share(class));
        let least = match class {
            Class::NamedProvider | Class::RegionProvider => 1,
            _ => settings().least as usize,
        };
        assert!(counts.senders >= least, "{class}: {counts:?}");
        let found = counts.messages as f64 / all;
        assert!((0.6..1.7).contains(&(found / share)), "{class}: {found:.4}, not {share}");
        assert!(!class.is_honest() || counts.bad == 0, "{class}: {counts:?}");
    }
    let sum = |classes: std::ops::RangeInclusive<u8>| {
        let of = |class: &Class| classes.contains(&class.number());
        let messages = Class::ALL.into_iter().filter(of).map(|class| summary.of(class).messages);
        messages.sum::<usize>() as f64 / all
    };
    about(sum(1..=9), 0.20, 0.03);
    about(sum(11..=14), 0.45, 0.04);
    about(sum(15..=16), 0.25, 0.04);
}

#[test]
fn tiny_worlds_and_odd_settings_end() {
    for (days, senders, reporters) in [(1, 1, 1), (2, 0, 2), (3, 2, 40), (0, 3, 0)] {
        let world = World::new(&Settings { days, senders, reporters, ..Settings::default() });
        assert!(!world.is_empty());
        assert!(world.messages().all(|message| world.span().contains(message.observation.time)));
    }
    assert!(World::new(&Settings { mix: Mix::empty(), ..Settings::default() }).is_empty());
}

#[test]
fn what_is_owned_is_owned_when_it_sends() {
    let owners = SMALL.owners();
    let mut owned = HashSet::new();
    for message in SMALL.messages() {
        let (seen, truth) = (&message.observation, &message.truth);
        assert_eq!((seen.ip, &seen.name), (truth.pair.ip, &truth.pair.name));
        let Some(span) = truth.pair.owned else { continue };
        assert!(span.contains(seen.time), "{} {message:?}", truth.class);
        if owned.insert((seen.ip, seen.name.text().to_owned())) {
            let (owner, _) = owners.of(seen.ip, &seen.name, seen.time).expect("an owner");
            assert_eq!(owner.id, truth.sender.id, "{message:?}");
        }
    }
    for sender in SMALL.senders() {
        assert!(sender.seen.is_some() && sender.good + sender.bad > 0, "{sender:?}");
        let pairs = SMALL.pairs_of(sender);
        assert!(pairs.iter().all(|pair| pair.sender == sender.id));
        let nobodys = matches!(
            sender.class,
            Class::Bot
                | Class::FixedString
                | Class::VictimName
                | Class::NameThief
                | Class::RandomName
                | Class::Misconfigured
        );
        let owned = pairs.iter().filter(|pair| pair.owned.is_some()).count();
        if nobodys || sender.victim().is_some() {
            assert_eq!(owned, 0, "{sender:?}");
        } else if sender.class != Class::VmChurn {
            assert!(owned > 0, "{sender:?}");
        }
    }
}

#[test]
fn the_dns_says_what_the_truth_holds() {
    for pair in SMALL.pairs() {
        let findings = pair.dns.findings(&pair.name);
        assert_eq!(findings.passes(System::Forward), pair.dns.forward && pair.name.is_fqdn());
        assert_eq!(findings.passes(System::Iprev), pair.dns.verified().is_some());
    }
}

#[test]
fn single_mtas_have_one_address_and_one_name() {
    let world = only(Class::Single, 150_000);
    assert!(world.senders().iter().all(|sender| sender.pairs.1 - sender.pairs.0 == 1));
    about(part(world.senders(), |sender| sender.good == 1), 0.42, 0.04);
    let same = |pair: &Pair| pair.dns.rdns.as_deref() == Some(pair.name.text());
    about(part(world.pairs(), same), 0.88, 0.03);
    let family = |pair: &Pair| {
        let rdns =
            pair.dns.rdns.as_deref().map(|rdns| helostat_zones::name::Name::parse(rdns.as_bytes()));
        !same(pair) && rdns.is_some_and(|rdns| rdns.family() == pair.name.family())
    };
    about(part(world.pairs(), family), 0.10, 0.03);
    // Few strangers are neighbours.
    let mut networks: HashMap<u32, usize> = HashMap::new();
    for pair in world.pairs() {
        let IpAddr::V4(ip) = pair.ip else { panic!("{pair:?}") };
        *networks.entry(ip.to_bits() >> 8).or_default() += 1;
    }
    assert!(networks.values().all(|count| *count < 5));
}

#[test]
fn bots_come_and_say_what_was_measured() {
    let world = only(Class::Bot, 60_000);
    let mut visits: HashMap<(IpAddr, String), Vec<Day>> = HashMap::new();
    for message in world.messages() {
        let seen = message.observation;
        visits.entry((seen.ip, seen.reporter.to_string())).or_default().push(seen.time.day());
    }
    let visits: Vec<_> = visits.into_values().collect();
    about(part(&visits, |days| days.len() == 1), 0.867, 0.01);
    about(part(&visits, |days| days.len() >= 10), 0.004, 0.002);
    about(part(&visits, |days| days.first() != days.last()), 0.04, 0.012);

    let sites: HashSet<&str> =
        world.sites().iter().flat_map(|site| [&*site.reporter, &*site.host]).collect();
    let own = |pair: &Pair| pair.dns.rdns.as_deref() == Some(pair.name.text());
    let said = |is: &dyn Fn(&Pair) -> bool| part(world.pairs(), |pair| is(pair));
    about(said(&own), 0.39 / 0.98, 0.02);
    about(
        said(&|pair| pair.name.ip() == Some(pair.ip) && pair.name.kind() == NameKind::Literal),
        0.05,
        0.01,
    );
    about(
        said(&|pair| pair.name.ip() == Some(pair.ip) && pair.name.kind() == NameKind::BareIp),
        0.015,
        0.005,
    );
    about(said(&|pair| sites.contains(pair.name.text())), 0.026 * 0.4, 0.006);
    about(said(&|pair| pair.name.kind() == NameKind::Malformed), 0.006, 0.004);
}

#[test]
fn each_site_hears_its_own_name_or_address() {
    let world = only(Class::VictimName, 5000);
    let sites: HashMap<&str, &Site> =
        world.sites().iter().map(|site| (&*site.reporter, site)).collect();
    let mut heard: HashMap<u32, HashSet<String>> = HashMap::new();
    for message in world.messages() {
        let (seen, site) = (&message.observation, sites[&*message.observation.reporter]);
        let name = seen.name.text();
        assert!(name == site.host || name == &*site.reporter || name == site.ip.to_string());
        heard.entry(message.truth.sender.id).or_default().insert(name.to_owned());
    }
    assert!(heard.values().all(|names| names.len() >= 2));
}

#[test]
fn thieves_say_names_of_good_hosts_elsewhere() {
    let owned: HashMap<&str, IpAddr> = SMALL
        .pairs()
        .iter()
        .filter(|pair| pair.owned.is_some())
        .map(|pair| (pair.name.text(), pair.ip))
        .collect();
    let thieves = SMALL.senders().iter().filter(|sender| sender.class == Class::NameThief);
    let mut campaigns: BTreeMap<u32, BTreeSet<IpAddr>> = BTreeMap::new();
    for thief in thieves {
        for pair in SMALL.pairs_of(thief) {
            assert!(owned.get(pair.name.text()).is_some_and(|ip| *ip != pair.ip), "{pair:?}");
            assert!(!pair.dns.forward);
            campaigns.entry(thief.operator).or_default().insert(pair.ip);
        }
    }
    assert!(campaigns.values().all(|ips| (19..=100).contains(&ips.len())), "{campaigns:?}");
}

#[test]
fn snowshoe_has_a_family_for_each_address_and_moves_on() {
    let world = only(Class::Snowshoe, 50_000);
    for sender in world.senders() {
        let pairs = world.pairs_of(sender);
        let families: HashSet<_> = pairs.iter().map(|pair| pair.name.family()).collect();
        let addresses: HashSet<_> = pairs.iter().map(|pair| pair.ip).collect();
        assert_eq!((families.len(), addresses.len()), (pairs.len(), pairs.len()));
        let stays: BTreeSet<_> = pairs
            .iter()
            .map(|pair| pair.owned.map(|span| (span.from, span.until)).expect("owned"))
            .collect();
        assert!((20..=250).contains(&(pairs.len() / stays.len())), "{}", pairs.len());
        let moves = sender.events.iter().filter(|event| matches!(event, Event::NextNetwork { .. }));
        assert_eq!(moves.count() + 1, stays.len());
        for pair in pairs {
            assert_eq!(pair.dns.verified(), Some(pair.name.text()));
            assert!(pair.owned.is_some_and(|span| span.days() <= 30.0));
        }
    }
}

#[test]
fn moved_hosts_keep_their_name_and_change_address_when_they_should() {
    let world = only(Class::Renumbered, 20_000);
    for message in world.messages() {
        let Some(Event::Moved { at, from, to, both_until, agreed }) =
            message.truth.sender.events.first()
        else {
            panic!("{:?} never moved", message.truth.sender)
        };
        let (time, ip) = (message.observation.time, message.observation.ip);
        assert!(if time < *at {
            ip == *from
        } else {
            ip == *to || (ip == *from && time < *both_until)
        });
        assert!(message.truth.pair.dns.forward == *agreed || ip == *from);
    }
    for sender in world.senders() {
        let pairs = world.pairs_of(sender);
        assert_eq!((pairs.len(), &pairs[0].name), (2, &pairs[1].name));
        let (first, last) = sender.seen.expect("seen");
        let at = sender.moved_at().expect("moved");
        assert!(first < at && at <= last, "{sender:?}");
    }
    let agreed = |sender: &Sender| matches!(sender.events[0], Event::Moved { agreed: true, .. });
    about(part(world.senders(), agreed), 0.9, 0.1);
}

#[test]
fn renamed_hosts_keep_their_address() {
    let world = only(Class::Renamed, 20_000);
    for sender in world.senders() {
        let (at, pairs) = (sender.renamed_at().expect("renamed"), world.pairs_of(sender));
        assert_eq!((pairs.len(), pairs[0].ip), (2, pairs[1].ip));
        assert_ne!(pairs[0].name.family(), pairs[1].name.family());
        assert_eq!(pairs[0].owned.map(|span| span.until), Some(at));
        assert_eq!(pairs[1].owned.map(|span| span.from), Some(at));
    }
}

#[test]
fn addresses_of_clouds_change_hands() {
    let world = only(Class::VmChurn, 20_000);
    let took = |sender: &&Sender| !sender.events.is_empty();
    for sender in world.senders().iter().filter(took) {
        let [Event::TookOver { at, before }] = sender.events[..] else { panic!("{sender:?}") };
        let before = &world.senders()[before as usize];
        let ip = |sender: &Sender| world.pairs_of(sender)[0].ip;
        assert_eq!(ip(sender), ip(before));
        let (Some((first, _)), Some((_, last))) = (sender.seen, before.seen) else { panic!() };
        assert!(last < at && at <= first);
        assert_ne!(sender.good > 0, before.good > 0);
        assert_ne!(sender.operator, before.operator);
    }
}

#[test]
fn strangers_share_an_ipv6_network() {
    let mut networks: HashMap<u128, HashSet<u32>> = HashMap::new();
    for sender in SMALL.senders().iter().filter(|sender| sender.class == Class::SharedNetwork) {
        let IpAddr::V6(ip) = SMALL.pairs_of(sender)[0].ip else { panic!("{sender:?}") };
        networks.entry(ip.to_bits() >> 80).or_default().insert(sender.operator);
    }
    assert!(networks.values().all(|operators| (3..=5).contains(&operators.len())), "{networks:?}");
}

#[test]
fn providers_are_as_large_as_measured() {
    let summary = SMALL.summary();
    let named = summary.of(Class::NamedProvider);
    assert_eq!((named.names, named.addresses), (1300, 1240));
    let of = |class| SMALL.senders().iter().find(|sender| sender.class == class).expect("one");
    let mut networks: HashMap<u64, HashSet<&str>> = HashMap::new();
    for pair in SMALL.pairs_of(of(Class::NamedProvider)) {
        let network = match pair.ip {
            IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8),
            IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
        };
        networks.entry(network).or_default().insert(pair.name.text());
    }
    assert_eq!((networks.len(), networks.values().map(HashSet::len).max()), (20, Some(365)));

    let mut regions: HashMap<&str, usize> = HashMap::new();
    for pair in SMALL.pairs_of(of(Class::RegionProvider)) {
        *regions.entry(pair.name.text()).or_default() += 1;
    }
    let mut counts: Vec<_> = regions.into_values().collect();
    counts.sort_unstable();
    assert_eq!(counts.len(), 180);
    assert!(counts.iter().sum::<usize>() > 7000);
    assert!((12..=28).contains(&counts[90]) && counts[179] <= 106, "{counts:?}");
}

#[test]
fn spam_of_mixed_hosts_comes_when_the_truth_says() {
    for message in SMALL.messages() {
        let truth = &message.truth;
        if matches!(truth.class, Class::NatWithBots | Class::Compromised) {
            let burst = truth.sender.burst().expect("a burst");
            assert!(truth.good || burst.contains(message.observation.time));
            let bots = truth.class == Class::NatWithBots;
            assert_eq!(truth.pair.owned.is_some(), truth.good || !bots, "{message:?}");
        }
    }
}

#[test]
fn only_bad_reporters_tell_what_never_was() {
    let bad: HashSet<&str> =
        SMALL.sites().iter().filter(|site| site.bad).map(|site| &*site.reporter).collect();
    assert_eq!(bad.len(), 1);
    let mut fakes = 0;
    for message in SMALL.messages().filter(|message| message.truth.fake) {
        fakes += 1;
        let truth = &message.truth;
        assert!(bad.contains(&*message.observation.reporter) && truth.class == Class::Poisoner);
        if let Some(victim) = truth.sender.victim() {
            let victim = &SMALL.senders()[victim as usize];
            let own = &SMALL.pairs_of(victim)[0];
            assert_eq!((own.ip, victim.class), (truth.pair.ip, Class::Single));
            assert_ne!(own.name.family(), truth.pair.name.family());
            assert!(!truth.good && truth.pair.owned.is_none());
        }
    }
    assert!(fakes > 100, "{fakes}");
    let honest = World::new(&Settings { bad_reporters: 0.0, ..settings() });
    assert!(honest.sites().iter().all(|site| !site.bad));
    assert!(honest.messages().all(|message| message.truth.class != Class::Poisoner));
}

#[test]
fn sites_see_what_their_kind_sees() {
    let mut seen: HashMap<&str, (usize, usize, usize)> = HashMap::new();
    let messages: Vec<_> = SMALL.messages().collect();
    for message in &messages {
        let (good, bad, refused) = seen.entry(&message.observation.reporter).or_default();
        *(if message.truth.good { good } else { bad }) += 1;
        *refused += usize::from(message.observation.outcome != Outcome::Accepted);
    }
    for site in SMALL.sites() {
        let (good, bad, refused) = seen[&*site.reporter];
        match site.kind {
            Kind::Trap => assert!(bad > 20 * good && refused == 0, "{site:?}: {good} {bad}"),
            Kind::ListOnly => assert!(good > 2 * bad, "{site:?}: {good} {bad}"),
            Kind::Mx => assert!(refused > 0 && good > 0 && bad > 0, "{site:?}: {good} {bad}"),
        }
    }
    let volumes = SMALL.volumes();
    assert!(volumes[0] > 40 * volumes[23], "{volumes:?}");
    let bots: Vec<_> =
        messages.iter().filter(|message| message.truth.class == Class::Bot).collect();
    let refused = part(&bots, |message| !message.observation.outcome.is_accepted());
    assert!((0.3..0.6).contains(&refused), "{refused}");
    let ham: Vec<_> = messages.iter().filter(|message| message.truth.good).collect();
    let v6 = part(&ham, |message| message.observation.ip.is_ipv6());
    assert!((0.15..0.4).contains(&v6), "{v6}");
}

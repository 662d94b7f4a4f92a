//! Resolvers that are dead, slow or lie, and floods of questions: answers come in time, memory stays flat, and no
//! limit of the look-ups is passed, counted at the resolver.
//!
//! What an answer takes is measured here, at the asker, between questions that need no look-up: how late those are
//! is this machine's doing, and allowed beyond the 50 ms, for coming and for waking up. `HELOSTAT_FLOOD` (100,000) says how many questions a flood
//! has, `HELOSTAT_SHOW` prints what was measured.
#![expect(clippy::print_stderr, reason = "measurements are shown where somebody wants them")]

mod asker;
mod resolver;

use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use helostat_tests::mail::{days_ago, established, postfix, postfix_refused};
use helostat_tests::program::{Daemon, Random, Site, eventually, number};

use asker::{Asked, Times, ask_all, flood};
use resolver::{Manner, Resolver, Seen, counts, most_in_a_second};

/// `live.wait` as it is by default, and what an answer may take beyond it.
const WAIT: Duration = Duration::from_millis(400);
const SLACK: Duration = Duration::from_millis(50);
/// The longest an unfinished answer may be kept, in seconds.
const UNFINISHED_TTL: u32 = 30;
/// What trouble may cost: allocators and caches fill up a little, no more.
const GROWTH_KB: u64 = 30_000;
/// The default of `questions-per-client`.
const PER_CLIENT: usize = 40;
/// Nobody listens there.
const NOBODY: &str = "127.99.99.99:9";
const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Clients with domains of their own; the number is also the first octet of the address, so that every
/// question at the resolver tells for whom it is.
const CLIENTS: Range<usize> = 20..60;
/// Enough where every answer is work.
const FEW_CLIENTS: Range<usize> = 20..28;

fn ip(client: usize) -> String {
    format!("{client}.5.6.7")
}

fn name(client: usize) -> String {
    format!("mx.helostat{client}.net")
}

/// Needs no look-up.
const PLAIN: &str = "2.0.0.127.bl";

/// All that is asked of a client, with questions between that need no look-up.
fn questions(clients: Range<usize>) -> Vec<String> {
    let of_one = |client| {
        let (key, name) = (format!("7.6.5.{client}"), name(client));
        [own_domain(client), format!("{key}.bl"), format!("{name}.ehlo"), format!("{key}.score")]
    };
    clients.flat_map(of_one).flat_map(|asked| [asked, PLAIN.to_owned()]).collect()
}

/// The pair of a client and its name.
fn own_domain(client: usize) -> String {
    format!("{}.7.6.5.{client}.pair", name(client))
}

/// The client that a question at the resolver is about.
fn client_of(seen: &Seen) -> usize {
    let labels: Vec<_> = seen.name.trim_end_matches('.').rsplit('.').collect();
    let own = match labels.as_slice() {
        ["arpa", "in-addr", first, ..] => Some(*first),
        ["net", domain, ..] => domain.strip_prefix("helostat"),
        _ => None,
    };
    own.and_then(|own| own.parse().ok()).unwrap_or_else(|| panic!("for nobody: {}", seen.name))
}

/// A ledger with steady senders, senders seen once and refused ones; `live` stands in `[live]`.
fn site(resolver: &str, live: &str) -> Site {
    let site = Site::new("");
    let mut log = String::new();
    for client in CLIENTS {
        match client % 3 {
            0 => log.push_str(&established(&ip(client), &name(client))),
            1 => log.push_str(&postfix(days_ago(1), &ip(client), &name(client))),
            _ => log.push_str(&postfix_refused(days_ago(1), &ip(client), &name(client))),
        }
    }
    site.write("mail.log", log);
    site.ok(&["learn", "mail.log"]);
    site.rewrite("enabled = false", &format!("resolver = [\"{resolver}\"]\n{live}"));
    site
}

fn show(what: std::fmt::Arguments<'_>) {
    if std::env::var_os("HELOSTAT_SHOW").is_some() {
        eprintln!("{what}");
    }
}

/// Waits until no look-up is under way any more.
fn wait_idle(daemon: &Daemon) {
    eventually("all look-ups to end", || {
        (daemon.metric("helostat_live_clients", &[]) == 0.0).then_some(())
    });
}

fn dropped(daemon: &Daemon, limit: &str) -> f64 {
    daemon.metric("helostat_live_dropped_total", &[("limit", limit)])
}

/// Those that need look-ups came in time, measured against those that need none.
fn assert_in_time(what: &str, asked: &[Asked]) -> Times {
    let plain = |asked: &&Asked| asked.name == PLAIN;
    let own = Times::of(asked.iter().filter(plain));
    let waiting = Times::of(asked.iter().filter(|asked| !plain(asked)));
    show(format_args!("{what}: {waiting}; without look-ups {own}"));
    // Those that wait are late twice: when they come, and when their time is over. The worst, as one stall of the
    // machine is enough for a hundredth of a few hundred questions.
    assert!(
        waiting.p99 <= WAIT + SLACK + 2 * own.worst,
        "{what}: {waiting}; without look-ups {own}"
    );
    waiting
}

/// Asks about all clients with a resolver of this manner (or none), and checks all that must hold.
fn endure(manner: Option<Manner>, per_client: usize) {
    let what = manner.map_or_else(|| "Dead".to_owned(), |manner| format!("{manner:?}"));
    let what = format!("{what}, {per_client} per client");
    let resolver = manner.map(Resolver::start);
    let address =
        resolver.as_ref().map_or_else(|| NOBODY.to_owned(), |bad| bad.address.to_string());
    let limits = format!("timeout = \"1s\"\nlimit = \"8s\"\nquestions-per-client = {per_client}\n");
    let site = site(&address, &format!("{limits}enabled = false"));
    let heavy = matches!(manner, Some(Manner::Large | Manner::Stalls | Manner::Bomb));
    let (clients, rate) = if heavy { (FEW_CLIENTS, 12) } else { (CLIENTS, 100) };
    let questions = questions(clients.clone());
    // No look-up ends within the time that an answer waits.
    let never = matches!(
        manner,
        Some(
            Manner::Silent
                | Manner::Slow
                | Manner::WrongId
                | Manner::WrongQuestion
                | Manner::Stalls
        )
    );

    let daemon = site.start();
    let expected = ask_all(daemon.dns(), HERE, &questions, 1000);
    daemon.stop();
    site.rewrite("enabled = false", "enabled = true");
    let daemon = site.start();
    daemon.addresses(PLAIN);
    let before = daemon.resident_kb();
    let asked = ask_all(daemon.dns(), HERE, &questions, rate);
    let while_asked = daemon.resident_kb();
    wait_idle(&daemon);
    let after = daemon.resident_kb();

    let times = assert_in_time(&what, &asked);
    // The kernel tells that nobody is there: nothing is waited for.
    assert!(manner.is_some() || times.p50 < WAIT / 2, "{what}: {times}");
    for (asked, expected) in asked.iter().zip(expected) {
        assert_as_without(&what, asked, &expected);
        let of_name = [".pair", ".ehlo"].iter().any(|zone| asked.name.ends_with(zone));
        let kept_short = !never || !of_name || asked.ttl <= UNFINISHED_TTL;
        assert!(kept_short, "{what}: unfinished, but kept for long: {asked:?}");
    }
    let most_kb = after.max(while_asked);
    show(format_args!("{what}: {before} kB before, {while_asked} kB, {after} kB after"));
    assert!(most_kb < before + GROWTH_KB, "{what}: {before} kB before, {most_kb} kB after");

    let sent = daemon.metric("helostat_live_sent_total", &[]);
    let hit = dropped(&daemon, "questions-per-client");
    let bound = per_client * clients.len();
    assert!(sent > 0.0 && sent <= bound as f64, "{what}: {sent} messages for {bound}");
    if let Some(resolver) = resolver {
        let seen = resolver.seen();
        assert!(seen.len() as f64 <= sent, "{what}: {} came, {sent} were counted", seen.len());
        let most = counts(&seen, client_of).into_values().max().expect("something was asked");
        let over_tcp = seen.iter().filter(|seen| seen.over_tcp).count();
        show(format_args!(
            "{what}: {} messages ({sent} counted), {over_tcp} over TCP, at most {most} about a client; limit hit {hit}",
            seen.len()
        ));
        assert!(most <= per_client, "{what}: {most} messages about one client");
        assert!(per_client > 5 || hit > 0.0, "{what}: so few are not enough, and that is counted");
    }
    daemon.stop();
}

/// The answer is that of the history alone. Where the lie is an answer in good form, such as one that is large but
/// holds nothing of what was asked for, the score may count that.
fn assert_as_without(what: &str, asked: &Asked, expected: &Asked) {
    let (found, history) = (&asked.addresses, &expected.addresses);
    let score = |addresses: &[Ipv4Addr]| {
        let [address] = addresses else { return None };
        let [127, 0, 4, score @ 0..=100] = address.octets() else { return None };
        asked.name.ends_with(".score").then_some(score)
    };
    let near = score(found).zip(score(history)).is_some_and(|(a, b)| a.abs_diff(b) <= 20);
    assert_eq!(asked.rcode, expected.rcode, "{what}: {}", asked.name);
    assert!(found == history || near, "{what}: {}: {found:?}, not {history:?}", asked.name);
}

/// At once: they are mostly waiting.
fn endure_all(manners: &[(Option<Manner>, usize)]) {
    std::thread::scope(|scope| {
        for &(manner, per_client) in manners {
            scope.spawn(move || endure(manner, per_client));
        }
    });
}

#[test]
fn resolvers_without_an_answer() {
    endure_all(&[
        (None, PER_CLIENT),
        (Some(Manner::Silent), PER_CLIENT),
        (Some(Manner::Silent), 5),
        (Some(Manner::Slow), PER_CLIENT),
    ]);
}

#[test]
fn resolvers_with_false_answers() {
    endure_all(&[
        (Some(Manner::WrongId), PER_CLIENT),
        (Some(Manner::WrongQuestion), PER_CLIENT),
        (Some(Manner::Garbage), PER_CLIENT),
        (Some(Manner::PointerLoop), PER_CLIENT),
    ]);
}

#[test]
fn resolvers_with_large_answers() {
    endure_all(&[
        (Some(Manner::Large), PER_CLIENT),
        (Some(Manner::Large), 5),
        (Some(Manner::Stalls), PER_CLIENT),
        (Some(Manner::Bomb), PER_CLIENT),
    ]);
}

#[test]
fn resolvers_with_aliases_without_end() {
    endure_all(&[
        (Some(Manner::Ring), PER_CLIENT),
        (Some(Manner::Chain), PER_CLIENT),
        (Some(Manner::Chain), 5),
    ]);
}

/// Starts with a limit and asks about many pairs at once, from here and from another address of this machine; the
/// daemon is idle again then.
fn pressed(limit: &str, pair: fn(usize) -> String) -> (Resolver, Site, Daemon, Duration) {
    let resolver = Resolver::start(Manner::Honest);
    let site = site(&resolver.address.to_string(), limit);
    let daemon = site.start();
    let begun = Instant::now();
    let here: Vec<_> = (20..60).map(pair).collect();
    let there: Vec<_> = (60..100).map(pair).collect();
    let other = Ipv4Addr::new(127, 0, 0, 2);
    let server = daemon.dns();
    let asked = std::thread::scope(|scope| {
        let there = scope.spawn(move || ask_all(server, other, &there, 50));
        let mut asked = ask_all(server, HERE, &here, 50);
        asked.extend(there.join().expect("the asker does not fail"));
        asked
    });
    wait_idle(&daemon);
    for asked in asked {
        let good = matches!(asked.rcode, 0 | 3) && asked.addresses.iter().all(is_of_pair);
        assert!(good, "{limit}: {asked:?}");
    }
    (resolver, site, daemon, begun.elapsed())
}

fn is_of_pair(address: &Ipv4Addr) -> bool {
    matches!(address.octets(), [127, 0, 2 | 3, _])
}

#[test]
fn no_more_than_so_many_about_one_domain_or_network() {
    let crowd = |client| format!("mx{client}.victim.net.{client}.9.8.7.pair");
    let (resolver, _site, daemon, _) = pressed("questions-per-domain = 10", crowd);
    let seen = resolver.seen();
    for target in [".victim.net.", ".9.8.7.in-addr.arpa."] {
        let most = most_in_a_second(&seen, |seen| seen.name.ends_with(target));
        show(format_args!("{target} at most {most} in a second"));
        assert!((5..=20).contains(&most), "{target}: {most} in a second");
    }
    assert!(dropped(&daemon, "questions-per-domain") > 0.0);
    daemon.stop();
}

#[test]
fn no_more_than_so_many_for_one_asker() {
    let (resolver, _site, daemon, _) = pressed("questions-per-asker = 20", own_domain);
    let seen = resolver.seen();
    for clients in [20..60, 60..100] {
        let most = most_in_a_second(&seen, |seen| clients.contains(&client_of(seen)));
        show(format_args!("an asker: at most {most} in a second"));
        assert!((10..=40).contains(&most), "{most} in a second");
    }
    assert!(dropped(&daemon, "questions-per-asker") > 0.0);
    daemon.stop();
}

#[test]
fn no_more_than_so_many_in_all() {
    let (resolver, _site, daemon, took) = pressed("questions-per-second = 30", own_domain);
    let seen = resolver.seen();
    let most = most_in_a_second(&seen, |_| true);
    show(format_args!("in all: at most {most} in a second, {} in {took:?}", seen.len()));
    assert!((15..=60).contains(&most), "{most} in a second");
    assert!(seen.len() as f64 <= 30.0 * (took.as_secs_f64() + 1.0), "{} in {took:?}", seen.len());
    assert!(dropped(&daemon, "questions-per-second") > 0.0);
    daemon.stop();
}

#[test]
fn explain_says_that_a_limit_was_reached() {
    for (limit, most) in [
        ("questions-per-client = 5", 5),
        ("questions-per-domain = 1", 20),
        ("questions-per-second = 1", 20),
    ] {
        let resolver = Resolver::start(Manner::Honest);
        let site = site(&resolver.address.to_string(), limit);
        let daemon = site.start();
        let said = site.ok(&["explain", "--json", &ip(20), &name(20)]);
        let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        let findings = said["evidence"].as_object().expect("findings").values();
        let short = |found: &&serde_json::Value| {
            found["result"] == "temperror" && found["reason"] == "budget"
        };
        let without = findings.clone().filter(short).count();
        show(format_args!("{limit}: {} asked, {without} systems without", resolver.count()));
        assert!(without > 0, "{limit}: {said:#}");
        assert!((1..=most).contains(&resolver.count()), "{limit}: {} asked", resolver.count());
        assert!(dropped(&daemon, limit.split(' ').next().unwrap_or_default()) > 0.0, "{limit}");
        daemon.stop();
    }
}

#[test]
fn what_is_learned_is_looked_up_before_anybody_asks() {
    // With the honest one nothing has to be asked again; what the silent one did not say is known to be unknown.
    for manner in [Manner::Honest, Manner::Silent] {
        let resolver = Resolver::start(manner);
        let site = Site::following(&["mail.log"]);
        let limits = "timeout = \"200ms\"\nlimit = \"2s\"";
        let live = format!("resolver = [\"{}\"]\n{limits}", resolver.address);
        site.rewrite("enabled = false", &live);
        site.write("mail.log", "");
        let daemon = site.start();
        assert_eq!(resolver.count(), 0);
        for client in 20..25 {
            site.append("mail.log", postfix(days_ago(0), &ip(client), &name(client)));
        }
        eventually("questions about all of them", || {
            let about = counts(&resolver.seen(), client_of);
            (20..25).all(|client| about.contains_key(&client)).then_some(())
        });
        wait_idle(&daemon);
        assert_eq!(daemon.metric("helostat_live_ahead", &[]), 0.0);
        assert_eq!(daemon.metric("helostat_dns_questions_total", &[]), 0.0, "nobody asked");
        let before = resolver.count();
        let asked = ask_all(daemon.dns(), HERE, &questions(20..25), 50);
        let times = Times::of(&asked);
        show(format_args!("looked up ahead, {manner:?}: {before} messages, then {times}"));
        assert!(times.worst < WAIT / 2, "{manner:?}: {times}");
        assert_eq!(resolver.count(), before, "{manner:?}: all was known");
        daemon.stop();
    }
}

#[test]
fn a_flood_from_a_stranger_makes_us_ask_nothing() {
    let resolver = Resolver::start(Manner::Silent);
    let site = site(&resolver.address.to_string(), "trust = []");
    let daemon = site.start();
    let count = number("HELOSTAT_FLOOD", 100_000);
    let mut random = Random(7);
    // The first tenth fills what fills up.
    flood(daemon.dns(), count / 10, u32::MAX, &mut random);
    let before = daemon.resident_kb();
    let (took, answered) = flood(daemon.dns(), count - count / 10, u32::MAX, &mut random);
    let after = daemon.resident_kb();
    show(format_args!("stranger: {answered} answered in {took:.1?}; {before} kB, {after} kB"));
    assert!(answered > count * 8 / 10, "only {answered} of {count} were answered");
    assert_eq!(resolver.count(), 0);
    assert_eq!(daemon.metric("helostat_live_sent_total", &[]), 0.0);
    assert!(after < before + GROWTH_KB, "{before} kB before, {after} kB after");
    // What our own logs know may be asked for by anybody.
    ask_all(daemon.dns(), HERE, &[own_domain(20)], 1);
    assert!(resolver.count() > 0);
    daemon.stop();
}

#[test]
fn a_flood_from_a_friend_stays_within_the_limits() {
    const PER_SECOND: usize = 200;
    // Each would cost a dozen messages. More would keep both cores of a small machine busy where the program is not
    // optimised, and then everything is late.
    const FLOOD: u32 = 200;
    let resolver = Resolver::start(Manner::Silent);
    let limits = format!("questions-per-second = {PER_SECOND}\ncache = \"2MB\"");
    let site = site(&resolver.address.to_string(), &limits);
    let daemon = site.start();
    let count = number("HELOSTAT_FLOOD", 100_000) / 100;
    let begun = Instant::now();
    let mut random = Random(8);
    flood(daemon.dns(), count, FLOOD, &mut random);
    let before = daemon.resident_kb();
    let over = AtomicBool::new(false);
    let server = daemon.dns();
    let (took, answered, asked) = std::thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let mut asked = Vec::new();
            while !over.load(Ordering::Relaxed) {
                asked.extend(ask_all(server, HERE, &questions(20..22), 20));
            }
            asked
        });
        let (took, answered) = flood(server, count, FLOOD, &mut random);
        over.store(true, Ordering::Relaxed);
        (took, answered, asker.join().expect("the asker does not fail"))
    });
    let after = daemon.resident_kb();
    let (sent, elapsed) = (resolver.count(), begun.elapsed());
    show(format_args!(
        "friend: {count} in {took:.1?}, {answered} answered; {sent} messages in {elapsed:.1?}; {before} kB, {after} kB"
    ));
    assert!(answered > count * 9 / 10, "only {answered} of {count} were answered");
    let bound = PER_SECOND as f64 * (elapsed.as_secs_f64() + 1.0);
    assert!(sent > 0 && sent as f64 <= bound, "{sent} messages in {elapsed:?}");
    assert!(dropped(&daemon, "questions-per-second") > 0.0);
    assert!(after < before + GROWTH_KB, "{before} kB before, {after} kB after");
    let known = asked.iter().filter(|asked| asked.name == own_domain(21));
    let codes: Vec<_> = known.map(|asked| asked.addresses.as_slice()).collect();
    let established = [Ipv4Addr::new(127, 0, 2, 2)];
    assert!(!codes.is_empty() && codes.iter().all(|code| *code == established), "{codes:?}");
    assert_in_time("in the flood", &asked);
    daemon.stop();
}

//! The rules that may not be broken, and the thresholds, on small worlds of observations.

use super::*;
use crate::evidence::{Finding, FindingResult, FindingSet};
use crate::ledger::{Batch, Bounds, Ledger};
use crate::observation::{Observation, Outcome, ReporterKind};

const DAY: u32 = 86_400;
const NOW: Time = Time(1_795_184_855);

/// A world of observations, written as (client, name, outcome, days ago, how often each day).
struct World(Ledger);

impl World {
    fn of(rows: &[(&str, &str, Outcome, std::ops::Range<u32>, u32)]) -> Self {
        let world = Self(Ledger::in_memory(Bounds::default()));
        world.learn(("mx1", ReporterKind::Mx), rows);
        world
    }

    fn learn(
        &self,
        (reporter, kind): (&str, ReporterKind),
        rows: &[(&str, &str, Outcome, std::ops::Range<u32>, u32)],
    ) {
        let mut batch = Batch::default();
        for (ip, name, outcome, days_ago, times) in rows {
            for (day, time) in days_ago.clone().flat_map(|day| (0..*times).map(move |t| (day, t))) {
                let observation = Observation {
                    time: Time(NOW.0 - day * DAY - time),
                    ip: ip.parse().expect("an address"),
                    name: Name::parse(name.as_bytes()),
                    rdns: None,
                    outcome: *outcome,
                    stage: None,
                    by_us: false,
                    supersedes: None,
                    reporter: reporter.into(),
                };
                batch.observe(&observation, kind);
            }
        }
        self.0.commit(&batch).expect("memory does not fail");
    }

    fn best(&self, ip: &str) -> PairHistory {
        let client = Client::of(ip.parse().expect("an address"));
        let history = ClientHistory::of(&self.0, client, &Policy::default(), NOW);
        history.best().expect("it was seen").clone()
    }

    fn case<'a>(
        &self,
        ip: IpAddr,
        client: &'a ClientHistory,
        network: &'a NetworkHistory,
        found: &'a FindingSet,
        policy: &'a Policy,
    ) -> Case<'a> {
        static NOTHING: std::sync::LazyLock<Decisions> =
            std::sync::LazyLock::new(Decisions::default);
        Case {
            ip,
            client,
            network,
            findings: Findings(Some(found)),
            decisions: &NOTHING,
            feed: Feed {
                reporters: self.0.reporter_kinds().len(),
                warm_since: self.0.warm_since(policy.crowded_warm_up_days),
            },
            rdns: None,
            policy,
            now: NOW,
            in_words: true,
        }
    }

    fn client(&self, ip: &str, found: &[(System, Finding)]) -> ClientVerdict {
        let (ip, policy) = (ip.parse().expect("an address"), Policy::default());
        let client = Client::of(ip);
        let history = ClientHistory::of(&self.0, client, &policy, NOW);
        let network = NetworkHistory::of(&self.0, client.network());
        let best = history.best().map(|pair| NameHistory::of(&self.0, &pair.name, &policy, NOW));
        let found = set(found);
        let case = self.case(ip, &history, &network, &found, &policy);
        judge_client(&case, &best.unwrap_or_else(NameHistory::unknown))
    }

    fn pair(&self, ip: &str, name: &str, found: &[(System, Finding)]) -> PairVerdict {
        let (ip, policy) = (ip.parse().expect("an address"), Policy::default());
        let (client, name) = (Client::of(ip), Name::parse(name.as_bytes()));
        let history = ClientHistory::of(&self.0, client, &policy, NOW);
        let network = NetworkHistory::of(&self.0, client.network());
        let name_history = NameHistory::of(&self.0, &name, &policy, NOW);
        let found = set(found);
        let case = self.case(ip, &history, &network, &found, &policy);
        judge_pair(&case, &name, &name_history)
    }

    fn name(&self, name: &str, found: &[(System, Finding)]) -> NameVerdict {
        let (name, policy) = (Name::parse(name.as_bytes()), Policy::default());
        let history = NameHistory::of(&self.0, &name, &policy, NOW);
        judge_name(
            &name,
            &history,
            Findings(Some(&set(found))),
            &Decisions::default(),
            &policy,
            NOW,
        )
    }
}

fn set(found: &[(System, Finding)]) -> FindingSet {
    found.iter().cloned().collect()
}

fn found(system: System, result: FindingResult, reason: Option<&'static str>) -> (System, Finding) {
    (system, Finding::plain(result, reason, Duration::from_secs(300)))
}

#[test]
fn no_history_is_new_not_bad() {
    let verdict = World::of(&[]).client("192.0.2.7", &[]);
    assert_eq!((verdict.class, verdict.score), (Class::New, None));
    assert!(verdict.listings.is_empty());
    assert_eq!(World::of(&[]).pair("192.0.2.7", "mail.example.com", &[]).code, None);
}

#[test]
fn a_steady_pair_earns_trust_with_time() {
    use Outcome::Accepted;
    for (days, class, code, level) in [
        (0..1, Class::New, Some(PairCode::TooLittle), None),
        (0..3, Class::New, Some(PairCode::TooLittle), None),
        (0..4, Class::Known, Some(PairCode::Established), Some(1)),
        (0..7, Class::Known, Some(PairCode::Established), Some(1)),
        (0..8, Class::Trusted, Some(PairCode::Established), Some(2)),
        // Long ago is forgotten.
        (64..80, Class::New, Some(PairCode::TooLittle), None),
    ] {
        let world = World::of(&[("192.0.2.7", "mail.example.com", Accepted, days.clone(), 2)]);
        let verdict = world.client("192.0.2.7", &[]);
        assert_eq!(verdict.class, class, "{days:?}");
        assert_eq!(verdict.trust.map(|trust| trust.level), level, "{days:?}");
        assert_eq!(world.pair("192.0.2.7", "mail.example.com", &[]).code, code, "{days:?}");
    }
}

#[test]
fn a_loud_reporter_has_one_voice() {
    use Outcome::{Accepted, Rejected};
    const IP: &str = "192.0.2.1";
    let mx = |name: &'static str| (name, ReporterKind::Mx);
    // A reporter, what it does each day of ten, and how often.
    type Voices = [(&'static str, Outcome, u32)];
    let cases: [(&str, &Voices, bool); 8] = [
        (
            "one who refuses much against two who accept",
            &[("a", Accepted, 6), ("b", Accepted, 6), ("loud", Rejected, 100)],
            true,
        ),
        (
            "one who accepts much against two who refuse",
            &[("a", Rejected, 6), ("b", Rejected, 6), ("loud", Accepted, 100)],
            false,
        ),
        ("even", &[("a", Rejected, 20), ("loud", Accepted, 100)], true),
        (
            "one alone, both much: refused more often",
            &[("a", Accepted, 15), ("a", Rejected, 100)],
            false,
        ),
        (
            "one alone, both much: accepted more often",
            &[("a", Accepted, 100), ("a", Rejected, 60)],
            true,
        ),
        (
            "one alone, below the limit: refused more often",
            &[("a", Accepted, 4), ("a", Rejected, 5)],
            false,
        ),
        (
            "one alone, below the limit: accepted more often",
            &[("a", Accepted, 5), ("a", Rejected, 4)],
            true,
        ),
        ("one who accepts much, and nobody else", &[("loud", Accepted, 100)], true),
    ];
    for (case, voices, stands) in cases {
        let world = World::of(&[]);
        let (mut accepted, mut rejected) = (0, 0);
        for &(reporter, outcome, times) in voices {
            world.learn(mx(reporter), &[(IP, "mail.example.com", outcome, 0..10, times)]);
            match outcome {
                Accepted => accepted += 10 * times,
                _ => rejected += 10 * times,
            }
        }
        let pair = world.best(IP);
        assert_eq!(pair.is_established(), stands, "{case}");
        assert_eq!((pair.accepted, pair.rejected), (accepted, rejected), "{case}: the true totals");
    }
}

#[test]
fn a_strong_pair_can_need_more_than_one_voice() {
    const IP: &str = "192.0.2.1";
    let policy = Policy { reporter_messages: 9, ..Policy::default() };
    for (reporters, standing) in
        [(&["a"][..], Standing::Established), (&["a", "b"][..], Standing::Strong)]
    {
        let world = World::of(&[]);
        for &reporter in reporters {
            let rows = [(IP, "mail.example.com", Outcome::Accepted, 0..10, 5)];
            world.learn((reporter, ReporterKind::Mx), &rows);
        }
        let client = Client::of(IP.parse().expect("an address"));
        let history = ClientHistory::of(&world.0, client, &policy, NOW);
        assert_eq!(history.best().map(|pair| pair.standing), Some(standing), "{reporters:?}");
    }
}

#[test]
fn only_border_servers_build_standing() {
    for (kind, standing, reporters) in [
        (ReporterKind::Mx, Standing::Strong, 1),
        (ReporterKind::Trap, Standing::Seen, 0),
        (ReporterKind::Unfiltered, Standing::Seen, 0),
        (ReporterKind::Submission, Standing::Seen, 0),
    ] {
        let world = World::of(&[]);
        let rows = [("192.0.2.1", "mail.example.com", Outcome::Accepted, 0..10, 5)];
        world.learn(("it", kind), &rows);
        let pair = world.best("192.0.2.1");
        assert_eq!((pair.standing, pair.reporters), (standing, reporters), "{kind:?}");
        assert_eq!(pair.observations, 50, "{kind:?}: seen it was");
    }
}

#[test]
fn the_reason_says_how_many_reporters_vouch() {
    let rows = [("192.0.2.1", "mail.example.com", Outcome::Accepted, 0..10, 5)];
    let world = World::of(&rows);
    let text = |world: &World| world.client("192.0.2.1", &[]).reasons[0].text.clone();
    assert!(!text(&world).contains("reporters"), "{}", text(&world));
    world.learn(("mx2", ReporterKind::Mx), &rows);
    world.learn(("trap", ReporterKind::Trap), &rows);
    assert!(text(&world).ends_with(", seen by 2 reporters"), "{}", text(&world));
}

#[test]
fn a_mismatch_alone_never_lists() {
    let world = World::of(&[("192.0.2.7", "mail.example.com", Outcome::Accepted, 0..2, 1)]);
    let evidence = [
        found(System::Forward, FindingResult::Fail, Some("mismatch")),
        found(System::Iprev, FindingResult::Fail, None),
    ];
    let verdict = world.client("192.0.2.7", &evidence);
    assert_eq!((verdict.class, verdict.listings), (Class::New, vec![]));
    assert!(world.pair("192.0.2.7", "mail.example.com", &evidence).listings.is_empty());
}

#[test]
fn a_thief_inherits_nothing() {
    let world = World::of(&[
        ("192.0.2.7", "mail.example.com", Outcome::Accepted, 0..30, 2),
        ("203.0.113.9", "mail.example.com", Outcome::Rejected, 0..2, 3),
    ]);
    let thief = world.pair("203.0.113.9", "mail.example.com", &[]);
    assert_eq!((thief.class, thief.code), (Class::New, Some(PairCode::NewClient)));
    assert!(world.client("203.0.113.9", &[]).trust.is_none());
    let denied = [found(System::Csa, FindingResult::Fail, Some("mismatch"))];
    let thief = world.pair("203.0.113.9", "mail.example.com", &denied);
    assert_eq!(thief.listings, [ListCode::ClaimsOthers, ListCode::Denied]);
    assert_eq!(
        world.client("203.0.113.9", &denied).listings,
        [ListCode::ClaimsOthers, ListCode::Denied]
    );
    // The owner is not harmed, nor is the name.
    assert_eq!(world.pair("192.0.2.7", "mail.example.com", &[]).class, Class::Trusted);
    assert!(world.name("mail.example.com", &denied).codes.is_empty());
}

#[test]
fn many_families_list_unless_a_pair_stands() {
    use Outcome::Rejected;
    let bot = [
        ("192.0.2.7", "a.example.com", Rejected, 0..1, 1),
        ("192.0.2.7", "b.example.net", Rejected, 0..1, 1),
        ("192.0.2.7", "c.example.org", Rejected, 0..1, 1),
    ];
    assert_eq!(World::of(&bot[..1]).client("192.0.2.7", &[]).class, Class::New);
    assert_eq!(World::of(&bot[..2]).client("192.0.2.7", &[]).class, Class::Suspect);
    let listed = World::of(&bot).client("192.0.2.7", &[]);
    assert_eq!((listed.class, listed.listings), (Class::Listed, vec![ListCode::ManyFamilies]));
    let mut shared = bot.to_vec();
    shared.push(("192.0.2.7", "mail.example.edu", Outcome::Accepted, 0..30, 2));
    let shared = World::of(&shared);
    let verdict = shared.client("192.0.2.7", &[]);
    assert_eq!((verdict.class, verdict.listings), (Class::Suspect, vec![]));
    assert_eq!(shared.pair("192.0.2.7", "mail.example.edu", &[]).class, Class::Trusted);
    assert_eq!(shared.pair("192.0.2.7", "new.example.edu", &[]).code, Some(PairCode::Moved));
    assert_eq!(shared.pair("192.0.2.7", "x.example.info", &[]).code, Some(PairCode::NewName));
}

#[test]
fn rotating_names_of_one_family_are_one_family() {
    use Outcome::Accepted;
    let world = World::of(&[
        ("192.0.2.7", "mx0a.example.com", Accepted, 0..20, 2),
        ("192.0.2.7", "mx0b.example.com", Accepted, 0..20, 2),
        ("192.0.2.7", "mx0c.example.com", Accepted, 0..20, 2),
    ]);
    assert_eq!(world.client("192.0.2.7", &[]).class, Class::Trusted);
}

#[test]
fn a_crowd_of_fresh_families_lists_its_newcomers_only() {
    let mut rows = vec![("203.0.113.200", "mail.example.se", Outcome::Accepted, 0..40, 2)];
    let crowd: Vec<(String, String)> = (0..5)
        .map(|i| {
            let tld = ["com", "net", "org", "de", "fr"][i];
            (format!("203.0.113.{i}"), format!("m.example.{tld}"))
        })
        .collect();
    for (ip, name) in &crowd {
        rows.push((ip, name, Outcome::Accepted, 0..2, 1));
    }
    let world = World::of(&rows);
    assert_eq!(world.client("203.0.113.1", &[]).listings, [ListCode::Crowded]);
    // Who came not long before them is not listed, but looked at.
    let before = world.client("203.0.113.200", &[]);
    assert_eq!((before.class, before.listings), (Class::Suspect, vec![]));
    rows.pop();
    assert_eq!(World::of(&rows).client("203.0.113.1", &[]).class, Class::New);
}

#[test]
fn who_has_just_begun_to_listen_sees_no_crowd() {
    let rows: Vec<_> = ["com", "net", "org", "de", "fr", "nl"]
        .iter()
        .enumerate()
        .map(|(i, tld)| (format!("203.0.113.{i}"), format!("m.example.{tld}")))
        .collect();
    let crowd = |rows: &[(String, String)], days: std::ops::Range<u32>| {
        let rows: Vec<_> = rows
            .iter()
            .map(|(ip, name)| (ip.as_str(), name.as_str(), Outcome::Rejected, days.clone(), 1))
            .chain([("192.0.2.7", "mail.example.se", Outcome::Accepted, 0..9, 2)])
            .collect();
        World::of(&rows).client("203.0.113.1", &[]).listings
    };
    assert_eq!(crowd(&rows, 0..1), [ListCode::Crowded], "seen a week after the first");
    assert_eq!(crowd(&rows, 0..5), [], "seen within the first week");
}

#[test]
fn a_neighbour_of_very_many_names_is_measured_on_some() {
    let names: Vec<_> = (0..1500).map(|i| format!("m.example{i}.com")).collect();
    let mut rows = vec![("192.0.2.7", "mail.example.se", Outcome::Accepted, 0..9, 2)];
    rows.extend(
        names.iter().map(|name| ("203.0.113.1", name.as_str(), Outcome::Rejected, 0..1, 1)),
    );
    rows.push(("203.0.113.1", "zz.example.org", Outcome::Accepted, 0..9, 2));
    let network = Client::of("203.0.113.2".parse().expect("an address")).network();
    let known = NetworkHistory::of(&World::of(&rows).0, network);
    assert_eq!(known.families.len(), 1000, "those that are held");
}

#[test]
fn our_own_refusals_make_no_crowd() {
    let mut rows = vec![("192.0.2.7", "mail.example.se", Outcome::Accepted, 0..9, 2)];
    let names: Vec<_> = ["com", "net", "org", "de", "fr", "nl"]
        .iter()
        .enumerate()
        .map(|(i, tld)| (format!("203.0.113.{i}"), format!("m.example.{tld}")))
        .collect();
    let (refused, said) = names.split_at(4);
    rows.extend(
        said.iter().map(|(ip, name)| (ip.as_str(), name.as_str(), Outcome::Rejected, 0..1, 1)),
    );
    let world = World::of(&rows);
    let mut batch = Batch::default();
    for (ip, name) in refused {
        let observation = Observation {
            time: NOW,
            ip: ip.parse().expect("an address"),
            name: Name::parse(name.as_bytes()),
            rdns: None,
            outcome: Outcome::Rejected,
            stage: None,
            by_us: true,
            supersedes: None,
            reporter: "mx1".into(),
        };
        batch.observe(&observation, ReporterKind::Mx);
    }
    world.0.commit(&batch).expect("memory does not fail");
    assert_eq!(world.client("203.0.113.4", &[]).listings, [], "4 of 6 families are our doing");
}

#[test]
fn junk_lists_when_it_persists() {
    let rows = [
        // Something else every day, as bots do.
        ("192.0.2.11", "a b", Outcome::Rejected, 0..1, 2),
        ("192.0.2.11", "c d", Outcome::Rejected, 1..2, 2),
        ("192.0.2.11", "e f", Outcome::Rejected, 2..3, 2),
        ("192.0.2.7", "192.0.2.300", Outcome::Rejected, 0..3, 2),
        ("192.0.2.8", "localhost", Outcome::Rejected, 0..3, 9),
        ("192.0.2.9", "[192.0.2.9]", Outcome::Rejected, 0..3, 9),
        ("192.0.2.10", "[192.0.2.9]", Outcome::Rejected, 0..3, 9),
    ];
    let world = World::of(&rows);
    assert_eq!(world.client("192.0.2.7", &[]).listings, [ListCode::Junk]);
    assert_eq!(world.client("192.0.2.8", &[]).listings, []);
    assert_eq!(world.client("192.0.2.9", &[]).listings, []);
    assert_eq!(world.client("192.0.2.10", &[]).listings, [ListCode::Junk]);
    assert_eq!(world.client("192.0.2.11", &[]).listings, [ListCode::Junk]);
}

#[test]
fn names_said_everywhere_are_listed_unless_they_stand() {
    let ips: Vec<_> = (0..10).map(|i| format!("198.51.{i}.1")).collect();
    let mut rows: Vec<_> =
        ips.iter().map(|ip| (ip.as_str(), "x.example.com", Outcome::Rejected, 0..1, 1)).collect();
    let codes = World::of(&rows).name("x.example.com", &[]).codes;
    assert_eq!(codes, [NameCode::Bad, NameCode::ManyNetworks]);
    rows.push(("192.0.2.7", "x.example.com", Outcome::Accepted, 0..9, 2));
    assert!(World::of(&rows).name("x.example.com", &[]).codes.is_empty());
    let denied = [found(System::Csa, FindingResult::Fail, Some("domain"))];
    assert_eq!(World::of(&[]).name("no.example.com", &denied).codes, [NameCode::Bad]);
}

#[test]
fn a_name_stands_however_many_others_say_it() {
    let ips: Vec<_> = (0..1100).map(|i| format!("10.{}.{}.1", i / 250, i % 250)).collect();
    let mut rows: Vec<_> = ips
        .iter()
        .map(|ip| (ip.as_str(), "mail.example.com", Outcome::Rejected, 0..1, 1))
        .collect();
    rows.push(("192.0.2.7", "mail.example.com", Outcome::Accepted, 0..9, 2));
    let world = World::of(&rows);
    assert_eq!(world.name("mail.example.com", &[]).codes, []);
    let thief = world.pair("10.0.0.1", "mail.example.com", &[]);
    assert_eq!(thief.code, Some(PairCode::NewClient));
}

#[test]
fn agreement_shows_in_code_level_and_until() {
    let world = World::of(&[("192.0.2.7", "mail.example.com", Outcome::Accepted, 0..30, 2)]);
    let forward = [found(System::Forward, FindingResult::Pass, None)];
    let csa = [found(System::Csa, FindingResult::Pass, None)];
    let pair = |found| world.pair("192.0.2.7", "mail.example.com", found);
    assert_eq!(pair(&forward).code, Some(PairCode::Confirmed));
    assert_eq!(pair(&csa).code, Some(PairCode::Authorised));
    let client = world.client("192.0.2.7", &forward);
    assert_eq!(client.trust, Some(Trust { category: 4, level: 3 }));
    assert_eq!(client.until, NOW.after(Duration::from_secs(300)));
    assert!(client.score > world.client("192.0.2.7", &[]).score);
    assert_eq!(world.client("192.0.2.7", &[]).until, Day(NOW.day().0 + 1).start());
}

#[test]
fn nobody_is_listed_for_what_its_neighbours_sent_to_traps() {
    let world = World::of(&[("192.0.2.8", "mail.example.net", Outcome::Accepted, 0..1, 1)]);
    world.learn(
        ("trap", ReporterKind::Trap),
        &[("192.0.2.7", "mail.example.com", Outcome::Accepted, 0..20, 5)],
    );
    assert_eq!(world.client("192.0.2.8", &[]).listings, []);
    assert_eq!(world.client("192.0.2.7", &[]).listings, [ListCode::Trapped]);
}

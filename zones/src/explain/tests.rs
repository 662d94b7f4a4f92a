//! Golden texts: what the customer on the phone is told, from small worlds of observations.

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use super::*;
use crate::answer::{Answer, Caps, Exists};
use crate::client::Client;
use crate::evidence::FindingSet;
use crate::key::Kind;
use crate::ledger::{Batch, Bounds, Ledger};
use crate::observation::{Observation, Outcome, ReporterKind};
use crate::operator::{self, Decision, Decisions, Place, Subject};
use crate::policy::Policy;
use crate::rules::{self, Case, Feed, Findings};

const DAY: u32 = 86_400;
/// 2026-11-20T14:27:35Z.
const NOW: Time = Time(1_795_184_855);

/// Client, name, outcome, days ago, how often each day.
type Row = (&'static str, &'static str, Outcome, Range<u32>, u32);

/// What is asked, and of which world.
#[derive(Default)]
struct Question {
    rows: Vec<Row>,
    traps: Vec<Row>,
    found: Vec<(System, FindingResult, Option<&'static str>)>,
    decisions: Vec<Decision>,
    ip: &'static str,
    name: Option<&'static str>,
    policy: Policy,
    /// The answers that are looked at.
    kinds: &'static [Kind],
}

fn decision(kind: operator::Kind, subject: &str, until: Option<&str>) -> Decision {
    Decision {
        kind,
        subject: Subject::parse(subject).expect(subject),
        reason: "customer, ticket 4711".to_owned(),
        author: "anna".to_owned(),
        added: Some(NOW),
        until: until.map(|until| Time::parse(until).expect(until)),
        place: Place { file: "decisions.toml".into(), line: 12 },
    }
}

impl Question {
    /// The first paragraph, then the texts of the answers; and the codes that list the client.
    fn answer(&self, now: Time) -> (String, Told, Vec<ListCode>) {
        let ledger = Ledger::in_memory(Bounds::default());
        let reporters = [("mx1", ReporterKind::Mx), ("trap", ReporterKind::Trap)];
        for ((reporter, kind), rows) in reporters.into_iter().zip([&self.rows, &self.traps]) {
            let mut batch = Batch::default();
            for (ip, name, outcome, days_ago, times) in rows {
                for (day, nth) in days_ago.clone().flat_map(|d| (0..*times).map(move |t| (d, t))) {
                    let seen = Observation {
                        time: Time(NOW.0 - day * DAY - nth),
                        ip: ip.parse().expect("an address"),
                        name: Name::parse(name.as_bytes()),
                        rdns: None,
                        outcome: *outcome,
                        stage: None,
                        by_us: false,
                        supersedes: None,
                        reporter: reporter.into(),
                    };
                    batch.observe(&seen, kind);
                }
            }
            ledger.commit(&batch).expect("memory does not fail");
        }
        let found: FindingSet = self
            .found
            .iter()
            .map(|(system, result, reason)| {
                (*system, Finding::plain(*result, *reason, Duration::from_secs(300)))
            })
            .collect();
        let ip: IpAddr = self.ip.parse().expect(self.ip);
        let client = Client::of(ip);
        let policy = &self.policy;
        let history = ClientHistory::of(&ledger, client, policy, now);
        let network = NetworkHistory::of(&ledger, client.network());
        let decisions = Decisions::from_iter(self.decisions.clone());
        let case = Case {
            ip,
            client: &history,
            network: &network,
            findings: Findings(Some(&found)),
            decisions: &decisions,
            feed: Feed { reporters: 1, warm_since: ledger.warm_since(policy.crowded_warm_up_days) },
            rdns: None,
            policy,
            now,
            in_words: true,
        };
        let of = |name: &Name| NameHistory::of(&ledger, name, policy, now);
        let best = history.best().map_or_else(NameHistory::unknown, |pair| of(&pair.name));
        let verdict = rules::judge_client(&case, &best);
        let asked = self.name.map(|name| Name::parse(name.as_bytes()));
        let name_history = asked.as_ref().map(of);
        let pair = asked
            .as_ref()
            .zip(name_history.as_ref())
            .map(|(name, of_name)| rules::judge_pair(&case, name, of_name));
        let name = asked.clone().or_else(|| history.best().map(|pair| pair.name.clone()));
        let facts =
            Facts { ip, name: name.as_ref(), client: &history, network: &network, policy, now };
        let told = Told::of(&facts, &verdict, pair.as_ref(), name_history.as_ref());
        let mut text = String::new();
        for sentence in told.summary.iter().chain(&told.remedy) {
            text.push_str(&format!("{sentence}\n"));
        }
        if let Some(end) = told.ends.listing {
            text.push_str(&format!("ends {end}\n"));
        }
        let caps = Caps::default();
        for kind in self.kinds {
            let answer = match (kind, &asked, &pair) {
                (Kind::Pair, Some(name), Some(pair)) => {
                    Answer::of_pair(ip, name, pair, Exists::NxDomain, now, &caps)
                }
                _ => Answer::of_client(*kind, ip, &verdict, now, &caps),
            };
            let said = answer.txt.unwrap_or_else(|| "none".to_owned());
            assert!(said.len() <= 255, "{said}");
            text.push_str(&format!("{kind:?}: {said}\n"));
        }
        (text, told, verdict.listings)
    }
}

fn questions() -> Vec<(&'static str, Question)> {
    use FindingResult::{Fail, Pass};
    use Outcome::{Accepted, Rejected};
    let steady = |days: Range<u32>| ("192.0.2.7", "mail.example.com", Accepted, days, 1);
    let of =
        |rows: Vec<Row>, kinds| Question { rows, ip: "192.0.2.7", kinds, ..Question::default() };
    let with_name = |question: Question, name| Question { name: Some(name), ..question };
    let names = [
        ("192.0.2.7", "mail.example.org", Rejected, 3..4, 1),
        ("192.0.2.7", "mx.example.net", Rejected, 2..3, 1),
        ("192.0.2.7", "host.example.de", Rejected, 1..2, 1),
        ("192.0.2.7", "relay.example.nl", Rejected, 0..1, 1),
    ];
    let crowd = || {
        let mut rows: Vec<Row> = vec![("198.51.100.1", "mx.old.com", Accepted, 39..60, 1)];
        for (ip, name) in [
            ("192.0.2.1", "mx.one.com"),
            ("192.0.2.2", "mx.two.com"),
            ("192.0.2.3", "mx.three.com"),
            ("192.0.2.4", "mx.four.com"),
            ("192.0.2.5", "mx.five.com"),
            ("192.0.2.6", "mx.six.com"),
        ] {
            rows.push((ip, name, Accepted, 1..2, 1));
        }
        rows.push(("192.0.2.7", "mx.seven.com", Accepted, 1..2, 1));
        rows
    };
    let three = |mut question: Question| {
        question.kinds = &[Kind::Wl, Kind::Score];
        question
    };
    let moved = |found| Question {
        rows: vec![("198.51.100.9", "mail.example.com", Accepted, 1..40, 2)],
        found,
        ip: "192.0.2.7",
        name: Some("mail.example.com"),
        kinds: &[Kind::Pair],
        ..Question::default()
    };
    let provider = Policy { provider_clients: 1, ..Policy::default() };
    let mut shared: Vec<Row> = names.to_vec();
    shared.push(steady(0..20));
    vec![
        ("never seen", of(vec![], &[Kind::Bl, Kind::Score])),
        ("an IPv6 address never seen", Question { ip: "2001:db8::7", ..of(vec![], &[Kind::Bl]) }),
        ("a pair never seen", with_name(of(vec![], &[Kind::Pair]), "mail.example.com")),
        ("new", of(vec![steady(0..2)], &[Kind::Score])),
        ("known", three(of(vec![steady(0..5)], &[]))),
        ("trusted", three(of(vec![steady(0..40)], &[]))),
        ("a trusted pair", with_name(of(vec![steady(0..40)], &[Kind::Pair]), "mail.example.com")),
        ("a provider", Question { policy: provider, ..three(of(vec![steady(0..40)], &[])) }),
        (
            "a forwarder",
            three(of(
                vec![steady(0..40), ("192.0.2.7", "mail.example.com", Rejected, 0..10, 1)],
                &[],
            )),
        ),
        ("several hosts behind one address", three(of(shared.clone(), &[]))),
        ("the steady pair among them", with_name(of(shared, &[Kind::Pair]), "mail.example.com")),
        ("renumbered, and the DNS agrees", moved(vec![(System::Forward, Pass, None)])),
        ("a thief of the name", moved(vec![(System::Spf, Fail, Some("all"))])),
        ("listed for many families", of(names.to_vec(), &[Kind::Bl])),
        ("listed in a crowd", of(crowd(), &[Kind::Bl])),
        ("listed for junk", of(vec![("192.0.2.7", "!!", Rejected, 0..4, 2)], &[Kind::Bl])),
        (
            "listed as denied",
            Question {
                found: vec![(System::Csa, Fail, Some("mismatch"))],
                ..of(vec![("192.0.2.7", "mail.example.com", Rejected, 0..2, 1)], &[Kind::Bl])
            },
        ),
        (
            "listed for a generic name",
            Question {
                found: vec![(System::Generic, Fail, Some("generic"))],
                ..of(
                    vec![("192.0.2.7", "dyn-192-0-2-7.example.net", Rejected, 0..2, 1)],
                    &[Kind::Bl],
                )
            },
        ),
        (
            "listed for traps",
            Question {
                traps: vec![("192.0.2.7", "mail.example.com", Accepted, 0..9, 9)],
                ..of(vec![], &[Kind::Bl])
            },
        ),
        (
            "allowed by the operator",
            Question {
                decisions: vec![decision(
                    operator::Kind::Allow,
                    "192.0.2.7",
                    Some("2026-12-31T00:00:00Z"),
                )],
                ..of(names.to_vec(), &[Kind::Bl, Kind::Wl])
            },
        ),
        (
            "denied by the operator",
            Question {
                decisions: vec![decision(
                    operator::Kind::Deny,
                    "192.0.2.0/24",
                    Some("2026-12-31T00:00:00Z"),
                )],
                ..of(vec![steady(0..40)], &[Kind::Bl, Kind::Wl])
            },
        ),
        (
            "denied by the operator for ever",
            Question {
                decisions: vec![decision(operator::Kind::Deny, "mail.example.com", None)],
                ..with_name(of(vec![steady(0..40)], &[Kind::Pair]), "mail.example.com")
            },
        ),
    ]
}

/// Written anew with `HELOSTAT_BLESS=1`: then read what changed.
#[test]
fn texts_are_as_a_customer_was_told_before() {
    let mut texts = String::new();
    for (title, question) in questions() {
        texts.push_str(&format!("== {title}\n{}\n", question.answer(NOW).0));
    }
    if std::env::var_os("HELOSTAT_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/explain/golden.txt");
        std::fs::write(path, &texts).expect("written");
        return;
    }
    let golden = include_str!("golden.txt");
    for (said, expected) in texts.split("== ").zip(golden.split("== ")) {
        assert_eq!(said, expected);
    }
    assert_eq!(texts, golden);
}

/// What is promised is kept: on the day that is named the cause is gone, and where nobody else takes part, not before.
#[test]
fn listings_end_when_they_are_said_to() {
    for (title, code, exactly) in [
        ("listed for many families", ListCode::ManyFamilies, true),
        ("listed in a crowd", ListCode::Crowded, false),
    ] {
        let questions = questions();
        let (_, question) = questions.iter().find(|(it, _)| *it == title).expect(title);
        let (_, told, listings) = question.answer(NOW);
        assert_eq!(listings, [code], "{title}");
        let end = told.ends.listing.expect(title);
        assert_eq!(question.answer(end).2, [], "{title}");
        let before = question.answer(Time(end.0 - 1)).2;
        assert!(!exactly || before == [code], "{title}: {before:?}");
    }
}

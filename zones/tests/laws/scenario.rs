//! Scenarios as data: who says what on which days, and what is made of it.
//!
//! A file of `scenarios/` has one statement a line; `#` begins a comment. Days are counted from the first.
//!
//! ```text
//! say FIRST[-LAST] CLIENT NAME [OUTCOME] [by REPORTER] [times N] [rdns NAME] [by-us]
//! agree FORWARD|CSA          the DNS agrees from here on, for the next `pair`; `agree none` ends it
//! pair DAY CLIENT NAME CODE CLASS       what the pair zone says (a code in words, or `none`), and the class
//! client DAY CLIENT CLASS               the class of a client
//! standing DAY CLIENT NAME STANDING     seen, established or strong
//! pairs N                               so many pairs are held
//! last-ip CLIENT ADDRESS                the exact address last seen
//! ```
//! Reporters `trap`, `submission` and `lab` are of those kinds (`lab` takes everything), all others take mail.

use std::net::IpAddr;
use std::path::Path;

use helostat_zones::client::Client;
use helostat_zones::evidence::{Finding, FindingResult, FindingSet, System};
use helostat_zones::history::{ClientHistory, NameHistory, NetworkHistory};
use helostat_zones::ledger::{Bounds, Ledger};
use helostat_zones::name::Name;
use helostat_zones::observation::Outcome;
use helostat_zones::operator::Decisions;
use helostat_zones::policy::Policy;
use helostat_zones::rules::{Case, Feed, Findings, judge_client, judge_pair};
use helostat_zones::time::Time;

use crate::model::assert_indexes;
use crate::world::{accepted, at, batch_of};

struct Run {
    ledger: Ledger,
    policy: Policy,
    findings: FindingSet,
}

/// A word in the form in which it is written in JSON.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap_or("none").to_owned()
}

impl Run {
    fn say(&self, words: &[&str]) {
        let (days, ip, name) = (words[0], words[1].parse().unwrap(), words[2]);
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let name = if name == "(none)" { "" } else { name };
        let mut one = accepted(ip, name, 0);
        let mut times = 1;
        let mut rest = words[3..].iter();
        while let Some(word) = rest.next() {
            let mut value = || *rest.next().expect("a value follows");
            match *word {
                "by" => one.reporter = value().into(),
                "times" => times = value().parse().unwrap(),
                "rdns" => one.rdns = Some(value().into()),
                "by-us" => one.by_us = true,
                outcome => {
                    one.outcome =
                        Outcome::ALL.into_iter().find(|known| known.word() == outcome).unwrap();
                }
            }
        }
        for day in first.parse::<u32>().unwrap()..=last.parse().unwrap() {
            let said: Vec<_> = (0..times)
                .map(|n| {
                    let mut said = one.clone();
                    said.time = at(day, 30_000 + n);
                    said
                })
                .collect();
            self.ledger.commit(&batch_of(&said)).unwrap();
        }
    }

    fn with_case<R>(&self, day: &str, ip: IpAddr, look: impl FnOnce(&Case<'_>, Time) -> R) -> R {
        let now = at(day.parse().unwrap(), 80_000);
        let client = ClientHistory::of(&self.ledger, Client::of(ip), &self.policy, now);
        let network = NetworkHistory::of(&self.ledger, Client::of(ip).network());
        let case = Case {
            ip,
            client: &client,
            network: &network,
            findings: Findings(Some(&self.findings)),
            decisions: &Decisions::default(),
            feed: Feed {
                reporters: self.ledger.reporter_kinds().len(),
                warm_since: self.ledger.warm_since(self.policy.crowded_warm_up_days),
            },
            rdns: None,
            policy: &self.policy,
            now,
            in_words: true,
        };
        look(&case, now)
    }

    fn step(&mut self, line: &str, place: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "say" => self.say(&words[1..]),
            "agree" => {
                let system = match words[1] {
                    "csa" => System::Csa,
                    "forward" => System::Forward,
                    _ => {
                        self.findings = FindingSet::default();
                        return;
                    }
                };
                let ttl = std::time::Duration::from_secs(300);
                let finding = Finding::plain(FindingResult::Pass, None, ttl);
                self.findings.put(system, finding);
            }
            "pair" => {
                let name = Name::parse(words[3].as_bytes());
                let found = self.with_case(words[1], words[2].parse().unwrap(), |case, now| {
                    let of_name = NameHistory::of(&self.ledger, &name, &self.policy, now);
                    let verdict = judge_pair(case, &name, &of_name);
                    format!("{} {}", word(&verdict.code), verdict.class)
                });
                assert_eq!(found, words[4..].join(" "), "{place}: {line}");
            }
            "client" => {
                let found = self.with_case(words[1], words[2].parse().unwrap(), |case, _| {
                    judge_client(case, &NameHistory::unknown()).class.to_string()
                });
                assert_eq!(found, words[3], "{place}: {line}");
            }
            "standing" => {
                let name = Name::parse(words[3].as_bytes());
                let found = self.with_case(words[1], words[2].parse().unwrap(), |case, _| {
                    case.client.pair(&name).map(|pair| word(&pair.standing))
                });
                assert_eq!(found.as_deref(), Some(words[4]), "{place}: {line}");
            }
            "pairs" => {
                assert_eq!(self.ledger.sizes().pairs.to_string(), words[1], "{place}: {line}");
            }
            "last-ip" => {
                let client = Client::parse(words[1]).unwrap();
                let found = self.ledger.client(client, |row| row.unwrap().facts().last_ip);
                let found = found.map(|(_, ip)| ip.to_string());
                assert_eq!(found.as_deref(), Some(words[2]), "{place}: {line}");
            }
            _ => panic!("{place}: not a statement: {line}"),
        }
    }
}

#[test]
fn scenarios_come_out_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/laws/scenarios");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "the scenarios are there");
    for file in files {
        let mut run = Run {
            ledger: Ledger::in_memory(Bounds::default()),
            policy: Policy::default(),
            findings: FindingSet::default(),
        };
        for (number, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            let place = format!("{}:{}", file.file_name().unwrap().display(), number + 1);
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                run.step(line, &place);
            }
        }
        assert_indexes(&run.ledger, &file.display().to_string());
    }
}

//! The openspf test suite for RFC 7208, every case of it, through `check_host` on a fake DNS.
//!
//! `tests/vectors/spf-suite/README.md` says where it comes from and what was changed. One file:
//!
//! ```text
//! # text                    starts a scenario; records reset
//! ? id ip "helo" "mail from" => result ...
//! anything else             a statement of the fake DNS
//! ```
//!
//! Several results are several that the suite allows. An empty MAIL FROM is the HELO identity.

use std::net::IpAddr;
use std::path::Path;

use helostat_tests::fakedns::World;
use helostat_zones::evidence::options::Spf as Options;
use helostat_zones::evidence::spf::{Sender, check_host};
use helostat_zones::evidence::{Finding, FindingResult};

/// As many as the suite's release has.
const CASES: usize = 203;

struct Scenario {
    title: String,
    world: World,
    cases: Vec<Case>,
}

struct Case {
    id: String,
    ip: IpAddr,
    helo: String,
    mail_from: String,
    allowed: Vec<FindingResult>,
}

impl Case {
    fn parse(text: &str) -> Option<Self> {
        let (question, allowed) = text.rsplit_once(" => ")?;
        let mut quoted = question.split('"');
        let mut first = quoted.next()?.split_ascii_whitespace();
        let (id, ip) = (first.next()?.to_owned(), first.next()?.parse().ok()?);
        let (helo, _, mail_from) = (quoted.next()?, quoted.next()?, quoted.next()?);
        let allowed =
            allowed.split_ascii_whitespace().map(FindingResult::parse).collect::<Option<_>>()?;
        let (helo, mail_from) = (helo.to_owned(), mail_from.to_owned());
        Some(Self { id, ip, helo, mail_from, allowed })
    }

    async fn run(&self, world: &World) -> Finding {
        let (local, domain) = match self.mail_from.rsplit_once('@') {
            Some(parts) => parts,
            None => ("", self.helo.as_str()),
        };
        let sender = Sender { local, domain, helo: &self.helo };
        check_host(world, self.ip, domain, sender, &Options::default()).await
    }
}

fn scenarios(text: &str) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line_number = at + 1;
        if let Some(title) = line.strip_prefix("# ") {
            let (title, world) = (title.to_owned(), World::default());
            scenarios.push(Scenario { title, world, cases: Vec::new() });
            continue;
        }
        let scenario = scenarios.last_mut().expect("a scenario begins with '# '");
        if let Some(case) = line.strip_prefix("? ") {
            let case = Case::parse(case).unwrap_or_else(|| panic!("line {line_number}: {line}"));
            scenario.cases.push(case);
            continue;
        }
        let added = scenario.world.add(line);
        added.unwrap_or_else(|error| panic!("line {line_number}: {error}"));
    }
    scenarios
}

#[tokio::test]
async fn every_case_of_the_suite_holds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/spf-suite/rfc7208.tv");
    let text = std::fs::read_to_string(path).expect("the suite");
    let scenarios = scenarios(&text);
    let cases: usize = scenarios.iter().map(|scenario| scenario.cases.len()).sum();
    assert_eq!(cases, CASES, "none is left out");

    let mut complaints = Vec::new();
    for Scenario { title, world, cases } in &scenarios {
        let guises = [world.clone(), world.clone().compact(), world.clone().reversed()];
        for case in cases {
            for world in &guises {
                let finding = case.run(world).await;
                if !case.allowed.contains(&finding.result) {
                    let (id, seen) = (&case.id, finding.records.join("\n    "));
                    let allowed = &case.allowed;
                    complaints.push(format!(
                        "{title}: {id}: must be one of {allowed:?}, is {finding}\n    {seen}"
                    ));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

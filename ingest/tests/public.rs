//! Lines of other projects, each with what a careful reader makes of it: nothing of it lies in this tree.
//!
//! `logs/public/truth.jsonl` lies in the folder `shared` beside the checkout, or where `HELOSTAT_SHARED` says. Each
//! line is read alone, by a reader that has seen nothing else, and then each file as a whole. What is expected:
//!
//! - a client and a name: it is heard, with the outcome if the line has one
//! - a client without a name: nothing is heard under a name, and of no other client
//! - nothing: nothing is heard

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use helostat_ingest::heard::Heard;
use helostat_ingest::reader::{FormatChoice, Reader};
use helostat_zones::name::Name;
use helostat_zones::observation::Outcome;
use helostat_zones::time::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    source_file: String,
    line_no: usize,
    line: String,
    expect: Option<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    ip: Option<IpAddr>,
    ehlo: Option<String>,
    outcome: Option<String>,
}

fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("HELOSTAT_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    named
        .into_iter()
        .chain([beside])
        .map(|folder| folder.join("logs/public"))
        .find(|logs| logs.is_dir())
}

fn reader() -> Reader {
    Reader::new(FormatChoice::Auto, "public".into(), TimeZone::UTC)
}

fn latest() -> Time {
    Time::parse("2026-11-28T00:00:00Z").expect("a time")
}

fn read_alone(line: &str) -> Vec<Heard> {
    let (mut reader, mut out) = (reader(), Vec::new());
    reader.read(line.as_bytes(), latest(), &mut out);
    reader.close(&mut out);
    out
}

fn show(heard: &Heard) -> String {
    let name = heard.name.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    format!("{} {name} {}", heard.ip, heard.outcome)
}

fn is_named(heard: &Heard) -> bool {
    heard.name.as_ref().is_some_and(|name| *name != Name::absent())
}

/// A refusal at the banner is one; a line that says no outcome must not get one.
fn is_outcome(heard: &Heard, expected: Option<&str>) -> bool {
    match expected {
        None => heard.outcome == Outcome::None,
        Some("accepted") => matches!(heard.outcome, Outcome::Accepted | Outcome::Partial),
        Some("rejected") => matches!(heard.outcome, Outcome::Rejected | Outcome::Refused),
        Some("deferred") => matches!(heard.outcome, Outcome::Deferred | Outcome::Refused),
        Some(other) => panic!("no outcome: {other}"),
    }
}

impl Row {
    /// What is wrong with what was heard of this line alone; and whether something was made up.
    fn complaint(&self, heard: &[Heard]) -> Option<(&'static str, bool)> {
        let Some(expect) = &self.expect else {
            return (!heard.is_empty()).then_some(("something was heard", true));
        };
        let ip = expect.ip.map(|ip| ip.to_canonical());
        if heard.iter().any(|one| Some(one.ip) != ip) {
            return Some(("another client", true));
        }
        let outcome = expect.outcome.as_deref();
        let Some(ehlo) = &expect.ehlo else {
            if heard.iter().any(is_named) {
                return Some(("a name", true));
            }
            return (!heard.iter().all(|one| is_outcome(one, outcome)))
                .then_some(("outcome", false));
        };
        let name = Name::parse(ehlo.as_bytes());
        if heard.iter().any(|one| is_named(one) && one.name.as_ref() != Some(&name)) {
            return Some(("another name", true));
        }
        let right = |one: &Heard| one.name.as_ref() == Some(&name) && is_outcome(one, outcome);
        match heard.iter().any(is_named) {
            false => Some(("not heard", false)),
            true if !heard.iter().any(right) => Some(("outcome", false)),
            true => None,
        }
    }
}

fn rows(logs: &Path) -> Vec<Row> {
    let text = fs::read_to_string(logs.join("truth.jsonl")).expect("truth.jsonl");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn lines_of_other_projects() {
    let Some(logs) = shared() else {
        eprintln!(
            "SKIPPED lines_of_other_projects: no folder 'shared', HELOSTAT_SHARED is not set"
        );
        return;
    };
    let rows = rows(&logs);
    let (mut right, mut wrong, mut made_up) = (0, 0, 0);
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in &rows {
        let heard = read_alone(&row.line);
        let complaint = row.complaint(&heard);
        let count = counts.entry(&row.source_file).or_default();
        count.0 += 1;
        count.1 += usize::from(complaint.is_none());
        if let Some((why, invented)) = complaint {
            let shown: Vec<String> = heard.iter().map(show).collect();
            println!("{}:{} {why}: {shown:?}\n    {:.300}", row.source_file, row.line_no, row.line);
            made_up += usize::from(invented);
            wrong += 1;
        } else {
            right += 1;
        }
    }
    for (file, (lines, right)) in counts {
        println!("{file}: {right} of {lines} as expected");
    }
    assert_eq!(made_up, 0, "readings were made up");
    assert!(right * 1000 >= (right + wrong) * 995, "{wrong} of {} lines", right + wrong);
}

/// A file as a whole: sessions are joined, and still nobody is heard whom no line names so.
#[test]
fn files_of_other_projects() {
    let Some(logs) = shared() else {
        eprintln!(
            "SKIPPED files_of_other_projects: no folder 'shared', HELOSTAT_SHARED is not set"
        );
        return;
    };
    let mut files: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    let rows = rows(&logs);
    for row in &rows {
        files.entry(&row.source_file).or_default().push(row);
    }
    for (file, rows) in files {
        let (mut reader, mut out) = (reader(), Vec::new());
        for row in &rows {
            reader.read(row.line.as_bytes(), latest(), &mut out);
        }
        reader.close(&mut out);
        let expected: Vec<(Option<IpAddr>, Option<Name>)> = rows
            .iter()
            .filter_map(|row| row.expect.as_ref())
            .map(|expect| {
                let name = expect.ehlo.as_ref().map(|ehlo| Name::parse(ehlo.as_bytes()));
                (expect.ip.map(|ip| ip.to_canonical()), name)
            })
            .collect();
        for heard in &out {
            let is_it = |(ip, name): &(Option<IpAddr>, Option<Name>)| {
                *ip == Some(heard.ip) && (!is_named(heard) || *name == heard.name)
            };
            assert!(expected.iter().any(is_it), "{file}: nobody said so: {}", show(heard));
        }
        let names: BTreeSet<(IpAddr, Name)> = rows
            .iter()
            .filter_map(|row| {
                let expect = row.expect.as_ref()?;
                Some((expect.ip?.to_canonical(), Name::parse(expect.ehlo.as_ref()?.as_bytes())))
            })
            .collect();
        let missed: Vec<_> = names
            .iter()
            .filter(|(ip, name)| {
                !out.iter().any(|one| one.ip == *ip && one.name.as_ref() == Some(name))
            })
            .collect();
        println!("{file}: {} of {} names heard", names.len() - missed.len(), names.len());
        assert!(missed.is_empty(), "{file}: not heard {missed:?}");
    }
}

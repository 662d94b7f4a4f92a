//! Reads whole logs of real MTAs and compares what came out with what was really said.
//!
//! The extracts in `testdata` always run; the full runs, in every framing, where the folder `shared` lies
//! beside the checkout or `HELOSTAT_SHARED` names it. The bar: every session whose EHLO the MTA wrote
//! down is found with exactly that client and name, and nothing is made up.

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use helostat_ingest::fate::Program;
use helostat_ingest::framing::Framer;
use helostat_ingest::reader::{FormatChoice, Reader};
use helostat_zones::name::{Name, NameKind};
use helostat_zones::observation::{Observation, Outcome};
use helostat_zones::time::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;

#[derive(Deserialize)]
struct Session {
    id: String,
    time: String,
    time_end: String,
    ip: IpAddr,
    ehlo: Option<String>,
    all_ehlos: Vec<String>,
    outcome: String,
    listener: String,
    cls: String,
    end: String,
    auth: Option<String>,
    helos: Vec<Helo>,
    txs: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Helo {
    code: Option<u32>,
}

#[derive(Deserialize)]
struct Transaction {
    ehlo: Option<String>,
    outcome: String,
    rcpts: Vec<(String, Option<u32>)>,
}

/// What we need of a run's description.
#[derive(Deserialize)]
struct Meta {
    tz: String,
}

/// What one log gave, after `supersedes` took back what was told before.
struct Told {
    observation: Observation,
    session: Option<usize>,
}

#[derive(Default)]
struct Row {
    sessions: usize,
    logged: usize,
    found: usize,
    observations: usize,
    odd: usize,
    heard: usize,
    first_word: usize,
    reverse_for_literal: usize,
    right_outcome: usize,
}

const LATEST: &str = "2026-11-20T15:00:00Z";

fn read_log(log: &[u8], format: FormatChoice, zone: TimeZone) -> Vec<Observation> {
    let latest = Time::parse(LATEST).expect("a time");
    let mut reader = Reader::new(format, "truth".into(), zone);
    let mut out = Vec::new();
    for line in log.split(|&byte| byte == b'\n') {
        reader.read(line, latest, &mut out);
    }
    reader.close(&mut out);
    // Users who log in, and what shows no name, are not learned.
    out.iter().filter(|one| one.apart.is_none()).filter_map(|one| one.observation()).collect()
}

/// Takes back what was superseded, as a ledger does.
fn settled(observations: Vec<Observation>) -> Vec<Observation> {
    let mut kept: Vec<Observation> = Vec::new();
    for observation in observations {
        if let Some(old) = observation.supersedes {
            let at = kept.iter().rposition(|earlier| {
                earlier.ip == observation.ip
                    && earlier.name == observation.name
                    && earlier.outcome == old
            });
            kept.remove(at.expect("what is superseded was told"));
        }
        kept.push(observation);
    }
    kept
}

fn truth(path: &Path) -> Vec<Session> {
    let text = fs::read_to_string(path).expect("the truth is readable");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// What a server hears of an argument.
fn heard(said: &str) -> Name {
    let said = said.split(['\0', '\n']).next().unwrap_or_default();
    Name::parse(said.trim_start().as_bytes())
}

impl Session {
    fn span(&self) -> (Time, Time) {
        let begin = Time::parse(&self.time).expect("a time");
        let end = Time::parse(&self.time_end).expect("a time");
        (Time(begin.0.saturating_sub(1)), Time(end.0 + 1))
    }

    fn holds(&self, observation: &Observation) -> bool {
        let (begin, end) = self.span();
        self.ip.to_canonical() == observation.ip && (begin..=end).contains(&observation.time)
    }

    fn names(&self) -> Vec<Name> {
        self.all_ehlos.iter().map(|said| Name::parse(said.as_bytes())).collect()
    }

    /// A name that the MTA does not log as it was said.
    fn is_mangled(&self) -> bool {
        ["inj_", "badutf8", "latin1"].iter().any(|class| self.cls.starts_with(class))
            || self.cls.ends_with("_space")
            || self.names().iter().any(|name| name.kind() == NameKind::Malformed)
    }

    fn agreement(&self, name: &Name) -> Option<Agreement> {
        if self.names().contains(name) {
            return Some(Agreement::Exact);
        }
        match name.kind() {
            NameKind::Absent => {
                let none = self.ehlo.is_none() || self.txs.iter().any(|tx| tx.ehlo.is_none());
                return none.then_some(Agreement::Exact);
            }
            NameKind::Malformed if self.is_mangled() => return Some(Agreement::Odd),
            _ => {}
        }
        // A C string ends at NUL, a command at LF; blanks before the argument are no part of it; XCLIENT
        // brings the name of another dialog.
        let heard = |said: &String| heard(said) == *name;
        let of_transaction = self.txs.iter().filter_map(|tx| tx.ehlo.as_ref());
        if self.all_ehlos.iter().chain(of_transaction).any(heard) {
            return Some(Agreement::Heard);
        }
        // A client that speaks before the banner: the driver took the wrong reply for its EHLO's.
        if self.listener == "postscreen" && self.all_ehlos.is_empty() && self.cls != "none" {
            return Some(Agreement::Unrecorded);
        }
        let first_word = |said: &String| {
            let word = said.split_ascii_whitespace().next().unwrap_or_default();
            Name::parse(word.as_bytes()) == *name
        };
        if self.listener == "postscreen" && self.all_ehlos.iter().any(first_word) {
            return Some(Agreement::FirstWord);
        }
        let own_literal =
            |said: &Name| said.kind() == NameKind::Literal && said.ip() == Some(self.ip);
        if self.names().iter().any(own_literal) && self.listener.starts_with(['a', 'b']) {
            return Some(Agreement::ReverseForLiteral);
        }
        None
    }

    /// The outcomes that are right for what was done under `name`.
    fn allows(&self, name: &Name, outcome: Outcome) -> bool {
        let mut under: Vec<&str> = self
            .txs
            .iter()
            .filter(|tx| {
                let said = tx
                    .ehlo
                    .as_deref()
                    .map_or_else(Name::absent, |said| Name::parse(said.as_bytes()));
                said == *name
                    || tx.ehlo.as_deref().is_some_and(|said| heard(said) == *name)
                    || (name.kind() == NameKind::Malformed && said.kind() == NameKind::Malformed)
            })
            .map(|tx| tx.outcome.as_str())
            .collect();
        under.dedup();
        if under.is_empty() {
            let refused = self.helos.iter().any(|helo| helo.code.is_some_and(|code| code >= 400));
            return match outcome {
                Outcome::None => true,
                Outcome::Refused => self.outcome == "refused" || self.end == "server_closed",
                Outcome::Rejected | Outcome::Deferred => refused || self.outcome == "rejected",
                _ => false,
            };
        }
        let one = |word: &str| match word {
            "accepted" => Outcome::Accepted,
            "accepted_partial" => Outcome::Partial,
            "rejected" => Outcome::Rejected,
            "deferred" => Outcome::Deferred,
            "aborted" => Outcome::Aborted,
            _ => Outcome::None,
        };
        // Refused recipients weigh more than the hang-up that followed them.
        let refused = self.txs.iter().flat_map(|tx| &tx.rcpts).any(|(_, code)| *code >= Some(400));
        if under.contains(&"aborted")
            && refused
            && matches!(outcome, Outcome::Rejected | Outcome::Deferred)
        {
            return true;
        }
        if under.contains(&"aborted") && self.end == "server_closed" && outcome == Outcome::Rejected
        {
            return true;
        }
        let mixed = under.len() > 1 && under.iter().any(|word| word.starts_with("accepted"));
        under.iter().any(|word| one(word) == outcome) || (mixed && outcome == Outcome::Partial)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Agreement {
    Exact,
    Odd,
    Heard,
    FirstWord,
    ReverseForLiteral,
    Unrecorded,
}

/// True if some line shows exactly this address with exactly this name.
fn is_logged(lines: &[(Time, &[u8])], session: &Session, name: &str) -> bool {
    let ip = session.ip;
    let (begin, end) = session.span();
    let (host, logged) = (format!("[{ip}]"), format!("ehlo-log ip={ip} "));
    let marks = [
        format!("helo=<{name}>"),
        format!(" ({name}) [{ip}]"),
        format!("=({name}) [{ip}]"),
        format!("rejected EHLO or HELO {name}: "),
    ];
    let reverse = format!("H={name} [{ip}]");
    lines.iter().filter(|(time, _)| (begin..=end).contains(time)).any(|(_, line)| {
        let has = |mark: &str| memchr::memmem::find(line, mark.as_bytes()).is_some();
        let is_submission = has("postfix/submission/") || has("postfix/smtps/");
        if is_submission || !has(&host) && !has(&logged) {
            return false;
        }
        marks.iter().any(|mark| has(mark)) || (has(&reverse) && has(" P=esmtp"))
    })
}

fn compare(title: &str, log: &[u8], sessions: &[Session], format: FormatChoice, zone: TimeZone) {
    let told: Vec<Told> = settled(read_log(log, format, zone.clone()))
        .into_iter()
        .map(|observation| {
            let session = sessions.iter().position(|session| {
                session.holds(&observation) && session.agreement(&observation.name).is_some()
            });
            Told { observation, session }
        })
        .collect();
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    let mut wrong_outcomes = Vec::new();
    let mut invented = Vec::new();
    for Told { observation, session } in &told {
        let Some(session) = session.and_then(|at| sessions.get(at)) else {
            // What the test driver does to see that a port is open, before the first session.
            if observation.outcome != Outcome::None || observation.name != Name::absent() {
                invented.push(observation);
            }
            continue;
        };
        let row = rows.entry(&session.listener).or_default();
        row.observations += 1;
        match session.agreement(&observation.name) {
            Some(Agreement::Odd) => row.odd += 1,
            Some(Agreement::Heard) => row.heard += 1,
            Some(Agreement::FirstWord) => row.first_word += 1,
            Some(Agreement::ReverseForLiteral) => row.reverse_for_literal += 1,
            _ => {}
        }
        // Without pid, port or end in the log, sessions of one client within a minute are one.
        let near = |outcome: Outcome| {
            sessions.iter().any(|session| {
                let (begin, end) = session.span();
                session.ip.to_canonical() == observation.ip
                    && begin.0.abs_diff(observation.time.0).min(end.0.abs_diff(observation.time.0))
                        <= 60
                    && session.agreement(&observation.name) == Some(Agreement::Exact)
                    && session.allows(&observation.name, outcome)
            })
        };
        let merged = session.listener.starts_with('a')
            && observation.outcome == Outcome::Partial
            && (near(Outcome::Accepted) || near(Outcome::Partial))
            && (near(Outcome::Rejected) || near(Outcome::Deferred));
        let right = merged
            || sessions.iter().any(|session| {
                session.holds(observation)
                    && session.agreement(&observation.name).is_some()
                    && (session.allows(&observation.name, observation.outcome)
                        || session.agreement(&observation.name) != Some(Agreement::Exact)
                            && session.txs.iter().any(|tx| {
                                tx.outcome == "rejected" && observation.outcome == Outcome::Rejected
                                    || tx.outcome.starts_with(observation.outcome.word())
                            }))
            });
        if right {
            row.right_outcome += 1;
        } else {
            wrong_outcomes.push((session, observation));
        }
    }
    let mut missed = Vec::new();
    let mut framer = Framer::new(zone);
    let latest = Time::parse(LATEST).expect("a time");
    let lines: Vec<(Time, &[u8])> = log
        .split(|&byte| byte == b'\n')
        .filter_map(|line| Some((framer.frame(line, latest, &mut Vec::new()).ok()?.time, line)))
        .collect();
    for session in sessions {
        let row = rows.entry(&session.listener).or_default();
        row.sessions += 1;
        let is_private = session.auth.as_deref().is_some_and(|auth| !auth.is_empty())
            || ["submission", "smtps"].contains(&session.listener.as_str());
        if is_private {
            continue;
        }
        let mut said: Vec<&String> = session.all_ehlos.iter().collect();
        said.dedup();
        for said in said {
            let name = Name::parse(said.as_bytes());
            if name.kind() == NameKind::Malformed || !is_logged(&lines, session, said) {
                continue;
            }
            row.logged += 1;
            let found = told.iter().any(|told| {
                let (begin, end) = session.span();
                // The line may be an earlier session's of the same name: of one that postscreen kept
                // waiting, or (without pid in the log) of the same minute.
                let before = if session.listener.starts_with('a') { 60 } else { 5 };
                let near =
                    told.observation.time.0 + before >= begin.0 && told.observation.time <= end;
                told.observation.name == name
                    && session.ip.to_canonical() == told.observation.ip
                    && near
            });
            if found {
                row.found += 1;
            } else {
                missed.push((session, name));
            }
        }
    }
    println!("{title}");
    println!(
        "  listener    sessions logged found observations odd heard first-word reverse-for-literal right-outcome"
    );
    for (listener, row) in &rows {
        println!(
            "  {listener:<11} {:>8} {:>6} {:>5} {:>12} {:>3} {:>5} {:>10} {:>19} {:>13}",
            row.sessions,
            row.logged,
            row.found,
            row.observations,
            row.odd,
            row.heard,
            row.first_word,
            row.reverse_for_literal,
            row.right_outcome
        );
    }
    for (session, observation) in &wrong_outcomes {
        println!(
            "  outcome {} ({}, {}): {observation:?}",
            session.id, session.listener, session.outcome
        );
    }
    for (session, name) in &missed {
        println!("  missed {} ({}, {}): {name}", session.id, session.listener, session.outcome);
    }
    assert!(invented.is_empty(), "{title}: invented {invented:#?}");
    assert!(missed.is_empty(), "{title}: {} names missed", missed.len());
    let total: usize = rows.values().map(|row| row.observations).sum();
    assert!(total > 0, "{title}: nothing was observed");
    assert!(
        wrong_outcomes.len() * 100 <= total,
        "{title}: {} of {total} outcomes wrong",
        wrong_outcomes.len()
    );
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

#[test]
fn extracts_of_real_logs() {
    for (log, truth_file, format) in [
        ("postfix-3.7.iso.log", "postfix-3.7.truth.jsonl", FormatChoice::Auto),
        ("exim-4.96-a.mainlog", "exim-4.96-a.truth.jsonl", FormatChoice::Auto),
        ("exim-4.96-c.mainlog", "exim-4.96-c.truth.jsonl", FormatChoice::Only(Program::Exim)),
    ] {
        let bytes = fs::read(testdata(log)).expect(log);
        compare(log, &bytes, &truth(&testdata(truth_file)), format, TimeZone::UTC);
    }
}

/// The folder with the full runs, if this machine has it.
fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("HELOSTAT_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    named.into_iter().chain([beside]).map(|folder| folder.join("logs")).find(|logs| logs.is_dir())
}

#[test]
fn full_runs_in_every_framing() {
    let Some(logs) = shared() else {
        eprintln!(
            "SKIPPED full_runs_in_every_framing: no folder 'shared', HELOSTAT_SHARED is not set"
        );
        return;
    };
    for (run, log, listeners) in [
        ("postfix/seed-1", "mail.iso.log", ""),
        ("postfix/seed-1", "mail.trad.log", ""),
        ("postfix/seed-1", "mail.5424.log", ""),
        ("postfix/seed-3", "mail.native.log", ""),
        ("exim/seed-1", "a-mainlog", "a"),
        ("exim/seed-1", "b-mainlog", "b"),
        ("exim/seed-1", "c-mainlog", "c"),
        ("exim/seed-1", "mail.iso.log", ""),
        ("exim/seed-1", "mail.trad.log", ""),
        ("exim/seed-1", "mail.5424.log", ""),
    ] {
        let folder = logs.join("real").join(run);
        let bytes = fs::read(folder.join(log)).expect(log);
        let mut sessions = truth(&folder.join("truth.jsonl"));
        sessions.retain(|session| session.listener.starts_with(listeners));
        let meta = fs::read(folder.join("meta.json")).expect("meta.json");
        let Meta { tz } = serde_json::from_slice(&meta).expect("meta.json");
        let zone = TimeZone::get(&tz).expect(&tz);
        compare(&format!("{run}/{log}"), &bytes, &sessions, FormatChoice::Auto, zone);
    }
}

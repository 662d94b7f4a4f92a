//! Reads whole logs of real MTAs and compares what came out with what was really said, as a strict
//! outsider would.
//!
//! - A name of a session is *tied* if the log itself ties it to the client: a line within the session's time that
//!   shows both, in the places where the MTA writes them, or two such lines with the MTA's own session key.
//!   It must have been in force: of a transaction, or the last of a session without one.
//! - A tied name must be *found*: something heard with exactly that client, that name, in the session's time;
//!   one for each session, however often a client comes back. And its outcome must be *right*: the class of a
//!   transaction under that name (accepted and partly accepted are one class).
//! - *Wrong* is whatever is heard of a client that was not there, under a well-formed name that this client did not
//!   say then, with an outcome that no session of it had under that name, or with a reverse name that is not verified.
//!
//! The extracts in `testdata` always run; the full runs, in every framing, where the folder `shared` lies
//! beside the checkout or `HELOSTAT_SHARED` names it. A run is a row of `RUNS`.

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod compare;
mod log;
mod runs;
mod said;

use std::fs;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::compare::compare;
use crate::log::Log;
use crate::runs::{EXTRACTS, RUNS, Run, SAME};
use crate::said::{Session, read_sessions};

/// The folder with the full runs, if this machine has it.
fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("HELOSTAT_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    named
        .into_iter()
        .chain([beside])
        .map(|folder| folder.join("logs/real"))
        .find(|logs| logs.is_dir())
}

fn time_zone(folder: &Path) -> TimeZone {
    #[derive(serde::Deserialize)]
    struct Meta {
        tz: String,
    }
    let meta = fs::read(folder.join("meta.json")).expect("meta.json");
    let Meta { tz } = serde_json::from_slice(&meta).expect("meta.json");
    TimeZone::get(&tz).expect(&tz)
}

fn sessions_of(run: &Run, truth: &Path) -> Vec<Session> {
    let mut sessions = read_sessions(truth);
    sessions.retain(|session| session.listener.starts_with(run.listeners));
    for session in &mut sessions {
        session.slack = run.slack;
    }
    sessions
}

/// Compares one row and says what is not as it should be.
fn judge(run: &Run, log: &Path, truth: &Path, zone: TimeZone) -> Vec<String> {
    let bytes = fs::read(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    let sessions = sessions_of(run, truth);
    let report = compare(run, &Log::read(run, &bytes, zone), &sessions);
    report.print();
    report.complaints()
}

#[test]
fn extracts_of_real_logs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let complaints: Vec<String> = EXTRACTS
        .iter()
        .flat_map(|(run, truth)| {
            judge(run, &folder.join(run.log), &folder.join(truth), TimeZone::UTC)
        })
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn full_runs_in_every_framing() {
    let Some(logs) = shared() else {
        eprintln!(
            "SKIPPED full_runs_in_every_framing: no folder 'shared', HELOSTAT_SHARED is not set"
        );
        return;
    };
    let mut complaints = Vec::new();
    for run in RUNS {
        let folder = logs.join(run.folder);
        if !folder.join(run.log).is_file() {
            eprintln!("SKIPPED {}/{}: no such file", run.folder, run.log);
            continue;
        }
        let found =
            judge(run, &folder.join(run.log), &folder.join("truth.jsonl"), time_zone(&folder));
        if run.asserted {
            complaints.extend(found);
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// The journal's files were written later, by a replay: their times say nothing, the rest must be the same.
#[test]
fn the_same_log_in_another_wrapping_says_the_same() {
    let Some(logs) = shared() else {
        eprintln!("SKIPPED the_same_log_in_another_wrapping_says_the_same: no folder 'shared'");
        return;
    };
    for (run, other, asserted) in SAME {
        let folder = logs.join(run.folder);
        let heard = |log: &str| {
            let bytes = fs::read(folder.join(log)).expect(log);
            Log::read(run, &bytes, time_zone(&folder)).timeless()
        };
        let (expected, found) = (heard(run.log), heard(other));
        let lost = expected.iter().filter(|one| !found.contains(one)).count();
        let new = found.iter().filter(|one| !expected.contains(one)).count();
        println!(
            "{}/{other}: {} heard, {} as in {}; {lost} lost, {new} new",
            run.folder,
            found.len(),
            expected.len(),
            run.log
        );
        assert!(!asserted || (lost == 0 && new == 0), "{}/{other} differs", run.folder);
    }
}

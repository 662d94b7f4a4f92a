//! How fast the ear is, beside others that read the same log in the same run.
//!
//! ```text
//! cargo bench -p helostat-tests --bench ingest -- [JOB] [--megabytes 1_000] [--folder DIR] [--json]
//! ```
//!
//! Jobs, each in a process of its own: `postfix` and `exim`, lines to observations without a ledger; `gz`, the same
//! from a compressed log; `ledger-postfix` and `ledger-exim`, the whole path to a durable ledger; `all` (default), one
//! after the other. The log is made from a seed (`helostat_tests::maillog`), written to a file and read once, so that it
//! lies in the page cache.
//!
//! Beside them: `LC_ALL=C grep -c 'helo='` (what it costs to look at every octet), `zcat`, and pflogsumm where it is
//! installed, on a tenth of the log, as octets a second.

#[allow(dead_code, reason = "other benches use the rest")]
mod measure;
mod options;
mod report;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use helostat_ingest::learner::{Learner, Learning, PLAUSIBLE_PAST};
use helostat_ingest::ours::Ours;
use helostat_ingest::pipeline::{self, Batching};
use helostat_ingest::reader::FormatChoice;
use helostat_ingest::source::History;
use helostat_tests::maillog::{MailLog, Mta};
use helostat_zones::ledger::{Bounds, Ledger};
use helostat_zones::observation::ReporterKind;
use helostat_zones::time::Time;
use jiff::tz::TimeZone;

use crate::options::Options;
use crate::report::{Bar, Report};

/// 2026-01-01T00:00:00Z, when the log begins.
const BEGIN: Time = Time(1_767_225_600);
/// A site with three million lines a day.
const LINES_A_DAY: u64 = 3_000_000;
const CLIENTS: u64 = 200_000;
const MEGA: f64 = 1e6;

fn main() {
    let options = Options::read();
    match options.job() {
        Some("postfix") => lines(&options, Mta::Postfix),
        Some("exim") => lines(&options, Mta::Exim),
        Some("gz") => compressed(&options),
        Some("ledger-postfix") => whole_path(&options, Mta::Postfix),
        Some("ledger-exim") => whole_path(&options, Mta::Exim),
        None | Some("all") => {
            for job in ["postfix", "exim", "gz", "ledger-postfix", "ledger-exim"] {
                let ended = options.again(job).status().expect("this bench can be run again");
                assert!(ended.success(), "{job} failed");
            }
        }
        Some(other) => panic!("there is no job '{other}'; see the head of tests/benches/ingest.rs"),
    }
}

/// Lines to observations, and the peers.
fn lines(options: &Options, mta: Mta) {
    let log = Log::make(options, mta);
    let report = Report::begin(options, &format!("{} to observations", word(mta)));
    let before = measure::peak_rss();
    let mut observations = 0u64;
    let (wall, cpu) = timed(|| observations = observe(&log.path));
    let speed = log.megabytes / cpu.as_secs_f64();
    report.tell("log", log.megabytes, "MB");
    report.tell("observations", observations as f64, "");
    report.judge("per second of processor time", speed, "MB/s", Bar::Least(300.0));
    report.tell("per second", log.megabytes / wall.as_secs_f64(), "MB/s");
    let memory = (measure::peak_rss() - before) as f64 / MEGA;
    report.judge("memory beyond the start", memory, "MB", Bar::Most(64.0));
    let grep = child(Command::new("grep").args(["-c", "helo="]).arg(&log.path).env("LC_ALL", "C"));
    if let Some((_, grep)) = grep {
        report.tell(
            "grep -c helo=, of its processor time",
            log.megabytes / grep.as_secs_f64(),
            "MB/s",
        );
        report.tell(
            "ours / grep's processor time",
            cpu.as_secs_f64() / grep.as_secs_f64(),
            "times",
        );
    }
    if mta == Mta::Postfix {
        let tenth = Log::of(options, mta, log.megabytes / 10.0);
        match child(Command::new("pflogsumm").arg(&tenth.path)) {
            Some((_, peer)) => {
                let peer = tenth.megabytes / peer.as_secs_f64();
                report.tell("pflogsumm, of its processor time", peer, "MB/s");
                report.tell("ours / pflogsumm", speed / peer, "times");
            }
            None => report.tell("pflogsumm is not installed", 0.0, ""),
        }
    }
}

/// A compressed log to observations, beside zcat.
fn compressed(options: &Options) {
    let log = Log::make(options, Mta::Postfix);
    let packed = log.path.with_extension("gz");
    let out = File::create(&packed).expect("a file for the packed log");
    let ended = Command::new("gzip").arg("-c").arg(&log.path).stdout(out).status();
    assert!(ended.expect("gzip runs").success(), "gzip failed");
    let report = Report::begin(options, "a .gz to observations");
    // Twice each, in turns, and the better: the machine is not ours alone.
    let mut ours = Duration::MAX;
    let mut zcat = Duration::MAX;
    let mut cpu = Duration::MAX;
    for _ in 0..2 {
        let (wall, used) = timed(|| {
            observe(&packed);
        });
        (ours, cpu) = (ours.min(wall), cpu.min(used));
        let peer = child(Command::new("zcat").arg(&packed)).expect("zcat runs");
        zcat = zcat.min(peer.0);
    }
    report.tell("zcat", log.megabytes / zcat.as_secs_f64(), "MB/s");
    report.tell("of processor time", log.megabytes / cpu.as_secs_f64(), "MB/s");
    report.tell("per second", log.megabytes / ours.as_secs_f64(), "MB/s");
    let times = zcat.as_secs_f64() / ours.as_secs_f64();
    report.judge("times as fast as zcat", times, "", Bar::Least(1.0));
    std::fs::remove_file(packed).ok();
}

/// A log into a new ledger on disk.
fn whole_path(options: &Options, mta: Mta) {
    let log = Log::make(options, mta);
    let folder = tempfile::tempdir_in(options.folder()).expect("a folder for the ledger");
    let report = Report::begin(options, &format!("{} to a durable ledger", word(mta)));
    let before = measure::peak_rss();
    let ledger = Ledger::open(&folder.path().join("ledger"), Bounds::default());
    let ledger = std::sync::Arc::new(ledger.expect("a new ledger"));
    let mut learned = 0;
    let (wall, cpu) = timed(|| {
        let mut source = History::open(&log.path).expect("the log");
        let mut learner = Learner::new(learning());
        let batching = Batching { interval: Duration::from_secs(1), observations: 20_000 };
        let tally = pipeline::learn(&mut source, &mut learner, batching, &ledger, &mut |_| {});
        learned = tally.expect("the log is learned").learned();
    });
    report.tell("log", log.megabytes, "MB");
    report.tell("observations", learned as f64, "");
    report.tell("observations a second", learned as f64 / wall.as_secs_f64(), "");
    let speed = log.megabytes / wall.as_secs_f64();
    report.judge("per second", speed, "MB/s", Bar::Least(200.0));
    report.tell("per second of processor time", log.megabytes / cpu.as_secs_f64(), "MB/s");
    let held = ledger.sizes().bytes as f64 / MEGA;
    let memory = (measure::peak_rss() - before) as f64 / MEGA;
    report.tell("the ledger's tables", held, "MB");
    report.judge("memory beyond them", memory - held, "MB", Bar::Most(64.0));
}

fn learning() -> Learning {
    Learning {
        format: FormatChoice::Auto,
        reporter: "bench".into(),
        reporter_kind: ReporterKind::Mx,
        zone: TimeZone::UTC,
        logins: false,
        samples: 0,
        own: Vec::new(),
        ours: Ours::default(),
        future_tolerance: Duration::from_secs(86_400),
        earliest: PLAUSIBLE_PAST,
    }
}

/// Reads a log to its end; returns how many observations it gave.
fn observe(path: &Path) -> u64 {
    let mut source = History::open(path).expect("the log");
    let mut observations = 0;
    let mut count = |_: &_| {
        observations += 1;
        Ok(())
    };
    pipeline::observe(&mut source, &mut pipeline::onlooker(&learning()), &mut count)
        .expect("it is read");
    observations
}

/// Time on the clock and of the processor, all threads.
fn timed(work: impl FnOnce()) -> (Duration, Duration) {
    let (begun, cpu) = (Instant::now(), measure::cpu());
    work();
    (begun.elapsed(), measure::cpu() - cpu)
}

/// The same of another program, whose output is thrown away; `None` if it cannot be run.
fn child(command: &mut Command) -> Option<(Duration, Duration)> {
    let before = measure::children_cpu();
    let begun = Instant::now();
    // A pipe, since grep stops at the first match where nobody reads.
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let read = std::io::copy(&mut child.stdout.take()?, &mut std::io::sink());
    let status = child.wait().ok().filter(|_| read.is_ok())?;
    let wall = begun.elapsed();
    status.success().then(|| (wall, measure::children_cpu() - before))
}

fn word(mta: Mta) -> &'static str {
    match mta {
        Mta::Postfix => "Postfix",
        Mta::Exim => "Exim",
    }
}

/// A made log in a file, which goes when this does.
struct Log {
    path: PathBuf,
    megabytes: f64,
    _folder: tempfile::TempDir,
}

impl Log {
    /// Of the size that was asked for.
    fn make(options: &Options, mta: Mta) -> Self {
        Self::of(options, mta, options.number("megabytes", 1000.0))
    }

    fn of(options: &Options, mta: Mta, megabytes: f64) -> Self {
        let folder = tempfile::tempdir_in(options.folder()).expect("a folder for the log");
        let path = folder.path().join("mail.log");
        let mut file = File::create(&path).expect("a file for the log");
        let mut log = MailLog::new(mta, 1, CLIENTS, BEGIN, LINES_A_DAY);
        let mut piece = Vec::new();
        let mut written = 0.0;
        while written < megabytes * MEGA {
            piece.clear();
            log.write(&mut piece, 1 << 20);
            file.write_all(&piece).expect("room on the disk");
            written += piece.len() as f64;
        }
        // Into the page cache, should it have been written out of it.
        std::io::copy(&mut File::open(&path).expect("the log"), &mut std::io::sink())
            .expect("read");
        Self { path, megabytes: written / MEGA, _folder: folder }
    }
}

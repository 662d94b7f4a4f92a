//! Killed at any moment, the daemon learns every line exactly once.
//!
//! `HELOSTAT_KILLS` (20), `HELOSTAT_KILL_LINES` (60,000) and `HELOSTAT_KILL_SEED` (1) say how often, how
//! much, and which way.
#![expect(clippy::print_stdout, reason = "what a long run did is worth a line")]

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use helostat_tests::mail::{long_exim, long_postfix};
use helostat_tests::program::{Random, Site, number};

const LOGS: [&str; 2] = ["mail.log", "mainlog"];

#[test]
fn killed_at_any_moment() {
    let kills = number("HELOSTAT_KILLS", 20);
    let lines = number("HELOSTAT_KILL_LINES", 60_000);
    let seed = number("HELOSTAT_KILL_SEED", 1) as u64;
    let (mail, exim) = (long_postfix(lines * 2 / 3), long_exim(lines / 3));

    let begun = Instant::now();
    let undisturbed = dump_undisturbed(&mail, &exim);
    assert!(undisturbed.lines().count() > 1000, "the logs have something to teach");
    let alone = begun.elapsed();

    let site = Site::following(&LOGS);
    let steps = AtomicUsize::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&site, &mail, &exim, kills, seed, &steps));
        let mut random = Random(seed);
        for kill in 1..=kills {
            let daemon = site.launch();
            // The first one lives until it has seen both logs: a log that was never read is not looked
            // for under another name. Then a quarter dies while it starts, the others while they read.
            if kill == 1 {
                daemon.wait_caught_up(&LOGS);
            } else if random.below(4) > 0 {
                daemon.wait_said("helostat answers");
            }
            steps.store(kill, Ordering::Relaxed);
            // Soon more often than late.
            let latest = random.below(300) + 1;
            std::thread::sleep(Duration::from_millis(random.below(latest)));
            daemon.kill();
            std::thread::sleep(Duration::from_millis(random.below(20)));
        }
        steps.store(kills + 1, Ordering::Relaxed);
        writer.join().expect("all is written");
    });
    let daemon = site.start();
    daemon.wait_caught_up(&LOGS);
    daemon.stop();
    let disturbed = site.dump();
    println!(
        "{kills} kills over {} lines, seed {seed}: {:.1} s, undisturbed {:.1} s, {} lines of dump",
        mail.lines().count() + exim.lines().count(),
        begun.elapsed().as_secs_f64(),
        alone.as_secs_f64(),
        undisturbed.lines().count(),
    );
    assert_same(&undisturbed, &disturbed, seed);
}

fn dump_undisturbed(mail: &str, exim: &str) -> String {
    let site = Site::following(&LOGS);
    site.write("mail.log", mail);
    site.write("mainlog", exim);
    let daemon = site.start();
    daemon.wait_caught_up(&LOGS);
    daemon.stop();
    site.dump()
}

/// Writes both logs in pieces that end anywhere, a share of them in each step; in the middle the first
/// is rotated. Goes on while no daemon runs.
fn write(site: &Site, mail: &str, exim: &str, kills: usize, seed: u64, steps: &AtomicUsize) {
    let mut random = Random(seed ^ 0xFEED);
    let middle = mail.len() * (40 + random.below(20) as usize) / 100;
    let end_of_line = mail.get(middle..).and_then(|rest| rest.find('\n'));
    let half = middle + end_of_line.expect("many lines") + 1;
    let (mut mail, mut exim) = (Text::new(mail), Text::new(exim));
    let mut rotated = false;
    while !(mail.is_written() && exim.is_written()) {
        let share = (steps.load(Ordering::Relaxed) + 1) as f64 / (kills + 1) as f64;
        let size = 1 + random.below(16 << 10) as usize;
        if mail.done < half {
            site.append("mail.log", mail.piece(size.min(half - mail.done), share));
        } else {
            if !rotated {
                site.rename("mail.log", "mail.log.1");
                rotated = true;
            }
            site.append("mail.log", mail.piece(size, share));
        }
        site.append("mainlog", exim.piece(size / 2, share));
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// What is written, and how much of it.
struct Text<'a> {
    bytes: &'a [u8],
    done: usize,
}

impl<'a> Text<'a> {
    fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), done: 0 }
    }

    fn is_written(&self) -> bool {
        self.done == self.bytes.len()
    }

    /// The next `size` bytes, but not beyond this share of all.
    fn piece(&mut self, size: usize, share: f64) -> &'a [u8] {
        let limit = ((self.bytes.len() as f64 * share) as usize).min(self.bytes.len());
        let end = (self.done + size).min(limit).max(self.done);
        let piece = &self.bytes[self.done..end];
        self.done = end;
        piece
    }
}

fn assert_same(expected: &str, found: &str, seed: u64) {
    if expected == found {
        return;
    }
    let lines = |text: &'_ str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (expected, found) = (lines(expected), lines(found));
    let some = |set: &BTreeSet<String>, other: &BTreeSet<String>| {
        let only: Vec<_> = set.difference(other).cloned().collect();
        format!(
            "{}, such as\n{}",
            only.len(),
            only.iter().take(3).cloned().collect::<Vec<_>>().join("\n")
        )
    };
    panic!(
        "seed {seed}: only undisturbed: {}\nonly killed: {}",
        some(&expected, &found),
        some(&found, &expected)
    );
}

/// All files of a folder: dated pieces of two logs, of which some are packed meanwhile.
#[test]
fn killed_over_many_files() {
    let kills = number("HELOSTAT_KILLS", 20);
    let lines = number("HELOSTAT_KILL_LINES", 60_000) / 2;
    let seed = number("HELOSTAT_KILL_SEED", 1) as u64;
    let (mail, exim) = (long_postfix(lines * 2 / 3), long_exim(lines / 3));
    let site = || {
        let site = Site::following(&["logs/*"]);
        std::fs::create_dir(site.path("logs")).expect("a folder");
        site
    };
    let undisturbed = {
        let site = site();
        write_dated(&site, &mail, &exim, 0, seed, &AtomicUsize::new(0));
        let daemon = site.start();
        daemon.wait_caught_up(&["*"]);
        daemon.stop();
        site.dump()
    };
    assert!(undisturbed.lines().count() > 1000, "the logs have something to teach");

    let site = site();
    let steps = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_dated(&site, &mail, &exim, kills, seed, &steps));
        let mut random = Random(seed);
        for kill in 1..=kills {
            let daemon = site.launch();
            if random.below(4) > 0 {
                daemon.wait_said("helostat answers");
            }
            steps.store(kill, Ordering::Relaxed);
            let latest = random.below(400) + 1;
            std::thread::sleep(Duration::from_millis(random.below(latest)));
            daemon.kill();
        }
        steps.store(kills + 1, Ordering::Relaxed);
        writer.join().expect("all is written");
    });
    let daemon = site.start();
    daemon.wait_caught_up(&["*"]);
    daemon.stop();
    assert_same(&undisturbed, &site.dump(), seed);
}

/// Writes both logs in pieces that end anywhere, into files of which each goes on where the one before ended.
fn write_dated(site: &Site, mail: &str, exim: &str, kills: usize, seed: u64, steps: &AtomicUsize) {
    const FILES: usize = 9;
    let mut random = Random(seed ^ 0xDA7E);
    let mut texts = [("mail.log", Text::new(mail)), ("mainlog", Text::new(exim))];
    let mut written = [1; 2];
    while texts.iter().any(|(_, text)| !text.is_written()) {
        let share = (steps.load(Ordering::Relaxed) + 1) as f64 / (kills + 1) as f64;
        for ((log, text), file) in texts.iter_mut().zip(&mut written) {
            let limit = text.bytes.len() * *file / FILES;
            let name = |file: usize| format!("logs/{log}-202611{file:02}");
            if text.done > limit && text.bytes.get(text.done - 1) == Some(&b'\n') {
                *file += 1;
                if *file > 3 {
                    pack(site, &name(*file - 3));
                }
            }
            let size = 1 + random.below(16 << 10) as usize;
            let whole = text.bytes.get(text.done..).unwrap_or_default();
            // Beyond its share a file gets the rest of a line.
            let over = whole.iter().position(|octet| *octet == b'\n').map_or(0, |feed| feed + 1);
            let most = if text.done > limit { over } else { size };
            site.append(&name(*file), text.piece(most, share));
        }
        if kills > 0 {
            std::thread::sleep(Duration::from_micros(500));
        }
    }
}

/// Packs a file beside itself, and takes it away.
fn pack(site: &Site, name: &str) {
    let Ok(content) = std::fs::read(site.path(name)) else { return };
    let modified = std::fs::metadata(site.path(name)).and_then(|metadata| metadata.modified());
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&content).expect("memory takes everything");
    let packed = format!("{name}.gz");
    site.write(&packed, packer.finish().expect("memory takes everything"));
    let file = std::fs::File::options().write(true).open(site.path(&packed)).expect("opened");
    file.set_modified(modified.expect("a time")).expect("set");
    std::fs::remove_file(site.path(name)).expect("removed");
}

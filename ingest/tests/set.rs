//! Following all files that match a pattern, as they appear, grow, are rotated, packed, vanish and come back.
//!
//! `Reader` is a caller in small: what it has of lines becomes final together with the positions of all files they came
//! from, and a crash takes everything since. The law everywhere: each line is final exactly once.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use helostat_ingest::source::{Position, Positions, Set, SourceTrouble, Step, set};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tempfile::TempDir;

#[derive(Default)]
struct Store {
    stored: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Of the batch that is not committed yet.
    waiting: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Store {
    fn wait(&self, id: &str, position: Position) {
        self.waiting.lock().expect("whole").insert(id.to_owned(), position.to_bytes());
    }
}

impl Positions for Store {
    fn find(&self, fingerprint: &str) -> Vec<(String, Vec<u8>)> {
        let mut all = self.stored.lock().expect("whole").clone();
        all.extend(self.waiting.lock().expect("whole").clone());
        all.retain(|id, _| id.split('#').next() == Some(fingerprint));
        all.into_iter().collect()
    }
}

struct Reader<'a> {
    store: &'a Store,
    set: Set,
    lines: Vec<String>,
    troubles: Vec<SourceTrouble>,
    turns: usize,
}

impl<'a> Reader<'a> {
    fn new(pattern: &Path, store: &'a Store) -> Self {
        store.waiting.lock().expect("whole").clear();
        let set = Set::new(pattern.to_path_buf());
        Self { store, set, lines: Vec::new(), troubles: Vec::new(), turns: 0 }
    }

    /// One step; whether it brought anything.
    fn step(&mut self) -> bool {
        match self.set.next(self.store) {
            Step::Line(line) => self.lines.push(String::from_utf8_lossy(line.bytes).into_owned()),
            Step::NewSource => assert_eq!((self.set.previous_id(), self.turns), (None, 0)),
            Step::OtherFile => {
                self.turns += 1;
                let (id, position) = (self.set.previous_id(), self.set.previous_position());
                self.store.wait(id.expect("there was one"), position.expect("there was one"));
            }
            Step::Trouble(trouble) => self.troubles.push(trouble),
            Step::Idle => return false,
            step @ (Step::NewSender | Step::End) => panic!("files never say {step:?}"),
        }
        true
    }

    fn commit(&mut self, done: &mut Vec<String>) {
        let Some(id) = self.set.id() else { return };
        self.store.wait(id, self.set.position());
        self.store
            .stored
            .lock()
            .expect("whole")
            .append(&mut self.store.waiting.lock().expect("whole"));
        done.append(&mut self.lines);
    }

    /// Reads until nothing has come for longer than names are listed, and commits.
    fn drain(&mut self, done: &mut Vec<String>) {
        let mut quiet = Instant::now();
        while quiet.elapsed() < Duration::from_millis(1_150) {
            if self.step() {
                quiet = Instant::now();
            } else {
                std::thread::sleep(Duration::from_millis(3));
            }
        }
        self.commit(done);
    }
}

struct Scene {
    folder: TempDir,
    pattern: PathBuf,
    store: Store,
}

impl Scene {
    fn new(pattern: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pattern = folder.path().join(pattern);
        Self { folder, pattern, store: Store::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let mut file = OpenOptions::new().append(true).create(true).open(path).expect("opened");
        file.write_all(content.as_ref()).expect("appended");
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).expect("renamed");
    }

    /// Packs a file as gzip does: the packed one has the time of the plain one.
    fn gzip(&self, name: &str) {
        let content = std::fs::read(self.path(name)).expect("read");
        let modified = std::fs::metadata(self.path(name)).and_then(|it| it.modified());
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(&content).expect("packed");
        let packed = self.path(&format!("{name}.gz"));
        std::fs::write(&packed, packer.finish().expect("packed")).expect("written");
        let file = File::options().write(true).open(&packed).expect("opened");
        file.set_modified(modified.expect("a time")).expect("set");
        std::fs::remove_file(self.path(name)).expect("removed");
    }

    /// As if it had been written to long ago.
    fn age(&self, name: &str, hours: u64) {
        let then = SystemTime::now() - Duration::from_secs(hours * 3600);
        let file = File::options().append(true).open(self.path(name)).expect("opened");
        file.set_modified(then).expect("set");
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.pattern, &self.store)
    }

    fn restart(&self) -> Vec<String> {
        let mut done = Vec::new();
        self.reader().drain(&mut done);
        done
    }
}

fn numbered(log: &str, range: std::ops::Range<usize>) -> String {
    range.map(|number| format!("{log} line {number}\n")).collect()
}

fn as_lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn dated_names_come_and_go() {
    let scene = Scene::new("mainlog-*");
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    reader.drain(&mut done);
    assert_eq!(reader.troubles, [SourceTrouble::NoMatch { path: scene.pattern.clone() }]);
    scene.append("mainlog-20261119", numbered("b", 0..5));
    scene.age("mainlog-20261119", 24);
    scene.append("mainlog-20261118", numbered("a", 0..5));
    scene.age("mainlog-20261118", 48);
    scene.append("mainlog-20261120", numbered("c", 0..5));
    reader.drain(&mut done);
    let expected = [numbered("a", 0..5), numbered("b", 0..5), numbered("c", 0..5)].concat();
    assert_eq!(done, as_lines(&expected), "the oldest first");
    assert_eq!(reader.set.lag_bytes(), 0);
    // An old one grows again, one is packed, one is gone, one is new.
    done.clear();
    scene.append("mainlog-20261118", numbered("a", 5..7));
    scene.gzip("mainlog-20261119");
    scene.append("mainlog-20261121", "d line 0\nd li");
    reader.drain(&mut done);
    done.sort();
    assert_eq!(done, as_lines(&(numbered("a", 5..7) + "d line 0\n")));
    assert_eq!(reader.set.lag_bytes(), 4, "the beginning of a line waits");
    scene.append("mainlog-20261121", "ne 1\n");
    std::fs::rename(scene.path("mainlog-20261120"), scene.path("elsewhere")).expect("renamed");
    done.clear();
    reader.drain(&mut done);
    assert_eq!(done, ["d line 1"]);
    assert_eq!(scene.restart(), NOTHING);
    scene.rename("elsewhere", "mainlog-20261120");
    scene.append("mainlog-20261120", numbered("c", 5..6));
    assert_eq!(scene.restart(), ["c line 5"], "it comes back after hours");
    assert_eq!(scene.restart(), NOTHING);
    assert_eq!(scene.store.stored.lock().expect("whole").len(), 4);
}

#[test]
fn rotations_that_match_are_files_of_the_set() {
    let scene = Scene::new("*/mail.log*");
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    for host in ["a", "b"] {
        scene.append(&format!("{host}/mail.log"), numbered(host, 0..10));
    }
    reader.drain(&mut done);
    assert_eq!(done.len(), 20);
    done.clear();
    // Lines that come between the last look and the rename, and to the old file after it.
    let mut late = OpenOptions::new().append(true).open(scene.path("a/mail.log")).expect("opened");
    scene.append("a/mail.log", numbered("a", 10..12));
    scene.rename("a/mail.log", "a/mail.log.1");
    late.write_all(numbered("a", 12..14).as_bytes()).expect("written");
    scene.append("a/mail.log", numbered("a", 14..16));
    // Copied and truncated.
    scene.append("b/mail.log", numbered("b", 10..12));
    std::fs::copy(scene.path("b/mail.log"), scene.path("b/mail.log.1")).expect("copied");
    OpenOptions::new().write(true).truncate(true).open(scene.path("b/mail.log")).expect("cut");
    scene.append("b/mail.log", numbered("b", 12..40));
    reader.drain(&mut done);
    done.sort();
    let mut expected = as_lines(&(numbered("a", 10..16) + &numbered("b", 10..40)));
    expected.sort();
    assert_eq!(done, expected);
    // Down over two rotations.
    drop(reader);
    scene.append("a/mail.log", numbered("a", 16..18));
    scene.rename("a/mail.log.1", "a/mail.log.3");
    scene.gzip("a/mail.log.3");
    scene.rename("a/mail.log", "a/mail.log.2");
    scene.append("a/mail.log.1", numbered("a", 18..20));
    scene.append("a/mail.log", numbered("a", 20..22));
    let mut read = scene.restart();
    read.sort();
    assert_eq!(read, as_lines(&numbered("a", 16..22)));
    assert_eq!(scene.restart(), NOTHING);
}

#[test]
fn files_that_grow_take_turns() {
    let scene = Scene::new("*.log");
    let logs: Vec<String> = (0..40).map(|number| format!("{number:02}.log")).collect();
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    for log in &logs {
        scene.append(log, numbered(log, 0..2));
    }
    reader.drain(&mut done);
    assert_eq!(done.len(), 80);
    for round in 1..20 {
        for log in &logs {
            scene.append(log, numbered(log, round * 2..round * 2 + 2));
        }
        let until = Instant::now() + Duration::from_millis(50);
        while Instant::now() < until {
            reader.step();
        }
        assert!(reader.set.open_files() <= set::OPEN);
    }
    reader.drain(&mut done);
    for log in &logs {
        let of_log: Vec<_> = done.iter().filter(|line| line.starts_with(log.as_str())).collect();
        assert_eq!(of_log.len(), 40, "{log}");
        assert!(of_log.iter().zip(as_lines(&numbered(log, 0..40))).all(|(a, b)| **a == b), "{log}");
    }
    assert!(reader.turns > 100, "{} turns", reader.turns);
    assert_eq!(scene.restart(), NOTHING);
}

#[test]
fn the_same_first_line_in_every_file() {
    let scene = Scene::new("RECV*.LOG");
    let head = "#Software: Microsoft Exchange Server\n#Version: 15.0.0.0\n";
    for hour in 0..3 {
        scene.append(
            &format!("RECV202611200{hour}-1.LOG"),
            head.to_owned() + &numbered("h", hour..hour + 2),
        );
    }
    for log in ["y", "z"] {
        scene.append(&format!("RECV{log}.LOG"), numbered("x", 0..1) + &numbered(log, 0..1));
    }
    let read = scene.restart();
    assert_eq!(read.len(), 3 * 4 + 2 * 2, "{read:?}");
    assert_eq!(scene.restart(), NOTHING);
    assert_eq!(scene.store.stored.lock().expect("whole").len(), 5);
}

#[test]
fn a_file_that_cannot_be_read_does_not_stop_the_others() {
    let scene = Scene::new("*.log*");
    scene.append("a.log", numbered("a", 0..2));
    scene.append("b.log.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff");
    scene.age("b.log.gz", 1);
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    reader.drain(&mut done);
    scene.append("a.log", numbered("a", 2..3));
    reader.drain(&mut done);
    assert_eq!(done, as_lines(&numbered("a", 0..3)));
    assert!(
        matches!(reader.troubles.as_slice(), [SourceTrouble::Damaged { path, .. }] if path.ends_with("b.log.gz")),
        "{:?}",
        reader.troubles
    );
}

#[test]
fn rewritten_in_place() {
    let scene = Scene::new("*.log");
    scene.append("a.log", numbered("a", 0..20));
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    reader.drain(&mut done);
    done.clear();
    // As long as before.
    std::fs::write(scene.path("a.log"), numbered("b", 0..20)).expect("written");
    reader.drain(&mut done);
    assert_eq!(done, as_lines(&numbered("b", 0..20)));
}

/// A writer in a thread of its own rotates hundreds of times, as fast as it can, and packs what it has left.
#[test]
fn nothing_is_lost_or_doubled_under_a_writer() {
    const ROTATIONS: usize = 300;
    let scene = Scene::new("mail.log*");
    let (written, done) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0;
            for rotation in 0..ROTATIONS {
                let path = scene.path("mail.log");
                let mut file =
                    OpenOptions::new().append(true).create(true).open(path).expect("opened");
                for _ in 0..1 + rotation * 7 % 40 {
                    let line = format!("line {number} {}\n", "x".repeat(number % 300));
                    let (begin, rest) = line.split_at(number % line.len());
                    file.write_all(begin.as_bytes()).expect("written");
                    file.write_all(rest.as_bytes()).expect("written");
                    number += 1;
                }
                scene.rename("mail.log", &format!("mail.log-{rotation:08}"));
                // The old file is written to until the writer reopens.
                writeln!(file, "line {number} after").expect("written");
                number += 1;
                if rotation > 5 && rotation % 4 > 0 {
                    scene.gzip(&format!("mail.log-{:08}", rotation - 5));
                }
                let pause = u64::try_from(rotation % 11).unwrap_or_default();
                std::thread::sleep(Duration::from_millis(pause));
            }
            scene.append("mail.log", "the last line\n");
            number
        });
        let (mut reader, mut done) = (scene.reader(), Vec::new());
        let begun = Instant::now();
        let mut steps = 0_usize;
        while !writer.is_finished() {
            if !reader.step() {
                std::thread::sleep(Duration::from_millis(1));
            }
            steps += 1;
            // Stop and resume, now and then without having committed.
            if steps.is_multiple_of(997) {
                if steps.is_multiple_of(2) {
                    reader.commit(&mut done);
                }
                reader = scene.reader();
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "stuck");
        }
        reader.commit(&mut done);
        reader = scene.reader();
        reader.drain(&mut done);
        (writer.join().expect("the writer is well"), done)
    });
    let mut numbers: Vec<usize> = done
        .iter()
        .filter_map(|line| line.strip_prefix("line ")?.split(' ').next()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..written).collect::<Vec<_>>());
    assert_eq!(done.len(), written + 1);
}

/// What happens to the files of a set.
#[derive(Clone, Debug)]
enum Event {
    Lines(usize, usize),
    Part(usize),
    Rotate(usize),
    CopyTruncate(usize),
    Pack(usize),
    Away(usize),
    Back(usize),
    Steps(usize),
    Listing,
    Commit,
    Crash,
}

fn event() -> impl Strategy<Value = Event> {
    let log = 0_usize..3;
    prop_oneof![
        6 => (log.clone(), 1_usize..20).prop_map(|(log, count)| Event::Lines(log, count)),
        1 => log.clone().prop_map(Event::Part),
        2 => log.clone().prop_map(Event::Rotate),
        1 => log.clone().prop_map(Event::CopyTruncate),
        1 => log.clone().prop_map(Event::Pack),
        1 => log.clone().prop_map(Event::Away),
        1 => log.prop_map(Event::Back),
        5 => (1_usize..40).prop_map(Event::Steps),
        1 => Just(Event::Listing),
        2 => Just(Event::Commit),
        2 => Just(Event::Crash),
    ]
}

/// Three logs, each with its rotations, and what was written to them.
struct Host<'a> {
    scene: &'a Scene,
    parts: [Option<String>; 3],
    written: Vec<String>,
    rotations: usize,
    reader: Reader<'a>,
    done: Vec<String>,
}

impl Host<'_> {
    fn line(&mut self, log: usize) -> String {
        let number = self.written.len();
        self.written.push(format!("line {number} of {log} {}", "y".repeat(number % 90)));
        self.written[number].clone()
    }

    fn lines(&mut self, log: usize, count: usize) {
        let mut text = self.parts[log].take().map_or_else(String::new, |rest| rest + "\n");
        for _ in 0..count {
            text += &(self.line(log) + "\n");
        }
        self.scene.append(&format!("{log}.log"), text);
    }

    fn happens(&mut self, event: &Event) {
        let exists = |log: &usize| self.scene.path(&format!("{log}.log")).exists();
        match event {
            Event::Lines(log, count) => self.lines(*log, *count),
            Event::Part(log) if self.parts[*log].is_none() => {
                let line = self.line(*log);
                let (begin, rest) = line.split_at(5);
                self.scene.append(&format!("{log}.log"), begin);
                self.parts[*log] = Some(rest.to_owned());
            }
            Event::Rotate(log) if exists(log) => {
                self.lines(*log, 1);
                self.rotations += 1;
                let to = format!("{log}.log-{:08}", self.rotations);
                self.scene.rename(&format!("{log}.log"), &to);
            }
            Event::CopyTruncate(log) if exists(log) => {
                self.lines(*log, 1);
                self.rotations += 1;
                let (from, to) = (format!("{log}.log"), format!("{log}.log-{:08}", self.rotations));
                std::fs::copy(self.scene.path(&from), self.scene.path(&to)).expect("copied");
                File::options()
                    .write(true)
                    .truncate(true)
                    .open(self.scene.path(&from))
                    .expect("cut");
            }
            Event::Pack(log) => {
                for rotation in 1..=self.rotations {
                    let name = format!("{log}.log-{rotation:08}");
                    if self.scene.path(&name).exists() {
                        self.scene.gzip(&name);
                    }
                }
            }
            // What is not open when it goes away can be read only when it is back.
            Event::Away(log) if exists(log) && !self.scene.path(&format!("away{log}")).exists() => {
                self.lines(*log, 1);
                self.scene.rename(&format!("{log}.log"), &format!("away{log}"));
            }
            Event::Back(log) if self.scene.path(&format!("away{log}")).exists() => {
                self.rotations += 1;
                let to = format!("{log}.log-{:08}", self.rotations);
                self.scene.rename(&format!("away{log}"), &to);
            }
            Event::Steps(count) => {
                for _ in 0..*count {
                    self.reader.step();
                }
            }
            Event::Listing => self.listing(),
            Event::Commit => self.reader.commit(&mut self.done),
            Event::Crash => self.reader = self.scene.reader(),
            _ => {}
        }
    }

    /// Steps until names have been listed again.
    fn listing(&mut self) {
        let until = Instant::now() + Duration::from_millis(1_010);
        while Instant::now() < until {
            if !self.reader.step() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn run(events: &[Event]) -> (Vec<String>, Vec<String>) {
    let scene = Scene::new("*.log*");
    let reader = scene.reader();
    let mut host = Host {
        scene: &scene,
        parts: Default::default(),
        written: Vec::new(),
        rotations: 0,
        reader,
        done: Vec::new(),
    };
    for log in 0..3 {
        host.lines(log, 1);
    }
    for event in events {
        host.happens(event);
    }
    for log in 0..3 {
        host.lines(log, 1);
        host.happens(&Event::Back(log));
    }
    // Copies are left alone while they may still be in the making.
    for name in std::fs::read_dir(scene.folder.path()).expect("listed") {
        let name = name.expect("a file").file_name().into_string().expect("text");
        if name.contains('-') {
            scene.age(&name, 1);
        }
    }
    host.reader = scene.reader();
    host.reader.drain(&mut host.done);
    (host.written, host.done)
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: number_of("HELOSTAT_CASES").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(12),
        rng_seed: RngSeed::Fixed(number_of("HELOSTAT_SEED").unwrap_or(20_261_127)),
        max_shrink_iters: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn each_line_exactly_once(events in prop::collection::vec(event(), 0..40)) {
        let (written, mut done) = run(&events);
        let number = |line: &String| {
            line.split(' ').nth(1).and_then(|number| number.parse::<usize>().ok())
        };
        done.sort_by_key(number);
        prop_assert_eq!(done, written);
    }
}

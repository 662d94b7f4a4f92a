//! Following and reading logs as they are rotated, truncated, compressed, lost and found again.
//!
//! `Reader` is a caller in small: what it has of lines becomes final together with the position, and a
//! crash takes everything since. The law everywhere: each line is final exactly once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use helostat_ingest::source::{
    Follow, History, LINE_BYTES, Position, Positions, SourceTrouble, Step,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tempfile::TempDir;

#[derive(Default)]
struct Store(RefCell<BTreeMap<String, Vec<u8>>>);

impl Store {
    fn put(&self, id: &str, position: Position) {
        self.0.borrow_mut().insert(id.to_owned(), position.to_bytes());
    }

    fn ids(&self) -> Vec<String> {
        self.0.borrow().keys().cloned().collect()
    }
}

impl Positions for Store {
    fn find(&self, fingerprint: &str) -> Vec<(String, Vec<u8>)> {
        let stored = self.0.borrow();
        let of = |id: &str| id.split('#').next() == Some(fingerprint);
        stored.iter().filter(|(id, _)| of(id)).map(|(id, at)| (id.clone(), at.clone())).collect()
    }
}

struct Reader<'a> {
    store: &'a Store,
    follow: Follow,
    lines: Vec<String>,
    troubles: Vec<SourceTrouble>,
    sources: usize,
}

impl<'a> Reader<'a> {
    fn new(path: &Path, store: &'a Store) -> Self {
        let follow = Follow::new(path.to_path_buf());
        Self { store, follow, lines: Vec::new(), troubles: Vec::new(), sources: 0 }
    }

    /// One step; whether it brought anything.
    fn step(&mut self, done: &mut Vec<String>) -> bool {
        match self.follow.next(self.store) {
            Step::Line(line) => {
                assert!(!line.too_long);
                self.lines.push(String::from_utf8_lossy(line.bytes).into_owned());
            }
            Step::NewSource => {
                self.sources += 1;
                if let (Some(id), Some(position)) =
                    (self.follow.previous_id(), self.follow.previous_position())
                {
                    self.store.put(id, position);
                    done.append(&mut self.lines);
                }
                assert!(self.lines.is_empty(), "lines before the first source");
            }
            Step::Trouble(trouble) => self.troubles.push(trouble),
            Step::Idle => return false,
            step => panic!("{step:?} of one followed log"),
        }
        true
    }

    fn commit(&mut self, done: &mut Vec<String>) {
        if let Some(id) = self.follow.id() {
            self.store.put(id, self.follow.position());
            done.append(&mut self.lines);
        }
    }

    /// Reads until nothing has come for a while, and commits.
    fn drain(&mut self, done: &mut Vec<String>) {
        let mut quiet = 0;
        while quiet < 3 {
            quiet = if self.step(done) { 0 } else { quiet + 1 };
            if quiet > 0 {
                self.follow.wait(Duration::from_millis(6));
            }
        }
        self.commit(done);
    }
}

struct Scene {
    folder: TempDir,
    log: PathBuf,
    store: Store,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("mail.log");
        Self { folder, log, store: Store::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("written");
    }

    fn append(&self, content: impl AsRef<[u8]>) {
        appender(&self.log).write_all(content.as_ref()).expect("appended");
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).expect("renamed");
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.log, &self.store)
    }

    /// A new reader's lines, as after a restart.
    fn restart(&self) -> Vec<String> {
        let mut done = Vec::new();
        self.reader().drain(&mut done);
        done
    }

    fn open(&self, name: &str) -> History {
        History::open(&self.path(name)).expect("opened")
    }

    /// All lines of a finished file, which are stored as read.
    fn history(&self, name: &str) -> Vec<String> {
        let (lines, outcome) = finish(&mut self.open(name), &self.store);
        assert_eq!(outcome, Ok(()), "{name}");
        lines
    }
}

fn appender(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).expect("opened to append")
}

/// Reads to the end or an error, and stores the position.
fn finish(history: &mut History, store: &Store) -> (Vec<String>, Result<(), SourceTrouble>) {
    let mut lines = Vec::new();
    let outcome = loop {
        match history.next(store) {
            Ok(Step::Line(line)) => lines.push(String::from_utf8_lossy(line.bytes).into_owned()),
            Ok(Step::NewSource) => assert!(lines.is_empty()),
            Ok(Step::End) => break Ok(()),
            Ok(step) => panic!("{step:?} of a finished log"),
            Err(trouble) => break Err(trouble),
        }
    };
    if let Some(id) = history.id() {
        store.put(id, history.position());
    }
    (lines, outcome)
}

fn gzip(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(content.as_ref()).expect("packed");
    packer.finish().expect("packed")
}

fn xz(content: impl AsRef<[u8]>) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut packer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("an xz stream");
    packer.write_all(content.as_ref()).expect("packed");
    packer.finish().expect("packed")
}

fn zstd(content: impl AsRef<[u8]>) -> Vec<u8> {
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    ruzstd::encoding::compress_to_vec(content.as_ref(), level)
}

type Pack = fn(&[u8]) -> Vec<u8>;

/// Each way to pack.
const PACKS: [(&str, Pack); 3] =
    [("gz", |text| gzip(text)), ("xz", |text| xz(text)), ("zst", |text| zstd(text))];

fn numbered(range: std::ops::Range<usize>) -> String {
    range.map(|number| format!("line {number} of this log\n")).collect()
}

fn as_lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn follows_a_log_that_is_not_there_yet() {
    let scene = Scene::new();
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    reader.drain(&mut done);
    assert_eq!(reader.troubles, [SourceTrouble::NotFound { path: scene.log.clone() }]);
    assert_eq!((reader.follow.id(), reader.follow.lag_bytes()), (None, 0));
    scene.append("");
    reader.drain(&mut done);
    assert_eq!((done.len(), reader.troubles.len()), (0, 1));
    scene.append("one\ntwo\r\nthr");
    reader.drain(&mut done);
    assert_eq!(done, ["one", "two"]);
    assert_eq!(reader.follow.lag_bytes(), 3);
    assert!(reader.follow.modified().is_some());
    assert!(!reader.follow.resumed());
    assert_eq!(reader.follow.stored_id(), None);
    assert_eq!(reader.follow.position().offset, 9);
    let mut again = scene.reader();
    again.drain(&mut done);
    assert_eq!(again.follow.stored_id(), reader.follow.id());
}

#[test]
fn partial_lines_wait_for_their_end() {
    let scene = Scene::new();
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    let mut complete = 0;
    for (at, byte) in b"first\n\nthird line\r\n\0\0fourth\nfi".iter().enumerate() {
        scene.append([*byte]);
        complete += usize::from(*byte == b'\n');
        while reader.step(&mut done) {}
        reader.commit(&mut done);
        assert_eq!(done.len(), complete, "after byte {at}");
    }
    assert_eq!(done, ["first", "", "third line", "fourth"]);
}

#[test]
fn rename_and_create() {
    let scene = Scene::new();
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    let mut old = appender(&scene.log);
    old.write_all(numbered(0..3).as_bytes()).expect("written");
    reader.drain(&mut done);
    let first = reader.follow.id().map(str::to_owned);
    scene.rename("mail.log", "mail.log.1");
    scene.append("");
    old.write_all(numbered(3..5).as_bytes()).expect("written");
    reader.drain(&mut done);
    assert_eq!(reader.follow.id(), first.as_deref(), "an empty new file is nothing to go to");
    scene.append(numbered(5..8));
    reader.drain(&mut done);
    assert_ne!(reader.follow.id(), first.as_deref());
    assert_eq!(reader.follow.previous_id(), first.as_deref());
    // A process that was not told of the rotation, or late.
    old.write_all(numbered(8..10).as_bytes()).expect("written");
    reader.drain(&mut done);
    scene.append(numbered(10..12));
    reader.drain(&mut done);
    assert_eq!(done, as_lines(&numbered(0..12)));
    assert_eq!(reader.troubles, []);
    assert_eq!(scene.restart(), NOTHING);
}

#[test]
fn copytruncate() {
    let scene = Scene::new();
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    let truncate = || {
        OpenOptions::new().write(true).truncate(true).open(&scene.log).expect("truncated");
    };
    scene.append(numbered(0..100));
    reader.drain(&mut done);
    let first = reader.follow.id().map(str::to_owned);
    // Two lines that only the copy still has.
    scene.append(numbered(100..102));
    std::fs::copy(&scene.log, scene.path("mail.log.1")).expect("copied");
    truncate();
    scene.append(numbered(102..103));
    reader.drain(&mut done);
    assert_ne!(reader.follow.id(), first.as_deref());
    assert_eq!(reader.sources, 2);
    // Truncated and grown beyond the place before anybody looks.
    scene.rename("mail.log.1", "mail.log.2");
    std::fs::copy(&scene.log, scene.path("mail.log.1")).expect("copied");
    truncate();
    scene.append(numbered(103..400));
    reader.drain(&mut done);
    // A writer without O_APPEND leaves a hole.
    truncate();
    let mut hole = OpenOptions::new().write(true).open(&scene.log).expect("opened");
    hole.seek(SeekFrom::Start(1_000_000)).expect("gone ahead");
    hole.write_all(numbered(400..402).as_bytes()).expect("written");
    reader.drain(&mut done);
    assert_eq!(done, as_lines(&numbered(0..402)));
    assert_eq!(scene.restart(), NOTHING);
}

#[test]
fn rewritten_in_place() {
    let scene = Scene::new();
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    scene.append(numbered(10..50));
    reader.drain(&mut done);
    scene.write("mail.log", numbered(50..90));
    reader.drain(&mut done);
    assert_eq!(done, as_lines(&numbered(10..90)));
}

#[test]
fn what_waits_is_counted_over_all_files() {
    let scene = Scene::new();
    scene.append(numbered(0..2));
    assert_eq!(scene.restart().len(), 2);
    scene.append(numbered(2..10));
    scene.rename("mail.log", "mail.log.2");
    scene.write("mail.log.1", numbered(10..1_000));
    scene.write("mail.log", numbered(1_000..2_000));
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    while reader.lines.is_empty() {
        reader.step(&mut done);
    }
    let waits = numbered(3..2_000).len();
    assert_eq!(reader.follow.lag_bytes(), u64::try_from(waits).expect("a length"));
    reader.drain(&mut done);
    assert_eq!(reader.follow.lag_bytes(), 0);
}

#[test]
fn gone_and_back() {
    let scene = Scene::new();
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    scene.append(numbered(0..3));
    reader.drain(&mut done);
    scene.rename("mail.log", "elsewhere");
    reader.drain(&mut done);
    assert_eq!(reader.troubles, [], "a short gap is not worth a word");
    std::thread::sleep(Duration::from_millis(1_000));
    reader.drain(&mut done);
    assert_eq!(reader.troubles, [SourceTrouble::NotFound { path: scene.log.clone() }]);
    scene.rename("elsewhere", "mail.log");
    scene.append(numbered(3..4));
    reader.drain(&mut done);
    assert_eq!(reader.sources, 1);
    std::fs::remove_file(&scene.log).expect("removed");
    reader.drain(&mut done);
    scene.append(numbered(4..6));
    reader.drain(&mut done);
    assert_eq!(done, as_lines(&numbered(0..6)));
    std::fs::remove_file(&scene.log).expect("removed");
    std::fs::create_dir(&scene.log).expect("a directory");
    reader.drain(&mut done);
    assert_eq!(reader.troubles.len(), 2);
    let text = reader.troubles.last().map(ToString::to_string).unwrap_or_default();
    assert!(text.ends_with("mail.log is a directory, not a log file"), "{text}");
    std::fs::remove_dir(&scene.log).expect("removed");
    scene.append(numbered(6..8));
    reader.drain(&mut done);
    assert_eq!(done, as_lines(&numbered(0..8)));
}

#[test]
fn down_over_rotations() {
    for packed in ["none", "mail.log.3", "mail.log.2 mail.log.3"] {
        let scene = Scene::new();
        scene.append(numbered(0..10));
        assert_eq!(scene.restart().len(), 10);
        scene.append(numbered(10..12));
        scene.rename("mail.log", "mail.log.3");
        scene.write("mail.log.2", numbered(12..20));
        scene.write("mail.log.1", numbered(20..30));
        scene.write("mail.log", numbered(30..40));
        scene.write("mail.log.4", "older than anything we know\n");
        scene.write("mail.log.copy", "no rotation\n");
        for name in packed.split(' ').filter(|name| *name != "none") {
            let content = std::fs::read(scene.path(name)).expect("read");
            scene.write(&format!("{name}.gz"), gzip(content));
            std::fs::remove_file(scene.path(name)).expect("removed");
        }
        assert_eq!(scene.restart(), as_lines(&numbered(10..40)), "packed: {packed}");
        assert_eq!(scene.restart(), NOTHING, "packed: {packed}");
    }
}

#[test]
fn a_first_start_reads_only_the_log_itself() {
    let scene = Scene::new();
    scene.write("mail.log.1", numbered(0..5));
    scene.write("mail.log.2.gz", gzip(numbered(5..9)));
    scene.append(numbered(9..12));
    assert_eq!(scene.restart(), as_lines(&numbered(9..12)));
    assert_eq!(scene.restart(), NOTHING);
}

#[test]
fn a_damaged_sibling_does_not_stop_the_log() {
    let scene = Scene::new();
    scene.append(numbered(0..10));
    assert_eq!(scene.restart().len(), 10);
    let whole = gzip(numbered(0..20));
    scene.write("mail.log.1.gz", &whole[..whole.len() - 9]);
    scene.write("mail.log", numbered(20..30));
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    reader.drain(&mut done);
    assert!(
        matches!(reader.troubles.as_slice(), [SourceTrouble::Damaged { path, .. }]
            if path.ends_with("mail.log.1.gz")),
        "{:?}",
        reader.troubles
    );
    // What could be unpacked of lines 10 to 20 has come, each once, and the log itself.
    let (before, log) = done.split_at(done.len() - 10);
    assert_eq!(log, as_lines(&numbered(20..30)));
    assert_eq!(before, as_lines(&numbered(10..10 + before.len())));
    scene.write("mail.log.1.gz", &whole);
    assert_eq!(scene.restart(), as_lines(&numbered(10 + before.len()..20)));
}

#[test]
fn one_content_is_one_source() {
    let scene = Scene::new();
    let text = numbered(0..5_000);
    scene.write("mail.log", &text);
    let mut history = scene.open("mail.log");
    let mut first = 0;
    while first < 100 {
        if let Step::Line(_) = history.next(&scene.store).expect("read") {
            first += 1;
        }
    }
    scene.store.put(history.id().expect("named"), history.position());
    let (half, rest) = text.split_at(text.len() / 2);
    scene.write("mail.log.2.gz", [gzip(half), gzip(rest)].concat());
    let mut packed = scene.open("mail.log.2.gz");
    assert_eq!(packed.next(&scene.store), Ok(Step::NewSource));
    assert!(packed.resumed());
    assert_eq!(packed.id(), history.id());
    assert_eq!(packed.skipped_bytes(), history.position().offset);
    assert_eq!(finish(&mut packed, &scene.store).0, as_lines(&numbered(100..5_000)));
    for name in ["mail.log", "mail.log.2.gz"] {
        assert_eq!(scene.history(name), NOTHING, "{name}");
    }
    scene.append(numbered(5_000..5_003));
    assert_eq!(scene.restart(), as_lines(&numbered(5_000..5_003)));
    assert_eq!(scene.store.ids().len(), 1);
}

#[test]
fn the_same_first_line_is_not_the_same_source() {
    let scene = Scene::new();
    let header = "log file created\n".to_owned();
    scene.write("a", header.clone() + &numbered(0..4));
    scene.write("b", header.clone() + &numbered(10..13));
    scene.write("c.gz", gzip(header + &numbered(20..25)));
    for (name, lines, ids) in [("a", 5, 1), ("b", 4, 2), ("c.gz", 6, 3), ("a", 0, 3), ("b", 0, 3)] {
        assert_eq!(scene.history(name).len(), lines, "{name}");
        assert_eq!(scene.store.ids().len(), ids, "{name}");
    }
    let ids = scene.store.ids();
    assert_eq!(ids[1], format!("{}#2", ids[0]));
    assert_eq!(ids[2], format!("{}#3", ids[0]));
    // The same in one followed log, before anything was stored.
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    scene.append("new log\nx\n");
    while reader.step(&mut done) {}
    let first = reader.follow.id().map(str::to_owned).expect("named");
    scene.write("mail.log", "new log\n");
    reader.drain(&mut done);
    assert_eq!(done, ["new log", "x", "new log"]);
    assert_eq!(reader.follow.id(), Some(format!("{first}#2").as_str()));
}

#[test]
fn shapes_of_finished_files() {
    let cases: [(&str, &[u8], &[&str], u64); 8] = [
        ("empty", b"", &[], 0),
        ("one", b"one\n", &["one"], 0),
        ("no end", b"one\r\ntwo", &["one"], 3),
        ("only a part", b"part", &[], 4),
        ("blank", b"\n\r\n\n", &["", "", ""], 0),
        ("nul", b"\0\0a\0b\n\0\n", &["a\0b", ""], 0),
        ("binary", b"\xff\n", &["\u{fffd}"], 0),
        ("cr inside", b"a\rb\r\r\n", &["a\rb\r"], 0),
    ];
    for (what, content, lines, unfinished) in cases {
        let scene = Scene::new();
        scene.write("plain", content);
        let mut history = scene.open("plain");
        let size = u64::try_from(content.len()).expect("a size");
        assert_eq!(finish(&mut history, &Store::default()).0, lines, "{what}");
        assert_eq!(history.unfinished_bytes(), unfinished, "{what}");
        assert_eq!((history.read_bytes(), history.total_bytes()), (size, Some(size)), "{what}");
        // In a gzip file and a stream the last line is handed out too, and not again.
        scene.write("packed.gz", gzip(content));
        let stream = || History::from_reader("a stream", Box::new(Cursor::new(content.to_vec())));
        let (whole, _) = finish(&mut stream(), &Store::default());
        assert_eq!(whole.len(), lines.len() + usize::from(unfinished > 0), "{what}");
        assert_eq!(scene.history("packed.gz"), whole, "{what}");
        assert_eq!(scene.history("packed.gz"), NOTHING, "{what}");
        assert_eq!(finish(&mut stream(), &scene.store).0, NOTHING, "{what}");
        assert_eq!(scene.store.ids().len(), usize::from(!content.is_empty()), "{what}");
    }
}

#[test]
fn a_megabyte_line_is_cut() {
    let scene = Scene::new();
    scene.append(format!("a\n{}\nb\n", "m".repeat(1 << 20)));
    let mut follow = Follow::new(scene.log.clone());
    let mut read = Vec::new();
    while read.len() < 3 {
        if let Step::Line(line) = follow.next(&scene.store) {
            read.push((line.bytes.len(), line.too_long));
        }
    }
    assert_eq!(read, [(1, false), (LINE_BYTES, true), (1, false)]);
    scene.store.put(follow.id().expect("named"), follow.position());
    assert_eq!(scene.history("mail.log"), NOTHING);
}

/// Pipes give what they have, not what is asked for.
struct Dribble(Cursor<Vec<u8>>);

impl Read for Dribble {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let most = room.len().min(7);
        self.0.read(&mut room[..most])
    }
}

#[test]
fn streams_are_read_on() {
    let store = Store::default();
    let text = numbered(0..3_000);
    let other = "line 0 of this log\nand then another\n";
    let short = "line 0 of this log\nx\n";
    for (what, content, expected) in [
        ("first", numbered(0..1_000).into_bytes(), as_lines(&numbered(0..1_000))),
        ("longer", text.clone().into_bytes(), as_lines(&numbered(1_000..3_000))),
        ("packed", gzip(&text), Vec::new()),
        ("other", other.into(), as_lines(other)),
        ("shorter than both", short.into(), as_lines(short)),
    ] {
        let mut history = History::from_reader("a pipe", Box::new(Dribble(Cursor::new(content))));
        assert_eq!(finish(&mut history, &store), (expected, Ok(())), "{what}");
    }
    assert_eq!(store.ids().len(), 3);
}

#[test]
fn damaged_gzip_keeps_what_was_read() {
    let scene = Scene::new();
    let text: String = (0..50_000_u64)
        .map(|number| format!("{} {number}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    let whole = gzip(&text);
    scene.write("mail.gz", &whole[..whole.len() / 2]);
    let mut history = scene.open("mail.gz");
    let (mut lines, outcome) = finish(&mut history, &scene.store);
    let byte = u64::try_from(whole.len() / 2).expect("a size");
    let reason = "they end too soon".to_owned();
    assert_eq!(outcome, Err(SourceTrouble::Damaged { path: scene.path("mail.gz"), byte, reason }));
    assert_eq!(history.next(&scene.store), Ok(Step::End));
    assert!(lines.len() > 20_000, "{}", lines.len());
    let (again, outcome) = finish(&mut scene.open("mail.gz"), &scene.store);
    assert_eq!((again.len(), outcome.is_err()), (0, true));
    scene.write("mail.gz", &whole);
    lines.extend(scene.history("mail.gz"));
    assert_eq!(lines, as_lines(&text));
    let garbage: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff];
    let mut wrong_sum = gzip("fine\nlines\n");
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    for (what, bytes) in [("header", &whole[..5]), ("garbage", garbage), ("sum", &wrong_sum)] {
        scene.write("mail.gz", bytes);
        let (_, outcome) = finish(&mut scene.open("mail.gz"), &scene.store);
        assert!(matches!(outcome, Err(SourceTrouble::Damaged { .. })), "{what}: {outcome:?}");
    }
}

#[test]
fn every_packing_is_the_same_content() {
    let text = numbered(0..30_000);
    for (end, pack) in PACKS {
        let scene = Scene::new();
        let (half, rest) = text.split_at(text.len() / 2);
        scene.write("mail.log", half);
        assert!(scene.history("mail.log").len() > 10_000);
        // Two members; the second one may be cut out of a line.
        scene.write("mail.log.1", [pack(half.as_bytes()), pack(rest.as_bytes())].concat());
        let read = scene.history("mail.log.1");
        assert_eq!(read.last(), as_lines(&text).last(), "{end}");
        assert_eq!(scene.store.ids().len(), 1, "{end}");
        assert_eq!(scene.history("mail.log.1"), NOTHING, "{end}");
        let whole = Box::new(Cursor::new(pack(text.as_bytes())));
        let (read, outcome) = finish(&mut History::from_reader("a pipe", whole), &scene.store);
        assert_eq!(
            (read.as_slice(), outcome),
            (NOTHING.map(str::to_owned).as_slice(), Ok(())),
            "{end}"
        );
    }
}

#[test]
fn damage_is_said_of_every_packing() {
    let text: String = (0..40_000_u64)
        .map(|number| format!("{} {number}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    for (end, pack) in PACKS {
        let scene = Scene::new();
        let whole = pack(text.as_bytes());
        let mut wrong = whole.clone();
        let middle = wrong.len() * 2 / 3;
        wrong[middle..middle + 64].iter_mut().for_each(|octet| *octet ^= 0x55);
        let trailing = [whole.as_slice(), b"and more"].concat();
        for (what, content) in
            [("cut", &whole[..whole.len() / 2]), ("wrong", &wrong), ("trailing", &trailing)]
        {
            scene.write("packed", content);
            let (lines, outcome) = finish(&mut scene.open("packed"), &Store::default());
            assert!(
                matches!(outcome, Err(SourceTrouble::Damaged { .. })),
                "{end} {what}: {outcome:?}"
            );
            assert!(lines.len() <= 40_000, "{end} {what}");
            // Wrong octets may be wrong lines: what tells comes behind them.
            if what != "wrong" {
                assert!(lines == as_lines(&text)[..lines.len()], "{end} {what}");
            }
        }
        let (lines, _) = {
            scene.write("packed", &whole[..whole.len() / 2]);
            finish(&mut scene.open("packed"), &scene.store)
        };
        assert!(!lines.is_empty(), "{end}");
        scene.write("packed", &whole);
        assert_eq!(scene.history("packed"), as_lines(&text)[lines.len()..], "{end}");
    }
}

#[test]
fn what_asks_for_much_memory_is_refused() {
    let scene = Scene::new();
    // A zstd frame with a window of 2 GiB (RFC 8878 section 3.1.1.1.2), and an xz block with as large a dictionary.
    scene.write("zst", b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00");
    let mut packed = xz("a line\n");
    // Section 3.1 of the format: the properties of the only filter, and the checksum of the header.
    assert_eq!(packed[12..16], [2, 0, 0x21, 1]);
    packed[16] = 38;
    let sum = crc32(&packed[12..20]);
    packed[20..24].copy_from_slice(&sum.to_le_bytes());
    scene.write("xz", packed);
    for name in ["zst", "xz"] {
        let (_, outcome) = finish(&mut scene.open(name), &scene.store);
        let said = outcome.expect_err(name).to_string();
        assert!(said.contains("64 MiB"), "{said}");
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

#[test]
fn rotations_of_every_packing_are_known_without_unpacking() {
    for (end, pack) in PACKS {
        let scene = Scene::new();
        scene.append(numbered(0..10));
        assert_eq!(scene.restart().len(), 10);
        scene.append(numbered(10..15));
        let name = format!("mail.log.2.{end}");
        scene.write(&name, pack(numbered(0..15).as_bytes()));
        scene.write("mail.log.1", numbered(15..20));
        scene.write("mail.log", numbered(20..25));
        assert_eq!(scene.restart(), as_lines(&numbered(10..25)), "{end}");
        assert_eq!(scene.restart(), NOTHING, "{end}");
    }
}

#[test]
fn what_cannot_be_opened() {
    let scene = Scene::new();
    let message = |path: &Path| History::open(path).expect_err("refused").to_string();
    let none = scene.path("none");
    assert_eq!(message(&none), format!("{} does not exist", none.display()));
    let folder = scene.folder.path();
    assert_eq!(message(folder), format!("{} is a directory, not a log file", folder.display()));
    assert_eq!(message(Path::new("/dev/null")), "/dev/null is not a regular file");
}

/// A writer in a thread of its own rotates hundreds of times, as fast as it can, in pieces of lines.
#[test]
fn nothing_is_lost_or_doubled_under_a_writer() {
    const ROTATIONS: usize = 400;
    let scene = Scene::new();
    scene.append("the first line\n");
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    reader.drain(&mut done);
    let log = scene.log.clone();
    let writer = std::thread::spawn(move || {
        let mut number = 0;
        for rotation in 0..ROTATIONS {
            let mut file = appender(&log);
            for _ in 0..rotation * 7 % 40 {
                let line = format!("line {number} {}\n", "x".repeat(number % 300));
                let (begin, rest) = line.split_at(number % line.len());
                file.write_all(begin.as_bytes()).expect("written");
                file.write_all(rest.as_bytes()).expect("written");
                number += 1;
            }
            let rotated = log.with_file_name(format!("mail.log-{:08}", rotation + 1));
            std::fs::rename(&log, rotated).expect("renamed");
            File::create(&log).expect("created");
            // The old file is written to until the writer reopens.
            writeln!(file, "line {number} after").expect("written");
            number += 1;
            let pause = u64::try_from(rotation % 11).unwrap_or_default();
            std::thread::sleep(Duration::from_millis(if rotation % 3 == 0 { pause } else { 0 }));
        }
        writeln!(appender(&log), "the last line").expect("written");
        number
    });
    let begun = Instant::now();
    let mut steps = 0_usize;
    while reader.lines.last().is_none_or(|line| line != "the last line") {
        if !reader.step(&mut done) {
            reader.follow.wait(Duration::from_millis(1));
        }
        steps += 1;
        // Stop and resume, now and then without having committed.
        if steps.is_multiple_of(997) {
            if steps.is_multiple_of(2) {
                reader.commit(&mut done);
            }
            reader = scene.reader();
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "stuck after {} lines", done.len());
    }
    let written = writer.join().expect("the writer is well");
    reader.drain(&mut done);
    let mut numbers: Vec<usize> = done
        .iter()
        .filter_map(|line| line.strip_prefix("line ")?.split(' ').next()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..written).collect::<Vec<_>>());
    assert_eq!(done.len(), written + 2);
}

/// What happens around a followed log.
#[derive(Clone, Debug)]
enum Event {
    Lines(usize),
    Part,
    Rename,
    CopyTruncate,
    Compress,
    Steps(usize),
    Commit,
    Crash,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1_usize..30).prop_map(Event::Lines),
        1 => Just(Event::Part),
        2 => Just(Event::Rename),
        1 => Just(Event::CopyTruncate),
        1 => Just(Event::Compress),
        4 => (1_usize..60).prop_map(Event::Steps),
        2 => Just(Event::Commit),
        2 => Just(Event::Crash),
    ]
}

/// The machine that the events happen on.
struct Host<'a> {
    scene: &'a Scene,
    writer: File,
    written: Vec<String>,
    part: Option<String>,
}

impl Host<'_> {
    fn line(&mut self) -> String {
        let line = format!("line {} {}", self.written.len(), "y".repeat(self.written.len() % 90));
        self.written.push(line.clone());
        line
    }

    fn lines(&mut self, count: usize) {
        let mut text = self.part.take().map_or_else(String::new, |rest| rest + "\n");
        for _ in 0..count {
            text += &(self.line() + "\n");
        }
        self.writer.write_all(text.as_bytes()).expect("written");
    }

    fn part(&mut self) {
        if self.part.is_none() {
            let line = self.line();
            let (begin, rest) = line.split_at(5);
            self.writer.write_all(begin.as_bytes()).expect("written");
            self.part = Some(rest.to_owned());
        }
    }

    /// Makes room at `.1`, as logrotate does.
    fn shift(&self) {
        for number in (1..50).rev() {
            for end in ["", ".gz"] {
                let from = self.scene.path(&format!("mail.log.{number}{end}"));
                let to = self.scene.path(&format!("mail.log.{}{end}", number + 1));
                if from.exists() {
                    std::fs::rename(from, to).expect("renamed");
                }
            }
        }
    }

    fn rename(&mut self) {
        self.shift();
        self.scene.rename("mail.log", "mail.log.1");
        let new = appender(&self.scene.log);
        self.lines(1);
        self.writer = new;
    }

    fn copy_truncate(&mut self) {
        self.lines(1);
        self.shift();
        std::fs::copy(&self.scene.log, self.scene.path("mail.log.1")).expect("copied");
        self.writer.set_len(0).expect("truncated");
    }

    fn compress(&self) {
        for number in 2..50 {
            let plain = self.scene.path(&format!("mail.log.{number}"));
            if let Ok(content) = std::fs::read(&plain) {
                self.scene.write(&format!("mail.log.{number}.gz"), gzip(content));
                std::fs::remove_file(plain).expect("removed");
            }
        }
    }
}

/// The same events at every run, so that the gate does not depend on luck; others are searched through by
/// naming a seed: `HELOSTAT_SEED=7 HELOSTAT_CASES=3000`.
fn seed() -> RngSeed {
    RngSeed::Fixed(number_of("HELOSTAT_SEED").unwrap_or(20_261_121))
}

fn cases() -> u32 {
    number_of("HELOSTAT_CASES").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(150)
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What was written, and what became final at the reader.
fn run(events: &[Event]) -> (Vec<String>, Vec<String>) {
    let scene = Scene::new();
    let writer = appender(&scene.log);
    let mut host = Host { scene: &scene, writer, written: Vec::new(), part: None };
    host.lines(1);
    let (mut reader, mut done) = (scene.reader(), Vec::new());
    // From here on the log is known; a first start does not look at what lies beside it.
    reader.drain(&mut done);
    for event in events {
        match event {
            Event::Lines(count) => host.lines(*count),
            Event::Part => host.part(),
            Event::Rename => host.rename(),
            Event::CopyTruncate => host.copy_truncate(),
            Event::Compress => host.compress(),
            Event::Steps(count) => {
                for _ in 0..*count {
                    reader.step(&mut done);
                }
            }
            Event::Commit => reader.commit(&mut done),
            Event::Crash => reader = scene.reader(),
        }
    }
    host.lines(1);
    reader.drain(&mut done);
    (host.written, done)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        rng_seed: seed(),
        max_shrink_iters: 400,
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

/// The new file was named by its first line, and copied and truncated before that line was read.
#[test]
fn copied_away_between_its_name_and_its_first_line() {
    let events = [
        Event::Lines(48),
        Event::Part,
        Event::Rename,
        Event::Lines(1),
        Event::Steps(51),
        Event::CopyTruncate,
    ];
    let (written, mut done) = run(&events);
    done.sort_by_key(|line| written.iter().position(|other| other == line));
    assert_eq!(done, written);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        rng_seed: seed(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever is wrong with packed data, reading them ends, with whole lines before the end.
    #[test]
    fn wrong_packed_data_end(
        pack in 0..PACKS.len(),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let text = numbered(0..3_000);
        let mut content = PACKS[pack].1(text.as_bytes());
        for (place, octet) in wrong {
            let place = place.index(content.len());
            content[place] = octet;
        }
        if is_cut {
            content.truncate(cut.index(content.len()));
        }
        let mut history = History::from_reader("a pipe", Box::new(Cursor::new(content)));
        let (lines, _) = finish(&mut history, &Store::default());
        prop_assert!(lines.len() < 1_000_000);
    }
}

//! Logs: their compression, their lines, the sessions that the lines make, and what is stored of both.

use std::collections::BTreeMap;
use std::io::Cursor;

use helostat_ingest::framing::{Frame, Framer};
use helostat_ingest::heard::Heard;
use helostat_ingest::reader::{FormatChoice, Reader};
use helostat_ingest::source::{History, LINE_BYTES, Position, PositionError, Positions, Step};
use helostat_zones::name::Name;
use helostat_zones::time::Time;
use jiff::tz::TimeZone;

use super::contains;

/// 2026-11-20T15:00:00Z: a little later than our own logs, which the corpora are made of.
const LATEST: Time = Time(1_795_186_800);
/// The last moment that a log may say, a day later.
const END: Time = Time(LATEST.0 + 86_400);
/// Host and tag together, in the documentation of the framings.
const TAG_MAX: usize = 303;

/// A log, line by line: a reader that is stopped and restored before every line whose length is a
/// multiple of four (so that mutations move the stops) sees what one sees that never stops; names are normal, times are possible, and no address is invented.
pub fn log_line(log: &[u8]) {
    let (mut steady, mut stopped) = (new_reader(), new_reader());
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    for line in log.split(|&byte| byte == b'\n') {
        if line.len().is_multiple_of(4) {
            let saved = stopped.save();
            stopped = restored(&saved);
            assert_eq!(stopped.save(), saved, "saved again");
        }
        let one = steady.read(line, LATEST, &mut expected);
        assert_eq!(stopped.read(line, LATEST, &mut found), one, "{}", line.escape_ascii());
    }
    assert_eq!(steady.open_sessions(), stopped.open_sessions(), "open sessions");
    steady.close(&mut expected);
    stopped.close(&mut found);
    assert_eq!(found, expected, "stopped and steady");
    assert_eq!(steady.open_sessions(), 0, "open after the end");
    for observation in &expected {
        is_sound(observation, log);
    }
}

fn is_sound(observation: &Heard, log: &[u8]) {
    let Heard { name, ip, time, .. } = observation;
    if let Some(name) = name {
        assert_eq!(&Name::parse(name.text().as_bytes()), name, "read again");
    }
    assert!(*time <= END, "{time} is in the future");
    assert_eq!(ip.to_canonical(), *ip, "an IPv4-mapped address");
    // IPv6 can be written in many ways, an IPv4-mapped address among them.
    let mapped = contains(&log.to_ascii_lowercase(), b"ffff:");
    // JSON can spell any byte as a number, and containers write long lines in pieces.
    let spelled = log.contains(&b'{') || contains(log, b" P ");
    if ip.is_ipv4() && !mapped && !spelled {
        assert!(contains(log, ip.to_string().as_bytes()), "{ip} is not in the log");
    }
}

fn new_reader() -> Reader {
    Reader::new(FormatChoice::Auto, "mx".into(), TimeZone::UTC)
}

fn restored(saved: &[u8]) -> Reader {
    let reader = new_reader().restore(saved);
    reader.unwrap_or_else(|error| panic!("{error}: {}", saved.escape_ascii()))
}

/// Wrapped lines: a frame is cut out of its line (or of what was unescaped of it), within its limits. What the framer
/// remembers of earlier lines changes the reading of another only where it must: a line that belongs to one before it (a
/// piece, part of an entry of several lines), the pass of the hour that the clock repeats, and a line without a stamp,
/// which is not believed once there was one. And a framer restored before every line reads as one that never stopped.
pub fn framing(log: &[u8]) {
    let mut experienced = Framer::new(berlin());
    for line in log.split(|&byte| byte == b'\n') {
        let amid = experienced.is_amid();
        let mut twin = Framer::new(berlin());
        twin.restore(experienced.save());
        let (mut room, mut twins_room, mut other) = (Vec::new(), Vec::new(), Vec::new());
        let read = experienced.frame(line, LATEST, &mut room);
        let shown = line.escape_ascii();
        assert_eq!(twin.frame(line, LATEST, &mut twins_room), read, "restored: {shown}");
        assert_eq!(twin.save(), experienced.save(), "saved: {shown}");
        if !amid {
            let fresh = Framer::new(berlin()).frame(line, LATEST, &mut other);
            assert!(is_same_reading(read, fresh), "{read:?}, fresh {fresh:?}: {shown}");
        }
        let Ok(frame) = read else {
            continue;
        };
        assert!(frame.time <= END, "{} is in the future", frame.time);
        assert!(frame.host.len() + frame.tag.len() <= TAG_MAX, "{frame:?}");
        let may_be_unescaped = amid || line.contains(&b'{');
        for part in [frame.host, frame.tag, frame.text] {
            let inside = line.as_ptr_range();
            let all_inside = inside.start <= part.as_ptr() && part.as_ptr_range().end <= inside.end;
            assert!(
                part.is_empty() || all_inside || may_be_unescaped,
                "{frame:?} is not of its line"
            );
        }
    }
}

/// True if a framer that has read other lines may read so what a fresh one reads so.
fn is_same_reading(read: Read<'_>, fresh: Read<'_>) -> bool {
    match (read, fresh) {
        (Err("no-stamp"), fresh) => fresh.is_err() || fresh.is_ok_and(|fresh| fresh.time == LATEST),
        (Ok(read), Ok(fresh)) => {
            let again = read.time.0.abs_diff(fresh.time.0);
            matches!(again, 0 | 3600) && Frame { time: fresh.time, ..read } == fresh
        }
        (read, fresh) => read == fresh,
    }
}

type Read<'a> = Result<Frame<'a>, &'static str>;

/// A text in every framing that can hold any bytes: it comes out as it went in, and nothing in it ends it.
pub fn wrapped_text(text: &[u8]) {
    // Longer ones may not fit into a line with their escapes; what these begin with has a meaning of its own.
    let special = [b"[".as_slice(), b"message repeated ", b" "];
    if text.len() > 4096 || special.iter().any(|special| text.starts_with(special)) {
        return;
    }
    let (front, back) = text.split_at(text.len() / 2);
    let front = [b"a[7]: ", front].concat();
    let mut writings = vec![
        vec![template(text)],
        vec![journal(&escaped(text))],
        vec![journal(&numbers(text))],
        vec![docker(&[b"a[7]: ", text, b"\n"].concat())],
    ];
    if !front.ends_with(b"\n") {
        writings.push(vec![docker(&front), docker(&[back, b"\n"].concat())]);
    }
    for lines in writings {
        let mut framer = Framer::new(berlin());
        for (at, line) in lines.iter().enumerate() {
            let mut room = Vec::new();
            let shown = line.escape_ascii();
            match framer.frame(line, LATEST, &mut room) {
                Ok(frame) => {
                    // A carriage return in front of a line feed is part of the line's end.
                    let cut = text.strip_suffix(b"\r").filter(|_| contains(line, b"\"log\""));
                    assert_eq!(frame.text, cut.unwrap_or(text), "{shown}");
                    assert_eq!((frame.tag, frame.pid), (b"a".as_slice(), Some(7)), "{shown}");
                    assert_eq!(at + 1, lines.len(), "ends too early: {shown}");
                }
                Err(why) => assert!(at + 1 < lines.len(), "{why}: {shown}"),
            }
        }
        assert!(!framer.is_amid(), "something is left of {}", text.escape_ascii());
    }
}

fn template(text: &[u8]) -> Vec<u8> {
    let front = br#"{"time":"2026-11-20T14:27:35Z","tag":"a[7]:","x":{"tag":["}"]},"message":"#;
    [front, escaped(text).as_slice(), b"}"].concat()
}

fn journal(message: &[u8]) -> Vec<u8> {
    let back = br#","__REALTIME_TIMESTAMP":"1795184855000000","_COMM":"a","_PID":"7"}"#;
    [br#"{"MESSAGE":"#.as_slice(), message, back].concat()
}

fn docker(log: &[u8]) -> Vec<u8> {
    let back = br#","stream":"stdout","time":"2026-11-20T14:27:35Z"}"#;
    [br#"{"log":"#.as_slice(), &escaped(log), back].concat()
}

/// A JSON string with the bytes beyond ASCII as they are.
fn escaped(text: &[u8]) -> Vec<u8> {
    let mut string = vec![b'"'];
    for &byte in text {
        match byte {
            b'"' | b'\\' => string.extend([b'\\', byte]),
            0..b' ' => string.extend(format!("\\u{byte:04x}").bytes()),
            _ => string.push(byte),
        }
    }
    string.push(b'"');
    string
}

/// A text as journald writes it if it is not printable: a list of numbers.
fn numbers(text: &[u8]) -> Vec<u8> {
    if text.is_empty() {
        return escaped(text);
    }
    let numbers: Vec<String> = text.iter().map(u8::to_string).collect();
    format!("[{}]", numbers.join(",")).into_bytes()
}

/// A zone whose clock jumps, by rule, so that it does not matter what zones the machine knows.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a rule")
}

/// Stored sessions: what is restored is saved in one way only, and reads on.
pub fn reader_state(saved: &[u8]) {
    let restore = new_reader().restore(saved);
    let Ok(mut reader) = restore else {
        return;
    };
    let normal = reader.save();
    let mut twin = restored(&normal);
    assert_eq!(twin.save(), normal, "saved again");
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for line in LINES_THAT_GO_ON {
        let one = reader.read(line, LATEST, &mut expected);
        assert_eq!(twin.read(line, LATEST, &mut found), one, "{}", line.escape_ascii());
    }
    reader.close(&mut expected);
    twin.close(&mut found);
    assert_eq!(found, expected, "a reader and its twin");
    assert_eq!(reader.open_sessions(), 0, "open after the end");
}

/// A line for each program whose sessions the corpus has open, and for each framing of several lines.
const LINES_THAT_GO_ON: [&[u8]; 5] = [
    b"",
    br#"{"log":"[192.0.2.1]\n","stream":"stdout","time":"2026-11-20T14:40:00.1Z"}"#,
    b"2026-11-20T14:40:00.1+00:00 mx postfix/smtpd[100]: disconnect from unknown[192.0.2.1] ehlo=1 quit=1 commands=2",
    b"2026-11-20T14:40:00.2+00:00 mx postfix/qmgr[7]: 4dCcBz0Y2Yz1x: removed",
    b"2026-11-20 14:40:01 1xUPlK-00003O-2Y Completed",
];

/// A stored position is exactly its 33 bytes.
pub fn position(bytes: &[u8]) {
    match Position::from_bytes(bytes) {
        Ok(position) => assert_eq!(position.to_bytes(), bytes),
        Err(PositionError::Version(version)) => {
            assert_ne!(version, 1);
            assert_eq!(bytes.first(), Some(&version));
        }
        Err(PositionError::Length(length)) => {
            assert_ne!(length, 33);
            assert_eq!(length, bytes.len());
        }
    }
}

/// A log as a stream, plain or compressed: each line comes once, however often the reading is stopped
/// and begun again, and whatever damage comes later.
pub fn gz_history(stream: &[u8]) {
    let whole = read_lines(stream, &mut Stored::default(), usize::MAX);
    if !stream.starts_with(&[0x1f, 0x8b]) {
        assert_eq!(whole.lines, plain_lines(stream), "the lines of a plain log");
    }
    // After every line of a short log, after some of a long one.
    let step = whole.lines.len() / 8 + 1;
    let (mut stored, mut lines) = (Stored::default(), Vec::new());
    loop {
        let part = read_lines(stream, &mut stored, step);
        if part.lines.is_empty() {
            assert_eq!(part.whole, whole.whole, "damaged or not");
            break;
        }
        lines.extend(part.lines);
        assert!(lines.len() <= whole.lines.len(), "a line came twice");
    }
    assert_eq!(lines, whole.lines, "in parts and at once");
}

/// The lines as the contract of a source has them, found in the simplest way.
fn plain_lines(stream: &[u8]) -> Vec<Vec<u8>> {
    let content = |line: &[u8]| {
        let ended = line.strip_suffix(b"\n");
        let text = without_nuls_in_front(ended.unwrap_or(line));
        // What is left at the end without a line feed is a line if there is anything in it.
        if ended.is_none() && text.is_empty() {
            return None;
        }
        let text = ended.and_then(|_| text.strip_suffix(b"\r")).unwrap_or(text);
        Some(text.get(..LINE_BYTES).unwrap_or(text).to_vec())
    };
    stream.split_inclusive(|&byte| byte == b'\n').filter_map(content).collect()
}

fn without_nuls_in_front(line: &[u8]) -> &[u8] {
    let nuls = line.iter().take_while(|&&byte| byte == 0).count();
    line.get(nuls..).unwrap_or_default()
}

struct Part {
    lines: Vec<Vec<u8>>,
    /// False if the stream ended in damage.
    whole: bool,
}

/// At most `limit` lines from where the stored position is; then the position is stored.
fn read_lines(stream: &[u8], stored: &mut Stored, limit: usize) -> Part {
    let mut history = History::from_reader("fuzz", Box::new(Cursor::new(stream.to_vec())));
    let mut part = Part { lines: Vec::new(), whole: true };
    while part.lines.len() < limit {
        match history.next(stored) {
            Ok(Step::Line(line)) => {
                assert!(line.bytes.len() <= LINE_BYTES, "{} bytes", line.bytes.len());
                assert!(!line.bytes.contains(&b'\n'), "a line feed in a line");
                part.lines.push(line.bytes.to_vec());
            }
            Ok(Step::NewSource) => {}
            Ok(Step::End) => break,
            Ok(other) => panic!("a finished log says {other:?}"),
            Err(_) => {
                part.whole = false;
                assert_eq!(history.next(stored), Ok(Step::End), "after damage");
                break;
            }
        }
    }
    if let Some(id) = history.id() {
        stored.0.insert(id.to_owned(), history.position().to_bytes());
    }
    part
}

/// Positions in memory.
#[derive(Default)]
struct Stored(BTreeMap<String, Vec<u8>>);

impl Positions for Stored {
    fn find(&self, fingerprint: &str) -> Vec<(String, Vec<u8>)> {
        let found = self.0.iter().filter(|(id, _)| id.starts_with(fingerprint));
        found.map(|(id, position)| (id.clone(), position.clone())).collect()
    }
}

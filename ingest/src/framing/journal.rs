//! Entries of journald, as `journalctl -o json` and `-o export` write them.
//!
//! Of an entry count `MESSAGE`, `SYSLOG_IDENTIFIER` (the slash in `postfix/smtpd` is kept; else `_COMM`), `SYSLOG_PID` (else
//! `_PID`), `_HOSTNAME`, and `_SOURCE_REALTIME_TIMESTAMP` (else `__REALTIME_TIMESTAMP`), in microseconds. In JSON a message that
//! is not printable UTF-8 is a list of byte numbers, one beyond 4 kB is `null` (without `--all`), a field that the entry has
//! more than once is a list of strings: there is no message then, and the entry is counted.
//!
//! What a service writes to its standard output may be a line of a program's own log, with or without a stamp; what a container
//! writes (Docker's journald driver) is read as a line of its own. Its pieces of long lines are not joined.
//!
//! Trap: any local user can log under any `SYSLOG_IDENTIFIER`; `_UID` and `_SYSTEMD_UNIT` would tell, but not under which
//! name a given MTA runs. Whoever lets strangers run programs on the mail host must look at these himself.
//!
//! **Export** is a framing over several lines: `__CURSOR=..` first, a line a field, an empty line at the end. A field with bytes
//! that are not printable UTF-8 is `KEY`, line feed, its length in eight bytes (little-endian), its bytes, line feed. Those bytes
//! may be line feeds and even look like an entry, so they are counted. The lines come here without NUL in front and
//! without a carriage return at the end, so some bytes may be missing: then too many lines are taken for the field's, never
//! too few, and nothing that is in a message can begin another. An entry that has a line feed in any field is not believed
//! (`doubtful-record`; no MTA logs one). If the count does not end where a line ends, or the length cannot be told because of
//! a line feed in the length itself, the entry is dropped (`cut-record`), with everything up to the next `__CURSOR=` after an
//! empty line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::json::{Value, byte_list};
use super::keys::Key;
use super::syslog::said;
use super::template::{Place, room_of, whole_number};
use super::{Bytes, Fields, Frame, Framer, NOTHING};
use crate::bytes::{cut, digits_of};
use crate::reader::LINE_MAX;

/// The beginning of an entry in export format.
pub(super) const CURSOR: &[u8] = b"__CURSOR=";
/// How long a field other than the message may be.
const FIELD_MAX: usize = 303;
/// The greatest length that begins with NUL and line feed, or carriage return and line feed.
const DOUBTFUL_MAX: u64 = 0x0a0d;

/// The parts of an entry, unescaped.
#[derive(Clone, Copy)]
struct Entry<'a> {
    message: Option<&'a [u8]>,
    identifier: &'a [u8],
    pid: Option<u32>,
    host: &'a [u8],
    micros: Option<i64>,
    /// It is what a service wrote to its standard output.
    stdout: bool,
    container: bool,
    partial: bool,
}

impl Framer {
    /// The frame of an entry in JSON.
    pub(super) fn journal_json<'a>(
        &mut self,
        fields: &Fields<'a>,
        room: &'a mut Vec<u8>,
    ) -> Result<Frame<'a>, &'static str> {
        let text = |keys: &[Key], room: &mut Vec<u8>| {
            fields.first(keys).and_then(|value| room_of(value, room))
        };
        let identifier = text(&[Key::JournalIdentifier, Key::JournalCommand], room);
        let host = text(&[Key::JournalHost], room);
        let message = match fields.first(&[Key::JournalMessage]) {
            Some(Value::List(list)) => {
                let begin = room.len();
                byte_list(list, room).map(|()| Place::Room(begin, room.len()))
            }
            Some(text @ Value::Text(..)) => room_of(text, room),
            _ => None,
        };
        let number = |keys: &[Key]| match fields.first(keys) {
            Some(Value::Text(digits, _) | Value::Number(digits)) => Some(digits),
            _ => None,
        };
        let pid = number(&[Key::JournalSyslogPid]).and_then(digits_of);
        let room: &'a [u8] = room;
        self.entry(Entry {
            message: message.map(|message| message.of(room)),
            identifier: identifier.map_or(b"", |identifier| identifier.of(room)),
            pid: pid.or_else(|| number(&[Key::JournalPid]).and_then(digits_of)),
            host: host.map_or(b"", |host| host.of(room)),
            micros: number(&[Key::JournalSource, Key::JournalTime]).and_then(whole_number),
            stdout: number(&[Key::JournalTransport]) == Some(b"stdout"),
            container: fields.first(&[Key::JournalContainer]).is_some(),
            partial: fields.first(&[Key::JournalPartial]).is_some(),
        })
    }

    fn entry<'a>(&mut self, entry: Entry<'a>) -> Result<Frame<'a>, &'static str> {
        let time = self.stamps.unix(entry.micros.ok_or("bad-stamp")?.div_euclid(1_000_000))?;
        let message = entry.message.ok_or("no-message")?;
        if entry.partial {
            return Err("in-pieces");
        }
        if entry.container {
            return self.inside(message, time);
        }
        if entry.stdout
            && let Some(own) = self.own_inside(message, time)
        {
            return own;
        }
        said(time, entry.host, entry.identifier, entry.pid, message)
    }

    /// A line of an entry in export format.
    pub(super) fn export<'a>(
        &mut self,
        line: &'a [u8],
        room: &'a mut Vec<u8>,
    ) -> Result<Frame<'a>, &'static str> {
        match self.record.read(line) {
            Step::Whole => {}
            Step::Part => return Err(NOTHING),
            Step::Cut => return Err("cut-record"),
            Step::Foreign => return self.bare(line),
        }
        let Record { kept, doubtful, .. } = std::mem::take(&mut self.record);
        if doubtful {
            return Err("doubtful-record");
        }
        let text = |key: Kept| kept.get(&key).map(|bytes| bytes.0.as_slice());
        let mut copy = |key: Kept| {
            let begin = room.len();
            room.extend_from_slice(text(key)?);
            Some(Place::Room(begin, room.len()))
        };
        let identifier = copy(Kept::Identifier).or_else(|| copy(Kept::Command));
        let (message, host) = (copy(Kept::Message), copy(Kept::Host));
        let room: &'a [u8] = room;
        let pid = text(Kept::SyslogPid).and_then(digits_of);
        let micros = text(Kept::Source).or_else(|| text(Kept::Time));
        self.entry(Entry {
            message: message.map(|message| message.of(room)),
            identifier: identifier.map_or(b"", |identifier| identifier.of(room)),
            pid: pid.or_else(|| text(Kept::Pid).and_then(digits_of)),
            host: host.map_or(b"", |host| host.of(room)),
            micros: micros.and_then(whole_number),
            stdout: text(Kept::Transport) == Some(b"stdout"),
            container: kept.contains_key(&Kept::Container),
            partial: kept.contains_key(&Kept::Partial),
        })
    }
}

/// What is kept of an entry in export format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Kept {
    #[serde(rename = "MESSAGE")]
    Message,
    #[serde(rename = "SYSLOG_IDENTIFIER")]
    Identifier,
    #[serde(rename = "_COMM")]
    Command,
    #[serde(rename = "SYSLOG_PID")]
    SyslogPid,
    #[serde(rename = "_PID")]
    Pid,
    #[serde(rename = "_HOSTNAME")]
    Host,
    #[serde(rename = "_SOURCE_REALTIME_TIMESTAMP")]
    Source,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    Time,
    #[serde(rename = "_TRANSPORT")]
    Transport,
    #[serde(rename = "CONTAINER_ID")]
    Container,
    #[serde(rename = "CONTAINER_PARTIAL_ID")]
    Partial,
}

impl Kept {
    fn of(name: &[u8]) -> Option<Self> {
        Some(match Key::of(name)? {
            Key::JournalMessage => Self::Message,
            Key::JournalIdentifier => Self::Identifier,
            Key::JournalCommand => Self::Command,
            Key::JournalSyslogPid => Self::SyslogPid,
            Key::JournalPid => Self::Pid,
            Key::JournalHost => Self::Host,
            Key::JournalSource => Self::Source,
            Key::JournalTime => Self::Time,
            Key::JournalTransport => Self::Transport,
            Key::JournalContainer => Self::Container,
            Key::JournalPartial => Self::Partial,
            _ => return None,
        })
    }
}

/// The entry in export format whose lines are coming; also as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    expected: Expected,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    kept: BTreeMap<Kept, Bytes>,
    /// A field came twice, had a line feed, or was too long to keep.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    doubtful: bool,
}

/// What the next line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Expected {
    /// No entry is open.
    #[default]
    Nothing,
    /// A field, or the end.
    Field,
    /// The length of this field's bytes, and the bytes.
    Length(Option<Kept>),
    /// What is left of a length that had a line feed in it: as its first byte, or as its second after this one.
    Rest(Option<Kept>, Option<u8>),
    /// So many bytes more of some field.
    Bytes(u64),
    /// Whatever it is, for so many bytes, and then until an entry begins after an empty line (`true`: there was one).
    Lost(u64, bool),
}

enum Step {
    /// Part of an entry that is not complete.
    Part,
    /// The entry is complete.
    Whole,
    /// An entry cannot be read, or this is what is left of one.
    Cut,
    /// No part of any.
    Foreign,
}

impl Record {
    /// True if lines belong to an entry.
    pub(super) fn is_open(&self) -> bool {
        self.expected != Expected::Nothing
    }

    fn read(&mut self, line: &[u8]) -> Step {
        match self.expected {
            Expected::Nothing | Expected::Field => self.field(line),
            Expected::Length(key) => self.length(key, line),
            Expected::Rest(key, Some(low)) => {
                self.bytes(key, 0x0a00 | u64::from(low), without_nuls(line))
            }
            Expected::Rest(key, None) => match without_nuls(line).split_at_checked(7) {
                Some((&[high, 0, 0, 0, 0, 0, 0], bytes)) => {
                    self.bytes(key, 0x0a | u64::from(high) << 8, bytes)
                }
                _ => self.lose(DOUBTFUL_MAX.saturating_sub(octets(line) + 1)),
            },
            Expected::Bytes(left) => self.bytes(None, left, line),
            Expected::Lost(0, true) if line.starts_with(CURSOR) => self.begin(),
            Expected::Lost(hold, _) => {
                let empty = hold == 0 && line.is_empty();
                self.expected = Expected::Lost(hold.saturating_sub(octets(line) + 1), empty);
                Step::Cut
            }
        }
    }

    fn begin(&mut self) -> Step {
        *self = Self { expected: Expected::Field, ..Self::default() };
        Step::Part
    }

    fn lose(&mut self, hold: u64) -> Step {
        *self = Self { expected: Expected::Lost(hold, false), ..Self::default() };
        Step::Cut
    }

    fn field(&mut self, line: &[u8]) -> Step {
        if line.starts_with(CURSOR) {
            let cut = self.is_open();
            self.begin();
            // The end of the one before did not come.
            return if cut { Step::Cut } else { Step::Part };
        }
        if line.is_empty() {
            return Step::Whole;
        }
        let (name, value) = match cut(line, b'=') {
            Some((name, value)) => (name, Some(value)),
            None => (line, None),
        };
        if !is_field_name(name) {
            *self = Self::default();
            return Step::Foreign;
        }
        let key = Kept::of(name);
        match value {
            Some(value) => self.keep(key, value),
            None => self.expected = Expected::Length(key),
        }
        Step::Part
    }

    /// The line after a field's name: its length in eight bytes, of which those in front are gone if they were NUL,
    /// and bytes.
    fn length(&mut self, key: Option<Kept>, line: &[u8]) -> Step {
        let line = without_nuls(line);
        let (left, used) = match *line {
            [] => {
                self.expected = Expected::Rest(key, None);
                return Step::Part;
            }
            [low] => {
                self.expected = Expected::Rest(key, Some(low));
                return Step::Part;
            }
            [low, high, 0, 0, 0, 0, 0, 0, ..] => (u64::from(low) | u64::from(high) << 8, 8),
            [high, 0, 0, 0, 0, 0, 0, ..] => (u64::from(high) << 8, 7),
            [low, high, higher, 0, 0, 0, 0, 0, ..] => {
                (u64::from(low) | u64::from(high) << 8 | u64::from(higher) << 16, 8)
            }
            _ => return self.lose(0),
        };
        self.bytes(key, left, line.get(used..).unwrap_or_default())
    }

    /// The first line of a field's bytes, of which `left` are to come.
    fn bytes(&mut self, key: Option<Kept>, left: u64, line: &[u8]) -> Step {
        match left.checked_sub(octets(line)) {
            None => return self.lose(0),
            Some(0) => {
                self.expected = Expected::Field;
                self.keep(key, line);
            }
            // The line feed was one of them.
            Some(left) => {
                self.doubtful = true;
                self.expected = Expected::Bytes(left - 1);
            }
        }
        Step::Part
    }

    fn keep(&mut self, key: Option<Kept>, value: &[u8]) {
        let Some(key) = key else { return };
        let most = if key == Kept::Message { LINE_MAX } else { FIELD_MAX };
        if value.len() > most || self.kept.insert(key, Bytes(value.into())).is_some() {
            self.doubtful = true;
        }
    }
}

/// The name of a field: capitals, digits and hyphens below, at most 64.
fn is_field_name(name: &[u8]) -> bool {
    let fits = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
    (1..=64).contains(&name.len()) && name.iter().all(fits)
}

fn octets(line: &[u8]) -> u64 {
    u64::try_from(line.len()).unwrap_or(u64::MAX)
}

fn without_nuls(line: &[u8]) -> &[u8] {
    let nuls = line.iter().take_while(|&&byte| byte == 0).count();
    line.get(nuls..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use helostat_zones::time::Time;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn entry(message: &[u8]) -> Vec<u8> {
        let length = octets(message).to_le_bytes();
        let head =
            b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795182022999999\nSYSLOG_IDENTIFIER=a\nMESSAGE\n";
        [head.as_slice(), &length, message, b"\n_PID=7\n\n"].concat()
    }

    /// Reads a log as a source gives it (without NUL in front of a line and a carriage return at its end): the messages,
    /// and how often an entry was found to be cut.
    fn messages(log: &[u8]) -> (Vec<Vec<u8>>, usize) {
        let latest = Time::parse("2026-11-20T15:00:00Z").expect("a time");
        let mut framer = Framer::new(TimeZone::UTC);
        let (mut messages, mut cut) = (Vec::new(), 0);
        for line in log.strip_suffix(b"\n").unwrap_or(log).split(|&byte| byte == b'\n') {
            let line = without_nuls(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let mut twin = Framer::new(TimeZone::UTC);
            twin.restore(framer.save());
            let (mut room, mut other) = (Vec::new(), Vec::new());
            let framed = framer.frame(line, latest, &mut room);
            assert_eq!(twin.frame(line, latest, &mut other), framed);
            match framed {
                Ok(frame) => messages.push(frame.text.to_vec()),
                Err("cut-record" | "doubtful-record") => cut += 1,
                Err(why) => assert_eq!(why, NOTHING),
            }
            assert_eq!(twin.save(), framer.save());
        }
        (messages, cut)
    }

    /// What a client could send to have an entry of its own.
    const FORGED: &[u8] =
        b"\n\n__CURSOR=s=2\n__REALTIME_TIMESTAMP=1\nSYSLOG_IDENTIFIER=a\nMESSAGE=forged\n\n";

    #[test]
    fn a_length_of_any_bytes_is_counted_or_the_entry_dropped() {
        let mut dropped = Vec::new();
        for length in
            (1..1400).chain([2559, 2560, 2561, 2573, 2574, 2600, 2815, 2816, 3328, 65_000])
        {
            let mut message = b"\x01x".to_vec();
            message.resize(length, b'y');
            let log = [
                entry(&message),
                entry(b"after\x02"),
                entry(&vec![b'z'; 4000]),
                entry(b"last\x02"),
            ]
            .concat();
            let (mut found, cut) = messages(&log);
            assert_eq!(found.pop().as_deref(), Some(b"last\x02".as_slice()), "{length}");
            assert!(!found.iter().any(|text| text == b"forged"), "{length}");
            if found.first() == Some(&message) {
                assert_eq!((found.len(), cut), (3, 0), "{length}");
            } else {
                assert!(cut > 0, "{length}");
                dropped.push(length);
            }
        }
        // NUL and line feed, carriage return and line feed, a line feed and NUL.
        assert_eq!(dropped, [10, 2560, 2573]);
    }

    proptest! {
        #[test]
        fn no_message_begins_another(
            front in "[a-c\r\n]{1,20}",
            middle in proptest::collection::vec(prop_oneof![Just(0u8), Just(b'\n'), Just(b'\r'), Just(b'x'), any::<u8>()], 0..40),
            back in 0usize..600,
        ) {
            let mut message = front.into_bytes();
            message.extend_from_slice(&middle);
            message.extend_from_slice(FORGED);
            message.resize(message.len() + back, b'y');
            let log = [entry(&message), entry(&vec![b'z'; 4000]), entry(b"last\x02")].concat();
            let (found, cut) = messages(&log);
            prop_assert_eq!(found.last().map(Vec::as_slice), Some(b"last\x02".as_slice()));
            prop_assert!(found.iter().all(|text| text != b"forged"));
            prop_assert_eq!(found.first() != Some(&message), cut > 0);
        }
    }
}

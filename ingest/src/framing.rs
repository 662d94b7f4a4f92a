//! What is wrapped around a log message: the stamp, the host, the program and its pid.
//!
//! In go the bytes of one line without its line feed, and the newest moment it can be from; out comes
//! a `Frame` that borrows from the line, or a short reason word. `#012` and the like stay as they are, so
//! that a client can never make one line look like two; what JSON escapes is unescaped into the caller's `room`, and is
//! one text whatever is in it.
//!
//! - [`syslog`]: files of the forms RFC 3164 (`Nov 20 13:40:22 host tag[pid]: text`, the day padded with a blank, a zero or
//!   nothing, months of other languages, a year before or after the day, fractions; a leading `<22>`), rsyslog's ISO
//!   stamps (`2026-11-20T14:27:35.2+00:00 host tag[pid]: text`), RFC 5424 (`<22>1 2026-11-20T14:27:35Z host app pid msgid sd
//!   text`, the front part possibly missing, or counted as in RFC 6587), and what `journalctl` shows (`-o short`,
//!   `short-precise`, `short-iso`, `short-full`, `short-unix`)
//! - [`template`]: JSON objects of rsyslog, syslog-ng, fluentd
//! - [`journal`]: `journalctl -o json` and `-o export`
//! - [`docker`]: containers' json-file and CRI lines, what is inside being a line of its own
//! - programs that write a log of their own: the table of formats knows them (`own`)
//!
//! Stamps, years, zones: see `stamps`. The moment of a container's line is that of the stamp inside, if there is one
//! and it is within ten minutes of the one outside; a container whose clock is in another zone is so read right.
//!
//! A framer remembers: whether a stamp was seen, the last moment (for the hour that the clock repeats), the pieces of a long
//! line, the entry in export format whose lines are coming. All of it is bounded, and stored with the position (`save`).

mod docker;
mod journal;
mod json;
mod keys;
mod syslog;
mod template;

use helostat_zones::time::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use self::docker::{Pieces, Stream};
use self::json::Value;
use self::keys::{KEYS, Key};
use self::syslog::{is_plain, said, tag_and_pid, tagged};
use crate::bytes::{cut, cut_at, from_text, number, to_text};
use crate::columns::{Heading, SavedHeading};
use crate::fate::Program;
use crate::format::TABLE;
use crate::reader::LINE_MAX;
use crate::stamps::{Stamps, iso_stamp, short_stamp};

/// The reason word of a line that is known to say nothing by itself: part of what a later line completes, a mark, a
/// repetition without a text. Not an error.
pub const NOTHING: &str = "nothing";

/// For `bare` only: the line is a container's.
const CONTAINER: &str = "container";
/// How far a stamp inside a container's line may be from the one outside, in seconds.
const CLOCKS_APART: u32 = 600;

/// A log line taken out of its wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When, in whole seconds.
    pub time: Time,
    /// The host that logged; empty where the framing has none.
    pub host: &'a [u8],
    /// The program as it is tagged (`postfix/smtpd`, `exim`); empty in Exim's own log.
    pub tag: &'a [u8],
    /// The process that logged, where the framing says.
    pub pid: Option<u32>,
    /// What it said.
    pub text: &'a [u8],
    /// The program whose own log this is a line of; none where it is syslog's, and the tag tells.
    pub own: Option<Program>,
}

/// What a framer remembers of earlier lines, as it is stored.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stamped: bool,
    /// In unix seconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    last: u32,
    #[serde(default, skip_serializing_if = "Pieces::is_nothing")]
    pieces: Pieces,
    #[serde(default, skip_serializing_if = "is_default")]
    record: journal::Record,
    /// The table that the source is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heading: Option<SavedHeading>,
}

impl Saved {
    /// True if nothing is remembered.
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_default(record: &journal::Record) -> bool {
    *record == journal::Record::default()
}

/// Bytes that are remembered, at most a line; stored as text, each octet as the character of that number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_text(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = from_text(&text).filter(|bytes| bytes.len() <= LINE_MAX);
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("these are no bytes of a line"))
    }
}

/// Reads wrappings.
#[derive(Debug)]
pub struct Framer {
    stamps: Stamps,
    pieces: Pieces,
    record: journal::Record,
}

impl Framer {
    /// A reader of wrappings whose bare stamps are civil time in `zone`.
    pub fn new(zone: TimeZone) -> Self {
        Self {
            stamps: Stamps::new(zone),
            pieces: Pieces::default(),
            record: journal::Record::default(),
        }
    }

    /// What later lines need of those before, to be stored.
    pub fn save(&self) -> Saved {
        Saved {
            stamped: self.stamps.stamped,
            last: self.stamps.last.0,
            pieces: self.pieces.clone(),
            record: self.record.clone(),
            heading: self.stamps.heading.as_ref().map(Heading::save),
        }
    }

    /// Takes up what `save` gave.
    pub fn restore(&mut self, saved: Saved) {
        let Saved { stamped, last, pieces, record, heading } = saved;
        self.stamps.stamped = stamped;
        self.stamps.last = Time(last);
        self.pieces = pieces;
        self.record = record;
        self.stamps.heading = heading.and_then(SavedHeading::restore);
    }

    /// True if the next line may belong to one before it: pieces of it wait, or an entry of several lines is open.
    pub fn is_amid(&self) -> bool {
        !self.pieces.is_nothing() || self.record.is_open()
    }

    /// For formats that read stamps of their own.
    pub(crate) fn stamps(&mut self) -> &mut Stamps {
        &mut self.stamps
    }

    /// Takes a line out of its wrapping. `latest` is the newest moment the line can be from; what must be
    /// unescaped to be read is put into `room`. The reason word may be [`NOTHING`].
    pub fn frame<'a>(
        &mut self,
        line: &'a [u8],
        latest: Time,
        room: &'a mut Vec<u8>,
    ) -> Result<Frame<'a>, &'static str> {
        self.stamps.begin(latest);
        room.clear();
        let stripped = line.strip_suffix(b"\r").unwrap_or(line);
        if !self.record.is_open()
            && let Some(framed) = self.row(stripped)
        {
            return framed;
        }
        if self.record.is_open() || line.starts_with(journal::CURSOR) {
            return self.export(line, room);
        }
        let line = stripped;
        match line.first() {
            Some(b'{') => self.object(line, room),
            // journalctl -o json-seq and json-sse.
            Some(0x1e) => self.object(line.get(1..).unwrap_or_default(), room),
            Some(b'd') if line.starts_with(b"data: {") => {
                self.object(line.get(6..).unwrap_or_default(), room)
            }
            _ => match self.bare(line) {
                Err(CONTAINER) => self.cri(line, room),
                framed => framed,
            },
        }
    }

    /// A line that no other wrapping is around.
    fn bare<'a>(&mut self, line: &'a [u8]) -> Result<Frame<'a>, &'static str> {
        if let Some(framed) = self.row(line) {
            return framed;
        }
        let framed = match line.first() {
            None => return Err("empty"),
            // No wrapping has a blank there, but Exim's own log.
            Some(byte) if byte.is_ascii_digit() && line.get(10) == Some(&b' ') => {
                match self.own(line) {
                    Some(framed) => return framed,
                    None => self.with_date(line),
                }
            }
            Some(b'<') => self.with_priority(line),
            Some(byte) if byte.is_ascii_digit() => self.with_date(line),
            Some(_) => self.rfc3164(line),
        };
        match framed {
            Err(why) if why == NOTHING || why == CONTAINER => Err(why),
            Err(why) => self.own(line).unwrap_or_else(|| self.unstamped(line, why)),
            framed => framed,
        }
    }

    /// A row of the table that the source is in: asked first, since it may begin with a client's word.
    fn row<'a>(&mut self, line: &'a [u8]) -> Option<Result<Frame<'a>, &'static str>> {
        let program = self.stamps.heading.as_ref()?.program;
        let own = TABLE.iter().find(|row| row.program == program)?.own?;
        own(line, &mut self.stamps)
    }

    /// A line of a program that writes a log of its own.
    fn own<'a>(&mut self, line: &'a [u8]) -> Option<Result<Frame<'a>, &'static str>> {
        TABLE.iter().find_map(|row| row.own?(line, &mut self.stamps))
    }

    /// `TAG[PID]: TEXT` without a stamp.
    fn unstamped<'a>(
        &mut self,
        line: &'a [u8],
        why: &'static str,
    ) -> Result<Frame<'a>, &'static str> {
        if why != "no-stamp" {
            return Err(why);
        }
        if line.starts_with(b"-- ") && line.ends_with(b" --") {
            // journalctl's `-- Boot 143b650ab8c4408f8e4ccd05416f9bc4 --`.
            return Err(NOTHING);
        }
        let (head, text) = cut_at(line, b": ").ok_or(why)?;
        let (tag, pid) = tag_and_pid(head).ok_or(why)?;
        if pid.is_none() || !is_plain(tag) {
            return Err(why);
        }
        said(self.stamps.unstamped()?, b"", tag, pid, text)
    }

    fn with_priority<'a>(&mut self, line: &'a [u8]) -> Result<Frame<'a>, &'static str> {
        let (_, rest) = line
            .get(1..)
            .and_then(number)
            .and_then(|(priority, rest)| Some((priority, rest.strip_prefix(b">")?)))
            .ok_or("no-stamp")?;
        if let Some(rest) = rest.strip_prefix(b"1 ") {
            return self.rfc5424(rest);
        }
        if rest.first().is_some_and(u8::is_ascii_digit) {
            return self.with_date(rest);
        }
        self.rfc3164(rest)
    }

    /// RFC 5424 after its version.
    fn rfc5424<'a>(&mut self, rest: &'a [u8]) -> Result<Frame<'a>, &'static str> {
        let (stamp, rest) = cut(rest, b' ').ok_or("no-stamp")?;
        let time = match iso_stamp(stamp, b'T') {
            Some((stamp, b"")) => self.stamps.time(&stamp)?,
            _ if stamp == b"-" => self.stamps.unstamped()?,
            _ => return Err("no-stamp"),
        };
        syslog::fields(time, rest)
    }

    fn with_date<'a>(&mut self, line: &'a [u8]) -> Result<Frame<'a>, &'static str> {
        let Some((stamp, rest)) = iso_stamp(line, b'T') else { return self.with_number(line) };
        let rest = rest.strip_prefix(b" ").ok_or("no-stamp")?;
        // A host begins with a letter or a digit: this is a program that writes such stamps itself.
        if rest.starts_with(b"[") || rest.starts_with(b"{") || starts_with_level(rest) {
            return Err("no-stamp");
        }
        if rest.starts_with(b"std") && docker::cri(rest).is_some() {
            return Err(CONTAINER);
        }
        let time = self.stamps.time(&stamp)?;
        match tagged(time, rest) {
            Err("no-tag") => syslog::fields_without_priority(time, rest).ok_or("no-tag"),
            framed => framed,
        }
    }

    /// What begins with a number that is no date.
    fn with_number<'a>(&mut self, line: &'a [u8]) -> Result<Frame<'a>, &'static str> {
        let (first, rest) = cut(line, b' ').ok_or("no-stamp")?;
        if first == b"1" && (rest.starts_with(b"- ") || iso_stamp(rest, b'T').is_some()) {
            return self.rfc5424(rest);
        }
        // RFC 6587's count of what follows, with or without the line feed.
        if rest.starts_with(b"<")
            && let Some((count, b"")) = number(first)
            && usize::try_from(count).is_ok_and(|count| count.wrapping_sub(rest.len()) <= 1)
        {
            return self.with_priority(rest);
        }
        if let &[_, _, _, _] = first
            && let Some((year, b"")) = number(first)
            && let Some((mut stamp, rest)) = short_stamp(rest)
            && stamp.civil.year == 0
        {
            stamp.civil.year = i16::try_from(year).unwrap_or_default();
            return tagged(self.stamps.time(&stamp)?, rest);
        }
        // journalctl -o short-unix: always microseconds.
        if let Some((_, fraction)) = cut(first, b'.')
            && fraction.len() == 6
            && let Some(unix) = template::unix(first)
        {
            return tagged(self.stamps.unix(unix)?, rest);
        }
        Err("no-stamp")
    }

    fn rfc3164<'a>(&mut self, line: &'a [u8]) -> Result<Frame<'a>, &'static str> {
        if let Some((stamp, rest)) = short_stamp(line) {
            return tagged(self.stamps.time_without_year(stamp)?, rest);
        }
        let (stamp, rest) = full_stamp(line).ok_or("no-stamp")?;
        tagged(self.stamps.time(&stamp)?, rest)
    }

    /// A JSON object: a container's, journald's, a template's, or a line of a program's own log.
    fn object<'a>(
        &mut self,
        line: &'a [u8],
        room: &'a mut Vec<u8>,
    ) -> Result<Frame<'a>, &'static str> {
        let mut fields = Fields { values: [None; KEYS], twice: false };
        if json::object(line, |key, value| fields.put(key, value)).is_some() {
            if fields.first(&[Key::JournalTime]).is_some() {
                return self.journal_json(&fields, room);
            }
            if let Some(Value::Text(text, escaped)) = fields.first(&[Key::Log])
                && let Some(Value::Text(stamp, _)) = fields.first(&[Key::Time])
                && let Some(Value::Text(stream, _)) = fields.first(&[Key::Stream])
            {
                let stream = Stream::of(stream).ok_or("no-stream")?;
                let time = template::moment(stamp, &mut self.stamps)?;
                return self.docker(text, escaped, stream, time, room);
            }
            if template::is_one(&fields) {
                return template::frame(&fields, &mut self.stamps, room);
            }
        }
        self.own(line).unwrap_or(Err("no-stamp"))
    }

    /// A line of a container in Docker's json-file.
    fn docker<'a>(
        &mut self,
        text: &'a [u8],
        escaped: bool,
        stream: Stream,
        time: Time,
        room: &'a mut Vec<u8>,
    ) -> Result<Frame<'a>, &'static str> {
        if escaped {
            json::unescape(text, room).ok_or("bad-escape")?;
        } else {
            room.extend_from_slice(text);
        }
        if room.pop_if(|last| *last == b'\n').is_none() {
            self.pieces.keep(stream, room, time);
            return Err(NOTHING);
        }
        self.pieces.finish(stream, room, time)?;
        room.pop_if(|last| *last == b'\r');
        self.inside(room, time)
    }

    /// A line of a container as CRI writes it.
    fn cri<'a>(
        &mut self,
        line: &'a [u8],
        room: &'a mut Vec<u8>,
    ) -> Result<Frame<'a>, &'static str> {
        let (stamp, rest) = iso_stamp(line, b'T').ok_or("no-stamp")?;
        let rest = rest.strip_prefix(b" ").ok_or("no-stamp")?;
        let (stream, last, text) = docker::cri(rest).ok_or("no-stamp")?;
        let time = self.stamps.time(&stamp)?;
        if !last {
            self.pieces.keep(stream, text, time);
            return Err(NOTHING);
        }
        if self.pieces.is_nothing() {
            return self.inside(text, time);
        }
        room.extend_from_slice(text);
        self.pieces.finish(stream, room, time)?;
        self.inside(room, time)
    }

    /// A line that something around it states the moment of.
    fn inside<'a>(&mut self, text: &'a [u8], outer: Time) -> Result<Frame<'a>, &'static str> {
        self.stamps.inside(outer);
        match self.bare(text) {
            // What the program wrote, and nobody knows which it is.
            Err("no-stamp") => {
                Ok(Frame { time: outer, host: b"", tag: b"", pid: None, text, own: None })
            }
            framed => framed.map(|frame| of_moment(frame, outer)),
        }
    }

    /// A line of a program's own log that something around it states the moment of.
    fn own_inside<'a>(
        &mut self,
        text: &'a [u8],
        outer: Time,
    ) -> Option<Result<Frame<'a>, &'static str>> {
        self.stamps.inside(outer);
        Some(self.own(text)?.map(|frame| of_moment(frame, outer)))
    }
}

/// The same frame, of the outer moment if its own is far from that.
fn of_moment(frame: Frame<'_>, outer: Time) -> Frame<'_> {
    let apart = frame.time.0.abs_diff(outer.0) > CLOCKS_APART;
    Frame { time: if apart { outer } else { frame.time }, ..frame }
}

/// The values of a JSON object that tell something.
#[derive(Debug)]
struct Fields<'a> {
    values: [Option<Value<'a>>; KEYS],
    /// One came twice.
    twice: bool,
}

impl<'a> Fields<'a> {
    fn put(&mut self, key: &[u8], value: Value<'a>) {
        if let Some(place) = Key::of(key).and_then(|key| self.values.get_mut(key as usize)) {
            self.twice |= place.is_some();
            *place = Some(value);
        }
    }

    /// The value of the first of these keys that is there.
    fn first(&self, keys: &[Key]) -> Option<Value<'a>> {
        keys.iter().find_map(|&key| *self.values.get(key as usize)?)
    }
}

/// A word for how grave it is, where a host would be: programs that write ISO stamps themselves.
fn starts_with_level(rest: &[u8]) -> bool {
    const LEVELS: [&[u8]; 6] = [b"TRACE", b"DEBUG", b"INFO", b"WARN", b"ERROR", b"FATAL"];
    rest.first().is_some_and(u8::is_ascii_uppercase)
        && cut(rest, b' ').is_some_and(|(first, _)| LEVELS.contains(&first))
}

/// `Fri 2026-11-20 14:31:01 UTC `: journalctl -o short-full. Any other zone's name is taken for the reporter's.
fn full_stamp(line: &[u8]) -> Option<(crate::stamps::Stamp, &[u8])> {
    let (weekday, rest) = cut(line, b' ')?;
    if ![b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"].iter().any(|day| weekday == *day) {
        return None;
    }
    let (mut stamp, rest) = iso_stamp(rest, b' ')?;
    let (zone, rest) = cut(rest.strip_prefix(b" ")?, b' ')?;
    match zone.first()? {
        b'+' | b'-' => stamp.offset = Some(crate::stamps::short_offset(zone)?),
        _ if zone == b"UTC" || zone == b"GMT" => stamp.offset = Some(0),
        _ if zone.len() <= 5 && zone.iter().all(u8::is_ascii_uppercase) => {}
        _ => return None,
    }
    Some((stamp, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn latest() -> Time {
        Time::parse("2026-11-20T15:00:00Z").expect("a time")
    }

    fn framed(line: &str) -> Result<(String, String, String, Option<u32>, String), &'static str> {
        let mut room = Vec::new();
        let frame = Framer::new(TimeZone::UTC).frame(line.as_bytes(), latest(), &mut room)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((frame.time.to_string(), text(frame.host), text(frame.tag), frame.pid, text(frame.text)))
    }

    #[test]
    fn every_wrapping_comes_off() {
        let time = "2026-11-20T13:40:22Z";
        for (line, host, tag, pid, text) in [
            (
                "Nov 20 13:40:22 mx postfix/smtpd[77]: text: x",
                "mx",
                "postfix/smtpd",
                Some(77),
                "text: x",
            ),
            (
                "Nov 20 13:40:22 mx postfix/smtpd[77]: text\r",
                "mx",
                "postfix/smtpd",
                Some(77),
                "text",
            ),
            ("<22>Nov 20 13:40:22 mx exim[7]: text", "mx", "exim", Some(7), "text"),
            (
                "Nov 20 13:40:22 <mail.notice> robin sm-mta[7]: text",
                "robin",
                "sm-mta",
                Some(7),
                "text",
            ),
            ("Nov 20 13:40:22 mx a[7]: [ID 407019 mail.info] text", "mx", "a", Some(7), "text"),
            ("Nov 20 13:40:22 mx a[7]: [146] text", "mx", "a", Some(7), "[146] text"),
            ("Nov 20 13:40:22 postfix/smtpd[7]: text", "", "postfix/smtpd", Some(7), "text"),
            (
                "2026-11-20T13:40:22.984434+00:00 mx postfix/smtpd[77]: text",
                "mx",
                "postfix/smtpd",
                Some(77),
                "text",
            ),
            ("2026-11-20T14:40:22+01:00 mx kernel: text", "mx", "kernel", None, "text"),
            (
                "<22>1 2026-11-20T13:40:22Z mx postfix 77 - -  text",
                "mx",
                "postfix",
                Some(77),
                "text",
            ),
            (
                "<22>1 2026-11-20T13:40:22Z mx exim 77 id [a@1 b=\"]\\\"] x\"][c@1] \u{feff}text",
                "mx",
                "exim",
                Some(77),
                "text",
            ),
            ("<22>1 2026-11-20T13:40:22Z mx exim - - - text", "mx", "exim", None, "text"),
            ("<22>1 2026-11-20T13:40:22Z - exim - - -", "", "exim", None, ""),
            ("1 2026-11-20T13:40:22Z mx exim 7 - - a: b", "mx", "exim", Some(7), "a: b"),
            ("2026-11-20T13:40:22Z mx postfix 7 - -  a: b", "mx", "postfix", Some(7), "a: b"),
            ("45 <22>1 2026-11-20T13:40:22Z mx exim 7 - - text", "mx", "exim", Some(7), "text"),
            ("46 <22>1 2026-11-20T13:40:22Z mx exim 7 - - text", "mx", "exim", Some(7), "text"),
            ("Nov 20 2026 13:40:22 mx exim[7]: text", "mx", "exim", Some(7), "text"),
            ("2026 Nov 20 13:40:22 mx exim[7]: text", "mx", "exim", Some(7), "text"),
            ("Nov 20 13:40:22.123 mx exim[7]: text", "mx", "exim", Some(7), "text"),
            ("2026-11-20T14:40:22+0100 mx exim[7]: text", "mx", "exim", Some(7), "text"),
            ("Fri 2026-11-20 13:40:22 UTC mx exim[7]: text", "mx", "exim", Some(7), "text"),
            ("Fri 2026-11-20 10:40:22 -03 mx exim[7]: text", "mx", "exim", Some(7), "text"),
            ("Fri 2026-11-20 13:40:22 WET mx exim[7]: text", "mx", "exim", Some(7), "text"),
            ("1795182022.602850 mx exim[7]: text", "mx", "exim", Some(7), "text"),
            ("Nov 20 13:40:22 - exim[7]: text", "", "exim", Some(7), "text"),
            ("Nov 20 13:40:22  exim[7]: text", "", "exim", Some(7), "text"),
            ("Nov 20 13:40:22 2001:db8::1 exim[7]: text", "2001:db8::1", "exim", Some(7), "text"),
            ("Nov 20 13:40:22 2001:db8:: exim[7]: text", "2001:db8::", "exim", Some(7), "text"),
            ("Nov 20 13:40:22 mx.example: exim[7]: text", "mx.example", "exim", Some(7), "text"),
            ("Nov 20 13:40:22 kernel: exim[7]: text", "", "kernel", None, "exim[7]: text"),
            ("Nov 20 13:40:22 mx mail:info exim[7]: text", "mx", "exim", Some(7), "text"),
            ("Nov 20 13:40:22 mx mail:x exim[7]: text", "mx", "mail", None, "x exim[7]: text"),
            (
                r#"{"@timestamp":"2026-11-20T13:40:22Z","host":"mx","tag":"a\/b[7]:","message":" x\"\\ y"}"#,
                "mx",
                "a/b",
                Some(7),
                "x\"\\ y",
            ),
            (
                r#"{"time":"2026-11-20T13:40:22Z","hostname":"mx","program":"a","pid":7,"msg":"x"}"#,
                "mx",
                "a",
                Some(7),
                "x",
            ),
            (
                r#"{"__REALTIME_TIMESTAMP":"1795182022999999","_COMM":"a","_PID":"7","MESSAGE":[120,10]}"#,
                "",
                "a",
                Some(7),
                "x\n",
            ),
            (
                r#"{"__REALTIME_TIMESTAMP":"1795182022999999","CONTAINER_ID":"c","SYSLOG_IDENTIFIER":"d","MESSAGE":"Nov 20 13:40:22 mx a[7]: x"}"#,
                "mx",
                "a",
                Some(7),
                "x",
            ),
            (
                r#"{"log":"a[7]: x\r\n","stream":"stdout","time":"2026-11-20T13:40:22.5Z"}"#,
                "",
                "a",
                Some(7),
                "x",
            ),
            (
                r#"{"log":"whatever\n","stream":"stderr","time":"2026-11-20T13:40:22.5Z"}"#,
                "",
                "",
                None,
                "whatever",
            ),
            // The clock inside is an hour off: it is in another zone.
            ("2026-11-20T13:40:22.5Z stdout F Nov 20 12:40:22 mx a[7]: x", "mx", "a", Some(7), "x"),
            ("2026-11-20 13:40:22 text", "", "", None, "text"),
            ("2026-11-20 13:40:22.619 +0000 [146] text", "", "", Some(146), "text"),
            ("2026-11-20 11:40:22 -0200 text", "", "", None, "text"),
            (
                "Nov 20 13:40:22 mx postfix/smtpd[7]: message repeated 4 times: [ a [b]]",
                "mx",
                "postfix/smtpd",
                Some(7),
                "a [b]",
            ),
        ] {
            let expected = (time.to_owned(), host.to_owned(), tag.to_owned(), pid, text.to_owned());
            assert_eq!(framed(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_wrapping_says_why() {
        for (line, why) in [
            ("", "empty"),
            ("Envelope-from: <a@b>", "no-stamp"),
            ("Nov 31 13:40:22 mx a: text", "bad-stamp"),
            ("Nov 20 25:40:22 mx a: text", "no-stamp"),
            ("2026-02-29T13:40:22Z mx a: text", "bad-stamp"),
            ("2026-11-22T13:40:22Z mx a: text", "future-stamp"),
            ("2026-11-20T13:40:22Z mx", "cut-header"),
            ("2026-11-20T13:40:22Z mx text without tag", "no-tag"),
            ("<22>1 2026-11-20T13:40:22Z mx exim", "cut-header"),
            ("<22>Nov 20 13:40:22 mx exim", "no-tag"),
            ("Nov 20 13:40:22.5: %SYS-5-CONFIG_I: x", "no-stamp"),
            ("000123: Nov 20 13:40:22: %SYS-5-CONFIG_I: x", "no-stamp"),
            ("44 <22>1 2026-11-20T13:40:22Z mx exim 7 - - text", "no-stamp"),
            ("Nov 20 13:40:22 mx last message repeated 4 times", NOTHING),
            ("Nov 20 13:40:22 last message repeated 4 times", NOTHING),
            ("Nov 20 13:40:22 mx -- MARK --", NOTHING),
            ("Nov 20 13:40:22 mx a[7]: [178B blob data]", NOTHING),
            ("-- Boot 143b650ab8c4408f8e4ccd05416f9bc4 --", NOTHING),
            // A program's own log: the word is no host.
            (r#"{"time":"2026-11-20T13:40:22Z","tag":"a:","message":"x","message":"y"}"#, "twice"),
            (r#"{"time":"2026-11-20T13:40:22Z","tag":"a:","message":"\x"}"#, "bad-value"),
            (r#"{"time":"2026-11-20T13:40:22Z","tag":"a b","message":"x"}"#, "no-tag"),
            (
                r#"{"__REALTIME_TIMESTAMP":"1","SYSLOG_IDENTIFIER":"a","MESSAGE":null}"#,
                "no-message",
            ),
            (r#"{"__REALTIME_TIMESTAMP":"1","_COMM":"a","MESSAGE":["x","y"]}"#, "no-message"),
            (r#"{"__REALTIME_TIMESTAMP":"x","_COMM":"a","MESSAGE":"x"}"#, "bad-stamp"),
            (r#"{"log":"x","stream":"stdout","time":"2026-11-20T13:40:22.5Z"}"#, NOTHING),
            ("2026-11-20T13:40:22.5Z stdout P x", NOTHING),
            ("2026-11-20T13:40:22.5Z stdout F 2026-11-20T13:40:22.5Z stdout F x", "container"),
            ("__CURSOR=s=1", NOTHING),
        ] {
            assert_eq!(framed(line), Err(why), "{line}");
        }
    }

    #[test]
    fn the_year_is_the_newest_that_fits() {
        for (stamp, latest, zone, expected) in [
            ("Nov 20 13:40:22", "2026-11-20T15:00:00Z", "UTC", "2026-11-20T13:40:22Z"),
            ("Nov  2 13:40:22", "2026-11-20T15:00:00Z", "UTC", "2026-11-02T13:40:22Z"),
            ("Nov 2 13:40:22", "2026-11-20T15:00:00Z", "UTC", "2026-11-02T13:40:22Z"),
            ("Nov 02 13:40:22", "2026-11-20T15:00:00Z", "UTC", "2026-11-02T13:40:22Z"),
            ("Nov 21 14:40:22", "2026-11-20T15:00:00Z", "UTC", "2026-11-21T14:40:22Z"),
            ("Nov 21 15:40:22", "2026-11-20T15:00:00Z", "UTC", "2025-11-21T15:40:22Z"),
            ("Dec 31 23:59:59", "2027-01-01T00:00:10Z", "UTC", "2026-12-31T23:59:59Z"),
            ("Jan  1 00:00:05", "2026-12-31T23:59:59Z", "UTC", "2027-01-01T00:00:05Z"),
            ("Feb 29 12:00:00", "2026-11-20T15:00:00Z", "UTC", "2024-02-29T12:00:00Z"),
            ("Jul  1 12:00:00", "2026-11-20T15:00:00Z", "Europe/Berlin", "2026-07-01T10:00:00Z"),
            ("Nov 20 12:00:00", "2026-11-20T15:00:00Z", "Europe/Berlin", "2026-11-20T11:00:00Z"),
            // The clock shows this hour twice: the first pass is summer time.
            ("Oct 25 02:30:00", "2026-11-20T15:00:00Z", "Europe/Berlin", "2026-10-25T00:30:00Z"),
            (
                "Jan  1 05:00:00",
                "2026-12-31T23:59:59Z",
                "Pacific/Kiritimati",
                "2026-12-31T15:00:00Z",
            ),
        ] {
            let line = format!("{stamp} mx a: text");
            let mut room = Vec::new();
            let mut framer = Framer::new(TimeZone::get(zone).expect(zone));
            let latest = Time::parse(latest).expect(latest);
            let frame = framer.frame(line.as_bytes(), latest, &mut room).expect(&line);
            assert_eq!(frame.time.to_string(), expected, "{stamp} before {latest} in {zone}");
        }
    }

    #[test]
    fn months_of_other_languages() {
        for (names, month) in [
            (["Jan", "Jan", "janv.", "ene", "gen", "jan"], 1),
            (["Feb", "Feb", "f\u{e9}vr.", "feb", "feb", "fev"], 2),
            (["Mar", "M\u{e4}r", "mars", "mar", "mrt", "mar"], 3),
            (["Apr", "Apr", "avril", "abr", "apr", "abr"], 4),
            (["May", "Mai", "mai", "may", "mag", "mei"], 5),
            (["Jun", "Jun", "juin", "jun", "giu", "jun"], 6),
            (["Jul", "Jul", "juil.", "jul", "lug", "jul"], 7),
            (["Aug", "Aug", "ao\u{fb}t", "ago", "ago", "aug"], 8),
            (["Sep", "Sep", "sept.", "sep", "set", "set"], 9),
            (["Oct", "Okt", "oct.", "oct", "ott", "out"], 10),
            (["Nov", "Nov", "nov.", "nov", "nov", "nov"], 11),
            (["Dec", "Dez", "d\u{e9}c.", "dic", "dez", "dec"], 12),
        ] {
            for name in names {
                let latin: Vec<u8> = format!("{name} 03 12:00:00 mx a: text")
                    .chars()
                    .map(|letter| u8::try_from(u32::from(letter)).expect("Latin-1"))
                    .collect();
                for line in [format!("{name}  3 12:00:00 mx a: text").into_bytes(), latin] {
                    let mut room = Vec::new();
                    let late = Time::parse("2026-12-20T15:00:00Z").expect("a time");
                    let frame =
                        Framer::new(TimeZone::UTC).frame(&line, late, &mut room).expect(name);
                    assert_eq!(
                        frame.time.to_string(),
                        format!("2026-{month:02}-03T12:00:00Z"),
                        "{name}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_repeated_hour_is_read_by_order() {
        let berlin = || TimeZone::get("Europe/Berlin").expect("a zone");
        let mut framer = Framer::new(berlin());
        for (clock, expected) in [
            ("01:59:59", "2026-10-24T23:59:59Z"),
            ("02:00:00", "2026-10-25T00:00:00Z"),
            ("02:59:59", "2026-10-25T00:59:59Z"),
            // Two processes, a little out of order.
            ("02:59:10", "2026-10-25T00:59:10Z"),
            ("02:59:59", "2026-10-25T00:59:59Z"),
            ("02:00:01", "2026-10-25T01:00:01Z"),
            ("02:30:00", "2026-10-25T01:30:00Z"),
            ("02:59:58", "2026-10-25T01:59:58Z"),
            ("02:59:00", "2026-10-25T01:59:00Z"),
            ("03:00:00", "2026-10-25T02:00:00Z"),
            ("02:59:59", "2026-10-25T01:59:59Z"),
            // Another log.
            ("06:00:00", "2026-10-25T05:00:00Z"),
            ("02:30:00", "2026-10-25T00:30:00Z"),
        ] {
            let line = format!("Oct 25 {clock} mx a: text");
            let mut other = Framer::new(berlin());
            other.restore(framer.save());
            for framer in [&mut framer, &mut other] {
                let mut room = Vec::new();
                let frame = framer.frame(line.as_bytes(), latest(), &mut room).expect("a frame");
                assert_eq!(frame.time.to_string(), expected, "{clock}");
            }
        }
        // The hour that the clock leaves out.
        let mut room = Vec::new();
        let frame = framer.frame(b"Mar 29 02:30:00 mx a: text", latest(), &mut room);
        assert_eq!(frame.expect("a frame").time.to_string(), "2026-03-29T01:30:00Z");
        // Outside is said which pass it is.
        for hour in ["00", "01"] {
            let line = format!("2026-10-25T{hour}:30:01Z stdout F Oct 25 02:30:00 mx a: text");
            let mut room = Vec::new();
            let frame = framer.frame(line.as_bytes(), latest(), &mut room).expect("a frame");
            assert_eq!(frame.time.to_string(), format!("2026-10-25T{hour}:30:00Z"));
        }
    }

    #[test]
    fn pieces_of_a_line_are_joined_by_stream_and_bounded() {
        let cri = |second: u32, rest: &str| format!("2026-11-20T13:40:{second:02}.5Z {rest}");
        let text = |framer: &mut Framer, line: &str| {
            let mut room = Vec::new();
            let frame = framer.frame(line.as_bytes(), latest(), &mut room);
            frame.map(|frame| String::from_utf8_lossy(frame.text).into_owned())
        };
        let mut framer = Framer::new(TimeZone::UTC);
        assert_eq!(text(&mut framer, &cri(0, "stdout P exim[1]: a")), Err(NOTHING));
        assert_eq!(text(&mut framer, &cri(0, "stderr P exim[2]: x")), Err(NOTHING));
        assert_eq!(text(&mut framer, &cri(1, "stdout P b")), Err(NOTHING));
        assert_eq!(text(&mut framer, &cri(1, "stdout F c")), Ok("abc".to_owned()));
        assert_eq!(text(&mut framer, &cri(1, "stdout F exim[1]: d")), Ok("d".to_owned()));
        // What waited too long is another's.
        assert_eq!(text(&mut framer, &cri(9, "stderr F exim[2]: y")), Ok("y".to_owned()));
        assert!(!framer.is_amid());
        let long = cri(10, &format!("stdout P exim[1]: {}", "z".repeat(40_000)));
        assert_eq!(text(&mut framer, &long), Err(NOTHING));
        assert_eq!(text(&mut framer, &long), Err(NOTHING));
        assert_eq!(text(&mut framer, &cri(10, "stdout F c")), Err("too-long"));
        assert!(!framer.is_amid());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut room = Vec::new();
            let mut framer = Framer::new(TimeZone::UTC);
            let _unread = framer.frame(&line, latest(), &mut room);
        }

        #[test]
        fn what_is_taken_out_was_in_the_line(text in "[ -~]{0,40}", pid in 0u32..99_999) {
            let line = format!("2026-11-20T13:40:22Z mx a[{pid}]: {text}");
            let mut room = Vec::new();
            let mut framer = Framer::new(TimeZone::UTC);
            let frame = framer.frame(line.as_bytes(), latest(), &mut room).expect("a frame");
            prop_assert_eq!(frame.pid, Some(pid));
            prop_assert!(memchr::memmem::find(line.as_bytes(), frame.text).is_some());
        }
    }
}

//! JSON objects that log writers make of a message by a template: rsyslog, syslog-ng, fluentd.
//!
//! `{"@timestamp":"2026-11-20T14:27:34.9+00:00","host":"mx","tag":"postfix\/smtpd[339]:","message":" .."}`. There is no
//! one set of keys; taken are the common ones (`keys`), of several that say the same the one that says most (a
//! tag keeps the slash that a program's name loses). Without a tag or program, or without a message, it is no such
//! line but maybe a program's own.
//!
//! A template that does not escape (`"%msg%"` where it should say `%msg:::json%`) lets a client end the string and
//! go on with keys of its own. Then some key comes twice, and the line is refused.

use helostat_zones::time::Time;

use super::json::{Value, unescape};
use super::keys::Key;
use super::syslog::{said, tag_and_pid};
use super::{Fields, Frame};
use crate::bytes::digits_of;
use crate::stamps::{Stamps, iso_stamp, offset_of, short_clock};

const TIMES: [Key; 7] = [
    Key::AtTimestamp,
    Key::Timestamp,
    Key::TimeReported,
    Key::IsoDate,
    Key::Time,
    Key::Date,
    Key::TimeGenerated,
];
const TEXTS: [Key; 3] = [Key::Message, Key::Msg, Key::JournalMessage];
const TAGS: [Key; 7] = [
    Key::SyslogTag,
    Key::Tag,
    Key::JournalIdentifier,
    Key::Program,
    Key::ProgramName,
    Key::AppName,
    Key::Ident,
];
const PIDS: [Key; 4] = [Key::ProcId, Key::Pid, Key::JournalSyslogPid, Key::JournalPid];
const HOSTS: [Key; 3] = [Key::HostName, Key::Host, Key::JournalHost];

/// True if an object has what a template's has.
pub(super) fn is_one(fields: &Fields<'_>) -> bool {
    fields.first(&TEXTS).is_some() && fields.first(&TAGS).is_some()
}

/// The frame of a template's object.
pub(super) fn frame<'a>(
    fields: &Fields<'a>,
    stamps: &mut Stamps,
    room: &'a mut Vec<u8>,
) -> Result<Frame<'a>, &'static str> {
    if fields.twice {
        return Err("twice");
    }
    let text = |keys: &[Key], room: &mut Vec<u8>| match fields.first(keys) {
        Some(value) => room_of(value, room).ok_or("bad-value").map(Some),
        None => Ok(None),
    };
    let time = match text(&TIMES, room)? {
        Some(stamp) => moment(stamp.of(room), stamps)?,
        None => stamps.unstamped()?,
    };
    let pid = text(&PIDS, room)?.and_then(|pid| digits_of(pid.of(room)));
    let nothing = Place::Line(b"");
    let host = text(&HOSTS, room)?.unwrap_or(nothing);
    let tag = text(&TAGS, room)?.unwrap_or(nothing);
    let text = text(&TEXTS, room)?.unwrap_or(nothing);
    let room: &'a [u8] = room;
    whole(time, host.of(room), tag.of(room), pid, text.of(room))
}

fn whole<'a>(
    time: Time,
    host: &'a [u8],
    tag: &'a [u8],
    pid: Option<u32>,
    text: &'a [u8],
) -> Result<Frame<'a>, &'static str> {
    let (tag, tags_pid) = tag_and_pid(tag.strip_suffix(b":").unwrap_or(tag)).ok_or("no-tag")?;
    said(time, host, tag, tags_pid.or(pid), text.strip_prefix(b" ").unwrap_or(text))
}

/// The moment that the whole of `text` says: RFC 3339, syslog's stamp, or unix seconds.
pub(super) fn moment(text: &[u8], stamps: &mut Stamps) -> Result<Time, &'static str> {
    if let Some((mut stamp, rest)) = iso_stamp(text, b'T').or_else(|| iso_stamp(text, b' ')) {
        let zone = rest.strip_prefix(b" ").unwrap_or(rest);
        match zone {
            b"" => {}
            b"Z" | b"UTC" => stamp.offset = Some(0),
            zone => stamp.offset = Some(offset_of(zone).ok_or("bad-stamp")?),
        }
        return stamps.time(&stamp);
    }
    if let Some((stamp, b"")) = short_clock(text) {
        return stamps.time_without_year(stamp);
    }
    unix(text).map_or(Err("bad-stamp"), |unix| stamps.unix(unix))
}

/// Unix seconds with or without a fraction.
pub(super) fn unix(text: &[u8]) -> Option<i64> {
    let digits = text.iter().take(11).take_while(|byte| byte.is_ascii_digit()).count();
    let (seconds, rest) = text.split_at_checked(digits)?;
    let fraction = rest.strip_prefix(b".").unwrap_or(rest);
    if !(9..=10).contains(&digits) || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    whole_number(seconds)
}

/// A number of any length that fits.
pub(super) fn whole_number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
    })
}

/// Where a value's bytes are: in the line, or unescaped in the room.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Line(&'a [u8]),
    Room(usize, usize),
}

impl<'a> Place<'a> {
    pub(super) fn of<'b>(self, room: &'b [u8]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Line(bytes) => bytes,
            Self::Room(begin, end) => room.get(begin..end).unwrap_or_default(),
        }
    }
}

/// A text or number, unescaped into the room if it must be; `None` if it is neither, or damaged.
pub(super) fn room_of<'a>(value: Value<'a>, room: &mut Vec<u8>) -> Option<Place<'a>> {
    match value {
        Value::Text(inside, false) | Value::Number(inside) => Some(Place::Line(inside)),
        Value::Text(inside, true) => {
            let begin = room.len();
            unescape(inside, room)?;
            Some(Place::Room(begin, room.len()))
        }
        Value::List(_) | Value::Other => None,
    }
}

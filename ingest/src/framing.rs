//! What is wrapped around a log message: the stamp, the host, the program and its pid.
//!
//! In go the bytes of one line without its line feed, and the newest moment it can be from; out comes
//! a `Frame` that borrows from the line, or a short reason word. Nothing is unescaped: `#012` and the
//! like stay as they are, so that a client can never make one line look like two.
//!
//! Understood are: RFC 3164 files (`Nov 20 13:40:22 host tag[pid]: text`, the day padded with a blank,
//! a zero or nothing; also with a leading `<22>`, with `<mail.info>` after the stamp and with Solaris'
//! `[ID 407019 mail.info]`), rsyslog's ISO stamps (`2026-11-20T14:27:35.2+00:00 host tag[pid]: text`), RFC 5424
//! (`<22>1 2026-11-20T14:27:35Z host app pid msgid sd text`) and Exim's own log
//! (`2026-11-20 14:38:50.619 +0000 [146] text`, its zone and pid optional). rsyslog's
//! `message repeated 4 times: [ text]` is unwrapped: the text is read once more, which changes no
//! session.
//!
//! RFC 3164 stamps have no year: the newest year that puts the line at or before `latest` plus a
//! day is taken; 29 February steps back to a leap year. Stamps without an offset are civil time in the
//! reporter's zone; an hour that the clock repeats is read as its first pass. A stamp later than
//! `latest` plus a day is refused in every framing: one wild clock must not age every open session.
//!
//! Not done here: journald's JSON, docker's JSON, RFC 6587 octet counting.

use helostat_zones::time::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::bytes::{cut, cut_at, digits_of, number};
use crate::fate::Program;
use crate::format::TABLE;
use crate::stamps::{Stamps, iso_stamp, short_stamp};

/// How long host and tag may be together: 255 and 48 in RFC 5424. They are kept with every open session.
const TAG_MAX: usize = 303;
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
pub(crate) struct Saved {
    #[serde(default)]
    stamped: bool,
}

impl Saved {
    /// True if nothing is remembered.
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads wrappings.
#[derive(Debug)]
pub struct Framer {
    stamps: Stamps,
}

impl Framer {
    /// A reader of wrappings whose bare stamps are civil time in `zone`.
    pub fn new(zone: TimeZone) -> Self {
        Self { stamps: Stamps::new(zone) }
    }

    /// What later lines need of those before, to be stored.
    pub(crate) fn save(&self) -> Saved {
        Saved { stamped: self.stamps.stamped }
    }

    /// Takes up what `save` gave.
    pub(crate) fn restore(&mut self, saved: Saved) {
        self.stamps.stamped = saved.stamped;
    }

    /// For formats that read stamps of their own.
    pub(crate) fn stamps(&mut self) -> &mut Stamps {
        &mut self.stamps
    }

    /// Takes a line out of its wrapping. `latest` is the newest moment the line can be from; what must be
    /// unescaped to be read is put into `room`.
    pub fn frame<'a>(
        &mut self,
        line: &'a [u8],
        latest: Time,
        room: &'a mut Vec<u8>,
    ) -> Result<Frame<'a>, &'static str> {
        self.stamps.begin(latest);
        room.clear();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.bare(line)
    }

    /// A line that no other wrapping is around.
    fn bare<'a>(&mut self, line: &'a [u8]) -> Result<Frame<'a>, &'static str> {
        let framed = match line.first() {
            None => return Err("empty"),
            Some(b'<') => self.with_priority(line),
            Some(byte) if byte.is_ascii_digit() => self.with_date(line),
            Some(_) => self.rfc3164(line),
        };
        match framed {
            Err(why) => self.own(line).unwrap_or_else(|| self.unstamped(line, why)),
            framed => framed,
        }
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
        let (head, text) = cut_at(line, b": ").ok_or(why)?;
        let (tag, inside) = cut(head, b'[').ok_or(why)?;
        let pid = inside.strip_suffix(b"]").and_then(digits_of).ok_or(why)?;
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(byte);
        if tag.is_empty() || tag.len() > TAG_MAX || !tag.iter().all(plain) {
            return Err(why);
        }
        let time = self.stamps.unstamped()?;
        Ok(unrepeated(Frame { time, host: b"", tag, pid: Some(pid), text, own: None }))
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

    fn rfc5424<'a>(&mut self, rest: &'a [u8]) -> Result<Frame<'a>, &'static str> {
        let (stamp, rest) = cut(rest, b' ').ok_or("no-stamp")?;
        let (stamp, after) = iso_stamp(stamp, b'T').ok_or("no-stamp")?;
        if !after.is_empty() {
            return Err("no-stamp");
        }
        let time = self.stamps.time(&stamp)?;
        let fields = (|| {
            let (host, rest) = cut(rest, b' ')?;
            let (app, rest) = cut(rest, b' ')?;
            let (pid, rest) = cut(rest, b' ')?;
            let (_msgid, rest) = cut(rest, b' ')?;
            Some((host, app, pid, structured_data(rest)?))
        })();
        let (host, tag, pid, text) = fields.ok_or("cut-header")?;
        if host.len() + tag.len() > TAG_MAX {
            return Err("no-tag");
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let text = text.strip_prefix(b" ").unwrap_or(text);
        Ok(unrepeated(Frame { time, host, tag, pid: digits_of(pid), text, own: None }))
    }

    fn with_date<'a>(&mut self, line: &'a [u8]) -> Result<Frame<'a>, &'static str> {
        let (stamp, rest) = iso_stamp(line, b'T').ok_or("no-stamp")?;
        let rest = rest.strip_prefix(b" ").ok_or("no-stamp")?;
        // A host begins with a letter or a digit: this is a program that writes such stamps itself.
        if rest.starts_with(b"[") || rest.starts_with(b"{") {
            return Err("no-stamp");
        }
        tagged(self.stamps.time(&stamp)?, rest)
    }

    fn rfc3164<'a>(&mut self, line: &'a [u8]) -> Result<Frame<'a>, &'static str> {
        let (stamp, rest) = short_stamp(line).ok_or("no-stamp")?;
        tagged(self.stamps.time_without_year(stamp)?, rest)
    }
}

/// `HOST TAG[PID]: TEXT`, the host possibly missing.
fn tagged(time: Time, rest: &[u8]) -> Result<Frame<'_>, &'static str> {
    // FreeBSD's syslogd -v writes the priority in words between stamp and host.
    let rest = match rest.strip_prefix(b"<") {
        Some(words) => cut_at(words, b"> ").ok_or("cut-header")?.1,
        None => rest,
    };
    let (first, after) = cut(rest, b' ').ok_or("cut-header")?;
    let (host, rest) = if first.ends_with(b":") { (b"".as_slice(), rest) } else { (first, after) };
    let (head, text) = cut(rest, b':').ok_or("no-tag")?;
    let (tag, pid) = match cut(head, b'[') {
        Some((tag, inside)) => {
            let pid = inside.strip_suffix(b"]").ok_or("no-tag")?;
            (tag, digits_of(pid))
        }
        None => (head, None),
    };
    if tag.is_empty() || tag.contains(&b' ') || host.len() + tag.len() > TAG_MAX {
        return Err("no-tag");
    }
    let mut text = text.strip_prefix(b" ").unwrap_or(text);
    if let Some(solaris) = text.strip_prefix(b"[ID ")
        && let Some((_, rest)) = cut_at(solaris, b"] ")
    {
        text = rest;
    }
    Ok(unrepeated(Frame { time, host, tag, pid, text, own: None }))
}

/// Unwraps rsyslog's `message repeated N times: [ TEXT]`: exactly one final bracket is its own.
fn unrepeated(frame: Frame<'_>) -> Frame<'_> {
    let inner = (|| {
        let rest = frame.text.strip_prefix(b"message repeated ")?;
        let (_, rest) = number(rest)?;
        rest.strip_prefix(b" times: [")?.strip_suffix(b"]")
    })();
    match inner {
        Some(text) => Frame { text: text.strip_prefix(b" ").unwrap_or(text), ..frame },
        None => frame,
    }
}

/// What follows RFC 5424's structured data: `-` or `[..]` elements, quotes escaped by backslash.
fn structured_data(rest: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = rest.strip_prefix(b"-") {
        return if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b" ") };
    }
    let mut quoted = false;
    let mut escaped = false;
    for (at, &byte) in rest.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted && rest.get(at + 1) != Some(&b'[') => {
                let after = rest.get(at + 1..)?;
                return if after.is_empty() { Some(after) } else { after.strip_prefix(b" ") };
            }
            _ => {}
        }
    }
    None
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

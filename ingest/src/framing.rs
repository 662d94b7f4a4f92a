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
use jiff::civil;
use jiff::tz::TimeZone;

use crate::bytes::{cut, cut_at, digits_of, number};

/// How far after `latest` a stamp may lie: clocks and zones are set wrongly more often than that.
const FUTURE_SECONDS: i64 = 86_400;
/// How long host and tag may be together: 255 and 48 in RFC 5424. They are kept with every open session.
const TAG_MAX: usize = 303;
/// How many years back a stamp without a year is looked for: 29 February comes once in eight at worst.
const YEARS_BACK: i16 = 8;

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
    /// Which wrapping it was.
    pub framing: Framing,
}

/// The wrappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A syslog file or record, with the program's tag.
    Syslog,
    /// Exim's own main log.
    Exim,
}

/// Reads wrappings; keeps the reporter's time zone and the last civil minute it looked up.
#[derive(Debug)]
pub struct Framer {
    zone: TimeZone,
    minute: Option<(Civil, i64)>,
}

/// A civil minute, the key of the one-entry cache: lines of one minute come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: i16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
}

/// A stamp's parts: the minute, the seconds in it, and the offset where the stamp states one.
struct Stamp {
    civil: Civil,
    second: u8,
    offset: Option<i64>,
}

impl Framer {
    /// A reader of wrappings whose bare stamps are civil time in `zone`.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, minute: None }
    }

    /// Takes a line out of its wrapping. `latest` is the newest moment the line can be from.
    pub fn frame<'a>(&mut self, line: &'a [u8], latest: Time) -> Result<Frame<'a>, &'static str> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.first() {
            None => Err("empty"),
            Some(b'<') => self.with_priority(line, latest),
            Some(byte) if byte.is_ascii_digit() => self.with_date(line, latest),
            Some(_) => self.rfc3164(line, latest),
        }
    }

    fn with_priority<'a>(
        &mut self,
        line: &'a [u8],
        latest: Time,
    ) -> Result<Frame<'a>, &'static str> {
        let (_, rest) = line
            .get(1..)
            .and_then(number)
            .and_then(|(priority, rest)| Some((priority, rest.strip_prefix(b">")?)))
            .ok_or("no-stamp")?;
        if let Some(rest) = rest.strip_prefix(b"1 ") {
            return self.rfc5424(rest, latest);
        }
        if rest.first().is_some_and(u8::is_ascii_digit) {
            return self.with_date(rest, latest);
        }
        self.rfc3164(rest, latest)
    }

    fn rfc5424<'a>(&mut self, rest: &'a [u8], latest: Time) -> Result<Frame<'a>, &'static str> {
        let (stamp, rest) = cut(rest, b' ').ok_or("no-stamp")?;
        let (stamp, after) = iso_stamp(stamp, b'T').ok_or("no-stamp")?;
        if !after.is_empty() {
            return Err("no-stamp");
        }
        let time = self.time(&stamp, latest)?;
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
        let frame = Frame { time, host, tag, pid: digits_of(pid), text, framing: Framing::Syslog };
        Ok(unrepeated(frame))
    }

    fn with_date<'a>(&mut self, line: &'a [u8], latest: Time) -> Result<Frame<'a>, &'static str> {
        if line.get(10) == Some(&b' ') {
            return self.exim(line, latest);
        }
        let (stamp, rest) = iso_stamp(line, b'T').ok_or("no-stamp")?;
        let time = self.time(&stamp, latest)?;
        tagged(time, rest.strip_prefix(b" ").ok_or("no-stamp")?)
    }

    fn exim<'a>(&mut self, line: &'a [u8], latest: Time) -> Result<Frame<'a>, &'static str> {
        let (stamp, rest) = exim_stamp(line).ok_or("no-stamp")?;
        let time = self.time(&stamp, latest)?;
        let (pid, text) = leading_pid(rest);
        Ok(Frame { time, host: b"", tag: b"", pid, text, framing: Framing::Exim })
    }

    fn rfc3164<'a>(&mut self, line: &'a [u8], latest: Time) -> Result<Frame<'a>, &'static str> {
        let (stamp, rest) = short_stamp(line).ok_or("no-stamp")?;
        let time = self.time_without_year(stamp, latest)?;
        tagged(time, rest)
    }

    fn time(&mut self, stamp: &Stamp, latest: Time) -> Result<Time, &'static str> {
        let minute = match stamp.offset {
            Some(offset) => utc_minute(stamp.civil).map(|minute| minute - offset),
            None => self.zoned_minute(stamp.civil),
        };
        let unix = minute.ok_or("bad-stamp")? + i64::from(stamp.second);
        if unix > i64::from(latest.0) + FUTURE_SECONDS {
            return Err("future-stamp");
        }
        if unix < 0 {
            return Err("bad-stamp");
        }
        Ok(Time::from_unix(unix))
    }

    fn time_without_year(&mut self, stamp: Stamp, latest: Time) -> Result<Time, &'static str> {
        // Two days on, so that no zone can hide the year that begins within the allowed day.
        let newest = year_of(i64::from(latest.0) + 2 * FUTURE_SECONDS);
        for back in 0..=YEARS_BACK {
            let civil = Civil { year: newest - back, ..stamp.civil };
            let stamp = Stamp { civil, second: stamp.second, offset: None };
            if let Ok(time) = self.time(&stamp, latest) {
                return Ok(time);
            }
        }
        Err("bad-stamp")
    }

    /// The unix second at which a civil minute begins in the reporter's zone.
    fn zoned_minute(&mut self, civil: Civil) -> Option<i64> {
        if let Some((known, unix)) = self.minute
            && known == civil
        {
            return Some(unix);
        }
        let date = civil::Date::new(civil.year, civil.month.cast_signed(), civil.day.cast_signed());
        let time = civil::Time::new(civil.hour.cast_signed(), civil.minute.cast_signed(), 0, 0);
        let moment = date.ok()?.to_datetime(time.ok()?);
        let unix = self.zone.to_ambiguous_timestamp(moment).compatible().ok()?.as_second();
        self.minute = Some((civil, unix));
        Some(unix)
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
    Ok(unrepeated(Frame { time, host, tag, pid, text, framing: Framing::Syslog }))
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

/// `[146] ` before Exim's text, with `+pid`.
pub(crate) fn leading_pid(text: &[u8]) -> (Option<u32>, &[u8]) {
    let found = (|| {
        let (pid, rest) = number(text.strip_prefix(b"[")?)?;
        Some((pid, rest.strip_prefix(b"] ")?))
    })();
    match found {
        Some((pid, rest)) => (Some(pid), rest),
        None => (None, text),
    }
}

/// Exim's own stamp and the blank after it, with its zone and fraction if they are there.
fn exim_stamp(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let (mut stamp, rest) = iso_stamp(line, b' ')?;
    let mut rest = rest.strip_prefix(b" ")?;
    if let Some((zone, after)) = rest.split_at_checked(5)
        && let Some(offset) = offset_of(zone)
        && let Some(after) = after.strip_prefix(b" ")
    {
        stamp.offset = Some(offset);
        rest = after;
    }
    Some((stamp, rest))
}

/// The text of an Exim line that syslog wraps, without the stamp Exim repeats by default.
pub(crate) fn without_exim_stamp(text: &[u8]) -> &[u8] {
    if text.get(10) != Some(&b' ') || !text.first().is_some_and(u8::is_ascii_digit) {
        return text;
    }
    exim_stamp(text).map_or(text, |(_, rest)| rest)
}

/// `2026-11-20` `between` `14:27:35` with an optional fraction and, after `T`, an optional offset.
fn iso_stamp(line: &[u8], between: u8) -> Option<(Stamp, &[u8])> {
    let (head, mut rest) = line.split_at_checked(19)?;
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, gap, h1, h2, b':', i1, i2, b':', s1, s2] =
        head
    else {
        return None;
    };
    if gap != between {
        return None;
    }
    let year = i16::try_from(digits_of(&[y1, y2, y3, y4])?).ok()?;
    let civil = Civil {
        year,
        month: two_digits(m1, m2)?,
        day: two_digits(d1, d2)?,
        hour: two_digits(h1, h2)?,
        minute: two_digits(i1, i2)?,
    };
    let second = two_digits(s1, s2)?;
    if let Some(fraction) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest = fraction.get(digits..)?;
    }
    let mut offset = None;
    if between == b'T' {
        (offset, rest) = iso_offset(rest);
    }
    let stamp = Stamp { civil, second, offset };
    stamp.is_plausible().then_some((stamp, rest))
}

fn iso_offset(rest: &[u8]) -> (Option<i64>, &[u8]) {
    if let Some(rest) = rest.strip_prefix(b"Z") {
        return (Some(0), rest);
    }
    if let Some((head, after)) = rest.split_at_checked(6)
        && let &[sign, h1, h2, b':', m1, m2] = head
        && let Some(offset) = offset_of(&[sign, h1, h2, m1, m2])
    {
        return (Some(offset), after);
    }
    (None, rest)
}

/// `+0100` in seconds.
fn offset_of(zone: &[u8]) -> Option<i64> {
    let &[sign, h1, h2, m1, m2] = zone else { return None };
    let seconds = i64::from(two_digits(h1, h2)?) * 3600 + i64::from(two_digits(m1, m2)?) * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// `Nov 20 13:40:22 `; the year is zero.
fn short_stamp(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let (name, rest) = line.split_at_checked(3)?;
    let month = match name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    };
    let rest = rest.strip_prefix(b" ")?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let (day, rest) = number(rest)?;
    let day = u8::try_from(day).ok()?;
    let (clock, rest) = rest.strip_prefix(b" ")?.split_at_checked(8)?;
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = clock else { return None };
    let civil =
        Civil { year: 0, month, day, hour: two_digits(h1, h2)?, minute: two_digits(m1, m2)? };
    let stamp = Stamp { civil, second: two_digits(s1, s2)?, offset: None };
    let rest = rest.strip_prefix(b" ")?;
    stamp.is_plausible().then_some((stamp, rest))
}

impl Stamp {
    fn is_plausible(&self) -> bool {
        // A leap second is allowed by RFC 3339.
        (1..=12).contains(&self.civil.month)
            && (1..=31).contains(&self.civil.day)
            && self.civil.hour <= 23
            && self.civil.minute <= 59
            && self.second <= 60
    }
}

fn two_digits(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
}

/// The unix second at which a UTC minute begins; `None` for a day the month does not have.
fn utc_minute(civil: Civil) -> Option<i64> {
    let (year, month, day) = (i64::from(civil.year), i64::from(civil.month), i64::from(civil.day));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > length {
        return None;
    }
    let days = days_before(year, month, day);
    Some(days * 86_400 + i64::from(civil.hour) * 3600 + i64::from(civil.minute) * 60)
}

/// Days from 1970-01-01 to a Gregorian date; years begin in March so that the leap day comes last.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + day_of_year - 719_468
}

/// The UTC year that a unix second lies in (1970 to 9999).
fn year_of(unix: i64) -> i16 {
    jiff::Timestamp::from_second(unix).map_or(1970, |stamp| TimeZone::UTC.to_datetime(stamp).year())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn latest() -> Time {
        Time::parse("2026-11-20T15:00:00Z").expect("a time")
    }

    fn framed(line: &str) -> Result<(String, String, String, Option<u32>, String), &'static str> {
        let frame = Framer::new(TimeZone::UTC).frame(line.as_bytes(), latest())?;
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
            ("postfix/smtpd[7]: text", "no-stamp"),
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
            let mut framer = Framer::new(TimeZone::get(zone).expect(zone));
            let latest = Time::parse(latest).expect(latest);
            let frame = framer.frame(line.as_bytes(), latest).expect(&line);
            assert_eq!(frame.time.to_string(), expected, "{stamp} before {latest} in {zone}");
        }
    }

    #[test]
    fn days_agree_with_the_library() {
        for day in (0..60_000).step_by(17) {
            let stamp = jiff::Timestamp::from_second(day * 86_400).expect("a day");
            let date = TimeZone::UTC.to_datetime(stamp);
            let found = days_before(date.year().into(), date.month().into(), date.day().into());
            assert_eq!(found, day, "{date}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut framer = Framer::new(TimeZone::UTC);
            let _unread = framer.frame(&line, latest());
        }

        #[test]
        fn what_is_taken_out_was_in_the_line(text in "[ -~]{0,40}", pid in 0u32..99_999) {
            let line = format!("2026-11-20T13:40:22Z mx a[{pid}]: {text}");
            let mut framer = Framer::new(TimeZone::UTC);
            let frame = framer.frame(line.as_bytes(), latest()).expect("a frame");
            prop_assert_eq!(frame.pid, Some(pid));
            prop_assert!(memchr::memmem::find(line.as_bytes(), frame.text).is_some());
        }
    }
}

//! Stamps of log lines, and the moments they mean.
//!
//! In go the bytes of a stamp, read here into a civil time, and the newest moment it can be from (`begin`);
//! out comes a `Time`, or a short reason word. Formats with stamps of their own read them here, too.
//!
//! Stamps without an offset are civil time in the reporter's zone. The hour that the clock repeats is read by order:
//! as its first pass, unless that lies more than two minutes before the last stamp without an offset (lines
//! of several processes come a little out of order, never by so much); then as its second. Inside a wrapping that states
//! the moment, the pass next to it is taken. The hour that the clock leaves out is read as if it had not been set.
//!
//! Stamps without a year: the newest year that puts the line at or before `latest` plus a day is taken; 29
//! February steps back to a leap year. So `latest` must not lie before a line's moment, and less than a year
//! after it: now for a log that is followed, for a finished file the moment of its last change, as nothing in it is younger.
//! A file of at most a year is then read right through its New Year. If it was copied without its time, `latest` is
//! too late, and the lines may come out whole years too young: all of them alike, except that a log which spans the
//! day of the copy is broken there (what is after that day of the year is put before what is until then).
//! Nothing in the lines could tell; the years are not made to rise by force, as that would
//! refuse, or date into the future, what is right.
//!
//! A stamp later than `latest` plus a day is refused: one wild clock must not age every open session.
//!
//! A line without any stamp is from `latest`, or from the moment that an outer wrapping stated; but only
//! as long as the source has shown no stamp: later such a line is the rest of a broken one, and whoever wrote
//! what is in it may be the client.

use helostat_zones::time::Time;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::bytes::{digits_of, number};
use crate::columns::Heading;

/// How far after `latest` a stamp may lie: clocks and zones are set wrongly more often than that.
const FUTURE_SECONDS: i64 = 86_400;
/// How many years back a stamp without a year is looked for: 29 February comes once in eight at worst.
const YEARS_BACK: i16 = 8;
/// How far back in time one line may lie behind the one before it, in seconds, without being from the repeated hour's
/// second pass.
const DISORDER_SECONDS: i64 = 120;
/// How far beyond the repeated hour the last stamp may lie without being from another log, in seconds.
const AFTER_FOLD_SECONDS: i64 = 3600;

/// Turns stamps into moments; keeps the reporter's time zone and the last civil minute it looked up.
#[derive(Debug)]
pub(crate) struct Stamps {
    zone: TimeZone,
    /// When the last civil minute began, and how much later it began again (zero if it did not).
    minute: Option<(Civil, i64, i64)>,
    /// The year in which two days after this moment lie.
    newest: (Time, i16),
    latest: Time,
    /// What an outer wrapping of the present line states.
    outer: Option<Time>,
    /// Some line of this source had a stamp.
    pub(crate) stamped: bool,
    /// The last moment that was read from a stamp without an offset.
    pub(crate) last: Time,
    /// The table that the source is in.
    pub(crate) heading: Option<Heading>,
}

/// A civil minute, the key of the one-entry cache: lines of one minute come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i16,
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
}

/// A stamp's parts: the minute, the seconds in it, and the offset where the stamp states one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) civil: Civil,
    pub(crate) second: u8,
    /// East of Greenwich, in seconds.
    pub(crate) offset: Option<i64>,
}

impl Stamps {
    /// Bare stamps are civil time in `zone`.
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            minute: None,
            newest: (Time::default(), 1970),
            latest: Time::default(),
            outer: None,
            stamped: false,
            last: Time::default(),
            heading: None,
        }
    }

    /// Begins a line, which is from `latest` or before.
    pub(crate) fn begin(&mut self, latest: Time) {
        self.latest = latest;
        self.outer = None;
    }

    /// A wrapping states when: for what is inside and has no stamp of its own, or none with a year. A later
    /// stamp inside cannot be.
    pub(crate) fn inside(&mut self, outer: Time) {
        self.outer = Some(outer);
        self.latest = self.latest.min(outer);
    }

    /// When a line is from that has no stamp.
    pub(crate) fn unstamped(&self) -> Result<Time, &'static str> {
        match self.outer {
            Some(outer) => Ok(outer),
            None if self.stamped => Err("no-stamp"),
            None => Ok(self.latest),
        }
    }

    /// The moment of a stamp.
    pub(crate) fn time(&mut self, stamp: &Stamp) -> Result<Time, &'static str> {
        let second = i64::from(stamp.second);
        if let Some(offset) = stamp.offset {
            return self.unix(utc_minute(stamp.civil).ok_or("bad-stamp")? - offset + second);
        }
        let (minute, again) = self.zoned_minute(stamp.civil).ok_or("bad-stamp")?;
        let mut unix = minute + second;
        if again != 0 && self.is_second_pass(unix, again) {
            unix += again;
        }
        let time = self.unix(unix)?;
        self.last = time;
        Ok(time)
    }

    /// True if a moment that the clock shows again `again` seconds later is rather that one.
    fn is_second_pass(&self, first: i64, again: i64) -> bool {
        if let Some(outer) = self.outer {
            let outer = i64::from(outer.0);
            return outer.abs_diff(first + again) < outer.abs_diff(first);
        }
        let last = i64::from(self.last.0);
        first + DISORDER_SECONDS < last && last <= first + again + AFTER_FOLD_SECONDS
    }

    /// The moment of a unix time.
    pub(crate) fn unix(&mut self, unix: i64) -> Result<Time, &'static str> {
        if unix > i64::from(self.latest.0) + FUTURE_SECONDS {
            return Err("future-stamp");
        }
        if unix < 0 {
            return Err("bad-stamp");
        }
        self.stamped = true;
        Ok(Time::from_unix(unix))
    }

    /// The moment of a stamp that may have no year: then it is zero.
    pub(crate) fn time_without_year(&mut self, stamp: Stamp) -> Result<Time, &'static str> {
        if stamp.civil.year != 0 {
            return self.time(&stamp);
        }
        if self.newest.0 != self.latest {
            // Two days on, so that no zone can hide the year that begins within the allowed day.
            self.newest = (self.latest, year_of(i64::from(self.latest.0) + 2 * FUTURE_SECONDS));
        }
        let newest = self.newest.1;
        for back in 0..=YEARS_BACK {
            let civil = Civil { year: newest - back, ..stamp.civil };
            let stamp = Stamp { civil, second: stamp.second, offset: None };
            if let Ok(time) = self.time(&stamp) {
                return Ok(time);
            }
        }
        Err("bad-stamp")
    }

    /// The unix second at which a civil minute begins in the reporter's zone, and how much later it begins again.
    fn zoned_minute(&mut self, civil: Civil) -> Option<(i64, i64)> {
        if let Some((known, unix, again)) = self.minute
            && known == civil
        {
            return Some((unix, again));
        }
        let date = civil::Date::new(civil.year, civil.month.cast_signed(), civil.day.cast_signed());
        let time = civil::Time::new(civil.hour.cast_signed(), civil.minute.cast_signed(), 0, 0);
        let moment = self.zone.to_ambiguous_timestamp(date.ok()?.to_datetime(time.ok()?));
        let again = match moment.offset() {
            AmbiguousOffset::Fold { before, after } => {
                i64::from(before.seconds()) - i64::from(after.seconds())
            }
            _ => 0,
        };
        let unix = moment.compatible().ok()?.as_second();
        self.minute = Some((civil, unix, again));
        Some((unix, again))
    }
}

/// `2026-11-20` `between` `14:27:35` with an optional fraction and, after `T`, an optional offset.
pub(crate) fn iso_stamp(line: &[u8], between: u8) -> Option<(Stamp, &[u8])> {
    let (head, mut rest) = line.split_at_checked(19)?;
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, gap, h1, h2, b':', i1, i2, b':', s1, s2] =
        head
    else {
        return None;
    };
    if gap != between {
        return None;
    }
    let year = i16::from(two_digits(y1, y2)?) * 100 + i16::from(two_digits(y3, y4)?);
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
    // journalctl -o short-iso has no colon.
    if let Some((zone, after)) = rest.split_at_checked(5)
        && let Some(offset) = offset_of(zone)
    {
        return (Some(offset), after);
    }
    (None, rest)
}

/// `+0100` in seconds.
pub(crate) fn offset_of(zone: &[u8]) -> Option<i64> {
    let &[sign, h1, h2, m1, m2] = zone else { return None };
    let seconds = i64::from(two_digits(h1, h2)?) * 3600 + i64::from(two_digits(m1, m2)?) * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// `+01` or `+0530` in seconds, as zones without a name of their own are called.
pub(crate) fn short_offset(zone: &[u8]) -> Option<i64> {
    match *zone {
        [sign, h1, h2] => offset_of(&[sign, h1, h2, b'0', b'0']),
        _ => offset_of(zone),
    }
}

/// `Nov 20 13:40:22 `, also with a fraction, with the year after the day (else it is zero), and with the months of
/// other languages.
pub(crate) fn short_stamp(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let (stamp, rest) = short_clock(line)?;
    Some((stamp, rest.strip_prefix(b" ")?))
}

/// The same whatever follows.
pub(crate) fn short_clock(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let (month, rest) = month(line)?;
    let rest = rest.strip_prefix(b" ")?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let (day, rest) = number(rest)?;
    let day = u8::try_from(day).ok()?;
    let mut rest = rest.strip_prefix(b" ")?;
    let mut year = 0;
    if rest.get(2) != Some(&b':')
        && let Some((digits, after)) = rest.split_at_checked(5)
        && let &[y1, y2, y3, y4, b' '] = digits
    {
        year = i16::try_from(digits_of(&[y1, y2, y3, y4])?).ok().filter(|&year| year > 0)?;
        rest = after;
    }
    let (clock, mut rest) = rest.split_at_checked(8)?;
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = clock else { return None };
    let civil = Civil { year, month, day, hour: two_digits(h1, h2)?, minute: two_digits(m1, m2)? };
    let stamp = Stamp { civil, second: two_digits(s1, s2)?, offset: None };
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest = fraction.get(digits..)?;
    }
    stamp.is_plausible().then_some((stamp, rest))
}

/// The month that a line begins with.
fn month(line: &[u8]) -> Option<(u8, &[u8])> {
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
        _ => return localized_month(line),
    };
    if rest.first() == Some(&b' ') { Some((month, rest)) } else { localized_month(line) }
}

/// The month in another language, as glibc abbreviates it: German, French, Spanish, Italian, Portuguese, Dutch, Danish,
/// Norwegian, Swedish; in any case, with or without a dot, in UTF-8 or Latin-1.
fn localized_month(line: &[u8]) -> Option<(u8, &[u8])> {
    let head = line.get(..line.len().min(9))?;
    let (name, rest) = line.split_at_checked(memchr::memchr(b' ', head)?)?;
    let name = name.strip_suffix(b".").unwrap_or(name);
    let mut folded = [0; 8];
    let folded = folded.get_mut(..name.len())?;
    folded.copy_from_slice(name);
    folded.make_ascii_lowercase();
    let month = match &*folded {
        b"jan" | b"janv" | b"ene" | b"gen" | b"j\xc3\xa4n" | b"j\xe4n" => 1,
        b"feb" | b"f\xc3\xa9vr" | b"f\xe9vr" | b"fev" => 2,
        b"mar" | b"mars" | b"m\xc3\xa4r" | b"m\xe4r" | b"m\xc3\xa4rz" | b"m\xe4rz" | b"mrt" => 3,
        b"apr" | b"avril" | b"avr" | b"abr" => 4,
        b"may" | b"mai" | b"mag" | b"mei" | b"maj" => 5,
        b"jun" | b"juin" | b"giu" | b"juni" => 6,
        b"jul" | b"juil" | b"lug" | b"juli" => 7,
        b"aug" | b"ao\xc3\xbbt" | b"ao\xfbt" | b"ago" => 8,
        b"sep" | b"sept" | b"set" => 9,
        b"oct" | b"okt" | b"ott" | b"out" => 10,
        b"nov" => 11,
        b"dec" | b"dez" | b"d\xc3\xa9c" | b"d\xe9c" | b"dic" | b"des" => 12,
        _ => return None,
    };
    Some((month, rest))
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

pub(crate) fn two_digits(tens: u8, ones: u8) -> Option<u8> {
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
    use super::*;

    #[test]
    fn days_agree_with_the_library() {
        for day in (0..60_000).step_by(17) {
            let stamp = jiff::Timestamp::from_second(day * 86_400).expect("a day");
            let date = TimeZone::UTC.to_datetime(stamp);
            let found = days_before(date.year().into(), date.month().into(), date.day().into());
            assert_eq!(found, day, "{date}");
        }
    }
}

//! Stamps of log lines, and the moments they mean.
//!
//! In go the bytes of a stamp, read here into a civil time, and the newest moment it can be from (`begin`);
//! out comes a `Time`, or a short reason word. Formats with stamps of their own read them here, too.
//!
//! Stamps without an offset are civil time in the reporter's zone. Stamps without a year: the newest
//! year that puts the line at or before `latest` plus a day is taken; 29 February steps back to a leap
//! year. An hour that the clock repeats is read as its first pass. A stamp later than `latest` plus a day
//! is refused: one wild clock must not age every open session.
//!
//! A line without any stamp is from `latest`, or from the moment that an outer wrapping stated; but only
//! as long as the source has shown no stamp: later such a line is the rest of a broken one, and whoever wrote
//! what is in it may be the client.

use helostat_zones::time::Time;
use jiff::civil;
use jiff::tz::TimeZone;

use crate::bytes::{digits_of, number};
use crate::columns::Heading;

/// How far after `latest` a stamp may lie: clocks and zones are set wrongly more often than that.
const FUTURE_SECONDS: i64 = 86_400;
/// How many years back a stamp without a year is looked for: 29 February comes once in eight at worst.
const YEARS_BACK: i16 = 8;

/// Turns stamps into moments; keeps the reporter's time zone and the last civil minute it looked up.
#[derive(Debug)]
pub(crate) struct Stamps {
    zone: TimeZone,
    minute: Option<(Civil, i64)>,
    latest: Time,
    /// What an outer wrapping of the present line states.
    outer: Option<Time>,
    /// Some line of this source had a stamp.
    pub(crate) stamped: bool,
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
            latest: Time::default(),
            outer: None,
            stamped: false,
            heading: None,
        }
    }

    /// Begins a line, which is from `latest` or before.
    pub(crate) fn begin(&mut self, latest: Time) {
        self.latest = latest;
        self.outer = None;
    }

    /// The newest moment the present line can be from.
    pub(crate) fn latest(&self) -> Time {
        self.latest
    }

    /// A wrapping states when: for what is inside and has no stamp of its own.
    pub(crate) fn inside(&mut self, outer: Time) {
        self.outer = Some(outer);
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
        let minute = match stamp.offset {
            Some(offset) => utc_minute(stamp.civil).map(|minute| minute - offset),
            None => self.zoned_minute(stamp.civil),
        };
        self.unix(minute.ok_or("bad-stamp")? + i64::from(stamp.second))
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

    /// The moment of a stamp that has no year.
    pub(crate) fn time_without_year(&mut self, stamp: Stamp) -> Result<Time, &'static str> {
        // Two days on, so that no zone can hide the year that begins within the allowed day.
        let newest = year_of(i64::from(self.latest.0) + 2 * FUTURE_SECONDS);
        for back in 0..=YEARS_BACK {
            let civil = Civil { year: newest - back, ..stamp.civil };
            let stamp = Stamp { civil, second: stamp.second, offset: None };
            if let Ok(time) = self.time(&stamp) {
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
pub(crate) fn offset_of(zone: &[u8]) -> Option<i64> {
    let &[sign, h1, h2, m1, m2] = zone else { return None };
    let seconds = i64::from(two_digits(h1, h2)?) * 3600 + i64::from(two_digits(m1, m2)?) * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// `Nov 20 13:40:22 `; the year is zero.
pub(crate) fn short_stamp(line: &[u8]) -> Option<(Stamp, &[u8])> {
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

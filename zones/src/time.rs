//! Moments and days, as the ledger counts them.
//!
//! `Time` is whole seconds since 1970-01-01T00:00:00Z in a `u32` (it ends in 2106); `Day` is whole
//! UTC days since the same moment in a `u16` (it ends in 2149). Both are *event* time: what the log
//! says, never the moment of reading. This crate has no clock; whoever needs "now" passes it in.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Seconds of a UTC day.
pub const DAY_SECONDS: u32 = 86_400;

/// A moment: seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u32);

impl Time {
    /// The moment `seconds` after the epoch, held to what the type can say (1970 to 2106).
    pub fn from_unix(seconds: i64) -> Self {
        Self(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
    }

    /// The UTC day this moment lies in.
    pub fn day(self) -> Day {
        Day(u16::try_from(self.0 / DAY_SECONDS).unwrap_or(u16::MAX))
    }

    /// The moment `span` later, at most the last one.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u32::try_from(span.as_secs()).unwrap_or(u32::MAX)))
    }

    /// The moment `span` earlier, at least the first one.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u32::try_from(span.as_secs()).unwrap_or(u32::MAX)))
    }

    /// How long after `earlier` this moment is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::from(self.0.saturating_sub(earlier.0)))
    }

    /// Its UTC date: `2026-11-28`.
    pub fn date(self) -> String {
        self.to_string().chars().take(10).collect()
    }

    /// Whole days since an earlier moment; zero if it is later.
    pub fn days_since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0) / 86_400
    }

    /// Reads RFC 3339, as `Display` writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let stamp: jiff::Timestamp = text.parse().ok()?;
        u32::try_from(stamp.as_second()).ok().map(Self)
    }
}

/// RFC 3339 in UTC: `2026-11-20T14:27:35Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(i64::from(self.0)) {
            Ok(stamp) => write!(f, "{stamp}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not an RFC 3339 time")))
    }
}

/// A UTC day: days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(pub u16);

impl Day {
    /// The moment at which the day begins.
    pub fn start(self) -> Time {
        Time(u32::from(self.0).saturating_mul(DAY_SECONDS))
    }

    /// How many days after `earlier` this day is; zero if it is not.
    pub fn since(self, earlier: Self) -> u32 {
        u32::from(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_rfc_3339() {
        let time = Time(1_795_184_855);
        assert_eq!(time.to_string(), "2026-11-20T14:27:35Z");
        assert_eq!(Time::parse("2026-11-20T14:27:35Z"), Some(time));
        assert_eq!(Time::parse("2026-11-20T15:27:35+01:00"), Some(time));
        assert_eq!(Time::parse("yesterday"), None);
        assert_eq!(time.day().start().to_string(), "2026-11-20T00:00:00Z");
    }

    #[test]
    fn never_leaves_its_range() {
        assert_eq!(Time::from_unix(-5), Time(0));
        assert_eq!(Time::from_unix(i64::MAX), Time(u32::MAX));
        assert_eq!(Time(5).before(Duration::from_secs(9)), Time(0));
        assert_eq!(Time(u32::MAX).after(Duration::from_secs(9)), Time(u32::MAX));
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
    }
}

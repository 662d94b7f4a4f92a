//! Moments as values of keys: `"2026-12-31T18:00:00Z"`, or a date.
//!
//! A date is a day in UTC, as everywhere in this program: its first moment, or, where something lasts "until"
//! it, its last, so that the day itself is included. TOML's own dates (without quotes) are read as well.

use helostat_zones::time::Time;
use jiff::civil::Date;
use toml::Spanned;
use toml::de::DeValue;

use super::value::{Flaw, Reading, Rule, Value, flaw};

/// Reads a date or a time; a date is the moment that `rule` says.
pub(super) fn parse(text: &str, rule: Rule) -> Result<Time, String> {
    const RANGE: &str = "years from 1970 to 2105 can be written";
    let seconds = match text.parse::<Date>() {
        // jiff reads the date out of a whole time as well.
        Ok(date) if text.len() <= "2026-12-31".len() => {
            let day = if rule == Rule::ThroughDay { date.tomorrow() } else { Ok(date) };
            let midnight = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC));
            midnight.map_err(|_| RANGE.to_owned())?.timestamp().as_second()
        }
        _ => match text.parse::<jiff::Timestamp>() {
            Ok(stamp) => stamp.as_second(),
            Err(_) if text.parse::<jiff::civil::DateTime>().is_ok() => {
                return Err(format!("say of which zone it is, with Z for UTC: \"{text}Z\""));
            }
            Err(_) => {
                return Err("write YYYY-MM-DD, or a time as RFC 3339 has it".into());
            }
        },
    };
    u32::try_from(seconds).map(Time).map_err(|_| RANGE.to_owned())
}

impl Value for Time {
    const SAMPLE: &'static str = "\"2026-12-31\" or \"2026-12-31T18:00:00Z\"";

    fn kind(rule: Rule) -> String {
        match rule {
            Rule::ThroughDay => "a date (it ends with that day, in UTC) or a time",
            _ => "a date or a time",
        }
        .into()
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        let text = match found.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(moment) => moment.to_string(),
            _ => return Err(flaw::<Self>(found, reading.rule, "")),
        };
        parse(&text, reading.rule).map_err(|why| flaw::<Self>(found, reading.rule, &why))
    }

    fn write(&self) -> toml::Value {
        self.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates_and_times() {
        for (text, first, last) in [
            ("2026-12-31", Ok("2026-12-31T00:00:00Z"), Ok("2027-01-01T00:00:00Z")),
            ("2026-12-31T18:00:00Z", Ok("2026-12-31T18:00:00Z"), Ok("2026-12-31T18:00:00Z")),
            ("2026-12-31 18:00:00+01:00", Ok("2026-12-31T17:00:00Z"), Ok("2026-12-31T17:00:00Z")),
            ("2026-12-31T18:00:00", Err("say of which zone"), Err("say of which zone")),
            ("2026-02-30", Err("write YYYY-MM-DD"), Err("write YYYY-MM-DD")),
            ("31.12.2026", Err("write YYYY-MM-DD"), Err("write YYYY-MM-DD")),
            ("tomorrow", Err("write YYYY-MM-DD"), Err("write YYYY-MM-DD")),
            ("", Err("write YYYY-MM-DD"), Err("write YYYY-MM-DD")),
            ("1969-12-30", Err("years from"), Err("years from")),
            ("2999-01-01", Err("years from"), Err("years from")),
        ] {
            for (rule, expected) in [(Rule::FromDay, first), (Rule::ThroughDay, last)] {
                let read = parse(text, rule).map(|time| time.to_string());
                match (&read, expected) {
                    (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{text}"),
                    (Err(why), Err(expected)) => assert!(why.contains(expected), "{text}: {why}"),
                    _ => panic!("{text}: {read:?}, expected {expected:?}"),
                }
            }
        }
    }
}

//! Durations as people write them: a whole number and one unit, `400ms`, `10s`, `5m`, `2h`, `1d`.
//!
//! A day is 24 hours. There is no unit-less form and no sum of units: one way to say it.

use std::time::Duration;

/// The units in milliseconds, the largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration; `None` if the text is none, or beyond what 64 bits of milliseconds hold.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale).map(Duration::from_millis)
}

/// Writes a duration in the largest unit that leaves no remainder, so that `parse` reads it back.
/// What is shorter than a millisecond is cut off: `parse` makes no such duration.
pub(super) fn write(span: Duration) -> String {
    let all = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if all == 0 {
        return "0s".into();
    }
    let fits = UNITS.iter().find(|(_, scale)| all.is_multiple_of(*scale));
    fits.map_or_else(|| format!("{all}ms"), |(unit, scale)| format!("{}{unit}", all / scale))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes() {
        for (text, milliseconds, written) in [
            ("400ms", 400, "400ms"),
            ("10s", 10_000, "10s"),
            ("5m", 300_000, "5m"),
            ("300s", 300_000, "5m"),
            ("24h", 86_400_000, "1d"),
            ("36h", 129_600_000, "36h"),
            ("0ms", 0, "0s"),
        ] {
            let span = parse(text).expect(text);
            assert_eq!(span, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(write(span), written, "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "5S",
            "1h30m",
            "5µs",
            "99999999999999999999s",
            "213503982335d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(milliseconds: u64) {
            let span = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&write(span)), Some(span));
        }
    }
}

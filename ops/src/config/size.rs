//! Sizes as people write them: a whole number and one unit, `64MB`, `2GB`, `512MiB`.
//!
//! kB, MB, GB and TB are powers of 1000, as disks and the metrics have them; KiB, MiB, GiB and TiB are
//! powers of 1024, as memory has them. There is no unit-less form, no fraction and no sum of units: one
//! way to say it.

use std::fmt;

use toml::Spanned;
use toml::de::DeValue;

use super::value::{Flaw, Reading, Rule, Value, flaw, read_text};

/// The units in octets, the largest first.
const UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
];

/// A number of octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// In the largest unit that leaves no remainder, so that it is read back as the same.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = UNITS.iter().find(|(_, scale)| self.0 > 0 && self.0.is_multiple_of(*scale));
        match fits {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            // Less than the smallest unit, which no file can say, is cut off.
            None => write!(f, "{}kB", self.0 / 1_000),
        }
    }
}

/// Reads a size; `None` if the text is none, or beyond 64 bits.
fn parse(text: &str) -> Option<Size> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale).map(Size)
}

impl Value for Size {
    const SAMPLE: &'static str = "";

    fn kind(rule: Rule) -> String {
        match rule {
            Rule::Sized(least, most) => format!("a size from \"{least}\" to \"{most}\""),
            _ => "a size such as \"64MB\"".into(),
        }
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        if found.get_ref().is_integer() {
            let why = "a size has a unit and quotes";
            return Err(flaw::<Self>(found, reading.rule, why));
        }
        read_text(found, reading.rule, |text| {
            let Some(size) = parse(text) else {
                return Err(
                    "write a whole number and one of kB, MB, GB, TB, or KiB, MiB, GiB, TiB".into(),
                );
            };
            match reading.rule {
                Rule::Sized(least, most) if !(least..=most).contains(&size) => Err(String::new()),
                _ => Ok(size),
            }
        })
    }

    fn write(&self) -> toml::Value {
        self.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes() {
        for (text, octets, written) in [
            ("16MB", 16_000_000, "16MB"),
            ("2GB", 2_000_000_000, "2GB"),
            ("2000MB", 2_000_000_000, "2GB"),
            ("1GiB", 1_073_741_824, "1GiB"),
            ("1024MiB", 1_073_741_824, "1GiB"),
            ("1500MB", 1_500_000_000, "1500MB"),
            ("1024kB", 1_024_000, "1000KiB"),
            ("0GB", 0, "0kB"),
        ] {
            let size = parse(text).expect(text);
            assert_eq!(size, Size(octets), "{text}");
            assert_eq!(size.to_string(), written, "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "5",
            "GB",
            "2 GB",
            "-2GB",
            "1.5GB",
            "2gb",
            "2G",
            "2KB",
            "2B",
            "1GB500MB",
            "99999999999999999999kB",
            "18446745TB",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number in 0u64..1 << 24, (_, scale) in prop::sample::select(&UNITS[..])) {
            let size = Size(number * scale);
            prop_assert_eq!(parse(&size.to_string()), Some(size));
        }
    }
}

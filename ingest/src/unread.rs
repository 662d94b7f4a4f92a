//! Lines that could not be read, kept as samples: what an operator needs to see that something is amiss.
//!
//! In go lines with what became of them; out come at most as many samples as were asked for, the same number
//! of each kind (program and reason), each printable and cut. Counting is the tally's; this only remembers.

use std::collections::BTreeMap;

use crate::fate::{Fate, LineReading, Program};

/// Where a sample is cut, in octets of the line.
const CUT: usize = 400;

/// A line that was not understood, or could be read in two ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Whose line it is.
    pub program: Program,
    /// `Ambiguous` or `NotUnderstood`.
    pub fate: Fate,
    /// Why.
    pub why: &'static str,
    /// The line: printable ASCII, anything else as `\xNN`; `...` where it was cut.
    pub line: String,
}

/// Remembers samples.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// How many to keep of each kind.
    each: usize,
    counts: BTreeMap<(Program, &'static str), usize>,
    kept: Vec<Sample>,
}

impl Samples {
    /// Keeps at most `each` of each kind.
    pub fn of_each(each: usize) -> Self {
        Self { each, ..Self::default() }
    }

    /// Looks at a line and what became of it.
    pub fn see(&mut self, line: &[u8], reading: LineReading) {
        if self.each == 0 || !matches!(reading.fate, Fate::Ambiguous | Fate::NotUnderstood) {
            return;
        }
        let why = reading.why.unwrap_or("unknown");
        let count = self.counts.entry((reading.program, why)).or_default();
        if *count >= self.each {
            return;
        }
        *count += 1;
        let sample =
            Sample { program: reading.program, fate: reading.fate, why, line: shown(line) };
        self.kept.push(sample);
    }

    /// What was kept since the last time, in the order of the lines.
    pub fn take(&mut self) -> Vec<Sample> {
        std::mem::take(&mut self.kept)
    }

    /// Begins anew: as many of each kind once more.
    pub fn again(&mut self) {
        self.counts.clear();
    }
}

fn shown(line: &[u8]) -> String {
    let kept = line.get(..CUT).unwrap_or(line);
    let mut text = kept.escape_ascii().to_string().replace("\\'", "'").replace("\\\"", "\"");
    if kept.len() < line.len() {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_few_of_each_kind() {
        let mut samples = Samples::of_each(2);
        let reading = |why| LineReading {
            program: Program::Postfix,
            fate: Fate::NotUnderstood,
            why: Some(why),
        };
        for line in [b"a".as_slice(), b"b\0\x1b[31m", b"c"] {
            samples.see(line, reading("shape"));
            samples.see(line, reading("no-stamp"));
        }
        let fine = LineReading { program: Program::Postfix, fate: Fate::Session, why: None };
        samples.see(b"d", fine);
        let lines: Vec<_> = samples.take().into_iter().map(|sample| sample.line).collect();
        assert_eq!(lines, ["a", "a", "b\\x00\\x1b[31m", "b\\x00\\x1b[31m"]);
        samples.see(b"e", reading("shape"));
        assert!(samples.take().is_empty());
        samples.again();
        samples.see(&[b'x'; 500], reading("shape"));
        assert_eq!(samples.take()[0].line.len(), CUT + 3);
    }
}

//! What was measured, as lines for people or for programs (`--json`), each with its bar if it has one.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use serde_json::json;

use crate::measure;
use crate::options::Options;

/// What a number has to reach.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    /// At least this.
    Least(f64),
    /// At most this.
    Most(f64),
}

impl Bar {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::Least(bar) => value >= bar,
            Self::Most(bar) => value <= bar,
        }
    }

    fn in_words(self) -> String {
        match self {
            Self::Least(bar) => format!("at least {}", figure(bar)),
            Self::Most(bar) => format!("at most {}", figure(bar)),
        }
    }
}

/// Where the numbers of one case go.
pub(crate) struct Report {
    case: String,
    json: bool,
}

impl Report {
    /// Begins a case.
    pub(crate) fn begin(options: &Options, case: &str) -> Self {
        let json = options.has("json");
        if !json {
            println!("\n{case} (load {})", measure::load());
        }
        Self { case: case.to_owned(), json }
    }

    /// Tells a number.
    pub(crate) fn tell(&self, what: &str, value: f64, unit: &str) {
        if self.json {
            println!("{}", json!({"case": self.case, "what": what, "value": value, "unit": unit}));
        } else {
            println!("  {what:<52} {:>14} {unit}", figure(value));
        }
    }

    /// Tells a number that has a bar.
    pub(crate) fn judge(&self, what: &str, value: f64, unit: &str, bar: Bar) {
        let met = bar.is_met(value);
        if self.json {
            let (least, most) = match bar {
                Bar::Least(bar) => (Some(bar), None),
                Bar::Most(bar) => (None, Some(bar)),
            };
            let line = json!({
                "case": self.case, "what": what, "value": value, "unit": unit,
                "at_least": least, "at_most": most, "met": met,
            });
            println!("{line}");
            return;
        }
        let judged = if met { "met" } else { "MISSED" };
        let bar = bar.in_words();
        println!("  {what:<52} {:>14} {unit:<18} {judged} ({bar})", figure(value));
    }
}

/// A number for people: three digits or more, thousands apart.
fn figure(value: f64) -> String {
    if value.abs() < 10.0 {
        return format!("{value:.3}");
    }
    if value.abs() < 1000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

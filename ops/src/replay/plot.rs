//! Small pictures as SVG, to stand inside a page: bars over time, a curve, bars by score.
//!
//! In go numbers; out comes an `<svg>` element without any reference to elsewhere. Colours are classes of the page's
//! style sheet. Coordinates are units of a view box, so a picture is as wide as its place.

use std::fmt::Write as _;

use super::account::CLASSES;
use super::report::{DayRow, LabelReport};

/// The most bars over time: with more days, a bar stands for several.
const BARS_MAX: usize = 120;
const WIDE: f64 = 900.0;
const HIGH: f64 = 240.0;
const SIDE: f64 = 320.0;
/// Room for the words at the left, and below.
const LEFT: f64 = 56.0;
const BELOW: f64 = 24.0;

/// Days with the number of messages by class, and of how many days a bar is.
fn bars(days: &[DayRow]) -> (Vec<(String, String, [u64; 5])>, usize) {
    let each = days.len().div_ceil(BARS_MAX).max(1);
    let bar = |days: &[DayRow]| {
        let mut sum = [0; 5];
        for day in days {
            for (sum, n) in sum.iter_mut().zip(day.messages) {
                *sum += n;
            }
        }
        let name = |day: Option<&DayRow>| day.map_or_else(String::new, |day| day.day.clone());
        (name(days.first()), name(days.last()), sum)
    };
    (days.chunks(each).map(bar).collect(), each)
}

/// Messages by day and class, stacked: the best at the bottom.
pub fn over_time(days: &[DayRow]) -> String {
    let (bars, each) = bars(days);
    let most = bars.iter().map(|(.., sum)| sum.iter().sum::<u64>()).max().unwrap_or(0).max(1);
    let (width, height) = (WIDE - LEFT, HIGH - BELOW - 10.0);
    let step = width / bars.len().max(1) as f64;
    let mut svg = begin(WIDE, HIGH, &format!("Messages by class, each bar {each} days with mail"));
    axis(&mut svg, most, height);
    for (place, (from, to, sum)) in bars.iter().enumerate() {
        let x = LEFT + place as f64 * step;
        let mut y = 10.0 + height;
        let span = if from == to { from.clone() } else { format!("{from} to {to}") };
        let told: Vec<_> =
            CLASSES.iter().zip(sum).map(|(class, n)| format!("{n} {class}")).collect();
        write!(svg, "<g><title>{span}: {}</title>", told.join(", ")).unwrap_or_default();
        for (class, n) in CLASSES.iter().zip(sum).filter(|(_, n)| **n > 0) {
            let high = *n as f64 / most as f64 * height;
            y -= high;
            write!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{:.2}\" height=\"{high:.2}\"/>",
                (step - 0.6).clamp(0.5, 40.0),
            )
            .unwrap_or_default();
        }
        svg.push_str("</g>");
    }
    if let (Some((first, ..)), Some((_, last, _))) = (bars.first(), bars.last()) {
        word(&mut svg, LEFT, HIGH - 6.0, "start", first);
        if bars.len() > 1 {
            word(&mut svg, WIDE - 2.0, HIGH - 6.0, "end", last);
        }
    }
    svg.push_str("</svg>");
    svg
}

/// The curve of all messages and of one a site, pair and day.
pub fn curve(all: &LabelReport, firsts: &LabelReport) -> String {
    let size = SIDE - LEFT - 10.0;
    let (x, y) = (|ham: f64| LEFT + ham * size, |spam: f64| 24.0 + (1.0 - spam) * size);
    let mut svg = begin(SIDE, SIDE - LEFT + BELOW + 34.0, "Spam caught against ham flagged");
    let (left, right, top, bottom) = (x(0.0), x(1.0), y(1.0), y(0.0));
    write!(
        svg,
        "<path class=\"grid\" d=\"M{left:.1} {top:.1}V{bottom:.1}H{right:.1}M{left:.1} {bottom:.1}L{right:.1} {top:.1}\"/>"
    )
    .unwrap_or_default();
    for (class, of) in [("second", firsts), ("first", all)] {
        let points: Vec<_> =
            of.roc.iter().map(|[ham, spam]| format!("{:.1},{:.1}", x(*ham), y(*spam))).collect();
        write!(svg, "<polyline class=\"curve {class}\" points=\"{}\"/>", points.join(" "))
            .unwrap_or_default();
    }
    for tick in [0.0, 0.5, 1.0] {
        let text = format!("{:.0}%", tick * 100.0);
        word(&mut svg, left - 5.0, y(tick) + 4.0, "end", &text);
        let anchor = if tick == 1.0 { "end" } else { "middle" };
        word(&mut svg, x(tick), bottom + 15.0, anchor, &text);
    }
    word(&mut svg, (left + right) / 2.0, bottom + 31.0, "middle", "ham flagged by mistake");
    word(&mut svg, left, top - 8.0, "start", "spam caught");
    svg.push_str("</svg>");
    svg
}

/// Ham and spam by score, five scores a bar, each as the share of its own kind.
pub fn histogram(labels: &LabelReport) -> String {
    const EACH: usize = 5;
    let bins = |of: &[u64]| -> Vec<f64> {
        let total = of.iter().sum::<u64>().max(1) as f64;
        // The last bar has the score 100, too.
        let count = of.len().saturating_sub(1).div_ceil(EACH).max(1);
        let mut bins = vec![0.0; count];
        for (score, n) in of.iter().enumerate() {
            if let Some(bin) = bins.get_mut((score / EACH).min(count - 1)) {
                *bin += *n as f64 / total;
            }
        }
        bins
    };
    let (ham, spam) = (bins(&labels.histogram.ham), bins(&labels.histogram.spam));
    let most = ham.iter().chain(&spam).copied().fold(0.01, f64::max);
    let (wide, high) = (SIDE, SIDE - LEFT + BELOW + 20.0);
    let (width, height) = (wide - LEFT, high - 50.0);
    let step = width / ham.len().max(1) as f64;
    let mut svg = begin(wide, high, "Ham and spam by score");
    for (place, pair) in ham.iter().zip(&spam).enumerate() {
        let from = place * EACH;
        let to = if place + 1 == ham.len() { 100 } else { from + EACH - 1 };
        let x = LEFT + place as f64 * step;
        write!(
            svg,
            "<g><title>score {from} to {to}: {:.2}% of ham, {:.2}% of spam</title>",
            pair.0 * 100.0,
            pair.1 * 100.0
        )
        .unwrap_or_default();
        for (class, share, shift) in [("trusted", pair.0, 0.0), ("listed", pair.1, step * 0.46)] {
            let bar = share / most * height;
            write!(
                svg,
                "<rect class=\"{class}\" x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{bar:.2}\"/>",
                x + shift,
                10.0 + height - bar,
                step * 0.44
            )
            .unwrap_or_default();
        }
        svg.push_str("</g>");
    }
    let bottom = 10.0 + height;
    write!(svg, "<path class=\"grid\" d=\"M{LEFT} 10V{bottom:.1}H{wide}\"/>").unwrap_or_default();
    word(&mut svg, LEFT - 5.0, 18.0, "end", &format!("{:.0}%", most * 100.0));
    word(&mut svg, LEFT - 5.0, bottom, "end", "0");
    for (score, anchor) in [(0, "start"), (50, "middle"), (100, "end")] {
        let x = LEFT + f64::from(score) / 100.0 * width;
        word(&mut svg, x, bottom + 15.0, anchor, &score.to_string());
    }
    word(&mut svg, LEFT + width / 2.0, bottom + 31.0, "middle", "score");
    svg.push_str("</svg>");
    svg
}

fn begin(width: f64, height: f64, title: &str) -> String {
    format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">")
}

fn axis(svg: &mut String, most: u64, height: f64) {
    for part in [0.0, 0.5, 1.0] {
        let y = 10.0 + (1.0 - part) * height;
        write!(svg, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{WIDE}\"/>").unwrap_or_default();
        let number = (most as f64 * part).round() as u64;
        word(svg, LEFT - 6.0, y + 4.0, "end", &number.to_string());
    }
}

/// Words of ours, or dates: nothing in them has to be escaped.
fn word(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
        .unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_days_share_bars() {
        let day = |n: usize| DayRow { day: format!("d{n}"), messages: [1, 0, 2, 0, 0] };
        let days: Vec<_> = (0..250).map(day).collect();
        let (bars, each) = bars(&days);
        assert_eq!((bars.len(), each), (84, 3));
        assert_eq!(bars[0], ("d0".to_owned(), "d2".to_owned(), [3, 0, 6, 0, 0]));
        assert_eq!(bars.iter().map(|(.., sum)| sum[0]).sum::<u64>(), 250);
        assert!(over_time(&days).ends_with("</svg>"));
        assert!(over_time(&[]).ends_with("</svg>"));
    }
}

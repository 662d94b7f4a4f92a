//! What a command line gives for the keys of a decision, read as the file's own would be.

use std::time::Duration;

use helostat_zones::time::Time;

use super::operator::{AUTHOR_MAX, REASON_MAX};
use super::value::{Rule, check_line};
use super::{duration, moment};

/// Whether a text is a reason, or why it is none.
pub fn reason(text: &str) -> Result<(), String> {
    line(text, REASON_MAX)
}

/// Whether a text is what a zone may say of its end, or why it is none.
pub fn notice(text: &str) -> Result<(), String> {
    line(text, REASON_MAX)
}

/// Whether a text is an author, or why it is none.
pub fn author(text: &str) -> Result<(), String> {
    line(text, AUTHOR_MAX)
}

fn line(text: &str, most: usize) -> Result<(), String> {
    let fits = text.len() <= most;
    check_line(text, most)
        .map_err(|why| if fits { why } else { format!("{why}, at most {most} are kept") })
}

/// A duration such as `30d`; `None` if it is none.
pub fn duration(text: &str) -> Option<Duration> {
    duration::parse(text).filter(|span| span.as_secs() > 0)
}

/// The end of a date, or a time.
pub fn until(text: &str) -> Result<Time, String> {
    moment::parse(text, Rule::ThroughDay)
}

//! Where in a file something stands, and what is wrong there.
//!
//! A span (octets from the start, as the TOML parser gives it) goes in, a [`Place`] comes out: line
//! and column from 1, the column in characters, as editors count. A span beyond the text, or inside
//! a character, is held to the nearest place before it, so that every error has a place in its file.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A file's text with its name, to turn spans into places.
pub(super) struct Source<'a> {
    name: Arc<str>,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn new(name: &str, text: &'a str) -> Self {
        Self { name: name.into(), text }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// The place at which `span` begins.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let before = before(self.text, span.start);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
        Place { file: self.name.clone(), line, column }
    }

    /// True if the parser only guessed what stands at `place`: its line, or the section line above
    /// it, has one of the `broken` places.
    pub(super) fn is_doubtful(&self, place: &Place, broken: &[ConfigError]) -> bool {
        let is_broken = |line| broken.iter().any(|error| error.place.line == line);
        let above = (1..).zip(self.text.split('\n')).take(place.line);
        let section = above.filter(|(_, line)| line.trim_start().starts_with('[')).last();
        is_broken(place.line) || section.is_some_and(|(line, _)| is_broken(line))
    }
}

/// The text before `offset`, or before the character that `offset` cuts.
fn before(text: &str, offset: usize) -> &str {
    let end = (0..=offset.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    end.and_then(|end| text.get(..end)).unwrap_or("")
}

/// A place in a file: `helostat.toml:12:8`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as it was named to us.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing that is wrong: `helostat.toml:12:8: what is wrong and what would be right`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {sentence}")]
pub struct ConfigError {
    /// Where it stands.
    pub place: Place,
    /// What is wrong, what would be right.
    pub sentence: String,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigErrors {
    /// A file could not be read at all; the operator mends its name or its rights.
    #[error("{file}: {cause}")]
    Unreadable {
        /// The file as it was named to us.
        file: Arc<str>,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Everything that is wrong in the files, in the order of their places, one line each.
    #[error("{}", lines(.0))]
    Wrong(Vec<ConfigError>),
}

fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let source = Source::new("f", "ab\nüöx\n");
        for (offset, line, column) in [
            (0, 1, 1),
            (2, 1, 3),
            (3, 2, 1),
            (5, 2, 2),
            (6, 2, 2),
            (7, 2, 3),
            (9, 3, 1),
            (99, 3, 1),
        ] {
            let place = source.place(&(offset..offset));
            assert_eq!((place.line, place.column), (line, column), "offset {offset}");
        }
    }
}

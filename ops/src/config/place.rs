//! Where in a file something stands, and what is wrong there.
//!
//! A span (octets from the start, as the TOML parser gives it) goes in, a [`Place`] comes out: line
//! and column from 1, the column in characters, as editors count. A span beyond the text, or inside
//! a character, is held to the nearest place before it, so that every error has a place in its file.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A file's text with its name, to turn spans into places.
pub(super) struct Source<'a> {
    name: Arc<str>,
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(name: &str, text: &'a str) -> Self {
        let after = text.match_indices('\n').map(|(end, _)| end + 1);
        Self { name: name.into(), text, lines: std::iter::once(0).chain(after).collect() }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// The place at which `span` begins.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let offset = span.start.min(self.text.len());
        let line = self.lines.partition_point(|&start| start <= offset);
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied();
        let rest = start.and_then(|start| self.text.get(start..)).unwrap_or("");
        let inside = offset - start.unwrap_or(0);
        // The character that begins at the offset, or the one that it cuts, is the next to count.
        let before = rest.char_indices().take_while(|(at, one)| at + one.len_utf8() <= inside);
        Place { file: self.name.clone(), line, column: before.count() + 1 }
    }

    /// The lines of which the parser only guessed what they say: those with one of the `broken`
    /// places, and those below a section line with one, up to the next section line.
    pub(super) fn doubtful_lines(&self, broken: &[ConfigError]) -> BTreeSet<usize> {
        let broken: BTreeSet<_> = broken.iter().map(|error| error.place.line).collect();
        let mut doubtful = BTreeSet::new();
        let mut section_is_broken = false;
        for (number, line) in (1..).zip(self.text.split('\n')) {
            if line.trim_start().starts_with('[') {
                section_is_broken = broken.contains(&number);
            }
            if section_is_broken || broken.contains(&number) {
                doubtful.insert(number);
            }
        }
        doubtful
    }
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

//! Tables in logs: headings that name columns, and rows of comma separated values.
//!
//! Some programs write one heading a file and then rows that only it explains. What a heading said is
//! remembered with the source (`Stamps`) and stored with its position, since a file may be taken up in the middle.
//! While a heading is in force its program is offered each line first: the first column of some tables is a
//! client's word, and must not pass for a line of syslog. A heading teaches nothing and has no moment:
//! it is no frame, but the reason word [`HEADING`].
//!
//! Rows are RFC 4180: a field that begins with a quote ends at the next single quote, and a comma or the
//! end must follow; doubled quotes inside stand for one. Other fields are taken as they are. Not read: line feeds
//! inside quotes. No client can say one: it ends every SMTP command.

use std::borrow::Cow;

use memchr::memchr;
use serde::{Deserialize, Serialize};

use crate::bytes::cut;
use crate::fate::Program;

/// Instead of a frame: this line is a heading, and was taken in.
pub(crate) const HEADING: &str = "heading";
/// The most columns: PowerMTA's longest record has some sixty.
const COLUMNS_MAX: usize = 250;
/// The place of a column that a heading does not have.
const NOWHERE: u8 = u8::MAX;

/// What the last heading of a source said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    /// Whose table it is.
    pub(crate) program: Program,
    /// Which of its tables: the program's own numbers.
    pub(crate) kind: u8,
    /// How many columns there are.
    width: u8,
    /// Where the columns are that the program wants, in its own order.
    places: Box<[u8]>,
}

impl Heading {
    /// A table whose rows are of no use: no column is wanted.
    pub(crate) fn useless(program: Program, kind: u8) -> Self {
        Self { program, kind, width: 0, places: Box::default() }
    }

    /// A heading with these `columns`, of which the program wants those that `wanted` names. `None` if
    /// there are too many.
    pub(crate) fn new(
        program: Program,
        kind: u8,
        columns: &[&[u8]],
        wanted: &[&[u8]],
    ) -> Option<Self> {
        if columns.len() > COLUMNS_MAX {
            return None;
        }
        let place = |name: &&[u8]| {
            let at = columns.iter().position(|column| column.eq_ignore_ascii_case(name));
            at.and_then(|at| u8::try_from(at).ok()).unwrap_or(NOWHERE)
        };
        Some(Self {
            program,
            kind,
            width: u8::try_from(columns.len()).ok()?,
            places: wanted.iter().map(place).collect(),
        })
    }

    /// How many columns there are.
    pub(crate) fn width(&self) -> usize {
        usize::from(self.width)
    }

    /// Where the wanted column of this number is.
    pub(crate) fn place(&self, wanted: usize) -> Option<usize> {
        self.places.get(wanted).filter(|&&place| place != NOWHERE).map(|&place| usize::from(place))
    }

    /// The field of a row in the wanted column of this number; empty where there is none.
    pub(crate) fn field<'a>(&self, fields: &[&'a [u8]], wanted: usize) -> &'a [u8] {
        self.place(wanted).and_then(|place| fields.get(place)).copied().unwrap_or_default()
    }

    /// As it is stored.
    pub(crate) fn save(&self) -> SavedHeading {
        SavedHeading {
            program: self.program.word().to_owned(),
            kind: self.kind,
            width: self.width,
            places: self.places.clone(),
        }
    }
}

/// A heading as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedHeading {
    program: String,
    kind: u8,
    width: u8,
    places: Box<[u8]>,
}

impl SavedHeading {
    /// What was saved; `None` if no such program is known.
    pub(crate) fn restore(self) -> Option<Heading> {
        let Self { program, kind, width, places } = self;
        let program = Program::ALL.into_iter().find(|known| known.word() == program)?;
        Some(Heading { program, kind, width, places })
    }
}

/// The line without a byte order mark, with which Windows begins files.
pub(crate) fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

/// The fields of a row, quoted as they are; `None` if its quotes do not close, or there are too many.
pub(crate) fn fields(line: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::with_capacity(16);
    let mut rest = line;
    loop {
        if fields.len() == COLUMNS_MAX {
            return None;
        }
        let (field, after) = first_field(rest)?;
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return Some(fields),
        }
    }
}

/// The first field, and what follows its comma if there is one.
fn first_field(rest: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if rest.first() != Some(&b'"') {
        return Some(match cut(rest, b',') {
            Some((field, after)) => (field, Some(after)),
            None => (rest, None),
        });
    }
    let mut at = 1;
    loop {
        at += memchr(b'"', rest.get(at..)?)? + 1;
        match rest.get(at) {
            Some(b'"') => at += 1,
            Some(b',') => return Some((rest.get(..at)?, rest.get(at + 1..))),
            Some(_) => return None,
            None => return Some((rest, None)),
        }
    }
}

/// What a field says.
pub(crate) fn unquoted(field: &[u8]) -> Cow<'_, [u8]> {
    let inside = field.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let Some(inside) = inside else { return Cow::Borrowed(field) };
    if memchr(b'"', inside).is_none() {
        return Cow::Borrowed(inside);
    }
    let mut text = Vec::with_capacity(inside.len());
    let mut bytes = inside.iter();
    while let Some(&byte) = bytes.next() {
        text.push(byte);
        if byte == b'"' {
            bytes.next();
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Option<Vec<String>> {
        let fields = fields(line.as_bytes())?;
        let text = |field: &&[u8]| String::from_utf8_lossy(&unquoted(field)).into_owned();
        Some(fields.iter().map(text).collect())
    }

    #[test]
    fn rows_come_apart() {
        for (line, expected) in [
            ("", Some(vec![""])),
            ("a", Some(vec!["a"])),
            ("a,,b,", Some(vec!["a", "", "b", ""])),
            ("\"a,b\",c", Some(vec!["a,b", "c"])),
            ("\"a \"\"b\"\"\"", Some(vec!["a \"b\""])),
            ("\"\",\"\"", Some(vec!["", ""])),
            ("a\"b,c", Some(vec!["a\"b", "c"])),
            ("\"a", None),
            ("\"a\"b,c", None),
            ("x,\"", None),
            ("x,\"\"\"", None),
        ] {
            let expected = expected.map(|row| row.into_iter().map(str::to_owned).collect());
            assert_eq!(read(line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(row in proptest::collection::vec("[ -~]{0,9}", 1..9)) {
            let quoted: Vec<String> =
                row.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
            prop_assert_eq!(read(&quoted.join(",")), Some(row));
        }

        #[test]
        fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            for field in fields(&line).unwrap_or_default() {
                unquoted(field);
            }
        }
    }
}

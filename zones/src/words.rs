//! Small words for people: counts, dates, names that are not too long for a sentence.
//!
//! Values in, printable ASCII out (a [`Name`] escapes the rest itself). Nothing fails.

use crate::name::Name;
use crate::time::{Day, Time};
use crate::verdict::Reason;

/// A name of so many octets is shown whole: longer ones that honest hosts say are rare.
const NAME_MAX: usize = 64;
/// What is shown of the beginning of a longer one, and of its end, where the domain is.
const NAME_HEAD: usize = 20;
const NAME_TAIL: usize = 36;

/// `1 day`, `2 days`.
pub(crate) fn counted(n: u32, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// The day of a moment: `2026-11-20`.
pub(crate) fn date(time: Time) -> String {
    time.to_string().chars().take(10).collect()
}

/// A day: `2026-11-20`.
pub(crate) fn day(day: Day) -> String {
    date(day.start())
}

/// A name for a sentence: the middle of a long one is left out, and no escape is cut in two.
pub(crate) fn shown(name: &Name) -> String {
    let whole = name.to_string();
    if whole.len() <= NAME_MAX {
        return whole;
    }
    // An escape is four characters, `\x1b`; pieces are characters or whole escapes.
    let mut pieces = Vec::new();
    let mut rest = whole.as_str();
    while let Some(first) = rest.chars().next() {
        let escape = if rest.starts_with("\\x") { rest.split_at_checked(4) } else { None };
        let split = escape.or_else(|| rest.split_at_checked(first.len_utf8()));
        let Some((piece, more)) = split else { break };
        pieces.push(piece);
        rest = more;
    }
    let take = |pieces: &mut dyn Iterator<Item = &&str>, most: usize| {
        let mut taken: Vec<String> = Vec::new();
        let mut length = 0;
        for piece in pieces {
            length += piece.len();
            if length > most {
                break;
            }
            taken.push((*piece).to_owned());
        }
        taken
    };
    let head = take(&mut pieces.iter(), NAME_HEAD);
    let mut tail = take(&mut pieces.iter().rev(), NAME_TAIL);
    tail.reverse();
    format!("{}...{}", head.concat(), tail.concat())
}

/// A reason as what follows "because": reasons of what a client did begin with the verb.
pub(crate) fn clause(reason: &Reason) -> String {
    if reason.text.starts_with("said ") {
        format!("it {}", reason.text)
    } else {
        reason.text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle_and_no_escape() {
        for (said, shown_as) in [
            (b"mail.example.com".to_vec(), "mail.example.com".to_owned()),
            (
                [b"a".repeat(100), b".mail.example.com".to_vec()].concat(),
                format!("{}...{}.mail.example.com", "a".repeat(20), "a".repeat(19)),
            ),
            ([0x1b].repeat(40), format!("{}...{}", "\\x1b".repeat(5), "\\x1b".repeat(9))),
        ] {
            let name = Name::parse(&said);
            assert_eq!(shown(&name), shown_as, "{name}");
        }
    }
}

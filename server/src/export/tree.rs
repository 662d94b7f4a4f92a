//! Names in the order of a zone, each told what the nearest name above it says of all below.
//!
//! In a DNS zone a wildcard does not reach below a name that exists, so every name with something below it has to say for itself what
//! holds there. `visit` is given a name and whether something is said of all names below the one above it, and tells the same of its own.

use std::cmp::Ordering;
use std::io;

/// Sorts names by their labels from the right, each before those below it, and drops those that are there twice.
pub(super) fn sort(names: &mut Vec<Box<str>>) {
    names.sort_unstable_by(|a, b| by_labels(a, b));
    names.dedup();
}

fn by_labels(a: &str, b: &str) -> Ordering {
    a.rsplit('.').cmp(b.rsplit('.'))
}

/// Every name above this one, the nearest first.
pub(super) fn above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..))
}

/// Visits sorted names; `root` tells what is said of all names.
pub(super) fn visit(
    names: &[Box<str>],
    root: bool,
    mut visit: impl FnMut(&str, bool) -> io::Result<bool>,
) -> io::Result<()> {
    let mut path: Vec<(&str, bool)> = Vec::new();
    for name in names {
        while path.last().is_some_and(|(above, _)| !is_below(name, above)) {
            path.pop();
        }
        let said_above = path.last().map_or(root, |(_, said)| *said);
        let said = visit(name, said_above)?;
        path.push((name, said));
    }
    Ok(())
}

fn is_below(name: &str, above: &str) -> bool {
    name.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_told_what_is_said_above_it() {
        let mut names: Vec<Box<str>> =
            ["b.a.com", "com", "x.org", "a.com", "c.b.a.com", "ab.com", "com"]
                .map(Into::into)
                .into();
        sort(&mut names);
        let mut seen = Vec::new();
        let visited = visit(&names, false, |name, said| {
            seen.push((name.to_owned(), said));
            Ok(name == "a.com" || name == "c.b.a.com")
        });
        visited.expect("nothing fails");
        let expected = [
            ("com", false),
            ("a.com", false),
            ("b.a.com", true),
            ("c.b.a.com", false),
            ("ab.com", false),
            ("x.org", false),
        ];
        assert_eq!(seen, expected.map(|(name, said)| (name.to_owned(), said)));
        assert_eq!(above("c.b.a.com").collect::<Vec<_>>(), ["b.a.com", "a.com", "com"]);
    }
}

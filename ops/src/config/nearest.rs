//! The word that was probably meant.

/// The word of `known` nearest to `typed`, if it is near enough to be a slip of the hand: at most
/// one letter in three added, lost, changed or swapped with its neighbour, and always one.
pub(super) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let typed = typed.to_lowercase().replace('_', "-");
    let allowed = (typed.chars().count() / 3).max(1);
    let ranked = known.into_iter().map(|word| (distance(&typed, word), word));
    // A distance as long as the word itself means that nothing of it was typed.
    let near = ranked.filter(|&(far, word)| far <= allowed && far < word.chars().count());
    near.min_by_key(|&(far, _)| far).map(|(_, word)| word)
}

/// How many letters must be added, taken away, changed or swapped with a neighbour to make `to` of
/// `from` (the optimal string alignment distance).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut two_back: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut last = None;
    for (row, letter) in from.chars().enumerate() {
        let mut line = vec![row + 1];
        for (column, &wanted) in to.iter().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX / 2);
            let change = at(&above, column) + usize::from(letter != wanted);
            let cheapest = change.min(at(&above, column + 1) + 1).min(at(&line, column) + 1);
            let before = column.checked_sub(1);
            let swapped =
                before.filter(|&before| last == Some(wanted) && to.get(before) == Some(&letter));
            let swap = swapped.map_or(usize::MAX, |before| at(&two_back, before) + 1);
            line.push(cheapest.min(swap));
        }
        two_back = std::mem::replace(&mut above, line);
        last = Some(letter);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_slips() {
        for (from, to, far) in [
            ("path", "path", 0),
            ("pth", "path", 1),
            ("ptah", "path", 1),
            ("paths", "path", 1),
            ("", "path", 4),
            ("zone", "", 4),
            ("origin", "format", 5),
        ] {
            assert_eq!(distance(from, to), far, "{from} -> {to}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["path", "commit-interval", "future-tolerance", "ns"];
        for (typed, meant) in [
            ("pth", Some("path")),
            ("PATH", Some("path")),
            ("commit_interval", Some("commit-interval")),
            ("commitinterval", Some("commit-interval")),
            ("comit-intervall", Some("commit-interval")),
            ("n", Some("ns")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}

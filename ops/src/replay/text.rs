//! The report in words, for a terminal.

use std::fmt::{self, Display, Write as _};

use super::account::{CLASSES, Tally};
use super::report::{
    Caught, Comparison, Input, LabelReport, Listings, Mistakes, MovedRow, PairRow, PolicyReport,
    Report, date, share, span,
};

/// Pairs shown of each sort; the page and JSON have more.
const PAIRS: usize = 10;
/// Reasons shown of each class.
const REASONS: usize = 6;

/// As text.
impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        input(f, &self.input)?;
        for policy in &self.policies {
            policy_report(f, policy)?;
        }
        if let Some(comparison) = &self.comparison {
            compared(f, comparison, &self.policies)?;
        }
        Ok(())
    }
}

/// A table: cells of equal columns, the first to the left and the others to the right.
fn table(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell: &String| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
    for row in rows {
        let mut line = String::from("  ");
        for (at, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            match at {
                0 => write!(line, "{cell:<width$}")?,
                _ => write!(line, "  {cell:>width$}")?,
            }
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

fn cells<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// A part of one as a percentage; small ones with more digits.
pub fn percent(part: f64) -> String {
    let part = part * 100.0;
    if part != 0.0 && part < 1.0 { format!("{part:.3}%") } else { format!("{part:.1}%") }
}

fn input(f: &mut fmt::Formatter<'_>, input: &Input) -> fmt::Result {
    let Input { files, lines, messages, first, last, days, clients, names, pairs, .. } = input;
    writeln!(
        f,
        "Read {lines} lines of {files} files: {messages} messages from {first} to {last} ({days} days),"
    )?;
    writeln!(f, "{clients} clients saying {names} names, {pairs} pairs")?;
    for site in &input.sites {
        write!(f, "  {:>12}  {} ({})", site.messages, site.name, site.kind)?;
        if site.ham + site.spam > 0 {
            write!(f, ": {} ham, {} spam", site.ham, site.spam)?;
        }
        writeln!(f)?;
    }
    let outcomes: Vec<_> = input.outcomes.iter().map(|(word, n)| format!("{n} {word}")).collect();
    writeln!(f, "  as the mail servers ended them: {}", outcomes.join(", "))?;
    for (what, counts) in
        [("not played", &input.set_aside), ("lines not understood", &input.not_understood)]
    {
        if !counts.is_empty() {
            let counts: Vec<_> = counts.iter().map(|(why, n)| format!("{n} {why}")).collect();
            writeln!(f, "  {what}: {}", counts.join(", "))?;
        }
    }
    let warm = input.warm_up;
    if warm.days > 0 {
        writeln!(
            f,
            "The first {} days, until {}, with {} messages, were learned and are in no figure below",
            warm.days, warm.until, warm.messages
        )?;
    }
    Ok(())
}

fn policy_report(f: &mut fmt::Formatter<'_>, policy: &PolicyReport) -> fmt::Result {
    writeln!(f, "\nBy {} policy", policy.policy)?;
    let has_labels = policy.total.ham + policy.total.spam > 0;
    let head =
        ["class", "messages", "share", "pairs", "clients", "accepted", "rejected", "ham", "spam"];
    let columns = if has_labels { head.len() } else { head.len() - 2 };
    let mut rows = vec![cells(head)];
    for row in &policy.classes {
        let Tally { messages, accepted, rejected, ham, spam } = row.tally;
        let numbers = [row.pairs as u64, row.clients as u64, accepted, rejected, ham, spam];
        let mut cells = vec![row.class.to_string(), messages.to_string(), percent(row.share)];
        cells.extend(numbers.map(|number| number.to_string()));
        rows.push(cells);
    }
    rows.iter_mut().for_each(|row| row.truncate(columns));
    table(f, &rows)?;
    writeln!(f, "  (pairs and clients by the class of their last message)")?;

    for class in CLASSES {
        let mut rows =
            vec![cells(["reason", "messages", "share", "accepted", "rejected", "ham", "spam"])];
        for row in policy.reasons.iter().filter(|row| row.class == class).take(REASONS) {
            let Tally { messages, accepted, rejected, ham, spam } = row.tally;
            let mut cells = vec![row.reason.to_owned(), messages.to_string(), percent(row.share)];
            cells.extend([accepted, rejected, ham, spam].map(|number| number.to_string()));
            rows.push(cells);
        }
        if rows.len() > 1 {
            writeln!(f, "\nWould be {class}, by first reason")?;
            let columns = if has_labels { 7 } else { 5 };
            rows.iter_mut().for_each(|row| row.truncate(columns));
            table(f, &rows)?;
        }
    }
    overlaps(f, policy)?;
    mistakes(f, &policy.likely_false_positives)?;
    pairs(f, "Listed with most messages", &policy.listed_pairs)?;
    pairs(f, "Trusted with most messages", &policy.trusted_pairs)?;
    if let Some(labels) = &policy.labels {
        label_report(f, "all messages", &labels.all)?;
        label_report(f, "one message per site, pair and day", &labels.one_per_site_pair_day)?;
    }
    writeln!(f, "\nAdvice")?;
    policy.advice.sentences.iter().try_for_each(|sentence| writeln!(f, "  {sentence}"))
}

fn overlaps(f: &mut fmt::Formatter<'_>, policy: &PolicyReport) -> fmt::Result {
    let overlap = &policy.overlap;
    writeln!(f, "\nBeside what the mail server itself did")?;
    let numbers = |[rejected, accepted, other]: [u64; 3], name: &str| {
        vec![name.to_owned(), rejected.to_string(), accepted.to_string(), other.to_string()]
    };
    table(
        f,
        &[
            cells(["", "rejected", "accepted", "other"]),
            numbers(
                [overlap.listed_rejected, overlap.listed_accepted, overlap.listed_other],
                "listed",
            ),
            numbers(
                [
                    overlap.not_listed_rejected,
                    overlap.not_listed_accepted,
                    overlap.not_listed_other,
                ],
                "not listed",
            ),
        ],
    )?;
    writeln!(f, "{}", lengths(&policy.listings))
}

/// How long listings lasted, in a sentence.
pub fn lengths(listings: &Listings) -> String {
    let Listings { pairs, clients, clients_longer_than_a_day: long, .. } = listings;
    if *pairs == 0 {
        return "No pair was listed at any time.".to_owned();
    }
    format!(
        "Listed at some time: {pairs} pairs, {clients} clients, {long} of these for more than a day without a break. The longest listing lasted {}, that of every second pair at most {}.",
        span(listings.longest_seconds),
        span(listings.median_seconds),
    )
}

fn mistakes(f: &mut fmt::Formatter<'_>, mistakes: &Mistakes) -> fmt::Result {
    writeln!(
        f,
        "\nLikely false positives: {} pairs, {} accepted messages ({}) that would have been refused,\nof senders whose mail was accepted for long afterwards",
        mistakes.pairs,
        mistakes.messages,
        percent(mistakes.share)
    )?;
    rows_of_pairs(f, &mistakes.shown)
}

fn pairs(f: &mut fmt::Formatter<'_>, title: &str, pairs: &[PairRow]) -> fmt::Result {
    if pairs.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    rows_of_pairs(f, pairs)
}

fn rows_of_pairs(f: &mut fmt::Formatter<'_>, pairs: &[PairRow]) -> fmt::Result {
    for pair in pairs.iter().take(PAIRS) {
        write!(f, "  {} saying {}", pair.ip, said(&pair.name))?;
        match &pair.reverse_name {
            Some(rdns) => writeln!(f, " (reverse name {rdns})")?,
            None => writeln!(f)?,
        }
        writeln!(f, "      {}", pair.sentence)?;
        let history = &pair.history;
        write!(
            f,
            "      in all {} messages from {} to {}, {} accepted, {} refused",
            history.messages,
            date(history.first),
            date(history.last),
            history.accepted,
            history.rejected
        )?;
        if history.ham + history.spam > 0 {
            write!(f, "; {} ham, {} spam", history.ham, history.spam)?;
        }
        writeln!(f)?;
    }
    match pairs.len().checked_sub(PAIRS) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(f, "  ... and {more} more in --json and --html"),
    }
}

/// A name, or that there is none.
pub fn said(name: &str) -> &str {
    if name.is_empty() { "(nothing)" } else { name }
}

fn label_report(f: &mut fmt::Formatter<'_>, of: &str, labels: &LabelReport) -> fmt::Result {
    writeln!(
        f,
        "\nAgainst the labels, {of}: {} ham, {} spam\n  AUC {:.4} ({:.4} by the score from 0 to 100)",
        labels.ham, labels.spam, labels.auc, labels.auc_of_score
    )?;
    let row = |name: &str, caught: &Caught| {
        vec![
            name.to_owned(),
            caught.ham.to_string(),
            percent(caught.ham_share),
            caught.spam.to_string(),
            percent(caught.spam_share),
        ]
    };
    table(
        f,
        &[
            cells(["", "ham", "of all", "spam", "of all"]),
            row("trusted or known", &labels.trusted_or_known),
            row("listed", &labels.listed),
        ],
    )
}

fn compared(
    f: &mut fmt::Formatter<'_>,
    comparison: &Comparison,
    policies: &[PolicyReport],
) -> fmt::Result {
    let [one, other] = policies else { return Ok(()) };
    writeln!(f, "\n{} (rows) against {} (columns): messages by class", one.policy, other.policy)?;
    let head = || {
        let mut head = vec![String::new()];
        head.extend(CLASSES.map(|class| class.to_string()));
        head
    };
    let mut rows = vec![head()];
    for (class, counts) in CLASSES.into_iter().zip(comparison.messages) {
        let mut row = vec![class.to_string()];
        row.extend(counts.map(|n| n.to_string()));
        rows.push(row);
    }
    table(f, &rows)?;
    let messages: u64 = one.total.messages;
    writeln!(
        f,
        "{} messages ({}) and {} pairs are judged differently",
        comparison.moved_messages,
        percent(share(comparison.moved_messages, messages)),
        comparison.moved_pairs
    )?;
    let mut rows = vec![cells(["", "first", "second"])];
    for (name, [one, other]) in figures(one, other) {
        rows.push(vec![name, one, other]);
    }
    table(f, &rows)?;
    for moved in comparison.shown.iter().take(PAIRS) {
        let MovedRow { ip, name, messages, first, from, to, reasons: [one, other], .. } = moved;
        writeln!(
            f,
            "  {ip} saying {}: {messages} messages, first on {}: {from} ({one}) and {to} ({other})",
            said(name),
            date(*first)
        )?;
    }
    Ok(())
}

/// The figures of two policies, side by side.
pub fn figures(one: &PolicyReport, other: &PolicyReport) -> Vec<(String, [String; 2])> {
    let both = |name: &str, figure: &dyn Fn(&PolicyReport) -> String| {
        (name.to_owned(), [figure(one), figure(other)])
    };
    let mut figures = vec![
        both("accepted messages refused", &|it| it.overlap.listed_accepted.to_string()),
        both("rejected messages refused", &|it| it.overlap.listed_rejected.to_string()),
        both("likely false positives, pairs", &|it| it.likely_false_positives.pairs.to_string()),
        both("clients listed", &|it| it.listings.clients.to_string()),
        both("clients listed for more than a day", &|it| {
            it.listings.clients_longer_than_a_day.to_string()
        }),
    ];
    if one.labels.is_some() && other.labels.is_some() {
        let of = |it: &PolicyReport, figure: &dyn Fn(&LabelReport) -> String, firsts: bool| {
            it.labels.as_ref().map_or_else(String::new, |labels| {
                figure(if firsts { &labels.one_per_site_pair_day } else { &labels.all })
            })
        };
        for (what, firsts) in [("", false), (", one per site, pair and day", true)] {
            figures.extend([
                both(&format!("AUC{what}"), &|it| of(it, &|it| format!("{:.4}", it.auc), firsts)),
                both(&format!("trusted or known: ham / spam{what}"), &|it| {
                    of(it, &|it| shares(&it.trusted_or_known), firsts)
                }),
                both(&format!("listed: ham / spam{what}"), &|it| {
                    of(it, &|it| shares(&it.listed), firsts)
                }),
            ]);
        }
    }
    figures
}

fn shares(caught: &Caught) -> String {
    format!("{} / {}", percent(caught.ham_share), percent(caught.spam_share))
}

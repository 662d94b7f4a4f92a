//! The report as one page that needs nothing else: no network, no script, no font; light and dark.
//!
//! Names in EHLO, reverse names, sites and files are other people's text: all of it goes through [`escaped`].

use std::fmt::Write as _;

use super::account::{CLASSES, Tally};
use super::advice::Enforce;
use super::plot;
use super::report::{
    Caught, Comparison, Input, LabelReport, Labels, Mistakes, PairRow, PolicyReport, Report, date,
};
use super::text::{figures, lengths, percent, said};

/// Pairs shown of each sort.
const PAIRS: usize = 50;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2530;--soft:#5b6776;--line:#d9dee5;--card:#fff;--page:#f4f6f8}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ef;--soft:#9aa7b6;--line:#333d49;--card:#1b222b;--page:#12171d}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
main{max-width:1080px;margin:0 auto;padding:16px}
h1{font-size:1.6rem;margin:.6rem 0 .2rem}h2{font-size:1.25rem;margin:2rem 0 .6rem}h3{font-size:1.02rem;margin:1.2rem 0 .4rem}section>h3:first-child{margin-top:0}
p{margin:.4rem 0}.soft{color:var(--soft)}
section,.tile,.advice{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px;margin:12px 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px}
.tile{margin:0}.tile b{display:block;font-size:1.45rem;font-variant-numeric:tabular-nums}
.advice{border-left:6px solid #8a94a0}.advice.yes{border-left-color:#1a7f4b}.advice.with-exceptions{border-left-color:#d99a1f}.advice.not-yet{border-left-color:#c8372d}
.advice p:first-child{font-weight:600}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
th,td{padding:4px 10px 4px 0;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600}th:first-child,td:first-child{text-align:left}
td.same{color:var(--soft)}td.zero{color:var(--soft);opacity:.6}
.plots svg{max-width:440px}svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);font-size:12px}
.grid{stroke:var(--line);fill:none}.curve{fill:none;stroke-width:2.5}.curve.first{stroke:#2b6cb0}.curve.second{stroke:#d98a1f;stroke-dasharray:6 3}
.plots{margin-top:14px;display:grid;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));gap:18px;align-items:start}
rect.trusted{fill:#1a7f4b}rect.known{fill:#74bf8c}rect.new{fill:#aab4bf}rect.suspect{fill:#e3a32c}rect.listed{fill:#c8372d}
.key{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:.9rem;margin:.5rem 0}
.key span::before{content:'';display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em;background:#aab4bf}
.key .trusted::before{background:#1a7f4b}.key .known::before{background:#74bf8c}.key .suspect::before{background:#e3a32c}.key .listed::before{background:#c8372d}
.key .first::before{background:#2b6cb0}.key .second::before{background:#d98a1f}
details{border-bottom:1px solid var(--line);padding:7px 0}summary{cursor:pointer}
summary code{overflow-wrap:anywhere}code{font-size:.92em}
@media(max-width:640px){.time text{font-size:25px}th:first-child,td:first-child{white-space:normal;min-width:7em}}
.why{display:inline-block;border:1px solid var(--line);border-radius:99px;padding:0 9px;margin:2px 4px 2px 0;font-size:.85rem}
ul{margin:.3rem 0;padding-left:1.2rem}li{overflow-wrap:anywhere}
";

/// The page.
pub fn page(report: &Report) -> String {
    let mut page = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"referrer\" content=\"no-referrer\"><title>helostat replay</title><style>",
    );
    page.push_str(STYLE);
    page.push_str("</style></head><body><main>\n");
    let input = &report.input;
    put(
        &mut page,
        format_args!(
            "<h1>What helostat would have said</h1><p class=\"soft\">{} messages from {} to {}, each judged by what was known before it. {}</p>",
            grouped(input.messages),
            date(input.first),
            date(input.last),
            escaped(&report.program),
        ),
    );
    if let [policy] = report.policies.as_slice() {
        whole_policy(&mut page, policy);
    } else {
        if let (Some(comparison), [one, other]) = (&report.comparison, report.policies.as_slice()) {
            compared(&mut page, comparison, one, other);
        }
        for policy in &report.policies {
            put(&mut page, format_args!("<h2>By {}</h2>", escaped(&policy.policy)));
            whole_policy(&mut page, policy);
        }
    }
    inputs(&mut page, input);
    page.push_str("</main></body></html>\n");
    page
}

/// A text in which nothing is markup any more.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Writing into memory does not fail.
fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).unwrap_or_default();
    page.push('\n');
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn table(page: &mut String, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    page.push_str("<div class=\"wide\"><table><thead><tr>");
    for cell in head {
        put(page, format_args!("<th>{}</th>", escaped(cell)));
    }
    page.push_str("</tr></thead><tbody>");
    for row in rows {
        page.push_str("<tr>");
        for cell in row {
            let zero = if cell == "0" { " class=\"zero\"" } else { "" };
            put(page, format_args!("<td{zero}>{}</td>", escaped(&cell)));
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div>");
}

fn whole_policy(page: &mut String, policy: &PolicyReport) {
    let word = match policy.advice.enforce {
        Enforce::Yes => "yes",
        Enforce::WithExceptions => "with-exceptions",
        Enforce::NotYet => "not-yet",
        Enforce::Nothing => "nothing",
    };
    put(page, format_args!("<div class=\"advice {word}\">"));
    for sentence in &policy.advice.sentences {
        put(page, format_args!("<p>{}</p>", escaped(sentence)));
    }
    page.push_str("</div>");
    tiles(page, policy);
    classes(page, policy);
    over_time(page, policy);
    if let Some(labels) = &policy.labels {
        against_labels(page, labels);
    }
    overlaps(page, policy);
    mistakes(page, &policy.likely_false_positives);
    reasons(page, policy);
    pairs(
        page,
        "Would have been listed",
        "Those with most messages while listed. Open one for its evidence.",
        &policy.listed_pairs,
    );
    pairs(
        page,
        "Would have been trusted",
        "Those with most messages while trusted.",
        &policy.trusted_pairs,
    );
}

fn tiles(page: &mut String, policy: &PolicyReport) {
    let of = |class: usize| policy.classes.get(class).map_or(0.0, |row| row.share);
    let mut tiles = vec![
        (percent(of(0) + of(1)), "of messages trusted or known"),
        (percent(of(4)), "of messages listed"),
        (grouped(policy.overlap.listed_accepted), "accepted messages that would have been refused"),
        (grouped(policy.likely_false_positives.pairs as u64), "likely false positives (senders)"),
    ];
    if let Some(labels) = &policy.labels {
        tiles.push((format!("{:.3}", labels.all.auc), "AUC against the labels"));
    }
    page.push_str("<div class=\"tiles\">");
    for (number, what) in tiles {
        put(page, format_args!("<div class=\"tile\"><b>{number}</b>{what}</div>"));
    }
    page.push_str("</div>");
}

fn classes(page: &mut String, policy: &PolicyReport) {
    page.push_str("<section><h3>Classes</h3>");
    let mut head = vec!["class", "messages", "share", "pairs", "clients", "accepted", "rejected"];
    let has_labels = policy.total.ham + policy.total.spam > 0;
    if has_labels {
        head.extend(["ham", "spam"]);
    }
    let rows = policy.classes.iter().map(|row| {
        let Tally { messages, accepted, rejected, ham, spam } = row.tally;
        let mut cells = vec![row.class.to_string(), grouped(messages), percent(row.share)];
        cells.extend([row.pairs as u64, row.clients as u64, accepted, rejected].map(grouped));
        if has_labels {
            cells.extend([ham, spam].map(grouped));
        }
        cells
    });
    table(page, &head, rows);
    page.push_str("<p class=\"soft\">Pairs and clients by the class of their last message. Accepted and rejected are what the mail server did; mail that a trap took, or that is labelled spam, does not count as accepted.</p></section>");
}

fn key(page: &mut String, words: &[(&str, &str)]) {
    page.push_str("<p class=\"key\">");
    for (class, word) in words {
        put(page, format_args!("<span class=\"{class}\">{word}</span>"));
    }
    page.push_str("</p>");
}

fn over_time(page: &mut String, policy: &PolicyReport) {
    page.push_str("<section class=\"time\"><h3>Messages over time</h3>");
    page.push_str(&plot::over_time(&policy.days));
    key(page, &CLASSES.map(|class| (class.word(), class.word())));
    page.push_str("</section>");
}

fn against_labels(page: &mut String, labels: &Labels) {
    let Labels { all, one_per_site_pair_day: firsts } = labels;
    page.push_str("<section><h3>Against the labels</h3>");
    let row = |name: &str, figure: &dyn Fn(&LabelReport) -> String| {
        vec![name.to_owned(), figure(all), figure(firsts)]
    };
    let rows = [
        row("ham, spam messages", &|it| format!("{}, {}", grouped(it.ham), grouped(it.spam))),
        row("AUC (by the score 0-100)", &|it| format!("{:.4} ({:.4})", it.auc, it.auc_of_score)),
        row("trusted or known: ham kept / spam leaked", &|it| caught(&it.trusted_or_known)),
        row("listed: ham flagged / spam caught", &|it| caught(&it.listed)),
    ];
    table(page, &["", "all messages", "one per site, pair, day"], rows.into_iter());
    page.push_str("<div class=\"plots\"><div>");
    page.push_str(&plot::curve(all, firsts));
    key(page, &[("first", "all messages"), ("second", "one per site, pair and day")]);
    page.push_str("</div><div>");
    page.push_str(&plot::histogram(all));
    key(page, &[("trusted", "ham, by score"), ("listed", "spam, by score")]);
    page.push_str("</div></div></section>");
}

fn caught(caught: &Caught) -> String {
    format!("{} / {}", percent(caught.ham_share), percent(caught.spam_share))
}

fn overlaps(page: &mut String, policy: &PolicyReport) {
    let it = &policy.overlap;
    page.push_str("<section><h3>Beside what the mail server itself did</h3>");
    let rows = [
        ("listed", [it.listed_rejected, it.listed_accepted, it.listed_other]),
        ("not listed", [it.not_listed_rejected, it.not_listed_accepted, it.not_listed_other]),
    ];
    let rows = rows.into_iter().map(|(name, counts)| {
        let mut cells = vec![name.to_owned()];
        cells.extend(counts.map(grouped));
        cells
    });
    table(page, &["", "rejected", "accepted", "neither"], rows);
    put(page, format_args!("<p>{}</p></section>", escaped(&lengths(&policy.listings))));
}

fn reasons(page: &mut String, policy: &PolicyReport) {
    page.push_str("<section><h3>Why: the first reason of each message</h3>");
    let has_labels = policy.total.ham + policy.total.spam > 0;
    let mut head = vec!["class: reason", "messages", "share", "accepted", "rejected"];
    if has_labels {
        head.extend(["ham", "spam"]);
    }
    let rows = policy.reasons.iter().map(|row| {
        let Tally { messages, accepted, rejected, ham, spam } = row.tally;
        let name = format!("{}: {}", row.class, row.reason);
        let mut cells = vec![name, grouped(messages), percent(row.share)];
        cells.extend([accepted, rejected].map(grouped));
        if has_labels {
            cells.extend([ham, spam].map(grouped));
        }
        cells
    });
    table(page, &head, rows);
    if !policy.codes.is_empty() {
        page.push_str("<h3>Listed messages by the code of the block list</h3>");
        let rows = policy.codes.iter().map(|row| {
            let mut cells = vec![format!("127.0.0.{}", row.code)];
            let Tally { messages, accepted, rejected, .. } = row.tally;
            cells.extend([messages, accepted, rejected].map(grouped));
            cells
        });
        table(page, &["code", "messages", "accepted", "rejected"], rows);
    }
    page.push_str("</section>");
}

fn mistakes(page: &mut String, mistakes: &Mistakes) {
    let about = format!(
        "{} senders, {} accepted messages ({}) that would have been refused. Their mail was accepted for long afterwards, so listing them looks like a mistake; nobody is sure.",
        grouped(mistakes.pairs as u64),
        grouped(mistakes.messages),
        percent(mistakes.share)
    );
    pairs_at_most(page, "Likely false positives", &about, &mistakes.shown, PAIRS * 4);
}

fn pairs(page: &mut String, title: &str, about: &str, pairs: &[PairRow]) {
    pairs_at_most(page, title, about, pairs, PAIRS);
}

fn pairs_at_most(page: &mut String, title: &str, about: &str, pairs: &[PairRow], most: usize) {
    put(page, format_args!("<section><h3>{title}</h3><p>{about}</p>"));
    for pair in pairs.iter().take(most) {
        one_pair(page, pair);
    }
    if let Some(more) = pairs.len().checked_sub(most).filter(|more| *more > 0) {
        put(page, format_args!("<p class=\"soft\">... and {more} more in the JSON.</p>"));
    }
    page.push_str("</section>");
}

fn one_pair(page: &mut String, pair: &PairRow) {
    put(
        page,
        format_args!(
            "<details><summary><code>{}</code> saying <code>{}</code> <span class=\"soft\">{} messages</span></summary><p>{}.</p><p>",
            escaped(&pair.ip),
            escaped(said(&pair.name)),
            grouped(u64::from(pair.messages)),
            escaped(&capital(&pair.sentence)),
        ),
    );
    for reason in &pair.reasons {
        let points = reason.points;
        put(page, format_args!("<span class=\"why\">{} {points:+}</span>", escaped(reason.word)));
    }
    let history = &pair.history;
    let mut facts = vec![format!(
        "in all {} messages from {} to {}: {} accepted, {} refused",
        history.messages,
        date(history.first),
        date(history.last),
        history.accepted,
        history.rejected
    )];
    if history.ham + history.spam > 0 {
        facts.push(format!("labelled: {} ham, {} spam", history.ham, history.spam));
    }
    match &pair.reverse_name {
        Some(name) => facts.push(format!("reverse name: {name}")),
        None => facts.push("no reverse name in the logs".to_owned()),
    }
    facts.extend(pair.evidence.iter().cloned());
    page.push_str("</p><ul>");
    for fact in facts {
        put(page, format_args!("<li>{}</li>", escaped(&fact)));
    }
    page.push_str("</ul></details>");
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn compared(page: &mut String, comparison: &Comparison, one: &PolicyReport, other: &PolicyReport) {
    put(
        page,
        format_args!(
            "<section><h3>Where the two policies differ</h3><p>{} messages and {} pairs are judged differently. Rows: {}; columns: {}.</p>",
            grouped(comparison.moved_messages),
            grouped(comparison.moved_pairs as u64),
            escaped(&one.policy),
            escaped(&other.policy),
        ),
    );
    let head: Vec<_> = [""].into_iter().chain(CLASSES.map(|class| class.word())).collect();
    let rows = CLASSES.into_iter().zip(comparison.messages).map(|(class, counts)| {
        let mut cells = vec![class.to_string()];
        cells.extend(counts.map(grouped));
        cells
    });
    table(page, &head, rows);
    page.push_str("<h3>Side by side</h3>");
    let rows = figures(one, other).into_iter().map(|(name, [one, other])| vec![name, one, other]);
    table(page, &["", &one.policy, &other.policy], rows);
    page.push_str("<h3>Pairs judged differently</h3>");
    let rows = comparison.shown.iter().take(PAIRS).map(|row| {
        vec![
            format!("{} {}", row.ip, said(&row.name)),
            grouped(u64::from(row.messages)),
            date(row.first),
            format!("{} ({})", row.from, row.reasons[0]),
            format!("{} ({})", row.to, row.reasons[1]),
        ]
    });
    table(page, &["pair", "messages", "first", "first policy", "second policy"], rows);
    page.push_str("</section>");
}

fn inputs(page: &mut String, input: &Input) {
    page.push_str("<section><h3>What was read</h3>");
    put(
        page,
        format_args!(
            "<p>{} lines of {} files: {} messages from {} to {} ({} days), {} clients saying {} names, {} pairs.</p>",
            grouped(input.lines),
            input.files,
            grouped(input.messages),
            input.first,
            input.last,
            input.days,
            grouped(input.clients as u64),
            grouped(input.names as u64),
            grouped(input.pairs as u64),
        ),
    );
    let warm = input.warm_up;
    if warm.days > 0 {
        put(
            page,
            format_args!(
                "<p>The first {} days, until {}, with {} messages, were learned and are in no figure.</p>",
                warm.days,
                warm.until,
                grouped(warm.messages)
            ),
        );
    }
    let rows = input.sites.iter().map(|site| {
        let mut cells = vec![site.name.clone(), site.kind.to_owned()];
        cells.extend([site.messages, site.ham, site.spam].map(grouped));
        cells
    });
    table(page, &["site", "kind", "messages", "ham", "spam"], rows);
    let counts = [
        ("ended", &input.outcomes),
        ("not played", &input.set_aside),
        ("lines not understood", &input.not_understood),
    ];
    for (what, counts) in counts.into_iter().filter(|(_, counts)| !counts.is_empty()) {
        let told: Vec<_> = counts.iter().map(|(why, n)| format!("{} {why}", grouped(*n))).collect();
        put(page, format_args!("<p class=\"soft\">{what}: {}</p>", escaped(&told.join(", "))));
    }
    for note in &input.notes {
        put(page, format_args!("<p class=\"soft\">{}</p>", escaped(note)));
    }
    page.push_str("</section>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup() {
        assert_eq!(
            escaped("<script src='x'>&\"</script>"),
            "&lt;script src=&#39;x&#39;&gt;&amp;&quot;&lt;/script&gt;"
        );
    }

    #[test]
    fn thousands() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}

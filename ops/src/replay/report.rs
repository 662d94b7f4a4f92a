//! All figures of a replay as one value: what the text and the page show, and what `--json` prints as it is.
//!
//! The keys are documented in `docs/replay.md` and are not renamed. Shares are parts of one, times RFC 3339, durations
//! seconds. Lists of pairs are cut ([`PAIRS_MAX`], [`MISTAKES_MAX`]); the counts beside them are not.

use std::collections::BTreeMap;

use helostat_zones::observation::Outcome;
use helostat_zones::time::{DAY_SECONDS, Day, Time};
use helostat_zones::verdict::{Class, ListCode};
use serde::Serialize;

use super::account::{Account, CLASSES, Labelled, Tally};
use super::advice::{Advice, advise};
use super::compare::Moves;
use super::play::Played;
use super::read::Counts;
use super::reel::Reel;
use super::roc::area_of;
use super::standing::{Cause, Ends, Later};
use super::tracks::Track;
use helostat_zones::replay::Player;

/// Pairs shown of each sort.
pub const PAIRS_MAX: usize = 100;
/// Likely false positives shown.
pub const MISTAKES_MAX: usize = 1000;
/// Points of a curve.
const POINTS: usize = 200;

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The program and its version.
    pub program: String,
    /// What was read.
    pub input: Input,
    /// What each policy would have done.
    pub policies: Vec<PolicyReport>,
    /// Where two policies differ.
    pub comparison: Option<Comparison>,
}

/// What was read.
#[derive(Debug, Serialize)]
pub struct Input {
    /// Files read.
    pub files: usize,
    /// Lines read.
    pub lines: u64,
    /// Messages (and connections without one) that were played.
    pub messages: u64,
    /// The time of the first.
    pub first: Time,
    /// The time of the last.
    pub last: Time,
    /// UTC days from the first to the last, both included.
    pub days: u32,
    /// Clients: IPv4 addresses and IPv6 /64s.
    pub clients: usize,
    /// Names said in EHLO.
    pub names: usize,
    /// Clients with a name.
    pub pairs: usize,
    /// Who reported.
    pub sites: Vec<SiteReport>,
    /// Messages by how they ended.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Lines not understood, by why.
    pub not_understood: BTreeMap<&'static str, u64>,
    /// Messages that were not played, by why.
    pub set_aside: BTreeMap<&'static str, u64>,
    /// What should be known of the files: sentences.
    pub notes: Vec<String>,
    /// What is left out of all figures below.
    pub warm_up: WarmUp,
}

/// The first days.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WarmUp {
    /// How many.
    pub days: u32,
    /// Their end.
    pub until: Time,
    /// Messages in them.
    pub messages: u64,
}

/// One reporter.
#[derive(Debug, Serialize)]
pub struct SiteReport {
    /// Its name.
    pub name: String,
    /// What sort of mail it sees.
    pub kind: &'static str,
    /// Messages.
    pub messages: u64,
    /// Labelled ham.
    pub ham: u64,
    /// Labelled spam.
    pub spam: u64,
}

/// What one policy would have done.
#[derive(Debug, Serialize)]
pub struct PolicyReport {
    /// Where it is from.
    pub policy: String,
    /// All messages after the warm-up.
    pub total: Tally,
    /// By class, from best to worst.
    pub classes: Vec<ClassRow>,
    /// By class and first reason, most messages of a class first.
    pub reasons: Vec<ReasonRow>,
    /// Listed messages by the codes of the block list.
    pub codes: Vec<CodeRow>,
    /// By UTC day; days without mail are left out.
    pub days: Vec<DayRow>,
    /// What the mail server itself did with what would have been listed.
    pub overlap: Overlap,
    /// How long listings last.
    pub listings: Listings,
    /// Listed senders with a long later history of accepted mail.
    pub likely_false_positives: Mistakes,
    /// The pairs with most messages while listed.
    pub listed_pairs: Vec<PairRow>,
    /// The pairs with most messages while trusted.
    pub trusted_pairs: Vec<PairRow>,
    /// Against labels, if there are ham and spam.
    pub labels: Option<Labels>,
    /// Whether to enforce it, in words.
    pub advice: Advice,
}

/// One class.
#[derive(Debug, Serialize)]
pub struct ClassRow {
    /// The class.
    pub class: Class,
    /// Its messages.
    #[serde(flatten)]
    pub tally: Tally,
    /// Their share of all messages.
    pub share: f64,
    /// Pairs whose last message was in it.
    pub pairs: usize,
    /// Clients whose last message was in it.
    pub clients: usize,
}

/// One first reason in one class.
#[derive(Debug, Serialize)]
pub struct ReasonRow {
    /// The class.
    pub class: Class,
    /// The word of the reason.
    pub reason: &'static str,
    /// Its messages.
    #[serde(flatten)]
    pub tally: Tally,
    /// Their share of all messages.
    pub share: f64,
}

/// One code of the block list.
#[derive(Debug, Serialize)]
pub struct CodeRow {
    /// The last octet of 127.0.0.x.
    pub code: u8,
    /// Its word.
    pub word: ListCode,
    /// Its messages.
    #[serde(flatten)]
    pub tally: Tally,
}

/// One day.
#[derive(Debug, Serialize)]
pub struct DayRow {
    /// The date.
    pub day: String,
    /// Messages by class, from best to worst.
    pub messages: [u64; 5],
}

/// Listed or not, by what the mail server did.
#[derive(Debug, Serialize)]
pub struct Overlap {
    /// Would have been listed, and was refused.
    pub listed_rejected: u64,
    /// Would have been listed, and was accepted.
    pub listed_accepted: u64,
    /// Would have been listed; neither.
    pub listed_other: u64,
    /// Would not have been listed, and was refused.
    pub not_listed_rejected: u64,
    /// Would not have been listed, and was accepted.
    pub not_listed_accepted: u64,
    /// Would not have been listed; neither.
    pub not_listed_other: u64,
}

/// How long listings last.
#[derive(Debug, Serialize)]
pub struct Listings {
    /// Pairs listed at least once.
    pub pairs: usize,
    /// Clients listed at least once.
    pub clients: usize,
    /// Those listed for more than a day without a break.
    pub clients_longer_than_a_day: usize,
    /// The longest time from the first to the last listed message of a pair without another between.
    pub longest_seconds: u32,
    /// The median of that over the listed pairs.
    pub median_seconds: u32,
}

/// Likely false positives.
#[derive(Debug, Serialize)]
pub struct Mistakes {
    /// How many pairs.
    pub pairs: usize,
    /// Their messages that were accepted and would have been refused.
    pub messages: u64,
    /// The share of those in all accepted messages.
    pub share: f64,
    /// The pairs, those with most such messages first.
    pub shown: Vec<PairRow>,
}

/// One pair with its evidence.
#[derive(Debug, Serialize)]
pub struct PairRow {
    /// The address; of an IPv6 /64 the first that was seen.
    pub ip: String,
    /// The name in EHLO; empty if it said none.
    pub name: String,
    /// The reverse name last logged.
    pub reverse_name: Option<String>,
    /// Messages while in the class.
    pub messages: u32,
    /// Those the mail server accepted.
    pub accepted: u32,
    /// Those it refused.
    pub rejected: u32,
    /// When it was first in the class; of likely mistakes, when it was first accepted while listed.
    pub since: Time,
    /// The score then.
    pub score: u8,
    /// The reasons then, heaviest first.
    pub reasons: Vec<ReasonPoints>,
    /// The codes of the block list then.
    pub codes: Vec<u8>,
    /// The longest time it was listed.
    pub longest_seconds: u32,
    /// All its messages.
    pub history: Track,
    /// What was accepted after that.
    pub later: Option<LaterRow>,
    /// All this in a sentence.
    pub sentence: String,
    /// What is known of it at the end, a line each.
    pub evidence: Vec<String>,
}

/// A reason.
#[derive(Debug, Serialize)]
pub struct ReasonPoints {
    /// Its word.
    pub word: &'static str,
    /// What it added to the score.
    pub points: i32,
}

/// What was accepted after a listing.
#[derive(Debug, Serialize)]
pub struct LaterRow {
    /// Messages accepted.
    pub accepted: u32,
    /// On so many days.
    pub days: u32,
    /// Messages refused.
    pub rejected: u32,
    /// The last accepted.
    pub last: Time,
}

/// Against labels.
#[derive(Debug, Serialize)]
pub struct Labels {
    /// Every message.
    pub all: LabelReport,
    /// The first message of each site, pair and day.
    pub one_per_site_pair_day: LabelReport,
}

/// How well it separates.
#[derive(Debug, Serialize)]
pub struct LabelReport {
    /// Messages labelled ham.
    pub ham: u64,
    /// Messages labelled spam.
    pub spam: u64,
    /// The chance that ham scores above spam; by the unrounded score.
    pub auc: f64,
    /// The same by the score from 0 to 100.
    pub auc_of_score: f64,
    /// Share of ham flagged and of spam caught, for every threshold.
    pub roc: Vec<[f64; 2]>,
    /// Ham kept and spam leaked.
    pub trusted_or_known: Caught,
    /// Ham flagged and spam caught.
    pub listed: Caught,
    /// Ham and spam by class, from best to worst.
    pub classes: [[u64; 2]; 5],
    /// Messages by score from 0 to 100.
    pub histogram: Histogram,
}

/// How much ham and spam is in a set of classes.
#[derive(Debug, Serialize)]
pub struct Caught {
    /// Ham messages.
    pub ham: u64,
    /// Their share of all ham.
    pub ham_share: f64,
    /// Spam messages.
    pub spam: u64,
    /// Their share of all spam.
    pub spam_share: f64,
}

/// Messages by score.
#[derive(Debug, Serialize)]
pub struct Histogram {
    /// Ham.
    pub ham: Vec<u64>,
    /// Spam.
    pub spam: Vec<u64>,
}

/// Where two policies differ.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// Messages by the class of the first (row) and of the second (column), from best to worst.
    pub messages: [[u64; 5]; 5],
    /// The same for pairs, by their last message.
    pub pairs: [[usize; 5]; 5],
    /// Messages in different classes.
    pub moved_messages: u64,
    /// Pairs that were in different classes at least once.
    pub moved_pairs: usize,
    /// Those with most such messages.
    pub shown: Vec<MovedRow>,
}

/// A pair that the policies judge differently.
#[derive(Debug, Serialize)]
pub struct MovedRow {
    /// The address.
    pub ip: String,
    /// The name in EHLO.
    pub name: String,
    /// Messages judged differently.
    pub messages: u32,
    /// The first of them.
    pub first: Time,
    /// The class of that one by the first policy.
    pub from: Class,
    /// And by the second.
    pub to: Class,
    /// The first reasons of both then.
    pub reasons: [&'static str; 2],
    /// All its messages.
    pub history: Track,
}

/// A part of a whole; of nothing, none.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What a report is made from.
pub struct Making<'a> {
    /// The names of the policies.
    pub policies: &'a [String],
    /// What became of the lines.
    pub counts: Counts,
    /// The mail.
    pub reel: &'a Reel,
    /// Who knows it all at the end.
    pub player: &'a Player,
    /// The days of warm-up that were asked for.
    pub warm_days: u32,
}

impl Making<'_> {
    /// Makes it.
    pub fn report(self, mut played: Played) -> Report {
        let input = self.input(&played);
        let mut accounts = std::mem::take(&mut played.accounts);
        let comparison = played.moves.as_ref().and_then(|moves| match accounts.as_slice() {
            [one, other] => Some(self.comparison(moves, [one, other], &played.tracks)),
            _ => None,
        });
        let named = self.policies.iter().zip(&mut accounts);
        let policies =
            named.map(|(name, account)| self.policy(name, account, &played, &input)).collect();
        Report {
            program: format!("helostat {}", env!("CARGO_PKG_VERSION")),
            input,
            policies,
            comparison,
        }
    }

    fn input(&self, played: &Played) -> Input {
        let Counts { files, lines, unread, set_aside, notes } = self.counts.clone();
        let reel = self.reel;
        let sites = reel.sites.iter().zip(&played.sites).map(|(name, count)| SiteReport {
            name: name.to_string(),
            kind: count.kind.word(),
            messages: count.messages,
            ham: count.ham,
            spam: count.spam,
        });
        let mut sites: Vec<_> = sites.collect();
        sites.sort_by(|a, b| (b.messages, &a.name).cmp(&(a.messages, &b.name)));
        let outcomes = Outcome::ALL.into_iter().zip(played.outcomes).filter(|(_, n)| *n > 0);
        Input {
            files,
            lines,
            messages: played.messages,
            first: played.first,
            last: played.last,
            days: played.last.day().since(played.first.day()) + 1,
            clients: reel.clients(),
            names: reel.names(),
            pairs: reel.pairs.len(),
            sites,
            outcomes: outcomes.map(|(outcome, n)| (outcome.word(), n)).collect(),
            not_understood: unread,
            set_aside,
            notes,
            warm_up: WarmUp {
                days: self.warm_days,
                until: played.warm_until,
                messages: played.warm_messages,
            },
        }
    }

    fn policy(
        &self,
        name: &str,
        account: &mut Account,
        played: &Played,
        input: &Input,
    ) -> PolicyReport {
        let total = account.total();
        let labels = labels(account);
        let account = &*account;
        let (mistakes, listings) = (self.mistakes(account, played, total), listings(account));
        let overlap = overlap(account, total);
        PolicyReport {
            policy: name.to_owned(),
            classes: classes(account, total),
            reasons: reasons(account, total),
            codes: account
                .codes
                .iter()
                .map(|(code, tally)| CodeRow { code: *code as u8, word: *code, tally: *tally })
                .collect(),
            days: account.days.iter().map(|(day, messages)| day_row(*day, *messages)).collect(),
            advice: advise(input, total, &overlap, &mistakes, labels.as_ref()),
            overlap,
            listings,
            likely_false_positives: mistakes,
            listed_pairs: self.listed(account, played),
            trusted_pairs: self.trusted(account, played),
            labels,
            total,
        }
    }

    fn listed(&self, account: &Account, played: &Played) -> Vec<PairRow> {
        let listed = account.standings.listed().into_iter().take(PAIRS_MAX);
        let row = |(pair, listed): (u32, &super::standing::Listed)| {
            let mut row = self.pair(pair, &listed.cause, listed.ends, played)?;
            row.longest_seconds = listed.runs.longest;
            row.later = later(listed.later);
            let Ends { messages, accepted, rejected } = listed.ends;
            row.sentence = format!(
                "would have been refused {}, from {} on, for {}",
                times(messages),
                date(listed.cause.time),
                why(&listed.cause),
            );
            if accepted + rejected > 0 {
                row.sentence.push_str(&format!(
                    "; the mail server accepted {accepted} of these and refused {rejected}"
                ));
            }
            Some(row)
        };
        listed.filter_map(row).collect()
    }

    fn trusted(&self, account: &Account, played: &Played) -> Vec<PairRow> {
        let trusted = account.standings.trusted().into_iter().take(PAIRS_MAX);
        let row = |(pair, trusted): (u32, &super::standing::Trusted)| {
            let mut row = self.pair(pair, &trusted.cause, trusted.ends, played)?;
            row.sentence = format!(
                "would have been trusted {}, from {} on",
                times(trusted.ends.messages),
                date(trusted.cause.time),
            );
            Some(row)
        };
        trusted.filter_map(row).collect()
    }

    fn mistakes(&self, account: &Account, played: &Played, total: Tally) -> Mistakes {
        let mut all = account.standings.listed();
        all.retain(|(_, listed)| listed.later.is_some_and(|later| later.looks_honest()));
        all.sort_by_key(|(pair, listed)| (std::cmp::Reverse(listed.ends.accepted), *pair));
        let messages = all.iter().map(|(_, listed)| u64::from(listed.ends.accepted)).sum();
        let row = |(pair, listed): &(u32, &super::standing::Listed)| {
            let mut row = self.pair(*pair, &listed.cause, listed.ends, played)?;
            row.longest_seconds = listed.runs.longest;
            row.later = later(listed.later);
            let after = listed.later?;
            row.sentence = format!(
                "would have been refused on {} for {}; the mail server accepted that message, and {} more on {} days until {}",
                date(listed.cause.time),
                why(&listed.cause),
                after.accepted,
                after.days,
                date(after.last),
            );
            Some(row)
        };
        Mistakes {
            pairs: all.len(),
            messages,
            share: share(messages, total.accepted),
            shown: all.iter().take(MISTAKES_MAX).filter_map(row).collect(),
        }
    }

    fn pair(&self, pair: u32, cause: &Cause, ends: Ends, played: &Played) -> Option<PairRow> {
        let voice = self.reel.pairs.get(pair as usize)?.voice;
        let (ip, name, rdns) = self.reel.voice(voice)?;
        let evidence = self.player.explain(ip, name, played.last);
        Some(PairRow {
            ip: ip.to_string(),
            name: name.text().to_owned(),
            reverse_name: rdns.map(str::to_owned),
            messages: ends.messages,
            accepted: ends.accepted,
            rejected: ends.rejected,
            since: cause.time,
            score: cause.score,
            reasons: cause
                .reasons
                .iter()
                .map(|(word, points)| ReasonPoints { word, points: *points })
                .collect(),
            codes: cause.codes.iter().map(|code| *code as u8).collect(),
            longest_seconds: 0,
            history: played.tracks.get(pair as usize).copied().unwrap_or_default(),
            later: None,
            sentence: String::new(),
            evidence,
        })
    }

    fn comparison(&self, moves: &Moves, of: [&Account; 2], tracks: &[Track]) -> Comparison {
        let moved = moves.pairs();
        let row = |(pair, moved): &(u32, super::compare::Moved)| {
            let voice = self.reel.pairs.get(*pair as usize)?.voice;
            let (ip, name, _) = self.reel.voice(voice)?;
            let [from, to] = moved.classes;
            Some(MovedRow {
                ip: ip.to_string(),
                name: name.text().to_owned(),
                messages: moved.messages,
                first: moved.time,
                from,
                to,
                reasons: moved.reasons,
                history: tracks.get(*pair as usize).copied().unwrap_or_default(),
            })
        };
        let [one, other] = of.map(|account| &account.standings);
        Comparison {
            messages: moves.messages,
            pairs: Moves::pairs_by_class(one, other, self.reel.pairs.len()),
            moved_messages: moved.iter().map(|(_, moved)| u64::from(moved.messages)).sum(),
            moved_pairs: moved.len(),
            shown: moved.iter().take(PAIRS_MAX).filter_map(row).collect(),
        }
    }
}

fn classes(account: &Account, total: Tally) -> Vec<ClassRow> {
    let last = account.standings.last_classes();
    let all = CLASSES.into_iter().zip(account.classes).zip(last);
    all.map(|((class, tally), [pairs, clients])| ClassRow {
        class,
        tally,
        share: share(tally.messages, total.messages),
        pairs,
        clients,
    })
    .collect()
}

fn reasons(account: &Account, total: Tally) -> Vec<ReasonRow> {
    let row = |(&(class, reason), tally): (&(Class, &'static str), &Tally)| ReasonRow {
        class,
        reason,
        tally: *tally,
        share: share(tally.messages, total.messages),
    };
    let mut rows: Vec<_> = account.reasons.iter().map(row).collect();
    rows.sort_by_key(|row| (row.class, std::cmp::Reverse(row.tally.messages), row.reason));
    rows
}

fn overlap(account: &Account, total: Tally) -> Overlap {
    let listed = account.classes.last().copied().unwrap_or_default();
    let other = |of: Tally| of.messages - of.accepted - of.rejected;
    Overlap {
        listed_rejected: listed.rejected,
        listed_accepted: listed.accepted,
        listed_other: other(listed),
        not_listed_rejected: total.rejected - listed.rejected,
        not_listed_accepted: total.accepted - listed.accepted,
        not_listed_other: other(total) - other(listed),
    }
}

fn listings(account: &Account) -> Listings {
    let listed = account.standings.listed();
    let mut lengths: Vec<_> = listed.iter().map(|(_, listed)| listed.runs.longest).collect();
    lengths.sort_unstable();
    let (clients, long) = account.standings.listed_clients();
    Listings {
        pairs: listed.len(),
        clients,
        clients_longer_than_a_day: long,
        longest_seconds: lengths.last().copied().unwrap_or(0),
        median_seconds: lengths.get(lengths.len() / 2).copied().unwrap_or(0),
    }
}

fn day_row(day: Day, messages: [u64; 5]) -> DayRow {
    DayRow { day: date(day.start()), messages }
}

fn later(later: Option<Later>) -> Option<LaterRow> {
    later.map(|Later { accepted, days, rejected, last, .. }| LaterRow {
        accepted,
        days,
        rejected,
        last,
    })
}

fn labels(account: &mut Account) -> Option<Labels> {
    Some(Labels {
        all: label_report(&mut account.labelled)?,
        one_per_site_pair_day: label_report(&mut account.firsts)?,
    })
}

fn label_report(labelled: &mut Labelled) -> Option<LabelReport> {
    let (auc, curve) = labelled.scores.measure(POINTS)?;
    let [ham, spam] = [0, 1].map(|column| labelled.classes.iter().map(|row| row[column]).sum());
    let caught = |of: &[Class]| {
        let column = |column: usize| {
            of.iter().map(|class| labelled.classes[*class as usize][column]).sum::<u64>()
        };
        let (in_ham, in_spam) = (column(0), column(1));
        Caught {
            ham: in_ham,
            ham_share: share(in_ham, ham),
            spam: in_spam,
            spam_share: share(in_spam, spam),
        }
    };
    let [of_ham, of_spam] = labelled.histogram.clone();
    Some(LabelReport {
        ham,
        spam,
        auc,
        auc_of_score: area_of(&of_ham, &of_spam)?,
        roc: curve.iter().map(|point| [point.ham, point.spam]).collect(),
        trusted_or_known: caught(&[Class::Trusted, Class::Known]),
        listed: caught(&[Class::Listed]),
        classes: labelled.classes,
        histogram: Histogram { ham: of_ham, spam: of_spam },
    })
}

fn why(cause: &Cause) -> String {
    let against = cause.reasons.iter().filter(|(_, points)| *points < 0);
    let words: Vec<_> = against.map(|(word, _)| *word).take(2).collect();
    if words.is_empty() { "no reason told".to_owned() } else { words.join(" and ") }
}

fn times(n: u32) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
}

/// The date of a moment.
pub fn date(time: Time) -> String {
    let text = time.to_string();
    text.get(..10).map_or_else(|| text.clone(), str::to_owned)
}

/// A length of time, for people.
pub fn span(seconds: u32) -> String {
    match seconds {
        0 => "one message".to_owned(),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / DAY_SECONDS),
    }
}

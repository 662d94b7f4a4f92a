//! What one policy would have done, in numbers: messages by class, reason, day, label and by what the mail server did.
//!
//! In go judgements of messages after the warm-up, in the order of time. Labels and outcomes are only counted here; no
//! judge sees them before their time, and labels never.

use std::collections::BTreeMap;

use helostat_ingest::heard::Label;
use helostat_zones::time::{Day, Time};
use helostat_zones::verdict::{Class, ListCode};
use serde::Serialize;

use super::roc::Scores;
use super::standing::Standings;
use super::tracks::End;
use helostat_zones::replay::Judged;

/// The classes, from best to worst; the place is `Class as usize`.
pub const CLASSES: [Class; 5] =
    [Class::Trusted, Class::Known, Class::New, Class::Suspect, Class::Listed];
/// Scores from 0 to 100.
pub const SCORES: usize = 101;

/// Messages, and what they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All.
    pub messages: u64,
    /// The mail server took it; not counted if that was a trap, or if it is labelled spam.
    pub accepted: u64,
    /// The mail server refused it for good, without our help.
    pub rejected: u64,
    /// Labelled ham.
    pub ham: u64,
    /// Labelled spam.
    pub spam: u64,
}

impl Tally {
    fn add(&mut self, end: End, label: Option<Label>) {
        self.messages += 1;
        match end {
            End::Accepted => self.accepted += 1,
            End::Rejected => self.rejected += 1,
            End::Other => {}
        }
        match label {
            Some(Label::Ham) => self.ham += 1,
            Some(Label::Spam) => self.spam += 1,
            None => {}
        }
    }
}

/// A message as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// The numbers of its pair and its client.
    pub who: (u32, u32),
    /// When.
    pub time: Time,
    /// How it ended.
    pub end: End,
    /// What it was.
    pub label: Option<Label>,
    /// The first of its site, pair and day.
    pub is_first: bool,
}

/// All messages, or one a site, pair and day.
#[derive(Debug, Default)]
pub struct Labelled {
    /// By class: ham and spam.
    pub classes: [[u64; 2]; 5],
    /// By score: ham and spam.
    pub histogram: [Vec<u64>; 2],
    /// The unrounded scores.
    pub scores: Scores,
}

impl Labelled {
    fn add(&mut self, judged: &Judged, is_spam: bool) {
        let column = usize::from(is_spam);
        self.classes[judged.class as usize][column] += 1;
        let bins = &mut self.histogram[column];
        if bins.is_empty() {
            bins.resize(SCORES, 0);
        }
        if let Some(bin) = bins.get_mut(usize::from(judged.score.min(100))) {
            *bin += 1;
        }
        self.scores.add(judged.logit, is_spam);
    }
}

/// Everything counted for one policy.
#[derive(Debug)]
pub struct Account {
    /// By class.
    pub classes: [Tally; 5],
    /// By class and first reason.
    pub reasons: BTreeMap<(Class, &'static str), Tally>,
    /// Listed messages by the codes of the block list; one may have several.
    pub codes: BTreeMap<ListCode, Tally>,
    /// Messages by day and class.
    pub days: BTreeMap<Day, [u64; 5]>,
    /// All messages with a label.
    pub labelled: Labelled,
    /// One of them a site, pair and day.
    pub firsts: Labelled,
    /// Who was listed and trusted.
    pub standings: Standings,
}

/// The reason that is told first; `none` if there is none.
pub fn first_reason(judged: &Judged) -> &'static str {
    judged.reasons.first().map_or("none", |(word, _)| word)
}

impl Account {
    /// For so many pairs and clients.
    pub fn new(pairs: usize, clients: usize) -> Self {
        Self {
            classes: Default::default(),
            reasons: BTreeMap::new(),
            codes: BTreeMap::new(),
            days: BTreeMap::new(),
            labelled: Labelled::default(),
            firsts: Labelled::default(),
            standings: Standings::new(pairs, clients),
        }
    }

    /// Counts a message.
    pub fn add(&mut self, counted: &Counted, judged: &Judged) {
        let Counted { who, time, end, label, is_first } = *counted;
        let class = judged.class as usize;
        self.classes[class].add(end, label);
        self.reasons.entry((judged.class, first_reason(judged))).or_default().add(end, label);
        if judged.class == Class::Listed {
            for code in &judged.listed_for {
                self.codes.entry(*code).or_default().add(end, label);
            }
        }
        self.days.entry(time.day()).or_default()[class] += 1;
        if let Some(label) = label {
            let is_spam = label == Label::Spam;
            self.labelled.add(judged, is_spam);
            if is_first {
                self.firsts.add(judged, is_spam);
            }
        }
        self.standings.add(who, judged, end, time);
    }

    /// All messages.
    pub fn total(&self) -> Tally {
        self.classes.iter().fold(Tally::default(), |sum, more| Tally {
            messages: sum.messages + more.messages,
            accepted: sum.accepted + more.accepted,
            rejected: sum.rejected + more.rejected,
            ham: sum.ham + more.ham,
            spam: sum.spam + more.spam,
        })
    }
}

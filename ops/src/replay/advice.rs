//! Whether to let a mail server refuse by a policy, in words.
//!
//! In go the figures; out comes one of four answers and the sentences that say why. The limits are judgement, not
//! measurement: some days say nothing of who writes once a week, and one accepted message in two thousand from senders that
//! look honest is an eighth of what the better of the public block lists flagged of honest list mail (0.4%).

use serde::Serialize;

use super::account::Tally;
use super::report::{Input, Labels, Mistakes, Overlap, share};

/// Judged messages that are needed before anything is said.
const MESSAGES_MIN: u64 = 1000;
/// Days after the warm-up that are needed.
const DAYS_MIN: u32 = 7;
/// The share of accepted messages from likely honest senders up to which exceptions help.
const MISTAKES_MAX: f64 = 0.0005;
/// The share of labelled ham that may be flagged.
const HAM_MAX: f64 = 0.0005;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Advice {
    /// What to do.
    pub enforce: Enforce,
    /// Why, the answer first.
    pub sentences: Vec<String>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enforce {
    /// Refuse what is listed.
    Yes,
    /// Refuse what is listed, but for some senders to be allowed.
    WithExceptions,
    /// Do not refuse yet.
    NotYet,
    /// There is nothing to refuse.
    Nothing,
}

/// What the figures say.
pub fn advise(
    input: &Input,
    total: Tally,
    overlap: &Overlap,
    mistakes: &Mistakes,
    labels: Option<&Labels>,
) -> Advice {
    let listed = overlap.listed_rejected + overlap.listed_accepted + overlap.listed_other;
    let days = input.last.day().since(input.warm_up.until.day()) + 1;
    let flagged = labels.map_or(0.0, |labels| labels.all.listed.ham_share);
    let enforce = if total.messages < MESSAGES_MIN || days < DAYS_MIN {
        Enforce::NotYet
    } else if listed == 0 {
        Enforce::Nothing
    } else if flagged > HAM_MAX || mistakes.share > MISTAKES_MAX {
        Enforce::NotYet
    } else if mistakes.pairs > 0 {
        Enforce::WithExceptions
    } else {
        Enforce::Yes
    };
    let mut sentences = vec![match enforce {
        Enforce::Yes => {
            "You could enforce this: let your mail server refuse what is listed.".to_owned()
        }
        Enforce::WithExceptions => format!(
            "You could enforce this, after a look at {}: allow those that are honest.",
            senders(mistakes.pairs),
        ),
        Enforce::Nothing => {
            "There is nothing to enforce: nothing would have been listed.".to_owned()
        }
        Enforce::NotYet if total.messages < MESSAGES_MIN || days < DAYS_MIN => format!(
            "Do not enforce yet, because there is too little to judge by: {} messages after the warm-up, on at most {days} days; at least {MESSAGES_MIN} on {DAYS_MIN} days should be played.",
            total.messages,
        ),
        Enforce::NotYet if flagged > HAM_MAX => format!(
            "Do not enforce yet, because {:.2}% of the messages labelled ham would have been refused.",
            flagged * 100.0,
        ),
        Enforce::NotYet => format!(
            "Do not enforce yet, because {} that look honest would have been refused at times ({:.2}% of accepted messages): look at them first.",
            senders(mistakes.pairs),
            mistakes.share * 100.0,
        ),
    }];
    sentences.push(format!(
        "{} of {} messages that your mail server accepted would have been refused ({:.2}%).",
        overlap.listed_accepted,
        total.accepted,
        share(overlap.listed_accepted, total.accepted) * 100.0,
    ));
    if total.rejected > 0 {
        sentences.push(format!(
            "{} of {} that it refused by itself would have been refused by the listing, too ({:.1}%), before it had to look at them.",
            overlap.listed_rejected,
            total.rejected,
            share(overlap.listed_rejected, total.rejected) * 100.0,
        ));
    } else {
        sentences.push(
            "The files tell of no message that was refused, so nothing can be said of how this goes with other checks."
                .to_owned(),
        );
    }
    if let Some(labels) = labels {
        let listed = &labels.all.listed;
        sentences.push(format!(
            "By the labels, {} of {} ham messages and {} of {} spam messages would have been refused.",
            listed.ham, labels.all.ham, listed.spam, labels.all.spam,
        ));
    }
    Advice { enforce, sentences }
}

fn senders(pairs: usize) -> String {
    if pairs == 1 { "1 sender".to_owned() } else { format!("{pairs} senders") }
}

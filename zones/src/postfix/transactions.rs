//! What was said and learned of a message before.
//!
//! Postfix asks once for each recipient, and once more at each further stage at which it is told to. All requests about one
//! message have its `instance` in common. In goes a key made of it, with what is asked and answered now; out comes whether the
//! header is still to be given, and what is to be learned: a message has one header and is one observation, which is
//! told again with what it takes back ([`Lesson::supersedes`]) when more is known of it.
//!
//! What an outcome may claim:
//!
//! | asked at | answered | outcome |
//! |---|---|---|
//! | END-OF-MESSAGE | with no refusal | accepted: nothing that Postfix asks can refuse it any more but its milters and content checks |
//! | any stage | with a refusal | rejected or deferred, by us |
//! | MAIL, RCPT, DATA | with no refusal | none: the client said its name, and what became of the mail is not known |
//! | HELO, EHLO | with no refusal | nothing is learned: what it says there, Postfix tells again with the mail |
//! | CONNECT, VRFY, ETRN | | nothing is learned |
//!
//! Before RCPT there is no `instance`, and other programs than Postfix may send none at all. Without it nothing is
//! remembered: a header is given each time, and only what is final is learned.
//!
//! Bounded: of the newest messages at least half of [`Transactions::new`]'s number are remembered, and never more than all of it.
//! One that was forgotten is as a new one: its header may come twice, and it may count once as `none` and once as what it came to.

use std::collections::HashMap;

use super::{Action, Stage};
use crate::observation::Outcome;
use crate::time::Time;

/// What is remembered of the newest messages.
#[derive(Debug)]
pub struct Transactions {
    /// The newer ones; when they are half of all, they become the older ones.
    newer: HashMap<u64, Transaction>,
    older: HashMap<u64, Transaction>,
    half: usize,
}

/// What is remembered of a message.
#[derive(Clone, Copy, Debug)]
struct Transaction {
    since: Time,
    /// The recipient, as a number, for which the header was given.
    header_for: Option<u64>,
    told: Option<Outcome>,
}

/// What is to be learned of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// When it was first asked about.
    pub time: Time,
    /// What became of it, as far as that is known.
    pub outcome: Outcome,
    /// What was told of it before.
    pub supersedes: Option<Outcome>,
}

impl Transactions {
    /// Remembers at most `most` messages.
    pub fn new(most: usize) -> Self {
        Self { newer: HashMap::new(), older: HashMap::new(), half: (most / 2).max(1) }
    }

    /// Whether the header of the message `key` is to be given now, with the answer for `recipient`. Who asks for the
    /// same recipient again did not hear the first answer.
    pub fn give_header(&mut self, key: Option<u64>, recipient: u64, now: Time) -> bool {
        let Some(key) = key else { return true };
        *self.of(key, now).header_for.get_or_insert(recipient) == recipient
    }

    /// What is to be learned of the message `key`, of which is asked at `stage` and which is answered with `action`;
    /// `None` if nothing new.
    pub fn learn(
        &mut self,
        key: Option<u64>,
        stage: Stage,
        action: Action,
        now: Time,
    ) -> Option<Lesson> {
        let outcome = outcome(stage, action)?;
        let Some(key) = key else {
            let is_final = outcome != Outcome::None;
            return is_final.then_some(Lesson { time: now, outcome, supersedes: None });
        };
        let transaction = self.of(key, now);
        if transaction.told.is_some_and(|told| weight(told) >= weight(outcome)) {
            return None;
        }
        // A refusal of ours is no outcome that could be taken back: it stands beside them.
        let supersedes = transaction.told.filter(|told| *told == Outcome::None);
        transaction.told = Some(outcome);
        Some(Lesson { time: transaction.since, outcome, supersedes })
    }

    /// The lesson was lost, and may be given again.
    pub fn unlearn(&mut self, key: Option<u64>, lesson: Lesson) {
        if let Some(key) = key {
            self.of(key, lesson.time).told = lesson.supersedes;
        }
    }

    fn of(&mut self, key: u64, now: Time) -> &mut Transaction {
        let known = self.newer.remove(&key).or_else(|| self.older.remove(&key));
        if self.newer.len() >= self.half {
            self.older = std::mem::take(&mut self.newer);
        }
        let new = || Transaction { since: now, header_for: None, told: None };
        self.newer.entry(key).or_insert_with(|| known.unwrap_or_else(new))
    }
}

/// What is known of a message that is asked about at `stage` and answered with `action`.
pub fn outcome(stage: Stage, action: Action) -> Option<Outcome> {
    match (stage, action) {
        (Stage::Connect | Stage::Other, _) => None,
        (_, Action::Reject) => Some(Outcome::Rejected),
        (_, Action::DeferIfPermit) => Some(Outcome::Deferred),
        (Stage::EndOfMessage, _) => Some(Outcome::Accepted),
        (Stage::Helo | Stage::Ehlo, _) => None,
        _ => Some(Outcome::None),
    }
}

/// How much an outcome says; what says more takes the place of what says less.
fn weight(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::None => 0,
        Outcome::Accepted | Outcome::Partial => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_795_184_855);
    const LATER: Time = Time(1_795_184_900);

    #[test]
    fn a_message_is_one_observation() {
        use Outcome::{Accepted, Deferred, None as Nothing, Rejected};
        use Stage::{Connect, Data, Ehlo, EndOfMessage, Mail, Rcpt};
        type Row<'a> = (&'a [(Stage, Action)], &'a [(Outcome, Option<Outcome>)]);
        let rows: [Row<'_>; 9] = [
            (&[(Rcpt, Action::Prepend), (Rcpt, Action::Prepend)], &[(Nothing, None)]),
            (
                &[(Mail, Action::Dunno), (Data, Action::Dunno), (EndOfMessage, Action::Dunno)],
                &[(Nothing, None), (Accepted, Some(Nothing))],
            ),
            (&[(EndOfMessage, Action::Warn), (Rcpt, Action::Reject)], &[(Accepted, None)]),
            (&[(Rcpt, Action::Reject), (Rcpt, Action::Reject)], &[(Rejected, None)]),
            (&[(Rcpt, Action::DeferIfPermit), (Rcpt, Action::Dunno)], &[(Deferred, None)]),
            // Postfix only warned of it.
            (
                &[(Rcpt, Action::Reject), (EndOfMessage, Action::Dunno)],
                &[(Rejected, None), (Accepted, None)],
            ),
            (&[(EndOfMessage, Action::Reject)], &[(Rejected, None)]),
            (&[(Connect, Action::Reject)], &[]),
            (&[(Ehlo, Action::Dunno)], &[]),
        ];
        for (asked, expected) in rows {
            let mut transactions = Transactions::new(10);
            let learned: Vec<_> = asked
                .iter()
                .enumerate()
                .filter_map(|(n, &(stage, action))| {
                    let now = if n == 0 { NOW } else { LATER };
                    transactions.learn(Some(7), stage, action, now)
                })
                .inspect(|lesson| assert_eq!(lesson.time, NOW))
                .map(|lesson| (lesson.outcome, lesson.supersedes))
                .collect();
            assert_eq!(learned, expected, "{asked:?}");
        }
    }

    #[test]
    fn what_was_lost_is_told_again() {
        let mut transactions = Transactions::new(10);
        let first = transactions.learn(Some(1), Stage::Rcpt, Action::Dunno, NOW).expect("a lesson");
        transactions.unlearn(Some(1), first);
        let again = transactions.learn(Some(1), Stage::EndOfMessage, Action::Dunno, LATER);
        assert_eq!(again, Some(Lesson { time: NOW, outcome: Outcome::Accepted, supersedes: None }));
    }

    #[test]
    fn without_an_instance_only_what_is_final_is_learned() {
        let mut transactions = Transactions::new(10);
        for (stage, action, outcome) in [
            (Stage::Rcpt, Action::Prepend, None),
            (Stage::Ehlo, Action::Reject, Some(Outcome::Rejected)),
            (Stage::EndOfMessage, Action::Dunno, Some(Outcome::Accepted)),
            (Stage::EndOfMessage, Action::Dunno, Some(Outcome::Accepted)),
        ] {
            let expected = outcome.map(|outcome| Lesson { time: NOW, outcome, supersedes: None });
            assert_eq!(transactions.learn(None, stage, action, NOW), expected);
        }
        assert!(transactions.give_header(None, 1, NOW) && transactions.give_header(None, 2, NOW));
    }

    #[test]
    fn a_message_has_one_header() {
        let mut transactions = Transactions::new(10);
        assert!(transactions.give_header(Some(1), 100, NOW));
        assert!(!transactions.give_header(Some(1), 101, NOW), "the next recipient");
        assert!(transactions.give_header(Some(1), 100, NOW), "asked again");
        assert!(transactions.give_header(Some(2), 101, NOW), "the next message");
    }

    #[test]
    fn no_number_of_messages_needs_more_room() {
        let mut transactions = Transactions::new(10);
        for key in 0..1000 {
            assert!(transactions.give_header(Some(key), 1, NOW));
            assert!(transactions.newer.len() + transactions.older.len() <= 10);
            for recent in key.saturating_sub(4)..key {
                assert!(!transactions.give_header(Some(recent), 2, NOW), "{recent} at {key}");
            }
        }
    }
}

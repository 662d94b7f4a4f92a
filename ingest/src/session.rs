//! Joining lines: what is known so far of a connection, and the bounded table of open ones.
//!
//! A session collects one `Tally` for every name it showed: what was accepted, refused and broken off
//! under that name. `Tally::outcome` says what that comes to. The `Table` keeps open sessions in the
//! order in which they began; it never holds more than `MAX_SESSIONS` and closes the oldest early.
//!
//! Closing depends only on the lines (their stamps, their number), never on a clock or on memory
//! addresses, so the same lines give the same observations however often the process was stopped and
//! restored in between.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use helostat_zones::name::Name;
use helostat_zones::observation::Outcome;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

/// How many sessions one reader keeps open for each program; Postfix' own default is 100 processes.
pub const MAX_SESSIONS: usize = 4096;
/// How long after its last line a session is closed for it (log time): the longest SMTP timeout of
/// RFC 5321 section 4.5.3.2 is ten minutes, and TLS, DNS and milters add to it.
pub const IDLE: Duration = Duration::from_secs(3600);
/// How many names one session may show: honest clients show one or two.
pub const MAX_NAMES: usize = 8;

/// What happened under one name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Messages taken.
    pub(crate) accepted: u32,
    /// The stage of the last permanent refusal.
    pub(crate) hard: Option<Stage>,
    /// The stage of the last temporary refusal.
    pub(crate) soft: Option<Stage>,
    /// The client went away in the middle of a transaction.
    pub(crate) aborted: bool,
    /// A refusal that quoted helostat itself.
    pub(crate) by_us: bool,
}

impl Tally {
    /// What it comes to, and the stage that decided.
    pub(crate) fn outcome(&self) -> (Outcome, Option<Stage>) {
        let refused = self.hard.or(self.soft);
        if self.accepted > 0 {
            return match refused {
                Some(stage) => (Outcome::Partial, Some(stage)),
                None => (Outcome::Accepted, None),
            };
        }
        if self.aborted {
            return (Outcome::Aborted, None);
        }
        match (self.hard, self.soft) {
            (Some(Stage::Connect), _) | (None, Some(Stage::Connect)) => {
                (Outcome::Refused, Some(Stage::Connect))
            }
            (Some(stage), _) => (Outcome::Rejected, Some(stage)),
            (None, Some(stage)) => (Outcome::Deferred, Some(stage)),
            (None, None) => (Outcome::None, None),
        }
    }

    /// Notes a refusal.
    pub(crate) fn refuse(&mut self, refusal: Refusal, stage: Stage) {
        match refusal {
            Refusal::Hard => self.hard = Some(stage),
            Refusal::Soft => self.soft = Some(stage),
        }
    }

    /// Adds what happened elsewhere in the session.
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.hard = other.hard.or(self.hard);
        self.soft = other.soft.or(self.soft);
        self.aborted |= other.aborted;
        self.by_us |= other.by_us;
    }
}

/// For good or for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 5xx.
    Hard,
    /// 4xx.
    Soft,
}

impl Refusal {
    /// The refusal that a reply code or an enhanced status code begins: its first digit says it.
    pub(crate) fn of(code: &[u8]) -> Option<Self> {
        match code {
            [b'5', b'0'..=b'9' | b'.', ..] => Some(Self::Hard),
            [b'4', b'0'..=b'9' | b'.', ..] => Some(Self::Soft),
            _ => None,
        }
    }
}

/// The SMTP stage at which something was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    Connect,
    Helo,
    Ehlo,
    Auth,
    Mail,
    Rcpt,
    Data,
    EndOfMessage,
    /// VRFY, ETRN, STARTTLS and the like: they show a name and judge nothing.
    Other,
}

impl Stage {
    /// The stage that a log's own word names, in any case.
    pub(crate) fn of(word: &[u8]) -> Option<Self> {
        const WORDS: [(&[u8], Stage); 13] = [
            (b"RCPT", Stage::Rcpt),
            (b"EHLO", Stage::Ehlo),
            (b"HELO", Stage::Helo),
            (b"MAIL", Stage::Mail),
            (b"DATA", Stage::Data),
            (b"BDAT", Stage::Data),
            (b"END-OF-MESSAGE", Stage::EndOfMessage),
            (b"CONNECT", Stage::Connect),
            (b"AUTH", Stage::Auth),
            (b"VRFY", Stage::Other),
            (b"EXPN", Stage::Other),
            (b"ETRN", Stage::Other),
            (b"STARTTLS", Stage::Other),
        ];
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|&(_, stage)| stage)
    }

    /// The word for it in an observation.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Helo => "helo",
            Self::Ehlo => "ehlo",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::EndOfMessage => "end-of-message",
            Self::Other => "other",
        }
    }
}

/// A tally as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedTally {
    /// The name's normalised text; empty for `absent`.
    name: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    accepted: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hard: Option<Stage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    soft: Option<Stage>,
    #[serde(default, skip_serializing_if = "is_false")]
    aborted: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    by_us: bool,
}

impl SavedTally {
    pub(crate) fn of(name: &Name, tally: &Tally) -> Self {
        Self {
            name: name.text().to_owned(),
            accepted: tally.accepted,
            hard: tally.hard,
            soft: tally.soft,
            aborted: tally.aborted,
            by_us: tally.by_us,
        }
    }

    pub(crate) fn restore(self) -> (Name, Tally) {
        let Self { name, accepted, hard, soft, aborted, by_us } = self;
        (Name::parse(name.as_bytes()), Tally { accepted, hard, soft, aborted, by_us })
    }
}

/// For serde: what is zero is not written.
pub(crate) fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// For serde: what is false is not written.
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}

/// Open sessions by key, in the order in which they began.
#[derive(Debug)]
pub(crate) struct Table<S> {
    slots: HashMap<Box<[u8]>, Slot<S>>,
    order: BTreeMap<u64, Box<[u8]>>,
    next: u64,
    closed_early: u64,
}

#[derive(Debug)]
struct Slot<S> {
    place: u64,
    session: S,
}

impl<S> Table<S> {
    /// A table with nothing open.
    pub(crate) fn new() -> Self {
        Self { slots: HashMap::new(), order: BTreeMap::new(), next: 0, closed_early: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many sessions gave way because the table was full.
    pub(crate) fn closed_early(&self) -> u64 {
        self.closed_early
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut S> {
        self.slots.get_mut(key).map(|slot| &mut slot.session)
    }

    /// Opens a session; returns the one it replaces, or the oldest if the table was full.
    pub(crate) fn open(&mut self, key: &[u8], session: S) -> Option<S> {
        let replaced = self.close(key);
        let place = self.next;
        self.next += 1;
        self.slots.insert(key.into(), Slot { place, session });
        self.order.insert(place, key.into());
        if replaced.is_some() || self.slots.len() <= MAX_SESSIONS {
            return replaced;
        }
        self.closed_early += 1;
        let (_, oldest) = self.order.pop_first()?;
        self.slots.remove(&oldest).map(|slot| slot.session)
    }

    /// Takes a session out.
    pub(crate) fn close(&mut self, key: &[u8]) -> Option<S> {
        let slot = self.slots.remove(key)?;
        self.order.remove(&slot.place);
        Some(slot.session)
    }

    /// Takes out every session that `is_over`, in the order in which they began.
    pub(crate) fn close_where(&mut self, is_over: impl Fn(&S) -> bool) -> Vec<S> {
        let slots = &self.slots;
        let over: Vec<Box<[u8]>> = self
            .order
            .values()
            .filter(|key| slots.get(*key).is_some_and(|slot| is_over(&slot.session)))
            .cloned()
            .collect();
        over.iter().filter_map(|key| self.close(key)).collect()
    }

    /// Every open session with its key, in the order in which they began.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &S)> {
        self.order
            .values()
            .filter_map(|key| self.slots.get(key).map(|slot| (key.as_ref(), &slot.session)))
    }
}

/// True if `then` is more than `span` before `now`.
pub(crate) fn is_past(then: Time, now: Time, span: Duration) -> bool {
    then.after(span) < now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_come_to_outcomes() {
        use Stage::{Connect, Data, Rcpt};
        let tally =
            |accepted, hard, soft, aborted| Tally { accepted, hard, soft, aborted, by_us: false };
        for (tally, outcome, stage) in [
            (tally(0, None, None, false), Outcome::None, None),
            (tally(2, None, None, false), Outcome::Accepted, None),
            (tally(1, Some(Rcpt), None, false), Outcome::Partial, Some(Rcpt)),
            (tally(1, None, Some(Rcpt), false), Outcome::Partial, Some(Rcpt)),
            (tally(0, Some(Data), Some(Rcpt), false), Outcome::Rejected, Some(Data)),
            (tally(0, None, Some(Rcpt), false), Outcome::Deferred, Some(Rcpt)),
            (tally(0, Some(Rcpt), None, true), Outcome::Aborted, None),
            (tally(0, Some(Connect), None, false), Outcome::Refused, Some(Connect)),
            (tally(0, None, Some(Connect), false), Outcome::Refused, Some(Connect)),
        ] {
            assert_eq!(tally.outcome(), (outcome, stage), "{tally:?}");
        }
    }

    #[test]
    fn a_full_table_closes_its_oldest() {
        let mut table = Table::new();
        for number in 0..MAX_SESSIONS {
            assert_eq!(table.open(number.to_string().as_bytes(), number), None, "{number}");
        }
        assert_eq!(table.open(b"0", 7), Some(0), "the same key replaces");
        assert_eq!(table.open(b"one more", 8), Some(1), "the oldest goes");
        assert_eq!(table.len(), MAX_SESSIONS);
        assert_eq!(table.close(b"0"), Some(7));
        assert_eq!(table.iter().next().map(|(key, &session)| (key, session)), Some((&b"2"[..], 2)));
        assert_eq!(table.close_where(|&session| session < 5), vec![2, 3, 4]);
    }
}

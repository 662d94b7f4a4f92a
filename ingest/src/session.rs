//! Joining lines: what is known so far of a connection, and the bounded table of open ones.
//!
//! A session collects one `Tally` for every name it showed: what was accepted, refused and broken off
//! under that name. `Tally::outcome` says what that comes to. The `Table` keeps open sessions in the
//! order in which they began; it never holds more than `MAX_SESSIONS` and closes the oldest early.
//!
//! Closing depends only on the lines (their stamps, their number), never on a clock or on memory
//! addresses, so the same lines give the same observations however often the process was stopped and
//! restored in between.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use hashbrown::HashTable;
use helostat_zones::name::Name;
use helostat_zones::observation::Outcome;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use crate::heard::reason;

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
    /// The words of the last refusal of the kind that decides.
    pub(crate) reason: Option<Box<str>>,
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
            return (Outcome::Aborted, refused);
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

    /// Notes a refusal and its words.
    pub(crate) fn refuse(&mut self, refusal: Refusal, stage: Stage, words: &[u8]) {
        match refusal {
            Refusal::Hard => self.hard = Some(stage),
            Refusal::Soft => self.soft = Some(stage),
        }
        if refusal == Refusal::Hard || self.hard.is_none() {
            self.reason = reason(words);
        }
    }

    /// Adds what happened elsewhere in the session.
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.hard = other.hard.or(self.hard);
        self.soft = other.soft.or(self.soft);
        self.aborted |= other.aborted;
        self.by_us |= other.by_us;
        if other.reason.is_some() {
            self.reason.clone_from(&other.reason);
        }
    }
}

/// For good or for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Box<str>>,
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
            reason: tally.reason.clone(),
        }
    }

    pub(crate) fn restore(self) -> (Name, Tally) {
        let Self { name, accepted, hard, soft, aborted, by_us, reason } = self;
        let tally = Tally { accepted, hard, soft, aborted, by_us, reason };
        (Name::parse(name.as_bytes()), tally)
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
    /// Places in `slots`, by the key of what lies there.
    index: HashTable<u32>,
    slots: Vec<Option<Slot<S>>>,
    free: Vec<u32>,
    /// (number, place) in the order of opening; what has gone is passed over.
    order: VecDeque<(u64, u32)>,
    next: u64,
    closed_early: u64,
    hasher: foldhash::fast::RandomState,
}

#[derive(Debug)]
struct Slot<S> {
    /// Which of all that were ever opened it is.
    number: u64,
    key: Box<[u8]>,
    session: S,
}

impl<S> Table<S> {
    /// A table with nothing open.
    pub(crate) fn new() -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            order: VecDeque::new(),
            next: 0,
            closed_early: 0,
            hasher: foldhash::fast::RandomState::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// How many sessions gave way because the table was full.
    pub(crate) fn closed_early(&self) -> u64 {
        self.closed_early
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    fn place(&self, key: &[u8]) -> Option<usize> {
        let is_key = |place: &u32| self.slot(*place).is_some_and(|slot| *slot.key == *key);
        self.index.find(self.hash(key), is_key).map(|&place| place as usize)
    }

    fn slot(&self, place: u32) -> Option<&Slot<S>> {
        self.slots.get(place as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut S> {
        let place = self.place(key)?;
        self.slots.get_mut(place)?.as_mut().map(|slot| &mut slot.session)
    }

    /// Opens a session; returns the one it replaces, or the oldest if the table was full.
    pub(crate) fn open(&mut self, key: &[u8], session: S) -> Option<S> {
        let replaced = self.close(key);
        let number = self.next;
        self.next += 1;
        let slot = Some(Slot { number, key: key.into(), session });
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(free) = self.slots.get_mut(place as usize) {
                    *free = slot;
                }
                place
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let hash = self.hash(key);
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, place, |&place| {
            slots
                .get(place as usize)
                .and_then(Option::as_ref)
                .map_or(0, |slot| hasher.hash_one(&*slot.key))
        });
        self.order.push_back((number, place));
        if replaced.is_some() || self.len() <= MAX_SESSIONS {
            return replaced;
        }
        self.closed_early += 1;
        let oldest = self.first()?;
        self.close(&oldest)
    }

    /// The key of the oldest session.
    fn first(&mut self) -> Option<Box<[u8]>> {
        loop {
            let &(number, place) = self.order.front()?;
            match self.slot(place) {
                Some(slot) if slot.number == number => return Some(slot.key.clone()),
                _ => self.order.pop_front(),
            };
        }
    }

    /// Takes a session out.
    pub(crate) fn close(&mut self, key: &[u8]) -> Option<S> {
        let hash = self.hash(key);
        let slots = &self.slots;
        let is_key = |place: &u32| {
            slots
                .get(*place as usize)
                .and_then(Option::as_ref)
                .is_some_and(|slot| *slot.key == *key)
        };
        let (place, _) = self.index.find_entry(hash, is_key).ok()?.remove();
        self.free.push(place);
        let slot = self.slots.get_mut(place as usize)?.take();
        self.forget_gone();
        slot.map(|slot| slot.session)
    }

    /// Keeps the order from growing with what has gone.
    fn forget_gone(&mut self) {
        if self.order.len() < 2 * self.len() + 64 {
            return;
        }
        let slots = &self.slots;
        self.order.retain(|&(number, place)| {
            slots
                .get(place as usize)
                .and_then(Option::as_ref)
                .is_some_and(|slot| slot.number == number)
        });
    }

    /// Takes out every session that `is_over`, in the order in which they began.
    pub(crate) fn close_where(&mut self, is_over: impl Fn(&S) -> bool) -> Vec<S> {
        let over: Vec<Box<[u8]>> = self
            .iter()
            .filter(|(_, session)| is_over(session))
            .map(|(key, _)| key.into())
            .collect();
        over.iter().filter_map(|key| self.close(key)).collect()
    }

    /// Every open session with its key, in the order in which they began.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &S)> {
        self.order.iter().filter_map(|&(number, place)| {
            let slot = self.slot(place).filter(|slot| slot.number == number)?;
            Some((&*slot.key, &slot.session))
        })
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
        let tally = |accepted, hard, soft, aborted| Tally {
            accepted,
            hard,
            soft,
            aborted,
            ..Tally::default()
        };
        for (tally, outcome, stage) in [
            (tally(0, None, None, false), Outcome::None, None),
            (tally(2, None, None, false), Outcome::Accepted, None),
            (tally(1, Some(Rcpt), None, false), Outcome::Partial, Some(Rcpt)),
            (tally(1, None, Some(Rcpt), false), Outcome::Partial, Some(Rcpt)),
            (tally(0, Some(Data), Some(Rcpt), false), Outcome::Rejected, Some(Data)),
            (tally(0, None, Some(Rcpt), false), Outcome::Deferred, Some(Rcpt)),
            (tally(0, Some(Rcpt), None, true), Outcome::Aborted, Some(Rcpt)),
            (tally(0, None, None, true), Outcome::Aborted, None),
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

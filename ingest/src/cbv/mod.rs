//! Callback verification (CBV): what came of the calls that a mail server made, told from its log alone.
//!
//! A server that verifies senders calls the sender's mail server and asks whether it would take a reply. Nothing here
//! calls anybody: in go lines of Exim and Postfix, out comes a [`Table`] by month of the calls, of the checks that needed
//! none, and of how each call ended. `line` knows the words, this file what counts:
//!
//! - **A call counts once.** Exim asks anew for each recipient, and writes the same into its rejectlog: what it says of a
//!   sender and a client counts once until two minutes have passed without a word about them, and the first word
//!   decides. A line that came before, in another file or another copy, does not count again.
//! - **Postfix' call is the probe**, the delivery that ends in `status=deliverable` or `status=undeliverable`. What smtpd
//!   then refuses is its consequence, and counts nothing; a refusal without a probe in the two minutes before it was
//!   answered from the cache: a skip, once for a sender and a client.
//! - **A probe may be for a recipient.** Postfix writes the same for both. A probe counts if its address is named as
//!   a sender within ten minutes, before or after; the others are only numbered ([`Table::of_others`]).
//!
//! Time is the log's. Bounds: what is remembered lies within ten minutes of log time, and one number for each line that
//! counted.

mod line;
mod table;

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use helostat_zones::time::Time;
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use self::table::{Counts, Month, Outcome, Stage, Table};

use self::line::Said;
use crate::framing::Framer;
use crate::reader::LINE_MAX;

/// How long the lines about one check may be apart: Exim waits up to two minutes for a callout.
const CHECK: Duration = Duration::from_secs(120);
/// How far a probe and the mail of its address may be apart: a long message is named when it has come.
const HOLD: Duration = Duration::from_secs(600);
/// How much log time passes between looks for what need not be remembered any more.
const SWEEP: Duration = Duration::from_secs(60);

/// Counts the callbacks in logs, line by line.
#[derive(Debug)]
pub struct Counter {
    framer: Framer,
    room: Vec<u8>,
    /// Whose months are counted.
    months: TimeZone,
    table: Table,
    /// When each sender and client were last spoken of.
    checked: Lately,
    /// Senders that Postfix called, until a refusal that follows from it.
    called: Lately,
    /// Senders of mail.
    senders: Lately,
    /// Probes whose address nobody sent from yet.
    waiting: HashMap<Box<[u8]>, Vec<(Time, Outcome)>>,
    /// A number for each line that counted.
    counted: HashSet<u64>,
    swept: Time,
}

impl Counter {
    /// Counts by the months of this zone. [`Counter::file`] comes before the first line.
    pub fn new(months: TimeZone) -> Self {
        Self {
            framer: Framer::new(TimeZone::UTC),
            room: Vec::new(),
            months,
            table: Table::default(),
            checked: Lately::default(),
            called: Lately::default(),
            senders: Lately::default(),
            waiting: HashMap::new(),
            counted: HashSet::new(),
            swept: Time::default(),
        }
    }

    /// The next lines are another file's, whose stamps without a zone are civil time in `zone`.
    pub fn file(&mut self, zone: TimeZone) {
        self.framer = Framer::new(zone);
    }

    /// Reads one line, without its line feed. `latest` is the newest moment it can be from.
    pub fn line(&mut self, line: &[u8], latest: Time) {
        if line.len() > LINE_MAX {
            return;
        }
        let mut room = std::mem::take(&mut self.room);
        if let Ok(frame) = self.framer.frame(line, latest, &mut room)
            && let Some(said) = line::read(&frame)
        {
            self.sweep(frame.time);
            self.said(&said, frame.time);
        }
        self.room = room;
    }

    /// What was counted: there will be no more lines.
    pub fn finish(mut self) -> Table {
        for (_, probes) in self.waiting.drain() {
            self.table.of_others += size(&probes);
        }
        self.table
    }

    fn said(&mut self, said: &Said<'_>, time: Time) {
        match *said {
            Said::Verdict { sender, client, outcome } => {
                let key = key(b'e', &[&folded(sender), client]);
                if !self.checked.touch(&key, time, CHECK) && self.is_new(time, &key) {
                    self.add(time, outcome);
                }
            }
            Said::Probe { queue_id, address, outcome } => {
                let address = folded(address);
                self.called.touch(&address, time, CHECK);
                if !self.is_new(time, &key(b'p', &[queue_id, &address])) {
                    return;
                }
                if self.senders.has(&address, time, HOLD) {
                    self.add(time, outcome);
                } else {
                    self.waiting.entry(address.into()).or_default().push((time, outcome));
                }
            }
            Said::Refusal { sender, client, pending } => {
                self.sender(sender, time);
                let sender = folded(sender);
                let key = key(b'r', &[&sender, client]);
                if self.checked.touch(&key, time, CHECK) || self.called.take(&sender, time, CHECK) {
                    return;
                }
                if !pending && self.is_new(time, &key) {
                    self.add(time, Outcome::Skipped);
                }
            }
            Said::Mail { sender } => self.sender(sender, time),
        }
    }

    /// Mail comes from this sender: its probes count.
    fn sender(&mut self, sender: &[u8], time: Time) {
        let sender = folded(sender);
        self.senders.touch(&sender, time, HOLD);
        for (called, outcome) in self.waiting.remove(&*sender).into_iter().flatten() {
            self.add(called, outcome);
        }
    }

    fn add(&mut self, time: Time, outcome: Outcome) {
        // A `u32` of seconds is always a moment that the calendar has.
        let moment = Timestamp::from_second(i64::from(time.0)).unwrap_or_default();
        let date = moment.to_zoned(self.months.clone()).date();
        self.table.add(Month { year: date.year(), month: date.month() }, outcome);
    }

    /// False if this line was counted before.
    fn is_new(&mut self, time: Time, key: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        (time, key).hash(&mut hasher);
        self.counted.insert(hasher.finish())
    }

    fn sweep(&mut self, now: Time) {
        if apart(now, self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        self.checked.forget(now, CHECK);
        self.called.forget(now, CHECK);
        self.senders.forget(now, HOLD);
        let of_others = &mut self.table.of_others;
        self.waiting.retain(|_, probes| {
            let before = size(probes);
            probes.retain(|&(time, _)| apart(now, time) <= HOLD);
            *of_others += before - size(probes);
            !probes.is_empty()
        });
    }
}

/// When something was last seen.
#[derive(Debug, Default)]
struct Lately(HashMap<Box<[u8]>, Time>);

impl Lately {
    /// Sees it now; true if it was seen within `span`.
    fn touch(&mut self, what: &[u8], now: Time, span: Duration) -> bool {
        match self.0.get_mut(what) {
            Some(last) => apart(std::mem::replace(last, now), now) <= span,
            None => {
                self.0.insert(what.into(), now);
                false
            }
        }
    }

    fn has(&self, what: &[u8], now: Time, span: Duration) -> bool {
        self.0.get(what).is_some_and(|&last| apart(last, now) <= span)
    }

    /// Forgets it; true if it was seen within `span`.
    fn take(&mut self, what: &[u8], now: Time, span: Duration) -> bool {
        self.0.remove(what).is_some_and(|last| apart(last, now) <= span)
    }

    /// Forgets what was not seen within `span`.
    fn forget(&mut self, now: Time, span: Duration) {
        self.0.retain(|_, &mut last| apart(last, now) <= span);
    }
}

fn apart(one: Time, other: Time) -> Duration {
    Duration::from_secs(u64::from(one.0.abs_diff(other.0)))
}

fn size(probes: &[(Time, Outcome)]) -> u64 {
    u64::try_from(probes.len()).unwrap_or(u64::MAX)
}

/// An address as it is compared.
fn folded(address: &[u8]) -> Vec<u8> {
    address.to_ascii_lowercase()
}

/// A kind and what belongs to it, none of which can run into the next.
fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![kind];
    for part in parts {
        key.extend_from_slice(&part.len().to_be_bytes());
        key.extend_from_slice(part);
    }
    key
}

#[cfg(test)]
mod tests;

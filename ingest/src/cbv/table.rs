//! The table of callbacks: by month, how many calls there were and how they ended.
//!
//! The columns follow the monthly statistics that Hector Santos kept of his callback verifier (CBV): calls, skips, bad
//! domains, no MX, bad connects, refusals by stage.

use std::collections::BTreeMap;
use std::fmt;

/// What came of the check of one sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sender's server would take a reply.
    Accepted,
    /// The domain does not exist, or the mail server found no way to it and does not say why.
    BadDomain,
    /// The domain exists, and has no server for mail.
    NoMx,
    /// No server could be reached, or it hung up or fell silent.
    BadConnect,
    /// The server refused for good.
    Refused(Stage),
    /// Undecided: a temporary refusal, or no answer from the DNS.
    PutOff,
    /// A call that ended in another way.
    Other,
    /// No call was needed: answered from the cache, decided at home, or nobody to call.
    Skipped,
}

/// At what a called server refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// As soon as it was connected to. Postfix does not tell this from EHLO.
    Greeting,
    /// At EHLO and HELO.
    Ehlo,
    /// At MAIL: mostly because the sender of the call is null.
    Mail,
    /// At RCPT: the address itself.
    Rcpt,
    /// At DATA, where calls go so far.
    Data,
}

impl Stage {
    /// Each, in the order of a session.
    pub const ALL: [Self; 5] = [Self::Greeting, Self::Ehlo, Self::Mail, Self::Rcpt, Self::Data];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Ehlo => "ehlo",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
        }
    }
}

/// A month of the calendar; written `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    /// The year.
    pub year: i16,
    /// 1 to 12.
    pub month: i8,
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// How often each came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// See [`Outcome`], of which each has its number here.
    pub accepted: u64,
    /// Bad domains.
    pub bad_domain: u64,
    /// No MX.
    pub no_mx: u64,
    /// Bad connects.
    pub bad_connect: u64,
    /// Refusals by stage, in the order of [`Stage::ALL`].
    pub refused: [u64; Stage::ALL.len()],
    /// Undecided.
    pub put_off: u64,
    /// Ended in another way.
    pub other: u64,
    /// Not called.
    pub skipped: u64,
}

impl Counts {
    fn add(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Accepted => &mut self.accepted,
            Outcome::BadDomain => &mut self.bad_domain,
            Outcome::NoMx => &mut self.no_mx,
            Outcome::BadConnect => &mut self.bad_connect,
            Outcome::Refused(stage) => {
                let [greeting, ehlo, mail, rcpt, data] = &mut self.refused;
                match stage {
                    Stage::Greeting => greeting,
                    Stage::Ehlo => ehlo,
                    Stage::Mail => mail,
                    Stage::Rcpt => rcpt,
                    Stage::Data => data,
                }
            }
            Outcome::PutOff => &mut self.put_off,
            Outcome::Other => &mut self.other,
            Outcome::Skipped => &mut self.skipped,
        } += 1;
    }

    /// Adds what another month has.
    fn join(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.bad_domain += other.bad_domain;
        self.no_mx += other.no_mx;
        self.bad_connect += other.bad_connect;
        for (mine, its) in self.refused.iter_mut().zip(other.refused) {
            *mine += its;
        }
        self.put_off += other.put_off;
        self.other += other.other;
        self.skipped += other.skipped;
    }

    /// The calls: every check that was not skipped.
    pub fn calls(&self) -> u64 {
        let ends = [self.accepted, self.bad_domain, self.no_mx, self.bad_connect];
        let rest = [self.put_off, self.other];
        ends.iter().chain(&rest).chain(&self.refused).sum()
    }

    /// The checks, called or not.
    pub fn checks(&self) -> u64 {
        self.calls() + self.skipped
    }
}

/// The numbers of each month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    months: BTreeMap<Month, Counts>,
    /// Probes of Postfix whose address nobody sent from: recipients' that were verified. They are in no month.
    pub of_others: u64,
}

impl Table {
    /// Counts one check.
    pub fn add(&mut self, month: Month, outcome: Outcome) {
        self.months.entry(month).or_default().add(outcome);
    }

    /// The months that have any, the oldest first.
    pub fn months(&self) -> impl Iterator<Item = (Month, &Counts)> {
        self.months.iter().map(|(month, counts)| (*month, counts))
    }

    /// All months together.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for counts in self.months.values() {
            total.join(counts);
        }
        total
    }
}

//! One system's questions about one pair: asks, remembers what was seen, and for how long it holds.
//!
//! A rule file asks through `Inquiry::ask` and ends with `Inquiry::conclude` or
//! `Inquiry::give_up`; the records to show and the lowest time to live come by themselves. The
//! transcript is bounded in lines and in the length of a line, since strangers fill it.

use std::net::IpAddr;
use std::time::Duration;

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult, result_of};
use super::lookup::{
    Age, Answer, Denial, Failure, Holds, Lookup, Publishing, RecordData, RecordType,
};

/// The most lines of a finding's records.
pub const LINES_MAX: usize = 32;
/// Where a line is cut.
const LINE_MAX: usize = 300;

/// The questions of one system about one pair.
pub(super) struct Inquiry<'a, L> {
    lookup: &'a L,
    publishing: Publishing,
    records: Vec<String>,
    ttl: Duration,
    /// What DNSSEC says of the answers so far; `None` before the first.
    secure: Option<bool>,
}

/// What the address question about one host came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostAddresses {
    /// One of them is the client's.
    Include,
    /// There are some in the client's family; none is the client's.
    Exclude,
    /// There are none in the client's family.
    Missing,
    /// Nobody knows.
    Failed(Failure),
}

impl<'a, L: Lookup> Inquiry<'a, L> {
    /// Begins with nothing asked, for a system whose records are common.
    pub(super) fn new(lookup: &'a L) -> Self {
        Self::of(lookup, Publishing::Common)
    }

    /// Begins with nothing asked, for a system that hardly anybody publishes.
    pub(super) fn rare(lookup: &'a L) -> Self {
        Self::of(lookup, Publishing::Rare)
    }

    fn of(lookup: &'a L, publishing: Publishing) -> Self {
        let ttl = Holds::default().positive_max;
        Self { lookup, publishing, records: Vec::new(), ttl, secure: None }
    }

    /// Asks one question.
    pub(super) async fn ask(&mut self, name: &DnsName, kind: RecordType) -> Answer {
        self.ask_as(self.publishing, name, kind).await
    }

    /// Asks for a host's addresses, its mail exchangers, its reverse names: what every host has, whoever
    /// asks for it.
    pub(super) async fn ask_common(&mut self, name: &DnsName, kind: RecordType) -> Answer {
        self.ask_as(Publishing::Common, name, kind).await
    }

    async fn ask_as(&mut self, publishing: Publishing, name: &DnsName, kind: RecordType) -> Answer {
        let answer = self.lookup.lookup(name, kind, publishing).await;
        self.note(name, kind, &answer);
        answer
    }

    /// Notes something that is no question but helps to understand the finding; printable ASCII.
    pub(super) fn remark(&mut self, text: String) {
        if self.records.len() < LINES_MAX {
            let mut line = text;
            line.retain(|c| c == ' ' || c.is_ascii_graphic());
            line.truncate(LINE_MAX);
            self.records.push(line);
        }
    }

    /// Asks for the addresses of `host` in the family of `ip`, and whether `ip` is among them.
    pub(super) async fn compare(&mut self, host: &DnsName, ip: IpAddr) -> HostAddresses {
        match self.ask_common(host, RecordType::address_of(ip)).await {
            Answer::Found(found) if found.records.iter().any(|data| data.ip() == Some(ip)) => {
                HostAddresses::Include
            }
            Answer::Found(_) => HostAddresses::Exclude,
            Answer::Absent(_) => HostAddresses::Missing,
            Answer::Failed(failure) => HostAddresses::Failed(failure),
        }
    }

    /// The finding, with what was seen.
    pub(super) fn conclude(self, result: FindingResult, reason: Option<&'static str>) -> Finding {
        let secure = self.secure.unwrap_or(false);
        Finding { result, reason, records: self.records, ttl: self.ttl, secure }
    }

    /// The finding when a question failed that the system cannot do without.
    pub(super) fn give_up(self, failure: Failure) -> Finding {
        self.conclude(result_of(failure), Some(failure.word()))
    }

    fn note(&mut self, name: &DnsName, kind: RecordType, answer: &Answer) {
        let (seen, ttl, secure) = match answer {
            Answer::Found(found) => {
                let mut seen = joined(&found.records);
                if found.owner != *name {
                    seen = format!("{seen} (at {})", found.owner);
                }
                if found.secure {
                    seen.push_str(" (secure)");
                }
                (seen + mark(found.age), found.ttl, found.secure)
            }
            Answer::Absent(absent) => {
                let word = match absent.denial {
                    Denial::NoData => "no such records",
                    Denial::NxDomain => "no such name",
                };
                (format!("{word}{}", mark(absent.age)), absent.ttl, absent.secure)
            }
            Answer::Failed(failure) => {
                let holds = Holds::default();
                let hold = if *failure == Failure::Budget { holds.budget } else { holds.failure };
                (failure.word().to_owned(), hold, false)
            }
        };
        self.ttl = self.ttl.min(ttl);
        self.secure = Some(secure && self.secure.unwrap_or(true));
        if self.records.len() < LINES_MAX {
            let mut line = format!("{name} {kind}: {seen}");
            // Every part of a line is printable ASCII, so any place is a character's edge.
            line.truncate(LINE_MAX);
            self.records.push(line);
        }
    }
}

fn mark(age: Age) -> &'static str {
    match age {
        Age::Fresh => "",
        Age::Stale => " (stale)",
    }
}

/// The data of a record set in a line, no longer than is shown.
fn joined(records: &[RecordData]) -> String {
    let mut line = String::new();
    for data in records {
        if line.len() > LINE_MAX {
            break;
        }
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(&data.to_string());
    }
    line
}

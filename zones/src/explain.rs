//! Everything helostat has to say of a client, or of a client and a name, for people and programs.
//!
//! The same value is printed in words (`Display`, plain text, ASCII) and serialised to JSON, so that
//! the command line, the web and the daemon never say different things. Names in it are printable ASCII
//! (`Name` escapes the rest).

use std::fmt;
use std::net::IpAddr;

pub(crate) mod remedy;
pub(crate) mod told;

pub use remedy::Facts;
pub use told::{Ends, Told};

use serde::{Serialize, Serializer};

use crate::evidence::{Finding, FindingResult, System};
use crate::history::{ClientHistory, NameHistory, NetworkHistory, PairHistory, Standing};
use crate::ledger::distinct::Count;
use crate::name::Name;
use crate::time::Time;
use crate::verdict::{ClientVerdict, ListCode, PairCode, PairVerdict, Reason, Sort};
use crate::words;

/// What each system said, in the order in which it is shown; `None` if the answer is not there yet. In
/// JSON an object: the word of the system, and its finding or null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllFindings(pub Vec<(System, Option<Finding>)>);

impl Serialize for AllFindings {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(system, finding)| (system, finding)))
    }
}

/// What is known and said of an address, and of a name it said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// When this was said.
    pub time: Time,
    /// The address asked about.
    pub ip: IpAddr,
    /// The client that the ledger knows it as.
    pub client: String,
    /// The name asked about, or the firmest one of the client.
    pub name: Option<Name>,
    /// The verdict in sentences: of the pair, if a name was asked about.
    #[serde(flatten)]
    pub told: Told,
    /// What is said of the client.
    pub verdict: ClientVerdict,
    /// What is said of the pair, if a name was asked about.
    pub pair: Option<PairVerdict>,
    /// What the ledger knows of the client.
    pub history: ClientHistory,
    /// What the ledger knows of the name, if one was asked about.
    pub name_history: Option<NameHistory>,
    /// What the ledger knows of the network.
    pub network: NetworkHistory,
    /// How many young families crowd the network.
    pub crowd: usize,
    /// What each system says of the client with the name.
    pub evidence: AllFindings,
}

/// How many pairs of a client are printed in words; JSON has them all.
const PAIRS_SHOWN: usize = 10;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sentence in self.told.summary.iter().chain(&self.told.remedy) {
            writeln!(f, "{sentence}")?;
        }
        writeln!(f)?;
        if let (Some(pair), Some(name)) = (&self.pair, &self.name) {
            self.write_pair_verdict(f, pair, name)?;
        }
        self.write_client(f)?;
        self.write_history(f)?;
        self.write_evidence(f)
    }
}

impl Explanation {
    fn write_pair_verdict(
        &self,
        f: &mut fmt::Formatter<'_>,
        pair: &PairVerdict,
        name: &Name,
    ) -> fmt::Result {
        write!(f, "{} saying {}: {}", self.ip, words::shown(name), pair.class)?;
        write_sort(f, pair.sort)?;
        writeln!(f)?;
        write_weight(f, Some(pair.score), pair.confidence, pair.reporters)?;
        match pair.code {
            // What lists the client comes before what is known of the pair.
            _ if !pair.listings.is_empty() => {}
            Some(code) => {
                let (third, fourth) = code.octets();
                writeln!(f, "  pair answer: 127.0.{third}.{fourth} ({})", meaning(code))?;
            }
            None => writeln!(f, "  pair answer: none (nothing is known of this pair)")?,
        }
        write_listings(f, &pair.listings)?;
        write_reasons(f, &pair.reasons)?;
        writeln!(f, "  holds until {} unless something new is seen\n", pair.until)
    }

    fn write_client(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.verdict;
        write!(f, "{}: {}", self.client, verdict.class)?;
        write_sort(f, verdict.sort)?;
        writeln!(f)?;
        write_weight(f, verdict.score, verdict.confidence, verdict.reporters)?;
        if let Some(trust) = verdict.trust {
            writeln!(f, "  on the allow list as 127.0.{}.{}", trust.category, trust.level)?;
        }
        write_listings(f, &verdict.listings)?;
        // The client is judged by its firmest pair, which is mostly the one that was asked about.
        match &self.pair {
            Some(pair) if !pair.reasons.is_empty() && pair.reasons == verdict.reasons => {
                writeln!(f, "  why: as above")?;
            }
            _ => write_reasons(f, &verdict.reasons)?,
        }
        writeln!(f, "  holds until {} unless something new is seen", verdict.until)
    }

    fn write_history(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nHistory of {}", self.client)?;
        if self.history.is_empty() {
            writeln!(f, "  never seen")?;
        }
        if let Some(rdns) = &self.history.rdns {
            writeln!(f, "  reverse name in the logs: {rdns}")?;
        }
        if let Some(ip) = self.history.last_ip {
            writeln!(f, "  last seen as {ip}")?;
        }
        for pair in self.history.pairs.iter().take(PAIRS_SHOWN) {
            write_pair(f, pair)?;
        }
        if self.history.trace.is_some() {
            let names = self.history.names_within(self.time, 64);
            writeln!(f, "  {} in 64 days, more than are held", counted(names, "name"),)?;
        }
        if let Some(more) = self.history.pairs.len().checked_sub(PAIRS_SHOWN).filter(|n| *n > 0) {
            writeln!(f, "  ... and {more} more names")?;
        }
        if let (Some(name), Some(history)) = (&self.name, &self.name_history) {
            writeln!(
                f,
                "  {} has been said by {}, lately in {}",
                words::shown(name),
                counted(history.clients, "client"),
                counted(history.networks, "network"),
            )?;
            if !history.established_on.is_empty() {
                writeln!(
                    f,
                    "  {} stands on {}",
                    words::shown(name),
                    history.established_on.join(", ")
                )?;
            }
        }
        writeln!(
            f,
            "  its network {}: {}, {} that appeared lately",
            self.network.network,
            count(self.network.clients, "client"),
            count_families(self.crowd),
        )
    }

    fn write_evidence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => {
                writeln!(f, "\nWhat the DNS says of {} with {}", self.ip, words::shown(name))?
            }
            None => writeln!(f, "\nWhat the DNS says of {}", self.ip)?,
        }
        let mut silent = Vec::new();
        for (system, finding) in &self.evidence.0 {
            match finding {
                Some(finding) if finding.result == FindingResult::None => {
                    silent.push(match finding.reason {
                        Some(reason) => format!("{system} ({reason})"),
                        None => system.to_string(),
                    });
                }
                Some(finding) => {
                    writeln!(f, "  {system}: {finding}")?;
                    for record in &finding.records {
                        writeln!(f, "    {record}")?;
                    }
                }
                None => writeln!(f, "  {system}: not looked up")?,
            }
        }
        if !silent.is_empty() {
            writeln!(f, "  nothing to say: {}", silent.join(", "))?;
        }
        Ok(())
    }
}

fn write_listings(f: &mut fmt::Formatter<'_>, listings: &[ListCode]) -> fmt::Result {
    if listings.is_empty() {
        return Ok(());
    }
    let codes: Vec<_> = listings.iter().map(|code| format!("127.0.0.{}", *code as u8)).collect();
    writeln!(f, "  on the block list as 127.0.0.2, {}", codes.join(", "))
}

fn write_sort(f: &mut fmt::Formatter<'_>, sort: Option<Sort>) -> fmt::Result {
    sort.map_or(Ok(()), |sort| write!(f, ", {}", sort.word()))
}

/// The score and how much stands behind it, with what these numbers mean.
fn write_weight(
    f: &mut fmt::Formatter<'_>,
    score: Option<u8>,
    confidence: u8,
    reporters: u32,
) -> fmt::Result {
    match score {
        // The score of a newcomer with a proper name is about 30.
        Some(score) => {
            let means = match score {
                0..15 => "much speaks against it",
                15..29 => "more speaks against it than for it",
                29..50 => "open, as for any newcomer",
                50..75 => "more speaks for it than against it",
                _ => "much speaks for it",
            };
            writeln!(f, "  score {score} of 100: {means}")?;
        }
        None => writeln!(f, "  no score: not enough history, which is not bad")?,
    }
    let history = match confidence {
        0 => "no history stands behind this",
        1..25 => "very little history stands behind this",
        25..60 => "some history stands behind this",
        60..90 => "much history stands behind this",
        _ => "a full history stands behind this",
    };
    write!(f, "  confidence {confidence} of 100: {history}")?;
    match reporters {
        0 => writeln!(f),
        1 => writeln!(f, ", seen by 1 reporter"),
        n => writeln!(f, ", seen by {n} reporters"),
    }
}

fn write_reasons(f: &mut fmt::Formatter<'_>, reasons: &[Reason]) -> fmt::Result {
    if !reasons.is_empty() {
        writeln!(f, "  why, the heaviest first; + speaks for it, - against it:")?;
    }
    for reason in reasons {
        match reason.points {
            0 => writeln!(f, "        {} [{}]", reason.text, reason.word)?,
            points => writeln!(f, "  {points:+4}  {} [{}]", reason.text, reason.word)?,
        }
    }
    Ok(())
}

fn write_pair(f: &mut fmt::Formatter<'_>, pair: &PairHistory) -> fmt::Result {
    let standing = match pair.standing {
        Standing::Seen => "seen",
        Standing::Established => "established",
        Standing::Strong => "strong",
    };
    write!(
        f,
        "  {} ({}, {standing}): {}, {} accepted, {} rejected, on {}, from {} to {}",
        words::shown(&pair.name),
        pair.kind.word(),
        count(pair.observations as usize, "observation"),
        pair.accepted,
        pair.rejected,
        count(pair.days as usize, "day"),
        pair.first,
        pair.last,
    )?;
    if pair.by_us > 0 {
        write!(f, ", {} refused by our own answer", pair.by_us)?;
    }
    writeln!(f)
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// A count that may be an estimate.
fn counted(count: Count, what: &str) -> String {
    if count.n == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn count_families(n: usize) -> String {
    if n == 1 { "1 family".into() } else { format!("{n} families") }
}

fn meaning(code: PairCode) -> &'static str {
    match code {
        PairCode::Established => "established",
        PairCode::Confirmed => "established, and an address record of the name agrees",
        PairCode::Authorised => "established, and authorised by the name's publisher",
        PairCode::OperatorAllow => "allowed by the operator",
        PairCode::NewName => "a new name on a steady client",
        PairCode::NewClient => "a known name on a new client",
        PairCode::Moved => "new, but of its own family or network, or where its owner says it is",
        PairCode::TooLittle => "seen, too little history",
    }
}

#[cfg(test)]
mod tests;

//! The records of a test's DNS, and what a resolver would find in them.
//!
//! In goes text, one statement a line:
//!
//! ```text
//! owner. TYPE rdata         a record; class IN, TTL 3600; all names absolute
//! !apex name.               a zone cut with SOA and NS at name.; negative answers below name it
//! !fault name. TYPE KIND    TYPE or *; KIND = SERVFAIL | TIMEOUT | TCFAIL (truncated, TCP unusable), and others
//!                           that `super::faults` describes
//! !compact                  compact denial (RFC 9824): what does not exist is shown as NODATA
//! ```
//!
//! Names that exist only because something lies below them answer NODATA; `*` follows RFC 4592;
//! CNAME and DNAME (RFC 6672) are followed, at most eight links. Without an `!apex` above it, a
//! negative answer has no SOA.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use helostat_zones::evidence::lookup::{
    ALIAS_LINKS_MAX, Absent, Age, Denial, Failure, Found, Holds,
};
use helostat_zones::evidence::{Answer, DnsName, Lookup, Publishing, RecordData, RecordType};

use super::faults::Fault;
use super::rdata;

/// The TTL of every record, and the MINIMUM of every SOA.
pub(super) const TTL: u32 = 3600;

/// The records of a test.
#[derive(Clone, Debug, Default)]
pub struct World {
    nodes: BTreeMap<DnsName, Node>,
    apexes: BTreeSet<DnsName>,
    faults: Vec<(DnsName, Option<RecordType>, Fault)>,
    compact: bool,
}

#[derive(Clone, Debug, Default)]
struct Node {
    records: Vec<RecordData>,
    cname: Option<DnsName>,
    dname: Option<DnsName>,
}

/// A line that is no statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for LineError {}

/// What a resolver finds for a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The aliases on the way: owner and target.
    pub chain: Vec<(DnsName, DnsName)>,
    /// Where the way ended.
    pub owner: DnsName,
    /// What is there.
    pub outcome: Outcome,
}

/// What is at the end of the aliases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Records of the type asked for.
    Records(Vec<RecordData>),
    /// None of that type.
    NoData,
    /// No such name.
    NxDomain,
    /// The question goes wrong here.
    Fault(Fault),
    /// The aliases do not end.
    Loop,
}

impl World {
    /// Reads a whole text; empty lines are skipped.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let mut world = Self::default();
        for (at, line) in text.lines().enumerate() {
            if !line.trim().is_empty() {
                world.add(line).map_err(|message| LineError { line: at + 1, message })?;
            }
        }
        Ok(world)
    }

    /// Adds one statement.
    pub fn add(&mut self, line: &str) -> Result<(), String> {
        let line = line.trim();
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match first {
            "!compact" if rest.is_empty() => self.compact = true,
            "!apex" => {
                self.apexes.insert(name(rest)?);
            }
            "!fault" => self.add_fault(rest)?,
            _ if first.starts_with('!') => return Err(format!("unknown directive '{line}'")),
            _ => self.add_record(first, rest)?,
        }
        Ok(())
    }

    fn add_fault(&mut self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let [owner, kind, fault] = words.as_slice() else {
            return Err("!fault takes a name, a type and a kind".to_owned());
        };
        let kind = if *kind == "*" { None } else { Some(record_type(kind)?) };
        let fault = Fault::parse(fault).ok_or_else(|| format!("unknown fault '{fault}'"))?;
        self.faults.push((name(owner)?, kind, fault));
        Ok(())
    }

    fn add_record(&mut self, owner: &str, rest: &str) -> Result<(), String> {
        let owner = name(owner)?;
        let (kind, data) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let node = self.nodes.entry(owner).or_default();
        match kind {
            "CNAME" => node.cname = Some(rdata::parse_target(data)?),
            "DNAME" => node.dname = Some(rdata::parse_target(data)?),
            _ => node.records.push(rdata::parse(record_type(kind)?, data)?),
        }
        Ok(())
    }

    /// The same world under compact denial.
    pub fn compact(mut self) -> Self {
        self.compact = true;
        self
    }

    /// The same world with the records of every name in the opposite order.
    pub fn reversed(mut self) -> Self {
        self.nodes.values_mut().for_each(|node| node.records.reverse());
        self
    }

    /// The same world, where nothing goes wrong.
    pub fn faultless(mut self) -> Self {
        self.faults.clear();
        self
    }

    /// What a resolver finds for `asked`; a `kind` of `None` is a type that nobody publishes.
    pub fn resolve(&self, asked: &DnsName, kind: Option<RecordType>) -> Resolution {
        let mut chain: Vec<(DnsName, DnsName)> = Vec::new();
        let mut owner = asked.clone();
        loop {
            if let Some(fault) = self.fault(&owner, kind) {
                return Resolution { chain, owner, outcome: Outcome::Fault(fault) };
            }
            let step = self.step(&owner, kind);
            let target = match step {
                Step::End(outcome) => return Resolution { chain, owner, outcome },
                Step::Alias(target) => target,
            };
            chain.push((owner, target.clone()));
            owner = target;
            if chain.len() > ALIAS_LINKS_MAX {
                return Resolution { chain, owner, outcome: Outcome::Loop };
            }
        }
    }

    fn fault(&self, owner: &DnsName, kind: Option<RecordType>) -> Option<Fault> {
        let hit = |(at, only, _): &&(DnsName, Option<RecordType>, Fault)| {
            at == owner && (only.is_none() || *only == kind)
        };
        self.faults.iter().find(hit).map(|(_, _, fault)| *fault)
    }

    fn step(&self, owner: &DnsName, kind: Option<RecordType>) -> Step {
        for depth in 0..owner.depth() {
            let above = owner.ancestor(depth);
            let target = self.nodes.get(&above).and_then(|node| node.dname.as_ref());
            if let Some(target) = target {
                let front = owner.labels().take(owner.depth() - depth);
                return match DnsName::from_labels(front.chain(target.labels())) {
                    Some(target) => Step::Alias(target),
                    // YXDOMAIN on the wire: the name would be too long.
                    None => Step::End(Outcome::Fault(Fault::Servfail)),
                };
            }
        }
        if self.exists(owner) {
            return self.node(self.nodes.get(owner), kind);
        }
        // The closest encloser's wildcard answers, and no other (RFC 4592 section 3.3.1).
        let encloser = (0..owner.depth()).rev().map(|depth| owner.ancestor(depth));
        let encloser = encloser.into_iter().find(|above| self.exists(above));
        let wildcard = encloser.and_then(|above| above.below(&["*"]));
        match wildcard.filter(|wildcard| self.exists(wildcard)) {
            Some(wildcard) => self.node(self.nodes.get(&wildcard), kind),
            None if self.compact => Step::End(Outcome::NoData),
            None => Step::End(Outcome::NxDomain),
        }
    }

    /// What the node itself says; `None` is an empty non-terminal or a bare apex.
    fn node(&self, node: Option<&Node>, kind: Option<RecordType>) -> Step {
        let Some(node) = node else {
            return Step::End(Outcome::NoData);
        };
        if let Some(target) = &node.cname {
            return Step::Alias(target.clone());
        }
        let fits = |data: &&RecordData| Some(data.kind()) == kind;
        let records: Vec<RecordData> = node.records.iter().filter(fits).cloned().collect();
        if records.is_empty() {
            return Step::End(Outcome::NoData);
        }
        Step::End(Outcome::Records(records))
    }

    /// True for names with records, for apexes, and for everything above them.
    fn exists(&self, name: &DnsName) -> bool {
        name.is_root()
            || self.nodes.contains_key(name)
            || self.nodes.keys().chain(&self.apexes).any(|owner| owner.is_within(name))
    }

    /// The zone that `name` lies in, if the test cares.
    pub fn zone_of(&self, name: &DnsName) -> Option<&DnsName> {
        let above = self.apexes.iter().filter(|apex| name.is_within(apex));
        above.max_by_key(|apex| apex.depth())
    }
}

enum Step {
    End(Outcome),
    Alias(DnsName),
}

impl Lookup for World {
    async fn lookup(&self, name: &DnsName, kind: RecordType, publishing: Publishing) -> Answer {
        let Resolution { owner, outcome, .. } = self.resolve(name, Some(kind));
        let holds = Holds::default();
        let absent = |owner: DnsName, denial| {
            let zone = self.zone_of(&owner).cloned();
            let ttl = holds.negative(zone.as_ref().map(|_| TTL), publishing);
            Answer::Absent(Absent { owner, zone, denial, ttl, secure: false, age: Age::Fresh })
        };
        match outcome {
            Outcome::Records(records) => {
                let ttl = Duration::from_secs(u64::from(TTL));
                Answer::Found(Found { owner, records, ttl, secure: false, age: Age::Fresh })
            }
            Outcome::NoData => absent(owner, Denial::NoData),
            Outcome::NxDomain => absent(owner, Denial::NxDomain),
            Outcome::Loop => Answer::Failed(Failure::AliasLoop),
            Outcome::Fault(fault) => Answer::Failed(fault.failure()),
        }
    }
}

fn name(text: &str) -> Result<DnsName, String> {
    if !text.ends_with('.') {
        return Err(format!("'{text}' is not an absolute name"));
    }
    DnsName::parse(text).ok_or_else(|| format!("'{text}' is not a name"))
}

fn record_type(word: &str) -> Result<RecordType, String> {
    let number = word.strip_prefix("TYPE").and_then(|number| number.parse().ok());
    if let Some(number @ 65_280..=65_534) = number {
        return Ok(RecordType::Private(number));
    }
    let found = RecordType::ALL.into_iter().find(|kind| kind.word() == word);
    found.ok_or_else(|| format!("unknown record type '{word}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example zone of RFC 4592 section 2.2.1, in the types used here.
    const RFC_4592: &str = "
        !apex example.
        *.example. TXT \"this is a wildcard\"
        *.example. MX 10 host1.example.
        sub.*.example. TXT \"this is not a wildcard\"
        host1.example. A 192.0.2.1
        _ssh._tcp.host1.example. SRV 0 0 22 host1.example.
        _ssh._tcp.host2.example. SRV 0 0 22 host1.example.
        !apex subdel.example.
    ";

    fn outcome(world: &World, asked: &str, kind: RecordType) -> String {
        let asked = DnsName::parse(asked).expect(asked);
        match world.resolve(&asked, Some(kind)).outcome {
            Outcome::Records(records) => records[0].to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn wildcards_follow_the_rfc() {
        let world = World::parse(RFC_4592).expect("the zone");
        for (asked, kind, expected) in [
            ("host3.example.", RecordType::Mx, "10 host1.example."),
            ("host3.example.", RecordType::A, "NoData"),
            ("foo.bar.example.", RecordType::Txt, "\"this is a wildcard\""),
            ("host1.example.", RecordType::Mx, "NoData"),
            ("sub.*.example.", RecordType::Mx, "NoData"),
            ("_telnet._tcp.host1.example.", RecordType::Srv, "NxDomain"),
            ("host.subdel.example.", RecordType::A, "NxDomain"),
            ("ghost.*.example.", RecordType::Mx, "NxDomain"),
            ("_tcp.host2.example.", RecordType::Mx, "NoData"),
            ("other.", RecordType::A, "NxDomain"),
        ] {
            assert_eq!(outcome(&world, asked, kind), expected, "{asked} {kind}");
        }
    }

    #[test]
    fn aliases_are_followed_and_rings_end() {
        let world = World::parse(
            "a.example. CNAME b.example.
             b.example. A 192.0.2.1
             ring.example. CNAME ring.example.
             old.example. DNAME new.example.
             x.new.example. A 192.0.2.2
             gone.example. CNAME nowhere.example.
             bad.example. CNAME faulty.example.
             !fault faulty.example. A SERVFAIL",
        )
        .expect("the zone");
        for (asked, expected) in [
            ("a.example.", "192.0.2.1"),
            ("x.old.example.", "192.0.2.2"),
            ("old.example.", "NoData"),
            ("ring.example.", "Loop"),
            ("gone.example.", "NxDomain"),
            ("bad.example.", "Fault(Servfail)"),
        ] {
            assert_eq!(outcome(&world, asked, RecordType::A), expected, "{asked}");
        }
    }

    #[test]
    fn compact_denial_hides_what_does_not_exist() {
        let world = World::parse("!compact\na.example. A 192.0.2.1").expect("the zone");
        assert_eq!(outcome(&world, "b.example.", RecordType::A), "NoData");
    }

    #[test]
    fn lines_that_are_no_statement_name_their_number() {
        for (text, line, message) in [
            ("\na.example. A 192.0.2.300", 2, "'192.0.2.300' is not an IPv4 address"),
            ("a.example A 192.0.2.3", 1, "'a.example' is not an absolute name"),
            ("a.example. WKS 1", 1, "unknown record type 'WKS'"),
            ("!fault a.example. A BROKEN", 1, "unknown fault 'BROKEN'"),
            ("!fault a.example. A", 1, "!fault takes a name, a type and a kind"),
            ("!what", 1, "unknown directive '!what'"),
        ] {
            let error = World::parse(text).expect_err(text);
            assert_eq!(error, LineError { line, message: message.to_owned() }, "{text}");
        }
    }
}

//! All systems of evidence over a DNS that is made of bytes.
//!
//! Two ways of making one. [`evidence_lines`] reads the notation of the test vectors and passes over what is no
//! statement: bytes are what strangers write into their records. [`evidence_pool`] draws owners and targets from
//! the names that the systems ask for: bytes are which records there are, and what leads to what.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use helostat_zones::evidence::inquiry::LINES_MAX;
use helostat_zones::evidence::{
    Answer, DnsName, Finding, Holds, Lookup, Options, Publishing, RecordType, System, evaluate,
};
use helostat_zones::name::Name;

use crate::fakedns::World;

/// No DNS has more statements than this: the fake one looks through them all for every question.
const STATEMENTS_MAX: usize = 48;
/// The most pairs that are evaluated over one DNS.
const PAIRS_MAX: usize = 2;
/// Where a line of a finding's records is cut.
const LINE_MAX: usize = 300;
/// A type of private use in which no system is interested.
const NO_MATTER: &str = "TYPE65534 \\# 0";

/// The most questions that a system asks, all its options being on ([`everything`]).
fn questions_max(system: System) -> usize {
    match system {
        // The name; then 4 targets or 5 parents.
        System::Csa => 1 + 5,
        // The name, and each trusted service.
        System::Dna => 1 + 2,
        // Three places; 10 entries of one question and 10 hosts each, and the reverse names once.
        System::Rmx => 3 + 10 * (1 + 10) + 1,
        // The name and five others, each with its marker.
        System::Dmp => 2 * (1 + 5),
        // Four nodes, the first draft's label, and twice the responsible person.
        System::Mtamark => 4 + 1 + 2,
        // Host and four nodes, then 20 exchanges.
        System::ReverseMx => 1 + 4 + 20,
        // The name and the first place of its chain; the family and its chain of ten.
        System::Apl => 2 + 1 + 10,
        // The record; 10 terms of one question and 10 hosts each.
        System::Spf => 1 + 10 * (1 + 10),
        // The reverse names; each with its record, of which one is evaluated.
        System::UnifiedSpf => 1 + 10 * 2 + 10 * (1 + 10),
        // Three domains with 10 exchangers each.
        System::Mx => 3 * (1 + 10),
        System::Iprev => 1 + 10,
        System::Forward | System::NamePath => 1,
        System::Literal | System::Syntax => 0,
        // The reverse names, the name said, and the reverse names of its family.
        System::Generic => 1 + 1 + 10,
        // The name and 5 parents, each with its wildcard.
        System::Drip => 2 * (1 + 5),
    }
}

/// Every option on.
fn everything() -> Options {
    let mut options = Options::default();
    options.csa.use_reverse = true;
    let services = ["rep.example.net", "other.example.net"];
    options.dna.services = services.into_iter().filter_map(DnsName::parse).collect();
    options.rmx.private_type = Some(65280);
    options.rmx.split = true;
    options.mtamark.perm = true;
    options.mtamark.contact = true;
    options.reverse_mx.strict = true;
    options.reverse_mx.slash8 = true;
    options
}

/// Lines of a vector: statements about a DNS, `? name ip` for a pair, `!opt` to switch every option on; the rest
/// is passed over. Octets that are not ASCII are the octets of a text.
pub fn evidence_lines(bytes: &[u8]) {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'\n' | b'\t' | b' '..=b'~' => text.push(char::from(byte)),
            _ => drop(write!(text, "\\{byte:03}")),
        }
    }
    let mut made = Made::default();
    let mut pairs = Vec::new();
    let mut options = Options::default();
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["?", said, ip, ..] => {
                let pair = ip.parse().map(|ip| (Name::parse(said.as_bytes()), ip));
                pairs.extend(pair);
            }
            ["!opt", ..] => options = everything(),
            [] => {}
            _ => made.add(line),
        }
    }
    pairs.truncate(PAIRS_MAX);
    for (said, ip) in pairs {
        hold_laws(&made.world, &said, ip, &options);
    }
}

/// A DNS of statements, as many as it may have.
#[derive(Default)]
struct Made {
    world: World,
    statements: usize,
}

impl Made {
    fn add(&mut self, line: &str) {
        if self.statements >= STATEMENTS_MAX || self.world.add(line).is_err() {
            return;
        }
        self.statements += 1;
        // A name that fails is there: nothing fails below a name that does not exist.
        let mut words = line.split_ascii_whitespace();
        if let (Some("!fault"), Some(owner)) = (words.next(), words.next()) {
            drop(self.world.add(&format!("{owner} {NO_MATTER}")));
        }
    }
}

/// The clients of [`evidence_pool`], and what they say.
const CLIENTS: [&str; 3] = ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"];
const SAID: [&str; 6] = [
    "mail.example.com",
    "example.com",
    "x.y.mail.example.com",
    "host-2-7.example.com",
    "[192.0.2.7]",
    "example.org",
];
/// The names that are said or published there.
const HOSTS: [&str; 8] = [
    "mail.example.com.",
    "example.com.",
    "x.y.mail.example.com.",
    "host-2-7.example.com.",
    "example.org.",
    "*.example.com.",
    "rep.example.net.",
    ".",
];
/// What systems put before a name.
const FRONTS: [&str; 12] = [
    "",
    "_client._smtp.",
    "_rmx.",
    "_smtp-client.",
    "_smtp.",
    "_0._smtp.",
    "_mf._smtp.",
    "_send._smtp._srv.",
    "_smtp._srv.",
    "relays._email_.",
    "_vouch._smtp.",
    "*._smtp-client.",
];
/// Words that records of text are made of; what follows is octets.
const TEXTS: [&str; 16] = [
    "v=spf1 mx a -all",
    "v=spf1 include:example.org redirect=mail.example.com",
    "v=spf1 exists:%{ir}.%{v}.example.com ptr ?all",
    "v=spf1 a:%{p}.example.com mx:%{d2} include:%{h} ~all",
    "v=spf1 redirect=example.com",
    "v=spf1 ",
    "mx: host:mail.example.com. !domain: apl:_smtp.example.com.",
    "!ipv4:192.0.2.0/24 unused:",
    "dmp=allow",
    "dmp=altdomain:example.org.,mail.example.com.",
    "dmp=deny",
    "dmp=",
    "MARID,1,A",
    "MARID,1,E;",
    "1",
    "0",
];

/// An octet for the client, one for what it says, one for the options; then records: three octets for the owner
/// (host, form, front), one for the type, one for the data or its length, and the data.
pub fn evidence_pool(bytes: &[u8]) {
    let mut rest = Octets(bytes);
    let ip: IpAddr = rest.pick(&CLIENTS).parse().expect("an address");
    let said = Name::parse(rest.pick(&SAID).as_bytes());
    let options = if rest.next().is_multiple_of(2) { Options::default() } else { everything() };
    let mut made = Made::default();
    // What says "nothing there" with a zone is said by every name here.
    for line in
        ["!apex example.com.", "!apex 2.0.192.in-addr.arpa.", "!apex 8.b.d.0.1.0.0.2.ip6.arpa."]
    {
        made.add(line);
    }
    while !rest.0.is_empty() {
        let host = rest.owner(ip);
        let front = rest.pick(&FRONTS);
        let line = statement(&mut rest, &format!("{front}{host}"));
        made.add(&line);
    }
    hold_laws(&made.world, &said, ip, &options);
}

/// The rest of an input.
struct Octets<'a>(&'a [u8]);

impl Octets<'_> {
    /// The next octet; zero after the last.
    fn next(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first
    }

    fn pick<'p>(&mut self, pool: &[&'p str]) -> &'p str {
        let at = usize::from(self.next());
        pool.iter().cycle().nth(at).copied().unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at_checked(length).unwrap_or((self.0, &[]));
        self.0 = rest;
        taken
    }

    /// A host of the pool, or a name that stands for the client's address.
    fn owner(&mut self, ip: IpAddr) -> String {
        let reverse = DnsName::reverse(ip);
        let host = HOSTS[usize::from(self.next()) % HOSTS.len()];
        match self.next() % 8 {
            0 => reverse.to_string(),
            1 => reverse.ancestor(5).to_string(),
            // DMP and DRIP have forms of their own.
            2 => format!("7.2.0.192.in-addr._smtp-client.{host}"),
            3 => format!("192_0_2_7.ipv4.relays._email_.{host}"),
            4 => format!("{host}rep.example.net."),
            _ => host.to_owned(),
        }
    }
}

/// A statement about `owner`.
fn statement(rest: &mut Octets<'_>, owner: &str) -> String {
    let kind = rest.next() % 16;
    let octet = rest.next();
    let target = |rest: &mut Octets<'_>| format!("{}{}", rest.pick(&FRONTS), rest.pick(&HOSTS));
    let hex = |octets: &[u8]| {
        let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        format!("\\# {} {digits}", octets.len())
    };
    match kind {
        0 => format!("{owner} A {}", if octet < 128 { "192.0.2.7" } else { "0.0.0.0" }),
        1 => format!("{owner} AAAA {}", if octet < 128 { "2001:db8::7" } else { "::" }),
        2 => format!("{owner} PTR {}", target(rest)),
        4 => format!("{owner} MX {octet} {}", target(rest)),
        5 => format!("{owner} SRV {} {} {} {}", octet % 3, octet % 5, octet % 2, target(rest)),
        6 => format!("{owner} RP {} .", target(rest)),
        7 => format!("{owner} CNAME {}", target(rest)),
        8 => format!("{owner} DNAME {}", target(rest)),
        9 => format!("!fault {owner} * SERVFAIL"),
        10 => format!("{owner} APL {}", hex(rest.take(usize::from(octet % 32)))),
        11 => format!("{owner} TYPE65280 {}", hex(rest.take(usize::from(octet % 32)))),
        // As many hosts as there are octets, to come to the limits.
        3 => format!("{owner} PTR m{octet}.example.com."),
        12 => format!("{owner} MX {octet} m{octet}.example.com."),
        _ => {
            let beginning = rest.pick(&TEXTS);
            let octets: String =
                rest.take(usize::from(octet % 64)).iter().map(|b| format!("\\{b:03}")).collect();
            format!("{owner} TXT \"{beginning}\" \"{octets}\"")
        }
    }
}

/// Each system comes to an end, within its questions, with a finding that can be shown; and to the same one
/// however the DNS says "no" and in whatever order it hands out records.
fn hold_laws(world: &World, said: &Name, ip: IpAddr, options: &Options) {
    let (compact, reversed) = (world.clone().compact(), world.clone().reversed());
    for system in System::ALL {
        let finding = found(system, world, said, ip, options);
        for (guise, world) in [("compact", &compact), ("reversed", &reversed)] {
            let other = found(system, world, said, ip, options);
            let records = [&finding, &other].map(|finding| finding.records.join("\n"));
            let shown = format!("{finding}:\n{}\n{other}:\n{}", records[0], records[1]);
            let same = (finding.result, finding.reason) == (other.result, other.reason);
            assert!(same, "{system}, {guise}: {shown}");
        }
    }
}

fn found(system: System, world: &World, said: &Name, ip: IpAddr, options: &Options) -> Finding {
    let counted = Counted { world, questions: AtomicUsize::new(0) };
    let mut evaluation = pin!(evaluate(system, &counted, ip, said, options));
    let finding = match evaluation.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(finding) => finding,
        Poll::Pending => panic!("{system} waits for something that is no question"),
    };
    let questions = counted.questions.load(Ordering::Relaxed);
    assert!(questions <= questions_max(system), "{system}: {questions} questions");
    assert!(finding.records.len() <= LINES_MAX, "{system}: {} lines", finding.records.len());
    for line in &finding.records {
        assert!(line.len() <= LINE_MAX, "{system}: {} octets in a line", line.len());
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{system}: {line:?}");
    }
    let longest = Holds::default().positive_max;
    assert!((Duration::from_secs(1)..=longest).contains(&finding.ttl), "{system}: {finding:?}");
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    assert!(finding.reason.is_none_or(|reason| reason.bytes().all(word)), "{system}: {finding}");
    finding
}

/// Counts the questions.
struct Counted<'w> {
    world: &'w World,
    questions: AtomicUsize,
}

impl Lookup for Counted<'_> {
    async fn lookup(&self, name: &DnsName, kind: RecordType, publishing: Publishing) -> Answer {
        self.questions.fetch_add(1, Ordering::Relaxed);
        self.world.lookup(name, kind, publishing).await
    }
}

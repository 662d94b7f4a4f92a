//! Generic reverse names over real mail: false alarms on established honest senders stay below 0.5%.
//!
//! The corpora are messages as the receiving server saw them, one a row, and are not part of the project: they
//! are measured where the folder `shared` lies beside the checkout or `HELOSTAT_SHARED` names it. A small extract of
//! the free one is, and is always measured (`tests/data/README.md`).
//!
//! A row tells what the reverse name was then and whether it led back; of the name said in EHLO it does not tell where
//! it led. So everything is measured twice: as if such names led to the client (A), and as if none did (B). `docs/generic-names.md`
//! holds the table that this prints.

#![expect(clippy::print_stderr, reason = "the table, and what is skipped")]
#![allow(missing_docs)]

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::GzDecoder;
use helostat_zones::evidence::lookup::{Absent, Age, Denial, Found};
use helostat_zones::evidence::{
    Answer, DnsName, Finding, FindingResult, Lookup, Options, Publishing, RecordData, RecordType,
    generic,
};
use helostat_zones::name::Name;
use jiff::Timestamp;

/// The corpora, and how many rows each has at least.
const CORPORA: [(&str, usize); 5] = [
    ("trec07p", 48_000),
    ("spamassassin", 5_200),
    ("vger", 245_000),
    ("ltp", 29_000),
    ("ozlabs", 20_000),
];
/// The bar, as a share.
const FALSE_ALARMS_MAX: f64 = 0.005;
/// A pair is established after so many messages, on so many days, and so long after the first.
const MESSAGES_MIN: u32 = 5;
const DAYS_MIN: usize = 3;
const AGE_MIN_SECONDS: i64 = 3 * DAY_SECONDS;
const DAY_SECONDS: i64 = 86_400;

/// A message.
struct Row {
    time: i64,
    ip: IpAddr,
    said: String,
    reverse_name: String,
    leads_back: bool,
    spam: bool,
}

/// Reads `seq,t,ip,helo,rdns,rdns_forged,label,site`, in the order of time.
fn rows(text: &str) -> Vec<Row> {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("seq,t,ip,helo,rdns,rdns_forged,label,site"));
    let mut rows: Vec<Row> = lines.map(row).collect();
    rows.sort_by_key(|row| row.time);
    rows
}

fn row(line: &str) -> Row {
    let fields: Vec<&str> = line.split(',').collect();
    let [_, time, ip, said, reverse_name, forged, label, _] = fields.as_slice() else {
        panic!("{line}: {} fields", fields.len());
    };
    let time: Timestamp = time.parse().expect(line);
    let plain = |name: &str| name.trim().to_ascii_lowercase().trim_end_matches('.').to_owned();
    Row {
        time: time.as_second(),
        ip: ip.parse().expect(line),
        said: plain(said),
        reverse_name: plain(reverse_name),
        leads_back: *forged != "1",
        spam: *label == "spam",
    }
}

/// The DNS as a row knows it.
struct RowDns {
    ip: IpAddr,
    reverse_name: Option<DnsName>,
    leads_back: bool,
    said: Option<DnsName>,
    said_leads: bool,
}

impl Lookup for RowDns {
    async fn lookup(&self, name: &DnsName, kind: RecordType, _: Publishing) -> Answer {
        let address = || match self.ip {
            IpAddr::V4(ip) => RecordData::A(ip),
            IpAddr::V6(ip) => RecordData::Aaaa(ip),
        };
        let is_reverse_name = self.reverse_name.as_ref() == Some(name);
        let leads = if is_reverse_name {
            self.leads_back
        } else {
            self.said_leads && self.said.as_ref() == Some(name)
        };
        let data = match kind {
            RecordType::Ptr if *name == DnsName::reverse(self.ip) => {
                self.reverse_name.clone().map(RecordData::Ptr)
            }
            _ if kind == RecordType::address_of(self.ip) => leads.then(address),
            _ => None,
        };
        let (owner, ttl, secure, age) =
            (name.clone(), Duration::from_secs(3600), false, Age::Fresh);
        match data {
            Some(data) => Answer::Found(Found { owner, records: vec![data], ttl, secure, age }),
            None => {
                let (zone, denial) = (None, Denial::NoData);
                Answer::Absent(Absent { owner, zone, denial, ttl, secure, age })
            }
        }
    }
}

/// What the name said leads to where no row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Assumption {
    ToTheClient,
    Nowhere,
}

/// Whether a message is called generic by the code that is shipped; each combination once.
#[derive(Default)]
struct Findings(HashMap<(IpAddr, String, String, bool), bool>);

impl Findings {
    async fn is_generic(&mut self, row: &Row, assumption: Assumption) -> bool {
        let key = (row.ip, row.said.clone(), row.reverse_name.clone(), row.leads_back);
        if let Some(&known) = self.0.get(&key) {
            return known;
        }
        let said = Name::parse(row.said.as_bytes());
        let dns = RowDns {
            ip: row.ip.to_canonical(),
            reverse_name: Some(&row.reverse_name)
                .filter(|name| !name.is_empty())
                .and_then(|name| DnsName::parse(name)),
            leads_back: row.leads_back,
            said: DnsName::of(&said),
            said_leads: assumption == Assumption::ToTheClient,
        };
        let Finding { result, reason, .. } =
            generic::evaluate(&dns, dns.ip, &said, &Options::default().iprev).await;
        let generic = result == FindingResult::Fail;
        assert_eq!(generic, reason == Some("generic"), "{}: {result} {reason:?}", row.reverse_name);
        self.0.insert(key, generic);
        generic
    }
}

/// How many, and how many of them are called generic.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    all: u32,
    generic: u32,
}

impl Share {
    fn add(&mut self, generic: bool) {
        self.all += 1;
        self.generic += u32::from(generic);
    }

    fn share(self) -> f64 {
        f64::from(self.generic) / f64::from(self.all.max(1))
    }

    /// `12 of 3,456 (0.35%)`, or nothing of nothing.
    fn shown(self) -> String {
        match self.all {
            0 => "-".to_owned(),
            _ => format!("{} of {} ({:.2}%)", self.generic, self.all, 100.0 * self.share()),
        }
    }
}

/// What was measured under one assumption.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    /// Honest messages of pairs that are established at that moment, and these pairs.
    established: Share,
    established_pairs: Share,
    honest: Share,
    spam: Share,
    /// Spam whose client has a reverse name at all.
    named_spam: Share,
}

/// What is known of a pair before a message.
struct History {
    messages: u32,
    first: i64,
    days: BTreeSet<i64>,
}

impl History {
    fn is_established(&self, now: i64) -> bool {
        self.messages >= MESSAGES_MIN
            && self.days.len() >= DAYS_MIN
            && now - self.first >= AGE_MIN_SECONDS
    }
}

/// The address for which senders are remembered: an IPv6 client is its /64.
fn sender(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// Goes through messages in the order of time; each is judged by what came before it.
async fn measure(rows: &[Row], assumption: Assumption) -> Measured {
    let mut findings = Findings::default();
    let mut histories: HashMap<(IpAddr, &str), History> = HashMap::new();
    let mut established_pairs: HashMap<(IpAddr, &str), bool> = HashMap::new();
    let mut measured = Measured::default();
    for row in rows {
        let pair = (sender(row.ip), row.said.as_str());
        let generic = findings.is_generic(row, assumption).await;
        let history = histories.entry(pair).or_insert_with(|| History {
            messages: 0,
            first: row.time,
            days: BTreeSet::new(),
        });
        if row.spam {
            measured.spam.add(generic);
            if !row.reverse_name.is_empty() {
                measured.named_spam.add(generic);
            }
        } else {
            measured.honest.add(generic);
            if history.is_established(row.time) {
                measured.established.add(generic);
                *established_pairs.entry(pair).or_default() |= generic;
            }
        }
        history.messages += 1;
        history.days.insert(row.time.div_euclid(DAY_SECONDS));
    }
    established_pairs.into_values().for_each(|generic| measured.established_pairs.add(generic));
    measured
}

/// Measures under both assumptions and prints two lines of the table.
async fn show(corpus: &str, rows: &[Row]) -> [Measured; 2] {
    let mut both = [Measured::default(); 2];
    for (measured, (letter, assumption)) in
        both.iter_mut().zip([("A", Assumption::ToTheClient), ("B", Assumption::Nowhere)])
    {
        *measured = measure(rows, assumption).await;
        let Measured { established, established_pairs, honest, spam, named_spam } = measured;
        eprintln!(
            "| {corpus} | {letter} | {} | {} | {} | {} | {} |",
            established.shown(),
            established_pairs.shown(),
            honest.shown(),
            spam.shown(),
            named_spam.shown(),
        );
    }
    both
}

fn show_head() {
    eprintln!(
        "| corpus | names said lead | established honest messages | their pairs | all honest messages | spam | spam with a reverse name |"
    );
    eprintln!("|---|---|---|---|---|---|---|");
}

/// The folder with the corpora, if this machine has it.
fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("HELOSTAT_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folders = named.into_iter().chain([beside]).map(|folder| folder.join("corpora"));
    folders.into_iter().find(|folder| folder.is_dir())
}

#[tokio::test]
async fn established_senders_are_not_called_generic() {
    let Some(folder) = shared() else {
        eprintln!(
            "SKIPPED established_senders_are_not_called_generic: no folder 'shared', HELOSTAT_SHARED is not set; \
             only the extract is measured"
        );
        return;
    };
    show_head();
    let mut complaints = Vec::new();
    for (corpus, rows_min) in CORPORA {
        let path = folder.join(format!("{corpus}.csv.gz"));
        let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut text = String::new();
        GzDecoder::new(file).read_to_string(&mut text).expect(corpus);
        let rows = rows(&text);
        assert!(rows.len() >= rows_min, "{corpus}: {} rows", rows.len());
        let [measured, _] = show(corpus, &rows).await;
        for (what, share) in
            [("messages", measured.established), ("pairs", measured.established_pairs)]
        {
            assert!(share.all >= 20, "{corpus}: {share:?} established {what}");
            if share.share() >= FALSE_ALARMS_MAX {
                complaints.push(format!("{corpus}: {} established {what}", share.shown()));
            }
        }
    }
    assert!(complaints.is_empty(), "called generic: {complaints:#?}");
}

#[tokio::test]
async fn established_senders_of_the_extract_are_not_called_generic() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/spamassassin.csv");
    let text = std::fs::read_to_string(path).expect("the extract");
    show_head();
    let [to_the_client, nowhere] = show("extract", &rows(&text)).await;
    assert!(to_the_client.established.all >= 100, "{to_the_client:?}");
    assert_eq!(to_the_client.established.generic, 0, "{to_the_client:?}");
    // A host at home with a name of its own is excused by nothing else.
    assert_eq!(nowhere.established_pairs.generic, 1, "{nowhere:?}");
    assert!(to_the_client.named_spam.generic >= 30, "{to_the_client:?}");
    assert!(nowhere.named_spam.generic >= 100, "{nowhere:?}");
}

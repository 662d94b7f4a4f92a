//! That a check ends, whatever strangers publish, and asks no more than is said.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::evidence::lookup::{Absent, Age, Denial, Found, Publishing};

/// 1 + 10 * (1 + 10): what the file says.
const QUESTIONS_MAX: usize = 111;

/// A DNS that answers at once, and counts.
#[derive(Default)]
struct Table {
    records: BTreeMap<(DnsName, RecordType), Vec<RecordData>>,
    /// What comes where there are no records; `None` is their absence.
    failure: Option<Failure>,
    asked: AtomicUsize,
}

impl Table {
    fn add(&mut self, owner: &str, data: RecordData) {
        self.records.entry((name(owner), data.kind())).or_default().push(data);
    }

    fn text(&mut self, owner: &str, text: &str) {
        self.add(owner, RecordData::Txt(vec![text.as_bytes().into()]));
    }
}

impl Lookup for Table {
    async fn lookup(&self, name: &DnsName, kind: RecordType, _publishing: Publishing) -> Answer {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (owner, ttl) = (name.clone(), Duration::from_secs(60));
        match (self.records.get(&(name.clone(), kind)), self.failure) {
            (Some(records), _) => {
                let records = records.clone();
                Answer::Found(Found { owner, records, ttl, secure: false, age: Age::Fresh })
            }
            (None, Some(failure)) => Answer::Failed(failure),
            (None, None) => {
                let (denial, age) = (Denial::NxDomain, Age::Fresh);
                Answer::Absent(Absent { owner, zone: None, denial, ttl, secure: false, age })
            }
        }
    }
}

fn name(text: &str) -> DnsName {
    DnsName::parse(text).expect(text)
}

/// The finding at `a.example`, and how many questions it took.
fn found(table: &Table, options: &Options) -> (Finding, usize) {
    let sender = Sender { local: "l-1", domain: "a.example", helo: "a.example" };
    let ip = "192.0.2.7".parse().expect("an address");
    let check = pin!(check_host(table, ip, "a.example", sender, options));
    let Poll::Ready(finding) = check.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the table answers at once");
    };
    (finding, table.asked.load(Ordering::Relaxed))
}

fn exchangers(table: &mut Table, owner: &str, count: u16) {
    for preference in 0..count {
        let exchange = name(&format!("h{preference}.example"));
        let ip = "203.0.113.1".parse().expect("an address");
        table.add(owner, RecordData::Mx { preference, exchange: exchange.clone() });
        table.add(&exchange.to_string(), RecordData::A(ip));
    }
}

#[test]
fn the_worst_record_asks_as_many_questions_as_is_said() {
    let mut table = Table::default();
    let terms = " mx:b.example".repeat(10);
    table.text("a.example", &format!("v=spf1{terms} -all"));
    exchangers(&mut table, "b.example", 10);
    let (finding, asked) = found(&table, &Options::default());
    assert_eq!((finding.to_string().as_str(), asked), ("fail:all", QUESTIONS_MAX));
}

#[test]
fn one_of_our_own_limits_is_no_statement_of_anybody() {
    for (record, failure, expected) in [
        ("v=spf1 ptr -all", Failure::Budget, "temperror:budget"),
        ("v=spf1 ptr -all", Failure::Servfail, "fail:all"),
        ("v=spf1 exists:%{p}.a.example -all", Failure::Budget, "temperror:budget"),
        ("v=spf1 a -all", Failure::Budget, "temperror:budget"),
        ("v=spf1 a -all", Failure::AliasLoop, "permerror:alias-loop"),
    ] {
        let mut table = Table { failure: Some(failure), ..Table::default() };
        table.text("a.example", record);
        let (finding, _) = found(&table, &Options::default());
        assert_eq!(finding.to_string(), expected, "{record} {failure:?}");
    }
}

fn term() -> impl Strategy<Value = String> {
    let domain = prop_oneof![
        "[abcd]\\.example",
        Just("%{p}.example".to_owned()),
        Just("%{d}".to_owned()),
        Just("%{l1r-}.b.example".to_owned()),
        Just("void.example".to_owned()),
    ];
    let word = prop_oneof![
        Just("include:"),
        Just("include:"),
        Just("a:"),
        Just("mx:"),
        Just("ptr:"),
        Just("exists:"),
        Just("redirect="),
    ];
    (word, domain).prop_map(|(word, domain)| format!("{word}{domain}"))
}

proptest! {
    #[test]
    fn every_check_ends_within_its_questions(
        records in proptest::collection::vec(proptest::collection::vec(term(), 0..14), 4),
        hosts in 0u16..12,
        reverse in 0u16..14,
        void in prop_oneof![Just(2), Just(usize::MAX)],
        failure in proptest::option::of(proptest::sample::select(&Failure::ALL[..])),
    ) {
        let mut table = Table { failure, ..Table::default() };
        for (owner, terms) in ["a.example", "b.example", "c.example", "d.example"].iter().zip(records) {
            table.text(owner, &format!("v=spf1 {}", terms.join(" ")));
            exchangers(&mut table, owner, hosts);
        }
        for at in 0..reverse {
            let host = name(&format!("r{at}.b.example"));
            table.add("7.2.0.192.in-addr.arpa", RecordData::Ptr(host));
        }
        let options = Options { void, ..Options::default() };
        let (finding, asked) = found(&table, &options);
        prop_assert!(asked <= QUESTIONS_MAX, "{finding} after {asked} questions");
    }

    #[test]
    fn every_record_has_a_finding(octets in proptest::collection::vec(any::<u8>(), 0..250)) {
        let mut table = Table::default();
        let text = [b"v=spf1 ", octets.as_slice()].concat();
        table.add("a.example", RecordData::Txt(vec![text.into()]));
        let (finding, asked) = found(&table, &Options::default());
        prop_assert!(asked <= QUESTIONS_MAX, "{finding} after {asked} questions");
    }
}

//! What a resolver sends back.

use std::time::Duration;

use helostat_server::live::read_reply;
use helostat_zones::evidence::lookup::{ALIAS_LINKS_MAX, Age};
use helostat_zones::evidence::{Answer, DnsName, Failure, RecordType};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData};

/// The most records of a message that are looked at.
const RECORDS_MAX: usize = 500;
/// Where the first question's name begins.
const HEADER: usize = 12;
/// The questions that are asked.
const ASKED: [(&str, RecordType); 10] = [
    ("mail.a.example.", RecordType::A),
    ("mail.a.example.", RecordType::Aaaa),
    ("7.2.0.192.in-addr.arpa.", RecordType::Ptr),
    ("a.example.", RecordType::Mx),
    ("a.example.", RecordType::Txt),
    ("_smtp._srv.a.example.", RecordType::Rp),
    ("_client._smtp.a.example.", RecordType::Srv),
    ("_smtp.a.example.", RecordType::Apl),
    ("a.example.", RecordType::Private(65280)),
    (".", RecordType::Txt),
];

/// An octet for the question, then the octets of a message: only a reply to the question makes an answer, and only
/// of records of its type at the end of its aliases, which hold for a sensible time.
pub fn dns_reply(bytes: &[u8]) {
    let Some((&which, octets)) = bytes.split_first() else {
        return;
    };
    let (asked, kind) = ASKED[usize::from(which) % ASKED.len()];
    let asked = DnsName::parse(asked).expect("a name");
    let answer = read_reply(&asked, kind, octets);
    assert_eq!(read_reply(&asked, kind, octets), answer, "read again");
    let between = |low: u64, ttl: Duration, high: u64| {
        assert!((low..=high).contains(&ttl.as_secs()), "{ttl:?}");
    };
    let owner = match answer {
        None | Some(Answer::Failed(Failure::Malformed)) => return,
        Some(Answer::Failed(failure)) => {
            let reasons = [Failure::Servfail, Failure::Truncated, Failure::AliasLoop];
            assert!(reasons.contains(&failure), "{failure:?} is no fault of a message");
            return;
        }
        Some(Answer::Absent(absent)) => {
            between(60, absent.ttl, 3 * 3600);
            assert_eq!(absent.age, Age::Fresh);
            absent.owner
        }
        Some(Answer::Found(found)) => {
            between(60, found.ttl, 86_400);
            assert_eq!(found.age, Age::Fresh);
            assert!((1..=RECORDS_MAX).contains(&found.records.len()), "{}", found.records.len());
            for data in &found.records {
                assert_eq!(data.kind(), kind, "{data}");
                let shown = data.to_string();
                assert!(shown.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{shown:?}");
            }
            check_place(octets, &found.owner, kind, found.records.len());
            found.owner
        }
    };
    assert!(octets.get(2).is_some_and(|flags| flags & 0x80 != 0), "a question answers nothing");
    assert!(octets.len() > HEADER, "an answer without a question");
    check_way(octets, &asked, &owner);
}

/// The records of the type are there.
fn check_place(octets: &[u8], owner: &DnsName, kind: RecordType, count: usize) {
    // A record without data is read in a way that is not ours to repeat.
    let Ok(message) = Message::from_vec(octets) else {
        return;
    };
    let there = |name: &Name| DnsName::from_labels(name.iter()).as_ref() == Some(owner);
    let fits = message
        .answers
        .iter()
        .filter(|record| there(&record.name) && u16::from(record.record_type()) == kind.number());
    assert!(fits.count() >= count, "{count} {kind} at {owner}");
}

/// The aliases lead there, and are not too many.
fn check_way(octets: &[u8], asked: &DnsName, owner: &DnsName) {
    let Ok(message) = Message::from_vec(octets) else {
        return;
    };
    let ours = |name: &Name| DnsName::from_labels(name.iter());
    let mut reached = vec![asked.clone()];
    for _ in 0..ALIAS_LINKS_MAX {
        for record in &message.answers {
            if let RData::CNAME(target) = &record.data
                && ours(&record.name).is_some_and(|from| reached.contains(&from))
            {
                reached.extend(ours(&target.0));
            }
        }
        reached.sort();
        reached.dedup();
    }
    assert!(reached.contains(owner), "no alias leads from {asked} to {owner}");
}

//! MTAMARK: the holder of an address says whether a mail server is there (draft-stumpf-dns-mtamark-04).
//!
//! Questions: TXT at `_send._smtp._srv.<node>` for the nodes of the reverse tree, the most specific
//! first: the host, /24, /16 and /8 of an IPv4 address; the host, /64 and /32 of an IPv6 address, and
//! nothing between. The first node that has any TXT there decides, and no more are asked.
//!
//! A record is read with its strings joined and surrounding blanks cut. "1" marks a mail server, "0" a
//! host that is none, and anything else must be read as "0". Of several records, one that is not "1"
//! wins: the order of an answer is random.
//!
//! | finding | when |
//! |---|---|
//! | `pass` | marked "1" |
//! | `fail` | a record is "0": mail only from those who authenticate, the draft says |
//! | `fail:malformed` | a record is neither "1" nor "0", and none is "0" |
//! | `none` | no mark at any node; what that means after a time of grace is the policy's business |
//! | `temperror:*`, `permerror:alias-loop` | a question failed: a wider mark must not stand in for a narrower one that could not be read |
//!
//! Options. `perm` also reads the label of the first draft and of sendmail's feature,
//! `_perm._smtp._srv`, at the host only and where there is no `_send`. `contact` asks, at the node of a
//! mark that is not "1", for the responsible person: RP at `_smtp._srv.<node>`, then at `_srv.<node>`.
//! It is shown among the records, and changes nothing.
//!
//! An alias at the host's reverse name (RFC 2317) does not cover names below it: a customer with a part
//! of a /24 needs an alias for each `_send._smtp._srv.<host>`, or the provider's mark of the /24 applies.
//!
//! Limits: 4 questions (IPv4) or 3 (IPv6), one more with `perm`, two more with `contact`.

use std::net::IpAddr;

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::Inquiry;
use super::lookup::{Answer, Failure, Lookup, RecordData, RecordType};
use super::options::Mtamark as Options;
use super::reverse;

/// Where a mark is, below a node.
const MARK: [&str; 3] = ["_send", "_smtp", "_srv"];
/// Where it was in the first draft.
const FIRST_MARK: [&str; 3] = ["_perm", "_smtp", "_srv"];
/// Where the responsible person is, the closest first.
const CONTACTS: [&[&str]; 2] = [&["_smtp", "_srv"], &["_srv"]];

/// What MTAMARK says of the client at `ip` (canonical).
pub async fn evaluate<L: Lookup>(lookup: &L, ip: IpAddr, options: &Options) -> Finding {
    let mut inquiry = Inquiry::rare(lookup);
    for (node, label) in places(ip, options) {
        let mark = match mark(&mut inquiry, &node, label).await {
            Ok(Some(mark)) => mark,
            Ok(None) => continue,
            Err(failure) => return inquiry.give_up(failure),
        };
        if mark != Mark::Yes && options.contact {
            note_contact(&mut inquiry, &node).await;
        }
        return match mark {
            Mark::Yes => inquiry.conclude(FindingResult::Pass, None),
            Mark::Malformed => inquiry.conclude(FindingResult::Fail, Some("malformed")),
            Mark::No => inquiry.conclude(FindingResult::Fail, None),
        };
    }
    inquiry.conclude(FindingResult::None, None)
}

/// The nodes to ask at and the labels to ask for, the most specific first.
fn places(ip: IpAddr, options: &Options) -> Vec<(DnsName, &'static [&'static str])> {
    let prefixes: &[usize] = if ip.is_ipv4() { &[32, 24, 16, 8] } else { &[128, 64, 32] };
    let marks = prefixes.iter().map(|&prefix| (reverse::node(ip, prefix), &MARK[..]));
    let mut places: Vec<_> = marks.collect();
    if options.perm {
        places.insert(1, (DnsName::reverse(ip), &FIRST_MARK[..]));
    }
    places
}

/// What a record says; of several, the last in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Yes,
    Malformed,
    No,
}

impl Mark {
    fn of(data: &RecordData) -> Option<Self> {
        let RecordData::Txt(strings) = data else {
            return None;
        };
        Some(match strings.concat().trim_ascii() {
            b"1" => Self::Yes,
            b"0" => Self::No,
            _ => Self::Malformed,
        })
    }
}

/// The mark below a node; `None` if there is none.
async fn mark<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    node: &DnsName,
    label: &[&str],
) -> Result<Option<Mark>, Failure> {
    let Some(owner) = node.below(label) else {
        return Ok(None);
    };
    match inquiry.ask(&owner, RecordType::Txt).await {
        Answer::Found(found) => Ok(found.records.iter().filter_map(Mark::of).max()),
        Answer::Absent(_) => Ok(None),
        Answer::Failed(failure) => Err(failure),
    }
}

/// Remarks who is responsible for a node, if somebody says so. A question that fails says nothing.
async fn note_contact<L: Lookup>(inquiry: &mut Inquiry<'_, L>, node: &DnsName) {
    for labels in CONTACTS {
        let Some(owner) = node.below(labels) else {
            continue;
        };
        let Answer::Found(found) = inquiry.ask(&owner, RecordType::Rp).await else {
            continue;
        };
        let mut addresses: Vec<String> = found.records.iter().filter_map(mail_address).collect();
        if addresses.is_empty() {
            continue;
        }
        addresses.sort();
        addresses.dedup();
        inquiry.remark(format!("contact: {}", addresses.join(", ")));
        return;
    }
}

/// The mail address that the mailbox of an RP record spells: its first label is the local part
/// (RFC 1183 section 2.2). `None` for the root, which means that nobody is named, and for a local part that
/// would need quoting, since people copy what they are shown.
fn mail_address(data: &RecordData) -> Option<String> {
    let RecordData::Rp { mailbox, .. } = data else {
        return None;
    };
    let local = std::str::from_utf8(mailbox.labels().next()?).ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_=".contains(&byte);
    let domain = mailbox.ancestor(mailbox.depth() - 1);
    if domain.is_root() || !local.bytes().all(plain) {
        return None;
    }
    Some(format!("{local}@{}", domain.to_string().trim_end_matches('.')))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::lookup::{Absent, Age, Denial, Found, Publishing};
    use super::*;

    fn shown(ip: &str, perm: bool) -> Vec<String> {
        let options = Options { perm, ..Options::default() };
        let places = places(ip.parse().expect(ip), &options).into_iter();
        places.map(|(node, label)| node.below(label).expect("short").to_string()).collect()
    }

    #[test]
    fn places_are_those_of_the_draft() {
        assert_eq!(
            shown("192.0.2.7", false),
            [
                "_send._smtp._srv.7.2.0.192.in-addr.arpa.",
                "_send._smtp._srv.2.0.192.in-addr.arpa.",
                "_send._smtp._srv.0.192.in-addr.arpa.",
                "_send._smtp._srv.192.in-addr.arpa.",
            ]
        );
        let with_perm = shown("192.0.2.7", true);
        assert_eq!(with_perm[1], "_perm._smtp._srv.7.2.0.192.in-addr.arpa.");
        assert_eq!(with_perm.len(), 5);
        assert_eq!(
            shown("2001:db8::7", false),
            [
                "_send._smtp._srv.7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
                "_send._smtp._srv.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
                "_send._smtp._srv.8.b.d.0.1.0.0.2.ip6.arpa.",
            ]
        );
    }

    #[test]
    fn records_are_read() {
        for (strings, mark) in [
            (&["1"][..], Mark::Yes),
            (&[" 1\t"], Mark::Yes),
            (&["1", ""], Mark::Yes),
            (&["0"], Mark::No),
            (&["0 "], Mark::No),
            (&["1", "0"], Mark::Malformed),
            (&[""], Mark::Malformed),
            (&["01"], Mark::Malformed),
            (&["yes"], Mark::Malformed),
            (&["v=spf1 -all"], Mark::Malformed),
        ] {
            let strings = strings.iter().map(|string| string.as_bytes().into()).collect();
            assert_eq!(Mark::of(&RecordData::Txt(strings)), Some(mark));
        }
    }

    #[test]
    fn mailboxes_are_mail_addresses() {
        for (mailbox, expected) in [
            ("abuse.example.com.", Some("abuse@example.com")),
            ("first\\.last.example.com.", Some("first.last@example.com")),
            (".", None),
            ("abuse.", None),
            ("a\\032b.example.com.", None),
            ("a\\@b.example.com.", None),
        ] {
            let mailbox = DnsName::parse(mailbox).expect(mailbox);
            let rp = RecordData::Rp { mailbox: mailbox.clone(), text: DnsName::root() };
            assert_eq!(mail_address(&rp).as_deref(), expected, "{mailbox}");
        }
    }

    /// A DNS of TXT and RP records at exact names.
    struct Table<'a>(&'a [(&'a str, RecordData)]);

    impl Lookup for Table<'_> {
        async fn lookup(&self, name: &DnsName, kind: RecordType, _: Publishing) -> Answer {
            let (ttl, secure, age) = (Duration::from_secs(3600), false, Age::Fresh);
            let here = |(owner, data): &&(&str, RecordData)| {
                data.kind() == kind && DnsName::parse(owner).as_ref() == Some(name)
            };
            let records: Vec<_> =
                self.0.iter().filter(here).map(|(_, data)| data.clone()).collect();
            let owner = name.clone();
            if records.is_empty() {
                let (zone, denial) = (None, Denial::NxDomain);
                return Answer::Absent(Absent { owner, zone, denial, ttl, secure, age });
            }
            Answer::Found(Found { owner, records, ttl, secure, age })
        }
    }

    /// The finding about 192.0.2.7 with the option `contact`; nothing here ever waits.
    fn with_contact(table: &[(&str, RecordData)]) -> Finding {
        let options = Options { contact: true, ..Options::default() };
        let ip = "192.0.2.7".parse().expect("an address");
        let table = Table(table);
        let future = pin!(evaluate(&table, ip, &options));
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(finding) => finding,
            Poll::Pending => unreachable!("a table answers at once"),
        }
    }

    #[test]
    fn the_responsible_person_is_shown_where_the_mark_is_no() {
        let txt = |text: &str| RecordData::Txt(vec![text.as_bytes().into()]);
        let rp = |mailbox: &str| RecordData::Rp {
            mailbox: DnsName::parse(mailbox).expect(mailbox),
            text: DnsName::root(),
        };
        let no = ("_send._smtp._srv.2.0.192.in-addr.arpa.", txt("0"));
        let near = "_smtp._srv.2.0.192.in-addr.arpa.";
        let wide = "_srv.2.0.192.in-addr.arpa.";
        let contact = |table: &[(&str, RecordData)]| {
            let finding = with_contact(table);
            (finding.records.len(), finding.records.last().cloned().unwrap_or_default())
        };
        let (lines, last) = contact(&[
            no.clone(),
            (near, rp("noc.example.com.")),
            (near, rp("abuse.example.com.")),
            (wide, rp("other.example.com.")),
        ]);
        assert_eq!((lines, last.as_str()), (4, "contact: abuse@example.com, noc@example.com"));
        let (lines, last) = contact(&[no.clone(), (near, rp(".")), (wide, rp("a.example.com."))]);
        assert_eq!((lines, last.as_str()), (5, "contact: a@example.com"));
        let (lines, last) = contact(&[no]);
        assert_eq!((lines, last.starts_with(wide)), (4, true), "{last}");
        let yes = ("_send._smtp._srv.7.2.0.192.in-addr.arpa.", txt("1"));
        let (lines, _) = contact(&[yes, (near, rp("abuse.example.com."))]);
        assert_eq!(lines, 1, "nobody need be written to");
    }

    proptest! {
        #[test]
        fn no_octets_break_the_readers(
            strings in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..4)
        ) {
            let mailbox = DnsName::from_labels(strings.iter().filter(|label| !label.is_empty()));
            let mailbox = mailbox.expect("short");
            let address = mail_address(&RecordData::Rp { mailbox, text: DnsName::root() });
            prop_assert!(address.is_none_or(|address| address.is_ascii()));
            let strings = strings.into_iter().map(Vec::into_boxed_slice).collect();
            prop_assert!(Mark::of(&RecordData::Txt(strings)).is_some());
        }
    }
}

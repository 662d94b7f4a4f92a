//! CSV-DNA: what services that the operator trusts say of a name (draft-ietf-marid-csv-dna-02).
//!
//! Questions: PTR at the name, where its owner lists the services that know it, each with `_VOUCH._SMTP.`
//! before its own name; then TXT at `<name>.<service>` of those that the operator trusts. What is listed
//! without that prefix, and services that nobody here trusts, are never asked; without trusted services
//! there is no question at all. So at most one question and one more per trusted service.
//!
//! A report is `MARID,1,X` with the rating X, then nothing or `;` and any text. Every other text is passed over.
//!
//! | finding | rating | when the decisive service |
//! |---|---|---|
//! | `pass:strongly-recommended` | A | recommends strongly |
//! | `pass:recommended` | B | recommends |
//! | `neutral:unknown` | C | has no opinion |
//! | `softfail:not-recommended` | D | does not recommend |
//! | `fail:strongly-not-recommended` | E | strongly advises against |
//! | `none` | | has no report, or the name lists no service that is trusted |
//! | `none:no-services` | | no service is trusted |
//! | `none:no-name` | | not a name that the DNS holds |
//! | `temperror:*`, `permerror:alias-loop` | | a question failed that was needed |
//!
//! Several reports are weighed by local policy, says the draft. Here the worst opinion decides, since all
//! services are trusted and the name's owner picks which are asked; C is no opinion and counts only where
//! nobody has one. If a report cannot be had, only E is sure to be the worst.
//!
//! This is about the name, whoever uses it: it says something of a client only if another system
//! (CSA, EHLO-forward) says that the client may use the name.

use std::net::IpAddr;

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::Inquiry;
use super::lookup::{Answer, Failure, Lookup, RecordData, RecordType};
use super::options::Dna as Options;
use crate::name::Name;

/// What a pointer to a service begins with.
const PREFIX: [&[u8]; 2] = [b"_vouch", b"_smtp"];

/// What CSV-DNA says of `name`; the address makes no difference.
pub async fn evaluate<L: Lookup>(
    lookup: &L,
    _ip: IpAddr,
    name: &Name,
    options: &Options,
) -> Finding {
    let mut inquiry = Inquiry::rare(lookup);
    if options.services.is_empty() {
        return inquiry.conclude(FindingResult::None, Some("no-services"));
    }
    let Some(host) = DnsName::of(name) else {
        return inquiry.conclude(FindingResult::None, Some("no-name"));
    };
    let services = match services(&mut inquiry, &host, &options.services).await {
        Ok(services) => services,
        Err(failure) => return inquiry.give_up(failure),
    };
    let mut worst: Option<Rating> = None;
    let mut failed: Option<Failure> = None;
    for service in services {
        match rating(&mut inquiry, &host, &service).await {
            Ok(rating) => worst = worst.max(rating),
            Err(failure) => failed = failed.or(Some(failure)),
        }
        if worst == Some(Rating::StronglyNotRecommended) {
            break;
        }
    }
    match (worst, failed) {
        (Some(rating @ Rating::StronglyNotRecommended), _) | (Some(rating), None) => {
            let (result, reason) = rating.finding();
            inquiry.conclude(result, Some(reason))
        }
        (_, Some(failure)) => inquiry.give_up(failure),
        (None, None) => inquiry.conclude(FindingResult::None, None),
    }
}

/// What a service says of a name; the later outweighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rating {
    Unknown,
    StronglyRecommended,
    Recommended,
    NotRecommended,
    StronglyNotRecommended,
}

impl Rating {
    /// Reads a report; `None` if it is none of this protocol.
    fn parse(text: &[u8]) -> Option<Self> {
        let report = text.split(|&byte| byte == b';').next().unwrap_or_default();
        match report {
            b"MARID,1,A" => Some(Self::StronglyRecommended),
            b"MARID,1,B" => Some(Self::Recommended),
            b"MARID,1,C" => Some(Self::Unknown),
            b"MARID,1,D" => Some(Self::NotRecommended),
            b"MARID,1,E" => Some(Self::StronglyNotRecommended),
            _ => None,
        }
    }

    fn of(data: &RecordData) -> Option<Self> {
        match data {
            RecordData::Txt(strings) => Self::parse(&strings.concat()),
            _ => None,
        }
    }

    fn finding(self) -> (FindingResult, &'static str) {
        match self {
            Self::StronglyRecommended => (FindingResult::Pass, "strongly-recommended"),
            Self::Recommended => (FindingResult::Pass, "recommended"),
            Self::Unknown => (FindingResult::Neutral, "unknown"),
            Self::NotRecommended => (FindingResult::Softfail, "not-recommended"),
            Self::StronglyNotRecommended => (FindingResult::Fail, "strongly-not-recommended"),
        }
    }
}

/// The trusted services that the name lists, sorted.
async fn services<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    host: &DnsName,
    trusted: &[DnsName],
) -> Result<Vec<DnsName>, Failure> {
    let records = match inquiry.ask(host, RecordType::Ptr).await {
        Answer::Found(found) => found.records,
        Answer::Absent(_) => return Ok(Vec::new()),
        Answer::Failed(failure) => return Err(failure),
    };
    let mut services: Vec<DnsName> = records.iter().filter_map(pointer).collect();
    services.retain(|service| trusted.contains(service));
    services.sort();
    services.dedup();
    Ok(services)
}

/// The service that a pointer leads to; `None` for every other use of PTR.
fn pointer(data: &RecordData) -> Option<DnsName> {
    let RecordData::Ptr(target) = data else {
        return None;
    };
    let is_pointer = target.labels().take(PREFIX.len()).eq(PREFIX);
    is_pointer.then(|| target.ancestor(target.depth().saturating_sub(PREFIX.len())))
}

/// The worst rating in a service's reports on a name; none if the question is too long a name.
async fn rating<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    host: &DnsName,
    service: &DnsName,
) -> Result<Option<Rating>, Failure> {
    let Some(owner) = DnsName::from_labels(host.labels().chain(service.labels())) else {
        return Ok(None);
    };
    match inquiry.ask(&owner, RecordType::Txt).await {
        Answer::Found(found) => Ok(found.records.iter().filter_map(Rating::of).max()),
        Answer::Absent(_) => Ok(None),
        Answer::Failed(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reports_are_read() {
        for (text, expected) in [
            ("MARID,1,A", Some(Rating::StronglyRecommended)),
            ("MARID,1,B;since 2004; and well known", Some(Rating::Recommended)),
            ("MARID,1,C;", Some(Rating::Unknown)),
            ("MARID,1,D;text", Some(Rating::NotRecommended)),
            ("MARID,1,E", Some(Rating::StronglyNotRecommended)),
            ("MARID,1,F", None),
            ("MARID,1,a", None),
            ("marid,1,A", None),
            ("MARID,2,A", None),
            ("MARID,,A", None),
            ("MARID,1,A text", None),
            ("MARID,1,AB", None),
            ("MARID, 1, A", None),
            ("v=spf1 -all", None),
            (";MARID,1,A", None),
            ("", None),
        ] {
            assert_eq!(Rating::parse(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn pointers_are_told_from_other_names() {
        for (target, service) in [
            ("_vouch._smtp.rep.example.net.", Some("rep.example.net.")),
            ("_VOUCH._SMTP.Rep.example.net.", Some("rep.example.net.")),
            ("_smtp._vouch.rep.example.net.", None),
            ("_vouch.rep.example.net.", None),
            ("rep.example.net.", None),
            ("_vouch._smtp.", Some(".")),
            (".", None),
        ] {
            let data = RecordData::Ptr(DnsName::parse(target).expect(target));
            let found = pointer(&data).map(|service| service.to_string());
            assert_eq!(found.as_deref(), service, "{target}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_break_the_reader(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            Rating::parse(&octets);
            Rating::parse(&[b"MARID,1,A", &octets[..]].concat());
        }
    }
}

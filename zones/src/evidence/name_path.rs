//! SMTP Name Path: under which names a domain's mail servers present themselves
//! (draft-otis-smtp-name-path-00).
//!
//! One question: PTR at `_mf._smtp.<domain>`, the list for senders of the envelope, where the domain is the
//! registrable domain of the name that was said. The records name the domains in which the servers' names
//! lie. `*.` among them says that the list is not complete; `.` alone says that there are no others than
//! the domain itself.
//!
//! | finding | when |
//! |---|---|
//! | `pass:listed` | the name is one of the listed, or lies below one |
//! | `pass:own` | the list says that there are none but the domain's own, and the name is one |
//! | `fail:notlisted` | a complete list without it |
//! | `neutral:open` | an incomplete list without it |
//! | `none` | no list |
//! | `none:no-name` | not a name that the DNS holds |
//! | `permerror:too-many` | not among the first 20 of a longer list, in sorted order |
//! | `temperror:*`, `permerror:alias-loop` | the question failed |
//!
//! A pass says "listed by name" and nothing of the address: anybody can say a listed name. The draft
//! wants the name proved first, by CSA.

use std::net::IpAddr;

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::Inquiry;
use super::lookup::{Answer, Lookup, RecordData, RecordType};
use super::options::NamePath as Options;
use crate::name::Name;

/// What SMTP Name Path says of `name`; the address makes no difference.
pub async fn evaluate<L: Lookup>(
    lookup: &L,
    _ip: IpAddr,
    name: &Name,
    options: &Options,
) -> Finding {
    let mut inquiry = Inquiry::rare(lookup);
    let Some(host) = DnsName::of(name) else {
        return inquiry.conclude(FindingResult::None, Some("no-name"));
    };
    let domain = name.family().and_then(DnsName::parse);
    let Some(owner) = domain.and_then(|domain| domain.below(&["_mf", "_smtp"])) else {
        return inquiry.conclude(FindingResult::None, None);
    };
    let records = match inquiry.ask(&owner, RecordType::Ptr).await {
        Answer::Found(found) => found.records,
        Answer::Absent(_) => return inquiry.conclude(FindingResult::None, None),
        Answer::Failed(failure) => return inquiry.give_up(failure),
    };
    let (result, reason) = List::of(&records).judge(&host, options.names);
    inquiry.conclude(result, Some(reason))
}

/// The names of a list.
struct List {
    /// Without the two that are signs, sorted.
    names: Vec<DnsName>,
    /// More may be meant than are listed.
    open: bool,
}

impl List {
    fn of(records: &[RecordData]) -> Self {
        let targets = records.iter().filter_map(|data| match data {
            RecordData::Ptr(target) => Some(target),
            _ => None,
        });
        let (signs, names): (Vec<_>, Vec<_>) =
            targets.cloned().partition(|target| target.is_root() || is_open_sign(target));
        let mut names = names;
        names.sort();
        names.dedup();
        Self { names, open: signs.iter().any(is_open_sign) }
    }

    fn judge(&self, host: &DnsName, limit: usize) -> (FindingResult, &'static str) {
        if self.names.iter().take(limit).any(|listed| host.is_within(listed)) {
            return (FindingResult::Pass, "listed");
        }
        match (self.open, self.names.len()) {
            (true, _) => (FindingResult::Neutral, "open"),
            // Only "." was there; what was said lies in the domain that was asked.
            (false, 0) => (FindingResult::Pass, "own"),
            (false, count) if count > limit => (FindingResult::Permerror, "too-many"),
            (false, _) => (FindingResult::Fail, "notlisted"),
        }
    }
}

/// True for `*.`.
fn is_open_sign(target: &DnsName) -> bool {
    target.labels().eq([b"*"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_judged() {
        for (targets, limit, expected) in [
            ("example.com.", 9, "pass:listed"),
            ("mail.example.com.", 9, "pass:listed"),
            ("a.mail.example.com.", 9, "fail:notlisted"),
            ("il.example.com.", 9, "fail:notlisted"),
            ("example.net. com.", 9, "pass:listed"),
            ("*. example.com.", 9, "pass:listed"),
            ("example.net. *.", 9, "neutral:open"),
            ("*.", 9, "neutral:open"),
            (".", 9, "pass:own"),
            (". *.", 9, "neutral:open"),
            (". example.net.", 9, "fail:notlisted"),
            ("*.example.com.", 9, "fail:notlisted"),
            ("a.example. b.example.", 1, "permerror:too-many"),
            ("a.example. b.example.", 2, "fail:notlisted"),
            ("mail.example.com. a.example.", 1, "permerror:too-many"),
        ] {
            let records: Vec<RecordData> = targets
                .split(' ')
                .map(|target| RecordData::Ptr(DnsName::parse(target).expect(target)))
                .collect();
            let host = DnsName::parse("mail.example.com").expect("a name");
            let (result, reason) = List::of(&records).judge(&host, limit);
            assert_eq!(format!("{result}:{reason}"), expected, "{targets} limit {limit}");
        }
    }
}

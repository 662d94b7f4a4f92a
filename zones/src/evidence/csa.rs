//! Client SMTP Authorization, the record of CSV (draft-ietf-marid-csv-csa-02, draft-crocker-csv-csa-00).
//!
//! Questions: SRV at `_client._smtp.<name>`; then the addresses of its targets, at most 4; or, if
//! there is no such record, SRV at `_client._smtp.<parent>`, at most 5 parents of at most six labels,
//! from the registrable domain downwards, never a public suffix.
//!
//! The drafts leave clients out that say an address. With the option `use_reverse` they are asked for as
//! Exim does it: at `_client._smtp.<reverse name>` of the address said, whose parents are /8, /16 and /24
//! (IPv4) or /16, /32 and /48 (IPv6).
//!
//! The fields: priority is the version, and only 1 is one; weight bit 1 says "ignore the target",
//! weight bit 2 "authorised"; port bit 1 says "every authorised name at or below this one has its
//! own record" (Explicit). A weight above 3 says nothing of its name; the weight of a parent is about the
//! parent only, so that there just version and port count.
//!
//! | finding | when |
//! |---|---|
//! | `pass` | a target of weight 2 has the client's address |
//! | `fail:mismatch` | targets of weight 2 have addresses, none the client's |
//! | `fail:noaddr` | they have none in the client's family, or are all `.` |
//! | `neutral:unverifiable` | weight 3: authorised, to be proved in another way |
//! | `fail:domain` | weight 0 or 1: no mail comes from clients with this name |
//! | `fail:explicit` | no record, and a parent says that then the name is not authorised |
//! | `none` | nothing published |
//! | `none:no-name` | neither a name that the DNS holds nor, with `use_reverse`, an address |
//! | `permerror:too-many` | more targets than are asked for, and none of those led to the client |
//! | `temperror:*`, `permerror:alias-loop` | a question failed that was needed |
//!
//! Several records are merged in the order of the table, since the order of an answer is random. The
//! search below does not stop at a name that does not exist: a statement about a subtree covers
//! names that are not there (and compact denial makes the two look alike). The drafts suggest to
//! remember the domains with Explicit: whoever answers our questions remembers, and the parents most
//! often asked for come first.

use std::net::IpAddr;

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::{HostAddresses, Inquiry};
use super::lookup::{Answer, Failure, Lookup, RecordData, RecordType};
use super::options::Csa as Options;
use super::reverse;
use crate::name::Name;

/// The only version of the record.
const VERSION: u16 = 1;
/// Weight: authorised, the target proves it.
const AUTHORISED: u16 = 2;
/// Weight: authorised, the target proves nothing.
const AUTHORISED_ELSEWHERE: u16 = 3;
/// Port: every authorised name here and below has its own record.
const EXPLICIT: u16 = 1;
/// The deepest parent that is asked (the draft: not deeper than sixth-level domains).
const PARENT_LABELS_MAX: usize = 6;
/// The parents of an IPv4 and of an IPv6 address that are asked, as prefix lengths (Exim: at most three,
/// one octet or 16 bits a step).
const PARENTS_V4: [usize; 3] = [8, 16, 24];
const PARENTS_V6: [usize; 3] = [16, 32, 48];

/// What CSA says of the client at `ip` (canonical) that said `name`.
pub async fn evaluate<L: Lookup>(
    lookup: &L,
    ip: IpAddr,
    name: &Name,
    options: &Options,
) -> Finding {
    let mut inquiry = Inquiry::rare(lookup);
    let Some((host, parents)) = places(name, options) else {
        return inquiry.conclude(FindingResult::None, Some("no-name"));
    };
    let mut records = match statements(&mut inquiry, &host).await {
        Ok(records) => records,
        Err(failure) => return inquiry.give_up(failure),
    };
    records.retain(|record| record.weight <= AUTHORISED_ELSEWHERE);
    if !records.is_empty() {
        return judge(inquiry, records, ip, options).await;
    }
    for parent in parents {
        let records = match statements(&mut inquiry, &parent).await {
            Ok(records) => records,
            Err(failure) => return inquiry.give_up(failure),
        };
        if records.iter().any(|record| record.explicit) {
            return inquiry.conclude(FindingResult::Fail, Some("explicit"));
        }
    }
    inquiry.conclude(FindingResult::None, None)
}

/// The name to ask for, and the parents that may speak for it in the order of asking; `None` if what was
/// said is nothing to ask for.
fn places(name: &Name, options: &Options) -> Option<(DnsName, Vec<DnsName>)> {
    if let Some(host) = DnsName::of(name) {
        let parents = parents(name, &host, options.parents).collect();
        return Some((host, parents));
    }
    let said = name.ip().filter(|_| options.use_reverse)?.to_canonical();
    let prefixes = if said.is_ipv4() { PARENTS_V4 } else { PARENTS_V6 };
    let parents = prefixes.iter().take(options.parents);
    Some((DnsName::reverse(said), parents.map(|&prefix| reverse::node(said, prefix)).collect()))
}

/// A record of version 1.
#[derive(Debug, PartialEq, Eq)]
struct Statement {
    weight: u16,
    explicit: bool,
    target: DnsName,
}

impl Statement {
    fn of(data: RecordData) -> Option<Self> {
        let RecordData::Srv { priority, weight, port, target } = data else {
            return None;
        };
        let known = priority == VERSION;
        known.then_some(Self { weight, explicit: port & EXPLICIT != 0, target })
    }
}

/// The statements at a name; none if there are none, or if the name is too long to be asked for.
async fn statements<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    name: &DnsName,
) -> Result<Vec<Statement>, Failure> {
    let Some(owner) = name.below(&["_client", "_smtp"]) else {
        return Ok(Vec::new());
    };
    match inquiry.ask(&owner, RecordType::Srv).await {
        Answer::Found(found) => Ok(found.records.into_iter().filter_map(Statement::of).collect()),
        Answer::Absent(_) => Ok(Vec::new()),
        Answer::Failed(failure) => Err(failure),
    }
}

/// The verdict of the records at the exact name.
async fn judge<L: Lookup>(
    mut inquiry: Inquiry<'_, L>,
    records: Vec<Statement>,
    ip: IpAddr,
    options: &Options,
) -> Finding {
    let has = |weight| records.iter().any(|record| record.weight == weight);
    if !has(AUTHORISED) {
        return match has(AUTHORISED_ELSEWHERE) {
            true => inquiry.conclude(FindingResult::Neutral, Some("unverifiable")),
            false => inquiry.conclude(FindingResult::Fail, Some("domain")),
        };
    }

    let mut targets: Vec<DnsName> = records
        .into_iter()
        .filter(|record| record.weight == AUTHORISED && !record.target.is_root())
        .map(|record| record.target)
        .collect();
    targets.sort();
    targets.dedup();

    let mut failed: Option<Failure> = None;
    let mut mismatch = false;
    for target in targets.iter().take(options.targets) {
        match inquiry.compare(target, ip).await {
            HostAddresses::Include => return inquiry.conclude(FindingResult::Pass, None),
            HostAddresses::Exclude => mismatch = true,
            HostAddresses::Missing => {}
            // A failure that may pass is the better reason not to know.
            HostAddresses::Failed(failure) => {
                failed = failed.filter(|known| !known.is_permanent()).or(Some(failure));
            }
        }
    }
    if let Some(failure) = failed {
        return inquiry.give_up(failure);
    }
    if targets.len() > options.targets {
        return inquiry.conclude(FindingResult::Permerror, Some("too-many"));
    }
    let reason = if mismatch { "mismatch" } else { "noaddr" };
    inquiry.conclude(FindingResult::Fail, Some(reason))
}

/// The proper parents of a name that may speak for it, from the registrable domain downwards.
fn parents(name: &Name, host: &DnsName, limit: usize) -> impl Iterator<Item = DnsName> {
    host.parents(name).take_while(|parent| parent.depth() <= PARENT_LABELS_MAX).take(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_searched_from_the_registrable_domain_downwards() {
        for (said, limit, expected) in [
            ("mail.example.com", 5, "example.com."),
            ("example.com", 5, ""),
            ("co.uk", 5, ""),
            ("a.b.example.co.uk", 5, "example.co.uk. b.example.co.uk."),
            (
                "a.b.c.d.e.f.example.com",
                5,
                "example.com. f.example.com. e.f.example.com. d.e.f.example.com. c.d.e.f.example.com.",
            ),
            (
                "a.b.c.d.e.f.example.co.uk",
                5,
                "example.co.uk. f.example.co.uk. e.f.example.co.uk. d.e.f.example.co.uk.",
            ),
            ("a.b.example.com", 1, "example.com."),
            ("a.b.example.com", 0, ""),
        ] {
            let name = Name::parse(said.as_bytes());
            let host = DnsName::of(&name).expect(said);
            let found: Vec<String> =
                parents(&name, &host, limit).map(|parent| parent.to_string()).collect();
            assert_eq!(found.join(" "), expected, "{said} limit {limit}");
        }
    }

    #[test]
    fn addresses_are_asked_for_where_exim_does() {
        let shown = |said: &str, options: Options| {
            let (host, parents) = places(&Name::parse(said.as_bytes()), &options)?;
            let names = std::iter::once(&host).chain(&parents).map(DnsName::to_string);
            Some(names.collect::<Vec<_>>().join(" "))
        };
        let v4 =
            "7.2.0.192.in-addr.arpa. 192.in-addr.arpa. 0.192.in-addr.arpa. 2.0.192.in-addr.arpa.";
        let v6 = format!(
            "{} 1.0.0.2.ip6.arpa. 8.b.d.0.1.0.0.2.ip6.arpa. 0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
            DnsName::reverse("2001:db8::7".parse().expect("an address"))
        );
        let on = Options { use_reverse: true, ..Options::default() };
        for (said, expected) in [
            ("[192.0.2.7]", Some(v4)),
            ("192.0.2.7", Some(v4)),
            ("[IPv6:::ffff:192.0.2.7]", Some(v4)),
            ("[IPv6:2001:db8::7]", Some(v6.as_str())),
            ("2001:db8::7", Some(v6.as_str())),
            ("localhost", None),
            ("", None),
        ] {
            assert_eq!(shown(said, on).as_deref(), expected, "{said}");
            assert_eq!(shown(said, Options::default()), None, "{said}: off by default");
        }
        let alone = Options { parents: 0, ..on };
        assert_eq!(shown("[192.0.2.7]", alone).as_deref(), Some("7.2.0.192.in-addr.arpa."));
    }
}

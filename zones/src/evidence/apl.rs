//! APL at `_smtp`: the domain's list of the networks that its mail comes from (D. Otis, 2009; the
//! record is that of RFC 3123).
//!
//! Questions: APL at `_smtp.<name>`, and if there is no list, at `_smtp.<registrable domain>`. A list that
//! does not fit may stand in ten places below instead, `_0._smtp` to `_9._smtp`; these are read from
//! `_0` up to the first that is absent, where the list itself is absent or cannot be had. Where the
//! name `_smtp` does not exist there is nothing below it (RFC 8020), and nothing more is asked. So one
//! or two questions are the rule, and thirteen the most.
//!
//! All items of all records are one set; `apl_items` tells how they are read and which decides.
//!
//! | finding | when |
//! |---|---|
//! | `pass` | the longest prefix that has the address lists it |
//! | `fail:excluded` | that prefix is negated |
//! | `fail:notlisted` | no prefix has the address; the list may be empty |
//! | `neutral:family` | the list has no prefix of the address's family, but others |
//! | `neutral:too-wide` | it is listed by a prefix shorter than /8 (IPv4) or /16 (IPv6) |
//! | `none` | no list |
//! | `none:no-name` | not a name that the DNS holds |
//! | `permerror:bad-data` | a record cannot be read |
//! | `temperror:*`, `permerror:alias-loop` | a question failed, and no chain stands in for it |
//!
//! A list at the name itself is the only one that counts, even if it does not have the address. A chain
//! of which one place cannot be had is no list: what is missing could decide.

use std::net::IpAddr;

use super::apl_items::{Listing, Prefixes, Unreadable};
use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::Inquiry;
use super::lookup::{Answer, Denial, Failure, Lookup, RecordType};
use super::options::Apl as Options;
use crate::name::Name;

/// The places of a list that does not fit into one.
const CHAIN: [&str; 10] = ["_0", "_1", "_2", "_3", "_4", "_5", "_6", "_7", "_8", "_9"];

/// What APL at `_smtp` says of the client at `ip` (canonical) that said `name`.
pub async fn evaluate<L: Lookup>(
    lookup: &L,
    ip: IpAddr,
    name: &Name,
    options: &Options,
) -> Finding {
    let mut inquiry = Inquiry::rare(lookup);
    let Some(host) = DnsName::of(name) else {
        return inquiry.conclude(FindingResult::None, Some("no-name"));
    };
    let family = name.family().and_then(DnsName::parse).filter(|family| *family != host);
    for domain in [Some(host), family].into_iter().flatten() {
        match list(&mut inquiry, &domain, options).await {
            Ok(Some(prefixes)) => return judge(inquiry, &prefixes, ip),
            Ok(None) => {}
            Err(Trouble::Failed(failure)) => return inquiry.give_up(failure),
            Err(Trouble::Unreadable) => {
                return inquiry.conclude(FindingResult::Permerror, Some("bad-data"));
            }
        }
    }
    inquiry.conclude(FindingResult::None, None)
}

fn judge<L: Lookup>(inquiry: Inquiry<'_, L>, prefixes: &Prefixes, ip: IpAddr) -> Finding {
    match prefixes.listing(ip) {
        Listing::Listed => inquiry.conclude(FindingResult::Pass, None),
        Listing::Excluded => inquiry.conclude(FindingResult::Fail, Some("excluded")),
        Listing::Missing => inquiry.conclude(FindingResult::Fail, Some("notlisted")),
        Listing::OtherFamily => inquiry.conclude(FindingResult::Neutral, Some("family")),
        Listing::TooWide => inquiry.conclude(FindingResult::Neutral, Some("too-wide")),
    }
}

/// Why it is not known what a list says.
enum Trouble {
    Failed(Failure),
    Unreadable,
}

impl From<Unreadable> for Trouble {
    fn from(_: Unreadable) -> Self {
        Self::Unreadable
    }
}

/// The list of a domain; `None` if it has none, or if its place is too long a name to be asked for.
async fn list<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    domain: &DnsName,
    options: &Options,
) -> Result<Option<Prefixes>, Trouble> {
    let Some(owner) = domain.below(&["_smtp"]) else {
        return Ok(None);
    };
    let failure = match inquiry.ask(&owner, RecordType::Apl).await {
        Answer::Found(found) => {
            let mut prefixes = Prefixes::default();
            prefixes.add(&found.records)?;
            return Ok(Some(prefixes));
        }
        // Only of this very name: an alias may lead to nowhere and still have names below it.
        Answer::Absent(absent) if absent.denial == Denial::NxDomain && absent.owner == owner => {
            return Ok(None);
        }
        Answer::Absent(_) => None,
        Answer::Failed(failure) => Some(failure),
    };
    let chained = if options.chain { chain(inquiry, domain).await } else { Ok(None) };
    match (chained, failure) {
        (Ok(None) | Err(Trouble::Failed(_)), Some(failure)) => Err(Trouble::Failed(failure)),
        (chained, _) => chained,
    }
}

/// The list that stands below `_smtp`, if there is one.
async fn chain<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    domain: &DnsName,
) -> Result<Option<Prefixes>, Trouble> {
    let mut chained: Option<Prefixes> = None;
    for label in CHAIN {
        let Some(owner) = domain.below(&[label, "_smtp"]) else {
            break;
        };
        match inquiry.ask(&owner, RecordType::Apl).await {
            Answer::Found(found) => chained.get_or_insert_default().add(&found.records)?,
            Answer::Absent(_) => break,
            Answer::Failed(failure) => return Err(Trouble::Failed(failure)),
        }
    }
    Ok(chained)
}

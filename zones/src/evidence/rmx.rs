//! RMX, a domain's rules about who may send in its name (draft-danisch-dns-rr-smtp-04).
//!
//! RMX is about the domain of the envelope sender; of a mail without one (a bounce) it is about the name
//! that was said, and that is what is evaluated here. Questions: TXT at `_rmx.<name>`; if there is none and
//! the operator has agreed with others on a private record type, that type at the name itself; if
//! there is none and the operator wants it, TXT at `_ipv4._rmx.<name>` or `_ipv6._rmx.<name>`. Then what
//! the entries need. No parent is asked.
//!
//! A record is a list of rules of which the first match decides; `rmx_entries` tells how it is
//! written. Beyond a match nothing is read, so that what cannot be understood counts only if it is reached.
//!
//! | entry | matches |
//! |---|---|
//! | `ipv4:`, `ipv6:` | an address of the prefix |
//! | `host:` | an address of the host |
//! | `apl:` | an address that the APL records there list, by the rules of `apl_items` |
//! | `domain:` | an address with a reverse name in that domain that leads back to it |
//! | `mx:` | an address of a mail exchanger of the name |
//! | `unused:` | every address, and denies it |
//! | `full:` | none: it is about mail addresses |
//!
//! | finding | when |
//! |---|---|
//! | `pass` | the first match grants |
//! | `fail:denied` | the first match is negated, or is `unused:` |
//! | `fail:notlisted` | there are records, and no entry matches |
//! | `none` | no record |
//! | `none:no-name` | not a name that the DNS holds |
//! | `permerror:bad-data` | an entry that was reached cannot be understood; the draft forbids to skip it |
//! | `permerror:too-many` | more than 10 entries that ask questions, or more than 10 mail exchangers |
//! | `temperror:*`, `permerror:alias-loop` | a question failed that was needed |
//!
//! Several records are to be one list, in any order. So that the order of an answer decides nothing, each is
//! looked at alone: one that denies outweighs, then one whose outcome is not known, then one that
//! grants. A pass is a pass in every order. Of the reverse names the first 10 in sorted order count.

use std::net::IpAddr;

use super::apl_items::{Listing, Prefixes};
use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::{HostAddresses, Inquiry};
use super::lookup::{Answer, Failure, Lookup, RecordData, RecordType};
use super::options::Rmx as Options;
use super::reverse;
use super::rmx_entries::{Entry, What, read_octets, read_text};
use crate::name::Name;

/// What RMX says of the client at `ip` (canonical) that said `name`.
pub async fn evaluate<L: Lookup>(
    lookup: &L,
    ip: IpAddr,
    name: &Name,
    options: &Options,
) -> Finding {
    let inquiry = Inquiry::rare(lookup);
    let Some(domain) = DnsName::of(name) else {
        return inquiry.conclude(FindingResult::None, Some("no-name"));
    };
    let mut check = Check { inquiry, domain, ip, options, asking: 0, names: None };
    let records = match check.records().await {
        Ok(records) => records,
        Err(failure) => return check.inquiry.give_up(failure),
    };
    let any = !records.is_empty();
    let mut granted = false;
    let mut trouble: Option<Trouble> = None;
    for record in records {
        match check.first_match(&record).await {
            Ok(Some(Match::Denied)) => {
                return check.inquiry.conclude(FindingResult::Fail, Some("denied"));
            }
            Ok(Some(Match::Granted)) => granted = true,
            Ok(None) => {}
            Err(found) => trouble = Some(Trouble::of_two(trouble, found)),
        }
    }
    let inquiry = check.inquiry;
    match trouble {
        Some(Trouble::Failed(failure)) => inquiry.give_up(failure),
        Some(Trouble::BadData) => inquiry.conclude(FindingResult::Permerror, Some("bad-data")),
        Some(Trouble::TooMany) => inquiry.conclude(FindingResult::Permerror, Some("too-many")),
        None if granted => inquiry.conclude(FindingResult::Pass, None),
        None if any => inquiry.conclude(FindingResult::Fail, Some("notlisted")),
        None => inquiry.conclude(FindingResult::None, None),
    }
}

/// What the entry says that matches first.
#[derive(Clone, Copy, Debug)]
enum Match {
    Granted,
    Denied,
}

/// Why it is not known what a record says.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Failed(Failure),
    BadData,
    TooMany,
}

impl Trouble {
    /// The one to name of two: a failure that may pass is the better reason not to know.
    fn of_two(known: Option<Self>, other: Self) -> Self {
        let may_pass = |trouble: &Self| match trouble {
            Self::Failed(failure) => !failure.is_permanent(),
            Self::BadData | Self::TooMany => false,
        };
        known.filter(|known| may_pass(known) || !may_pass(&other)).unwrap_or(other)
    }
}

/// The evaluation of one pair.
struct Check<'a, L> {
    inquiry: Inquiry<'a, L>,
    domain: DnsName,
    ip: IpAddr,
    options: &'a Options,
    /// How many entries have asked questions.
    asking: usize,
    /// The reverse names of the address, once they are known.
    names: Option<Vec<DnsName>>,
}

impl<L: Lookup> Check<'_, L> {
    /// The records of the first place that has any, in an order that does not depend on the answer's.
    async fn records(&mut self) -> Result<Vec<Vec<Entry>>, Failure> {
        let family = if self.ip.is_ipv4() { "_ipv4" } else { "_ipv6" };
        let split = self.options.split.then(|| self.domain.below(&[family, "_rmx"])).flatten();
        let private = self.options.private_type.map(RecordType::Private);
        let places = [
            self.domain.below(&["_rmx"]).map(|owner| (owner, RecordType::Txt)),
            private.map(|kind| (self.domain.clone(), kind)),
            split.map(|owner| (owner, RecordType::Txt)),
        ];
        for (owner, kind) in places.into_iter().flatten() {
            let mut records = match self.inquiry.ask(&owner, kind).await {
                Answer::Found(found) => found.records,
                Answer::Absent(_) => continue,
                Answer::Failed(failure) => return Err(failure),
            };
            records.sort();
            let read: Vec<Vec<Entry>> = records.iter().filter_map(read).collect();
            if !read.is_empty() {
                return Ok(read);
            }
        }
        Ok(Vec::new())
    }

    /// What the first entry of a record says that matches, if one does.
    async fn first_match(&mut self, record: &[Entry]) -> Result<Option<Match>, Trouble> {
        for entry in record {
            if self.matches(&entry.what).await? {
                let denies = entry.negated || entry.what == What::Unused;
                return Ok(Some(if denies { Match::Denied } else { Match::Granted }));
            }
        }
        Ok(None)
    }

    async fn matches(&mut self, what: &What) -> Result<bool, Trouble> {
        if let What::Host(_) | What::Apl(_) | What::Domain(_) | What::Mx = what {
            self.asking += 1;
            if self.asking > self.options.entries {
                return Err(Trouble::TooMany);
            }
        }
        match what {
            What::Prefix(prefix) => Ok(prefix.contains(&self.ip)),
            What::Host(host) => self.has_address(host).await,
            What::Apl(owner) => self.is_listed(owner).await,
            What::Domain(domain) if domain.is_root() => self.is_member(&self.domain.clone()).await,
            What::Domain(domain) => self.is_member(domain).await,
            What::Mx => self.is_exchanger().await,
            What::Unused => Ok(true),
            What::Full => Ok(false),
            What::Unreadable => Err(Trouble::BadData),
        }
    }

    async fn has_address(&mut self, host: &DnsName) -> Result<bool, Trouble> {
        match self.inquiry.compare(host, self.ip).await {
            HostAddresses::Include => Ok(true),
            HostAddresses::Exclude | HostAddresses::Missing => Ok(false),
            HostAddresses::Failed(failure) => Err(Trouble::Failed(failure)),
        }
    }

    /// The draft leaves names without a list open: they match nobody.
    async fn is_listed(&mut self, owner: &DnsName) -> Result<bool, Trouble> {
        let mut prefixes = Prefixes::default();
        match self.inquiry.ask(owner, RecordType::Apl).await {
            Answer::Found(found) => {
                prefixes.add(&found.records).map_err(|_| Trouble::BadData)?;
            }
            Answer::Absent(_) => {}
            Answer::Failed(failure) if failure.is_permanent() => {}
            Answer::Failed(failure) => return Err(Trouble::Failed(failure)),
        }
        // As wide as it may be: RMX grants to everybody who says `ipv4:0.0.0.0/0`, too.
        Ok(matches!(prefixes.listing(self.ip), Listing::Listed | Listing::TooWide))
    }

    /// Only the reverse names that lie in the domain are asked for their addresses.
    async fn is_member(&mut self, domain: &DnsName) -> Result<bool, Trouble> {
        let names = match self.names.take() {
            Some(names) => names,
            None => reverse::names(&mut self.inquiry, self.ip, self.options.names)
                .await
                .map_err(Trouble::Failed)?,
        };
        let mut failed = None;
        let mut found = false;
        for host in names.iter().filter(|host| host.is_within(domain)) {
            match self.inquiry.compare(host, self.ip).await {
                HostAddresses::Include => {
                    found = true;
                    break;
                }
                HostAddresses::Exclude | HostAddresses::Missing => {}
                // A name that leads nowhere for ever is a name without an address.
                HostAddresses::Failed(failure) if failure.is_permanent() => {}
                HostAddresses::Failed(failure) => failed = failed.or(Some(failure)),
            }
        }
        self.names = Some(names);
        match failed {
            Some(failure) if !found => Err(Trouble::Failed(failure)),
            _ => Ok(found),
        }
    }

    async fn is_exchanger(&mut self) -> Result<bool, Trouble> {
        let mut hosts: Vec<DnsName> =
            match self.inquiry.ask_common(&self.domain, RecordType::Mx).await {
                Answer::Found(found) => found.records.into_iter().filter_map(exchange).collect(),
                Answer::Absent(_) => return Ok(false),
                Answer::Failed(failure) => return Err(Trouble::Failed(failure)),
            };
        hosts.sort();
        hosts.dedup();
        let mut failed: Option<Trouble> = None;
        for host in hosts.iter().take(self.options.hosts) {
            match self.has_address(host).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(trouble) => failed = Some(Trouble::of_two(failed, trouble)),
            }
        }
        match failed {
            Some(trouble) => Err(trouble),
            None if hosts.len() > self.options.hosts => Err(Trouble::TooMany),
            None => Ok(false),
        }
    }
}

/// The entries of a record; `None` if it is none of RMX.
fn read(data: &RecordData) -> Option<Vec<Entry>> {
    match data {
        RecordData::Txt(strings) => read_text(strings),
        RecordData::Private(_, octets) => Some(read_octets(octets)),
        _ => None,
    }
}

/// The host of an MX record; `None` for "no mail" (RFC 7505).
fn exchange(data: RecordData) -> Option<DnsName> {
    match data {
        RecordData::Mx { exchange, .. } if !exchange.is_root() => Some(exchange),
        _ => None,
    }
}

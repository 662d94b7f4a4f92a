//! Designated Mailers Protocol (draft-fecyk-dmp-01): one TXT record per address that may send.
//!
//! Questions: TXT at `7.2.0.192.in-addr._smtp-client.<name>` (IPv6: nibbles, `ip6`), then, unless that
//! denies, TXT at `_smtp-client.<name>`, where a domain says that it takes part. No parent is asked.
//! Both are needed: wildcards below `_smtp-client` do not reach addresses whose neighbours have a
//! record (RFC 4592), so that no answer for an address does not mean that the domain keeps silent.
//!
//! Texts are `dmp=value` in any case (RFC 1464); other texts are passed over.
//!
//! | at the address | means |
//! |---|---|
//! | `dmp=allow` | designated |
//! | `dmp=deny` | denied |
//! | both, none, another value | no valid record |
//!
//! | at `_smtp-client` | means |
//! |---|---|
//! | `dmp=` | takes part |
//! | `dmp=domain,host,forwarder` (any of them) | takes part; the roles make no difference here |
//! | `dmp=altdomain:a.example.,b.example.` | takes part, and whom these domains designate may send too |
//! | another value, alone or beside these | invalid: does not take part |
//!
//! | finding | when |
//! |---|---|
//! | `pass` | designated, and the domain takes part |
//! | `pass:altdomain` | designated by one of the other domains, which takes part |
//! | `fail:deny` | denied |
//! | `fail:undesignated` | no valid record, and the domain takes part |
//! | `neutral:no-marker` | designated, but the domain does not take part: a wildcard of its own for everything |
//! | `none` | no valid record, and the domain does not take part |
//! | `none:no-name` | not a name that the DNS holds |
//! | `temperror:*`, `permerror:alias-loop` | a question failed that was needed |
//!
//! Other domains are asked only where there is no valid record, in the order in which they are written
//! (several records: sorted), at most 5, and theirs are not asked in turn. A question about one
//! of them that fails matters only if none of the rest designates the address.

use std::net::IpAddr;

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::Inquiry;
use super::lookup::{Answer, Failure, Lookup, RecordData, RecordType};
use super::options::Dmp as Options;
use crate::name::Name;

/// The label below which all records of a domain are.
const NODE: &str = "_smtp-client";

/// What DMP says of the client at `ip` (canonical) that said `name`.
pub async fn evaluate<L: Lookup>(
    lookup: &L,
    ip: IpAddr,
    name: &Name,
    options: &Options,
) -> Finding {
    let mut inquiry = Inquiry::rare(lookup);
    let Some(domain) = DnsName::of(name) else {
        return inquiry.conclude(FindingResult::None, Some("no-name"));
    };
    let word = match word(&mut inquiry, &domain, ip).await {
        Ok(Some(Word::Deny)) => return inquiry.conclude(FindingResult::Fail, Some("deny")),
        Ok(word) => word,
        Err(failure) => return inquiry.give_up(failure),
    };
    let marker = match marker(&mut inquiry, &domain).await {
        Ok(marker) => marker,
        Err(failure) => return inquiry.give_up(failure),
    };
    match (word, marker) {
        (Some(_), Some(_)) => inquiry.conclude(FindingResult::Pass, None),
        (Some(_), None) => inquiry.conclude(FindingResult::Neutral, Some("no-marker")),
        (None, None) => inquiry.conclude(FindingResult::None, None),
        (None, Some(marker)) => {
            let others = marker.altdomains.into_iter().filter(|other| *other != domain);
            let others = others.take(options.altdomains);
            match designated_by(&mut inquiry, others, ip).await {
                Ok(true) => inquiry.conclude(FindingResult::Pass, Some("altdomain")),
                Ok(false) => inquiry.conclude(FindingResult::Fail, Some("undesignated")),
                Err(failure) => inquiry.give_up(failure),
            }
        }
    }
}

/// Whether one of `domains` designates the address and takes part.
async fn designated_by<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    domains: impl Iterator<Item = DnsName>,
    ip: IpAddr,
) -> Result<bool, Failure> {
    let mut failed: Option<Failure> = None;
    for domain in domains {
        match designates(inquiry, &domain, ip).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            // A failure that may pass is the better reason not to know.
            Err(failure) => {
                failed = failed.filter(|known| !known.is_permanent()).or(Some(failure));
            }
        }
    }
    failed.map_or(Ok(false), Err)
}

async fn designates<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    domain: &DnsName,
    ip: IpAddr,
) -> Result<bool, Failure> {
    match word(inquiry, domain, ip).await? {
        Some(Word::Allow) => Ok(marker(inquiry, domain).await?.is_some()),
        Some(Word::Deny) | None => Ok(false),
    }
}

/// What a domain says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Allow,
    Deny,
}

/// The word of a domain about an address; `None` if it has no valid record, or if the name of that record
/// is too long to be asked for.
async fn word<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    domain: &DnsName,
    ip: IpAddr,
) -> Result<Option<Word>, Failure> {
    let Some(owner) = owner(domain, ip) else {
        return Ok(None);
    };
    let values = values(inquiry, &owner).await?;
    let has = |word: &str| values.iter().any(|value| value == word);
    Ok(match (has("allow"), has("deny")) {
        (true, false) => Some(Word::Allow),
        (false, true) => Some(Word::Deny),
        _ => None,
    })
}

/// Where a domain speaks of an address: the labels of the reverse name without `arpa`, below
/// `_smtp-client`.
fn owner(domain: &DnsName, ip: IpAddr) -> Option<DnsName> {
    let reverse = DnsName::reverse(ip);
    let address = reverse.labels().take(reverse.depth() - 1);
    DnsName::from_labels(address.chain([NODE.as_bytes()]).chain(domain.labels()))
}

/// That a domain takes part.
#[derive(Debug, Default, PartialEq, Eq)]
struct Marker {
    /// The domains whose designated hosts may send too.
    altdomains: Vec<DnsName>,
}

impl Marker {
    /// The marker that all `values` together make; `None` if there are none, or if one is not valid.
    fn of(values: &[String]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let mut marker = Self::default();
        for value in values.iter().filter(|value| !value.is_empty()) {
            for keyword in value.split(',') {
                marker.add(keyword.trim())?;
            }
        }
        Some(marker)
    }

    /// Adds a keyword, or a name behind the first one; names have a dot, keywords have none.
    fn add(&mut self, keyword: &str) -> Option<()> {
        match keyword.strip_prefix("altdomain:") {
            Some(name) => self.add_domain(name),
            None if keyword.contains('.') => self.add_domain(keyword),
            None => matches!(keyword, "domain" | "host" | "forwarder" | "altdomain").then_some(()),
        }
    }

    fn add_domain(&mut self, name: &str) -> Option<()> {
        let name = DnsName::parse(name).filter(|name| !name.is_root())?;
        if !self.altdomains.contains(&name) {
            self.altdomains.push(name);
        }
        Some(())
    }
}

/// The marker of a domain, if it takes part.
async fn marker<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    domain: &DnsName,
) -> Result<Option<Marker>, Failure> {
    let Some(owner) = domain.below(&[NODE]) else {
        return Ok(None);
    };
    Ok(Marker::of(&values(inquiry, &owner).await?))
}

/// The values of all DMP texts at a name, in lower case and sorted.
async fn values<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    owner: &DnsName,
) -> Result<Vec<String>, Failure> {
    match inquiry.ask(owner, RecordType::Txt).await {
        Answer::Found(found) => {
            let mut values: Vec<String> = found.records.iter().filter_map(value).collect();
            values.sort();
            Ok(values)
        }
        Answer::Absent(_) => Ok(Vec::new()),
        Answer::Failed(failure) => Err(failure),
    }
}

/// What follows `dmp=`, if a record is one of DMP.
fn value(data: &RecordData) -> Option<String> {
    let RecordData::Txt(strings) = data else {
        return None;
    };
    let text = String::from_utf8_lossy(&strings.concat()).to_ascii_lowercase();
    let (key, value) = text.split_once('=')?;
    (key.trim() == "dmp").then(|| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn txt(text: &[u8]) -> RecordData {
        RecordData::Txt(vec![text.into()])
    }

    #[test]
    fn texts_are_read() {
        let cases: [(&[u8], Option<&str>); 9] = [
            (b"dmp=allow", Some("allow")),
            (b"DMP=ALLOW", Some("allow")),
            (b" dmp = deny ", Some("deny")),
            (b"dmp=", Some("")),
            (b"dmp=\xff", Some("\u{fffd}")),
            (b"dmp", None),
            (b"dmpx=allow", None),
            (b"v=spf1 -all", None),
            (b"", None),
        ];
        for (text, expected) in cases {
            assert_eq!(value(&txt(text)).as_deref(), expected, "{text:?}");
        }
        let split = RecordData::Txt(vec![b"dmp=al"[..].into(), b"low"[..].into()]);
        assert_eq!(value(&split).as_deref(), Some("allow"));
    }

    #[test]
    fn markers_are_read() {
        for (values, expected) in [
            (&[][..], None),
            (&[""], Some("")),
            (&["", ""], Some("")),
            (&["domain"], Some("")),
            (&["domain,host,forwarder"], Some("")),
            (&["altdomain:a.example.,b.example."], Some("a.example. b.example.")),
            (&["altdomain:a.example"], Some("a.example.")),
            (&["host,altdomain:a.example.,forwarder"], Some("a.example.")),
            (&["", "altdomain:a.example.,a.example."], Some("a.example.")),
            (&["altdomain:b.example.", "altdomain:a.example."], Some("b.example. a.example.")),
            (&["", "allow"], None),
            (&["", "deny"], None),
            (&["mailhost"], None),
            (&["domain,"], None),
            (&["altdomain:"], None),
            (&["altdomain:."], None),
            (&["altdomain:a..example."], None),
        ] {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            let marker = Marker::of(&values).map(|marker| {
                let names = marker.altdomains.iter().map(DnsName::to_string);
                names.collect::<Vec<_>>().join(" ")
            });
            assert_eq!(marker.as_deref(), expected, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_break_the_reader(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let values: Vec<String> = value(&txt(&[b"dmp=", &octets[..]].concat())).into_iter().collect();
            Marker::of(&values);
        }
    }
}

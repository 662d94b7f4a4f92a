//! SPF for the name said in HELO (RFC 7208, of which the sections below are).
//!
//! Questions: TXT at the name itself, never at a parent; then what the terms of the record ask for, one
//! by one from the left, until one matches. The sender is `postmaster@` and the name (section 2.4).
//! [`check_host`] is the function of that name, for any sender.
//!
//! `record` makes terms of text, `macros` names of terms; what they come to is here.
//!
//! | finding | when |
//! |---|---|
//! | `pass`, `fail`, `softfail`, `neutral`, each with `:all`, `:include`, `:a`, `:mx`, `:ptr`, `:ip4`, `:ip6` or `:exists` | this mechanism of the name's own record matched |
//! | the same with `:redirect` | nothing matched, and the record that the redirect leads to says so |
//! | `neutral:no-match` | nothing matched, and there is no redirect |
//! | `none` | no SPF record of version 1 |
//! | `none:no-name` | not a name that the DNS holds |
//! | `permerror:syntax` | a syntax error anywhere in a record |
//! | `permerror:several-records` | a name with more than one record |
//! | `permerror:no-record` | an include or redirect leads to no record |
//! | `permerror:too-many-terms` | more than 10 terms asked questions |
//! | `permerror:too-many-void` | more than 2 of their questions came to nothing |
//! | `permerror:too-many-hosts` | more than 10 MX records in an `mx` term |
//! | `temperror:*`, `permerror:alias-loop` | a question failed that was needed |
//!
//! Limits (section 4.6.4): the terms `include`, `a`, `mx`, `ptr`, `exists` and `redirect` are counted when
//! they are evaluated; the first `%{p}` counts as a `ptr` term, unless there was one. Questions that come
//! to nothing are those for addresses, exchangers and the reverse name, but not those for the addresses of
//! reverse names: the publisher has no part in them. So a check asks at most 1 + 10 * (1 + 10) = 111
//! questions, and includes and redirects nest at most ten deep. The text of `exp=` is never asked for,
//! since it changes nothing.
//!
//! Where the RFC leaves a choice: exchangers are tried by preference, equal ones by name; reverse names in
//! sorted order, the first 10 of them; both so that the order of an answer does not matter. An `mx` term
//! stops at the first host that cannot be asked for. A target that is no name of the DNS (section 4.8: an
//! empty or overlong label) does not match, and is not asked for. `ptr` takes a failing DNS for "no match"
//! (section 5.5), but not one of our own limits. `%{c}`, `%{r}` and `%{t}` are syntax errors in every term.

mod macros;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult, result_of};
use super::inquiry::{HostAddresses, Inquiry};
use super::lookup::{Answer, Failure, Lookup, RecordData, RecordType};
use super::options::Spf as Options;
use super::reverse;
use crate::name::Name;
use macros::{MacroString, Values, domain_name};
use record::{Masks, Mechanism, Record};

/// The local part of a sender without one (section 4.3).
const POSTMASTER: &str = "postmaster";
/// What `%{p}` stands for if no name leads back (section 7.3).
const UNKNOWN: &str = "unknown";

/// Whose mail it is.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// Before the `@`; empty means `postmaster`.
    pub local: &'a str,
    /// After the `@`.
    pub domain: &'a str,
    /// What the client said in HELO or EHLO.
    pub helo: &'a str,
}

/// What SPF says of the client at `ip` that said `name`.
pub async fn evaluate<L: Lookup>(
    lookup: &L,
    ip: IpAddr,
    name: &Name,
    options: &Options,
) -> Finding {
    if !name.is_fqdn() {
        return Inquiry::new(lookup).conclude(FindingResult::None, Some("no-name"));
    }
    let sender = Sender { local: POSTMASTER, domain: name.text(), helo: name.text() };
    check_host(lookup, ip, name.text(), sender, options).await
}

/// The function `check_host` of RFC 7208 section 4: what the record of `domain` says of the client at
/// `ip` that sends for `sender`. A domain that is no name of two labels or more has none.
pub async fn check_host<L: Lookup>(
    lookup: &L,
    ip: IpAddr,
    domain: &str,
    sender: Sender<'_>,
    options: &Options,
) -> Finding {
    let mut inquiry = Inquiry::new(lookup);
    let verdict = check(&mut inquiry, ip, domain, sender, options).await;
    inquiry.conclude(verdict.result, verdict.reason)
}

/// The same within the questions of another system.
pub(super) async fn check<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    ip: IpAddr,
    domain: &str,
    sender: Sender<'_>,
    options: &Options,
) -> Verdict {
    let local = if sender.local.is_empty() { POSTMASTER } else { sender.local };
    let sender = Sender { local, ..sender };
    let mut check = Check {
        inquiry,
        ip: ip.to_canonical(),
        sender,
        options,
        terms: 0,
        voids: 0,
        reverse: None,
        leads_back: BTreeMap::new(),
    };
    let (Ok(verdict) | Err(verdict)) = check.host(domain.to_owned()).await;
    verdict
}

/// A result and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) result: FindingResult,
    pub(super) reason: Option<&'static str>,
}

impl Verdict {
    const NO_RECORD: Self = Self { result: FindingResult::None, reason: None };

    fn permerror(reason: &'static str) -> Self {
        Self { result: FindingResult::Permerror, reason: Some(reason) }
    }

    fn failed(failure: Failure) -> Self {
        Self { result: result_of(failure), reason: Some(failure.word()) }
    }
}

/// A value, or the error that ends the whole check, however deep in its includes.
type Step<T> = Result<T, Verdict>;

/// One check under way.
struct Check<'c, 'l, L> {
    inquiry: &'c mut Inquiry<'l, L>,
    ip: IpAddr,
    sender: Sender<'c>,
    options: &'c Options,
    /// How many terms have asked questions.
    terms: usize,
    /// How many of their questions came to nothing.
    voids: usize,
    /// The client's reverse names, once they were asked for.
    reverse: Option<Vec<DnsName>>,
    /// Which of them lead back to the client, as far as it was asked.
    leads_back: BTreeMap<DnsName, bool>,
}

impl<L: Lookup> Check<'_, '_, L> {
    /// What the record of a domain says, or the one that it redirects to.
    async fn host(&mut self, domain: String) -> Step<Verdict> {
        let mut domain = domain;
        let mut redirected = false;
        loop {
            let Some(record) = self.record(&domain).await? else {
                return if redirected { Err(no_record()) } else { Ok(Verdict::NO_RECORD) };
            };
            for directive in &record.directives {
                if self.matches(&directive.mechanism, &domain).await? {
                    let word = directive.mechanism.word();
                    let reason = Some(if redirected { "redirect" } else { word });
                    return Ok(Verdict { result: directive.result, reason });
                }
            }
            let Some(redirect) = &record.redirect else {
                let reason = Some(if redirected { "redirect" } else { "no-match" });
                return Ok(Verdict { result: FindingResult::Neutral, reason });
            };
            self.count_term()?;
            domain = self.expand(redirect, &domain).await?;
            redirected = true;
        }
    }

    /// The same for an include; in a box, since a future cannot hold itself.
    fn included(
        &mut self,
        domain: String,
    ) -> Pin<Box<dyn Future<Output = Step<Verdict>> + Send + '_>> {
        Box::pin(self.host(domain))
    }

    /// The one SPF record of a domain; `None` if there is none, or if the domain cannot have one.
    async fn record(&mut self, domain: &str) -> Step<Option<Record>> {
        let Some(name) = domain_name(domain).filter(|name| name.depth() > 1) else {
            return Ok(None);
        };
        let found = match self.inquiry.ask(&name, RecordType::Txt).await {
            Answer::Found(found) => found.records,
            Answer::Absent(_) => return Ok(None),
            Answer::Failed(failure) => return Err(Verdict::failed(failure)),
        };
        let texts: Vec<Vec<u8>> = found
            .into_iter()
            .filter_map(|data| match data {
                RecordData::Txt(strings) => Some(strings.concat()),
                _ => None,
            })
            .collect();
        let mut records = texts.iter().filter_map(|text| record::terms(text));
        let Some(terms) = records.next() else {
            return Ok(None);
        };
        if records.next().is_some() {
            return Err(Verdict::permerror("several-records"));
        }
        let syntax = || Verdict::permerror("syntax");
        Record::parse(terms).map(Some).ok_or_else(syntax)
    }

    /// True if the client is meant by a mechanism in the record of `domain`.
    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Step<bool> {
        match (mechanism, self.ip) {
            (Mechanism::All, _) => Ok(true),
            (Mechanism::Ip4(net), IpAddr::V4(ip)) => Ok(net.contains(&ip)),
            (Mechanism::Ip6(net), IpAddr::V6(ip)) => Ok(net.contains(&ip)),
            (Mechanism::Ip4(_) | Mechanism::Ip6(_), _) => Ok(false),
            (Mechanism::Include(target), _) => self.include(target, domain).await,
            (Mechanism::A(target, masks), _) => self.a(target.as_ref(), *masks, domain).await,
            (Mechanism::Mx(target, masks), _) => self.mx(target.as_ref(), *masks, domain).await,
            (Mechanism::Ptr(target), _) => self.ptr(target.as_ref(), domain).await,
            (Mechanism::Exists(target), _) => self.exists(target, domain).await,
        }
    }

    async fn include(&mut self, target: &MacroString, domain: &str) -> Step<bool> {
        self.count_term()?;
        let target = self.expand(target, domain).await?;
        match self.included(target).await?.result {
            FindingResult::Pass => Ok(true),
            FindingResult::None => Err(no_record()),
            _ => Ok(false),
        }
    }

    async fn a(&mut self, target: Option<&MacroString>, masks: Masks, domain: &str) -> Step<bool> {
        self.count_term()?;
        match self.target(target, domain).await? {
            Some(host) => self.covers(&host, masks).await,
            None => Ok(false),
        }
    }

    async fn mx(&mut self, target: Option<&MacroString>, masks: Masks, domain: &str) -> Step<bool> {
        self.count_term()?;
        let Some(target) = self.target(target, domain).await? else {
            return Ok(false);
        };
        let found = self.found(&target, RecordType::Mx).await?;
        if found.len() > self.options.hosts {
            return Err(Verdict::permerror("too-many-hosts"));
        }
        let mut exchanges: Vec<(u16, DnsName)> = found
            .into_iter()
            .filter_map(|data| match data {
                RecordData::Mx { preference, exchange } => Some((preference, exchange)),
                _ => None,
            })
            // A null MX names no host.
            .filter(|(_, exchange)| !exchange.is_root())
            .collect();
        exchanges.sort();
        for (_, exchange) in exchanges {
            if self.covers(&exchange, masks).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn ptr(&mut self, target: Option<&MacroString>, domain: &str) -> Step<bool> {
        self.count_term()?;
        let Some(target) = self.target(target, domain).await? else {
            return Ok(false);
        };
        // No other name could match.
        for host in self.reverse_names().await?.into_iter().filter(|host| host.is_within(&target)) {
            if self.leads_back(&host).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn exists(&mut self, target: &MacroString, domain: &str) -> Step<bool> {
        self.count_term()?;
        match self.target(Some(target), domain).await? {
            Some(name) => Ok(!self.found(&name, RecordType::A).await?.is_empty()),
            None => Ok(false),
        }
    }

    /// True if the client's address begins like one of a host's.
    async fn covers(&mut self, host: &DnsName, masks: Masks) -> Step<bool> {
        let ip = self.ip;
        let found = self.found(host, RecordType::address_of(ip)).await?;
        Ok(found.iter().filter_map(RecordData::ip).any(|published| masks.cover(published, ip)))
    }

    /// The records that a term asks for; none is counted.
    async fn found(&mut self, name: &DnsName, kind: RecordType) -> Step<Vec<RecordData>> {
        match self.inquiry.ask(name, kind).await {
            Answer::Found(found) => Ok(found.records),
            Answer::Absent(_) => {
                self.count_void()?;
                Ok(Vec::new())
            }
            Answer::Failed(failure) => Err(Verdict::failed(failure)),
        }
    }

    /// The client's reverse names, asked for once.
    async fn reverse_names(&mut self) -> Step<Vec<DnsName>> {
        if let Some(names) = &self.reverse {
            return Ok(names.clone());
        }
        let names = match reverse::names(self.inquiry, self.ip, self.options.names).await {
            Ok(names) => names,
            Err(Failure::Budget) => return Err(Verdict::failed(Failure::Budget)),
            Err(_) => {
                self.reverse = Some(Vec::new());
                return Ok(Vec::new());
            }
        };
        self.reverse = Some(names.clone());
        if names.is_empty() {
            self.count_void()?;
        }
        Ok(names)
    }

    /// True if a reverse name leads back to the client, asked for once.
    async fn leads_back(&mut self, host: &DnsName) -> Step<bool> {
        if let Some(&known) = self.leads_back.get(host) {
            return Ok(known);
        }
        let leads = match self.inquiry.compare(host, self.ip).await {
            HostAddresses::Include => true,
            HostAddresses::Failed(Failure::Budget) => return Err(Verdict::failed(Failure::Budget)),
            HostAddresses::Exclude | HostAddresses::Missing | HostAddresses::Failed(_) => false,
        };
        self.leads_back.insert(host.clone(), leads);
        Ok(leads)
    }

    /// What `%{p}` stands for in the record of `domain`: the domain itself if it leads back to the client,
    /// or a name below it, or any (section 7.3); of equals the first in sorted order.
    async fn validated(&mut self, domain: &str) -> Step<String> {
        if self.reverse.is_none() {
            self.count_term()?;
        }
        let own = domain_name(domain);
        let closeness = |host: &DnsName| match &own {
            Some(own) if host == own => 0,
            Some(own) if host.is_within(own) => 1,
            _ => 2,
        };
        let mut hosts = self.reverse_names().await?;
        hosts.sort_by_key(closeness);
        for host in hosts {
            if self.leads_back(&host).await? {
                let text = host.to_string();
                return Ok(text.trim_end_matches('.').to_owned());
            }
        }
        Ok(UNKNOWN.to_owned())
    }

    /// The text of a `domain-spec` in the record of `domain`.
    async fn expand(&mut self, spec: &MacroString, domain: &str) -> Step<String> {
        let validated =
            if spec.wants_validated() { self.validated(domain).await? } else { String::new() };
        Ok(spec.expand(&Values {
            ip: self.ip,
            local: self.sender.local,
            sender_domain: self.sender.domain,
            helo: self.sender.helo,
            domain: domain.strip_suffix('.').unwrap_or(domain),
            validated: &validated,
        }))
    }

    /// The name that a term is about; `None` if it is no name of the DNS.
    async fn target(&mut self, spec: Option<&MacroString>, domain: &str) -> Step<Option<DnsName>> {
        match spec {
            Some(spec) => Ok(domain_name(&self.expand(spec, domain).await?)),
            None => Ok(domain_name(domain)),
        }
    }

    fn count_term(&mut self) -> Step<()> {
        self.terms += 1;
        if self.terms > self.options.terms {
            return Err(Verdict::permerror("too-many-terms"));
        }
        Ok(())
    }

    fn count_void(&mut self) -> Step<()> {
        self.voids += 1;
        if self.voids > self.options.void {
            return Err(Verdict::permerror("too-many-void"));
        }
        Ok(())
    }
}

/// An include or redirect that leads nowhere (sections 5.2 and 6.1).
fn no_record() -> Verdict {
    Verdict::permerror("no-record")
}

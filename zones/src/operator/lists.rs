//! Lists that decide: whoever they list is allowed or denied.
//!
//! In: a [`ListZone`], which never changes, with which way it decides and what it is called. Out: a [`Decision`] on
//! a client that its lists of addresses list, or on a name that its lists of names list, after exclusions. What A record
//! a list has for them does not matter. Its TXT is the reason; where it has none the list is named. A list whose
//! `$TIMESTAMP` has passed decides nothing, and until then no decision lasts longer.
//!
//! Of several lists those that deny go before those that allow; else their order counts. `generic` records are nobody's
//! names. A name that nobody can own is not allowed by a list either ([`Subject::objection`]).

use std::net::IpAddr;
use std::sync::Arc;

use super::{Decision, Kind, Place, Subject};
use crate::lists::{ListAnswer, ListZone, Wanted};
use crate::name::{Name, NameKind};
use crate::time::Time;

/// The most octets of a list's text that are taken as a reason: as many as of the configuration's own.
const REASON_MAX: usize = 120;

/// A list that decides.
#[derive(Clone, Debug)]
pub struct DecidingList {
    kind: Kind,
    name: Arc<str>,
    zone: Arc<ListZone>,
}

impl DecidingList {
    /// Whoever the list `name` lists is allowed, or denied.
    pub fn new(kind: Kind, name: &str, zone: Arc<ListZone>) -> Self {
        Self { kind, name: name.into(), zone }
    }

    fn holds(&self, now: Time) -> bool {
        self.zone.expires().is_none_or(|end| now < end)
    }

    fn lists(&self, ip: IpAddr, now: Time) -> bool {
        let mut answer = ListAnswer::default();
        self.zone.ask_client(ip, Wanted::A, &mut answer);
        !answer.a.values.is_empty() && self.holds(now)
    }

    fn of_client(&self, ip: IpAddr, now: Time) -> Option<Decision> {
        let mut answer = ListAnswer::default();
        self.zone.ask_client(ip, Wanted::Any, &mut answer);
        self.decide(&answer, now, || Subject::Prefix(ip.into()))
    }

    fn of_name(&self, name: &Name, now: Time) -> Option<Decision> {
        let mut answer = ListAnswer::default();
        self.zone.ask_name(name.text(), Wanted::Any, &mut answer);
        let decision = self.decide(&answer, now, || Subject::Name(name.clone()))?;
        decision.subject.objection(self.kind).is_none().then_some(decision)
    }

    fn decide(
        &self,
        answer: &ListAnswer,
        now: Time,
        subject: impl FnOnce() -> Subject,
    ) -> Option<Decision> {
        if answer.a.values.is_empty() || !self.holds(now) {
            return None;
        }
        let reason = answer.txt.values.first().map(|text| one_line(text));
        let reason = reason.filter(|reason| !reason.is_empty());
        Some(Decision {
            kind: self.kind,
            subject: subject(),
            reason: reason.unwrap_or_else(|| format!("in the list {}", self.name)),
            author: String::new(),
            added: None,
            until: self.zone.expires(),
            place: Place::in_list(self.name.clone()),
        })
    }
}

/// The text of a list as a reason.
fn one_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    let end = text.floor_char_boundary(REASON_MAX);
    text.get(..end).unwrap_or_default().trim().to_owned()
}

/// All lists that decide, those that deny first.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists(Arc<[DecidingList]>);

/// Equal if they are the very same lists.
impl PartialEq for Lists {
    fn eq(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&*other.0);
        let same = |(one, other): (&DecidingList, &DecidingList)| {
            one.kind == other.kind && Arc::ptr_eq(&one.zone, &other.zone)
        };
        self.0.len() == other.0.len() && pairs.all(same)
    }
}

impl Lists {
    pub(super) fn new(mut lists: Vec<DecidingList>) -> Self {
        lists.sort_by_key(|list| list.kind != Kind::Deny);
        Self(lists.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if one decides on the client.
    pub(super) fn list(&self, ip: IpAddr, now: Time) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|list| list.lists(ip, now))
    }

    pub(super) fn of_client(&self, ip: IpAddr, now: Time) -> Option<Decision> {
        let ip = ip.to_canonical();
        self.0.iter().find_map(|list| list.of_client(ip, now))
    }

    /// What is said of a name by those lists that are wanted.
    pub(super) fn of_name(
        &self,
        name: &Name,
        now: Time,
        wanted: impl Fn(Kind) -> bool,
    ) -> Option<Decision> {
        // What is no name, such as an address, is in no list of names.
        let is_name = matches!(name.kind(), NameKind::Fqdn | NameKind::Reserved | NameKind::Single);
        let mut lists = self.0.iter().filter(|list| is_name && wanted(list.kind));
        lists.find_map(|list| list.of_name(name, now))
    }
}

//! All decisions, so that the one that holds is found at once.
//!
//! Prefixes lie sorted by their first address, the wider before the narrower. Prefixes never overlap but by lying
//! within one another, so each knows the narrowest one around it, and what covers an address is the last one that
//! begins at or before it, or one of those around that. One search by halves and a short walk outward, whatever lengths
//! there are; expired ones are walked past. Names and suffixes are hashed; of a name no more labels are
//! tried than the deepest suffix has. A look-up allocates nothing, and one in an empty table looks at nothing. Lists that
//! decide are asked after that; what they say is made into a decision when it is asked for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use ipnet::IpNet;

use super::lists::{DecidingList, Lists};
use super::{Decision, Kind, Subject};
use crate::name::{Name, NameKind};
use crate::time::Time;

/// Which decisions are on a text: most often one.
type Texts = HashMap<Box<str>, Vec<usize>, RandomState>;

/// The operator's decisions. They never change: who has other ones makes another table.
#[derive(Clone, Debug, Default)]
pub struct Decisions {
    all: Vec<Decision>,
    v4: Nets,
    v6: Nets,
    names: Texts,
    suffixes: Texts,
    /// How many labels the deepest suffix has.
    deepest: usize,
    lists: Lists,
}

/// Equal if they decide the same in the same order, wherever it is written down.
impl PartialEq for Decisions {
    fn eq(&self, other: &Self) -> bool {
        let mut pairs = self.all.iter().zip(&other.all);
        self.all.len() == other.all.len()
            && pairs.all(|(one, other)| one.says_the_same(other))
            && self.lists == other.lists
    }
}

impl FromIterator<Decision> for Decisions {
    fn from_iter<I: IntoIterator<Item = Decision>>(decisions: I) -> Self {
        let all: Vec<Decision> = decisions.into_iter().collect();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        let (mut names, mut suffixes) = (Texts::default(), Texts::default());
        let mut deepest = 0;
        for (number, decision) in all.iter().enumerate() {
            match &decision.subject {
                Subject::Prefix(net @ IpNet::V4(_)) => v4.push((*net, decision.kind, number)),
                Subject::Prefix(net @ IpNet::V6(_)) => v6.push((*net, decision.kind, number)),
                Subject::Name(name) => names.entry(name.text().into()).or_default().push(number),
                Subject::Family(suffix) => {
                    deepest = deepest.max(suffix.split('.').count());
                    suffixes.entry(suffix.clone()).or_default().push(number);
                }
            }
        }
        for same in names.values_mut().chain(suffixes.values_mut()) {
            // Deny first; the sort is stable, so else the first that was given.
            same.sort_by_key(|&number| all.get(number).map(|it| it.kind != Kind::Deny));
        }
        let (v4, v6) = (Nets::new(v4), Nets::new(v6));
        Self { v4, v6, names, suffixes, deepest, all, lists: Lists::default() }
    }
}

impl Decisions {
    /// The same with these lists behind them.
    #[must_use]
    pub fn with_lists(self, lists: Vec<DecidingList>) -> Self {
        Self { lists: Lists::new(lists), ..self }
    }

    /// The same with the other's lists behind them.
    #[must_use]
    pub fn with_lists_of(self, other: &Self) -> Self {
        Self { lists: other.lists.clone(), ..self }
    }

    /// True if lists decide, too.
    pub fn has_lists(&self) -> bool {
        !self.lists.is_empty()
    }

    /// All of them but what lists say, in the order in which they were given, expired or not.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Decision> {
        self.all.iter()
    }

    /// How many there are without lists, expired or not.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// True if there are none, but for lists.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those whose time is over.
    pub fn expired(&self, now: Time) -> impl Iterator<Item = &Decision> {
        self.all.iter().filter(move |decision| !decision.holds(now))
    }

    /// What holds of a client.
    pub fn of_client(&self, ip: IpAddr, now: Time) -> Option<Cow<'_, Decision>> {
        let own = self.on_client(ip, now).map(Cow::Borrowed);
        own.or_else(|| self.lists.of_client(ip, now).map(Cow::Owned))
    }

    /// True if something holds of a client: what [`Decisions::of_client`] finds, without its words.
    pub fn decide_on(&self, ip: IpAddr, now: Time) -> bool {
        self.on_client(ip, now).is_some() || self.lists.list(ip, now)
    }

    fn on_client(&self, ip: IpAddr, now: Time) -> Option<&Decision> {
        let found = match ip.to_canonical() {
            IpAddr::V4(ip) => self.v4.find(u32::from(ip).into(), |it| self.holding(it, now)),
            IpAddr::V6(ip) => self.v6.find(ip.into(), |it| self.holding(it, now)),
        };
        found.and_then(|number| self.all.get(number))
    }

    /// What holds of a name, whoever says it. An allow among these needs agreement.
    pub fn of_name(&self, name: &Name, now: Time) -> Option<Cow<'_, Decision>> {
        let own = self.on_name(name, now).map(Cow::Borrowed);
        own.or_else(|| self.lists.of_name(name, now, |_| true).map(Cow::Owned))
    }

    fn on_name(&self, name: &Name, now: Time) -> Option<&Decision> {
        self.find_name(name, |decision| decision.holds(now))
    }

    /// What holds of a client with a name. If it needs agreement and there is none, ask
    /// [`Decisions::of_unbound_pair`].
    pub fn of_pair(&self, ip: IpAddr, name: &Name, now: Time) -> Option<Cow<'_, Decision>> {
        let own = self.on_client(ip, now).or_else(|| self.on_name(name, now));
        let in_lists = || {
            let of_client = self.lists.of_client(ip, now);
            of_client.or_else(|| self.lists.of_name(name, now, |_| true))
        };
        own.map(Cow::Borrowed).or_else(|| in_lists().map(Cow::Owned))
    }

    /// What holds of a client with a name if the DNS does not agree with them and the pair does not stand.
    pub fn of_unbound_pair(&self, ip: IpAddr, name: &Name, now: Time) -> Option<Cow<'_, Decision>> {
        let own = self.on_client(ip, now).or_else(|| self.on_unbound_name(name, now));
        let in_lists = || {
            let of_client = self.lists.of_client(ip, now);
            of_client.or_else(|| self.lists.of_name(name, now, |kind| kind == Kind::Deny))
        };
        own.map(Cow::Borrowed).or_else(|| in_lists().map(Cow::Owned))
    }

    /// Until when the passage of time alone changes nothing of what is said here of the client, the name, or both
    /// together: the first expiry of what holds of them now. `None` if nothing of it expires.
    pub fn next_change(
        &self,
        client: Option<IpAddr>,
        name: Option<&Name>,
        now: Time,
    ) -> Option<Time> {
        let of_client = client.and_then(|ip| self.of_client(ip, now));
        let of_name = name.and_then(|name| self.of_name(name, now));
        let unbound = name.and_then(|name| self.of_unbound_name(name, now));
        [of_client, of_name, unbound].into_iter().flatten().filter_map(|it| it.until).min()
    }

    fn of_unbound_name(&self, name: &Name, now: Time) -> Option<Cow<'_, Decision>> {
        let own = self.on_unbound_name(name, now).map(Cow::Borrowed);
        let denied = || self.lists.of_name(name, now, |kind| kind == Kind::Deny);
        own.or_else(|| denied().map(Cow::Owned))
    }

    fn on_unbound_name(&self, name: &Name, now: Time) -> Option<&Decision> {
        self.find_name(name, |decision| decision.holds(now) && !decision.needs_agreement())
    }

    fn holding(&self, number: usize, now: Time) -> bool {
        self.all.get(number).is_some_and(|decision| decision.holds(now))
    }

    /// The most specific that is wanted.
    fn find_name(&self, name: &Name, wanted: impl Fn(&Decision) -> bool) -> Option<&Decision> {
        let first = |same: &Vec<usize>| {
            let mut same = same.iter().filter_map(|&number| self.all.get(number));
            same.find(|decision| wanted(decision))
        };
        if !self.names.is_empty()
            && let Some(found) = self.names.get(name.text()).and_then(first)
        {
            return Some(found);
        }
        // What is no name, such as a malformed one, lies below nothing.
        if self.suffixes.is_empty() || !matches!(name.kind(), NameKind::Fqdn | NameKind::Reserved) {
            return None;
        }
        let text = name.text();
        let begins = text.rmatch_indices('.').map(|(dot, _)| dot + 1);
        let below = begins.chain([0]).filter_map(|begin| text.get(begin..)).take(self.deepest);
        // From the widest to the narrowest, of which the last one counts.
        below.filter_map(|suffix| self.suffixes.get(suffix).and_then(first)).last()
    }
}

/// Prefixes of one address family, sorted by first address, then from the wider to the narrower.
#[derive(Clone, Debug, Default)]
struct Nets(Vec<Net>);

#[derive(Clone, Copy, Debug)]
struct Net {
    first: u128,
    last: u128,
    /// Which decision is on it.
    decision: usize,
    /// The narrowest one around it, or one on the same prefix that comes after it.
    around: Option<usize>,
}

impl Nets {
    fn new(mut nets: Vec<(IpNet, Kind, usize)>) -> Self {
        let number = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u128::from(u32::from(ip)),
            IpAddr::V6(ip) => u128::from(ip),
        };
        // On one prefix allow lies around deny, and the later around the earlier.
        nets.sort_by_key(|&(net, kind, decision)| {
            (number(net.network()), net.prefix_len(), kind, std::cmp::Reverse(decision))
        });
        let mut sorted = Self(Vec::with_capacity(nets.len()));
        let mut open: Vec<usize> = Vec::new();
        for (net, _, decision) in nets {
            let (first, last) = (number(net.network()), number(net.broadcast()));
            while open.last().is_some_and(|&at| sorted.ends_before(at, first)) {
                open.pop();
            }
            let around = open.last().copied();
            open.push(sorted.0.len());
            sorted.0.push(Net { first, last, decision, around });
        }
        sorted
    }

    fn ends_before(&self, at: usize, address: u128) -> bool {
        self.0.get(at).is_some_and(|net| net.last < address)
    }

    /// The decision on the narrowest prefix around `address` that is wanted.
    fn find(&self, address: u128, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        let behind = self.0.partition_point(|net| net.first <= address);
        let mut next = behind.checked_sub(1);
        while let Some(net) = next.and_then(|at| self.0.get(at)) {
            if address <= net.last && wanted(net.decision) {
                return Some(net.decision);
            }
            next = net.around;
        }
        None
    }
}

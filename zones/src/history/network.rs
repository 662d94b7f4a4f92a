//! What the ledger knows of a network: which families are at home in it, and since when.
//!
//! In go activities of pairs in the network, in any order, either all that the ledger holds ([`NetworkHistory::of`])
//! or one after the other as they happen ([`NetworkHistory::add`]); both ways give the same. Out come the measures
//! of a verdict: on how many days a family was seen here, how many young families crowd the network, and which share
//! of its mail went to traps. Nothing fails.
//!
//! A family is *lately* here if it was seen within the crowding window; it is *young* if it came within
//! `crowded-young-days`; it is *firm* if at least `crowd-firm-reporters` reporters took mail of it long enough to
//! establish it. Only young families that are not firm crowd a network: a hoster's old customers do not
//! count against the next one, and neither do those that several sites know.
//!
//! A network is measured on at most [`CLIENTS_MAX`] clients and [`FAMILIES_MAX`] families: beyond that it is crowded,
//! whoever else is in it.

use serde::{Serialize, Serializer};

use crate::client::{Client, Network};
use crate::ledger::activity::{Activity, DAYS_KEPT, Days};
use crate::ledger::{Ledger, ReporterId, RowView};
use crate::observation::ReporterKind;
use crate::policy::Policy;
use crate::time::Time;

/// A network is measured on this many of its clients: a whole /24, part of a busy /48.
const CLIENTS_MAX: usize = 1000;
/// ... and on this many families.
const FAMILIES_MAX: usize = 1024;
/// More young families than this need not be counted, nor can be: each is compared with all others.
const CROWD_MAX: usize = 64;

/// One network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkHistory {
    /// The network.
    #[serde(serialize_with = "shown")]
    pub network: Network,
    /// Clients seen in it; zero where they were not counted.
    pub clients: usize,
    /// Messages taken by traps.
    pub trapped: u32,
    /// Messages taken by reporters that count.
    pub accepted: u32,
    /// The families seen in it, in the order of their names.
    pub families: Vec<FamilyHere>,
}

/// One family in one network, over all its clients and reporters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FamilyHere {
    /// The registrable domain.
    pub family: Box<str>,
    /// The earliest observation here.
    pub first: Time,
    /// The days on which it was seen here.
    #[serde(skip)]
    pub seen_on: Days,
    /// Days with mail accepted.
    #[serde(skip)]
    pub accepted_on: Days,
    /// The earliest accepted mail.
    pub first_accepted: Option<Time>,
    /// Messages taken by reporters that count.
    pub accepted: u32,
    /// Which reporters took mail of it, by their numbers modulo 64.
    #[serde(skip)]
    pub reporters: u64,
    /// The first of its clients here, by address.
    #[serde(skip)]
    pub client: Client,
}

/// How many young families crowd a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// All of them.
    pub young: u32,
    /// Those that came after the ledger had learned for long enough to know that they are new, and that are not
    /// established: honest newcomers come of age within days, a snowshoe's names seldom do.
    pub fresh: u32,
}

impl FamilyHere {
    fn new(family: &str, first: Time, client: Client) -> Self {
        Self {
            family: family.into(),
            first,
            seen_on: Days::default(),
            accepted_on: Days::default(),
            first_accepted: None,
            accepted: 0,
            reporters: 0,
            client,
        }
    }

    fn add(&mut self, client: Client, by: ReporterId, counts: bool, activity: &Activity) {
        self.client = self.client.min(client);
        self.first = self.first.min(activity.first);
        self.seen_on = self.seen_on.merge(activity.days);
        let accepted = activity.accepted();
        if !counts || accepted == 0 {
            return;
        }
        self.accepted = self.accepted.saturating_add(accepted);
        self.accepted_on = self.accepted_on.merge(activity.accepted_days);
        self.reporters |= 1 << (by % 64);
        self.first_accepted = match (self.first_accepted, activity.first_accepted) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    /// Days of the last 64 on which mail of it was taken here.
    pub fn days(&self, now: Time) -> u32 {
        self.accepted_on.within(now.day(), DAYS_KEPT)
    }

    /// Days since the first mail of it was taken here.
    pub fn age_days(&self, now: Time) -> u32 {
        self.first_accepted.map_or(0, |first| now.day().since(first.day()))
    }

    /// True if it has sent enough, on enough days, for long enough.
    pub fn is_established(&self, policy: &Policy, now: Time) -> bool {
        self.accepted >= policy.established_messages
            && self.days(now) >= policy.established_days
            && self.age_days(now) >= policy.established_age_days
    }

    /// True if it is one of a crowd, wherever it stands.
    pub fn crowds(&self, policy: &Policy, now: Time) -> bool {
        self.is_young(policy, now)
            && self.seen_on.within(now.day(), policy.crowded_window_days) > 0
            && !(self.reporters.count_ones() >= policy.crowd_firm_reporters
                && self.is_established(policy, now))
    }

    fn is_young(&self, policy: &Policy, now: Time) -> bool {
        now.day().since(self.first.day()) < policy.crowded_young_days
    }
}

impl NetworkHistory {
    /// Of a network in which nobody was ever seen, or of which nothing needs to be known.
    pub fn unknown(network: Network) -> Self {
        Self { network, clients: 0, trapped: 0, accepted: 0, families: Vec::new() }
    }

    /// Measures what the ledger holds of a network.
    pub fn of(ledger: &Ledger, network: Network) -> Self {
        let kinds = ledger.reporter_kinds();
        let (clients, known) = ledger.clients_of_network(network, CLIENTS_MAX);
        let mut history = Self::unknown(network);
        history.clients = known;
        for client in clients {
            ledger.client(client, |row| {
                for pair in row.iter().flat_map(RowView::pairs) {
                    for (by, activity) in pair.seen() {
                        let kind = kinds.get(usize::from(by)).copied().unwrap_or_default();
                        history.add(client, pair.name.family(), by, kind, &activity);
                    }
                }
            });
        }
        history
    }

    /// Takes in what a reporter saw of a pair in the network; `family` is that of its name, if it has one.
    pub fn add(
        &mut self,
        client: Client,
        family: Option<&str>,
        by: ReporterId,
        kind: ReporterKind,
        activity: &Activity,
    ) {
        let accepted = activity.accepted();
        if kind == ReporterKind::Trap {
            self.trapped = self.trapped.saturating_add(accepted);
        }
        let counts = kind.builds_standing();
        if counts {
            self.accepted = self.accepted.saturating_add(accepted);
        }
        // Seen only as we refused it ourselves: that must not strengthen what we say.
        let Some(family) = family.filter(|_| !activity.days.is_empty()) else { return };
        let place = self.families.binary_search_by(|here| here.family.as_ref().cmp(family));
        let place = match place {
            Ok(place) => place,
            Err(_) if self.families.len() >= FAMILIES_MAX => return,
            Err(place) => {
                self.families.insert(place, FamilyHere::new(family, activity.first, client));
                place
            }
        };
        if let Some(here) = self.families.get_mut(place) {
            here.add(client, by, counts, activity);
        }
    }

    /// What is known of a family here.
    pub fn family(&self, family: &str) -> Option<&FamilyHere> {
        let place = self.families.binary_search_by(|here| here.family.as_ref().cmp(family));
        self.families.get(place.ok()?)
    }

    /// How many families crowd the network around a client, with the one that it says, at most [`CROWD_MAX`]. Several
    /// families of one client are one: a single host with a hundred names crowds nobody but itself. `since`
    /// is when the ledger had learned enough.
    ///
    /// Nobody crowds a family that was here for longer than families are young.
    pub fn crowd(
        &self,
        (client, family): (Client, &str),
        since: Option<Time>,
        policy: &Policy,
        now: Time,
    ) -> Crowd {
        if self.family(family).is_some_and(|here| !here.is_young(policy, now)) {
            return Crowd { young: 1, fresh: 1 };
        }
        let mut crowd = Crowd { young: 1, fresh: 1 };
        let mut clients = [client; CROWD_MAX];
        for here in self.families.iter().filter(|here| here.family.as_ref() != family) {
            let counted = clients.get(..crowd.young as usize).unwrap_or_default();
            if !here.crowds(policy, now) || counted.contains(&here.client) {
                continue;
            }
            let Some(place) = clients.get_mut(crowd.young as usize) else { break };
            *place = here.client;
            crowd.young += 1;
            let is_new = since.is_some_and(|since| here.first >= since);
            crowd.fresh += u32::from(is_new && !here.is_established(policy, now));
        }
        crowd
    }

    /// Which families crowd it.
    pub fn crowding<'a>(&'a self, policy: &'a Policy, now: Time) -> impl Iterator<Item = &'a str> {
        let crowding = self.families.iter().filter(move |here| here.crowds(policy, now));
        crowding.map(|here| here.family.as_ref())
    }

    /// Which share of its mail was taken by traps: the logarithm of the messages that traps took to that of all.
    pub fn trap_share(&self) -> f32 {
        if self.trapped == 0 {
            return 0.0;
        }
        let all = self.accepted.saturating_add(self.trapped);
        (1.0 + self.trapped as f32).ln() / (1.0 + (1.0 + all as f32).ln())
    }
}

fn shown<S: Serializer>(network: &Network, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(network)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{Batch, Bounds};
    use crate::name::Name;
    use crate::observation::{Observation, Outcome};

    const NOW: Time = Time(1_795_184_855);

    fn observation(host: u8, family: u8, days_ago: u32, by: u8, outcome: Outcome) -> Observation {
        Observation {
            time: Time(NOW.0 - days_ago * 86_400),
            ip: std::net::IpAddr::from([192, 0, 2, host]),
            name: Name::parse(format!("mail.family{family}.com").as_bytes()),
            rdns: None,
            outcome,
            stage: None,
            by_us: false,
            supersedes: None,
            reporter: format!("mx{by}").into(),
        }
    }

    #[test]
    fn a_crowd_is_young_and_not_firm() {
        let policy = Policy::default();
        let network = Client::of([192, 0, 2, 1].into()).network();
        for (days, reporters, crowds) in [
            (0..5, 1, true),
            // Taken by two sites for long enough.
            (0..5, 2, false),
            // One site, but old.
            (0..64, 1, false),
            // Long gone.
            (31..40, 1, false),
        ] {
            let mut history = NetworkHistory::unknown(network);
            for (day, by) in days.clone().flat_map(|day| (0..reporters).map(move |by| (day, by))) {
                let seen = observation(1, 1, day, by, Outcome::Accepted);
                let activity = Activity::of(&seen);
                let client = Client::of(seen.ip);
                history.add(client, seen.name.family(), by.into(), ReporterKind::Mx, &activity);
            }
            let other = Client::of([192, 0, 2, 200].into());
            let crowd = history.crowd((other, "other.com"), Some(Time(0)), &policy, NOW);
            assert_eq!(crowd.young, 1 + u32::from(crowds), "{days:?} by {reporters}");
            let own =
                history.crowd((Client::of([192, 0, 2, 1].into()), "other.com"), None, &policy, NOW);
            assert_eq!(own.young, 1, "a client does not crowd itself");
        }
    }

    proptest! {
        /// One after the other as they happen, or all from the ledger at once: the same.
        #[test]
        fn both_ways_give_the_same(
            seen in proptest::collection::vec(
                (1u8..5, 0u8..4, 0u32..60, 0u8..3, any::<bool>()), 0..40)
        ) {
            let ledger = Ledger::in_memory(Bounds::default());
            let network = Client::of([192, 0, 2, 1].into()).network();
            let mut history = NetworkHistory::unknown(network);
            let mut numbers = Vec::new();
            for (host, family, day, by, taken) in seen {
                let outcome = if taken { Outcome::Accepted } else { Outcome::Rejected };
                let kind = if by == 2 { ReporterKind::Trap } else { ReporterKind::Mx };
                let seen = observation(host, family, day, by, outcome);
                let mut batch = Batch::default();
                batch.observe(&seen, kind);
                ledger.commit(&batch).expect("memory does not fail");
                if !numbers.contains(&by) {
                    numbers.push(by);
                }
                let number = numbers.iter().position(|of| *of == by).expect("it is there") as u16;
                history.add(Client::of(seen.ip), seen.name.family(), number, kind, &Activity::of(&seen));
            }
            let mut whole = NetworkHistory::of(&ledger, network);
            whole.clients = 0;
            prop_assert_eq!(history, whole);
        }
    }
}

//! What the ledger knows of a name: who says it, where it stands, and where its family is at home.
//!
//! In goes a name; the clients that said it are visited in the ledger (at most `clients-per-name` of them are held).
//! Out come the measures of a verdict, and, for whoever reads sentences, some clients by name. Nothing fails. [`NameHistory::of`]
//! tells all of it; [`NameHistory::near`] as much as a verdict needs that nobody reads, for a fraction of the time: a test
//! holds the two together.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::clients::Found;
use super::{Clients, PairHistory, Standing};
use crate::client::{Client, Network};
use crate::ledger::distinct::Count;
use crate::ledger::{Ledger, RowView, Sayers};
use crate::name::Name;
use crate::observation::ReporterKind;
use crate::policy::Policy;
use crate::time::Time;

/// One name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NameHistory {
    /// Clients that said it.
    pub clients: Count,
    /// Networks of those clients that said it in the counting window.
    pub networks: Count,
    /// ... without a verified reverse name in the name's own family, among the clients that are held.
    pub foreign_networks: usize,
    /// Clients on which it is established, at most ten of them.
    pub established_on: Vec<String>,
    /// It is strong on some client.
    #[serde(skip)]
    pub is_strong: bool,
    /// Networks in which it is established.
    #[serde(skip)]
    pub established_networks: BTreeSet<Network>,
    /// Networks in which some name of its family is established; looked at only where the name itself
    /// stands nowhere.
    #[serde(skip)]
    pub family_networks: BTreeSet<Network>,
    /// Clients on which some name of its family is established, at most ten of them; as above.
    pub family_on: Vec<String>,
    /// Clients that say a name of its family.
    pub family_clients: u64,
    /// All observations of it on the clients measured.
    pub observations: u32,
}

/// How many clients are named where something stands.
const CLIENTS_NAMED: usize = 10;

impl NameHistory {
    /// Of a name that nobody said, or of which nothing needs to be known.
    pub fn unknown() -> Self {
        let none = Count { n: 0, exact: true };
        Self {
            clients: none,
            networks: none,
            foreign_networks: 0,
            established_on: Vec::new(),
            is_strong: false,
            established_networks: BTreeSet::new(),
            family_networks: BTreeSet::new(),
            family_on: Vec::new(),
            family_clients: 0,
            observations: 0,
        }
    }

    /// Networks that say it without a tie to it: for a name that nobody can own that is every network.
    pub fn untied_networks(&self, name: &Name) -> u32 {
        let n = match name.is_fqdn() {
            _ if self.is_established() => 0,
            true => self.foreign_networks as u64,
            false => self.networks.n,
        };
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// Measures what the ledger holds of a name.
    pub fn of(ledger: &Ledger, name: &Name, policy: &Policy, now: Time) -> Self {
        let kinds = ledger.reporter_kinds();
        let said = ledger.clients_of_name(name, now.day());
        let mut walk = Walk::new(ledger, name, &kinds, policy, now);
        for client in said.clients {
            walk.visit(client);
            if walk.stood_last && walk.history.established_on.len() < CLIENTS_NAMED {
                walk.history.established_on.push(client.to_string());
            }
        }
        let mut history = walk.finish();
        history.clients = said.known;
        if let Some(family) = name.family() {
            let said = ledger.clients_of_family(family, now.day());
            history.family_clients = said.known.n;
            if !history.is_established() {
                history.look_at_family(ledger, family, said, &kinds, policy, now);
            }
        }
        history
    }

    /// As much of it as a verdict on a pair of a client in `network` needs, if nobody reads its sentences: no lists of
    /// clients; the family in this network alone; and where the name stands is looked at no further than it
    /// takes to see that it is strong somewhere, and whether it stands in this network.
    pub fn near(ledger: &Ledger, name: &Name, network: Network, by: &Clients, now: Time) -> Self {
        let kinds = ledger.reporter_kinds();
        let mut walk = Walk::new(ledger, name, &kinds, by.policy(), now);
        walk.clients = Some(by);
        let clients = ledger.some_of_name(name, |_| true);
        for client in clients.iter().filter(|client| client.network() == network) {
            walk.visit(*client);
        }
        for client in clients.iter().filter(|client| client.network() != network) {
            if walk.history.is_strong {
                break;
            }
            walk.visit(*client);
        }
        let mut history = walk.finish();
        let Some(family) = name.family() else { return history };
        history.family_clients = ledger.size_of_family(family, now.day());
        if history.is_established() {
            return history;
        }
        for client in ledger.some_of_family(family, |client| client.network() == network) {
            let stands = by.look(ledger, client, &kinds, now, |found| match found {
                Some(Found::Kept(history)) => {
                    history.established().any(|pair| pair.name.family() == Some(family))
                }
                Some(Found::Row(row)) => stands_in(row, family, &kinds, by.policy(), now),
                None => false,
            });
            if stands {
                history.family_networks.insert(network);
                break;
            }
        }
        history
    }

    /// Where a name of the family stands: a host that got a new name or a new address is at home there.
    fn look_at_family(
        &mut self,
        ledger: &Ledger,
        family: &str,
        said: Sayers,
        kinds: &[ReporterKind],
        policy: &Policy,
        now: Time,
    ) {
        for client in said.clients {
            let stands = ledger.client(client, |row| {
                row.is_some_and(|row| stands_in(row, family, kinds, policy, now))
            });
            if stands {
                self.family_networks.insert(client.network());
                if self.family_on.len() < CLIENTS_NAMED {
                    self.family_on.push(client.to_string());
                }
            }
        }
    }

    /// True if some client has the name for its own.
    pub fn is_established(&self) -> bool {
        !self.established_networks.is_empty()
    }
}

/// True if some name of the family is established in a client's row.
fn stands_in(
    row: RowView<'_>,
    family: &str,
    kinds: &[ReporterKind],
    policy: &Policy,
    now: Time,
) -> bool {
    row.pairs()
        .filter(|pair| pair.name.family() == Some(family))
        .any(|pair| PairHistory::nameless(&pair, kinds, policy, now).is_established())
}

/// A walk over the clients that said a name.
struct Walk<'a> {
    ledger: &'a Ledger,
    name: &'a Name,
    kinds: &'a Arc<[ReporterKind]>,
    policy: &'a Policy,
    now: Time,
    /// Who keeps the histories of clients with many pairs, if somebody does.
    clients: Option<&'a Clients>,
    history: NameHistory,
    /// Networks in which it was said lately; those without a tie to it.
    networks: Vec<Network>,
    foreign: Vec<Network>,
    /// It is established on the client that was visited last.
    stood_last: bool,
}

impl<'a> Walk<'a> {
    fn new(
        ledger: &'a Ledger,
        name: &'a Name,
        kinds: &'a Arc<[ReporterKind]>,
        policy: &'a Policy,
        now: Time,
    ) -> Self {
        Self {
            clients: None,
            ledger,
            name,
            kinds,
            policy,
            now,
            history: NameHistory::unknown(),
            networks: Vec::new(),
            foreign: Vec::new(),
            stood_last: false,
        }
    }

    fn visit(&mut self, client: Client) {
        let Self { ledger, name, kinds, policy, now, clients, .. } = *self;
        let is_own = |pair: &PairHistory, rdns: &dyn Fn() -> Option<Box<str>>| {
            let is_newcomer = pair.in_family_window && !pair.is_established();
            is_newcomer && rdns().is_some_and(|rdns| is_akin(&rdns, name))
        };
        let of_row = |row: RowView<'_>| {
            let pair = PairHistory::nameless(&row.pair(name)?, kinds, policy, now);
            let own = is_own(&pair, &|| row.facts().rdns.map(|(_, rdns)| rdns));
            Some((pair, own))
        };
        let found = match clients {
            Some(clients) => clients.look(ledger, client, kinds, now, |found| match found? {
                Found::Row(row) => of_row(row),
                Found::Kept(history) => {
                    let pair = history.pair(name)?;
                    let own = is_own(pair, &|| history.rdns.as_deref().map(Into::into));
                    Some((pair.clone(), own))
                }
            }),
            None => ledger.client(client, |row| of_row(row?)),
        };
        let Some((pair, own)) = found else {
            self.stood_last = false;
            return;
        };
        let (history, network) = (&mut self.history, client.network());
        history.observations = history.observations.saturating_add(pair.observations);
        self.stood_last = pair.is_established();
        if pair.in_family_window {
            self.networks.push(network);
            if !own && !self.stood_last {
                self.foreign.push(network);
            }
        }
        history.is_strong |= pair.standing == Standing::Strong;
        if self.stood_last {
            history.established_networks.insert(network);
        }
    }

    /// What came of it, but for the number of clients.
    fn finish(self) -> NameHistory {
        let Self { ledger, name, policy, now, mut history, .. } = self;
        let distinct = |mut networks: Vec<Network>| {
            networks.sort_unstable();
            networks.dedup();
            networks.len()
        };
        history.foreign_networks = distinct(self.foreign);
        let held = Count { n: distinct(self.networks) as u64, exact: true };
        let days = policy.families_window_days;
        let of_crowd = ledger.crowd(name, |crowd| crowd.networks.count(now.day(), days));
        history.networks = of_crowd.unwrap_or(held);
        history
    }
}

/// True if a reverse name is of the name's family.
pub fn is_akin(rdns: &str, name: &Name) -> bool {
    // Most are not, and to see that costs less than to read them.
    let Some(family) = name.family() else { return false };
    let text = rdns.trim_ascii_end();
    let text = text.strip_suffix('.').unwrap_or(text).as_bytes();
    let end = text.len().checked_sub(family.len()).and_then(|start| text.get(start..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(family.as_bytes()))
        && Name::parse(rdns.as_bytes()).family() == Some(family)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{Batch, Bounds};
    use crate::observation::{Observation, Outcome};

    const NOW: Time = Time(1_795_184_855);

    #[test]
    fn a_reverse_name_is_akin_by_its_family() {
        let name = Name::parse(b"mail.example.co.uk");
        for (rdns, akin) in [
            ("mx.example.co.uk", true),
            ("Example.CO.UK.", true),
            ("notexample.co.uk", false),
            ("co.uk", false),
            ("mx.example.com", false),
        ] {
            assert_eq!(is_akin(rdns, &name), akin, "{rdns}");
        }
    }

    proptest! {
        /// What a verdict asks of a name is the same, whichever way it is measured.
        #[test]
        fn near_tells_what_the_whole_tells(
            seen in proptest::collection::vec((0u8..3, 1u8..4, 0u8..3, 0u32..40, 1u32..5), 0..60)
        ) {
            let (ledger, policy) = (Ledger::in_memory(Bounds::default()), Policy::default());
            for (network, host, name, day, times) in seen {
                let mut batch = Batch::default();
                for n in 0..times {
                    let observation = Observation {
                        time: Time(NOW.0 - day * 86_400 - n),
                        ip: [192, 0, network, host].into(),
                        name: Name::parse(format!("m{name}.example.com").as_bytes()),
                        rdns: (host == 1).then(|| "mx.example.com".into()),
                        outcome: Outcome::Accepted,
                        stage: None,
                        by_us: false,
                        supersedes: None,
                        reporter: "mx".into(),
                    };
                    batch.observe(&observation, ReporterKind::Mx);
                }
                ledger.commit(&batch).expect("memory does not fail");
            }
            for (network, name) in (0..4).flat_map(|network| (0..3).map(move |name| (network, name))) {
                let name = Name::parse(format!("m{name}.example.com").as_bytes());
                let network = Client::of([192, 0, network, 1].into()).network();
                let whole = NameHistory::of(&ledger, &name, &policy, NOW);
                let near = NameHistory::near(&ledger, &name, network, &Clients::new(policy.clone()), NOW);
                let asked = |history: &NameHistory| (
                    history.is_established(),
                    history.is_strong,
                    history.untied_networks(&name),
                    history.established_networks.contains(&network),
                    history.family_networks.contains(&network),
                    history.family_clients,
                );
                prop_assert_eq!(asked(&whole), asked(&near));
            }
        }
    }
}

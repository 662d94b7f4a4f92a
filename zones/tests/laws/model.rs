//! What the indexes should answer, worked out from the dump alone.

use std::collections::{BTreeMap, BTreeSet};

use helostat_zones::client::{Client, Network};
use helostat_zones::ledger::Ledger;
use helostat_zones::name::Name;
use helostat_zones::time::Day;

use crate::world::{FIRST_DAY, dump};

/// What the dump says.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) pairs: BTreeSet<(Client, Name)>,
    pub(crate) sayers: BTreeMap<Name, BTreeSet<Client>>,
    pub(crate) of_family: BTreeMap<String, BTreeSet<Client>>,
    pub(crate) of_network: BTreeMap<Network, BTreeSet<Client>>,
    pub(crate) crowds: BTreeSet<(bool, String)>,
}

impl Model {
    pub(crate) fn of(dump: &str) -> Self {
        let mut model = Self::default();
        for line in dump.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            if let Some(what) = line["crowd"].as_str() {
                model.crowds.insert((what == "name", line["text"].as_str().unwrap().to_owned()));
            }
            let (Some(client), Some(name)) = (line["client"].as_str(), line["name"].as_str())
            else {
                continue;
            };
            let client = Client::parse(client).unwrap();
            let name = Name::parse(name.as_bytes());
            if let Some(family) = name.family() {
                model.of_family.entry(family.to_owned()).or_default().insert(client);
            }
            model.of_network.entry(client.network()).or_default().insert(client);
            model.sayers.entry(name.clone()).or_default().insert(client);
            model.pairs.insert((client, name));
        }
        model
    }
}

/// Fails unless every index of the ledger agrees with its dump.
pub(crate) fn assert_indexes(ledger: &Ledger, what: &str) {
    let model = Model::of(&dump(ledger));
    let today = Day(FIRST_DAY as u16);
    let sizes = ledger.sizes();
    let crowds = |of_names| {
        model.crowds.iter().filter(move |(names, _)| *names == of_names).map(|(_, text)| text)
    };
    let mut names: BTreeSet<&str> = model.sayers.keys().map(Name::text).collect();
    names.extend(crowds(true).map(String::as_str));
    let mut families: BTreeSet<&str> = model.of_family.keys().map(String::as_str).collect();
    families.extend(crowds(false).map(String::as_str));
    let clients: BTreeSet<_> = model.pairs.iter().map(|(client, _)| client).collect();
    assert_eq!(
        (sizes.pairs, sizes.clients, sizes.networks, sizes.names, sizes.families, sizes.crowds),
        (
            model.pairs.len(),
            clients.len(),
            model.of_network.len(),
            names.len(),
            families.len(),
            model.crowds.len()
        ),
        "{what}: pairs, clients, networks, names, families, crowds"
    );

    let bound = ledger.bounds().clients_per_name;
    let check = |text: &str, of_names: bool, all: &BTreeSet<Client>| {
        let found = if of_names {
            ledger.clients_of_name(&Name::parse(text.as_bytes()), today)
        } else {
            ledger.clients_of_family(text, today)
        };
        let told: BTreeSet<_> = found.clients.iter().copied().collect();
        assert_eq!(told.len(), found.clients.len(), "{what}: {text}: each client once");
        if model.crowds.contains(&(of_names, text.to_owned())) {
            assert!(told.is_subset(all) && told.len() <= bound, "{what}: {text}: {told:?}");
            return;
        }
        assert_eq!(&told, all, "{what}: clients of {text}");
        let networks: BTreeSet<_> = all.iter().map(|client| client.network()).collect();
        assert_eq!(
            (found.known.n, found.networks.n, found.known.exact),
            (all.len() as u64, networks.len() as u64, true),
            "{what}: clients and networks of {text}"
        );
        assert!(all.len() <= bound, "{what}: {text} is said by {} clients: a crowd", all.len());
    };
    for (name, all) in &model.sayers {
        check(name.text(), true, all);
    }
    for (family, all) in &model.of_family {
        check(family, false, all);
    }
    for (network, all) in &model.of_network {
        let (found, known) = ledger.clients_of_network(*network, 1000);
        let found: BTreeSet<_> = found.into_iter().collect();
        assert_eq!((&found, known), (all, all.len()), "{what}: clients of {network}");
    }

    let mut below = BTreeSet::new();
    let mut asked: BTreeSet<&str> = ["com", "net", "nowhere.org", "example", ""].into();
    for name in model.sayers.keys().filter(|name| name.is_fqdn()) {
        asked.insert(name.text());
        let mut text = name.text();
        while let Some((_, above)) = text.split_once('.') {
            below.insert(above);
            text = above;
        }
    }
    for domain in asked.union(&below) {
        assert_eq!(
            ledger.has_names_below(domain),
            below.contains(domain),
            "{what}: names below {domain:?}"
        );
    }
}

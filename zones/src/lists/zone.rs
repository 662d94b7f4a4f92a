//! A zone made of datasets.

use std::net::IpAddr;
use std::sync::Arc;

use crate::answer::Exists;
use crate::time::Time;

use super::answer::{ListAnswer, Wanted};
use super::dataset::Dataset;
use super::question::{Addresses, Families, Name};
use super::special::{Ns, Soa};

/// More labels than any name has (RFC 1035 section 2.3.4).
const LABELS_MAX: usize = 128;

/// Datasets that answer together, in an order. Immutable; a new one is made when a dataset is loaded anew.
#[derive(Clone, Debug)]
pub struct ListZone {
    datasets: Vec<Arc<Dataset>>,
    families: Families,
}

impl ListZone {
    /// A zone of these datasets.
    pub fn new(datasets: Vec<Arc<Dataset>>) -> Self {
        let mut families = Families::default();
        for dataset in &datasets {
            families.v4 |= dataset.families().v4;
            families.v6 |= dataset.families().v6;
        }
        Self { datasets, families }
    }

    /// Its datasets.
    pub fn datasets(&self) -> &[Arc<Dataset>] {
        &self.datasets
    }

    /// The `$SOA` of the first dataset that has one.
    pub fn soa(&self) -> Option<&Soa> {
        self.datasets.iter().find_map(|dataset| dataset.soa())
    }

    /// The `$NS` of the first dataset that has one.
    pub fn ns(&self) -> Option<&Ns> {
        self.datasets.iter().find_map(|dataset| dataset.ns())
    }

    /// The moment after which nothing of it is to be answered: the earliest of its datasets.
    pub fn expires(&self) -> Option<Time> {
        self.datasets.iter().filter_map(|dataset| dataset.expires()).min()
    }

    /// Answers a question: the labels left of the zone's apex, leftmost first, as raw octets in any case. SOA and
    /// NS of the apex are the server's business; the apex itself always exists. `answer` is written anew.
    pub fn ask(&self, labels: &[&[u8]], wanted: Wanted, answer: &mut ListAnswer) {
        answer.clear();
        let Some(name) = Name::read(labels) else { return };
        let name = name.wire();
        let addresses = Addresses::read(name, self.families);
        answer.raise(if labels.is_empty() { Exists::NoData } else { addresses.unlisted });
        for dataset in &self.datasets {
            dataset.ask(name, addresses, wanted, answer);
        }
        answer.finish();
    }

    /// What the lists of addresses in it say of a client, as if its key had been asked for. Combined datasets
    /// answer for the zone itself (`@`).
    pub fn ask_client(&self, ip: IpAddr, wanted: Wanted, answer: &mut ListAnswer) {
        answer.clear();
        let addresses = Addresses::of(ip, self.families);
        for dataset in &self.datasets {
            dataset.ask_client(ip, addresses, wanted, answer);
        }
        answer.finish();
    }

    /// What the lists of names in it say of a name, as if its key had been asked for, and no other lists. Combined
    /// datasets answer for the zone itself (`@`).
    pub fn ask_name(&self, name: &str, wanted: Wanted, answer: &mut ListAnswer) {
        answer.clear();
        let mut labels: [&[u8]; LABELS_MAX] = [&[]; LABELS_MAX];
        let mut count = 0;
        for label in name.split('.') {
            let Some(place) = labels.get_mut(count) else { return };
            *place = label.as_bytes();
            count += 1;
        }
        let Some(name) = labels.get(..count).and_then(Name::read) else { return };
        for dataset in &self.datasets {
            dataset.ask_name(name.wire(), wanted, answer);
        }
        answer.finish();
    }
}

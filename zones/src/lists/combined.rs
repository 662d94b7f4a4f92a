//! `combined`: several parts, each of another format, for the zone itself (`@`) or for subzones.
//!
//! A question is for the subzone whose name is the longest at its end, and for no other; parts that several
//! subzones share are there once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::answer::Exists;

use super::answer::{ListAnswer, Wanted};
use super::dataset::Part;
use super::question::{Addresses, Families};
use super::wire;

/// The parts by their subzones.
pub(super) struct Combined {
    parts: Vec<Arc<Part>>,
    /// By names in wire form and small letters; empty for the zone itself.
    subzones: HashMap<Box<[u8]>, Subzone, RandomState>,
}

#[derive(Default)]
struct Subzone {
    /// None if there is no such subzone, only one below it.
    parts: Vec<Arc<Part>>,
    families: Families,
}

impl Combined {
    /// Parts, each with the names of its subzones.
    pub(super) fn new(parts: Vec<(Part, Vec<Vec<u8>>)>) -> Self {
        let mut combined = Self { parts: Vec::new(), subzones: HashMap::default() };
        for (part, names) in parts {
            let part = Arc::new(part);
            for name in names {
                let subzone = combined.subzones.entry(name.into()).or_default();
                subzone.families.v4 |= part.families().v4;
                subzone.families.v6 |= part.families().v6;
                subzone.parts.push(part.clone());
            }
            combined.parts.push(part);
        }
        let names: Vec<_> = combined.subzones.keys().cloned().collect();
        for name in names {
            let mut above = wire::parent(&name);
            while let Some(name) = above.filter(|name| !name.is_empty()) {
                combined.subzones.entry(name.into()).or_default();
                above = wire::parent(name);
            }
        }
        combined
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().map(|part| &**part)
    }

    /// Adds what is said of a name.
    pub(super) fn ask(&self, name: &[u8], wanted: Wanted, answer: &mut ListAnswer) {
        if !name.is_empty() && self.subzones.contains_key(name) {
            answer.raise(Exists::NoData);
        }
        let mut end = Some(name);
        while let Some(suffix) = end {
            if let Some(subzone) = self.subzones.get(suffix).filter(|it| !it.parts.is_empty()) {
                let inside = name.get(..name.len() - suffix.len()).unwrap_or_default();
                let addresses = Addresses::read(inside, subzone.families);
                answer.raise(addresses.unlisted);
                for part in &subzone.parts {
                    part.ask(inside, addresses, wanted, answer);
                }
                return;
            }
            end = wire::parent(suffix);
        }
    }

    /// Adds what the zone itself says of a client.
    pub(super) fn ask_client(&self, ip: IpAddr, wanted: Wanted, answer: &mut ListAnswer) {
        let Some(subzone) = self.subzones.get(&[][..]) else { return };
        let addresses = Addresses::of(ip, subzone.families);
        for part in &subzone.parts {
            part.ask(&[], addresses, wanted, answer);
        }
    }

    /// Adds what the zone's own lists of names say of a name.
    pub(super) fn ask_name(&self, name: &[u8], wanted: Wanted, answer: &mut ListAnswer) {
        let Some(subzone) = self.subzones.get(&[][..]) else { return };
        for part in &subzone.parts {
            part.ask_name(name, wanted, answer);
        }
    }
}

//! Hosts that get a new address (class 18) or a new name (class 19): what is said of them there.

use std::collections::HashMap;
use std::net::IpAddr;

use helostat_zones::name::Name;
use helostat_zones::replay::{Judged, Player};
use helostat_zones::rules::Findings;
use helostat_zones::time::Time;
use helostat_zones::verdict::Class as Verdict;

use super::tally::Said;
use super::{Draft, World};
use crate::world::class::Class;
use crate::world::truth::Event;

/// One host that moved.
#[derive(Clone, Debug)]
pub struct Move {
    /// Renumbered or renamed.
    pub class: Class,
    /// When.
    pub at: Time,
    /// What it was.
    from: (IpAddr, Name),
    /// The pair that it is.
    pub to: u32,
    /// The DNS agrees with the new pair.
    pub agreed: bool,
    /// What was said of the old pair the moment before.
    pub before: Option<Said>,
    /// The old pair was established then, not only known early.
    pub stood: bool,
    /// What was said of the first message of the new pair by history alone, and with the DNS.
    pub first: Option<(Said, Said)>,
    /// When that was.
    first_at: Option<Time>,
    /// Days from the first message until it was known, by history alone and with the DNS.
    pub known: [Option<f64>; 2],
    /// ... until it was trusted.
    pub trusted: [Option<f64>; 2],
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Moves {
    /// In the order of time.
    pub all: Vec<Move>,
    /// Which of them a pair is.
    by_pair: HashMap<u32, usize>,
    /// So many have happened.
    past: usize,
}

impl Moves {
    pub(super) fn new(world: &World) -> Self {
        let mut all = Vec::new();
        for sender in &world.senders {
            for event in &sender.events {
                let (at, from) = match event {
                    Event::Moved { at, from, .. } => {
                        (*at, (*from, world.pairs_of(sender)[0].name.clone()))
                    }
                    Event::Renamed { at, from, .. } => {
                        (*at, (world.pairs_of(sender)[0].ip, from.clone()))
                    }
                    _ => continue,
                };
                let to = sender.pairs.0 + 1;
                all.push(Move {
                    class: sender.class,
                    at,
                    from,
                    to,
                    agreed: world.pairs[to as usize].dns.forward,
                    before: None,
                    stood: false,
                    first: None,
                    first_at: None,
                    known: [None; 2],
                    trusted: [None; 2],
                });
            }
        }
        all.sort_by_key(|one| one.at);
        let by_pair = all.iter().enumerate().map(|(place, one)| (one.to, place)).collect();
        Self { all, by_pair, past: 0 }
    }

    /// Asks for those that move before `until`.
    pub(super) fn before(&mut self, world: &World, player: &mut Player, until: Time) {
        while let Some(one) = self.all.get_mut(self.past).filter(|one| one.at <= until) {
            let (ip, name) = &one.from;
            let place = world.pairs[one.to as usize].sender;
            let old = &world.pairs[world.senders[place as usize].pairs.0 as usize];
            let findings = old.dns.findings(name);
            if let Some(verdict) = player.pair(*ip, name, Findings(Some(&findings)), one.at) {
                let said = Said::new(verdict.class, &verdict.reasons);
                let stands = |(word, _): &(&str, i32)| matches!(*word, "established" | "strong");
                one.stood = verdict.class <= Verdict::Known && said.reasons.iter().any(stands);
                one.before = Some(said);
            }
            self.past += 1;
        }
    }

    /// Takes in what was said of a message.
    pub(super) fn saw(&mut self, draft: &Draft, now: Time, bare: &Judged, full: &Judged) {
        let Some(place) = self.by_pair.get(&draft.pair) else { return };
        let one = &mut self.all[*place];
        one.first_at.get_or_insert(now);
        one.first.get_or_insert_with(|| (bare.clone().into(), full.clone().into()));
        one.reaches(0, bare.class, now);
        one.reaches(1, full.class, now);
    }

    /// Asks for those that are not trusted yet.
    pub(super) fn midnight(&mut self, world: &World, player: &mut Player, now: Time) {
        for one in self.all.iter_mut().filter(|one| one.first_at.is_some()) {
            let pair = &world.pairs[one.to as usize];
            let findings = pair.dns.findings(&pair.name);
            for (at, known) in [(0, None), (1, Some(&findings))] {
                if one.trusted[at].is_none()
                    && let Some(verdict) = player.pair(pair.ip, &pair.name, Findings(known), now)
                {
                    one.reaches(at, verdict.class, now);
                }
            }
        }
    }
}

impl Move {
    fn reaches(&mut self, at: usize, class: Verdict, now: Time) {
        let days = self.first_at.map_or(0.0, |first| f64::from(now.0 - first.0) / 86_400.0);
        if class <= Verdict::Known {
            self.known[at].get_or_insert(days);
        }
        if class == Verdict::Trusted {
            self.trusted[at].get_or_insert(days);
        }
    }
}

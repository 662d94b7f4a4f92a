//! What the classes make their senders with: it keeps senders, pairs and messages as they come.
//!
//! A message is kept as twelve octets until somebody wants it whole, so that millions fit and sort fast.

use std::net::IpAddr;

use helostat_zones::name::Name;
use helostat_zones::observation::Outcome;
use helostat_zones::time::Time;

use super::addresses::Space;
use super::class::Class;
use super::draws::Draws;
use super::names::Names;
use super::reporters::{Kind, Reporters};
use super::settings::Settings;
use super::truth::{Dns, Event, Pair, Sender, Span};

/// A message in short.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft {
    pub(super) time: Time,
    pub(super) pair: u32,
    pub(super) site: u16,
    pub(super) outcome: Outcome,
    pub(super) good: bool,
    pub(super) fake: bool,
}

/// How many messages a class may make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// In all.
    pub(super) messages: usize,
    /// Of one sender at most.
    pub(super) each: u32,
}

/// A world while it is made.
pub(super) struct Maker<'a> {
    pub(super) settings: &'a Settings,
    pub(super) reporters: Reporters,
    pub(super) draws: Draws,
    pub(super) names: Names,
    pub(super) space: Space,
    /// All of the time.
    pub(super) span: Span,
    pub(super) senders: Vec<Sender>,
    pub(super) pairs: Vec<Pair>,
    pub(super) drafts: Vec<Draft>,
}

impl Maker<'_> {
    /// A new sender, run by the one of this number or, by default, by itself.
    pub(super) fn sender(&mut self, class: Class, operator: Option<u32>) -> u32 {
        let id = self.senders.len() as u32;
        let begin = self.pairs.len() as u32;
        self.senders.push(Sender {
            id,
            class,
            operator: operator.unwrap_or(id),
            pairs: (begin, begin),
            events: Vec::new(),
            seen: None,
            good: 0,
            bad: 0,
        });
        id
    }

    /// A pair of the newest sender, which owns it for a time or never.
    pub(super) fn pair(&mut self, ip: IpAddr, name: &str, dns: Dns, owned: Option<Span>) -> u32 {
        let place = self.pairs.len() as u32;
        if let Some(sender) = self.senders.last_mut() {
            sender.pairs.1 = place + 1;
            let name = Name::parse(name.as_bytes());
            self.pairs.push(Pair { sender: sender.id, ip, name, dns, owned });
        }
        place
    }

    /// Something that happened to the newest sender.
    pub(super) fn event(&mut self, event: Event) {
        if let Some(sender) = self.senders.last_mut() {
            sender.events.push(event);
        }
    }

    /// A message to a site drawn by its share of such mail.
    pub(super) fn send(&mut self, pair: u32, time: Time, good: bool) {
        let site = self.reporters.draw(&mut self.draws, good);
        self.send_to(site, pair, time, good);
    }

    /// A message to this site, which takes or refuses it.
    pub(super) fn send_to(&mut self, site: u16, pair: u32, time: Time, good: bool) {
        let outcome = self.outcome(site, pair, good);
        self.keep(Draft { time, pair, site, outcome, good, fake: false });
    }

    /// A message that never was, told by this site.
    pub(super) fn fake(&mut self, site: u16, pair: u32, time: Time) {
        let outcome = Outcome::Accepted;
        self.keep(Draft { time, pair, site, outcome, good: false, fake: true });
    }

    fn keep(&mut self, draft: Draft) {
        let sender = &mut self.senders[self.pairs[draft.pair as usize].sender as usize];
        let (first, last) = sender.seen.unwrap_or((draft.time, draft.time));
        sender.seen = Some((first.min(draft.time), last.max(draft.time)));
        if draft.good {
            sender.good += 1;
        } else {
            sender.bad += 1;
        }
        self.drafts.push(draft);
    }

    fn outcome(&mut self, site: u16, pair: u32, good: bool) -> Outcome {
        if self.reporters.sites[usize::from(site)].kind == Kind::Trap {
            return Outcome::Accepted;
        }
        let refused = &self.settings.refused;
        let part = match self.senders[self.pairs[pair as usize].sender as usize].class {
            _ if good => refused.ham,
            Class::NatWithBots
            | Class::Bot
            | Class::FixedString
            | Class::VictimName
            | Class::NameThief => refused.bots,
            Class::Snowshoe | Class::RandomName | Class::VmChurn | Class::Poisoner => {
                refused.rented
            }
            _ => refused.relayed,
        };
        match (self.draws.chance(part), self.draws.chance(refused.deferred)) {
            (false, _) => Outcome::Accepted,
            (true, true) => Outcome::Deferred,
            (true, false) => Outcome::Rejected,
        }
    }

    /// How many messages come at this rate a day over a span, no more than `most`.
    pub(super) fn count(&mut self, rate: f64, span: Span, most: u32) -> u32 {
        self.draws.poisson(rate * span.days()).clamp(1, most.max(1))
    }

    /// Wanted mail by working hours to a few sites: to more of them, the more there is.
    pub(super) fn working_mail(&mut self, pairs: &[u32], span: Span, count: u32) {
        let zone = self.draws.below(24) as u32;
        let most = 2 + (count as usize / 10).min(14);
        let width = 1 + self.draws.below(most);
        let circle = self.reporters.circle(&mut self.draws, width);
        for _ in 0..count {
            let time = self.draws.working(span, zone);
            let pair = *self.draws.pick(pairs);
            let site = *self.draws.pick(&circle);
            self.send_to(site, pair, time, true);
        }
    }
}

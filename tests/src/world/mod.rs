//! A made-up world of mail with the truth beside it: who sent each message, and whether it was wanted.
//!
//! In go [`Settings`]; out comes a [`World`]: its messages in the order of time, each with the [`Observation`] that
//! the receiving site would have made and the [`Truth`]. The same settings give the same world, and chance is drawn for
//! each class apart, so that another part of one class leaves the numbers of the others as they were. A million
//! messages take about a second. Nothing fails: settings out of range are held to what makes sense.
//!
//! There is no DNS. What it would say is in [`Dns`] at each pair, and [`Dns::findings`] gives it in the words that
//! the judge reads. A message never lies outside the time in which its pair is as the truth says.
//!
//! | no. | class | who | settings that were not measured |
//! |---|---|---|---|
//! | 1 | `single` | one address, one name, few users | `busiest_single`, `hosted` |
//! | 2 | `dual-stack` | IPv6 to sites that have it, else IPv4 | `Settings::ipv6` |
//! | 3 | `hopper` | a new address of its /64 each time | |
//! | 4 | `farm` | 10-300 addresses, a name for each or few names on all | `name_per_address` |
//! | 5 | `named-provider` | 1,300 names, 365 of them in one /64 | `provider_spam` |
//! | 6 | `region-provider` | 180 names, 7,500 addresses, names drift | `provider_spam` |
//! | 7 | `esp-pool` | 20-300 addresses, many customers, bursts | `esp_spammers` |
//! | 8 | `forwarder` | a steady pair, its users' spam too | `forwarder_spam` |
//! | 9 | `nat-office` | one MTA, reverse name of the access network | |
//! | 10 | `nat-with-bots` | as 9, and bots for 1-10 days | `refused.bots` |
//! | 11 | `bot` | a new address each time, mostly one message | `bot_sites`, `refused.bots` |
//! | 12 | `fixed-string` | thousands of addresses say one string | `ylmf_pc` |
//! | 13 | `victim-name` | says the receiver's name or address | `victim_sites` |
//! | 14 | `name-thief` | says a good MTA's name | `thief_addresses` |
//! | 15 | `snowshoe` | a domain for each address, all in order, moves on after 3-30 days | `refused.rented` |
//! | 16 | `random-name` | a new name each time | `refused.rented` |
//! | 17 | `vm-churn` | an address changes hands, good to bad or back | `idle_days`, `good_then_bad` |
//! | 18 | `renumbered` | a name moves once | `new_network`, `overlap_days`, `agreeing_dns` |
//! | 19 | `renamed` | a host changes its name once | `agreeing_dns` |
//! | 20 | `shared-network` | strangers in one /64 or /48 | |
//! | 21 | `misconfigured` | says `localhost.localdomain` and the like | |
//! | 22 | `compromised` | a steady pair with a burst of spam | `burst_hours`, `burst_messages` |
//! | 23 | `two-names` | says both its names | |
//! | 24 | `poisoner` | bad reporters tell what never was | `bad_reporters`, `false_names`, `false_reports`, `own_history` |
//!
//! Settings without a section are of [`Assumed`]. How many messages a class has follows from [`Mix`]; the volume of
//! sites from `zipf`; what they see from `traps`, `list_only`, `list_spam`, `trap_ham`; what they refuse from
//! [`Refused`].
//!
//! - [`class`], [`settings`], [`truth`], [`reporters`]: the words
//! - `draws`, `names`, `addresses`, `maker`: chance, made-up names, address space, and what classes are made with
//! - `classes`: how each behaves, with the numbers that were measured
//! - [`owners`], [`summary`]: who has what when; what is in a world
//! - [`scoring`]: how a policy judges all of it
//! - [`mod@write`] makes files of it
//!
//! What is not here: no message has content, no bot learns, and no site shares what it refuses
//! with another. The time of day is the sender's, seasons do not exist.

mod addresses;
pub mod class;
mod classes;
mod draws;
mod maker;
mod names;
pub mod owners;
pub mod reporters;
pub mod scoring;
pub mod settings;
pub mod summary;
#[cfg(test)]
mod tests;
pub mod truth;
pub mod write;

use helostat_zones::observation::Observation;
use helostat_zones::time::{DAY_SECONDS, Time};

pub use class::{Class, Mix};
pub use owners::Owners;
pub use reporters::{Kind, Site};
pub use settings::{Assumed, Refused, Settings};
pub use truth::{Dns, Event, Pair, Sender, Span, Truth};

use addresses::Space;
use draws::Draws;
use maker::{Budget, Draft, Maker};
use names::Names;
use reporters::Reporters;

/// All messages of some days, and the truth about them.
pub struct World {
    sites: Vec<Site>,
    senders: Vec<Sender>,
    pairs: Vec<Pair>,
    drafts: Vec<Draft>,
    span: Span,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message<'w> {
    /// Its place in the order of time, from 1.
    pub seq: u64,
    /// What the site saw and did; of a fake, what it says.
    pub observation: Observation,
    /// What is true.
    pub truth: Truth<'w>,
}

impl World {
    /// Makes a world.
    pub fn new(settings: &Settings) -> Self {
        let seconds = settings.days.max(1).saturating_mul(DAY_SECONDS);
        let span =
            Span { from: settings.start, until: Time(settings.start.0.saturating_add(seconds)) };
        let mut draws = Draws::new(settings.seed, 0);
        let (mut names, mut space) = (Names::new(&mut draws), Space::default());
        let reporters = Reporters::new(settings, &mut draws, &mut names, &mut space);
        let mut maker = Maker {
            settings,
            reporters,
            draws,
            names,
            space,
            span,
            senders: Vec::new(),
            pairs: Vec::new(),
            drafts: Vec::new(),
        };
        for class in Class::ALL {
            let share = settings.mix.share(class);
            if share > 0.0 {
                let messages = settings.messages() * share;
                let each = messages / f64::from(settings.least.max(1));
                let budget = Budget { messages: messages as usize, each: each.max(8.0) as u32 };
                maker.draws = Draws::new(settings.seed, u64::from(class.number()));
                classes::make(&mut maker, class, budget);
            }
        }
        let Maker { reporters, senders, pairs, mut drafts, .. } = maker;
        drafts.sort_by_key(|draft| draft.time);
        Self { sites: reporters.sites, senders, pairs, drafts, span }
    }

    /// The messages in the order of time.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = Message<'_>> {
        (0..self.drafts.len()).map(|place| self.message(place))
    }

    /// The message at a place in the order of time, from 0.
    fn message(&self, place: usize) -> Message<'_> {
        let draft = &self.drafts[place];
        let pair = &self.pairs[draft.pair as usize];
        let sender = &self.senders[pair.sender as usize];
        let stage = (!draft.outcome.is_accepted()).then_some("rcpt");
        let observation = Observation {
            time: draft.time,
            ip: pair.ip,
            name: pair.name.clone(),
            rdns: pair.dns.verified().map(Into::into),
            outcome: draft.outcome,
            stage,
            by_us: false,
            supersedes: None,
            reporter: self.sites[usize::from(draft.site)].reporter.clone(),
        };
        let (good, fake) = (draft.good, draft.fake);
        let truth = Truth { class: sender.class, good, fake, sender, pair };
        Message { seq: place as u64 + 1, observation, truth }
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.drafts.len()
    }

    /// True if there is no message.
    pub fn is_empty(&self) -> bool {
        self.drafts.is_empty()
    }

    /// The time from the first day's beginning to the last one's end.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The sites that report, largest first.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// All senders, by class.
    pub fn senders(&self) -> &[Sender] {
        &self.senders
    }

    /// All pairs, by sender.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The pairs of one sender.
    pub fn pairs_of(&self, sender: &Sender) -> &[Pair] {
        &self.pairs[sender.pairs.0 as usize..sender.pairs.1 as usize]
    }

    /// Who owns what when.
    pub fn owners(&self) -> Owners<'_> {
        Owners::new(self)
    }
}

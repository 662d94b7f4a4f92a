//! How a policy judges a world: each message by what was known before it, and the truth beside every verdict.
//!
//! In go a [`World`] and a [`Policy`]; out comes a [`Score`]. Every message that was really sent is judged three times:
//! its pair by history alone ([`View::History`]), its pair with what the DNS would say ([`View::Dns`]), and, where a
//! wanted message is concerned, its address as the block list would answer ([`View::Address`], with the DNS).
//! What bad reporters make up is learned and not judged: nobody received it. Who is listed is asked again every hour
//! until it is listed no more. Nothing fails.
//!
//! - [`tally`]: what was said, sender by sender
//! - [`moves`]: hosts that get a new address or a new name
//! - [`poison`]: what changes through the lies of bad reporters
//! - [`table`]: the page that people read
//!
//! What is not here: no policy is chosen, and no bar is set; tests do that.

pub mod moves;
pub mod poison;
pub mod table;
pub mod tally;

use std::collections::HashMap;
use std::net::IpAddr;

use helostat_zones::evidence::FindingSet;
use helostat_zones::ledger::Bounds;
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, ReporterKind};
use helostat_zones::operator::Decisions;
use helostat_zones::policy::Policy;
use helostat_zones::replay::{Judged, Player};
use helostat_zones::rules::Findings;
use helostat_zones::time::{DAY_SECONDS, Time};
use helostat_zones::verdict::{self, Reason, Sort};

use super::maker::Draft;
use super::{Class, Sender, World};
use moves::Moves;
use tally::{Said, Tally};

/// Who was asked, and what was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The pair, by history alone: no DNS was asked.
    History,
    /// The pair, with what the DNS says.
    Dns,
    /// The address, with what the DNS says.
    Address,
}

impl View {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::History, Self::Dns, Self::Address];

    /// The words for it in a table.
    pub fn words(self) -> &'static str {
        match self {
            Self::History => "pair, history alone",
            Self::Dns => "pair, with DNS",
            Self::Address => "address, with DNS",
        }
    }
}

/// What a policy made of a world.
pub struct Score<'w> {
    /// The world.
    pub world: &'w World,
    /// What was said, in the order of [`View::ALL`].
    pub tallies: [Tally; 3],
    /// Hosts that got a new address or a new name.
    pub moves: Moves,
    /// Offices behind NAT while bots send from there.
    pub offices: Offices,
}

/// Offices behind NAT while bots send from there (class 10): how often the MTA and its address were said to be what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offices {
    /// Messages of MTAs that stood before the bots came, while they were there and a week after.
    pub asked: u32,
    /// The pair was known or trusted.
    pub pair_known: u32,
    /// The address was suspect.
    pub address_suspect: u32,
    /// The address was listed.
    pub address_listed: u32,
    /// It was said that several hosts share the address.
    pub shared: u32,
}

impl Score<'_> {
    /// The tally of a view.
    pub fn of(&self, view: View) -> &Tally {
        &self.tallies[view as usize]
    }
}

/// True if none of the class's wanted mail may ever be listed: classes 1 to 9, 17 to 21 and 23.
pub fn spared(class: Class) -> bool {
    matches!(class.number(), 1..=9 | 17..=21 | 23)
}

/// A player of one policy.
pub(super) fn player(policy: &Policy) -> Player {
    Player::new(vec![policy.clone()], Decisions::default(), Bounds::default())
}

/// Judges a world.
pub fn score<'w>(world: &'w World, policy: &Policy) -> Score<'w> {
    let mut game = Game {
        world,
        player: player(policy),
        dns: world.dns(),
        score: Score {
            world,
            tallies: View::ALL.map(|_| Tally::new(world)),
            moves: Moves::new(world),
            offices: Offices::default(),
        },
        hour: world.span.from,
    };
    for place in 0..world.drafts.len() {
        game.step(place);
    }
    game.pass(world.span.until);
    for tally in &mut game.score.tallies {
        tally.finish(world);
    }
    game.score
}

impl World {
    /// Where each pair is among all of them.
    pub(super) fn dns(&self) -> HashMap<(IpAddr, &Name), usize> {
        // The first is kept: later ones are what others say there.
        let mut places = HashMap::new();
        for (place, pair) in self.pairs.iter().enumerate() {
            places.entry((pair.ip, &pair.name)).or_insert(place);
        }
        places
    }

    pub(super) fn kind_of(&self, draft: &Draft) -> ReporterKind {
        self.sites[usize::from(draft.site)].kind.reporter_kind()
    }
}

struct Game<'w> {
    world: &'w World,
    player: Player,
    dns: HashMap<(IpAddr, &'w Name), usize>,
    score: Score<'w>,
    /// Everything up to this hour was looked at.
    hour: Time,
}

impl Game<'_> {
    fn step(&mut self, place: usize) {
        let world = self.world;
        let draft = world.drafts[place];
        let seen = world.message(place).observation;
        self.pass(seen.time);
        if !draft.fake {
            self.judge(&draft, &seen);
        }
        self.player.learn(&seen, world.kind_of(&draft));
    }

    fn judge(&mut self, draft: &Draft, seen: &Observation) {
        let world = self.world;
        let pair = &world.pairs[draft.pair as usize];
        let sender = &world.senders[pair.sender as usize];
        let findings = pair.dns.findings(&pair.name);
        let bare = self.player.judge(seen).pop();
        let full = self.player.judge_with(seen, Findings(Some(&findings))).pop();
        let (Some(bare), Some(full)) = (bare, full) else { return };
        let pair_known = full.class <= verdict::Class::Known;
        self.score.moves.saw(draft, seen.time, &bare, &full);
        self.score.tallies[View::History as usize].saw(world, draft, bare.into());
        self.score.tallies[View::Dns as usize].saw(world, draft, full.into());
        if !draft.good || !(spared(sender.class) || sender.class == Class::NatWithBots) {
            return;
        }
        let Some((said, sort)) = self.address(pair.ip, seen.time) else { return };
        if besieged(sender, seen.time) {
            let offices = &mut self.score.offices;
            offices.asked += 1;
            offices.pair_known += u32::from(pair_known);
            offices.address_suspect += u32::from(said.class == verdict::Class::Suspect);
            offices.address_listed += u32::from(said.class == verdict::Class::Listed);
            offices.shared += u32::from(sort == Some(Sort::Shared));
        }
        self.score.tallies[View::Address as usize].saw(world, draft, said);
    }

    fn address(&mut self, ip: IpAddr, now: Time) -> Option<(Said, Option<Sort>)> {
        let (dns, world) = (&self.dns, self.world);
        let findings = |name: &Name| -> Option<FindingSet> {
            dns.get(&(ip, name)).map(|place| world.pairs[*place].dns.findings(name))
        };
        let verdict = self.player.client(ip, findings, now)?;
        Some((Said::new(verdict.class, &verdict.reasons), verdict.sort))
    }

    /// Lets time pass: asks again for who is listed, and for who moved.
    fn pass(&mut self, until: Time) {
        while self.hour.0 + 3600 <= until.0 {
            self.hour = Time(self.hour.0 + 3600);
            self.look_again();
        }
        let Self { world, player, score, .. } = self;
        score.moves.before(world, player, until);
    }

    fn look_again(&mut self) {
        let (world, now) = (self.world, self.hour);
        for view in View::ALL {
            for place in self.score.tallies[view as usize].listed_now() {
                let pair = &world.pairs[place as usize];
                let findings = pair.dns.findings(&pair.name);
                let known = (view == View::Dns).then_some(&findings);
                let class = match view {
                    View::Address => self.address(pair.ip, now).map(|(said, _)| said.class),
                    _ => self
                        .player
                        .pair(pair.ip, &pair.name, Findings(known), now)
                        .map(|verdict| verdict.class),
                };
                if class != Some(verdict::Class::Listed) {
                    self.score.tallies[view as usize].ends(world, place, now);
                }
            }
        }
        if now.0.is_multiple_of(DAY_SECONDS) {
            let Self { world, player, score, .. } = self;
            score.moves.midnight(world, player, now);
        }
    }
}

/// True from a day after the bots came until a week after they left, for an office behind NAT that stood before.
fn besieged(sender: &Sender, now: Time) -> bool {
    sender.burst().is_some_and(|burst| {
        sender.class == Class::NatWithBots
            && burst.from.0 + DAY_SECONDS <= now.0
            && now.0 < burst.until.0 + 7 * DAY_SECONDS
    })
}

impl From<Judged> for Said {
    fn from(judged: Judged) -> Self {
        Self { class: judged.class, reasons: judged.reasons }
    }
}

impl Said {
    pub(super) fn new(class: verdict::Class, reasons: &[Reason]) -> Self {
        let reasons = reasons.iter().map(|reason| (reason.word, reason.points)).collect();
        Self { class, reasons }
    }
}

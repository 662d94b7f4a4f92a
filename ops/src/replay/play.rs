//! The replay itself: each message to be judged, counted, written down, and then learned.
//!
//! Messages of the warm-up, the first days from the first message, are learned and in no figure. What a pair's history
//! is shown with ([`Track`]) and which message of a day is its first do count them.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;
use helostat_ingest::heard::Label;
use helostat_zones::observation::ReporterKind;
use helostat_zones::time::{DAY_SECONDS, Day, Time};

use super::account::{Account, Counted};
use super::compare::Moves;
use super::keep::Keep;
use super::per_message::{Line, PerMessage};
use super::reel::{Message, Reel};
use super::sites::Kinds;
use super::tracks::{Track, end_of};
use helostat_zones::replay::Player;

/// How often progress is told, in messages.
const STEP: u64 = 4096;

/// Beside the reel, what a replay needs.
pub struct Setting<'a> {
    /// Who reports what sort of mail.
    pub kinds: &'a Kinds,
    /// So many days are the warm-up.
    pub warm_days: u32,
    /// How many policies the player judges by.
    pub policies: usize,
    /// What was measured is written with each message.
    pub measures: bool,
    /// Where each message is written to.
    pub per_message: Option<PerMessage>,
    /// Where what was learned is kept.
    pub keep: Option<Keep>,
}

/// What came of it.
pub struct Played {
    /// For each policy.
    pub accounts: Vec<Account>,
    /// For each pair of the reel.
    pub tracks: Vec<Track>,
    /// For each site of the reel.
    pub sites: Vec<SiteCount>,
    /// Where two policies differ.
    pub moves: Option<Moves>,
    /// All messages by outcome.
    pub outcomes: [u64; 7],
    /// All messages.
    pub messages: u64,
    /// Those of the warm-up among them.
    pub warm_messages: u64,
    /// The end of the warm-up.
    pub warm_until: Time,
    /// The first message.
    pub first: Time,
    /// The last message.
    pub last: Time,
}

/// What a site reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteCount {
    /// What sort of mail it sees.
    pub kind: ReporterKind,
    /// Messages.
    pub messages: u64,
    /// Labelled ham.
    pub ham: u64,
    /// Labelled spam.
    pub spam: u64,
}

/// Plays the reel, whose logs are sorted. `progress` is told how many messages were played.
pub fn play(
    reel: &mut Reel,
    player: &mut Player,
    setting: &mut Setting<'_>,
    progress: &mut dyn FnMut(u64),
) -> anyhow::Result<Played> {
    let (pairs, clients) = (reel.pairs.len(), reel.clients());
    let kinds = reel.sites.iter().map(|site| setting.kinds.of(site));
    let sites = kinds.map(|kind| SiteCount { kind, ..SiteCount::default() }).collect();
    let mut played = Played {
        accounts: (0..setting.policies).map(|_| Account::new(pairs, clients)).collect(),
        tracks: vec![Track::default(); pairs],
        sites,
        moves: (setting.policies == 2).then(Moves::default),
        outcomes: [0; 7],
        messages: 0,
        warm_messages: 0,
        warm_until: Time::default(),
        first: Time::default(),
        last: Time::default(),
    };
    let mut days: HashMap<(u32, u16), Day, RandomState> = HashMap::default();
    let warm = Duration::from_secs(u64::from(setting.warm_days) * u64::from(DAY_SECONDS));
    for message in reel.take_messages() {
        if played.messages == 0 {
            played.first = message.time;
            played.warm_until = message.time.after(warm);
        }
        played.messages += 1;
        played.last = message.time;
        played.message(&message, reel, player, setting, &mut days)?;
        if played.messages.is_multiple_of(STEP) {
            progress(played.messages);
        }
    }
    progress(played.messages);
    if let Some(lines) = setting.per_message.take() {
        lines.finish()?;
    }
    Ok(played)
}

impl Played {
    fn message(
        &mut self,
        message: &Message,
        reel: &mut Reel,
        player: &mut Player,
        setting: &mut Setting<'_>,
        days: &mut HashMap<(u32, u16), Day, RandomState>,
    ) -> anyhow::Result<()> {
        let Some(pair) = reel.voices.get(message.voice as usize).map(|voice| voice.pair) else {
            return Ok(());
        };
        let client = reel.pairs.get(pair as usize).map_or(0, |pair| pair.client);
        let Some(site) = self.sites.get_mut(usize::from(message.site)) else { return Ok(()) };
        site.add(message);
        let kind = site.kind;
        if let Some(count) = self.outcomes.get_mut(message.outcome.index()) {
            *count += 1;
        }
        let (day, end) = (message.time.day(), end_of(message, kind));
        let is_first = days.insert((pair, message.site), day) != Some(day);
        let site_name = reel.sites.get(usize::from(message.site)).cloned();
        let Some(observation) = reel.observation(message) else { return Ok(()) };
        if message.time < self.warm_until {
            self.warm_messages += 1;
        } else {
            let judged = player.judge(observation);
            let (time, label) = (message.time, message.label());
            let counted = Counted { who: (pair, client), time, end, label, is_first };
            for (account, judged) in self.accounts.iter_mut().zip(&judged) {
                account.add(&counted, judged);
            }
            if let (Some(moves), [one, other]) = (&mut self.moves, judged.as_slice()) {
                moves.add(pair, time, one, other);
            }
            if let Some(lines) = &mut setting.per_message {
                let line = Line {
                    seq: message.seq().unwrap_or(self.messages),
                    time,
                    site: site_name.as_deref().unwrap_or_default(),
                    ip: observation.ip,
                    name: observation.name.text(),
                    measured: setting.measures.then(|| player.measure(observation)).flatten(),
                };
                lines.line(&line, &judged)?;
            }
        }
        player.learn(observation, kind);
        if let Some(keep) = &mut setting.keep {
            keep.learn(observation, kind)?;
        }
        if let Some(track) = self.tracks.get_mut(pair as usize) {
            track.add(message, end);
        }
        Ok(())
    }
}

impl SiteCount {
    fn add(&mut self, message: &Message) {
        self.messages += 1;
        match message.label() {
            Some(Label::Ham) => self.ham += 1,
            Some(Label::Spam) => self.spam += 1,
            None => {}
        }
    }
}

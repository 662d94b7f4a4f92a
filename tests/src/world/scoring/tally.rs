//! What was said of each sender's mail, and when first what.

use std::collections::BTreeMap;

use helostat_zones::time::Time;
use helostat_zones::verdict::Class as Verdict;

use super::{Draft, World, spared};
use crate::world::class::Class;

/// Cases that are told in full, for each class.
const CASES: usize = 3;

/// What was said of a message.
#[derive(Clone, Debug)]
pub struct Said {
    /// The class.
    pub class: Verdict,
    /// Words with points, heaviest first.
    pub reasons: Vec<(&'static str, i32)>,
}

impl Said {
    /// The reasons on one line.
    pub fn told(&self) -> String {
        let mut text = self.class.to_string();
        for (word, points) in &self.reasons {
            text += &format!(" {word}{points:+}");
        }
        text
    }
}

/// When something was first said of a sender: how long after its first message, and after how many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct After {
    /// Days.
    pub days: f64,
    /// Messages before it.
    pub messages: u32,
}

/// What was said of one sender.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// Messages that were judged.
    pub messages: u32,
    /// The first and the last of them.
    pub seen: Option<(Time, Time)>,
    /// First known or trusted.
    pub known: Option<After>,
    /// First trusted.
    pub trusted: Option<After>,
    /// Its unwanted messages.
    pub spam: u32,
    /// When the first of them came.
    pub spam_from: Option<Time>,
    /// Messages of wanted mail that were suspect.
    pub suspected: u32,
    /// Wanted mail was first listed.
    pub listed: Option<After>,
    /// Unwanted mail was first listed; counted from the first unwanted message.
    pub caught: Option<After>,
    /// The longest time for which one of its pairs was listed without a break, in seconds.
    pub longest: u32,
}

/// What was said in one view.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Messages by class of sender, unwanted and wanted, and verdict from trusted to listed.
    verdicts: [[[u32; 5]; 2]; 24],
    /// By sender.
    pub trails: Vec<Trail>,
    /// Pairs of senders to be spared that are listed now, and since when.
    open: BTreeMap<u32, Time>,
    /// Honest senders that were suspect, in words.
    pub suspects: Vec<(Class, String)>,
    /// Honest senders that were listed, in words; some of each class.
    pub cases: Vec<(Class, String)>,
}

impl Tally {
    pub(super) fn new(world: &World) -> Self {
        Self {
            verdicts: [[[0; 5]; 2]; 24],
            trails: vec![Trail::default(); world.senders.len()],
            open: BTreeMap::new(),
            suspects: Vec::new(),
            cases: Vec::new(),
        }
    }

    /// Takes in what was said of a message.
    pub(super) fn saw(&mut self, world: &World, draft: &Draft, said: Said) {
        let pair = &world.pairs[draft.pair as usize];
        let sender = &world.senders[pair.sender as usize];
        let good = usize::from(draft.good);
        self.verdicts[sender.class.index()][good][said.class as usize] += 1;
        let trail = &mut self.trails[sender.id as usize];
        let (first, _) = trail.seen.unwrap_or((draft.time, draft.time));
        trail.seen = Some((first, draft.time));
        let days = f64::from(draft.time.0 - first.0) / 86_400.0;
        let after = After { days, messages: trail.messages };
        trail.messages += 1;
        if said.class <= Verdict::Known {
            trail.known.get_or_insert(after);
        }
        if said.class == Verdict::Trusted {
            trail.trusted.get_or_insert(after);
        }
        let before = trail.listed;
        if !draft.good {
            let from = *trail.spam_from.get_or_insert(draft.time);
            let days = f64::from(draft.time.0 - from.0) / 86_400.0;
            if said.class == Verdict::Listed {
                trail.caught.get_or_insert(After { days, messages: trail.spam });
            }
            trail.spam += 1;
        } else if said.class == Verdict::Listed {
            trail.listed.get_or_insert(after);
        }
        if !draft.good || !spared(sender.class) {
            return;
        }
        if said.class == Verdict::Suspect && trail.suspected == 0 {
            self.suspects
                .push((sender.class, format!("{} {}: {}", pair.ip, pair.name, said.told())));
        }
        trail.suspected += u32::from(said.class == Verdict::Suspect);
        if said.class != Verdict::Listed {
            return self.ends(world, draft.pair, draft.time);
        }
        self.open.entry(draft.pair).or_insert(draft.time);
        let same = self.cases.iter().filter(|(class, _)| *class == sender.class).count();
        if before.is_none() && same < CASES {
            let text = format!(
                "{} {} after {:.1} days and {} messages of the sender: {}",
                pair.ip,
                pair.name,
                after.days,
                after.messages,
                said.told()
            );
            self.cases.push((sender.class, text));
        }
    }

    /// Pairs that are listed and should not be.
    pub(super) fn listed_now(&self) -> Vec<u32> {
        self.open.keys().copied().collect()
    }

    /// A pair is listed no more.
    pub(super) fn ends(&mut self, world: &World, pair: u32, now: Time) {
        if let Some(since) = self.open.remove(&pair) {
            let trail = &mut self.trails[world.pairs[pair as usize].sender as usize];
            trail.longest = trail.longest.max(now.0 - since.0);
        }
    }

    /// Those that are still listed when the world ends count until then.
    pub(super) fn finish(&mut self, world: &World) {
        for pair in self.listed_now() {
            self.ends(world, pair, world.span.until);
        }
    }

    /// How many messages of a class, wanted or not, were said to be what: trusted, known, new, suspect, listed.
    pub fn verdicts(&self, class: Class, good: bool) -> [u32; 5] {
        self.verdicts[class.index()][usize::from(good)]
    }

    /// The trails of a class's senders that were judged at all.
    pub fn of<'a>(&'a self, world: &'a World, class: Class) -> impl Iterator<Item = &'a Trail> {
        let senders = world.senders.iter().filter(move |sender| sender.class == class);
        senders.map(|one| &self.trails[one.id as usize]).filter(|trail| trail.messages > 0)
    }

    /// Senders of wanted mail that are to be spared, and how many of them were ever listed, and for how many days
    /// at the longest.
    pub fn spared(&self, world: &World, of: impl Fn(Class) -> bool) -> (usize, usize, f64) {
        let (mut all, mut listed, mut longest) = (0, 0, 0);
        for sender in &world.senders {
            let trail = &self.trails[sender.id as usize];
            if !spared(sender.class) || !of(sender.class) || sender.good == 0 || trail.messages == 0
            {
                continue;
            }
            all += 1;
            // Where spam comes through, only listings that hit wanted mail last.
            listed += usize::from(trail.longest > 0);
            longest = longest.max(trail.longest);
        }
        (all, listed, f64::from(longest) / 86_400.0)
    }
}

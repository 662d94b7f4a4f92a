//! Which pairs one policy would have listed or trusted, when, why, for how long, and what became of them afterwards.
//!
//! In go judgements in the order of time; kept is a little for each pair that was ever listed or trusted. A listing is
//! seen at messages only: it begins with the first listed message of a pair and lasts until a message that is not, so
//! its length is that between the first and the last listed message of a run.
//!
//! A *likely false positive* is a pair that would have been listed at a message which the mail server took, and that
//! from then on had [`LATER_MESSAGES`] messages taken on [`LATER_DAYS`] days and was at no time since refused more often than
//! taken. Nobody is sure: it is a list to be looked at.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use helostat_zones::time::{Day, Time};
use helostat_zones::verdict::{Class, ListCode};

use super::tracks::End;
use helostat_zones::replay::Judged;

/// Messages that must have been taken after the listing.
pub const LATER_MESSAGES: u32 = 5;
/// ... on so many different days.
pub const LATER_DAYS: u32 = 3;
/// A listing that lasts longer than this is long.
const LONG_SECONDS: u32 = 86_400;

/// A run of listed messages of a pair, or of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// When the present one began.
    since: Option<Time>,
    /// How long the longest was, in seconds.
    pub longest: u32,
}

impl Runs {
    fn add(&mut self, listed: bool, now: Time) {
        if !listed {
            self.since = None;
            return;
        }
        let since = *self.since.get_or_insert(now);
        self.longest = self.longest.max(now.0.saturating_sub(since.0));
    }
}

/// How messages of one class ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// All.
    pub messages: u32,
    /// Taken.
    pub accepted: u32,
    /// Refused.
    pub rejected: u32,
}

impl Ends {
    fn add(&mut self, end: End) {
        self.messages += 1;
        match end {
            End::Accepted => self.accepted += 1,
            End::Rejected => self.rejected += 1,
            End::Other => {}
        }
    }
}

/// Why a pair was in a class, the first time.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// When.
    pub time: Time,
    /// The score then.
    pub score: u8,
    /// The reasons then.
    pub reasons: Vec<(&'static str, i32)>,
    /// The codes of the block list then.
    pub codes: Vec<ListCode>,
}

impl Cause {
    fn of(judged: &Judged, now: Time) -> Self {
        Self {
            time: now,
            score: judged.score,
            reasons: judged.reasons.clone(),
            codes: judged.listed_for.clone(),
        }
    }
}

/// A pair that was listed at least once.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The first time; of a pair that was taken while listed, the first such time.
    pub cause: Cause,
    /// Messages while listed.
    pub ends: Ends,
    /// How long.
    pub runs: Runs,
    /// Since it was taken while listed, that message included.
    pub later: Option<Later>,
}

/// What became of a pair after a message that would have been refused and was taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Later {
    /// Messages taken after that one.
    pub accepted: u32,
    /// ... on so many days.
    pub days: u32,
    /// Messages refused after that one.
    pub rejected: u32,
    /// The last one that was taken.
    pub last: Time,
    last_day: Option<Day>,
    /// At some time more were refused than taken.
    mostly_refused: bool,
}

impl Later {
    fn add(&mut self, end: End, now: Time) {
        match end {
            End::Accepted => {
                self.accepted += 1;
                self.last = now;
                if self.last_day != Some(now.day()) {
                    self.last_day = Some(now.day());
                    self.days += 1;
                }
            }
            End::Rejected => self.rejected += 1,
            End::Other => {}
        }
        // The message with which it began was taken, too.
        self.mostly_refused |= self.rejected > self.accepted + 1;
    }

    /// Long and good enough for the listing to look like a mistake.
    pub fn looks_honest(&self) -> bool {
        self.accepted >= LATER_MESSAGES && self.days >= LATER_DAYS && !self.mostly_refused
    }
}

/// A pair that was trusted at least once.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// The first time.
    pub cause: Cause,
    /// Messages while trusted.
    pub ends: Ends,
}

/// Everything about pairs and clients by one policy.
#[derive(Debug, Default)]
pub struct Standings {
    listed: HashMap<u32, Listed, RandomState>,
    trusted: HashMap<u32, Trusted, RandomState>,
    clients: HashMap<u32, Runs, RandomState>,
    /// The last class of each pair and client, by their numbers.
    pair_class: Vec<Option<Class>>,
    client_class: Vec<Option<Class>>,
}

impl Standings {
    /// For so many pairs and clients.
    pub fn new(pairs: usize, clients: usize) -> Self {
        Self { pair_class: vec![None; pairs], client_class: vec![None; clients], ..Self::default() }
    }

    /// Adds a message of `pair` and `client`.
    pub fn add(&mut self, (pair, client): (u32, u32), judged: &Judged, end: End, now: Time) {
        if let Some(class) = self.pair_class.get_mut(pair as usize) {
            *class = Some(judged.class);
        }
        let was =
            self.client_class.get_mut(client as usize).and_then(|it| it.replace(judged.class));
        let is_listed = judged.class == Class::Listed;
        if is_listed || was == Some(Class::Listed) {
            self.clients.entry(client).or_default().add(is_listed, now);
        }
        if is_listed {
            self.add_listed(pair, judged, end, now);
        } else if !self.listed.is_empty()
            && let Some(listed) = self.listed.get_mut(&pair)
        {
            listed.runs.add(false, now);
            if let Some(later) = &mut listed.later {
                later.add(end, now);
            }
        }
        if judged.class == Class::Trusted {
            let new = || Trusted { cause: Cause::of(judged, now), ends: Ends::default() };
            self.trusted.entry(pair).or_insert_with(new).ends.add(end);
        }
    }

    fn add_listed(&mut self, pair: u32, judged: &Judged, end: End, now: Time) {
        let listed = self.listed.entry(pair).or_insert_with(|| Listed {
            cause: Cause::of(judged, now),
            ends: Ends::default(),
            runs: Runs::default(),
            later: None,
        });
        listed.ends.add(end);
        listed.runs.add(true, now);
        match &mut listed.later {
            Some(later) => later.add(end, now),
            None if end == End::Accepted => {
                listed.later = Some(Later::default());
                listed.cause = Cause::of(judged, now);
            }
            None => {}
        }
    }

    /// Pairs that were listed, those with most messages then first.
    pub fn listed(&self) -> Vec<(u32, &Listed)> {
        let mut all: Vec<_> = self.listed.iter().map(|(pair, listed)| (*pair, listed)).collect();
        all.sort_by_key(|(pair, listed)| (std::cmp::Reverse(listed.ends.messages), *pair));
        all
    }

    /// Pairs that were trusted, those with most messages then first.
    pub fn trusted(&self) -> Vec<(u32, &Trusted)> {
        let mut all: Vec<_> = self.trusted.iter().map(|(pair, trusted)| (*pair, trusted)).collect();
        all.sort_by_key(|(pair, trusted)| (std::cmp::Reverse(trusted.ends.messages), *pair));
        all
    }

    /// How many clients were listed, and how many of them for more than a day.
    pub fn listed_clients(&self) -> (usize, usize) {
        let long = self.clients.values().filter(|runs| runs.longest > LONG_SECONDS).count();
        (self.clients.len(), long)
    }

    /// Pairs and clients by the class of their last message.
    pub fn last_classes(&self) -> [[usize; 2]; 5] {
        let mut counts = [[0; 2]; 5];
        for (column, all) in [&self.pair_class, &self.client_class].into_iter().enumerate() {
            for class in all.iter().flatten() {
                counts[*class as usize][column] += 1;
            }
        }
        counts
    }

    /// The class of the last message of a pair.
    pub fn last_class(&self, pair: usize) -> Option<Class> {
        self.pair_class.get(pair).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u32 = 86_400;

    fn judged(class: Class) -> Judged {
        Judged {
            class,
            score: 5,
            confidence: 0,
            reasons: vec![("junk", -40)],
            listed_for: Vec::new(),
            logit: 0.0,
        }
    }

    #[test]
    fn listings_begin_and_end_with_messages() {
        let mut standings = Standings::new(1, 1);
        for (hour, class) in [
            (0, Class::New),
            (1, Class::Listed),
            (4, Class::Listed),
            (5, Class::New),
            (6, Class::Listed),
            (31, Class::Listed),
        ] {
            standings.add((0, 0), &judged(class), End::Other, Time(hour * 3600));
        }
        assert_eq!(standings.listed()[0].1.runs.longest, 25 * 3600);
        assert_eq!(standings.listed()[0].1.ends.messages, 4);
        assert_eq!(standings.listed_clients(), (1, 1));
        assert_eq!(standings.last_classes()[Class::Listed as usize], [1, 1]);
    }

    #[test]
    fn a_later_life_makes_a_listing_look_like_a_mistake() {
        // (day, class, end)
        let honest: Vec<_> = (0..6).map(|day| (day, Class::New, End::Accepted)).collect();
        let refused: Vec<_> = (0..9).map(|day| (day, Class::New, End::Rejected)).collect();
        let one_day = vec![(1, Class::New, End::Accepted); 9];
        for (then, later, expected) in [
            (End::Accepted, honest.clone(), true),
            (End::Rejected, honest.clone(), false),
            (End::Accepted, [refused, honest].concat(), false),
            (End::Accepted, one_day, false),
        ] {
            let mut standings = Standings::new(1, 1);
            standings.add((0, 0), &judged(Class::Listed), then, Time(0));
            for (day, class, end) in &later {
                standings.add((0, 0), &judged(*class), *end, Time((day + 1) * DAY));
            }
            let found = standings.listed()[0].1.later.is_some_and(|later| later.looks_honest());
            assert_eq!(found, expected, "{then:?} {later:?}");
        }
    }
}

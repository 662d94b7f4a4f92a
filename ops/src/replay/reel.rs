//! The mail to be played: every message as a few numbers, in one list a log, and what the numbers stand for.
//!
//! In go messages as logs tell them, in the order of reading; out they come in the order of time, those of one second
//! in the order of the logs and of their lines. A name, an address, a reporter is kept once, so a message takes 24
//! octets and 50 million of them 1.2 GB; nothing else grows with their number. A log whose lines are not in the order
//! of time (a table may be in any) is sorted here.
//!
//! A session that is told again with another outcome changes the message that it was, and is none of its own.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use helostat_ingest::heard::{Heard, Label};
use helostat_zones::client::Client;
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, Reporter};
use helostat_zones::time::Time;

/// No reverse name was logged.
const NO_RDNS: u32 = u32::MAX;
/// The table has no number for it.
const NO_SEQ: u64 = u64::MAX;
/// How far back a message is looked for that is told again: no session is longer.
const SESSION_MAX: Duration = Duration::from_secs(86_400);
/// ... and over how many messages.
const SESSIONS_MAX: usize = 100_000;

/// One message, or one connection that brought none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    seq: u64,
    /// When.
    pub time: Time,
    /// Which address with which name: a place in [`Reel::voices`].
    pub voice: u32,
    rdns: u32,
    /// Who saw it: a place in [`Reel::sites`].
    pub site: u16,
    /// How it ended.
    pub outcome: Outcome,
    marks: u8,
}

const BY_US: u8 = 1;
const HAM: u8 = 2;
const SPAM: u8 = 4;

impl Message {
    /// The number that its table gave it.
    pub fn seq(&self) -> Option<u64> {
        (self.seq != NO_SEQ).then_some(self.seq)
    }

    /// What it is known to have been.
    pub fn label(&self) -> Option<Label> {
        match self.marks & (HAM | SPAM) {
            HAM => Some(Label::Ham),
            SPAM => Some(Label::Spam),
            _ => None,
        }
    }

    /// True if an answer of ours refused it then.
    pub fn by_us(&self) -> bool {
        self.marks & BY_US != 0
    }
}

/// An exact address that says a name.
#[derive(Debug)]
pub struct Voice {
    /// Its pair (client, name): a place in [`Reel::pairs`].
    pub pair: u32,
    /// What is told of it; the message fills in the rest.
    observation: Observation,
    rdns: u32,
}

/// A client and a name that it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The client's number.
    pub client: u32,
    /// The first address that it was.
    pub voice: u32,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Reel {
    logs: Vec<Log>,
    /// Each address with each name.
    pub voices: Vec<Voice>,
    /// Each client with each name.
    pub pairs: Vec<Pair>,
    /// Each reporter.
    pub sites: Vec<Reporter>,
    rdns: Vec<Box<str>>,
    clients: HashMap<Client, u32, RandomState>,
    /// For each name the first voice that says it; the place is the name's number.
    names: Vec<u32>,
    name_index: HashTable<u32>,
    voice_index: HashMap<(IpAddr, u32), u32, RandomState>,
    pair_index: HashMap<(u32, u32), u32, RandomState>,
    site_index: HashMap<Reporter, u16, RandomState>,
    rdns_index: HashMap<Box<str>, u32, RandomState>,
    hasher: RandomState,
    last_site: u16,
}

#[derive(Debug, Default)]
struct Log {
    messages: Vec<Message>,
    is_sorted: bool,
}

/// More of something than can be numbered.
#[derive(Debug, thiserror::Error)]
#[error("there are more than {0}: play the logs in parts")]
pub struct TooMany(&'static str);

fn number(of: usize, what: &'static str) -> Result<u32, TooMany> {
    u32::try_from(of).ok().filter(|number| *number != u32::MAX).ok_or(TooMany(what))
}

impl Reel {
    /// Begins a log; gives back its number, by which messages are added to it.
    pub fn begin_log(&mut self) -> usize {
        self.logs.push(Log { messages: Vec::new(), is_sorted: true });
        self.logs.len() - 1
    }

    /// Adds what a log told; nothing without a name.
    pub fn add(&mut self, log: usize, heard: &Heard) -> Result<(), TooMany> {
        let Some(name) = &heard.name else { return Ok(()) };
        let voice = self.voice_of(heard.ip, name, &heard.reporter)?;
        let mut marks = if heard.by_us { BY_US } else { 0 };
        marks |= match heard.label {
            Some(Label::Ham) => HAM,
            Some(Label::Spam) => SPAM,
            None => 0,
        };
        let message = Message {
            seq: heard.seq.unwrap_or(NO_SEQ),
            time: heard.time,
            voice,
            rdns: self.rdns_of(voice, heard.rdns.as_deref())?,
            site: self.site_of(&heard.reporter)?,
            outcome: heard.outcome,
            marks,
        };
        let Some(log) = self.logs.get_mut(log) else { return Ok(()) };
        if let Some(before) = heard.supersedes
            && let Some(told) = log.told_before(&message, before)
        {
            *told = message;
            return Ok(());
        }
        log.is_sorted &= log.messages.last().is_none_or(|last| last.time <= message.time);
        log.messages.push(message);
        Ok(())
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.logs.iter().map(|log| log.messages.len()).sum()
    }

    /// True if there is no message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// How many names there are.
    pub fn names(&self) -> usize {
        self.names.len()
    }

    /// Puts every log in the order of time; gives back the numbers of those that were not.
    pub fn sort(&mut self) -> Vec<usize> {
        let mut unsorted = Vec::new();
        for (place, log) in self.logs.iter_mut().enumerate() {
            if !log.is_sorted {
                log.messages.sort_by_key(|message| message.time);
                log.is_sorted = true;
                unsorted.push(place);
            }
        }
        unsorted
    }

    /// Takes all messages out, in the order of time; after [`Reel::sort`].
    pub fn take_messages(&mut self) -> InOrder {
        InOrder::new(std::mem::take(&mut self.logs))
    }

    /// A message as the judge is told it.
    pub fn observation(&mut self, message: &Message) -> Option<&Observation> {
        let voice = self.voices.get_mut(message.voice as usize)?;
        let observation = &mut voice.observation;
        observation.time = message.time;
        observation.outcome = message.outcome;
        observation.by_us = message.by_us();
        let reporter = self.sites.get(usize::from(message.site))?;
        if !std::sync::Arc::ptr_eq(&observation.reporter, reporter) {
            observation.reporter = reporter.clone();
        }
        if voice.rdns != message.rdns {
            voice.rdns = message.rdns;
            observation.rdns = self.rdns.get(message.rdns as usize).cloned();
        }
        Some(observation)
    }

    /// The address, the name and the last reverse name of a voice.
    pub fn voice(&self, voice: u32) -> Option<(IpAddr, &Name, Option<&str>)> {
        let observation = &self.voices.get(voice as usize)?.observation;
        Some((observation.ip, &observation.name, observation.rdns.as_deref()))
    }

    fn voice_of(&mut self, ip: IpAddr, name: &Name, reporter: &Reporter) -> Result<u32, TooMany> {
        let hash = self.hasher.hash_one(name.text());
        let Self { names, voices, name_index, hasher, .. } = &mut *self;
        let said = |number: &u32| {
            let voice = names.get(*number as usize).and_then(|voice| voices.get(*voice as usize));
            voice.map(|voice| &voice.observation.name)
        };
        let known = name_index.find(hash, |number| said(number) == Some(name)).copied();
        let name_number = match known {
            Some(number) => number,
            None => {
                let new = number(names.len(), "names")?;
                name_index.insert_unique(hash, new, |number| {
                    said(number).map_or(0, |name| hasher.hash_one(name.text()))
                });
                names.push(number(voices.len(), "names")?);
                new
            }
        };
        if let Some(voice) = self.voice_index.get(&(ip, name_number)) {
            return Ok(*voice);
        }
        let voice = number(self.voices.len(), "addresses with names")?;
        let next_client = number(self.clients.len(), "clients")?;
        let client = *self.clients.entry(Client::of(ip)).or_insert(next_client);
        let next_pair = number(self.pairs.len(), "pairs")?;
        let pair = *self.pair_index.entry((client, name_number)).or_insert(next_pair);
        if pair == next_pair {
            self.pairs.push(Pair { client, voice });
        }
        self.voice_index.insert((ip, name_number), voice);
        let observation = Observation {
            time: Time::default(),
            ip,
            name: name.clone(),
            rdns: None,
            outcome: Outcome::None,
            stage: None,
            by_us: false,
            supersedes: None,
            reporter: reporter.clone(),
        };
        self.voices.push(Voice { pair, observation, rdns: NO_RDNS });
        Ok(voice)
    }

    fn rdns_of(&mut self, voice: u32, rdns: Option<&str>) -> Result<u32, TooMany> {
        let Some(rdns) = rdns else { return Ok(NO_RDNS) };
        // Most voices have one reverse name, for as long as they speak.
        let known = self.voices.get(voice as usize).map_or(NO_RDNS, |voice| voice.rdns);
        if self.rdns.get(known as usize).is_some_and(|known| **known == *rdns) {
            return Ok(known);
        }
        let place = match self.rdns_index.get(rdns) {
            Some(place) => *place,
            None => {
                let place = number(self.rdns.len(), "reverse names")?;
                self.rdns.push(rdns.into());
                self.rdns_index.insert(rdns.into(), place);
                place
            }
        };
        if let Some(voice) = self.voices.get_mut(voice as usize) {
            voice.rdns = place;
            voice.observation.rdns = Some(rdns.into());
        }
        Ok(place)
    }

    fn site_of(&mut self, reporter: &Reporter) -> Result<u16, TooMany> {
        if self.sites.get(usize::from(self.last_site)) == Some(reporter) {
            return Ok(self.last_site);
        }
        if let Some(site) = self.site_index.get(reporter) {
            self.last_site = *site;
            return Ok(*site);
        }
        let site = u16::try_from(self.sites.len()).map_err(|_| TooMany("65,535 reporters"))?;
        self.sites.push(reporter.clone());
        self.site_index.insert(reporter.clone(), site);
        self.last_site = site;
        Ok(site)
    }
}

impl Log {
    /// The message that this one was told as before.
    fn told_before(&mut self, now: &Message, outcome: Outcome) -> Option<&mut Message> {
        let earliest = now.time.before(SESSION_MAX);
        let mut recent = self.messages.iter_mut().rev().take(SESSIONS_MAX);
        recent.find(|message| {
            message.voice == now.voice
                && message.site == now.site
                && message.outcome == outcome
                && message.time >= earliest
                && message.time <= now.time
        })
    }
}

/// The messages of several logs, each in order, as one list in order.
pub struct InOrder {
    logs: Vec<std::vec::IntoIter<Message>>,
    /// The next message of each log, the earliest first; of equals the one of the first log.
    next: BinaryHeap<Reverse<(Time, usize)>>,
    waiting: Vec<Option<Message>>,
}

impl InOrder {
    fn new(logs: Vec<Log>) -> Self {
        let mut logs: Vec<_> = logs.into_iter().map(|log| log.messages.into_iter()).collect();
        let waiting: Vec<_> = logs.iter_mut().map(Iterator::next).collect();
        let first = |(place, message): (usize, &Option<Message>)| {
            message.map(|message| Reverse((message.time, place)))
        };
        let next = waiting.iter().enumerate().filter_map(first).collect();
        Self { logs, next, waiting }
    }
}

impl Iterator for InOrder {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let mut first = self.next.peek_mut()?;
        let place = first.0.1;
        let following = self.logs.get_mut(place).and_then(Iterator::next);
        match following {
            Some(message) => first.0.0 = message.time,
            None => drop(std::collections::binary_heap::PeekMut::pop(first)),
        }
        std::mem::replace(self.waiting.get_mut(place)?, following)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(time: u32, ip: &str, name: &str) -> Heard {
        Heard {
            time: Time(time),
            ip: ip.parse().expect(ip),
            name: Some(Name::parse(name.as_bytes())),
            rdns: None,
            proto: None,
            outcome: Outcome::Accepted,
            stage: None,
            reason: None,
            by_us: false,
            supersedes: None,
            apart: None,
            reporter: "mx".into(),
            seq: None,
            label: None,
        }
    }

    #[test]
    fn what_is_told_again_counts_once() {
        let mut reel = Reel::default();
        let log = reel.begin_log();
        let early = heard(5, "192.0.2.7", "a.example.com");
        let other = heard(6, "192.0.2.7", "b.example.com");
        let late = Heard {
            outcome: Outcome::Rejected,
            supersedes: Some(Outcome::Accepted),
            ..early.clone()
        };
        for told in [&early, &other, &late] {
            reel.add(log, told).expect("few");
        }
        assert_eq!(reel.len(), 2);
        let outcomes: Vec<_> = reel.take_messages().map(|message| message.outcome).collect();
        assert_eq!(outcomes, [Outcome::Rejected, Outcome::Accepted]);
    }

    #[test]
    fn who_is_who() {
        let mut reel = Reel::default();
        let log = reel.begin_log();
        for (ip, name) in [
            ("2001:db8::1", "a.example.com"),
            ("2001:db8::2", "A.example.com."),
            ("2001:db8::2", "b.example.com"),
            ("192.0.2.7", "b.example.com"),
        ] {
            let mut one = heard(1, ip, name);
            one.rdns = Some(format!("{name}.test").into());
            reel.add(log, &one).expect("few");
        }
        let counts = (reel.voices.len(), reel.pairs.len(), reel.clients(), reel.names());
        assert_eq!(counts, (4, 3, 2, 2));
        let messages: Vec<_> = reel.take_messages().collect();
        let told = reel.observation(&messages[1]).expect("it is there");
        assert_eq!(told.rdns.as_deref(), Some("A.example.com..test"));
        assert_eq!(told.ip.to_string(), "2001:db8::2");
    }

    proptest! {
        #[test]
        fn in_the_order_of_time_logs_and_lines(
            logs in proptest::collection::vec(proptest::collection::vec(0u32..20, 0..30), 1..5)
        ) {
            let mut reel = Reel::default();
            let mut expected = Vec::new();
            for (rank, times) in logs.iter().enumerate() {
                let log = reel.begin_log();
                for (row, time) in times.iter().enumerate() {
                    let seq = rank * 100 + row;
                    let one = Heard { seq: Some(seq as u64), ..heard(*time, "192.0.2.7", "a") };
                    reel.add(log, &one).expect("few");
                    expected.push((*time, rank, row, Some(seq as u64)));
                }
            }
            expected.sort_unstable();
            let unsorted = reel.sort();
            for (rank, times) in logs.iter().enumerate() {
                prop_assert_eq!(unsorted.contains(&rank), !times.is_sorted());
            }
            let played: Vec<_> = reel.take_messages().map(|message| message.seq()).collect();
            let expected: Vec<_> = expected.into_iter().map(|(.., seq)| seq).collect();
            prop_assert_eq!(played, expected);
        }
    }
}

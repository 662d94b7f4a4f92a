//! What the DNS has said, for as long as it holds; identical questions at once are asked once.
//!
//! In goes a question, out comes an answer whose time to live is what is left of it. An answer past
//! its time stays for another day and stands in when the resolver fails (RFC 8767), marked `Stale`;
//! then the resolver is left alone for the time that a failure holds (RFC 9520). Nothing here waits
//! longer than twice the time limit of a question: once for a place on the wire, once for the answer.
//!
//! Who asks brings a [`Payer`]. Only who puts a question on the wire pays for it; who finds it in memory
//! or joins another's does not. That somebody's budget is empty is no answer for anybody else, so it is
//! not remembered.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use helostat_zones::evidence::lookup::Age;
use helostat_zones::evidence::{
    Answer, DnsName, Failure, Publishing, RecordData, RecordType, System,
};
use moka::Expiry;
use moka::future::Cache;
use prometheus::IntGauge;
use tokio::sync::Semaphore;

use super::config::{LiveConfig, LiveError};
use super::metrics::{Limit, Metrics};
use super::purse::Purse;
use super::rates::Rates;
use super::resolver::{Resolvers, Toll};

/// What an entry costs beyond its names and data, in octets: itself, its times, the map's own (measured).
const ENTRY_BYTES: usize = 400;
/// How often a question is joined whose asker runs out of budget, before it is given up.
const JOINS_MAX: usize = 4;

type Question = (DnsName, RecordType);

/// Asks the resolvers, and remembers.
pub(super) struct Questions {
    resolvers: Resolvers,
    known: Cache<Question, Arc<Known>>,
    wire: Semaphore,
    rates: Rates,
    metrics: Arc<Metrics>,
    config: LiveConfig,
}

/// On whose account a question is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payer<'a> {
    pub(super) purse: &'a Purse,
    pub(super) system: System,
    /// Who asked us; none if we look ahead.
    pub(super) asker: Option<IpAddr>,
}

/// An answer and its times.
#[derive(Debug)]
struct Known {
    answer: Answer,
    /// It holds until then.
    until: Instant,
    /// It may stand in for a failing resolver until then.
    keep_until: Instant,
}

/// What has to be paid for every message about one question.
struct Account<'a> {
    questions: &'a Questions,
    payer: Payer<'a>,
}

impl Toll for Account<'_> {
    fn pay(&self, name: &DnsName, first: bool) -> Result<(), Failure> {
        let Questions { metrics, rates, .. } = self.questions;
        let Payer { purse, system, asker } = self.payer;
        // The first message was paid before the question was begun.
        let limit = match first || purse.take_more(system) {
            true => rates.take(name, asker),
            false => Err(Limit::Client),
        };
        match limit {
            Ok(()) => {
                metrics.sent.inc();
                Ok(())
            }
            Err(limit) => {
                metrics.dropped(limit);
                Err(Failure::Budget)
            }
        }
    }
}

impl Questions {
    pub(super) fn new(config: &LiveConfig, metrics: Arc<Metrics>) -> Result<Self, LiveError> {
        let resolvers = Resolvers::new(config)?;
        let known = Cache::builder()
            .max_capacity(config.question_cache_bytes)
            .weigher(|question: &Question, known: &Arc<Known>| weight(question, known))
            .expire_after(ByKeep)
            .build();
        Ok(Self {
            resolvers,
            known,
            wire: Semaphore::new(config.questions_at_once),
            rates: Rates::new(config),
            metrics,
            config: config.clone(),
        })
    }

    /// The answer, from memory or from the wire. Callers with the same question share one.
    pub(super) async fn ask(
        &self,
        name: &DnsName,
        kind: RecordType,
        publishing: Publishing,
        payer: Payer<'_>,
    ) -> Answer {
        let question = (name.clone(), kind);
        for _ in 0..JOINS_MAX {
            let old = self.known.get(&question).await;
            let now = Instant::now();
            if let Some(known) = old.as_ref().filter(|known| known.holds(now)) {
                self.metrics.cache_hits.inc();
                return self.handed_out(known, now);
            }
            // In memory of its own: the rules of every system hold the future of a question, and most
            // of their questions are not on the wire at any moment.
            if let Some(answer) = Box::pin(self.join(&question, publishing, payer, old)).await {
                return answer;
            }
        }
        Answer::Failed(Failure::Budget)
    }

    /// Puts the question on the wire, or waits for who did; `None` if that one had no budget left.
    async fn join(
        &self,
        question: &Question,
        publishing: Publishing,
        payer: Payer<'_>,
        old: Option<Arc<Known>>,
    ) -> Option<Answer> {
        let Some(coin) = payer.purse.take(payer.system).await else {
            self.metrics.dropped(Limit::Client);
            return Some(Answer::Failed(Failure::Budget));
        };
        let account = Account { questions: self, payer };
        let fetch = self.fetch(question, publishing, old, &account);
        let outdated = |known: &Arc<Known>| !known.holds(Instant::now());
        let entry = self.known.entry_by_ref(question).or_insert_with_if(fetch, outdated).await;
        let answer = self.handed_out(entry.value(), Instant::now());
        if entry.is_fresh() {
            coin.spend();
            return Some(answer);
        }
        // Another's budget was empty, or it went away: ours may do.
        Some(answer).filter(|answer| *answer != Answer::Failed(Failure::Budget))
    }

    fn handed_out(&self, known: &Known, now: Instant) -> Answer {
        let left = known.until.saturating_duration_since(now);
        let mut answer = known.answer.clone();
        let age = match &mut answer {
            Answer::Found(found) => {
                found.ttl = left;
                found.age
            }
            Answer::Absent(absent) => {
                absent.ttl = left;
                absent.age
            }
            Answer::Failed(_) => Age::Fresh,
        };
        if age == Age::Stale {
            self.metrics.stale.inc();
        }
        answer
    }

    async fn fetch(
        &self,
        (name, kind): &Question,
        publishing: Publishing,
        old: Option<Arc<Known>>,
        account: &Account<'_>,
    ) -> Arc<Known> {
        let answer = self.ask_wire(name, *kind, publishing, account).await;
        let now = Instant::now();
        let hold = match &answer {
            Answer::Found(found) => found.ttl,
            Answer::Absent(absent) => absent.ttl,
            Answer::Failed(Failure::Budget) => Duration::ZERO,
            Answer::Failed(_) => self.config.holds.failure,
        };
        let until = now + hold;
        if !matches!(answer, Answer::Failed(_)) {
            return Arc::new(Known { answer, until, keep_until: until + self.config.holds.stale });
        }
        match old.as_deref().and_then(|old| old.stale(now)) {
            Some((answer, keep_until)) => Arc::new(Known { answer, until, keep_until }),
            None => Arc::new(Known { answer, until, keep_until: until }),
        }
    }

    /// Asks the resolvers, within our limits.
    async fn ask_wire(
        &self,
        name: &DnsName,
        kind: RecordType,
        publishing: Publishing,
        account: &Account<'_>,
    ) -> Answer {
        let place = tokio::time::timeout(self.config.question_timeout, self.wire.acquire()).await;
        let Ok(Ok(_place)) = place else {
            self.metrics.dropped(Limit::AtOnce);
            return Answer::Failed(Failure::Budget);
        };
        let _counted = InFlight::begin(&self.metrics.in_flight);
        let answer = self.resolvers.ask(name, kind, publishing, account).await;
        self.metrics.question(&answer);
        answer
    }
}

impl Known {
    fn holds(&self, now: Instant) -> bool {
        now < self.until
    }

    /// The answer as a stand-in, if it is an answer and not too old.
    fn stale(&self, now: Instant) -> Option<(Answer, Instant)> {
        let mut answer = self.answer.clone();
        match &mut answer {
            Answer::Found(found) => found.age = Age::Stale,
            Answer::Absent(absent) => absent.age = Age::Stale,
            Answer::Failed(_) => return None,
        }
        (now < self.keep_until).then_some((answer, self.keep_until))
    }
}

/// Counts a question while it is on the wire, however it ends.
struct InFlight<'a>(&'a IntGauge);

impl<'a> InFlight<'a> {
    fn begin(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Entries leave when they cannot even stand in any more.
struct ByKeep;

impl Expiry<Question, Arc<Known>> for ByKeep {
    fn expire_after_create(
        &self,
        _: &Question,
        known: &Arc<Known>,
        now: Instant,
    ) -> Option<Duration> {
        Some(known.keep_until.max(known.until).saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        _: &Question,
        known: &Arc<Known>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(known.keep_until.max(known.until).saturating_duration_since(now))
    }
}

/// What an entry costs in memory, in octets.
fn weight((name, _): &Question, known: &Known) -> u32 {
    let data: usize = match &known.answer {
        Answer::Found(found) => {
            name_bytes(&found.owner) + found.records.iter().map(data_bytes).sum::<usize>()
        }
        Answer::Absent(absent) => {
            name_bytes(&absent.owner) + absent.zone.as_ref().map_or(0, name_bytes)
        }
        Answer::Failed(_) => 0,
    };
    u32::try_from(ENTRY_BYTES + name_bytes(name) + data).unwrap_or(u32::MAX)
}

/// Its octets, and what every piece of memory costs.
fn name_bytes(name: &DnsName) -> usize {
    name.wire_len() + 16
}

fn data_bytes(data: &RecordData) -> usize {
    let own = size_of::<RecordData>();
    own + match data {
        RecordData::A(_) | RecordData::Aaaa(_) => 0,
        RecordData::Ptr(name)
        | RecordData::Mx { exchange: name, .. }
        | RecordData::Srv { target: name, .. } => name_bytes(name),
        RecordData::Rp { mailbox, text } => name_bytes(mailbox) + name_bytes(text),
        RecordData::Txt(strings) => strings.iter().map(|string| string.len() + 32).sum(),
        RecordData::Apl(octets) | RecordData::Private(_, octets) => octets.len() + 16,
    }
}

//! What the DNS has said, for as long as it holds; identical questions at once are asked once.
//!
//! In goes a question, out comes an answer whose time to live is what is left of it. An answer past
//! its time stays for another day and stands in when the resolver fails (RFC 8767), marked `Stale`;
//! then the resolver is left alone for the time that a failure holds (RFC 9520). Nothing here waits
//! longer than twice the time limit of a question: once for a place on the wire, once for the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use helostat_zones::evidence::lookup::Age;
use helostat_zones::evidence::{Answer, DnsName, Failure, Publishing, RecordData, RecordType};
use moka::Expiry;
use moka::future::Cache;
use prometheus::IntGauge;
use tokio::sync::Semaphore;

use super::budget::DomainBudget;
use super::config::{LiveConfig, LiveError};
use super::metrics::{Limit, Metrics};
use super::resolver::Resolvers;

/// How long a question is left alone that one of our own limits kept from being asked: short, since
/// the DNS did nothing wrong.
const BUDGET_HOLD: Duration = Duration::from_secs(1);
/// What an entry costs beyond its names and data, in bytes: two keys, times, the map's own.
const ENTRY_BYTES: usize = 300;

type Question = (DnsName, RecordType);

/// Asks the resolvers, and remembers.
pub(super) struct Questions {
    resolvers: Resolvers,
    known: Cache<Question, Arc<Known>>,
    wire: Semaphore,
    domains: DomainBudget,
    metrics: Arc<Metrics>,
    config: LiveConfig,
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

impl Questions {
    pub(super) fn new(config: &LiveConfig, metrics: Arc<Metrics>) -> Result<Self, LiveError> {
        let resolvers = Resolvers::new(&config.resolvers, config.question_timeout, config.holds)?;
        let known = Cache::builder()
            .max_capacity(config.question_cache_bytes)
            .weigher(|question: &Question, known: &Arc<Known>| weight(question, known))
            .expire_after(ByKeep)
            .build();
        Ok(Self {
            resolvers,
            known,
            wire: Semaphore::new(config.questions_at_once),
            domains: DomainBudget::new(config.questions_per_domain),
            metrics,
            config: config.clone(),
        })
    }

    /// The answer from memory, if it still holds.
    pub(super) async fn recall(&self, name: &DnsName, kind: RecordType) -> Option<Answer> {
        let known = self.known.get(&(name.clone(), kind)).await?;
        let now = Instant::now();
        if !known.holds(now) {
            return None;
        }
        self.metrics.cache_hits.inc();
        Some(self.handed_out(&known, now))
    }

    /// The answer, from memory or from the wire. Callers with the same question share one.
    pub(super) async fn ask(
        &self,
        name: &DnsName,
        kind: RecordType,
        publishing: Publishing,
    ) -> Answer {
        let question = (name.clone(), kind);
        let old = self.known.get(&question).await;
        let entry = self
            .known
            .entry_by_ref(&question)
            .or_insert_with_if(self.fetch(name, kind, publishing, old), |known| {
                !known.holds(Instant::now())
            })
            .await;
        self.handed_out(entry.value(), Instant::now())
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
        name: &DnsName,
        kind: RecordType,
        publishing: Publishing,
        old: Option<Arc<Known>>,
    ) -> Arc<Known> {
        let answer = self.ask_wire(name, kind, publishing).await;
        let now = Instant::now();
        let hold = match &answer {
            Answer::Found(found) => found.ttl,
            Answer::Absent(absent) => absent.ttl,
            Answer::Failed(Failure::Budget) => BUDGET_HOLD,
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
    async fn ask_wire(&self, name: &DnsName, kind: RecordType, publishing: Publishing) -> Answer {
        if !self.domains.take(name) {
            self.metrics.dropped(Limit::Domain);
            return Answer::Failed(Failure::Budget);
        }
        let place = tokio::time::timeout(self.config.question_timeout, self.wire.acquire()).await;
        let Ok(Ok(_place)) = place else {
            self.metrics.dropped(Limit::Questions);
            return Answer::Failed(Failure::Budget);
        };
        let _counted = InFlight::begin(&self.metrics.in_flight);
        let answer = self.resolvers.ask(name, kind, publishing).await;
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

fn weight((name, _): &Question, known: &Known) -> u32 {
    let data: usize = match &known.answer {
        Answer::Found(found) => {
            found.owner.wire_len() * 2 + found.records.iter().map(data_bytes).sum::<usize>()
        }
        Answer::Absent(absent) => absent.owner.wire_len() * 2,
        Answer::Failed(_) => 0,
    };
    // A label costs its octets and a pointer, hence the factor.
    u32::try_from(ENTRY_BYTES + name.wire_len() * 2 + data).unwrap_or(u32::MAX)
}

fn data_bytes(data: &RecordData) -> usize {
    let own = size_of::<RecordData>();
    own + match data {
        RecordData::A(_) | RecordData::Aaaa(_) => 0,
        RecordData::Ptr(name)
        | RecordData::Mx { exchange: name, .. }
        | RecordData::Srv { target: name, .. } => name.wire_len() * 2,
        RecordData::Rp { mailbox, text } => (mailbox.wire_len() + text.wire_len()) * 2,
        RecordData::Txt(strings) => strings.iter().map(|string| string.len() + 16).sum(),
        RecordData::Apl(octets) | RecordData::Private(_, octets) => octets.len(),
    }
}

//! How many questions may be asked in a second: in total, about one domain, on behalf of one asker.
//!
//! Never a weapon against a stranger's name servers: a thousand made-up names below one domain are a
//! thousand questions to its servers, whoever made them up. So questions are counted per registrable
//! domain, and for reverse names per network (IPv4 /24, IPv6 /48). One that asks us can cause no more
//! than its share, and all together no more than the resolver can bear.
//!
//! In no second, wherever it begins, are more questions asked than the limit says; over many seconds it
//! is a little less, since time is cut into tenths of a second.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use helostat_zones::client::Client;
use helostat_zones::evidence::DnsName;
use helostat_zones::name::Name;
use moka::sync::Cache;
use parking_lot::Mutex;

use super::config::LiveConfig;
use super::metrics::Limit;

/// What was not asked for so long has asked nothing, and need not be remembered.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(2);
/// Into what a second is cut.
const SLICE: Duration = Duration::from_millis(100);
/// So many slices hold every second that ends in the last of them.
const SLICES: usize = 11;
/// The most domains, and the most askers, that are counted at once; beyond that, rarely asked ones are
/// forgotten.
const COUNTED_MAX: u64 = 100_000;
/// `2.0.192.in-addr.arpa` is a /24: two labels, and one per octet.
const V4_DEPTH: usize = 2 + 3;
/// Two labels, and one per nibble of a /48.
const V6_DEPTH: usize = 2 + 12;

/// The rates that hold for all questions.
pub(super) struct Rates {
    start: Instant,
    total: Rate,
    per_second: u32,
    domains: RateOfEach<Box<str>>,
    askers: RateOfEach<Client>,
}

impl Rates {
    pub(super) fn new(config: &LiveConfig) -> Self {
        Self {
            start: Instant::now(),
            total: Rate::default(),
            per_second: config.questions_per_second,
            domains: RateOfEach::new(config.questions_per_domain),
            askers: RateOfEach::new(config.questions_per_asker),
        }
    }

    /// Takes one question about `name`, on behalf of `asker`; or says which limit forbids it.
    pub(super) fn take(&self, name: &DnsName, asker: Option<IpAddr>) -> Result<(), Limit> {
        self.take_at(self.start.elapsed(), name, asker)
    }

    fn take_at(&self, now: Duration, name: &DnsName, asker: Option<IpAddr>) -> Result<(), Limit> {
        let slice = u64::try_from(now.as_millis() / SLICE.as_millis()).unwrap_or(u64::MAX);
        if let Some(asker) = asker
            && !self.askers.take(Client::of(asker), slice)
        {
            return Err(Limit::Asker);
        }
        if !self.domains.take(target(name), slice) {
            return Err(Limit::Domain);
        }
        if !self.total.take(self.per_second, slice) {
            return Err(Limit::Total);
        }
        Ok(())
    }
}

/// A rate for each of many.
struct RateOfEach<K> {
    per_second: u32,
    known: Cache<K, Arc<Rate>>,
}

impl<K: Hash + Eq + Send + Sync + 'static> RateOfEach<K> {
    fn new(per_second: u32) -> Self {
        let builder = Cache::builder().max_capacity(COUNTED_MAX).time_to_idle(FORGOTTEN_AFTER);
        Self { per_second, known: builder.build() }
    }

    fn take(&self, key: K, slice: u64) -> bool {
        self.known.get_with(key, Arc::default).take(self.per_second, slice)
    }
}

/// How many questions were taken in each of the last slices.
#[derive(Debug, Default)]
struct Rate(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    /// The last slice that is counted here, since the beginning.
    last: u64,
    /// A slice is counted at the place that is its number modulo their number.
    counts: [u32; SLICES],
    sum: u32,
}

impl Rate {
    fn take(&self, per_second: u32, slice: u64) -> bool {
        let mut taken = self.0.lock();
        taken.advance(slice);
        if taken.sum >= per_second {
            return false;
        }
        taken.sum += 1;
        let place = place_of(taken.last);
        taken.counts[place] += 1;
        true
    }
}

impl Taken {
    /// Forgets what is older than a second; a slice before the last counts as the last.
    fn advance(&mut self, slice: u64) {
        let passed = slice.saturating_sub(self.last).min(SLICES as u64);
        for step in 1..=passed {
            let place = place_of(slice - passed + step);
            self.sum -= std::mem::take(&mut self.counts[place]);
        }
        self.last = self.last.max(slice);
    }
}

fn place_of(slice: u64) -> usize {
    usize::try_from(slice % SLICES as u64).unwrap_or_default()
}

/// Whose name servers a question for `name` burdens.
fn target(name: &DnsName) -> Box<str> {
    let text = name.to_string();
    if text.ends_with(".in-addr.arpa.") {
        return name.ancestor(V4_DEPTH).to_string().into();
    }
    if text.ends_with(".ip6.arpa.") {
        return name.ancestor(V6_DEPTH).to_string().into();
    }
    let said = Name::parse(text.as_bytes());
    // A name that no client could say: its last two labels stand for the domain.
    said.family().map_or_else(|| name.ancestor(2).to_string().into(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_counted_where_they_burden_somebody() {
        for (name, expected) in [
            ("mail.example.co.uk.", "example.co.uk"),
            ("_client._smtp.a.b.example.com.", "example.com"),
            ("7.2.0.192.in-addr.arpa.", "2.0.192.in-addr.arpa."),
            ("_send._smtp._srv.192.in-addr.arpa.", "_smtp._srv.192.in-addr.arpa."),
            ("1.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", "0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
            ("localhost.", "localhost."),
        ] {
            let asked = DnsName::parse(name).expect(name);
            assert_eq!(&*target(&asked), expected, "{name}");
        }
    }

    #[test]
    fn no_second_sees_more_than_the_rate() {
        let rate = Rate::default();
        let taken = |slice| (0..100).filter(|_| rate.take(10, slice)).count();
        assert_eq!(taken(5), 10, "all at once");
        assert_eq!(taken(15), 0, "a second later some of it may still be within a second");
        assert_eq!(taken(16), 10);
        assert_eq!(taken(3), 0, "a clock that goes back gives nothing");
        assert_eq!(taken(36_000), 10, "no more after an hour");
    }

    #[test]
    fn a_steady_stream_passes() {
        let rate = Rate::default();
        let passed = (0..1000).filter(|slice| rate.take(10, *slice)).count();
        assert!(passed >= 900, "one in each tenth of a second at ten a second: {passed}");
    }

    #[test]
    fn a_domain_and_an_asker_run_out_alone() {
        let config = LiveConfig {
            questions_per_domain: 2,
            questions_per_asker: 4,
            questions_per_second: 7,
            ..LiveConfig::default()
        };
        let rates = Rates::new(&config);
        let asker = |text: &str| Some(text.parse().expect("an address"));
        let take = |name: &str, asker| {
            let name = DnsName::parse(name).expect("a name");
            rates.take_at(Duration::ZERO, &name, asker).map_err(Limit::word)
        };
        assert_eq!(take("a.example.com.", None), Ok(()));
        assert_eq!(take("b.example.com.", None), Ok(()));
        assert_eq!(take("c.example.com.", None), Err("questions-per-domain"));
        for name in ["a.", "b.", "c.", "d."] {
            assert_eq!(take(name, asker("192.0.2.1")), Ok(()));
        }
        assert_eq!(take("e.", asker("192.0.2.1")), Err("questions-per-asker"));
        assert_eq!(take("e.", asker("192.0.2.2")), Ok(()));
        assert_eq!(take("f.", None), Err("questions-per-second"));
    }
}

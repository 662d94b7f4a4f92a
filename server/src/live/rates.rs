//! How many questions may be asked in a second: in total, about one domain, on behalf of one asker.
//!
//! Never a weapon against a stranger's name servers: a thousand made-up names below one domain are a
//! thousand questions to its servers, whoever made them up. So questions are counted per registrable
//! domain, and for reverse names per network (IPv4 /24, IPv6 /48). One that asks us can cause no more
//! than its share, and all together no more than the resolver can bear.
//!
//! Each count is a bucket that holds one second's worth and fills steadily, so that a burst passes and
//! a flood does not: no second sees more than twice the rate, and many seconds see the rate.

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

/// A bucket that was not asked for so long is full, and need not be remembered.
const FULL_AFTER: Duration = Duration::from_secs(5);
/// The most domains, and the most askers, that are counted at once; beyond that, rarely asked ones are
/// forgotten.
const COUNTED_MAX: u64 = 100_000;
/// `2.0.192.in-addr.arpa` is a /24: two labels, and one per octet.
const V4_DEPTH: usize = 2 + 3;
/// Two labels, and one per nibble of a /48.
const V6_DEPTH: usize = 2 + 12;

/// The rates that hold for all questions.
pub(super) struct Rates {
    total: Bucket,
    per_second: f64,
    domains: Buckets<Box<str>>,
    askers: Buckets<Client>,
}

impl Rates {
    pub(super) fn new(config: &LiveConfig) -> Self {
        Self {
            total: Bucket::full(f64::from(config.questions_per_second)),
            per_second: f64::from(config.questions_per_second),
            domains: Buckets::new(config.questions_per_domain),
            askers: Buckets::new(config.questions_per_asker),
        }
    }

    /// Takes one question about `name`, on behalf of `asker`; or says which limit forbids it.
    pub(super) fn take(&self, name: &DnsName, asker: Option<IpAddr>) -> Result<(), Limit> {
        let now = Instant::now();
        if let Some(asker) = asker
            && !self.askers.take(Client::of(asker), now)
        {
            return Err(Limit::Asker);
        }
        if !self.domains.take(target(name), now) {
            return Err(Limit::Domain);
        }
        if !self.total.take(self.per_second, now) {
            return Err(Limit::Total);
        }
        Ok(())
    }
}

/// A bucket for each of many.
struct Buckets<K> {
    per_second: f64,
    known: Cache<K, Arc<Bucket>>,
}

impl<K: Hash + Eq + Send + Sync + 'static> Buckets<K> {
    fn new(per_second: u32) -> Self {
        let known = Cache::builder().max_capacity(COUNTED_MAX).time_to_idle(FULL_AFTER).build();
        Self { per_second: f64::from(per_second), known }
    }

    fn take(&self, key: K, now: Instant) -> bool {
        let full = || Arc::new(Bucket::full(self.per_second));
        self.known.get_with(key, full).take(self.per_second, now)
    }
}

/// What is left, and when that was true.
#[derive(Debug)]
struct Bucket(Mutex<(f64, Instant)>);

impl Bucket {
    fn full(per_second: f64) -> Self {
        Self(Mutex::new((per_second, Instant::now())))
    }

    fn take(&self, per_second: f64, now: Instant) -> bool {
        let mut state = self.0.lock();
        let (left, since) = *state;
        let filled = left + now.saturating_duration_since(since).as_secs_f64() * per_second;
        let filled = filled.min(per_second);
        let taken = filled >= 1.0;
        *state = (if taken { filled - 1.0 } else { filled }, now.max(since));
        taken
    }
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
    fn a_bucket_holds_a_second_and_fills_with_time() {
        let bucket = Bucket::full(10.0);
        let start = Instant::now();
        let taken = |now: Instant| (0..100).filter(|_| bucket.take(10.0, now)).count();
        assert_eq!(taken(start), 10, "a burst");
        assert_eq!(taken(start + Duration::from_millis(500)), 5, "half a second's worth");
        assert_eq!(taken(start), 0, "a clock that stands still, or goes back, gives nothing");
        assert_eq!(taken(start + Duration::from_secs(3600)), 10, "no more than it holds");
    }

    #[test]
    fn a_domain_and_an_asker_run_out_alone() {
        let config = LiveConfig {
            questions_per_domain: 2,
            questions_per_asker: 4,
            questions_per_second: 100,
            ..LiveConfig::default()
        };
        let rates = Rates::new(&config);
        let asker = |text: &str| Some(text.parse().expect("an address"));
        let take = |name: &str, asker| {
            rates.take(&DnsName::parse(name).expect("a name"), asker).map_err(Limit::word)
        };
        assert_eq!(take("a.example.com.", None), Ok(()));
        assert_eq!(take("b.example.com.", None), Ok(()));
        assert_eq!(take("c.example.com.", None), Err("questions-per-domain"));
        for name in ["a.", "b.", "c.", "d."] {
            assert_eq!(take(name, asker("192.0.2.1")), Ok(()));
        }
        assert_eq!(take("e.", asker("192.0.2.1")), Err("questions-per-asker"));
        assert_eq!(take("e.", asker("192.0.2.2")), Ok(()));
    }
}

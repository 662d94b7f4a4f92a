//! How many questions may be asked about one domain: never a weapon against a stranger's name servers.
//!
//! A thousand made-up names below one domain are a thousand questions to its servers, whoever made
//! them up. So questions are counted per registrable domain, and for reverse names per IPv4 /16 and
//! IPv6 /32, over a minute that begins with the first question.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use helostat_zones::evidence::DnsName;
use helostat_zones::name::Name;
use moka::sync::Cache;

/// The span over which questions are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// The most domains that are counted at once; beyond that, rarely asked ones are forgotten.
const DOMAINS_MAX: u64 = 100_000;
/// `2.0.192.in-addr.arpa` is a /24: two labels, and one per octet.
const V4_DEPTH: usize = 2 + 2;
/// Two labels, and one per nibble.
const V6_DEPTH: usize = 2 + 8;

/// The counts of the present minute.
#[derive(Debug)]
pub(super) struct DomainBudget {
    per_minute: u32,
    counts: Cache<Box<str>, Arc<AtomicU32>>,
}

impl DomainBudget {
    pub(super) fn new(per_minute: u32) -> Self {
        let counts = Cache::builder().max_capacity(DOMAINS_MAX).time_to_live(WINDOW).build();
        Self { per_minute, counts }
    }

    /// Takes one question about `name`; false if there is none left.
    pub(super) fn take(&self, name: &DnsName) -> bool {
        let count = self.counts.get_with(target(name), Arc::default);
        count.fetch_add(1, Ordering::Relaxed) < self.per_minute
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
            ("7.2.0.192.in-addr.arpa.", "0.192.in-addr.arpa."),
            ("0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa."),
            ("localhost.", "localhost."),
        ] {
            let asked = DnsName::parse(name).expect(name);
            assert_eq!(&*target(&asked), expected, "{name}");
        }
    }

    #[test]
    fn a_domain_runs_out_alone() {
        let budget = DomainBudget::new(2);
        let name = |text: &str| DnsName::parse(text).expect("a name");
        let taken: Vec<bool> =
            ["a.example.com.", "b.example.com.", "c.example.com.", "a.example.net."]
                .map(|text| budget.take(&name(text)))
                .to_vec();
        assert_eq!(taken, [true, true, false, true]);
    }
}

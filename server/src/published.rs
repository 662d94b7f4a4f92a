//! What is published of clients: the codes that the zones of addresses say, in a table that no writer ever holds up.
//!
//! In: codes of IPv4 clients with the moment until which they hold, and what of the ledger changed. Out: for an address either
//! codes that hold, or that nothing was ever seen of it, or that somebody has to judge. Nothing fails.
//!
//! - Every IPv4 client of the ledger has its place, so an address without one is known to be unknown.
//! - What is put in was judged because somebody asked, or ahead ([`crate::publisher`]). It is said until time alone may change it, for at most [`KEPT`], or
//!   until a commit touches its network: a neighbour counts, too. What depends on the name elsewhere comes with [`KEPT`] at
//!   the latest.
//! - Networks are spread over shards; a shard is a slice that never changes but is replaced whole, by pointer. So a
//!   change costs a copy of some hundred octets, and a table of ten million clients costs nothing at rest. Its clients are in
//!   the order of a product of their addresses, so that the place of one is nearly known: of what a look-up costs, most is
//!   waiting for memory.
//!
//! Twenty octets a client. Not done here: IPv6, of which the findings depend on the address and not on the client alone; and
//! judging, which is [`crate::ledger_judge`]'s.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use helostat_zones::answer::Codes;
use helostat_zones::client::Client;
use helostat_zones::time::Time;

/// The longest time for which codes are said without being judged again.
const KEPT: Duration = Duration::from_secs(300);
/// The shards: a power of two, so that of a million clients each has some fifteen.
const SHARDS: usize = 1 << 16;

/// The table.
pub(crate) struct Published {
    shards: Box<[ArcSwap<Shard>]>,
    /// Every client of the ledger has its place.
    complete: AtomicBool,
}

/// The clients of some networks.
#[derive(Clone, Debug, Default)]
struct Shard {
    /// How often the ledger changed something of these.
    changes: u32,
    /// In the order of [`spread`].
    entries: Box<[Entry]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    ip: u32,
    /// The first moment at which somebody has to judge it.
    again: Time,
    /// Until when the codes hold.
    until: Time,
    codes: Codes,
}

/// Of the clients of some shards.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) clients: usize,
    pub(crate) listed: usize,
    /// Judged just now.
    pub(crate) judged: usize,
}

/// What the table knows of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// These codes, which hold until then.
    Said(Codes, Time),
    /// The ledger has never seen it.
    NeverSeen,
}

/// Taken before judging, so that what was judged does not bury a change that came meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    ip: u32,
    changes: u32,
}

impl Published {
    /// An empty one, in which nothing is known yet.
    pub(crate) fn new() -> Self {
        let none = Arc::new(Shard::default());
        let shards = (0..SHARDS).map(|_| ArcSwap::new(Arc::clone(&none))).collect();
        Self { shards, complete: AtomicBool::new(false) }
    }

    /// From now on every client of the ledger has its place.
    pub(crate) fn is_complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// What is known of an address, unless somebody has to judge it.
    pub(crate) fn get(&self, ip: Ipv4Addr, now: Time) -> Option<Standing> {
        let ip = u32::from(ip);
        // Before the shard: whoever has no place then has none because it was never seen.
        let is_complete = self.complete.load(Ordering::Acquire);
        let shard = self.shards.get(shard_of(ip))?.load();
        match shard.find(ip) {
            Some(entry) => (now < entry.again).then_some(Standing::Said(entry.codes, entry.until)),
            None => is_complete.then_some(Standing::NeverSeen),
        }
    }

    /// What was said of a client last, whether that still holds or not.
    pub(crate) fn last(&self, ip: Ipv4Addr) -> Option<Codes> {
        let ip = u32::from(ip);
        let shard = self.shards.get(shard_of(ip))?.load();
        shard.find(ip).filter(|entry| entry.until > Time::default()).map(|entry| entry.codes)
    }

    /// A mark for [`Published::put`].
    pub(crate) fn mark(&self, ip: Ipv4Addr) -> Mark {
        let ip = u32::from(ip);
        Mark { ip, changes: self.shards.get(shard_of(ip)).map_or(0, |shard| shard.load().changes) }
    }

    /// Keeps what was judged of a client that has a place; but if its shard has changed since the mark, it is judged
    /// once more by whoever asks next.
    pub(crate) fn put(&self, mark: Mark, codes: Codes, until: Time, now: Time) {
        let entry = Entry { ip: mark.ip, again: until.min(now.after(KEPT)), until, codes };
        let Some(place) = self.shards.get(shard_of(entry.ip)) else { return };
        let mut shard = place.load();
        while shard.changes == mark.changes && shard.find(entry.ip).is_some_and(|it| *it != entry) {
            let before = place.compare_and_swap(&*shard, Arc::new(shard.with(entry)));
            if Arc::ptr_eq(&before, &shard) {
                return;
            }
            shard = before;
        }
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> std::ops::Range<usize> {
        0..self.shards.len()
    }

    /// Those clients of a shard who have to be judged before this moment.
    pub(crate) fn due(&self, shard: usize, before: Time) -> Vec<Ipv4Addr> {
        let Some(shard) = self.shards.get(shard) else { return Vec::new() };
        let shard = shard.load();
        let due = shard.entries.iter().filter(|entry| entry.again < before);
        due.map(|entry| entry.ip.into()).collect()
    }

    /// How many clients a shard has, and how many of them are listed.
    pub(crate) fn count(&self, shard: usize) -> Counts {
        let Some(shard) = self.shards.get(shard) else { return Counts::default() };
        let shard = shard.load();
        let listed = shard.entries.iter().filter(|entry| entry.codes.is_listed()).count();
        Counts { clients: shard.entries.len(), listed, judged: 0 }
    }

    /// The ledger has forgotten a client: it has no place from now on, unless its shard has changed since the mark.
    pub(crate) fn forget(&self, mark: Mark) {
        let Some(place) = self.shards.get(shard_of(mark.ip)) else { return };
        let shard = place.load();
        if shard.changes == mark.changes {
            // In vain if somebody else was faster: the next round comes.
            place.compare_and_swap(&*shard, Arc::new(shard.without(mark.ip)));
        }
    }

    /// The ledger changed something of these clients: they have a place from now on, and their networks are judged
    /// once more.
    pub(crate) fn touch(&self, clients: &[Client]) {
        let mut ips: Vec<u32> = clients.iter().filter_map(|client| v4(*client)).collect();
        ips.sort_unstable_by_key(|ip| (shard_of(*ip), *ip));
        ips.dedup();
        for ips in ips.chunk_by(|a, b| shard_of(*a) == shard_of(*b)) {
            let shard = ips.first().and_then(|ip| self.shards.get(shard_of(*ip)));
            if let Some(shard) = shard {
                shard.rcu(|shard| shard.touched(ips));
            }
        }
    }

    /// Anything may have changed: everybody is judged once more.
    pub(crate) fn touch_all(&self) {
        for shard in &self.shards {
            shard.rcu(|shard| shard.touched_all());
        }
    }
}

impl Shard {
    fn find(&self, ip: u32) -> Option<&Entry> {
        self.entries.get(self.place(ip)?)
    }

    /// Where it is: spread addresses lie evenly, so it is near where it would be if they did so exactly.
    fn place(&self, ip: u32) -> Option<usize> {
        let wanted = spread(ip);
        let mut place = ((u64::from(wanted) * self.entries.len() as u64) >> 32) as usize;
        let at = |place: usize| self.entries.get(place).map(|entry| spread(entry.ip));
        while at(place)? > wanted {
            place = place.checked_sub(1)?;
        }
        while at(place)? < wanted {
            place += 1;
        }
        (at(place)? == wanted).then_some(place)
    }

    fn with(&self, new: Entry) -> Self {
        let mut entries = self.entries.clone();
        if let Some(entry) = self.place(new.ip).and_then(|place| entries.get_mut(place)) {
            *entry = new;
        }
        Self { changes: self.changes, entries }
    }

    fn without(&self, ip: u32) -> Self {
        let others = self.entries.iter().filter(|entry| entry.ip != ip).copied();
        Self { changes: self.changes, entries: others.collect() }
    }

    /// With a place for each of `ips`, which ascend, and nothing known of their networks.
    fn touched(&self, ips: &[u32]) -> Self {
        let new = ips.iter().filter(|ip| self.find(**ip).is_none()).map(|ip| Entry::unjudged(*ip));
        let mut entries: Vec<Entry> = Vec::with_capacity(self.entries.len() + new.clone().count());
        entries.extend(&self.entries);
        entries.extend(new);
        entries.sort_unstable_by_key(|entry| spread(entry.ip));
        for entry in &mut entries {
            let place = ips.partition_point(|ip| network_of(*ip) < network_of(entry.ip));
            if ips.get(place).is_some_and(|ip| network_of(*ip) == network_of(entry.ip)) {
                entry.again = Time::default();
            }
        }
        Self { changes: self.changes.wrapping_add(1), entries: entries.into() }
    }

    fn touched_all(&self) -> Self {
        let entries = self.entries.iter().map(|entry| Entry { again: Time::default(), ..*entry });
        Self { changes: self.changes.wrapping_add(1), entries: entries.collect() }
    }
}

impl Entry {
    fn unjudged(ip: u32) -> Self {
        Self { ip, again: Time::default(), until: Time::default(), codes: Codes::default() }
    }
}

fn v4(client: Client) -> Option<u32> {
    match client {
        Client::V4(ip) => Some(ip),
        Client::V6(_) => None,
    }
}

/// The /24 that a verdict looks at.
fn network_of(ip: u32) -> u32 {
    ip >> 8
}

/// Another order of all addresses, in which those of any few networks lie evenly: multiplying by an odd number loses none.
fn spread(ip: u32) -> u32 {
    (ip ^ (ip >> 16)).wrapping_mul(0x85eb_ca6b)
}

/// Networks that lie beside one another have shards of their own: the lowest bits of a product depend on all others'.
fn shard_of(ip: u32) -> usize {
    let spread = network_of(ip).wrapping_mul(0x9e37_79b1);
    (spread >> (32 - SHARDS.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Time = Time(1000);

    fn codes(score: u8) -> Codes {
        let unknown = helostat_zones::verdict::ClientVerdict::unknown(NOW);
        let score = Some(score);
        Codes::of(&helostat_zones::verdict::ClientVerdict { score, ..unknown })
    }

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().expect("an address")
    }

    fn clients(ips: &[&str]) -> Vec<Client> {
        ips.iter().map(|text| Client::of(ip(text).into())).collect()
    }

    #[test]
    fn nobody_is_unknown_before_all_have_a_place() {
        let table = Published::new();
        assert_eq!(table.get(ip("192.0.2.1"), NOW), None);
        table.touch(&clients(&["192.0.2.1"]));
        table.is_complete();
        assert_eq!(table.get(ip("192.0.2.1"), NOW), None, "to be judged");
        assert_eq!(table.get(ip("192.0.2.2"), NOW), Some(Standing::NeverSeen));
        table.put(table.mark(ip("192.0.2.2")), codes(7), Time(1100), NOW);
        assert_eq!(table.get(ip("192.0.2.2"), NOW), Some(Standing::NeverSeen), "has no place");
    }

    #[test]
    fn codes_hold_for_their_time_and_no_longer_than_any_may() {
        let table = Published::new();
        table.touch(&clients(&["192.0.2.1", "192.0.2.2"]));
        for (address, until, again) in
            [("192.0.2.1", 1010, 1010), ("192.0.2.2", 90_000, 1000 + KEPT.as_secs() as u32)]
        {
            table.put(table.mark(ip(address)), codes(7), Time(until), NOW);
            let said = Some(Standing::Said(codes(7), Time(until)));
            assert_eq!(table.get(ip(address), Time(again - 1)), said);
            assert_eq!(table.get(ip(address), Time(again)), None);
        }
    }

    #[test]
    fn a_change_of_a_neighbour_is_a_change() {
        let table = Published::new();
        table.touch(&clients(&["192.0.2.1", "198.51.100.1"]));
        for address in ["192.0.2.1", "198.51.100.1"] {
            table.put(table.mark(ip(address)), codes(7), Time(2000), NOW);
        }
        table.touch(&clients(&["192.0.2.200"]));
        assert_eq!(table.get(ip("192.0.2.1"), NOW), None);
        assert!(table.get(ip("198.51.100.1"), NOW).is_some(), "another network");
        table.touch_all();
        assert_eq!(table.get(ip("198.51.100.1"), NOW), None);
    }

    #[test]
    fn who_was_forgotten_is_unknown_unless_it_came_back() {
        let table = Published::new();
        table.touch(&clients(&["192.0.2.1", "192.0.2.2"]));
        table.is_complete();
        let mark = table.mark(ip("192.0.2.1"));
        table.forget(mark);
        assert_eq!(table.get(ip("192.0.2.1"), NOW), Some(Standing::NeverSeen));
        assert_eq!(table.get(ip("192.0.2.2"), NOW), None, "to be judged, as before");
        let mark = table.mark(ip("192.0.2.2"));
        table.touch(&clients(&["192.0.2.2"]));
        table.forget(mark);
        assert_eq!(table.get(ip("192.0.2.2"), NOW), None);
    }

    #[test]
    fn what_was_judged_before_a_change_is_not_kept() {
        let table = Published::new();
        table.touch(&clients(&["192.0.2.1"]));
        let mark = table.mark(ip("192.0.2.1"));
        table.touch(&clients(&["192.0.2.9"]));
        table.put(mark, codes(7), Time(2000), NOW);
        assert_eq!(table.get(ip("192.0.2.1"), NOW), None);
    }

    proptest! {
        // An empty table is large.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn is_a_map_of_clients(
            steps in prop::collection::vec((any::<bool>(), 0u32..4, 0u32..6, 0u8..100), 1..80),
        ) {
            let table = Published::new();
            let mut map = std::collections::BTreeMap::new();
            for (is_change, net, host, score) in steps {
                let client = Ipv4Addr::from((net << 24) | host);
                if is_change {
                    map.entry(client).or_insert(None);
                    for (other, said) in &mut map {
                        if other.octets()[..3] == client.octets()[..3] {
                            *said = None;
                        }
                    }
                    table.touch(&[Client::of(client.into())]);
                } else {
                    table.put(table.mark(client), codes(score), Time(1200), NOW);
                    if let Some(said) = map.get_mut(&client) {
                        *said = Some(Standing::Said(codes(score), Time(1200)));
                    }
                }
            }
            table.is_complete();
            for client in (0..4u32).flat_map(|net| (0..6).map(move |host| (net << 24) | host)) {
                let client = Ipv4Addr::from(client);
                let expected = map.get(&client).copied().unwrap_or(Some(Standing::NeverSeen));
                prop_assert_eq!(table.get(client, NOW), expected);
            }
        }
    }
}

//! Who has how many TCP connections: in all, and of one client.

use std::collections::HashMap;
use std::sync::Arc;

use helostat_zones::client::Client;
use parking_lot::Mutex;
use prometheus::IntGauge;

use crate::config::Limits;

/// Who has how many connections; bounded by the limit of all, since a client without any is
/// forgotten.
pub(crate) struct Connections {
    by_client: Mutex<HashMap<Client, usize>>,
    gauge: IntGauge,
    limit: usize,
    limit_per_client: usize,
}

impl Connections {
    pub(crate) fn new(limits: &Limits, gauge: IntGauge) -> Arc<Self> {
        Arc::new(Self {
            by_client: Mutex::default(),
            gauge,
            limit: limits.tcp_connections,
            limit_per_client: limits.tcp_per_client,
        })
    }

    /// One more, unless a limit is reached.
    pub(crate) fn open(self: &Arc<Self>, client: Client) -> Option<Open> {
        let mut by_client = self.by_client.lock();
        let all: usize = by_client.values().sum();
        let its = by_client.get(&client).copied().unwrap_or(0);
        if all >= self.limit || its >= self.limit_per_client {
            return None;
        }
        by_client.insert(client, its + 1);
        self.gauge.inc();
        Some(Open { connections: Arc::clone(self), client })
    }
}

/// Counts a connection as long as it is open.
pub(crate) struct Open {
    connections: Arc<Connections>,
    client: Client,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut by_client = self.connections.by_client.lock();
        let left = by_client.get(&self.client).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            by_client.remove(&self.client);
        } else {
            by_client.insert(self.client, left);
        }
        self.connections.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_takes_all_connections() {
        let gauge = IntGauge::new("open", "open").expect("a sound name");
        let limits = Limits { tcp_connections: 5, tcp_per_client: 2, ..Limits::default() };
        let connections = Connections::new(&limits, gauge.clone());
        let open = |ip: &str| connections.open(Client::of(ip.parse().expect(ip)));
        let first = [open("2001:db8::1"), open("2001:db8::2")];
        assert!(first.iter().all(Option::is_some));
        assert!(open("2001:db8::3").is_none(), "the same /64");
        let others = [open("192.0.2.1"), open("192.0.2.2"), open("::ffff:192.0.2.1")];
        assert!(others.iter().all(Option::is_some));
        assert!(open("192.0.2.3").is_none(), "five in all");
        assert_eq!(gauge.get(), 5);
        drop(first);
        assert!(open("192.0.2.1").is_none(), "two of one client");
        assert!(open("2001:db8::3").is_some());
        drop(others);
        assert_eq!((gauge.get(), connections.by_client.lock().len()), (0, 0));
    }
}

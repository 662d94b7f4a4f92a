//! How many datagrams the kernel dropped at a UDP socket, as it says in /proc/net/udp and udp6 (proc_net_udp(5)).
//!
//! A socket is found there by its inode, which /proc/self/fd tells, and by its port. The column counts in 32 bits and
//! goes on from 0 after the largest; the first look counts from 0, for the socket is new. Where the system does not
//! say, nothing is counted.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// The drops of one socket.
#[derive(Debug)]
pub(super) struct Drops {
    /// What `/proc` calls the socket; empty where it does not say.
    inode: String,
    port: u16,
    table: &'static str,
    counted: u32,
}

impl Drops {
    pub(super) fn of(socket: &UdpSocket) -> Self {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd()));
        let link = link.unwrap_or_default().to_string_lossy().into_owned();
        let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        let address = socket.local_addr().ok();
        Self {
            inode: inode.unwrap_or_default().to_owned(),
            port: address.map_or(0, |address| address.port()),
            // Not /proc/net, which a service may be kept from seeing.
            table: match address {
                Some(address) if address.is_ipv6() => "/proc/self/net/udp6",
                _ => "/proc/self/net/udp",
            },
            counted: 0,
        }
    }

    /// How many were dropped since the last look.
    pub(super) fn more(&mut self) -> u64 {
        let table = std::fs::read_to_string(self.table).unwrap_or_default();
        let Some(now) = dropped(&table, &self.inode, self.port) else { return 0 };
        let more = now.wrapping_sub(self.counted);
        self.counted = now;
        u64::from(more)
    }
}

/// The last column of the socket's row.
fn dropped(table: &str, inode: &str, port: u16) -> Option<u32> {
    let port = format!(":{port:04X}");
    table.lines().find_map(|row| {
        let mut columns = row.split_ascii_whitespace();
        let fits = columns.nth(1)?.ends_with(&port) && columns.nth(7)? == inode;
        fits.then(|| columns.last()?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_is_that_of_the_socket() {
        let table = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  215: 0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 41 2 0000000000000000 7
  216: 0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 42 2 0000000000000000 4294967295
  217: 0100007F:158B 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 43 2 0000000000000000 9
";
        for (inode, port, expected) in [
            ("41", 5514, Some(7)),
            ("42", 5514, Some(u32::MAX)),
            ("43", 5514, None),
            ("43", 5515, Some(9)),
            ("", 5514, None),
        ] {
            assert_eq!(dropped(table, inode, port), expected, "{inode} {port}");
        }
    }

    #[test]
    fn a_full_socket_counts() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else { continue };
            socket2::SockRef::from(&socket).set_recv_buffer_size(4096).expect("a size");
            let mut drops = Drops::of(&socket);
            assert_eq!(drops.more(), 0);
            let sender = UdpSocket::bind(address).expect("a free port");
            let to = socket.local_addr().expect("bound");
            for _ in 0..100 {
                sender.send_to(&[0; 1000], to).expect("loopback");
            }
            let dropped = drops.more();
            assert!((50..100).contains(&dropped), "{dropped} at {address}");
            assert_eq!(drops.more(), 0, "counted once");
        }
    }
}

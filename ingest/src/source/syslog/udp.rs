//! Syslog over UDP (RFC 5426): each datagram is a message.
//!
//! One thread for each socket. What the kernel drops, because nobody read in time, is counted once a second.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Shared;
use super::drops::Drops;
use super::frames::trimmed;
use super::queue::Patience;
use crate::source::Line;

/// How often at least is looked whether to end.
const TICK: Duration = Duration::from_millis(100);
/// How often the kernel is asked for its drops.
const LOOK: Duration = Duration::from_secs(1);
/// The longest datagram there is.
const DATAGRAM_BYTES: usize = 65_535;

/// Reads a socket until the end.
pub(super) fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut drops = Drops::of(socket);
    let mut looked = Instant::now();
    let mut buffer = vec![0; DATAGRAM_BYTES];
    socket.set_read_timeout(Some(TICK)).ok();
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                let from = from.ip().to_canonical();
                if shared.admits(from) {
                    take(buffer.get(..length).unwrap_or_default(), from, shared);
                }
            }
            // What has arrived before the end is read.
            Err(error) if is_nothing(&error) => {
                if shared.ending.load(Ordering::Relaxed) {
                    break;
                }
            }
            // An ICMP error for an address that somebody said: no fault of the socket.
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
        if looked.elapsed() >= LOOK {
            if shared.queue.is_closed() {
                break;
            }
            looked = Instant::now();
            shared.metrics.udp_drops.inc_by(drops.more());
        }
    }
    shared.metrics.udp_drops.inc_by(drops.more());
}

fn take(datagram: &[u8], from: std::net::IpAddr, shared: &Shared) {
    let message = trimmed(datagram);
    let too_long = message.len() > shared.setting.longest;
    let bytes = if too_long {
        shared.metrics.limit("message-length");
        message.get(..shared.setting.longest).unwrap_or_default()
    } else {
        message
    };
    if bytes.is_empty() {
        return;
    }
    shared.metrics.messages_udp.inc();
    if shared.queue.bring_one(from, Line { bytes, too_long }, Patience::CannotWait) {
        shared.metrics.limit("queue");
    }
}

fn is_nothing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

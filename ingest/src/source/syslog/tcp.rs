//! Syslog over TCP (RFC 6587): one thread that accepts for each socket, and one for each connection.
//!
//! A connection that sends what is no message, or falls silent in the middle of one, is closed, and costs nobody else
//! anything. One that is silent between messages stays for as long as `idle`, for a mail server may have a quiet night, and
//! what a sender writes into a connection that was just closed is lost; whether its host still lives, the kernel asks
//! (keepalive). Where the queue is full, nothing is read, and the sender waits.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

use super::Shared;
use super::frames::Frames;
use super::queue::{Parcel, Patience};

/// What is read at once.
const READ_BYTES: usize = 64 * 1024;
/// How long to wait when the system has no more connections to give.
const RESPITE: Duration = Duration::from_millis(100);
/// When the kernel begins to ask whether the other host still lives, and how often it asks.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));

/// Accepts connections until the end.
pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.ending.load(Ordering::Relaxed) {
            return;
        }
        let Ok((stream, from)) = accepted else {
            // The connection is gone already, or there are no more descriptors.
            std::thread::sleep(RESPITE);
            continue;
        };
        let from = from.ip().to_canonical();
        if shared.admits(from) {
            begin(stream, from, shared);
        }
    }
}

/// Gives a connection its thread, if there may be one more.
fn begin(stream: TcpStream, from: IpAddr, shared: &Arc<Shared>) {
    let stream = Arc::new(stream);
    let Some(number) = shared.connections.enter(&stream, shared.setting.connections) else {
        shared.metrics.limit("connections");
        return;
    };
    if shared.ending.load(Ordering::Relaxed) {
        // It came between the end of all others and its being noted.
        shared.connections.end();
    }
    shared.metrics.connections.inc();
    let own = shared.clone();
    let started = std::thread::Builder::new().name("syslog-tcp".to_owned()).spawn(move || {
        serve(&stream, from, &own);
        own.connections.leave(number);
        own.metrics.connections.dec();
    });
    if started.is_err() {
        shared.connections.leave(number);
        shared.metrics.connections.dec();
        shared.metrics.limit("connections");
    }
}

/// Reads a connection to its end, or until it is worth no more.
fn serve(stream: &TcpStream, from: IpAddr, shared: &Shared) {
    let setting = &shared.setting;
    let (stall, idle) = (setting.stall, setting.idle);
    // Neither failing keeps messages from coming.
    stream.set_read_timeout(Some(stall.min(idle))).ok();
    SockRef::from(stream).set_tcp_keepalive(&KEEPALIVE).ok();
    let mut frames = Frames::new(setting.longest);
    let mut buffer = vec![0; READ_BYTES];
    let mut heard = Instant::now();
    loop {
        let read = match Read::read(&mut &*stream, &mut buffer) {
            Ok(0) => {
                if frames.is_within() && !shared.ending.load(Ordering::Relaxed) {
                    shared.metrics.limit("cut");
                }
                return;
            }
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let patience = if frames.is_within() { stall } else { idle };
                // The kernel wakes us a little early.
                if heard.elapsed() + Duration::from_millis(10) < patience {
                    continue;
                }
                shared.metrics.limit(if frames.is_within() { "stall" } else { "idle" });
                return;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let mut parcel = Parcel::new(from);
        let mut too_long = 0u64;
        let fed = frames.feed(buffer.get(..read).unwrap_or_default(), &mut |line| {
            too_long += u64::from(line.too_long);
            parcel.add(line);
        });
        shared.metrics.messages_tcp.inc_by(parcel.messages() as u64);
        if too_long > 0 {
            shared.metrics.limits.with_label_values(&["message-length"]).inc_by(too_long);
        }
        if shared.queue.bring(parcel, Patience::CanWait) {
            shared.metrics.limit("queue");
        }
        if shared.queue.is_closed() {
            return;
        }
        if fed.is_err() {
            shared.metrics.limit("garbled");
            return;
        }
        heard = Instant::now();
    }
}

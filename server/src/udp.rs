//! One UDP socket and its thread: receive a batch, answer it, send the batch.
//!
//! In go datagrams, up to [`BATCH`] with one call; plain questions are answered where they lie ([`crate::fast`]), all
//! else by the handler: an answer of it that is ready at once leaves with the batch; one that waits for a verdict
//! goes on in a task of the runtime, of which there are `limits.waiting` at most over all sockets. So a slow verdict
//! never holds up the next question, and a flood of slow ones costs bounded memory: what is over is dropped and
//! counted, and its client asks again.
//!
//! The thread blocks in the system, since waking it costs less than a poll by the runtime (measured: `docs/benchmarks.md`).
//! It looks up every [`STOP_CHECK`] whether it is to end. Nothing fails: what the system refuses is counted and logged.

use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hickory_server::net::xfer::Protocol;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use tokio::runtime::Handle;

use crate::fast::{Fast, Question, Scratch, Tally, cut};
use crate::judge::Judge;
use crate::metrics::Dropped;
use crate::pace::{Pace, Pass, Sort};
use crate::shared::Shared;

/// Datagrams taken with one call. More gain nothing (measured).
const BATCH: usize = 32;
/// Far above any question; what is cut here does not parse. Answers are at most 1,232 octets.
const PACKET_MAX: usize = 4096;
/// How long to wait after the system refuses to receive, so that a lasting fault is no busy loop.
const RECEIVE_PAUSE: Duration = Duration::from_millis(20);
/// How soon a thread without questions sees that it is to end.
pub(crate) const STOP_CHECK: Duration = Duration::from_millis(100);

/// Serves a blocking socket until it is told to stop. The socket's read timeout is [`STOP_CHECK`].
pub(crate) fn serve<J: Judge>(socket: UdpSocket, shared: &Arc<Shared<J>>, runtime: &Handle) {
    // Timers of the handler want a runtime around them.
    let _within = runtime.enter();
    let socket = Arc::new(socket);
    let mut room = Room::new();
    while !shared.stop.is_cancelled() {
        match room.receive(&socket) {
            Ok(0) => {}
            Ok(received) => {
                // A fault of ours must cost this batch, not the socket.
                let serve = AssertUnwindSafe(|| {
                    answer(&socket, &mut room, received, shared);
                    room.send(&socket, shared);
                });
                if catch_unwind(serve).is_err() {
                    tracing::error!(
                        "A batch of DNS questions was given up after a fault of our own"
                    );
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => {
                tracing::warn!(%error, "Receiving failed");
                std::thread::sleep(RECEIVE_PAUSE);
            }
        }
    }
}

/// A datagram, before it is answered and after.
struct Slot {
    octets: [u8; PACKET_MAX],
    length: usize,
    peer: Option<SockaddrStorage>,
}

impl Slot {
    /// Puts the handler's answer here, if it is ready now; else nothing is to be sent.
    fn answer_at_length<J: Judge>(
        &mut self,
        socket: &Arc<UdpSocket>,
        source: SocketAddr,
        shared: &Arc<Shared<J>>,
    ) {
        let packet = self.octets.get(..self.length).unwrap_or_default().to_vec();
        let response = at_length(socket, packet, source, shared);
        let place = response.as_ref().and_then(|response| self.octets.get_mut(..response.len()));
        match (place, response) {
            (Some(place), Some(response)) => {
                place.copy_from_slice(&response);
                self.length = response.len();
            }
            _ => self.peer = None,
        }
    }

    /// Cuts the answer, or takes it back, if its network had enough.
    fn keep_pace<J: Judge>(
        &mut self,
        pace: &Pace,
        question: Option<&Question>,
        source: IpAddr,
        fast: &Fast<'_, J>,
        shared: &Shared<J>,
    ) {
        let response = self.octets.get(..self.length).unwrap_or_default();
        let pass = pace.pass(source, Sort::of(response), fast.now.0);
        if pass == Pass::Whole || fast.knows(question, source) {
            return;
        }
        match (pass, question) {
            (Pass::Cut, Some(question)) => {
                self.length = cut(&mut self.octets, question);
                shared.handler.metrics().dropped(Dropped::PaceCut);
            }
            _ => {
                self.peer = None;
                shared.handler.metrics().dropped(Dropped::Pace);
            }
        }
    }
}

/// Where a batch lies.
struct Room {
    slots: Box<[Slot; BATCH]>,
    received: MultiHeaders<SockaddrStorage>,
    sent: MultiHeaders<SockaddrStorage>,
    scratch: Scratch,
}

impl Room {
    fn new() -> Self {
        let slot = || Slot { octets: [0; PACKET_MAX], length: 0, peer: None };
        let slots: Vec<Slot> = std::iter::repeat_with(slot).take(BATCH).collect();
        let slots = slots.into_boxed_slice().try_into().unwrap_or_else(|_| unreachable!());
        Self {
            slots,
            received: MultiHeaders::preallocate(BATCH, None),
            sent: MultiHeaders::preallocate(BATCH, None),
            scratch: Scratch::default(),
        }
    }

    /// Waits for a datagram, and takes all that are there; how many.
    fn receive(&mut self, socket: &UdpSocket) -> nix::Result<usize> {
        let mut came = [(0, None); BATCH];
        let mut count = 0;
        {
            let mut slices = self.slots.each_mut().map(|slot| [IoSliceMut::new(&mut slot.octets)]);
            let flags = MsgFlags::MSG_WAITFORONE;
            let messages =
                recvmmsg(socket.as_raw_fd(), &mut self.received, slices.iter_mut(), flags, None)?;
            for (place, message) in came.iter_mut().zip(messages) {
                *place = (message.bytes, message.address);
                count += 1;
            }
        }
        for (slot, (length, peer)) in self.slots.iter_mut().zip(came).take(count) {
            (slot.length, slot.peer) = (length, peer);
        }
        Ok(count)
    }

    /// Sends every slot that has a peer.
    fn send<J: Judge>(&mut self, socket: &UdpSocket, shared: &Shared<J>) {
        let mut first = 0;
        while let Some(run) = self.next_run(first) {
            let ready = self.slots.get(run.clone()).unwrap_or_default();
            let peers: [Option<SockaddrStorage>; BATCH] =
                std::array::from_fn(|place| ready.get(place).and_then(|slot| slot.peer));
            let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|place| {
                let octets = ready.get(place).and_then(|slot| slot.octets.get(..slot.length));
                [IoSlice::new(octets.unwrap_or_default())]
            });
            let count = ready.len();
            let flags = MsgFlags::MSG_DONTWAIT;
            let sent = sendmmsg(
                socket.as_raw_fd(),
                &mut self.sent,
                slices.iter().take(count),
                peers.get(..count).unwrap_or_default(),
                [],
                flags,
            )
            .map(Iterator::count);
            let sent = match sent {
                Ok(sent) => sent,
                Err(error) => {
                    // A full buffer is the network's "too much": waiting would hold up everybody else.
                    if error != Errno::EAGAIN {
                        tracing::debug!(%error, "Sending failed");
                    }
                    0
                }
            };
            // The one that could not be sent is given up, the rest goes on.
            if sent < count {
                shared.handler.metrics().dropped(Dropped::Send);
            }
            first = run.start + sent + usize::from(sent < count);
        }
    }

    /// The next slots in a row that are to be sent.
    fn next_run(&self, from: usize) -> Option<std::ops::Range<usize>> {
        let rest = self.slots.get(from..)?;
        let start = from + rest.iter().position(|slot| slot.peer.is_some())?;
        let row = self.slots.get(start..)?;
        let length = row.iter().take_while(|slot| slot.peer.is_some()).count();
        Some(start..start + length)
    }
}

/// Answers the batch: what is left to send keeps its peer.
fn answer<J: Judge>(
    socket: &Arc<UdpSocket>,
    room: &mut Room,
    received: usize,
    shared: &Arc<Shared<J>>,
) {
    let start = Instant::now();
    let mut tally = Tally::default();
    let told = shared.handler.told();
    let fast = shared.handler.fast(&told, shared.handler.now());
    for slot in room.slots.iter_mut().take(received) {
        let Some(source) = slot.peer.as_ref().and_then(address) else {
            slot.peer = None;
            continue;
        };
        let packet = slot.octets.get(..slot.length).unwrap_or_default();
        let question = Question::read(packet);
        let length = question.as_ref().and_then(|question| {
            fast.answer(&mut slot.octets, question, source.ip(), &mut room.scratch, &mut tally)
        });
        match length {
            Some(length) => slot.length = length,
            None => slot.answer_at_length(socket, source, shared),
        }
        if slot.peer.is_some()
            && let Some(pace) = &shared.pace
        {
            slot.keep_pace(pace, question.as_ref(), source.ip(), &fast, shared);
        }
    }
    for slot in room.slots.iter_mut().skip(received) {
        slot.peer = None;
    }
    shared.handler.metrics().answered_fast(&tally, start.elapsed());
}

/// The handler's answer if it is ready now; else it goes on aside and leaves by itself.
fn at_length<J: Judge>(
    socket: &Arc<UdpSocket>,
    packet: Vec<u8>,
    source: SocketAddr,
    shared: &Arc<Shared<J>>,
) -> Option<Vec<u8>> {
    let handler = Arc::clone(&shared.handler);
    let mut answering: Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>> =
        Box::pin(async move { handler.respond(packet, source, Protocol::Udp).await });
    let mut context = Context::from_waker(Waker::noop());
    if let Poll::Ready(response) = answering.as_mut().poll(&mut context) {
        return response;
    }
    match Arc::clone(&shared.waiting).try_acquire_owned() {
        Ok(permit) => {
            let (socket, handler) = (Arc::clone(socket), Arc::clone(&shared.handler));
            shared.spawn(async move {
                if let Some(response) = answering.await {
                    send_one(&socket, &response, source, handler.metrics());
                }
                drop(permit);
            });
        }
        Err(_) => shared.handler.metrics().dropped(Dropped::Shed),
    }
    None
}

fn send_one(
    socket: &UdpSocket,
    response: &[u8],
    source: SocketAddr,
    metrics: &crate::metrics::Metrics,
) {
    let flags = MsgFlags::MSG_DONTWAIT.bits();
    let sent = socket2::SockRef::from(socket).send_to_with_flags(response, &source.into(), flags);
    if let Err(error) = sent {
        metrics.dropped(Dropped::Send);
        if error.kind() != io::ErrorKind::WouldBlock {
            tracing::debug!(%error, "Sending failed");
        }
    }
}

fn address(peer: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = || peer.as_sockaddr_in().map(|it| SocketAddr::V4(SocketAddrV4::from(*it)));
    let v6 = || peer.as_sockaddr_in6().map(|it| SocketAddr::V6(SocketAddrV6::from(*it)));
    v4().or_else(v6)
}

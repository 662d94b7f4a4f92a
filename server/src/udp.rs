//! One UDP socket: receive, answer, send.
//!
//! An answer that is ready at once leaves from the receiving task itself; one that waits for a
//! verdict goes on in a task of its own, of which there are `limits.waiting` at most over all
//! sockets. So a slow verdict never holds up the next question, and a flood of slow ones costs
//! bounded memory: what is over is dropped and counted, and its client asks again.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hickory_server::net::xfer::Protocol;
use tokio::net::UdpSocket;

use crate::judge::Judge;
use crate::metrics::Dropped;
use crate::shared::Shared;

/// Far above any question; what is cut here does not parse.
const PACKET_MAX: usize = 4096;
/// How long to wait after the system refuses to receive, so that a lasting fault is no busy loop.
const RECEIVE_PAUSE: Duration = Duration::from_millis(20);

/// Serves a socket until it is told to stop.
pub(crate) async fn serve<J: Judge>(socket: UdpSocket, shared: Arc<Shared<J>>) {
    let socket = Arc::new(socket);
    let stop = shared.stop.clone();
    let mut stopped = std::pin::pin!(stop.cancelled());
    let mut buffer = vec![0; PACKET_MAX];
    loop {
        let received = tokio::select! {
            biased;
            () = &mut stopped => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        match received {
            Ok((length, source)) => {
                let packet = buffer.get(..length).unwrap_or_default().to_vec();
                answer(&socket, packet, source, &shared).await;
            }
            Err(error) => {
                tracing::warn!(%error, "Receiving failed");
                tokio::time::sleep(RECEIVE_PAUSE).await;
            }
        }
    }
}

/// Answers now what is ready now, and the rest aside.
async fn answer<J: Judge>(
    socket: &Arc<UdpSocket>,
    packet: Vec<u8>,
    source: SocketAddr,
    shared: &Arc<Shared<J>>,
) {
    let (sender, handler) = (Arc::clone(socket), Arc::clone(&shared.handler));
    let mut answering = Box::pin(async move {
        let Some(response) = handler.respond(packet, source, Protocol::Udp).await else {
            return;
        };
        // A full buffer is the network's "too much": waiting would hold up everybody else.
        if let Err(error) = sender.try_send_to(&response, source) {
            handler.metrics().dropped(Dropped::Send);
            if error.kind() != io::ErrorKind::WouldBlock {
                tracing::debug!(%error, "Sending failed");
            }
        }
    });
    let first = poll_fn(|context| Poll::Ready(answering.as_mut().poll(context))).await;
    if first.is_ready() {
        return;
    }
    match Arc::clone(&shared.waiting).try_acquire_owned() {
        Ok(permit) => shared.spawn(async move {
            answering.await;
            drop(permit);
        }),
        Err(_) => shared.handler.metrics().dropped(Dropped::Shed),
    }
}

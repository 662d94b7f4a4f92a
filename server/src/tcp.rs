//! TCP: accept, read questions, write answers.
//!
//! Each connection has one task that reads and one that writes; questions in between are worked on
//! side by side and answered as they get ready (RFC 7766 section 7). Everything is bounded:
//! connections (in all, and of one client), questions under way per connection, the length of a
//! question, and the time to send a question or to take an answer. A connection over the limit is
//! closed at once and counted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use helostat_zones::client::Client;
use hickory_server::net::xfer::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::connections::Open;
use crate::judge::Judge;
use crate::metrics::Dropped;
use crate::shared::Shared;
use crate::wire::HEADER;

/// Far above any question; RFC 1035 would allow 65,535.
const QUESTION_MAX: usize = 4096;
/// The first pause after a failed accept (out of descriptors, mostly); it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts connections until told to stop.
pub(crate) async fn serve<J: Judge>(listener: TcpListener, shared: Arc<Shared<J>>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, source)) => {
                pause = FIRST_PAUSE;
                open(stream, source, &shared);
            }
            Err(error) => {
                tracing::warn!(%error, "Accepting a TCP connection failed");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
        }
    }
}

fn open<J: Judge>(stream: TcpStream, source: SocketAddr, shared: &Arc<Shared<J>>) {
    let Some(open) = shared.connections.open(Client::of(source.ip())) else {
        shared.handler.metrics().dropped(Dropped::TcpLimit);
        return;
    };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "A TCP connection ended before it began");
        return;
    }
    let (from, to) = stream.into_split();
    let (replies, outgoing) = mpsc::channel(shared.limits.tcp_pipeline.max(1));
    // The writer outlives the reader: it ends when the last answer has left.
    shared.spawn(write(to, outgoing, Arc::clone(shared), open));
    shared.spawn(read(from, source, replies, Arc::clone(shared)));
}

/// Reads questions until the client, the time limit, the writer or shutdown ends it.
async fn read<J: Judge>(
    mut from: OwnedReadHalf,
    source: SocketAddr,
    replies: mpsc::Sender<Vec<u8>>,
    shared: Arc<Shared<J>>,
) {
    let metrics = shared.handler.metrics();
    let slots = Arc::new(Semaphore::new(shared.limits.tcp_pipeline.max(1)));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let question = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = replies.closed() => return,
            question = timeout(shared.limits.tcp_idle, read_question(&mut from)) => question,
        };
        let question = match question {
            Ok(Ok(Question::Whole(question))) => question,
            Ok(Ok(Question::BadLength)) => return metrics.dropped(Dropped::TcpLength),
            // The client went away, which is how every connection ends.
            Ok(Ok(Question::End) | Err(_)) => return,
            Err(_) => return metrics.dropped(Dropped::TcpIdle),
        };
        let (handler, replies) = (Arc::clone(&shared.handler), replies.clone());
        shared.spawn(async move {
            if let Some(response) = handler.respond(question, source, Protocol::Tcp).await
                && replies.send(response).await.is_err()
            {
                handler.metrics().dropped(Dropped::Send);
            }
            drop(slot);
        });
    }
}

enum Question {
    Whole(Vec<u8>),
    BadLength,
    End,
}

async fn read_question(from: &mut OwnedReadHalf) -> io::Result<Question> {
    let length = match from.read_u16().await {
        Ok(length) => usize::from(length),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Question::End),
        Err(error) => return Err(error),
    };
    if !(HEADER..=QUESTION_MAX).contains(&length) {
        return Ok(Question::BadLength);
    }
    let mut question = vec![0; length];
    from.read_exact(&mut question).await?;
    Ok(Question::Whole(question))
}

/// Writes answers until there can be no more.
async fn write<J: Judge>(
    mut to: OwnedWriteHalf,
    mut outgoing: mpsc::Receiver<Vec<u8>>,
    shared: Arc<Shared<J>>,
    open: Open,
) {
    while let Some(response) = outgoing.recv().await {
        let Ok(length) = u16::try_from(response.len()) else {
            break;
        };
        // Length and message in one write (RFC 7766 section 8).
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&response);
        match timeout(shared.limits.tcp_idle, to.write_all(&framed)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => break,
            Err(_) => {
                shared.handler.metrics().dropped(Dropped::TcpIdle);
                break;
            }
        }
    }
    drop(open);
}

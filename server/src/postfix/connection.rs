//! The bytes of one connection, within limits.
//!
//! In goes a connection; out come the answers to its requests, in their order, until it ends: because the other end closed it,
//! the daemon stops, or a limit was reached, which is counted. Whatever ends it, nothing is said: of an answer that does not come
//! Postfix knows what to do.

use std::net::IpAddr;
use std::time::Instant;

use helostat_zones::postfix::Requests;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::Shared;
use super::endpoint::Plug;
use crate::judge::Judge;

/// How much is read at once: a request of Postfix 3.7 has some 600 octets.
const PIECE_BYTES: usize = 4096;

/// Serves a connection to its end.
pub(super) async fn serve<J: Judge>(plug: Plug, peer: IpAddr, shared: &Shared<J>) {
    match plug {
        Plug::Tcp(stream) => talk(stream, peer, shared).await,
        Plug::Unix(stream) => talk(stream, peer, shared).await,
    }
}

async fn talk<S, J>(mut stream: S, peer: IpAddr, shared: &Shared<J>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    J: Judge,
{
    let (counsel, config) = (&shared.counsel, &shared.config);
    let metrics = counsel.metrics();
    let mut requests = Requests::new(config.request_bytes);
    let mut piece = vec![0; PIECE_BYTES];
    let mut answers = Vec::new();
    // Since when a request is under way.
    let mut begun: Option<Instant> = None;
    let stopped = shared.stop.cancelled();
    tokio::pin!(stopped);
    loop {
        let patience =
            begun.map_or(config.idle, |begun| config.stall.saturating_sub(begun.elapsed()));
        let read = tokio::select! {
            biased;
            () = &mut stopped => return,
            read = timeout(patience, stream.read(&mut piece)) => read,
        };
        let octets = match read {
            Err(_) => return metrics.limit(if begun.is_some() { "stall" } else { "idle" }),
            Ok(Err(_)) => return,
            Ok(Ok(0)) if begun.is_some() => return metrics.limit("cut"),
            // The other end went away, which is how every connection ends.
            Ok(Ok(0)) => return,
            Ok(Ok(octets)) => octets,
        };
        requests.feed(piece.get(..octets).unwrap_or_default());
        let mut garbled = None;
        let mut ended = false;
        for request in requests.by_ref() {
            match request {
                Ok(request) => {
                    counsel.answer(&request, peer, &mut answers).await;
                    ended = true;
                }
                Err(why) => garbled = Some(why),
            }
        }
        if !answers.is_empty() {
            match timeout(config.stall, stream.write_all(&answers)).await {
                Ok(Ok(())) => answers.clear(),
                Ok(Err(_)) => return,
                Err(_) => return metrics.limit("stall"),
            }
        }
        if let Some(why) = garbled {
            tracing::debug!(?why, "A connection of Postfix is closed for what it sent");
            return metrics.garbled(why);
        }
        if !requests.is_amid() {
            begun = None;
        } else if ended || begun.is_none() {
            begun = Some(Instant::now());
        }
    }
}

//! Bodies that are written while they are sent: a dump of a large ledger never stands in memory.
//!
//! In goes what writes (it runs on a thread that may wait), out comes the body. Who reads slowly makes
//! the writer wait, and who goes away ends it with a broken pipe. If the writer fails, the connection is
//! closed without the end of the body, so that nobody takes what came for the whole.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use futures_core::Stream;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How much is sent at once.
const PIECE_BYTES: usize = 64 << 10;
/// How many pieces wait for the reader at most.
const PIECES: usize = 4;

/// The body that `write` writes.
pub fn written_while_sent(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Body {
    let (to, from) = channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe { to, piece: Vec::with_capacity(PIECE_BYTES) };
        // An empty piece is the end: a writer that panics sends none.
        let end = write(&mut pipe).and_then(|()| pipe.send()).map(|()| Bytes::new());
        // If nobody reads any more there is nobody to tell.
        pipe.to.blocking_send(end).unwrap_or_default();
    });
    Body::from_stream(Pieces { from, ended: false })
}

/// The end that is written to.
struct Pipe {
    to: Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Pipe {
    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        self.to.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// The end that is sent.
struct Pieces {
    from: Receiver<io::Result<Bytes>>,
    ended: bool,
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(piece) = self.from.poll_recv(context) else { return Poll::Pending };
        let piece = piece.unwrap_or_else(|| Err(io::Error::other("the writer panicked")));
        self.ended = piece.as_ref().map_or(true, Bytes::is_empty);
        Poll::Ready(Some(piece).filter(|piece| !matches!(piece, Ok(end) if end.is_empty())))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_written_arrives() {
        for size in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES * 9 + 1] {
            let body = written_while_sent(move |to| {
                let line = [b'x'; 1000];
                let mut left = size;
                while left > 0 {
                    let most = left.min(line.len());
                    to.write_all(line.get(..most).unwrap_or_default())?;
                    left -= most;
                }
                Ok(())
            });
            let bytes = to_bytes(body, usize::MAX).await.expect("whole");
            assert_eq!(bytes.len(), size, "{size}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_writer_that_fails_is_no_end() {
        let failing = written_while_sent(|to| {
            to.write_all(b"half")?;
            Err(io::Error::other("the disk is gone"))
        });
        assert!(to_bytes(failing, usize::MAX).await.is_err());
        let panicking = written_while_sent(|to| {
            to.write_all(b"half")?;
            panic!("a fault of ours")
        });
        assert!(to_bytes(panicking, usize::MAX).await.is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reader_that_goes_away_ends_the_writer() {
        let (told, ended) = tokio::sync::oneshot::channel();
        let body = written_while_sent(move |to| {
            let ended = loop {
                if let Err(error) = to.write_all(&[0; 10_000]) {
                    break error;
                }
            };
            told.send(ended.kind()).expect("somebody waits");
            Err(ended)
        });
        drop(body);
        assert_eq!(ended.await.expect("it ends"), io::ErrorKind::BrokenPipe);
    }
}

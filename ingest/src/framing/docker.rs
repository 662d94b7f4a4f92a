//! Lines of containers: Docker's json-file, and CRI's (Kubernetes, Podman).
//!
//! Docker: `{"log":"TEXT\n","stream":"stdout","time":"2026-11-20T14:29:00.007Z"}`; CRI: `2026-11-20T14:29:00.007Z stdout F TEXT`.
//! The text is whatever the program wrote: a syslog line with or without a stamp of its own, a line of a program's own log.
//!
//! A text of more than 16 KiB comes in pieces: in Docker's only the last ends in a line feed, in CRI's all but the last are
//! marked `P`. They are joined by stream, up to `LINE_MAX` (a longer one is dropped), and only while they come within
//! seconds: else a program was killed in mid line, and what comes is another's.

use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use super::Bytes;
use crate::bytes::cut;
use crate::reader::LINE_MAX;

/// How far apart in time the pieces of one line may be, in seconds.
const PIECES_SPAN: u32 = 5;

/// The pieces that wait for their line's end, for both streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pieces {
    #[serde(default, skip_serializing_if = "Piece::is_nothing")]
    stdout: Piece,
    #[serde(default, skip_serializing_if = "Piece::is_nothing")]
    stderr: Piece,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Piece {
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    text: Bytes,
    /// When the last of it came, in unix seconds.
    time: u32,
    /// It has become too long: the rest is passed over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lost: bool,
}

impl Piece {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Pieces {
    pub(super) fn is_nothing(&self) -> bool {
        self.stdout.is_nothing() && self.stderr.is_nothing()
    }

    /// Keeps a piece that is not the last.
    pub(super) fn keep(&mut self, stream: Stream, text: &[u8], time: Time) {
        let piece = self.of(stream, time);
        piece.time = time.0;
        if piece.lost || piece.text.0.len() + text.len() > LINE_MAX {
            piece.lost = true;
            piece.text = Bytes::default();
        } else {
            piece.text.0.extend_from_slice(text);
        }
    }

    /// Puts what waits in front of the last piece, which is all of `room`.
    pub(super) fn finish(
        &mut self,
        stream: Stream,
        room: &mut Vec<u8>,
        time: Time,
    ) -> Result<(), &'static str> {
        if self.is_nothing() {
            return Ok(());
        }
        let piece = std::mem::take(self.of(stream, time));
        if piece.lost || piece.text.0.len() + room.len() > LINE_MAX {
            return Err("too-long");
        }
        room.splice(0..0, piece.text.0);
        Ok(())
    }

    /// What waits for a piece of this moment.
    fn of(&mut self, stream: Stream, time: Time) -> &mut Piece {
        let piece = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if piece.time.abs_diff(time.0) > PIECES_SPAN {
            *piece = Piece::default();
        }
        piece
    }
}

/// Where a program wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        match word {
            b"stdout" => Some(Self::Stdout),
            b"stderr" => Some(Self::Stderr),
            _ => None,
        }
    }
}

/// CRI's line after the stamp, `stdout F TEXT`: the stream, whether it is the last piece, the text. The mark may have
/// more marks after it, with colons between.
pub(super) fn cri(rest: &[u8]) -> Option<(Stream, bool, &[u8])> {
    let (stream, rest) = rest.split_at_checked(6)?;
    let (mark, rest) = rest.strip_prefix(b" ")?.split_first()?;
    let rest = match rest.strip_prefix(b":") {
        Some(more) => cut(more, b' ')?.1,
        None => rest.strip_prefix(b" ")?,
    };
    let last = match mark {
        b'F' => true,
        b'P' => false,
        _ => return None,
    };
    Some((Stream::of(stream)?, last, rest))
}

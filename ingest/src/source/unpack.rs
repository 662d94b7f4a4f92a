//! Packed content: gzip, xz and zstd, told by their first bytes and unpacked as it is read.
//!
//! In: the packed bytes. Out: the content of all members, streams and frames that follow each other (`cat a.gz
//! b.gz`), skippable frames and padding passed over, checksums compared. An error is `UnexpectedEof` if the packed
//! bytes end too soon and `InvalidData` if they are damaged or ask for more memory than is given; what came before
//! it was handed out.
//!
//! Memory is bounded whatever the file says: gzip needs 64 kB; an xz dictionary or a zstd window of more than 64 MiB
//! is refused (`xz -9` has 64 MiB, `zstd -19` 8 MiB, only `zstd --long=27` and beyond have more). Nothing is ever
//! unpacked ahead by more than a few pieces.
//!
//! [`ahead`] unpacks in a thread of its own, so that who reads the lines and who unpacks them work at once.
//!
//! The decoders are pure Rust. For gzip it is zlib-rs and not flate2, which the ledger packs its shards with: both in
//! one program share one back end, and another one would change the bytes of shards.

use std::io::{self, BufRead, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use zlib_rs::{Inflate, InflateFlush, Status};

use super::file::{Stream, read_some};

/// The most memory that content may need to be unpacked: what an xz dictionary or a zstd window takes.
const WINDOW_BYTES: u32 = 64 << 20;

/// What an xz decoder needs beside its dictionary, at most.
const XZ_OVERHEAD_BYTES: u32 = 1 << 20;

/// How much packed content is read at once.
const PACKED_BYTES: usize = 64 * 1024;

/// How many first bytes tell what content is.
pub(super) const MAGIC_BYTES: usize = 6;

/// How much content a thread that unpacks ahead hands over at once.
const PIECE_BYTES: usize = 256 * 1024;

/// How many pieces may wait for the reader.
const PIECES: usize = 3;

/// A gzip member with its header and its checksums, with the largest window there is (RFC 1952).
const GZIP_WINDOW_BITS: u8 = 16 + 15;

/// How content lies in a file or a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Xz,
    Zstd,
}

impl Packing {
    /// What content that begins like this is.
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            // RFC 1952 section 2.3.1: the magic and the only method.
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            // RFC 8878 section 3.1: a frame, or a skippable one, as parallel packers put first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// Whether the file ends for good where it ends: nobody writes on in a packed log.
    pub(super) fn is_packed(self) -> bool {
        self != Self::Plain
    }
}

/// The content of `packed`.
pub(super) fn unpacked(packing: Packing, packed: Stream) -> Stream {
    if packing == Packing::Plain {
        return packed;
    }
    let packed = BufReader::with_capacity(PACKED_BYTES, packed);
    match packing {
        Packing::Xz => {
            let limit = (WINDOW_BYTES + XZ_OVERHEAD_BYTES) / 1024;
            Box::new(Guarded(XzReader::new_mem_limit(packed, true, limit)))
        }
        Packing::Zstd => Box::new(Guarded(Zstd::new(packed))),
        Packing::Gzip | Packing::Plain => {
            Box::new(Guarded(Gzip { packed, member: None, any: false }))
        }
    }
}

fn damaged(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// gzip members, one after the other.
struct Gzip {
    packed: BufReader<Stream>,
    member: Option<Inflate>,
    /// There was a member.
    any: bool,
}

impl Read for Gzip {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let input = self.packed.fill_buf()?;
            if self.member.is_none() {
                // gzip itself passes over zeros at the end, which tapes and block devices leave.
                if self.any {
                    let zeros = input.iter().take_while(|octet| **octet == 0).count();
                    if zeros > 0 {
                        self.packed.consume(zeros);
                        continue;
                    }
                }
                if input.is_empty() && self.any {
                    return Ok(0);
                }
            }
            let member = self.member.get_or_insert_with(|| Inflate::new(true, GZIP_WINDOW_BITS));
            let before = (member.total_in(), member.total_out());
            let status = member.decompress(input, room, InflateFlush::NoFlush);
            let (taken, given) = (member.total_in() - before.0, member.total_out() - before.1);
            let message = member.error_message();
            let is_end = input.is_empty();
            self.packed.consume(usize::try_from(taken).unwrap_or(usize::MAX));
            match status {
                Ok(Status::StreamEnd) => (self.member, self.any) = (None, true),
                Ok(_) if given == 0 && is_end => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) => return Err(damaged(message.unwrap_or(error.as_str()))),
            }
            if given > 0 {
                return Ok(usize::try_from(given).unwrap_or_default());
            }
        }
    }
}

/// zstd frames, one after the other.
struct Zstd {
    packed: BufReader<Stream>,
    frame: FrameDecoder,
    /// A frame was begun and not ended.
    inside: bool,
}

impl Zstd {
    fn new(packed: BufReader<Stream>) -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(u64::from(WINDOW_BYTES));
        Self { packed, frame, inside: false }
    }

    /// Begins the next frame; false at the end.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.packed.fill_buf()?.is_empty() {
            match self.frame.reset(&mut self.packed) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut skipped = (&mut self.packed).take(length.into());
                    if io::copy(&mut skipped, &mut io::sink())? < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(zstd_error(error)),
            }
        }
        Ok(false)
    }

    fn end(&self) -> io::Result<()> {
        match self.frame.get_checksum_from_data() {
            Some(stated) if self.frame.get_calculated_checksum() != Some(stated) => {
                Err(damaged("checksum mismatch"))
            }
            _ => Ok(()),
        }
    }
}

impl Read for Zstd {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.inside {
                if !self.begin()? {
                    return Ok(0);
                }
                self.inside = true;
            }
            if self.frame.can_collect() > 0 {
                return self.frame.read(room);
            }
            if self.frame.is_finished() {
                self.inside = false;
                self.end()?;
                continue;
            }
            self.frame
                .decode_blocks(&mut self.packed, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(zstd_error)?;
        }
    }
}

/// An error of the decoder, which wraps the error of reading several times over.
fn zstd_error(error: FrameDecoderError) -> io::Error {
    if matches!(error, FrameDecoderError::WindowSizeTooBig { .. }) {
        return io::ErrorKind::OutOfMemory.into();
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if let Some(reading) = error.downcast_ref::<io::Error>() {
            return match reading.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(reading.kind(), reading.to_string()),
            };
        }
        cause = error.source();
    }
    damaged(error.to_string())
}

/// A decoder of others, of which a fault must cost no more than the file.
struct Guarded<R>(R);

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = catch_unwind(AssertUnwindSafe(|| self.0.read(room)));
        match read.unwrap_or_else(|_| Err(damaged("the decoder failed"))) {
            // What asks for more memory than there is to be had is refused as damage is.
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                Err(damaged("it needs more than 64 MiB to be unpacked"))
            }
            Err(error) if error.kind() == io::ErrorKind::Other => Err(damaged(error.to_string())),
            read => read,
        }
    }
}

/// The same content, read ahead by a thread of its own, which ends with the stream.
pub(super) fn ahead(stream: Stream) -> Stream {
    let (full, pieces) = sync_channel(PIECES);
    let (used, empty) = channel();
    let (give, take) = channel::<Stream>();
    let reading = move || {
        if let Ok(stream) = take.recv() {
            read_ahead(stream, &full, &empty);
        }
    };
    if std::thread::Builder::new().name("unpack".into()).spawn(reading).is_err() {
        // No thread is to be had now; then the reader does it.
        return stream;
    }
    match give.send(stream) {
        Ok(()) => Box::new(Ahead { pieces, used, piece: Vec::new(), at: 0, ended: false }),
        Err(returned) => returned.0,
    }
}

/// Hands over piece by piece until the end, which is an empty piece, or an error.
fn read_ahead(
    mut stream: Stream,
    full: &SyncSender<io::Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
) {
    loop {
        let mut piece = empty.try_recv().unwrap_or_default();
        piece.resize(PIECE_BYTES, 0);
        let read = read_some(&mut stream, &mut piece).map(|read| {
            piece.truncate(read);
            piece
        });
        let is_last = read.as_ref().map_or(true, |piece| piece.is_empty());
        // Nobody listens any more, or all was said: either way there is nothing more to do.
        if full.send(read).is_err() || is_last {
            return;
        }
    }
}

/// The reading end.
struct Ahead {
    pieces: Receiver<io::Result<Vec<u8>>>,
    /// Takes back what was read.
    used: Sender<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for Ahead {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            if self.ended {
                return Ok(0);
            }
            let next = self.pieces.recv().unwrap_or_else(|_| Err(damaged("the decoder failed")))?;
            self.ended = next.is_empty();
            let read = std::mem::replace(&mut self.piece, next);
            self.at = 0;
            self.used.send(read).ok();
        }
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let read = rest.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..read), rest.get(..read)) {
            to.copy_from_slice(from);
        }
        self.at += read;
        Ok(read)
    }
}

//! Bytes in, lines out, through one buffer of fixed size.
//!
//! The buffer always holds, without a hole: the last [`TAIL_BYTES`] bytes before the position (to
//! hash), and the last [`TAIL_BYTES`] bytes read (to see whether the file was replaced under the
//! reader). In between, two things are dropped when they grow beyond the buffer: NUL bytes in front of
//! a line, and the rest of a line beyond [`LINE_BYTES`]. So no input needs more memory than this.

use std::ops::Range;

use super::identity::{TAIL_BYTES, tail_hash};

/// The longest line handed out whole.
pub const LINE_BYTES: usize = 64 * 1024;

/// The whole buffer: large enough that the cost of a read disappears in what it brings.
const BUFFER_BYTES: usize = 256 * 1024;

/// The least room worth a read; below it the buffer is tidied first.
const ROOM_BYTES: usize = 64 * 1024;

/// Where in the buffer a line is; good until the next call.
#[derive(Clone, Debug)]
pub(super) struct Found {
    place: Range<usize>,
    too_long: bool,
}

/// The buffer. Indices rise: `done <= start <= scanned <= end`.
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Just after the last line handed out: the position.
    done: usize,
    /// Where the line being gathered begins; NUL bytes before it are passed over.
    start: usize,
    /// No line feed lies between `start` and here.
    scanned: usize,
    /// Just after the last byte read.
    end: usize,
    /// NUL bytes dropped between `done` and `start`.
    nuls: u64,
    /// Bytes dropped out of the line being gathered, after its first [`LINE_BYTES`].
    cut: u64,
    /// The offset in the content that `done` stands for.
    offset: u64,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER_BYTES],
            done: 0,
            start: 0,
            scanned: 0,
            end: 0,
            nuls: 0,
            cut: 0,
            offset: 0,
        }
    }

    /// Begins anew at `offset` of some content, which `tail` comes before (at most [`TAIL_BYTES`]).
    pub(super) fn restart(&mut self, offset: u64, tail: &[u8]) {
        for (to, from) in self.buffer.iter_mut().zip(tail) {
            *to = *from;
        }
        self.done = tail.len();
        (self.start, self.scanned, self.end) = (self.done, self.done, self.done);
        (self.nuls, self.cut, self.offset) = (0, 0, offset);
    }

    /// The next complete line.
    pub(super) fn take(&mut self) -> Option<Found> {
        if self.buffer.get(self.start) == Some(&0) {
            self.pass_nuls();
        }
        let unread = self.buffer.get(self.scanned..self.end).unwrap_or_default();
        let Some(ahead) = memchr::memchr(b'\n', unread) else {
            self.scanned = self.end;
            return None;
        };
        let feed = self.scanned + ahead;
        let returned = feed > self.start && self.buffer.get(feed - 1) == Some(&b'\r');
        let found = self.found(if returned { feed - 1 } else { feed });
        self.finish(feed + 1);
        Some(found)
    }

    /// What is there after the last line feed, as a line: for content that has ended for good.
    pub(super) fn take_rest(&mut self) -> Option<Found> {
        let found = (self.start < self.end).then(|| self.found(self.end));
        self.finish(self.end);
        found
    }

    /// The bytes of a line just found.
    pub(super) fn line(&self, found: &Found) -> super::Line<'_> {
        let bytes = self.buffer.get(found.place.clone()).unwrap_or_default();
        super::Line { bytes, too_long: found.too_long }
    }

    /// Room to read into; never empty. Only after `take` has found no more.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.buffer.len() - self.end < ROOM_BYTES {
            self.drop_nuls();
            self.drop_past();
        }
        if self.buffer.len() - self.end < ROOM_BYTES {
            self.drop_middle();
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Says how many bytes were read into the room.
    pub(super) fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.buffer.len());
    }

    /// The offset just after the last line handed out.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The hash of the bytes before [`Lines::offset`].
    pub(super) fn tail(&self) -> u64 {
        tail_hash(self.before(self.done))
    }

    /// The offset just after the last byte read.
    pub(super) fn read_offset(&self) -> u64 {
        self.offset + self.nuls + self.cut + bytes(self.end - self.done)
    }

    /// The bytes before [`Lines::read_offset`].
    pub(super) fn read_tail(&self) -> &[u8] {
        self.before(self.end)
    }

    /// How many bytes of a line without an end are waiting.
    pub(super) fn waiting(&self) -> u64 {
        self.read_offset() - self.offset
    }

    fn before(&self, index: usize) -> &[u8] {
        self.buffer.get(index.saturating_sub(TAIL_BYTES)..index).unwrap_or_default()
    }

    fn found(&self, end: usize) -> Found {
        let longest = self.start + LINE_BYTES;
        Found { place: self.start..end.min(longest), too_long: self.cut > 0 || end > longest }
    }

    fn finish(&mut self, next: usize) {
        self.offset += self.nuls + self.cut + bytes(next - self.done);
        (self.nuls, self.cut) = (0, 0);
        (self.done, self.start, self.scanned) = (next, next, next);
    }

    fn pass_nuls(&mut self) {
        let gathered = self.buffer.get(self.start..self.end).unwrap_or_default();
        self.start += gathered.iter().take_while(|byte| **byte == 0).count();
        self.scanned = self.scanned.max(self.start);
    }

    /// Drops NUL bytes in front of the line being gathered, but for as many as a tail covers.
    fn drop_nuls(&mut self) {
        let from = self.start.saturating_sub(TAIL_BYTES);
        if from <= self.done {
            return;
        }
        let dropped = from - self.done;
        self.buffer.copy_within(from..self.end, self.done);
        self.nuls += bytes(dropped);
        self.start -= dropped;
        self.scanned -= dropped;
        self.end -= dropped;
    }

    /// Drops lines handed out, but for as many bytes as a tail covers.
    fn drop_past(&mut self) {
        let dropped = self.done.saturating_sub(TAIL_BYTES);
        self.buffer.copy_within(dropped..self.end, 0);
        self.done -= dropped;
        self.start -= dropped;
        self.scanned -= dropped;
        self.end -= dropped;
    }

    /// Drops what a line has beyond its limit, but for the last bytes.
    fn drop_middle(&mut self) {
        let keep_to = self.start + LINE_BYTES;
        let from = self.end.saturating_sub(TAIL_BYTES);
        if from <= keep_to {
            return;
        }
        self.buffer.copy_within(from..self.end, keep_to);
        self.cut += bytes(from - keep_to);
        self.end -= from - keep_to;
        self.scanned = self.end;
    }
}

/// A length as the `u64` that offsets are.
fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

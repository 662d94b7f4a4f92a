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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a line is, said in the simplest way: text, too long, and where the next line begins.
    fn model(content: &[u8]) -> Vec<(Vec<u8>, bool, u64)> {
        let mut at = 0;
        let mut lines = Vec::new();
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            at += line.len();
            let Some(text) = line.strip_suffix(b"\n") else { continue };
            let nuls = text.iter().take_while(|byte| **byte == 0).count();
            let text = &text[nuls..];
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let kept = &text[..text.len().min(LINE_BYTES)];
            lines.push((kept.to_vec(), text.len() > LINE_BYTES, bytes(at)));
        }
        lines
    }

    fn before(content: &[u8], offset: u64) -> &[u8] {
        let offset = usize::try_from(offset).expect("an index");
        &content[offset.saturating_sub(TAIL_BYTES)..offset]
    }

    /// Feeds `content` from `from` on in pieces of the given sizes, checking everything on the way.
    fn check(content: &[u8], from: u64, pieces: &[usize]) {
        let mut lines = Lines::new();
        lines.restart(from, before(content, from));
        let expected = model(content);
        let mut expected = expected.iter().filter(|(_, _, after)| *after > from);
        let mut rest = &content[usize::try_from(from).expect("an index")..];
        let mut pieces = pieces.iter().copied().cycle();
        loop {
            while let Some(found) = lines.take() {
                let (text, too_long, after) =
                    expected.next().expect("no more lines than there are");
                let line = lines.line(&found);
                assert!(line.bytes == text, "{} bytes for {}", line.bytes.len(), text.len());
                assert_eq!(line.too_long, *too_long);
                assert_eq!(lines.offset(), *after);
                assert_eq!(lines.tail(), tail_hash(before(content, *after)));
            }
            let room = lines.room();
            assert!(!room.is_empty());
            let piece = pieces.next().expect("some pieces").min(room.len()).min(rest.len());
            if piece == 0 {
                break;
            }
            room[..piece].copy_from_slice(&rest[..piece]);
            lines.filled(piece);
            rest = &rest[piece..];
            assert_eq!(lines.read_offset(), bytes(content.len() - rest.len()));
            assert!(lines.read_tail() == before(content, lines.read_offset()));
        }
        assert_eq!(expected.next(), None);
        let left = content.len() - content.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        assert_eq!(lines.waiting(), bytes(left).min(bytes(content.len()) - from));
        lines.take_rest();
        assert_eq!(lines.offset(), bytes(content.len()));
        assert_eq!(lines.tail(), tail_hash(before(content, lines.offset())));
    }

    #[test]
    fn hostile_shapes() {
        let mega = [vec![b'x'; 1 << 20], b"\nafter\r\n".to_vec()].concat();
        let hole = [vec![0; 1 << 20], b"after the hole\nnext\n".to_vec()].concat();
        let both = [vec![0; 300_000], mega.clone(), hole.clone(), mega.clone()].concat();
        let limit = |over: usize| [vec![b'y'; LINE_BYTES + over], b"\r\nz\n".to_vec()].concat();
        for (what, content) in [
            ("nothing", Vec::new()),
            ("one feed", b"\n".to_vec()),
            ("only returns", b"\r\r\n\r\n\r".to_vec()),
            ("nuls inside", b"a\0b\n\0\0\n\0\r\nc\0\n\0".to_vec()),
            ("a megabyte", mega),
            ("a hole", hole),
            ("both", both),
            ("at the limit", limit(0)),
            ("beyond the limit", limit(1)),
        ] {
            for piece in [1, 4096, BUFFER_BYTES] {
                if piece > 1 || content.len() < 100_000 {
                    let outcome = std::panic::catch_unwind(|| check(&content, 0, &[piece]));
                    assert!(outcome.is_ok(), "{what}, {piece} at a time");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn agrees_with_the_model(
            runs in prop::collection::vec(
                (prop::sample::select(vec![b'a', b'\n', b'\r', 0, b'b']),
                 prop_oneof![6 => 1_usize..5, 2 => 200_usize..400, 1 => 60_000_usize..70_000,
                             1 => 180_000_usize..300_000]),
                0..24),
            pieces in prop::collection::vec(1_usize..300_000, 1..6),
            begin in any::<prop::sample::Index>(),
        ) {
            let content: Vec<u8> = runs
                .iter()
                .flat_map(|(byte, count)| {
                    // Long runs of line feeds only cost time.
                    std::iter::repeat_n(*byte, if *byte == b'\n' { 1 + count % 3 } else { *count })
                })
                .collect();
            let mut begins = vec![0];
            begins.extend(model(&content).iter().map(|(_, _, after)| *after));
            check(&content, *begin.get(&begins), &pieces);
        }
    }
}

//! What makes a source the same source, and how far it was read.
//!
//! A log keeps its content when it is renamed, copied or compressed, so a source is named by
//! content: its **fingerprint** is FNV-1a 128 (RFC 9923) in 32 hex digits over its first line without
//! the line feed, or over its first [`FINGERPRINT_BYTES`] bytes if that line is longer. If it begins with lines that
//! begin with `#`, as W3C and Exchange logs do, these count together with the first line after them: they are alike in
//! all files of a day. `mail.log`,
//! `mail.log.1` and `mail.log.2.gz` are one source; what is written after a copytruncate is another.
//! The **id** of a source is its fingerprint, or `fingerprint#2`, `#3`, ... when other content that
//! begins with the same line has taken the ids before. Both are stored: neither may ever change.
//!
//! FNV is no cryptographic hash. Who can write the first line of a log can make two logs share a
//! fingerprint; the tail below then tells them apart, and the second gets an id of its own.
//!
//! A [`Position`] is stored as 33 bytes: version (1), then offset, tail, device and inode as
//! big-endian `u64`.

use std::collections::HashSet;
use std::io::{self, Read};

use super::Positions;
use super::file::read_some;

/// How much of a first line counts, at most.
pub const FINGERPRINT_BYTES: usize = 4096;

/// How many bytes before a position its `tail` covers, at most.
pub const TAIL_BYTES: usize = 256;

/// The only layout of a stored position so far.
const VERSION: u8 = 1;

/// How far a source was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes of (decompressed) content consumed. Just after a line feed, or after all content when
    /// a compressed log or a stream ended without one.
    pub offset: u64,
    /// FNV-1a 64 of the last [`TAIL_BYTES`] bytes before `offset` (fewer at the beginning).
    pub tail: u64,
    /// The device of the file it was read from; 0 for a stream.
    pub dev: u64,
    /// The inode of the file it was read from; 0 for a stream.
    pub inode: u64,
}

/// Why stored bytes are no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// A later helostat wrote it.
    #[error("a stored log position has version {0}; this program knows version 1")]
    Version(u8),
    /// Bytes are missing or left over.
    #[error("a stored log position has {0} bytes instead of 33")]
    Length(usize),
}

impl Position {
    /// The 33 bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for number in [self.offset, self.tail, self.dev, self.inode] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`Position::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PositionError> {
        let (version, numbers) = bytes.split_first().ok_or(PositionError::Length(0))?;
        if *version != VERSION {
            return Err(PositionError::Version(*version));
        }
        let (words, []) = numbers.as_chunks::<8>() else {
            return Err(PositionError::Length(bytes.len()));
        };
        let &[offset, tail, dev, inode] = words else {
            return Err(PositionError::Length(bytes.len()));
        };
        Ok(Self {
            offset: u64::from_be_bytes(offset),
            tail: u64::from_be_bytes(tail),
            dev: u64::from_be_bytes(dev),
            inode: u64::from_be_bytes(inode),
        })
    }
}

/// The beginning of some content: as many bytes as count for the fingerprint, if there are so many.
#[derive(Clone, Debug)]
pub(super) struct Beginning {
    /// At most [`FINGERPRINT_BYTES`] bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether more can follow `bytes` when they are short.
    pub(super) end: End,
}

/// Whether content that ends here now ends here for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A plain file: its writer may come back.
    Open,
    /// A compressed file or a stream: that was all.
    Final,
}

impl Beginning {
    /// Reads the beginning of `stream`, whose end is `end`. Damage behind the first line is no
    /// failure here.
    pub(super) fn read(stream: &mut dyn Read, end: End) -> io::Result<Self> {
        let mut bytes = vec![0; FINGERPRINT_BYTES];
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match read_some(stream, room) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) => {
                    bytes.truncate(filled);
                    let readable = Self { bytes, end: End::Open };
                    return if readable.fingerprint().is_some() {
                        Ok(readable)
                    } else {
                        Err(error)
                    };
                }
            }
        }
        bytes.truncate(filled);
        Ok(Self { bytes, end })
    }

    /// The fingerprint, once the first line is there.
    pub(super) fn fingerprint(&self) -> Option<String> {
        let line = match self.first_line_end() {
            Some(end) => self.bytes.get(..end)?,
            None if self.bytes.len() >= FINGERPRINT_BYTES => &self.bytes,
            None if self.end == End::Final && !self.bytes.is_empty() => &self.bytes,
            None => return None,
        };
        Some(format!("{:032x}", fnv1a_128(line)))
    }

    /// Where the first line ends that is not a head line (`#Software: ...`): heads are alike in all files of a program.
    fn first_line_end(&self) -> Option<usize> {
        let mut begin = 0;
        loop {
            let rest = self.bytes.get(begin..)?;
            let end = begin + memchr::memchr(b'\n', rest)?;
            if rest.first() != Some(&b'#') {
                return Some(end);
            }
            begin = end + 1;
        }
    }
}

/// A stored id, with its position if this program can read that.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) position: Option<Position>,
}

/// What is known of a fingerprint: what is stored, with `own` (not stored yet, but newer) on top.
pub(super) fn known(
    positions: &dyn Positions,
    fingerprint: &str,
    own: Option<(&str, Position)>,
) -> Vec<Known> {
    let mut known: Vec<Known> = positions
        .find(fingerprint)
        .into_iter()
        .map(|(id, bytes)| Known { id, position: Position::from_bytes(&bytes).ok() })
        .collect();
    let Some((id, position)) = own.filter(|(id, _)| is_id_of(id, fingerprint)) else {
        return known;
    };
    known.retain(|other| other.id != id);
    known.push(Known { id: id.to_owned(), position: Some(position) });
    known
}

/// The first id of `fingerprint` that nobody has taken.
pub(super) fn free_id(fingerprint: &str, known: &[Known]) -> String {
    let ids: HashSet<&str> = known.iter().map(|other| other.id.as_str()).collect();
    let taken = |id: &str| ids.contains(id);
    if !taken(fingerprint) {
        return fingerprint.to_owned();
    }
    (2_u64..)
        .map(|ordinal| format!("{fingerprint}#{ordinal}"))
        .find(|id| !taken(id))
        .unwrap_or_else(|| fingerprint.to_owned())
}

pub(super) fn is_id_of(id: &str, fingerprint: &str) -> bool {
    id.strip_prefix(fingerprint).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}

/// The hash of the bytes before a position.
pub(super) fn tail_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn fnv1a_128(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_published_ones() {
        for (text, short, long) in [
            ("", 0xcbf2_9ce4_8422_2325, 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d),
            ("a", 0xaf63_dc4c_8601_ec8c, 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964),
            ("foobar", 0x8594_4171_f739_67e8, 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18),
        ] {
            assert_eq!(tail_hash(text.as_bytes()), short, "{text:?}");
            assert_eq!(fnv1a_128(text.as_bytes()), long, "{text:?}");
        }
    }

    #[test]
    fn fingerprint_is_the_first_line() {
        let long = "x".repeat(FINGERPRINT_BYTES);
        let of = |text: &str, end| Beginning { bytes: text.into(), end }.fingerprint();
        let a = Some("d228cb696f1a8caf78912b704e4a8964".to_owned());
        for (text, end, expected) in [
            ("a\nb\n", End::Open, a.clone()),
            ("a\n", End::Final, a.clone()),
            ("a", End::Open, None),
            ("a", End::Final, a),
            ("", End::Open, None),
            ("", End::Final, None),
            ("\n", End::Open, Some("6c62272e07bb014262b821756295c58d".to_owned())),
            ("#head\n", End::Open, None),
        ] {
            assert_eq!(of(text, end), expected, "{text:?} {end:?}");
        }
        assert!(of("#head\na\n", End::Open).is_some());
        assert_ne!(of("#head\na\n", End::Open), of("#head\nb\n", End::Open));
        assert!(of("#head\n", End::Final).is_some());
        assert!(of(&long, End::Open).is_some());
        assert_eq!(of(&long, End::Open), of(&long, End::Final));
    }

    #[test]
    fn position_layout_is_fixed() {
        let position = Position { offset: 1, tail: 2, dev: 3, inode: 0x0405 };
        let bytes = position.to_bytes();
        let golden = "01000000000000000100000000000000020000000000000003\
                      0000000000000405";
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden);
        assert_eq!(Position::from_bytes(&bytes), Ok(position));
        assert_eq!(Position::from_bytes(&[]), Err(PositionError::Length(0)));
        assert_eq!(Position::from_bytes(&[7, 0]), Err(PositionError::Version(7)));
        assert_eq!(Position::from_bytes(&bytes[..32]), Err(PositionError::Length(32)));
        let longer = [bytes, vec![0]].concat();
        assert_eq!(Position::from_bytes(&longer), Err(PositionError::Length(34)));
    }

    #[test]
    fn ids_count_up() {
        let known = |ids: &[&str]| -> Vec<Known> {
            ids.iter().map(|id| Known { id: (*id).to_owned(), position: None }).collect()
        };
        for (taken, expected) in [
            (&[] as &[&str], "f"),
            (&["f"], "f#2"),
            (&["f", "f#2"], "f#3"),
            (&["f#2"], "f"),
            (&["f", "f#3"], "f#2"),
        ] {
            assert_eq!(free_id("f", &known(taken)), expected, "{taken:?}");
        }
    }
}

//! An open log file on disk, plain or packed by its first bytes.
//!
//! All reading is by offset, so that several readers can share one open file, and a file stays the
//! same file under any renaming. What fails is an `io::Error`; the caller knows the path.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use helostat_zones::time::Time;

use super::SourceTrouble;
use super::identity::{Beginning, End, TAIL_BYTES};
use super::unpack::{MAGIC_BYTES, Packing, unpacked};

/// How much is looked through for a line at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Decompressed bytes, or those of a stream.
pub(super) type Stream = Box<dyn Read + Send>;

/// What tells files, and states of a file, apart without reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    pub(super) dev: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            dev: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }

    /// When it was last written, as the ledger counts time.
    pub(super) fn time(&self) -> Option<Time> {
        let since = self.modified?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Time::from_unix(i64::try_from(since.as_secs()).ok()?))
    }
}

/// An open regular file.
#[derive(Clone)]
pub(super) struct LogFile {
    file: Arc<File>,
    pub(super) packing: Packing,
    pub(super) dev: u64,
    pub(super) inode: u64,
}

impl LogFile {
    /// Opens `path`, whatever its packing.
    pub(super) fn open(path: &Path) -> Result<Self, SourceTrouble> {
        let mut log = Self::open_plain(path)?;
        let mut magic = [0; MAGIC_BYTES];
        let read = log
            .read_fully_at(&mut magic, 0)
            .map_err(|error| SourceTrouble::from_io(path, &error))?;
        log.packing = Packing::of(magic.get(..read).unwrap_or_default());
        Ok(log)
    }

    /// Opens `path` as plain text: a followed log, which may still be empty.
    pub(super) fn open_plain(path: &Path) -> Result<Self, SourceTrouble> {
        let trouble = |error| SourceTrouble::from_io(path, &error);
        // Looked at before it is opened: opening a pipe would wait for its writer.
        regular(path, &std::fs::metadata(path).map_err(trouble)?)?;
        let file = File::open(path).map_err(trouble)?;
        let metadata = file.metadata().map_err(trouble)?;
        regular(path, &metadata)?;
        let (dev, inode) = (metadata.dev(), metadata.ino());
        Ok(Self { file: Arc::new(file), packing: Packing::Plain, dev, inode })
    }

    /// Whether both are the same file, whatever its name.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        (self.dev, self.inode) == (other.dev, other.inode)
    }

    /// What the file is like now.
    pub(super) fn stamp(&self) -> io::Result<Stamp> {
        Ok(Stamp::of(&self.file.metadata()?))
    }

    /// Reads plain content at `offset`; 0 at the end.
    pub(super) fn read_at(&self, room: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(room, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// The content from its beginning; `consumed` counts bytes on disk.
    pub(super) fn stream(&self, consumed: &Arc<AtomicU64>) -> Stream {
        unpacked(self.packing, self.plain_from(0, consumed))
    }

    /// Plain content from `offset` on.
    pub(super) fn plain_from(&self, offset: u64, consumed: &Arc<AtomicU64>) -> Stream {
        let (file, consumed) = (Arc::clone(&self.file), Arc::clone(consumed));
        Box::new(FileBytes { file, at: offset, consumed })
    }

    /// The first bytes of the content. Damage behind the first line is left for later reading.
    pub(super) fn beginning(&self, consumed: &Arc<AtomicU64>) -> io::Result<Beginning> {
        let end = if self.packing.is_packed() { End::Final } else { End::Open };
        Beginning::read(&mut self.stream(consumed), end)
    }

    /// The plain bytes that a position at `offset` has as its tail; none if the file is shorter.
    pub(super) fn tail_at(&self, offset: u64) -> io::Result<Option<Vec<u8>>> {
        let covered = usize::try_from(offset).unwrap_or(TAIL_BYTES).min(TAIL_BYTES);
        let mut tail = vec![0; covered];
        let from = offset - u64::try_from(covered).unwrap_or_default();
        let read = self.read_fully_at(&mut tail, from)?;
        Ok((read == covered).then_some(tail))
    }

    /// Whether a complete line of plain text begins at `offset`.
    pub(super) fn has_line_at(&self, offset: u64) -> io::Result<bool> {
        let mut piece = vec![0; PIECE_BYTES];
        let mut offset = offset;
        loop {
            let read = self.read_at(&mut piece, offset)?;
            let seen = piece.get(..read).unwrap_or_default();
            if memchr::memchr(b'\n', seen).is_some() {
                return Ok(true);
            }
            if read == 0 {
                return Ok(false);
            }
            offset += u64::try_from(read).unwrap_or_default();
        }
    }

    /// Fills `room` from `offset`, or as much of it as there is.
    pub(super) fn read_fully_at(&self, room: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, offset + u64::try_from(filled).unwrap_or_default())? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }
}

/// Refuses what is no regular file.
pub(super) fn regular(path: &Path, metadata: &Metadata) -> Result<(), SourceTrouble> {
    if metadata.is_dir() {
        return Err(SourceTrouble::IsDirectory { path: path.to_path_buf() });
    }
    if !metadata.is_file() {
        return Err(SourceTrouble::NotRegular { path: path.to_path_buf() });
    }
    Ok(())
}

/// Reads some bytes; 0 at the end.
pub(super) fn read_some(stream: &mut dyn Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A file's bytes, with a place of its own and a count for whoever watches.
struct FileBytes {
    file: Arc<File>,
    at: u64,
    consumed: Arc<AtomicU64>,
}

impl Read for FileBytes {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(room, self.at)?;
        self.at += u64::try_from(read).unwrap_or_default();
        self.consumed.store(self.at, Ordering::Relaxed);
        Ok(read)
    }
}

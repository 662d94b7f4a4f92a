//! A stream that is to be read on from a stored position, although it cannot go back.
//!
//! Whether a position belongs to the content is known only when the bytes before it have passed. They
//! are kept in a file without a name in the system's temporary folder, and read from there if reading
//! must begin further back. Its size is at most the furthest stored offset; it is gone with the reader.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicU64, Ordering};

use super::file::Stream;
use super::identity::{Known, TAIL_BYTES};
use super::resume::{Resume, Walk, best, candidates, walk_over};

/// What a stream has for a file's device and inode.
pub(super) const NO_FILE: (u64, u64) = (0, 0);

/// A stream with the position it is read on from, or from its beginning.
pub(super) enum Spooled {
    Known(Resume),
    New(Stream),
}

/// Finds the stored position that belongs to `stream`.
pub(super) fn resume_stream(stream: Stream, known: &[Known]) -> io::Result<Spooled> {
    let candidates = candidates(known, NO_FILE);
    if candidates.is_empty() {
        return Ok(Spooled::New(stream));
    }
    let mut passed = nameless_file()?;
    let mut walk = Walk::new(stream);
    let verified = walk_over(&mut walk, candidates, &mut |bytes| passed.write_all(bytes))?;
    let Some(best) = best(verified, NO_FILE) else {
        return Ok(Spooled::New(Box::new(Replay { file: passed, at: 0 }.chain(walk.stream))));
    };
    let offset = best.position.offset;
    let covered = usize::try_from(offset).unwrap_or(TAIL_BYTES).min(TAIL_BYTES);
    let mut tail = vec![0; covered];
    passed.read_exact_at(&mut tail, offset - u64::try_from(covered).unwrap_or_default())?;
    let stream = Box::new(Replay { file: passed, at: offset }.chain(walk.stream));
    Ok(Spooled::Known(Resume { id: best.id, offset, tail, stream }))
}

/// What has passed, from some offset on.
struct Replay {
    file: File,
    at: u64,
}

impl Read for Replay {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(room, self.at)?;
        self.at += u64::try_from(read).unwrap_or_default();
        Ok(read)
    }
}

/// A file for this process alone, which vanishes when it is closed.
pub fn nameless_file() -> io::Result<File> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let folder = std::env::temp_dir();
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("helostat-stream-{}-{count}", std::process::id()));
        // `create_new` follows no link that somebody else has put there.
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

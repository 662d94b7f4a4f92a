//! The whole content of a finished file, plain or packed, or of standard input, for who reads something
//! else from it than log lines.
//!
//! In: a path, or `-`. Out: the unpacked content, as often as it is asked for from its beginning (of
//! standard input once), and how much of the file was consumed for it. Errors while reading are the
//! system's and the decoder's; [`Whole::trouble`] says them as for a log.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::SourceError;
use super::file::{LogFile, Stream};
use super::history::{Counted, unpacked_stream};
use super::unpack::ahead;

/// A finished file, or standard input.
pub struct Whole {
    path: PathBuf,
    /// None for standard input.
    file: Option<LogFile>,
    consumed: Arc<AtomicU64>,
}

impl Whole {
    /// Opens `path`; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let file = (path != Path::new("-")).then(|| LogFile::open(path)).transpose()?;
        Ok(Self { path: path.to_path_buf(), file, consumed: Arc::default() })
    }

    /// True if the content can be had again.
    pub fn is_repeatable(&self) -> bool {
        self.file.is_some()
    }

    /// The content from its beginning.
    pub fn content(&self) -> io::Result<Box<dyn io::Read + Send>> {
        self.consumed.store(0, Ordering::Relaxed);
        match &self.file {
            Some(file) if file.packing.is_packed() => Ok(ahead(file.stream(&self.consumed))),
            Some(file) => Ok(file.stream(&self.consumed)),
            None => {
                let stream: Stream = Box::new(io::stdin());
                let counted = Counted { stream, consumed: Arc::clone(&self.consumed) };
                Ok(unpacked_stream(counted)?.0)
            }
        }
    }

    /// The size on disk; none for standard input.
    pub fn total_bytes(&self) -> Option<u64> {
        Some(self.file.as_ref()?.stamp().ok()?.size)
    }

    /// Bytes on disk, or of standard input, consumed so far.
    pub fn read_bytes(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// What an error while reading means.
    pub fn trouble(&self, error: &io::Error) -> SourceError {
        SourceError::from_reading(&self.path, error, self.read_bytes())
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whole").field("path", &self.path).finish()
    }
}

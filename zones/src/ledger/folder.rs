//! The folder of a ledger: which files are in it, and what is done to them.
//!
//! In go paths, out come the file system's errors. A directory that is made here is on the disk when the
//! function returns; what is removed may come back after a power cut, and is then removed again. What is in
//! the files is `sled_store`'s.

use std::fs::{File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use super::store::StoreError;

/// The file with the number of the last committed entry.
pub(super) const COMMITTED: &str = "committed";
/// sled's file of everything.
pub(super) const DB: &str = "db";
/// How the names of sled's snapshots of its page table begin.
pub(super) const SNAP: &str = "snap.";
/// sled's file of its settings.
pub(super) const CONF: &str = "conf";

/// Makes the directory, for its owner alone: what is in it is personal data. One that is there is left
/// as the operator has it.
pub(super) fn make_private(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let there = path.ancestors().find(|ancestor| ancestor.is_dir()).map(Path::to_owned);
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700))?;
    // Each new directory is in one that must be on the disk too.
    for parent in path.ancestors().skip(1) {
        sync(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
        if there.as_deref() == Some(parent) {
            break;
        }
    }
    Ok(())
}

/// Writes and removes a file, so that a directory we may not write in is said as such and not as
/// whatever sled makes of it.
pub(super) fn probe_writable(path: &Path) -> Result<(), StoreError> {
    let probe = path.join(".writable");
    let tried = File::create(&probe).and_then(|_| std::fs::remove_file(&probe));
    tried.map_err(|error| StoreError::Io {
        path: path.to_owned(),
        why: format!("the directory cannot be written: {error}"),
    })
}

/// Removes what sled left of a snapshot of its own that it was writing when the power went. It would take
/// it for a whole one, and refuse to open.
pub(super) fn remove_half_snapshots(path: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(SNAP) && name.ends_with(".generating") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Brings a file or a directory to the disk.
pub(super) fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes a file, if there is one.
pub(super) fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The last entry noted in the ledger at `path`; `None` if the file is new or not ours to read.
pub(super) fn remembered(path: &Path) -> Option<u64> {
    let mut digits = [0; 20];
    File::open(path.join(COMMITTED)).ok()?.read_exact_at(&mut digits, 0).ok()?;
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// How much the files of a folder take, without those in folders below.
pub(super) fn octets_below(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_file() => data.len(),
            _ => 0,
        })
        .sum()
}

/// What the file system said, as the store's error.
pub(super) fn io_error(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), why: error.to_string() }
}

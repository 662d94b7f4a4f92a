//! The folder of a ledger: which files are in it, and what is done to them.
//!
//! In go paths, out come the file system's errors. A directory that is made here is on the disk when the
//! function returns; what is removed may come back after a power cut, and is then removed again. What is in
//! the files is `sled_store`'s.

use std::fs::{File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use super::store::StoreError;

/// The file with the number of the last committed entry.
pub(super) const COMMITTED: &str = "committed";
/// sled's file of everything.
pub(super) const DB: &str = "db";
/// How the names of sled's snapshots of its page table begin.
pub(super) const SNAP: &str = "snap.";
/// The folder in it with the snapshots that the daemon takes.
pub(super) const SNAPSHOTS: &str = "snapshots";
/// How the names of folders begin that hold what was set aside.
pub(super) const ASIDE: &str = "db.damaged-";
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

/// Notes the last committed entry of the ledger at `path`, where nobody has it open.
pub(super) fn remember(path: &Path, seq: u64) -> std::io::Result<()> {
    let committed = path.join(COMMITTED);
    let file = File::options().write(true).create(true).truncate(false).open(&committed)?;
    file.write_all_at(format!("{seq:020}\n").as_bytes(), 0)?;
    file.sync_all()
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

/// How many octets a ledger takes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Disk {
    /// The database.
    pub database: u64,
    /// The snapshots in its folder.
    pub snapshots: u64,
    /// Damaged databases that were set aside.
    pub set_aside: u64,
}

/// Where the ledger at `path` has its own snapshots.
pub fn snapshots_of(path: &Path) -> PathBuf {
    path.join(SNAPSHOTS)
}

/// The folders in a ledger with what was set aside, in the order of their names.
pub(super) fn set_aside_in(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let is_aside = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        path.is_dir() && name.to_string_lossy().starts_with(ASIDE)
    };
    let mut aside: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_aside).collect();
    aside.sort();
    aside
}

/// Gives the files of the ledger at `path` to who owns its folder, or the folder around it if that is
/// root's: what root made while the daemon was stopped must be the daemon's when it starts. Does nothing
/// for who may not give files away.
pub fn hand_over(path: &Path) {
    const ROOT: u32 = 0;
    let owner_of = |path: &Path| {
        let data = std::fs::metadata(path).ok()?;
        (data.uid() != ROOT).then_some((data.uid(), data.gid()))
    };
    let Some((user, group)) = owner_of(path).or_else(|| owner_of(path.parent()?)) else { return };
    let mut folders = vec![path.to_owned(), snapshots_of(path)];
    folders.extend(set_aside_in(path));
    for folder in folders {
        let inside = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in inside.map(|entry| entry.path()).chain([folder]) {
            if std::fs::symlink_metadata(&path).is_ok_and(|data| data.uid() == ROOT) {
                lchown(&path, Some(user), Some(group)).ok();
            }
        }
    }
}

/// How much the ledger at `path` takes on disk now.
pub(super) fn disk(path: &Path) -> Disk {
    Disk {
        database: octets_below(path),
        snapshots: octets_below(&snapshots_of(path)),
        set_aside: set_aside_in(path).iter().map(|path| octets_below(path)).sum(),
    }
}

/// What the file system said, as the store's error.
pub(super) fn io_error(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), why: error.to_string() }
}

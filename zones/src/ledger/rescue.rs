//! What to do with a ledger that cannot be opened: set it aside, whole, and begin again from a snapshot.
//!
//! [`rebuild`] does all of it: it looks for the newest snapshot in the ledger's folder that is whole, and then
//! takes two steps, each of which may be cut short by a crash and done again:
//!
//! 1. [`set_aside`] moves sled's files and `committed` to `db.damaged-<when>` in the ledger's folder.
//!    Nothing is deleted: someone may want to look at it.
//! 2. [`restore`] copies a snapshot into a fresh store, or makes an empty one, and says what came back
//!    and how much did not. The logs are then read again from the positions in the snapshot.
//!
//! While that goes on a file `rescue` lies in the folder: one line, `set-aside` or `restore` and then the
//! last committed entry of the damaged ledger in decimal, or `?`. A ledger with that file is refused by
//! everybody else. It is written before the first file is moved and removed when all is done.
//!
//! In the folder that was set aside, a file `rescued` tells what came back: [`told`] reads it, so that
//! who started the daemon anew is told, too, until somebody removes the folder.
//!
//! Only the file system is used, and no clock: the caller says when it is.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::folder::{
    ASIDE, COMMITTED, CONF, DB, SNAP, io_error, make_private, remember, remembered,
    remove_if_there, set_aside_in, snapshots_of, sync,
};
use super::sled_store::{LOCK_PAUSE, LOCK_TRIES, SledStore};
use super::snapshot;
use super::store::{DATABASE, Key, Store, StoreError};
use super::verify;

/// The file that says what is going on.
const NOTE: &str = "rescue";
/// The file that says what came of it, in the folder that was set aside.
const TOLD: &str = "rescued";
/// sled's folder of large pages.
const BLOBS: &str = "blobs";
/// How much of a snapshot is copied in one commit.
const COMMIT_BYTES: u64 = 8 << 20;

/// What a restored ledger has, and has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Records brought back.
    pub records: u64,
    /// Their octets.
    pub octets: u64,
    /// The last journal entry that they include.
    pub last: Option<u64>,
    /// How many entries were committed after that and are gone; `None` if the damaged ledger does not
    /// say how far it was.
    pub missing: Option<u64>,
}

/// What became of a ledger that was rebuilt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Where the damaged database is now; `None` if there was none.
    pub set_aside: Option<PathBuf>,
    /// The snapshot that was taken; `None` if there was no whole one and the ledger is empty now.
    pub snapshot: Option<PathBuf>,
    /// Newer snapshots that are not whole, where they are now, and why they were not taken.
    pub unusable: Vec<(PathBuf, String)>,
    /// How much came back.
    pub restored: Restored,
}

/// Sets a ledger that cannot be used aside and rebuilds it from the newest of its own snapshots that is
/// whole; without one it is empty then. Takes up what was cut short before. Fails if another process has
/// the ledger open, or if the disk does not take it; then the next call goes on where this one ended.
pub fn rebuild(ledger: &Path, when: &str) -> Result<Rebuilt, StoreError> {
    let io = |error: io::Error| io_error(ledger, &error);
    let mut snapshot = None;
    let mut unusable = Vec::new();
    for path in snapshot::newest_first(&snapshots_of(ledger)).map_err(io)? {
        match whole(&path) {
            Ok(file) => {
                snapshot = Some((path, file));
                break;
            }
            Err(why) => unusable.push((path, why)),
        }
    }
    let begun = Note::read(ledger).is_some_and(|note| note.step == Step::Restore);
    if !begun && !own_files(ledger).map_err(io)?.is_empty() {
        set_aside(ledger, when).map_err(io)?;
    }
    // Their numbers are greater than those to come: they would be taken for the newest for ever.
    for (path, _) in &mut unusable {
        *path = snapshot::set_aside(path).map_err(io)?;
    }
    let restored = restore(ledger, snapshot.as_ref().map(|(_, file)| file))?;
    Ok(Rebuilt {
        set_aside: set_aside_in(ledger).pop(),
        snapshot: snapshot.map(|(path, _)| path),
        unusable,
        restored,
    })
}

/// A snapshot of which every record can be read.
fn whole(path: &Path) -> Result<snapshot::File, String> {
    let file = snapshot::File::open(path).map_err(|error| error.to_string())?;
    match verify::check(&file, &mut |_, _| {}).damage.first() {
        Some(damage) => Err(damage.to_string()),
        None => Ok(file),
    }
}

/// Writes down, beside what was set aside, what came back and what did not.
pub fn tell(set_aside: &Path, told: &str) -> io::Result<()> {
    let path = set_aside.join(TOLD);
    fs::write(&path, format!("{told}\n"))?;
    sync(&path)?;
    sync(set_aside)
}

/// The databases that were set aside in a ledger's folder, the oldest first, each with what was written
/// down of it.
pub fn told(ledger: &Path) -> Vec<(PathBuf, String)> {
    let told = |path: &PathBuf| {
        let told = fs::read_to_string(path.join(TOLD)).unwrap_or_default();
        told.trim_end().to_owned()
    };
    set_aside_in(ledger).into_iter().map(|path| (path.clone(), told(&path))).collect()
}

/// True if there is a ledger at this path, sound or not.
pub fn is_ledger(path: &Path) -> bool {
    [DB, COMMITTED, NOTE].iter().any(|name| path.join(name).exists())
}

/// Moves a ledger that cannot be used to a folder of its own inside `ledger`, and returns that. `when`
/// becomes part of its name. Fails if another process has the ledger open.
pub fn set_aside(ledger: &Path, when: &str) -> io::Result<PathBuf> {
    let _lock = lock(ledger)?;
    let committed = match Note::read(ledger) {
        Some(note) if note.committed.is_some() => note.committed,
        _ => remembered(ledger),
    };
    Note { step: Step::SetAside, committed }.write(ledger)?;
    let aside = new_folder(ledger, when)?;
    for path in own_files(ledger)? {
        if let Some(name) = path.file_name() {
            fs::rename(&path, aside.join(name))?;
        }
    }
    sync(&aside)?;
    sync(ledger)?;
    Ok(aside)
}

/// Makes a fresh store in `ledger` and copies every record of the snapshot into it; without a snapshot it
/// stays empty. The folder may be new, or one that was set aside, or one where this was cut short; a ledger
/// that is there is not touched.
pub fn restore(ledger: &Path, snapshot: Option<&snapshot::File>) -> Result<Restored, StoreError> {
    let io = |error: io::Error| io_error(ledger, &error);
    make_private(ledger).map_err(io)?;
    let there = own_files(ledger).map_err(io)?;
    let note = match Note::read(ledger) {
        Some(note) if note.step == Step::Restore => note,
        _ if !there.is_empty() => {
            let why = "there is a ledger here already: set it aside first".into();
            return Err(StoreError::Io { path: ledger.to_owned(), why });
        }
        Some(note) => Note { step: Step::Restore, ..note },
        None => Note { step: Step::Restore, committed: None },
    };
    note.write(ledger).map_err(io)?;
    {
        let _lock = lock(ledger).map_err(io)?;
        for path in there {
            remove(&path).map_err(io)?;
        }
    }
    let mut restored = Restored::default();
    let mut store = SledStore::open_any(ledger)?;
    if let Some(snapshot) = snapshot {
        restored = copy(snapshot, &mut store)?;
    }
    store.commit()?;
    drop(store);
    if let Some(last) = restored.last {
        // The store notes it with entries only, and a snapshot may have none.
        remember(ledger, last).map_err(io)?;
    }
    restored.missing =
        note.committed.map(|committed| committed.saturating_sub(restored.last.unwrap_or(0)));
    remove_if_there(&ledger.join(NOTE)).map_err(io)?;
    sync(ledger).map_err(io)?;
    Ok(restored)
}

/// Refuses a ledger whose rescue was begun and not finished.
pub(super) fn refuse_unfinished(ledger: &Path) -> Result<(), StoreError> {
    if !ledger.join(NOTE).exists() {
        return Ok(());
    }
    Err(StoreError::Damaged {
        path: ledger.to_owned(),
        what: DATABASE.into(),
        why: "it was being rescued, and that was not finished".into(),
    })
}

fn copy(snapshot: &snapshot::File, store: &mut SledStore) -> Result<Restored, StoreError> {
    let mut restored = Restored { last: Some(snapshot.seq()), ..Restored::default() };
    let mut uncommitted = 0;
    // The base record last: it names what the others refer to.
    let keys = snapshot.keys().filter(|key| *key != Key::Base).chain([Key::Base]);
    for key in keys {
        let Some(record) = snapshot.get(key)? else { continue };
        store.put(key, &record)?;
        if let Key::Entry(seq) = key {
            restored.last = restored.last.max(Some(seq));
        }
        restored.records += 1;
        restored.octets += record.len() as u64;
        uncommitted += record.len() as u64;
        if uncommitted >= COMMIT_BYTES {
            store.commit()?;
            uncommitted = 0;
        }
    }
    Ok(restored)
}

/// What was being done with a ledger.
struct Note {
    step: Step,
    /// The last committed entry of the ledger that is damaged.
    committed: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    SetAside,
    Restore,
}

impl Note {
    fn read(ledger: &Path) -> Option<Self> {
        let text = fs::read_to_string(ledger.join(NOTE)).ok()?;
        let (step, committed) = text.trim_end().split_once(' ')?;
        let step = match step {
            "set-aside" => Step::SetAside,
            "restore" => Step::Restore,
            _ => return None,
        };
        Some(Self { step, committed: committed.parse().ok() })
    }

    fn write(&self, ledger: &Path) -> io::Result<()> {
        let step = match self.step {
            Step::SetAside => "set-aside",
            Step::Restore => "restore",
        };
        let committed = self.committed.map_or_else(|| "?".to_owned(), |seq| seq.to_string());
        let new = ledger.join(format!("{NOTE}.new"));
        fs::write(&new, format!("{step} {committed}\n"))?;
        sync(&new)?;
        fs::rename(&new, ledger.join(NOTE))?;
        sync(ledger)
    }
}

/// Holds sled's lock, if sled was here; waits a little for it, as sled lets go of it late.
fn lock(ledger: &Path) -> io::Result<Option<fs::File>> {
    let file = match fs::File::open(ledger.join(DB)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("it is in use by another process"))
}

/// The files of the store itself, in the order in which they are moved.
fn own_files(ledger: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = [DB, CONF, BLOBS, COMMITTED]
        .into_iter()
        .map(|name| ledger.join(name))
        .filter(|path| path.exists())
        .collect();
    for entry in fs::read_dir(ledger)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(SNAP) {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// Makes a folder that is not there yet.
fn new_folder(ledger: &Path, when: &str) -> io::Result<PathBuf> {
    let when = when.replace(|c: char| !c.is_ascii_alphanumeric() && !"-_.:".contains(c), "_");
    let mut name = format!("{ASIDE}{when}");
    for again in 2.. {
        let folder = ledger.join(&name);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                name = format!("{ASIDE}{when}-{again}");
            }
            made => {
                made?;
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
                return Ok(folder);
            }
        }
    }
    Err(io::Error::other("every name for the folder is taken"))
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

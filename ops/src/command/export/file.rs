//! A file that is replaced as a whole, or not at all.
//!
//! In goes a path, then the octets of the new file; out comes a file of that name that is either the old one or the new one, whole, at any moment
//! and whatever ends the program. The new one is written beside it (`.NAME.new`), brought to the disk, and renamed. It has the mode, and where
//! that is allowed the owner, of the old one. If it says the same but for serial and time, the old one stays untouched, so that
//! programs that look for changes see none.
//!
//! What is no plain file (a pipe, `/dev/stdout`) is written to as it is. A symbolic link stays, and the file behind it is replaced.
//!
//! Fails with what the disk says, and the path. What is left of a new file after a sudden end is taken away by the next one. Two that write the same
//! file at once would write into each other's: the second is told so.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use helostat_zones::export::{same_line, serial_of};

use crate::exit::{Exit, Failure};

/// What became of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// There is a new one.
    New,
    /// The old one says the same.
    Same,
}

/// A file in the making.
pub(super) struct Output {
    /// The file itself, behind all symbolic links.
    path: PathBuf,
    /// The new file; the path itself if that is no plain file.
    new: PathBuf,
    to: BufWriter<File>,
    /// The serial of the old one, if it is one of ours.
    serial: Option<u32>,
    /// What the disk had against it.
    wrong: Option<io::Error>,
    is_done: bool,
}

impl Output {
    /// Begins a new file.
    pub(super) fn begin(path: &Path) -> Result<Self, Failure> {
        let found = fs::metadata(path);
        if found.as_ref().is_ok_and(fs::Metadata::is_dir) {
            return Err(Failure::say(Exit::Usage, format!("{} is a folder", path.display())));
        }
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let is_plain = found.as_ref().map_or(true, fs::Metadata::is_file);
        let (new, to, serial) = if is_plain {
            let new = beside(&path)?;
            let to = create(&new)?;
            if let Ok(old) = &found {
                let kept = to.set_permissions(old.permissions());
                kept.with_context(|| format!("giving {} its mode", new.display()))?;
                // Who may not give a file away goes on owning it.
                std::os::unix::fs::fchown(&to, Some(old.uid()), Some(old.gid()))
                    .unwrap_or_default();
            }
            (new, to, serial(&path)?)
        } else {
            let to = OpenOptions::new().write(true).open(&path);
            (path.clone(), to.with_context(|| format!("opening {}", path.display()))?, None)
        };
        let to = BufWriter::with_capacity(1 << 16, to);
        Ok(Self { path, new, to, serial, wrong: None, is_done: !is_plain })
    }

    /// The serial of the old file.
    pub(super) fn serial(&self) -> Option<u32> {
        self.serial
    }

    /// Leaves the old file as it is.
    pub(super) fn discard(mut self) -> Result<(), Failure> {
        Ok(self.clear()?)
    }

    /// Puts the new file, which has this serial, in the place of the old one.
    pub(super) fn finish(mut self, serial: u32) -> Result<Written, Failure> {
        let flushed = self.to.flush();
        self.on_disk(flushed)?;
        if self.is_done {
            return Ok(Written::New);
        }
        if let Some(old) = self.serial
            && same(&self.path, old, &self.new, serial)?
        {
            self.clear()?;
            return Ok(Written::Same);
        }
        let synced = self.to.get_ref().sync_all();
        self.on_disk(synced)?;
        let renamed = fs::rename(&self.new, &self.path);
        self.on_disk(renamed)?;
        self.is_done = true;
        // That it is renamed must reach the disk, too. Not all systems of files can say so.
        if let Some(folder) = self.path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).unwrap_or_default();
        }
        Ok(Written::New)
    }

    /// Why it failed: the disk's reason, if there is one.
    pub(super) fn failure(&mut self, otherwise: Failure) -> Failure {
        match self.wrong.take() {
            Some(error) => self.says(error),
            None => otherwise,
        }
    }

    /// Remembers what the disk had against it.
    fn note(&mut self, done: io::Result<()>) -> io::Result<()> {
        if let Err(error) = &done {
            self.wrong = Some(io::Error::new(error.kind(), error.to_string()));
        }
        done
    }

    fn on_disk(&self, done: io::Result<()>) -> Result<(), Failure> {
        done.map_err(|error| self.says(error))
    }

    fn says(&self, error: io::Error) -> Failure {
        // Not the error itself: a broken pipe would pass for our own reader's leaving.
        Failure::say(Exit::Failed, format!("writing {}: {error}", self.new.display()))
    }

    fn clear(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_done, true) { Ok(()) } else { fs::remove_file(&self.new) }
    }
}

impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.to.write_all(octets);
        self.note(written).map(|()| octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.to.flush();
        self.note(flushed)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // It failed, which was told; the next one takes away what stays.
        self.clear().unwrap_or_default();
    }
}

/// Where the new file is written.
fn beside(path: &Path) -> Result<PathBuf, Failure> {
    let Some(name) = path.file_name() else {
        return Err(Failure::say(Exit::Usage, format!("{} is no name of a file", path.display())));
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(path.with_file_name(hidden))
}

/// Creates a file that was not there, so that no link leads anywhere else; it is locked as long as it is open.
fn create(new: &Path) -> Result<File, Failure> {
    let create = || OpenOptions::new().write(true).create_new(true).open(new);
    let mut created = create();
    if created.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
        let left = File::open(new).with_context(|| format!("opening {}", new.display()))?;
        if left.try_lock().is_err() {
            let why = format!("another export is writing {}", new.display());
            return Err(Failure::say(Exit::Failed, why));
        }
        fs::remove_file(new).with_context(|| format!("removing {}", new.display()))?;
        created = create();
    }
    let file = created.with_context(|| format!("creating {}", new.display()))?;
    // Where files cannot be locked two of us could meet, and one of them would fail.
    file.try_lock().unwrap_or_default();
    Ok(file)
}

/// The serial of the file there is, if it is one of ours.
fn serial(path: &Path) -> Result<Option<u32>, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("reading {}", path.display()))?;
        }
    };
    let mut line = Vec::new();
    let mut first = BufReader::new(io::Read::take(file, 4096));
    first.read_until(b'\n', &mut line).with_context(|| format!("reading {}", path.display()))?;
    Ok(std::str::from_utf8(&line).ok().and_then(serial_of))
}

/// Whether two files say the same, but for their serials and times.
fn same(old: &Path, old_serial: u32, new: &Path, new_serial: u32) -> Result<bool, Failure> {
    let open = |path: &Path| -> Result<_, Failure> {
        let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(BufReader::with_capacity(1 << 16, file))
    };
    let (mut old, mut new) = (open(old)?, open(new)?);
    let (mut line, mut new_line) = (Vec::new(), Vec::new());
    for number in 0.. {
        line.clear();
        new_line.clear();
        let read = old.read_until(b'\n', &mut line)?;
        let new_read = new.read_until(b'\n', &mut new_line)?;
        if read == 0 || new_read == 0 {
            return Ok(read == new_read);
        }
        if line == new_line {
            continue;
        }
        let [text, new_text] = [&line, &new_line].map(|line| std::str::from_utf8(line));
        let (Ok(text), Ok(new_text)) = (text, new_text) else { return Ok(false) };
        if !same_line(number, (text.trim_end(), old_serial), (new_text.trim_end(), new_serial)) {
            return Ok(false);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const OLD: &str = "# helostat 0.1.0, json of z, serial 3, 2026-11-28T00:00:00Z\n3 3\na\n";

    fn write(path: &Path, text: &str, serial: u32) -> Written {
        let mut output = Output::begin(path).map_err(|failure| failure.error).expect("a file");
        output.write_all(text.as_bytes()).expect("written");
        output.finish(serial).map_err(|failure| failure.error).expect("in its place")
    }

    #[test]
    fn only_what_changed_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("zone");
        assert_eq!(write(&path, OLD, 3), Written::New);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
        let inode = fs::metadata(&path).expect("there").ino();
        let later = OLD.replace("serial 3, 2026-11-28", "serial 4, 2026-11-29");
        assert_eq!(write(&path, &later.replace("3 3", "4 3"), 4), Written::Same);
        let kept = fs::metadata(&path).expect("there");
        assert_eq!((kept.ino(), fs::read_to_string(&path).expect("text")), (inode, OLD.to_owned()));
        for changed in
            [later.replace("a\n", "b\n"), later.replace("a\n", ""), later.clone() + "c\n"]
        {
            fs::write(&path, OLD).expect("written");
            assert_eq!(write(&path, &changed, 4), Written::New, "{changed}");
            assert_eq!(fs::read_to_string(&path).expect("text"), changed);
        }
        let mode = fs::metadata(&path).expect("there").mode() & 0o777;
        assert_eq!(mode, 0o640);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left");
    }

    #[test]
    fn a_link_stays_and_what_was_left_is_taken_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, link] = ["zone", "link"].map(|name| folder.path().join(name));
        fs::write(&path, "old").expect("written");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        fs::write(folder.path().join(".zone.new"), "half").expect("written");
        assert_eq!(write(&link, OLD, 3), Written::New);
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read_to_string(&path).expect("text"), OLD);
    }

    #[test]
    fn one_writes_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("zone");
        let first = Output::begin(&path).map_err(|failure| failure.error).expect("a file");
        let second = Output::begin(&path).err().map(|failure| failure.error.to_string());
        assert!(second.is_some_and(|why| why.starts_with("another export is writing")));
        drop(first);
        assert_eq!(write(&path, OLD, 3), Written::New);
    }
}

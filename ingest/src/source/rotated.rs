//! The files beside a followed log that may hold what it held before.
//!
//! Any `<file>.*` and `<file>-*` in the same folder is a sibling. Only those that logrotate and
//! newsyslog make (a number or a date, perhaps `.gz`, `.xz` or `.zst`; `.old`) are *rotations*: these have an order,
//! and one that nobody has read yet may be read unseen. Other siblings (copies, extracts) are read on
//! only where their content is known.
//!
//! Files move while they are listed; the caller lists again until two lists agree.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::file::Stamp;

/// The longest digit string that counts as a rotation's number; longer ones are dates.
const NUMBER_DIGITS: usize = 5;

/// How names of packed files end.
const PACKED_ENDS: [&[u8]; 3] = [b".gz", b".xz", b".zst"];

/// A file beside the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    /// Its place among the rotations, older ones lower; none if it is no rotation.
    pub(super) age: Option<i64>,
}

/// The siblings of `log`, other files first, then rotations from the oldest to the newest.
pub(super) fn siblings(log: &Path) -> Vec<Sibling> {
    let Some(name) = log.file_name() else {
        return Vec::new();
    };
    let folder = match log.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // A folder that may be searched but not listed is normal; then only the log itself is read.
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut siblings: Vec<Sibling> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let suffix = suffix(&entry.file_name(), name)?;
            let metadata = std::fs::metadata(entry.path()).ok().filter(|what| what.is_file())?;
            Some(Sibling { path: entry.path(), stamp: Stamp::of(&metadata), age: age(&suffix) })
        })
        .collect();
    siblings.sort_by(|a, b| {
        (a.age, a.stamp.modified, &a.path).cmp(&(b.age, b.stamp.modified, &b.path))
    });
    siblings
}

/// What follows `log.` or `log-` in a sibling's name.
fn suffix(name: &OsStr, log: &OsStr) -> Option<Vec<u8>> {
    let rest = name.as_bytes().strip_prefix(log.as_bytes())?;
    let suffix = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b"-"))?;
    (!suffix.is_empty()).then(|| suffix.to_vec())
}

/// Where a rotation stands: `.3` before `.1` before `.0`, `-20260101` before `-20260108`.
fn age(suffix: &[u8]) -> Option<i64> {
    let suffix = without_packing(suffix);
    if suffix == b"old" {
        return Some(0);
    }
    let only_stamp = |byte: &u8| byte.is_ascii_digit() || b"-_.T:".contains(byte);
    if !suffix.first()?.is_ascii_digit() || !suffix.iter().all(only_stamp) {
        return None;
    }
    let digits: String =
        suffix.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| char::from(*byte)).collect();
    let number: i64 = digits.parse().ok()?;
    Some(if digits.len() > NUMBER_DIGITS { number } else { -number })
}

/// A name without what says that its content is packed.
pub(super) fn without_packing(name: &[u8]) -> &[u8] {
    PACKED_ENDS.iter().find_map(|end| name.strip_suffix(*end)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rotations() {
        for (name, expected) in [
            ("mail.log.1", Some(Some(-1))),
            ("mail.log.0", Some(Some(0))),
            ("mail.log.12.gz", Some(Some(-12))),
            ("mail.log-20260103", Some(Some(20_260_103))),
            ("mail.log-20260103.gz", Some(Some(20_260_103))),
            ("mail.log-2026-01-03_0600", Some(Some(202_601_030_600))),
            ("mail.log.old", Some(Some(0))),
            ("mail.log.bak", Some(None)),
            ("mail.log.1.xz", Some(Some(-1))),
            ("mail.log-20260103.zst", Some(Some(20_260_103))),
            ("mail.log.1.bz2", Some(None)),
            ("mail.log.gz", Some(None)),
            ("mail.log.extract.1", Some(None)),
            ("mail.log.99999999999999999999999", Some(None)),
            ("mail.log", None),
            ("mail.log.", None),
            ("mail.logs", None),
            ("mail", None),
        ] {
            let found = suffix(OsStr::new(name), OsStr::new("mail.log")).map(|end| age(&end));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn oldest_first() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["m.1", "m.10.gz", "m.2", "m.copy", "m", "other.3"] {
            std::fs::write(folder.path().join(name), "x\n").expect("written");
        }
        let found = siblings(&folder.path().join("m"));
        let names: Vec<_> =
            found.iter().filter_map(|sibling| sibling.path.file_name()?.to_str()).collect();
        assert_eq!(names, ["m.copy", "m.10.gz", "m.2", "m.1"]);
    }
}

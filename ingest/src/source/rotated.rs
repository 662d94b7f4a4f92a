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

/// The fewest digits of a date: `261120`.
const DATE_DIGITS: usize = 6;

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

/// Whether `path` is called as a copy or a rotation of `other` would be.
pub(super) fn is_copy_of(path: &Path, other: &Path) -> bool {
    let (Some(name), Some(log)) = (path.file_name(), other.file_name()) else {
        return false;
    };
    path.parent() == other.parent() && suffix(name, log).is_some()
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

/// The log that the file at `path` is a piece of, and its place among the pieces: older ones lower.
///
/// The log is a name, which need not exist: without what rotation and packing add, and with `#` for every date.
pub fn log_of(path: &Path) -> (PathBuf, i64) {
    let Some(name) = path.file_name() else {
        return (path.to_path_buf(), i64::MAX);
    };
    let name = without_packing(name.as_bytes());
    let rotation = name.iter().enumerate().skip(1).find_map(|(at, sign)| {
        let (log, suffix) = name.split_at_checked(at)?;
        let suffix = suffix.get(1..).filter(|_| matches!(sign, b'.' | b'-'))?;
        Some((log, age(suffix)?))
    });
    let (log, age) = rotation.unwrap_or((name, i64::MAX));
    (path.with_file_name(OsStr::from_bytes(&without_dates(log))), age)
}

/// A name with `#` for each run of digits, and signs between them, that has a date's length.
fn without_dates(name: &[u8]) -> Vec<u8> {
    let is_of_date = |byte: &u8| byte.is_ascii_digit() || b"-_.T:".contains(byte);
    let mut kept = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(&first) = rest.first() {
        let run = rest.iter().take_while(|byte| is_of_date(byte)).count();
        let run = rest.get(..run).unwrap_or_default();
        let end = run.iter().rposition(u8::is_ascii_digit).map_or(0, |last| last + 1);
        let digits = run.iter().filter(|byte| byte.is_ascii_digit()).count();
        let taken = if first.is_ascii_digit() && digits >= DATE_DIGITS {
            kept.push(b'#');
            end
        } else if first.is_ascii_digit() {
            // A shorter number stays whole.
            kept.extend_from_slice(run.get(..end).unwrap_or_default());
            end
        } else {
            kept.push(first);
            1
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    kept
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
    fn pieces_of_one_log() {
        for (name, log, age) in [
            ("mail.log", "mail.log", i64::MAX),
            ("mail.log.gz", "mail.log", i64::MAX),
            ("mail.log.1", "mail.log", -1),
            ("mail.log.12.xz", "mail.log", -12),
            ("mail.log-20260103.zst", "mail.log", 20_260_103),
            ("mainlog-20261120", "mainlog", 20_261_120),
            ("mainlog.2026-11-20", "mainlog", 20_261_120),
            ("RECV2026112007-1.LOG", "RECV#.LOG", i64::MAX),
            ("hmailserver_2026-11-20.log", "hmailserver_#.log", i64::MAX),
            ("SMTP-Activity-261120.log", "SMTP-Activity-#.log", i64::MAX),
            ("mx1.log", "mx1.log", i64::MAX),
            ("mx2.log", "mx2.log", i64::MAX),
            ("2026.log", "2026.log", i64::MAX),
        ] {
            let folder = Path::new("/var/log");
            assert_eq!(log_of(&folder.join(name)), (folder.join(log), age), "{name}");
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

//! Old logs: in which order they are read, and which of them are pieces of one log.
//!
//! In: paths, some of them patterns. Out: the files, the oldest first: by the time of the first line that has one, or
//! by when the file was last written; then by that, then by the number of the rotation, then by name. Standard input
//! comes last.
//!
//! Pieces of one log lie in one folder and are called the same but for what rotation adds and for dates: `mail.log`,
//! `mail.log.1`, `mail.log-20261120.gz`; `RECV2026112007-1.LOG`, `RECV2026112008-1.LOG`. A session that is open at the
//! end of one piece goes on in the next, so whoever reads them keeps one [`Learner`](crate::learner::Learner) a log.

use std::path::{Path, PathBuf};

use helostat_zones::time::Time;
use jiff::tz::TimeZone;

use crate::framing::Framer;
use crate::source::{History, Positions, SourceError, Step, log_of, names};

/// How many lines of a file are looked at for a time.
const LINES: usize = 1000;

/// A file to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldLog {
    /// Its path, or `-`.
    pub path: PathBuf,
    /// The log that it is a piece of.
    pub log: PathBuf,
    /// Its octets on disk; none for standard input.
    pub bytes: Option<u64>,
}

/// The files that `paths` name, in the order in which they are to be read; no file twice.
pub fn in_order(paths: &[PathBuf], zone: &TimeZone) -> Result<Vec<OldLog>, SourceError> {
    let mut files = Vec::new();
    for path in paths {
        if !names::is_pattern(path) {
            files.push(path.clone());
            continue;
        }
        let found = names::matching(path)?;
        if found.is_empty() {
            return Err(SourceError::NoMatch { path: path.clone() });
        }
        files.extend(found);
    }
    let mut keyed = Vec::new();
    for path in files {
        if keyed.iter().any(|(_, old): &(_, OldLog)| old.path == path) {
            continue;
        }
        if path == Path::new("-") {
            let old = OldLog { log: path.clone(), path, bytes: None };
            keyed.push(((true, None, None, 0), old));
            continue;
        }
        let mut history = History::open(&path)?;
        let (modified, bytes) = (history.modified(), history.total_bytes());
        let begun = first_time(&mut history, modified, zone).or(modified);
        let (log, age) = log_of(&path);
        keyed.push(((false, begun, modified, age), OldLog { path, log, bytes }));
    }
    keyed.sort_by(|(a, one), (b, other)| (a, &one.path).cmp(&(b, &other.path)));
    Ok(keyed.into_iter().map(|(_, old)| old).collect())
}

/// When the first line with a time was written. What cannot be read is left for the reading itself.
fn first_time(history: &mut History, modified: Option<Time>, zone: &TimeZone) -> Option<Time> {
    let latest = modified?;
    let mut framer = Framer::new(zone.clone());
    let mut room = Vec::new();
    for _ in 0..=LINES {
        match history.next(&Nothing).ok()? {
            Step::Line(line) => {
                if let Ok(frame) = framer.frame(line.bytes, latest, &mut room) {
                    return Some(frame.time);
                }
            }
            Step::End => return None,
            _ => {}
        }
    }
    None
}

/// No position is known: everything is read from the beginning.
pub(crate) struct Nothing;

impl Positions for Nothing {
    fn find(&self, _fingerprint: &str) -> Vec<(String, Vec<u8>)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, content: &str| {
            std::fs::write(folder.path().join(name), content).expect("written");
        };
        // Written in an order that says nothing.
        write("mail.log", "2026-11-20T10:00:00Z mx x[1]: a\n");
        write("mail.log.2", "no stamp\n2026-11-18T10:00:00Z mx x[1]: a\n");
        write("mail.log.1", "2026-11-19T10:00:00Z mx x[1]: a\n");
        write("other.log", "2026-11-18T20:00:00+02:00 mx x[1]: a\n");
        write("same.log.1", "2026-11-19T10:00:00Z mx x[1]: b\n");
        let paths = ["mail.log.1", "mail.log", "-", "m*.log.2", "other.log", "mail.log"];
        let paths =
            paths.map(|name| if name == "-" { name.into() } else { folder.path().join(name) });
        let files = in_order(&paths, &TimeZone::UTC).expect("they are there");
        let names: Vec<_> = files.iter().filter_map(|old| old.path.file_name()?.to_str()).collect();
        assert_eq!(names, ["mail.log.2", "other.log", "mail.log.1", "mail.log", "-"]);
        assert_eq!(files[0].log, files[2].log);
        assert_ne!(files[0].log, files[1].log);
        let none = folder.path().join("none*");
        let said = in_order(std::slice::from_ref(&none), &TimeZone::UTC).expect_err("refused");
        assert_eq!(said.to_string(), format!("no file matches {}", none.display()));
    }
}

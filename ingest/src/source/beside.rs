//! Which file beside a followed log must be read before the log itself.
//!
//! In: the siblings as they are listed, and the stored positions. Out: the oldest file that holds
//! lines of this log nobody has read. That is
//! - a sibling whose content is known, with more behind the stored position;
//! - a rotation with unknown content that comes after a known one, or was written after the last
//!   file that was left: it came and went while nobody looked.
//!
//! Rotations from before the first start are nobody's: reading those is asked for as history. A file
//! that cannot be told now (unreadable, damaged, still being copied) is passed over.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::file::{LogFile, Stamp, read_some};
use super::identity::known;
use super::resume::{Judgement, Sources, judge};
use super::rotated::{Sibling, siblings};
use super::stated::Stated;

/// A file younger than this may be a copy still being made.
const YOUNG: Duration = Duration::from_secs(60);

/// How often siblings are listed until two lists agree.
const LISTINGS: usize = 5;

/// What is remembered of the files beside a log.
pub(super) struct Siblings {
    log: PathBuf,
    attention: Attention,
    /// Read to their end, in the state they have.
    settled: HashSet<Stamp>,
    /// Rotations written later than this came after what was read; none before the first look.
    since: Option<SystemTime>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attention {
    /// They must be looked through before the log is read.
    Due,
    /// Nothing happened since the last look.
    Paid,
}

/// What a sibling is to us.
enum Interest {
    /// Known, and read to its end.
    Settled,
    /// Known, with more to read.
    Rest,
    /// Content nobody has read.
    Unread,
    /// Cannot be told now.
    Unclear,
}

impl Siblings {
    /// The siblings of `log`.
    pub(super) fn new(log: &Path) -> Self {
        let log = log.to_path_buf();
        Self { log, attention: Attention::Due, settled: HashSet::new(), since: None }
    }

    /// Something happened that may have left lines in a sibling.
    pub(super) fn look_again(&mut self) {
        self.attention = Attention::Due;
    }

    /// A file in this state holds nothing more for us.
    pub(super) fn settle(&mut self, stamp: Stamp) {
        self.settled.insert(stamp);
    }

    /// A file last written at `modified` was read to its end and left.
    pub(super) fn left(&mut self, modified: Option<SystemTime>) {
        self.since = self.since.max(modified);
    }

    /// The file to read next, unless that is `at_path`, the one that the log's path names.
    pub(super) fn next(
        &mut self,
        at_path: Option<&LogFile>,
        sources: &Sources<'_>,
    ) -> Option<(PathBuf, LogFile)> {
        if self.attention == Attention::Paid {
            return None;
        }
        let opened = self.open();
        let since = self.since;
        self.since = since.or_else(|| Some(SystemTime::now()));
        let mut after_known = false;
        for (sibling, log) in opened {
            let is_rotation = sibling.age.is_some();
            if self.settled.contains(&sibling.stamp) {
                after_known |= is_rotation;
                continue;
            }
            let Some(log) = log else { continue };
            if at_path.is_some_and(|at_path| at_path.is_same_file(&log)) {
                continue;
            }
            match interest(&log, sources) {
                Interest::Settled => {
                    self.settle(sibling.stamp);
                    after_known |= is_rotation;
                }
                Interest::Rest => return Some((sibling.path, log)),
                Interest::Unread if is_rotation => {
                    let later = since.is_some() && sibling.stamp.modified >= since;
                    if after_known || later {
                        return Some((sibling.path, log));
                    }
                }
                Interest::Unread | Interest::Unclear => {}
            }
        }
        self.attention = Attention::Paid;
        None
    }

    /// The bytes on disk of the rotations that come after the one at `path`.
    pub(super) fn newer_bytes(&self, path: &Path) -> u64 {
        let listed = siblings(&self.log);
        let is_other = |sibling: &&Sibling| sibling.path != path;
        let newer = listed.iter().rev().take_while(is_other).filter(|it| it.age.is_some());
        newer.map(|sibling| sibling.stamp.size).sum()
    }

    /// Opens what is not settled; open files stay what they are while their names move on.
    fn open(&mut self) -> Vec<(Sibling, Option<LogFile>)> {
        let mut listed = siblings(&self.log);
        let mut opened = Vec::new();
        for _ in 0..LISTINGS {
            opened =
                listed.iter().map(|sibling| (sibling.clone(), self.open_one(sibling))).collect();
            let again = siblings(&self.log);
            if again == listed {
                break;
            }
            listed = again;
        }
        self.settled.retain(|stamp| listed.iter().any(|sibling| sibling.stamp == *stamp));
        opened
    }

    fn open_one(&self, sibling: &Sibling) -> Option<LogFile> {
        if self.settled.contains(&sibling.stamp) {
            return None;
        }
        LogFile::open(&sibling.path).ok()
    }
}

fn interest(log: &LogFile, sources: &Sources<'_>) -> Interest {
    if states_known_length(log, sources) {
        return Interest::Settled;
    }
    match judge(log, sources, &Arc::default()) {
        Ok(Judgement::Known(mut known)) => {
            let rest = if log.packing.is_packed() {
                read_some(&mut known.stream, &mut [0]).map(|read| read > 0)
            } else {
                log.has_line_at(known.offset)
            };
            if rest.unwrap_or(false) { Interest::Rest } else { Interest::Settled }
        }
        // The same first line, but shorter than what was read: perhaps a copy not yet complete,
        // which would be taken for other content and counted again.
        Ok(Judgement::New { furthest, .. }) if is_young_and_short(log, furthest) => {
            Interest::Unclear
        }
        Ok(Judgement::New { .. }) => Interest::Unread,
        Ok(Judgement::Nameless) | Err(_) => Interest::Unclear,
    }
}

/// Whether the length that a packed file states is a position stored for it: saves unpacking it all.
pub(super) fn states_known_length(log: &LogFile, sources: &Sources<'_>) -> bool {
    let Some(stated) = Stated::of(log).ok().flatten() else {
        return false;
    };
    let beginning = log.beginning(&Arc::default());
    let Some(fingerprint) = beginning.ok().and_then(|beginning| beginning.fingerprint()) else {
        return false;
    };
    known(sources.positions, &fingerprint, sources.own)
        .iter()
        .filter_map(|known| known.position)
        .any(|position| stated.is(position.offset))
}

/// Whether a file may be a copy still being made of content of which `furthest` octets are known.
pub(super) fn is_young_and_short(log: &LogFile, furthest: u64) -> bool {
    log.stamp().is_ok_and(|stamp| stamp.size < furthest) && is_young(log)
}

/// Whether somebody may be writing the file just now.
pub(super) fn is_young(log: &LogFile) -> bool {
    let Ok(stamp) = log.stamp() else {
        return false;
    };
    let age = stamp.modified.and_then(|modified| modified.elapsed().ok());
    age.is_none_or(|age| age < YOUNG)
}

//! Where to read on: which stored position, if any, belongs to some content.
//!
//! Of the stored positions with the content's fingerprint those count whose tail verifies: the
//! content is long enough, and the bytes before the offset have the stored hash. Among them one of the
//! same file (device and inode) is preferred, then the one furthest on. At offset 0 there is nothing to
//! verify, so there only the same file counts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::Positions;
use super::file::{LogFile, Stream, read_some};
use super::identity::{Known, Position, TAIL_BYTES, free_id, known, tail_hash};

/// How much is passed at once on the way to a position.
const WALK_BYTES: usize = 256 * 1024;

/// A stored position that belongs to the content, ready to read on from.
pub(super) struct Resume {
    pub(super) id: String,
    pub(super) offset: u64,
    /// The bytes before `offset`.
    pub(super) tail: Vec<u8>,
    /// The content from `offset` on.
    pub(super) stream: Stream,
}

/// What is known when a file is judged.
pub(super) struct Sources<'a> {
    /// What is stored.
    pub(super) positions: &'a dyn Positions,
    /// The source being read, and how far: newer than what is stored.
    pub(super) own: Option<(&'a str, Position)>,
}

/// Which source a file is.
pub(super) enum Judgement {
    /// It has no complete first line.
    Nameless,
    /// One that was read before.
    Known(Resume),
    /// One of its own.
    New {
        /// The id that is free for it.
        id: String,
        /// The furthest position stored for other content with the same first line.
        furthest: u64,
    },
}

/// Tells which source `log` is; `consumed` counts bytes on disk.
pub(super) fn judge(
    log: &LogFile,
    sources: &Sources<'_>,
    consumed: &Arc<AtomicU64>,
) -> io::Result<Judgement> {
    let Some(fingerprint) = log.beginning(consumed)?.fingerprint() else {
        return Ok(Judgement::Nameless);
    };
    let known = known(sources.positions, &fingerprint, sources.own);
    if let Some(resume) = resume(log, &known, consumed)? {
        return Ok(Judgement::Known(resume));
    }
    let furthest = known.iter().filter_map(|known| known.position).map(|at| at.offset).max();
    Ok(Judgement::New { id: free_id(&fingerprint, &known), furthest: furthest.unwrap_or(0) })
}

/// The stored position that belongs to `log`; `consumed` counts bytes on disk.
fn resume(log: &LogFile, known: &[Known], consumed: &Arc<AtomicU64>) -> io::Result<Option<Resume>> {
    let candidates = candidates(known, (log.dev, log.inode));
    if candidates.is_empty() {
        return Ok(None);
    }
    if log.packing.is_packed() {
        resume_packed(log, candidates, consumed)
    } else {
        resume_plain(log, candidates, consumed)
    }
}

fn resume_plain(
    log: &LogFile,
    candidates: Vec<Candidate>,
    consumed: &Arc<AtomicU64>,
) -> io::Result<Option<Resume>> {
    let mut verified = Vec::new();
    for candidate in candidates {
        let tail = log.tail_at(candidate.position.offset)?;
        if tail.is_some_and(|tail| tail_hash(&tail) == candidate.position.tail) {
            verified.push(candidate);
        }
    }
    let Some(best) = best(verified, (log.dev, log.inode)) else {
        return Ok(None);
    };
    let offset = best.position.offset;
    let tail = log.tail_at(offset)?.unwrap_or_default();
    Ok(Some(Resume { id: best.id, offset, tail, stream: log.plain_from(offset, consumed) }))
}

fn resume_packed(
    log: &LogFile,
    candidates: Vec<Candidate>,
    consumed: &Arc<AtomicU64>,
) -> io::Result<Option<Resume>> {
    let mut walk = Walk::new(log.stream(consumed));
    let verified = walk_over(&mut walk, candidates, &mut |_| Ok(()))?;
    let Some(best) = best(verified, (log.dev, log.inode)) else {
        return Ok(None);
    };
    let offset = best.position.offset;
    if walk.at() != offset {
        walk = Walk::new(log.stream(consumed));
        walk.go_to(offset, &mut |_| Ok(()))?;
    }
    let tail = walk.tail().to_vec();
    Ok(Some(Resume { id: best.id, offset, tail, stream: walk.stream }))
}

/// A position that may belong to the content.
pub(super) struct Candidate {
    pub(super) id: String,
    pub(super) position: Position,
}

/// The known positions worth a look, lowest offset first.
pub(super) fn candidates(known: &[Known], same: (u64, u64)) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = known
        .iter()
        .filter_map(|known| Some(Candidate { id: known.id.clone(), position: known.position? }))
        .filter(|candidate| candidate.position.offset > 0 || is_of(&candidate.position, same))
        .collect();
    candidates.sort_by_key(|candidate| candidate.position.offset);
    candidates
}

/// Those of `candidates` (lowest offset first) whose tail verifies on the way through a stream.
pub(super) fn walk_over(
    walk: &mut Walk,
    candidates: Vec<Candidate>,
    seen: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Vec<Candidate>> {
    let mut verified = Vec::new();
    for candidate in candidates {
        match walk.go_to(candidate.position.offset, seen) {
            Ok(Reached::Offset) => {}
            Ok(Reached::ContentEnds) => break,
            // Damage further on does not take back what was verified before it.
            Err(_) if !verified.is_empty() => break,
            Err(error) => return Err(error),
        }
        if tail_hash(walk.tail()) == candidate.position.tail {
            verified.push(candidate);
        }
    }
    Ok(verified)
}

/// Of verified candidates the one to go on from.
pub(super) fn best(verified: Vec<Candidate>, same: (u64, u64)) -> Option<Candidate> {
    verified
        .into_iter()
        .max_by_key(|candidate| (is_of(&candidate.position, same), candidate.position.offset))
}

fn is_of(position: &Position, same: (u64, u64)) -> bool {
    (position.dev, position.inode) == same
}

/// Goes forward through a stream and remembers the last bytes passed.
pub(super) struct Walk {
    pub(super) stream: Stream,
    at: u64,
    tail: Vec<u8>,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    Offset,
    ContentEnds,
}

impl Walk {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, at: 0, tail: Vec::new() }
    }

    /// How far the walk has come.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The bytes just passed, at most as many as a tail covers.
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Walks on to `offset`, showing all bytes passed to `seen`.
    fn go_to(
        &mut self,
        offset: u64,
        seen: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Reached> {
        let mut piece = vec![0; WALK_BYTES];
        while self.at < offset {
            let wanted = usize::try_from(offset - self.at).unwrap_or(usize::MAX).min(piece.len());
            let room = piece.get_mut(..wanted).unwrap_or_default();
            let read = read_some(&mut self.stream, room)?;
            if read == 0 {
                return Ok(Reached::ContentEnds);
            }
            let passed = piece.get(..read).unwrap_or_default();
            seen(passed)?;
            self.at += u64::try_from(read).unwrap_or_default();
            let last = passed.get(read.saturating_sub(TAIL_BYTES)..).unwrap_or_default();
            self.tail.extend_from_slice(last);
            self.tail.drain(..self.tail.len().saturating_sub(TAIL_BYTES));
        }
        Ok(Reached::Offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_first_then_the_furthest() {
        for (stored, expected) in [
            (&[] as &[(u64, u64)], None),
            (&[(10, 1), (20, 2)], Some(20)),
            (&[(10, 7), (20, 2)], Some(10)),
            (&[(10, 7), (15, 7), (20, 2)], Some(15)),
            (&[(0, 2)], None),
            (&[(0, 7)], Some(0)),
        ] {
            let known: Vec<Known> = stored
                .iter()
                .map(|&(offset, inode)| Known {
                    id: offset.to_string(),
                    position: Some(Position { offset, tail: 0, dev: 1, inode }),
                })
                .collect();
            let best = best(candidates(&known, (1, 7)), (1, 7));
            assert_eq!(best.map(|best| best.position.offset), expected, "{stored:?}");
        }
    }
}

//! What another part of this program saw itself: observations that come through memory, not out of a log.
//!
//! In: observations, one by one, told by any thread through a [`Teller`], which never waits. Out: our own JSON lines
//! (`docs/observations.md`) of a [`Source`], in the order in which they were told; the format to read them with is `json`. They go
//! the way of all lines, so that what is not to be learned of logs is not learned of these.
//!
//! At most so many wait as [`told`] was given; one more is not taken, which the teller hears. What was taken and not
//! committed when the program is killed is lost, as with syslog; what was told before an orderly end is committed first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use helostat_zones::observation::Observation;

use super::{Line, Positions, Source, Step};
use crate::heard::Heard;

/// How long the end of the program waits for who may still tell something.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The only position there is: what was told cannot be told again.
const POSITION: [u8; 1] = [1];

/// A source under this name, and who tells it things; at most `most` of them wait.
pub fn told(name: &str, most: usize) -> (Teller, Told) {
    let (to, from) = sync_channel(most);
    let octets = Arc::new(AtomicU64::new(0));
    let teller = Teller { to, octets: octets.clone() };
    let source = Told {
        from,
        octets,
        id: name.to_owned(),
        line: Vec::new(),
        entered: false,
        waits: None,
        gone: false,
        ending: None,
    };
    (teller, source)
}

/// Tells observations.
#[derive(Clone, Debug)]
pub struct Teller {
    to: SyncSender<Vec<u8>>,
    octets: Arc<AtomicU64>,
}

impl Teller {
    /// Tells one; false if too many wait, or nobody listens any more.
    pub fn tell(&self, observation: &Observation) -> bool {
        let line = Heard::from(observation).to_json().into_bytes();
        let octets = line.len() as u64;
        // Before it can be taken out, or the sum would go below zero.
        self.octets.fetch_add(octets, Ordering::Relaxed);
        let taken = self.to.try_send(line).is_ok();
        if !taken {
            self.octets.fetch_sub(octets, Ordering::Relaxed);
        }
        taken
    }
}

/// What was told, as a source.
#[derive(Debug)]
pub struct Told {
    from: Receiver<Vec<u8>>,
    /// Octets that wait.
    octets: Arc<AtomicU64>,
    id: String,
    /// What is handed out now.
    line: Vec<u8>,
    entered: bool,
    /// Taken and not handed out yet.
    waits: Option<Vec<u8>>,
    /// Nobody is left to tell anything.
    gone: bool,
    ending: Option<Instant>,
}

impl Told {
    fn take(&mut self) -> Option<Vec<u8>> {
        if let Some(line) = self.waits.take() {
            return Some(line);
        }
        match self.from.try_recv() {
            Ok(line) => {
                self.octets.fetch_sub(line.len() as u64, Ordering::Relaxed);
                Some(line)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.gone = true;
                None
            }
        }
    }
}

impl Source for Told {
    fn next(&mut self, _positions: &dyn Positions) -> Step<'_> {
        let Some(line) = self.take() else { return Step::Idle };
        if !std::mem::replace(&mut self.entered, true) {
            self.waits = Some(line);
            return Step::NewSender;
        }
        self.line = line;
        Step::Line(Line { bytes: &self.line, too_long: false })
    }

    fn id(&self) -> Option<&str> {
        self.entered.then_some(self.id.as_str())
    }

    fn position(&self) -> Vec<u8> {
        POSITION.to_vec()
    }

    fn resumed(&self) -> bool {
        false
    }

    fn lag_bytes(&self) -> u64 {
        self.octets.load(Ordering::Relaxed)
    }

    fn is_lasting(&self) -> bool {
        false
    }

    fn finish(&mut self) -> bool {
        let since = *self.ending.get_or_insert_with(Instant::now);
        if self.waits.is_none() {
            self.waits = self.take();
        }
        let nothing_waits = self.waits.is_none();
        nothing_waits && self.gone || since.elapsed() >= LAST_WORDS
    }
}

#[cfg(test)]
mod tests {
    use helostat_zones::name::Name;
    use helostat_zones::observation::Outcome;
    use helostat_zones::time::Time;

    use super::*;
    use crate::old::Nothing;

    fn observation(name: &str) -> Observation {
        Observation {
            time: Time::parse("2026-11-20T15:00:00Z").expect("a time"),
            ip: "192.0.2.7".parse().expect("an address"),
            name: Name::parse(name.as_bytes()),
            rdns: Some("mx.example.com".into()),
            outcome: Outcome::Accepted,
            stage: None,
            by_us: false,
            supersedes: Some(Outcome::None),
            reporter: "mx1".into(),
        }
    }

    fn line(source: &mut Told) -> Option<String> {
        match source.next(&Nothing) {
            Step::Line(line) => Some(String::from_utf8_lossy(line.bytes).into_owned()),
            _ => None,
        }
    }

    #[test]
    fn what_is_told_comes_out_as_lines() {
        let (teller, mut source) = told("postfix", 10);
        assert_eq!(source.next(&Nothing), Step::Idle);
        assert!(teller.tell(&observation("a.example.com")));
        assert_eq!(source.next(&Nothing), Step::NewSender);
        assert_eq!(source.id(), Some("postfix"));
        let expected = r#"{"time":"2026-11-20T15:00:00Z","ip":"192.0.2.7","ehlo":"a.example.com","kind":"fqdn","rdns":"mx.example.com","proto":null,"outcome":"accepted","stage":null,"reason":null,"reporter":"mx1","supersedes":"none"}"#;
        assert_eq!(line(&mut source).as_deref(), Some(expected));
        assert_eq!(source.next(&Nothing), Step::Idle);
        assert_eq!(source.lag_bytes(), 0);
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let (teller, mut source) = told("postfix", 2);
        let told = ["a", "b", "c"].map(|name| teller.tell(&observation(name)));
        assert_eq!(told, [true, true, false]);
        assert!(source.lag_bytes() > 200);
        source.next(&Nothing);
        assert!(line(&mut source).is_some_and(|line| line.contains(r#""ehlo":"a""#)));
        assert!(teller.tell(&observation("d")));
        for name in ["b", "d"] {
            let told = line(&mut source).expect(name);
            assert!(told.contains(&format!(r#""ehlo":"{name}""#)), "{told}");
        }
        drop(source);
        assert!(!teller.tell(&observation("e")), "nobody listens");
    }

    #[test]
    fn the_end_waits_for_what_was_told() {
        let (teller, mut source) = told("postfix", 10);
        assert!(!source.finish(), "somebody may still tell something");
        teller.tell(&observation("a"));
        drop(teller);
        assert!(!source.finish());
        assert_eq!(source.next(&Nothing), Step::NewSender);
        assert!(!source.finish());
        assert!(line(&mut source).is_some());
        assert!(source.finish());
    }
}

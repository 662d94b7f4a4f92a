//! The pairs that wait to be looked up before anybody asks.
//!
//! First come, first served, each at most once in the line; where the line is full the newcomer is
//! left out: it is looked up when somebody asks.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::findings::Subject;

/// The line.
#[derive(Debug)]
pub(super) struct Ahead {
    room: usize,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    order: VecDeque<Arc<Subject>>,
    waiting: HashSet<Arc<Subject>>,
}

impl Ahead {
    /// An empty line with `room` places.
    pub(super) fn new(room: usize) -> Self {
        Self { room, line: Mutex::default() }
    }

    /// Puts a pair at the end; false if there is no room. A pair that waits already has its place.
    pub(super) fn push(&self, subject: Arc<Subject>) -> bool {
        let mut line = self.line.lock();
        if line.waiting.contains(&subject) {
            return true;
        }
        if line.order.len() >= self.room {
            return false;
        }
        line.waiting.insert(Arc::clone(&subject));
        line.order.push_back(subject);
        true
    }

    /// Takes the first.
    pub(super) fn pop(&self) -> Option<Arc<Subject>> {
        let mut line = self.line.lock();
        let first = line.order.pop_front()?;
        line.waiting.remove(&first);
        Some(first)
    }

    /// How many wait.
    pub(super) fn len(&self) -> i64 {
        i64::try_from(self.line.lock().order.len()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use helostat_zones::name::Name;

    use super::*;

    #[test]
    fn the_line_is_short_and_nobody_stands_in_it_twice() {
        let pair = |text: &str| {
            let ip = "192.0.2.7".parse().expect("an address");
            Arc::new((ip, Name::parse(text.as_bytes())))
        };
        let ahead = Ahead::new(2);
        let pushed = ["a.example.com", "b.example.com", "a.example.com", "c.example.com"];
        assert_eq!(pushed.map(|text| ahead.push(pair(text))), [true, true, true, false]);
        assert_eq!(ahead.len(), 2);
        assert_eq!(ahead.pop(), Some(pair("a.example.com")));
        assert!(ahead.push(pair("a.example.com")), "who was served may come again");
        assert_eq!(ahead.pop(), Some(pair("b.example.com")));
    }
}

//! What has arrived and was not read yet: from the threads of the sockets to the one that follows.
//!
//! Messages travel in parcels, each of one sender; the memory of all is bounded. Where it is full, who brings more
//! waits: a TCP sender then waits too, and what comes over UDP waits in the kernel, which counts what it drops. Who
//! can wait gets only half of the room, so that a flood over TCP does not lose what comes over UDP.

use std::collections::VecDeque;
use std::mem;
use std::net::IpAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::source::Line;

/// A parcel with so many octets gets no more messages.
const PARCEL_BYTES: usize = 64 * 1024;
/// What a message and a parcel cost beside their octets.
const OVERHEAD_BYTES: usize = 64;

/// Messages of one sender, in order.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Who sent them.
    pub(super) from: IpAddr,
    bytes: Vec<u8>,
    /// Where each ends, and whether it was longer.
    ends: Vec<(usize, bool)>,
}

impl Parcel {
    pub(super) fn new(from: IpAddr) -> Self {
        Self { from, bytes: Vec::new(), ends: Vec::new() }
    }

    pub(super) fn add(&mut self, line: Line<'_>) {
        self.bytes.extend_from_slice(line.bytes);
        self.ends.push((self.bytes.len(), line.too_long));
    }

    pub(super) fn messages(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn line(&self, number: usize) -> Line<'_> {
        let begin = number.checked_sub(1).and_then(|before| self.ends.get(before));
        let (begin, (end, too_long)) =
            (begin.map_or(0, |&(end, _)| end), self.ends.get(number).copied().unwrap_or_default());
        Line { bytes: self.bytes.get(begin..end).unwrap_or_default(), too_long }
    }

    fn cost(&self) -> usize {
        self.bytes.len() + (1 + self.ends.len()) * OVERHEAD_BYTES
    }
}

/// Whether who brings messages can make their sender wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// TCP.
    CanWait,
    /// UDP.
    CannotWait,
}

/// What waits between the sockets and the follower.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    room: Condvar,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    /// Nobody takes from it any more.
    closed: bool,
}

impl Queue {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { state: Mutex::default(), room: Condvar::new(), most_bytes }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room. True if it had to.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        who: Patience,
    ) -> (MutexGuard<'a, State>, bool) {
        let most = if who == Patience::CanWait { self.most_bytes / 2 } else { self.most_bytes };
        let mut waited = false;
        while state.bytes >= most && !state.closed {
            waited = true;
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (state, waited)
    }

    /// Brings a parcel. True if it had to wait for room.
    pub(super) fn bring(&self, parcel: Parcel, who: Patience) -> bool {
        if parcel.messages() == 0 {
            return false;
        }
        let (mut state, waited) = self.wait(self.state(), who);
        if !state.closed {
            state.bytes += parcel.cost();
            state.parcels.push_back(parcel);
        }
        waited
    }

    /// Brings one message. True if it had to wait for room.
    pub(super) fn bring_one(&self, from: IpAddr, line: Line<'_>, who: Patience) -> bool {
        let (mut state, waited) = self.wait(self.state(), who);
        if state.closed {
            return waited;
        }
        state.bytes += line.bytes.len() + OVERHEAD_BYTES;
        let last = state.parcels.back_mut();
        if let Some(last) = last.filter(|last| last.from == from && last.bytes.len() < PARCEL_BYTES)
        {
            last.add(line);
        } else {
            let mut parcel = Parcel::new(from);
            parcel.add(line);
            state.bytes += OVERHEAD_BYTES;
            state.parcels.push_back(parcel);
        }
        waited
    }

    /// Takes all that is there.
    pub(super) fn take(&self) -> VecDeque<Parcel> {
        let mut state = self.state();
        state.bytes = 0;
        let parcels = mem::take(&mut state.parcels);
        drop(state);
        self.room.notify_all();
        parcels
    }

    /// Octets that wait.
    pub(super) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Whether nobody takes any more.
    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// From now on nobody takes: who brings something need not wait.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.room.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn line(bytes: &[u8]) -> Line<'_> {
        Line { bytes, too_long: false }
    }

    #[test]
    fn messages_come_out_as_they_went_in_by_sender() {
        let queue = Queue::new(1 << 20);
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for (from, text) in [(one, "a"), (one, ""), (one, "bc"), (other, "d"), (one, "e")] {
            queue.bring_one(from, line(text.as_bytes()), Patience::CannotWait);
        }
        let mut parcel = Parcel::new(other);
        parcel.add(Line { bytes: b"f", too_long: true });
        queue.bring(parcel, Patience::CanWait);
        let found: Vec<_> = queue
            .take()
            .iter()
            .map(|parcel| {
                let lines = (0..parcel.messages()).map(|number| parcel.line(number));
                let lines: Vec<_> =
                    lines.map(|line| (line.bytes.to_vec(), line.too_long)).collect();
                (parcel.from, lines)
            })
            .collect();
        let plain = |text: &str| (text.as_bytes().to_vec(), false);
        assert_eq!(
            found,
            [
                (one, vec![plain("a"), plain(""), plain("bc")]),
                (other, vec![plain("d")]),
                (one, vec![plain("e")]),
                (other, vec![(b"f".to_vec(), true)]),
            ]
        );
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn who_can_wait_leaves_half_of_the_room() {
        let queue = Arc::new(Queue::new(1000));
        let from = IpAddr::from([192, 0, 2, 1]);
        queue.bring_one(from, line(&[b'x'; 600]), Patience::CanWait);
        assert!(!queue.bring_one(from, line(b"udp"), Patience::CannotWait), "there is room");
        let waiter = queue.clone();
        let waiting =
            std::thread::spawn(move || waiter.bring_one(from, line(b"tcp"), Patience::CanWait));
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(queue.take().iter().map(Parcel::messages).sum::<usize>(), 2);
        assert!(waiting.join().expect("no panic"), "it had to wait");
        assert_eq!(queue.take().len(), 1);
        queue.close();
        queue.bring_one(from, line(&[b'x'; 2000]), Patience::CanWait);
        assert_eq!(queue.bytes(), 0, "nobody takes any more");
    }
}

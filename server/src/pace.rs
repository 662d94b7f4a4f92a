//! How many answers a network gets in a second: forged questions must not make us a weapon against their victim.
//!
//! In go the address that asked, the sort of the answer and the second; out comes whether it is sent, sent cut (so that an
//! honest asker comes back over TCP, which a forger cannot), or not at all. Of each sort of answer (as in NSD) a network
//! (IPv4 /24, IPv6 /56) gets so many in a second; every `slip`th beyond that is cut, the others are dropped.
//!
//! The counts lie in a table of fixed size without locks. Two networks may meet in a cell: then the one that came last counts
//! anew, so that a full table lets more pass, never less. Nothing fails.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

/// Networks that are told apart at once, about.
const CELLS: usize = 1 << 16;
/// An IPv6 network: what one customer has at most of providers.
const V6_BITS: u32 = 56;

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sort {
    /// It has records.
    Found,
    /// There is nothing.
    Nothing,
    /// It could not be answered.
    Failed,
}

impl Sort {
    /// Of a response's header.
    pub(crate) fn of(response: &[u8]) -> Self {
        match response {
            [_, _, _, flags, _, _, answers @ ..] if flags & 0xf == 0 => {
                if answers.starts_with(&[0, 0]) { Self::Nothing } else { Self::Found }
            }
            [_, _, _, flags, ..] if flags & 0xf == 3 => Self::Nothing,
            _ => Self::Failed,
        }
    }
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// It is sent.
    Whole,
    /// It is sent without records, with TC.
    Cut,
    /// It is not sent.
    Dropped,
}

/// Counts the answers of a second.
#[derive(Debug)]
pub(crate) struct Pace {
    limit: u32,
    slip: u32,
    /// 16 bits of the hash, 24 of the second, 24 of the count.
    cells: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Pace {
    /// So many answers a second, and every so many beyond that is cut (0: none); `None` for a limit of 0.
    pub(crate) fn new(limit: u32, slip: u32) -> Option<Self> {
        let cells = std::iter::repeat_with(AtomicU64::default).take(CELLS).collect();
        (limit > 0).then(|| Self { limit, slip, cells, hasher: RandomState::new() })
    }

    /// Counts an answer.
    pub(crate) fn pass(&self, ip: IpAddr, sort: Sort, second: u32) -> Pass {
        let hash = self.hasher.hash_one((network(ip), sort));
        let Some(cell) = self.cells.get(hash as usize % CELLS) else { return Pass::Whole };
        let now = hash >> 48 << 48 | u64::from(second & 0xff_ffff) << 24;
        // What two threads count at once is counted once: an estimate is enough.
        let before = cell.load(Ordering::Relaxed);
        let count = if before >> 24 == now >> 24 { before & 0xff_ffff } else { 0 };
        let count = (count + 1).min(0xff_ffff);
        cell.store(now | count, Ordering::Relaxed);
        match count.checked_sub(u64::from(self.limit)) {
            None | Some(0) => Pass::Whole,
            Some(beyond) if self.slip > 0 && beyond % u64::from(self.slip) == 0 => Pass::Cut,
            Some(_) => Pass::Dropped,
        }
    }
}

fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & u128::MAX << (128 - V6_BITS)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn beyond_the_limit_every_other_is_cut() {
        let pace = Pace::new(3, 2).expect("a limit");
        let pass = |text: &str, sort, second| pace.pass(ip(text), sort, second);
        use Pass::{Cut, Dropped, Whole};
        for last in 0..3 {
            assert_eq!(pass(&format!("192.0.2.{last}"), Sort::Found, 7), Whole);
        }
        for expected in [Dropped, Cut, Dropped, Cut] {
            assert_eq!(pass("192.0.2.99", Sort::Found, 7), expected);
        }
        for (text, sort, second) in [
            ("192.0.2.99", Sort::Nothing, 7),
            ("192.0.2.99", Sort::Found, 8),
            ("192.0.3.1", Sort::Found, 7),
            ("2001:db8::1", Sort::Found, 7),
        ] {
            assert_eq!(pass(text, sort, second), Whole, "{text} {sort:?} {second}");
        }
        assert_eq!(network(ip("2001:db8:1:2ff::9")), ip("2001:db8:1:200::"));
        assert_eq!(network(ip("::ffff:192.0.2.7")), ip("192.0.2.0"));
    }

    #[test]
    fn no_limit_and_no_slip() {
        assert!(Pace::new(0, 2).is_none());
        let pace = Pace::new(1, 0).expect("a limit");
        let passes = [0; 4].map(|second| pace.pass(ip("192.0.2.1"), Sort::Failed, second));
        assert_eq!(passes, [Pass::Whole, Pass::Dropped, Pass::Dropped, Pass::Dropped]);
    }

    #[test]
    fn sorts_of_answers() {
        for (code, answers, sort) in [
            (0, 1, Sort::Found),
            (0, 0, Sort::Nothing),
            (3, 0, Sort::Nothing),
            (5, 0, Sort::Failed),
            (1, 0, Sort::Failed),
        ] {
            assert_eq!(Sort::of(&[0, 0, 0x84, code, 0, 1, 0, answers, 0, 0, 0, 0]), sort);
        }
    }
}

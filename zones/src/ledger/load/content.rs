//! The hash by which content that was loaded before is known again.
//!
//! In: octets, in pieces of any size. Out: 128 bits, the same on every machine and in every version, for
//! they are stored. Not cryptographic: who would forge a file with the hash of another gains that his own
//! file is not loaded.

use crate::ledger::hash::{fold, mix};

const A: u64 = 0xa076_1d64_78bd_642f;
const B: u64 = 0xe703_7ed1_a0b4_28db;

/// A hash of all octets so far.
#[derive(Clone, Debug)]
pub(super) struct ContentHash {
    a: u64,
    b: u64,
    length: u64,
    /// Octets that do not make a word yet.
    rest: [u8; 8],
}

impl Default for ContentHash {
    fn default() -> Self {
        Self { a: A, b: B, length: 0, rest: [0; 8] }
    }
}

impl ContentHash {
    /// Takes in more octets.
    pub(super) fn update(&mut self, mut octets: &[u8]) {
        while !self.length.is_multiple_of(8)
            && let Some((first, others)) = octets.split_first()
        {
            self.octet(*first);
            octets = others;
        }
        let (words, rest) = octets.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
            self.length += 8;
        }
        for octet in rest {
            self.octet(*octet);
        }
    }

    fn octet(&mut self, octet: u8) {
        let place = (self.length % 8) as usize;
        self.rest[place] = octet;
        self.length += 1;
        if place == 7 {
            self.word(u64::from_le_bytes(self.rest));
            self.rest = [0; 8];
        }
    }

    fn word(&mut self, word: u64) {
        self.a = fold(self.a ^ word, A) ^ self.a.rotate_left(23);
        self.b = fold(self.b ^ word.rotate_left(32), B) ^ self.b.rotate_left(29) ^ word;
    }

    /// How many octets there were.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The hash, in hexadecimal digits.
    pub(super) fn digits(&self) -> String {
        let mut last = self.clone();
        last.word(u64::from_le_bytes(self.rest));
        last.word(self.length);
        format!("{:016x}{:016x}", mix(last.a), mix(last.b))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits(octets: &[u8]) -> String {
        let mut hash = ContentHash::default();
        hash.update(octets);
        hash.digits()
    }

    #[test]
    fn hashes_stay_as_they_are() {
        for (content, known) in [
            ("", "490e1d77c2acf73a885318213ecce34b"),
            ("{\"client\":\"192.0.2.7\"}\n", "be46b1ab9a0d85e441ff2a47cef30fe2"),
        ] {
            assert_eq!(digits(content.as_bytes()), known, "{content:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(octets in prop::collection::vec(any::<u8>(), 0..100), cuts in prop::collection::vec(0usize..20, 0..20)) {
            let mut hash = ContentHash::default();
            let mut left = octets.as_slice();
            for cut in cuts {
                let (piece, rest) = left.split_at(cut.min(left.len()));
                hash.update(piece);
                left = rest;
            }
            hash.update(left);
            prop_assert_eq!(hash.length(), octets.len() as u64);
            prop_assert_eq!(hash.digits(), digits(&octets));
        }

        #[test]
        fn every_octet_matters(octets in prop::collection::vec(any::<u8>(), 1..100), place in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut other = octets.clone();
            other[place.index(octets.len())] ^= 1 << bit;
            prop_assert_ne!(digits(&octets), digits(&other));
            let longer = [octets.as_slice(), &[0]].concat();
            prop_assert_ne!(digits(&octets), digits(&longer));
        }
    }
}

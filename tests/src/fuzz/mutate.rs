//! Small changes to inputs, the same in every run: what libFuzzer does, without what it learns.
//!
//! In go the seeds of a corpus; out come inputs without end, each a seed (or two, spliced) after a few
//! changes. Nothing here measures coverage: this finds what is near the seeds, and keeps fuzz targets
//! in use where there is no fuzzer.

/// No input grows beyond this: a parser that is slow on a long input is another test's business.
const MAX_BYTES: usize = 8 * 1024;
/// Values at the edges of the layouts: signs, lengths, ends of text.
const EDGES: [u8; 14] = [0, 1, 4, 6, 0x7f, 0x80, 0xc0, 0xfe, 0xff, b'\n', b' ', b'.', b'"', b'['];

/// Makes inputs out of seeds.
#[derive(Debug)]
pub struct Mutator<'a> {
    seeds: &'a [Vec<u8>],
    state: u64,
}

impl<'a> Mutator<'a> {
    /// Of these seeds; the same ones give the same inputs.
    pub fn new(seeds: &'a [Vec<u8>]) -> Self {
        // Any number but zero will do.
        Self { seeds, state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// The next input.
    pub fn input(&mut self) -> Vec<u8> {
        let mut input = self.seed();
        for _ in 0..=self.below(6) {
            self.change(&mut input);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn seed(&mut self) -> Vec<u8> {
        let at = self.below(self.seeds.len());
        self.seeds.get(at).cloned().unwrap_or_default()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(32)).min(input.len());
        match self.below(8) {
            0 => self.replace(input, at, |byte, random| byte ^ 1 << (random % 8)),
            1 => self.replace(input, at, |_, random| random as u8),
            2 => self.replace(input, at, |_, random| {
                EDGES.get(random as usize % EDGES.len()).copied().unwrap_or_default()
            }),
            3 => self.replace(input, at, |byte, random| {
                byte.wrapping_add(random as u8 % 9).wrapping_sub(4)
            }),
            4 => drop(input.drain(at.min(end)..end)),
            5 => {
                let again = input.get(at..end).unwrap_or_default().to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, again);
            }
            6 => {
                let other = self.seed();
                let from = self.below(other.len() + 1);
                let length = self.below(64);
                let piece = other.into_iter().skip(from).take(length);
                input.splice(at..at, piece);
            }
            _ => {
                // The beginning of one seed and the end of another.
                let other = self.seed();
                let from = self.below(other.len() + 1);
                let rest = other.get(from..).unwrap_or_default();
                input.truncate(at);
                input.extend_from_slice(rest);
            }
        }
    }

    fn replace(&mut self, input: &mut [u8], at: usize, change: impl FnOnce(u8, u64) -> u8) {
        let random = self.random();
        if let Some(byte) = input.get_mut(at) {
            *byte = change(*byte, random);
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        // The remainder is a little uneven, which does not matter here.
        self.random() as usize % bound.max(1)
    }

    /// Marsaglia's xorshift64.
    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

//! A crowd on its way into a ledger, and the one place where the benches look at a client's row.

use std::hint::black_box;
use std::path::PathBuf;

use helostat_tests::program::Random;
use helostat_zones::client::Client;
use helostat_zones::ledger::{Batch, Ledger};
use helostat_zones::observation::{Observation, ReporterKind};

use crate::crowd::{Crowd, Mix, Zipf};
use crate::options::Options;

/// Observations a commit while a ledger is filled, as the program does.
const FILL_BATCH: u64 = 10_000;

/// The mix that was asked for: `--mix`.
pub(crate) fn mix(options: &Options) -> Mix {
    Mix::named(&options.text("mix").unwrap_or_else(|| "mail".to_owned()))
}

/// A crowd of which a ledger is to hold the first `held` pairs; one in eleven is yet to come.
pub(crate) fn growing_crowd(mix: Mix, held: u64) -> Crowd {
    Crowd::new(mix, held + held / 10)
}

/// The client of a pair.
pub(crate) fn client(crowd: &Crowd, pair: u64) -> Client {
    Client::of(crowd.observation(pair, Crowd::time(0, 1), &mut Random(0)).ip)
}

/// A folder for a ledger: `--ledger`, which stays, or a new one that is removed at the end.
pub(crate) struct Place {
    /// Where the ledger is.
    pub(crate) path: PathBuf,
    _removed: Option<tempfile::TempDir>,
}

impl Place {
    /// The place that was asked for.
    pub(crate) fn of(options: &Options) -> Self {
        if let Some(path) = options.text("ledger") {
            return Self { path: path.into(), _removed: None };
        }
        let folder = tempfile::tempdir_in(options.folder()).expect("a folder for the ledger");
        Self { path: folder.path().join("ledger"), _removed: Some(folder) }
    }
}

/// A batch of these observations, at a position in a log.
pub(crate) fn batch(observations: &[Observation], position: u64) -> Batch {
    let mut batch = Batch::default();
    for observation in observations {
        batch.observe(observation, ReporterKind::Mx);
    }
    batch.reach("mail.log", position.to_be_bytes().to_vec());
    batch
}

/// Has a ledger learn the first `pairs` of a crowd, by rank, and half as many observations once more.
/// Returns how many observations that were.
pub(crate) fn fill(ledger: &Ledger, crowd: &Crowd, pairs: u64) -> u64 {
    let whole = pairs * 3 / 2;
    let mut random = Random(11);
    let mut observations = Vec::new();
    for done in 0..whole {
        let rank = if done < pairs { done } else { random.below(pairs) };
        let time = Crowd::time(done, whole);
        observations.push(crowd.observation(crowd.at_rank(rank), time, &mut random));
        if observations.len() as u64 == FILL_BATCH || done + 1 == whole {
            ledger.commit(&batch(&observations, done)).expect("the ledger takes it");
            observations.clear();
        }
    }
    whole
}

/// Small batches that go on after a ledger was filled: nine of ten observations are of pairs it holds,
/// by Zipf's law, the others of new ones.
pub(crate) struct Stream<'a> {
    crowd: &'a Crowd,
    next: u64,
    law: Zipf,
    random: Random,
}

impl<'a> Stream<'a> {
    /// The stream of a ledger that holds the first `held` pairs of the crowd.
    pub(crate) fn after(crowd: &'a Crowd, held: u64, seed: u64) -> Self {
        Self { crowd, next: held, law: Zipf::new(held, 1.1), random: Random(seed) }
    }

    /// A pair that the ledger holds.
    pub(crate) fn held_pair(&mut self) -> u64 {
        self.crowd.at_rank(self.law.draw(&mut self.random))
    }

    /// The next batch: 50 to 200 observations.
    pub(crate) fn batch(&mut self) -> Batch {
        let size = 50 + self.random.below(151);
        let observations: Vec<_> = (0..size)
            .map(|_| {
                let pair = match self.random.below(10) {
                    0 => {
                        self.next += 1;
                        self.crowd.at_rank(self.next % self.crowd.pairs())
                    }
                    _ => self.held_pair(),
                };
                self.crowd.observation(pair, Crowd::time(1, 1), &mut self.random)
            })
            .collect();
        batch(&observations, self.next)
    }
}

/// Reads a client's history as a question does: all its pairs. Returns how many there are.
#[inline(never)]
pub(crate) fn walk(ledger: &Ledger, client: Client) -> usize {
    ledger.client(client, |row| {
        let Some(row) = row else { return 0 };
        let mut pairs = 0;
        for pair in row.pairs() {
            pairs += 1;
            for (_, seen) in pair.seen() {
                black_box((seen.first, seen.last, seen.accepted(), seen.days));
            }
        }
        pairs
    })
}

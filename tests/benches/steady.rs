//! Small commits at a steady pace, and what they cost those who read.
//!
//! A ledger of `--pairs` (1 million) takes `--rate` (100) commits a second of 50 to 200 observations for
//! `--seconds` (30), while a thread reads one history after the other. The same reading is measured for
//! a third of that time before and after, with no commits: what two busy cores do to a reader is in
//! all of it, what commits do is the difference.
//!
//! A slow read either waited for a lock, then its thread went to sleep by itself, or had to give its core to
//! somebody else; the kernel counts both, and how long it was ready to run without a core. Only the time
//! asleep is the ledger's doing; in it is still whatever time the committing thread lost its own core
//! while it held the lock, which on a busy machine is most of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use helostat_zones::client::Client;
use helostat_zones::ledger::{Bounds, Ledger};

use crate::learn::{Place, Stream, client, fill, growing_crowd, mix, walk};
use crate::measure::{self, at_share};
use crate::options::Options;
use crate::report::{Bar, Report};

/// Clients whose histories are read in turn; those with more mail come more often.
const READ: usize = 1 << 16;
/// A read that takes this long is looked at.
const SLOW: Duration = Duration::from_micros(15);
/// A commit may keep a reader waiting this long.
const WAIT_MAX: Duration = Duration::from_millis(1);

pub(crate) fn run(options: &Options) {
    let held: u64 = options.number("pairs", 1_000_000);
    let rate: u32 = options.number("rate", 100);
    let lasting = Duration::from_secs(options.number("seconds", 30));
    let crowd = growing_crowd(mix(options), held);
    let place = Place::of(options);
    let is_new = !place.path.exists();
    let ledger = Ledger::open(&place.path, Bounds::default()).expect("the ledger opens");
    if is_new {
        fill(&ledger, &crowd, held);
    }
    let mut stream = Stream::after(&crowd, held, ledger.seq());
    let clients: Vec<_> = (0..READ).map(|_| client(&crowd, stream.held_pair())).collect();

    let title = format!("steady: {held} pairs, {rate} commits/s for {} s", lasting.as_secs());
    let report = Report::begin(options, &title);
    let before = read_for(&ledger, &clients, lasting / 3);
    let cpu = measure::cpu();
    let done = AtomicBool::new(false);
    let (during, reading, commits) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let begun = measure::thread_cpu();
            (read_until(&ledger, &clients, &done), measure::thread_cpu() - begun)
        });
        let commits = commit(&ledger, &mut stream, rate, lasting);
        done.store(true, Ordering::Relaxed);
        let (reads, reading) = reader.join().expect("the reader");
        (reads, reading, commits)
    });
    let cpu = measure::cpu().saturating_sub(cpu).saturating_sub(reading);
    let mut rest = read_for(&ledger, &clients, lasting / 3);
    rest.add(&before);
    commits.tell(&report, cpu);
    tell_reads(&report, "at rest", &rest);
    tell_reads(&report, "beside commits", &during);
    let waited = during.waited_longest.as_secs_f64() * 1e3;
    let bar = Bar::Most(WAIT_MAX.as_secs_f64() * 1e3);
    report.judge("longest wait of a reader for a lock", waited, "ms", bar);
}

/// What commits took.
struct Commits {
    took: Vec<Duration>,
    /// From the moment at which each was due.
    late: Vec<Duration>,
    /// Making the batches, which is the bench's work and not the ledger's.
    making: Duration,
}

impl Commits {
    fn tell(mut self, report: &Report, cpu: Duration) {
        self.took.sort_unstable();
        self.late.sort_unstable();
        let ms = |sorted: &[Duration], share| at_share(sorted, share).as_secs_f64() * 1e3;
        report.tell("commits", self.took.len() as f64, "");
        report.tell("a commit, p50", ms(&self.took, 0.5), "ms");
        report.tell("a commit, p90", ms(&self.took, 0.9), "ms");
        report.judge("a commit, p99", ms(&self.took, 0.99), "ms", Bar::Most(50.0));
        report.tell("a commit, max", ms(&self.took, 1.0), "ms");
        report.tell("done after it was due, p99", ms(&self.late, 0.99), "ms");
        let each = cpu.saturating_sub(self.making).as_secs_f64() / self.took.len() as f64;
        report.tell("processor time of a commit", each * 1e3, "ms");
    }
}

/// Commits at a pace; a commit that takes longer delays the next ones.
fn commit(ledger: &Ledger, stream: &mut Stream<'_>, rate: u32, lasting: Duration) -> Commits {
    let mut commits = Commits { took: Vec::new(), late: Vec::new(), making: Duration::ZERO };
    let mut due = Instant::now();
    let end = due + lasting;
    while due < end {
        let begun = measure::thread_cpu();
        let batch = stream.batch();
        commits.making += measure::thread_cpu() - begun;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let begun = Instant::now();
        ledger.commit(&batch).expect("the ledger takes it");
        commits.took.push(begun.elapsed());
        commits.late.push(due.elapsed());
        due += Duration::from_secs(1) / rate;
    }
    commits
}

/// Times of reads, in buckets of at most a sixteenth of their value.
struct Reads {
    buckets: Vec<u64>,
    longest: Duration,
    /// Reads over the limit that waited for a lock, and that lost their core.
    waited: u64,
    preempted: u64,
    waited_longest: Duration,
    lasted: Duration,
}

impl Reads {
    fn new() -> Self {
        Self {
            buckets: vec![0; 64 * 16],
            longest: Duration::ZERO,
            waited: 0,
            preempted: 0,
            waited_longest: Duration::ZERO,
            lasted: Duration::ZERO,
        }
    }

    fn note(&mut self, took: Duration) {
        let nanos = took.as_nanos() as u64;
        self.buckets[bucket(nanos)] += 1;
        self.longest = self.longest.max(took);
    }

    /// Tells waiting from bad luck, by what the kernel counted since the last slow read.
    fn note_slow(&mut self, took: Duration, before: &Pauses, now: &Pauses) {
        let coreless = now.coreless.saturating_sub(before.coreless);
        let asleep = match now.sleeps > before.sleeps {
            true => took.saturating_sub(coreless),
            false => Duration::ZERO,
        };
        self.waited_longest = self.waited_longest.max(asleep);
        if asleep > WAIT_MAX {
            self.waited += 1;
        } else if took > WAIT_MAX {
            self.preempted += 1;
        }
    }

    fn add(&mut self, other: &Self) {
        for (here, there) in self.buckets.iter_mut().zip(&other.buckets) {
            *here += there;
        }
        self.longest = self.longest.max(other.longest);
        self.waited += other.waited;
        self.preempted += other.preempted;
        self.waited_longest = self.waited_longest.max(other.waited_longest);
        self.lasted += other.lasted;
    }

    fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The time below which `share` of the reads lie, in microseconds.
    fn at_share(&self, share: f64) -> f64 {
        let wanted = (self.count() as f64 * share) as u64;
        let mut below = 0;
        let place = self.buckets.iter().position(|count| {
            below += count;
            below > wanted
        });
        place.map_or(0.0, |place| upper_end(place) as f64 / 1e3)
    }
}

/// The bucket of a number: its highest five bits.
fn bucket(number: u64) -> usize {
    if number < 16 {
        return number as usize;
    }
    let shift = 59 - number.leading_zeros();
    (shift as usize) * 16 + (number >> shift) as usize
}

/// The greatest number of a bucket.
fn upper_end(bucket: usize) -> u64 {
    if bucket < 32 {
        return bucket as u64;
    }
    let (shift, top) = (bucket / 16 - 1, bucket % 16 + 16);
    ((top as u64 + 1) << shift) - 1
}

fn read_for(ledger: &Ledger, clients: &[Client], lasting: Duration) -> Reads {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_until(ledger, clients, &done));
        std::thread::sleep(lasting);
        done.store(true, Ordering::Relaxed);
        reader.join().expect("the reader")
    })
}

/// Reads histories until `done`.
fn read_until(ledger: &Ledger, clients: &[Client], done: &AtomicBool) -> Reads {
    let mut reads = Reads::new();
    let mut pauses = Pauses::so_far();
    let begun = Instant::now();
    for client in clients.iter().cycle() {
        let begun = Instant::now();
        assert!(walk(ledger, *client) > 0, "{client} has a history");
        let took = begun.elapsed();
        reads.note(took);
        if took >= SLOW {
            let now = Pauses::so_far();
            reads.note_slow(took, &pauses, &now);
            pauses = now;
        }
        if done.load(Ordering::Relaxed) {
            break;
        }
    }
    reads.lasted = begun.elapsed();
    reads
}

/// When this thread did not run.
struct Pauses {
    /// How often it went to sleep by itself, which here is only to wait for a lock.
    sleeps: u64,
    /// How long it would have run if there had been a core for it.
    coreless: Duration,
}

impl Pauses {
    fn so_far() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let sleeps = measure::value(&read("/proc/thread-self/status"), "voluntary_ctxt_switches:");
        let stat = read("/proc/thread-self/schedstat");
        let nanos = stat.split_whitespace().nth(1).and_then(|text| text.parse().ok());
        Self { sleeps, coreless: Duration::from_nanos(nanos.unwrap_or_default()) }
    }
}

fn tell_reads(report: &Report, when: &str, reads: &Reads) {
    let per_second = |count: u64| count as f64 / reads.lasted.as_secs_f64();
    report.tell(&format!("reads {when}"), per_second(reads.count()), "/s");
    for (what, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)] {
        report.tell(&format!("a read {when}, {what}"), reads.at_share(share), "us");
    }
    report.tell(&format!("a read {when}, max"), reads.longest.as_secs_f64() * 1e6, "us");
    let what = format!("reads {when} over 1 ms that waited for a lock");
    report.tell(&what, reads.waited as f64, "");
    let what = format!("reads {when} over 1 ms that lost their core");
    report.tell(&what, reads.preempted as f64, "");
}

//! What a process has cost so far, as Linux counts it (proc(5)).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Processor time of this process, all threads, in user and kernel; exact to 10 ms.
pub(crate) fn cpu() -> Duration {
    let stat = read("/proc/self/stat");
    // The name of the program, in brackets, may have blanks; utime and stime are fields 14 and 15.
    let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = behind.split_whitespace().skip(11).take(2).filter_map(number).sum();
    Duration::from_millis(ticks * 10)
}

/// Processor time of all children that have ended, in user and kernel; exact to 10 ms.
#[allow(dead_code, reason = "only one bench has children")]
pub(crate) fn children_cpu() -> Duration {
    let stat = read("/proc/self/stat");
    let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = behind.split_whitespace().skip(13).take(2).filter_map(number).sum();
    Duration::from_millis(ticks * 10)
}

/// Processor time of this thread.
pub(crate) fn thread_cpu() -> Duration {
    // The kernel brings this number up to date when it looks whom to run next, else only every few ms.
    std::thread::yield_now();
    let stat = read("/proc/thread-self/schedstat");
    Duration::from_nanos(stat.split_whitespace().next().and_then(number).unwrap_or_default())
}

/// Resident memory in octets.
pub(crate) fn rss() -> u64 {
    kilobytes("VmRSS:") << 10
}

/// The most resident memory so far, in octets.
pub(crate) fn peak_rss() -> u64 {
    kilobytes("VmHWM:") << 10
}

fn kilobytes(field: &str) -> u64 {
    value(&read("/proc/self/status"), field)
}

/// What this process handed to the disk.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    /// Octets in calls of `write` and its kin, also to pipes.
    pub(crate) called: u64,
    /// Octets of pages made dirty, which is what the disk gets.
    pub(crate) pages: u64,
}

impl Written {
    /// Up to now.
    pub(crate) fn now() -> Self {
        let io = read("/proc/self/io");
        Self { called: value(&io, "wchar:"), pages: value(&io, "write_bytes:") }
    }

    /// Since an earlier moment.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { called: self.called - earlier.called, pages: self.pages - earlier.pages }
    }
}

/// Octets that a folder takes on its disk.
pub(crate) fn disk(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// How busy the machine is, with everything that runs on it.
pub(crate) fn load() -> String {
    read("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The value below which `share` of the values lie; they must be sorted.
pub(crate) fn at_share(sorted: &[Duration], share: f64) -> Duration {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The number behind a field's name.
pub(crate) fn value(text: &str, field: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(number).unwrap_or_default()
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

//! A list of addresses that looks random and is the same every time.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where the list is served.
pub(crate) const ORIGIN: &str = "bl.example";
/// In the changed list only: none of the addresses below.
pub(crate) const MARK: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);
/// From where on the sequence below is in no list.
const UNLISTED: u32 = 3_500_000_000;

/// The n-th address of a sequence that looks random and says none twice, outside of 0/8, 127/8 and above 223.
fn address(n: u32) -> Option<u32> {
    let mut mixed = n;
    mixed = (mixed ^ mixed >> 16).wrapping_mul(0x7feb_352d);
    mixed = (mixed ^ mixed >> 15).wrapping_mul(0x846c_a68b);
    mixed ^= mixed >> 16;
    (!matches!(mixed >> 24, 0 | 127 | 224..)).then_some(mixed)
}

/// The addresses of a list.
pub(crate) fn listed(lines: u32) -> impl Iterator<Item = u32> {
    (0..UNLISTED).filter_map(address).take(lines as usize)
}

/// Addresses of no list.
pub(crate) fn unlisted() -> impl Iterator<Item = u32> {
    (UNLISTED..).filter_map(address)
}

/// A list as it is, and as it will be.
pub(crate) struct Lists {
    folder: tempfile::TempDir,
}

impl Lists {
    /// Writes them: most lines share four values.
    pub(crate) fn new(lines: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the list");
        // rbldnsd reads it as somebody else.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let lists = Self { folder };
        write(&lists.as_is(), lines, false);
        write(&lists.changed(), lines, true);
        write(&lists.empty(), 0, false);
        lists.put(&lists.as_is());
        lists
    }

    pub(crate) fn as_is(&self) -> PathBuf {
        self.folder.path().join("as-is")
    }

    pub(crate) fn changed(&self) -> PathBuf {
        self.folder.path().join("changed")
    }

    pub(crate) fn empty(&self) -> PathBuf {
        self.folder.path().join("empty")
    }

    /// Where the ledger lies from which [`Kind::Learned`](super::server::Kind::Learned) answers.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    /// Every address as a client that said an address instead of a name a day ago, as JSON lines.
    pub(crate) fn observations(&self, lines: u32) -> PathBuf {
        let path = self.folder.path().join("observations.jsonl");
        let file = File::create(&path).expect("a place for the observations");
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let yesterday = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24);
        let rest = format!("\"time\":\"{yesterday:.0}\",\"outcome\":\"rejected\"");
        for address in listed(lines) {
            let (ip, said) = (Ipv4Addr::from(address), Ipv4Addr::from(!address));
            writeln!(file, "{{\"ip\":\"{ip}\",\"ehlo\":\"{said}\",{rest}}}").expect("room");
        }
        file.flush().expect("room");
        path
    }

    /// What the servers read.
    pub(crate) fn served(&self) -> PathBuf {
        self.folder.path().join("served")
    }

    /// Puts a list into the place that the servers read, at once.
    pub(crate) fn put(&self, list: &Path) {
        let beside = self.folder.path().join("beside");
        fs::hard_link(list, &beside).expect("a link");
        fs::rename(beside, self.served()).expect("its place");
        // Renaming one name of a file over another of its names does nothing.
        drop(fs::remove_file(self.folder.path().join("beside")));
    }
}

fn write(path: &Path, lines: u32, is_changed: bool) {
    let file = File::create(path).expect("a place for the list");
    let mut file = BufWriter::with_capacity(1 << 20, file);
    writeln!(file, "$SOA 3600 ns.{ORIGIN} hostmaster.{ORIGIN} 1 3600 600 86400 300").expect("room");
    writeln!(file, "$NS 3600 ns.{ORIGIN}").expect("room");
    let mut left = lines;
    let mut addresses = listed(lines);
    for (value, share) in [(2, 0.70), (3, 0.15), (4, 0.10), (5, 1.0)] {
        let count = left.min((f64::from(lines) * share) as u32);
        left -= count;
        writeln!(file, ":127.0.0.{value}:Listed, see https://lists.example.org/?$").expect("room");
        for address in addresses.by_ref().take(count as usize) {
            writeln!(file, "{}", Ipv4Addr::from(address)).expect("room");
        }
    }
    if is_changed {
        writeln!(file, "{MARK}").expect("room");
    }
    file.flush().expect("room");
}

//! Snapshots: a ledger's records in one file that can be copied anywhere and read as a store.
//!
//! `helostat-<seq>.snapshot`, the number with 20 digits so that names sort by it; numbers inside are
//! big-endian:
//!
//! ```text
//! file   = "helosnap"  version:u8 (1)  layout:u8 (of the records)  seq:u64
//!          record*  end
//! record = key  length:u32  crc32:u32 (of key, length and content)  content
//! key    = kind:u8 ("b" base, "e" journal entry, "s" shard)  number:u64 (0 if it has none)
//! end    = "z"  count:u64 (of records)  crc32:u32 (of the file so far)
//! ```
//!
//! It is written under a name of its own (`.part`), brought to the disk and only then renamed, so that
//! whatever has the name of a snapshot is whole; and it is read once at opening, in small steps, to see
//! that it still is. `seq` is a journal entry that the records include; they may include later ones. What
//! records a snapshot needs and in what order they are taken is for the caller to know.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::codec::LAYOUT;
use super::folder::{io_error, make_private, remove_if_there, sync};
use super::store::{Key, Store, StoreError};

const MAGIC: &[u8; 8] = b"helosnap";
/// The version of this file's layout; that of the records is theirs.
const VERSION: u8 = 1;
const END: u8 = b'z';
/// Octets of a record before its checksum.
const RECORD_NAME: usize = 13;
/// How much is read or written at a time.
const BUFFER_BYTES: usize = 256 << 10;

const PREFIX: &str = "helostat-";
const SUFFIX: &str = ".snapshot";
const UNFINISHED: &str = ".part";

/// A snapshot being written. Dropped before `finish`, it leaves nothing behind.
pub struct Writer {
    file: BufWriter<fs::File>,
    checksum: crc32fast::Hasher,
    records: u64,
    part: PathBuf,
    path: PathBuf,
}

impl Writer {
    /// Begins the snapshot `seq` in `directory`, which is made, for its owner alone, if it is not there.
    pub fn create(directory: &Path, seq: u64) -> io::Result<Self> {
        make_private(directory)?;
        let name = format!("{PREFIX}{seq:020}{SUFFIX}");
        let part = directory.join(format!("{name}{UNFINISHED}"));
        let mut options = fs::File::options();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        let mut writer = Self {
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            checksum: crc32fast::Hasher::new(),
            records: 0,
            part,
            path: directory.join(name),
        };
        writer.write(MAGIC)?;
        writer.write(&[VERSION, LAYOUT])?;
        writer.write(&seq.to_be_bytes())?;
        Ok(writer)
    }

    /// Adds a record. Of two under the same key the later one counts.
    pub fn put(&mut self, key: Key, record: &[u8]) -> io::Result<()> {
        let length = u32::try_from(record.len())
            .map_err(|_| io::Error::other(format!("{key} would take more than 4 GB")))?;
        let mut checksum = crc32fast::Hasher::new();
        let name = name_of(key, length);
        checksum.update(&name);
        checksum.update(record);
        self.write(&name)?;
        self.write(&checksum.finalize().to_be_bytes())?;
        self.write(record)?;
        self.records += 1;
        Ok(())
    }

    /// Makes the snapshot whole and durable, and returns where it is.
    pub fn finish(mut self) -> io::Result<PathBuf> {
        self.write(&[END])?;
        self.write(&self.records.to_be_bytes())?;
        let checksum = self.checksum.clone().finalize();
        self.write(&checksum.to_be_bytes())?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.part, &self.path)?;
        if let Some(directory) = self.path.parent() {
            sync(directory)?;
        }
        Ok(self.path.clone())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.checksum.update(octets);
        self.file.write_all(octets)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After `finish` there is no such file; where it cannot be removed, `prune` tries again.
        remove_if_there(&self.part).ok();
    }
}

/// A snapshot, whole when it was opened.
pub struct File {
    path: PathBuf,
    file: fs::File,
    seq: u64,
    size: u64,
    places: BTreeMap<Key, Place>,
}

/// Where a record's content is.
struct Place {
    offset: u64,
    length: u32,
    checksum: u32,
}

impl File {
    /// Opens a snapshot and checks all of it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = fs::File::open(path).map_err(|error| io_error(path, &error))?;
        let mut reader = Checked {
            path,
            file: BufReader::with_capacity(BUFFER_BYTES, &file),
            checksum: crc32fast::Hasher::new(),
            offset: 0,
        };
        let (seq, places) = reader.read()?;
        let size = reader.offset;
        Ok(Self { path: path.to_owned(), file, seq, size, places })
    }

    /// A journal entry that the snapshot includes; there may be later ones in it.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// What records it holds, sorted.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.places.keys().copied()
    }

    fn read_only(&self) -> StoreError {
        let why = "a snapshot cannot be written: restore it to a ledger of its own".into();
        StoreError::Io { path: self.path.clone(), why }
    }
}

impl Store for File {
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(place) = self.places.get(&key) else { return Ok(None) };
        let mut record = vec![0; place.length as usize];
        let read = self.file.read_exact_at(&mut record, place.offset);
        read.map_err(|error| io_error(&self.path, &error))?;
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&name_of(key, place.length));
        checksum.update(&record);
        if checksum.finalize() != place.checksum {
            return Err(StoreError::Damaged {
                path: self.path.clone(),
                what: key.to_string(),
                why: "its checksum does not fit".into(),
            });
        }
        Ok(Some(record))
    }

    fn entries(&self) -> Result<Vec<u64>, StoreError> {
        let entries = self.keys().filter_map(|key| match key {
            Key::Entry(seq) => Some(seq),
            _ => None,
        });
        Ok(entries.collect())
    }

    fn committed(&self) -> Option<u64> {
        Some(self.seq)
    }

    fn put(&mut self, _key: Key, _record: &[u8]) -> Result<(), StoreError> {
        Err(self.read_only())
    }

    fn trim(&mut self, _through: u64) -> Result<(), StoreError> {
        Err(self.read_only())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        Err(self.read_only())
    }

    fn disk_bytes(&self) -> u64 {
        self.size
    }

    fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

/// The newest snapshot in a directory, if there is one.
pub fn newest(directory: &Path) -> io::Result<Option<PathBuf>> {
    Ok(all(directory)?.pop_last().map(|(_, path)| path))
}

/// Removes all but the `keep` newest snapshots, and what writers left that were killed: none may be at
/// work. Returns how many files went.
pub fn prune(directory: &Path, keep: usize) -> io::Result<usize> {
    let mut snapshots = all(directory)?;
    let mut gone: Vec<PathBuf> =
        named(directory, &format!("{SUFFIX}{UNFINISHED}"))?.into_values().collect();
    while snapshots.len() > keep {
        gone.extend(snapshots.pop_first().map(|(_, path)| path));
    }
    for path in &gone {
        remove_if_there(path)?;
    }
    Ok(gone.len())
}

/// The snapshots in a directory by number; none if it is not there.
fn all(directory: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    named(directory, SUFFIX)
}

fn named(directory: &Path, suffix: &str) -> io::Result<BTreeMap<u64, PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let digits = name.and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(suffix));
        if let Some(seq) = digits.filter(|d| d.len() == 20).and_then(|digits| digits.parse().ok()) {
            found.insert(seq, path);
        }
    }
    Ok(found)
}

/// Reads a snapshot once, from its beginning to its end.
struct Checked<'a> {
    path: &'a Path,
    file: BufReader<&'a fs::File>,
    checksum: crc32fast::Hasher,
    offset: u64,
}

impl Checked<'_> {
    fn read(&mut self) -> Result<(u64, BTreeMap<Key, Place>), StoreError> {
        let what = "its beginning";
        if self.octets::<8>(what)? != *MAGIC {
            return Err(self.damaged(what, "it is not a snapshot of helostat"));
        }
        let [version, layout] = self.octets(what)?;
        for (found, known) in [(version, VERSION), (layout, LAYOUT)] {
            if found != known {
                let (found, known) = (found.into(), known.into());
                return Err(StoreError::OtherLayout { path: self.path.to_owned(), found, known });
            }
        }
        let seq = u64::from_be_bytes(self.octets(what)?);
        let mut places = BTreeMap::new();
        let mut records = 0u64;
        loop {
            let what = match places.len() {
                0 => "its first record".to_owned(),
                n => format!("what follows the first {n} records"),
            };
            let [kind] = self.octets(&what)?;
            if kind == END {
                break;
            }
            let (key, place) = self.record(kind, &what)?;
            places.insert(key, place);
            records += 1;
        }
        self.end(records)?;
        Ok((seq, places))
    }

    fn record(&mut self, kind: u8, what: &str) -> Result<(Key, Place), StoreError> {
        let number = u64::from_be_bytes(self.octets(what)?);
        let length = u32::from_be_bytes(self.octets(what)?);
        let checksum = u32::from_be_bytes(self.octets(what)?);
        let key = key_of(kind, number)
            .ok_or_else(|| self.damaged(what, "it is not of the documented layout"))?;
        let place = Place { offset: self.offset, length, checksum };
        let mut found = crc32fast::Hasher::new();
        found.update(&name_of(key, length));
        let mut left = length as usize;
        let mut buffer = vec![0; left.min(BUFFER_BYTES)];
        while left > 0 {
            let step = left.min(buffer.len());
            let part = buffer.get_mut(..step).unwrap_or_default();
            self.exactly(part, &key.to_string())?;
            found.update(part);
            left -= step;
        }
        if found.finalize() != checksum {
            return Err(self.damaged(&key.to_string(), "its checksum does not fit"));
        }
        Ok((key, place))
    }

    fn end(&mut self, records: u64) -> Result<(), StoreError> {
        let what = "its end";
        let count = u64::from_be_bytes(self.octets(what)?);
        let found = self.checksum.clone().finalize();
        let checksum = u32::from_be_bytes(self.octets(what)?);
        if count != records {
            return Err(self.damaged(what, "a record is missing or too many"));
        }
        if checksum != found {
            return Err(self.damaged(what, "its checksum does not fit"));
        }
        match self.file.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.damaged(what, "there is more behind it")),
            Err(error) => Err(io_error(self.path, &error)),
        }
    }

    fn octets<const N: usize>(&mut self, what: &str) -> Result<[u8; N], StoreError> {
        let mut octets = [0; N];
        self.exactly(&mut octets, what)?;
        Ok(octets)
    }

    fn exactly(&mut self, octets: &mut [u8], what: &str) -> Result<(), StoreError> {
        match self.file.read_exact(octets) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.damaged(what, "the file ends before it"));
            }
            Err(error) => return Err(io_error(self.path, &error)),
        }
        self.checksum.update(octets);
        self.offset += octets.len() as u64;
        Ok(())
    }

    fn damaged(&self, what: &str, why: &str) -> StoreError {
        let (what, why) = (what.to_owned(), why.to_owned());
        StoreError::Damaged { path: self.path.to_owned(), what, why }
    }
}

/// What stands before a record's checksum.
fn name_of(key: Key, length: u32) -> [u8; RECORD_NAME] {
    let (kind, number) = match key {
        Key::Base => (b'b', 0),
        Key::Entry(seq) => (b'e', seq),
        Key::Shard(number) => (b's', number.into()),
    };
    let mut name = [kind; RECORD_NAME];
    let (_, rest) = name.split_at_mut(1);
    let (number_place, length_place) = rest.split_at_mut(8);
    number_place.copy_from_slice(&u64::to_be_bytes(number));
    length_place.copy_from_slice(&length.to_be_bytes());
    name
}

fn key_of(kind: u8, number: u64) -> Option<Key> {
    match (kind, number) {
        (b'b', 0) => Some(Key::Base),
        (b'e', seq) => Some(Key::Entry(seq)),
        (b's', number) => u16::try_from(number).ok().map(Key::Shard),
        _ => None,
    }
}

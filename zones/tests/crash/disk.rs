//! A disk that forgets: what a recording did to files, and what of it a power cut may leave.
//!
//! - What was written before an fsync (or fdatasync) of the file began, and the fsync had ended, is there.
//!   `sync_file_range` does not count: it does not reach the medium.
//! - Every other write is there, or not, or in part: up to a multiple of 512 octets, or from there on;
//!   each by itself, so in any order. So is a change of a file's length.
//! - A new, removed or renamed name is there if its directory was fsynced, and else perhaps.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::recording::{Argument, Call};

const SECTOR: u64 = 512;

/// A generator of its own, so that a seed means the same for ever (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// Something that was done to the disk.
struct Change<'a> {
    what: What<'a>,
    entry: u64,
    exit: u64,
    /// From when on it stays, if ever.
    durable: u64,
}

enum What<'a> {
    Write {
        file: usize,
        offset: u64,
        octets: &'a [u8],
    },
    Length {
        file: usize,
        length: u64,
    },
    /// Names that come, go or are of another file, all together.
    Names(Vec<(PathBuf, Option<Node>)>),
}

#[derive(Clone, Copy, PartialEq)]
enum Node {
    File(usize),
    Directory,
}

/// What is in a directory: files with their content, and directories.
pub(crate) type Held = BTreeMap<PathBuf, Option<Vec<u8>>>;

pub(crate) struct Disk<'a> {
    changes: Vec<Change<'a>>,
    /// Contents and names as far as they are durable.
    files: Vec<Vec<u8>>,
    names: BTreeMap<PathBuf, Node>,
    /// The changes that are not durable yet, in their order.
    open: Vec<usize>,
    /// How many changes have been looked at.
    seen: usize,
}

/// A disk as it was found, in a directory.
pub(crate) struct Image {
    directory: tempfile::TempDir,
    /// How many changes had an open fate.
    pub(crate) undecided: usize,
}

impl Image {
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What is on it; no directory holds another.
    pub(crate) fn held(&self) -> Held {
        let mut held = Held::new();
        let mut directories = vec![self.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.path()).unwrap().to_owned();
                held.insert(name, path.is_file().then(|| std::fs::read(&path).unwrap()));
                if path.is_dir() {
                    directories.push(path);
                }
            }
        }
        held
    }

    /// Puts what is on it into an empty directory.
    pub(crate) fn copy_to(&self, directory: &Path) {
        for (name, content) in self.held() {
            match content {
                Some(content) => std::fs::write(directory.join(name), content).unwrap(),
                None => std::fs::create_dir(directory.join(name)).unwrap(),
            }
        }
    }
}

/// What was written to a file until some moment.
pub(crate) struct Written {
    pub(crate) octets: u64,
    /// Writes that are not durable.
    pub(crate) not_durable: usize,
}

impl<'a> Disk<'a> {
    /// The disk that holds the directory `root`, in which before the first call there is `held` and
    /// nothing else.
    pub(crate) fn new(root: &'a Path, held: Held, calls: &'a [Call]) -> Self {
        let mut files = Vec::new();
        let mut names = BTreeMap::new();
        for (name, content) in held {
            let node = content.map_or(Node::Directory, |content| {
                files.push(content);
                Node::File(files.len() - 1)
            });
            names.insert(name, node);
        }
        let mut replay = Replay {
            root,
            changes: Vec::new(),
            names: names.clone(),
            files: files.len(),
            descriptors: HashMap::new(),
        };
        calls.iter().for_each(|call| replay.call(call));
        replay.changes.sort_by_key(|change| change.entry);
        files.resize(replay.files, Vec::new());
        Self { changes: replay.changes, files, names, open: Vec::new(), seen: 0 }
    }

    /// Goes to a moment that is not before the last one.
    pub(crate) fn advance(&mut self, moment: u64) {
        while self.changes.get(self.seen).is_some_and(|change| change.entry <= moment) {
            self.open.push(self.seen);
            self.seen += 1;
        }
        let open = std::mem::take(&mut self.open);
        for number in open {
            let change = &self.changes[number];
            if change.durable > moment {
                self.open.push(number);
            } else {
                apply(&change.what, Part::All, &mut self.files, &mut self.names);
            }
        }
    }

    /// The disk as it may be found after a power cut now.
    pub(crate) fn crash(&self, moment: u64, random: &mut Random) -> Image {
        let mut files = self.files.clone();
        let mut names = self.names.clone();
        // Some power cuts lose almost everything, some almost nothing.
        let odds = [0, 5, 30, 50, 70, 95, 100][usize::try_from(random.below(7)).unwrap()];
        for number in &self.open {
            let change = &self.changes[*number];
            debug_assert!(change.entry <= moment);
            let part = match change.what {
                What::Write { octets, offset, .. } if random.below(4) == 0 => {
                    let sectors = (offset + octets.len() as u64).div_ceil(SECTOR) - offset / SECTOR;
                    let cut = (offset / SECTOR + random.below(sectors + 1)) * SECTOR;
                    if random.below(2) == 0 { Part::Before(cut) } else { Part::From(cut) }
                }
                _ if random.below(100) < odds => Part::All,
                _ => continue,
            };
            apply(&change.what, part, &mut files, &mut names);
        }
        // Memory is quicker, and nothing here is to last.
        let memory = Path::new("/dev/shm");
        let directory = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
        for (name, node) in &names {
            let path = directory.path().join(name);
            // A file whose directory was lost is lost with it.
            if path.parent().is_some_and(Path::is_dir) {
                match node {
                    Node::Directory => std::fs::create_dir(path).unwrap(),
                    Node::File(file) => std::fs::write(path, &files[*file]).unwrap(),
                }
            }
        }
        Image { directory, undecided: self.open.len() }
    }

    /// What was written to the file that has this name, until now.
    pub(crate) fn written(&self, name: &str, moment: u64) -> Written {
        let named = self.names.get(Path::new(name));
        let mut written = Written { octets: 0, not_durable: 0 };
        for change in self.changes.iter().filter(|change| change.entry <= moment) {
            if let What::Write { file, octets, .. } = change.what
                && Some(&Node::File(file)) == named
            {
                written.octets += octets.len() as u64;
                written.not_durable += usize::from(change.durable > moment);
            }
        }
        written
    }

    /// The names that a power cut may take or bring back.
    pub(crate) fn names_not_durable(&self, moment: u64) -> Vec<&str> {
        let open = self.open.iter().map(|number| &self.changes[*number]);
        open.filter(|change| change.durable > moment)
            .flat_map(|change| match &change.what {
                What::Names(names) => names.iter().filter_map(|(name, _)| name.to_str()).collect(),
                _ => Vec::new(),
            })
            .collect()
    }
}

/// What of a write is there.
#[derive(Clone, Copy)]
enum Part {
    All,
    /// What lies before this place in the file.
    Before(u64),
    /// What lies at this place or after it.
    From(u64),
}

fn apply(what: &What<'_>, part: Part, files: &mut [Vec<u8>], names: &mut BTreeMap<PathBuf, Node>) {
    match what {
        What::Write { file, offset, octets } => {
            let end = offset + octets.len() as u64;
            let (first, last) = match part {
                Part::All => (*offset, end),
                Part::Before(cut) => (*offset, cut.clamp(*offset, end)),
                Part::From(cut) => (cut.clamp(*offset, end), end),
            };
            if first == last {
                return;
            }
            let place = |offset: u64| usize::try_from(offset).unwrap();
            let file = &mut files[*file];
            file.resize(file.len().max(place(last)), 0);
            let octets = &octets[place(first - offset)..place(last - offset)];
            file[place(first)..place(last)].copy_from_slice(octets);
        }
        What::Length { file, length } => files[*file].resize(usize::try_from(*length).unwrap(), 0),
        What::Names(changed) => {
            for (name, node) in changed {
                match node {
                    Some(node) => names.insert(name.clone(), *node),
                    None => names.remove(name),
                };
            }
        }
    }
}

/// Follows the calls, and knows which file each descriptor means.
struct Replay<'a> {
    root: &'a Path,
    changes: Vec<Change<'a>>,
    names: BTreeMap<PathBuf, Node>,
    files: usize,
    /// By process and descriptor: what is open, and how far it was written.
    descriptors: HashMap<(usize, i64), (Descriptor, u64)>,
}

#[derive(Clone, PartialEq)]
enum Descriptor {
    File(usize),
    Directory(PathBuf),
}

impl<'a> Replay<'a> {
    fn call(&mut self, call: &'a Call) {
        match call.name.as_str() {
            "openat" => self.open(call),
            "close" => {
                self.descriptors.remove(&(call.life, call.number(0)));
            }
            "write" => {
                if let Some((Descriptor::File(file), offset)) = self.descriptor(call) {
                    let (file, place) = (*file, *offset);
                    *offset += call.result as u64;
                    self.write(call, file, place);
                }
            }
            "pwrite64" => {
                if let Some((Descriptor::File(file), _)) = self.descriptor(call) {
                    let file = *file;
                    self.write(call, file, call.number(3) as u64);
                }
            }
            "lseek" => {
                if let Some((_, offset)) = self.descriptor(call) {
                    *offset = call.result as u64;
                }
            }
            "ftruncate" => {
                if let Some((Descriptor::File(file), _)) = self.descriptor(call) {
                    let file = *file;
                    self.change(call, What::Length { file, length: call.number(1) as u64 });
                }
            }
            "fsync" | "fdatasync" => {
                if let Some((synced, _)) = self.descriptor(call) {
                    let synced = synced.clone();
                    self.sync(call, &synced);
                }
            }
            "rename" => {
                if let (Some(from), Some(to)) = (self.inside(call, 0), self.inside(call, 1)) {
                    let node = self.names.get(&from).copied();
                    self.name(call, vec![(from, None), (to, node)]);
                }
            }
            "mkdir" => {
                if let Some(name) = self.inside(call, 0) {
                    self.name(call, vec![(name, Some(Node::Directory))]);
                }
            }
            "unlink" => {
                if let Some(name) = self.inside(call, 0) {
                    self.name(call, vec![(name, None)]);
                }
            }
            // Not a change that lasts.
            "sync_file_range" => {}
            other => {
                let elsewhere = call.arguments.iter().all(|argument| match argument {
                    Argument::Octets(octets) => !octets.starts_with(self.root_octets()),
                    Argument::Number(number) => {
                        !self.descriptors.contains_key(&(call.life, *number))
                    }
                    Argument::Word(_) => true,
                });
                assert!(elsewhere, "{other} on the store's files is not understood");
            }
        }
    }

    fn root_octets(&self) -> &[u8] {
        self.root.as_os_str().as_encoded_bytes()
    }

    fn open(&mut self, call: &'a Call) {
        let path = call.path(1);
        let flags = call.word(2);
        // Numbers are used again, whether we saw them closed or not.
        self.descriptors.remove(&(call.life, call.result));
        let Ok(name) = path.strip_prefix(self.root) else { return };
        assert!(!flags.contains("O_APPEND"), "appending is not understood");
        let node = match self.names.get(name) {
            _ if name.as_os_str().is_empty() => Node::Directory,
            Some(node) => {
                if let (Node::File(file), true) = (*node, flags.contains("O_TRUNC")) {
                    self.change(call, What::Length { file, length: 0 });
                }
                self.names[name]
            }
            None => {
                assert!(flags.contains("O_CREAT"), "{} was not seen to be made", path.display());
                let file = self.files;
                self.files += 1;
                self.name(call, vec![(name.to_owned(), Some(Node::File(file)))]);
                Node::File(file)
            }
        };
        let descriptor = match node {
            Node::File(file) => Descriptor::File(file),
            Node::Directory => Descriptor::Directory(name.to_owned()),
        };
        self.descriptors.insert((call.life, call.result), (descriptor, 0));
    }

    fn descriptor(&mut self, call: &Call) -> Option<&mut (Descriptor, u64)> {
        self.descriptors.get_mut(&(call.life, call.number(0)))
    }

    fn inside(&self, call: &Call, place: usize) -> Option<PathBuf> {
        Some(call.path(place).strip_prefix(self.root).ok()?.to_owned())
    }

    fn write(&mut self, call: &'a Call, file: usize, offset: u64) {
        let octets = &call.octets(1)[..usize::try_from(call.result).unwrap()];
        self.change(call, What::Write { file, offset, octets });
    }

    fn name(&mut self, call: &Call, changed: Vec<(PathBuf, Option<Node>)>) {
        for (name, node) in &changed {
            match node {
                Some(node) => self.names.insert(name.clone(), *node),
                None => self.names.remove(name),
            };
        }
        self.change(call, What::Names(changed));
    }

    fn change(&mut self, call: &Call, what: What<'a>) {
        let (entry, exit) = (call.entry, call.exit);
        self.changes.push(Change { what, entry, exit, durable: u64::MAX });
    }

    /// Everything that had been done to a file, or to the names in a directory, when the call began.
    fn sync(&mut self, call: &Call, synced: &Descriptor) {
        let done =
            |change: &&mut Change<'_>| change.durable == u64::MAX && change.exit < call.entry;
        for change in self.changes.iter_mut().filter(done) {
            let is_of_it = match (&change.what, synced) {
                (
                    What::Write { file, .. } | What::Length { file, .. },
                    Descriptor::File(synced),
                ) => file == synced,
                (What::Names(names), Descriptor::Directory(synced)) => {
                    names.iter().all(|(name, _)| name.parent() == Some(synced))
                }
                _ => false,
            };
            if is_of_it {
                change.durable = call.exit;
            }
        }
    }
}

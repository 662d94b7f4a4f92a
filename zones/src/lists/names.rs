//! `dnset` and `dnhash`: names and wildcards, each with a value.
//!
//! `example.com` is that name alone, `*.example.com` all below it, `.example.com` both; `!` before any of them
//! excludes. A name itself comes before wildcards, the longest wildcard before others; an exclusion beats the values of
//! the same name.
//!
//! One hash table of nodes: every name of the list, and every name above one that exists, so that a question knows
//! whether anything lies below it. Keys are names in wire form and small letters; the octets of a name are those of
//! the names above it too.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::answer::Exists;

use super::complaint::{Fault, Notes};
use super::dataset::Table;
use super::line::Cursor;
use super::loader::{Build, Reading};
use super::values::{EXCLUDED, PLAIN, Values, ValuesBuilder};
use super::wire;

/// The table.
pub(super) struct Names {
    tree: Tree,
    entries: usize,
}

/// What a list says of a name.
pub(super) enum Named<'a> {
    /// Listed: the name that the text speaks of in wire form, and the numbers of the values.
    Listed(&'a [u8], Said),
    /// Not listed, and whether it exists all the same.
    Unlisted(Exists),
}

impl Names {
    /// What is said of a name in wire form and small letters.
    pub(super) fn find(&self, name: &[u8]) -> Named<'_> {
        if name.is_empty() {
            return Named::Unlisted(Exists::NxDomain);
        }
        let own = self.tree.find(name);
        let mut said = own.map_or(Said::NOTHING, |node| node.plain);
        let mut spoken_of = own;
        // Who lists all below the name: the wildcard of the name itself, or the nearest above it.
        let mut below = own.map_or(Said::NOTHING, |node| node.wild);
        let mut above = name;
        while self.tree.has_wildcards && (said.is_nothing() || below.is_nothing()) {
            let Some(parent) = wire::parent(above).filter(|parent| !parent.is_empty()) else {
                break;
            };
            above = parent;
            let Some(node) = self.tree.find(above).filter(|node| !node.wild.is_nothing()) else {
                continue;
            };
            if said.is_nothing() {
                (said, spoken_of) = (node.wild, Some(node));
            }
            if below.is_nothing() {
                below = node.wild;
            }
            break;
        }
        match spoken_of {
            Some(node) if said.is_listed() => Named::Listed(self.tree.name(node), said),
            _ if below.is_listed() || own.is_some_and(|node| node.is_above) => {
                Named::Unlisted(Exists::NoData)
            }
            _ => Named::Unlisted(Exists::NxDomain),
        }
    }

    /// The numbers of the values.
    pub(super) fn numbers(&self, said: Said) -> &[u32] {
        self.tree.several.get((said.0 ^ Said::SEVERAL) as usize).map_or(&[], Vec::as_slice)
    }

    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    pub(super) fn memory(&self) -> usize {
        let tree = &self.tree;
        let several = tree.several.iter().map(|numbers| size_of::<Vec<u32>>() + 4 * numbers.len());
        tree.text.len()
            + size_of::<Node>() * tree.nodes.len()
            + 5 * tree.places.capacity()
            + several.sum::<usize>()
    }
}

/// What is said at a name, in four octets: nothing, an exclusion, the number of a value, or the place of several.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Said(u32);

impl Said {
    const NOTHING: Self = Self(u32::MAX);
    /// Marks the place of several numbers.
    const SEVERAL: u32 = 1 << 31;

    fn is_nothing(self) -> bool {
        self == Self::NOTHING
    }

    fn is_listed(self) -> bool {
        !self.is_nothing() && self.0 != EXCLUDED
    }

    /// The number, if it is one alone.
    pub(super) fn one(self) -> Option<u32> {
        (self.0 & Self::SEVERAL == 0).then_some(self.0)
    }
}

struct Node {
    /// Where the name begins in the text.
    at: u32,
    /// What the name itself says.
    plain: Said,
    /// What all names below it say.
    wild: Said,
    length: u8,
    /// True if a name below it exists.
    is_above: bool,
}

struct Tree {
    text: Vec<u8>,
    nodes: Vec<Node>,
    /// Places of nodes, by their names.
    places: HashTable<u32>,
    state: RandomState,
    /// Numbers of values, where a name has more than one.
    several: Vec<Vec<u32>>,
    has_wildcards: bool,
}

impl Tree {
    fn new() -> Self {
        Self {
            text: Vec::new(),
            nodes: Vec::new(),
            places: HashTable::new(),
            state: RandomState::default(),
            several: Vec::new(),
            has_wildcards: false,
        }
    }

    fn name(&self, node: &Node) -> &[u8] {
        name_of(&self.text, node)
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        let is_it = |&place: &u32| {
            self.nodes.get(place as usize).is_some_and(|node| self.name(node) == name)
        };
        self.places.find(self.state.hash_one(name), is_it).map(|&place| place as usize)
    }

    fn find(&self, name: &[u8]) -> Option<&Node> {
        self.nodes.get(self.place(name)?)
    }

    /// Adds a node for a name that lies in the text and has none; `None` if there is no room.
    fn add(&mut self, at: usize, length: usize) -> Option<usize> {
        let place = self.nodes.len();
        let node = Node {
            at: u32::try_from(at).ok()?,
            plain: Said::NOTHING,
            wild: Said::NOTHING,
            length: length as u8,
            is_above: false,
        };
        let hash = self.state.hash_one(name_of(&self.text, &node));
        self.nodes.push(node);
        let (text, nodes, state) = (&self.text, &self.nodes, &self.state);
        self.places.insert_unique(hash, u32::try_from(place).ok()?, |&place| {
            let name = nodes.get(place as usize).map_or(&[][..], |node| name_of(text, node));
            state.hash_one(name)
        });
        Some(place)
    }

    /// The node of a name, which is made if there is none; `None` if there is no room.
    fn at(&mut self, name: &[u8]) -> Option<&mut Node> {
        let place = match self.place(name) {
            Some(place) => place,
            None => {
                let at = self.text.len();
                self.text.extend_from_slice(name);
                self.add(at, name.len())?
            }
        };
        self.nodes.get_mut(place)
    }

    /// Marks all nodes above names that exist, and makes them where there are none.
    fn mark_above(&mut self) -> Option<()> {
        for place in 0..self.nodes.len() {
            let Some(node) = self.nodes.get_mut(place) else { break };
            if node.wild.is_listed() {
                node.is_above = true;
            } else if !node.plain.is_listed() {
                continue;
            }
            let (mut at, mut length) = (node.at as usize, usize::from(node.length));
            loop {
                let label = 1 + self.text.get(at).map_or(0, |&label| usize::from(label));
                (at, length) = (at + label, length.saturating_sub(label));
                if length == 0 {
                    break;
                }
                let name = self.text.get(at..at + length).unwrap_or_default();
                let above = match self.place(name) {
                    Some(above) => above,
                    None => self.add(at, length)?,
                };
                match self.nodes.get_mut(above) {
                    Some(node) if !node.is_above => node.is_above = true,
                    // All above it are marked already.
                    _ => break,
                }
            }
        }
        Some(())
    }
}

fn name_of<'a>(text: &'a [u8], node: &Node) -> &'a [u8] {
    let at = node.at as usize;
    text.get(at..at + usize::from(node.length)).unwrap_or_default()
}

/// Which part of a node an entry is about.
#[derive(Clone, Copy)]
enum Which {
    Plain,
    Wild,
}

pub(super) struct NamesBuilder {
    values: ValuesBuilder,
    default: u32,
    tree: Tree,
    entries: usize,
}

impl NamesBuilder {
    pub(super) fn new() -> Self {
        Self { values: ValuesBuilder::new(), default: PLAIN, tree: Tree::new(), entries: 0 }
    }

    fn add(&mut self, name: &[u8], which: Which, number: u32) -> Option<()> {
        let several = self.tree.several.len() as u32;
        let node = self.tree.at(name)?;
        let said = match which {
            Which::Plain => &mut node.plain,
            Which::Wild => &mut node.wild,
        };
        let before = *said;
        match before.one() {
            _ if before.is_nothing() || number == EXCLUDED => *said = Said(number),
            Some(one) if one == EXCLUDED || one == number => {}
            Some(one) => {
                *said = Said(several | Said::SEVERAL);
                self.tree.several.push(vec![one, number]);
            }
            None => {
                let place = (before.0 ^ Said::SEVERAL) as usize;
                let numbers = self.tree.several.get_mut(place);
                if let Some(numbers) = numbers.filter(|numbers| !numbers.contains(&number)) {
                    numbers.push(number);
                }
            }
        }
        self.entries += 1;
        self.tree.has_wildcards |= matches!(which, Which::Wild);
        Some(())
    }
}

impl Build for NamesBuilder {
    fn start_file(&mut self) {
        self.default = PLAIN;
    }

    fn line(&mut self, mut cursor: Cursor<'_>, reading: &mut Reading<'_>) -> Result<(), Fault> {
        if cursor.peek() == b':' {
            self.default = self.values.read(&mut cursor, PLAIN, reading.notes)?;
            return Ok(());
        }
        let is_excluded = cursor.peek() == b'!';
        if is_excluded {
            cursor.skip(1);
            cursor.skip_blanks();
        }
        let which: &[Which] = match (cursor.peek(), cursor.peek_at(1)) {
            (b'.', _) => {
                cursor.skip(1);
                &[Which::Plain, Which::Wild]
            }
            (b'*', b'.') => {
                cursor.skip(2);
                &[Which::Wild]
            }
            _ => &[Which::Plain],
        };
        let column = cursor.column();
        let name = wire::parse(cursor.word()).filter(|name| !name.is_empty());
        let Some(mut name) = name else {
            return Err(Fault::line(
                column,
                "no name of a domain",
                "write example.com, *.example.com or .example.com; labels have 63 octets at most, names 255",
            ));
        };
        name.make_ascii_lowercase();
        let number = match is_excluded {
            true => EXCLUDED,
            false => self.values.behind(&mut cursor, self.default, reading.notes)?,
        };
        for &which in which {
            self.add(&name, which, number).ok_or_else(|| {
                Fault::dataset(
                    column,
                    "more than 4 GiB of names",
                    "cut the list into several datasets",
                )
            })?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, notes: &mut Notes) -> (Table, Values) {
        if self.tree.mark_above().is_none() {
            notes.line = 0;
            notes.add(Fault::line(
                0,
                "too many names to know which lie above others",
                "cut the list into several datasets",
            ));
        }
        self.tree.text.shrink_to_fit();
        self.tree.nodes.shrink_to_fit();
        (Table::Names(Names { tree: self.tree, entries: self.entries }), self.values.finish())
    }
}

//! From the lines of files to a dataset.

use std::io::BufRead;
use std::sync::Arc;

use crate::time::Time;

use super::combined::Combined;
use super::complaint::{Complaints, Fault, Harm, LoadError, Notes};
use super::dataset::{Content, Dataset, Part, Table};
use super::format::Format;
use super::generic::GenericBuilder;
use super::ip4set::Ip4SetBuilder;
use super::ip4trie::Ip4TrieBuilder;
use super::ip4tset::Ip4TsetBuilder;
use super::ip6::{Ip6TrieBuilder, Ip6TsetBuilder};
use super::line::Cursor;
use super::names::NamesBuilder;
use super::reader::{self, Line};
use super::special::{self, Known, Ns, Section, Soa, Special};
use super::text::Variables;
use super::values::Values;

/// What is done with an address beside its prefix, 192.0.2.7/24.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostBits {
    /// The line is skipped: it is mostly a typing error.
    #[default]
    Refused,
    /// The prefix is taken (rbldnsd's option -e).
    Cut,
}

/// What the reading depends on beside the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Now: what was made later (`$TIMESTAMP`) is not loaded.
    pub now: Time,
    /// The TTL where none is given, in seconds; rbldnsd: 2100.
    pub default_ttl: u32,
    /// The least and the most TTL that a file may give, in seconds; 0 for no limit.
    pub min_ttl: u32,
    /// See `min_ttl`.
    pub max_ttl: u32,
    /// What is done with an address beside its prefix.
    pub host_bits: HostBits,
}

impl Options {
    /// As rbldnsd is without options.
    pub fn new(now: Time) -> Self {
        let host_bits = HostBits::default();
        Self { now, default_ttl: 35 * 60, min_ttl: 0, max_ttl: 0, host_bits }
    }

    /// A TTL from a file within the limits; `default` for 0.
    pub(super) fn limit_ttl(&self, ttl: u32, default: u32) -> u32 {
        match ttl {
            0 => default,
            ttl if ttl < self.min_ttl => self.min_ttl,
            ttl if self.max_ttl > 0 && ttl > self.max_ttl => self.max_ttl,
            ttl => ttl,
        }
    }
}

/// Entries of one format in the making.
pub(super) trait Build {
    /// A new file begins.
    fn start_file(&mut self) {}

    /// Reads a line that is no comment and no special.
    fn line(&mut self, cursor: Cursor<'_>, reading: &mut Reading<'_>) -> Result<(), Fault>;

    /// Makes the table.
    fn finish(self: Box<Self>, notes: &mut Notes) -> (Table, Values);
}

/// What a line meets.
pub(super) struct Reading<'a> {
    pub(super) notes: &'a mut Notes,
    pub(super) options: &'a Options,
    /// The TTL at hand, in seconds.
    pub(super) ttl: u32,
    /// The most addresses of a range; 0 for any.
    max_range4: u32,
}

impl Reading<'_> {
    /// Fails if there are too many addresses from `first` to `last`.
    #[inline]
    pub(super) fn check_range4(&self, first: u32, last: u32, column: usize) -> Result<(), Fault> {
        if self.max_range4 == 0 || last - first < self.max_range4 {
            return Ok(());
        }
        let size = u64::from(last - first) + 1;
        Err(Fault::line(
            column,
            format!("a range of {size} addresses, above $MAXRANGE4 {}", self.max_range4),
            "cut the range, or raise the limit",
        ))
    }
}

/// Reads the files of a dataset, one after the other. After an error it is of no use.
pub struct Loader {
    options: Options,
    format: Format,
    notes: Notes,
    soa: Option<Soa>,
    ns: Option<Ns>,
    expires: Option<Time>,
    max_range4: u32,
    /// What lines outside of a part go to; for `combined` its table stays empty.
    own: Making,
    /// The parts of `combined` that are made, with the names of their subzones.
    parts: Vec<(Part, Vec<Vec<u8>>)>,
    /// The part at hand.
    part: Option<(Making, Vec<Vec<u8>>)>,
    /// True once a special was met in this file: what follows is of the part at hand.
    is_in_part: bool,
}

/// A dataset, or a part of one, in the making.
struct Making {
    builder: Option<Box<dyn Build>>,
    variables: Variables,
    ttl: u32,
}

impl Making {
    fn finish(self, notes: &mut Notes) -> Option<Part> {
        let (table, values) = self.builder?.finish(notes);
        Some(Part { table, values, variables: self.variables, ttl: self.ttl })
    }
}

/// A dataset, and what was wrong with its files.
#[derive(Debug)]
pub struct Loaded {
    /// The dataset.
    pub dataset: Dataset,
    /// Lines that were skipped, and other things to look at.
    pub complaints: Complaints,
}

impl Loader {
    /// A loader without files.
    pub fn new(format: Format, options: Options) -> Self {
        let own = Making {
            builder: builder(format),
            variables: Variables::default(),
            ttl: options.default_ttl,
        };
        Self {
            options,
            format,
            notes: Notes::new(),
            soa: None,
            ns: None,
            expires: None,
            max_range4: 0,
            own,
            parts: Vec::new(),
            part: None,
            is_in_part: false,
        }
    }

    /// Reads a file; `name` is for people.
    ///
    /// # Errors
    ///
    /// See [`LoadError`]; the dataset cannot be made then.
    pub fn read(&mut self, name: &str, stream: impl BufRead) -> Result<(), LoadError> {
        self.notes.file = Arc::from(name);
        self.notes.line = 0;
        self.is_in_part = false;
        if let Some(builder) = &mut self.own.builder {
            builder.start_file();
        }
        let read = reader::lines(stream, |line| self.line(line));
        match read {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => Err(LoadError::Broken(self.notes.complaint(fault))),
            Err(source) => Err(LoadError::Unreadable {
                file: self.notes.file.clone(),
                line: self.notes.line,
                source,
            }),
        }
    }

    /// Makes the dataset of what was read.
    pub fn finish(mut self) -> Loaded {
        self.end_part();
        let content = match self.own.finish(&mut self.notes) {
            Some(part) => Content::One(Box::new(part)),
            None => Content::Several(Combined::new(self.parts)),
        };
        let dataset = Dataset {
            format: self.format,
            content,
            soa: self.soa,
            ns: self.ns,
            expires: self.expires,
        };
        Loaded { dataset, complaints: self.notes.into_complaints() }
    }

    /// Reads a line; fails only with what leaves no sense in the rest.
    fn line(&mut self, line: Line<'_>) -> Result<(), Fault> {
        self.notes.line += 1;
        if line.is_cut || line.is_unended {
            self.notes.add(unusual(&line));
        }
        let mut cursor = Cursor::new(line.octets);
        let read = match (cursor.peek(), cursor.peek_at(1)) {
            (0, _) => Ok(()),
            (b'$', _) => {
                cursor.skip(1);
                self.special(&mut cursor)
            }
            (b'#' | b';' | b':', b'$') => {
                cursor.skip(2);
                self.special(&mut cursor)
            }
            (b'#' | b';', _) => Ok(()),
            _ => self.entry(cursor),
        };
        match read {
            Err(mut fault) if fault.harm == Harm::Line => {
                if line.octets.ends_with(b"\r") {
                    fault.remedy =
                        "end lines with LF alone: the CR before it is read as part of the line";
                }
                self.notes.add(fault);
                Ok(())
            }
            other => other,
        }
    }

    #[inline]
    fn entry(&mut self, cursor: Cursor<'_>) -> Result<(), Fault> {
        let making = match &mut self.part {
            Some((part, _)) if self.is_in_part => part,
            _ => &mut self.own,
        };
        let Some(builder) = &mut making.builder else {
            return Err(Fault::dataset(
                cursor.column(),
                "an entry before the first $DATASET of this file",
                "begin a part with $DATASET format subzone...",
            ));
        };
        let mut reading = Reading {
            notes: &mut self.notes,
            options: &self.options,
            ttl: making.ttl,
            max_range4: self.max_range4,
        };
        builder.line(cursor, &mut reading)
    }

    fn special(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        self.is_in_part = true;
        let soa_ttl = self.own.ttl;
        // Variables and TTL of a part are its own; SOA and NS are the zone's.
        let making = self.part.as_mut().map_or(&mut self.own, |(part, _)| part);
        let known = Known {
            options: &self.options,
            ttl: soa_ttl,
            has_soa: self.soa.is_some(),
            has_ns: self.ns.is_some(),
            variables: &making.variables,
            is_combined: self.format == Format::Combined,
        };
        match special::read(cursor, &known)? {
            Special::Soa(soa) => self.soa = Some(soa),
            Special::Ns(ns) => self.ns = Some(ns),
            Special::Ttl(ttl) => making.ttl = ttl,
            Special::Variable(place, text) => making.variables.set(place, text),
            Special::Expires(expires) => {
                self.expires = self.expires.into_iter().chain(expires).min();
            }
            Special::MaxRange4(most) if self.max_range4 > 0 && self.max_range4 < most => {
                return Err(Fault::line(
                    1,
                    format!("$MAXRANGE4 {most} above the {} that holds already", self.max_range4),
                    "it can only be made smaller: take one of the two lines out",
                ));
            }
            Special::MaxRange4(most) => self.max_range4 = most,
            Special::Dataset(section) => self.begin_part(section),
            Special::Again => {}
        }
        Ok(())
    }

    /// Ends the part at hand, and begins another.
    fn begin_part(&mut self, section: Section) {
        self.end_part();
        for fault in section.faults {
            self.notes.add(fault);
        }
        let variables = self.own.variables.clone();
        let making = Making { builder: builder(section.format), variables, ttl: self.own.ttl };
        self.part = Some((making, section.subzones));
    }

    fn end_part(&mut self) {
        if let Some((making, subzones)) = self.part.take() {
            let part = making.finish(&mut self.notes);
            self.parts.extend(part.map(|part| (part, subzones)));
        }
    }
}

fn unusual(line: &Line<'_>) -> Fault {
    if line.is_cut {
        return Fault::line(
            reader::LINE_MAX + 1,
            "a line that is too long, which is cut",
            "keep lines below 32 KiB",
        );
    }
    Fault::line(
        line.octets.len() + 1,
        "the last line has no end, as if the file had been cut",
        "see whether all of the file is there, and end it with a newline",
    )
}

fn builder(format: Format) -> Option<Box<dyn Build>> {
    Some(match format {
        Format::Ip4Set => Box::new(Ip4SetBuilder::new()),
        Format::Ip4Tset => Box::new(Ip4TsetBuilder::new()),
        Format::Ip4Trie => Box::new(Ip4TrieBuilder::new()),
        Format::Ip6Tset => Box::new(Ip6TsetBuilder::new()),
        Format::Ip6Trie => Box::new(Ip6TrieBuilder::new()),
        Format::Dnset | Format::Dnhash => Box::new(NamesBuilder::new()),
        Format::Generic => Box::new(GenericBuilder::default()),
        Format::Combined => return None,
    })
}

//! A zone of the operator's own lists: its files, what they hold now, and how a change comes in.
//!
//! In go a [`ListConfig`] and the files that it names, in rbldnsd's formats ([`helostat_zones::lists`]), gzipped or
//! not (told by their first octets); out comes a [`List`] whose [`Held`] content answers questions. [`List::refresh`] looks
//! whether files have changed, reads a dataset of which one has beside what is in force, and swaps the content whole: who asks
//! meanwhile gets the old answers, and no answer is half of each. A dataset that cannot be read stays as it was, and its
//! fault is told ([`Report`]) to whoever logs; it is tried again when a file changes. A zone whose first reading failed
//! answers SERVFAIL, which no client takes for a listing. The same goes for one whose `$TIMESTAMP` has passed.
//!
//! Reading blocks: call `refresh` where that is allowed. It takes the memory of the new dataset on top.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use flate2::bufread::MultiGzDecoder;
use helostat_zones::lists::{
    Complaints, Dataset, Format, ListZone, LoadError, Loaded, Loader, Options, WireName,
};
use helostat_zones::operator::{DecidingList, Kind};
use helostat_zones::time::Time;
use hickory_proto::rr::Name;
use ipnet::IpNet;
use parking_lot::Mutex;

use crate::catalog::{Authority, ConfigError, mailbox, parse_name};
use crate::fast::Soa;

/// Room for reading ahead; above the pipe's and page's sizes more gains nothing.
const READ_AHEAD: usize = 256 * 1024;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A zone of lists, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListConfig {
    /// The apex.
    pub zone: String,
    /// What it holds; datasets answer together.
    pub datasets: Vec<DatasetConfig>,
    /// The name servers, where no file says `$NS`; the first is the SOA's where none says `$SOA`.
    pub name_servers: Vec<String>,
    /// Who may ask; empty for whom the server's `allow` lets.
    pub allow: Vec<IpNet>,
    /// The mailbox of the SOA, where no file says `$SOA`.
    pub rname: String,
    /// The TTL in seconds, where a file says none.
    pub ttl: u32,
    /// Seconds for which "not listed" holds, where no file says `$SOA`.
    pub negative_ttl: u32,
    /// Whoever is listed is allowed or denied in our verdicts, too.
    pub decides: Option<Kind>,
}

/// Files of one format that are one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetConfig {
    /// Their format.
    pub format: Format,
    /// The files, read one after the other.
    pub files: Vec<PathBuf>,
}

/// What reading a dataset came to.
#[derive(Debug)]
pub struct Report {
    /// The zone.
    pub zone: String,
    /// Its files.
    pub dataset: DatasetConfig,
    /// Entries and complaints, or why the old content stays.
    pub result: Result<Read, LoadError>,
    /// How long it took.
    pub took: Duration,
}

/// A dataset that was read.
#[derive(Debug)]
pub struct Read {
    /// Its entries.
    pub entries: usize,
    /// About how many octets of memory they take.
    pub memory: usize,
    /// Lines that were skipped.
    pub complaints: Complaints,
}

/// A zone of lists.
#[derive(Debug)]
pub struct List {
    config: ListConfig,
    apex: Name,
    fallback: Authority,
    held: ArcSwap<Held>,
    /// By dataset: what is in force, and how its files looked when they were last read.
    datasets: Mutex<Vec<Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    dataset: Option<Arc<Dataset>>,
    stamps: Option<Vec<Option<Stamp>>>,
}

/// By what a file is known to have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

/// What a zone of lists holds at a moment.
#[derive(Debug)]
pub struct Held {
    /// `None` until every dataset was read once.
    zone: Option<Arc<ListZone>>,
    expires: Option<Time>,
    pub(crate) authority: Authority,
    soa: Soa,
}

impl List {
    /// From the configuration, without content: [`Self::refresh`] reads it.
    pub fn new(config: ListConfig) -> Result<Self, ConfigError> {
        let read = |what, text: &str| {
            parse_name(text).ok_or_else(|| ConfigError::Name {
                what,
                origin: config.zone.clone(),
                text: text.to_owned(),
            })
        };
        let apex = read("list", &config.zone)?;
        let rname = read("contact", &mailbox(&config.rname))?;
        let servers = config.name_servers.iter().map(|name| read("name server", name));
        let name_servers: Vec<_> = servers.collect::<Result<_, _>>()?;
        let Some(mname) = name_servers.first().cloned() else {
            return Err(ConfigError::NoNameServer(config.zone));
        };
        let fallback = Authority::new(mname, rname, name_servers, config.negative_ttl);
        let datasets = config.datasets.iter().map(|_| Slot::default()).collect();
        let held = Held::new(&apex, None, fallback.clone());
        let held = ArcSwap::from_pointee(held);
        Ok(Self { config, apex, fallback, held, datasets: Mutex::new(datasets) })
    }

    /// Its apex.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The configuration that it was made from.
    pub fn config(&self) -> &ListConfig {
        &self.config
    }

    /// What it holds now.
    pub fn held(&self) -> Guard<Arc<Held>> {
        self.held.load()
    }

    /// What it decides, if it does: nothing until every dataset was read once.
    pub fn deciding(&self) -> Option<DecidingList> {
        let (kind, zone) = (self.config.decides?, self.held().zone.clone()?);
        Some(DecidingList::new(kind, &self.config.zone, zone))
    }

    /// Reads every dataset of which a file has changed since it was last read; what became of each.
    pub fn refresh(&self, now: Time) -> Vec<Report> {
        let mut slots = self.datasets.lock();
        let mut reports = Vec::new();
        for (slot, config) in slots.iter_mut().zip(&self.config.datasets) {
            let stamps = config.files.iter().map(|file| stamp(file)).collect();
            if slot.stamps.as_ref() == Some(&stamps) {
                continue;
            }
            let start = Instant::now();
            let loaded = self.read(config, now);
            slot.stamps = Some(stamps);
            let result = loaded.map(|Loaded { dataset, complaints }| {
                let (entries, memory) = (dataset.entries(), dataset.memory());
                slot.dataset = Some(Arc::new(dataset));
                Read { entries, memory, complaints }
            });
            let (zone, dataset) = (self.config.zone.clone(), config.clone());
            reports.push(Report { zone, dataset, result, took: start.elapsed() });
        }
        if reports.iter().any(|report| report.result.is_ok()) {
            self.publish(&slots);
        }
        reports
    }

    fn publish(&self, slots: &[Slot]) {
        let datasets: Option<Vec<_>> = slots.iter().map(|slot| slot.dataset.clone()).collect();
        let Some(datasets) = datasets else { return };
        let newest = slots.iter().filter_map(|slot| slot.stamps.as_ref()).flatten().flatten();
        let newest = newest.map(|stamp| stamp.seconds).max().unwrap_or_default();
        let zone = ListZone::new(datasets);
        let mut authority = self.fallback.clone();
        // Serials count modulo 2^32 (RFC 1982).
        authority.serial = Some(newest as u32);
        if let Some(soa) = zone.soa() {
            authority.set_soa(soa, newest as u32);
        }
        if let Some(ns) = zone.ns() {
            authority.set_ns(ns);
        }
        self.held.store(Arc::new(Held::new(&self.apex, Some(zone), authority)));
    }

    fn read(&self, config: &DatasetConfig, now: Time) -> Result<Loaded, LoadError> {
        let options = Options { default_ttl: self.config.ttl, ..Options::new(now) };
        let mut loader = Loader::new(config.format, options);
        for path in &config.files {
            let name = path.display().to_string();
            let unreadable =
                |source| LoadError::Unreadable { file: name.as_str().into(), line: 0, source };
            let mut file =
                BufReader::with_capacity(READ_AHEAD, File::open(path).map_err(unreadable)?);
            if file.fill_buf().map_err(unreadable)?.starts_with(&GZIP) {
                let text = BufReader::with_capacity(READ_AHEAD, MultiGzDecoder::new(file));
                loader.read(&name, text)?;
            } else {
                loader.read(&name, file)?;
            }
        }
        Ok(loader.finish())
    }
}

impl Held {
    fn new(apex: &Name, zone: Option<ListZone>, authority: Authority) -> Self {
        let expires = zone.as_ref().and_then(ListZone::expires);
        let soa = authority.on_the_wire(apex);
        Self { zone: zone.map(Arc::new), expires, authority, soa }
    }

    /// The lists, if they may answer.
    pub(crate) fn zone(&self, now: Time) -> Option<&ListZone> {
        self.zone.as_deref().filter(|_| self.expires.is_none_or(|end| now < end))
    }

    pub(crate) fn soa(&self) -> &Soa {
        &self.soa
    }

    pub(crate) fn negative_ttl(&self) -> u32 {
        self.authority.negative_ttl()
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let of = |file: std::fs::Metadata| Stamp {
        inode: file.ino(),
        size: file.size(),
        seconds: file.mtime(),
        nanoseconds: file.mtime_nsec(),
    };
    path.metadata().ok().map(of)
}

/// The name of a file's record, absolute.
pub(crate) fn name_of(wire: &WireName) -> Name {
    let mut name = Name::from_labels(wire.labels()).unwrap_or_default();
    name.set_fqdn(true);
    name
}

#[cfg(test)]
mod tests;

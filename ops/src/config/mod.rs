//! The configuration file: one TOML file, every key with a default.
//!
//! In goes the text of `helostat.toml`; out comes a [`Config`], plain values checked once and trusted
//! from then on, or [`ConfigErrors`] with *everything* that is wrong, each with its place. The
//! program shows the errors and ends; a running daemon keeps the configuration it has.
//!
//! The shape of the file is the table of [`keys`], the shape of the program's settings are the
//! structs; what lies between them:
//!
//! - `section`: what a key is, and the one declaration that makes both the table and the struct
//! - `settings`, `evidence`, `policy`: all sections with all keys
//! - `value`, `address`, `duration`, `domain`: the types of values
//! - `read`: the walk from the TOML tree to the structs
//! - `check`: whether the values agree with each other; warnings
//! - `print`: back to TOML and JSON, and what of a change needs a restart
//! - `place`, `nearest`: where an error is, and what was probably meant
//!
//! Relative paths start from the folder of the file. Only [`Config::load`] touches the disk, but for
//! the system's time zone database, which says whether a `time-zone` exists. Nothing is said here
//! about whether an address can be bound or a log can be read: that shows at start.

mod address;
mod check;
mod domain;
mod duration;
mod evidence;
mod nearest;
mod place;
mod policy;
mod print;
mod read;
mod section;
mod settings;
mod size;
#[cfg(test)]
mod tests;
mod value;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub use domain::DomainName;
pub use evidence::Evidence;
pub use place::{ConfigError, ConfigErrors, Place};
pub use policy::Policy;
pub use section::{Change, Key, Preset};
pub use settings::{
    Daemon, Dns, Http, Ingest, Journal, Ledger, Live, Log, LogLevel, Syslog, Transport, Zone,
    ZoneKind,
};
pub use size::Size;
pub use value::Rule;

use place::Source;
use section::Section;

/// The names of the sections that are more than a struct.
const ZONE: &str = "zone";
const LOG: &str = "log";
const SYSLOG: &str = "syslog";
const JOURNAL: &str = "journal";
const EVIDENCE: &str = "evidence";
const POLICY: &str = "policy";

/// The longest file that is read: about a thousand zones, and small enough for an answer at once
/// when a log is given by mistake.
const FILE_MAX_BYTES: u64 = 256 * 1024;

/// What the operator wants, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The program itself.
    pub daemon: Daemon,
    /// The durable record.
    pub ledger: Ledger,
    /// The sockets that answer.
    pub dns: Dns,
    /// Health, metrics, explanations.
    pub http: Http,
    /// What the DNS says now.
    pub live: Live,
    /// Each system that can testify.
    pub evidence: Evidence,
    /// What becomes of the lines of the logs.
    pub ingest: Ingest,
    /// The numbers of the verdict.
    pub policy: Policy,
    /// The origins under which verdicts are published.
    pub zones: Vec<Zone>,
    /// The mail logs to learn from.
    pub logs: Vec<Log>,
    /// Where other mail servers send theirs.
    pub syslog: Vec<Syslog>,
    /// The journals to learn from.
    pub journals: Vec<Journal>,
}

/// Every key at its default; no zones, no logs.
impl Default for Config {
    fn default() -> Self {
        Self {
            daemon: Daemon::initial(),
            ledger: Ledger::initial(),
            dns: Dns::initial(),
            http: Http::initial(),
            live: Live::initial(),
            evidence: Evidence::initial(),
            ingest: Ingest::initial(),
            policy: Policy::initial(),
            zones: Vec::new(),
            logs: Vec::new(),
            syslog: Vec::new(),
            journals: Vec::new(),
        }
    }
}

/// What `run --example` serves, with every path in one folder.
const EXAMPLE: &str = r#"
[ledger]
path = "ledger"
[[zone]]
origin = "rep.test"
[[log]]
path = "postfix.log"
format = "postfix"
[[log]]
path = "exim.log"
format = "exim"
"#;

impl Config {
    /// Reads the file at `path`, and the policy file if it names one.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let folder = std::path::absolute(path).map_err(|cause| unreadable(&name, cause))?;
        let folder = folder.parent().unwrap_or(path);
        let text = read_file(path, &name)?;
        let source = Source::new(&name, &text);
        let mut read = read::main_file(&source, folder);
        if let Some(path) = read.config.policy.file.clone() {
            let name = path.display().to_string();
            let text = read_file(&path, &name)?;
            read = read::policy_file(&Source::new(&name, &text), &source, folder, read);
        }
        finish(read, &name)
    }

    /// Reads `text` as the file `file_name`, of which only the name and the folder matter. A policy
    /// file is not opened: its path is kept, its numbers are not.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigErrors> {
        let folder = Path::new(file_name).parent().unwrap_or_else(|| Path::new(""));
        finish(read::main_file(&Source::new(file_name, text), folder), file_name)
    }

    /// Reads a policy file by itself: everything else, and what it leaves out, is at its default.
    pub fn load_policy(path: &Path) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let text = read_file(path, &name)?;
        let (folder, main) = (Path::new(""), Source::new("defaults", ""));
        let read = read::main_file(&main, folder);
        finish(read::policy_file(&Source::new(&name, &text), &main, folder, read), &name)
    }

    /// Every default, with no zone and no log.
    pub fn defaults() -> Self {
        read::main_file(&Source::new("defaults", ""), Path::new("/")).config
    }

    /// A configuration to try things with: the zones of `rep.test` on 127.0.0.1:5300, learned from
    /// `postfix.log` and `exim.log` in `dir`, where the ledger is too.
    pub fn example(dir: &Path) -> Self {
        read::main_file(&Source::new("example", EXAMPLE), dir).config
    }

    /// Sentences on what is allowed but seldom meant.
    pub fn warnings(&self) -> Vec<String> {
        check::warnings(self)
    }

    /// Every plain section, in the order of the manual.
    fn sections(&mut self) -> Vec<&mut dyn Section> {
        let mut sections: Vec<&mut dyn Section> =
            vec![&mut self.daemon, &mut self.ledger, &mut self.dns, &mut self.http, &mut self.live];
        sections.extend(self.evidence.sections());
        sections.extend([&mut self.ingest as &mut dyn Section, &mut self.policy]);
        sections
    }
}

/// Every key of the file with its section, in the order of the manual.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    let before = [Daemon::KEYS, Ledger::KEYS, Dns::KEYS, Http::KEYS, Live::KEYS];
    let after = [Ingest::KEYS, Policy::KEYS, Zone::KEYS, Log::KEYS, Syslog::KEYS, Journal::KEYS];
    before.into_iter().chain(Evidence::KEYS.iter().copied()).chain(after).flatten()
}

fn finish(read: read::Read, main: &str) -> Result<Config, ConfigErrors> {
    let read::Read { config, given, mut errors, is_toml } = read;
    // In a file that is not TOML what is missing may be what could not be read.
    if is_toml {
        errors.extend(check::disagreements(&config, &given));
    }
    if errors.is_empty() {
        return Ok(config);
    }
    let order = |error: &ConfigError| (&*error.place.file != main, error.place.clone());
    errors.sort_by_cached_key(order);
    Err(ConfigErrors::Wrong(errors))
}

fn read_file(path: &Path, name: &str) -> Result<String, ConfigErrors> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|cause| unreadable(name, cause))?;
    // One more than is allowed, so that what is too long shows.
    let read = file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes);
    if read.map_err(|cause| unreadable(name, cause))? as u64 > FILE_MAX_BYTES {
        let why = format!("longer than {FILE_MAX_BYTES} bytes: this is no configuration");
        return Err(unreadable(name, io::Error::new(io::ErrorKind::FileTooLarge, why)));
    }
    String::from_utf8(bytes).map_err(|wrong| {
        let good = wrong.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(wrong.as_bytes().get(..good).unwrap_or_default());
        let place = Source::new(name, &before).place(&(good..good));
        ConfigErrors::Wrong(vec![ConfigError { place, sentence: "this is not UTF-8 text".into() }])
    })
}

fn unreadable(name: &str, cause: io::Error) -> ConfigErrors {
    ConfigErrors::Unreadable { file: name.into(), cause }
}

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
//! - `settings`, `evidence`, `policy`, `operator`, `postfix`: all sections with all keys
//! - `decisions`: from the entries of `[[allow]]`, `[[deny]]` and `[[retired]]` to what is decided
//! - `value`, `address`, `dataset`, `duration`, `domain`: the types of values
//! - `read`: the walk from the TOML tree to the structs
//! - `check`: whether the values agree with each other; warnings
//! - `print`: back to TOML and JSON, and what of a change needs a restart
//! - [`typed`]: some of these, from a command line
//! - `place`, `nearest`: where an error is, and what was probably meant
//!
//! Relative paths start from the folder of the file. Only [`Config::load`] touches the disk, but for
//! the system's time zone database, which says whether a `time-zone` exists. Nothing is said here
//! about whether an address can be bound or a log can be read: that shows at start.

mod address;
mod check;
mod dataset;
mod decisions;
mod domain;
mod duration;
mod evidence;
mod moment;
mod nearest;
mod operator;
mod place;
mod policy;
mod postfix;
mod print;
mod read;
mod section;
mod settings;
mod size;
#[cfg(test)]
mod tests;
pub mod typed;
mod value;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

pub use dataset::Dataset;
pub use decisions::{Decided, Ended};
pub use domain::DomainName;
pub use evidence::Evidence;
pub use operator::{Allow, Deny, Operator, Retired};
pub use place::{ConfigError, ConfigErrors, Place};
pub use policy::Policy;
pub use postfix::{HeaderName, Mode, Postfix};
pub use section::{Change, Key, Preset};
pub use settings::{
    Daemon, Dns, Guard, Http, Ingest, Journal, Ledger, List, Live, Log, LogLevel, Syslog,
    Transport, Zone, ZoneKind,
};
pub use size::Size;
pub use value::Rule;

use helostat_zones::operator::Decisions;

use place::Source;
use section::Section;

/// The names of the sections that are more than a struct.
const ZONE: &str = "zone";
const LIST: &str = "list";
const LOG: &str = "log";
const SYSLOG: &str = "syslog";
const JOURNAL: &str = "journal";
const EVIDENCE: &str = "evidence";
const POLICY: &str = "policy";
const POSTFIX: &str = "postfix";
const ALLOW: &str = "allow";
const DENY: &str = "deny";
const RETIRED: &str = "retired";

/// The longest file that is read: about a thousand zones, and small enough for an answer at once
/// when a log is given by mistake.
const FILE_MAX_BYTES: u64 = 256 * 1024;

/// The longest file of decisions: more than a hundred thousand of them.
const DECISIONS_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Where the commands write decisions if the configuration does not say, beside it.
const DECISIONS_FILE: &str = "decisions.toml";

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
    /// What Postfix asks.
    pub postfix: Postfix,
    /// What the DNS says now.
    pub live: Live,
    /// Each system that can testify.
    pub evidence: Evidence,
    /// What becomes of the lines of the logs.
    pub ingest: Ingest,
    /// The numbers of the verdict.
    pub policy: Policy,
    /// What a fault of the data must not do to mail.
    pub guard: Guard,
    /// Where decisions are kept.
    pub operator: Operator,
    /// The origins under which verdicts are published.
    pub zones: Vec<Zone>,
    /// The operator's own lists.
    pub lists: Vec<List>,
    /// The mail logs to learn from.
    pub logs: Vec<Log>,
    /// Where other mail servers send theirs.
    pub syslog: Vec<Syslog>,
    /// The journals to learn from.
    pub journals: Vec<Journal>,
    /// Whom the operator lets in, as the main file has it.
    pub allow: Vec<Allow>,
    /// Whom the operator keeps out, as the main file has it.
    pub deny: Vec<Deny>,
    /// The zones that have ended, as the main file has it.
    pub retired: Vec<Retired>,
    /// All decisions: those of the main file, and those of the files that `operator` names.
    pub decisions: Arc<Decisions>,
    /// All zones that have ended, of the same files.
    pub ended: Vec<Ended>,
}

/// Every key at its default; no zones, no logs.
impl Default for Config {
    fn default() -> Self {
        Self {
            daemon: Daemon::initial(),
            ledger: Ledger::initial(),
            dns: Dns::initial(),
            http: Http::initial(),
            postfix: Postfix::initial(),
            live: Live::initial(),
            evidence: Evidence::initial(),
            ingest: Ingest::initial(),
            policy: Policy::initial(),
            guard: Guard::initial(),
            operator: Operator::initial(),
            zones: Vec::new(),
            lists: Vec::new(),
            logs: Vec::new(),
            syslog: Vec::new(),
            journals: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            retired: Vec::new(),
            decisions: Arc::default(),
            ended: Vec::new(),
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
    /// Reads the file at `path`, and the files of the policy and of decisions that it names.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let folder = std::path::absolute(path).map_err(|cause| unreadable(&name, cause))?;
        let folder = folder.parent().unwrap_or(path);
        let text = read_file(path, &name, FILE_MAX_BYTES)?;
        let source = Source::new(&name, &text);
        let mut read = read::main_file(&source, folder);
        if let Some(path) = read.config.policy.file.clone() {
            let name = path.display().to_string();
            let text = read_file(&path, &name, FILE_MAX_BYTES)?;
            read = read::policy_file(&Source::new(&name, &text), &source, folder, read);
        }
        Self::with_decisions(read, &source, folder, &name)
    }

    /// Reads `text` as the file `file_name`, of which only the name and the folder matter. A policy
    /// file and files of decisions are not opened: their paths are kept, what is in them is not.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigErrors> {
        let folder = Path::new(file_name).parent().unwrap_or_else(|| Path::new(""));
        let read = read::main_file(&Source::new(file_name, text), folder);
        finish(read, decisions::Gathered::default(), file_name)
    }

    /// Reads `text` as a file of decisions.
    pub fn parse_decisions(text: &str, file_name: &str) -> Result<Decided, ConfigErrors> {
        let source = Source::new(file_name, text);
        let gathered = read::decisions_file(&source, Path::new(""));
        let mut errors = Vec::new();
        let decided = gathered.conclude(&mut errors);
        errors.sort_by(|one, other| one.place.cmp(&other.place));
        if errors.is_empty() { Ok(decided) } else { Err(ConfigErrors::Wrong(errors)) }
    }

    /// Reads a policy file by itself: everything else, and what it leaves out, is at its default.
    pub fn load_policy(path: &Path) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let text = read_file(path, &name, FILE_MAX_BYTES)?;
        let (folder, main) = (Path::new(""), Source::new("defaults", ""));
        let read = read::main_file(&main, folder);
        let read = read::policy_file(&Source::new(&name, &text), &main, folder, read);
        finish(read, decisions::Gathered::default(), &name)
    }

    /// Every default, with no zone and no log.
    pub fn defaults() -> Self {
        read::main_file(&Source::new("defaults", ""), Path::new("/")).config
    }

    /// A configuration to try things with: the zones of `rep.test` on 127.0.0.1:5300, learned from
    /// `postfix.log` and `exim.log` in `dir`, where the ledger is too, and decisions.
    pub fn example(dir: &Path) -> Result<Self, ConfigErrors> {
        let source = Source::new("example", EXAMPLE);
        Self::with_decisions(read::main_file(&source, dir), &source, dir, "example")
    }

    /// Reads the files of decisions, and concludes.
    fn with_decisions(
        mut read: read::Read,
        main: &Source<'_>,
        folder: &Path,
        main_name: &str,
    ) -> Result<Self, ConfigErrors> {
        let operator = &mut read.config.operator;
        operator.file.get_or_insert_with(|| folder.join(DECISIONS_FILE));
        let mut more = decisions::Gathered::default();
        for (number, path) in operator.decision_files().into_iter().enumerate() {
            let name = path.display().to_string();
            match read_file(&path, &name, DECISIONS_MAX_BYTES) {
                Ok(text) => more.extend(read::decisions_file(&Source::new(&name, &text), folder)),
                // The commands make theirs when they have something to write.
                Err(ConfigErrors::Unreadable { cause, .. })
                    if number == 0 && cause.kind() == io::ErrorKind::NotFound => {}
                Err(ConfigErrors::Unreadable { cause, .. }) => {
                    let key = if number == 0 { "file" } else { "files" };
                    more.errors.push(decisions::unreadable(&read.given, key, main, &name, &cause));
                }
                Err(ConfigErrors::Wrong(errors)) => more.errors.extend(errors),
            }
        }
        finish(read, more, main_name)
    }

    /// Sentences on what is allowed but seldom meant.
    pub fn warnings(&self) -> Vec<String> {
        check::warnings(self)
    }

    /// The names of all zones that are served: origins, their kinds, lists.
    pub fn zone_names(&self) -> Vec<String> {
        let of_zone = |zone: &Zone| {
            let kind = |kind: &ZoneKind| format!("{}.{}", kind.word(), zone.origin);
            let kinds: Vec<_> = zone.kinds.iter().map(kind).collect();
            std::iter::once(zone.origin.to_string()).chain(kinds)
        };
        let lists = self.lists.iter().map(|list| list.origin.to_string());
        self.zones.iter().flat_map(of_zone).chain(lists).collect()
    }

    /// Every plain section, in the order of the manual.
    fn sections(&mut self) -> Vec<&mut dyn Section> {
        let mut sections: Vec<&mut dyn Section> =
            vec![&mut self.daemon, &mut self.ledger, &mut self.dns, &mut self.http];
        sections.extend([&mut self.postfix as &mut dyn Section, &mut self.live]);
        sections.extend(self.evidence.sections());
        let others: [&mut dyn Section; 4] =
            [&mut self.ingest, &mut self.policy, &mut self.guard, &mut self.operator];
        sections.extend(others);
        sections
    }
}

/// Every key of the file with its section, in the order of the manual.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    let before = [Daemon::KEYS, Ledger::KEYS, Dns::KEYS, Http::KEYS, Postfix::KEYS, Live::KEYS];
    let after = [Ingest::KEYS, Policy::KEYS, Guard::KEYS, Operator::KEYS];
    let entries = [
        Zone::KEYS,
        List::KEYS,
        Log::KEYS,
        Syslog::KEYS,
        Journal::KEYS,
        Allow::KEYS,
        Deny::KEYS,
        Retired::KEYS,
    ];
    let evidence = Evidence::KEYS.iter().copied();
    before.into_iter().chain(evidence).chain(after).chain(entries).flatten()
}

fn finish(read: read::Read, more: decisions::Gathered, main: &str) -> Result<Config, ConfigErrors> {
    let read::Read { mut config, given, mut errors, is_toml } = read;
    // In a file that is not TOML what is missing may be what could not be read.
    if is_toml {
        errors.extend(check::disagreements(&config, &given));
    }
    let mut gathered = decisions::gather(&config, &given, is_toml);
    gathered.extend(more);
    let Decided { decisions, ended } = gathered.conclude(&mut errors);
    (config.decisions, config.ended) = (Arc::new(decisions), ended);
    if errors.is_empty() {
        return Ok(config);
    }
    let order = |error: &ConfigError| (&*error.place.file != main, error.place.clone());
    errors.sort_by_cached_key(order);
    Err(ConfigErrors::Wrong(errors))
}

fn read_file(path: &Path, name: &str, most: u64) -> Result<String, ConfigErrors> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|cause| unreadable(name, cause))?;
    // One more than is allowed, so that what is too long shows.
    let read = file.take(most + 1).read_to_end(&mut bytes);
    if read.map_err(|cause| unreadable(name, cause))? as u64 > most {
        let why = format!("longer than {most} bytes: this is no configuration");
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

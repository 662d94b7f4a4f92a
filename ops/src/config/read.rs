//! From the text of a file to a configuration, with everything that is wrong in it.
//!
//! The parser gives a tree of values with spans; this walks the tree along the table of keys. Every
//! key that is there is set, every other keeps its default, and each fault becomes one error with
//! its place. Syntax errors do not end the reading: the parser goes on behind them. What it makes of
//! a broken line is a guess, though, so a line with a syntax error gets no second error, and neither
//! does what stands below a broken section line, where every key would seem misplaced.
//!
//! Whether the values agree with each other is for [`super::check`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::decisions::{self, Gathered};
use super::nearest::nearest;
use super::operator::{Allow, Deny, Retired};
use super::place::{ConfigError, Place, Source};
use super::section::{Key, Preset, Section};
use super::settings::{Journal, List, Log, Syslog, Zone};
use super::value::{Reading, cut};
use super::{
    ALLOW, Config, DENY, EVIDENCE, JOURNAL, LIST, LOG, POLICY, RETIRED, SYSLOG, ZONE, keys,
};

/// A file with more than this is not a configuration with slips, but something else.
pub(super) const MOST_SYNTAX_ERRORS: usize = 100;

/// A key in the file: section, number of the entry (0 in plain sections), key. The key `""` is the
/// section line itself.
type Spot = (&'static str, usize, &'static str);

/// What the file says, and where.
#[derive(Debug, Default)]
pub(super) struct Given {
    places: BTreeMap<Spot, Place>,
    /// Keys that are wrong or missing: what the configuration has for them is only a placeholder.
    unsound: BTreeSet<Spot>,
}

impl Given {
    /// Where the key stands, or the section line of its entry; `None` if the file has neither.
    pub(super) fn place(
        &self,
        section: &'static str,
        entry: usize,
        key: &'static str,
    ) -> Option<&Place> {
        self.exact(section, entry, key).or_else(|| self.exact(section, entry, ""))
    }

    /// Where the key stands, if it is in the file.
    pub(super) fn exact(
        &self,
        section: &'static str,
        entry: usize,
        key: &'static str,
    ) -> Option<&Place> {
        self.places.get(&(section, entry, key))
    }

    /// True if the configuration has for this key what the file says, or rightly its default.
    pub(super) fn is_sound(&self, section: &'static str, entry: usize, key: &'static str) -> bool {
        !self.unsound.contains(&(section, entry, key))
    }
}

/// What reading gives: the configuration is worth something only if there are no errors.
pub(super) struct Read {
    pub(super) config: Config,
    pub(super) given: Given,
    pub(super) errors: Vec<ConfigError>,
    /// False if the file is not TOML: then what it leaves out may be what could not be read.
    pub(super) is_toml: bool,
}

/// Reads the main file. Relative paths in it start from `folder`.
pub(super) fn main_file(source: &Source<'_>, folder: &Path) -> Read {
    let (document, broken) = parse(source);
    let mut reader = Reader::new(source, folder, broken);
    let config = reader.document(document.get_ref());
    reader.finish(config)
}

/// Reads a file with the keys of `[policy]` into what the main file gave; the main file's own
/// `[policy]` wins.
pub(super) fn policy_file(
    source: &Source<'_>,
    main: &Source<'_>,
    folder: &Path,
    read: Read,
) -> Read {
    let Read { mut config, given, mut errors, is_toml } = read;
    let (document, broken) = parse(source);
    let mut reader = Reader::new(source, folder, broken);
    let file = config.policy.file.clone();
    reader.fill(&mut config.policy, 0, document.get_ref());
    if let Some(place) = reader.given.places.get(&(POLICY, 0, "file")).cloned() {
        reader.error(place, "a policy file names no further file".into());
    }
    let mut found = reader.finish(config);
    found.config.policy.file = file;

    // The main file's numbers once more, over those of the policy file; its errors are known.
    let (document, _) = parse(main);
    let mut again = Reader::new(main, folder, Vec::new());
    if let Some(table) = document.get_ref().get(POLICY).and_then(|it| it.get_ref().as_table()) {
        again.fill(&mut found.config.policy, 0, table);
    }
    found.given.places.extend(given.places);
    found.given.unsound.extend(given.unsound);
    errors.append(&mut found.errors);
    Read { errors, is_toml: is_toml && found.is_toml, ..found }
}

/// Reads a file that holds decisions alone.
pub(super) fn decisions_file(source: &Source<'_>, folder: &Path) -> Gathered {
    let (document, broken) = parse(source);
    let mut reader = Reader::new(source, folder, broken);
    let mut config = Config::default();
    for (name, value) in document.get_ref() {
        let place = source.place(&name.span());
        match (name.get_ref().as_ref(), value.get_ref()) {
            (ALLOW, value) => config.allow = reader.entries(ALLOW, place, value),
            (DENY, value) => config.deny = reader.entries(DENY, place, value),
            (RETIRED, value) => config.retired = reader.entries(RETIRED, place, value),
            (name, _) => {
                let name = cut(name);
                let sentence = format!(
                    "`{name}` has no place here: a file of decisions holds [[allow]], [[deny]] and [[retired]] alone"
                );
                reader.error(place, sentence);
            }
        }
    }
    let Read { config, given, errors, is_toml } = reader.finish(config);
    let mut gathered = decisions::gather(&config, &given, is_toml);
    gathered.errors.extend(errors);
    gathered
}

/// Parses as far as the text lets itself be parsed; the errors come in the order of their places.
fn parse<'a>(source: &Source<'a>) -> (Spanned<DeTable<'a>>, Vec<ConfigError>) {
    let (document, errors) = DeTable::parse_recoverable(source.text());
    let end = source.text().len();
    let place = |error: &toml::de::Error| source.place(&error.span().unwrap_or(end..end));
    let broken = errors
        .iter()
        .take(MOST_SYNTAX_ERRORS)
        .map(|error| ConfigError { place: place(error), sentence: syntax_sentence(error, source) });
    let mut broken: Vec<_> = broken.collect();
    broken.sort_by(|one, other| one.place.cmp(&other.place));
    (document, broken)
}

/// The parser can stumble again and again over one mistake, such as a list without its end: the
/// first on a line says it, and so does the first of the same on line after line.
fn first_stumbles(broken: &[ConfigError]) -> impl Iterator<Item = &ConfigError> {
    let repeats = |error: &ConfigError, before: &ConfigError| {
        let lines = error.place.line - before.place.line;
        lines == 0 || lines == 1 && error.sentence == before.sentence
    };
    let numbered = broken.iter().enumerate();
    let first = numbered.filter(move |(number, error)| {
        !broken.iter().take(*number).any(|before| repeats(error, before))
    });
    first.map(|(_, error)| error)
}

fn syntax_sentence(error: &toml::de::Error, source: &Source<'_>) -> String {
    let typed = error.span().and_then(|span| source.text().get(span)).unwrap_or_default();
    match error.message() {
        "duplicate key" => format!("`{}` is there already, further up", cut(typed)),
        message => format!("not TOML: {message}"),
    }
}

struct Reader<'a> {
    source: &'a Source<'a>,
    folder: &'a Path,
    given: Given,
    broken: Vec<ConfigError>,
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a Source<'a>, folder: &'a Path, broken: Vec<ConfigError>) -> Self {
        Self { source, folder, given: Given::default(), broken, errors: Vec::new() }
    }

    fn error(&mut self, place: Place, sentence: String) {
        self.errors.push(ConfigError { place, sentence });
    }

    fn finish(self, config: Config) -> Read {
        let Self { source, given, broken, mut errors, .. } = self;
        let doubtful = source.doubtful_lines(&broken);
        errors.retain(|error| !doubtful.contains(&error.place.line));
        let is_toml = broken.is_empty();
        errors.extend(first_stumbles(&broken).cloned());
        Read { config, given, errors, is_toml }
    }

    /// Reads the whole document: every top-level key is a section.
    fn document(&mut self, document: &DeTable<'_>) -> Config {
        let mut config = Config::default();
        for (name, value) in document {
            let place = self.source.place(&name.span());
            match (name.get_ref().as_ref(), value.get_ref()) {
                (ZONE, value) => config.zones = self.entries(ZONE, place, value),
                (LIST, value) => config.lists = self.entries(LIST, place, value),
                (LOG, value) => config.logs = self.entries(LOG, place, value),
                (SYSLOG, value) => config.syslog = self.entries(SYSLOG, place, value),
                (JOURNAL, value) => config.journals = self.entries(JOURNAL, place, value),
                (ALLOW, value) => config.allow = self.entries(ALLOW, place, value),
                (DENY, value) => config.deny = self.entries(DENY, place, value),
                (RETIRED, value) => config.retired = self.entries(RETIRED, place, value),
                (EVIDENCE, DeValue::Table(systems)) => {
                    for (system, value) in systems {
                        let place = self.source.place(&system.span());
                        let name = format!("{EVIDENCE}.{}", system.get_ref());
                        self.section(&mut config, &name, place, value.get_ref());
                    }
                }
                // A name in quotes can have dots; a section of that name is no system of evidence.
                (name, _) if name.contains('.') => self.error(place, unknown_section(name)),
                (name, value) => self.section(&mut config, name, place, value),
            }
        }
        config
    }

    /// A plain section, or what is none.
    fn section(&mut self, config: &mut Config, name: &str, place: Place, value: &DeValue<'_>) {
        let mut sections = config.sections();
        let known = sections.iter_mut().find(|section| section.name() == name);
        match (known, value) {
            (Some(section), DeValue::Table(table)) => {
                self.given.places.insert((section.name(), 0, ""), place);
                self.fill(&mut **section, 0, table);
            }
            (Some(_), DeValue::Array(_)) => {
                self.error(
                    place,
                    format!("[{name}] stands only once: write it with single brackets"),
                );
            }
            (Some(_), _) => self.error(place, format!("`{name}` is a section: write [{name}]")),
            (None, DeValue::Table(_) | DeValue::Array(_)) => {
                self.error(place, unknown_section(name));
            }
            (None, _) if name.starts_with(EVIDENCE) => self.error(place, unknown_section(name)),
            (None, _) => self.error(place, stray_key(name)),
        }
    }

    /// The entries of a section that is written with double brackets.
    fn entries<T: Entry>(
        &mut self,
        name: &'static str,
        place: Place,
        value: &DeValue<'_>,
    ) -> Vec<T> {
        let DeValue::Array(entries) = value else {
            let sentence =
                format!("[[{name}]] is written with double brackets, for there can be several");
            self.error(place, sentence);
            return Vec::new();
        };
        let mut read = Vec::with_capacity(entries.len());
        for entry in entries {
            let place = self.source.place(&entry.span());
            let DeValue::Table(table) = entry.get_ref() else {
                let sentence =
                    format!("each [[{name}]] holds keys, such as {}", example(&T::initial()));
                self.error(place, sentence);
                continue;
            };
            read.push(self.entry(name, read.len(), place, table));
        }
        read
    }

    fn entry<T: Entry>(
        &mut self,
        name: &'static str,
        number: usize,
        place: Place,
        table: &DeTable<'_>,
    ) -> T {
        let mut entry = T::initial();
        self.given.places.insert((name, number, ""), place.clone());
        self.fill(&mut entry, number, table);
        for key in entry.keys() {
            let Preset::Needed(example) = key.default else { continue };
            if table.contains_key(key.name) {
                continue;
            }
            self.given.unsound.insert((name, number, key.name));
            // Behind a syntax error it may well be there.
            if self.broken.is_empty() {
                let key = key.name;
                let sentence = format!("`{key}` is missing in [[{name}]]; write {key} = {example}");
                self.error(place.clone(), sentence);
            }
        }
        entry.settle(|key| self.given.places.contains_key(&(name, number, key.name)));
        entry
    }

    /// Sets every key of `table` in `section`.
    fn fill(&mut self, section: &mut dyn Section, number: usize, table: &DeTable<'_>) {
        let name = section.name();
        for (typed, value) in table {
            let place = self.source.place(&typed.span());
            let Some(key) = section.keys().iter().find(|key| key.name == typed.get_ref()) else {
                self.error(place, unknown_key(section, typed.get_ref()));
                continue;
            };
            // Empty is as good as absent where the zone's origin gives a default.
            if key.default.follows_origin() && is_empty(value.get_ref()) {
                continue;
            }
            self.given.places.insert((name, number, key.name), place);
            let Some(field) = section.field(key.name) else { continue };
            let flaws = field.set(value, &Reading { rule: key.rule, folder: self.folder });
            if flaws.is_err() {
                self.given.unsound.insert((name, number, key.name));
            }
            for flaw in flaws.err().unwrap_or_default() {
                let place = self.source.place(&flaw.span);
                let subject = format!("`{}` in {}", key.name, bracketed(name));
                self.error(place, format!("{subject} {}", flaw.text));
            }
        }
    }
}

/// A section that can stand several times.
trait Entry: Section {
    /// Gives what depends on other keys of the entry its default, unless `given` names it.
    fn settle(&mut self, given: impl Fn(&Key) -> bool);
}

impl Entry for Zone {
    fn settle(&mut self, given: impl Fn(&Key) -> bool) {
        let origin = self.origin.to_string();
        self.follow_origin(&origin, given);
    }
}

impl Entry for List {
    fn settle(&mut self, given: impl Fn(&Key) -> bool) {
        let origin = self.origin.to_string();
        self.follow_origin(&origin, given);
    }
}

impl Entry for Log {
    fn settle(&mut self, _given: impl Fn(&Key) -> bool) {}
}

impl Entry for Syslog {
    fn settle(&mut self, _given: impl Fn(&Key) -> bool) {}
}

impl Entry for Journal {
    fn settle(&mut self, _given: impl Fn(&Key) -> bool) {}
}

impl Entry for Allow {
    fn settle(&mut self, _given: impl Fn(&Key) -> bool) {}
}

impl Entry for Deny {
    fn settle(&mut self, _given: impl Fn(&Key) -> bool) {}
}

impl Entry for Retired {
    fn settle(&mut self, _given: impl Fn(&Key) -> bool) {}
}

fn is_empty(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::String(text) => text.is_empty(),
        DeValue::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The section as its line is written in the file.
pub(super) fn bracketed(section: &str) -> String {
    if [ZONE, LIST, LOG, SYSLOG, JOURNAL, ALLOW, DENY, RETIRED].contains(&section) {
        format!("[[{section}]]")
    } else {
        format!("[{section}]")
    }
}

/// A needed key of an entry with its example.
fn example(section: &dyn Section) -> String {
    let needed = section.keys().iter().find(|key| matches!(key.default, Preset::Needed(_)));
    needed.map_or_else(String::new, |key| format!("{} = {}", key.name, key.default.text("")))
}

fn unknown_key(section: &dyn Section, typed: &str) -> String {
    let own = section.keys();
    let name = section.name();
    let found = format!("unknown key `{}` in {}", cut(typed), bracketed(name));
    if typed == name {
        return format!("{found}; its keys stand here without another section line");
    }
    if let Some(meant) = nearest(typed, own.iter().map(|key| key.name)) {
        return format!("{found}; did you mean `{meant}`?");
    }
    if let Some(homes) = homes_of(typed) {
        return format!("{found}; it belongs in {homes}");
    }
    let known: Vec<_> = own.iter().map(|key| key.name).collect();
    format!("{found}; its keys are {}", known.join(", "))
}

fn stray_key(typed: &str) -> String {
    let found = format!("unknown key `{}` outside of any section", cut(typed));
    match homes_of(typed) {
        Some(homes) => format!("{found}; it belongs in {homes}"),
        None => format!("{found}; the sections are {}", sections_known().join(", ")),
    }
}

fn unknown_section(typed: &str) -> String {
    if typed == "list" {
        let comfort = "this version cannot load lists of your own yet; leave the section out";
        return format!("unknown section [[list]]: {comfort}");
    }
    let found = format!("unknown section [{}]", cut(typed));
    if let Some(rest) = typed.strip_prefix(EVIDENCE) {
        let systems = keys().filter_map(|key| key.section.strip_prefix("evidence."));
        let mut known: Vec<_> = systems.collect();
        known.dedup();
        return match nearest(rest.trim_start_matches('.'), known.iter().copied()) {
            Some(meant) => format!("{found}; did you mean [{EVIDENCE}.{meant}]?"),
            None => {
                format!("{found}; write [{EVIDENCE}.<system>] with one of {}", known.join(", "))
            }
        };
    }
    let mut names: Vec<_> = keys().map(|key| key.section).collect();
    names.dedup();
    match nearest(typed, names) {
        Some(meant) => format!("{found}; did you mean {}?", bracketed(meant)),
        None => format!("{found}; the sections are {}", sections_known().join(", ")),
    }
}

/// The sections that have a key of this name.
fn homes_of(typed: &str) -> Option<String> {
    let homes: Vec<_> =
        keys().filter(|key| key.name == typed).map(|key| bracketed(key.section)).collect();
    (!homes.is_empty()).then(|| homes.join(" or "))
}

fn sections_known() -> Vec<String> {
    let shown = |section: &'static str| match section.strip_prefix("evidence.") {
        Some(_) => "[evidence.<system>]".to_owned(),
        None => bracketed(section),
    };
    let mut names: Vec<_> = keys().map(|key| shown(key.section)).collect();
    names.dedup();
    names
}

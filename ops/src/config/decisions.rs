//! From the entries of `[[allow]]`, `[[deny]]` and `[[retired]]` to the table of decisions and the zones that have ended.
//!
//! Each entry names either a client or a name; a subject is decided on once, whichever file it stands in, so that
//! nobody has to guess which of two holds. What breaks these rules is an error with its place, and with the
//! place of the other side. A zone ends once, too. Entries with keys that are wrong have had their errors already, and are left out.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::io;

use helostat_zones::operator::{self, Decision, Decisions, Kind, Subject};
use helostat_zones::time::Time;
use ipnet::IpNet;

use super::domain::DomainName;
use super::operator::{Allow, Deny, Retired, Said};
use super::place::{ConfigError, Place, Source};
use super::read::{Given, bracketed};
use super::{ALLOW, Config, DENY, RETIRED};

/// What the operator decided, in one file or in several.
#[derive(Debug, Default)]
pub struct Decided {
    /// On clients and names.
    pub decisions: Decisions,
    /// On zones.
    pub ended: Vec<Ended>,
}

/// A zone that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its name, or that of an origin for all its kinds.
    pub zone: DomainName,
    /// When, if anybody wrote it down.
    pub since: Option<Time>,
    /// What is told beside; may be empty.
    pub text: String,
    /// Where it is written down.
    pub place: operator::Place,
}

/// Equal if the same is said, wherever it is written down.
impl PartialEq for Ended {
    fn eq(&self, other: &Self) -> bool {
        self.zone == other.zone && self.since == other.since && self.text == other.text
    }
}

/// Decisions of one file or of several, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Each with the place of its client or name.
    decisions: Vec<(Decision, Place)>,
    /// Each with the place of its zone.
    ended: Vec<(Ended, Place)>,
    pub(super) errors: Vec<ConfigError>,
}

impl Gathered {
    /// Adds those of another file.
    pub(super) fn extend(&mut self, more: Self) {
        self.decisions.extend(more.decisions);
        self.ended.extend(more.ended);
        self.errors.extend(more.errors);
    }

    /// The tables, if there are no errors; else what is in them matters no more.
    pub(super) fn conclude(self, errors: &mut Vec<ConfigError>) -> Decided {
        errors.extend(self.errors);
        let subjects = self.decisions.iter().map(|(it, place)| (&it.subject, place));
        only_once(subjects, "is decided on", errors);
        only_once(self.ended.iter().map(|(it, place)| (&it.zone, place)), "has ended", errors);
        Decided {
            decisions: self.decisions.into_iter().map(|(decision, _)| decision).collect(),
            ended: self.ended.into_iter().map(|(ended, _)| ended).collect(),
        }
    }
}

/// Who comes a second time is an error there, with the place of the first.
fn only_once<'a, T: Eq + Hash + Display + 'a>(
    all: impl Iterator<Item = (&'a T, &'a Place)>,
    what: &str,
    errors: &mut Vec<ConfigError>,
) {
    let mut in_order: Vec<_> = all.collect();
    in_order.sort_by_key(|(_, place)| *place);
    let mut first: HashMap<&T, &Place> = HashMap::new();
    for (subject, place) in in_order {
        if let Some(other) = first.get(subject) {
            let sentence = format!("{subject} {what} already at {other}; keep one of the two");
            errors.push(ConfigError { place: place.clone(), sentence });
        } else {
            first.insert(subject, place);
        }
    }
}

/// What is wrong with a file that cannot be read, where the main file names it.
pub(super) fn unreadable(
    given: &Given,
    key: &'static str,
    main: &Source<'_>,
    file: &str,
    cause: &io::Error,
) -> ConfigError {
    let place = given.exact("operator", 0, key).cloned().unwrap_or_else(|| main.place(&(0..0)));
    ConfigError { place, sentence: format!("the file of decisions {file}: {cause}") }
}

/// An entry of either section.
struct Entry<'a> {
    client: Option<IpNet>,
    name: Option<&'a Said>,
    reason: &'a str,
    author: Option<&'a str>,
    added: Option<Time>,
    until: Option<Time>,
}

/// The decisions of one file. In a file that is not TOML what an entry lacks may be what could not be read.
pub(super) fn gather(config: &Config, given: &Given, is_toml: bool) -> Gathered {
    // Two sections with the same keys are two types.
    macro_rules! entry {
        ($it:expr) => {
            Entry {
                client: $it.client,
                name: $it.name.as_ref(),
                reason: &$it.reason,
                author: $it.author.as_deref(),
                added: $it.added,
                until: $it.until,
            }
        };
    }
    let Config { allow, deny, retired, .. } = config;
    let allow = allow.iter().map(|it: &Allow| entry!(it)).enumerate();
    let deny = deny.iter().map(|it: &Deny| entry!(it)).enumerate();
    let mut gathered = Gathered::default();
    for (number, entry) in allow {
        gathered.take(Kind::Allow, &entry, number, given, is_toml);
    }
    for (number, entry) in deny {
        gathered.take(Kind::Deny, &entry, number, given, is_toml);
    }
    for (number, entry) in retired.iter().enumerate() {
        gathered.end(entry, number, given);
    }
    gathered
}

impl Gathered {
    fn take(&mut self, kind: Kind, entry: &Entry<'_>, number: usize, given: &Given, is_toml: bool) {
        let section = match kind {
            Kind::Allow => ALLOW,
            Kind::Deny => DENY,
        };
        let (Some(head), true) = (
            given.exact(section, number, ""),
            ["client", "name", "reason", "author", "added", "until"]
                .iter()
                .all(|key| given.is_sound(section, number, key)),
        ) else {
            return;
        };
        let mut wrong = |key: &'static str, sentence: String| {
            let place = given.place(section, number, key).unwrap_or(head).clone();
            self.errors.push(ConfigError { place, sentence });
        };
        let line = bracketed(section);
        let (subject, key) = match (entry.client, entry.name) {
            (Some(net), None) => (Subject::Prefix(net), "client"),
            (None, Some(said)) => (said.0.clone(), "name"),
            (Some(_), Some(_)) => {
                let sentence =
                    format!("{line} has both `client` and `name`; make two entries of it");
                return wrong("name", sentence);
            }
            (None, None) if is_toml => {
                let sentence = format!(
                    "{line} says not whom: write client = \"192.0.2.7\" or name = \"mail.example.com\""
                );
                return wrong("", sentence);
            }
            (None, None) => return,
        };
        if let Some(why) = subject.objection(kind) {
            return wrong(key, format!("`{key}` in {line} is \"{subject}\": {why}"));
        }
        let decision = Decision {
            kind,
            subject,
            reason: entry.reason.to_owned(),
            author: entry.author.unwrap_or_default().to_owned(),
            added: entry.added,
            until: entry.until,
            place: operator::Place { file: head.file.clone(), line: head.line },
        };
        let place = given.place(section, number, key).unwrap_or(head).clone();
        self.decisions.push((decision, place));
    }

    fn end(&mut self, retired: &Retired, number: usize, given: &Given) {
        let keys = ["zone", "since", "text"];
        let sound = keys.iter().all(|key| given.is_sound(RETIRED, number, key));
        let (Some(head), true) = (given.exact(RETIRED, number, ""), sound) else { return };
        let place = operator::Place { file: head.file.clone(), line: head.line };
        let Retired { zone, since, text } = retired.clone();
        let ended = Ended { zone, since, text: text.unwrap_or_default(), place };
        let place = given.place(RETIRED, number, "zone").unwrap_or(head).clone();
        self.ended.push((ended, place));
    }
}

/// Sentences on decisions that are seldom meant.
pub(super) fn warnings(config: &Config, found: &mut Vec<String>) {
    let Config { decisions, ended, .. } = config;
    let names = config.zone_names();
    for Ended { zone, .. } in ended.iter().filter(|it| !names.contains(&it.zone.to_string())) {
        found.push(format!("[[retired]] {zone}: there is no such zone, nobody gets this notice"));
    }
    let all = |subject: &Subject| matches!(subject, Subject::Prefix(net) if net.prefix_len() == 0);
    for decision in decisions.iter().filter(|decision| all(&decision.subject)) {
        let (kind, subject) = (decision.kind, &decision.subject);
        found.push(format!(
            "[[{kind}]] {subject}: it is about everybody, and beats all that is learned"
        ));
    }
}

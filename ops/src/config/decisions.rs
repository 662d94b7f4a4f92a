//! From the entries of `[[allow]]` and `[[deny]]` to the table of decisions.
//!
//! Each entry names either a client or a name; a subject is decided on once, whichever file it stands in, so that
//! nobody has to guess which of two holds. What breaks these rules is an error with its place, and with the
//! place of the other side. Entries with keys that are wrong have had their errors already, and are left out.

use std::collections::HashMap;
use std::io;

use helostat_zones::operator::{self, Decision, Decisions, Kind, Subject};
use helostat_zones::time::Time;
use ipnet::IpNet;

use super::operator::{Allow, Deny, Said};
use super::place::{ConfigError, Place, Source};
use super::read::{Given, bracketed};
use super::{ALLOW, DENY};

/// Decisions of one file or of several, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Each with the place of its client or name.
    decisions: Vec<(Decision, Place)>,
    pub(super) errors: Vec<ConfigError>,
}

impl Gathered {
    /// Adds those of another file.
    pub(super) fn extend(&mut self, more: Self) {
        self.decisions.extend(more.decisions);
        self.errors.extend(more.errors);
    }

    /// The table, if there are no errors; else what is in it matters no more.
    pub(super) fn conclude(self, errors: &mut Vec<ConfigError>) -> Decisions {
        errors.extend(self.errors);
        let mut in_order: Vec<_> = self.decisions.iter().collect();
        in_order.sort_by_key(|(_, place)| place);
        let mut first: HashMap<&Subject, &Place> = HashMap::new();
        for (decision, place) in in_order {
            let subject = &decision.subject;
            if let Some(other) = first.get(subject) {
                let sentence =
                    format!("{subject} is decided on already at {other}; keep one of the two");
                errors.push(ConfigError { place: place.clone(), sentence });
            } else {
                first.insert(subject, place);
            }
        }
        self.decisions.into_iter().map(|(decision, _)| decision).collect()
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
pub(super) fn gather(allow: &[Allow], deny: &[Deny], given: &Given, is_toml: bool) -> Gathered {
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
    let allow = allow.iter().map(|it| entry!(it)).enumerate();
    let deny = deny.iter().map(|it| entry!(it)).enumerate();
    let mut gathered = Gathered::default();
    for (number, entry) in allow {
        gathered.take(Kind::Allow, &entry, number, given, is_toml);
    }
    for (number, entry) in deny {
        gathered.take(Kind::Deny, &entry, number, given, is_toml);
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
}

/// Sentences on decisions that are seldom meant.
pub(super) fn warnings(decisions: &Decisions, found: &mut Vec<String>) {
    let all = |subject: &Subject| matches!(subject, Subject::Prefix(net) if net.prefix_len() == 0);
    for decision in decisions.iter().filter(|decision| all(&decision.subject)) {
        let (kind, subject) = (decision.kind, &decision.subject);
        found.push(format!(
            "[[{kind}]] {subject}: it is about everybody, and beats all that is learned"
        ));
    }
}

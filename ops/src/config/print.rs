//! The configuration as it is in force: as TOML, as JSON, and compared with a newer one.
//!
//! What [`Config::to_toml`] writes, `Config::parse` reads as the same configuration: every key is
//! there, and the numbers of a policy file stand in `[policy]`; decisions in files of their own stay there. Paths are as they were resolved; after
//! [`Config::load`] they are absolute, so it does not matter where the printed file is put. A path
//! that is not UTF-8 (only the folder of the file can bring one in) is printed with U+FFFD for what is
//! not. JSON is the same tree, so that names cannot differ.

use serde::ser::Error;
use serde::{Serialize, Serializer};

use super::read::bracketed;
use super::section::{Change, Section};
use super::{Config, JOURNAL, LIST, LOG, SYSLOG, ZONE};

impl Config {
    /// The values in force, as a file that says them all.
    pub fn to_toml(&self) -> String {
        let mut copy = self.clone();
        let mut text = String::new();
        for section in copy.sections() {
            write_section(section, &mut text);
        }
        for zone in &mut copy.zones {
            write_section(zone, &mut text);
        }
        for list in &mut copy.lists {
            write_section(list, &mut text);
        }
        for log in &mut copy.logs {
            write_section(log, &mut text);
        }
        for syslog in &mut copy.syslog {
            write_section(syslog, &mut text);
        }
        for journal in &mut copy.journals {
            write_section(journal, &mut text);
        }
        for allow in &mut copy.allow {
            write_section(allow, &mut text);
        }
        for deny in &mut copy.deny {
            write_section(deny, &mut text);
        }
        for retired in &mut copy.retired {
            write_section(retired, &mut text);
        }
        text
    }

    /// The keys that differ in `new` and take effect only when the daemon is started anew. Zones
    /// and lists are told apart by origin, logs by path, what is listened to by its addresses and journals by reporter;
    /// `zone`, `log` and so on mean that one came or went.
    pub fn restart_needed(&self, new: &Self) -> Vec<&'static str> {
        let (mut old, mut new) = (self.clone(), new.clone());
        let mut changed = Vec::new();
        for (old, new) in old.sections().into_iter().zip(new.sections()) {
            compare(old, new, &mut changed);
        }
        compare_entries(&mut old.zones, &mut new.zones, |zone| &zone.origin, ZONE, &mut changed);
        compare_entries(&mut old.lists, &mut new.lists, |list| &list.origin, LIST, &mut changed);
        compare_entries(&mut old.logs, &mut new.logs, |log| &log.path, LOG, &mut changed);
        compare_entries(&mut old.syslog, &mut new.syslog, |it| &it.listen, SYSLOG, &mut changed);
        compare_entries(
            &mut old.journals,
            &mut new.journals,
            |it| &it.reporter,
            JOURNAL,
            &mut changed,
        );
        changed
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let tree: toml::Table = self.to_toml().parse().map_err(S::Error::custom)?;
        tree.serialize(to)
    }
}

fn write_section(section: &mut dyn Section, text: &mut String) {
    let keys = section.keys();
    let Some(first) = keys.first() else { return };
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&bracketed(first.section));
    text.push('\n');
    for key in keys {
        if let Some(value) = section.value(key) {
            text.push_str(&format!("{} = {value}\n", key.name));
        }
    }
}

fn compare(old: &mut dyn Section, new: &mut dyn Section, changed: &mut Vec<&'static str>) {
    for key in old.keys().iter().filter(|key| key.change == Change::Restart) {
        if old.value(key) != new.value(key) && !changed.contains(&key.full) {
            changed.push(key.full);
        }
    }
}

/// Compares the entries of both sides that have the same identity.
fn compare_entries<T: Section, I: PartialEq>(
    old: &mut [T],
    new: &mut [T],
    identity: fn(&T) -> &I,
    name: &'static str,
    changed: &mut Vec<&'static str>,
) {
    let mut pairs = 0;
    for entry in old.iter_mut() {
        let same = new.iter_mut().find(|other| identity(other) == identity(entry));
        if let Some(other) = same {
            pairs += 1;
            compare(entry, other, changed);
        }
    }
    if pairs != old.len() || pairs != new.len() {
        changed.push(name);
    }
}

//! The file of decisions that the commands write.
//!
//! Text in, text out: an entry is appended, or the lines of one are cut out; all other lines, comments too, stay as
//! they are. An entry (`[[allow]]`, `[[deny]]`, `[[retired]]`) has its own lines: they go from its `[[deny]]` to the line on which its last value ends, and a blank line
//! before it. What comes out is read again and must say what was there before plus or minus the one entry; where it
//! does not (somebody wrote entries in another form, such as `deny = [{..}]`), nothing is written and the sentence says
//! where to look.
//!
//! The new text is written beside the file, brought to disk, and renamed over it, with the rights of the old file, or of
//! its folder's configuration: whoever reads it, at any moment, sees a whole one. A lock on the folder keeps two
//! commands from undoing each other's work.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use helostat_zones::operator::{Decision, Place, Subject};
use toml::de::{DeTable, DeValue};

use crate::config::{Config, Decided, DomainName, Ended};
use crate::exit::{Exit, Failure};

/// What stands at the top of a file that the commands make.
const HEAD: &str = "# Decisions of the operator, written by `helostat allow`, `deny` and `retire`. They can be changed by hand as well: what\n\
    # stands here is read when the daemon is told to reload (`helostat check` says whether it is right).\n";

/// The file, as it was when nobody else could write it.
pub(super) struct DecisionsFile {
    /// As the configuration names it.
    path: PathBuf,
    text: String,
    decided: Decided,
    /// The folder, locked while this lives.
    _folder: File,
}

impl DecisionsFile {
    /// Reads the file, which need not be there, and keeps other commands away from it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| unwritable(path, &error);
        let folder = File::open(folder_of(path)).map_err(failed)?;
        folder.lock().map_err(failed)?;
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(failed)?,
        };
        let decided = Config::parse_decisions(&text, &path.display().to_string())
            .map_err(|errors| Failure::new(Exit::Usage, errors))?;
        Ok(Self { path: path.to_owned(), text, decided, _folder: folder })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// True if the place is in this file.
    pub(super) fn holds(&self, place: &Place) -> bool {
        *place.file == *self.path.display().to_string()
    }

    /// Takes the decision on `subject` out and puts `new` at the end, with its `until` as it was typed; gives the one
    /// that was taken out. Writes nothing where nothing changes.
    pub(super) fn replace(
        &self,
        subject: &Subject,
        new: Option<(&Decision, Option<&str>)>,
    ) -> Result<Option<Decision>, Failure> {
        let Decided { decisions, ended } = &self.decided;
        let old = decisions.iter().find(|decision| decision.subject == *subject);
        let mut expected: Vec<_> = decisions.iter().filter(|it| it.subject != *subject).collect();
        expected.extend(new.map(|(new, _)| new));
        let ended: Vec<_> = ended.iter().collect();
        let line = old.map(|old| old.place.line);
        let new = new.map(|(new, until)| entry(new, until));
        self.rewrite(line, new.as_deref(), |text| says(text, &expected, &ended))?;
        Ok(old.cloned())
    }

    /// The same for the end of a zone.
    pub(super) fn end(
        &self,
        zone: &DomainName,
        new: Option<&Ended>,
    ) -> Result<Option<Ended>, Failure> {
        let Decided { decisions, ended } = &self.decided;
        let old = ended.iter().find(|it| it.zone == *zone);
        let mut expected: Vec<_> = ended.iter().filter(|it| it.zone != *zone).collect();
        expected.extend(new);
        let decisions: Vec<_> = decisions.iter().collect();
        let line = old.map(|old| old.place.line);
        let new = new.map(entry_of_zone);
        self.rewrite(line, new.as_deref(), |text| says(text, &decisions, &expected))?;
        Ok(old.cloned())
    }

    /// Takes out the entry that begins on the line `old`, puts `new` at the end, and writes what came of it if it is right.
    fn rewrite(
        &self,
        old: Option<usize>,
        new: Option<&str>,
        is_right: impl Fn(&str) -> bool,
    ) -> Result<(), Failure> {
        if old.is_none() && new.is_none() {
            return Ok(());
        }
        let mut text = self.text.clone();
        if let Some(line) = old {
            text = without(&text, line).ok_or_else(|| self.by_hand(line))?;
        }
        if let Some(new) = new {
            append(&mut text, new);
        }
        if !is_right(&text) {
            return Err(self.by_hand(old.unwrap_or(1)));
        }
        self.write(&text).map_err(|error| unwritable(&self.path, &error))
    }

    fn by_hand(&self, line: usize) -> Failure {
        let path = self.path.display();
        let sentence = format!(
            "{path}:{line}: the file is written in a form that only a person can change: use an editor"
        );
        Failure::say(Exit::Failed, sentence)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        // Where a link leads, so that it stays a link.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let folder = folder_of(&path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = folder.join(format!(".{name}.new"));
        let written = self.write_beside(&beside, &path, text);
        if written.is_err() {
            fs::remove_file(&beside).ok();
        }
        written?;
        File::open(folder)?.sync_all()
    }

    fn write_beside(&self, beside: &Path, path: &Path, text: &str) -> io::Result<()> {
        let model = [path, &folder_of(path).join("helostat.toml"), folder_of(path)];
        let model = model.iter().find_map(|path| fs::metadata(path).ok());
        // What a command that was killed left behind is nobody's.
        fs::remove_file(beside).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
        file.write_all(text.as_bytes())?;
        if let Some(model) = model {
            // Who may not give files away owns the folder, and its daemon is the same user.
            chown(beside, Some(model.uid()), Some(model.gid())).ok();
            file.set_permissions(fs::Permissions::from_mode(model.mode() & 0o666))?;
        }
        file.sync_all()?;
        fs::rename(beside, path)
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::say(Exit::Failed, format!("the file of decisions {}: {error}", path.display()))
}

/// The text with one more entry at its end.
fn append(text: &mut String, entry: &str) {
    if text.is_empty() {
        text.push_str(HEAD);
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push('\n');
    text.push_str(entry);
}

/// A decision as an entry, with its `until` as it was typed.
fn entry(new: &Decision, until: Option<&str>) -> String {
    let key = match new.subject {
        Subject::Prefix(_) => "client",
        Subject::Name(_) | Subject::Family(_) => "name",
    };
    let added = new.added.map(|added| added.to_string());
    let lines = [
        (key, Some(new.subject.to_string())),
        ("reason", Some(new.reason.clone())),
        ("author", Some(new.author.clone()).filter(|author| !author.is_empty())),
        ("added", added),
        ("until", until.map(str::to_owned)),
    ];
    written(new.kind.word(), lines)
}

/// The end of a zone as an entry.
fn entry_of_zone(new: &Ended) -> String {
    let text = Some(new.text.clone()).filter(|text| !text.is_empty());
    let since = new.since.map(|since| since.to_string());
    written("retired", [("zone", Some(new.zone.to_string())), ("since", since), ("text", text)])
}

/// An entry with those keys that have a value.
fn written<const N: usize>(section: &str, keys: [(&str, Option<String>); N]) -> String {
    let mut text = format!("[[{section}]]\n");
    for (key, value) in keys {
        if let Some(value) = value {
            text.push_str(&format!("{key} = {}\n", toml::Value::String(value)));
        }
    }
    text
}

/// The text without the entry that begins on `line`; `None` if it has no lines of its own.
fn without(text: &str, line: usize) -> Option<String> {
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    let start = starts.clone().nth(line.checked_sub(1)?)?;
    let end = text.get(start..)?.find('\n').map_or(text.len(), |length| start + length + 1);
    let head = text.get(start..end)?;
    if !head.trim_start().starts_with("[[") {
        return None;
    }
    let (document, _) = DeTable::parse_recoverable(text);
    let sections = document.get_ref().values().filter_map(|section| section.get_ref().as_array());
    let mut entries = sections.flat_map(|entries| entries.iter());
    let entry = entries.find(|entry| (start..end).contains(&entry.span().start))?;
    let DeValue::Table(keys) = entry.get_ref() else { return None };
    let last = keys.values().map(|value| value.span().end).max()?;
    let end = text.get(last..)?.find('\n').map_or(text.len(), |length| last + length + 1);
    let (before, after) = (text.get(..start)?, text.get(end..)?);
    // The blank line that set it apart goes with it.
    let apart = after.trim_start_matches('\r');
    let before = match before.strip_suffix('\n') {
        Some(shorter)
            if shorter.ends_with('\n') && (apart.is_empty() || apart.starts_with('\n')) =>
        {
            shorter
        }
        _ => before,
    };
    Some(format!("{before}{after}"))
}

/// True if the text says these and no others, in whatever order.
fn says(text: &str, expected: &[&Decision], ended: &[&Ended]) -> bool {
    let Ok(Decided { decisions: found, ended: zones }) = Config::parse_decisions(text, "") else {
        return false;
    };
    if zones.len() != ended.len() || !ended.iter().all(|ended| zones.contains(ended)) {
        return false;
    }
    // Subjects stand once.
    let subjects: std::collections::HashMap<_, _> =
        found.iter().map(|decision| (&decision.subject, decision)).collect();
    found.len() == expected.len()
        && expected.iter().all(|decision| {
            subjects.get(&decision.subject).is_some_and(|found| found.says_the_same(decision))
        })
}

#[cfg(test)]
mod tests {
    use helostat_zones::operator::Kind;
    use helostat_zones::time::Time;

    use super::*;

    const FILE: &str = "# ours\n\n[[deny]] # a flood\nclient = \"192.0.2.7\"\nreason = \"\"\"\nit says [[deny]]\"\"\" # yes\n\n\
        # a customer\n[[allow]]\n# since long\nname = \"*.example.com\"\nreason = \"b\"\n\n[[deny]]\nname = \"c\"\nreason = \"c\"\n# the end\n";

    fn decision(subject: &str) -> Decision {
        Decision {
            kind: Kind::Deny,
            subject: Subject::parse(subject).expect(subject),
            reason: "says \"no\" \\ ü".into(),
            author: "anna".into(),
            added: Some(Time(1_795_184_855)),
            until: None,
            place: Place::default(),
        }
    }

    #[test]
    fn an_entry_goes_with_its_own_lines() {
        for (line, rest) in [
            (
                3,
                "# ours\n\n# a customer\n[[allow]]\n# since long\nname = \"*.example.com\"\nreason = \"b\"\n\n[[deny]]\nname = \"c\"\nreason = \"c\"\n# the end\n",
            ),
            (
                9,
                "# ours\n\n[[deny]] # a flood\nclient = \"192.0.2.7\"\nreason = \"\"\"\nit says [[deny]]\"\"\" # yes\n\n# a customer\n\n[[deny]]\nname = \"c\"\nreason = \"c\"\n# the end\n",
            ),
            (
                14,
                "# ours\n\n[[deny]] # a flood\nclient = \"192.0.2.7\"\nreason = \"\"\"\nit says [[deny]]\"\"\" # yes\n\n# a customer\n[[allow]]\n# since long\nname = \"*.example.com\"\nreason = \"b\"\n\n# the end\n",
            ),
        ] {
            assert_eq!(without(FILE, line).as_deref(), Some(rest), "line {line}");
        }
        let inline = "deny = [\n{ client = \"192.0.2.7\", reason = \"a\" }]\n";
        assert_eq!(without(inline, 2), None);
    }

    #[test]
    fn what_is_added_and_taken_out_again_leaves_the_text_as_it_was() {
        for before in ["", "# ours\n", "# ours", "[[deny]]\nclient = \"::1\"\nreason = \"x\"\n\n"] {
            let mut text = before.to_owned();
            append(&mut text, &entry(&decision("192.0.2.7"), None));
            let read = Config::parse_decisions(&text, "f").expect(&text).decisions;
            let added = read.iter().last().expect("one at least");
            assert!(added.says_the_same(&decision("192.0.2.7")), "{text}");
            let again = without(&text, added.place.line).expect("lines of its own");
            let (before, again) = (before.trim_end(), again.trim_end());
            let before = if before.is_empty() { HEAD.trim_end() } else { before };
            assert_eq!(again, before);
        }
    }

    #[test]
    fn what_is_not_as_expected_shows() {
        let text = "[[deny]]\nclient = \"192.0.2.7\"\nreason = \"x\"\n";
        let found = Config::parse_decisions(text, "f").expect("sound").decisions;
        let found: Vec<_> = found.iter().collect();
        let zone = DomainName::parse("bl.rep.test").expect("a name");
        let ended = Ended { zone, since: None, text: "a \"b\"".into(), place: Place::default() };
        let both = format!("{text}{}", entry_of_zone(&ended));
        assert!(says(text, &found, &[]) && says(&both, &found, &[&ended]));
        assert!(!says(text, &found, &[&ended]) && !says(&both, &found, &[]));
        assert!(!says(text, &[], &[]));
        assert!(!says(text, &[&decision("192.0.2.7")], &[]));
        assert!(!says("deny = 3", &[], &[]));
        assert!(says("", &[], &[]));
    }
}

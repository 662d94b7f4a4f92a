//! `[operator]`, `[[allow]]`, `[[deny]]` and `[[retired]]`: the operator's own decisions, and where they are kept.
//!
//! `[[allow]]` and `[[deny]]` have the same keys. They and `[[retired]]` can stand in the main file and in files of their
//! own, which hold nothing else; `helostat allow`, `helostat deny` and `helostat retire` write one of these. What the keys mean
//! together is for [`super::decisions`], what a decision does for [`helostat_zones::operator`], what becomes of a zone that
//! has ended for [`helostat_server::config::Retired`].

use std::path::PathBuf;

use helostat_zones::operator::Subject;
use helostat_zones::time::Time;
use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeValue;

use super::domain::DomainName;
use super::section::Preset::{Is, Needed};
use super::section::section;
use super::value::Rule::{Free, FromDay, Line, ThroughDay};
use super::value::{Flaw, Reading, Rule, Value, read_text};

/// The longest reason: with numbers, expiry and page it still fits into one text of an answer.
pub(super) const REASON_MAX: usize = 120;
/// The longest author.
pub(super) const AUTHOR_MAX: usize = 64;

section! {
    /// `[operator]`: where decisions are kept.
    Operator in "operator" {
        "file" file: Option<PathBuf> = Is(r#""""#), Free, Reload,
            "The file that `helostat allow`, `helostat deny` and `helostat retire` write; \"\" is decisions.toml beside this file.";
        "files" files: Vec<PathBuf> = Is("[]"), Free, Reload,
            "Files of your own with sections `[[allow]]`, `[[deny]]` and `[[retired]]`; they are read again when the daemon reloads.";
    }
}

impl Operator {
    /// The files that hold decisions: first the one that is written, which need not be there yet.
    pub(super) fn decision_files(&self) -> Vec<PathBuf> {
        let others = self.files.iter().filter(|path| Some(*path) != self.file.as_ref());
        self.file.iter().chain(others).cloned().collect()
    }
}

section! {
    /// `[[allow]]`: somebody to let in.
    Allow in "allow" {
        "client" client: Option<IpNet> = Is(r#""""#), Free, Reload,
            "Who: a client's address, or a network. Either this or `name`.";
        "name" name: Option<Said> = Is(r#""""#), Free, Reload,
            "Or who says this in EHLO: a name, or \"*.example.com\" for all of a domain. It counts only where the DNS agrees or the pair stands.";
        "reason" reason: String = Needed(r#""our customer""#), Line(REASON_MAX), Reload,
            "Why. It is shown with every verdict that comes of it.";
        "author" author: Option<String> = Is(r#""""#), Line(AUTHOR_MAX), Reload,
            "Who decided it.";
        "added" added: Option<Time> = Is(r#""""#), FromDay, Reload,
            "When it was written down. It holds at once, whatever stands here.";
        "until" until: Option<Time> = Is(r#""""#), ThroughDay, Reload,
            "How long it holds; \"\" is for ever.";
    }
}

section! {
    /// `[[deny]]`: somebody to keep out.
    Deny in "deny" {
        "client" client: Option<IpNet> = Is(r#""""#), Free, Reload,
            "Who: a client's address, or a network. Either this or `name`.";
        "name" name: Option<Said> = Is(r#""""#), Free, Reload,
            "Or who says this in EHLO: a name, or \"*.example.com\" for all of a domain.";
        "reason" reason: String = Needed(r#""floods us""#), Line(REASON_MAX), Reload,
            "Why. It is shown with every verdict that comes of it.";
        "author" author: Option<String> = Is(r#""""#), Line(AUTHOR_MAX), Reload,
            "Who decided it.";
        "added" added: Option<Time> = Is(r#""""#), FromDay, Reload,
            "When it was written down. It holds at once, whatever stands here.";
        "until" until: Option<Time> = Is(r#""""#), ThroughDay, Reload,
            "How long it holds; \"\" is for ever.";
    }
}

section! {
    /// `[[retired]]`: a zone that has ended.
    Retired in "retired" {
        "zone" zone: DomainName = Needed(r#""bl.rep.example.net""#), Free, Reload,
            "Which: a kind of a zone, an origin with all its kinds, or a list. It lists nobody any more.";
        "since" since: Option<Time> = Is(r#""""#), FromDay, Reload,
            "When it ended, as its TXT tells. It has ended at once, whatever stands here.";
        "text" text: Option<String> = Is(r#""""#), Line(REASON_MAX), Reload,
            "What its TXT tells beside, such as what to ask instead.";
    }
}

/// What is said in EHLO, as a subject: a name or a family, never a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said(pub Subject);

impl Value for Said {
    const SAMPLE: &'static str = "\"mail.example.com\" or \"*.example.com\"";

    fn kind(_: Rule) -> String {
        "a name or a family".into()
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        read_text(found, reading.rule, |text| match Subject::parse(text) {
            Ok(Subject::Prefix(_)) => Err("an address stands in `client`".into()),
            Ok(subject) => Ok(Self(subject)),
            Err(why) => Err(why.to_string()),
        })
    }

    fn write(&self) -> toml::Value {
        self.0.to_string().into()
    }
}

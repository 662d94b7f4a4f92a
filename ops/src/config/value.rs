//! What a key can hold: each type read from TOML, checked, and written back.
//!
//! In goes one value of the file with its span and the [`Rule`] of its key; out comes the type the
//! program uses, or every [`Flaw`] of the value. `write` gives what `read` reads as the same again.
//! All sentences are made here, in one form: "should be KIND such as SAMPLE, but is FOUND: WHY".

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::domain::DomainName;
use super::duration;
use super::nearest::nearest;
use super::size::Size;

/// What a key asks of its value beyond the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nothing.
    Free,
    /// A number from the first to the second.
    Between(u32, u32),
    /// Points of a score, for or against.
    Points,
    /// A duration from the first to the second.
    Lasting(Duration, Duration),
    /// A duration in whole seconds (DNS has no shorter unit), from the first to the second.
    Seconds(Duration, Duration),
    /// A duration in whole days, from the first to the second number of them.
    Days(u32, u32),
    /// A duration from the first to the second, or none at all, which is never.
    LastingOrNever(Duration, Duration),
    /// A size from the first to the second.
    Sized(Size, Size),
    /// A list that is not empty.
    NotEmpty,
    /// An address may come without a port, which is then this one.
    DefaultPort(u16),
    /// A domain name of at most this many characters.
    Longest(usize),
    /// A word of letters, digits, `.`, `-` and `_`: it becomes a label of metrics and JSON.
    Word,
    /// The address of a web page.
    Url,
    /// A name of the IANA time zone database.
    TimeZone,
    /// A text of at most this many octets.
    Text(usize),
    /// A text of one line and at most so many octets, which says something.
    Line(usize),
    /// A date stands for its first moment.
    FromDay,
    /// A date stands for its last moment: the day itself is included.
    ThroughDay,
    /// A piece of an MTA's reply that no client can put there.
    Reply,
    /// A unit or an identifier of the journal, perhaps a pattern.
    Unit,
}

/// What a value is read with.
pub(super) struct Reading<'a> {
    pub(super) rule: Rule,
    /// The folder that relative paths start from.
    pub(super) folder: &'a Path,
}

/// What is wrong with a value: goes on after `key in [section]`.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) span: Range<usize>,
    pub(super) text: String,
}

/// A type that a key can have.
pub(super) trait Value: Sized {
    /// What it is, with its article and its range: "a duration from 1ms to 10s".
    fn kind(rule: Rule) -> String;
    /// One value of it as TOML writes it; empty where the kind says it all.
    const SAMPLE: &'static str;
    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>>;
    fn write(&self) -> toml::Value;
}

/// A field of the configuration, whatever its type.
pub(super) trait Setting {
    fn set(&mut self, found: &Spanned<DeValue<'_>>, reading: &Reading<'_>)
    -> Result<(), Vec<Flaw>>;
    fn value(&self) -> toml::Value;
}

impl<T: Value> Setting for T {
    fn set(
        &mut self,
        found: &Spanned<DeValue<'_>>,
        reading: &Reading<'_>,
    ) -> Result<(), Vec<Flaw>> {
        *self = T::read(found, reading)?;
        Ok(())
    }

    fn value(&self) -> toml::Value {
        self.write()
    }
}

/// The flaw of a value that is no `T`, with a reason where there is one to give.
pub(super) fn flaw<T: Value>(found: &Spanned<DeValue<'_>>, rule: Rule, why: &str) -> Vec<Flaw> {
    let such_as = if T::SAMPLE.is_empty() { "" } else { " such as " };
    let colon = if why.is_empty() { "" } else { ": " };
    let kind = T::kind(rule);
    let is = describe(found.get_ref());
    let text = format!("should be {kind}{such_as}{}, but is {is}{colon}{why}", T::SAMPLE);
    vec![Flaw { span: found.span(), text }]
}

/// A value of the file in words, short and printable whatever it holds.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {}", quoted(text)),
        DeValue::Integer(number) => format!("the number {}", cut(&number.to_string())),
        DeValue::Float(number) => format!("the fraction {}", cut(number.as_str())),
        DeValue::Boolean(answer) => answer.to_string(),
        DeValue::Datetime(moment) => format!("the date {moment}"),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a section".into(),
    }
}

/// Text of the file in double quotes, short and printable.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", cut(text))
}

/// Text of the file made short and printable.
pub(super) fn cut(text: &str) -> String {
    const LONGEST: usize = 60;
    let shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() { format!("{shown}...") } else { shown }
}

/// Reads a text by `parse`, whose error is the reason why it is no `T`.
pub(super) fn read_text<T: Value>(
    found: &Spanned<DeValue<'_>>,
    rule: Rule,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, Vec<Flaw>> {
    let Some(text) = found.get_ref().as_str() else { return Err(flaw::<T>(found, rule, "")) };
    parse(text).map_err(|why| flaw::<T>(found, rule, &why))
}

impl Value for bool {
    const SAMPLE: &'static str = "";

    fn kind(_: Rule) -> String {
        "true or false".into()
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        let why = if found.get_ref().is_str() { "write it without quotes" } else { "" };
        // 1 and 0 are what many other programs take.
        let number = found.get_ref().as_integer().map(|number| number.as_str());
        let said = match number {
            Some("1") => Some(true),
            Some("0") => Some(false),
            _ => found.get_ref().as_bool(),
        };
        said.ok_or_else(|| flaw::<Self>(found, reading.rule, why))
    }

    fn write(&self) -> toml::Value {
        (*self).into()
    }
}

impl Value for u32 {
    const SAMPLE: &'static str = "";

    fn kind(rule: Rule) -> String {
        match rule {
            Rule::Between(least, most) => format!("a whole number from {least} to {most}"),
            _ => "a whole number".into(),
        }
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        let why = if found.get_ref().is_str() { "write it without quotes" } else { "" };
        let number = found.get_ref().as_integer();
        let number = number.and_then(|it| Self::from_str_radix(it.as_str(), it.radix()).ok());
        let inside = number.filter(|number| match reading.rule {
            Rule::Between(least, most) => (least..=most).contains(number),
            _ => true,
        });
        inside.ok_or_else(|| flaw::<Self>(found, reading.rule, why))
    }

    fn write(&self) -> toml::Value {
        i64::from(*self).into()
    }
}

impl Value for i32 {
    const SAMPLE: &'static str = "";

    fn kind(_: Rule) -> String {
        format!("a whole number from {} to {}", POINTS.start(), POINTS.end())
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        let why = if found.get_ref().is_str() { "write it without quotes" } else { "" };
        let number = found.get_ref().as_integer();
        let number = number.and_then(|it| Self::from_str_radix(it.as_str(), it.radix()).ok());
        let inside = number.filter(|number| POINTS.contains(number));
        inside.ok_or_else(|| flaw::<Self>(found, reading.rule, why))
    }

    fn write(&self) -> toml::Value {
        i64::from(*self).into()
    }
}

/// The points that one reason may have.
const POINTS: std::ops::RangeInclusive<i32> = -100..=100;

/// Seconds of a day.
const DAY: u64 = 86_400;

impl Value for Duration {
    const SAMPLE: &'static str = "";

    fn kind(rule: Rule) -> String {
        match rule {
            Rule::Lasting(least, most) | Rule::Seconds(least, most) => {
                let (least, most) = (duration::write(least), duration::write(most));
                format!("a duration from \"{least}\" to \"{most}\"")
            }
            Rule::Days(least, most) => {
                format!("a duration in whole days from \"{least}d\" to \"{most}d\"")
            }
            Rule::LastingOrNever(least, most) => {
                let (least, most) = (duration::write(least), duration::write(most));
                format!("a duration from \"{least}\" to \"{most}\", or \"0s\" for never")
            }
            _ => "a duration such as \"10s\"".into(),
        }
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        if found.get_ref().is_integer() {
            let why = "a duration has a unit and quotes";
            return Err(flaw::<Self>(found, reading.rule, why));
        }
        read_text(found, reading.rule, |text| {
            let Some(span) = duration::parse(text) else {
                return Err("write a whole number and one of ms, s, m, h, d".into());
            };
            match reading.rule {
                Rule::Seconds(..) if span.subsec_nanos() != 0 => {
                    Err("DNS counts whole seconds".into())
                }
                Rule::Lasting(least, most) | Rule::Seconds(least, most)
                    if !(least..=most).contains(&span) =>
                {
                    Err(String::new())
                }
                Rule::Days(..)
                    if !span.as_secs().is_multiple_of(DAY) || span.subsec_nanos() != 0 =>
                {
                    Err("whole days are counted".into())
                }
                Rule::Days(least, most)
                    if !(u64::from(least)..=u64::from(most)).contains(&(span.as_secs() / DAY)) =>
                {
                    Err(String::new())
                }
                Rule::LastingOrNever(least, most)
                    if !span.is_zero() && !(least..=most).contains(&span) =>
                {
                    Err(String::new())
                }
                _ => Ok(span),
            }
        })
    }

    fn write(&self) -> toml::Value {
        duration::write(*self).into()
    }
}

impl Value for PathBuf {
    const SAMPLE: &'static str = "";

    fn kind(_: Rule) -> String {
        "a path".into()
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        read_text(found, reading.rule, |text| {
            let path = Path::new(text);
            match (text, path.strip_prefix(".")) {
                ("", _) => Err("it is empty".into()),
                (text, _) if text.contains('\0') => Err("no path holds a NUL".into()),
                // `./mail.log` and `mail.log` are one file, and must compare as one.
                (_, Ok(below)) if below != Path::new("") => Ok(reading.folder.join(below)),
                _ => Ok(reading.folder.join(path)),
            }
        })
    }

    fn write(&self) -> toml::Value {
        self.to_string_lossy().into_owned().into()
    }
}

impl Value for String {
    const SAMPLE: &'static str = "";

    fn kind(rule: Rule) -> String {
        match rule {
            Rule::Url => "the address of a web page (http or https)",
            Rule::TimeZone => "a time zone such as \"Europe/Berlin\"",
            Rule::Word => "a word of letters, digits, '.', '-' and '_'",
            Rule::Reply => "a piece of a reply such as \"blocked using rep.example.net\"",
            Rule::Unit => "a name as the journal has it, such as \"postfix*\"",
            Rule::Text(most) => return format!("a text of at most {most} octets"),
            Rule::Line(most) => return format!("a text of one line and at most {most} octets"),
            _ => "a text",
        }
        .into()
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        read_text(found, reading.rule, |text| {
            match reading.rule {
                Rule::Url => check_url(text)?,
                Rule::TimeZone => check_time_zone(text)?,
                Rule::Word => check_word(text)?,
                Rule::Unit => check_unit(text)?,
                Rule::Reply => helostat_ingest::ours::check(text)?,
                Rule::Text(most) if text.len() > most => return Err(Self::new()),
                Rule::Line(most) => check_line(text, most)?,
                _ => {}
            }
            Ok(text.into())
        })
    }

    fn write(&self) -> toml::Value {
        self.as_str().into()
    }
}

/// Whether a text is one line that says something, in at most so many octets.
pub(super) fn check_line(text: &str, most: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("it is empty".into());
    }
    if text.len() > most {
        return Err(format!("it has {} octets", text.len()));
    }
    // It is shown on terminals and in answers.
    if text.chars().any(char::is_control) {
        return Err("it has line ends, tabs or other control characters".into());
    }
    Ok(())
}

fn check_url(text: &str) -> Result<(), String> {
    // A TXT answer is one string of at most 255 octets and has the reason in it as well.
    const LONGEST: usize = 150;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if host.is_none_or(str::is_empty) {
        return Err("it begins with https:// or http://".into());
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        return Err("it has only printable ASCII, no blanks and no quotes".into());
    }
    if text.len() > LONGEST {
        return Err(format!("it has at most {LONGEST} characters, to fit into an answer"));
    }
    Ok(())
}

fn check_time_zone(text: &str) -> Result<(), String> {
    match jiff::tz::TimeZone::get(text) {
        Ok(_) => Ok(()),
        Err(_) => Err("this system's time zone database has no such name".into()),
    }
}

fn check_word(text: &str) -> Result<(), String> {
    const LONGEST: usize = 64;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.len() > LONGEST {
        return Err(format!("it has at most {LONGEST} characters"));
    }
    if text.bytes().all(good) { Ok(()) } else { Err(String::new()) }
}

fn check_unit(text: &str) -> Result<(), String> {
    // systemd's own limit for the name of a unit.
    const LONGEST: usize = 255;
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.len() > LONGEST {
        return Err(format!("it has at most {LONGEST} characters"));
    }
    if text.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(()) } else { Err(String::new()) }
}

impl Value for DomainName {
    const SAMPLE: &'static str = "\"rep.example.net\"";

    fn kind(_: Rule) -> String {
        "a domain name".into()
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        read_text(found, reading.rule, |text| {
            let name = Self::parse(text)?;
            match reading.rule {
                Rule::Longest(most) if name.as_str().len() > most => Err(format!(
                    "with more than {most} characters there is no room for an IPv6 question under it"
                )),
                _ => Ok(name),
            }
        })
    }

    fn write(&self) -> toml::Value {
        self.as_str().into()
    }
}

/// Nothing, written as `""` or `false`, or something.
impl<T: Value> Value for Option<T> {
    const SAMPLE: &'static str = T::SAMPLE;

    fn kind(rule: Rule) -> String {
        format!("{}, or \"\" for none", T::kind(rule))
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        match found.get_ref() {
            DeValue::Boolean(false) => Ok(None),
            DeValue::String(text) if text.is_empty() => Ok(None),
            _ => T::read(found, reading).map(Some),
        }
    }

    fn write(&self) -> toml::Value {
        self.as_ref().map_or_else(|| "".into(), T::write)
    }
}

/// The longest list of a key: far beyond what people write by hand, and quickly compared.
const ITEMS_MAX: usize = 1000;

/// A list, in which nothing stands twice.
impl<T: Value + PartialEq> Value for Vec<T> {
    const SAMPLE: &'static str = "";

    fn kind(rule: Rule) -> String {
        let item = T::kind(rule);
        let filled = if rule == Rule::NotEmpty { " that is not empty" } else { "" };
        format!("a list [..]{filled}, each item {item}")
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        let Some(items) = found.get_ref().as_array() else {
            let why = if found.get_ref().is_str() { "put it between [ and ]" } else { "" };
            return Err(flaw::<Self>(found, reading.rule, why));
        };
        if items.is_empty() && reading.rule == Rule::NotEmpty {
            let text = format!("is empty; it should be {}", Self::kind(reading.rule));
            return Err(vec![Flaw { span: found.span(), text }]);
        }
        if items.len() > ITEMS_MAX {
            let text = format!("has {} items; at most {ITEMS_MAX} are allowed", items.len());
            return Err(vec![Flaw { span: found.span(), text }]);
        }
        let mut read = Self::with_capacity(items.len());
        let mut flaws = Vec::new();
        for item in items {
            match T::read(item, reading) {
                Ok(again) if read.contains(&again) => {
                    let text = format!("has {} twice", again.write());
                    flaws.push(Flaw { span: item.span(), text });
                }
                Ok(value) => read.push(value),
                Err(more) => {
                    flaws.extend(more.into_iter().map(|flaw| Flaw {
                        text: format!("has an item that {}", flaw.text),
                        ..flaw
                    }))
                }
            }
        }
        if flaws.is_empty() { Ok(read) } else { Err(flaws) }
    }

    fn write(&self) -> toml::Value {
        toml::Value::Array(self.iter().map(T::write).collect())
    }
}

/// A table from addresses to values.
impl<T: Value> Value for BTreeMap<IpAddr, T> {
    const SAMPLE: &'static str = "{ \"192.0.2.7\" = \"mx1\" }";

    fn kind(rule: Rule) -> String {
        format!("a table {{..}} from addresses to {}", T::kind(rule))
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        let Some(table) = found.get_ref().as_table() else {
            return Err(flaw::<Self>(found, reading.rule, ""));
        };
        if table.len() > ITEMS_MAX {
            let text = format!("has {} entries; at most {ITEMS_MAX} are allowed", table.len());
            return Err(vec![Flaw { span: found.span(), text }]);
        }
        let mut read = Self::new();
        let mut flaws = Vec::new();
        for (typed, value) in table {
            let name = typed.get_ref();
            let address = name.parse::<IpAddr>().map(|address| address.to_canonical());
            match (address, T::read(value, reading)) {
                (Err(_), _) => {
                    let text = format!("has an entry for {}, which is no address", quoted(name));
                    flaws.push(Flaw { span: typed.span(), text });
                }
                (Ok(_), Err(more)) => {
                    flaws.extend(more.into_iter().map(|flaw| Flaw {
                        text: format!("has an entry that {}", flaw.text),
                        ..flaw
                    }))
                }
                (Ok(address), Ok(value)) => {
                    if read.insert(address, value).is_some() {
                        let text = format!("has {address} twice");
                        flaws.push(Flaw { span: typed.span(), text });
                    }
                }
            }
        }
        if flaws.is_empty() { Ok(read) } else { Err(flaws) }
    }

    fn write(&self) -> toml::Value {
        let entries = self.iter().map(|(address, value)| (address.to_string(), value.write()));
        toml::Value::Table(entries.collect())
    }
}

/// A choice between words.
pub(super) trait Choice: Copy + PartialEq + 'static {
    /// Every word with its meaning, in the order in which they are told.
    const WORDS: &'static [(&'static str, Self)];
}

impl<T: Choice> Value for T {
    const SAMPLE: &'static str = "";

    fn kind(_: Rule) -> String {
        let words: Vec<_> = T::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("one of {}", words.join(", "))
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        read_text(found, reading.rule, |text| {
            let known = T::WORDS.iter().find(|&&(word, _)| word == text);
            let meant = || nearest(text, T::WORDS.iter().map(|&(word, _)| word));
            let did_you = || meant().map(|word| format!("did you mean \"{word}\"?"));
            known.map(|&(_, value)| value).ok_or_else(|| did_you().unwrap_or_default())
        })
    }

    fn write(&self) -> toml::Value {
        let known = T::WORDS.iter().find(|(_, value)| value == self);
        known.map_or("", |&(word, _)| word).into()
    }
}

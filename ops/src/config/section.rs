//! The one table of all keys, and how a section of the file becomes a struct.
//!
//! A key is declared once, in a `section!`: its name, field, type, default, rule, when a change takes
//! effect, and what it means. From that come the struct (the meaning is the field's docstring), its
//! defaults, the check, the printed form, the table of the manual and the suggestions in errors, so
//! that none of them can drift from another.

use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::value::{Flaw, Reading, Rule, Setting, Value};

/// One key of the configuration file.
#[derive(Debug)]
pub struct Key {
    /// The section it belongs in: `ledger`; `zone` and `log` are written with double brackets.
    pub section: &'static str,
    /// Its name in the section.
    pub name: &'static str,
    /// Section and name: `ledger.path`.
    pub full: &'static str,
    /// What holds where the file does not say.
    pub default: Preset,
    /// What it asks of its value beyond the type.
    pub rule: Rule,
    /// Its type in words.
    pub(super) kind: fn(Rule) -> String,
    /// When a change takes effect.
    pub change: Change,
    /// What it is, in one line.
    pub meaning: &'static str,
}

impl Key {
    /// What the key takes, in words: "a whole number from 0 to 256".
    pub fn kind(&self) -> String {
        (self.kind)(self.rule)
    }
}

/// What holds where the file does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// A value as TOML writes it. `<origin>` stands for the origin of the zone.
    Is(&'static str),
    /// Nothing: the key must be there. The value is an example.
    Needed(&'static str),
}

impl Preset {
    /// The value as TOML writes it, under `origin`; for a needed key the example.
    pub(super) fn text(self, origin: &str) -> String {
        match self {
            Self::Is(text) | Self::Needed(text) => text.replace(ORIGIN, origin),
        }
    }

    /// True if the value depends on the zone it stands in.
    pub(super) fn follows_origin(self) -> bool {
        matches!(self, Self::Is(text) if text.contains(ORIGIN))
    }
}

/// What stands for the origin of the zone in a default.
const ORIGIN: &str = "<origin>";

/// When a change of a key takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// When the running daemon is told to reload.
    Reload,
    /// When the daemon is started anew.
    Restart,
}

/// A section of the file: a struct whose fields are found by key.
pub(super) trait Section {
    /// The section with every key at its default.
    fn initial() -> Self
    where
        Self: Sized;
    fn keys(&self) -> &'static [Key];

    /// The name of the section in the file.
    fn name(&self) -> &'static str {
        self.keys().first().map_or("", |key| key.section)
    }

    fn field(&mut self, key: &str) -> Option<&mut dyn Setting>;

    /// The value of a key as TOML.
    fn value(&mut self, key: &Key) -> Option<toml::Value> {
        self.field(key.name).map(|field| field.value())
    }

    /// Gives every key whose default depends on the origin, and that `given` does not name, its value.
    fn follow_origin(&mut self, origin: &str, given: impl Fn(&Key) -> bool)
    where
        Self: Sized,
    {
        for key in self.keys().iter().filter(|key| key.default.follows_origin() && !given(key)) {
            let text = key.default.text(origin);
            let Some(field) = self.field(key.name) else { continue };
            // Any origin that was read leaves room for the short labels of our defaults.
            let read = read_text(&text, |found, reading| field.set(found, reading), key.rule);
            debug_assert!(read.is_ok(), "{}: {text}", key.full);
        }
    }
}

/// The default of a key.
pub(super) fn initial<T: Value>(default: Preset, rule: Rule) -> T {
    let text = default.text("invalid");
    read_text(&text, T::read, rule).expect("a test reads the default of every key")
}

fn read_text<T>(
    text: &str,
    read: impl FnOnce(&Spanned<DeValue<'_>>, &Reading<'_>) -> Result<T, Vec<Flaw>>,
    rule: Rule,
) -> Result<T, Vec<Flaw>> {
    let (value, _) = DeValue::parse_recoverable(text);
    read(&value, &Reading { rule, folder: Path::new("") })
}

/// Declares a section: the struct, and its part of the table of keys.
macro_rules! section {
    (
        $(#[$doc:meta])*
        $name:ident in $section:literal {
            $($key:literal $field:ident: $type:ty = $default:expr, $rule:expr, $change:ident, $meaning:literal;)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(#[doc = $meaning] pub $field: $type,)+
        }

        impl $crate::config::section::Section for $name {
            fn initial() -> Self {
                Self { $($field: $crate::config::section::initial($default, $rule),)+ }
            }

            fn keys(&self) -> &'static [$crate::config::section::Key] {
                Self::KEYS
            }

            fn field(&mut self, key: &str) -> Option<&mut dyn $crate::config::value::Setting> {
                match key {
                    $($key => Some(&mut self.$field),)+
                    _ => None,
                }
            }
        }

        impl $name {
            /// Its part of the table of keys.
            pub(super) const KEYS: &'static [$crate::config::section::Key] =
                &[$($crate::config::section::Key {
                    section: $section,
                    name: $key,
                    full: concat!($section, ".", $key),
                    default: $default,
                    rule: $rule,
                    kind: <$type as $crate::config::value::Value>::kind,
                    change: $crate::config::section::Change::$change,
                    meaning: $meaning,
                },)+];
        }
    };
}
pub(super) use section;

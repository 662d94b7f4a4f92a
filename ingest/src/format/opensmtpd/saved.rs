//! Open OpenSMTPD sessions as they are stored: what `Reader::save` writes under `opensmtpd`.
//!
//! Defaults are left out. The key is bytes; each octet is written as the character of that number. Names
//! are written as their normalised text, which reads back as the same name.

use helostat_zones::name::Name;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use super::{Asked, OpenSmtpd, Session, Teller, Transaction};
use crate::bytes::{from_text, to_text};
use crate::format::{SavedCaller, SavedState, TWICE, from_raw, raw};
use crate::session::{SavedTally, Stage, Tally, is_false};

/// Everything that is stored.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    #[serde(default, skip_serializing_if = "is_false")]
    filtered: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sessions: Vec<SavedSession>,
}

/// A session as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedSession {
    /// The key, each octet as the character of that number.
    key: String,
    begin: u32,
    last: u32,
    client: SavedCaller,
    #[serde(default, skip_serializing_if = "is_default")]
    teller: Teller,
    #[serde(default, skip_serializing_if = "is_false")]
    opened: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<SavedTally>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    greetings: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    in_force: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clear: Option<SavedTally>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    under_tls: Option<SavedTally>,
    #[serde(default, skip_serializing_if = "is_false")]
    tls: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<SavedTally>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unnamed: Option<SavedTally>,
    #[serde(default, skip_serializing_if = "is_default")]
    transaction: Transaction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<SavedAsked>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quit: Option<bool>,
}

/// The last command; without a stage one that gives up.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedAsked {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stage: Option<Stage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// For serde: what is as it was at first is not written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A tally without a name, if there is anything in it.
fn tally(tally: &Tally) -> Option<SavedTally> {
    (*tally != Tally::default()).then(|| SavedTally::of(&Name::absent(), tally))
}

/// What `tally` wrote.
fn restored(saved: Option<SavedTally>) -> Tally {
    saved.map(|saved| saved.restore().1).unwrap_or_default()
}

impl OpenSmtpd {
    /// The open sessions, in the order in which they began.
    pub(super) fn saved(&self) -> SavedState {
        let sessions: Vec<SavedSession> =
            self.sessions.iter().map(|(_, session)| session.save()).collect();
        if sessions.is_empty() && !self.filtered {
            return None;
        }
        raw(&Saved { filtered: self.filtered, sessions })
    }

    /// Opens what `saved` wrote.
    pub(super) fn take_up(&mut self, saved: SavedState) -> Result<(), String> {
        let Some(saved) = saved else { return Ok(()) };
        let saved: Saved = from_raw(&saved)?;
        self.filtered = saved.filtered;
        for saved in saved.sessions {
            let session = Session::restore(saved).ok_or(TWICE)?;
            let key = session.key.clone();
            if self.sessions.open(&key, session).is_some() {
                return Err(TWICE.to_owned());
            }
        }
        Ok(())
    }
}

impl Session {
    fn save(&self) -> SavedSession {
        let [clear, under_tls] = &self.logged;
        SavedSession {
            key: to_text(&self.key),
            begin: self.begin.0,
            last: self.last.0,
            client: SavedCaller::of(&self.caller),
            teller: self.teller,
            opened: self.opened,
            names: self.names.iter().map(|(name, tally)| SavedTally::of(name, tally)).collect(),
            greetings: self.greetings.clone(),
            in_force: self.in_force,
            clear: tally(clear),
            under_tls: tally(under_tls),
            tls: self.tls,
            sequence: tally(&self.sequence),
            unnamed: tally(&self.unnamed),
            transaction: self.transaction,
            asked: self.asked.as_ref().map(|asked| match asked {
                Asked::GivesUp => SavedAsked { stage: None, name: None },
                Asked::At(stage, name) => SavedAsked {
                    stage: Some(*stage),
                    name: name.as_ref().map(|name| name.text().to_owned()),
                },
            }),
            quit: self.quit,
        }
    }

    fn restore(saved: SavedSession) -> Option<Self> {
        Some(Self {
            key: from_text(&saved.key)?.into(),
            begin: Time(saved.begin),
            last: Time(saved.last),
            caller: saved.client.restore(),
            teller: saved.teller,
            opened: saved.opened,
            names: saved.names.into_iter().map(SavedTally::restore).collect(),
            greetings: saved.greetings,
            in_force: saved.in_force,
            logged: [restored(saved.clear), restored(saved.under_tls)],
            tls: saved.tls,
            sequence: restored(saved.sequence),
            unnamed: restored(saved.unnamed),
            transaction: saved.transaction,
            asked: saved.asked.map(|asked| match asked.stage {
                None => Asked::GivesUp,
                Some(stage) => {
                    Asked::At(stage, asked.name.map(|name| Name::parse(name.as_bytes())))
                }
            }),
            quit: saved.quit,
        })
    }
}

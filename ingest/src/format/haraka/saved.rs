//! Open Haraka sessions as they are stored: what `Reader::save` writes under `haraka`.
//!
//! Defaults are left out. Keys are bytes; each octet is written as the character of that number.

use helostat_zones::name::Name;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use super::{Counts, Earlier, Haraka, Inside, Session, Transaction};
use crate::bytes::{from_text, to_text};
use crate::format::{SavedCaller, SavedState, TWICE, from_raw, raw};
use crate::session::{SavedTally, Tally, is_false};

/// What is stored.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    #[serde(default, skip_serializing_if = "is_false")]
    informed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inside: Option<SavedInside>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sessions: Vec<SavedSession>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedInside {
    key: String,
    #[serde(default, skip_serializing_if = "is_false")]
    raw: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedSession {
    /// The key, each octet as the character of that number.
    key: String,
    begin: u32,
    last: u32,
    client: SavedCaller,
    #[serde(default, skip_serializing_if = "is_false")]
    gone: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    secured: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    login: bool,
    /// What was refused under which name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<SavedTally>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    banner: Option<SavedTally>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier: Option<SavedTally>,
    #[serde(default, skip_serializing_if = "is_default")]
    counts: Counts,
    #[serde(default, skip_serializing_if = "is_default")]
    now: Transaction,
}

impl Haraka {
    pub(super) fn saved(&self) -> SavedState {
        let sessions: Vec<SavedSession> =
            self.sessions.iter().map(|(_, session)| session.save()).collect();
        let inside = self
            .inside
            .as_ref()
            .map(|inside| SavedInside { key: to_text(&inside.key), raw: inside.raw });
        if sessions.is_empty() && inside.is_none() && !self.informed {
            return None;
        }
        let saved = Saved { informed: self.informed, inside, sessions };
        raw(&saved)
    }

    pub(super) fn take_up(&mut self, saved: SavedState) -> Result<(), String> {
        let Some(saved) = saved else { return Ok(()) };
        let saved: Saved = from_raw(&saved)?;
        self.informed = saved.informed;
        if let Some(SavedInside { key, raw }) = saved.inside {
            self.inside = Some(Inside { key: from_text(&key).ok_or(TWICE)?.into(), raw });
        }
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
        let saved = |tally: &Tally| SavedTally::of(&Name::absent(), tally);
        SavedSession {
            key: to_text(&self.key),
            begin: self.begin.0,
            last: self.last.0,
            client: SavedCaller::of(&self.caller),
            gone: self.gone,
            secured: self.secured,
            login: self.login,
            refused: self.refused.iter().map(|(name, tally)| SavedTally::of(name, tally)).collect(),
            banner: self.banner.as_ref().map(saved),
            earlier: Some(&self.earlier.tally).filter(|tally| !is_default(*tally)).map(saved),
            counts: self.earlier.counts.clone(),
            now: self.now.clone(),
        }
    }

    fn restore(saved: SavedSession) -> Option<Self> {
        Some(Self {
            key: from_text(&saved.key)?.into(),
            begin: Time(saved.begin),
            last: Time(saved.last),
            caller: saved.client.restore(),
            gone: saved.gone,
            secured: saved.secured,
            login: saved.login,
            refused: saved.refused.into_iter().map(SavedTally::restore).collect(),
            banner: saved.banner.map(|tally| tally.restore().1),
            earlier: Earlier {
                tally: saved.earlier.map(|tally| tally.restore().1).unwrap_or_default(),
                counts: saved.counts,
            },
            now: saved.now,
        })
    }
}

/// For serde: what is as it was in the beginning is not written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

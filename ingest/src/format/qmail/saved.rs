//! Open connections of qmail as they are stored: what `Reader::save` writes under `qmail`.
//!
//! Defaults are left out. Keys and lines are bytes; each octet is written as the character of that number. Names are
//! written as their normalised text, which reads back as the same name.

use helostat_zones::name::Name;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use super::{Qmail, Session, State};
use crate::bytes::{from_text, to_text};
use crate::format::{self, SavedCaller, SavedState, TWICE};
use crate::session::{SavedTally, Tally, is_false};

/// A connection as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    /// The key, each octet as the character of that number.
    key: String,
    begin: u32,
    last: u32,
    client: SavedCaller,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<SavedTally>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unnamed: Option<SavedTally>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<usize>,
    #[serde(default, skip_serializing_if = "is_false")]
    greeted: bool,
    #[serde(default, skip_serializing_if = "State::is_silent")]
    state: State,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    left: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    right: String,
    #[serde(default, skip_serializing_if = "is_false")]
    in_mail: bool,
}

impl State {
    fn is_silent(&self) -> bool {
        *self == Self::Silent
    }
}

impl Qmail {
    /// The open connections, in the order in which they began.
    pub(super) fn saved(&self) -> SavedState {
        let sessions: Vec<Saved> =
            self.sessions.iter().map(|(_, session)| session.save()).collect();
        format::saved(&sessions)
    }

    /// Opens what `saved` wrote.
    pub(super) fn take_up(&mut self, saved: SavedState) -> Result<(), String> {
        for saved in format::restored::<Saved>(saved)? {
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
    fn save(&self) -> Saved {
        let unnamed = (self.unnamed != Tally::default())
            .then(|| SavedTally::of(&Name::absent(), &self.unnamed));
        Saved {
            key: to_text(&self.key),
            begin: self.begin.0,
            last: self.last.0,
            client: SavedCaller::of(&self.caller),
            names: self.names.iter().map(|(name, tally)| SavedTally::of(name, tally)).collect(),
            unnamed,
            current: self.current,
            greeted: self.greeted,
            state: self.state,
            waiting: self.waiting.iter().map(|line| to_text(line)).collect(),
            left: to_text(&self.left),
            right: to_text(&self.right),
            in_mail: self.in_mail,
        }
    }

    fn restore(saved: Saved) -> Option<Self> {
        let waiting = saved.waiting.iter().map(|line| from_text(line).map(Into::into));
        Some(Self {
            key: from_text(&saved.key)?.into(),
            begin: Time(saved.begin),
            last: Time(saved.last),
            caller: saved.client.restore(),
            names: saved.names.into_iter().map(SavedTally::restore).collect(),
            unnamed: saved.unnamed.map_or_else(Tally::default, |saved| saved.restore().1),
            current: saved.current,
            greeted: saved.greeted,
            state: saved.state,
            waiting: waiting.collect::<Option<_>>()?,
            left: from_text(&saved.left)?,
            right: from_text(&saved.right)?,
            in_mail: saved.in_mail,
        })
    }
}

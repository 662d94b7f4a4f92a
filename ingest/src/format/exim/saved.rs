//! Open Exim sessions as they are stored: what `Reader::save` writes under `exim`.
//!
//! Defaults are left out. The key is bytes; each octet is written as the character of that number. Names
//! are written as their normalised text, which reads back as the same name.

use helostat_zones::name::Name;
use helostat_zones::observation::Outcome;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use super::{Exim, Named, Session};
use crate::bytes::{from_text, to_text};
use crate::format::{self, SavedCaller, SavedState, TWICE};
use crate::session::{SavedTally, is_false};

/// A session as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    /// The key, each octet as the character of that number.
    key: String,
    #[serde(default, skip_serializing_if = "is_false")]
    alone: bool,
    begin: u32,
    last: u32,
    client: SavedCaller,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<SavedName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logged: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    greeting_refused: Option<u32>,
    #[serde(default, skip_serializing_if = "is_false")]
    ended: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedName {
    tally: SavedTally,
    /// The name is not shown; the tally's is empty.
    #[serde(default, skip_serializing_if = "is_false")]
    hidden: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    login: bool,
    time: u32,
    last: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sender: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<Outcome>,
    #[serde(default, skip_serializing_if = "is_false")]
    done: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    broken: bool,
}

impl Exim {
    /// The open sessions, in the order in which they began.
    pub(super) fn saved(&self) -> SavedState {
        let sessions: Vec<Saved> =
            self.sessions.iter().map(|(key, session)| session.save(key)).collect();
        format::saved(&sessions)
    }

    /// Opens what `saved` wrote.
    pub(super) fn take_up(&mut self, saved: SavedState) -> Result<(), String> {
        for saved in format::restored::<Saved>(saved)? {
            let key = from_text(&saved.key).ok_or(TWICE)?;
            if self.sessions.open(&key, Session::restore(saved)).is_some() {
                return Err(TWICE.to_owned());
            }
        }
        Ok(())
    }
}

impl Session {
    fn save(&self, key: &[u8]) -> Saved {
        Saved {
            key: to_text(key),
            alone: self.alone,
            begin: self.begin.0,
            last: self.last.0,
            client: SavedCaller::of(&self.caller),
            names: self.names.iter().map(Named::save).collect(),
            logged: self.logged,
            port: self.port,
            greeting_refused: self.greeting_refused.map(|time| time.0),
            ended: self.ended,
        }
    }

    fn restore(saved: Saved) -> Self {
        Self {
            alone: saved.alone,
            begin: Time(saved.begin),
            last: Time(saved.last),
            caller: saved.client.restore(),
            names: saved.names.into_iter().map(Named::restore).collect(),
            logged: saved.logged,
            port: saved.port,
            greeting_refused: saved.greeting_refused.map(Time),
            ended: saved.ended,
        }
    }
}

impl Named {
    fn save(&self) -> SavedName {
        let name = self.name.clone().unwrap_or_else(Name::absent);
        SavedName {
            tally: SavedTally::of(&name, &self.tally),
            hidden: self.name.is_none(),
            login: self.login,
            time: self.time.0,
            last: self.last.0,
            sender: self.sender,
            told: self.told,
            done: self.done,
            broken: self.broken,
        }
    }

    fn restore(saved: SavedName) -> Self {
        let (name, tally) = saved.tally.restore();
        Self {
            name: (!saved.hidden).then_some(name),
            login: saved.login,
            tally,
            time: Time(saved.time),
            last: Time(saved.last),
            sender: saved.sender,
            told: saved.told,
            done: saved.done,
            broken: saved.broken,
        }
    }
}

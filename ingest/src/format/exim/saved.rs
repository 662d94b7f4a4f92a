//! Open Exim sessions as they are stored: what `Reader::save` writes under `exim`.
//!
//! Defaults are left out. The key is bytes; each octet is written as the character of that number. Names
//! are written as their normalised text, which reads back as the same name.

use helostat_zones::name::Name;
use helostat_zones::observation::Outcome;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Exim, Named, Session};
use crate::bytes::{from_text, to_text};
use crate::format::{self, SavedCaller, TWICE};
use crate::session::{SavedTally, is_false};

/// A session as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    /// The key, each octet as the character of that number.
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<u32>,
    begin: u32,
    last: u32,
    client: SavedCaller,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<SavedName>,
    unnamed: SavedTally,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logged: Option<usize>,
    #[serde(default, skip_serializing_if = "is_false")]
    greeting_refused: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    ended: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedName {
    tally: SavedTally,
    time: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<Outcome>,
    #[serde(default, skip_serializing_if = "is_false")]
    done: bool,
}

impl Exim {
    /// The open sessions, in the order in which they began.
    pub(super) fn saved(&self) -> Value {
        let sessions: Vec<Saved> =
            self.sessions.iter().map(|(key, session)| session.save(key)).collect();
        format::saved(&sessions)
    }

    /// Opens what `saved` wrote.
    pub(super) fn take_up(&mut self, saved: Value) -> Result<(), String> {
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
            process: self.process,
            begin: self.begin.0,
            last: self.last.0,
            client: SavedCaller::of(&self.caller),
            names: self
                .names
                .iter()
                .map(|named| SavedName {
                    tally: SavedTally::of(&named.name, &named.tally),
                    time: named.time.0,
                    told: named.told,
                    done: named.done,
                })
                .collect(),
            unnamed: SavedTally::of(&Name::absent(), &self.unnamed),
            logged: self.logged,
            greeting_refused: self.greeting_refused,
            ended: self.ended,
        }
    }

    fn restore(saved: Saved) -> Self {
        let names = saved.names.into_iter().map(|saved| {
            let (name, tally) = saved.tally.restore();
            Named { name, tally, time: Time(saved.time), told: saved.told, done: saved.done }
        });
        Self {
            process: saved.process,
            begin: Time(saved.begin),
            last: Time(saved.last),
            caller: saved.client.restore(),
            names: names.collect(),
            unnamed: saved.unnamed.restore().1,
            logged: saved.logged,
            greeting_refused: saved.greeting_refused,
            ended: saved.ended,
        }
    }
}

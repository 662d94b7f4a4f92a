//! Open Exim sessions as they are stored: what `Reader::save` writes under `exim`.
//!
//! Defaults are left out. The key is bytes; each octet is written as the character of that number. Names
//! are written as their normalised text, which reads back as the same name.

use helostat_zones::name::Name;
use helostat_zones::observation::{Outcome, Reporter};
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use super::{Exim, Named, Session};
use crate::bytes::{from_text, to_text};
use crate::format::Caller;
use crate::session::{SavedTally, is_false};

/// A session as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    /// The key, each octet as the character of that number.
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<u32>,
    begin: u32,
    last: u32,
    ip: std::net::IpAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rdns: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<SavedName>,
    unnamed: SavedTally,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logged: Option<usize>,
    #[serde(default, skip_serializing_if = "is_false")]
    greeting_refused: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    ended: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    private: bool,
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
    pub(crate) fn save(&self) -> Vec<Saved> {
        self.sessions.iter().map(|(key, session)| session.save(key)).collect()
    }

    /// Opens what `save` wrote.
    pub(crate) fn restore(reporter: Reporter, saved: Vec<Saved>) -> Option<Self> {
        let mut exim = Self::new(reporter);
        for saved in saved {
            let key = from_text(&saved.key)?;
            if exim.sessions.open(&key, Session::restore(saved)).is_some() {
                return None;
            }
        }
        Some(exim)
    }
}

impl Session {
    fn save(&self, key: &[u8]) -> Saved {
        Saved {
            key: to_text(key),
            process: self.process,
            begin: self.begin.0,
            last: self.last.0,
            ip: self.caller.ip,
            rdns: self.caller.rdns.clone(),
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
            private: self.private,
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
            caller: Caller { ip: saved.ip, rdns: saved.rdns },
            names: names.collect(),
            unnamed: saved.unnamed.restore().1,
            logged: saved.logged,
            greeting_refused: saved.greeting_refused,
            ended: saved.ended,
            private: saved.private,
        }
    }
}

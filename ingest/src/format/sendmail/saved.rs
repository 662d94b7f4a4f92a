//! Open Sendmail sessions as they are stored: what `Reader::save` writes under `sendmail`.
//!
//! Defaults are left out. Keys and queue ids are bytes; each octet is written as the character of that number. Names
//! are written as their normalised text, which reads back as the same name.

use helostat_zones::name::Name;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use super::{Flags, Pending, Sendmail, Session};
use crate::bytes::{from_text, to_text};
use crate::format::{self, SavedCaller, SavedState, TWICE};
use crate::session::{SavedTally, Tally};

/// A session as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    /// The key, each octet as the character of that number.
    key: String,
    begin: u32,
    last: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<SavedCaller>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<SavedTally>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unnamed: Option<SavedTally>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<SavedPending>,
    #[serde(default, skip_serializing_if = "is_default")]
    flags: Flags,
}

/// A command that waits for its reply, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SavedPending {
    Ehlo(String),
    Helo(String),
    Mail,
    Rcpt,
    Data,
    Body,
    StartTls,
    Auth,
    Quit,
}

fn is_default(flags: &Flags) -> bool {
    *flags == Flags::default()
}

impl Sendmail {
    /// The open sessions, in the order in which they began.
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
            client: self.caller.as_ref().map(SavedCaller::of),
            queue_id: self.queue_id.as_deref().map(to_text),
            names: self.names.iter().map(|(name, tally)| SavedTally::of(name, tally)).collect(),
            unnamed,
            current: self.current,
            pending: self.pending.as_ref().map(Pending::save),
            flags: self.flags.clone(),
        }
    }

    fn restore(saved: Saved) -> Option<Self> {
        let queue_id = match saved.queue_id {
            Some(text) => Some(from_text(&text)?.into()),
            None => None,
        };
        Some(Self {
            key: from_text(&saved.key)?.into(),
            begin: Time(saved.begin),
            last: Time(saved.last),
            caller: saved.client.map(SavedCaller::restore),
            queue_id,
            names: saved.names.into_iter().map(SavedTally::restore).collect(),
            unnamed: saved.unnamed.map_or_else(Tally::default, |saved| saved.restore().1),
            current: saved.current,
            pending: saved.pending.map(SavedPending::restore),
            flags: saved.flags,
        })
    }
}

impl Pending {
    fn save(&self) -> SavedPending {
        match self {
            Self::Greeting(true, name) => SavedPending::Ehlo(name.text().to_owned()),
            Self::Greeting(false, name) => SavedPending::Helo(name.text().to_owned()),
            Self::Mail => SavedPending::Mail,
            Self::Rcpt => SavedPending::Rcpt,
            Self::Data => SavedPending::Data,
            Self::Body => SavedPending::Body,
            Self::StartTls => SavedPending::StartTls,
            Self::Auth => SavedPending::Auth,
            Self::Quit => SavedPending::Quit,
        }
    }
}

impl SavedPending {
    fn restore(self) -> Pending {
        match self {
            Self::Ehlo(name) => Pending::Greeting(true, Name::parse(name.as_bytes())),
            Self::Helo(name) => Pending::Greeting(false, Name::parse(name.as_bytes())),
            Self::Mail => Pending::Mail,
            Self::Rcpt => Pending::Rcpt,
            Self::Data => Pending::Data,
            Self::Body => Pending::Body,
            Self::StartTls => Pending::StartTls,
            Self::Auth => Pending::Auth,
            Self::Quit => Pending::Quit,
        }
    }
}

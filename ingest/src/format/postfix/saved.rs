//! Open Postfix sessions as they are stored: what `Reader::save` writes under `postfix`.
//!
//! Defaults are left out. Keys and queue ids are bytes; each octet is written as the character of that
//! number. Names are written as their normalised text, which reads back as the same name.

use std::collections::HashMap;

use helostat_zones::name::Name;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use super::{Message, Postfix, Session, queue_key};
use crate::bytes::{from_text, to_text};
use crate::format::{self, SavedCaller, SavedState, TWICE};
use crate::session::{Refusal, SavedTally, Stage, is_false, is_zero};

/// A session as it is stored.
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
    unnamed: SavedTally,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    messages: Vec<SavedMessage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    permitted: Option<usize>,
    #[serde(default, skip_serializing_if = "is_false")]
    in_mail: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    transactions: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    present: Option<usize>,
    #[serde(default, skip_serializing_if = "is_false")]
    proxied: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probed: Option<(usize, Refusal)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost: Option<Stage>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedMessage {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<usize>,
    #[serde(default, skip_serializing_if = "is_false")]
    has_id: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    refused: bool,
    /// The queue id is another session's by now.
    #[serde(default, skip_serializing_if = "is_false")]
    reused: bool,
}

impl Postfix {
    /// The open sessions, in the order in which they began.
    pub(super) fn saved(&self) -> SavedState {
        let sessions: Vec<Saved> =
            self.sessions.iter().map(|(_, session)| session.save(&self.queue)).collect();
        format::saved(&sessions)
    }

    /// Opens what `saved` wrote.
    pub(super) fn take_up(&mut self, saved: SavedState) -> Result<(), String> {
        for saved in format::restored::<Saved>(saved)? {
            let current: Vec<bool> = saved.messages.iter().map(|message| !message.reused).collect();
            let session = Session::restore(saved).ok_or(TWICE)?;
            let host: Box<[u8]> = session.host().into();
            for message in session
                .messages
                .iter()
                .zip(current)
                .filter_map(|(message, current)| current.then_some(message))
            {
                let key = queue_key(&host, &message.queue_id);
                self.queue.insert(key.into(), session.key.clone());
            }
            let key = session.key.clone();
            if self.sessions.open(&key, session).is_some() {
                return Err(TWICE.to_owned());
            }
        }
        Ok(())
    }
}

impl Session {
    fn save(&self, queue: &HashMap<Box<[u8]>, Box<[u8]>>) -> Saved {
        let host = self.host();
        let reused = |message: &Message| {
            queue.get(&queue_key(host, &message.queue_id)[..]) != Some(&self.key)
        };
        Saved {
            key: to_text(&self.key),
            begin: self.begin.0,
            last: self.last.0,
            client: SavedCaller::of(&self.caller),
            names: self.names.iter().map(|(name, tally)| SavedTally::of(name, tally)).collect(),
            unnamed: SavedTally::of(&Name::absent(), &self.unnamed),
            messages: self
                .messages
                .iter()
                .map(|message| SavedMessage {
                    id: to_text(&message.queue_id),
                    name: message.name,
                    after: message.after,
                    has_id: message.has_id,
                    refused: message.refused,
                    reused: reused(message),
                })
                .collect(),
            permitted: self.permitted,
            in_mail: self.in_mail,
            transactions: self.transactions,
            present: self.present,
            proxied: self.proxied,
            probed: self.probed,
            lost: self.lost,
        }
    }

    fn restore(saved: Saved) -> Option<Self> {
        let messages = saved.messages.into_iter().map(|message| {
            Some(Message {
                queue_id: from_text(&message.id)?.into(),
                name: message.name,
                after: message.after,
                has_id: message.has_id,
                refused: message.refused,
            })
        });
        Some(Self {
            key: from_text(&saved.key)?.into(),
            begin: Time(saved.begin),
            last: Time(saved.last),
            caller: saved.client.restore(),
            names: saved.names.into_iter().map(SavedTally::restore).collect(),
            unnamed: saved.unnamed.restore().1,
            messages: messages.collect::<Option<_>>()?,
            permitted: saved.permitted,
            in_mail: saved.in_mail,
            transactions: saved.transactions,
            present: saved.present,
            proxied: saved.proxied,
            probed: saved.probed,
            lost: saved.lost,
        })
    }
}

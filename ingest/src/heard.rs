//! What a log says of one session or message: more than the ledger learns, and sometimes less.
//!
//! A format makes one `Heard` for every name that a session showed (and for every message, where messages
//! are told one by one). What has a name and no reason to stay apart becomes an `Observation` for the
//! ledger; the rest is counted and, by `helostat learn --to-json`, shown.
//!
//! `name` is `None` where the log does not show what the client said, and `Name::absent()` where it
//! shows that the client said nothing. These are different things: the first teaches nothing.

use std::net::IpAddr;

use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, Reporter};
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

/// The longest reason that is kept, in octets; more says no more to people.
pub const REASON_MAX: usize = 160;

/// One session or message, as far as the log tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When the session began or the message came.
    pub time: Time,
    /// The client, canonical (never IPv4-mapped IPv6).
    pub ip: IpAddr,
    /// The name in force; `None` where the log does not show it.
    pub name: Option<Name>,
    /// The reverse name that the MTA verified; `None` if it logged none.
    pub rdns: Option<Box<str>>,
    /// How the client spoke, where the log says.
    pub proto: Option<Proto>,
    /// How it ended.
    pub outcome: Outcome,
    /// The SMTP stage that decided, in lower case.
    pub stage: Option<&'static str>,
    /// The MTA's words for it: printable ASCII, at most [`REASON_MAX`] octets.
    pub reason: Option<Box<str>>,
    /// The MTA refused it because of an answer of ours.
    pub by_us: bool,
    /// The outcome it was told with before.
    pub supersedes: Option<Outcome>,
    /// Why it is not to be learned.
    pub apart: Option<Apart>,
    /// Who saw it.
    pub reporter: Reporter,
    /// Its number in a table that numbers its rows.
    pub seq: Option<u64>,
    /// What somebody knows it to have been; nothing is ever learned from it.
    pub label: Option<Label>,
}

impl Heard {
    /// What the ledger is to learn of it: nothing without a name.
    pub fn observation(&self) -> Option<Observation> {
        Some(Observation {
            time: self.time,
            ip: self.ip,
            name: self.name.clone()?,
            rdns: self.rdns.clone(),
            outcome: self.outcome,
            stage: self.stage,
            by_us: self.by_us,
            supersedes: self.supersedes,
            reporter: self.reporter.clone(),
        })
    }

    /// The name's text; empty where nothing was said, or nobody knows what.
    pub fn name_text(&self) -> &str {
        self.name.as_ref().map_or("", |name| name.text())
    }
}

/// What somebody saw without a log.
impl From<&Observation> for Heard {
    fn from(seen: &Observation) -> Self {
        Self {
            time: seen.time,
            ip: seen.ip,
            name: Some(seen.name.clone()),
            rdns: seen.rdns.clone(),
            proto: None,
            outcome: seen.outcome,
            stage: seen.stage,
            reason: None,
            by_us: seen.by_us,
            supersedes: seen.supersedes,
            apart: None,
            reporter: seen.reporter.clone(),
            seq: None,
            label: None,
        }
    }
}

/// What a message was, as whoever made a table of old mail knows: for measuring verdicts, never for making them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Mail that was wanted.
    Ham,
    /// Mail that was not.
    Spam,
}

impl Label {
    /// What a word says, in any case; other words say nothing.
    pub fn parse(word: &[u8]) -> Option<Self> {
        [(Self::Ham, b"ham".as_slice()), (Self::Spam, b"spam")]
            .into_iter()
            .find_map(|(label, known)| known.eq_ignore_ascii_case(word).then_some(label))
    }
}

/// Why what was heard is no stranger's mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Apart {
    /// A user logged in, or tried a service for users.
    Login,
    /// A content filter gave mail back.
    Reinjected,
}

impl Apart {
    /// The word for it in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Reinjected => "reinjected",
        }
    }
}

/// How a client spoke (RFC 3848): EHLO or HELO, with TLS, after a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proto {
    /// It said EHLO.
    pub extended: bool,
    /// Under TLS.
    pub tls: bool,
    /// After a login.
    pub auth: bool,
}

impl Proto {
    /// `SMTP`, `ESMTP`, `ESMTPS`, `ESMTPA`, `ESMTPSA`; TLS and logins need EHLO.
    pub fn word(self) -> &'static str {
        match (self.extended || self.tls || self.auth, self.tls, self.auth) {
            (false, ..) => "SMTP",
            (true, false, false) => "ESMTP",
            (true, true, false) => "ESMTPS",
            (true, false, true) => "ESMTPA",
            (true, true, true) => "ESMTPSA",
        }
    }

    /// TLS and logins need EHLO.
    pub(crate) fn canonical(self) -> Self {
        Self { extended: self.extended || self.tls || self.auth, ..self }
    }

    /// What a word of RFC 3848 means, in any case; also Exim's `smtps` (HELO under TLS).
    pub fn parse(word: &[u8]) -> Option<Self> {
        let word = word.to_ascii_uppercase();
        let word = word.strip_prefix(b"UTF8").unwrap_or(&word);
        let (extended, flags) = match word.strip_prefix(b"ESMTP") {
            Some(flags) => (true, flags),
            None => (false, word.strip_prefix(b"SMTP")?),
        };
        let (tls, auth) = match flags {
            b"" => (false, false),
            b"S" => (true, false),
            b"A" => (false, true),
            b"SA" => (true, true),
            _ => return None,
        };
        Some(Self { extended, tls, auth })
    }
}

/// A reply of the MTA as a reason: printable, and no longer than a reason may be.
pub(crate) fn reason(text: &[u8]) -> Option<Box<str>> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return None;
    }
    let kept = text.get(..REASON_MAX).unwrap_or(text);
    let mut printable = kept.trim_ascii_end().to_vec();
    for byte in &mut printable {
        if !matches!(*byte, b' '..=b'~') {
            *byte = b'?';
        }
    }
    String::from_utf8(printable).ok().map(Into::into)
}

//! What each mail program says: one file a program, from framed line to what was heard.
//!
//! A format owns its open sessions. It is given framed lines in order, appends to `out` what they come to,
//! and says what became of the line. Rules common to all: a line is read from both ends and never by
//! searching across text that a client chose; where two readings are possible the name (or the line)
//! is dropped and counted; an address is only ever taken from where the program itself put it.
//!
//! To add one: a file with a [`Format`], a word in [`Program`], a row in [`TABLE`].

pub(crate) mod amavis;
pub(crate) mod csv;
pub(crate) mod exchange;
pub(crate) mod exim;
pub(crate) mod haraka;
pub(crate) mod hmailserver;
pub(crate) mod json;
pub(crate) mod mailenable;
pub(crate) mod opensmtpd;
pub(crate) mod postfix;
pub(crate) mod powermta;
pub(crate) mod qmail;
pub(crate) mod rspamd;
pub(crate) mod sendmail;
pub(crate) mod stalwart;

use std::fmt::Debug;
use std::net::IpAddr;

use helostat_zones::name::Name;
use helostat_zones::observation::{Outcome, Reporter};
use helostat_zones::time::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::fate::{Fate, Program};
use crate::framing::Frame;
use crate::heard::{Apart, Heard, Proto};
use crate::ours::Ours;
use crate::session::Tally;
use crate::stamps::Stamps;

/// Joins the lines of one program in one source.
pub(crate) trait Format: Debug + Send {
    /// Reads one line, appending to `out` what it completes. `stamps` is for formats whose text holds stamps.
    fn read(&mut self, frame: &Frame<'_>, stamps: &mut Stamps, out: &mut Vec<Heard>) -> Reading;

    /// A raw line, before its wrapping is looked at: what becomes of it if it is the rest of the line before,
    /// whatever it looks like.
    fn rest(&mut self, _line: &[u8]) -> Option<Reading> {
        None
    }

    /// Closes what has been silent for too long, in log time.
    fn sweep(&mut self, now: Time, out: &mut Vec<Heard>);

    /// Closes everything.
    fn close(&mut self, out: &mut Vec<Heard>);

    /// How many sessions are open.
    fn open_sessions(&self) -> usize;

    /// How many sessions gave way because too many were open.
    fn closed_early(&self) -> u64;

    /// Whatever the next lines need of the lines before, to be stored; `None` if that is nothing.
    fn save(&self) -> SavedState;

    /// Takes up what `save` wrote; only before the first line. The error is a sentence.
    fn restore(&mut self, saved: SavedState) -> Result<(), String>;
}

/// Whose lines are read, and what is known beside them.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Who reports.
    pub(crate) reporter: Reporter,
    /// By which signs our own answers are known.
    pub(crate) ours: Ours,
}

/// A line of a program's own log taken out of its wrapping; `None` if it is no such line.
pub(crate) type Own = for<'a> fn(&'a [u8], &mut Stamps) -> Option<Result<Frame<'a>, &'static str>>;

/// A program that is understood.
pub(crate) struct Row {
    pub(crate) program: Program,
    /// A format without sessions.
    pub(crate) open: fn(&Setting) -> Box<dyn Format>,
    /// True for the tags that it has in syslog; the text is there for tags that several have.
    pub(crate) has_tag: fn(tag: &[u8], text: &[u8]) -> bool,
    /// For programs that write a log of their own, without syslog.
    pub(crate) own: Option<Own>,
}

/// Every program, in the order in which a line is offered to them.
pub(crate) const TABLE: &[Row] = &[
    Row {
        program: Program::Postfix,
        open: |setting| Box::new(postfix::Postfix::new(setting)),
        has_tag: |tag, _| postfix::is_tag(tag),
        own: None,
    },
    // Before Exim, whose stamps are the same.
    Row {
        program: Program::Rspamd,
        open: |setting| Box::new(rspamd::Rspamd::new(setting)),
        has_tag: |tag, _| rspamd::is_tag(tag),
        own: Some(rspamd::own),
    },
    Row {
        program: Program::Exim,
        open: |setting| Box::new(exim::Exim::new(setting)),
        has_tag: |tag, _| exim::is_tag(tag),
        own: Some(exim::own),
    },
    Row {
        program: Program::Sendmail,
        open: |setting| Box::new(sendmail::Sendmail::new(setting)),
        has_tag: |tag, _| sendmail::is_tag(tag),
        own: None,
    },
    // Before OpenSMTPD: splogger is mostly told to call itself `smtpd`, too, and then the text decides.
    Row {
        program: Program::Qmail,
        open: |setting| Box::new(qmail::Qmail::new(setting)),
        has_tag: qmail::is_tag,
        own: Some(qmail::own),
    },
    Row {
        program: Program::Amavis,
        open: |_| Box::new(amavis::Amavis),
        has_tag: |tag, _| amavis::is_tag(tag),
        own: None,
    },
    Row {
        program: Program::OpenSmtpd,
        open: |setting| Box::new(opensmtpd::OpenSmtpd::new(setting)),
        has_tag: |tag, _| opensmtpd::is_tag(tag),
        own: Some(opensmtpd::own),
    },
    Row {
        program: Program::Haraka,
        open: |setting| Box::new(haraka::Haraka::new(setting)),
        has_tag: |tag, _| haraka::is_tag(tag),
        own: Some(haraka::own),
    },
    Row {
        program: Program::Stalwart,
        open: |setting| Box::new(stalwart::Stalwart::new(setting)),
        has_tag: |tag, _| stalwart::is_tag(tag),
        own: Some(stalwart::own),
    },
    Row {
        program: Program::Exchange,
        open: |setting| Box::new(exchange::Exchange::new(setting)),
        has_tag: |_, _| false,
        own: Some(exchange::own),
    },
    Row {
        program: Program::HMailServer,
        open: |setting| Box::new(hmailserver::HMailServer::new(setting)),
        has_tag: |_, _| false,
        own: Some(hmailserver::own),
    },
    Row {
        program: Program::MailEnable,
        open: |setting| Box::new(mailenable::MailEnable::new(setting)),
        has_tag: |_, _| false,
        own: Some(mailenable::own),
    },
    Row {
        program: Program::PowerMta,
        open: |setting| Box::new(powermta::PowerMta::new(setting)),
        has_tag: |_, _| false,
        own: Some(powermta::own),
    },
    Row {
        program: Program::Json,
        open: |setting| Box::new(json::Json::new(setting)),
        has_tag: |_, _| false,
        own: Some(json::own),
    },
    Row {
        program: Program::Csv,
        open: |setting| Box::new(csv::Csv::new(setting)),
        has_tag: |_, _| false,
        own: Some(csv::own),
    },
];

/// What a format needs of the lines before, as JSON text; `None` if that is nothing.
pub(crate) type SavedState = Option<Box<RawValue>>;

/// For `Format::save`: what serde can write.
pub(crate) fn raw(saved: &impl Serialize) -> SavedState {
    // Strings, numbers and lists only: there is nothing that JSON could refuse.
    to_raw_value(saved).ok()
}

/// For `Format::restore`: what [`raw`] wrote.
pub(crate) fn from_raw<T: DeserializeOwned>(saved: &RawValue) -> Result<T, String> {
    serde_json::from_str(saved.get()).map_err(|error| error.to_string())
}

/// For `Format::save`: anything that serde can write; nothing open is `None`.
pub(crate) fn saved<T: Serialize>(sessions: &[T]) -> SavedState {
    if sessions.is_empty() { None } else { raw(&sessions) }
}

/// For `Format::restore`: the sessions that [`saved`] wrote.
pub(crate) fn restored<T: DeserializeOwned>(saved: SavedState) -> Result<Vec<T>, String> {
    saved.map_or_else(|| Ok(Vec::new()), |saved| from_raw(&saved))
}

/// For `Format::restore`: why what was saved cannot be.
pub(crate) const TWICE: &str = "a session is in it twice, or is damaged";

/// What became of one line: its fate, and a reason word where it was not understood.
pub(crate) type Reading = (Fate, Option<&'static str>);

pub(crate) const SESSION: Reading = (Fate::Session, None);
pub(crate) const IRRELEVANT: Reading = (Fate::Irrelevant, None);

/// A line that could be read in two ways, and why.
pub(crate) fn ambiguous(why: &'static str) -> Reading {
    (Fate::Ambiguous, Some(why))
}

/// A line of no known shape, and why.
pub(crate) fn not_understood(why: &'static str) -> Reading {
    (Fate::NotUnderstood, Some(why))
}

/// The client of a session: its address, its verified reverse name, how it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) ip: IpAddr,
    pub(crate) rdns: Option<Box<str>>,
    pub(crate) proto: Option<Proto>,
    pub(crate) apart: Option<Apart>,
}

impl Caller {
    /// A stranger of whom nothing is known but the address.
    pub(crate) fn new(ip: IpAddr) -> Self {
        Self { ip, rdns: None, proto: None, apart: None }
    }

    /// What `tally` comes to under `name` (`None`: not shown).
    pub(crate) fn tell(
        &self,
        time: Time,
        name: Option<&Name>,
        tally: &Tally,
        supersedes: Option<Outcome>,
        reporter: &Reporter,
    ) -> Heard {
        let (outcome, stage) = tally.outcome();
        let refused = matches!(outcome, Outcome::Rejected | Outcome::Deferred | Outcome::Refused);
        Heard {
            time,
            ip: self.ip,
            name: name.cloned(),
            rdns: self.rdns.clone(),
            proto: self.proto.map(Proto::canonical),
            outcome,
            stage: stage.map(|stage| stage.word()),
            reason: stage.and_then(|_| tally.reason.clone()),
            by_us: refused && tally.by_us,
            supersedes,
            apart: self.apart,
            reporter: reporter.clone(),
            seq: None,
            label: None,
        }
    }
}

/// A caller as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedCaller {
    ip: IpAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rdns: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proto: Option<Proto>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    apart: Option<Apart>,
}

impl SavedCaller {
    pub(crate) fn of(caller: &Caller) -> Self {
        let Caller { ip, rdns, proto, apart } = caller.clone();
        Self { ip, rdns, proto, apart }
    }

    pub(crate) fn restore(self) -> Caller {
        let Self { ip, rdns, proto, apart } = self;
        Caller { ip, rdns, proto, apart }
    }
}

/// The longest name of a reporter in a line, in octets.
const REPORTER_MAX: usize = 255;

/// A verified reverse name as text; `None` if it is not printable ASCII of a name's length.
pub(crate) fn reverse_name(text: &[u8]) -> Option<Box<str>> {
    if text.is_empty() || text.len() > 255 || !text.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    std::str::from_utf8(text).ok().map(|text| text.to_ascii_lowercase().into())
}

/// A reporter that a line names: printable, and no longer than a name in the configuration would be.
pub(crate) fn reporter_of(text: &[u8]) -> Option<Reporter> {
    let text = std::str::from_utf8(text).ok()?;
    let sound =
        !text.is_empty() && text.len() <= REPORTER_MAX && !text.chars().any(char::is_control);
    sound.then(|| text.into())
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::fate::LineReading;
    use crate::reader::{FormatChoice, Reader};

    /// What the lines of a log come to. Before every line the reader is stored and taken up again.
    pub(crate) fn read(log: &str) -> (Vec<Heard>, Vec<LineReading>) {
        let latest = Time::parse("2026-11-20T15:00:00Z").expect("a time");
        let reader = || Reader::new(FormatChoice::Auto, "mx".into(), TimeZone::UTC);
        let (mut running, mut out, mut readings) = (reader(), Vec::new(), Vec::new());
        for line in log.lines() {
            let saved = running.save();
            running = reader().restore(&saved).expect("what save wrote");
            assert_eq!(running.save(), saved, "{line}");
            readings.push(running.read(line.as_bytes(), latest, &mut out));
        }
        running.close(&mut out);
        (out, readings)
    }

    /// What a log comes to, as text.
    pub(crate) fn told(log: &str) -> Vec<String> {
        read(log).0.iter().map(show).collect()
    }

    fn show(one: &Heard) -> String {
        let name = one.name.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
        let mut text = format!("{} {name} {}", one.ip, one.outcome);
        if let Some(stage) = one.stage {
            text.push_str(&format!(" at {stage}"));
        }
        if let Some(rdns) = &one.rdns {
            text.push_str(&format!(" rdns={rdns}"));
        }
        if let Some(proto) = one.proto {
            text.push_str(&format!(" {}", proto.word()));
        }
        if let Some(apart) = one.apart {
            text.push_str(&format!(" {}", apart.word()));
        }
        if &*one.reporter != "mx" {
            text.push_str(&format!(" by {}", one.reporter));
        }
        if let Some(seq) = one.seq {
            text.push_str(&format!(" #{seq}"));
        }
        if let Some(label) = one.label {
            text.push_str(&format!(" is {label:?}"));
        }
        text
    }
}

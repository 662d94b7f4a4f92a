//! Our own JSON lines: one observation a line, as `helostat learn --to-json` writes them and anybody may.
//!
//! In go lines that are one JSON object with at least `time`, `ip` and `outcome`; out comes what was heard, just as it
//! was when it was written: both ways stand here, and `docs/observations.md` tells users. A field that is missing is
//! as one that is null; fields that are not known are passed over, a field that comes twice is not
//! understood. `ehlo` is text as the client said it or as we show it, which is the same to `Name`; empty where the
//! client said nothing, null where nobody knows (with `kind` `absent` it is the former).
//!
//! A line states its own reporter, if it does: who may write such lines may speak for every reporter. Words of
//! `stage` and `proto` that are not known are passed over; anything else wrong costs the line, and a word says why.

use std::net::IpAddr;

use helostat_zones::name::Name;
use helostat_zones::observation::{Outcome, Reporter};
use helostat_zones::time::Time;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Format, Reading, SESSION, SavedState, Setting, not_understood, reporter_of, reverse_name,
};
use crate::bytes::address;
use crate::columns::without_mark;
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::{Apart, Heard, Proto, reason};
use crate::session::Stage;
use crate::stamps::Stamps;

/// A line, in the order in which its fields are written.
#[derive(Serialize)]
struct Written<'a> {
    time: Time,
    ip: IpAddr,
    ehlo: Option<&'a str>,
    kind: &'static str,
    rdns: Option<&'a str>,
    proto: Option<&'static str>,
    outcome: Outcome,
    stage: Option<&'static str>,
    reason: Option<&'a str>,
    reporter: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    supersedes: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_us: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apart: Option<Apart>,
}

/// The `kind` of a name that the log does not show.
const UNKNOWN: &str = "unknown";
/// The `kind` of a client that said nothing.
const ABSENT: &str = "absent";

impl Heard {
    /// As a JSON line, without its line feed.
    pub fn to_json(&self) -> String {
        let written = Written {
            time: self.time,
            ip: self.ip,
            ehlo: self.name.as_ref().map(Name::text).filter(|text| !text.is_empty()),
            kind: self.name.as_ref().map_or(UNKNOWN, |name| name.kind().word()),
            rdns: self.rdns.as_deref(),
            proto: self.proto.map(Proto::word),
            outcome: self.outcome,
            stage: self.stage,
            reason: self.reason.as_deref(),
            reporter: &self.reporter,
            supersedes: self.supersedes,
            by_us: self.by_us.then_some(true),
            apart: self.apart,
        };
        // Strings and flags only: there is nothing that JSON could refuse.
        serde_json::to_string(&written).unwrap_or_default()
    }
}

/// The fields of a line that are known, of whatever type.
#[derive(Deserialize)]
struct Fields {
    time: Option<Value>,
    ip: Option<Value>,
    ehlo: Option<Value>,
    kind: Option<Value>,
    rdns: Option<Value>,
    proto: Option<Value>,
    outcome: Option<Value>,
    stage: Option<Value>,
    reason: Option<Value>,
    reporter: Option<Value>,
    supersedes: Option<Value>,
    by_us: Option<Value>,
    apart: Option<Value>,
}

/// What tells our lines from other people's JSON, and when they are from.
#[derive(Deserialize)]
struct Glance {
    time: Option<Value>,
    ip: Option<IgnoredAny>,
    ehlo: Option<IgnoredAny>,
    outcome: Option<IgnoredAny>,
}

/// Reads lines, each for itself.
#[derive(Debug)]
pub(crate) struct Json {
    setting: Setting,
}

impl Json {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone() }
    }

    fn heard(&self, line: &[u8], stamps: &mut Stamps) -> Result<Heard, &'static str> {
        let fields: Fields = serde_json::from_slice(line).map_err(|_| "json")?;
        let time = text(&fields.time)?.and_then(Time::parse).ok_or("bad-time")?;
        let ip = text(&fields.ip)?.ok_or("no-address")?;
        let by_us = match &fields.by_us {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => return Err("type"),
        };
        Ok(Heard {
            time: stamps.unix(i64::from(time.0))?,
            ip: address(ip.as_bytes()).ok_or("address")?,
            name: name(text(&fields.ehlo)?, text(&fields.kind)?),
            rdns: match text(&fields.rdns)? {
                None | Some("") => None,
                Some(rdns) => Some(reverse_name(rdns.as_bytes()).ok_or("reverse-name")?),
            },
            proto: text(&fields.proto)?.and_then(|word| Proto::parse(word.as_bytes())),
            outcome: outcome(&fields.outcome)?.ok_or("no-outcome")?,
            stage: text(&fields.stage)?.and_then(stage),
            reason: text(&fields.reason)?.and_then(|words| reason(words.as_bytes())),
            by_us,
            supersedes: outcome(&fields.supersedes)?,
            apart: match text(&fields.apart)? {
                None => None,
                Some(word) => Some(apart(word).ok_or("apart")?),
            },
            reporter: match text(&fields.reporter)? {
                None => self.setting.reporter.clone(),
                Some(word) => self.reporter(word).ok_or("reporter")?,
            },
            seq: None,
            label: None,
        })
    }

    fn reporter(&self, word: &str) -> Option<Reporter> {
        if word == &*self.setting.reporter {
            return Some(self.setting.reporter.clone());
        }
        reporter_of(word.as_bytes())
    }
}

impl Format for Json {
    fn read(&mut self, frame: &Frame<'_>, stamps: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        match self.heard(without_mark(frame.text), stamps) {
            Ok(heard) => {
                out.push(heard);
                SESSION
            }
            Err(why) => not_understood(why),
        }
    }

    fn sweep(&mut self, _: Time, _: &mut Vec<Heard>) {}

    fn close(&mut self, _: &mut Vec<Heard>) {}

    fn open_sessions(&self) -> usize {
        0
    }

    fn closed_early(&self) -> u64 {
        0
    }

    fn save(&self) -> SavedState {
        None
    }

    fn restore(&mut self, _: SavedState) -> Result<(), String> {
        Ok(())
    }
}

/// The text of a field; `None` if it is null or missing.
fn text(field: &Option<Value>) -> Result<Option<&str>, &'static str> {
    match field {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("type"),
    }
}

fn name(ehlo: Option<&str>, kind: Option<&str>) -> Option<Name> {
    match (ehlo, kind) {
        (Some(ehlo), _) if !ehlo.is_empty() => Some(Name::parse(ehlo.as_bytes())),
        (_, Some(UNKNOWN)) => None,
        (Some(_), _) | (None, Some(ABSENT)) => Some(Name::absent()),
        (None, _) => None,
    }
}

fn outcome(field: &Option<Value>) -> Result<Option<Outcome>, &'static str> {
    let Some(word) = text(field)? else { return Ok(None) };
    let known = Outcome::ALL.into_iter().find(|outcome| outcome.word() == word);
    known.map(Some).ok_or("outcome")
}

/// The word for a stage that we know, of any program's words for it.
fn stage(word: &str) -> Option<&'static str> {
    let stage = match word {
        "other" => Some(Stage::Other),
        word => Stage::of(word.as_bytes()),
    };
    stage.map(Stage::word)
}

fn apart(word: &str) -> Option<Apart> {
    [Apart::Login, Apart::Reinjected].into_iter().find(|apart| apart.word() == word)
}

/// A line that is one of ours: an object with a time, an address, and a name or an outcome.
pub(crate) fn own<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
) -> Option<Result<Frame<'a>, &'static str>> {
    let text = without_mark(line);
    if text.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let glance: Glance = serde_json::from_slice(text).ok()?;
    glance.ip?;
    if glance.ehlo.is_none() && glance.outcome.is_none() {
        return None;
    }
    let time = match glance.time? {
        Value::String(time) => Time::parse(&time),
        _ => return Some(Err("type")),
    };
    let Some(time) = time else { return Some(Err("bad-time")) };
    let frame =
        |time| Frame { time, host: b"", tag: b"", pid: None, text, own: Some(Program::Json) };
    Some(stamps.unix(i64::from(time.0)).map(frame))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{read, told};
    use super::*;

    #[test]
    fn lines_of_other_hands() {
        for (line, expected) in [
            (
                r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","ehlo":"A.example","outcome":"accepted"}"#,
                "192.0.2.7 a.example accepted",
            ),
            (
                r#" {"outcome":"rejected","stage":"RCPT","reason":"550 no","ehlo":"a.example","ip":"::ffff:192.0.2.7","time":"2026-11-20T14:40:22.5+01:00","more":{"x":[1]}} "#,
                "192.0.2.7 a.example rejected at rcpt",
            ),
            (
                r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","ehlo":"","outcome":"none"}"#,
                "192.0.2.7 (none) none",
            ),
            (
                r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","ehlo":null,"outcome":"none"}"#,
                "192.0.2.7 ? none",
            ),
            (
                r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","ehlo":null,"kind":"absent","outcome":"none"}"#,
                "192.0.2.7 (none) none",
            ),
            (
                r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","ehlo":"","kind":"unknown","outcome":"none"}"#,
                "192.0.2.7 ? none",
            ),
            (
                r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","outcome":"accepted","proto":"esmtpsa","apart":"login","reporter":"mx9","rdns":"A.example"}"#,
                "192.0.2.7 ? accepted rdns=a.example ESMTPSA login by mx9",
            ),
            (
                r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","outcome":"accepted","proto":"HTTP","stage":"soup"}"#,
                "192.0.2.7 ? accepted",
            ),
        ] {
            assert_eq!(told(line), [expected], "{line}");
        }
    }

    #[test]
    fn what_is_wrong_costs_the_line() {
        for (line, why) in [
            (r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2","outcome":"accepted"}"#, "address"),
            (r#"{"time":"2026-11-20T13:40:22Z","ip":7,"outcome":"accepted"}"#, "type"),
            (r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","outcome":"maybe"}"#, "outcome"),
            (r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","ehlo":"a"}"#, "no-outcome"),
            (
                r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","ehlo":["a"],"outcome":"none"}"#,
                "type",
            ),
            (
                r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","outcome":"none","by_us":"yes"}"#,
                "type",
            ),
            (
                r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","outcome":"none","apart":"x"}"#,
                "apart",
            ),
            (
                r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","outcome":"none","rdns":"a b"}"#,
                "reverse-name",
            ),
            (
                r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","outcome":"none","reporter":"a\nb"}"#,
                "reporter",
            ),
            (r#"{"time":"yesterday","ip":"192.0.2.7","outcome":"none"}"#, "bad-time"),
            (r#"{"time":5,"ip":"192.0.2.7","outcome":"none"}"#, "type"),
            (
                r#"{"time":"2027-11-20T13:40:22Z","ip":"192.0.2.7","outcome":"none"}"#,
                "future-stamp",
            ),
            (r#"{"ip":"192.0.2.7","outcome":"none"}"#, "no-stamp"),
            (
                r#"{"ip":"6.6.6.6","time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","outcome":"none"}"#,
                "no-stamp",
            ),
            (r#"{"time":"2026-11-20T13:40:22Z","ip":"192.0.2.7","outcome":"none""#, "no-stamp"),
            (r#"{"message":"x"}"#, "no-stamp"),
        ] {
            let (out, readings) = read(line);
            assert_eq!(out, [], "{line}");
            assert_eq!(
                readings.iter().map(|one| one.why).collect::<Vec<_>>(),
                [Some(why)],
                "{line}"
            );
        }
    }

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        (0..Outcome::ALL.len()).prop_map(|at| Outcome::ALL[at])
    }

    fn any_heard() -> impl Strategy<Value = Heard> {
        let said = prop_oneof![
            Just(b"mail.example.com".to_vec()),
            Just(b"[192.0.2.7]".to_vec()),
            Just(Vec::new()),
            proptest::collection::vec(any::<u8>(), 0..300),
        ];
        let who = (
            788_918_400u32..1_795_184_855,
            any::<IpAddr>(),
            proptest::option::of(said),
            proptest::option::of("[!-~]{1,40}"),
            proptest::option::of(any::<(bool, bool, bool)>()),
        );
        let how = (
            any_outcome(),
            proptest::option::of(0usize..9),
            proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
            any::<bool>(),
            proptest::option::of(any_outcome()),
            proptest::option::of(any::<bool>()),
            "[^\\p{Cc}]{1,60}",
        );
        (who, how).prop_map(|((time, ip, said, rdns, proto), how)| {
            let (outcome, stage, words, by_us, supersedes, apart, reporter) = how;
            const STAGES: [Stage; 9] = [
                Stage::Connect,
                Stage::Helo,
                Stage::Ehlo,
                Stage::Auth,
                Stage::Mail,
                Stage::Rcpt,
                Stage::Data,
                Stage::EndOfMessage,
                Stage::Other,
            ];
            Heard {
                time: Time(time),
                ip: ip.to_canonical(),
                name: said.map(|said| Name::parse(&said)),
                rdns: rdns.and_then(|rdns| reverse_name(rdns.as_bytes())),
                proto: proto.map(|(extended, tls, auth)| Proto { extended, tls, auth }.canonical()),
                outcome,
                stage: stage.map(|at| STAGES[at].word()),
                reason: words.and_then(|words| reason(&words)),
                by_us,
                supersedes,
                apart: apart.map(|login| if login { Apart::Login } else { Apart::Reinjected }),
                reporter: reporter.into(),
                seq: None,
                label: None,
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(heard in any_heard()) {
            let line = heard.to_json();
            prop_assert!(!line.contains('\n'));
            let (out, _) = read(&line);
            prop_assert_eq!(out, [heard]);
        }

        #[test]
        fn damaged_lines_never_panic(heard in any_heard(), at in any::<usize>(), byte in any::<u8>()) {
            let mut line = heard.to_json().into_bytes();
            let length = line.len();
            line[at % length] = byte;
            read(&String::from_utf8_lossy(&line));
        }
    }
}

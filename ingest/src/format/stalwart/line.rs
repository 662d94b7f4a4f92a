//! One Stalwart event: text in, `Event` out, borrowing from the text where nothing had to be unescaped.
//!
//! Text: `2026-11-20T13:40:22Z INFO SMTP EHLO command (smtp.ehlo) listenerId = "smtp", localPort = 25, remoteIp = IP,
//! remotePort = PORT, domain = "NAME"`, words and keys possibly in ANSI colours; JSON: `{"createdAt":..,
//! "type":"smtp.ehlo","data":{..}}`. The keys of the connection come first, and are the server's; in the text form a
//! quote within a string is **not** escaped, so nothing behind the first string of a client is taken apart: its
//! name is the rest of the line, and colours are taken off only where Stalwart puts them.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::bytes::{address, cut, cut_at, digits_of};
use crate::stamps::iso_stamp;

const LEVELS: [&[u8]; 5] = [b"ERROR", b"WARN", b"INFO", b"DEBUG", b"TRACE"];

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// `smtp.ehlo`.
    pub(super) id: Cow<'a, [u8]>,
    /// The connection; `None` if the event is none's.
    pub(super) peer: Option<Peer<'a>>,
    pub(super) detail: Detail<'a>,
}

/// Which connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer<'a> {
    pub(super) ip: IpAddr,
    pub(super) port: u32,
    pub(super) listener: Cow<'a, [u8]>,
    /// 0 in versions that do not log it.
    pub(super) local_port: u32,
}

/// What else counts of an event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Detail<'a> {
    /// `domain`: the name in force, or the one that was refused.
    pub(super) domain: Option<Cow<'a, [u8]>>,
    /// The one reverse name of a check that passed.
    pub(super) reverse: Option<Cow<'a, [u8]>>,
    /// The first key of the event's own is `to`.
    pub(super) of_recipient: bool,
    /// What the spam filter decided, if it did: `reject`, `discard`.
    pub(super) decided: Option<&'static str>,
}

/// A line, as far as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read<'a> {
    Unknown,
    /// The keys of this event stand in the lines that follow.
    MultiLine,
    Event(Event<'a>),
}

/// Reads a line, its stamp taken off or not.
pub(super) fn read(text: &[u8]) -> Read<'_> {
    if text.starts_with(b"{") {
        return json(text).map_or(Read::Unknown, |(_, event)| Read::Event(event));
    }
    let text = stamped(text).map_or(text, |(_, rest)| rest);
    let Some((id, rest)) = head(text) else { return Read::Unknown };
    let Some(keys) = rest.strip_prefix(b" ") else { return Read::MultiLine };
    let (peer, own) = peer(keys);
    let detail = detail(id, own);
    Read::Event(Event { id: Cow::Borrowed(id), peer, detail })
}

/// A stamp and the blank behind it, both possibly coloured.
pub(super) fn stamped(line: &[u8]) -> Option<(crate::stamps::Stamp, &[u8])> {
    let (stamp, rest) = iso_stamp(plain(line), b'T')?;
    Some((stamp, plain(rest).strip_prefix(b" ")?))
}

/// `LEVEL Description (event.id)` and what follows it.
pub(super) fn head(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = plain(text);
    let rest = LEVELS.iter().find_map(|level| text.strip_prefix(*level))?;
    let rest = plain(plain(rest).strip_prefix(b" ")?);
    // The description is Stalwart's own, and without parentheses.
    let (description, rest) = cut(rest, b'(')?;
    if !description.first().is_some_and(u8::is_ascii_uppercase) || !description.ends_with(b" ") {
        return None;
    }
    let (id, rest) = cut(rest, b')')?;
    is_id(id).then_some((id, rest))
}

fn is_id(id: &[u8]) -> bool {
    let word = |word: &[u8]| {
        !word.is_empty()
            && word
                .iter()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
    };
    cut(id, b'.').is_some_and(|(group, name)| word(group) && word(name))
}

/// The text without the colours at its start.
fn plain(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(b"\x1b[") {
        let codes = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
        match rest.get(codes..).and_then(|rest| rest.strip_prefix(b"m")) {
            Some(after) => text = after,
            None => break,
        }
    }
    text
}

/// `key = ` at the start of the text.
fn key(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = plain(text);
    let end = text.iter().position(|byte| !byte.is_ascii_alphanumeric())?;
    let (key, rest) = text.split_at_checked(end)?;
    Some((key, plain(rest).strip_prefix(b" = ")?))
}

/// The keys of the connection, and those of the event itself. The connection's may be there twice.
fn peer(mut text: &[u8]) -> (Option<Peer<'_>>, &[u8]) {
    let (mut ip, mut port, mut local_port, mut listener) = (None, None, 0, None);
    while let Some((key, value)) = key(text) {
        let (value, rest) = match (key, value.strip_prefix(b"\"")) {
            // The operator's name for it.
            (b"listenerId", Some(inside)) => match cut(inside, b'"') {
                Some(parts) => parts,
                None => break,
            },
            (b"localPort" | b"remoteIp" | b"remotePort" | b"protocol", None) => {
                let end = memchr::memchr(b',', value).unwrap_or(value.len());
                match value.split_at_checked(end) {
                    Some(parts) => parts,
                    None => break,
                }
            }
            _ => break,
        };
        match key {
            b"listenerId" => listener = listener.or(Some(value)),
            b"localPort" => local_port = digits_of(value).unwrap_or(0),
            b"remoteIp" => ip = ip.or_else(|| address(value)),
            b"remotePort" => port = port.or_else(|| digits_of(value)),
            _ => {}
        }
        match rest.strip_prefix(b", ") {
            Some(rest) => text = rest,
            None => {
                text = rest;
                break;
            }
        }
    }
    let peer = ip.zip(port).map(|(ip, port)| Peer {
        ip,
        port,
        listener: Cow::Borrowed(listener.unwrap_or_default()),
        local_port,
    });
    (peer, text)
}

fn detail<'a>(id: &[u8], own: &'a [u8]) -> Detail<'a> {
    let mut detail = Detail::default();
    let first = key(own);
    detail.of_recipient = first.is_some_and(|(key, _)| key == b"to");
    let domain =
        first.filter(|(key, _)| *key == b"domain").and_then(|(_, value)| value.strip_prefix(b"\""));
    match id {
        // The name is the last of the line.
        b"smtp.ehlo" | b"smtp.invalid-ehlo" => {
            detail.domain = domain.and_then(|rest| rest.strip_suffix(b"\"")).map(Cow::Borrowed);
        }
        // Here things follow it: it counts only if it cannot hold them.
        b"smtp.iprev-pass" | b"smtp.iprev-fail" | b"smtp.spf-from-pass" | b"smtp.spf-from-fail" => {
            if let Some((name, rest)) = domain.and_then(|rest| cut(rest, b'"'))
                && rest.starts_with(b", ")
            {
                detail.domain = Some(Cow::Borrowed(name));
                if id == b"smtp.iprev-pass" {
                    detail.reverse = reverse(rest).map(Cow::Borrowed);
                }
            }
        }
        b"spam.classify" => {
            detail.decided = if own.ends_with(b"due to excessive spam score.\"") {
                match cut_at(own, b"result = \"").map(|(_, rest)| rest) {
                    Some(rest) if rest.starts_with(b"reject\"") => Some("reject"),
                    Some(rest) if rest.starts_with(b"discard\"") => Some("discard"),
                    _ => None,
                }
            } else {
                None
            };
        }
        _ => {}
    }
    detail
}

/// The reverse name in `, result = .. (iprev.pass) { details = ["NAME"] }, ..`, if there is but one: of several nobody
/// knows which one passed.
fn reverse(rest: &[u8]) -> Option<&[u8]> {
    let (_, inside) = cut_at(rest, b" (iprev.pass) { ")?;
    let (key, value) = key(inside)?;
    if key != b"details" {
        return None;
    }
    let (name, rest) = cut(value.strip_prefix(b"[\"")?, b'"')?;
    rest.starts_with(b"]").then_some(name)
}

/// A JSON line, and when it is from.
pub(super) fn json(text: &[u8]) -> Option<(crate::stamps::Stamp, Event<'static>)> {
    #[derive(serde::Deserialize)]
    struct Line {
        #[serde(rename = "createdAt")]
        created_at: String,
        #[serde(rename = "type")]
        id: String,
        data: serde_json::Map<String, serde_json::Value>,
    }
    let has = |mark: &[u8]| memchr::memmem::find(text, mark).is_some();
    if !has(b"\"createdAt\":\"") || !has(b"\"data\":{") {
        return None;
    }
    let line: Line = serde_json::from_slice(text).ok()?;
    let (stamp, rest) = iso_stamp(line.created_at.as_bytes(), b'T')?;
    if !rest.is_empty() || !is_id(line.id.as_bytes()) {
        return None;
    }
    let string = |key: &str| line.data.get(key).and_then(serde_json::Value::as_str);
    let count = |key: &str| {
        let number = line.data.get(key).and_then(serde_json::Value::as_u64)?;
        u32::try_from(number).ok()
    };
    let own = |text: &str| Cow::Owned(text.as_bytes().to_vec());
    let peer = string("remoteIp")
        .and_then(|ip| address(ip.as_bytes()))
        .zip(count("remotePort"))
        .map(|(ip, port)| Peer {
            ip,
            port,
            listener: own(string("listenerId").unwrap_or_default()),
            local_port: count("localPort").unwrap_or(0),
        });
    let result = line.data.get("result");
    let reverse = || {
        let details = result?.get("data")?.get("details")?.as_array()?;
        let [name] = details.as_slice() else { return None };
        (result?.get("type")?.as_str()? == "iprev.pass").then_some(())?;
        name.as_str().map(own)
    };
    let is_reason =
        string("reason").is_some_and(|reason| reason.ends_with("excessive spam score."));
    let detail = Detail {
        domain: string("domain").map(own),
        reverse: if line.id == "smtp.iprev-pass" { reverse() } else { None },
        of_recipient: line.data.contains_key("to"),
        decided: match result.and_then(serde_json::Value::as_str).filter(|_| is_reason) {
            Some("reject") => Some("reject"),
            Some("discard") => Some("discard"),
            _ => None,
        },
    };
    Some((stamp, Event { id: own(&line.id), peer, detail }))
}

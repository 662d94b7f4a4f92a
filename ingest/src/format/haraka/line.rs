//! One Haraka line: text in, `Line` out, borrowing from the text where nothing had to be unescaped.
//!
//! Three forms of log.ini, one meaning: `[LEVEL] [UUID.N] [origin] words key=value…`, logfmt
//! (`level=.. uuid=.. origin=.. message=".." key=value…`) and a JSON object of the same fields.
//!
//! A value is bare if it holds no blank, `=`, `"` or `\`; else it is quoted and `"` and `\` are escaped. A CR is
//! written as `\r` afterwards, in quotes or not; a line feed is written as it is, so a quoted value can
//! end in a later line (`Read::Open`). A bare value can never hold what a forged line would need.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::bytes::{address, cut, cut_at_last, digits_of, number};
use crate::session::{Refusal, Stage};

/// How long a UUID is: `3034BB5F-6B7B-4896-99E3-33C5B58086B1`.
const UUID: usize = 36;
/// Haraka's levels, loudest last.
const LEVELS: [&[u8]; 10] = [
    b"DATA",
    b"PROTOCOL",
    b"DEBUG",
    b"INFO",
    b"NOTICE",
    b"WARN",
    b"ERROR",
    b"CRIT",
    b"ALERT",
    b"EMERG",
];

/// Lines without a level, from before the log is set up.
const STARTING: [&[u8]; 3] = [b"Starting up Haraka version ", b"log format: ", b"loglevel: "];

/// A line, as far as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read<'a> {
    /// It is none of Haraka's.
    Unknown,
    /// A quoted value begins in it and does not end.
    Open,
    Line(Line<'a>),
}

/// What one line says, and of which connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The connection; `None` where the line is about none, or does not say.
    pub(super) uuid: Option<Cow<'a, [u8]>>,
    /// The number of the transaction that was begun last; 0 before the first.
    pub(super) transaction: u32,
    /// Its level is INFO or more talkative: such a log shows refused greetings and hang-ups.
    pub(super) is_info: bool,
    pub(super) said: Said<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Nothing that counts.
    Nothing,
    /// A line that counts, of a shape that is not known.
    Odd,
    Connect(IpAddr),
    /// The PROXY header told the client's address.
    Proxied(IpAddr),
    /// STARTTLS is done: the greeting is forgotten.
    Secured,
    /// A plugin for logins was at work.
    Login,
    /// The client closed the connection without QUIT.
    Gone,
    /// A plugin refused at a hook; the parameter is the name where the hook is a greeting's.
    Refused {
        stage: Stage,
        refusal: Refusal,
        params: Cow<'a, [u8]>,
        words: Cow<'a, [u8]>,
    },
    Sender(Option<Refusal>, Cow<'a, [u8]>),
    Recipient(Option<Refusal>, Cow<'a, [u8]>),
    /// The message was read: its recipients (taken, refused for now, for good), and what was said to it.
    Message([u32; 3], Option<Refusal>, Cow<'a, [u8]>),
    Queue(Option<Refusal>, Cow<'a, [u8]>),
    Disconnect(Box<Summary<'a>>),
}

/// The counters of the last line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Summary<'a> {
    pub(super) ip: Option<IpAddr>,
    pub(super) rdns: Cow<'a, [u8]>,
    /// `None` if this version does not log it, empty if there was none, or it was forgotten.
    pub(super) helo: Option<Cow<'a, [u8]>>,
    pub(super) relay: bool,
    /// It said EHLO; `None` if this version does not log it.
    pub(super) esmtp: Option<bool>,
    pub(super) tls: bool,
    pub(super) transactions: u32,
    /// Taken, refused for now, refused for good.
    pub(super) recipients: [u32; 3],
    pub(super) messages: [u32; 3],
    /// The last refusal: code and words.
    pub(super) last_reject: Cow<'a, [u8]>,
    /// How long it took, in whole seconds.
    pub(super) seconds: u32,
}

/// Reads a line without its stamp.
pub(super) fn read(text: &[u8]) -> Read<'_> {
    if text.starts_with(b"{") {
        return json(text).map_or(Read::Unknown, Read::Line);
    }
    if text.starts_with(b"level=") {
        return logfmt(text);
    }
    bracketed(text)
}

/// True for a line that Haraka writes into its own log; it tells without looking at what a client chose.
pub(super) fn is_own(text: &[u8]) -> bool {
    if let Some(rest) = text.strip_prefix(b"[core] ") {
        return rest.starts_with(b"disconnect ip=") || rest.starts_with(b"connect ip=");
    }
    let level_then = |rest: &[u8], end: &[u8], next: &[u8]| {
        LEVELS.iter().any(|level| {
            rest.strip_prefix(*level)
                .and_then(|rest| rest.strip_prefix(end))
                .is_some_and(|rest| rest.starts_with(next))
        })
    };
    text.strip_prefix(b"[").is_some_and(|rest| level_then(rest, b"] ", b"["))
        || text.strip_prefix(b"level=").is_some_and(|rest| level_then(rest, b" ", b"uuid="))
        || text
            .strip_prefix(b"{\"level\":\"")
            .is_some_and(|rest| level_then(rest, b"\",", b"\"uuid\":\""))
        || STARTING.iter().any(|start| text.starts_with(start))
}

/// True if a line that begins within a quoted value holds the quote that ends it.
pub(super) fn closes(text: &[u8]) -> bool {
    quoted(text).is_some()
}

fn bracketed(text: &[u8]) -> Read<'_> {
    let Some((level, id, origin, rest)) = head(text) else {
        let known = STARTING.iter().any(|start| text.starts_with(start));
        return if known { Read::Line(nothing()) } else { Read::Unknown };
    };
    let (uuid, transaction) = id.and_then(uuid).map_or((None, 0), |(uuid, at)| (Some(uuid), at));
    let said = match words_and_fields(origin, rest) {
        Ok(Some((words, fields))) => said(words, fields),
        Ok(None) => plugin(origin, rest),
        Err(Stop::Open) => return Read::Open,
        Err(Stop::Odd) => Said::Odd,
    };
    let uuid = uuid.map(Cow::Borrowed);
    Read::Line(Line { uuid, transaction, is_info: is_info(level), said })
}

/// Level, connection, origin and what follows them: `[NOTICE] [UUID] [core] words`, `[NOTICE] [core] words`
/// or, of the core only, `[core] words`.
type Head<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8], &'a [u8]);

fn head(text: &[u8]) -> Option<Head<'_>> {
    let (level, rest) = in_brackets(text)?;
    if level == b"core" {
        return Some((b"", None, level, rest));
    }
    if !LEVELS.contains(&level) {
        return None;
    }
    let (second, rest) = in_brackets(rest)?;
    if second != b"-" && uuid(second).is_none() {
        return Some((level, None, second, rest));
    }
    let (origin, rest) = in_brackets(rest)?;
    Some((level, Some(second), origin, rest))
}

/// `[word] ` at the start of `text`.
fn in_brackets(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, rest) = cut(text.strip_prefix(b"[")?, b']')?;
    Some((word, rest.strip_prefix(b" ")?))
}

/// A line that says nothing.
fn nothing() -> Line<'static> {
    Line { uuid: None, transaction: 0, is_info: false, said: Said::Nothing }
}

/// Why fields could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// A quoted value does not end.
    Open,
    /// Not `key=value` to the end.
    Odd,
}

type Fields<'a> = Vec<(Cow<'a, [u8]>, Cow<'a, [u8]>)>;

/// The words of a line of the core and the fields that follow them; `None` for words that do not count.
fn words_and_fields<'a>(
    origin: &[u8],
    rest: &'a [u8],
) -> Result<Option<(&'a [u8], Fields<'a>)>, Stop> {
    if origin != b"core" {
        return Ok(None);
    }
    // The hooks' lines have fields only.
    if let Some(after) = rest.strip_prefix(b" ") {
        return if after.starts_with(b"hook=") {
            Ok(Some((b"", fields(after)?)))
        } else {
            Ok(None)
        };
    }
    for words in [&b"connect"[..], b"disconnect", b"HAProxy", b"message", b"queue"] {
        if let Some(after) = rest.strip_prefix(words).and_then(|rest| rest.strip_prefix(b" ")) {
            // `connect` and `message` are words that other lines may begin with.
            let first: &[&[u8]] = match words {
                b"connect" | b"disconnect" => &[b"ip="],
                b"HAProxy" => &[b"proto="],
                b"message" => &[b"mid="],
                _ => &[b"code="],
            };
            if !first.iter().any(|first| after.starts_with(first)) {
                return Ok(None);
            }
            return Ok(Some((words, fields(after)?)));
        }
    }
    for words in [&b"sender"[..], b"recipient"] {
        if let Some(after) = rest.strip_prefix(words).and_then(|rest| rest.strip_prefix(b" <")) {
            let after = after_address(after).ok_or(Stop::Odd)?;
            return Ok(Some((words, fields(after)?)));
        }
    }
    for words in [&b"client half closed connection"[..], b"client dropped connection"] {
        if rest.strip_prefix(words).is_some_and(|rest| rest.is_empty() || rest.starts_with(b" ip="))
        {
            return Ok(Some((words, Vec::new())));
        }
    }
    Ok(None)
}

/// What follows an address whose `<` is taken off: `user@host> ` or `"any text"@host> `.
fn after_address(text: &[u8]) -> Option<&[u8]> {
    let text = match text.strip_prefix(b"\"") {
        Some(inside) => quoted(inside)?.1,
        None => text,
    };
    cut(text, b'>')?.1.strip_prefix(b" ")
}

/// `key=value key=value` to the end.
fn fields(mut rest: &[u8]) -> Result<Fields<'_>, Stop> {
    let mut found = Vec::with_capacity(16);
    rest = rest.trim_ascii_end();
    while !rest.is_empty() {
        let (key, after) = cut(rest, b'=').ok_or(Stop::Odd)?;
        if key.is_empty()
            || !key.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte))
        {
            return Err(Stop::Odd);
        }
        let (value, after) = match after.strip_prefix(b"\"") {
            Some(inside) => quoted(inside).ok_or(Stop::Open)?,
            None => {
                let end = memchr::memchr(b' ', after).unwrap_or(after.len());
                let (value, after) = after.split_at_checked(end).ok_or(Stop::Odd)?;
                if value.iter().any(|byte| b"=\"".contains(byte)) {
                    return Err(Stop::Odd);
                }
                (Cow::Borrowed(value), after)
            }
        };
        found.push((Cow::Borrowed(key), value));
        rest = match after.strip_prefix(b" ") {
            Some(rest) => rest,
            None if after.is_empty() => after,
            None => return Err(Stop::Odd),
        };
    }
    Ok(found)
}

/// A quoted value whose first quote is taken off, and what follows the last one; `None` if it does not end.
fn quoted(inside: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut value: Option<Vec<u8>> = None;
    let mut escaped = false;
    for (at, &byte) in inside.iter().enumerate() {
        match (escaped, byte) {
            (false, b'"') => {
                let (plain, rest) = (inside.get(..at)?, inside.get(at + 1..)?);
                return Some((value.map_or(Cow::Borrowed(plain), Cow::Owned), rest));
            }
            (false, b'\\') => {
                escaped = true;
                if value.is_none() {
                    value = Some(inside.get(..at)?.to_vec());
                }
            }
            (true, _) => {
                escaped = false;
                // CR is written so, whatever is around it.
                let byte = if byte == b'r' { b'\r' } else { byte };
                value.get_or_insert_default().push(byte);
            }
            (false, _) => {
                if let Some(value) = &mut value {
                    value.push(byte);
                }
            }
        }
    }
    None
}

fn logfmt(text: &[u8]) -> Read<'_> {
    let fields = match fields(text) {
        Ok(fields) => fields,
        Err(Stop::Open) => return Read::Open,
        Err(Stop::Odd) => return Read::Unknown,
    };
    let head = |at: usize, key: &[u8]| {
        fields.get(at).filter(|(known, _)| **known == *key).map(|(_, value)| value.clone())
    };
    let (Some(level), Some(id), Some(origin), Some(message)) =
        (head(0, b"level"), head(1, b"uuid"), head(2, b"origin"), head(3, b"message"))
    else {
        return Read::Unknown;
    };
    let rest = fields.into_iter().skip(4).collect();
    Read::Line(structured(&level, &id, &origin, &message, rest))
}

fn json(text: &[u8]) -> Option<Line<'_>> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).ok()?;
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let head = |key: &str| object.get(key).map(text).map(String::into_bytes);
    let (level, id, origin, message) =
        (head("level")?, head("uuid")?, head("origin")?, head("message")?);
    let own = |text: String| Cow::Owned(text.into_bytes());
    let fields = object.iter().map(|(key, value)| (own(key.clone()), own(text(value)))).collect();
    Some(structured(&level, &id, &origin, &message, fields))
}

/// Both structured forms: the words are `message`, and the fields are the fields.
fn structured<'a>(
    level: &[u8],
    id: &[u8],
    origin: &[u8],
    message: &[u8],
    fields: Fields<'a>,
) -> Line<'a> {
    let (uuid, transaction) = uuid(id).map_or((None, 0), |(uuid, at)| (Some(uuid), at));
    let uuid = uuid.map(|uuid| Cow::Owned(uuid.to_vec()));
    let said = if origin == b"core" {
        match message {
            b"" if !fields.iter().any(|(key, _)| **key == *b"hook") => Said::Nothing,
            _ if message.starts_with(b"sender <") => said(b"sender", fields),
            _ if message.starts_with(b"recipient <") => said(b"recipient", fields),
            _ => said(message, fields),
        }
    } else {
        plugin(origin, message)
    };
    Line { uuid, transaction, is_info: is_info(level), said }
}

/// A line of a plugin.
fn plugin<'a>(origin: &[u8], words: &[u8]) -> Said<'a> {
    if origin == b"tls" && words.starts_with(b"secured:") {
        return Said::Secured;
    }
    if origin.starts_with(b"auth/") { Said::Login } else { Said::Nothing }
}

/// The first field of a name.
fn take<'a>(fields: &mut Fields<'a>, key: &[u8]) -> Option<Cow<'a, [u8]>> {
    fields.iter_mut().find(|(known, _)| **known == *key).map(|(_, value)| std::mem::take(value))
}

/// What the core says with these words; none are a hook's.
fn said<'a>(words: &[u8], mut fields: Fields<'a>) -> Said<'a> {
    let fields = &mut fields;
    let said = match words {
        b"" => hook(fields),
        b"connect" => take(fields, b"ip").and_then(|ip| address(&ip)).map(Said::Connect),
        b"HAProxy" => {
            take(fields, b"src_ip").and_then(|source| proxied(&source)).map(Said::Proxied)
        }
        b"sender" => verdict(fields).map(|(refusal, words)| Said::Sender(refusal, words)),
        b"recipient" => verdict(fields).map(|(refusal, words)| Said::Recipient(refusal, words)),
        b"queue" => verdict(fields).map(|(refusal, words)| Said::Queue(refusal, words)),
        b"message" => {
            let counts = take(fields, b"rcpts").and_then(|counts| counters(&counts));
            counts
                .zip(verdict(fields))
                .map(|(counts, (refusal, words))| Said::Message(counts, refusal, words))
        }
        b"disconnect" => summary(fields).map(|summary| Said::Disconnect(Box::new(summary))),
        b"client half closed connection" | b"client dropped connection" => Some(Said::Gone),
        _ => Some(Said::Nothing),
    };
    said.unwrap_or(Said::Odd)
}

/// `IP:PORT`; IPv6 has no brackets: the port is what follows the last colon.
fn proxied(source: &[u8]) -> Option<IpAddr> {
    let (ip, port) = cut_at_last(source, b":")?;
    digits_of(port)?;
    address(ip)
}

/// `code` and `msg`.
fn verdict<'a>(fields: &mut Fields<'a>) -> Option<(Option<Refusal>, Cow<'a, [u8]>)> {
    let code = take(fields, b"code")?;
    Some((refusal(&code), take(fields, b"msg").unwrap_or_default()))
}

/// What a plugin returned at a hook.
fn hook<'a>(fields: &mut Fields<'a>) -> Option<Said<'a>> {
    let hook = take(fields, b"hook")?;
    let is_login = take(fields, b"plugin")?.starts_with(b"auth/");
    let refusal = refusal(&take(fields, b"retval")?);
    let stage = match &*hook {
        b"connect_init" | b"lookup_rdns" | b"connect" => Stage::Connect,
        b"helo" => Stage::Helo,
        b"ehlo" => Stage::Ehlo,
        b"data" => Stage::Data,
        _ if is_login => return Some(Said::Login),
        // MAIL, RCPT and the message have lines of their own.
        _ => return Some(Said::Nothing),
    };
    let Some(refusal) = refusal else { return Some(Said::Nothing) };
    let params = take(fields, b"params").unwrap_or_default();
    Some(Said::Refused { stage, refusal, params, words: take(fields, b"msg").unwrap_or_default() })
}

fn summary<'a>(fields: &mut Fields<'a>) -> Option<Summary<'a>> {
    let ip = address(&take(fields, b"ip")?)?;
    // Old versions call it `host`.
    let rdns = take(fields, b"rdns").or_else(|| take(fields, b"host")).unwrap_or_default();
    let helo = take(fields, b"helo");
    let yes = |value: Option<Cow<'_, [u8]>>| value.is_some_and(|value| *value == *b"Y");
    let three = |value: Option<Cow<'_, [u8]>>| match value {
        Some(value) => counters(&value),
        None => Some([0; 3]),
    };
    Some(Summary {
        ip: Some(ip),
        rdns,
        helo,
        relay: yes(take(fields, b"relay")),
        esmtp: take(fields, b"esmtp").map(|value| *value == *b"Y"),
        tls: yes(take(fields, b"tls")),
        transactions: match take(fields, b"txns") {
            Some(count) => digits_of(&count)?,
            None => 0,
        },
        recipients: three(take(fields, b"rcpts"))?,
        messages: three(take(fields, b"msgs"))?,
        last_reject: take(fields, b"lr").unwrap_or_default(),
        seconds: take(fields, b"time").and_then(|time| Some(number(&time)?.0)).unwrap_or_default(),
    })
}

/// `1/0/2`.
fn counters(text: &[u8]) -> Option<[u32; 3]> {
    let (first, rest) = cut(text, b'/')?;
    let (second, third) = cut(rest, b'/')?;
    Some([digits_of(first)?, digits_of(second)?, digits_of(third)?])
}

/// What a return code of a plugin refuses.
fn refusal(code: &[u8]) -> Option<Refusal> {
    match code {
        b"DENY" | b"DENYDISCONNECT" => Some(Refusal::Hard),
        b"DENYSOFT" | b"DENYSOFTDISCONNECT" => Some(Refusal::Soft),
        _ => None,
    }
}

/// The connection of `UUID`, `UUID.N` or `UUID.N.M`, and the N.
fn uuid(id: &[u8]) -> Option<(&[u8], u32)> {
    let (uuid, rest) = id.split_at_checked(UUID)?;
    if !uuid.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-') {
        return None;
    }
    if rest.is_empty() {
        return Some((uuid, 0));
    }
    let (transaction, _) = number(rest.strip_prefix(b".")?)?;
    Some((uuid, transaction))
}

fn is_info(level: &[u8]) -> bool {
    [&b"INFO"[..], b"DEBUG", b"PROTOCOL", b"DATA"].contains(&level)
}

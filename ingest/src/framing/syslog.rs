//! What follows the stamp in syslog's forms: `HOST TAG[PID]: TEXT`, and RFC 5424's fields.
//!
//! In goes what is left of a line, out comes a `Frame`. The tag ends at the first colon and holds no blank, so
//! that nothing a client said can be taken for one. The host may be missing, `-`, an IPv6 address, or (where it has a
//! dot) written with a colon after it. Between stamp and tag may stand the priority in words: `<mail.info>` (FreeBSD),
//! `mail:info` (AIX); after it `[ID 407019 mail.info]` (Solaris).
//!
//! A line that only says that another was repeated, and what journald shows in place of a text that is not printable
//! (`[178B blob data]`), are `NOTHING`. `message repeated 4 times: [ TEXT]` is unwrapped: exactly one final
//! bracket is rsyslog's own.
//!
//! Not read: Cisco's and other devices' forms (`%SYS-5-..`, counters before the stamp): they say nothing of mail.
//! Nor logwatch's summaries (`TEXT : 1 Time(s)`): these have no stamps, and a client could write that tail.

use helostat_zones::time::Time;

use super::{Frame, NOTHING};
use crate::bytes::{cut, cut_at, digits_of, number};

/// How long host and tag may be together: 255 and 48 in RFC 5424. They are kept with every open session.
pub(super) const TAG_MAX: usize = 303;

/// `HOST TAG[PID]: TEXT`, the host possibly missing.
pub(super) fn tagged(time: Time, rest: &[u8]) -> Result<Frame<'_>, &'static str> {
    let rest = match rest.strip_prefix(b"<") {
        Some(words) => cut_at(words, b"> ").ok_or("cut-header")?.1,
        None => rest,
    };
    let (first, after) = cut(rest, b' ').ok_or("cut-header")?;
    let (host, rest) = match first.strip_suffix(b":") {
        None => (first, after),
        Some(host) if host.ends_with(b":") => (first, after),
        Some(host) if host.contains(&b'.') && starts_with_tag(after) => (host, after),
        Some(_) => (b"".as_slice(), rest),
    };
    let (head, text) = cut(rest, b':').ok_or_else(|| untagged(rest))?;
    if text.first().is_some_and(u8::is_ascii_lowercase)
        && let Some(rest) = level(head, text)
    {
        let (head, text) = cut(rest, b':').ok_or_else(|| untagged(rest))?;
        return with_tag(time, host, head, text);
    }
    with_tag(time, host, head, text)
}

fn with_tag<'a>(
    time: Time,
    host: &'a [u8],
    head: &'a [u8],
    text: &'a [u8],
) -> Result<Frame<'a>, &'static str> {
    let (tag, pid) = tag_and_pid(head).ok_or("no-tag")?;
    said(time, host, tag, pid, text.strip_prefix(b" ").unwrap_or(text))
}

/// `TAG[PID]` or `TAG`.
pub(super) fn tag_and_pid(head: &[u8]) -> Option<(&[u8], Option<u32>)> {
    match cut(head, b'[') {
        Some((tag, inside)) => Some((tag, digits_of(inside.strip_suffix(b"]")?))),
        None => Some((head, None)),
    }
}

/// A frame of these parts, what is wrapped around the text itself taken off.
pub(super) fn said<'a>(
    time: Time,
    host: &'a [u8],
    tag: &'a [u8],
    pid: Option<u32>,
    text: &'a [u8],
) -> Result<Frame<'a>, &'static str> {
    if tag.is_empty() || tag.contains(&b' ') || host.len() + tag.len() > TAG_MAX {
        return Err("no-tag");
    }
    let host = if host == b"-" { b"" } else { host };
    let mut text = text;
    if text.first() == Some(&b'[') {
        if text.ends_with(b"B blob data]") {
            return Err(NOTHING);
        }
        if let Some(solaris) = text.strip_prefix(b"[ID ")
            && let Some((_, rest)) = cut_at(solaris, b"] ")
        {
            text = rest;
        }
    }
    Ok(Frame { time, host, tag, pid, text: unrepeated(text), own: None })
}

/// What rsyslog's `message repeated N times: [ TEXT]` repeats: read once more, it changes no session.
fn unrepeated(text: &[u8]) -> &[u8] {
    let inner = (|| {
        let rest = text.strip_prefix(b"message repeated ")?;
        let (_, rest) = number(rest)?;
        rest.strip_prefix(b" times: [")?.strip_suffix(b"]")
    })();
    match inner {
        Some(text) => text.strip_prefix(b" ").unwrap_or(text),
        None => text,
    }
}

/// `TAG[PID]: ` with nothing unusual in the tag.
fn starts_with_tag(text: &[u8]) -> bool {
    let tag = || {
        let (head, _) = cut_at(text, b": ")?;
        let (tag, pid) = tag_and_pid(head)?;
        Some(is_plain(tag) && pid.is_some())
    };
    tag() == Some(true)
}

/// A tag of letters, digits and the few signs that programs' names have.
pub(super) fn is_plain(tag: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(byte);
    !tag.is_empty() && tag.len() <= TAG_MAX && tag.iter().all(plain)
}

/// What follows AIX' `mail:info `.
fn level<'a>(facility: &[u8], text: &'a [u8]) -> Option<&'a [u8]> {
    const FACILITIES: [&[u8]; 5] = [b"mail", b"daemon", b"user", b"auth", b"syslog"];
    const LEVELS: [&[u8]; 9] =
        [b"debug", b"info", b"notice", b"warn", b"warning", b"err", b"crit", b"alert", b"emerg"];
    let local = || matches!(*facility, [b'l', b'o', b'c', b'a', b'l', b'0'..=b'7']);
    let (level, rest) = cut(text, b' ')?;
    let facility = FACILITIES.contains(&facility) || local();
    (facility && LEVELS.contains(&level)).then_some(rest)
}

/// Why a line without a tag is not read: loggers write some of their own.
fn untagged(rest: &[u8]) -> &'static str {
    let own =
        [b"last message repeated ".as_slice(), b"message repeated ", b"-- MARK --", b"syslogd "];
    if own.iter().any(|own| rest.starts_with(own)) { NOTHING } else { "no-tag" }
}

/// RFC 5424 after the stamp: `HOST APP PROCID MSGID SD TEXT`.
pub(super) fn fields(time: Time, rest: &[u8]) -> Result<Frame<'_>, &'static str> {
    let fields = (|| {
        let (host, rest) = cut(rest, b' ')?;
        let (app, rest) = cut(rest, b' ')?;
        let (pid, rest) = cut(rest, b' ')?;
        let (_msgid, rest) = cut(rest, b' ')?;
        Some((host, app, pid, structured_data(rest)?))
    })();
    let (host, tag, pid, text) = fields.ok_or("cut-header")?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = text.strip_prefix(b" ").unwrap_or(text);
    said(time, host, tag, digits_of(pid), text)
}

/// RFC 5424's fields in a file whose lines begin with the stamp: only where none of them can be anything else.
pub(super) fn fields_without_priority(time: Time, rest: &[u8]) -> Option<Frame<'_>> {
    let (_, after) = cut(rest, b' ')?;
    let (app, after) = cut(after, b' ')?;
    let (pid, after) = cut(after, b' ')?;
    let (msgid, after) = cut(after, b' ')?;
    let sound = is_plain(app)
        && (pid == b"-" || digits_of(pid).is_some())
        && (msgid == b"-" || is_plain(msgid))
        && (after == b"-" || after.starts_with(b"- ") || after.starts_with(b"["));
    if !sound {
        return None;
    }
    fields(time, rest).ok()
}

/// What follows RFC 5424's structured data: `-` or `[..]` elements, quotes escaped by backslash.
fn structured_data(rest: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = rest.strip_prefix(b"-") {
        return if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b" ") };
    }
    if rest.first() != Some(&b'[') {
        return None;
    }
    let mut quoted = false;
    let mut escaped = false;
    for (at, &byte) in rest.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted && rest.get(at + 1) != Some(&b'[') => {
                let after = rest.get(at + 1..)?;
                return if after.is_empty() { Some(after) } else { after.strip_prefix(b" ") };
            }
            _ => {}
        }
    }
    None
}

//! qmail: tcpserver, rblsmtpd and recordio, which log what qmail-smtpd itself does not.
//!
//! In go lines of multilog (`@4000000065a1b2c30f1e2d3c text`) and of splogger in syslog; out comes what was heard. A
//! connection is one process, whose pid all of these lines show.
//!
//! - `tcpserver: pid P from IP` begins it, `tcpserver: end P status N` ends it. By these alone nothing is known of
//!   the mail, so nothing is told. `tcpserver: deny P ..` is a client that the operator's rules do not let in.
//! - `rblsmtpd: IP pid P: 451 text` is a client that a list refused: it may greet, and every recipient is refused.
//! - `P < EHLO x` and `P > 250 ok` are recordio's, everything that goes over the wire: the dialog tells who greeted how and
//!   what came of it.
//!
//! recordio writes what it reads, not what the server takes: a client that does not wait for replies has its next commands, or
//! its message, logged before the reply to the one before. So lines of the client wait until a reply takes them, a bounded
//! number of them; after 354 they are the message, to the line with nothing but a dot. A line ends with a blank, a piece of
//! one with `+`: pieces are put together, in multilog's framing, where nothing trims line ends. After
//! STARTTLS all is noise, and a greeting before it is forgotten: nothing is told.
//!
//! TAI64N: seconds since 1970 plus 2^62 plus ten, the leap seconds of that year. The reverse name in `tcpserver: ok` is not taken:
//! tcpserver verifies it with `-p` only. Not done: lines of patched qmail-smtpds (they differ from patch to patch), stamps that
//! tai64nlocal has made readable. Grammar: ucspi-tcp 0.88 (tcpserver.c, rblsmtpd.c, recordio.c).

mod saved;

use std::collections::VecDeque;

use helostat_zones::name::{Name, NameKind};
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use super::{
    Caller, Format, IRRELEVANT, Reading, SESSION, SavedState, Setting, ambiguous, not_understood,
};
use crate::bytes::{address, cut, cut_at, digits_of, number};
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::{Apart, Heard};
use crate::ours::Reply;
use crate::session::{IDLE, MAX_NAMES, Refusal, Stage, Table, Tally, is_past};
use crate::stamps::Stamps;

/// 1970-01-01 00:00:10 TAI, the label's zero and the leap seconds of 1970.
const TAI64: u64 = (1 << 62) + 10;
/// How many lines of a client wait for replies: pipelining clients send all recipients at once.
const WAITING_MAX: usize = 128;
/// How much of a client's line is kept: more than any name, and RFC 5321's longest command.
const LINE_MAX: usize = 520;
/// How much of a reply is kept: its code, and some words.
const REPLY_MAX: usize = 160;

/// Joins the lines of one reporter's qmail.
#[derive(Debug)]
pub(crate) struct Qmail {
    setting: Setting,
    sessions: Table<Session>,
}

#[derive(Debug)]
struct Session {
    key: Box<[u8]>,
    begin: Time,
    last: Time,
    caller: Caller,
    names: Vec<(Name, Tally)>,
    /// What happened while no name was in force.
    unnamed: Tally,
    /// The name in force, by place.
    current: Option<usize>,
    /// A greeting was said.
    greeted: bool,
    state: State,
    /// What the client sent and no reply has taken yet.
    waiting: VecDeque<Box<[u8]>>,
    /// The piece of a line that the client has not ended.
    left: Vec<u8>,
    /// The piece of a reply.
    right: Vec<u8>,
    /// A mail transaction is open.
    in_mail: bool,
}

/// How the dialog stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// No line of recordio came.
    #[default]
    Silent,
    /// The banner has come; the first waiting line is a command.
    Commands,
    /// The next line is an answer to a challenge.
    Answer,
    /// Lines are the message.
    Body,
    /// The message is over; the next reply is its.
    EndOfMessage,
    /// The server has broken off: what follows is not heard by anybody.
    Deaf,
    /// It cannot be read what is a command and what is not.
    Blind,
}

impl Format for Qmail {
    fn read(&mut self, frame: &Frame<'_>, _: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        let text = without_splogger_stamp(frame.text);
        if let Some(rest) = text.strip_prefix(b"tcpserver: ") {
            return self.tcpserver(frame, rest, out);
        }
        if let Some(rest) = text.strip_prefix(b"rblsmtpd: ") {
            return self.rblsmtpd(frame, rest, out);
        }
        if let Some((process, rest)) = number(text) {
            if let Some(data) = rest.strip_prefix(b" < ") {
                return self.recorded(frame, process, data, true);
            }
            if let Some(data) = rest.strip_prefix(b" > ") {
                return self.recorded(frame, process, data, false);
            }
        }
        // qmail-send's, and of what else runs under multilog or splogger.
        const CHATTER: [&[u8]; 16] = [
            b"new msg ",
            b"end msg ",
            b"info msg ",
            b"starting delivery ",
            b"delivery ",
            b"status: ",
            b"bounce msg ",
            b"triple bounce: ",
            b"double bounce: ",
            b"warning: ",
            b"alert: ",
            b"running",
            b"exiting",
            b"qmail-",
            b"recordio: ",
            b"CHKUSER ",
        ];
        if frame.own.is_none() || CHATTER.iter().any(|start| text.starts_with(start)) {
            return IRRELEVANT;
        }
        not_understood("shape")
    }

    fn sweep(&mut self, now: Time, out: &mut Vec<Heard>) {
        for session in self.sessions.close_where(|session| is_past(session.last, now, IDLE)) {
            self.finish(session, out);
        }
    }

    fn close(&mut self, out: &mut Vec<Heard>) {
        for session in self.sessions.close_where(|_| true) {
            self.finish(session, out);
        }
    }

    fn open_sessions(&self) -> usize {
        self.sessions.len()
    }

    fn closed_early(&self) -> u64 {
        self.sessions.closed_early()
    }

    fn save(&self) -> SavedState {
        self.saved()
    }

    fn restore(&mut self, saved: SavedState) -> Result<(), String> {
        self.take_up(saved)
    }
}

impl Qmail {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone(), sessions: Table::new() }
    }

    fn tcpserver(&mut self, frame: &Frame<'_>, rest: &[u8], out: &mut Vec<Heard>) -> Reading {
        let Some((word, rest)) = cut(rest, b' ') else { return IRRELEVANT };
        let Some((process, rest)) = number(rest) else { return IRRELEVANT };
        let key = process_key(frame, process);
        match word {
            b"pid" => {
                let Some(ip) = rest.strip_prefix(b" from ").and_then(address) else {
                    return IRRELEVANT;
                };
                let session = Session::new(&key, ip, frame.time);
                if let Some(over) = self.sessions.open(&key, session) {
                    self.finish(over, out);
                }
                SESSION
            }
            b"ok" => {
                // Other services have a tcpserver of their own, and recordio shows their dialogs, too.
                let port = rest.strip_prefix(b" ").and_then(|rest| cut(rest, b' '));
                let port = port.and_then(|(local, _)| local.rsplit(|&byte| byte == b':').next());
                let Some(session) = self.sessions.get_mut(&key) else { return IRRELEVANT };
                session.last = frame.time;
                if matches!(port, Some(b"587" | b"465")) {
                    session.caller.apart = Some(Apart::Login);
                }
                SESSION
            }
            b"deny" => {
                let Some(mut session) = self.sessions.close(&key) else { return IRRELEVANT };
                session.unnamed.refuse(Refusal::Hard, Stage::Connect, b"");
                self.finish(session, out);
                SESSION
            }
            b"end" => {
                let Some(mut session) = self.sessions.close(&key) else { return IRRELEVANT };
                if session.in_mail {
                    session.tally().aborted = true;
                }
                self.finish(session, out);
                SESSION
            }
            _ => IRRELEVANT,
        }
    }

    /// `IP pid P: 451 TEXT`.
    fn rblsmtpd(&mut self, frame: &Frame<'_>, rest: &[u8], out: &mut Vec<Heard>) -> Reading {
        let found = (|| {
            let (ip, rest) = cut_at(rest, b" pid ")?;
            let (process, rest) = number(rest)?;
            Some((address(ip)?, process, rest.strip_prefix(b": ")?))
        })();
        let Some((ip, process, text)) = found else { return IRRELEVANT };
        // Other texts tell of lists that were asked, or of a delay.
        let refused = text.starts_with(b"451 ") || text.starts_with(b"553 ");
        let Some(refusal) = Refusal::of(text).filter(|_| refused) else { return IRRELEVANT };
        let mut tally = Tally::default();
        tally.refuse(refusal, Stage::Rcpt, text);
        tally.by_us = self.setting.ours.caused(Reply { text, said: b"" });
        let key = process_key(frame, process);
        match self.sessions.get_mut(&key).filter(|session| session.caller.ip == ip) {
            Some(session) => {
                session.last = frame.time;
                session.unnamed.absorb(&tally);
            }
            None => out.push(Caller::new(ip).tell(
                frame.time,
                None,
                &tally,
                None,
                &self.setting.reporter,
            )),
        }
        SESSION
    }

    /// A line of recordio: what a client or the server wrote.
    fn recorded(&mut self, frame: &Frame<'_>, process: u32, data: &[u8], left: bool) -> Reading {
        let Some(session) = self.sessions.get_mut(&process_key(frame, process)) else {
            return IRRELEVANT;
        };
        session.last = frame.time;
        if matches!(session.state, State::Deaf | State::Blind) {
            return SESSION;
        }
        let whole = match data.split_last() {
            Some((b'+', piece)) if frame.own.is_some() => {
                let (kept, max) = if left {
                    (&mut session.left, LINE_MAX)
                } else {
                    (&mut session.right, REPLY_MAX)
                };
                let room = max.saturating_sub(kept.len());
                kept.extend_from_slice(piece.get(..room).unwrap_or(piece));
                return SESSION;
            }
            // Syslog may have cut the blank that shows that the line had ended.
            Some((b'+', _)) => {
                session.state = State::Blind;
                return ambiguous("piece");
            }
            Some((b' ', whole)) => whole,
            _ => data,
        };
        if left {
            let line = joined(&mut session.left, whole, LINE_MAX);
            session.sent(line)
        } else {
            let line = joined(&mut session.right, whole, REPLY_MAX);
            session.replied(&line)
        }
    }

    fn finish(&self, session: Session, out: &mut Vec<Heard>) {
        let reporter = &self.setting.reporter;
        let Session { caller, begin, names, unnamed, state, greeted, .. } = session;
        let refused = unnamed != Tally::default();
        if state == State::Blind || (state == State::Silent && !refused) {
            return;
        }
        // What rblsmtpd refuses is refused in the dialog, too, if that is recorded.
        for (name, mut tally) in names.iter().cloned() {
            tally.by_us |= unnamed.by_us;
            out.push(caller.tell(begin, Some(&name), &tally, None, reporter));
        }
        if names.is_empty() {
            let silent = (state != State::Silent && !greeted).then(Name::absent);
            out.push(caller.tell(begin, silent.as_ref(), &unnamed, None, reporter));
        }
    }
}

impl Session {
    fn new(key: &[u8], ip: std::net::IpAddr, time: Time) -> Self {
        Self {
            key: key.into(),
            begin: time,
            last: time,
            caller: Caller::new(ip),
            names: Vec::new(),
            unnamed: Tally::default(),
            current: None,
            greeted: false,
            state: State::default(),
            waiting: VecDeque::new(),
            left: Vec::new(),
            right: Vec::new(),
            in_mail: false,
        }
    }

    fn tally(&mut self) -> &mut Tally {
        match self.current.and_then(|at| self.names.get_mut(at)) {
            Some((_, tally)) => tally,
            None => &mut self.unnamed,
        }
    }

    fn tally_of(&mut self, name: Name) -> Option<usize> {
        if let Some(at) = self.names.iter().position(|(known, _)| *known == name) {
            return Some(at);
        }
        if self.names.len() >= MAX_NAMES {
            return None;
        }
        self.names.push((name, Tally::default()));
        Some(self.names.len() - 1)
    }

    /// The client sent a line.
    fn sent(&mut self, line: Vec<u8>) -> Reading {
        if line == b"[EOF]" {
            return SESSION;
        }
        if self.state == State::Body && self.waiting.is_empty() {
            return self.body(&line);
        }
        if self.waiting.len() >= WAITING_MAX {
            // It talks without listening: what is a command cannot be told.
            self.state = State::Blind;
            return ambiguous("unanswered");
        }
        self.waiting.push_back(line.into());
        SESSION
    }

    /// A line of the message.
    fn body(&mut self, line: &[u8]) -> Reading {
        match line {
            b".\r" => self.state = State::EndOfMessage,
            // Some servers take this for the end, and some do not.
            b"." => {
                self.state = State::Blind;
                return ambiguous("bare-dot");
            }
            _ => {}
        }
        SESSION
    }

    /// Takes waiting lines that are the message.
    fn skip_body(&mut self) -> Reading {
        while self.state == State::Body
            && let Some(line) = self.waiting.pop_front()
        {
            let reading = self.body(&line);
            if self.state == State::Blind {
                return reading;
            }
        }
        SESSION
    }

    /// The server sent a line.
    fn replied(&mut self, line: &[u8]) -> Reading {
        let line = without_return(line);
        if line == b"[EOF]" {
            return SESSION;
        }
        let Some((code, rest)) = line.split_at_checked(3) else {
            self.state = State::Blind;
            return SESSION;
        };
        if !code.iter().all(u8::is_ascii_digit) {
            // Another protocol.
            self.state = State::Blind;
            return SESSION;
        }
        let text = match rest {
            [b'-', ..] => return SESSION,
            [_, text @ ..] => text,
            [] => rest,
        };
        match self.state {
            State::Silent => {
                self.state = State::Commands;
                if let Some(refusal) = Refusal::of(code) {
                    self.unnamed.refuse(refusal, Stage::Connect, text);
                }
            }
            State::EndOfMessage => {
                self.state = State::Commands;
                self.in_mail = false;
                if code.starts_with(b"2") {
                    let tally = self.tally();
                    tally.accepted = tally.accepted.saturating_add(1);
                } else {
                    self.refuse(code, Stage::EndOfMessage, text);
                }
            }
            State::Body => {
                self.state = State::Deaf;
                self.in_mail = false;
                self.refuse(code, Stage::EndOfMessage, text);
            }
            State::Answer => {
                self.waiting.pop_front();
                self.authenticated(code);
            }
            State::Commands => {
                if let Some(line) = self.waiting.pop_front() {
                    self.command(&line, code, text);
                    return self.skip_body();
                }
            }
            State::Deaf | State::Blind => {}
        }
        SESSION
    }

    fn authenticated(&mut self, code: &[u8]) {
        self.state = if code == b"334" { State::Answer } else { State::Commands };
        if code.starts_with(b"2") {
            self.caller.apart = Some(Apart::Login);
            self.caller.proto.get_or_insert_default().auth = true;
        }
    }

    /// A command and the reply to it.
    fn command(&mut self, line: &[u8], code: &[u8], text: &[u8]) {
        let line = without_return(line);
        let (verb, argument) = cut(line, b' ').unwrap_or((line, b""));
        let taken = code.starts_with(b"2");
        // A command out of order comes after one that was refused.
        let out_of_order = code == b"503";
        let verb = verb.to_ascii_uppercase();
        match &verb[..] {
            b"EHLO" | b"HELO" => {
                let name = Name::parse(argument);
                if name.kind() != NameKind::Absent {
                    self.greeted = true;
                }
                let at = self.tally_of(name);
                if taken {
                    self.in_mail = false;
                    self.current = at;
                    self.caller.proto.get_or_insert_default().extended = verb == b"EHLO";
                } else if let Some(refusal) = Refusal::of(code)
                    && let Some((_, tally)) = at.and_then(|at| self.names.get_mut(at))
                {
                    let stage = if verb == b"EHLO" { Stage::Ehlo } else { Stage::Helo };
                    tally.refuse(refusal, stage, text);
                }
            }
            b"MAIL" => {
                if self.current.is_none() && !self.greeted {
                    self.current = self.tally_of(Name::absent());
                }
                if taken {
                    self.in_mail = true;
                } else {
                    self.refuse(code, Stage::Mail, text);
                }
            }
            b"RCPT" if !taken && !out_of_order => self.refuse(code, Stage::Rcpt, text),
            b"DATA" if code == b"354" => self.state = State::Body,
            b"DATA" if !out_of_order => self.refuse(code, Stage::Data, text),
            b"AUTH" => self.authenticated(code),
            b"STARTTLS" if taken => self.state = State::Blind,
            b"RSET" | b"QUIT" if taken => self.in_mail = false,
            _ => {}
        }
    }

    fn refuse(&mut self, code: &[u8], stage: Stage, words: &[u8]) {
        if let Some(refusal) = Refusal::of(code) {
            let tally = self.tally();
            // What is said of the message decides, whatever was said of single recipients before.
            if stage == Stage::EndOfMessage && tally.hard == Some(Stage::Rcpt) {
                tally.hard = None;
            }
            tally.refuse(refusal, stage, words);
        }
    }
}

/// The pieces of a line, put together. One that is too long is made to look so.
fn joined(kept: &mut Vec<u8>, last: &[u8], max: usize) -> Vec<u8> {
    let mut line = std::mem::take(kept);
    let room = max.saturating_sub(line.len());
    line.extend_from_slice(last.get(..room).unwrap_or(last));
    if line.len() >= max {
        line.push(0xff);
    }
    line
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// host NUL tag NUL pid.
fn process_key(frame: &Frame<'_>, process: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(frame.host.len() + frame.tag.len() + 6);
    key.extend_from_slice(frame.host);
    key.push(0);
    key.extend_from_slice(frame.tag);
    key.push(0);
    key.extend_from_slice(&process.to_le_bytes());
    key
}

/// A line of multilog: `@`, a TAI64N label in hexadecimal, a blank, the text.
pub(crate) fn own<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
) -> Option<Result<Frame<'a>, &'static str>> {
    let (label, text) = cut(line.strip_prefix(b"@")?, b' ')?;
    // TAI64 without the nanoseconds has 16 digits.
    if !matches!(label.len(), 16 | 24) || !label.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let seconds = std::str::from_utf8(label.get(..16)?).ok()?;
    let seconds = u64::from_str_radix(seconds, 16).ok()?;
    let unix = seconds.checked_sub(TAI64).and_then(|unix| i64::try_from(unix).ok());
    let time = unix.ok_or("bad-stamp").and_then(|unix| stamps.unix(unix));
    let frame = |time| {
        let (host, tag) = (b"".as_slice(), b"".as_slice());
        Frame { time, host, tag, pid: None, text, own: Some(Program::Qmail) }
    };
    Some(time.map(frame))
}

/// splogger writes `1094040393.837542 ` before the text.
fn without_splogger_stamp(text: &[u8]) -> &[u8] {
    let found = (|| {
        let (stamp, rest) = cut(text, b' ')?;
        let (seconds, fraction) = cut(stamp, b'.')?;
        let all_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        (all_digits(seconds) && fraction.len() == 6 && digits_of(fraction).is_some())
            .then_some(rest)
    })();
    found.unwrap_or(text)
}

/// True for qmail's tags, and for any tag that splogger was given, by the text.
pub(crate) fn is_tag(tag: &[u8], text: &[u8]) -> bool {
    const TAGS: [&[u8]; 4] = [b"tcpserver", b"rblsmtpd", b"recordio", b"splogger"];
    if tag.starts_with(b"qmail") || TAGS.contains(&tag) {
        return true;
    }
    let inner = without_splogger_stamp(text);
    let recorded = |rest: &[u8]| rest.starts_with(b" < ") || rest.starts_with(b" > ");
    inner.len() < text.len()
        && (inner.starts_with(b"tcpserver: ")
            || inner.starts_with(b"rblsmtpd: ")
            || number(inner).is_some_and(|(_, rest)| recorded(rest)))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::reader::{FormatChoice, Reader};

    /// What lines come to: `IP NAME OUTCOME STAGE`. The reader is stopped and restored before every line.
    fn told(lines: &[&str]) -> Vec<String> {
        let latest = Time::parse("2026-11-20T15:00:00Z").expect("a time");
        let reader = || Reader::new(FormatChoice::Auto, "mx".into(), TimeZone::UTC);
        let (mut steady, mut stopped) = (reader(), reader());
        let (mut out, mut again) = (Vec::new(), Vec::new());
        for line in lines {
            let saved = stopped.save();
            stopped = reader().restore(&saved).expect("what save wrote");
            assert_eq!(stopped.save(), saved);
            let one = steady.read(line.as_bytes(), latest, &mut out);
            assert_eq!(one, stopped.read(line.as_bytes(), latest, &mut again));
        }
        steady.close(&mut out);
        stopped.close(&mut again);
        assert_eq!(out, again);
        let show = |one: &Heard| {
            let name = one.name.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
            let (stage, login) = (one.stage.unwrap_or("-"), one.apart.is_some());
            format!(
                "{} {name} {} {stage}{}",
                one.ip,
                one.outcome,
                if login { " login" } else { "" }
            )
        };
        out.iter().map(show).collect()
    }

    const BEGIN: &str = "@400000006a0f1e2d00000000 tcpserver: pid 77 from 192.0.2.7";
    const END: &str = "@400000006a0f1e2d00000000 tcpserver: end 77 status 0";

    fn dialog(lines: &[&str]) -> Vec<String> {
        let lines: Vec<String> =
            lines.iter().map(|line| format!("@400000006a0f1e2d00000000 77 {line}")).collect();
        let lines = lines.iter().map(String::as_str);
        told(&[BEGIN].into_iter().chain(lines).chain([END]).collect::<Vec<_>>())
    }

    #[test]
    fn tai64n_is_ten_seconds_ahead() {
        let mut stamps = Stamps::new(TimeZone::UTC);
        stamps.begin(Time::parse("2026-11-20T15:00:00Z").expect("a time"));
        for (line, expected) in [
            ("@40000000386d438a00000000 x", Some("2000-01-01T00:00:00Z")),
            ("@40000000386d438a1dcd6500 x", Some("2000-01-01T00:00:00Z")),
            ("@40000000386d438a x", Some("2000-01-01T00:00:00Z")),
            ("@4000000000000000 x", None),
            ("@7fffffffffffffff x", None),
        ] {
            let frame = own(line.as_bytes(), &mut stamps).expect(line);
            assert_eq!(
                frame.ok().map(|frame| frame.time.to_string()).as_deref(),
                expected,
                "{line}"
            );
        }
        for line in ["@4000 x", "@40000000386d438a00000000", "@40000000386d438g x", "x"] {
            assert_eq!(own(line.as_bytes(), &mut stamps), None, "{line}");
        }
    }

    #[test]
    fn without_a_dialog_only_refusals_are_told() {
        for (lines, expected) in [
            (
                vec![
                    BEGIN,
                    "@400000006a0f1e2d00000000 tcpserver: ok 77 mx:192.0.2.1:25 a.example:192.0.2.7::4711",
                    END,
                ],
                vec![],
            ),
            (
                vec![
                    BEGIN,
                    "@400000006a0f1e2d00000000 tcpserver: deny 77 mx:192.0.2.1:25 :192.0.2.7::4711",
                    END,
                ],
                vec!["192.0.2.7 ? refused connect"],
            ),
            (
                vec![
                    BEGIN,
                    "@400000006a0f1e2d00000000 rblsmtpd: 192.0.2.7 pid 77: 451 http://bl.example/192.0.2.7",
                    END,
                ],
                vec!["192.0.2.7 ? deferred rcpt"],
            ),
            (
                vec![
                    "Nov 20 13:40:22 mx smtpd: 1795182022.837542 rblsmtpd: 192.0.2.7 pid 77: 553 listed",
                ],
                vec!["192.0.2.7 ? rejected rcpt"],
            ),
            (vec!["@400000006a0f1e2d00000000 rblsmtpd: 192.0.2.7 pid 77: greetdelay: 20"], vec![]),
        ] {
            assert_eq!(told(&lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_dialog_tells_names_and_outcomes() {
        const MAIL: [&str; 7] = [
            "< MAIL FROM:<s@t>\r ",
            "> 250 ok\r ",
            "< RCPT TO:<o@l>\r ",
            "> 250 ok\r ",
            "< DATA\r ",
            "> 354 go ahead\r ",
            "< EHLO c.example\r ",
        ];
        let with = |head: &[&'static str], tail: &[&'static str]| {
            dialog(&[&["> 220 mx ESMTP\r "], head, &MAIL, tail].concat())
        };
        for (what, found, expected) in [
            (
                "a message",
                with(
                    &["< EHLO b.example\r ", "> 250-mx\r ", "> 250 8BITMIME\r "],
                    &["< .\r ", "> 250 ok 1 qp 2\r "],
                ),
                vec!["192.0.2.7 b.example accepted -"],
            ),
            (
                "a line in pieces",
                with(
                    &["< EHLO b.ex+", "< ample\r ", "> 25+", "> 0 mx\r "],
                    &["< .\r ", "> 554 no\r "],
                ),
                vec!["192.0.2.7 b.example rejected end-of-message"],
            ),
            (
                "it leaves within the message",
                with(&["< HELO b.example\r ", "> 250 mx\r "], &["< [EOF]"]),
                vec!["192.0.2.7 b.example aborted -"],
            ),
            (
                "a dot that not every server takes for the end",
                with(
                    &["< HELO b.example\r ", "> 250 mx\r "],
                    &["< . ", "< EHLO d.example\r ", "> 250 ok\r "],
                ),
                vec![],
            ),
            (
                "no greeting",
                with(&[], &["< .\r ", "> 250 ok\r "]),
                vec!["192.0.2.7 (none) accepted -"],
            ),
            (
                "a login",
                with(
                    &[
                        "< EHLO b\r ",
                        "> 250 mx\r ",
                        "< AUTH LOGIN\r ",
                        "> 334 VX\r ",
                        "< EHLO\r ",
                        "> 235 ok\r ",
                    ],
                    &["< .\r ", "> 250 ok\r "],
                ),
                vec!["192.0.2.7 b accepted - login"],
            ),
            (
                "it does not listen",
                dialog(&[
                    "> 220 mx\r ",
                    "< EHLO b.example\r ",
                    "< MAIL FROM:<>\r ",
                    "< RCPT TO:<n@l>\r ",
                    "< DATA\r ",
                    "< EHLO c.example\r ",
                    "< .\r ",
                    "< QUIT\r ",
                    "> 250 mx\r ",
                    "> 250 ok\r ",
                    "> 250 ok\r ",
                    "> 354 go\r ",
                    "> 250 ok\r ",
                    "> 221 mx\r ",
                ]),
                vec!["192.0.2.7 b.example accepted -"],
            ),
            (
                "a recipient that is refused, then a command out of order",
                dialog(&[
                    "> 220 mx\r ",
                    "< EHLO b.example\r ",
                    "> 250 mx\r ",
                    "< MAIL FROM:<>\r ",
                    "> 250 ok\r ",
                    "< RCPT TO:<n@l>\r ",
                    "> 450 later\r ",
                    "< DATA\r ",
                    "> 503 RCPT first (#5.5.1)\r ",
                    "< QUIT\r ",
                    "> 221 mx\r ",
                ]),
                vec!["192.0.2.7 b.example deferred rcpt"],
            ),
            (
                "TLS hides the rest",
                dialog(&[
                    "> 220 mx\r ",
                    "< EHLO b.example\r ",
                    "> 250 mx\r ",
                    "< STARTTLS\r ",
                    "> 220 go\r ",
                    "< x ",
                ]),
                vec![],
            ),
            ("another service", dialog(&["> +OK <1@mx>\r ", "< USER x\r "]), vec![]),
            (
                "a name that is longer than it looks",
                dialog(&[
                    "> 220 mx\r ",
                    &format!("< EHLO b.example{}y\r ", " ".repeat(600)),
                    "> 250 mx\r ",
                ])
                .iter()
                .map(|one| one.chars().take(19).collect())
                .collect(),
                vec!["192.0.2.7 b.example"],
            ),
        ] {
            assert_eq!(found, expected, "{what}");
        }
        let long = dialog(&[
            "> 220 mx\r ",
            &format!("< EHLO b.example{}y\r ", " ".repeat(600)),
            "> 250 mx\r ",
        ]);
        assert!(long.iter().all(|one| !one.starts_with("192.0.2.7 b.example none")), "{long:?}");
    }
}

//! Exim: sessions and messages, joined from the lines of the main log.
//!
//! In go framed lines of Exim's own log or of its syslog; out come observations. By default Exim logs
//! no end of a session, so a refusal is told at once, and when the session goes on otherwise it is told
//! again with `supersedes`. Every message that was taken (`<=`) is an observation of its own: `partial`
//! if recipients were refused since the last one. A name that is only shown (a failed login, the
//! `ehlo-log` line) is told when the session ends or is forgotten.
//!
//! A session is the process where a pid is known (syslog, `+pid`), forgotten ten minutes after its last
//! line; else the address, forgotten a minute after its first. The address' port is not used: half of the
//! lines lack it unless `+incoming_port` is set.
//!
//! `RDNS [IP]` without parentheses stands for three things. For a message taken with P=esmtp the client
//! greeted, so the name is taken to be the reverse name (it may have been the address in brackets). For a
//! refusal it may as well have said nothing: then only the name that the session's `ehlo-log` line gave
//! counts. An EHLO refused for its syntax is told only if the name is malformed: what Exim prints has
//! been escaped, and a well-formed name may have been another one.
//!
//! Kept apart, not learned: logins. Not done: the rejectlog, which repeats the main log, and its header dumps;
//! syslog records that Exim split (`[1/2]`).

mod line;
mod saved;

use std::net::IpAddr;
use std::time::Duration;

use helostat_zones::name::{Name, NameKind};
use helostat_zones::observation::{Outcome, Reporter};
use helostat_zones::time::Time;
use serde_json::Value;

use self::line::{Host, Line, Lost, Refused, Said};
use super::{
    Caller, Format, IRRELEVANT, Reading, SESSION, Setting, ambiguous, not_understood, reverse_name,
};
use crate::bytes::number;
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::{Apart, Heard, Proto};
use crate::session::{MAX_NAMES, Refusal, Stage, Table, Tally, is_past};
use crate::stamps::{Stamp, Stamps, iso_stamp, offset_of};

/// How long after its last line a process' session is forgotten: longer than `smtp_receive_timeout` (5 min).
const PROCESS_IDLE: Duration = Duration::from_secs(600);
/// How long after its first line the session of a mere address is forgotten.
const ADDRESS_SPAN: Duration = Duration::from_secs(60);

/// Joins the lines of one reporter's Exim.
#[derive(Debug)]
pub(crate) struct Exim {
    setting: Setting,
    sessions: Table<Session>,
}

#[derive(Debug)]
struct Session {
    /// The process, if it is known; else the address is the key.
    process: Option<u32>,
    begin: Time,
    last: Time,
    caller: Caller,
    names: Vec<Named>,
    /// What happened while the name was not shown.
    unnamed: Tally,
    /// The name (by place) that the `ehlo-log` line gave last.
    logged: Option<usize>,
    /// A greeting was refused: `no HELO/EHLO given` then does not mean that none was said.
    greeting_refused: bool,
    /// The connection is over; only `no MAIL in` may follow.
    ended: bool,
}

#[derive(Debug)]
struct Named {
    name: Name,
    tally: Tally,
    /// When this name's present observation began.
    time: Time,
    /// What it was told with.
    told: Option<Outcome>,
    /// A message was taken and told: the next event begins another observation.
    done: bool,
}

impl Format for Exim {
    fn read(&mut self, frame: &Frame<'_>, _: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        let (logged_pid, text) = leading_pid(without_exim_stamp(frame.text));
        match split_mark(text) {
            Some(b'/') => return ambiguous("split"),
            // The rejectlog's dump of a header, line by line.
            Some(_) => return IRRELEVANT,
            None => {}
        }
        self.apply(frame, logged_pid.or(frame.pid), line::read(text), out)
    }

    fn sweep(&mut self, now: Time, out: &mut Vec<Heard>) {
        for session in self.sessions.close_where(|session| session.is_over(now)) {
            session.tell_rest(&self.setting.reporter, out);
        }
    }

    fn close(&mut self, out: &mut Vec<Heard>) {
        for session in self.sessions.close_where(|_| true) {
            session.tell_rest(&self.setting.reporter, out);
        }
    }

    fn open_sessions(&self) -> usize {
        self.sessions.len()
    }

    fn closed_early(&self) -> u64 {
        self.sessions.closed_early()
    }

    fn save(&self) -> Value {
        self.saved()
    }

    fn restore(&mut self, saved: Value) -> Result<(), String> {
        self.take_up(saved)
    }
}

impl Exim {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone(), sessions: Table::new() }
    }

    fn apply(
        &mut self,
        frame: &Frame<'_>,
        process: Option<u32>,
        line: Line<'_>,
        out: &mut Vec<Heard>,
    ) -> Reading {
        let host = match &line {
            Line::Nothing => return IRRELEVANT,
            Line::Unknown => return not_understood("shape"),
            Line::Doubtful(why) => return ambiguous(why),
            // After its end a session is only spoken about.
            Line::NoMail(host) | Line::Ended(host) | Line::Lost(host, _) | Line::Shown(host)
                if self.is_told(frame, process, host) =>
            {
                return SESSION;
            }
            Line::Refused(refused) => refused.host,
            Line::Taken(host, _)
            | Line::RefusedGreeting(host, _)
            | Line::NoGreeting(host)
            | Line::Shown(host)
            | Line::Logged(host)
            | Line::Lost(host, _)
            | Line::Ended(host)
            | Line::NoMail(host) => *host,
        };
        let login = match &line {
            Line::Taken(_, proto) => proto.auth,
            Line::Refused(refused) => refused.login,
            _ => false,
        };
        let by_us =
            matches!(&line, Line::Refused(refused) if self.setting.ours.caused(refused.reply));
        let reporter = self.setting.reporter.clone();
        let Some(session) = self.session_of(frame, process, host, out) else { return IRRELEVANT };
        if login && process.is_some() {
            session.caller.apart = Some(Apart::Login);
        } else if login {
            return session.login(&line, frame.time, &reporter, out);
        }
        match line {
            Line::Taken(_, protocol) => session.taken(host, protocol, frame.time, &reporter, out),
            Line::Refused(refused) => session.refused(&refused, by_us, frame.time, &reporter, out),
            Line::RefusedGreeting(_, argument) => {
                session.refused_greeting(argument, frame.time, &reporter, out)
            }
            Line::NoGreeting(_) => session.no_greeting(frame.time, &reporter, out),
            Line::Logged(_) => {
                session.logged = session.show(host, frame.time);
                SESSION
            }
            Line::Lost(_, when) => {
                let at = session.show(host, frame.time);
                session.lost(at, when, &reporter, out);
                SESSION
            }
            Line::Ended(_) | Line::NoMail(_) => {
                session.show(host, frame.time);
                session.end(&reporter, out);
                SESSION
            }
            _ => {
                session.show(host, frame.time);
                SESSION
            }
        }
    }

    /// True if the session that a line speaks of is over and told.
    fn is_told(&mut self, frame: &Frame<'_>, process: Option<u32>, host: &Host<'_>) -> bool {
        self.sessions
            .get_mut(&key(frame, process, Some(host)))
            .is_some_and(|session| session.ended && session.caller.ip == host.ip)
    }

    /// The session a line belongs to: the open one if it still goes on, or a new one.
    fn session_of(
        &mut self,
        frame: &Frame<'_>,
        process: Option<u32>,
        host: Host<'_>,
        out: &mut Vec<Heard>,
    ) -> Option<&mut Session> {
        let key = key(frame, process, Some(&host));
        let goes_on = self.sessions.get_mut(&key).is_some_and(|session| {
            session.caller.ip == host.ip && !session.ended && !session.is_over(frame.time)
        });
        if !goes_on {
            let session = Session::new(process, host, frame.time);
            if let Some(over) = self.sessions.open(&key, session) {
                over.tell_rest(&self.setting.reporter, out);
            }
        }
        let session = self.sessions.get_mut(&key)?;
        session.last = frame.time;
        if session.caller.rdns.is_none() {
            session.caller.rdns = host.rdns.and_then(reverse_name);
        }
        Some(session)
    }
}

impl Session {
    fn new(process: Option<u32>, host: Host<'_>, time: Time) -> Self {
        Self {
            process,
            begin: time,
            last: time,
            caller: Caller { rdns: host.rdns.and_then(reverse_name), ..Caller::new(host.ip) },
            names: Vec::new(),
            unnamed: Tally::default(),
            logged: None,
            greeting_refused: false,
            ended: false,
        }
    }

    fn is_over(&self, now: Time) -> bool {
        match self.process {
            Some(_) if self.ended => is_past(self.last, now, ADDRESS_SPAN),
            Some(_) => is_past(self.last, now, PROCESS_IDLE),
            None => is_past(self.begin, now, ADDRESS_SPAN),
        }
    }

    /// The place of a name; `None` when the session showed too many.
    fn place(&mut self, name: Name, time: Time) -> Option<usize> {
        if let Some(at) = self.names.iter().position(|named| named.name == name) {
            return Some(at);
        }
        if self.names.len() >= MAX_NAMES {
            return None;
        }
        self.names.push(Named { name, tally: Tally::default(), time, told: None, done: false });
        Some(self.names.len() - 1)
    }

    /// The place of the name that a host part shows, if it shows one.
    fn show(&mut self, host: Host<'_>, time: Time) -> Option<usize> {
        match host.said {
            Said::Name(name) => self.place(Name::parse(name), time),
            // Early lines of a session show no name because none was given yet.
            Said::Nothing => None,
            Said::MaybeReverse => self.logged_for(host),
        }
    }

    /// The name of the `ehlo-log` line, if the host part can stand for it.
    fn logged_for(&self, host: Host<'_>) -> Option<usize> {
        let at = self.logged?;
        let name = &self.names.get(at)?.name;
        let is_reverse = host.rdns.is_some_and(|rdns| Name::parse(rdns) == *name);
        let is_literal = name.kind() == NameKind::Literal && name.ip() == Some(host.ip);
        (is_reverse || is_literal).then_some(at)
    }

    /// A login where no process is known: a mere address may be a server, too. What the user does is told at
    /// once and apart; the names that were shown and not told yet, and the user's own, are taken for told.
    fn login(
        &mut self,
        line: &Line<'_>,
        time: Time,
        reporter: &Reporter,
        out: &mut Vec<Heard>,
    ) -> Reading {
        let mut tally = Tally::default();
        let mut caller = Caller { apart: Some(Apart::Login), ..self.caller.clone() };
        let host = match line {
            Line::Taken(host, proto) => {
                caller.proto = Some(*proto);
                tally.accepted = 1;
                *host
            }
            Line::Refused(refused) => {
                tally.refuse(refused.refusal, refused.stage, refused.reply.text);
                refused.host
            }
            _ => return IRRELEVANT,
        };
        let name = match host.said {
            Said::Name(name) => Some(Name::parse(name)),
            Said::MaybeReverse if tally.accepted > 0 => host.rdns.map(Name::parse),
            Said::Nothing | Said::MaybeReverse => None,
        };
        out.push(caller.tell(time, name.as_ref(), &tally, None, reporter));
        self.show(host, time);
        for named in &mut self.names {
            named.done |= named.told.is_none();
        }
        SESSION
    }

    fn taken(
        &mut self,
        host: Host<'_>,
        protocol: Proto,
        time: Time,
        reporter: &Reporter,
        out: &mut Vec<Heard>,
    ) -> Reading {
        self.caller.proto = Some(protocol);
        let at = match (host.said, protocol.extended) {
            (Said::Name(name), _) => self.place(Name::parse(name), time),
            (Said::MaybeReverse, _) => match (self.logged_for(host), host.rdns) {
                (Some(at), _) => Some(at),
                (None, Some(rdns)) => self.place(Name::parse(rdns), time),
                (None, None) => None,
            },
            (Said::Nothing, false) => self.place(Name::absent(), time),
            (Said::Nothing, true) => None,
        };
        let unnamed = std::mem::take(&mut self.unnamed);
        let Some(named) = at.and_then(|at| self.names.get_mut(at)) else {
            let tally = Tally { accepted: 1, ..unnamed };
            out.push(self.caller.tell(time, None, &tally, None, reporter));
            return SESSION;
        };
        if named.done {
            named.time = time;
        }
        named.tally.absorb(&unnamed);
        named.tally.accepted = named.tally.accepted.saturating_add(1);
        let told = named.told.take();
        out.push(self.caller.tell(named.time, Some(&named.name), &named.tally, told, reporter));
        named.tally = Tally::default();
        named.done = true;
        SESSION
    }

    fn refused(
        &mut self,
        refused: &Refused<'_>,
        by_us: bool,
        time: Time,
        reporter: &Reporter,
        out: &mut Vec<Heard>,
    ) -> Reading {
        self.greeting_refused |= refused.stage == Stage::Ehlo;
        if refused.stage == Stage::Other {
            self.show(refused.host, time);
            return SESSION;
        }
        let before_greeting = matches!(refused.stage, Stage::Ehlo | Stage::Auth);
        let at = match refused.host.said {
            // Without a reverse name Exim shows every name it has been given.
            Said::Nothing if !before_greeting && !self.greeting_refused => {
                self.place(Name::absent(), time)
            }
            _ => self.show(refused.host, time),
        };
        let Some(named) = at.and_then(|at| self.names.get_mut(at)) else {
            self.unnamed.refuse(refused.refusal, refused.stage, refused.reply.text);
            return SESSION;
        };
        named.begin_again(time);
        named.tally.refuse(refused.refusal, refused.stage, refused.reply.text);
        named.tally.by_us |= by_us;
        named.tell(&self.caller, reporter, out);
        SESSION
    }

    fn refused_greeting(
        &mut self,
        argument: &[u8],
        time: Time,
        reporter: &Reporter,
        out: &mut Vec<Heard>,
    ) -> Reading {
        self.greeting_refused = true;
        let name = Name::parse(argument);
        if name.kind() != NameKind::Malformed || argument == b"(no argument given)" {
            return IRRELEVANT;
        }
        self.refuse_name(name, Stage::Ehlo, time, reporter, out)
    }

    fn no_greeting(&mut self, time: Time, reporter: &Reporter, out: &mut Vec<Heard>) -> Reading {
        if self.greeting_refused {
            return SESSION;
        }
        self.refuse_name(Name::absent(), Stage::Mail, time, reporter, out)
    }

    fn refuse_name(
        &mut self,
        name: Name,
        stage: Stage,
        time: Time,
        reporter: &Reporter,
        out: &mut Vec<Heard>,
    ) -> Reading {
        let at = self.place(name, time);
        let Some(named) = at.and_then(|at| self.names.get_mut(at)) else { return SESSION };
        named.begin_again(time);
        named.tally.refuse(Refusal::Hard, stage, b"");
        named.tell(&self.caller, reporter, out);
        SESSION
    }

    fn lost(&mut self, at: Option<usize>, when: Lost, reporter: &Reporter, out: &mut Vec<Heard>) {
        let in_mail = self.logged.is_some() && at == self.logged;
        if let Some(named) = at.and_then(|at| self.names.get_mut(at)) {
            let refused = named.tally.hard.is_some() || named.tally.soft.is_some();
            let in_message = when == Lost::InMessage;
            if in_message || (in_mail && !refused && !named.done) {
                named.tally.aborted = true;
                named.tell(&self.caller, reporter, out);
            }
        }
        self.end(reporter, out);
    }

    /// Tells what was only shown; the session stays for the lines that still speak of it.
    fn end(&mut self, reporter: &Reporter, out: &mut Vec<Heard>) {
        self.ended = self.process.is_some();
        for named in &mut self.names {
            if named.told.is_none() && !named.done {
                named.tell(&self.caller, reporter, out);
            }
        }
    }

    fn tell_rest(mut self, reporter: &Reporter, out: &mut Vec<Heard>) {
        self.end(reporter, out);
    }
}

impl Named {
    /// After a message that was told, the next event is another observation.
    fn begin_again(&mut self, time: Time) {
        if self.done {
            self.done = false;
            self.told = None;
            self.time = time;
        }
    }

    /// Tells what it comes to, unless it was told so before.
    fn tell(&mut self, caller: &Caller, reporter: &Reporter, out: &mut Vec<Heard>) {
        let (outcome, _) = self.tally.outcome();
        if self.told == Some(outcome) {
            return;
        }
        out.push(caller.tell(self.time, Some(&self.name), &self.tally, self.told, reporter));
        self.told = Some(outcome);
    }
}

/// A line of Exim's own log: `2026-11-20 14:38:50.619 +0000 [146] text`, its zone and pid optional.
pub(crate) fn own<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
) -> Option<Result<Frame<'a>, &'static str>> {
    let (stamp, rest) = exim_stamp(line)?;
    let (pid, text) = leading_pid(rest);
    let frame = |time| Frame { time, host: b"", tag: b"", pid, text, own: Some(Program::Exim) };
    Some(stamps.time(&stamp).map(frame))
}

/// `[146] ` before Exim's text, with `+pid`.
fn leading_pid(text: &[u8]) -> (Option<u32>, &[u8]) {
    let found = (|| {
        let (pid, rest) = number(text.strip_prefix(b"[")?)?;
        Some((pid, rest.strip_prefix(b"] ")?))
    })();
    match found {
        Some((pid, rest)) => (Some(pid), rest),
        None => (None, text),
    }
}

/// Exim's own stamp and the blank after it, with its zone and fraction if they are there.
fn exim_stamp(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let (mut stamp, rest) = iso_stamp(line, b' ')?;
    let mut rest = rest.strip_prefix(b" ")?;
    if let Some((zone, after)) = rest.split_at_checked(5)
        && let Some(offset) = offset_of(zone)
        && let Some(after) = after.strip_prefix(b" ")
    {
        stamp.offset = Some(offset);
        rest = after;
    }
    Some((stamp, rest))
}

/// The text of an Exim line that syslog wraps, without the stamp Exim repeats by default.
fn without_exim_stamp(text: &[u8]) -> &[u8] {
    if text.get(10) != Some(&b' ') || !text.first().is_some_and(u8::is_ascii_digit) {
        return text;
    }
    exim_stamp(text).map_or(text, |(_, rest)| rest)
}

/// True for the tags that Exim has by default: `exim`, `exim4`, `exim-in`.
pub(crate) fn is_tag(tag: &[u8]) -> bool {
    tag.starts_with(b"exim")
}

/// The middle of `[1/2] ` (a long line that Exim split for syslog) or `[1\16] ` (a record of many lines).
fn split_mark(text: &[u8]) -> Option<u8> {
    let (_, rest) = number(text.strip_prefix(b"[")?)?;
    let (&mark, rest) = rest.split_first()?;
    let (_, rest) = number(rest)?;
    (matches!(mark, b'/' | b'\\') && rest.starts_with(b"]")).then_some(mark)
}

/// The key of a session: host NUL tag NUL, then `p` and the pid in four octets, or `a` and the address in
/// four or sixteen.
fn key(frame: &Frame<'_>, process: Option<u32>, host: Option<&Host<'_>>) -> Vec<u8> {
    let mut key = Vec::with_capacity(frame.host.len() + frame.tag.len() + 19);
    key.extend_from_slice(frame.host);
    key.push(0);
    key.extend_from_slice(frame.tag);
    key.push(0);
    match (process, host.map(|host| host.ip)) {
        (Some(process), _) => {
            key.push(b'p');
            key.extend_from_slice(&process.to_le_bytes());
        }
        (None, Some(IpAddr::V4(ip))) => {
            key.push(b'a');
            key.extend_from_slice(&ip.octets());
        }
        (None, Some(IpAddr::V6(ip))) => {
            key.push(b'a');
            key.extend_from_slice(&ip.octets());
        }
        (None, None) => {}
    }
    key
}

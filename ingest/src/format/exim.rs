//! Exim: sessions and messages, joined from the lines of the main log.
//!
//! In go framed lines of Exim's own log or of its syslog; out come observations. By default Exim logs
//! no end of a session, so a refusal is told at once, and when the session goes on otherwise it is told
//! again with `supersedes`. Every message that was taken (`<=`) is an observation of its own: `partial`
//! if recipients were refused since the last one. A name that is only shown (a failed login, the
//! `ehlo-log` line) is told when the session ends or is forgotten.
//!
//! A session is the process where a pid is known (syslog, `+pid`), or the address with its port where the line
//! shows one (`+incoming_port`), forgotten ten minutes after its last line. Else all there is is the address, and
//! the clients behind it come and go unseen. There, for each name, what has one sender belongs together, and what
//! has none belongs to what was within seconds of it: a transaction is told, not a session.
//!
//! `RDNS [IP]` without parentheses stands for three things. For a message taken with P=esmtp the client
//! greeted, so the name is taken to be the reverse name (it may have been the address in brackets). For a
//! refusal it may as well have said nothing: then only the name that the session's `ehlo-log` line gave
//! counts, else what happened is told without a name. An EHLO refused for its syntax is told with its name only if
//! that is malformed: what Exim prints has been escaped, and a well-formed name may have been another one.
//!
//! `unexpected disconnection` and a synchronization error break a message off: Exim writes the first only if
//! there is a sender. Where recipients had been refused it stays a refusal: that a client goes away after the last
//! one was refused looks the same, unless `+smtp_incomplete_transaction` names the recipients that were taken.
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

use self::line::{Host, Line, Lost, Refused, Said};
use super::{
    Caller, Format, IRRELEVANT, Reading, SESSION, SavedState, Setting, ambiguous, not_understood,
    reverse_name,
};
use crate::bytes::number;
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::{Apart, Heard, Proto};
use crate::session::{MAX_NAMES, Refusal, Stage, Table, Tally, is_past};
use crate::stamps::{Stamp, Stamps, iso_stamp, offset_of};

/// How long after its last line a process' session is forgotten: longer than `smtp_receive_timeout` (5 min).
const PROCESS_IDLE: Duration = Duration::from_secs(600);
/// How long after its last line the session of a mere address is forgotten, or one of a process that has ended.
const ADDRESS_IDLE: Duration = Duration::from_secs(60);
/// The longest session of a mere address.
const ADDRESS_SPAN: Duration = Duration::from_secs(600);
/// How far apart the lines of one connection may be where nothing but the address tells connections apart.
const NEAR: Duration = Duration::from_secs(2);

/// Joins the lines of one reporter's Exim.
#[derive(Debug)]
pub(crate) struct Exim {
    setting: Setting,
    sessions: Table<Session>,
}

#[derive(Debug)]
struct Session {
    /// The key is this connection's alone: its process, or its port. Else it is the address'.
    alone: bool,
    begin: Time,
    last: Time,
    caller: Caller,
    names: Vec<Named>,
    /// The name (by place) that the `ehlo-log` line gave last, and the port beside it.
    logged: Option<usize>,
    port: Option<u32>,
    /// When a greeting was refused: `no HELO/EHLO given` then does not mean that none was said.
    greeting_refused: Option<Time>,
    /// The connection is over; only `no MAIL in` may follow.
    ended: bool,
}

/// What happens under one name, and what of it was told.
#[derive(Debug)]
struct Named {
    /// `None`: under whatever name, the lines do not show it.
    name: Option<Name>,
    /// By users who logged in, where they cannot be told apart from other clients of the address.
    login: bool,
    tally: Tally,
    /// When the present observation began, and when it was last spoken of.
    time: Time,
    last: Time,
    /// The mark of its sender.
    sender: Option<u64>,
    /// What it was told with.
    told: Option<Outcome>,
    /// A message was taken and told: the next event begins another observation.
    done: bool,
    /// The connection broke down: it can only be said that it is lost.
    broken: bool,
}

/// When something happened, in which message if that is known, and whether it ends one.
#[derive(Clone, Copy, Debug)]
struct Event {
    time: Time,
    sender: Option<u64>,
    at_end: bool,
    is_loss: bool,
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
            session.tell_rest(&mut Told { reporter: &self.setting.reporter, out });
        }
    }

    fn close(&mut self, out: &mut Vec<Heard>) {
        for session in self.sessions.close_where(|_| true) {
            session.tell_rest(&mut Told { reporter: &self.setting.reporter, out });
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
            Line::NoMail(host)
            | Line::Ended(host)
            | Line::Lost(host, _)
            | Line::Broken(host)
            | Line::Shown(host)
                if self.is_told(frame, process, host) =>
            {
                return SESSION;
            }
            Line::Refused(refused) => refused.host,
            Line::Taken(host, ..)
            | Line::RefusedGreeting(host, _)
            | Line::NoGreeting(host)
            | Line::Shown(host)
            | Line::Logged(host)
            | Line::Lost(host, _)
            | Line::Broken(host)
            | Line::Ended(host)
            | Line::NoMail(host) => *host,
        };
        let by_us =
            matches!(&line, Line::Refused(refused) if self.setting.ours.caused(refused.reply));
        let reporter = self.setting.reporter.clone();
        let is_logged = matches!(line, Line::Logged(_));
        let Some(session) = self.session_of(frame, process, host, is_logged, out) else {
            return IRRELEVANT;
        };
        let mut told = Told { reporter: &reporter, out };
        let time = frame.time;
        match line {
            Line::Taken(_, protocol, sender) => {
                session.taken(host, protocol, sender, time, &mut told);
            }
            Line::Refused(refused) => session.refused(&refused, by_us, time, &mut told),
            Line::RefusedGreeting(_, argument) => {
                session.refused_greeting(argument, time, &mut told);
            }
            Line::NoGreeting(_) => session.no_greeting(time, &mut told),
            Line::Logged(_) => {
                session.logged = session.show(host, time, &mut told);
                session.port = host.port;
            }
            Line::Lost(_, when) => session.lost(host, when, time, &mut told),
            Line::Broken(_) => {
                let at = session.show(host, time, &mut told);
                session.is_broken(at);
            }
            Line::Ended(_) | Line::NoMail(_) => {
                session.show(host, time, &mut told);
                session.end(&mut told);
            }
            _ => {
                session.show(host, time, &mut told);
            }
        }
        SESSION
    }

    /// True if the session that a line speaks of is over and told.
    fn is_told(&mut self, frame: &Frame<'_>, process: Option<u32>, host: &Host<'_>) -> bool {
        self.sessions
            .get_mut(&key(frame, process, host).0)
            .is_some_and(|session| session.ended && session.caller.ip == host.ip)
    }

    /// The session a line belongs to: the open one if it still goes on, or a new one.
    fn session_of(
        &mut self,
        frame: &Frame<'_>,
        process: Option<u32>,
        host: Host<'_>,
        is_logged: bool,
        out: &mut Vec<Heard>,
    ) -> Option<&mut Session> {
        let (mut at, mut alone) = key(frame, process, &host);
        if process.is_none() && host.port.is_some() && self.sessions.get_mut(&at).is_none() {
            // The `ehlo-log` line shows a port though the others may not.
            let address = key(frame, None, &Host { port: None, ..host }).0;
            let same = |open: &mut Session| is_logged || open.port == host.port;
            if self.sessions.get_mut(&address).is_some_and(same) || is_logged {
                (at, alone) = (address, false);
            }
        }
        let goes_on = self.sessions.get_mut(&at).is_some_and(|session| {
            session.caller.ip == host.ip && !session.ended && !session.is_over(frame.time)
        });
        if !goes_on {
            let session = Session::new(alone, host, frame.time);
            if let Some(over) = self.sessions.open(&at, session) {
                over.tell_rest(&mut Told { reporter: &self.setting.reporter, out });
            }
        }
        let session = self.sessions.get_mut(&at)?;
        session.last = frame.time;
        if session.caller.rdns.is_none() {
            session.caller.rdns = host.rdns.and_then(reverse_name);
        }
        Some(session)
    }
}

/// Where observations go, and in whose name.
struct Told<'a> {
    reporter: &'a Reporter,
    out: &'a mut Vec<Heard>,
}

impl Session {
    fn new(alone: bool, host: Host<'_>, time: Time) -> Self {
        Self {
            alone,
            begin: time,
            last: time,
            caller: Caller { rdns: host.rdns.and_then(reverse_name), ..Caller::new(host.ip) },
            names: Vec::new(),
            logged: None,
            port: None,
            greeting_refused: None,
            ended: false,
        }
    }

    fn is_over(&self, now: Time) -> bool {
        match self.alone {
            true if self.ended => is_past(self.last, now, ADDRESS_IDLE),
            true => is_past(self.last, now, PROCESS_IDLE),
            false => {
                is_past(self.last, now, ADDRESS_IDLE) || is_past(self.begin, now, ADDRESS_SPAN)
            }
        }
    }

    /// The place of a name. Where a session shows too many, those of an address that were silent for longest give
    /// way; one connection is told with the first ones only.
    fn place(
        &mut self,
        name: Option<Name>,
        login: bool,
        time: Time,
        told: &mut Told<'_>,
    ) -> Option<usize> {
        let login = login && !self.alone;
        let known = |named: &Named| named.name == name && named.login == login;
        if let Some(at) = self.names.iter().position(known) {
            return Some(at);
        }
        let named = Named {
            name,
            login,
            tally: Tally::default(),
            time,
            last: time,
            sender: None,
            told: None,
            done: false,
            broken: false,
        };
        if self.names.len() < MAX_NAMES {
            // Most sessions have one: no room for four.
            self.names.reserve_exact(1);
            self.names.push(named);
            return Some(self.names.len() - 1);
        }
        if self.alone {
            return None;
        }
        let (at, place) = self.names.iter_mut().enumerate().min_by_key(|(_, named)| named.last)?;
        place.finish(&self.caller, told);
        *place = named;
        self.logged = self.logged.filter(|&logged| logged != at);
        Some(at)
    }

    /// Where `event` goes under a name: what it belongs to goes on, or is told and begins anew.
    fn event(
        &mut self,
        at: Option<usize>,
        event: Event,
        told: &mut Told<'_>,
    ) -> Option<&mut Named> {
        let named = self.names.get_mut(at?)?;
        if named.done || (!self.alone && !named.goes_on(event)) {
            named.finish(&self.caller, told);
            named.begin_again(event.time);
        }
        named.last = event.time;
        named.sender = event.sender.or(named.sender);
        Some(named)
    }

    /// The place of the name that a host part shows, if it shows one.
    fn show(&mut self, host: Host<'_>, time: Time, told: &mut Told<'_>) -> Option<usize> {
        let at = self.shown(host, time, told);
        // After a message, what is near it is still of its session.
        if let Some(named) = at.and_then(|at| self.names.get_mut(at)) {
            if !self.alone && (named.broken || is_past(named.last, time, NEAR)) {
                named.finish(&self.caller, told);
                named.begin_again(time);
            }
            named.last = time;
        }
        at
    }

    fn shown(&mut self, host: Host<'_>, time: Time, told: &mut Told<'_>) -> Option<usize> {
        match host.said {
            Said::Name(name) => {
                let name = Some(Name::parse(name));
                // It may be a user who has logged in already.
                let is_near = |named: &Named| named.login && !is_past(named.last, time, NEAR);
                let user = self.names.iter().position(|named| named.name == name && is_near(named));
                user.or_else(|| self.place(name, false, time, told))
            }
            // Early lines of a session show no name because none was given yet.
            Said::Nothing => None,
            Said::MaybeReverse => self.logged_for(host),
        }
    }

    fn is_broken(&mut self, at: Option<usize>) {
        if let Some(named) = at.and_then(|at| self.names.get_mut(at)).filter(|_| !self.alone) {
            named.broken = true;
        }
    }

    /// The name of the `ehlo-log` line, if the host part can stand for it.
    fn logged_for(&self, host: Host<'_>) -> Option<usize> {
        let at = self.logged?;
        let name = self.names.get(at)?.name.as_ref()?;
        let is_reverse = host.rdns.is_some_and(|rdns| Name::parse(rdns) == *name);
        let is_literal = name.kind() == NameKind::Literal && name.ip() == Some(host.ip);
        (is_reverse || is_literal).then_some(at)
    }

    /// A login. Where only the address is known, what was shown before it and not told yet was the user's.
    fn log_in(&mut self) {
        if self.alone {
            self.caller.apart = Some(Apart::Login);
            return;
        }
        for named in self.names.iter_mut().filter(|named| !named.login) {
            named.done |= named.told.is_none() && named.tally == Tally::default();
        }
    }

    fn taken(
        &mut self,
        host: Host<'_>,
        protocol: Proto,
        sender: &[u8],
        time: Time,
        told: &mut Told<'_>,
    ) {
        let login = protocol.auth;
        if login {
            self.log_in();
        }
        self.caller.proto = Some(protocol);
        let name = match (host.said, protocol.extended) {
            (Said::Name(name), _) => Some(Name::parse(name)),
            (Said::MaybeReverse, _) => match self.logged_for(host) {
                Some(at) => self.names.get(at).and_then(|named| named.name.clone()),
                None => host.rdns.map(Name::parse),
            },
            (Said::Nothing, false) => Some(Name::absent()),
            (Said::Nothing, true) => None,
        };
        let event = Event { time, sender: mark(sender), at_end: true, is_loss: false };
        let at = self.place(name, login, time, told);
        let (hidden, since) = self.hidden(at, login, event);
        if let Some(named) = self.event(at, event, told) {
            named.tally.absorb(&hidden);
            named.time = named.time.min(since.unwrap_or(named.time));
            named.tally.accepted = named.tally.accepted.saturating_add(1);
        }
        if let Some(named) = at.and_then(|at| self.names.get_mut(at)) {
            named.tell(&self.caller, told);
            named.tally = Tally::default();
            named.told = None;
            named.done = true;
        }
        if !self.alone {
            self.caller.proto = None;
        }
    }

    /// What happened to the same message while its name was not shown, and since when.
    fn hidden(&mut self, at: Option<usize>, login: bool, event: Event) -> (Tally, Option<Time>) {
        let alone = self.alone;
        let login = login && !alone;
        let is_it = |named: &Named| {
            named.name.is_none()
                && named.login == login
                && !named.done
                && (alone || named.goes_on(event))
        };
        let place = self.names.iter().position(is_it).filter(|&hidden| Some(hidden) != at);
        match place.and_then(|hidden| self.names.get_mut(hidden)) {
            Some(named) => {
                named.done = true;
                (std::mem::take(&mut named.tally), Some(named.time))
            }
            None => (Tally::default(), None),
        }
    }

    fn refused(&mut self, refused: &Refused<'_>, by_us: bool, time: Time, told: &mut Told<'_>) {
        if refused.login {
            self.log_in();
        }
        if refused.stage == Stage::Ehlo {
            self.greeting_refused = Some(time);
        }
        if refused.stage == Stage::Other {
            self.show(refused.host, time, told);
            return;
        }
        let before_greeting = matches!(refused.stage, Stage::Ehlo | Stage::Auth);
        let name = match refused.host.said {
            Said::Name(name) => Some(Name::parse(name)),
            // Without a reverse name Exim shows every name it has been given.
            Said::Nothing if !before_greeting && !self.has_refused_greeting(time) => {
                Some(Name::absent())
            }
            Said::Nothing => None,
            Said::MaybeReverse => {
                let at = self.logged_for(refused.host);
                at.and_then(|at| self.names.get(at)).and_then(|named| named.name.clone())
            }
        };
        let at_end = refused.stage == Stage::EndOfMessage;
        let event = Event { time, sender: refused.sender.and_then(mark), at_end, is_loss: false };
        let at = self.place(name, refused.login, time, told);
        let Some(named) = self.event(at, event, told) else { return };
        named.tally.refuse(refused.refusal, refused.stage, refused.reply.text);
        named.tally.by_us |= by_us;
        self.tell_now(at, told);
    }

    /// Tells what has a name at once. What has none teaches nothing, and may yet get one.
    fn tell_now(&mut self, at: Option<usize>, told: &mut Told<'_>) {
        if let Some(named) = at.and_then(|at| self.names.get_mut(at))
            && named.name.is_some()
        {
            named.tell(&self.caller, told);
        }
    }

    fn has_refused_greeting(&self, time: Time) -> bool {
        self.greeting_refused.is_some_and(|then| self.alone || !is_past(then, time, NEAR))
    }

    fn refused_greeting(&mut self, argument: &[u8], time: Time, told: &mut Told<'_>) {
        self.greeting_refused = Some(time);
        let name = Name::parse(argument);
        let is_shown = name.kind() == NameKind::Malformed && argument != b"(no argument given)";
        self.refuse_name(is_shown.then_some(name), Stage::Ehlo, time, told);
    }

    fn no_greeting(&mut self, time: Time, told: &mut Told<'_>) {
        if !self.has_refused_greeting(time) {
            self.refuse_name(Some(Name::absent()), Stage::Mail, time, told);
        }
    }

    fn refuse_name(&mut self, name: Option<Name>, stage: Stage, time: Time, told: &mut Told<'_>) {
        let at = self.place(name, false, time, told);
        let event = Event { time, sender: None, at_end: false, is_loss: false };
        let Some(named) = self.event(at, event, told) else { return };
        named.tally.refuse(Refusal::Hard, stage, b"");
        self.tell_now(at, told);
    }

    fn lost(&mut self, host: Host<'_>, when: Lost, time: Time, told: &mut Told<'_>) {
        let at = match when {
            Lost::BetweenCommands => None,
            Lost::InMessage | Lost::InEnvelope => {
                self.shown(host, time, told).or_else(|| self.place(None, false, time, told))
            }
            // Whether it was asked for the next command or for the end of a message is not said.
            Lost::Silent => self.shown(host, time, told).filter(|&at| {
                self.logged == Some(at) && self.names.get(at).is_some_and(|named| !named.done)
            }),
        };
        if at.is_none() {
            let at = self.show(host, time, told);
            self.is_broken(at);
            self.end(told);
            return;
        }
        let event = Event { time, sender: None, at_end: false, is_loss: true };
        if let Some(named) = self.event(at, event, told) {
            let refused = named.tally.hard.is_some() || named.tally.soft.is_some();
            named.tally.aborted |= when == Lost::InMessage || !refused;
        }
        self.is_broken(at);
        self.tell_now(at, told);
        self.end(told);
    }

    /// Tells what was not told yet; the session stays for the lines that still speak of it.
    fn end(&mut self, told: &mut Told<'_>) {
        if !self.alone {
            return;
        }
        self.ended = true;
        self.finish(told);
    }

    fn finish(&mut self, told: &mut Told<'_>) {
        if self.names.is_empty() {
            self.place(None, false, self.begin, told);
        }
        for named in &mut self.names {
            named.finish(&self.caller, told);
        }
    }

    fn tell_rest(mut self, told: &mut Told<'_>) {
        if !self.ended {
            self.finish(told);
        }
    }
}

impl Named {
    /// True if what happens belongs to what was seen last, where only the address is known.
    fn goes_on(&self, event: Event) -> bool {
        if self.broken && !event.is_loss {
            return false;
        }
        let same = event.sender == self.sender;
        if !is_past(self.last, event.time, NEAR) {
            return same || event.sender.is_none() || self.sender.is_none();
        }
        // Between the recipients and the end of a message its text comes, which may take long.
        event.at_end && same && event.sender.is_some_and(|sender| sender != NULL_SENDER)
    }

    fn begin_again(&mut self, time: Time) {
        self.tally = Tally::default();
        self.time = time;
        self.sender = None;
        self.told = None;
        self.done = false;
        self.broken = false;
    }

    /// Tells what was not told yet.
    fn finish(&mut self, caller: &Caller, told: &mut Told<'_>) {
        if self.told.is_none() && !self.done {
            self.tell(caller, told);
        }
        self.done = true;
    }

    /// Tells what it comes to, unless it was told so before.
    fn tell(&mut self, caller: &Caller, told: &mut Told<'_>) {
        let (outcome, _) = self.tally.outcome();
        if self.told == Some(outcome) {
            return;
        }
        let user = Caller { apart: Some(Apart::Login), ..caller.clone() };
        let caller = if self.login { &user } else { caller };
        let (name, reporter) = (self.name.as_ref(), told.reporter);
        told.out.push(caller.tell(self.time, name, &self.tally, self.told, reporter));
        self.told = Some(outcome);
    }
}

/// The null sender's mark: bounces have nothing that tells them apart.
const NULL_SENDER: u64 = 0xcbf2_9ce4_8422_2325;

/// What is kept of a sender: enough to see that it is the same, in this process or the next one (FNV-1a, but by
/// eight octets at once; who makes two senders with one mark joins two transactions of its own).
fn mark(sender: &[u8]) -> Option<u64> {
    let sender = if sender == b"<>" { b"" } else { sender };
    let step = |mark: u64, word: u64| (mark ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    let (words, rest) = sender.as_chunks::<8>();
    let mark = words.iter().fold(NULL_SENDER, |mark, word| step(mark, u64::from_le_bytes(*word)));
    Some(rest.iter().fold(mark, |mark, &byte| step(mark, u64::from(byte))))
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

/// The key of a session: host NUL tag NUL, then `p` and the pid in four octets, or `a` and the address with its
/// port, if there is one; and whether that is one connection's alone.
fn key(frame: &Frame<'_>, process: Option<u32>, host: &Host<'_>) -> (Vec<u8>, bool) {
    let mut key = Vec::with_capacity(frame.host.len() + frame.tag.len() + 23);
    key.extend_from_slice(frame.host);
    key.push(0);
    key.extend_from_slice(frame.tag);
    key.push(0);
    if let Some(process) = process {
        key.push(b'p');
        key.extend_from_slice(&process.to_le_bytes());
        return (key, true);
    }
    key.push(b'a');
    match host.ip {
        IpAddr::V4(ip) => key.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => key.extend_from_slice(&ip.octets()),
    }
    if let Some(port) = host.port {
        key.push(0);
        key.extend_from_slice(&port.to_le_bytes());
    }
    (key, host.port.is_some())
}

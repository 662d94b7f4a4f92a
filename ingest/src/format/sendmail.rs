//! Sendmail: connections and messages, joined from the lines of its processes.
//!
//! In go framed lines tagged `sendmail`, `sm-mta` and the like; out comes what was heard. A connection is one process:
//! its pid, which every queue id ends with, is the key; a queue id is one envelope, and a connection goes through several.
//!
//! What is logged depends on LogLevel:
//!
//! - 9, the default: refusals (`ruleset=`, `User unknown`) and one `from=` line for every transaction. Neither the
//!   begin nor the end of a connection is logged, and no name. Every envelope is told by itself, as soon as its
//!   delivery or its refusal shows, else when its process goes on to another one or after ten minutes.
//! - with the map of ours: `ehlo-log,ip=..,helo=<H>` at every MAIL gives the name in force of the envelope.
//! - 10 to 14: `NOQUEUE: connect from`, and greetings that were refused.
//! - 15 and more: all commands (`<-- EHLO x`) and replies (`--- 250 ..`). Then the dialog alone says who greeted how, and what came
//!   of it; the session is told by its names when it is over.
//!
//! Traps:
//!
//! - `$s`, which the map logs, is the reverse name when nothing was said; the warning before it
//!   (`didn't use HELO protocol`) takes that back. It also outlives STARTTLS; a message that then came with
//!   `proto=ESMTP` was greeted before TLS only, so its name is not in force.
//! - A pid is used again. A line that shows no client is believed to be the known client's only within a connection whose
//!   begin was seen, or in an envelope in which a line did show it; else what it says is dropped with the envelope.
//! - `arg2=127.0.0.3` is what a blocklist answered: the client is only ever taken from `relay=`.
//! - check_relay refuses with 421 at the banner; with another code the banner is kind and every MAIL is refused.
//!
//! Kept apart: logins and the daemon of users (`MSA`). Not done: outbound lines, LogLevel below 9. Grammar: `line`, from
//! Sendmail's srvrsmtp.c and conf.c (8.12 to 8.17).

mod line;
mod saved;

use std::time::Duration;

use helostat_zones::name::{Name, NameKind};
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use self::line::{From, Line, Refused, Relay, Scope, Verb};
use super::{
    Caller, Format, IRRELEVANT, Reading, SESSION, SavedState, Setting, ambiguous, not_understood,
    reverse_name,
};
use crate::bytes::contains;
use crate::framing::Frame;
use crate::heard::{Apart, Heard};
use crate::session::{IDLE, MAX_NAMES, Refusal, Stage, Table, Tally, is_false, is_past};
use crate::stamps::Stamps;

/// How long after its `from=` line an envelope waits for a milter to refuse it: longer than a milter may take
/// for an answer.
const DONE_IDLE: Duration = Duration::from_secs(600);
/// How long after its last reply a connection is kept for the lines that still follow.
const ENDED_IDLE: Duration = Duration::from_secs(60);

/// Joins the lines of one reporter's Sendmail.
#[derive(Debug)]
pub(crate) struct Sendmail {
    setting: Setting,
    sessions: Table<Session>,
}

#[derive(Debug)]
struct Session {
    key: Box<[u8]>,
    begin: Time,
    last: Time,
    /// `None` until a line shows it.
    caller: Option<Caller>,
    /// The present envelope.
    queue_id: Option<Box<[u8]>>,
    names: Vec<(Name, Tally)>,
    /// What happened while the name was not shown.
    unnamed: Tally,
    /// The name in force, by place.
    current: Option<usize>,
    /// The command that waits for its reply.
    pending: Option<Pending>,
    flags: Flags,
}

/// What else is known of a session. Without the dialog the second half is of the present envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Flags {
    /// Its begin was seen: no line before it is missing.
    #[serde(skip_serializing_if = "is_false")]
    whole: bool,
    /// Commands and replies are logged.
    #[serde(skip_serializing_if = "is_false")]
    dialog: bool,
    /// TLS was agreed on.
    #[serde(skip_serializing_if = "is_false")]
    tls: bool,
    /// check_relay refused the connection because of us.
    #[serde(skip_serializing_if = "is_false")]
    by_us: bool,
    /// Something was told of it.
    #[serde(skip_serializing_if = "is_false")]
    told: bool,
    /// No command follows.
    #[serde(skip_serializing_if = "is_false")]
    ended: bool,
    /// A greeting was tried; that none was taken then does not mean that nothing was said.
    #[serde(skip_serializing_if = "is_false")]
    greeted: bool,
    /// The recipient before looks like a command in the log.
    #[serde(skip_serializing_if = "is_false")]
    imitates: bool,
    /// A mail transaction is open.
    #[serde(skip_serializing_if = "is_false")]
    in_mail: bool,
    /// The client is known to be the one of this envelope.
    #[serde(skip_serializing_if = "is_false")]
    sure: bool,
    /// MAIL came without a greeting: what the map logs was not said.
    #[serde(skip_serializing_if = "is_false")]
    unsaid: bool,
    /// The message came whole.
    #[serde(skip_serializing_if = "is_false")]
    taken: bool,
    /// The message was refused after it came.
    #[serde(skip_serializing_if = "is_false")]
    refused: bool,
    /// It can be read in two ways: nothing is told of it.
    #[serde(skip_serializing_if = "is_false")]
    doubtful: bool,
    /// The `from=` line has come.
    #[serde(skip_serializing_if = "is_false")]
    done: bool,
}

/// A command whose reply decides something.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pending {
    /// EHLO (true) or HELO, and the name.
    Greeting(bool, Name),
    Mail,
    Rcpt,
    Data,
    /// The message itself.
    Body,
    StartTls,
    Auth,
    Quit,
}

impl Format for Sendmail {
    fn read(&mut self, frame: &Frame<'_>, _: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        let (queue_id, line) = line::read(frame.text);
        let process = queue_id.and_then(line::process_of).or(frame.pid);
        let line = match line {
            Line::Nothing | Line::Seen(_) => return IRRELEVANT,
            Line::Unknown => return not_understood("shape"),
            Line::Split(false) => return ambiguous("split"),
            line => line,
        };
        // Without a pid nothing says which connection it is.
        let Some(process) = process else { return IRRELEVANT };
        let key = process_key(frame, process);
        let line = match line {
            Line::Command(..) => self.command_or(&key, frame.text, line),
            line => line,
        };
        if line == Line::Nothing {
            return IRRELEVANT;
        }
        self.apply(frame, &key, queue_id, line, out)
    }

    fn sweep(&mut self, now: Time, out: &mut Vec<Heard>) {
        for session in self.sessions.close_where(|session| session.is_over(now)) {
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

impl Sendmail {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone(), sessions: Table::new() }
    }

    /// What a line that looks like a command is. A complaint about the recipient `<-- x>` looks the same. Replies cannot
    /// be imitated: only where they are logged are commands logged, and there a complaint follows the command that it
    /// repeats.
    fn command_or<'a>(&mut self, key: &[u8], text: &'a [u8], command: Line<'a>) -> Line<'a> {
        match self.sessions.get_mut(key).map(|session| &session.flags) {
            Some(flags) if flags.dialog && flags.imitates && line::is_like_complaint(text) => {
                Line::Ambiguous("command")
            }
            Some(flags) if flags.dialog => command,
            _ => line::as_complaint(text),
        }
    }

    fn apply(
        &mut self,
        frame: &Frame<'_>,
        key: &[u8],
        queue_id: Option<&[u8]>,
        line: Line<'_>,
        out: &mut Vec<Heard>,
    ) -> Reading {
        match line {
            Line::Connect(relay) => {
                let mut session = Session::new(key, frame.time);
                session.flags.whole = true;
                session.meet(relay);
                self.open(key, session, out);
                return SESSION;
            }
            // Other processes deliver: their lines are of use only for the envelope that is waited for.
            Line::Delivered | Line::Undelivered => {
                return self.delivery(key, queue_id, line == Line::Delivered, out);
            }
            Line::Ambiguous("to") => return ambiguous("to"),
            _ => {}
        }
        let is_dialog = matches!(line, Line::Reply { .. } | Line::HeldBack);
        let relay = relay_of(&line);
        if let (Some(relay), Some(session)) = (relay, self.sessions.get_mut(key))
            && session.is_of_another(relay, queue_id)
            && let Some(over) = self.sessions.close(key)
        {
            self.finish(over, out);
        }
        if self.sessions.get_mut(key).is_none() {
            self.open(key, Session::new(key, frame.time), out);
        }
        let Some(session) = self.sessions.get_mut(key) else { return IRRELEVANT };
        session.flags.dialog |= is_dialog;
        session.envelope(queue_id, frame.time, &self.setting, out);
        if let Some(relay) = relay {
            session.meet(relay);
        }
        session.last = frame.time;
        let is_last = session.is_last(&line);
        let reading = session.note(line, &self.setting);
        if is_last && let Some(over) = self.sessions.close(key) {
            self.finish(over, out);
        }
        reading
    }

    /// A message that is delivered was taken; one that is not delivered although it came whole was refused.
    fn delivery(
        &mut self,
        key: &[u8],
        queue_id: Option<&[u8]>,
        delivered: bool,
        out: &mut Vec<Heard>,
    ) -> Reading {
        let Some(session) = self.sessions.get_mut(key) else { return IRRELEVANT };
        let flags = &mut session.flags;
        if flags.dialog || !flags.taken || session.queue_id.as_deref() != queue_id {
            return IRRELEVANT;
        }
        // The words of a refusal alone do not say whether it is for good.
        flags.doubtful |= !delivered && !flags.refused;
        session.tell(&self.setting, out);
        SESSION
    }

    fn open(&mut self, key: &[u8], session: Session, out: &mut Vec<Heard>) {
        if let Some(over) = self.sessions.open(key, session) {
            self.finish(over, out);
        }
    }

    fn finish(&self, mut session: Session, out: &mut Vec<Heard>) {
        session.tell(&self.setting, out);
        if !session.flags.told && session.flags.sure {
            // A connection of which nothing more is known. With the dialog, nothing was said.
            let seen = session.flags.whole && session.flags.dialog && !session.flags.greeted;
            let name = seen.then(Name::absent);
            session.tell_one(name.as_ref(), &Tally::default(), &self.setting, out);
        }
    }
}

impl Session {
    fn new(key: &[u8], time: Time) -> Self {
        Self {
            key: key.into(),
            begin: time,
            last: time,
            caller: None,
            queue_id: None,
            names: Vec::new(),
            unnamed: Tally::default(),
            current: None,
            pending: None,
            flags: Flags::default(),
        }
    }

    fn is_over(&self, now: Time) -> bool {
        let done = self.flags.done || self.flags.told;
        let span = match (self.flags.ended, done && !self.flags.dialog) {
            (true, _) => ENDED_IDLE,
            (false, true) => DONE_IDLE,
            (false, false) => IDLE,
        };
        is_past(self.last, now, span)
    }

    /// True if a line that shows `relay` is of another connection, whose first lines were not seen. In an envelope in
    /// which no line showed the client yet, the client that was known before is only supposed.
    fn is_of_another(&self, relay: Relay<'_>, queue_id: Option<&[u8]>) -> bool {
        let supposed = self.queue_id.as_deref() == queue_id && !self.flags.sure;
        !supposed && self.caller.as_ref().is_some_and(|caller| caller.ip != relay.ip)
    }

    /// True if no line of the session follows this one.
    fn is_last(&self, line: &Line<'_>) -> bool {
        let Flags { whole, dialog, ended, .. } = self.flags;
        match line {
            Line::NoMail(_) => true,
            Line::From(_) => ended && !dialog,
            Line::Refused(refused) => {
                matches!(refused.scope, Scope::Banner | Scope::Commands) && !whole && !dialog
            }
            _ => false,
        }
    }

    /// The line is of this envelope. Without the dialog, an envelope is told when the next one begins.
    fn envelope(
        &mut self,
        queue_id: Option<&[u8]>,
        time: Time,
        setting: &Setting,
        out: &mut Vec<Heard>,
    ) {
        let Some(queue_id) = queue_id else { return };
        if self.queue_id.as_deref() == Some(queue_id) {
            return;
        }
        let first = self.queue_id.replace(queue_id.into()).is_none();
        if self.flags.dialog {
            return;
        }
        if !first {
            self.tell(setting, out);
            self.begin = time;
        }
        self.flags.sure = self.flags.whole;
    }

    /// The line shows the client.
    fn meet(&mut self, relay: Relay<'_>) {
        self.flags.sure = true;
        let caller = match &mut self.caller {
            Some(caller) if caller.ip == relay.ip => caller,
            place => place.insert(Caller::new(relay.ip)),
        };
        if let Some(rdns) = relay.rdns {
            caller.rdns = rdns.and_then(reverse_name);
        }
    }

    /// The tally of a name, by place; `None` when the session showed too many names.
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

    /// The tally of the name in force.
    fn tally(&mut self) -> &mut Tally {
        match self.current.and_then(|at| self.names.get_mut(at)) {
            Some((_, tally)) => tally,
            None => &mut self.unnamed,
        }
    }

    /// Takes in what a line says.
    fn note(&mut self, line: Line<'_>, setting: &Setting) -> Reading {
        match line {
            Line::Command(verb, argument) => self.command(verb, &argument),
            Line::Split(_) => {
                if self.flags.dialog {
                    // Too long for a name that would be taken.
                    self.pending = None;
                    self.flags.greeted = true;
                }
                return ambiguous("split");
            }
            Line::Reply { code, last, text } => self.reply(code, last, text),
            Line::Said { name, .. } => self.said(name),
            Line::NoGreeting(_) if !self.flags.dialog => {
                self.flags.unsaid = true;
                self.current = None;
                if self.flags.whole && !self.flags.greeted {
                    self.current = self.tally_of(Name::absent());
                }
            }
            Line::BadGreeting { relay, name, refusal, words } if !self.flags.dialog => {
                self.flags.greeted = true;
                let name = name.map(|name| Name::parse(&name));
                // What Sendmail itself did not take is shown without what stood behind the first blank.
                let name =
                    name.filter(|name| relay.is_none() || name.kind() == NameKind::Malformed);
                if let Some(at) = name.and_then(|name| self.tally_of(name))
                    && let Some((_, tally)) = self.names.get_mut(at)
                {
                    tally.refuse(refusal, Stage::Helo, words);
                }
            }
            Line::Refused(refused) => self.refused(&refused, setting),
            Line::From(from) => {
                if from.whole.is_none() && !self.flags.dialog {
                    self.flags.doubtful = true;
                    return ambiguous("from");
                }
                self.from(&from);
            }
            Line::Tls(_) => {
                self.flags.tls = true;
                if let Some(caller) = &mut self.caller {
                    caller.proto.get_or_insert_default().tls = true;
                }
                if self.flags.dialog {
                    // The greeting is forgotten.
                    self.current = None;
                }
            }
            Line::Login(_) => self.login(),
            Line::Lost { in_mail, .. } => {
                let dialog = self.flags.dialog;
                if (dialog && self.flags.in_mail) || (!dialog && in_mail) {
                    self.tally().aborted = true;
                }
                self.flags.ended = true;
            }
            Line::Premature => {
                self.tally().aborted = true;
                self.flags.refused = true;
            }
            Line::Ambiguous(why) => {
                // The dialog shows what came of a check, but nothing shows what a command was.
                self.flags.doubtful |= !self.flags.dialog || why == "command";
                return ambiguous(why);
            }
            Line::Nothing
            | Line::Unknown
            | Line::Seen(_)
            | Line::Connect(_)
            | Line::HeldBack
            | Line::NoGreeting(_)
            | Line::BadGreeting { .. }
            | Line::NoMail(_)
            | Line::Delivered
            | Line::Undelivered => {}
        }
        SESSION
    }

    fn command(&mut self, verb: Verb, argument: &[u8]) {
        self.flags.imitates = verb == Verb::Rcpt && contains(argument, b"<-- ");
        self.pending = match verb {
            Verb::Ehlo | Verb::Helo => {
                let name = Name::parse(argument);
                if name.kind() == NameKind::Absent {
                    // Refused, and nothing was said.
                    None
                } else {
                    self.flags.greeted = true;
                    Some(Pending::Greeting(verb == Verb::Ehlo, name))
                }
            }
            Verb::Mail => {
                if self.current.is_none() && self.flags.whole && !self.flags.greeted {
                    self.current = self.tally_of(Name::absent());
                }
                Some(Pending::Mail)
            }
            Verb::Rcpt => Some(Pending::Rcpt),
            Verb::Data => Some(Pending::Data),
            Verb::StartTls => Some(Pending::StartTls),
            Verb::Auth => Some(Pending::Auth),
            Verb::Quit => Some(Pending::Quit),
            Verb::Rset => {
                self.flags.in_mail = false;
                None
            }
            Verb::Other => None,
        };
    }

    /// The first line of a reply decides; the last one ends it.
    fn reply(&mut self, code: &[u8], last: bool, text: &[u8]) {
        let taken = code.starts_with(b"2");
        // A command out of order comes after one that was refused.
        let out_of_order = code == b"503";
        let pending = self.pending.take();
        if code == b"421" && last {
            self.flags.ended = true;
        }
        match pending {
            Some(Pending::Greeting(extended, name)) => {
                let at = self.tally_of(name);
                if taken {
                    self.flags.in_mail = false;
                    self.current = at;
                    if let Some(caller) = &mut self.caller {
                        caller.proto.get_or_insert_default().extended = extended;
                    }
                } else if let Some(refusal) = Refusal::of(code)
                    && let Some((_, tally)) = at.and_then(|at| self.names.get_mut(at))
                {
                    let stage = if extended { Stage::Ehlo } else { Stage::Helo };
                    tally.refuse(refusal, stage, text);
                }
            }
            Some(Pending::Mail) if taken => self.flags.in_mail = true,
            Some(Pending::Mail) => self.refuse(code, Stage::Mail, text),
            Some(Pending::Rcpt) if !taken && !out_of_order => {
                self.refuse(code, Stage::Rcpt, text);
            }
            Some(Pending::Data) if code == b"354" => self.pending = Some(Pending::Body),
            Some(Pending::Data) if !out_of_order => self.refuse(code, Stage::Data, text),
            Some(Pending::Body) => {
                self.flags.in_mail = false;
                if taken {
                    let tally = self.tally();
                    tally.accepted = tally.accepted.saturating_add(1);
                } else {
                    self.refuse(code, Stage::EndOfMessage, text);
                }
            }
            Some(Pending::StartTls) if taken => self.current = None,
            // Challenges and answers go on until one of both is the last.
            Some(Pending::Auth) if code.starts_with(b"3") => self.pending = Some(Pending::Auth),
            Some(Pending::Auth) if taken => self.login(),
            Some(Pending::Quit) if taken => self.flags.ended = true,
            Some(_) | None => {}
        }
    }

    fn refuse(&mut self, code: &[u8], stage: Stage, words: &[u8]) {
        if let Some(refusal) = Refusal::of(code) {
            refuse(self.tally(), refusal, stage, words);
        }
    }

    fn login(&mut self) {
        if let Some(caller) = &mut self.caller {
            caller.apart = Some(Apart::Login);
            caller.proto.get_or_insert_default().auth = true;
        }
    }

    /// The map's line: the dialog knows better.
    fn said(&mut self, name: &[u8]) {
        if self.flags.dialog && (self.flags.whole || self.flags.greeted) {
            return;
        }
        if !self.flags.unsaid {
            self.current = if name.is_empty() { None } else { self.tally_of(Name::parse(name)) };
        }
    }

    fn refused(&mut self, refused: &Refused<'_>, setting: &Setting) {
        let by_us = setting.ours.caused(refused.reply);
        let (refusal, words) = (refused.refusal, refused.reply.text);
        match (refused.scope, self.flags.dialog) {
            (Scope::Banner, _) => {
                self.unnamed.refuse(refusal, Stage::Connect, words);
                self.unnamed.by_us |= by_us;
            }
            (Scope::Commands, false) => {
                self.unnamed.refuse(refusal, Stage::Mail, words);
                self.unnamed.by_us |= by_us;
            }
            (Scope::Commands, true) => self.flags.by_us |= by_us,
            (Scope::At(stage), dialog) => {
                let tally = self.tally();
                tally.by_us |= by_us;
                if !dialog {
                    refuse(tally, refusal, stage, words);
                    self.flags.refused |= stage == Stage::EndOfMessage;
                }
            }
        }
    }

    fn from(&mut self, from: &From<'_>) {
        let flags = &mut self.flags;
        flags.done = true;
        flags.taken = from.whole == Some(true);
        let Some(caller) = &mut self.caller else { return };
        if from.submission {
            caller.apart = Some(Apart::Login);
        }
        let Some(mut proto) = from.proto else { return };
        if proto.auth {
            caller.apart = Some(Apart::Login);
        }
        // The word is from the last EHLO: that was before TLS, and is forgotten.
        let forgotten = flags.tls && proto.extended && !proto.tls;
        proto.tls |= flags.tls;
        caller.proto = Some(proto);
        if forgotten
            && !flags.dialog
            && let Some(at) = self.current.take().filter(|&at| at < self.names.len())
        {
            let (_, tally) = self.names.remove(at);
            self.unnamed.absorb(&tally);
        }
    }

    /// Tells what it comes to so far, and begins anew.
    fn tell(&mut self, setting: &Setting, out: &mut Vec<Heard>) {
        if self.flags.taken && !self.flags.refused && !self.flags.dialog {
            let tally = self.tally();
            tally.accepted = tally.accepted.saturating_add(1);
        }
        let mut names = std::mem::take(&mut self.names);
        let unnamed = std::mem::take(&mut self.unnamed);
        self.current = None;
        if self.flags.sure && !self.flags.doubtful {
            if self.flags.by_us {
                names.iter_mut().for_each(|(_, tally)| tally.by_us = true);
            }
            for (name, tally) in &names {
                self.tell_one(Some(name), tally, setting, out);
            }
            // A refusal of the connection is that of every name in it.
            let banner = unnamed.hard.or(unnamed.soft) == Some(Stage::Connect);
            if unnamed != Tally::default() && (names.is_empty() || !banner) {
                self.tell_one(None, &unnamed, setting, out);
            }
        }
        let flags = &mut self.flags;
        // What was dropped is not told as a connection of which nothing is known.
        flags.told |= flags.doubtful;
        flags.unsaid = false;
        flags.taken = false;
        flags.refused = false;
        flags.doubtful = false;
        flags.done = false;
    }

    fn tell_one(
        &mut self,
        name: Option<&Name>,
        tally: &Tally,
        setting: &Setting,
        out: &mut Vec<Heard>,
    ) {
        let Some(caller) = &self.caller else { return };
        out.push(caller.tell(self.begin, name, tally, None, &setting.reporter));
        self.flags.told = true;
    }
}

/// Notes a refusal. What is said of the message decides, whatever was said of single recipients before.
fn refuse(tally: &mut Tally, refusal: Refusal, stage: Stage, words: &[u8]) {
    if matches!(stage, Stage::Data | Stage::EndOfMessage) && tally.hard == Some(Stage::Rcpt) {
        tally.hard = None;
    }
    tally.refuse(refusal, stage, words);
}

/// The client that a line shows.
fn relay_of<'a>(line: &Line<'a>) -> Option<Relay<'a>> {
    match line {
        Line::Connect(relay)
        | Line::Said { relay, .. }
        | Line::NoGreeting(relay)
        | Line::Tls(relay)
        | Line::Login(relay)
        | Line::NoMail(relay)
        | Line::Lost { relay, .. }
        | Line::Seen(relay) => Some(*relay),
        Line::BadGreeting { relay, .. } => *relay,
        Line::Refused(refused) => refused.relay,
        Line::From(from) => Some(from.relay),
        _ => None,
    }
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

/// True for the tags of Sendmail: its name, or what `-L` or the name of its queue runner gives.
pub(crate) fn is_tag(tag: &[u8]) -> bool {
    tag.starts_with(b"sendmail") || tag.starts_with(b"sm-")
}

#[cfg(test)]
mod tests;

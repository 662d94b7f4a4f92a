//! OpenSMTPD: sessions joined from smtpd's log, from the lines of a report filter, or from the report protocol.
//!
//! In go framed lines with the tag `smtpd`, the same lines bare (smtpd in the foreground), and raw lines of the
//! report protocol (`report|0.7|..`); out comes one thing heard for every name that a session showed, when it is
//! over. Everything joins by the session's number, which is on every line, with the host.
//!
//! What counts: smtpd's own lines know the client, what was taken and what was refused, but a greeting only if it
//! was refused. Greetings that were taken come from a filter: ours (`helostat filter opensmtpd`) and the raw
//! protocol also tell the transactions in order, so that each goes to the name in force; other filters
//! (`NAME: ehlo-log link-identify ..`) tell greetings alone. smtpd takes one greeting, and another one only after
//! STARTTLS: with one name everything in the session was under it, with two the `tls` line says where the second began.
//! The reverse name in smtpd's own lines is not verified; a filter's `pass` says that it is.
//!
//! A filter's lines come by another process and may be late, by seconds if that waits for the DNS: once a source
//! has shown a filter, a session whose end smtpd logged is kept for a while, until the filter tells its end.
//!
//! Traps: `503 Already identified` refuses a greeting for another one that was taken: it shows a name that is not in force, so
//! none is told; `503 Command not allowed` follows from what happened before; RSET, QUIT and an end of the connection all
//! roll back. An empty
//! command is a refusal at the banner, or an empty line.
//!
//! Kept apart: sessions with a login, and who was told that mail needs one. Mail of programs on this machine (`local`) is
//! nobody's. Not done: outbound delivery; whose mail it was where two greetings were taken and no line tells which.

pub mod filter;
mod line;
mod saved;

use std::net::IpAddr;
use std::time::Duration;

use helostat_zones::name::Name;
use helostat_zones::time::Time;

use self::line::{Command, Event, Line, Teller, Verb, Verdict};
use super::{
    Caller, Format, IRRELEVANT, Reading, SESSION, SavedState, Setting, ambiguous, not_understood,
    reverse_name,
};
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::{Apart, Heard};
use crate::ours::Reply;
use crate::session::{IDLE, MAX_NAMES, Refusal, Stage, Table, Tally, is_past};
use crate::stamps::Stamps;

/// How long a session whose end was logged waits for what a filter has still to tell (log time).
const LINGER: Duration = Duration::from_secs(60);
/// How many greetings of one session are kept in their order.
const MAX_GREETINGS: usize = 2 * MAX_NAMES;

/// Joins the lines of one reporter's smtpd.
#[derive(Debug)]
pub(crate) struct OpenSmtpd {
    setting: Setting,
    sessions: Table<Session>,
    /// Some line here was a filter's.
    filtered: bool,
}

#[derive(Debug)]
struct Session {
    key: Box<[u8]>,
    begin: Time,
    last: Time,
    caller: Caller,
    /// The best that tells of it.
    teller: Teller,
    /// The filter told its beginning.
    opened: bool,
    names: Vec<(Name, Tally)>,
    /// The greetings that were taken, by the place of their name.
    greetings: Vec<usize>,
    /// The name in force, as the report tells; by place.
    in_force: Option<usize>,
    /// What smtpd's own lines tell, before TLS and under it.
    logged: [Tally; 2],
    /// smtpd's own lines tell of TLS.
    tls: bool,
    /// What was refused because nothing was taken before it.
    sequence: Tally,
    /// What happened under a name that is not known.
    unnamed: Tally,
    transaction: Transaction,
    /// The client's last command: the reply to it comes next.
    asked: Option<Asked>,
    /// smtpd logged the end: the client said QUIT, or it did not.
    quit: Option<bool>,
}

/// How far the client is, as the report tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Transaction {
    /// No MAIL.
    #[default]
    None,
    /// MAIL was taken.
    Open,
    /// And a recipient.
    Recipient,
    /// Something in it was refused, and nothing taken.
    Refused,
    /// It was rolled back, and nothing came after that.
    Left,
}

/// A command whose reply is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    At(Stage, Option<Name>),
    GivesUp,
}

impl Format for OpenSmtpd {
    fn read(&mut self, frame: &Frame<'_>, _: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        let raw = frame.own.is_some() && !line::is_own(frame.text);
        match if raw { line::read_report(frame.text) } else { line::read(frame.text) } {
            Line::Nothing => IRRELEVANT,
            Line::Unknown => not_understood("shape"),
            Line::Of(session, teller, event) => {
                // The report protocol is a log of its own: nothing comes late in it.
                self.filtered |= teller != Teller::Smtpd && !raw;
                let mut key = Vec::with_capacity(frame.host.len() + 17);
                key.extend_from_slice(frame.host);
                key.push(0);
                key.extend_from_slice(session);
                self.apply(&key, frame.time, teller, event, out)
            }
        }
    }

    fn sweep(&mut self, now: Time, out: &mut Vec<Heard>) {
        let over = |session: &Session| {
            is_past(session.last, now, if session.quit.is_some() { LINGER } else { IDLE })
        };
        for session in self.sessions.close_where(over) {
            self.finish(session, false, out);
        }
    }

    fn close(&mut self, out: &mut Vec<Heard>) {
        for session in self.sessions.close_where(|_| true) {
            self.finish(session, false, out);
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

/// True for the tag of smtpd; Postfix' smtpd has a slash before it.
pub(crate) fn is_tag(tag: &[u8]) -> bool {
    tag == b"smtpd"
}

/// A line of smtpd without syslog: the report protocol, or its output in the foreground.
pub(crate) fn own<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
) -> Option<Result<Frame<'a>, &'static str>> {
    let framed = |time| Frame {
        time,
        host: b"",
        tag: b"",
        pid: None,
        text: line,
        own: Some(Program::OpenSmtpd),
    };
    if let Some(seconds) = line::report_stamp(line) {
        return Some(stamps.unix(seconds).map(framed));
    }
    if line::is_handshake(line) {
        // It says nothing of a client, and must not age the sessions of others.
        return Some(Ok(framed(Time::default())));
    }
    line::is_own(line).then(|| stamps.unstamped().map(framed))
}

impl OpenSmtpd {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone(), sessions: Table::new(), filtered: false }
    }

    fn apply(
        &mut self,
        key: &[u8],
        time: Time,
        teller: Teller,
        event: Event<'_>,
        out: &mut Vec<Heard>,
    ) -> Reading {
        if let Event::Connect(client, rdns) = event {
            let Some(ip) = client else { return IRRELEVANT };
            self.connect(key, time, teller, ip, rdns, out);
            return SESSION;
        }
        let Some(session) = self.sessions.get_mut(key) else { return IRRELEVANT };
        if teller == Teller::Greetings && session.teller == Teller::Report {
            // Two filters: the other one knows more.
            return SESSION;
        }
        session.last = time;
        session.teller = session.teller.max(teller);
        if let Event::End(quit) = event {
            if teller == Teller::Smtpd {
                session.quit = Some(quit.unwrap_or_default());
                if session.opened || self.filtered {
                    return SESSION;
                }
            }
            if let Some(session) = self.sessions.close(key) {
                self.finish(session, teller != Teller::Smtpd, out);
            }
            return SESSION;
        }
        let by_us = match &event {
            Event::Failed(command, reply) => {
                self.setting.ours.caused(Reply { text: reply, said: command.said })
            }
            _ => false,
        };
        if teller == Teller::Smtpd { session.logs(event, by_us) } else { session.reports(event) }
    }

    /// A client connected: smtpd and the filter both tell.
    fn connect(
        &mut self,
        key: &[u8],
        time: Time,
        teller: Teller,
        ip: IpAddr,
        rdns: Option<&[u8]>,
        out: &mut Vec<Heard>,
    ) {
        let known = self.sessions.get_mut(key).filter(|open| open.caller.ip == ip);
        if known.is_none() {
            let session = Session::new(key, time, ip);
            if let Some(over) = self.sessions.open(key, session) {
                self.finish(over, false, out);
            }
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.last = time;
        session.teller = session.teller.max(teller);
        session.opened |= teller != Teller::Smtpd;
        if let Some(rdns) = rdns.and_then(reverse_name) {
            session.caller.rdns = Some(rdns);
        }
    }

    /// Tells what a session came to; `whole` if a filter has told its end.
    fn finish(&mut self, session: Session, whole: bool, out: &mut Vec<Heard>) {
        let (time, caller) = (session.begin, session.caller.clone());
        for (name, tally) in session.settle(whole) {
            out.push(caller.tell(time, name.as_ref(), &tally, None, &self.setting.reporter));
        }
    }
}

impl Session {
    fn new(key: &[u8], time: Time, ip: IpAddr) -> Self {
        Self {
            key: key.into(),
            begin: time,
            last: time,
            caller: Caller::new(ip),
            teller: Teller::default(),
            opened: false,
            names: Vec::new(),
            greetings: Vec::new(),
            in_force: None,
            logged: Default::default(),
            tls: false,
            sequence: Tally::default(),
            unnamed: Tally::default(),
            transaction: Transaction::None,
            asked: None,
            quit: None,
        }
    }

    /// The place of a name; `None` when the session showed too many.
    fn place(&mut self, name: Name) -> Option<usize> {
        if let Some(at) = self.names.iter().position(|(known, _)| *known == name) {
            return Some(at);
        }
        if self.names.len() >= MAX_NAMES {
            return None;
        }
        self.names.push((name, Tally::default()));
        Some(self.names.len() - 1)
    }

    /// Takes in a line of smtpd itself.
    fn logs(&mut self, event: Event<'_>, by_us: bool) -> Reading {
        match event {
            Event::Tls => {
                self.tls = true;
                self.caller.proto.get_or_insert_default().tls = true;
            }
            Event::Login(passed) => self.login(passed),
            Event::Taken(extended) => {
                self.extended(extended);
                let tally = self.logged_tally();
                tally.accepted = tally.accepted.saturating_add(1);
            }
            Event::Failed(command, reply) => return self.failed(command, reply, by_us),
            _ => {}
        }
        SESSION
    }

    fn failed(&mut self, command: Command<'_>, reply: &[u8], by_us: bool) -> Reading {
        let Verb::At(stage) = command.verb else { return SESSION };
        let Some(refusal) = Refusal::of(reply) else { return SESSION };
        if matches!(stage, Stage::Helo | Stage::Ehlo) {
            if is_identified_already(reply) {
                return ambiguous("greeted-before");
            }
            let Some(said) = command.name else {
                self.refuse_greeting(None, refusal, stage, reply, by_us);
                return ambiguous("refused-greeting");
            };
            let at = self.place(Name::parse(&said));
            self.refuse_greeting(at, refusal, stage, reply, by_us);
            return SESSION;
        }
        if is_of_sequence(reply) || wants_login(reply) || !judges(stage, reply) {
            self.out_of_sequence(refusal, stage, reply);
            return SESSION;
        }
        let tally = self.logged_tally();
        tally.refuse(refusal, stage, reply);
        tally.by_us |= by_us;
        SESSION
    }

    /// Takes in what a filter, or the raw protocol, tells.
    fn reports(&mut self, event: Event<'_>) -> Reading {
        if self.transaction == Transaction::Left && event != Event::Other {
            self.transaction = Transaction::None;
        }
        match event {
            Event::Greeting(extended, said) => {
                self.extended(extended);
                self.in_force = self.place(Name::parse(&said));
                if let Some(at) = self.in_force
                    && self.greetings.len() < MAX_GREETINGS
                {
                    self.greetings.push(at);
                }
            }
            Event::Tls => {
                self.in_force = None;
                self.caller.proto.get_or_insert_default().tls = true;
            }
            Event::Login(passed) => self.login(passed),
            Event::Begin => self.transaction = Transaction::Open,
            Event::Result(stage, verdict) => self.result(stage, verdict),
            Event::Taken(_) => {
                self.transaction = Transaction::None;
                let tally = self.reported_tally();
                tally.accepted = tally.accepted.saturating_add(1);
            }
            Event::Rollback => {
                let in_order = self.asked == Some(Asked::GivesUp);
                self.transaction = match self.transaction {
                    Transaction::Open | Transaction::Recipient if !in_order => Transaction::Left,
                    _ => Transaction::None,
                };
            }
            Event::Asked(command) => {
                self.asked = Some(match command.verb {
                    Verb::GivesUp => Asked::GivesUp,
                    Verb::At(stage) => {
                        Asked::At(stage, command.name.map(|said| Name::parse(&said)))
                    }
                });
            }
            Event::Replied(reply) => self.replied(reply),
            _ => {}
        }
        SESSION
    }

    /// What became of a command in a transaction.
    fn result(&mut self, stage: Stage, verdict: Verdict) {
        let refusal = match verdict {
            Verdict::Ok => {
                if stage == Stage::Rcpt {
                    self.transaction = Transaction::Recipient;
                }
                return;
            }
            Verdict::Permanent => Refusal::Hard,
            Verdict::Temporary => Refusal::Soft,
        };
        self.transaction = match (self.transaction, stage) {
            (Transaction::Recipient, Stage::Rcpt) => Transaction::Recipient,
            _ => Transaction::Refused,
        };
        let tally = self.reported_tally();
        let known = match refusal {
            Refusal::Hard => tally.hard.is_some(),
            Refusal::Soft => tally.soft.is_some(),
        };
        // The reply came first, and has words.
        if !known {
            tally.refuse(refusal, stage, b"");
        }
    }

    /// A reply in the raw protocol, to the command before it.
    fn replied(&mut self, reply: &[u8]) {
        let Some(refusal) = Refusal::of(reply).filter(|_| !is_bad_input(reply)) else { return };
        let (stage, name) = match &self.asked {
            None => (Stage::Connect, None),
            Some(Asked::At(stage, name)) => (*stage, name.clone()),
            Some(Asked::GivesUp) => return,
        };
        if let Some(name) = name {
            if !is_identified_already(reply) {
                let at = self.place(name);
                self.refuse_greeting(at, refusal, stage, reply, false);
            }
        } else if is_of_sequence(reply) || wants_login(reply) || !judges(stage, reply) {
            self.out_of_sequence(refusal, stage, reply);
        } else {
            self.reported_tally().refuse(refusal, stage, reply);
            if stage == Stage::EndOfMessage {
                self.transaction = Transaction::Refused;
            }
        }
    }

    fn refuse_greeting(
        &mut self,
        at: Option<usize>,
        refusal: Refusal,
        stage: Stage,
        reply: &[u8],
        by_us: bool,
    ) {
        let tally = match at.and_then(|at| self.names.get_mut(at)) {
            Some((_, tally)) => tally,
            None => &mut self.unnamed,
        };
        tally.refuse(refusal, stage, reply);
        tally.by_us |= by_us;
    }

    /// A refusal that follows from what was before: it counts only if nothing else does.
    fn out_of_sequence(&mut self, refusal: Refusal, stage: Stage, reply: &[u8]) {
        if wants_login(reply) {
            self.caller.apart = Some(Apart::Login);
        } else if !is_of_sequence(reply) {
            return;
        }
        let in_mail = matches!(stage, Stage::Mail | Stage::Rcpt | Stage::Data);
        if in_mail && self.sequence == Tally::default() {
            self.sequence.refuse(refusal, stage, reply);
        }
    }

    fn login(&mut self, passed: bool) {
        self.caller.apart = Some(Apart::Login);
        if passed {
            self.caller.proto.get_or_insert_default().auth = true;
        }
    }

    fn extended(&mut self, extended: Option<bool>) {
        if let Some(extended) = extended {
            self.caller.proto.get_or_insert_default().extended |= extended;
        }
    }

    /// The tally of what smtpd's own lines tell now.
    fn logged_tally(&mut self) -> &mut Tally {
        let [clear, under_tls] = &mut self.logged;
        if self.tls { under_tls } else { clear }
    }

    /// The tally of the name in force.
    fn reported_tally(&mut self) -> &mut Tally {
        match self.in_force.and_then(|at| self.names.get_mut(at)) {
            Some((_, tally)) => tally,
            None => &mut self.unnamed,
        }
    }

    /// What the session comes to: its names, each with its tally.
    fn settle(mut self, whole: bool) -> Vec<(Option<Name>, Tally)> {
        if self.transaction == Transaction::Left && self.quit != Some(true) {
            self.reported_tally().aborted = true;
        }
        self.share_out();
        if self.names.is_empty() {
            // Only who saw all greetings knows that there was none; at the banner none can have been.
            let banner = self.unnamed.hard.or(self.unnamed.soft) == Some(Stage::Connect);
            let silent = (self.opened && whole) || banner;
            return vec![(silent.then(Name::absent), self.unnamed)];
        }
        let mut told: Vec<(Option<Name>, Tally)> =
            self.names.into_iter().map(|(name, tally)| (Some(name), tally)).collect();
        if self.unnamed != Tally::default() {
            told.push((None, self.unnamed));
        }
        told
    }

    /// Gives what is not under a name yet to the name that it was under.
    fn share_out(&mut self) {
        let [clear, under_tls] = std::mem::take(&mut self.logged);
        for (tally, tls) in [(clear, false), (under_tls, true)] {
            // The report has told the same, in order.
            let told = self.teller == Teller::Report && !self.names.is_empty();
            let owner = self.owner(tls);
            match owner.and_then(|at| self.names.get_mut(at)) {
                Some((_, owner)) => owner.absorb(&tally),
                None if told => {}
                None => self.unnamed.absorb(&tally),
            }
        }
        let sequence = std::mem::take(&mut self.sequence);
        let nothing = self.names.iter().all(|(_, tally)| *tally == Tally::default())
            && self.unnamed == Tally::default();
        if nothing {
            match self.owner(false).and_then(|at| self.names.get_mut(at)) {
                Some((_, owner)) if !self.tls => owner.absorb(&sequence),
                _ => self.unnamed.absorb(&sequence),
            }
        }
    }

    /// The name in force before TLS or under it, if that is known.
    fn owner(&self, tls: bool) -> Option<usize> {
        let mut taken = self.greetings.clone();
        taken.dedup();
        match (taken.as_slice(), self.tls) {
            (&[only], _) => Some(only),
            (&[first, second], true) => Some(if tls { second } else { first }),
            _ => None,
        }
    }
}

/// The greeting that was taken before stays in force, and is seldom in the log; this one is often the same, and often
/// enough another.
fn is_identified_already(reply: &[u8]) -> bool {
    reply.starts_with(b"503 ") && reply.ends_with(b": Already identified")
}

/// True for replies that say that something else should have come before.
fn is_of_sequence(reply: &[u8]) -> bool {
    reply.starts_with(b"503 ")
        && [&b": Command not allowed at this point."[..], b": No recipient specified"]
            .iter()
            .any(|words| reply.ends_with(words))
}

/// True for replies to what was not even read as a command: they are no reply to the one before.
fn is_bad_input(reply: &[u8]) -> bool {
    reply.starts_with(b"500 ")
        && [&b": Pipelining not supported"[..], b" Line too long", b" Command line too long"]
            .iter()
            .any(|words| reply.ends_with(words))
}

/// True for the reply to mail on a service for users.
fn wants_login(reply: &[u8]) -> bool {
    reply.starts_with(b"530 ") && reply.ends_with(b": Must issue an AUTH command first")
}

/// Whether a refusal at this stage judges the client.
fn judges(stage: Stage, reply: &[u8]) -> bool {
    match stage {
        Stage::Mail | Stage::Rcpt | Stage::Data | Stage::EndOfMessage => true,
        // An empty line looks like no command at all.
        Stage::Connect => !reply.ends_with(b": Command unrecognized"),
        _ => false,
    }
}

#[cfg(test)]
mod tests;

//! Postfix: smtpd and postscreen sessions, joined from their lines.
//!
//! In go framed lines whose tag is Postfix'; out comes one observation for every name that a session
//! showed, when it ends. The session is (host, tag, pid) from `connect` to `disconnect` for smtpd, and
//! (host, tag, address and port) for postscreen; cleanup's lines join by queue id.
//!
//! What counts: refusals by their code at any stage but VRFY and ETRN; messages by their queue ids,
//! less those that a check at the end of the message refused, held against the `data=` counter of the
//! `disconnect` line. A message whose own lines show no name (stock Postfix logs none for accepted mail)
//! is credited to the session's one name only if the counters prove that no other name was in force.
//! XCLIENT changes the client of a session: the lines after it begin a new one.
//!
//! A client that goes away while a transaction is open broke it off, whatever was refused in it before: `after RCPT`
//! says so, and `after DATA` if there are recipients. What VRFY is answered counts if nothing else happened.
//!
//! Kept apart, not learned: submission services and sessions with a login (users, not servers), and
//! re-injection by a content filter. Not done: outbound delivery, the policy protocol, `last message repeated`.

mod line;
mod saved;

use std::collections::HashMap;

use helostat_zones::name::Name;
use helostat_zones::time::Time;

use self::line::{Action, Client, Line, Origin, Said, Summary, Verdict};
use super::{
    Caller, Format, IRRELEVANT, Reading, SESSION, SavedState, Setting, ambiguous, not_understood,
    reverse_name,
};
use crate::framing::Frame;
use crate::heard::{Apart, Heard};
use crate::session::{IDLE, MAX_NAMES, Refusal, Stage, Table, Tally, is_past};
use crate::stamps::Stamps;

/// How many messages of one session are followed one by one; more are counted with the last.
const MAX_MESSAGES: usize = 64;

/// Joins the lines of one reporter's Postfix.
#[derive(Debug)]
pub(crate) struct Postfix {
    setting: Setting,
    sessions: Table<Session>,
    /// host NUL queue id -> session key, for the messages of open sessions.
    queue: HashMap<Box<[u8]>, Box<[u8]>>,
}

#[derive(Debug)]
struct Session {
    key: Box<[u8]>,
    begin: Time,
    last: Time,
    caller: Caller,
    names: Vec<(Name, Tally)>,
    /// What happened while the name was not shown.
    unnamed: Tally,
    messages: Vec<Message>,
    /// The name (by place) of the `permit` line just before: the next queue id is the same command's.
    permitted: Option<usize>,
    /// A name came from a line within a mail transaction.
    in_mail: bool,
    /// How many transactions the lines show at least, each other name being another one; and the last one's name.
    transactions: u32,
    present: Option<usize>,
    /// A before-queue filter is asked.
    proxied: bool,
    /// VRFY was refused under this name.
    probed: Option<(usize, Refusal)>,
    lost: Option<Stage>,
}

#[derive(Debug)]
struct Message {
    queue_id: Box<[u8]>,
    name: Option<usize>,
    /// The name of the transaction that was shown last before it.
    after: Option<usize>,
    has_id: bool,
    refused: bool,
}

impl Format for Postfix {
    fn read(&mut self, frame: &Frame<'_>, _: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        let component = component(frame.tag);
        if component == Component::Other {
            return IRRELEVANT;
        }
        let screen = component == Component::Postscreen
            || (component == Component::Unknown && line::is_screen_text(frame.text));
        let line = if screen { line::read_screen(frame.text) } else { line::read(frame.text) };
        self.apply(frame, component, line, out)
    }

    fn sweep(&mut self, now: Time, out: &mut Vec<Heard>) {
        for session in self.sessions.close_where(|session| is_past(session.last, now, IDLE)) {
            self.finish(session, None, out);
        }
    }

    fn close(&mut self, out: &mut Vec<Heard>) {
        for session in self.sessions.close_where(|_| true) {
            self.finish(session, None, out);
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

impl Postfix {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone(), sessions: Table::new(), queue: HashMap::new() }
    }

    fn apply(
        &mut self,
        frame: &Frame<'_>,
        component: Component,
        line: Line<'_>,
        out: &mut Vec<Heard>,
    ) -> Reading {
        match line {
            Line::Nothing => IRRELEVANT,
            Line::Unknown => not_understood("shape"),
            Line::MessageId(queue_id) => self.message_id(frame, queue_id),
            Line::Connect(None) => {
                if let Some(over) = self.sessions.close(&process_key(frame)) {
                    self.finish(over, None, out);
                    return SESSION;
                }
                IRRELEVANT
            }
            Line::Connect(Some(client)) => {
                let key = session_key(frame, client);
                self.open(&key, client, frame, out);
                SESSION
            }
            Line::Disconnect(client, summary) => {
                let key = process_key(frame);
                let Some(session) = self.sessions.close(&key) else { return IRRELEVANT };
                // The counters of another client, whose `connect` was lost, are not this one's.
                let same = client.is_none_or(|client| client.ip == session.caller.ip);
                self.finish(session, same.then_some(summary), out);
                SESSION
            }
            Line::ScreenEnd(client) => {
                let key = session_key(frame, client);
                let Some(session) = self.sessions.close(&key) else { return IRRELEVANT };
                self.finish(session, None, out);
                SESSION
            }
            Line::Pregreet(client, argument) => {
                let Some(session) = self.session_of(frame, client, out) else { return IRRELEVANT };
                session.tally(Name::parse(argument));
                SESSION
            }
            Line::Tls(client) => {
                let Some(session) = self.session_of(frame, client, out) else { return IRRELEVANT };
                session.caller.proto.get_or_insert_default().tls = true;
                SESSION
            }
            Line::Lost(stage, client) => {
                let Some(client) = client else { return IRRELEVANT };
                let key = session_key(frame, client);
                let is_open =
                    self.sessions.get_mut(&key).is_some_and(|open| open.caller.ip == client.ip);
                let Some(session) = self.session_of(frame, client, out) else { return IRRELEVANT };
                // Of a session whose lines are not there nobody knows what it was in the middle of.
                session.lost = stage.filter(|_| is_open);
                SESSION
            }
            Line::Proxied(client) => {
                let Some(session) = self.session_of(frame, client, out) else { return IRRELEVANT };
                session.proxied = true;
                SESSION
            }
            Line::ScreenLost(client) => {
                let Some(session) = self.session_of(frame, client, out) else { return IRRELEVANT };
                session.lost = session.in_mail.then_some(Stage::Rcpt);
                SESSION
            }
            Line::Shown(client) => {
                if !may_begin_by_trouble(component) {
                    return IRRELEVANT;
                }
                match self.session_of(frame, client, out) {
                    Some(_) => SESSION,
                    None => IRRELEVANT,
                }
            }
            Line::Opened(queue_id, client, origin) => {
                self.opened(frame, queue_id, client, origin, out)
            }
            Line::Action(action) => self.action(frame, component, &action, out),
        }
    }

    fn message_id(&mut self, frame: &Frame<'_>, queue_id: &[u8]) -> Reading {
        let Some(key) = self.queue.get(&queue_key(frame.host, queue_id)[..]) else {
            return IRRELEVANT;
        };
        let Some(session) = self.sessions.get_mut(key) else { return IRRELEVANT };
        session.last = frame.time;
        if let Some(message) = session.message(queue_id) {
            message.has_id = true;
        }
        SESSION
    }

    fn opened(
        &mut self,
        frame: &Frame<'_>,
        queue_id: &[u8],
        client: Option<Client<'_>>,
        origin: Origin,
        out: &mut Vec<Heard>,
    ) -> Reading {
        let Some(client) = client else { return IRRELEVANT };
        let Some(session) = self.session_of(frame, client, out) else { return IRRELEVANT };
        match origin {
            Origin::Client => {}
            Origin::Login => session.caller.apart = Some(Apart::Login),
            Origin::Reinjection => session.caller.apart = Some(Apart::Reinjected),
        }
        let name = session.permitted.take();
        if session.messages.len() >= MAX_MESSAGES {
            return SESSION;
        }
        let key = session.key.clone();
        session.messages.push(Message {
            queue_id: queue_id.into(),
            name,
            after: session.present,
            has_id: false,
            refused: false,
        });
        self.queue.insert(queue_key(frame.host, queue_id).into(), key);
        SESSION
    }

    fn action(
        &mut self,
        frame: &Frame<'_>,
        component: Component,
        action: &Action<'_>,
        out: &mut Vec<Heard>,
    ) -> Reading {
        let by_us = self.setting.ours.caused(action.reply);
        // cleanup speaks of a session that is another process's: only the queue id says which.
        let known = action
            .queue_id
            .and_then(|queue_id| self.queue.get(&queue_key(frame.host, queue_id)[..]).cloned());
        let session = match (known, action.client) {
            (Some(key), _) => self.sessions.get_mut(&key),
            (None, Some(client)) if may_begin(component, action) => {
                self.session_of(frame, client, out)
            }
            (None, Some(client)) => self.orphan(frame, component, action.queue_id, client, out),
            // What a before-queue filter answers names no client.
            (None, None) => {
                let session = self.sessions.get_mut(&process_key(frame));
                session.filter(|session| session.proxied)
            }
        };
        let Some(session) = session else { return IRRELEVANT };
        session.last = frame.time;
        session.note(action, by_us)
    }

    /// A message of which cleanup speaks, and smtpd did not: a session of its own, by its queue id. Whether it was
    /// taken its lines do not say.
    fn orphan(
        &mut self,
        frame: &Frame<'_>,
        component: Component,
        queue_id: Option<&[u8]>,
        client: Client<'_>,
        out: &mut Vec<Heard>,
    ) -> Option<&mut Session> {
        let queue_id = queue_id.filter(|_| component == Component::Cleanup)?;
        let mut key = Vec::with_capacity(frame.host.len() + frame.tag.len() + queue_id.len() + 2);
        for part in [frame.host, frame.tag, queue_id] {
            key.extend_from_slice(part);
            key.push(0);
        }
        self.open(&key, client, frame, out);
        self.queue.insert(queue_key(frame.host, queue_id).into(), key.clone().into());
        let session = self.sessions.get_mut(&key)?;
        session.messages.push(Message {
            queue_id: queue_id.into(),
            name: None,
            after: None,
            has_id: false,
            refused: true,
        });
        Some(session)
    }

    /// The session that a line of `client` belongs to: the open one if it is the same client's, or a new
    /// one. A different client in the same process is XCLIENT, or a `connect` that was lost.
    fn session_of(
        &mut self,
        frame: &Frame<'_>,
        client: Client<'_>,
        out: &mut Vec<Heard>,
    ) -> Option<&mut Session> {
        let key = session_key(frame, client);
        let same = self.sessions.get_mut(&key).is_some_and(|open| open.caller.ip == client.ip);
        if !same {
            self.open(&key, client, frame, out);
        }
        let session = self.sessions.get_mut(&key)?;
        session.last = frame.time;
        Some(session)
    }

    fn open(&mut self, key: &[u8], client: Client<'_>, frame: &Frame<'_>, out: &mut Vec<Heard>) {
        let time = frame.time;
        let apart = is_submission(frame.tag).then_some(Apart::Login);
        let session = Session {
            key: key.into(),
            begin: time,
            last: time,
            caller: Caller {
                ip: client.ip,
                rdns: client.rdns.and_then(reverse_name),
                proto: None,
                apart,
            },
            names: Vec::new(),
            unnamed: Tally::default(),
            messages: Vec::new(),
            permitted: None,
            in_mail: false,
            transactions: 0,
            present: None,
            proxied: false,
            probed: None,
            lost: None,
        };
        if let Some(over) = self.sessions.open(key, session) {
            self.finish(over, None, out);
        }
    }

    fn finish(&mut self, session: Session, summary: Option<Summary>, out: &mut Vec<Heard>) {
        let host = session.host();
        for message in &session.messages {
            let queue_key = queue_key(host, &message.queue_id);
            // A queue id is used again within minutes: it may be another session's by now.
            if self.queue.get(&queue_key[..]) == Some(&session.key) {
                self.queue.remove(&queue_key[..]);
            }
        }
        let summary = summary.filter(|summary| summary.counted);
        let (time, mut caller) = (session.begin, session.caller.clone());
        if summary.is_some_and(|summary| summary.auth > 0) {
            caller.apart = Some(Apart::Login);
            caller.proto.get_or_insert_default().auth = true;
        }
        if summary.is_some_and(|summary| summary.starttls > 0) {
            caller.proto.get_or_insert_default().tls = true;
        }
        for (name, tally) in session.settle(summary) {
            out.push(caller.tell(time, name.as_ref(), &tally, None, &self.setting.reporter));
        }
    }
}

impl Session {
    fn host(&self) -> &[u8] {
        self.key.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    /// The tally of a name, by place; `None` when the session showed too many names.
    fn tally(&mut self, name: Name) -> Option<usize> {
        if let Some(at) = self.names.iter().position(|(known, _)| *known == name) {
            return Some(at);
        }
        if self.names.len() >= MAX_NAMES {
            return None;
        }
        self.names.push((name, Tally::default()));
        Some(self.names.len() - 1)
    }

    fn message(&mut self, queue_id: &[u8]) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| *message.queue_id == *queue_id)
    }

    /// Takes in what a check says.
    fn note(&mut self, action: &Action<'_>, by_us: bool) -> Reading {
        self.permitted = None;
        if let Some(extended) = action.extended {
            self.caller.proto.get_or_insert_default().extended |= extended;
        }
        let name = match action.said {
            Said::Login(name) => {
                self.caller.apart = Some(Apart::Login);
                name.and_then(|name| self.tally(Name::parse(name)))
            }
            Said::Name(name) => self.tally(Name::parse(name)),
            // At CONNECT no greeting can have been given; elsewhere the line is whole and says so.
            Said::Nothing => self.tally(Name::absent()),
            Said::Unknown | Said::Doubtful(_) => None,
        };
        if name.is_some() && !matches!(action.stage, Stage::Connect | Stage::Helo | Stage::Ehlo) {
            self.in_mail = true;
        }
        if action.stage == Stage::Other {
            if let (Some(name), Verdict::Refused(refusal)) = (name, action.verdict) {
                self.probed = Some((name, refusal));
            }
        } else {
            self.in_transaction(action, name);
            self.judge(action, name, by_us);
        }
        match action.said {
            Said::Doubtful(why) => ambiguous(why),
            _ => SESSION,
        }
    }

    /// Counts the transactions that must have been. A line with the queue id of a message is that message's; one
    /// without is of a transaction that has no message yet.
    fn in_transaction(&mut self, action: &Action<'_>, name: Option<usize>) {
        if !matches!(action.stage, Stage::Mail | Stage::Rcpt | Stage::Data | Stage::EndOfMessage) {
            return;
        }
        let is_known = action.queue_id.is_none_or(|queue_id| {
            self.messages.iter().any(|message| *message.queue_id == *queue_id)
        });
        if name.is_none() || !is_known {
            self.transactions = u32::MAX;
        } else if self.present != name {
            self.present = name;
            self.transactions = self.transactions.saturating_add(1);
        }
    }

    fn judge(&mut self, action: &Action<'_>, name: Option<usize>, by_us: bool) {
        let at_end = action.stage == Stage::EndOfMessage;
        if let Some(queue_id) = action.queue_id
            && let Some(message) = self.message(queue_id)
        {
            message.name = name.or(message.name);
            message.refused |= at_end && matches!(action.verdict, Verdict::Refused(_));
        }
        if action.verdict == Verdict::Permit {
            self.permitted = name;
        }
        let tally = match name.and_then(|at| self.names.get_mut(at)) {
            Some((_, tally)) => tally,
            None => &mut self.unnamed,
        };
        match action.verdict {
            Verdict::Refused(refusal) => {
                tally.refuse(refusal, action.stage, action.reply.text);
                tally.by_us |= by_us;
            }
            Verdict::Accepted => tally.accepted = tally.accepted.saturating_add(1),
            Verdict::Permit | Verdict::Neutral => {}
        }
    }

    /// What the session comes to: its names, each with its tally.
    fn settle(mut self, summary: Option<Summary>) -> Vec<(Option<Name>, Tally)> {
        self.drop_false_absence(summary);
        let only = self.only_name(summary);
        // No transaction but those that the lines show: a message is of the one before it. If it were of the next,
        // that one's first line would have its queue id.
        let all_shown = summary.is_some_and(|summary| summary.mail_tried == self.transactions);
        let taken = self.taken(summary);
        let mut pending = None;
        for (message, taken) in self.messages.iter().zip(taken) {
            let at = message.name.or(only).or_else(|| message.after.filter(|_| all_shown));
            let tally = match at.and_then(|at| self.names.get_mut(at)) {
                Some((_, tally)) => tally,
                None => &mut self.unnamed,
            };
            if taken {
                tally.accepted = tally.accepted.saturating_add(1);
            } else if !message.refused {
                pending = Some(at);
            }
        }
        let refused = |tally: &Tally| tally.hard.is_some() || tally.soft.is_some();
        let untouched =
            !refused(&self.unnamed) && !self.names.iter().any(|(_, tally)| refused(tally));
        let (mail, mail_refused) = summary
            .map_or((true, false), |summary| (summary.mail > 0, summary.mail_tried > summary.mail));
        let broken_off = mail
            && match self.lost {
                Some(Stage::Rcpt) => true,
                Some(Stage::Mail) => untouched || !mail_refused,
                Some(Stage::Data) => untouched || pending.is_some(),
                Some(Stage::EndOfMessage) => pending.is_some(),
                _ => false,
            };
        // MAIL out of order (no greeting, no STARTTLS) is answered 5xx and not logged.
        if untouched && mail_refused && !mail {
            self.unnamed.refuse(Refusal::Hard, Stage::Mail, b"");
        }
        if broken_off {
            let present = self.present.filter(|_| all_shown);
            let at = pending.flatten().or(only).or(present);
            match at.and_then(|at| self.names.get_mut(at)) {
                Some((_, tally)) => tally.aborted = true,
                None => self.unnamed.aborted = true,
            }
        }
        let no_mail = summary.is_none_or(|summary| summary.mail_tried == 0);
        if let Some((at, refusal)) = self.probed.filter(|_| no_mail)
            && let Some((_, tally)) = self.names.get_mut(at)
            && *tally == Tally::default()
        {
            tally.refuse(refusal, Stage::Other, b"");
        }
        let mut told: Vec<(Option<Name>, Tally)> = Vec::with_capacity(self.names.len().max(1));
        if let Some((_, tally)) = only.and_then(|at| self.names.get_mut(at)) {
            tally.absorb(&self.unnamed);
        } else if self.unnamed.accepted > 0 || self.names.is_empty() {
            // Mail whose name the log does not show, or a session without any.
            told.push((None, self.unnamed));
        }
        told.extend(self.names.into_iter().map(|(name, tally)| (Some(name), tally)));
        told
    }

    /// A line without `helo=` means that no greeting was *taken*; if one was tried, a name was said
    /// after all, and nobody knows which.
    fn drop_false_absence(&mut self, summary: Option<Summary>) {
        let Some(summary) = summary else { return };
        let absent = Name::absent();
        if summary.greetings_tried == 0 && summary.xclient == 0 && self.names.is_empty() {
            self.tally(absent);
            return;
        }
        // A refusal at the banner came before any greeting.
        let at_banner = |tally: &Tally| tally.hard.or(tally.soft) == Some(Stage::Connect);
        let doubtful = self.names.len() == 1
            && summary.greetings < summary.greetings_tried
            && self.names.iter().all(|(name, tally)| *name == absent && !at_banner(tally));
        if doubtful {
            self.names.clear();
            for message in &mut self.messages {
                message.name = None;
            }
        }
    }

    /// The one name that was in force throughout, if the log proves that.
    fn only_name(&self, summary: Option<Summary>) -> Option<usize> {
        if self.names.len() != 1 {
            return None;
        }
        // A greeting that was refused was not in force: another one may have been.
        let was_refused = |tally: &Tally| {
            let stages = [tally.hard, tally.soft];
            stages.iter().flatten().any(|stage| matches!(stage, Stage::Helo | Stage::Ehlo))
        };
        if !self.in_mail && self.names.iter().any(|(_, tally)| was_refused(tally)) {
            return None;
        }
        let Some(summary) = summary else { return Some(0) };
        // STARTTLS forgets the greeting and XCLIENT's was the proxy's: each is followed by another one.
        let proxied = u32::from(summary.xclient > 0);
        let greetings = summary.greetings.saturating_sub(summary.starttls).saturating_sub(proxied);
        let proven = greetings <= 1 || (summary.mail <= 1 && self.in_mail);
        proven.then_some(0)
    }

    /// Which of the messages were taken, in their order.
    fn taken(&self, summary: Option<Summary>) -> Vec<bool> {
        let has_ids = self.messages.iter().any(|message| message.has_id);
        let mut left = match summary {
            // BDAT counts chunks, not messages: then only the message's own lines say.
            Some(summary) if summary.bdat == 0 => {
                usize::try_from(summary.data).unwrap_or(usize::MAX)
            }
            _ => usize::MAX,
        };
        let whole = summary.is_some() || self.lost.is_none();
        self.messages
            .iter()
            .map(|message| {
                let complete = (message.has_id || (!has_ids && summary.is_some())) && whole;
                let taken = complete && !message.refused && left > 0;
                left = left.saturating_sub(usize::from(taken));
                taken
            })
            .collect()
    }
}

/// Which program of Postfix speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Component {
    Smtpd,
    Postscreen,
    Cleanup,
    /// A framing that cuts the tag at the slash has lost it.
    Unknown,
    /// Any other: the queue, delivery, TLS, DNS.
    Other,
}

fn component(tag: &[u8]) -> Component {
    let Some(at) = memchr::memrchr(b'/', tag) else { return Component::Unknown };
    match tag.get(at + 1..) {
        Some(b"smtpd") => Component::Smtpd,
        Some(b"postscreen") => Component::Postscreen,
        Some(b"cleanup") => Component::Cleanup,
        _ => Component::Other,
    }
}

/// True for the tags of Postfix: `postfix`, `postfix-in/smtpd`, and any `x/y` whose end is a program of
/// Postfix that we read.
pub(crate) fn is_tag(tag: &[u8]) -> bool {
    tag.starts_with(b"postfix") || !matches!(component(tag), Component::Unknown | Component::Other)
}

/// Submission services by the names that master.cf ships.
fn is_submission(tag: &[u8]) -> bool {
    const SERVICES: [&[u8]; 3] = [b"submission", b"submissions", b"smtps"];
    tag.split(|&byte| byte == b'/').any(|part| SERVICES.contains(&part))
}

/// Whether a line may begin a session whose `connect` was not seen: not cleanup's, whose pid is its own.
fn may_begin(component: Component, action: &Action<'_>) -> bool {
    match component {
        Component::Smtpd | Component::Postscreen => true,
        Component::Unknown => action.queue_id.is_none(),
        Component::Cleanup | Component::Other => false,
    }
}

/// Whether trouble with a client may: smtpd's, whose pid tells its session.
fn may_begin_by_trouble(component: Component) -> bool {
    matches!(component, Component::Smtpd | Component::Unknown)
}

/// host NUL tag NUL pid.
fn process_key(frame: &Frame<'_>) -> Vec<u8> {
    let mut key = Vec::with_capacity(frame.host.len() + frame.tag.len() + 6);
    key.extend_from_slice(frame.host);
    key.push(0);
    key.extend_from_slice(frame.tag);
    key.push(0);
    key.extend_from_slice(&frame.pid.unwrap_or(0).to_le_bytes());
    key
}

/// The key of smtpd's process, or for postscreen, which serves many clients at once, host NUL tag NUL
/// `[IP]:PORT`.
fn session_key(frame: &Frame<'_>, client: Client<'_>) -> Vec<u8> {
    let is_screen = match component(frame.tag) {
        Component::Postscreen => true,
        Component::Unknown => {
            line::is_screen_text(frame.text) || contains_screen_client(frame.text)
        }
        _ => false,
    };
    let Some(port) = client.port.filter(|_| is_screen) else { return process_key(frame) };
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(frame.host);
    key.push(0);
    key.extend_from_slice(frame.tag);
    key.push(0);
    key.extend_from_slice(format!("[{}]:{port}", client.ip).as_bytes());
    key
}

/// `NOQUEUE: reject: RCPT from [`: smtpd always writes a name before the bracket.
fn contains_screen_client(text: &[u8]) -> bool {
    crate::bytes::cut_at(text, b" from ").is_some_and(|(_, rest)| rest.starts_with(b"["))
}

fn queue_key(host: &[u8], queue_id: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(host.len() + queue_id.len() + 1);
    key.extend_from_slice(host);
    key.push(0);
    key.extend_from_slice(queue_id);
    key
}

//! Stalwart: SMTP sessions, joined from the events of its log.
//!
//! In go lines of Stalwart's own log (text or JSON) or of what systemd or docker made of it; out comes one
//! observation for every name that a session showed, when it ends. A session is the client's address and port
//! and the listener. Level INFO shows greetings, senders, recipients and what was queued, but not the end of a
//! session: then it is closed ten minutes after its last line.
//!
//! HELO and EHLO are both `smtp.ehlo`, and a greeting that is repeated is not logged. STARTTLS does not wipe it:
//! Stalwart keeps the name, so an event after STARTTLS is a new name, and none is the old one. A greeting that a
//! filter refuses was logged before, and the one before it is in force again; the checks at MAIL (`smtp.iprev-*`,
//! `smtp.spf-from-*`) name what is in force, and are believed as far as the session said that name.
//!
//! A message counts when it is queued (`queue.message-queued`). One that was read (DKIM, DMARC or the spam
//! filter spoke of it) and not queued was refused; recipients that were taken and no message read is a client that
//! left, unless RSET or another MAIL is shown. Events of outbound delivery have no client's address.
//!
//! The reverse name is that of `smtp.iprev-pass`, if the client has but one. Logins, and the ports and listeners
//! for them, are kept apart, and LMTP is re-injection.
//!
//! Not done: the multi-line form (`multi-line`); the journal tracer, whose fields are not in the message;
//! webhooks and OpenTelemetry. The grammar is crates/trc and crates/smtp of Stalwart's source (August 2026).

mod line;

use std::time::Duration;

use helostat_zones::name::Name;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use self::line::{Event, Peer, Read};
use super::{
    Caller, Format, IRRELEVANT, Reading, SESSION, SavedCaller, SavedState, Setting, TWICE,
    not_understood, restored, reverse_name, saved,
};
use crate::bytes::{from_text, to_text};
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::{Apart, Heard};
use crate::session::{
    MAX_NAMES, Refusal, SavedTally, Stage, Table, Tally, is_false, is_past, is_zero,
};
use crate::stamps::Stamps;

/// How long after its last line a session is closed: twice Stalwart's own `session.timeout` of 5 minutes.
const IDLE: Duration = Duration::from_secs(600);

/// Joins the lines of one reporter's Stalwart.
#[derive(Debug)]
pub(crate) struct Stalwart {
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
    /// The name in force, by place.
    current: Option<usize>,
    /// What happened while no name was in force.
    unnamed: Tally,
    /// Every line was read, and there was no greeting.
    whole: bool,
    /// The client said QUIT.
    quit: bool,
    transaction: Transaction,
}

/// A transaction that is not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Transaction {
    tally: Tally,
    /// MAIL was accepted.
    open: bool,
    /// Recipients that were taken.
    ok: u32,
    /// The message was read.
    read: bool,
}

/// What an event does to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// It belongs to the session and changes nothing.
    None,
    Start,
    End,
    Greeting,
    RefusedGreeting,
    NoGreeting,
    /// A check at MAIL names the greeting in force.
    Check,
    Mail,
    Recipient,
    Reset,
    Quit,
    Refused(Refusal, Stage),
    /// A filter refused whatever was at hand.
    Filtered(Refusal),
    Read,
    Spam,
    Queued,
    Discarded,
    Login,
    Tls,
}

/// What an event comes to; `None` for events of other services.
fn effect(event: &Event<'_>) -> Option<Effect> {
    use Effect::{
        Check, Discarded, End, Filtered, Greeting, Login, Mail, NoGreeting, Queued, Quit, Read,
        Recipient, Refused, RefusedGreeting, Reset, Spam, Start, Tls,
    };
    use Refusal::{Hard, Soft};
    let of_recipient = event.detail.of_recipient;
    Some(match &*event.id {
        b"smtp.connection-start" => Start,
        b"smtp.connection-end" => End,
        b"smtp.ehlo" => Greeting,
        b"smtp.invalid-ehlo" => RefusedGreeting,
        b"smtp.did-not-say-ehlo" => NoGreeting,
        b"smtp.iprev-pass" | b"smtp.iprev-fail" | b"smtp.spf-from-pass" | b"smtp.spf-from-fail" => {
            Check
        }
        b"smtp.mail-from" => Mail,
        b"smtp.rcpt-to" | b"smtp.rcpt-to-duplicate" => Recipient,
        b"smtp.rset" => Reset,
        b"smtp.quit" => Quit,
        b"smtp.mail-from-not-allowed"
        | b"smtp.mail-from-unauthenticated"
        | b"smtp.mail-from-unauthorized"
        | b"smtp.invalid-sender-address" => Refused(Hard, Stage::Mail),
        b"smtp.mailbox-does-not-exist"
        | b"smtp.relay-not-allowed"
        | b"smtp.invalid-recipient-address" => Refused(Hard, Stage::Rcpt),
        b"smtp.rcpt-to-greylisted" | b"smtp.too-many-recipients" => Refused(Soft, Stage::Rcpt),
        b"smtp.rate-limit-exceeded" if of_recipient => Refused(Soft, Stage::Rcpt),
        b"smtp.rate-limit-exceeded" => Refused(Soft, Stage::Mail),
        b"smtp.too-many-messages" => Refused(Soft, Stage::Data),
        b"smtp.message-too-large" | b"smtp.request-too-large" => Filtered(Hard),
        b"smtp.message-parse-failed" => Refused(Hard, Stage::EndOfMessage),
        b"smtp.loop-detected" => Refused(Soft, Stage::EndOfMessage),
        b"milter.action-reject" | b"mta-hook.action-reject" => Filtered(Hard),
        b"milter.action-temp-fail" => Filtered(Soft),
        b"milter.action-discard" | b"mta-hook.action-discard" => Discarded,
        b"smtp.dkim-pass" | b"smtp.dkim-fail" | b"smtp.dkim2-pass" | b"smtp.dkim2-fail"
        | b"smtp.arc-pass" | b"smtp.arc-fail" | b"smtp.dmarc-pass" | b"smtp.dmarc-fail" => Read,
        b"spam.classify" => Spam,
        b"queue.message-queued" | b"queue.authenticated-message-queued" => Queued,
        b"auth.success" => Login,
        b"tls.handshake" => Tls,
        id if id.starts_with(b"smtp.") => Effect::None,
        _ => return None,
    })
}

impl Format for Stalwart {
    fn read(&mut self, frame: &Frame<'_>, _: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        let event = match line::read(frame.text) {
            Read::Event(event) => event,
            Read::MultiLine => return not_understood("multi-line"),
            Read::Unknown => return not_understood("shape"),
        };
        let Some(peer) = &event.peer else { return IRRELEVANT };
        if *event.id == *b"security.ip-blocked" && is_smtp(peer) {
            self.blocked(frame.time, peer, out);
            return SESSION;
        }
        let Some(effect) = effect(&event) else { return IRRELEVANT };
        let key = session_key(frame.host, peer);
        if effect == Effect::Start {
            let session = Session::new(&key, frame.time, peer, true);
            if let Some(over) = self.sessions.open(&key, session) {
                self.finish(over, out);
            }
            return SESSION;
        }
        let known = self.sessions.get_mut(&key).is_some();
        // The other services have handshakes, logins and messages, too.
        if !known {
            if effect == Effect::End || !(event.id.starts_with(b"smtp.") || is_smtp(peer)) {
                return IRRELEVANT;
            }
            let session = Session::new(&key, frame.time, peer, false);
            if let Some(over) = self.sessions.open(&key, session) {
                self.finish(over, out);
            }
        }
        if effect == Effect::End {
            if let Some(over) = self.sessions.close(&key) {
                self.finish(over, out);
            }
            return SESSION;
        }
        if let Some(session) = self.sessions.get_mut(&key) {
            session.last = frame.time;
            session.take(effect, &event);
        }
        SESSION
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
        let sessions: Vec<Saved> =
            self.sessions.iter().map(|(_, session)| session.save()).collect();
        saved(&sessions)
    }

    fn restore(&mut self, saved: SavedState) -> Result<(), String> {
        for saved in restored::<Saved>(saved)? {
            let session = Session::restore(saved).ok_or(TWICE)?;
            let key = session.key.clone();
            if self.sessions.open(&key, session).is_some() {
                return Err(TWICE.to_owned());
            }
        }
        Ok(())
    }
}

impl Stalwart {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone(), sessions: Table::new() }
    }

    /// A connection that was closed before the banner.
    fn blocked(&self, time: Time, peer: &Peer<'_>, out: &mut Vec<Heard>) {
        let mut tally = Tally::default();
        tally.refuse(Refusal::Hard, Stage::Connect, b"Blocked IP address");
        let caller = Caller::new(peer.ip);
        out.push(caller.tell(time, Some(&Name::absent()), &tally, None, &self.setting.reporter));
    }

    fn finish(&self, mut session: Session, out: &mut Vec<Heard>) {
        session.end_transaction(!session.quit);
        let mut told: Vec<(Option<Name>, Tally)> =
            session.names.into_iter().map(|(name, tally)| (Some(name), tally)).collect();
        if told.is_empty() {
            told.push((session.whole.then(Name::absent), session.unnamed));
        } else if session.unnamed != Tally::default() {
            told.push((None, session.unnamed));
        }
        let (time, caller) = (session.begin, session.caller);
        out.extend(told.into_iter().map(|(name, tally)| {
            caller.tell(time, name.as_ref(), &tally, None, &self.setting.reporter)
        }));
    }
}

impl Session {
    fn new(key: &[u8], time: Time, peer: &Peer<'_>, whole: bool) -> Self {
        let mut caller = Caller::new(peer.ip);
        if is_submission(peer) {
            caller.apart = Some(Apart::Login);
        } else if peer.listener.starts_with(b"lmtp") {
            caller.apart = Some(Apart::Reinjected);
        }
        Self {
            key: key.into(),
            begin: time,
            last: time,
            caller,
            names: Vec::new(),
            current: None,
            unnamed: Tally::default(),
            whole,
            quit: false,
            transaction: Transaction::default(),
        }
    }

    /// The place of a name; `None` when the session showed too many.
    fn place(&mut self, said: &[u8]) -> Option<usize> {
        let name = Name::parse(said);
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

    fn take(&mut self, effect: Effect, event: &Event<'_>) {
        let domain = event.detail.domain.as_deref();
        match effect {
            Effect::None | Effect::Start | Effect::End => {}
            Effect::Greeting => {
                self.end_transaction(false);
                // A line that was cut shows no name, but that there is another one.
                self.current = domain.and_then(|said| self.place(said));
                self.whole = false;
            }
            Effect::RefusedGreeting => {
                self.whole = false;
                let at = domain.and_then(|said| self.place(said));
                if let Some((_, tally)) = at.and_then(|at| self.names.get_mut(at)) {
                    tally.refuse(Refusal::Hard, Stage::Ehlo, b"Invalid EHLO domain.");
                }
            }
            Effect::NoGreeting => {
                self.unnamed.refuse(Refusal::Hard, Stage::Mail, b"Polite people say EHLO first.");
            }
            Effect::Check => {
                if let Some(said) = domain {
                    let name = Name::parse(said);
                    let known = self.names.iter().position(|(known, _)| *known == name);
                    self.current = known.or(self.current);
                }
                if let Some(reverse) = &event.detail.reverse {
                    let reverse = reverse.strip_suffix(b".").unwrap_or(reverse);
                    self.caller.rdns = reverse_name(reverse);
                }
            }
            Effect::Mail => {
                self.end_transaction(false);
                self.transaction.open = true;
            }
            Effect::Recipient => self.transaction.ok = self.transaction.ok.saturating_add(1),
            Effect::Reset => self.end_transaction(false),
            Effect::Quit => self.quit = true,
            Effect::Refused(refusal, stage) => self.refuse(refusal, stage),
            Effect::Filtered(refusal) => {
                let stage = match &self.transaction {
                    Transaction { ok: 1.., .. } => Stage::EndOfMessage,
                    Transaction { open: true, .. } => Stage::Rcpt,
                    _ if self.current.is_none() => Stage::Connect,
                    _ => Stage::Other,
                };
                self.refuse(refusal, stage);
            }
            Effect::Read => self.transaction.read = true,
            Effect::Spam => match event.detail.decided {
                Some("reject") => self.refuse(Refusal::Hard, Stage::EndOfMessage),
                Some(_) => self.taken(),
                None => self.transaction.read = true,
            },
            // A filter discards what it would not have the client know of.
            Effect::Discarded if self.transaction.ok == 0 => {}
            Effect::Queued | Effect::Discarded => {
                if *event.id == *b"queue.authenticated-message-queued" {
                    self.login();
                }
                self.taken();
            }
            Effect::Login => self.login(),
            Effect::Tls => self.caller.proto.get_or_insert_default().tls = true,
        }
    }

    fn login(&mut self) {
        self.caller.apart = Some(Apart::Login);
        self.caller.proto.get_or_insert_default().auth = true;
    }

    fn refuse(&mut self, refusal: Refusal, stage: Stage) {
        let in_transaction = self.transaction.open;
        let tally = if in_transaction { &mut self.transaction.tally } else { self.tally() };
        if !(in_transaction && stage == Stage::EndOfMessage) {
            tally.refuse(refusal, stage, b"");
        } else {
            // What was refused before in the transaction does not matter any more.
            *tally = Tally::default();
            tally.refuse(refusal, stage, b"");
            (self.transaction.ok, self.transaction.read) = (0, false);
            self.end_transaction(false);
        }
    }

    /// A message was taken.
    fn taken(&mut self) {
        let tally = &mut self.transaction.tally;
        tally.accepted = tally.accepted.saturating_add(1);
        (self.transaction.ok, self.transaction.read) = (0, false);
        self.end_transaction(false);
    }

    /// The transaction is over; `left`: because the session is.
    fn end_transaction(&mut self, left: bool) {
        let Transaction { mut tally, open, ok, read } = std::mem::take(&mut self.transaction);
        if read {
            tally = Tally::default();
            tally.refuse(Refusal::Hard, Stage::EndOfMessage, b"");
        } else if left && open && ok > 0 {
            tally.aborted = true;
        }
        self.tally().absorb(&tally);
    }
}

/// True for services that strangers send mail to, or users.
fn is_smtp(peer: &Peer<'_>) -> bool {
    matches!(peer.local_port, 25 | 465 | 587 | 2525)
        || peer.listener.starts_with(b"smtp")
        || is_submission(peer)
}

/// True for services for users, by their ports and the names that Stalwart ships.
fn is_submission(peer: &Peer<'_>) -> bool {
    matches!(peer.local_port, 465 | 587)
        || [&b"submission"[..], b"submissions", b"smtps"].contains(&&*peer.listener)
}

/// host NUL listener NUL `[IP]:PORT`.
fn session_key(host: &[u8], peer: &Peer<'_>) -> Vec<u8> {
    let client = format!("[{}]:{}", peer.ip, peer.port);
    [host, &peer.listener, client.as_bytes()].join(&0)
}

/// True for the tags of Stalwart.
pub(crate) fn is_tag(tag: &[u8]) -> bool {
    tag == b"stalwart" || tag == b"stalwart-mail"
}

/// A line of Stalwart's own log.
pub(crate) fn own<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
) -> Option<Result<Frame<'a>, &'static str>> {
    let (stamp, text) = if line.starts_with(b"{") {
        (line::json(line)?.0, line)
    } else {
        let (stamp, text) = line::stamped(line)?;
        line::head(text)?;
        (stamp, text)
    };
    let frame =
        |time| Frame { time, host: b"", tag: b"", pid: None, text, own: Some(Program::Stalwart) };
    Some(stamps.time(&stamp).map(frame))
}

/// A session as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    /// The key, each octet as the character of that number.
    key: String,
    begin: u32,
    last: u32,
    client: SavedCaller,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<SavedTally>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<usize>,
    unnamed: SavedTally,
    #[serde(default, skip_serializing_if = "is_false")]
    whole: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    quit: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transaction: Option<SavedTransaction>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedTransaction {
    tally: SavedTally,
    #[serde(default, skip_serializing_if = "is_false")]
    open: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    ok: u32,
    #[serde(default, skip_serializing_if = "is_false")]
    read: bool,
}

impl Session {
    fn save(&self) -> Saved {
        let unnamed = |tally: &Tally| SavedTally::of(&Name::absent(), tally);
        let Transaction { tally, open, ok, read } = &self.transaction;
        Saved {
            key: to_text(&self.key),
            begin: self.begin.0,
            last: self.last.0,
            client: SavedCaller::of(&self.caller),
            names: self.names.iter().map(|(name, tally)| SavedTally::of(name, tally)).collect(),
            current: self.current,
            unnamed: unnamed(&self.unnamed),
            whole: self.whole,
            quit: self.quit,
            transaction: (self.transaction != Transaction::default()).then(|| SavedTransaction {
                tally: unnamed(tally),
                open: *open,
                ok: *ok,
                read: *read,
            }),
        }
    }

    fn restore(saved: Saved) -> Option<Self> {
        let transaction = saved.transaction.map(|saved| {
            let SavedTransaction { tally, open, ok, read } = saved;
            Transaction { tally: tally.restore().1, open, ok, read }
        });
        Some(Self {
            key: from_text(&saved.key)?.into(),
            begin: Time(saved.begin),
            last: Time(saved.last),
            caller: saved.client.restore(),
            names: saved.names.into_iter().map(SavedTally::restore).collect(),
            current: saved.current,
            unnamed: saved.unnamed.restore().1,
            whole: saved.whole,
            quit: saved.quit,
            transaction: transaction.unwrap_or_default(),
        })
    }
}

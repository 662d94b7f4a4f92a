//! Haraka: connections, joined from the lines of its log.
//!
//! In go lines of Haraka's own log (standard output, with or without stamps, in each of the three forms of
//! log.ini) or of its syslog; out comes what each connection came to, when its `disconnect` line is read. That
//! line has the client, the greeting and the counters; the lines before it are joined by the UUID and
//! divide the counters among the transactions. A `disconnect` line alone is read, too: old versions write less.
//!
//! The greeting in `disconnect` is the last one that was said. It stands for the last transaction only:
//! what came to something else before it is told without a name, for the log never shows a greeting that was
//! changed. Where the counters cannot be divided and do not agree the name is dropped (`name-in-doubt`).
//! Greetings that a plugin refused are shown at level INFO only, and so are hang-ups: at level NOTICE an empty
//! greeting means "not shown", not "nothing said", as soon as anything was refused.
//!
//! A client that hung up within a transaction is `aborted`, whatever was refused in it.
//!
//! Traps: behind a proxy `connect` has the proxy's address, `disconnect` the client's. STARTTLS and a refused
//! greeting empty `helo`. Haraka keeps the first word of a greeting only, and U+FFFD for what is no UTF-8.
//! `recipient .. code=OK` is also written for mail that is refused because no plugin took it: the counters say
//! which. A Message-ID may bring line feeds into the log, always within a quoted value: whatever stands in the
//! lines until the quote ends is the sender's, and is not read (`inside-a-value`).
//!
//! The reverse name is a PTR that Haraka did not verify, and is not told. `relay=Y` is a login or a relay of
//! the operator's, kept apart.
//!
//! Not done: outbound delivery; the greetings that level PROTOCOL shows; colours of a terminal.
//! The grammar is Haraka's logger.js and connection.js (3.1.6, and a run of 3.3.4).

mod line;
mod saved;

use helostat_zones::name::Name;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use self::line::{Read, Said, Summary};
use super::{
    Caller, Format, IRRELEVANT, Reading, SESSION, SavedState, Setting, ambiguous, not_understood,
};
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::{Apart, Heard, Proto, reason};
use crate::ours::Reply;
use crate::session::{IDLE, MAX_NAMES, Refusal, Stage, Table, Tally, is_past, is_zero};
use crate::stamps::{Stamps, iso_stamp};

/// Refusals of MAIL and what follows it, by Haraka itself, that begin no transaction.
const OF_MAIL: [&[u8]; 8] = [
    b"503 Use EHLO/HELO before MAIL",
    b"503 Use MAIL before RCPT",
    b"503 MAIL required first",
    b"550 Authentication required",
    b"501 Command parsing failed",
    b"501 Invalid MAIL FROM address",
    b"555 Invalid command parameters",
    b"550 Message too big!",
];
/// Refusals that say nothing of mail: unknown commands, logins, TLS, time.
const OF_NO_MAIL: [&[u8]; 8] =
    [b"500 ", b"501 ", b"502 ", b"504 ", b"521 ", b"535 ", b"421 ", b"550 Access Denied"];
/// What Haraka answers to DATA after no recipient was taken: the transaction had come to its end.
const AT_DATA: [&[u8]; 2] = [b"503 RCPT required first", b"554 No valid recipients"];

/// Joins the lines of one reporter's Haraka.
#[derive(Debug)]
pub(crate) struct Haraka {
    setting: Setting,
    sessions: Table<Session>,
    /// Some line had level INFO: refused greetings and hang-ups are in this log.
    informed: bool,
    /// The present raw line is no wrapping of another one.
    raw: bool,
    /// A quoted value has not ended.
    inside: Option<Inside>,
}

/// Where a quoted value goes on.
#[derive(Debug)]
struct Inside {
    /// host NUL tag NUL pid of the lines that it can go on in.
    key: Box<[u8]>,
    /// It goes on in the next line of the source, whatever that looks like.
    raw: bool,
}

#[derive(Debug)]
struct Session {
    key: Box<[u8]>,
    begin: Time,
    last: Time,
    caller: Caller,
    /// The client closed the connection without QUIT.
    gone: bool,
    /// STARTTLS forgot a greeting.
    secured: bool,
    /// A plugin for logins was at work.
    login: bool,
    /// Greetings that were refused.
    refused: Vec<(Name, Tally)>,
    /// The connection was refused before any greeting.
    banner: Option<Tally>,
    /// What was before the present transaction.
    earlier: Earlier,
    now: Transaction,
}

/// Transactions that are over.
#[derive(Debug, Default)]
struct Earlier {
    tally: Tally,
    counts: Counts,
}

/// What the lines say of several transactions, to be held against the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Counts {
    #[serde(skip_serializing_if = "is_zero")]
    transactions: u32,
    /// Recipients that were refused for good, as far as the lines say.
    #[serde(skip_serializing_if = "is_zero")]
    refused: u32,
    /// `recipient .. code=OK` lines that may be refusals.
    #[serde(skip_serializing_if = "is_zero")]
    unsure: u32,
    #[serde(skip_serializing_if = "is_zero")]
    taken: u32,
}

/// One transaction, by its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Transaction {
    #[serde(skip_serializing_if = "is_zero")]
    number: u32,
    /// Its `sender` line was read.
    #[serde(skip_serializing_if = "crate::session::is_false")]
    whole: bool,
    /// Where the last refusal was that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<(Stage, bool)>,
    #[serde(skip_serializing_if = "crate::session::is_false")]
    taken: bool,
    #[serde(skip_serializing_if = "is_zero")]
    ok: u32,
    #[serde(skip_serializing_if = "is_zero")]
    soft: u32,
    #[serde(skip_serializing_if = "is_zero")]
    hard: u32,
    /// The counts are the `message` line's.
    #[serde(skip_serializing_if = "crate::session::is_false")]
    counted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Box<str>>,
    #[serde(skip_serializing_if = "crate::session::is_false")]
    by_us: bool,
}

impl Format for Haraka {
    fn read(&mut self, frame: &Frame<'_>, _: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        let key = process_key(frame);
        if self.inside.as_ref().is_some_and(|inside| *inside.key == *key) {
            return self.go_on(frame.text);
        }
        let text = without_stamp(frame.text);
        let line = match line::read(text) {
            Read::Line(line) => line,
            Read::Open => {
                let raw = self.raw && frame.own.is_some();
                self.inside = Some(Inside { key: key.into(), raw });
                return ambiguous("inside-a-value");
            }
            Read::Unknown if is_chatter(text) => return IRRELEVANT,
            Read::Unknown => return not_understood("shape"),
        };
        self.informed |= line.is_info;
        match &line.said {
            Said::Nothing => return IRRELEVANT,
            Said::Odd => return not_understood("fields"),
            _ => {}
        }
        let Some(uuid) = &line.uuid else {
            return match line.said {
                Said::Disconnect(summary) => self.disconnect(None, &summary, frame, out),
                _ => IRRELEVANT,
            };
        };
        let key = session_key(frame.host, uuid);
        if let Said::Disconnect(summary) = line.said {
            let session = self.sessions.close(&key);
            return self.disconnect(session, &summary, frame, out);
        }
        if let Said::Connect(ip) = line.said {
            self.open(&key, ip, frame.time, out);
            return SESSION;
        }
        // Addresses that hold a blank are quoted: what a client chose of a reply ends its reading.
        let by_us = match &line.said {
            Said::Refused { words, params, .. } => self.caused(words, params),
            Said::Sender(Some(_), words)
            | Said::Recipient(Some(_), words)
            | Said::Message(_, Some(_), words)
            | Said::Queue(Some(_), words) => self.caused(words, b""),
            _ => false,
        };
        let Some(session) = self.sessions.get_mut(&key) else { return IRRELEVANT };
        session.last = frame.time;
        session.note(line.transaction, line.said, by_us);
        SESSION
    }

    fn rest(&mut self, line: &[u8]) -> Option<Reading> {
        // A docker or journald object: the line in it is read, whoever's it is.
        self.raw = !line.starts_with(b"{");
        if self.inside.as_ref().is_some_and(|inside| inside.raw) {
            return Some(self.go_on(line));
        }
        is_chatter(line).then_some(IRRELEVANT)
    }

    fn sweep(&mut self, now: Time, out: &mut Vec<Heard>) {
        for session in self.sessions.close_where(|session| is_past(session.last, now, IDLE)) {
            self.lost(session, out);
        }
    }

    fn close(&mut self, out: &mut Vec<Heard>) {
        for session in self.sessions.close_where(|_| true) {
            self.lost(session, out);
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

impl Haraka {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self {
            setting: setting.clone(),
            sessions: Table::new(),
            informed: false,
            raw: false,
            inside: None,
        }
    }

    fn caused(&self, text: &[u8], said: &[u8]) -> bool {
        self.setting.ours.caused(Reply { text, said })
    }

    /// A line within a quoted value.
    fn go_on(&mut self, text: &[u8]) -> Reading {
        if line::closes(text) {
            self.inside = None;
        }
        ambiguous("inside-a-value")
    }

    fn open(&mut self, key: &[u8], ip: std::net::IpAddr, time: Time, out: &mut Vec<Heard>) {
        if let Some(over) = self.sessions.open(key, Session::new(key, ip, time)) {
            self.lost(over, out);
        }
    }

    /// A session whose last line never came: the greeting is not known.
    fn lost(&self, session: Session, out: &mut Vec<Heard>) {
        let mut tally = session.earlier.tally.clone();
        tally.absorb(&session.now.tally());
        if let Some(banner) = &session.banner {
            tally.absorb(banner);
        }
        let mut told = session.refused;
        if told.is_empty() || tally != Tally::default() {
            let named = told.into_iter().map(|(name, tally)| (Some(name), tally));
            self.tell(session.begin, &session.caller, named.chain([(None, tally)]), out);
        } else {
            let named = told.drain(..).map(|(name, tally)| (Some(name), tally));
            self.tell(session.begin, &session.caller, named, out);
        }
    }

    fn tell(
        &self,
        time: Time,
        caller: &Caller,
        told: impl Iterator<Item = (Option<Name>, Tally)>,
        out: &mut Vec<Heard>,
    ) {
        out.extend(told.map(|(name, tally)| {
            caller.tell(time, name.as_ref(), &tally, None, &self.setting.reporter)
        }));
    }

    fn disconnect(
        &self,
        session: Option<Session>,
        summary: &Summary<'_>,
        frame: &Frame<'_>,
        out: &mut Vec<Heard>,
    ) -> Reading {
        let Some(ip) = summary.ip else { return not_understood("fields") };
        // Only what was read from its beginning shows that something did not happen.
        let informed = self.informed && session.is_some();
        let begin = Time(frame.time.0.saturating_sub(summary.seconds));
        let mut session = session.unwrap_or_else(|| Session::new(b"", ip, begin));
        session.caller.ip = ip;
        if let Some(extended) = summary.esmtp {
            let auth = summary.relay && session.login;
            session.caller.proto = Some(Proto { extended, tls: summary.tls, auth });
        }
        if summary.relay {
            session.caller.apart = Some(Apart::Login);
        }
        let by_us = self.caused(&summary.last_reject, summary.helo.as_deref().unwrap_or_default());
        let told = session.settle(summary, informed, by_us);
        self.tell(session.begin, &session.caller, told.heard.into_iter(), out);
        if told.in_doubt { ambiguous("name-in-doubt") } else { SESSION }
    }
}

/// What a session comes to: names, each with its tally.
struct Settled {
    heard: Vec<(Option<Name>, Tally)>,
    /// The name was dropped.
    in_doubt: bool,
}

impl Session {
    fn new(key: &[u8], ip: std::net::IpAddr, time: Time) -> Self {
        Self {
            key: key.into(),
            begin: time,
            last: time,
            caller: Caller::new(ip),
            gone: false,
            secured: false,
            login: false,
            refused: Vec::new(),
            banner: None,
            earlier: Earlier::default(),
            now: Transaction::default(),
        }
    }

    /// Takes in what a line between the first and the last says.
    fn note(&mut self, number: u32, said: Said<'_>, by_us: bool) {
        if number > self.now.number {
            let over = std::mem::take(&mut self.now);
            self.earlier.add(&over);
            self.now.number = number;
        }
        match said {
            Said::Proxied(ip) => self.caller.ip = ip,
            Said::Secured => self.secured = true,
            Said::Login => self.login = true,
            Said::Gone => self.gone = true,
            Said::Refused { stage: Stage::Connect, refusal, words, .. } => {
                let tally = self.banner.get_or_insert_default();
                tally.refuse(refusal, Stage::Connect, &words);
                tally.by_us |= by_us;
            }
            Said::Refused { stage: Stage::Data, refusal, words, .. } => {
                self.now.end(Some(refusal), Stage::Data, &words, by_us);
            }
            Said::Refused { stage, refusal, params, words } => {
                let name = Name::parse(&params);
                let at = match self.refused.iter().position(|(known, _)| *known == name) {
                    Some(at) => at,
                    None if self.refused.len() >= MAX_NAMES => return,
                    None => {
                        self.refused.push((name, Tally::default()));
                        self.refused.len() - 1
                    }
                };
                if let Some((_, tally)) = self.refused.get_mut(at) {
                    tally.refuse(refusal, stage, &words);
                    tally.by_us |= by_us;
                }
            }
            Said::Sender(refusal, words) => {
                self.now.whole = true;
                if refusal.is_some() {
                    self.now.end(refusal, Stage::Mail, &words, by_us);
                }
            }
            Said::Recipient(refusal, words) => self.now.recipient(refusal, &words, by_us),
            Said::Message([ok, soft, hard], refusal, words) => {
                (self.now.ok, self.now.soft, self.now.hard) = (ok, soft, hard);
                self.now.counted = true;
                if refusal.is_some() {
                    self.now.end(refusal, Stage::EndOfMessage, &words, by_us);
                }
            }
            Said::Queue(refusal, words) => {
                self.now.taken = refusal.is_none();
                if refusal.is_some() {
                    self.now.end(refusal, Stage::EndOfMessage, &words, by_us);
                }
            }
            Said::Nothing | Said::Odd | Said::Connect(_) | Said::Disconnect(_) => {}
        }
    }

    fn settle(&mut self, summary: &Summary<'_>, informed: bool, by_us: bool) -> Settled {
        let mut heard: Vec<(Option<Name>, Tally)> =
            self.refused.drain(..).map(|(name, tally)| (Some(name), tally)).collect();
        let name = summary.helo.as_deref().filter(|helo| !helo.is_empty()).map(Name::parse);
        if summary.transactions == 0 {
            let known = name.is_some() && heard.iter().any(|(known, _)| *known == name);
            let mut tally = match self.banner.take() {
                Some(banner) => banner,
                None => before_mail(summary),
            };
            tally.by_us |= by_us;
            // A client whose greeting was refused has been told; so has one that kept its refused greeting.
            if !known && (name.is_some() || heard.is_empty()) {
                let nothing = self.said_nothing(summary, informed).then(Name::absent);
                heard.push((name.or(nothing), tally));
            }
            return Settled { heard, in_doubt: false };
        }
        let (earlier, mut last, is_split) = self.divide(summary, informed);
        last.by_us |= by_us;
        let lr = &*summary.last_reject;
        // A MAIL that began no transaction was refused, too, under this greeting or one before it.
        if last.accepted > 0 && lr != OF_MAIL[0] && starts_with_any(lr, &OF_MAIL) {
            last.refuse(Refusal::of(lr).unwrap_or(Refusal::Hard), Stage::Mail, words(lr));
        }
        let in_doubt = name.is_some() && !is_split;
        let name = name.filter(|_| !in_doubt);
        if let Some(earlier) = earlier.filter(|earlier| earlier.outcome() != last.outcome()) {
            heard.push((None, earlier));
        }
        match heard.iter_mut().find(|(known, _)| name.is_some() && *known == name) {
            Some((_, tally)) => tally.absorb(&last),
            None => heard.push((name, last)),
        }
        Settled { heard, in_doubt }
    }

    /// True if the log shows that no greeting was said.
    fn said_nothing(&self, summary: &Summary<'_>, informed: bool) -> bool {
        let kept_none = summary.helo.as_deref().is_some_and(<[u8]>::is_empty);
        let too_long = summary.last_reject.starts_with(b"521 ");
        kept_none
            && summary.esmtp == Some(false)
            && !self.secured
            && self.banner.is_none()
            && !too_long
            && (informed || (summary.last_reject.is_empty() && !summary.tls))
    }

    /// The counters of the whole, divided between the last transaction and those before it; false if
    /// they cannot be divided, and all of it is in the last.
    fn divide(&self, summary: &Summary<'_>, informed: bool) -> (Option<Tally>, Tally, bool) {
        let [ok, soft, hard] = summary.recipients;
        let [taken, put_off, refused] = summary.messages;
        let mut last = self.now.clone();
        if summary.transactions == 1 {
            (last.ok, last.soft, last.hard) = (ok, soft, hard);
            last.taken = taken > 0;
            if put_off + refused > 0 && last.refused.is_none() {
                let refusal = if refused > 0 { Refusal::Hard } else { Refusal::Soft };
                last.end(Some(refusal), Stage::EndOfMessage, words(&summary.last_reject), false);
            }
            return (None, self.ended(last, summary, informed), true);
        }
        let seen = self.earlier.counts.transactions.saturating_add(last.whole.into())
            == summary.transactions;
        let taken_seen = self.earlier.counts.taken.saturating_add(last.taken.into()) == taken;
        let hidden = hard.saturating_sub(self.earlier.counts.refused).saturating_sub(last.hard);
        let last_unsure = if last.counted { 0 } else { last.ok };
        let of_one = hidden == 0 || self.earlier.counts.unsure == 0 || last_unsure == 0;
        if seen && taken_seen && of_one {
            let mut earlier = self.earlier.tally.clone();
            if last_unsure >= hidden {
                last.ok -= hidden.min(last.ok);
                last.hard = last.hard.saturating_add(hidden);
            } else {
                earlier.refuse(Refusal::Hard, Stage::Rcpt, b"");
            }
            return (Some(earlier), self.ended(last, summary, informed), true);
        }
        // What is the same for all is the last one's, too.
        let mut all = Tally { accepted: taken, ..Tally::default() };
        let lr = words(&summary.last_reject);
        if soft + put_off > 0 {
            all.refuse(Refusal::Soft, Stage::Rcpt, lr);
        }
        if hard + refused > 0 {
            all.refuse(Refusal::Hard, Stage::Rcpt, lr);
        }
        // A refused MAIL is in no counter, but it is the last refusal.
        let uniform = match (taken > 0, soft + put_off > 0, hard + refused > 0) {
            (true, false, false) => summary.last_reject.is_empty(),
            (false, true, false) => Refusal::of(&summary.last_reject) == Some(Refusal::Soft),
            (false, false, true) => Refusal::of(&summary.last_reject) == Some(Refusal::Hard),
            _ => false,
        };
        (None, all, uniform)
    }

    /// What the last transaction came to.
    fn ended(&self, mut last: Transaction, summary: &Summary<'_>, informed: bool) -> Tally {
        let lr = &*summary.last_reject;
        let untouched = last.ok == 0 && last.soft == 0 && last.hard == 0;
        if last.taken || last.refused.is_some() {
            return last.tally();
        }
        // The `sender` line is missing.
        if untouched
            && !last.whole
            && let Some(refusal) = Refusal::of(lr)
            && !starts_with_any(lr, &OF_NO_MAIL)
        {
            last.end(Some(refusal), Stage::Mail, words(lr), false);
            return last.tally();
        }
        let at_data = last.ok > 0 && (lr.starts_with(b"554 ") || lr.starts_with(b"451 "));
        // With no recipient refused, the last refusal is of what follows them.
        let after_data = last.ok > 0
            && !self.gone
            && last.soft == 0
            && last.hard == 0
            && !starts_with_any(lr, &OF_NO_MAIL)
            && !starts_with_any(lr, &OF_MAIL);
        if (at_data || after_data)
            && let Some(refusal) = Refusal::of(lr)
        {
            let stage = if at_data { Stage::Data } else { Stage::EndOfMessage };
            last.end(Some(refusal), stage, words(lr), false);
            return last.tally();
        }
        let mut tally = last.tally();
        // Without level INFO a hang-up is not shown: an open transaction is one.
        tally.aborted = (self.gone && !starts_with_any(lr, &AT_DATA)) || (!informed && last.ok > 0);
        tally
    }
}

impl Earlier {
    fn add(&mut self, over: &Transaction) {
        if !over.whole {
            return;
        }
        self.tally.absorb(&over.tally());
        self.counts.transactions = self.counts.transactions.saturating_add(1);
        self.counts.refused = self.counts.refused.saturating_add(over.hard);
        let unsure = if over.counted { 0 } else { over.ok };
        self.counts.unsure = self.counts.unsure.saturating_add(unsure);
        self.counts.taken = self.counts.taken.saturating_add(u32::from(over.taken));
    }
}

impl Transaction {
    fn end(&mut self, refusal: Option<Refusal>, stage: Stage, words: &[u8], by_us: bool) {
        self.refused = refusal.map(|refusal| (stage, refusal == Refusal::Hard));
        self.reason = reason(words);
        self.by_us |= by_us;
    }

    fn recipient(&mut self, refusal: Option<Refusal>, words: &[u8], by_us: bool) {
        match refusal {
            None => self.ok = self.ok.saturating_add(1),
            Some(Refusal::Soft) => self.soft = self.soft.saturating_add(1),
            Some(Refusal::Hard) => self.hard = self.hard.saturating_add(1),
        }
        if refusal.is_some() {
            self.reason = reason(words);
            self.by_us |= by_us;
        }
    }

    /// What it came to. A refusal of the message, or of MAIL, weighs more than those of recipients.
    fn tally(&self) -> Tally {
        let mut tally =
            Tally { accepted: u32::from(self.taken), by_us: self.by_us, ..Tally::default() };
        match self.refused {
            Some((stage, true)) => tally.hard = Some(stage),
            Some((stage, false)) => tally.soft = Some(stage),
            None => {
                tally.hard = (self.hard > 0).then_some(Stage::Rcpt);
                tally.soft = (self.soft > 0).then_some(Stage::Rcpt);
            }
        }
        if tally.hard.is_some() || tally.soft.is_some() {
            tally.reason.clone_from(&self.reason);
        }
        tally
    }
}

/// What a session without a transaction came to: all that it shows is the last refusal.
fn before_mail(summary: &Summary<'_>) -> Tally {
    let mut tally = Tally::default();
    let lr = &*summary.last_reject;
    let Some(refusal) = Refusal::of(lr) else { return tally };
    if starts_with_any(lr, &OF_MAIL) {
        tally.refuse(refusal, Stage::Mail, words(lr));
    } else if !starts_with_any(lr, &OF_NO_MAIL) {
        // A plugin's words: it refused the connection or the greeting.
        tally.refuse(refusal, Stage::Other, words(lr));
    }
    tally
}

/// A refusal without its code.
fn words(lr: &[u8]) -> &[u8] {
    lr.get(4..).unwrap_or_default()
}

fn starts_with_any(text: &[u8], starts: &[&[u8]]) -> bool {
    starts.iter().any(|start| text.starts_with(start))
}

/// What Haraka and its libraries print without a form.
fn is_chatter(text: &[u8]) -> bool {
    const CHATTER: [&[u8]; 4] =
        [b"loaded TLD files", b"loaded Public Suffixes", b"Using iconv-lite", b"Reloaded file: "];
    starts_with_any(text, &CHATTER)
}

/// True for the tags of Haraka.
pub(crate) fn is_tag(tag: &[u8]) -> bool {
    tag.eq_ignore_ascii_case(b"haraka")
}

/// A line of Haraka's own log.
pub(crate) fn own<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
) -> Option<Result<Frame<'a>, &'static str>> {
    let stamped =
        iso_stamp(line, b'T').and_then(|(stamp, rest)| Some((stamp, rest.strip_prefix(b" ")?)));
    let text = stamped.map_or(line, |(_, text)| text);
    if !line::is_own(text) {
        return None;
    }
    let time = match stamped {
        Some((stamp, _)) => stamps.time(&stamp),
        None => stamps.unstamped(),
    };
    let frame =
        |time| Frame { time, host: b"", tag: b"", pid: None, text, own: Some(Program::Haraka) };
    Some(time.map(frame))
}

/// The text of a Haraka line that syslog wraps, without the stamp that Haraka may write, too.
fn without_stamp(text: &[u8]) -> &[u8] {
    iso_stamp(text, b'T').and_then(|(_, rest)| rest.strip_prefix(b" ")).unwrap_or(text)
}

/// host NUL UUID.
fn session_key(host: &[u8], uuid: &[u8]) -> Vec<u8> {
    [host, uuid].join(&0)
}

/// host NUL tag NUL pid.
fn process_key(frame: &Frame<'_>) -> Vec<u8> {
    let pid = frame.pid.unwrap_or(0).to_le_bytes();
    [frame.host, frame.tag, &pid].join(&0)
}

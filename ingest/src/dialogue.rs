//! An SMTP dialogue as its server logs it: commands and replies in, what they come to under each name out.
//!
//! In go the client's lines (`command`) and the server's replies (`reply`) in the order in which they
//! are logged; out of `settle` comes a tally for every name that the session showed. Which line is whose is the log's
//! business: what a client says is data here, whatever it looks like. Shared by the formats that log whole
//! dialogues; [`Talks`] keeps their open sessions.
//!
//! Replies come in the order of the commands (RFC 2920), so a command waits in a queue for its reply, and
//! only the reply decides: EHLO names the session once it is answered 2xx, a message is taken when the reply after
//! its content is 2xx (RFC 5321 section 4.1.1). A refused greeting changes nothing that was in force;
//! STARTTLS wipes it. After 354 the next reply is the message's; after 334 what the client says is no command.
//! Where queue and log can no longer agree (an answer that its command cannot have, commands behind DATA, AUTH
//! or STARTTLS in one packet) the dialogue is `adrift`: nothing more of it is believed.
//!
//! A refused greeting and a failed login count only if nothing else happened: many clients fall back to
//! HELO, and many try a login that is not offered.

use std::collections::VecDeque;
use std::net::IpAddr;

use helostat_zones::name::Name;
use helostat_zones::observation::Outcome;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use crate::bytes::{address, cut, from_text, to_text};
use crate::format::{
    Caller, IRRELEVANT, Reading, SESSION, SavedCaller, SavedState, Setting, TWICE, ambiguous,
    not_understood, restored, saved,
};
use crate::heard::{Apart, Heard, Proto};
use crate::ours::{Ours, Reply};
use crate::session::{
    IDLE, MAX_NAMES, Refusal, SavedTally, Stage, Table, Tally, is_false, is_past,
};

/// The most commands that wait for their replies; more is no dialogue.
const PENDING_MAX: usize = 128;
/// How much of what the client said is kept, to know whether a reply repeats it.
const SAID_MAX: usize = 1024;

/// What a client may say, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Command {
    /// EHLO or HELO with the normalised text of the name.
    Greeting {
        name: Box<str>,
        extended: bool,
    },
    Mail,
    Rcpt,
    Data,
    /// BDAT.
    Chunk,
    /// BDAT with LAST.
    LastChunk,
    /// The content after DATA: no log shows it.
    Message,
    StartTls,
    Auth,
    Reset,
    /// Exchange's front end says for whom it speaks; `None` if it cannot be read.
    Proxy(Option<Proxied>),
    Other,
}

/// The client that a trusted proxy speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proxied {
    pub(crate) ip: IpAddr,
    /// The normalised text of its name; `None` if the proxy states none.
    name: Option<Box<str>>,
    /// The session at the proxy, in `to_text`'s form.
    session: Box<str>,
    /// A service for users.
    login: bool,
}

impl Proxied {
    /// The key of the session at the proxy.
    pub(crate) fn session(&self) -> Vec<u8> {
        from_text(&self.session).unwrap_or_default()
    }
}

/// Whose words count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Force {
    /// Nobody knows what was said: the beginning was not seen, TLS wiped it, or it was refused.
    #[default]
    Unknown,
    /// Nothing was said yet.
    Nothing,
    /// This name, by place.
    Name(usize),
}

/// What happened under one name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Entry {
    tally: Tally,
    /// A refused greeting: it counts only if nothing else happened.
    greeting: Tally,
    /// A failed login: it counts only if nothing else happened.
    failed_login: Tally,
    /// Something happened of which the log does not tell the end.
    doubtful: bool,
}

/// A mail transaction that is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mail {
    /// A recipient was taken.
    #[serde(default, skip_serializing_if = "is_false")]
    taken: bool,
    /// A recipient was refused.
    #[serde(default, skip_serializing_if = "is_false")]
    refused: bool,
}

/// A dialogue, as far as it went.
#[derive(Debug, Default)]
pub(crate) struct Dialogue {
    /// Its first reply was seen, or is nothing to wait for.
    banner: bool,
    names: Vec<(Name, Entry)>,
    /// What happened while the name was not known.
    unnamed: Entry,
    force: Force,
    pending: VecDeque<Command>,
    /// The server asked for a secret: what the client says is none of our business.
    challenged: bool,
    mail: Option<Mail>,
    quit: bool,
    /// The log and our reading of it went apart.
    adrift: bool,
    proto: Option<Proto>,
    login: bool,
    proxied: Option<Option<Proxied>>,
    /// The client's lines: the greeting, then those of the present transaction.
    said: Vec<u8>,
    /// How much of `said` is the greeting's.
    greeting: usize,
    /// More was said than is kept.
    said_more: bool,
}

/// A reply with its code.
struct Answer<'a> {
    code: [u8; 3],
    refusal: Option<Refusal>,
    text: &'a [u8],
    by_us: bool,
}

impl Answer<'_> {
    fn is_ok(&self) -> bool {
        self.code[0] == b'2'
    }
}

impl Dialogue {
    /// A dialogue that begins now: the banner comes first.
    pub(crate) fn begun() -> Self {
        Self { force: Force::Nothing, ..Self::default() }
    }

    /// A dialogue whose beginning was not seen.
    pub(crate) fn joined() -> Self {
        Self { banner: true, ..Self::default() }
    }

    /// A dialogue that a proxy holds for a client.
    fn of_proxied(proxied: &Proxied) -> Self {
        let mut dialogue = Self::joined();
        dialogue.login = proxied.login;
        if let Some(name) = &proxied.name {
            dialogue.force = dialogue.place(Name::parse(name.as_bytes()));
        }
        dialogue
    }

    /// What the client says next is not a command.
    pub(crate) fn is_challenged(&self) -> bool {
        self.challenged
    }

    /// The next reply is that to a message.
    pub(crate) fn awaits_message(&self) -> bool {
        self.pending.front() == Some(&Command::Message)
    }

    /// The log will not say what became of the message.
    pub(crate) fn lose_message(&mut self) {
        self.pending.pop_front();
        self.entry().doubtful = true;
        self.mail = None;
    }

    /// TLS is on.
    pub(crate) fn note_tls(&mut self) {
        self.proto.get_or_insert_default().tls = true;
    }

    /// A user is logged in.
    pub(crate) fn note_login(&mut self) {
        self.login = true;
        self.proto.get_or_insert_default().auth = true;
    }

    /// Nothing more of it is believed.
    pub(crate) fn lose(&mut self) {
        self.adrift = true;
        if self.mail.take().is_some() {
            self.entry().doubtful = true;
        }
    }

    /// Takes in a line of the client.
    pub(crate) fn command(&mut self, line: &[u8]) -> Reading {
        if self.adrift {
            return ambiguous("adrift");
        }
        if self.challenged {
            return SESSION;
        }
        let line = line.trim_ascii();
        let (verb, argument) = cut(line, b' ').unwrap_or((line, b""));
        let argument = argument.trim_ascii();
        let is = |word: &[u8]| verb.eq_ignore_ascii_case(word);
        let greeting =
            |extended| Command::Greeting { name: Name::parse(argument).text().into(), extended };
        let command = if is(b"EHLO") {
            greeting(true)
        } else if is(b"HELO") {
            greeting(false)
        } else if is(b"MAIL") {
            Command::Mail
        } else if is(b"RCPT") {
            Command::Rcpt
        } else if is(b"DATA") {
            Command::Data
        } else if is(b"BDAT") {
            let mut words = argument.split(u8::is_ascii_whitespace);
            match words.next_back() {
                Some(word) if word.eq_ignore_ascii_case(b"LAST") => Command::LastChunk,
                _ => Command::Chunk,
            }
        } else if is(b"STARTTLS") || is(b"X-ANONYMOUSTLS") {
            Command::StartTls
        } else if is(b"AUTH") || is(b"X-EXPS") {
            Command::Auth
        } else if is(b"RSET") {
            Command::Reset
        } else if is(b"XPROXY") || is(b"XPROXYFROM") {
            Command::Proxy(proxied(argument, is(b"XPROXY")))
        } else {
            self.quit |= is(b"QUIT");
            Command::Other
        };
        self.hear(&command, line);
        if self.pending.len() == PENDING_MAX {
            self.lose();
            return ambiguous("adrift");
        }
        self.pending.push_back(command);
        SESSION
    }

    /// Keeps what the client said. With commands still unanswered nothing is forgotten: their replies may
    /// repeat it.
    fn hear(&mut self, command: &Command, line: &[u8]) {
        if self.pending.is_empty() {
            match command {
                Command::Greeting { .. } => {
                    self.said.clear();
                    self.greeting = 0;
                    self.said_more = false;
                }
                Command::Mail if self.greeting > 0 => {
                    self.said.truncate(self.greeting);
                    self.said_more = false;
                }
                _ => {}
            }
        }
        let room = SAID_MAX.saturating_sub(self.said.len());
        self.said_more |= line.len() >= room;
        self.said.extend(line.iter().take(room));
        if room > line.len() {
            self.said.push(b'\n');
        }
        if matches!(command, Command::Greeting { .. }) && !self.said_more {
            self.greeting = self.said.len();
        }
    }

    /// Takes in a reply of the server: the whole of it, or the last of its lines.
    pub(crate) fn reply(&mut self, text: &[u8], ours: &Ours) -> Reading {
        let Some(code) = code(text) else { return not_understood("reply") };
        if self.adrift {
            return ambiguous("adrift");
        }
        let refusal = Refusal::of(&code);
        let by_us =
            refusal.is_some() && !self.said_more && ours.caused(Reply { text, said: &self.said });
        let answer = Answer { code, refusal, text, by_us };
        if !self.banner && (code == *b"220" || refusal.is_some()) {
            self.banner = true;
            if let Some(refusal) = refusal {
                self.entry().tally.refuse(refusal, Stage::Connect, text);
                self.entry().tally.by_us |= by_us;
            }
            return SESSION;
        }
        self.banner = true;
        if self.challenged {
            if code != *b"334" {
                self.challenged = false;
                self.answered(Command::Auth, &answer);
            }
            return SESSION;
        }
        match self.pending.pop_front() {
            Some(command) => self.answered(command, &answer),
            None => self.unasked(&answer),
        }
        // The server hangs up: whatever was going on, it was not the client that left.
        if code == *b"421" {
            self.mail = None;
        }
        if self.adrift { ambiguous("adrift") } else { SESSION }
    }

    fn answered(&mut self, command: Command, answer: &Answer<'_>) {
        // Only DATA and AUTH are answered by "go on".
        if answer.code[0] == b'3' && !matches!(command, Command::Data | Command::Auth) {
            return self.lose();
        }
        match command {
            Command::Greeting { name, extended } => {
                self.greeted(Name::parse(name.as_bytes()), extended, answer);
            }
            Command::Mail => match answer.refusal {
                // MAIL within a transaction is out of order and changes nothing.
                Some(_) if self.mail.is_some() => {}
                Some(_) => self.refuse(answer, Stage::Mail),
                None => self.mail = Some(Mail::default()),
            },
            Command::Rcpt => match answer.refusal {
                Some(_) => {
                    self.refuse_unless_settled(answer, Stage::Rcpt);
                    if let Some(mail) = &mut self.mail {
                        mail.refused = true;
                    }
                }
                None => self.mail.get_or_insert_default().taken = true,
            },
            Command::Data => match answer.refusal {
                Some(_) => {
                    self.refuse_unless_settled(answer, Stage::Data);
                    self.mail = None;
                }
                None if answer.code == *b"354" && self.pending.is_empty() => {
                    self.pending.push_front(Command::Message);
                }
                None => self.lose(),
            },
            Command::Chunk => {
                if answer.refusal.is_some() {
                    self.refuse_unless_settled(answer, Stage::Data);
                    self.mail = None;
                }
            }
            Command::LastChunk | Command::Message => self.message(answer),
            Command::StartTls if answer.code == *b"220" => {
                if !self.pending.is_empty() {
                    self.lose();
                }
                self.note_tls();
                self.force = Force::Unknown;
                self.mail = None;
            }
            Command::Auth => self.auth(answer),
            Command::Reset if answer.is_ok() => self.mail = None,
            Command::Proxy(proxied) if answer.is_ok() => self.proxied = Some(proxied),
            Command::StartTls | Command::Reset | Command::Proxy(_) | Command::Other => {}
        }
    }

    fn greeted(&mut self, name: Name, extended: bool, answer: &Answer<'_>) {
        let force = self.place(name);
        let Some(refusal) = answer.refusal else {
            if let Force::Name(at) = force
                && let Some((_, entry)) = self.names.get_mut(at)
            {
                entry.greeting = Tally::default();
            }
            self.proto.get_or_insert_default().extended |= extended;
            self.force = force;
            self.mail = None;
            return;
        };
        // What was in force stays so; it is only no longer true that nothing was said.
        if self.force == Force::Nothing {
            self.force = Force::Unknown;
        }
        if force != self.force
            && let Force::Name(at) = force
            && let Some((_, entry)) = self.names.get_mut(at)
        {
            let stage = if extended { Stage::Ehlo } else { Stage::Helo };
            entry.greeting.refuse(refusal, stage, answer.text);
            entry.greeting.by_us |= answer.by_us;
        }
    }

    fn auth(&mut self, answer: &Answer<'_>) {
        match &answer.code {
            b"235" => self.note_login(),
            b"334" if self.pending.is_empty() => self.challenged = true,
            b"334" => self.lose(),
            // Wrong credentials (RFC 4954); what is not offered or out of order judges nobody.
            b"535" => {
                let failed = &mut self.entry().failed_login;
                failed.refuse(Refusal::Hard, Stage::Auth, answer.text);
                failed.by_us |= answer.by_us;
            }
            _ => {}
        }
    }

    fn message(&mut self, answer: &Answer<'_>) {
        match answer.refusal {
            None if answer.is_ok() => {
                let tally = &mut self.entry().tally;
                tally.accepted = tally.accepted.saturating_add(1);
            }
            None => self.lose(),
            Some(_) if is_timeout(answer.text) => self.entry().tally.aborted = true,
            Some(_) => self.refuse_unless_settled(answer, Stage::EndOfMessage),
        }
        self.mail = None;
    }

    /// A reply that no command asked for.
    fn unasked(&mut self, answer: &Answer<'_>) {
        let Some(refusal) = answer.refusal else { return };
        if answer.code == *b"535" {
            self.entry().failed_login.refuse(refusal, Stage::Auth, answer.text);
        } else if self.mail.is_some_and(Mail::is_going_on) {
            // The client fell silent.
            self.entry().tally.aborted = true;
            self.mail = None;
        }
    }

    fn refuse(&mut self, answer: &Answer<'_>, stage: Stage) {
        let Some(refusal) = answer.refusal else { return };
        let tally = &mut self.entry().tally;
        tally.refuse(refusal, stage, answer.text);
        tally.by_us |= answer.by_us;
    }

    /// Notes a refusal, unless it only says that something came before: RCPT after a refused MAIL, DATA
    /// without a recipient, either behind the end of a message.
    fn refuse_unless_settled(&mut self, answer: &Answer<'_>, stage: Stage) {
        let follows = match self.mail {
            None => true,
            Some(mail) => stage != Stage::Rcpt && mail.refused && !mail.taken,
        };
        let tally = &self.entry().tally;
        if follows && (tally.hard.is_some() || tally.soft.is_some() || tally.accepted > 0) {
            return;
        }
        self.refuse(answer, stage);
    }

    /// The place of a name; unknown when the session showed too many.
    fn place(&mut self, name: Name) -> Force {
        if let Some(at) = self.names.iter().position(|(known, _)| *known == name) {
            return Force::Name(at);
        }
        if self.names.len() >= MAX_NAMES {
            return Force::Unknown;
        }
        self.names.push((name, Entry::default()));
        Force::Name(self.names.len() - 1)
    }

    /// Where to note what happens now.
    fn entry(&mut self) -> &mut Entry {
        let force = match self.force {
            Force::Nothing => self.place(Name::absent()),
            force => force,
        };
        match force {
            Force::Name(at) => self.names.get_mut(at).map_or(&mut self.unnamed, |(_, entry)| entry),
            _ => &mut self.unnamed,
        }
    }

    /// What it comes to now that nothing follows: each name with its tally, `None` for a name that the
    /// log does not show.
    fn settle(mut self) -> Vec<(Option<Name>, Tally)> {
        if !self.quit && self.mail.is_some_and(Mail::is_going_on) {
            self.entry().tally.aborted = true;
        }
        if self.names.is_empty() && self.force == Force::Nothing {
            self.entry();
        }
        let alone = self.names.is_empty();
        let unnamed = self.unnamed.settle().filter(|tally| alone || tally.accepted > 0);
        let named = self.names.into_iter().filter_map(|(name, entry)| {
            let tally = entry.settle()?;
            Some((Some(name), tally))
        });
        unnamed.map(|tally| (None, tally)).into_iter().chain(named).collect()
    }
}

impl Mail {
    /// A client that leaves now leaves in the middle; not one whose recipients were all refused.
    fn is_going_on(self) -> bool {
        self.taken || !self.refused
    }
}

impl Entry {
    /// What it comes to; `None` if the log does not say.
    fn settle(self) -> Option<Tally> {
        let (outcome, _) = self.tally.outcome();
        match outcome {
            Outcome::None if self.doubtful => None,
            Outcome::None if self.greeting.outcome().0 != Outcome::None => Some(self.greeting),
            Outcome::None => Some(self.failed_login),
            _ => Some(self.tally),
        }
    }
}

/// True for what begins as a reply does.
pub(crate) fn is_reply(text: &[u8]) -> bool {
    code(text).is_some()
}

/// The code of a reply: three digits, then a blank, a hyphen or the end (RFC 5321 section 4.2).
fn code(reply: &[u8]) -> Option<[u8; 3]> {
    let (code, rest) = reply.split_first_chunk::<3>()?;
    let sound = matches!(code, [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']);
    (sound && matches!(rest.first(), None | Some(b' ' | b'-'))).then_some(*code)
}

/// True for a reply that only says that the client fell silent (RFC 3463, X.4.1 and X.4.2; Exchange's words).
fn is_timeout(reply: &[u8]) -> bool {
    let words = reply.get(4..).unwrap_or_default();
    words.starts_with(b"4.4.1 ")
        || words.starts_with(b"4.4.2 ")
        || words.starts_with(b"4.7.0 Timeout waiting for client")
}

/// `SID=.. IP=.. PORT=.. DOMAIN=..` and more of XPROXY and XPROXYFROM, values in xtext (RFC 3461). `None`
/// where a key comes twice: then a value was not encoded, and may be the client's.
fn proxied(argument: &[u8], login: bool) -> Option<Proxied> {
    let mut session = None;
    let mut ip = None;
    let mut name = None;
    for word in argument.split(|&byte| byte == b' ').filter(|word| !word.is_empty()) {
        let (key, value) = cut(word, b'=')?;
        let slot = match key {
            b"SID" => &mut session,
            b"IP" => &mut ip,
            b"DOMAIN" => &mut name,
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return None;
        }
    }
    let ip = ip?;
    let ip = ip.strip_prefix(b"IPv6:").unwrap_or(ip);
    Some(Proxied {
        ip: address(ip)?,
        name: name.map(|name| Name::parse(&from_xtext(name)).text().into()),
        session: to_text(session.unwrap_or_default().get(..64).or(session).unwrap_or_default())
            .into(),
        login,
    })
}

/// What xtext spells: `+2B` stands for an octet.
fn from_xtext(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'+'
            && let Some((&[high, low], after)) = after.split_first_chunk::<2>()
            && let (Some(high), Some(low)) = (digit(high), digit(low))
        {
            plain.push(high * 16 + low);
            rest = after;
        } else {
            plain.push(byte);
        }
    }
    plain
}

/// A session whose whole dialogue is logged.
#[derive(Debug)]
pub(crate) struct Talk {
    begin: Time,
    last: Time,
    pub(crate) caller: Caller,
    pub(crate) dialogue: Dialogue,
    /// It is told elsewhere, or belongs to nobody.
    mute: bool,
    /// A proxy speaks for the client.
    relayed: bool,
}

impl Talk {
    /// Nothing of it is to be told.
    pub(crate) fn silence(&mut self) {
        self.mute = true;
    }

    fn tell(self, setting: &Setting, out: &mut Vec<Heard>) {
        if self.mute {
            return;
        }
        let mut caller = self.caller;
        caller.proto = self.dialogue.proto;
        if self.dialogue.login {
            caller.apart = Some(Apart::Login);
        }
        for (name, tally) in self.dialogue.settle() {
            out.push(caller.tell(self.begin, name.as_ref(), &tally, None, &setting.reporter));
        }
    }
}

/// The open sessions of one program that logs whole dialogues.
#[derive(Debug)]
pub(crate) struct Talks {
    setting: Setting,
    open: Table<Talk>,
}

impl Talks {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone(), open: Table::new() }
    }

    /// A session begins, in place of any other under this key.
    pub(crate) fn begin(&mut self, key: &[u8], caller: Caller, now: Time, out: &mut Vec<Heard>) {
        self.insert(key, caller, Dialogue::begun(), now, out);
    }

    fn insert(
        &mut self,
        key: &[u8],
        caller: Caller,
        dialogue: Dialogue,
        now: Time,
        out: &mut Vec<Heard>,
    ) {
        let talk = Talk { begin: now, last: now, caller, dialogue, mute: false, relayed: false };
        if let Some(over) = self.open.open(key, talk) {
            over.tell(&self.setting, out);
        }
    }

    /// True if a session is open under this key.
    pub(crate) fn has(&mut self, key: &[u8]) -> bool {
        self.open.get_mut(key).is_some()
    }

    /// The session under this key; one whose beginning was not seen if there is none.
    pub(crate) fn of(
        &mut self,
        key: &[u8],
        caller: Caller,
        now: Time,
        out: &mut Vec<Heard>,
    ) -> Option<&mut Talk> {
        if !self.has(key) {
            self.insert(key, caller, Dialogue::joined(), now, out);
        }
        let talk = self.open.get_mut(key)?;
        talk.last = now;
        Some(talk)
    }

    /// The client of the session says a line.
    pub(crate) fn command(
        &mut self,
        key: &[u8],
        caller: Caller,
        line: &[u8],
        now: Time,
        out: &mut Vec<Heard>,
    ) -> Reading {
        self.of(key, caller, now, out).map_or(IRRELEVANT, |talk| talk.dialogue.command(line))
    }

    /// The server of the session answers.
    pub(crate) fn reply(
        &mut self,
        key: &[u8],
        caller: Caller,
        text: &[u8],
        now: Time,
        out: &mut Vec<Heard>,
    ) -> Reading {
        let ours = self.setting.ours.clone();
        let Some(talk) = self.of(key, caller, now, out) else { return IRRELEVANT };
        let reading = talk.dialogue.reply(text, &ours);
        if let Some(proxied) = talk.dialogue.proxied.take() {
            self.proxy(key, proxied, now, out);
        }
        reading
    }

    /// The client of a session turns out to be a proxy, which speaks for another one from now on.
    fn proxy(&mut self, key: &[u8], of: Option<Proxied>, now: Time, out: &mut Vec<Heard>) {
        // The proxy's own log is read here, too: the client's session is told from there.
        let told_there = of.as_ref().is_some_and(|proxied| {
            let session = proxied.session();
            *session != *key && self.has(&session)
        });
        let Some(over) = self.open.close(key) else { return };
        let mut talk = Talk {
            begin: now,
            last: now,
            caller: over.caller.clone(),
            dialogue: Dialogue::joined(),
            mute: told_there || of.is_none(),
            relayed: true,
        };
        if let Some(proxied) = &of {
            talk.caller = Caller::new(proxied.ip);
            talk.dialogue = Dialogue::of_proxied(proxied);
        }
        // Of the proxy itself, with its own greeting and login, nothing is told.
        if over.relayed {
            over.tell(&self.setting, out);
        }
        if let Some(oldest) = self.open.open(key, talk) {
            oldest.tell(&self.setting, out);
        }
    }

    /// The session under this key is over.
    pub(crate) fn end(&mut self, key: &[u8], out: &mut Vec<Heard>) {
        if let Some(talk) = self.open.close(key) {
            talk.tell(&self.setting, out);
        }
    }

    pub(crate) fn sweep(&mut self, now: Time, out: &mut Vec<Heard>) {
        for talk in self.open.close_where(|talk| is_past(talk.last, now, IDLE)) {
            talk.tell(&self.setting, out);
        }
    }

    pub(crate) fn close(&mut self, out: &mut Vec<Heard>) {
        for talk in self.open.close_where(|_| true) {
            talk.tell(&self.setting, out);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn closed_early(&self) -> u64 {
        self.open.closed_early()
    }

    pub(crate) fn save(&self) -> SavedState {
        let talks: Vec<SavedTalk> =
            self.open.iter().map(|(key, talk)| SavedTalk::of(key, talk)).collect();
        saved(&talks)
    }

    pub(crate) fn restore(&mut self, from: SavedState) -> Result<(), String> {
        for talk in restored::<SavedTalk>(from)? {
            let (key, talk) = talk.restore().ok_or(TWICE)?;
            if self.open.open(&key, talk).is_some() {
                return Err(TWICE.into());
            }
        }
        Ok(())
    }
}

/// A session as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedTalk {
    key: String,
    begin: u32,
    last: u32,
    client: SavedCaller,
    #[serde(default, skip_serializing_if = "is_false")]
    banner: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<SavedEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unnamed: Option<SavedEntry>,
    force: Force,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pending: VecDeque<Command>,
    #[serde(default, skip_serializing_if = "is_false")]
    challenged: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mail: Option<Mail>,
    #[serde(default, skip_serializing_if = "is_false")]
    quit: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    adrift: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proto: Option<Proto>,
    #[serde(default, skip_serializing_if = "is_false")]
    login: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    said: String,
    #[serde(default, skip_serializing_if = "is_nothing")]
    greeting: usize,
    #[serde(default, skip_serializing_if = "is_false")]
    said_more: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    mute: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    relayed: bool,
}

/// An entry as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedEntry {
    tally: SavedTally,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    greeting: Option<SavedTally>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_login: Option<SavedTally>,
    #[serde(default, skip_serializing_if = "is_false")]
    doubtful: bool,
}

fn is_nothing(number: &usize) -> bool {
    *number == 0
}

impl SavedEntry {
    fn of(name: &Name, entry: &Entry) -> Self {
        let saved =
            |tally: &Tally| (*tally != Tally::default()).then(|| SavedTally::of(name, tally));
        Self {
            tally: SavedTally::of(name, &entry.tally),
            greeting: saved(&entry.greeting),
            failed_login: saved(&entry.failed_login),
            doubtful: entry.doubtful,
        }
    }

    fn restore(self) -> (Name, Entry) {
        let restored =
            |saved: Option<SavedTally>| saved.map(|saved| saved.restore().1).unwrap_or_default();
        let (name, tally) = self.tally.restore();
        let entry = Entry {
            tally,
            greeting: restored(self.greeting),
            failed_login: restored(self.failed_login),
            doubtful: self.doubtful,
        };
        (name, entry)
    }
}

impl SavedTalk {
    fn of(key: &[u8], talk: &Talk) -> Self {
        let dialogue = &talk.dialogue;
        let unnamed = &dialogue.unnamed;
        Self {
            key: to_text(key),
            begin: talk.begin.0,
            last: talk.last.0,
            client: SavedCaller::of(&talk.caller),
            banner: dialogue.banner,
            names: dialogue.names.iter().map(|(name, entry)| SavedEntry::of(name, entry)).collect(),
            unnamed: (*unnamed != Entry::default())
                .then(|| SavedEntry::of(&Name::absent(), unnamed)),
            force: dialogue.force,
            pending: dialogue.pending.clone(),
            challenged: dialogue.challenged,
            mail: dialogue.mail,
            quit: dialogue.quit,
            adrift: dialogue.adrift,
            proto: dialogue.proto,
            login: dialogue.login,
            said: to_text(&dialogue.said),
            greeting: dialogue.greeting,
            said_more: dialogue.said_more,
            mute: talk.mute,
            relayed: talk.relayed,
        }
    }

    fn restore(self) -> Option<(Vec<u8>, Talk)> {
        let dialogue = Dialogue {
            banner: self.banner,
            names: self.names.into_iter().map(SavedEntry::restore).collect(),
            unnamed: self.unnamed.map(|entry| entry.restore().1).unwrap_or_default(),
            force: self.force,
            pending: self.pending,
            challenged: self.challenged,
            mail: self.mail,
            quit: self.quit,
            adrift: self.adrift,
            proto: self.proto,
            login: self.login,
            // Taken up within the line that brought it.
            proxied: None,
            said: from_text(&self.said)?,
            greeting: self.greeting,
            said_more: self.said_more,
        };
        let talk = Talk {
            begin: Time(self.begin),
            last: Time(self.last),
            caller: self.client.restore(),
            dialogue,
            mute: self.mute,
            relayed: self.relayed,
        };
        Some((from_text(&self.key)?, talk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `C` lines are the client's, `S` lines the server's; `!` ends before the rest is answered.
    fn told(mut dialogue: Dialogue, lines: &str) -> Vec<String> {
        let ours = Ours::new(["rep.example.net"], []);
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once(' ').expect(line) {
                ("C", said) => dialogue.command(said.as_bytes()),
                ("S", said) => dialogue.reply(said.as_bytes(), &ours),
                _ => panic!("{line}"),
            };
        }
        let (adrift, login) = (dialogue.adrift, dialogue.login);
        let show = |(name, tally): (Option<Name>, Tally)| {
            let name = name.map_or_else(|| "?".to_owned(), |name| name.to_string());
            let (outcome, stage) = tally.outcome();
            let stage = stage.map(|stage| format!(" at {}", stage.word())).unwrap_or_default();
            let by_us = if tally.by_us { " by us" } else { "" };
            format!("{name} {outcome}{stage}{by_us}")
        };
        let mut told: Vec<String> = dialogue.settle().into_iter().map(show).collect();
        told.extend(adrift.then(|| "adrift".to_owned()));
        told.extend(login.then(|| "login".to_owned()));
        told
    }

    #[test]
    fn whole_dialogues() {
        let hello = "S 220 mx\nC EHLO a.example\nS 250 mx";
        let mail = "C MAIL FROM:<s@s>\nS 250 2.1.0 ok\nC RCPT TO:<o@l>\nS 250 2.1.5 ok";
        let data = "C DATA\nS 354 go\nS 250 2.6.0 queued";
        for (what, lines, expected) in [
            (
                "a message",
                format!("{hello}\n{mail}\n{data}\nC QUIT\nS 221 bye"),
                "a.example accepted",
            ),
            (
                "two recipients",
                format!("{hello}\n{mail}\nC RCPT TO:<n@l>\nS 550 5.1.1 no\n{data}"),
                "a.example partial at rcpt",
            ),
            (
                "pipelined",
                format!(
                    "{hello}\nC MAIL FROM:<s@s>\nC RCPT TO:<n@l>\nC DATA\nS 250 ok\nS 550 no\nS 554 no recipients"
                ),
                "a.example rejected at rcpt",
            ),
            (
                "a chunk",
                format!("{hello}\n{mail}\nC BDAT 9\nS 250 9\nC BDAT 3 LAST\nS 250 queued"),
                "a.example accepted",
            ),
            (
                "refused content",
                format!("{hello}\n{mail}\nC DATA\nS 354 go\nS 451 4.7.1 later"),
                "a.example deferred at end-of-message",
            ),
            ("gone", format!("{hello}\n{mail}"), "a.example aborted"),
            (
                "gone in the content",
                format!("{hello}\n{mail}\nC DATA\nS 354 go"),
                "a.example aborted",
            ),
            (
                "silent in the content",
                format!("{hello}\n{mail}\nC DATA\nS 354 go\nS 421 4.4.1 Connection timed out"),
                "a.example aborted",
            ),
            (
                "silent",
                format!("{hello}\n{mail}\nS 421 4.4.1 Connection timed out"),
                "a.example aborted",
            ),
            (
                "hung up on",
                format!("{hello}\n{mail}\nC RCPT TO:<n@l>\nS 421 too many"),
                "a.example deferred at rcpt",
            ),
            (
                "thought better of it",
                format!("{hello}\n{mail}\nC QUIT\nS 221 bye"),
                "a.example none",
            ),
            (
                "a refused sender",
                format!("{hello}\nC MAIL FROM:<s@s>\nS 550 no\nC RCPT TO:<o@l>\nS 503 order"),
                "a.example rejected at mail",
            ),
            (
                "two names",
                format!(
                    "{hello}\nC MAIL FROM:<s@s>\nS 550 no\nC HELO b.example\nS 250 mx\n{mail}\n{data}"
                ),
                "a.example rejected at mail; b.example accepted",
            ),
            (
                "a name too late",
                format!(
                    "{hello}\n{mail}\nC EHLO b.example\nC DATA\nS 503 again\nS 354 go\nS 250 ok"
                ),
                "a.example accepted; b.example rejected at ehlo",
            ),
            (
                "EHLO is not known",
                "S 220 mx\nC EHLO a.example\nS 502 what\nC HELO a.example\nS 250 mx".into(),
                "a.example none",
            ),
            (
                "a refused name",
                "S 220 mx\nC EHLO a.example\nS 550 5.7.1 no\nC MAIL FROM:<s@s>\nS 503 hello first"
                    .into(),
                "a.example rejected at ehlo",
            ),
            (
                "mail under a refused name",
                format!("S 220 mx\nC EHLO a.example\nS 501 no\n{mail}\n{data}"),
                "? accepted; a.example rejected at ehlo",
            ),
            (
                "TLS wipes the name",
                format!("{hello}\nC STARTTLS\nS 220 go\n{mail}\n{data}"),
                "? accepted; a.example none",
            ),
            (
                "and it says it again",
                format!(
                    "{hello}\nC STARTTLS\nS 220 go\nC EHLO a.example\nS 250 mx\n{mail}\n{data}"
                ),
                "a.example accepted",
            ),
            ("nothing said", "S 220 mx\nC QUIT\nS 221 bye".into(), "(none) none"),
            ("mail without a name", format!("S 220 mx\n{mail}\n{data}"), "(none) accepted"),
            (
                "an empty name",
                format!("S 220 mx\nC HELO\nS 250 mx\n{mail}\n{data}"),
                "(none) accepted",
            ),
            (
                "refused at once",
                "S 554 5.7.1 no\nC EHLO a.example\nS 503 no\nC QUIT\nS 221 bye".into(),
                "(none) refused at connect; a.example rejected at ehlo",
            ),
            (
                "a login",
                format!(
                    "{hello}\nC AUTH LOGIN\nS 334 VXNl\nC EHLO evil.example\nS 334 UGFz\nC x\nS 235 ok\n{mail}\n{data}"
                ),
                "a.example accepted; login",
            ),
            (
                "a login whose secrets are not shown",
                format!("{hello}\nC AUTH LOGIN\nS 334 VXNl\nS 334 UGFz\nS 535 5.7.3 no"),
                "a.example rejected at auth",
            ),
            (
                "a login that is not offered",
                format!("{hello}\nC AUTH LOGIN\nS 504 no\n{mail}\n{data}"),
                "a.example accepted",
            ),
            (
                "a failed login and then mail",
                format!("{hello}\nC AUTH PLAIN x\nS 535 no\n{mail}\n{data}"),
                "a.example accepted",
            ),
            (
                "commands hidden behind TLS",
                format!("{hello}\nC STARTTLS\nC EHLO evil.example\nS 220 go\nS 250 mx"),
                "a.example none; adrift",
            ),
            (
                "commands hidden behind DATA",
                format!("{hello}\n{mail}\nC DATA\nC EHLO evil.example\nS 354 go\nS 250 ok"),
                "adrift",
            ),
            ("an answer that cannot be", format!("{hello}\n{mail}\nC DATA\nS 250 ok"), "adrift"),
            (
                "our own answer",
                format!(
                    "{hello}\nC MAIL FROM:<s@s>\nS 250 ok\nC RCPT TO:<o@l>\nS 550 5.7.1 blocked using bl.rep.example.net"
                ),
                "a.example rejected at rcpt by us",
            ),
            (
                "our own answer, in the client's mouth",
                format!(
                    "{hello}\nC MAIL FROM:<x using bl.rep.example.net@s>\nS 550 5.7.1 <x using bl.rep.example.net@s> no"
                ),
                "a.example rejected at mail",
            ),
            ("a reset", format!("{hello}\n{mail}\nC RSET\nS 250 ok"), "a.example none"),
        ] {
            assert_eq!(told(Dialogue::begun(), &lines).join("; "), expected, "{what}");
        }
    }

    #[test]
    fn dialogues_that_were_joined() {
        for (lines, expected) in [
            ("", "? none"),
            ("S 250 ok", "? none"),
            ("S 535 5.7.3 no", "? rejected at auth"),
            (
                "C MAIL FROM:<s@s>\nS 250 ok\nC RCPT TO:<o@l>\nS 250 ok\nC DATA\nS 354 go\nS 250 ok",
                "? accepted",
            ),
            (
                "S 250 ok\nC DATA\nS 354 go\nS 250 ok\nC EHLO b.example\nS 250 ok",
                "? accepted; b.example none",
            ),
            ("C QUIT\nS 221 bye", "? none"),
        ] {
            assert_eq!(told(Dialogue::joined(), lines).join("; "), expected, "{lines}");
        }
    }

    #[test]
    fn bounds_hold() {
        let mut dialogue = Dialogue::begun();
        for _ in 0..PENDING_MAX {
            assert_eq!(dialogue.command(b"NOOP"), SESSION);
        }
        assert_eq!(dialogue.command(b"NOOP"), ambiguous("adrift"));
        let mut dialogue = Dialogue::joined();
        let ours = Ours::default();
        for number in 0..20 {
            dialogue.command(format!("EHLO a{number}.example {}", "x".repeat(300)).as_bytes());
            dialogue.reply(b"250 ok", &ours);
            assert!(dialogue.said.len() <= SAID_MAX);
        }
        assert_eq!(dialogue.names.len(), MAX_NAMES);
        assert_eq!(dialogue.force, Force::Unknown);
    }

    #[test]
    fn proxies_say_for_whom() {
        let of = |argument: &str| proxied(argument.as_bytes(), false);
        let one = of("SID=08DE IP=192.0.2.7 PORT=1 DOMAIN=a+2Bb.example SEQNUM=1").expect("sound");
        assert_eq!(one.ip.to_string(), "192.0.2.7");
        assert_eq!(one.name.as_deref(), Some("a+b.example"));
        assert_eq!(one.session(), b"08DE");
        for argument in [
            "SID=1 IP=192.0.2.7 DOMAIN=x IP=6.6.6.6",
            "SID=1 IP=192.0.2.7 DOMAIN=x DOMAIN=y",
            "SID=1 IP=192.0.2.7 DOMAIN=two words",
            "SID=1 DOMAIN=x",
            "SID=1 IP=x",
        ] {
            assert_eq!(of(argument), None, "{argument}");
        }
    }
}

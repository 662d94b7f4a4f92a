//! The grammar of OpenSMTPD: what one line of smtpd, of a report filter, or of the report protocol says.
//!
//! In goes the text after the tag (or a raw line); out comes the session it is of, who tells, and an
//! `Event` that borrows from it. Taken from the sources of smtpd 5.4 to 7.8 and from our own runs of 6.8.
//!
//! Where the traps are: in `command="C" result="R"` smtpd escapes controls, 8-bit and backslashes in C (strnvis),
//! but not the quote, and R not at all. What a client can get into R holds no blank, so the last `" result="` is the
//! real one, unless a filter quotes the client: a line with two of them shows no name. In the report protocol only
//! the last field may hold `|`, and which is the last has changed: results came behind addresses before
//! version 0.6 and behind user names before 0.7. A connection's reverse name is its owner's text, too: its line is
//! read from the right. What other filters say (`NAME: TEXT`) is nobody's word for anything, but for
//! `NAME: ehlo-log`, which says that it is; our own filter's name is `helostat`, and only that counts.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::bytes::{address, contains, cut, cut_at, cut_at_last, digits_of};
use crate::session::Stage;

/// With which name our filter stands in smtpd.conf: smtpd writes it before each of its lines.
const OURS: &[u8] = b"helostat: ";
/// The mark in the lines of other filters that log greetings.
const MARK: &[u8] = b"ehlo-log ";

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Something of a session.
    Of(&'a [u8], Teller, Event<'a>),
    /// Understood, of no use here.
    Nothing,
    /// No known shape.
    Unknown,
}

/// Who tells of a session; the later know more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Teller {
    /// smtpd's own lines: they know the client, and what was refused and taken, but not the greeting.
    #[default]
    Smtpd,
    /// A filter that logs greetings.
    Greetings,
    /// The report protocol, raw or by our filter: everything, in order.
    Report,
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A client connected; none where it is a program on this machine. The reverse name only if verified.
    Connect(Option<IpAddr>, Option<&'a [u8]>),
    /// A greeting was taken: whether it was EHLO, where the line says, and the name.
    Greeting(Option<bool>, Cow<'a, [u8]>),
    /// TLS is on, and the greeting is forgotten.
    Tls,
    /// Somebody tried to log in, and could or could not.
    Login(bool),
    /// MAIL was taken.
    Begin,
    /// What became of MAIL, RCPT or DATA.
    Result(Stage, Verdict),
    /// The message was taken; whether the client had said EHLO, where the line says.
    Taken(Option<bool>),
    /// The transaction is over, and nothing was taken.
    Rollback,
    /// The client said something.
    Asked(Command<'a>),
    /// smtpd replied.
    Replied(&'a [u8]),
    /// A command was refused.
    Failed(Command<'a>, &'a [u8]),
    /// The connection is over; whether the client said QUIT, where the line says.
    End(Option<bool>),
    /// Anything else.
    Other,
}

/// What became of a command in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    Permanent,
    Temporary,
}

/// What a client asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command<'a> {
    pub(super) verb: Verb,
    /// What it said behind HELO or EHLO, if the line shows it beyond doubt.
    pub(super) name: Option<Cow<'a, [u8]>>,
    /// The whole, as the line has it.
    pub(super) said: &'a [u8],
}

/// The verbs that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// HELO, EHLO, MAIL, RCPT, DATA, the end of the message, AUTH, or any other; none yet, or an empty line: CONNECT.
    At(Stage),
    /// RSET, QUIT: a client that gives up a transaction in order.
    GivesUp,
}

/// Reads the text of a syslog line, or of smtpd's output in the foreground.
pub(super) fn read(text: &[u8]) -> Line<'_> {
    if let Some((session, rest)) = session_first(text) {
        return match rest.strip_prefix(b"smtp ") {
            Some(rest) => of(session, Teller::Smtpd, smtp(rest)),
            None if is_delivery(rest) => Line::Nothing,
            None => Line::Unknown,
        };
    }
    if let Some(rest) = text.strip_prefix(b"smtp-in: ") {
        return before_six(rest);
    }
    if let Some(rest) = text.strip_prefix(OURS) {
        return match session_first(rest) {
            Some((session, rest)) => of(session, Teller::Report, by_our_filter(rest)),
            None => Line::Nothing,
        };
    }
    // Subsystems and filters begin with a word and a colon.
    let Some((head, rest)) = cut_at(text, b": ") else {
        let known = text.starts_with(b"proxy ") || text == b"Exiting";
        return if known { Line::Nothing } else { Line::Unknown };
    };
    match rest.strip_prefix(MARK) {
        Some(rest) if is_filter_name(head) => by_other_filter(rest),
        _ if !head.contains(&b' ') || text.starts_with(b"proxy ") => Line::Nothing,
        _ => Line::Unknown,
    }
}

/// Reads a line of the report protocol.
pub(super) fn read_report(line: &[u8]) -> Line<'_> {
    let Some(rest) = line.strip_prefix(b"report|") else { return Line::Nothing };
    let fields = (|| {
        let (version, rest) = cut(rest, b'|')?;
        let (_stamp, rest) = cut(rest, b'|')?;
        let (subsystem, rest) = cut(rest, b'|')?;
        let (event, rest) = cut(rest, b'|')?;
        let (session, rest) = cut(rest, b'|').unwrap_or((rest, b""));
        is_session(session).then_some((Version::of(version)?, subsystem, event, session, rest))
    })();
    match fields {
        Some((version, b"smtp-in", event, session, rest)) => {
            of(session, Teller::Report, report(version, event, rest))
        }
        Some(_) => Line::Nothing,
        None => Line::Unknown,
    }
}

/// The seconds of a line of the report protocol; `None` if it is none. Its handshake has no stamp.
pub(super) fn report_stamp(line: &[u8]) -> Option<i64> {
    let (_version, rest) = cut(line.strip_prefix(b"report|")?, b'|')?;
    let (stamp, _) = cut(rest, b'|')?;
    let (seconds, fraction) = cut(stamp, b'.')?;
    digits_of(fraction)?;
    if seconds.is_empty() || seconds.len() > 11 {
        return None;
    }
    seconds.iter().try_fold(0i64, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
    })
}

/// True for what smtpd and a filter say to each other before the first event.
pub(super) fn is_handshake(line: &[u8]) -> bool {
    line.starts_with(b"config|") || line.starts_with(b"register|")
}

/// True for lines that nobody else writes: smtpd's output in the foreground has no stamp and no tag.
pub(super) fn is_own(line: &[u8]) -> bool {
    match session_first(line) {
        Some((_, rest)) => rest.starts_with(b"smtp ") || is_delivery(rest),
        None => matches!(before_any(line), Line::Of(..)),
    }
}

/// A line that begins with a word for who tells.
fn before_any(line: &[u8]) -> Line<'_> {
    if line.starts_with(b"smtp-in: ") || line.starts_with(OURS) || contains(line, MARK) {
        return read(line);
    }
    Line::Unknown
}

fn of<'a>(session: &'a [u8], teller: Teller, event: Option<Event<'a>>) -> Line<'a> {
    match event {
        Some(event) => Line::Of(session, teller, event),
        None => Line::Unknown,
    }
}

fn is_session(text: &[u8]) -> bool {
    text.len() == 16 && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `SESSION ` and what follows.
fn session_first(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (session, rest) = text.split_at_checked(16)?;
    is_session(session).then_some((session, rest.strip_prefix(b" ")?))
}

/// Lines of delivery begin with a session of theirs.
fn is_delivery(rest: &[u8]) -> bool {
    [&b"mda "[..], b"mta ", b"bounce "].iter().any(|word| rest.starts_with(word))
}

fn is_filter_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// The first word and the rest without the blank.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    cut(text, b' ').unwrap_or((text, b""))
}

/// `smtp EVENT KEY=VALUE ..`; between 6.0 and 6.3 `smtp event=EVENT KEY=VALUE ..`.
fn smtp(rest: &[u8]) -> Option<Event<'_>> {
    let (event, rest) = word(rest);
    match event.strip_prefix(b"event=").unwrap_or(event) {
        // The address of a proxy, not of a client.
        b"proxy" => Some(Event::Other),
        b"connected" => {
            let (client, _host) = word(rest.strip_prefix(b"address=")?);
            Some(Event::Connect(client_of(client)?, None))
        }
        b"failed-command" => failed(without_client(rest)),
        b"message" => Some(Event::Taken(extended(rest))),
        b"tls" | b"starttls" => Some(Event::Tls),
        b"authentication" => {
            let (_, result) = cut_at_last(rest, b" result=")?;
            Some(Event::Login(result == b"ok"))
        }
        b"disconnected" | b"closed" => {
            let (_, reason) = cut_at_last(rest, b"reason=").unwrap_or_default();
            Some(Event::End(Some(reason == b"quit")))
        }
        b"bad-input" | b"envelope" | b"client-cert-check" | b"cert-check" => Some(Event::Other),
        _ => None,
    }
}

/// Before 6.6 every line named the client once more.
fn without_client(rest: &[u8]) -> &[u8] {
    let after = || {
        let (_, rest) = cut(rest.strip_prefix(b"address=")?, b' ')?;
        let (_, rest) = cut(rest.strip_prefix(b"host=")?, b' ')?;
        Some(rest)
    };
    after().unwrap_or(rest)
}

/// `command="C" result="R"`.
fn failed(rest: &[u8]) -> Option<Event<'_>> {
    let rest = rest.strip_prefix(b"command=\"")?;
    // A cut line has lost its last quote, and perhaps the result.
    let rest = rest.strip_suffix(b"\"").unwrap_or(rest);
    let (said, reply) = cut_at_last(rest, b"\" result=\"")?;
    Some(Event::Failed(logged_command(said, b"\" result=\""), reply))
}

/// A command as smtpd logs it. Where it holds `end` itself nobody knows for sure where it ends.
fn logged_command<'a>(said: &'a [u8], end: &[u8]) -> Command<'a> {
    let mut command = command(said);
    command.name = match command.name {
        Some(Cow::Borrowed(name)) if !contains(said, end) => unvis(name),
        _ => None,
    };
    command
}

/// A command as the client said it.
fn command(said: &[u8]) -> Command<'_> {
    let of = |verb| Command { verb, name: None, said };
    let starts = |words: &[u8]| {
        said.split_at_checked(words.len()).is_some_and(|(head, _)| head.eq_ignore_ascii_case(words))
    };
    if said.is_empty() {
        return of(Verb::At(Stage::Connect));
    }
    if starts(b"mail from:") {
        return of(Verb::At(Stage::Mail));
    }
    if starts(b"rcpt to:") {
        return of(Verb::At(Stage::Rcpt));
    }
    let (verb, argument) = word(said);
    let stage = match verb.to_ascii_uppercase().as_slice() {
        b"HELO" => Stage::Helo,
        b"EHLO" => Stage::Ehlo,
        b"DATA" => Stage::Data,
        b"AUTH" => Stage::Auth,
        b"." => Stage::EndOfMessage,
        b"RSET" | b"QUIT" => return of(Verb::GivesUp),
        _ => Stage::Other,
    };
    let greets = matches!(stage, Stage::Helo | Stage::Ehlo);
    let name = greets.then(|| Cow::Borrowed(argument.trim_ascii_start()));
    Command { verb: Verb::At(stage), name, said }
}

/// `.. proto=ESMTP`, the last field of a message's line.
fn extended(rest: &[u8]) -> Option<bool> {
    match cut_at_last(rest, b" proto=")?.1 {
        b"ESMTP" => Some(true),
        b"SMTP" => Some(false),
        _ => None,
    }
}

/// `192.0.2.7`, `[2001:db8::7]`, `[IPv6:2001:db8::7]`; the inner `None` is a socket of this machine.
fn client_of(text: &[u8]) -> Option<Option<IpAddr>> {
    if text == b"local" {
        return Some(None);
    }
    let inside = text.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(text);
    let inside = inside.strip_prefix(b"IPv6:").unwrap_or(inside);
    address(inside).map(Some)
}

/// `192.0.2.7:4711`, `[2001:db8::7]:4711`, `unix:PATH`.
fn end_point(text: &[u8]) -> Option<Option<IpAddr>> {
    if text.starts_with(b"unix:") {
        return Some(None);
    }
    let at = memchr::memrchr(b':', text)?;
    let (client, port) = text.split_at_checked(at)?;
    digits_of(port.strip_prefix(b":")?)?;
    client_of(client)
}

/// The lines of smtpd 5.x behind `smtp-in: `.
fn before_six(rest: &[u8]) -> Line<'_> {
    read_before_six(rest).unwrap_or(Line::Unknown)
}

fn read_before_six(rest: &[u8]) -> Option<Line<'_>> {
    let said = |session: &'_ [u8]| is_session(session);
    if let Some(rest) = rest.strip_prefix(b"New session ") {
        let (session, rest) = session_first(rest)?;
        let connect = host_and_client(rest.strip_prefix(b"from host ")?)?;
        return Some(Line::Of(session, Teller::Smtpd, connect));
    }
    // 5.7: `session ID: TEXT`.
    if let Some(rest) = rest.strip_prefix(b"session ") {
        let (session, rest) = rest.split_at_checked(16).filter(|(session, _)| said(session))?;
        let rest = rest.strip_prefix(b": ")?;
        return Some(of(session, Teller::Smtpd, session_of_five(rest)));
    }
    if let Some(rest) = rest.strip_prefix(b"Failed command on session ") {
        let (session, rest) = rest.split_at_checked(16).filter(|(session, _)| said(session))?;
        let rest = rest.strip_prefix(b": \"")?;
        let (text, reply) = cut_at_last(rest, b"\" => ")?;
        let event = Event::Failed(logged_command(text, b"\" => "), reply);
        return Some(Line::Of(session, Teller::Smtpd, event));
    }
    if let Some(rest) = rest.strip_prefix(b"Accepted message ") {
        let (_msgid, rest) = cut_at(rest, b" on session ")?;
        let (session, rest) = rest.split_at_checked(16).filter(|(session, _)| said(session))?;
        return Some(Line::Of(session, Teller::Smtpd, Event::Taken(extended(rest))));
    }
    if let Some(rest) = rest.strip_prefix(b"Closing session ") {
        let (session, _) = rest.split_at_checked(16).filter(|(session, _)| said(session))?;
        return Some(Line::Of(session, Teller::Smtpd, Event::End(Some(true))));
    }
    for words in [&b"Received disconnect from session "[..], b"Disconnecting session "] {
        if let Some(rest) = rest.strip_prefix(words) {
            let (session, _) = rest.split_at_checked(16).filter(|(session, _)| said(session))?;
            return Some(Line::Of(session, Teller::Smtpd, Event::End(Some(false))));
        }
    }
    if let Some(rest) = rest.strip_prefix(b"Started TLS on session ") {
        let (session, _) = rest.split_at_checked(16).filter(|(session, _)| said(session))?;
        return Some(Line::Of(session, Teller::Smtpd, Event::Tls));
    }
    for (words, passed) in [
        (&b"Accepted authentication for user "[..], true),
        (b"Authentication failed for user ", false),
        (b"Authentication temporarily failed for user ", false),
    ] {
        if let Some(rest) = rest.strip_prefix(words) {
            let (_, session) = cut_at_last(rest, b" on session ")?;
            let event = Event::Login(passed);
            return said(session).then_some(Line::Of(session, Teller::Smtpd, event));
        }
    }
    for words in [&b"Bad input on session "[..], b"Ending session ", b"Client certificate "] {
        if rest.starts_with(words) {
            return Some(Line::Nothing);
        }
    }
    None
}

/// What 5.7 writes behind `session ID: `.
fn session_of_five(rest: &[u8]) -> Option<Event<'_>> {
    if let Some(rest) = rest.strip_prefix(b"connection from host ") {
        if let Some(client) = rest.strip_suffix(b" established") {
            return host_and_client(client);
        }
        let (_, reason) = cut_at_last(rest, b"] closed (")?;
        return Some(Event::End(Some(reason == b"client sent QUIT)")));
    }
    if rest.starts_with(b"msgid=") {
        return Some(Event::Taken(extended(rest)));
    }
    if rest.starts_with(b"TLS started") {
        return Some(Event::Tls);
    }
    if let Some(rest) = rest.strip_prefix(b"authentication ") {
        return Some(Event::Login(rest.starts_with(b"successful ")));
    }
    // `received invalid command: "C"` does not say the reply.
    Some(Event::Other)
}

/// `HOST [CLIENT]`: the host is the client's own text.
fn host_and_client(text: &[u8]) -> Option<Event<'_>> {
    let (_host, client) = cut_at_last(text.strip_suffix(b"]")?, b" [")?;
    // An IPv6 address has brackets of its own.
    Some(Event::Connect(client_of(client)?, None))
}

/// The lines of `helostat filter opensmtpd`: `EVENT FIELD .. TEXT`, the text escaped.
fn by_our_filter(rest: &[u8]) -> Option<Event<'_>> {
    let (event, rest) = word(rest);
    match event {
        b"connect" => {
            let (client, rdns) = word(rest);
            Some(Event::Connect(client_of(client)?, (!rdns.is_empty()).then_some(rdns)))
        }
        b"ehlo" => Some(Event::Greeting(Some(true), unvis(rest)?)),
        b"helo" => Some(Event::Greeting(Some(false), unvis(rest)?)),
        b"tls" => Some(Event::Tls),
        b"auth" => Some(Event::Login(rest == b"pass")),
        b"begin" => Some(Event::Begin),
        b"mail" => Some(Event::Result(Stage::Mail, verdict(rest)?)),
        b"rcpt" => Some(Event::Result(Stage::Rcpt, verdict(rest)?)),
        b"data" => Some(Event::Result(Stage::Data, verdict(rest)?)),
        b"commit" => Some(Event::Taken(None)),
        b"rollback" => Some(Event::Rollback),
        b"disconnect" => Some(Event::End(None)),
        _ => None,
    }
}

/// `EVENT SESSION|FIELD|..` of a filter that logs greetings.
fn by_other_filter(rest: &[u8]) -> Line<'_> {
    let (event, rest) = word(rest);
    let (session, rest) = cut(rest, b'|').unwrap_or((rest, b""));
    if !is_session(session) {
        return Line::Unknown;
    }
    let event = match event {
        b"link-connect" => connect(rest),
        b"link-identify" => Some(greeting(rest)),
        b"link-disconnect" => Some(Event::End(None)),
        b"link-tls" => Some(Event::Tls),
        _ => Some(Event::Other),
    };
    of(session, Teller::Greetings, event)
}

/// A version of the report protocol, by the number behind `0.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32);

impl Version {
    /// Before 6.6 it was a single digit.
    fn of(text: &[u8]) -> Option<Self> {
        match cut(text, b'.') {
            Some((b"0", minor)) => digits_of(minor).map(Self),
            Some((major, _)) => digits_of(major).map(|_| Self(u32::MAX)),
            None => digits_of(text).map(|_| Self(0)),
        }
    }
}

fn report<'a>(version: Version, event: &[u8], rest: &'a [u8]) -> Option<Event<'a>> {
    match event {
        b"link-connect" => connect(rest),
        b"link-identify" => Some(greeting(rest)),
        b"link-tls" => Some(Event::Tls),
        b"link-auth" => {
            let result = if version >= Version(7) { cut(rest, b'|')?.0 } else { last_field(rest)? };
            Some(Event::Login(result == b"pass"))
        }
        b"tx-begin" => Some(Event::Begin),
        b"tx-mail" => Some(Event::Result(Stage::Mail, result(version, rest)?)),
        b"tx-rcpt" => Some(Event::Result(Stage::Rcpt, result(version, rest)?)),
        b"tx-data" => Some(Event::Result(Stage::Data, verdict(last_field(rest)?)?)),
        b"tx-commit" => Some(Event::Taken(None)),
        b"tx-rollback" => Some(Event::Rollback),
        b"protocol-client" => Some(Event::Asked(command(rest))),
        b"protocol-server" => Some(Event::Replied(rest)),
        b"link-disconnect" => Some(Event::End(None)),
        _ => Some(Event::Other),
    }
}

/// `RDNS|pass|SOURCE|DESTINATION`, read from the right.
fn connect(rest: &[u8]) -> Option<Event<'_>> {
    let mut fields = rest.rsplitn(4, |&byte| byte == b'|');
    let (_destination, source, verified) = (fields.next()?, fields.next()?, fields.next()?);
    let rdns = fields.next()?;
    Some(Event::Connect(end_point(source)?, (verified == b"pass").then_some(rdns)))
}

/// `METHOD|NAME`; the first versions had the name alone.
fn greeting(rest: &[u8]) -> Event<'_> {
    match cut(rest, b'|') {
        Some((b"EHLO", name)) => Event::Greeting(Some(true), name.into()),
        Some((b"HELO", name)) => Event::Greeting(Some(false), name.into()),
        _ => Event::Greeting(None, rest.into()),
    }
}

/// `MESSAGE|RESULT|ADDRESS`, or `MESSAGE|ADDRESS|RESULT` before version 0.6.
fn result(version: Version, rest: &[u8]) -> Option<Verdict> {
    let (_message, rest) = cut(rest, b'|')?;
    verdict(if version >= Version(6) { cut(rest, b'|')?.0 } else { last_field(rest)? })
}

fn last_field(rest: &[u8]) -> Option<&[u8]> {
    rest.rsplit(|&byte| byte == b'|').next()
}

fn verdict(word: &[u8]) -> Option<Verdict> {
    match word {
        b"ok" => Some(Verdict::Ok),
        b"permfail" => Some(Verdict::Permanent),
        b"tempfail" => Some(Verdict::Temporary),
        _ => None,
    }
}

/// Undoes strnvis(3) with VIS_CSTYLE, and `\xNN` of our filter; `None` for what neither writes.
fn unvis(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'\\') {
        return Some(text.into());
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'\\' {
            plain.push(byte);
            rest = after;
            continue;
        }
        let (byte, after) = escaped(after)?;
        plain.push(byte);
        rest = after;
    }
    Some(plain.into())
}

/// The byte that an escape stands for, without its backslash, and what follows.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'x', high, low, rest @ ..] => Some((hex(*high)? * 16 + hex(*low)?, rest)),
        [b'M', b'-', byte, rest @ ..] => Some((byte | 0x80, rest)),
        [b'M', b'^', byte, rest @ ..] => Some((control(*byte) | 0x80, rest)),
        [b'^', byte, rest @ ..] => Some((control(*byte), rest)),
        [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
            Some(((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'), rest))
        }
        [letter, rest @ ..] => {
            let byte = match letter {
                b'\\' | b'"' => *letter,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b's' => b' ',
                b'a' => 0x07,
                b'b' => 0x08,
                b'v' => 0x0b,
                b'f' => 0x0c,
                b'0' => 0,
                _ => return None,
            };
            Some((byte, rest))
        }
        [] => None,
    }
}

/// `^A` without the circumflex.
fn control(byte: u8) -> u8 {
    if byte == b'?' { 0x7f } else { byte & 0x1f }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        for (text, plain) in [
            (r"a.example", Some(&b"a.example"[..])),
            (r"a\\b", Some(b"a\\b")),
            (r"\^[[31m", Some(b"\x1b[31m")),
            (r"\^?", Some(b"\x7f")),
            (r"caf\M-i", Some(b"caf\xe9")),
            (r"\M^@\240", Some(b"\x80\xa0")),
            (r"\0\000\s\n\r\t\v\f\a\b", Some(b"\0\0 \n\r\t\x0b\x0c\x07\x08")),
            (r"\xff\x5c", Some(b"\xff\\")),
            (r"\q", None),
            ("a\\", None),
            (r"\xFF", None),
            (r"\M", None),
        ] {
            assert_eq!(unvis(text.as_bytes()).as_deref(), plain, "{text}");
        }
    }

    #[test]
    fn results_stand_where_the_version_says() {
        for (version, rest, expected) in [
            ("0.4", "1|ok|x|permfail", Verdict::Permanent),
            ("0.5", "1|tempfail|ok", Verdict::Ok),
            ("0.6", "1|tempfail|ok", Verdict::Temporary),
            ("0.7", "1|ok|permfail|permfail", Verdict::Ok),
            ("1.0", "1|ok|permfail", Verdict::Ok),
            ("1", "1|ok|permfail", Verdict::Permanent),
        ] {
            let version = Version::of(version.as_bytes()).expect("a version");
            assert_eq!(result(version, rest.as_bytes()), Some(expected), "{version:?} {rest}");
        }
    }

    #[test]
    fn clients_are_where_smtpd_puts_them() {
        for (text, expected) in [
            (
                "a.example|pass|192.0.2.7:5|192.0.2.25:25",
                Some((Some("192.0.2.7"), Some("a.example"))),
            ),
            (
                "x|pass|198.51.100.9:1|y|pass|192.0.2.7:5|d",
                Some((Some("192.0.2.7"), Some("x|pass|198.51.100.9:1|y"))),
            ),
            ("a|fail|[2001:db8::7]:5|d", Some((Some("2001:db8::7"), None))),
            ("a|pass|unix:/run/smtpd.sock|unix:/run/smtpd.sock", Some((None, Some("a")))),
            ("a|pass|192.0.2.7|d", None),
            ("pass|192.0.2.7:5|d", None),
        ] {
            let found = connect(text.as_bytes());
            let expected = expected.map(|(ip, rdns): (Option<&str>, Option<&str>)| {
                let ip = ip.map(|ip| ip.parse().expect("an address"));
                Event::Connect(ip, rdns.map(str::as_bytes))
            });
            assert_eq!(found, expected, "{text}");
        }
    }
}

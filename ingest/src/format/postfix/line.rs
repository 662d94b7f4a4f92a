//! The grammar of Postfix: what one line of smtpd, postscreen or cleanup says.
//!
//! In goes the text after the tag; out comes a `Line` that borrows from it. Read in our own runs of
//! Postfix 3.7 and in public samples back to 2.x.
//!
//! Where the traps are: administrators put anything into reject texts, and senders anything into
//! addresses, so the client is read from the left (`STAGE from NAME[IP]: `) and the name from the right
//! (the last ` proto=.. helo=<..>`). In `helo=<>` smtpd has replaced `" <>()\;@` and controls by `?`, so
//! a value with one of those in it is not the real tail. The exception is a refusal at HELO itself with
//! `smtpd_delay_reject = no`: there the argument is logged raw, twice, and is believed only if both
//! copies agree in exactly one way. postscreen separates fields by commas and keeps the first word of
//! the argument, which therefore has no blank in it. A record is cut at 2000 octets: the tail of one
//! that is that long may be anybody's text.

use std::net::IpAddr;

use crate::bytes::{address, contains, cut, cut_at, cut_at_last, find, find_all, number};
use crate::ours::Reply;
use crate::session::{Refusal, Stage};

/// Where Postfix cuts a log record (MSG_SYSLOG_RECLEN).
const RECORD_MAX: usize = 2000;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A client connected.
    Connect(Option<Client<'a>>),
    /// The connection is over.
    Disconnect(Option<Client<'a>>, Summary),
    /// TLS is on.
    Tls(Client<'a>),
    /// `lost connection` or `timeout` after a stage.
    Lost(Option<Stage>, Option<Client<'a>>),
    /// The first recipient of a message was taken: `QID: client=`.
    Opened(&'a [u8], Option<Client<'a>>, Origin),
    /// The first recipient of a message was taken, and a before-queue filter is asked: `NOQUEUE: client=`.
    Proxied(Client<'a>),
    /// cleanup has seen the header of a message.
    MessageId(&'a [u8]),
    /// A check fired.
    Action(Action<'a>),
    /// postscreen says goodbye, or hands the client over.
    ScreenEnd(Client<'a>),
    /// postscreen's client hung up.
    ScreenLost(Client<'a>),
    /// The line shows a client and decides nothing.
    Shown(Client<'a>),
    /// postscreen quotes the first words of a client that did not wait.
    Pregreet(Client<'a>, &'a [u8]),
    /// Understood, of no use here.
    Nothing,
    /// No known shape.
    Unknown,
}

/// A client as Postfix writes it: `NAME[IP]` or `[IP]:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client<'a> {
    pub(super) ip: IpAddr,
    pub(super) port: Option<u32>,
    /// The verified name; `None` for `unknown` and in postscreen.
    pub(super) rdns: Option<&'a [u8]>,
}

/// Where a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A client of the open service.
    Client,
    /// A user who logged in.
    Login,
    /// A content filter that gives mail back to us.
    Reinjection,
}

/// A check that fired: `ACTION: STAGE from CLIENT: TEXT; ... helo=<NAME>`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Action<'a> {
    pub(super) queue_id: Option<&'a [u8]>,
    pub(super) verdict: Verdict,
    pub(super) stage: Stage,
    pub(super) client: Option<Client<'a>>,
    pub(super) said: Said<'a>,
    /// What Postfix says to a client whose check this is.
    pub(super) reply: Reply<'a>,
    /// The tail says that the client greeted with EHLO, or did not.
    pub(super) extended: Option<bool>,
}

/// What the check decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Refused(Refusal),
    /// A before-queue filter took the message.
    Accepted,
    /// `permit`: the recipient is about to be taken.
    Permit,
    /// info, warn, hold, filter: shows a name and decides nothing.
    Neutral,
}

/// What the line shows of the EHLO name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// This.
    Name(&'a [u8]),
    /// The line is whole and there is no `helo=`: none was given.
    Nothing,
    /// The line does not tell.
    Unknown,
    /// It shows something that may not be the name; the word says why.
    Doubtful(&'static str),
    /// A user logged in; the name, if the line shows one that can be believed.
    Login(Option<&'a [u8]>),
}

/// The counters of a `disconnect` line, `ok/total`; all zero before Postfix 3.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// There were counters at all.
    pub(super) counted: bool,
    /// Greetings (EHLO and HELO) that were taken, and that were tried.
    pub(super) greetings: u32,
    pub(super) greetings_tried: u32,
    pub(super) starttls: u32,
    pub(super) mail: u32,
    pub(super) mail_tried: u32,
    pub(super) data: u32,
    pub(super) bdat: u32,
    pub(super) auth: u32,
    /// XCLIENT was tried: the greetings before it were a proxy's.
    pub(super) xclient: u32,
}

/// Reads the text of smtpd, cleanup, or a Postfix program whose name the framing lost.
pub(super) fn read(text: &[u8]) -> Line<'_> {
    if let Some(rest) = text.strip_prefix(b"connect from ") {
        return Line::Connect(client(rest).map(|(client, _)| client));
    }
    if let Some(rest) = text.strip_prefix(b"disconnect from ") {
        return Line::Disconnect(client(rest).map(|(client, _)| client), summary(rest));
    }
    if let Some(rest) = text.strip_prefix(b"NOQUEUE: ") {
        // Before a proxy filter: whether the message was taken, `proxy-accept` says.
        return match rest.strip_prefix(b"client=") {
            Some(rest) => proxied(rest),
            None => action(None, rest, text),
        };
    }
    if let Some(rest) = text
        .strip_prefix(b"lost connection after ")
        .or_else(|| text.strip_prefix(b"timeout after "))
    {
        return lost(rest);
    }
    if let Some(client) = tls(text) {
        return Line::Tls(client);
    }
    if let Some(client) = shown(text) {
        return Line::Shown(client);
    }
    if is_chatter(text) {
        return Line::Nothing;
    }
    // What a before-queue filter answered has no queue id; before 2.1 no refusal without one had NOQUEUE.
    const BARE: [&[u8]; 3] = [b"reject: ", b"proxy-accept: ", b"proxy-reject: "];
    if BARE.iter().any(|start| text.starts_with(start)) {
        return action(None, text, text);
    }
    let Some((queue_id, rest)) = cut_at(text, b": ") else {
        return Line::Unknown;
    };
    if queue_id.len() > 32 || !queue_id.iter().all(u8::is_ascii_alphanumeric) {
        return Line::Unknown;
    }
    if let Some(rest) = rest.strip_prefix(b"client=") {
        let (client, rest) = match client(rest) {
            Some((client, rest)) => (Some(client), rest),
            None => (None, rest),
        };
        return Line::Opened(queue_id, client, origin(rest));
    }
    if rest.starts_with(b"message-id=") {
        return Line::MessageId(queue_id);
    }
    const QUEUE: [&[u8]; 7] =
        [b"from=<", b"to=<", b"uid=", b"removed", b"resent-message-id=", b"orig_to=", b"sender "];
    if QUEUE.iter().any(|start| rest.starts_with(start)) {
        return Line::Nothing;
    }
    action(Some(queue_id), rest, text)
}

/// Reads the text of postscreen.
pub(super) fn read_screen(text: &[u8]) -> Line<'_> {
    if let Some(rest) = text.strip_prefix(b"NOQUEUE: ") {
        return action(None, rest, text);
    }
    if let Some(rest) = text.strip_prefix(b"CONNECT from ") {
        return screen_client(rest)
            .map_or(Line::Unknown, |(client, _)| Line::Connect(Some(client)));
    }
    const ENDS: [&[u8]; 3] = [b"DISCONNECT ", b"PASS NEW ", b"PASS OLD "];
    if let Some(rest) = ENDS.iter().find_map(|end| text.strip_prefix(*end)) {
        return screen_client(rest).map_or(Line::Unknown, |(client, _)| Line::ScreenEnd(client));
    }
    if let Some(rest) = text.strip_prefix(b"PREGREET ") {
        return pregreet(rest);
    }
    if let Some(rest) = text.strip_prefix(b"HANGUP after ") {
        let client = cut_at(rest, b" from ").and_then(|(_, rest)| screen_client(rest));
        return client.map_or(Line::Unknown, |(client, _)| Line::ScreenLost(client));
    }
    Line::Nothing
}

/// True for texts that only postscreen writes: for framings that cut the program's name.
pub(super) fn is_screen_text(text: &[u8]) -> bool {
    // It speaks in capitals, a blank after the first word; a queue id is followed by a colon.
    let is_capital = |byte: &&u8| byte.is_ascii_uppercase() || **byte == b'-';
    let capitals = text.iter().take_while(is_capital).count();
    capitals >= 4 && text.get(capitals) == Some(&b' ')
}

/// Trouble with a client: a failed login, TLS, a command that is none. What follows the client may be its own text.
fn shown(text: &[u8]) -> Option<Client<'_>> {
    if let Some(rest) = text.strip_prefix(b"warning: ") {
        const STARTS: [&[u8]; 2] = [b"non-SMTP command from ", b"Illegal address syntax from "];
        if let Some(rest) = STARTS.iter().find_map(|start| rest.strip_prefix(*start)) {
            return client(rest).map(|(client, _)| client);
        }
        let (client, rest) = client(rest)?;
        return rest.starts_with(b": SASL ").then_some(client);
    }
    if let Some(rest) = text.strip_prefix(b"SSL_accept error from ") {
        return client(rest).map(|(client, _)| client);
    }
    const AFTER: [&[u8]; 3] = [
        b"improper command pipelining after ",
        b"too many errors after ",
        b"bare <LF> received after ",
    ];
    let rest = AFTER.iter().find_map(|start| text.strip_prefix(*start))?;
    // The stage is one word, or one with the octets that had come.
    let (stage, rest) = cut_at(rest, b" from ")?;
    (stage.len() <= 40).then(|| client(rest).map(|(client, _)| client))?
}

/// `Anonymous TLS connection established from NAME[IP]: TLSv1.3 with cipher ..`.
fn tls(text: &[u8]) -> Option<Client<'_>> {
    const TRUST: [&[u8]; 4] = [b"Anonymous", b"Untrusted", b"Trusted", b"Verified"];
    let rest = TRUST.iter().find_map(|trust| text.strip_prefix(*trust))?;
    client(rest.strip_prefix(b" TLS connection established from ")?).map(|(client, _)| client)
}

fn is_chatter(text: &[u8]) -> bool {
    const STARTS: [&[u8]; 25] = [
        b"warning: ",
        b"error: ",
        b"fatal: ",
        b"panic: ",
        b"statistics: ",
        b"improper command pipelining after ",
        b"too many errors after ",
        b"bare <LF> received after ",
        b"discarding EHLO keywords: ",
        b"Anonymous TLS connection established from ",
        b"Untrusted TLS connection established from ",
        b"Trusted TLS connection established from ",
        b"Verified TLS connection established from ",
        b"TLS SNI ",
        b"SSL_accept error from ",
        b"setting up TLS connection from ",
        b"table ",
        b"certificate verification ",
        b"using backwards-compatible default setting ",
        b"sender non-delivery notification",
        b"addr ",
        b"cache ",
        b"daemon started ",
        b"starting the Postfix mail system",
        b"stopping the Postfix mail system",
    ];
    STARTS.iter().any(|start| text.starts_with(start))
}

/// `NAME[IP]` or `NAME[IP]:PORT`, and what follows; `None` where the address is the word `unknown`.
fn client(text: &[u8]) -> Option<(Client<'_>, &[u8])> {
    let (name, rest) = cut(text, b'[')?;
    if name.contains(&b' ') {
        return None;
    }
    let (inside, rest) = cut(rest, b']')?;
    let ip = address(inside)?;
    let (port, rest) = match rest.strip_prefix(b":").and_then(number) {
        Some((port, rest)) => (Some(port), rest),
        None => (None, rest),
    };
    let rdns = (!name.is_empty() && name != b"unknown").then_some(name);
    Some((Client { ip, port, rdns }, rest))
}

/// `[IP]:PORT` and what follows.
fn screen_client(text: &[u8]) -> Option<(Client<'_>, &[u8])> {
    let (client, rest) = client(text)?;
    (client.rdns.is_none() && text.starts_with(b"[") && client.port.is_some())
        .then_some((client, rest))
}

/// `NOQUEUE: client=`: what the filter will answer is this client's.
fn proxied(rest: &[u8]) -> Line<'_> {
    match client(rest) {
        Some((client, rest)) if origin(rest) != Origin::Client => {
            Line::Opened(b"NOQUEUE", Some(client), origin(rest))
        }
        Some((client, _)) => Line::Proxied(client),
        None => Line::Nothing,
    }
}

fn origin(rest: &[u8]) -> Origin {
    // The first key decides: what follows it may be a user's text.
    if rest.starts_with(b", sasl_") {
        return Origin::Login;
    }
    if rest.starts_with(b", orig_") {
        return Origin::Reinjection;
    }
    Origin::Client
}

fn lost(rest: &[u8]) -> Line<'_> {
    let Some((stage, rest)) = cut(rest, b' ') else {
        return Line::Unknown;
    };
    let found = cut_at(rest, b"from ").and_then(|(_, rest)| client(rest));
    Line::Lost(Stage::of(stage), found.map(|(client, _)| client))
}

fn summary(rest: &[u8]) -> Summary {
    let mut summary = Summary::default();
    let Some((_, counters)) = cut_at(rest, b"] ") else {
        return summary;
    };
    for word in counters.split(|&byte| byte == b' ') {
        let Some((key, value)) = cut(word, b'=') else { continue };
        let Some((taken, rest)) = number(value) else { continue };
        let tried = rest.strip_prefix(b"/").and_then(number).map_or(taken, |(tried, _)| tried);
        summary.counted = true;
        match key {
            b"ehlo" | b"helo" => {
                summary.greetings += taken;
                summary.greetings_tried += tried;
            }
            b"starttls" => summary.starttls = taken,
            b"mail" => (summary.mail, summary.mail_tried) = (taken, tried),
            b"data" => summary.data = taken,
            b"bdat" => summary.bdat = taken,
            b"auth" => summary.auth = taken,
            b"xclient" => summary.xclient = tried,
            _ => {}
        }
    }
    summary
}

/// `26 after 0 from [IP]:PORT: EHLO name\r\n`, believed only if it is that one command and nothing else.
fn pregreet(rest: &[u8]) -> Line<'_> {
    let found = (|| {
        let (_, rest) = cut_at(rest, b" from ")?;
        let (client, rest) = screen_client(rest)?;
        let command = rest.strip_prefix(b": ")?.strip_suffix(b"\\r\\n")?;
        let (verb, argument) = cut(command, b' ')?;
        let greets = verb.eq_ignore_ascii_case(b"EHLO") || verb.eq_ignore_ascii_case(b"HELO");
        let plain = argument.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\');
        (greets && plain).then_some((client, argument))
    })();
    found.map_or(Line::Nothing, |(client, argument)| Line::Pregreet(client, argument))
}

fn action<'a>(queue_id: Option<&'a [u8]>, rest: &'a [u8], whole: &'a [u8]) -> Line<'a> {
    let Some((word, rest)) = cut_at(rest, b": ") else {
        return Line::Unknown;
    };
    if word.is_empty() || !word.iter().all(|&byte| matches!(byte, b'a'..=b'z' | b'_' | b'-')) {
        return Line::Unknown;
    }
    let is_whole = whole.len() < RECORD_MAX;
    const CONTENT: [&[u8]; 4] = [b"header ", b"body ", b"mime ", b"nested "];
    if CONTENT.iter().any(|start| rest.starts_with(start)) {
        return content(queue_id, word, rest, is_whole);
    }
    // What a before-queue filter answered: the address in the text is the filter's.
    if let Some((stage, text)) = cut_at(rest, b": ")
        && let Some(stage) = Stage::of(stage)
    {
        let said = if is_whole { tail(text) } else { Said::Doubtful("cut-record") };
        return Line::Action(Action {
            queue_id,
            verdict: verdict(word, text, stage),
            stage,
            client: None,
            said,
            reply: Reply::default(),
            extended: extended(text, is_whole),
        });
    }
    let found = (|| {
        let (stage, rest) = cut_at(rest, b" from ")?;
        let screen = rest.starts_with(b"[");
        let (client, rest) = client(rest)?;
        Some((Stage::of(stage)?, screen, client, rest.strip_prefix(b": ")?))
    })();
    let Some((stage, screen, client, text)) = found else {
        return Line::Unknown;
    };
    let said = match (is_whole, screen, stage) {
        (false, ..) => Said::Doubtful("cut-record"),
        (true, true, _) => screen_tail(text),
        (true, false, Stage::Helo | Stage::Ehlo) => refused_greeting(text),
        (true, false, _) => tail(text),
    };
    Line::Action(Action {
        queue_id,
        verdict: verdict(word, text, stage),
        stage,
        client: Some(client),
        said,
        reply: if is_whole { reply(text) } else { Reply::default() },
        extended: extended(text, is_whole),
    })
}

/// The reply in `REPLY; from=<S> to=<R> proto=P helo=<H>`, each part but the reply optional, and the rest. A
/// client's words that are repeated in the reply may imitate the rest; the true one then is behind them.
fn reply(text: &[u8]) -> Reply<'_> {
    const RESTS: [&[u8]; 3] = [b"; from=<", b"; to=<", b"; proto="];
    let ends = RESTS.iter().filter_map(|rest| find(text, rest));
    let end = ends.min().unwrap_or(text.len());
    let (text, said) = text.split_at_checked(end).unwrap_or((text, b""));
    Reply { text, said }
}

/// header_checks and their like: `header X: TEXT from NAME[IP]; from=<> to=<> proto= helo=<H>: MSG`.
/// The text is the sender's. The queue id says whose it is; where that is not known, the client is believed if
/// nothing else in the line looks like it, and so is the name, unless it ends the line.
fn content<'a>(
    queue_id: Option<&'a [u8]>,
    word: &[u8],
    rest: &'a [u8],
    is_whole: bool,
) -> Line<'a> {
    let mut said = Said::Unknown;
    let mut reason: &[u8] = b"";
    let mut client = None;
    if !is_whole {
        said = Said::Doubtful("cut-record");
    } else if let Some((_, end)) = cut_at_last(rest, b" proto=")
        && let Some((_, end)) = cut_at(end, b" helo=<")
        && let Some((name, after)) = cut(end, b'>')
    {
        let tails = memchr::memmem::find_iter(rest, b" helo=<").count();
        match after.strip_prefix(b": ") {
            Some(message) if tails == 1 => {
                said = neutered(name);
                reason = message;
            }
            Some(_) => said = Said::Doubtful("two-tails"),
            None if after.is_empty() => said = neutered(name),
            None => said = Said::Doubtful("helo"),
        }
        client = content_client(rest);
    }
    Line::Action(Action {
        queue_id,
        verdict: verdict(word, reason, Stage::EndOfMessage),
        stage: Stage::EndOfMessage,
        client,
        said,
        reply: Reply::default(),
        extended: None,
    })
}

/// The client in ` from NAME[IP]; from=<`, if that is there once.
fn content_client(rest: &[u8]) -> Option<Client<'_>> {
    const MARK: &[u8] = b"]; from=<";
    let mut marks = memchr::memmem::find_iter(rest, MARK);
    let (at, None) = (marks.next()?, marks.next()) else { return None };
    let before = rest.get(..at + 1)?;
    let (_, shown) = cut_at_last(before, b" from ")?;
    client(shown).filter(|(_, rest)| rest.is_empty()).map(|(client, _)| client)
}

/// What the last `proto=` of a whole record says.
fn extended(text: &[u8], is_whole: bool) -> Option<bool> {
    let (_, end) = cut_at_last(text, b" proto=").filter(|_| is_whole)?;
    Some(end.starts_with(b"ESMTP"))
}

fn verdict(word: &[u8], text: &[u8], stage: Stage) -> Verdict {
    match word {
        b"reject" | b"milter-reject" | b"proxy-reject" => match Refusal::of(text) {
            Some(refusal) => Verdict::Refused(refusal),
            // What checks of headers and filters say need not have a code, nor what postscreen says for want of
            // servers; a reply has one.
            None if stage == Stage::EndOfMessage => Verdict::Refused(Refusal::Hard),
            None if stage == Stage::Connect => Verdict::Refused(Refusal::Soft),
            None => Verdict::Neutral,
        },
        // The client is told that it was taken.
        b"proxy-accept" | b"discard" | b"milter-discard" => Verdict::Accepted,
        b"permit" => Verdict::Permit,
        _ => Verdict::Neutral,
    }
}

/// The name in smtpd's tail: the last ` proto=ESMTP helo=<..>` of a whole record.
fn tail(text: &[u8]) -> Said<'_> {
    let Some((_, end)) = cut_at_last(text, b" proto=") else {
        return if contains(text, b" helo=<") { Said::Doubtful("helo") } else { Said::Unknown };
    };
    let Some(end) = end.strip_prefix(b"ESMTP").or_else(|| end.strip_prefix(b"SMTP")) else {
        return Said::Doubtful("proto");
    };
    if end.is_empty() {
        return Said::Nothing;
    }
    if end.starts_with(b" sasl_") {
        return Said::Login(None);
    }
    let Some(value) = end.strip_prefix(b" helo=<") else {
        return Said::Doubtful("proto");
    };
    match cut(value, b'>') {
        Some((name, b"")) => neutered(name),
        Some((name, after)) if after.starts_with(b" sasl_") => match neutered(name) {
            Said::Name(name) => Said::Login(Some(name)),
            _ => Said::Login(None),
        },
        Some(_) => Said::Doubtful("helo"),
        None => Said::Doubtful("cut-name"),
    }
}

/// A value that smtpd has replaced the dangerous characters of, or it is not the value.
fn neutered(name: &[u8]) -> Said<'_> {
    const REPLACED: &[u8] = b"\" <>()\\;@";
    if name.is_empty() {
        return Said::Unknown;
    }
    if name.iter().any(|byte| REPLACED.contains(byte)) {
        return Said::Doubtful("helo");
    }
    Said::Name(name)
}

/// The name in postscreen's tail: `, proto=ESMTP, helo=<..>`.
fn screen_tail(text: &[u8]) -> Said<'_> {
    let Some((_, end)) = cut_at_last(text, b", proto=") else {
        return Said::Unknown;
    };
    let Some(end) = end.strip_prefix(b"ESMTP").or_else(|| end.strip_prefix(b"SMTP")) else {
        return Said::Doubtful("proto");
    };
    if end.is_empty() {
        return Said::Nothing;
    }
    let Some(name) = end.strip_prefix(b", helo=<").and_then(|value| value.strip_suffix(b">"))
    else {
        return Said::Doubtful("cut-name");
    };
    if name.is_empty() || name.contains(&b' ') {
        return Said::Doubtful("helo");
    }
    Said::Name(name)
}

/// The raw argument of a greeting that was refused at once: `501 5.5.2 <ARG>: Helo command rejected:
/// TEXT; proto=SMTP helo=<ARG>`. ARG may imitate any part of the line, so a split counts only if both
/// copies agree, and only if no other split does.
fn refused_greeting(text: &[u8]) -> Said<'_> {
    const DOUBT: Said<'static> = Said::Doubtful("refused-greeting");
    let quoted = (|| {
        let (_, rest) = number(text)?;
        let rest = rest.strip_prefix(b" ")?;
        if let Some(rest) = rest.strip_prefix(b"<") {
            return Some(rest);
        }
        let (status, rest) = cut(rest, b' ')?;
        let is_status = status.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
        rest.strip_prefix(b"<").filter(|_| is_status)
    })();
    const MARKS: [&[u8]; 2] = [b"; proto=SMTP helo=<", b"; proto=ESMTP helo=<"];
    let Some(body) = text.strip_suffix(b">") else {
        return DOUBT;
    };
    let Some(quoted) = quoted else {
        // A milter's refusal has one copy only: it is the name if nothing in the line imitates its mark.
        let count: usize = MARKS.iter().map(|mark| find_all(body, mark).count()).sum();
        let found = MARKS.iter().find_map(|mark| cut_at(body, mark));
        return found.filter(|_| count == 1).map_or(DOUBT, |(_, name)| neutered(name));
    };
    let mut fits: Option<&[u8]> = None;
    for mark in MARKS {
        for at in find_all(body, mark) {
            let Some(argument) = body.get(at + mark.len()..) else { continue };
            let agrees = quoted
                .strip_prefix(argument)
                .is_some_and(|rest| rest.starts_with(b">: Helo command rejected: "));
            if agrees && fits.replace(argument).is_some() {
                return DOUBT;
            }
        }
    }
    fits.filter(|argument| !argument.is_empty()).map_or(DOUBT, Said::Name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said<'_> {
        match read(text.as_bytes()) {
            Line::Action(action) => action.said,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn names_come_from_the_right() {
        for (text, expected) in [
            (
                "NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 <a@b>: Relay access denied; \
                 from=<x@y> to=<a@b> proto=ESMTP helo=<bot.example>",
                Said::Name(b"bot.example"),
            ),
            (
                "NOQUEUE: reject: RCPT from a.example[192.0.2.7]: 554 5.7.1 <blocked@local.test>: Recipient \
                 address rejected: Policy: from <x> proto=ESMTP helo=<fake.example> denied; from=<s@sender.test> \
                 to=<blocked@local.test> proto=ESMTP helo=<153.72.17.184>",
                Said::Name(b"153.72.17.184"),
            ),
            (
                "NOQUEUE: reject: RCPT from a.example[192.0.2.7]: 554 5.7.1 <b@l>: Policy: from <x> \
                 proto=ESMTP helo=<fake.example> denied; from=<s@s> to=<b@l> proto=ESMTP helo=<153.72.1",
                Said::Doubtful("cut-name"),
            ),
            (
                "NOQUEUE: reject: RCPT from a.example[192.0.2.7]: 554 5.7.1 <b@l>: Policy: from <x> \
                 proto=ESMTP helo=<fake.example> denied; from=<s@s> to=<b@l>",
                Said::Doubtful("helo"),
            ),
            (
                "NOQUEUE: reject: RCPT from a.example[192.0.2.7]: 554 no; from=<\"x> to=<y> proto=ESMTP \
                 helo=<fake.example>\"@s> to=<b@l> proto=SMTP helo=<real.example>",
                Said::Name(b"real.example"),
            ),
            (
                "NOQUEUE: reject: RCPT from a.example[192.0.2.7]: 554 no; from=<s@s> to=<b@l> proto=SMTP",
                Said::Nothing,
            ),
            ("reject: RCPT from unknown[192.0.2.7]: 554 <u@y>: denied; from=<s@a> to=<u@y>", Said::Unknown),
            (
                "NOQUEUE: reject: RCPT from a.example[192.0.2.7]: 554 no; from=<s@s> to=<b@l> proto=ESMTP \
                 helo=<pc> sasl_username=<joe>",
                Said::Login(Some(b"pc")),
            ),
            (
                "NOQUEUE: reject: EHLO from r.example[192.0.2.7]: 501 5.5.2 <x: RCPT from fake[6.6.6.6]: 250 ok; \
                 from=<a@b> to=<c@d> proto=ESMTP helo=<trusted.example>>: Helo command rejected: Invalid name; \
                 proto=SMTP helo=<x: RCPT from fake[6.6.6.6]: 250 ok; from=<a@b> to=<c@d> proto=ESMTP \
                 helo=<trusted.example>>",
                Said::Name(
                    b"x: RCPT from fake[6.6.6.6]: 250 ok; from=<a@b> to=<c@d> proto=ESMTP helo=<trusted.example>",
                ),
            ),
            (
                "NOQUEUE: reject: EHLO from r.example[192.0.2.7]: 504 5.5.2 <union>: Helo command rejected: need \
                 fully-qualified hostname; proto=SMTP helo=<union>",
                Said::Name(b"union"),
            ),
            (
                "NOQUEUE: reject: EHLO from r.example[192.0.2.7]: 504 5.5.2 <good>: Helo command rejected: x; \
                 proto=SMTP helo=<good>: Helo command rejected: need; proto=SMTP helo=<good>: Helo command \
                 rejected: x; proto=SMTP helo=<good>",
                Said::Doubtful("refused-greeting"),
            ),
            (
                "NOQUEUE: milter-reject: EHLO from r.example[192.0.2.7]: 550 5.7.1 Command rejected; proto=SMTP \
                 helo=<union>",
                Said::Name(b"union"),
            ),
            (
                "NOQUEUE: milter-reject: EHLO from r.example[192.0.2.7]: 550 5.7.1 Command rejected; proto=SMTP \
                 helo=<x; proto=SMTP helo=<good.example>",
                Said::Doubtful("refused-greeting"),
            ),
            (
                "NOQUEUE: reject: RCPT from [192.0.2.7]:50: 450 4.3.2 Service currently unavailable; \
                 from=<a@b, helo=<x>>, to=<ok@local.test>, proto=ESMTP, helo=<victor.example>>",
                Said::Name(b"victor.example>"),
            ),
            (
                "4A: reject: header Subject: x from f[6.6.6.6]; from=<a> to=<b> proto=ESMTP helo=<fake.example>: \
                 from m.example[192.0.2.7]; from=<s@s> to=<b@l> proto=ESMTP helo=<real.example>: 5.7.1 no",
                Said::Doubtful("two-tails"),
            ),
            (
                "4A: warning: header Subject: x from f[6.6.6.6]; from=<a> to=<b> proto=ESMTP helo=<fake.example>: \
                 from m.example[192.0.2.7]; from=<s@s> to=<b@l> proto=ESMTP helo=<real.example>",
                Said::Name(b"real.example"),
            ),
            (
                "NOQUEUE: proxy-accept: END-OF-MESSAGE: 250 2.0.0 from MTA(smtp:[127.0.0.1]:10013): 250 ok; \
                 from=<a@b> to=<c@d> proto=ESMTP helo=<mx.example>",
                Said::Name(b"mx.example"),
            ),
            (
                "proxy-reject: END-OF-MESSAGE: 554 5.7.0 Reject, id=31619-02 - spam; from=<a@b> to=<c@d> \
                 proto=ESMTP helo=<mx.example>",
                Said::Name(b"mx.example"),
            ),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }

    #[test]
    fn a_record_of_full_length_shows_no_name() {
        let sender = "a".repeat(RECORD_MAX);
        let text = format!(
            "NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 no; from=<{sender}> to=<b@l> proto=SMTP helo=<x.example>"
        );
        assert_eq!(said(&text), Said::Doubtful("cut-record"));
    }

    #[test]
    fn clients_come_from_the_left() {
        let ip = "192.0.2.7".parse().expect("an address");
        for (text, expected) in [
            ("connect from a.example[192.0.2.7]", Some((Some("a.example"), None))),
            ("connect from unknown[192.0.2.7]:4711", Some((None, Some(4711)))),
            ("connect from unknown[unknown]", None),
        ] {
            let expected = expected.map(|(rdns, port): (Option<&str>, _)| Client {
                ip,
                port,
                rdns: rdns.map(str::as_bytes),
            });
            assert_eq!(read(text.as_bytes()), Line::Connect(expected), "{text}");
        }
    }

    #[test]
    fn our_own_refusals_are_known_by_the_reply() {
        const TAIL: &str = "; from=<a@b> to=<c@d> proto=ESMTP helo=<x.example>";
        for (text, ours) in [
            // As our own runs logged them, with our origin in place of theirs.
            (
                "reject: RCPT from x[192.0.2.7]: 554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using bl.rep.test; helostat: listed; from=<a@b> to=<c@d> proto=ESMTP helo=<x>",
                true,
            ),
            (
                "reject: RCPT from [192.0.2.7]:4496: 550 5.7.1 Service unavailable; client [192.0.2.7] blocked using bl.rep.test; from=<s@t>, to=<d@l>, proto=ESMTP, helo=<[220.176.52.123]>",
                true,
            ),
            (
                "reject: CONNECT from unknown[192.0.2.7]: 554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using bl.rep.test; Listed; see http://a/q; proto=SMTP",
                true,
            ),
            (
                "reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 Service unavailable; Helo command [x.example] blocked using ehlo.rep.test; from=<a@b> to=<c@d> proto=ESMTP helo=<x.example>",
                true,
            ),
            (
                "milter-reject: RCPT from x[192.0.2.7]: 550 5.7.1 helostat: listed; from=<a@b> to=<c@d> proto=ESMTP helo=<x>",
                true,
            ),
            // Of others.
            (
                "reject: RCPT from x[192.0.2.7]: 554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using bl.a; listed; from=<helostat@a> to=<c@d> proto=ESMTP helo=<x>",
                false,
            ),
            // Clients that say our words: in the recipient, the sender, the name.
            (
                "reject: RCPT from x[192.0.2.7]: 550 5.1.1 <helostat: x@l>: User unknown; from=<a@b> to=<\"helostat: x\"@l> proto=ESMTP helo=<x>",
                false,
            ),
            (
                "reject: RCPT from x[192.0.2.7]: 550 5.1.1 <x blocked using y helostat: ; from=<@l>: User unknown; from=<a@b> to=<\"x blocked using y helostat: ; from=<\"@l> proto=ESMTP helo=<x>",
                false,
            ),
            (
                "reject: RCPT from x[192.0.2.7]: 554 5.7.1 Service unavailable; Sender address [] blocked using bl.rep.test; from=<@e.example] blocked using z.test; from=<\"] blocked using bl.rep.test; from=<\"@e.example> to=<c@d> proto=ESMTP helo=<x>",
                false,
            ),
            (
                "reject: RCPT from x[192.0.2.7]: 554 5.7.1 Service unavailable; Helo command [helostat:using?bl.rep.test] blocked using z.test; from=<a@b> to=<c@d> proto=ESMTP helo=<helostat:using?bl.rep.test>",
                false,
            ),
            (
                "reject: EHLO from x[192.0.2.7]: 504 5.5.2 <x>: Helo command rejected: helostat: y; proto=>: Helo command rejected: need fully-qualified hostname; proto=SMTP helo=<x>: Helo command rejected: helostat: y; proto=>",
                false,
            ),
            (
                "reject: VRFY from x[192.0.2.7]: 550 5.1.1 <helostat: x>: Recipient address rejected: no; to=<helostat: x> proto=ESMTP helo=<x>",
                false,
            ),
            // Its reverse name, and a server of its own.
            (
                "reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 <bl.rep.test>: Unverified Client host rejected: no; from=<a@b> to=<c@d> proto=ESMTP helo=<x>",
                false,
            ),
            (
                "reject: RCPT from x[192.0.2.7]: 450 4.1.7 <a@b>: Sender address rejected: undeliverable address: host mx.b[192.0.2.9] said: 550 helostat: x (in reply to RCPT TO command); from=<a@b> to=<c@d> proto=ESMTP helo=<x>",
                false,
            ),
        ] {
            let screen = text.contains("from [");
            let line = format!("NOQUEUE: {text}");
            let read = if screen { read_screen(line.as_bytes()) } else { read(line.as_bytes()) };
            let Line::Action(action) = read else { panic!("no action: {text}") };
            let known = crate::ours::Ours::new(["rep.test"], []);
            assert_eq!(known.caused(action.reply), ours, "{text}");
        }
        let long = "a".repeat(RECORD_MAX);
        let cut = format!("NOQUEUE: reject: RCPT from x[192.0.2.7]: 550 5.1.1 <helostat: {long}");
        let Line::Action(action) = read(cut.as_bytes()) else { panic!("no action") };
        assert_eq!(
            action.reply,
            Reply::default(),
            "the end that would give the client away is lost"
        );
        let reply = reply(TAIL.as_bytes());
        assert_eq!((reply.text, reply.said), (&b""[..], TAIL.as_bytes()));
    }

    #[test]
    fn disconnect_counts() {
        let text = b"disconnect from a[192.0.2.7] helo=1 ehlo=2/3 starttls=1 mail=1 rcpt=0/1 data=0/1 commands=4/5";
        let expected = Summary {
            counted: true,
            greetings: 3,
            greetings_tried: 4,
            starttls: 1,
            mail: 1,
            mail_tried: 1,
            ..Summary::default()
        };
        let Line::Disconnect(Some(client), summary) = read(text) else {
            panic!("no disconnect");
        };
        assert_eq!((client.ip.to_string().as_str(), summary), ("192.0.2.7", expected));
    }

    #[test]
    fn lines_of_other_kinds() {
        for text in [
            "4A: removed",
            "4A: to=<a@b>, relay=none",
            "4A: from=<>, size=1, nrcpt=1 (queue active)",
            "warning: hostname a.example does not resolve to address 192.0.2.7",
        ] {
            assert_eq!(read(text.as_bytes()), Line::Nothing, "{text}");
        }
        for text in [
            "",
            "nonsense",
            "a b: c: d",
            "NOQUEUE: reject: RCPT from MTA(smtp:[127.0.0.1]:10013): x",
        ] {
            assert_eq!(read(text.as_bytes()), Line::Unknown, "{text}");
        }
    }
}

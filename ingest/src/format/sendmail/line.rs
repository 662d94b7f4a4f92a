//! The grammar of Sendmail's lines: from text to a `Line` that borrows from it.
//!
//! In goes what stands behind the tag; out come the queue id and what the line says. Sendmail escapes nothing but
//! octets that do not print (`\t`, `\351`) and the backslash itself, so commas, brackets and `relay=` may be the
//! client's. Each line is therefore read from the ends that Sendmail writes, to its last octet:
//!
//! - `from=<S>, size=.., nrcpts=N, msgid=M, .., relay=R`: the last `, relay=` is Sendmail's; the counters between the
//!   sender's and the message's text count if there is one place for them, or if all places agree.
//! - `ruleset=RS, arg1=A, .., relay=R, reject=T`: both A and T hold the client's text. If more than one place reads as
//!   `, relay=R, reject=CODE`, they must agree in the address and in the first digit of the code; the reverse name and
//!   the words are then not taken.
//! - What a long line was split into is numbered (`QID[2]: ..`): no piece begins a line of its own.
//!
//! RELAY is `name [ip]` or `[ip]`, with `user@` before it from ident and ` (may be forged)` behind it where the name
//! does not lead back: such a name is no reverse name.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::bytes::{address, contains, cut, cut_at, cut_at_last, digits_of, number};
use crate::heard::Proto;
use crate::ours::Reply;
use crate::session::{Refusal, Stage};

/// What one line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Known, and says nothing of a client.
    Nothing,
    /// Of no known shape.
    Unknown,
    /// A piece of a line that was too long; true if it begins with a client's command.
    Split(bool),
    /// Two readings.
    Ambiguous(&'static str),
    /// `NOQUEUE: connect from RELAY`.
    Connect(Relay<'a>),
    /// `<-- COMMAND`, with its octets as they were sent.
    Command(Verb, Cow<'a, [u8]>),
    /// `--- 250-TEXT`: the code, whether it is the last line of the reply, and its text.
    Reply { code: &'a [u8], last: bool, text: &'a [u8] },
    /// `--- 550 TEXT (hold)`: not sent yet.
    HeldBack,
    /// The line of our own map: who says what, at MAIL.
    Said { relay: Relay<'a>, name: &'a [u8] },
    /// MAIL without a greeting that was taken.
    NoGreeting(Relay<'a>),
    /// A greeting that was refused; what was said, if the line shows all of it.
    BadGreeting {
        relay: Option<Relay<'a>>,
        name: Option<Cow<'a, [u8]>>,
        refusal: Refusal,
        words: &'a [u8],
    },
    /// A check refused something.
    Refused(Refused<'a>),
    /// A message, or what there was of it.
    From(From<'a>),
    /// `to=` of a message that is being delivered.
    Delivered,
    /// `to=` of a message that was not taken.
    Undelivered,
    /// TLS was agreed on.
    Tls(Relay<'a>),
    /// A user logged in.
    Login(Relay<'a>),
    /// The end of a session without mail.
    NoMail(Relay<'a>),
    /// The client went away; without the dialog this is only logged of a transaction, if `in_mail`.
    Lost { relay: Relay<'a>, in_mail: bool },
    /// The client went away within the message.
    Premature,
    /// A line that shows the client and nothing else.
    Seen(Relay<'a>),
}

/// A refusal by a ruleset, a milter or Sendmail itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused<'a> {
    pub(super) relay: Option<Relay<'a>>,
    pub(super) refusal: Refusal,
    pub(super) scope: Scope,
    pub(super) reply: Reply<'a>,
}

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// One command, or the message.
    At(Stage),
    /// The banner itself.
    Banner,
    /// The connection: the banner is kind and every MAIL is refused.
    Commands,
}

/// The `from=` line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct From<'a> {
    pub(super) relay: Relay<'a>,
    pub(super) proto: Option<Proto>,
    /// The daemon is one for users.
    pub(super) submission: bool,
    /// The message came whole, for at least one recipient; `None` where that can be read in two ways.
    pub(super) whole: Option<bool>,
}

/// The client as Sendmail writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relay<'a> {
    pub(super) ip: IpAddr,
    /// The reverse name that leads back; the outer `None` where the line does not tell.
    pub(super) rdns: Option<Option<&'a [u8]>>,
}

/// The commands that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Ehlo,
    Helo,
    Mail,
    Rcpt,
    Data,
    StartTls,
    Auth,
    Rset,
    Quit,
    Other,
}

/// Reads the text of a line: the queue id where there is one, and what it says.
pub(super) fn read(text: &[u8]) -> (Option<&[u8]>, Line<'_>) {
    if let Some((head, rest)) = cut_at(text, b": ") {
        if head == b"NOQUEUE" {
            return (None, of_queue(rest));
        }
        if is_queue_id(head) {
            return (Some(head), of_queue(rest));
        }
        if let Some((queue_id, inside)) = cut(head, b'[')
            && let Some(piece) = inside.strip_suffix(b"]").and_then(digits_of)
            && (queue_id.is_empty() || is_queue_id(queue_id))
        {
            let queue_id = (!queue_id.is_empty()).then_some(queue_id);
            return (queue_id, Line::Split(piece == 1 && rest.starts_with(b"<-- ")));
        }
    }
    // `QID: <-- ` of an empty command: what trims line ends took the blank.
    if let Some(head) = text.strip_suffix(b": <--").filter(|head| is_queue_id(head)) {
        return (Some(head), Line::Command(Verb::Other, Cow::Borrowed(b"")));
    }
    (None, process(text))
}

/// Time, sequence and pid: `6AKEEa37000291` since 8.12, `g8U2LVi03161` before.
fn is_queue_id(text: &[u8]) -> bool {
    (12..=20).contains(&text.len())
        && text.iter().all(u8::is_ascii_alphanumeric)
        && text.iter().rev().take(5).all(u8::is_ascii_digit)
}

/// The process that a queue id names: whoever speaks of it, it is this one's.
pub(super) fn process_of(queue_id: &[u8]) -> Option<u32> {
    let start = if queue_id.len() >= 14 { 8 } else { 7 };
    queue_id.get(start..).and_then(digits_of)
}

/// Reads what stands behind the word that a line begins with.
type Read = fn(&[u8]) -> Line<'_>;

/// A text that speaks of an envelope or of a connection.
fn of_queue(rest: &[u8]) -> Line<'_> {
    match rest.first() {
        Some(b'<') => match rest.strip_prefix(b"<-- ") {
            // A complaint about the recipient `<-- x>` looks the same: the dialog before it tells.
            Some(command) => return self::command(command),
            None => return complaint(rest),
        },
        Some(b'-') => {
            if let Some(reply) = rest.strip_prefix(b"--- ") {
                return self::reply(reply);
            }
        }
        _ => {}
    }
    const PARTS: [(&[u8], Read); 15] = [
        (b"from=", from),
        (b"to=", to),
        (b"ehlo-log,", said),
        (b"ruleset=", ruleset),
        (b"Milter: ", milter),
        (b"connect from ", |rest| whole_relay(rest, Line::Connect)),
        (b"invalid domain name (", invalid_name),
        (b"Authentication-Warning: ", warning),
        (b"lost input channel from ", lost),
        (b"timeout waiting for input from ", timeout),
        (b"timeout waiting for input during message collect", |_| Line::Premature),
        (b"collect: premature EOM", |_| Line::Premature),
        (b"collect: unexpected close on connection from ", |_| Line::Premature),
        (b"rejecting ", rejecting),
        (b"message size (", too_large),
    ];
    for (start, read) in PARTS {
        let Some(inside) = rest.strip_prefix(start) else { continue };
        return match read(inside) {
            // A recipient that begins like a line of another kind. What a delivery comes to may be such words, too.
            Line::Nothing if is_complaint(rest) && start != b"to=" => complaint(rest),
            line => line,
        };
    }
    if let Some(line) = by_relay(rest) {
        return line;
    }
    complaint(rest)
}

/// A text of the process, without an envelope.
fn process(text: &[u8]) -> Line<'_> {
    if let Some(rest) = text.strip_prefix(b"ruleset=") {
        return ruleset(rest);
    }
    // What a certificate says is the client's: only what comes first is Sendmail's.
    if let Some(rest) = text.strip_prefix(b"STARTTLS=server, relay=") {
        return match relay(rest) {
            Some((relay, rest)) if rest.starts_with(b", version=") => Line::Tls(relay),
            _ => Line::Nothing,
        };
    }
    if let Some(rest) = text.strip_prefix(b"AUTH=server, relay=") {
        return match relay(rest) {
            Some((relay, rest)) if rest.starts_with(b", ") => Line::Login(relay),
            _ => Line::Nothing,
        };
    }
    if let Some(rest) = text.strip_prefix(b"rejecting ") {
        return rejecting(rest);
    }
    const CHATTER: [&[u8]; 48] = [
        b"STARTTLS",
        b"AUTH",
        b"tls_",
        b"engine=",
        b"error: safesasl(",
        b"error: ",
        b"poststats: ",
        b"starting daemon (",
        b"starting daemon ",
        b"started as: ",
        b"restarting ",
        b"stopping daemon",
        b"daemon ",
        b"rejecting connections",
        b"accepting connections again",
        b"load average: ",
        b"getrequests: ",
        b"getconnection: ",
        b"grew WorkList",
        b"alias database ",
        b"aliases",
        b"/",
        b"SYSERR",
        b"NOQUEUE",
        b"runqueue: ",
        b"runqueue",
        b"queue",
        b"SASL",
        b"sql_",
        b"gethostbyaddr(",
        b"getpeername",
        b"unable to qualify my own domain name",
        b"My unqualified host name (",
        b"WARNING: ",
        b"warning: ",
        b"File descriptors missing",
        b"connection rate ",
        b"deferring connections",
        b"No Canonical",
        b"smtpquit: ",
        b"CRL",
        b"TLS: ",
        b"milter_",
        b"Milter",
        b"ERROR: ",
        b"ldap_",
        b"no domain ",
        b"SMTP outgoing",
    ];
    if CHATTER.iter().any(|start| text.starts_with(start)) {
        return Line::Nothing;
    }
    Line::Unknown
}

/// `RELAY did not issue MAIL/..`, `RELAY: ETRN x`.
fn by_relay(rest: &[u8]) -> Option<Line<'_>> {
    let (relay, rest) = relay(rest)?;
    if rest.starts_with(b" did not issue MAIL/EXPN/VRFY/ETRN during connection to ") {
        return Some(Line::NoMail(relay));
    }
    rest.starts_with(b": ").then_some(Line::Seen(relay))
}

/// True for a command that may be a complaint about a recipient of that name.
pub(super) fn is_like_complaint(text: &[u8]) -> bool {
    contains(text, b"... ")
}

/// Reads a text that looks like a command as what else it may be.
pub(super) fn as_complaint(text: &[u8]) -> Line<'_> {
    match cut_at(text, b": ") {
        Some((_, rest)) if is_like_complaint(rest) => complaint(rest),
        _ => Line::Nothing,
    }
}

/// True for words that mean a refusal for good.
fn is_complaint(rest: &[u8]) -> bool {
    const HARD: [&[u8]; 6] = [
        b"... User unknown",
        b"... Addressee unknown",
        b"... User address required",
        b"... Hostname required",
        b"... Domain name required",
        b"... Real domain name required for sender address",
    ];
    HARD.iter().any(|end| rest.ends_with(end)) || rest == b"Addressee unknown"
}

/// What Sendmail says of a recipient or a message in words alone: `<x@y>... User unknown`. The end of it is its own.
fn complaint(rest: &[u8]) -> Line<'_> {
    let refused = |refusal| {
        let reply = Reply { text: b"", said: rest };
        Line::Refused(Refused { relay: None, refusal, scope: Scope::At(Stage::Rcpt), reply })
    };
    if is_complaint(rest) {
        return refused(Refusal::Hard);
    }
    if rest == b"Too many recipients" {
        return refused(Refusal::Soft);
    }
    const CHATTER: [&[u8]; 40] = [
        b"Milter ",
        b"SYSERR",
        b"SYSLOG",
        b"Losing ",
        b"clone ",
        b"cloned ",
        b"alias ",
        b"forward ",
        b"done; ",
        b"return to sender: ",
        b"sender notify: ",
        b"postmaster notify: ",
        b"owner-",
        b"collect: ",
        b"dns ",
        b"discarded",
        b"quarantine",
        b"queueup",
        b"queue",
        b"locked",
        b"unlock",
        b"removed",
        b"SMTP ",
        b"AUTH ",
        b"STARTTLS",
        b"Syntax error",
        b"stopping daemon",
        b"delaying=",
        b"headers too large",
        b"header ",
        b"Headers too large",
        b"Message ",
        b"putbody: ",
        b"timeout ",
        b"unexpected close",
        b"makeconnection ",
        b"low on space",
        b"rejecting ",
        b"split: ",
        b"probable ",
    ];
    if CHATTER.iter().any(|start| rest.starts_with(start)) {
        return Line::Nothing;
    }
    // A bounce: `QID2: DSN: User unknown`.
    if cut_at(rest, b": ").is_some_and(|(head, _)| is_queue_id(head)) {
        return Line::Nothing;
    }
    if contains(rest, b"... ") || rest.ends_with(b" parameter unrecognized") {
        return Line::Nothing;
    }
    Line::Unknown
}

/// A client's command. Octets that do not print were escaped; the argument comes back as it was sent.
fn command(rest: &[u8]) -> Line<'_> {
    let sent = unescaped(rest);
    let start = sent.iter().position(|&byte| !is_space(byte)).unwrap_or(sent.len());
    let length = sent.iter().skip(start).position(|&byte| is_space(byte));
    let end = length.map_or(sent.len(), |length| start + length);
    let verb = sent.get(start..end).unwrap_or_default();
    const VERBS: [(&[u8], Verb); 9] = [
        (b"EHLO", Verb::Ehlo),
        (b"HELO", Verb::Helo),
        (b"MAIL", Verb::Mail),
        (b"RCPT", Verb::Rcpt),
        (b"DATA", Verb::Data),
        (b"STARTTLS", Verb::StartTls),
        (b"AUTH", Verb::Auth),
        (b"RSET", Verb::Rset),
        (b"QUIT", Verb::Quit),
    ];
    let known = VERBS.iter().find(|(known, _)| known.eq_ignore_ascii_case(verb));
    let verb = known.map_or(Verb::Other, |&(_, verb)| verb);
    let spaces = sent.iter().skip(end).take_while(|&&byte| is_space(byte)).count();
    let first = end + spaces;
    let last = sent.iter().rposition(|&byte| !is_space(byte)).map_or(first, |at| at + 1).max(first);
    let argument = match sent {
        Cow::Borrowed(sent) => Cow::Borrowed(sent.get(first..last).unwrap_or_default()),
        Cow::Owned(sent) => Cow::Owned(sent.get(first..last).unwrap_or_default().to_vec()),
    };
    Line::Command(verb, argument)
}

/// C's `isspace`, by which Sendmail cuts words.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Takes back what Sendmail's log does to octets that do not print: `\\`, `\t`, `\n`, `\r`, `\ooo`.
fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut sent = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            sent.push(byte);
            continue;
        }
        let (octet, skip) = match after {
            [b'\\', ..] => (b'\\', 1),
            [b't', ..] => (b'\t', 1),
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            &[a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                ((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'), 3)
            }
            _ => (byte, 0),
        };
        sent.push(octet);
        rest = after.get(skip..).unwrap_or_default();
    }
    Cow::Owned(sent)
}

fn reply(rest: &[u8]) -> Line<'_> {
    if rest.ends_with(b" (hold)") {
        return Line::HeldBack;
    }
    let rest = rest.strip_suffix(b" (held)").unwrap_or(rest);
    let Some((code, rest)) = rest.split_at_checked(3) else { return Line::Unknown };
    if !code.iter().all(u8::is_ascii_digit) {
        return Line::Unknown;
    }
    match rest {
        [] => Line::Reply { code, last: true, text: rest },
        [b' ', text @ ..] => Line::Reply { code, last: true, text },
        [b'-', text @ ..] => Line::Reply { code, last: false, text },
        _ => Line::Unknown,
    }
}

/// `ip=[A],rdns=<N>,resolve=<R>,helo=<H>`: only H is the client's, and it goes to the end of the line.
fn said(rest: &[u8]) -> Line<'_> {
    let found = (|| {
        let (ip, rest) = cut_at(rest.strip_prefix(b"ip=[")?, b"],rdns=<")?;
        let (rdns, rest) = cut_at(rest, b">,resolve=<")?;
        let (resolve, rest) = cut_at(rest, b">,helo=<")?;
        let name = rest.strip_suffix(b">")?;
        if !matches!(resolve, b"OK" | b"FAIL" | b"FORGED" | b"TEMP" | b"") || !is_host(rdns) {
            return None;
        }
        let rdns = (resolve == b"OK" && !rdns.starts_with(b"[")).then_some(rdns);
        Some(Line::Said { relay: Relay { ip: relay_ip(ip)?, rdns: Some(rdns) }, name })
    })();
    found.unwrap_or(Line::Nothing)
}

/// `<S>, size=N, class=N, nrcpts=N(, msgid=M)(, bodytype=B)(, proto=P)(, daemon=D), relay=R(, ..)`.
fn from(rest: &[u8]) -> Line<'_> {
    let Some((head, tail)) = cut_at_last(rest, b", relay=") else { return Line::Nothing };
    let Some((relay, after)) = relay(tail) else {
        // A user of this machine, or a name so long that the address was cut off.
        return Line::Nothing;
    };
    if !is_addition(after) {
        return Line::Nothing;
    }
    let (head, daemon) = match cut_at_last(head, b", daemon=") {
        Some((head, daemon)) if !daemon.contains(&b',') => (head, daemon),
        _ => (head, b"".as_slice()),
    };
    let (head, proto) = match cut_at_last(head, b", proto=") {
        Some((before, word)) if Proto::parse(word).is_some() => (before, Proto::parse(word)),
        _ => (head, None),
    };
    let mut whole = None;
    let mut agree = true;
    for at in memchr::memmem::find_iter(head, b", size=") {
        let Some(here) = head.get(at..).and_then(counters) else { continue };
        agree &= whole.is_none_or(|known| known == here);
        whole = Some(here);
    }
    let submission = daemon.starts_with(b"MSA");
    Line::From(From { relay, proto, submission, whole: whole.filter(|_| agree) })
}

/// What newer versions write behind the client: `, tls_verify=NO, auth=..`. A recipient whose address begins with
/// `from=` is complained about in a line like this one, but behind its quotes come other octets than these.
fn is_addition(rest: &[u8]) -> bool {
    let value = |byte: &u8| byte.is_ascii_alphanumeric() || b"=_-.+/:".contains(byte);
    rest.is_empty()
        || rest.strip_prefix(b", ").is_some_and(|rest| {
            rest.split(|&byte| byte == b',').all(|part| {
                let part = part.strip_prefix(b" ").unwrap_or(part);
                part.contains(&b'=') && part.iter().all(value)
            })
        })
}

/// `, size=N, class=N(, pri=N), nrcpts=N` and what follows: true if there are recipients and a message id. A
/// transaction that was broken off has no id; a message without one is given one by Sendmail.
fn counters(text: &[u8]) -> Option<bool> {
    let (_, rest) = number(text.strip_prefix(b", size=")?)?;
    let rest = rest.strip_prefix(b", class=")?;
    let (_, rest) = number(rest.strip_prefix(b"-").unwrap_or(rest))?;
    let rest = match rest.strip_prefix(b", pri=") {
        Some(rest) => number(rest)?.1,
        None => rest,
    };
    let (recipients, rest) = number(rest.strip_prefix(b", nrcpts=")?)?;
    if !rest.is_empty() && !rest.starts_with(b", ") {
        return None;
    }
    Some(recipients > 0 && rest.starts_with(b", msgid="))
}

/// `X(, ctladdr=Y), delay=T, ..`: what comes next tells if there was a delivery. X is the client's.
fn to(rest: &[u8]) -> Line<'_> {
    const NOT_REFUSED: [&[u8]; 4] = [b"queued", b"discarded", b"quarantine", b"aborted by sender"];
    let mut found = None;
    for at in memchr::memmem::find_iter(rest, b", delay=") {
        let Some((time, after)) = rest.get(at + 8..).and_then(|rest| cut_at(rest, b", ")) else {
            continue;
        };
        if !time.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'+')) {
            continue;
        }
        let here = if after.starts_with(b"xdelay=") || after.starts_with(b"mailer=") {
            Line::Delivered
        } else if let Some((_, stat)) =
            cut_at(after, b", stat=").filter(|_| after.starts_with(b"pri="))
        {
            if NOT_REFUSED.iter().any(|start| stat.starts_with(start)) {
                Line::Nothing
            } else {
                Line::Undelivered
            }
        } else {
            Line::Nothing
        };
        if found.replace(here).is_some() {
            return Line::Ambiguous("to");
        }
    }
    found.unwrap_or(Line::Nothing)
}

/// `RS, arg1=A(, arg2=B), relay=R, reject=T`, or `discard` or `quarantine=` in the place of `reject=`.
fn ruleset(rest: &[u8]) -> Line<'_> {
    // A recipient whose address begins with `ruleset=` has its quote before the first blank.
    let is_name = |name: &&[u8]| {
        name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let Some((name, rest)) = cut_at(rest, b", arg1=").filter(|(name, _)| is_name(name)) else {
        return Line::Nothing;
    };
    let scope = match name {
        b"check_relay" | b"tls_client" => Scope::Commands,
        b"check_mail" => Scope::At(Stage::Mail),
        b"check_rcpt" => Scope::At(Stage::Rcpt),
        b"check_data" => Scope::At(Stage::Data),
        // What is checked at delivery, in other commands, or of other servers.
        b"check_compat" | b"check_etrn" | b"check_vrfy" | b"check_expn" | b"tls_server"
        | b"tls_rcpt" | b"try_tls" | b"trust_auth" | b"srv_features" | b"authinfo"
        | b"tls_srv_features" | b"tls_clt_features" | b"queuegroup" | b"greet_pause" => {
            return Line::Nothing;
        }
        // At the end of the message: check_eoh, check_eom and the rulesets of headers, which have any name.
        _ => Scope::At(Stage::EndOfMessage),
    };
    let mut found: Option<Refused<'_>> = None;
    let mut seen = None;
    for at in memchr::memmem::find_iter(rest, b", relay=") {
        let Some((relay, after)) = rest.get(at + 8..).and_then(relay) else { continue };
        let Some(text) = after.strip_prefix(b", reject=") else {
            if after.starts_with(b", discard") || after.starts_with(b", quarantine=") {
                seen = Some(relay);
            }
            continue;
        };
        let Some(refusal) = Refusal::of(text) else { continue };
        let said = rest.get(..rest.len() - text.len()).unwrap_or_default();
        let scope = match scope {
            Scope::Commands if text.starts_with(b"421 ") => Scope::Banner,
            scope => scope,
        };
        let here = Refused { relay: Some(relay), refusal, scope, reply: Reply { text, said } };
        found = match found {
            None => Some(here),
            Some(known) => {
                let agree = known.refusal == refusal
                    && known.scope == scope
                    && known.relay.is_some_and(|known| known.ip == relay.ip);
                if !agree {
                    return Line::Ambiguous("ruleset");
                }
                let relay = Relay { ip: relay.ip, rdns: None };
                Some(Refused { relay: Some(relay), reply: Reply::default(), ..known })
            }
        };
    }
    match (found, seen) {
        (Some(_), Some(_)) => Line::Ambiguous("ruleset"),
        (Some(refused), None) => Line::Refused(refused),
        (None, _) => Line::Nothing,
    }
}

/// What a milter decided: `data, reject=T`, `to=<A>, reject=T`, `helo=H, reject=T`, `connect: host=H, addr=A, ..`.
fn milter(rest: &[u8]) -> Line<'_> {
    if let Some(rest) = rest.strip_prefix(b"connect: host=") {
        let found = (|| {
            let (_, rest) = cut_at_last(rest, b", addr=")?;
            let (ip, what) = cut_at(rest, b", ")?;
            let relay = Some(Relay { ip: relay_ip(ip)?, rdns: None });
            let (refusal, scope) = match what {
                b"rejecting commands" => (Refusal::Hard, Scope::Banner),
                b"temp failing commands" => (Refusal::Soft, Scope::Commands),
                _ if what.starts_with(b"shutdown") => (Refusal::Soft, Scope::Banner),
                _ if what.starts_with(b"temp failing commands=") => {
                    (Refusal::Soft, Scope::Commands)
                }
                _ if what.starts_with(b"reject=") => (Refusal::Hard, Scope::Banner),
                _ => return None,
            };
            Some(Line::Refused(Refused { relay, refusal, scope, reply: Reply::default() }))
        })();
        return found.unwrap_or(Line::Nothing);
    }
    if let Some(rest) = rest.strip_prefix(b"helo=") {
        // A name that Sendmail takes has no comma.
        let Some((name, words)) = cut_at(rest, b", reject=") else { return Line::Nothing };
        let refusal = Refusal::of(words).unwrap_or(Refusal::Hard);
        return Line::BadGreeting { relay: None, name: Some(unescaped(name)), refusal, words };
    }
    const STAGES: [(&[u8], Stage); 3] =
        [(b"from=", Stage::Mail), (b"to=", Stage::Rcpt), (b"cmd=data", Stage::Data)];
    let stage = STAGES.iter().find(|(start, _)| rest.starts_with(start));
    let stage = stage.map_or(Stage::EndOfMessage, |&(_, stage)| stage);
    let mut found: Option<Refused<'_>> = None;
    for at in memchr::memmem::find_iter(rest, b", reject=") {
        let Some(text) = rest.get(at + 9..) else { continue };
        let Some(refusal) = Refusal::of(text) else { continue };
        let said = rest.get(..at).unwrap_or_default();
        let here =
            Refused { relay: None, refusal, scope: Scope::At(stage), reply: Reply { text, said } };
        found = match found {
            None => Some(here),
            Some(known) if known.refusal != refusal => return Line::Ambiguous("milter"),
            Some(known) => Some(Refused { reply: Reply::default(), ..known }),
        };
    }
    found.map_or(Line::Nothing, Line::Refused)
}

/// `X) from RELAY`: X goes to the last place that leaves a whole RELAY. Sendmail has cut it at the first blank; a name
/// that it would have taken was therefore longer.
fn invalid_name(rest: &[u8]) -> Line<'_> {
    let Some((name, tail)) = cut_at_last(rest, b") from ") else { return Line::Nothing };
    let Some((relay, b"")) = relay(tail) else { return Line::Nothing };
    let taken = |byte: &u8| byte.is_ascii_alphanumeric() || b"[].-_#:".contains(byte);
    let shown = name != b"too long" && !name.is_empty() && !name.iter().all(taken);
    Line::BadGreeting {
        relay: Some(relay),
        name: shown.then(|| unescaped(name)),
        refusal: Refusal::Hard,
        words: b"501 5.0.0 Invalid domain name",
    }
}

/// `HOST: RELAY didn't use HELO protocol`.
fn warning(rest: &[u8]) -> Line<'_> {
    let found = (|| {
        let (_, rest) = cut_at(rest, b": ")?;
        let (relay, b"") = relay(rest.strip_suffix(b" didn't use HELO protocol")?)? else {
            return None;
        };
        Some(Line::NoGreeting(relay))
    })();
    found.unwrap_or(Line::Nothing)
}

/// `RELAY to DAEMON after COMMAND`: logged of transactions, and of everything at levels that show the dialog.
fn lost(rest: &[u8]) -> Line<'_> {
    match relay(rest) {
        Some((relay, rest)) if rest.starts_with(b" to ") => Line::Lost { relay, in_mail: true },
        _ => Line::Nothing,
    }
}

/// `RELAY during server cmd read`.
fn timeout(rest: &[u8]) -> Line<'_> {
    match relay(rest) {
        Some((relay, b" during server cmd read")) => Line::Lost { relay, in_mail: false },
        _ => Line::Nothing,
    }
}

/// `commands from NAME [IP] due to pre-greeting traffic`, `server EHLO from NAME [IP] due to traffic before response`.
fn rejecting(rest: &[u8]) -> Line<'_> {
    let refused = |relay, scope| {
        let refusal = Refusal::Hard;
        Line::Refused(Refused { relay: Some(relay), refusal, scope, reply: Reply::default() })
    };
    if let Some(rest) = rest.strip_prefix(b"commands from ") {
        return match relay(rest) {
            Some((relay, rest)) if rest.starts_with(b" due to pre-greeting traffic") => {
                refused(relay, Scope::Banner)
            }
            _ => Line::Nothing,
        };
    }
    if let Some((b"server EHLO" | b"server HELO", rest)) = cut_at(rest, b" from ")
        && let Some((relay, b" due to traffic before response")) = relay(rest)
    {
        return refused(relay, Scope::At(Stage::Ehlo));
    }
    Line::Nothing
}

/// `N) exceeds maximum (M)`.
fn too_large(rest: &[u8]) -> Line<'_> {
    if !contains(rest, b") exceeds maximum (") {
        return Line::Nothing;
    }
    Line::Refused(Refused {
        relay: None,
        refusal: Refusal::Hard,
        scope: Scope::At(Stage::EndOfMessage),
        reply: Reply { text: b"552 5.2.3 Message exceeds maximum fixed size", said: b"" },
    })
}

/// A text that is a RELAY and nothing else.
fn whole_relay<'a>(text: &'a [u8], line: fn(Relay<'a>) -> Line<'a>) -> Line<'a> {
    match relay(text) {
        Some((relay, b"")) => line(relay),
        _ => Line::Nothing,
    }
}

/// RELAY and what follows it.
fn relay(text: &[u8]) -> Option<(Relay<'_>, &[u8])> {
    let (name, rest) = match text.strip_prefix(b"[") {
        Some(inside) => {
            // `[ip] [ip]`: the name of a client without one is its address.
            let (first, rest) = cut(inside, b']')?;
            match rest.strip_prefix(b" [") {
                Some(again) => (None, again),
                None => (None, inside.get(..first.len() + 1 + rest.len())?),
            }
        }
        None => {
            let (name, rest) = cut_at(text, b" [")?;
            let host = name.rsplit(|&byte| byte == b'@').next()?;
            let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b',';
            if !name.iter().all(plain) || !is_host(host) {
                return None;
            }
            (Some(host), rest)
        }
    };
    let (inside, rest) = cut(rest, b']')?;
    let ip = relay_ip(inside)?;
    match rest.strip_prefix(b" (may be forged)") {
        Some(rest) => Some((Relay { ip, rdns: Some(None) }, rest)),
        None => Some((Relay { ip, rdns: Some(name) }, rest)),
    }
}

/// An address as Sendmail writes it: `192.0.2.7`, `IPv6:2001:db8:0:0:0:0:0:7`.
fn relay_ip(text: &[u8]) -> Option<IpAddr> {
    match text.split_at_checked(5) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(b"IPv6:") => address(rest),
        _ => address(text),
    }
}

/// A host's name or an address in brackets: nothing that could end a field.
fn is_host(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Line<'_> {
        read(text.as_bytes()).1
    }

    fn shown(relay: Option<Relay<'_>>) -> String {
        let Some(relay) = relay else { return "-".to_owned() };
        let name = match relay.rdns {
            None => "?".to_owned(),
            Some(None) => "-".to_owned(),
            Some(Some(name)) => String::from_utf8_lossy(name).into_owned(),
        };
        format!("{} {name}", relay.ip)
    }

    #[test]
    fn clients_are_read_to_their_end() {
        for (text, expected, rest) in [
            ("a.example [192.0.2.7]", "192.0.2.7 a.example", ""),
            ("a.example [192.0.2.7] (may be forged)", "192.0.2.7 -", ""),
            ("[192.0.2.7]", "192.0.2.7 -", ""),
            ("[192.0.2.7] [192.0.2.7]", "192.0.2.7 -", ""),
            ("[192.0.2.7] (may be forged), x", "192.0.2.7 -", ", x"),
            ("me@a.example [192.0.2.7], x", "192.0.2.7 a.example", ", x"),
            ("localhost [IPv6:0:0:0:0:0:0:0:1]", "::1 localhost", ""),
            ("a.example [IPv6:2001:db8:0:0:0:0:0:7]: x", "2001:db8::7 a.example", ": x"),
        ] {
            let (relay, after) = relay(text.as_bytes()).expect(text);
            assert_eq!((shown(Some(relay)).as_str(), after), (expected, rest.as_bytes()), "{text}");
        }
        for text in [
            "",
            "root@localhost",
            "a.example.",
            "a, relay=b [192.0.2.7]",
            "a [b] [192.0.2.7]",
            "[192.0.2.7",
        ] {
            assert_eq!(relay(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn messages_are_read_from_both_ends() {
        const TAIL: &str = "proto=ESMTPS, daemon=MTA, relay=a.example [192.0.2.7]";
        for (head, whole) in [
            ("<s@t>, size=1, class=0, nrcpts=1, msgid=<m>", Some(true)),
            ("<s@t>, size=1, class=0, nrcpts=0", Some(false)),
            ("<s@t>, size=1, class=0, nrcpts=1", Some(false)),
            ("<>, size=1, class=-60, pri=3, nrcpts=2, msgid=<m>, bodytype=8BITMIME", Some(true)),
            // The sender and the message's id are the client's.
            ("<\", size=1, class=0, nrcpts=1, msgid=\"@t>, size=1, class=0, nrcpts=0", None),
            ("<s@t>, size=1, class=0, nrcpts=1, msgid=<, size=1, class=0, nrcpts=0, x>", None),
            (
                "<s@t>, size=1, class=0, nrcpts=1, msgid=<m, proto=ESMTPA, daemon=MSA, relay=b [192.0.2.9]>",
                Some(true),
            ),
            ("nothing", None),
        ] {
            let text = format!("6AKEEa37000291: from={head}, {TAIL}");
            let Line::From(from) = one(&text) else { panic!("no message: {text}") };
            assert_eq!(shown(Some(from.relay)), "192.0.2.7 a.example", "{text}");
            assert_eq!(from.proto.map(Proto::word), Some("ESMTPS"), "{text}");
            assert_eq!((from.submission, from.whole), (false, whole), "{text}");
        }
        let user =
            "6AKEEa37000291: from=root, size=1, class=0, nrcpts=1, msgid=<m>, relay=root@localhost";
        assert_eq!(one(user), Line::Nothing);
        // Complaints about recipients.
        for text in [
            "6AKEEa37000291: ehlo-log,ip=[192.0.2.9],rdns=<a>,resolve=<OK>,helo=\"<b.example>\"@l... User unknown",
            "6AKEEa37000291: from=\"<a>, size=1, class=0, nrcpts=1, msgid=<m>, proto=ESMTP, relay=b [192.0.2.9]\"@l... User unknown",
            "6AKEEa37000291: from=\"<a>, size=1, class=0, nrcpts=1, msgid=<m>, relay=b [192.0.2.9], tls_verify=OK\"@l... User unknown",
        ] {
            let Line::Refused(refused) = one(text) else { panic!("no complaint: {text}") };
            assert_eq!((refused.relay, refused.scope), (None, Scope::At(Stage::Rcpt)), "{text}");
        }
        let newer = "6AKEEa37000291: from=<a>, size=1, class=0, nrcpts=1, msgid=<m>, proto=ESMTPSA, daemon=MSA-v4, relay=b [192.0.2.9], tls_verify=NO, auth=PLAIN";
        let Line::From(from) = one(newer) else { panic!("no message") };
        assert!(from.submission && from.proto.is_some_and(|proto| proto.auth));
    }

    #[test]
    fn refusals_are_believed_if_all_readings_agree() {
        const QUEUE: &str = "6AKEEa37000291: ";
        for (text, expected) in [
            (
                "ruleset=check_rcpt, arg1=<r@e>, relay=a.example [192.0.2.7], reject=550 5.7.1 <r@e>... Relaying denied",
                "192.0.2.7 a.example Hard At(Rcpt)",
            ),
            (
                "ruleset=check_relay, arg1=a.example, arg2=127.0.0.2, relay=a.example [192.0.2.7] (may be forged), reject=550 5.7.1 x",
                "192.0.2.7 - Hard Commands",
            ),
            (
                "ruleset=check_relay, arg1=[192.0.2.7], arg2=192.0.2.7, relay=[192.0.2.7], reject=421 4.3.2 x",
                "192.0.2.7 - Soft Banner",
            ),
            (
                "ruleset=CheckSubject, arg1= x, relay=[192.0.2.7], reject=451 4.7.1 later",
                "192.0.2.7 - Soft At(EndOfMessage)",
            ),
            // The client repeats itself: no other client, no name and no words of its choice.
            (
                "ruleset=check_rcpt, arg1=<\"x, relay=good.example [192.0.2.7], reject=550 x\"@e>, relay=a.example [192.0.2.7], reject=550 5.7.1 no",
                "192.0.2.7 ? Hard At(Rcpt)",
            ),
            (
                "ruleset=check_mail, arg1=<\"x, relay=b.example [192.0.2.9], reject=550 x\"@e>, relay=a.example [192.0.2.7], reject=550 5.7.1 no",
                "ruleset",
            ),
            (
                "ruleset=check_mail, arg1=<\"x, relay=a.example [192.0.2.7], reject=450 x\"@e>, relay=a.example [192.0.2.7], reject=550 5.7.1 no",
                "ruleset",
            ),
            (
                "ruleset=\"x, arg1=, relay=b.example [192.0.2.9], reject=550 5.7.1 \"@l... User unknown",
                "- Hard At(Rcpt)",
            ),
            ("ruleset=tls_server, arg1=SOFTWARE, relay=b.example, reject=403 4.7.0 x", "nothing"),
            ("ruleset=check_rcpt, arg1=<r@e>, relay=[192.0.2.7], discard", "nothing"),
            ("Milter: data, reject=550 5.7.1 Blocked", "- Hard At(EndOfMessage)"),
            ("Milter: to=<r@e>, reject=451 4.7.1 Greylisting in action", "- Soft At(Rcpt)"),
            ("Milter: to=<\"x, reject=450 y\"@e>, reject=550 5.7.1 no", "milter"),
            ("Milter: from=<r@e>, discard", "nothing"),
            (
                "Milter: connect: host=a.example, addr=192.0.2.7, rejecting commands",
                "192.0.2.7 ? Hard Banner",
            ),
            ("<r@e>... User unknown", "- Hard At(Rcpt)"),
            ("Too many recipients", "- Soft At(Rcpt)"),
            ("message size (2000) exceeds maximum (1000)", "- Hard At(EndOfMessage)"),
            (
                "rejecting commands from a.example [192.0.2.7] due to pre-greeting traffic after 0 seconds",
                "192.0.2.7 a.example Hard Banner",
            ),
            (
                "rejecting server EHLO from [192.0.2.7] [192.0.2.7] due to traffic before response",
                "192.0.2.7 - Hard At(Ehlo)",
            ),
        ] {
            let whole = format!("{QUEUE}{text}");
            let found = match one(&whole) {
                Line::Refused(Refused { relay, refusal, scope, .. }) => {
                    format!("{} {refusal:?} {scope:?}", shown(relay))
                }
                Line::Ambiguous(why) => why.to_owned(),
                Line::Nothing => "nothing".to_owned(),
                other => format!("{other:?}"),
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn commands_come_back_as_they_were_sent() {
        for (text, verb, argument) in [
            ("EHLO a.example", Verb::Ehlo, b"a.example".as_slice()),
            ("ehlo   a.example  ", Verb::Ehlo, b"a.example"),
            ("  HELO\\ta.example", Verb::Helo, b"a.example"),
            ("EHLO a\\351\\\\t\\000b c", Verb::Ehlo, b"a\xe9\\t\0b c"),
            ("EHLO a.example\\r--- 250 x", Verb::Ehlo, b"a.example\r--- 250 x"),
            ("EHLO", Verb::Ehlo, b""),
            ("MAIL FROM:<> SIZE=1", Verb::Mail, b"FROM:<> SIZE=1"),
            ("\\026\\003\\001", Verb::Other, b""),
            ("EHLOx y", Verb::Other, b"y"),
            ("", Verb::Other, b""),
            ("\\9 \\", Verb::Other, b"\\"),
        ] {
            let whole = format!("6AKEEa37000291: <-- {text}");
            let Line::Command(found, said) = one(&whole) else { panic!("no command: {text}") };
            assert_eq!((found, said.as_ref()), (verb, argument), "{text}");
        }
    }

    #[test]
    fn names_and_other_lines() {
        for (text, expected) in [
            (
                "ehlo-log,ip=[192.0.2.7],rdns=<a.example>,resolve=<OK>,helo=<b.example>",
                "192.0.2.7 a.example b.example",
            ),
            (
                "ehlo-log,ip=[IPv6:2001:db8:0:0:0:0:0:7],rdns=<[IPv6:2001:db8:0:0:0:0:0:7]>,resolve=<FAIL>,helo=<[IPv6:2001:db8::7]>",
                "2001:db8::7 - [IPv6:2001:db8::7]",
            ),
            (
                "ehlo-log,ip=[192.0.2.7],rdns=<a.example>,resolve=<FORGED>,helo=<x>,helo=<y>",
                "192.0.2.7 - x>,helo=<y",
            ),
        ] {
            let whole = format!("6AKEEa37000291: {text}");
            let Line::Said { relay, name } = one(&whole) else { panic!("no name: {text}") };
            let found = format!("{} {}", shown(Some(relay)), String::from_utf8_lossy(name));
            assert_eq!(found, expected, "{text}");
        }
        for (text, name) in [
            ("a@b) from a.example [192.0.2.7]", Some(b"a@b".as_slice())),
            ("x) from b [192.0.2.9]) from a.example [192.0.2.7]", Some(b"x) from b [192.0.2.9]")),
            ("caf\\351.example) from a.example [192.0.2.7]", Some(b"caf\xe9.example")),
            // More was said than is shown.
            ("b.example) from a.example [192.0.2.7]", None),
            ("too long) from a.example [192.0.2.7]", None),
        ] {
            let whole = format!("6AKEEa37000291: invalid domain name ({text}");
            let Line::BadGreeting { relay, name: found, .. } = one(&whole) else {
                panic!("no greeting: {text}")
            };
            assert_eq!(shown(relay), "192.0.2.7 a.example", "{text}");
            assert_eq!(found.as_deref(), name, "{text}");
        }
        let twice = "6AKEEa37000291: to=\"x, delay=00:00:00, pri=1, stat=y\"@l, delay=00:00:01, xdelay=00:00:01, mailer=local, stat=Sent";
        assert_eq!(one(twice), Line::Ambiguous("to"));
        for text in [
            "6AKEEa37000291: Milter: no active filter",
            "6AKEEa37000291: Authentication-Warning: mx: root set sender to a using -f",
            "6AKEEa37000291: 6AKEEa38000291: DSN: User unknown",
            "6AKEEa37000291: STARTTLS=client, relay=b.example., version=TLSv1.3",
            "STARTTLS=server, cert-subject=/CN=x, relay=b [192.0.2.9], version=TLSv1.3",
            "STARTTLS=client, relay=b.example., version=TLSv1.3, verify=OK",
            "poststats: /var/lib/sendmail/sendmail.st: No such file or directory",
        ] {
            assert_eq!(one(text), Line::Nothing, "{text}");
        }
        assert_eq!(one("6AKEEa37000291[2]: --- 250 ok"), Line::Split(false));
        assert_eq!(one("6AKEEa37000291[1]: <-- EHLO x ..."), Line::Split(true));
        assert_eq!(one("nonsense"), Line::Unknown);
    }
}

//! The grammar of Exim's main log: what one line says.
//!
//! In goes the text after stamp and pid; out comes a `Line` that borrows from it. Read in our own runs of
//! Exim 4.96 (three configurations) and in public samples back to 4.6x.
//!
//! A client is written `RDNS (HELO) [IP]:PORT`, each part but the address optional. Exim neither escapes
//! nor balances the parentheses, so with `helo_accept_junk_hosts` a HELO can imitate the rest of the line:
//! `H=(evil) [6.6.6.6]:25 P=esmtp (x) [192.0.2.7]`. An address behind a parenthesis is therefore believed
//! only if the line holds exactly one `) [IP]`. Where a client's own text stands before the host (`"CMD" H=`,
//! `MAIL FROM:<S> H=`), the line is believed only if that mark, too, occurs once.
//!
//! Without a verified reverse name Exim always shows the name in parentheses if there is one. With one it
//! shows none if the client said that name, or its own address, or nothing: `Host::said` tells these apart
//! as far as the line does.

use std::net::IpAddr;

use crate::bytes::{address, bracketed, contains, cut, cut_at, find_all, number, up_to};
use crate::heard::Proto;
use crate::ours::Reply;
use crate::session::{Refusal, Stage};

/// Exim's log buffer: a line this long may have lost its end.
const LINE_MAX: usize = 8000;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A message was taken, from this sender: `<=`.
    Taken(Host<'a>, Proto, &'a [u8]),
    /// Something was refused.
    Refused(Refused<'a>),
    /// An EHLO or HELO was refused for its syntax; the argument as Exim prints it.
    RefusedGreeting(Host<'a>, &'a [u8]),
    /// MAIL without any greeting.
    NoGreeting(Host<'a>),
    /// The line shows a client and decides nothing.
    Shown(Host<'a>),
    /// The line that the manual's `logwrite` asks for: the name in force at MAIL, exactly.
    Logged(Host<'a>),
    /// The client went away.
    Lost(Host<'a>, Lost),
    /// TLS broke down, or Exim closed the connection: at most a `Lost` follows.
    Broken(Host<'a>),
    /// The connection is over.
    Ended(Host<'a>),
    /// Said about a connection that is over already.
    NoMail(Host<'a>),
    /// Understood, of no use here: delivery, queue, daemon.
    Nothing,
    /// Two readings are possible.
    Doubtful(&'static str),
    /// No known shape.
    Unknown,
}

/// A client as Exim writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host<'a> {
    pub(super) ip: IpAddr,
    /// With `+incoming_port`, and in the `ehlo-log` line.
    pub(super) port: Option<u32>,
    /// The verified reverse name.
    pub(super) rdns: Option<&'a [u8]>,
    pub(super) said: Said<'a>,
}

/// What the line shows of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// This.
    Name(&'a [u8]),
    /// None was accepted: there is no reverse name it could hide behind.
    Nothing,
    /// The reverse name, or the client's address, or nothing.
    MaybeReverse,
}

/// When the client went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// In the middle of a message: recipients were taken.
    InMessage,
    /// A sender had been given; whether recipients were taken the line does not say.
    InEnvelope,
    /// It said nothing more; perhaps in the middle of a message's commands.
    Silent,
    /// Between messages.
    BetweenCommands,
}

/// A refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused<'a> {
    pub(super) host: Host<'a>,
    pub(super) stage: Stage,
    pub(super) refusal: Refusal,
    /// After a login.
    pub(super) login: bool,
    /// Whose message it was.
    pub(super) sender: Option<&'a [u8]>,
    /// What Exim's administrator says to the client.
    pub(super) reply: Reply<'a>,
}

/// Reads the text of one line.
pub(super) fn read(text: &[u8]) -> Line<'_> {
    if text.len() > LINE_MAX {
        return Line::Doubtful("cut-record");
    }
    let (has_id, text) = match message_id(text) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if let Some(rest) = text.strip_prefix(b"H=") {
        return about_host(rest, has_id);
    }
    if has_id {
        return match text.strip_prefix(b"<= ") {
            Some(rest) => taken(rest),
            None => about_message(text),
        };
    }
    if let Some(rest) = text.strip_prefix(b"ehlo-log ip=") {
        return logged(rest).map_or(Line::Unknown, Line::Logged);
    }
    if let Some(rest) = text.strip_prefix(b"rejected ") {
        return rejected(rest);
    }
    if let Some(rest) = text.strip_prefix(b"SMTP protocol synchronization error ") {
        return synchronization(rest);
    }
    // Both begin with the client's own text; other lines of the session say who it is.
    if text.starts_with(b"SMTP protocol error in \"")
        || text.starts_with(b"SMTP syntax error in \"")
    {
        return Line::Nothing;
    }
    about_connection(text)
}

/// Strips a queue id: 6-6-2 until 4.96, 6-11-4 since.
fn message_id(text: &[u8]) -> Option<&[u8]> {
    const SHAPES: [(usize, usize, usize); 2] = [(6, 13, 16), (6, 18, 23)];
    SHAPES.iter().find_map(|&(first, second, end)| {
        let (id, rest) = text.split_at_checked(end)?;
        let fits = id.iter().enumerate().all(|(at, byte)| {
            if at == first || at == second { *byte == b'-' } else { byte.is_ascii_alphanumeric() }
        });
        rest.strip_prefix(b" ").filter(|_| fits)
    })
}

/// A host part and what follows it.
fn host(text: &[u8]) -> Result<(Host<'_>, &[u8]), &'static str> {
    const NO_HOST: &str = "no-host";
    let (rdns, text) = match text.first() {
        Some(b'[' | b'(') => (None, text),
        _ => {
            let (rdns, rest) = cut(text, b' ').ok_or(NO_HOST)?;
            let plain =
                rdns.iter().all(|byte| byte.is_ascii_graphic() && !b"()[]<>\"".contains(byte));
            if rdns.is_empty() || !plain {
                return Err(NO_HOST);
            }
            (Some(rdns), rest)
        }
    };
    if let Some((ip, port, rest)) = bracketed(text) {
        let said = if rdns.is_some() { Said::MaybeReverse } else { Said::Nothing };
        return Ok((Host { ip, port, rdns, said }, rest));
    }
    let inside = text.strip_prefix(b"(").ok_or(NO_HOST)?;
    let mut found = None;
    for at in find_all(inside, b") [") {
        let Some((ip, port, rest)) = inside.get(at + 2..).and_then(bracketed) else { continue };
        if found.is_some() {
            return Err("two-hosts");
        }
        found = Some((inside.get(..at).unwrap_or_default(), ip, port, rest));
    }
    let (name, ip, port, rest) = found.ok_or(NO_HOST)?;
    if !matches!(rest.first(), None | Some(b' ' | b':' | b',')) {
        return Err(NO_HOST);
    }
    Ok((Host { ip, port, rdns, said: Said::Name(name) }, rest))
}

/// Reads a host and hands it on; what cannot be read is doubtful or unknown.
fn with_host<'a>(text: &'a [u8], then: impl FnOnce(Host<'a>, &'a [u8]) -> Line<'a>) -> Line<'a> {
    match host(text) {
        Ok((host, rest)) => then(host, rest),
        Err("two-hosts") => Line::Doubtful("two-hosts"),
        // A caller on a pipe has a user name and no address.
        Err(_) => Line::Nothing,
    }
}

/// `<= SENDER H=HOST ... P=esmtps ...`.
fn taken(rest: &[u8]) -> Line<'_> {
    let Some((sender, rest)) = up_to(rest, b' ') else {
        return Line::Unknown;
    };
    let Some(rest) = rest.strip_prefix(b"H=") else {
        return Line::Nothing;
    };
    with_host(rest, |host, rest| {
        let Some((_, rest)) = cut_at(rest, b" P=") else {
            return Line::Nothing;
        };
        let word = rest.split(|&byte| byte == b' ').next().unwrap_or_default();
        let proto = match word {
            b"asmtp" => Some(Proto { auth: true, ..Proto::default() }),
            b"asmtps" => Some(Proto { auth: true, tls: true, ..Proto::default() }),
            word => Proto::parse(word),
        };
        proto.map_or(Line::Nothing, |proto| Line::Taken(host, proto, sender))
    })
}

/// Lines with a queue id and no `H=`: delivery, completion, and losses in the middle of a message.
fn about_message(text: &[u8]) -> Line<'_> {
    if let Some(rest) = text.strip_prefix(b"SMTP connection from ")
        && contains(rest, b" lost while reading message data")
    {
        return with_host(rest, |host, _| Line::Lost(host, Lost::InMessage));
    }
    if let Some(rest) =
        text.strip_prefix(b"SMTP data timeout (message abandoned) on connection from ")
    {
        return with_host(rest, |host, _| Line::Lost(host, Lost::InMessage));
    }
    if let Some(rest) = text.strip_prefix(b"TLS error on connection from ") {
        return with_host(rest, |host, _| Line::Broken(host));
    }
    Line::Nothing
}

/// `H=HOST X=.. F=<S> A=.. rejected RCPT <R>: TEXT` and everything else that begins with the host.
fn about_host(line: &[u8], has_id: bool) -> Line<'_> {
    with_host(line, |host, rest| {
        // `H=name [ip]: SMTP error from remote`, `H=name [ip] Connection refused`: we are the client.
        if rest.starts_with(b":") {
            return Line::Nothing;
        }
        let Some(fields) = fields(rest) else {
            return Line::Unknown;
        };
        let text = fields.rest;
        let verdict =
            text.strip_prefix(b"rejected ").map(|what| (Refusal::Hard, what)).or_else(|| {
                text.strip_prefix(b"temporarily rejected ").map(|what| (Refusal::Soft, what))
            });
        if let Some((refusal, what)) = verdict {
            let reply = own_text(line, what);
            return refused(host, refusal, what, reply, &fields);
        }
        const BROKEN: [&[u8]; 2] = [
            b"incomplete transaction (connection lost) from <",
            b"incomplete transaction (sync failure) from <",
        ];
        if let Some(sender) = BROKEN.iter().find_map(|start| text.strip_prefix(*start)) {
            // The recipients that were taken follow the sender.
            let taken =
                address_of_sender(sender).is_some_and(|(_, rest)| rest.starts_with(b" for "));
            return Line::Lost(host, if taken { Lost::InMessage } else { Lost::InEnvelope });
        }
        const SHOWS: [&[u8]; 5] = [
            b"Warning: ",
            b"sender verify ",
            b"incomplete transaction ",
            b"dropped ",
            b"discarded ",
        ];
        if SHOWS.iter().any(|start| text.starts_with(start)) {
            return Line::Shown(host);
        }
        if has_id { Line::Nothing } else { Line::Unknown }
    })
}

/// What stands between host and verdict.
struct Fields<'a> {
    login: bool,
    sender: Option<&'a [u8]>,
    rest: &'a [u8],
}

/// Steps over `I=`, `U=`, `X=`, `CV=`, `SNI=`, `DN="`, `PRX=`, `Ci=`, `P=`, `L-`, `F=<S>` and `A=`.
fn fields(mut text: &[u8]) -> Option<Fields<'_>> {
    let mut login = false;
    let mut sender = None;
    while let Some(field) = text.strip_prefix(b" ") {
        if let Some(after) = field.strip_prefix(b"F=<") {
            let (address, rest) = address_of_sender(after)?;
            (sender, text) = (Some(address), rest);
            continue;
        }
        if let Some(name) = field.strip_prefix(b"DN=\"") {
            text = cut(name, b'"')?.1;
            continue;
        }
        let word = field.split(|&byte| byte == b' ').next().unwrap_or_default();
        let key = word.split(|&byte| byte == b'=').next().unwrap_or_default();
        let is_field = key.len() < word.len()
            && (key == b"Ci" || (key.len() <= 4 && key.iter().all(u8::is_ascii_uppercase)));
        let is_mark = matches!(
            word,
            b"L" | b"L." | b"L-" | b"L.-" | b"L*" | b"TFO" | b"TFO*" | b"K" | b"PRDR"
        );
        if !is_field && !is_mark {
            return Some(Fields { login, sender, rest: field });
        }
        login |= key == b"A";
        text = field.get(word.len()..)?;
    }
    None
}

/// The sender and what follows its `>`.
fn address_of_sender(text: &[u8]) -> Option<(&[u8], &[u8])> {
    up_to(text, b'>')
}

/// `RCPT <R>: TEXT`, `EHLO or HELO NAME: TEXT`, `after DATA: TEXT`, `connection in "connect" ACL: TEXT`.
fn refused<'a>(
    mut host: Host<'a>,
    refusal: Refusal,
    what: &'a [u8],
    reply: Reply<'a>,
    fields: &Fields<'a>,
) -> Line<'a> {
    let word = what.split(|&byte| matches!(byte, b' ' | b':')).next().unwrap_or_default();
    let mut stage = match word {
        b"connection" => Stage::Connect,
        b"after" | b"by" | b"during" | b"DKIM" => Stage::EndOfMessage,
        _ => Stage::of(word).unwrap_or(Stage::Other),
    };
    if let Some(rest) = what.strip_prefix(b"EHLO or HELO ") {
        stage = Stage::Ehlo;
        host.said = match host.said {
            Said::MaybeReverse => greeting(host, rest),
            said => said,
        };
    } else if stage == Stage::Connect {
        host.said = Said::Nothing;
    }
    let (login, sender) = (fields.login, fields.sender);
    Line::Refused(Refused { host, stage, refusal, login, sender, reply })
}

/// The administrator's text, which follows `<RECIPIENT>: ` or `NAME: ` in `what`, the end of `line`; all
/// before it holds the client's words. A quoted recipient may imitate it.
fn own_text<'a>(line: &'a [u8], what: &'a [u8]) -> Reply<'a> {
    let text = match cut_at(what, b">: ") {
        Some((recipient, _)) if recipient.contains(&b'"') => None,
        Some((_, text)) => Some(text),
        None => cut_at(what, b": ").map(|(_, text)| text),
    };
    let before = text.and_then(|text| line.len().checked_sub(text.len()));
    let parts = before.and_then(|before| line.split_at_checked(before));
    parts.map_or_else(Reply::default, |(said, text)| Reply { text, said })
}

/// Which of the two hidden names a refused greeting repeats: the reverse name, or the address.
fn greeting<'a>(host: Host<'a>, rest: &'a [u8]) -> Said<'a> {
    if let Some(rdns) = host.rdns
        && let Some((name, after)) = rest.split_at_checked(rdns.len())
        && name.eq_ignore_ascii_case(rdns)
        && matches!(after.first(), None | Some(b':'))
    {
        return Said::Name(name);
    }
    if rest.starts_with(b"[")
        && let Some((literal, _)) = cut(rest, b']')
        && let Some(literal) = rest.get(..literal.len() + 1)
    {
        return Said::Name(literal);
    }
    Said::MaybeReverse
}

/// `EHLO from HOST: syntactically invalid ..`, `MAIL from HOST: no HELO/EHLO given`, `MAIL FROM:<S> H=HOST: ..`.
fn rejected(rest: &[u8]) -> Line<'_> {
    for verb in [&b"EHLO from "[..], b"HELO from "] {
        if let Some(rest) = rest.strip_prefix(verb) {
            return with_host(rest, |host, rest| {
                const WHY: &[u8] = b": syntactically invalid argument(s): ";
                let rest = after_interface(rest);
                rest.strip_prefix(WHY)
                    .map_or(Line::Shown(host), |argument| Line::RefusedGreeting(host, argument))
            });
        }
    }
    if let Some(rest) = rest.strip_prefix(b"MAIL from ") {
        return with_host(rest, |host, rest| {
            if after_interface(rest).starts_with(b": no HELO/EHLO given") {
                return Line::NoGreeting(host);
            }
            Line::Shown(host)
        });
    }
    if let Some(rest) = rest.strip_prefix(b"MAIL FROM:") {
        let marks = find_all(rest, b" H=").count();
        let Some((sender, rest)) = cut_at(rest, b" H=").filter(|_| marks == 1) else {
            return Line::Doubtful("two-hosts");
        };
        let sender = sender.strip_prefix(b"<").and_then(|sender| sender.strip_suffix(b">"));
        return with_host(rest, |host, _| {
            Line::Refused(Refused {
                host,
                stage: Stage::Mail,
                refusal: Refusal::Hard,
                login: false,
                sender,
                reply: Reply::default(),
            })
        });
    }
    Line::Unknown
}

/// Steps over ` I=[IP]:PORT`.
fn after_interface(text: &[u8]) -> &[u8] {
    text.strip_prefix(b" I=").and_then(bracketed).map_or(text, |(_, _, rest)| rest)
}

/// `(next input sent too soon: ..): rejected "CMD" H=HOST next input="TEXT"`: a client that does not wait. Exim
/// breaks the connection off.
fn synchronization(rest: &[u8]) -> Line<'_> {
    let marks = find_all(rest, b"\" H=").count();
    let ends = find_all(rest, b" next input=\"").count();
    let Some((before, rest)) = cut_at(rest, b"\" H=").filter(|_| marks == 1 && ends == 1) else {
        return Line::Doubtful("two-hosts");
    };
    let command = cut_at(before, b": rejected \"").map_or(&b""[..], |(_, command)| command);
    let verb = command.get(..4).unwrap_or_default().to_ascii_uppercase();
    let in_message = matches!(&verb[..], b"MAIL" | b"RCPT" | b"DATA" | b"BDAT");
    with_host(rest, |host, rest| {
        if !contains(rest, b" next input=\"") {
            return Line::Doubtful("two-hosts");
        }
        if in_message { Line::Lost(host, Lost::InEnvelope) } else { Line::Broken(host) }
    })
}

/// `IP port=P rdns=NAME helo=<NAME>`: the name is the rest of the line.
fn logged(rest: &[u8]) -> Option<Host<'_>> {
    let (ip, rest) = cut_at(rest, b" port=")?;
    let ip = address(ip)?;
    let (port, rest) = number(rest)?;
    let (rdns, rest) = cut_at(rest.strip_prefix(b" rdns=")?, b" helo=<")?;
    let name = rest.strip_suffix(b">")?;
    let rdns = (!rdns.is_empty()).then_some(rdns);
    let said = if name.is_empty() { Said::Nothing } else { Said::Name(name) };
    Some(Host { ip, port: Some(port), rdns, said })
}

/// Lines about a connection as a whole.
fn about_connection(text: &[u8]) -> Line<'_> {
    if let Some(rest) = text.strip_prefix(b"SMTP connection from ") {
        return with_host(rest, |host, rest| {
            if contains(rest, b" (TCP/IP connection count = ") {
                return Line::Nothing;
            }
            if contains(rest, b" lost while reading message data") {
                return Line::Lost(host, Lost::InMessage);
            }
            if contains(rest, b" lost") {
                Line::Lost(host, Lost::BetweenCommands)
            } else {
                Line::Ended(host)
            }
        });
    }
    if let Some(rest) = text.strip_prefix(b"no MAIL in SMTP connection from ") {
        return with_host(rest, |host, _| Line::NoMail(host));
    }
    if let Some(rest) =
        text.strip_prefix(b"SMTP data timeout (message abandoned) on connection from ")
    {
        return with_host(rest, |host, _| Line::Lost(host, Lost::InMessage));
    }
    // Written only if a sender was given: "some mailers just drop the call", and Exim does not mind.
    if let Some(rest) =
        text.strip_prefix(b"unexpected disconnection while reading SMTP command from ")
    {
        return with_host(rest, |host, _| Line::Lost(host, Lost::InEnvelope));
    }
    if let Some(rest) = text.strip_prefix(b"SMTP command timeout on connection from ") {
        return with_host(rest, |host, _| Line::Lost(host, Lost::Silent));
    }
    const BROKEN: [&[u8]; 2] = [b"SMTP call from ", b"TLS error on connection from "];
    if let Some(rest) = BROKEN.iter().find_map(|start| text.strip_prefix(*start)) {
        return with_host(rest, |host, _| Line::Broken(host));
    }
    if let Some(rest) = text.strip_prefix(b"SMTP protocol violation: ") {
        return with_host(rest, |host, _| Line::Shown(host));
    }
    if let Some((mechanism, rest)) = cut_at(text, b" authenticator failed for ")
        && mechanism.len() <= 32
        && !mechanism.contains(&b' ')
    {
        return with_host(rest.strip_prefix(b"H=").unwrap_or(rest), |host, _| Line::Shown(host));
    }
    const NOTHING: [&[u8]; 15] = [
        b"cbv-log ",
        b"no host name found for IP address ",
        b"no IP address found for host ",
        b"exim ",
        b"cwd=",
        b"Start queue run",
        b"End queue run",
        b"ETRN ",
        b"pid ",
        b"SIGHUP ",
        b"daemon: ",
        b"TLS session: ",
        b"U=",
        b"Warning: ",
        b"unqualified verify rejected: ",
    ];
    if NOTHING.iter().any(|start| text.starts_with(start)) { Line::Nothing } else { Line::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn summary(line: &Line<'_>) -> (String, String) {
        let shown = |host: &Host<'_>| {
            let said = match host.said {
                Said::Name(name) => String::from_utf8_lossy(name).into_owned(),
                Said::Nothing => "-".to_owned(),
                Said::MaybeReverse => "=".to_owned(),
            };
            format!("{} {said}", host.ip)
        };
        match line {
            Line::Taken(host, proto, _) => (format!("taken {}", proto.word()), shown(host)),
            Line::Refused(refused) => {
                let login = if refused.login { " login" } else { "" };
                let kind = format!("{:?} {:?}{login}", refused.refusal, refused.stage);
                (kind, shown(&refused.host))
            }
            Line::RefusedGreeting(host, argument) => {
                (format!("greeting {}", String::from_utf8_lossy(argument)), shown(host))
            }
            Line::NoGreeting(host) => ("no greeting".to_owned(), shown(host)),
            Line::Shown(host) => ("shown".to_owned(), shown(host)),
            Line::Logged(host) => ("logged".to_owned(), shown(host)),
            Line::Lost(host, when) => (format!("lost {when:?}"), shown(host)),
            Line::Broken(host) => ("broken".to_owned(), shown(host)),
            Line::Ended(host) => ("ended".to_owned(), shown(host)),
            Line::NoMail(host) => ("no mail".to_owned(), shown(host)),
            other => (format!("{other:?}"), String::new()),
        }
    }

    #[test]
    fn reads_every_kind() {
        for (text, kind, host) in [
            (
                "1xUPlK-00003O-2Y <= <> H=(localhost.localdomain) [82.250.110.158] P=esmtps X=TLS CV=no S=365 id=a@b",
                "taken ESMTPS",
                "82.250.110.158 localhost.localdomain",
            ),
            (
                "10HmbH-000000005vi-0000 <= u@test.ex H=(test) [56.56.56.56] U=CALLER P=smtp S=3",
                "taken SMTP",
                "56.56.56.56 test",
            ),
            (
                "1xUPlL-000042-0g <= s@s.test H=mx77.example.net [192.0.2.56]:47466 P=esmtps S=411 for ok@local.test",
                "taken ESMTPS",
                "192.0.2.56 =",
            ),
            (
                "1xUPlL-000042-0g <= s@s.test H=a.example (pc) [192.0.2.56] P=esmtpsa A=plain:joe S=4",
                "taken ESMTPSA",
                "192.0.2.56 pc",
            ),
            ("1xUPlL-000042-0g <= root@s.test U=root P=local S=4", "Nothing", ""),
            (
                "1xUPlL-000042-0g <= \"x H=(evil) [6.6.6.6] P=esmtp\"@y H=(a) [192.0.2.7] P=esmtp S=1",
                "taken ESMTP",
                "192.0.2.7 a",
            ),
            (
                "1xUPlL-000042-0g <= s@s H=(evil) [6.6.50.105]:25 P=esmtp (x) [127.236.110.96]:34799 I=[127.0.0.1]:2525 P=esmtp",
                "Doubtful(\"two-hosts\")",
                "",
            ),
            (
                "H=(evil) [6.6.6.6] F=<a> rejected RCPT <b>: (x) [192.0.2.7] F=<s> rejected RCPT <r>: no",
                "Doubtful(\"two-hosts\")",
                "",
            ),
            (
                "H=host95.example (fox) [127.214.131.102] F=<s@s.test> rejected RCPT <r@e.test>: relay not permitted",
                "Hard Rcpt",
                "127.214.131.102 fox",
            ),
            (
                "H=(a.example) [192.0.2.7]:25 I=[127.0.0.1]:2525 X=TLS1.3:E:256 CV=no SNI=mx F=<> temporarily rejected RCPT <d@l>: later",
                "Soft Rcpt",
                "192.0.2.7 a.example",
            ),
            (
                "H=a.example [192.0.2.7] F=<s@s> A=plain:joe rejected RCPT <d@l>: no",
                "Hard Rcpt login",
                "192.0.2.7 =",
            ),
            (
                "H=a.example (b) [192.0.2.7] F=<\"x> A=plain:joe rejected RCPT <\"@s> rejected RCPT <d@l>: no",
                "Hard Rcpt",
                "192.0.2.7 b",
            ),
            (
                "1xUPlM-00005c-2Q H=(unknown) [2001:db8::c3] F=<s@s> rejected after DATA: content says no",
                "Hard EndOfMessage",
                "2001:db8::c3 unknown",
            ),
            (
                "H=[127.231.61.134]:39855 rejected connection in \"connect\" ACL: blocked",
                "Hard Connect",
                "127.231.61.134 -",
            ),
            (
                "H=out88.example [190.41.28.111] rejected EHLO or HELO OUT88.example: bulk not welcome",
                "Hard Ehlo",
                "190.41.28.111 OUT88.example",
            ),
            (
                "H=out88.example [190.41.28.111] rejected EHLO or HELO [190.41.28.111]: bulk not welcome",
                "Hard Ehlo",
                "190.41.28.111 [190.41.28.111]",
            ),
            (
                "H=out88.example [190.41.28.111] F=<s@s> rejected RCPT <d@l>: no",
                "Hard Rcpt",
                "190.41.28.111 =",
            ),
            (
                "rejected EHLO from mx60.example [222.0.46.178]: syntactically invalid argument(s): mail,example",
                "greeting mail,example",
                "222.0.46.178 =",
            ),
            (
                "rejected EHLO from out92.example [127.64.163.193]: syntactically invalid argument(s): evil) [155.2.227.64]:25 P=esmtp (x",
                "greeting evil) [155.2.227.64]:25 P=esmtp (x",
                "127.64.163.193 =",
            ),
            (
                "rejected MAIL from mx60.example [222.0.46.178]: no HELO/EHLO given",
                "no greeting",
                "222.0.46.178 =",
            ),
            (
                "rejected MAIL FROM:<s@s> H=srv97.example (l) [190.8.174.44]:35158 I=[127.0.0.1]:2526: message too big: size=9 max=1",
                "Hard Mail",
                "190.8.174.44 l",
            ),
            (
                "rejected MAIL FROM:<\"x H=(evil) [6.6.6.6]: \"@s> H=(l) [190.8.174.44]: message too big",
                "Doubtful(\"two-hosts\")",
                "",
            ),
            (
                "ehlo-log ip=2001:db8::7 port=58666 rdns=mx51.example helo=<server.local>",
                "logged",
                "2001:db8::7 server.local",
            ),
            (
                "ehlo-log ip=192.0.2.7 port=1 rdns= helo=<x> ip=6.6.6.6 helo=<y>>",
                "logged",
                "192.0.2.7 x> ip=6.6.6.6 helo=<y>",
            ),
            (
                "plain authenticator failed for (localhost) [82.250.110.158]: 535 Incorrect authentication data (set_id=joe)",
                "shown",
                "82.250.110.158 localhost",
            ),
            (
                "plain authenticator failed for (a) [82.250.110.158]: 535 x (set_id=joe) [6.6.6.6])",
                "Doubtful(\"two-hosts\")",
                "",
            ),
            (
                "SMTP protocol error in \"aUtH lOgIn\" H=(test) [8.8.8.8]\" H=(roxzgj) [192.0.2.6] AUTH command used when not advertised",
                "Nothing",
                "",
            ),
            ("SMTP connection from [127.0.0.1]:60254 (TCP/IP connection count = 1)", "Nothing", ""),
            (
                "SMTP connection from a.example (b) [192.0.2.7]:5 closed by QUIT",
                "ended",
                "192.0.2.7 b",
            ),
            (
                "SMTP connection from a.example (b) [192.0.2.7]:5 lost while reading message data (header)",
                "lost InMessage",
                "192.0.2.7 b",
            ),
            ("SMTP connection from CALLER lost while reading message data", "Nothing", ""),
            (
                "no MAIL in SMTP connection from a.example [192.0.2.7]:5 D=0.2s C=EHLO,QUIT",
                "no mail",
                "192.0.2.7 =",
            ),
            (
                "10HmaX-000000005vi-0000 H=127.0.0.1 [127.0.0.1]: Malformed SMTP reply in response",
                "Nothing",
                "",
            ),
            ("1xUPlK-00003O-2Y => ok <ok@local.test> R=known T=devnull", "Nothing", ""),
            ("1xUPlK-00003O-2Y Completed", "Nothing", ""),
            ("no host name found for IP address 2001:db8::7", "Nothing", ""),
            ("cbv-log accepted for <a@b> from [192.0.2.7]", "Nothing", ""),
            ("words that mean nothing", "Unknown", ""),
        ] {
            let line = read(text.as_bytes());
            assert_eq!(summary(&line), (kind.to_owned(), host.to_owned()), "{text}");
        }
    }

    #[test]
    fn our_own_refusals_are_known_by_the_administrator_s_text() {
        for (text, ours) in [
            ("H=(x) [192.0.2.7] F=<a@b> rejected RCPT <c@d>: helostat: listed", true),
            ("H=(x) [192.0.2.7] F=<a@b> rejected RCPT <c@d>: listed in bl.rep.test", true),
            (
                "H=(x) [192.0.2.7] F=<a@b> temporarily rejected RCPT <c@d>: 192.0.2.7 is listed at bl.rep.test (127.0.0.2: y)",
                true,
            ),
            ("H=(x) [192.0.2.7] F=<a@b> rejected after DATA: helostat: listed", true),
            ("H=(x) [192.0.2.7] rejected EHLO or HELO x: helostat: listed", true),
            ("H=(x) [192.0.2.7] rejected connection in \"connect\" ACL: helostat: listed", true),
            ("H=(x) [192.0.2.7] F=<a@b> rejected RCPT <helostat@d>: User unknown", false),
            (
                "H=(x) [192.0.2.7] F=<a@b> rejected RCPT <\"x>: helostat: y\"@d>: User unknown",
                false,
            ),
            (
                "H=(x) [192.0.2.7] F=<\"helostat: \"@b> rejected RCPT <c@d>: \\helostat: @b may not send",
                false,
            ),
            ("H=(helostat: y) [192.0.2.7] rejected EHLO or HELO helostat: y: no", false),
            (
                "H=(in bl.rep.test) [192.0.2.7] F=<a@b> rejected RCPT <c@d>: in bl.rep.test is no name",
                false,
            ),
            (
                "H=(x) [192.0.2.7] F=<a@b> rejected RCPT <c@d>: response to \"RCPT TO:<a@b>\" was: 550 helostat: x",
                false,
            ),
            (
                "H=(x) [192.0.2.7] F=<a@b> rejected after DATA: malformed address: failing address in \"From:\" header is: helostat: x",
                false,
            ),
        ] {
            let Line::Refused(refused) = read(text.as_bytes()) else {
                panic!("no refusal: {text}");
            };
            let known = crate::ours::Ours::new(["rep.test"], []);
            assert_eq!(known.caused(refused.reply), ours, "{text}");
        }
    }

    #[test]
    fn a_reverse_name_is_kept() {
        let text = b"H=a.example (b) [192.0.2.7] Warning: odd";
        let expected = Host {
            ip: ip("192.0.2.7"),
            port: None,
            rdns: Some(b"a.example"),
            said: Said::Name(b"b"),
        };
        assert_eq!(read(text), Line::Shown(expected));
    }
}

//! What a line says of callbacks.
//!
//! In goes a framed line, out comes a `Said` that borrows from it, or nothing. The addresses in it are clients' words, and
//! the replies are those of strangers' servers; each may imitate the rest of its line. Addresses are therefore read with
//! their quotes, the mail server's own words from where they begin, and Postfix' words behind a reply from the end.
//!
//! Exim (`verify = sender/callout`), `H=CLIENT sender verify fail for <S>: WHY`, or `defer`:
//!
//! | why | outcome |
//! |---|---|
//! | none | skipped: from the cache |
//! | `Unrouteable address` | bad domain |
//! | `all relevant MX records point to non-existent hosts`, `an MX or SRV record indicated no SMTP service` | no MX |
//! | `Connection refused`, `SMTP timeout after C`, `Remote host closed connection in response to C` and their like | bad connect |
//! | `SMTP error from remote mail server after C: REPLY`, `response to "C" was: REPLY`, formerly `response to "C" from HOST [IP] was: REPLY` | refused at C; put off, if deferred |
//! | another, deferred: `host lookup did not complete`, a callout that could not be completed | put off |
//! | another, failed: its own routers' words | skipped: no server was asked |
//!
//! Before what it heard, Exim writes `Could not complete sender verify callout: ` if it is a `defer`, and then `HOST [IP] : `. A
//! call that succeeds is not logged. Where the operator's ACL says so: `cbv-log accepted for <S> from [IP]`; a null sender is skipped.
//!
//! Postfix (`reject_unverified_sender`), `ID: to=<A>, .., relay=R, .., status=deliverable (WHY)`, or `undeliverable`:
//!
//! | why | outcome |
//! |---|---|
//! | anything, `deliverable` | accepted |
//! | of any program but smtp | skipped: a mailbox of its own |
//! | `.. for name=N type=T: Host not found` | bad domain if N is the sender's, else no MX |
//! | the same with `Host found but no data record`, `Domain D does not accept mail (nullMX)` | no MX |
//! | the same with `try again` | put off |
//! | `connect to ..`, `lost connection with ..`, `conversation with .. timed out ..` | bad connect |
//! | `host H said: REPLY (in reply to C command)` | refused at C; put off if the reply begins with 4 |
//! | `host H refused to talk to me: REPLY` | refused at the greeting; put off if it begins with 4 |
//!
//! Sources: our own runs of Exim 4.96 and Postfix 3.7 against servers that refuse at each stage; the sources of Exim (verify.c,
//! acl.c, smtp_in.c, dnslookup.c) and Postfix (verify.c, smtp_proto.c, smtp_trouble.c, dns_lookup.c); for the former form lines of
//! 2003 and 2006 in public archives.

use super::table::{Outcome, Stage};
use crate::bytes::{contains, cut, cut_at, cut_at_last, find_all, up_to};
use crate::fate::Program;
use crate::format::exim;
use crate::framing::Frame;

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Exim's verdict on a sender.
    Verdict { sender: &'a [u8], client: &'a [u8], outcome: Outcome },
    /// A probe of Postfix came back.
    Probe { queue_id: &'a [u8], address: &'a [u8], outcome: Outcome },
    /// Postfix refused a client because of its sender; `pending`: while the probe was under way.
    Refusal { sender: &'a [u8], client: &'a [u8], pending: bool },
    /// Postfix has to do with mail from this sender.
    Mail { sender: &'a [u8] },
}

/// Reads a line.
pub(super) fn read<'a>(frame: &Frame<'a>) -> Option<Said<'a>> {
    if frame.own == Some(Program::Exim) || (frame.own.is_none() && exim::is_tag(frame.tag)) {
        return of_exim(frame.text);
    }
    if frame.own.is_some() {
        return None;
    }
    let text = frame.text;
    match cut_at_last(frame.tag, b"/") {
        Some((_, b"smtpd")) => of_smtpd(text),
        Some((_, program @ b"qmgr")) => of_queue(text).or_else(|| probe(text, program)),
        // By whatever name an instance goes.
        Some((name, program))
            if program == b"smtp"
                || name.split(|&byte| byte == b'/').any(|part| part.starts_with(b"postfix")) =>
        {
            probe(text, program)
        }
        // A framing that cuts the tag at the slash has lost the program; the shapes tell, too.
        None if frame.tag.starts_with(b"postfix") => {
            of_smtpd(text).or_else(|| of_queue(text)).or_else(|| probe(text, b"smtp"))
        }
        _ => None,
    }
}

fn of_exim(text: &[u8]) -> Option<Said<'_>> {
    if let Some((head, rest)) = cut_at(text, b"cbv-log accepted for <")
        && is_lead(head)
    {
        let (sender, client) = up_to(rest, b'>')?;
        let outcome = if sender.is_empty() { Outcome::Skipped } else { Outcome::Accepted };
        return Some(Said::Verdict { sender, client, outcome });
    }
    let (head, rest) = cut_at(text, b" sender verify ")?;
    // A client at the other end of a pipe has a user name only.
    let at = [&b"H="[..], b"U="].iter().find_map(|mark| find_all(head, mark).next())?;
    let client = head.get(at..)?;
    let (failed, rest) = match rest.strip_prefix(b"fail for <") {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix(b"defer for <")?),
    };
    let (sender, rest) = up_to(rest, b'>')?;
    let why = match rest {
        b"" => return Some(Said::Verdict { sender, client, outcome: Outcome::Skipped }),
        rest => rest.strip_prefix(b": ")?,
    };
    Some(Said::Verdict { sender, client, outcome: exim_outcome(why, failed) })
}

/// True for what Exim puts before every line: stamp, zone, pid, message id. A client's words stand behind more than that.
fn is_lead(head: &[u8]) -> bool {
    head.split(|&byte| byte == b' ').all(|word| {
        let is_id =
            matches!(word.len(), 16 | 23) && word.iter().filter(|&&byte| byte == b'-').count() == 2;
        is_id || word.iter().all(|byte| byte.is_ascii_digit() || b"-+:.[]".contains(byte))
    })
}

/// The outcome that Exim gives as its reason.
fn exim_outcome(why: &[u8], failed: bool) -> Outcome {
    const CALLOUT: &[u8] = b"Could not complete sender verify callout";
    let why =
        why.strip_prefix(CALLOUT).map_or(why, |rest| rest.strip_prefix(b": ").unwrap_or(rest));
    let heard = cut_at(why, b"] : ").map_or(why, |(_, heard)| heard);
    const NO_MX: [&[u8]; 2] = [
        b"all relevant MX records point to non-existent hosts",
        b"an MX or SRV record indicated no SMTP service",
    ];
    const NO_CONNECTION: [&[u8]; 10] = [
        b"Connection refused",
        b"Connection timed out",
        b"Connection reset",
        b"connect timed out",
        b"No route to host",
        b"Host is unreachable",
        b"Network is unreachable",
        b"SMTP timeout ",
        b"Remote host closed connection",
        b"Broken pipe",
    ];
    let begins = |starts: &[&[u8]]| starts.iter().any(|start| heard.starts_with(start));
    if begins(&[b"Unrouteable address", b"unrouteable mail domain"]) {
        return Outcome::BadDomain;
    }
    if begins(&NO_MX) {
        return Outcome::NoMx;
    }
    if begins(&NO_CONNECTION) {
        return Outcome::BadConnect;
    }
    let command = if let Some(rest) = heard.strip_prefix(b"response to \"") {
        if rest.ends_with(b" was: connection dropped") {
            return Outcome::BadConnect;
        }
        Some(rest)
    } else {
        let rest = heard.strip_prefix(b"SMTP error from remote mail server after ");
        rest.map(|rest| rest.strip_prefix(b"pipelined ").unwrap_or(rest))
    };
    match (command, failed) {
        (Some(command), true) => stage(command).map_or(Outcome::Other, Outcome::Refused),
        (None, true) if heard.starts_with(b"lowest numbered MX record points") => Outcome::Other,
        (None, true) => Outcome::Skipped,
        (_, false) => Outcome::PutOff,
    }
}

/// The stage of the command that a text begins with.
fn stage(command: &[u8]) -> Option<Stage> {
    const STAGES: [(&[u8], Stage); 7] = [
        (b"initial connection", Stage::Greeting),
        (b"EHLO", Stage::Ehlo),
        (b"HELO", Stage::Ehlo),
        (b"MAIL", Stage::Mail),
        (b"RCPT", Stage::Rcpt),
        (b"DATA", Stage::Data),
        (b"end of DATA", Stage::Data),
    ];
    STAGES.iter().find(|(start, _)| command.starts_with(start)).map(|(_, stage)| *stage)
}

/// `NOQUEUE: reject: RCPT from CLIENT: TEXT; from=<S> to=<R> proto=..`: only the last `; from=<` is smtpd's own.
fn of_smtpd(text: &[u8]) -> Option<Said<'_>> {
    let (before, rest) = cut_at_last(text, b"; from=<")?;
    let (sender, _) = up_to(rest, b'>')?;
    let (_, refused) = cut_at(before, b": reject")?;
    let (_, refused) = cut_at(refused, b" from ")?;
    let (client, reply) = cut_at(refused, b"]: ")?;
    // CODE DSN <S>: Sender address rejected: ...
    let (_, reply) = cut(reply, b'<')?;
    let (_, reply) = up_to(reply, b'>')?;
    let said = reply.strip_prefix(b": Sender address rejected: ").and_then(|why| {
        const CALLED: [&[u8]; 2] = [b"undeliverable address: ", b"unverified address: "];
        CALLED.iter().find_map(|start| why.strip_prefix(*start))
    });
    Some(said.map_or(Said::Mail { sender }, |why| {
        let pending =
            why.starts_with(b"Address verification ") || why.starts_with(b"Address lookup");
        Said::Refusal { sender, client, pending }
    }))
}

/// qmgr's `ID: from=<S>, size=..`.
fn of_queue(text: &[u8]) -> Option<Said<'_>> {
    let (_, rest) = cut_at(text, b": from=<")?;
    let (sender, rest) = up_to(rest, b'>')?;
    rest.starts_with(b", size=").then_some(Said::Mail { sender })
}

/// `ID: to=<A>, orig_to=<S>, relay=.., status=undeliverable (WHY)`.
fn probe<'a>(text: &'a [u8], program: &[u8]) -> Option<Said<'a>> {
    let (queue_id, rest) = cut_at(text, b": to=<")?;
    if queue_id.contains(&b' ') {
        return None;
    }
    let (mut address, mut rest) = up_to(rest, b'>')?;
    if let Some(original) = rest.strip_prefix(b", orig_to=<") {
        (address, rest) = up_to(original, b'>')?;
    }
    let (_, status) = cut_at(rest.strip_prefix(b", relay=")?, b", status=")?;
    let (word, why) = cut_at(status, b" (")?;
    let outcome = match word {
        _ if program != b"smtp" && word.ends_with(b"deliverable") => Outcome::Skipped,
        b"deliverable" => Outcome::Accepted,
        b"undeliverable" | b"undeliverable-but-not-cached" => {
            postfix_outcome(why.strip_suffix(b")").unwrap_or(why), address)
        }
        _ => return None,
    };
    Some(Said::Probe { queue_id, address, outcome })
}

/// The outcome that Postfix' smtp gives as its reason.
fn postfix_outcome(why: &[u8], address: &[u8]) -> Outcome {
    const NO_CONNECTION: [&[u8]; 3] =
        [b"connect to ", b"lost connection with ", b"conversation with "];
    if NO_CONNECTION.iter().any(|start| why.starts_with(start)) {
        return Outcome::BadConnect;
    }
    if why.starts_with(b"Host or domain name not found. ") {
        return name_service_outcome(why, address);
    }
    if why.starts_with(b"Domain ") && why.ends_with(b" does not accept mail (nullMX)") {
        return Outcome::NoMx;
    }
    let Some(host) = why.strip_prefix(b"host ") else { return Outcome::Other };
    let (stage, reply) = if let Some((_, reply)) = cut_at(host, b"] refused to talk to me: ") {
        (Some(Stage::Greeting), reply)
    } else if let Some((_, reply)) = cut_at(host, b"] said: ") {
        let command = cut_at_last(reply, b" (in reply to ").map(|(_, command)| command);
        (command.and_then(stage), reply)
    } else {
        return Outcome::Other;
    };
    match (reply.first(), stage) {
        (Some(b'4'), _) => Outcome::PutOff,
        (_, Some(stage)) => Outcome::Refused(stage),
        (_, None) => Outcome::Other,
    }
}

/// `.. Name service error for name=N type=T: WHY`.
fn name_service_outcome(why: &[u8], address: &[u8]) -> Outcome {
    if contains(why, b"try again") {
        return Outcome::PutOff;
    }
    let name =
        cut_at(why, b" for name=").and_then(|(_, rest)| cut(rest, b' ')).map(|(name, _)| name);
    let domain = cut_at_last(address, b"@").map(|(_, domain)| domain);
    let own = name.zip(domain).is_some_and(|(name, domain)| name.eq_ignore_ascii_case(domain));
    // Of another name: it is what an MX record leads to.
    if own && why.ends_with(b": Host not found") { Outcome::BadDomain } else { Outcome::NoMx }
}

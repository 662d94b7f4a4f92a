//! MailEnable: the SMTP activity log, and the W3C log that repeats it.
//!
//! In go the lines of `SMTP-Activity-*.log`, or of `ex*.log`; out comes one observation for every name that a session
//! showed, when it ends. A line of the first is `MM/DD/YY HH:MM:SS⇥SMTP-IN⇥msgfile⇥socket⇥IP⇥VERB⇥command⇥
//! reply⇥bytes⇥bytes⇥user`, the user often missing: a command and its reply in one. The second is a W3C table whose
//! `#Fields:` names `c-ip agent .. s-port cs-method cs-uristem cs-uriquery ..`; there `s-port` is the socket, the
//! last two are command and reply, and blanks are written `+`, so a `+` may have been a blank (either way the name
//! is malformed). Both in local time. Lines of the sending side (`SMTP-OU`) and others are irrelevant.
//!
//! The session is (socket, address); it begins with the banner, a reply without a command, and ends with QUIT, the
//! next banner, or silence. The client's words may hold tabs: a line is taken apart from both ends, and one
//! with too many is dropped. A line that follows 354 and is not DATA's leaves open what became of the message:
//! then that is not told.
//!
//! The grammar is from MailEnable's own articles (ME020170) and published samples (version 9).

use std::borrow::Cow;
use std::net::IpAddr;

use helostat_zones::time::Time;

use super::{Caller, Format, IRRELEVANT, Reading, SavedState, Setting, ambiguous, not_understood};
use crate::bytes::{address, cut, digits_of};
use crate::columns::{HEADING, Heading, without_mark};
use crate::dialogue::{Talks, is_reply};
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::Heard;
use crate::stamps::{Civil, Stamp, Stamps, iso_stamp, two_digits};

/// The columns of the W3C log that are read, in the order of the constants below.
const WANTED: [&[u8]; 10] = [
    b"date",
    b"time",
    b"c-ip",
    b"agent",
    b"s-port",
    b"cs-method",
    b"cs-uristem",
    b"cs-uriquery",
    b"sc-bytes",
    b"cs-bytes",
];
const IP: usize = 2;
const AGENT: usize = 3;
const SOCKET: usize = 4;
const VERB: usize = 5;
const COMMAND: usize = 6;
const REPLY: usize = 7;
const SENT: usize = 8;
const RECEIVED: usize = 9;

/// The only table that is read.
const W3C: u8 = 0;

/// Joins the lines of one reporter's MailEnable.
#[derive(Debug)]
pub(crate) struct MailEnable {
    setting: Setting,
    talks: Talks,
}

impl MailEnable {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone(), talks: Talks::new(setting) }
    }
}

impl Format for MailEnable {
    fn read(&mut self, frame: &Frame<'_>, stamps: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        let text = without_mark(frame.text);
        let row = match activity_stamp(text) {
            Some((_, rest)) => activity(rest),
            None => w3c(text, stamps.heading.as_ref()),
        };
        match row {
            Ok(Some(row)) => self.exchange(&row, frame.time, out),
            Ok(None) => IRRELEVANT,
            Err(why) => why,
        }
    }

    fn sweep(&mut self, now: Time, out: &mut Vec<Heard>) {
        self.talks.sweep(now, out);
    }

    fn close(&mut self, out: &mut Vec<Heard>) {
        self.talks.close(out);
    }

    fn open_sessions(&self) -> usize {
        self.talks.len()
    }

    fn closed_early(&self) -> u64 {
        self.talks.closed_early()
    }

    fn save(&self) -> SavedState {
        self.talks.save()
    }

    fn restore(&mut self, saved: SavedState) -> Result<(), String> {
        self.talks.restore(saved)
    }
}

impl MailEnable {
    /// A command and its reply.
    fn exchange(&mut self, row: &Row<'_>, now: Time, out: &mut Vec<Heard>) -> Reading {
        let caller = Caller::new(row.ip);
        let key = format!("{} {}", row.socket, row.ip);
        let key = key.as_bytes();
        let ours = self.setting.ours.clone();
        let is_verb = |verb: &[u8]| row.verb.eq_ignore_ascii_case(verb);
        let is_bare = row.verb.is_empty() && row.command.is_empty();
        if is_bare && row.reply.starts_with(b"220 ") {
            self.talks.begin(key, caller.clone(), now, out);
        }
        if !is_reply(&row.reply) {
            // A command whose answer is not shown is none that decides.
            return not_understood("reply");
        }
        let Some(talk) = self.talks.of(key, caller, now, out) else { return IRRELEVANT };
        let dialogue = &mut talk.dialogue;
        let mut lost = None;
        if dialogue.awaits_message() && !is_bare && !is_verb(b"DATA") {
            dialogue.lose_message();
            lost = Some(ambiguous("no-end-of-message"));
        }
        let answers_only = is_bare || dialogue.awaits_message() || dialogue.is_challenged();
        if !answers_only {
            // What AUTH brings on later lines is no command, whatever it looks like.
            let command = if is_verb(b"AUTH") { b"AUTH".as_slice() } else { &row.command };
            let verb = cut(command, b' ').map_or(command, |(verb, _)| verb);
            if !is_verb(verb) {
                return ambiguous("verb");
            }
            dialogue.command(command);
        }
        let reading = dialogue.reply(&row.reply, &ours);
        if is_verb(b"QUIT") {
            self.talks.end(key, out);
        }
        lost.unwrap_or(reading)
    }
}

/// A line of either log.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    ip: IpAddr,
    socket: u32,
    verb: &'a [u8],
    command: Cow<'a, [u8]>,
    reply: Cow<'a, [u8]>,
}

/// What follows the stamp of the activity log.
fn activity(rest: &[u8]) -> Result<Option<Row<'_>>, Reading> {
    let Some(rest) = rest.strip_prefix(b"SMTP-IN\t") else { return Ok(None) };
    let parts: Vec<&[u8]> = rest.splitn(12, |&byte| byte == b'\t').collect();
    let &[_file, socket, ip, verb, command, reply, sent, received, ref user @ ..] = &parts[..]
    else {
        return Err(not_understood("cut-line"));
    };
    // With a tab in the client's words something else stands where the counts must.
    let counts = digits_of(sent).is_some() && digits_of(received).is_some();
    if user.len() > 1 || !counts {
        return Err(ambiguous("columns"));
    }
    Ok(Some(Row {
        ip: address(ip).ok_or_else(|| not_understood("address"))?,
        socket: digits_of(socket).ok_or_else(|| not_understood("session"))?,
        verb,
        command: command.into(),
        reply: reply.into(),
    }))
}

/// A row of the W3C log.
fn w3c<'a>(line: &'a [u8], heading: Option<&Heading>) -> Result<Option<Row<'a>>, Reading> {
    let heading = heading.filter(|heading| heading.program == Program::MailEnable);
    let Some(heading) = heading else { return Err(not_understood("shape")) };
    let line = line.strip_suffix(b" ").unwrap_or(line);
    let fields: Vec<&[u8]> = line.splitn(256, |&byte| byte == b' ').collect();
    // The last column, the user, is sometimes left out.
    if fields.len() != heading.width() && fields.len() + 1 != heading.width() {
        return Err(ambiguous("columns"));
    }
    let field = |wanted| match heading.field(&fields, wanted) {
        b"-" | b"{blank}" => b"",
        field => field,
    };
    if field(AGENT) != b"SMTP-IN" {
        return Ok(None);
    }
    if digits_of(field(SENT)).is_none() || digits_of(field(RECEIVED)).is_none() {
        return Err(ambiguous("columns"));
    }
    Ok(Some(Row {
        ip: address(field(IP)).ok_or_else(|| not_understood("address"))?,
        socket: digits_of(field(SOCKET)).ok_or_else(|| not_understood("session"))?,
        verb: field(VERB),
        command: with_blanks(field(COMMAND)),
        reply: with_blanks(field(REPLY)),
    }))
}

/// A field with blanks for `+`.
fn with_blanks(field: &[u8]) -> Cow<'_, [u8]> {
    field.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect()
}

/// `10/19/18 00:00:25⇥` and what follows.
fn activity_stamp(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let (
        &[m1, m2, b'/', d1, d2, b'/', y1, y2, b' ', h1, h2, b':', i1, i2, b':', s1, s2, b'\t'],
        rest,
    ) = line.split_first_chunk::<18>()?
    else {
        return None;
    };
    let civil = Civil {
        year: 2000 + i16::from(two_digits(y1, y2)?),
        month: two_digits(m1, m2)?,
        day: two_digits(d1, d2)?,
        hour: two_digits(h1, h2)?,
        minute: two_digits(i1, i2)?,
    };
    Some((Stamp { civil, second: two_digits(s1, s2)?, offset: None }, rest))
}

/// A line of MailEnable's own logs.
pub(crate) fn own<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
) -> Option<Result<Frame<'a>, &'static str>> {
    let line = without_mark(line);
    if let Some(comment) = line.strip_prefix(b"#") {
        return take_heading(comment, stamps).then_some(Err(HEADING));
    }
    let stamp = match activity_stamp(line) {
        Some((stamp, rest)) => {
            // `SMTP-IN`, `SMTP-OU`, `POP`: one word in capitals.
            let (word, _) = cut(rest, b'\t')?;
            let is_word = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'-';
            if word.is_empty() || !word.iter().all(is_word) {
                return None;
            }
            stamp
        }
        None => w3c_stamp(line, stamps.heading.as_ref())?,
    };
    let frame = |time| Frame {
        time,
        host: b"",
        tag: b"",
        pid: None,
        text: line,
        own: Some(Program::MailEnable),
    };
    Some(stamps.time(&stamp).map(frame))
}

/// The stamp of a row of the W3C log. Exim's lines begin alike, but not with an address behind the stamp.
fn w3c_stamp(line: &[u8], heading: Option<&Heading>) -> Option<Stamp> {
    let heading = heading?;
    if heading.program != Program::MailEnable || heading.place(IP) != Some(2) {
        return None;
    }
    let (stamp, rest) = iso_stamp(line, b' ')?;
    let (ip, _) = cut(rest.strip_prefix(b" ")?, b' ')?;
    address(ip)?;
    Some(stamp)
}

/// Takes in a heading of the W3C log; false if it is not MailEnable's.
fn take_heading(comment: &[u8], stamps: &mut Stamps) -> bool {
    let known =
        stamps.heading.as_ref().is_some_and(|heading| heading.program == Program::MailEnable);
    if comment.starts_with(b"Software: MailEnable") {
        stamps.heading = Some(Heading::useless(Program::MailEnable, W3C));
        return true;
    }
    if let Some(columns) = comment.strip_prefix(b"Fields: ")
        && (known || columns.starts_with(b"date time c-ip agent "))
    {
        let names: Vec<&[u8]> =
            columns.trim_ascii_end().split(|&byte| byte == b' ').take(256).collect();
        stamps.heading = Heading::new(Program::MailEnable, W3C, &names, &WANTED);
        return true;
    }
    known && (comment.starts_with(b"Version: ") || comment.starts_with(b"Date: "))
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;

    fn activity(rows: &[(&str, &str, &str)]) -> String {
        let row = |(verb, command, reply): &(&str, &str, &str)| {
            format!(
                "11/20/26 13:40:22\tSMTP-IN\tFE7A.MAI\t816\t192.0.2.7\t{verb}\t{command}\t{reply}\t34\t14\tjoe@l\n"
            )
        };
        rows.iter().map(row).collect()
    }

    fn w3c(rows: &[(&str, &str, &str)]) -> String {
        let field = |text: &str| {
            if text.is_empty() { "{blank}".to_owned() } else { text.replace(' ', "+") }
        };
        let row = |(verb, command, reply): &(&str, &str, &str)| {
            format!(
                "2026-11-20 13:40:22 192.0.2.7 SMTP-IN l.example 10.0.0.1 816 {} {} {} HOST 34 14 joe@l \n",
                field(verb),
                field(command),
                field(reply)
            )
        };
        let heading = "#Software: MailEnable SMTP Server Version 1.0a\n#Version: 1.0\n#Date: 11/20/26 00:00:01\n\
            #Fields: date time c-ip agent account s-ip s-port cs-method cs-uristem cs-uriquery s-computername sc-bytes cs-bytes cs-username\n";
        format!("{heading}{}", rows.iter().map(row).collect::<String>())
    }

    #[test]
    fn sessions_in_both_logs() {
        let hello = [
            ("", "", "220 mx ESMTP MailEnable Service"),
            ("EHLO", "EHLO a.example", "250-mx [192.0.2.7], this server offers 4 extensions"),
        ];
        let ok = "250 Requested mail action okay, completed";
        let mail = [
            ("MAIL", "MAIL FROM:<s@s>", ok),
            ("RCPT", "RCPT TO:<o@l>", ok),
            ("DATA", "DATA", "354 Start mail input; end with <CRLF>.<CRLF>"),
        ];
        let quit = [("QUIT", "QUIT", "221 Service closing transmission channel")];
        for (what, rows, expected) in [
            (
                "a message",
                [&hello[..], &mail, &[("DATA", "", ok)], &quit].concat(),
                vec!["accepted ESMTP"],
            ),
            (
                "its end without a verb",
                [&hello[..], &mail, &[("", "", ok)], &quit].concat(),
                vec!["accepted ESMTP"],
            ),
            ("its end is not shown", [&hello[..], &mail, &quit].concat(), vec![]),
            (
                "refused",
                [&hello[..], &[("MAIL", "MAIL FROM:<s@s>", "550 no")], &quit].concat(),
                vec!["rejected at mail ESMTP"],
            ),
            (
                "a login",
                [
                    &hello[..],
                    &[
                        ("AUTH", "AUTH LOGIN", "334 VXNl"),
                        ("AUTH", "dGVz", "334 UGFz"),
                        ("AUTH", "", "235 Authenticated"),
                    ],
                    &quit,
                ]
                .concat(),
                vec!["none ESMTPA login"],
            ),
            (
                "a failed login",
                [&hello[..], &[("AUTH", "TWFy", "535 Invalid Username or Password")], &quit]
                    .concat(),
                vec!["rejected at auth ESMTP"],
            ),
        ] {
            let expected: Vec<String> =
                expected.iter().map(|outcome| format!("192.0.2.7 a.example {outcome}")).collect();
            assert_eq!(told(&activity(&rows)), expected, "{what}");
            assert_eq!(told(&w3c(&rows)), expected, "{what}, W3C");
        }
    }

    #[test]
    fn tabs_of_a_client_cost_the_line() {
        let row = |command: &str| {
            format!(
                "11/20/26 13:40:22\tSMTP-IN\tx\t816\t192.0.2.7\tEHLO\t{command}\t501 no\t34\t14"
            )
        };
        assert_eq!(told(&row("EHLO a.example")), ["192.0.2.7 a.example rejected at ehlo"]);
        for command in [
            "EHLO a\t250 ok",
            "EHLO a\t250 ok\t1",
            "EHLO a\t250 ok\t1\t1",
            "EHLO a\t250 ok\t1\t1\tx",
        ] {
            assert_eq!(told(&row(command)), [""; 0], "{command}");
        }
        for line in [
            "11/20/26 13:40:22\tSMTP-OU\tx\t816\t192.0.2.7\tEHLO\tEHLO us.example\t250 ok\t34\t14",
            "11/20/26 13:40:22\tSMTP-IN\tx\t816\t192.0.2.7\tEHLO",
            "11/20/26 13:40:22\tSMTP-IN\tx\t816\t192.0.2.7\tEHLO\tEHLO a\t\t34\t14",
        ] {
            assert_eq!(told(line), [""; 0], "{line}");
        }
    }
}

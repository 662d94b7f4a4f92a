//! hMailServer: its log with "SMTP" switched on, which holds every dialogue.
//!
//! In go the lines of `hmailserver_*.log`; out comes one observation for every name that a session showed, when it
//! ends. A line is `"SMTPD"⇥thread⇥session⇥"2026-02-12 02:35:45.204"⇥"IP"⇥"RECEIVED: EHLO x"`, or `SENT: 250-a[nl]250 b`
//! with all lines of a reply; local time. The client's words stand last and are **not** escaped, so a line is
//! taken apart at its first five tabs, and what is left loses one quote at each end. The session is (session,
//! address): numbers begin again with the service.
//!
//! What a reply means is in the code of its first line; a later line may quote the client (`[nl]` is text,
//! too). A session begins with the banner, and ends with `221`, or with silence: hMailServer does not log that a
//! client went away. Lines of the other services, of the client side (`SMTPC`) and of deliveries are irrelevant.
//!
//! The grammar is from published samples (hMailServer 5).

use helostat_zones::time::Time;

use super::{Caller, Format, IRRELEVANT, Reading, SavedState, Setting, ambiguous, not_understood};
use crate::bytes::{address, contains_folded, cut, digits_of};
use crate::dialogue::Talks;
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::Heard;
use crate::stamps::{Stamps, iso_stamp};

/// What hMailServer may call the writer of a line.
const WORDS: [&[u8]; 13] = [
    b"SMTPD",
    b"SMTPC",
    b"POP3D",
    b"POP3C",
    b"IMAPD",
    b"TCPIP",
    b"APPLICATION",
    b"ERROR",
    b"DEBUG",
    b"AWSTATS",
    b"BACKUP",
    b"EVENT",
    b"DNS",
];

/// Joins the lines of one reporter's hMailServer.
#[derive(Debug)]
pub(crate) struct HMailServer {
    talks: Talks,
}

impl HMailServer {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { talks: Talks::new(setting) }
    }
}

impl Format for HMailServer {
    fn read(&mut self, frame: &Frame<'_>, _: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        match said(frame.text) {
            Ok(Some(said)) => self.said(&said, frame.time, out),
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

impl HMailServer {
    fn said(&mut self, said: &Said<'_>, now: Time, out: &mut Vec<Heard>) -> Reading {
        let caller = Caller::new(said.ip);
        let key = format!("{} {}", said.session, said.ip);
        let key = key.as_bytes();
        if said.by_client {
            return self.talks.command(key, caller, said.text, now, out);
        }
        // "220 Ready to start TLS" begins nothing.
        if said.text.starts_with(b"220 ") && !contains_folded(said.text, b"tls") {
            self.talks.begin(key, caller.clone(), now, out);
        }
        let reading = self.talks.reply(key, caller, said.text, now, out);
        if said.text.starts_with(b"221") {
            self.talks.end(key, out);
        }
        reading
    }
}

/// A line of a dialogue.
#[derive(Debug, PartialEq, Eq)]
struct Said<'a> {
    session: u32,
    ip: std::net::IpAddr,
    by_client: bool,
    text: &'a [u8],
}

/// Reads a line; `None` for one that is no part of a dialogue with a client.
fn said(line: &[u8]) -> Result<Option<Said<'_>>, Reading> {
    let Some(rest) = line.strip_prefix(b"\"SMTPD\"\t") else { return Ok(None) };
    let parts = (|| {
        let (_thread, rest) = cut(rest, b'\t')?;
        let (session, rest) = cut(rest, b'\t')?;
        let (_stamp, rest) = cut(rest, b'\t')?;
        let (ip, rest) = cut(rest, b'\t')?;
        let ip = address(ip.strip_prefix(b"\"")?.strip_suffix(b"\"")?)?;
        Some((digits_of(session)?, ip, rest))
    })();
    let (session, ip, text) = parts.ok_or_else(|| not_understood("shape"))?;
    let text = text.strip_prefix(b"\"").ok_or_else(|| not_understood("shape"))?;
    let text = text.strip_suffix(b"\"").ok_or_else(|| ambiguous("cut-line"))?;
    let (by_client, text) = match (text.strip_prefix(b"RECEIVED: "), text.strip_prefix(b"SENT: ")) {
        (Some(text), _) => (true, text),
        (_, Some(text)) => (false, text),
        // What the server says of the session: nothing that decides.
        _ => return Ok(None),
    };
    Ok(Some(Said { session, ip, by_client, text }))
}

/// A line of hMailServer's own log: a word in quotes, two or three fields, a stamp in quotes.
pub(crate) fn own<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
) -> Option<Result<Frame<'a>, &'static str>> {
    let line = crate::columns::without_mark(line);
    let (word, rest) = cut(line.strip_prefix(b"\"")?, b'"')?;
    if !WORDS.contains(&word) {
        return None;
    }
    // The session is missing where there is none.
    let mut rest = rest.strip_prefix(b"\t")?;
    let mut numbers = 0;
    while numbers < 2 && !rest.starts_with(b"\"") {
        let (number, after) = cut(rest, b'\t')?;
        if !number.iter().all(u8::is_ascii_digit) {
            return None;
        }
        rest = after;
        numbers += 1;
    }
    let (stamp, after) = iso_stamp(rest.strip_prefix(b"\"")?, b' ')?;
    after.strip_prefix(b"\"\t")?;
    let frame = |time| Frame {
        time,
        host: b"",
        tag: b"",
        pid: None,
        text: line,
        own: Some(Program::HMailServer),
    };
    Some(stamps.time(&stamp).map(frame))
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;

    fn session(number: u32, said: &[&str]) -> String {
        let line = |said: &&str| {
            format!(
                "\"SMTPD\"\t5444\t{number}\t\"2026-11-20 13:40:22.413\"\t\"192.0.2.7\"\t\"{said}\"\n"
            )
        };
        said.iter().map(line).collect()
    }

    #[test]
    fn sessions() {
        let hello = [
            "SENT: 220 mx ESMTP",
            "RECEIVED: EHLO a.example",
            "SENT: 250-mx[nl]250-SIZE[nl]250 HELP",
        ];
        let mail = [
            "RECEIVED: MAIL FROM:<s@s>",
            "SENT: 250 OK",
            "RECEIVED: RCPT TO:<o@l>",
            "SENT: 250 OK",
        ];
        let data = ["RECEIVED: DATA", "SENT: 354 OK, send.", "SENT: 250 Queued (0.000 seconds)"];
        let tls = [
            "RECEIVED: STARTTLS",
            "SENT: 220 Ready to start TLS",
            "RECEIVED: EHLO a.example",
            "SENT: 250 mx",
        ];
        let login = [
            "RECEIVED: AUTH LOGIN",
            "SENT: 334 VXNl",
            "RECEIVED: dGVz",
            "SENT: 334 UGFz",
            "RECEIVED: ***",
        ];
        let end = ["RECEIVED: QUIT", "SENT: 221 goodbye"];
        for (what, said, expected) in [
            ("a message", [&hello[..], &mail, &data, &end].concat(), "accepted ESMTP"),
            ("under TLS", [&hello[..], &tls, &mail, &data, &end].concat(), "accepted ESMTPS"),
            (
                "a login",
                [&hello[..], &login, &["SENT: 235 authenticated."], &mail, &data].concat(),
                "accepted ESMTPA login",
            ),
            (
                "a failed login",
                [&hello[..], &login, &["SENT: 535 Authentication failed."], &end].concat(),
                "rejected at auth ESMTP",
            ),
            ("gone", [&hello[..], &mail].concat(), "aborted ESMTP"),
            (
                "refused",
                [&hello[..], &["RECEIVED: MAIL FROM:<s@s>", "SENT: 550 no <x[nl]250 ok@s>"], &end]
                    .concat(),
                "rejected at mail ESMTP",
            ),
        ] {
            assert_eq!(
                told(&session(4, &said)),
                [format!("192.0.2.7 a.example {expected}")],
                "{what}"
            );
        }
        let twice = format!("{}{}", session(1, &hello), session(1, &hello));
        assert_eq!(told(&twice), ["192.0.2.7 a.example none ESMTP"; 2], "numbers begin again");
        let hostile = [
            "SENT: 220 mx",
            "RECEIVED: EHLO x\"\t\"6.6.6.6\"\t\"RECEIVED: EHLO evil",
            "SENT: 501 no",
        ];
        assert_eq!(
            told(&session(1, &hostile)),
            ["192.0.2.7 x\"\\x09\"6.6.6.6\"\\x09\"received: ehlo evil rejected at ehlo"]
        );
    }

    #[test]
    fn other_lines_give_nothing() {
        for line in [
            "\"IMAPD\"\t5432\t8\t\"2026-11-20 13:40:22.413\"\t\"192.0.2.7\"\t\"RECEIVED: EHLO evil\"",
            "\"SMTPC\"\t5432\t8\t\"2026-11-20 13:40:22.413\"\t\"192.0.2.7\"\t\"RECEIVED: 220 x\"",
            "\"TCPIP\"\t5432\t\"2026-11-20 13:40:22.413\"\t\"TCP - 192.0.2.7 connected to 10.0.0.1:25.\"",
            "\"SMTPD\"\t5432\t8\t\"2026-11-20 13:40:22.413\"\t\"192.0.2.7\"\t\"RECEIVED: EHLO a",
            "\"SMTPD\"\t5432\t8\t\"2026-11-20 13:40:22.413\"\t\"192.0.2\"\t\"RECEIVED: EHLO a\"",
            "\"SMTPD\"\t5432\t8\t\"2026-11-20 13:40:22.413\"",
            "\"SMTPD\"",
        ] {
            assert_eq!(told(line), [""; 0], "{line}");
        }
    }
}

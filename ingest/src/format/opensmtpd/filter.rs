//! What our report filter says: from a line of the report protocol to the line that it writes.
//!
//! `helostat filter opensmtpd` writes these to its standard error, and smtpd puts `helostat: ` before each and
//! hands it to syslog. The form is `SESSION EVENT [FIELD]`: what a client chose (its name in EHLO, its
//! reverse name) comes last, to the end of the line, and everything in it that is not printable ASCII is
//! `\xNN`, a backslash too; so no line can look like another, or like two. [`super::line`] reads it.
//!
//! Written are: `connect IP [VERIFIED-NAME]`, `helo NAME`, `ehlo NAME`, `tls`, `auth pass|fail`, `begin`,
//! `mail|rcpt|data permfail|tempfail`, `commit`, `rollback`, `disconnect`: five lines for an ordinary message.

use std::io::Write;

use super::line::{self, Event, Line, Verdict};

/// The events of the protocol that are asked for. All of them are older than the handshake.
pub const EVENTS: [&str; 11] = [
    "link-connect",
    "link-identify",
    "link-tls",
    "link-auth",
    "link-disconnect",
    "tx-begin",
    "tx-mail",
    "tx-rcpt",
    "tx-data",
    "tx-commit",
    "tx-rollback",
];

/// How much of a name is written, in octets: more than any name has, and than a reader keeps of another text.
const TEXT_MAX: usize = 400;

/// Writes what `report`, a line of the report protocol without its line feed, comes to, without one;
/// nothing for lines that say nothing of a client.
pub fn write_line(report: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let Line::Of(session, _, event) = line::read_report(report) else { return };
    let mut event_and = |event: &[u8], text: Option<&[u8]>| {
        out.extend_from_slice(session);
        out.push(b' ');
        out.extend_from_slice(event);
        if let Some(text) = text {
            out.push(b' ');
            escape(text, out);
        }
    };
    match event {
        Event::Connect(Some(ip), rdns) => {
            event_and(format!("connect {ip}").as_bytes(), rdns);
        }
        Event::Greeting(Some(true), name) => event_and(b"ehlo", Some(&name)),
        Event::Greeting(_, name) => event_and(b"helo", Some(&name)),
        Event::Tls => event_and(b"tls", None),
        Event::Login(true) => event_and(b"auth", Some(b"pass")),
        Event::Login(false) => event_and(b"auth", Some(b"fail")),
        Event::Begin => event_and(b"begin", None),
        Event::Result(stage, Verdict::Permanent) => {
            event_and(stage.word().as_bytes(), Some(b"permfail"));
        }
        Event::Result(stage, Verdict::Temporary) => {
            event_and(stage.word().as_bytes(), Some(b"tempfail"));
        }
        Event::Taken(_) => event_and(b"commit", None),
        Event::Rollback => event_and(b"rollback", None),
        Event::End(_) => event_and(b"disconnect", None),
        _ => {}
    }
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text.iter().take(TEXT_MAX) {
        match byte {
            b'\\' | ..b' ' | 0x7f.. => {
                // Into memory: there is nothing that could fail.
                write!(out, "\\x{byte:02x}").unwrap_or_default();
            }
            _ => out.push(byte),
        }
    }
    if text.len() > TEXT_MAX {
        out.extend_from_slice(b"...");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::opensmtpd::line::{Teller, read};

    fn written(report: &[u8]) -> Vec<u8> {
        let mut line = Vec::new();
        write_line(report, &mut line);
        line
    }

    #[test]
    fn events_become_lines() {
        for (report, line) in [
            (&b"report|0.7|1.000001|smtp-in|link-connect|00000000000000aa|a.example|pass|192.0.2.7:5|192.0.2.25:25"[..], &b"00000000000000aa connect 192.0.2.7 a.example"[..]),
            (b"report|0.7|1.000001|smtp-in|link-connect|00000000000000aa|a.example|fail|[2001:db8::7]:5|[2001:db8::25]:25", b"00000000000000aa connect 2001:db8::7"),
            (b"report|0.7|1.000001|smtp-in|link-connect|00000000000000aa|x|pass|unix:/var/run/smtpd.sock|unix:/var/run/smtpd.sock", b""),
            (b"report|0.7|1.000001|smtp-in|link-identify|00000000000000aa|EHLO|a|b \\x41\xff\x1b[31m", b"00000000000000aa ehlo a|b \\x5cx41\\xff\\x1b[31m"),
            (b"report|0.7|1.000001|smtp-in|link-identify|00000000000000aa|HELO|", b"00000000000000aa helo "),
            (b"report|0.7|1.000001|smtp-in|link-auth|00000000000000aa|pass|fail|joe", b"00000000000000aa auth pass"),
            (b"report|0.6|1.000001|smtp-in|link-auth|00000000000000aa|pass|joe|fail", b"00000000000000aa auth fail"),
            (b"report|0.6|1.000001|smtp-in|tx-rcpt|00000000000000aa|11111111|permfail|ok", b"00000000000000aa rcpt permfail"),
            (b"report|0.5|1.000001|smtp-in|tx-rcpt|00000000000000aa|11111111|ok|x|tempfail", b"00000000000000aa rcpt tempfail"),
            (b"report|0.6|1.000001|smtp-in|tx-rcpt|00000000000000aa|11111111|ok|x@y", b""),
            (b"report|0.6|1.000001|smtp-in|tx-commit|00000000000000aa|11111111|532", b"00000000000000aa commit"),
            (b"report|0.6|1.000001|smtp-in|link-disconnect|00000000000000aa", b"00000000000000aa disconnect"),
            (b"report|0.6|1.000001|smtp-out|link-disconnect|00000000000000aa", b""),
            (b"report|0.6|1.000001|smtp-in|link-disconnect|short", b""),
            (b"config|ready", b""),
            (b"", b""),
            (b"report|", b""),
        ] {
            assert_eq!(written(report), line, "{}", String::from_utf8_lossy(report));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(name in proptest::collection::vec(any::<u8>(), 0..TEXT_MAX)) {
            prop_assume!(!name.contains(&b'\n'));
            let head = b"report|0.7|1.000001|smtp-in|link-identify|00000000000000aa|EHLO|";
            let line = [b"helostat: ", &written(&[head, &name[..]].concat())[..]].concat();
            prop_assert!(line.iter().all(|byte| (b' '..=b'~').contains(byte)));
            let Line::Of(session, Teller::Report, Event::Greeting(Some(true), said)) = read(&line) else {
                return Err(TestCaseError::fail("not a greeting"));
            };
            prop_assert_eq!(session, b"00000000000000aa");
            prop_assert_eq!(&said[..], &name[..]);
        }

        #[test]
        fn no_bytes_hurt(report in proptest::collection::vec(any::<u8>(), 0..200)) {
            written(&report);
            written(&[b"report|0.7|1.1|smtp-in|", &report[..]].concat());
        }
    }
}

//! Lines of whole sessions in, what is told out; each also with a stop before every line.

use helostat_zones::time::Time;
use jiff::tz::TimeZone;

use crate::fate::{Fate, Program};
use crate::heard::Heard;
use crate::reader::{FormatChoice, Reader};

const HEAD: &str = "2026-11-20T13:40:22Z mx smtpd[7]: ";
/// A minute and a half later.
const LATER: &str = "2026-11-20T13:42:00Z mx smtpd[7]: info: later";
const CONNECT: &str = "00000000000000aa smtp connected address=192.0.2.7 host=a.example";
const QUIT: &str = "00000000000000aa smtp disconnected reason=quit";
const DROP: &str = "00000000000000aa smtp disconnected reason=disconnect";
const TAKEN: &str = "00000000000000aa smtp message msgid=11111111 size=9 nrcpt=1 proto=ESMTP";
const NO_USER: &str = "00000000000000aa smtp failed-command command=\"RCPT TO:<n@l>\" result=\"550 Invalid recipient: <n@l>\"";
const NOT_NOW: &str = "00000000000000aa smtp failed-command command=\"MAIL FROM:<s@s>\" result=\"503 5.5.1 Invalid command: Command not allowed at this point.\"";
const TLS: &str = "00000000000000aa smtp tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256";

fn latest() -> Time {
    Time::parse("2026-11-20T15:00:00Z").expect("a time")
}

fn reader() -> Reader {
    Reader::new(FormatChoice::Auto, "mx".into(), TimeZone::UTC)
}

fn show(one: &Heard) -> String {
    let name = one.name.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let mut text = format!("{} {name} {}", one.ip, one.outcome);
    for (word, value) in [
        ("at", one.stage),
        ("as", one.proto.map(|proto| proto.word())),
        ("rdns", one.rdns.as_deref()),
        ("apart", one.apart.map(|apart| apart.word())),
        ("by", one.by_us.then_some("us")),
    ] {
        if let Some(value) = value {
            text.push_str(&format!(" {word} {value}"));
        }
    }
    text
}

/// What lines come to, which is the same if the reader is stopped before each.
fn told(lines: &[&str]) -> Vec<String> {
    let (mut steady, mut stopped) = (reader(), reader());
    let (mut out, mut other) = (Vec::new(), Vec::new());
    for line in lines {
        let bare =
            line.starts_with("report|") || line.starts_with("config|") || line.starts_with("20");
        let line = if bare { (*line).to_owned() } else { format!("{HEAD}{line}") };
        let saved = stopped.save();
        stopped = reader().restore(&saved).expect("what save wrote");
        assert_eq!(stopped.save(), saved, "{line}");
        let reading = steady.read(line.as_bytes(), latest(), &mut out);
        assert_eq!(stopped.read(line.as_bytes(), latest(), &mut other), reading, "{line}");
        assert_eq!(reading.program, Program::OpenSmtpd, "{line}");
    }
    steady.close(&mut out);
    stopped.close(&mut other);
    assert_eq!(out, other);
    out.iter().map(show).collect()
}

#[test]
fn what_smtpd_logs() {
    let refused = "00000000000000aa smtp failed-command command=\"EHLO caf\\M-i.example\" result=\"501 5.5.4 Invalid command arguments: Invalid domain name\"";
    let again = "00000000000000aa smtp failed-command command=\"EHLO b.example\" result=\"503 5.5.1 Invalid command: Already identified\"";
    let bulk = "00000000000000aa smtp failed-command command=\"ehlo  b.example\" result=\"421 4.7.0 bulk not welcome\"";
    let late = "00000000000000aa smtp failed-command command=\"RCPT TO:<n@l>\" result=\"451 Greylisted try later: <n@l>\"";
    let no_rcpt = "00000000000000aa smtp failed-command command=\"DATA\" result=\"503 5.5.4 Invalid command arguments: No recipient specified\"";
    let login = "00000000000000aa smtp authentication user=joe result=ok";
    let no_login = "00000000000000aa smtp failed-command command=\"MAIL FROM:<s@s>\" result=\"530 5.5.1 Invalid command: Must issue an AUTH command first\"";
    let banner = "00000000000000aa smtp failed-command command=\"\" result=\"550 go away\"";
    let empty = "00000000000000aa smtp failed-command command=\"\" result=\"500 5.5.1 Invalid command: Command unrecognized\"";
    let ours = "00000000000000aa smtp failed-command command=\"MAIL FROM:<s@s>\" result=\"550 5.7.1 helostat: listed\"";
    let forged = "00000000000000aa smtp failed-command command=\"EHLO good.example\" result=\"501 no\" result=\"501 5.5.4 Invalid command arguments: Invalid domain name\"";
    let three = "00000000000000aa smtp failed-command command=\"EHLO x smtp connected address=198.51.100.9\" result=\"501 5.5.4 Invalid command arguments: Invalid domain name\"";
    for (what, lines, expected) in [
        (
            "nothing shows the name",
            vec![CONNECT, TAKEN, QUIT],
            vec!["192.0.2.7 ? accepted as ESMTP"],
        ),
        ("nothing at all", vec![CONNECT, DROP], vec!["192.0.2.7 ? none"]),
        ("a recipient", vec![CONNECT, NO_USER, QUIT], vec!["192.0.2.7 ? rejected at rcpt"]),
        (
            "and a message",
            vec![CONNECT, NO_USER, TAKEN, QUIT],
            vec!["192.0.2.7 ? partial at rcpt as ESMTP"],
        ),
        (
            "what follows does not count",
            vec![CONNECT, late, no_rcpt, QUIT],
            vec!["192.0.2.7 ? deferred at rcpt"],
        ),
        (
            "a refused name",
            vec![CONNECT, refused, NOT_NOW, QUIT],
            vec!["192.0.2.7 caf\\xe9.example rejected at ehlo"],
        ),
        ("for now", vec![CONNECT, bulk, QUIT], vec!["192.0.2.7 b.example deferred at ehlo"]),
        ("a second name", vec![CONNECT, again, TAKEN, QUIT], vec!["192.0.2.7 ? accepted as ESMTP"]),
        (
            "mail before a greeting, or within mail",
            vec![CONNECT, NOT_NOW, QUIT],
            vec!["192.0.2.7 ? rejected at mail"],
        ),
        (
            "a login",
            vec![CONNECT, TLS, login, TAKEN, QUIT],
            vec!["192.0.2.7 ? accepted as ESMTPSA apart login"],
        ),
        (
            "a service for users",
            vec![CONNECT, no_login, QUIT],
            vec!["192.0.2.7 ? rejected at mail apart login"],
        ),
        ("at the banner", vec![CONNECT, banner, QUIT], vec!["192.0.2.7 (none) refused at connect"]),
        ("an empty line", vec![CONNECT, empty, QUIT], vec!["192.0.2.7 ? none"]),
        ("by us", vec![CONNECT, ours, QUIT], vec!["192.0.2.7 ? rejected at mail by us"]),
        (
            "two ends of a command",
            vec![CONNECT, forged, QUIT],
            vec!["192.0.2.7 ? rejected at ehlo"],
        ),
        (
            "a line in a name",
            vec![CONNECT, three, QUIT],
            vec!["192.0.2.7 x smtp connected address=198.51.100.9 rejected at ehlo"],
        ),
        ("no beginning", vec![refused, TAKEN, QUIT], vec![]),
        (
            "a program of this machine",
            vec!["00000000000000aa smtp connected address=local host=mx", TAKEN, QUIT],
            vec![],
        ),
        ("a proxy", vec!["00000000000000aa smtp event=proxy address=192.0.2.1", QUIT], vec![]),
        (
            "6.0",
            vec![
                "00000000000000aa smtp event=connected address=[2001:db8::7] host=a.example",
                "00000000000000aa smtp event=failed-command address=[2001:db8::7] host=a.example command=\"HELO x y\" result=\"501 5.5.4 no\"",
                "00000000000000aa smtp event=closed address=[2001:db8::7] host=a.example reason=quit",
            ],
            vec!["2001:db8::7 x y rejected at helo"],
        ),
        (
            "5.4",
            vec![
                "smtp-in: New session 00000000000000aa from host a [1.2.3.4] [192.0.2.7]",
                "smtp-in: Failed command on session 00000000000000aa: \"EHLO x\\\\y\" => 501 5.5.4 no",
                "smtp-in: Accepted message 11111111 on session 00000000000000aa: from=<s@s>, to=<o@l>, size=9, ndest=1, proto=ESMTP",
                "smtp-in: Closing session 00000000000000aa",
            ],
            vec!["192.0.2.7 x\\y rejected at ehlo as ESMTP", "192.0.2.7 ? accepted as ESMTP"],
        ),
        (
            "5.7",
            vec![
                "smtp-in: session 00000000000000aa: connection from host a [[2001:db8::7]] established",
                "smtp-in: session 00000000000000aa: msgid=11111111, status=Ok, from=<s@s>, to=<o@l>, size=9, ndest=1, proto=SMTP",
                "smtp-in: session 00000000000000aa: connection from host a [[2001:db8::7]] closed (client sent QUIT)",
            ],
            vec!["2001:db8::7 ? accepted as SMTP"],
        ),
    ] {
        assert_eq!(told(&lines), expected, "{what}");
    }
}

#[test]
fn a_filter_that_logs_greetings() {
    let connect =
        "rlog: ehlo-log link-connect 00000000000000aa|a.example|pass|192.0.2.7:5|192.0.2.25:25";
    let greeting = "rlog: ehlo-log link-identify 00000000000000aa|EHLO|b|c.example";
    let second = "rlog: ehlo-log link-identify 00000000000000aa|EHLO|d.example";
    let end = "rlog: ehlo-log link-disconnect 00000000000000aa";
    for (what, lines, expected) in [
        (
            "in order",
            vec![CONNECT, connect, greeting, TAKEN, QUIT, end],
            vec!["192.0.2.7 b|c.example accepted as ESMTP rdns a.example"],
        ),
        (
            "late",
            vec![CONNECT, TAKEN, connect, QUIT, greeting, end],
            vec!["192.0.2.7 b|c.example accepted as ESMTP rdns a.example"],
        ),
        (
            "no greeting",
            vec![CONNECT, connect, NOT_NOW, QUIT, end],
            vec!["192.0.2.7 (none) rejected at mail rdns a.example"],
        ),
        (
            "it may be still to come",
            vec![CONNECT, connect, QUIT, LATER, greeting],
            vec!["192.0.2.7 ? none rdns a.example"],
        ),
        (
            "another under TLS",
            vec![CONNECT, connect, greeting, NO_USER, TLS, second, TAKEN, QUIT, end],
            vec![
                "192.0.2.7 b|c.example rejected at rcpt as ESMTPS rdns a.example",
                "192.0.2.7 d.example accepted as ESMTPS rdns a.example",
            ],
        ),
        (
            "another, and nobody knows when",
            vec![CONNECT, connect, greeting, NO_USER, second, TAKEN, QUIT, end],
            vec![
                "192.0.2.7 b|c.example none as ESMTP rdns a.example",
                "192.0.2.7 d.example none as ESMTP rdns a.example",
                "192.0.2.7 ? partial at rcpt as ESMTP rdns a.example",
            ],
        ),
        (
            "another filter's words",
            vec![
                CONNECT,
                "other: x: ehlo-log link-identify 00000000000000aa|EHLO|x.example",
                "two words: ehlo-log link-identify 00000000000000aa|EHLO|x.example",
            ],
            vec!["192.0.2.7 ? none"],
        ),
    ] {
        assert_eq!(told(&lines), expected, "{what}");
    }
}

#[test]
fn our_filter() {
    let connect = "helostat: 00000000000000aa connect 192.0.2.7 a.example";
    let greeting = "helostat: 00000000000000aa ehlo b.example";
    let second = "helostat: 00000000000000aa ehlo d.example";
    let odd = "helostat: 00000000000000aa helo x|y \\xff\\x5c.example";
    let tls = "helostat: 00000000000000aa tls";
    let begin = "helostat: 00000000000000aa begin";
    let no = "helostat: 00000000000000aa rcpt permfail";
    let later = "helostat: 00000000000000aa rcpt tempfail";
    let commit = "helostat: 00000000000000aa commit";
    let rollback = "helostat: 00000000000000aa rollback";
    let end = "helostat: 00000000000000aa disconnect";
    let login = "helostat: 00000000000000aa auth fail";
    for (what, lines, expected) in [
        (
            "in order",
            vec![CONNECT, connect, greeting, begin, commit, TAKEN, QUIT, end],
            vec!["192.0.2.7 b.example accepted as ESMTP rdns a.example"],
        ),
        (
            "alone",
            vec![connect, greeting, begin, no, commit, end],
            vec!["192.0.2.7 b.example partial at rcpt as ESMTP rdns a.example"],
        ),
        (
            "odd bytes",
            vec![CONNECT, connect, odd, begin, later, rollback, QUIT, end],
            vec!["192.0.2.7 x|y \\xff\\.example deferred at rcpt as SMTP rdns a.example"],
        ),
        (
            "two names",
            vec![
                CONNECT, connect, greeting, begin, NO_USER, no, rollback, TLS, tls, second, begin,
                TAKEN, commit, QUIT, end,
            ],
            vec![
                "192.0.2.7 b.example rejected at rcpt as ESMTPS rdns a.example",
                "192.0.2.7 d.example accepted as ESMTPS rdns a.example",
            ],
        ),
        (
            "everything late",
            vec![
                "helostat: 00000000000000bb disconnect",
                CONNECT,
                NO_USER,
                TAKEN,
                QUIT,
                connect,
                greeting,
                begin,
                no,
                commit,
                end,
            ],
            vec!["192.0.2.7 b.example partial at rcpt as ESMTP rdns a.example"],
        ),
        (
            "gone in the middle",
            vec![CONNECT, connect, greeting, begin, DROP, rollback, end],
            vec!["192.0.2.7 b.example aborted as ESMTP rdns a.example"],
        ),
        (
            "gone after a refusal",
            vec![CONNECT, connect, greeting, begin, no, DROP, rollback, end],
            vec!["192.0.2.7 b.example rejected at rcpt as ESMTP rdns a.example"],
        ),
        (
            "QUIT in the middle",
            vec![CONNECT, connect, greeting, begin, QUIT, rollback, end],
            vec!["192.0.2.7 b.example none as ESMTP rdns a.example"],
        ),
        (
            "RSET",
            vec![CONNECT, connect, greeting, begin, rollback, begin, commit, DROP, end],
            vec!["192.0.2.7 b.example accepted as ESMTP rdns a.example"],
        ),
        (
            "no name",
            vec![CONNECT, connect, NOT_NOW, QUIT, end],
            vec!["192.0.2.7 (none) rejected at mail rdns a.example"],
        ),
        (
            "a login",
            vec![connect, greeting, login, end],
            vec!["192.0.2.7 b.example none as ESMTP rdns a.example apart login"],
        ),
        (
            "another filter says our words",
            vec![
                CONNECT,
                "spam: 00000000000000aa ehlo x.example",
                "spam: helostat: 00000000000000aa ehlo x.example",
            ],
            vec!["192.0.2.7 ? none"],
        ),
        ("a program of this machine", vec![greeting, begin, commit, end], vec![]),
    ] {
        assert_eq!(told(&lines), expected, "{what}");
    }
}

#[test]
fn the_report_protocol() {
    let line = |event: &str, rest: &str| {
        format!("report|0.6|1795183954.757414|smtp-in|{event}|00000000000000aa{rest}")
    };
    let connect = line("link-connect", "|a|b.example|fail|[::ffff:192.0.2.7]:5|127.0.0.1:25");
    let ehlo = line("protocol-client", "|EHLO b.example");
    let refused =
        line("protocol-server", "|501 5.5.4 Invalid command arguments: Invalid domain name");
    let greeting = line("link-identify", "|EHLO|b.example");
    let mail = line("protocol-client", "|MAIL FROM:<s@s>");
    let greylisted = line("protocol-server", "|451 4.7.1 no");
    let begin = line("tx-begin", "|11111111");
    let rcpt = line("protocol-client", "|RCPT TO:<x@y>");
    let taken = line("tx-rcpt", "|11111111|ok|permfail");
    let unknown = line("protocol-server", "|550 Invalid recipient: <x@y>");
    let refused_rcpt = line("tx-rcpt", "|11111111|permfail|x@y");
    let dot = line("protocol-client", "|.");
    let spam = line("protocol-server", "|550 5.7.1 spam");
    let commit = line("tx-commit", "|11111111|532");
    let rollback = line("tx-rollback", "|11111111");
    let rset = line("protocol-client", "|RSET");
    let end = line("link-disconnect", "");
    let banner = line("protocol-server", "|554 go away");
    let at_once = line("protocol-server", "|500 5.5.1 Invalid command: Pipelining not supported");
    for (what, lines, expected) in [
        (
            "accepted",
            vec![&connect, &ehlo, &greeting, &mail, &begin, &rcpt, &taken, &commit, &end],
            vec!["192.0.2.7 b.example accepted as ESMTP"],
        ),
        (
            "refused greeting",
            vec![&connect, &ehlo, &refused, &end],
            vec!["192.0.2.7 b.example rejected at ehlo"],
        ),
        (
            "for now",
            vec![&connect, &ehlo, &greeting, &mail, &greylisted, &end],
            vec!["192.0.2.7 b.example deferred at mail as ESMTP"],
        ),
        (
            "a recipient",
            vec![
                &connect,
                &ehlo,
                &greeting,
                &mail,
                &begin,
                &rcpt,
                &unknown,
                &refused_rcpt,
                &rset,
                &rollback,
                &end,
            ],
            vec!["192.0.2.7 b.example rejected at rcpt as ESMTP"],
        ),
        (
            "the message",
            vec![
                &connect, &ehlo, &greeting, &mail, &begin, &rcpt, &taken, &dot, &spam, &rollback,
                &end,
            ],
            vec!["192.0.2.7 b.example rejected at end-of-message as ESMTP"],
        ),
        (
            "gone",
            vec![&connect, &ehlo, &greeting, &mail, &begin, &rcpt, &taken, &rollback, &end],
            vec!["192.0.2.7 b.example aborted as ESMTP"],
        ),
        (
            "gone after one of two",
            vec![&connect, &ehlo, &greeting, &mail, &begin, &taken, &refused_rcpt, &rollback, &end],
            vec!["192.0.2.7 b.example aborted at rcpt as ESMTP"],
        ),
        (
            "gone in order",
            vec![&connect, &ehlo, &greeting, &mail, &begin, &rset, &rollback, &end],
            vec!["192.0.2.7 b.example none as ESMTP"],
        ),
        ("nothing said", vec![&connect, &end], vec!["192.0.2.7 (none) none"]),
        (
            "at the banner",
            vec![&connect, &banner, &end],
            vec!["192.0.2.7 (none) refused at connect"],
        ),
        ("two commands at once", vec![&connect, &at_once, &end], vec!["192.0.2.7 (none) none"]),
        (
            "two commands at once, later",
            vec![&connect, &ehlo, &greeting, &at_once, &end],
            vec!["192.0.2.7 b.example none as ESMTP"],
        ),
        ("the log ends", vec![&connect], vec!["192.0.2.7 ? none"]),
    ] {
        let lines: Vec<&str> = lines.into_iter().map(String::as_str).collect();
        assert_eq!(told(&lines), expected, "{what}");
    }
}

#[test]
fn bare_lines_count_until_there_was_a_stamp() {
    let mut out = Vec::new();
    let mut reader = reader();
    for line in [
        CONNECT,
        "helostat: 00000000000000aa connect 192.0.2.7",
        "helostat: 00000000000000aa ehlo b.example",
        TAKEN,
    ] {
        assert_eq!(reader.read(line.as_bytes(), latest(), &mut out).fate, Fate::Session, "{line}");
    }
    let delivery = "00000000000000bb mda delivery evpid=1111111111111111 from=<s@s> to=<o@l>";
    assert_eq!(reader.read(delivery.as_bytes(), latest(), &mut out).fate, Fate::Irrelevant);
    let stamped = format!("{HEAD}info: x");
    assert_eq!(reader.read(stamped.as_bytes(), latest(), &mut out).fate, Fate::Irrelevant);
    assert_eq!(reader.read(QUIT.as_bytes(), latest(), &mut out).fate, Fate::NotUnderstood);
    assert_eq!(reader.read(b"config|ready", latest(), &mut out).fate, Fate::Irrelevant);
    reader.close(&mut out);
    assert_eq!(out.iter().map(show).collect::<Vec<_>>(), ["192.0.2.7 b.example accepted as ESMTP"]);
}

#[test]
fn a_filter_is_waited_for_and_not_for_ever() {
    let mut out = Vec::new();
    let mut reader = reader();
    let other = "helostat: 00000000000000bb connect 192.0.2.9";
    for line in [CONNECT, QUIT, other, CONNECT, QUIT] {
        reader.read(format!("{HEAD}{line}").as_bytes(), latest(), &mut out);
    }
    assert_eq!((out.len(), reader.open_sessions()), (1, 2), "no filter was known at first");
    reader.read(LATER.as_bytes(), latest(), &mut out);
    assert_eq!((out.len(), reader.open_sessions()), (2, 1), "the other one has not ended");
}

#[test]
fn lines_of_other_kinds() {
    for (text, fate) in [
        ("info: OpenSMTPD 6.8.0p2 starting", Fate::Irrelevant),
        ("Exiting", Fate::Irrelevant),
        (
            "proxy 0x5580d033f7d0 event=closed address=192.0.2.7 reason=\"disconnected\"",
            Fate::Irrelevant,
        ),
        ("00000000000000aa mda delivery evpid=1 from=<s@s>", Fate::Irrelevant),
        ("00000000000000aa mta connected", Fate::Irrelevant),
        ("rspamd: any words of a filter", Fate::Irrelevant),
        ("getnameinfo: 192.0.2.7: no", Fate::Irrelevant),
        ("helostat: any other words", Fate::Irrelevant),
        ("helostat: 00000000000000aa dances", Fate::NotUnderstood),
        ("00000000000000aa smtp dances", Fate::NotUnderstood),
        ("00000000000000aa smtp connected address=unknown host=x", Fate::NotUnderstood),
        ("00000000000000aa smtp failed-command command=\"EHLO x", Fate::NotUnderstood),
        ("", Fate::NotUnderstood),
        ("no colon", Fate::NotUnderstood),
    ] {
        let mut out = Vec::new();
        let reading = reader().read(format!("{HEAD}{text}").as_bytes(), latest(), &mut out);
        assert_eq!((reading.program, reading.fate), (Program::OpenSmtpd, fate), "{text}");
        assert!(out.is_empty(), "{text}");
    }
}

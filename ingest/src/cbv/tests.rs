//! Each line form with its outcome, and what counts once.

use proptest::prelude::*;

use super::line::{Said, read};
use super::*;
use crate::fate::Program;
use crate::framing::Frame;

fn said(tag: &str, text: &str) -> String {
    let own = tag.is_empty().then_some(Program::Exim);
    let (tag, text) = (tag.as_bytes(), text.as_bytes());
    let frame = Frame { time: Time(1), host: b"mx", tag, pid: None, text, own };
    let word = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match read(&frame) {
        None => "-".to_owned(),
        Some(Said::Verdict { sender, outcome, .. }) => format!("{} {outcome:?}", word(sender)),
        Some(Said::Probe { address, outcome, .. }) => format!("{} {outcome:?}", word(address)),
        Some(Said::Refusal { sender, client, pending }) => {
            let pending = if pending { " pending" } else { "" };
            format!("refused {} of {}{pending}", word(sender), word(client))
        }
        Some(Said::Mail { sender }) => format!("mail of {}", word(sender)),
    }
}

#[test]
fn lines_of_exim() {
    for (why, expected) in [
        // Exim 4.96, as it wrote them.
        ("fail for <u@g.test>", "u@g.test Skipped"),
        (
            "fail for <u@g.test>: mx.g.test [127.0.1.1] : SMTP error from remote mail server after initial connection: 554 mx no service for you",
            "u@g.test Refused(Greeting)",
        ),
        (
            "fail for <u@e.test>: mx.e.test [127.0.1.2] : SMTP error from remote mail server after HELO mx2.site.test: 550 Access denied - Invalid HELO name",
            "u@e.test Refused(Ehlo)",
        ),
        (
            "fail for <u@m.test>: mx.m.test [127.0.1.3] : response to \"MAIL FROM:<>\" was: 550 5.7.1 no null sender",
            "u@m.test Refused(Mail)",
        ),
        (
            "fail for <u@r.test>: mx.r.test [127.0.1.4] : SMTP error from remote mail server after RCPT TO:<u@r.test>: 550 5.1.1 <x>: User unknown; from=<evil@x> status=deliverable",
            "u@r.test Refused(Rcpt)",
        ),
        (
            "fail for <u@x.test>: mx.x.test [127.0.1.12] : SMTP error from remote mail server after RCPT TO:<u@x.test>: 550-Callback setup failed\\n550 Sender verify failed",
            "u@x.test Refused(Rcpt)",
        ),
        (
            "defer for <u@y.test>: Could not complete sender verify callout: mx.y.test [127.0.1.5] : SMTP error from remote mail server after RCPT TO:<u@y.test>: 450 4.2.0 greylisted",
            "u@y.test PutOff",
        ),
        (
            "defer for <u@y.test>: Could not complete sender verify callout: mx.y.test [127.0.1.9] : SMTP error from remote mail server after HELO mx2.site.test: 421 busy",
            "u@y.test PutOff",
        ),
        (
            "defer for <u@y.test>: Could not complete sender verify callout: mx.y.test [127.0.1.10] : NULL",
            "u@y.test PutOff",
        ),
        (
            "defer for <u@c.test>: Could not complete sender verify callout: mx.c.test [127.0.1.7] : Connection refused",
            "u@c.test BadConnect",
        ),
        (
            "defer for <u@c.test>: Could not complete sender verify callout: mx.c.test [127.0.1.8] : Remote host closed connection in response to initial connection",
            "u@c.test BadConnect",
        ),
        (
            "defer for <u@c.test>: Could not complete sender verify callout: mx.c.test [127.0.1.11] : response to \"MAIL FROM:<>\" was: connection dropped",
            "u@c.test BadConnect",
        ),
        (
            "defer for <u@c.test>: Could not complete sender verify callout: mx.c.test [127.0.1.13] : SMTP timeout after initial connection",
            "u@c.test BadConnect",
        ),
        // Several servers, and it does not say what each said.
        ("defer for <u@2.test>: Could not complete sender verify callout", "u@2.test PutOff"),
        ("defer for <u@b.test>: host lookup did not complete", "u@b.test PutOff"),
        ("fail for <u@n.test>: Unrouteable address", "u@n.test BadDomain"),
        (
            "fail for <u@n.test>: all relevant MX records point to non-existent hosts",
            "u@n.test NoMx",
        ),
        ("fail for <u@n.test>: an MX or SRV record indicated no SMTP service", "u@n.test NoMx"),
        ("fail for <nobody@site.test>: no such person", "nobody@site.test Skipped"),
        // From public archives and samples.
        (
            "fail for <m@m.example>: response to \"MAIL FROM:<>\" from imail.m.example [203.161.231.81] was: 501 bogus mail from",
            "m@m.example Refused(Mail)",
        ),
        (
            "fail for <s@c.example>: response to \"RCPT TO:<s@c.example>\" from mail.c.example [216.218.233.200] was: 550-\"The recipient cannot be verified.",
            "s@c.example Refused(Rcpt)",
        ),
        (
            "fail for <t@t.example>: The mail server does not recognize t@t.example as a valid sender.",
            "t@t.example Skipped",
        ),
        // From the sources.
        ("fail for <u@l.test>: lowest numbered MX record points to local host", "u@l.test Other"),
        (
            "fail for <u@p.test>: mx [192.0.2.7] : SMTP error from remote mail server after pipelined RCPT TO:<u@p.test>: 550 no",
            "u@p.test Refused(Rcpt)",
        ),
        // A sender that imitates the rest.
        (
            "fail for <\"x>: Unrouteable address\"@r.test>: mx [192.0.2.7] : SMTP error from remote mail server after RCPT TO:<\"x>: Unrouteable address\"@r.test>: 550 no",
            "\"x>: Unrouteable address\"@r.test Refused(Rcpt)",
        ),
        ("fails", "-"),
        ("fail for <u", "-"),
        ("fail for <u>junk", "-"),
    ] {
        let text = format!("H=(c.example) [192.0.2.7] sender verify {why}");
        assert_eq!(said("", &text), expected, "{why}");
        assert_eq!(said("exim-in", &format!("[228] {text}")), expected, "{why}");
    }
    for (text, expected) in [
        ("U=joe sender verify fail for <joe@t.test>: Unrouteable address", "joe@t.test BadDomain"),
        ("10HmaX-000000005vi-0000 U=C sender verify fail for <C@t>: custom message", "C@t Skipped"),
        ("sender verify fail for <a@b>: Unrouteable address", "-"),
        ("H=(x) [192.0.2.7] F=<a@b> rejected RCPT <c@d>: Sender verify failed", "-"),
        ("cbv-log accepted for <a@b> from [192.0.2.7]", "a@b Accepted"),
        ("[228] cbv-log accepted for <a@b> from [192.0.2.7]", "a@b Accepted"),
        ("1xX52z-000035-1s cbv-log accepted for <> from [192.0.2.7]", " Skipped"),
        ("SMTP syntax error in \"cbv-log accepted for <a@b>\" H=[192.0.2.7] x", "-"),
        ("H=(cbv-log accepted for <a@b>) [192.0.2.7] Warning: x", "-"),
        ("", "-"),
    ] {
        assert_eq!(said("exim", text), expected, "{text}");
    }
}

#[test]
fn lines_of_postfix() {
    // Postfix 3.7, as it wrote them, but where said otherwise.
    for (program, rest, expected) in [
        ("smtp", "relay=mx[127.0.1.6]:25, dsn=2.0.0, status=deliverable (250 ok)", "Accepted"),
        (
            "smtp",
            "relay=mx[127.0.1.1]:25, delay=1, dsn=4.0.0, status=undeliverable (host mx.g.test[127.0.1.1] refused to talk to me: 554 mx.g.test no service for you)",
            "Refused(Greeting)",
        ),
        (
            "smtp",
            "relay=mx[127.0.1.9]:25, dsn=4.0.0, status=undeliverable (host mx.h.test[127.0.1.9] refused to talk to me: 421 busy)",
            "PutOff",
        ),
        (
            "smtp",
            "relay=mx[127.0.1.3]:25, dsn=5.7.1, status=undeliverable (host mx.m.test[127.0.1.3] said: 550 5.7.1 no null sender (in reply to MAIL FROM command))",
            "Refused(Mail)",
        ),
        (
            "smtp",
            "relay=mx[127.0.1.4]:25, dsn=5.1.1, status=undeliverable (host mx.r.test[127.0.1.4] said: 550 5.1.1 <x>: User unknown; from=<evil@x> status=deliverable (in reply to RCPT TO command))",
            "Refused(Rcpt)",
        ),
        (
            "smtp",
            "relay=mx[127.0.1.5]:25, dsn=4.2.0, status=undeliverable (host mx.y.test[127.0.1.5] said: 450 4.2.0 greylisted (in reply to RCPT TO command))",
            "PutOff",
        ),
        (
            "smtp",
            "relay=none, dsn=4.4.1, status=undeliverable (connect to mx.c.test[127.0.1.7]:25: Connection refused)",
            "BadConnect",
        ),
        (
            "smtp",
            "relay=mx[127.0.1.8]:25, dsn=4.4.2, status=undeliverable (lost connection with mx.d.test[127.0.1.8] while receiving the initial server greeting)",
            "BadConnect",
        ),
        (
            "smtp",
            "relay=mx[127.0.1.13]:25, dsn=4.4.2, status=undeliverable (conversation with mx.h.test[127.0.1.13] timed out while receiving the initial server greeting)",
            "BadConnect",
        ),
        (
            "smtp",
            "relay=none, dsn=5.1.0, status=undeliverable (Domain u.test does not accept mail (nullMX))",
            "NoMx",
        ),
        (
            "smtp",
            "relay=none, dsn=5.4.4, status=undeliverable (Host or domain name not found. Name service error for name=u.test type=A: Host not found)",
            "BadDomain",
        ),
        (
            "smtp",
            "relay=none, dsn=5.4.4, status=undeliverable (Host or domain name not found. Name service error for name=gone.u.test type=A: Host not found)",
            "NoMx",
        ),
        (
            "smtp",
            "relay=none, dsn=5.4.4, status=undeliverable (Host or domain name not found. Name service error for name=u.test type=A: Host found but no data record of requested type)",
            "NoMx",
        ),
        (
            "smtp",
            "relay=none, dsn=4.4.3, status=undeliverable (Host or domain name not found. Name service error for name=u.test type=MX: Host not found, try again)",
            "PutOff",
        ),
        // From the sources.
        (
            "smtp",
            "relay=mx[127.0.1.14]:25, dsn=5.0.0, status=undeliverable-but-not-cached (host mx[127.0.1.14] said: 554 no (in reply to DATA command))",
            "Refused(Data)",
        ),
        (
            "smtp",
            "relay=none, dsn=5.4.6, status=undeliverable (mail for u.test loops back to myself)",
            "Other",
        ),
        ("local", "relay=local, dsn=5.1.1, status=undeliverable (unknown user: \"u\")", "Skipped"),
        ("lmtp", "relay=x[private/x], dsn=2.1.5, status=deliverable (250 2.1.5 Ok)", "Skipped"),
    ] {
        let text = format!("A651398C83A: to=<u@u.test>, {rest}");
        assert_eq!(said(&format!("postfix/{program}"), &text), format!("u@u.test {expected}"));
        let text = format!("4gZ1Yx0Nz8z9x: to=<x@y>, orig_to=<u@u.test>, {rest}");
        assert_eq!(said(&format!("out/postfix/{program}"), &text), format!("u@u.test {expected}"));
    }
    for (tag, text, expected) in [
        ("postfix/smtp", "A6: to=<u@u.test>, relay=x, dsn=2.0.0, status=sent (250 ok)", "-"),
        ("postfix/smtp", "A6: to=<u@u.test>, relay=x, dsn=2.0.0, status=bounced (x)", "-"),
        ("postfix/smtp", "connect to mx.c.test[127.0.1.7]:25: Connection refused", "-"),
        (
            "postfix/smtp",
            "A6: to=<\"x>, relay=y, status=deliverable (z\"@d>, relay=x, dsn=2.0.0, status=sent (250 ok)",
            "-",
        ),
        (
            "postfix",
            "A6: to=<u@u.test>, relay=x, dsn=2.0.0, status=deliverable (250 ok)",
            "u@u.test Accepted",
        ),
        (
            "postfix/smtpd",
            "NOQUEUE: reject: RCPT from localhost[127.0.0.1]: 450 4.1.7 <u@g.test>: Sender address rejected: unverified address: host mx[127.0.1.1] refused to talk to me: 554 no; from=<u@g.test> to=<ok@site.test> proto=ESMTP helo=<c.example>",
            "refused u@g.test of localhost[127.0.0.1",
        ),
        (
            "postfix/smtpd",
            "NOQUEUE: reject: RCPT from localhost[127.0.0.1]: 550 5.1.7 <u@r.test>: Sender address rejected: undeliverable address: host mx[127.0.1.4] said: 550 <x>: unknown; from=<evil@x> to=<y> (in reply to RCPT TO command); from=<u@r.test> to=<ok@site.test> proto=ESMTP helo=<c.example>",
            "refused u@r.test of localhost[127.0.0.1",
        ),
        (
            "postfix/smtpd",
            "NOQUEUE: reject_warning: RCPT from a[192.0.2.7]: 450 4.1.7 <u@g.test>: Sender address rejected: unverified address: Address verification in progress; from=<u@g.test> to=<ok@site.test> proto=ESMTP helo=<c>",
            "refused u@g.test of a[192.0.2.7 pending",
        ),
        (
            "postfix/smtpd",
            "NOQUEUE: reject: RCPT from a[192.0.2.7]: 450 4.1.8 <u@n.test>: Sender address rejected: Domain not found; from=<u@n.test> to=<ok@site.test> proto=ESMTP helo=<c>",
            "mail of u@n.test",
        ),
        (
            "postfix/smtpd",
            "NOQUEUE: reject: RCPT from a[192.0.2.7]: 550 5.1.1 <r@site.test>: Recipient address rejected: undeliverable address: unknown user: \"r\"; from=<u@n.test> to=<r@site.test> proto=ESMTP helo=<c>",
            "mail of u@n.test",
        ),
        ("postfix/smtpd", "disconnect from a[192.0.2.7]", "-"),
        (
            "postfix/qmgr",
            "A6: from=<u@ok.test>, size=281, nrcpt=2 (queue active)",
            "mail of u@ok.test",
        ),
        ("postfix/qmgr", "A6: removed", "-"),
        ("sshd", "A6: to=<u@u.test>, relay=x, status=deliverable (250 ok)", "-"),
    ] {
        assert_eq!(said(tag, text), expected, "{text}");
    }
}

/// The table of lines, each with its second of 2026-11-20.
fn counted(lines: &[(u32, &str, &str)]) -> Table {
    let mut counter = Counter::new(TimeZone::UTC);
    counter.file(TimeZone::UTC);
    let latest = Time::parse("2026-11-21T00:00:00Z").expect("a time");
    let midnight = Time::parse("2026-11-20T00:00:00Z").expect("a time");
    for (second, tag, text) in lines {
        let time = Time(midnight.0 + second);
        counter.line(format!("{time} mx {tag}[7]: {text}").as_bytes(), latest);
    }
    counter.finish()
}

const PROBE: &str =
    "A6: to=<u@U.test>, relay=mx[127.0.1.6]:25, dsn=2.0.0, status=deliverable (250 ok)";
const MAIL: &str = "B7: from=<u@u.test>, size=281, nrcpt=2 (queue active)";
const CACHED: &str = "NOQUEUE: reject: RCPT from a[192.0.2.7]: 550 5.1.7 <u@u.test>: Sender address rejected: undeliverable address: x; from=<u@u.test> to=<o@site.test> proto=ESMTP helo=<c>";
const PENDING: &str = "NOQUEUE: reject: RCPT from a[192.0.2.7]: 450 4.1.7 <u@u.test>: Sender address rejected: unverified address: Address verification in progress; from=<u@u.test> to=<o@site.test> proto=ESMTP helo=<c>";
const FAILED: &str = "H=(c) [192.0.2.7] sender verify fail for <u@u.test>: Unrouteable address";

#[test]
fn a_call_counts_once() {
    let (smtp, smtpd, qmgr) = ("postfix/smtp", "postfix/smtpd", "postfix/qmgr");
    for (what, lines, (calls, skipped, of_others)) in [
        ("a probe and its mail", vec![(1, smtp, PROBE), (4, qmgr, MAIL)], (1, 0, 0)),
        ("a probe that renews", vec![(1, qmgr, MAIL), (4, smtp, PROBE)], (1, 0, 0)),
        ("a probe, nobody sends", vec![(1, smtp, PROBE), (2000, qmgr, "x")], (0, 0, 1)),
        ("a probe, too late", vec![(1, smtp, PROBE), (700, qmgr, MAIL)], (0, 0, 1)),
        (
            "refused for two recipients",
            vec![(1, smtp, PROBE), (4, smtpd, CACHED), (5, smtpd, CACHED)],
            (1, 0, 0),
        ),
        (
            "refused from the cache, an hour later",
            vec![
                (1, smtp, PROBE),
                (4, smtpd, CACHED),
                (3604, smtpd, CACHED),
                (3605, smtpd, CACHED),
            ],
            (1, 1, 0),
        ),
        ("a probe under way", vec![(1, smtpd, PENDING), (20, smtp, PROBE)], (1, 0, 0)),
        (
            "Exim, two recipients, and the rejectlog in the same syslog",
            vec![(1, "exim", FAILED), (1, "exim", FAILED), (90, "exim", FAILED)],
            (1, 0, 0),
        ),
        ("Exim, later", vec![(1, "exim", FAILED), (200, "exim", FAILED)], (2, 0, 0)),
        (
            "the rejectlog, read afterwards",
            vec![
                (1, "exim", FAILED),
                (40, "exim", FAILED),
                (900, "exim", FAILED),
                (1, "exim", FAILED),
                (40, "exim", FAILED),
                (900, "exim", FAILED),
            ],
            (2, 0, 0),
        ),
        (
            "a log twice",
            vec![
                (1, smtp, PROBE),
                (4, smtpd, CACHED),
                (3604, smtpd, CACHED),
                (1, smtp, PROBE),
                (4, smtpd, CACHED),
                (3604, smtpd, CACHED),
            ],
            (1, 1, 0),
        ),
    ] {
        let table = counted(&lines);
        let total = table.total();
        assert_eq!(
            (total.calls(), total.skipped, table.of_others),
            (calls, skipped, of_others),
            "{what}"
        );
    }
}

#[test]
fn months_are_the_zone_s() {
    let mut counter = Counter::new(TimeZone::get("Europe/Berlin").expect("a zone"));
    counter.file(TimeZone::UTC);
    let latest = Time::parse("2026-12-21T00:00:00Z").expect("a time");
    for stamp in ["2026-10-31 22:59:59", "2026-10-31 23:00:00", "2026-11-20 10:00:00"] {
        counter.line(format!("{stamp} {FAILED}").as_bytes(), latest);
    }
    let table = counter.finish();
    let months: Vec<_> =
        table.months().map(|(month, counts)| (month.to_string(), counts.bad_domain)).collect();
    // The second is within two minutes of the first.
    assert_eq!(months, [("2026-10".to_owned(), 1), ("2026-11".to_owned(), 1)]);
}

#[test]
fn each_outcome_has_its_number() {
    let mut table = Table::default();
    let month = Month { year: 2026, month: 11 };
    let stages = Stage::ALL.map(Outcome::Refused);
    let ends = [Outcome::Accepted, Outcome::BadDomain, Outcome::NoMx, Outcome::BadConnect];
    for outcome in ends.into_iter().chain(stages).chain([Outcome::PutOff, Outcome::Other]) {
        table.add(month, outcome);
    }
    table.add(month, Outcome::Skipped);
    let total = table.total();
    assert_eq!((total.calls(), total.checks()), (11, 12));
    assert_eq!(total.refused, [1; 5]);
    assert_eq!(table.months().collect::<Vec<_>>(), [(month, &total)]);
}

proptest! {
    #[test]
    fn no_bytes_break_the_parser(line in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut counter = Counter::new(TimeZone::UTC);
        counter.file(TimeZone::UTC);
        counter.line(&line, Time(2_000_000_000));
        counter.finish();
    }

    #[test]
    fn no_mixture_of_their_words_breaks_it(
        tag in "(exim|postfix/smtp|postfix/smtpd|postfix/qmgr|postfix)",
        parts in proptest::collection::vec(
            "(H=|U=|x| sender verify |fail for <|defer for <|>|: |\"|\\\\|\\] : |response to \"|SMTP error from remote mail server after |RCPT|\
              was: |A6: to=<|, orig_to=<|, relay=|, status=|undeliverable \\(|\\)|host |\\] said: | \\(in reply to |; from=<|: reject: | from |\
              Host or domain name not found. |name=|@|try again|cbv-log accepted for <)",
            0..16,
        ),
    ) {
        let text = parts.concat();
        let mut counter = Counter::new(TimeZone::UTC);
        counter.file(TimeZone::UTC);
        counter.line(format!("2026-11-20T00:00:00Z mx {tag}[7]: {text}").as_bytes(), Time(2_000_000_000));
        let table = counter.finish();
        prop_assert!(table.total().checks() + table.of_others <= 1);
    }
}

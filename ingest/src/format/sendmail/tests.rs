//! What Sendmail's lines come to: `IP NAME OUTCOME`, with the reverse name, the stage, the protocol and whether a user
//! logged in. Each set of lines is read twice, once by a reader that is stopped and restored before every line.

use helostat_zones::time::Time;
use jiff::tz::TimeZone;

use crate::fate::Fate;
use crate::heard::Heard;
use crate::ours::Ours;
use crate::reader::{FormatChoice, Reader};

fn show(one: &Heard) -> String {
    let name = one.name.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let mut text = format!("{} {name} {}", one.ip, one.outcome);
    if let Some(rdns) = &one.rdns {
        text.push_str(&format!(" rdns={rdns}"));
    }
    if let Some(stage) = one.stage {
        text.push_str(&format!(" at {stage}"));
    }
    if let Some(proto) = one.proto {
        text.push_str(&format!(" as {}", proto.word()));
    }
    if one.apart.is_some() {
        text.push_str(" login");
    }
    if one.by_us {
        text.push_str(" by us");
    }
    text
}

/// Reads lines without their wrapping; `77: text` is of another process than `text`.
fn read(lines: &[&str]) -> (Vec<String>, Vec<Fate>) {
    let latest = Time::parse("2026-11-20T15:00:00Z").expect("a time");
    let ours = Ours::new(["rep.test"], []);
    let reader = || Reader::new(FormatChoice::Auto, "mx".into(), TimeZone::UTC).recognising(&ours);
    let (mut steady, mut stopped) = (reader(), reader());
    let (mut out, mut again, mut fates) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        let (process, text) = line.split_once("> ").expect("a process");
        let line = format!("2026-11-20T13:40:22Z mx sm-mta[{process}]: {text}");
        let saved = stopped.save();
        stopped = reader().restore(&saved).expect("what save wrote");
        assert_eq!(stopped.save(), saved);
        let one = steady.read(line.as_bytes(), latest, &mut out);
        assert_eq!(one, stopped.read(line.as_bytes(), latest, &mut again), "{line}");
        fates.push(one.fate);
    }
    steady.close(&mut out);
    stopped.close(&mut again);
    assert_eq!(out, again);
    (out.iter().map(show).collect(), fates)
}

const RELAY: &str = "a.example [192.0.2.7]";

/// The lines of process 291: those of its first envelope begin with `1 `, of its second with `2 `, others with `. `.
fn told(lines: &[&str]) -> Vec<String> {
    read(&expanded(lines).iter().map(String::as_str).collect::<Vec<_>>()).0
}

fn expanded(lines: &[&str]) -> Vec<String> {
    let queue = |line: &&str| {
        let text = match line.split_once(' ') {
            Some(("1", text)) => format!("291> 6AKEEa37000291: {text}"),
            Some(("2", text)) => format!("291> 6AKEEa38000291: {text}"),
            Some((".", text)) => format!("291> {text}"),
            // A delivery is another process.
            Some(("d", text)) => format!("293> 6AKEEa37000291: {text}"),
            _ => panic!("no envelope: {line}"),
        };
        text.replace("RELAY", RELAY)
    };
    lines.iter().map(queue).collect()
}

const SAID: &str = "1 ehlo-log,ip=[192.0.2.7],rdns=<a.example>,resolve=<OK>,helo=<b.example>";
const WHOLE: &str =
    "1 from=<s@t>, size=1, class=0, nrcpts=1, msgid=<m>, proto=ESMTP, daemon=MTA, relay=RELAY";
const EMPTY: &str = "1 from=<s@t>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=RELAY";
const OVER_TLS: &str =
    "1 from=<s@t>, size=1, class=0, nrcpts=1, msgid=<m>, proto=ESMTPS, daemon=MTA, relay=RELAY";
const DENIED: &str =
    "1 ruleset=check_rcpt, arg1=<r@e>, relay=RELAY, reject=550 5.7.1 <r@e>... Relaying denied";
const TLS: &str =
    ". STARTTLS=server, relay=RELAY, version=TLSv1.3, verify=NO, cipher=X, bits=256/256";
const CONNECT: &str = ". NOQUEUE: connect from RELAY";
const UNGREETED: &str = "1 Authentication-Warning: mx: RELAY didn't use HELO protocol";
const NO_MAIL: &str = "1 RELAY did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA";

#[test]
fn envelopes_with_the_map() {
    let second = "2 ehlo-log,ip=[192.0.2.7],rdns=<a.example>,resolve=<OK>,helo=<c.example>";
    for (what, lines, expected) in [
        (
            "a message",
            vec![SAID, WHOLE],
            vec!["192.0.2.7 b.example accepted rdns=a.example as ESMTP"],
        ),
        (
            "a recipient refused",
            vec![SAID, DENIED, WHOLE],
            vec!["192.0.2.7 b.example partial rdns=a.example at rcpt as ESMTP"],
        ),
        (
            "all recipients refused",
            vec![SAID, "1 <n@l>... User unknown", EMPTY],
            vec!["192.0.2.7 b.example rejected rdns=a.example at rcpt as ESMTP"],
        ),
        (
            "refused by a header, after a recipient",
            vec![
                SAID,
                DENIED,
                "1 ruleset=CheckX, arg1= y, relay=RELAY, reject=451 4.7.1 later",
                WHOLE,
            ],
            vec!["192.0.2.7 b.example deferred rdns=a.example at end-of-message as ESMTP"],
        ),
        (
            "refused by a milter, which logs it last",
            vec![
                SAID,
                WHOLE,
                "1 Milter: data, reject=550 5.7.1 spam",
                "1 to=<r@l>, delay=00:00:00, pri=1, stat=spam",
            ],
            vec!["192.0.2.7 b.example rejected rdns=a.example at end-of-message as ESMTP"],
        ),
        (
            "refused, nobody knows if for good",
            vec![SAID, WHOLE, "1 to=<r@l>, delay=00:00:00, pri=1, stat=Disk full"],
            vec![],
        ),
        (
            "delivered",
            vec![
                SAID,
                WHOLE,
                "d to=<r@l>, delay=00:00:00, xdelay=00:00:00, mailer=local, pri=1, dsn=2.0.0, stat=Sent",
            ],
            vec!["192.0.2.7 b.example accepted rdns=a.example as ESMTP"],
        ),
        (
            "the client goes away",
            vec![SAID, "1 lost input channel from RELAY to MTA after rcpt", EMPTY],
            vec!["192.0.2.7 b.example aborted rdns=a.example as ESMTP"],
        ),
        (
            "within the message",
            vec![SAID, "1 collect: premature EOM: unexpected close", EMPTY],
            vec!["192.0.2.7 b.example aborted rdns=a.example as ESMTP"],
        ),
        (
            "two envelopes, two names",
            vec![
                SAID,
                WHOLE,
                second,
                "2 from=<>, size=0, class=0, nrcpts=0, proto=SMTP, daemon=MTA, relay=RELAY",
            ],
            vec![
                "192.0.2.7 b.example accepted rdns=a.example as ESMTP",
                "192.0.2.7 c.example none rdns=a.example as SMTP",
            ],
        ),
        (
            "greeted again after STARTTLS",
            vec![TLS, SAID, OVER_TLS],
            vec!["192.0.2.7 b.example accepted rdns=a.example as ESMTPS"],
        ),
        (
            "not greeted again after STARTTLS",
            vec![TLS, SAID, WHOLE],
            vec!["192.0.2.7 ? accepted rdns=a.example as ESMTPS"],
        ),
        (
            "no greeting: the map shows the reverse name",
            vec![
                UNGREETED,
                "1 ehlo-log,ip=[192.0.2.7],rdns=<a.example>,resolve=<OK>,helo=<a.example>",
                WHOLE,
            ],
            vec!["192.0.2.7 ? accepted rdns=a.example as ESMTP"],
        ),
        (
            "a forged reverse name",
            vec![
                "1 ehlo-log,ip=[192.0.2.7],rdns=<[192.0.2.7]>,resolve=<FORGED>,helo=<x>",
                "1 from=<>, size=1, class=0, nrcpts=1, msgid=<m>, proto=SMTP, daemon=MTA, relay=f.example [192.0.2.7] (may be forged)",
            ],
            vec!["192.0.2.7 x accepted as SMTP"],
        ),
        (
            "a login",
            vec![
                ". AUTH=server, relay=RELAY, authid=joe, mech=PLAIN, bits=0",
                SAID,
                "1 from=<s@t>, size=1, class=0, nrcpts=1, msgid=<m>, proto=ESMTPSA, daemon=MTA, relay=RELAY",
            ],
            vec!["192.0.2.7 b.example accepted rdns=a.example as ESMTPSA login"],
        ),
    ] {
        assert_eq!(told(&lines), expected, "{what}");
    }
}

#[test]
fn what_is_logged_without_names() {
    let relay = "ruleset=check_relay, arg1=a.example, arg2=127.0.0.2, relay=RELAY, reject";
    for (what, lines, expected) in [
        ("a message", vec![WHOLE], vec!["192.0.2.7 ? accepted rdns=a.example as ESMTP"]),
        ("no mail", vec![NO_MAIL], vec!["192.0.2.7 ? none rdns=a.example"]),
        (
            "a connection",
            vec![CONNECT, "1 Milter: no active filter"],
            vec!["192.0.2.7 ? none rdns=a.example"],
        ),
        (
            "no greeting, from the begin on",
            vec![CONNECT, UNGREETED, WHOLE],
            vec!["192.0.2.7 (none) accepted rdns=a.example as ESMTP"],
        ),
        (
            "a greeting that was refused",
            vec![CONNECT, "1 invalid domain name (x@y) from RELAY", UNGREETED, WHOLE],
            vec![
                "192.0.2.7 x@y rejected rdns=a.example at helo as ESMTP",
                "192.0.2.7 ? accepted rdns=a.example as ESMTP",
            ],
        ),
        (
            "a greeting of which the log shows the first word",
            vec![CONNECT, "1 invalid domain name (b.example) from RELAY", NO_MAIL],
            vec!["192.0.2.7 ? none rdns=a.example"],
        ),
        (
            "a list's refusal",
            vec![&format!(". {relay}=550 5.7.1 192.0.2.7 refused by bl.rep.test")],
            vec!["192.0.2.7 ? rejected rdns=a.example at mail by us"],
        ),
        (
            "too many connections",
            vec![&format!(". {relay}=421 4.3.2 Connection rate limit exceeded.")],
            vec!["192.0.2.7 ? refused rdns=a.example at connect"],
        ),
        ("a milter without a client", vec!["1 Milter: data, reject=550 5.7.1 Blocked"], vec![]),
        (
            "a process that serves another client by now",
            vec![
                WHOLE,
                "2 <n@l>... User unknown",
                "2 from=<>, size=0, class=0, nrcpts=0, proto=SMTP, daemon=MTA, relay=[198.51.100.9]",
            ],
            vec![
                "192.0.2.7 ? accepted rdns=a.example as ESMTP",
                "198.51.100.9 ? rejected at rcpt as SMTP",
            ],
        ),
        (
            "a user of this machine",
            vec!["1 from=root, size=1, class=0, nrcpts=1, msgid=<m>, relay=root@localhost"],
            vec![],
        ),
    ] {
        assert_eq!(told(&lines), expected, "{what}");
    }
}

#[test]
fn the_dialog_decides() {
    const BANNER: &str = "1 --- 220 mx ESMTP Sendmail";
    const HELLO: [&str; 3] =
        ["1 <-- EHLO b.example", "1 --- 250-mx Hello RELAY, pleased to meet you", "1 --- 250 HELP"];
    const MAIL: [&str; 6] = [
        "1 <-- MAIL FROM:<s@t>",
        "1 --- 250 2.1.0 <s@t>... Sender ok",
        "1 <-- RCPT TO:<o@l>",
        "1 --- 250 2.1.5 <o@l>... Recipient ok",
        "1 <-- DATA",
        "1 --- 354 End data",
    ];
    const QUIT: [&str; 2] = ["2 <-- QUIT", "2 --- 221 2.0.0 mx closing connection"];
    let accepted = "1 --- 250 2.0.0 6AKEEa37000291 Message accepted for delivery";
    let named = |end: &str| format!("192.0.2.7 b.example {end}");
    let session = |lines: &[&[&'static str]]| {
        let all: Vec<&str> = [&[CONNECT, BANNER][..]]
            .iter()
            .chain(lines)
            .flat_map(|part| part.iter().copied())
            .collect();
        told(&all)
    };
    let message = [WHOLE, accepted];
    for (what, found, expected) in [
        (
            "a message",
            session(&[&HELLO, &MAIL, &message, &QUIT]),
            vec![named("accepted rdns=a.example as ESMTP")],
        ),
        (
            "refused at the end: what is held back is no reply",
            session(&[
                &HELLO,
                &MAIL,
                &[
                    "1 --- 250 2.0.0 x (hold)",
                    "1 --- 550 5.7.1 no (hold)",
                    WHOLE,
                    "1 --- 550 5.7.1 no (held)",
                ],
                &QUIT,
            ]),
            vec![named("rejected rdns=a.example at end-of-message as ESMTP")],
        ),
        (
            "a greeting is not one before it is taken",
            session(&[
                &["1 <-- EHLO b(c", "1 --- 501 5.0.0 Invalid domain name"],
                &MAIL,
                &message,
                &QUIT,
            ]),
            vec![
                "192.0.2.7 b(c rejected rdns=a.example at ehlo as ESMTP".to_owned(),
                "192.0.2.7 ? accepted rdns=a.example as ESMTP".to_owned(),
            ],
        ),
        (
            "nothing is said",
            session(&[&MAIL, &message, &QUIT]),
            vec!["192.0.2.7 (none) accepted rdns=a.example as ESMTP".to_owned()],
        ),
        (
            "nothing at all",
            session(&[&QUIT]),
            vec!["192.0.2.7 (none) none rdns=a.example".to_owned()],
        ),
        ("only a name", session(&[&HELLO, &QUIT]), vec![named("none rdns=a.example as ESMTP")]),
        (
            "the last of two names",
            session(&[
                &HELLO,
                &["1 <-- HELO c.example", "2 --- 250 mx Hello RELAY"],
                &MAIL,
                &message,
                &QUIT,
            ]),
            vec![
                named("none rdns=a.example as ESMTP"),
                "192.0.2.7 c.example accepted rdns=a.example as ESMTP".to_owned(),
            ],
        ),
        (
            "STARTTLS forgets the name",
            session(&[
                &HELLO,
                &["1 <-- STARTTLS", "1 --- 220 2.0.0 Ready to start TLS", TLS],
                &MAIL,
                &message,
                &QUIT,
            ]),
            vec![
                named("none rdns=a.example as ESMTPS"),
                "192.0.2.7 ? accepted rdns=a.example as ESMTPS".to_owned(),
            ],
        ),
        (
            "it leaves",
            session(&[
                &HELLO,
                &MAIL[..4],
                &[
                    "1 --- 421 4.4.1 mx Lost input channel from RELAY",
                    "1 lost input channel from RELAY to MTA after rcpt",
                    EMPTY,
                ],
            ]),
            vec![named("aborted rdns=a.example as ESMTP")],
        ),
        (
            "a login",
            session(&[
                &HELLO,
                &[
                    "1 <-- AUTH LOGIN",
                    "1 --- 334 VX",
                    "1 --- 334 UG",
                    "1 --- 235 2.0.0 OK Authenticated",
                ],
                &QUIT,
            ]),
            vec![named("none rdns=a.example as ESMTPA login")],
        ),
        (
            "what the client says does not look like a reply",
            session(&[
                &[
                    "1 <-- EHLO --- 250 ok",
                    "1 --- 501 5.0.0 Invalid domain name",
                    "1 <-- EHLO x\\r\\n--- 250 ok",
                    "1 --- 501 5.0.0 Invalid domain name",
                ],
                &QUIT,
            ])
            .into_iter()
            .map(|one| one.split(" rdns").next().unwrap_or_default().to_owned())
            .collect(),
            vec![
                "192.0.2.7 --- 250 ok rejected".to_owned(),
                "192.0.2.7 x\\x0d\\x0a--- 250 ok rejected".to_owned(),
            ],
        ),
        (
            "the map beside it",
            session(&[
                &HELLO,
                &["1 ehlo-log,ip=[192.0.2.7],rdns=<a.example>,resolve=<OK>,helo=<a.example>"],
                &MAIL,
                &message,
                &QUIT,
            ]),
            vec![named("accepted rdns=a.example as ESMTP")],
        ),
        (
            "a list refuses the connection, as the client sees at MAIL",
            session(&[
                &[
                    ". ruleset=check_relay, arg1=a.example, arg2=127.0.0.2, relay=RELAY, reject=550 5.7.1 x refused by bl.rep.test",
                ],
                &HELLO,
                &["1 <-- MAIL FROM:<>", "1 --- 550 5.7.1 x refused by bl.rep.test"],
                &QUIT,
            ]),
            vec![named("rejected rdns=a.example at mail as ESMTP by us")],
        ),
    ] {
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn recipients_cannot_imitate_lines() {
    // At LogLevel 9 there are no commands: these are complaints.
    let lines = [SAID, "1 <-- EHLO c.example>... User unknown", "1 --- 250 ok", WHOLE];
    assert_eq!(told(&lines[..2]), ["192.0.2.7 b.example rejected rdns=a.example at rcpt"]);
    for text in [
        "from=\"<a>, size=1, class=0, nrcpts=1, msgid=<m>, relay=c.example [198.51.100.9], x=\"@l... User unknown",
        "ruleset=\"x, arg1=, relay=c.example [198.51.100.9], reject=550 5.7.1 \"@l... User unknown",
        "ehlo-log,ip=[198.51.100.9],rdns=<>,resolve=<OK>,helo=\"<c.example>\"@l... User unknown",
        "lost\" input channel from c.example [198.51.100.9] to MTA after rcpt\"@l... User unknown",
        "[198.51.100.9]\" did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA\"@l... User unknown",
    ] {
        let line = format!("1 {text}");
        let found = told(&[SAID, &line, WHOLE]);
        assert!(
            found.iter().all(|one| one.starts_with("192.0.2.7 b.example ")),
            "{text}: {found:?}"
        );
    }
    // With the dialog, the one doubt drops the session.
    let dialog = [
        CONNECT,
        "1 --- 220 mx",
        "1 <-- RCPT TO:<-- EHLO c.example>",
        "1 --- 550 5.1.1 <-- EHLO c.example>... User unknown",
        "1 <-- EHLO c.example>... User unknown",
    ];
    let lines = expanded(&dialog);
    let (told, fates) = read(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(fates.last(), Some(&Fate::Ambiguous));
}

//! What whole sessions come to: lines in, `ip name outcome stage` out.

#![allow(missing_docs)]

use helostat_ingest::heard::Heard;
use helostat_ingest::reader::{FormatChoice, Reader};
use helostat_zones::time::Time;
use jiff::tz::TimeZone;

fn told(head: &str, lines: &[&str]) -> Vec<String> {
    let latest = Time::parse("2026-11-20T15:00:00Z").expect("a time");
    let mut reader = Reader::new(FormatChoice::Auto, "mx".into(), TimeZone::UTC);
    let mut out = Vec::new();
    for line in lines {
        reader.read(format!("{head}{line}").as_bytes(), latest, &mut out);
    }
    reader.close(&mut out);
    // What is learned: users who log in stay apart, and what has no name teaches nothing.
    out.iter().filter(|one| one.apart.is_none() && one.name.is_some()).map(show).collect()
}

fn show(one: &Heard) -> String {
    let name = one.name.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let mut text = format!("{} {name} {}", one.ip, one.outcome);
    if let Some(rdns) = &one.rdns {
        text.push_str(&format!(" rdns={rdns}"));
    }
    if let Some(stage) = one.stage {
        text.push_str(&format!(" at {stage}"));
    }
    if let Some(old) = one.supersedes {
        text.push_str(&format!(" not {old}"));
    }
    text
}

#[test]
fn postfix_sessions() {
    let connect = "smtpd[7]: connect from a.example[192.0.2.7]";
    let reject = "smtpd[7]: NOQUEUE: reject: RCPT from a.example[192.0.2.7]: 550 5.1.1 <n@l>: no; from=<s@s> to=<n@l> proto=ESMTP helo=<a.example>";
    let permit = "smtpd[7]: NOQUEUE: permit: RCPT from a.example[192.0.2.7]: action=permit for Recipient address=o@l ; from=<s@s> to=<o@l> proto=ESMTP helo=<b.example>";
    let client = "smtpd[7]: 4A5B6C7D8E: client=a.example[192.0.2.7]";
    let login =
        "smtpd[7]: 4A5B6C7D8E: client=a.example[192.0.2.7], sasl_method=PLAIN, sasl_username=joe";
    let reinjected = "smtpd[7]: 4A5B6C7D8E: client=a.example[192.0.2.7], orig_queue_id=4, orig_client=x[198.51.100.9]";
    let info = "smtpd[7]: 4A5B6C7D8E: info: END-OF-MESSAGE from a.example[192.0.2.7]: ; from=<s@s> to=<o@l> proto=ESMTP helo=<a.example>";
    let id = "cleanup[8]: 4A5B6C7D8E: message-id=<1@s>";
    let milter = "cleanup[8]: 4A5B6C7D8E: milter-reject: END-OF-MESSAGE from a.example[192.0.2.7]: 5.7.1 no; from=<s@s> to=<o@l> proto=ESMTP helo=<a.example>";
    let before_queue = "smtpd[7]: NOQUEUE: client=a.example[192.0.2.7]";
    let filter_took = "smtpd[7]: proxy-accept: END-OF-MESSAGE: 250 2.0.0 from MTA(smtp:[127.0.0.1]:10013): 250 ok; from=<s@s> to=<o@l> proto=ESMTP helo=<a.example>";
    let filter_refused = "smtpd[7]: proxy-reject: END-OF-MESSAGE: 554 5.7.0 Reject, id=31619-02 - spam; from=<s@s> to=<o@l> proto=ESMTP helo=<a.example>";
    let lost = "smtpd[7]: lost connection after DATA (27 bytes) from a.example[192.0.2.7]";
    let lost_rcpt = "smtpd[7]: lost connection after RCPT from a.example[192.0.2.7]";
    let refused = "smtpd[7]: NOQUEUE: reject: EHLO from a.example[192.0.2.7]: 504 5.5.2 <a.example>: Helo command rejected: x; proto=SMTP helo=<a.example>";
    let other = "smtpd[7]: NOQUEUE: reject: RCPT from a.example[192.0.2.7]: 550 5.1.1 <n@l>: no; from=<s@s> to=<n@l> proto=ESMTP helo=<b.example>";
    let verify = "smtpd[7]: NOQUEUE: reject: VRFY from a.example[192.0.2.7]: 550 5.1.1 <n@l>: no; to=<n@l> proto=ESMTP helo=<a.example>";
    let permit_a = "smtpd[7]: NOQUEUE: permit: RCPT from a.example[192.0.2.7]: action=permit for Recipient address=o@l ; from=<s@s> to=<o@l> proto=ESMTP helo=<a.example>";
    let discard = "smtpd[7]: NOQUEUE: discard: MAIL from a.example[192.0.2.7]: <s@s>: Sender address x; from=<s@s> proto=ESMTP helo=<a.example>";
    let xclient = "smtpd[7]: NOQUEUE: reject: RCPT from c.example[198.51.100.9]: 450 4.1.1 <n@l>: no; from=<s@s> to=<n@l> proto=ESMTP helo=<c.example>";
    let end = |counters: &str| format!("smtpd[7]: disconnect from a.example[192.0.2.7] {counters}");
    let (all, one, none) = (
        end("ehlo=1 mail=1 rcpt=1/2 data=1 quit=1 commands=5/6"),
        end("ehlo=1 mail=1 rcpt=1 data=0/1 commands=3/4"),
        end("ehlo=2 mail=2 rcpt=1/2 data=1 quit=1 commands=7/8"),
    );
    let second = end("ehlo=1/2 mail=1 rcpt=1 data=1 quit=1 commands=5/6");
    let two = end("ehlo=2 mail=2 rcpt=1/3 data=1 quit=1 commands=7/9");
    let three = end("ehlo=3 mail=3 rcpt=1/3 data=1 quit=1 commands=8/10");
    let gone = end("ehlo=1 mail=1 rcpt=0/1 commands=2/3");
    let nothing = end("quit=1 commands=1");
    let absent = end("mail=1 rcpt=1 data=1 quit=1 commands=4");
    let failed = end("ehlo=0/1 mail=1 rcpt=1 data=1 quit=1 commands=4");
    let auth = end("ehlo=1 auth=1 mail=1 rcpt=0/1 quit=1 commands=4");
    let probe = end("ehlo=1 quit=1 commands=2");
    let rdns = "rdns=a.example";
    for (what, lines, expected) in [
        (
            "the EHLO line at the end of data",
            vec![connect, client, info, id, &all],
            vec![format!("192.0.2.7 a.example accepted {rdns}")],
        ),
        (
            "the name of another recipient's refusal",
            vec![connect, reject, client, id, &all],
            vec![format!("192.0.2.7 a.example partial {rdns} at rcpt")],
        ),
        (
            "two greetings: nobody knows whose mail it was",
            vec![connect, reject, client, id, &none],
            vec![format!("192.0.2.7 a.example rejected {rdns} at rcpt")],
        ),
        (
            "two greetings, both shown",
            vec![connect, reject, permit, client, id, &none],
            vec![
                format!("192.0.2.7 a.example rejected {rdns} at rcpt"),
                format!("192.0.2.7 b.example accepted {rdns}"),
            ],
        ),
        ("stock Postfix shows no name", vec![connect, client, id, &all], vec![]),
        (
            "a milter refused it",
            vec![connect, client, id, milter, &one],
            vec![format!("192.0.2.7 a.example rejected {rdns} at end-of-message")],
        ),
        (
            "a greeting that was refused is not the next one's mail",
            vec![connect, refused, client, id, &second],
            vec![format!("192.0.2.7 a.example rejected {rdns} at ehlo")],
        ),
        (
            "two names, and what was refused before a message says whose it is",
            vec![connect, reject, client, id, other, &two],
            vec![
                format!("192.0.2.7 a.example partial {rdns} at rcpt"),
                format!("192.0.2.7 b.example rejected {rdns} at rcpt"),
            ],
        ),
        (
            "another transaction that is not shown: nobody knows whose it is",
            vec![connect, reject, client, id, other, &three],
            vec![
                format!("192.0.2.7 a.example rejected {rdns} at rcpt"),
                format!("192.0.2.7 b.example rejected {rdns} at rcpt"),
            ],
        ),
        (
            "gone after a refused recipient",
            vec![connect, reject, lost_rcpt, &gone],
            vec![format!("192.0.2.7 a.example aborted {rdns} at rcpt")],
        ),
        (
            "gone after DATA was refused for want of recipients",
            vec![connect, reject, lost, &gone],
            vec![format!("192.0.2.7 a.example rejected {rdns} at rcpt")],
        ),
        (
            "VRFY and nothing else",
            vec![connect, verify, &probe],
            vec![format!("192.0.2.7 a.example rejected {rdns} at other")],
        ),
        (
            "VRFY beside a message",
            vec![connect, verify, permit_a, client, id, &all],
            vec![format!("192.0.2.7 a.example accepted {rdns}")],
        ),
        (
            "taken and thrown away",
            vec![connect, discard, &one],
            vec![format!("192.0.2.7 a.example accepted {rdns}")],
        ),
        (
            "gone in the middle of the message",
            vec![connect, permit, client, lost, &one],
            vec![format!("192.0.2.7 b.example aborted {rdns}")],
        ),
        (
            "mail without a greeting",
            vec![connect, client, id, &absent],
            vec![format!("192.0.2.7 (none) accepted {rdns}")],
        ),
        ("mail after a greeting that was refused", vec![connect, client, id, &failed], vec![]),
        (
            "no command but QUIT",
            vec![connect, &nothing],
            vec![format!("192.0.2.7 (none) none {rdns}")],
        ),
        ("EHLO and QUIT: the name is not shown", vec![connect, &probe], vec![]),
        ("a login by its own line", vec![connect, login, info, id, &all], vec![]),
        ("a login by the counters", vec![connect, reject, &auth], vec![]),
        (
            "a before-queue filter took one and refused one",
            vec![connect, before_queue, filter_took, before_queue, filter_refused, &all],
            vec![format!("192.0.2.7 a.example partial {rdns} at end-of-message")],
        ),
        ("a content filter gives back", vec![connect, reinjected, info, id, &all], vec![]),
        (
            "XCLIENT brings another client",
            vec![connect, xclient, &probe],
            vec!["198.51.100.9 c.example deferred rdns=c.example at rcpt".to_owned()],
        ),
        (
            "the log ends",
            vec![connect, reject],
            vec![format!("192.0.2.7 a.example rejected {rdns} at rcpt")],
        ),
    ] {
        assert_eq!(told("2026-11-20T13:40:22Z mx postfix/", &lines), expected, "{what}");
        assert_eq!(told("2026-11-20T13:40:22Z mx postfix/submission/", &lines), [""; 0], "{what}");
    }
}

#[test]
fn postscreen_sessions() {
    let lines = [
        "CONNECT from [192.0.2.7]:5 to [192.0.2.25]:25",
        "CONNECT from [192.0.2.7]:6 to [192.0.2.25]:25",
        "PREGREET 16 after 0 from [192.0.2.7]:6: EHLO b.example\\r\\n",
        "NOQUEUE: reject: RCPT from [192.0.2.7]:5: 450 4.3.2 Service currently unavailable; from=<s@s>, to=<o@l>, proto=ESMTP, helo=<a.example>",
        "NOQUEUE: reject: RCPT from [192.0.2.7]:6: 550 5.5.1 Protocol error; from=<s@s>, to=<o@l>, proto=ESMTP, helo=<b.example>",
        "PASS NEW [192.0.2.7]:5",
        "DISCONNECT [192.0.2.7]:5",
        "DISCONNECT [192.0.2.7]:6",
    ];
    let expected = ["192.0.2.7 a.example deferred at rcpt", "192.0.2.7 b.example rejected at rcpt"];
    assert_eq!(told("2026-11-20T13:40:22Z mx postfix/postscreen[7]: ", &lines), expected);
    assert_eq!(told("<22>1 2026-11-20T13:40:22Z mx postfix 7 - - ", &lines), expected);
}

#[test]
fn exim_sessions() {
    let refused = "H=r.example (a.example) [192.0.2.7] F=<s@s> rejected RCPT <n@l>: no";
    let hidden = "H=r.example [192.0.2.7] F=<s@s> rejected RCPT <n@l>: no";
    let logged = "ehlo-log ip=192.0.2.7 port=5 rdns=r.example helo=<r.example>";
    let taken = "1xUPlK-00003O-2Y <= s@s H=r.example (a.example) [192.0.2.7] P=esmtp S=3";
    let equal = "1xUPlK-00003O-2Y <= s@s H=r.example [192.0.2.7] P=esmtp S=3";
    let login =
        "1xUPlK-00003O-2Y <= s@s H=r.example (a.example) [192.0.2.7] P=esmtpa A=plain:joe S=3";
    let failed = "plain authenticator failed for r.example (a.example) [192.0.2.7]: 535 Incorrect (set_id=joe)";
    let lost =
        "SMTP connection from r.example (a.example) [192.0.2.7] lost while reading message data";
    let broken = "unexpected disconnection while reading SMTP command from r.example (a.example) [192.0.2.7] D=0s";
    let incomplete = "H=r.example (a.example) [192.0.2.7] incomplete transaction (connection lost) from <s@s> for ok@l";
    let hasty = "SMTP protocol synchronization error (next input sent too soon: pipelining was not advertised): rejected \"MAIL FROM:<s@s>\" H=r.example (a.example) [192.0.2.7] next input=\"RCPT TO:<n@l>\\r\\n\"";
    let banner = "H=[192.0.2.7] rejected connection in \"connect\" ACL: no";
    let syntax =
        "rejected EHLO from r.example [192.0.2.7]: syntactically invalid argument(s): a,example";
    let clean =
        "rejected EHLO from r.example [192.0.2.7]: syntactically invalid argument(s): a_b.example";
    let bare = "rejected MAIL from r.example [192.0.2.7]: no HELO/EHLO given";
    for (what, lines, expected) in [
        (
            "refused twice",
            vec![refused, refused],
            vec!["192.0.2.7 a.example rejected rdns=r.example at rcpt"],
        ),
        (
            "refused, then taken",
            vec![refused, taken],
            vec![
                "192.0.2.7 a.example rejected rdns=r.example at rcpt",
                "192.0.2.7 a.example partial rdns=r.example at rcpt not rejected",
            ],
        ),
        (
            "refused, then lost",
            vec![refused, lost],
            vec![
                "192.0.2.7 a.example rejected rdns=r.example at rcpt",
                "192.0.2.7 a.example aborted rdns=r.example at rcpt not rejected",
            ],
        ),
        (
            "the name is the reverse name",
            vec![equal],
            vec!["192.0.2.7 r.example accepted rdns=r.example"],
        ),
        ("a refusal does not prove a greeting", vec![hidden], vec![]),
        (
            "but a message that follows does",
            vec![hidden, equal],
            vec!["192.0.2.7 r.example partial rdns=r.example at rcpt"],
        ),
        (
            "and so does the EHLO line",
            vec![logged, hidden],
            vec!["192.0.2.7 r.example rejected rdns=r.example at rcpt"],
        ),
        ("the EHLO line alone", vec![logged], vec!["192.0.2.7 r.example none rdns=r.example"]),
        ("a login", vec![login], vec![]),
        ("a failed login", vec![failed], vec!["192.0.2.7 a.example none rdns=r.example"]),
        ("broken off", vec![broken], vec!["192.0.2.7 a.example aborted rdns=r.example"]),
        (
            "gone after a refusal: all may have been refused",
            vec![refused, broken],
            vec!["192.0.2.7 a.example rejected rdns=r.example at rcpt"],
        ),
        (
            "gone with recipients that were taken",
            vec![refused, incomplete, broken],
            vec![
                "192.0.2.7 a.example rejected rdns=r.example at rcpt",
                "192.0.2.7 a.example aborted rdns=r.example at rcpt not rejected",
            ],
        ),
        ("it did not wait", vec![hasty], vec!["192.0.2.7 a.example aborted rdns=r.example"]),
        ("a login at the second attempt", vec![failed, login], vec![]),
        ("refused at the banner", vec![banner], vec!["192.0.2.7 (none) refused at connect"]),
        (
            "a malformed name",
            vec![syntax, bare],
            vec!["192.0.2.7 a,example rejected rdns=r.example at ehlo"],
        ),
        ("a name that Exim refused and we would not", vec![clean, bare], vec![]),
        ("no greeting", vec![bare], vec!["192.0.2.7 (none) rejected rdns=r.example at mail"]),
    ] {
        assert_eq!(told("2026-11-20 13:40:22 ", &lines), expected, "{what}");
        assert_eq!(
            told("2026-11-20T13:40:22Z mx exim[7]: 2026-11-20 13:40:22 ", &lines),
            expected,
            "{what}"
        );
    }
}

/// Where only the address is known: by senders, by seconds, by what breaks a connection.
#[test]
fn exim_transactions_of_an_address() {
    let refused = |time: &str, sender: &str| {
        format!(
            "2026-11-20 13:40:{time} H=(a.example) [192.0.2.7] F=<{sender}> rejected RCPT <n@l>: no"
        )
    };
    let taken = |time: &str, sender: &str| {
        format!(
            "2026-11-20 13:40:{time} 1xUPlK-00003O-2Y <= {sender} H=(a.example) [192.0.2.7] P=esmtp S=3"
        )
    };
    let login = |time: &str| {
        format!(
            "2026-11-20 13:40:{time} 1xUPlK-00003O-2Y <= s@s H=(a.example) [192.0.2.7] P=esmtpa A=plain:joe S=3"
        )
    };
    let failed = |time: &str| {
        format!(
            "2026-11-20 13:40:{time} plain authenticator failed for (a.example) [192.0.2.7]: 535 Incorrect (set_id=joe)"
        )
    };
    let broken = |time: &str| {
        format!(
            "2026-11-20 13:40:{time} TLS error on connection from (a.example) [192.0.2.7] (recv): x"
        )
    };
    let of_port = |time: &str, port: &str| {
        format!(
            "2026-11-20 13:40:{time} H=(a.example) [192.0.2.7]:{port} F=<s@s> rejected RCPT <n@l>: no"
        )
    };
    let one = |outcome: &str| format!("192.0.2.7 a.example {outcome}");
    let rejected = one("rejected at rcpt");
    let partial = one("partial at rcpt not rejected");
    for (what, lines, expected) in [
        (
            "recipients of one sender",
            vec![refused("22", "s@s"), refused("23", "s@s")],
            vec![&rejected],
        ),
        ("two senders", vec![refused("22", "s@s"), refused("22", "t@s")], vec![&rejected; 2]),
        (
            "one sender, and again later",
            vec![refused("22", "s@s"), refused("25", "s@s")],
            vec![&rejected; 2],
        ),
        (
            "the text takes its time",
            vec![refused("22", "s@s"), taken("52", "s@s")],
            vec![&rejected, &partial],
        ),
        (
            "another sender's message",
            vec![refused("22", "s@s"), taken("22", "t@s")],
            vec![&rejected, &one("accepted")],
        ),
        (
            "another bounce, perhaps",
            vec![refused("22", ""), taken("52", "<>")],
            vec![&rejected, &one("accepted")],
        ),
        ("a login of its own", vec![failed("22"), login("23")], vec![]),
        ("no login of its own", vec![failed("22"), refused("23", "s@s")], vec![&rejected]),
        ("a login, later", vec![failed("22"), refused("29", "s@s")], vec![&one("none"), &rejected]),
        (
            "a connection that broke",
            vec![broken("22"), refused("22", "s@s")],
            vec![&one("none"), &rejected],
        ),
        ("a connection that breaks", vec![refused("22", "s@s"), broken("22")], vec![&rejected]),
        (
            "the port tells",
            vec![of_port("22", "5"), of_port("22", "6"), of_port("22", "5")],
            vec![&rejected; 2],
        ),
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(
            told("", &lines),
            expected.into_iter().cloned().collect::<Vec<String>>(),
            "{what}"
        );
    }
}

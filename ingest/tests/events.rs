//! What the logs of Haraka, rspamd and Stalwart come to: lines in, `ip name outcome stage` out. Every case is read
//! twice, the second time by a reader that is saved and restored before every line.

#![allow(missing_docs)]

use helostat_ingest::fate::Fate;
use helostat_ingest::heard::Heard;
use helostat_ingest::reader::{FormatChoice, Reader};
use helostat_zones::time::Time;
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn reader() -> Reader {
    Reader::new(FormatChoice::Auto, "mx".into(), TimeZone::UTC)
}

fn latest() -> Time {
    Time::parse("2026-11-20T15:00:00Z").expect("a time")
}

fn read(lines: &[String]) -> (Vec<Heard>, Vec<Fate>) {
    let (mut steady, mut stopped) = (reader(), reader());
    let (mut out, mut again, mut fates) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        let saved = stopped.save();
        stopped = reader().restore(&saved).expect("what save wrote");
        assert_eq!(stopped.save(), saved, "{line}");
        let reading = steady.read(line.as_bytes(), latest(), &mut out);
        assert_eq!(reading, stopped.read(line.as_bytes(), latest(), &mut again), "{line}");
        fates.push(reading.fate);
    }
    steady.close(&mut out);
    stopped.close(&mut again);
    assert_eq!(out, again, "stopping changed something");
    (out, fates)
}

fn told(head: &str, lines: &[&str]) -> Vec<String> {
    let lines: Vec<String> = lines.iter().map(|line| format!("{head}{line}")).collect();
    read(&lines).0.iter().map(show).collect()
}

fn show(one: &Heard) -> String {
    let name = one.name.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let mut text = format!("{} {name} {}", one.ip, one.outcome);
    if let Some(stage) = one.stage {
        text.push_str(&format!(" at {stage}"));
    }
    if let Some(rdns) = &one.rdns {
        text.push_str(&format!(" rdns={rdns}"));
    }
    if let Some(proto) = one.proto {
        text.push_str(&format!(" {}", proto.word()));
    }
    if let Some(apart) = one.apart {
        text.push_str(&format!(" apart={}", apart.word()));
    }
    text
}

const UUID: &str = "3034BB5F-6B7B-4896-99E3-33C5B58086B1";

/// Lines of one Haraka connection: `L|N|origin|text`, N the transaction.
fn haraka(lines: &[&str]) -> Vec<String> {
    let written: Vec<String> = lines.iter().map(|line| haraka_line(line)).collect();
    let written: Vec<&str> = written.iter().map(String::as_str).collect();
    told("", &written)
}

fn haraka_line(line: &str) -> String {
    let mut parts = line.splitn(4, '|');
    let mut part = || parts.next().unwrap_or_default();
    let (level, number, origin, text) = (part(), part(), part(), part());
    let level = if level == "N" { "NOTICE" } else { "INFO" };
    let dot = if number.is_empty() { "" } else { "." };
    format!("2026-11-20T14:13:23.518Z [{level}] [{UUID}{dot}{number}] [{origin}] {text}")
}

/// The last line, with its greeting, its counters and the last refusal.
fn disconnect(helo: &str, counters: &str, lr: &str) -> String {
    format!(
        "N|1|core|disconnect ip=192.0.2.7 rdns=NXDOMAIN helo={helo} relay=N early=N esmtp=Y tls=N pipe=N errors=0 \
         {counters} bytes=0 lr=\"{lr}\" time=0.050"
    )
}

#[test]
fn haraka_connections() {
    let connect = "N||core|connect ip=192.0.2.7 port=50 local_ip=127.0.0.1 local_port=25";
    let gone = "I|1|core|client half closed connection ip=192.0.2.7";
    let sender = "N|1|core|sender <s@sender.test> code=CONT msg=\"\"";
    let second = "N|2|core|sender <\"x> code=DENY msg=a\"@sender.test> code=CONT msg=\"\"";
    let ok = "N|1|core|recipient <o@local.test> code=OK msg=\"\" sender=s@sender.test";
    let no =
        "N|1|core|recipient <n@local.test> code=DENY msg=\"User unknown\" sender=s@sender.test";
    let later = "N|1|core|recipient <n@local.test> code=DENYSOFT msg=later sender=s@sender.test";
    let message =
        "N|1|core|message mid=<1@sender.test> size=9 rcpts=1/0/0 delay=0 code=CONT msg=\"\"";
    let queued = "N|1|core|queue code=OK msg=\"queued (3034BB5F)\"";
    let ok2 = "N|2|core|recipient <o@local.test> code=OK msg=\"\" sender=s@sender.test";
    let no2 = "N|2|core|recipient <n@local.test> code=DENY msg=no sender=s@sender.test";
    let bad_greeting =
        "I||core| hook=ehlo plugin=helo function=f params=bad.example retval=DENY msg=bot";
    let banner = "I||core| hook=connect plugin=dnsbl function=f params=\"\" retval=DENYDISCONNECT msg=listed";
    let data =
        "I|1|core| hook=data plugin=p function=f params=\"\" retval=DENYSOFT msg=\"not now\"";
    let end = |counters: &str, lr: &str| disconnect("a.example", counters, lr);
    let (one, none) = ("txns=1 rcpts=1/0/0 msgs=1/0/0", "txns=0 rcpts=0/0/0 msgs=0/0/0");
    let silent = disconnect("\"\"", none, "").replace("esmtp=Y", "esmtp=N");
    let after_unknown = silent.replace("lr=\"\"", "lr=\"500 Unrecognized command\"");
    let login = end(one, "").replace("relay=N", "relay=Y");
    for (what, lines, expected) in [
        (
            "accepted",
            vec![connect, sender, ok, message, queued, &end(one, "")],
            vec!["a.example accepted"],
        ),
        (
            "some recipients refused",
            vec![
                connect,
                sender,
                ok,
                no,
                message,
                queued,
                &end("txns=1 rcpts=1/0/1 msgs=1/0/0", "550 no"),
            ],
            vec!["a.example partial at rcpt"],
        ),
        (
            "refused, and said goodbye",
            vec![connect, sender, no, &end("txns=1 rcpts=0/0/1 msgs=0/0/0", "550 User unknown")],
            vec!["a.example rejected at rcpt"],
        ),
        (
            "refused, and hung up",
            vec![
                connect,
                sender,
                no,
                gone,
                &end("txns=1 rcpts=0/0/1 msgs=0/0/0", "550 User unknown"),
            ],
            vec!["a.example aborted at rcpt"],
        ),
        (
            "refused, tried DATA, and hung up",
            vec![
                connect,
                sender,
                later,
                gone,
                &end("txns=1 rcpts=0/1/0 msgs=0/0/0", "503 RCPT required first"),
            ],
            vec!["a.example deferred at rcpt"],
        ),
        (
            "hung up with a recipient",
            vec![connect, sender, ok, gone, &end("txns=1 rcpts=1/0/0 msgs=0/0/0", "")],
            vec!["a.example aborted"],
        ),
        (
            "refused at MAIL",
            vec![
                connect,
                "N|1|core|sender <s@sender.test> code=DENY msg=blocked",
                gone,
                &end("txns=1 rcpts=0/0/0 msgs=0/0/0", "550 blocked"),
            ],
            vec!["a.example rejected at mail"],
        ),
        (
            "the message decides, not a recipient before it",
            vec![
                connect,
                sender,
                ok,
                no,
                "N|1|core|message mid=<1@s> size=9 rcpts=1/0/1 delay=0 code=DENYSOFT msg=\"content says later\"",
                &end("txns=1 rcpts=1/0/1 msgs=0/1/0", "450 content says later"),
            ],
            vec!["a.example deferred at end-of-message"],
        ),
        (
            "refused at DATA",
            vec![connect, sender, ok, data, &end("txns=1 rcpts=1/0/0 msgs=0/0/0", "451 not now")],
            vec!["a.example deferred at data"],
        ),
        (
            "two transactions: the greeting is the last one's",
            vec![
                connect,
                sender,
                ok,
                message,
                queued,
                second,
                no2,
                &end("txns=2 rcpts=1/0/1 msgs=1/0/0", "550 no"),
            ],
            vec!["? accepted", "a.example rejected at rcpt"],
        ),
        (
            "two transactions that came to the same",
            vec![connect, sender, no, second, no2, &end("txns=2 rcpts=0/0/2 msgs=0/0/0", "550 no")],
            vec!["a.example rejected at rcpt"],
        ),
        (
            "a recipient that no plugin took is logged as taken",
            vec![
                connect,
                sender,
                no,
                second,
                ok2,
                &end("txns=2 rcpts=0/0/2 msgs=0/0/0", "550 I cannot deliver"),
            ],
            vec!["a.example rejected at rcpt"],
        ),
        (
            "lines are missing, and a MAIL may have been refused",
            vec![connect, &end("txns=2 rcpts=1/0/0 msgs=1/0/0", "550 blocked")],
            vec!["? accepted"],
        ),
        (
            "lines are missing, and the counters do not agree",
            vec![connect, second, no2, &end("txns=3 rcpts=2/0/1 msgs=2/0/0", "550 no")],
            vec!["? partial at rcpt"],
        ),
        (
            "a refused greeting, then another",
            vec![connect, bad_greeting, sender, ok, message, queued, &end(one, "550 bot")],
            vec!["bad.example rejected at ehlo", "a.example accepted"],
        ),
        (
            "a refused greeting only",
            vec![connect, bad_greeting, &disconnect("\"\"", none, "503 Use EHLO/HELO before MAIL")],
            vec!["bad.example rejected at ehlo"],
        ),
        (
            "a greeting that ended the connection is kept",
            vec![connect, bad_greeting, &disconnect("bad.example", none, "550 bot")],
            vec!["bad.example rejected at ehlo"],
        ),
        (
            "refused at the banner",
            vec![connect, banner, &disconnect("\"\"", none, "554 listed")],
            vec!["? refused at connect"],
        ),
        ("nothing was said", vec![connect, &silent], vec!["(none) none"]),
        ("nothing was said but nonsense", vec![connect, gone, &after_unknown], vec!["(none) none"]),
        (
            "at level NOTICE a greeting may have been refused",
            vec![connect, &after_unknown],
            vec!["? none"],
        ),
        (
            "MAIL before a greeting, after STARTTLS",
            vec![
                connect,
                "I||tls|secured: cipher=x",
                &disconnect("\"\"", none, "503 Use EHLO/HELO before MAIL"),
            ],
            vec!["? rejected at mail"],
        ),
        (
            "an unknown command is no mail",
            vec![connect, &end(none, "500 Unrecognized command")],
            vec!["a.example none"],
        ),
        ("a login", vec![connect, "N||auth/flat_file|x", &login], vec!["a.example accepted login"]),
        (
            "behind a proxy",
            vec![
                "N||core|connect ip=127.0.0.1 port=50 local_ip=127.0.0.1 local_port=25",
                "I||core|HAProxy proto=TCP4 src_ip=192.0.2.7:50 dst_ip=192.0.2.25:25",
                sender,
            ],
            vec!["? none"],
        ),
    ] {
        let expected: Vec<String> = expected
            .iter()
            .map(|told| {
                let proto = if told.starts_with("? none") || told.starts_with("(none)") {
                    " SMTP"
                } else {
                    " ESMTP"
                };
                match (what, told.strip_suffix(" login")) {
                    ("behind a proxy", _) => format!("192.0.2.7 {told}"),
                    (_, Some(told)) => format!("192.0.2.7 {told} ESMTPA apart=login"),
                    (_, None) => format!("192.0.2.7 {told}{proto}"),
                }
            })
            .collect();
        assert_eq!(haraka(&lines), expected, "{what}");
    }
}

#[test]
fn haraka_in_every_form() {
    let expected = vec!["192.0.2.7 a.example accepted ESMTPS".to_owned()];
    let fields = "ip=192.0.2.7 rdns=x.example helo=a.example relay=N early=N esmtp=Y tls=Y pipe=N errors=0 txns=1 \
                  rcpts=1/0/0 msgs=1/0/0 bytes=9 lr=\"\" time=1.5";
    let json = "\"ip\":\"192.0.2.7\",\"rdns\":\"x.example\",\"helo\":\"a.example\",\"relay\":\"N\",\"early\":\"N\",\
                \"esmtp\":\"Y\",\"tls\":\"Y\",\"pipe\":\"N\",\"errors\":0,\"txns\":1,\"rcpts\":\"1/0/0\",\
                \"msgs\":\"1/0/0\",\"bytes\":9,\"lr\":\"550 No: such\",\"time\":1.5}";
    let head = format!("[NOTICE] [{UUID}.1] [core] disconnect ");
    for line in [
        format!("2026-11-20T14:13:23.518Z {head}{fields}"),
        format!("{head}{fields}"),
        format!("[NOTICE] [core] disconnect {fields}"),
        format!("[core] disconnect {fields}"),
        format!("Nov 20 14:13:23 mx haraka[7]: {head}{fields}"),
        format!("2026-11-20T14:13:23Z mx haraka[7]: 2026-11-20T14:13:23.518Z {head}{fields}"),
        format!("<22>1 2026-11-20T14:13:23Z mx haraka 7 - - {head}{fields}"),
        format!("level=NOTICE uuid={UUID}.1 origin=core message=disconnect {fields}"),
        format!(
            "2026-11-20T14:13:23.518Z level=NOTICE uuid={UUID} origin=core message=disconnect {fields}"
        ),
        format!(
            "{{\"level\":\"NOTICE\",\"uuid\":\"{UUID}.1\",\"origin\":\"core\",\"message\":\"disconnect\",{json}"
        ),
        format!(
            "2026-11-20T14:13:23.518Z {{\"level\":\"NOTICE\",\"uuid\":\"{UUID}\",\"origin\":\"core\",\
             \"message\":\"disconnect\",{json}"
        ),
    ] {
        assert_eq!(told("", &[&line]), expected, "{line}");
    }
}

#[test]
fn haraka_values_that_go_on() {
    let connect =
        haraka_line("N||core|connect ip=192.0.2.7 port=50 local_ip=127.0.0.1 local_port=25");
    let forged_uuid = UUID.replace('3', "4");
    let forged = format!(
        "2026-11-20T14:13:23.518Z [NOTICE] [{forged_uuid}] [core] disconnect ip=6.6.6.6 helo=evil.example esmtp=Y \
         txns=1 rcpts=1/0/0 msgs=1/0/0 time=1"
    );
    let postfix = "Nov 20 13:40:22 mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from a[6.6.6.6]: 550 5.1.1 <n@l>: no; \
                   from=<s@s> to=<n@l> proto=ESMTP helo=<evil.example>";
    let end = haraka_line(&disconnect("a.example", "txns=1 rcpts=1/0/0 msgs=1/0/0", ""));
    // A message with several Message-IDs: the lines between the quotes are the sender's.
    let lines = [
        connect,
        haraka_line("N|1|core|message mid=\"<1@s> \\\" x=1"),
        forged.clone(),
        postfix.to_owned(),
        "{\"log\":\"2026-11-20T14:13:23Z [core] disconnect ip=6.6.6.6 helo=evil.example\\n\"}"
            .replace('"', "\\\""),
        "<2@s>\" size=9 rcpts=1/0/0 delay=0 code=CONT msg=\"\"".to_owned(),
        end.clone(),
    ];
    let (heard, fates) = read(&lines);
    let shown: Vec<String> = heard.iter().map(show).collect();
    assert_eq!(shown, ["192.0.2.7 a.example accepted ESMTP"]);
    assert_eq!(fates.iter().filter(|fate| **fate == Fate::Ambiguous).count(), 5, "{fates:?}");
    // A value that was cut costs the lines up to the next quote, no more.
    let cut = [lines[1].clone(), end.clone(), end];
    assert_eq!(read(&cut).0.len(), 1);
}

#[test]
fn haraka_greetings_are_no_fields() {
    for (helo, expected) in [
        ("a.example", "a.example"),
        ("\"x helo=evil.example\"", "x helo=evil.example"),
        (
            "\"\\\",\\\"ip\\\":\\\"6.6.6.6\\\",\\\"helo\\\":\\\"evil.example\\\"\"",
            "\",\"ip\":\"6.6.6.6\",\"helo\":\"evil.example\"",
        ),
        ("a\\rb.example", "a\\rb.example"),
        ("[192.0.2.7]", "[192.0.2.7]"),
    ] {
        let line = disconnect(
            helo,
            "txns=1 rcpts=1/0/0 msgs=1/0/0",
            "550 helo=fake.example ip=6.6.6.6 denied",
        );
        let connect = "N||core|connect ip=192.0.2.7 port=50 local_ip=127.0.0.1 local_port=25";
        assert_eq!(
            haraka(&[connect, &line]),
            [format!("192.0.2.7 {expected} accepted ESMTP")],
            "{helo}"
        );
    }
}

#[test]
fn rspamd_messages() {
    let logged =
        |ip: &str, rest: &str| format!("<e5c3c2>; lua; helostat.lua:26: ehlo-log ip={ip} {rest}");
    let task = |id: &str, ip: &str, result: &str| {
        format!(
            "<{id}>; task; rspamd_task_write_log: id: <1@sender.test>, qid: <Q1>, ip: {ip}, from: <s@s>, (default: {result}: \
             [2.1/15.00] [X(1.00){{}}]), len: 147, time: 226.243ms, dns req: 5, digest: <5f>, rcpts: <o@local.test>"
        )
    };
    let accepted = task("e5c3c2", "192.0.2.7", "F (no action)");
    let good = logged("192.0.2.7", "rdns=a.example user=- action=no action helo=<a.example>");
    let forged = logged(
        "192.0.2.7",
        "rdns=- user=- action=greylist helo=<x ip=6.6.6.6 rdns=a action=reject helo=<evil.example>>",
    );
    let (id, body) =
        ("<1@s>, qid: <Q>, ip: 6.6.6.6, from: <a@b>, (default: F (no action): [1/2] [X", "");
    let hostile =
        accepted.replace("1@sender.test", id).replace("(default", &format!("{body}(default"));
    let by_user = accepted.replace("192.0.2.7,", "192.0.2.7, user: joe,");
    for (what, lines, expected) in [
        (
            "our line and the task's are one message",
            vec![&*good, &accepted],
            vec!["192.0.2.7 a.example accepted rdns=a.example"],
        ),
        ("without our line there is no name", vec![&accepted], vec!["192.0.2.7 ? accepted"]),
        (
            "another task's line in between",
            vec![&good, &task("aaaaaa", "192.0.2.9", "T (reject)"), &accepted],
            vec![
                "192.0.2.9 ? rejected at end-of-message",
                "192.0.2.7 a.example accepted rdns=a.example",
            ],
        ),
        (
            "a name that looks like fields",
            vec![&forged, &accepted],
            vec![
                "192.0.2.7 x ip=6.6.6.6 rdns=a action=reject helo=<evil.example> deferred at end-of-message",
            ],
        ),
        (
            "no name was passed on",
            vec![&logged("192.0.2.7", "rdns=- user=- action=soft reject helo=<>"), &accepted],
            vec!["192.0.2.7 ? deferred at end-of-message"],
        ),
        (
            "a user",
            vec![&logged("192.0.2.7", "rdns=- user=yes action=no action helo=<pc>"), &accepted],
            vec!["192.0.2.7 pc accepted apart=login"],
        ),
        ("a user without our line", vec![&by_user], vec!["192.0.2.7 ? accepted apart=login"]),
        (
            "a line of ours that was cut",
            vec![&logged("192.0.2.7", "rdns=- action=add header helo=<a.exam")],
            vec!["192.0.2.7 ? accepted"],
        ),
        ("a message's id with two readings", vec![&hostile], vec![]),
        ("no client", vec![&accepted.replace(", ip: 192.0.2.7", "")], vec![]),
    ] {
        for head in [
            "2026-11-20 14:18:46 #321(normal) ",
            "2026-11-20 14:18:46.123 [info] #321(rspamd_proxy) ",
            "Nov 20 14:18:46 mx rspamd[321]: ",
            "Nov 20 14:18:46 mx rspamd[321]: (normal) ",
        ] {
            assert_eq!(told(head, &lines), expected, "{what}, {head}");
        }
    }
    let json = |function: &str, message: &str| {
        format!(
            "{{\"ts\": 1795184326.5, \"pid\": 321, \"severity\": \"info\", \"worker_type\": \"normal\", \"id\": \"e5c3c2\", \
             \"module\": \"lua\", \"function\": \"{function}\", \"message\": \"{message}\"}}"
        )
    };
    let lines = [
        json(
            "helostat.lua:26",
            "ehlo-log ip=192.0.2.7 rdns=- user=- action=reject helo=<a.example>",
        ),
        json(
            "rspamd_task_write_log",
            "id: <1@s>, ip: 192.0.2.7, (default: T (reject): [15.00/15.00] [X]), len: 1",
        ),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(told("", &lines), ["192.0.2.7 a.example rejected at end-of-message"]);
}

#[test]
fn rspamd_history() {
    let row = |ip: &str, action: &str, user: &str| {
        format!(
            "{{\"time\":\"2026-11-20 14:18:55\",\"unix_time\":1795184335,\"id\":\"1@s\",\"ip\":\"{ip}\",\"action\":\"{action}\",\
             \"score\":2.1,\"required_score\":15.0,\"symbols\":{{}},\"user\":\"{user}\"}}"
        )
    };
    let (one, two) = (row("192.0.2.7", "no action", ""), row("2001:db8::7", "greylist", "joe"));
    let none = row("unknown", "reject", "");
    let both = ["192.0.2.7 ? accepted", "2001:db8::7 ? deferred at end-of-message apart=login"];
    assert_eq!(told("", &[&format!("[{one},{two},{none}]")]), both);
    assert_eq!(told("", &[&format!("{{\"version\":2,\"rows\":[{one},{two}]}}")]), both);
    assert_eq!(told("", &[&one, &two, &none]), both);
}

/// Lines of one Stalwart session; the head has the keys of the connection.
fn stalwart(lines: &[&str]) -> Vec<String> {
    told("2026-11-20T14:18:46Z INFO ", lines)
}

const PEER: &str =
    "listenerId = \"smtp\", localPort = 25, remoteIp = 192.0.2.7, remotePort = 50388";

#[test]
fn stalwart_sessions() {
    let event = |what: &str, own: &str| {
        let comma = if own.is_empty() { "" } else { ", " };
        format!("Some words ({what}) {PEER}{comma}{own}")
    };
    let ehlo = event("smtp.ehlo", "domain = \"a.example\"");
    let other = event("smtp.ehlo", "domain = \"b.example\"");
    let tls =
        event("tls.handshake", "listenerId = \"smtp\", version = \"TLSv1_3\", details = \"TLS13\"");
    let iprev = event(
        "smtp.iprev-pass",
        "domain = \"a.example\", result = IPREV check passed (iprev.pass) { details = [\"mx.a.example.\"] }, elapsed = 1ms",
    );
    let check_a = event(
        "smtp.spf-from-fail",
        "domain = \"a.example\", from = \"s@s\", result = x (spf.fail), elapsed = 0ms",
    );
    let mail = event("smtp.mail-from", "from = \"s@sender.test\"");
    let rcpt = event("smtp.rcpt-to", "to = \"o@local.test\"");
    let unknown = event("smtp.mailbox-does-not-exist", "to = \"n@local.test\"");
    let greylisted = event("smtp.rcpt-to-greylisted", "to = \"n@local.test\"");
    let queued = event(
        "queue.message-queued",
        "queueId = 7, from = \"s@s\", to = [\"o@local.test\"], size = 9",
    );
    let dmarc =
        event("smtp.dmarc-fail", "strict = true, domain = \"evil.example\", policy = \"reject\"");
    let spam = event(
        "spam.classify",
        "queueId = 7, result = \"reject\", reason = \"Message rejected due to excessive spam score.\"",
    );
    let login = event("auth.success", "accountName = \"joe\"");
    let (start, end) =
        (event("smtp.connection-start", ""), event("smtp.connection-end", "elapsed = 9ms"));
    let (quit, rset) = (event("smtp.quit", ""), event("smtp.rset", ""));
    let invalid = event("smtp.invalid-ehlo", "domain = \"bad\"");
    let no_greeting = event("smtp.did-not-say-ehlo", "");
    for (what, lines, expected) in [
        ("accepted", vec![&*ehlo, &mail, &rcpt, &queued], vec!["a.example accepted"]),
        (
            "under TLS the name stays",
            vec![&ehlo, &tls, &iprev, &mail, &rcpt, &queued, &end],
            vec!["a.example accepted rdns=mx.a.example ESMTPS"],
        ),
        (
            "some recipients refused",
            vec![&ehlo, &mail, &unknown, &rcpt, &queued],
            vec!["a.example partial at rcpt"],
        ),
        (
            "refused",
            vec![&ehlo, &mail, &unknown, &greylisted, &end],
            vec!["a.example rejected at rcpt"],
        ),
        (
            "greylisted",
            vec![&ehlo, &mail, &greylisted, &quit, &end],
            vec!["a.example deferred at rcpt"],
        ),
        (
            "read and not queued",
            vec![&ehlo, &mail, &rcpt, &dmarc, &end],
            vec!["a.example rejected at end-of-message"],
        ),
        (
            "spam",
            vec![&ehlo, &mail, &rcpt, &dmarc, &spam, &end],
            vec!["a.example rejected at end-of-message"],
        ),
        ("left", vec![&ehlo, &mail, &rcpt, &end], vec!["a.example aborted"]),
        ("said goodbye", vec![&ehlo, &mail, &rcpt, &rset, &quit, &end], vec!["a.example none"]),
        (
            "two names",
            vec![&ehlo, &mail, &rcpt, &queued, &other, &mail, &unknown, &end],
            vec!["a.example accepted", "b.example rejected at rcpt"],
        ),
        (
            "a greeting that was taken back: MAIL says which is in force",
            vec![&ehlo, &other, &check_a, &mail, &rcpt, &queued, &end],
            vec!["a.example accepted", "b.example none"],
        ),
        ("an invalid greeting", vec![&start, &invalid, &end], vec!["bad rejected at ehlo"]),
        ("no greeting", vec![&start, &no_greeting, &end], vec!["(none) rejected at mail"]),
        (
            "no greeting, and the beginning was not read",
            vec![&no_greeting, &end],
            vec!["? rejected at mail"],
        ),
        (
            "a login",
            vec![&ehlo, &login, &mail, &rcpt, &end],
            vec!["a.example aborted ESMTPA apart=login"],
        ),
        (
            "another session on the same port",
            vec![&start, &ehlo, &start, &end],
            vec!["a.example none", "(none) none"],
        ),
    ] {
        let expected: Vec<String> =
            expected.iter().map(|told| format!("192.0.2.7 {told}")).collect();
        assert_eq!(stalwart(&lines), expected, "{what}");
    }
}

#[test]
fn stalwart_in_every_form() {
    let text = format!("SMTP EHLO command (smtp.ehlo) {PEER}, domain = \"a.example\"");
    let coloured = "\x1b[37m2026-11-20T14:18:46Z\x1b[0m \x1b[32;1mINFO\x1b[0m \x1b[37;1mSMTP EHLO command\x1b[0m (smtp.ehlo) \
                    \x1b[36mlistenerId\x1b[0m = \"smtp\", \x1b[36mremoteIp\x1b[0m = 192.0.2.7, \
                    \x1b[36mremotePort\x1b[0m = 7, \x1b[36mdomain\x1b[0m = \"a.example\"";
    let old = "SMTP EHLO command (smtp.ehlo) listenerId = \"smtp\", protocol = smtp, remoteIp = 192.0.2.7, remotePort = 5, \
               listenerId = \"smtp\", protocol = smtp, domain = \"a.example\"";
    let json = "{\"createdAt\":\"2026-11-20T14:18:46Z\",\"type\":\"smtp.ehlo\",\"data\":{\"domain\":\"a.example\",\
                \"listenerId\":\"smtp\",\"localPort\":25,\"remoteIp\":\"192.0.2.7\",\"remotePort\":50388}}";
    for line in [
        format!("2026-11-20T14:18:46Z INFO {text}"),
        format!("2026-11-20T14:18:46Z INFO {old}"),
        format!("Nov 20 14:18:46 mx stalwart[7]: 2026-11-20T14:18:46Z INFO {text}"),
        format!("2026-11-20T14:18:46Z mx stalwart-mail[7]: 2026-11-20T14:18:46Z INFO {text}"),
        coloured.to_owned(),
        json.to_owned(),
    ] {
        assert_eq!(told("", &[&line]), ["192.0.2.7 a.example none"], "{line}");
    }
}

#[test]
fn stalwart_names_are_no_keys() {
    for (said, expected) in [
        (
            "x\", remoteIp = 6.6.6.6, domain = \"evil.example",
            "x\", remoteip = 6.6.6.6, domain = \"evil.example",
        ),
        ("evil\x1b[0m.example", "evil\\x1b[0m.example"),
        ("a.example\\nb", "a.example\\nb"),
    ] {
        let line = format!("SMTP EHLO command (smtp.ehlo) {PEER}, domain = \"{said}\"");
        assert_eq!(stalwart(&[&line]), [format!("192.0.2.7 {expected} none")], "{said}");
    }
    // A name that looks like what follows it puts no other one in force.
    let ehlo =
        format!("SMTP EHLO command (smtp.ehlo) {PEER}, domain = \"evil.example\", result = x\"");
    let check = format!(
        "IPREV check passed (smtp.iprev-pass) {PEER}, domain = \"evil.example\", result = x\", result = IPREV check passed \
         (iprev.pass) {{ details = [\"mx.example.\"] }}, elapsed = 1ms"
    );
    let mail = format!("SMTP MAIL FROM command (smtp.mail-from) {PEER}, from = \"s@s\"");
    let blocked = format!("Blocked IP address (security.ip-blocked) {PEER}");
    assert_eq!(
        stalwart(&[&ehlo, &check, &mail])[0].split(" none").next(),
        Some("192.0.2.7 evil.example\", result = x")
    );
    assert_eq!(stalwart(&[&blocked]), ["192.0.2.7 (none) refused at connect"]);
    let imap = "Authentication successful (auth.success) listenerId = \"imap\", localPort = 143, remoteIp = 192.0.2.7, remotePort = 1";
    assert_eq!(stalwart(&[imap]), Vec::<String>::new());
}

proptest! {
    #[test]
    fn no_bytes_make_them_panic(
        head in prop_oneof![
            Just("2026-11-20T14:13:23.518Z [NOTICE] [3034BB5F-6B7B-4896-99E3-33C5B58086B1.1] [core] "),
            Just("[NOTICE] [3034BB5F-6B7B-4896-99E3-33C5B58086B1] [core] disconnect ip=192.0.2.7 "),
            Just("level=NOTICE uuid=- origin=core message="),
            Just("{\"level\":\"NOTICE\",\"uuid\":\""),
            Just("2026-11-20 14:18:46 #321(normal) <e5c3c2>; lua; x: ehlo-log ip=192.0.2.7 "),
            Just("2026-11-20 14:18:46 #321(normal) <e5c3c2>; task; rspamd_task_write_log: id: <"),
            Just("{\"ts\": 1795184326.5, "),
            Just("[{\"unix_time\":1,\"required_score\":"),
            Just("2026-11-20T14:18:46Z INFO SMTP EHLO command (smtp.ehlo) "),
            Just("2026-11-20T14:18:46Z INFO X (smtp.iprev-pass) listenerId = \"smtp\", remoteIp = 192.0.2.7, remotePort = 1, "),
            Just("{\"createdAt\":\"2026-11-20T14:18:46Z\",\"data\":{"),
        ],
        tails in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..80),
                "[ -~]{0,80}".prop_map(String::into_bytes),
                "[a-z]{1,4}=(\"[a-z \\\\\"=]{0,9}|[a-z]{0,4})( [a-z]{1,4}=[a-z0-9/]{0,5}){0,4}".prop_map(String::into_bytes),
            ],
            1..12,
        ),
    ) {
        let mut reader_ = reader();
        let mut out = Vec::new();
        for tail in tails {
            let line = [head.as_bytes(), &tail].concat();
            reader_.read(&line, latest(), &mut out);
            reader_ = reader().restore(&reader_.save()).expect("what save wrote");
        }
        reader_.close(&mut out);
    }

    /// Whatever a client says, Haraka's own quoting gives it back, and no other field changes.
    #[test]
    fn haraka_gives_back_what_was_said(said in "[!-~]{1,60}", lr in "[ -~]{0,60}") {
        let value = |text: &str| {
            if text.is_empty() || text.contains([' ', '=', '"', '\\']) {
                format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            } else {
                text.to_owned()
            }
        };
        let lr = format!("550 {lr}");
        let line = format!(
            "2026-11-20T14:13:23.518Z [NOTICE] [{UUID}.1] [core] disconnect ip=192.0.2.7 rdns=NXDOMAIN helo={} relay=N \
             early=N esmtp=Y tls=N pipe=N errors=0 txns=1 rcpts=1/0/0 msgs=1/0/0 bytes=0 lr={} time=0.050",
            value(&said), value(&lr)
        );
        let (heard, _) = read(&[line]);
        let name = helostat_zones::name::Name::parse(said.as_bytes());
        prop_assert_eq!(heard.len(), 1);
        prop_assert_eq!(heard[0].name.as_ref(), Some(&name));
        prop_assert_eq!(heard[0].ip.to_string(), "192.0.2.7");
        // Behind the last refusal of a MAIL something was refused.
        prop_assert!(matches!(heard[0].outcome.word(), "accepted" | "partial"));
    }
}

//! `helostat stats --cbv`: the callbacks that logs tell of, by month.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use helostat_tests::program::{Site, project_file};
use serde_json::Value;

/// A month of a Postfix that verifies senders: a number of each outcome, one every ten minutes.
fn october() -> String {
    let mut log = String::new();
    let mut number = 0;
    for (times, reason) in [
        (212, "deliverable (250 2.1.5 Ok)"),
        (
            38,
            "undeliverable (Host or domain name not found. Name service error for name=s$.example type=A: Host not found)",
        ),
        (
            9,
            "undeliverable (Host or domain name not found. Name service error for name=s$.example type=A: Host found but no data record of requested type)",
        ),
        (4, "undeliverable (Domain s$.example does not accept mail (nullMX))"),
        (23, "undeliverable (connect to mx.s$.example[192.0.2.25]:25: Connection timed out)"),
        (7, "undeliverable (host mx.s$.example[192.0.2.25] refused to talk to me: 554 no service)"),
        (
            5,
            "undeliverable (host mx.s$.example[192.0.2.25] said: 550 5.7.1 no null sender (in reply to MAIL FROM command))",
        ),
        (
            96,
            "undeliverable (host mx.s$.example[192.0.2.25] said: 550 5.1.1 <u@s$.example>: unknown (in reply to RCPT TO command))",
        ),
        (
            17,
            "undeliverable (host mx.s$.example[192.0.2.25] said: 450 4.2.0 greylisted (in reply to RCPT TO command))",
        ),
    ] {
        for _ in 0..times {
            number += 1;
            let why = reason.replace('$', &number.to_string());
            let sender = format!("u@s{number}.example");
            let (day, hour, minute) = (1 + number / 144, number / 6 % 24, number % 6 * 10);
            let stamp = |second| format!("2026-10-{day:02}T{hour:02}:{minute:02}:{second:02}Z mx1");
            let smtp = stamp(3);
            writeln!(log, "{smtp} postfix/smtp[7]: A{number}: to=<{sender}>, relay=x, delay=1, dsn=2.0.0, status={why}")
                .expect("memory takes everything");
            if why.starts_with("deliverable") {
                writeln!(log, "{} postfix/qmgr[8]: B{number}: from=<{sender}>, size=9, nrcpt=1 (queue active)", stamp(6))
                    .expect("memory takes everything");
                continue;
            }
            for recipient in ["a", "b"] {
                writeln!(
                    log,
                    "{} postfix/smtpd[9]: NOQUEUE: reject: RCPT from c[192.0.2.7]: 450 4.1.7 <{sender}>: Sender address rejected: \
                     unverified address: x; from=<{sender}> to=<{recipient}@site.example> proto=ESMTP helo=<c>",
                    stamp(9)
                )
                .expect("memory takes everything");
            }
        }
    }
    // Answered from the cache, and one probe of a recipient.
    for day in 10..31 {
        writeln!(
            log,
            "2026-10-{day}T00:00:30Z mx1 postfix/smtpd[9]: NOQUEUE: reject: RCPT from d[192.0.2.8]: 550 5.1.7 <u@s300.example>: \
             Sender address rejected: undeliverable address: x; from=<u@s300.example> to=<a@site.example> proto=ESMTP helo=<d>"
        )
        .expect("memory takes everything");
    }
    log += "2026-10-31T01:00:00Z mx1 postfix/smtp[7]: C1: to=<r@site.example>, relay=x, dsn=2.0.0, status=deliverable (250 ok)\n";
    log
}

/// A month of an Exim whose ACL logs the senders that passed.
fn november() -> String {
    let mut log = String::new();
    let mut number = 0;
    for (times, what) in [
        (187, "cbv-log accepted for <u@n$.example> from [192.0.2.7]"),
        (12, "cbv-log accepted for <> from [192.0.2.7]"),
        (41, "fail for <u@n$.example>: Unrouteable address"),
        (6, "fail for <u@n$.example>: all relevant MX records point to non-existent hosts"),
        (
            15,
            "defer for <u@n$.example>: Could not complete sender verify callout: mx.n$.example [192.0.2.25] : Connection refused",
        ),
        (
            4,
            "fail for <u@n$.example>: mx.n$.example [192.0.2.25] : SMTP error from remote mail server after initial connection: 554 no",
        ),
        (
            3,
            "fail for <u@n$.example>: mx.n$.example [192.0.2.25] : SMTP error from remote mail server after HELO mx2.site.example: 550 no",
        ),
        (
            8,
            "fail for <u@n$.example>: mx.n$.example [192.0.2.25] : response to \"MAIL FROM:<>\" was: 550 no",
        ),
        (
            74,
            "fail for <u@n$.example>: mx.n$.example [192.0.2.25] : SMTP error from remote mail server after RCPT TO:<u@n$.example>: 550 no",
        ),
        (19, "fail for <u@n$.example>"),
        (
            21,
            "defer for <u@n$.example>: Could not complete sender verify callout: mx.n$.example [192.0.2.25] : SMTP error from remote mail server after RCPT TO:<u@n$.example>: 451 later",
        ),
        (2, "fail for <u@n$.example>: lowest numbered MX record points to local host"),
    ] {
        for _ in 0..times {
            number += 1;
            let (day, hour, minute) = (1 + number / 144, number / 6 % 24, number % 6 * 10);
            let text = match what.replace('$', &number.to_string()) {
                text if text.starts_with("cbv-log") => text,
                text => format!("H=(c) [192.0.2.7] sender verify {text}"),
            };
            writeln!(log, "2026-11-{day:02} {hour:02}:{minute:02}:00 {text}")
                .expect("memory takes everything");
        }
    }
    log
}

fn site() -> Site {
    let site = Site::new("");
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(october().as_bytes()).expect("memory takes everything");
    site.write("mail.log.1.gz", packed.finish().expect("memory takes everything"));
    site.write("mainlog", november());
    site
}

#[test]
fn two_months_are_the_table_of_the_manual() {
    let site = site();
    // No configuration is read where logs are named.
    site.configure("nonsense");
    let args = ["stats", "--cbv", "--time-zone", "UTC", "mail.log.1.gz", "mainlog"];
    let done = site.run(&args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(
        done.stderr,
        "not counted: 1 probe of addresses that nobody sent from (recipients)\n"
    );
    let manual = project_file("docs/callbacks.md");
    assert!(manual.contains(&format!("\n{}```", done.stdout)), "{}", done.stdout);
    // The same logs in another order, and as a pattern, and twice.
    for logs in [["mainlog", "mail.log.1.gz"], ["ma*", "mainlog"]] {
        let again = site.ok(&["stats", "--cbv", "--time-zone", "UTC", logs[0], logs[1]]);
        assert_eq!(again, done.stdout, "{logs:?}");
    }
}

#[test]
fn as_json() {
    let site = site();
    let text =
        site.ok(&["stats", "--cbv", "--json", "--time-zone", "UTC", "mail.log.1.gz", "mainlog"]);
    let table: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(table["months"].as_array().map(Vec::len), Some(2), "{text}");
    let october = &table["months"][0];
    assert_eq!(
        (&october["month"], &october["calls"], &october["skips"], &october["refused"]["rcpt"]),
        (&"2026-10".into(), &411.into(), &21.into(), &96.into()),
        "{text}"
    );
    assert_eq!(october["percent"]["accepted"], 51.6, "{text}");
    let total = &table["total"];
    let (calls, skips) = (&total["calls"], &total["skips"]);
    assert_eq!((calls, skips, &total["no_mx"]), (&772.into(), &52.into(), &19.into()), "{text}");
    assert_eq!(table["probes_not_counted"], 1, "{text}");
    let nothing = site.run_with_input(&["stats", "--cbv", "--json", "-"], b"");
    let nothing: Value = serde_json::from_str(&nothing.stdout).expect("JSON");
    assert_eq!(
        (&nothing["total"]["calls"], &nothing["total"]["percent"]["rcpt"]),
        (&0.into(), &Value::Null)
    );
}

#[test]
fn the_logs_of_the_configuration() {
    let site = Site::following(&["mainlog"]);
    site.write("mainlog", november());
    let named = site.ok(&["stats", "--cbv", "mainlog"]);
    assert_eq!(site.ok(&["stats", "--cbv"]), named);
    site.rewrite("reporter = \"mx1\"", "reporter = \"mx1\"\ntime-zone = \"Asia/Tokyo\"");
    // Civil time of Tokyo is the evening before in UTC: November begins in October.
    let tokyo = site.ok(&["stats", "--cbv"]);
    assert!(tokyo.contains("\n2026-10"), "{tokyo}");
    assert_eq!(site.ok(&["stats", "--cbv", "--time-zone", "Asia/Tokyo"]), named);
}

#[test]
fn what_is_wrong_is_said() {
    let site = Site::new("");
    let which = "helostat: which statistics? There is --cbv: callback verification, from logs";
    site.fails(&["stats"], 2, &[which]);
    site.fails(&["stats", "mail.log"], 2, &[which]);
    let none = "helostat: no log is named, and the configuration has no [[log]]";
    site.fails(&["stats", "--cbv"], 2, &[none]);
    let done = site.run(&["stats", "--cbv", "mail.log"]);
    assert_eq!(done.code, 5, "{}", done.stderr);
    let done = site.run(&["stats", "--cbv", "--time-zone", "Nowhere/Now", "mail.log"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
}

//! Laws of the reader: stopping it changes nothing, no bytes hurt it, no client speaks for another.

#![allow(missing_docs)]

use std::fs;
use std::path::Path;

use helostat_ingest::fate::Fate;
use helostat_ingest::heard::Heard;
use helostat_ingest::reader::{FormatChoice, LINE_MAX, Reader, RestoreError};
use helostat_ingest::session::MAX_SESSIONS;
use helostat_zones::name::NameKind;
use helostat_zones::observation::Outcome;
use helostat_zones::time::Time;
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn latest() -> Time {
    Time::parse("2026-11-20T15:00:00Z").expect("a time")
}

fn reader() -> Reader {
    Reader::new(FormatChoice::Auto, "mx".into(), TimeZone::UTC)
}

fn restored(saved: &[u8]) -> Reader {
    reader().restore(saved).expect("what save wrote")
}

fn read_all(lines: &[&[u8]]) -> (Vec<Heard>, Vec<Fate>) {
    let mut reader = reader();
    let mut out = Vec::new();
    let fates = lines.iter().map(|line| reader.read(line, latest(), &mut out).fate).collect();
    reader.close(&mut out);
    (out, fates)
}

/// Lines of all the extracts, cut in pieces and mixed as a relay host would.
fn real_lines() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let files = ["postfix-3.7.iso.log", "exim-4.96-a.mainlog", "exim-4.96-c.mainlog"];
    let logs: Vec<Vec<u8>> =
        files.iter().map(|file| fs::read(folder.join(file)).expect(file)).collect();
    let mut iterators: Vec<_> = logs.iter().map(|log| log.split(|&byte| byte == b'\n')).collect();
    let mut lines = Vec::new();
    loop {
        let before = lines.len();
        for iterator in &mut iterators {
            lines.extend(iterator.by_ref().take(7).map(<[u8]>::to_vec));
        }
        if lines.len() == before {
            return lines;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn stopping_and_going_on_changes_nothing(
        stops in proptest::collection::btree_set(0usize..1800, 0..60),
        dropped in proptest::collection::btree_set(0usize..1800, 0..200),
    ) {
        let lines = real_lines();
        let (mut steady, mut stopped) = (reader(), reader());
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        for (at, line) in lines.iter().enumerate().filter(|(at, _)| !dropped.contains(at)) {
            if stops.contains(&at) {
                let saved = stopped.save();
                stopped = restored(&saved);
                prop_assert_eq!(&stopped.save(), &saved);
            }
            let one = steady.read(line, latest(), &mut expected);
            let other = stopped.read(line, latest(), &mut found);
            prop_assert_eq!(one, other);
        }
        prop_assert_eq!(steady.save(), stopped.save());
        prop_assert_eq!(steady.open_sessions(), stopped.open_sessions());
        steady.close(&mut expected);
        stopped.close(&mut found);
        prop_assert_eq!(expected, found);
    }

    #[test]
    fn no_bytes_make_it_panic(
        head in prop_oneof![
            Just("2026-11-20T13:40:22Z mx postfix/smtpd[7]: "),
            Just("2026-11-20T13:40:22Z mx postfix/postscreen[7]: "),
            Just("2026-11-20T13:40:22Z mx postfix/cleanup[7]: "),
            Just("<22>1 2026-11-20T13:40:22Z mx postfix 7 - - "),
            Just("2026-11-20 13:40:22 "),
            Just("2026-11-20 13:40:22 1xUPlK-00003O-2Y "),
            Just(""),
        ],
        tails in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..20),
    ) {
        let mut reader = reader();
        let mut out = Vec::new();
        for tail in tails {
            let line = [head.as_bytes(), &tail].concat();
            reader.read(&line, latest(), &mut out);
            reader = restored(&reader.save());
        }
    }

    #[test]
    fn damaged_lines_never_panic(
        at in 0usize..1800,
        cut in 0usize..400,
        byte in any::<u8>(),
        from in 0usize..400,
    ) {
        let lines = real_lines();
        let mut reader = reader();
        let mut out = Vec::new();
        for line in lines.iter().skip(at).take(30) {
            let mut line: Vec<u8> = line.iter().copied().take(cut.max(60)).collect();
            if let Some(place) = line.get_mut(from) {
                *place = byte;
            }
            reader.read(&line, latest(), &mut out);
        }
        reader.close(&mut out);
    }

    /// Whatever stands in a saved state, restoring says yes or no.
    #[test]
    fn damaged_state_is_refused_or_read(at in 0usize..4000, byte in any::<u8>()) {
        let mut running = reader();
        let mut out = Vec::new();
        for line in real_lines().iter().take(200) {
            running.read(line, latest(), &mut out);
        }
        let mut saved = running.save();
        let length = saved.len();
        if let Some(place) = saved.get_mut(at % length) {
            *place = byte;
        }
        if let Ok(mut reader) =
            reader().restore(&saved)
        {
            reader.close(&mut out);
        }
    }

    /// Postfix replaces dangerous characters in an accepted name; the rest of the line is anybody's text.
    #[test]
    fn a_sender_cannot_choose_client_or_name_in_postfix(sender in "[ -~]{0,60}", recipient in "[ -~]{0,60}") {
        let reject = format!(
            "2026-11-20T13:40:22Z mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 \
             <{recipient}>: Relay access denied; from=<{sender}> to=<{recipient}> proto=ESMTP helo=<real.example>"
        );
        let end = "2026-11-20T13:40:23Z mx postfix/smtpd[7]: disconnect from unknown[192.0.2.7] ehlo=1 mail=1 rcpt=0/1 commands=2/3";
        let (out, _) = read_all(&[reject.as_bytes(), end.as_bytes()]);
        prop_assert_eq!(out.len(), 1);
        prop_assert_eq!(out[0].ip.to_string(), "192.0.2.7");
        prop_assert_eq!(out[0].name_text(), "real.example");
        prop_assert_eq!(out[0].outcome, Outcome::Rejected);
    }

    /// Whatever junk a client says to an Exim that accepts junk, no line is read as another client's.
    #[test]
    fn junk_cannot_choose_the_client_in_exim(
        junk in r"[a-z.]{0,9}(\) \[6\.6\.6\.6\]|:25| P=esmtp| \(|\(|\)|\[6\.6\.6\.6\]| F=<x>| rejected RCPT <y>: | H=|[ -~]){0,9}",
        sender in "[ -~]{0,30}",
    ) {
        let refused = format!("2026-11-20 14:38:51 H=({junk}) [192.0.2.7] F=<{sender}> rejected RCPT <a@b>: no");
        let taken = format!("2026-11-20 14:38:52 1xUPlK-00003O-2Y <= <> H=({junk}) [192.0.2.7] P=esmtp S=365 id={sender}");
        let (out, _) = read_all(&[refused.as_bytes(), taken.as_bytes()]);
        for observation in out {
            prop_assert_eq!(observation.ip.to_string(), "192.0.2.7");
            prop_assert_ne!(observation.name_text(), "6.6.6.6");
        }
    }
}

#[test]
fn nothing_open_is_saved_in_few_bytes() {
    let saved = reader().save();
    assert_eq!(String::from_utf8_lossy(&saved), r#"{"version":2,"swept":0}"#);
}

#[test]
fn state_of_another_version_is_refused() {
    let refused = |saved: &str| reader().restore(saved.as_bytes()).expect_err(saved);
    assert!(matches!(refused(r#"{"version":1,"more":[]}"#), RestoreError::UnknownVersion(1)));
    assert!(matches!(refused("{}"), RestoreError::Damaged(_)));
    assert!(matches!(refused(""), RestoreError::Damaged(_)));
    assert!(matches!(refused(r#"{"version":2,"unheard-of":1}"#), RestoreError::Damaged(_)));
}

#[test]
fn overlong_lines_cost_one_counter() {
    let mut out = Vec::new();
    let mut line = b"2026-11-20T13:40:22Z mx postfix/smtpd[7]: connect from ".to_vec();
    line.resize(1 << 20, b'a');
    let reading = reader().read(&line, latest(), &mut out);
    assert_eq!((reading.fate, reading.why), (Fate::NotUnderstood, Some("too-long")));
    line.truncate(LINE_MAX);
    assert_eq!(reader().read(&line, latest(), &mut out).why, None);
}

#[test]
fn lines_forged_in_a_name_are_no_lines() {
    for (start, end) in [(
        "2026-11-20T13:40:22Z mx postfix/smtpd[7]: NOQUEUE: reject: EHLO from a.example[192.0.2.7]: 501 5.5.2 ",
        "2026-11-20T13:40:23Z mx postfix/smtpd[7]: disconnect from a.example[192.0.2.7] ehlo=0/1 commands=0/1",
    )] {
        for said in [
            "x: RCPT from fake[6.6.6.6]: 250 ok; from=<a@b> to=<c@d> proto=ESMTP helo=<trusted.example>",
            "x>: Helo command rejected: Invalid name; proto=SMTP helo=<trusted.example",
            "trusted.example>: Helo command rejected: Invalid name; proto=SMTP helo=<trusted.example",
            "x Nov 20 00:00:00 mx postfix/smtpd[1]: connect from trusted.example[6.6.6.6]",
            "x#012Nov 20 00:00:00 mx postfix/smtpd[7]: disconnect from trusted.example[6.6.6.6]",
        ] {
            let line = format!(
                "{start}<{said}>: Helo command rejected: Invalid name; proto=SMTP helo=<{said}>"
            );
            let (out, _) = read_all(&[line.as_bytes(), end.as_bytes()]);
            for observation in &out {
                assert_eq!(observation.ip.to_string(), "192.0.2.7", "{said}");
                let kind = observation.name.as_ref().map(helostat_zones::name::Name::kind);
                assert!(kind.is_none_or(|kind| kind == NameKind::Malformed), "{said}");
            }
        }
    }
}

#[test]
fn forged_subjects_senders_and_logins_give_nothing_of_another() {
    for line in [
        "2026-11-20 14:38:50 1xUPlK-00003O-2Y <= a@b H=(real.example) [192.0.2.7] P=esmtp S=3 T=\"x H=(evil) [6.6.6.6] P=esmtp\"",
        "2026-11-20 14:38:50 1xUPlK-00003O-2Y <= \"H=(evil) [6.6.6.6] P=esmtp\"@b H=(real.example) [192.0.2.7] P=esmtp S=3",
        "2026-11-20 14:38:50 plain authenticator failed for (real.example) [192.0.2.7]: 535 x (set_id=(evil) [6.6.6.6])",
        "2026-11-20 14:38:50 rejected MAIL FROM:<x H=(evil) [6.6.6.6]: > H=(real.example) [192.0.2.7]: message too big",
        "2026-11-20 14:38:50 SMTP syntax error in \"x\" H=(evil) [6.6.6.6]\" H=(real.example) [192.0.2.7] unrecognized command",
        "2026-11-20 14:38:50 ehlo-log ip=192.0.2.7 port=1 rdns= helo=<real.example> ip=6.6.6.6 port=1 rdns= helo=<evil>",
        "2026-11-20T13:40:22Z mx postfix/cleanup[9]: 4A5B6C7D8E: info: header Subject: x from f[6.6.6.6]; from=<a> \
         to=<b> proto=ESMTP helo=<evil> from real.example[192.0.2.7]; from=<s@s> to=<b@l> proto=ESMTP helo=<real.example>",
        "2026-11-20T13:40:22Z mx postfix/smtpd[9]: NOQUEUE: proxy-accept: END-OF-MESSAGE: 250 2.0.0 from \
         MTA(smtp:[6.6.6.6]:10013): 250 ok; from=<a@b> to=<c@d> proto=ESMTP helo=<real.example>",
        "2026-11-20T13:40:22Z mx sshd[9]: NOQUEUE: reject: RCPT from x[6.6.6.6]: 554 no; proto=ESMTP helo=<evil>",
    ] {
        let (out, _) = read_all(&[line.as_bytes()]);
        for observation in &out {
            assert_eq!(observation.ip.to_string(), "192.0.2.7", "{line}");
            assert_ne!(observation.name_text(), "evil", "{line}");
        }
    }
}

#[test]
fn refusals_turn_into_messages() {
    let refused = "2026-11-20 14:38:50 H=(a.example) [192.0.2.7] F=<s@s> temporarily rejected RCPT <d@l>: later";
    let taken = "2026-11-20 14:38:55 1xUPlK-00003O-2Y <= s@s H=(a.example) [192.0.2.7] P=esmtp S=3";
    let (out, fates) = read_all(&[refused, refused, taken, taken, refused].map(str::as_bytes));
    let told: Vec<_> = out.iter().map(|one| (one.outcome, one.supersedes)).collect();
    assert_eq!(
        told,
        [
            (Outcome::Deferred, None),
            (Outcome::Partial, Some(Outcome::Deferred)),
            (Outcome::Accepted, None),
            (Outcome::Deferred, None),
        ]
    );
    assert_eq!(
        fates,
        [Fate::Observed, Fate::Session, Fate::Observed, Fate::Observed, Fate::Observed]
    );
    let later = "2026-11-20 14:40:50 H=(a.example) [192.0.2.7] F=<s@s> temporarily rejected RCPT <d@l>: later";
    let (out, _) = read_all(&[refused, later].map(str::as_bytes));
    assert_eq!(out.len(), 2, "a minute later it is another session: {out:?}");
}

#[test]
fn silence_closes_and_so_does_a_full_table() {
    let mut reader = reader();
    let mut out = Vec::new();
    let refuse = |pid: usize, minute: usize| {
        format!(
            "2026-11-20T{:02}:{:02}:00Z mx postfix/smtpd[{pid}]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 \
             5.7.1 no; from=<s@s> to=<d@l> proto=ESMTP helo=<a{pid}.example>",
            minute / 60,
            minute % 60
        )
    };
    for pid in 0..MAX_SESSIONS + 3 {
        reader.read(refuse(pid, 0).as_bytes(), latest(), &mut out);
    }
    assert_eq!(reader.open_sessions(), MAX_SESSIONS);
    assert_eq!(reader.closed_early(), 3);
    let names: Vec<_> = out.iter().map(|one| one.name_text().to_owned()).collect();
    assert_eq!(names, ["a0.example", "a1.example", "a2.example"]);
    reader.read(refuse(9, 30).as_bytes(), latest(), &mut out);
    reader.read(refuse(99_999, 70).as_bytes(), latest(), &mut out);
    assert_eq!(reader.open_sessions(), 2, "the one that spoke again and the new one");
    assert_eq!(out.len(), MAX_SESSIONS + 2);
}

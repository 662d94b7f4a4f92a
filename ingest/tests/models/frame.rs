//! What the models share: sessions as lines, wrappings, hostile strings, and the comparison.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use helostat_ingest::fate::Fate;
use helostat_ingest::heard::Heard;
use helostat_ingest::reader::{FormatChoice, Reader};
use helostat_zones::name::Name;
use helostat_zones::observation::Outcome;
use helostat_zones::time::Time;
use jiff::tz::TimeZone;
use proptest::prelude::*;

/// A line as the MTA hands it to its log.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// The program, as syslog's tag.
    pub(crate) tag: &'static str,
    /// Which of the session's processes wrote it: 0 serves the client.
    pub(crate) process: u32,
    pub(crate) text: Vec<u8>,
}

/// What must come out of a session: one thing heard for each name, `None` where the log does not show it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) name: Option<Name>,
    pub(crate) outcome: Outcome,
}

/// A session that a model has written down.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) ip: IpAddr,
    pub(crate) lines: Vec<Text>,
    pub(crate) told: Vec<Told>,
    /// A line may be read in two ways: then names may be missing, and what happened under them.
    pub(crate) doubtful: bool,
    /// What some of its lines come to, if others are dropped.
    pub(crate) in_part: Vec<Outcome>,
}

/// How lines are wrapped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wrapping {
    Iso,
    Traditional,
    /// As rsyslog writes it: the tag is cut at the slash.
    Rfc5424,
    /// The program's own log file: Exim's stamp, or with the pid in brackets.
    Exim,
    EximPid,
}

/// When the first line is written.
const BEGIN: u32 = 1_795_182_000;

impl Wrapping {
    fn wrap(self, at: u32, pid: u32, line: &Text) -> Vec<u8> {
        let time = Time(BEGIN + at).to_string();
        let (day, clock) = (time.get(..10).unwrap_or(""), time.get(11..19).unwrap_or(""));
        let tag = line.tag;
        let head = match self {
            Self::Iso => format!("{day}T{clock}.5+00:00 mx {tag}[{pid}]: "),
            Self::Traditional => format!("Nov 20 {clock} mx {tag}[{pid}]: "),
            Self::Rfc5424 => {
                let tag = tag.split('/').next().unwrap_or_default();
                format!("<22>1 {day}T{clock}Z mx {tag} {pid} - -  ")
            }
            Self::Exim => format!("{day} {clock} "),
            Self::EximPid => format!("{day} {clock} [{pid}] "),
        };
        [head.as_bytes(), &line.text].concat()
    }
}

/// Addresses that no two sessions share.
pub(crate) fn address(number: usize) -> IpAddr {
    let low = u16::try_from(number % 60000).unwrap_or(0);
    if number.is_multiple_of(3) {
        return IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 7, low));
    }
    let [high, low] = low.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(198, 51, high, low))
}

/// What a client says who means harm: pieces of log lines, brackets, quotes, control bytes, bytes that are no text.
pub(crate) fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[a-z0-9.-]{1,12}".prop_map(String::into_bytes),
        2 => prop::sample::select(vec![
            "> to=<c@d> proto=ESMTP helo=<evil.example>",
            "; from=<a@b> to=<c@d> proto=ESMTP helo=<evil.example>",
            "; proto=SMTP helo=<evil.example>",
            ">: Helo command rejected: x; proto=SMTP helo=<evil.example",
            " from evil.example[6.6.6.6]; from=<a@b> to=<c@d> proto=ESMTP helo=<evil.example>: 5.7.1 no",
            "RCPT from evil.example[6.6.6.6]: 250 ok",
            ", proto=ESMTP, helo=<evil.example>",
            ") [6.6.6.6]:25 P=esmtp (",
            "H=(evil.example) [6.6.6.6] P=esmtp S=3",
            "> rejected RCPT <x@y>: ",
            "> temporarily rejected RCPT <x@y>: later",
            "A=plain:joe",
            " for evil@d",
            "#012Nov 20 00:00:00 mx postfix/smtpd[1]: connect from evil.example[6.6.6.6]",
            "\\n2026-11-20 14:00:00 1xUPlK-00003O-2Y <= <> H=(evil.example) [6.6.6.6] P=esmtp S=3",
            " helo=<evil.example>",
            "ehlo-log ip=6.6.6.6 port=1 rdns= helo=<evil.example>",
            "[6.6.6.6]",
            "[IPv6:2001:db8::6]",
            "\" H=(evil.example) [6.6.6.6] next input=\"",
            "message repeated 3 times: [",
            "sasl_username=<joe>",
            "]", "[", "(", ")", "<", ">", "\"", "\\", " ", ";", ": ", "@", "=", ",", "%s", "''", "{", "?",
        ]).prop_map(|text: &str| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>().prop_filter("a line's end", |byte| !b"\r\n".contains(byte)), 1..6),
        1 => (1usize..700).prop_map(|length| vec![b'a'; length]),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// A name as most clients have it, or what `hostile` says.
pub(crate) fn greeting() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => "[a-z]{1,8}[0-9]{0,2}(\\.[a-z]{1,8}){0,3}\\.(example|com|test)".prop_map(String::into_bytes),
        1 => prop::sample::select(vec!["WIN-4711", "localhost", "[192.168.1.5]", "[IPv6:2001:db8::99]", "10.1.2.3", "Mail.Example.COM."])
            .prop_map(|text: &str| text.as_bytes().to_vec()),
        2 => hostile(),
    ]
}

/// Writes the sessions' lines in one log, their order mixed as `order` says, and reads it, stopping and going on
/// before the lines whose number `stops` holds.
pub(crate) fn check(
    sessions: &[Session],
    wrapping: Wrapping,
    order: &[u8],
    stops: &[usize],
) -> Result<(), TestCaseError> {
    let latest = Time(BEGIN + 86_400);
    let reader = || Reader::new(FormatChoice::Auto, "mx".into(), TimeZone::UTC);
    let (mut reading, mut out) = (reader(), Vec::new());
    let mut next = vec![0; sessions.len()];
    let mut counted = vec![false; sessions.len()];
    let mut number = 0;
    let mut log = Vec::new();
    while let Some(at) = pick(sessions, &next, order, number) {
        let line = &sessions[at].lines[next[at]];
        next[at] += 1;
        let pid = 1000 + u32::try_from(at).unwrap_or(0) * 4 + line.process;
        // Slowly: where nothing but the address tells connections apart, seconds do.
        let seconds = u32::try_from(number / 30).unwrap_or(0);
        let wrapped = wrapping.wrap(seconds, pid, line);
        if stops.contains(&number) {
            let saved = reading.save();
            reading = reader().restore(&saved).expect("what save wrote");
            prop_assert_eq!(&reading.save(), &saved);
        }
        let fate = reading.read(&wrapped, latest, &mut out).fate;
        counted[at] |= matches!(fate, Fate::Ambiguous | Fate::NotUnderstood);
        log.push(String::from_utf8_lossy(&wrapped).into_owned());
        number += 1;
    }
    reading.close(&mut out);
    let out = settled(out);
    for heard in &out {
        prop_assert!(
            sessions.iter().any(|session| session.ip == heard.ip),
            "nobody there: {:?}\n{}",
            heard,
            log.join("\n")
        );
    }
    for (session, counted) in sessions.iter().zip(counted) {
        let here: Vec<&Heard> = out.iter().filter(|heard| heard.ip == session.ip).collect();
        judge(session, &here, counted).map_err(|why| {
            TestCaseError::fail(format!(
                "{why}\nmeant {:?}\nheard {here:#?}\n{}",
                session.told,
                log.iter()
                    .filter(|line| session
                        .lines
                        .iter()
                        .any(|one| line.ends_with(&*String::from_utf8_lossy(&one.text))))
                    .cloned()
                    .collect::<Vec<_>>()
                    .join("\n")
            ))
        })?;
    }
    Ok(())
}

/// The session whose line comes next; `None` when all are written.
fn pick(sessions: &[Session], next: &[usize], order: &[u8], number: usize) -> Option<usize> {
    let open: Vec<usize> =
        (0..sessions.len()).filter(|&at| next[at] < sessions[at].lines.len()).collect();
    let choice = order.get(number % order.len().max(1)).copied().unwrap_or(0);
    open.get(usize::from(choice) % open.len().max(1)).copied()
}

fn judge(session: &Session, heard: &[&Heard], counted: bool) -> Result<(), &'static str> {
    let may_lack = counted && session.doubtful;
    for one in heard {
        let is_it = |told: &Told| told.name == one.name && told.outcome == one.outcome;
        if session.told.iter().any(is_it) {
            continue;
        }
        // A name that was dropped: what happened may be told without it, or in part.
        let is_known = session.told.iter().any(|told| told.name == one.name);
        let in_part = is_known && session.in_part.contains(&one.outcome);
        if may_lack && (one.name.is_none() || in_part) {
            continue;
        }
        return Err("something else was heard");
    }
    for told in &session.told {
        let times =
            heard.iter().filter(|one| one.name == told.name && one.outcome == told.outcome).count();
        match times {
            1 => {}
            0 if may_lack => {}
            0 => return Err("it was not heard"),
            _ => return Err("it was heard twice"),
        }
    }
    if session.doubtful && heard.len() != session.told.len() && !counted {
        return Err("less was heard, and nothing counted");
    }
    Ok(())
}

/// Takes back what was superseded.
fn settled(heard: Vec<Heard>) -> Vec<Heard> {
    let mut kept: Vec<Heard> = Vec::new();
    for one in heard {
        if let Some(old) = one.supersedes {
            let is_it = |earlier: &Heard| {
                earlier.ip == one.ip && earlier.name == one.name && earlier.outcome == old
            };
            let at = kept.iter().rposition(is_it).expect("what is superseded was told");
            kept.remove(at);
        }
        kept.push(one);
    }
    kept
}

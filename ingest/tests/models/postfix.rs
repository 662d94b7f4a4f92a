//! Postfix' loggers: smtpd, cleanup and postscreen.
//!
//! smtpd replaces unprintable bytes in the name by `?` (`printable`), and once the greeting was taken also
//! `" <>()\;@` (`neuter`). With `smtpd_delay_reject = no` a refused greeting is written before that, twice. Addresses
//! and headers are only made printable. A record is cut at some 2000 octets.

use std::net::IpAddr;

use helostat_zones::name::Name;
use helostat_zones::observation::Outcome;
use proptest::prelude::*;

use crate::frame::{Session, Text, Told, Wrapping, address, check, greeting, hostile};

/// Where records are cut.
const RECORD: usize = 2000;

#[derive(Clone, Debug)]
enum Story {
    /// A recipient is refused, for good or for now.
    Refused { hard: bool },
    /// The `INFO` line at the end of data.
    Taken,
    /// Stock logging: the name does not show.
    TakenStock,
    /// One recipient is refused, one taken.
    Partly,
    /// `smtpd_delay_reject = no`.
    RefusedGreeting,
    /// No greeting at all.
    Nameless,
    /// cleanup refuses a header.
    RefusedHeader,
    /// The client goes after RCPT.
    GoneAfterRcpt,
    /// postscreen's deep tests.
    Screened,
    /// A user.
    Login,
}

#[derive(Clone, Debug)]
struct Input {
    story: Story,
    said: Vec<u8>,
    sender: Vec<u8>,
    recipient: Vec<u8>,
    /// What the administrator has it say, and what a header holds.
    words: Vec<u8>,
    verified: bool,
    helo: bool,
}

fn input() -> impl Strategy<Value = Input> {
    let story = prop_oneof![
        any::<bool>().prop_map(|hard| Story::Refused { hard }),
        Just(Story::Taken),
        Just(Story::TakenStock),
        Just(Story::Partly),
        Just(Story::RefusedGreeting),
        Just(Story::Nameless),
        Just(Story::RefusedHeader),
        Just(Story::GoneAfterRcpt),
        Just(Story::Screened),
        Just(Story::Login),
    ];
    (story, greeting(), hostile(), hostile(), hostile(), any::<bool>(), any::<bool>()).prop_map(
        |(story, said, sender, recipient, words, verified, helo)| Input {
            story,
            said,
            sender,
            recipient,
            words,
            verified,
            helo,
        },
    )
}

/// `printable(text, '?')`: valid UTF-8 stays.
fn printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter.is_ascii_control() {
                true => out.push(b'?'),
                false => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        out.extend(chunk.invalid().iter().map(|_| b'?'));
    }
    out
}

fn neutered(text: &[u8]) -> Vec<u8> {
    let replace = |byte: u8| if b"\" <>()\\;@".contains(&byte) { b'?' } else { byte };
    printable(text).into_iter().map(replace).collect()
}

/// A C string; the blanks around an argument are no part of it.
fn argument(said: &[u8]) -> &[u8] {
    said.split(|&byte| byte == 0).next().unwrap_or_default().trim_ascii()
}

struct Writer {
    lines: Vec<Text>,
    cut: bool,
}

impl Writer {
    fn line(&mut self, tag: &'static str, process: u32, parts: &[&[u8]]) {
        let mut text = parts.concat();
        // One of just that length may be whole, and nobody knows.
        self.cut |= text.len() >= RECORD;
        text.truncate(RECORD);
        self.lines.push(Text { tag, process, text });
    }
}

fn write(number: usize, input: &Input) -> Session {
    const SMTPD: &str = "postfix/smtpd";
    const CLEANUP: &str = "postfix/cleanup";
    let ip: IpAddr = address(number);
    let argument = argument(&input.said);
    let name = neutered(argument);
    let client = match input.verified {
        true => format!("host{number}.example[{ip}]"),
        false => format!("unknown[{ip}]"),
    };
    let (client, id) = (client.as_bytes(), format!("4A5B{number:06X}"));
    let (sender, recipient) = (printable(&input.sender), printable(&input.recipient));
    let words = printable(&input.words);
    let proto: &[u8] = if input.helo { b"SMTP" } else { b"ESMTP" };
    let nameless = name.is_empty() || matches!(input.story, Story::Nameless);
    let helo: Vec<u8> = if nameless { Vec::new() } else { [b" helo=<", &name[..], b">"].concat() };
    let mut tail =
        [b"; from=<", &sender[..], b"> to=<", &recipient, b"> proto=", proto, &helo].concat();
    let verb = if input.helo { "helo" } else { "ehlo" };
    let counters = |rest: &str| match nameless {
        true => format!(" {rest}"),
        false => format!(" {verb}=1 {rest}"),
    };
    let mut writer = Writer { lines: Vec::new(), cut: false };
    let mut told = Told {
        name: Some(if nameless { Name::absent() } else { Name::parse(&name) }),
        outcome: Outcome::None,
    };
    let mut doubtful = false;
    if !matches!(input.story, Story::Screened) {
        writer.line(SMTPD, 0, &[b"connect from ", client]);
    }
    let refuse = |writer: &mut Writer, code: &[u8], tail: &[u8]| {
        writer.line(
            SMTPD,
            0,
            &[
                b"NOQUEUE: reject: RCPT from ",
                client,
                b": ",
                code,
                b" <",
                &recipient,
                b">: ",
                &words,
                tail,
            ],
        );
    };
    let end = match &input.story {
        Story::Refused { hard } => {
            refuse(&mut writer, if *hard { b"550 5.1.1" } else { b"450 4.1.1" }, &tail);
            told.outcome = if *hard { Outcome::Rejected } else { Outcome::Deferred };
            counters("mail=1 rcpt=0/1 quit=1 commands=3/4")
        }
        Story::Nameless => {
            refuse(&mut writer, b"550 5.1.1", &tail);
            told.outcome = Outcome::Rejected;
            counters("mail=1 rcpt=0/1 quit=1 commands=2/3")
        }
        Story::GoneAfterRcpt => {
            refuse(&mut writer, b"550 5.1.1", &tail);
            writer.line(SMTPD, 0, &[b"lost connection after RCPT from ", client]);
            told.outcome = Outcome::Aborted;
            counters("mail=1 rcpt=0/1 commands=2/3")
        }
        Story::Login => {
            tail.extend_from_slice(b" sasl_username=<joe>");
            refuse(&mut writer, b"550 5.1.1", &tail);
            told.outcome = Outcome::Rejected;
            counters("auth=1 mail=1 rcpt=0/1 quit=1 commands=4/5")
        }
        Story::Taken | Story::TakenStock | Story::Partly | Story::RefusedHeader => {
            if matches!(input.story, Story::Partly) {
                refuse(&mut writer, b"550 5.1.1", &tail);
            }
            let id = id.as_bytes();
            writer.line(SMTPD, 0, &[id, b": client=", client]);
            writer.line(CLEANUP, 1, &[id, b": message-id=<", &words, b">"]);
            let shows = matches!(input.story, Story::Taken);
            if shows && !nameless {
                writer.line(SMTPD, 0, &[id, b": info: END-OF-MESSAGE from ", client, b": ", &tail]);
            }
            told.outcome = match input.story {
                Story::Partly => Outcome::Partial,
                _ => Outcome::Accepted,
            };
            if matches!(input.story, Story::RefusedHeader) {
                writer.line(
                    CLEANUP,
                    1,
                    &[
                        id,
                        b": reject: header Subject: ",
                        &words,
                        b" from ",
                        client,
                        &tail,
                        b": 5.7.1 no",
                    ],
                );
                told.outcome = Outcome::Rejected;
                doubtful = true;
                counters("mail=1 rcpt=1 data=0/1 quit=1 commands=4/5")
            } else {
                writer.line(
                    "postfix/qmgr",
                    2,
                    &[id, b": from=<", &sender, b">, size=3, nrcpt=1 (queue active)"],
                );
                if matches!(input.story, Story::TakenStock) && !nameless {
                    told.name = None;
                }
                counters("mail=1 rcpt=1 data=1 quit=1 commands=5")
            }
        }
        Story::RefusedGreeting => {
            let raw = printable(argument);
            if raw.is_empty() {
                // `EHLO` alone is a syntax error, and not logged.
                told = Told { name: None, outcome: Outcome::None };
            } else {
                let upper: &[u8] = if input.helo { b"HELO" } else { b"EHLO" };
                writer.line(
                    SMTPD,
                    0,
                    &[
                        b"NOQUEUE: reject: ",
                        upper,
                        b" from ",
                        client,
                        b": 504 5.5.2 <",
                        &raw,
                        b">: Helo command rejected: ",
                        &words,
                        b"; proto=SMTP helo=<",
                        &raw,
                        b">",
                    ],
                );
                told = Told { name: Some(Name::parse(&raw)), outcome: Outcome::Rejected };
                doubtful = true;
            }
            format!(" {verb}=0/1 quit=1 commands=1/2")
        }
        Story::Screened => {
            // postscreen keeps the first word, and makes only that printable.
            let word = argument
                .split(|byte| byte.is_ascii_whitespace())
                .find(|word| !word.is_empty())
                .unwrap_or_default();
            let word = printable(word);
            let port = format!("[{ip}]:4711");
            let port = port.as_bytes();
            const SCREEN: &str = "postfix/postscreen";
            writer.line(SCREEN, 3, &[b"CONNECT from ", port, b" to [192.0.2.25]:25"]);
            let helo: Vec<u8> =
                if word.is_empty() { Vec::new() } else { [b", helo=<", &word[..], b">"].concat() };
            writer.line(
                SCREEN,
                3,
                &[
                    b"NOQUEUE: reject: RCPT from ",
                    port,
                    b": 450 4.3.2 Service currently unavailable; from=<",
                    &sender,
                    b">, to=<",
                    &recipient,
                    b">, proto=",
                    proto,
                    &helo,
                ],
            );
            writer.line(SCREEN, 3, &[b"DISCONNECT ", port]);
            let name = if word.is_empty() { Name::absent() } else { Name::parse(&word) };
            told = Told { name: Some(name), outcome: Outcome::Deferred };
            String::new()
        }
    };
    if !matches!(input.story, Story::Screened) {
        writer.line(SMTPD, 0, &[b"disconnect from ", client, end.as_bytes()]);
    }
    doubtful |= writer.cut;
    Session { ip, lines: writer.lines, told: vec![told], doubtful, in_part: Vec::new() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_postfix_writes_is_read_back(
        inputs in prop::collection::vec(input(), 1..12),
        wrapping in prop::sample::select(vec![Wrapping::Iso, Wrapping::Traditional, Wrapping::Rfc5424]),
        order in prop::collection::vec(any::<u8>(), 1..60),
        stops in prop::collection::vec(0usize..60, 0..6),
    ) {
        let sessions: Vec<Session> =
            inputs.iter().enumerate().map(|(number, input)| write(number, input)).collect();
        check(&sessions, wrapping, &order, &stops)?;
    }
}

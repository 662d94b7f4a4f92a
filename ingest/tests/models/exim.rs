//! Exim's logger: hosts as `RDNS (HELO) [IP]:PORT I=[IP]:PORT`, neither escaped nor balanced, unprintable bytes as
//! `\ooo`; any HELO is taken (`helo_accept_junk_hosts`).

use std::net::IpAddr;

use helostat_zones::name::{Name, NameKind};
use helostat_zones::observation::Outcome;
use proptest::prelude::*;

use crate::frame::{Session, Text, Told, Wrapping, address, check, greeting, hostile};

#[derive(Clone, Copy, Debug)]
enum Story {
    Refused {
        hard: bool,
    },
    Taken,
    Partly,
    RefusedData,
    FailedLogin,
    /// The `ehlo-log` line, then a refusal.
    Logged,
    /// The greeting is refused for its syntax.
    RefusedGreeting,
    /// Gone in the middle of a message, after a recipient was taken.
    Gone,
    Banner,
}

#[derive(Clone, Debug)]
struct Input {
    story: Story,
    said: Vec<u8>,
    sender: Vec<u8>,
    recipient: Vec<u8>,
    words: Vec<u8>,
    reverse: Reverse,
    port: bool,
    interface: bool,
    tls: bool,
}

#[derive(Clone, Copy, Debug)]
enum Reverse {
    None,
    Other,
    /// The client says its reverse name.
    Same,
    /// The client says its own address in brackets.
    Literal,
}

fn input() -> impl Strategy<Value = Input> {
    let story = prop_oneof![
        any::<bool>().prop_map(|hard| Story::Refused { hard }),
        Just(Story::Taken),
        Just(Story::Partly),
        Just(Story::RefusedData),
        Just(Story::FailedLogin),
        Just(Story::Logged),
        Just(Story::RefusedGreeting),
        Just(Story::Gone),
        Just(Story::Banner),
    ];
    let reverse =
        prop::sample::select(vec![Reverse::None, Reverse::Other, Reverse::Same, Reverse::Literal]);
    (
        (story, greeting(), reverse),
        (hostile(), hostile(), hostile()),
        (any::<bool>(), any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |((story, said, reverse), (sender, recipient, words), (port, interface, tls))| Input {
                story,
                said,
                sender,
                recipient,
                words,
                reverse,
                port,
                interface,
                tls,
            },
        )
}

fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'\t' => out.extend_from_slice(b"\\t"),
            0x0b => out.extend_from_slice(b"\\v"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..=0x1f | 0x7f => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out
}

/// An address that Exim takes: local parts with specials are quoted.
fn mailbox(text: &[u8]) -> Vec<u8> {
    let plain = text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(byte));
    if plain {
        return [text, b"@s.example"].concat();
    }
    let mut out = vec![b'"'];
    for byte in escaped(text) {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.extend_from_slice(b"\"@s.example");
    out
}

fn write(number: usize, input: &Input) -> Session {
    let ip: IpAddr = address(number);
    let reverse = format!("host{number}.example");
    let said: Vec<u8> = match input.reverse {
        Reverse::Same => reverse.to_ascii_uppercase().into_bytes(),
        Reverse::Literal => match ip {
            IpAddr::V4(ip) => format!("[{ip}]").into_bytes(),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]").into_bytes(),
        },
        _ => escaped(input.said.split(|&byte| byte == 0).next().unwrap_or_default().trim_ascii()),
    };
    let has_reverse = !matches!(input.reverse, Reverse::None);
    let hidden = matches!(input.reverse, Reverse::Same | Reverse::Literal);
    let mut shown = format!("[{ip}]");
    if input.port {
        shown.push_str(":4711");
    }
    if input.interface {
        shown.push_str(" I=[127.0.0.1]:25");
    }
    let with = |name: &[u8]| -> Vec<u8> {
        let mut host = Vec::new();
        if has_reverse {
            host.extend_from_slice(reverse.as_bytes());
            host.push(b' ');
        }
        if !hidden && !name.is_empty() {
            host.extend_from_slice(&[b"(", name, b") "].concat());
        }
        host.extend_from_slice(shown.as_bytes());
        host
    };
    let host = with(&said);
    let (sender, recipient) = (mailbox(&input.sender), mailbox(&input.recipient));
    let tls: &[u8] = if input.tls { b" X=TLS1.3:E:256 CV=no" } else { b"" };
    let words = escaped(&input.words);
    let id = format!("1xUPlK-{number:06}-2Y");
    let id = id.as_bytes();
    let name = match () {
        // What hides may be nothing, the reverse name, or the address.
        () if hidden => None,
        () if said.is_empty() && has_reverse => None,
        () if said.is_empty() => Some(Name::absent()),
        () => Some(Name::parse(&said)),
    };
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let refuse = |how: &[u8]| {
        [
            b"H=",
            &host[..],
            tls,
            b" F=<",
            &sender,
            b"> ",
            how,
            b" RCPT <",
            &recipient,
            b">: ",
            &words,
        ]
        .concat()
    };
    let taken = || {
        [id, b" <= ", &sender[..], b" H=", &host, b" P=esmtp", tls, b" S=3 id=", &words].concat()
    };
    // For a message the reverse name is taken.
    let of_message = match name {
        None if has_reverse => Some(Name::parse(reverse.as_bytes())),
        // EHLO without a name and without a reverse name: not shown.
        Some(ref name) if *name == Name::absent() => None,
        ref name => name.clone(),
    };
    let told = match input.story {
        Story::Refused { hard } => {
            lines.push(refuse(if hard { b"rejected" } else { b"temporarily rejected" }));
            let outcome = if hard { Outcome::Rejected } else { Outcome::Deferred };
            vec![Told { name, outcome }]
        }
        Story::Taken => {
            lines.push(taken());
            vec![Told { name: of_message, outcome: Outcome::Accepted }]
        }
        Story::Partly => {
            lines.push(refuse(b"rejected"));
            lines.push(taken());
            match name {
                // Nothing was said, says the refusal; something was, says the message.
                Some(name) if name == Name::absent() => vec![
                    Told { name: Some(name), outcome: Outcome::Rejected },
                    Told { name: None, outcome: Outcome::Accepted },
                ],
                _ => vec![Told { name: of_message, outcome: Outcome::Partial }],
            }
        }
        Story::RefusedData => {
            lines.push(
                [id, b" H=", &host[..], tls, b" F=<", &sender, b"> rejected after DATA: ", &words]
                    .concat(),
            );
            vec![Told { name, outcome: Outcome::Rejected }]
        }
        Story::FailedLogin => {
            lines.push(
                [
                    b"plain authenticator failed for ",
                    &host[..],
                    b": 535 Incorrect authentication data (set_id=",
                    &words,
                    b")",
                ]
                .concat(),
            );
            let name = name.filter(|name| *name != Name::absent());
            vec![Told { name, outcome: Outcome::None }]
        }
        Story::Logged => {
            let rdns = if has_reverse { reverse.as_str() } else { "" };
            lines.push(
                [format!("ehlo-log ip={ip} port=4711 rdns={rdns} helo=<").as_bytes(), &said, b">"]
                    .concat(),
            );
            lines.push(refuse(b"rejected"));
            let name = match said.is_empty() {
                true => name,
                false => Some(Name::parse(&said)),
            };
            vec![Told { name, outcome: Outcome::Rejected }]
        }
        Story::RefusedGreeting => {
            let without = with(b"");
            let argument: &[u8] = if said.is_empty() { b"(no argument given)" } else { &said };
            lines.push(
                [
                    b"rejected EHLO from ",
                    &without[..],
                    b": syntactically invalid argument(s): ",
                    argument,
                ]
                .concat(),
            );
            lines.push([b"rejected MAIL from ", &without[..], b": no HELO/EHLO given"].concat());
            let name = Some(Name::parse(&said)).filter(|name| name.kind() == NameKind::Malformed);
            vec![Told { name, outcome: Outcome::Rejected }]
        }
        Story::Gone => {
            lines.push(
                [
                    b"H=",
                    &host[..],
                    tls,
                    b" incomplete transaction (connection lost) from <",
                    &sender,
                    b"> for ",
                    &recipient,
                ]
                .concat(),
            );
            lines.push(
                [b"unexpected disconnection while reading SMTP command from ", &host[..], b" D=0s"]
                    .concat(),
            );
            let name = name.filter(|name| *name != Name::absent());
            vec![Told { name, outcome: Outcome::Aborted }]
        }
        Story::Banner => {
            let without = with(b"");
            lines.push(
                [b"H=", &without[..], b" rejected connection in \"connect\" ACL: ", &words]
                    .concat(),
            );
            vec![Told { name: Some(Name::absent()), outcome: Outcome::Refused }]
        }
    };
    let lines = lines.into_iter().map(|text| Text { tag: "exim", process: 0, text }).collect();
    let in_part = match input.story {
        Story::Partly => vec![Outcome::Rejected, Outcome::Accepted],
        Story::Logged => vec![Outcome::None],
        _ => Vec::new(),
    };
    // Brackets in a name or an address: two readings.
    Session { ip, lines, told, doubtful: true, in_part }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_exim_writes_is_read_back(
        inputs in prop::collection::vec(input(), 1..12),
        wrapping in prop::sample::select(vec![
            Wrapping::Iso,
            Wrapping::Traditional,
            Wrapping::Rfc5424,
            Wrapping::Exim,
            Wrapping::EximPid,
        ]),
        order in prop::collection::vec(any::<u8>(), 1..60),
        stops in prop::collection::vec(0usize..60, 0..6),
    ) {
        let sessions: Vec<Session> =
            inputs.iter().enumerate().map(|(number, input)| write(number, input)).collect();
        check(&sessions, wrapping, &order, &stops)?;
    }
}

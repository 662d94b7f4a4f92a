//! Sessions of a model server, written as Exchange and hMailServer would log them, with hostile words in every place
//! that a client can fill: reading gives back exactly what happened.

#![allow(missing_docs)]

use std::collections::BTreeMap;

use helostat_ingest::reader::{FormatChoice, Reader};
use helostat_zones::name::Name;
use helostat_zones::time::Time;
use jiff::tz::TimeZone;
use proptest::prelude::*;

/// What a client does, and how the server would like to answer; it answers 503 to what is out of order.
#[derive(Clone, Debug)]
enum Step {
    Greet {
        verb: &'static str,
        name: Vec<u8>,
        code: u16,
    },
    Mail(Vec<u8>, u16),
    Rcpt(Vec<u8>, u16),
    /// The reply to the command, and to the content.
    Data(u16, u16),
    Chunk(u16),
    Reset,
    StartTls,
    /// AUTH LOGIN with these two secrets.
    Auth(Vec<u8>, Vec<u8>, bool),
    Noise(Vec<u8>),
}

#[derive(Clone, Debug)]
struct Session {
    steps: Vec<Step>,
    says_quit: bool,
    pipelines: bool,
}

/// One line of a dialogue.
#[derive(Clone, Debug)]
enum Said {
    Client(Vec<u8>),
    /// A secret: Exchange does not log it.
    Secret(Vec<u8>),
    Server(Vec<u8>),
}

/// What happened under one name, told in the words of RFC 5321 and nothing of the reader's.
#[derive(Clone, Debug, Default)]
struct Fact {
    taken: u32,
    hard: bool,
    soft: bool,
    aborted: bool,
    /// A refused greeting: (hard, soft).
    greeting: (bool, bool),
    failed_login: bool,
}

impl Fact {
    fn refuse(&mut self, code: u16) {
        if code >= 500 { self.hard = true } else { self.soft = true }
    }

    fn is_blank(&self) -> bool {
        self.taken == 0 && !self.hard && !self.soft
    }

    fn outcome(&self) -> &'static str {
        match (self.taken > 0, self.hard || self.soft) {
            (true, true) => return "partial",
            (true, false) => return "accepted",
            _ => {}
        }
        if self.aborted {
            return "aborted";
        }
        let (hard, soft) = match (self.hard || self.soft, self.greeting) {
            (true, _) => (self.hard, self.soft),
            (false, (false, false)) => (self.failed_login, false),
            (false, greeting) => greeting,
        };
        match (hard, soft) {
            (true, _) => "rejected",
            (false, true) => "deferred",
            _ => "none",
        }
    }
}

#[derive(Debug, Default)]
struct Server {
    said: Vec<Said>,
    /// By the name's text; `UNKNOWN` is nobody's.
    facts: BTreeMap<String, Fact>,
    /// `None` before the first greeting; `UNKNOWN` where nobody can tell.
    name: Option<String>,
    open: bool,
    taken: bool,
    refused: bool,
    login: bool,
    /// Replies held back while the client sends on.
    held: Option<Vec<Said>>,
}

impl Server {
    fn fact(&mut self) -> &mut Fact {
        let name = self.name.clone().unwrap_or_default();
        self.facts.entry(name).or_default()
    }

    fn client(&mut self, line: Vec<u8>) {
        self.said.push(Said::Client(line));
    }

    fn reply(&mut self, code: u16, words: &[u8]) {
        let said = Said::Server([format!("{code} ").as_bytes(), words].concat());
        match &mut self.held {
            Some(held) => held.push(said),
            None => self.said.push(said),
        }
    }

    fn release(&mut self) {
        let held = self.held.take().unwrap_or_default();
        self.said.extend(held);
    }

    fn end_mail(&mut self) {
        (self.open, self.taken, self.refused) = (false, false, false);
    }

    fn step(&mut self, step: &Step, pipelines: bool) {
        let may_wait =
            matches!(step, Step::Mail(..) | Step::Rcpt(..) | Step::Reset | Step::Data(..));
        if !may_wait {
            self.release();
        } else if pipelines && self.held.is_none() {
            self.held = Some(Vec::new());
        }
        match step {
            Step::Greet { verb, name, code } => {
                self.client([verb.as_bytes(), b" ", name].concat());
                self.reply(*code, name);
                let text = Name::parse(name.trim_ascii()).text().to_owned();
                if *code < 300 {
                    self.facts.entry(text.clone()).or_default().greeting = (false, false);
                    self.name = Some(text);
                    self.end_mail();
                } else {
                    let in_force = self.name.as_ref() == Some(&text);
                    let fact = self.facts.entry(text).or_default();
                    if !in_force && *code >= 500 {
                        fact.greeting.0 = true;
                    } else if !in_force {
                        fact.greeting.1 = true;
                    }
                    self.name.get_or_insert_with(|| "UNKNOWN".to_owned());
                }
            }
            Step::Mail(words, code) => {
                self.client([b"MAIL FROM:<", &words[..], b">"].concat());
                if self.open {
                    return self.reply(503, b"nested");
                }
                self.reply(*code, words);
                if *code < 300 {
                    self.open = true;
                } else {
                    self.fact().refuse(*code);
                }
            }
            Step::Rcpt(words, code) => {
                self.client([b"rcpt to:<", &words[..], b">"].concat());
                if !self.open {
                    self.reply(503, b"out of order");
                    if self.fact().is_blank() {
                        self.fact().refuse(503);
                    }
                    return;
                }
                self.reply(*code, words);
                if *code < 300 {
                    self.taken = true;
                } else {
                    self.refused = true;
                    self.fact().refuse(*code);
                }
            }
            Step::Data(code, end) => {
                self.client(b"DATA".to_vec());
                if !self.taken {
                    self.reply(503, b"no recipient");
                    if !self.open && self.fact().is_blank() || self.open && !self.refused {
                        self.fact().refuse(503);
                    }
                    self.release();
                    return self.end_mail();
                }
                if *code != 354 {
                    self.reply(*code, b"no");
                    self.fact().refuse(*code);
                } else {
                    self.reply(354, b"go");
                    self.reply(*end, b"x");
                    self.finish(*end);
                }
                self.release();
                self.end_mail();
            }
            Step::Chunk(code) => {
                self.client(b"BDAT 10 LAST".to_vec());
                if !self.taken {
                    self.reply(503, b"no recipient");
                    if !self.open && self.fact().is_blank() || self.open && !self.refused {
                        self.fact().refuse(503);
                    }
                } else {
                    self.reply(*code, b"x");
                    self.finish(*code);
                }
                self.end_mail();
            }
            Step::Reset => {
                self.client(b"RSET".to_vec());
                self.reply(250, b"ok");
                self.end_mail();
            }
            Step::StartTls => {
                self.client(b"STARTTLS".to_vec());
                self.reply(220, b"ready to start TLS");
                self.name = Some("UNKNOWN".to_owned());
                self.end_mail();
            }
            Step::Auth(user, password, works) => {
                self.client(b"AUTH LOGIN".to_vec());
                self.reply(334, b"VXNlcm5hbWU6");
                self.said.push(Said::Secret(user.clone()));
                self.reply(334, b"UGFzc3dvcmQ6");
                self.said.push(Said::Secret(password.clone()));
                if *works {
                    self.reply(235, b"ok");
                    self.login = true;
                } else {
                    self.reply(535, b"no");
                    self.fact().failed_login = true;
                }
            }
            Step::Noise(words) => {
                self.client([b"X", &words[..]].concat());
                self.reply(500, words);
            }
        }
    }

    fn finish(&mut self, code: u16) {
        if code < 300 { self.fact().taken += 1 } else { self.fact().refuse(code) }
    }

    fn run(session: &Session) -> Self {
        let mut server = Self::default();
        server.reply(220, b"mx ESMTP");
        for step in &session.steps {
            server.step(step, session.pipelines);
        }
        server.release();
        if session.says_quit {
            server.client(b"QUIT".to_vec());
            server.reply(221, b"bye");
        } else if server.open && (server.taken || !server.refused) {
            server.fact().aborted = true;
        }
        if server.name.is_none() && server.facts.is_empty() {
            server.fact();
        }
        server
    }

    /// `name outcome login`, sorted.
    fn truth(&self) -> Vec<String> {
        let alone = self.facts.keys().all(|name| name == "UNKNOWN");
        let told = |(name, fact): (&String, &Fact)| {
            (name != "UNKNOWN" || alone || fact.taken > 0)
                .then(|| line(name, fact.outcome(), self.login))
        };
        let mut told: Vec<String> = self.facts.iter().filter_map(told).collect();
        if told.is_empty() {
            told.push(line("UNKNOWN", "none", self.login));
        }
        told.sort();
        told
    }
}

fn line(name: &str, outcome: &str, login: bool) -> String {
    format!("<{name}> {outcome}{}", if login { " login" } else { "" })
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let bytes = proptest::collection::vec(
        any::<u8>().prop_filter("no line feed", |byte| !b"\r\n".contains(byte)),
        0..30,
    );
    prop_oneof![
        "[a-c]\\.example".prop_map(String::into_bytes),
        bytes,
        "[ -~]{0,30}".prop_map(String::into_bytes),
        Just(b"x,\"\",<,EHLO evil.example,".to_vec()),
        Just(b"x,6.6.6.6:25,>,\"250 ok\",".to_vec()),
        Just(b"a\"\t\"SENT: 250 ok\"".to_vec()),
        Just(b"a\t6.6.6.6\t\"RECEIVED: EHLO evil.example".to_vec()),
        Just(b"[nl]250 ok".to_vec()),
        Just(b"EHLO evil.example".to_vec()),
        Just(b"235 ok".to_vec()),
        Just("mail.stra\u{df}e.example".as_bytes().to_vec()),
        Just(b"\xef\xf0\xe8\xe2\xe5\xf2.example".to_vec()),
    ]
}

fn code() -> impl Strategy<Value = u16> {
    prop_oneof![4 => Just(250u16), 1 => Just(550u16), 1 => Just(451u16)]
}

fn step() -> impl Strategy<Value = Step> {
    let verb = prop_oneof![Just("EHLO"), Just("HELO"), Just("ehlo")];
    prop_oneof![
        3 => (verb, hostile(), code()).prop_map(|(verb, name, code)| Step::Greet { verb, name, code }),
        4 => (hostile(), code()).prop_map(|(words, code)| Step::Mail(words, code)),
        4 => (hostile(), code()).prop_map(|(words, code)| Step::Rcpt(words, code)),
        4 => (prop_oneof![5 => Just(354u16), 1 => Just(554u16)], code()).prop_map(|(code, end)| Step::Data(code, end)),
        1 => code().prop_map(Step::Chunk),
        1 => Just(Step::Reset),
        1 => Just(Step::StartTls),
        1 => (hostile(), hostile(), any::<bool>()).prop_map(|(user, password, works)| Step::Auth(user, password, works)),
        1 => hostile().prop_map(Step::Noise),
    ]
}

fn session() -> impl Strategy<Value = Session> {
    (proptest::collection::vec(step(), 0..9), any::<bool>(), any::<bool>())
        .prop_map(|(steps, says_quit, pipelines)| Session { steps, says_quit, pipelines })
}

/// The lines of several sessions, mixed.
fn mixed(sessions: Vec<Vec<Vec<u8>>>, order: &[usize]) -> Vec<Vec<u8>> {
    let mut sessions: Vec<_> =
        sessions.into_iter().map(|lines| lines.into_iter().peekable()).collect();
    let mut mixed = Vec::new();
    let mut order = order.iter().cycle();
    while sessions.iter_mut().any(|lines| lines.peek().is_some()) {
        let turn = order.next().copied().unwrap_or_default();
        let length = sessions.len();
        for at in 0..length {
            if let Some(line) = sessions[(turn + at) % length].next() {
                mixed.push(line);
                break;
            }
        }
    }
    mixed
}

/// What is told of each address; the reader is stored and taken up again before every `every`-th line.
fn read(lines: &[Vec<u8>], every: usize) -> BTreeMap<String, Vec<String>> {
    let latest = Time::parse("2026-11-20T15:00:00Z").expect("a time");
    let reader = || Reader::new(FormatChoice::Auto, "mx".into(), TimeZone::UTC);
    let (mut running, mut out) = (reader(), Vec::new());
    for (at, line) in lines.iter().enumerate() {
        if at % every == 0 {
            let saved = running.save();
            running = reader().restore(&saved).expect("what save wrote");
            assert_eq!(running.save(), saved);
        }
        let reading = running.read(line, latest, &mut out);
        assert_eq!(reading.why, None, "{}", String::from_utf8_lossy(line));
    }
    running.close(&mut out);
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in out {
        let name = one.name.as_ref().map_or("UNKNOWN", Name::text);
        told.entry(one.ip.to_string()).or_default().push(line(
            name,
            one.outcome.word(),
            one.apart.is_some(),
        ));
    }
    told.values_mut().for_each(|lines| lines.sort());
    told
}

/// RFC 4180.
fn quoted(field: &[u8]) -> Vec<u8> {
    if !field.iter().any(|byte| b",\"".contains(byte)) {
        return field.to_vec();
    }
    let mut text = vec![b'"'];
    for &byte in field {
        text.extend((byte == b'"').then_some(b'"'));
        text.push(byte);
    }
    text.push(b'"');
    text
}

fn exchange(number: usize, session: &Session, said: &[Said]) -> Vec<Vec<u8>> {
    let mut sequence = 0;
    let mut row = |event: u8, data: &[u8]| {
        sequence += 1;
        let head = format!(
            "2026-11-20T13:40:22.984Z,\"MX\\Default, Frontend\",08DC{number:012X},{},10.0.0.6:25,192.0.2.{number}:61061,",
            sequence - 1
        );
        [head.as_bytes(), &[event, b','], &quoted(data), b","].concat()
    };
    let mut lines = vec![row(b'+', b"")];
    for said in said {
        match said {
            Said::Client(line) => lines.push(row(b'<', line)),
            Said::Server(line) => lines.push(row(b'>', line)),
            Said::Secret(_) => lines.push(row(b'*', b"x")),
        }
    }
    if !session.says_quit || number.is_multiple_of(2) {
        lines.push(row(b'-', b""));
    }
    lines
}

fn hmailserver(number: usize, said: &[Said]) -> Vec<Vec<u8>> {
    let line = |said: &Said| {
        let (word, line) = match said {
            Said::Client(line) | Said::Secret(line) => ("RECEIVED", line),
            Said::Server(line) => ("SENT", line),
        };
        let head = format!(
            "\"SMTPD\"\t100\t7\t\"2026-11-20 13:40:22.413\"\t\"192.0.2.{number}\"\t\"{word}: "
        );
        [head.as_bytes(), line, b"\""].concat()
    };
    said.iter().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn exchange_gives_back_what_went_in(
        sessions in proptest::collection::vec(session(), 1..4),
        order in proptest::collection::vec(0usize..4, 1..9),
        every in 1usize..5,
        heading in any::<bool>(),
    ) {
        let servers: Vec<Server> = sessions.iter().map(Server::run).collect();
        let lines = sessions.iter().zip(&servers).enumerate();
        let lines = lines.map(|(number, (session, server))| exchange(number, session, &server.said));
        let mut lines = mixed(lines.collect(), &order);
        if heading {
            let heading: [&[u8]; 2] = [
                b"\xef\xbb\xbf#Software: Microsoft Exchange Server",
                b"#Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context",
            ];
            lines.splice(0..0, heading.map(<[u8]>::to_vec));
        }
        let told = read(&lines, every);
        prop_assert_eq!(told.len(), servers.len());
        for (number, server) in servers.iter().enumerate() {
            prop_assert_eq!(&told[&format!("192.0.2.{number}")], &server.truth(), "{:?}", server);
        }
    }

    #[test]
    fn hmailserver_gives_back_what_went_in(
        sessions in proptest::collection::vec(session(), 1..4),
        order in proptest::collection::vec(0usize..4, 1..9),
        every in 1usize..5,
    ) {
        let servers: Vec<Server> = sessions.iter().map(Server::run).collect();
        let lines = servers.iter().enumerate().map(|(number, server)| hmailserver(number, &server.said));
        let told = read(&mixed(lines.collect(), &order), every);
        prop_assert_eq!(told.len(), servers.len());
        for (number, server) in servers.iter().enumerate() {
            prop_assert_eq!(&told[&format!("192.0.2.{number}")], &server.truth(), "{:?}", server);
        }
    }

    /// Whatever follows a head that each of the formats knows, nothing panics, and any state can be stored.
    #[test]
    fn no_bytes_make_it_panic(
        heads in proptest::collection::vec(0usize..12, 1..20),
        tails in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..20),
    ) {
        const HEADS: [&str; 12] = [
            "#Fields: date-time,",
            "#Fields: date time c-ip agent ",
            "#Log-type: ",
            "2026-11-20T13:40:22.984Z,c,08DC,0,10.0.0.6:25,192.0.2.7:5,<,",
            "2026-11-20T13:40:22.984Z,c,08DC,0,10.0.0.6:25,192.0.2.7:5,>,250 ",
            "\"SMTPD\"\t1\t1\t\"2026-11-20 13:40:22.413\"\t\"192.0.2.7\"\t\"RECEIVED: ",
            "\"SMTPD\"\t1\t1\t\"2026-11-20 13:40:22.413\"\t\"192.0.2.7\"\t\"SENT: ",
            "11/20/26 13:40:22\tSMTP-IN\tx\t816\t192.0.2.7\t",
            "type,timeLogged,",
            "r,2026-11-20 13:40:22,",
            "seq,t,ip,helo",
            "{\"time\":\"2026-11-20T13:40:22Z\",\"ip\":\"192.0.2.7\",\"outcome\":\"none\",\"ehlo\":",
        ];
        let latest = Time::parse("2026-11-20T15:00:00Z").expect("a time");
        let reader = || Reader::new(FormatChoice::Auto, "mx".into(), TimeZone::UTC);
        let (mut running, mut out) = (reader(), Vec::new());
        for (head, tail) in heads.iter().zip(&tails) {
            running.read(&[HEADS[*head].as_bytes(), tail].concat(), latest, &mut out);
            let saved = running.save();
            running = reader().restore(&saved).expect("what save wrote");
            prop_assert_eq!(running.save(), saved);
        }
        running.close(&mut out);
    }
}

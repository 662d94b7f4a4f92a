//! Microsoft Exchange: the receive protocol log, one comma separated row for every event of a connection.
//!
//! In go the files `RECV*.LOG` of the front end, a hub or an Edge server; out comes one observation for every name
//! that a session showed, when it ends. A row is `date-time,connector-id,session-id,sequence-number,
//! local-endpoint,remote-endpoint,event,data,context`, in UTC; the columns are read from `#Fields:`, and are those
//! nine where a row comes without (fields 8 and 9 of a row that was cut are missed, and the row with them).
//! Rows join by their session-id. Events: `+` connect, `-` disconnect, `<` the client's line, `>` ours, `*`
//! information.
//!
//! Only the columns that Exchange fills itself say who the client is; what it says is in `data`, quoted as RFC
//! 4180 wants, and is an SMTP command to [`dialogue`](crate::dialogue), which judges by the replies. A row whose
//! number of columns is not the heading's is dropped: then something was not quoted.
//!
//! Kept apart, not learned: ports 587 and 465 (clients' own connectors), logins, and servers of the organisation,
//! which log in. A hub is spoken to by front ends, which say for whom by `XPROXYFROM SID=.. IP=.. DOMAIN=..`: then
//! the session is that client's, unless its session at the front end is open in the same source. The send
//! protocol log has the same columns and is recognised by `#Log-type:`, or by what "we" say in it. Not read: message
//! tracking and the other logs of Exchange.
//!
//! The grammar is from samples that administrators published (Exchange 2007 to 2019).

use helostat_zones::time::Time;

use super::{
    Caller, Format, IRRELEVANT, Reading, SESSION, SavedState, Setting, ambiguous, not_understood,
};
use crate::bytes::{address, cut, cut_at_last, digits_of};
use crate::columns::{HEADING, Heading, fields, unquoted, without_mark};
use crate::dialogue::Talks;
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::{Apart, Heard};
use crate::stamps::{Stamps, iso_stamp};

/// The columns that are read, in the order of the constants below.
const WANTED: [&[u8]; 8] = [
    b"date-time",
    b"session-id",
    b"sequence-number",
    b"local-endpoint",
    b"remote-endpoint",
    b"event",
    b"data",
    b"context",
];
const SESSION_ID: usize = 1;
const SEQUENCE: usize = 2;
const LOCAL: usize = 3;
const REMOTE: usize = 4;
const EVENT: usize = 5;
const DATA: usize = 6;
const CONTEXT: usize = 7;
/// What `#Fields:` says unless Microsoft changes it.
const DEFAULT: [&[u8]; 9] = [
    b"date-time",
    b"connector-id",
    b"session-id",
    b"sequence-number",
    b"local-endpoint",
    b"remote-endpoint",
    b"event",
    b"data",
    b"context",
];

/// Kinds of Exchange's logs.
const RECEIVE: u8 = 0;
const OTHER: u8 = 1;

/// The longest session-id; they have sixteen digits.
const ID_MAX: usize = 64;

/// Joins the rows of one reporter's Exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    talks: Talks,
}

impl Exchange {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { talks: Talks::new(setting) }
    }
}

impl Format for Exchange {
    fn read(&mut self, frame: &Frame<'_>, stamps: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        match row(frame.text, stamps.heading.as_ref()) {
            Ok(Some(row)) => self.event(&row, frame.time, out),
            Ok(None) => IRRELEVANT,
            Err(why) => why,
        }
    }

    fn sweep(&mut self, now: Time, out: &mut Vec<Heard>) {
        self.talks.sweep(now, out);
    }

    fn close(&mut self, out: &mut Vec<Heard>) {
        self.talks.close(out);
    }

    fn open_sessions(&self) -> usize {
        self.talks.len()
    }

    fn closed_early(&self) -> u64 {
        self.talks.closed_early()
    }

    fn save(&self) -> SavedState {
        self.talks.save()
    }

    fn restore(&mut self, saved: SavedState) -> Result<(), String> {
        self.talks.restore(saved)
    }
}

impl Exchange {
    fn event(&mut self, row: &Row<'_>, now: Time, out: &mut Vec<Heard>) -> Reading {
        let mut caller = Caller::new(row.remote);
        if matches!(row.port, Some(587 | 465)) {
            caller.apart = Some(Apart::Login);
        }
        let key = row.session;
        let data = unquoted(row.data);
        // A log that was switched on later, or a row that was lost: the first words are ours all the same.
        let is_banner = row.event == Event::Said
            && row.sequence <= 1
            && data.starts_with(b"220")
            && !self.talks.has(key);
        if row.event == Event::Connect || is_banner {
            self.talks.begin(key, caller.clone(), now, out);
        }
        match row.event {
            Event::Connect => SESSION,
            Event::Disconnect => {
                if !self.talks.has(key) {
                    return IRRELEVANT;
                }
                self.talks.end(key, out);
                SESSION
            }
            Event::Heard => self.talks.command(key, caller, &data, now, out),
            Event::Said => {
                // One line of several, in the logs before Exchange 2013.
                if data.get(3) == Some(&b'-') {
                    return SESSION;
                }
                if is_command(&data) {
                    // Here "we" are the client: a send log without its heading.
                    if let Some(talk) = self.talks.of(key, caller, now, out) {
                        talk.silence();
                    }
                    return IRRELEVANT;
                }
                self.talks.reply(key, caller, &data, now, out)
            }
            Event::Information => {
                let context = unquoted(row.context);
                if let Some(talk) = self.talks.of(key, caller, now, out) {
                    if context.starts_with(b"TLS protocol SP_PROT_") {
                        talk.dialogue.note_tls();
                    } else if *context == *b"authenticated" {
                        talk.dialogue.note_login();
                    }
                }
                SESSION
            }
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Connect,
    Disconnect,
    Heard,
    Said,
    Information,
}

/// A row, its last two fields as they are written.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    session: &'a [u8],
    sequence: u32,
    remote: std::net::IpAddr,
    /// The port that the client came to.
    port: Option<u32>,
    event: Event,
    data: &'a [u8],
    context: &'a [u8],
}

/// Reads a row; `None` for one of a log that is of no use.
fn row<'a>(line: &'a [u8], heading: Option<&Heading>) -> Result<Option<Row<'a>>, Reading> {
    let default;
    let heading = match heading.filter(|heading| heading.program == Program::Exchange) {
        Some(heading) if heading.kind == OTHER => return Ok(None),
        Some(heading) if heading.width() > 0 => heading,
        _ => {
            default = Heading::new(Program::Exchange, RECEIVE, &DEFAULT, &WANTED);
            default.as_ref().ok_or_else(|| not_understood("shape"))?
        }
    };
    let fields = fields(line).ok_or_else(|| ambiguous("open-quote"))?;
    if fields.len() != heading.width() {
        return Err(ambiguous("columns"));
    }
    let field = |wanted| heading.field(&fields, wanted);
    let session = field(SESSION_ID);
    let plain = !session.is_empty() && session.len() <= ID_MAX;
    if !plain || !session.iter().all(u8::is_ascii_alphanumeric) {
        return Err(not_understood("session"));
    }
    let (remote, _) = endpoint(field(REMOTE)).ok_or_else(|| not_understood("address"))?;
    let event = match field(EVENT) {
        b"+" => Event::Connect,
        b"-" => Event::Disconnect,
        b"<" => Event::Heard,
        b">" => Event::Said,
        b"*" => Event::Information,
        _ => return Err(not_understood("event")),
    };
    Ok(Some(Row {
        session,
        sequence: digits_of(field(SEQUENCE)).unwrap_or(u32::MAX),
        remote,
        port: endpoint(field(LOCAL)).and_then(|(_, port)| port),
        event,
        data: field(DATA),
        context: field(CONTEXT),
    }))
}

/// `IP:PORT` or `[IP]:PORT`.
fn endpoint(text: &[u8]) -> Option<(std::net::IpAddr, Option<u32>)> {
    let (ip, port) = cut_at_last(text, b":")?;
    let ip = match ip.strip_prefix(b"[") {
        Some(inside) => inside.strip_suffix(b"]")?,
        None => ip,
    };
    Some((address(ip)?, digits_of(port)))
}

/// True for what only a client says.
fn is_command(text: &[u8]) -> bool {
    let verb = cut(text, b' ').map_or(text, |(verb, _)| verb);
    const VERBS: [&[u8]; 5] = [b"EHLO", b"HELO", b"MAIL", b"RCPT", b"QUIT"];
    VERBS.contains(&verb)
}

/// A line of Exchange's own log: a heading, or a row that begins with its stamp.
pub(crate) fn own<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
) -> Option<Result<Frame<'a>, &'static str>> {
    let line = without_mark(line);
    if let Some(comment) = line.strip_prefix(b"#") {
        return take_heading(comment, stamps).then_some(Err(HEADING));
    }
    let (stamp, rest) = iso_stamp(line, b'T')?;
    if !rest.starts_with(b",") || stamp.offset != Some(0) {
        return None;
    }
    let heading = stamps.heading.as_ref().filter(|heading| heading.program == Program::Exchange);
    if heading.is_none() && row(line, None).is_err() {
        return None;
    }
    let frame = |time| Frame {
        time,
        host: b"",
        tag: b"",
        pid: None,
        text: line,
        own: Some(Program::Exchange),
    };
    Some(stamps.time(&stamp).map(frame))
}

/// Takes in a heading; false if it is not Exchange's.
fn take_heading(comment: &[u8], stamps: &mut Stamps) -> bool {
    let known =
        stamps.heading.as_ref().filter(|heading| heading.program == Program::Exchange).cloned();
    let kind = known.as_ref().map_or(RECEIVE, |heading| heading.kind);
    if comment.starts_with(b"Software: Microsoft Exchange") {
        stamps.heading = Some(Heading::useless(Program::Exchange, RECEIVE));
        return true;
    }
    if let Some(kind) = comment.strip_prefix(b"Log-type: ") {
        let kind = if kind == b"SMTP Receive Protocol Log" { RECEIVE } else { OTHER };
        stamps.heading = Some(Heading::useless(Program::Exchange, kind));
        return true;
    }
    if let Some(columns) = comment.strip_prefix(b"Fields: date-time,") {
        let mut names = vec![b"date-time".as_slice()];
        names.extend(columns.split(|&byte| byte == b','));
        let heading = Heading::new(Program::Exchange, kind, &names, &WANTED);
        let whole = |heading: &Heading| (0..WANTED.len()).all(|at| heading.place(at).is_some());
        stamps.heading = Some(match heading.filter(whole) {
            Some(heading) => heading,
            None => Heading::useless(Program::Exchange, OTHER),
        });
        return true;
    }
    known.is_some() && (comment.starts_with(b"Version: ") || comment.starts_with(b"Date: "))
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;

    const HEAD: &str = "#Software: Microsoft Exchange Server\n#Version: 15.0.0.0\n\
        #Log-type: SMTP Receive Protocol Log\n#Date: 2026-11-20T13:00:00.000Z\n\
        #Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context\n";

    /// Rows of one session out of `event,data,context`.
    fn rows(session: &str, local: &str, remote: &str, events: &[&str]) -> String {
        let row = |(number, event): (usize, &&str)| {
            format!(
                "2026-11-20T13:40:22.984Z,MX\\Default Frontend MX,{session},{number},{local},{remote},{event}\n"
            )
        };
        events.iter().enumerate().map(row).collect()
    }

    fn session(events: &[&str]) -> String {
        rows("08DC42C8FF236A1F", "10.0.0.6:25", "192.0.2.7:61061", events)
    }

    #[test]
    fn sessions() {
        let hello = [
            "+,,",
            ">,\"220 MX ready at Wed, 13 Mar 2024\",",
            "<,EHLO a.example,",
            ">,250  MX Hello [192.0.2.7] SIZE,",
        ];
        let mail = [
            "<,MAIL FROM:<s@s> SIZE=1,",
            "*,08DC42C8FF236A1F;2024-03-13T09:01:18.723Z;1,receiving message",
            "<,RCPT TO:<o@l>,",
            ">,250 2.1.0 Sender OK,",
            ">,250 2.1.5 Recipient OK,",
        ];
        let data = [
            "<,DATA,",
            ">,354 Start mail input; end with <CRLF>.<CRLF>,",
            "*,,Proxy destination(s) obtained from OnProxyInboundMessage event",
            ">,\"250 2.6.0 <1@s> [InternalId=2, Hostname=MX] Queued mail for delivery\",",
        ];
        let end = ["<,QUIT,", ">,221 2.0.0 Service closing transmission channel,", "-,,Local"];
        let all = [&hello[..], &mail, &data, &end].concat();
        let gone = [&hello[..], &mail, &["-,,Remote(ConnectionReset)"]].concat();
        let tls = [
            "<,STARTTLS,",
            ">,220 2.0.0 SMTP server ready,",
            "*, CN=MX,Sending certificate Subject",
            "*,,\"TLS protocol SP_PROT_TLS1_2_SERVER negotiation succeeded using x, y\"",
            "<,EHLO a.example,",
            ">,250-MX,",
            ">,250 SIZE,",
        ];
        let login = [
            "<,AUTH LOGIN,",
            ">,334 <authentication response>,",
            "*,MX\\joe,authenticated",
            ">,235 <authentication response>,",
        ];
        for (what, events, expected) in [
            ("a message", all.clone(), "192.0.2.7 a.example accepted ESMTP"),
            ("gone", gone, "192.0.2.7 a.example aborted ESMTP"),
            (
                "under TLS",
                [&hello[..], &tls, &mail, &data, &end].concat(),
                "192.0.2.7 a.example accepted ESMTPS",
            ),
            (
                "a login",
                [&hello[..], &login, &mail, &data, &end].concat(),
                "192.0.2.7 a.example accepted ESMTPA login",
            ),
            ("nothing", vec!["+,,", "-,,Remote"], "192.0.2.7 (none) none"),
            (
                "quoted",
                vec!["+,,", ">,220 x,", "<,\"EHLO a,b \"\"c\"\"\",", ">,250 x,"],
                "192.0.2.7 a,b \"c\" none ESMTP",
            ),
            (
                "a forged row in a name",
                vec!["+,,", ">,220 x,", "<,\"EHLO x,\"\",6.6.6.6:25,<,EHLO evil\",", ">,501 x,"],
                "192.0.2.7 x,\",6.6.6.6:25,<,ehlo evil rejected at ehlo",
            ),
        ] {
            assert_eq!(told(&format!("{HEAD}{}", session(&events))), [expected], "{what}");
            assert_eq!(told(&session(&events)), [expected], "{what}, without a heading");
        }
        assert_eq!(
            told(&rows("1", "10.0.0.6:587", "192.0.2.7:5", &all)),
            ["192.0.2.7 a.example accepted ESMTP login"]
        );
        assert_eq!(
            told(&rows("1", "[2001:db8::1]:25", "[2001:db8::7]:5", &all)),
            ["2001:db8::7 a.example accepted ESMTP"]
        );
        let without_start = session(&all[1..]);
        assert_eq!(told(&without_start), ["192.0.2.7 a.example accepted ESMTP"]);
    }

    #[test]
    fn hubs_tell_whose_mail_it_is() {
        let front = [
            "+,,",
            ">,220 x,",
            "<,EHLO fe.example,",
            ">,250 x,",
            "<,X-EXPS EXCHANGEAUTH,",
            ">,235 <authentication response>,",
        ];
        let client = |ip: &str, name: &str| {
            [
                format!(
                    "<,XPROXYFROM SID=08AA IP={ip} PORT=1 DOMAIN={name} SEQNUM=1 PERMS=0 AUTHSRC=Anonymous,"
                ),
                ">,250 XProxyFrom accepted,".to_owned(),
                "<,MAIL FROM:<s@s>,".to_owned(),
                ">,250 2.1.0 Sender OK,".to_owned(),
                "<,RCPT TO:<o@l>,".to_owned(),
                ">,250 2.1.5 Recipient OK,".to_owned(),
                "<,BDAT 9 LAST,".to_owned(),
                ">,250 2.6.0 Queued,".to_owned(),
            ]
        };
        let (a, b) = (client("192.0.2.7", "a.example"), client("198.51.100.9", "b.example"));
        let mut events = front.to_vec();
        events.extend(a.iter().chain(&b).map(String::as_str));
        events.push("-,,Remote");
        let hub = rows("08BB", "10.0.0.6:2525", "10.0.0.6:5", &events);
        assert_eq!(told(&hub), ["192.0.2.7 a.example accepted", "198.51.100.9 b.example accepted"]);
        // The front end's own log is in the same source.
        let front_end = rows(
            "08AA",
            "10.0.0.6:25",
            "192.0.2.7:1",
            &["+,,", ">,220 x,", "<,EHLO a.example,", ">,250 x,"],
        );
        assert_eq!(told(&format!("{front_end}{hub}")), ["192.0.2.7 a.example none ESMTP"]);
        let forged = client("192.0.2.7", "x IP=6.6.6.6");
        let mut events = front.to_vec();
        events.extend(forged.iter().map(String::as_str));
        assert_eq!(told(&rows("08BB", "10.0.0.6:2525", "10.0.0.6:5", &events)), [""; 0]);
        // A stranger is told that there is no such command.
        let refused = [
            "+,,",
            ">,220 x,",
            "<,EHLO a.example,",
            ">,250 x,",
            "<,XPROXYFROM SID=1 IP=6.6.6.6 DOMAIN=evil,",
            ">,500 5.3.3 no,",
        ];
        assert_eq!(told(&session(&refused)), ["192.0.2.7 a.example none ESMTP"]);
    }

    #[test]
    fn other_logs_give_nothing() {
        let send = [
            "+,,attempting to connect",
            "<,220 mx.example,",
            ">,EHLO us.example,",
            "<,250 x,",
            ">,QUIT,",
            "-,,Local",
        ];
        let rows = session(&send);
        assert_eq!(told(&rows), [""; 0]);
        let heading = HEAD.replace("Receive", "Send");
        assert_eq!(told(&format!("{heading}{rows}")), [""; 0]);
        let tracking = "#Log-type: Message Tracking Log\n#Fields: date-time,client-ip,client-hostname\n\
            2026-11-20T13:40:22.984Z,192.0.2.7,evil.example\n";
        assert_eq!(told(tracking), [""; 0]);
        for row in [
            "2026-11-20T13:40:22.984Z,c,08DC,0,10.0.0.6:25,192.0.2.7:5,<,EHLO a,b,\n",
            "2026-11-20T13:40:22.984Z,c,08DC,0,10.0.0.6:25,192.0.2.7:5,<,\"EHLO a\n",
            "2026-11-20T13:40:22.984Z,c,08DC,0,10.0.0.6:25,192.0.2.7:5,<\n",
            "2026-11-20T13:40:22.984Z,c,08DC,0,10.0.0.6:25,x,<,EHLO a,\n",
        ] {
            assert_eq!(told(row), [""; 0], "{row}");
            assert_eq!(told(&format!("{HEAD}{row}")), [""; 0], "{row}");
        }
    }
}

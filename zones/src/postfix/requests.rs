//! Requests out of the bytes of a connection.
//!
//! In go bytes in pieces that may end anywhere ([`Requests::feed`]); out come requests ([`Requests::next`]), or once why
//! there will be no more. Nothing panics, and no more than one request and one piece is held: octets of a request are
//! counted up to its empty line, and more than `most` is an error as soon as the octet beyond it is there.
//!
//! Rules (SMTPD_POLICY_README, "Protocol description"): lines end with a line feed alone; the order of attributes does
//! not matter; attributes that are not known are passed over; of one that comes twice the first counts; an attribute that
//! is empty, `unknown` (names and addresses of clients) or missing says nothing. `request` must be
//! `smtpd_access_policy`. A line without `=` or with a NUL is no line of the protocol: whoever sends it is no Postfix.
//!
//! What is not read: sender, size, TLS and all else on which no verdict depends. What the client says in SMTP can be in
//! every value, but never a line feed or a NUL.

use std::net::IpAddr;

use crate::name::Name;

/// The one request that there is.
const POLICY: &[u8] = b"smtpd_access_policy";
/// What Postfix writes for a client whose address or name it does not know.
const UNKNOWN: &[u8] = b"unknown";
/// The longest reverse name in text form.
const REVERSE_MAX: usize = 255;

/// Where in a message's way Postfix asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before the client has said anything.
    Connect,
    /// At HELO.
    Helo,
    /// At EHLO.
    Ehlo,
    /// At MAIL FROM.
    Mail,
    /// At RCPT TO, where Postfix asks unless it is told otherwise.
    Rcpt,
    /// Recipients were taken, the content is to come.
    Data,
    /// The content is there, and nothing has refused it so far.
    EndOfMessage,
    /// VRFY, ETRN, or a word that is not known.
    Other,
}

impl Stage {
    /// The stage that `protocol_state` names.
    fn of(word: &[u8]) -> Self {
        match word {
            b"CONNECT" => Self::Connect,
            b"HELO" => Self::Helo,
            b"EHLO" => Self::Ehlo,
            b"MAIL" => Self::Mail,
            b"RCPT" => Self::Rcpt,
            b"DATA" | b"BDAT" => Self::Data,
            b"END-OF-MESSAGE" => Self::EndOfMessage,
            _ => Self::Other,
        }
    }

    /// The word for it in observations.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Helo => "helo",
            Self::Ehlo => "ehlo",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::EndOfMessage => "end-of-message",
            Self::Other => "other",
        }
    }

    /// True if a header can still be put before the message: not before there is one, and not behind its content
    /// (access(5)).
    pub fn takes_headers(self) -> bool {
        matches!(self, Self::Mail | Self::Rcpt | Self::Data)
    }
}

/// What Postfix asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where in the message's way.
    pub stage: Stage,
    /// The client, canonical (never IPv4-mapped IPv6); `None` if Postfix does not know it.
    pub ip: Option<IpAddr>,
    /// What the client said in EHLO, absent if it said nothing; `None` if it had no time to, or Postfix does not tell.
    pub name: Option<Name>,
    /// The reverse name that Postfix verified, in lower case.
    pub rdns: Option<Box<str>>,
    /// A user logged in.
    pub is_login: bool,
    /// What all requests about one message have in common; empty before RCPT, and if Postfix does not tell.
    pub instance: Box<[u8]>,
    /// The recipient in question; empty where it is about none or several.
    pub recipient: Box<[u8]>,
}

/// Why no more requests can come over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garbled {
    /// A request is longer than it may be.
    TooLong,
    /// A line is not `name=value`.
    NoAttribute,
    /// It is a request for something else.
    OtherRequest,
}

/// Takes requests out of the bytes of a connection.
#[derive(Debug)]
pub struct Requests {
    bytes: Vec<u8>,
    /// Octets of `bytes` that are done with.
    done: usize,
    /// Octets of `bytes` in which there is no line feed: where to look on.
    looked: usize,
    /// Octets of the present request before `done`.
    length: usize,
    most: usize,
    draft: Draft,
    garbled: bool,
}

impl Requests {
    /// Of a new connection; a request has at most `most` octets.
    pub fn new(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            done: 0,
            looked: 0,
            length: 0,
            most,
            draft: Draft::default(),
            garbled: false,
        }
    }

    /// Adds what came; ask for all requests before the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.done);
        self.looked -= self.done;
        self.done = 0;
        self.bytes.extend_from_slice(piece);
    }

    /// True if a request has begun and not ended.
    pub fn is_amid(&self) -> bool {
        self.length > 0 || self.done < self.bytes.len()
    }

    /// The next line without its line feed.
    fn line(&mut self) -> Result<Option<&[u8]>, Garbled> {
        let rest = self.bytes.get(self.looked..).unwrap_or_default();
        let found = memchr::memchr(b'\n', rest).map(|at| self.looked + at);
        let end = found.map_or(self.bytes.len(), |feed| feed + 1);
        if self.length + (end - self.done) > self.most {
            return Err(Garbled::TooLong);
        }
        self.looked = end;
        let Some(feed) = found else { return Ok(None) };
        self.length += end - self.done;
        let line = self.bytes.get(self.done..feed);
        self.done = end;
        Ok(line)
    }

    fn read(&mut self) -> Result<Option<Request>, Garbled> {
        // Taken out, so that lines can be read from the rest.
        let mut draft = std::mem::take(&mut self.draft);
        while let Some(line) = self.line()? {
            if line.is_empty() {
                self.length = 0;
                return draft.end().map(Some);
            }
            draft.line(line)?;
        }
        self.draft = draft;
        Ok(None)
    }
}

impl Iterator for Requests {
    type Item = Result<Request, Garbled>;

    /// The next request; `None` until more is fed, and for ever after an error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.garbled {
            return None;
        }
        let read = self.read();
        self.garbled = read.is_err();
        read.transpose()
    }
}

/// A request in the making.
#[derive(Debug, Default)]
struct Draft {
    is_policy: Option<bool>,
    stage: Option<Stage>,
    ip: Option<Option<IpAddr>>,
    said: Option<Name>,
    rdns: Option<Option<Box<str>>>,
    is_login: Option<bool>,
    instance: Option<Box<[u8]>>,
    recipient: Option<Box<[u8]>>,
}

impl Draft {
    fn line(&mut self, line: &[u8]) -> Result<(), Garbled> {
        let equals = memchr::memchr(b'=', line).filter(|_| memchr::memchr(0, line).is_none());
        let equals = equals.ok_or(Garbled::NoAttribute)?;
        let (name, value) = line.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        match name {
            b"request" => first(&mut self.is_policy, || value == POLICY),
            b"protocol_state" => first(&mut self.stage, || Stage::of(value)),
            b"client_address" => first(&mut self.ip, || address(value)),
            b"client_name" => first(&mut self.rdns, || reverse_name(value)),
            b"helo_name" => first(&mut self.said, || Name::parse(value)),
            b"sasl_username" => first(&mut self.is_login, || !value.is_empty()),
            b"instance" => first(&mut self.instance, || value.into()),
            b"recipient" => first(&mut self.recipient, || value.into()),
            _ => {}
        }
        Ok(())
    }

    fn end(self) -> Result<Request, Garbled> {
        if self.is_policy != Some(true) {
            return Err(Garbled::OtherRequest);
        }
        let stage = self.stage.unwrap_or(Stage::Other);
        let in_time = |said: &Name| !(stage == Stage::Connect && said.text().is_empty());
        Ok(Request {
            stage,
            ip: self.ip.flatten(),
            name: self.said.filter(in_time),
            rdns: self.rdns.flatten(),
            is_login: self.is_login.unwrap_or(false),
            instance: self.instance.unwrap_or_default(),
            recipient: self.recipient.unwrap_or_default(),
        })
    }
}

/// Of an attribute that comes twice the first counts.
fn first<T>(field: &mut Option<T>, value: impl FnOnce() -> T) {
    if field.is_none() {
        *field = Some(value());
    }
}

fn address(value: &[u8]) -> Option<IpAddr> {
    let ip = std::str::from_utf8(value).ok()?.parse::<IpAddr>().ok()?;
    Some(ip.to_canonical())
}

/// A name that may stand in an observation: what a log's reader takes, too.
fn reverse_name(value: &[u8]) -> Option<Box<str>> {
    let good = !value.is_empty() && value.len() <= REVERSE_MAX && value != UNKNOWN;
    let value = value.iter().all(u8::is_ascii_graphic).then_some(value).filter(|_| good)?;
    std::str::from_utf8(value).ok().map(|name| name.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 4096;

    /// What comes out of a connection on which all of it came at once.
    fn read(bytes: &[u8]) -> Vec<Result<Request, Garbled>> {
        let mut requests = Requests::new(MOST);
        requests.feed(bytes);
        requests.by_ref().collect()
    }

    fn show(read: &Result<Request, Garbled>) -> String {
        let request = match read {
            Ok(request) => request,
            Err(garbled) => return format!("{garbled:?}"),
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        format!(
            "{} {} {} {}{} {} {}",
            request.stage.word(),
            or_none(request.ip.map(|ip| ip.to_string())),
            or_none(request.name.as_ref().map(|name| format!("{}:{name}", name.kind().word()))),
            or_none(request.rdns.as_ref().map(ToString::to_string)),
            if request.is_login { " login" } else { "" },
            request.instance.escape_ascii(),
            request.recipient.escape_ascii(),
        )
    }

    fn shown(bytes: &[u8]) -> Vec<String> {
        read(bytes).iter().map(show).collect()
    }

    /// What Postfix 3.7.11 sent at each stage, as it was caught on the wire.
    #[test]
    fn what_postfix_sends() {
        let caught = include_bytes!("../../tests/golden/postfix-3.7.policy");
        let two_recipients = "58.6b0aaa64.cc5a6.0";
        let one_recipient = "58.6b0aaa65.cee1d.1 grace@site.test";
        let name = "192.0.2.10 fqdn:mail.example.com -";
        let literal = "2001:db8:25::25 literal:[ipv6:2001:db8:25::25] -";
        let silent = "192.0.2.11 absent:(none) -";
        let expected = [
            "connect 192.0.2.10 - -  ".to_owned(),
            format!("ehlo {name}  "),
            format!("mail {name}  "),
            format!("rcpt {name} {two_recipients} grace@site.test"),
            format!("rcpt {name} {two_recipients} ada@site.test"),
            format!("data {name} {two_recipients} "),
            format!("end-of-message {name} {two_recipients} "),
            format!("mail {name}  "),
            format!("rcpt {name} {one_recipient}"),
            format!("data {name} {one_recipient}"),
            format!("end-of-message {name} {one_recipient}"),
            "connect 2001:db8:25::25 - -  ".to_owned(),
            format!("helo {literal}  "),
            format!("mail {literal}  "),
            format!("rcpt {literal} 58.6b0aaa66.d12f2.0 grace@site.test"),
            "connect 192.0.2.11 - -  ".to_owned(),
            format!("mail {silent}  "),
            format!("rcpt {silent} 58.6b0aaa66.d1896.0 grace@site.test"),
            // What was not UTF-8 was no EHLO to it.
            "connect 192.0.2.11 - -  ".to_owned(),
            format!("mail {silent}  "),
            format!("rcpt {silent} 58.6b0aaa66.d24ca.0 grace@site.test"),
        ];
        assert_eq!(shown(caught), expected);
    }

    #[test]
    fn what_is_missing_says_nothing() {
        for (text, expected) in [
            ("request=smtpd_access_policy\n\n", "other - - -  "),
            ("protocol_state=RCPT\nrequest=smtpd_access_policy\n\n", "rcpt - - -  "),
            (
                "request=smtpd_access_policy\nclient_address=unknown\nclient_name=unknown\nhelo_name=a.example.com\n\n",
                "other - fqdn:a.example.com -  ",
            ),
            (
                "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=::ffff:192.0.2.7\nhelo_name=\n\n",
                "rcpt 192.0.2.7 absent:(none) -  ",
            ),
            (
                "request=smtpd_access_policy\nprotocol_state=CONNECT\nclient_address=2001:db8::7\nhelo_name=\n\n",
                "connect 2001:db8::7 - -  ",
            ),
            // The first counts, and a value may hold anything else.
            (
                "request=smtpd_access_policy\nhelo_name=a=b c\nhelo_name=x.example\nstrange=\n=\nsasl_username=u\ninstance=1.2\nrecipient=a@b\nprotocol_state=XYZZY\n\n",
                "other - malformed:a=b c - login 1.2 a@b",
            ),
            ("request=smtpd_access_policy\nclient_name=MX.Example\n\n", "other - - mx.example  "),
            ("request=smtpd_access_policy\nclient_name=a b\n\n", "other - - -  "),
            ("request=junk\n\n", "OtherRequest"),
            ("protocol_state=RCPT\n\n", "OtherRequest"),
            ("\n", "OtherRequest"),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "NoAttribute"),
            ("request=smtpd_access_policy\r\n\r\n", "NoAttribute"),
            ("request=smtpd_access_policy\nhelo_name=a\0b\n", "NoAttribute"),
        ] {
            assert_eq!(shown(text.as_bytes()), [expected], "{text:?}");
        }
    }

    #[test]
    fn what_is_not_whole_is_waited_for() {
        for text in ["", "r", "request=smtpd_access_policy", "request=smtpd_access_policy\n"] {
            let mut requests = Requests::new(MOST);
            requests.feed(text.as_bytes());
            assert_eq!(requests.next(), None, "{text:?}");
            assert_eq!(requests.is_amid(), !text.is_empty(), "{text:?}");
        }
        let mut requests = Requests::new(MOST);
        requests.feed(b"request=smtpd_access_policy\n\n");
        assert!(requests.next().is_some_and(|read| read.is_ok()));
        assert!(!requests.is_amid());
    }

    #[test]
    fn after_an_error_nothing_comes() {
        let twice = b"request=smtpd_access_policy\n\njunk\nrequest=smtpd_access_policy\n\n";
        assert_eq!(shown(twice), ["other - - -  ", "NoAttribute"]);
        let mut requests = Requests::new(MOST);
        requests.feed(b"junk\n");
        assert_eq!(requests.next(), Some(Err(Garbled::NoAttribute)));
        requests.feed(b"request=smtpd_access_policy\n\n");
        assert_eq!(requests.next(), None);
    }

    #[test]
    fn a_request_has_a_limit() {
        let begins = "request=smtpd_access_policy\n";
        for (extra, fits) in [(0, true), (1, false)] {
            let filling = MOST - begins.len() - "x=\n\n".len() + extra;
            let whole = format!("{begins}x={}\n\n", "y".repeat(filling));
            assert_eq!(whole.len(), MOST + extra);
            assert_eq!(read(whole.as_bytes()).iter().all(Result::is_ok), fits, "{extra}");
            // The limit is that of one request, not of a connection.
            let two = whole.repeat(2);
            assert_eq!(read(two.as_bytes()).len(), if fits { 2 } else { 1 }, "{extra}");
        }
        let endless = vec![b'x'; MOST + 1];
        assert_eq!(read(&endless), [Err(Garbled::TooLong)]);
        let many = b"a=b\n".repeat(MOST / 4 + 1);
        assert_eq!(read(&many), [Err(Garbled::TooLong)]);
    }

    /// Text that is mostly of the protocol.
    fn traffic() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"request=smtpd_access_policy\n".to_vec()),
            Just(b"protocol_state=RCPT\n".to_vec()),
            Just(b"client_address=192.0.2.7\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"request=smtpd_access_policy\n\n".to_vec()),
            "helo_name=[ -~]{0,30}\n".prop_map(String::into_bytes),
            "[a-z_]{0,8}=[^\0\n]{0,10}\n".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..12),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in traffic(), cuts in prop::collection::vec(1usize..60, 0..40), most in 20usize..300) {
            let of = |pieces: &mut dyn Iterator<Item = &[u8]>| {
                let mut requests = Requests::new(most);
                let mut found = Vec::new();
                for piece in pieces {
                    requests.feed(piece);
                    found.extend(requests.by_ref());
                }
                found
            };
            let whole = of(&mut [&bytes[..]].into_iter());
            prop_assert_eq!(&of(&mut bytes.chunks(1)), &whole);
            let mut rest = &bytes[..];
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, later) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = later;
            }
            pieces.push(rest);
            prop_assert_eq!(&of(&mut pieces.into_iter()), &whole);
            prop_assert!(whole.iter().rev().skip(1).all(Result::is_ok), "an error is the last");
        }
    }
}

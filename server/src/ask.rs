//! A small DNS client: one question to one server, and its answer as data.
//!
//! In go a server, a name, a type and a time limit; out comes a [`Reply`] in presentation form, or
//! an [`AskError`]. UDP first, sent again after a third of the time in case it was lost; TCP if the
//! answer says that it was cut. Answers that do not fit the question are ignored (RFC 5452 section
//! 9). The question goes without RD: the server is asked for what it knows itself.
//!
//! Prints nothing. Text from the wire is escaped, so that it is fit for a terminal.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// What we can take over UDP (DNS flag day 2020).
const UDP_SIZE: u16 = 1232;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The name is no domain name.
    #[error("'{0}' is not a domain name")]
    Name(String),
    /// The type is none that we know.
    #[error("'{0}' is not a record type (as in A, TXT, SOA, TYPE257)")]
    Type(String),
    /// Nothing came in time.
    #[error("no answer from {server} within {} ms", .limit.as_millis())]
    Timeout {
        /// Who was asked.
        server: SocketAddr,
        /// How long was waited.
        limit: Duration,
    },
    /// The network refused.
    #[error("cannot ask {server}")]
    Io {
        /// Who was asked.
        server: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// What came is no DNS message.
    #[error("{server} answered what is no DNS message")]
    Broken {
        /// Who was asked.
        server: SocketAddr,
    },
}

/// How the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// In one datagram.
    Udp,
    /// Over a connection, after a truncated datagram.
    Tcp,
}

/// One record in presentation form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordText {
    /// Its owner.
    pub name: String,
    /// For how many seconds it holds.
    pub ttl: u32,
    /// Its type: `A`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Its data; strings in quotes.
    pub data: String,
}

/// An extended error (RFC 8914).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExtendedErrorText {
    /// Its code.
    pub code: u16,
    /// What the server adds.
    pub text: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// The response code: `NOERROR`, `NXDOMAIN`.
    pub rcode: String,
    /// The server says it is authoritative.
    pub aa: bool,
    /// The answer was cut.
    pub tc: bool,
    /// The name asked for.
    pub name: String,
    /// The type asked for.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The answers.
    pub answers: Vec<RecordText>,
    /// The authority section.
    pub authority: Vec<RecordText>,
    /// Extended errors.
    pub errors: Vec<ExtendedErrorText>,
    /// How the answer came.
    pub over: Transport,
    /// How long it took, in microseconds.
    pub elapsed_us: u64,
}

/// Asks `server` for the records of `rtype` at `name`, within `limit`.
pub async fn ask(
    server: SocketAddr,
    name: &str,
    rtype: &str,
    limit: Duration,
) -> Result<Reply, AskError> {
    let question = Question::read(name, rtype)?;
    let start = Instant::now();
    let asking = question.ask(server, limit);
    let (message, over) =
        timeout(limit, asking).await.map_err(|_| AskError::Timeout { server, limit })??;
    let elapsed_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(Reply {
        rcode: rcode_word(u16::from(message.metadata.response_code)),
        aa: message.metadata.authoritative,
        tc: message.metadata.truncation,
        name: question.query.name().to_ascii(),
        rtype: type_text(question.query.query_type()),
        answers: message.answers.iter().map(record_text).collect(),
        authority: message.authorities.iter().map(record_text).collect(),
        errors: extended_errors(&message),
        over,
        elapsed_us,
    })
}

/// A question with its id, ready to be sent.
struct Question {
    id: u16,
    query: Query,
    packet: Vec<u8>,
}

impl Question {
    fn read(name: &str, rtype: &str) -> Result<Self, AskError> {
        let bad_name = || AskError::Name(name.to_owned());
        let mut owner = Name::from_ascii(name).map_err(|_| bad_name())?;
        owner.set_fqdn(true);
        let rtype = parse_type(rtype).ok_or_else(|| AskError::Type(rtype.to_owned()))?;
        // Keyed at random per process and per instance: as hard to guess as an id can be.
        let id = (RandomState::new().build_hasher().finish() & 0xFFFF) as u16;
        let query = Query::query(owner, rtype);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        // For asking a resolver that has our zone behind it; some refuse questions without.
        message.metadata.recursion_desired = true;
        message.add_query(query.clone());
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_SIZE);
        message.set_edns(edns);
        let packet = message.to_vec().map_err(|_| bad_name())?;
        Ok(Self { id, query, packet })
    }

    async fn ask(
        &self,
        server: SocketAddr,
        limit: Duration,
    ) -> Result<(Message, Transport), AskError> {
        let io = |source| AskError::Io { server, source };
        let packet = self.over_udp(server, limit / 3).await.map_err(io)?;
        let message = self.parse(&packet).ok_or(AskError::Broken { server })?;
        if !message.metadata.truncation {
            return Ok((message, Transport::Udp));
        }
        let packet = self.over_tcp(server).await.map_err(io)?;
        let message = self.parse(&packet).ok_or(AskError::Broken { server })?;
        Ok((message, Transport::Tcp))
    }

    async fn over_udp(&self, server: SocketAddr, again: Duration) -> io::Result<Vec<u8>> {
        let local: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(local).await?;
        socket.connect(server).await?;
        loop {
            socket.send(&self.packet).await?;
            if let Ok(packet) = timeout(again, self.receive(&socket)).await {
                return packet;
            }
        }
    }

    async fn receive(&self, socket: &UdpSocket) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            let length = socket.recv(&mut buffer).await?;
            let packet = buffer.get(..length).unwrap_or_default();
            if self.is_answered_by(packet) {
                return Ok(packet.to_vec());
            }
        }
    }

    async fn over_tcp(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(self.packet.len()).map_err(io::Error::other)?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&self.packet);
        stream.write_all(&framed).await?;
        let mut packet = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut packet).await?;
        Ok(packet)
    }

    /// The cheap look: the id, and that it is a response.
    fn is_answered_by(&self, packet: &[u8]) -> bool {
        match packet {
            [high, low, flags, ..] => {
                u16::from_be_bytes([*high, *low]) == self.id && flags & 0x80 != 0
            }
            _ => false,
        }
    }

    /// The message, if it answers this question. An error response may leave the question out.
    fn parse(&self, packet: &[u8]) -> Option<Message> {
        if !self.is_answered_by(packet) {
            return None;
        }
        let message = Message::from_vec(packet).ok()?;
        let fits = message.queries.iter().all(|query| {
            query.name() == self.query.name() && query.query_type() == self.query.query_type()
        });
        fits.then_some(message)
    }
}

fn parse_type(text: &str) -> Option<RecordType> {
    let text = text.to_ascii_uppercase();
    if let Some(code) = text.strip_prefix("TYPE") {
        return code.parse().ok().map(|code: u16| RecordType::from(code));
    }
    if text == "IXFR" {
        return Some(RecordType::IXFR);
    }
    RecordType::from_str(&text).ok()
}

fn type_text(rtype: RecordType) -> String {
    match rtype {
        RecordType::Unknown(code) => format!("TYPE{code}"),
        known => known.to_string(),
    }
}

/// The names that RFC 1035, RFC 2136 and RFC 6891 give, as `dig` prints them.
fn rcode_word(code: u16) -> String {
    let word = match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        9 => "NOTAUTH",
        16 => "BADVERS",
        23 => "BADCOOKIE",
        _ => return format!("RCODE{code}"),
    };
    word.to_owned()
}

fn record_text(record: &Record) -> RecordText {
    let data = match &record.data {
        RData::TXT(text) => {
            let strings: Vec<_> = text.txt_data.iter().map(|string| quote(string)).collect();
            strings.join(" ")
        }
        other => plain(&other.to_string()),
    };
    RecordText {
        name: record.name.to_ascii(),
        ttl: record.ttl,
        rtype: type_text(record.record_type()),
        data,
    }
}

/// A character-string in presentation form (RFC 1035 section 5.1).
fn quote(string: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in string {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            0x20..=0x7e => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\{byte:03}")),
        }
    }
    text.push('"');
    text
}

/// Text without anything that moves a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

fn extended_errors(message: &Message) -> Vec<ExtendedErrorText> {
    let Some(edns) = &message.edns else {
        return Vec::new();
    };
    let found = edns.options().get_all(EdnsCode::from(15));
    let read = |option: &EdnsOption| match option {
        EdnsOption::Unknown(_, data) => {
            let (code, text) = data.split_first_chunk::<2>()?;
            let text = plain(&String::from_utf8_lossy(text));
            Some(ExtendedErrorText { code: u16::from_be_bytes(*code), text })
        }
        _ => None,
    };
    found.into_iter().filter_map(read).collect()
}

/// `name 300 A 127.0.0.2`.
impl fmt::Display for RecordText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.name, self.ttl, self.rtype, self.data)
    }
}

/// One line for the whole, then one per record: answers as they are, the rest as remarks.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "; {} {}: {}", self.name, self.rtype, self.rcode)?;
        for (flag, word) in [(self.aa, "aa"), (self.tc, "tc")] {
            if flag {
                write!(f, " {word}")?;
            }
        }
        let over = match self.over {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        let ms = Duration::from_micros(self.elapsed_us).as_secs_f64() * 1000.0;
        write!(f, ", {over}, {ms:.1} ms")?;
        for record in &self.answers {
            write!(f, "\n{record}")?;
        }
        for record in &self.authority {
            write!(f, "\n; {record}")?;
        }
        for error in &self.errors {
            write!(f, "\n; error {} {}", error.code, error.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_types() {
        for (text, rtype) in [
            ("a", Some("A")),
            ("TXT", Some("TXT")),
            ("any", Some("ANY")),
            ("axfr", Some("AXFR")),
            ("ixfr", Some("IXFR")),
            ("TYPE1", Some("A")),
            ("type65280", Some("TYPE65280")),
            ("TYPE65536", None),
            ("TYPE", None),
            ("nonsense", None),
        ] {
            assert_eq!(parse_type(text).map(type_text).as_deref(), rtype, "{text}");
        }
    }

    #[test]
    fn strings_are_fit_for_a_terminal() {
        for (string, text) in [
            (&b"plain"[..], r#""plain""#),
            (br#"a "b" \x"#, r#""a \"b\" \\x""#),
            (b"\x1b[31m\n\xff", r#""\027[31m\010\255""#),
            (b"", r#""""#),
        ] {
            assert_eq!(quote(string), text);
        }
        assert_eq!(plain("a\u{1b}[1mé"), "a?[1m?");
    }

    #[test]
    fn refuses_what_cannot_be_asked() {
        assert!(matches!(Question::read("a..b", "A"), Err(AskError::Name(_))));
        assert!(matches!(Question::read(&"a".repeat(64), "A"), Err(AskError::Name(_))));
        assert!(matches!(Question::read("a.b", "XX"), Err(AskError::Type(_))));
    }

    #[test]
    fn replies_read_like_dig() {
        let record = |rtype: &str, data: &str| RecordText {
            name: "2.0.0.127.bl.z.".to_owned(),
            ttl: 300,
            rtype: rtype.to_owned(),
            data: data.to_owned(),
        };
        let reply = Reply {
            rcode: "NOERROR".to_owned(),
            aa: true,
            tc: false,
            name: "2.0.0.127.bl.z.".to_owned(),
            rtype: "A".to_owned(),
            answers: vec![record("A", "127.0.0.2")],
            authority: vec![record("SOA", "ns.z. h.z. 1 2 3 4 5")],
            errors: vec![ExtendedErrorText { code: 18, text: "no".to_owned() }],
            over: Transport::Udp,
            elapsed_us: 1234,
        };
        assert_eq!(
            reply.to_string(),
            "; 2.0.0.127.bl.z. A: NOERROR aa, udp, 1.2 ms\n\
             2.0.0.127.bl.z. 300 A 127.0.0.2\n\
             ; 2.0.0.127.bl.z. 300 SOA ns.z. h.z. 1 2 3 4 5\n\
             ; error 18 no"
        );
    }
}

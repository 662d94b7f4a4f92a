//! One message to one resolver and its reply: over UDP, or over TCP.
//!
//! In goes a question and the resolver's address, out comes the reply as hickory-proto read it. Every UDP
//! message has a socket of its own, so the kernel chooses its port at random and lets only datagrams of the
//! resolver through; what has another identifier or another question, or is no reply, is passed over as if
//! it had not come. Memory: at most one datagram of [`UDP_PAYLOAD`], or one message of 64 kB over TCP. A message
//! with a section of more than [`RECORDS_MAX`] records is not read, since a part of a record set would be a wrong finding: 64 kB of pointers to one long name unfold to megabytes and take
//! 4 ms of a core (measured in tests/program/hostile, 2026-11), which whoever publishes them could have us spend
//! again and again.
//!
//! Why not hickory's own client: it refuses a reply that holds a record without data, which an empty APL
//! is (RFC 3123), and it does not show the octets of what it refused. It also reads every message three times.
//!
//! The caller limits the time; these futures may be dropped at any moment.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::{Edns, Message, MessageType, Query};
use hickory_proto::rr::Name;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UdpSocket};

use helostat_zones::evidence::{DnsName, Failure, RecordType};

/// What we accept over UDP: fits every path without fragments (the DNS flag day of 2020).
const UDP_PAYLOAD: u16 = 1232;
/// The most records of a section that are read; a message of 64 kB can hold thousands.
const RECORDS_MAX: u16 = 500;
/// Where the header counts the records of its three sections: answer, authority, additional.
const COUNTS: [std::ops::Range<usize>; 3] = [6..8, 8..10, 10..12];
/// The octet of the header that holds QR, the operation, AA, TC and RD (RFC 1035 section 4.1.1).
const FLAGS: usize = 2;
/// Where the operation is in it, and the number of an update (RFC 2136), in whose form records may have no data.
const OPERATION: u8 = 0b0111_1000;
const UPDATE: u8 = 5 << 3;

/// A question, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Question {
    message: Message,
    octets: Vec<u8>,
}

impl Question {
    /// The question for the records of type `kind` at `name`, with an identifier of its own; recursion
    /// and DNSSEC's word (AD) are wanted.
    pub(super) fn new(name: &DnsName, kind: RecordType) -> Result<Self, Failure> {
        let mut wire = Name::from_labels(name.labels()).map_err(|_| Failure::Malformed)?;
        wire.set_fqdn(true);
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.metadata.authentic_data = true;
        message.add_query(Query::query(wire, kind.number().into()));
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        message.set_edns(edns);
        let octets = message.to_vec().map_err(|_| Failure::Malformed)?;
        Ok(Self { message, octets })
    }

    /// True if this is a reply to this question; its contents are not looked at.
    fn is_answered_by(&self, reply: &Message) -> bool {
        reply.metadata.message_type == MessageType::Response
            && reply.metadata.id == self.message.metadata.id
            && reply.queries == self.message.queries
    }

    /// The reply to this question that a datagram holds; `None` if it holds something else.
    pub(super) fn reply_in(&self, octets: &mut [u8]) -> Result<Option<Message>, Failure> {
        if !self.may_be_answered_by(octets) {
            return Ok(None);
        }
        Ok(Some(read(octets)?).filter(|reply| self.is_answered_by(reply)))
    }

    /// The same question with the identifier that the octets begin with, as if they had guessed it.
    pub(super) fn guessed_by(mut self, octets: &[u8]) -> Self {
        if let (Some(&[high, low]), Some(own)) =
            (octets.first_chunk::<2>(), self.octets.first_chunk_mut::<2>())
        {
            *own = [high, low];
            self.message.metadata.id = u16::from_be_bytes(*own);
        }
        self
    }

    /// True if the octets begin as a reply to this question would.
    fn may_be_answered_by(&self, octets: &[u8]) -> bool {
        octets.first_chunk::<2>() == self.octets.first_chunk::<2>()
    }
}

/// Asks over UDP and waits for the reply, without end.
pub(super) async fn over_udp(server: SocketAddr, question: &Question) -> Result<Message, Failure> {
    let socket = connected(server).await.map_err(|_| Failure::Unreachable)?;
    socket.send(&question.octets).await.map_err(|_| Failure::Unreachable)?;
    loop {
        // Where nobody listens the kernel tells of it as an error alone, which `readable` would sleep through.
        let ready = socket.ready(Interest::READABLE | Interest::ERROR).await;
        let ready = ready.map_err(|_| Failure::Unreachable)?;
        if let Some(reply) = received(&socket, question)? {
            return Ok(reply);
        }
        if ready.is_error() {
            return Err(Failure::Unreachable);
        }
    }
}

/// What has come, if it is a reply to the question. The buffer is not kept while nothing comes, of which
/// there can be thousands.
fn received(socket: &UdpSocket, question: &Question) -> Result<Option<Message>, Failure> {
    let mut octets = [0; UDP_PAYLOAD as usize];
    let length = match socket.try_recv(&mut octets) {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(_) => return Err(Failure::Unreachable),
    };
    question.reply_in(octets.get_mut(..length).unwrap_or_default())
}

/// Asks over a TCP connection of its own.
pub(super) async fn over_tcp(server: SocketAddr, question: &Question) -> Result<Message, Failure> {
    let mut octets = exchange(server, question).await.map_err(|_| Failure::Unreachable)?;
    let reply = read(&mut octets)?;
    if question.is_answered_by(&reply) { Ok(reply) } else { Err(Failure::Malformed) }
}

async fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}

async fn exchange(server: SocketAddr, question: &Question) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.octets.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(&question.octets);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut octets = vec![0; usize::from(length)];
    stream.read_exact(&mut octets).await?;
    Ok(octets)
}

/// True if no section has more records than are read. Looked at before anything is unfolded: 64 kB of pointers to
/// a long name are milliseconds of work.
fn is_short(octets: &[u8]) -> bool {
    COUNTS.into_iter().all(|place| {
        let count = octets.get(place).and_then(|two| two.first_chunk());
        count.is_some_and(|count| u16::from_be_bytes(*count) <= RECORDS_MAX)
    })
}

/// Reads a message. A reply with a record without data is read as if it were an update, where hickory
/// allows them; nothing else of the message means anything else then.
fn read(octets: &mut [u8]) -> Result<Message, Failure> {
    if !is_short(octets) {
        return Err(Failure::Malformed);
    }
    if let Ok(message) = Message::from_vec(octets) {
        return Ok(message);
    }
    let flags = octets.get_mut(FLAGS).ok_or(Failure::Malformed)?;
    *flags = (*flags & !OPERATION) | UPDATE;
    Message::from_vec(octets).map_err(|_| Failure::Malformed)
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::RData;
    use proptest::prelude::*;

    use super::*;

    /// A reply to `_smtp.a.example APL` with one record of no octets.
    fn empty_apl() -> Vec<u8> {
        let mut octets = vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        octets.extend(b"\x05_smtp\x01a\x07example\x00\x00\x2a\x00\x01");
        octets.extend(b"\xc0\x0c\x00\x2a\x00\x01\x00\x00\x0e\x10\x00\x00");
        octets
    }

    #[test]
    fn a_record_without_data_is_read() {
        let message = read(&mut empty_apl()).expect("a reply");
        assert_eq!(message.metadata.message_type, MessageType::Response);
        assert_eq!(message.queries.len(), 1);
        let [record] = message.answers.as_slice() else { panic!("one record: {message:?}") };
        assert!(matches!(record.data, RData::Update0(kind) if u16::from(kind) == 42));
        assert_eq!(record.ttl, 3600);
    }

    #[test]
    fn a_message_with_a_long_section_is_not_read() {
        let is_short = |counts: [u16; 3]| {
            let mut octets = vec![0; 6];
            octets.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
            is_short(&octets)
        };
        assert!(is_short([500, 500, 500]));
        for counts in [[501, 2, 1], [3, 40_000, 1], [3, 2, 501]] {
            assert!(!is_short(counts), "{counts:?}");
        }
        assert!(!super::is_short(&[0; 11]), "shorter than a header");
    }

    #[test]
    fn only_replies_to_the_question_count() {
        let name = DnsName::parse("a.example.").expect("a name");
        let question = Question::new(&name, RecordType::A).expect("a question");
        let reply = || {
            let mut reply =
                Message::response(question.message.metadata.id, hickory_proto::op::OpCode::Query);
            reply.add_query(question.message.queries[0].clone());
            reply
        };
        assert!(question.is_answered_by(&reply()));
        assert!(!question.is_answered_by(&question.message), "it is no reply itself");
        let mut other = reply();
        other.metadata.id ^= 1;
        assert!(!question.is_answered_by(&other));
        let mut other = reply();
        other.queries[0].set_query_type(hickory_proto::rr::RecordType::AAAA);
        assert!(!question.is_answered_by(&other));
        let mut none = reply();
        none.queries.clear();
        assert!(!question.is_answered_by(&none));
    }

    proptest! {
        #[test]
        fn no_octets_break_the_reader(mut octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            drop(read(&mut octets));
        }

        #[test]
        fn no_change_of_a_reply_breaks_the_reader(at in 0usize..64, octet: u8) {
            let mut octets = empty_apl();
            if let Some(place) = octets.get_mut(at) {
                *place = octet;
            }
            drop(read(&mut octets));
        }
    }
}

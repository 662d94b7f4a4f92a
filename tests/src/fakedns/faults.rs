//! The ways in which a question can go wrong, and what they look like on the wire.
//!
//! In go the question and, where it matters, the answer without the fault; out come the octets that a client
//! gets, which may be none. Nothing here is to be believed: where a fault lies it says that nothing is there, so
//! that a client which takes the lie for an answer is found out.

use std::time::Duration;

use helostat_zones::evidence::Failure;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NULL, PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::world::TTL;

/// How late a slow answer is.
pub(super) const LATE: Duration = Duration::from_secs(5);
/// How many octets a big answer has, nearly: as many as fit into a message over TCP.
const BIG: usize = 64_000;
/// What a record costs beside its owner and its data: type, class, TTL and length.
const RECORD: usize = 10;
/// Pointers reach this far into a message (RFC 1035 section 4.1.4).
const POINTER_MAX: usize = 0x3FFF;

/// A way for a question to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server answers SERVFAIL.
    Servfail,
    /// The server never answers.
    Timeout,
    /// The answer is truncated over UDP, and TCP is closed without a word.
    Tcfail,
    /// The server answers REFUSED.
    Refused,
    /// The answer is no DNS message behind its first two octets.
    Garbage,
    /// The answer has the identifier of another question, and says that the name does not exist.
    WrongId,
    /// The answer is to another question, and says that this name does not exist.
    WrongQuestion,
    /// The answer comes after five seconds.
    Slow,
    /// The answer has 64 kB, the true records behind thousands of others; it is truncated over UDP.
    Big,
    /// The answer has 64 kB, every owner a pointer to the pointer before it; it is truncated over UDP.
    Bomb,
    /// The name is an alias of itself.
    Loop,
    /// The answer is one record without data.
    Empty,
}

impl Fault {
    /// Every fault with its word, and what a resolver makes of it.
    pub const ALL: [(&'static str, Self, Failure); 12] = [
        ("SERVFAIL", Self::Servfail, Failure::Servfail),
        ("TIMEOUT", Self::Timeout, Failure::Timeout),
        ("TCFAIL", Self::Tcfail, Failure::Truncated),
        ("REFUSED", Self::Refused, Failure::Servfail),
        ("GARBAGE", Self::Garbage, Failure::Malformed),
        ("WRONGID", Self::WrongId, Failure::Timeout),
        ("WRONGQ", Self::WrongQuestion, Failure::Timeout),
        ("SLOW", Self::Slow, Failure::Timeout),
        ("BIG", Self::Big, Failure::Malformed),
        ("BOMB", Self::Bomb, Failure::Malformed),
        ("LOOP", Self::Loop, Failure::AliasLoop),
        ("EMPTY", Self::Empty, Failure::Malformed),
    ];

    /// Reads the word.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, ..)| *known == word).map(|(_, fault, _)| *fault)
    }

    /// What a resolver makes of it.
    pub(super) fn failure(self) -> Failure {
        let found = Self::ALL.iter().find(|(_, fault, _)| *fault == self);
        found.map_or(Failure::Servfail, |(.., failure)| *failure)
    }

    /// The octets of the answer, of which `answer` is the true one; `None` where there is none.
    pub(super) fn spoil(self, mut answer: Message, over_tcp: bool) -> Option<Vec<u8>> {
        let truncated = match self {
            Self::Tcfail if over_tcp => return None,
            Self::Tcfail | Self::Big | Self::Bomb => !over_tcp,
            _ => false,
        };
        if truncated {
            answer.answers.clear();
            answer.authorities.clear();
            answer.metadata.truncation = true;
            return answer.to_vec().ok();
        }
        let query = answer.queries.first()?.clone();
        match self {
            Self::Timeout | Self::Tcfail => return None,
            Self::Slow => {}
            Self::Servfail => deny(&mut answer, ResponseCode::ServFail),
            Self::Refused => deny(&mut answer, ResponseCode::Refused),
            Self::WrongId => {
                deny(&mut answer, ResponseCode::NXDomain);
                answer.metadata.id = answer.metadata.id.wrapping_add(1);
            }
            Self::WrongQuestion => {
                deny(&mut answer, ResponseCode::NXDomain);
                answer.queries.first_mut()?.set_name(Name::from_ascii("another.invalid.").ok()?);
            }
            Self::Loop => {
                let target = RData::CNAME(CNAME(query.name().clone()));
                answer.answers = vec![Record::from_rdata(query.name().clone(), TTL, target)];
            }
            Self::Empty => {
                let data = RData::Update0(query.query_type());
                answer.answers = vec![Record::from_rdata(query.name().clone(), TTL, data)];
            }
            Self::Big => {
                let data = filler(query.query_type())?;
                // The encoder does not shorten owners.
                let count = BIG / (query.name().len() + RECORD + size(&data));
                let one = Record::from_rdata(query.name().clone(), TTL, data);
                answer.answers.splice(..0, vec![one; count]);
            }
            Self::Garbage => {
                let mut octets = answer.metadata.id.to_be_bytes().to_vec();
                octets.resize(100, 0xFF);
                return Some(octets);
            }
            Self::Bomb => {
                answer.answers.clear();
                return bomb(answer.to_vec().ok()?);
            }
        }
        answer.to_vec().ok()
    }
}

fn deny(answer: &mut Message, code: ResponseCode) {
    answer.answers.clear();
    answer.authorities.clear();
    answer.metadata.response_code = code;
}

/// Data that says nothing about anybody.
fn filler(kind: RecordType) -> Option<RData> {
    let nobody = Name::from_ascii("filler.invalid.").ok()?;
    Some(match kind {
        RecordType::A => RData::A(A::new(203, 0, 113, 99)),
        RecordType::AAAA => RData::AAAA(AAAA::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 0x99)),
        RecordType::PTR => RData::PTR(PTR(nobody)),
        RecordType::MX => RData::MX(MX::new(10, nobody)),
        RecordType::SRV => RData::SRV(SRV::new(9, 9, 9, nobody)),
        RecordType::TXT => RData::TXT(TXT::new(vec!["filler".to_owned()])),
        code => RData::Unknown { code, rdata: NULL::with(vec![0xFF; 16]) },
    })
}

/// At most how many octets it has.
fn size(data: &RData) -> usize {
    match data {
        RData::A(_) => 4,
        RData::AAAA(_) | RData::Unknown { .. } => 16,
        RData::TXT(_) => 7,
        // A name of 16 octets, which no pointer may shorten in an SRV record, and up to three numbers.
        _ => 22,
    }
}

/// Fills a message without answers with address records, each owner a pointer to the owner before it.
fn bomb(mut octets: Vec<u8>) -> Option<Vec<u8>> {
    // The question's name; an EDNS record at the end would be in the way.
    let mut target = 12_usize;
    let labels = octets.get(target..)?;
    let mut end = target;
    while let Some(&length) = labels.get(end - target).filter(|length| **length > 0) {
        end += 1 + usize::from(length);
    }
    octets.truncate(end + 5);
    let mut count = 0_u16;
    while octets.len() < BIG {
        let at = octets.len();
        octets.extend((0xC000 | u16::try_from(target).ok()?).to_be_bytes());
        octets.extend([0, 1, 0, 1, 0, 0, 0x0E, 0x10, 0, 4, 203, 0, 113, 99]);
        if at <= POINTER_MAX {
            target = at;
        }
        count += 1;
    }
    // No additional records, and so many answers.
    octets.get_mut(10..12)?.fill(0);
    octets.get_mut(6..8)?.copy_from_slice(&count.to_be_bytes());
    Some(octets)
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{OpCode, Query};

    use super::*;

    /// The true answer: one address.
    fn truth(kind: RecordType) -> Message {
        let name = Name::from_ascii("mail.example.com.").expect("a name");
        let mut answer = Message::response(7, OpCode::Query);
        answer.add_query(Query::query(name.clone(), kind));
        answer.add_answer(Record::from_rdata(name, TTL, RData::A(A::new(192, 0, 2, 7))));
        answer
    }

    #[test]
    fn words_read_back() {
        for (word, fault, failure) in Fault::ALL {
            assert_eq!(Fault::parse(word), Some(fault), "{word}");
            assert_eq!(fault.failure(), failure, "{word}");
        }
        assert_eq!(Fault::parse("BROKEN"), None);
    }

    #[test]
    fn faults_are_what_they_say() {
        let spoil = |fault: Fault, over_tcp| fault.spoil(truth(RecordType::A), over_tcp);
        let read = |octets: Option<Vec<u8>>| Message::from_vec(&octets.expect("an answer"));
        for (fault, code) in [
            (Fault::Servfail, ResponseCode::ServFail),
            (Fault::Refused, ResponseCode::Refused),
            (Fault::WrongId, ResponseCode::NXDomain),
            (Fault::WrongQuestion, ResponseCode::NXDomain),
            (Fault::Slow, ResponseCode::NoError),
            (Fault::Loop, ResponseCode::NoError),
        ] {
            for over_tcp in [false, true] {
                let answer = read(spoil(fault, over_tcp)).expect("a message");
                assert_eq!(answer.metadata.response_code, code, "{fault:?}");
                assert_eq!(answer.metadata.id != 7, fault == Fault::WrongId, "{fault:?}");
                let other = answer.queries != truth(RecordType::A).queries;
                assert_eq!(other, fault == Fault::WrongQuestion, "{fault:?}");
            }
        }
        for over_tcp in [false, true] {
            assert_eq!(spoil(Fault::Timeout, over_tcp), None);
            read(spoil(Fault::Garbage, over_tcp)).expect_err("no message");
            let empty = spoil(Fault::Empty, over_tcp).expect("an answer");
            assert!(
                empty.ends_with(&[0, 1, 0, 1, 0, 0, 0x0E, 0x10, 0, 0]),
                "an A record of no octets"
            );
        }
        for fault in [Fault::Tcfail, Fault::Big, Fault::Bomb] {
            let answer = read(spoil(fault, false)).expect("a message");
            assert!(answer.metadata.truncation && answer.answers.is_empty(), "{fault:?}");
        }
        assert_eq!(spoil(Fault::Tcfail, true), None);
    }

    #[test]
    fn big_answers_fill_a_message() {
        for kind in
            [RecordType::A, RecordType::AAAA, RecordType::PTR, RecordType::MX, RecordType::SRV]
                .into_iter()
                .chain([RecordType::TXT, RecordType::Unknown(42)])
        {
            let octets = Fault::Big.spoil(truth(kind), true).expect("an answer");
            assert!((40_000..=65_535).contains(&octets.len()), "{kind}: {}", octets.len());
            let answer = Message::from_vec(&octets).expect("a message");
            assert!(answer.answers.len() > 1000 && !answer.metadata.truncation, "{kind}");
            let last = answer.answers.last().map(|record| &record.data);
            assert!(
                matches!(last, Some(RData::A(A(ip))) if ip.octets() == [192, 0, 2, 7]),
                "{kind}"
            );
        }
        let octets = Fault::Bomb.spoil(truth(RecordType::A), true).expect("an answer");
        assert!((BIG..65_535).contains(&octets.len()), "{}", octets.len());
    }
}

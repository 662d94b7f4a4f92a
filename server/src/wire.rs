//! The bytes around hickory's types: what is decided before a packet is parsed, and how an answer
//! is cut to size.
//!
//! In go packets as they came; out come whole response packets. Nothing here looks at zones.
//!
//! Rules: RFC 1035 section 4.1.1 (header), RFC 6891 (OPT), RFC 2181 section 9 and RFC 7766 (an
//! answer that does not fit over UDP says TC). Only the header is looked at by hand: a packet that
//! claims 65,535 questions must not reach the parser, which reserves room for all of them first.

use std::sync::Arc;

use async_trait::async_trait;
use hickory_proto::op::{Edns, ResponseCode};
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};
use hickory_server::net::NetError;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponse;
use parking_lot::Mutex;

use crate::cookie;
use crate::metrics::Dropped;

/// Octets of a DNS header.
pub(crate) const HEADER: usize = 12;
/// What we advertise and never exceed over UDP (DNS flag day 2020: no fragments).
pub(crate) const UDP_MAX: u16 = 1232;
/// What everybody can take (RFC 1035 section 4.2.1).
pub(crate) const UDP_MIN: u16 = 512;
/// The option codes of names of servers (RFC 5001), cookies (RFC 7873), extended errors (RFC 8914).
pub(crate) const NSID: u16 = 3;
pub(crate) const COOKIE: u16 = 10;
const EDE: u16 = 15;

const QR: u8 = 0x80;
const OPCODE: u8 = 0x78;
const RD: u8 = 0x01;

/// A DNS header as it came.
pub(crate) type Header = [u8; HEADER];

/// What a header alone decides.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Triage {
    /// Not to be answered.
    Drop(Dropped),
    /// To be answered with this code and nothing else.
    Fail(Header, ResponseCode),
    /// One question: to be parsed, and answered with this code if that fails.
    Parse(Header, ResponseCode),
}

/// Looks at the header.
pub(crate) fn triage(packet: &[u8]) -> Triage {
    let Some(header) = packet.first_chunk::<HEADER>() else {
        return Triage::Drop(Dropped::Short);
    };
    let [_, _, flags, _, questions_high, questions_low, ..] = *header;
    if flags & QR != 0 {
        return Triage::Drop(Dropped::Response);
    }
    // Other opcodes are parsed too: an OPT record wants one back, whatever was asked.
    let code = if flags & OPCODE == 0 { ResponseCode::FormErr } else { ResponseCode::NotImp };
    match [questions_high, questions_low] {
        [0, 1] => Triage::Parse(*header, code),
        _ => Triage::Fail(*header, code),
    }
}

/// A response of header and `question` alone. RD means something in queries only.
pub(crate) fn bare(header: &Header, code: ResponseCode, question: &[u8]) -> Vec<u8> {
    let [id_high, id_low, flags, ..] = *header;
    let kept = if flags & OPCODE == 0 { RD } else { OPCODE };
    let flags = (flags & kept) | QR;
    let questions = u8::from(!question.is_empty());
    let mut response = vec![id_high, id_low, flags, code.low(), 0, questions, 0, 0, 0, 0, 0, 0];
    response.extend_from_slice(question);
    response
}

/// True if the question's name is written out. A pointer in the first name can only point into the
/// header: nobody means that, and we would echo it.
pub(crate) fn question_is_plain(request: &Request) -> bool {
    let [question] = request.queries.queries() else {
        return false;
    };
    let name = question.original().name();
    let labels: usize = name.iter().map(|label| label.len() + 1).sum();
    // The labels, the root, type and class.
    request.queries.as_bytes().len() == labels + 1 + 4
}

/// An extended DNS error (RFC 8914).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExtendedError {
    pub(crate) code: u16,
    pub(crate) text: String,
}

/// What a response says of us, where the request's EDNS asks for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options<'a> {
    /// Our name (RFC 5001).
    pub(crate) nsid: Option<&'a [u8]>,
    /// The cookie (RFC 7873).
    pub(crate) cookie: Option<[u8; cookie::WHOLE]>,
    /// What is wrong (RFC 8914).
    pub(crate) error: Option<&'a ExtendedError>,
}

/// The OPT record of a response, if the request had one. DO comes back (RFC 3225 section 3) though
/// nothing is signed; other flags do not.
pub(crate) fn edns_of(request: &Request, options: Options<'_>) -> Option<Edns> {
    let asked = request.edns.as_ref()?;
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_MAX);
    edns.set_dnssec_ok(asked.flags().dnssec_ok);
    if let Some(nsid) = options.nsid {
        edns.options_mut().insert(EdnsOption::Unknown(NSID, nsid.to_vec()));
    }
    if let Some(cookie) = options.cookie {
        edns.options_mut().insert(EdnsOption::Unknown(COOKIE, cookie.to_vec()));
    }
    if let Some(error) = options.error {
        let mut data = error.code.to_be_bytes().to_vec();
        data.extend_from_slice(error.text.as_bytes());
        edns.options_mut().insert(EdnsOption::Unknown(EDE, data));
    }
    Some(edns)
}

/// Takes one response as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    bytes: Arc<Mutex<Vec<u8>>>,
    limit: u16,
    question: Arc<[u8]>,
}

impl Outbox {
    /// For the response to `request`.
    pub(crate) fn new(request: &Request) -> Self {
        let limit = match request.protocol() {
            Protocol::Udp => request.max_payload().clamp(UDP_MIN, UDP_MAX),
            _ => u16::MAX,
        };
        Self { bytes: Arc::default(), limit, question: request.queries.as_bytes().into() }
    }

    /// The response; empty if there was none.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.bytes.lock())
    }
}

#[async_trait]
impl ResponseHandler for Outbox {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let edns = response.edns().cloned();
        let mut bytes = Vec::with_capacity(usize::from(UDP_MIN));
        let mut encoder = BinEncoder::new(&mut bytes);
        remember_names(&mut encoder, &self.question)?;
        encoder.set_max_size(self.limit);
        let info = response.destructive_emit(&mut encoder)?;
        if info.truncation {
            // The OPT record is written last, so it may be what was cut.
            cut(&mut bytes, HEADER + self.question.len(), edns.as_ref())?;
        }
        *self.bytes.lock() = bytes;
        Ok(info)
    }
}

/// Has the encoder compress names against the question (RFC 1035 section 4.1.4), which it writes as it came, without
/// looking at its labels. The shorter names are remembered first: the encoder remembers so many at most, and the apex
/// is what comes again.
fn remember_names(encoder: &mut BinEncoder<'_>, question: &[u8]) -> Result<(), NetError> {
    encoder.emit_vec(&[0; HEADER])?;
    encoder.emit_vec(question)?;
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(&length) = question.get(at).filter(|length| **length > 0) {
        starts.push(HEADER + at);
        at += 1 + usize::from(length);
    }
    for start in starts.into_iter().rev() {
        encoder.store_label_pointer(start, HEADER + at);
    }
    encoder.set_offset(0);
    Ok(())
}

/// Leaves header, question and OPT.
fn cut(bytes: &mut Vec<u8>, question_end: usize, edns: Option<&Edns>) -> Result<(), NetError> {
    bytes.truncate(question_end);
    let counts = [0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
    if let Some(room) = bytes.get_mut(4..HEADER) {
        room.copy_from_slice(&counts);
    }
    if let Some(edns) = edns {
        let mut opt = Vec::new();
        edns.emit(&mut BinEncoder::new(&mut opt))?;
        bytes.extend_from_slice(&opt);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_decide() {
        let header = |flags: u8, questions: u8| [7, 7, flags, 0, 0, questions, 0, 0, 0, 0, 0, 0];
        let drop = |_| Triage::Drop(Dropped::Response);
        let query = |header| Triage::Parse(header, ResponseCode::FormErr);
        let other = |header| Triage::Parse(header, ResponseCode::NotImp);
        let not_implemented = |header| Triage::Fail(header, ResponseCode::NotImp);
        let malformed = |header| Triage::Fail(header, ResponseCode::FormErr);
        for (header, decided) in [
            (header(0x00, 1), query as fn(Header) -> Triage),
            (header(0x01, 1), query),
            (header(0x80, 1), drop),
            (header(0xa8, 0), drop),
            (header(0x10, 1), other),
            (header(0x78, 1), other),
            (header(0x78, 2), not_implemented),
            (header(0x00, 0), malformed),
            (header(0x00, 2), malformed),
        ] {
            let packet = [&header[..], b"and more"].concat();
            assert_eq!(triage(&packet), decided(header), "{header:?}");
        }
        assert_eq!(triage(&header(0, 1)[..11]), Triage::Drop(Dropped::Short));
        assert_eq!(triage(&[]), Triage::Drop(Dropped::Short));
    }

    #[test]
    fn bare_responses_keep_id_opcode_and_rd_of_queries() {
        let packet = [1, 2, 0x27, 0xff, 0, 9, 9, 9, 9, 9, 9, 9];
        let response = bare(&packet, ResponseCode::NotImp, b"");
        assert_eq!(response, [1, 2, 0xa0, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
        let packet = [1, 2, 0x07, 0xff, 0, 9, 9, 9, 9, 9, 9, 9];
        let response = bare(&packet, ResponseCode::ServFail, &[0, 0, 1, 0, 1]);
        assert_eq!(response, [1, 2, 0x81, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
    }
}

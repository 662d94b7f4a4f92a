//! A plain question, read from the bytes of a packet.
//!
//! In goes a packet as it came; out comes a [`Question`], or `None` for whatever is not plain: that goes the long way,
//! whose parser also says what is wrong with it. Plain is: a standard query (RFC 1035 section 4.1.1) for one name of
//! class IN, the name written out, nothing after it but at most one OPT record of EDNS version 0 (RFC 6891) with no options
//! but those that resolvers send all the time: a cookie (RFC 7873) and a wish for our name (RFC 5001). Nothing is allocated.

use crate::cookie::Offered;
use crate::wire::{COOKIE, HEADER, NSID};

/// The longest name on the wire (RFC 1035 section 2.3.4), the root's octet included.
const NAME_MAX: usize = 255;
/// The longer way keeps this many label starts for compression; who has more goes there.
const LABELS_MAX: usize = 64;
/// Type and class.
const TAIL: usize = 4;
/// An OPT record before its options: root, type, class, TTL, length.
const OPT: usize = 11;

const QR_OPCODE_TC: u8 = 0x80 | 0x78 | 0x02;
const CLASS_IN: u16 = 1;
const TYPE_OPT: u16 = 41;

/// What EDNS says of the one who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    /// How large an answer may be, in octets.
    pub(crate) payload: u16,
    /// It wants DNSSEC records, too; comes back as it is (RFC 3225 section 3).
    pub(crate) dnssec_ok: bool,
    /// It wants to know what we are called.
    pub(crate) nsid: bool,
    /// Its cookie.
    pub(crate) cookie: Option<Offered>,
}

/// A plain question.
#[derive(Debug)]
pub(crate) struct Question {
    name: [u8; NAME_MAX],
    length: usize,
    /// Where its labels begin in the name.
    starts: [u8; LABELS_MAX],
    labels: usize,
    /// The type that is asked for.
    pub(crate) rtype: u16,
    /// Where the question section ends in the packet.
    pub(crate) end: usize,
    /// What EDNS says, if it came with any.
    pub(crate) edns: Option<Edns>,
}

impl Question {
    /// Reads a packet.
    pub(crate) fn read(packet: &[u8]) -> Option<Self> {
        let header = packet.first_chunk::<HEADER>()?;
        let [_, _, flags, _, counts @ ..] = *header;
        let edns = match counts {
            [0, 1, 0, 0, 0, 0, 0, edns @ (0 | 1)] => edns == 1,
            _ => return None,
        };
        if flags & QR_OPCODE_TC != 0 {
            return None;
        }
        let body = packet.get(HEADER..)?;
        let mut name = [0; NAME_MAX];
        let mut starts = [0; LABELS_MAX];
        let (mut at, mut labels) = (0, 0);
        loop {
            let length = *body.get(at)?;
            *name.get_mut(at)? = length;
            let next = at + 1 + usize::from(length);
            if length == 0 {
                at = next;
                break;
            }
            // The two high bits are those of a pointer.
            if length > 63 {
                return None;
            }
            *starts.get_mut(labels)? = at as u8;
            labels += 1;
            let from = body.get(at + 1..next)?;
            name.get_mut(at + 1..next)?.copy_from_slice(from);
            at = next;
        }
        // Lengths are below `A`.
        name.get_mut(..at)?.make_ascii_lowercase();
        let &[type_high, type_low, class_high, class_low] =
            body.get(at..)?.first_chunk::<TAIL>()?;
        if u16::from_be_bytes([class_high, class_low]) != CLASS_IN {
            return None;
        }
        let end = HEADER + at + TAIL;
        let rest = packet.get(end..)?;
        let edns = match edns {
            true => Some(read_opt(rest)?),
            false if rest.is_empty() => None,
            false => return None,
        };
        let rtype = u16::from_be_bytes([type_high, type_low]);
        Some(Self { name, length: at, starts, labels, rtype, end, edns })
    }

    /// The name in lower case, as on the wire: labels with their lengths, then the root.
    pub(crate) fn name(&self) -> &[u8] {
        self.name.get(..self.length).unwrap_or_default()
    }

    /// Where a label begins, from the left; the name's length for the root.
    pub(crate) fn start(&self, label: usize) -> usize {
        let starts = self.starts.get(..self.labels).unwrap_or_default();
        starts.get(label).map_or_else(|| self.length.saturating_sub(1), |start| usize::from(*start))
    }

    /// How many labels it has, without the root.
    pub(crate) fn labels(&self) -> usize {
        self.labels
    }
}

/// An OPT record and nothing after it.
fn read_opt(record: &[u8]) -> Option<Edns> {
    let (
        &[root, type_high, type_low, size_high, size_low, _, version, flags, _, high, low],
        options,
    ) = record.split_first_chunk::<OPT>()?;
    if options.len() != usize::from(u16::from_be_bytes([high, low])) {
        return None;
    }
    if root != 0 || u16::from_be_bytes([type_high, type_low]) != TYPE_OPT || version != 0 {
        return None;
    }
    let payload = u16::from_be_bytes([size_high, size_low]);
    let mut edns = Edns { payload, dnssec_ok: flags & 0x80 != 0, nsid: false, cookie: None };
    let mut rest = options;
    while let Some((&[high, low, length_high, length_low], behind)) = rest.split_first_chunk::<4>()
    {
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let (data, behind) = behind.split_at_checked(length)?;
        match u16::from_be_bytes([high, low]) {
            NSID if !edns.nsid => edns.nsid = true,
            COOKIE if edns.cookie.is_none() => edns.cookie = Some(Offered::read(data)?),
            _ => return None,
        }
        rest = behind;
    }
    rest.is_empty().then_some(edns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(flags: u8, counts: [u8; 4], rest: &[&[u8]]) -> Vec<u8> {
        let [questions, answers, authorities, additionals] = counts;
        let header = [7, 7, flags, 0, 0, questions, 0, answers, 0, authorities, 0, additionals];
        [&header[..], &rest.concat()].concat()
    }

    const NAME: &[u8] = b"\x01a\x02Bl\x07eXample\x00";
    const A_IN: &[u8] = &[0, 1, 0, 1];
    const EDNS: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0];

    #[test]
    fn plain_questions() {
        let question = Question::read(&packet(1, [1, 0, 0, 0], &[NAME, A_IN])).expect("plain");
        assert_eq!(question.name(), b"\x01a\x02bl\x07example\x00");
        assert_eq!((question.labels(), question.rtype, question.edns), (3, 1, None));
        assert_eq!([0, 1, 2, 3].map(|label| question.start(label)), [0, 2, 5, 13]);
        assert_eq!(question.end, HEADER + NAME.len() + TAIL);
        let question =
            Question::read(&packet(0, [1, 0, 0, 1], &[NAME, A_IN, EDNS])).expect("plain");
        let edns = Edns { payload: 1232, dnssec_ok: true, nsid: false, cookie: None };
        assert_eq!(question.edns, Some(edns));
    }

    #[test]
    fn everything_else_goes_the_long_way() {
        let long: Vec<u8> = [&[63; 64][..]; 4].concat();
        let many: Vec<u8> = [&b"\x01a"[..]; 65].concat();
        let option = [EDNS.split_at(9).0, &[0, 4, 0, 8, 0, 0]].concat();
        let version = [0, 0, 41, 4, 208, 0, 1, 0, 0, 0, 0];
        for (why, packet) in [
            ("empty", vec![]),
            ("header only", packet(0, [1, 0, 0, 0], &[])),
            ("response", packet(0x80, [1, 0, 0, 0], &[NAME, A_IN])),
            ("opcode", packet(0x28, [1, 0, 0, 0], &[NAME, A_IN])),
            ("cut", packet(0x02, [1, 0, 0, 0], &[NAME, A_IN])),
            ("two questions", packet(0, [2, 0, 0, 0], &[NAME, A_IN, NAME, A_IN])),
            ("an answer", packet(0, [1, 1, 0, 0], &[NAME, A_IN, NAME])),
            ("class", packet(0, [1, 0, 0, 0], &[NAME, &[0, 1, 0, 3]])),
            ("pointer", packet(0, [1, 0, 0, 0], &[b"\x01a\xc0\x0c", A_IN])),
            ("no end", packet(0, [1, 0, 0, 0], &[b"\x07exam"])),
            ("no type", packet(0, [1, 0, 0, 0], &[NAME, &[0, 1, 0]])),
            ("long", packet(0, [1, 0, 0, 0], &[&long, &[0], A_IN])),
            ("many labels", packet(0, [1, 0, 0, 0], &[&many, &[0], A_IN])),
            ("trailing", packet(0, [1, 0, 0, 0], &[NAME, A_IN, &[0]])),
            ("no OPT", packet(0, [1, 0, 0, 1], &[NAME, A_IN])),
            ("subnet", packet(0, [1, 0, 0, 1], &[NAME, A_IN, &option])),
            ("version", packet(0, [1, 0, 0, 1], &[NAME, A_IN, &version])),
        ] {
            assert!(Question::read(&packet).is_none(), "{why}");
        }
    }
}

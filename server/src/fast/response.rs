//! The response to a plain question, written behind it in the buffer that it came in.
//!
//! In go the buffer with the packet, the [`Question`] read from it and what is said ([`Said`]); out comes the length of
//! the response, or `None` if it does not fit (the long way cuts it and says TC). The bytes are the very same as the
//! long way's: same flags, same order, same compression (RFC 1035 section 4.1.4: a name points to the longest end of
//! it that stands before it in the same spelling), same OPT.

use std::net::Ipv4Addr;

use helostat_zones::answer::Exists;

use super::question::Question;
use crate::wire::{COOKIE, HEADER, NSID, Options, UDP_MAX, UDP_MIN};

const QR_AA: u8 = 0x84;
const TC: u8 = 0x02;
const RD: u8 = 0x01;
const CD: u8 = 0x10;
const NXDOMAIN: u8 = 3;
const TYPE_A: [u8; 2] = [0, 1];
const TYPE_SOA: [u8; 2] = [0, 6];
const TYPE_TXT: [u8; 2] = [0, 16];
const CLASS_IN: [u8; 2] = [0, 1];
/// Points to the name of the question.
const TO_QUESTION: [u8; 2] = [0xc0, HEADER as u8];

/// What is said to a plain question.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said<'a> {
    /// These addresses.
    A(&'a [Ipv4Addr], u32),
    /// This text of at most 255 octets.
    Txt(&'a [u8], u32),
    /// Nothing, for so many seconds; the serial, if it is not the SOA's own.
    Nothing(Nothing, &'a Soa, Option<u32>, u32),
}

/// Why nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// The name does not exist, nor anything below it.
    NxDomain,
    /// The name has no such data.
    NoData,
}

impl Nothing {
    /// What is said of a name that has no data of the sort asked for.
    pub(crate) fn of(exists: Exists) -> Self {
        match exists {
            Exists::NxDomain => Self::NxDomain,
            Exists::NoData | Exists::Exists => Self::NoData,
        }
    }
}

/// What the SOA record of a zone is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Soa {
    /// The apex's octets on the wire.
    pub(crate) apex: usize,
    /// The names, on the wire, spelled as configured.
    pub(crate) mname: Box<[u8]>,
    pub(crate) rname: Box<[u8]>,
    /// Serial, refresh, retry, expire, minimum.
    pub(crate) numbers: [u32; 5],
}

/// Writes the response; its length.
pub(crate) fn write(
    buffer: &mut [u8],
    question: &Question,
    said: Said<'_>,
    options: Options<'_>,
) -> Option<usize> {
    let limit = match question.edns {
        Some(edns) => edns.payload.clamp(UDP_MIN, UDP_MAX),
        None => UDP_MIN,
    };
    let mut out = Out { room: buffer.get_mut(..usize::from(limit))?, at: question.end };
    let (answers, authorities) = match said {
        Said::A(values, ttl) => {
            for value in values {
                out.record(TO_QUESTION, TYPE_A, ttl)?;
                out.put(&4u16.to_be_bytes())?;
                out.put(&value.octets())?;
            }
            (values.len(), 0)
        }
        Said::Txt(text, ttl) => {
            let length = u8::try_from(text.len()).ok()?;
            out.record(TO_QUESTION, TYPE_TXT, ttl)?;
            out.put(&(u16::from(length) + 1).to_be_bytes())?;
            out.put(&[length])?;
            out.put(text)?;
            (1, 0)
        }
        Said::Nothing(_, soa, serial, ttl) => {
            out.soa(question, soa, serial, ttl)?;
            (0, 1)
        }
    };
    if let Some(edns) = question.edns {
        let [size_high, size_low] = UDP_MAX.to_be_bytes();
        let flags = if edns.dnssec_ok { 0x80 } else { 0 };
        let length = options.nsid.map_or(0, |nsid| 4 + nsid.len())
            + options.cookie.map_or(0, |cookie| 4 + cookie.len());
        let [length_high, length_low] = u16::try_from(length).ok()?.to_be_bytes();
        out.put(&[0, 0, 41, size_high, size_low, 0, 0, flags, 0, length_high, length_low])?;
        if let Some(nsid) = options.nsid {
            out.option(NSID, nsid)?;
        }
        if let Some(cookie) = &options.cookie {
            out.option(COOKIE, cookie)?;
        }
    }
    let code = match said {
        Said::Nothing(Nothing::NxDomain, ..) => NXDOMAIN,
        _ => 0,
    };
    let length = out.at;
    let [_, _, flags, more_flags, _, _, counts @ ..] = buffer.first_chunk_mut::<HEADER>()?;
    *flags = QR_AA | (*flags & RD);
    *more_flags = (*more_flags & CD) | code;
    *counts =
        [0, u8::try_from(answers).ok()?, 0, authorities, 0, u8::from(question.edns.is_some())];
    Some(length)
}

/// Writes a response without records that says TC, over whatever stands in the buffer; its length.
pub(crate) fn cut(buffer: &mut [u8], question: &Question) -> usize {
    let mut length = question.end;
    let opt = [0, 0, 41, UDP_MAX.to_be_bytes()[0], UDP_MAX.to_be_bytes()[1], 0, 0, 0, 0, 0, 0];
    let has_opt = question.edns.is_some();
    if has_opt && let Some(room) = buffer.get_mut(length..length + opt.len()) {
        room.copy_from_slice(&opt);
        length += opt.len();
    }
    if let Some([_, _, flags, code, _, _, counts @ ..]) = buffer.first_chunk_mut::<HEADER>() {
        *flags |= TC;
        *code &= CD;
        *counts = [0, 0, 0, 0, 0, u8::from(has_opt)];
    }
    length
}

/// The rest of a buffer.
struct Out<'a> {
    room: &'a mut [u8],
    at: usize,
}

impl Out<'_> {
    fn put(&mut self, octets: &[u8]) -> Option<()> {
        let end = self.at + octets.len();
        self.room.get_mut(self.at..end)?.copy_from_slice(octets);
        self.at = end;
        Some(())
    }

    fn record(&mut self, owner: [u8; 2], rtype: [u8; 2], ttl: u32) -> Option<()> {
        let ([o, p], [t, y], [c, l]) = (owner, rtype, CLASS_IN);
        let [a, b, d, e] = ttl.to_be_bytes();
        self.put(&[o, p, t, y, c, l, a, b, d, e])
    }

    fn option(&mut self, code: u16, data: &[u8]) -> Option<()> {
        self.put(&code.to_be_bytes())?;
        self.put(&u16::try_from(data.len()).ok()?.to_be_bytes())?;
        self.put(data)
    }

    fn soa(&mut self, question: &Question, soa: &Soa, serial: Option<u32>, ttl: u32) -> Option<()> {
        let to_apex = pointer(HEADER + question.name().len().checked_sub(soa.apex)?)?;
        self.record(to_apex, TYPE_SOA, ttl)?;
        let length_at = self.at;
        self.put(&[0; 2])?;
        let mname = self.at;
        self.name(&soa.mname, question, 0..0)?;
        let written = mname..self.at;
        self.name(&soa.rname, question, written)?;
        let [its_own, times @ ..] = soa.numbers;
        self.put(&serial.unwrap_or(its_own).to_be_bytes())?;
        for time in times {
            self.put(&time.to_be_bytes())?;
        }
        let length = u16::try_from(self.at - length_at - 2).ok()?;
        self.room.get_mut(length_at..length_at + 2)?.copy_from_slice(&length.to_be_bytes());
        Some(())
    }

    /// Writes a name, as far as its end does not stand in the question or in `before`, a name written last.
    fn name(
        &mut self,
        name: &[u8],
        question: &Question,
        before: std::ops::Range<usize>,
    ) -> Option<()> {
        let mut from = 0;
        loop {
            let rest = name.get(from..)?;
            let length = usize::from(*rest.first()?);
            if length == 0 {
                return self.put(&[0]);
            }
            if let Some(place) =
                self.in_question(rest, question).or_else(|| self.in_name(rest, &before))
            {
                return self.put(&pointer(place)?);
            }
            self.put(rest.get(..=length)?)?;
            from += 1 + length;
        }
    }

    /// Where `name` is an end of the question's, in its spelling.
    fn in_question(&self, name: &[u8], question: &Question) -> Option<usize> {
        let start = question.name().len().checked_sub(name.len())?;
        let place = HEADER + start;
        let same = self.room.get(place..place + name.len())? == name;
        let is_start = || (0..question.labels()).any(|label| question.start(label) == start);
        (same && is_start()).then_some(place)
    }

    /// The same for a name that was written before, which may end in a pointer itself.
    fn in_name(&self, name: &[u8], before: &std::ops::Range<usize>) -> Option<usize> {
        let mut place = before.start;
        while place < before.end {
            if self.is_at(name, place) {
                return Some(place);
            }
            let length = *self.room.get(place)?;
            if length == 0 || length > 63 {
                return None;
            }
            place += 1 + usize::from(length);
        }
        None
    }

    /// Is `name` what is written at `place`, pointers followed?
    fn is_at(&self, mut name: &[u8], mut place: usize) -> bool {
        loop {
            match (self.room.get(place..), name.first()) {
                (Some([high, low, ..]), Some(_)) if *high >= 0xc0 => {
                    let to = usize::from(u16::from_be_bytes([high & 0x3f, *low]));
                    // They point backwards, so this ends.
                    if to >= place {
                        return false;
                    }
                    place = to;
                }
                (Some([0, ..]), Some(0)) => return true,
                (Some(written), Some(length)) => {
                    let label = 1 + usize::from(*length);
                    if *length == 0 || written.get(..label) != name.get(..label) {
                        return false;
                    }
                    place += label;
                    name = name.get(label..).unwrap_or_default();
                }
                _ => return false,
            }
        }
    }
}

fn pointer(place: usize) -> Option<[u8; 2]> {
    let place = u16::try_from(place).ok().filter(|place| *place < 0x4000)?;
    Some((0xc000 | place).to_be_bytes())
}

//! Bytes of the stored layouts, version 2. A golden-file test holds them still.
//!
//! Primitives: `varint` is an unsigned LEB128 of at most 64 bits; `zigzag` is a varint of the zigzag
//! of a signed number; `text` is a varint length and that many octets of UTF-8; `bytes` the same
//! without the UTF-8; `client` is one octet 4 or 6 and then 4 octets (address) or 8 octets (upper half
//! of the address), big-endian; `u32`, `u64` are little-endian.
//!
//! ```text
//! activity = head:u8   1 last is later than first       2 mail was accepted, at `first` if not 4
//!                      4 first accepted later           8 days are other than the day of `last` alone
//!                     16 `days` does not end with the day of `last`
//!                     32 accepted days = days          64 accepted days are told
//!                    128 by us
//!            first:u32  [1: last-first:varint]  [4: first_accepted-first:varint]
//!            [16: newest:varint]  [8: bits:varint]                        days
//!            [64: newest:varint bits:varint]                              accepted days, else none or 32
//!            counts: mask:u8, for each bit of it a zigzag                 in the order of Outcome::ALL
//!            [128: by_us:varint]
//! facts    = flags:u8 (1 last_ip, 2 rdns)
//!            [last_ip: time:varint low-half:8 octets big-endian]   only for 6-clients
//!            [rdns: time:varint text]
//! sketch   = n:varint  n x u64 (hash and day, ascending)
//! days     = n:varint  n x { first:varint last:varint }       runs of days on which something was learned
//! op       = 0, or 1 worth:u64 before:varint (a sweep: pairs worth less, or last seen before that day,
//!            are forgotten), or 2 target:text (forgotten on request), or
//!            3 n:varint n x { what:u8 (0 name, 1 family) text } (crowds that are ordinary texts again)
//!
//! journal entry = version:u8 (2)
//!            n:varint  n x { source:text position:bytes }
//!            n:varint  n x { id:varint name:text kind:u8 (0 mx, 1 trap, 2 submission, 3 unfiltered) }
//!            op  days
//!            n:varint  n x { client facts }                                  ascending
//!            n:varint  n x { client trace }                                  ascending
//!            n:varint  n x { client m:varint m x { name:text reporter-id:varint activity } }  ascending
//!            n:varint  n x { what:u8 (0 name, 1 family) text clients:sketch networks:sketch }  ascending
//!            n:varint  n x { reporter-id:varint activity }    what reporters saw beside these pairs, ascending
//!            crc32:u32, over everything before it
//!            (traces, crowds and what reporters saw beside pairs come from the dump of another ledger)
//!            (a batch on its way to another process is a journal entry whose reporters are numbered
//!            from 0 as they came in)
//! row      = length:varint  n:varint  n x pair  row-facts  [trace]
//! pair     = head:u8 (kind of name in bits 0-2; 8 seen by reporter 0 alone, 16 by several)  length:u8
//!            [fqdn: where its family begins:u8]  text  [16: n:varint]  n x { [not 8: reporter-id:varint] activity }
//! row-facts= flags:u8   1 last_ip   2 its time is that of the newest pair    4 rdns   8 time as 2
//!                      16 rdns is the name of a pair                        32 a trace follows
//!            [1: [not 2: time:varint] low-half:u64]  [4: [not 8: time:varint] (16: pair:varint | text)]
//! trace    = families:sketch  names:sketch, of pairs that the client's bound let go
//! packed   = version:u8 (2)  length:varint (unpacked)  deflated octets (RFC 1951)  crc32
//!            shards and crowds are stored packed: half of it, and less to write
//! shard    = version:u8 (2)  through:varint (the last journal entry it includes)
//!            reporters:varint (how many reporters it may speak of)
//!            4 x varint (pairs forgotten for: the client's bound, memory, age, request)
//!            n:varint  n x { difference to the address before:varint  row }     IPv4, ascending
//!            n:varint  n x { difference to the upper half before:varint  row }  IPv6, ascending
//!            crc32        shards 0 to 4095; by hash of the network
//! crowds   = version:u8 (2)  through:varint
//!            n:varint  n x { what:u8 (0 name, 1 family) text  m:varint m x { client worth:u64 }
//!                            clients:sketch networks:sketch }
//!            crc32        shards 4096 to 4351; by hash of the text
//! base     = version:u8 (2)  through:varint
//!            n:varint  n x { source:text position:bytes }
//!            n:varint  n x { id:varint name:text kind:u8 0 | 1 activity of all its pairs }
//!            days
//!            n:varint  n x { shard:varint through:varint }    what is stored
//!            expired before:varint (a day)
//!            crc32
//! ```

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::client::Client;
use crate::ledger::activity::{Activity, Days};
use crate::ledger::calendar::Calendar;
use crate::ledger::distinct::Distinct;
use crate::ledger::facts::ClientFacts;
use crate::ledger::row::Trace;
use crate::observation::ReporterKind;
use crate::time::{Day, Time};

/// The version of every layout in this file.
pub(super) const LAYOUT: u8 = 2;

const SPAN: u8 = 1;
const ACCEPTED: u8 = 2;
const ACCEPTED_LATER: u8 = 4;
const DAYS: u8 = 8;
const DAYS_END: u8 = 16;
const ACCEPTED_SAME: u8 = 32;
const ACCEPTED_DAYS: u8 = 64;
const BY_US: u8 = 128;

/// Why stored bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The checksum does not fit: the bytes are damaged.
    #[error("its checksum does not fit")]
    Checksum,
    /// Written by another version of helostat.
    #[error("it has layout version {0}, this program knows {LAYOUT}")]
    Version(u8),
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// The checksum fits but the content is not of this layout.
    #[error("it is not of the documented layout")]
    Malformed,
}

/// The longest that a record may be unpacked; more is a lie.
const UNPACKED_MAX: usize = 1 << 30;

/// Packs a finished record.
pub(super) fn pack(record: &[u8]) -> Vec<u8> {
    let mut writer = Writer::begin();
    writer.count(record.len());
    let mut packer = DeflateEncoder::new(writer.0, Compression::fast());
    // Writing to memory does not fail; if it did, the record would not be read again, as damaged.
    packer.write_all(record).unwrap_or_default();
    Writer(packer.finish().unwrap_or_default()).finish()
}

/// The record that was packed.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut reader = Reader::new(packed)?;
    let length = reader.small::<usize>()?;
    if length > UNPACKED_MAX {
        return Err(DecodeError::Malformed);
    }
    // A little at first: the length may be a lie.
    let mut record = Vec::with_capacity(length.min(packed.len().saturating_mul(8)));
    let most = length as u64 + 1;
    let unpacked = DeflateDecoder::new(reader.rest()).take(most).read_to_end(&mut record);
    if unpacked.is_err() || record.len() != length {
        return Err(DecodeError::Malformed);
    }
    Ok(record)
}

/// Writes a layout.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    /// An octet.
    pub(super) fn octet(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Four octets.
    pub(super) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Eight octets.
    pub(super) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A sketch.
    pub(super) fn sketch(&mut self, sketch: &Distinct) {
        self.count(sketch.elements().len());
        for element in sketch.elements() {
            self.u64(*element);
        }
    }

    /// What is left of pairs of a client.
    pub(super) fn trace(&mut self, trace: &Trace) {
        self.sketch(&trace.families);
        self.sketch(&trace.names);
    }

    /// A set of days.
    pub(super) fn days(&mut self, days: &Calendar) {
        let runs = days.runs();
        self.count(runs.len());
        for (first, last) in runs {
            self.varint(u64::from(first.0));
            self.varint(u64::from(last.0));
        }
    }

    /// Positions of sources.
    pub(super) fn positions(&mut self, positions: &BTreeMap<String, Vec<u8>>) {
        self.count(positions.len());
        for (source, position) in positions {
            self.bytes(source.as_bytes());
            self.bytes(position);
        }
    }

    /// Begins a record with the layout's version.
    pub(super) fn begin() -> Self {
        Self(vec![LAYOUT])
    }

    /// An unsigned number.
    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A count of things to come.
    pub(super) fn count(&mut self, n: usize) {
        self.varint(n as u64);
    }

    /// Octets with their length.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// A client.
    pub(super) fn client(&mut self, client: Client) {
        match client {
            Client::V4(ip) => {
                self.0.push(4);
                self.0.extend_from_slice(&ip.to_be_bytes());
            }
            Client::V6(top) => {
                self.0.push(6);
                self.0.extend_from_slice(&top.to_be_bytes());
            }
        }
    }

    /// A reporter's entry.
    pub(super) fn reporter(&mut self, id: u16, name: &str, kind: ReporterKind) {
        self.varint(u64::from(id));
        self.bytes(name.as_bytes());
        self.0.push(match kind {
            ReporterKind::Mx => 0,
            ReporterKind::Trap => 1,
            ReporterKind::Submission => 2,
            ReporterKind::Unfiltered => 3,
        });
    }

    /// What is known of a client beside its pairs.
    pub(super) fn facts(&mut self, facts: &ClientFacts) {
        self.0.push(u8::from(facts.last_ip.is_some()) | u8::from(facts.rdns.is_some()) << 1);
        if let Some((time, ip)) = facts.last_ip {
            self.varint(u64::from(time.0));
            let low = match ip {
                IpAddr::V6(ip) => u128::from(ip) as u64,
                IpAddr::V4(_) => 0,
            };
            self.0.extend_from_slice(&low.to_be_bytes());
        }
        if let Some((time, rdns)) = &facts.rdns {
            self.varint(u64::from(time.0));
            self.bytes(rdns.as_bytes());
        }
    }

    /// What one reporter saw of one pair.
    pub(super) fn activity(&mut self, activity: &Activity) {
        let Activity { first, last, first_accepted, days, accepted_days, counts, by_us } = activity;
        let begin = self.0.len();
        self.octet(0);
        self.u32(first.0);
        let mut head = 0;
        if last > first {
            head |= SPAN;
            self.varint(u64::from(last.0 - first.0));
        }
        if let Some(time) = first_accepted {
            head |= ACCEPTED;
            if time > first {
                head |= ACCEPTED_LATER;
                self.varint(u64::from(time.0 - first.0));
            }
        }
        if *days != Days::of(last.day()) {
            head |= DAYS;
            if days.newest != last.day() {
                head |= DAYS_END;
                self.varint(u64::from(days.newest.0));
            }
            self.varint(days.bits);
        }
        if accepted_days == days {
            head |= ACCEPTED_SAME;
        } else if !accepted_days.is_empty() {
            head |= ACCEPTED_DAYS;
            self.varint(u64::from(accepted_days.newest.0));
            self.varint(accepted_days.bits);
        }
        let mask = self.0.len();
        self.octet(0);
        for (bit, count) in counts.iter().enumerate().filter(|(_, count)| **count != 0) {
            self.0[mask] |= 1 << bit;
            self.varint(u64::from((count << 1 ^ count >> 31) as u32));
        }
        if *by_us > 0 {
            head |= BY_US;
            self.varint(u64::from(*by_us));
        }
        self.0[begin] = head;
    }

    /// Ends the record with its checksum.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let checksum = crc32fast::hash(&self.0);
        self.0.extend_from_slice(&checksum.to_le_bytes());
        self.0
    }
}

/// Reads a layout.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Checks the checksum and the version and stands at what follows.
    pub(super) fn new(record: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((body, sum)) = record.split_last_chunk::<4>() else {
            return Err(DecodeError::Checksum);
        };
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return Err(DecodeError::Checksum);
        }
        let (&version, rest) = body.split_first().ok_or(DecodeError::Malformed)?;
        if version != LAYOUT {
            return Err(DecodeError::Version(version));
        }
        Ok(Self(rest))
    }

    /// Reads what has neither version nor checksum: a row in memory.
    #[inline]
    pub(super) fn bare(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// An octet.
    #[inline]
    pub(super) fn octet(&mut self) -> Result<u8, DecodeError> {
        let (&octet, rest) = self.0.split_first().ok_or(DecodeError::Malformed)?;
        self.0 = rest;
        Ok(octet)
    }

    /// Four octets.
    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.octets()?))
    }

    /// Eight octets.
    #[inline]
    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.octets()?))
    }

    #[inline]
    fn octets<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (octets, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Malformed)?;
        self.0 = rest;
        Ok(*octets)
    }

    /// An unsigned number.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        // Most numbers are small.
        if let [octet @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(u64::from(*octet));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            value |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed)
    }

    /// A number that must fit.
    #[inline]
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, DecodeError> {
        T::try_from(self.varint()?).map_err(|_| DecodeError::Malformed)
    }

    /// A count of things to come; never more than the octets left, so that it is safe to reserve.
    #[inline]
    pub(super) fn count(&mut self) -> Result<usize, DecodeError> {
        let n = self.small::<usize>()?;
        if n > self.0.len() { Err(DecodeError::Malformed) } else { Ok(n) }
    }

    /// Octets with their length.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let n = self.count()?;
        self.take(n)
    }

    /// UTF-8 with its length.
    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Malformed)
    }

    /// A client.
    pub(super) fn client(&mut self) -> Result<Client, DecodeError> {
        match self.octet()? {
            4 => Ok(Client::V4(u32::from_be_bytes(self.octets()?))),
            6 => Ok(Client::V6(u64::from_be_bytes(self.octets()?))),
            _ => Err(DecodeError::Malformed),
        }
    }

    /// A reporter's entry.
    pub(super) fn reporter(&mut self) -> Result<(u16, &'a str, ReporterKind), DecodeError> {
        let id = self.small()?;
        let name = self.text()?;
        let kind = match self.octet()? {
            0 => ReporterKind::Mx,
            1 => ReporterKind::Trap,
            2 => ReporterKind::Submission,
            3 => ReporterKind::Unfiltered,
            _ => return Err(DecodeError::Malformed),
        };
        Ok((id, name, kind))
    }

    /// What is known of `client` beside its pairs.
    pub(super) fn facts(&mut self, client: Client) -> Result<ClientFacts, DecodeError> {
        let flags = self.octet()?;
        let mut facts = ClientFacts::default();
        if flags & 1 != 0 {
            let time = Time(self.small()?);
            let low = u64::from_be_bytes(self.octets()?);
            let Client::V6(top) = client else { return Err(DecodeError::Malformed) };
            let ip = Ipv6Addr::from(u128::from(top) << 64 | u128::from(low));
            facts.last_ip = Some((time, IpAddr::V6(ip)));
        }
        if flags & 2 != 0 {
            facts.rdns = Some((Time(self.small()?), self.text()?.into()));
        }
        Ok(facts)
    }

    /// What one reporter saw of one pair.
    #[inline]
    pub(super) fn activity(&mut self) -> Result<Activity, DecodeError> {
        let head = self.octet()?;
        let first = self.u32()?;
        let mut later = |told: u8| -> Result<Time, DecodeError> {
            let after = if head & told == 0 { 0 } else { self.small::<u32>()? };
            first.checked_add(after).map(Time).ok_or(DecodeError::Malformed)
        };
        let last = later(SPAN)?;
        let accepted = later(ACCEPTED_LATER)?;
        let mut days = Days::of(last.day());
        if head & DAYS_END != 0 {
            days.newest = Day(self.small()?);
        }
        if head & DAYS != 0 {
            days.bits = self.varint()?;
        }
        let accepted_days = match head & (ACCEPTED_SAME | ACCEPTED_DAYS) {
            0 => Days::default(),
            ACCEPTED_SAME => days,
            ACCEPTED_DAYS => Days { newest: Day(self.small()?), bits: self.varint()? },
            _ => return Err(DecodeError::Malformed),
        };
        let mask = self.octet()?;
        let mut counts = [0; 7];
        for (bit, count) in counts.iter_mut().enumerate() {
            if mask >> bit & 1 == 1 {
                let zigzag: u32 = self.small()?;
                *count = (zigzag >> 1) as i32 ^ -((zigzag & 1) as i32);
            }
        }
        Ok(Activity {
            first: Time(first),
            last,
            first_accepted: (head & ACCEPTED != 0).then_some(accepted),
            days,
            accepted_days,
            counts,
            by_us: if head & BY_US == 0 { 0 } else { self.small()? },
        })
    }

    /// Goes past what one reporter saw of one pair, and tells when that was last.
    #[inline]
    pub(super) fn skip_activity(&mut self) -> Result<Time, DecodeError> {
        let head = self.octet()?;
        let first = self.u32()?;
        let last = if head & SPAN == 0 { 0 } else { self.small::<u32>()? };
        let more = u32::from(head & ACCEPTED_LATER != 0)
            + u32::from(head & DAYS_END != 0)
            + u32::from(head & DAYS != 0)
            + if head & ACCEPTED_DAYS == 0 { 0 } else { 2 };
        for _ in 0..more {
            self.skip_varint()?;
        }
        let counts = self.octet()?.count_ones();
        for _ in 0..counts + u32::from(head & BY_US != 0) {
            self.skip_varint()?;
        }
        Ok(Time(first.saturating_add(last)))
    }

    #[inline]
    fn skip_varint(&mut self) -> Result<(), DecodeError> {
        let end = self.0.iter().position(|octet| *octet < 0x80).ok_or(DecodeError::Malformed)?;
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        Ok(())
    }

    /// A sketch.
    pub(super) fn sketch(&mut self) -> Result<Distinct, DecodeError> {
        let n = self.count()?;
        let octets = self.take(n.checked_mul(8).ok_or(DecodeError::Malformed)?)?;
        let (words, _) = octets.as_chunks::<8>();
        let elements = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Distinct::from_elements(elements).ok_or(DecodeError::Malformed)
    }

    /// What is left of pairs of a client.
    pub(super) fn trace(&mut self) -> Result<Trace, DecodeError> {
        Ok(Trace { families: self.sketch()?, names: self.sketch()? })
    }

    /// A set of days.
    pub(super) fn days(&mut self) -> Result<Calendar, DecodeError> {
        let mut runs = Vec::new();
        for _ in 0..self.count()? {
            runs.push((Day(self.small()?), Day(self.small()?)));
        }
        Calendar::from_runs(runs).ok_or(DecodeError::Malformed)
    }

    /// Positions of sources, put to those that are there.
    pub(super) fn positions(
        &mut self,
        positions: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<(), DecodeError> {
        for _ in 0..self.count()? {
            let source = self.text()?.to_owned();
            positions.insert(source, self.bytes()?.to_vec());
        }
        Ok(())
    }

    /// So many octets.
    #[inline]
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.0.split_at_checked(n).ok_or(DecodeError::Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// What is not read yet.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Ends the reading; octets left over are an error.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn activity() -> impl Strategy<Value = Activity> {
        (
            any::<u32>(),
            any::<u16>(),
            any::<Option<u16>>(),
            any::<[i32; 7]>(),
            any::<u64>(),
            any::<u32>(),
        )
            .prop_map(|(first, span, accepted, counts, bits, by_us)| Activity {
                first: Time(first / 2),
                last: Time(first / 2 + u32::from(span)),
                first_accepted: accepted.map(|after| Time(first / 2 + u32::from(after))),
                days: Days { newest: Day(span), bits },
                accepted_days: Days { newest: Day(span / 2), bits: !bits },
                counts,
                by_us,
            })
    }

    proptest! {
        #[test]
        fn activities_are_skipped_as_they_are_read(activity in activity()) {
            let mut writer = Writer::begin();
            writer.activity(&activity);
            writer.octet(9);
            let record = writer.finish();
            let mut reader = Reader::new(&record).expect("own record");
            prop_assert_eq!(reader.skip_activity(), Ok(activity.last));
            prop_assert_eq!(reader.rest(), &[9]);
        }

        #[test]
        fn activities_survive(activity in activity()) {
            let mut writer = Writer::begin();
            writer.activity(&activity);
            let record = writer.finish();
            let mut reader = Reader::new(&record).expect("own record");
            prop_assert_eq!(reader.activity(), Ok(activity));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn damage_is_noticed(activity in activity(), place in any::<proptest::sample::Index>(), bit in 0u8..8) {
            let mut writer = Writer::begin();
            writer.activity(&activity);
            let mut record = writer.finish();
            let place = place.index(record.len());
            record[place] ^= 1 << bit;
            prop_assert_eq!(Reader::new(&record).err(), Some(DecodeError::Checksum));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut record = Writer::begin();
            record.0.extend_from_slice(&bytes);
            let record = record.finish();
            let mut reader = Reader::new(&record).expect("checksum and version fit");
            let read = (reader.count(), reader.text().is_ok(), reader.client(), reader.activity());
            std::hint::black_box(&read);
        }
    }
}

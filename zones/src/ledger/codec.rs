//! Bytes of the stored layouts, version 1. A golden-file test holds them still.
//!
//! Primitives: `varint` is an unsigned LEB128 of at most 64 bits; `zigzag` is a varint of the zigzag
//! of a signed number; `text` is a varint length and that many octets of UTF-8; `bytes` the same
//! without the UTF-8; `client` is one octet 4 or 6 and then 4 octets (address) or 8 octets (upper half
//! of the address), big-endian.
//!
//! ```text
//! activity = first:varint (seconds)  last-first:varint
//!            accepted:varint (0 none, else first_accepted - first + 1)
//!            days accepted_days         each: newest:varint (day)  bits:varint
//!            counts: 7 x zigzag         in the order of Outcome::ALL
//!            by_us:varint
//! facts    = flags:u8 (1 last_ip, 2 rdns)
//!            [last_ip: time:varint low-half:8 octets big-endian]   only for 6-clients
//!            [rdns: time:varint text]
//!
//! journal entry = version:u8 (1)
//!            n:varint  n x { source:text position:bytes }
//!            n:varint  n x { id:varint name:text kind:u8 (0 mx, 1 trap, 2 submission) }   reporters
//!            n:varint  n x { client facts }
//!            n:varint  n x { client name:text reporter-id:varint activity }
//!            crc32:4 octets little-endian, over everything before it
//!            (a batch on its way to another process is a journal entry whose reporters are numbered
//!            from 0 in the order of their names)
//! shard     = version:u8 (1)  through:varint (the last journal entry it includes)
//!            n:varint  n x { client facts  m:varint m x { name:text k:varint k x { reporter-id:varint activity } } }
//!            crc32
//! base      = version:u8 (1)  through:varint
//!            n:varint  n x { source:text position:bytes }
//!            n:varint  n x { id:varint name:text kind:u8 }
//!            crc32
//! ```

use std::net::{IpAddr, Ipv6Addr};

use crate::client::Client;
use crate::ledger::activity::{Activity, Days};
use crate::ledger::facts::ClientFacts;
use crate::observation::ReporterKind;
use crate::time::{Day, Time};

/// The version of every layout in this file.
pub(super) const LAYOUT: u8 = 1;

/// Why stored bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The checksum does not fit: the bytes are damaged.
    #[error("its checksum does not fit")]
    Checksum,
    /// Written by a newer helostat.
    #[error("it has layout version {0}, this program knows {LAYOUT}")]
    Version(u8),
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// The checksum fits but the content is not of this layout.
    #[error("it is not of the documented layout")]
    Malformed,
}

/// Writes a layout.
pub(super) struct Writer(Vec<u8>);

impl Writer {
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
        self.varint(u64::from(activity.first.0));
        self.varint(u64::from(activity.last.0.saturating_sub(activity.first.0)));
        self.varint(match activity.first_accepted {
            Some(time) => u64::from(time.0.saturating_sub(activity.first.0)) + 1,
            None => 0,
        });
        for days in [activity.days, activity.accepted_days] {
            self.varint(u64::from(days.newest.0));
            self.varint(days.bits);
        }
        for count in activity.counts {
            self.varint(u64::from((count << 1 ^ count >> 31) as u32));
        }
        self.varint(u64::from(activity.by_us));
    }

    /// Ends the record with its checksum.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let checksum = crc32fast::hash(&self.0);
        self.0.extend_from_slice(&checksum.to_le_bytes());
        self.0
    }
}

/// Reads a layout.
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

    fn octet(&mut self) -> Result<u8, DecodeError> {
        let (&octet, rest) = self.0.split_first().ok_or(DecodeError::Malformed)?;
        self.0 = rest;
        Ok(octet)
    }

    fn octets<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (octets, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Malformed)?;
        self.0 = rest;
        Ok(*octets)
    }

    /// An unsigned number.
    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
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

    fn small<T: TryFrom<u64>>(&mut self) -> Result<T, DecodeError> {
        T::try_from(self.varint()?).map_err(|_| DecodeError::Malformed)
    }

    /// A count of things to come; never more than the octets left, so that it is safe to reserve.
    pub(super) fn count(&mut self) -> Result<usize, DecodeError> {
        let n = self.small::<usize>()?;
        if n > self.0.len() { Err(DecodeError::Malformed) } else { Ok(n) }
    }

    /// Octets with their length.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let n = self.count()?;
        let (bytes, rest) = self.0.split_at_checked(n).ok_or(DecodeError::Malformed)?;
        self.0 = rest;
        Ok(bytes)
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
    pub(super) fn activity(&mut self) -> Result<Activity, DecodeError> {
        let first: u32 = self.small()?;
        let last = first.checked_add(self.small()?).ok_or(DecodeError::Malformed)?;
        // One more than the difference, which alone fills 32 bits.
        let first_accepted = match self.varint()?.checked_sub(1).map(u32::try_from) {
            None => None,
            Some(after) => {
                let after = after.map_err(|_| DecodeError::Malformed)?;
                Some(Time(first.checked_add(after).ok_or(DecodeError::Malformed)?))
            }
        };
        let days = Days { newest: Day(self.small()?), bits: self.varint()? };
        let accepted_days = Days { newest: Day(self.small()?), bits: self.varint()? };
        let mut counts = [0; 7];
        for count in &mut counts {
            let zigzag: u32 = self.small()?;
            *count = (zigzag >> 1) as i32 ^ -((zigzag & 1) as i32);
        }
        Ok(Activity {
            first: Time(first),
            last: Time(last),
            first_accepted,
            days,
            accepted_days,
            counts,
            by_us: self.small()?,
        })
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

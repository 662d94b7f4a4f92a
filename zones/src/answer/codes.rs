//! What the zones of addresses say of a client, in eight octets: what is kept of a verdict to answer questions for A from.
//!
//! In goes a verdict; out come the values of `bl`, `wl`, `score` and `bits`. The zones' answers are made from this and from
//! nothing else, so that an answer from what was kept and one from a fresh verdict cannot differ. Nothing fails.
//!
//! What it leaves out: every text, and until when it holds.

use std::net::Ipv4Addr;

use super::{A_MAX, bits, told};
use crate::key::Kind;
use crate::verdict::{ClientVerdict, ListCode, Trust};

/// No score: not enough history.
const NO_SCORE: u8 = u8::MAX;

/// What the zones of addresses say of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codes {
    /// The last octets of `bl`, from the first; 0 where there is none.
    listed: [u8; A_MAX],
    /// Category and level of `wl`, four bits each; 0 for none.
    trust: u8,
    score: u8,
    /// Good and bad; both 0 for none.
    bits: [u8; 2],
}

impl Codes {
    /// Of a verdict; of one that is held back what is said instead.
    pub fn of(verdict: &ClientVerdict) -> Self {
        if let Some(held) = verdict.held {
            return held;
        }
        let mut listed = [0; A_MAX];
        if let [first, others @ ..] = &mut listed
            && !verdict.listings.is_empty()
        {
            *first = 2;
            for (place, code) in others.iter_mut().zip(told(&verdict.listings)) {
                *place = code as u8;
            }
        }
        let trust = match verdict.trust {
            Some(Trust { category: category @ 2..=9, level: level @ 0..=3 }) => {
                category << 4 | level
            }
            _ => 0,
        };
        let score = verdict.score.map_or(NO_SCORE, |score| score.min(100));
        Self { listed, trust, score, bits: bits::value(verdict) }
    }

    /// What a zone of `kind` answers; nothing in a zone of other keys.
    pub fn values(self, kind: Kind) -> impl Iterator<Item = Ipv4Addr> {
        let value = |third, fourth| Ipv4Addr::new(127, 0, third, fourth);
        let none = Ipv4Addr::UNSPECIFIED;
        let one = |value| [value, none, none, none];
        let values = match kind {
            Kind::Bl => self.listed.map(|octet| if octet == 0 { none } else { value(0, octet) }),
            Kind::Wl if self.trust != 0 => one(value(self.trust >> 4, self.trust & 0xf)),
            Kind::Score if self.score != NO_SCORE => one(value(4, self.score)),
            Kind::Bits => match self.bits {
                [0, 0] => [none; A_MAX],
                [good, bad] => one(value(good, bad)),
            },
            _ => [none; A_MAX],
        };
        values.into_iter().take_while(move |value| *value != none)
    }

    /// Does it stand on `bl`?
    pub fn is_listed(self) -> bool {
        self.listed != [0; A_MAX]
    }
}

/// Nothing is said.
impl Default for Codes {
    fn default() -> Self {
        Self { listed: [0; A_MAX], trust: 0, score: NO_SCORE, bits: [0; 2] }
    }
}

/// `ListCode`s are last octets of `bl`: none is 0, which stands for "no more".
const _: () = assert!(ListCode::ManyFamilies as u8 != 0 && (ListCode::Operator as u16) < 256);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;
    use crate::verdict::Class;

    #[test]
    fn each_zone_says_its_own() {
        let verdict = ClientVerdict {
            listings: vec![
                ListCode::ManyFamilies,
                ListCode::Junk,
                ListCode::Junk,
                ListCode::Denied,
            ],
            trust: Some(Trust { category: 5, level: 3 }),
            score: Some(0),
            class: Class::Listed,
            ..ClientVerdict::unknown(Time(0))
        };
        let said = |verdict: &ClientVerdict, kind| -> Vec<[u8; 4]> {
            Codes::of(verdict).values(kind).map(|value| value.octets()).collect()
        };
        for (kind, values) in [
            (Kind::Bl, vec![[127, 0, 0, 2], [127, 0, 0, 4], [127, 0, 0, 6], [127, 0, 0, 7]]),
            (Kind::Wl, vec![[127, 0, 5, 3]]),
            (Kind::Score, vec![[127, 0, 4, 0]]),
            (Kind::Bits, vec![[127, 0, 0, 34]]),
            (Kind::Ehlo, vec![]),
            (Kind::Pair, vec![]),
        ] {
            assert_eq!(said(&verdict, kind), values, "{kind:?}");
        }
        let nobody = ClientVerdict::unknown(Time(0));
        for kind in Kind::ALL {
            assert_eq!(said(&nobody, kind), Vec::<[u8; 4]>::new(), "{kind:?}");
        }
        let outside = Trust { category: 10, level: 0 };
        let verdict = ClientVerdict { trust: Some(outside), ..nobody };
        assert_eq!(said(&verdict, Kind::Wl), Vec::<[u8; 4]>::new());
    }

    #[test]
    fn a_client_takes_eight_octets() {
        assert_eq!(size_of::<Codes>(), 8);
    }
}

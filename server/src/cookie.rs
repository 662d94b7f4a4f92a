//! DNS cookies: who was asked before by the same address can be told from who forges it.
//!
//! In go the cookie option of a question, the address that it came from and the moment; out comes the option of the answer,
//! and whether the one that came was ours. Pure but for the secret, which is drawn once ([`Cookies::draw`]).
//!
//! Rules: RFC 7873 (an option is 8 octets of the client's, or 16 to 40 with the server's behind them; any other
//! length is FORMERR), RFC 9018 (the server's is version 1, three octets 0, the moment, SipHash-2-4 of all of it and the
//! address). A question without a valid one is answered all the same (RFC 7873 section 5.2.3).

use std::hash::Hasher;
use std::net::IpAddr;

use helostat_zones::time::Time;
use siphasher::sip::SipHasher24;

/// What a client sends of its own.
const CLIENT: usize = 8;
/// The whole of an answer's option.
pub(crate) const WHOLE: usize = 24;
const VERSION: [u8; 4] = [1, 0, 0, 0];
/// A cookie that was made so many seconds ago is good; RFC 9018 section 4.3.
const AGE_MAX: u32 = 3600;
/// One that was made so many seconds from now is, too: clocks of several servers differ.
const AHEAD_MAX: u32 = 300;

/// The option of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    client: [u8; CLIENT],
    /// The server's, if it came and has the length of ours.
    server: Option<[u8; 16]>,
}

impl Offered {
    /// Reads an option; `None` if its length is wrong.
    pub(crate) fn read(option: &[u8]) -> Option<Self> {
        let (client, server) = option.split_first_chunk::<CLIENT>()?;
        matches!(server.len(), 0 | 8..=32)
            .then(|| Self { client: *client, server: server.try_into().ok() })
    }
}

/// Makes and knows cookies.
#[derive(Clone, Debug)]
pub(crate) struct Cookies {
    secret: [u8; 16],
}

impl Cookies {
    /// With a secret from the system.
    pub(crate) fn draw() -> std::io::Result<Self> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)?;
        Ok(Self { secret })
    }

    /// The option of the answer to a question that came with `offered` from `ip`.
    pub(crate) fn answer(&self, offered: Offered, ip: IpAddr, now: Time) -> [u8; WHOLE] {
        let mut option = [0; WHOLE];
        let hash = self.hash(offered.client, now.0, ip);
        let stamp = now.0.to_be_bytes();
        let pieces = [&offered.client[..], &VERSION, &stamp, &hash];
        for (place, octet) in option.iter_mut().zip(pieces.into_iter().flatten()) {
            *place = *octet;
        }
        option
    }

    /// Did we give it to this address, lately?
    pub(crate) fn is_ours(&self, offered: Offered, ip: IpAddr, now: Time) -> bool {
        let Some(server) = offered.server else { return false };
        let [a, b, c, d, e, f, g, h, hash @ ..] = server;
        let made = u32::from_be_bytes([e, f, g, h]);
        // Serial arithmetic (RFC 1982), as RFC 9018 has it.
        let age = now.0.wrapping_sub(made);
        let is_young = age <= AGE_MAX || age.wrapping_neg() <= AHEAD_MAX;
        [a, b, c, d] == VERSION && is_young && self.hash(offered.client, made, ip) == hash
    }

    fn hash(&self, client: [u8; CLIENT], made: u32, ip: IpAddr) -> [u8; 8] {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write(&client);
        hasher.write(&VERSION);
        hasher.write(&made.to_be_bytes());
        match ip {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()),
        }
        hasher.finish().to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(hex: &str) -> [u8; N] {
        let octet = |place| u8::from_str_radix(hex.get(2 * place..2 * place + 2).expect(hex), 16);
        std::array::from_fn(|place| octet(place).expect(hex))
    }

    #[test]
    fn vectors_of_rfc_9018() {
        for (ip, client, secret, now, server) in [
            (
                "198.51.100.100",
                "2464c4abcf10c957",
                "e5e973e5a6b2a43f48e7dc849e37bfcf",
                1_559_731_985,
                "010000005cf79f111f8130c3eee29480",
            ),
            (
                "2001:db8:220:1:59de:d0f4:8769:82b8",
                "22681ab97d52c298",
                "445536bcd2513298075a5d379663c962",
                1_559_741_961,
                "010000005cf7c609a6bb79d16625507a",
            ),
        ] {
            let cookies = Cookies { secret: octets(secret) };
            let ip: IpAddr = ip.parse().expect(ip);
            let offered = Offered { client: octets(client), server: None };
            let whole = cookies.answer(offered, ip, Time(now));
            assert_eq!(whole, octets(&format!("{client}{server}")), "{server}");
            let offered = Offered::read(&whole).expect("ours");
            for (later, ours) in [(0, true), (3600, true), (3601, false)] {
                assert_eq!(cookies.is_ours(offered, ip, Time(now + later)), ours, "{later}");
            }
            for (earlier, ours) in [(300, true), (301, false)] {
                assert_eq!(cookies.is_ours(offered, ip, Time(now - earlier)), ours, "-{earlier}");
            }
            let another = IpAddr::from([192, 0, 2, 1]);
            assert!(!cookies.is_ours(offered, another, Time(now)));
        }
    }

    #[test]
    fn lengths_of_rfc_7873() {
        for (length, is_right) in [
            (0, false),
            (7, false),
            (8, true),
            (9, false),
            (15, false),
            (16, true),
            (40, true),
            (41, false),
        ] {
            assert_eq!(Offered::read(&vec![1; length]).is_some(), is_right, "{length}");
        }
    }
}

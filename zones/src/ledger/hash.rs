//! Hashes that are part of stored layouts: the same on every machine and in every version.
//!
//! Not cryptographic. Where somebody outside could profit from choosing a hash (which pairs stay), the
//! seed is a key of the operator's.

use crate::client::{Client, Network};

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// splitmix64's finaliser: every input bit reaches every output bit.
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// The two halves of a 128-bit product, folded.
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The hash of a text, eight octets at a time.
pub(super) fn hash_text(seed: u64, text: &str) -> u64 {
    let mut hash = mix(seed ^ text.len() as u64) ^ ODD;
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    for word in words {
        hash = fold(hash ^ u64::from_le_bytes(*word), ODD | 1) ^ hash.rotate_left(23);
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    mix(fold(hash ^ u64::from_le_bytes(last), 0xe703_7ed1_a0b4_28db) ^ hash)
}

/// The hash of a client.
pub(super) fn hash_client(client: Client) -> u64 {
    match client {
        Client::V4(ip) => mix(u64::from(ip) ^ ODD),
        Client::V6(top) => mix(mix(top) ^ 6),
    }
}

/// The hash of a network.
pub(super) fn hash_network(network: Network) -> u64 {
    match network {
        Network::V4(ip) => mix(u64::from(ip) ^ ODD),
        Network::V6(top) => mix(mix(top) ^ 6),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn hashes_stay_as_they_are() {
        // Stored: sketches and the places of shards depend on them.
        let hashes = [
            hash_text(0, ""),
            hash_text(1, "mail.example.com"),
            hash_client(Client::V4(0xc000_0207)),
            hash_network(Network::V6(0x2001_0db8_0000_0000)),
        ];
        let known = [
            11_852_971_558_052_480_706,
            18_352_710_325_943_442_795,
            17_560_552_746_674_821_786,
            10_771_226_865_643_665_027,
        ];
        assert_eq!(hashes, known);
    }

    #[test]
    fn similar_texts_have_different_hashes_in_every_part() {
        let hashes: Vec<u64> =
            (0..200_000).map(|i| hash_text(0, &format!("mx{i}.example.com"))).collect();
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
        for shift in [0, 16, 32, 48] {
            let mut buckets = vec![0u32; 256];
            for hash in &hashes {
                buckets[usize::from((hash >> shift) as u8)] += 1;
            }
            let (least, most) = (buckets.iter().min(), buckets.iter().max());
            assert!(least > Some(&650) && most < Some(&920), "{shift}: {least:?} {most:?}");
        }
    }
}

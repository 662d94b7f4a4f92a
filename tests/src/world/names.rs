//! Made-up names: domains of real public suffixes, hosts in them, and what access networks call their customers.
//!
//! A domain that [`Names::domain`] gives is given once. Nothing here is looked up; that somebody owns such a domain
//! would be chance.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use super::draws::Draws;

const SYLLABLES: [&str; 64] = [
    "ka", "zu", "mor", "bel", "tir", "vo", "lan", "qui", "dra", "fen", "gor", "hal", "ix", "jum",
    "kes", "lor", "mi", "nar", "osk", "pel", "rud", "sil", "tam", "ul", "ver", "wim", "yar", "zeb",
    "bru", "cal", "dov", "el", "fro", "gim", "hup", "ing", "jor", "kli", "lub", "mav", "nex", "ob",
    "pra", "rix", "sko", "tul", "ur", "vin", "wex", "yol", "zan", "bir", "cro", "dun", "ep", "fal",
    "gre", "hob", "is", "jas", "kun", "lim", "mu", "nod",
];
const TAILS: [&str; 24] = [
    "works", "soft", "net", "mail", "media", "data", "labs", "trade", "bau", "tech", "group",
    "school", "clinic", "legal", "print", "cloud", "shop", "verlag", "hus", "foods", "cars", "art",
    "systems", "energy",
];
const SUFFIXES: [&str; 32] = [
    "com", "com", "com", "com", "com", "com", "net", "net", "org", "org", "de", "de", "fr", "nl",
    "ch", "se", "dk", "pl", "cz", "it", "es", "co.uk", "org.uk", "com.au", "co.jp", "com.br", "eu",
    "io", "info", "at", "ca", "co.in",
];
/// What spammers register by the hundred.
const CHEAP: [&str; 8] = ["info", "top", "xyz", "club", "online", "site", "biz", "us"];
/// What an MTA is called.
const HOSTS: [&str; 16] = [
    "mail", "mx", "smtp", "mail1", "mx1", "out", "relay", "mta", "mail2", "post", "mx01", "smtp1",
    "server", "mail-out", "mx2", "gw",
];
/// Top-level domains that do not exist.
const NO_TLDS: [&str; 8] = ["zoz", "qik", "vux", "jhn", "wqe", "ghj", "ulp", "zxm"];
/// How many access networks there are.
pub(super) const ACCESS_NETWORKS: usize = 48;

/// Gives names, each domain once.
pub(super) struct Names {
    given: HashSet<String>,
    access: Vec<String>,
}

impl Names {
    pub(super) fn new(draws: &mut Draws) -> Self {
        let mut names = Self { given: HashSet::new(), access: Vec::new() };
        names.access = (0..ACCESS_NETWORKS).map(|_| names.domain(draws)).collect();
        names
    }

    /// A registrable domain that nobody else has.
    pub(super) fn domain(&mut self, draws: &mut Draws) -> String {
        self.fresh(draws, |draws| format!("{}.{}", label(draws), draws.pick(&SUFFIXES)))
    }

    /// A registrable domain of the kind that is bought by the hundred.
    pub(super) fn cheap_domain(&mut self, draws: &mut Draws) -> String {
        self.fresh(draws, |draws| {
            let (mut word, suffix) = (label(draws), draws.pick(&CHEAP));
            word += *draws.pick(&TAILS);
            format!("{word}.{suffix}")
        })
    }

    /// The same company under another suffix.
    pub(super) fn sibling(&mut self, draws: &mut Draws, domain: &str) -> String {
        let label = domain.split('.').next().unwrap_or_default().to_owned();
        self.fresh(draws, |draws| match draws.below(8) {
            // It has all suffixes that there are.
            0 => format!("{label}{}.{}", draws.pick(&TAILS), draws.pick(&SUFFIXES)),
            _ => format!("{label}.{}", draws.pick(&SUFFIXES)),
        })
    }

    fn fresh(&mut self, draws: &mut Draws, make: impl Fn(&mut Draws) -> String) -> String {
        loop {
            let name = make(draws);
            if self.given.insert(name.clone()) {
                return name;
            }
        }
    }

    /// What an access network calls the customer at an address, and whether the name leads back.
    pub(super) fn access(&self, draws: &mut Draws, ip: Ipv4Addr, network: usize) -> String {
        let [a, b, c, d] = ip.octets();
        let domain = &self.access[network % self.access.len()];
        match network % 5 {
            0 => format!("{a}-{b}-{c}-{d}.dsl.{domain}"),
            1 => format!("host{d}-{c}-{b}-{a}.dyn.{domain}"),
            2 => format!("p{:08x}.dip.{domain}", ip.to_bits()),
            3 => format!("{d}.{c}.{b}.{a}.cable.{domain}"),
            _ => format!("cpe-{a}-{b}-{c}-{d}.pool{}.{domain}", draws.below(20)),
        }
    }
}

fn label(draws: &mut Draws) -> String {
    let mut word = String::with_capacity(16);
    for _ in 0..2 + draws.below(2) {
        word += *draws.pick(&SYLLABLES);
    }
    if draws.chance(0.6) {
        word += *draws.pick(&TAILS);
    }
    word
}

/// A domain that may be anybody's: bots say such names.
pub(super) fn anyone(draws: &mut Draws) -> String {
    format!("{}.{}", label(draws), draws.pick(&SUFFIXES))
}

/// The name of an MTA in a domain.
pub(super) fn mta(draws: &mut Draws, domain: &str) -> String {
    format!("{}.{domain}", draws.pick(&HOSTS))
}

/// What a hoster calls an address until its customer changes that.
pub(super) fn unnamed(ip: IpAddr, domain: &str) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("static-{a}-{b}-{c}-{d}.{domain}")
        }
        IpAddr::V6(ip) => format!("v6-{:x}.{domain}", ip.to_bits() as u64),
    }
}

/// One short word.
pub(super) fn word(draws: &mut Draws) -> String {
    let mut word = String::new();
    for _ in 0..1 + draws.below(3) {
        word += *draws.pick(&SYLLABLES);
    }
    word
}

/// What a Windows computer is called by its installer.
pub(super) fn windows(draws: &mut Draws) -> String {
    match draws.below(3) {
        0 => format!("win-{}", letters(draws, 11, true)),
        1 => format!("desktop-{}", letters(draws, 7, true)),
        _ => format!("{}-pc", word(draws)),
    }
}

/// A name that was made by a machine: at times under a top-level domain that does not exist.
pub(super) fn random(draws: &mut Draws, no_tld: f64) -> String {
    let first = 6 + draws.below(6);
    let second = 7 + draws.below(5);
    let suffix = if draws.chance(no_tld) { draws.pick(&NO_TLDS) } else { draws.pick(&SUFFIXES) };
    format!("{}.{}.{suffix}", letters(draws, first, false), letters(draws, second, false))
}

/// So many letters (and digits) without sense.
pub(super) fn letters(draws: &mut Draws, count: usize, digits: bool) -> String {
    let of = if digits {
        &b"abcdefghijklmnopqrstuvwxyz0123456789"[..]
    } else {
        &b"abcdefghijklmnopqrstuvwxyz"[..]
    };
    (0..count).map(|_| char::from(*draws.pick(of))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use helostat_zones::name::Name;

    #[test]
    fn every_domain_is_a_family_of_its_own() {
        let mut draws = Draws::new(3, 3);
        let mut names = Names::new(&mut draws);
        for _ in 0..2000 {
            for domain in [names.domain(&mut draws), names.cheap_domain(&mut draws)] {
                let host = Name::parse(mta(&mut draws, &domain).as_bytes());
                assert_eq!(host.family(), Some(&*domain));
                let other = names.sibling(&mut draws, &domain);
                assert_eq!(Name::parse(other.as_bytes()).family(), Some(&*other));
                assert_ne!(other, domain);
            }
        }
    }
}

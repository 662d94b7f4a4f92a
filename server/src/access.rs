//! Who may ask, and whose questions may cause look-ups.
//!
//! Two lists of prefixes; the lists of an operator are short, so they are walked. An IPv4-mapped
//! source address is the IPv4 address. A UDP source can be forged, which is why `trusted` should
//! hold only networks whose addresses cannot come in from outside.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::judge::Asker;

/// Who may ask.
#[derive(Clone, Debug)]
pub struct Access {
    allow: Vec<IpNet>,
    trusted: Vec<IpNet>,
}

impl Access {
    /// From the two lists.
    pub fn new(allow: &[IpNet], trusted: &[IpNet]) -> Self {
        Self { allow: allow.to_vec(), trusted: trusted.to_vec() }
    }

    /// How far `ip` is trusted; `None` if it may not ask in a zone that lets `zone` (all, if empty) ask instead of whoever
    /// may ask at all.
    pub fn asker(&self, ip: IpAddr, zone: &[IpNet]) -> Option<Asker> {
        let ip = ip.to_canonical();
        let within = |list: &[IpNet]| list.iter().any(|prefix| prefix.contains(&ip));
        if within(&self.trusted) {
            return Some(Asker { ip, trusted: true, in_words: true });
        }
        let allow = if zone.is_empty() { &self.allow } else { zone };
        within(allow).then_some(Asker { ip, trusted: false, in_words: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DnsConfig;

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|text| text.parse().expect(text)).collect()
    }

    #[test]
    fn trusted_first_then_allowed() {
        let narrow = Access::new(&nets(&["192.0.2.0/24"]), &nets(&["127.0.0.0/8", "::1/128"]));
        let default = DnsConfig::default();
        let open = Access::new(&default.allow, &default.trusted);
        for (ip, in_narrow, in_open) in [
            ("127.0.0.1", Some(true), Some(true)),
            ("::1", Some(true), Some(true)),
            ("::ffff:127.0.0.1", Some(true), Some(true)),
            ("192.0.2.7", Some(false), Some(false)),
            ("::ffff:192.0.2.7", Some(false), Some(false)),
            ("198.51.100.1", None, Some(false)),
            ("2001:db8::1", None, Some(false)),
        ] {
            let address: IpAddr = ip.parse().expect(ip);
            let asker = |trusted| Asker { ip: address.to_canonical(), trusted, in_words: true };
            assert_eq!(narrow.asker(address, &[]), in_narrow.map(asker), "{ip}");
            assert_eq!(open.asker(address, &[]), in_open.map(asker), "{ip}");
        }
        let zone = nets(&["198.51.100.0/24"]);
        for (ip, may) in [("198.51.100.1", true), ("192.0.2.7", false), ("127.0.0.1", true)] {
            for access in [&narrow, &open] {
                let asker = access.asker(ip.parse().expect(ip), &zone);
                assert_eq!(asker.is_some(), may, "{ip} in a zone with a list of its own");
            }
        }
    }
}

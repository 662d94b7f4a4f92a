//! Addresses, sockets and prefixes as values of keys.
//!
//! Only addresses are taken, never names of hosts: at start there may be no DNS to ask yet, and
//! an answer that changes later would not be noticed.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeValue;

use super::domain::DomainName;
use super::value::{Flaw, Reading, Rule, Value, read_text};

impl Value for IpAddr {
    const SAMPLE: &'static str = "\"192.0.2.53\"";

    fn kind(_: Rule) -> String {
        "an address".into()
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        read_text(found, reading.rule, |text| text.parse().map_err(|_| String::new()))
    }

    fn write(&self) -> toml::Value {
        self.to_string().into()
    }
}

impl Value for SocketAddr {
    const SAMPLE: &'static str = "\"127.0.0.1:5300\" or \"[::1]:5300\"";

    fn kind(rule: Rule) -> String {
        match rule {
            Rule::DefaultPort(port) => format!("an address (with a port if it is not {port})"),
            _ => "an address with a port".into(),
        }
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        read_text(found, reading.rule, |text| {
            // First without a port: `::1:53` is an IPv6 address as a whole.
            let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            match (bare.unwrap_or(text).parse::<IpAddr>(), reading.rule) {
                (Ok(ip), Rule::DefaultPort(port)) => Ok(Self::new(ip, port)),
                (Ok(ip), _) => {
                    Err(format!("it has no port; for port 53 write \"{}\"", Self::new(ip, 53)))
                }
                (Err(_), Rule::DefaultPort(_)) if text.ends_with(":0") => {
                    Err("nobody can be asked on port 0".into())
                }
                (Err(_), _) => text.parse().map_err(|_| host_name_reason(text)),
            }
        })
    }

    fn write(&self) -> toml::Value {
        self.to_string().into()
    }
}

/// Why a text is no address, if it looks like the name of a host.
fn host_name_reason(text: &str) -> String {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    let looks_like_a_name = host.contains(|letter: char| letter.is_ascii_alphabetic());
    if looks_like_a_name && DomainName::parse(host).is_ok() {
        "names of hosts are not looked up here; write the address itself".into()
    } else {
        String::new()
    }
}

impl Value for IpNet {
    const SAMPLE: &'static str = "\"192.0.2.0/24\"";

    fn kind(_: Rule) -> String {
        "a prefix or an address".into()
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        read_text(found, reading.rule, |text| {
            let net = match text.parse::<IpAddr>() {
                Ok(ip) => Self::from(ip),
                Err(_) => text.parse().map_err(|_| String::new())?,
            };
            if net.trunc() != net {
                let right = net.trunc();
                return Err(format!("it has bits beyond its length; write \"{right}\""));
            }
            // Clients are canonical (never IPv4-mapped), so such a prefix would match nobody.
            match net {
                Self::V6(six) if six.addr().to_ipv4_mapped().is_some() => {
                    Err("write an IPv4 network in IPv4 form".into())
                }
                net => Ok(net),
            }
        })
    }

    fn write(&self) -> toml::Value {
        self.to_string().into()
    }
}

//! The zones we are authoritative for: apexes, SOA, NS, and what stands in an origin.
//!
//! In goes the configuration; out comes a table that finds the nearest enclosing zone of a name.
//! An origin is a zone (SOA, NS, the hosts of its own name servers), and so is each kind below it.
//! [`ConfigError`] names what is wrong in the configuration; looking up never fails.
//!
//! Rules: RFC 1034 section 4.3.2 (nearest enclosing zone), RFC 4035 section 3.1.4.1 (DS belongs to
//! the parent), RFC 8020 (what lies above a host exists).

use std::net::IpAddr;

use helostat_zones::answer::Caps;
use helostat_zones::key::Kind;
use hickory_proto::rr::rdata::{A, AAAA, NS, SOA};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};

use crate::config::ZoneConfig;

/// TTL of SOA and NS, in seconds: they change by hand only.
const APEX_TTL: u32 = 3600;
/// What secondaries are told: refresh, retry, expire, in seconds (RFC 1912 section 2.2, the quick
/// end).
const SECONDARY_TIMES: (i32, i32, i32) = (3600, 600, 604_800);

/// What is wrong with a zone in the configuration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// No domain name.
    #[error("'{text}' is not a domain name ({what} of zone '{origin}')")]
    Name {
        /// What it is for.
        what: &'static str,
        /// The zone.
        origin: String,
        /// What was written.
        text: String,
    },
    /// A zone without name servers cannot be delegated.
    #[error("zone '{0}' has no name server")]
    NoNameServer(String),
    /// The same apex twice.
    #[error("zone '{0}' is configured twice")]
    Twice(String),
    /// A name server's host would have to be a key.
    #[error("name server '{name}' lies inside the zone '{zone}': put it directly below the origin")]
    HostInside {
        /// The host.
        name: String,
        /// The zone of a kind.
        zone: String,
    },
}

/// The zones, most labels first.
#[derive(Debug)]
pub struct Catalog {
    zones: Vec<Zone>,
}

impl Catalog {
    /// From the configuration.
    pub fn new(configs: &[ZoneConfig]) -> Result<Self, ConfigError> {
        let mut zones = Vec::new();
        for config in configs {
            zones.extend(zones_of(config)?);
        }
        zones.sort_by_key(|zone: &Zone| std::cmp::Reverse(zone.labels));
        for (place, zone) in zones.iter().enumerate() {
            let before = zones.iter().take(place);
            if before.into_iter().any(|other| other.apex == zone.apex) {
                return Err(ConfigError::Twice(zone.apex.to_string()));
            }
            if let Role::Kind(_) = zone.role {
                check_hosts(&zones, zone)?;
            }
        }
        Ok(Self { zones })
    }

    /// The nearest enclosing zone that answers questions of `rtype` at `name`.
    pub fn find(&self, name: &LowerName, rtype: RecordType) -> Option<&Zone> {
        let mut enclosing = self.zones.iter().filter(|zone| zone.apex.zone_of(name));
        let nearest = enclosing.next()?;
        if rtype == RecordType::DS && nearest.apex == *name {
            return Some(enclosing.next().unwrap_or(nearest));
        }
        Some(nearest)
    }
}

/// What a zone holds.
#[derive(Debug)]
pub enum Role {
    /// The apexes of the kinds, and hosts.
    Origin {
        /// Hosts with their addresses.
        hosts: Vec<(LowerName, Vec<IpAddr>)>,
        /// The apexes of the kinds, which exist here too (as delegations do).
        kinds: Vec<LowerName>,
    },
    /// Keys.
    Kind(Kind),
}

/// A zone of ours.
#[derive(Debug)]
pub struct Zone {
    /// Its apex.
    pub apex: LowerName,
    /// The labels of the apex.
    pub labels: usize,
    /// What it holds.
    pub role: Role,
    /// What limits its answers.
    pub caps: Caps,
    name_servers: Vec<Name>,
    mname: Name,
    rname: Name,
}

impl Zone {
    /// The word for it in metrics.
    pub fn word(&self) -> &'static str {
        match self.role {
            Role::Origin { .. } => "origin",
            Role::Kind(kind) => kind.label(),
        }
    }

    /// The SOA record, owned by `apex` as the question spells it.
    pub fn soa(&self, apex: Name, serial: u32) -> Record {
        let (refresh, retry, expire) = SECONDARY_TIMES;
        let minimum = self.caps.negative_ttl;
        let (mname, rname) = (self.mname.clone(), self.rname.clone());
        let soa = SOA::new(mname, rname, serial, refresh, retry, expire, minimum);
        Record::from_rdata(apex, APEX_TTL, RData::SOA(soa))
    }

    /// The SOA record of a negative answer that holds for `ttl` seconds (RFC 2308 section 3).
    pub fn negative_soa(&self, apex: Name, serial: u32, ttl: u32) -> Record {
        let mut record = self.soa(apex, serial);
        record.ttl = APEX_TTL.min(self.caps.negative_ttl).min(ttl);
        record
    }

    /// The NS records.
    pub fn ns(&self, apex: &Name) -> Vec<Record> {
        let record =
            |host: &Name| Record::from_rdata(apex.clone(), APEX_TTL, RData::NS(NS(host.clone())));
        self.name_servers.iter().map(record).collect()
    }
}

impl Role {
    /// The addresses at `name`, owned by `owner`; `None` if the name does not exist in this origin.
    pub fn host(&self, name: &LowerName, owner: &Name) -> Option<Vec<Record>> {
        let Self::Origin { hosts, kinds } = self else {
            return None;
        };
        if let Some((_, addresses)) = hosts.iter().find(|(host, _)| host == name) {
            return Some(addresses.iter().map(|&ip| address(owner, ip)).collect());
        }
        let above = hosts.iter().map(|(host, _)| host).chain(kinds).any(|node| name.zone_of(node));
        above.then(Vec::new)
    }
}

fn address(owner: &Name, ip: IpAddr) -> Record {
    let data = match ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    };
    Record::from_rdata(owner.clone(), APEX_TTL, data)
}

fn zones_of(config: &ZoneConfig) -> Result<Vec<Zone>, ConfigError> {
    let read = |what, text: &str| {
        parse_name(text).ok_or_else(|| ConfigError::Name {
            what,
            origin: config.origin.clone(),
            text: text.to_owned(),
        })
    };
    let origin = read("origin", &config.origin)?;
    let default_rname = format!("hostmaster.{}", config.origin);
    let rname = read("rname", &mailbox(config.rname.as_deref().unwrap_or(&default_rname)))?;
    let mut name_servers = Vec::new();
    let mut hosts = Vec::new();
    for server in &config.name_servers {
        let name = read("name server", &server.name)?;
        if origin.zone_of(&name) {
            hosts.push((LowerName::new(&name), server.addresses.clone()));
        }
        name_servers.push(name);
    }
    let Some(mname) = name_servers.first().cloned() else {
        return Err(ConfigError::NoNameServer(config.origin.clone()));
    };
    let mut apexes = Vec::new();
    for &kind in &config.kinds {
        let apex = read("kind", &format!("{}.{}", kind.label(), config.origin))?;
        apexes.push((LowerName::new(&apex), kind));
    }
    let kinds = apexes.iter().map(|(apex, _)| apex.clone()).collect();
    let mut roles = vec![(LowerName::new(&origin), Role::Origin { hosts, kinds })];
    roles.extend(apexes.into_iter().map(|(apex, kind)| (apex, Role::Kind(kind))));
    let zone = |(apex, role): (LowerName, Role)| Zone {
        labels: apex.iter().count(),
        apex,
        role,
        caps: config.caps.clone(),
        name_servers: name_servers.clone(),
        mname: mname.clone(),
        rname: rname.clone(),
    };
    Ok(roles.into_iter().map(zone).collect())
}

/// An absolute name; `None` for what is none, and for the root, which is nobody's zone.
fn parse_name(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    (!name.is_root()).then_some(name)
}

/// `hostmaster@example.net` in the dotted form of RFC 1035 section 8.
fn mailbox(text: &str) -> String {
    match text.split_once('@') {
        Some((local, domain)) => format!("{}.{domain}", local.replace('.', "\\.")),
        None => text.to_owned(),
    }
}

fn check_hosts(zones: &[Zone], kind: &Zone) -> Result<(), ConfigError> {
    for zone in zones {
        let Role::Origin { hosts, .. } = &zone.role else {
            continue;
        };
        if let Some((host, _)) = hosts.iter().find(|(host, _)| kind.apex.zone_of(host)) {
            let (name, zone) = (host.to_string(), kind.apex.to_string());
            return Err(ConfigError::HostInside { name, zone });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NameServer;

    fn lower(text: &str) -> LowerName {
        LowerName::new(&parse_name(text).expect(text))
    }

    fn catalog() -> Catalog {
        let mut config = ZoneConfig::new("rep.example", "a.ns.rep.example");
        config.name_servers.push(NameServer { name: "ns.example.net".into(), addresses: vec![] });
        Catalog::new(&[config, ZoneConfig::new("z", "ns.example.net")]).expect("sound zones")
    }

    #[test]
    fn finds_the_nearest_zone() {
        let catalog = catalog();
        for (name, rtype, word, apex) in [
            ("rep.example", RecordType::A, "origin", "rep.example."),
            ("x.rep.example", RecordType::A, "origin", "rep.example."),
            ("bl.rep.example", RecordType::A, "bl", "bl.rep.example."),
            ("2.0.0.127.BL.Rep.example", RecordType::A, "bl", "bl.rep.example."),
            ("a.b.pair.rep.example", RecordType::TXT, "pair", "pair.rep.example."),
            ("xbl.rep.example", RecordType::A, "origin", "rep.example."),
            ("bl.z", RecordType::A, "bl", "bl.z."),
            ("bl.z", RecordType::DS, "origin", "z."),
            ("z", RecordType::DS, "origin", "z."),
        ] {
            let zone = catalog.find(&lower(name), rtype).expect(name);
            assert_eq!((zone.word(), zone.apex.to_string()), (word, apex.to_owned()), "{name}");
        }
        for name in ["example", "other.example", "xrep.example"] {
            assert!(catalog.find(&lower(name), RecordType::A).is_none(), "{name}");
        }
    }

    #[test]
    fn origins_hold_hosts_and_what_lies_above_them() {
        let catalog = catalog();
        for (name, exists) in [
            ("a.ns.rep.example", true),
            ("ns.rep.example", true),
            ("bl.rep.example", true),
            ("b.ns.rep.example", false),
            ("x.a.ns.rep.example", false),
            ("www.rep.example", false),
        ] {
            let name = lower(name);
            let zone = catalog.find(&lower("rep.example"), RecordType::A).expect("the origin");
            assert_eq!(zone.role.host(&name, &name).is_some(), exists, "{name}");
        }
    }

    #[test]
    fn refuses_unsound_zones() {
        let sound = || ZoneConfig::new("rep.example", "ns.rep.example");
        let name = |text: &str, what| ConfigError::Name {
            what,
            origin: if what == "origin" { text.to_owned() } else { "rep.example".to_owned() },
            text: text.to_owned(),
        };
        for (configs, error) in [
            (vec![sound(), sound()], ConfigError::Twice("bl.rep.example.".to_owned())),
            (vec![ZoneConfig { origin: "a..b".into(), ..sound() }], name("a..b", "origin")),
            (vec![ZoneConfig { origin: ".".into(), ..sound() }], name(".", "origin")),
            (vec![ZoneConfig { rname: Some("a b..c".into()), ..sound() }], name("a b..c", "rname")),
            (
                vec![ZoneConfig { name_servers: vec![], ..sound() }],
                ConfigError::NoNameServer("rep.example".to_owned()),
            ),
            (
                vec![ZoneConfig::new("rep.example", "ns.bl.rep.example")],
                ConfigError::HostInside {
                    name: "ns.bl.rep.example.".to_owned(),
                    zone: "bl.rep.example.".to_owned(),
                },
            ),
        ] {
            assert_eq!(Catalog::new(&configs).expect_err("unsound"), error);
        }
    }

    #[test]
    fn mailboxes_become_names() {
        let rname = Some("dns.admin@example.net".to_owned());
        let config = ZoneConfig { rname, ..ZoneConfig::new("rep.example", "ns.rep.example") };
        let catalog = Catalog::new(&[config]).expect("sound zones");
        let zone = catalog.find(&lower("rep.example"), RecordType::SOA).expect("the origin");
        let labels: Vec<_> = zone.rname.iter().map(<[u8]>::to_vec).collect();
        assert_eq!(labels, [b"dns.admin".to_vec(), b"example".to_vec(), b"net".to_vec()]);
    }
}

//! The zones we are authoritative for: apexes, SOA, NS, and what stands in an origin.
//!
//! In goes the configuration; out comes a table that finds the nearest enclosing zone of a name.
//! An origin is a zone (SOA, NS, the hosts of its own name servers), and so is each kind below it, and each list.
//! [`ConfigError`] names what is wrong in the configuration; looking up never fails.
//!
//! Rules: RFC 1034 section 4.3.2 (nearest enclosing zone), RFC 4035 section 3.1.4.1 (DS belongs to
//! the parent), RFC 8020 (what lies above a host or a zone exists).

use std::net::IpAddr;
use std::sync::Arc;

use helostat_zones::answer::Caps;
use helostat_zones::export;
use helostat_zones::key::{Form, Kind};
use helostat_zones::lists;
use hickory_proto::rr::rdata::{A, AAAA, NS, SOA};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};

use ipnet::IpNet;

use crate::config::{Retired, ZoneConfig};
use crate::fast::{self, Soa, Texts};
use crate::list::{List, name_of};

/// TTL of SOA and NS, in seconds: they change by hand only.
const APEX_TTL: u32 = 3600;
/// What secondaries are told: refresh, retry, expire, in seconds (RFC 1912 section 2.2, the quick
/// end).
const SECONDARY_TIMES: [u32; 3] = [3600, 600, 604_800];

/// For how many seconds it holds that a zone which has ended has no such name, and what it says of its end. RFC 6471
/// section 3.4 wants the end of a list to take its load away; RFC 2308 section 5 finds one to three hours good for
/// negative answers, and resolvers seldom keep them for longer (BIND's `max-ncache-ttl` is three hours).
const RETIRED_TTL: u32 = 3 * 3600;
/// The most that one string of a TXT record holds.
const TEXT_MAX: usize = 255;

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
    /// The system gave no secret for cookies.
    #[error("the system gave no random octets for DNS cookies: {0}")]
    Secret(String),
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
    texts: Arc<Texts>,
}

impl Catalog {
    /// From the configuration.
    pub fn new(configs: &[ZoneConfig], lists: &[Arc<List>]) -> Result<Self, ConfigError> {
        let mut zones = Vec::new();
        for config in configs {
            zones.extend(zones_of(config)?);
        }
        zones.extend(lists.iter().map(zone_of_list));
        zones.sort_by_key(|zone: &Zone| std::cmp::Reverse(zone.labels));
        let apexes: Vec<LowerName> = zones.iter().map(|zone| zone.apex.clone()).collect();
        for (number, zone) in zones.iter_mut().enumerate() {
            zone.number = number;
            let below = apexes.iter().filter(|apex| zone.apex.zone_of(apex) && zone.apex != **apex);
            zone.cuts = below.cloned().collect();
        }
        for (place, zone) in zones.iter().enumerate() {
            let before = zones.iter().take(place);
            if before.into_iter().any(|other| other.apex == zone.apex) {
                return Err(ConfigError::Twice(zone.apex.to_string()));
            }
            if !matches!(zone.role, Role::Origin { .. }) {
                check_hosts(&zones, zone)?;
            }
        }
        Ok(Self { zones, texts: Arc::new(Texts::new()) })
    }

    /// Ends these zones. What is said of a zone by its own name goes before what is said of its origin.
    #[must_use]
    pub fn without(mut self, retired: &[Retired]) -> Self {
        let ended: Vec<_> = retired
            .iter()
            .filter_map(|it| Some((LowerName::new(&parse_name(&it.zone)?), it.notice.as_str())))
            .collect();
        let notice = |apex: &LowerName| {
            let found = ended.iter().find(|(zone, _)| zone == apex);
            found.map(|(_, notice)| cut(notice, TEXT_MAX))
        };
        for zone in &mut self.zones {
            let of_origin = || match zone.role {
                Role::Kind(_) => notice(&LowerName::new(&zone.apex.base_name())),
                Role::Origin { .. } | Role::List(_) => None,
            };
            zone.ended = notice(&zone.apex).or_else(of_origin).map(Into::into);
        }
        self
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

    /// All zones.
    pub(crate) fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// The texts that its zones said of clients.
    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The zones as the short way needs them.
    pub(crate) fn fast(&self) -> fast::Zones {
        fast::Zones::new(self.zones.iter().map(|zone| {
            let role = match &zone.role {
                Role::List(list) if zone.is_plain() => {
                    fast::Role::List(Arc::clone(list), zone.allow.clone())
                }
                Role::Kind(kind) if zone.is_plain() && kind.form() == Form::Address => {
                    let clients = fast::Clients {
                        kind: *kind,
                        caps: zone.caps.clone(),
                        soa: zone.authority.on_the_wire(&zone.apex),
                        negative_ttl: zone.authority.negative_ttl(),
                        number: zone.number,
                        texts: Arc::clone(&self.texts),
                    };
                    fast::Role::Clients(clients, zone.allow.clone())
                }
                Role::Origin { .. } | Role::Kind(_) | Role::List(_) => fast::Role::Long,
            };
            (on_the_wire(&zone.apex), zone.labels, role)
        }))
    }
}

/// What a zone holds.
#[derive(Debug)]
pub enum Role {
    /// Hosts.
    Origin {
        /// Hosts with their addresses.
        hosts: Vec<(LowerName, Vec<IpAddr>)>,
    },
    /// Keys.
    Kind(Kind),
    /// The operator's own lists.
    List(Arc<List>),
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
    /// It answers as if it were empty.
    pub(crate) is_dry: bool,
    /// Its place among all zones.
    pub(crate) number: usize,
    /// Who may ask in it; empty for whoever may ask at all.
    pub(crate) allow: Vec<IpNet>,
    /// What it says of its end, once it has ended: then it is empty.
    pub(crate) ended: Option<Box<str>>,
    authority: Authority,
    /// The apexes of other zones below it, which exist here too (as delegations do).
    cuts: Vec<LowerName>,
}

impl Zone {
    /// With zones below it names exist that it does not know; a trial is counted the long way; and what has ended is
    /// asked ever more seldom.
    fn is_plain(&self) -> bool {
        self.cuts.is_empty() && !self.is_dry && self.ended.is_none()
    }

    /// True if `name` is an apex of another zone, or lies above one.
    pub(crate) fn leads_to_another(&self, name: &LowerName) -> bool {
        self.cuts.iter().any(|cut| name.zone_of(cut))
    }

    /// The word for it in metrics.
    pub fn word(&self) -> &'static str {
        match self.role {
            Role::Origin { .. } => "origin",
            Role::Kind(kind) => kind.label(),
            Role::List(_) => LIST,
        }
    }

    /// Its SOA and NS; those of a list may come with its content.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }
}

/// The word for lists in metrics.
pub(crate) const LIST: &str = "list";

/// What SOA and NS of a zone are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    mname: Name,
    rname: Name,
    name_servers: Vec<Name>,
    soa_ttl: u32,
    ns_ttl: u32,
    /// Refresh, retry, expire, minimum, in seconds.
    times: [u32; 4],
    /// `None` for that of the ledger.
    pub(crate) serial: Option<u32>,
}

impl Authority {
    pub(crate) fn new(
        mname: Name,
        rname: Name,
        name_servers: Vec<Name>,
        negative_ttl: u32,
    ) -> Self {
        let [refresh, retry, expire] = SECONDARY_TIMES;
        let times = [refresh, retry, expire, negative_ttl];
        let (soa_ttl, ns_ttl) = (APEX_TTL, APEX_TTL);
        Self { mname, rname, name_servers, soa_ttl, ns_ttl, times, serial: None }
    }

    /// That of the zone once it has ended: what it has not holds for [`RETIRED_TTL`].
    pub(crate) fn of_ended(&self) -> Self {
        let [refresh, retry, expire, _] = self.times;
        let times = [refresh, retry, expire, RETIRED_TTL];
        Self { soa_ttl: RETIRED_TTL, times, ..self.clone() }
    }

    /// Takes the `$SOA` of a file; `newest` stands for a serial of 0.
    pub(crate) fn set_soa(&mut self, soa: &lists::Soa, newest: u32) {
        (self.mname, self.rname) = (name_of(&soa.origin), name_of(&soa.person));
        self.soa_ttl = soa.ttl;
        self.times = [soa.refresh, soa.retry, soa.expire, soa.minimum];
        self.serial = Some(if soa.serial == 0 { newest } else { soa.serial });
    }

    /// Takes the `$NS` of a file.
    pub(crate) fn set_ns(&mut self, ns: &lists::Ns) {
        self.ns_ttl = ns.ttl;
        self.name_servers = ns.names.iter().map(name_of).collect();
    }

    /// What files tell of it: the SOA, the name servers, and for how many seconds their names hold.
    pub(crate) fn in_files(&self) -> (export::Soa, Vec<String>, u32) {
        let text = |name: &Name| name.to_ascii().trim_end_matches('.').to_owned();
        let (mname, rname) = (text(&self.mname), text(&self.rname));
        let soa = export::Soa { mname, rname, ttl: self.soa_ttl, times: self.times };
        (soa, self.name_servers.iter().map(text).collect(), self.ns_ttl)
    }

    /// The SOA record, owned by `apex` as the question spells it.
    pub(crate) fn soa(&self, apex: Name, ledger: u32) -> Record {
        let [refresh, retry, expire, minimum] = self.times;
        let seconds = |time: u32| i32::try_from(time).unwrap_or(i32::MAX);
        let soa = SOA::new(
            self.mname.clone(),
            self.rname.clone(),
            self.serial.unwrap_or(ledger),
            seconds(refresh),
            seconds(retry),
            seconds(expire),
            minimum,
        );
        Record::from_rdata(apex, self.soa_ttl, RData::SOA(soa))
    }

    /// For how many seconds a negative answer holds (RFC 2308 section 3).
    pub(crate) fn negative_ttl(&self) -> u32 {
        let [.., minimum] = self.times;
        self.soa_ttl.min(minimum)
    }

    /// The SOA record of a negative answer that holds for `ttl` seconds, and no longer than any of the zone.
    pub(crate) fn negative_soa(&self, apex: Name, ledger: u32, ttl: u32) -> Record {
        let mut record = self.soa(apex, ledger);
        record.ttl = self.negative_ttl().min(ttl);
        record
    }

    /// The NS records.
    pub(crate) fn ns(&self, apex: &Name) -> Vec<Record> {
        let record = |host: &Name| {
            Record::from_rdata(apex.clone(), self.ns_ttl, RData::NS(NS(host.clone())))
        };
        self.name_servers.iter().map(record).collect()
    }

    /// The SOA for the short way.
    pub(crate) fn on_the_wire(&self, apex: &Name) -> Soa {
        let [refresh, retry, expire, minimum] = self.times;
        let positive = |time: u32| time.min(i32::MAX as u32);
        Soa {
            apex: on_the_wire(apex).len(),
            mname: on_the_wire(&self.mname),
            rname: on_the_wire(&self.rname),
            numbers: [
                self.serial.unwrap_or_default(),
                positive(refresh),
                positive(retry),
                positive(expire),
                minimum,
            ],
        }
    }
}

/// A name's octets: its labels behind their lengths, and the root.
fn on_the_wire(name: &Name) -> Box<[u8]> {
    let mut octets = Vec::new();
    for label in name {
        octets.push(label.len() as u8);
        octets.extend_from_slice(label);
    }
    octets.push(0);
    octets.into()
}

impl Role {
    /// The addresses at `name`, owned by `owner`; `None` if the name does not exist in this origin.
    pub fn host(&self, name: &LowerName, owner: &Name) -> Option<Vec<Record>> {
        let Self::Origin { hosts } = self else {
            return None;
        };
        if let Some((_, addresses)) = hosts.iter().find(|(host, _)| host == name) {
            return Some(addresses.iter().map(|&ip| address(owner, ip)).collect());
        }
        hosts.iter().any(|(host, _)| name.zone_of(host)).then(Vec::new)
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
    let mut roles = vec![(LowerName::new(&origin), Role::Origin { hosts })];
    roles.extend(apexes.into_iter().map(|(apex, kind)| (apex, Role::Kind(kind))));
    let zone = |(apex, role): (LowerName, Role)| Zone {
        labels: apex.iter().count(),
        apex,
        is_dry: matches!(role, Role::Kind(kind) if config.dry_run.contains(&kind)),
        role,
        caps: config.caps.clone(),
        number: 0,
        allow: config.allow.clone(),
        authority: Authority::new(
            mname.clone(),
            rname.clone(),
            name_servers.clone(),
            config.caps.negative_ttl,
        ),
        ended: None,
        cuts: Vec::new(),
    };
    Ok(roles.into_iter().map(zone).collect())
}

fn zone_of_list(list: &Arc<List>) -> Zone {
    let apex = LowerName::new(list.apex());
    let held = list.held();
    Zone {
        labels: apex.iter().count(),
        apex,
        is_dry: false,
        role: Role::List(Arc::clone(list)),
        caps: Caps::default(),
        number: 0,
        allow: list.config().allow.clone(),
        authority: held.authority.clone(),
        ended: None,
        cuts: Vec::new(),
    }
}

/// The beginning of the text, of whole characters.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

/// An absolute name; `None` for what is none, and for the root, which is nobody's zone.
pub(crate) fn parse_name(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    (!name.is_root()).then_some(name)
}

/// `hostmaster@example.net` in the dotted form of RFC 1035 section 8.
pub(crate) fn mailbox(text: &str) -> String {
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
        Catalog::new(&[config, ZoneConfig::new("z", "ns.example.net")], &[]).expect("sound zones")
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
    fn origins_hold_hosts_and_zones_and_what_lies_above_them() {
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
            let found = zone.role.host(&name, &name).is_some() || zone.leads_to_another(&name);
            assert_eq!(found, exists, "{name}");
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
            assert_eq!(Catalog::new(&configs, &[]).expect_err("unsound"), error);
        }
    }

    #[test]
    fn mailboxes_become_names() {
        let rname = Some("dns.admin@example.net".to_owned());
        let config = ZoneConfig { rname, ..ZoneConfig::new("rep.example", "ns.rep.example") };
        let catalog = Catalog::new(&[config], &[]).expect("sound zones");
        let zone = catalog.find(&lower("rep.example"), RecordType::SOA).expect("the origin");
        let labels: Vec<_> = zone.authority.rname.iter().map(<[u8]>::to_vec).collect();
        assert_eq!(labels, [b"dns.admin".to_vec(), b"example".to_vec(), b"net".to_vec()]);
    }
}

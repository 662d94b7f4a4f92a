//! The probes of ISC's DNS compliance report (`genreport`), and what it wants to see.
//!
//! Each probe is a question about the apex of a zone, in one line of a table; the complaints are those that the report
//! has. The apexes are that of an origin, of a kind and of a list, and all is asked over UDP and over TCP, which is why
//! `tcp` and `ednstcp` have no line of their own. `signed` is read off the others, `icmp` is the kernel's, and `dnswkk` asks for a signature with a key
//! that everybody knows, which proves nothing: nobody gets one here.
//!
//! Rules: RFC 8906 section 8 (what must be answered at all), RFC 1035 section 4.1.1 (flags), RFC 6891 section 6.1.3
//! (versions of EDNS), RFC 3597 section 2 (types that nobody knows).

use std::sync::Arc;

use helostat_server::config::DnsConfig;
use helostat_server::list::{DatasetConfig, List, ListConfig};
use helostat_zones::lists::Format;
use helostat_zones::time::Time;
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

use crate::support::*;

/// Flags of a header, as they lie in its third and fourth octet.
const QR: u16 = 0x8000;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const RA: u16 = 0x0080;
const Z: u16 = 0x0040;
const AD: u16 = 0x0020;
const CD: u16 = 0x0010;
const OPCODE: u16 = 0x7800;
const RCODE: u16 = 0x000f;
const DO: u16 = 0x8000;

const NOERROR: u16 = 0;
const NOTIMP: u16 = 4;
const BADVERS: u16 = 16;
/// An opcode that nobody knows.
const OPCODE_15: u16 = 0x7800;
const DNSKEY: u16 = 48;

/// Options of EDNS, as they stand on the wire.
const UNKNOWN: &[u8] = &[0, 100, 0, 0];
const NSID: &[u8] = &[0, 3, 0, 0];
const EXPIRE: &[u8] = &[0, 9, 0, 0];
const SUBNET: &[u8] = &[0, 8, 0, 4, 0, 1, 0, 0];
const COOKIE: &[u8] = &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
/// Of no report, but of many resolvers.
const KEEPALIVE: &[u8] = &[0, 11, 0, 0];
const PADDING: &[u8] = &[0, 12, 0, 4, 0, 0, 0, 0];

/// What EDNS says in a probe.
#[derive(Clone, Copy)]
struct Edns {
    size: u16,
    version: u8,
    flags: u16,
    options: &'static [&'static [u8]],
}

/// A question about an apex.
struct Probe {
    name: &'static str,
    /// Opcode and flags.
    header: u16,
    rtype: u16,
    edns: Option<Edns>,
}

const fn plain(name: &'static str, header: u16, rtype: u16) -> Probe {
    Probe { name, header, rtype, edns: None }
}

const fn edns(
    name: &'static str,
    header: u16,
    version: u8,
    flags: u16,
    options: &'static [&'static [u8]],
) -> Probe {
    let edns = Edns { size: 4096, version, flags, options };
    Probe { name, header, rtype: SOA, edns: Some(edns) }
}

const PROBES: &[Probe] = &[
    plain("dns", 0, SOA),
    plain("aa", AA, SOA),
    plain("ad", AD, SOA),
    plain("cd", CD, SOA),
    plain("ra", RA, SOA),
    plain("rd", RD, SOA),
    plain("tc", TC, SOA),
    plain("zflag", Z, SOA),
    plain("opcode", OPCODE_15, 0),
    plain("opcodeflg", OPCODE_15 | AA | TC | RD | RA | Z | AD | CD, 0),
    plain("type666", 0, 666),
    edns("edns", 0, 0, 0, &[]),
    edns("edns1", 0, 1, 0, &[]),
    Probe {
        name: "edns@512",
        header: 0,
        rtype: DNSKEY,
        edns: Some(Edns { size: 512, version: 0, flags: DO, options: &[] }),
    },
    edns("ednsopt", 0, 0, 0, &[UNKNOWN]),
    edns("edns1opt", 0, 1, 0, &[UNKNOWN]),
    edns("do", 0, 0, DO, &[]),
    edns("docd", CD, 0, DO, &[]),
    edns("edns1do", 0, 1, DO, &[]),
    edns("ednsflags", 0, 0, 0x0080, &[]),
    edns("optlist", 0, 0, 0, &[NSID, SUBNET, EXPIRE, COOKIE]),
    edns("ednsnsid", 0, 0, 0, &[NSID]),
    edns("ednscookie", 0, 0, 0, &[COOKIE]),
    edns("ednsexpire", 0, 0, 0, &[EXPIRE]),
    edns("ednssubnet", 0, 0, 0, &[SUBNET]),
    edns("edns1nsid", 0, 1, 0, &[NSID]),
    edns("edns1cookie", 0, 1, 0, &[COOKIE]),
    edns("edns1expire", 0, 1, 0, &[EXPIRE]),
    edns("edns1subnet", 0, 1, 0, &[SUBNET]),
    edns("bind11", 0, 0, DO, &[COOKIE]),
    edns("dig11", RD | AD, 0, 0, &[COOKIE]),
    // Not the report's.
    edns("keepalive", 0, 0, 0, &[KEEPALIVE]),
    edns("padding", 0, 0, 0, &[PADDING]),
    edns("ednsflags, all", 0, 0, 0x7fff, &[]),
    edns("edns255", 0, 255, 0, &[]),
];

/// The types that the report asks for: all that had a meaning once, and one that has none.
const TYPES: &[(&str, u16)] = &[
    ("A", 1),
    ("NS", 2),
    ("MD", 3),
    ("MF", 4),
    ("CNAME", 5),
    ("SOA", 6),
    ("MB", 7),
    ("MG", 8),
    ("MR", 9),
    ("NULL", 10),
    ("WKS", 11),
    ("PTR", 12),
    ("HINFO", 13),
    ("MINFO", 14),
    ("MX", 15),
    ("TXT", 16),
    ("RP", 17),
    ("AFSDB", 18),
    ("X25", 19),
    ("ISDN", 20),
    ("RT", 21),
    ("NSAP", 22),
    ("NSAP-PTR", 23),
    ("SIG", 24),
    ("KEY", 25),
    ("PX", 26),
    ("GPOS", 27),
    ("AAAA", 28),
    ("LOC", 29),
    ("NXT", 30),
    ("SRV", 33),
    ("NAPTR", 35),
    ("KX", 36),
    ("CERT", 37),
    ("A6", 38),
    ("DNAME", 39),
    ("APL", 42),
    ("DS", 43),
    ("SSHFP", 44),
    ("IPSECKEY", 45),
    ("RRSIG", 46),
    ("NSEC", 47),
    ("DNSKEY", 48),
    ("DHCID", 49),
    ("NSEC3", 50),
    ("NSEC3PARAM", 51),
    ("TLSA", 52),
    ("SMIMEA", 53),
    ("HIP", 55),
    ("CDS", 59),
    ("CDNSKEY", 60),
    ("OPENPGPKEY", 61),
    ("SPF", 99),
    ("NID", 104),
    ("L32", 105),
    ("L64", 106),
    ("LP", 107),
    ("EUI48", 108),
    ("EUI64", 109),
    ("URI", 256),
    ("CAA", 257),
    ("AVC", 258),
    ("DOA", 259),
    ("DLV", 32_769),
    ("TYPE1000", 1000),
];

impl Probe {
    /// Its octets.
    fn packet(&self, apex: &str) -> Vec<u8> {
        let mut packet = query(apex, self.rtype);
        packet[2..4].copy_from_slice(&self.header.to_be_bytes());
        if self.header & OPCODE != 0 {
            // The header alone: what follows it means something else with each opcode.
            packet[5] = 0;
            packet.truncate(12);
        }
        match self.edns {
            None => packet,
            Some(Edns { size, version, flags, options }) => {
                with_opt(packet, size, version, flags, &options.concat())
            }
        }
    }

    /// What the report has against a response.
    fn complaints(&self, apex: &str, response: &[u8]) -> Vec<&'static str> {
        let message = Message::from_vec(response).expect("a sound answer");
        let header = u16::from_be_bytes([response[2], response[3]]);
        let is_query = self.header & OPCODE == 0;
        let version = self.edns.map_or(0, |edns| edns.version);
        let of_ours = message.edns.as_ref();
        let high = of_ours.map_or(0, |edns| u16::from(edns.rcode_high()));
        let code = (high << 4) | (header & RCODE);
        let expected = match (is_query, version) {
            (false, _) => NOTIMP,
            (true, 0) => NOERROR,
            (true, _) => BADVERS,
        };
        let asked_soa = is_query && self.rtype == SOA && version == 0;
        let asked = query(apex, self.rtype);
        let (sent, came): (&[u8], &[u8]) =
            if is_query { (&asked[12..], &response[12..]) } else { (&[], &response[12..]) };
        let records = message.answers.len() + message.authorities.len();
        let echoes = |flag: u16| header & flag != 0 && self.header & flag == 0;
        let dnssec = self.edns.is_some_and(|edns| edns.flags & DO != 0);
        let limit = self.edns.map_or(512, |edns| usize::from(edns.size));
        let option = |code| of_ours.and_then(|edns| edns.option(EdnsCode::from(code)));
        let cookie = match option(10) {
            Some(EdnsOption::Unknown(_, data)) => Some(data.as_slice()),
            _ => None,
        };
        let sent_cookie = self.edns.is_some_and(|edns| edns.options.contains(&COOKIE));
        let sound_cookie = |data: &[u8]| data.len() == 24 && data[..8] == COOKIE[4..];

        [
            (header & QR == 0, "no response"),
            (header & OPCODE != self.header & OPCODE, "another opcode"),
            (code != expected, "another code"),
            (!came.starts_with(sent), "another question"),
            (!is_query && response.len() != 12, "more than a header"),
            (code != NOERROR && records > 0, "records in a failure"),
            (asked_soa != has_soa(&message, apex), "SOA"),
            (of_ours.is_some() != self.edns.is_some(), "OPT"),
            (of_ours.is_some_and(|edns| edns.version() != 0), "version of EDNS"),
            (of_ours.is_some_and(|edns| edns.flags().z != 0), "flags of EDNS"),
            (of_ours.is_some_and(|edns| edns.flags().dnssec_ok != dnssec), "DO"),
            (option(100).is_some(), "unknown option came back"),
            (cookie.map(sound_cookie) != sent_cookie.then_some(true), "cookie"),
            ((header & AA != 0) != (code == NOERROR), "AA"),
            (header & TC != 0, "TC"),
            ((header & RD != 0) != (is_query && self.header & RD != 0), "RD"),
            (header & RA != 0, "RA"),
            (header & Z != 0, "Z"),
            (header & AD != 0, "AD"),
            (echoes(CD) || (!is_query && header & CD != 0), "CD"),
            (response.len() > limit, "too long"),
        ]
        .into_iter()
        .filter_map(|(is_wrong, complaint)| is_wrong.then_some(complaint))
        .collect()
    }
}

fn has_soa(message: &Message, apex: &str) -> bool {
    let [record] = message.answers.as_slice() else { return false };
    u16::from(record.record_type()) == SOA && record.name.to_ascii() == format!("{apex}.")
}

/// The apexes: an origin with its kinds, a list that is a zone of its own, and one below the origin.
const APEXES: [&str; 4] = ["z", "bl.z", "own.test", "own.lists.z"];

fn server(folder: &std::path::Path) -> Server {
    let file = folder.join("list");
    std::fs::write(&file, "127.0.0.2\n192.0.2.7\n").expect("a file");
    let list = |zone: &str| {
        let dataset = DatasetConfig { format: Format::Ip4Set, files: vec![file.clone()] };
        let config = ListConfig {
            allow: Vec::new(),
            zone: zone.to_owned(),
            datasets: vec![dataset],
            name_servers: vec!["ns.z".to_owned()],
            rname: "hostmaster.z".to_owned(),
            ttl: 2100,
            negative_ttl: 60,
            decides: None,
        };
        let list = List::new(config).expect("sound");
        assert!(list.refresh(Time(1_795_184_855)).iter().all(|report| report.result.is_ok()));
        Arc::new(list)
    };
    let lists = vec![list("own.test"), list("own.lists.z")];
    Server::start(&DnsConfig { lists, nsid: "here".to_owned(), ..config() })
}

/// Asks all of them everywhere, and says what there is to complain of.
fn complaints(probes: &[Probe]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let mut complaints = Vec::new();
    for apex in APEXES {
        for probe in probes {
            let packet = probe.packet(apex);
            for (over, response) in [("UDP", server.udp(&packet)), ("TCP", server.tcp(&packet))] {
                let found = match response {
                    Some(response) => probe.complaints(apex, &response),
                    None => vec!["no answer"],
                };
                let name = probe.name;
                complaints.extend(found.iter().map(|what| format!("{name} {apex} {over}: {what}")));
            }
        }
    }
    complaints
}

#[test]
fn the_compliance_report_has_nothing_to_say() {
    assert_eq!(complaints(PROBES), Vec::<String>::new());
}

#[test]
fn every_type_is_answered() {
    let probes: Vec<_> = TYPES.iter().map(|&(name, rtype)| plain(name, 0, rtype)).collect();
    assert_eq!(probes.len(), 65);
    assert_eq!(complaints(&probes), Vec::<String>::new());
}

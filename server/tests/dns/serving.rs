//! The vectors of `serving.tv`, over UDP and TCP.
//!
//! Lines are `? NAME TYPE => NOERROR value|text|soa`, `=> NODATA` or `=> NXDOMAIN`, about one zone
//! `z.` that lists addresses and names alike. Ours are two: keys of addresses are asked in `bl.z.`,
//! keys of names in `ehlo.z.`, the apex in both. Everything is compared exactly but for the value
//! of two keys:
//!
//! - 192.0.2.7 is in the sublists of bits 2 and 4, which the vector's list publishes as one bit
//!   mask, 127.0.0.6. RFC 5782 section 2.3 allows several A records instead, and `bl` does that:
//!   127.0.0.2 and 127.0.0.4. So all last octets together, as bits, are compared.
//! - `mail.example.com` the same in `ehlo`, whose values (that of `TEST` too) are 127.0.1.x: one
//!   meaning per third octet.
//!
//! `HELOSTAT_VECTORS` names another folder of vectors.

use std::path::PathBuf;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

use crate::support::{Server, addresses, config, query};

/// The vectors of the folder that is named, or, where it has none of this kind, the project's own.
fn vectors() -> String {
    let ours = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors"));
    let named = std::env::var_os("HELOSTAT_VECTORS").map(PathBuf::from);
    let folder = named.filter(|folder| folder.join("serving.tv").exists()).unwrap_or(ours);
    let path = folder.join("serving.tv");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The zones of ours in which the key is asked, and the third octet of their values.
fn zones_of(key: &str) -> Vec<(&'static str, u8)> {
    match key.rsplit('.').next().unwrap_or_default() {
        "" => vec![("bl", 0), ("ehlo", 1)],
        last if last.len() == 1 || last.parse::<u16>().is_ok() => vec![("bl", 0)],
        _ => vec![("ehlo", 1)],
    }
}

fn type_code(rtype: &str) -> u16 {
    let rtype: RecordType = rtype.parse().expect(rtype);
    u16::from(rtype)
}

#[test]
fn vectors_hold_over_udp_and_tcp() {
    let server = Server::start(&config());
    let mut cases = 0;
    for line in vectors().lines() {
        let Some(case) = line.strip_prefix("? ") else {
            assert!(line.starts_with(['#', '!']) || line.is_empty(), "unknown line: {line}");
            continue;
        };
        let (question, expected) = case.split_once(" => ").expect(line);
        let (name, rtype) = question.split_once(' ').expect(line);
        let key = name.strip_suffix("z.").expect(line).trim_end_matches('.');
        for (zone, third) in zones_of(key) {
            let asked = format!("{key}.{zone}.z.");
            let message = server.ask(&query(&asked, type_code(rtype)));
            check(&message, expected, (zone, third), &format!("{line} (asked: {asked})"));
            cases += 1;
        }
    }
    assert_eq!(cases, 19, "every line of the file, the apex's twice");
}

fn check(message: &Message, expected: &str, (zone, third): (&str, u8), line: &str) {
    let (code, data) = expected.split_once(' ').unwrap_or((expected, ""));
    let rcode = if code == "NXDOMAIN" { ResponseCode::NXDomain } else { ResponseCode::NoError };
    assert_eq!(message.metadata.response_code, rcode, "{line}");
    assert!(message.metadata.authoritative, "{line}");
    let records = &message.answers;
    match (code, data) {
        ("NODATA" | "NXDOMAIN", "") => {
            assert!(records.is_empty(), "{line}: {records:?}");
            check_soa(message, zone, line);
        }
        ("NOERROR", "soa") => {
            assert_eq!(records.len(), 1, "{line}");
            assert_eq!(records[0].record_type(), RecordType::SOA, "{line}");
        }
        ("NOERROR", "text") => {
            let [record] = records.as_slice() else { panic!("{line}: {records:?}") };
            let RData::TXT(text) = &record.data else { panic!("{line}: {record}") };
            assert_eq!(text.txt_data.len(), 1, "{line}: one string");
        }
        ("NOERROR", value) => {
            let value: std::net::Ipv4Addr = value.parse().expect(line);
            let mut bits = 0;
            for found in addresses(message) {
                let found: std::net::Ipv4Addr = found.parse().expect("an address");
                assert_eq!(found.octets()[..3], [127, 0, third], "{line}: {found}");
                bits |= found.octets()[3];
            }
            assert_eq!(bits, value.octets()[3], "{line}: {:?}", addresses(message));
        }
        _ => panic!("unknown expectation: {line}"),
    }
}

fn check_soa(message: &Message, zone: &str, line: &str) {
    let [record] = message.authorities.as_slice() else {
        panic!("{line}: one SOA, not {:?}", message.authorities)
    };
    let RData::SOA(soa) = &record.data else { panic!("{line}: {record}") };
    assert_eq!(record.name.to_ascii(), format!("{zone}.z."), "{line}");
    assert!(record.ttl <= soa.minimum, "{line}: {record}");
    assert!((1..=300).contains(&soa.minimum), "{line}: {record}");
}

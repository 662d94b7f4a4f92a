//! The duties of an authoritative server, one table per duty.

use helostat_server::ask::{Transport, ask};
use helostat_server::config::{DnsConfig, Limits, Retired, ZoneConfig};
use hickory_proto::op::ResponseCode::{BADVERS, FormErr, NXDomain, NoError, NotImp, Refused};
use hickory_proto::rr::{RData, RecordType};

use crate::support::*;

#[test]
fn zones_answer_their_values() {
    let server = Server::start(&config());
    for (name, rtype, values) in [
        ("7.2.0.192.bl.z", A, vec!["127.0.0.2", "127.0.0.4"]),
        ("7.2.0.192.BL.Z", ANY, vec!["127.0.0.2", "127.0.0.4"]),
        ("9.2.0.192.wl.z", A, vec!["127.0.4.2"]),
        ("9.2.0.192.score.z", A, vec!["127.0.4.93"]),
        ("7.2.0.192.score.z", A, vec!["127.0.4.3"]),
        ("mail.example.com.ehlo.z", A, vec!["127.0.1.2", "127.0.1.4"]),
        ("mail.example.com.9.2.0.192.pair.z", A, vec!["127.0.2.3"]),
        ("test.2.0.0.127.pair.z", A, vec!["127.0.2.2"]),
        ("2.0.0.127.wl.z", A, vec!["127.0.4.1"]),
        ("2.0.0.127.score.z", A, vec!["127.0.4.50"]),
        ("11.0.0.127.bl.z", A, vec!["127.0.0.11"]),
        ("ns.z", A, vec!["192.0.2.53"]),
        ("ns.z", AAAA, vec!["2001:db8::53"]),
    ] {
        let message = server.ask(&query(name, rtype));
        assert_eq!(addresses(&message), values, "{name} {rtype}");
        assert!(message.metadata.authoritative, "{name} {rtype}");
        assert!(!message.metadata.recursion_available, "{name} {rtype}");
        assert!(message.authorities.is_empty(), "{name} {rtype}");
    }
}

#[test]
fn recommendations_are_text() {
    let server = Server::start(&config());
    for (name, rtype) in [("mail.example.com.dna.z", TXT), ("TEST.dna.z", TXT), ("test.dna.z", ANY)]
    {
        let message = server.ask(&query(name, rtype));
        let [record] = message.answers.as_slice() else { panic!("{name}: {message}") };
        let RData::TXT(text) = &record.data else { panic!("{name}: {message}") };
        assert!(text.to_string().starts_with("MARID,1,"), "{name}: {text}");
    }
}

#[test]
fn negative_answers_name_the_nearest_zone() {
    let server = Server::start(&config());
    for (name, rtype, code, apex) in [
        ("8.2.0.192.bl.z", A, NXDomain, "bl.z."),
        ("7.2.0.192.bl.z", AAAA, NoError, "bl.z."),
        ("7.2.0.192.bl.z", 15, NoError, "bl.z."),
        ("7.2.0.192.bl.z", 666, NoError, "bl.z."),
        ("2.0.192.bl.z", NS, NoError, "bl.z."),
        ("1.0.0.2.bl.z", A, NoError, "bl.z."),
        ("0.1.0.0.2.bl.z", A, NoError, "bl.z."),
        ("1.7.2.0.192.bl.z", A, NXDomain, "bl.z."),
        ("random.bl.z", A, NXDomain, "bl.z."),
        ("random.wl.z", A, NXDomain, "wl.z."),
        ("1.0.0.127.wl.z", A, NXDomain, "wl.z."),
        ("1.0.0.127.score.z", A, NXDomain, "score.z."),
        ("random.ehlo.z", A, NXDomain, "ehlo.z."),
        ("com.ehlo.z", A, NoError, "ehlo.z."),
        ("7.2.0.192.ehlo.z", A, NXDomain, "ehlo.z."),
        // Recommendations are text, so that no filter takes them for a list.
        ("mail.example.com.dna.z", A, NoError, "dna.z."),
        ("test.dna.z", A, NoError, "dna.z."),
        ("random.dna.z", TXT, NXDomain, "dna.z."),
        ("random.pair.z", A, NXDomain, "pair.z."),
        ("9.2.0.192.pair.z", A, NoError, "pair.z."),
        ("com.9.2.0.192.pair.z", A, NoError, "pair.z."),
        ("invalid.1.0.0.127.pair.z", A, NXDomain, "pair.z."),
        // Nothing is known of the client, but the name may be known from elsewhere.
        ("com.8.2.0.192.pair.z", A, NoError, "pair.z."),
        ("org.8.2.0.192.pair.z", A, NXDomain, "pair.z."),
        ("bl.z", A, NoError, "bl.z."),
        ("bl.z", DS, NoError, "z."),
        ("z", DS, NoError, "z."),
        ("z", A, NoError, "z."),
        ("ns.z", TXT, NoError, "z."),
        ("www.z", A, NXDomain, "z."),
        ("x.ns.z", A, NXDomain, "z."),
    ] {
        let message = server.ask(&query(name, rtype));
        assert_eq!(message.metadata.response_code, code, "{name} {rtype}");
        assert!(message.answers.is_empty(), "{name} {rtype}");
        assert!(message.metadata.authoritative, "{name} {rtype}");
        let [soa] = message.authorities.as_slice() else {
            panic!("{name} {rtype}: {:?}", message.authorities)
        };
        assert_eq!(soa.record_type(), RecordType::SOA, "{name} {rtype}");
        assert_eq!((soa.name.to_ascii().as_str(), soa.ttl), (apex, 60), "{name} {rtype}");
    }
}

#[test]
fn what_leads_to_another_zone_exists() {
    let mut config = config();
    config.zones.push(ZoneConfig::new("two.one.z", "ns.z"));
    config.zones.push(ZoneConfig::new("two.one.bl.z", "ns.z"));
    let server = Server::start(&config);
    for (name, rtype, code, apex) in [
        ("one.z", A, NoError, "z."),
        ("two.one.z", DS, NoError, "z."),
        ("two.one.z", A, NoError, "two.one.z."),
        ("x.one.z", A, NXDomain, "z."),
        ("one.bl.z", A, NoError, "bl.z."),
        ("two.one.bl.z", DS, NoError, "bl.z."),
        ("bl.two.one.bl.z", DS, NoError, "two.one.bl.z."),
        ("x.one.bl.z", A, NXDomain, "bl.z."),
    ] {
        let message = server.ask(&query(name, rtype));
        assert_eq!(message.metadata.response_code, code, "{name} {rtype}");
        let [soa] = message.authorities.as_slice() else { panic!("{name} {rtype}: {message}") };
        assert_eq!(soa.name.to_ascii(), apex, "{name} {rtype}");
    }
}

#[test]
fn apexes_have_soa_and_ns() {
    let server = Server::start(&config());
    for apex in ["z", "bl.z", "wl.z", "score.z", "ehlo.z", "pair.z", "dna.z"] {
        for rtype in [SOA, ANY] {
            let message = server.ask(&query(apex, rtype));
            let [record] = message.answers.as_slice() else { panic!("{apex} {rtype}") };
            let RData::SOA(soa) = &record.data else { panic!("{apex}: {record}") };
            assert_eq!(soa.mname.to_ascii(), "ns.z.", "{apex}");
            assert_eq!(soa.rname.to_ascii(), "hostmaster.z.", "{apex}");
            assert_eq!((soa.serial, soa.minimum), (2_026_112_001, 60), "{apex}");
        }
        let message = server.ask(&query(apex, NS));
        let data = |record: &hickory_proto::rr::Record| record.data.to_string();
        let hosts: Vec<_> = message.answers.iter().map(data).collect();
        assert_eq!(hosts, ["ns.z.", "ns.example.net."], "{apex}");
    }
}

#[test]
fn a_zone_that_has_ended_lists_nobody_and_says_so() {
    let mut config = config();
    config.zones.push(ZoneConfig::new("other", "ns.z"));
    let notice =
        |zone: &str, text: &str| Retired { zone: zone.to_owned(), notice: text.to_owned() };
    let (long, cut) = ("ü".repeat(200), "ü".repeat(127));
    config.retired = vec![
        notice("BL.z.", "bl has ended"),
        notice("other", &long),
        notice("wl.other", "wl has ended"),
        notice("nobody.serves.this", "-"),
        notice("a..b", "-"),
    ];
    let server = Server::start(&config);
    let ask = |name: &str, rtype| server.ask(&query(name, rtype));
    // Not even the test points: by them it is known whether a list works.
    for (name, rtype, code, apex) in [
        ("7.2.0.192.bl.z", A, NXDomain, "bl.z."),
        ("7.2.0.192.bl.z", TXT, NXDomain, "bl.z."),
        ("2.0.0.127.bl.z", A, NXDomain, "bl.z."),
        ("1.0.0.127.bl.z", A, NXDomain, "bl.z."),
        ("127.bl.z", A, NXDomain, "bl.z."),
        ("x.bl.z", ANY, NXDomain, "bl.z."),
        ("bl.z", A, NoError, "bl.z."),
        ("bl.z", DS, NoError, "z."),
        ("9.2.0.192.wl.other", A, NXDomain, "wl.other."),
        ("2.0.0.127.score.other", A, NXDomain, "score.other."),
        ("mail.example.com.ehlo.other", A, NXDomain, "ehlo.other."),
        ("test.2.0.0.127.pair.other", A, NXDomain, "pair.other."),
        ("www.other", A, NXDomain, "other."),
        ("other", A, NoError, "other."),
    ] {
        let message = ask(name, rtype);
        assert_eq!(message.metadata.response_code, code, "{name} {rtype}");
        assert!(message.answers.is_empty() && message.metadata.authoritative, "{name} {rtype}");
        let [soa] = message.authorities.as_slice() else { panic!("{name} {rtype}: {message}") };
        assert_eq!(soa.name.to_ascii(), apex, "{name} {rtype}");
        let of_ended = if apex == "z." { 60 } else { 3 * 3600 };
        assert_eq!(soa.ttl, of_ended, "{name} {rtype}");
    }
    for (apex, text) in [
        ("bl.z", "bl has ended"),
        ("other", cut.as_str()),
        ("ehlo.other", cut.as_str()),
        ("wl.other", "wl has ended"),
    ] {
        let message = ask(apex, TXT);
        let [record] = message.answers.as_slice() else { panic!("{apex}: {message}") };
        let RData::TXT(found) = &record.data else { panic!("{apex}: {message}") };
        assert_eq!(*found.txt_data, [text.as_bytes().into()], "{apex}");
        assert_eq!(ask(apex, SOA).answers.len(), 1, "{apex}");
        assert!(!ask(apex, NS).answers.is_empty(), "{apex}");
        assert_eq!(ask(&format!("whoami.{apex}"), TXT).answers.len(), 1, "{apex}");
        assert_eq!(ask(&format!("_status.{apex}"), TXT).answers.len(), 1, "{apex}");
    }
    // All others go on, the origin of a kind that has ended too.
    assert_eq!(addresses(&ask("9.2.0.192.wl.z", A)), ["127.0.4.2"]);
    assert_eq!(addresses(&ask("2.0.0.127.score.z", A)), ["127.0.4.50"]);
    assert!(ask("z", TXT).answers.is_empty());

    // Without the addresses of its name servers nobody could ask for the notice.
    config.retired = vec![notice("z", "z has ended")];
    let server = Server::start(&config);
    assert_eq!(addresses(&server.ask(&query("ns.z", A))), ["192.0.2.53"]);
    assert_eq!(addresses(&server.ask(&query("2.0.0.127.bl.z", A))), [""; 0]);
    let message = server.ask(&query("www.z", A));
    assert_eq!(message.authorities.first().map(|soa| soa.ttl), Some(3 * 3600));
}

#[test]
fn failures_say_what_failed() {
    let server = Server::start(&config());
    let plain = || query("7.2.0.192.bl.z", A);
    let patched = |place: usize, value: u8| {
        let mut packet = plain();
        packet[place] = value;
        packet
    };
    let class = |code: u8| patched(plain().len() - 1, code);
    let mut pointed = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    pointed.extend([0xc0, 4, 0, 1, 0, 1]);
    let two_opts = with_opt(with_opt(plain(), 1232, 0, 0, &[]), 1232, 0, 0, &[]);
    for (what, packet, code) in [
        ("opcode 1", patched(2, 0x08), NotImp),
        (
            "opcode 1, broken",
            {
                let mut p = patched(2, 0x08);
                p.truncate(20);
                p
            },
            NotImp,
        ),
        ("opcode 4, notify", patched(2, 0x20), NotImp),
        ("opcode 5, update", patched(2, 0x28), NotImp),
        ("opcode 5 with AA, TC and RD", patched(2, 0x2f), NotImp),
        ("no question", patched(5, 0), FormErr),
        ("two questions", patched(5, 2), FormErr),
        (
            "65,535 questions",
            {
                let mut p = patched(5, 255);
                p[4] = 255;
                p
            },
            FormErr,
        ),
        ("a question cut short", plain()[..20].to_vec(), FormErr),
        ("a header alone", plain()[..12].to_vec(), FormErr),
        ("records that are not there", patched(11, 1), FormErr),
        ("a name that points into the header", pointed, FormErr),
        ("two OPT records", two_opts, FormErr),
        ("EDNS version 1", with_opt(plain(), 1232, 1, 0, &[]), BADVERS),
        ("class CH", class(3), Refused),
        ("class ANY", class(255), Refused),
        ("AXFR", query("bl.z", AXFR), Refused),
        ("IXFR", query("bl.z", IXFR), Refused),
        ("MAILB", query("bl.z", 253), NotImp),
        ("TKEY", query("bl.z", 249), NotImp),
        ("OPT as a type", query("bl.z", 41), FormErr),
        ("NXNAME", query("bl.z", 128), FormErr),
        ("another's zone", query("x.other", A), Refused),
        ("the root", query(".", NS), Refused),
    ] {
        let message = server.ask(&packet);
        // As numbers: 16 is BADVERS and BADSIG both, and the parser calls it by the other name.
        assert_eq!(u16::from(message.metadata.response_code), u16::from(code), "{what}");
        assert_eq!(message.metadata.id, 0x1234, "{what}");
        assert_eq!(u8::from(message.metadata.op_code), packet[2] >> 3, "{what}");
        assert!(message.answers.is_empty() && message.authorities.is_empty(), "{what}");
        assert!(!message.metadata.authoritative, "{what}");
        assert!(!message.metadata.recursion_desired, "{what}");
    }
    for (what, packet) in [
        ("a response", patched(2, 0x80)),
        ("eleven octets", plain()[..11].to_vec()),
        ("nothing", Vec::new()),
    ] {
        let answer = server.udp_within(&packet, std::time::Duration::from_millis(100));
        assert_eq!(answer, None, "{what}");
    }
    assert!(server.udp(&plain()).is_some(), "still there");
    let dropped = |why| server.count("helostat_dns_dropped_total", &[("why", why)]);
    assert_eq!((dropped("response"), dropped("short")), (1.0, 2.0));
}

#[test]
fn opt_comes_back_with_ours_alone() {
    let server = Server::start(&config());
    // Unknown option 100, a client cookie, NSID, padding.
    let options =
        [0, 100, 0, 1, 7, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 0, 0, 0, 12, 0, 1, 0];
    for (what, size, flags, options) in [
        ("plain", 1232, 0, &[][..]),
        ("size 0", 0, 0, &[]),
        ("size 65535", 65_535, 0, &[]),
        ("DO", 4096, 0x8000, &[]),
        ("reserved flags", 1232, 0x7fff, &[]),
        ("options", 1232, 0, &options),
    ] {
        for name in ["7.2.0.192.bl.z", "8.2.0.192.bl.z", "x.other"] {
            let message = server.ask(&with_opt(query(name, A), size, 0, flags, options));
            let edns = message.edns.as_ref().unwrap_or_else(|| panic!("{what} {name}: no OPT"));
            assert_eq!((edns.max_payload(), edns.version()), (1232, 0), "{what} {name}");
            assert_eq!(edns.flags().dnssec_ok, flags & 0x8000 != 0, "{what} {name}");
            assert_eq!(edns.flags().z, 0, "{what} {name}");
            let errors = if name == "x.other" { vec![20] } else { vec![] };
            assert_eq!(extended_errors(&message), errors, "{what} {name}");
        }
        assert!(server.ask(&query("7.2.0.192.bl.z", A)).edns.is_none(), "{what}");
    }
    let mut notify = with_opt(query("bl.z", SOA), 1232, 0, 0, &[]);
    notify[2] = 0x20;
    let message = server.ask(&notify);
    assert_eq!(message.metadata.response_code, NotImp);
    assert!(message.edns.is_some(), "other opcodes get their OPT back too");
    let message = server.ask(&with_opt(query("bl.z", A), 1232, 9, 0, &[]));
    assert_eq!(u16::from(message.metadata.response_code), u16::from(BADVERS));
    assert_eq!(message.edns.map(|edns| edns.version()), Some(0), "the version we speak");
}

#[test]
fn the_question_comes_back_octet_by_octet() {
    let server = Server::start(&config());
    for name in [
        "7.2.0.192.bL.Z",
        "8.2.0.192.Bl.z",
        "MaIl.ExAmPlE.cOm.eHlO.z",
        "MaIl.ExAmPlE.cOm.9.2.0.192.PaIr.Z",
        "BL.Z",
        "x.OtHeR",
    ] {
        let packet = with_opt(query(name, TXT), 1232, 0, 0, &[]);
        let question = question(name, TXT);
        for response in [server.udp(&packet), server.tcp(&packet)] {
            let response = response.expect(name);
            assert_eq!(response.get(12..12 + question.len()), Some(&question[..]), "{name}");
        }
        let message = server.ask(&packet);
        for record in &message.answers {
            assert_eq!(record.name.to_ascii(), format!("{name}."), "the owner");
        }
        for record in &message.authorities {
            assert!(format!("{name}.").ends_with(&record.name.to_ascii()), "{name}: {record}");
        }
    }
}

#[test]
fn what_does_not_fit_is_cut_and_comes_over_tcp() {
    let server = Server::start(&config());
    let (a, b, c) = ("a".repeat(63), "b".repeat(60), "c".repeat(35));
    let long = format!("{a}.{a}.{b}.{c}.example.com.9.2.0.192.pair.z");
    let plain = query(&long, TXT);
    for (what, packet, opt) in [
        ("no OPT", plain.clone(), false),
        ("a small OPT", with_opt(plain.clone(), 512, 0, 0, &[]), true),
    ] {
        let udp = server.udp(&packet).expect(what);
        assert!(udp.len() <= 512, "{what}: {} octets", udp.len());
        let message = hickory_proto::op::Message::from_vec(&udp).expect("a sound answer");
        assert!(message.metadata.truncation && message.metadata.authoritative, "{what}");
        assert!(message.answers.is_empty(), "{what}");
        assert_eq!(message.edns.is_some(), opt, "{what}");
        assert_eq!(message.queries.len(), 1, "{what}");
        let tcp = server.tcp(&packet).expect(what);
        let message = hickory_proto::op::Message::from_vec(&tcp).expect("a sound answer");
        assert_eq!((message.metadata.truncation, message.answers.len()), (false, 1), "{what}");
    }
    let whole = server.ask(&with_opt(plain, 1232, 0, 0, &[]));
    assert_eq!((whole.metadata.truncation, whole.answers.len()), (false, 1));
}

#[test]
fn askers_are_told_apart() {
    let loopback = || vec!["127.0.0.0/8".parse().expect("a prefix")];
    let asked = |config: &DnsConfig| {
        let server = Server::start(config);
        let packet = with_opt(query("trusted-only.example.com.ehlo.z", A), 1232, 0, 0, &[]);
        let message = server.ask(&packet);
        let refused = [("result", "refused")];
        let count = server.count("helostat_dns_questions_total", &refused);
        (message.metadata.response_code, extended_errors(&message), count)
    };
    for (what, allow, trusted, code, errors, count) in [
        ("trusted", vec![], loopback(), NoError, vec![], 0.0),
        ("allowed", loopback(), vec![], NXDomain, vec![], 0.0),
        ("neither", vec![], vec![], Refused, vec![18], 2.0),
    ] {
        let found = asked(&DnsConfig { allow, trusted, ..config() });
        assert_eq!(found, (code, errors, count), "{what}");
    }
}

#[test]
fn a_network_gets_so_many_answers_and_who_is_known_all() {
    let limits = Limits { answers_per_network: 3, slip: 2, ..Limits::default() };
    let server = Server::start(&DnsConfig { trusted: vec![], limits, ..config() });
    let socket = server.udp_socket();
    // The clock of the test's judge stands still, so all of it is one second.
    for _ in 0..9 {
        let packet = with_opt(query("7.2.0.192.bl.z", A), 1232, 0, 0, &[]);
        socket.send(&packet).expect("sent");
    }
    let mut whole = 0;
    for number in 0..6 {
        let response = receive(&socket).expect("an answer");
        let message = hickory_proto::op::Message::from_vec(&response).expect("a sound answer");
        assert_eq!(message.metadata.truncation, message.answers.is_empty(), "{number}");
        assert!(message.edns.is_some() && message.queries.len() == 1, "{number}");
        whole += usize::from(!message.answers.is_empty());
    }
    assert_eq!(whole, 3, "the first three");
    let dropped = |why| server.count("helostat_dns_dropped_total", &[("why", why)]);
    assert_eq!((dropped("pace"), dropped("pace-cut")), (3.0, 3.0));

    // Over TCP there is no limit, and the cookie that comes with it lifts it.
    let offered = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let plain = query("7.2.0.192.bl.z", A);
    let response = server.tcp(&with_opt(plain.clone(), 1232, 0, 0, &offered)).expect("an answer");
    let (_, cookie) = response.split_last_chunk::<28>().expect("a cookie at the end");
    assert_eq!(cookie[..4], [0, 10, 0, 24]);
    for _ in 0..4 {
        let message = server.ask(&with_opt(plain.clone(), 1232, 0, 0, cookie));
        assert_eq!(message.answers.len(), 2);
    }
}

#[test]
fn questions_are_counted_by_zone_type_and_result() {
    let server = Server::start(&config());
    for (name, rtype, zone, word, result) in [
        ("7.2.0.192.bl.z", A, "bl", "A", "data"),
        ("7.2.0.192.bl.z", AAAA, "bl", "AAAA", "nodata"),
        ("random.ehlo.z", TXT, "ehlo", "TXT", "nxdomain"),
        ("z", SOA, "origin", "SOA", "data"),
        ("x.other", 666, "none", "other", "refused"),
    ] {
        let labels = [("zone", zone), ("type", word), ("result", result)];
        assert_eq!(server.count("helostat_dns_questions_total", &labels), 0.0, "{name}");
        server.udp(&query(name, rtype)).expect(name);
        assert_eq!(server.count("helostat_dns_questions_total", &labels), 1.0, "{name}");
    }
}

#[test]
fn the_client_reads_our_answers() {
    let server = Server::start(&config());
    let asked = |name: &str, rtype: &str| {
        server.runtime.block_on(ask(server.address, name, rtype, SOON)).expect(name)
    };
    let reply = asked("7.2.0.192.bl.z", "a");
    assert_eq!((reply.rcode.as_str(), reply.aa, reply.over), ("NOERROR", true, Transport::Udp));
    let data: Vec<_> = reply.answers.iter().map(|record| record.data.as_str()).collect();
    assert_eq!(data, ["127.0.0.2", "127.0.0.4"]);
    let reply = asked("7.2.0.192.bl.z", "TXT");
    let [record] = reply.answers.as_slice() else { panic!("{reply}") };
    assert!(record.data.starts_with("\"helostat: listed many-families score=3 until="), "{record}");
    assert!(record.data.ends_with("... https://z.example/i/192.0.2.7\""), "{record}");
    let reply = asked("8.2.0.192.bl.z", "A");
    assert_eq!((reply.rcode.as_str(), reply.authority.len()), ("NXDOMAIN", 1));
    let reply = asked("x.other", "A");
    assert_eq!(reply.rcode, "REFUSED");
    assert_eq!(reply.errors.first().map(|error| error.code), Some(20));
}

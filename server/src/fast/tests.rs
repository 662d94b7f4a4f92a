//! The law of the short way: the octets are those of the long one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use helostat_zones::answer::Codes;
use helostat_zones::lists::Format;
use helostat_zones::name::Name;
use helostat_zones::time::Time;
use helostat_zones::verdict::{ClientVerdict, ListCode, NameVerdict, PairVerdict, Trust};
use hickory_server::net::xfer::Protocol;
use prometheus::Registry;
use proptest::prelude::*;

use super::*;
use crate::config::{DnsConfig, ZoneConfig};
use crate::handler::Handler;
use crate::judge::{Asker, Judge};
use crate::list::{DatasetConfig, ListConfig};
use crate::metrics::Metrics;

const NOW: Time = Time(1_795_184_855);

/// Knows something else of every address; of every other one what it said of it before, unless it forgot; the next but
/// one it has to look up.
#[derive(Default)]
struct Judging {
    forgot: AtomicBool,
}

fn verdict(ip: IpAddr) -> ClientVerdict {
    let IpAddr::V4(ip) = ip else { return ClientVerdict::unknown(NOW) };
    let [.., network, host] = ip.octets();
    let all = [ListCode::ManyFamilies, ListCode::Junk, ListCode::Denied, ListCode::Crowded];
    ClientVerdict {
        listings: all.into_iter().take(usize::from(host % 6)).collect(),
        trust: (host % 5 == 0).then_some(Trust { category: 4, level: host % 4 }),
        score: (host % 3 != 0).then_some(host),
        reporters: u32::from(host % 3),
        ..ClientVerdict::unknown(Time(NOW.0 + u32::from(network) * 10 + u32::from(host)))
    }
}

impl Judge for Judging {
    async fn client(&self, ip: IpAddr, _: Asker) -> ClientVerdict {
        verdict(ip)
    }

    fn standing(&self, ip: Ipv4Addr, _: Time) -> Option<(Codes, Time)> {
        let says = ip.octets()[3].is_multiple_of(2) && !self.forgot.load(Ordering::Relaxed);
        let verdict = verdict(ip.into());
        says.then(|| (Codes::of(&verdict), verdict.until))
    }

    fn resident(&self, ip: Ipv4Addr, _: bool) -> Option<ClientVerdict> {
        (ip.octets()[3] % 4 != 1).then(|| verdict(ip.into()))
    }

    async fn name(&self, _: &Name, _: Asker) -> NameVerdict {
        NameVerdict::unknown(NOW)
    }

    async fn pair(&self, _: IpAddr, _: &Name, _: Asker) -> PairVerdict {
        PairVerdict::unknown(NOW)
    }

    fn names_below(&self, _: &str) -> bool {
        false
    }

    fn pair_names_below(&self, _: IpAddr, _: &str) -> bool {
        false
    }

    fn now(&self) -> Time {
        NOW
    }

    fn serial(&self) -> u32 {
        1
    }
}

const ADDRESSES: &str = "\
$SOA 600 ns1.lists.example hostmaster.example 7 3600 600 86400 300
$TTL 900
:127.0.0.2:listed $
127.0.0.2
192.0.2.1
192.0.2.0/28 :4:a range
!192.0.2.9
198.51.100.0/24 :127.0.0.7:
";
const NAMES: &str = ":127.0.0.3:name $\n.bad.example\nexact.example\n";
const RECORDS: &str = "\
host A 192.0.2.80
host 60 TXT one text
many TXT first
many TXT second
mail MX 10 mx.lists.example
";

/// A handler with zones of lists: one inside the origin of ours, one with names that say `$SOA`, one above another.
fn handler(folder: &std::path::Path, judge: &Arc<Judging>) -> Handler<Judging> {
    let list = |zone: &str, datasets: &[(Format, &str)]| {
        let datasets = datasets.iter().enumerate().map(|(number, (format, text))| {
            let file = folder.join(format!("{zone}-{number}"));
            std::fs::write(&file, text).expect("a file");
            DatasetConfig { format: *format, files: vec![file] }
        });
        let config = ListConfig {
            zone: zone.to_owned(),
            datasets: datasets.collect(),
            name_servers: vec![format!("ns.{zone}")],
            allow: if zone == "v4.test" {
                vec!["192.0.2.0/24".parse().expect("a prefix")]
            } else {
                vec![]
            },
            rname: "hostmaster@example".to_owned(),
            ttl: 2100,
            negative_ttl: 60,
            decides: None,
        };
        let list = List::new(config).expect("sound");
        assert!(list.refresh(NOW).iter().all(|report| report.result.is_ok()));
        Arc::new(list)
    };
    let config = DnsConfig {
        zones: vec![ZoneConfig::new("example", "ns.elsewhere.test")],
        lists: vec![
            list("lists.example", &[(Format::Ip4Set, ADDRESSES), (Format::Dnset, NAMES)]),
            list("v4.test", &[(Format::Ip4Trie, ADDRESSES)]),
            list("generic.test", &[(Format::Generic, RECORDS)]),
            list("above.test", &[(Format::Ip4Set, ADDRESSES)]),
            list("below.bad.example.above.test", &[(Format::Ip4Set, ADDRESSES)]),
        ],
        nsid: "here".into(),
        ..DnsConfig::default()
    };
    let metrics = Metrics::register(&Registry::new()).expect("a fresh registry");
    Handler::new(Arc::clone(judge), &config, metrics).expect("sound zones")
}

/// A label of a question.
fn label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0u8..20).prop_map(|octet| octet.to_string().into_bytes()),
        2 => prop::sample::select(vec!["192", "198", "51", "100", "2", "127", "256", "01"])
            .prop_map(|text| text.as_bytes().to_vec()),
        2 => prop::sample::select(vec![
            "a", "bad", "exact", "example", "host", "many", "mail", "bl", "ns1", "hostmaster", "lists",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..63),
    ]
}

fn key() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop_oneof![
        4 => (0u8..20, prop::sample::select(vec!["2.0.192", "100.51.198", "0.0.127"])).prop_map(
            |(octet, rest)| {
                let text = format!("{octet}.{rest}");
                text.split('.').map(|label| label.as_bytes().to_vec()).collect()
            }
        ),
        2 => prop::collection::vec(label(), 0..4).prop_map(|mut labels| {
            labels.extend([b"bad".to_vec(), b"example".to_vec()]);
            labels
        }),
        2 => prop::collection::vec(label(), 0..6),
        1 => prop::collection::vec(label(), 60..70),
    ]
}

/// Spells some letters large.
fn spell(packet: &mut [u8], pattern: u64) {
    for (place, octet) in packet.iter_mut().enumerate() {
        if pattern >> (place % 64) & 1 == 1 && octet.is_ascii_lowercase() {
            octet.make_ascii_uppercase();
        }
    }
}

fn packet() -> impl Strategy<Value = Vec<u8>> {
    let zone = prop_oneof![
        4 => prop::sample::select(vec!["lists.example", "v4.test", "generic.test"]),
        4 => prop::sample::select(vec!["bl.example", "wl.example", "score.example", "bits.example"]),
        // None of these goes the short way.
        3 => prop::sample::select(vec!["above.test", "ehlo.example", "pair.example", "example", "test"]),
    ];
    let rtype = prop_oneof![
        8 => Just(1u16), 4 => Just(16), 1 => Just(15), 1 => Just(255), 1 => Just(6), 1 => any::<u16>(),
    ];
    let spelling = prop_oneof![4 => Just(0), 1 => any::<u64>()];
    let option = prop_oneof![
        2 => Just((3u16, vec![])),
        4 => prop::collection::vec(any::<u8>(), 8..9).prop_map(|data| (10, data)),
        2 => prop::collection::vec(any::<u8>(), 24..25).prop_map(|data| (10, data)),
        1 => prop::collection::vec(any::<u8>(), 0..50).prop_map(|data| (10, data)),
        1 => (any::<u16>(), prop::collection::vec(any::<u8>(), 0..9)),
    ];
    let options = prop_oneof![2 => Just(vec![]), 2 => prop::collection::vec(option, 0..3)];
    let edns = prop::option::of((any::<u16>(), any::<bool>(), options));
    let flags = (any::<bool>(), any::<bool>());
    (key(), zone, rtype, spelling, edns, flags, any::<u16>()).prop_map(
        |(labels, zone, rtype, spelling, edns, (rd, cd), id)| {
            let mut name = Vec::new();
            for label in labels.iter().map(Vec::as_slice).chain(zone.split('.').map(str::as_bytes))
            {
                name.push(label.len() as u8);
                name.extend_from_slice(label);
            }
            spell(&mut name, spelling);
            let [high, low] = id.to_be_bytes();
            let (rd, cd) = (u8::from(rd), if cd { 0x10 } else { 0 });
            let mut packet = vec![high, low, rd, cd, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
            packet.extend(name);
            packet.push(0);
            packet.extend(rtype.to_be_bytes());
            packet.extend([0, 1]);
            if let Some((size, dnssec_ok, options)) = edns {
                let [high, low] = size.to_be_bytes();
                packet.extend([0, 0, 41, high, low, 0, 0]);
                let octets: Vec<u8> = options
                    .into_iter()
                    .flat_map(|(code, data)| {
                        let length = data.len() as u16;
                        [&code.to_be_bytes()[..], &length.to_be_bytes(), &data].concat()
                    })
                    .collect();
                packet.extend([if dnssec_ok { 0x80 } else { 0 }, 0]);
                packet.extend((octets.len() as u16).to_be_bytes());
                packet.extend(octets);
            }
            packet
        },
    )
}

#[test]
fn the_short_way_says_what_the_long_way_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let judge = Arc::new(Judging::default());
    let handler = handler(folder.path(), &judge);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("one");
    let sources = [[127, 0, 0, 1], [192, 0, 2, 1], [198, 51, 100, 1]];
    let answered = std::cell::Cell::new([0; ZONES.len()]);
    let texts = std::cell::Cell::new(0);
    let config = ProptestConfig { cases: 4000, ..ProptestConfig::default() };
    proptest!(config, |(packet in packet(), source in prop::sample::select(sources.to_vec()))| {
        let source = SocketAddr::from((source, 53));
        // Judged afresh, as if nothing had been published.
        judge.forgot.store(true, Ordering::Relaxed);
        let long = runtime.block_on(handler.respond(packet.clone(), source, Protocol::Udp));
        judge.forgot.store(false, Ordering::Relaxed);
        // The long way as it tells a text for the first time, and again.
        for _ in 0..2 {
            let again = runtime.block_on(handler.respond(packet.clone(), source, Protocol::Udp));
            prop_assert_eq!(&again, &long);
        }
        let told = handler.told();
        let mut buffer = [0xaa; 4096];
        buffer[..packet.len()].copy_from_slice(&packet);
        let (mut scratch, mut tally) = (Scratch::default(), Tally::default());
        let question = Question::read(&packet);
        let length = question.and_then(|question| {
            let fast = handler.fast(&told, NOW);
            fast.answer(&mut buffer, &question, source.ip(), &mut scratch, &mut tally)
        });
        let counted = tally.0.map(|zone| zone.iter().flatten().sum::<u32>());
        prop_assert_eq!(counted.iter().sum::<u32>(), u32::from(length.is_some()));
        match length {
            Some(length) => {
                texts.set(texts.get() + tally.0[1..].iter().map(|zone| zone[1][0]).sum::<u32>());
                let so_far = answered.get();
                answered.set(std::array::from_fn(|zone| so_far[zone] + counted[zone]));
                prop_assert_eq!(Some(buffer[..length].to_vec()), long);
            }
            None => prop_assert_eq!(&buffer[..packet.len()], packet.as_slice()),
        }
    });
    let [lists, of_clients @ ..] = answered.get();
    assert!(lists > 500, "only {lists} went the short way");
    assert!(texts.get() > 10, "only {} texts of clients", texts.get());
    assert!(of_clients.iter().all(|count| *count > 100), "only {of_clients:?} went the short way");
}

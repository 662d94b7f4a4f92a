//! Whatever is exported is read back: by our own reader of rbldnsd's formats, and as lines of the other formats.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::lists::{self, ListAnswer, ListZone, Loader, Options, Wanted};

const NOW: Time = Time(1_795_184_855);

fn head(kind: Kind, serial: u32) -> Head {
    Head {
        zone: format!("{}.rep.test", kind.label()),
        kind,
        serial,
        time: NOW,
        soa: Soa {
            mname: "ns.rep.test".into(),
            rname: "hostmaster.rep.test".into(),
            ttl: 3600,
            times: [3600, 600, 604_800, 60],
        },
        name_servers: vec!["ns.rep.test".into(), "ns2.rep.test".into()],
        ns_ttl: 3600,
        ttl: 300,
    }
}

fn file(format: Format, head: &Head, entries: &[Entry<'_>]) -> String {
    let mut file = Vec::new();
    let mut sheet = format.sheet(head.kind);
    sheet.head(head, &mut file).expect("memory does not fail");
    for entry in entries {
        sheet.entry(head, entry, &mut file).expect("memory does not fail");
    }
    sheet.end(head, &mut file).expect("memory does not fail");
    String::from_utf8(file).expect("text")
}

/// The lists that a file for rbldnsd makes; every line must be understood.
fn read_back(file: &str) -> ListZone {
    let mut loader = Loader::new(lists::Format::Combined, Options::new(NOW));
    loader.read("export", file.as_bytes()).expect("a file that can be read");
    let loaded = loader.finish();
    assert_eq!(loaded.complaints.count, 0, "{:?} in {file}", loaded.complaints);
    ListZone::new(vec![loaded.dataset.into()])
}

fn ask(zone: &ListZone, key: &str) -> (Vec<Ipv4Addr>, Vec<String>) {
    let labels: Vec<&[u8]> = key.split('.').map(str::as_bytes).collect();
    let mut answer = ListAnswer::default();
    zone.ask(&labels, Wanted::Any, &mut answer);
    let texts = answer.txt.values.iter().map(|text| String::from_utf8_lossy(text).into_owned());
    (answer.a.values, texts.collect())
}

fn values(n: u8) -> Vec<Ipv4Addr> {
    (0..n).map(|n| Ipv4Addr::new(127, 0, 0, n + 2)).collect()
}

#[test]
fn every_format_says_what_it_is() {
    for format in Format::ALL {
        assert_eq!(Format::parse(format.word()), Some(format));
        let kind = Kind::Bl;
        let [old, new] = [41, 7_000_000].map(|serial| file(format, &head(kind, serial), &[]));
        assert_eq!(serial_of(old.lines().next().unwrap_or_default()), Some(41), "{old}");
        assert_eq!(old.lines().count(), new.lines().count());
        for (number, (old, new)) in old.lines().zip(new.lines()).enumerate() {
            assert!(same_line(number, (old, 41), (new, 7_000_000)), "{old} {new}");
        }
    }
    assert!(!same_line(5, ("a 41", 41), ("b 42", 42)));
    assert!(!same_line(5, ("a 41", 41), ("a 43", 42)));
    for kind in Kind::ALL {
        assert!(Format::of(kind).any(|format| format == Format::Json), "{kind:?}");
    }
}

#[test]
fn a_serial_only_grows() {
    for (ledger, old, serial) in [
        (7, None, 7),
        (7, Some(6), 7),
        (7, Some(7), 8),
        (7, Some(900), 901),
        (7, Some(u32::MAX), 7),
        (u32::MAX, Some(u32::MAX), 1),
    ] {
        assert_eq!(serial_after(ledger, old), serial, "{ledger} {old:?}");
    }
}

#[test]
fn formats_look_like_this() {
    let ip: IpAddr = "192.0.2.7".parse().expect("an address");
    let v6 = Range::V6(0x2001_0db8 << 96, (0x2001_0db8 << 96) | u128::from(u64::MAX));
    let a = values(2);
    let say = |at, txt| Entry { at, a: &a, txt, until: NOW };
    let entries = [
        say(At::Clients(Range::of("127.0.0.2".parse().expect("an address"))), Some("test point")),
        say(At::Clients(Range::of(ip)), Some(r#"said "x\y" $1"#)),
        say(At::Clients(Range::V4(0xc633_6400, 0xc633_65ff)), Some("a network")),
        say(At::Clients(v6), None),
    ];
    let body = |format: Format, lines: usize| {
        let file = file(format, &head(Kind::Bl, 7), &entries);
        file.lines().skip(lines).map(|line| format!("{line}\n")).collect::<String>()
    };
    assert_eq!(
        body(Format::Bind, 7),
        r#"@ 3600 IN NS ns2.rep.test.
2.0.0.127 A 127.0.0.2
2.0.0.127 A 127.0.0.3
2.0.0.127 TXT "test point"
7.2.0.192 A 127.0.0.2
7.2.0.192 A 127.0.0.3
7.2.0.192 TXT "said \"x\\y\" $1"
*.100.51.198 A 127.0.0.2
*.100.51.198 A 127.0.0.3
*.100.51.198 TXT "a network"
*.101.51.198 A 127.0.0.2
*.101.51.198 A 127.0.0.3
*.101.51.198 TXT "a network"
*.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 A 127.0.0.2
*.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 A 127.0.0.3
"#
    );
    assert_eq!(
        body(Format::Rbldnsd, 3),
        "$DATASET ip4set @
$TTL 300
127.0.0.2 :127.0.0.2:test point
127.0.0.2 :127.0.0.3:
192.0.2.7 :127.0.0.2:said \"x\\y\" $$1
192.0.2.7 :127.0.0.3:
198.51.100.0/23 :127.0.0.2:a network
198.51.100.0/23 :127.0.0.3:
$DATASET ip6trie @
$TTL 300
2001:db8::/64 :127.0.0.2:
$DATASET ip6trie @
$TTL 300
2001:db8::/64 :127.0.0.3:
"
    );
    assert_eq!(
        body(Format::Rpz, 8),
        "32.7.2.0.192.rpz-ip CNAME .
23.0.100.51.198.rpz-ip CNAME .
64.zz.db8.2001.rpz-ip CNAME .
"
    );
    assert_eq!(
        body(Format::PostfixCidr, 1),
        "127.0.0.2/32 REJECT 5.7.1 test point
192.0.2.7/32 REJECT 5.7.1 said \"x\\y\" $1
198.51.100.0/23 REJECT 5.7.1 a network
2001:db8::/64 REJECT 5.7.1 listed
"
    );
    assert_eq!(
        body(Format::Nftables, 7),
        "add element inet helostat bl_v4 { 192.0.2.7/32,
 198.51.100.0/23 }
add element inet helostat bl_v6 { 2001:db8::/64 }
"
    );
    assert_eq!(
        body(Format::Json, 2).lines().next(),
        Some(
            r#"{"net":"192.0.2.7/32","a":["127.0.0.2","127.0.0.3"],"txt":"said \"x\\y\" $1","until":"2026-11-20T14:27:35Z"}"#
        )
    );
    let client: IpAddr = "192.0.2.7".parse().expect("an address");
    let hole = Entry { at: At::Pair(client, "b.example.com"), a: &[], txt: None, until: NOW };
    let pairs = [say(At::PairBelow(client, "example.com"), None), hole];
    let owners = |format: Format, kind: Kind| {
        let file = file(format, &head(kind, 7), &pairs);
        let last = file.lines().rev().take(3).map(str::to_owned).collect::<Vec<_>>();
        last.into_iter().rev().collect::<Vec<_>>().join("|")
    };
    assert_eq!(
        owners(Format::Bind, Kind::Pair),
        "*.example.com.7.2.0.192 A 127.0.0.2|*.example.com.7.2.0.192 A 127.0.0.3|b.example.com.7.2.0.192 TXT \"nothing is said here\""
    );
    assert_eq!(
        owners(Format::Rbldnsd, Kind::Fp),
        "*.example.com.192.0.2.7 :127.0.0.2:|*.example.com.192.0.2.7 :127.0.0.3:|!b.example.com.192.0.2.7"
    );
}

/// Ranges that do not overlap, in order.
fn ranges() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let gaps = proptest::collection::vec((1u32..70_000, 0u32..70_000), 1..20);
    (0u32..0x7e00_0000, gaps).prop_map(|(first, gaps)| {
        let mut next = first;
        gaps.into_iter()
            .map(|(gap, length)| {
                let first = next + gap;
                next = first + length + 1;
                (first, first + length)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn rbldnsd_files_of_addresses_read_back_the_same(
        ranges in ranges(),
        count in 1u8..4,
        text in "[ -~]{0,250}",
        v6 in any::<u64>(),
    ) {
        let (a, text) = (values(count), format!("x{text}"));
        let mut entries: Vec<Entry<'_>> = ranges
            .iter()
            .map(|&(first, last)| Entry {
                at: At::Clients(Range::V4(first, last)), a: &a, txt: Some(&text), until: NOW,
            })
            .collect();
        let first = u128::from(v6) << 64;
        let at = At::Clients(Range::V6(first, first | u128::from(u64::MAX)));
        entries.push(Entry { at, a: &a, txt: Some(&text), until: NOW });
        let zone = read_back(&file(Format::Rbldnsd, &head(Kind::Bl, 7), &entries));
        // Blanks at the end of a line are none of its text.
        let whole = text.replace('$', "$$").len() <= 254;
        prop_assume!(whole);
        let said = (a.clone(), vec![text.trim_end().to_owned()]);
        let key = |ip: u32| range::reversed(IpAddr::V4(ip.into()));
        let mut before = None;
        for &(first, last) in &ranges {
            for ip in [first, last, first + (last - first) / 2] {
                prop_assert_eq!(&ask(&zone, &key(ip)), &said, "{}", ip);
            }
            if before != Some(first - 1) {
                prop_assert!(ask(&zone, &key(first - 1)).0.is_empty(), "{}", first - 1);
            }
            before = Some(last);
        }
        // A mapped address would be asked for in IPv4, too.
        if !matches!(v6 >> 48, 0 | 0x2002) {
            let key = range::reversed(IpAddr::V6((first | 7).into()));
            prop_assert_eq!(&ask(&zone, &key), &said);
        }
    }

    #[test]
    fn rbldnsd_files_of_names_read_back_the_same(
        names in proptest::collection::btree_map("([a-z0-9_-]{1,9}\\.){0,3}[a-z]{2,5}", (0u8..3, any::<bool>()), 1..20),
    ) {
        let all: BTreeMap<&str, (Vec<Ipv4Addr>, bool)> =
            names.iter().map(|(name, (n, below))| (name.as_str(), (values(*n), *below))).collect();
        let mut entries = Vec::new();
        for (name, (a, below)) in &all {
            if *below && !a.is_empty() {
                entries.push(Entry { at: At::Below(name), a, txt: None, until: NOW });
            }
            entries.push(Entry { at: At::Name(name), a, txt: None, until: NOW });
        }
        let zone = read_back(&file(Format::Rbldnsd, &head(Kind::Ehlo, 7), &entries));
        for (name, (a, below)) in &all {
            prop_assert_eq!(&ask(&zone, name).0, a, "{}", name);
            let other = format!("zzzzzzzzzz.{name}");
            if *below && !a.is_empty() {
                prop_assert_eq!(&ask(&zone, &other).0, a, "{}", other);
            }
        }
    }

    /// Whatever the texts are, no line is broken by them.
    #[test]
    fn no_text_breaks_a_file(text in any::<String>(), long in 0usize..3) {
        let text = text.repeat(long + 1);
        let a = values(2);
        let ip = Range::of("192.0.2.7".parse().expect("an address"));
        let entry = Entry { at: At::Clients(ip), a: &a, txt: Some(&text), until: NOW };
        for format in Format::of(Kind::Bl) {
            let plain = file(format, &head(Kind::Bl, 7), &[Entry { txt: Some("x"), ..entry }]);
            let odd = file(format, &head(Kind::Bl, 7), &[entry]);
            prop_assert_eq!(plain.lines().count(), odd.lines().count(), "{}", odd);
            prop_assert!(format == Format::Json || odd.bytes().all(|it| matches!(it, b'\t' | b'\n' | 0x20..0x7f)));
            if format == Format::Json {
                for line in odd.lines() {
                    let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
                    if let Some(said) = value.get("txt") {
                        prop_assert_eq!(said.as_str(), Some(text.as_str()));
                    }
                }
            }
            if format == Format::Rbldnsd {
                let said = ask(&read_back(&odd), "7.2.0.192");
                prop_assert_eq!(said.0, a.clone());
            }
        }
    }
}

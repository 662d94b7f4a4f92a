//! The formats as tables: lines, questions, answers; and tables against a naive walk of the lines.
//!
//! That real rbldnsd answers the same is tried by `tests/tools/real-rbldnsd`.

use std::net::Ipv4Addr;
use std::sync::Arc;

use proptest::prelude::*;

use super::address::mask4;
use super::*;
use crate::answer::Exists;
use crate::time::Time;

const NOW: Time = Time(1_795_184_855);

fn load(format: Format, files: &[&str]) -> Result<Loaded, LoadError> {
    let mut loader = Loader::new(format, Options::new(NOW));
    for (place, file) in files.iter().enumerate() {
        loader.read(&format!("file{place}"), file.as_bytes())?;
    }
    Ok(loader.finish())
}

fn zone(format: Format, files: &[&str]) -> ListZone {
    let loaded = load(format, files).unwrap_or_else(|error| panic!("{error}"));
    ListZone::new(vec![Arc::new(loaded.dataset)])
}

fn ask(zone: &ListZone, name: &str, wanted: Wanted) -> ListAnswer {
    let labels: Vec<&[u8]> =
        name.split('.').filter(|label| !label.is_empty()).map(str::as_bytes).collect();
    let mut answer = ListAnswer::default();
    zone.ask(&labels, wanted, &mut answer);
    answer
}

/// A and TXT in one line: `127.0.0.2 text`, or `-` without data, `x` without existence.
fn said(zone: &ListZone, name: &str) -> String {
    let answer = ask(zone, name, Wanted::Any);
    match answer.exists {
        Exists::NxDomain => return "x".to_owned(),
        Exists::NoData => return "-".to_owned(),
        Exists::Exists => {}
    }
    let a = answer.a.values.iter().map(ToString::to_string);
    let txt = answer.txt.values.iter().map(|text| String::from_utf8_lossy(text).into_owned());
    let mx = answer.mx.values.iter().map(|mx| format!("{} {}", mx.preference, mx.host));
    a.chain(txt).chain(mx).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(format: Format, file: &str, rows: &[(&str, &str)]) {
    let zone = zone(format, &[file]);
    for (name, expected) in rows {
        assert_eq!(said(&zone, name), *expected, "{name} in\n{file}");
    }
}

#[test]
fn values_are_those_of_the_manual() {
    let file = "\
:127.0.0.2:IP address $ is listed
127.0.0.4
127.0.0.5 :5
127.0.0.6 :6:
127.0.0.7 IP address $ running an open relay
127.0.0.8#remark
127.0.0.9 :9:see $1$$
# the last line for all
$1 http://example.com/?$
";
    check(
        Format::Ip4Set,
        file,
        &[
            ("4.0.0.127", "127.0.0.2 IP address 127.0.0.4 is listed"),
            ("5.0.0.127", "127.0.0.5 IP address 127.0.0.5 is listed"),
            ("6.0.0.127", "127.0.0.6"),
            ("7.0.0.127", "127.0.0.2 IP address 127.0.0.7 running an open relay"),
            ("8.0.0.127", "127.0.0.2 IP address 127.0.0.8 is listed"),
            ("9.0.0.127", "127.0.0.9 see http://example.com/?$$"),
            ("09.0.00.127", "127.0.0.9 see http://example.com/?$$"),
            ("10.0.0.127", "x"),
            ("1.9.0.0.127", "x"),
            ("0.0.127", "-"),
            ("127", "-"),
            ("256", "x"),
            ("", "-"),
        ],
    );
}

#[test]
fn the_narrowest_width_of_a_set_holds() {
    let file = "\
10/8 :3:wide
10.1.0.0-10.1.1.255 :4:sixteen
10.1 :5:all of it
!10.1.2
10.1.2.3 :6:one
10.1.2.3 :7:and another
10.1.2.4 :8
! 10.1.2.4
192.0.2.250-192.0.3.4 :9:
";
    check(
        Format::Ip4Set,
        file,
        &[
            ("1.2.3.10", "127.0.0.3 wide"),
            ("1.0.1.10", "127.0.0.4 sixteen"),
            ("1.3.1.10", "127.0.0.5 all of it"),
            ("1.2.1.10", "x"),
            ("3.2.1.10", "127.0.0.6 127.0.0.7 one and another"),
            ("4.2.1.10", "x"),
            ("249.2.0.192", "x"),
            ("250.2.0.192", "127.0.0.9"),
            ("4.3.0.192", "127.0.0.9"),
            ("5.3.0.192", "x"),
        ],
    );
}

#[test]
fn ipv4_lies_in_ipv6_too() {
    let file = ":2:$\n192.0.2.7\n2.0.0.1\n";
    let mapped = "7.0.2.0.0.0.0.c.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";
    let six_to_four = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.0.2.0.0.0.0.c.2.0.0.2";
    check(
        Format::Ip4Set,
        file,
        &[
            (mapped, "127.0.0.2 192.0.2.7"),
            (six_to_four, "127.0.0.2 192.0.2.7"),
            (&mapped.replace('c', "d"), "x"),
            ("2.0.0.2", "-"),
            ("0.0.0.0.0", "-"),
            ("f.0.0.0.0", "x"),
            ("1.0.0.2", "127.0.0.2 2.0.0.1"),
            ("1.1.0.2", "x"),
        ],
    );
    let mut answer = ListAnswer::default();
    zone(Format::Ip4Set, &[file]).ask_client(
        "2002:c000:207::1".parse().expect("an address"),
        Wanted::A,
        &mut answer,
    );
    assert_eq!(answer.a.values, [Ipv4Addr::new(127, 0, 0, 2)]);
}

#[test]
fn tries_take_the_first_of_equals() {
    let file = "\
:2:default
10.0.0.0/7 :3:seven
10.0.0.0/9
!10.64.0.0/10
10.64.0.1 :4:one
10.64.0.1 :5:two
10.0.0.0/9 :6:again
0/0 :7:all
";
    let zone = zone(Format::Ip4Trie, &[file]);
    for (name, expected) in [
        ("1.0.0.11", "127.0.0.3 seven"),
        ("1.0.0.10", "127.0.0.2 default"),
        ("1.1.64.10", "x"),
        ("1.0.64.10", "127.0.0.4 one"),
        ("1.0.0.12", "127.0.0.7 all"),
    ] {
        assert_eq!(said(&zone, name), expected, "{name}");
    }
    let loaded = load(Format::Ip4Trie, &[file]).expect("a good file");
    let complaint = loaded.complaints.kept.first().map(ToString::to_string);
    let twice = "file0: 2 prefixes that an earlier line lists too: the first line holds: \
                 take the other lines out";
    assert_eq!((loaded.complaints.count, complaint.as_deref()), (1, Some(twice)));
}

#[test]
fn trivial_sets_have_one_value() {
    check(
        Format::Ip4Tset,
        "1.2.3.4 whatever\n:3:for all $\n:4:too late\n1.2.3\n!1.2.3.5\n1.2.3.6:9:x\n",
        &[
            ("4.3.2.1", "127.0.0.3 for all 1.2.3.4"),
            ("6.3.2.1", "127.0.0.3 for all 1.2.3.6"),
            ("5.3.2.1", "x"),
        ],
    );
    let key = |tail: &str| {
        format!("{tail}.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2")
    };
    check(
        Format::Ip6Tset,
        "2001:db8:1:2\n!2001:db8:1:2::7\n2001:db8:1:2::8\n:5:$\n",
        &[
            (&key("6"), "127.0.0.5 2001:db8:1:2::6"),
            (&key("7"), "x"),
            (&key("7").to_uppercase(), "x"),
            ("8.b.d.0.1.0.0.2", "-"),
            ("192", "x"),
        ],
    );
}

#[test]
fn ipv6_tries() {
    let of = |ip: &str| {
        let ip: std::net::Ipv6Addr = ip.parse().expect(ip);
        let nibbles = (0..32).map(|place| format!("{:x}", ip.to_bits() >> (4 * place) & 0xf));
        nibbles.collect::<Vec<_>>().join(".")
    };
    let file = "\
:127.0.1.2: Listed, see http://example.com/lookup?$
2001:21ab:c000/36
2001:21ab:def7:4242 :127.0.1.3: This one smells funny
2605:6001:42::/52
::1\t# localhost
!2605:6001:42::bead   # exclusion
::ffff:0:0/96 :5:$
";
    check(
        Format::Ip6Trie,
        file,
        &[
            (
                &of("2001:21ab:c123::"),
                "127.0.1.2 Listed, see http://example.com/lookup?2001:21ab:c123::",
            ),
            (&of("2001:21ab:def7:4242::9"), "127.0.1.3 This one smells funny"),
            (&of("2605:6001:42::bead"), "x"),
            (&of("::1"), "127.0.1.2 Listed, see http://example.com/lookup?::1"),
            (&of("::ffff:192.0.2.7"), "127.0.0.5 ::ffff:c000:207"),
            (&of("::2"), "x"),
            ("2.0.0.1", "-"),
        ],
    );
}

#[test]
fn names_and_wildcards() {
    let file = "\
:2:$ is listed
Example.com
*.wild.net :3
.both.org :4:$ and all
!not.both.org
!*.under.both.org :x
deep.under.both.org
one.two.three
*.two.three :5:wild
a\\.b.c
";
    check(
        Format::Dnset,
        file,
        &[
            ("example.COM", "127.0.0.2 example.com is listed"),
            ("www.example.com", "x"),
            ("com", "-"),
            ("net", "-"),
            ("wild.net", "-"),
            ("x.y.wild.net", "127.0.0.3 wild.net is listed"),
            ("both.org", "127.0.0.4 both.org and all"),
            ("x.both.org", "127.0.0.4 both.org and all"),
            // Excluded itself, but all below it is listed.
            ("not.both.org", "-"),
            ("x.not.both.org", "127.0.0.4 both.org and all"),
            ("under.both.org", "127.0.0.4 both.org and all"),
            ("x.under.both.org", "x"),
            ("deep.under.both.org", "127.0.0.2 deep.under.both.org is listed"),
            ("two.three", "-"),
            ("one.two.three", "127.0.0.2 one.two.three is listed"),
            ("x.two.three", "127.0.0.5 wild"),
            ("c", "-"),
            ("b.c", "x"),
            ("nowhere", "x"),
            ("", "-"),
        ],
    );
}

#[test]
fn generic_records() {
    let file = "\
$TTL 100
www 3000 A 127.0.0.1
www IN A 7
about TXT \"combined $ list\"
@ MX 10 mx.ex.com
a.b.c TXT below
$TTL 50
www TXT late
";
    check(
        Format::Generic,
        file,
        &[
            ("www", "127.0.0.1 0.0.0.7 late"),
            ("about", "combined $ list"),
            ("", "10 mx.ex.com"),
            ("c", "-"),
            ("b.c", "-"),
            ("x", "x"),
        ],
    );
    let answer = ask(&zone(Format::Generic, &[file]), "www", Wanted::Any);
    assert_eq!((answer.a.ttl, answer.txt.ttl), (100, 50));
}

#[test]
fn combined_parts_have_subzones() {
    let file = "\
$NS 1w ns1.ex.com -ns2.ex.com
$1 common
$TTL 77
$DATASET ip4set:proxy proxies @
:2:Open proxy $1, see http://bl.ex.com/proxy/$
127.0.0.2
$DATASET ip4set:relay relays x.relays # remark
$2 own
$SOA 1w ns1.ex.com admin.ex.com 0 2h 2h 1w 1h
:3:$1 $2
$TTL 33
127.0.0.2
$DATASET generic:common proxies relays @
@ A 127.0.0.8
www A 127.0.0.8
";
    check(
        Format::Combined,
        file,
        &[
            ("2.0.0.127", "127.0.0.2 Open proxy common, see http://bl.ex.com/proxy/127.0.0.2"),
            (
                "2.0.0.127.proxies",
                "127.0.0.2 Open proxy common, see http://bl.ex.com/proxy/127.0.0.2",
            ),
            ("2.0.0.127.Relays", "127.0.0.3 common own"),
            ("2.0.0.127.x.relays", "127.0.0.3 common own"),
            ("2.0.0.127.y.relays", "x"),
            ("x.relays", "-"),
            ("www.proxies", "127.0.0.8"),
            ("proxies", "127.0.0.8"),
            ("www.x.relays", "x"),
            ("", "127.0.0.8"),
            ("127", "-"),
            ("127.relays", "-"),
        ],
    );
    let zone = zone(Format::Combined, &[file]);
    assert_eq!(ask(&zone, "2.0.0.127", Wanted::A).a.ttl, 77);
    assert_eq!(ask(&zone, "2.0.0.127.relays", Wanted::A).a.ttl, 33);
    assert_eq!(zone.soa().map(|soa| (soa.ttl, soa.minimum)), Some((604_800, 3600)));
    assert_eq!(zone.ns().map(|ns| ns.names.len()), Some(1));
}

#[test]
fn datasets_answer_together() {
    let load = |format, file: &str| Arc::new(load(format, &[file]).expect(file).dataset);
    let zone = ListZone::new(vec![
        load(Format::Ip4Set, "$TTL 100\n10/8 :2:one\n!10.0.0.1"),
        load(Format::Ip4Trie, "$TTL 50\n10/8 :2:two\n!10.0.0.2"),
        load(Format::Dnset, "$TTL 10\n1.0.0.10 :9:a name\n"),
    ]);
    assert_eq!(said(&zone, "9.0.0.10"), "127.0.0.2 one two");
    assert_eq!(said(&zone, "1.0.0.10"), "127.0.0.2 127.0.0.9 two a name");
    assert_eq!(said(&zone, "2.0.0.10"), "127.0.0.2 one");
    assert_eq!(ask(&zone, "9.0.0.10", Wanted::A).a.ttl, 50);
    assert_eq!(ask(&zone, "9.0.0.10", Wanted::Other).exists, Exists::NoData);
}

#[test]
fn defaults_end_with_their_file() {
    let files = [":3:x\n1.2.3.4\n$TTL 9\n", "1.2.3.5\n"];
    let set = zone(Format::Ip4Set, &files);
    assert_eq!(
        (said(&set, "4.3.2.1"), said(&set, "5.3.2.1")),
        ("127.0.0.3 x".into(), "127.0.0.2".into())
    );
    let trivial = zone(Format::Ip4Tset, &files);
    assert_eq!(said(&trivial, "5.3.2.1"), "127.0.0.3 x");
    assert_eq!(ask(&set, "5.3.2.1", Wanted::A).a.ttl, 9);
}

#[test]
fn complaints_have_places() {
    for (format, file, complaint) in [
        (
            Format::Ip4Set,
            "1.2.3.4\n  1.2.3.x\n",
            "file0:2:9: no IPv4 address or range: write 192.0.2.7, 192.0.2, 192.0.2.0/24 or 192.0.2.0-192.0.2.255",
        ),
        (
            Format::Ip4Set,
            "1.2.3.4/24\n",
            "file0:1:1: an address that is not the first of its prefix, mostly a typing error: write the first address, 192.0.2.0/24",
        ),
        (
            Format::Ip4Set,
            "1.2.3.4 :0:x\n",
            "file0:1:9: no A value: write :127.0.0.2:text, or :2:text for short",
        ),
        (
            Format::Ip4Set,
            "1.2.3.4\r\n",
            "file0:1:8: no IPv4 address or range: end lines with LF alone: the CR before it is read as part of the line",
        ),
        (
            Format::Ip4Set,
            "$MAXRANGE4 /24\n1.2\n",
            "file0:2:1: a range of 65536 addresses, above $MAXRANGE4 256: cut the range, or raise the limit",
        ),
        (
            Format::Ip4Set,
            "$MAXRANGE4 256\n$MAXRANGE4 512\n",
            "file0:2:1: $MAXRANGE4 512 above the 256 that holds already: it can only be made smaller: take one of the two lines out",
        ),
        (
            Format::Ip4Set,
            "$TTL 30 # seconds\n",
            "file0:1:9: no TTL: write $TTL and seconds, or 35m, 2h, 1d, 1w, and nothing else",
        ),
        (
            Format::Ip4Set,
            "1.2.3.4",
            "file0:1:8: the last line has no end, as if the file had been cut: see whether all of the file is there, and end it with a newline",
        ),
        (
            Format::Dnset,
            "..\n",
            "file0:1:2: no name of a domain: write example.com, *.example.com or .example.com; labels have 63 octets at most, names 255",
        ),
    ] {
        let loaded = load(format, &[file]).expect(file);
        let texts: Vec<_> = loaded.complaints.kept.iter().map(ToString::to_string).collect();
        assert_eq!(texts, [complaint], "{file}");
    }
}

#[test]
fn broken_files_are_refused() {
    for (format, file, error) in [
        (
            Format::Combined,
            "# x\n1.2.3.4\n",
            "file0:2:1: an entry before the first $DATASET of this file: begin a part with $DATASET format subzone...; nothing of it is used",
        ),
        (
            Format::Combined,
            "$DATASET ipset @\n",
            "file0:1:10: ipset is no format of a part: use ip4set, ip4tset, ip4trie, ip6tset, ip6trie, dnset, dnhash or generic; nothing of it is used",
        ),
        (
            Format::Ip4Set,
            "$TIMESTAMP 2036:01:01\n",
            "file0:1:12: made 287573545 seconds in the future: set the clock, or the time in the file; nothing of it is used",
        ),
        (
            Format::Generic,
            "www 30x A 1.2.3.4\n",
            "file0:1:5: no TTL: write seconds, or 35m, 2h, 1d, 1w; nothing of it is used",
        ),
        (
            Format::Generic,
            "@ MX 10 a b\n",
            "file0:1:9: no host: write one name behind the preference: MX 10 mx.example.com; nothing of it is used",
        ),
    ] {
        let found = load(format, &[file]).map(|_| ()).expect_err(file).to_string();
        assert_eq!(found, error, "{file}");
    }
}

#[test]
fn a_stream_that_fails_is_an_error() {
    struct Failing(&'static [u8]);
    impl std::io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    impl std::io::BufRead for Failing {
        fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
            if self.0.is_empty() { Err(std::io::Error::other("gone")) } else { Ok(self.0) }
        }
        fn consume(&mut self, _: usize) {
            self.0 = b"";
        }
    }
    let mut loader = Loader::new(Format::Ip4Set, Options::new(NOW));
    let error = loader.read("list", Failing(b"1.2.3.4\n1.2")).expect_err("it fails");
    assert_eq!(error.to_string(), "list: reading behind line 1: gone; nothing of it is used");
}

#[test]
fn complaints_are_counted_and_few_kept() {
    let file = "x\n".repeat(COMPLAINTS_MAX + 7);
    let complaints = load(Format::Ip4Set, &[&file]).expect("skipped").complaints;
    assert_eq!(
        (complaints.kept.len(), complaints.count),
        (COMPLAINTS_MAX, COMPLAINTS_MAX as u64 + 7)
    );
}

#[test]
fn expiry_is_the_earliest() {
    let file =
        "$TIMESTAMP 2005:01:01 2037:01:01\n$TIMESTAMP 2005:01:01 +1w\n$TIMESTAMP 2005:01:01\n";
    assert_eq!(zone(Format::Ip4Set, &[file]).expires(), Some(Time(1_104_537_600 + 604_800)));
}

/// A line of an IPv4 list, and what it means.
#[derive(Clone, Debug)]
struct Entry {
    first: u32,
    last: u32,
    /// `None` excludes.
    value: Option<u8>,
}

fn range_text(entry: &Entry) -> String {
    let [first, last] = [entry.first, entry.last].map(Ipv4Addr::from);
    match entry.value {
        Some(value) => format!("{first}-{last} :{value}:\n"),
        None => format!("!{first}-{last}\n"),
    }
}

fn near() -> impl Strategy<Value = u32> {
    // Near the borders of octets, where ranges are cut.
    let octet = || prop_oneof![Just(0_u32), Just(1), Just(254), Just(255)];
    (prop_oneof![Just(0_u32), Just(10), Just(255)], octet(), octet(), octet())
        .prop_map(|(a, b, c, d)| a << 24 | b << 16 | c << 8 | d)
}

fn ranges() -> impl Strategy<Value = Vec<Entry>> {
    let value = prop_oneof![4 => (1..5_u8).prop_map(Some), 1 => Just(None)];
    let entry = (near(), near(), value).prop_map(|(one, other, value)| Entry {
        first: one.min(other),
        last: one.max(other),
        value,
    });
    proptest::collection::vec(entry, 0..8)
}

/// The widest of /8, /16, /24 and /32 that lies in the range and has the address in it.
fn width(entry: &Entry, address: u32) -> Option<u32> {
    [8, 16, 24, 32].into_iter().find(|&bits| {
        let (first, last) = (address & mask4(bits), address | !mask4(bits));
        entry.first <= first && last <= entry.last
    })
}

proptest! {
    #[test]
    fn a_set_answers_as_a_walk_of_its_lines(entries in ranges(), others in proptest::collection::vec(near(), 20)) {
        let file: String = entries.iter().map(range_text).collect();
        let zone = zone(Format::Ip4Set, &[&file]);
        let edges = entries.iter().flat_map(|entry| {
            [entry.first, entry.last, entry.first.wrapping_sub(1), entry.last.wrapping_add(1)]
        });
        for address in edges.chain(others) {
            let widths = || entries.iter().filter_map(|entry| Some((width(entry, address)?, entry.value)));
            let narrowest = widths().map(|(bits, _)| bits).max();
            let at = || widths().filter(|&(bits, _)| Some(bits) == narrowest);
            let mut expected: Vec<u8> = at().filter_map(|(_, value)| value).collect();
            if at().any(|(_, value)| value.is_none()) {
                expected.clear();
            }
            expected.sort_unstable();
            expected.dedup();
            let mut answer = ListAnswer::default();
            zone.ask_client(Ipv4Addr::from(address).into(), Wanted::A, &mut answer);
            let mut found: Vec<u8> = answer.a.values.iter().map(|a| a.octets()[3]).collect();
            found.sort_unstable();
            prop_assert_eq!(found, expected, "{} in\n{}", Ipv4Addr::from(address), file);
        }
    }

    #[test]
    fn names_answer_as_a_walk_of_their_lines(
        lines in proptest::collection::vec(("!?", "(|\\.|\\*\\.)", "[ab]\\.[ab](\\.[ab]){0,2}", 1..4_u8), 0..12),
        name in "[abc](\\.[ab]){1,4}",
    ) {
        let mut file = String::new();
        for (not, wild, name, value) in &lines {
            file.push_str(&format!("{not}{wild}{name} :{value}:\n"));
        }
        let zone = zone(Format::Dnset, &[&file]);
        // What the lines about one name or wildcard say: nothing, no, or values.
        let values = |key: &str, is_wild: bool| {
            let about = || lines.iter().filter(|(_, wild, name, _)| {
                name == key && (wild == "." || (wild == "*.") == is_wild)
            });
            about().next()?;
            let mut values: Vec<u8> = about().map(|&(.., value)| value).collect();
            values.sort_unstable();
            values.dedup();
            Some(if about().any(|(not, ..)| not == "!") { Vec::new() } else { values })
        };
        let walk = |name: &str| {
            let above = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
            values(name, false).or_else(|| above.into_iter().find_map(|above| values(above, true))).unwrap_or_default()
        };
        let answer = ask(&zone, &name, Wanted::A);
        let mut found: Vec<u8> = answer.a.values.iter().map(|a| a.octets()[3]).collect();
        found.sort_unstable();
        prop_assert_eq!(&found, &walk(&name), "{} in\n{}", name, file);
        // RFC 8020: a name exists if and only if something at it or below it does.
        let below = ["a", "b", "x", "a.a", "a.b", "b.a", "b.b", "a.a.a", "a.b.a", "b.a.a", "b.b.a", "a.a.b", "a.b.b", "b.a.b", "b.b.b"];
        let has_below = below.iter().any(|below| !walk(&format!("{below}.{name}")).is_empty());
        let exists = match (found.is_empty(), has_below) {
            (false, _) => Exists::Exists,
            (true, true) => Exists::NoData,
            (true, false) => Exists::NxDomain,
        };
        prop_assert_eq!(answer.exists, exists, "{} in\n{}", name, file);
    }

    #[test]
    fn the_reading_in_pieces_does_not_matter(file in "([0-9.!:#$ a]{0,9}\n){0,8}", piece in 1..9_usize) {
        for format in Format::ALL {
            let read = |capacity| {
                let mut loader = Loader::new(format, Options::new(NOW));
                let stream = std::io::BufReader::with_capacity(capacity, file.as_bytes());
                match loader.read("list", stream) {
                    Ok(()) => Ok(loader.finish().complaints),
                    Err(error) => Err(error.to_string()),
                }
            };
            prop_assert_eq!(read(piece), read(1000), "{:?}", format);
        }
    }
}

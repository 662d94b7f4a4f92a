//! What beats what, as tables; that the table finds what reading every decision would find.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::lists::{Format, ListZone, Loader, Options};
use crate::name::{Name, NameKind};

fn subject(text: &str) -> Subject {
    Subject::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn decision(kind: Kind, text: &str, until: Option<u32>) -> Decision {
    Decision {
        kind,
        subject: subject(text),
        reason: format!("{kind} {text}"),
        author: String::new(),
        added: None,
        until: until.map(Time),
        place: Place::default(),
    }
}

/// From `+192.0.2.7` (allow) or `-192.0.2.7@100` (deny, until 100), with blanks between.
fn decisions(texts: &str) -> Decisions {
    let one = |text: &str| {
        let (text, until) = text
            .split_once('@')
            .map_or((text, None), |(text, until)| (text, Some(until.parse().expect("a number"))));
        let (sign, text) = text.split_at(1);
        decision(if sign == "+" { Kind::Allow } else { Kind::Deny }, text, until)
    };
    texts.split_ascii_whitespace().map(one).collect()
}

fn said(decision: Option<Cow<'_, Decision>>) -> String {
    decision.map_or_else(|| "none".to_owned(), |it| format!("{} {}", it.kind, it.subject))
}

const NOW: Time = Time(50);

#[test]
fn the_most_specific_on_a_client_wins() {
    for (all, ip, wins) in [
        ("", "192.0.2.7", "none"),
        ("-192.0.2.7", "192.0.2.7", "deny 192.0.2.7"),
        ("-192.0.2.7", "192.0.2.8", "none"),
        ("-192.0.2.7", "::ffff:192.0.2.7", "deny 192.0.2.7"),
        ("-192.0.2.0/24 +192.0.2.7", "192.0.2.7", "allow 192.0.2.7"),
        ("-192.0.2.0/24 +192.0.2.7", "192.0.2.8", "deny 192.0.2.0/24"),
        ("-192.0.2.0/24 +192.0.2.0/28 -192.0.2.7", "192.0.2.7", "deny 192.0.2.7"),
        ("-192.0.2.0/24 +192.0.2.0/28 -192.0.2.7", "192.0.2.8", "allow 192.0.2.0/28"),
        ("-192.0.2.0/24 +192.0.2.0/28 -192.0.2.7", "192.0.2.99", "deny 192.0.2.0/24"),
        ("+0.0.0.0/0", "192.0.2.7", "allow 0.0.0.0/0"),
        ("+0.0.0.0/0", "2001:db8::7", "none"),
        ("-::/0", "192.0.2.7", "none"),
        ("-2001:db8::7", "2001:db8::7", "deny 2001:db8::7"),
        // What is written is what is meant: not the /64 of it.
        ("-2001:db8::7", "2001:db8::8", "none"),
        ("-2001:db8::/64 +2001:db8::7", "2001:db8::7", "allow 2001:db8::7"),
        // Of equals deny wins, in whichever order.
        ("-192.0.2.7 +192.0.2.7", "192.0.2.7", "deny 192.0.2.7"),
        ("+192.0.2.7 -192.0.2.7", "192.0.2.7", "deny 192.0.2.7"),
        // What is over is absent, and what is behind it holds.
        ("-192.0.2.7@50", "192.0.2.7", "none"),
        ("-192.0.2.7@51", "192.0.2.7", "deny 192.0.2.7"),
        ("-192.0.2.0/24 +192.0.2.7@50", "192.0.2.7", "deny 192.0.2.0/24"),
        ("+192.0.2.7 -192.0.2.7@9", "192.0.2.7", "allow 192.0.2.7"),
    ] {
        let ip: IpAddr = ip.parse().expect(ip);
        assert_eq!(said(decisions(all).of_client(ip, NOW)), wins, "{all} of {ip}");
    }
}

#[test]
fn the_most_specific_on_a_name_wins() {
    for (all, name, wins) in [
        ("", "mail.example.com", "none"),
        ("-mail.example.com", "MAIL.example.com.", "deny mail.example.com"),
        ("-mail.example.com", "a.mail.example.com", "none"),
        ("-*.example.com", "example.com", "deny *.example.com"),
        ("-*.example.com", "a.b.c.example.com", "deny *.example.com"),
        ("-*.example.com", "badexample.com", "none"),
        ("-*.example.com +*.mail.example.com", "a.mail.example.com", "allow *.mail.example.com"),
        ("-*.example.com +*.mail.example.com", "mail.example.com", "allow *.mail.example.com"),
        ("-*.example.com +*.mail.example.com", "www.example.com", "deny *.example.com"),
        ("-*.mail.example.com +mail.example.com", "mail.example.com", "allow mail.example.com"),
        ("+*.example.com -*.example.com", "example.com", "deny *.example.com"),
        ("+mail.example.com -mail.example.com", "mail.example.com", "deny mail.example.com"),
        ("+*.example.com -mail.example.com@50", "mail.example.com", "allow *.example.com"),
        ("-ylmf-pc", "YLMF-PC", "deny ylmf-pc"),
        ("-*.corp.local", "pc7.corp.local", "deny *.corp.local"),
        // What is malformed is no name, and lies below none.
        ("-*.example.com", "a..b.example.com", "none"),
        ("-*.example.com", "[192.0.2.7]", "none"),
        ("-*.dyndns.org", "home.dyndns.org", "deny *.dyndns.org"),
    ] {
        let name = Name::parse(name.as_bytes());
        assert_eq!(said(decisions(all).of_name(&name, NOW)), wins, "{all} of {name}");
    }
}

#[test]
fn the_client_goes_before_the_name_and_a_thief_gets_no_allow() {
    for (all, bound, unbound) in [
        ("+192.0.2.7 -mail.example.com", "allow 192.0.2.7", "allow 192.0.2.7"),
        ("-192.0.2.0/24 +mail.example.com", "deny 192.0.2.0/24", "deny 192.0.2.0/24"),
        ("+mail.example.com", "allow mail.example.com", "none"),
        ("+mail.example.com -*.example.com", "allow mail.example.com", "deny *.example.com"),
        ("+*.example.com", "allow *.example.com", "none"),
        ("+*.example.com -mail.example.com", "deny mail.example.com", "deny mail.example.com"),
        ("-192.0.2.7@50 -mail.example.com", "deny mail.example.com", "deny mail.example.com"),
    ] {
        let (ip, name) = ("192.0.2.7".parse().expect("an address"), "mail.example.com");
        let (all, name) = (decisions(all), Name::parse(name.as_bytes()));
        let pair = all.of_pair(ip, &name, NOW);
        assert_eq!(said(pair.clone()), bound, "{all:?}");
        assert_eq!(said(all.of_unbound_pair(ip, &name, NOW)), unbound, "{all:?}");
        let unsafe_to_thieves = pair.is_some_and(|it| it.needs_agreement());
        assert_eq!(unsafe_to_thieves, bound != unbound, "{all:?}");
    }
}

#[test]
fn what_is_typed_is_read_or_told_what_to_write() {
    for (typed, expected) in [
        ("192.0.2.7", Ok("192.0.2.7")),
        ("192.0.2.0/24", Ok("192.0.2.0/24")),
        ("192.0.2.7/32", Ok("192.0.2.7")),
        ("::ffff:192.0.2.7", Ok("192.0.2.7")),
        ("2001:DB8::7", Ok("2001:db8::7")),
        ("2001:db8::/32", Ok("2001:db8::/32")),
        ("MAIL.Example.com.", Ok("mail.example.com")),
        ("ylmf-pc", Ok("ylmf-pc")),
        ("*.Example.com", Ok("*.example.com")),
        ("*.mail.example.co.uk", Ok("*.mail.example.co.uk")),
        ("", Err("it is empty")),
        ("192.0.2.7/24", Err("write \"192.0.2.0/24\"")),
        ("192.0.2.0/33", Err("write a prefix such as")),
        ("example.com/24", Err("write a prefix such as")),
        ("::ffff:192.0.2.0/120", Err("in IPv4 form")),
        ("192.0.2.300", Err("neither an address")),
        ("a b", Err("neither an address")),
        ("[192.0.2.7]", Err("without brackets")),
        ("straße.example.com", Err("xn--")),
        ("*", Err("a star stands at the beginning")),
        ("mail.*.example.com", Err("a star stands at the beginning")),
        ("*.*.example.com", Err("a star stands at the beginning")),
        ("*.com", Err("com is a public suffix")),
        ("*.co.uk", Err("co.uk is a public suffix")),
        ("*.local", Err("local is a public suffix")),
        ("*.192.0.2.7", Err("neither an address")),
    ] {
        let read = Subject::parse(typed).map(|it| it.to_string()).map_err(|why| why.to_string());
        match (&read, expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{typed}"),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{typed}: {why}"),
            _ => panic!("{typed}: {read:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn what_anybody_can_say_cannot_be_allowed() {
    for (typed, objection) in [
        ("192.0.2.7", None),
        ("mail.example.com", None),
        ("*.example.com", None),
        ("*.mail7.dyndns.org", None),
        ("localhost", Some("nobody owns such a name")),
        ("ylmf-pc", Some("nobody owns such a name")),
        ("*.corp.local", Some("nobody owns such a name")),
        ("*.dyndns.org", Some("dyndns.org lends names")),
    ] {
        let subject = subject(typed);
        let why = subject.objection(Kind::Allow).map(|why| why.to_string());
        match (why, objection) {
            (None, None) => {}
            (Some(why), Some(part)) => assert!(why.contains(part), "{typed}: {why}"),
            (why, expected) => panic!("{typed}: {why:?}, expected {expected:?}"),
        }
        assert_eq!(subject.objection(Kind::Deny), None, "{typed}");
    }
}

#[test]
fn shows_itself() {
    let mut it = decision(Kind::Deny, "192.0.2.0/24", Some(0));
    it.reason = "floods us".into();
    assert_eq!(it.to_string(), "deny 192.0.2.0/24: floods us (until 1970-01-01T00:00:00Z)");
    (it.author, it.until) = ("anna".into(), None);
    assert_eq!(it.to_string(), "deny 192.0.2.0/24: floods us (by anna)");
    it.place = Place { file: "decisions.toml".into(), line: 12 };
    let json = serde_json::to_value(&it).expect("plain values");
    let expected = serde_json::json!({
        "decision": "deny", "subject": "192.0.2.0/24", "reason": "floods us", "author": "anna",
        "added": null, "until": null, "place": "decisions.toml:12",
    });
    assert_eq!(json, expected);
}

/// Few addresses and few lengths, so that prefixes lie within one another.
fn prefix() -> impl Strategy<Value = IpNet> {
    let v4 = (0u32..64, 0u8..=32).prop_map(|(low, length)| {
        let ip = std::net::Ipv4Addr::from(0xC000_0200 | (low << 2));
        IpNet::new(ip.into(), length).expect("a length").trunc()
    });
    let v6 = (0u128..64, 0u8..=128).prop_map(|(low, length)| {
        let ip = std::net::Ipv6Addr::from((0x2001_0db8 << 96) | (low << 60) | low);
        IpNet::new(ip.into(), length).expect("a length").trunc()
    });
    prop_oneof![v4, v6]
}

fn host() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["a", "b", "mail"])
        .prop_flat_map(|first| {
            proptest::collection::vec(proptest::sample::select(vec!["a", "b", "mail"]), 0..3)
                .prop_map(move |labels| [vec![first], labels].concat().join("."))
        })
        .prop_map(|above| format!("{above}.example.com"))
}

fn any_decision() -> impl Strategy<Value = Decision> {
    let subject = prop_oneof![
        prefix().prop_map(Subject::Prefix),
        host().prop_map(|text| subject(&text)),
        host().prop_map(|text| subject(&format!("*.{text}"))),
    ];
    let kind = proptest::sample::select(vec![Kind::Allow, Kind::Deny]);
    (kind, subject, proptest::option::of(0u32..100)).prop_map(|(kind, subject, until)| Decision {
        kind,
        subject,
        until: until.map(Time),
        ..decision(Kind::Deny, "192.0.2.7", None)
    })
}

/// How specific a decision is for a client with a name; `None` if it is not about them.
fn fits(it: &Decision, ip: Option<IpAddr>, name: Option<&Name>) -> Option<(bool, usize, bool)> {
    let deny = it.kind == Kind::Deny;
    match &it.subject {
        Subject::Prefix(net) => {
            ip.filter(|ip| net.contains(ip)).map(|_| (true, usize::from(net.prefix_len()), deny))
        }
        Subject::Name(said) => (name == Some(said)).then_some((false, usize::MAX, deny)),
        Subject::Family(suffix) => {
            let name = name.filter(|name| name.kind() == NameKind::Fqdn)?.text();
            let below = name == &**suffix || name.ends_with(&format!(".{suffix}"));
            below.then_some((false, suffix.len(), deny))
        }
    }
}

/// The decision that reading all of them finds.
fn scan<'a>(
    all: &'a [Decision],
    ip: Option<IpAddr>,
    name: Option<&Name>,
    wanted: impl Fn(&Decision) -> bool,
) -> Option<&'a Decision> {
    let fitting = all.iter().filter(|it| wanted(it));
    // Of equals the first one.
    fitting
        .rev()
        .filter_map(|it| Some((fits(it, ip, name)?, it)))
        .max_by_key(|(fit, _)| *fit)
        .map(|(_, it)| it)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_lookup_finds_what_a_scan_finds(
        all in proptest::collection::vec(any_decision(), 0..24),
        net in prefix(),
        name in host(),
        now in 0u32..100,
    ) {
        let (ip, name, now) = (net.addr(), Name::parse(name.as_bytes()), Time(now));
        let table: Decisions = all.iter().cloned().collect();
        let holds = |it: &Decision| it.holds(now);
        let bindless = |it: &Decision| it.holds(now) && !it.needs_agreement();
        prop_assert_eq!(table.of_client(ip, now), scan(&all, Some(ip), None, holds).map(Cow::Borrowed));
        prop_assert_eq!(table.of_name(&name, now), scan(&all, None, Some(&name), holds).map(Cow::Borrowed));
        let pair = scan(&all, Some(ip), Some(&name), holds).map(Cow::Borrowed);
        prop_assert_eq!(table.of_pair(ip, &name, now), pair);
        let unbound = table.of_unbound_pair(ip, &name, now);
        prop_assert_eq!(unbound.as_deref(), scan(&all, Some(ip), Some(&name), bindless));
        prop_assert_eq!(table.expired(now).count(), all.iter().filter(|it| !holds(it)).count());
    }

    #[test]
    fn nothing_changes_before_the_next_change(
        all in proptest::collection::vec(any_decision(), 0..24),
        net in prefix(),
        name in host(),
        now in 0u32..100,
    ) {
        let (ip, name) = (net.addr(), Name::parse(name.as_bytes()));
        let table: Decisions = all.into_iter().collect();
        let all_at = |now| {
            let unbound = table.of_unbound_pair(ip, &name, now);
            (table.of_client(ip, now), table.of_name(&name, now), table.of_pair(ip, &name, now), unbound)
        };
        let change = table.next_change(Some(ip), Some(&name), Time(now));
        let end = change.unwrap_or(Time(200));
        prop_assert!(end.0 > now);
        for later in now..end.0 {
            prop_assert_eq!(all_at(Time(later)), all_at(Time(now)), "at {}", later);
        }
        let of_client = table.next_change(Some(ip), None, Time(now));
        let expiry = table.of_client(ip, Time(now)).and_then(|it| it.until);
        prop_assert_eq!(of_client, expiry);
    }

    #[test]
    fn what_is_shown_reads_back(it in any_decision()) {
        prop_assert_eq!(Subject::parse(&it.subject.to_string()), Ok(it.subject));
    }
}

/// From `+name: lines` (allow) or `-name: lines` (deny): a list of addresses, and of names those lines with letters.
fn lists(texts: &[&str]) -> Vec<DecidingList> {
    let dataset = |format, text: &str| {
        let mut loader = Loader::new(format, Options::new(NOW));
        loader.read("f", text.as_bytes()).expect(text);
        Arc::new(loader.finish().dataset)
    };
    let one = |text: &&str| {
        let (sign, rest) = text.split_at(1);
        let (name, lines) = rest.split_once(": ").expect(text);
        let is_name =
            |line: &&str| line.trim_start_matches(['!', '.', '$']).starts_with(char::is_alphabetic);
        let (names, addresses): (Vec<_>, Vec<_>) = lines.split('|').partition(is_name);
        let special: Vec<_> = names.iter().filter(|line| line.starts_with('$')).copied().collect();
        let addresses = [special, addresses].concat().join("\n");
        let zone = ListZone::new(vec![
            dataset(Format::Ip4Set, &addresses),
            dataset(Format::Dnset, &names.join("\n")),
        ]);
        let kind = if sign == "+" { Kind::Allow } else { Kind::Deny };
        DecidingList::new(kind, name, Arc::new(zone))
    };
    texts.iter().map(one).collect()
}

#[test]
fn lists_decide_behind_what_was_decided_one_by_one() {
    let texts = [
        "+friends: 192.0.2.0/24|198.51.100.7|.friend.com|localhost",
        "-foes: 192.0.2.7|192.0.2.64/27|!192.0.2.70|.foe.example|!ok.foe.example|x.friend.com",
        "-more: 192.0.2.70|203.0.113.0/24",
    ];
    for (own, ip, name, of_pair, unbound) in [
        ("", "198.51.100.1", "a.example", "none", "none"),
        ("", "198.51.100.7", "a.example", "allow 198.51.100.7", "allow 198.51.100.7"),
        // Those that deny go first, whatever their order.
        ("", "192.0.2.7", "a.example", "deny 192.0.2.7", "deny 192.0.2.7"),
        ("", "::ffff:192.0.2.7", "a.example", "deny 192.0.2.7", "deny 192.0.2.7"),
        ("", "192.0.2.8", "a.example", "allow 192.0.2.8", "allow 192.0.2.8"),
        ("", "192.0.2.65", "a.example", "deny 192.0.2.65", "deny 192.0.2.65"),
        // An exclusion is of its own list.
        ("", "192.0.2.70", "a.example", "deny 192.0.2.70", "deny 192.0.2.70"),
        // The client goes before the name.
        ("", "198.51.100.7", "b.foe.example", "allow 198.51.100.7", "allow 198.51.100.7"),
        ("", "198.51.100.1", "b.foe.example", "deny b.foe.example", "deny b.foe.example"),
        ("", "198.51.100.1", "ok.foe.example", "none", "none"),
        // A name alone lets nobody in, and one that nobody owns not at all.
        ("", "198.51.100.1", "b.friend.com", "allow b.friend.com", "none"),
        ("", "198.51.100.1", "x.friend.com", "deny x.friend.com", "deny x.friend.com"),
        ("", "198.51.100.1", "localhost", "none", "none"),
        ("", "198.51.100.1", "[192.0.2.7]", "none", "none"),
        // What was decided one by one goes before lists, on whichever of both.
        ("+192.0.2.7", "192.0.2.7", "a.example", "allow 192.0.2.7", "allow 192.0.2.7"),
        ("-192.0.2.8", "192.0.2.8", "a.example", "deny 192.0.2.8", "deny 192.0.2.8"),
        ("-192.0.0.0/8", "192.0.2.8", "a.example", "deny 192.0.0.0/8", "deny 192.0.0.0/8"),
        ("+192.0.2.7@50", "192.0.2.7", "a.example", "deny 192.0.2.7", "deny 192.0.2.7"),
        ("+a.example", "192.0.2.7", "a.example", "allow a.example", "deny 192.0.2.7"),
        ("-a.example", "198.51.100.7", "a.example", "deny a.example", "deny a.example"),
        (
            "+*.foe.example",
            "198.51.100.1",
            "b.foe.example",
            "allow *.foe.example",
            "deny b.foe.example",
        ),
    ] {
        let table = decisions(own).with_lists(lists(&texts));
        let ip: IpAddr = ip.parse().expect(ip);
        let name = Name::parse(name.as_bytes());
        let told = format!("{own} of {ip} {name}");
        assert_eq!(said(table.of_pair(ip, &name, NOW)), of_pair, "{told}");
        assert_eq!(said(table.of_unbound_pair(ip, &name, NOW)), unbound, "{told}");
        assert_eq!(table.decide_on(ip, NOW), table.of_client(ip, NOW).is_some(), "{told}");
    }
}

#[test]
fn a_list_gives_its_text_and_its_name() {
    let texts = [
        "-foes: $TIMESTAMP 1970:01:01:00:00:10 +80|192.0.2.7|192.0.2.8 :4:floods\x07 us, $|192.0.2.9 :4:".to_owned()
            + &"ü".repeat(100),
        "+later: 192.0.2.7".to_owned(),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let table = decisions("").with_lists(lists(&texts));
    let of = |ip: &str, now| table.of_client(ip.parse().expect(ip), Time(now));
    for (ip, reason) in [
        ("192.0.2.7", "in the list foes"),
        ("192.0.2.8", "floods  us, 192.0.2.8"),
        ("192.0.2.9", &"ü".repeat(60)),
    ] {
        let decision = of(ip, 50).expect(ip);
        assert_eq!((decision.reason.as_str(), decision.until), (reason, Some(Time(90))), "{ip}");
        assert_eq!(decision.place.list(), Some("foes"));
        assert_eq!(decision.place.to_string(), "list foes");
    }
    // When a list is too old it says nothing, and what is behind it holds.
    assert_eq!(said(of("192.0.2.7", 90)), "allow 192.0.2.7");
    assert_eq!(said(of("192.0.2.8", 90)), "none");
    let ip: IpAddr = "192.0.2.7".parse().expect("an address");
    assert_eq!(table.next_change(Some(ip), None, Time(50)), Some(Time(90)));
    assert_eq!(table.next_change(Some(ip), None, Time(90)), None);
}

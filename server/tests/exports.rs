//! Whatever was said in EHLO, every export is a file that can be loaded: read back by hickory's parser of zone files, by our reader
//! of rbldnsd's formats, and as JSON.

use std::sync::Arc;

use helostat_server::catalog::Catalog;
use helostat_server::config::ZoneConfig;
use helostat_server::export::{Order, write};
use helostat_server::ledger_judge::LedgerJudge;
use helostat_server::live::{Live, LiveConfig};
use helostat_zones::export::Format;
use helostat_zones::key::Kind;
use helostat_zones::ledger::{Batch, Bounds, Ledger};
use helostat_zones::lists::{self, Loader, Options};
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, ReporterKind};
use helostat_zones::operator::{Decision, Decisions, Kind as Way, Subject};
use helostat_zones::policy::Policy;
use helostat_zones::time::Time;
use hickory_proto::rr::{Name as DnsName, RecordType};
use hickory_proto::serialize::txt::Parser;
use prometheus::Registry;
use proptest::prelude::*;

/// What clients say: hosts, junk, and anything.
fn said() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "([a-z0-9_-]{1,8}\\.){1,4}(com|net|co\\.uk|invalid|test)".prop_map(String::into_bytes),
        "[a-z0-9]{1,6}".prop_map(String::into_bytes),
        "([a-z]{50,63}\\.){3}[a-z]{40,50}\\.com".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..80),
        "[ -~]{0,40}\\.(com|\\$ORIGIN|;|\"|\\\\)".prop_map(String::into_bytes),
    ]
}

fn ip() -> impl Strategy<Value = std::net::IpAddr> {
    prop_oneof![
        (0u8..3, 0u8..4).prop_map(|(net, host)| [9, 8, net, host].into()),
        (0u8..3, 0u8..4).prop_map(|(net, host)| [127, 0, net, host].into()),
        (0u16..3, 0u16..3).prop_map(|(net, host)| [0x2001, 0xdb8, 0, net, 0, 0, 0, host].into()),
        any::<std::net::IpAddr>(),
    ]
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        (ip(), 1u8..=32).prop_filter_map("a prefix", |(ip, bits)| {
            let bits = if ip.is_ipv4() { bits.max(21) } else { bits * 4 };
            Some(Subject::Prefix(ipnet::IpNet::new(ip.to_canonical(), bits).ok()?.trunc()))
        }),
        "[a-z]{1,3}\\.(com|net)".prop_map(|name| Subject::Family(name.into())),
        "[a-z]{1,3}\\.[a-z]{1,3}\\.com"
            .prop_map(|name| Subject::Name(Name::parse(name.as_bytes()))),
    ]
}

fn judge(
    seen: &[(std::net::IpAddr, Vec<u8>, u8)],
    decided: Vec<(Subject, bool, String)>,
) -> LedgerJudge {
    let ledger = Arc::new(Ledger::in_memory(Bounds::default()));
    let live = LiveConfig { enabled: false, ..LiveConfig::default() };
    let live = Live::new(live, &Registry::new()).expect("nothing is opened");
    let judge = LedgerJudge::new(ledger.clone(), live, Policy::default());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    let now = Time::from_unix(now.as_secs() as i64);
    let mut batch = Batch::default();
    for (ip, said, days) in seen {
        for day in 0..=u32::from(*days) {
            let name = Name::parse(said);
            let observation = Observation {
                time: Time(now.0 - 86_400 * day),
                ip: *ip,
                rdns: Some(name.text().into()).filter(|_| days % 2 == 1),
                name,
                outcome: if days % 3 == 2 { Outcome::Rejected } else { Outcome::Accepted },
                stage: None,
                by_us: false,
                supersedes: None,
                reporter: "mx".into(),
            };
            batch.observe(&observation, ReporterKind::Mx);
        }
    }
    ledger.commit(&batch).expect("memory does not fail");
    let decisions: Decisions = decided
        .into_iter()
        .map(|(subject, allow, reason)| Decision {
            kind: if allow { Way::Allow } else { Way::Deny },
            subject,
            reason,
            author: String::new(),
            added: None,
            until: None,
            place: Default::default(),
        })
        .collect();
    judge.set_decisions(Arc::new(decisions));
    judge
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_ledger_gives_files_that_can_be_loaded(
        seen in proptest::collection::vec((ip(), said(), 0u8..12), 0..12),
        decided in proptest::collection::vec((subject(), any::<bool>(), any::<String>()), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let _inside = runtime.enter();
        let judge = judge(&seen, decided);
        let config = ZoneConfig { kinds: Kind::ALL.into(), ..ZoneConfig::new("rep.test", "ns.rep.test") };
        let catalog = Catalog::new(&[config], &[]).expect("a sound zone");
        for kind in Kind::ALL {
            for format in Format::of(kind) {
                let order = Order::new(&catalog, kind.label(), format, 60).expect("it can be");
                let mut file = Vec::new();
                let summary = write(&judge, &order, &mut file).expect("memory does not fail");
                let file = String::from_utf8(file).expect("text");
                prop_assert!(summary.entries > 0 || format != Format::Json, "the test points");
                match format {
                    Format::Bind | Format::Rpz => {
                        let zone = if format == Format::Rpz { "rpz." } else { "" };
                        let apex: DnsName = format!("{zone}{}.", order.zone).parse().expect("a name");
                        // hickory's parser takes no underscore, which only BIND minds, and there in owners of A alone.
                        prop_assert!(
                            format == Format::Rpz || !file.lines().any(|line| line.contains(" A ") && line.contains('_')),
                            "{}",
                            file
                        );
                        let file = file.replace('_', "u");
                        let read = Parser::new(&file, None, Some(apex.clone())).parse();
                        prop_assert!(read.is_ok(), "{kind:?} {format}: {:?} in {file}", read.err());
                        let (_, sets) = read.expect("just looked at");
                        prop_assert!(sets.keys().all(|key| apex.zone_of(&key.name().clone().into())), "{}", file);
                        // One of its kind, and whatever was said has not made another.
                        let soas = sets.keys().filter(|key| key.record_type == RecordType::SOA).count();
                        prop_assert_eq!(soas, 1);
                    }
                    Format::Rbldnsd => {
                        let mut loader = Loader::new(lists::Format::Combined, Options::new(Time(0)));
                        loader.read("export", file.as_bytes()).expect("a file that can be read");
                        let complaints = loader.finish().complaints;
                        prop_assert_eq!(complaints.count, 0, "{:?} in {}", complaints, file);
                    }
                    Format::Json => {
                        for line in file.lines() {
                            prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{}", line);
                        }
                    }
                    Format::PostfixCidr | Format::Nftables => {
                        prop_assert!(file.bytes().all(|it| matches!(it, b'\t' | b'\n' | 0x20..0x7f)), "{}", file);
                    }
                }
            }
        }
    }
}

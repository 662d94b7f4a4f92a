//! Live look-ups against a resolver on loopback.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use helostat_server::live::{Findings, Live, LiveConfig};
use helostat_tests::fakedns::{Chains, FakeDns};
use helostat_tests::vectors::{collect, directory};
use helostat_zones::evidence::{Finding, Holds, RecordType, System};
use helostat_zones::name::Name;
use prometheus::Registry;
use tokio::task::JoinSet;

/// The systems of most tests: one of names, one of addresses, one of both.
const THREE: [System; 3] = [System::Csa, System::Iprev, System::Forward];
/// A host of which these three pass.
const HONEST: &str = "
    7.2.0.192.in-addr.arpa. PTR mail.example.com.
    mail.example.com. A 192.0.2.7
    _client._smtp.mail.example.com. SRV 1 2 0 mail.example.com.
";
const PTR: &str = "7.2.0.192.in-addr.arpa.";
/// What a test on a busy machine may take beyond what it waits for.
const SLACK: Duration = Duration::from_millis(100);

/// Short times, so that a test of a time limit is short.
fn config(resolvers: &[SocketAddr]) -> LiveConfig {
    LiveConfig {
        resolvers: resolvers.to_vec(),
        wait: Duration::from_secs(5),
        question_timeout: Duration::from_millis(500),
        systems: THREE.to_vec(),
        ..LiveConfig::default()
    }
}

fn live(config: LiveConfig) -> (Arc<Live>, Registry) {
    let registry = Registry::new();
    (Live::new(config, &registry).expect("a valid configuration"), registry)
}

fn ip() -> IpAddr {
    "192.0.2.7".parse().expect("an address")
}

/// Who asks.
fn asker() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes())
}

fn shown(findings: &Findings) -> String {
    let one = |(system, finding): (System, Option<&Finding>)| {
        format!("{system}={}", finding.map_or_else(|| "?".to_owned(), ToString::to_string))
    };
    findings.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The sum of a metric over its labels, of those label values that contain `label`.
fn metric(registry: &Registry, name: &str, label: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name).expect(name);
    let metrics = family.get_metric().iter();
    let chosen = metrics.filter(|metric| {
        label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label)
    });
    chosen.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
}

#[tokio::test]
async fn every_vector_holds_over_loopback() {
    let tasks = collect(&directory()).unwrap_or_else(|errors| panic!("{}", errors.join("\n")));
    let mut running = JoinSet::new();
    for task in tasks {
        running.spawn(async move {
            let dns = FakeDns::serve(&task.vector.records).await;
            let Some(options) = task.options.clone() else { return Vec::new() };
            let config = LiveConfig {
                systems: vec![task.system],
                options: Arc::new(options),
                ..config(&[dns.address()])
            };
            let (live, _) = live(config);
            let mut complaints = Vec::new();
            for case in &task.vector.cases {
                let findings = live.complete(case.ip, &case.name).await;
                let finding = findings.get(task.system).expect("the limit leaves room for all");
                complaints.extend(task.complaint(case, finding));
            }
            complaints
        });
    }
    let complaints: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[tokio::test]
async fn an_honest_host_passes_and_a_thief_does_not() {
    let dns = FakeDns::serve(HONEST).await;
    let (live, registry) = live(config(&[dns.address()]));
    let findings = live.findings(ip(), &name("mail.example.com"), asker()).await;
    assert_eq!(shown(&findings), "csa=pass iprev=pass:ehlo forward=pass");
    let forward = findings.get(System::Forward).expect("complete");
    assert_eq!(forward.records, ["mail.example.com. A: 192.0.2.7"]);

    let thief = "192.0.2.66".parse().expect("an address");
    let findings = live.findings(thief, &name("mail.example.com"), asker()).await;
    assert_eq!(shown(&findings), "csa=fail:mismatch iprev=permerror:noptr forward=fail:mismatch");
    assert_eq!(metric(&registry, "helostat_live_findings_total", "pass"), 3.0);
    assert_eq!(metric(&registry, "helostat_live_findings_total", ""), 6.0);
    assert_eq!(metric(&registry, "helostat_live_in_flight", ""), 0.0);
    // 192.0.2.7: PTR, A, SRV. 192.0.2.66: PTR alone; the rest is known.
    assert_eq!(dns.total(), 4);
    assert_eq!(metric(&registry, "helostat_live_questions_total", ""), 4.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_callers_about_one_pair_ask_once() {
    let dns = FakeDns::serve(HONEST).await;
    dns.set_delay(Duration::from_millis(50));
    let (live, registry) = live(config(&[dns.address()]));
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let live = Arc::clone(&live);
        callers.spawn(async move {
            shown(&live.findings(ip(), &name("mail.example.com"), asker()).await)
        });
    }
    for found in callers.join_all().await {
        assert_eq!(found, "csa=pass iprev=pass:ehlo forward=pass");
    }
    assert_eq!(dns.count(PTR, RecordType::Ptr), 1);
    // Three systems want it at the same time.
    assert_eq!(dns.count("mail.example.com.", RecordType::A), 1);
    // Shared by us, not only by the resolver beneath.
    assert_eq!(metric(&registry, "helostat_live_questions_total", ""), 3.0);
    assert_eq!(metric(&registry, "helostat_live_findings_total", ""), 3.0);
    assert_eq!(dns.count("_client._smtp.mail.example.com.", RecordType::Srv), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_pairs_of_one_client_ask_once_for_its_name() {
    let dns = FakeDns::serve(HONEST).await;
    dns.set_delay(Duration::from_millis(50));
    let (live, registry) = live(config(&[dns.address()]));
    let mut callers = JoinSet::new();
    for number in 0..50 {
        let live = Arc::clone(&live);
        callers.spawn(async move {
            let said = name(&format!("host{number}.example.net"));
            live.complete(ip(), &said).await.get(System::Iprev).map(ToString::to_string)
        });
    }
    for found in callers.join_all().await {
        assert_eq!(found.as_deref(), Some("pass"));
    }
    assert_eq!(dns.count(PTR, RecordType::Ptr), 1);
    assert_eq!(dns.count("mail.example.com.", RecordType::A), 1);
    // PTR and A once; A and SRV of every name; SRV of their one parent.
    let asked = metric(&registry, "helostat_live_questions_total", "");
    assert_eq!(asked, 2.0 + 50.0 * 2.0 + 1.0);
}

#[tokio::test]
async fn a_silent_resolver_costs_the_wait_and_no_more() {
    let dns = FakeDns::serve(&format!("{HONEST}\n!fault {PTR} PTR TIMEOUT")).await;
    let wait = Duration::from_millis(200);
    let (live, _) = live(LiveConfig { wait, ..config(&[dns.address()]) });
    let began = Instant::now();
    let findings = live.findings(ip(), &name("mail.example.com"), asker()).await;
    let took = began.elapsed();
    assert_eq!(shown(&findings), "csa=pass iprev=? forward=pass");
    assert!(took >= wait && took < wait + SLACK, "took {took:?}");

    // The question ends in the background, and its end is known then without waiting.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let findings = live.cached(ip(), &name("mail.example.com"));
    assert_eq!(shown(&findings), "csa=pass iprev=temperror:timeout forward=pass");
}

#[tokio::test]
async fn a_caller_that_goes_away_loses_nothing() {
    let dns = FakeDns::serve(HONEST).await;
    dns.set_delay(Duration::from_millis(100));
    let (live, _) = live(config(&[dns.address()]));
    let said = name("mail.example.com");
    let impatient =
        tokio::time::timeout(Duration::from_millis(20), live.findings(ip(), &said, asker())).await;
    assert!(impatient.is_err(), "the DNS is slower than that");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(live.cached(ip(), &said).complete());
}

/// Answers hold 100 ms, failures too.
fn brief() -> Holds {
    let brief = Duration::from_millis(100);
    Holds { positive_min: brief, positive_max: brief, failure: brief, ..Holds::default() }
}

#[tokio::test]
async fn past_answers_stand_in_for_a_failing_resolver() {
    for fault in ["SERVFAIL", "TIMEOUT"] {
        let dns = FakeDns::serve(HONEST).await;
        let (live, registry) = live(LiveConfig { holds: brief(), ..config(&[dns.address()]) });
        let said = name("mail.example.com");
        let all = "csa=pass iprev=pass:ehlo forward=pass";
        assert_eq!(shown(&live.findings(ip(), &said, asker()).await), all, "{fault}");
        assert_eq!(metric(&registry, "helostat_live_stale_total", ""), 0.0, "{fault}");

        dns.change(&format!(
            "!fault {PTR} * {fault}
             !fault mail.example.com. * {fault}
             !fault _client._smtp.mail.example.com. * {fault}"
        ));
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(shown(&live.cached(ip(), &said)), "csa=? iprev=? forward=?", "{fault}");
        let findings = live.findings(ip(), &said, asker()).await;
        assert_eq!(shown(&findings), all, "{fault}");
        for (system, finding) in findings.iter() {
            let records = &finding.expect("all are known").records;
            assert!(
                records.iter().all(|line| line.contains("(stale)")),
                "{fault} {system} {records:?}"
            );
        }
        assert!(metric(&registry, "helostat_live_stale_total", "") >= 3.0, "{fault}");

        dns.change(HONEST);
        tokio::time::sleep(Duration::from_millis(250)).await;
        let findings = live.findings(ip(), &said, asker()).await;
        let forward = findings.get(System::Forward).expect("all are known");
        assert_eq!(forward.records, ["mail.example.com. A: 192.0.2.7"], "{fault}: mended");
    }
}

#[tokio::test]
async fn past_findings_stand_in_when_there_is_no_time() {
    let dns = FakeDns::serve(HONEST).await;
    let config = LiveConfig { holds: brief(), ..config(&[dns.address()]) };
    let (live, _) = live(LiveConfig { wait: Duration::from_millis(80), ..config });
    let said = name("mail.example.com");
    assert!(live.complete(ip(), &said).await.complete());

    dns.set_delay(Duration::from_millis(300));
    tokio::time::sleep(Duration::from_millis(150)).await;
    let findings = live.findings(ip(), &said, asker()).await;
    assert_eq!(shown(&findings), "csa=pass iprev=pass:ehlo forward=pass");
    let forward = findings.get(System::Forward).expect("all are known");
    assert!(forward.records[0].contains("(stale)"), "{:?}", forward.records);
}

#[tokio::test]
async fn a_failure_does_not_push_out_what_was_found() {
    let dns = FakeDns::serve(HONEST).await;
    let limit = Duration::from_millis(200);
    let (live, _) = live(LiveConfig { limit, holds: brief(), ..config(&[dns.address()]) });
    let said = name("mail.example.com");
    let all = "csa=pass iprev=pass:ehlo forward=pass";
    assert_eq!(shown(&live.complete(ip(), &said).await), all);

    // The look-up ends by its limit before any question does.
    dns.set_delay(Duration::from_millis(400));
    for round in 1..=2 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let findings = live.complete(ip(), &said).await;
        assert_eq!(shown(&findings), all, "round {round}");
        let forward = findings.get(System::Forward).expect("all are known");
        let stale = forward.records.iter().filter(|line| line.contains("past its time")).count();
        assert_eq!(stale, 1, "round {round}: {:?}", forward.records);
    }
}

#[tokio::test]
async fn past_answers_do_not_stand_in_for_ever() {
    let dns = FakeDns::serve(HONEST).await;
    let holds = Holds { stale: Duration::ZERO, ..brief() };
    let (live, _) = live(LiveConfig { holds, ..config(&[dns.address()]) });
    let said = name("mail.example.com");
    assert!(live.complete(ip(), &said).await.complete());
    dns.change("!fault mail.example.com. * SERVFAIL");
    tokio::time::sleep(Duration::from_millis(150)).await;
    let findings = live.findings(ip(), &said, asker()).await;
    assert_eq!(shown(&findings), "csa=none iprev=permerror:noptr forward=temperror:servfail");
}

#[tokio::test]
async fn a_failure_is_never_an_absence() {
    for (fault, finding) in [("SERVFAIL", "temperror:servfail"), ("TIMEOUT", "temperror:timeout")] {
        let dns = FakeDns::serve(&format!("!fault {PTR} PTR {fault}")).await;
        let (live, _) = live(config(&[dns.address()]));
        let findings = live.findings(ip(), &name("mail.example.com"), asker()).await;
        let found = findings.get(System::Iprev).map(ToString::to_string);
        assert_eq!(found.as_deref(), Some(finding), "{fault}");
    }
}

#[tokio::test]
async fn truncated_answers_are_asked_again_over_tcp() {
    let mut records = HONEST.to_owned();
    for number in 0..60 {
        records += &format!("{PTR} PTR number-{number}.of-very-many.names.example.net.\n");
    }
    let dns = FakeDns::serve(&records).await;
    let (live, _) = live(config(&[dns.address()]));
    let findings = live.findings(ip(), &name("mail.example.com"), asker()).await;
    assert_eq!(shown(&findings), "csa=pass iprev=pass:ehlo forward=pass");
    assert_eq!((dns.count(PTR, RecordType::Ptr), dns.over_tcp()), (2, 1));
    let iprev = findings.get(System::Iprev).expect("all are known");
    assert_eq!(iprev.records.len(), 2, "the name that was said is asked for first");
}

#[tokio::test]
async fn truncation_without_tcp_is_a_failure() {
    let dns = FakeDns::serve(&format!("{HONEST}\n!fault {PTR} PTR TCFAIL")).await;
    let (live, _) = live(config(&[dns.address()]));
    let findings = live.findings(ip(), &name("mail.example.com"), asker()).await;
    let iprev = findings.get(System::Iprev).map(ToString::to_string).unwrap_or_default();
    assert!(iprev.starts_with("temperror:"), "{iprev}");
    assert!(dns.over_tcp() >= 1, "TCP was tried");
}

#[tokio::test]
async fn aliases_are_followed_to_their_records() {
    let dns = FakeDns::serve(
        "_client._smtp.mail.example.com. CNAME csa.example.net.
         csa.example.net. SRV 1 2 0 out.example.org.
         out.example.org. CNAME host.example.org.
         host.example.org. A 192.0.2.7
         mail.example.com. CNAME mail.example.com.
         7.2.0.192.in-addr.arpa. CNAME 7.0/25.2.0.192.in-addr.arpa.
         7.0/25.2.0.192.in-addr.arpa. PTR localhost.
         localhost. A 192.0.2.7",
    )
    .await;
    for chains in [Chains::Whole, Chains::FirstLink] {
        dns.set_chains(chains);
        let (live, _) = live(config(&[dns.address()]));
        let findings = live.findings(ip(), &name("mail.example.com"), asker()).await;
        let all = "csa=pass iprev=pass forward=permerror:alias-loop";
        assert_eq!(shown(&findings), all, "{chains:?}");
        let csa = findings.get(System::Csa).expect("all are known");
        assert_eq!(
            csa.records,
            [
                "_client._smtp.mail.example.com. SRV: 1 2 0 out.example.org. (at csa.example.net.)",
                "out.example.org. A: 192.0.2.7 (at host.example.org.)",
            ],
            "{chains:?}"
        );
    }
}

#[tokio::test]
async fn a_dead_resolver_is_not_missed() {
    let dead = FakeDns::serve("").await;
    dead.set_delay(Duration::from_secs(60));
    let dns = FakeDns::serve(HONEST).await;
    let (live, _) = live(config(&[dead.address(), dns.address()]));
    let findings = live.findings(ip(), &name("mail.example.com"), asker()).await;
    assert_eq!(shown(&findings), "csa=pass iprev=pass:ehlo forward=pass");
}

#[tokio::test]
async fn limits_are_failures_of_their_own() {
    let dns = FakeDns::serve(HONEST).await;
    let base = || config(&[dns.address()]);
    for (limit, config) in [
        ("questions-per-client", LiveConfig { questions_per_client: 0, ..base() }),
        ("questions-per-domain", LiveConfig { questions_per_domain: 0, ..base() }),
        ("questions-per-asker", LiveConfig { questions_per_asker: 0, ..base() }),
        ("questions-per-second", LiveConfig { questions_per_second: 0, ..base() }),
        ("concurrent", LiveConfig { questions_at_once: 0, ..base() }),
    ] {
        let (live, registry) = live(config);
        let findings = live.findings(ip(), &name("mail.example.com"), asker()).await;
        let all = "csa=temperror:budget iprev=temperror:budget forward=temperror:budget";
        assert_eq!(shown(&findings), all, "{limit}");
        assert_eq!(metric(&registry, "helostat_live_dropped_total", limit), 3.0, "{limit}");
    }
    assert_eq!(dns.total(), 0);
}

#[tokio::test]
async fn without_room_nothing_is_known_and_nobody_waits() {
    let dns = FakeDns::serve(HONEST).await;
    let (live, registry) = live(LiveConfig { clients_at_once: 0, ..config(&[dns.address()]) });
    let began = Instant::now();
    let findings = live.findings(ip(), &name("mail.example.com"), asker()).await;
    assert!(began.elapsed() < SLACK);
    assert_eq!(shown(&findings), "csa=? iprev=? forward=?");
    live.prefetch(ip(), &name("mail.example.com"));
    assert_eq!(metric(&registry, "helostat_live_dropped_total", "clients"), 1.0);
    assert_eq!(metric(&registry, "helostat_live_ahead", ""), 1.0, "it waits its turn");
    assert_eq!(dns.total(), 0);
}

#[tokio::test]
async fn the_whole_look_up_has_a_limit() {
    // Ten names, each of which would take half a second to fail.
    let mut records = String::new();
    for number in 0..10 {
        records +=
            &format!("{PTR} PTR h{number}.example.net.\n!fault h{number}.example.net. A TIMEOUT\n");
    }
    let dns = FakeDns::serve(&records).await;
    let limit = Duration::from_millis(700);
    let (live, _) = live(LiveConfig { limit, ..config(&[dns.address()]) });
    let began = Instant::now();
    let findings = live.complete(ip(), &name("mail.example.com")).await;
    let took = began.elapsed();
    assert_eq!(shown(&findings), "csa=none iprev=temperror:timeout forward=none:noaddr");
    assert!(took >= limit && took < limit + SLACK, "took {took:?}");
}

#[tokio::test]
async fn looking_ahead_makes_the_answer_ready() {
    let dns = FakeDns::serve(HONEST).await;
    let (live, registry) = live(config(&[dns.address()]));
    let said = name("mail.example.com");
    assert_eq!(shown(&live.cached(ip(), &said)), "csa=? iprev=? forward=?");
    live.prefetch(ip(), &said);
    live.prefetch(ip(), &said);
    while !live.cached(ip(), &said).complete() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked = dns.total();
    assert_eq!(asked, 3);
    // A mapped address is the same client.
    let mapped = "::ffff:192.0.2.7".parse().expect("an address");
    assert!(live.findings(mapped, &said, asker()).await.complete());
    live.prefetch(ip(), &said);
    assert_eq!(dns.total(), asked, "everything was known");
    assert_eq!(metric(&registry, "helostat_live_dropped_total", ""), 0.0);
}

#[tokio::test]
async fn switched_off_it_asks_nobody() {
    let dns = FakeDns::serve(HONEST).await;
    let (live, _) = live(LiveConfig { enabled: false, ..config(&[dns.address()]) });
    let said = name("mail.example.com");
    live.prefetch(ip(), &said);
    for findings in [
        live.findings(ip(), &said, asker()).await,
        live.complete(ip(), &said).await,
        live.cached(ip(), &said),
    ] {
        assert_eq!(shown(&findings), "csa=? iprev=? forward=?");
    }
    assert_eq!(dns.total(), 0);
}

#[tokio::test]
async fn labels_hold_no_address_and_no_name() {
    let dns = FakeDns::serve(HONEST).await;
    let (live, registry) = live(config(&[dns.address()]));
    live.complete(ip(), &name("mail.example.com")).await;
    let mut labels = 0;
    for family in registry.gather() {
        assert!(family.name().starts_with("helostat_live_"), "{}", family.name());
        for pair in family.get_metric().iter().flat_map(|metric| metric.get_label()) {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            assert!(pair.value().bytes().all(plain), "{}={}", pair.name(), pair.value());
            labels += 1;
        }
    }
    assert!(labels > 0);
}

#[test]
fn outside_a_runtime_it_does_not_start() {
    assert!(Live::new(LiveConfig::default(), &Registry::new()).is_err());
}

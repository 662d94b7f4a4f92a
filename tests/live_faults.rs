//! Resolvers that answer badly: whatever comes, the finding is an error that says why, in bounded time; never that
//! nothing is published.

use std::sync::Arc;
use std::time::{Duration, Instant};

use helostat_server::live::{Live, LiveConfig};
use helostat_tests::fakedns::{FakeDns, Fault};
use helostat_zones::evidence::{Failure, System};
use helostat_zones::name::Name;
use prometheus::Registry;
use tokio::task::JoinSet;

/// A host of which these systems pass; each question goes wrong in turn.
const HONEST: &str = "
    7.2.0.192.in-addr.arpa. PTR mail.example.com.
    mail.example.com. A 192.0.2.7
    _client._smtp.mail.example.com. SRV 1 2 0 mail.example.com.
";
const QUESTIONS: [(System, &str); 3] = [
    (System::Iprev, "7.2.0.192.in-addr.arpa. PTR"),
    (System::Forward, "mail.example.com. A"),
    (System::Csa, "_client._smtp.mail.example.com. SRV"),
];
/// How long a question may take, with everything that is sent again for it: less than what is slow, more than it takes
/// to read a tangle of 64 kB.
const QUESTION: Duration = Duration::from_secs(3);
/// What a test on a busy machine may take beyond that.
const SLACK: Duration = Duration::from_secs(2);

/// The finding of `system` in this world: its words, and how long it took.
async fn found(system: System, records: &str) -> (String, Duration) {
    let dns = FakeDns::serve(records).await;
    let config = LiveConfig {
        resolvers: vec![dns.address()],
        question_timeout: QUESTION,
        systems: vec![system],
        ..LiveConfig::default()
    };
    let live: Arc<Live> = Live::new(config, &Registry::new()).expect("a valid configuration");
    let client = "192.0.2.7".parse().expect("an address");
    let began = Instant::now();
    let findings = live.complete(client, &Name::parse(b"mail.example.com")).await;
    let finding = findings.get(system).expect("the limit leaves room for it");
    (finding.to_string(), began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_is_an_error_in_time() {
    let mut running = JoinSet::new();
    for (system, question) in QUESTIONS {
        for (word, _, failure) in Fault::ALL {
            let fault = format!("!fault {question} {word}");
            running.spawn(async move {
                let (finding, took) = found(system, &format!("{HONEST}{fault}")).await;
                let result = if failure == Failure::AliasLoop { "permerror" } else { "temperror" };
                let fits = finding == format!("{result}:{}", failure.word());
                let in_time = took < QUESTION + SLACK;
                (!fits || !in_time).then(|| format!("{fault}: {finding} after {took:?}"))
            });
        }
    }
    let complaints: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Where the records are not what goes wrong, but the way to them is long.
#[tokio::test]
async fn aliases_end_somewhere_or_are_an_error() {
    let chain = |links: usize| {
        let link = |at| format!("h{at}.example.net. CNAME h{}.example.net.\n", at + 1);
        let all: String = (0..links - 1).map(link).collect();
        format!(
            "mail.example.com. CNAME h0.example.net.\n{all}h{}.example.net. A 192.0.2.7",
            links - 1
        )
    };
    for (links, finding) in [(1, "pass"), (8, "pass"), (9, "permerror:alias-loop")] {
        let (found, _) = found(System::Forward, &chain(links)).await;
        assert_eq!(found, finding, "{links} links");
    }
}

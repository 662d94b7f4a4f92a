//! Every vector through the real program: `helostat explain`, alone and beside its daemon, asks a DNS on loopback.
//!
//! All systems are on, as with a user, so that they share one budget of questions; the vector's options are keys
//! of its system's section. Once more for the first case of each vector a daemon answers.

use std::sync::Arc;
use std::thread::available_parallelism;

use helostat_tests::fakedns::FakeDns;
use helostat_tests::program::Site;
use helostat_tests::vectors::{Case, Task, collect, directory};
use helostat_zones::evidence::FindingResult;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};

/// How long the program waits for an answer, where one may stay away: short, so that silence is soon over.
const SILENCE: &str = "600ms";
/// How long it waits elsewhere: nothing but a busy machine makes answers late.
const PATIENCE: &str = "10s";

#[tokio::test(flavor = "multi_thread")]
async fn every_vector_holds() {
    let tasks = collect(&directory()).unwrap_or_else(|errors| panic!("{}", errors.join("\n")));
    let processors = available_parallelism().map_or(2, usize::from);
    // Some wait for silence while others work.
    let places = Arc::new(Semaphore::new(2 * processors));
    let mut running = JoinSet::new();
    for task in tasks {
        let places = Arc::clone(&places);
        running.spawn(async move {
            let _place = places.acquire().await.expect("nobody closes it");
            run(Arc::new(task)).await
        });
    }
    let mut complaints: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    complaints.sort();
    assert!(complaints.is_empty(), "{} of them\n{}", complaints.len(), complaints.join("\n"));
}

/// Runs the cases of one vector; gives what is wrong with them.
async fn run(task: Arc<Task>) -> Vec<String> {
    let dns = FakeDns::serve(&task.vector.records).await;
    let site = Site::new("");
    site.configure(&configuration(&task, &dns));
    let site = Arc::new(site);
    let mut complaints = Vec::new();
    for at in 0..task.vector.cases.len() {
        let before = dns.total();
        let found = explained(&site, &task, at, false).await;
        let asked = dns.total() - before;
        complaints.extend(found.err().map(|why| format!("{why} ({asked} questions)")));
    }
    let found = explained(&site, &task, 0, true).await;
    complaints.extend(found.err().map(|why| format!("{why} (with a daemon)")));
    complaints
}

fn configuration(task: &Task, dns: &FakeDns) -> String {
    let silent = task.vector.records.contains("TIMEOUT");
    let timeout = if silent { SILENCE } else { PATIENCE };
    format!(
        r#"
[ledger]
path = "ledger"
[dns]
listen = ["127.0.0.1:0"]
[http]
listen = "127.0.0.1:0"
[[zone]]
origin = "rep.test"
[live]
resolver = ["{}"]
timeout = "{timeout}"
{}"#,
        dns.address(),
        task.section()
    )
}

/// Runs one case; fails with what is wrong.
async fn explained(
    site: &Arc<Site>,
    task: &Arc<Task>,
    at: usize,
    with_daemon: bool,
) -> Result<(), String> {
    let (site, task) = (Arc::clone(site), Arc::clone(task));
    let explaining = move || {
        let case = task.vector.cases.get(at).ok_or("no such case")?;
        let daemon = with_daemon.then(|| site.start());
        let done = site.run(&["explain", &case.ip.to_string(), &case.said, "--json"]);
        drop(daemon);
        check(&task, case, &done.stdout).map_err(|why| {
            let place = task.place(case);
            format!(
                "{place}: {} from {} must be {:?}, {why} {}",
                case.said, case.ip, case.expected, done.stderr
            )
        })
    };
    spawn_blocking(explaining).await.expect("it ends")
}

fn check(task: &Task, case: &Case, stdout: &str) -> Result<(), String> {
    let explanation: Value =
        serde_json::from_str(stdout).map_err(|why| format!("is no JSON: {why}"))?;
    let evidence = &explanation["evidence"];
    let finding = &evidence[task.system.word()];
    let result = finding["result"].as_str().and_then(FindingResult::parse);
    let fits = result.is_some_and(|result| case.expected.fits(result, finding["reason"].as_str()));
    if fits {
        return Ok(());
    }
    let of_others = evidence.as_object().into_iter().flatten();
    let starved: Vec<_> = of_others
        .filter(|(_, finding)| finding["reason"] == "budget")
        .map(|(system, _)| system.as_str())
        .collect();
    Err(format!("is {finding}; without budget: {starved:?}"))
}

//! The ledger beside embedded stores that keep a record for each key, at the same work on the same disk:
//! `cargo bench -p helostat-tests --features stores --bench stores -- [--json] [--NAME VALUE]...`
//!
//! `--observations` (3 million) over `--pairs` (1 million) by Zipf's law with exponent 1.1, one durable commit
//! for each `--batch` (10,000). Every store has a process of its own; all live at once and work in turns of
//! `--turn` (30) batches, in an order that rotates, so that what else the machine does hits all alike.
//! `--stores` (ledger,sled,redb,fjall,lmdb) leaves some out. docs/benchmarks.md has the numbers.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod crowd;
mod engines;
mod measure;
mod options;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use helostat_tests::program::Random;
use helostat_zones::observation::Observation;
use serde_json::{Value, json};

use crate::crowd::{Crowd, Mix, Zipf};
use crate::measure::{Written, at_share};
use crate::options::Options;

fn main() {
    let options = Options::read();
    match options.job() {
        None => compare(&options),
        Some("keep") => keep(&options),
        Some("reopen") => reopen(&options),
        Some(job) => panic!("no job has the name {job}: give none"),
    }
}

/// The columns of the table: the key in what a process measured, the head, and digits after the point.
const COLUMNS: [(&str, &str, usize); 9] = [
    ("updates_per_s", "updates/s", 0),
    ("cpu_us", "CPU us/update", 2),
    ("p50_ms", "batch p50 ms", 1),
    ("p99_ms", "batch p99 ms", 1),
    ("max_ms", "batch max ms", 1),
    ("written", "written octets/update", 0),
    ("disk", "disk octets/key", 0),
    ("rss_mb", "memory MB", 0),
    ("reopen_ms", "reopen ms", 1),
];

/// Has every store do the work, and prints what it cost.
fn compare(options: &Options) {
    let work = Work::of(options);
    let stores = options.text("stores").unwrap_or_else(|| engines::NAMES.join(","));
    let folder = tempfile::tempdir_in(options.folder()).expect("a folder for the stores");
    let load = measure::load();
    let mut workers: Vec<_> =
        stores.split(',').map(|name| Worker::start(options, name, folder.path())).collect();
    let turn: u64 = options.number("turn", 30);
    let turns = work.batches().div_ceil(turn);
    for number in 0..turns {
        let batches = turn.min(work.batches() - number * turn);
        for place in 0..workers.len() {
            let place = (place + number as usize) % workers.len();
            workers[place].ask(&format!("learn {batches}"));
        }
    }
    let (keys, records) = work.keys();
    let keys = keys as f64;
    let rows: Vec<_> = workers.into_iter().map(|worker| worker.end(options, keys)).collect();
    if options.has("json") {
        rows.iter().for_each(|row| println!("{row}"));
        return;
    }
    println!(
        "stores: {} observations over {} pairs ({keys} keys), commits of {} ({} records), load {load} to {}",
        work.observations,
        work.crowd.pairs(),
        work.batch,
        records as u64 / work.batches(),
        measure::load(),
    );
    println!("\n| store | {} |", COLUMNS.map(|(_, head, _)| head).join(" | "));
    println!("|---|{}", "---|".repeat(COLUMNS.len()));
    for row in &rows {
        let cells = COLUMNS
            .map(|(key, _, digits)| format!("{:.digits$}", row[key].as_f64().unwrap_or(f64::NAN)));
        println!("| {} | {} |", row["store"].as_str().unwrap_or_default(), cells.join(" | "));
    }
}

/// The process of one store.
struct Worker {
    name: String,
    folder: PathBuf,
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(options: &Options, name: &str, folder: &Path) -> Self {
        let folder = folder.join(name);
        let mut command = options.again("keep");
        command.args(["--store", name]).arg("--at").arg(&folder);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let orders = child.stdin.take().expect("its input is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("its output is a pipe")).lines();
        Self { name: name.to_owned(), folder, child, orders, answers }
    }

    /// Gives an order and waits until it is done.
    fn ask(&mut self, order: &str) -> Value {
        writeln!(self.orders, "{order}").expect("the store's process takes orders");
        let answer = self.answers.next().and_then(Result::ok);
        let answer = answer.unwrap_or_else(|| panic!("{} ended too early", self.name));
        serde_json::from_str(&answer).expect("what the process measured")
    }

    /// Ends the store, opens it again in a process of its own, and returns all that was measured.
    fn end(mut self, options: &Options, keys: f64) -> Value {
        let mut row = self.ask("end");
        assert!(self.child.wait().expect("it ends").success(), "{} ends well", self.name);
        let mut command = options.again("reopen");
        command.args(["--store", &self.name]).arg("--at").arg(&self.folder);
        let output = command.stderr(Stdio::inherit()).output().expect("a process");
        assert!(output.status.success(), "{} opens again", self.name);
        let reopened: Value = serde_json::from_slice(&output.stdout).expect("what was measured");
        row["store"] = json!(self.name);
        row["reopen_ms"] = reopened["reopen_ms"].clone();
        row["disk"] = json!(measure::disk(&self.folder) as f64 / keys);
        row
    }
}

/// The work, the same for every store.
struct Work {
    crowd: Crowd,
    law: Zipf,
    observations: u64,
    batch: u64,
}

impl Work {
    fn of(options: &Options) -> Self {
        let mix = options.text("mix").unwrap_or_else(|| "mail".to_owned());
        let crowd = Crowd::new(Mix::named(&mix), options.number("pairs", 1_000_000));
        let law = Zipf::new(crowd.pairs(), 1.1);
        let batch = options.number("batch", 10_000);
        Self { crowd, law, observations: options.number("observations", 3_000_000), batch }
    }

    fn batches(&self) -> u64 {
        self.observations.div_ceil(self.batch)
    }

    /// The observations of batch `number`.
    fn observations(&self, number: u64) -> Vec<Observation> {
        let mut random = Random(number << 32);
        let from = number * self.batch;
        (from..self.observations.min(from + self.batch))
            .map(|place| {
                let pair = self.crowd.at_rank(self.law.draw(&mut random));
                let time = Crowd::time(place, self.observations);
                self.crowd.observation(pair, time, &mut random)
            })
            .collect()
    }

    /// How many keys all of it has, and how many its batches have one by one.
    fn keys(&self) -> (usize, usize) {
        let (mut keys, mut records) = (HashSet::new(), 0);
        for number in 0..self.batches() {
            let observations = self.observations(number);
            let batch: HashSet<_> = observations
                .into_iter()
                .map(|seen| (seen.ip, crc32fast::hash(seen.name.text().as_bytes()), seen.reporter))
                .collect();
            records += batch.len();
            keys.extend(batch);
        }
        (keys.len(), records)
    }
}

/// The process of a store: takes orders on its input until the end.
fn keep(options: &Options) {
    let (name, folder) = (text(options, "store"), PathBuf::from(text(options, "at")));
    let work = Work::of(options);
    let mut engine = engines::open(&name, &folder);
    // So that the memory of making observations is there before the store's is measured.
    drop(work.observations(0));
    let (rss, cpu, written) = (measure::rss(), measure::cpu(), Written::now());
    let (mut times, mut making, mut next) = (Vec::new(), Duration::ZERO, 0);
    for order in std::io::stdin().lines() {
        let order = order.expect("the orders can be read");
        let Some(batches) = order.strip_prefix("learn ") else { break };
        for _ in 0..batches.parse().expect("a number of batches") {
            let begun = measure::thread_cpu();
            let observations = work.observations(next);
            making += measure::thread_cpu() - begun;
            next += 1;
            let begun = Instant::now();
            engine.learn(&observations);
            times.push(begun.elapsed());
        }
        println!("{{}}");
    }
    let grown = measure::rss().saturating_sub(rss);
    engine.close();
    let cpu = measure::cpu().saturating_sub(cpu).saturating_sub(making).as_secs_f64();
    let written = Written::now().since(written);
    let whole = work.observations as f64;
    let elapsed: Duration = times.iter().sum();
    times.sort_unstable();
    let ms = |share| at_share(&times, share).as_secs_f64() * 1e3;
    let measured = json!({
        "updates_per_s": whole / elapsed.as_secs_f64(),
        "cpu_us": cpu * 1e6 / whole,
        "p50_ms": ms(0.5),
        "p99_ms": ms(0.99),
        "max_ms": ms(1.0),
        "written": written.pages as f64 / whole,
        "written_calls": written.called as f64 / whole,
        "rss_mb": grown as f64 / 1e6,
        "peak_mb": measure::peak_rss() as f64 / 1e6,
    });
    println!("{measured}");
}

/// The process that opens a store again.
fn reopen(options: &Options) {
    let work = Work::of(options);
    let observations = work.observations(0);
    let begun = Instant::now();
    let engine = engines::open(&text(options, "store"), Path::new(&text(options, "at")));
    let known = observations.first().is_some_and(|observation| engine.knows(observation));
    let took = begun.elapsed();
    assert!(known, "the first observation is still known");
    println!("{}", json!({"reopen_ms": took.as_secs_f64() * 1e3}));
}

fn text(options: &Options, name: &str) -> String {
    options.text(name).unwrap_or_else(|| panic!("--{name} is missing"))
}

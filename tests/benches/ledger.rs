//! What the ledger costs: `cargo bench -p helostat-tests --bench ledger -- JOB [--json] [--NAME VALUE]...`
//!
//! - `fold`: how fast observations become durable, and what it writes for them
//! - `steady`: small commits every 10 ms, and what they cost readers
//! - `memory`: octets per pair, resident and on disk
//! - `open`: from the start of a process to the first answer, after an orderly end and after a kill
//! - `read`: one history
//! - `all`: one after the other
//!
//! Every case runs in a process of its own. The values and their defaults stand at the head of each
//! job's file; `HELOSTAT_PAIRS` does what `--pairs` does. Ledgers are made under `--folder` and removed.
//! docs/benchmarks.md has the numbers.

mod crowd;
mod fold;
mod learn;
mod measure;
mod memory;
mod open;
mod options;
mod read;
mod report;
mod steady;

use std::process::ExitCode;

use crate::options::Options;

/// What `all` does; the memory bench by its cases, since each wants a process that has held nothing yet.
const ALL: [&str; 6] = ["fold", "steady", "memory-mail", "memory-unique", "open", "read"];

fn main() -> ExitCode {
    let options = Options::read();
    match options.job() {
        Some("fold") => fold::run(&options),
        Some("steady") => steady::run(&options),
        Some("memory") => return in_turn(&options, &["memory-mail", "memory-unique"]),
        Some("memory-mail") => memory::run(&options, "mail"),
        Some("memory-unique") => memory::run(&options, "unique"),
        Some("open") => open::run(&options),
        Some("open-fill") => open::make(&options),
        Some("open-once") => open::once(&options),
        Some("open-commit") => open::commit_until_killed(&options),
        Some("read") => read::run(&options),
        None | Some("all") => return in_turn(&options, &ALL),
        Some(job) => panic!("no job has the name {job}: fold, steady, memory, open, read, all"),
    }
    ExitCode::SUCCESS
}

/// Does jobs one after the other, each in a process of its own; stops at the first that fails.
fn in_turn(options: &Options, jobs: &[&str]) -> ExitCode {
    for job in jobs {
        let status = options.again(job).status().expect("this bench starts once more");
        if !status.success() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

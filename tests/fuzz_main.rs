//! Every fuzz target over its corpus, and then over mutations of it.
//!
//! A failure prints the input; put it into `tests/fuzz/corpus/<target>` with the fix.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use helostat_tests::fuzz::mutate::Mutator;
use helostat_tests::fuzz::{self, TARGETS, Target};

/// How many mutations each target is given: the same ones at every run, so that the gate does not depend on
/// luck or speed. `HELOSTAT_MUTATIONS` asks for more.
const MUTATIONS: u64 = 2000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The files of a folder, sorted, with their names.
fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect();
    files.sort();
    files
}

fn try_input(target: Target, input: &[u8], origin: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!(
            "{origin} breaks a law (above): {} octets: b\"{}\"",
            input.len(),
            input.escape_ascii()
        );
    }
}

fn run(name: &str, target: Target) {
    let (mut seeds, mut longest) = (Vec::new(), 0);
    for (file, path) in files(&folder().join("corpus").join(name)) {
        let seed = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        try_input(target, &seed, &format!("corpus/{name}/{file}"));
        longest = longest.max(seed.len());
        seeds.push(seed);
    }
    assert!(seeds.len() > 1, "{name} has no corpus");
    assert!(longest <= 8192, "{longest} octets are more than a seed should have");
    let mut mutator = Mutator::new(&seeds);
    let asked = std::env::var("HELOSTAT_MUTATIONS").ok().and_then(|count| count.parse().ok());
    for tried in 1..=asked.unwrap_or(MUTATIONS) {
        try_input(target, &mutator.input(), &format!("{name}: mutation {tried}"));
    }
}

/// One test for each target, so that they run side by side and are named when they fail.
macro_rules! targets {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            run(stringify!($target), fuzz::$target);
        })*

        #[test]
        fn nothing_is_left_out() {
            let tested = [$(stringify!($target)),*];
            assert_eq!(TARGETS.map(|(name, _)| name), tested);
            let corpora: Vec<_> = files(&folder().join("corpus"));
            let binaries: Vec<_> = files(&folder().join("fuzz_targets"));
            let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("a manifest");
            for name in tested {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} in Cargo.toml");
            }
            let corpora: Vec<_> = corpora.iter().map(|(name, _)| name.as_str()).collect();
            let binaries: Vec<_> =
                binaries.iter().map(|(name, _)| name.trim_end_matches(".rs")).collect();
            assert_eq!((corpora, binaries), (tested.to_vec(), tested.to_vec()));
        }
    };
}

targets! {
    config
    dns_key
    dns_packet
    dns_reply
    ehlo_name
    evidence_lines
    evidence_pool
    framing
    gz_history
    ledger_batch
    ledger_record
    list_file
    log_line
    position
    postfix_requests
    reader_state
    syslog_frames
    wrapped_text
}

//! scratch
#![allow(clippy::all, missing_docs, clippy::print_stdout, clippy::unwrap_used)]
use helostat_ingest::reader::{FormatChoice, Reader};
use helostat_zones::time::Time;
use std::time::Instant;
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let bytes = std::fs::read(path).unwrap();
    let mut reader = Reader::new(FormatChoice::Auto, "x".into(), jiff::tz::TimeZone::UTC);
    let mut out = Vec::new();
    let latest = Time::parse("2026-11-27T00:00:00Z").unwrap();
    let mut n = 0u64;
    let rounds = 2;
    for _ in 0..rounds {
        let t = Instant::now();
        let c0 = cpu();
        n = 0;
        let mut lines = 0;
        let mut at = 0;
        while let Some(end) = memchr::memchr(b'\n', &bytes[at..]) {
            reader.read(&bytes[at..at + end], latest, &mut out);
            at += end + 1;
            lines += 1;
            n += out.len() as u64;
            out.clear();
        }
        let s = cpu() - c0;
        println!(
            "{} lines {} obs: {:.0} MB/s cpu, {:.0} MB/s wall, {:.0} ns/line",
            lines,
            n,
            bytes.len() as f64 / 1e6 / s,
            bytes.len() as f64 / 1e6 / t.elapsed().as_secs_f64(),
            s * 1e9 / lines as f64
        );
    }
}
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    s.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

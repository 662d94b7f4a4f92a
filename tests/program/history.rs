//! Rotated history: many files, packed in every way, given in any order, learned again and interrupted.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use helostat_tests::maillog::{MailLog, Mta};
use helostat_tests::program::{Random, Site};
use helostat_zones::time::Time;

/// How many pieces each log has.
const PIECES: usize = 8;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text).expect("memory takes everything");
    packer.finish().expect("memory takes everything")
}

fn xz(text: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(0);
    let mut packer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("an xz stream");
    packer.write_all(text).expect("memory takes everything");
    packer.finish().expect("memory takes everything")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

/// What both logs hold in all, the one after the other.
fn logs(octets: usize) -> [(&'static str, Vec<u8>); 2] {
    [("mail.log", Mta::Postfix), ("mainlog", Mta::Exim)].map(|(name, mta)| {
        let mut text = Vec::new();
        MailLog::new(mta, 7, 2_000, Time(1_763_600_000), 20_000).write(&mut text, octets);
        (name, text)
    })
}

/// Cuts both logs into rotated pieces, packed in every way; sessions span them. Their names, the oldest first.
fn rotated(site: &Site, logs: &[(&str, Vec<u8>)]) -> Vec<String> {
    let mut names = Vec::new();
    for (log, text) in logs {
        let mut rest = text.as_slice();
        for piece in (0..PIECES).rev() {
            let end = match piece {
                0 => rest.len(),
                _ => {
                    let near = rest.len() / (piece + 1);
                    near + rest[near..].iter().position(|octet| *octet == b'\n').expect("lines") + 1
                }
            };
            let (now, then) = rest.split_at(end);
            rest = then;
            let (end, content) = match piece % 4 {
                0 => ("", now.to_vec()),
                1 => (".gz", gzip(now)),
                2 => (".xz", xz(now)),
                _ => (".zst", zstd(now)),
            };
            let number = if piece == 0 { String::new() } else { format!(".{piece}") };
            let name = format!("{log}{number}{end}");
            site.write(&name, content);
            names.push(name);
        }
    }
    names
}

/// The dump after learning both logs whole.
fn expected(logs: &[(&str, Vec<u8>)]) -> String {
    let site = Site::new("");
    for (name, text) in logs {
        site.write(name, text);
        site.ok(&["learn", name]);
    }
    let dump = site.dump();
    assert!(dump.lines().count() > 2_000, "{dump}");
    dump
}

#[test]
fn learned_twice_gives_the_ledger_of_once() {
    let logs = logs(3_000_000);
    let expected = expected(&logs);
    let site = Site::new("");
    let names = rotated(&site, &logs);
    let mut shuffled: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut random = Random(3);
    for at in (1..shuffled.len()).rev() {
        shuffled.swap(at, random.below(at as u64 + 1) as usize);
    }
    let learn = |files: &[&str]| site.ok(&[&["learn"], files].concat());
    learn(&shuffled);
    assert!(site.dump() == expected, "in any order, the sessions whole");
    shuffled.reverse();
    learn(&shuffled);
    learn(&["mail.log*", "mainlog*"]);
    for name in &shuffled {
        learn(&[name]);
    }
    assert!(site.dump() == expected, "again");
    // Rotated and packed since.
    site.write("mail.log.9.xz", xz(&std::fs::read(site.path("mail.log")).expect("a log")));
    learn(&["mail.log.9.xz"]);
    assert!(site.dump() == expected, "under another name");
}

#[test]
fn interrupted_anywhere_and_repeated() {
    let logs = logs(3_000_000);
    let expected = expected(&logs);
    let site = Site::new("[ingest]\nbatch = 500\n");
    let names = rotated(&site, &logs);
    let mut args = vec!["learn"];
    args.extend(names.iter().rev().map(String::as_str));
    let mut random = Random(5);
    for _ in 0..12 {
        let mut command = site.command(&args);
        let mut child = command.stdout(Stdio::null()).spawn().expect("the program starts");
        std::thread::sleep(Duration::from_millis(5 + random.below(120)));
        child.kill().expect("it was there");
        child.wait().expect("it ends");
    }
    site.ok(&args);
    assert!(site.dump() == expected);
}

#[test]
fn observations_of_several_files_are_those_of_one() {
    let logs = logs(1_000_000);
    let site = Site::new("");
    let names = rotated(&site, &logs[..1]);
    site.write("whole", &logs[0].1);
    let whole = site.ok(&["learn", "--to-json", "whole"]);
    let mut args = vec!["learn", "--to-json"];
    args.extend(names.iter().rev().map(String::as_str));
    assert!(site.ok(&args) == whole);
    assert!(whole.lines().count() > 1_000);
}

#[test]
fn what_matches_nothing_is_said() {
    let site = Site::new("");
    site.write("mail.log", logs(1_000)[0].1.as_slice());
    for args in [&["learn", "mail.log", "none-*"] as &[&str], &["learn", "--to-json", "none-*"]] {
        site.fails(args, 5, &["helostat: no file matches none-*"]);
    }
    let wrong = "helostat: '[a' is no pattern for names of files: invalid range pattern";
    site.fails(&["learn", "[a"], 5, &[wrong]);
    assert!(!site.path("ledger").exists(), "nothing was begun");
}

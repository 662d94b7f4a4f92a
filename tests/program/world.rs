//! Files of a made-up world, read by the program: nothing of what the sites saw is lost on the way.

use std::collections::BTreeMap;
use std::fs;

use helostat_tests::maillog::Mta;
use helostat_tests::program::Site;
use helostat_tests::world::{Settings, World, write};
use serde_json::Value;

fn world() -> World {
    World::new(&Settings { senders: 20, days: 20, ..Settings::default() })
}

/// What the program reads from files, as time, address, name, reverse name and outcome, each with its count.
fn read(site: &Site, files: &[String]) -> BTreeMap<[String; 5], usize> {
    let mut args = vec!["learn", "--to-json", "--time-zone", "UTC"];
    args.extend(files.iter().map(String::as_str));
    let done = site.run(&args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut found = BTreeMap::new();
    for line in done.stdout.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
        *found.entry(["time", "ip", "ehlo", "rdns", "outcome"].map(text)).or_default() += 1;
    }
    found
}

/// The same of the world itself.
fn truth(world: &World) -> BTreeMap<[String; 5], usize> {
    let mut found = BTreeMap::new();
    for message in world.messages() {
        let seen = message.observation;
        let rdns = seen.rdns.unwrap_or_default().into();
        let row = [
            seen.time.to_string(),
            seen.ip.to_string(),
            seen.name.text().into(),
            rdns,
            seen.outcome.word().into(),
        ];
        *found.entry(row).or_default() += 1;
    }
    found
}

/// A log for each site; their names.
fn logs(site: &Site, world: &World, mta: Mta) -> Vec<String> {
    let folder = site.path("logs");
    fs::create_dir(&folder).expect("a folder");
    write::logs::write(world, mta, &folder).expect("files");
    let seen = world.sites().iter().zip(world.volumes()).filter(|(_, messages)| *messages > 0);
    seen.map(|(site, _)| format!("logs/{}.log", site.reporter)).collect()
}

#[test]
fn every_row_of_the_table_is_taken() {
    let (site, world) = (Site::new(""), world());
    let mut table = Vec::new();
    write::csv::write(&world, &mut table).expect("memory takes everything");
    site.write("world.csv", table);
    assert!(read(&site, &["world.csv".to_owned()]) == truth(&world));
}

#[test]
fn json_lines_are_read_as_they_were_written() {
    let (site, world) = (Site::new(""), world());
    let mut lines = Vec::new();
    write::json::write(&world, &mut lines).expect("memory takes everything");
    site.write("world.json", &lines);
    let done = site.run(&["learn", "--to-json", "world.json"]);
    assert!(done.code == 0 && done.stdout.as_bytes() == lines, "{}", done.stderr);
}

#[test]
fn a_postfix_log_tells_all_that_the_site_saw() {
    let (site, world) = (Site::new(""), world());
    let files = logs(&site, &world, Mta::Postfix);
    assert!(read(&site, &files) == truth(&world));
}

#[test]
fn an_exim_log_tells_nearly_all_messages() {
    let (site, world) = (Site::new(""), world());
    let files = logs(&site, &world, Mta::Exim);
    let found = read(&site, &files);
    let named = |rows: &BTreeMap<[String; 5], usize>| -> usize {
        let taken = |row: &[String; 5]| row[4] == "accepted" || row[4] == "partial";
        rows.iter().filter(|(row, _)| taken(row)).map(|(_, count)| count).sum()
    };
    assert_eq!(named(&found), named(&truth(&world)), "each message that was taken is told");
    let all: usize = found.values().sum();
    // Refusals of one address within a minute may be one session.
    assert!(all <= world.len() && all * 100 >= world.len() * 99, "{all} of {}", world.len());
}

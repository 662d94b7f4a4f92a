//! Laws of loading: a dump that is loaded gives itself, two ledgers merged are one ledger of both, and no
//! content counts twice, wherever a load was interrupted.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::fmt::Debug;
use std::io::{self, Read};

use helostat_zones::ledger::load::{LoadError, Loaded, Source, Taker, load};
use helostat_zones::ledger::{Batch, Bounds, Ledger};
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, ReporterKind};
use helostat_zones::time::Time;
use proptest::prelude::*;

fn observation(reporters: &'static [&'static str]) -> impl Strategy<Value = Observation> {
    let names = prop::sample::select(vec![
        "mail.example.com",
        "mx1.example.com",
        "mx2.example.com",
        "mail.example.net",
        "localhost",
        "[192.0.2.7]",
        "odd \"name\\",
        "\u{7f}",
        "",
    ]);
    let ips = prop::sample::select(vec![
        "192.0.2.7",
        "192.0.2.8",
        "192.0.3.8",
        "198.51.100.1",
        "2001:db8::7",
        "2001:db8::8",
        "2001:db8:0:1::8",
    ]);
    let outcome = prop::sample::select(Outcome::ALL.to_vec());
    let before = prop::option::weighted(0.2, prop::sample::select(Outcome::ALL.to_vec()));
    let rdns = prop::sample::select(vec![None, Some("a.example.com"), Some("mail.example.com")]);
    let reporter = prop::sample::select(reporters);
    (0u32..120 * 86_400, ips, names, (outcome, before), reporter, rdns, any::<bool>()).prop_map(
        |(seconds, ip, name, (outcome, before), reporter, rdns, by_us)| Observation {
            time: Time(1_790_000_000 + seconds),
            ip: ip.parse().expect(ip),
            name: Name::parse(name.as_bytes()),
            rdns: rdns.map(Into::into),
            outcome,
            stage: None,
            by_us: by_us && outcome == Outcome::Rejected,
            supersedes: before,
            reporter: reporter.into(),
        },
    )
}

fn observations() -> impl Strategy<Value = Vec<Observation>> {
    prop::collection::vec(observation(&["mx1", "mx2", "trap"]), 1..80)
}

fn learn(ledger: &Ledger, observations: &[Observation], size: usize) {
    for (i, observations) in observations.chunks(size).enumerate() {
        let mut batch = Batch::default();
        for observation in observations {
            let trap = observation.reporter.as_ref() == "trap";
            let kind = if trap { ReporterKind::Trap } else { ReporterKind::Mx };
            batch.observe(observation, kind);
        }
        batch.reach("log", vec![i as u8]);
        ledger.commit(&batch).unwrap();
    }
}

/// Gives a sweep, and the one after it, the commits that they need.
fn settle(ledger: &Ledger) {
    for i in 0..300u16 {
        let mut batch = Batch::default();
        batch.reach("log", i.to_be_bytes().to_vec());
        ledger.commit(&batch).unwrap();
    }
}

fn dump(ledger: &Ledger, positions: bool) -> String {
    let mut bytes = Vec::new();
    ledger.dump(&mut bytes, positions).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn load_text<T: Taker>(taker: &T, text: &str) -> Result<Loaded, LoadError<T::Error>> {
    let source = Source::Stream { stream: Box::new(text.as_bytes()), keep: &tempfile::tempfile };
    load(source, taker, &mut |_| {})
}

fn loaded<T: Taker<Error: Debug>>(taker: &T, text: &str) -> Loaded {
    load_text(taker, text).unwrap()
}

fn narrow(pairs_per_client: usize, clients_per_name: usize, keep_days: u32) -> Bounds {
    Bounds { pairs_per_client, clients_per_name, keep_days, ..Bounds::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_dump_that_is_loaded_gives_itself(
        observations in observations(),
        size in 1usize..20,
        pairs in 1usize..6,
        clients in 1usize..4,
    ) {
        let bounds = narrow(pairs, clients, 400);
        let ledger = Ledger::in_memory(bounds);
        learn(&ledger, &observations, size);
        let told = dump(&ledger, false);
        let again = Ledger::in_memory(bounds);
        loaded(&again, &told);
        prop_assert_eq!(dump(&again, false), told.as_str());
        loaded(&again, &told);
        prop_assert_eq!(dump(&again, false), told, "loaded twice");
    }

    #[test]
    fn a_dump_of_what_is_left_gives_itself(
        mut observations in observations(),
        size in 1usize..6,
        keep in 10u32..30,
    ) {
        observations.sort_by_key(|observation| observation.time);
        let bounds = narrow(4, 3, keep);
        let ledger = Ledger::in_memory(bounds);
        learn(&ledger, &observations, size);
        settle(&ledger);
        let told = dump(&ledger, false);
        let again = Ledger::in_memory(bounds);
        loaded(&again, &told);
        settle(&again);
        prop_assert_eq!(dump(&again, false), told);
    }

    #[test]
    fn two_ledgers_merged_are_one_of_both(
        ours in observations(),
        theirs in observations(),
        size in 1usize..20,
        clients in 1usize..4,
    ) {
        let bounds = narrow(1000, clients, 400);
        let both = Ledger::in_memory(bounds);
        learn(&both, &ours, size);
        learn(&both, &theirs, 80);
        let expected = dump(&both, false);
        for (ours, theirs) in [(&ours, &theirs), (&theirs, &ours)] {
            let [here, there] = [ours, theirs].map(|observations| {
                let ledger = Ledger::in_memory(bounds);
                learn(&ledger, observations, size);
                ledger
            });
            loaded(&here, &dump(&there, true));
            prop_assert_eq!(dump(&here, false), expected.as_str());
        }
    }

    #[test]
    fn an_interrupted_load_goes_on(
        observations in observations(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        broken in any::<prop::sample::Index>(),
    ) {
        let ledger = Ledger::in_memory(narrow(2, 2, 400));
        learn(&ledger, &observations, 10);
        let told = dump(&ledger, true);
        let again = Ledger::in_memory(narrow(2, 2, 400));
        // Begun several times, each time cut off somewhere, or with a line that cannot be read.
        let lines: Vec<_> = told.split_inclusive('\n').collect();
        let mut begun = 0;
        for cut in cuts {
            let cut = cut.index(told.len());
            let cut_off = told.get(..cut).unwrap();
            begun = begun.max(cut_off.lines().count());
            // A whole object without its line end is a line, too.
            let whole = told.get(cut..=cut) == Some("\n") || cut_off.ends_with('\n') || cut == 0;
            prop_assert_eq!(load_text(&again, cut_off).is_ok(), whole);
        }
        // After what was taken in: with another line before that place it is another content.
        if begun < lines.len() {
            let broken = begun + broken.index(lines.len() - begun);
            let mut bad = lines.clone();
            bad[broken] = "{\"client\":true}\n";
            match load_text(&again, &bad.concat()) {
                Err(LoadError::Line(line)) => prop_assert_eq!(line.line, broken as u64 + 1),
                other => prop_assert!(false, "{:?}", other),
            }
        }
        loaded(&again, &told);
        prop_assert_eq!(dump(&again, false), dump(&ledger, false));
        prop_assert_eq!(loaded(&again, &told).lines, 0);
    }
}

/// A dump of many batches.
fn long() -> (Ledger, String) {
    let ledger = Ledger::in_memory(narrow(3, 100, 400));
    let observations: Vec<_> = (0..30_000u32)
        .map(|i| Observation {
            time: Time(1_790_000_000 + i * 97),
            ip: std::net::Ipv4Addr::from(0xc000_0200 + i / 4).into(),
            name: Name::parse(format!("mx{i}.example{}.com", i % 300).as_bytes()),
            rdns: Some("mail.example.com".into()),
            outcome: if i % 3 == 0 { Outcome::Rejected } else { Outcome::Accepted },
            stage: None,
            by_us: i % 6 == 0,
            supersedes: None,
            reporter: if i % 2 == 0 { "mx1" } else { "mx2" }.into(),
        })
        .collect();
    learn(&ledger, &observations, 5000);
    let told = dump(&ledger, false);
    (ledger, told)
}

/// A taker that fails after some commits, or after one that it made.
struct Failing<'a> {
    ledger: &'a Ledger,
    left: Cell<u32>,
    /// Whether the last one is made all the same, and only the answer is lost.
    made: bool,
}

impl Taker for Failing<'_> {
    type Error = String;

    fn positions(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
        Ok(self.ledger.positions(prefix))
    }

    fn commit(&self, batch: &Batch) -> Result<(), String> {
        // By way of the wire form, as to a daemon.
        let batch = Batch::from_bytes(&batch.to_bytes()).unwrap();
        let left = self.left.get();
        if left > 0 || self.made {
            self.ledger.commit(&batch).unwrap();
        }
        self.left.set(left.saturating_sub(1));
        if left > 0 { Ok(()) } else { Err("no space left on device".to_owned()) }
    }
}

#[test]
fn a_taker_that_fails_is_asked_again_later() {
    let (ledger, told) = long();
    assert!(told.lines().count() > 30_000);
    let again = Ledger::in_memory(ledger.bounds());
    for made in [false, true] {
        let failing = Failing { ledger: &again, left: Cell::new(1), made };
        let done = load_text(&failing, &told);
        assert!(
            matches!(&done, Err(LoadError::Taker(why)) if why.contains("no space")),
            "{done:?}"
        );
    }
    let rest = loaded(&again, &told);
    assert!(rest.skipped_lines >= 30_000, "three batches were taken in: {rest:?}");
    assert_eq!(rest.bytes, told.len() as u64);
    assert!(dump(&again, false) == told);
    let places = again.positions("load:");
    assert_eq!(places.len(), 1);
    let places: serde_json::Value = serde_json::from_slice(&places[0].1).unwrap();
    assert_eq!(places.as_array().map(Vec::len), Some(3), "one for each begin: {places}");
}

#[test]
fn what_can_be_opened_again_is_not_kept() {
    let (ledger, told) = long();
    let again = Ledger::in_memory(ledger.bounds());
    for lines in [told.lines().count() as u64, 0] {
        let opened = Cell::new(0);
        let mut open = || -> io::Result<Box<dyn Read>> {
            opened.set(opened.get() + 1);
            Ok(Box::new(io::Cursor::new(told.clone().into_bytes())))
        };
        let done = load(Source::Repeatable(&mut open), &again, &mut |_| {}).unwrap();
        assert_eq!(done.lines, lines);
        assert_eq!(opened.get(), if lines == 0 { 2 } else { 1 });
    }
    assert!(dump(&again, false) == told);
}

#[test]
fn positions_are_taken_over_where_they_are_not_known() {
    let reach = |ledger: &Ledger, source: &str, reached: &[u8]| {
        let mut batch = Batch::default();
        batch.reach(source, reached.to_vec());
        ledger.commit(&batch).unwrap();
    };
    let there = Ledger::in_memory(Bounds::default());
    reach(&there, "a", b"theirs");
    reach(&there, "b", b"theirs");
    let here = Ledger::in_memory(Bounds::default());
    reach(&here, "a", b"ours");
    let done = loaded(&here, &dump(&there, true));
    assert_eq!((done.positions, done.known_positions), (1, 1));
    assert_eq!(here.position("a").unwrap(), b"ours");
    assert_eq!(here.position("b").unwrap(), b"theirs");
}

#[test]
fn the_same_ledger_told_with_and_without_positions_counts_once() {
    let (ledger, plain) = long();
    let with = dump(&ledger, true);
    for (first, second) in [(&plain, &with), (&with, &plain)] {
        let again = Ledger::in_memory(ledger.bounds());
        loaded(&again, first);
        assert_eq!(loaded(&again, second).pairs, 0);
        assert!(dump(&again, false) == plain);
    }
}

#[test]
fn what_another_ledger_loaded_is_loaded_with_it() {
    let (_, told) = long();
    let (first, _) = told.split_at(told.find('\n').unwrap() + 1);
    let between = Ledger::in_memory(Bounds::default());
    loaded(&between, &told);
    let here = Ledger::in_memory(Bounds::default());
    // A place of our own under the same name, to be united with theirs.
    let other = first.replace("mx1", "mx3");
    loaded(&here, &other);
    loaded(&here, &dump(&between, true));
    let before = dump(&here, false);
    assert_eq!(loaded(&here, &told).lines, 0);
    assert!(dump(&here, false) == before);
}

#[test]
fn two_dumps_in_one_file_are_two() {
    let (ledger, told) = long();
    let other = told.replace("\"mx1\"", "\"mx7\"").replace("mx2", "mx8");
    let [one_by_one, at_once] = [(); 2].map(|()| Ledger::in_memory(ledger.bounds()));
    loaded(&one_by_one, &told);
    loaded(&one_by_one, &other);
    loaded(&at_once, &(told + &other));
    assert!(dump(&one_by_one, false) == dump(&at_once, false));
}

#[test]
fn what_was_loaded_survives_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, told) = long();
    for compacted in [false, true] {
        let path = folder.path().join(compacted.to_string());
        {
            let again = Ledger::open(&path, ledger.bounds()).unwrap();
            loaded(&again, &told);
            if compacted {
                again.compact().unwrap();
            }
        }
        let again = Ledger::open(&path, ledger.bounds()).unwrap();
        assert!(dump(&again, false) == told, "compacted: {compacted}");
        assert_eq!(loaded(&again, &told).lines, 0);
    }
}

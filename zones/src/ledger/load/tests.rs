use proptest::prelude::*;

use super::*;
use crate::ledger::Bounds;

const PAIR: &str = r#"{"client":"192.0.2.7","name":"mail.example.com","kind":"fqdn","reporter":"mx1","reporter_kind":"mx","first":"2026-11-18T10:00:00Z","last":"2026-11-20T14:27:35Z","first_accepted":"2026-11-18T10:00:00Z","days":["2026-11-20","2026-11-18"],"accepted_days":["2026-11-20"],"outcomes":{"accepted":2,"rejected":-1},"by_us":3}"#;
const CLIENT: &str = r#"{"client":"2001:db8:1:2::/64","last_ip":"2001:db8:1:2::25","last_ip_time":"2026-11-20T14:27:35Z","rdns":"mail.example.com","rdns_time":"2026-11-20T14:27:35Z","trace":{"families":[],"names":["00000000000151a5"]}}"#;
const CROWD: &str = r#"{"crowd":"family","text":"example.com","clients":["00000000000151a5"],"networks":["00000000000151a5"]}"#;
const REPORTER: &str = r#"{"reporter":"mx1","kind":"mx","first":"2026-11-18T10:00:00Z","last":"2026-11-20T14:27:35Z","days":[],"accepted_days":[],"outcomes":{}}"#;
const LEARNED: &str = r#"{"learned":["2026-11-18/2026-11-18","2026-11-20/2026-11-20"]}"#;
const POSITION: &str = r#"{"position":"log","reached":"00ff"}"#;

fn loaded(text: &str) -> (Ledger, Result<Loaded, String>) {
    let ledger = Ledger::in_memory(Bounds::default());
    let source = Source::Stream { stream: Box::new(text.as_bytes()), keep: &tempfile::tempfile };
    let done = load(source, &ledger, &mut |_| {}).map_err(|error| match error {
        LoadError::Line(line) => line.to_string(),
        other => format!("{other:?}"),
    });
    (ledger, done)
}

#[test]
fn every_form_is_read() {
    let text = [PAIR, CLIENT, CROWD, REPORTER, LEARNED, POSITION].join("\n");
    let (ledger, done) = loaded(&text);
    // by_us of the reporter is less than that of its pair.
    assert_eq!(done, Err("4:1: by_us is 0, but 3 were told of its pairs".to_owned()));
    assert_eq!(ledger.sizes().pairs, 1);

    let text = text.replace(r#""outcomes":{}}"#, r#""outcomes":{},"by_us":3}"#);
    let (ledger, done) = loaded(&text);
    let expected = Loaded {
        lines: 6,
        pairs: 1,
        clients: 1,
        crowds: 1,
        reporters: 1,
        positions: 1,
        bytes: text.len() as u64,
        ..Loaded::default()
    };
    assert_eq!(done, Ok(expected));
    assert_eq!(ledger.position("log"), Some(vec![0, 0xff]));
    let mut dump = Vec::new();
    ledger.dump(&mut dump, false).expect("memory takes everything");
    let dump = String::from_utf8(dump).expect("JSON");
    assert!(dump.starts_with(PAIR), "{dump}");
    assert!(dump.contains(CROWD) && dump.contains(LEARNED), "{dump}");
}

#[test]
fn blank_lines_and_line_ends_do_not_matter() {
    for text in ["", "\n", "\r\n \n", &format!("\n{PAIR}\r\n\n"), PAIR] {
        let (ledger, done) = loaded(text);
        let pairs = usize::from(text.contains("client"));
        assert_eq!(done.map(|loaded| loaded.lines), Ok(pairs as u64), "{text:?}");
        assert_eq!(ledger.sizes().pairs, pairs, "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let no_time = "is no time from 1970 to 2106 as 2026-11-20T14:27:35Z";
    let no_days = "this is not a list of days, the newest first, none more than 63 days before it";
    let mut missed = Vec::new();
    let no_form = "does not belong to this form of line";
    for (line, from, to, says) in [
        (PAIR, "{\"client\"", "{client", "2:2: key must be a string".to_owned()),
        (LEARNED, "]}", "]", "2:60: EOF while parsing an object".into()),
        (PAIR, PAIR, "[]", "2:1: a line of a dump is an object in braces".into()),
        (PAIR, PAIR, "{}", "2:1: this is no line of a dump: it has none of client, crowd, reporter, learned, position".into()),
        (PAIR, "192.0.2.7", "192.0.2.777", "2:23: '192.0.2.777' is no IPv4 address and no IPv6 /64".into()),
        (PAIR, "\"kind\":\"fqdn\"", "\"kind\":\"single\"", "2:49: 'mail.example.com' is of the kind fqdn, not single".into()),
        (PAIR, "fqdn", "name", "2:49: 'name' is no kind of name".into()),
        (PAIR, "\"kind\":\"fqdn\",", "", "2:1: `kind` is missing".into()),
        (PAIR, "\"mx\"", "\"imap\"", "2:101: 'imap' is no reporter kind: mx, trap, submission or unfiltered".into()),
        (PAIR, "\"reporter_kind\":\"mx\",", "", "2:1: `reporter_kind` is missing".into()),
        (PAIR, "\"first\":\"2026-11-18", "\"first\":\"2026-11-31", format!("2:130: '2026-11-31T10:00:00Z' {no_time}")),
        (PAIR, "\"first\":\"2026-11-18T10", "\"first\":\"2026-11-21T10", "2:101: first 2026-11-21T10:00:00Z is later than last 2026-11-20T14:27:35Z".into()),
        (PAIR, "\"first_accepted\":\"2026", "\"first_accepted\":\"2027", "2:162: first_accepted 2027-11-18T10:00:00Z is not from first 2026-11-18T10:00:00Z to last 2026-11-20T14:27:35Z".into()),
        (PAIR, "\"days\":[\"2026-11-20\"", "\"days\":[\"2026-11-21\"", "2:202: a day of days is not from first 2026-11-18T10:00:00Z to last 2026-11-20T14:27:35Z".into()),
        (PAIR, "\"days\":[\"2026-11-20\"", "\"days\":[\"2026-11-2\"", "2:220: '2026-11-2' is no day as 2026-11-20".into()),
        (PAIR, ",\"2026-11-18\"]", ",\"2026-11-20\"]", format!("2:235: {no_days}")),
        (PAIR, ",\"2026-11-18\"]", ",\"2026-09-18\"]", "2:202: a day of days is not from first 2026-11-18T10:00:00Z to last 2026-11-20T14:27:35Z".into()),
        (PAIR, ",\"2026-11-18\"]", ",\"2026-09-17\"]", format!("2:235: {no_days}")),
        (PAIR, "\"accepted_days\":[\"2026-11-20\"]", "\"accepted_days\":3", "2:253: invalid type: integer `3`, expected a list of days, the newest first, none more than 63 days before it".into()),
        (PAIR, "accepted\":2", "taken\":2", "2:286: 'taken' is no outcome".into()),
        (PAIR, "\"rejected\":-1", "\"accepted\":1", "2:305: accepted is counted twice".into()),
        (PAIR, "\"accepted\":2", "\"accepted\":2.5", "2:293: invalid type: floating point `2.5`, expected i32".into()),
        (PAIR, "\"accepted\":2", "\"accepted\":3000000000", "2:300: invalid value: integer `3000000000`, expected i32".into()),
        (PAIR, "\"by_us\":3", "\"by_us\":-3", "2:317: invalid value: integer `-3`, expected u32".into()),
        (PAIR, "\"by_us\":3", "\"by_them\":3", "2:316: unknown field `by_them`".into()),
        (PAIR, "\"by_us\":3", "\"kind\":\"fqdn\"", "2:313: duplicate field `kind`".into()),
        (PAIR, "\"by_us\":3", "\"learned\":[]", format!("2:308: `learned` {no_form}")),
        (CLIENT, "1:2::25", "1:3::25", "2:31: 2001:db8:1:3::25 is no address in an IPv6 client 2001:db8:1:2::/64".into()),
        (CLIENT, "\"last_ip_time\":\"2026-11-20T14:27:35Z\",", "", "2:1: `last_ip_time` is missing".into()),
        (CLIENT, "\"rdns\":\"mail.example.com\",", "", "2:1: `rdns` is missing".into()),
        (CLIENT, "00000000000151a5", "151a5", "2:197: '151a5' is not 16 hexadecimal digits".into()),
        (CLIENT, "[\"00000000000151a5\"]", "[\"00000000000251a5\",\"00000000000151a5\"]", "2:228: this is not a sketch as a dump has it".into()),
        (CLIENT, "\"trace\":{", "\"trace\":{\"days\":[],", "2:173: unknown field `days`".into()),
        (CROWD, "\"family\"", "\"families\"", "2:19: 'families' is no crowd: name or family".into()),
        (CROWD, "\"example.com\"", "\"localhost\"", "2:19: 'localhost' is no domain, so it is no family".into()),
        (CROWD, "\"example.com\"", "\"Example.com\"", "2:19: 'Example.com' is not how a name is written here".into()),
        (CROWD, ",\"networks\":[\"00000000000151a5\"]", "", "2:1: `networks` is missing".into()),
        (REPORTER, "\"kind\":\"mx\"", "\"kind\":\"m\\nx\"", "2:19: 'm\\nx' is no reporter kind: mx, trap, submission or unfiltered".into()),
        (REPORTER, "\"kind\":\"mx\"", "\"reporter_kind\":\"mx\"", "2:1: `kind` is missing".into()),
        (LEARNED, "18/2026-11-18", "19/2026-11-18", "2:60: this is not a list of runs of days, the oldest first, with a day between any two".into()),
        (LEARNED, "18/2026-11-18", "18/", "2:25: '' is no day as 2026-11-20".into()),
        (POSITION, "00ff", "00f", "2:33: this is not hexadecimal digits, two for each octet".into()),
        (POSITION, ",\"reached\":\"00ff\"", "", "2:1: `reached` is missing".into()),
        (POSITION, "\"log\"", "\"load:1\"", "2:1: `reached` is no list of places in dumps that were loaded".into()),
    ] {
        let bad = line.replacen(from, to, 1);
        assert_ne!(bad, line, "{from:?} is not in {line}");
        let (ledger, done) = loaded(&format!("{PAIR}\n{bad}\n{LEARNED}\n"));
        let said = done.expect_err(&bad);
        if !(said == says || says.contains("unknown field") && said.starts_with(&says)) {
            missed.push(format!("{bad}\n  says {said}\n  not  {says}"));
        }
        assert_eq!(ledger.sizes().pairs, 1, "what came before is taken in: {bad}");
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

proptest! {
    #[test]
    fn no_octets_make_it_panic(
        octets in prop::collection::vec(any::<u8>(), 0..200),
        line in prop::sample::select(vec![PAIR, CLIENT, CROWD, REPORTER, LEARNED, POSITION]),
        place in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let mut changed = line.as_bytes().to_vec();
        changed[place.index(line.len())] = with;
        for text in [octets, changed] {
            if let Err(wrong) = Line::read(&text) {
                prop_assert!(wrong.column >= 1 && wrong.column <= text.len() + 1, "{:?}", wrong);
            }
        }
    }
}

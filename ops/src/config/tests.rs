//! Whole files in, exact errors out; the laws of reading and printing; the shipped texts.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::read::MOST_SYNTAX_ERRORS;
use helostat_ingest::fate::Program;
use helostat_ingest::reader::FormatChoice;
use helostat_zones::postfix::Action;

use super::*;

fn parse(text: &str) -> Config {
    match Config::parse(text, "/etc/helostat/helostat.toml") {
        Ok(config) => config,
        Err(errors) => panic!("{errors}\nin\n{text}"),
    }
}

fn errors_of(text: &str) -> Vec<ConfigError> {
    match Config::parse(text, "f") {
        Ok(_) => Vec::new(),
        Err(ConfigErrors::Wrong(errors)) => errors,
        Err(unreadable) => panic!("{unreadable} although no file was opened"),
    }
}

/// A file of the repository, from the folder of this crate.
fn in_crate(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares a text of the repository with what it should be, or writes it with HELOSTAT_BLESS=1.
fn compare_or_bless(path: &str, right: &str) {
    let path = in_crate(path);
    if std::env::var_os("HELOSTAT_BLESS").is_some() {
        fs::write(&path, right).expect("the repository can be written");
    }
    let there = fs::read_to_string(&path).expect("the file is in the repository");
    let lines = there.lines().zip(right.lines());
    let differs = lines.enumerate().find(|(_, (there, right))| there != right);
    if let Some((number, (there, right))) = differs {
        panic!("{}:{}\n there: {there}\n right: {right}", path.display(), number + 1);
    }
    assert_eq!(there.len(), right.len(), "{}: one is longer", path.display());
}

#[test]
fn every_wrong_file_gets_its_errors() {
    let golden = fs::read_to_string(in_crate("src/config/wrong.txt")).expect("the golden file");
    let mut cases = golden.split("=== ");
    let mut right = cases.next().unwrap_or_default().to_string();
    for case in cases {
        let (title, rest) = case.split_once('\n').expect("a title");
        let (text, _) = rest.split_once("\n--->\n").expect("a file and its errors");
        let errors = errors_of(text);
        assert!(!errors.is_empty(), "nothing wrong in: {title}");
        let lines: String = errors.iter().map(|error| format!("{error}\n")).collect();
        right.push_str(&format!("=== {title}\n{text}\n--->\n{lines}\n"));
    }
    compare_or_bless("src/config/wrong.txt", &right);
}

#[test]
fn line_ends_and_byte_order_mark_move_no_place() {
    for (text, line, column) in [
        ("[dns]\nthreads = 999\n", 2, 11),
        ("[dns]\r\nthreads = 999\r\n", 2, 11),
        ("\u{feff}[dns]\nthreads = 999", 2, 11),
    ] {
        let errors = errors_of(text);
        let places: Vec<_> = errors.iter().map(|at| (at.place.line, at.place.column)).collect();
        assert_eq!(places, [(line, column)], "{text:?}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let long_list = format!("[dns]\nallow = [{}]", "\"::1\", ".repeat(1001));
    for text in
        ["[".repeat(50_000), format!("x = {}", "[".repeat(50_000)), "=\n".repeat(5_000), long_list]
    {
        let errors = errors_of(&text);
        assert!((1..=MOST_SYNTAX_ERRORS).contains(&errors.len()), "{}", errors.len());
    }
}

#[test]
fn the_smallest_useful_file_is_two_sections() {
    let config = parse("[[zone]]\norigin = \"Rep.Example.NET.\"\n[[log]]\npath = \"mail.log\"\n");
    let [zone] = config.zones.as_slice() else { panic!("one zone") };
    let [log] = config.logs.as_slice() else { panic!("one log") };
    assert_eq!(zone.origin.as_str(), "rep.example.net");
    assert_eq!(zone.ns, [DomainName::parse("ns.rep.example.net").expect("a name")]);
    assert_eq!(zone.contact.as_str(), "hostmaster.rep.example.net");
    assert_eq!(zone.ttl, Duration::from_secs(300));
    assert_eq!(zone.kinds.len(), 5);
    assert_eq!(log.path, Path::new("/etc/helostat/mail.log"));
    assert_eq!(log.time_zone, None);
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn values_arrive() {
    let config = parse(
        r#"
        [dns]
        listen = ["192.0.2.1:53", "[2001:db8::1]:53"]
        allow = ["192.0.2.0/24", "198.51.100.7"]
        [http]
        listen = false
        [postfix]
        listen = ["inet:127.0.0.1:10040", "unix:policy"]
        socket-mode = "666"
        listed = "reject"
        [live]
        resolver = ["192.0.2.53", "[2001:db8::53]", "192.0.2.54:5353"]
        wait = "0s"
        [evidence.forward]
        enabled = false
        [ledger]
        memory = "512MiB"
        keep = "216h"
        snapshot-interval = "0s"
        [ingest]
        our-replies = ["blocked using rep.test"]
        [policy]
        strong-messages = 0x14
        [[zone]]
        origin = "rep.test"
        ns = []
        contact = ""
        page = "https://rep.test/why"
        kinds = ["pair"]
        [[log]]
        path = "/var/log/mail.log"
        time-zone = "UTC"
        [[syslog]]
        listen = ["192.0.2.1:5514", "[2001:db8::1]:5514"]
        transports = ["udp"]
        allow = ["192.0.2.7"]
        [syslog.reporters]
        "192.0.2.7" = "mx2"
        "::ffff:192.0.2.8" = "mx3"
        [[journal]]
        reporter = "mx4"
        units = ["postfix*", "exim4.service"]
        "#,
    );
    let text = |values: Vec<String>| values.join(" ");
    let listen = config.dns.listen.iter().map(ToString::to_string).collect();
    assert_eq!(text(listen), "192.0.2.1:53 [2001:db8::1]:53");
    let allow = config.dns.allow.iter().map(ToString::to_string).collect();
    assert_eq!(text(allow), "192.0.2.0/24 198.51.100.7/32");
    let resolver = config.live.resolver.iter().map(ToString::to_string).collect();
    assert_eq!(text(resolver), "192.0.2.53:53 [2001:db8::53]:53 192.0.2.54:5353");
    assert_eq!(config.http.listen, None);
    let asked = config.postfix.listen.iter().map(ToString::to_string).collect();
    assert_eq!(text(asked), "127.0.0.1:10040 unix:/etc/helostat/policy");
    assert_eq!((config.postfix.socket_mode.0, config.postfix.listed), (0o666, Action::Reject));
    assert_eq!(config.live.wait, Duration::ZERO);
    assert!(config.evidence.csa.enabled && !config.evidence.forward.enabled);
    assert_eq!(config.ledger.memory, Size(512 << 20));
    assert_eq!(config.ledger.keep, Duration::from_secs(9 * 86_400));
    assert_eq!(config.ledger.snapshot_interval, Duration::ZERO);
    assert_eq!(config.ingest.our_replies, ["blocked using rep.test"]);
    assert_eq!(config.policy.strong_messages, 20);
    let [zone] = config.zones.as_slice() else { panic!("one zone") };
    assert_eq!(zone.ns.len(), 1, "an empty list is the default");
    assert_eq!(zone.contact.as_str(), "hostmaster.rep.test");
    assert_eq!(zone.kinds, [ZoneKind::Pair]);
    assert_eq!(zone.page.as_deref(), Some("https://rep.test/why"));
    let [log] = config.logs.as_slice() else { panic!("one log") };
    assert_eq!(log.time_zone.as_deref(), Some("UTC"));
    let [syslog] = config.syslog.as_slice() else { panic!("one to listen to") };
    assert_eq!((syslog.listen.len(), syslog.transports.as_slice()), (2, &[Transport::Udp][..]));
    let reporters: Vec<_> = syslog.reporters.iter().map(|(ip, it)| format!("{ip} {it}")).collect();
    assert_eq!(text(reporters), "192.0.2.7 mx2 192.0.2.8 mx3");
    let [journal] = config.journals.as_slice() else { panic!("one journal") };
    assert_eq!(journal.units, ["postfix*", "exim4.service"]);
}

#[test]
fn paths_start_from_the_folder_of_the_file() {
    for (text, path) in [
        ("ledger", "/etc/helostat/ledger"),
        ("./ledger", "/etc/helostat/ledger"),
        (".//ledger", "/etc/helostat/ledger"),
        ("../ledger", "/etc/helostat/../ledger"),
        (".", "/etc/helostat/."),
        ("/ledger", "/ledger"),
    ] {
        let config = parse(&format!("[ledger]\npath = \"{text}\""));
        assert_eq!(config.ledger.path, Path::new(path), "{text}");
    }
}

#[test]
fn threads_are_never_none() {
    assert!(Config::default().dns.thread_count() >= 1);
    assert_eq!(parse("[dns]\nthreads = 3").dns.thread_count(), 3);
}

#[test]
fn warns_of_what_is_seldom_meant() {
    const USEFUL: &str = "[[zone]]\norigin = \"rep.test\"\n[[log]]\npath = \"mail.log\"\n";
    let open = "an open server: everybody may ask on 192.0.2.1:53";
    for (text, words) in [
        ("", &[][..]),
        ("[dns]\nlisten = [\"127.0.0.1:53\", \"[::1]:53\"]\n", &[]),
        ("[dns]\nlisten = [\"[::1]:53\", \"192.0.2.1:53\"]\n", &[open, "`ns-address` is empty"]),
        ("[dns]\nlisten = [\"[::]:53\"]\nallow = [\"::/0\"]\n", &["`ns-address` is empty"]),
        ("[live]\ntrust = [\"::/0\"]\n", &["`trust` in [live] has ::/0"]),
        ("[live]\ntrust = [\"::/0\"]\nenabled = false\n", &[]),
        ("[live]\nwait = \"3s\"\n", &["longer than `timeout`"]),
        ("[ledger]\nkeep = \"29d\"\n", &["shorter than the 30 days"]),
        ("[ledger]\nkeep = \"30d\"\n", &[]),
        ("[policy]\nreporter-messages = 9\n", &["only several reporters together"]),
        (
            "[[deny]]\nclient = \"::/0\"\nreason = \"r\"\n",
            &["[[deny]] ::/0: it is about everybody"],
        ),
        ("[[retired]]\nzone = \"bl.rep.test\"\n[[retired]]\nzone = \"Rep.Test.\"\n", &[]),
        ("[[retired]]\nzone = \"dna.rep.test\"\n", &["[[retired]] dna.rep.test: there is no such"]),
        ("[[syslog]]\nlisten = [\"127.0.0.1:5514\"]\n", &[]),
        ("[[syslog]]\nlisten = [\"127.0.0.1:5514\"]\nallow = [\"192.0.2.7\"]\n", &[]),
        ("[[syslog]]\nlisten = [\"192.0.2.1:514\"]\n", &["nobody else may send"]),
        (
            "[[syslog]]\nlisten = [\"192.0.2.1:514\"]\nallow = [\"10.0.0.0/8\"]\n",
            &["forge an address in 10.0.0.0/8"],
        ),
        ("[[syslog]]\nlisten = [\"[::1]:514\"]\nallow = [\"::/0\"]\ntransports = [\"tcp\"]\n", &[]),
        ("[postfix]\nlisten = [\"127.0.0.1:10040\", \"unix:policy\"]\n", &[]),
        ("[postfix]\nlisted = \"reject\"\n", &["[postfix] has no `listen`"]),
        ("[postfix]\nlisten = [\"[::]:10040\"]\n", &["nobody else may ask"]),
        (
            "[postfix]\nlisten = [\"unix:policy\"]\nknown = \"reject\"\nlisted = \"reject\"\n",
            &["`known` in [postfix] is \"reject\""],
        ),
    ] {
        let warnings = parse(&format!("{text}{USEFUL}")).warnings();
        assert_eq!(warnings.len(), words.len(), "{text}\n{warnings:?}");
        for (warning, words) in warnings.iter().zip(words) {
            assert!(warning.contains(words), "{text}\n{warning}");
        }
    }
    let [log, zone] = <[String; 2]>::try_from(Config::default().warnings()).expect("two");
    assert!(log.contains("no [[log]], [[syslog]]") && zone.contains("no [[zone]]"), "{log} {zone}");
}

#[test]
fn the_example_needs_no_file() {
    let config = Config::example(Path::new("/try")).expect("no file is needed");
    assert_eq!(config.ledger.path, Path::new("/try/ledger"));
    let logs: Vec<_> = config.logs.iter().map(|log| (log.path.as_path(), log.format)).collect();
    let postfix = (Path::new("/try/postfix.log"), FormatChoice::Only(Program::Postfix));
    assert_eq!(logs, [postfix, (Path::new("/try/exim.log"), FormatChoice::Only(Program::Exim))]);
    let origins: Vec<_> = config.zones.iter().map(|zone| zone.origin.as_str()).collect();
    assert_eq!(origins, ["rep.test"]);
    assert_eq!(config.warnings(), Vec::<String>::new());
    assert!(errors_of(EXAMPLE).is_empty());
    assert_eq!(parse(&config.to_toml()), config);
}

#[test]
fn only_some_changes_need_a_restart() {
    let zone = "[[zone]]\norigin = \"rep.test\"\n";
    let log = "[[log]]\npath = \"mail.log\"\n";
    let other = "[[zone]]\norigin = \"other.test\"\n";
    for (old, new, restart) in [
        (String::new(), String::new(), &[][..]),
        ("[ledger]\npath = \"a\"".into(), "[ledger]\npath = \"b\"".into(), &["ledger.path"]),
        (String::new(), "[policy]\njunk-days = 9".into(), &[]),
        (String::new(), "[[deny]]\nclient = \"::1\"\nreason = \"r\"".into(), &[]),
        (String::new(), "[[retired]]\nzone = \"rep.test\"".into(), &[]),
        (String::new(), "[daemon]\nlog-level = \"debug\"".into(), &[]),
        (String::new(), "[dns]\nallow = [\"::1\"]\nthreads = 2".into(), &["dns.threads"]),
        (String::new(), "[live]\nwait = \"1s\"\ntrust = []\n[ingest]\nown = []".into(), &[]),
        (String::new(), "[evidence.csa]\nenabled = false".into(), &["evidence.csa.enabled"]),
        (
            zone.into(),
            format!("{zone}ttl = \"1m\"\nnegative-ttl = \"1m\"\npage = \"http://a\""),
            &[],
        ),
        (zone.into(), format!("{zone}contact = \"a.test\"\nkinds = [\"bl\"]"), &["zone.kinds"]),
        (zone.into(), format!("{zone}{other}"), &["zone"]),
        (zone.into(), other.into(), &["zone"]),
        (format!("{zone}{other}"), format!("{other}{zone}"), &[]),
        (log.into(), format!("{log}reporter = \"mx1\""), &["log.reporter"]),
        (log.into(), String::new(), &["log"]),
        (String::new(), "[[journal]]\nreporter = \"mx1\"".into(), &["journal"]),
        (
            "[[syslog]]\nlisten = [\"[::1]:514\"]\nreporters = {}".into(),
            "[[syslog]]\nlisten = [\"[::1]:514\"]\nreporters = { \"::1\" = \"mx\" }".into(),
            &["syslog.reporters"],
        ),
        (
            String::new(),
            "[ledger]\nmemory = \"1GB\"\nkey = \"x\"".into(),
            &["ledger.memory", "ledger.key"],
        ),
        ("[ledger]\nmemory = \"1000MB\"".into(), "[ledger]\nmemory = \"1GB\"".into(), &[]),
    ] {
        assert_eq!(parse(&old).restart_needed(&parse(&new)), restart, "{old}\n-->\n{new}");
    }
}

#[test]
fn json_has_the_names_of_the_file() {
    let json = serde_json::to_value(Config::example(Path::new("/x")).expect("no file is needed"))
        .expect("plain values");
    for (pointer, value) in [
        ("/live/wait", serde_json::json!("400ms")),
        ("/evidence/forward/enabled", true.into()),
        ("/policy/many-families-v4", 3.into()),
        ("/zone/0/ns", serde_json::json!(["ns.rep.test"])),
        ("/log/1/reporter-kind", "mx".into()),
    ] {
        assert_eq!(json.pointer(pointer), Some(&value), "{pointer}");
    }
}

#[test]
fn loading_takes_paths_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("helostat.toml");
    let text = "[ledger]\npath = \"ledger\"\n[policy]\nfile = \"p.toml\"\njunk-days = 4\n";
    fs::write(&file, text).expect("written");

    let missing = Config::load(&file).expect_err("there is no p.toml").to_string();
    assert!(missing.contains("p.toml: "), "{missing}");

    fs::write(folder.path().join("p.toml"), "junk-days = 9\njunk-messages = 9\n").expect("written");
    let config = Config::load(&file).expect("sound");
    assert_eq!(config.ledger.path, folder.path().join("ledger"));
    assert_eq!((config.policy.junk_days, config.policy.junk_messages), (4, 9));
    assert_eq!(config.policy.file, Some(folder.path().join("p.toml")));
    assert_eq!(parse(&config.to_toml()), config);
}

#[test]
fn errors_of_both_files_come_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, policy) = (folder.path().join("helostat.toml"), folder.path().join("p.toml"));
    let main = "[policy]\nfile = \"p.toml\"\nstrong-days = 2\n[dns]\nthreads = -1\n";
    fs::write(&file, main).expect("written");
    let numbers = "established-days = 4\njunk-dyas = 1\nfile = \"q\"\n[policy]\njunk-days = 1\n";
    fs::write(&policy, numbers).expect("written");
    let found = Config::load(&file).expect_err("much is wrong").to_string();
    let found = found.replace(&format!("{}/", folder.path().display()), "");
    assert_eq!(
        found.lines().collect::<Vec<_>>(),
        [
            "helostat.toml:3:1: `strong-days` (2) may not be below `established-days` (4)",
            "helostat.toml:5:11: `threads` in [dns] should be a whole number from 0 to 256, but is the number -1",
            "p.toml:2:1: unknown key `junk-dyas` in [policy]; did you mean `junk-days`?",
            "p.toml:3:1: a policy file names no further file",
            "p.toml:4:2: unknown key `policy` in [policy]; its keys stand here without another section line",
        ]
    );
}

#[test]
fn decisions_come_from_every_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let main = "[operator]\nfiles = [\"mine.toml\", \"decisions.toml\"]\n[[allow]]\nclient = \"192.0.2.7\"\nreason = \"a\"\n";
    fs::write(at("f"), main).expect("written");
    let load = || {
        Config::load(&at("f")).map_err(|errors| {
            errors.to_string().replace(&format!("{}/", folder.path().display()), "")
        })
    };
    let missing = load().expect_err("mine.toml is not there");
    assert!(
        missing.starts_with("f:2:1: the file of decisions mine.toml: No such file"),
        "{missing}"
    );

    fs::write(at("mine.toml"), "[[deny]]\nclient = \"192.0.2.0/24\"\nreason = \"b\"\n")
        .expect("written");
    fs::write(at("decisions.toml"), "[[deny]]\nname = \"c\"\nreason = \"c\"\n").expect("written");
    let config = load().expect("sound");
    let decided: Vec<_> = config
        .decisions
        .iter()
        .map(|it| {
            let place = it.place.to_string().replace(&format!("{}/", folder.path().display()), "");
            format!("{place} {it}")
        })
        .collect();
    assert_eq!(
        decided,
        [
            "f:3 allow 192.0.2.7: a",
            "decisions.toml:1 deny c: c",
            "mine.toml:1 deny 192.0.2.0/24: b"
        ]
    );
    // What is printed names the files, and says only what stood in the main one.
    fs::write(at("printed"), config.to_toml()).expect("written");
    assert_eq!(Config::load(&at("printed")).expect("sound"), config);

    fs::write(
        at("mine.toml"),
        "[[deny]]\nname = \"*.com\"\n[[deny]]\nclient = \"192.0.2.7\"\nreason = \"d\"\n[[alow]]\n",
    )
    .expect("written");
    assert_eq!(
        load().expect_err("much is wrong").lines().collect::<Vec<_>>(),
        [
            "mine.toml:1:1: `reason` is missing in [[deny]]; write reason = \"floods us\"",
            "mine.toml:2:8: `name` in [[deny]] should be a name or a family such as \"mail.example.com\" or \"*.example.com\", but is the text \"*.com\": com is a public suffix: the names below it belong to many owners; write a family such as \"*.example.com\"",
            "mine.toml:4:1: 192.0.2.7 is decided on already at f:4:1; keep one of the two",
            "mine.toml:6:3: `alow` has no place here: a file of decisions holds [[allow]], [[deny]] and [[retired]] alone",
        ]
    );
}

#[test]
fn what_is_no_configuration_is_said_to_be_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("f");
    let load = || Config::load(&file).expect_err("no configuration").to_string();
    assert!(load().starts_with(&format!("{}: ", file.display())), "{}", load());
    fs::write(&file, b"[dns]\nthreads = \xff").expect("written");
    assert!(load().ends_with("f:2:11: this is not UTF-8 text"), "{}", load());
    fs::write(&file, "#\n".repeat(200_000)).expect("written");
    assert!(load().contains("this is no configuration"), "{}", load());
}

/// The decisions that the shipped file shows, without what is default.
const DECIDED: &str = "[[allow]]\nclient = \"192.0.2.7\"\nreason = \"our customer\"\n\
    [[deny]]\nname = \"*.example.com\"\nreason = \"floods us\"\n\
    [[retired]]\nzone = \"bl.rep.example.net\"\n";

#[test]
fn the_shipped_file_says_every_key_with_its_default() {
    let text = fs::read_to_string(in_crate("helostat.toml")).expect("the shipped file");
    assert!(parse(&text).syslog.is_empty(), "what few need is written behind a #");
    // Prose stands behind "# ", keys and sections that few need behind "#" alone.
    let uncommented = text.lines().map(|line| {
        let key = line.strip_prefix('#').filter(|rest| rest.starts_with(char::is_alphabetic));
        key.or_else(|| line.strip_prefix('#').filter(|rest| rest.starts_with('['))).unwrap_or(line)
    });
    let text = uncommented.collect::<Vec<_>>().join("\n");
    let mut config = parse(&text);
    let (zones, logs) = (std::mem::take(&mut config.zones), std::mem::take(&mut config.logs));
    let (syslog, journals) =
        (std::mem::take(&mut config.syslog), std::mem::take(&mut config.journals));
    let lists = std::mem::take(&mut config.lists);
    let (allow, deny) = (std::mem::take(&mut config.allow), std::mem::take(&mut config.deny));
    let retired = std::mem::take(&mut config.retired);
    (config.decisions, config.ended) = (Arc::default(), Vec::new());
    assert_eq!(config, Config::default(), "the shipped file has a value that is not the default");

    let ([zone], [log]) = (zones.as_slice(), logs.as_slice()) else { panic!("a zone, a log") };
    let given = r#"data = ["ip4set:bad-clients"]"#;
    let file = format!("[[list]]\norigin = \"dnsbl.example.net\"\n{given}");
    assert_eq!(lists, parse(&file).lists);
    let needed = format!(
        "[[zone]]\norigin = \"{}\"\n[[log]]\npath = \"{}\"\n[[syslog]]\nlisten = [\"127.0.0.1:5514\"]\n[[journal]]\nreporter = \"mx1\"\n{DECIDED}",
        zone.origin,
        log.path.display()
    );
    let plain = parse(&needed);
    assert_eq!((allow, deny), (plain.allow, plain.deny), "a decision that is not the default");
    assert_eq!(retired, plain.retired, "a zone's end that is not the default");
    assert_eq!((zones, logs), (plain.zones, plain.logs), "an entry that is not the default");
    assert_eq!((syslog, journals), (plain.syslog, plain.journals), "one that is not the default");

    let tree: toml::Table = text.parse().expect("it was read already");
    for key in keys() {
        let mut found = Some(&toml::Value::Table(tree.clone())).cloned();
        for step in key.full.split('.') {
            found = found.and_then(|value| match value {
                toml::Value::Array(entries) => entries.first()?.get(step).cloned(),
                value => value.get(step).cloned(),
            });
        }
        assert!(found.is_some(), "{} is not in the shipped file", key.full);
    }
}

#[test]
fn the_manual_has_the_table_of_keys() {
    const MANUAL: &str = "../docs/configuration.md";
    const FIRST: &str = "<!-- keys: written from the program, see ops/src/config -->\n";
    const LAST: &str = "<!-- end of keys -->\n";
    let manual = fs::read_to_string(in_crate(MANUAL)).expect("the manual");
    let (before, rest) = manual.split_once(FIRST).expect("where the table begins");
    let (_, after) = rest.split_once(LAST).expect("where the table ends");
    compare_or_bless(MANUAL, &format!("{before}{FIRST}{}{LAST}{after}", key_tables()));
}

/// The keys as the manual shows them: a heading and a table for each section.
fn key_tables() -> String {
    let mut text = String::new();
    let mut section = "";
    for key in keys() {
        if key.section != section {
            section = key.section;
            let line = read::bracketed(section);
            let head = "| key | takes | default | change | meaning |\n|---|---|---|---|---|";
            text.push_str(&format!("\n### `{line}`\n\n{head}\n"));
        }
        let default = match key.default {
            Preset::Is(text) => format!("`{text}`"),
            Preset::Needed(example) => format!("none; needed, such as `{example}`"),
        };
        let change = match key.change {
            Change::Reload => "reload",
            Change::Restart => "restart",
        };
        let (name, kind, meaning) = (key.name, key.kind(), key.meaning);
        text.push_str(&format!("| `{name}` | {kind} | {default} | {change} | {meaning} |\n"));
    }
    text.push('\n');
    text
}

#[test]
fn the_table_lists_every_section_in_the_order_of_printing() {
    let mut config = Config::default();
    let mut printed: Vec<_> = config.sections().iter().map(|section| section.name()).collect();
    printed.extend([ZONE, LIST, LOG, SYSLOG, JOURNAL, ALLOW, DENY, RETIRED]);
    let mut listed: Vec<_> = keys().map(|key| key.section).collect();
    listed.dedup();
    assert_eq!(listed, printed);
}

/// A file that sets one key of the table to `value`.
fn file_with(key: &Key, value: &str) -> String {
    let needed = match key.section {
        ZONE if key.name != "origin" => "origin = \"rep.test\"\n",
        LIST if key.name == "origin" => "data = [\"ip4set:bad\"]\n",
        LIST if key.name == "data" => "origin = \"bl.test\"\n",
        LIST => "origin = \"bl.test\"\ndata = [\"ip4set:bad\"]\n",
        LOG if key.name != "path" => "path = \"mail.log\"\n",
        SYSLOG if key.name != "listen" => "listen = [\"127.0.0.1:5514\"]\n",
        JOURNAL if key.name != "reporter" => "reporter = \"mx1\"\n",
        ALLOW | DENY if key.name == "reason" => "client = \"192.0.2.7\"\n",
        ALLOW | DENY => "reason = \"r\"\n",
        RETIRED if key.name != "zone" => "zone = \"bl.rep.test\"\n",
        _ => "",
    };
    format!("{}\n{needed}{} = {value}\n", read::bracketed(key.section), key.name)
}

/// The values at the edges of what the rule of a key allows, and those just beyond.
fn edges(key: &Key) -> Option<([String; 2], [String; 2])> {
    let shown = |millis: u128| format!("\"{millis}ms\"");
    match key.rule {
        Rule::Between(least, most) => {
            let (least, most) = (i64::from(least), i64::from(most));
            let beyond = [least - 1, most + 1].map(|number| number.to_string());
            Some(([least, most].map(|number| number.to_string()), beyond))
        }
        Rule::Lasting(least, most) | Rule::Seconds(least, most) => {
            let (least, most) = (least.as_millis(), most.as_millis());
            let below = least.checked_sub(1).map_or_else(|| "\"-1ms\"".into(), shown);
            Some(([least, most].map(shown), [below, shown(most + 1)]))
        }
        Rule::LastingOrNever(least, most) => {
            let (least, most) = (least.as_millis(), most.as_millis());
            Some(([0, least].map(shown), [least - 1, most + 1].map(shown)))
        }
        Rule::Days(least, most) => {
            let shown = |days: u32| format!("\"{days}d\"");
            Some(([least, most].map(shown), [least - 1, most + 1].map(shown)))
        }
        Rule::Sized(least, most) => {
            let shown = |octets: u64| format!("\"{}kB\"", octets / 1000);
            let beyond = [least.0 - 1000, most.0 + 1000].map(shown);
            Some(([least.0, most.0].map(shown), beyond))
        }
        Rule::Text(most) => {
            let shown = |long: usize| format!("\"{}\"", "x".repeat(long));
            Some(([0, most].map(shown), [most + 1, most + 2].map(shown)))
        }
        Rule::Line(most) => {
            let shown = |long: usize| format!("\"{}\"", "x".repeat(long));
            Some(([1, most].map(shown), [most + 1, most + 2].map(shown)))
        }
        _ => None,
    }
}

#[test]
fn every_range_ends_where_the_table_says() {
    for key in keys() {
        let Some((inside, beyond)) = edges(key) else { continue };
        let complains = |value: &String| {
            let errors = errors_of(&file_with(key, value));
            errors.iter().any(|error| error.sentence.contains("should be"))
        };
        assert!(!inside.iter().any(complains), "{} within {inside:?}", key.full);
        assert!(beyond.iter().all(complains), "{} beyond {beyond:?}", key.full);
    }
}

/// Texts that look like configuration files: true names, odd values, broken lines.
fn almost_a_file() -> impl Strategy<Value = String> {
    let names: Vec<_> = keys().map(|key| format!("{} = ", key.name)).collect();
    let heads: Vec<_> = keys().map(|key| format!("\n{}\n", read::bracketed(key.section))).collect();
    let piece = prop_oneof![
        proptest::sample::select(names),
        proptest::sample::select(heads),
        proptest::sample::select(keys().map(|key| key.default.text("a")).collect::<Vec<_>>()),
        proptest::sample::select(vec![
            "\n", "\"", "[", "]", "=", "{", "ü", "'''", ",", "\r\n", "#"
        ])
        .prop_map(String::from),
        "\\PC{0,6}",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A sound file with some keys at values of their own.
fn sound_file() -> impl Strategy<Value = String> {
    let pick = |values: &'static [&'static str]| proptest::sample::select(values);
    let plain = (
        pick(&["", "[daemon]\nlog-level = \"trace\"\n"]),
        pick(&[
            "",
            "[ledger]\npath = \"a \\\"b\\\" \\\\ ü\"\ncommit-interval = \"1500ms\"\n",
            "[ledger]\nmemory = \"100MiB\"\nkeep = \"8760h\"\nkey = \"ü \\n\"\nsnapshot-interval = \"0s\"\n",
            "[ingest]\nour-replies = [\"blocked using rep.test\", \"listed by us\"]\n",
        ]),
        pick(&[
            "",
            "[dns]\nlisten = [\"[::1]:0\", \"192.0.2.1:53\"]\nallow = [\"2001:db8::/32\"]\n",
        ]),
        pick(&["", "[http]\nlisten = \"\"\n", "[http]\nlisten = \"[::1]:80\"\n"]),
        pick(&["", "[live]\nenabled = false\nresolver = [\"::1\"]\nwait = \"0s\"\ntrust = []\n"]),
        pick(&[
            "",
            "[evidence.csa]\nenabled = 0\n[evidence.spf]\npass = -3\nfail = -100\ndenies = false\n",
            "[evidence.dna]\nservices = [\"rep.example.net\"]\n[evidence.reverse-mx]\nstrict = 1\n",
        ]),
        pick(&[
            "",
            "[policy]\nfile = \"p.toml\"\nstrong-days = 64\n",
            "[policy]\njunk-days = 64\n",
        ]),
    );
    let zones = proptest::collection::vec(
        pick(&[
            "",
            "page = \"https://rep.test/a?b='c'\"\n",
            "kinds = [\"wl\"]\nns = [\"a.test\", \"b.test\"]\nns-address = [\"::1\"]\nttl = \"90s\"\n",
        ]),
        0..4,
    );
    let logs = proptest::collection::vec(
        pick(&["", "format = \"exim\"\nreporter = \"mx-1.a_b\"\ntime-zone = \"UTC\"\n"]),
        0..4,
    );
    let decisions = pick(&[
        "",
        "[[allow]]\nclient = \"192.0.2.0/24\"\nreason = \"a \\\"b\\\" ü\"\nuntil = 2026-12-31\n[[deny]]\nname = \"*.example.com\"\nreason = \"c\"\nadded = \"2026-01-01\"\n",
        "[operator]\nfiles = [\"a.toml\"]\n[[deny]]\nclient = \"2001:db8::7\"\nreason = \"d\"\nauthor = \"e\"\n",
        "[[retired]]\nzone = \"bl.rep.test\"\nsince = 2026-11-28\ntext = \"a \\\"b\\\" ü\"\n[[retired]]\nzone = \"a\"\n",
    ]);
    (plain, decisions, zones, logs).prop_map(|((a, b, c, d, e, f, g), decided, zones, logs)| {
        let mut text = [a, b, c, d, e, f, g, decided].concat();
        for (number, more) in zones.iter().enumerate() {
            text.push_str(&format!("[[zone]]\norigin = \"r{number}.test\"\n{more}"));
        }
        for (number, more) in logs.iter().enumerate() {
            text.push_str(&format!("[[log]]\npath = \"{number}.log\"\n{more}"));
        }
        text
    })
}

proptest! {
    #[test]
    fn no_text_panics_and_every_error_has_a_place_in_it(
        text in prop_oneof![almost_a_file(), "\\PC{0,80}", ".{0,80}"],
    ) {
        let lines: Vec<_> = text.split('\n').collect();
        let errors = errors_of(&text);
        for error in &errors {
            let line = error.place.line.checked_sub(1).and_then(|line| lines.get(line));
            let longest = line.map(|line| line.chars().count() + 1);
            prop_assert!(longest.is_some_and(|end| (1..=end).contains(&error.place.column)),
                "{error}\nin {text:?}");
            prop_assert!(!error.sentence.chars().any(char::is_control), "{error:?}");
        }
        prop_assert!(errors.is_sorted_by(|one, other| one.place <= other.place));
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same(text in sound_file()) {
        let config = parse(&text);
        let printed = config.to_toml();
        let again = Config::parse(&printed, "elsewhere/f");
        prop_assert_eq!(again.ok(), Some(config), "{}", printed);
    }
}

//! `helostat replay`: old mail judged by what was known before it, nothing kept unless asked.

use helostat_tests::mail::{days_ago, postfix};
use helostat_tests::maillog::{MailLog, Mta};
use helostat_tests::program::{Done, Site, project_file};
use helostat_zones::policy::Points;
use helostat_zones::time::Time;
use serde_json::Value;

const HEADING: &str = "seq,t,ip,helo,rdns,rdns_forged,label,site\n";

/// What `--json` says.
fn report(site: &Site, args: &[&str]) -> Value {
    let args = [&["replay", "--json"], args].concat();
    serde_json::from_str(&site.ok(&args)).expect("JSON")
}

/// The rows of a table without its heading, cut at commas.
fn rows(text: &str) -> Vec<Vec<String>> {
    let row = |line: &str| line.split(',').map(str::to_owned).collect();
    text.lines().skip(1).map(row).collect()
}

/// The extract of real mail, with labels.
fn labelled() -> Site {
    let site = Site::new("");
    site.write("mail.csv", project_file("tests/data/spamassassin.csv"));
    site
}

#[test]
fn a_table_with_labels() {
    let site = labelled();
    let found = report(&site, &["mail.csv", "--per-message", "lines.csv", "--html", "page.html"]);
    let input = &found["input"];
    assert_eq!((&input["messages"], &input["lines"]), (&454.into(), &455.into()), "{input}");
    let policy = &found["policies"][0];
    let labels = &policy["labels"]["all"];
    assert_eq!((&labels["ham"], &labels["spam"]), (&237.into(), &217.into()));
    let rows_of = |key: &str| policy[key].as_array().expect("a list").iter();
    let messages: u64 = rows_of("classes").map(|row| row["messages"].as_u64().expect("n")).sum();
    assert_eq!(messages, 454);

    // Who computes from the lines what the report says comes to the same.
    let lines = std::fs::read_to_string(site.path("lines.csv")).expect("written");
    assert!(lines.starts_with("seq,score,class,confidence,reason,time,site,ip,name,logit\n"));
    let lines = rows(&lines);
    assert_eq!(lines.len(), 454);
    assert!(lines.is_sorted_by_key(|row| row[5].clone()), "in the order of time");
    let truth = rows(&project_file("tests/data/spamassassin.csv"));
    let is_spam = |seq: &str| truth.iter().find(|row| row[0] == seq).expect(seq)[6] == "spam";
    let scored =
        lines.iter().map(|row| (row[1].parse::<u32>().expect("0 to 100"), is_spam(&row[0])));
    let scored: Vec<_> = scored.collect();
    let (mut area, mut pairs) = (0.0, 0.0);
    for (ham, _) in scored.iter().filter(|(_, spam)| !spam) {
        for (spam, _) in scored.iter().filter(|(_, spam)| *spam) {
            pairs += 1.0;
            area += if ham > spam {
                1.0
            } else if ham == spam {
                0.5
            } else {
                0.0
            };
        }
    }
    let told = labels["auc_of_score"].as_f64().expect("a number");
    assert!((told - area / pairs).abs() < 1e-9, "{told} {}", area / pairs);
    for row in rows_of("classes") {
        let class = row["class"].as_str().expect("a word");
        let count = lines.iter().filter(|line| line[2] == class).count();
        assert_eq!(row["messages"], count, "{class}");
    }
    let page = std::fs::read_to_string(site.path("page.html")).expect("written");
    for (word, count) in [("<svg", 3), ("http", 0), ("src=", 0), ("<script", 0), ("@import", 0)] {
        assert_eq!(page.matches(word).count(), count, "{word}");
    }
    assert!(!site.path("ledger").exists(), "no state is kept");
    assert_eq!(site.ok(&["replay", "mail.csv"]), site.ok(&["replay", "mail.csv"]));
}

#[test]
fn labels_are_not_seen_by_the_judge() {
    let site = labelled();
    let text = project_file("tests/data/spamassassin.csv");
    site.write("other.csv", text.replace(",ham,", ",?,").replace(",spam,", ",ham,"));
    site.write("none.csv", text.replace(",ham,", ",,").replace(",spam,", ",,"));
    let lines = |file| site.ok(&["replay", file, "--per-message", "-"]);
    let expected = lines("mail.csv");
    assert_eq!(lines("other.csv"), expected);
    assert_eq!(lines("none.csv"), expected);
    assert!(report(&site, &["none.csv"])["policies"][0]["labels"].is_null());
}

#[test]
fn numbers_times_measures_are_the_sum_of_points() {
    let site = labelled();
    let text = site.ok(&["replay", "mail.csv", "--measures", "--per-message", "-"]);
    let keys: Vec<_> = Points::KEYS.iter().map(|(key, _)| *key).collect();
    let heading = text.lines().next().expect("a heading");
    assert!(heading.ends_with(&format!(",logit,{},crowded", keys.join(","))), "{heading}");
    let mut points = Points::default();
    let numbers: Vec<_> = Points::KEYS.iter().map(|(_, of)| f64::from(*of(&mut points))).collect();
    for row in rows(&text) {
        let value = |text: &String| text.parse::<f64>().expect("a number");
        let sum: f64 =
            numbers.iter().zip(&row[10..]).map(|(number, text)| number * value(text)).sum();
        assert!((sum - 10.0 * value(&row[9])).abs() < 0.01, "{sum}: {row:?}");
    }
    let alone = site.run(&["replay", "mail.csv", "--measures"]);
    assert!(alone.stderr.contains("--per-message"), "{}", alone.stderr);
}

#[test]
fn the_warm_up_is_history_and_no_figure() {
    let site = labelled();
    let all = site.ok(&["replay", "mail.csv", "--per-message", "-"]);
    let later = site.ok(&["replay", "mail.csv", "--warm", "400", "--per-message", "-"]);
    let (all, later) = (rows(&all), rows(&later));
    let begin = Time::parse(&all[0][5]).expect("a time").0 + 400 * 86_400;
    let expected: Vec<_> =
        all.into_iter().filter(|row| Time::parse(&row[5]).expect("a time").0 >= begin).collect();
    assert!(expected.len() > 50 && expected == later, "the same judgements, later ones only");
    let found = report(&site, &["mail.csv", "--warm", "400"]);
    assert_eq!(found["policies"][0]["total"]["messages"], expected.len());
    assert_eq!(found["input"]["warm_up"]["messages"], 454 - expected.len());
}

#[test]
fn several_files_and_any_order() {
    let site = labelled();
    let text = project_file("tests/data/spamassassin.csv");
    let lines: Vec<_> = text.lines().skip(1).collect();
    let table = |lines: &mut dyn Iterator<Item = &&str>| {
        lines.fold(HEADING.to_owned(), |text, line| format!("{text}{line}\n"))
    };
    site.write("backwards.csv", table(&mut lines.iter().rev()));
    site.write("even.csv", table(&mut lines.iter().step_by(2)));
    site.write("odd.csv", table(&mut lines.iter().skip(1).step_by(2)));
    let sorted = |text: String| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let expected = site.ok(&["replay", "mail.csv", "--per-message", "-"]);
    let two = site.ok(&["replay", "odd.csv", "even.csv", "--per-message", "-"]);
    assert_eq!(sorted(two), sorted(expected.clone()));
    let back = site.run(&["replay", "backwards.csv", "--per-message", "-"]);
    assert_eq!(sorted(back.stdout), sorted(expected.clone()));
    assert!(back.stderr.contains("backwards.csv: not in the order of time, was sorted\n"));
    // A copy of what was read is not read again, and standard input is as good as a file.
    site.write("copy.csv", &text);
    let copied = site.run(&["replay", "mail.csv", "copy.csv", "--per-message", "-"]);
    assert_eq!(copied.stdout, expected);
    assert!(copied.stderr.contains("the same was read before, nothing new\n"), "{}", copied.stderr);
    let piped = site.run_with_input(&["replay", "-", "--per-message", "-"], text.as_bytes());
    assert_eq!(piped.stdout, expected);
}

#[test]
fn a_log_and_what_the_mail_server_did() {
    let site = Site::new("");
    let mut log = Vec::new();
    let begin = Time::parse("2026-03-01T00:00:00Z").expect("a time");
    MailLog::new(Mta::Postfix, 3, 40, begin, 3000).write(&mut log, 4_000_000);
    site.write("mail.log", &log);
    let found = report(&site, &["--time-zone", "UTC", "mail.log"]);
    let told = site.ok(&["learn", "--time-zone", "UTC", "--json", "mail.log"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    // Sessions that are open at the end end with a replay; learning waits for their next lines.
    let messages = found["input"]["messages"].as_u64().expect("a number");
    let learned = told["observations"].as_u64().expect("a number");
    assert!((learned..learned + 7).contains(&messages), "{messages} {learned}");
    let policy = &found["policies"][0];
    let overlap = policy["overlap"].as_object().expect("an object");
    let sum: u64 = overlap.values().map(|n| n.as_u64().expect("a number")).sum();
    assert_eq!(policy["total"]["messages"], sum);
    let total = &policy["total"];
    assert!(total["rejected"].as_u64() > Some(100) && total["accepted"].as_u64() > Some(1000));
    let known = policy["classes"][0]["messages"].as_u64().expect("a number");
    assert!(known > 100, "steady senders come to be trusted: {policy}");
}

#[test]
fn kinds_of_reporters() {
    let site = Site::new("");
    let mut table = HEADING.to_owned();
    for day in 1..=20 {
        for hour in 10..14 {
            table.push_str(&format!(
                "{day},2026-03-{day:02}T{hour}:00:00Z,192.0.2.7,mx.example.com,,,,box\n"
            ));
        }
    }
    site.write("mail.csv", table);
    let known = |args: &[&str]| {
        let found = report(&site, &[&["mail.csv"], args].concat());
        let site = found["input"]["sites"][0]["kind"].as_str().expect("a word").to_owned();
        let classes = &found["policies"][0]["classes"];
        (site, classes[0]["messages"].as_u64() > Some(0))
    };
    assert_eq!(known(&[]), ("mx".into(), true));
    assert_eq!(known(&["--reporter-kind", "box=trap"]), ("trap".into(), false));
    assert_eq!(known(&["--reporter-kind", "trap"]), ("trap".into(), false));
    let kinds = ["--reporter-kind", "trap", "--reporter-kind", "box=mx"];
    assert_eq!(known(&kinds), ("mx".into(), true));
    let done = site.run(&["replay", "mail.csv", "--reporter-kind", "bax=trap"]);
    assert!(done.stderr.starts_with("no message is of the site 'bax'\n"), "{}", done.stderr);
}

/// A client whose many names would list it, and which lives on for long with mail that is taken.
fn with_a_mistake() -> Site {
    let site = Site::new("");
    let mut table = HEADING.to_owned();
    for name in ["a.one.com", "b.two.net", "c.three.org", "<script>alert(1)</script>"] {
        table.push_str(&format!("1,2026-03-01T10:00:00Z,192.0.2.7,\"{name}\",,,,mx\n"));
    }
    for day in 2..=20 {
        table.push_str(&format!(
            "{day},2026-03-{day:02}T10:00:00Z,192.0.2.7,\"<script>alert(1)</script>\",,,,mx\n"
        ));
    }
    site.write("mail.csv", table);
    site
}

#[test]
fn likely_false_positives_have_evidence() {
    let site = with_a_mistake();
    let found = report(&site, &["mail.csv", "--html", "page.html"]);
    let mistakes = &found["policies"][0]["likely_false_positives"];
    let shown = mistakes["shown"].as_array().expect("a list");
    assert_eq!(mistakes["pairs"], shown.len(), "{mistakes}");
    let one = shown.iter().find(|row| row["name"].as_str().is_some_and(|it| it.contains("script")));
    let one = one.expect("the sender that lives on");
    assert_eq!(one["ip"], "192.0.2.7");
    let sentence = one["sentence"].as_str().expect("text");
    assert!(sentence.starts_with("would have been refused on 2026-03-"), "{sentence}");
    assert!(one["later"]["accepted"].as_u64() >= Some(5), "{one}");
    let page = std::fs::read_to_string(site.path("page.html")).expect("written");
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert(1)"), "escaped");
    let text = site.ok(&["replay", "mail.csv"]);
    assert!(text.contains("192.0.2.7 saying <script>alert(1)</script>"), "{text}");
}

#[test]
fn two_policies_side_by_side() {
    let site = with_a_mistake();
    site.write("now.toml", "");
    site.write("milder.toml", "many-families-v4 = 50\njunk-messages = 1000\n");
    let found = report(&site, &["mail.csv", "--policy", "now.toml", "--policy", "milder.toml"]);
    let comparison = &found["comparison"];
    assert!(comparison["moved_messages"].as_u64() > Some(0), "{comparison}");
    let listed: u64 = (0..4).map(|to| comparison["messages"][4][to].as_u64().expect("n")).sum();
    assert!(listed > 0, "listed by the first alone: {comparison}");
    assert_eq!(found["policies"][1]["listings"]["pairs"], 0);
    let same = report(&site, &["mail.csv", "--policy", "now.toml", "--policy", "now.toml"]);
    assert_eq!(same["comparison"]["moved_messages"], 0);
    let lines = site.ok(&[
        "replay",
        "mail.csv",
        "--policy",
        "now.toml",
        "--policy",
        "milder.toml",
        "--per-message",
        "-",
    ]);
    assert!(
        lines
            .lines()
            .next()
            .is_some_and(|it| it.ends_with(",class_2,confidence_2,reason_2,logit_2"))
    );
    site.write("wrong.toml", "many-families-v5 = 50\n");
    let done = site.run(&["replay", "mail.csv", "--policy", "wrong.toml"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.starts_with("helostat: wrong.toml:1:1: unknown key"), "{}", done.stderr);
}

#[test]
fn what_was_learned_can_be_kept() {
    let site = Site::new("");
    let log: String =
        (2..9).rev().map(|ago| postfix(days_ago(ago), "192.0.2.7", "mx.example.com")).collect();
    site.write("mail.log", log);
    site.ok(&["replay", "mail.log", "--keep", "kept"]);
    site.ok(&["learn", "mail.log"]);
    let learned = site.pairs();
    site.rewrite("\"ledger\"", "\"kept\"");
    assert_eq!(site.pairs(), learned);
    let again = site.run(&["learn", "mail.log"]);
    assert_eq!(again.stderr, "mail.log: learned before, nothing new\n");
    site.fails(
        &["replay", "mail.log", "--keep", "kept"],
        2,
        &["helostat: kept is there already: name a folder that is not, or remove it"],
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    let site = Site::new("");
    let row = "1,2026-03-01T10:00:00Z,192.0.2.7,a.example.com,,,ham,mx\n";
    site.write("no-heading.csv", row);
    site.write("wrong-heading.csv", "seq,time,address,name\n1,2026-03-01T10:00:00Z,192.0.2.7,a\n");
    site.write("nothing.csv", HEADING);
    site.write("text", "no log\nat all\n");
    let garbage = "this is no mail log and no table of observations: not one of its";
    let help = "; a table's first line must name its columns, at least t, ip and helo";
    for (file, says) in [
        ("missing.csv", "missing.csv does not exist".to_owned()),
        (
            "no-heading.csv",
            format!(
                "no-heading.csv line 1: {garbage} 1 lines was understood (first: no-stamp){help}"
            ),
        ),
        (
            "wrong-heading.csv",
            format!(
                "wrong-heading.csv line 1: {garbage} 2 lines was understood (first: no-stamp){help}"
            ),
        ),
        ("text", format!("text line 1: {garbage} 2 lines was understood (first: no-stamp)")),
        ("nothing.csv", "there is no message with a name to play".to_owned()),
    ] {
        site.fails(&["replay", file], 5, &[&format!("helostat: {says}")]);
    }
    let bad = "2,2026-03-01T10:00:00Z,192.0.2.300,a.example.com,,,ham,mx\n3,yesterday,192.0.2.7,a,,,,\n4,2026-03-01T10:00:00Z,192.0.2.7,,,,,\n";
    site.write("some.csv", format!("{HEADING}{row}{bad}"));
    let Done { code, stdout, stderr } = site.run(&["replay", "some.csv"]);
    assert_eq!(code, 0, "{stderr}");
    let first = "some.csv line 3 column 3: not understood (address), the first of 2 such lines; --unparsed 3 shows some\n";
    assert!(stderr.starts_with(first), "{stderr}");
    assert!(stdout.contains("not played: 1 no-name\n"), "{stdout}");
    let shown = site.run(&["replay", "some.csv", "--unparsed", "1"]).stderr;
    assert!(shown.contains("some.csv line 4 column 2: bad-time: 3,yesterday,"), "{shown}");
    for (args, says) in [
        (
            &["--reporter-kind", "x"][..],
            "'x' is no reporter kind: mx, trap, submission or unfiltered; for one site SITE=KIND",
        ),
        (
            &["--json", "--per-message", "-"],
            "--json and --per-message - would both write to standard output: give one a file",
        ),
        (
            &["--policy", "a", "--policy", "b", "--policy", "c"],
            "at most two policies can be compared",
        ),
    ] {
        let args = [&["replay", "some.csv"], args].concat();
        site.fails(&args, 2, &[&format!("helostat: {says}")]);
    }
}

#[test]
fn no_configuration_is_needed() {
    let site = labelled();
    let mut command = std::process::Command::new(site.command(&[]).get_program());
    command.args(["--example", "replay", "mail.csv"]).current_dir(site.path(""));
    let done = command.output().expect("the program starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

//! journald's journal: a journalctl that misbehaves, and the real one over journals made for the test.
#![expect(clippy::print_stderr, reason = "a test that cannot run here says so")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use helostat_tests::mail::{days_ago, postfix};
use helostat_tests::program::{Random, Site, eventually};

fn session(n: u32) -> String {
    postfix(
        days_ago(0),
        &format!("10.0.{}.{}", n / 200, n % 200 + 1),
        &format!("mx{n}.example.com"),
    )
}

/// A site with a journalctl of its own in `bin`, which does what the script says. `$run` is the
/// number of its run, from 1.
fn with_journalctl(script: &str) -> Site {
    let site = Site::new(
        "[[journal]]\nreporter = \"mx1\"\nunits = [\"postfix*\"]\nformat = \"postfix\"\n",
    );
    fs::create_dir(site.path("bin")).expect("a folder");
    let head = r#"#!/bin/sh
echo "$*" >> asked
run=$(wc -l < asked)
# As the real one, it ends with who reads it.
stay() { while kill -0 $PPID 2>/dev/null; do sleep 0.1; done; }
"#;
    site.write("bin/journalctl", format!("{head}{script}"));
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(site.path("bin/journalctl"), executable).expect("executable");
    site
}

/// What the runs of journalctl were asked for.
fn asked(site: &Site) -> Vec<String> {
    let asked = fs::read_to_string(site.path("asked")).unwrap_or_default();
    asked.lines().map(str::to_owned).collect()
}

#[test]
fn a_journalctl_that_ends_is_started_again_behind_what_was_read() {
    let site = with_journalctl(
        r#"
case $run in
1) echo 'not JSON at all'
   echo '{"__CURSOR":"c1","MESSAGE":"one"}'
   echo '{"MESSAGE":"\"__CURSOR\":\"forged\"","__CURSOR":"c2"}'
   printf '{"__CURSOR":"c3","MESS' ;;
2) echo "No journal files were opened due to insufficient permissions." >&2
   exit 1 ;;
3) echo '{"__CURSOR":"c2","MESSAGE":"two, again"}'
   echo '{"__CURSOR":"c3","MESSAGE":"three"}'
   stay ;;
*) echo '{"__CURSOR":"c7","MESSAGE":"seven"}'
   stay ;;
esac
"#,
    );
    let daemon = site.start_with_programs("bin", "/usr/bin:/bin");
    let denied = "journalctl ended (exit status: 1): No journal files were opened due to insufficient permissions.";
    daemon.wait_said("journald: the journal cannot be read: journalctl ended (exit status: 0)");
    daemon.wait_said(denied);
    let lines = || daemon.metric("helostat_ingest_lines_total", &[]);
    eventually("four lines", || (lines() == 4.0).then_some(()));
    let plain = "--output=json --all --follow --no-tail --no-pager --quiet --unit=postfix*";
    let again = format!("{plain} --cursor=c2");
    assert_eq!(asked(&site), [plain, &again, &again]);
    eventually("no warning", || daemon.warnings().is_empty().then_some(()));
    daemon.kill();
    // What was read last is gone from the journal.
    let daemon = site.start_with_programs("bin", "/usr/bin:/bin");
    daemon.wait_said("the journal no longer has the entry that was read last");
    let lines = || daemon.metric("helostat_ingest_lines_total", &[]);
    eventually("a line", || (lines() == 1.0).then_some(()));
    assert_eq!(asked(&site).last(), Some(&format!("{plain} --cursor=c3")));
    daemon.stop();
    let dump = site.ok(&["ledger", "dump", "--positions"]);
    assert!(dump.contains("journal:mx1"), "{dump}");
    eventually("journalctl to end with the daemon", || no_journalctl_is_left(&site).then_some(()));
}

/// No journalctl of this site runs any more.
fn no_journalctl_is_left(site: &Site) -> bool {
    let script = site.path("bin/journalctl").into_os_string().into_encoded_bytes();
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let mut commands =
        processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    !commands.any(|words| words.split(|&byte| byte == 0).any(|word| word == script))
}

#[test]
fn a_journalctl_that_cannot_be_started_is_said_once() {
    let site = with_journalctl("");
    fs::remove_file(site.path("bin/journalctl")).expect("it was there");
    let daemon = site.start_with_programs("bin", "/nonexistent");
    let said = "journald: the journal cannot be read: there is no program journalctl";
    daemon.wait_said(said);
    assert_eq!(daemon.warnings(), [said]);
    assert_eq!(daemon.metric("helostat_ingest_unreadable_logs", &[]), 1.0);
    std::thread::sleep(Duration::from_millis(1500));
    daemon.stop();
}

#[test]
fn complaints_and_chatter_keep_nobody() {
    // It complains without end, and says a line longer than any.
    let site = with_journalctl(
        r#"
{ head -c 300000 /dev/zero | tr '\0' '!'; echo; } >&2 &
head -c 300000 /dev/zero | tr '\0' 'x'
echo
echo '{"__CURSOR":"c1","MESSAGE":"one"}'
# The hint is a line of its own, not the middle of that other one.
wait
echo "Hint: You are currently not seeing messages from other users and the system." >&2
stay
"#,
    );
    let daemon = site.start_with_programs("bin", "/usr/bin:/bin");
    daemon.wait_said("Hint: You are currently not seeing messages from other users");
    let lines = || daemon.metric("helostat_ingest_lines_total", &[]);
    eventually("two lines", || (lines() == 2.0).then_some(()));
    let (code, took, _) = daemon.end("TERM");
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// systemd-journal-remote, which makes journals, if it is here.
fn journal_maker() -> Option<PathBuf> {
    let usual = ["/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote"];
    let named = std::env::var_os("HELOSTAT_JOURNAL_REMOTE").map(PathBuf::from);
    let found = named.into_iter().chain(usual.map(PathBuf::from)).find(|path| path.exists());
    let reads = Command::new("journalctl").arg("--version").stdout(Stdio::null()).status();
    match (found, reads) {
        (Some(found), Ok(_)) => Some(found),
        _ => {
            eprintln!(
                "SKIPPED: no journalctl or no systemd-journal-remote (Debian's package systemd-journal-remote)"
            );
            None
        }
    }
}

/// Lines of syslog as entries of a journal.
fn entries(lines: &str, from: u64) -> String {
    let entry = |(n, line): (u64, &str)| {
        let (_, rest) = line.split_once(" mx1 ").expect("a host");
        let (tag, text) = rest.split_once("]: ").expect("a tag");
        let (tag, pid) = tag.split_once('[').expect("a pid");
        let time = (u64::from(days_ago(0).0) - 3600) * 1_000_000 + n;
        format!(
            "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={n}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n_MACHINE_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=mx1\n_TRANSPORT=syslog\nPRIORITY=6\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER={tag}\nSYSLOG_PID={pid}\n_PID={pid}\n_SYSTEMD_UNIT=postfix@-.service\nMESSAGE={text}\n\n"
        )
    };
    (from..).zip(lines.lines()).map(entry).collect()
}

fn write_journal(maker: &PathBuf, file: &PathBuf, entries: &str) {
    let mut command = Command::new(maker);
    command.arg("--output").arg(file).arg("-").stdin(Stdio::piped()).stderr(Stdio::null());
    if let Some(libraries) = std::env::var_os("HELOSTAT_JOURNAL_LIBRARIES") {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    let mut child = command.spawn().expect("it starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), entries.as_bytes())
        .expect("written");
    assert!(child.wait().expect("it ends").success(), "systemd-journal-remote failed");
}

#[test]
fn the_real_journal_is_read_once_however_often_we_are_killed() {
    let Some(maker) = journal_maker() else { return };
    let site = Site::new(
        "[[journal]]\nreporter = \"mx1\"\nunits = [\"postfix*\"]\ndirectory = \"journal\"\n",
    );
    fs::create_dir(site.path("journal")).expect("a folder");
    let journal = site.path("journal/system.journal");
    let mut random = Random(1);
    let mut written = 0;
    let mut next = 1;
    for round in 0..6 {
        let sessions = if round == 0 { 200 } else { 30 };
        let text: String = (next..next + sessions).map(session).collect();
        next += sessions;
        // A session's lines come in two parts, with a kill in between.
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let cut = lines.len() - 3 - random.below(4) as usize;
        for part in [lines[..cut].concat(), lines[cut..].concat()] {
            write_journal(&maker, &journal, &entries(&part, written));
            written += part.lines().count() as u64;
            let daemon = site.launch();
            daemon.wait_ready();
            if round == 5 {
                daemon.wait_caught_up(&["journald"]);
            } else {
                std::thread::sleep(Duration::from_millis(random.below(700)));
            }
            daemon.kill();
        }
    }
    let daemon = site.start();
    daemon.wait_caught_up(&["journald"]);
    // What comes while it follows.
    write_journal(&maker, &journal, &entries(&session(next), written));
    eventually("the last session", || {
        (daemon.metric("helostat_ingest_observations_total", &[("outcome", "accepted")]) > 0.0)
            .then_some(())
    });
    daemon.stop();
    let pairs = site.pairs();
    let once = pairs.iter().filter(|pair| pair.contains(r#""outcomes":{"accepted":1}"#)).count();
    assert_eq!((pairs.len(), once), (next as usize, next as usize));
}

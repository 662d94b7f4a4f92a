//! Every framing of one log tells the same.
//!
//! The extracts in `testdata` are wrapped here as each log writer would (a model of it, not our reader turned round), with
//! lines in between in which a client says what would end a JSON string or begin an entry. The full runs of real
//! writers are compared where the folder `shared` lies beside the checkout or `HELOSTAT_SHARED` names it.

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use helostat_ingest::framing::Framer;
use helostat_ingest::heard::Heard;
use helostat_ingest::reader::{FormatChoice, Reader};
use helostat_zones::time::Time;
use jiff::Timestamp;
use jiff::tz::TimeZone;

const LATEST: &str = "2026-11-20T16:00:00Z";

/// The lines of a file as a source gives them: without NUL in front, without one carriage return at the end.
fn lines(log: &[u8]) -> Vec<&[u8]> {
    let log = log.strip_suffix(b"\n").unwrap_or(log);
    log.split(|&byte| byte == b'\n')
        .map(|line| {
            let nuls = line.iter().take_while(|&&byte| byte == 0).count();
            let line = &line[nuls..];
            line.strip_suffix(b"\r").unwrap_or(line)
        })
        .collect()
}

fn read(log: &[u8], zone: &TimeZone, stopping: bool) -> Vec<Heard> {
    let latest = Time::parse(LATEST).expect("a time");
    let reader = || Reader::new(FormatChoice::Auto, "mx".into(), zone.clone());
    let (mut one, mut out) = (reader(), Vec::new());
    for (at, line) in lines(log).into_iter().enumerate() {
        if stopping && at % 7 == 3 {
            let saved = one.save();
            one = reader().restore(&saved).expect("what was saved");
            assert_eq!(one.save(), saved, "saved again");
        }
        one.read(line, latest, &mut out);
    }
    one.close(&mut out);
    out
}

fn testdata(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)).expect(name)
}

/// A message on its way to a log.
struct Message {
    /// RFC 3339 with an offset, as rsyslog writes it.
    stamp: String,
    moment: Timestamp,
    host: Vec<u8>,
    tag: Vec<u8>,
    pid: Option<String>,
    text: Vec<u8>,
}

/// The messages of a log with ISO stamps.
fn messages(log: &[u8]) -> Vec<Message> {
    let split = |text: &[u8], at: u8| {
        let place = text.iter().position(|&byte| byte == at).expect("a separator");
        (text[..place].to_vec(), text[place + 1..].to_vec())
    };
    lines(log)
        .into_iter()
        .map(|line| {
            let (stamp, rest) = split(line, b' ');
            let stamp = String::from_utf8(stamp).expect("a stamp");
            let (host, rest) = split(&rest, b' ');
            let (head, text) = split(&rest, b':');
            let (tag, pid) = match head.strip_suffix(b"]") {
                Some(head) => {
                    let (tag, pid) = split(head, b'[');
                    (tag, Some(String::from_utf8(pid).expect("digits")))
                }
                None => (head, None),
            };
            let text = text.strip_prefix(b" ").map(<[u8]>::to_vec).expect("a blank");
            Message { moment: stamp.parse().expect("a stamp"), stamp, host, tag, pid, text }
        })
        .collect()
}

impl Message {
    fn date(&self, form: &str) -> String {
        self.moment.strftime(form).to_string()
    }

    fn head(&self) -> Vec<u8> {
        let pid = self.pid.as_ref().map(|pid| format!("[{pid}]")).unwrap_or_default();
        [&self.tag, pid.as_bytes(), b":"].concat()
    }

    /// `STAMP HOST TAG[PID]: TEXT`.
    fn syslog(&self, stamp: &str) -> Vec<u8> {
        [stamp.as_bytes(), b" ", &self.host, b" ", &self.head(), b" ", &self.text].concat()
    }

    fn fields(&self, front: &str) -> Vec<u8> {
        let pid = self.pid.as_deref().unwrap_or("-").as_bytes();
        [
            front.as_bytes(),
            self.stamp.as_bytes(),
            b" ",
            &self.host,
            b" ",
            &self.tag,
            b" ",
            pid,
            b" - -  ",
            &self.text,
        ]
        .concat()
    }

    fn micros(&self) -> String {
        self.moment.as_microsecond().to_string()
    }

    fn is_printable(&self) -> bool {
        std::str::from_utf8(&self.text).is_ok() && self.text.iter().all(|&byte| byte >= b' ')
    }

    fn export(&self) -> Vec<u8> {
        let mut entry = b"__CURSOR=s=a5;i=1\n".to_vec();
        let mut field = |key: &str, value: &[u8]| {
            entry.extend([key.as_bytes(), b"=", value, b"\n"].concat());
        };
        field("__REALTIME_TIMESTAMP", b"1");
        field("_TRANSPORT", b"syslog");
        field("SYSLOG_IDENTIFIER", &self.tag);
        if let Some(pid) = &self.pid {
            field("SYSLOG_PID", pid.as_bytes());
        }
        field("_PID", b"17");
        if self.is_printable() {
            field("MESSAGE", &self.text);
        } else {
            let length = u64::try_from(self.text.len()).expect("a length");
            entry.extend(
                [b"MESSAGE\n", length.to_le_bytes().as_slice(), &self.text, b"\n"].concat(),
            );
        }
        let mut field = |key: &str, value: &[u8]| {
            entry.extend([key.as_bytes(), b"=", value, b"\n"].concat());
        };
        field("_SOURCE_REALTIME_TIMESTAMP", self.micros().as_bytes());
        field("_HOSTNAME", &self.host);
        entry.extend(b"\n");
        entry
    }

    fn journal(&self, transport: &str) -> Vec<u8> {
        let numbers: Vec<String> = self.text.iter().map(u8::to_string).collect();
        let message = if self.is_printable() {
            string(&self.text, false)
        } else {
            format!("[{}]", numbers.join(",")).into_bytes()
        };
        let pid =
            self.pid.as_ref().map(|pid| format!("\"SYSLOG_PID\":\"{pid}\",")).unwrap_or_default();
        [
            br#"{"_PID":"17","MESSAGE":"#.as_slice(),
            &message,
            br#","_UID":["0","1"],"SYSLOG_IDENTIFIER":"#,
            &string(&self.tag, false),
            b",",
            pid.as_bytes(),
            br#""_TRANSPORT":"#,
            &string(transport.as_bytes(), false),
            br#","_HOSTNAME":"#,
            &string(&self.host, false),
            br#","_SOURCE_REALTIME_TIMESTAMP":""#,
            self.micros().as_bytes(),
            br#"","__REALTIME_TIMESTAMP":"7"}"#,
        ]
        .concat()
    }
}

/// A JSON string as log writers make it: bytes beyond ASCII as they are.
fn string(text: &[u8], slash: bool) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'/' if slash => out.extend(*b"\\/"),
            b'\n' => out.extend(*b"\\n"),
            b'<' | b'>' | b'&' if !slash => out.extend(format!("\\u{byte:04x}").bytes()),
            0..b' ' => out.extend(format!("\\u{byte:04X}").bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    out
}

/// An object of these keys.
fn object(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pairs: Vec<Vec<u8>> =
        pairs.iter().map(|(key, value)| [b"\"", key.as_bytes(), b"\": ", value].concat()).collect();
    [b"{".as_slice(), &pairs.join(b", ".as_slice()), b"}"].concat()
}

fn docker(log: &[u8], stream: &str, time: &str) -> Vec<u8> {
    object(&[
        ("log", string(log, false)),
        ("stream", string(stream.as_bytes(), false)),
        ("attrs", br#"{"log":"x","time":["\"}"]}"#.to_vec()),
        ("time", string(time.as_bytes(), false)),
    ])
}

type Writer = fn(&Message) -> Vec<u8>;

/// Every writer of syslog messages.
const WRITERS: &[(&str, Writer)] = &[
    ("RFC 3164", |it| it.syslog(&it.date("%b %e %H:%M:%S"))),
    ("RFC 3164 with a year", |it| it.syslog(&it.date("%b %d %Y %H:%M:%S"))),
    ("RFC 3164 with a year in front", |it| it.syslog(&it.date("%Y %b %d %H:%M:%S"))),
    ("RFC 3164 with a fraction", |it| it.syslog(&it.date("%b %e %H:%M:%S.%6f"))),
    ("RFC 3164 in French", |it| it.syslog(&it.date("nov. %d %H:%M:%S"))),
    ("with priority", |it| [b"<22>".as_slice(), &it.syslog(&it.date("%b %e %H:%M:%S"))].concat()),
    ("FreeBSD", |it| it.syslog(&it.date("%b %e %H:%M:%S <mail.info>"))),
    ("AIX", |it| {
        let stamp = it.date("%b %e %H:%M:%S");
        [stamp.as_bytes(), b" mx mail:info ", &it.head(), b" ", &it.text].concat()
    }),
    ("RFC 5424", |it| it.fields("<22>1 ")),
    ("RFC 5424 without priority", |it| it.fields("1 ")),
    ("RFC 5424 from the stamp on", |it| it.fields("")),
    ("RFC 6587", |it| {
        let message = it.fields("<22>1 ");
        [format!("{} ", message.len()).as_bytes(), &message].concat()
    }),
    ("journalctl -o short-iso", |it| it.syslog(&it.date("%Y-%m-%dT%H:%M:%S+0000"))),
    ("journalctl -o short-full", |it| it.syslog(&it.date("%a %Y-%m-%d %H:%M:%S UTC"))),
    ("journalctl -o short-unix", |it| it.syslog(&it.date("%s.%6f"))),
    ("rsyslog's JSON", |it| {
        let text = [b" ", it.text.as_slice()].concat();
        object(&[
            ("@timestamp", string(it.stamp.as_bytes(), true)),
            ("host", string(&it.host, true)),
            ("severity", string(b"info", true)),
            ("tag", string(&it.head(), true)),
            ("message", string(&text, true)),
        ])
    }),
    ("rsyslog's jsonmesg", |it| {
        object(&[
            ("msg", string(&it.text, true)),
            ("rawmsg", string(&it.syslog("<22>Nov 20 00:00:00"), true)),
            ("timereported", string(it.stamp.as_bytes(), true)),
            ("hostname", string(&it.host, true)),
            ("syslogtag", string(&it.head(), true)),
            ("timegenerated", string(b"2026-11-20T15:59:59Z", true)),
            ("programname", string(b"postfix", true)),
            ("procid", string(it.pid.as_deref().unwrap_or("-").as_bytes(), true)),
            ("uuid", b"null".to_vec()),
            ("$!", b"{\"msg\":\"no\"}".to_vec()),
        ])
    }),
    ("syslog-ng's JSON", |it| {
        object(&[
            ("PROGRAM", string(&it.tag, false)),
            ("PID", string(it.pid.as_deref().unwrap_or_default().as_bytes(), false)),
            ("MESSAGE", string(&it.text, false)),
            ("HOST", string(&it.host, false)),
            ("DATE", string(it.date("%b %e %H:%M:%S").as_bytes(), false)),
        ])
    }),
    ("fluentd", |it| {
        object(&[
            ("ident", string(&it.tag, false)),
            ("pid", it.pid.as_deref().unwrap_or("null").as_bytes().to_vec()),
            ("message", string(&it.text, false)),
            ("host", string(&it.host, false)),
            ("time", it.date("%s.%6f").into_bytes()),
        ])
    }),
    ("journalctl -o json", |it| it.journal("syslog")),
    ("journalctl -o json of a service", |it| it.journal("stdout")),
    ("journalctl -o json-seq", |it| [b"\x1e", it.journal("syslog").as_slice()].concat()),
    ("journalctl -o json-sse", |it| [b"data: ", it.journal("syslog").as_slice(), b"\n"].concat()),
    ("journalctl -o export", Message::export),
    ("docker", |it| {
        let line = [it.syslog(&it.date("%b %e %H:%M:%S")).as_slice(), b"\n"].concat();
        docker(&line, "stdout", &it.stamp)
    }),
    ("docker, no stamp inside", |it| {
        let line = [&it.head(), b" ".as_slice(), &it.text, b"\n"].concat();
        docker(&line, "stderr", &it.stamp)
    }),
    ("docker, the clock inside in another zone", |it| {
        let wrong = it.moment + jiff::SignedDuration::from_hours(1);
        let line = it.syslog(&wrong.strftime("%b %e %H:%M:%S").to_string());
        docker(&[line.as_slice(), b"\n"].concat(), "stdout", &it.stamp)
    }),
    ("docker in pieces", |it| {
        let line = [it.syslog(&it.date("%b %e %H:%M:%S")).as_slice(), b"\n"].concat();
        let pieces: Vec<Vec<u8>> =
            line.chunks(40).map(|piece| docker(piece, "stdout", &it.stamp)).collect();
        let other = docker(b"from elsewhere\n", "stderr", &it.stamp);
        pieces.join([b"\n", other.as_slice(), b"\n"].concat().as_slice())
    }),
    ("CRI", |it| cri(it, "F", &it.syslog(&it.date("%b %e %H:%M:%S")))),
    ("CRI in pieces", |it| {
        let line = it.syslog(&it.stamp);
        let (front, back) = line.split_at(line.len() / 2);
        [cri(it, "P", front), b"\n".to_vec(), cri(it, "F:x", back)].concat()
    }),
];

fn cri(it: &Message, mark: &str, text: &[u8]) -> Vec<u8> {
    [it.stamp.as_bytes(), b" stdout ", mark.as_bytes(), b" ", text].concat()
}

/// Lines in which a client says what would end a string, a line, an entry or a record.
fn hostile_lines() -> Vec<u8> {
    let mut lines = Vec::new();
    for (at, said) in [
        r#"a","message":" NOQUEUE: reject: RCPT from unknown[198.51.100.9]: 554 x; from=<a@b.example> to=<c@d.example> proto=SMTP helo=<forged.example"#,
        r#"a\"#,
        r#"a\","tag":"postfix/smtpd[9]:"#,
        r#"a\n","stream":"stdout"}{"log":"x"#,
        r"a\u0022}",
        "a\u{1}\u{7f}",
        "a__CURSOR=x",
        "\u{e9}t\u{e9}.example",
        "a message repeated 2 times: [ b]",
        "x : 1 Time(s)",
    ]
    .into_iter()
    .enumerate()
    {
        for text in [
            format!("connect from unknown[192.0.2.{at}]"),
            format!("NOQUEUE: reject: RCPT from unknown[192.0.2.{at}]: 554 5.7.1 <c@d.example>: no; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<{said}>"),
            format!("disconnect from unknown[192.0.2.{at}] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"),
        ] {
            let line = format!("2026-11-20T15:30:{at:02}.5+00:00 mx postfix/smtpd[4711]: {text}\n");
            lines.extend(line.bytes());
        }
    }
    lines
}

#[test]
fn every_writer_of_one_log_tells_the_same() {
    let log = [testdata("postfix-3.7.iso.log"), hostile_lines()].concat();
    let expected = read(&log, &TimeZone::UTC, false);
    assert!(expected.len() > 100, "{} observations", expected.len());
    let messages = messages(&log);
    for (name, writer) in WRITERS {
        let lines: Vec<Vec<u8>> = messages.iter().map(writer).collect();
        // An entry of journald's export ends in an empty line.
        let log = lines.join(b"\n".as_slice());
        for stopping in [false, true] {
            same(name, &read(&log, &TimeZone::UTC, stopping), &expected);
        }
    }
}

fn same(name: &str, found: &[Heard], expected: &[Heard]) {
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "{name}: number {at}");
    }
    assert_eq!(found.len(), expected.len(), "{name}");
}

#[test]
fn a_log_of_its_own_is_the_same_in_a_container() {
    for file in ["exim-4.96-a.mainlog", "exim-4.96-c.mainlog"] {
        let log = testdata(file);
        let expected = read(&log, &TimeZone::UTC, false);
        assert!(expected.len() > 20, "{file}");
        let stamped: Vec<(String, &[u8])> = lines(&log)
            .into_iter()
            .map(|line| {
                let stamp = String::from_utf8_lossy(&line[..19]).replace(' ', "T");
                (format!("{stamp}.25Z"), line)
            })
            .collect();
        let wrap = |writer: &dyn Fn(&str, &[u8]) -> Vec<u8>| {
            let lines: Vec<Vec<u8>> =
                stamped.iter().map(|(stamp, line)| writer(stamp, line)).collect();
            lines.join(b"\n".as_slice())
        };
        let in_docker = wrap(&|stamp, line| docker(&[line, b"\n"].concat(), "stdout", stamp));
        let in_cri = wrap(&|stamp, line| [stamp.as_bytes(), b" stderr F ", line].concat());
        let in_journal = wrap(&|stamp, line| {
            let message = Message {
                stamp: stamp.to_owned(),
                moment: stamp.parse().expect("a stamp"),
                host: b"mx".to_vec(),
                tag: b"exim4".to_vec(),
                pid: None,
                text: line.to_vec(),
            };
            message.journal("stdout")
        });
        for (name, log) in [("docker", in_docker), ("CRI", in_cri), ("journal", in_journal)] {
            same(&format!("{file} in {name}"), &read(&log, &TimeZone::UTC, true), &expected);
        }
    }
}

/// The folder with the full runs, if this machine has it.
fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("HELOSTAT_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    named.into_iter().chain([beside]).map(|folder| folder.join("logs")).find(|logs| logs.is_dir())
}

type Told = (IpAddr, Option<String>, String, Option<&'static str>);

/// What is told, and how often: without times, as journald's are those of a replay.
fn told(log: &[u8], zone: &TimeZone) -> BTreeMap<Told, usize> {
    let mut told = BTreeMap::new();
    for heard in read(log, zone, false) {
        let name = heard.name.as_ref().map(|name| name.text().to_owned());
        *told.entry((heard.ip, name, format!("{:?}", heard.outcome), heard.stage)).or_default() +=
            1;
    }
    told
}

#[test]
fn every_framing_of_one_real_run_tells_the_same() {
    let Some(logs) = shared() else {
        eprintln!("SKIPPED every_framing_of_one_real_run_tells_the_same: no folder 'shared'");
        return;
    };
    let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
    for (run, model, others, zone) in [
        ("postfix/seed-1", "mail.iso.log", ALL.as_slice(), &TimeZone::UTC),
        ("postfix/seed-3", "mail.native.log", &["docker-json.log"], &berlin),
        ("exim/seed-1", "mail.iso.log", &ALL, &TimeZone::UTC),
        ("sendmail/seed-1", "mail.iso.log", &ALL, &TimeZone::UTC),
        ("opensmtpd/seed-1", "mail.iso.log", &ALL, &TimeZone::UTC),
    ] {
        let folder = logs.join("real").join(run);
        let expected = told(&fs::read(folder.join(model)).expect(model), zone);
        println!("{run}/{model}: {} different", expected.len());
        for log in others {
            let Ok(bytes) = fs::read(folder.join(log)) else { continue };
            let found = told(&bytes, zone);
            let missing: Vec<_> =
                expected.iter().filter(|(key, count)| found.get(*key) != Some(count)).collect();
            let more: Vec<_> =
                found.iter().filter(|(key, count)| expected.get(*key) != Some(count)).collect();
            println!("  {log}: {} different", found.len());
            assert!(
                missing.is_empty() && more.is_empty(),
                "{run}/{log}: missing {missing:#?}, more {more:#?}"
            );
        }
    }
}

#[test]
fn every_line_of_one_real_run_has_the_same_frame() {
    let Some(logs) = shared() else {
        eprintln!("SKIPPED every_line_of_one_real_run_has_the_same_frame: no folder 'shared'");
        return;
    };
    for run in ["postfix", "exim", "sendmail", "opensmtpd"] {
        let folder = logs.join("real").join(run).join("seed-1");
        let frames = |log: &str| {
            let log = fs::read(folder.join(log)).expect(log);
            let latest = Time::parse(LATEST).expect("a time");
            let (mut framer, mut room) = (Framer::new(TimeZone::UTC), Vec::new());
            let frame = |line| {
                let frame = framer.frame(line, latest, &mut room).ok()?;
                let texts = [frame.host, frame.tag, frame.text].map(<[u8]>::to_vec);
                Some((frame.time.0 % 60, frame.pid, texts))
            };
            lines(&log).into_iter().map(frame).collect::<Vec<_>>()
        };
        let expected = frames("mail.iso.log");
        assert!(expected.len() > 1000 && expected.iter().all(Option::is_some), "{run}");
        for log in ["mail.trad.log", "mail.json.log"] {
            for (at, (found, expected)) in frames(log).iter().zip(&expected).enumerate() {
                assert_eq!(found, expected, "{run}/{log}:{}", at + 1);
            }
        }
        // What RFC 5424 calls the program ends at the slash.
        for (at, (found, expected)) in frames("mail.5424.log").iter().zip(&expected).enumerate() {
            let mut expected = expected.clone();
            if let Some((_, _, [_, tag, _])) = &mut expected {
                tag.truncate(tag.iter().position(|&byte| byte == b'/').unwrap_or(tag.len()));
            }
            assert_eq!(found, &expected, "{run}/mail.5424.log:{}", at + 1);
        }
    }
}

/// `journal.short` shows the pid of whoever replayed the messages.
const ALL: [&str; 5] =
    ["mail.trad.log", "mail.5424.log", "mail.json.log", "journal.json.log", "journal.export.log"];

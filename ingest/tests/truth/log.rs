//! A log as it is compared: its lines, taken out of their wrapping, and what the reader made of them.

use helostat_ingest::framing::Framer;
use helostat_ingest::heard::Heard;
use helostat_ingest::reader::Reader;
use helostat_zones::time::Time;
use jiff::tz::TimeZone;

use crate::runs::Run;
use crate::said::Session;

/// Later than every line.
const LATEST: &str = "2026-11-21T15:00:00Z";

pub(crate) struct Line {
    pub(crate) time: Time,
    /// In lower case.
    text: Vec<u8>,
    /// The MTA's own keys of the session it belongs to.
    keys: Vec<Vec<u8>>,
}

pub(crate) struct Log {
    pub(crate) lines: Vec<Line>,
    /// For each line the first line of its connection, or itself.
    groups: Vec<usize>,
    /// Lines that are in no known wrapping.
    pub(crate) unframed: usize,
    /// What was told, less what was taken back.
    pub(crate) heard: Vec<Heard>,
}

impl Log {
    pub(crate) fn read(run: &Run, bytes: &[u8], zone: TimeZone) -> Self {
        let latest = Time::parse(LATEST).expect("a time");
        let mut reader = Reader::new(run.format, "truth".into(), zone.clone());
        let mut framer = Framer::new(zone);
        let (mut out, mut lines, mut unframed) = (Vec::new(), Vec::new(), 0);
        let mut room = Vec::new();
        let mut keys = Keys::default();
        for line in bytes.split(|&byte| byte == b'\n') {
            reader.read(line, latest, &mut out);
            match framer.frame(line, latest, &mut room) {
                Ok(frame) => {
                    let text = frame.text.to_ascii_lowercase();
                    let keys = keys.of(frame.tag, frame.pid, &text);
                    lines.push(Line { time: frame.time, text, keys });
                }
                Err("empty") => {}
                Err(_) => unframed += 1,
            }
        }
        reader.close(&mut out);
        Self { groups: groups(&lines), lines, unframed, heard: settled(out) }
    }

    /// What a line belongs to: lines of one connection have the same.
    pub(crate) fn group(&self, line: usize) -> usize {
        self.groups[line]
    }

    /// What was heard, without times, in order.
    pub(crate) fn timeless(&self) -> Vec<String> {
        let show = |one: &Heard| {
            format!("{} {:?} {:?} {:?} {}", one.ip, one.name, one.rdns, one.proto, one.outcome)
        };
        let mut all: Vec<String> = self.heard.iter().map(show).collect();
        all.sort();
        all
    }
}

/// Joins lines by the keys they share, if not by much more than a session lasts.
fn groups(lines: &[Line]) -> Vec<usize> {
    let mut groups: Vec<usize> = (0..lines.len()).collect();
    let mut latest: std::collections::HashMap<&[u8], usize> = std::collections::HashMap::new();
    for (at, line) in lines.iter().enumerate() {
        let earlier = line.keys.iter().find_map(|key| {
            let before = *latest.get(&key[..])?;
            (line.time.0.saturating_sub(lines[before].time.0) <= 15).then_some(groups[before])
        });
        groups[at] = earlier.unwrap_or(at);
        for key in &line.keys {
            latest.insert(key, at);
        }
    }
    groups
}

/// Takes back what was superseded, as a ledger does.
fn settled(heard: Vec<Heard>) -> Vec<Heard> {
    let mut kept: Vec<Heard> = Vec::new();
    for one in heard {
        if let Some(old) = one.supersedes {
            let at = kept.iter().rposition(|earlier| {
                earlier.ip == one.ip
                    && earlier.name == one.name
                    && earlier.time == one.time
                    && earlier.outcome == old
            });
            kept.remove(at.expect("what is superseded was told"));
        }
        kept.push(one);
    }
    kept
}

/// Which keys a line has: queue ids, sessions ids, and processes that serve one client after another.
#[derive(Default)]
struct Keys {
    connections: usize,
    /// (tag and pid, the connection it serves)
    serving: std::collections::HashMap<Vec<u8>, usize>,
}

impl Keys {
    fn of(&mut self, tag: &[u8], pid: Option<u32>, text: &[u8]) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        if let Some(pid) = pid.filter(|_| !tag.ends_with(b"/cleanup")) {
            let mut process = tag.to_vec();
            process.extend_from_slice(format!(" {pid}").as_bytes());
            if text.starts_with(b"connect from ") {
                self.connections += 1;
                self.serving.insert(process.clone(), self.connections);
            }
            if let Some(connection) = self.serving.get(&process) {
                keys.push(format!("connection {connection}").into_bytes());
            } else if tag.starts_with(b"exim") || tag.is_empty() {
                keys.push(process);
            }
        }
        // Postfix, Sendmail, OpenSMTPD: the first word; Haraka: the first in brackets that is long.
        let words = text.split(|byte| b" :[].|".contains(byte)).take(14);
        let is_id = |word: &&[u8]| {
            word.len() >= 10
                && word.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
                && word.iter().any(u8::is_ascii_digit)
        };
        keys.extend(words.filter(is_id).map(<[u8]>::to_vec));
        keys
    }
}

impl Line {
    fn has(&self, mark: &str) -> bool {
        memchr::memmem::find(&self.text, mark.as_bytes()).is_some()
    }

    /// The line shows this client, and neither another one's port nor another session's envelope.
    pub(crate) fn shows_client(&self, session: &Session, run: &Run) -> bool {
        let mut shown = false;
        for form in (run.addresses)(session.ip) {
            let mut rest = &self.text[..];
            while let Some(at) = memchr::memmem::find(rest, form.as_bytes()) {
                let before = rest.get(..at).and_then(<[u8]>::last);
                rest = rest.get(at + form.len()..).unwrap_or_default();
                let bounded = |byte: Option<&u8>| {
                    byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'.')
                };
                if !bounded(before) || !bounded(rest.first()) {
                    continue;
                }
                let port = rest.strip_prefix(b"]:").unwrap_or_default();
                let digits = port.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let port: Option<u32> = port
                    .get(..digits)
                    .and_then(|port| std::str::from_utf8(port).ok()?.parse().ok());
                if port.is_none() || session.port.is_none() || port == session.port {
                    shown = true;
                }
            }
        }
        shown && !self.is_of_another(session)
    }

    /// The envelope is another session's: the driver puts its id into senders and message ids.
    pub(crate) fn is_of_another(&self, session: &Session) -> bool {
        let mut others = false;
        for at in memchr::memmem::find_iter(&self.text, b"@sender.test") {
            let start = self
                .text
                .iter()
                .take(at)
                .rposition(|byte| !byte.is_ascii_alphanumeric() && !b"+=.".contains(byte))
                .map_or(0, |before| before + 1);
            let word = self.text.get(start..at).unwrap_or_default();
            if word.starts_with(session.id.as_bytes()) {
                return false;
            }
            others |= word.first() == Some(&b's') && word.get(1).is_some_and(u8::is_ascii_digit);
        }
        others
    }

    /// The line shows this name in a place where the MTA writes the client's name.
    pub(crate) fn shows_name(&self, session: &Session, name: &str, run: &Run) -> bool {
        run.marks.iter().any(|mark| {
            let mark = mark
                .replace("{name}", &name.to_ascii_lowercase())
                .replace("{ip}", &session.ip.to_string());
            mark.split(" .. ").all(|part| self.has(part))
        })
    }

    pub(crate) fn shares_key(&self, other: &Self) -> bool {
        self.keys.iter().any(|key| other.keys.contains(key))
    }
}

//! One rspamd line: text in, `Line` out, borrowing from the text where nothing had to be unescaped.
//!
//! `(worker) <id>; module; function: message`, each part but the message possibly missing, or with `log_json` an
//! object with those fields. Two messages count:
//!
//! - `id: <MID>, qid: <Q>, ip: IP, user: U, from: <F>, (default: T (action): [..` of `rspamd_task_write_log`,
//!   by the log_format that rspamd ships. The message's id stands before the address and is the
//!   sender's: if anything that tells a field stands there twice, the line has two readings;
//! - `ehlo-log ip=IP rdns=NAME user=U action=A helo=<NAME>` of our own snippet: what others chose stands
//!   behind what they did not, and nothing is escaped.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Deserialize;

use crate::bytes::{address, cut, cut_at, number};
use crate::session::Refusal;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Nothing that counts.
    Nothing,
    Unknown,
    /// The end of a task.
    Task {
        id: Cow<'a, [u8]>,
        task: Result<Option<Task>, &'static str>,
    },
    /// Our own snippet's.
    Logged {
        id: Cow<'a, [u8]>,
        logged: Logged,
    },
}

/// What the log says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) ip: IpAddr,
    pub(super) login: bool,
    pub(super) action: Action,
}

/// What our snippet says of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Logged {
    pub(super) task: Task,
    pub(super) rdns: Vec<u8>,
    /// `None` if the line was cut before its end.
    pub(super) helo: Option<Vec<u8>>,
}

/// What rspamd tells the MTA to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) word: &'static str,
    pub(super) refusal: Option<Refusal>,
}

/// Every action, with what the client hears.
const ACTIONS: [Action; 9] = [
    Action { word: "no action", refusal: None },
    Action { word: "add header", refusal: None },
    Action { word: "rewrite subject", refusal: None },
    Action { word: "accept", refusal: None },
    // Taken, and not delivered.
    Action { word: "discard", refusal: None },
    Action { word: "quarantine", refusal: None },
    Action { word: "greylist", refusal: Some(Refusal::Soft) },
    Action { word: "soft reject", refusal: Some(Refusal::Soft) },
    Action { word: "reject", refusal: Some(Refusal::Hard) },
];

impl Action {
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        ACTIONS.into_iter().find(|action| action.word.as_bytes() == word)
    }
}

/// Reads a line without its stamp and pid.
pub(super) fn read(text: &[u8]) -> Line<'_> {
    if text.starts_with(b"{") {
        return match serde_json::from_slice::<JsonLine>(text) {
            Ok(line) => {
                let id = Cow::Owned(line.id.into_bytes());
                message(
                    id,
                    line.module.as_bytes(),
                    line.function.as_bytes(),
                    line.message.as_bytes(),
                )
            }
            Err(_) => Line::Unknown,
        };
    }
    let text = worker(text).map_or(text, |(_, rest)| rest);
    let (id, rest) = match text.strip_prefix(b"<").and_then(|inside| cut_at(inside, b">; ")) {
        Some(parts) => parts,
        None => (b"".as_slice(), text),
    };
    let Some((head, said)) = cut_at(rest, b": ") else { return Line::Unknown };
    let (module, function) = cut_at(head, b"; ").unwrap_or((b"", head));
    if function.iter().any(|byte| !byte.is_ascii_graphic()) {
        return Line::Unknown;
    }
    message(Cow::Borrowed(id), module, function, said)
}

/// A line with `log_json`.
#[derive(Deserialize)]
struct JsonLine {
    #[serde(default)]
    id: String,
    #[serde(default)]
    module: String,
    #[serde(default)]
    function: String,
    message: String,
}

/// `(normal) ` at the start of `text`.
pub(super) fn worker(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (worker, rest) = cut_at(text.strip_prefix(b"(")?, b") ")?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    (!worker.is_empty() && worker.iter().all(plain)).then_some((worker, rest))
}

fn message<'a>(id: Cow<'a, [u8]>, module: &[u8], function: &[u8], said: &[u8]) -> Line<'a> {
    if function == b"rspamd_task_write_log" {
        return Line::Task { id, task: task(said) };
    }
    if module == b"lua" && said.starts_with(b"ehlo-log ip=") {
        return match logged(said) {
            Some(logged) => Line::Logged { id, logged },
            None => Line::Nothing,
        };
    }
    Line::Nothing
}

/// `None` if no client is told; the error is a reason word.
fn task(said: &[u8]) -> Result<Option<Task>, &'static str> {
    let rest = said.strip_prefix(b"id: <").ok_or("shape")?;
    let (head, result) = only(rest, b"(default: ")?.ok_or("shape")?;
    // Its flag: T, F or S.
    let result = result.get(1..).and_then(|rest| rest.strip_prefix(b" (")).ok_or("shape")?;
    let (action, _) = cut_at(result, b"): [").ok_or("shape")?;
    let action = Action::of(action).ok_or("action")?;
    let Some((before, after)) = only(rest, b">, ip: ")? else { return Ok(None) };
    if before.len() > head.len() {
        return Err("two-readings");
    }
    let (ip, after) = cut(after, b',').ok_or("shape")?;
    let Some(ip) = address(ip) else { return Ok(None) };
    // What should stand before the address stands behind it: that address was not rspamd's.
    if cut_at(after, b">, qid: <").is_some() {
        return Err("two-readings");
    }
    Ok(Some(Task { ip, login: after.starts_with(b" user: "), action }))
}

/// What is before and after something.
type Parts<'a> = (&'a [u8], &'a [u8]);

/// The parts around `needle`; an error if it is there more than once.
fn only<'a>(text: &'a [u8], needle: &[u8]) -> Result<Option<Parts<'a>>, &'static str> {
    let Some(parts) = cut_at(text, needle) else { return Ok(None) };
    match cut_at(parts.1, needle) {
        Some(_) => Err("two-readings"),
        None => Ok(Some(parts)),
    }
}

fn logged(said: &[u8]) -> Option<Logged> {
    let (ip, rest) = cut(said.strip_prefix(b"ehlo-log ip=")?, b' ')?;
    let ip = address(ip)?;
    let (rdns, rest) = cut(rest.strip_prefix(b"rdns=")?, b' ')?;
    // Who logs in may have any name; nobody else has one.
    let (user, rest) = match rest.strip_prefix(b"user=") {
        Some(rest) => cut_at(rest, b" action=")?,
        None => (b"-".as_slice(), rest.strip_prefix(b"action=")?),
    };
    let (action, helo) = ACTIONS.into_iter().find_map(|action| {
        let rest = rest.strip_prefix(action.word.as_bytes())?;
        Some((action, rest.strip_prefix(b" helo=<")?))
    })?;
    let task = Task { ip, login: user != b"-" && user != b"nil", action };
    Some(Logged { task, rdns: rdns.to_vec(), helo: helo.strip_suffix(b">").map(<[u8]>::to_vec) })
}

/// `#321(normal) ` at the start of `text`, a severity possibly before it: the pid and what follows.
pub(super) fn process(text: &[u8]) -> Option<(u32, &[u8])> {
    let text = match text.strip_prefix(b"[") {
        Some(inside) => cut_at(inside, b"] ")?.1,
        None => text,
    };
    let (pid, rest) = number(text.strip_prefix(b"#")?)?;
    Some((pid, worker(rest)?.1))
}

/// A row of the history.
#[derive(Debug, Deserialize)]
pub(super) struct HistoryRow {
    unix_time: f64,
    #[serde(default)]
    ip: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    user: String,
}

impl HistoryRow {
    /// When the message came, in whole seconds.
    pub(super) fn unix(&self) -> i64 {
        // Floats saturate in this conversion: no row can make it go wrong.
        self.unix_time as i64
    }

    /// `None` if the row tells of no client.
    pub(super) fn task(&self) -> Option<Task> {
        let login = !matches!(self.user.as_str(), "" | "unknown");
        let ip = address(self.ip.as_bytes())?;
        Some(Task { ip, login, action: Action::of(self.action.as_bytes())? })
    }
}

/// Rows in an array, in the array `rows` of an object, or one alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum History {
    Rows(Vec<HistoryRow>),
    Object { rows: Vec<HistoryRow> },
    Row(HistoryRow),
}

/// The rows of a line of the history; `None` if it is none.
pub(super) fn history(line: &[u8]) -> Option<Vec<HistoryRow>> {
    let has = |mark: &[u8]| memchr::memmem::find(line, mark).is_some();
    let begins = line.starts_with(b"[{\"") || line.starts_with(b"{\"");
    if !begins || !has(b"\"unix_time\":") || !has(b"\"required_score\":") {
        return None;
    }
    Some(match serde_json::from_slice(line).ok()? {
        History::Rows(rows) | History::Object { rows } => rows,
        History::Row(row) => vec![row],
    })
}

/// When a line with `log_json` is from; `None` if it is none.
pub(super) fn json_time(line: &[u8]) -> Option<(i64, u32)> {
    #[derive(Deserialize)]
    struct Stamp {
        ts: f64,
        pid: u32,
        #[serde(rename = "worker_type")]
        _worker: serde::de::IgnoredAny,
    }
    if !line.starts_with(b"{\"ts\": ") {
        return None;
    }
    let Stamp { ts, pid, .. } = serde_json::from_slice(line).ok()?;
    Some((ts as i64, pid))
}

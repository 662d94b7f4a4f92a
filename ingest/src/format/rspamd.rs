//! rspamd: what it told the MTA to do with each message, from its log or its history.
//!
//! In go lines of rspamd's own log (with stamps, with `log_json`, or as systemd gets them), of its syslog, and
//! rows of its history; each message is told when its task is over. rspamd's log has no name: the line of our
//! snippet (`ehlo-log`, see `ops/mta/rspamd`) has, and comes before the task's own line. Both have the task's id and
//! come from one process, and are one message.
//!
//! No action, a header, another subject: accepted. Greylisting and soft rejects: deferred. The MTA may do
//! otherwise than rspamd says; where the MTA's log is read, too, each message is heard twice.
//! `helo=<>` means that the MTA passed no name on; nobody knows whether there was one.
//!
//! The history is what the web interface and `/history` give: an array of rows on one line, an object with `rows`,
//! or a row a line. A line longer than `reader::LINE_MAX` is not read, and an array of a few hundred messages
//! is: `jq -c '.[]'` makes a row a line of it. Messages with a user are kept apart.
//!
//! Not done: other log_formats than the one that is shipped (`shape`), colours, rspamc's output. The grammar is
//! rspamd's logger.c, task.c and roll_history.c, and a run of 3.4.

mod line;

use helostat_zones::name::Name;
use helostat_zones::time::Time;
use serde::{Deserialize, Serialize};

use self::line::{Line, Logged, Task};
use super::{
    Caller, Format, IRRELEVANT, Reading, SESSION, SavedCaller, SavedState, Setting, TWICE,
    ambiguous, not_understood, restored, reverse_name, saved,
};
use crate::bytes::{from_text, to_text};
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::{Apart, Heard};
use crate::session::{SavedTally, Stage, Table, Tally, is_past};
use crate::stamps::{Stamps, iso_stamp};

/// How long after its snippet's line a task may end: `task_timeout` is seconds, a slow scan a minute.
const IDLE: std::time::Duration = std::time::Duration::from_secs(600);

/// Joins the lines of one reporter's rspamd.
#[derive(Debug)]
pub(crate) struct Rspamd {
    setting: Setting,
    /// What our snippet said of tasks that are not over.
    pending: Table<Pending>,
}

#[derive(Debug)]
struct Pending {
    key: Box<[u8]>,
    time: Time,
    caller: Caller,
    name: Option<Name>,
    tally: Tally,
}

impl Format for Rspamd {
    fn read(&mut self, frame: &Frame<'_>, stamps: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        if let Some(rows) = line::history(frame.text) {
            for row in &rows {
                if let Some(task) = row.task()
                    && let Ok(time) = stamps.unix(row.unix())
                {
                    self.tell_task(time, &task, out);
                }
            }
            return SESSION;
        }
        match line::read(frame.text) {
            Line::Nothing => IRRELEVANT,
            // Lua code may print anything, in several lines.
            Line::Unknown => not_understood("shape"),
            Line::Logged { id, logged } => self.logged(frame, &id, logged, out),
            Line::Task { id, task } => {
                if let Some(pending) = self.pending.close(&key(frame, &id)) {
                    self.tell(pending, out);
                    return SESSION;
                }
                match task {
                    Ok(None) => IRRELEVANT,
                    Ok(Some(task)) => {
                        self.tell_task(frame.time, &task, out);
                        SESSION
                    }
                    Err("two-readings") => ambiguous("two-readings"),
                    Err(why) => not_understood(why),
                }
            }
        }
    }

    fn sweep(&mut self, now: Time, out: &mut Vec<Heard>) {
        for pending in self.pending.close_where(|pending| is_past(pending.time, now, IDLE)) {
            self.tell(pending, out);
        }
    }

    fn close(&mut self, out: &mut Vec<Heard>) {
        for pending in self.pending.close_where(|_| true) {
            self.tell(pending, out);
        }
    }

    fn open_sessions(&self) -> usize {
        self.pending.len()
    }

    fn closed_early(&self) -> u64 {
        self.pending.closed_early()
    }

    fn save(&self) -> SavedState {
        let pending: Vec<Saved> = self.pending.iter().map(|(_, pending)| pending.save()).collect();
        saved(&pending)
    }

    fn restore(&mut self, saved: SavedState) -> Result<(), String> {
        for saved in restored::<Saved>(saved)? {
            let pending = Pending::restore(saved).ok_or(TWICE)?;
            let key = pending.key.clone();
            if self.pending.open(&key, pending).is_some() {
                return Err(TWICE.to_owned());
            }
        }
        Ok(())
    }
}

impl Rspamd {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone(), pending: Table::new() }
    }

    fn logged(
        &mut self,
        frame: &Frame<'_>,
        id: &[u8],
        logged: Logged,
        out: &mut Vec<Heard>,
    ) -> Reading {
        let Logged { task, rdns, helo } = logged;
        let (mut caller, tally) = told(&task);
        // What an MTA passes on that could not verify a name.
        if rdns != b"-" && rdns != b"unknown" && !rdns.starts_with(b"[") {
            caller.rdns = reverse_name(&rdns);
        }
        let is_cut = helo.is_none();
        let name = helo.filter(|helo| !helo.is_empty()).map(|helo| Name::parse(&helo));
        let key = key(frame, id);
        let pending = Pending { key: key.clone().into(), time: frame.time, caller, name, tally };
        if let Some(over) = self.pending.open(&key, pending) {
            self.tell(over, out);
        }
        if is_cut { ambiguous("cut") } else { SESSION }
    }

    fn tell(&self, pending: Pending, out: &mut Vec<Heard>) {
        let Pending { time, caller, name, tally, .. } = pending;
        out.push(caller.tell(time, name.as_ref(), &tally, None, &self.setting.reporter));
    }

    fn tell_task(&self, time: Time, task: &Task, out: &mut Vec<Heard>) {
        let (caller, tally) = told(task);
        out.push(caller.tell(time, None, &tally, None, &self.setting.reporter));
    }
}

/// Who a task's client is, and what became of the message.
fn told(task: &Task) -> (Caller, Tally) {
    let mut caller = Caller::new(task.ip);
    caller.apart = task.login.then_some(Apart::Login);
    let mut tally = Tally::default();
    match task.action.refusal {
        Some(refusal) => {
            tally.refuse(refusal, Stage::EndOfMessage, task.action.word.as_bytes());
        }
        None => tally.accepted = 1,
    }
    (caller, tally)
}

/// host NUL pid NUL id of the task.
fn key(frame: &Frame<'_>, id: &[u8]) -> Vec<u8> {
    let pid = frame.pid.unwrap_or(0).to_le_bytes();
    [frame.host, &pid, id].join(&0)
}

/// True for the tags of rspamd.
pub(crate) fn is_tag(tag: &[u8]) -> bool {
    tag == b"rspamd"
}

/// A line of rspamd's own log, or of its history.
pub(crate) fn own<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
) -> Option<Result<Frame<'a>, &'static str>> {
    let frame = |time, pid, text| Frame {
        time,
        host: b"",
        tag: b"",
        pid,
        text,
        own: Some(Program::Rspamd),
    };
    if line.first().is_some_and(|byte| b"{[".contains(byte)) {
        if let Some((unix, pid)) = line::json_time(line) {
            return Some(stamps.unix(unix).map(|time| frame(time, Some(pid), line)));
        }
        let unix = line::history(line)?.first()?.unix();
        return Some(stamps.unix(unix).map(|time| frame(time, None, line)));
    }
    // Behind the stamp, with a fraction or without: lines of Exim come here, too, and are many.
    if !line.iter().skip(20).take(12).any(|&byte| byte == b'#') {
        return None;
    }
    let (stamp, rest) = iso_stamp(line, b' ')?;
    let (pid, text) = line::process(rest.strip_prefix(b" ")?)?;
    Some(stamps.time(&stamp).map(|time| frame(time, Some(pid), text)))
}

/// A task as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    /// The key, each octet as the character of that number.
    key: String,
    time: u32,
    client: SavedCaller,
    tally: SavedTally,
    /// The tally's name was not shown.
    #[serde(default, skip_serializing_if = "crate::session::is_false")]
    unnamed: bool,
}

impl Pending {
    fn save(&self) -> Saved {
        let name = self.name.clone().unwrap_or_else(Name::absent);
        Saved {
            key: to_text(&self.key),
            time: self.time.0,
            client: SavedCaller::of(&self.caller),
            tally: SavedTally::of(&name, &self.tally),
            unnamed: self.name.is_none(),
        }
    }

    fn restore(saved: Saved) -> Option<Self> {
        let (name, tally) = saved.tally.restore();
        Some(Self {
            key: from_text(&saved.key)?.into(),
            time: Time(saved.time),
            caller: saved.client.restore(),
            name: (!saved.unnamed).then_some(name),
            tally,
        })
    }
}

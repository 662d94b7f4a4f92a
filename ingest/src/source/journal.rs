//! journald's journal, live, through `journalctl --follow --output=json`.
//!
//! In: which messages; out: one line of JSON for each entry, as journalctl prints it, which the framing reads. The
//! position is version (1) and then the cursor of the last entry handed out; what is stored with it is never read
//! again, however the program ended. Without a position reading begins with the oldest entry that the journal has.
//!
//! After a start the entry at the cursor itself is asked for, not the next: if it comes first it is passed over, and if
//! another does, the journal has lost it (it was vacuumed or removed), which is said as [`SourceTrouble::JournalGap`];
//! reading goes on at the one that came. (`--after-cursor` would pass over an entry without telling.)
//!
//! journalctl is a child that speaks into sockets which are read only when we are asked for the next thing, so neither it
//! nor its complaints ever keep us. If it ends or cannot be started, that is a trouble, and it is started again: after
//! [`FIRST_PAUSE`] and then twice as late each time, up to [`LONGEST_PAUSE`]. What it complains of while it runs (that it may not
//! see the system's messages) is a trouble, too.
//!
//! What is not done: telling a journalctl that hangs from a journal in which nothing happens. An entry longer than
//! [`LINE_BYTES`](super::LINE_BYTES) comes cut, as a line that is too long.

use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::lines::{Found, Lines};
use super::{Positions, Source, SourceTrouble, Step};

/// How long to wait before journalctl is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How long to wait at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Silent for so long after it has begun, it has told all there is so far.
const SILENCE: Duration = Duration::from_millis(500);
/// How much is kept of what it complains.
const COMPLAINT_BYTES: usize = 500;
/// The layout of a stored position.
const VERSION: u8 = 1;

/// Which messages of which journal.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Under which name it is stored how far it was read.
    pub name: String,
    /// Units whose messages are read, also as patterns; none is all.
    pub units: Vec<String>,
    /// Programs whose messages are read, by the names they log under; none is all.
    pub identifiers: Vec<String>,
    /// The folder of the journal; none is the system's own.
    pub directory: Option<PathBuf>,
}

impl Setting {
    /// The source that it is stored as.
    fn id(&self) -> String {
        format!("journal:{}", self.name)
    }

    fn command(&self, cursor: Option<&str>) -> Command {
        let mut command = Command::new("journalctl");
        command.args(["--output=json", "--all", "--follow", "--no-tail", "--no-pager", "--quiet"]);
        if let Some(directory) = &self.directory {
            command.arg("--directory").arg(directory);
        }
        command.args(self.units.iter().map(|unit| format!("--unit={unit}")));
        command.args(self.identifiers.iter().map(|word| format!("--identifier={word}")));
        command.args(cursor.map(|cursor| format!("--cursor={cursor}")));
        // Its words in English, its stamps are in JSON.
        command.env("LC_ALL", "C").stdin(Stdio::null());
        command
    }
}

/// A journal that is followed.
pub struct Journal {
    setting: Setting,
    id: String,
    begun: bool,
    resumed: bool,
    /// Of the last entry handed out.
    cursor: Option<String>,
    lines: Lines,
    reader: Option<Running>,
    /// The entry at the cursor is to come first.
    passes_over: bool,
    /// Found, but something had to be said before.
    held: Option<Found>,
    trouble: Option<SourceTrouble>,
    again: Pause,
}

/// A journalctl that runs.
struct Running {
    child: Child,
    says: UnixStream,
    complains: UnixStream,
    complaint: Vec<u8>,
    /// When it last said something, or began.
    heard: Instant,
}

/// When it is started again.
struct Pause {
    next: Duration,
    until: Option<Instant>,
}

impl Journal {
    /// Follows a journal, which need not be there.
    pub fn new(setting: Setting) -> Self {
        Self {
            id: setting.id(),
            setting,
            begun: false,
            resumed: false,
            cursor: None,
            lines: Lines::new(),
            reader: None,
            passes_over: false,
            held: None,
            trouble: None,
            again: Pause { next: FIRST_PAUSE, until: None },
        }
    }

    /// Looks where it was left.
    fn begin(&mut self, positions: &dyn Positions) {
        self.begun = true;
        let stored = positions.find(&self.id).into_iter().find(|(id, _)| *id == self.id);
        let Some((_, position)) = stored else { return };
        self.resumed = true;
        self.cursor = cursor_at(&position);
    }

    /// What comes next; none is nothing now.
    fn turn(&mut self) -> Result<Option<Found>, SourceTrouble> {
        loop {
            while let Some(found) = self.held.take().or_else(|| self.lines.take()) {
                let cursor = cursor_in(self.lines.line(&found).bytes);
                if std::mem::take(&mut self.passes_over) {
                    if cursor.is_some() && cursor == self.cursor {
                        continue;
                    }
                    // The cursor stays where it was until this entry is handed out.
                    self.held = Some(found);
                    return Err(SourceTrouble::JournalGap);
                }
                self.cursor = cursor.or_else(|| self.cursor.take());
                return Ok(Some(found));
            }
            if !self.read()? {
                return Ok(None);
            }
        }
    }

    /// Reads what journalctl says; false if it says nothing now.
    fn read(&mut self) -> Result<bool, SourceTrouble> {
        let Some(running) = &mut self.reader else {
            self.start()?;
            return Ok(self.reader.is_some());
        };
        running.listen_to_complaints();
        match running.says.read(self.lines.room()) {
            Ok(0) => {
                let why = running.ended();
                self.stop();
                Err(self.later(why))
            }
            Ok(read) => {
                running.heard = Instant::now();
                self.lines.filled(read);
                Ok(true)
            }
            Err(error) if is_nothing(&error) => match running.complained() {
                Some(reason) => Err(SourceTrouble::Journal { reason }),
                None => Ok(false),
            },
            Err(error) => {
                self.stop();
                Err(self.later(error.to_string()))
            }
        }
    }

    /// Starts journalctl, if it is time.
    fn start(&mut self) -> Result<(), SourceTrouble> {
        if self.again.until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        // Half a line may be left of the one before.
        self.lines.restart(0, &[]);
        self.held = None;
        self.passes_over = self.cursor.is_some();
        match Running::start(&self.setting, self.cursor.as_deref()) {
            Ok(running) => self.reader = Some(running),
            Err(error) => {
                let why = match error.kind() {
                    ErrorKind::NotFound => "there is no program journalctl".to_owned(),
                    _ => format!("journalctl cannot be started: {error}"),
                };
                return Err(self.later(why));
            }
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.reader = None;
    }

    /// The trouble that journalctl has ended; it is started again after a while.
    fn later(&mut self, reason: String) -> SourceTrouble {
        self.again.until = Some(Instant::now() + self.again.next);
        self.again.next = (self.again.next * 2).min(LONGEST_PAUSE);
        SourceTrouble::Journal { reason }
    }
}

impl Source for Journal {
    fn next(&mut self, positions: &dyn Positions) -> Step<'_> {
        if !self.begun {
            self.begin(positions);
            return Step::NewSource;
        }
        match self.turn() {
            Ok(Some(found)) => {
                self.trouble = None;
                self.again = Pause { next: FIRST_PAUSE, until: None };
                Step::Line(self.lines.line(&found))
            }
            Ok(None) => Step::Idle,
            Err(trouble) if self.trouble.as_ref() == Some(&trouble) => Step::Idle,
            Err(trouble) => {
                self.trouble = Some(trouble.clone());
                Step::Trouble(trouble)
            }
        }
    }

    fn id(&self) -> Option<&str> {
        self.begun.then_some(self.id.as_str())
    }

    fn position(&self) -> Vec<u8> {
        let mut position = vec![VERSION];
        position.extend_from_slice(self.cursor.as_deref().unwrap_or_default().as_bytes());
        position
    }

    fn resumed(&self) -> bool {
        self.resumed
    }

    /// Only what was read of journalctl; how much more it has, it does not say.
    fn lag_bytes(&self) -> u64 {
        self.lines.waiting()
    }

    fn is_at_end(&self) -> bool {
        self.reader.as_ref().is_some_and(|running| running.heard.elapsed() >= SILENCE)
    }
}

impl Running {
    fn start(setting: &Setting, cursor: Option<&str>) -> io::Result<Self> {
        let (says, its_stdout) = UnixStream::pair()?;
        let (complains, its_stderr) = UnixStream::pair()?;
        says.set_nonblocking(true)?;
        complains.set_nonblocking(true)?;
        let mut command = setting.command(cursor);
        command.stdout(OwnedFd::from(its_stdout)).stderr(OwnedFd::from(its_stderr));
        let child = command.spawn()?;
        Ok(Self { child, says, complains, complaint: Vec::new(), heard: Instant::now() })
    }

    fn listen_to_complaints(&mut self) {
        let mut room = [0; COMPLAINT_BYTES];
        while let Ok(read @ 1..) = self.complains.read(&mut room) {
            self.complaint.extend_from_slice(room.get(..read).unwrap_or_default());
            let more = self.complaint.len().saturating_sub(COMPLAINT_BYTES);
            self.complaint.drain(..more);
        }
    }

    /// What it complained of, once it has said a whole line.
    fn complained(&mut self) -> Option<String> {
        let whole = self.complaint.last() == Some(&b'\n');
        whole.then(|| one_line(&std::mem::take(&mut self.complaint)))
    }

    /// Why it ended.
    fn ended(&mut self) -> String {
        // It has closed its output, so it is about to end; if it does not, it is made to.
        let mut status = None;
        for _ in 0..50 {
            status = self.child.try_wait().ok().flatten();
            if status.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.listen_to_complaints();
        let how = status.map_or_else(
            || "journalctl closed its output".to_owned(),
            |status| format!("journalctl ended ({status})"),
        );
        match one_line(&self.complaint) {
            words if words.is_empty() => how,
            words => format!("{how}: {words}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Words of another program, short and printable.
fn one_line(words: &[u8]) -> String {
    let words = String::from_utf8_lossy(words);
    let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    let words = lines.collect::<Vec<_>>().join("; ");
    words.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// The cursor in a stored position.
fn cursor_at(position: &[u8]) -> Option<String> {
    let (&VERSION, cursor) = position.split_first()? else { return None };
    let cursor = std::str::from_utf8(cursor).ok()?;
    (!cursor.is_empty()).then(|| cursor.to_owned())
}

/// The cursor of an entry. Only journald itself can set a field of that name; its place among the others is by
/// chance, and the text `"__CURSOR"` may stand in any of them.
fn cursor_in(entry: &[u8]) -> Option<String> {
    struct Fields<'a>(&'a mut Option<String>);

    impl<'de> Visitor<'de> for Fields<'_> {
        type Value = ();

        fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            to.write_str("an entry of the journal")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
            while let Some(name) = fields.next_key::<std::borrow::Cow<'_, str>>()? {
                if name == "__CURSOR" {
                    *self.0 = Some(fields.next_value()?);
                } else {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
            Ok(())
        }
    }

    let mut cursor = None;
    let mut json = serde_json::Deserializer::from_slice(entry);
    // A line that is no JSON has no cursor, or one before it was cut.
    json.deserialize_map(Fields(&mut cursor)).ok();
    cursor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_the_field_of_that_name() {
        for (entry, cursor) in [
            (r#"{"__CURSOR":"s=1;i=2","MESSAGE":"a"}"#, Some("s=1;i=2")),
            (r#"{"MESSAGE":"\"__CURSOR\":\"forged\"","__CURSOR":"s=1"}"#, Some("s=1")),
            (r#"{"MESSAGE":"{\"__CURSOR\":\"forged\"}"}"#, None),
            (r#"{"MESSAGE":[34,95],"__CURSOR":"s=1","A":null,"B":["x","y"]}"#, Some("s=1")),
            (r#"{"__CURSOR":"s=1","MESSAGE":"cut"#, Some("s=1")),
            (r#"{"MESSAGE":"cut","__CUR"#, None),
            (r#"{"__CURSOR":7}"#, None),
            (r#"[{"__CURSOR":"s=1"}]"#, None),
            ("Nov 20 13:40:22 mx a: b", None),
            ("", None),
        ] {
            assert_eq!(cursor_in(entry.as_bytes()).as_deref(), cursor, "{entry}");
        }
    }

    #[test]
    fn positions_are_read_back() {
        for (position, cursor) in [
            (&b"\x01s=1;i=2"[..], Some("s=1;i=2")),
            (b"\x01", None),
            (b"", None),
            (b"\x02s=1", None),
            (b"\x01\xff", None),
        ] {
            assert_eq!(cursor_at(position).as_deref(), cursor, "{position:?}");
        }
    }
}

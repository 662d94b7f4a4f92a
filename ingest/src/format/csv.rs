//! Observations as a table: comma separated values with a heading.
//!
//! In go rows whose heading names at least `t` (RFC 3339), `ip` and `helo`, in any order; out comes one observation a
//! row, of a message that was taken, unless an `outcome` says otherwise: most such tables are made from mail that was
//! delivered. Also read are `rdns` with
//! `rdns_forged` (the reverse name counts only where that is `0`), `site`, which is the reporter, and, for who measures,
//! the number `seq` and the `label` (`ham` or `spam`, anything else is not known); other columns are passed over. An empty `helo` is a name that is not known. RFC 4180 quoting.
//!
//! A heading counts at the beginning of a source, or after another one: what else looks like it may be the rest of a
//! broken line. It stays in force until the next. If the first column may hold what a client said, every line
//! belongs to the table until then; else a line whose first field is of another kind is somebody else's.

use std::borrow::Cow;

use helostat_zones::name::Name;
use helostat_zones::observation::Outcome;
use helostat_zones::time::Time;

use super::{
    Caller, Format, Reading, SESSION, SavedState, Setting, ambiguous, not_understood, reporter_of,
    reverse_name,
};
use crate::bytes::address;
use crate::columns::{HEADING, Heading, fields, unquoted, without_mark};
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::{Heard, Label};
use crate::session::Tally;
use crate::stamps::{Stamps, iso_stamp};

/// The columns that are read, in the order of the constants below.
const WANTED: [&[u8]; 9] =
    [b"t", b"ip", b"helo", b"rdns", b"rdns_forged", b"site", b"seq", b"label", b"outcome"];
const TIME: usize = 0;
const IP: usize = 1;
const HELO: usize = 2;
const RDNS: usize = 3;
const FORGED: usize = 4;
const SITE: usize = 5;
const SEQ: usize = 6;
const LABEL: usize = 7;
const OUTCOME: usize = 8;

/// The only table that is read.
const OBSERVATIONS: u8 = 0;

/// Reads rows, each for itself.
#[derive(Debug)]
pub(crate) struct Csv {
    setting: Setting,
}

impl Csv {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone() }
    }

    fn row(&self, fields: &[&[u8]], heading: &Heading, time: Time) -> Result<Heard, Reading> {
        let field = |wanted| unquoted(heading.field(fields, wanted));
        let mut caller = Caller::new(address(&field(IP)).ok_or_else(|| not_understood("address"))?);
        if *field(FORGED) == *b"0" {
            caller.rdns = reverse_name(&field(RDNS));
        }
        let reporter = match field(SITE) {
            site if site.is_empty() => self.setting.reporter.clone(),
            site => reporter_of(&site).ok_or_else(|| not_understood("reporter"))?,
        };
        let helo = field(HELO);
        let name = (!helo.is_empty()).then(|| Name::parse(&helo));
        let tally = Tally { accepted: 1, ..Tally::default() };
        let mut heard = caller.tell(time, name.as_ref(), &tally, None, &reporter);
        debug_assert_eq!(heard.outcome, Outcome::Accepted);
        let word = field(OUTCOME);
        if !word.is_empty() {
            let known =
                Outcome::ALL.into_iter().find(|outcome| outcome.word().as_bytes() == &*word);
            heard.outcome = known.ok_or_else(|| not_understood("outcome"))?;
        }
        heard.seq = std::str::from_utf8(&field(SEQ)).ok().and_then(|seq| seq.parse().ok());
        heard.label = Label::parse(&field(LABEL));
        Ok(heard)
    }
}

impl Format for Csv {
    fn read(&mut self, frame: &Frame<'_>, stamps: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        let Some(heading) = stamps.heading.as_ref().filter(|of| of.program == Program::Csv) else {
            return not_understood("no-heading");
        };
        let Some(fields) = fields(frame.text) else { return ambiguous("open-quote") };
        if fields.len() != heading.width() {
            return ambiguous("columns");
        }
        match self.row(&fields, heading, frame.time) {
            Ok(heard) => {
                out.push(heard);
                SESSION
            }
            Err(why) => why,
        }
    }

    fn sweep(&mut self, _: Time, _: &mut Vec<Heard>) {}

    fn close(&mut self, _: &mut Vec<Heard>) {}

    fn open_sessions(&self) -> usize {
        0
    }

    fn closed_early(&self) -> u64 {
        0
    }

    fn save(&self) -> SavedState {
        None
    }

    fn restore(&mut self, _: SavedState) -> Result<(), String> {
        Ok(())
    }
}

/// A line of such a table.
pub(crate) fn own<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
) -> Option<Result<Frame<'a>, &'static str>> {
    let line = without_mark(line);
    let known = stamps.heading.as_ref().filter(|heading| heading.program == Program::Csv);
    if (known.is_some() || !stamps.stamped)
        && let Some(heading) = heading(line)
    {
        stamps.heading = Some(heading);
        return Some(Err(HEADING));
    }
    let heading = known?;
    if line.is_empty() {
        return None;
    }
    let fields = fields(line);
    let first = fields.as_ref().and_then(|fields| fields.first().copied());
    if !is_first(heading, first.unwrap_or(line)) {
        return None;
    }
    let Some(fields) = fields else { return Some(Err("open-quote")) };
    if fields.len() != heading.width() {
        return Some(Err("columns"));
    }
    let stamp = match unquoted(heading.field(&fields, TIME)) {
        Cow::Borrowed(text) => {
            iso_stamp(text, b'T').filter(|(stamp, rest)| rest.is_empty() && stamp.offset.is_some())
        }
        Cow::Owned(_) => None,
    };
    let Some((stamp, _)) = stamp else { return Some(Err("bad-time")) };
    let frame =
        |time| Frame { time, host: b"", tag: b"", pid: None, text: line, own: Some(Program::Csv) };
    Some(stamps.time(&stamp).map(frame))
}

/// True unless the first field shows that a line is no row of this table.
fn is_first(heading: &Heading, first: &[u8]) -> bool {
    let first = unquoted(first);
    if heading.place(SEQ) == Some(0) {
        return !first.is_empty() && first.iter().all(u8::is_ascii_digit);
    }
    if heading.place(TIME) == Some(0) {
        return iso_stamp(&first, b'T').is_some_and(|(_, rest)| rest.is_empty());
    }
    if heading.place(IP) == Some(0) {
        return address(&first).is_some();
    }
    true
}

/// In which column of a row, counted from 1, it lies that the row was not understood for this reason; none where no column
/// alone is to blame. `columns` is the heading.
pub fn column_at_fault(columns: &[u8], why: &str) -> Option<usize> {
    let wanted = match why {
        "bad-time" | "future-stamp" => TIME,
        "address" => IP,
        "reporter" => SITE,
        "outcome" => OUTCOME,
        _ => return None,
    };
    Some(heading(without_mark(columns))?.place(wanted)? + 1)
}

/// A heading with the columns that an observation needs; nothing but plain words.
fn heading(line: &[u8]) -> Option<Heading> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b",_-\"".contains(byte);
    if line.len() > 4096 || !line.iter().all(plain) {
        return None;
    }
    let names = fields(line)?;
    let names: Vec<Cow<'_, [u8]>> = names.into_iter().map(unquoted).collect();
    let names: Vec<&[u8]> = names.iter().map(AsRef::as_ref).collect();
    let heading = Heading::new(Program::Csv, OBSERVATIONS, &names, &WANTED)?;
    let needed = [TIME, IP, HELO];
    needed.iter().all(|&wanted| heading.place(wanted).is_some()).then_some(heading)
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;

    #[test]
    fn rows_are_messages() {
        let log = "\u{feff}seq,t,ip,helo,rdns,rdns_forged,label,site\n\
            1,2026-04-27T04:53:53Z,2001:db8::7,A.example,A.example,0,ham,l.example\n\
            2,2026-04-27T04:53:53+02:00,192.0.2.7,\"a,\"\"b\",c.example,1,spam,l.example\n\
            3,2026-04-27T04:53:53Z,::ffff:192.0.2.7,,c.example,,spam,\n\
            4,2026-04-27T04:53:53,192.0.2.7,a,,0,,\n\
            5,yesterday,192.0.2.7,a,,0,,\n\
            6,2026-04-27T04:53:53Z,192.0.2,a,,0,,\n\
            7,2026-04-27T04:53:53Z,192.0.2.7,a,b,,0,,\n\
            8,2026-04-27T04:53:53Z,192.0.2.7,\"a,,0,,\n";
        assert_eq!(
            told(log),
            [
                "2001:db8::7 a.example accepted rdns=a.example by l.example #1 is Ham",
                "192.0.2.7 a,\"b accepted by l.example #2 is Spam",
                "192.0.2.7 ? accepted #3 is Spam",
            ]
        );
        assert_eq!(told("1,2026-04-27T04:53:53Z,192.0.2.7,a,,0,ham,l\n"), [""; 0], "no heading");
    }

    #[test]
    fn an_outcome_may_be_told_and_faults_have_columns() {
        let heading = "t,ip,helo,outcome";
        let row = |outcome: &str| format!("2026-04-27T04:53:53Z,192.0.2.7,a.example,{outcome}\n");
        let log = format!("{heading}\n{}{}{}", row("rejected"), row(""), row("eaten"));
        let told = told(&log);
        assert_eq!(told, ["192.0.2.7 a.example rejected", "192.0.2.7 a.example accepted"]);
        let at = |why| super::column_at_fault(heading.as_bytes(), why);
        assert_eq!((at("outcome"), at("address"), at("bad-time")), (Some(4), Some(2), Some(1)));
        assert_eq!((at("reporter"), at("columns")), (None, None));
    }

    #[test]
    fn columns_come_in_any_order() {
        let log = "helo,ip,t\na.example,192.0.2.7,2026-04-27T04:53:53Z\n";
        assert_eq!(told(log), ["192.0.2.7 a.example accepted"]);
        let forged = "Nov 20 13:40:22 mx postfix/smtpd[7]: connect from evil[6.6.6.6]\n";
        assert_eq!(told(&format!("{log}{forged}")), ["192.0.2.7 a.example accepted"]);
        // A number cannot be said for a name: another program's lines may follow.
        let numbered = "seq,helo,ip,t\n1,a.example,192.0.2.7,2026-04-27T04:53:53Z\n";
        assert_eq!(
            told(&format!("{numbered}{forged}")),
            ["192.0.2.7 a.example accepted #1", "6.6.6.6 ? none rdns=evil"]
        );
        // Behind a stamp of another program a heading is the rest of a broken line.
        assert_eq!(told(&format!("{forged}{log}")), ["6.6.6.6 ? none rdns=evil"]);
    }
}

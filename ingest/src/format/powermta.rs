//! PowerMTA: its accounting file, of which only the records of received messages say anything of clients.
//!
//! In go the rows of `acct*.csv`; out comes one observation for every `r` record (`records r` must be configured; one
//! is written for every recipient). The first line names the columns, `type` always first; the client is `rcvSourceIp`,
//! or the address in `srcMta` (`name (ip)`). The name there is not learned: the manual calls it the greeting's,
//! but nobody says how it is written if it holds blanks or brackets. So these records count, and teach no name.
//!
//! `d`, `b`, `t`, `tq`, `f`, `rb` and `rs` records are of what PowerMTA sends, and irrelevant. Times are local, or
//! state an offset, or are unix seconds.
//!
//! The grammar is from PowerMTA's manual (4.5 to 5.5).

use std::net::IpAddr;

use helostat_zones::observation::Outcome;
use helostat_zones::time::Time;

use super::{
    Caller, Format, IRRELEVANT, Reading, SESSION, SavedState, Setting, ambiguous, not_understood,
};
use crate::bytes::{address, cut, cut_at_last, digits_of};
use crate::columns::{HEADING, Heading, fields, unquoted, without_mark};
use crate::fate::Program;
use crate::framing::Frame;
use crate::heard::Heard;
use crate::session::Tally;
use crate::stamps::{Stamps, iso_stamp, offset_of};

/// The columns that are read, in the order of the constants below.
const WANTED: [&[u8]; 5] = [b"type", b"timeLogged", b"srcType", b"srcMta", b"rcvSourceIp"];
const TIME: usize = 1;
const SOURCE_TYPE: usize = 2;
const SOURCE_MTA: usize = 3;
const SOURCE_IP: usize = 4;
/// The types of records, short and long.
const TYPES: [&[u8]; 9] = [b"d", b"b", b"t", b"tq", b"f", b"r", b"rb", b"rs", b"delivery"];

/// The only table that is read.
const ACCOUNTING: u8 = 0;

/// Reads the records of one reporter's PowerMTA, each for itself.
#[derive(Debug)]
pub(crate) struct PowerMta {
    setting: Setting,
}

impl PowerMta {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone() }
    }

    fn record(
        &self,
        fields: &[&[u8]],
        heading: &Heading,
        now: Time,
        out: &mut Vec<Heard>,
    ) -> Reading {
        if unquoted(heading.field(fields, SOURCE_TYPE)).eq_ignore_ascii_case(b"api") {
            return IRRELEVANT;
        }
        let ip = unquoted(heading.field(fields, SOURCE_IP));
        let source = unquoted(heading.field(fields, SOURCE_MTA));
        let Some(ip) = address(&ip).or_else(|| source_address(&source)) else {
            return not_understood("address");
        };
        let tally = Tally { accepted: 1, ..Tally::default() };
        debug_assert_eq!(tally.outcome().0, Outcome::Accepted);
        out.push(Caller::new(ip).tell(now, None, &tally, None, &self.setting.reporter));
        SESSION
    }
}

impl Format for PowerMta {
    fn read(&mut self, frame: &Frame<'_>, stamps: &mut Stamps, out: &mut Vec<Heard>) -> Reading {
        let Some(fields) = fields(frame.text) else { return ambiguous("open-quote") };
        if fields.first() != Some(&b"r".as_slice()) {
            return IRRELEVANT;
        }
        match stamps.heading.as_ref().filter(|heading| heading.program == Program::PowerMta) {
            Some(heading) if heading.width() == fields.len() => {
                self.record(&fields, heading, frame.time, out)
            }
            Some(_) => ambiguous("columns"),
            None => not_understood("no-heading"),
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

/// The address at the end of `name (ip)`, or all of it.
fn source_address(source: &[u8]) -> Option<IpAddr> {
    match cut_at_last(source, b"(") {
        Some((_, inside)) => address(inside.strip_suffix(b")")?.trim_ascii()),
        None => address(source),
    }
}

/// A line of an accounting file: the heading, or a record that begins with its type.
pub(crate) fn own<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
) -> Option<Result<Frame<'a>, &'static str>> {
    let line = without_mark(line);
    let (first, rest) = cut(line, b',')?;
    if first == b"type" {
        let names = fields(line)?;
        let heading = Heading::new(Program::PowerMta, ACCOUNTING, &names, &WANTED)?;
        heading.place(TIME)?;
        stamps.heading = Some(heading);
        return Some(Err(HEADING));
    }
    if !TYPES.contains(&first) {
        return None;
    }
    let place = stamps
        .heading
        .as_ref()
        .filter(|heading| heading.program == Program::PowerMta)
        .and_then(|heading| heading.place(TIME));
    let stamp = match place {
        Some(place) => fields(line).and_then(|fields| fields.get(place).copied()),
        // By default the time comes second.
        None => rest.split(|&byte| byte == b',').next(),
    };
    let time = time(&unquoted(stamp?), stamps)?;
    let frame = |time| Frame {
        time,
        host: b"",
        tag: b"",
        pid: None,
        text: line,
        own: Some(Program::PowerMta),
    };
    Some(time.map(frame))
}

/// `2026-07-01 10:00:00`, with `+0200` or without, or with a `T`, or in unix seconds.
fn time(text: &[u8], stamps: &mut Stamps) -> Option<Result<Time, &'static str>> {
    if text.len() == 10 && text.iter().all(u8::is_ascii_digit) {
        let (head, tail) = text.split_at_checked(5)?;
        let unix = i64::from(digits_of(head)?) * 100_000 + i64::from(digits_of(tail)?);
        return Some(stamps.unix(unix));
    }
    let (mut stamp, rest) = iso_stamp(text, b' ').or_else(|| iso_stamp(text, b'T'))?;
    if !rest.is_empty() {
        stamp.offset = Some(offset_of(rest)?);
    }
    Some(stamps.time(&stamp))
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;

    #[test]
    fn only_what_was_received_counts() {
        let log = "type,timeLogged,orig,rcpt,srcType,srcMta,rcvSourceIp\n\
            d,2026-11-20 13:40:22,s@s,o@l,smtp,a.example (192.0.2.9),\n\
            r,2026-11-20 13:40:22,s@s,o@l,smtp,a.example (192.0.2.9),192.0.2.7\n\
            r,2026-11-20 13:40:22+0000,\"\"\"a, b\"\"@s\",o@l,smtp,a.example (192.0.2.8),\n\
            r,1795182022,s@s,o@l,api,,\n\
            r,2026-11-20T13:40:22-0100,s@s,o@l,smtp,\"evil (6.6.6.6) (192.0.2.6)\",\n\
            r,2026-11-20 13:40:22,s@s,o@l,smtp,x,\n\
            r,2026-11-20 13:40:22,s@s,o@l\n\
            b,2026-11-20 13:40:22,s@s,o@l,smtp,a.example (192.0.2.9),192.0.2.7\n";
        let expected = ["192.0.2.7 ? accepted", "192.0.2.8 ? accepted", "192.0.2.6 ? accepted"];
        assert_eq!(told(log), expected);
        assert_eq!(told("r,2026-11-20 13:40:22,s@s,o@l,smtp,x,192.0.2.7\n"), [""; 0], "no heading");
    }
}

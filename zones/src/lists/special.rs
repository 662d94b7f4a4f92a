//! What stands behind a `$`: settings of a dataset.
//!
//! Shapes (seconds take a unit: s, m, h, d, w):
//!
//! ```text
//! $SOA ttl origin person serial refresh retry expire minimum
//! $NS ttl name name...                 a name behind `-` is left out
//! $TTL seconds
//! $TIMESTAMP made [expires]            yyyy:mm:dd[:hh[:mi[:ss]]], UTC; `0` or `-` for none; expires also `+seconds`
//! $MAXRANGE4 addresses | /bits
//! $0..$9 text, $= text
//! $DATASET format[:name] subzone...    in `combined` only
//! ```
//!
//! A TTL of 0 is the default at hand.

use crate::time::Time;

use super::address::mask4;
use super::complaint::Fault;
use super::format::Format;
use super::line::{Cursor, digit, is_blank};
use super::loader::Options;
use super::text::{FRAME, Variables};
use super::wire::{self, WireName};

/// A start of authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// Seconds for which the record holds.
    pub ttl: u32,
    /// The name of the primary server.
    pub origin: WireName,
    /// The mailbox of who is responsible.
    pub person: WireName,
    /// The serial; 0 stands for the time at which the newest file was last changed.
    pub serial: u32,
    /// Seconds between two looks of a secondary.
    pub refresh: u32,
    /// Seconds after a failed look.
    pub retry: u32,
    /// Seconds without a look after which a secondary gives up.
    pub expire: u32,
    /// Seconds for which negative answers hold.
    pub minimum: u32,
}

/// The name servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ns {
    /// Seconds for which the records hold.
    pub ttl: u32,
    /// Their names, in the order of the file; none if all were left out.
    pub names: Vec<WireName>,
}

/// What a line behind `$` says.
pub(super) enum Special {
    Soa(Soa),
    Ns(Ns),
    Ttl(u32),
    /// The most addresses of a range.
    MaxRange4(u32),
    /// A variable, by its place, and its text.
    Variable(usize, Box<[u8]>),
    Expires(Option<Time>),
    Dataset(Section),
    /// A setting that only counts the first time.
    Again,
}

/// What begins a part of a combined dataset.
pub(super) struct Section {
    pub(super) format: Format,
    /// Names of subzones in wire form, small letters; empty for the zone itself.
    pub(super) subzones: Vec<Vec<u8>>,
    /// What was no name.
    pub(super) faults: Vec<Fault>,
}

/// What the reading of a special depends on.
pub(super) struct Known<'a> {
    pub(super) options: &'a Options,
    /// The TTL that holds here.
    pub(super) ttl: u32,
    pub(super) has_soa: bool,
    pub(super) has_ns: bool,
    pub(super) variables: &'a Variables,
    pub(super) is_combined: bool,
}

impl Known<'_> {
    /// A TTL within the limits of the operator; `default` for 0.
    pub(super) fn ttl(&self, cursor: &mut Cursor<'_>, default: u32) -> Option<u32> {
        cursor.seconds().map(|ttl| self.options.limit_ttl(ttl, default))
    }
}

/// Reads what follows the `$`.
pub(super) fn read(cursor: &mut Cursor<'_>, known: &Known<'_>) -> Result<Special, Fault> {
    let start = cursor.column();
    if cursor.take_word(b"soa") {
        if known.has_soa {
            return Ok(Special::Again);
        }
        let shape = "write $SOA ttl origin person serial refresh retry expire minimum";
        return whole(read_soa(cursor, known), cursor, "no start of authority", shape);
    }
    if cursor.take_word(b"ns") || cursor.take_word(b"nameserver") {
        if known.has_ns {
            return Ok(Special::Again);
        }
        let shape = "write $NS ttl name name...";
        return whole(read_ns(cursor, known), cursor, "no name servers", shape);
    }
    if cursor.take_word(b"ttl") {
        let ttl = known.ttl(cursor, known.options.default_ttl).map(Special::Ttl);
        return whole(
            ttl,
            cursor,
            "no TTL",
            "write $TTL and seconds, or 35m, 2h, 1d, 1w, and nothing else",
        );
    }
    if cursor.take_word(b"maxrange4") {
        let shape = "write $MAXRANGE4 /24 or $MAXRANGE4 256";
        return whole(read_max_range(cursor), cursor, "no size of a range", shape);
    }
    if let Some(place) = variable(*cursor) {
        if known.variables.has(place) {
            return Ok(Special::Again);
        }
        cursor.skip(2);
        cursor.skip_blanks();
        return match cursor.rest() {
            [] => Err(Fault::line(start, "a variable without text", "give it a text")),
            text => Ok(Special::Variable(place, text.into())),
        };
    }
    if cursor.take_word(b"dataset") {
        if !known.is_combined {
            return Err(Fault::line(
                start,
                "$DATASET in a dataset that is not combined",
                "load the file as combined, or take the line out",
            ));
        }
        return read_section(cursor).map(Special::Dataset);
    }
    if cursor.take_word(b"timestamp") {
        return read_timestamp(cursor, known.options.now);
    }
    Err(Fault::line(
        start,
        "no setting has this name",
        "use $SOA, $NS, $TTL, $TIMESTAMP, $MAXRANGE4, $DATASET, $0 to $9, or $= and a blank behind it",
    ))
}

/// The special, if it was read and nothing is left of the line.
fn whole(
    read: Option<Special>,
    cursor: &Cursor<'_>,
    what: &'static str,
    shape: &'static str,
) -> Result<Special, Fault> {
    read.filter(|_| cursor.is_end()).ok_or_else(|| Fault::line(cursor.column(), what, shape))
}

fn read_soa(cursor: &mut Cursor<'_>, known: &Known<'_>) -> Option<Special> {
    Some(Special::Soa(Soa {
        ttl: known.ttl(cursor, known.ttl)?,
        origin: name(cursor)?,
        person: name(cursor)?,
        serial: cursor.number()?,
        refresh: cursor.seconds()?,
        retry: cursor.seconds()?,
        expire: cursor.seconds()?,
        minimum: cursor.seconds()?,
    }))
}

fn read_ns(cursor: &mut Cursor<'_>, known: &Known<'_>) -> Option<Special> {
    let ttl = known.ttl(cursor, known.ttl)?;
    let mut names = Vec::new();
    loop {
        if cursor.peek() == b'-' {
            cursor.word();
        } else {
            names.push(name(cursor)?);
        }
        if cursor.is_end() {
            return Some(Special::Ns(Ns { ttl, names }));
        }
    }
}

fn name(cursor: &mut Cursor<'_>) -> Option<WireName> {
    let word = cursor.word();
    if word.is_empty() { None } else { WireName::parse(word) }
}

fn read_max_range(cursor: &mut Cursor<'_>) -> Option<Special> {
    let is_prefix = cursor.peek() == b'/';
    if is_prefix {
        cursor.skip(1);
    }
    let size = match (cursor.number()?, is_prefix) {
        (0, _) | (33.., true) => return None,
        (bits, true) => !mask4(bits) + 1,
        (size, false) => size,
    };
    Some(Special::MaxRange4(size))
}

fn variable(cursor: Cursor<'_>) -> Option<usize> {
    let place = match cursor.peek() {
        b'=' => FRAME,
        octet => digit(octet)? as usize,
    };
    is_blank(cursor.peek_at(1)).then_some(place)
}

/// `format[:name] subzone...`, up to a comment.
fn read_section(cursor: &mut Cursor<'_>) -> Result<Section, Fault> {
    let column = cursor.column();
    if cursor.says_no_more() {
        return Err(Fault::line(
            column,
            "$DATASET without a format",
            "name its format and subzones",
        ));
    }
    let word = cursor.word();
    let word = word.split(|&octet| octet == b':').next().unwrap_or_default();
    let format = std::str::from_utf8(word).ok().and_then(Format::parse);
    let Some(format) = format.filter(|&format| format != Format::Combined) else {
        let name = word.escape_ascii();
        return Err(Fault::dataset(
            column,
            format!("{name} is no format of a part"),
            "use ip4set, ip4tset, ip4trie, ip6tset, ip6trie, dnset, dnhash or generic",
        ));
    };
    let mut section = Section { format, subzones: Vec::new(), faults: Vec::new() };
    if cursor.says_no_more() {
        section.faults.push(Fault::line(
            column,
            "a part without subzones: nobody can ask for it",
            "name its subzones, or @ for the zone itself",
        ));
    }
    while !cursor.says_no_more() {
        let column = cursor.column();
        match cursor.word() {
            b"@" => section.subzones.push(Vec::new()),
            word => match wire::parse(word) {
                Some(name) => section.subzones.push(name.to_ascii_lowercase()),
                None => section.faults.push(Fault::line(
                    column,
                    "no name of a subzone",
                    "labels have 63 octets at most, names 255",
                )),
            },
        }
    }
    Ok(section)
}

fn read_timestamp(cursor: &mut Cursor<'_>, now: Time) -> Result<Special, Fault> {
    let start = cursor.column();
    let shape = "write $TIMESTAMP yyyy:mm:dd:hh:mi:ss, or 0, and when it expires, if it does";
    let wrong = |column| Fault::line(column, "no time", shape);
    let made = timestamp(cursor).ok_or_else(|| wrong(start))?;
    let column = cursor.column();
    let expires = match cursor.peek() {
        0 => None,
        b'+' => {
            cursor.skip(1);
            let seconds = cursor.seconds().filter(|&seconds| seconds > 0);
            let expires = made.zip(seconds).map(|(made, seconds)| made + i64::from(seconds));
            Some(expires.ok_or_else(|| wrong(column))?)
        }
        _ => timestamp(cursor).ok_or_else(|| wrong(column))?,
    };
    if !cursor.is_end() {
        return Err(wrong(cursor.column()));
    }
    if let Some(made) = made.filter(|&made| made > i64::from(now.0)) {
        return Err(Fault::dataset(
            start,
            format!("made {} seconds in the future", made - i64::from(now.0)),
            "set the clock, or the time in the file",
        ));
    }
    Ok(Special::Expires(expires.map(Time::from_unix)))
}

/// Seconds since 1970; the inner `None` is "not given", the outer one no time at all.
#[expect(clippy::option_option, reason = "two different nothings")]
fn timestamp(cursor: &mut Cursor<'_>) -> Option<Option<i64>> {
    let next = cursor.peek_at(1);
    if matches!(cursor.peek(), b'0' | b'-' | b':') && (next == 0 || is_blank(next)) {
        cursor.skip(1);
        cursor.skip_blanks();
        return Some(None);
    }
    let year = field(cursor, 4, 1970..=2038)?;
    let month = field(cursor, 2, 1..=12)?;
    let day = field(cursor, 2, 1..=31)?;
    let mut of_day = [0; 3];
    for (value, most) in of_day.iter_mut().zip([23, 59, 59]) {
        if cursor.is_end() || is_blank(cursor.peek()) {
            break;
        }
        *value = field(cursor, 2, 0..=most)?;
    }
    if !cursor.end_word() {
        return None;
    }
    let [hour, minute, second] = of_day.map(|value| value as i8);
    let time = jiff::civil::Date::new(year as i16, month as i8, day as i8).ok()?;
    let time = time.at(hour, minute, second, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Some(time.timestamp().as_second()))
}

/// Up to `width` digits, and a `:` or `-` behind them.
fn field(
    cursor: &mut Cursor<'_>,
    width: usize,
    range: std::ops::RangeInclusive<u32>,
) -> Option<u32> {
    let mut number = digit(cursor.peek())?;
    cursor.skip(1);
    for _ in 1..width {
        let Some(value) = digit(cursor.peek()) else { break };
        number = number * 10 + value;
        cursor.skip(1);
    }
    if matches!(cursor.peek(), b':' | b'-') {
        cursor.skip(1);
    }
    range.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times() {
        for (text, seconds) in [
            ("0", Some(None)),
            ("- x", Some(None)),
            ("1970:01:01", Some(Some(0))),
            ("2005-02-28:13", Some(Some(1_109_595_600))),
            ("20050228130501", Some(Some(1_109_595_901))),
            ("2004:02:29:00:00:59", Some(Some(1_078_012_859))),
            ("2005:02:29", None),
            ("1969:01:01", None),
            ("2005:13:01", None),
            ("2005:01:01:24", None),
            ("2005:1:1 ", Some(Some(1_104_537_600))),
            ("soon", None),
        ] {
            assert_eq!(timestamp(&mut Cursor::new(text.as_bytes())), seconds, "{text}");
        }
    }
}

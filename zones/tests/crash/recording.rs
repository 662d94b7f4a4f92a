//! What `strace -f -xx` wrote, as calls with the moments at which they began and ended.
//!
//! A moment is the number of a line, over all lives. Calls of several threads overlap: strace then writes
//! the beginning and the end of a call on lines of their own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A call that succeeded, or was not seen to end.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) result: i64,
    pub(crate) entry: u64,
    pub(crate) exit: u64,
    /// Which process made it.
    pub(crate) life: usize,
}

#[derive(Debug)]
pub(crate) enum Argument {
    Octets(Vec<u8>),
    Number(i64),
    Word(String),
}

impl Call {
    pub(crate) fn octets(&self, place: usize) -> &[u8] {
        match &self.arguments[place] {
            Argument::Octets(octets) => octets,
            other => panic!("{}: {other:?} is not a string", self.name),
        }
    }

    pub(crate) fn path(&self, place: usize) -> PathBuf {
        PathBuf::from(String::from_utf8(self.octets(place).to_vec()).unwrap())
    }

    pub(crate) fn number(&self, place: usize) -> i64 {
        match &self.arguments[place] {
            Argument::Number(number) => *number,
            other => panic!("{}: {other:?} is not a number", self.name),
        }
    }

    pub(crate) fn word(&self, place: usize) -> &str {
        match &self.arguments[place] {
            Argument::Word(word) => word,
            other => panic!("{}: {other:?} is not a word", self.name),
        }
    }
}

/// Adds the calls of one life to those of the lives before, in the order in which they ended. False if a
/// write of another thread was under way when the process ended: nobody knows what it wrote.
pub(crate) fn read_calls(log: &[u8], calls: &mut Vec<Call>) -> bool {
    let life = calls.last().map_or(0, |call| call.life + 1);
    let mut moment = calls.last().map_or(0, |call| call.exit);
    let mut begun: HashMap<&[u8], (u64, &[u8])> = HashMap::new();
    let mut torn = false;
    for line in log.split(|octet| *octet == b'\n') {
        moment += 1;
        let Some(space) = line.iter().position(|octet| *octet == b' ') else { continue };
        let (thread, text) = line.split_at(space);
        let text = text.trim_ascii();
        if let Some(beginning) = text.strip_suffix(b" <unfinished ...>") {
            begun.insert(thread, (moment, beginning));
        } else if text.starts_with(b"<... ") {
            let Some((entry, beginning)) = begun.remove(thread) else { continue };
            let end = text.iter().position(|octet| *octet == b'>').unwrap();
            let whole = [beginning, &text[end + 1..]].concat();
            torn |= is_write(&whole) && whole.trim_ascii_end().ends_with(b"= ?");
            calls.extend(read_call(&whole, entry, moment, life));
        } else {
            // Of a call that the end of the process cut off strace says a question mark.
            torn |= is_write(text) && text.ends_with(b"= ?");
            calls.extend(read_call(text, moment, moment, life));
        }
    }
    !torn && !begun.into_values().any(|(_, beginning)| is_write(beginning))
}

fn is_write(call: &[u8]) -> bool {
    let name = call.split(|octet| *octet == b'(').next().unwrap_or_default();
    name == b"pwrite64" || name == b"write"
}

fn read_call(text: &[u8], entry: u64, exit: u64, life: usize) -> Option<Call> {
    let open = text.iter().position(|octet| *octet == b'(')?;
    let equals = text
        .windows(4)
        .rposition(|octets| octets == b") = ")
        // strace fills up short lines with spaces.
        .or_else(|| text.windows(3).rposition(|octets| octets == b")  "))?;
    let result = std::str::from_utf8(&text[equals + 1..]).ok()?;
    let result = result.trim_start().strip_prefix("= ")?.split(' ').next()?.parse().ok()?;
    if result < 0 {
        return None;
    }
    let name = std::str::from_utf8(&text[..open]).ok()?.to_owned();
    let arguments =
        text[open + 1..equals].split(|octet| *octet == b',').map(read_argument).collect();
    Some(Call { name, arguments, result, entry, exit, life })
}

/// Strings are in hexadecimal, so there is no comma or quotation mark in them.
fn read_argument(text: &[u8]) -> Argument {
    let text = text.trim_ascii();
    if let Some(hex) = text.strip_prefix(b"\"") {
        let hex = hex.strip_suffix(b"\"").expect("a string that ends");
        let digit = |digit: u8| if digit < b'a' { digit - b'0' } else { digit - b'a' + 10 };
        let (octets, rest) = hex.as_chunks::<4>();
        assert!(rest.is_empty(), "octets as \\x00");
        return Argument::Octets(
            octets.iter().map(|octet| digit(octet[2]) << 4 | digit(octet[3])).collect(),
        );
    }
    let word = String::from_utf8(text.to_vec()).unwrap();
    word.parse().map_or(Argument::Word(word), Argument::Number)
}

/// When each write to a file began.
pub(crate) fn writes_to(calls: &[Call], path: &Path) -> Vec<u64> {
    let mut is_open: HashMap<(usize, i64), bool> = HashMap::new();
    let mut moments = Vec::new();
    for call in calls {
        match call.name.as_str() {
            "openat" => {
                is_open.insert((call.life, call.result), call.path(1) == path);
            }
            "write" if is_open.get(&(call.life, call.number(0))) == Some(&true) => {
                moments.push(call.entry);
            }
            _ => {}
        }
    }
    moments
}

//! Messages out of the bytes of a TCP connection (RFC 6587), whatever pieces the bytes come in.
//!
//! In go bytes as they arrive, out comes each message once it is whole, as a [`Line`]. Both framings are
//! understood, and told apart anew for each message by its first octet, as rsyslog and syslog-ng do:
//!
//! - **octet counting**: `123 <22>1 ...`: a decimal number, a blank, so many octets
//! - **newline framing**: anything else, up to a line feed; digits not followed by a blank are part of a line
//!
//! Line feeds, carriage returns and NULs between messages, and at the end of one, are trailers of some sender and
//! dropped. A NUL inside a line never ends it: a client that gets one into a sender's log could else begin a message
//! of its own. For the same reason a counted message is one line even if it has line feeds.
//!
//! A message longer than `longest` comes as its beginning, marked as too long, and the connection goes on behind it; one
//! longer than [`ENDLESS`] times that is [`Garbled`], as nobody sends such. No input needs more memory than
//! `longest` and a few octets.
//!
//! What is not done: a message that the end of the connection cuts off is not handed out, for what is cut may mean
//! something else.

use crate::source::Line;

/// A message of so many times the longest is garbage, or an attempt to keep us busy.
pub const ENDLESS: usize = 16;
/// The most digits of a count.
const COUNT_DIGITS: usize = 10;

/// What came is no message; nothing that comes after it can be trusted either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Garbled {
    /// A count beyond anything.
    #[error("a message is announced with {0} octets")]
    Huge(u64),
    /// A line that does not end.
    #[error("a line does not end")]
    Endless,
}

/// Cuts messages out of one connection.
#[derive(Debug)]
pub struct Frames {
    longest: usize,
    state: State,
    /// The beginning of the message that is not whole yet.
    kept: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first octet of a message.
    Between,
    /// Within what may be a count; its digits are kept.
    Count,
    /// Within a counted message of which so many octets are to come.
    Counted { left: usize },
    /// Within a line, of which so many octets beyond the longest are gone.
    Line { gone: usize },
}

impl Frames {
    /// At the beginning of a connection; messages have at most `longest` octets.
    pub fn new(longest: usize) -> Self {
        Self { longest, state: State::Between, kept: Vec::new() }
    }

    /// True if the last message has begun and is not whole.
    pub fn is_within(&self) -> bool {
        self.state != State::Between
    }

    /// Takes the next bytes of the connection and gives each message that is whole now to `each`.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(Line<'_>)) -> Result<(), Garbled> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.state {
                State::Between => self.begin(rest),
                State::Count => self.count(rest)?,
                State::Counted { left } => self.counted(rest, left, each),
                State::Line { gone } => self.line(rest, gone, each)?,
            };
        }
        Ok(())
    }

    fn begin<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let trailers = bytes.iter().take_while(|byte| is_trailer(byte)).count();
        let rest = bytes.get(trailers..).unwrap_or_default();
        self.kept.clear();
        self.state = match rest.first() {
            None => State::Between,
            Some(b'1'..=b'9') => State::Count,
            Some(_) => State::Line { gone: 0 },
        };
        rest
    }

    fn count<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Garbled> {
        let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let room = COUNT_DIGITS.saturating_sub(self.kept.len());
        let (number, rest) = bytes.split_at_checked(digits.min(room)).unwrap_or((bytes, &[]));
        self.kept.extend_from_slice(number);
        let Some((next, after)) = rest.split_first() else { return Ok(rest) };
        if *next != b' ' {
            self.state = State::Line { gone: 0 };
            return Ok(rest);
        }
        let announced = self.kept.iter().fold(0u64, |sum, &digit| {
            sum.saturating_mul(10).saturating_add(u64::from(digit.wrapping_sub(b'0')))
        });
        let left = usize::try_from(announced).ok().filter(|&left| left <= self.longest * ENDLESS);
        let left = left.ok_or(Garbled::Huge(announced))?;
        self.kept.clear();
        self.state = State::Counted { left };
        Ok(after)
    }

    fn counted<'a>(
        &mut self,
        bytes: &'a [u8],
        left: usize,
        each: &mut dyn FnMut(Line<'_>),
    ) -> &'a [u8] {
        if let Some((message, rest)) = bytes.split_at_checked(left) {
            if self.kept.is_empty() {
                hand_out(message, self.longest, 0, each);
            } else {
                let gone = self.keep(message);
                hand_out(&self.kept, self.longest, gone, each);
            }
            self.state = State::Between;
            return rest;
        }
        // What did not fit is known by the room that is full.
        self.keep(bytes);
        self.state = State::Counted { left: left - bytes.len() };
        &[]
    }

    fn line<'a>(
        &mut self,
        bytes: &'a [u8],
        gone: usize,
        each: &mut dyn FnMut(Line<'_>),
    ) -> Result<&'a [u8], Garbled> {
        let Some(feed) = memchr::memchr(b'\n', bytes) else {
            let gone = gone + self.keep(bytes);
            self.check_end(gone)?;
            self.state = State::Line { gone };
            return Ok(&[]);
        };
        let (line, rest) = bytes.split_at_checked(feed).unwrap_or((bytes, &[]));
        if self.kept.is_empty() && line.len() <= self.longest {
            hand_out(line, self.longest, 0, each);
        } else {
            // Found in one piece, it has no more octets than in many.
            let gone = gone + self.keep(line);
            self.check_end(gone)?;
            hand_out(&self.kept, self.longest, gone, each);
        }
        self.state = State::Between;
        Ok(rest)
    }

    /// Whether a line of which so many octets did not fit is still one.
    fn check_end(&self, gone: usize) -> Result<(), Garbled> {
        if gone > self.longest * (ENDLESS - 1) { Err(Garbled::Endless) } else { Ok(()) }
    }

    /// Keeps what there is room for; returns how much there was not.
    fn keep(&mut self, bytes: &[u8]) -> usize {
        // One octet more than the longest, so that it shows that there was more.
        let room = (self.longest + 1).saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        bytes.len() - room
    }
}

/// Line feed, carriage return, NUL: what senders put between and behind messages.
fn is_trailer(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0)
}

/// Gives a message to `each`, without its trailer; nothing if nothing else was in it.
fn hand_out(message: &[u8], longest: usize, gone: usize, each: &mut dyn FnMut(Line<'_>)) {
    let too_long = gone > 0 || message.len() > longest;
    let bytes = if too_long { message.get(..longest).unwrap_or(message) } else { trimmed(message) };
    if !bytes.is_empty() {
        each(Line { bytes, too_long });
    }
}

/// A message without its trailer.
pub(super) fn trimmed(message: &[u8]) -> &[u8] {
    let end = message.iter().rposition(|byte| !is_trailer(byte)).map_or(0, |last| last + 1);
    message.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONGEST: usize = 40;

    /// The messages in pieces of `size`, each with a `+` if it was too long, and what ended it.
    fn frames(bytes: &[u8], size: usize) -> (Vec<String>, Option<Garbled>) {
        let (mut frames, mut found) = (Frames::new(LONGEST), Vec::new());
        for piece in bytes.chunks(size) {
            let fed = frames.feed(piece, &mut |line| {
                let more = if line.too_long { "+" } else { "" };
                found.push(format!("{}{more}", String::from_utf8_lossy(line.bytes)));
            });
            if let Err(why) = fed {
                return (found, Some(why));
            }
            assert!(frames.kept.capacity() <= 4 * LONGEST, "{}", frames.kept.capacity());
        }
        (found, None)
    }

    #[test]
    fn both_framings_in_one_connection_in_any_pieces() {
        let forty = "x".repeat(40);
        for (bytes, messages) in [
            ("<22>a\n<22>b\n", vec!["<22>a", "<22>b"]),
            ("5 <22>a6 <22>bc", vec!["<22>a", "<22>bc"]),
            (
                "5 <22>a\n5 <22>b\0\r\n<22>c\r\n\0<22>d\0\n",
                vec!["<22>a", "<22>b", "<22>c", "<22>d"],
            ),
            ("8 <22>a\nbc<22>d\n", vec!["<22>a\nbc", "<22>d"]),
            ("<22>a\0<22>b\n", vec!["<22>a\0<22>b"]),
            ("7 <22>a\n\0<22>b\n", vec!["<22>a", "<22>b"]),
            ("2026-11-20T13:40:22Z mx a: b\n", vec!["2026-11-20T13:40:22Z mx a: b"]),
            ("12345678901 x\n", vec!["12345678901 x"]),
            ("007 x\n", vec!["007 x"]),
            ("2 \n\0\n\n\r\n<22>a\n", vec!["<22>a"]),
            ("<22>not whole", vec![]),
            ("12 <22>cut", vec![]),
            ("12", vec![]),
            ("", vec![]),
            (&format!("{forty}\n40 {forty}x\n"), vec![&forty, &forty, "x"]),
            (
                &format!("{forty}y\n41 {forty}yx\n"),
                vec![&format!("{forty}+"), &format!("{forty}+"), "x"],
            ),
            (
                &format!("640 {}{forty}\n", "z".repeat(640)),
                vec![&format!("{}+", "z".repeat(40)), &forty],
            ),
        ] {
            for size in (1..=bytes.len().max(1)).rev() {
                assert_eq!(
                    frames(bytes.as_bytes(), size),
                    (messages.iter().map(|&it| it.to_owned()).collect(), None),
                    "{bytes:?} by {size}"
                );
            }
        }
    }

    #[test]
    fn what_nobody_sends_ends_it() {
        for (bytes, messages, why) in [
            ("<22>a\n641 ".to_owned(), 1, Garbled::Huge(641)),
            ("9999999999 ".to_owned(), 0, Garbled::Huge(9_999_999_999)),
            ("x".repeat(700), 0, Garbled::Endless),
            ("x".repeat(700) + "\n<22>a\n", 0, Garbled::Endless),
        ] {
            for size in 1..=bytes.len() {
                let (found, ended) = frames(bytes.as_bytes(), size);
                assert_eq!((found.len(), ended), (messages, Some(why)), "{bytes:?} by {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            bytes in proptest::collection::vec(proptest::sample::select(b"<22>a1 5\n\0\rx".to_vec()), 0..900),
            size in 1usize..900,
        ) {
            prop_assert_eq!(frames(&bytes, size), frames(&bytes, bytes.len().max(1)));
        }
    }
}

//! The words of one line.
//!
//! A [`Cursor`] walks over a line from left to right. Its end and an octet 0 look the same, which is how the
//! programs that these formats come from see a line.

/// A place in a line.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Stands at the first octet that is no blank.
    pub(super) fn new(line: &'a [u8]) -> Self {
        let mut cursor = Self { line, at: 0 };
        cursor.skip_blanks();
        cursor
    }

    /// The octet here; 0 at the end.
    #[inline]
    pub(super) fn peek(self) -> u8 {
        self.line.get(self.at).copied().unwrap_or(0)
    }

    /// The octet `ahead` places to the right; 0 behind the end.
    #[inline]
    pub(super) fn peek_at(self, ahead: usize) -> u8 {
        self.line.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Goes `octets` to the right.
    #[inline]
    pub(super) fn skip(&mut self, octets: usize) {
        self.at += octets;
    }

    /// Goes to the next octet that is no blank.
    #[inline]
    pub(super) fn skip_blanks(&mut self) {
        while is_blank(self.peek()) {
            self.at += 1;
        }
    }

    /// True if nothing is left.
    #[inline]
    pub(super) fn is_end(self) -> bool {
        self.peek() == 0
    }

    /// True if nothing or a comment is left.
    #[inline]
    pub(super) fn says_no_more(self) -> bool {
        self.is_end() || is_comment(self.peek())
    }

    /// True where an address may end: before a blank, a comment, a value, the end.
    #[inline]
    pub(super) fn is_behind_address(self) -> bool {
        matches!(self.peek(), 0 | b' ' | b'\t' | b'#' | b';' | b':')
    }

    /// All that is left, with what stands behind an octet 0.
    #[inline]
    pub(super) fn raw(self) -> &'a [u8] {
        self.line.get(self.at..).unwrap_or_default()
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        let rest = self.line.get(self.at..).unwrap_or_default();
        let end = memchr::memchr(0, rest).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// The octets up to the next blank, and goes behind the blanks that follow.
    pub(super) fn word(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let end = rest.iter().position(|&octet| is_blank(octet)).unwrap_or(rest.len());
        self.at += end;
        self.skip_blanks();
        rest.get(..end).unwrap_or_default()
    }

    /// Goes behind `word` and the blanks after it, if the next word is that one in any case and blanks follow.
    pub(super) fn take_word(&mut self, word: &[u8]) -> bool {
        let rest = self.rest();
        let found = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && is_blank(self.peek_at(word.len()));
        if found {
            self.at += word.len();
            self.skip_blanks();
        }
        found
    }

    /// A decimal number that fits into 32 bits.
    pub(super) fn digits(&mut self) -> Option<u32> {
        let mut number = digit(self.peek())?;
        self.at += 1;
        while let Some(value) = digit(self.peek()) {
            number = number.checked_mul(10)?.checked_add(value)?;
            self.at += 1;
        }
        Some(number)
    }

    /// A decimal number that is a whole word, and goes behind the blanks that follow.
    pub(super) fn number(&mut self) -> Option<u32> {
        let number = self.digits()?;
        self.end_word().then_some(number)
    }

    /// Seconds: a number with an optional unit (s, m, h, d, w), a whole word.
    pub(super) fn seconds(&mut self) -> Option<u32> {
        let number = self.digits()?;
        let unit = match self.peek().to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return self.end_word().then_some(number),
        };
        self.at += 1;
        let seconds = number.checked_mul(unit)?;
        self.end_word().then_some(seconds)
    }

    /// Goes behind the blanks that end a word; false if the word goes on.
    pub(super) fn end_word(&mut self) -> bool {
        let ended = self.is_end() || is_blank(self.peek());
        self.skip_blanks();
        ended
    }

    /// The place in the line, from 1.
    pub(super) fn column(self) -> usize {
        self.at + 1
    }
}

/// True for what separates words.
#[inline]
pub(super) fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// True for what begins a comment.
#[inline]
pub(super) fn is_comment(octet: u8) -> bool {
    matches!(octet, b'#' | b';')
}

/// The value of a decimal digit.
#[inline]
pub(super) fn digit(octet: u8) -> Option<u32> {
    let value = octet.wrapping_sub(b'0');
    (value < 10).then_some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("35m", Some(2100)),
            ("2H", Some(7200)),
            ("1w x", Some(604_800)),
            ("3000", Some(3000)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("9999999w", None),
            ("x", None),
            ("", None),
            ("30x", None),
        ] {
            assert_eq!(Cursor::new(text.as_bytes()).seconds(), seconds, "{text}");
        }
    }

    #[test]
    fn an_octet_0_ends_a_line() {
        let mut cursor = Cursor::new(b" \tab\0cd");
        assert_eq!(cursor.column(), 3);
        assert_eq!(cursor.rest(), b"ab");
        assert_eq!(cursor.word(), b"ab");
        assert!(cursor.is_end());
    }
}

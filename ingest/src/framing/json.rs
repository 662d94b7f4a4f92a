//! One flat JSON object in a line, byte by byte.
//!
//! In goes a line; out come its keys and values as slices of it. It is bytes, not text: loggers put what is no
//! UTF-8 into their strings as it is, and a reader that insists on UTF-8 would lose those lines. A quote in a
//! value is always escaped, so that no client can end a string; nested values are passed over.
//!
//! Escapes are taken off where a value is used (`unescape`): most have none.

use memchr::{memchr, memchr2};

/// A value, as it stands in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// What is between the quotes, and whether any of it is escaped.
    Text(&'a [u8], bool),
    Number(&'a [u8]),
    /// An array, with its brackets.
    List(&'a [u8]),
    /// An object, a truth value or `null`.
    Other,
}

/// Gives each key (as it stands, escapes and all) with its value; `None` if the line is no object and nothing else.
pub(super) fn object<'a>(line: &'a [u8], mut each: impl FnMut(&'a [u8], Value<'a>)) -> Option<()> {
    let mut rest = unblank(line).strip_prefix(b"{")?;
    if let Some(after) = unblank(rest).strip_prefix(b"}") {
        return unblank(after).is_empty().then_some(());
    }
    loop {
        let (key, _, after) = string(unblank(rest))?;
        let after = unblank(after).strip_prefix(b":")?;
        let (value, after) = value(unblank(after))?;
        each(key, value);
        match unblank(after).split_first()? {
            (b',', next) => rest = next,
            (b'}', next) => return unblank(next).is_empty().then_some(()),
            _ => return None,
        }
    }
}

fn unblank(text: &[u8]) -> &[u8] {
    match text.first() {
        Some(b' ' | b'\t') => text.trim_ascii_start(),
        _ => text,
    }
}

/// A string's inside, whether anything in it is escaped, and what follows.
fn string(text: &[u8]) -> Option<(&[u8], bool, &[u8])> {
    let body = text.strip_prefix(b"\"")?;
    let (mut from, mut escaped) = (0, false);
    loop {
        let at = from + memchr2(b'"', b'\\', body.get(from..)?)?;
        if body.get(at) == Some(&b'"') {
            return Some((body.get(..at)?, escaped, body.get(at + 1..)?));
        }
        escaped = true;
        from = at + 2;
    }
}

fn value(text: &[u8]) -> Option<(Value<'_>, &[u8])> {
    match text.first()? {
        b'"' => string(text).map(|(inside, escaped, rest)| (Value::Text(inside, escaped), rest)),
        b'[' => {
            let (list, rest) = nested(text)?;
            Some((Value::List(list), rest))
        }
        b'{' => Some((Value::Other, nested(text)?.1)),
        b'-' | b'0'..=b'9' => {
            let numeric =
                |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
            let (number, rest) = text.split_at_checked(text.iter().take_while(numeric).count())?;
            Some((Value::Number(number), rest))
        }
        _ => [b"null".as_slice(), b"true", b"false"]
            .iter()
            .find_map(|word| Some((Value::Other, text.strip_prefix(*word)?))),
    }
}

/// An array or object with all that is in it, and what follows.
fn nested(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut at, mut depth) = (0, 0usize);
    loop {
        match text.get(at)? {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return text.split_at_checked(at + 1);
                }
            }
            b'"' => {
                let (_, _, rest) = string(text.get(at..)?)?;
                at = text.len() - rest.len();
                continue;
            }
            _ => {}
        }
        at += 1;
    }
}

/// Appends what a string's inside stands for; `None` if an escape is none of JSON's. Half a surrogate pair becomes
/// U+FFFD.
pub(super) fn unescape(mut inside: &[u8], room: &mut Vec<u8>) -> Option<()> {
    while let Some(at) = memchr(b'\\', inside) {
        room.extend_from_slice(inside.get(..at)?);
        let (letter, mut rest) = inside.get(at + 1..)?.split_first()?;
        match letter {
            b'"' | b'\\' | b'/' => room.push(*letter),
            b'b' => room.push(8),
            b'f' => room.push(12),
            b'n' => room.push(b'\n'),
            b'r' => room.push(b'\r'),
            b't' => room.push(b'\t'),
            b'u' => {
                let (mut code, after) = four_hex(rest)?;
                rest = after;
                if (0xd800..0xdc00).contains(&code)
                    && let Some(low) = rest.strip_prefix(b"\\u")
                    && let Some((low, after)) = four_hex(low)
                    && (0xdc00..0xe000).contains(&low)
                {
                    code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    rest = after;
                }
                let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                room.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
        inside = rest;
    }
    room.extend_from_slice(inside);
    Some(())
}

fn four_hex(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let code = digits.iter().try_fold(0, |code, &digit| {
        char::from(digit).to_digit(16).map(|digit| code * 16 + digit)
    })?;
    Some((code, rest))
}

/// Appends the bytes that a list of numbers spells, as journald writes what is no UTF-8; `None` for any other list.
pub(super) fn byte_list(list: &[u8], room: &mut Vec<u8>) -> Option<()> {
    let mut rest = unblank(list.strip_prefix(b"[")?);
    loop {
        let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        let (number, after) = rest.split_at_checked(digits)?;
        room.push(u8::try_from(crate::bytes::digits_of(number)?).ok()?);
        match unblank(after).split_first()? {
            (b',', next) => rest = unblank(next),
            (b']', []) => return Some(()),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(line: &str) -> Option<Vec<(String, Value<'_>)>> {
        let mut pairs = Vec::new();
        let whole = object(line.as_bytes(), |key, value| {
            pairs.push((String::from_utf8_lossy(key).into_owned(), value));
        });
        whole.map(|()| pairs)
    }

    #[test]
    fn reads_flat_objects() {
        let read = pairs(
            r#" { "a" : "x\"y" ,"b":[1,"]",{"c":"}"}], "d":{"log":"no"},"e":-1.5e3, "f":null,"":"" } "#,
        );
        let expected = [
            ("a", Value::Text(br#"x\"y"#, true)),
            ("b", Value::List(br#"[1,"]",{"c":"}"}]"#)),
            ("d", Value::Other),
            ("e", Value::Number(b"-1.5e3")),
            ("f", Value::Other),
            ("", Value::Text(b"", false)),
        ];
        assert_eq!(read, Some(expected.map(|(key, value)| (key.to_owned(), value)).to_vec()));
        assert_eq!(pairs("{}"), Some(Vec::new()));
        assert_eq!(pairs(r#"{"a":"\\"}"#), Some(vec![("a".to_owned(), Value::Text(br"\\", true))]));
    }

    #[test]
    fn what_is_no_object_is_none() {
        for line in [
            "",
            "{",
            "[]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":1,}",
            "{\"a\":1}x",
            "{\"a\":\"x\\\"}",
            "{\"a\":[1}",
            "{a:1}",
            "{\"a\":nil}",
            "{\"a\":\"x\\",
            "{\"a\":1} {\"a\":1}",
        ] {
            assert_eq!(pairs(line), None, "{line}");
        }
    }

    #[test]
    fn escapes_come_off() {
        for (inside, expected) in [
            (r#"a\"b\\c\/d"#, "a\"b\\c/d"),
            (r"\b\f\n\r\t\u0041\u00e9\u003c", "\u{8}\u{c}\n\r\tA\u{e9}<"),
            (r"\ud83d\ude00", "\u{1f600}"),
            (r"\ud83dx\ude00\ud83d\u0041", "\u{fffd}x\u{fffd}\u{fffd}A"),
        ] {
            let mut room = Vec::new();
            assert_eq!(unescape(inside.as_bytes(), &mut room), Some(()), "{inside}");
            assert_eq!(String::from_utf8_lossy(&room), expected, "{inside}");
        }
        for inside in [r"\x", r"\u12", r"\u12g4", "\\"] {
            assert_eq!(unescape(inside.as_bytes(), &mut Vec::new()), None, "{inside}");
        }
    }

    #[test]
    fn lists_of_bytes_are_bytes() {
        let mut room = Vec::new();
        assert_eq!(byte_list(b"[104, 0,255]", &mut room), Some(()));
        assert_eq!(room, [104, 0, 255]);
        for list in
            ["[]", "[256]", "[1,]", "[\"1\"]", "[1 2]", "[1]]", "[-1]", "[1.0]", "[0001000]"]
        {
            assert_eq!(byte_list(list.as_bytes(), &mut Vec::new()), None, "{list}");
        }
    }
}

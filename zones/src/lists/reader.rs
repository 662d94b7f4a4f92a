//! Lines from a stream, without a copy of the whole.

use std::io::{self, BufRead};

/// Where a line is cut, in octets; what follows on the same line is passed over. rbldnsd cuts between 32 and 64 KiB.
pub const LINE_MAX: usize = 32 * 1024;

/// A line as it lies in the file.
pub(super) struct Line<'a> {
    /// Without its end and blanks before it; at most [`LINE_MAX`] octets.
    pub(super) octets: &'a [u8],
    /// True if it was longer.
    pub(super) is_cut: bool,
    /// True if the file ends before the line does.
    pub(super) is_unended: bool,
}

/// Gives every line to `take`, until it fails.
///
/// # Errors
///
/// What the stream fails with, after the lines before it; and what `take` fails with.
pub(super) fn lines<E>(
    mut stream: impl BufRead,
    mut take: impl FnMut(Line<'_>) -> Result<(), E>,
) -> Result<Result<(), E>, io::Error> {
    // A line that began in a buffer which is gone.
    let mut begun: Vec<u8> = Vec::new();
    let mut has_begun = false;
    loop {
        let buffer = match stream.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let length = buffer.len();
        if length == 0 {
            break;
        }
        let mut rest = buffer;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, behind) = rest.split_at(end);
            rest = behind.get(1..).unwrap_or_default();
            let taken = if has_begun {
                keep(&mut begun, line);
                has_begun = false;
                let taken = take(cut(&begun));
                begun.clear();
                taken
            } else {
                take(cut(line))
            };
            if taken.is_err() {
                return Ok(taken);
            }
        }
        if !rest.is_empty() {
            keep(&mut begun, rest);
            has_begun = true;
        }
        stream.consume(length);
    }
    if has_begun {
        return Ok(take(Line { is_unended: true, ..cut(&begun) }));
    }
    Ok(Ok(()))
}

/// Keeps a line's octets, one more than may be in it at most.
fn keep(begun: &mut Vec<u8>, more: &[u8]) {
    let room = (LINE_MAX + 1).saturating_sub(begun.len());
    begun.extend_from_slice(more.get(..room).unwrap_or(more));
}

fn cut(line: &[u8]) -> Line<'_> {
    let octets = line.get(..LINE_MAX).unwrap_or(line);
    let mut end = octets.len();
    while let Some(b' ' | b'\t') = end.checked_sub(1).and_then(|last| octets.get(last)) {
        end -= 1;
    }
    Line {
        octets: octets.get(..end).unwrap_or_default(),
        is_cut: line.len() > LINE_MAX,
        is_unended: false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collect(bytes: &[u8], buffer: usize) -> Vec<(Vec<u8>, bool, bool)> {
        let mut found = Vec::new();
        let stream = io::BufReader::with_capacity(buffer, bytes);
        let read = lines(stream, |line| {
            found.push((line.octets.to_vec(), line.is_cut, line.is_unended));
            Ok::<(), ()>(())
        });
        read.expect("memory reads").expect("nothing fails");
        found
    }

    #[test]
    fn lines_are_cut_and_unended() {
        let long = [&[b'x'; LINE_MAX + 5][..], b"\ny \t\n\n z"].concat();
        for buffer in [1, 7, 1000, 100_000] {
            let found = collect(&long, buffer);
            let expected = [
                (vec![b'x'; LINE_MAX], true, false),
                (b"y".to_vec(), false, false),
                (vec![], false, false),
                (b" z".to_vec(), false, true),
            ];
            assert_eq!(found, expected, "buffer of {buffer}");
        }
    }

    proptest! {
        #[test]
        fn the_buffer_does_not_matter(bytes in "[ab \n]{0,60}", buffer in 1..9_usize) {
            prop_assert_eq!(collect(bytes.as_bytes(), buffer), collect(bytes.as_bytes(), 100));
        }
    }
}

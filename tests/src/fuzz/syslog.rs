//! Messages that come over a connection.

use helostat_ingest::source::syslog::frames::{Frames, Garbled};

/// The longest message here: short, so that small inputs reach every limit.
const LONGEST: usize = 32;

/// The bytes of a connection: whatever pieces they come in, the messages are the same, bounded, and in the bytes.
pub fn syslog_frames(bytes: &[u8]) {
    let whole = messages(bytes.chunks(bytes.len().max(1)));
    assert_eq!(messages(bytes.chunks(1)), whole, "octet by octet");
    // Each octet says how long the piece is that begins with it.
    let mut rest = bytes;
    let pieces = std::iter::from_fn(|| {
        let (piece, later) =
            rest.split_at_checked(usize::from(*rest.first()?)).unwrap_or((rest, &[]));
        let (piece, later) = if piece.is_empty() { rest.split_at(1) } else { (piece, later) };
        rest = later;
        Some(piece)
    });
    assert_eq!(messages(pieces), whole, "in pieces");
    let (messages, _) = whole;
    let mut rest = bytes;
    for (message, too_long) in messages {
        assert!(!message.is_empty() && message.len() <= LONGEST, "{} octets", message.len());
        assert!(!too_long || message.len() == LONGEST, "cut at {}", message.len());
        // In order, each behind the one before.
        let place = rest.windows(message.len()).position(|window| window == message);
        let place = place.unwrap_or_else(|| panic!("{} was not sent", message.escape_ascii()));
        rest = &rest[place + message.len()..];
    }
}

type Messages = (Vec<(Vec<u8>, bool)>, Option<Garbled>);

/// The messages, each with whether it was too long, and what ended the connection.
fn messages<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Messages {
    let mut frames = Frames::new(LONGEST);
    let mut found = Vec::new();
    for piece in pieces {
        let fed = frames.feed(piece, &mut |line| found.push((line.bytes.to_vec(), line.too_long)));
        if let Err(why) = fed {
            return (found, Some(why));
        }
    }
    (found, None)
}

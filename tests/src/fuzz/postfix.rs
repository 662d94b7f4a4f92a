//! What comes to the policy service.

use helostat_zones::postfix::{Action, Garbled, Request, Requests};

/// The longest request here: short, so that small inputs reach the limit.
const MOST: usize = 1024;

/// The bytes of a connection: whatever pieces they come in, the requests are the same; an error is the last of them; what
/// is read is in the bytes, and whatever is said of it, the answer is one line.
pub fn postfix_requests(bytes: &[u8]) {
    let whole = requests(bytes.chunks(bytes.len().max(1)));
    assert_eq!(requests(bytes.chunks(1)), whole, "octet by octet");
    // Each octet says how long the piece is that begins with it.
    let mut rest = bytes;
    let pieces = std::iter::from_fn(|| {
        let length = usize::from(*rest.first()?).clamp(1, rest.len());
        let (piece, later) = rest.split_at(length);
        rest = later;
        Some(piece)
    });
    assert_eq!(requests(pieces), whole, "in pieces");
    let blank_lines = bytes.split(|&byte| byte == b'\n').filter(|line| line.is_empty()).count();
    assert!(whole.iter().filter(|read| read.is_ok()).count() <= blank_lines, "out of nothing");
    for (rank, read) in whole.iter().enumerate() {
        match read {
            Ok(request) => answered(request),
            Err(why) => assert_eq!(rank + 1, whole.len(), "after {why:?}"),
        }
    }
}

fn requests<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Result<Request, Garbled>> {
    let mut requests = Requests::new(MOST);
    let mut found = Vec::new();
    for piece in pieces {
        requests.feed(piece);
        found.extend(requests.by_ref());
    }
    found
}

/// Says everything that the request brings back to it.
fn answered(request: &Request) {
    let Request { ip, name, rdns, instance, recipient, .. } = request;
    assert!(ip.is_none_or(|ip| ip == ip.to_canonical()), "{ip:?}");
    assert!(instance.len() + recipient.len() <= MOST);
    let said = String::from_utf8_lossy(recipient);
    let text = format!("{name:?} {rdns:?} {said}\n{}", instance.escape_ascii());
    for action in Action::ALL {
        let mut answer = Vec::new();
        action.write(&text, &mut answer);
        let line = answer.strip_suffix(b"\n\n").expect("it ends with an empty line");
        assert!(line.starts_with(b"action="));
        assert!(line.iter().all(|byte| matches!(byte, b' '..=b'~')), "{}", line.escape_ascii());
    }
}

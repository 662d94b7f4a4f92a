//! Which refusals our own answers caused.
//!
//! A refusal that we caused ourselves must not count against the client again, or a listing would feed
//! itself. In goes a reply as the MTA logged it, with what the client said; out comes whether the reply
//! quotes us. It does by one of three signs, in any case of letters:
//!
//! - `helostat: `, with which every text of our zones begins;
//! - `using ORIGIN`, `at ORIGIN`, `on ORIGIN`, `in ORIGIN` or `by ORIGIN`, where the origin is one of ours or
//!   anything below it: Postfix says `blocked using bl.rep.example.net`, and postscreen says no more than
//!   that; Haraka says `is listed on`; Exim's own examples say `listed at` and `in a black list at`;
//! - a piece of text that the operator named, for replies of their own wording.
//!
//! A client that could put such a sign into the reply to it would have all its refusals forgiven. It can
//! have its words repeated there: the name in EHLO, the sender, the recipient, its reverse name. So:
//! - every sign holds a blank, which no host name does, and which Postfix takes out of names in EHLO;
//! - a sign that also stands in what the client said on the same line proves nothing. Both MTAs log
//!   the sender, the recipient and the name beside the reply. A quoted local part is written differently
//!   in the two places, but only around `"`, `\` and `@`, and no sign holds one of those;
//! - what another server said (sender and recipient verification) and what is quoted out of a header is
//!   not read: text behind ` said: ` and behind the first `"`.
//!
//! A refusal of ours that is not recognised counts as anybody's: this errs against who plays with words.

use std::sync::Arc;

use crate::bytes::{contains_folded, cut, cut_at};

/// How every text of our zones begins.
const MARK: &[u8] = b"helostat: ";
/// The words that stand before the name of a list.
const LINKS: [&[u8]; 5] = [b"using", b"at", b"on", b"in", b"by"];
/// The shortest and the longest piece of text, in octets: a shorter one would be met by chance.
const PIECE: std::ops::RangeInclusive<usize> = 8..=200;

/// By which signs our own answers are known.
#[derive(Clone, Debug, Default)]
pub struct Ours(Arc<Signs>);

#[derive(Debug, Default)]
struct Signs {
    origins: Vec<Box<[u8]>>,
    pieces: Vec<Box<[u8]>>,
}

/// A reply to a client, and what the client had said, both as logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply<'a> {
    /// The MTA's words; the client's may be repeated in them.
    pub(crate) text: &'a [u8],
    /// Everything on the line that holds the client's words.
    pub(crate) said: &'a [u8],
}

impl Ours {
    /// Our answers come from the zones below `origins`, or are known by `pieces`, each of which passed
    /// [`check`].
    pub fn new<'a>(
        origins: impl IntoIterator<Item = &'a str>,
        pieces: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self(Arc::new(Signs {
            origins: origins.into_iter().map(|origin| origin.as_bytes().into()).collect(),
            pieces: pieces.into_iter().map(|piece| piece.as_bytes().into()).collect(),
        }))
    }

    /// True if an answer of ours is the cause of `reply`.
    pub(crate) fn caused(&self, reply: Reply<'_>) -> bool {
        let text = own_words(reply.text);
        let shows = |sign: &[u8]| contains_folded(text, sign) && !contains_folded(reply.said, sign);
        shows(MARK)
            || self.0.pieces.iter().any(|piece| shows(piece))
            || self.lists(text).any(|phrase| !contains_folded(reply.said, phrase))
    }

    /// Every `using ORIGIN` and the like in a text.
    fn lists<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        memchr::memchr_iter(b' ', text).filter_map(|blank| {
            let (before, after) = text.split_at_checked(blank)?;
            let link = before.rsplit(|&byte| byte == b' ').next()?;
            if !LINKS.iter().any(|known| known.eq_ignore_ascii_case(link)) {
                return None;
            }
            let name = host_name(after.get(1..)?)?;
            let known = self.0.origins.iter().any(|origin| is_within(name, origin));
            let start = blank.checked_sub(link.len())?;
            text.get(start..blank + 1 + name.len()).filter(|_| known)
        })
    }
}

/// What the MTA itself says: nothing that it quotes from others.
fn own_words(text: &[u8]) -> &[u8] {
    let text = cut(text, b'"').map_or(text, |(own, _)| own);
    cut_at(text, b" said: ").map_or(text, |(own, _)| own)
}

/// The host name at the beginning of a text, without a dot at its end; `None` if it goes on as an address.
fn host_name(text: &[u8]) -> Option<&[u8]> {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let end = text.iter().position(|byte| !inside(byte)).unwrap_or(text.len());
    if !matches!(text.get(end), None | Some(b' ' | b';' | b',' | b':' | b')' | b'\\')) {
        return None;
    }
    let name = text.get(..end)?;
    Some(name.strip_suffix(b".").unwrap_or(name))
}

/// True if `name` is `origin` or lies below it.
fn is_within(name: &[u8], origin: &[u8]) -> bool {
    let Some(above) = name.len().checked_sub(origin.len()) else { return false };
    let Some((below, end)) = name.split_at_checked(above) else { return false };
    end.eq_ignore_ascii_case(origin) && (below.is_empty() || below.ends_with(b"."))
}

/// Checks a piece of text that an operator names; the error is a sentence.
pub fn check(piece: &str) -> Result<(), String> {
    if !PIECE.contains(&piece.len()) {
        return Err(format!("it has {} to {} characters", PIECE.start(), PIECE.end()));
    }
    if !piece.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\@<>".contains(&byte)) {
        return Err(
            "it has only printable ASCII, and none of \" \\ @ < >, which MTAs write in several ways"
                .into(),
        );
    }
    let mut words = piece.split(' ');
    if !piece.contains(' ') || words.any(str::is_empty) {
        return Err("it is two words or more with single blanks between: a client's name is one word, and must not pass for it".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ours() -> Ours {
        Ours::new(["rep.example.net"], ["refused by our own list"])
    }

    fn caused(text: &str, said: &str) -> bool {
        ours().caused(Reply { text: text.as_bytes(), said: said.as_bytes() })
    }

    #[test]
    fn the_signs_of_our_answers() {
        for (text, expected) in [
            (
                "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using bl.rep.example.net",
                true,
            ),
            (
                "550 5.7.1 Service unavailable; client [192.0.2.7] blocked using BL.Rep.Example.Net",
                true,
            ),
            ("x blocked using rep.example.net.; why", true),
            ("192.0.2.7 is listed at bl.rep.example.net (127.0.0.2: why)", true),
            ("rejected because 192.0.2.7 is in a black list at bl.rep.example.net\\nwhy", true),
            ("listed in bl.rep.example.net", true),
            ("host [192.0.2.7] is listed on bl.rep.example.net", true),
            ("554 5.7.1 <a@b>: Recipient address rejected: helostat: listed junk", true),
            ("HELOSTAT: listed junk", true),
            ("550 Refused by our own list, sorry", true),
            ("blocked using zen.example.org", false),
            ("blocked using xrep.example.net", false),
            ("blocked using rep.example.net.evil.example", false),
            ("blocked using a@bl.rep.example.net", false),
            ("blocked using bl.rep.example.net@a", false),
            ("<bl.rep.example.net>: Client host rejected: no", false),
            ("[bl.rep.example.net] blocked using zen.example.org", false),
            ("mail from bl.rep.example.net is refused", false),
            ("helostat.example is refused", false),
            ("refused by our own", false),
            ("undeliverable address: host mx.evil.example said: 550 helostat: listed", false),
            ("response to \"RCPT TO:<a@b>\" was: 550 listed at bl.rep.example.net", false),
            ("", false),
        ] {
            assert_eq!(caused(text, ""), expected, "{text}");
        }
    }

    #[test]
    fn what_the_client_said_proves_nothing() {
        for sign in ["helostat: listed", "using bl.rep.example.net", "Refused BY our own list"] {
            let text = format!("550 5.1.1 <x {sign} y@local>: User unknown");
            assert!(caused(&text, ""), "{sign}: it would count");
            let said = format!("from=<> to=<\"x {} y\"@local>", sign.to_lowercase());
            assert!(!caused(&text, &said), "{sign}");
        }
        let both = "<using rep.example.net@l>: blocked using bl.rep.example.net; x";
        assert!(
            caused(both, "to=<\"using rep.example.net\"@l>"),
            "one is the client's, one is not"
        );
    }

    #[test]
    fn pieces_are_checked() {
        for (piece, good) in [
            ("blocked using rep.example.net", true),
            ("listed by us", true),
            ("short it", true),
            ("a b", false),
            ("rep.example.net", false),
            (" rep.example.net", false),
            ("listed  by us", false),
            ("listed by <us>", false),
            ("gelistet für", false),
            ("listed by a@b", false),
        ] {
            assert_eq!(check(piece).is_ok(), good, "{piece:?}");
        }
        assert!(check(&"ab ".repeat(100)).is_err());
    }

    proptest! {
        #[test]
        fn no_host_name_is_a_sign(name in "[A-Za-z0-9._-]{0,40}(rep\\.example\\.net|helostat:)?[A-Za-z0-9._:-]{0,20}") {
            for text in [format!("<{name}>: Helo command rejected: no"), format!("Helo command [{name}] blocked using other.test")] {
                prop_assert!(!caused(&text, ""), "{}", text);
            }
        }

        #[test]
        fn no_bytes_panic(text in prop::collection::vec(any::<u8>(), 0..200), said in prop::collection::vec(any::<u8>(), 0..50)) {
            ours().caused(Reply { text: &text, said: &said });
        }
    }
}

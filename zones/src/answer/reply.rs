//! What is said of a verdict in SMTP: in a refusal, in a header.
//!
//! In goes a verdict on a client or a pair; out comes one line of printable ASCII of at most 255 octets, escaped as TXT is: it
//! quotes what a client said, and goes back to it. A refusal begins as the text of a listing does, by which whoever reads the
//! log knows that it was ours ([`super::LISTED`]). The words of RFC 8904 say how a client stands on `wl`.

use std::fmt::Write;

use super::{Answer, LISTED, Said, Text, list_words, pair_word};
use crate::operator::Decision;
use crate::time::Time;
use crate::verdict::{Class, ClientVerdict, ListCode, PairCode, PairVerdict, Reason, Sort};

/// The part of a verdict that is told in SMTP.
#[derive(Clone, Copy, Debug)]
pub struct Opinion<'a> {
    /// The class, by which is chosen what to do.
    pub class: Class,
    score: Option<u8>,
    confidence: u8,
    code: Option<PairCode>,
    sort: Option<Sort>,
    decision: Option<&'a Decision>,
    listings: &'a [ListCode],
    reasons: &'a [Reason],
    until: Time,
}

impl<'a> From<&'a PairVerdict> for Opinion<'a> {
    fn from(verdict: &'a PairVerdict) -> Self {
        Self {
            class: verdict.class,
            score: Some(verdict.score),
            confidence: verdict.confidence,
            code: verdict.code.filter(|_| verdict.listings.is_empty()),
            sort: verdict.sort,
            decision: verdict.decision.as_ref(),
            listings: &verdict.listings,
            reasons: &verdict.reasons,
            until: verdict.until,
        }
    }
}

impl<'a> From<&'a ClientVerdict> for Opinion<'a> {
    fn from(verdict: &'a ClientVerdict) -> Self {
        Self {
            class: verdict.class,
            score: verdict.score,
            confidence: verdict.confidence,
            code: None,
            sort: verdict.sort,
            decision: verdict.decision.as_ref(),
            listings: &verdict.listings,
            reasons: &verdict.reasons,
            until: verdict.until,
        }
    }
}

impl Opinion<'_> {
    /// Why mail is refused, or would be: `helostat: listed many-families score=3 until=...`, a sentence, what would end
    /// it, and the page, in which `key` takes the place of `{}`.
    pub fn refusal(&self, key: &str, page: Option<&str>) -> String {
        let text = if self.listings.is_empty() {
            let mark = LISTED.split_once(' ').map_or(LISTED, |(mark, _)| mark);
            Text::new(&format!("{mark} {}", self.class))
        } else {
            Text::new(&list_words(self.listings))
        };
        self.end(text, key, page)
    }

    /// The value of a header: `known established score=87 confidence=60 until=...`, a sentence, the page.
    pub fn header(&self, key: &str, page: Option<&str>) -> String {
        let mut head = self.class.to_string();
        if let Some(code) = self.code {
            head.push(' ');
            head.push_str(pair_word(code));
        } else if !self.listings.is_empty() {
            let words = list_words(self.listings);
            head.push(' ');
            head.push_str(words.strip_prefix(LISTED).unwrap_or(&words));
        }
        self.end(Text::new(&head), key, page)
    }

    fn end(&self, mut text: Text, key: &str, page: Option<&str>) -> String {
        if let Some(score) = self.score {
            text.word("score", score);
        }
        text.word("confidence", self.confidence);
        text.sort_and_decision(self.sort, self.decision);
        text.word("until", self.until);
        text.end(Said::of(self.listings, self.reasons), page, key)
    }
}

/// The value for `dnswl=` of an Authentication-Results field (RFC 8904 section 2), with the field's word: what `answer`
/// of the zone `wl` says. `dns.sec` is left out: nobody asked over DNS.
pub fn dnswl(zone: &str, answer: &Answer) -> String {
    let Some(value) = answer.a.first() else { return format!("dnswl=none dns.zone={zone}") };
    let mut words = format!("dnswl=pass dns.zone={zone} policy.ip={value}");
    if let Some(text) = &answer.txt {
        // A quoted-string (RFC 5322 section 3.2.4); a TXT of ours has no quotes.
        words.push_str(" policy.txt=\"");
        for letter in text.chars() {
            if matches!(letter, '"' | '\\') {
                words.push('\\');
            }
            // A string takes everything.
            words.write_char(letter).unwrap_or_default();
        }
        words.push('"');
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answer::{Caps, TXT_MAX};
    use crate::key::Kind;
    use crate::verdict::Trust;

    const UNTIL: Time = Time(1_795_188_455);

    fn pair(
        class: Class,
        code: Option<PairCode>,
        listings: &[ListCode],
        text: &str,
    ) -> PairVerdict {
        let reason = Reason { word: "many-families", points: -40, text: text.to_owned() };
        PairVerdict {
            class,
            code,
            listings: listings.to_vec(),
            reasons: vec![reason],
            score: 12,
            confidence: 34,
            ..PairVerdict::unknown(UNTIL)
        }
    }

    #[test]
    fn words_for_smtp() {
        let page = Some("https://rep.example/?q={}");
        let key = "mx.example,192.0.2.7";
        let listed = pair(
            Class::Listed,
            Some(PairCode::TooLittle),
            &[ListCode::ManyFamilies],
            "7 families, <x>",
        );
        let said = Opinion::from(&listed);
        assert_eq!(
            said.refusal(key, page),
            "helostat: listed many-families score=12 confidence=34 until=2026-11-20T15:27:35Z 7 families, \\x3cx\\x3e; ends when those names are old; stop who else sends from here https://rep.example/?q=mx.example,192.0.2.7"
        );
        assert_eq!(
            said.header(key, None),
            "listed many-families score=12 confidence=34 until=2026-11-20T15:27:35Z 7 families, \\x3cx\\x3e; ends when those names are old; stop who else sends from here"
        );
        let suspect = pair(Class::Suspect, Some(PairCode::Established), &[], "crowded");
        let said = Opinion::from(&suspect);
        let numbers = "score=12 confidence=34 until=2026-11-20T15:27:35Z crowded";
        assert_eq!(said.refusal(key, None), format!("helostat: suspect {numbers}"));
        assert_eq!(said.header(key, None), format!("suspect established {numbers}"));
        let client = ClientVerdict::unknown(UNTIL);
        assert_eq!(
            Opinion::from(&client).header("192.0.2.7", None),
            "new confidence=0 until=2026-11-20T15:27:35Z"
        );
    }

    #[test]
    fn words_of_rfc_8904() {
        let now = Time(UNTIL.0 - 3600);
        let ip = "192.0.2.7".parse().expect("an address");
        let caps = Caps::default();
        let unknown = ClientVerdict::unknown(UNTIL);
        let trust = Some(Trust { category: 4, level: 3 });
        let trusted = ClientVerdict { trust, ..unknown.clone() };
        for (verdict, expected) in [
            (unknown, "dnswl=none dns.zone=wl.rep.example"),
            (
                trusted,
                "dnswl=pass dns.zone=wl.rep.example policy.ip=127.0.4.3 policy.txt=\"trusted category=4 level=3 class=new confidence=0 until=2026-11-20T15:27:35Z\"",
            ),
        ] {
            let answer = Answer::of_client(Kind::Wl, ip, &verdict, now, &caps);
            assert_eq!(dnswl("wl.rep.example", &answer), expected);
        }
    }

    proptest! {
        #[test]
        fn words_are_one_short_line(said in any::<String>(), page in proptest::option::of("https://[a-z]{1,100}/\\{\\}")) {
            for listings in [&[][..], &[ListCode::Junk]] {
                let verdict = pair(Class::Suspect, None, listings, &said);
                let opinion = Opinion::from(&verdict);
                for text in [opinion.refusal("k", page.as_deref()), opinion.header("k", page.as_deref())] {
                    prop_assert!(text.len() <= TXT_MAX, "{} octets", text.len());
                    prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", text);
                }
                prop_assert!(opinion.refusal("k", None).starts_with("helostat: "));
            }
        }

        #[test]
        fn quotes_stay_closed(text in any::<String>()) {
            let answer = Answer { a: vec![[127, 0, 4, 3].into()], txt: Some(text), ..Answer::negative(crate::answer::Exists::Exists, 1) };
            let words = dnswl("wl.test", &answer);
            let inside = words.split_once('"').map_or("", |(_, rest)| rest);
            let inside = inside.strip_suffix('"').expect("closed");
            let mut letters = inside.chars();
            while let Some(letter) = letters.next() {
                prop_assert!(letter != '"', "{}", words);
                if letter == '\\' {
                    prop_assert!(letters.next().is_some(), "{}", words);
                }
            }
        }
    }
}

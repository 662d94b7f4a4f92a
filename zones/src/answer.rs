//! From a key and its verdict to the records that a zone answers.
//!
//! In go a kind, a verdict, the moment, and the [`Caps`] of the zone; out comes an [`Answer`]: does
//! the name exist, its A records, its one TXT string, and for how many seconds that holds. Pure,
//! and nothing fails. Names of records and the SOA are the server's business.
//!
//! Rules (values: the table of zones in the design page; shapes: RFC 5782, DNSWL, Sender Score):
//! - `bl`: 127.0.0.2 first, then the reasons in the verdict's order, four records at most. The
//!   operator's own .99 stands alone beside .2: the operator need not give other reasons.
//! - `wl`: one 127.0.category.level, category 2 to 9, level 0 to 3. A verdict outside that shape is
//!   not published: category 10 and the last octet 255 mean other things to DNSWL's clients.
//! - `score`: one 127.0.4.n, n at most 100.
//! - `ehlo`: one 127.0.1.x per code, the lowest first, so `.2` leads. Nothing is added: a name that
//!   is `.5` (impersonated) is a victim, not bad.
//! - `dna`: no A at all, so that no filter takes it for a list; TXT `MARID,1,<letter>;` and a sentence
//!   (draft-ietf-marid-csv-dna-02): A a name that stands and whose publisher or addresses agree, B a name
//!   that stands, D and E what `ehlo` lists (E where its publisher denies it), nothing for all others.
//! - `pair`: as `bl` if anything is held against the pair, else its one code.
//! - The TTL is the least of the zone's cap and the time until the verdict may change, at least 1.
//!   That holds for a negative answer too.
//! - TXT of a listing says why it is listed (which need not be the heaviest reason) and, where there is room, what
//!   would end it; TXT of `bl`, `wl`, `score` and `pair` says the sort of sender and the operator's decision.
//! - TXT is printable ASCII of at most 255 octets (one character-string, RFC 1035 section 3.3).
//!   EHLO text in it is an attacker's text: what shells, HTML and MTA macros take for more than
//!   text goes as `\xNN`.

use std::net::{IpAddr, Ipv4Addr};

mod bits;
mod codes;
mod reply;

pub use self::codes::Codes;
pub use self::reply::{Opinion, dnswl};
use crate::explain::remedy;
use crate::key::{Key, Kind, is_also_above_ipv6};
use crate::name::Name;
use crate::operator::Decision;
use crate::time::Time;
use crate::verdict::{
    ClientVerdict, ListCode, NameCode, NameVerdict, PairCode, PairVerdict, Rating, Reason, Sort,
};

/// The most A records of one answer (`clients.md` 4).
pub const A_MAX: usize = 4;
/// Service and level of every report of `dna`.
const DNA_SERVICE: &str = "MARID,1";
/// How the text of a listing begins. MTAs quote it in their refusals, and whoever learns from their logs
/// knows by our name that the refusal is our own.
const LISTED: &str = "helostat: listed ";
/// What is said of a client beside codes that are those of an earlier verdict.
const AS_BEFORE: &str = "as before: newer verdicts are held back by a guard";
/// The longest character-string (RFC 1035 section 3.3).
const TXT_MAX: usize = 255;
/// The default cap of a positive TTL, in seconds: the lower end of what lists use.
pub const POSITIVE_TTL: u32 = 300;
/// The default of a negative TTL, in seconds: "not listed" changes when evidence arrives.
pub const NEGATIVE_TTL: u32 = 60;

/// Does the name asked for exist?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exists {
    /// Yes, with data.
    Exists,
    /// Yes, without data of its own: something lies or can lie below.
    NoData,
    /// No, and nothing lies below (RFC 8020).
    NxDomain,
}

impl Exists {
    /// An address of which a zone says nothing.
    pub fn unlisted(ip: IpAddr) -> Self {
        if is_also_above_ipv6(ip) { Self::NoData } else { Self::NxDomain }
    }
}

/// What a zone says at one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Does the name exist?
    pub exists: Exists,
    /// The values, main one first; empty unless it exists with data, and in `dna`.
    pub a: Vec<Ipv4Addr>,
    /// One string of at most 255 octets of printable ASCII.
    pub txt: Option<String>,
    /// For how many seconds it holds.
    pub ttl: u32,
}

/// What limits the answers of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The longest TTL of a listing, in seconds.
    pub positive_ttl: u32,
    /// The longest TTL of "not listed", in seconds.
    pub negative_ttl: u32,
    /// The page that explains a key to people; `{}` in it stands for the key.
    pub page: Option<String>,
}

impl Default for Caps {
    fn default() -> Self {
        Self { positive_ttl: POSITIVE_TTL, negative_ttl: NEGATIVE_TTL, page: None }
    }
}

impl Caps {
    /// Whether a name exists that has data or has none (then it is `unlisted`), and for how many seconds that holds of a
    /// verdict that holds until then.
    pub fn holds(&self, has_data: bool, unlisted: Exists, until: Time, now: Time) -> (Exists, u32) {
        let (exists, cap) = match has_data {
            true => (Exists::Exists, self.positive_ttl),
            false => (unlisted, self.negative_ttl),
        };
        (exists, cap.min(seconds_left(until, now)).max(1))
    }
}

impl Answer {
    /// The answer to a key that needs no verdict; `None` for the apex and for keys that need one.
    pub fn fixed(kind: Kind, key: &Key, caps: &Caps) -> Option<Self> {
        match key {
            Key::TestListed(_) if kind == Kind::Dna => Some(Self {
                exists: Exists::Exists,
                a: Vec::new(),
                txt: Some(format!("{DNA_SERVICE},{};test point", Rating::E.letter())),
                ttl: caps.positive_ttl.max(1),
            }),
            Key::Partial => Some(Self::negative(Exists::NoData, caps.negative_ttl)),
            Key::Impossible | Key::TestUnlisted => {
                Some(Self::negative(Exists::NxDomain, caps.negative_ttl))
            }
            Key::TestListed(value) => Some(Self {
                exists: Exists::Exists,
                a: vec![*value],
                txt: Some("test point (RFC 5782 section 5)".to_owned()),
                ttl: caps.positive_ttl.max(1),
            }),
            Key::Apex | Key::Client(_) | Key::Name(_) | Key::Pair(..) => None,
        }
    }

    /// What a zone of `kind` says of a client.
    pub fn of_client(
        kind: Kind,
        ip: IpAddr,
        verdict: &ClientVerdict,
        now: Time,
        caps: &Caps,
    ) -> Self {
        let mut answer = Self::of_codes(kind, ip, Codes::of(verdict), verdict.until, now, caps);
        if answer.a.is_empty() {
            return answer;
        }
        if verdict.held.is_some() {
            answer.txt = Some(AS_BEFORE.to_owned());
            return answer;
        }
        let mut text = match kind {
            Kind::Bl => Text::new(&list_words(&verdict.listings)),
            Kind::Wl => Text::new("trusted"),
            Kind::Score => Text::new("scored"),
            Kind::Bits => Text::new("bits"),
            Kind::Ehlo | Kind::Pair | Kind::Fp | Kind::Dna => Text::new(""),
        };
        if let (Kind::Wl, Some(trust)) = (kind, verdict.trust) {
            text.word("category", trust.category);
            text.word("level", trust.level);
        }
        if let Some(score) = verdict.score {
            text.word("score", score);
        }
        if kind != Kind::Bl {
            text.word("class", verdict.class);
            text.word("confidence", verdict.confidence);
        }
        text.sort_and_decision(verdict.sort, verdict.decision.as_ref());
        text.word("until", verdict.until);
        let listings: &[ListCode] = if kind == Kind::Bl { &verdict.listings } else { &[] };
        let said = Said::of(listings, &verdict.reasons);
        answer.txt = Some(text.end(said, caps.page.as_deref(), &ip.to_string()));
        answer
    }

    /// The same from what was kept of a verdict that holds until then, without a text.
    pub fn of_codes(
        kind: Kind,
        ip: IpAddr,
        codes: Codes,
        until: Time,
        now: Time,
        caps: &Caps,
    ) -> Self {
        let unlisted = Exists::unlisted(ip);
        let a: Vec<_> = codes.values(kind).collect();
        let (exists, ttl) = caps.holds(!a.is_empty(), unlisted, until, now);
        Self { exists, a, txt: None, ttl }
    }

    /// What `ehlo` says of a name. `unlisted`: what it is if it is not listed.
    pub fn of_name(
        name: &Name,
        verdict: &NameVerdict,
        unlisted: Exists,
        now: Time,
        caps: &Caps,
    ) -> Self {
        let mut codes = verdict.codes.clone();
        codes.sort_unstable();
        codes.dedup();
        let a = codes.iter().map(|&code| Ipv4Addr::new(127, 0, 1, code as u8)).take(A_MAX);
        let words: Vec<_> = codes.iter().map(|&code| name_word(code)).collect();
        let mut text = Text::new(&format!("{LISTED}{}", words.join(",")));
        text.word("until", verdict.until);
        let txt = text.end(Said::of(&[], &verdict.reasons), caps.page.as_deref(), name.text());
        Self::new(a.collect(), txt, unlisted, verdict.until, now, caps)
    }

    /// What `dna` says of a name. `unlisted`: what it is if nothing is known of it.
    pub fn of_recommendation(
        name: &Name,
        verdict: &NameVerdict,
        unlisted: Exists,
        now: Time,
        caps: &Caps,
    ) -> Self {
        let holds = seconds_left(verdict.until, now);
        let Some(rating) = verdict.rating else {
            return Self::negative(unlisted, caps.negative_ttl.min(holds));
        };
        let mut text = Text::new(&format!("{DNA_SERVICE},{};helostat", rating.letter()));
        text.word("until", verdict.until);
        let txt = text.end(Said::of(&[], &verdict.reasons), caps.page.as_deref(), name.text());
        let ttl = caps.positive_ttl.min(holds).max(1);
        Self { exists: Exists::Exists, a: Vec::new(), txt: Some(txt), ttl }
    }

    /// What `pair` says of a pair. `unlisted`: what it is if nothing is known of it.
    pub fn of_pair(
        ip: IpAddr,
        name: &Name,
        verdict: &PairVerdict,
        unlisted: Exists,
        now: Time,
        caps: &Caps,
    ) -> Self {
        let (a, head) = match verdict.code {
            _ if !verdict.listings.is_empty() => {
                (list_values(&verdict.listings), list_words(&verdict.listings))
            }
            Some(code) => {
                let (third, fourth) = code.octets();
                (vec![Ipv4Addr::new(127, 0, third, fourth)], pair_word(code).to_owned())
            }
            None => (Vec::new(), String::new()),
        };
        let mut text = Text::new(&head);
        text.word("class", verdict.class);
        text.sort_and_decision(verdict.sort, verdict.decision.as_ref());
        text.word("until", verdict.until);
        let key = format!("{name},{ip}");
        let said = Said::of(&verdict.listings, &verdict.reasons);
        let txt = text.end(said, caps.page.as_deref(), &key);
        Self::new(a, txt, unlisted, verdict.until, now, caps)
    }

    fn new(
        a: Vec<Ipv4Addr>,
        txt: String,
        unlisted: Exists,
        until: Time,
        now: Time,
        caps: &Caps,
    ) -> Self {
        let (exists, ttl) = caps.holds(!a.is_empty(), unlisted, until, now);
        let txt = Some(txt).filter(|_| !a.is_empty());
        Self { exists, a, txt, ttl }
    }

    fn negative(exists: Exists, ttl: u32) -> Self {
        Self { exists, a: Vec::new(), txt: None, ttl: ttl.max(1) }
    }
}

fn seconds_left(until: Time, now: Time) -> u32 {
    u32::try_from(until.since(now).as_secs()).unwrap_or(u32::MAX)
}

fn list_values(listings: &[ListCode]) -> Vec<Ipv4Addr> {
    let value = |octet| Ipv4Addr::new(127, 0, 0, octet);
    if listings.is_empty() {
        return Vec::new();
    }
    let mut values = vec![value(2)];
    for code in told(listings) {
        values.push(value(code as u8));
    }
    values.truncate(A_MAX);
    values
}

/// The codes that are published: each once, and the operator's alone.
fn told(listings: &[ListCode]) -> Vec<ListCode> {
    if listings.contains(&ListCode::Operator) {
        return vec![ListCode::Operator];
    }
    let mut told: Vec<ListCode> = Vec::new();
    for &code in listings {
        if !told.contains(&code) {
            told.push(code);
        }
    }
    told
}

fn list_words(listings: &[ListCode]) -> String {
    let words: Vec<_> = told(listings).into_iter().map(ListCode::word).collect();
    format!("{LISTED}{}", words.join(","))
}

fn name_word(code: NameCode) -> &'static str {
    match code {
        NameCode::Bad => "bad",
        NameCode::ManyNetworks => "many-networks",
        NameCode::Impersonated => "impersonated",
        NameCode::Junk => "junk",
    }
}

fn pair_word(code: PairCode) -> &'static str {
    match code {
        PairCode::Established => "established",
        PairCode::Confirmed => "confirmed",
        PairCode::Authorised => "authorised",
        PairCode::OperatorAllow => "operator-allow",
        PairCode::NewName => "new-name",
        PairCode::NewClient => "new-client",
        PairCode::Moved => "moved",
        PairCode::TooLittle => "too-little",
    }
}

/// The sentences of a TXT.
#[derive(Clone, Copy)]
struct Said<'a> {
    reason: Option<&'a Reason>,
    remedy: Option<&'static str>,
}

impl<'a> Said<'a> {
    /// Of a listing its own reason, which need not be the heaviest, and what would end it; of all else the heaviest.
    fn of(listings: &[ListCode], reasons: &'a [Reason]) -> Self {
        let code = told(listings).first().copied();
        let of_listing = code.and_then(|code| code.reason(reasons));
        Self { reason: of_listing.or_else(|| reasons.first()), remedy: code.map(remedy::in_short) }
    }
}

/// A TXT in the making: words for programs, then a sentence cut to fit, then the page.
struct Text(String);

impl Text {
    fn new(head: &str) -> Self {
        Self(head.to_owned())
    }

    fn word(&mut self, name: &str, value: impl std::fmt::Display) {
        self.0.push_str(&format!(" {name}={value}"));
    }

    /// The sort is said where "steady" would be read as "clean"; the decision, since it beats all numbers.
    fn sort_and_decision(&mut self, sort: Option<Sort>, decision: Option<&Decision>) {
        if let Some(sort) = sort {
            self.word("sort", sort.word());
        }
        if let Some(decision) = decision {
            self.word("decision", decision.kind);
        }
    }

    fn end(self, said: Said<'_>, page: Option<&str>, key: &str) -> String {
        let Self(mut text) = self;
        let page = page.map(|page| escape(&page.replace("{}", key))).unwrap_or_default();
        // A page that leaves no room for anything else is not worth its place.
        let page = if text.len() + 1 + page.len() <= TXT_MAX { page } else { String::new() };
        let tail = if page.is_empty() { 0 } else { page.len() + 1 };
        if let Some(reason) = said.reason {
            push_cut(&mut text, &reason.text, TXT_MAX - tail);
        }
        // Half a piece of advice is none.
        if let Some(remedy) = said.remedy {
            let advice = format!("; {remedy}");
            if text.len() + advice.len() <= TXT_MAX - tail {
                text.push_str(&advice);
            }
        }
        if !page.is_empty() {
            text.push(' ');
            text.push_str(&page);
        }
        text
    }
}

/// Appends a blank and `said`, escaped, so that the whole is no longer than `limit`; a cut shows as
/// `...` and never splits an escape.
fn push_cut(text: &mut String, said: &str, limit: usize) {
    const MARK: &str = "...";
    let start = text.len();
    let mut fits = start;
    text.push(' ');
    for byte in said.bytes() {
        if text.len() + MARK.len() <= limit {
            fits = text.len();
        }
        push_escaped(text, byte);
        if text.len() > limit {
            text.truncate(fits);
            if fits > start {
                text.push_str(MARK);
            }
            return;
        }
    }
}

fn escape(said: &str) -> String {
    let mut text = String::with_capacity(said.len());
    for byte in said.bytes() {
        push_escaped(&mut text, byte);
    }
    text
}

/// The backslash stays: names come with `\xNN` for what was not printable in them.
fn push_escaped(text: &mut String, byte: u8) {
    match byte {
        b'"' | b'$' | b'`' | b'<' | b'>' | b'{' | b'}' | ..0x20 | 0x7f.. => {
            text.push_str(&format!("\\x{byte:02x}"));
        }
        _ => text.push(char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::verdict::Class;
    use crate::verdict::Trust;

    const NOW: Time = Time(1_795_184_855);

    fn reason(text: &str) -> Reason {
        Reason { word: "many-families", points: -40, text: text.to_owned() }
    }

    fn client() -> ClientVerdict {
        ClientVerdict {
            class: Class::New,
            score: None,
            confidence: 10,
            reasons: Vec::new(),
            listings: Vec::new(),
            trust: None,
            ..ClientVerdict::unknown(Time(NOW.0 + 3600))
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn say(kind: Kind, verdict: &ClientVerdict) -> Answer {
        Answer::of_client(kind, ip("192.0.2.7"), verdict, NOW, &Caps::default())
    }

    fn values(answer: &Answer) -> Vec<String> {
        answer.a.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lists_give_two_first_and_four_at_most() {
        use ListCode::*;
        for (listings, a) in [
            (vec![], vec![]),
            (vec![Junk], vec!["127.0.0.2", "127.0.0.6"]),
            (vec![Crowded, Junk, Junk], vec!["127.0.0.2", "127.0.0.11", "127.0.0.6"]),
            (
                vec![Denied, Generic, ManyFamilies, ClaimsOthers],
                vec!["127.0.0.2", "127.0.0.7", "127.0.0.10", "127.0.0.4"],
            ),
            (vec![Junk, Operator], vec!["127.0.0.2", "127.0.0.99"]),
        ] {
            let answer = say(Kind::Bl, &ClientVerdict { listings: listings.clone(), ..client() });
            assert_eq!(values(&answer), a, "{listings:?}");
            let pair = PairVerdict {
                class: Class::Listed,
                code: None,
                listings: listings.clone(),
                reasons: Vec::new(),
                ..PairVerdict::unknown(Time(NOW.0 + 9))
            };
            let name = Name::parse(b"mail.example.com");
            let unlisted = Exists::NxDomain;
            let caps = Caps::default();
            let answer = Answer::of_pair(ip("192.0.2.7"), &name, &pair, unlisted, NOW, &caps);
            assert_eq!(values(&answer), a, "pair {listings:?}");
        }
    }

    #[test]
    fn trust_keeps_its_shape() {
        for (category, level, a) in [
            (4, 2, Some("127.0.4.2")),
            (9, 3, Some("127.0.9.3")),
            (5, 0, Some("127.0.5.0")),
            (10, 1, None),
            (1, 1, None),
            (0, 0, None),
            (4, 255, None),
            (4, 4, None),
        ] {
            let trust = Some(Trust { category, level });
            let answer = say(Kind::Wl, &ClientVerdict { trust, ..client() });
            let expected: Vec<_> = a.into_iter().collect();
            assert_eq!(values(&answer), expected, "{category}.{level}");
        }
    }

    #[test]
    fn scores_are_one_octet_up_to_a_hundred() {
        for (score, a) in
            [(Some(0), vec!["127.0.4.0"]), (Some(200), vec!["127.0.4.100"]), (None, vec![])]
        {
            assert_eq!(values(&say(Kind::Score, &ClientVerdict { score, ..client() })), a);
        }
    }

    #[test]
    fn names_give_their_codes_in_order() {
        use NameCode::*;
        let name = Name::parse(b"mail.example.com");
        for (codes, a) in [
            (vec![Junk, Bad, Junk], vec!["127.0.1.2", "127.0.1.6"]),
            (vec![Impersonated], vec!["127.0.1.5"]),
            (vec![ManyNetworks], vec!["127.0.1.4"]),
        ] {
            let verdict = NameVerdict {
                rating: Some(Rating::D),
                codes: codes.clone(),
                reasons: Vec::new(),
                ..NameVerdict::unknown(Time(NOW.0 + 5))
            };
            let answer = Answer::of_name(&name, &verdict, Exists::NoData, NOW, &Caps::default());
            assert_eq!(values(&answer), a, "{codes:?}");
            assert_eq!(answer.ttl, 5, "{codes:?}");
        }
        let none = NameVerdict {
            rating: None,
            codes: vec![],
            reasons: vec![],
            ..NameVerdict::unknown(Time(NOW.0 + 5000))
        };
        let answer = Answer::of_name(&name, &none, Exists::NoData, NOW, &Caps::default());
        assert_eq!((answer.exists, answer.ttl), (Exists::NoData, NEGATIVE_TTL));
    }

    #[test]
    fn recommendations_are_text_and_no_list() {
        let name = Name::parse(b"mail.example.com");
        let until = Time(NOW.0 + 5000);
        let reasons = vec![reason("stands on 192.0.2.7")];
        for (rating, begins) in [
            (Some(Rating::A), Some("MARID,1,A;helostat until=")),
            (Some(Rating::E), Some("MARID,1,E;helostat until=")),
            (None, None),
        ] {
            let verdict = NameVerdict {
                rating,
                codes: vec![],
                reasons: reasons.clone(),
                ..NameVerdict::unknown(until)
            };
            let answer =
                Answer::of_recommendation(&name, &verdict, Exists::NxDomain, NOW, &Caps::default());
            assert!(answer.a.is_empty(), "{rating:?}");
            assert_eq!(answer.txt.is_some(), begins.is_some(), "{rating:?}");
            if let (Some(text), Some(begins)) = (&answer.txt, begins) {
                assert!(
                    text.starts_with(begins) && text.ends_with("stands on 192.0.2.7"),
                    "{text}"
                );
            }
        }
        let test =
            Answer::fixed(Kind::Dna, &Key::TestListed([127, 0, 1, 2].into()), &Caps::default());
        let test = test.expect("a test point needs no verdict");
        assert_eq!((test.a.len(), test.txt.as_deref()), (0, Some("MARID,1,E;test point")));
    }

    #[test]
    fn unlisted_single_digits_stand_above_ipv6() {
        for (address, exists) in [
            ("192.0.2.7", Exists::NxDomain),
            ("2.0.0.1", Exists::NoData),
            ("9.9.9.9", Exists::NoData),
            ("10.0.0.1", Exists::NxDomain),
            ("2001:db8::7", Exists::NxDomain),
        ] {
            let caps = Caps::default();
            let answer = Answer::of_client(Kind::Bl, ip(address), &client(), NOW, &caps);
            assert_eq!(answer.exists, exists, "{address}");
            assert_eq!(answer.txt, None, "{address}");
        }
    }

    #[test]
    fn a_ttl_never_outlives_the_verdict() {
        for (until, positive, negative) in
            [(3600, 300, 60), (100, 100, 60), (30, 30, 30), (0, 1, 1), (-50, 1, 1)]
        {
            let until = Time::from_unix(i64::from(NOW.0) + until);
            let bad = ClientVerdict { listings: vec![ListCode::Junk], until, ..client() };
            assert_eq!(say(Kind::Bl, &bad).ttl, positive, "{until}");
            assert_eq!(
                say(Kind::Bl, &ClientVerdict { until, ..client() }).ttl,
                negative,
                "{until}"
            );
        }
    }

    #[test]
    fn texts_read_well() {
        let verdict = ClientVerdict {
            class: Class::Listed,
            score: Some(3),
            listings: vec![ListCode::ManyFamilies],
            reasons: vec![reason("7 families in 24 h, among them <b>\"x\"</b>")],
            ..client()
        };
        let caps = Caps { page: Some("https://rep.example/i/{}".to_owned()), ..Caps::default() };
        let answer = Answer::of_client(Kind::Bl, ip("192.0.2.7"), &verdict, NOW, &caps);
        assert_eq!(
            answer.txt.as_deref(),
            Some(
                "helostat: listed many-families score=3 until=2026-11-20T15:27:35Z 7 families in 24 h, \
                 among them \\x3cb\\x3e\\x22x\\x22\\x3c/b\\x3e; ends when those names are old; stop who else sends from here https://rep.example/i/192.0.2.7"
            ),
        );
    }

    #[test]
    fn every_kind_says_its_numbers() {
        let verdict = ClientVerdict {
            class: Class::Known,
            score: Some(87),
            trust: Some(Trust { category: 4, level: 2 }),
            listings: vec![ListCode::Junk, ListCode::Generic],
            ..client()
        };
        let until = "until=2026-11-20T15:27:35Z";
        for (kind, text) in [
            (
                Kind::Bl,
                format!(
                    "helostat: listed junk,generic score=87 {until}; say a real host name in EHLO"
                ),
            ),
            (
                Kind::Wl,
                format!("trusted category=4 level=2 score=87 class=known confidence=10 {until}"),
            ),
            (Kind::Score, format!("scored score=87 class=known confidence=10 {until}")),
        ] {
            assert_eq!(say(kind, &verdict).txt, Some(text), "{kind:?}");
        }
        let name = Name::parse(b"mail.example.com");
        let caps = Caps { page: Some("https://rep.example/?q={}".to_owned()), ..Caps::default() };
        let bad = NameVerdict {
            rating: Some(Rating::D),
            codes: vec![NameCode::Impersonated, NameCode::Bad],
            reasons: vec![reason("said from 40 networks")],
            ..NameVerdict::unknown(verdict.until)
        };
        let said = Answer::of_name(&name, &bad, Exists::NoData, NOW, &caps).txt;
        let page = "https://rep.example/?q=mail.example.com";
        let text =
            format!("helostat: listed bad,impersonated {until} said from 40 networks {page}");
        assert_eq!(said, Some(text));
        let pair = PairVerdict {
            class: Class::Trusted,
            code: Some(PairCode::Confirmed),
            listings: Vec::new(),
            reasons: Vec::new(),
            ..PairVerdict::unknown(verdict.until)
        };
        let nx = Exists::NxDomain;
        let said = Answer::of_pair(ip("192.0.2.7"), &name, &pair, nx, NOW, &caps).txt;
        assert_eq!(said, Some(format!("confirmed class=trusted {until} {page},192.0.2.7")));
    }

    #[test]
    fn a_page_that_does_not_fit_is_left_out() {
        let verdict = ClientVerdict { listings: vec![ListCode::Junk], ..client() };
        let page = Some(format!("https://rep.example/{}", "a".repeat(TXT_MAX)));
        let caps = Caps { page, ..Caps::default() };
        let answer = Answer::of_client(Kind::Bl, ip("192.0.2.7"), &verdict, NOW, &caps);
        assert_eq!(
            answer.txt.as_deref(),
            Some("helostat: listed junk until=2026-11-20T15:27:35Z; say a real host name in EHLO")
        );
    }

    #[test]
    fn fixed_answers_need_no_verdict() {
        let caps = Caps::default();
        let listed = Answer::fixed(Kind::Bl, &Key::TestListed(Ipv4Addr::new(127, 0, 0, 2)), &caps);
        assert_eq!(listed.map(|answer| values(&answer)), Some(vec!["127.0.0.2".to_owned()]));
        for (key, exists) in [
            (Key::Partial, Some(Exists::NoData)),
            (Key::Impossible, Some(Exists::NxDomain)),
            (Key::TestUnlisted, Some(Exists::NxDomain)),
            (Key::Apex, None),
            (Key::Client(ip("192.0.2.7")), None),
        ] {
            let found = Answer::fixed(Kind::Bl, &key, &caps).map(|answer| answer.exists);
            assert_eq!(found, exists, "{key:?}");
        }
    }

    proptest! {
        #[test]
        fn texts_are_short_plain_and_cut_between_escapes(
            said in any::<String>(),
            more in proptest::collection::vec(any::<char>(), 0..300),
            page in proptest::option::of("https://[a-z]{1,100}/\\{\\}"),
        ) {
            let said = said + &more.into_iter().collect::<String>();
            let verdict = ClientVerdict {
                listings: vec![ListCode::Junk],
                reasons: vec![reason(&said)],
                ..client()
            };
            let caps = Caps { page, ..Caps::default() };
            let answer = Answer::of_client(Kind::Bl, ip("2001:db8::7"), &verdict, NOW, &caps);
            let text = answer.txt.unwrap_or_default();
            prop_assert!(text.starts_with("helostat: listed junk until="));
            prop_assert!(text.len() <= TXT_MAX, "{} octets", text.len());
            prop_assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)
                && !b"\"$`<>{}".contains(&byte)), "{}", text);
            // What is not cut is whole.
            let whole = escape(&said);
            prop_assert!(text.contains("...") || text.contains(&whole));
        }
    }
}

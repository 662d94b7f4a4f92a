//! A line of a dump, read back: the forms that `dump` writes, and nothing else.
//!
//! In: the octets of a line. Out: a [`Line`] whose parts are values of the ledger, checked against each
//! other; or the column (in octets, from 1) and what is wrong there. Fields may come in any order; a field
//! that is unknown, missing, told twice or of another form of line is an error.
//!
//! Nothing is copied that need not be: a line costs some microseconds, whatever its form.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::client::Client;
use crate::ledger::activity::{Activity, DAYS_KEPT, Days};
use crate::ledger::batch::CrowdTold;
use crate::ledger::calendar::Calendar;
use crate::ledger::distinct::Distinct;
use crate::ledger::facts::ClientFacts;
use crate::ledger::row::Trace;
use crate::name::{Name, NameKind};
use crate::observation::{Outcome, ReporterKind};
use crate::time::{DAY_SECONDS, Day, Time};

/// What a line says.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// What a reporter saw of a pair.
    Pair {
        client: Client,
        name: Name,
        reporter: Cow<'a, str>,
        kind: ReporterKind,
        activity: Activity,
    },
    /// What is known of a client beside its pairs.
    Client { client: Client, facts: ClientFacts, trace: Option<Trace> },
    /// A name or family that more clients said than are held.
    Crowd(CrowdTold),
    /// All that a reporter saw.
    Reporter { reporter: Cow<'a, str>, kind: ReporterKind, activity: Activity },
    /// Days on which something was learned.
    Days(Calendar),
    /// How far a source was read.
    Position { source: Cow<'a, str>, reached: Vec<u8> },
}

/// What is wrong with a line, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) column: usize,
    pub(super) why: String,
}

impl<'a> Line<'a> {
    /// Reads a line.
    pub(super) fn read(octets: &'a [u8]) -> Result<Self, Wrong> {
        let octets = octets.trim_ascii_end();
        if octets.trim_ascii_start().first() != Some(&b'{') {
            let why = "a line of a dump is an object in braces".to_owned();
            return Err(Wrong { column: 1, why });
        }
        let fields = serde_json::from_slice(octets).map_err(|error: serde_json::Error| {
            let why = error.to_string();
            // The place is told apart.
            let why = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why);
            Wrong { column: error.column().max(1), why: why.to_owned() }
        })?;
        let mut reading = Reading { octets, fields };
        let line = reading.line()?;
        match reading.fields.left() {
            None => Ok(line),
            Some(field) => {
                Err(reading.wrong(field, format!("`{field}` does not belong to this form of line")))
            }
        }
    }
}

/// Every field that any line has.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    client: Option<Parsed<Client>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    reporter: Option<Text<'a>>,
    reporter_kind: Option<Parsed<ReporterKind>>,
    first: Option<Parsed<Time>>,
    last: Option<Parsed<Time>>,
    first_accepted: Option<Parsed<Time>>,
    days: Option<Listed<Days>>,
    accepted_days: Option<Listed<Days>>,
    outcomes: Option<Counts>,
    by_us: Option<u32>,
    last_ip: Option<Parsed<IpAddr>>,
    last_ip_time: Option<Parsed<Time>>,
    #[serde(borrow)]
    rdns: Option<Text<'a>>,
    rdns_time: Option<Parsed<Time>>,
    trace: Option<TraceFields>,
    crowd: Option<Parsed<CrowdKind>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    clients: Option<Listed<Distinct>>,
    networks: Option<Listed<Distinct>>,
    learned: Option<Listed<Calendar>>,
    #[serde(borrow)]
    position: Option<Text<'a>>,
    reached: Option<Parsed<Octets>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a trace, which is an object")]
struct TraceFields {
    families: Listed<Distinct>,
    names: Listed<Distinct>,
}

impl Fields<'_> {
    /// A field that nobody took.
    fn left(&self) -> Option<&'static str> {
        let Self {
            client,
            name,
            kind,
            reporter,
            reporter_kind,
            first,
            last,
            first_accepted,
            days,
            accepted_days,
            outcomes,
            by_us,
            last_ip,
            last_ip_time,
            rdns,
            rdns_time,
            trace,
            crowd,
            text,
            clients,
            networks,
            learned,
            position,
            reached,
        } = self;
        let fields = [
            ("client", client.is_some()),
            ("name", name.is_some()),
            ("kind", kind.is_some()),
            ("reporter", reporter.is_some()),
            ("reporter_kind", reporter_kind.is_some()),
            ("first", first.is_some()),
            ("last", last.is_some()),
            ("first_accepted", first_accepted.is_some()),
            ("days", days.is_some()),
            ("accepted_days", accepted_days.is_some()),
            ("outcomes", outcomes.is_some()),
            ("by_us", by_us.is_some()),
            ("last_ip", last_ip.is_some()),
            ("last_ip_time", last_ip_time.is_some()),
            ("rdns", rdns.is_some()),
            ("rdns_time", rdns_time.is_some()),
            ("trace", trace.is_some()),
            ("crowd", crowd.is_some()),
            ("text", text.is_some()),
            ("clients", clients.is_some()),
            ("networks", networks.is_some()),
            ("learned", learned.is_some()),
            ("position", position.is_some()),
            ("reached", reached.is_some()),
        ];
        fields.into_iter().find_map(|(field, is_left)| is_left.then_some(field))
    }
}

/// A line being read: fields are taken out of it.
struct Reading<'a> {
    octets: &'a [u8],
    fields: Fields<'a>,
}

impl<'a> Reading<'a> {
    fn line(&mut self) -> Result<Line<'a>, Wrong> {
        if let Some(Parsed(client)) = self.fields.client.take() {
            return match self.fields.name.take() {
                Some(name) => self.pair(client, name),
                None => self.client(client),
            };
        }
        if let Some(Parsed(what)) = self.fields.crowd.take() {
            return self.crowd(what);
        }
        if let Some(Text(reporter)) = self.fields.reporter.take() {
            let kind = self.fields.kind.take();
            let Text(kind) = self.needed("kind", kind)?;
            let kind = ReporterKind::read(&kind).map_err(|why| self.wrong("kind", why))?;
            return Ok(Line::Reporter { reporter, kind, activity: self.activity()? });
        }
        if let Some(Listed(days)) = self.fields.learned.take() {
            return Ok(Line::Days(days));
        }
        if let Some(Text(source)) = self.fields.position.take() {
            let reached = self.fields.reached.take();
            let Parsed(Octets(reached)) = self.needed("reached", reached)?;
            return Ok(Line::Position { source, reached });
        }
        let why =
            "this is no line of a dump: it has none of client, crowd, reporter, learned, position";
        Err(Wrong { column: 1, why: why.to_owned() })
    }

    fn pair(&mut self, client: Client, Text(text): Text<'a>) -> Result<Line<'a>, Wrong> {
        let name = Name::parse(text.as_bytes());
        let kind = self.fields.kind.take();
        let Text(kind) = self.needed("kind", kind)?;
        if kind != name.kind().word() {
            let known = NameKind::ALL.iter().any(|one| one.word() == kind);
            let (kind, text) = (kind.escape_debug(), text.escape_debug());
            let why = if known {
                format!("'{text}' is of the kind {}, not {kind}", name.kind().word())
            } else {
                format!("'{kind}' is no kind of name")
            };
            return Err(self.wrong("kind", why));
        }
        let reporter = self.fields.reporter.take();
        let Text(reporter) = self.needed("reporter", reporter)?;
        let kind = self.fields.reporter_kind.take();
        let Parsed(kind) = self.needed("reporter_kind", kind)?;
        Ok(Line::Pair { client, name, reporter, kind, activity: self.activity()? })
    }

    fn client(&mut self, client: Client) -> Result<Line<'a>, Wrong> {
        let mut facts = ClientFacts::default();
        let (ip, time) = (self.fields.last_ip.take(), self.fields.last_ip_time.take());
        if ip.is_some() || time.is_some() {
            let Parsed(ip) = self.needed("last_ip", ip)?;
            let Parsed(time) = self.needed("last_ip_time", time)?;
            if ip.is_ipv4() || Client::of(ip) != client {
                return Err(
                    self.wrong("last_ip", format!("{ip} is no address in an IPv6 client {client}"))
                );
            }
            facts.last_ip = Some((time, ip));
        }
        let (rdns, time) = (self.fields.rdns.take(), self.fields.rdns_time.take());
        if rdns.is_some() || time.is_some() {
            let Text(rdns) = self.needed("rdns", rdns)?;
            let Parsed(time) = self.needed("rdns_time", time)?;
            facts.rdns = Some((time, rdns.into()));
        }
        let trace = self.fields.trace.take();
        let trace =
            trace.map(|TraceFields { families: Listed(families), names: Listed(names) }| Trace {
                families,
                names,
            });
        if facts.is_empty() && trace.is_none() {
            let why = "it says nothing of the client: no name, last_ip, rdns or trace";
            return Err(self.wrong("client", why));
        }
        Ok(Line::Client { client, facts, trace })
    }

    fn crowd(&mut self, what: CrowdKind) -> Result<Line<'a>, Wrong> {
        let text = self.fields.text.take();
        let Text(text) = self.needed("text", text)?;
        let name = Name::parse(text.as_bytes());
        if name.text() != text {
            let why = format!("'{}' is not how a name is written here", text.escape_debug());
            return Err(self.wrong("text", why));
        }
        let what = match what {
            CrowdKind::Name => 0,
            CrowdKind::Family if name.is_fqdn() => 1,
            CrowdKind::Family => {
                let why = format!("'{}' is no domain, so it is no family", text.escape_debug());
                return Err(self.wrong("text", why));
            }
        };
        let (clients, networks) = (self.fields.clients.take(), self.fields.networks.take());
        let Listed(clients) = self.needed("clients", clients)?;
        let Listed(networks) = self.needed("networks", networks)?;
        Ok(Line::Crowd(CrowdTold { what, text: text.into(), clients, networks }))
    }

    fn activity(&mut self) -> Result<Activity, Wrong> {
        let fields = &mut self.fields;
        let (first, last) = (fields.first.take(), fields.last.take());
        let (days, accepted_days) = (fields.days.take(), fields.accepted_days.take());
        let first_accepted = fields.first_accepted.take().map(|Parsed(time)| time);
        let by_us = fields.by_us.take().unwrap_or(0);
        let outcomes = fields.outcomes.take();
        let Parsed(first) = self.needed("first", first)?;
        let Parsed(last) = self.needed("last", last)?;
        let Listed(days) = self.needed("days", days)?;
        let Listed(accepted_days) = self.needed("accepted_days", accepted_days)?;
        let Counts(counts) = self.needed("outcomes", outcomes)?;
        if first > last {
            return Err(self.wrong("first", format!("first {first} is later than last {last}")));
        }
        if let Some(time) = first_accepted.filter(|time| !(first..=last).contains(time)) {
            let why = format!("first_accepted {time} is not from first {first} to last {last}");
            return Err(self.wrong("first_accepted", why));
        }
        for (field, days) in [("days", days), ("accepted_days", accepted_days)] {
            let within = |day: Day| (first.day()..=last.day()).contains(&day);
            if !days.iter().all(within) {
                let why = format!("a day of {field} is not from first {first} to last {last}");
                return Err(self.wrong(field, why));
            }
        }
        Ok(Activity { first, last, first_accepted, days, accepted_days, counts, by_us })
    }

    fn needed<T>(&self, field: &'static str, value: Option<T>) -> Result<T, Wrong> {
        value.ok_or_else(|| Wrong { column: 1, why: format!("`{field}` is missing") })
    }

    /// An error at a field.
    fn wrong(&self, field: &str, why: impl Into<String>) -> Wrong {
        // In a text the quotation marks would stand behind backslashes.
        let key = format!("\"{field}\"");
        let at = self.octets.windows(key.len()).position(|octets| octets == key.as_bytes());
        Wrong { column: at.map_or(1, |at| at + 1), why: why.into() }
    }
}

/// A text that lies in the line, unless it had to be unescaped.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Texts)
    }
}

/// A value that is written as a text.
struct Parsed<T>(T);

/// Reads a value from its text, or says what is wrong with that.
trait ReadText: Sized {
    fn read(text: &str) -> Result<Self, String>;
}

impl<'de, T: ReadText> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Texts<T>(PhantomData<T>);
        impl<T: ReadText> Visitor<'_> for Texts<T> {
            type Value = Parsed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::read(text).map(Parsed).map_err(E::custom)
            }
        }
        from.deserialize_str(Texts(PhantomData))
    }
}

impl ReadText for Client {
    fn read(text: &str) -> Result<Self, String> {
        let no_client = || format!("'{}' is no IPv4 address and no IPv6 /64", text.escape_debug());
        Self::parse(text).ok_or_else(no_client)
    }
}

impl ReadText for IpAddr {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("'{}' is no address", text.escape_debug()))
    }
}

impl ReadText for ReporterKind {
    fn read(text: &str) -> Result<Self, String> {
        Self::of_word(text).ok_or_else(|| {
            format!(
                "'{}' is no reporter kind: mx, trap, submission or unfiltered",
                text.escape_debug()
            )
        })
    }
}

/// What a crowd said.
enum CrowdKind {
    Name,
    Family,
}

impl ReadText for CrowdKind {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "name" => Ok(Self::Name),
            "family" => Ok(Self::Family),
            _ => Err(format!("'{}' is no crowd: name or family", text.escape_debug())),
        }
    }
}

impl ReadText for Time {
    fn read(text: &str) -> Result<Self, String> {
        // As the dump writes it; anything else RFC 3339 has takes longer.
        let plain = text.split_once('T').and_then(|(date, time)| {
            let day = u32::from(Day::read(date).ok()?.0);
            let &[h1, h2, b':', m1, m2, b':', s1, s2, b'Z'] = time.as_bytes() else { return None };
            let hour = number(&[h1, h2]).filter(|hour| *hour < 24)?;
            let minute = number(&[m1, m2]).filter(|minute| *minute < 60)?;
            let second = number(&[s1, s2]).filter(|second| *second < 60)?;
            let of_day = (hour * 60 + minute) * 60 + second;
            day.checked_mul(DAY_SECONDS)?.checked_add(of_day).map(Self)
        });
        let no_time = || {
            format!(
                "'{}' is no time from 1970 to 2106 as 2026-11-20T14:27:35Z",
                text.escape_debug()
            )
        };
        plain.or_else(|| Self::parse(text)).ok_or_else(no_time)
    }
}

impl ReadText for Day {
    fn read(text: &str) -> Result<Self, String> {
        let day = || {
            let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else {
                return None;
            };
            let year = i16::try_from(number(&[y1, y2, y3, y4])?).ok()?;
            let month = i8::try_from(number(&[m1, m2])?).ok()?;
            let day = i8::try_from(number(&[d1, d2])?).ok()?;
            let date = jiff::civil::Date::new(year, month, day).ok()?;
            let since = date.duration_since(jiff::civil::date(1970, 1, 1));
            u16::try_from(since.as_hours() / 24).ok().map(Self)
        };
        day().ok_or_else(|| format!("'{}' is no day as 2026-11-20", text.escape_debug()))
    }
}

/// A number in decimal digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    })
}

/// A list of texts that together are a value.
trait ReadTexts: Sized {
    /// What one text is.
    type Item: ReadText;
    /// What the list is called.
    const WHAT: &'static str;
    /// Makes the value.
    fn of(items: Vec<Self::Item>) -> Option<Self>;
}

/// A value that is written as a list of texts.
struct Listed<T>(T);

impl<'de, T: ReadTexts> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Lists<T>(PhantomData<T>);
        impl<'de, T: ReadTexts> Visitor<'de> for Lists<T> {
            type Value = Listed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::WHAT)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Listed<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(Parsed(item)) = list.next_element()? {
                    items.push(item);
                }
                let no_such = || A::Error::custom(format_args!("this is not {}", T::WHAT));
                T::of(items).map(Listed).ok_or_else(no_such)
            }
        }
        from.deserialize_seq(Lists(PhantomData))
    }
}

impl ReadTexts for Days {
    type Item = Day;
    const WHAT: &'static str = "a list of days, the newest first, none more than 63 days before it";

    fn of(days: Vec<Day>) -> Option<Self> {
        let Some(newest) = days.first().copied() else { return Some(Self::default()) };
        let oldest = days.last().copied().unwrap_or(newest);
        let kept = days.is_sorted_by(|a, b| a > b) && newest.since(oldest) < DAYS_KEPT;
        let bits = || days.iter().map(|day| 1 << newest.since(*day)).sum();
        kept.then(|| Self { newest, bits: bits() })
    }
}

/// An element of a sketch, 16 hexadecimal digits.
struct Element(u64);

impl ReadText for Element {
    fn read(text: &str) -> Result<Self, String> {
        let digits = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let element = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        element
            .map(Self)
            .ok_or_else(|| format!("'{}' is not 16 hexadecimal digits", text.escape_debug()))
    }
}

impl ReadTexts for Distinct {
    type Item = Element;
    const WHAT: &'static str = "a sketch as a dump has it";

    fn of(elements: Vec<Element>) -> Option<Self> {
        Self::from_elements(elements.into_iter().map(|Element(element)| element).collect())
    }
}

/// Days that follow each other: the first and the last.
struct Run(Day, Day);

impl ReadText for Run {
    fn read(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('/').unwrap_or((text, text));
        Ok(Self(Day::read(first)?, Day::read(last)?))
    }
}

impl ReadTexts for Calendar {
    type Item = Run;
    const WHAT: &'static str =
        "a list of runs of days, the oldest first, with a day between any two";

    fn of(runs: Vec<Run>) -> Option<Self> {
        Self::from_runs(runs.into_iter().map(|Run(first, last)| (first, last)).collect())
    }
}

/// Octets in hexadecimal.
struct Octets(Vec<u8>);

impl ReadText for Octets {
    fn read(text: &str) -> Result<Self, String> {
        let digit = |octet: u8| char::from(octet).to_digit(16).map(|digit| digit as u8);
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let octets = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        let octets = octets.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty());
        octets
            .map(Self)
            .ok_or_else(|| "this is not hexadecimal digits, two for each octet".to_owned())
    }
}

/// Counts by outcome, in the order of `Outcome::ALL`.
struct Counts([i32; 7]);

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Maps;
        impl<'de> Visitor<'de> for Maps {
            type Value = Counts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("counts by outcome, which is an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Counts, A::Error> {
                let mut counts = [None; 7];
                while let Some(Parsed(outcome)) = map.next_key::<Parsed<Outcome>>()? {
                    let count: i32 = map.next_value()?;
                    if let Some(place) = counts.get_mut(outcome.index())
                        && place.replace(count).is_some()
                    {
                        return Err(A::Error::custom(format_args!("{outcome} is counted twice")));
                    }
                }
                Ok(Counts(counts.map(Option::unwrap_or_default)))
            }
        }
        from.deserialize_map(Maps)
    }
}

impl ReadText for Outcome {
    fn read(text: &str) -> Result<Self, String> {
        let outcome = Self::ALL.into_iter().find(|outcome| outcome.word() == text);
        outcome.ok_or_else(|| format!("'{}' is no outcome", text.escape_debug()))
    }
}

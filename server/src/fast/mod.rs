//! The short way: from the octets of a plain question to the octets of its answer.
//!
//! In goes a plain [`Question`] with the buffer in which it came, and who sent it; out comes the length of the answer that
//! stands there now, or `None` for whatever goes the long way, with the packet untouched. A question is answered here if its
//! sender may ask it, and if it is for A or TXT of a name of two labels or more,
//!
//! - in a zone of lists, or
//! - in a zone of addresses, unless the client has to be looked up: what is said of it is published ([`Judge::standing`],
//!   [`Texts`]), or it is judged here and now ([`Judge::resident`]).
//!
//! The octets are those of [`crate::handler`] for the same question (a law in `tests.rs`); there is no waiting, and unless somebody has to be
//! judged no lock that a writer holds, and for A records and texts of clients no allocation once [`Scratch`] has grown.
//!
//! Why: a hickory request costs more than everything else together (`docs/benchmarks.md`).

mod question;
mod response;
mod texts;

use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use helostat_zones::answer::{A_MAX, Answer, Caps, Codes, Exists};
use helostat_zones::key::{Key, Kind};
use helostat_zones::lists::{ListAnswer, Wanted};
use helostat_zones::time::Time;
use ipnet::IpNet;

use self::response::{Nothing, Said};
use crate::access::Access;
use crate::catalog::LIST;
use crate::cookie::Cookies;
use crate::judge::Judge;
use crate::list::List;
use crate::wire::Options;

pub(crate) use self::question::Question;
pub(crate) use self::response::{Soa, cut};
pub(crate) use self::texts::Texts;

const TYPE_A: u16 = 1;
const TYPE_TXT: u16 = 16;
/// More labels than any key of ours has; who asks for more goes the long way.
const KEY_LABELS: usize = 48;

/// The zones, as the short way needs them.
#[derive(Debug)]
pub(crate) struct Zones {
    /// Most labels first.
    zones: Vec<(Apex, Role)>,
}

/// The apex of a zone.
#[derive(Debug)]
struct Apex {
    /// On the wire, in lower case, with the root.
    octets: Box<[u8]>,
    labels: usize,
}

/// Who may ask: empty for whoever may ask at all.
type Allow = Vec<IpNet>;

/// Who answers in a zone.
#[derive(Debug)]
pub(crate) enum Role {
    /// A list.
    List(Arc<List>, Allow),
    /// A zone of addresses.
    Clients(Clients, Allow),
    /// The long way.
    Long,
}

/// A zone of addresses.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) kind: Kind,
    pub(crate) caps: Caps,
    pub(crate) soa: Soa,
    /// The longest time for which a negative answer holds.
    pub(crate) negative_ttl: u32,
    /// Its number in the texts.
    pub(crate) number: usize,
    pub(crate) texts: Arc<Texts>,
}

impl Zones {
    /// From apexes on the wire, and their roles; most labels first.
    pub(crate) fn new(zones: impl Iterator<Item = (Box<[u8]>, usize, Role)>) -> Self {
        let zone = |(octets, labels, role)| (Apex { octets, labels }, role);
        Self { zones: zones.map(zone).collect() }
    }

    /// The nearest enclosing zone.
    fn find(&self, question: &Question) -> Option<(&Apex, &Role)> {
        let name = question.name();
        let encloses = |apex: &Apex| {
            let Some(left) = question.labels().checked_sub(apex.labels) else { return false };
            name.get(question.start(left)..).is_some_and(|end| *end == *apex.octets)
        };
        self.zones.iter().find(|(apex, _)| encloses(apex)).map(|(apex, role)| (apex, role))
    }
}

/// What an answer is made in; kept for the next one.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    answer: ListAnswer,
}

/// What was answered in a batch, for the counters: in each zone of [`ZONES`], for A and for TXT, with data, without, and no
/// such name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally(pub(crate) [[[u32; 3]; 2]; ZONES.len()]);

/// The zones that are told apart in counters, by their words.
pub(crate) const ZONES: [&str; 5] = [LIST, "bl", "wl", "score", "bits"];

impl Tally {
    fn count(&mut self, zone: usize, row: usize, said: Said<'_>) {
        let column = match said {
            Said::A(..) | Said::Txt(..) => 0,
            Said::Nothing(Nothing::NoData, ..) => 1,
            Said::Nothing(Nothing::NxDomain, ..) => 2,
        };
        let types = self.0.get_mut(zone).and_then(|zone| zone.get_mut(row));
        if let Some(count) = types.and_then(|row| row.get_mut(column)) {
            *count += 1;
        }
    }
}

/// Answers plain questions.
pub(crate) struct Fast<'a, J> {
    pub(crate) judge: &'a J,
    pub(crate) zones: &'a Zones,
    pub(crate) access: &'a Access,
    pub(crate) cookies: &'a Cookies,
    pub(crate) nsid: &'a [u8],
    pub(crate) now: Time,
}

/// A question on its way, with who asks it and where its answer goes.
struct Asked<'a> {
    buffer: &'a mut [u8],
    question: &'a Question,
    source: IpAddr,
    /// Of its type, in the tally.
    row: usize,
    tally: &'a mut Tally,
}

impl<J: Judge> Fast<'_, J> {
    /// Is it certain that the question came from its address, or from somebody we trust?
    pub(crate) fn knows(&self, question: Option<&Question>, source: IpAddr) -> bool {
        let cookie = question.and_then(|question| question.edns?.cookie);
        let ours = |offered| self.cookies.is_ours(offered, source.to_canonical(), self.now);
        cookie.is_some_and(ours)
            || self.access.asker(source, &[]).is_some_and(|asker| asker.trusted)
    }

    /// Answers the question that lies in `buffer`; the answer's length.
    pub(crate) fn answer(
        &self,
        buffer: &mut [u8],
        question: &Question,
        source: IpAddr,
        scratch: &mut Scratch,
        tally: &mut Tally,
    ) -> Option<usize> {
        let row = match question.rtype {
            TYPE_A => 0,
            TYPE_TXT => 1,
            _ => return None,
        };
        let (apex, role) = self.zones.find(question)?;
        let (Role::List(_, allow) | Role::Clients(_, allow)) = role else { return None };
        let left = question.labels() - apex.labels;
        // A single label may be a name by which the zone tells of itself.
        if !(2..=KEY_LABELS).contains(&left) || self.access.asker(source, allow).is_none() {
            return None;
        }
        let mut labels: [&[u8]; KEY_LABELS] = [&[]; KEY_LABELS];
        for (place, label) in labels.iter_mut().zip(0..left) {
            *place = question.name().get(question.start(label) + 1..question.start(label + 1))?;
        }
        let labels = labels.get(..left)?;
        let asked = Asked { buffer, question, source, row, tally };
        match role {
            Role::List(list, _) => self.in_list(asked, list, labels, scratch),
            Role::Clients(clients, _) => self.of_client(asked, clients, labels),
            Role::Long => None,
        }
    }

    fn in_list(
        &self,
        asked: Asked<'_>,
        list: &List,
        labels: &[&[u8]],
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let held = list.held();
        let zone = held.zone(self.now)?;
        let wanted = if asked.row == 0 { Wanted::A } else { Wanted::Txt };
        let ListAnswer { exists, a, txt, .. } = {
            zone.ask(labels, wanted, &mut scratch.answer);
            &scratch.answer
        };
        let said = match (exists, txt.values.as_slice()) {
            _ if !a.values.is_empty() => Said::A(&a.values, a.ttl),
            (_, [text]) => Said::Txt(text, txt.ttl),
            // Several texts are rare.
            (_, [_, _, ..]) => return None,
            (exists, _) => {
                Said::Nothing(Nothing::of(*exists), held.soa(), None, held.negative_ttl())
            }
        };
        self.say(asked, 0, said)
    }

    fn of_client(&self, asked: Asked<'_>, clients: &Clients, labels: &[&[u8]]) -> Option<usize> {
        let Clients { kind, caps, soa, negative_ttl, number, texts } = clients;
        let zone = ZONES.iter().position(|word| *word == kind.label())?;
        let (exists, ttl) = match Key::read(*kind, labels) {
            Key::Client(ip @ IpAddr::V4(v4)) => {
                let unlisted = Exists::unlisted(ip);
                let Some(said) = self.judge.standing(v4, self.now) else {
                    return self.judge_now(asked, zone, clients, v4);
                };
                let mut values = [Ipv4Addr::UNSPECIFIED; A_MAX];
                let mut count = 0;
                for (place, value) in values.iter_mut().zip(said.0.values(*kind)) {
                    *place = value;
                    count += 1;
                }
                let (exists, ttl) = caps.holds(count > 0, unlisted, said.1, self.now);
                if count > 0 && asked.row == 0 {
                    return self.say(asked, zone, Said::A(values.get(..count)?, ttl));
                }
                if count > 0 {
                    let Some(text) = texts.find(*number, v4, said) else {
                        return self.judge_now(asked, zone, clients, v4);
                    };
                    return self.say(asked, zone, Said::Txt(text.octets(), ttl));
                }
                (exists, ttl)
            }
            Key::Partial => (Exists::NoData, caps.negative_ttl.max(1)),
            Key::Impossible | Key::TestUnlisted => (Exists::NxDomain, caps.negative_ttl.max(1)),
            _ => return None,
        };
        let (serial, ttl) = (Some(self.judge.serial()), ttl.min(*negative_ttl));
        self.say(asked, zone, Said::Nothing(Nothing::of(exists), soa, serial, ttl))
    }

    /// Judges first; in vain if somebody has to be asked.
    fn judge_now(
        &self,
        asked: Asked<'_>,
        zone: usize,
        clients: &Clients,
        ip: Ipv4Addr,
    ) -> Option<usize> {
        let Clients { kind, caps, soa, negative_ttl, number, texts } = clients;
        let in_words = asked.row != 0;
        // A panic of the judge must not cost the thread of a socket: the long way says SERVFAIL.
        let judge = || self.judge.resident(ip, in_words);
        let verdict = catch_unwind(AssertUnwindSafe(judge)).ok().flatten()?;
        let said = (Codes::of(&verdict), verdict.until);
        let answer = Answer::of_client(*kind, ip.into(), &verdict, self.now, caps);
        match answer.txt.filter(|_| in_words) {
            _ if answer.a.is_empty() => {
                let (serial, ttl) = (Some(self.judge.serial()), answer.ttl.min(*negative_ttl));
                let nothing = Said::Nothing(Nothing::of(answer.exists), soa, serial, ttl);
                self.say(asked, zone, nothing)
            }
            Some(text) => {
                texts.put(*number, ip, said, &text);
                self.say(asked, zone, Said::Txt(text.as_bytes(), answer.ttl))
            }
            None => self.say(asked, zone, Said::A(&answer.a, answer.ttl)),
        }
    }

    /// Writes the answer over the question, and counts it.
    fn say(&self, asked: Asked<'_>, zone: usize, said: Said<'_>) -> Option<usize> {
        let Asked { buffer, question, source, row, tally } = asked;
        let options = question.edns.map(|edns| Options {
            nsid: Some(self.nsid).filter(|nsid| edns.nsid && !nsid.is_empty()),
            cookie: edns
                .cookie
                .map(|offered| self.cookies.answer(offered, source.to_canonical(), self.now)),
            error: None,
        });
        let length = response::write(buffer, question, said, options.unwrap_or_default())?;
        tally.count(zone, row, said);
        Some(length)
    }
}

#[cfg(test)]
mod tests;

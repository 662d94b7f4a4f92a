//! The short way: from the octets of a plain question to the octets of its answer.
//!
//! In goes a plain [`Question`] with the buffer in which it came, and who sent it; out comes the length of the answer that
//! stands there now, or `None` for whatever goes the long way, with the packet untouched. A question is answered here if it
//! asks a zone of lists for A or TXT of a name of two labels or more, and may be asked by its sender. The octets are those of
//! [`crate::handler`] for the same question (a law in `tests.rs`); there is no waiting, no lock that a writer holds,
//! and for A records no allocation once [`Scratch`] has grown.
//!
//! Why: a hickory request costs more than everything else together (`docs/benchmarks.md`).

mod question;
mod response;

use std::net::IpAddr;
use std::sync::Arc;

use helostat_zones::answer::Exists;
use helostat_zones::lists::{ListAnswer, Wanted};
use helostat_zones::time::Time;
use ipnet::IpNet;

use self::response::{Nothing, Said};
use crate::access::Access;
use crate::cookie::Cookies;
use crate::list::List;
use crate::wire::Options;

pub(crate) use self::question::Question;
pub(crate) use self::response::{Soa, cut};

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

/// Who answers in a zone.
#[derive(Debug)]
pub(crate) enum Role {
    /// A list, and who may ask it: empty for whoever may ask at all.
    List(Arc<List>, Vec<IpNet>),
    /// The long way.
    Long,
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

/// What was answered in a batch, for the counters: for A and for TXT, with data, without, and no such name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally(pub(crate) [[u32; 3]; 2]);

/// Answers plain questions.
pub(crate) struct Fast<'a> {
    pub(crate) zones: &'a Zones,
    pub(crate) access: &'a Access,
    pub(crate) cookies: &'a Cookies,
    pub(crate) nsid: &'a [u8],
    pub(crate) now: Time,
}

impl Fast<'_> {
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
        let (wanted, row) = match question.rtype {
            TYPE_A => (Wanted::A, 0),
            TYPE_TXT => (Wanted::Txt, 1),
            _ => return None,
        };
        let (apex, Role::List(list, allow)) = self.zones.find(question)? else { return None };
        let left = question.labels() - apex.labels;
        // A single label may be a name by which the zone tells of itself.
        if !(2..=KEY_LABELS).contains(&left) || self.access.asker(source, allow).is_none() {
            return None;
        }
        let held = list.held();
        let zone = held.zone(self.now)?;
        let mut labels: [&[u8]; KEY_LABELS] = [&[]; KEY_LABELS];
        for (place, label) in labels.iter_mut().zip(0..left) {
            *place = question.name().get(question.start(label) + 1..question.start(label + 1))?;
        }
        let ListAnswer { exists, a, txt, .. } = {
            zone.ask(labels.get(..left)?, wanted, &mut scratch.answer);
            &scratch.answer
        };
        let (said, column) = match (exists, txt.values.as_slice()) {
            _ if !a.values.is_empty() => (Said::A(&a.values, a.ttl), 0),
            (_, [text]) => (Said::Txt(text, txt.ttl), 0),
            // Several texts are rare.
            (_, [_, _, ..]) => return None,
            (Exists::NxDomain, _) => {
                (Said::Nothing(Nothing::NxDomain, held.soa(), held.negative_ttl()), 2)
            }
            _ => (Said::Nothing(Nothing::NoData, held.soa(), held.negative_ttl()), 1),
        };
        let options = question.edns.map(|edns| Options {
            nsid: Some(self.nsid).filter(|nsid| edns.nsid && !nsid.is_empty()),
            cookie: edns
                .cookie
                .map(|offered| self.cookies.answer(offered, source.to_canonical(), self.now)),
            error: None,
        });
        let length = response::write(buffer, question, said, options.unwrap_or_default())?;
        if let Some(count) = tally.0.get_mut(row).and_then(|row| row.get_mut(column)) {
            *count += 1;
        }
        Some(length)
    }
}

#[cfg(test)]
mod tests;

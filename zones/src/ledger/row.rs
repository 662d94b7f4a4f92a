//! A client's row as it lies in memory and in a shard: read in place, rewritten whole.
//!
//! A row is some tens of octets (`codec` has the layout); reading one decodes what is looked at and
//! allocates nothing. A rewrite merges what a batch brings, keeps the pairs of most worth if they are too many,
//! and notes of those that go their hashes in the row's trace, so that how many names and families
//! a client said stays known.
//!
//! Octets in memory were validated when they came in; what cannot be read all the same ends the row early
//! instead of failing.

use crate::client::Client;
use crate::ledger::activity::{Activity, ReporterId};
use crate::ledger::bounds::{Bounds, Worth, Worthiness};
use crate::ledger::codec::{DecodeError, Reader, Writer};
use crate::ledger::distinct::Distinct;
use crate::ledger::facts::ClientFacts;
use crate::ledger::hash::hash_text;
use crate::name::{Name, NameKind, NameRef};
use crate::observation::ReporterKind;
use crate::time::Time;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

const KIND: u8 = 7;
const BY_FIRST: u8 = 8;
const BY_SEVERAL: u8 = 16;

const LAST_IP: u8 = 1;
const LAST_IP_NEWEST: u8 = 2;
const RDNS: u8 = 4;
const RDNS_NEWEST: u8 = 8;
const RDNS_OF_PAIR: u8 = 16;
const TRACE: u8 = 32;

/// What the ledger holds of one client.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a> {
    client: Client,
    pairs: usize,
    body: &'a [u8],
}

/// What the ledger holds of one pair.
#[derive(Clone, Copy, Debug)]
pub struct PairView<'a> {
    /// The name.
    pub name: NameRef<'a>,
    last: Time,
    reporters: usize,
    by_first: bool,
    seen: &'a [u8],
    /// The pair's octets.
    raw: &'a [u8],
}

/// What is left of pairs for which there was no room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Their families.
    pub families: Distinct,
    /// Their names.
    pub names: Distinct,
}

impl<'a> RowView<'a> {
    /// Reads the row of a client at the beginning of these octets; also how long it is.
    pub(super) fn read(client: Client, octets: &'a [u8]) -> Option<(Self, usize)> {
        let mut reader = Reader::bare(octets);
        let body = reader.bytes().ok()?;
        let length = octets.len() - reader.rest().len();
        let mut reader = Reader::bare(body);
        let pairs = reader.count().ok()?;
        Some((Self { client, pairs, body: reader.rest() }, length))
    }

    /// Whose row it is.
    pub fn client(&self) -> Client {
        self.client
    }

    /// How many pairs it has.
    pub fn pair_count(&self) -> usize {
        self.pairs
    }

    /// Its pairs, in the order of their names.
    pub fn pairs(&self) -> Pairs<'a> {
        Pairs { reader: Reader::bare(self.body), left: self.pairs }
    }

    /// The pair with this name.
    pub fn pair(&self, name: &Name) -> Option<PairView<'a>> {
        // They are sorted, so the search ends where it would be.
        let found = self.pairs().find(|pair| pair.name >= name.view());
        found.filter(|pair| pair.name == name.view())
    }

    /// Its octets behind the number of its pairs.
    pub(crate) fn octets(&self) -> &'a [u8] {
        self.body
    }

    /// Where in these octets each pair begins, and where the last one ends.
    pub(crate) fn places(&self) -> Vec<usize> {
        let mut pairs = self.pairs();
        let mut places = Vec::with_capacity(self.pairs + 1);
        places.push(0);
        while pairs.next().is_some() {
            places.push(self.body.len() - pairs.reader.rest().len());
        }
        places
    }

    /// The pair that begins there, and where it ends.
    pub(crate) fn pair_at(&self, place: usize) -> Option<(PairView<'a>, usize)> {
        let mut reader = Reader::bare(self.body.get(place..)?);
        let pair = read_pair(&mut reader).ok()?;
        Some((pair, self.body.len() - reader.rest().len()))
    }

    /// What stands there behind the pairs, of which `name` knows the names by their numbers. Of its facts the times
    /// are not all true.
    pub(crate) fn tail_at<'b>(
        &self,
        place: usize,
        name: impl FnOnce(usize) -> Option<&'b str>,
    ) -> Option<(ClientFacts, Option<Trace>)> {
        let mut reader = Reader::bare(self.body.get(place..)?);
        read_tail(&mut reader, self.client, Time::default(), name).ok()
    }

    /// What there is beside its pairs: facts and trace.
    pub fn rest(&self) -> (ClientFacts, Option<Trace>) {
        self.tail().unwrap_or_default()
    }

    /// What is known of the client beside its pairs.
    pub fn facts(&self) -> ClientFacts {
        self.tail().map(|(facts, _)| facts).unwrap_or_default()
    }

    /// What is left of pairs for which there was no room.
    pub fn trace(&self) -> Option<Trace> {
        self.tail().ok()?.1
    }

    /// Shows `each` its pairs, and gives back what there is beside them: one walk over the row instead of two.
    pub fn walk(&self, mut each: impl FnMut(PairView<'a>)) -> (ClientFacts, Option<Trace>) {
        let mut pairs = self.pairs();
        let mut newest = Time::default();
        for pair in &mut pairs {
            newest = newest.max(pair.last());
            each(pair);
        }
        self.read_tail(&mut pairs.reader, newest).unwrap_or_default()
    }

    fn tail(&self) -> Result<(ClientFacts, Option<Trace>), DecodeError> {
        let mut pairs = self.pairs();
        let newest = (&mut pairs).map(|pair| pair.last()).max().unwrap_or_default();
        self.read_tail(&mut pairs.reader, newest)
    }

    fn read_tail(
        &self,
        reader: &mut Reader<'a>,
        newest: Time,
    ) -> Result<(ClientFacts, Option<Trace>), DecodeError> {
        let name = |number| self.pairs().nth(number).map(|pair| pair.name.text());
        read_tail(reader, self.client, newest, name)
    }
}

/// The pairs of a row.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = PairView<'a>;

    fn next(&mut self) -> Option<PairView<'a>> {
        self.left = self.left.checked_sub(1)?;
        let read = read_pair(&mut self.reader).ok();
        if read.is_none() {
            self.left = 0;
        }
        read
    }
}

impl PairView<'_> {
    /// What each reporter saw, in the order of their numbers.
    #[inline]
    pub fn seen(&self) -> Seen<'_> {
        Seen { reader: Reader::bare(self.seen), left: self.reporters, by_first: self.by_first }
    }

    /// When it was last seen.
    pub fn last(&self) -> Time {
        self.last
    }

    /// What it is worth.
    pub fn worth(&self, client: Client, kinds: &[ReporterKind], key: u64) -> Worth {
        let mut worthiness = Worthiness::default();
        for (by, seen) in self.seen() {
            worthiness.add(kind_of(kinds, by), &seen);
        }
        worthiness.worth(client, self.name, key)
    }
}

/// What the reporters of a pair saw.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    reader: Reader<'a>,
    left: usize,
    by_first: bool,
}

impl Iterator for Seen<'_> {
    type Item = (ReporterId, Activity);

    #[inline]
    fn next(&mut self) -> Option<(ReporterId, Activity)> {
        self.left = self.left.checked_sub(1)?;
        let by = if self.by_first { 0 } else { self.reader.small().ok()? };
        Some((by, self.reader.activity().ok()?))
    }
}

fn kind_of(kinds: &[ReporterKind], by: ReporterId) -> ReporterKind {
    kinds.get(usize::from(by)).copied().unwrap_or_default()
}

/// A name as octets: who only compares names need not know that they are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RawName<'a> {
    kind: NameKind,
    text: &'a [u8],
    family: u8,
}

impl<'a> RawName<'a> {
    fn of(name: NameRef<'a>) -> Self {
        Self { kind: name.kind(), text: name.text().as_bytes(), family: name.family_place() }
    }

    fn family(self) -> Option<&'a [u8]> {
        self.text.get(usize::from(self.family)..)
    }

    fn name(self) -> Option<NameRef<'a>> {
        let text = std::str::from_utf8(self.text).ok()?;
        Some(NameRef::from_parts(self.kind, text, self.family))
    }
}

/// A pair as a rewrite sees it.
#[derive(Clone, Copy, Debug)]
struct RawPair<'a> {
    name: RawName<'a>,
    last: Time,
    reporters: usize,
    by_first: bool,
    seen: &'a [u8],
    raw: &'a [u8],
}

impl<'a> RawPair<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let begin = reader.rest();
        let head = reader.octet()?;
        let kind = *NameKind::ALL.get(usize::from(head & KIND)).ok_or(DecodeError::Malformed)?;
        let length = usize::from(reader.octet()?);
        let family = if kind == NameKind::Fqdn { reader.octet()? } else { u8::MAX };
        let text = reader.take(length)?;
        let reporters = if head & BY_SEVERAL == 0 { 1 } else { reader.count()? };
        let by_first = head & BY_FIRST != 0;
        let seen = reader.rest();
        let mut last = Time::default();
        for _ in 0..reporters {
            if !by_first {
                reader.varint()?;
            }
            last = last.max(reader.skip_activity()?);
        }
        let left = reader.rest().len();
        Ok(Self {
            name: RawName { kind, text, family },
            last,
            reporters,
            by_first,
            seen: seen.get(..seen.len() - left).unwrap_or_default(),
            raw: begin.get(..begin.len() - left).unwrap_or_default(),
        })
    }

    fn view(self) -> Option<PairView<'a>> {
        let Self { name, last, reporters, by_first, seen, raw } = self;
        Some(PairView { name: name.name()?, last, reporters, by_first, seen, raw })
    }
}

#[inline]
fn read_pair<'a>(reader: &mut Reader<'a>) -> Result<PairView<'a>, DecodeError> {
    RawPair::read(reader)?.view().ok_or(DecodeError::Malformed)
}

/// Reads what stands behind the pairs of a row; `name` knows their names by their numbers.
fn read_tail<'n>(
    reader: &mut Reader<'_>,
    client: Client,
    newest: Time,
    name: impl FnOnce(usize) -> Option<&'n str>,
) -> Result<(ClientFacts, Option<Trace>), DecodeError> {
    let mut facts = ClientFacts::default();
    let flags = reader.octet()?;
    if flags & LAST_IP != 0 {
        let time = if flags & LAST_IP_NEWEST != 0 { newest } else { Time(reader.small()?) };
        let Client::V6(top) = client else { return Err(DecodeError::Malformed) };
        let ip = Ipv6Addr::from(u128::from(top) << 64 | u128::from(reader.u64()?));
        facts.last_ip = Some((time, IpAddr::V6(ip)));
    }
    if flags & RDNS != 0 {
        let time = if flags & RDNS_NEWEST != 0 { newest } else { Time(reader.small()?) };
        let text = if flags & RDNS_OF_PAIR != 0 {
            name(reader.small()?).ok_or(DecodeError::Malformed)?.into()
        } else {
            reader.text()?.into()
        };
        facts.rdns = Some((time, text));
    }
    let trace = if flags & TRACE != 0 { Some(reader.trace()?) } else { None };
    Ok((facts, trace))
}

/// Reads a row that comes from a disk: everything in it must be as this program writes it. Looks up the
/// families anew, since the list of public suffixes may be another than when it was written. Appends
/// the row to `arena`, tells `each` every pair, and returns how many reporters it speaks of.
pub(super) fn admit(
    client: Client,
    reader: &mut Reader<'_>,
    arena: &mut Vec<u8>,
    each: &mut dyn FnMut(&Name),
) -> Result<usize, DecodeError> {
    let begin = reader.rest();
    let body = reader.bytes()?;
    let length = begin.len() - reader.rest().len();
    let mut pairs = Reader::bare(body);
    let count = pairs.count()?;
    let (row, _) = RowView::read(client, begin).ok_or(DecodeError::Malformed)?;
    let at = arena.len();
    arena.extend_from_slice(begin.get(..length).ok_or(DecodeError::Malformed)?);
    let mut reporters = 0;
    let mut newest = Time::default();
    let mut before: Option<Name> = None;
    for _ in 0..count {
        let place = at + (length - pairs.rest().len());
        let pair = read_pair(&mut pairs)?;
        let name = Name::parse(pair.name.text().as_bytes());
        if (name.kind(), name.text()) != (pair.name.kind(), pair.name.text()) {
            return Err(DecodeError::Malformed);
        }
        if before.is_some_and(|before| before >= name) {
            return Err(DecodeError::Malformed);
        }
        if name.is_fqdn() {
            // After the head and the length.
            *arena.get_mut(place + 2).ok_or(DecodeError::Malformed)? = name.view().family_place();
        }
        let mut by_before = None;
        if pair.seen().count() != pair.reporters || (pair.by_first && pair.reporters != 1) {
            return Err(DecodeError::Malformed);
        }
        for (by, _) in pair.seen() {
            if by_before.is_some_and(|before| before >= by) {
                return Err(DecodeError::Malformed);
            }
            by_before = Some(by);
            reporters = reporters.max(usize::from(by) + 1);
        }
        newest = newest.max(pair.last());
        each(&name);
        before = Some(name);
    }
    row.read_tail(&mut pairs, newest)?;
    pairs.finish()?;
    Ok(reporters)
}

/// What one reporter saw of one pair, on its way into a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell<'a> {
    pub(super) name: NameRef<'a>,
    pub(super) by: ReporterId,
    pub(super) activity: &'a Activity,
}

/// What is told of a client beside its pairs, on its way into a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside<'a> {
    pub(super) facts: Option<&'a ClientFacts>,
    pub(super) trace: Option<&'a Trace>,
}

/// What a rewrite needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) bounds: &'a Bounds,
    pub(super) kinds: &'a [ReporterKind],
}

/// What a rewrite did, for the indexes.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Names whose pairs are new in the row.
    pub(super) added: Vec<Name>,
    /// Names whose pairs went, and whether their family went with them.
    pub(super) removed: Vec<(Name, bool)>,
    /// Names whose pairs were seen.
    pub(super) touched: Vec<Touched>,
    /// How many pairs are not held any more, or were not taken in.
    pub(super) lost: u64,
}

/// A name whose pair was seen.
#[derive(Clone, Debug)]
pub(super) struct Touched {
    pub(super) name: Name,
    /// What the pair is worth now.
    pub(super) worth: Worth,
    /// What the best pair of its family in the row is worth.
    pub(super) best: Worth,
}

/// A pair on its way into the new row.
struct Kept<'a> {
    name: RawName<'a>,
    octets: std::ops::Range<usize>,
    worth: Worth,
    last: Time,
    is_new: bool,
}

/// Writes rows. Its buffers are kept from one row to the next.
#[derive(Debug, Default)]
pub(super) struct Rewriter {
    octets: Writer,
    /// The new row; empty if nothing is left of it.
    pub(super) row: Vec<u8>,
}

impl Rewriter {
    /// Merges cells (sorted by name and reporter) and what is told beside them into a row. `wants_touched`
    /// says for which names the index wants to hear of it.
    pub(super) fn merge(
        &mut self,
        client: Client,
        old: Option<RowView<'_>>,
        cells: &[Cell<'_>],
        beside: Beside<'_>,
        context: Context<'_>,
        wants_touched: &dyn Fn(&NameRef<'_>) -> bool,
    ) -> Change {
        let mut change = Change::default();
        self.octets.0.clear();
        let mut kept = Vec::with_capacity(old.map_or(0, |row| row.pair_count()) + 1);
        let mut pairs = Reader::bare(old.map_or(&[], |row| row.body));
        let mut left = old.map_or(0, |row| row.pair_count());
        let mut read_next = || {
            left = left.checked_sub(1)?;
            RawPair::read(&mut pairs).ok()
        };
        let mut next = read_next();
        let mut newest_before = Time::default();
        let mut cells = cells.chunk_by(|a, b| a.name == b.name).peekable();
        // Worths are needed only where something may have to go.
        let crowded = old.map_or(0, |row| row.pair_count()) + cells.clone().count()
            > context.bounds.pairs_per_client;
        loop {
            let order = match (&next, cells.peek()) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(pair), Some(news)) => pair.name.cmp(&RawName::of(news[0].name)),
            };
            let begin = self.octets.0.len();
            let pair = if order.is_le() { next.take() } else { None };
            if let Some(pair) = &pair {
                newest_before = newest_before.max(pair.last);
                next = read_next();
            }
            let news = if order.is_ge() { cells.next() } else { None };
            match (pair, news) {
                (Some(pair), None) => {
                    self.octets.0.extend_from_slice(pair.raw);
                    kept.push(Kept {
                        name: pair.name,
                        octets: begin..self.octets.0.len(),
                        worth: match if crowded { pair.view() } else { None } {
                            Some(pair) => pair.worth(client, context.kinds, context.bounds.key),
                            None => Worth::default(),
                        },
                        last: pair.last,
                        is_new: false,
                    });
                }
                (pair, Some(news)) => {
                    let Some(name) = news.first().map(|cell| cell.name) else { continue };
                    let touched = wants_touched(&name);
                    let known = pair.and_then(RawPair::view);
                    let (worthiness, last) =
                        self.write_merged(name, known.as_ref(), news, context.kinds);
                    let worth = if crowded || touched {
                        worthiness.worth(client, name, context.bounds.key)
                    } else {
                        Worth::default()
                    };
                    if touched {
                        change.touched.push(Touched { name: name.to_name(), worth, best: worth });
                    }
                    kept.push(Kept {
                        name: RawName::of(name),
                        octets: begin..self.octets.0.len(),
                        worth,
                        last,
                        is_new: pair.is_none(),
                    });
                }
                (None, None) => break,
            }
        }
        // The pairs have been read, and behind them stands the rest.
        let (mut known, mut trace) = match old {
            Some(row) => {
                let name = |number| {
                    let pair = kept.iter().filter(|pair| !pair.is_new).nth(number)?;
                    Some(pair.name.name()?.text())
                };
                read_tail(&mut pairs, row.client, newest_before, name).unwrap_or_default()
            }
            None => Default::default(),
        };
        if let Some(facts) = beside.facts {
            known.merge(facts);
        }
        if let Some(told) = beside.trace {
            trace.get_or_insert_default().merge(told);
        }
        let surplus = kept.len().saturating_sub(context.bounds.pairs_per_client);
        let mut gone = Vec::new();
        if surplus > 0 {
            let mut worths: Vec<_> = kept.iter().map(|pair| (pair.worth, pair.name)).collect();
            let (_, last_gone, _) = worths.select_nth_unstable(surplus - 1);
            let last_gone = *last_gone;
            let trace = trace.get_or_insert_default();
            kept.retain(|pair| {
                let stays = (pair.worth, pair.name) > last_gone;
                if let Some(name) = pair.name.name().filter(|_| !stays) {
                    trace.note(name, pair.last);
                    gone.push((name, pair.is_new));
                }
                stays
            });
        }
        for touched in &mut change.touched {
            self.find_best(touched, &kept, client, context);
        }
        finish(&mut change, &kept, &gone);
        self.write_row(&kept, &known, trace.as_ref());
        change
    }

    /// Finds what the best pair of a family is worth.
    fn find_best(
        &self,
        touched: &mut Touched,
        kept: &[Kept<'_>],
        client: Client,
        context: Context<'_>,
    ) {
        let Some(family) = touched.name.family().map(str::as_bytes) else { return };
        for pair in kept.iter().filter(|pair| pair.name.family() == Some(family)) {
            // To say what a pair is worth costs more than all else, and there may be hundreds.
            if Worth::most(pair.last.day()) <= touched.best {
                continue;
            }
            let octets = self.octets.0.get(pair.octets.clone()).unwrap_or_default();
            if let Ok(pair) = read_pair(&mut Reader::bare(octets)) {
                let worth = pair.worth(client, context.kinds, context.bounds.key);
                touched.best = touched.best.max(worth);
            }
        }
    }

    /// Takes pairs out of a row: those for which `goes` is true. Nothing is noted of them. `rdns_goes` says
    /// whether the reverse name goes, too.
    pub(super) fn remove(
        &mut self,
        row: RowView<'_>,
        goes: &dyn Fn(&PairView<'_>) -> bool,
        rdns_goes: bool,
    ) -> Change {
        let mut change = Change::default();
        self.octets.0.clear();
        let mut kept = Vec::new();
        let mut gone = Vec::new();
        for pair in row.pairs() {
            if goes(&pair) {
                gone.push((pair.name, false));
                continue;
            }
            let begin = self.octets.0.len();
            self.octets.0.extend_from_slice(pair.raw);
            kept.push(Kept {
                name: RawName::of(pair.name),
                octets: begin..self.octets.0.len(),
                worth: Worth::default(),
                last: pair.last(),
                is_new: false,
            });
        }
        let (mut facts, trace) = (row.facts(), row.trace());
        if rdns_goes {
            facts.rdns = None;
        }
        finish(&mut change, &kept, &gone);
        self.write_row(&kept, &facts, trace.as_ref());
        change
    }

    /// Writes a pair: what was known of it, with what the cells bring.
    fn write_merged(
        &mut self,
        name: NameRef<'_>,
        old: Option<&PairView<'_>>,
        news: &[Cell<'_>],
        kinds: &[ReporterKind],
    ) -> (Worthiness, Time) {
        let mut seen: Vec<(ReporterId, Activity)> =
            old.map(|pair| pair.seen().collect()).unwrap_or_default();
        for cell in news {
            match seen.binary_search_by_key(&cell.by, |(by, _)| *by) {
                Ok(place) => seen[place].1.merge(cell.activity),
                Err(place) => seen.insert(place, (cell.by, cell.activity.clone())),
            }
        }
        let mut worthiness = Worthiness::default();
        let mut last = Time::default();
        for (by, activity) in &seen {
            worthiness.add(kind_of(kinds, *by), activity);
            last = last.max(activity.last);
        }
        write_pair(&mut self.octets, name, &seen);
        (worthiness, last)
    }

    fn write_row(&mut self, kept: &[Kept<'_>], facts: &ClientFacts, trace: Option<&Trace>) {
        self.row.clear();
        if kept.is_empty() {
            return;
        }
        let mut tail = Writer::default();
        write_tail(&mut tail, kept, facts, trace);
        let mut count = Writer::default();
        count.count(kept.len());
        let octets: usize = kept.iter().map(|pair| pair.octets.len()).sum();
        let mut row = Writer(std::mem::take(&mut self.row));
        row.count(count.0.len() + octets + tail.0.len());
        row.0.extend_from_slice(&count.0);
        for pair in kept {
            row.0.extend_from_slice(self.octets.0.get(pair.octets.clone()).unwrap_or_default());
        }
        row.0.extend_from_slice(&tail.0);
        self.row = row.0;
    }
}

/// Says what changed of the pairs of a row; `gone` in the order of names, as pairs are.
fn finish(change: &mut Change, kept: &[Kept<'_>], gone: &[(NameRef<'_>, bool)]) {
    change.lost = gone.len() as u64;
    let new = kept.iter().filter(|pair| pair.is_new);
    change.added.extend(new.filter_map(|pair| Some(pair.name.name()?.to_name())));
    // Both may be thousands, so nothing is looked for one by one.
    let went: BTreeSet<_> = gone.iter().map(|(name, _)| *name).collect();
    change.touched.retain(|touched| !went.contains(&touched.name.view()));
    let mut families: BTreeSet<&str> = BTreeSet::new();
    if !gone.is_empty() {
        families.extend(kept.iter().filter_map(|pair| pair.name.name()?.family()));
    }
    for (name, _) in gone.iter().filter(|(_, was_new)| !was_new) {
        let family_stays = name.family().is_some_and(|family| families.contains(family));
        change.removed.push((name.to_name(), !family_stays));
    }
}

fn write_pair(writer: &mut Writer, name: NameRef<'_>, seen: &[(ReporterId, Activity)]) {
    let several = seen.len() > 1;
    let by_first = !several && seen.first().is_some_and(|(by, _)| *by == 0);
    let mut head = name.kind().code();
    head |= if several { BY_SEVERAL } else { 0 };
    head |= if by_first { BY_FIRST } else { 0 };
    writer.octet(head);
    // A name has at most 253 octets.
    writer.octet(name.text().len() as u8);
    if name.kind() == NameKind::Fqdn {
        writer.octet(name.family_place());
    }
    writer.0.extend_from_slice(name.text().as_bytes());
    if several {
        writer.count(seen.len());
    }
    for (by, activity) in seen {
        if !by_first {
            writer.varint(u64::from(*by));
        }
        writer.activity(activity);
    }
}

fn write_tail(writer: &mut Writer, kept: &[Kept<'_>], facts: &ClientFacts, trace: Option<&Trace>) {
    let newest = kept.iter().map(|pair| pair.last).max().unwrap_or_default();
    let place = writer.0.len();
    writer.octet(0);
    let mut flags = 0;
    if let Some((time, ip)) = facts.last_ip {
        flags |= LAST_IP;
        if time == newest {
            flags |= LAST_IP_NEWEST;
        } else {
            writer.varint(u64::from(time.0));
        }
        let low = match ip {
            IpAddr::V6(ip) => u128::from(ip) as u64,
            IpAddr::V4(_) => 0,
        };
        writer.u64(low);
    }
    if let Some((time, rdns)) = &facts.rdns {
        flags |= RDNS;
        if *time == newest {
            flags |= RDNS_NEWEST;
        } else {
            writer.varint(u64::from(time.0));
        }
        match kept.iter().position(|pair| pair.name.text == rdns.as_bytes()) {
            Some(pair) => {
                flags |= RDNS_OF_PAIR;
                writer.count(pair);
            }
            None => writer.bytes(rdns.as_bytes()),
        }
    }
    if let Some(trace) = trace {
        flags |= TRACE;
        writer.trace(trace);
    }
    if let Some(octet) = writer.0.get_mut(place) {
        *octet = flags;
    }
}

impl Trace {
    /// Takes in what else is left of pairs of the same client.
    pub(super) fn merge(&mut self, other: &Self) {
        self.families.merge(&other.families);
        self.names.merge(&other.names);
    }

    /// Notes a pair that goes.
    fn note(&mut self, name: NameRef<'_>, last: Time) {
        self.names.insert(hash_text(0, name.text()), last.day());
        if let Some(family) = name.family() {
            self.families.insert(hash_text(0, family), last.day());
        }
    }
}

//! The comparison.

use std::collections::{BTreeMap, BTreeSet};

use helostat_ingest::heard::Heard;
use helostat_zones::name::{Name, NameKind};

use crate::log::Log;
use crate::runs::Run;
use crate::said::{Class, Session, is_well_formed};

/// Per listener.
#[derive(Default)]
struct Row {
    sessions: usize,
    tied: usize,
    found: usize,
    right: usize,
}

pub(crate) struct Report {
    title: String,
    rows: BTreeMap<String, Row>,
    unframed: usize,
    named: usize,
    unnamed: usize,
    odd: usize,
    missed: Vec<String>,
    misjudged: Vec<String>,
    wrong: Vec<String>,
    excused: Vec<String>,
}

/// A name in force of a session.
struct Wanted<'a> {
    session: &'a Session,
    name: Name,
    classes: Vec<Class>,
    /// The lines that tie it.
    lines: Vec<usize>,
}

pub(crate) fn compare(run: &Run, log: &Log, sessions: &[Session]) -> Report {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    for session in sessions {
        rows.entry(session.listener.clone()).or_default().sessions += 1;
        for unit in
            session.units(run.hides_loss).into_iter().filter(|unit| is_well_formed(&unit.name))
        {
            let lines = ties(run, log, session, &unit.name);
            wanted.push(Wanted { session, name: unit.name, classes: unit.classes, lines });
        }
    }
    let named: Vec<usize> = (0..log.heard.len())
        .filter(|&at| log.heard[at].name.as_ref().is_some_and(is_well_formed))
        .collect();
    let fits = |want: &Wanted<'_>, heard: &Heard, judged: bool| {
        want.session.holds(heard.ip, heard.time)
            && heard.name.as_ref() == Some(&want.name)
            && (!judged || want.classes.contains(&Class::of(heard.outcome)))
    };
    let candidates = |want: &Wanted<'_>, judged: bool| -> Vec<usize> {
        named.iter().copied().filter(|&at| fits(want, &log.heard[at], judged)).collect()
    };
    // A line, or a connection, ties one session: where a client comes back in the same second, each needs its own.
    // Those that are told rightly come first: the others must be tied by what is left.
    wanted.sort_by_key(|want| candidates(want, true).is_empty());
    let tied = matching(wanted.len(), |at| {
        let groups: BTreeSet<usize> =
            wanted[at].lines.iter().map(|&line| log.group(line)).collect();
        // Another name in the same connection is another tie.
        let first = wanted.iter().position(|other| other.name == wanted[at].name).unwrap_or(at);
        groups.into_iter().map(|group| group * wanted.len() + first).collect()
    });
    let wanted: Vec<&Wanted<'_>> =
        wanted.iter().zip(&tied).filter(|(_, tie)| tie.is_some()).map(|(one, _)| one).collect();
    let found = matching(wanted.len(), |at| candidates(wanted[at], false));
    let right = matching(wanted.len(), |at| candidates(wanted[at], true));
    let (mut missed, mut misjudged) = (Vec::new(), Vec::new());
    for ((want, found), right) in wanted.iter().zip(&found).zip(&right) {
        let row = rows.entry(want.session.listener.clone()).or_default();
        row.tied += 1;
        row.found += usize::from(found.is_some());
        row.right += usize::from(right.is_some());
        let near: Vec<String> = log
            .heard
            .iter()
            .filter(|heard| want.session.holds(heard.ip, heard.time))
            .map(show)
            .collect();
        let text = format!(
            "{} {} {} {} {:?} {:?}; near: {near:?}",
            want.session.id,
            want.session.listener,
            want.session.kind,
            want.session.ip,
            want.name.text(),
            want.classes
        );
        match (found, right) {
            (None, _) => missed.push(text),
            (Some(_), None) => misjudged.push(text),
            _ => {}
        }
    }
    let (mut wrong, mut excused) = (Vec::new(), Vec::new());
    for heard in &log.heard {
        match verdict(run, heard, sessions) {
            Verdict::Right => {}
            Verdict::Wrong(why) => wrong.push(format!("{why}: {}", show(heard))),
            Verdict::Excused(why) => excused.push(format!("{why}: {}", show(heard))),
        }
    }
    let is_odd =
        |heard: &&Heard| heard.name.as_ref().is_some_and(|name| name.kind() == NameKind::Malformed);
    Report {
        title: format!("{}/{} {}", run.folder, run.log, run.listeners),
        rows,
        unframed: log.unframed,
        named: named.len(),
        unnamed: log.heard.iter().filter(|heard| heard.name.is_none()).count(),
        odd: log.heard.iter().filter(is_odd).count(),
        missed,
        misjudged,
        wrong,
        excused,
    }
}

fn show(heard: &Heard) -> String {
    let name = heard.name.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let apart = heard.apart.map_or("", |apart| apart.word());
    format!(
        "{} {} {name:.90} {} {} {apart}",
        heard.time,
        heard.ip,
        heard.outcome,
        heard.stage.unwrap_or_default()
    )
}

/// The lines that tie a name to a session's client.
fn ties(run: &Run, log: &Log, session: &Session, name: &Name) -> Vec<usize> {
    let (begin, end) = session.span();
    let first = log.lines.partition_point(|line| line.time < begin);
    let near = || {
        log.lines
            .iter()
            .enumerate()
            .skip(first.saturating_sub(50))
            .take_while(|(at, line)| line.time <= end || *at < first + 50)
            .filter(|(_, line)| (begin..=end).contains(&line.time))
    };
    near()
        .filter(|(_, line)| {
            line.shows_name(session, name.text(), run)
                && !line.is_of_another(session)
                && (line.shows_client(session, run)
                    || near().any(|(_, other)| {
                        other.shares_key(line) && other.shows_client(session, run)
                    }))
        })
        .map(|(at, _)| at)
        .collect()
}

enum Verdict {
    Right,
    Wrong(&'static str),
    Excused(&'static str),
}

/// Whether something heard was really so.
fn verdict(run: &Run, heard: &Heard, sessions: &[Session]) -> Verdict {
    let here: Vec<&Session> =
        sessions.iter().filter(|session| session.holds(heard.ip, heard.time)).collect();
    if here.is_empty() {
        // The driver itself: it sees that a port is open, and is the proxy of XCLIENT.
        if heard.ip.is_loopback() && heard.name.as_ref().is_none_or(|name| *name == Name::absent())
        {
            return Verdict::Excused("the driver");
        }
        return Verdict::Wrong("nobody was there");
    }
    if let Some(rdns) = &heard.rdns
        // The driver may give an address two reverse names, and the truth knows one of them at a time.
        && !sessions
            .iter()
            .any(|session| session.ip.to_canonical() == heard.ip && session.has_reverse(rdns))
        && !heard.ip.is_loopback()
    {
        return Verdict::Wrong("reverse name");
    }
    let Some(name) = &heard.name else { return Verdict::Right };
    if name.kind() == NameKind::Absent {
        return match here.iter().any(|session| session.was_nameless()) {
            true => Verdict::Right,
            false => Verdict::Wrong("something was said"),
        };
    }
    let cuts = |session: &Session| {
        run.cuts_words.iter().any(|listener| session.listener.starts_with(listener))
    };
    let odd = name.kind() == NameKind::Malformed;
    let speakers: Vec<&Session> = here
        .iter()
        .copied()
        .filter(|session| {
            let said = session.said(cuts(session));
            said.contains(name)
                || (odd
                    && (is_mangled(session)
                        || said.iter().any(|said| said.kind() == NameKind::Malformed)))
        })
        .collect();
    if speakers.is_empty() {
        let own_literal = here.iter().any(|session| {
            session
                .said(false)
                .iter()
                .any(|said| said.kind() == NameKind::Literal && said.ip() == Some(session.ip))
                && heard.rdns.as_deref() == Some(name.text())
        });
        if own_literal && run.reverse_for_literal {
            return Verdict::Excused("the reverse name for the address in brackets");
        }
        return Verdict::Wrong("not said");
    }
    let class = Class::of(heard.outcome);
    if speakers.iter().any(|session| session.allows(name, run.hides_loss).contains(&class)) {
        return Verdict::Right;
    }
    Verdict::Wrong("outcome")
}

/// A name that the MTA does not log as it was said.
fn is_mangled(session: &Session) -> bool {
    ["inj_", "badutf8", "latin1"].iter().any(|class| session.cls.starts_with(class))
        || session.cls.ends_with("_space")
}

/// A largest matching of `count` wishes to things, each given to one; augmenting paths.
fn matching(count: usize, wishes: impl Fn(usize) -> Vec<usize>) -> Vec<Option<usize>> {
    let wishes: Vec<Vec<usize>> = (0..count).map(wishes).collect();
    let mut owner: BTreeMap<usize, usize> = BTreeMap::new();
    fn give(
        who: usize,
        wishes: &[Vec<usize>],
        owner: &mut BTreeMap<usize, usize>,
        tried: &mut Vec<usize>,
    ) -> bool {
        for &thing in &wishes[who] {
            if tried.contains(&thing) {
                continue;
            }
            tried.push(thing);
            let free = match owner.get(&thing).copied() {
                None => true,
                Some(other) => give(other, wishes, owner, tried),
            };
            if free {
                owner.insert(thing, who);
                return true;
            }
        }
        false
    }
    for who in 0..count {
        give(who, &wishes, &mut owner, &mut Vec::new());
    }
    let mut given = vec![None; count];
    for (thing, who) in owner {
        given[who] = Some(thing);
    }
    given
}

impl Report {
    fn totals(&self) -> (usize, usize, usize) {
        self.rows.values().fold((0, 0, 0), |(tied, found, right), row| {
            (tied + row.tied, found + row.found, right + row.right)
        })
    }

    pub(crate) fn print(&self) {
        let (tied, found, right) = self.totals();
        println!(
            "{}: tied {tied} found {found} right {right} wrong {} | heard: named {} odd {} unnamed {}, excused {}; unframed lines {}",
            self.title,
            self.wrong.len(),
            self.named,
            self.odd,
            self.unnamed,
            self.excused.len(),
            self.unframed
        );
        for (listener, row) in &self.rows {
            println!(
                "  {listener:<11} sessions {:>3} tied {:>3} found {:>3} right {:>3}",
                row.sessions, row.tied, row.found, row.right
            );
        }
        for (word, list) in [
            ("missed", &self.missed),
            ("misjudged", &self.misjudged),
            ("wrong", &self.wrong),
            ("excused", &self.excused),
        ] {
            for text in list {
                println!("  {word} {text}");
            }
        }
    }

    /// What breaks the bar: 99.9 % found and right, nothing wrong.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let (tied, found, right) = self.totals();
        let enough = |count: usize| count * 1000 >= tied * 999;
        let mut complaints = Vec::new();
        if tied == 0 {
            complaints.push(format!("{}: nothing is tied", self.title));
        }
        if !enough(found) || !enough(right) {
            complaints.push(format!("{}: tied {tied} found {found} right {right}", self.title));
        }
        if !self.wrong.is_empty() {
            complaints.push(format!("{}: {} wrong", self.title, self.wrong.len()));
        }
        complaints
    }
}

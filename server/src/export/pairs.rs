//! The zones of pairs: every name that a client said, what is said of any other name from it, and networks on which the operator decided.
//!
//! Of each client the names it said make a tree, with every name above them, since in a zone these exist and stop the wildcard of the client. At
//! each of them two things are judged: the name itself, and some name below it that nobody ever said, which speaks for all of them. So it is
//! the rules that say what a new name on this client is, or a new name of a family that stands here.
//!
//! What a new name is depends on the name, too: on what it looks like, and on whether it is known elsewhere. That cannot be said by a
//! wildcard; the name that stands for all is a plain one that nobody knows.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use helostat_zones::answer::{Answer, Exists};
use helostat_zones::client::Client;
use helostat_zones::export::{At, Range};
use helostat_zones::key::{Key, Kind};
use helostat_zones::name::{Name, NameKind};
use helostat_zones::time::Time;

use super::walk::{Stretch, walk};
use super::{Export, key_of, tree};
use crate::judge::Judge;
use crate::ledger_judge::AsKnown;

/// What stands for all names below another one; the first that the client never said.
const OTHERS: [&str; 3] = ["another", "any-other", "whatever-other"];
/// What stands for all names.
const ANYBODY: [&str; 3] =
    ["mail.another-example.net", "mail.any-other-example.net", "mail.whatever-other-example.net"];
/// The address of the test point.
const LISTED_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// A network of so many addresses, less one, is written address by address in `fp`, where no wildcard can stand for it.
const FORWARD_MOST: u128 = 0xffff;

pub(super) fn export(export: &mut Export<'_>) -> io::Result<()> {
    let (judge, kind, now) = (export.judge, export.kind, export.judge.now());
    let listed = Ipv4Addr::new(127, 0, 2, 2);
    export.test_point(At::Pair(LISTED_IP.into(), "test"), listed)?;
    if kind == Kind::Pair {
        export.test_point(At::Pair(LISTED_IP.to_ipv6_mapped().into(), "test"), listed)?;
    }
    let span = |client: Client| match client {
        Client::V4(ip) => Some(Range::V4(ip, ip)),
        Client::V6(_) if kind == Kind::Fp => None,
        // A name says one address, so it is the one that was seen.
        Client::V6(_) => judge.ledger().client(client, |row| {
            let (_, ip) = row?.facts().last_ip?;
            (Client::of(ip) == client).then_some(Range::of(ip))
        }),
    };
    // Never listed, whatever the name.
    let tests = [Ipv4Addr::LOCALHOST];
    walk(judge, now, &tests, span, &mut |stretch| match stretch {
        Stretch::Client(client, range) => of_client(export, client, range.first()),
        Stretch::Decided(range) => decided(export, range),
        Stretch::Test(_) => Ok(()),
    })
}

/// Any name from addresses of a network on which the operator decided.
fn decided(export: &mut Export<'_>, range: Range) -> io::Result<()> {
    let known = export.judge.as_known(range.first());
    let other = Name::parse(ANYBODY[0].as_bytes());
    let (mut answer, until) = judge(export, &known, range.first(), &other);
    if answer.a.is_empty() {
        return Ok(());
    }
    speak_for_all(&mut answer, &other, "*");
    match (export.kind, range) {
        (Kind::Fp, Range::V6(..)) => Ok(()),
        (Kind::Fp, _) if range.beyond_first() > FORWARD_MOST => {
            export.summary.left_out += 1;
            Ok(())
        }
        (Kind::Fp, Range::V4(first, last)) => (first..=last).try_for_each(|ip| {
            export.say(At::PairBelow(IpAddr::V4(ip.into()), ""), &answer, until)
        }),
        _ => export.say(At::PairsOf(range), &answer, until),
    }
}

fn of_client(export: &mut Export<'_>, client: Client, ip: IpAddr) -> io::Result<()> {
    let ledger = export.judge.ledger();
    let mut names: Vec<Box<str>> = ledger.client(client, |row| {
        let Some(row) = row else { return Vec::new() };
        let said = row.pairs().map(|pair| pair.name);
        let keys = said.filter(|name| {
            matches!(name.kind(), NameKind::Fqdn | NameKind::Single | NameKind::Reserved)
        });
        let mut names: Vec<Box<str>> = keys.map(|name| name.text().into()).collect();
        // The one name that may be better than all others before it was ever said.
        if let Some((_, rdns)) = row.facts().rdns {
            let name = Name::parse(rdns.as_bytes());
            names.extend(Some(name.text().into()).filter(|_| name.is_fqdn()));
        }
        names
    });
    let above: Vec<Box<str>> =
        names.iter().flat_map(|name| tree::above(name)).map(Into::into).collect();
    names.extend(above);
    tree::sort(&mut names);
    let known = export.judge.as_known(ip);
    let others = ANYBODY.map(|name| Name::parse(name.as_bytes()));
    let root = others.iter().find(|other| !known.has_said(other));
    let said_of_all = match root {
        // A wildcard there would answer for IPv6, too.
        Some(_) if export.kind == Kind::Pair && is_above_ipv6(ip) => false,
        Some(other) => below(export, &known, ip, "", other)?,
        None => false,
    };
    tree::visit(&names, said_of_all, |name, said_above| {
        let Some(key) = pair_key(export.kind, ip, name) else { return Ok(false) };
        let (answer, until) = judge(export, &known, ip, &key);
        if !answer.a.is_empty() {
            export.say(At::Pair(ip, name), &answer, until)?;
        } else if said_above {
            export.hole(At::Pair(ip, name), until)?;
        }
        let others =
            OTHERS.iter().filter_map(|label| pair_key(export.kind, ip, &format!("{label}.{name}")));
        let free = others.into_iter().find(|other| !known.has_said(other));
        let said_below = match free {
            Some(other) => below(export, &known, ip, name, &other)?,
            None => false,
        };
        if said_above && !said_below {
            export.hole(At::PairBelow(ip, name), until)?;
        }
        Ok(said_below)
    })
}

/// Writes what is said of all names below this one, for which `other` stands; tells whether something is.
fn below(
    export: &mut Export<'_>,
    known: &AsKnown<'_>,
    ip: IpAddr,
    name: &str,
    other: &Name,
) -> io::Result<bool> {
    let (mut answer, until) = judge(export, known, ip, other);
    if answer.a.is_empty() {
        return Ok(false);
    }
    let star = if name.is_empty() { "*".to_owned() } else { format!("*.{name}") };
    speak_for_all(&mut answer, other, &star);
    export.say(At::PairBelow(ip, name), &answer, until)?;
    Ok(true)
}

/// No text tells of a name that was made up.
fn speak_for_all(answer: &mut Answer, other: &Name, star: &str) {
    answer.txt = answer.txt.take().map(|text| text.replace(other.text(), star));
}

fn judge(export: &mut Export<'_>, known: &AsKnown<'_>, ip: IpAddr, name: &Name) -> (Answer, Time) {
    let verdict = known.pair(name, false);
    export.note(verdict.until);
    let says_something = verdict.code.is_some() || !verdict.listings.is_empty();
    let verdict =
        if says_something && export.has_texts() { known.pair(name, true) } else { verdict };
    let now = export.judge.now();
    let answer = Answer::of_pair(ip, name, &verdict, Exists::NxDomain, now, &export.caps);
    (answer, verdict.until)
}

/// The name, if it and the address are a pair that can be asked for.
fn pair_key(kind: Kind, ip: IpAddr, name: &str) -> Option<Name> {
    // The zone of names knows which names are keys; what address they come from makes no difference but for test points.
    let (name, is_test) = match key_of(Kind::Ehlo, name) {
        Key::Name(name) => (name, false),
        Key::TestListed(_) => (Name::parse(name.as_bytes()), ip == LISTED_IP),
        _ => return None,
    };
    let is_part =
        kind == Kind::Pair && is_above_ipv6(ip) && is_nibble(name.text().rsplit('.').next());
    (!is_test && !is_part).then_some(name)
}

/// True for an address whose key stands above those of IPv6 addresses.
fn is_above_ipv6(ip: IpAddr) -> bool {
    helostat_zones::key::is_also_above_ipv6(ip)
}

/// True for a label that would be taken for a part of an IPv6 address.
fn is_nibble(label: Option<&str>) -> bool {
    label.is_some_and(|label| label.len() == 1 && label.bytes().all(|it| it.is_ascii_hexdigit()))
}

//! The zones of addresses: every client of which something is said, and every network on which the operator decided.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use helostat_zones::answer::{Answer, Codes};
use helostat_zones::client::Client;
use helostat_zones::export::{At, Range};
use helostat_zones::key::{Key, Kind};

use super::walk::{Stretch, walk};
use super::{Export, key_of};
use crate::judge::Judge;

pub(super) fn export(export: &mut Export<'_>) -> io::Result<()> {
    let (judge, kind, now) = (export.judge, export.kind, export.judge.now());
    let tests: Vec<Ipv4Addr> = (0..=u8::MAX)
        .map(|last| Ipv4Addr::new(127, 0, 0, last))
        .filter(|ip| is_test(kind, *ip))
        .collect();
    let span = |client: Client| match client {
        Client::V4(ip) => Some(Range::V4(ip, ip)),
        Client::V6(top) => {
            let first = u128::from(top) << 64;
            Some(Range::V6(first, first | u128::from(u64::MAX)))
        }
    };
    walk(judge, now, &tests, span, &mut |stretch| match stretch {
        Stretch::Client(client, range) => say(export, range, last_seen(export, client, range)),
        Stretch::Decided(range) => say(export, range, range.first()),
        Stretch::Test(ip) => match key_of(kind, &reversed(ip)) {
            Key::TestListed(value) => export.test_point(At::Clients(Range::of(ip)), value),
            _ => Ok(()),
        },
    })
}

/// The address in the range that speaks for the client: of the one it was last seen with, findings are at hand.
fn last_seen(export: &Export<'_>, client: Client, range: Range) -> IpAddr {
    let last = match client {
        Client::V4(_) => None,
        Client::V6(_) => export.judge.ledger().client(client, |row| row?.facts().last_ip),
    };
    last.map(|(_, ip)| ip).filter(|ip| range.has(*ip)).unwrap_or_else(|| range.first())
}

/// Writes what is said of addresses that are judged alike, of which `ip` is one.
fn say(export: &mut Export<'_>, range: Range, ip: IpAddr) -> io::Result<()> {
    let kind = export.kind;
    let known = export.judge.as_known(ip);
    // Words cost as much as the verdict, and of most clients most zones say nothing.
    let verdict = known.client(false);
    export.note(verdict.until);
    if Codes::of(&verdict).values(kind).next().is_none() {
        return Ok(());
    }
    let verdict = if export.has_texts() { known.client(true) } else { verdict };
    let now = export.judge.now();
    let answer = Answer::of_client(kind, ip, &verdict, now, &export.caps);
    export.say(At::Clients(range), &answer, verdict.until)
}

fn is_test(kind: Kind, ip: Ipv4Addr) -> bool {
    matches!(key_of(kind, &reversed(ip.into())), Key::TestListed(_) | Key::TestUnlisted)
}

/// The labels of an address of the loopback network, in IPv4 form: the test points are the same in both.
fn reversed(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(_) => String::new(),
    }
}

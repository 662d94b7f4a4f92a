//! Over all addresses of which something could be said, from the lowest to the highest.
//!
//! Out comes one stretch after another: a client of the ledger, a range between clients on which the operator decided, or a test point. They do
//! not overlap, and all addresses of a stretch are judged alike: stretches end wherever a decision begins or ends. So a host that is allowed in a
//! network that is denied needs no rule of its own here, and no format needs to know which of two entries counts.
//!
//! IPv4-mapped IPv6 addresses are the IPv4 addresses, and left out but for the test points.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use helostat_zones::client::Client;
use helostat_zones::export::Range;
use helostat_zones::operator::{Decisions, Subject};
use helostat_zones::time::Time;
use ipnet::IpNet;

use crate::ledger_judge::LedgerJudge;

/// ::ffff:0:0/96.
const MAPPED: (u128, u128) = (0xffff_0000_0000, 0xffff_ffff_ffff);

/// Addresses that are judged alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    /// A client of the ledger, or the part of it with these addresses.
    Client(Client, Range),
    /// Addresses of no client, on which the operator decided.
    Decided(Range),
    /// A test point.
    Test(IpAddr),
}

/// Walks. `span` gives the addresses of a client, `None` to pass it over; `tests` are the test points, which are some in IPv6 form, too.
pub(super) fn walk(
    judge: &LedgerJudge,
    now: Time,
    tests: &[Ipv4Addr],
    span: impl Fn(Client) -> Option<Range>,
    each: &mut dyn FnMut(Stretch) -> io::Result<()>,
) -> io::Result<()> {
    let decisions = judge.decisions();
    let (cuts, next) = (Vec::new(), Some(0));
    let mut line = Line { decisions: &decisions, now, tests, each, cuts, next, is_v4: true };
    line.begin(true);
    let mut walked = Ok(());
    judge.ledger().each_client(&mut |client| {
        walked = step(&mut line, client, &span);
        walked.is_ok()
    });
    walked?;
    if line.is_v4 {
        line.finish()?;
        line.begin(false);
    }
    line.finish()
}

fn step(
    line: &mut Line<'_>,
    client: Client,
    span: &impl Fn(Client) -> Option<Range>,
) -> io::Result<()> {
    if line.is_v4 && matches!(client, Client::V6(_)) {
        line.finish()?;
        line.begin(false);
    }
    match span(client) {
        Some(Range::V4(first, last)) => line.client(client, first.into(), last.into()),
        Some(Range::V6(first, last)) => line.client(client, first, last),
        None => Ok(()),
    }
}

/// All addresses of one family in a line.
struct Line<'a> {
    decisions: &'a Decisions,
    now: Time,
    tests: &'a [Ipv4Addr],
    each: &'a mut dyn FnMut(Stretch) -> io::Result<()>,
    /// Where something may begin that is judged otherwise; sorted.
    cuts: Vec<u128>,
    /// The first address that was not walked over yet; `None` behind the last.
    next: Option<u128>,
    is_v4: bool,
}

impl Line<'_> {
    fn begin(&mut self, is_v4: bool) {
        (self.is_v4, self.next) = (is_v4, Some(0));
        self.cuts.clear();
        let decided = self.decisions.iter().filter_map(|decision| match &decision.subject {
            Subject::Prefix(net) => ends(*net, is_v4),
            Subject::Name(_) | Subject::Family(_) => None,
        });
        let offset = if is_v4 { 0 } else { MAPPED.0 };
        let tests = self.tests.iter().map(|ip| offset + u128::from(u32::from(*ip)));
        let mapped = Some(MAPPED).filter(|_| !is_v4);
        let all = decided.chain(tests.map(|ip| (ip, ip))).chain(mapped);
        for (first, last) in all {
            self.cuts.push(first);
            self.cuts.extend(last.checked_add(1));
        }
        self.cuts.sort_unstable();
        self.cuts.dedup();
    }

    fn last(&self) -> u128 {
        if self.is_v4 { u32::MAX.into() } else { u128::MAX }
    }

    fn client(&mut self, client: Client, first: u128, last: u128) -> io::Result<()> {
        self.gap(first.checked_sub(1))?;
        self.pieces(first, last, Some(client))?;
        self.next = last.checked_add(1);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.gap(Some(self.last()))
    }

    /// From the next address to this one nobody is a client.
    fn gap(&mut self, last: Option<u128>) -> io::Result<()> {
        match (self.next, last) {
            (Some(first), Some(last)) if first <= last => self.pieces(first, last, None),
            _ => Ok(()),
        }
    }

    fn pieces(&mut self, first: u128, last: u128, client: Option<Client>) -> io::Result<()> {
        let mut from = first;
        let mut at = self.cuts.partition_point(|cut| *cut <= first);
        while let Some(cut) = self.cuts.get(at).copied().filter(|cut| *cut <= last) {
            self.piece(from, cut - 1, client)?;
            (from, at) = (cut, at + 1);
        }
        self.piece(from, last, client)
    }

    fn piece(&mut self, first: u128, last: u128, client: Option<Client>) -> io::Result<()> {
        let (range, ip) = if self.is_v4 {
            // Numbers of IPv4 are never larger.
            let [first, last] = [first, last].map(|it| u32::try_from(it).unwrap_or(u32::MAX));
            (Range::V4(first, last), IpAddr::V4(first.into()))
        } else {
            (Range::V6(first, last), IpAddr::V6(Ipv6Addr::from(first)))
        };
        let canonical = ip.to_canonical();
        if first == last && self.tests.iter().any(|test| canonical == *test) {
            return (self.each)(Stretch::Test(ip));
        }
        if !self.is_v4 && canonical.is_ipv4() {
            return Ok(());
        }
        match client {
            Some(client) => (self.each)(Stretch::Client(client, range)),
            None if self.decisions.of_client(ip, self.now).is_some() => {
                (self.each)(Stretch::Decided(range))
            }
            None => Ok(()),
        }
    }
}

/// The first and the last address of a prefix, if it is of this family.
fn ends(net: IpNet, is_v4: bool) -> Option<(u128, u128)> {
    match net {
        IpNet::V4(net) if is_v4 => {
            Some((u32::from(net.network()).into(), u32::from(net.broadcast()).into()))
        }
        IpNet::V6(net) if !is_v4 => Some((net.network().into(), net.broadcast().into())),
        _ => None,
    }
}

//! The sites that report: a few see much, many see little; some see list mail only, some are traps.
//!
//! A site's share of all mail is like 1 / rank^zipf. Which kind a site is, whether it can be reached over IPv6 and
//! whether it is bad is drawn; the largest is always an honest border MTA.

use std::net::IpAddr;

use helostat_zones::observation::{Reporter, ReporterKind};

use super::addresses::Space;
use super::draws::Draws;
use super::names::{Names, mta};
use super::settings::Settings;

/// How many sites there may be.
const MOST: usize = 1000;

/// What sort of mail a site sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All of its users' mail.
    Mx,
    /// Mail to lists, of subscribers for the most part.
    ListOnly,
    /// Mail to addresses that nobody has.
    Trap,
}

impl Kind {
    /// The kind that such a reporter has in a configuration.
    pub fn reporter_kind(self) -> ReporterKind {
        match self {
            Self::Mx | Self::ListOnly => ReporterKind::Mx,
            Self::Trap => ReporterKind::Trap,
        }
    }

    /// The word for it in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::ListOnly => "list-only",
            Self::Trap => "trap",
        }
    }
}

/// A site that reports.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name as a reporter, which is its domain.
    pub reporter: Reporter,
    /// What its border MTA is called.
    pub host: String,
    /// The address of its border MTA.
    pub ip: IpAddr,
    /// What it sees.
    pub kind: Kind,
    /// It also tells what never was.
    pub bad: bool,
    /// It can be reached over IPv6.
    pub ipv6: bool,
}

/// All of them, largest first.
pub(super) struct Reporters {
    pub(super) sites: Vec<Site>,
    /// The sums of shares up to each site, of wanted and of unwanted mail.
    good: Vec<f64>,
    bad: Vec<f64>,
}

impl Reporters {
    pub(super) fn new(
        settings: &Settings,
        draws: &mut Draws,
        names: &mut Names,
        space: &mut Space,
    ) -> Self {
        let count = settings.reporters.clamp(1, MOST);
        let mut sites: Vec<Site> = (0..count)
            .map(|_| {
                let domain = names.domain(draws);
                Site {
                    host: mta(draws, &domain),
                    reporter: domain.into(),
                    ip: space.server(draws).into(),
                    kind: Kind::Mx,
                    bad: false,
                    ipv6: draws.chance(settings.ipv6),
                }
            })
            .collect();
        let part = |part: f64| (part * count as f64).round() as usize;
        for (kind, part) in
            [(Kind::Trap, part(settings.traps)), (Kind::ListOnly, part(settings.list_only))]
        {
            for place in free(draws, &sites, part) {
                sites[place].kind = kind;
            }
        }
        let bad =
            if settings.bad_reporters > 0.0 { part(settings.bad_reporters).max(1) } else { 0 };
        for place in free(draws, &sites, bad) {
            sites[place].bad = true;
        }
        let sums = |seen: fn(Kind, &Settings) -> f64| {
            let mut sum = 0.0;
            let share = |(rank, site): (usize, &Site)| {
                sum += seen(site.kind, settings) / ((rank + 1) as f64).powf(settings.zipf);
                sum
            };
            sites.iter().enumerate().map(share).collect()
        };
        let good = sums(|kind, settings| match kind {
            Kind::Trap => settings.assumed.trap_ham,
            Kind::Mx | Kind::ListOnly => 1.0,
        });
        let bad = sums(|kind, settings| match kind {
            Kind::ListOnly => settings.assumed.list_spam,
            Kind::Mx | Kind::Trap => 1.0,
        });
        Self { sites, good, bad }
    }

    /// A site for a message, by its share of such mail.
    pub(super) fn draw(&self, draws: &mut Draws, good: bool) -> u16 {
        let sums = if good { &self.good } else { &self.bad };
        let place = draws.unit() * sums.last().copied().unwrap_or_default();
        sums.partition_point(|sum| *sum <= place).min(sums.len() - 1) as u16
    }

    /// The sites that a sender writes to: `count` draws, so a large site is there more than once.
    pub(super) fn circle(&self, draws: &mut Draws, count: usize) -> Vec<u16> {
        (0..count.max(1)).map(|_| self.draw(draws, true)).collect()
    }

    /// So many sites, each once, or all that there are.
    pub(super) fn distinct(&self, draws: &mut Draws, count: usize, good: bool) -> Vec<u16> {
        let mut sites = Vec::new();
        // A site that hardly sees such mail need not be found.
        for _ in 0..count * 50 {
            let site = self.draw(draws, good);
            if !sites.contains(&site) {
                sites.push(site);
            }
            if sites.len() == count {
                break;
            }
        }
        sites
    }

    /// The bad ones.
    pub(super) fn bad(&self) -> Vec<u16> {
        let bad = |(place, site): (usize, &Site)| site.bad.then_some(place as u16);
        self.sites.iter().enumerate().filter_map(bad).collect()
    }
}

/// Places of `count` sites that have no part yet; never the first.
fn free(draws: &mut Draws, sites: &[Site], count: usize) -> Vec<usize> {
    let mut free: Vec<usize> = (1..sites.len())
        .filter(|place| sites[*place].kind == Kind::Mx && !sites[*place].bad)
        .collect();
    let mut chosen = Vec::new();
    while chosen.len() < count && !free.is_empty() {
        chosen.push(free.swap_remove(draws.below(free.len())));
    }
    chosen
}

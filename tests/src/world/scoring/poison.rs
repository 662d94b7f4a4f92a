//! What the lies of bad reporters do: the same world with them and without, side by side.
//!
//! Every midnight the pairs that stand without lies, and of which three or more honest reporters told that they
//! accepted mail, are asked for in both. Nothing fails.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use helostat_zones::evidence::FindingSet;
use helostat_zones::name::Name;
use helostat_zones::policy::Policy;
use helostat_zones::rules::Findings;
use helostat_zones::time::{DAY_SECONDS, Time};
use helostat_zones::verdict::Class as Verdict;

use super::tally::Said;
use super::{World, player};
use crate::world::settings::Settings;

/// So many honest reporters make a pair one that no lie may touch.
const REPORTERS: usize = 3;
/// Cases that are told in full.
const CASES: usize = 10;

/// What the lies did.
#[derive(Clone, Debug, Default)]
pub struct Poison {
    /// Bad reporters among all of them.
    pub bad: usize,
    /// All of them.
    pub reporters: usize,
    /// Lies.
    pub lies: usize,
    /// Established pairs of three and more honest reporters.
    pub firm: usize,
    /// Those of them of which lies are told.
    pub victims: usize,
    /// Those of them of which another class was said at some midnight.
    pub pairs_changed: usize,
    /// ... whose address was said to be of another class.
    pub addresses_changed: usize,
    /// ... whose address was listed only because of lies.
    pub addresses_listed: usize,
    /// Other pairs of honest senders that were listed only because of lies.
    pub others_listed: usize,
    /// Pairs for which attackers made up history.
    pub made_up: usize,
    /// Those of them that were known or trusted.
    pub made_up_known: usize,
    /// Those of them that were trusted.
    pub made_up_trusted: usize,
    /// In words.
    pub cases: Vec<String>,
}

/// Judges a world with lies and without.
pub fn poison(settings: &Settings, policy: &Policy) -> Poison {
    let world = &World::new(settings);
    let dns = world.dns();
    let mut result = Poison {
        bad: world.sites.iter().filter(|site| site.bad).count(),
        reporters: world.sites.len(),
        ..Poison::default()
    };
    let (mut told, mut clean) = (player(policy), player(policy));
    let mut by: BTreeMap<u32, HashSet<u16>> = BTreeMap::new();
    let mut lied_of = HashSet::new();
    let mut sets: [BTreeSet<u32>; 8] = Default::default();
    let mut midnight = Time(world.span.from.0 + DAY_SECONDS);
    for place in 0..world.drafts.len() {
        let draft = world.drafts[place];
        let seen = world.message(place).observation;
        while midnight.0 <= draft.time.0 {
            for (pair, reporters) in &by {
                let it = &world.pairs[*pair as usize];
                let findings = it.dns.findings(&it.name);
                let known = Findings(Some(&findings));
                let (Some(with), Some(without)) = (
                    told.pair(it.ip, &it.name, known, midnight),
                    clean.pair(it.ip, &it.name, known, midnight),
                ) else {
                    continue;
                };
                let made_up =
                    world.senders[it.sender as usize].class == crate::world::class::Class::Poisoner;
                if made_up {
                    if with.class <= Verdict::Known {
                        sets[4].insert(*pair);
                    }
                    if with.class == Verdict::Trusted {
                        sets[5].insert(*pair);
                    }
                    continue;
                }
                let stands = without
                    .reasons
                    .iter()
                    .any(|reason| matches!(reason.word, "established" | "strong"));
                if !stands || reporters.len() < REPORTERS {
                    if with.class == Verdict::Listed && without.class != Verdict::Listed {
                        sets[6].insert(*pair);
                    }
                    continue;
                }
                sets[0].insert(*pair);
                if with.class != without.class
                    && sets[1].insert(*pair)
                    && result.cases.len() < CASES
                {
                    result.cases.push(format!(
                        "pair {} {} at {midnight}: {}; without lies {}",
                        it.ip,
                        it.name,
                        Said::new(with.class, &with.reasons).told(),
                        Said::new(without.class, &without.reasons).told()
                    ));
                }
                let found = |name: &Name| -> Option<FindingSet> {
                    let place = dns.get(&(it.ip, name))?;
                    Some(world.pairs[*place].dns.findings(name))
                };
                let (Some(with), Some(without)) =
                    (told.client(it.ip, found, midnight), clean.client(it.ip, found, midnight))
                else {
                    continue;
                };
                if with.class != without.class
                    && sets[2].insert(*pair)
                    && result.cases.len() < CASES
                {
                    result.cases.push(format!(
                        "address {} of {} at {midnight}: {}; without lies {}",
                        it.ip,
                        it.name,
                        Said::new(with.class, &with.reasons).told(),
                        Said::new(without.class, &without.reasons).told()
                    ));
                }
                if with.class == Verdict::Listed && without.class != Verdict::Listed {
                    sets[3].insert(*pair);
                }
            }
            midnight = Time(midnight.0 + DAY_SECONDS);
        }
        let kind = world.kind_of(&draft);
        let pair = &world.pairs[draft.pair as usize];
        told.learn(&seen, kind);
        if draft.fake {
            result.lies += 1;
            lied_of.insert(pair.ip);
            if pair.owned.is_some() {
                sets[7].insert(draft.pair);
                by.entry(draft.pair).or_default();
            }
            continue;
        }
        clean.learn(&seen, kind);
        let site = &world.sites[usize::from(draft.site)];
        if draft.good && draft.outcome.is_accepted() && kind.builds_standing() && !site.bad {
            by.entry(draft.pair).or_default().insert(draft.site);
        }
    }
    let count = |at: usize| sets[at].len();
    result.firm = count(0);
    result.victims =
        sets[0].iter().filter(|pair| lied_of.contains(&world.pairs[**pair as usize].ip)).count();
    result.pairs_changed = count(1);
    result.addresses_changed = count(2);
    result.addresses_listed = count(3);
    result.made_up_known = count(4);
    result.made_up_trusted = count(5);
    result.others_listed = count(6);
    result.made_up = count(7);
    result
}

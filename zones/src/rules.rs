//! History and findings in, verdict out.
//!
//! In: what the ledger knows ([`crate::history`]), what the DNS says (a finding per system, or none
//! where nothing is known yet), the numbers of the policy, and "now". Out: a verdict. Nothing fails:
//! without history and without evidence the verdict is `new`.
//!
//! Rules that may not be broken, each with a test:
//! - A mismatch between EHLO and the address alone never lists (RFC 5321 section 4.1.4).
//! - No history is `new`, not bad.
//! - Standing belongs to the pair that earned it: who says a good name from elsewhere inherits nothing.
//! - A pair that stands keeps answering well when others behind the same address do not (NAT).
//! - A denial by the publisher counts within the publisher's own name only.
//! - What an address did under other names does not list it while one of its pairs stands: it is
//!   `suspect`, and the pair says what it is.
//!
//! Points: a score begins at 50; each reason adds its points; the sum is held to 0..=100. The points
//! are starting values; the classes follow from rules, not from the sum.
//!
//! Not done yet: the operator's own allow and deny, `provider`, `forwarder` and `shared`; a generic reverse
//! name lowers a score and lists nobody.

use std::net::IpAddr;
use std::time::Duration;

use crate::client::Client;
use crate::evidence::System;
use crate::history::{ClientHistory, NameHistory, NetworkHistory, PairHistory, Standing};
use crate::ledger::activity::{DAYS_KEPT, Days};
use crate::name::{Name, NameKind};
use crate::policy::Policy;
pub use crate::testimony::Findings;
use crate::time::{Day, Time};
use crate::verdict::{
    Class, ClientVerdict, ListCode, NameCode, NameVerdict, PairCode, PairVerdict, Rating, Reason,
    Trust,
};

/// The points a score begins with.
const POINTS_START: i32 = 50;

/// Everything about an address that a verdict is made from.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The address.
    pub ip: IpAddr,
    /// What the ledger knows of its client.
    pub client: &'a ClientHistory,
    /// What the ledger knows of its network.
    pub network: &'a NetworkHistory,
    /// What the DNS says: of the name in question, or of the client's firmest pair.
    pub findings: Findings<'a>,
    /// The numbers.
    pub policy: &'a Policy,
    /// The moment.
    pub now: Time,
}

/// Judges a client. The findings are those of its firmest pair.
pub fn judge_client(case: &Case<'_>) -> ClientVerdict {
    let Case { ip, client: history, findings, policy, now, .. } = *case;
    let mut reasons = Vec::new();
    let mut listings = Vec::new();
    let best = history.best();
    let stands = best.filter(|pair| pair.is_established());
    if let Some(pair) = stands {
        reasons.push(standing_reason(pair));
        reasons.extend(findings.reasons(&pair.name, &policy.weights));
    }

    let families = history.family_count;
    let many = match Client::of(ip) {
        Client::V4(_) => policy.many_families_v4,
        Client::V6(_) => policy.many_families_v6,
    };
    let too_many = families.n >= u64::from(many);
    if too_many {
        let text = format!(
            "said names of {families} families within {} days ({})",
            policy.families_window_days,
            sample(history.families.iter().map(String::as_str)),
        );
        if stands.is_some() {
            reasons.push(Reason {
                word: "shared",
                points: -35,
                text: format!(
                    "{text}, beside a pair that stands: several hosts may share this address"
                ),
            });
        } else {
            listings.push(ListCode::ManyFamilies);
            reasons.push(Reason { word: "many-families", points: -45, text });
        }
    }
    let watched = history.watched_count.n >= u64::from(policy.watch_families);
    if watched && !too_many {
        reasons.push(Reason {
            word: "second-family",
            points: -10,
            text: format!(
                "said names of {} families within {} days ({})",
                history.watched_count,
                policy.watch_window_days,
                sample(history.watched_families.iter().map(String::as_str)),
            ),
        });
    }
    if stands.is_none() {
        judge_newcomer(case, &mut reasons, &mut listings);
    }

    let refused = best.is_some_and(PairHistory::is_mostly_refused) && stands.is_none();
    if refused && listings.is_empty() {
        reasons.push(Reason {
            word: "mostly-refused",
            points: -10,
            text: "more of its mail was refused than accepted".into(),
        });
    }

    let class = if !listings.is_empty() {
        Class::Listed
    } else if too_many || watched {
        Class::Suspect
    } else if let Some(pair) = stands {
        if pair.standing == Standing::Strong && pair.name.is_fqdn() {
            Class::Trusted
        } else {
            Class::Known
        }
    } else {
        Class::New
    };
    if class == Class::New {
        reasons.push(Reason {
            word: "new",
            points: 0,
            text: if history.is_empty() {
                "never seen".into()
            } else {
                "not enough history yet".into()
            },
        });
    }
    sort_reasons(&mut reasons);
    listings.sort_unstable();
    ClientVerdict {
        class,
        // A newcomer has no score: "not enough history" is not "50".
        score: (class != Class::New).then(|| score(&reasons)),
        confidence: best.map_or(0, confidence),
        trust: stands.filter(|_| listings.is_empty()).map(|_| Trust {
            category: 4,
            level: match class {
                Class::Trusted if findings.agrees() => 3,
                Class::Trusted => 2,
                Class::Known => 1,
                _ => 0,
            },
        }),
        until: valid_until(stands.or(best), findings, policy, now),
        reasons,
        listings,
    }
}

/// Signs that list a client without a pair that stands.
fn judge_newcomer(case: &Case<'_>, reasons: &mut Vec<Reason>, listings: &mut Vec<ListCode>) {
    let Case { client: history, network, findings, policy, now, .. } = *case;
    if history.is_empty() {
        return;
    }
    let junk: Vec<_> = history.pairs.iter().filter(|pair| is_junk(pair, history)).collect();
    let junk_sessions = junk.iter().fold(0u32, |sum, pair| sum.saturating_add(pair.observations));
    // The days of all of it together: bots say something else every day.
    let junk_days = junk.iter().fold(Days::default(), |days, pair| days.merge(pair.seen_on));
    let junk_days = junk_days.within(now.day(), DAYS_KEPT);
    if junk_sessions >= policy.junk_messages && junk_days >= policy.junk_days {
        listings.push(ListCode::Junk);
        reasons.push(Reason {
            word: "junk",
            points: -40,
            text: format!(
                "said no usable name in {junk_sessions} sessions on {junk_days} days ({})",
                sample(junk.iter().map(|pair| pair.name.text())),
            ),
        });
    }
    if let Some(denial) = findings.denial(&policy.weights)
        && let Some(name) = history.best().map(|pair| &pair.name)
    {
        listings.push(ListCode::Denied);
        reasons.push(denial.told(name));
    }
    // All its names fresh in a network where many fresh names appear: snowshoe.
    let fresh_here = history
        .pairs
        .iter()
        .filter_map(|pair| pair.name.family())
        .any(|family| network.fresh_families.contains(family));
    let crowd = network.fresh_families.len();
    if crowd >= policy.crowded_families as usize && fresh_here {
        listings.push(ListCode::Crowded);
        reasons.push(Reason {
            word: "crowded",
            points: -40,
            text: format!(
                "{crowd} families without standing appeared in {} within {} days ({})",
                network.network,
                policy.crowded_window_days,
                sample(network.fresh_families.iter().map(String::as_str)),
            ),
        });
    }
}

/// Judges a pair. The findings are those of this name.
pub fn judge_pair(case: &Case<'_>, name: &Name, name_history: &NameHistory) -> PairVerdict {
    let Case { ip, client, findings, policy, now, .. } = *case;
    let pair = client.pair(name);
    let mut reasons = Vec::new();
    if let Some(pair) = pair.filter(|pair| pair.is_established()) {
        reasons.push(standing_reason(pair));
        reasons.extend(findings.reasons(&pair.name, &policy.weights));
        if let Some(denial) = findings.denial(&policy.weights) {
            // A publisher may make a mistake; a long history keeps answering, and says so.
            reasons.push(denial.told(name));
        }
        sort_reasons(&mut reasons);
        let strong = pair.standing == Standing::Strong && name.is_fqdn();
        return PairVerdict {
            class: if strong { Class::Trusted } else { Class::Known },
            code: Some(if findings.authorises() {
                PairCode::Authorised
            } else if findings.passes(System::Forward) {
                PairCode::Confirmed
            } else {
                PairCode::Established
            }),
            listings: Vec::new(),
            reasons,
            until: valid_until(Some(pair), findings, policy, now),
        };
    }

    // What lists the client without this pair lists the pair too; a denial is about this name.
    let mut listings = judge_client(&Case { findings: Findings::default(), ..*case }).listings;
    if let Some(denial) = findings.denial(&policy.weights) {
        listings.push(ListCode::Denied);
        reasons.push(denial.told(name));
        if name_history.is_established() {
            listings.push(ListCode::ClaimsOthers);
            reasons.push(Reason {
                word: "claims-others",
                points: -10,
                text: format!(
                    "{name} belongs to {}",
                    sample(name_history.established_on.iter().map(String::as_str)),
                ),
            });
        }
    }
    listings.sort_unstable();
    listings.dedup();

    let steady = client.pairs.iter().find(|pair| pair.is_established());
    let same_family = |pair: &PairHistory| pair.name.family() == name.family();
    let code = if let Some(steady) = steady {
        let moved = name.family().is_some()
            && client.pairs.iter().any(|pair| pair.is_established() && same_family(pair));
        reasons.push(Reason {
            word: if moved { "same-family" } else { "new-name" },
            points: if moved { 10 } else { 0 },
            text: format!("a new name on a client that stands as {}", steady.name),
        });
        if moved { Some(PairCode::Moved) } else { Some(PairCode::NewName) }
    } else if name_history.is_established() {
        let near = name_history.established_networks.contains(&Client::of(ip).network());
        // A host that renumbered: who owns the name says that it is here now.
        let agreed = findings.agrees();
        reasons.extend(findings.reasons(name, &policy.weights));
        let moved = near || agreed;
        reasons.push(Reason {
            word: if near { "same-network" } else { "new-client" },
            points: if near { 5 } else { 0 },
            text: format!(
                "{name} stands on {}, not on this client",
                sample(name_history.established_on.iter().map(String::as_str)),
            ),
        });
        if moved { Some(PairCode::Moved) } else { Some(PairCode::NewClient) }
    } else if name_history.family_networks.contains(&Client::of(ip).network()) {
        reasons.push(Reason {
            word: "same-family",
            points: 5,
            text: format!(
                "its family stands in this network, on {}",
                sample(name_history.family_on.iter().map(String::as_str)),
            ),
        });
        Some(PairCode::Moved)
    } else {
        reasons.push(Reason {
            word: "new",
            points: 0,
            text: match pair {
                Some(_) => "not enough history yet".into(),
                None => "this pair was never seen".into(),
            },
        });
        pair.map(|_| PairCode::TooLittle)
    };
    sort_reasons(&mut reasons);
    PairVerdict {
        class: if listings.is_empty() { Class::New } else { Class::Listed },
        code,
        listings,
        reasons,
        until: valid_until(pair.or(steady), findings, policy, now),
    }
}

/// Judges a name, whoever says it. `findings` are those of the name with any client.
pub fn judge_name(
    name: &Name,
    history: &NameHistory,
    findings: Findings<'_>,
    policy: &Policy,
    now: Time,
) -> NameVerdict {
    let mut codes = Vec::new();
    let mut reasons = Vec::new();
    let stands = history.is_established();
    let denial = findings.denial(&policy.weights).filter(|denial| denial.is_of_name());
    if let Some(denial) = denial.filter(|_| !stands) {
        codes.push(NameCode::Bad);
        reasons.push(denial.told(name));
    }
    let many = policy.name_many_networks as usize;
    if history.foreign_networks >= many && !stands {
        let (code, word) = if name.is_fqdn() {
            (NameCode::ManyNetworks, "many-networks")
        } else {
            (NameCode::Junk, "junk")
        };
        codes.push(code);
        reasons.push(Reason {
            word,
            points: -30,
            text: format!(
                "said from {} networks that have no tie to it within {} days",
                history.foreign_networks, policy.families_window_days
            ),
        });
    }
    if !codes.is_empty() && !codes.contains(&NameCode::Bad) {
        codes.push(NameCode::Bad);
    }
    codes.sort_unstable();
    let rating = if denial.is_some() && !stands {
        Some(Rating::E)
    } else if !codes.is_empty() {
        Some(Rating::D)
    } else if stands {
        reasons.push(Reason {
            word: "established",
            points: 20,
            text: format!(
                "{name} stands on {}",
                sample(history.established_on.iter().map(String::as_str))
            ),
        });
        Some(if findings.agrees() { Rating::A } else { Rating::B })
    } else {
        None
    };
    sort_reasons(&mut reasons);
    NameVerdict { rating, codes, reasons, until: valid_until(None, findings, policy, now) }
}

/// Names that no host can own and that honest software does not send: addresses without brackets,
/// syntax violations, and literals of somebody else. `localhost` and bare words are left out: many
/// honest hosts are set up badly.
fn is_junk(pair: &PairHistory, client: &ClientHistory) -> bool {
    match pair.kind {
        NameKind::Malformed | NameKind::BareIp => true,
        NameKind::Literal => pair.name.ip().map(Client::of) != Some(client.client),
        _ => false,
    }
}

fn standing_reason(pair: &PairHistory) -> Reason {
    let strong = pair.standing == Standing::Strong;
    let reporters = match pair.reporters {
        0 | 1 => String::new(),
        n => format!(", seen by {n} reporters"),
    };
    Reason {
        word: if strong { "strong" } else { "established" },
        points: if strong { 35 } else { 20 },
        text: format!(
            "{}: {} messages accepted on {} of the last 64 days, first on {}{reporters}",
            pair.name,
            pair.accepted,
            pair.accepted_days,
            date(pair.first_accepted.unwrap_or(pair.first)),
        ),
    }
}

fn score(reasons: &[Reason]) -> u8 {
    let sum: i32 = reasons.iter().map(|reason| reason.points).sum();
    u8::try_from((POINTS_START + sum).clamp(0, 100)).unwrap_or_default()
}

/// How much history stands behind a pair: full at 30 messages on 14 days.
fn confidence(pair: &PairHistory) -> u8 {
    let messages = pair.observations.min(30) * 50 / 30;
    let days = pair.days.min(14) * 50 / 14;
    u8::try_from(messages + days).unwrap_or(100)
}

/// Heaviest first; equal weights in the order of their words, so that the order is always the same.
fn sort_reasons(reasons: &mut [Reason]) {
    reasons.sort_by(|a, b| (b.points.abs(), a.word).cmp(&(a.points.abs(), b.word)));
}

/// The first three of many, for a sentence.
fn sample<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let mut all = all.peekable();
    let shown: Vec<_> = all.by_ref().take(3).collect();
    let more = if all.peek().is_some() { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn date(time: Time) -> String {
    time.to_string().chars().take(10).collect()
}

/// The moment at which time alone could change a verdict: windows are counted in UTC days, so the next
/// midnight; a pair comes of age on its own hour; and evidence holds for its own time.
fn valid_until(
    pair: Option<&PairHistory>,
    findings: Findings<'_>,
    policy: &Policy,
    now: Time,
) -> Time {
    let midnight = Day(now.day().0.saturating_add(1)).start();
    let of_age = |days: u32| {
        let first = pair?.first_accepted?;
        let moment = first.after(Duration::from_secs(u64::from(days) * 86_400));
        (moment > now).then_some(moment)
    };
    [
        Some(midnight),
        of_age(policy.established_age_days),
        of_age(policy.strong_age_days),
        findings.shortest().map(|ttl| now.after(ttl)),
    ]
    .into_iter()
    .flatten()
    .min()
    .unwrap_or(midnight)
}

#[cfg(test)]
mod tests;

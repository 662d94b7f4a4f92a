//! History, findings and the operator's decisions in, verdict out.
//!
//! In: what the ledger knows ([`crate::history`]), what the DNS says (a finding per system, or none
//! where nothing is known yet), what the operator decided, the numbers of the policy, and "now". Out: a verdict. Nothing
//! fails: without history and without evidence the verdict is `new`.
//!
//! Rules that may not be broken, each with a test:
//! - The operator's decision beats everything, and is shown as such.
//! - A mismatch between EHLO and the address alone never lists (RFC 5321 section 4.1.4).
//! - No history is `new`, not bad.
//! - Standing belongs to the pair that earned it: who says a good name from elsewhere inherits nothing, unless the
//!   DNS of the name says that it is there now.
//! - A pair that stands keeps answering well when others behind the same address do not (NAT).
//! - A denial by the publisher counts within the publisher's own name only.
//! - What an address did under other names does not list it while one of its pairs stands: it is
//!   `suspect`, and the pair says what it is.
//! - A pair that stands with several reporters is judged by its own history alone.
//!
//! A pair's points are the sum of what its measures ([`crate::measures`]) and the findings add. The score is
//! their logistic curve, from 0 to 100. The class follows from the points and from rules:
//!
//! | class | when |
//! |---|---|
//! | trusted | strong, and `trusted-points` |
//! | known | established, or early: `known-points` after a few messages over a few days; or its family has long been at home in the network, or the DNS agrees that a name that stands moved here |
//! | listed | none of these, and a rule lists it, or `listed-points` and below |
//! | suspect | established, but pulled below `known-points` by neighbours or traps; or `suspect-points` and below |
//! | new | everything else |

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use crate::client::Client;
use crate::evidence::System;
use crate::history::{ClientHistory, NameHistory, NetworkHistory, PairHistory, Standing};
use crate::ledger::activity::{DAYS_KEPT, Days};
use crate::measures::{Looks, Measure, Measures, Reverse, Sources};
use crate::name::{Name, NameKind};
use crate::operator::{Decision, Decisions, Kind};
use crate::policy::Policy;
pub use crate::testimony::Findings;
use crate::time::{Day, Time};
use crate::verdict::{
    Class, ClientVerdict, ListCode, NameCode, NameVerdict, PairCode, PairVerdict, Rating, Reason,
    Sort, Trust,
};
use crate::words;

/// Points at which the score is in the middle. A newcomer with a proper name has none, and shall not look bad.
const SCORE_MIDDLE: f32 = 20.0;
/// Points by which the odds behind the score grow e-fold: so that all of what history adds fits into it.
const SCORE_SPREAD: f32 = 25.0;

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
    /// What the operator decided.
    pub decisions: &'a Decisions,
    /// What is known of the ledger as a whole.
    pub feed: Feed,
    /// The reverse name that the log of this very message told as verified; `None` to take what the ledger has.
    pub rdns: Option<&'a str>,
    /// The numbers.
    pub policy: &'a Policy,
    /// The moment.
    pub now: Time,
    /// Reasons come with their sentences; without them a verdict is made in a fraction of the time.
    pub in_words: bool,
}

/// What is known of the ledger as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feed {
    /// How many reporters it has.
    pub reporters: usize,
    /// Since when it has learned for long enough to know who is new in a network; `None` if it has not.
    pub warm_since: Option<Time>,
}

/// What a pair weighs.
struct Weighed {
    measures: Measures,
    points: f32,
    /// The part of `points` by neighbours and traps.
    blamed: f32,
    /// The part of `points` that lists nobody: by a crowd that is none yet, by refusals of whatever reason.
    excused: f32,
    /// The network is crowded.
    is_crowd: bool,
    /// The heaviest of what may list it.
    cause: ListCode,
    reasons: Vec<Reason>,
}

impl Case<'_> {
    /// What its names look like.
    pub(crate) fn looks<'a>(&'a self, name: &'a Name) -> Looks<'a> {
        Looks::new(name, self.ip, self.rdns.or(self.client.rdns.as_deref()))
    }

    /// The measures of the pair, and whether its network is crowded.
    pub(crate) fn measure(
        &self,
        name: &Name,
        looks: &Looks<'_>,
        name_history: &NameHistory,
    ) -> (Measures, bool) {
        let Self { client, network, policy, now, .. } = *self;
        let sources = Sources {
            name,
            looks,
            client,
            network,
            warm_since: self.feed.warm_since,
            name_networks: name_history.untied_networks(name),
            vouched: self.findings.agrees(),
        };
        let measures = Measures::of(sources, policy, now);
        let is_crowd = measures.crowd.fresh >= policy.crowd_bar(self.feed.reporters);
        (measures, is_crowd)
    }

    fn weigh(&self, name: &Name, looks: &Looks<'_>, name_history: &NameHistory) -> Weighed {
        let Self { network, policy, .. } = *self;
        let (measures, is_crowd) = self.measure(name, looks, name_history);
        let (mut points, mut blamed, mut excused) = (0.0, 0.0, 0.0);
        let mut reasons = Vec::with_capacity(8);
        let mut cause = (0.0, ListCode::Generic);
        measures.weigh(policy, self.findings.asked_reverse(), |measure, add| {
            points += add;
            let counts = match measure {
                Measure::Crowd => is_crowd,
                Measure::Refused => false,
                // Nobody is listed for what its neighbours sent to traps.
                Measure::TrapShare => measures.trapped > 0,
                // A bot says such a name from where nobody set anything up; where somebody did, it is a mistake.
                Measure::NameNetworks => !self.has_own_reverse(measures.reverse),
                _ => true,
            };
            if !counts {
                excused += add;
            }
            if matches!(measure, Measure::Crowd | Measure::Traps | Measure::TrapShare) {
                blamed += add;
            }
            if let Some(code) = measure.list_code(&measures).filter(|_| counts && add < cause.0) {
                cause = (add, code);
            }
            reasons.push(measure.told(add, &measures, name, network, self.in_words));
        });
        self.findings.weigh(name, &policy.weights, self.in_words, |reason| {
            points += reason.points as f32;
            reasons.push(reason);
        });
        Weighed { measures, points, blamed, excused, is_crowd, cause: cause.1, reasons }
    }

    /// True if the client has a verified reverse name that was given to it alone.
    fn has_own_reverse(&self, logged: Reverse) -> bool {
        if self.findings.asked_reverse() {
            return self.findings.passes(System::Iprev) && !self.findings.fails(System::Generic);
        }
        matches!(logged, Reverse::Same | Reverse::Family | Reverse::Named)
    }

    /// The operator's decision on a pair; `bound` if the DNS agrees or the pair stands.
    fn decision(&self, name: &Name, bound: bool) -> Option<Cow<'_, Decision>> {
        let decision = self.decisions.of_pair(self.ip, name, self.now)?;
        if decision.needs_agreement() && !bound {
            return self.decisions.of_unbound_pair(self.ip, name, self.now);
        }
        Some(decision)
    }

    fn say(&self, text: impl FnOnce() -> String) -> String {
        if self.in_words { text() } else { String::new() }
    }

    /// So many families on the client are too many.
    fn many(&self) -> u32 {
        match Client::of(self.ip) {
            Client::V4(_) => self.policy.many_families_v4,
            Client::V6(_) => self.policy.many_families_v6,
        }
    }

    fn many_families(&self) -> bool {
        self.client.family_count.n >= u64::from(self.many())
    }

    fn families_reason(&self, word: &'static str, points: i32, end: &str) -> Reason {
        let text = self.say(|| {
            format!(
                "said names of {} domains within {} days ({}){end}",
                self.client.family_count,
                self.policy.families_window_days,
                sample(self.client.families.iter().map(String::as_str)),
            )
        });
        Reason { word, points, text }
    }

    fn watched_reason<'a>(&self, names: impl Iterator<Item = &'a str>) -> Reason {
        let text = self.say(|| {
            format!(
                "other names came from this address within {} days ({})",
                self.policy.watch_window_days,
                sample(names),
            )
        });
        Reason { word: "watched", points: -10, text }
    }

    /// What sort of sender an established pair is.
    fn sort(&self, pair: &PairHistory, name_history: &NameHistory) -> Option<Sort> {
        if name_history.family_clients >= u64::from(self.policy.provider_clients) {
            return Some(Sort::Provider);
        }
        let all = u64::from(pair.accepted) + u64::from(pair.rejected);
        let refused = u64::from(pair.rejected) * 100;
        let mixed = pair.rejected >= 3 && refused >= all * u64::from(self.policy.forwarder_percent);
        mixed.then_some(Sort::Forwarder)
    }
}

/// Judges a client by its firmest pair, whose name has the history `best`; the findings are those of that pair.
pub fn judge_client(case: &Case<'_>, best: &NameHistory) -> ClientVerdict {
    let firmest = case.client.best();
    let mut verdict = match firmest {
        Some(pair) => judge_pair(case, &pair.name, best),
        None => judge_nobody(case),
    };
    let stands = firmest.is_some_and(PairHistory::is_established);
    // A decision on a name holds of those that say it; one on the address holds of the address.
    let decided = verdict.decision.is_some();
    if !decided && verdict.class != Class::Listed {
        blame_company(case, firmest.filter(|_| stands), &mut verdict);
    }
    let allowed = verdict.decision.as_ref().is_some_and(|decision| decision.kind == Kind::Allow);
    let trusted_so_far = stands || verdict.class <= Class::Known;
    let level = match verdict.class {
        Class::Trusted if allowed || case.findings.agrees() => 3,
        Class::Trusted => 2,
        Class::Known => 1,
        _ => 0,
    };
    let category = match verdict.sort {
        _ if allowed => 9,
        Some(Sort::Provider | Sort::Forwarder) => 5,
        _ => 4,
    };
    let says_something = verdict.class != Class::New;
    ClientVerdict {
        class: verdict.class,
        sort: verdict.sort,
        decision: verdict.decision,
        reporters: verdict.reporters,
        // A newcomer has no score: "not enough history" is not "50".
        score: says_something.then_some(verdict.score),
        confidence: verdict.confidence,
        trust: (trusted_so_far && verdict.listings.is_empty()).then_some(Trust { category, level }),
        reasons: verdict.reasons,
        listings: verdict.listings,
        until: verdict.until,
        held: None,
    }
}

/// What else was said from the address lately: beside a pair that stands it shows that several hosts share it.
fn blame_company(case: &Case<'_>, stands: Option<&PairHistory>, verdict: &mut PairVerdict) {
    let Case { client, policy, .. } = *case;
    let Some(pair) = stands else {
        if client.watched_count.n >= u64::from(policy.watch_families) {
            let reason = case.watched_reason(client.watched_families.iter().map(String::as_str));
            verdict.blame(reason);
        }
        return;
    };
    // Against a pair that many know, a name counts that as many heard: few can lie about the company it keeps.
    let is_safe = pair.reporters >= policy.safe_reporters;
    let heard = |other: &&PairHistory| !is_safe || other.seen_by >= policy.safe_reporters;
    let strange = |other: &&PairHistory| {
        other.name != pair.name
            && (other.name.family().is_none() || other.name.family() != pair.name.family())
    };
    let company: Vec<_> = client
        .pairs
        .iter()
        .filter(|other| other.in_family_window)
        .filter(strange)
        .filter(heard)
        .collect();
    let lately = company.iter().filter(|other| other.in_watch_window).count();
    if case.many_families() && company.len() + 1 >= case.many() as usize {
        let end = ", beside a pair that stands: several hosts may share this address";
        verdict.blame(case.families_reason("shared", -35, end));
        verdict.sort = Some(Sort::Shared);
    } else if lately + 1 >= policy.watch_families as usize {
        verdict.blame(case.watched_reason(company.iter().map(|pair| pair.name.text())));
        if lately + 1 > policy.watch_families as usize {
            verdict.sort = Some(Sort::Shared);
        }
    }
}

impl PairVerdict {
    /// What else the client did makes it suspect.
    fn blame(&mut self, reason: Reason) {
        self.points += reason.points as f32;
        self.score = score(self.points);
        self.class = self.class.max(Class::Suspect);
        self.reasons.push(reason);
        sort_reasons(&mut self.reasons);
    }
}

/// Of a client that was never seen.
fn judge_nobody(case: &Case<'_>) -> PairVerdict {
    let decision = case.decisions.of_client(case.ip, case.now);
    if let Some(decision) = decision {
        return decided(case, &decision, None, &Name::absent());
    }
    PairVerdict {
        score: score(0.0),
        reasons: vec![Reason { word: "new", points: 0, text: case.say(|| "never seen".into()) }],
        ..PairVerdict::unknown(valid_until(case, None, &Name::absent()))
    }
}

/// What the operator decided, as a verdict.
fn decided(
    case: &Case<'_>,
    decision: &Decision,
    pair: Option<&PairHistory>,
    name: &Name,
) -> PairVerdict {
    let allow = decision.kind == Kind::Allow;
    let text = case.say(|| {
        let by = match decision.author.as_str() {
            "" => String::new(),
            author => format!(" by {author}"),
        };
        let end = decision.until.map_or(String::new(), |until| format!(" until {until}"));
        format!(
            "{} {}{by}{end}: {}",
            decision.subject,
            if allow { "is allowed" } else { "is denied" },
            decision.reason
        )
    });
    let word = if allow { "operator-allow" } else { "operator-deny" };
    PairVerdict {
        class: if allow { Class::Trusted } else { Class::Listed },
        sort: None,
        score: if allow { 100 } else { 0 },
        points: if allow { 100.0 } else { -100.0 },
        confidence: 100,
        reporters: pair.map_or(0, |pair| pair.reporters),
        code: allow.then_some(PairCode::OperatorAllow),
        listings: if allow { Vec::new() } else { vec![ListCode::Operator] },
        reasons: vec![Reason { word, points: if allow { 100 } else { -100 }, text }],
        until: valid_until(case, pair, name),
        decision: Some(decision.clone()),
    }
}

/// Judges a pair. The findings are those of this name.
pub fn judge_pair(case: &Case<'_>, name: &Name, name_history: &NameHistory) -> PairVerdict {
    let Case { client, findings, policy, .. } = *case;
    let pair = client.pair(name);
    let stands = pair.filter(|pair| pair.is_established());
    let looks = case.looks(name);
    let says_same = || !findings.asked_reverse() && looks.reverse() == Reverse::Same;
    let agrees = findings.agrees() || says_same();
    if let Some(decision) = case.decision(name, agrees || stands.is_some()) {
        return decided(case, &decision, pair, name);
    }
    let Weighed { measures, points, blamed, excused, is_crowd, cause, mut reasons } =
        case.weigh(name, &looks, name_history);
    let denial = findings.denial(&policy.weights);
    if let Some(denial) = denial {
        // A publisher may make a mistake; a long history keeps answering, and says so.
        let mut reason = denial.told(name);
        if !case.in_words {
            reason.text = String::new();
        }
        reasons.push(reason);
    }
    let mut listings = Vec::new();
    let refused = pair.is_some_and(PairHistory::is_mostly_refused);
    let reaches_known = points >= policy.known_points as f32;
    let mut code;
    let class = if let Some(pair) = stands {
        code = Some(if findings.authorises() {
            PairCode::Authorised
        } else if findings.passes(System::Forward) {
            PairCode::Confirmed
        } else {
            PairCode::Established
        });
        // Who got a new name brings the witnesses of the old one, if the DNS agrees.
        let old_names = client.established().filter(|_| agrees);
        let witnesses = old_names.map(|old| old.reporters).fold(pair.reporters, u32::max);
        // Where a name that is strong moved, and its DNS agrees, time need not be served twice.
        let strong = pair.standing == Standing::Strong || (agrees && name_history.is_strong);
        if blamed < 0.0 && !reaches_known {
            Class::Suspect
        } else if strong
            && name.is_fqdn()
            && points >= policy.trusted_points as f32
            && witnesses >= policy.witnesses(case.feed.reporters)
        {
            Class::Trusted
        } else {
            Class::Known
        }
    } else {
        // In a crowd everybody is just moving in.
        let moved = moved(case, name, name_history, agrees && !is_crowd, &mut reasons);
        let early = pair.is_some_and(|pair| {
            pair.accepted >= policy.known_messages && measures.span_days >= policy.known_span_days
        });
        let farm = measures.is_of_farm(policy);
        code = moved.code.or_else(|| {
            if farm { Some(PairCode::Moved) } else { pair.map(|_| PairCode::TooLittle) }
        });
        let known = !refused && denial.is_none();
        if known && moved.restores {
            Class::Known
        } else if known && early && reaches_known {
            code = Some(PairCode::Established);
            Class::Known
        } else if known && farm && reaches_known {
            Class::Known
        } else {
            list_newcomer(case, name, name_history, agrees, &mut listings, &mut reasons);
            let held_against = points - excused;
            let listed = held_against <= policy.listed_points as f32;
            if listed && listings.is_empty() {
                listings.push(cause);
            }
            if !listings.is_empty() {
                Class::Listed
            } else if held_against <= policy.suspect_points as f32 {
                Class::Suspect
            } else {
                Class::New
            }
        }
    };
    if class == Class::New {
        let text = case.say(|| match pair {
            Some(_) => "not enough history yet".into(),
            None => "this pair was never seen".into(),
        });
        reasons.push(Reason { word: "new", points: 0, text });
    }
    listings.sort_unstable();
    listings.dedup();
    sort_reasons(&mut reasons);
    PairVerdict {
        class,
        sort: stands.and_then(|pair| case.sort(pair, name_history)),
        decision: None,
        score: score(points),
        points,
        confidence: pair.map_or(0, confidence),
        reporters: measures.reporters,
        code,
        listings,
        reasons,
        until: valid_until(case, pair, name),
    }
}

/// What is known of a newcomer from elsewhere.
struct Moved {
    code: Option<PairCode>,
    /// It is as good as known: the DNS of a name with standing says that it is here now.
    restores: bool,
}

/// A pair without standing whose client or name has some: a host that got a new name or a new address, or somebody
/// who says what others are called.
fn moved(
    case: &Case<'_>,
    name: &Name,
    name_history: &NameHistory,
    agrees: bool,
    reasons: &mut Vec<Reason>,
) -> Moved {
    let Case { ip, client, .. } = *case;
    let family = name.family();
    let mut tell = |word, text: String| reasons.push(Reason { word, points: 0, text });
    if let Some(steady) = client.established().next() {
        let same_family =
            family.is_some() && client.established().any(|pair| pair.name.family() == family);
        tell(
            if same_family { "same-family-name" } else { "new-name" },
            case.say(|| format!("a new name on a client that stands as {}", steady.name)),
        );
        let alone = !case.many_families();
        return Moved {
            code: Some(if same_family { PairCode::Moved } else { PairCode::NewName }),
            restores: agrees && (same_family || alone),
        };
    }
    if name_history.is_established() {
        let near = name_history.established_networks.contains(&Client::of(ip).network());
        tell(
            if near { "same-network" } else { "new-client" },
            case.say(|| {
                format!(
                    "{name} stands on {}, not on this client",
                    sample(name_history.established_on.iter().map(String::as_str)),
                )
            }),
        );
        return Moved {
            code: Some(if near || agrees { PairCode::Moved } else { PairCode::NewClient }),
            restores: agrees,
        };
    }
    if name_history.family_networks.contains(&Client::of(ip).network()) {
        tell(
            "same-family-network",
            case.say(|| {
                format!(
                    "its domain stands in this network, on {}",
                    sample(name_history.family_on.iter().map(String::as_str)),
                )
            }),
        );
        return Moved { code: Some(PairCode::Moved), restores: agrees };
    }
    Moved { code: None, restores: false }
}

/// Rules that list a newcomer, whatever its points.
fn list_newcomer(
    case: &Case<'_>,
    name: &Name,
    name_history: &NameHistory,
    agrees: bool,
    listings: &mut Vec<ListCode>,
    reasons: &mut Vec<Reason>,
) {
    let Case { client, findings, policy, now, .. } = *case;
    if findings.denial(&policy.weights).is_some() {
        listings.push(ListCode::Denied);
        if name_history.is_established() {
            listings.push(ListCode::ClaimsOthers);
            let text = case.say(|| {
                format!(
                    "{name} belongs to {}",
                    sample(name_history.established_on.iter().map(String::as_str)),
                )
            });
            reasons.push(Reason { word: "claims-others", points: -10, text });
        }
    }
    if client.established().next().is_some() {
        return;
    }
    // Whose name leads here is a tenant among others, or the next one; names that bots make up lead nowhere.
    if case.many_families() && !agrees {
        listings.push(ListCode::ManyFamilies);
        reasons.push(case.families_reason("many-families", -45, ""));
    }
    let junk: Vec<_> = client.pairs.iter().filter(|pair| is_junk(pair, client)).collect();
    let sessions = junk.iter().fold(0u32, |sum, pair| sum.saturating_add(pair.observations));
    // The days of all of it together: bots say something else every day.
    let days = junk.iter().fold(Days::default(), |days, pair| days.merge(pair.seen_on));
    let days = days.within(now.day(), DAYS_KEPT);
    if sessions >= policy.junk_messages && days >= policy.junk_days {
        listings.push(ListCode::Junk);
        let text = case.say(|| {
            format!(
                "said no usable name in {} on {} ({})",
                words::counted(sessions, "session"),
                words::counted(days, "day"),
                sample(junk.iter().map(|pair| pair.name.text())),
            )
        });
        reasons.push(Reason { word: "junk", points: -40, text });
    }
}

/// Judges a name, whoever says it. `findings` are those of the name with any client.
pub fn judge_name(
    name: &Name,
    history: &NameHistory,
    findings: Findings<'_>,
    decisions: &Decisions,
    policy: &Policy,
    now: Time,
) -> NameVerdict {
    let mut codes = Vec::new();
    let mut reasons = Vec::new();
    let decision = decisions.of_name(name, now);
    if let Some(decision) = decision.as_ref().filter(|decision| !decision.needs_agreement()) {
        // An allow of a name says nothing of who else says it.
        codes.push(NameCode::Bad);
        reasons.push(Reason {
            word: "operator-deny",
            points: -100,
            text: format!("denied: {}", decision.reason),
        });
    }
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
    let midnight = next_midnight(now);
    let until = [
        findings.shortest().map(|ttl| now.after(ttl)),
        decisions.next_change(None, Some(name), now),
    ]
    .into_iter()
    .flatten()
    .fold(midnight, Time::min);
    NameVerdict { rating, decision: decision.map(Cow::into_owned), codes, reasons, until }
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

/// The logistic curve of the points, from 0 to 100.
fn score(points: f32) -> u8 {
    let odds = 1.0 / (1.0 + (-(points - SCORE_MIDDLE) / SCORE_SPREAD).exp());
    (odds * 100.0).round() as u8
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

/// The moment at which time alone could change a verdict: windows are counted in UTC days, so the next
/// midnight; a pair grows older on its own hour; evidence and decisions hold for their own time.
fn valid_until(case: &Case<'_>, pair: Option<&PairHistory>, name: &Name) -> Time {
    let now = case.now;
    let anniversary = pair.and_then(|pair| {
        let first = pair.first_accepted?;
        let days = now.days_since(first).saturating_add(1);
        Some(first.after(Duration::from_secs(u64::from(days) * 86_400)))
    });
    [
        anniversary,
        case.findings.shortest().map(|ttl| now.after(ttl)),
        case.decisions.next_change(Some(case.ip), Some(name), now),
    ]
    .into_iter()
    .flatten()
    .fold(next_midnight(now), Time::min)
}

/// When the next UTC day begins: until then a client that was never seen stays what it is, unless the operator decides.
pub fn next_midnight(now: Time) -> Time {
    Day(now.day().0.saturating_add(1)).start()
}

#[cfg(test)]
mod tests;

//! The verdict for the customer on the phone: what it is, why, how it ends.
//!
//! In: verdicts and what they were made from. Out: a few plain sentences ([`Told`]), the same in words and in JSON.
//! Nothing fails. Names and reasons in them are printable ASCII already.

use serde::{Serialize, Serializer};

use super::remedy::{self, Facts};
use crate::history::{NameHistory, PairHistory};
use crate::operator::Decision;
use crate::time::Time;
use crate::verdict::{Class, ClientVerdict, ListCode, PairVerdict, Reason, Sort};
use crate::words;

/// The verdict in sentences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// What is said, and why. One text in JSON.
    #[serde(serialize_with = "joined")]
    pub summary: Vec<String>,
    /// When it may change.
    pub ends: Ends,
    /// How a listing ends, and what would end it sooner; empty where nothing is listed. One text, or null, in JSON.
    #[serde(serialize_with = "joined")]
    pub remedy: Vec<String>,
}

/// When a verdict may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ends {
    /// The moment at which the passage of time alone could change it.
    pub earliest: Time,
    /// The moment at which the listing is over if nothing new is seen, if that can be said.
    pub listing: Option<Time>,
}

fn joined<S: Serializer>(sentences: &[String], to: S) -> Result<S::Ok, S::Error> {
    if sentences.is_empty() { to.serialize_none() } else { to.serialize_str(&sentences.join(" ")) }
}

/// What a client's and a pair's verdict have in common.
struct Judged<'a> {
    class: Class,
    sort: Option<Sort>,
    decision: Option<&'a Decision>,
    listings: &'a [ListCode],
    reasons: &'a [Reason],
    until: Time,
}

impl<'a> From<&'a ClientVerdict> for Judged<'a> {
    fn from(verdict: &'a ClientVerdict) -> Self {
        let ClientVerdict { class, sort, decision, listings, reasons, until, .. } = verdict;
        Self {
            class: *class,
            sort: *sort,
            decision: decision.as_ref(),
            listings,
            reasons,
            until: *until,
        }
    }
}

impl<'a> From<&'a PairVerdict> for Judged<'a> {
    fn from(verdict: &'a PairVerdict) -> Self {
        let PairVerdict { class, sort, decision, listings, reasons, until, .. } = verdict;
        Self {
            class: *class,
            sort: *sort,
            decision: decision.as_ref(),
            listings,
            reasons,
            until: *until,
        }
    }
}

impl Told {
    /// What is said of a client, or of a pair if one was asked about. The name in `facts` is the one asked about, or
    /// the client's firmest; `name_history` is of the former.
    pub fn of(
        facts: &Facts<'_>,
        client: &ClientVerdict,
        pair: Option<&PairVerdict>,
        name_history: Option<&NameHistory>,
    ) -> Self {
        let judged = pair.map_or_else(|| Judged::from(client), Judged::from);
        let mut summary = Vec::new();
        if let Some(decision) = judged.decision {
            summary.push(decided(decision));
        } else {
            summary.push(verdict(&judged, facts, pair.is_some(), name_history));
            summary.extend(judged.sort.map(|sort| sort_sentence(sort).to_owned()));
            summary.extend(pair.and_then(|pair| of_the_address(client, pair)));
        }
        let (remedy, listing) = match judged.decision {
            Some(decision) if judged.class == Class::Listed => {
                (vec![how_a_denial_ends(decision)], decision.until)
            }
            Some(_) => (Vec::new(), None),
            None => how_it_ends(&judged, facts),
        };
        Self { summary, ends: Ends { earliest: judged.until, listing }, remedy }
    }
}

/// What sort of sender it is, in a sentence.
pub(crate) fn sort_sentence(sort: Sort) -> &'static str {
    match sort {
        Sort::Provider => {
            "It is a provider, one of very many hosts of its domain: its mail is that of many people, so steady is not the same as clean."
        }
        Sort::Forwarder => {
            "It is steady, but part of its mail is refused all the same: like a forwarder it passes on other people's mail, so steady is not the same as clean."
        }
        Sort::Shared => {
            "Several hosts seem to share this address (a router, a gateway): look at the name that is said, for a pair that stands keeps its class whatever the others do."
        }
    }
}

fn decided(decision: &Decision) -> String {
    let since =
        decision.added.map_or_else(String::new, |added| format!(" of {}", words::date(added)));
    let by =
        if decision.author.is_empty() { String::new() } else { format!(" by {}", decision.author) };
    let until = decision.until.map_or_else(String::new, |until| format!(" until {until}"));
    let place = if decision.place.file.is_empty() {
        String::new()
    } else {
        format!(" [{}]", decision.place)
    };
    format!(
        "Your own decision{since}{by}: {} {}{until}: {}{place}. It beats everything that was learned.",
        decision.kind, decision.subject, decision.reason,
    )
}

fn how_a_denial_ends(decision: &Decision) -> String {
    let end = match decision.until {
        Some(until) => format!("It ends by itself at {until}"),
        None => "It has no end".to_owned(),
    };
    if let Some(list) = decision.place.list() {
        return format!(
            "{end}; it ends sooner when {} is taken out of the files of the list {list}.",
            decision.subject
        );
    }
    format!(
        "{end}; the operator can end it sooner: helostat decisions remove {}.",
        decision.subject
    )
}

/// The sentence that says the class and why.
fn verdict(
    judged: &Judged<'_>,
    facts: &Facts<'_>,
    asked_pair: bool,
    name_history: Option<&NameHistory>,
) -> String {
    let ip = facts.ip;
    let name = facts.name.map(words::shown);
    let pair = facts.name.and_then(|name| facts.client.pair(name));
    let saying = match (&name, asked_pair) {
        (Some(name), true) => format!(" saying {name}"),
        _ => String::new(),
    };
    match judged.class {
        Class::Trusted | Class::Known => {
            let as_name = name.map_or_else(String::new, |name| format!(" as {name}"));
            format!(
                "{ip} is {} here{as_name}: {}.",
                judged.class,
                standing(judged, facts, pair, name_history)
            )
        }
        Class::New => match pair {
            None if facts.client.is_empty() || asked_pair => format!(
                "{ip} was never seen here{saying}: nothing is known yet, neither good nor bad."
            ),
            _ => format!(
                "{ip} is new here{}: {}. That is not held against it; it becomes known with {} on {} over {}.",
                name.map_or_else(String::new, |name| format!(" as {name}")),
                so_far(pair),
                words::counted(facts.policy.established_messages, "accepted message"),
                words::counted(facts.policy.established_days, "day"),
                words::counted(facts.policy.established_age_days, "day"),
            ),
        },
        Class::Suspect => {
            let against = judged.reasons.iter().find(|reason| reason.points < 0);
            let because =
                against.map_or_else(String::new, |reason| format!(": {}", words::clause(reason)));
            let steady = pair.filter(|pair| pair.is_established()).map(|pair| {
                let name = words::shown(&pair.name);
                format!(" All the same it stands as {name}: {}.", taken(pair))
            });
            format!(
                "There are signs against {ip}{saying}, too few to list it{because}.{}",
                steady.unwrap_or_default()
            )
        }
        Class::Listed => {
            let causes: Vec<_> = judged
                .listings
                .iter()
                .filter_map(|code| code.reason(judged.reasons))
                .map(words::clause)
                .collect();
            format!("{ip}{saying} is listed because {}.", causes.join("; and because "))
        }
    }
}

/// Why it is known or trusted.
fn standing(
    judged: &Judged<'_>,
    facts: &Facts<'_>,
    pair: Option<&PairHistory>,
    name_history: Option<&NameHistory>,
) -> String {
    let says = |word: &str| judged.reasons.iter().any(|reason| reason.word == word);
    if let Some(pair) = pair.filter(|pair| pair.is_established()) {
        return taken(pair);
    }
    let elsewhere = name_history.and_then(|history| history.established_on.first());
    if says("new-client") || says("same-network") {
        let from = elsewhere.map_or_else(String::new, |client| format!(" from {client}"));
        return format!("the name is known{from}, and its DNS says that it is at this address now");
    }
    if says("same-family-name") || says("new-name") {
        return "the address is known under another name, and the DNS of this name leads to it"
            .to_owned();
    }
    if says("same-family-network") || says("family-in-network") {
        let family = facts.name.and_then(|name| name.family()).unwrap_or_default();
        let network = facts.network.network;
        return format!("it is new, but mail of {family} has long come from {network}");
    }
    pair.map_or_else(|| "its DNS speaks for it".to_owned(), taken)
}

fn taken(pair: &PairHistory) -> String {
    format!(
        "we have taken mail from it on {} of the last 64 days, first on {}",
        pair.accepted_days,
        words::date(pair.first_accepted.unwrap_or(pair.first)),
    )
}

fn so_far(pair: Option<&PairHistory>) -> String {
    match pair {
        Some(pair) if pair.accepted > 0 => format!(
            "we have taken {} from it on {}, too little to say more",
            words::counted(pair.accepted, "message"),
            words::counted(pair.accepted_days, "day"),
        ),
        Some(pair) => format!(
            "we have seen {} and taken no mail from it yet",
            words::counted(pair.observations, "session"),
        ),
        None => "it was not seen with this name".to_owned(),
    }
}

/// What must be said of the address beside a better pair.
fn of_the_address(client: &ClientVerdict, pair: &PairVerdict) -> Option<String> {
    if client.class < Class::Suspect || pair.class > Class::Known {
        return None;
    }
    let judged = Judged::from(client);
    let code = judged.listings.first();
    let reason = code.map_or_else(
        || judged.reasons.iter().find(|reason| reason.points < 0),
        |code| code.reason(judged.reasons),
    )?;
    Some(format!(
        "The address itself is {} ({}); this name keeps what it earned.",
        client.class,
        words::clause(reason)
    ))
}

/// How listings end, and when the last of them does if nothing new is seen.
fn how_it_ends(judged: &Judged<'_>, facts: &Facts<'_>) -> (Vec<String>, Option<Time>) {
    let several = judged.listings.len() > 1;
    let sentences = judged.listings.iter().flat_map(|code| {
        let [by_itself, sooner] = remedy::sentences(*code, facts);
        if several {
            vec![format!("{}: {by_itself} {sooner}", code.word())]
        } else {
            vec![by_itself, sooner]
        }
    });
    let mut sentences: Vec<_> = sentences.collect();
    let days = judged.listings.iter().map(|code| remedy::ends(*code, facts));
    let last = days.collect::<Option<Vec<_>>>().and_then(|days| days.into_iter().max());
    if last.is_some() && stays_listed(judged, facts) {
        sentences.push("The other signs below would still list it then.".to_owned());
        return (sentences, None);
    }
    (sentences, last.map(|day| day.start()))
}

/// True if what is not a matter of a window would list it alone.
fn stays_listed(judged: &Judged<'_>, facts: &Facts<'_>) -> bool {
    let of_rules = ["many-families", "second-family", "crowded", "mostly-refused", "watched"];
    let others = judged.reasons.iter().filter(|reason| !of_rules.contains(&reason.word));
    others.map(|reason| reason.points).sum::<i32>() <= facts.policy.listed_points
}

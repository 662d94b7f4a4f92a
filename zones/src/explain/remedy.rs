//! What a listing means to whoever stands on it: how it ends, and what would end it sooner.
//!
//! In: a [`ListCode`], the numbers of the policy, what is known of the client. Out: sentences, and the day on which the
//! listing is over if nothing new is seen, where its cause is a window of days. Nothing fails; who has no such day is
//! told what must change. The short forms fit into a TXT record. The operator's own decisions are told by
//! [`super::told`], since only they know their end.

use std::net::IpAddr;

use crate::client::Client;
use crate::history::{ClientHistory, NetworkHistory};
use crate::name::Name;
use crate::policy::Policy;
use crate::time::{Day, Time};
use crate::verdict::ListCode;
use crate::words;

/// What a remedy is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The address.
    pub ip: IpAddr,
    /// The name that it says, if one is known.
    pub name: Option<&'a Name>,
    /// What the ledger knows of the client.
    pub client: &'a ClientHistory,
    /// What it knows of the network.
    pub network: &'a NetworkHistory,
    /// The numbers.
    pub policy: &'a Policy,
    /// The moment.
    pub now: Time,
}

/// What would end the listing, short enough for a TXT record beside everything else.
pub(crate) fn in_short(code: ListCode) -> &'static str {
    match code {
        ListCode::ManyFamilies => "ends when those names are old; stop who else sends from here",
        ListCode::ClaimsOthers => "say a name of your own in EHLO",
        ListCode::Junk => "say a real host name in EHLO",
        ListCode::Denied => "publish CSA or SPF that names this address",
        ListCode::Trapped => "stop what sends to spam traps",
        ListCode::Generic => "give the host a name of its own in EHLO and reverse DNS",
        ListCode::Crowded => "ends as its own mail goes on, or the crowd thins",
        ListCode::Operator => "ask the operator",
    }
}

/// The day on which the listing ends if nothing new is seen; at the latest, where others take part in it.
pub(crate) fn ends(code: ListCode, facts: &Facts<'_>) -> Option<Day> {
    match code {
        ListCode::ManyFamilies => families_end(facts),
        ListCode::Crowded => crowd_ends(facts),
        _ => None,
    }
}

/// When too few families are left in the window. Unknown where not all of them are held.
fn families_end(facts: &Facts<'_>) -> Option<Day> {
    let Facts { client, policy, .. } = facts;
    if client.trace.is_some() {
        return None;
    }
    let many = match client.client {
        Client::V4(_) => policy.many_families_v4,
        Client::V6(_) => policy.many_families_v6,
    };
    let many = usize::try_from(many).ok()?.min(client.families.len());
    let last_seen = client.families.iter().filter_map(|family| {
        let pairs = client.pairs.iter().filter(|pair| pair.name.family() == Some(family));
        pairs.filter(|pair| !pair.seen_on.is_empty()).map(|pair| pair.seen_on.newest).max()
    });
    nth_newest(last_seen, many).map(|day| later(day, policy.families_window_days))
}

/// When too few young families are left in the network.
fn crowd_ends(facts: &Facts<'_>) -> Option<Day> {
    let Facts { network, policy, now, name, .. } = facts;
    let own = name.and_then(Name::family);
    let others = network.families.iter().filter(|here| Some(here.family.as_ref()) != own);
    let ends = others.filter(|here| here.crowds(policy, *now)).map(|here| {
        let unseen = later(here.seen_on.newest, policy.crowded_window_days);
        unseen.min(later(here.first.day(), policy.crowded_young_days))
    });
    let others = usize::try_from(policy.crowded_families.saturating_sub(1)).ok()?;
    nth_newest(ends, others)
}

fn nth_newest(days: impl Iterator<Item = Day>, n: usize) -> Option<Day> {
    let mut days: Vec<_> = days.collect();
    days.sort_unstable_by(|a, b| b.cmp(a));
    days.get(n.checked_sub(1)?).copied()
}

fn later(day: Day, days: u32) -> Day {
    Day(day.0.saturating_add(u16::try_from(days).unwrap_or(u16::MAX)))
}

/// How the listing ends by itself, and what would end it sooner: two sentences.
pub(crate) fn sentences(code: ListCode, facts: &Facts<'_>) -> [String; 2] {
    let Facts { ip, policy, network, .. } = facts;
    let name = facts.name.map_or_else(|| "the name that it says".to_owned(), words::shown);
    let window = policy.families_window_days;
    let day = ends(code, facts).map(words::day);
    let standing = format!(
        "at least {} on {} over {}",
        words::counted(policy.established_messages, "message"),
        words::counted(policy.established_days, "day"),
        words::counted(policy.established_age_days, "day"),
    );
    let (by_itself, sooner) = match code {
        ListCode::ManyFamilies => (
            match day {
                Some(day) => format!(
                    "The listing ends by itself on {day}, when enough of these names are {window} days old, if no more of them come."
                ),
                None => format!(
                    "The listing ends by itself when these names are {window} days old, if no more of them come."
                ),
            },
            format!(
                "It ends sooner if the mail server says one name and that name has an address record for {ip}. Look for what else sends from this address: a bot, or another host behind the same router."
            ),
        ),
        ListCode::Crowded => (
            match day {
                Some(day) => format!(
                    "The listing ends by itself on {day} at the latest, if no more domains appear in {}.",
                    network.network
                ),
                None => format!(
                    "The listing ends by itself when fewer domains have appeared in {} within {} days.",
                    network.network, policy.crowded_window_days
                ),
            },
            format!("It ends sooner once mail of it was taken for long enough: {standing}."),
        ),
        ListCode::Denied => (
            "The listing lasts as long as the DNS says so, and ends by itself when the record changes.".to_owned(),
            format!(
                "To end it, publish CSA or SPF for {name} so that it authorises {ip}; or let the host say the name that its owner gave it."
            ),
        ),
        ListCode::ClaimsOthers => (
            "The listing ends by itself when the host says another name.".to_owned(),
            format!("To end it, let the host say a name of its own, with an address record for {ip}."),
        ),
        ListCode::Junk => (
            format!(
                "The listing ends by itself when fewer than {} of the last 64 days had such sessions.",
                policy.junk_days
            ),
            format!(
                "To end it sooner, let the host say its real name in EHLO, one with an address record for {ip}, and not an address or a made-up word."
            ),
        ),
        ListCode::Generic => (
            "The listing ends by itself when the name changes.".to_owned(),
            format!(
                "To end it, give the host a name of its own (such as mail.example.com) in EHLO and in the reverse DNS of {ip}, and an address record that leads back."
            ),
        ),
        ListCode::Trapped => (
            "The listing fades when honest mail outweighs what went to spam traps.".to_owned(),
            "To end it sooner, stop what sends to spam traps: a bot, an old or a bought list of addresses.".to_owned(),
        ),
        ListCode::Operator => {
            ("The listing is the operator's own.".to_owned(), "Ask the operator.".to_owned())
        }
    };
    [by_itself, sooner]
}

//! The measures of a pair at a moment, and what they add up to.
//!
//! In go the histories of the pair's client, network and name; out come plain numbers ([`Measures`]), and from them
//! and a policy a sum of points ([`Measures::weigh`]): ten points are one unit of log-odds. Nothing fails. What
//! the numbers were fitted on, and how well they separate, stands in `docs/calibration.md`.
//!
//! A pair that stands with enough reporters (`safe-reporters`) is measured by its own history alone: nobody who
//! reports lies about its address, its neighbours or its traps takes anything from it.
//!
//! What the DNS says *now* is not measured here ([`crate::testimony`]). What the logs said of the reverse name *then*
//! is, and only where the DNS was not asked: both would count the same thing twice.

use std::cell::OnceCell;
use std::net::IpAddr;

use crate::client::Client;
use crate::evidence::{DnsName, generic};
use crate::history::{ClientHistory, Crowd, NetworkHistory, PairHistory, Standing, is_akin};
use crate::name::{Name, NameKind};
use crate::policy::{Points, Policy};
use crate::time::Time;
use crate::verdict::{ListCode, Reason};
use crate::words;

/// More messages than this say nothing more.
const MESSAGES_MAX: u32 = 2000;
/// More days than this say nothing more: days are kept for so long.
const AGE_MAX: u32 = 64;

/// What sort of name it is, as far as its letters tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A name that a host can have.
    Host,
    /// One that a machine made for a range of addresses, and that does not say "mail".
    Generic,
    /// One that ends in no top-level domain that exists.
    UnknownTld,
    /// A bare word.
    Single,
    /// `localhost` and the like.
    Reserved,
    /// The client's own address in brackets.
    OwnLiteral,
    /// Nonsense, an address without brackets, another's address, nothing.
    Unusable,
}

fn has_known_tld(name: &str) -> bool {
    psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

/// What a log told of the client's reverse name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reverse {
    /// Nothing, or nothing that was verified.
    #[default]
    Unknown,
    /// It is the very name that the client says: so an address record of that name leads here.
    Same,
    /// It is of the name's family, and somebody made it for this host.
    Family,
    /// Somebody made it for this host.
    Named,
    /// A machine made it for a range of addresses.
    Generic,
}

/// What the names of a pair look like. Reading a name letter by letter costs as much as half a verdict, so each question
/// is answered once, and only if somebody asks.
#[derive(Debug)]
pub struct Looks<'a> {
    name: &'a Name,
    ip: IpAddr,
    rdns: Option<&'a str>,
    is_made: OnceCell<bool>,
    reverse: OnceCell<Reverse>,
}

impl<'a> Looks<'a> {
    /// Of what the client at `ip` said, and of its verified reverse name.
    pub fn new(name: &'a Name, ip: IpAddr, rdns: Option<&'a str>) -> Self {
        Self { name, ip, rdns, is_made: OnceCell::new(), reverse: OnceCell::new() }
    }

    /// The form of the name.
    pub fn form(&self) -> Form {
        let Self { name, ip, .. } = *self;
        match name.kind() {
            NameKind::Fqdn if !has_known_tld(name.text()) => Form::UnknownTld,
            NameKind::Fqdn if self.is_made() => Form::Generic,
            NameKind::Fqdn => Form::Host,
            NameKind::Single => Form::Single,
            NameKind::Reserved => Form::Reserved,
            NameKind::Literal if name.ip().map(Client::of) == Some(Client::of(ip)) => {
                Form::OwnLiteral
            }
            NameKind::Literal | NameKind::BareIp | NameKind::Malformed | NameKind::Absent => {
                Form::Unusable
            }
        }
    }

    /// What the reverse name says of the client.
    pub fn reverse(&self) -> Reverse {
        *self.reverse.get_or_init(|| self.read_reverse())
    }

    /// The same for an established pair: whether a machine made the name was settled by time.
    fn reverse_of_established(&self) -> Reverse {
        match self.rdns {
            None => Reverse::Unknown,
            Some(rdns) if rdns.eq_ignore_ascii_case(self.name.text()) => Reverse::Same,
            Some(rdns) if is_akin(rdns, self.name) => Reverse::Family,
            Some(_) => Reverse::Named,
        }
    }

    fn read_reverse(&self) -> Reverse {
        let Self { name, ip, rdns, .. } = *self;
        let Some(rdns) = rdns else { return Reverse::Unknown };
        if name.is_fqdn() && rdns == name.text() {
            return if self.is_made() { Reverse::Generic } else { Reverse::Same };
        }
        let host = Name::parse(rdns.as_bytes());
        // But for a final dot it must be the text itself: nothing that reading it as a name has cut off.
        let is_plain = host.is_fqdn() && rdns.trim_end_matches('.').len() == host.text().len();
        let generic = if is_plain {
            generic::is_made(&host, ip)
        } else {
            DnsName::parse(rdns)
                .is_none_or(|it| generic::looks_generic(&it, ip) && !generic::says_mail(&it))
        };
        if generic { Reverse::Generic } else { self.reverse_of_established() }
    }

    fn is_made(&self) -> bool {
        *self.is_made.get_or_init(|| generic::is_made(self.name, self.ip))
    }
}

/// The numbers of a pair at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// The form of the name.
    pub form: Form,
    /// What logs told of the reverse name.
    pub reverse: Reverse,
    /// How firmly the pair stands.
    pub standing: Standing,
    /// When its first mail was accepted.
    pub first: Option<Time>,
    /// Accepted messages.
    pub messages: u32,
    /// Days of the last 64 with accepted mail.
    pub days: u32,
    /// Days since the first accepted mail.
    pub age_days: u32,
    /// Days between the first and the last time it was seen.
    pub span_days: u32,
    /// Reporters that accepted mail of it.
    pub reporters: u32,
    /// It is established with so many reporters that it is judged by itself.
    pub is_safe: bool,
    /// Families of the client within the counting window, with this one.
    pub families: u32,
    /// Another name of the family is established on the client.
    pub same_family: bool,
    /// Days of the last 64 with accepted mail of the family in the network.
    pub network_days: u32,
    /// Days since the first of it.
    pub network_age_days: u32,
    /// Reporters that took mail of the family from the network.
    pub network_reporters: u32,
    /// Young families in the network, with this one; none for names without a family.
    pub crowd: Crowd,
    /// Networks that say the name without a tie to it.
    pub name_networks: u32,
    /// More of its mail was refused than accepted.
    pub refused: bool,
    /// Messages of the pair that traps took.
    pub trapped: u32,
    /// How much of the network's mail traps took.
    pub trap_share: f32,
}

/// Where the measures of a pair come from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The name.
    pub name: &'a Name,
    /// What it looks like, and the reverse name.
    pub looks: &'a Looks<'a>,
    /// What the ledger knows of the client.
    pub client: &'a ClientHistory,
    /// What it knows of the network.
    pub network: &'a NetworkHistory,
    /// Since when the ledger has learned enough to know who is new.
    pub warm_since: Option<Time>,
    /// Networks that say the name without a tie to it.
    pub name_networks: u32,
    /// The DNS of the name says that the client has it.
    pub vouched: bool,
}

impl Measures {
    /// Measures a pair.
    pub fn of(sources: Sources<'_>, policy: &Policy, now: Time) -> Self {
        let Sources { name, looks, client, network, warm_since, name_networks, vouched } = sources;
        let pair = client.pair(name);
        let established = pair.is_some_and(PairHistory::is_established);
        let reporters = pair.map_or(0, |pair| pair.reporters);
        let family = name.family();
        let here = family.and_then(|family| network.family(family));
        let new_family = family
            .is_some_and(|family| !client.families.iter().any(|other| other.as_str() == family));
        let families = client.family_count.n.saturating_add(u64::from(new_family));
        // What an established pair says and how its reverse name looks was judged by time.
        let (form, reverse) = if established && name.is_fqdn() {
            (Form::Host, looks.reverse_of_established())
        } else {
            (looks.form(), looks.reverse())
        };
        Self {
            form,
            reverse,
            standing: pair.map_or(Standing::Seen, |pair| pair.standing),
            first: pair.and_then(|pair| pair.first_accepted),
            messages: pair.map_or(0, |pair| pair.accepted),
            days: pair.map_or(0, |pair| pair.accepted_days),
            age_days: pair
                .and_then(|pair| pair.first_accepted)
                .map_or(0, |first| now.days_since(first)),
            span_days: pair.map_or(0, |pair| pair.last.days_since(pair.first)),
            reporters,
            is_safe: established && reporters >= policy.safe_reporters,
            families: u32::try_from(families).unwrap_or(u32::MAX),
            same_family: family.is_some()
                && client
                    .established()
                    .any(|other| other.name.family() == family && other.name != *name),
            network_days: here.map_or(0, |here| here.days(now)),
            network_reporters: here.map_or(0, |here| here.reporters.count_ones()),
            network_age_days: here.map_or(0, |here| here.age_days(now)),
            // Whom the DNS of its name vouches for, and who stands, does not answer for its neighbours.
            crowd: family
                .filter(|_| !(vouched && established))
                .map_or_else(Crowd::default, |family| {
                    network.crowd((client.client, family), warm_since, policy, now)
                }),
            name_networks,
            refused: pair.is_some_and(PairHistory::is_mostly_refused),
            trapped: pair.map_or(0, |pair| pair.trapped),
            trap_share: network.trap_share(),
        }
    }

    /// True if its family has been at home in the network for long enough to vouch for a newcomer there.
    pub fn is_of_farm(&self, policy: &Policy) -> bool {
        self.network_days >= policy.farm_days && self.network_age_days >= policy.farm_age_days
    }

    /// Tells `each` of every measure that adds something, with its points.
    pub fn weigh(&self, policy: &Policy, asked_dns: bool, mut each: impl FnMut(Measure, f32)) {
        let points = &policy.points;
        let log = |count: u32| (count as f32).ln_1p();
        if self.messages > 0 {
            let history = points.points_days as f32 * log(self.days)
                + points.points_messages as f32 * log(self.messages.min(MESSAGES_MAX))
                + points.points_age as f32 * log(self.age_days.min(AGE_MAX));
            each(Measure::History, history);
        }
        let mut add = |measure, weight: i32, times: f32| {
            if weight != 0 && times != 0.0 {
                each(measure, weight as f32 * times);
            }
        };
        add(Measure::NetworkDays, points.points_network_days, log(self.network_days));
        let more = self.network_reporters.saturating_sub(1);
        add(Measure::Reporters, points.points_reporters, log(more));
        if self.same_family {
            add(Measure::SameFamily, points.points_same_family, 1.0);
        }
        let of_form = match self.form {
            Form::Host => 0,
            Form::Generic => points.points_generic_name,
            Form::UnknownTld => points.points_unknown_tld,
            Form::Single => points.points_single,
            Form::Reserved => points.points_reserved,
            Form::OwnLiteral => points.points_own_literal,
            Form::Unusable => points.points_unusable,
        };
        add(Measure::Form, of_form, 1.0);
        if !asked_dns {
            let of_reverse = match self.reverse {
                Reverse::Unknown => 0,
                Reverse::Named => points.points_reverse_named,
                Reverse::Same | Reverse::Family => points.points_reverse_agrees,
                Reverse::Generic => points.points_reverse_generic,
            };
            add(Measure::Reverse, of_reverse, 1.0);
        }
        if self.is_safe {
            return;
        }
        if self.refused {
            add(Measure::Refused, points.points_refused, 1.0);
        }
        add(Measure::Crowd, points.points_crowd, log(self.crowd.young.saturating_sub(1)));
        if self.families >= 2 {
            add(Measure::SecondFamily, points.points_second_family, 1.0);
        }
        add(Measure::NameNetworks, points.points_name_networks, log(self.name_networks));
        add(Measure::Traps, points.points_traps, log(self.trapped));
        add(Measure::TrapShare, points.points_trap_share, self.trap_share);
    }
}

impl Measures {
    /// By how much each of the points is multiplied, in the order of [`Points::KEYS`].
    pub fn amounts(&self) -> [f32; Points::KEYS.len()] {
        let mut policy = Policy::default();
        Points::KEYS.map(|(_, points_of)| {
            policy.points = Points::NONE;
            *points_of(&mut policy.points) = 1;
            let mut amount = 0.0;
            self.weigh(&policy, false, |_, add| amount += add);
            amount
        })
    }
}

/// One measure, as a reason of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Days with accepted mail, accepted messages and days since the first: three measures of the same thing.
    History,
    /// Days of the family in the network.
    NetworkDays,
    /// Reporters that know the family in the network.
    Reporters,
    /// Another name of the family stands on the client.
    SameFamily,
    /// What the name looks like.
    Form,
    /// What the logged reverse name looks like.
    Reverse,
    /// Mostly refused.
    Refused,
    /// Young families in the network.
    Crowd,
    /// Other families on the client.
    SecondFamily,
    /// Networks that say the name.
    NameNetworks,
    /// Messages to traps.
    Traps,
    /// The network's share of traps.
    TrapShare,
}

impl Measure {
    /// The stable word of the reason.
    pub fn word(self, measures: &Measures) -> &'static str {
        match self {
            Self::History => match measures.standing {
                Standing::Seen => "seen",
                Standing::Established => "established",
                Standing::Strong => "strong",
            },
            Self::NetworkDays => "family-in-network",
            Self::Reporters => "reporters",
            Self::SameFamily => "same-family",
            Self::Form => match measures.form {
                Form::Host => "host-name",
                Form::Generic => "generic-name",
                Form::UnknownTld => "unknown-tld",
                Form::Single => "single-label",
                Form::Reserved => "reserved-name",
                Form::OwnLiteral => "own-literal",
                Form::Unusable => "unusable-name",
            },
            Self::Reverse => match measures.reverse {
                Reverse::Generic => "generic-reverse",
                Reverse::Named => "reverse-named",
                _ => "reverse-agrees",
            },
            Self::Refused => "mostly-refused",
            Self::Crowd => "crowded",
            Self::SecondFamily => "second-family",
            Self::NameNetworks => "name-in-many-networks",
            Self::Traps => "traps",
            Self::TrapShare => "network-traps",
        }
    }

    /// Why a newcomer is listed of whom this is the heaviest measure; `None` if it lists nobody.
    pub fn list_code(self, measures: &Measures) -> Option<ListCode> {
        Some(match self {
            Self::Form if measures.form == Form::Generic => ListCode::Generic,
            Self::Form => ListCode::Junk,
            Self::Reverse => ListCode::Generic,
            Self::Crowd => ListCode::Crowded,
            Self::SecondFamily => ListCode::ManyFamilies,
            Self::NameNetworks if measures.form == Form::Host => ListCode::ClaimsOthers,
            Self::NameNetworks => ListCode::Junk,
            Self::Traps | Self::TrapShare => ListCode::Trapped,
            Self::History
            | Self::NetworkDays
            | Self::Reporters
            | Self::SameFamily
            | Self::Refused => {
                return None;
            }
        })
    }

    /// What it says, for people.
    pub fn sentence(self, measures: &Measures, name: &Name, network: &NetworkHistory) -> String {
        let counted = |n: u32, one: &str, many: &str| {
            if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
        };
        let shown = words::shown(name);
        let days = |n: u32| counted(n, "day", "days");
        match self {
            Self::History => {
                let reporters = match measures.reporters {
                    0 | 1 => String::new(),
                    n => format!(", seen by {n} reporters"),
                };
                format!(
                    "{shown}: {} accepted on {} of the last 64 days, first on {}{reporters}",
                    counted(measures.messages, "message was", "messages were"),
                    measures.days,
                    measures.first.map_or_else(String::new, Time::date),
                )
            }
            Self::NetworkDays => format!(
                "hosts of {} sent mail from {} on {} of the last 64",
                name.family().unwrap_or_default(),
                network.network,
                days(measures.network_days),
            ),
            Self::Reporters => format!(
                "{} mail servers took mail of {} from {}",
                measures.network_reporters,
                name.family().unwrap_or_default(),
                network.network,
            ),
            Self::SameFamily => format!(
                "another name of {} is established at this address",
                name.family().unwrap_or_default()
            ),
            Self::Form => match measures.form {
                Form::Host => format!("{shown} is a host's name"),
                Form::Generic => format!(
                    "{shown} is a name that a provider makes for a range of addresses, not one that was given to a mail server"
                ),
                Form::UnknownTld => format!("{shown} ends in no top-level domain that exists"),
                Form::Single => format!("{shown} is a single word, not a host's full name"),
                Form::Reserved => {
                    format!("{shown} is a name that no host on the Internet can have")
                }
                Form::OwnLiteral => format!("it gives its address {shown} in place of a name"),
                Form::Unusable => match name.kind() {
                    NameKind::Absent => "it gives no name".to_owned(),
                    NameKind::Literal => format!("it says {shown}, which is not its address"),
                    _ => format!("what it says ({shown}) is no name"),
                },
            },
            Self::Reverse => match measures.reverse {
                Reverse::Generic => {
                    "its reverse name was made for a range of addresses, or for nobody".to_owned()
                }
                Reverse::Named => {
                    "its verified reverse name is one that somebody gave to it".to_owned()
                }
                Reverse::Same => "its verified reverse name is the name it says".to_owned(),
                _ => "its verified reverse name is of the same domain".to_owned(),
            },
            Self::Refused => "more of its mail was refused than accepted".to_owned(),
            Self::Crowd => format!(
                "{} appeared in {} lately",
                counted(measures.crowd.young, "domain", "domains"),
                network.network,
            ),
            Self::SecondFamily => {
                format!("this address says names of {} domains", measures.families)
            }
            Self::NameNetworks => format!(
                "{shown} is said from {} with no tie to it",
                counted(measures.name_networks, "network", "networks"),
            ),
            Self::Traps => format!(
                "{} to spam traps",
                counted(measures.trapped, "message went", "messages went")
            ),
            Self::TrapShare => format!(
                "of the mail from {}, {} went to spam traps",
                network.network,
                counted(network.trapped, "message", "messages"),
            ),
        }
    }

    /// The reason of a verdict; without its sentence if nobody will read it.
    pub fn told(
        self,
        points: f32,
        measures: &Measures,
        name: &Name,
        network: &NetworkHistory,
        in_words: bool,
    ) -> Reason {
        Reason {
            word: self.word(measures),
            points: points.round() as i32,
            text: if in_words { self.sentence(measures, name, network) } else { String::new() },
        }
    }
}

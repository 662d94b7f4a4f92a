//! The truth: what each session of a run really said and was answered.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use helostat_zones::name::{Name, NameKind};
use helostat_zones::observation::Outcome;
use helostat_zones::time::Time;
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Session {
    pub(crate) id: String,
    time: String,
    /// `None` for a session that is one moment.
    time_end: Option<String>,
    pub(crate) ip: IpAddr,
    #[serde(default)]
    pub(crate) port: Option<u32>,
    pub(crate) ehlo: Option<String>,
    all_ehlos: Vec<String>,
    pub(crate) outcome: String,
    #[serde(default)]
    pub(crate) listener: String,
    #[serde(default)]
    pub(crate) kind: String,
    pub(crate) cls: String,
    pub(crate) rdns: Option<String>,
    /// `None` where XCLIENT says the name: the truth does not hold it.
    rdns_state: Option<String>,
    #[serde(default)]
    helos: Vec<Helo>,
    #[serde(default)]
    pub(crate) txs: Vec<Transaction>,
    /// What the driver meant to say, from the plan beside the truth.
    #[serde(skip)]
    planned: Vec<String>,
    /// How many seconds after its end its lines may come.
    #[serde(skip)]
    pub(crate) slack: u32,
}

#[derive(Deserialize)]
pub(crate) struct Helo {
    #[serde(default)]
    verb: String,
    #[serde(default)]
    name: String,
    code: Option<u32>,
}

#[derive(Deserialize)]
pub(crate) struct Transaction {
    pub(crate) ehlo: Option<String>,
    pub(crate) outcome: String,
    #[serde(default)]
    rcpts: Vec<(String, Option<u32>)>,
}

impl Transaction {
    /// Its class; and where a client went away after a refused recipient, that refusal's, if the log may show it
    /// only so: what Exim writes is the same as for a client that goes because all were refused.
    fn classes(&self, hides_loss: bool) -> Vec<Class> {
        let mut classes: Vec<Class> = Class::parse(&self.outcome).into_iter().collect();
        if hides_loss && classes == [Class::Aborted] {
            for code in self.rcpts.iter().filter_map(|(_, code)| *code) {
                match code {
                    400..=499 => classes.push(Class::Deferred),
                    500.. => classes.push(Class::Rejected),
                    _ => {}
                }
            }
        }
        classes
    }
}

/// Accepted and partly accepted are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Taken,
    Rejected,
    Deferred,
    Refused,
    Aborted,
    Nothing,
}

impl Class {
    pub(crate) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accepted | Outcome::Partial => Self::Taken,
            Outcome::Rejected => Self::Rejected,
            Outcome::Deferred => Self::Deferred,
            Outcome::Refused => Self::Refused,
            Outcome::Aborted => Self::Aborted,
            Outcome::None => Self::Nothing,
        }
    }

    /// `None` for `mixed`: the transactions say it.
    fn parse(word: &str) -> Option<Self> {
        match word {
            "accepted" | "accepted_partial" => Some(Self::Taken),
            "rejected" => Some(Self::Rejected),
            "deferred" => Some(Self::Deferred),
            "refused" => Some(Self::Refused),
            "aborted" => Some(Self::Aborted),
            "none" => Some(Self::Nothing),
            "mixed" => None,
            other => panic!("no outcome: {other}"),
        }
    }
}

/// A name that was in force, and the classes that what was done under it has.
pub(crate) struct Unit {
    pub(crate) name: Name,
    pub(crate) classes: Vec<Class>,
}

#[derive(Deserialize)]
struct Plan {
    sessions: Vec<Planned>,
}

#[derive(Deserialize)]
struct Planned {
    id: String,
    helos: Vec<(String, String)>,
}

pub(crate) fn read_sessions(truth: &Path) -> Vec<Session> {
    let text = fs::read_to_string(truth).expect("the truth is readable");
    let mut sessions: Vec<Session> =
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    if let Ok(plan) = fs::read(truth.with_file_name("plan.json")) {
        let plan: Plan = serde_json::from_slice(&plan).expect("plan.json");
        let mut planned: HashMap<String, Vec<(String, String)>> =
            plan.sessions.into_iter().map(|one| (one.id, one.helos)).collect();
        for session in &mut sessions {
            let helos = planned.remove(&session.id).unwrap_or_default();
            session.planned = helos.into_iter().map(|(_, name)| name).collect();
        }
    }
    sessions
}

/// What a server hears of an argument: a C string ends at NUL, a command at the line's end, and blanks before
/// the argument are no part of it.
fn heard(said: &str) -> Name {
    let said = said.split(['\0', '\n']).next().unwrap_or_default();
    Name::parse(said.trim_start().as_bytes())
}

/// For MTAs that keep the first word only.
fn first_word(said: &str) -> Name {
    Name::parse(said.split_ascii_whitespace().next().unwrap_or_default().as_bytes())
}

pub(crate) fn is_well_formed(name: &Name) -> bool {
    !matches!(name.kind(), NameKind::Malformed | NameKind::Absent)
}

impl Session {
    /// In whole seconds: a stamp is cut, and a session's last line may come after its last reply.
    pub(crate) fn span(&self) -> (Time, Time) {
        let begin = Time::parse(&self.time).expect("a time");
        let end = Time::parse(self.time_end.as_ref().unwrap_or(&self.time)).expect("a time");
        (begin, Time(end.0 + 1 + self.slack))
    }

    pub(crate) fn holds(&self, ip: IpAddr, time: Time) -> bool {
        let (begin, end) = self.span();
        self.ip.to_canonical() == ip && (begin..=end).contains(&time)
    }

    /// Every name in force, each once.
    pub(crate) fn units(&self, hides_loss: bool) -> Vec<Unit> {
        let mut units: Vec<Unit> = Vec::new();
        let mut add = |said: &Option<String>, classes: Vec<Class>| {
            let name =
                said.as_deref().map_or_else(Name::absent, |said| Name::parse(said.as_bytes()));
            match units.iter_mut().find(|unit| unit.name == name) {
                Some(unit) => unit.classes.extend(classes),
                None => units.push(Unit { name, classes }),
            }
        };
        for tx in &self.txs {
            add(&tx.ehlo, tx.classes(hides_loss));
        }
        if self.txs.is_empty() {
            add(&self.ehlo, Class::parse(&self.outcome).into_iter().collect());
        }
        if let [only] = &mut units[..] {
            only.classes.extend(Class::parse(&self.outcome));
        }
        for (name, class) in self.refused_greetings() {
            if !units.iter().any(|unit| unit.name == name) {
                units.push(Unit { name, classes: vec![class, Class::Nothing] });
            }
        }
        units
    }

    /// The names that were refused at once; not those of other protocols' greetings.
    fn refused_greetings(&self) -> impl Iterator<Item = (Name, Class)> {
        let smtp = |helo: &&Helo| ["", "EHLO", "HELO"].contains(&&*helo.verb.to_ascii_uppercase());
        self.helos.iter().filter(smtp).filter_map(|helo| {
            let code = helo.code.filter(|&code| code >= 400)?;
            let class = if code < 500 { Class::Deferred } else { Class::Rejected };
            Some((Name::parse(helo.name.as_bytes()), class))
        })
    }

    /// Everything this client may be heard to have said.
    pub(crate) fn said(&self, cuts_words: bool) -> Vec<Name> {
        let texts = || {
            let of_transactions = self.txs.iter().filter_map(|tx| tx.ehlo.as_ref());
            // A client that speaks before the banner: the driver takes the wrong reply for its EHLO's.
            let unrecorded: &[String] = if self.all_ehlos.is_empty() && self.kind == "pregreet" {
                &self.planned
            } else {
                &[]
            };
            self.all_ehlos.iter().chain(&self.ehlo).chain(of_transactions).chain(unrecorded)
        };
        let mut names: Vec<Name> =
            texts().flat_map(|said| [Name::parse(said.as_bytes()), heard(said)]).collect();
        if cuts_words {
            names.extend(texts().map(|said| first_word(said)));
        }
        names
    }

    /// True if nothing that was said was taken, at least for a while.
    pub(crate) fn was_nameless(&self) -> bool {
        self.ehlo.is_none()
            || self.all_ehlos.is_empty()
            || self.txs.iter().any(|tx| tx.ehlo.is_none())
            || self.said(false).contains(&Name::absent())
    }

    /// The classes that are right under `name`: of its transactions; where it had none, what a refused greeting
    /// or the whole session comes to.
    pub(crate) fn allows(&self, name: &Name, hides_loss: bool) -> Vec<Class> {
        let malformed = name.kind() == NameKind::Malformed;
        let mut classes: Vec<Class> = self
            .units(hides_loss)
            .into_iter()
            .filter(|unit| {
                unit.name == *name || (malformed && unit.name.kind() == NameKind::Malformed)
            })
            .flat_map(|unit| unit.classes)
            .collect();
        let heard = |said: &String| heard(said) == *name || first_word(said) == *name;
        let cut = self.txs.iter().filter(|tx| tx.ehlo.as_ref().is_some_and(heard));
        classes.extend(cut.flat_map(|tx| tx.classes(hides_loss)));
        classes.extend(
            self.refused_greetings()
                .filter(|(said, _)| said == name || malformed)
                // Or it was only said, and what it was answered does not show.
                .flat_map(|(_, class)| [class, Class::Nothing]),
        );
        if classes.is_empty() {
            // It was said, and never in force of anything.
            classes.push(Class::Nothing);
            classes.extend(Class::parse(&self.outcome));
        }
        classes
    }

    /// True if the MTA may have verified this reverse name.
    pub(crate) fn has_reverse(&self, rdns: &str) -> bool {
        let Some(state) = &self.rdns_state else { return true };
        let known = self.rdns.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(rdns));
        state.starts_with("verified") && known
    }
}

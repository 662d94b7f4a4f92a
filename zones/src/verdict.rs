//! What helostat says of a client, a name or a pair: the result types.
//!
//! A verdict is a value made from history and findings by [`crate::policy`]; it holds what every
//! form of answer needs (DNS records, sentences, JSON), and until when the passage of time alone
//! leaves it as it is. Nothing here decides.

use std::fmt;

use serde::Serialize;

use crate::answer::Codes;
use crate::operator::Decision;
use crate::time::Time;

/// The five classes, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A strong pair: long, steady, one family.
    Trusted,
    /// An established pair.
    Known,
    /// Not enough history to say; not bad.
    New,
    /// Signs against it, not enough to list.
    Suspect,
    /// Listed, with reasons of its own.
    Listed,
}

impl Class {
    /// The word for it in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Known => "known",
            Self::New => "new",
            Self::Suspect => "suspect",
            Self::Listed => "listed",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One thing that moved a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// A stable word for programs: `many-families`, `established`.
    pub word: &'static str,
    /// What it added to the score, in points; negative counts against the client.
    pub points: i32,
    /// A sentence for people. May quote names, which are printable ASCII.
    pub text: String,
}

/// Why a client stands on `bl`: the last octet of 127.0.0.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListCode {
    /// Names of many families on one client.
    ManyFamilies = 4,
    /// Claims a name that others own.
    ClaimsOthers = 5,
    /// Says junk in EHLO, persistently.
    Junk = 6,
    /// The publisher of the name denies the client.
    Denied = 7,
    /// Its mail goes to spam traps.
    Trapped = 8,
    /// A generic or dynamic reverse name with no standing.
    Generic = 10,
    /// The network is crowded with fresh families.
    Crowded = 11,
    /// The operator's own decision.
    Operator = 99,
}

/// The place of a client on `wl`: 127.0.category.level, as DNSWL publishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Trust {
    /// 4 a sender of its own, 5 a provider or forwarder, 9 the operator's allow.
    pub category: u8,
    /// 0 none, 1 low, 2 medium, 3 high.
    pub level: u8,
}

impl ListCode {
    /// The word for it in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::ManyFamilies => "many-families",
            Self::ClaimsOthers => "claims-others",
            Self::Junk => "junk",
            Self::Denied => "denied",
            Self::Trapped => "traps",
            Self::Generic => "generic",
            Self::Crowded => "crowded",
            Self::Operator => "operator",
        }
    }

    /// The words of the reasons by which it comes about, the most telling first.
    fn reason_words(self) -> &'static [&'static str] {
        match self {
            Self::ManyFamilies => &["many-families", "second-family"],
            Self::ClaimsOthers => &["claims-others", "name-in-many-networks"],
            Self::Junk => &[
                "junk",
                "unusable-name",
                "unknown-tld",
                "own-literal",
                "single-label",
                "reserved-name",
                "name-in-many-networks",
            ],
            Self::Denied => &["denied"],
            Self::Trapped => &["traps", "network-traps"],
            Self::Generic => &["generic-name", "generic-reverse", "generic-fail"],
            Self::Crowded => &["crowded"],
            Self::Operator => &["operator-deny"],
        }
    }

    /// The reason by which it came about. The heaviest of a verdict may be another one.
    pub fn reason(self, reasons: &[Reason]) -> Option<&Reason> {
        let of_word = |word: &&str| reasons.iter().find(|reason| reason.word == *word);
        self.reason_words()
            .iter()
            .find_map(of_word)
            .or_else(|| reasons.iter().find(|reason| reason.points < 0))
    }
}

/// What sort of sender it is, where "steady" would be read as "clean".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// One of very many hosts of its domain: its mail is that of many people.
    Provider,
    /// Steady, and part of its mail is refused all the same: it passes on what others send to it.
    Forwarder,
    /// Several hosts share the address: a gateway, NAT.
    Shared,
}

impl Sort {
    /// The word for it in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Forwarder => "forwarder",
            Self::Shared => "shared",
        }
    }
}

/// What is said of a client (an address).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClientVerdict {
    /// Its class.
    pub class: Class,
    /// What sort of sender it is, if it is one of which more must be said.
    pub sort: Option<Sort>,
    /// The operator's own decision, if there is one.
    pub decision: Option<Decision>,
    /// Independent reporters that accepted mail of its firmest pair.
    pub reporters: u32,
    /// 0 (worst) to 100 (best); `None` where there is not enough history to say.
    pub score: Option<u8>,
    /// How much history stands behind it, 0 to 100.
    pub confidence: u8,
    /// What moved it, heaviest first.
    pub reasons: Vec<Reason>,
    /// Why it stands on `bl`; empty if it does not.
    pub listings: Vec<ListCode>,
    /// Where it stands on `wl`, if it does.
    pub trust: Option<Trust>,
    /// The moment at which the passage of time alone could change this.
    pub until: Time,
    /// What the zones of addresses say instead, while the verdict is held back.
    #[serde(skip)]
    pub held: Option<Codes>,
}

/// Why a name stands in the `ehlo` zone: the last octet of 127.0.1.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameCode {
    /// A bad name.
    Bad = 2,
    /// Said from too many networks.
    ManyNetworks = 4,
    /// Said by hosts that its owner does not vouch for.
    Impersonated = 5,
    /// Junk: no host can own it.
    Junk = 6,
}

/// How far a name is recommended: the letters of CSV-DNA (draft-ietf-marid-csv-dna-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Rating {
    /// Strongly recommended.
    A,
    /// Recommended.
    B,
    /// Not recommended.
    D,
    /// Strongly not recommended.
    E,
}

impl Rating {
    /// The letter.
    pub fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
            Self::D => 'D',
            Self::E => 'E',
        }
    }
}

/// What is said of a name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NameVerdict {
    /// How far it is recommended; `None` where there is not enough history to say.
    pub rating: Option<Rating>,
    /// The operator's own decision, if there is one.
    pub decision: Option<Decision>,
    /// Why it stands in `ehlo`; empty if it does not.
    pub codes: Vec<NameCode>,
    /// What moved it, heaviest first.
    pub reasons: Vec<Reason>,
    /// The moment at which the passage of time alone could change this.
    pub until: Time,
}

/// What the `pair` zone says: the last two octets of 127.0.x.y.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairCode {
    /// 127.0.2.2: established.
    Established,
    /// 127.0.2.3: established, and the name's address records agree.
    Confirmed,
    /// 127.0.2.4: established, and authorised by the name's publisher.
    Authorised,
    /// 127.0.2.5: the operator's allow.
    OperatorAllow,
    /// 127.0.3.2: a new name on a steady client.
    NewName,
    /// 127.0.3.3: a known name on a new client.
    NewClient,
    /// 127.0.3.4: a known name on a new client, within its own family or network.
    Moved,
    /// 127.0.3.9: seen, too little history.
    TooLittle,
}

impl PairCode {
    /// The third and fourth octet of the answer.
    pub fn octets(self) -> (u8, u8) {
        match self {
            Self::Established => (2, 2),
            Self::Confirmed => (2, 3),
            Self::Authorised => (2, 4),
            Self::OperatorAllow => (2, 5),
            Self::NewName => (3, 2),
            Self::NewClient => (3, 3),
            Self::Moved => (3, 4),
            Self::TooLittle => (3, 9),
        }
    }
}

/// What is said of a pair (client, name).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairVerdict {
    /// Its class.
    pub class: Class,
    /// What sort of sender it is, if it is one of which more must be said.
    pub sort: Option<Sort>,
    /// The operator's own decision, if there is one.
    pub decision: Option<Decision>,
    /// 0 (worst) to 100 (best). A newcomer has one, too: that of its first impression.
    pub score: u8,
    /// What the score is made of: the sum of points, ten of them a unit of log-odds.
    pub points: f32,
    /// How much history stands behind it, 0 to 100.
    pub confidence: u8,
    /// Independent reporters that accepted mail of it.
    pub reporters: u32,
    /// What the `pair` zone says of it; `None` if nothing is known.
    pub code: Option<PairCode>,
    /// Reasons as in `bl` that hold against this pair; they come before `code`.
    pub listings: Vec<ListCode>,
    /// What moved it, heaviest first.
    pub reasons: Vec<Reason>,
    /// The moment at which the passage of time alone could change this.
    pub until: Time,
}

impl ClientVerdict {
    /// Of a client of which nothing is known.
    pub fn unknown(until: Time) -> Self {
        Self {
            class: Class::New,
            sort: None,
            decision: None,
            reporters: 0,
            score: None,
            confidence: 0,
            reasons: Vec::new(),
            listings: Vec::new(),
            trust: None,
            until,
            held: None,
        }
    }
}

impl NameVerdict {
    /// Of a name of which nothing is known.
    pub fn unknown(until: Time) -> Self {
        Self { rating: None, decision: None, codes: Vec::new(), reasons: Vec::new(), until }
    }
}

impl PairVerdict {
    /// Of a pair of which nothing is known.
    pub fn unknown(until: Time) -> Self {
        Self {
            class: Class::New,
            sort: None,
            decision: None,
            score: 50,
            points: 0.0,
            confidence: 0,
            reporters: 0,
            code: None,
            listings: Vec::new(),
            reasons: Vec::new(),
            until,
        }
    }
}

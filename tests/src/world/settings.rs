//! What a world is made from: its seed and size, and every number that was not measured.
//!
//! Numbers that were measured on real mail are constants beside the class they belong to. What is assumed stands
//! here, so that whoever doubts a number can try another.

use helostat_zones::time::Time;

use super::class::{Mix, SINGLE_SHARE};

/// A closed range of a number that is drawn.
pub type Range = (f64, f64);

/// How many messages a single honest MTA sends in a day, on the average of all of them.
const SINGLE_MESSAGES_A_DAY: f64 = 1.8;

/// All settings of a world.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The same seed and settings give the same messages.
    pub seed: u64,
    /// How many days of mail; at least one.
    pub days: u32,
    /// When the first day begins.
    pub start: Time,
    /// How many sites report; one to a thousand.
    pub reporters: usize,
    /// The size: about how many single honest MTAs there are with the default mix. All other classes grow with
    /// it; a world has about 36 messages a day for each.
    pub senders: u32,
    /// What part of the connections each class has.
    pub mix: Mix,
    /// The least senders of each class that has a part at all. A world too small for the rates of a class has
    /// fewer messages of each sender, not fewer senders.
    pub least: u32,
    /// What part of the reporters tells what never was; at least one of them if it is not 0.
    pub bad_reporters: f64,
    /// What part of the reporters are traps: nearly all they see is spam, and they take everything.
    pub traps: f64,
    /// What part of the reporters sees list mail only.
    pub list_only: f64,
    /// How fast the volume falls from the largest site to the smallest: the share of the one at rank r is like
    /// 1 / r^zipf.
    pub zipf: f64,
    /// What part of the reporters can be reached over IPv6.
    pub ipv6: f64,
    /// What honest sites refuse.
    pub refused: Refused,
    /// What else was not measured.
    pub assumed: Assumed,
}

/// What part of the connections a site refuses with its own means; traps refuse nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Spam of bots (classes 10 to 14).
    pub bots: f64,
    /// Spam of hosts that spammers rent (15 to 17, 24).
    pub rented: f64,
    /// Spam that honest hosts pass on (5 to 8, 22).
    pub relayed: f64,
    /// Wanted mail: unknown users, full boxes.
    pub ham: f64,
    /// Of what is refused, the part that is only put off.
    pub deferred: f64,
}

/// Numbers of single classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Assumed {
    /// 1: messages a day of the busiest single MTA.
    pub busiest_single: f64,
    /// 1: the part that lives with up to three strangers in a hoster's /24.
    pub hosted: f64,
    /// 4: the part of farms that has a name for each address.
    pub name_per_address: f64,
    /// 5, 6: what part of a provider's mail is spam.
    pub provider_spam: f64,
    /// 7: what part of a pool's customers are spammers.
    pub esp_spammers: f64,
    /// 8: what part of a forwarder's mail is spam.
    pub forwarder_spam: Range,
    /// 11: how many sites a bot visits, on the average.
    pub bot_sites: f64,
    /// 12: how many bots say `ylmf-pc` for each 1,443 that say `localhost`.
    pub ylmf_pc: u32,
    /// 13: how many sites see each of these clients.
    pub victim_sites: Range,
    /// 14: from how many addresses a stolen name comes.
    pub thief_addresses: Range,
    /// 17: how many days an address lies idle between two customers.
    pub idle_days: Range,
    /// 17: the part in which the good customer came first.
    pub good_then_bad: f64,
    /// 18: the part that moves to another /24.
    pub new_network: f64,
    /// 18: for how many days the old address still sends.
    pub overlap_days: Range,
    /// 18, 19: the part whose DNS agrees with the new place or name.
    pub agreeing_dns: f64,
    /// 22: how many hours a burst lasts, and how many messages it has.
    pub burst_hours: Range,
    /// 22: see `burst_hours`.
    pub burst_messages: Range,
    /// 24: how many false families a victim is given.
    pub false_names: Range,
    /// 24: how often each bad reporter tells each false pair.
    pub false_reports: Range,
    /// 24: the part of attacks that makes up history for addresses of the attacker's own.
    pub own_history: f64,
    /// How much of what it would get of spam a list-only site sees.
    pub list_spam: f64,
    /// How much of what it would get of wanted mail a trap sees.
    pub trap_ham: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            days: 60,
            // A Monday: 2025-01-06T00:00:00Z.
            start: Time(1_736_121_600),
            reporters: 24,
            senders: 500,
            mix: Mix::default(),
            least: 4,
            bad_reporters: 0.04,
            traps: 0.12,
            list_only: 0.2,
            zipf: 1.5,
            ipv6: 0.6,
            refused: Refused { bots: 0.45, rented: 0.25, relayed: 0.1, ham: 0.01, deferred: 0.2 },
            assumed: Assumed::default(),
        }
    }
}

impl Default for Assumed {
    fn default() -> Self {
        Self {
            busiest_single: 20.0,
            hosted: 0.3,
            name_per_address: 0.7,
            provider_spam: 0.08,
            esp_spammers: 0.05,
            forwarder_spam: (0.0, 0.95),
            bot_sites: 1.3,
            ylmf_pc: 600,
            victim_sites: (2.0, 8.0),
            thief_addresses: (20.0, 100.0),
            idle_days: (1.0, 90.0),
            good_then_bad: 0.5,
            new_network: 0.7,
            overlap_days: (0.0, 30.0),
            agreeing_dns: 0.9,
            burst_hours: (1.0, 24.0),
            burst_messages: (50.0, 2000.0),
            false_names: (2.0, 20.0),
            false_reports: (1.0, 5.0),
            own_history: 0.3,
            list_spam: 0.02,
            trap_ham: 0.01,
        }
    }
}

impl Settings {
    /// About how many messages the default mix gives.
    pub fn messages(&self) -> f64 {
        f64::from(self.senders) * f64::from(self.days) * SINGLE_MESSAGES_A_DAY / SINGLE_SHARE
    }
}

//! The numbers a verdict is made with. The rules are in [`crate::rules`].
//!
//! Every number is a setting, and the shipped policy (`[policy]` in `ops/helostat.toml`) says of each why it is so and where it comes from:
//! most from real mail (446,000 messages at five sites and two trap feeds), fitted and rounded on the date of
//! [`CALIBRATED`]. How to repeat that stands in `docs/calibration.md`.
//!
//! Weights are points: ten points are one unit of log-odds, so that a sum of points is a sum of log-odds, as
//! in any linear score. Weights of counts (days, messages, families) are multiplied with the natural
//! logarithm of one more than the count: the first days say more than the fiftieth.

use serde::{Deserialize, Serialize};

use crate::weights::Weights;

/// The day on which the default weights were fitted.
pub const CALIBRATED: &str = "2026-11-28";

/// Numbers of the policy. Days are UTC days, counts are messages unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// Accepted messages of an established pair.
    pub established_messages: u32,
    /// Days with accepted mail of an established pair.
    pub established_days: u32,
    /// Days since the first accepted mail of an established pair.
    pub established_age_days: u32,
    /// Accepted messages of a strong pair.
    pub strong_messages: u32,
    /// Days with accepted mail of a strong pair.
    pub strong_days: u32,
    /// Days since the first accepted mail of a strong pair.
    pub strong_age_days: u32,
    /// What one reporter says counts at most as so many messages for or against a pair's standing.
    pub reporter_messages: u32,
    /// The window in which families on a client are counted.
    pub families_window_days: u32,
    /// Families on an IPv4 address that make it listed.
    pub many_families_v4: u32,
    /// Families on an IPv6 /64 that make it listed.
    pub many_families_v6: u32,
    /// Families in the short window that make a client suspect.
    pub watch_families: u32,
    /// The short window.
    pub watch_window_days: u32,
    /// Young families in a network that make its newcomers listed.
    pub crowded_families: u32,
    /// For so many reporters of a ledger one more family is needed: who hears more sees more families.
    pub crowded_reporters: u32,
    /// A family crowds a network if it was seen there within so many days.
    pub crowded_window_days: u32,
    /// How long a family is young in a network.
    pub crowded_young_days: u32,
    /// Established with so many reporters, a family crowds nobody.
    pub crowd_firm_reporters: u32,
    /// Before so many days of learning nobody is listed for a crowd: who has just begun to listen cannot
    /// know who was there before.
    pub crowded_warm_up_days: u32,
    /// Networks, foreign to its family, in which a name may be said.
    pub name_many_networks: u32,
    /// Sessions with junk for a name that make a client listed.
    pub junk_messages: u32,
    /// Days with such sessions.
    pub junk_days: u32,
    /// Accepted messages before a pair may be known.
    pub known_messages: u32,
    /// Days between the first and the last time it was seen.
    pub known_span_days: u32,
    /// Days with mail of the family in the network before a newcomer of it there may be known.
    pub farm_days: u32,
    /// Days since the first of it.
    pub farm_age_days: u32,
    /// An established pair with so many reporters is judged by itself: what other names at its address, its
    /// neighbours or traps say takes nothing from it.
    pub safe_reporters: u32,
    /// For so many reporters of a ledger a trusted pair needs one witness more.
    pub trusted_reporters: u32,
    /// Clients of a family that make it a provider.
    pub provider_clients: u32,
    /// Percent of an established pair's mail that is refused by others that make it a forwarder.
    pub forwarder_percent: u32,
    /// From so many points a pair is known.
    pub known_points: i32,
    /// From so many points a strong pair is trusted.
    pub trusted_points: i32,
    /// Down to so many points and below a newcomer is suspect.
    pub suspect_points: i32,
    /// Down to so many points and below a newcomer is listed.
    pub listed_points: i32,
    /// What each measure adds.
    #[serde(flatten)]
    pub points: Points,
    /// What each system of evidence may add; not among the numbers of a policy file.
    #[serde(skip)]
    pub weights: Weights,
}

/// What each measure adds to a sum, in points. Where a count is meant, for each unit of ln(1 + count).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Points {
    /// Days of the last 64 with accepted mail of the pair (of a count).
    pub points_days: i32,
    /// Accepted messages of the pair, 2,000 at most (of a count).
    pub points_messages: i32,
    /// Days since its first accepted mail, 64 at most (of a count).
    pub points_age: i32,
    /// Days of the last 64 with accepted mail of its family in its network (of a count).
    pub points_network_days: i32,
    /// Reporters beyond the first that took mail of its family from its network (of a count).
    pub points_reporters: i32,
    /// Another name of its family is established on the client.
    pub points_same_family: i32,
    /// Young families in the network beyond this one (of a count).
    pub points_crowd: i32,
    /// The client says names of another family, too.
    pub points_second_family: i32,
    /// Networks that say the name without a tie to it (of a count).
    pub points_name_networks: i32,
    /// Messages of the pair that traps took (of a count).
    pub points_traps: i32,
    /// How much of the network's mail traps took.
    pub points_trap_share: i32,
    /// The logged reverse name is verified, of the name's family, and nobody's dial-up.
    pub points_reverse_agrees: i32,
    /// The logged reverse name is verified and was made for this host, in another family than the name's.
    pub points_reverse_named: i32,
    /// The logged reverse name was made by a machine for a range.
    pub points_reverse_generic: i32,
    /// The name itself was, and says nothing of mail.
    pub points_generic_name: i32,
    /// The name ends in no top-level domain that exists.
    pub points_unknown_tld: i32,
    /// A bare word.
    pub points_single: i32,
    /// `localhost` and other names that no host on the Internet can own.
    pub points_reserved: i32,
    /// The client's own address in brackets.
    pub points_own_literal: i32,
    /// More of its mail was refused than accepted.
    pub points_refused: i32,
    /// No name at all: nonsense, an address without brackets, another's address.
    pub points_unusable: i32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            established_messages: 5,
            established_days: 3,
            established_age_days: 3,
            strong_messages: 10,
            strong_days: 5,
            strong_age_days: 7,
            reporter_messages: 100,
            families_window_days: 30,
            many_families_v4: 3,
            many_families_v6: 8,
            watch_families: 2,
            watch_window_days: 7,
            crowded_families: 5,
            crowded_reporters: 8,
            crowded_window_days: 30,
            crowded_young_days: 60,
            crowd_firm_reporters: 2,
            crowded_warm_up_days: 7,
            name_many_networks: 10,
            junk_messages: 5,
            junk_days: 2,
            known_messages: 2,
            known_span_days: 2,
            farm_days: 5,
            farm_age_days: 30,
            safe_reporters: 3,
            trusted_reporters: 20,
            provider_clients: 64,
            forwarder_percent: 10,
            known_points: 43,
            trusted_points: 50,
            suspect_points: -15,
            listed_points: -28,
            points: Points::default(),
            weights: Weights::default(),
        }
    }
}

impl Default for Points {
    fn default() -> Self {
        Self {
            points_days: 3,
            points_messages: 9,
            points_age: 1,
            points_network_days: 10,
            points_reporters: 12,
            points_same_family: 27,
            points_crowd: -35,
            points_second_family: -4,
            points_name_networks: -5,
            points_traps: -3,
            points_trap_share: -45,
            points_reverse_agrees: 9,
            points_reverse_named: 4,
            points_reverse_generic: -7,
            points_generic_name: -28,
            points_unknown_tld: -29,
            points_single: -16,
            points_reserved: -3,
            points_own_literal: -18,
            points_unusable: -18,
            points_refused: -10,
        }
    }
}

/// One of the points.
pub type PointsOf = fn(&mut Points) -> &mut i32;

impl Points {
    /// Nothing adds anything.
    pub const NONE: Self = Self {
        points_days: 0,
        points_messages: 0,
        points_age: 0,
        points_network_days: 0,
        points_reporters: 0,
        points_same_family: 0,
        points_crowd: 0,
        points_second_family: 0,
        points_name_networks: 0,
        points_traps: 0,
        points_trap_share: 0,
        points_reverse_agrees: 0,
        points_reverse_named: 0,
        points_reverse_generic: 0,
        points_generic_name: 0,
        points_unknown_tld: 0,
        points_single: 0,
        points_reserved: 0,
        points_own_literal: 0,
        points_refused: 0,
        points_unusable: 0,
    };

    /// Each of them, by its key.
    pub const KEYS: [(&'static str, PointsOf); 21] = [
        ("points-days", |points| &mut points.points_days),
        ("points-messages", |points| &mut points.points_messages),
        ("points-age", |points| &mut points.points_age),
        ("points-network-days", |points| &mut points.points_network_days),
        ("points-reporters", |points| &mut points.points_reporters),
        ("points-same-family", |points| &mut points.points_same_family),
        ("points-crowd", |points| &mut points.points_crowd),
        ("points-second-family", |points| &mut points.points_second_family),
        ("points-name-networks", |points| &mut points.points_name_networks),
        ("points-traps", |points| &mut points.points_traps),
        ("points-trap-share", |points| &mut points.points_trap_share),
        ("points-reverse-agrees", |points| &mut points.points_reverse_agrees),
        ("points-reverse-named", |points| &mut points.points_reverse_named),
        ("points-reverse-generic", |points| &mut points.points_reverse_generic),
        ("points-generic-name", |points| &mut points.points_generic_name),
        ("points-unknown-tld", |points| &mut points.points_unknown_tld),
        ("points-single", |points| &mut points.points_single),
        ("points-reserved", |points| &mut points.points_reserved),
        ("points-own-literal", |points| &mut points.points_own_literal),
        ("points-refused", |points| &mut points.points_refused),
        ("points-unusable", |points| &mut points.points_unusable),
    ];
}

impl Policy {
    /// Reporters that must have taken mail of a trusted pair, where so many tell of it: more than one in
    /// `trusted-reporters` of them, so that those few cannot make up trust.
    pub fn witnesses(&self, reporters: usize) -> u32 {
        1 + u32::try_from(reporters).unwrap_or(u32::MAX) / self.trusted_reporters.max(1)
    }

    /// Young families that crowd a network, where so many reporters tell of it.
    pub fn crowd_bar(&self, reporters: usize) -> u32 {
        let more = u32::try_from(reporters).unwrap_or(u32::MAX) / self.crowded_reporters.max(1);
        self.crowded_families.saturating_add(more)
    }
}

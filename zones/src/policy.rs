//! The numbers a verdict is made with. The rules are in [`crate::rules`].
//!
//! Every number is a setting; the defaults are the starting thresholds measured on 446,000 messages of
//! real mail at five sites (TREC 2007, SpamAssassin, three mailing-list hosts): an established pair
//! keeps 98.6% of ham and lets 6.6% of spam through, five fresh families in a /24 hit no honest mail.

use serde::{Deserialize, Serialize};

use crate::weights::Weights;

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
    /// Fresh families in a network that make its newcomers listed.
    pub crowded_families: u32,
    /// How long a family is fresh in a network.
    pub crowded_window_days: u32,
    /// What is first seen in so many days after the ledger's beginning is not fresh: who has just begun
    /// to listen cannot know.
    pub crowded_warm_up_days: u32,
    /// Networks, foreign to its family, in which a name may be said.
    pub name_many_networks: u32,
    /// Sessions with junk for a name that make a client listed.
    pub junk_messages: u32,
    /// Days with such sessions.
    pub junk_days: u32,
    /// What each system of evidence may add; not among the numbers of a policy file.
    #[serde(skip)]
    pub weights: Weights,
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
            many_families_v6: 4,
            watch_families: 2,
            watch_window_days: 7,
            crowded_families: 5,
            crowded_window_days: 30,
            crowded_warm_up_days: 7,
            name_many_networks: 10,
            junk_messages: 5,
            junk_days: 2,
            weights: Weights::default(),
        }
    }
}

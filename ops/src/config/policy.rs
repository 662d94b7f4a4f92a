//! `[policy]`: the numbers by which history becomes a verdict.
//!
//! They come from measurements on labelled archives of real mail; where a number has no measurement
//! behind it, the shipped example file says so. The same keys, without `file`, can stand in a file of
//! their own that `file` names; what stands in `[policy]` itself wins.

use std::path::PathBuf;

use super::section::Preset::Is;
use super::section::section;
use super::value::Rule::{Between, Free};

section! {
    /// The numbers of the verdict.
    Policy in "policy" {
        "file" file: Option<PathBuf> = Is(r#""""#), Free, Reload,
            "A file with these same keys (no section line); what stands in the section itself wins.";
        "established-messages" established_messages: u32 = Is("5"), Between(1, 1000), Reload,
            "A pair is established with at least this many messages taken, and with the next two.";
        "established-days" established_days: u32 = Is("3"), Between(1, 64), Reload,
            "An established pair was seen on at least this many different days.";
        "established-age-days" established_age_days: u32 = Is("3"), Between(0, 365), Reload,
            "An established pair was first seen at least this many days ago.";
        "strong-messages" strong_messages: u32 = Is("10"), Between(1, 10_000), Reload,
            "A pair is strong (class trusted) with at least this many messages, and with the next two.";
        "strong-days" strong_days: u32 = Is("5"), Between(1, 64), Reload,
            "A strong pair was seen on at least this many different days.";
        "strong-age-days" strong_age_days: u32 = Is("7"), Between(0, 365), Reload,
            "A strong pair was first seen at least this many days ago.";
        "reporter-messages" reporter_messages: u32 = Is("100"), Between(1, 1_000_000), Reload,
            "Of one reporter this many messages count at most, for or against a pair's standing.";
        "families-window-days" families_window_days: u32 = Is("30"), Between(1, 64), Reload,
            "Families (registrable domains) of a client are counted over this many days.";
        "many-families-v4" many_families_v4: u32 = Is("3"), Between(2, 100), Reload,
            "That many families on one IPv4 address list it (bl code 4).";
        "many-families-v6" many_families_v6: u32 = Is("4"), Between(2, 100), Reload,
            "That many families on one IPv6 /64 list it (bl code 4).";
        "watch-families" watch_families: u32 = Is("2"), Between(2, 100), Reload,
            "That many families within the watch window make a client suspect, no more.";
        "watch-window-days" watch_window_days: u32 = Is("7"), Between(1, 64), Reload,
            "The watch window in days: the families of a client's last week, by default.";
        "crowded-families" crowded_families: u32 = Is("5"), Between(2, 1000), Reload,
            "That many fresh families in one IPv4 /24 or IPv6 /48 make it crowded (bl code 11).";
        "crowded-window-days" crowded_window_days: u32 = Is("30"), Between(1, 64), Reload,
            "A family is fresh in a network for this many days, unless a pair of it stands there.";
        "crowded-warm-up-days" crowded_warm_up_days: u32 = Is("7"), Between(0, 64), Reload,
            "What is first seen in this many days after the ledger's first observation is not fresh.";
        "name-many-networks" name_many_networks: u32 = Is("10"), Between(2, 10_000), Reload,
            "A name said from this many networks, with foreign reverse names, is listed (ehlo code 4).";
        "junk-messages" junk_messages: u32 = Is("5"), Between(1, 1000), Reload,
            "A client that says names no host can own this many times is listed (bl code 6), with the next.";
        "junk-days" junk_days: u32 = Is("2"), Between(1, 64), Reload,
            "Junk counts against a client once said on at least this many different days.";
    }
}

impl Policy {
    /// Pairs of keys of which the second may not be below the first: who meets the stricter demand
    /// has met the milder one, or the classes would not be in order.
    pub(super) const ORDERED: [(&'static str, &'static str); 5] = [
        ("established-messages", "strong-messages"),
        ("established-days", "strong-days"),
        ("established-age-days", "strong-age-days"),
        ("watch-families", "many-families-v4"),
        ("watch-families", "many-families-v6"),
    ];
}

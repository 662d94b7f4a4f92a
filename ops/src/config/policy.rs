//! `[policy]`: the numbers by which history becomes a verdict.
//!
//! They come from measurements on labelled archives of real mail; where a number has no measurement
//! behind it, the shipped example file says so. The same keys, without `file`, can stand in a file of
//! their own that `file` names; what stands in `[policy]` itself wins.

use std::path::PathBuf;

use super::section::Preset::Is;
use super::section::section;
use super::value::Rule::{Between, Free, Points};

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
        "many-families-v6" many_families_v6: u32 = Is("8"), Between(2, 100), Reload,
            "That many families on one IPv6 /64 list it (bl code 4).";
        "watch-families" watch_families: u32 = Is("2"), Between(2, 100), Reload,
            "That many families within the watch window make a client suspect, no more.";
        "watch-window-days" watch_window_days: u32 = Is("7"), Between(1, 64), Reload,
            "The watch window in days: the families of a client's last week, by default.";
        "crowded-families" crowded_families: u32 = Is("5"), Between(2, 1000), Reload,
            "That many young families in one IPv4 /24 or IPv6 /48 make it crowded (bl code 11).";
        "crowded-reporters" crowded_reporters: u32 = Is("8"), Between(1, 1000), Reload,
            "For each so many reporters of the ledger one family more is needed: who hears more sees more.";
        "crowded-window-days" crowded_window_days: u32 = Is("30"), Between(1, 64), Reload,
            "A family crowds a network if it was seen there within this many days.";
        "crowded-young-days" crowded_young_days: u32 = Is("60"), Between(1, 400), Reload,
            "... and if it came no longer ago than this: a hoster's old customers crowd nobody.";
        "crowd-firm-reporters" crowd_firm_reporters: u32 = Is("2"), Between(1, 64), Reload,
            "... and if it is not established there with this many reporters.";
        "crowded-warm-up-days" crowded_warm_up_days: u32 = Is("7"), Between(0, 64), Reload,
            "Nobody is listed for a crowd before the ledger has learned on this many days.";
        "name-many-networks" name_many_networks: u32 = Is("10"), Between(2, 10_000), Reload,
            "A name said from this many networks, with foreign reverse names, is listed (ehlo code 4).";
        "junk-messages" junk_messages: u32 = Is("5"), Between(1, 1000), Reload,
            "A client that says names no host can own this many times is listed (bl code 6), with the next.";
        "junk-days" junk_days: u32 = Is("2"), Between(1, 64), Reload,
            "Junk counts against a client once said on at least this many different days.";
        "known-messages" known_messages: u32 = Is("2"), Between(1, 1000), Reload,
            "A pair is known early with at least this many messages taken, the next, and `known-points`.";
        "known-span-days" known_span_days: u32 = Is("2"), Between(0, 64), Reload,
            "... and with this many days between the first and the last time it was seen.";
        "farm-days" farm_days: u32 = Is("5"), Between(1, 64), Reload,
            "A newcomer is known if its family sent mail from its network on this many of the last 64 days,";
        "farm-age-days" farm_age_days: u32 = Is("30"), Between(0, 365), Reload,
            "... the first of it at least this many days ago, and with `known-points`.";
        "safe-reporters" safe_reporters: u32 = Is("3"), Between(1, 1000), Reload,
            "An established pair with this many reporters is judged by its own history alone: nobody can talk it down.";
        "trusted-reporters" trusted_reporters: u32 = Is("20"), Between(1, 1000), Reload,
            "For each so many reporters of the ledger a trusted pair needs one witness more: few cannot make up trust.";
        "provider-clients" provider_clients: u32 = Is("64"), Between(2, 1_000_000), Reload,
            "A family with this many clients is a provider: its steady pairs are many people's mail.";
        "forwarder-percent" forwarder_percent: u32 = Is("10"), Between(1, 100), Reload,
            "An established pair of which this much is refused, in percent, is a forwarder: steady, not clean.";
        "known-points" known_points: i32 = Is("43"), Points, Reload,
            "From so many points (ten are one unit of log-odds) a pair is known, early or in its family's network.";
        "trusted-points" trusted_points: i32 = Is("50"), Points, Reload,
            "From so many points a strong pair is trusted.";
        "suspect-points" suspect_points: i32 = Is("-15"), Points, Reload,
            "With so many points or fewer a newcomer is suspect.";
        "listed-points" listed_points: i32 = Is("-28"), Points, Reload,
            "With so many points or fewer a newcomer is listed, under the code of the heaviest reason.";
        "points-days" points_days: i32 = Is("3"), Points, Reload,
            "Points for the days of the last 64 with accepted mail of the pair, times ln(1 + days).";
        "points-messages" points_messages: i32 = Is("9"), Points, Reload,
            "Points for its accepted messages (2,000 at most), times ln(1 + messages).";
        "points-age" points_age: i32 = Is("1"), Points, Reload,
            "Points for the days since the first of them (64 at most), times ln(1 + days).";
        "points-network-days" points_network_days: i32 = Is("10"), Points, Reload,
            "Points for the days with mail of its family from its network, times ln(1 + days).";
        "points-reporters" points_reporters: i32 = Is("12"), Points, Reload,
            "Points for the reporters beyond the first that took mail of the family from the network, times ln(1 + n).";
        "points-same-family" points_same_family: i32 = Is("27"), Points, Reload,
            "Points if another name of its family is established on the client.";
        "points-crowd" points_crowd: i32 = Is("-35"), Points, Reload,
            "Points for the young families in its network beyond its own, times ln(1 + families).";
        "points-second-family" points_second_family: i32 = Is("-4"), Points, Reload,
            "Points if the client says names of another family, too.";
        "points-name-networks" points_name_networks: i32 = Is("-5"), Points, Reload,
            "Points for the networks that say the name without a tie to it, times ln(1 + networks).";
        "points-traps" points_traps: i32 = Is("-3"), Points, Reload,
            "Points for its messages that traps took, times ln(1 + messages).";
        "points-trap-share" points_trap_share: i32 = Is("-45"), Points, Reload,
            "Points for the share of its network's mail that traps took, times ln(1 + traps) / (1 + ln(1 + all)).";
        "points-reverse-agrees" points_reverse_agrees: i32 = Is("9"), Points, Reload,
            "Points if the reverse name in the log is verified and of the name's family (where the DNS was not asked).";
        "points-reverse-named" points_reverse_named: i32 = Is("4"), Points, Reload,
            "Points if it is verified and was given to this host, in another family than the name's.";
        "points-reverse-generic" points_reverse_generic: i32 = Is("-7"), Points, Reload,
            "Points if the reverse name in the log was made by a machine for a range (where the DNS was not asked).";
        "points-generic-name" points_generic_name: i32 = Is("-28"), Points, Reload,
            "Points if the name itself was, and says nothing of mail.";
        "points-unknown-tld" points_unknown_tld: i32 = Is("-29"), Points, Reload,
            "Points if the name ends in no top-level domain that exists.";
        "points-single" points_single: i32 = Is("-16"), Points, Reload,
            "Points if it is a single word.";
        "points-reserved" points_reserved: i32 = Is("-3"), Points, Reload,
            "Points if it is a name that no host on the Internet can own, such as localhost.";
        "points-own-literal" points_own_literal: i32 = Is("-18"), Points, Reload,
            "Points if it is the client's own address in brackets.";
        "points-unusable" points_unusable: i32 = Is("-18"), Points, Reload,
            "Points if it is no name: nonsense, an address without brackets, another's address.";
        "points-refused" points_refused: i32 = Is("-10"), Points, Reload,
            "Points if more of the pair's mail was refused than accepted.";
    }
}

impl Policy {
    /// Pairs of keys of which the second may not be below the first: who meets the stricter demand
    /// has met the milder one, or the classes would not be in order.
    pub(super) const ORDERED: [(&'static str, &'static str); 8] = [
        ("established-messages", "strong-messages"),
        ("established-days", "strong-days"),
        ("established-age-days", "strong-age-days"),
        ("watch-families", "many-families-v4"),
        ("watch-families", "many-families-v6"),
        ("known-points", "trusted-points"),
        ("suspect-points", "known-points"),
        ("listed-points", "suspect-points"),
    ];
}

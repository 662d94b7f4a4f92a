//! The laws of the sketch: against all that was seen, and its estimates against their promise.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const WINDOWS: [u32; 4] = [1, 7, 30, 64];

/// A uniform hash of a number: the finaliser of splitmix64.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

fn sketch(seen: impl IntoIterator<Item = (u64, u16)>) -> Distinct {
    let mut sketch = Distinct::default();
    for (hash, day) in seen {
        sketch.insert(hash, Day(day));
    }
    sketch
}

/// All that was seen on the newest 64 days: by 48-bit hash the newest day.
fn history(seen: &[(u64, u16)]) -> BTreeMap<u64, u16> {
    let mut newest_of = BTreeMap::new();
    for (hash, day) in seen {
        let newest = newest_of.entry(hash >> 16).or_insert(*day);
        *newest = (*newest).max(*day);
    }
    let newest = newest_of.values().copied().max().unwrap_or(0);
    newest_of.retain(|_, day| newest - *day < 64);
    newest_of
}

/// What must be held of a history, by the definition.
fn skyband(history: &BTreeMap<u64, u16>) -> Vec<u64> {
    history
        .iter()
        .filter(|(hash, day)| history.range(..*hash).filter(|(_, d)| d >= day).count() < K)
        .map(|(hash, day)| hash << 16 | u64::from(*day))
        .collect()
}

/// Things and days: few or many of each, and hashes that rise, fall or do not change with the day.
fn seen() -> impl Strategy<Value = Vec<(u64, u16)>> {
    let things = prop_oneof![Just(50_u64), Just(300), Just(5_000)];
    let days = prop_oneof![Just(1_u16), Just(3), Just(64), Just(90)];
    (things, days, 0..3_u64, 20_000_u16..20_010).prop_flat_map(|(things, days, slope, first)| {
        let one = (0..things, 0..days).prop_map(move |(thing, day)| {
            let slant = match slope {
                0 => 0,
                1 => u64::from(day),
                _ => u64::from(days - day),
            };
            (slant << 56 | mix(thing) >> 8, first + day)
        });
        proptest::collection::vec(one, 0..700)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn holds_the_same_in_any_order_and_grouping(
        (seen, shuffled) in seen().prop_flat_map(|seen| {
            (Just(seen.clone()), Just(seen).prop_shuffle())
        }),
        groups in 1..6_usize,
        again in 0..3_usize,
    ) {
        let held = sketch(seen.iter().copied());
        prop_assert_eq!(held.elements(), skyband(&history(&seen)));

        // The same in another order, in parts that overlap, and some of it told again.
        let mut parts: Vec<Distinct> = (0..groups)
            .map(|part| sketch(shuffled.iter().skip(part).step_by(groups).copied()))
            .collect();
        parts.extend_from_within(..again.min(groups));
        let forward = parts.iter().fold(Distinct::default(), |mut all, part| {
            all.merge(part);
            all
        });
        let backward = parts.iter().rfold(Distinct::default(), |all, part| {
            let mut grown = part.clone();
            grown.merge(&all);
            grown
        });
        let mut told_again = held.clone();
        shuffled.iter().for_each(|(hash, day)| told_again.insert(*hash, Day(*day)));
        let mut twice = held.clone();
        twice.merge(&held);
        for (how, other) in [
            ("merged", forward),
            ("merged from the end", backward),
            ("inserted again", told_again),
            ("merged with itself", twice),
        ] {
            prop_assert_eq!(&other, &held, "{}", how);
        }
    }

    #[test]
    fn merging_is_a_union(a in seen(), b in seen(), c in seen()) {
        let merged = |a: &Distinct, b: &Distinct| {
            let mut both = a.clone();
            both.merge(b);
            both
        };
        let all = sketch(a.iter().chain(&b).chain(&c).copied());
        let [a, b, c] = [a, b, c].map(sketch);
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), all.clone());
        prop_assert_eq!(merged(&a, &merged(&b, &c)), all);
    }

    #[test]
    fn counts_as_the_whole_history_would(seen in seen(), ahead in -5..70_i32) {
        let held = sketch(seen.iter().copied());
        let history = history(&seen);
        let newest = history.values().copied().max().unwrap_or(20_000);
        prop_assert_eq!(held.newest(), history.values().max().map(|day| Day(*day)));
        let today = u16::try_from(i32::from(newest) + ahead).expect("in this century");
        for window in WINDOWS {
            let first = i64::from(today) - i64::from(window) + 1;
            let within: Vec<u64> = history
                .iter()
                .filter(|(_, day)| i64::from(**day) >= first)
                .map(|(hash, _)| *hash)
                .collect();
            let count = held.count(Day(today), window);
            let held: Vec<u64> = held.hashes_within(Day(today), window).collect();
            prop_assert_eq!(held.iter().take(K).ne(within.iter().take(K)), false);
            let expected = match within.get(K - 1) {
                None => Count { n: within.len() as u64, exact: true },
                Some(bound) => {
                    let estimate = ((K as u64 - 1) << 48) / (bound + 1);
                    Count { n: estimate.max(held.len() as u64), exact: false }
                }
            };
            prop_assert_eq!(count, expected, "window {}, {} days ahead", window, ahead);
        }
    }

    #[test]
    fn a_union_of_few_is_exact(
        elsewhere in proptest::collection::btree_set(0..400_u64, 0..400),
        here in proptest::collection::btree_set(0..400_u64, 0..K),
    ) {
        let held = sketch(here.iter().map(|hash| (hash << 16, 20_000)));
        let exact = Count { n: elsewhere.union(&here).count() as u64, exact: true };
        let elsewhere: Vec<u64> = elsewhere.into_iter().collect();
        prop_assert_eq!(Distinct::count_union(&elsewhere, &held, Day(20_000), 1), exact);
        let none_here = Count { n: elsewhere.len() as u64, exact: true };
        prop_assert_eq!(Distinct::count_union(&elsewhere, &held, Day(20_001), 1), none_here);
    }

    #[test]
    fn what_is_stored_is_read(seen in seen()) {
        let held = sketch(seen);
        prop_assert_eq!(Distinct::from_elements(held.elements().to_vec()), Some(held));
    }

    #[test]
    fn what_is_read_is_what_could_be_stored(
        mut elements in proptest::collection::vec(any::<u64>(), 0..400),
        sorted in any::<bool>(),
        days in any::<u16>(),
    ) {
        elements.iter_mut().for_each(|element| *element &= !u64::from(days));
        if sorted {
            elements.sort_unstable();
        }
        let inserted = sketch(elements.iter().map(|element| (*element, *element as u16)));
        let canonical = inserted.elements() == elements;
        prop_assert_eq!(Distinct::from_elements(elements), canonical.then_some(inserted));
    }
}

#[test]
fn refuses_what_it_cannot_have_made() {
    let at = |hash: u64, day: u64| hash << 16 | day;
    let full: Vec<u64> = (1..=K as u64).map(|hash| at(hash, 100)).collect();
    let with = |more: u64| full.iter().copied().chain([more]).collect::<Vec<u64>>();
    for (what, elements, taken) in [
        ("nothing", vec![], true),
        ("as many as fit", full.clone(), true),
        ("one that is outdone", with(at(500, 100)), false),
        ("one that is outdone and older", with(at(500, 99)), false),
        ("one that is newer", with(at(500, 101)), true),
        ("one that makes the others too old", with(at(500, 164)), false),
        ("one that leaves the others just young enough", with(at(500, 163)), true),
        ("descending", vec![at(2, 100), at(1, 100)], false),
        ("a thing twice", vec![at(1, 100), at(1, 101)], false),
        ("an element twice", vec![at(1, 100), at(1, 100)], false),
        ("the ends of the range", vec![at(0, 65_535), at((1 << 48) - 1, 65_535)], true),
    ] {
        assert_eq!(Distinct::from_elements(elements).is_some(), taken, "{what}");
    }
}

#[test]
fn a_thing_has_its_newest_day() {
    let mut held = sketch([(mix(1), 100), (mix(1), 98), (mix(1), 103), (mix(1), 101)]);
    assert_eq!(held.elements(), [mix(1) >> 16 << 16 | 103]);
    // The lower 16 bits of a hash are not used.
    held.insert(mix(1) ^ 0xffff, Day(103));
    assert_eq!(held.len(), 1);
    for (today, window, n) in
        [(103, 1, 1), (104, 1, 0), (104, 2, 1), (90, 1, 1), (90, 0, 0), (65_535, u32::MAX, 1)]
    {
        let count = held.count(Day(today), window);
        assert_eq!(count, Count { n, exact: true }, "today {today}, window {window}");
    }
}

#[test]
fn is_exact_below_k_and_estimates_from_k_on() {
    let mut held = Distinct::default();
    assert_eq!(held.count(Day(100), 64), Count { n: 0, exact: true });
    assert!(held.is_empty() && held.newest().is_none());
    for n in 1..K as u64 {
        held.insert(mix(n), Day(100));
        assert_eq!(held.count(Day(100), 1), Count { n, exact: true });
    }
    held.insert(mix(K as u64), Day(100));
    assert!(!held.count(Day(100), 1).exact);
    // Yesterday's things do not make today's inexact.
    held.insert(mix(1000), Day(101));
    assert_eq!(held.count(Day(101), 1), Count { n: 1, exact: true });
    assert!(!held.count(Day(101), 2).exact);
}

#[test]
fn the_smallest_hashes_do_not_overflow() {
    let held = sketch((0..1000).map(|hash| (hash << 16, 100)));
    let most = ((K as u64 - 1) << 48) / K as u64;
    assert_eq!(held.count(Day(100), 1), Count { n: most, exact: false });
    let elsewhere: Vec<u64> = (0..100_000).collect();
    let count = Distinct::count_union(&elsewhere, &held, Day(100), 1);
    assert_eq!(count.n, most, "all but the bound are among those below it");
}

/// The sketch of `n` things of one day, and the hashes of those that could matter. The rest is not
/// inserted, to save time: it has twice K others below it.
fn of_many(n: u64, seed: u64) -> (Distinct, Vec<u64>) {
    let bound = (u64::MAX / n).saturating_mul(8 * K as u64);
    let mut hashes: Vec<u64> =
        (0..n).map(|thing| mix(seed << 32 | thing)).filter(|hash| *hash < bound).collect();
    hashes.sort_unstable();
    assert!(hashes.len() > 4 * K, "{} of {n} below the bound", hashes.len());
    (sketch(hashes.iter().rev().map(|hash| (*hash, 100))), hashes)
}

#[test]
fn what_the_trials_leave_out_does_not_matter() {
    let n = 20_000;
    let all = sketch((0..n).map(|thing| (mix(7 << 32 | thing), 100)));
    assert_eq!(all, of_many(n, 7).0);
}

/// Relative errors in units of the standard error: how many, how many beyond 4, and their mean.
fn errors(trials: impl Iterator<Item = (u64, u64)>) -> (u32, u32, f64) {
    let standard_error = 1.0 / ((K - 2) as f64).sqrt();
    let (mut count, mut beyond, mut sum) = (0, 0, 0.0);
    for (n, estimate) in trials {
        let error = (estimate as f64 / n as f64 - 1.0) / standard_error;
        count += 1;
        beyond += u32::from(error.abs() > 4.0);
        sum += error;
    }
    (count, beyond, sum / f64::from(count))
}

#[test]
fn estimates_are_as_good_as_promised() {
    let (mut all, mut wide) = (0, 0);
    for (n, trials) in [(1_000, 1000), (10_000, 300), (100_000, 40), (1_000_000, 5)] {
        let (trials, beyond, mean) = errors((0..trials).map(|seed| {
            let count = of_many(n, seed).0.count(Day(100), 1);
            assert!(!count.exact, "{n} things");
            (n, count.n)
        }));
        let of_mean = 1.0 / f64::from(trials).sqrt();
        assert!(mean.abs() < 4.0 * of_mean, "{n} things: estimates are off by {mean}");
        all += trials;
        wide += beyond;
    }
    assert!(wide <= all / 1000, "{wide} of {all} are off by more than 4 standard errors");
}

#[test]
fn a_union_of_many_is_estimated_whatever_is_held_elsewhere() {
    let n = 20_000;
    for what in ["the smallest, also sketched", "the smallest, not sketched", "others"] {
        let (trials, beyond, mean) = errors((0..100).map(|seed| {
            let (all, hashes) = of_many(n, seed);
            let smallest = hashes.iter().take(300);
            let (n, mut elsewhere, held): (u64, Vec<u64>, Distinct) = match what {
                "the smallest, also sketched" => (n, smallest.copied().collect(), all),
                "the smallest, not sketched" => {
                    let rest = hashes.iter().skip(300).map(|hash| (*hash, 100));
                    (n, smallest.copied().collect(), sketch(rest))
                }
                _ => (n + 500, (0..500).map(|i| mix(1 << 63 | seed << 32 | i)).collect(), all),
            };
            elsewhere.iter_mut().for_each(|hash| *hash >>= 16);
            elsewhere.sort_unstable();
            (n, Distinct::count_union(&elsewhere, &held, Day(100), 1).n)
        }));
        assert!(beyond <= 1, "{what}: {beyond} of {trials} are off by 4 standard errors");
        assert!(mean.abs() < 0.4, "{what}: estimates are off by {mean}");
    }
}

#[test]
fn a_union_is_no_less_than_what_is_known() {
    let held = sketch((0..1000).map(|thing| (mix(thing), 100)));
    let elsewhere: Vec<u64> = ((1 << 48) - 5000..1 << 48).collect();
    let count = Distinct::count_union(&elsewhere, &held, Day(100), 1);
    assert_eq!(count, Count { n: 5000 + K as u64, exact: false });
}

#[test]
fn memory_is_bounded() {
    // Older days with smaller hashes outdo nobody: the worst case.
    let worst = sketch((0..64 * 150).map(|i| (i << 16, 100 + (i / 150) as u16)));
    assert_eq!(worst.len(), 64 * K);
    assert!(worst.bytes() <= 2 * 64 * K * 8 + 64, "{} octets", worst.bytes());

    for (what, things_a_day, days, typical) in [
        ("one day", 5_000, 1, K as f64),
        ("few a day", 10, 64, K as f64 * (1.0 + (640.0 / K as f64).ln())),
        ("some a day", 50, 64, K as f64 * (1.0 + (3200.0 / K as f64).ln())),
        ("many a day", 300, 64, K as f64 * 4.74),
        ("many a day for longer", 300, 100, K as f64 * 4.74),
    ] {
        let seen = (0..things_a_day * days).map(|i| (mix(i), 100 + (i / things_a_day) as u16));
        let ratio = sketch(seen).len() as f64 / typical;
        assert!((0.85..1.15).contains(&ratio), "{what}: {ratio} of the {typical} expected");
    }
}

#[test]
fn counts_are_printed_as_what_they_are() {
    for (n, exact, text) in [
        (0, true, "0"),
        (128, true, "128"),
        (1_007, true, "1,007"),
        (12_345_678, true, "12,345,678"),
        (0, false, "about 0"),
        (7, false, "about 7"),
        (134, false, "about 130"),
        (135, false, "about 140"),
        (994, false, "about 990"),
        (996, false, "about 1,000"),
        (9_849, false, "about 9,800"),
        (1_049_999, false, "about 1,000,000"),
        (u64::MAX, false, "about 18,000,000,000,000,000,000"),
    ] {
        assert_eq!(Count { n, exact }.to_string(), text, "{n}, exact: {exact}");
    }
}

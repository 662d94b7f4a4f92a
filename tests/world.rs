//! The bars that the shipped policy has to clear on the made-up world.
//!
//! Worlds are as large as can be judged here within a minute; the large ones are in `docs/world.md`.

use std::sync::LazyLock;

use helostat_tests::world::scoring::poison::{Poison, poison};
use helostat_tests::world::scoring::{self, Score, View};
use helostat_tests::world::{Class, Mix, Settings, World};
use helostat_zones::ledger::Bounds;
use helostat_zones::name::Name;
use helostat_zones::observation::{Observation, Outcome, ReporterKind};
use helostat_zones::operator::Decisions;
use helostat_zones::policy::Policy;
use helostat_zones::replay::Player;
use helostat_zones::rules::Findings;
use helostat_zones::time::{DAY_SECONDS, Time};
use helostat_zones::verdict;

/// Worlds with all classes and much of what changes.
static WORLDS: LazyLock<Vec<World>> = LazyLock::new(|| {
    let mix = Mix::default()
        // Neither teaches more by being many.
        .with(Class::Bot, 0.05)
        .with(Class::FixedString, 0.03)
        .with(Class::Snowshoe, 0.05)
        .with(Class::RandomName, 0.02)
        .with(Class::Renumbered, 0.05)
        .with(Class::Renamed, 0.02);
    let settings = |seed| Settings {
        seed,
        senders: 12,
        reporters: 24,
        mix: mix.clone(),
        ..Settings::default()
    };
    [1, 2, 3].map(|seed| World::new(&settings(seed))).into()
});
static SCORES: LazyLock<Vec<Score<'static>>> = LazyLock::new(|| {
    WORLDS.iter().map(|world| scoring::score(world, &Policy::default())).collect()
});
static POISON: LazyLock<Poison> = LazyLock::new(|| {
    let mix = Mix::default()
        .with(Class::Bot, 0.02)
        .with(Class::FixedString, 0.0)
        .with(Class::Snowshoe, 0.0)
        .with(Class::RandomName, 0.0)
        .with(Class::NameThief, 0.0)
        .with(Class::VictimName, 0.0)
        .with(Class::Poisoner, 0.03);
    let settings =
        Settings { senders: 20, reporters: 40, bad_reporters: 0.05, mix, ..Settings::default() };
    poison(&settings, &Policy::default())
});

/// The part of senders of wanted mail that may ever be listed.
const EVER_LISTED: f64 = 0.001;

#[track_caller]
fn spares(view: View) {
    let (mut all, mut listed, mut longest, mut cases) = (0, 0, 0.0_f64, String::new());
    for score in SCORES.iter() {
        let (these, of_them, days) = score.of(view).spared(score.world, |_| true);
        (all, listed, longest) = (all + these, listed + of_them, longest.max(days));
        for (class, case) in &score.of(view).cases {
            cases += &format!("{class} {case}\n");
        }
    }
    assert!(all > 100, "{all}");
    assert!(
        listed as f64 <= EVER_LISTED * all as f64 && longest <= 1.0,
        "bar: honest ever listed <= 0.1%, none for more than a day; {listed} of {all}, {longest:.1} days\n{cases}"
    );
}

#[test]
fn honest_senders_are_not_listed_by_history_alone() {
    spares(View::History);
}

#[test]
fn honest_senders_are_not_listed_with_the_dns() {
    spares(View::Dns);
}

#[test]
#[ignore = "the bar is not reached: 5 of 281 addresses, each still listed for who had it before, for a day at the longest"]
fn addresses_of_honest_senders_are_not_listed() {
    spares(View::Address);
}

#[test]
fn who_stands_and_moves_with_agreeing_dns_is_known_at_once_and_trusted_within_days() {
    for class in [Class::Renumbered, Class::Renamed] {
        let (mut all, mut first, mut trusted) = (0, 0, Vec::new());
        let mut cases = String::new();
        for score in SCORES.iter() {
            for one in score.moves.all.iter() {
                if one.class != class || !one.agreed || !one.stood || one.first.is_none() {
                    continue;
                }
                all += 1;
                first += usize::from(one.was_known_at_first(1));
                trusted.extend(one.trusted[1]);
            }
            cases += &score.cases();
        }
        assert!(all >= 10, "{class}: {all}");
        assert_eq!(first, all, "bar: {class}: known at the first message\n{cases}");
        trusted.sort_by(f64::total_cmp);
        assert!(trusted.len() * 10 >= all * 9, "{class}: {} of {all} are trusted", trusted.len());
        let middle = trusted[trusted.len() / 2];
        assert!(middle <= 10.0, "bar: {class}: trusted within days: {middle:.1}");
    }
}

#[test]
fn lies_of_few_reporters_change_no_pair_that_stands_with_three() {
    let poison = &*POISON;
    assert!(poison.bad == 2 && poison.firm >= 100 && poison.victims >= 3, "{poison:?}");
    assert_eq!(poison.pairs_changed, 0, "bar: no established pair changes class: {poison:#?}");
}

#[test]
fn lies_of_few_reporters_change_no_address_of_such_a_pair() {
    let poison = &*POISON;
    assert_eq!(poison.addresses_changed, 0, "bar, of addresses: {poison:#?}");
}

#[test]
fn an_office_keeps_its_name_beside_bots() {
    let (mut asked, mut known, mut suspect, mut listed, mut shared) = (0, 0, 0, 0, 0);
    for score in SCORES.iter() {
        let offices = score.offices;
        asked += offices.asked;
        known += offices.pair_known;
        suspect += offices.address_suspect;
        listed += offices.address_listed;
        shared += offices.shared;
    }
    assert!(asked > 100, "{asked}");
    assert_eq!(listed, 0, "bar: no office's address is listed, of {asked}");
    assert!(known * 100 >= asked * 97, "bar: the pair stays known: {known} of {asked}");
    assert!(suspect * 2 > asked, "bar: its address is suspect: {suspect} of {asked}");
    assert!(shared * 2 > asked, "bar: its address is said to be shared: {shared} of {asked}");
}

/// A hoster's /24 to which an honest customer comes every other day, each with one name and some mail a day to one
/// of many sites.
#[test]
fn newcomers_in_a_hosters_network_are_not_listed_for_their_neighbours() {
    hoster(2);
}

#[test]
fn newcomers_whom_one_site_alone_knows_are_not_listed_for_their_neighbours() {
    hoster(1);
}

/// Each customer writes to so many sites.
#[track_caller]
fn hoster(sites: u32) {
    let mut player = Player::new(vec![Policy::default()], Decisions::default(), Bounds::default());
    let begin = Settings::default().start;
    let (mut asked, mut listed) = (0, Vec::new());
    for day in 0..90 {
        for customer in (0..60_u32).filter(|customer| customer * 2 <= day) {
            let letters = |n: u32| char::from(b'a' + (n % 26) as u8);
            let name = format!(
                "mail.{}{}r{}tik.com",
                letters(customer),
                letters(customer / 26),
                letters(customer * 7)
            );
            let seen = Observation {
                time: Time(begin.0 + day * DAY_SECONDS + customer * 600),
                ip: [5, 23, 31, 10 + customer as u8 * 3].into(),
                name: Name::parse(name.as_bytes()),
                rdns: None,
                outcome: Outcome::Accepted,
                stage: None,
                by_us: false,
                supersedes: None,
                reporter: format!("site{}", (customer * 5 + day % sites) % 24).as_str().into(),
            };
            let judged = player.judge_with(&seen, Findings::default()).remove(0);
            asked += 1;
            if judged.class == verdict::Class::Listed {
                listed.push(format!("day {day}, customer {customer}: {:?}", judged.reasons));
            }
            player.learn(&seen, ReporterKind::Mx);
        }
    }
    let some = listed.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        listed.is_empty(),
        "bar: honest newcomers are not listed for their neighbours: {} of {asked} messages\n{some}",
        listed.len()
    );
}

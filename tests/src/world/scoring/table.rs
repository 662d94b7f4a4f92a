//! A score as tables in Markdown.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use helostat_zones::verdict::Class as Verdict;

use super::moves::Move;
use super::poison::Poison;
use super::tally::{After, Trail};
use super::{Score, View, spared};
use crate::world::class::Class;

/// A sender could have become known if it sent so many messages over so many days.
const ENOUGH_MESSAGES: u32 = 5;
/// See [`ENOUGH_MESSAGES`].
const ENOUGH_DAYS: u32 = 7;
/// Classes of which somebody has to be caught.
const CAUGHT: [Class; 9] = [
    Class::NatWithBots,
    Class::Bot,
    Class::FixedString,
    Class::VictimName,
    Class::NameThief,
    Class::Snowshoe,
    Class::RandomName,
    Class::VmChurn,
    Class::Poisoner,
];

/// Suspect senders that are told.
const SUSPECTS: usize = 20;

/// Percent.
fn percent(part: usize, of: usize) -> String {
    if of == 0 { "-".to_owned() } else { format!("{:.1}%", 100.0 * part as f64 / of as f64) }
}

/// The middle one, and the one that nine of ten do not exceed.
fn middle(mut numbers: Vec<f64>) -> String {
    numbers.sort_by(f64::total_cmp);
    let at = |part: f64| numbers[((numbers.len() - 1) as f64 * part) as usize];
    if numbers.is_empty() { "-".to_owned() } else { format!("{:.1} / {:.1}", at(0.5), at(0.9)) }
}

fn spans(trail: &Trail) -> bool {
    trail.messages >= ENOUGH_MESSAGES
        && trail.seen.is_some_and(|(first, last)| last.days_since(first) >= ENOUGH_DAYS)
}

impl Display for Score<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for view in [View::History, View::Dns] {
            self.verdicts(f, view)?;
        }
        for view in [View::History, View::Dns] {
            self.newcomers(f, view)?;
        }
        self.moved(f)?;
        for view in [View::History, View::Dns] {
            self.caught(f, view)?;
        }
        self.spared(f)?;
        let offices = &self.offices;
        let part = |count: u32| percent(count as usize, offices.asked as usize);
        writeln!(f, "\n### An office's own mail while bots send from its address (class 10)\n")?;
        writeln!(
            f,
            "| messages | pair known | address suspect | address listed | said to be shared |"
        )?;
        writeln!(f, "|---:|---:|---:|---:|---:|")?;
        writeln!(
            f,
            "| {} | {} | {} | {} | {} |",
            offices.asked,
            part(offices.pair_known),
            part(offices.address_suspect),
            part(offices.address_listed),
            part(offices.shared)
        )
    }
}

impl Score<'_> {
    fn verdicts(&self, f: &mut Formatter<'_>, view: View) -> fmt::Result {
        writeln!(f, "\n### What was said of each message ({})\n", view.words())?;
        writeln!(
            f,
            "| no. | class | mail | senders | messages | trusted | known | new | suspect | listed |"
        )?;
        writeln!(f, "|---:|---|---|---:|---:|---:|---:|---:|---:|---:|")?;
        let tally = self.of(view);
        for class in Class::ALL {
            for (good, word) in [(true, "wanted"), (false, "unwanted")] {
                let counts = tally.verdicts(class, good);
                let all = counts.iter().sum::<u32>() as usize;
                if all == 0 {
                    continue;
                }
                let senders = self.world.senders.iter();
                let senders = senders
                    .filter(|one| one.class == class && if good { one.good } else { one.bad } > 0)
                    .count();
                write!(f, "| {} | {class} | {word} | {senders} | {all} |", class.number())?;
                for count in counts {
                    write!(f, " {} |", percent(count as usize, all))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }

    fn newcomers(&self, f: &mut Formatter<'_>, view: View) -> fmt::Result {
        writeln!(
            f,
            "\n### Until a newcomer is known and trusted ({}; senders of {ENOUGH_MESSAGES}+ messages over {ENOUGH_DAYS}+ days; half of them / nine of ten)\n",
            view.words()
        )?;
        writeln!(
            f,
            "| no. | class | senders | known | days | messages | trusted | days | messages |"
        )?;
        writeln!(f, "|---:|---|---:|---:|---:|---:|---:|---:|---:|")?;
        let tally = self.of(view);
        for class in Class::ALL.into_iter().filter(|class| spared(*class)) {
            let ours = self.world.senders.iter();
            let ours = ours.filter(|one| one.class == class && one.good > one.bad);
            let trails: Vec<&Trail> = ours
                .map(|one| &tally.trails[one.id as usize])
                .filter(|trail| spans(trail))
                .collect();
            write!(f, "| {} | {class} | {} |", class.number(), trails.len())?;
            for reached in [|trail: &&Trail| trail.known, |trail: &&Trail| trail.trusted] {
                let after: Vec<After> = trails.iter().filter_map(reached).collect();
                write!(
                    f,
                    " {} | {} | {} |",
                    percent(after.len(), trails.len()),
                    middle(after.iter().map(|after| after.days).collect()),
                    middle(after.iter().map(|after| f64::from(after.messages)).collect())
                )?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn moved(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n### Hosts that stood, and got a new address or name (half of them / nine of ten)\n"
        )?;
        writeln!(
            f,
            "| no. | class | DNS | judged | hosts | known at the first message | days to known | trusted | days to trusted |"
        )?;
        writeln!(f, "|---:|---|---|---|---:|---:|---:|---:|---:|")?;
        for class in [Class::Renumbered, Class::Renamed] {
            for (agreed, word) in [(true, "agrees"), (false, "does not")] {
                for (at, view) in [(0, View::History), (1, View::Dns)] {
                    let wanted = |one: &&Move| {
                        one.class == class
                            && one.agreed == agreed
                            && one.stood
                            && one.first.is_some()
                    };
                    let hosts: Vec<&Move> = self.moves.all.iter().filter(wanted).collect();
                    let first = hosts.iter().filter(|one| one.was_known_at_first(at)).count();
                    let known = hosts.iter().filter_map(|one| one.known[at]).collect();
                    let trusted: Vec<f64> =
                        hosts.iter().filter_map(|one| one.trusted[at]).collect();
                    writeln!(
                        f,
                        "| {} | {class} | {word} | {} | {} | {} | {} | {} | {} |",
                        class.number(),
                        view.words(),
                        hosts.len(),
                        percent(first, hosts.len()),
                        middle(known),
                        percent(trusted.len(), hosts.len()),
                        middle(trusted)
                    )?;
                }
            }
        }
        Ok(())
    }

    fn caught(&self, f: &mut Formatter<'_>, view: View) -> fmt::Result {
        writeln!(
            f,
            "\n### Until spam is listed ({}; half of those that are / nine of ten)\n",
            view.words()
        )?;
        writeln!(
            f,
            "| no. | class | senders | ever listed | messages before | days before | campaigns | ever listed | days before |"
        )?;
        writeln!(f, "|---:|---|---:|---:|---:|---:|---:|---:|---:|")?;
        let tally = self.of(view);
        for class in CAUGHT {
            let mut campaigns: BTreeMap<u32, (f64, Option<f64>)> = BTreeMap::new();
            let (mut senders, mut after) = (0, Vec::new());
            for sender in self.world.senders.iter().filter(|sender| sender.class == class) {
                let trail = &tally.trails[sender.id as usize];
                let Some(from) = trail.spam_from else { continue };
                senders += 1;
                after.extend(trail.caught);
                let from = f64::from(from.0) / 86_400.0;
                let caught = trail.caught.map(|after| from + after.days);
                let campaign = campaigns.entry(sender.operator).or_insert((from, caught));
                campaign.0 = campaign.0.min(from);
                campaign.1 = match (campaign.1, caught) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
            let days: Vec<f64> =
                campaigns.values().filter_map(|(from, caught)| Some((*caught)? - from)).collect();
            writeln!(
                f,
                "| {} | {class} | {senders} | {} | {} | {} | {} | {} | {} |",
                class.number(),
                percent(after.len(), senders),
                middle(after.iter().map(|after| f64::from(after.messages)).collect()),
                middle(after.iter().map(|after| after.days).collect()),
                campaigns.len(),
                percent(days.len(), campaigns.len()),
                middle(days)
            )?;
        }
        Ok(())
    }

    fn spared(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n### Senders of wanted mail that were ever listed, and for how long\n")?;
        writeln!(
            f,
            "| no. | class | judged | senders | ever listed | share | days at the longest |"
        )?;
        writeln!(f, "|---:|---|---|---:|---:|---:|---:|")?;
        let mut row = |number: &str, word: &str, view: View, of: &dyn Fn(Class) -> bool| {
            let (all, listed, days) = self.of(view).spared(self.world, of);
            let share = 100.0 * listed as f64 / all.max(1) as f64;
            writeln!(
                f,
                "| {number} | {word} | {} | {all} | {listed} | {share:.2}% | {days:.1} |",
                view.words()
            )
        };
        for view in View::ALL {
            for class in Class::ALL.into_iter().filter(|class| spared(*class)) {
                row(&class.number().to_string(), class.word(), view, &|it| it == class)?;
            }
            row("", "**all of them**", view, &|_| true)?;
        }
        Ok(())
    }

    /// Honest senders that were listed, and hosts that stood, moved, and were not known at once: in words.
    pub fn cases(&self) -> String {
        let mut text = String::new();
        for view in View::ALL {
            for (class, case) in &self.of(view).cases {
                text += &format!("{} | {class} | {case}\n", view.words());
            }
        }
        for (class, case) in self.of(View::Dns).suspects.iter().take(SUSPECTS) {
            text += &format!("suspect | {class} | {case}\n");
        }
        let agreed = |one: &&Move| one.agreed && one.stood && !one.was_known_at_first(1);
        for one in self.moves.all.iter().filter(agreed).take(10) {
            if let (Some(before), Some((_, first))) = (&one.before, &one.first) {
                let pair = &self.world.pairs[one.to as usize];
                text += &format!(
                    "not known at once | {} | {} {}: {}; before: {}\n",
                    one.class,
                    pair.ip,
                    pair.name,
                    first.told(),
                    before.told()
                );
            }
        }
        text
    }
}

impl Move {
    /// The first message was known or trusted: by history alone (0) or with the DNS (1).
    pub fn was_known_at_first(&self, at: usize) -> bool {
        self.first.as_ref().is_some_and(|(bare, full)| {
            let said = if at == 0 { bare } else { full };
            said.class <= Verdict::Known
        })
    }
}

/// A table of the damage, a row for each number of bad reporters.
pub fn of_poison(rows: &[Poison]) -> String {
    let mut text = "\n### What bad reporters do to pairs that stand with three or more honest ones\n\n\
        | bad reporters | lies | pairs | lied of | pairs changed | addresses changed | addresses listed | others listed | made-up pairs | known | trusted |\n\
        |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for row in rows {
        text += &format!(
            "| {} of {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            row.bad,
            row.reporters,
            row.lies,
            row.firm,
            row.victims,
            row.pairs_changed,
            row.addresses_changed,
            row.addresses_listed,
            row.others_listed,
            row.made_up,
            row.made_up_known,
            row.made_up_trusted
        );
    }
    text
}

//! What is in a world, class by class.

use std::collections::HashSet;
use std::fmt;

use super::World;
use super::class::Class;

/// The counts of one class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Its senders.
    pub senders: usize,
    /// Its addresses.
    pub addresses: usize,
    /// Its names.
    pub names: usize,
    /// Its messages.
    pub messages: usize,
    /// Those of them that are not wanted.
    pub bad: usize,
    /// Those of them that were taken.
    pub accepted: usize,
    /// Those of them that never were.
    pub fakes: usize,
}

/// The counts of every class; prints as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary(Vec<(Class, Counts)>);

impl World {
    /// Counts what there is.
    pub fn summary(&self) -> Summary {
        let mut table: Vec<_> =
            Class::ALL.into_iter().map(|class| (class, Counts::default())).collect();
        let mut seen: Vec<_> = table.iter().map(|_| (HashSet::new(), HashSet::new())).collect();
        for sender in &self.senders {
            table[sender.class.index()].1.senders += 1;
        }
        for pair in &self.pairs {
            let (ips, names) = &mut seen[self.senders[pair.sender as usize].class.index()];
            ips.insert(pair.ip);
            names.insert(pair.name.text());
        }
        for draft in &self.drafts {
            let sender = self.pairs[draft.pair as usize].sender;
            let counts = &mut table[self.senders[sender as usize].class.index()].1;
            counts.messages += 1;
            counts.bad += usize::from(!draft.good);
            counts.accepted += usize::from(draft.outcome.is_accepted());
            counts.fakes += usize::from(draft.fake);
        }
        for ((_, counts), (ips, names)) in table.iter_mut().zip(seen) {
            (counts.addresses, counts.names) = (ips.len(), names.len());
        }
        Summary(table)
    }

    /// How many messages each site reports, in the order of the sites.
    pub fn volumes(&self) -> Vec<usize> {
        let mut volumes = vec![0; self.sites.len()];
        for draft in &self.drafts {
            volumes[usize::from(draft.site)] += 1;
        }
        volumes
    }
}

impl Summary {
    /// The counts of a class.
    pub fn of(&self, class: Class) -> &Counts {
        &self.0[class.index()].1
    }

    /// All messages.
    pub fn messages(&self) -> usize {
        self.0.iter().map(|(_, counts)| counts.messages).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.messages();
        let percent = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
        writeln!(
            f,
            "{:>3} {:<16}{:>9}{:>11}{:>9}{:>11}{:>8}{:>8}{:>8}",
            "no.", "class", "senders", "addresses", "names", "messages", "share", "spam", "taken"
        )?;
        let row = |f: &mut fmt::Formatter<'_>, number: &str, word: &str, one: &Counts| {
            writeln!(
                f,
                "{number:>3} {word:<16}{:>9}{:>11}{:>9}{:>11}{:>7.1}%{:>7.1}%{:>7.1}%",
                one.senders,
                one.addresses,
                one.names,
                one.messages,
                percent(one.messages, all),
                percent(one.bad, one.messages),
                percent(one.accepted, one.messages)
            )
        };
        let mut total = Counts::default();
        for (class, counts) in &self.0 {
            row(f, &class.number().to_string(), class.word(), counts)?;
            total.senders += counts.senders;
            total.addresses += counts.addresses;
            total.names += counts.names;
            total.messages += counts.messages;
            total.bad += counts.bad;
            total.accepted += counts.accepted;
        }
        row(f, "", "all", &total)
    }
}

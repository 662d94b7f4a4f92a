//! The zones of names: every name of which something is said, and every name and domain on which the operator decided.
//!
//! Names have no order in the ledger. So all of them are looked at first, client by client, and those of which something is said are
//! kept, without a word of why; then they are sorted, judged once more, and written. That takes eight octets for every name there is, and the
//! names that are written.

use std::collections::HashSet;
use std::io;

use helostat_zones::answer::{Answer, Exists};
use helostat_zones::export::At;
use helostat_zones::key::{Key, Kind};
use helostat_zones::ledger::hash_of_text;
use helostat_zones::name::{Name, NameKind, NameRef};
use helostat_zones::operator::Subject;
use helostat_zones::time::Time;

use super::{Export, key_of, tree};
use crate::judge::Judge;

/// What a name below a domain begins with that stands for all others; the first that the zone does not have.
const OTHERS: [&str; 3] = ["another", "any-other", "whatever-other"];

pub(super) fn export(export: &mut Export<'_>) -> io::Result<()> {
    let mut names = said(export);
    let decisions = export.judge.decisions();
    let now = export.judge.now();
    let mut has_families = false;
    for decision in decisions.iter().filter(|decision| decision.holds(now)) {
        match &decision.subject {
            Subject::Name(name) => names.push(name.text().into()),
            Subject::Family(family) => {
                has_families = true;
                names.push(family.clone());
            }
            Subject::Prefix(_) => {}
        }
    }
    names.push("test".into());
    if has_families {
        let above: Vec<Box<str>> =
            names.iter().flat_map(|name| tree::above(name)).map(Into::into).collect();
        names.extend(above);
    }
    tree::sort(&mut names);
    tree::visit(&names, false, |name, said_above| {
        let (answer, until) = match key_of(export.kind, name) {
            Key::TestListed(value) => {
                export.test_point(At::Name(name), value)?;
                return Ok(false);
            }
            Key::Name(name) => judge(export, &name),
            _ => return Ok(false),
        };
        if has_data(&answer) {
            export.say(At::Name(name), &answer, until)?;
        } else if said_above {
            export.hole(At::Name(name), until)?;
        }
        if !has_families {
            return Ok(false);
        }
        let said_below = below(export, &names, name)?;
        if said_above && !said_below {
            export.hole(At::Below(name), until)?;
        }
        Ok(said_below)
    })
}

/// Writes what is said of all names below this one; tells whether something is.
fn below(export: &mut Export<'_>, names: &[Box<str>], name: &str) -> io::Result<bool> {
    let free = OTHERS.iter().map(|label| format!("{label}.{name}"));
    let Some(other) = free.into_iter().find(|other| !names.iter().any(|name| **name == **other))
    else {
        return Ok(false);
    };
    let Key::Name(other) = key_of(export.kind, &other) else { return Ok(false) };
    let (mut answer, until) = judge(export, &other);
    if !has_data(&answer) {
        return Ok(false);
    }
    answer.txt = answer.txt.map(|text| text.replace(other.text(), &format!("*.{name}")));
    export.say(At::Below(name), &answer, until)?;
    Ok(true)
}

/// The names in the ledger of which something is said.
fn said(export: &mut Export<'_>) -> Vec<Box<str>> {
    let judge_of = export.judge;
    let mut looked_at: HashSet<u64> = HashSet::new();
    let (mut said, mut new): (Vec<Box<str>>, Vec<Name>) = (Vec::new(), Vec::new());
    judge_of.ledger().each_client(&mut |client| {
        judge_of.ledger().client(client, |row| {
            let names = row.iter().flat_map(|row| row.pairs()).map(|pair| pair.name);
            let unseen =
                names.filter(is_key).filter(|name| looked_at.insert(hash_of_text(name.text())));
            new.extend(unseen.map(NameRef::to_name));
        });
        for name in new.drain(..) {
            let (answer, _) = judge(export, &name);
            if has_data(&answer) {
                said.push(name.text().into());
            }
        }
        true
    });
    said
}

fn is_key(name: &NameRef<'_>) -> bool {
    matches!(name.kind(), NameKind::Fqdn | NameKind::Single | NameKind::Reserved)
}

fn has_data(answer: &Answer) -> bool {
    answer.exists == Exists::Exists
}

fn judge(export: &mut Export<'_>, name: &Name) -> (Answer, Time) {
    let verdict = export.judge.name_as_known(name);
    let of = match export.kind {
        Kind::Dna => Answer::of_recommendation,
        _ => Answer::of_name,
    };
    let now = export.judge.now();
    let answer = of(name, &verdict, Exists::NxDomain, now, &export.caps);
    export.note(verdict.until);
    (answer, verdict.until)
}

//! Which sort of mail each reporter sees: `--reporter-kind trap`, `--reporter-kind outlook.com=trap`.
//!
//! What names no site is for all that are not named. The last word of several wins.

use std::collections::BTreeMap;

use helostat_zones::observation::{Reporter, ReporterKind};

/// The kinds of the reporters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    others: ReporterKind,
    named: BTreeMap<String, ReporterKind>,
}

impl Kinds {
    /// Reads what was typed; the error is a sentence.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut kinds = Self::default();
        for word in words {
            // A site may have an equals sign in its name, a kind never has.
            match word.rsplit_once('=') {
                Some((site, kind)) => drop(kinds.named.insert(site.to_owned(), self::kind(kind)?)),
                None => kinds.others = kind(word)?,
            }
        }
        Ok(kinds)
    }

    /// What sort of mail this reporter sees.
    pub fn of(&self, site: &str) -> ReporterKind {
        self.named.get(site).copied().unwrap_or(self.others)
    }

    /// Named sites that are not among these.
    pub fn strangers<'a>(&'a self, sites: &[Reporter]) -> Vec<&'a str> {
        let is_there = |site: &str| sites.iter().any(|known| **known == *site);
        self.named.keys().map(String::as_str).filter(|site| !is_there(site)).collect()
    }
}

fn kind(word: &str) -> Result<ReporterKind, String> {
    ReporterKind::of_word(word).ok_or_else(|| {
        format!("'{word}' is no reporter kind: mx, trap, submission or unfiltered; for one site SITE=KIND")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_sites() {
        let words = ["unfiltered", "a=b=trap", "x.example=mx"].map(str::to_owned);
        let kinds = Kinds::parse(&words).expect("they are kinds");
        assert_eq!(kinds.of("a=b"), ReporterKind::Trap);
        assert_eq!(kinds.of("x.example"), ReporterKind::Mx);
        assert_eq!(kinds.of("y.example"), ReporterKind::Unfiltered);
        assert_eq!(kinds.strangers(&["a=b".into()]), ["x.example"]);
        let wrong = Kinds::parse(&["trap=x.example".to_owned()]).expect_err("the wrong way round");
        assert!(wrong.starts_with("'x.example' is no reporter kind"), "{wrong}");
    }
}

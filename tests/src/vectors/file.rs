//! Test vectors as text: records, options, and what a system must find.
//!
//! ```text
//! # ID free text            starts a new vector; records and options reset
//! !opt key=value            an option of the evaluator
//! ? ehlo ip => result[:reason]
//! anything else             a statement of the fake DNS, see `crate::fakedns`
//! ```
//!
//! `$R4` and `$R6` stand for the reversed octets of 192.0.2.7 and nibbles of 2001:db8::7. A result
//! without a reason allows every reason. A line that cannot be read is an error with its number.

use std::collections::BTreeMap;
use std::net::IpAddr;

use helostat_zones::evidence::{Finding, FindingResult};
use helostat_zones::name::Name;

use crate::fakedns::{LineError, World};

/// The reversed octets of 192.0.2.7.
const R4: &str = "7.2.0.192";
/// The reversed nibbles of 2001:db8::7.
const R6: &str = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";

/// One vector: a DNS, options, and cases.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Its first word, `CSA-01`.
    pub id: String,
    /// The records, as they are written, with `$R4` and `$R6` filled in.
    pub records: String,
    /// The same, read.
    pub world: World,
    /// The evaluator's options.
    pub options: BTreeMap<String, String>,
    /// What must be found.
    pub cases: Vec<Case>,
}

/// One question to a system and its expected finding.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it stands, from 1.
    pub line: usize,
    /// What the client says, as it is written.
    pub said: String,
    /// The same, read.
    pub name: Name,
    /// Where it connects from.
    pub ip: IpAddr,
    /// What the system must find.
    pub expected: Expected,
}

/// A result, and a reason if it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    result: FindingResult,
    reason: Option<String>,
}

impl Expected {
    fn parse(text: &str) -> Option<Self> {
        let (word, reason) = match text.split_once(':') {
            Some((word, reason)) => (word, Some(reason.to_owned())),
            None => (text, None),
        };
        Some(Self { result: FindingResult::parse(word)?, reason })
    }

    /// True if the finding is what was expected.
    pub fn allows(&self, finding: &Finding) -> bool {
        self.fits(finding.result, finding.reason)
    }

    /// True if this is the result that was expected, and its reason if that matters.
    pub fn fits(&self, result: FindingResult, reason: Option<&str>) -> bool {
        let reason_fits = self.reason.is_none() || self.reason.as_deref() == reason;
        self.result == result && reason_fits
    }
}

/// Reads the text of a file.
pub fn parse(text: &str) -> Result<Vec<Vector>, LineError> {
    let mut vectors: Vec<Vector> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let line = line.replace("$R4", R4).replace("$R6", R6);
        add_line(&mut vectors, at + 1, &line)
            .map_err(|message| LineError { line: at + 1, message })?;
    }
    Ok(vectors)
}

fn add_line(vectors: &mut Vec<Vector>, number: usize, line: &str) -> Result<(), String> {
    if let Some(title) = line.strip_prefix('#') {
        let id = title.split_ascii_whitespace().next().ok_or("a vector needs an ID")?;
        vectors.push(Vector {
            id: id.to_owned(),
            records: String::new(),
            world: World::default(),
            options: BTreeMap::new(),
            cases: Vec::new(),
        });
        return Ok(());
    }
    let vector = vectors.last_mut().ok_or("a vector begins with '# ID'")?;
    if let Some(case) = line.strip_prefix('?') {
        let case = read_case(case, number).ok_or("a case is '? ehlo ip => result[:reason]'")?;
        vector.cases.push(case);
        return Ok(());
    }
    if let Some(option) = line.strip_prefix("!opt ") {
        let (key, value) = option.trim().split_once('=').ok_or("an option is 'key=value'")?;
        vector.options.insert(key.to_owned(), value.to_owned());
        return Ok(());
    }
    vector.world.add(line)?;
    vector.records.push_str(line);
    vector.records.push('\n');
    Ok(())
}

fn read_case(text: &str, line: usize) -> Option<Case> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [ehlo, ip, "=>", expected] = words.as_slice() else {
        return None;
    };
    let (said, name) = ((*ehlo).to_owned(), Name::parse(ehlo.as_bytes()));
    Some(Case { line, said, name, ip: ip.parse().ok()?, expected: Expected::parse(expected)? })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn vectors_are_read() {
        let text = "# A-01 text\n!opt k=v\n$R4.in-addr.arpa. PTR a.example.\n? a.example 192.0.2.7 => pass\n\n# A-02\n? b 2001:db8::7 => fail:why\n";
        let vectors = parse(text).expect("well formed");
        assert_eq!(vectors.len(), 2);
        assert_eq!(vectors[0].id, "A-01");
        assert_eq!(vectors[0].records, "7.2.0.192.in-addr.arpa. PTR a.example.\n");
        assert_eq!(vectors[0].options.get("k").map(String::as_str), Some("v"));
        assert_eq!(vectors[1].cases[0].line, 7);
        assert!(vectors[1].options.is_empty(), "a new vector starts from nothing");
    }

    #[test]
    fn a_reason_matters_only_where_it_is_given() {
        let finding = Finding::plain(FindingResult::Fail, Some("why"), Duration::ZERO);
        for (expected, allowed) in
            [("fail", true), ("fail:why", true), ("fail:other", false), ("pass", false)]
        {
            let expected = Expected::parse(expected).expect(expected);
            assert_eq!(expected.allows(&finding), allowed, "{expected:?}");
        }
    }

    #[test]
    fn unreadable_lines_name_their_number() {
        for (text, line) in [
            ("a.example. A 192.0.2.7", 1),
            ("#", 1),
            ("# X\n? a.example 192.0.2.7 pass", 2),
            ("# X\n? a.example 192.0.2.7 => maybe", 2),
            ("# X\n? a.example nowhere => pass", 2),
            ("# X\n\n!opt strict", 3),
            ("# X\n!nonsense", 2),
            ("# X\na.example. A 1", 2),
        ] {
            assert_eq!(parse(text).expect_err(text).line, line, "{text:?}");
        }
    }
}

//! `helostat ledger forget`: takes out what was learned of somebody, or counts what that would be.
//!
//! In go texts as they are typed: an address, a network, a name, or a family as `*.example.com`. Out comes
//! for each how many pairs went. What is meant by none of them is an error before anything is forgotten.

use std::io::Read;

use helostat_zones::client::Client;
use helostat_zones::ledger::{Ledger, StoreError, Target};
use serde::{Deserialize, Serialize};

use crate::cli::ForgetArgs;
use crate::config::Config;
use crate::control::Daemon;
use crate::exit::{Exit, Failure};
use crate::out;

/// What is asked of a daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// Whom, as typed.
    pub whom: Vec<String>,
    /// Only count.
    pub dry_run: bool,
}

/// What was forgotten, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Whom, in words: `client 192.0.2.7`.
    pub whom: String,
    /// How many pairs.
    pub pairs: u64,
    /// False if there may be more: only some of the clients of a crowded name are listed.
    pub exact: bool,
}

/// Why nothing, or not all, was forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// A text means nobody.
    #[error(
        "'{0}' is nobody: write an address, an IPv4 /24 or IPv6 /48, a name, or a family as *.example.com"
    )]
    Nobody(String),
    /// The ledger could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs the command.
pub fn run(config: &Config, args: &ForgetArgs) -> Result<(), Failure> {
    let request = Request { whom: args.whom.clone(), dry_run: args.dry_run };
    // Said here, too, so that a slip is a wrong command line whether a daemon runs or not.
    targets(&request.whom).map_err(|error| Failure::new(Exit::Usage, error))?;
    let gone = match Daemon::of(&config.ledger.path) {
        Some(daemon) => ask_daemon(&daemon, &request)?,
        None => {
            let ledger = super::open_existing(config)?;
            answer(&ledger, &request).map_err(|error| Failure::new(Exit::Ledger, error))?
        }
    };
    if args.json {
        return Ok(out::json(&gone)?);
    }
    for Gone { whom, pairs, exact } in &gone {
        let least = if *exact { "" } else { "at least " };
        let pairs = out::count(usize::try_from(*pairs).unwrap_or(usize::MAX), "pair");
        let done = if args.dry_run { "would be forgotten" } else { "forgotten" };
        out::line(format!("{whom}: {least}{pairs} {done}"))?;
    }
    Ok(())
}

fn ask_daemon(daemon: &Daemon, request: &Request) -> anyhow::Result<Vec<Gone>> {
    let mut body = Vec::new();
    let mut answer = daemon.post("/v1/ledger/forget", &serde_json::to_vec(request)?)?;
    answer.read_to_end(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

/// Does what is asked.
pub fn answer(ledger: &Ledger, request: &Request) -> Result<Vec<Gone>, ForgetError> {
    let mut gone = Vec::new();
    for target in targets(&request.whom)? {
        let (pairs, exact) =
            if request.dry_run { count(ledger, &target) } else { (ledger.forget(&target)?, true) };
        gone.push(Gone { whom: target.to_string(), pairs, exact });
    }
    Ok(gone)
}

fn targets(whom: &[String]) -> Result<Vec<Target>, ForgetError> {
    let target = |typed: &String| {
        Target::parse(typed).ok_or_else(|| ForgetError::Nobody(typed.escape_default().to_string()))
    };
    whom.iter().map(target).collect()
}

/// How many pairs of a target are held, and whether these are all.
fn count(ledger: &Ledger, target: &Target) -> (u64, bool) {
    let today = ledger.newest().unwrap_or_default().day();
    let pairs_of = |client: &Client, wanted: &dyn Fn(&str, Option<&str>) -> bool| {
        ledger.client(*client, |row| {
            let pairs = row.into_iter().flat_map(|row| row.pairs());
            pairs.filter(|pair| wanted(pair.name.text(), pair.name.family())).count() as u64
        })
    };
    let (clients, exact) = match target {
        Target::Client(client) => (vec![*client], true),
        Target::Network(network) => (ledger.clients_of_network(*network, usize::MAX).0, true),
        Target::Name(name) => all(ledger.clients_of_name(name, today)),
        Target::Family(family) => all(ledger.clients_of_family(family, today)),
    };
    let sum = clients.iter().map(|client| match target {
        Target::Client(_) | Target::Network(_) => pairs_of(client, &|_, _| true),
        Target::Name(name) => pairs_of(client, &|text, _| text == name.text()),
        Target::Family(family) => pairs_of(client, &|_, of| of == Some(family)),
    });
    (sum.sum(), exact)
}

/// The clients that are listed, and whether these are all.
fn all(sayers: helostat_zones::ledger::Sayers) -> (Vec<Client>, bool) {
    let exact = sayers.known.exact && sayers.known.n == sayers.clients.len() as u64;
    (sayers.clients, exact)
}

#[cfg(test)]
mod tests {
    use helostat_zones::ledger::{Batch, Bounds};
    use helostat_zones::name::Name;
    use helostat_zones::observation::{Observation, Outcome, ReporterKind};
    use helostat_zones::time::Time;

    use super::*;

    fn ledger() -> Ledger {
        let mut batch = Batch::default();
        for (ip, name) in [
            ("192.0.2.7", "mail.example.com"),
            ("192.0.2.7", "other.example.com"),
            ("192.0.2.8", "mail.example.com"),
            ("198.51.100.1", "mail.example.org"),
            ("2001:db8:1:2::1", "mail.example.org"),
            ("2001:db8:1:2::2", "two.example.org"),
        ] {
            let observation = Observation {
                time: Time(1_795_184_855),
                ip: ip.parse().expect(ip),
                name: Name::parse(name.as_bytes()),
                rdns: None,
                outcome: Outcome::Accepted,
                stage: None,
                by_us: false,
                supersedes: None,
                reporter: "mx1".into(),
            };
            batch.observe(&observation, ReporterKind::Mx);
        }
        let ledger = Ledger::in_memory(Bounds::default());
        ledger.commit(&batch).expect("memory does not fail");
        ledger
    }

    #[test]
    fn what_is_counted_is_what_goes() {
        for (typed, whom, pairs) in [
            ("192.0.2.7", "client 192.0.2.7", 2),
            ("192.0.2.0/24", "network 192.0.2.0/24", 3),
            ("2001:db8:1:2::99", "client 2001:db8:1:2::/64", 2),
            ("2001:db8:1::/48", "network 2001:db8:1::/48", 2),
            ("MAIL.example.com.", "name mail.example.com", 2),
            ("*.example.com", "family example.com", 3),
            ("*.example.org", "family example.org", 3),
            ("203.0.113.1", "client 203.0.113.1", 0),
        ] {
            let ledger = ledger();
            let request = |dry_run| Request { whom: vec![typed.to_owned()], dry_run };
            let expected = vec![Gone { whom: whom.to_owned(), pairs, exact: true }];
            let counted = answer(&ledger, &request(true)).expect(typed);
            assert_eq!(counted, expected, "{typed}: counted");
            assert_eq!(ledger.sizes().pairs, 6, "{typed}: nothing went");
            assert_eq!(answer(&ledger, &request(false)).expect(typed), expected, "{typed}");
            assert_eq!(ledger.sizes().pairs as u64, 6 - pairs, "{typed}: the others stay");
        }
    }

    #[test]
    fn a_slip_forgets_nobody() {
        let ledger = ledger();
        for typed in ["192.0.2.0/25", "192.0.2.7/33", "*.mail.example.com", "*.com", "a/b"] {
            let whom = vec!["192.0.2.7".to_owned(), typed.to_owned()];
            let done = answer(&ledger, &Request { whom, dry_run: false });
            let said = done.expect_err(typed).to_string();
            assert!(said.contains(typed), "{said}");
            assert_eq!(ledger.sizes().pairs, 6, "{typed}");
        }
    }
}

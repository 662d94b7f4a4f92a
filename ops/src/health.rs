//! Whether the daemon is ready, and if not, why: the content of `/healthz`.
//!
//! Ready means: the ledger is open and every listener is up. A log that cannot be read right now, or a
//! disk that takes nothing, does not make the daemon unready (it still answers), but it is said.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use serde::Serialize;

/// What is up so far, and what is in trouble.
#[derive(Debug, Default)]
pub struct Health(Mutex<State>);

#[derive(Clone, Debug, Default)]
struct State {
    ledger_open: bool,
    listening: bool,
    troubles: BTreeSet<(Weight, String)>,
}

/// How much a trouble matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The daemon cannot do its work.
    Failing,
    /// It can, but somebody should look.
    Warning,
}

/// The answer of `/healthz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// True if the daemon does its work.
    pub ready: bool,
    /// What is not up yet, or cannot be done now.
    pub failing: Vec<String>,
    /// What somebody should look at.
    pub warnings: Vec<String>,
}

impl Health {
    /// The ledger is open.
    pub fn ledger_open(&self) {
        self.0.lock().ledger_open = true;
    }

    /// Every listener is up.
    pub fn listening(&self) {
        self.0.lock().listening = true;
    }

    /// Something is wrong; true if that is news.
    pub fn trouble(&self, weight: Weight, what: &str) -> bool {
        self.0.lock().troubles.insert((weight, what.to_owned()))
    }

    /// What was wrong is mended.
    pub fn mended(&self, what: &str) {
        self.0.lock().troubles.retain(|(_, trouble)| trouble != what);
    }

    /// How things stand.
    pub fn report(&self) -> Report {
        let state = self.0.lock().clone();
        let of = |wanted| {
            let troubles = state.troubles.iter().filter(move |(weight, _)| *weight == wanted);
            troubles.map(|(_, what)| what.clone())
        };
        let mut failing = Vec::new();
        if !state.ledger_open {
            failing.push("the ledger is not open yet".to_owned());
        }
        if !state.listening {
            failing.push("not listening yet".to_owned());
        }
        failing.extend(of(Weight::Failing));
        Report { ready: failing.is_empty(), failing, warnings: of(Weight::Warning).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_everything_is_up_and_nothing_fails() {
        let health = Health::default();
        assert!(!health.report().ready);
        health.ledger_open();
        assert!(!health.report().ready);
        health.listening();
        assert!(health.report().ready);
        assert!(health.trouble(Weight::Warning, "a log cannot be read"));
        assert!(!health.trouble(Weight::Warning, "a log cannot be read"), "said once");
        assert!(health.report().ready);
        health.trouble(Weight::Failing, "disk full");
        assert_eq!(health.report().failing, ["disk full"]);
        health.mended("disk full");
        assert!(health.report().ready);
    }
}

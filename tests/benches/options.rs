//! What a bench was asked to do: words, and `--name value` pairs.
//!
//! A value not given on the command line is looked for in the environment: `--pairs` is
//! `HELOSTAT_PAIRS`. Numbers may have underscores. A wrong number ends the bench, with its name.

use std::path::PathBuf;
use std::process::Command;

/// The command line of a bench.
pub(crate) struct Options {
    words: Vec<String>,
}

impl Options {
    /// Reads the command line of this process. Cargo itself adds `--bench`.
    pub(crate) fn read() -> Self {
        Self { words: std::env::args().skip(1).filter(|word| word != "--bench").collect() }
    }

    /// The first word: which of its jobs the bench is to do.
    pub(crate) fn job(&self) -> Option<&str> {
        self.words.first().map(String::as_str).filter(|word| !word.starts_with("--"))
    }

    /// True if `--name` was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.words.iter().any(|word| word.strip_prefix("--") == Some(name))
    }

    /// The value of `--name`.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let place = self.words.iter().position(|word| word.strip_prefix("--") == Some(name));
        place.and_then(|place| self.words.get(place + 1)).cloned().or_else(|| {
            let variable = name.replace('-', "_").to_uppercase();
            std::env::var(format!("HELOSTAT_{variable}")).ok()
        })
    }

    /// The value of `--name` as a number.
    pub(crate) fn number<N: std::str::FromStr>(&self, name: &str, default: N) -> N {
        let Some(text) = self.text(name) else { return default };
        let digits = text.replace('_', "");
        digits.parse().unwrap_or_else(|_| panic!("--{name} {text} is no number that fits"))
    }

    /// The folder under which ledgers and stores are made: on the disk of the build, never in memory.
    pub(crate) fn folder(&self) -> PathBuf {
        self.text("folder").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
    }

    /// This bench once more, to do `job` in a process of its own with the same options.
    pub(crate) fn again(&self, job: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this bench's own path"));
        let given = usize::from(self.job().is_some());
        command.arg(job).args(self.words.iter().skip(given));
        command
    }
}

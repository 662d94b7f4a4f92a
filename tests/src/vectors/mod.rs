//! Runs test vectors from files: every `*.tv` of a directory, none skipped in silence.
//!
//! The stem of a file names what is tested, and [`RUNNERS`] says who runs it. A stem that the table
//! does not know, a file that cannot be read and a line that means nothing are errors with their
//! place, so that a vector added later cannot go untested. The directory is the one named by
//! `HELOSTAT_VECTORS`, or the project's own.

pub mod file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use helostat_zones::evidence::{self, DnsName, Finding, Lookup, Options, System};

pub use file::{Case, Vector};

/// Names the directory of vectors, if it is not the project's own.
pub const DIRECTORY_VARIABLE: &str = "HELOSTAT_VECTORS";

/// Who runs the vectors of a file.
#[derive(Clone, Copy, Debug)]
pub enum Runner {
    /// A system of evidence; the vector's options are its settings.
    Evidence(System),
    /// `iprev` or `forward`, by the option `method`.
    Reverse,
    /// Another test: these vectors have a notation of their own.
    Elsewhere(&'static str),
}

/// The stems that are known and are not the word of a system.
pub const RUNNERS: [(&str, Runner); 2] = [
    ("fcrdns", Runner::Reverse),
    (
        "serving",
        Runner::Elsewhere("the tests of the DNS server: questions and answers on the wire"),
    ),
];

/// The system and its settings, as a vector wants them.
fn choose(
    runner: Runner,
    wanted: &BTreeMap<String, String>,
) -> Result<Option<(System, Options)>, String> {
    let mut wanted = wanted.clone();
    let system = match runner {
        Runner::Elsewhere(_) => return Ok(None),
        Runner::Evidence(system) => system,
        Runner::Reverse => match wanted.remove("method").as_deref() {
            Some("iprev") => System::Iprev,
            Some("fwd") => System::Forward,
            Some(other) => return Err(format!("unknown method '{other}'")),
            None => return Err("the option 'method' is missing".to_owned()),
        },
    };
    let mut options = Options::default();
    for (key, value) in &wanted {
        set(&mut options, system, key, value)
            .ok_or_else(|| format!("unknown option '{key}={value}'"))?;
    }
    Ok(Some((system, options)))
}

/// Sets an option as the configuration key of the same name would.
fn set(options: &mut Options, system: System, key: &str, value: &str) -> Option<()> {
    let switch = || match value {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    };
    match (system, key) {
        (System::Csa, "use-reverse") => options.csa.use_reverse = switch()?,
        (System::Dna, "services") => {
            options.dna.services = value.split(',').map(DnsName::parse).collect::<Option<_>>()?;
        }
        (System::Rmx, "private-type") => options.rmx.private_type = Some(value.parse().ok()?),
        (System::Rmx, "split") => options.rmx.split = switch()?,
        (System::Mtamark, "perm") => options.mtamark.perm = switch()?,
        (System::Mtamark, "contact") => options.mtamark.contact = switch()?,
        (System::ReverseMx, "strict") => options.reverse_mx.strict = switch()?,
        (System::ReverseMx, "slash8") => options.reverse_mx.slash8 = switch()?,
        (System::Csa, "parents") => options.csa.parents = value.parse().ok()?,
        (System::Drip, "parents") => options.drip.parents = value.parse().ok()?,
        (System::Apl, "chain") => options.apl.chain = switch()?,
        _ => return None,
    }
    Some(())
}

/// A vector that is to be run, and the place of each of its cases.
#[derive(Clone, Debug)]
pub struct Task {
    /// The file it comes from.
    pub path: PathBuf,
    /// The system it is about.
    pub system: System,
    /// Its settings; `None` if the vector switches it off.
    pub options: Option<Options>,
    /// What it says.
    pub vector: Vector,
}

impl Task {
    /// `path:line: ID`, to find a case again.
    pub fn place(&self, case: &Case) -> String {
        format!("{}:{}: {}", self.path.display(), case.line, self.vector.id)
    }

    /// The section of a configuration file that says the same as the vector's options: each is a key of its system.
    pub fn section(&self) -> String {
        let mut section = format!("[evidence.{}]\n", self.system);
        for (key, value) in &self.vector.options {
            let toml = match value.bytes().all(|byte| byte.is_ascii_digit()) {
                true => value.clone(),
                false => format!("{:?}", value.split(',').collect::<Vec<_>>()),
            };
            // What chooses the system is no setting of it.
            if key != "method" {
                section += &format!("{key} = {toml}\n");
            }
        }
        section
    }

    /// Runs a case against any DNS.
    pub async fn run<L: Lookup>(&self, lookup: &L, case: &Case) -> Finding {
        match &self.options {
            Some(options) => {
                evidence::evaluate(self.system, lookup, case.ip, &case.name, options).await
            }
            None => Finding::off(),
        }
    }

    /// A sentence about a case that found something else, or nothing.
    pub fn complaint(&self, case: &Case, finding: &Finding) -> Option<String> {
        if case.expected.allows(finding) {
            return None;
        }
        let (name, ip) = (&case.name, case.ip);
        let seen = finding.records.join("\n    ");
        Some(format!(
            "{}: {name} from {ip} must be {:?}, is {finding}\n    {seen}",
            self.place(case),
            case.expected
        ))
    }
}

/// The directory to run.
pub fn directory() -> PathBuf {
    match std::env::var_os(DIRECTORY_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors"),
    }
}

/// Reads every vector of a directory that a system of evidence runs; every error, not the first.
pub fn collect(directory: &Path) -> Result<Vec<Task>, Vec<String>> {
    let paths = match vector_files(directory) {
        Ok(paths) => paths,
        Err(error) => return Err(vec![format!("{}: {error}", directory.display())]),
    };
    let mut tasks = Vec::new();
    let mut errors = Vec::new();
    if paths.is_empty() {
        errors.push(format!("{}: no *.tv here", directory.display()));
    }
    for path in paths {
        match read_file(&path) {
            Ok(found) => tasks.extend(found),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(tasks) } else { Err(errors) }
}

fn vector_files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tv") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read_file(path: &Path) -> Result<Vec<Task>, String> {
    let shown = path.display();
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let known = RUNNERS.iter().find(|(known, _)| *known == stem).map(|(_, runner)| *runner);
    let Some(runner) = known.or_else(|| System::parse(stem).map(Runner::Evidence)) else {
        return Err(format!("{shown}:1: no system is called '{stem}'"));
    };
    if let Runner::Elsewhere(_) = runner {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let vectors =
        file::parse(&text).map_err(|error| format!("{shown}:{}: {}", error.line, error.message))?;
    let mut tasks = Vec::new();
    for vector in vectors {
        let id = &vector.id;
        if vector.cases.is_empty() {
            return Err(format!("{shown}: {id}: nothing is asked"));
        }
        let mut wanted = vector.options.clone();
        let on = wanted.remove("enabled").is_none_or(|value| value != "0");
        let chosen = choose(runner, &wanted).map_err(|error| format!("{shown}: {id}: {error}"))?;
        if let Some((system, options)) = chosen {
            let options = on.then_some(options);
            tasks.push(Task { path: path.to_owned(), system, options, vector });
        }
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_run_is_an_error_with_its_place() {
        for (file, text, error) in [
            ("unheard-of.tv", "# X\n? a.example 192.0.2.7 => pass\n", ":1: no system is called"),
            ("csa.tv", "# X\n\nnonsense\n", "csa.tv:3: "),
            ("csa.tv", "# X\n!opt strange=1\n? a.example 192.0.2.7 => pass\n", "unknown option"),
            ("fcrdns.tv", "# X\n? a.example 192.0.2.7 => pass\n", "'method' is missing"),
            ("fcrdns.tv", "# X\n!opt method=guess\n? a.b 192.0.2.7 => pass\n", "unknown method"),
            ("csa.tv", "# X\na.example. A 192.0.2.7\n", "nothing is asked"),
            ("readme.txt", "", "no *.tv here"),
        ] {
            let directory = tempfile::tempdir().expect("a place for files");
            std::fs::write(directory.path().join(file), text).expect("a file");
            let errors = collect(directory.path()).expect_err(file);
            assert_eq!(errors.len(), 1, "{file} {text:?}: {errors:?}");
            assert!(errors[0].contains(error), "{file} {text:?}: {errors:?}");
        }
    }

    #[test]
    fn options_are_keys_of_the_configuration() {
        for (file, options, section) in [
            (
                "dna.tv",
                "!opt services=a.example,b.example",
                "services = [\"a.example\", \"b.example\"]\n",
            ),
            ("reverse-mx.tv", "!opt strict=1\n!opt enabled=0", "enabled = 0\nstrict = 1\n"),
            ("fcrdns.tv", "!opt method=fwd", ""),
        ] {
            let directory = tempfile::tempdir().expect("a place for files");
            let text = format!("# X\n{options}\n? a.example 192.0.2.7 => pass\n");
            std::fs::write(directory.path().join(file), text).expect("a file");
            let tasks = collect(directory.path()).expect(file);
            let expected = format!("[evidence.{}]\n{section}", tasks[0].system);
            assert_eq!(tasks[0].section(), expected, "{file}");
        }
    }

    #[test]
    fn the_vectors_of_the_server_are_left_to_it() {
        let directory = tempfile::tempdir().expect("a place for files");
        let text = "# BL-01\n? 7.2.0.192.z. A => NOERROR 127.0.0.6\n";
        std::fs::write(directory.path().join("serving.tv"), text).expect("a file");
        assert_eq!(collect(directory.path()).map(|tasks| tasks.len()), Ok(0));
    }
}

//! The real program in a folder of its own: what whole-program tests and benches start, ask and kill.
//!
//! A [`Site`] is a fresh folder with a configuration; commands run against it to their end ([`Done`]),
//! and its daemon runs beside the test ([`Daemon`]). Ports are the kernel's choice: the configuration
//! says port 0 and the daemon tells what it got. Nothing here waits for a time: it waits for what shall
//! be, [`PATIENCE`] long at most, and then fails with what it waited for.
//!
//! Whatever runs here must not panic: that word on its standard error fails the test, also when the
//! test itself was content. A daemon is killed when it is dropped; if the test is failing, the end of
//! what it said is printed. Failures are panics, for this is for tests only.
//!
//! The program is built by `cargo build` once in each test process if its sources are newer than it.
#![expect(clippy::print_stderr, reason = "tests tell why they fail, and what they skip")]

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use helostat_server::ask::{Reply, ask};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tempfile::TempDir;

/// How long anything may take on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked whether it is there.
const NAP: Duration = Duration::from_millis(5);
/// How much of a daemon's log is printed when a test fails.
const TAIL_LINES: usize = 30;

/// What every test begins with: one zone, history alone, ports that are free. Sections that a test
/// needs beside it follow; a value is changed with [`Site::rewrite`].
const CONFIG: &str = r#"
[ledger]
path = "ledger"
[dns]
listen = ["127.0.0.1:0"]
[http]
listen = "127.0.0.1:0"
[live]
enabled = false
[[zone]]
origin = "rep.test"
"#;

/// Asks until there is an answer, and fails with `what` if there is none.
pub fn eventually<T>(what: impl Debug, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what:?}");
        std::thread::sleep(NAP);
    }
}

/// A folder with a configuration.
pub struct Site {
    folder: TempDir,
}

impl Site {
    /// A new folder; `sections` are added to the configuration every test begins with.
    pub fn new(sections: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a folder for temporary files") };
        site.configure(&format!("{CONFIG}{sections}"));
        site
    }

    /// A new folder that follows these logs, which do not exist yet.
    pub fn following(logs: &[&str]) -> Self {
        let section = |log: &&str| format!("[[log]]\npath = \"{log}\"\nreporter = \"mx1\"\n");
        Self::new(&logs.iter().map(section).collect::<String>())
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path("helostat.toml")
    }

    /// Writes the whole configuration.
    pub fn configure(&self, text: &str) {
        fs::write(self.config(), text).expect("a configuration file");
    }

    /// Replaces a part of the configuration, which must be there.
    pub fn rewrite(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.config()).expect("a configuration file");
        assert!(text.contains(from), "{from:?} is not in {text}");
        self.configure(&text.replace(from, to));
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect(name);
    }

    /// Appends to a file, which is made if it is not there.
    pub fn append(&self, name: &str, content: impl AsRef<[u8]>) {
        let file = OpenOptions::new().append(true).create(true).open(self.path(name));
        file.expect(name).write_all(content.as_ref()).expect(name);
    }

    /// Renames a file.
    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect(from);
    }

    /// A command to be started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).arg("--config").arg(self.config()).current_dir(self.folder.path());
        command.env("TZ", "UTC").stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Done {
        Done::of(args, self.command(args).output().expect("the program starts"))
    }

    /// Runs a command that reads standard input to its end.
    pub fn run_with_input(&self, args: &[&str], input: &[u8]) -> Done {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        std::thread::scope(|scope| {
            // It may end without reading all of it.
            scope.spawn(move || stdin.write_all(input).ok());
            Done::of(args, child.wait_with_output().expect("the program ends"))
        })
    }

    /// Runs a command that must succeed; gives its standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, 0, "{args:?}: {}", done.stderr);
        done.stdout
    }

    /// Runs a command that must fail with this code and these lines on standard error; beside them the
    /// daemon may tell at INFO how far it came. `$DIR` stands for the folder.
    pub fn fails(&self, args: &[&str], code: i32, says: &[&str]) {
        let done = self.run(args);
        let folder = self.folder.path().display().to_string();
        let stderr = done.stderr.replace(&folder, "$DIR");
        let said: Vec<_> = stderr.lines().filter(|line| !line.contains("Z  INFO ")).collect();
        assert_eq!((done.code, said), (code, says.to_vec()), "{args:?}");
        assert_eq!(done.stdout, "", "{args:?}");
    }

    /// The canonical dump, from the daemon if it runs.
    pub fn dump(&self) -> String {
        self.ok(&["ledger", "dump"])
    }

    /// The lines of the dump that tell of pairs.
    pub fn pairs(&self) -> Vec<String> {
        let dump = self.dump();
        dump.lines().filter(|line| line.contains(r#""name":"#)).map(str::to_owned).collect()
    }

    /// Starts the daemon and waits until it is ready.
    pub fn start(&self) -> Daemon {
        let daemon = self.launch();
        daemon.wait_ready();
        daemon
    }

    /// Starts the daemon and waits for nothing.
    pub fn launch(&self) -> Daemon {
        Self::listened_to(self.command(&["run"]))
    }

    /// Starts the daemon so that it looks for programs in this folder of the site, and then in these; waits until it
    /// is ready.
    pub fn start_with_programs(&self, folder: &str, others: &str) -> Daemon {
        let mut command = self.command(&["run"]);
        command.env("PATH", format!("{}:{others}", self.path(folder).display()));
        let daemon = Self::listened_to(command);
        daemon.wait_ready();
        daemon
    }

    /// Starts the daemon so that [`Daemon::limit_files`] makes its writes fail, as on a full disk, instead of
    /// ending it; waits until it is ready.
    pub fn start_limitable(&self) -> Daemon {
        let program = self.command(&["run"]);
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(program.get_program());
        command.args(program.get_args()).current_dir(self.folder.path());
        command.env("TZ", "UTC").stdin(Stdio::null());
        let daemon = Self::listened_to(command);
        daemon.wait_ready();
        daemon
    }

    fn listened_to(mut command: Command) -> Daemon {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("a pipe");
        let said = Arc::new(Mutex::new(Vec::new()));
        let listening = said.clone();
        let ear = std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                listening.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Daemon { child, said, ear: Some(ear), dns: OnceLock::new(), http: OnceLock::new() }
    }
}

/// A command that ended.
#[derive(Debug)]
pub struct Done {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Done {
    fn of(args: &[&str], output: std::process::Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let stderr = text(&output.stderr);
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        Self { code: code(output.status), stdout: text(&output.stdout), stderr }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    ear: Option<JoinHandle<()>>,
    dns: OnceLock<SocketAddr>,
    http: OnceLock<SocketAddr>,
}

impl Daemon {
    /// Where it answers DNS.
    pub fn dns(&self) -> SocketAddr {
        *self.dns.get_or_init(|| self.wait_place("dns=["))
    }

    /// Where it answers HTTP.
    pub fn http(&self) -> SocketAddr {
        *self.http.get_or_init(|| self.wait_place("http=Some("))
    }

    /// The address behind `mark` in what the daemon says.
    fn wait_place(&self, mark: &str) -> SocketAddr {
        let line = self.wait_said(mark);
        let rest = line.split_once(mark).and_then(|(_, rest)| rest.split([']', ')']).next());
        rest.and_then(|place| place.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    }

    /// Waits until it is ready.
    pub fn wait_ready(&self) {
        eventually("/healthz to say ready", || (self.get("/healthz").0 == 200).then_some(()));
    }

    /// Waits until every log of `logs` was read to its end once.
    pub fn wait_caught_up(&self, logs: &[&str]) {
        for log in logs {
            self.wait_said(&format!("{log}: read to its end"));
        }
    }

    /// Waits for a line on its standard error with this in it.
    pub fn wait_said(&self, what: &str) -> String {
        eventually(what, || {
            if let Some(line) = self.said().into_iter().find(|line| line.contains(what)) {
                return Some(line);
            }
            let silent = self.ear.as_ref().is_none_or(JoinHandle::is_finished);
            assert!(!silent, "it ended without saying {what:?}: {:#?}", self.said());
            None
        })
    }

    /// What it said so far, line by line.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks a DNS question.
    pub fn ask(&self, name: &str, rtype: &str) -> Reply {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let asking = ask(self.dns(), name, rtype, PATIENCE);
        runtime.expect("a runtime").block_on(asking).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    /// The data of the A records of a name under `rep.test`.
    pub fn addresses(&self, name: &str) -> Vec<String> {
        let reply = self.ask(&format!("{name}.rep.test"), "A");
        reply.answers.into_iter().map(|record| record.data).collect()
    }

    /// Waits until a name under `rep.test` has exactly these A records.
    pub fn wait_addresses(&self, name: &str, addresses: &[&str]) {
        let mut last = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            last = self.addresses(name);
            if last == addresses {
                return;
            }
            std::thread::sleep(NAP);
        }
        panic!("{name} should become {addresses:?} but is {last:?}");
    }

    /// Gets a path over HTTP: the status and the body.
    pub fn get(&self, path: &str) -> (u16, String) {
        get(self.http(), path)
    }

    /// The sum of a metric over its series that have all these labels.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (_, text) = self.get("/metrics");
        let labels: Vec<_> =
            labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        text.lines()
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let (found, rest) = series.split_once('{').unwrap_or((series, ""));
                let fits = found == name && labels.iter().all(|label| rest.contains(label));
                fits.then(|| value.parse::<f64>().ok()).flatten()
            })
            .sum()
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory in use, in kB.
    pub fn resident_kb(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("the daemon lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
        kb.expect("Linux says how much memory a process uses")
    }

    /// Processor time so far, all threads, in user and kernel; exact to 10 ms.
    pub fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("the daemon lives");
        // The name of the program, in brackets, may have blanks; utime and stime are fields 14 and 15.
        let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = behind.split_ascii_whitespace().skip(11).take(2);
        Duration::from_millis(ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
    }

    /// The address behind `mark` in the line that says where it listens for syslog: `tcp=[` or `udp=[`.
    pub fn syslog(&self, mark: &str) -> SocketAddr {
        let line = self.wait_said("listens for syslog");
        let rest = line.split_once(mark).and_then(|(_, rest)| rest.split([']', ',']).next());
        rest.and_then(|place| place.parse().ok()).unwrap_or_else(|| panic!("no {mark} in {line}"))
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().expect("kill");
        assert!(status.success(), "kill -s {name} {pid}");
    }

    /// From now on no file may become longer than this; `None` lifts it. For a daemon of `start_limitable`.
    pub fn limit_files(&self, octets: Option<u64>) {
        let limit = octets.map_or_else(|| "unlimited".to_owned(), |octets| octets.to_string());
        let pid = self.child.id().to_string();
        // The soft limit alone, which may be raised again.
        let args = ["--pid", &pid, &format!("--fsize={limit}:")];
        let status = Command::new("prlimit").args(args).status().expect("prlimit");
        assert!(status.success(), "prlimit {args:?}");
    }

    /// What `/healthz` warns of.
    pub fn warnings(&self) -> Vec<String> {
        let (_, body) = self.get("/healthz");
        let report: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let warnings = report["warnings"].as_array().expect("a list").iter();
        warnings.map(|warning| warning.as_str().expect("a sentence").to_owned()).collect()
    }

    /// Ends it with a signal: the exit code, how long that took, and all that it said.
    pub fn end(mut self, signal: &str) -> (i32, Duration, Vec<String>) {
        let begun = Instant::now();
        self.signal(signal);
        let code = self.wait();
        let took = begun.elapsed();
        if let Some(ear) = self.ear.take() {
            ear.join().expect("the ear does not fail");
        }
        (code, took, self.said())
    }

    /// Ends it in order; it must exit with 0.
    pub fn stop(self) {
        let (code, _, said) = self.end("TERM");
        assert_eq!(code, 0, "{said:#?}");
    }

    /// Waits for its end; gives the exit code.
    pub fn wait(&mut self) -> i32 {
        let status = eventually("the daemon to end", || self.child.try_wait().expect("our child"));
        code(status)
    }

    /// `kill -9`, now.
    pub fn kill(mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail if it ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(ear) = self.ear.take() {
            ear.join().ok();
        }
        let said = self.said();
        if std::thread::panicking() {
            let tail = said.len().saturating_sub(TAIL_LINES);
            eprintln!("the daemon said at last:\n{}", said.split_at(tail).1.join("\n"));
            return;
        }
        assert!(!said.iter().any(|line| line.contains("panicked")), "{said:#?}");
    }
}

/// Gets a path over HTTP: the status and the body; 0 and why if there was no answer.
pub fn get(server: SocketAddr, path: &str) -> (u16, String) {
    let asked = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = match asked() {
        Ok(answer) => answer,
        Err(why) => return (0, why.to_string()),
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_ascii_whitespace().nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), body.to_owned())
}

/// Random numbers that a seed repeats (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }

    /// This many random bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// A whole number from the environment, or its default.
pub fn number(variable: &str, default: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")),
        Err(_) => default,
    }
}

/// The program, built if need be.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // Tests and benches lie in target/PROFILE/deps, the program in target/PROFILE.
        let test = std::env::current_exe().expect("this test's own path");
        let folder = test.parent().and_then(Path::parent).expect("two folders above");
        let program = folder.join("helostat");
        let built = fs::metadata(&program).and_then(|metadata| metadata.modified());
        if built.is_err() || built.is_ok_and(|built| built < newest_source()) {
            build(folder.ends_with("release"));
        }
        assert!(program.is_file(), "cargo made no {}", program.display());
        program
    })
}

fn build(release: bool) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--quiet", "--package", "helostat"]).current_dir(root());
    if release {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo starts").success(), "cargo build failed");
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// When the youngest source of the program was written.
fn newest_source() -> SystemTime {
    let mut folders: Vec<_> =
        ["zones", "ingest", "server", "ops"].map(|name| root().join(name)).into();
    let mut newest = SystemTime::UNIX_EPOCH;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let entry = entry.expect("a source");
            let metadata = entry.metadata().expect("a source");
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                newest = newest.max(metadata.modified().expect("a time"));
            }
        }
    }
    newest
}

/// Reads a file of the project, by its path from the root.
pub fn project_file(path: &str) -> String {
    let mut text = String::new();
    let file = File::open(root().join(path)).and_then(|mut file| file.read_to_string(&mut text));
    file.expect(path);
    text
}

/// A question for the A records of `name`, as a client would send it over UDP.
pub fn question(name: &str) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).expect(name), RecordType::A));
    message.to_vec().expect("a small message")
}

//! The servers that are measured: each a process of its own on one core, and what it costs.

use std::collections::HashMap;
use std::fs;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use super::data::{MARK, ORIGIN};
use crate::measure;
use crate::options::Options;

/// The core of the servers.
const CORE: &str = "0";
/// Who runs rbldnsd if we are root, as which it does not run.
const NOBODY: u32 = 65534;
/// A server that takes longer to begin does not.
const PATIENCE: Duration = Duration::from_secs(120);
/// Datagrams with one call of the echo, as many as helostat takes.
const BATCH: usize = 32;
const ROOM: usize = 2048;

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sends back what came: what the kernel alone costs.
    Echo,
    Rbldnsd,
    /// It has a child answer while it reads (`-f`).
    RbldnsdForking,
    Helostat,
    /// With two threads on two sockets, on one core as all the others.
    HelostatTwice,
    /// It judges clients of its ledger, which are as many as the list has lines.
    Learned,
}

impl Kind {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Rbldnsd => "rbldnsd",
            Self::RbldnsdForking => "rbldnsd -f",
            Self::Helostat => "helostat",
            Self::HelostatTwice => "helostat, 2 threads",
            Self::Learned => "helostat, learned",
        }
    }
}

/// A server that runs; it ends when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    /// Until it answered the first time.
    pub(crate) began_after: Duration,
    /// Processor time until then.
    pub(crate) began_with: Duration,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Learns what a ledger is to hold.
    pub(crate) fn learn(options: &Options, ledger: &Path, observations: &Path) {
        let folder = tempfile::tempdir().expect("a folder");
        let configuration = folder.path().join("helostat.toml");
        fs::write(&configuration, learned_toml(free_port(), ledger)).expect("room");
        let mut command = Command::new(program(options));
        command
            .args(["learn", "--format", "json", "--config"])
            .arg(configuration)
            .arg(observations);
        let learned = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(learned.expect("it starts").success(), "helostat learn failed");
    }

    /// Starts it with a list (or a ledger) and waits for its first answer.
    pub(crate) fn start(options: &Options, kind: Kind, list: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut command = on_core(CORE);
        match kind {
            Kind::Echo => {
                command.arg(std::env::current_exe().expect("this bench's own path"));
                command.args(["echo", "--port", &port.to_string()]);
            }
            Kind::Rbldnsd | Kind::RbldnsdForking => {
                command.arg(options.text("rbldnsd").unwrap_or_else(|| "/usr/sbin/rbldnsd".into()));
                // Without NS records in every answer, as we send none.
                command.args(["-n", "-a", "-b", &format!("127.0.0.1/{port}")]);
                if kind == Kind::RbldnsdForking {
                    command.arg("-f");
                }
                command.arg(format!("{ORIGIN}:ip4set:{}", list.display()));
                if fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
                    command.uid(NOBODY).gid(NOBODY);
                }
            }
            Kind::Helostat | Kind::HelostatTwice => {
                let threads = if kind == Kind::Helostat { 1 } else { 2 };
                let configuration = folder.path().join("helostat.toml");
                fs::write(&configuration, toml(port, threads, folder.path(), list)).expect("room");
                command.arg(program(options)).args(["run", "--config"]).arg(configuration);
            }
            Kind::Learned => {
                let configuration = folder.path().join("helostat.toml");
                fs::write(&configuration, learned_toml(port, list)).expect("room");
                command.arg(program(options)).args(["run", "--config"]).arg(configuration);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", kind.words()));
        let mut server = Self {
            child,
            port,
            began_after: Duration::ZERO,
            began_with: Duration::ZERO,
            _folder: folder,
        };
        while server.lists(MARK).is_none() {
            assert!(begun.elapsed() < PATIENCE, "{} does not answer", kind.words());
            let ended = server.child.try_wait().expect("a child");
            assert!(ended.is_none(), "{} ended: {ended:?}", kind.words());
            std::thread::sleep(Duration::from_millis(2));
        }
        (server.began_after, server.began_with) = (begun.elapsed(), server.cpu());
        server
    }

    /// Waits until it has nothing to do: until all of its clients have been judged.
    pub(crate) fn settle(&self) {
        loop {
            let before = self.cpu();
            std::thread::sleep(Duration::from_secs(2));
            if self.cpu().saturating_sub(before) < Duration::from_millis(100) {
                return;
            }
        }
    }

    /// Does it list an address? `None` if it does not say.
    pub(crate) fn lists(&self, address: Ipv4Addr) -> Option<bool> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        socket.connect((Ipv4Addr::LOCALHOST, self.port)).expect("loopback");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time");
        let [a, b, c, d] = address.octets();
        let mut packet = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in format!("{d}.{c}.{b}.{a}.{ORIGIN}").split('.') {
            packet.push(u8::try_from(label.len()).expect("a label"));
            packet.extend(label.as_bytes());
        }
        packet.extend([0, 0, 1, 0, 1]);
        socket.send(&packet).ok()?;
        let mut answer = [0; ROOM];
        socket.recv(&mut answer).ok()?;
        let [_, _, flags, code, _, _, _, answers, ..] = answer;
        // SERVFAIL and REFUSED are what is said before the list is there.
        (flags & 0x80 != 0 && matches!(code & 15, 0 | 3)).then_some(answers > 0)
    }

    /// Tells it to look whether its files have changed.
    pub(crate) fn reload(&self) {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-s", "HUP", &pid]).status().expect("kill");
        assert!(told.success(), "kill -s HUP {pid}");
    }

    /// Processor time of each of its threads, user and kernel, exact to the last time that it waited.
    pub(crate) fn threads(&self) -> HashMap<u32, Duration> {
        let tasks = self.tree().into_iter().filter_map(|pid| {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
            Some(tasks.flatten())
        });
        let spent = tasks.flatten().filter_map(|task| {
            let thread = task.file_name().to_str()?.parse().ok()?;
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
            Some((thread, Duration::from_nanos(nanoseconds)))
        });
        spent.collect()
    }

    /// Processor time since [`Self::threads`] was called; of threads that have ended since, none, but those that answer do
    /// not end.
    pub(crate) fn spent_since(&self, before: &HashMap<u32, Duration>) -> Duration {
        let spent = self.threads().into_iter().map(|(thread, now)| {
            now.saturating_sub(before.get(&thread).copied().unwrap_or_default())
        });
        spent.sum()
    }

    /// Processor time of it and its children, even of those that have ended; exact to 10 ms.
    pub(crate) fn cpu(&self) -> Duration {
        let ticks: u64 =
            self.tree().iter().map(|pid| Stat::of(*pid).map_or(0, |it| it.ticks)).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory in octets, now and at the most; of its children, too, less what they share.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let kilobytes = |pid: &u32, file: &str, field: &str| {
            let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            measure::value(&text, field) << 10
        };
        let tree = self.tree();
        let now = tree.iter().map(|pid| kilobytes(pid, "smaps_rollup", "Pss:")).sum();
        let most = tree.iter().map(|pid| kilobytes(pid, "status", "VmHWM:")).max();
        (now, most.unwrap_or_default())
    }

    fn tree(&self) -> Vec<u32> {
        let processes = fs::read_dir("/proc").expect("proc").flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let pids: Vec<(u32, u32)> =
            pids.filter_map(|pid| Some((pid, Stat::of(pid)?.parent))).collect();
        let mut tree = vec![self.child.id()];
        let mut done = 0;
        while let Some(&pid) = tree.get(done) {
            tree.extend(pids.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child));
            done += 1;
        }
        tree
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        drop(ended);
    }
}

/// Of /proc/PID/stat.
struct Stat {
    parent: u32,
    /// In user and kernel, with children that have ended.
    ticks: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name of the program, in brackets, may have blanks; the state comes behind it.
        let (_, behind) = text.rsplit_once(')')?;
        let mut fields = behind.split_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        let ticks = fields.skip(9).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Self { parent, ticks })
    }
}

fn toml(port: u16, threads: usize, folder: &Path, list: &Path) -> String {
    let ledger = folder.join("ledger");
    format!(
        "[dns]\nlisten = [\"127.0.0.1:{port}\"]\nthreads = {threads}\n[http]\nlisten = \"\"\n\
         [live]\nenabled = false\n[ledger]\npath = {ledger:?}\n\
         [[list]]\norigin = {ORIGIN:?}\ndata = [\"ip4set:{}\"]\n",
        list.display()
    )
}

/// Who says no name is listed at once, so that one observation of each client does.
fn learned_toml(port: u16, ledger: &Path) -> String {
    let origin = ORIGIN.strip_prefix("bl.").expect("a zone of ours");
    format!(
        "[dns]\nlisten = [\"127.0.0.1:{port}\"]\nthreads = 1\n[http]\nlisten = \"\"\n\
         [live]\nenabled = false\n[ledger]\npath = {ledger:?}\n\
         [policy]\njunk-messages = 1\njunk-days = 1\n\
         [[zone]]\norigin = {origin:?}\nkinds = [\"bl\"]\nns = [\"ns.{origin}\"]\n"
    )
}

/// The program: what `--program` names, or what lies beside this bench.
fn program(options: &Options) -> PathBuf {
    let beside = || {
        let bench = std::env::current_exe().expect("this bench's own path");
        let folder = bench.parent().and_then(Path::parent).expect("two folders above");
        folder.join("helostat")
    };
    let program = options.text("program").map_or_else(beside, PathBuf::from);
    assert!(program.is_file(), "cargo build --release -p helostat: no {}", program.display());
    program
}

/// The beginning of a command that is to run on one core.
pub(crate) fn on_core(core: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]);
    command
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.local_addr().expect("bound").port()
}

/// Sends back every datagram as an answer, until it is ended.
pub(crate) fn echo(port: u16) -> nix::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
    let mut rooms = vec![[0_u8; ROOM]; BATCH];
    let mut received = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut sent = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut came: Vec<(usize, Option<SockaddrStorage>)> = Vec::with_capacity(BATCH);
    loop {
        came.clear();
        {
            let mut slices: Vec<_> = rooms.iter_mut().map(|room| [IoSliceMut::new(room)]).collect();
            let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_WAITFORONE);
            let messages = recvmmsg(fd, &mut received, slices.iter_mut(), flags, None)?;
            came.extend(messages.map(|message| (message.bytes, message.address)));
        }
        let peers: Vec<_> = came.iter().map(|(_, peer)| *peer).collect();
        let slices: Vec<_> = rooms
            .iter_mut()
            .zip(&came)
            .map(|(room, (length, _))| {
                if let Some(flags) = room.get_mut(2) {
                    *flags |= 0x80;
                }
                [std::io::IoSlice::new(room.get(..*length).unwrap_or_default())]
            })
            .collect();
        let flags = MsgFlags::empty();
        // What is not sent is lost, and counted by who asked.
        drop(sendmmsg(socket.as_raw_fd(), &mut sent, slices.iter(), peers, [], flags));
    }
}

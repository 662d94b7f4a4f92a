"""The stage on which the mail programs ask: a namespace in which Debian's packages are laid over /usr, Unbound as the
only resolver, helostat behind it, and the clients' addresses on the loopback interface.

A fault is made where it would happen: helostat refuses, stands still or is gone; or the resolver itself refuses.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import world

TOP = Path(__file__).resolve().parents[2]
HELOSTAT = Path(os.environ.get("HELOSTAT", TOP / "target" / "debug" / "helostat")).resolve()
ORIGIN = "rep.example.net"
PATIENCE = 30.0
ACCOUNTS = [("postfix", 64001), ("postdrop", 64002), ("Debian-exim", 64003), ("unbound", 64004), ("opensmtpd", 64005),
            ("opensmtpq", 64006), ("smmta", 64007), ("smmsp", 64008), ("_rspamd", 64009), ("grace", 64010)]

# As Debian has it, and no upstream: everything that is not local does not exist.
UNBOUND_CONF = """
server:
    chroot: ""
    directory: "/etc/unbound"
    pidfile: ""
    interface: 127.0.0.1
    use-syslog: no
    log-queries: yes
    trust-anchor: ". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
    local-zone: "." static
    local-zone: "rep.example.net." transparent
remote-control:
    control-enable: no
include: "/etc/unbound/unbound.conf.d/*.conf"
include: "/etc/unbound/world.conf"
"""

# Short times in the resolver's cache, so that a change is seen; everything else is the default.
HELOSTAT_TOML = """
[[zone]]
origin = "rep.example.net"
kinds = ["bl", "wl", "score", "bits", "ehlo", "pair"]
ttl = "1s"
negative-ttl = "1s"
"""
# Who is trusted may ask whatever `allow` says.
REFUSING = """
allow = ["192.0.2.53"]
[live]
trust = ["192.0.2.53"]
"""


class Stuck(Exception):
    """A wait was in vain, or a command failed."""


class Impossible(Exception):
    """This machine cannot have the stage."""


class Stage:
    """What all mail programs share."""

    def __init__(self, packages, work):
        self.packages, self.work = packages, work
        self.environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/var", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        self.children = {}

    def set_up(self, unbound_conf):
        subprocess.run(["hostname", "mx1"], check=True)
        done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={self.packages / 'usr'}:/usr", "/usr"])
        if done.returncode != 0:
            raise Impossible("no overlay can be mounted here")
        etc, dev = self.work / "etc", self.work / "dev"
        shutil.copytree("/etc", etc, symlinks=True)
        # What the packages bring and this host lacks.
        shutil.copytree(self.packages / "etc", etc, symlinks=True, dirs_exist_ok=True)
        for table, line in (("passwd", "{0}:x:{1}:{1}::/var/empty:/usr/sbin/nologin\n"), ("group", "{0}:x:{1}:\n")):
            with open(etc / table, "a") as accounts:
                accounts.writelines(line.format(*account) for account in ACCOUNTS)
        for folder in ("etc/helostat", "etc/unbound/unbound.conf.d", "var/log", "var/lib/helostat", "var/tmp", "var/empty", "var/run"):
            (self.work / folder).mkdir(parents=True, exist_ok=True)
        # Programs put their log socket into /dev, which must not be the real one.
        dev.mkdir()
        for node in ("null", "zero", "random", "urandom", "tty"):
            (dev / node).touch()
            subprocess.run(["mount", "--bind", f"/dev/{node}", dev / node], check=True)
        (dev / "shm").mkdir(mode=0o1777)
        (dev / "fd").symlink_to("/proc/self/fd")
        (self.work / "var/run").chmod(0o755)
        for folder in ("etc", "var", "dev"):
            subprocess.run(["mount", "--rbind", self.work / folder, f"/{folder}"], check=True)
        (self.work / "run").mkdir()
        subprocess.run(["mount", "--bind", self.work / "run", "/run"], check=True)
        Path("/dev/shm").chmod(0o1777)
        Path("/var/tmp").chmod(0o1777)
        # The defaults of the C library: what a mail server waits for a silent resolver.
        write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 mx1.site.test mx1\n")
        write("/etc/mailname", "mx1.site.test\n")
        # The clients' networks are here, and yet on no interface: Haraka asks nobody about addresses of its own.
        for version, network in world.NETWORKS.items():
            subprocess.run(["ip", f"-{version}", "route", "add", "local", network, "dev", "lo"], check=True)

        # Debian's own snippets want a state that its maintainer scripts make.
        shutil.rmtree("/etc/unbound/unbound.conf.d")
        write("/etc/unbound/unbound.conf", UNBOUND_CONF)
        write("/etc/unbound/unbound.conf.d/helostat.conf", unbound_conf)
        write("/etc/unbound/world.conf", "server:\n" + "".join(f"    local-data: '{record}'\n" for record in world.zone()))
        write("/etc/helostat/helostat.toml", HELOSTAT_TOML)
        self.start_syslog()
        self.resolver_forgets()
        write("/var/log/past.log", world.log())
        self.start_helostat()
        self.helostat("learn", "--reporter", "mx1", "/var/log/past.log")
        self.helostat("allow", world.ALLOWED[0], "--reason", "our customer")

    def start_syslog(self):
        """A socket that writes what is said to it into the mail log, as rsyslog would."""
        plug = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        plug.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            with open("/var/log/mail.log", "ab", buffering=0) as log:
                while True:
                    line = plug.recv(65536).rstrip(b"\0\n")
                    log.write(re.sub(rb"^<\d+>", b"", line) + b"\n")
        plug.close()
        Path("/var/log/mail.log").touch()

    def start_helostat(self):
        self.helostat("check")
        self.spawn("helostat", [HELOSTAT, "run", "--config", "/etc/helostat/helostat.toml"])
        self.wait("helostat answers", lambda: "127.0.0.2" in self.ask(f"2.0.0.127.bl.{ORIGIN}", server="127.0.0.1", port=5300)[1])

    def helostat(self, *words):
        done = subprocess.run([HELOSTAT, *words], env=self.environment, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise Stuck(f"helostat {' '.join(words)}: {done.stderr}")
        return done.stdout

    # ---- questions, with dig

    def ask(self, name, kind="A", server="127.0.0.1", port=53, patience=1):
        """The reply code (or "silence") and the answers."""
        done = subprocess.run(["dig", f"@{server}", "-p", str(port), name, kind, "+noall", "+comments", "+answer", "+tries=1",
                               f"+time={patience}"], env=self.environment, capture_output=True, text=True)
        status = re.search(r"status: (\w+)", done.stdout)
        answers = [line.split(None, 4)[4] for line in done.stdout.splitlines() if line and not line.startswith(";")
                   and len(line.split(None, 4)) == 5]
        return (status.group(1) if status else "silence"), answers

    def questions(self):
        """Everything that was asked of the resolver."""
        text = Path("/var/log/unbound.out").read_text(errors="replace")
        return set(re.findall(r" info: 127\.0\.0\.1 (\S+)\. (\w+) IN", text))

    # ---- faults

    def break_down(self, fault):
        if fault == "REFUSED":
            write("/etc/unbound/unbound.conf.d/fault.conf", f'server:\n    local-zone: "{ORIGIN}." refuse\n')
            self.resolver_forgets()
        elif fault == "SERVFAIL":
            # helostat refuses the resolver, which says SERVFAIL to who asked it.
            write("/etc/helostat/helostat.toml", HELOSTAT_TOML + REFUSING)
            self.children["helostat"].send_signal(signal.SIGHUP)
            self.wait("helostat refuses", lambda: self.ask(f"2.0.0.127.bl.{ORIGIN}", port=5300)[0] == "REFUSED")
            self.resolver_forgets()
        elif fault == "silence":
            self.children["helostat"].send_signal(signal.SIGSTOP)
            self.resolver_forgets()
        elif fault == "killed":
            self.end("helostat", signal.SIGKILL)
            self.resolver_forgets()

    def mend(self, fault):
        if fault == "REFUSED":
            Path("/etc/unbound/unbound.conf.d/fault.conf").unlink()
        elif fault == "SERVFAIL":
            write("/etc/helostat/helostat.toml", HELOSTAT_TOML)
            self.children["helostat"].send_signal(signal.SIGHUP)
        elif fault == "silence":
            self.children["helostat"].send_signal(signal.SIGCONT)
        elif fault == "killed":
            self.start_helostat()
        self.resolver_forgets()
        self.wait("the resolver has answers again", lambda: self.ask(f"2.0.0.127.bl.{ORIGIN}")[1])

    def resolver_forgets(self):
        """Unbound anew. At a reload it would keep what it knows of servers that were silent, and not ask them for a while."""
        if "unbound" in self.children:
            self.end("unbound", signal.SIGKILL)
        self.spawn("unbound", ["/usr/sbin/unbound", "-d", "-c", "/etc/unbound/unbound.conf"])
        self.wait("the resolver is back", lambda: self.ask("localhost.", patience=1)[0] == "NOERROR")

    # ---- processes

    def spawn(self, name, command, **more):
        output = open(f"/var/log/{name}.out", "ab")
        # Postfix signals its process group at the end, so it needs one.
        self.children[name] = subprocess.Popen(list(map(str, command)), env={**self.environment, **more.pop("env", {})},
                                               stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **more)

    def end(self, name, by=signal.SIGTERM):
        child = self.children.pop(name)
        child.send_signal(by)
        return child.wait(PATIENCE)

    def stop(self):
        for child in self.children.values():
            child.kill()
            child.wait(PATIENCE)

    def run(self, *command, **more):
        done = subprocess.run(list(map(str, command)), env=self.environment, capture_output=True, text=True, timeout=PATIENCE * 2, **more)
        if done.returncode != 0:
            raise Stuck(f"{command}: {done.stdout[-600:]}{done.stderr[-600:]}")
        return done.stdout

    def wait(self, what, done, patience=PATIENCE):
        deadline = time.monotonic() + patience
        while not done():
            if time.monotonic() > deadline:
                raise Stuck(f"waited {patience:.0f} s in vain until {what}")
            # A program that ends is its own failure, and not that of the others.
            for name in ("unbound", "helostat", what.split()[0]):
                child = self.children.get(name)
                if child and child.poll() is not None:
                    raise Stuck(f"{name} ended with {child.returncode} while waiting until {what}")
            time.sleep(0.02)


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def listens(port):
    # The kernel's table (state 0A is LISTEN): a trial connection would be logged.
    lines = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    return any(f":{port:04X} " in line and " 0A " in line for line in lines.splitlines())

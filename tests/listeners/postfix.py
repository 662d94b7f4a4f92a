"""Postfix: smtpd with the lines of ops/mta/postfix, and postscreen before another smtpd that asks nothing."""

import os
import pwd
import time
from pathlib import Path

from . import world
from .program import Expect, Program, since, size, smtp
from .stage import listens, write

LOG = "/var/log/postfix.log"
SMTPD, POSTSCREEN = 2525, 2526

# What every main.cf has already.
MAIN_CF = """
compatibility_level = 3.6
myhostname = mx1.site.test
mydestination = site.test
mynetworks = 127.0.0.0/8
local_recipient_maps = texthash:/etc/postfix/recipients
maillog_file = /var/log/postfix.log
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
import_environment = MAIL_CONFIG TZ=UTC LC_ALL=C.UTF-8
inet_interfaces = loopback-only
local_transport = discard:
default_transport = error:nothing leaves this machine
alias_maps =
notify_classes =
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
postscreen_access_list = permit_mynetworks
postscreen_greet_wait = 2s
postscreen_cache_map =
"""
# smtpd behind postscreen refuses nobody, so that what is refused there is postscreen's.
MASTER_CF = f"""
{SMTPD} inet n - n - - smtpd
{POSTSCREEN} inet n - n - 1 postscreen
smtpd pass - - n - - smtpd -o smtpd_recipient_restrictions=
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
"""


class Postfix(Program):
    """Its smtpd."""

    name, folder, port, log = "postfix", "postfix", SMTPD, LOG
    expect = {
        "warn": {
            "trusted": Expect(True, unseen="reject_warning"),
            "listed": Expect(True, seen=r"reject_warning: RCPT .*blocked using bl\.rep\.example\.net; helostat: listed many-families"),
            "suspect": Expect(True, seen=r"reject_warning: RCPT .*blocked using score\.rep\.example\.net; .*class=suspect",
                              unseen=r"using bl\."),
            "unknown": Expect(True, unseen="reject_warning"),
        },
        "reject": {
            "trusted": Expect(True, unseen="reject"),
            "listed": Expect(False, r"^554 5\.7\.1 .*blocked using bl\.rep\.example\.net; helostat: listed many-families"),
            "suspect": Expect(True, seen=r"reject_warning: RCPT .*blocked using score\.rep\.example\.net; .*class=suspect"),
            "unknown": Expect(True, unseen="reject"),
        },
    }
    more = [
        ("warn", *world.CROWD_NAME, Expect(True, seen=r"reject_warning: RCPT .*blocked using ehlo\.rep\.example\.net")),
        ("reject", *world.CROWD_NAME, Expect(False, r"^554 5\.7\.1 .*blocked using ehlo\.rep\.example\.net; .*")),
    ]
    files = {"warn": ["warn.cf"], "reject": ["reject.cf"]}

    def start(self):
        queue = Path("/var/spool/postfix")
        for name in "active bounce corrupt defer deferred flush hold incoming private saved trace public maildrop pid".split():
            (queue / name).mkdir(mode=0o700, parents=True)
            group = 64002 if name in ("public", "maildrop") else 0
            os.chown(queue / name, 0 if name == "pid" else pwd.getpwnam("postfix").pw_uid, group)
        queue.chmod(0o755)
        (queue / "pid").chmod(0o755)
        (queue / "public").chmod(0o2710)
        (queue / "maildrop").chmod(0o1730)
        Path("/var/lib/postfix").mkdir()
        os.chown("/var/lib/postfix", pwd.getpwnam("postfix").pw_uid, 0)
        write("/etc/postfix/recipients", "grace@site.test x\n")
        example = (Path(__file__).resolve().parents[2] / "ops/example/config/master.cf").read_text()
        write("/etc/postfix/master.cf", MASTER_CF + "".join(line + "\n" for line in example.splitlines() if " inet " not in line))
        self.write("warn")
        self.stage.spawn("postfix", ["/usr/sbin/postfix", "-c", "/etc/postfix", "start-fg"])
        for port in (SMTPD, POSTSCREEN):
            self.stage.wait(f"postfix listens on {port}", lambda: listens(port))

    def write(self, mode, beside=False):
        """The shipped lines; or, beside the list of somebody else, which is last in smtpd and worth 2 in postscreen."""
        screen, ask = self.shipped("postscreen.cf", f"postscreen-{mode}.cf"), self.shipped(*self.files[mode])
        if beside:
            screen = screen.replace("postscreen_dnsbl_sites =\n", f"postscreen_dnsbl_sites =\n    {world.OTHER_LIST}*2\n")
            ask = f"{ask.rstrip()},\n    reject_rbl_client {world.OTHER_LIST}\n"
        write("/etc/postfix/main.cf", MAIN_CF + screen + ask)

    def configure(self, mode):
        self.write(mode)
        self.reload()

    def forget(self):
        # smtpd remembers what it asked, as long as its process lives.
        self.reload()

    def recover(self, fault):
        self.reload()

    def reload(self):
        self.stage.run("/usr/sbin/postfix", "-c", "/etc/postfix", "reload")
        # Old processes finish their sessions; none is under way.
        time.sleep(1)

    def at(self, port, ip, name):
        return smtp(ip, name, port)

    def visit(self, ip, name):
        mark = size(LOG)
        visit = super().visit(ip, name)
        time.sleep(0.2)
        visit.seen = "\n".join(line for line in since(LOG, mark).splitlines() if f"[{ip}]" in line)
        return visit


class Postscreen(Postfix):
    """The same Postfix at another door. It is started and told by the other one."""

    name, port, log = "postscreen", POSTSCREEN, ""
    expect = {
        "warn": {
            "trusted": Expect(True, seen="at once", unseen="DNSBL"),
            "listed": Expect(True, seen=r"DNSBL rank 5 for "),
            "suspect": Expect(True, unseen="DNSBL rank"),
            "unknown": Expect(True, unseen="DNSBL rank|at once"),
        },
        "reject": {
            "trusted": Expect(True, seen="at once", unseen="DNSBL"),
            "listed": Expect(False, r"^550 5\.7\.1 .*blocked using bl\.rep\.example\.net", seen=r"DNSBL rank 5 for "),
            "suspect": Expect(True, unseen="DNSBL rank"),
            "unknown": Expect(True, unseen="DNSBL rank|at once"),
        },
    }
    more = []

    def start(self):
        pass

    def configure(self, mode):
        pass

    def forget(self):
        pass

    def recover(self, fault):
        pass

    def visit(self, ip, name):
        mark = size(LOG)
        visit = Program.visit(self, ip, name)
        time.sleep(0.3)
        visit.seen = "\n".join(line for line in since(LOG, mark).splitlines() if f"[{ip}]" in line and "postscreen" in line)
        # The wait before its greeting is two seconds here.
        visit.seen += " at once" if visit.took < 1.9 else ""
        return visit

"""Exim with the ACL lines of ops/mta/exim."""

import os
import pwd
import re
import signal
import time
from pathlib import Path

from . import world
from .program import Expect, Program, since, size
from .stage import listens, write

LOG = "/var/log/exim4/mainlog"
MAILBOX = Path("/var/spool/exim4/mailbox")

CONF = """
primary_hostname = mx1.site.test
domainlist local_domains = site.test
acl_smtp_rcpt = acl_check_rcpt
host_lookup =
rfc1413_query_timeout = 0s
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
pid_file_path = /var/spool/exim4/pid
local_interfaces = <; 127.0.0.1.2530 ; [::1]:2530
tls_advertise_hosts =
deliver_drop_privilege = true
keep_environment =
timezone = UTC
smtp_accept_max_per_host = 0
begin acl
acl_check_rcpt:
  require message = relay not permitted
          domains = +local_domains
@ASK@
  accept
begin routers
mailbox:
  driver = accept
  domains = +local_domains
  transport = file
begin transports
file:
  driver = appendfile
  file = /var/spool/exim4/mailbox
"""


class Exim(Program):
    """As a daemon; what it tagged is read from the mailbox."""

    name, folder, port, log = "exim", "exim", 2530, LOG
    expect = {
        "warn": {
            "trusted": Expect(True, seen="X-Helostat-Pair: known", unseen="X-Helostat:"),
            "listed": Expect(True, seen=r"(?s)X-Helostat: helostat: listed many-families.*Warning: would be refused: helostat: listed many-families"),
            "suspect": Expect(True, seen="X-Helostat-Score: 11", unseen="X-Helostat:|Pair"),
            "unknown": Expect(True, unseen="X-Helostat"),
        },
        "reject": {
            "trusted": Expect(True, seen="X-Helostat-Pair: known", unseen="X-Helostat:"),
            "listed": Expect(False, r"^550 helostat: listed many-families"),
            "suspect": Expect(True, seen="X-Helostat-Score: 11", unseen="X-Helostat:|Pair"),
            "unknown": Expect(True, unseen="X-Helostat"),
        },
    }
    more = [
        ("warn", *world.CROWD_NAME, Expect(True, seen=r"X-Helostat: helostat: .*")),
        ("reject", *world.CROWD_NAME, Expect(False, r"^550 .*")),
        ("reject", *world.STEADY, Expect(True, seen="X-Helostat-Pair: known")),
        ("reject", *world.ALLOWED, Expect(True, seen="X-Helostat-Pair: known")),
        ("reject", *world.THIEF, Expect(True, unseen="X-Helostat-Pair")),
        ("reject", "2001:db8:99::99", "[IPv6:2001:db8:99::99]", Expect(True, unseen="X-Helostat")),
    ]

    def start(self):
        for folder in ("/var/log/exim4", "/var/spool/exim4"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            os.chown(folder, pwd.getpwnam("Debian-exim").pw_uid, pwd.getpwnam("Debian-exim").pw_gid)
        self.write("warn")
        self.stage.spawn("exim", ["/usr/sbin/exim4", "-C", "/etc/exim4.conf", "-bdf"])
        self.stage.wait("exim listens", lambda: listens(self.port))

    def write(self, mode):
        write("/etc/exim4.conf", CONF.replace("@ASK@", self.shipped(f"{mode}.acl")))

    def configure(self, mode):
        self.write(mode)
        self.stage.children["exim"].send_signal(signal.SIGHUP)
        time.sleep(0.5)
        self.stage.wait("exim listens again", lambda: listens(self.port))

    def visit(self, ip, name):
        mark = size(LOG)
        visit = super().visit(ip, name)
        if visit.taken:
            queue_id = re.search(r"id=(\S+)", visit.reply).group(1)
            self.stage.wait(f"exim delivers {queue_id}", lambda: MAILBOX.exists() and queue_id in MAILBOX.read_text())
            mail = next(mail for mail in re.split(r"^From ", MAILBOX.read_text(), flags=re.M) if queue_id in mail)
            # A header may be folded.
            visit.seen = re.sub(r"\n[ \t]+", " ", mail) + "\n"
        visit.seen += "\n".join(line for line in since(LOG, mark).splitlines() if f"[{ip}]" in line)
        return visit

"""Sendmail with the rules of ops/mta/sendmail."""

import os
import time
from pathlib import Path

from .program import Expect, Program, since, size
from .stage import listens, write

LOG = "/var/log/mail.log"

INCLUDE = "include(`/etc/mail/helostat.mc')"
MC = """
divert(0)dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `mx1.site.test')dnl
define(`confDEF_USER_ID', `nobody:nogroup')dnl
define(`confDONT_PROBE_INTERFACES', `true')dnl
define(`confTO_IDENT', `0')dnl
define(`confPRIVACY_FLAGS', `authwarnings,needmailhelo')dnl
define(`MAIL_SETTINGS_DIR', `/etc/mail/')dnl
define(`confPID_FILE', `/var/run/sendmail.pid')dnl
define(`STATUS_FILE', `/var/lib/sendmail.st')dnl
undefine(`ALIAS_FILE')dnl
undefine(`confRUN_AS_USER')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`accept_unresolvable_domains')dnl
DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr=127.0.0.1, Port=2535')dnl
DAEMON_OPTIONS(`Name=MTA6, Family=inet6, Addr=::1, Port=2535')dnl
LOCAL_DOMAIN(`site.test')dnl
define(`confDELIVERY_MODE', `queueonly')dnl
MAILER(`local')dnl
MAILER(`smtp')dnl
@ASK@
"""


class Sendmail(Program):
    """In queue-only mode: what it takes it keeps."""

    name, folder, port, log = "sendmail", "sendmail", 2535, LOG
    expect = {
        "warn": {
            "trusted": Expect(True, unseen="would.be.refused"),
            "listed": Expect(True, seen=r"would.be.refused:.*helostat:listed.many-families"),
            "suspect": Expect(True, unseen="would.be.refused"),
            "unknown": Expect(True, unseen="would.be.refused"),
        },
        "reject": {
            "trusted": Expect(True, unseen="reject="),
            "listed": Expect(False, r"^550 5\.7\.1 .*listed at bl\.rep\.example\.net: helostat: ?listed many-families", seen=r"reject=550 5\.7\.1 .*listed at bl\.rep\.example\.net"),
            "suspect": Expect(True, unseen="reject="),
            "unknown": Expect(True, unseen="reject="),
        },
    }

    def start(self):
        Path("/var/spool/mqueue").mkdir(mode=0o700, parents=True)
        for folder in ("/var/spool", "/var", "/etc/mail"):
            os.chmod(folder, 0o755)
        self.make("warn")
        self.spawn()

    def make(self, mode):
        write("/etc/mail/helostat.mc", self.shipped(f"{mode}.mc"))
        write("/etc/mail/sendmail.mc", MC.replace("@ASK@", INCLUDE))
        made = self.stage.run("m4", "-D_CF_DIR_=/usr/share/sendmail/cf/", "/usr/share/sendmail/cf/m4/cf.m4", "/etc/mail/sendmail.mc")
        write("/etc/mail/sendmail.cf", made)

    def spawn(self):
        self.stage.spawn("sendmail", ["/usr/libexec/sendmail/sendmail", "-C", "/etc/mail/sendmail.cf", "-bD", "-L", "sm-mta"])
        self.stage.wait("sendmail listens", lambda: listens(self.port))

    def configure(self, mode):
        self.make(mode)
        self.stage.end("sendmail")
        self.spawn()

    def visit(self, ip, name):
        mark = size(LOG)
        visit = super().visit(ip, name)
        time.sleep(0.3)
        visit.seen = "\n".join(line for line in since(LOG, mark).splitlines() if "sm-mta[" in line)
        return visit

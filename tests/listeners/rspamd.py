"""rspamd with the files of ops/mta/rspamd in its local.d; and OpenSMTPD, which asks this rspamd by its filter."""

import json
import os
import pwd
import re
import subprocess
import time
import urllib.request
from pathlib import Path

from . import world
from .program import LONG, Expect, Program, Visit
from .stage import Stuck, listens, write

LOG = "/var/log/rspamd/rspamd.log"

LOCAL = {
    "options.inc": """
dns { nameserver = ["127.0.0.1"]; }
disable_hyperscan = true;
# Every three seconds instead of every minute, so that the monitors are seen at work.
monitoring_watch_interval = 3s;
local_addrs = [127.0.0.0/8, ::1];
""",
    "logging.inc": """
type = "file"; filename = "/var/log/rspamd/rspamd.log"; level = "info"; debug_modules = ["monitored"];
""",
    "worker-normal.inc": 'bind_socket = "127.0.0.1:11333"; count = 2;',
    "worker-controller.inc": "enabled = false;",
    "worker-proxy.inc": "enabled = false;",
    "worker-fuzzy.inc": "enabled = false;",
    # It holds much against hosts whose names are not in the DNS, as here.
    "hfilter.conf": "enabled = false;",
    "actions.conf": "reject = 15; add_header = 6; greylist = 4;",
}


class Rspamd(Program):
    """Asked over HTTP, as a milter would."""

    name, folder, port = "rspamd", "rspamd", 11333
    expect = {
        "warn": {
            "trusted": Expect(True, seen=r"HELOSTAT_PAIR_STANDS=0 .*HELOSTAT_TRUSTED=0", unseen="HELOSTAT_(LISTED|SUSPECT)"),
            "listed": Expect(True, seen=r"HELOSTAT_LISTED=0"),
            "suspect": Expect(True, seen=r"HELOSTAT_SUSPECT=0", unseen="LISTED"),
            "unknown": Expect(True, unseen="HELOSTAT"),
        },
        "reject": {
            "trusted": Expect(True, seen=r"HELOSTAT_PAIR_STANDS=-0.5 .*HELOSTAT_TRUSTED=-2", unseen="HELOSTAT_(LISTED|SUSPECT)"),
            "listed": Expect(False, r"reject .*listed at bl\.rep\.example\.net", seen=r"HELOSTAT_LISTED=3.5 .*HELOSTAT_SUSPECT=2.5"),
            "suspect": Expect(True, seen=r"HELOSTAT_SUSPECT=2.5", unseen="LISTED"),
            "unknown": Expect(True, unseen="HELOSTAT"),
        },
    }
    more = [
        ("reject", *world.CROWD_NAME, Expect(True, seen=r"HELOSTAT_BAD_NAME=4")),
        ("reject", *world.THIEF, Expect(True, seen=r"HELOSTAT_NAME_OF_OTHERS=1.5")),
        ("reject", *world.RENAMED, Expect(True, seen=r"HELOSTAT_NEW_NAME=0.5 .*HELOSTAT_TRUSTED=-2")),
        ("reject", *world.BEGINNER, Expect(True, seen=r"HELOSTAT_KNOWN=-0.5 ")),
        ("reject", *world.FORWARDER, Expect(True, seen=r"HELOSTAT_TRUSTED=-2")),
        ("reject", *world.YOUNG_FORWARDER, Expect(True, seen=r"HELOSTAT_KNOWN=-0.5 ")),
        ("reject", *world.STEADY, Expect(True, seen=r"HELOSTAT_PAIR_STANDS=-0.5")),
        ("reject", *world.ALLOWED, Expect(True, seen=r"HELOSTAT_PAIR_STANDS=-0.5 .*HELOSTAT_TRUSTED=-2")),
    ]
    files = {"warn": ["rbl.conf"], "reject": ["rbl.conf", "rbl_group.conf", "force_actions.conf"]}

    def start(self):
        for folder in ("/var/log/rspamd", "/var/lib/rspamd", "/run/rspamd"):
            Path(folder).mkdir(exist_ok=True)
            os.chown(folder, pwd.getpwnam("_rspamd").pw_uid, pwd.getpwnam("_rspamd").pw_gid)
        for file, text in LOCAL.items():
            write(f"/etc/rspamd/local.d/{file}", text)
        self.write("warn")
        self.spawn()

    def write(self, mode):
        for file in self.files["reject"]:
            Path(f"/etc/rspamd/local.d/{file}").unlink(missing_ok=True)
        for file in self.files[mode]:
            write(f"/etc/rspamd/local.d/{file}", self.shipped(file))
        self.lint()

    def lint(self):
        """rspamd skips a rule that it does not understand, and says so here."""
        done = subprocess.run(["/usr/bin/rspamadm", "configtest"], env=self.stage.environment, capture_output=True, text=True)
        told = [line for line in (done.stdout + done.stderr).splitlines() if re.search("helostat|syntax BAD", line, re.I)]
        # Its own fuzzy servers cannot be found here.
        if any("helostat" in line.lower() for line in told):
            raise Stuck(f"rspamadm configtest: {told}")

    def spawn(self):
        self.stage.spawn("rspamd", ["/usr/bin/rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", "/etc/rspamd/rspamd.conf"])
        self.stage.wait("rspamd listens", lambda: listens(self.port))
        self.stage.wait("rspamd answers", self.answers)

    def answers(self):
        try:
            return self.visit("127.0.0.1", "localhost").taken
        except OSError:
            return False

    def configure(self, mode):
        self.write(mode)
        self.stage.end("rspamd")
        self.spawn()

    def monitors(self):
        """It asks each zone for a name that must not be there. Half of the looks of a minute are seen here."""
        def looks():
            return re.findall(r"dns callback for (\w+)\.rep\.example\.net in [\d.]+: (.*)", Path(LOG).read_text())

        zones = {"bl", "wl", "score", "ehlo", "pair"}
        self.stage.wait("rspamd has looked at all zones", lambda: {zone for zone, _ in looks()} == zones)
        bad = [look for look in looks() if look[1] != "no records with this name"]
        yield "rspamd: its monitors found nothing wrong", not bad, bad or f"{len(looks())} looks at {' '.join(sorted(zones))}"

    def visit(self, ip, name):
        began = time.monotonic()
        mail = (f"Received: from {name} ({name} [{ip}]) by mx1.site.test with ESMTP id 1; Sat, 28 Nov 2026 10:00:00 +0000\r\n"
                "From: <ada@sender.example>\r\nTo: <grace@site.test>\r\nSubject: hello\r\n"
                f"Date: Sat, 28 Nov 2026 10:00:00 +0000\r\nMessage-Id: <{began}@sender.example>\r\n\r\nHello, how are you?\r\n")
        headers = {"IP": ip, "Helo": name, "From": "ada@sender.example", "Rcpt": "grace@site.test", "Queue-Id": f"{began:.6f}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/checkv2", mail.encode(), headers)
        # Straight to this machine, whatever proxy the environment names.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=LONG) as answer:
            told = json.load(answer)
        took = time.monotonic() - began
        symbols = " ".join(f"{name}={about['score']:g}" for name, about in sorted(told["symbols"].items()) if "HELOSTAT" in name)
        said = " ".join([told["action"], *told.get("messages", {}).values()])
        return Visit(told["action"] != "reject", said, symbols + " ", took)


SMTPD_CONF = """
table takers { "grace@site.test" = "nobody" }
@FILTER@
listen on 127.0.0.1 port 2540 filter "rspamd"
listen on ::1 port 2540 filter "rspamd"
action "drop" mda "/bin/true" virtual <takers>
match from any for domain "site.test" action "drop"
"""


class OpenSmtpd(Program):
    """It knows nothing of helostat: rspamd does."""

    name, folder, port = "opensmtpd", "opensmtpd", 2540
    expect = {
        "warn": {name: Expect(True) for name in world.CLASSES},
        "reject": {
            "trusted": Expect(True),
            "listed": Expect(False, r"^5\d\d .*listed at bl\.rep\.example\.net"),
            "suspect": Expect(True),
            "unknown": Expect(True),
        },
    }
    files = {"warn": ["ask.conf"], "reject": ["ask.conf"]}

    def start(self):
        for folder in ("/var/spool/smtpd", "/var/empty", "/var/lib/opensmtpd/empty", "/var/mail"):
            Path(folder).mkdir(parents=True, exist_ok=True)
        os.chmod("/var/spool/smtpd", 0o711)
        shipped = [line for line in self.shipped("ask.conf").splitlines() if line.startswith("filter ")]
        write("/etc/smtpd.conf", SMTPD_CONF.replace("@FILTER@", "\n".join(shipped)))
        self.stage.spawn("smtpd", ["/usr/sbin/smtpd", "-F", "-f", "/etc/smtpd.conf"])
        self.stage.wait("smtpd listens", lambda: listens(self.port))

    def configure(self, mode):
        pass

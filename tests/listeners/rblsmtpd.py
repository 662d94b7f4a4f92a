"""rblsmtpd with the lines of ops/mta/rblsmtpd, as tcpserver runs it: one process for a connection."""

import shlex
import subprocess
import time

from .program import LONG, Expect, Program, Visit


class Rblsmtpd(Program):
    """What it runs in the end says 250; so 250 is mail that was taken."""

    name, folder = "rblsmtpd", "rblsmtpd"
    # It looks at nothing but four octets.
    versions = (4,)
    expect = {
        "warn": {
            "trusted": Expect(True),
            "listed": Expect(False, r"^451 helostat: listed many-families"),
            "suspect": Expect(True),
            "unknown": Expect(True),
        },
        "reject": {
            "trusted": Expect(True),
            "listed": Expect(False, r"^553 helostat: listed many-families", seen=r"rblsmtpd: \S+ pid \d+: 553 helostat: listed"),
            "suspect": Expect(True),
            "unknown": Expect(True),
        },
    }
    files = {"warn": ["later"], "reject": ["reject"]}

    def start(self):
        self.mode = "warn"

    def configure(self, mode):
        self.mode = mode

    def visit(self, ip, name):
        began = time.monotonic()
        line = shlex.split(self.shipped(*self.files[self.mode]))
        talk = f"EHLO {name}\r\nMAIL FROM:<ada@sender.example>\r\nRCPT TO:<grace@site.test>\r\nQUIT\r\n"
        done = subprocess.run([*line, "/bin/echo", "250 ok"], input=talk.encode(), capture_output=True, timeout=LONG,
                              env={**self.stage.environment, "PROTO": "TCP", "TCPREMOTEIP": ip})
        # As tcpserver's log.
        with open("/var/log/rblsmtpd.out", "ab") as log:
            log.write(done.stderr)
        replies = done.stdout.decode().splitlines()
        reply = next((reply for reply in replies if reply[:1] in "45"), replies[-1] if replies else "")
        return Visit(reply == "250 ok", reply, done.stderr.decode(), time.monotonic() - began)

"""SpamAssassin with the files of ops/mta/spamassassin."""

import re
import subprocess
import time
from pathlib import Path

from . import world
from .program import LONG, SHIPPED, Expect, Program, Visit
from .stage import write


class SpamAssassin(Program):
    """Once for each message, with Debian's rules and network tests. It refuses nothing; "taken" is what it does not call spam.

    Our mail has 0.8 points of its own, since its sender's domain does not exist.
    """

    name, folder = "spamassassin", "spamassassin"
    expect = {
        "warn": {
            "trusted": Expect(True, seen=r"HELOSTAT_PAIR_STANDS=-0 .*HELOSTAT_TRUSTED=-0 ", unseen="LISTED|SUSPECT"),
            "listed": Expect(True, seen=r"HELOSTAT_LISTED=0 "),
            "suspect": Expect(True, seen=r"HELOSTAT_SUSPECT=0 ", unseen="LISTED"),
            "unknown": Expect(True, unseen="HELOSTAT"),
        },
        "reject": {
            "trusted": Expect(True, seen=r"HELOSTAT_PAIR_STANDS=-0.3 .*HELOSTAT_TRUSTED=-1.5 ", unseen="LISTED|SUSPECT|OTHERS|MANY"),
            "listed": Expect(False, r"^Yes", seen=r"HELOSTAT_LISTED=2.5 .*HELOSTAT_MANY_NAMES=0.2 .*HELOSTAT_SUSPECT=2 "),
            "suspect": Expect(True, seen=r"HELOSTAT_SUSPECT=2 ", unseen="LISTED"),
            "unknown": Expect(True, unseen="HELOSTAT"),
        },
    }
    more = [
        ("reject", *world.CROWD_NAME, Expect(True, seen=r"HELOSTAT_BAD_NAME=3 ")),
        ("reject", *world.THIEF, Expect(True, seen=r"HELOSTAT_NAME_OF_OTHERS=1 ")),
        ("reject", *world.BEGINNER, Expect(True, seen=r"HELOSTAT_KNOWN=-0.3 ")),
        ("reject", *world.STEADY, Expect(True, seen=r"HELOSTAT_PAIR_STANDS=-0.3 ")),
    ]
    files = {"warn": ["helostat.cf"], "reject": ["helostat.cf", "helostat_scores.cf", "helostat_bits.cf"]}

    def start(self):
        self.configure("warn")
        self.stage.run("/usr/bin/spamassassin", "--lint", "-x")

    def configure(self, mode):
        for file in self.files["reject"]:
            Path(f"/etc/spamassassin/{file}").unlink(missing_ok=True)
        for file in self.files[mode]:
            write(f"/etc/spamassassin/{file}", (SHIPPED / self.folder / file).read_text())

    def visit(self, ip, name):
        began = time.monotonic()
        mail = (f"Received: from {name} ({name} [{ip}]) by mx1.site.test (Postfix) with ESMTP id 4B1 for <grace@site.test>; "
                "Sat, 28 Nov 2026 10:00:00 +0000 (UTC)\n"
                "From: <ada@sender.example>\nTo: <grace@site.test>\nSubject: hello\n"
                f"Date: Sat, 28 Nov 2026 10:00:00 +0000\nMessage-Id: <{began}@sender.example>\n\nHello, how are you?\n")
        done = subprocess.run(["/usr/bin/spamassassin", "-x", "-t"], input=mail, env=self.stage.environment, capture_output=True, text=True,
                              timeout=LONG)
        took = time.monotonic() - began
        head = done.stdout.partition("\n\n")[0]
        rules = re.findall(r"^ *\*? *(-?\d+\.\d+) (HELOSTAT\w+)", done.stdout, re.M)
        seen = " ".join(f"{rule}={float(score):g}" for rule, score in sorted({rule: score for score, rule in rules}.items()))
        status = re.search(r"X-Spam-Status: (.*?)\n\S", head, re.S)
        return Visit("X-Spam-Status: Yes" not in head, " ".join(status.group(1).split()) if status else done.stderr[-300:], seen + " ", took)

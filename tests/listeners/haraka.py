"""Haraka with its plugin dns-list and the files of ops/mta/haraka."""

import time
from pathlib import Path

from .program import Expect, Program, since, size
from .stage import listens, write

LOG = "/var/log/haraka.out"
CONFIG = {
    "smtp.ini": "listen=127.0.0.1:2545,[::1]:2545\nnodes=0\n",
    "log.ini": "[main]\nlevel=info\ntimestamps=true\n",
    "host_list": "site.test\n",
    "plugins": "delay_deny\ndns-list\nrcpt_to.in_host_list\nqueue/discard\n",
    "me": "mx1.site.test\n",
}


class Haraka(Program):
    """The one that is not from Debian."""

    name, folder, port, log = "haraka", "haraka", 2545, LOG
    expect = {
        "warn": {
            "trusted": Expect(True, seen=r"dns-list\] .*pass:.*wl\.rep\.example\.net"),
            "listed": Expect(True, seen=r"dns-list\] .*fail:.*bl\.rep\.example\.net"),
            "suspect": Expect(True, unseen="fail:"),
            "unknown": Expect(True, unseen="fail:"),
        },
        "reject": {
            "trusted": Expect(True),
            "listed": Expect(False, r"^550 .*is listed on bl\.rep\.example\.net"),
            "suspect": Expect(True),
            "unknown": Expect(True),
        },
    }
    files = {"warn": ["dns-list-warn.ini"], "reject": ["dns-list-reject.ini"]}

    def start(self):
        Path("/var/lib/haraka").mkdir()
        for file, text in CONFIG.items():
            write(f"/var/lib/haraka/config/{file}", text)
        default = self.stage.packages / "haraka/node_modules/Haraka/config/connection.ini"
        write("/var/lib/haraka/config/connection.ini", default.read_text())
        Path("/var/lib/haraka/node_modules").symlink_to(self.stage.packages / "haraka/node_modules")
        self.write("warn")
        self.spawn()

    def write(self, mode):
        write("/var/lib/haraka/config/dns-list.ini", self.shipped(f"dns-list-{mode}.ini"))

    def spawn(self):
        mark = size(LOG)
        haraka = self.stage.packages / "haraka/node_modules/.bin/haraka"
        self.stage.spawn("haraka", ["node", haraka, "-c", "/var/lib/haraka"], env={"YES_REALLY_DO_DISCARD": "1"})
        self.stage.wait("haraka listens", lambda: listens(self.port))
        self.stage.wait("haraka has looked at both zones", lambda: since(LOG, mark).count("enabling ") == 2)

    def configure(self, mode):
        self.write(mode)
        self.stage.end("haraka")
        self.spawn()

    def monitors(self):
        log = Path(LOG).read_text()
        yield "haraka: its look at our zones found nothing wrong", log.count("enabling ") == 4 and "disabling" not in log, "enabled twice"

    def recover(self, fault):
        # It would ask again at its next look, minutes later.
        if fault in ("silence", "killed"):
            self.configure("reject")

    def visit(self, ip, name):
        mark = size(LOG)
        visit = super().visit(ip, name)
        time.sleep(0.3)
        visit.seen = since(LOG, mark)
        return visit

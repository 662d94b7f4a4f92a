"""What the mail programs have in common: how a client visits one, and what is told of the visit."""

import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from . import stage as stages

SHIPPED = stages.TOP / "ops" / "mta"
# Longer than any of the waits that are measured here.
LONG = 150.0
# From linux/in6.h; Python has no name for it.
IPV6_FREEBIND = 78


@dataclass
class Visit:
    """What became of a message: the reply that decided, what else can be seen of it, and how long it took."""

    taken: bool
    reply: str
    seen: str = ""
    took: float = 0.0


@dataclass
class Expect:
    """What shall become of it. `reply` and `seen` are patterns; `unseen` is one that must not be there."""

    taken: bool
    reply: str = ""
    seen: str = ""
    unseen: str = ""

    def holds(self, visit):
        return (visit.taken == self.taken and re.search(self.reply, visit.reply)
                and re.search(self.seen, visit.seen) and not (self.unseen and re.search(self.unseen, visit.seen)))


class Program:
    """A mail program. Subclasses say how it starts, how it is told to warn or to refuse, and what is expected."""

    name = ""
    folder = ""
    versions = (4, 6)
    # By mode ("warn", "reject") and class of the client.
    expect = {}
    # Further clients: (mode, address, name, Expect).
    more = []
    port = 0
    # The log that helostat would read, if it shows refusals.
    log = ""
    # Nothing of this may be said of a client while answers fail.
    must_not_match = r"HELOSTAT_[A-Z_]+(?<!_FAIL)=|X-Helostat|would.be.refused|blocked using"

    def __init__(self, stage):
        self.stage = stage

    def shipped(self, *names):
        return "".join((SHIPPED / self.folder / name).read_text() for name in names)

    def start(self):
        raise NotImplementedError

    def configure(self, mode):
        raise NotImplementedError

    def visit(self, ip, name):
        return smtp(ip, name, self.port)

    def monitors(self):
        """Checks that it has no zone of ours switched off."""
        return []

    def forget(self):
        """Before a fault: nothing heard before may be remembered."""

    def recover(self, fault):
        """After a fault, where the program needs a push."""


def smtp(ip, name, port):
    """One message over SMTP from that address."""
    began = time.monotonic()
    server = "::1" if ":" in ip else "127.0.0.1"
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as plug:
        plug.settimeout(LONG)
        if ":" in ip:
            # An address that is routed here and on no interface may be taken only so.
            plug.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        plug.bind((ip, 0))
        plug.connect((server, port))
        wire = plug.makefile("rwb")

        def reply():
            lines = [wire.readline()]
            while lines[-1][3:4] == b"-":
                lines.append(wire.readline())
            # Exim folds long replies. The code once, then the text.
            return " ".join([lines[0][:3].decode(), *(line[4:].decode("utf-8", "replace").strip() for line in lines)])

        def say(text):
            wire.write(text.encode() + b"\r\n")
            wire.flush()
            return reply()

        try:
            answer = reply()
            body = f"From: <ada@sender.example>\r\nTo: <grace@site.test>\r\nSubject: hello\r\nMessage-Id: <{began}@sender.example>\r\n\r\nHello.\r\n."
            for good, text in [("220", f"EHLO {name}"), ("2", "MAIL FROM:<ada@sender.example>"), ("2", "RCPT TO:<grace@site.test>"),
                               ("2", "DATA"), ("354", body)]:
                if not answer.startswith(good):
                    break
                answer = say(text)
            taken = answer.startswith("250")
            took = time.monotonic() - began
            say("QUIT")
        except OSError as error:
            return Visit(False, f"no reply: {error}", took=time.monotonic() - began)
    return Visit(taken, answer, took=took)


def since(path, mark):
    path = Path(path)
    return path.read_bytes()[mark:].decode("utf-8", "replace") if path.exists() else ""


def size(path):
    path = Path(path)
    return path.stat().st_size if path.exists() else 0

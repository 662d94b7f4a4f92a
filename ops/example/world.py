"""The example Internet: population.json in; sessions, DNS answers and the zone file out.

Everything follows from population.json and its seed, so two runs play the same sessions. No clock, no sockets.

A host has: id, about, ip, names (what it says in EHLO, in turn), rdns (its reverse name or null), forward (names that
resolve to ip; default: its names and its reverse name), csa (weight of a CSA record for each name), dns_from and
dns_until (days on which its DNS stands; default always), sender, visits.
A visit rule has: days ("1-30", "1-30/2", "3,7"), weekdays (true: skip Saturday and Sunday), at (postfix, exim, both),
times (sessions a day), say (names for this rule), then (what becomes of it):
  accept    mail for a user who exists
  spam      the same, with a header that the content rule refuses
  blocked   the client is in the DNS list bl.site.test that day, and refused by it (if no rule before that refuses it)
  csa       refused because the name's publisher does not authorise this address (Exim checks that, Postfix cannot)
  helo      the server's own rules about EHLO arguments refuse it
  nouser    mail for a user who does not exist
  relay     mail for another site
  abort     the client vanishes within the message
  greylist  deferred, and accepted at the second attempt, eleven minutes later
"""

import ipaddress
import json
import random
from collections import namedtuple
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVERS = ("postfix", "exim")

Session = namedtuple("Session", "start day server host ip name sender then greylisted id")


def load(path=HERE / "population.json"):
    return json.loads(path.read_text())


def days_of(text):
    """The day numbers that "1-30/2" or "3,7,9-11" means, in order."""
    days = []
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        days.extend(range(int(first), int(last or first) + 1, int(step or 1)))
    return days


def date_of(world, day):
    return date.fromisoformat(world["first_day"]) + timedelta(days=day - 1)


def servers_of(rule):
    return SERVERS if rule["at"] == "both" else (rule["at"],)


def sessions(world):
    """Every session of the world in order of time, at least twenty seconds apart."""
    dice = random.Random(world["seed"])
    planned = []
    for host in world["hosts"]:
        turns = dict.fromkeys(SERVERS, 0)
        for day, rule, server in visits(world, host):
            names = rule.get("say", host["names"])
            midnight = datetime.combine(date_of(world, day), time(), timezone.utc)
            start = midnight + timedelta(seconds=dice.uniform(4 * 3600, 22 * 3600))
            session = Session(start, day, server, host["id"], host["ip"], names[turns[server] % len(names)], host["sender"],
                              rule["then"], False, None)
            turns[server] += 1
            planned.append(session)
            if rule["then"] == "greylist":
                planned[-1] = session._replace(greylisted=True)
                planned.append(session._replace(start=start + timedelta(minutes=11)))
    planned.sort(key=lambda session: session.start)
    spaced, free = [], None
    for number, session in enumerate(planned):
        start = max(session.start, free) if free else session.start
        free = start + timedelta(seconds=20)
        spaced.append(session._replace(start=start, id=f"{number:04d}.{dice.getrandbits(32):08x}"))
    return spaced


def visits(world, host):
    """(day, rule, server) of every session of a host, in order of days."""
    found = [
        (day, rule, server)
        for rule in host["visits"]
        for day in days_of(rule["days"])
        for server in servers_of(rule)
        for _ in range(rule.get("times", 1))
        if not (rule.get("weekdays") and date_of(world, day).weekday() >= 5)
    ]
    return sorted(found, key=lambda visit: visit[0])


def reverse_name(ip):
    return ipaddress.ip_address(ip).reverse_pointer + "."


def records(world, day):
    """The DNS of a day: {(owner, type): [rdata]}, owners lower case with a final dot."""
    found = {}

    def add(owner, kind, rdata):
        rdatas = found.setdefault((owner.lower(), kind), [])
        if rdata not in rdatas:
            rdatas.append(rdata)

    for host in world["hosts"]:
        if not host.get("dns_from", 1) <= day <= host.get("dns_until", world["days"]):
            continue
        kind = "AAAA" if ":" in host["ip"] else "A"
        own_names = [name for name in host["names"] if is_name(name)]
        for name in host.get("forward", own_names + [host["rdns"]]):
            if name:
                add(name + ".", kind, host["ip"])
        if host["rdns"]:
            add(reverse_name(host["ip"]), "PTR", host["rdns"] + ".")
        if "csa" in host:
            for name in own_names:
                add(f"_client._smtp.{name}.", "SRV", f"1 {host['csa']} 0 {name}.")
    return found


def is_name(text):
    """Whether an EHLO argument is a host name, and not a literal, an address or junk."""
    return "." in text and " " not in text and not text.replace(".", "").isdigit() and not text.startswith("[")


def scenery(world, day):
    """What the two servers need besides: their own names, and the block list of the day."""
    found = {(f"{name}.site.test.", "A"): ["127.0.0.1"] for name in ("mx1", "mx2")}
    for host in world["hosts"]:
        if any(rule["then"] == "blocked" and day in days_of(rule["days"]) for rule in host["visits"]):
            listed = reverse_name(host["ip"]).replace("in-addr.arpa.", "").replace("ip6.arpa.", "") + "bl.site.test."
            found[(listed, "A")] = ["127.0.0.2"]
    return found


def zone_text(world):
    """The zone file: the DNS as it stands on the last day."""
    lines = [
        "; The DNS of the invented hosts as it stands on the last day. Every TTL is 3600.",
        "; Made from population.json by make-logs: do not edit.",
    ]
    for (owner, kind), rdatas in records(world, world["days"]).items():
        lines += [f"{owner} {kind} {rdata}" for rdata in rdatas]
    return "\n".join(lines) + "\n"

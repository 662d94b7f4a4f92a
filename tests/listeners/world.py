"""The clients of the test, their past as a Postfix log, and their DNS.

IPv6 addresses and names lie in documentation space. IPv4 addresses are those for benchmarks (198.18.0.0/15), since Haraka
takes documentation space for private and asks nobody. `log()` writes the past, ending yesterday; `zone()` the DNS as lines for Unbound.
Which class each client has is not said here but asked of helostat, before any mail program is.
"""

from datetime import datetime, timedelta, timezone

# Who comes: address and EHLO name, by class and version of IP.
TRUSTED = {4: ("198.18.10.10", "mail.example.com"), 6: ("2001:db8:10::25", "mail.example.net")}
LISTED = {4: ("198.19.130.130", "host.example.eu"), 6: ("2001:db8:bad::130", "host.example.eu")}
SUSPECT = {4: ("198.19.60.60", "winpc"), 6: ("2001:db8:60::60", "winpc")}
UNKNOWN = {4: ("198.19.99.99", "mail.example.org"), 6: ("2001:db8:99::99", "mail.example.org")}
CLASSES = {"trusted": TRUSTED, "listed": LISTED, "suspect": SUSPECT, "unknown": UNKNOWN}

NETWORKS = {4: "198.18.0.0/15", 6: "2001:db8::/32"}

# Others, for the answers that those do not get.
STEADY = ("198.18.20.20", "smtp.example.jp")        # stands, and the DNS says nothing of it
ALLOWED = ("198.18.30.30", "mail.example.at")       # the operator allows it
RENAMED = ("198.18.20.20", "other.example.dk")      # a new name on the client that stands
THIEF = ("198.19.98.98", "mail.example.com")      # a name that stands elsewhere
CROWD_NAME = ("198.19.97.97", "ylmf-pc")          # a name that bots everywhere say
BEGINNER = ("198.18.40.40", "mail.example.fr")    # known, and not trusted yet
FORWARDER = ("198.18.50.50", "relay.example.ch")  # steady, and some of what it passes on is refused
YOUNG_FORWARDER = ("198.18.60.60", "relay.example.cl")
HOSTS = [FORWARDER, YOUNG_FORWARDER, STEADY, ALLOWED, RENAMED, THIEF, CROWD_NAME, BEGINNER]

FAMILIES = ("example.eu", "example.pl", "example.fi", "example.be", "example.it", "example.nl", "example.se", "example.no",
            "example.dk", "example.cz")
# What they would say to be refused by another list; see the weights of postscreen.
OTHER_LIST = "bl.other.example"
ON_OTHER_LIST = [TRUSTED[4][0], SUSPECT[4][0], UNKNOWN[4][0]]


def log():
    """Postfix' log of the past thirty days."""
    today = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    sessions = []
    for days_ago in range(1, 31):
        for at, (ip, name) in enumerate((*TRUSTED.values(), STEADY, FORWARDER)):
            sessions.append((days_ago, 8 + at, ip, name, "accepted"))
    sessions += [(days_ago, 12, *FORWARDER, "refused") for days_ago in range(1, 8)]
    sessions += [(days_ago, 13 + at, *YOUNG_FORWARDER, "accepted") for days_ago in (1, 2, 3, 4) for at in range(4)]
    sessions += [(days_ago, 13, *YOUNG_FORWARDER, "refused") for days_ago in (1, 2, 3, 4)]
    sessions += [(days_ago, 11, *BEGINNER, "accepted") for days_ago in (1, 1, 2, 3, 4, 5)]
    for turn, days_ago in enumerate(range(1, 11)):
        for at, (ip, _) in enumerate(LISTED.values()):
            sessions.append((days_ago, 12 + at, ip, f"host.{FAMILIES[turn]}", "refused"))
    for at, (ip, name) in enumerate(SUSPECT.values()):
        sessions.append((3, 14 + at, ip, name, "refused"))
    for number in range(40):
        sessions.append((1 + number % 9, 16, f"198.19.{200 + number}.7", CROWD_NAME[1], "refused"))
    lines = []
    for number, (days_ago, hour, ip, name, outcome) in enumerate(sorted(sessions, reverse=True)):
        stamp = (today - timedelta(days=days_ago) + timedelta(hours=hour, seconds=number % 3000)).isoformat(timespec="microseconds")
        client, queue_id = f"unknown[{ip}]", f"{number + 1:011X}"
        whose = f"from=<ada@sender.example> to=<grace@site.test> proto=ESMTP helo=<{name}>"
        smtpd = f"smtpd[{number + 100}]"
        said = [(smtpd, f"connect from {client}")]
        if outcome == "accepted":
            said += [
                (smtpd, f"{queue_id}: client={client}"),
                (smtpd, f"{queue_id}: info: END-OF-MESSAGE from {client}: ; {whose}"),
                ("qmgr[30]", f"{queue_id}: from=<ada@sender.example>, size=1067, nrcpt=1 (queue active)"),
                (smtpd, f"disconnect from {client} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"),
            ]
        else:
            said += [
                (smtpd, f"NOQUEUE: reject: RCPT from {client}: 550 5.1.1 <grace@site.test>: Recipient address rejected: "
                        f"User unknown in local recipient table; {whose}"),
                (smtpd, f"disconnect from {client} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"),
            ]
        lines += [(stamp, f"{stamp} mx1 postfix/{program}: {text}\n") for program, text in said]
    return "".join(line for _, line in sorted(lines, key=lambda line: line[0]))


def zone():
    """Resource records of the clients, as `owner TTL IN TYPE data`."""
    (ip4, name4), (ip6, name6) = TRUSTED[4], TRUSTED[6]
    records = [
        f"{name4}. 3600 IN A {ip4}",
        f"{reversed_ip(ip4)}.in-addr.arpa. 3600 IN PTR {name4}.",
        f"{name6}. 3600 IN AAAA {ip6}",
        f"{reversed_ip(ip6)}.ip6.arpa. 3600 IN PTR {name6}.",
        # The publisher of this name says in CSA which address it has.
        f"_client._smtp.{name6}. 3600 IN SRV 1 2 0 {name6}.",
    ]
    records += [f"{reversed_ip(ip)}.{OTHER_LIST}. 60 IN A 127.0.0.2" for ip in ON_OTHER_LIST]
    return records


def reversed_ip(ip):
    if ":" in ip:
        groups = ip.split("::")
        left = groups[0].split(":")
        right = groups[1].split(":") if len(groups) > 1 and groups[1] else []
        full = left + ["0"] * (8 - len(left) - len(right)) + right
        return ".".join(reversed("".join(group.zfill(4) for group in full)))
    return ".".join(reversed(ip.split(".")))

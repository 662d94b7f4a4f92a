"""What docs/mta.md and docs/mta/*.md say, held against ops/mta/ and against what happened here.

The word behind the three backticks of a code block says what it is: a file of ops/mta/, which it must be to the letter;
`log`, lines that a program wrote here, but for numbers, times and queue ids; `mc`, a line of our sendmail.mc; `sh`, a
command that answers here as the page says. Anything else is an error.
"""

import re
import subprocess

from . import sendmail
from .stage import ORIGIN, TOP

HUB = TOP / "docs" / "mta.md"
PAGES = TOP / "docs" / "mta"
SHIPPED = TOP / "ops" / "mta"
# The other half of ops/mta: what makes an MTA tell helostat.
NOT_ASKING = {"exchange", "hmailserver", "mailenable", "rsyslog"}


def unbound():
    """The resolver's lines, as docs/mta.md has them."""
    blocks = re.findall(r"^```\n(.*?)^```$", HUB.read_text(), re.M | re.S)
    return next(block for block in blocks if block.startswith("# /etc/unbound/"))


def check_blocks(logs, without):
    """Yields a check for each code block of the pages, but those of programs that are not here."""
    seen = {plain(line) for path in sorted(logs.rglob("*")) if path.is_file() for line in path.read_text(errors="replace").splitlines()}
    quoted = set()
    for page in (page for page in sorted(PAGES.glob("*.md")) if page.stem not in without):
        for kind, block in re.findall(r"^```([^\n]*)\n(.*?)^```$", page.read_text(), re.M | re.S):
            what = f"docs/mta/{page.name}: {kind or 'a block'}"
            if kind.startswith("ops/mta/") and (TOP / kind).is_file():
                quoted.add(kind)
                yield what, (TOP / kind).read_text() == block, "is the shipped file" if (TOP / kind).read_text() == block else block
            elif kind == "log":
                for line in block.splitlines():
                    found = any(plain(line) in told for told in seen)
                    yield f"{what}: was seen", found, line
            elif kind == "sh":
                for line in block.splitlines():
                    done = subprocess.run(line.split(), capture_output=True, text=True)
                    yield f"{what}: {line}", done.stdout == "127.0.0.2\n", done.stdout + done.stderr
            elif kind == "mc":
                yield what, block.strip() in sendmail.MC.replace("@ASK@", sendmail.INCLUDE), block
            else:
                yield what, False, f"is not known here: {block}"
    # What a page does not quote it must name.
    for file in asking(without):
        page = PAGES / f"{file.parent.name}.md"
        named = str(file.relative_to(TOP)) in quoted or f"ops/mta/{file.relative_to(SHIPPED)}" in page.read_text()
        yield f"docs/mta/{page.name} has {file.name}", named, ""


def plain(line):
    """A line without what differs from run to run: stamps, numbers, queue ids and those of sessions."""
    line = re.sub(r"\b\d{4}-\d\d-\d\d[T .]\d\d:\d\d:\d\d[\d.Z]*", "TIME", line)
    line = re.sub(r"sm-mta\[\d+\]: \w+:", "sm-mta[N]: ID:", line)
    line = re.sub(r"(\[198\.\d+\.\d+\.\d+\]|\b198\.\d+\.\d+\.\d+\b)(:\d+)?", lambda found: found.group(1) + (":N" if found.group(2) else ""), line)
    return re.sub(r"(smtpd\[|postscreen\[|pid )\d+", r"\1N", line)


def asking(without):
    """The files of ops/mta/ that ask."""
    folders = NOT_ASKING.union(without)
    found = [file for file in sorted(SHIPPED.glob("*/*")) if file.parent.name not in folders and file.suffix != ".md"]
    return [file for file in found if ORIGIN in file.read_text() or file.name == "ask.conf"]


# A value with a set or a range in it: 127.0.[4..9].[2..3], or as regular expressions have it, 127\.0\.[4-9]\.[23].
VALUE = re.compile(r"127(?:\\?\.(?:\d+|\[[\d.\-]+\]|\(\?:[^)]*\))){3}")


def check_codes(stage, without):
    """Yields a check for each file: every zone in it was asked by somebody, every value was an answer here."""
    questions = {name.lower() for name, _ in stage.questions()}
    zones = {zone: [name for name in questions if name.endswith(f".{zone}.{ORIGIN}")] for zone in
             ("bl", "wl", "score", "bits", "ehlo", "pair", "fp")}
    answers = {answer for names in zones.values() for name in names for answer in stage.ask(name)[1]}
    for file in asking(without):
        text = "\n".join(line for line in file.read_text().splitlines() if not re.match(r"#|dnl ", line))
        unasked = [zone for zone in set(re.findall(rf"\b(\w+)\.{re.escape(ORIGIN)}", text)) if not zones.get(zone)]
        unseen = []
        for group in groups(VALUE.findall(text)):
            pattern = "|".join(map(as_pattern, group))
            if not any(re.fullmatch(pattern, answer) for answer in answers):
                unseen.append(" ".join(group))
        yield f"ops/mta/{file.relative_to(SHIPPED)}: all its zones and values were seen", not unasked and not unseen, f"{unasked} {unseen}"


def groups(values):
    """Values that follow one another by one are a range that is written out: 127.0.4.0, 127.0.4.1, ..."""
    found = []
    for value in values:
        before, _, last = value.rpartition(".")
        if found and last.isdigit() and found[-1][-1] == f"{before}.{int(last) - 1}":
            found[-1].append(value)
        else:
            found.append([value])
    return found


def as_pattern(value):
    """A regular expression for a value as one of the programs writes it."""
    value = re.sub(r"\[(\d+)\.\.(\d+)\]", lambda span: "(?:" + "|".join(map(str, range(int(span[1]), int(span[2]) + 1))) + ")", value)
    return value if "\\" in value else value.replace(".", r"\.")


def check_weights(seen, without):
    """Yields a check for each file of weights: each symbol or rule was given, with just that weight."""
    for program, file, line in (
        ("rspamd", "rspamd/rbl_group.conf", r'"(HELOSTAT_\w+)" \{ weight = (-?[\d.]+);'),
        ("spamassassin", "spamassassin/helostat_scores.cf", r"score +(HELOSTAT_\w+) +(-?[\d.]+)"),
        ("spamassassin", "spamassassin/helostat_bits.cf", r"score +(HELOSTAT_\w+) +(-?[\d.]+)"),
    ):
        if program in without:
            continue
        given = set(" ".join(seen.get(program, [])).split())
        wanted = {f"{name}={float(weight):g}" for name, weight in re.findall(line, (SHIPPED / file).read_text())}
        yield f"ops/mta/{file}: each weight was given", wanted and wanted <= given, " ".join(sorted(wanted - given)) or " ".join(sorted(wanted))


def check_waits(waits, without):
    """Yields a check for each program: nobody waited longer than the table of docs/mta.md says."""
    table = dict(re.findall(r"^\| (\w+) \|((?: \d+ s \|){3})$", HUB.read_text(), re.M))
    yield "docs/mta.md has a wait for every program", set(table) - set(without) == waits.keys(), f"{sorted(table)}"
    for program, told in table.items():
        if program in without:
            continue
        quick, silence, killed = (int(word) for word in re.findall(r"\d+", told))
        seen = waits.get(program, {})
        most = {"REFUSED": quick, "SERVFAIL": quick, "silence": silence, "killed": killed}
        good = all(seen.get(fault, 0) <= limit for fault, limit in most.items())
        yield f"{program}: waited no longer than docs/mta.md says", good, f"{ {fault: round(took, 1) for fault, took in seen.items()} } of {most}"

"""Fits the points of [policy] to labelled mail. `tests/calibrate --fit` runs it; docs/calibration.md tells what it does.

In go feeds as tests/calibrate makes them; `helostat replay --measures` tells what was measured of each message, and two
policies at the ends of the scale tell what points cannot change. Everything after that is arithmetic: the same
archives give the same numbers. Needs numpy.
"""
import csv, json, multiprocessing, os, subprocess, sys

import numpy as np

SPREAD, MIDDLE = 25, 20  # The score's curve, as in zones/src/rules.rs.
AWAY = 0.01  # What each point weighs by which the search leaves its beginning.
TURNS = 25  # How often the search begins anew.
# Points that these archives say nothing of stay as they are shipped: nothing was refused there.
HELD = {"points-refused"}
# Nobody reaches `known` by points, and points list nobody; everybody reaches it. What is blamed on others must weigh something.
GATES = [("never", "known-points = 100\ntrusted-points = 100\nsuspect-points = -100\nlisted-points = -100\n"),
         ("ever", "known-points = -100\ntrusted-points = -100\nsuspect-points = -100\nlisted-points = -100\n")]
# Where a reverse name tells the label, because one archive has them and the other has not: measured, not fitted.
TELLING = {"modern", "modern marked"}
# The most that a number may be where one sign alone must neither list a newcomer nor make it known. A name made for a
# range, and one that ends in no domain, list by themselves.
MOST = {"points-same-family": 40, "points-reverse-agrees": 30, "points-reverse-named": 20, "points-single": 20,
        "points-reserved": 20, "points-own-literal": 20, "points-unusable": 20, "points-second-family": 20}
BLAME = ["points-crowd", "points-traps", "points-trap-share"]


class Feed:
    """What was measured of each message of a feed, what it was, and what points cannot change."""

    def __init__(self, program, folder, path, keys, options):
        policies = []
        for name, text in GATES:
            policy = os.path.join(folder, name + ".toml")
            with open(policy, "w") as file:
                file.write(text + "".join(f"{key} = {-1 if key in BLAME else 0}\n" for key in keys))
            policies += ["--policy", policy]
        lines = os.path.join(folder, "measures.csv")
        done = subprocess.run([program, "replay", "--json", *policies, "--per-message", lines, "--measures", *options, path],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        with open(path, newline="") as file:
            is_spam = {row["seq"]: row["label"] == "spam" for row in csv.DictReader(file)}
        measures, marks, self.time, self.site, seen = [], [], [], [], set()
        with open(lines, newline="") as file:
            rows = csv.reader(file)
            at = {name: place for place, name in enumerate(next(rows))}
            first = at[keys[0]]
            for row in rows:
                never, ever = row[at["class"]], row[at["class_2"]]
                voice = (row[at["site"]], row[at["ip"]], row[at["name"]], row[at["time"]][:10])
                marks.append((is_spam[row[0]], voice not in seen, never in ("trusted", "known"), ever in ("trusted", "known"),
                              never in ("new", "listed"), never == "listed", row[at["crowded"]] == "1"))
                seen.add(voice)
                measures.append(np.array(row[first:first + len(keys)], dtype=np.float32))
                self.time.append(row[at["time"]][:10])
                self.site.append(row[at["site"]])
        os.remove(lines)
        # Ham first, so that either is a slice.
        order = np.argsort([mark[0] for mark in marks], kind="stable")
        self.measures = np.array(measures)[order]
        self.time, self.site = np.array(self.time)[order], np.array(self.site)[order]
        self.spam, self.once, self.always, self.may, newcomer, self.ruled, crowded = np.array(marks)[order].T
        self.newcomer = newcomer
        # What lists a newcomer: not a crowd that is none yet, nor what its neighbours sent to traps, nor a name said
        # everywhere by who has a reverse name of its own.
        self.measures = np.asfortranarray(self.measures)
        self.held = self.measures.copy(order="F")
        column = {key: self.measures[:, place] for place, key in enumerate(keys)}
        own = (column["points-reverse-agrees"] > 0) | (column["points-reverse-named"] > 0)
        for key, excused in (("points-crowd", ~crowded), ("points-trap-share", column["points-traps"] == 0),
                             ("points-name-networks", own)):
            self.held[excused, keys.index(key)] = 0
        self.held[:, keys.index("points-refused")] = 0

    def part(self, rows):
        """These messages alone."""
        part = object.__new__(Feed)
        part.__dict__ = {name: np.asfortranarray(values[rows]) for name, values in self.__dict__.items()}
        return part


def auc(ham, spam):
    """The AUC of the score from 0 to 100."""
    def bins(sums):
        return np.bincount(np.rint(100 / (1 + np.exp((MIDDLE - sums) / SPREAD))).astype(np.int8), minlength=101)
    good, bad = bins(ham), bins(spam)
    return float((good * (np.cumsum(bad) - bad / 2)).sum() / max(1, bad.sum() * good.sum()))


def share(what):
    return 100 * np.count_nonzero(what) / max(1, len(what))


class Trial:
    """Numbers and the sums they make of every message, so that one of them can be moved without summing anew."""

    def __init__(self, feeds, points, known, listed):
        self.feeds, self.points, self.known, self.listed = feeds, list(points), known, listed
        self.begun = list(points)
        weights = np.array(points, dtype=np.float32)
        self.sums = {name: (feed.measures @ weights, feed.held @ weights) for name, feed in feeds.items()}

    def move(self, place, by):
        self.points[place] += by
        for name, (total, held) in self.sums.items():
            total += by * self.feeds[name].measures[:, place]
            held += by * self.feeds[name].held[:, place]

    def figures(self, name, once, ranked=True):
        """AUC; trusted or known: ham and spam; listed: ham and spam. Shares in percent."""
        feed, (total, held) = self.feeds[name], self.sums[name]
        known = feed.always | (feed.may & (total >= self.known - 0.001))
        listed = ~known & feed.newcomer & (feed.ruled | (held <= self.listed + 0.001))
        if once:
            ham, spam = feed.once & ~feed.spam, feed.once & feed.spam
        else:
            middle = len(total) - np.count_nonzero(feed.spam)
            ham, spam = slice(middle), slice(middle, None)
        rank = auc(total[ham], total[spam]) if ranked else None
        return (rank, share(known[ham]), share(known[spam]), share(listed[ham]), share(listed[spam]))

    def loss(self):
        """What is to be small; docs/calibration.md tells it in words."""
        loss = 0
        for name, feed in self.feeds.items():
            if not feed.spam.any() or feed.spam.all():
                continue
            rank, ham_known, spam_known, ham_listed, spam_listed = self.figures(name, False, "marked" not in name and name not in TELLING)
            site = "TREC" if "TREC" in name else "modern"
            if name in TELLING:
                # But an honest message is listed or not, whatever the others look like.
                loss += short(GOALS[site, "listed"], ham_listed, 100)
                continue
            if "marked" not in name:
                loss += 100 * (1 - rank) + 900 * max(0, AUC_GOALS[site] - rank) + short(GOALS[site, "listed"], ham_listed, spam_listed)
            if site == "TREC":
                _, ham_known, spam_known, _, _ = self.figures(name, True, False)
            if "marked" in name or site == "TREC":
                loss += short(GOALS[site, "known"], ham_known, spam_known)
        return loss + AWAY * sum(abs(one - other) for one, other in zip(self.points, self.begun))


# Goals, a little inside of what is promised: ham and spam in percent, what one percent of each weighs, and how many
# times as much where the goal is not reached.
GOALS = {("TREC", "known"): (91, 2.4, -0.1, 0.4, 10), ("modern", "known"): (90, 5.5, -0.1, 0.2, 10),
         ("TREC", "listed"): (0.01, 36.5, 10, -0.02, 50), ("modern", "listed"): (0.0095, 12.4, 10, -0.02, 50)}
AUC_GOALS = {"TREC": 0.988, "modern": 0.952}


def short(goal, ham, spam):
    """What is left to be better."""
    *goal, times = goal
    loss = 0
    for aim, weight, value in ((goal[0], goal[2], ham), (goal[1], goal[3], spam)):
        best = 0 if weight > 0 else 100
        loss += weight * (value - best) + (times - 1) * max(0, weight * (value - aim))
    return loss


def regression(feeds, signs, held, penalty=1e-3):
    """Logistic regression with signs held, by Newton's method and coordinate descent; ham and spam of each feed weigh alike."""
    measures, spam, weights = [], [], []
    for name, feed in feeds.items():
        if name in TELLING:
            continue
        for rows in ([slice(None), feed.once] if "TREC" in name else [slice(None)]):
            part, mass = feed.spam[rows], np.empty(len(feed.spam[rows]))
            for label in (True, False):
                mass[part == label] = 0.5 / max(1, (part == label).sum())
            measures.append(feed.measures[rows]), spam.append(part), weights.append(mass)
    x = np.hstack([np.vstack(measures), np.ones((sum(map(len, spam)), 1), dtype=np.float32)])
    y, weights = 1.0 - np.concatenate(spam), np.concatenate(weights)
    free = [place for place in range(len(signs)) if place not in held]
    at = np.zeros(len(signs) + 1)
    at[list(held)] = [value / 10 for value in held.values()]
    ridge = np.append(np.full(len(signs), penalty), 0)
    for _ in range(25):
        chance = 1 / (1 + np.exp(-(x @ at)))
        slope = x.T @ (weights * (chance - y)) + ridge * at
        bend = (x * (weights * np.maximum(chance * (1 - chance), 1e-4))[:, None]).T @ x + np.diag(ridge + 1e-9)
        goal = at.copy()
        for _ in range(100):
            for place in free + [len(signs)]:
                pull = slope[place] + bend[place] @ (goal - at)
                goal[place] -= pull / bend[place, place]
                if place < len(signs):
                    goal[place] = max(goal[place], 0) if signs[place] > 0 else min(goal[place], 0)
        moved = np.abs(goal - at).max()
        at = at + (goal - at) * min(1, 2 / max(moved, 1e-9))
        if moved < 1e-4:
            break
    return 10 * at[:-1]


def search(trial, keys, signs, held, steps=(16, 10, 6, 3, 2, 1)):
    """Moves one number at a time, as long as that makes the loss smaller by more than a trifle."""
    best = trial.loss()
    for by in steps:
        better = True
        while better:
            better = False
            for place, step in ((place, step) for place in range(len(keys)) if place not in held for step in (by, -by)):
                least = 1 if keys[place] in BLAME else 0
                most = MOST.get(keys[place], 60)
                while least <= (trial.points[place] + step) * signs[place] <= most:
                    trial.move(place, step)
                    loss = trial.loss()
                    if loss > best - 0.01:
                        trial.move(place, -step)
                        break
                    best, better = loss, True
    return best


def searched(feeds, begin, thresholds, keys, signs, held):
    """The best that is found from these points on."""
    trial = Trial(feeds, begin, *thresholds)
    best, found = search(trial, keys, signs, held), list(trial.points)
    # What moving one number at a time cannot reach: three of them moved at random, and searched again from there.
    random = np.random.default_rng(1)
    free = [place for place in range(len(keys)) if place not in held]
    for _ in range(TURNS):
        points = list(found)
        for place in random.choice(free, 3, replace=False):
            by = int(random.integers(-16, 17))
            points[place] = within(points[place] * signs[place] + by, keys[place]) * signs[place]
        trial = Trial(feeds, points, *thresholds)
        trial.begun = begin
        loss = search(trial, keys, signs, held, (2, 1))
        if loss < best:
            best, found = loss, list(trial.points)
    return found


def within(size, key):
    return min(max(size, key in BLAME), MOST.get(key, 60))


def fit(feeds, shipped, thresholds, keys):
    """Two fits, in whole points: from nothing, that is from a regression; and from what is shipped."""
    signs = [1 if value > 0 else -1 for value in shipped]
    held = {place: shipped[place] for place, key in enumerate(keys) if key in HELD}
    odds = regression(feeds, signs, held)
    starts = []
    for scale in np.arange(0.3, 3.01, 0.1):
        points = [int(round(scale * abs(value))) for value in odds]
        points = [signs[place] * within(size, keys[place]) for place, size in enumerate(points)]
        points = [held.get(place, value) for place, value in enumerate(points)]
        starts.append((Trial(feeds, points, *thresholds).loss(), points))
    more = (thresholds, keys, signs, held)
    return searched(feeds, min(starts)[1], *more), searched(feeds, shipped, *more)


def rows_left_out(feed, what):
    """The messages of a site, or of a time."""
    return np.char.startswith(feed.time, what) if what[0].isdigit() else np.isin(feed.site, what.split())


def judged_with(feed, out):
    """Those left out; where they are all of one sort, beside all of the other sort."""
    if not out.any() or (feed.spam[out].any() and not feed.spam[out].all()):
        return out
    return out | (feed.spam != feed.spam[out][0])


# What is left out, and what it is called.
FOLDS = [("uwaterloo.ca", "the site of TREC"), ("2007-04", "TREC's April"), ("2007-05", "TREC's May"),
         ("vger.kernel.org", "the lists of vger"), ("linux.it", "... of ltp"), ("lists.ozlabs.org", "... of ozlabs"),
         ("outlook.com gmail.com", "the phishing"), ("2022", "2022"), ("2023", "2023"), ("2024", "2024")]


def figures(trial, plain):
    """The figures of a page's row: of TREC, or of the modern feed with or without reverse names."""
    names = {"TREC": ("TREC", "TREC", True), "late": ("TREC late", "TREC late", True),
             "modern": ("modern", "modern marked", False), "plain": ("modern plain", "modern plain marked", False)}
    of_all, of_known, once = names[plain]
    every, known = trial.figures(of_all, False), trial.figures(of_known, once)
    return every[0], known[1], known[2], every[3], every[4]


def told(of):
    return f"{of[0]:.4f} | {of[1]:.1f}% / {of[2]:.2f}% | {of[3]:.3f}% / {of[4]:.1f}%"


def left_out(job):
    """Both fits without a part, measured on it."""
    (feeds, shipped, thresholds, keys), (what, name) = WORK, job
    kept, left = {}, {}
    for feed_name, feed in feeds.items():
        out = rows_left_out(feed, what)
        kept[feed_name] = feed.part(~out) if out.any() else feed
        if out.any():
            left[feed_name] = feed.part(judged_with(feed, out))
    kept = {feed_name: feed for feed_name, feed in kept.items() if feed.spam.any() and not feed.spam.all()}
    trials = [Trial(left, points, *thresholds) for points in (shipped, *fit(kept, shipped, thresholds, keys))]
    rows = [(name, view, [figures(trial, view) for trial in trials])
            for view, base in BASES.items() if base in left]
    return rows, [trial.loss() for trial in trials]


BASES = {"TREC": "TREC", "late": "TREC late", "modern": "modern", "plain": "modern plain"}


def crossed(feeds, shipped, thresholds, keys, say):
    """The same for each part in turn, two at a time."""
    global WORK
    WORK, rows, losses = (feeds, shipped, thresholds, keys), [], []
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for more, loss in pool.imap(left_out, FOLDS):
            rows += more
            losses.append(loss)
            for name, view, of in more:
                say(" || ".join([name, view, *map(told, of)]))
            say(f"{more[0][0]}: loss " + ", ".join(f"{one:.2f}" for one in loss))
    return rows, losses


def toml(points, keys):
    return "".join(f"{key} = {value}\n" for key, value in zip(keys, points))


def agrees(program, folder, path, keys, points, options, found):
    """Looks whether the program itself comes to the figures that were found here."""
    policy = os.path.join(folder, "fitted.toml")
    with open(policy, "w") as file:
        file.write(toml(points, keys))
    done = subprocess.run([program, "replay", "--json", "--policy", policy, *options, path], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    of = json.loads(done.stdout)["policies"][0]["labels"]["all"]
    known, listed = of["trusted_or_known"], of["listed"]
    shares = [100 * part for part in (known["ham_share"], known["spam_share"], listed["ham_share"], listed["spam_share"])]
    # The program adds in another order, so a sum that is right at a threshold may fall on its other side.
    if abs(of["auc_of_score"] - found[0]) > 0.0002 or any(abs(one - other) > 0.25 for one, other in zip(shares, found[1:])):
        sys.exit(f"fit: the program says {of['auc_of_score']:.4f} {shares}, the fit {found}: it is not the same arithmetic any more")


def run(program, folder, feeds, shipped, thresholds, say=lambda text: print(text, file=sys.stderr, flush=True)):
    """Fits; gives back the numbers that were moved, as a policy file, and the tables of the page.

    `feeds` are (name, path, options).
    """
    keys, shipped = list(shipped), list(shipped.values())
    measured = {}
    for name, path, options in feeds:
        measured[name] = Feed(program, folder, path, keys, options)
        say(f"{name}: {len(measured[name].spam)} messages measured")
    nothing, moved = fit(measured, shipped, thresholds, keys)
    trials = [Trial(measured, points, *thresholds) for points in (shipped, nothing, moved)]
    for name, path, options in feeds:
        agrees(program, folder, path, keys, moved, options, trials[2].figures(name, False))
    whole = [(view, [figures(trial, view) for trial in trials]) for view in BASES]
    for view, of in whole:
        say(" || ".join(["everything", view, *map(told, of)]))
    say("everything: loss " + ", ".join(f"{trial.loss():.2f}" for trial in trials))
    rows, losses = crossed(measured, shipped, thresholds, keys, say)
    return toml(moved, keys), page(keys, shipped, nothing, moved, trials, whole, rows, losses)


VIEWS = {"TREC": "TREC", "late": "TREC from 2007-04-28 on", "modern": "modern", "plain": "modern without reverse names"}


def page(keys, shipped, nothing, moved, trials, whole, rows, losses):
    """The tables, in Markdown."""
    lines = ["| number | shipped | from nothing | moved |", "|---|---|---|---|"]
    lines += [f"| `{key}` | {a} | {b} | {c} |" for key, a, b, c in zip(keys, shipped, nothing, moved)]
    heading = "| numbers | AUC | trusted or known | listed |"
    lines += ["", "Fitted to everything, measured on the same:", "", "| feed " + heading, "|---" * 5 + "|"]
    for view, of in whole:
        lines += [f"| {VIEWS[view]} | {word} | {told(one)} |" for word, one in zip(("shipped", "from nothing", "moved"), of)]
    lines += ["", "Fitted without a part, measured on that part:", "", "| left out | feed " + heading, "|---" * 6 + "|"]
    for name, view, of in rows:
        lines += [f"| {name} | {VIEWS[view]} | {word} | {told(one)} |"
                  for word, one in zip(("shipped", "from nothing", "moved"), of)]
    lines += ["", "The loss, and of the parts left out:", "", "| | shipped | from nothing | moved |", "|---|---|---|---|"]
    lines += ["| everything, measured on the same | " + " | ".join(f"{trial.loss():.2f}" for trial in trials) + " |"]
    for (_, name), of in zip(FOLDS, losses):
        lines.append(f"| without {name.removeprefix('... of ')} | " + " | ".join(f"{loss:.2f}" for loss in of) + " |")
    means = [sum(column) / len(losses) for column in zip(*losses)]
    lines.append("| **mean of the parts left out** | " + " | ".join(f"**{mean:.2f}**" for mean in means) + " |")
    return "\n".join(lines) + "\n"

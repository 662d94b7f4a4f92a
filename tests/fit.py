"""Fits the points of [policy] to labelled mail. `tests/calibrate --fit` runs it; docs/calibration.md tells what it does.

In go feeds as tests/calibrate makes them; `helostat replay --measures` tells what was measured of each message, and two
policies at the ends of the scale tell what points cannot change. Everything after that is arithmetic: the same
archives give the same numbers. Needs numpy.
"""
import csv, json, os, re, subprocess, sys

import numpy as np

SPREAD, MIDDLE = 25, 20  # The score's curve, as in zones/src/rules.rs.
# Points that these archives say nothing of stay as they are shipped: nothing was refused there.
HELD = {"points-refused"}
# Nobody reaches `known` by points, and points list nobody; everybody reaches it. What is blamed on others must weigh something.
GATES = [("never", "known-points = 100\ntrusted-points = 100\nsuspect-points = -100\nlisted-points = -100\n"),
         ("ever", "known-points = -100\ntrusted-points = -100\nsuspect-points = -100\nlisted-points = -100\n")]
# Where a reverse name tells the label, because one archive has them and the other has not: measured, not fitted.
TELLING = {"modern", "modern marked"}
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
        self.measures = np.array(measures)
        self.time, self.site = np.array(self.time), np.array(self.site)
        self.spam, self.once, self.always, self.may, newcomer, self.ruled, crowded = np.array(marks).T
        self.newcomer = newcomer
        # What lists a newcomer: not a crowd that is none yet, nor what its neighbours sent to traps, nor a name said
        # everywhere by who has a reverse name of its own.
        self.held = self.measures.copy()
        column = {key: self.measures[:, place] for place, key in enumerate(keys)}
        own = (column["points-reverse-agrees"] > 0) | (column["points-reverse-named"] > 0)
        for key, excused in (("points-crowd", ~crowded), ("points-trap-share", column["points-traps"] == 0),
                             ("points-name-networks", own)):
            self.held[excused, keys.index(key)] = 0
        self.held[:, keys.index("points-refused")] = 0

    def part(self, rows):
        """These messages alone."""
        part = object.__new__(Feed)
        part.__dict__ = {name: values[rows] for name, values in self.__dict__.items()}
        return part


def auc(totals, spam):
    """The AUC of the score from 0 to 100."""
    score = np.rint(100 / (1 + np.exp((MIDDLE - totals) / SPREAD))).astype(int)
    bad, good = np.bincount(score[spam], minlength=101), np.bincount(score[~spam], minlength=101)
    return float((good * (np.cumsum(bad) - bad / 2)).sum() / max(1, bad.sum() * good.sum()))


def share(what, of):
    return 100 * float((what & of).sum()) / max(1, int(of.sum()))


class Trial:
    """Numbers and the sums they make of every message, so that one of them can be moved without summing anew."""

    def __init__(self, feeds, points, known, listed):
        self.feeds, self.points, self.known, self.listed = feeds, list(points), known, listed
        weights = np.array(points, dtype=np.float32)
        self.sums = {name: (feed.measures @ weights, feed.held @ weights) for name, feed in feeds.items()}

    def move(self, place, by):
        self.points[place] += by
        for name, (total, held) in self.sums.items():
            total += by * self.feeds[name].measures[:, place]
            held += by * self.feeds[name].held[:, place]

    def figures(self, name, once):
        """AUC; trusted or known: ham and spam; listed: ham and spam. Shares in percent."""
        feed, (total, held) = self.feeds[name], self.sums[name]
        known = feed.always | (feed.may & (total >= self.known - 0.001))
        listed = ~known & feed.newcomer & (feed.ruled | (held <= self.listed + 0.001))
        of = feed.once if once else np.ones(len(total), dtype=bool)
        ham, spam = of & ~feed.spam, of & feed.spam
        return (auc(total[of], feed.spam[of]), share(known, ham), share(known, spam), share(listed, ham), share(listed, spam))

    def loss(self):
        """What is to be small; docs/calibration.md tells it in words. `None` where a feed holds nothing of a sort."""
        loss = 0
        for name, feed in self.feeds.items():
            if not feed.spam.any() or feed.spam.all():
                continue
            rank, ham_known, spam_known, ham_listed, spam_listed = self.figures(name, False)
            if "marked" not in name:
                loss += 100 * (1 - rank)
                loss += 0.02 * (100 - spam_listed) + 10 * ham_listed + 100 * max(0, ham_listed - 0.01)
            if "TREC" in name:
                _, ham_known, spam_known, _, _ = self.figures(name, True)
            if "modern" not in name or "marked" in name:
                heavy = 4 if "TREC" in name else 2
                loss += 0.1 * (100 - ham_known + heavy * spam_known)
        return loss


def regression(feeds, signs, held, penalty=1e-3):
    """Logistic regression with signs held, by Newton's method and coordinate descent; ham and spam of each feed weigh alike."""
    measures, spam, weights = [], [], []
    for name, feed in feeds.items():
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


def search(trial, keys, signs, held):
    """Moves one number at a time, as long as that makes the loss smaller by more than a trifle."""
    best = trial.loss()
    for by in (8, 4, 2, 1):
        better = True
        while better:
            better = False
            for place, step in ((place, step) for place in range(len(keys)) if place not in held for step in (by, -by)):
                least = 1 if keys[place] in BLAME else 0
                while least <= (trial.points[place] + step) * signs[place] <= 60:
                    trial.move(place, step)
                    loss = trial.loss()
                    if loss > best - 0.002:
                        trial.move(place, -step)
                        break
                    best, better = loss, True
    return best


def fit(feeds, shipped, thresholds, keys):
    """Two fits, in whole points: by regression alone, and searched from there."""
    feeds = {name: feed for name, feed in feeds.items() if name not in TELLING}
    signs = [1 if value > 0 else -1 for value in shipped]
    held = {place: shipped[place] for place, key in enumerate(keys) if key in HELD}
    odds = regression(feeds, signs, held)
    trials = []
    for scale in np.arange(0.3, 3.01, 0.1):
        points = [shipped[place] if place in held else int(round(scale * value)) for place, value in enumerate(odds)]
        points = [points[place] or signs[place] * (key in BLAME) for place, key in enumerate(keys)]
        trial = Trial(feeds, points, *thresholds)
        trials.append((trial.loss(), points))
    start = min(trials)[1]
    trial = Trial(feeds, start, *thresholds)
    search(trial, keys, signs, held)
    return start, trial.points


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


def crossed(feeds, shipped, thresholds, keys, show):
    """Fits without each part in turn, and measures what comes of it there."""
    rows, losses = [], []
    for what, name in FOLDS:
        kept, left = {}, {}
        for feed_name, feed in feeds.items():
            out = rows_left_out(feed, what)
            kept[feed_name] = feed.part(~out) if out.any() else feed
            if out.any():
                left[feed_name] = feed.part(judged_with(feed, out))
        kept = {feed_name: feed for feed_name, feed in kept.items() if feed.spam.any() and not feed.spam.all()}
        start, found = fit(kept, shipped, thresholds, keys)
        trials = [Trial(left, points, *thresholds) for points in (shipped, start, found)]
        losses.append([trial.loss() for trial in trials])
        for view, base in (("TREC", "TREC"), ("late", "TREC late"), ("modern", "modern"), ("plain", "modern plain")):
            if base in left:
                rows.append((name, view, [figures(trial, view) for trial in trials]))
                show(name, view, *map(told, rows[-1][2]))
        show(name, "loss", *(f"{loss:.3f}" for loss in losses[-1]), found)
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
    if abs(of["auc_of_score"] - found[0]) > 0.0002 or any(abs(one - other) > 0.02 for one, other in zip(shares, found[1:])):
        sys.exit(f"fit: the program says {of['auc_of_score']:.4f} {shares}, the fit {found}: it is not the same arithmetic any more")


def run(program, folder, feeds, shipped, thresholds, say=lambda text: print(text, file=sys.stderr, flush=True)):
    """Fits and prints; gives back the tables of the page. `feeds` are (name, path, options)."""
    keys, shipped = list(shipped), list(shipped.values())
    measured = {}
    for name, path, options in feeds:
        measured[name] = Feed(program, folder, path, keys, options)
        say(f"{name}: {len(measured[name].spam)} messages measured")
    start, found = fit(measured, shipped, thresholds, keys)
    trials = [Trial(measured, points, *thresholds) for points in (shipped, start, found)]
    for name, path, options in feeds:
        agrees(program, folder, path, keys, found, options, trials[2].figures(name, False))
    say(toml(found, keys))
    whole = [(view, [figures(trial, view) for trial in trials]) for view in ("TREC", "late", "modern", "plain")]
    show = lambda *words: say(" | ".join(map(str, words)))
    for view, of in whole:
        show("all", view, *map(told, of))
    show("all", "loss", *(f"{trial.loss():.3f}" for trial in trials))
    rows, losses = crossed(measured, shipped, thresholds, keys, show)
    return page(keys, shipped, start, found, trials, whole, rows, losses)


VIEWS = {"TREC": "TREC", "late": "TREC from 2007-04-28 on", "modern": "modern", "plain": "modern without reverse names"}


def page(keys, shipped, start, found, trials, whole, rows, losses):
    """The tables, in Markdown."""
    lines = ["| number | shipped | regression alone | fitted |", "|---|---|---|---|"]
    lines += [f"| `{key}` | {a} | {b} | {c} |" for key, a, b, c in zip(keys, shipped, start, found)]
    heading = "| numbers | AUC | trusted or known | listed |"
    lines += ["", "Fitted to everything, measured on the same:", "", "| feed " + heading, "|---" * 5 + "|"]
    for view, of in whole:
        lines += [f"| {VIEWS[view]} | {word} | {told(one)} |" for word, one in zip(("shipped", "regression", "fitted"), of)]
    lines += ["", "Fitted without a part, measured on that part:", "", "| left out | feed " + heading, "|---" * 6 + "|"]
    for name, view, of in rows:
        lines += [f"| {name} | {VIEWS[view]} | {word} | {told(one)} |"
                  for word, one in zip(("shipped", "regression", "fitted"), of)]
    lines += ["", "The loss, and of the parts left out:", "", "| | shipped | regression | fitted |", "|---|---|---|---|"]
    lines += ["| everything, measured on the same | " + " | ".join(f"{trial.loss():.2f}" for trial in trials) + " |"]
    for (_, name), of in zip(FOLDS, losses):
        lines.append(f"| without {name.removeprefix('... of ')} | " + " | ".join(f"{loss:.2f}" for loss in of) + " |")
    means = [sum(column) / len(losses) for column in zip(*losses)]
    lines.append("| **mean of the parts left out** | " + " | ".join(f"**{mean:.2f}**" for mean in means) + " |")
    return "\n".join(lines) + "\n"

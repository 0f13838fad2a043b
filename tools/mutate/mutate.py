#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write random variants, and test each.  `make mutate N=200 SEED=s FILES=...`

Operators over the sources of mm/, kernel/, demo/, bench/, drivers/, arch/x86_64 and tests/soak
(mutate_sites.py) are sampled by the seed: each directory by its share of the lines, and within it
each operator equally often.  A variant that does not compile, or compiles to the same code, does
not count, nor does one that tests/mutants/argued.md argues to be equivalent.  Each is tried until a
test fails: the suites that its file names, lint's check of locks, all hosted builds, the search of
all states, the race scripts and the explorer on fibers, a boot under icount with the programs of
ring 3, the tests from outside that its file names, the gate of the figures (mutate_run.py).

DIR/mutate/SEED.jsonl has a line for each, and a repeated run continues where it stopped;
DIR/mutate/SEED.md is the report, with each survivor as a diff.  Exit status 0 if all ran; the
number of survivors is for the reader to judge.
"""
import collections
import difflib
import json
import os
import random
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import mutate_run
import variant
import outer_make

try:
    import mutate_sites
except ImportError:
    sys.exit("mutate: Python's package of libclang is missing: make setup (Debian: python3-clang)")

AREAS = ["mm", "kernel", "demo", "bench", "drivers", "arch/x86_64", "tests/soak"]
ARGUED = os.path.join(variant.ROOT, "tests/mutants/argued.md")
NO_COUNT = ("same code", "does not compile", "in no build")


def area_of(path):
    return next((a for a in AREAS if path.startswith(a + "/")), None)


contents = mutate_run.contents


def all_sites(build, files, areas=AREAS):
    """Every edit that the operators can make: {directory: {operator: [Site]}}."""
    words = outer_make.values(build, {"FLAGS": "$(KFLAGS)", "SOURCES": "$(KSRCS)"})
    kept = re.compile(r"-([IDm]|std|ff|isystem|idirafter)")
    flags = ["--target=x86_64-linux-gnu", *filter(kept.match, words["FLAGS"])]
    found, seen = {}, set()
    for source in words["SOURCES"]:
        if not source.endswith(".c") or area_of(source) not in areas:
            continue
        for site in mutate_sites.sites(variant.ROOT, source, flags, area_of):
            if (site.path, site.edits) in seen or files and site.path not in files:
                continue
            seen.add((site.path, site.edits))
            found.setdefault(area_of(site.path), {}).setdefault(site.operator, []).append(site)
    return found


def argued():
    """{key: reason} of the equivalent variants; argued.md has a line "- `KEY`: reason" for
    each."""
    text = rooms.read(ARGUED) if os.path.exists(ARGUED) else ""
    return dict(re.findall(r"^- ``(.+?)``: (.+(?:\n  .+)*)", text, re.MULTILINE))


def shares(sites, number):
    """{directory: its part of @number, in proportion to its lines}"""
    lines = {
        a: sum(contents(p).count(b"\n") for p in {s.path for ss in sites[a].values() for s in ss})
        for a in sites
    }
    total, out = sum(lines.values()), {}
    for area in sorted(sites, key=lambda a: lines[a]):
        out[area] = max(1, round(number * lines[area] / total))
    largest = max(out, key=out.get)
    out[largest] += number - sum(out.values())
    return out


def draw(sites, area, seed):
    """The sites of a directory, in the order that the seed gives: an operator by chance, one of
    its sites by chance."""
    rng = random.Random(f"{seed} {area}")
    left = {op: rng.sample(found, len(found)) for op, found in sorted(sites[area].items())}
    while left:
        operator = rng.choice(sorted(left))
        yield left[operator].pop()
        if not left[operator]:
            del left[operator]


class Trial:
    """One seed's variants, and the results of those that were tried already: lines of @path."""

    def __init__(self, args, sites, path=None):
        self.seed, self.build, self.total = args.seed, args.build, args.number
        self.path = path or os.path.join(args.build, "mutate", f"{args.seed}.jsonl")
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.rows, self.lock, self.argued = read(self.path), threading.Lock(), argued()
        wanted = shares(sites, args.number)
        self.areas = {
            a: {"wanted": wanted[a], "order": draw(sites, a, args.seed), "counted": 0, "out": 0}
            for a in sites
        }
        self.chosen, self.began = [], time.monotonic()

    def next(self):
        """(site, key) to try next, or None if enough sites were tried.  Sites that an earlier run
        tried count."""
        with self.lock:
            for area in self.areas.values():
                while area["counted"] + area["out"] < area["wanted"]:
                    site = next(area["order"], None)
                    if site is None:
                        area["wanted"] = area["counted"] + area["out"]
                        break
                    key = site.key(contents(site.path))
                    if key in self.argued or key in {r["key"] for r in self.chosen}:
                        continue
                    if key not in self.rows:
                        area["out"] += 1
                        return site, key
                    self.take(area, self.rows[key])
            return None

    def take(self, area, row):
        if row["verdict"] not in NO_COUNT:
            area["counted"] += 1
            self.chosen.append(row)

    def done(self, row):
        with self.lock:
            area = self.areas[area_of(row["path"])]
            area["out"] -= 1
            self.rows[row["key"]] = row
            with open(self.path, "a", encoding="utf-8") as f:
                f.write(json.dumps(row) + "\n")
            self.take(area, row)
            if row["verdict"] not in NO_COUNT:
                where = f"{row['path']}:{row['line']} {row['operator']} ({row['seconds']:.0f} s)"
                print(f"{len(self.chosen):4}/{self.total} {where}: {self.said(row)}", flush=True)

    def said(self, row):
        survived = sum(r["verdict"] == "survived" for r in self.chosen)
        return f"{row['verdict']} {row['by']}  [{survived} survive]"

    def tried(self, worker, site):
        """What a line says about the test of an edit."""
        before = contents(site.path)
        old, new = (text.decode().splitlines(True) for text in (before, site.apply(before)))
        diff = difflib.unified_diff(old, new, "a/" + site.path, "b/" + site.path, n=2)
        verdict, by = worker.try_one(site)
        return {"verdict": verdict, "by": by, "diff": "".join(diff)}

    def work(self, bench, number):
        worker = mutate_run.Worker(bench, number)
        while found := self.next():
            site, key = found
            start, names = time.monotonic(), ("path", "line", "function", "operator")
            row = {"key": key, **{name: getattr(site, name) for name in names}}
            row |= self.tried(worker, site)
            self.done(row | {"seconds": round(time.monotonic() - start, 1)})

    def run(self, bench, jobs):
        """Try all; the first fault of the unmodified tree, or None."""
        if wrong := bench.prepare():
            return wrong
        with ThreadPoolExecutor(jobs) as pool:
            for job in [pool.submit(self.work, bench, n) for n in range(jobs)]:
                job.result()
        return None


def read(path):
    """{key: row} of a file with a JSON line for each edit."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")[:-1]  # without a last line that a full disk cut short
    return {row["key"]: row for row in map(json.loads, lines)}


# ---- the report ----------------------------------------------------------------------------------


def share(killed, survived):
    return f"{100 * killed / max(1, killed + survived):.1f} %"


def table(rows, what, of):
    counts = collections.defaultdict(lambda: [0, 0])
    for row in rows:
        counts[of(row)][row["verdict"] == "survived"] += 1
    lines = [f"| {what} | tried | killed | survive | killed |", "|---|---|---|---|---|"]
    for name, (killed, survived) in sorted(counts.items()):
        numbers = f"{killed + survived} | {killed} | {survived} | {share(killed, survived)}"
        lines.append(f"| {name} | {numbers} |")
    return "\n".join(lines)


def report(trial, seconds):
    rows = trial.chosen
    killed = sum(r["verdict"] == "killed" for r in rows)
    text = [
        f"# Variants of seed {trial.seed}\n",
        f"{len(rows)} variants, {killed} killed, {len(rows) - killed} survive; "
        f"{len(trial.argued)} argued equivalent are left out. {seconds:.0f} s in this run, "
        f"{sum(r['seconds'] for r in rows):.0f} s of all jobs.\n",
        areas := table(rows, "directory", lambda r: area_of(r["path"])) + "\n",
        table(rows, "operator", lambda r: r["operator"]) + "\n",
        table(rows, "noticed by", lambda r: r["by"].split(" ")[0] or "nobody") + "\n",
        table(rows, "file", lambda r: r["path"]) + "\n",
        "## Survivors\n",
    ]
    for row in rows:
        if row["verdict"] == "survived":
            text.append(f"{row['path']}:{row['line']} {row['function']}, {row['operator']}\n")
            text.append(f"- ``{row['key']}``: \n\n```diff\n{row['diff']}```\n")
    path = os.path.join(trial.build, "mutate", f"{trial.seed}.md")
    rooms.write(os.path.abspath(path), "\n".join(text))
    said = f"{len(rows)} variants, {killed} killed, {len(rows) - killed} survive"
    print(f"{areas}mutate: seed {trial.seed}: {said}, {share(killed, len(rows) - killed)}; {path}")


def stages_of(text):
    """The stages that a list names, some of them by their group."""
    return [s for word in text.split(",") for s in mutate_run.GROUPS.get(word, [word])]


def arguments(parser):
    """The arguments, with those of mutate.py and kills.py."""
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--files", help="paths, with commas")
    parser.add_argument("--jobs", type=int, default=check.jobs())
    parser.add_argument("--report", action="store_true", help="of what has been tried so far")
    args = parser.parse_args()
    if args.number < 1 or args.jobs < 1 or not re.fullmatch(r"\w+", args.seed):
        parser.error("--number and --jobs are at least 1, --seed is a word")
    args.files = args.files.split(",") if args.files else []
    if missing := [path for path in args.files if not os.path.isfile(path)]:
        parser.error(f"--files: no {', '.join(missing)}")
    return args


def main():
    parser = rooms.parser(__doc__)
    every = ",".join([*mutate_run.GROUPS, *mutate_run.STAGES])
    parser.add_argument("--stages", type=stages_of, help="only these, with commas: " + every)
    parser.add_argument("--count", action="store_true", help="how many sites there are")
    args = arguments(parser)
    if unknown := set(args.stages or []) - set(mutate_run.STAGES):
        parser.error(f"--stages: no {', '.join(unknown)}; there are {','.join(mutate_run.STAGES)}")
    sites = all_sites(args.build, args.files)
    if not sites:
        parser.error(f"no site in {','.join(args.files) or 'the tree'}")
    if args.count:
        rows = [(a, op, len(found)) for a in sites for op, found in sorted(sites[a].items())]
        print("\n".join(f"{area:12} {operator:14} {found:6}" for area, operator, found in rows))
        return 0
    trial = Trial(args, sites)
    if args.report:
        while found := trial.next():  # a site that was not tried yet
            trial.areas[area_of(found[0].path)]["out"] -= 1
        report(trial, 0)
        return 0
    if wrong := trial.run(mutate_run.Bench(args.build, args.stages), args.jobs):
        print(f"mutate: {wrong}")
        return 1
    report(trial, time.monotonic() - trial.began)
    return 0


if __name__ == "__main__":
    rooms.run(main, interrupted="interrupted; the same command continues from here")

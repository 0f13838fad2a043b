#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which tests notice which edits of mm/, and which notice none alone?  `make kills N=300 SEED=s`

Usage: kills.py [--build DIR] [--number N] [--seed S] [--files PATH,...] [--jobs N]
       kills.py [--build DIR] --report

Edits are drawn as mutate.py draws them.  With each, all suites of tests/suites/mm run in the
build host-plain, to their end: a test that panics counts as failed, and the run goes on with the
next suite.  An edit that the tests of at most two suites notice is tried by what searches, too: all
states, then the race scripts and the explorer.

DIR/kills/SEED.jsonl has a line for each edit, and a repeated run continues where it stopped.  The
report, of all seeds in DIR/kills, has a line for each suite: its lines, the edits that it notices,
those that nothing else does, and how many of its tests notice something that no other test and no
search notices.  Exit status 0 if all ran: what goes is for the reader to judge.
"""
import collections
import glob
import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import mutate
import mutate_run
import qemu
import suites
import variant
import variant_build

BUILD = "host-plain"
SEARCHES = [mutate_run.STATES, mutate_run.RACES]
START = "program.start"  # stands for a test: the program ends before its first one
FEW = 2  # suites: an edit that so few notice is tried by the searches
FAILED = re.compile(r"^  not ok \d+ (\S+)", re.MULTILINE)


def suites_of_mm(build):
    """The suites of tests/suites/mm that the program has, in the order in which they run."""
    said = subprocess.run(
        [variant_build.program_of(build, BUILD), "--list"], stdout=subprocess.PIPE, text=True
    ).stdout
    found, names = suites.suites(), dict.fromkeys(re.findall(r"^(\w+)\.", said, re.MULTILINE))
    return [n for n in names if n in found and found[n].path.startswith("tests/suites/mm/")]


def failing(bench, program, names):
    """The tests that fail: SUITE.TEST, in the suites @names.  After a panic or a hang the run goes
    on with the next suite."""
    failed, left = [], names
    while left:
        words = [program, "--cpus=4", ",".join(left)]
        outcome = mutate_run.run(words, bench.limit(BUILD), whole=True)
        failed += FAILED.findall(outcome.text)
        crashed = None if outcome.how == "passed" else qemu.ktap_running(outcome.text)
        if not crashed:  # a program that does not get to its first test needs no suite
            return failed if failed or outcome.how == "passed" else [START]
        failed.append(crashed)
        left = left[left.index(crashed.split(".")[0]) + 1 :]
    return failed


class Run:
    """One seed's edits."""

    def __init__(self, args, sites):
        self.path = os.path.join(args.build, "kills", f"{args.seed}.jsonl")
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.rows, self.lock, self.number = read(self.path), threading.Lock(), args.number
        self.order, self.argued = mutate.draw(sites, "mm", args.seed), mutate.argued()
        self.names, self.counted = suites_of_mm(args.build), 0

    def next(self):
        """(site, key) to try next; None if enough were tried."""
        with self.lock:
            while self.counted < self.number and (site := next(self.order, None)):
                key = site.key(mutate.contents(site.path))
                if key in self.argued:
                    continue
                self.counted += 1
                if key not in self.rows:
                    return site, key
                self.counted -= self.rows[key]["verdict"] in mutate.NO_COUNT
            return None

    def done(self, row):
        with self.lock:
            self.rows[row["key"]] = row
            self.counted -= row["verdict"] in mutate.NO_COUNT
            with open(self.path, "a", encoding="utf-8") as f:
                f.write(json.dumps(row) + "\n")
            print(
                f"{self.counted:4}/{self.number} {row['path']}:{row['line']} {row['operator']} "
                f"({row['seconds']:.0f} s): {row['verdict']}, {len(row['tests'])} tests of "
                f"{len(suites_in(row))} suites{', ' + row['search'] if row['search'] else ''}",
                flush=True,
            )


def read(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        return {row["key"]: row for row in map(json.loads, f)}


def suites_in(row):
    return {test.split(".")[0] for test in row["tests"]}


def judge(bench, worker, run, site):
    """(verdict, tests that fail, the search that notices it or "")"""
    tests, search, tried = [], "", False
    for name in [BUILD, *SEARCHES]:
        base = bench.bases[name]
        if not any(site.path in needs for needs in base.needs.values()):
            continue
        try:
            objects = base.compile(worker.tree, [site.path])
            if name == BUILD and worker.same(name, site.path, base):
                return "same code", [], ""
            program = base.link(worker.tree, objects)
        except variant_build.BuildError:
            if name == BUILD:
                return "does not compile", [], ""
            continue
        if name == BUILD:
            tests, tried = failing(bench, program, run.names), True
            if tests == [START] or len({t.split(".")[0] for t in tests}) > FEW:
                break
        elif (how := bench.ask(name, program, "all").how) != "passed":
            search = f"{name} {how}"
            break
    if not tried:
        return "in no build", [], ""
    return "killed" if tests or search else "survived", tests, search


def work(bench, run, number):
    worker = mutate_run.Worker(bench, f"-kills{number}")
    while found := run.next():
        site, key = found
        start = time.monotonic()
        verdict, tests, search = worker.try_one(site, partial(judge, bench, worker, run))
        run.done(
            {
                "key": key,
                "path": site.path,
                "line": site.line,
                "operator": site.operator,
                "verdict": verdict,
                "tests": sorted(set(tests)),
                "search": search,
                "seconds": round(time.monotonic() - start, 1),
            }
        )


def report(rows, names):
    """Print a line for each suite, those first that notice nothing alone, the longest first."""
    rows = [r for r in rows if r["verdict"] == "killed"]
    of, alone, tests = collections.Counter(), collections.Counter(), collections.Counter()
    for row in rows:
        found = suites_in(row)
        of.update(found)
        if len(found) == 1 and not row["search"]:
            alone.update(found)
        if len(row["tests"]) == 1 and not row["search"]:
            tests.update(row["tests"])
    lines = {n: variant.text_of(suites.suites()[n].path).count("\n") for n in names}
    print(f"{len(rows)} edits; of {len(names)} suites in {sum(lines.values())} lines:")
    for name in sorted(names, key=lambda n: (alone[n], -lines[n])):
        mine = suites.suites()[name].tests
        needed = sum(f"{name}.{test}" in tests for test in mine)
        print(
            f"{name:22} {lines[name]:4} lines, notices {of[name]:4}, alone {alone[name]:3}; "
            f"{needed} of {len(mine)} tests alone"
        )


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--files", help="paths, with commas")
    parser.add_argument("--jobs", type=int, default=check.jobs())
    parser.add_argument("--report", action="store_true", help="of what has been tried so far")
    args = parser.parse_args()
    args.stages = [BUILD, *SEARCHES]
    if args.number < 1 or args.jobs < 1 or not re.fullmatch(r"\w+", args.seed):
        parser.error("--number and --jobs are at least 1, --seed is a word")
    if not args.report:
        sites = mutate.all_sites(args.build, args.files.split(",") if args.files else None, ["mm"])
        if "mm" not in sites:
            parser.error("no site of mm/ in " + (args.files or "the tree"))
        bench = mutate_run.Bench(args.build, args.stages)
        if wrong := bench.prepare():
            print(f"kills: {wrong}")
            return 1
        run = Run(args, sites)
        with ThreadPoolExecutor(args.jobs) as pool:
            for job in [pool.submit(work, bench, run, n) for n in range(args.jobs)]:
                job.result()
    found = glob.glob(os.path.join(args.build, "kills", "*.jsonl"))
    report([row for path in found for row in read(path).values()], suites_of_mm(args.build))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted; the same command continues from here", file=sys.stderr)
        os._exit(130)
